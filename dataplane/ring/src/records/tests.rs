use std::collections::VecDeque;

use plenum_abi::ModuleLayout;
use proptest::prelude::*;

use super::*;
use crate::ModuleMemory;

const SMALL: ModuleLayout = ModuleLayout {
    workers: 2,
    up_bytes: 1 << 16,
    down_bytes: 1 << 16,
};

fn ends() -> (RecordProducer, RecordConsumer) {
    let memory = ModuleMemory::create(SMALL).unwrap();
    (memory.up_producer(1), memory.up_consumer(1))
}

proptest! {
    /// Against a queue, obviously right: every record comes out as it went in, in
    /// order, wherever the ring's end falls and however it was cut into parts.
    #[test]
    fn records_come_out_as_they_went_in(
        steps in prop::collection::vec((any::<bool>(), 0_usize..9_000, 0_usize..9_000), 1..80)
    ) {
        let (mut tx, mut rx) = ends();
        let mut model: VecDeque<(u32, Vec<u8>)> = VecDeque::new();
        let mut waiting_words = 0;
        let mut payload = Vec::new();
        for (number, (push, len, cut)) in steps.into_iter().enumerate() {
            if push {
                let bytes: Vec<u8> = (0..len).map(|n| (n * 7 + number) as u8).collect();
                let (one, rest) = bytes.split_at(cut.min(len));
                let (two, three) = rest.split_at(rest.len() / 3);
                let words = 1 + len.div_ceil(8);
                let fits = waiting_words + words <= (1 << 16) / 8;
                prop_assert_eq!(tx.push(number as u32, &[one, two, three]).is_ok(), fits);
                if fits {
                    waiting_words += words;
                    model.push_back((number as u32, bytes));
                }
            } else {
                let kind = rx.pop(&mut payload);
                match model.pop_front() {
                    None => prop_assert_eq!(kind, None),
                    Some((number, bytes)) => {
                        prop_assert_eq!(kind, Some(number));
                        prop_assert_eq!(&payload, &bytes);
                        waiting_words -= 1 + bytes.len().div_ceil(8);
                    }
                }
            }
        }
    }

    /// Whatever the peer writes into header and ring, the reader neither panics
    /// nor yields more than a record may be long, and it comes to rest.
    #[test]
    fn a_hostile_producer_does_no_harm(
        head in any::<u64>(), ahead in any::<u64>(), words in prop::collection::vec(any::<u64>(), 8_192)
    ) {
        let (tx, mut rx) = ends();
        let header = tx.place.header();
        header.head.store(head, Ordering::Relaxed);
        header.tail.store(head.wrapping_add(ahead % 10_000), Ordering::Relaxed);
        for (place, word) in tx.place.ring().iter().zip(&words) {
            // Half of them plausible lengths.
            place.store(if word % 2 == 0 { word % 512 } else { *word }, Ordering::Relaxed);
        }
        let mut payload = Vec::new();
        let mut records = 0;
        while rx.pop(&mut payload).is_some() {
            prop_assert!(payload.len() <= MODULE_RECORD_BYTES_MAX);
            records += 1;
            prop_assert!(records <= 8_192);
        }
        prop_assert!(rx.prepare_sleep());
    }
}

#[test]
fn what_can_never_fit_is_refused() {
    let (mut tx, mut rx) = ends();
    let long = vec![0; MODULE_RECORD_BYTES_MAX + 1];
    assert_eq!(tx.push(1, &[&long]), Err(Full));
    let room = tx.room();
    assert_eq!(room, (1 << 16) - 8);
    assert_eq!(tx.push(1, &[&long[..room + 1]]), Err(Full));
    tx.push(1, &[&long[..room]]).unwrap();
    assert_eq!(tx.room(), 0);
    assert_eq!(tx.push(2, &[]), Err(Full));
    assert_eq!(rx.pop(&mut Vec::new()), Some(1));
    // Positions of nonsense are a full ring to the producer.
    tx.place.header().head.store(5, Ordering::Relaxed);
    tx.place.header().tail.store(1 << 40, Ordering::Relaxed);
    assert_eq!(tx.push(2, &[]), Err(Full));
}

#[test]
fn a_record_that_was_not_finished_was_never_there() {
    let (mut tx, mut rx) = ends();
    tx.push(1, &[b"whole"]).unwrap();
    // The producer dies after half of the next: the words are there, `tail` is not.
    let at = tx.place.header().tail.load(Ordering::Relaxed);
    for word in tx.place.from(at, 3) {
        word.store(head_word(2, 100), Ordering::Relaxed);
    }
    let mut payload = Vec::new();
    assert_eq!(rx.pop(&mut payload), Some(1));
    assert_eq!(payload, b"whole");
    assert_eq!(rx.pop(&mut payload), None);
    // Its successor writes over it.
    tx.push(3, &[b"again"]).unwrap();
    assert_eq!(rx.pop(&mut payload), Some(3));
    assert_eq!(payload, b"again");
}

#[test]
fn no_record_and_no_wake_up_is_lost_between_threads() {
    const COUNT: u32 = 50_000;
    let bell = Arc::new(Doorbell::new().unwrap());
    let (mut tx, mut rx) = ends();
    let ringer = bell.clone();
    let producer = std::thread::spawn(move || {
        let body = [0xa5; 3_000];
        for number in 0..COUNT {
            while tx
                .push(number, &[&body[..number as usize % 3_000]])
                .is_err()
            {
                std::thread::yield_now();
            }
            tx.wake(&ringer);
        }
    });
    let (mut next, mut payload) = (0, Vec::new());
    while next < COUNT {
        while let Some(number) = rx.pop(&mut payload) {
            assert_eq!((number, payload.len()), (next, next as usize % 3_000));
            assert!(payload.iter().all(|byte| *byte == 0xa5));
            next += 1;
        }
        if next < COUNT && rx.prepare_sleep() {
            let mut poll = [rustix::event::PollFd::new(
                &*bell,
                rustix::event::PollFlags::IN,
            )];
            let limit = rustix::event::Timespec {
                tv_sec: 5,
                tv_nsec: 0,
            };
            let woken = rustix::event::poll(&mut poll, Some(&limit)).unwrap();
            assert_eq!(woken, 1, "lost wake-up");
            bell.clear();
            rx.stay_awake();
        }
    }
    producer.join().unwrap();
}
