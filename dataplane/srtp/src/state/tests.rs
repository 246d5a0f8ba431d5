//! A worker that is killed between any two stores, again and again.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use plenum_abi::{MasterKeys, RX_STREAMS, SrtpSuite};
use proptest::prelude::*;

use super::*;
use crate::window::WINDOW_LEN;
use crate::{Receiver, Sender};

/// Memory that outlives the process, which lives for so many more stores.
#[derive(Default)]
struct Mortal {
    words: RefCell<[u64; WORDS]>,
    stores_left: Cell<u32>,
}

impl Words for Mortal {
    fn get(&self, word: usize) -> u64 {
        self.words.borrow()[word]
    }

    fn set(&self, word: usize, value: u64) {
        if let Some(left) = self.stores_left.get().checked_sub(1) {
            self.stores_left.set(left);
            self.words.borrow_mut()[word] = value;
        }
    }
}

const SUITE: SrtpSuite = SrtpSuite::AesCm128HmacSha1_80;
const EPOCH: u32 = 0x8000_0007;
const SSRC: u32 = 0x1234_5678;

fn packet(index: u64) -> Vec<u8> {
    let mut sender = Sender::new(SUITE, &MasterKeys([[3; 16]; 3]));
    let mut packet = vec![0x80, 0];
    packet.extend((index as u16).to_be_bytes());
    packet.extend([0; 4]);
    packet.extend(SSRC.to_be_bytes());
    packet.extend(index.to_be_bytes());
    packet.extend([0; 10]);
    sender
        .protect_rtp(&AtomicU64::new(index), &mut packet, 20)
        .unwrap();
    packet
}

fn restored(memory: &Mortal) -> Receiver {
    let mut streams = [None; RX_STREAMS];
    streams[0] = StreamState::load_words(memory, EPOCH);
    Receiver::restore(SUITE, &MasterKeys([[3; 16]; 3]), &streams)
}

