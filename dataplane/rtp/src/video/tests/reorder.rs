use core::time::Duration;
use std::collections::BTreeMap;

use plenum_abi::Nanos;
use proptest::prelude::*;

use crate::test_random::Random;
use crate::video::{Arrival, KeyFrameRequests, Pop, RejectReason, ReorderBuffer, ReorderConfig};

const fn arrival(sequence: u16) -> Arrival {
    Arrival {
        sequence,
        timestamp: 0,
        marker: false,
        key_frame_start: false,
    }
}

const fn key_frame(sequence: u16) -> Arrival {
    Arrival {
        key_frame_start: true,
        ..arrival(sequence)
    }
}

const fn at(millis: u64) -> Nanos {
    Nanos::from_millis(1_000 + millis)
}

/// Everything that comes out now: sequence numbers, and losses as `None`.
fn drain(buffer: &mut ReorderBuffer<u16>, now: Nanos) -> Vec<Option<u16>> {
    let mut out = Vec::new();
    loop {
        match buffer.pop(now) {
            Pop::Packet(arrival, item) => {
                assert_eq!(arrival.sequence, item);
                out.push(Some(item));
            }
            Pop::Lost(count) => {
                assert!(count > 0);
                out.push(None);
            }
            Pop::Wait => return out,
        }
    }
}

fn asked(buffer: &mut ReorderBuffer<u16>, now: Nanos) -> Vec<u16> {
    let mut out = [0; 64];
    let count = buffer.requests(now, &mut out);
    out[..count].to_vec()
}

#[test]
fn packets_that_overtake_come_out_in_order_over_the_roll_over() {
    let mut buffer = ReorderBuffer::new(ReorderConfig::PLAIN);
    for sequence in [65_534, 0, 65_535, 2, 1] {
        buffer.insert(at(0), arrival(sequence), sequence).unwrap();
    }
    let out: Vec<_> = drain(&mut buffer, at(0)).into_iter().flatten().collect();
    assert_eq!(out, [65_534, 65_535, 0, 1, 2]);
    assert_eq!(buffer.deadline(), None);
    let refused = buffer.insert(at(0), arrival(1), 1);
    assert_eq!(refused, Err((RejectReason::Late, 1)));
    buffer.insert(at(0), arrival(4), 4).unwrap();
    let refused = buffer.insert(at(0), arrival(4), 4);
    assert_eq!(refused, Err((RejectReason::Duplicate, 4)));
}

#[test]
fn without_requests_a_hole_is_given_up_after_the_reorder_wait() {
    let mut buffer = ReorderBuffer::new(ReorderConfig::PLAIN);
    buffer.insert(at(0), arrival(1), 1).unwrap();
    buffer.insert(at(0), arrival(4), 4).unwrap();
    assert_eq!(drain(&mut buffer, at(39)), [Some(1)]);
    assert_eq!(buffer.deadline(), Some(at(40)));
    assert!(asked(&mut buffer, at(39)).is_empty());
    assert_eq!(buffer.pop(at(40)), Pop::Lost(2));
    assert_eq!(drain(&mut buffer, at(40)), [Some(4)]);
    assert_eq!(buffer.counters().lost, 2);
}

#[test]
fn a_missing_packet_is_asked_for_again_and_again_and_then_given_up() {
    let mut buffer = ReorderBuffer::new(ReorderConfig::NACK);
    buffer.set_round_trip(Duration::from_millis(80));
    buffer.insert(at(0), arrival(1), 1).unwrap();
    buffer.insert(at(0), arrival(3), 3).unwrap();
    assert_eq!(drain(&mut buffer, at(0)), [Some(1)]);
    assert!(asked(&mut buffer, at(9)).is_empty());
    assert_eq!(buffer.deadline(), Some(at(10)));
    assert_eq!(asked(&mut buffer, at(10)), [2]);
    assert_eq!(buffer.deadline(), Some(at(110)));
    assert!(asked(&mut buffer, at(109)).is_empty());
    assert_eq!(asked(&mut buffer, at(110)), [2]);
    assert_eq!(asked(&mut buffer, at(210)), [2]);
    assert_eq!(buffer.pop(at(299)), Pop::Wait);
    assert_eq!(buffer.deadline(), Some(at(300)));
    assert_eq!(buffer.pop(at(300)), Pop::Lost(1));
    assert_eq!(drain(&mut buffer, at(300)), [Some(3)]);
    let counters = buffer.counters();
    assert_eq!((counters.requested, counters.recovered), (3, 0));
}

