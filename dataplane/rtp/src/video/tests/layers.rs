use plenum_abi::{LAYERS_MAX, Nanos, VideoCodec};
use proptest::prelude::*;

use crate::video::{LayerChooser, key_frame_rows};

const fn at(millis: u64) -> Nanos {
    Nanos::from_millis(1_000 + millis)
}

/// A sender at 30 pictures a second, each of one packet, and what is decoded of it.
struct Sender {
    chooser: LayerChooser,
    now: u64,
    current: Option<usize>,
}

impl Sender {
    /// The layers `sent` until `until`; each change of the choice with its time.
    fn send(&mut self, until: u64, sent: &[(usize, u32)]) -> Vec<(u64, usize)> {
        let mut changes = Vec::new();
        while self.now < until {
            for &(layer, rows) in sent {
                self.chooser
                    .on_packet(at(self.now), layer, true, Some(rows));
            }
            let chosen = self.chooser.choose(at(self.now), self.current);
            if chosen != self.current {
                changes.extend(chosen.map(|layer| (self.now, layer)));
                self.current = chosen;
            }
            self.now += 33;
        }
        changes
    }
}

const ALL: [(usize, u32); 3] = [(0, 720), (1, 360), (2, 180)];

fn sender(rows: u32) -> Sender {
    let mut chooser = LayerChooser::default();
    chooser.ask(at(0), rows);
    Sender {
        chooser,
        now: 0,
        current: None,
    }
}

#[test]
fn the_smallest_layer_that_fills_the_pane_is_chosen_and_the_largest_where_none_does() {
    for (rows, layer) in [
        (1, 2),
        (180, 2),
        (181, 1),
        (360, 1),
        (361, 0),
        (720, 0),
        (1_080, 0),
    ] {
        assert_eq!(sender(rows).send(100, &ALL), [(0, layer)], "{rows} rows");
    }
    // In whatever order they were named.
    let turned = [(0, 180), (1, 720), (2, 360)];
    assert_eq!(sender(300).send(100, &turned), [(0, 2)]);
}

#[test]
fn a_larger_pane_gets_its_layer_at_once_and_a_smaller_one_after_a_while() {
    let mut sender = sender(180);
    sender.send(1_000, &ALL);
    sender.chooser.ask(at(1_000), 700);
    let changes = sender.send(2_000, &ALL);
    assert!(matches!(changes[..], [(1_000..=1_033, 0)]), "{changes:?}");
    sender.chooser.ask(at(2_000), 180);
    let changes = sender.send(6_000, &ALL);
    assert!(matches!(changes[..], [(5_000..=5_033, 2)]), "{changes:?}");
}

#[test]
fn panes_that_change_to_and_fro_keep_the_larger_layer() {
    let mut sender = sender(700);
    sender.send(100, &ALL);
    for second in 1..20 {
        let rows = if second % 2 == 0 { 700 } else { 180 };
        sender.chooser.ask(at(second * 1_000), rows);
        assert_eq!(sender.send(second * 1_000 + 990, &ALL), []);
    }
}

#[test]
fn a_layer_that_stops_is_left_for_the_next_lower_and_taken_up_again() {
    let mut sender = sender(700);
    sender.send(1_000, &ALL);
    let stopped = sender.now;
    let changes = sender.send(2_000, &ALL[1..]);
    let [(when, 1)] = changes[..] else {
        panic!("{changes:?}")
    };
    assert!((350..500).contains(&(when - stopped)), "{when}");
    let back = sender.now;
    assert_eq!(sender.send(3_000, &ALL), [(back, 0)]);
}

#[test]
fn a_layer_is_steady_after_some_pictures_and_anew_after_a_silence() {
    let mut sender = sender(700);
    sender.send(150, &ALL);
    assert!(sender.chooser.is_steady(0));
    sender.send(1_000, &ALL[1..]);
    sender.send(1_030, &ALL);
    assert!(!sender.chooser.is_steady(0) && sender.chooser.is_steady(1));
    sender.send(1_180, &ALL);
    assert!(sender.chooser.is_steady(0));
    assert!(!sender.chooser.is_steady(LAYERS_MAX));
}