/// What the network does with the packet sent `back` before the newest, and
/// whether the worker dies after so many stores.
#[derive(Clone, Copy, Debug)]
struct Step {
    advance: u64,
    back: u64,
    dies_after: Option<u32>,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let advance = prop_oneof![6 => 0..3_u64, 2 => 3..60_u64, 1 => 60..300_u64];
    let back = prop_oneof![4 => Just(0_u64), 4 => 0..8_u64, 2 => 0..140_u64, 1 => 100..300_u64];
    let dies_after = prop_oneof![3 => Just(None), 2 => (0..6_u32).prop_map(Some)];
    let step = (advance, back, dies_after).prop_map(|(advance, back, dies_after)| Step {
        advance,
        back,
        dies_after,
    });
    prop::collection::vec(step, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn nothing_is_used_twice_whenever_the_worker_dies(start in 0..0x1_0000_u64, steps in steps()) {
        let memory = Mortal::default();
        let mut receiver = restored(&memory);
        let mut newest = start.min(0x7fff);
        let mut used = BTreeSet::new();
        // Everything at or above this was never refused, not even by a crash.
        let mut crashed_at = 0;
        for step in steps {
            newest += step.advance;
            let index = newest.saturating_sub(step.back);
            let before = receiver.stream(0).map_or(0, |state| state.rtp_next);
            let accepted = receiver.unprotect_rtp(&mut packet(index)).is_ok();

            let fresh = !used.contains(&index) && index + WINDOW_LEN >= before;
            prop_assert!(!accepted || fresh, "index {} was used or is too old", index);
            // A crash may cost what came before it, nothing after.
            prop_assert!(accepted || !fresh || index < crashed_at, "index {} is good", index);

            if accepted {
                memory.stores_left.set(step.dies_after.unwrap_or(u32::MAX));
                let (slot, state) = receiver.changed().unwrap();
                prop_assert_eq!(slot, 0);
                state.store_words(&memory, EPOCH);
                if memory.stores_left.get() > 0 {
                    used.insert(index);
                    prop_assert_eq!(StreamState::load_words(&memory, EPOCH), Some(state));
                } else {
                    // Dead before the last store or right after it: not used.
                    crashed_at = crashed_at.max(index + 1).max(before);
                }
            }
            if step.dies_after.is_some() {
                receiver = restored(&memory);
            }
        }
    }

    /// The bits of a state are the indexes that were admitted.
    #[test]
    fn the_stored_window_is_a_set(
        indexes in prop::collection::vec(0..400_u64, 1..200),
    ) {
        let (mut window, mut admitted) = (Window::default(), BTreeSet::new());
        for index in indexes {
            if window.admits(index) {
                window.insert(index);
                admitted.insert(index);
            }
        }
        let stream = Stream { ssrc: SSRC, rtp: window, rtcp: Window::default() };
        let state = StreamState::from(stream);
        let mut expected = [0; 2];
        for index in admitted.range(state.rtp_next.saturating_sub(WINDOW_LEN)..) {
            expected[(index % 128 / 64) as usize] |= 1_u64 << (index % 64);
        }
        prop_assert_eq!(state.rtp_window, expected);
        prop_assert_eq!(Some(state.rtp_next), admitted.last().map(|last| last + 1));
        prop_assert_eq!(Stream::from(state).rtp, window);
    }
}

/// The order itself, once: highest, cleared bits, the new bit.
#[test]
fn stores_in_the_documented_order() {
    struct Log {
        memory: Mortal,
        order: RefCell<Vec<usize>>,
    }
    impl Words for Log {
        fn get(&self, word: usize) -> u64 {
            self.memory.get(word)
        }
        fn set(&self, word: usize, value: u64) {
            self.order.borrow_mut().push(word);
            self.memory.words.borrow_mut()[word] = value;
        }
    }
    let log = Log {
        memory: Mortal::default(),
        order: RefCell::default(),
    };
    let mut state = StreamState {
        ssrc: SSRC,
        rtp_next: 10,
        rtp_window: [0x3ff, 0],
        ..StreamState::default()
    };
    // A new tenant: the label comes off first and goes on last.
    state.store_words(&log, EPOCH);
    assert_eq!(log.order.take(), [0, 1, 2, 2, 0]);
    // A leap that empties the low word and sets a bit in it.
    state.rtp_next = 130;
    state.rtp_window = [0b10, 0];
    state.store_words(&log, EPOCH);
    assert_eq!(log.order.take(), [1, 2, 2]);
    // A late packet: one store. RTCP has words of its own.
    state.rtp_window[1] = 1 << 63;
    state.store_words(&log, EPOCH);
    assert_eq!(log.order.take(), [3]);
    state.rtcp_next = 5;
    state.rtcp_window = [1 << 4, 0];
    state.store_words(&log, EPOCH);
    assert_eq!(log.order.take(), [4, 5]);
    state.store_words(&log, EPOCH);
    assert_eq!(log.order.take(), []);
    assert_eq!(StreamState::load_words(&log, EPOCH), Some(state));
}

#[test]
fn a_slot_of_another_epoch_is_not_believed() {
    let state = StreamState {
        ssrc: SSRC,
        rtp_next: 7,
        rtp_window: [0x7f, 0],
        ..StreamState::default()
    };
    let rekeyed = StreamState {
        rtp_next: 5_000,
        rtp_window: [1 << 7, 0],
        ..state
    };
    // Taken over for new keys; dead in the middle, the slot belongs to neither.
    for stores in 0..=5 {
        let memory = Mortal::default();
        assert_eq!(StreamState::load_words(&memory, 0), None);
        memory.stores_left.set(u32::MAX);
        state.store_words(&memory, 3);
        assert_eq!(StreamState::load_words(&memory, 3), Some(state));
        assert_eq!(StreamState::load_words(&memory, 4), None);
        memory.stores_left.set(stores);
        rekeyed.store_words(&memory, 4);
        let (old, new) = (
            StreamState::load_words(&memory, 3),
            StreamState::load_words(&memory, 4),
        );
        assert_eq!(old, (stores == 0).then_some(state), "{stores} stores");
        assert_eq!(new, (stores == 5).then_some(rekeyed), "{stores} stores");
    }
}