#[test]
fn what_was_asked_for_and_comes_closes_the_hole() {
    let mut buffer = ReorderBuffer::new(ReorderConfig::NACK);
    buffer.insert(at(0), arrival(1), 1).unwrap();
    buffer.insert(at(0), arrival(3), 3).unwrap();
    assert_eq!(asked(&mut buffer, at(10)), [2]);
    buffer.insert(at(60), arrival(2), 2).unwrap();
    assert_eq!(drain(&mut buffer, at(60)), [Some(1), Some(2), Some(3)]);
    assert_eq!(buffer.counters().recovered, 1);
}

#[test]
fn nobody_waits_for_what_is_before_a_key_frame() {
    let mut buffer = ReorderBuffer::new(ReorderConfig::NACK);
    buffer.insert(at(0), arrival(1), 1).unwrap();
    buffer.insert(at(0), arrival(3), 3).unwrap();
    buffer.insert(at(0), key_frame(5), 5).unwrap();
    assert_eq!(drain(&mut buffer, at(5)), [Some(1)]);
    assert_eq!(buffer.deadline(), Some(at(10)));
    assert_eq!(buffer.pop(at(10)), Pop::Lost(3));
    assert_eq!(drain(&mut buffer, at(10)), [Some(5)]);
    let counters = buffer.counters();
    assert_eq!((counters.lost, counters.discarded), (2, 1));
}

#[test]
fn a_far_packet_needs_a_second_to_restart_the_stream() {
    let mut buffer = ReorderBuffer::new(ReorderConfig::NACK);
    buffer.insert(at(0), arrival(100), 100).unwrap();
    let refused = buffer.insert(at(0), arrival(30_000), 30_000);
    assert_eq!(refused, Err((RejectReason::Jump, 30_000)));
    buffer.insert(at(0), arrival(101), 101).unwrap();
    assert_eq!(drain(&mut buffer, at(0)), [Some(100), Some(101)]);
    _ = buffer.insert(at(1), arrival(30_000), 30_000);
    buffer.insert(at(1), arrival(30_001), 30_001).unwrap();
    assert_eq!(drain(&mut buffer, at(1)), [None, Some(30_001)]);
}

#[test]
fn the_bound_holds_and_the_oldest_gives_way() {
    let config = ReorderConfig {
        capacity: 16,
        ..ReorderConfig::NACK
    };
    let mut buffer = ReorderBuffer::new(config);
    buffer.insert(at(0), arrival(0), 0).unwrap();
    for sequence in 2..40 {
        buffer.insert(at(0), arrival(sequence), sequence).unwrap();
        assert!(buffer.held() <= 16);
    }
    assert_eq!(buffer.pop(at(0)), Pop::Lost(24));
    let out: Vec<_> = drain(&mut buffer, at(0)).into_iter().flatten().collect();
    assert_eq!(out, (24..40).collect::<Vec<_>>());
    // Farther than all of it.
    buffer.insert(at(0), arrival(1_000), 1_000).unwrap();
    assert_eq!(buffer.held(), 1);
    assert_eq!(buffer.pop(at(0)), Pop::Lost(1_000 - 40 - 15));
    assert_eq!(asked(&mut buffer, at(10)).len(), 15);
}

/// The same rules over maps, without a thought for speed.
struct Model {
    config: ReorderConfig,
    cursor: Option<i64>,
    end: i64,
    held: BTreeMap<i64, bool>,
    missing: BTreeMap<i64, (Nanos, u8, Nanos)>,
    passed: u32,
}