#[test]
fn a_camera_that_rests_or_is_slow_changes_nothing() {
    let mut sender = sender(700);
    sender.send(1_000, &ALL);
    // Nothing for five seconds; then layers one after the other, a picture a second.
    for picture in 0..10u64 {
        for (step, &(layer, _)) in ALL.iter().rev().enumerate() {
            let now = at(6_000 + picture * 1_000 + step as u64 * 5);
            sender.chooser.on_packet(now, layer, true, None);
            assert_eq!(sender.chooser.choose(now, Some(0)), Some(0));
        }
    }
}

#[test]
fn while_nobody_looks_what_is_in_use_stays() {
    let mut sender = sender(0);
    assert_eq!(
        sender.send(500, &ALL),
        [(0, 2)],
        "the least, before anything is in use"
    );
    sender.chooser.ask(at(500), 700);
    sender.send(1_000, &ALL);
    sender.chooser.ask(at(1_000), 0);
    assert_eq!(sender.send(10_000, &ALL), []);
    // Who looks again begins with a key frame in any case: with the right one.
    sender.chooser.ask(at(10_000), 180);
    let changes = sender.send(10_100, &ALL);
    assert!(matches!(changes[..], [(_, 2)]), "{changes:?}");
}

#[test]
fn a_layer_of_unknown_size_is_not_chosen_but_told_of() {
    let mut chooser = LayerChooser::default();
    chooser.ask(at(0), 360);
    assert_eq!(chooser.choose(at(0), None), None);
    chooser.on_packet(at(0), 0, true, None);
    chooser.on_packet(at(0), 2, true, Some(180));
    assert_eq!(chooser.choose(at(0), None), Some(2));
    assert!(
        [0, 1, 2, 3].map(|layer| chooser.is_unmeasured(at(0), layer))
            == [true, false, false, false]
    );
    chooser.on_packet(at(10), 0, false, Some(720));
    assert_eq!(chooser.choose(at(10), Some(2)), Some(0));
    assert!(!chooser.is_unmeasured(at(10), 0));
}

/// All that has happened, looked through anew each time.
#[derive(Default)]
struct Model {
    packets: Vec<(Nanos, usize, bool, Option<u32>)>,
    asked: Vec<(Nanos, u32)>,
}

impl Model {
    fn arrives(&self, now: Nanos, layer: usize) -> bool {
        let of_layer = |packet: &(Nanos, usize, bool, Option<u32>)| packet.1 == layer;
        let Some(last) = self.packets.iter().rposition(of_layer) else {
            return false;
        };
        let since = &self.packets[last + 1..];
        let most = (0..LAYERS_MAX)
            .map(|other| since.iter().filter(|it| it.1 == other && it.2).count())
            .max();
        now.since(self.packets[last].0).as_millis() < 400 || most.unwrap_or(0) < 3
    }

    fn is_steady(&self, layer: usize) -> bool {
        let mut pictures = 0;
        for (index, &(now, of, marker, _)) in self.packets.iter().enumerate() {
            let before = Self {
                packets: self.packets[..index].to_vec(),
                asked: Vec::new(),
            };
            if of == layer {
                pictures *= u32::from(before.arrives(now, layer));
                pictures += u32::from(marker);
            }
        }
        pictures >= 5
    }

    fn rows_of(&self, layer: usize) -> Option<u32> {
        let of_layer = self.packets.iter().filter(|packet| packet.1 == layer);
        of_layer.filter_map(|packet| packet.3).next_back()
    }

    /// Rows that are given, millisecond by millisecond.
    fn rows(&self, now: Nanos) -> u32 {
        let (mut rows, mut asked, mut less) = (0, 0, None);
        let mut asks = self.asked.iter().peekable();
        let mut millis = 0;
        while Nanos::from_millis(millis) <= now {
            let time = Nanos::from_millis(millis);
            if less.is_some_and(|since: u64| millis - since >= 3_000) {
                (rows, less) = (asked, None);
            }
            while let Some(&&(_, ask)) = asks.peek().filter(|(when, _)| *when <= time) {
                asks.next();
                asked = ask;
                if ask >= rows {
                    (rows, less) = (ask, None);
                } else if less.is_none() {
                    less = Some(millis);
                }
            }
            millis += 1;
        }
        rows
    }