impl Model {
    fn insert(&mut self, now: Nanos, index: i64, key_frame: bool) -> Option<RejectReason> {
        let cursor = *self.cursor.get_or_insert(index);
        self.end = self.end.max(cursor);
        if index < cursor {
            return Some(RejectReason::Late);
        }
        if self.held.contains_key(&index) {
            return Some(RejectReason::Duplicate);
        }
        let least = index + 1 - self.config.capacity as i64;
        if least > cursor {
            self.pass(least);
        }
        for gone in self.end.max(least)..index {
            self.missing.insert(gone, (now, 0, Nanos::ZERO));
        }
        self.end = self.end.max(index + 1);
        self.missing.remove(&index);
        self.held.insert(index, key_frame);
        None
    }

    fn pass(&mut self, to: i64) {
        let cursor = self.cursor.unwrap();
        self.held = self.held.split_off(&to);
        self.missing = self.missing.split_off(&to);
        self.passed += (to - cursor) as u32;
        self.cursor = Some(to);
        self.end = self.end.max(to);
    }

    fn wait(&self) -> Duration {
        if self.config.nack {
            self.config.recovery_wait
        } else {
            self.config.reorder_wait
        }
    }

    fn pop(&mut self, now: Nanos) -> Option<Option<i64>> {
        let cursor = self.cursor?;
        let overdue = |model: &Self, index: i64, wait| {
            let missing = model.missing.get(&index);
            missing.is_some_and(|(since, ..)| now.since(*since) >= wait)
        };
        if self.passed == 0 {
            let key_frame = self
                .held
                .iter()
                .rev()
                .find(|(_, key)| **key)
                .map(|(at, _)| *at);
            match key_frame {
                Some(at) if overdue(self, cursor, self.config.reorder_wait) => self.pass(at),
                _ if overdue(self, cursor, self.wait()) => self.pass(cursor + 1),
                _ => {}
            }
            while self.passed > 0 && overdue(self, self.cursor?, self.wait()) {
                self.pass(self.cursor? + 1);
            }
        }
        if self.passed > 0 {
            self.passed = 0;
            return Some(None);
        }
        self.held.remove(&cursor)?;
        self.cursor = Some(cursor + 1);
        Some(Some(cursor))
    }

    fn requests(&mut self, now: Nanos, round_trip: Duration) -> Vec<u16> {
        let mut out = Vec::new();
        for (index, (since, asked, asked_at)) in &mut self.missing {
            let due = match *asked {
                0 => *since + self.config.reorder_wait,
                _ => *asked_at + Duration::from_millis(20).max(round_trip * 5 / 4),
            };
            if self.config.nack && *asked < self.config.requests_max && due <= now {
                out.push(*index as u16);
                (*asked, *asked_at) = (*asked + 1, now);
            }
        }
        out
    }
}