    fn choose(&self, now: Nanos, current: Option<usize>) -> Option<usize> {
        let rows = self.rows(now);
        if rows == 0 && current.is_some_and(|layer| self.arrives(now, layer)) {
            return current;
        }
        let mut best: Option<usize> = None;
        for layer in 0..LAYERS_MAX {
            let Some(size) = self.rows_of(layer).filter(|_| self.arrives(now, layer)) else {
                continue;
            };
            let better = best.is_none_or(|best| {
                let other = self.rows_of(best).unwrap_or(0);
                match (size >= rows, other >= rows) {
                    _ if size == other => Some(layer) == current,
                    (true, true) => size < other,
                    _ => size > other,
                }
            });
            if better {
                best = Some(layer);
            }
        }
        best.or(current)
    }
}

proptest! {
    /// Whatever comes in whatever order: what is chosen is what the rule says.
    #[test]
    fn a_slow_model_chooses_the_same(
        steps in prop::collection::vec((0u64..700, 0usize..5, any::<bool>(), 0usize..6), 1..60)
    ) {
        const SIZES: [u32; 6] = [0, 90, 180, 360, 720, 1_080];
        let (mut chooser, mut model) = (LayerChooser::default(), Model::default());
        let (mut now, mut current) = (Nanos::ZERO, None);
        for (wait, what, flag, size) in steps {
            now = now + core::time::Duration::from_millis(wait);
            let rows = SIZES[size];
            if what < LAYERS_MAX {
                let begins = flag.then_some(rows);
                chooser.on_packet(now, what, size % 2 == 0, begins);
                model.packets.push((now, what, size % 2 == 0, begins));
            } else if what == LAYERS_MAX {
                chooser.ask(now, rows);
                model.asked.push((now, rows));
            }
            let chosen = chooser.choose(now, current);
            prop_assert_eq!(chosen, model.choose(now, current), "at {:?}", now);
            prop_assert!(chosen.is_none_or(|layer| layer < LAYERS_MAX));
            for layer in 0..LAYERS_MAX {
                prop_assert_eq!(chooser.arrives(now, layer), model.arrives(now, layer));
                prop_assert_eq!(chooser.is_steady(layer), model.is_steady(layer));
            }
            if flag {
                current = chosen;
            }
        }
    }

    /// Any bytes may be a payload.
    #[test]
    fn sizes_are_read_from_anything_without_harm(
        payload in prop::collection::vec(any::<u8>(), 0..40)
    ) {
        for codec in [VideoCodec::H264, VideoCodec::Vp8, VideoCodec::Av1] {
            let _ = key_frame_rows(codec, &payload);
        }
    }
}

#[test]
fn rows_are_read_from_the_first_payload_of_a_key_frame() {
    // Descriptor with a picture id, then the head of a key frame of 640x360.
    let mut vp8 = vec![0x90, 0x80, 0x11];
    vp8.extend([
        0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x41, 0xff,
    ]);
    assert_eq!(key_frame_rows(VideoCodec::Vp8, &vp8), Some(360));
    for (index, byte) in [(0, 0x80), (3, 0x11), (6, 0x9c)] {
        let mut other = vp8.clone();
        other[index] = byte;
        assert_eq!(
            key_frame_rows(VideoCodec::Vp8, &other),
            None,
            "byte {index}"
        );
    }
    assert_eq!(key_frame_rows(VideoCodec::Vp8, &vp8[..12]), None);

    // Written by x264, for 1280x720.
    let sps = b"\x67\x42\xc0\x1f\xd9\x00\x50\x05\xbb\x01\x10\x00\x00\x03\x00\
        \x10\x00\x00\x03\x03\xc0\xf1\x83\x24\x80";
    assert_eq!(key_frame_rows(VideoCodec::H264, sps), Some(720));
    let mut aggregate = vec![0x78, 0, sps.len() as u8];
    aggregate.extend(sps);
    assert_eq!(key_frame_rows(VideoCodec::H264, &aggregate), Some(720));
    assert_eq!(key_frame_rows(VideoCodec::H264, &aggregate[..20]), None);
    assert_eq!(key_frame_rows(VideoCodec::H264, &[0x65, 1, 2, 3]), None);
}