proptest! {
    #[test]
    fn the_buffer_does_as_the_model(
        seed: u64,
        nack: bool,
        start: u16,
        loss in 0_u64..300_000,
        round_trip in 0_u64..200,
    ) {
        let mut random = Random(seed);
        let base = if nack { ReorderConfig::NACK } else { ReorderConfig::PLAIN };
        let config = ReorderConfig { capacity: 64, ..base };
        let mut model = Model {
            config,
            cursor: None,
            end: 0,
            held: BTreeMap::new(),
            missing: BTreeMap::new(),
            passed: 0,
        };
        let mut buffer = ReorderBuffer::new(config);
        buffer.set_round_trip(Duration::from_millis(round_trip));
        let mut newest = i64::from(start);
        let mut now = at(0);
        for _ in 0..400 {
            now = now + Duration::from_micros(random.below(8_000));
            newest += 1 + i64::from(random.chance(5_000)) * random.below(200) as i64;
            let late = if random.chance(300_000) { random.below(30) as i64 } else { 0 };
            let index = (newest - late).max(i64::from(start));
            if !random.chance(loss) {
                let arrival = Arrival {
                    key_frame_start: random.chance(10_000),
                    ..arrival(index as u16)
                };
                let refused = buffer.insert(now, arrival, index as u16).err();
                let expected = model.insert(now, index, arrival.key_frame_start);
                prop_assert_eq!(refused.map(|(reason, _)| reason), expected);
            }
            let asked = asked(&mut buffer, now);
            prop_assert_eq!(asked, model.requests(now, Duration::from_millis(round_trip)));
            if random.chance(600_000) {
                loop {
                    let popped = match buffer.pop(now) {
                        Pop::Packet(_, item) => Some(Some(item)),
                        Pop::Lost(_) => Some(None),
                        Pop::Wait => None,
                    };
                    let expected = model.pop(now);
                    prop_assert_eq!(popped, expected.map(|next| next.map(|index| index as u16)));
                    if popped.is_none() {
                        break;
                    }
                }
                // Nothing was left undone that could have been done.
                if !nack && let Some(deadline) = buffer.deadline() {
                    prop_assert!(deadline > now);
                }
            }
            prop_assert!(buffer.held() <= 64);
            prop_assert_eq!(buffer.held(), model.held.len());
        }
    }
}

/// A sender that answers requests, over a path that loses one in ten both ways.
#[test]
fn a_lossy_path_is_made_whole_by_requests() {
    let mut random = Random(20_261_125);
    let mut buffer = ReorderBuffer::new(ReorderConfig::NACK);
    buffer.set_round_trip(Duration::from_millis(60));
    let mut in_flight: Vec<(u64, u16)> = Vec::new();
    let (mut delivered, mut lost) = (Vec::new(), 0);
    for ms in 0..10_000_u64 {
        let now = at(ms);
        if ms % 4 == 0 && ms < 9_000 {
            let sequence = (65_000 + ms / 4) as u16;
            if !random.chance(100_000) {
                in_flight.push((ms + 30 + random.below(6), sequence));
            }
        }
        in_flight.retain(|&(due, sequence)| {
            if due == ms {
                _ = buffer.insert(now, arrival(sequence), sequence);
            }
            due > ms
        });
        for sequence in asked(&mut buffer, now) {
            // Lost on its way there, or the answer on its way back.
            if !random.chance(190_000) {
                in_flight.push((ms + 60, sequence));
            }
        }
        for next in drain(&mut buffer, now) {
            match next {
                Some(sequence) => delivered.push(sequence),
                None => lost += 1,
            }
        }
    }
    assert!(
        delivered
            .windows(2)
            .all(|pair| pair[1].wrapping_sub(pair[0]) < 100)
    );
    assert!(delivered.len() > 2_240, "{} of 2,250", delivered.len());
    assert!(lost <= 5, "{lost} gaps");
    assert!(buffer.counters().recovered > 150);
}

#[test]
fn key_frames_are_asked_for_at_once_and_then_patiently() {
    let mut requests = KeyFrameRequests::default();
    assert!(!requests.poll(at(0)));
    assert_eq!(requests.deadline(), None);
    requests.need();
    assert!(requests.poll(at(0)));
    requests.need();
    for (before, due) in [
        (299, 300),
        (899, 900),
        (2_099, 2_100),
        (4_499, 4_500),
        (6_899, 6_900),
    ] {
        assert!(!requests.poll(at(before)), "{before}");
        assert_eq!(requests.deadline(), Some(at(due)));
        assert!(requests.poll(at(due)), "{due}");
    }
    requests.received();
    assert!(!requests.is_needed() && !requests.poll(at(20_000)));
    // A second need right after is still held apart from the last request.
    requests.set_round_trip(Duration::from_millis(400));
    requests.need();
    assert!(requests.poll(at(20_000)));
    requests.received();
    requests.need();
    assert!(!requests.poll(at(20_599)));
    assert!(requests.poll(at(20_600)));
}
