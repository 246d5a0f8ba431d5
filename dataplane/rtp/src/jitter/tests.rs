//! Scenarios at the buffer's edges, and its order against an obvious model.

use std::collections::BTreeSet;
use std::rc::Rc;

use proptest::prelude::*;

use super::*;

const MS: u64 = 1_000_000;

fn at(ms: u64) -> Nanos {
    Nanos(10_000 * MS + ms * MS)
}

/// A packet of 20 ms of 8 kHz sound, number `n` of its stream.
fn sound(n: u64) -> Arrival {
    Arrival {
        sequence: n as u16,
        timestamp: (n * 160) as u32,
        ticks: 160,
        ..Arrival::default()
    }
}

fn buffer() -> JitterBuffer<u64> {
    JitterBuffer::new(&JitterConfig::new(8_000))
}

#[track_caller]
fn assert_packet(pop: Pop<'_, u64>, expected: u64) -> u16 {
    match pop {
        Pop::Packet {
            item, lost_before, ..
        } if item == expected => lost_before,
        other => panic!("expected packet {expected}, got {other:?}"),
    }
}

#[track_caller]
fn assert_missing(pop: Pop<'_, u64>, expected_next: Option<u64>) {
    match pop {
        Pop::Missing { ticks: 160, next } if next.copied() == expected_next => {}
        other => panic!("expected a gap before {expected_next:?}, got {other:?}"),
    }
}

/// A buffer that has played packets 0 to `n - 1` of a perfect stream and holds
/// `n` and `n + 1`: packet `m` is here at `at(20 * m)` and played at
/// `at(20 * m + 40)`.
fn playing(n: u64) -> JitterBuffer<u64> {
    let mut buffer = buffer();
    for step in 0..n + 2 {
        buffer.insert(at(20 * step), sound(step), step).unwrap();
        match buffer.pop(at(20 * step)) {
            Pop::Wait => assert!(step < 2),
            pop => assert_eq!(assert_packet(pop, step - 2), 0),
        }
    }
    buffer
}

#[test]
fn the_first_packet_plays_after_the_initial_delay() {
    let mut buffer = buffer();
    assert_eq!(buffer.pop(at(0)), Pop::Wait);
    buffer.insert(at(1), sound(0), 0).unwrap();
    assert_eq!(buffer.pop(at(20)), Pop::Wait);
    assert_eq!(buffer.pop(at(40)), Pop::Wait);
    assert_packet(buffer.pop(at(41)), 0);
}

#[test]
fn a_lost_packet_that_the_next_one_brought_is_played() {
    let mut buffer = playing(10);
    let target = buffer.target();
    // 12 is lost, and 13 has it.
    assert!(!buffer.lacks(12), "the newest that is known of is 11");
    buffer.insert(at(260), sound(13), 13).unwrap();
    assert!(buffer.lacks(12) && !buffer.lacks(11) && !buffer.lacks(13) && !buffer.lacks(14));
    buffer.fill(at(260), sound(12), 12);
    buffer.fill(at(260), sound(11), 99);
    assert!(!buffer.lacks(12));
    for (step, n) in (0..).zip(10..=13) {
        assert_eq!(assert_packet(buffer.pop(at(260 + 20 * step)), n), 0, "{n}");
    }
    assert_eq!(buffer.counters().filled, 1);
    assert_eq!(buffer.counters().concealed, 0);
    assert_eq!(buffer.target(), target, "it says nothing of the path");
}

#[test]
fn what_was_made_up_already_is_not_played_as_well() {
    let mut buffer = playing(10);
    assert_packet(buffer.pop(at(240)), 10);
    assert_packet(buffer.pop(at(260)), 11);
    assert_missing(buffer.pop(at(280)), None);
    buffer.insert(at(285), sound(13), 13).unwrap();
    assert!(!buffer.lacks(12), "its time has passed");
    buffer.fill(at(285), sound(12), 12);
    assert_packet(buffer.pop(at(300)), 13);
    assert_eq!(buffer.counters().filled, 0);
}

#[test]
fn a_stream_does_not_begin_with_what_was_brought_along() {
    let mut buffer = buffer();
    buffer.fill(at(0), sound(4), 4);
    assert_eq!(buffer.level(), 0);
    buffer.insert(at(0), sound(5), 5).unwrap();
    buffer.fill(at(0), sound(4), 4);
    assert_packet(buffer.pop(at(60)), 5);
}

#[test]
fn packets_that_overtook_the_first_do_not_make_it_late() {
    let mut buffer = buffer();
    buffer.insert(at(0), sound(1), 1).unwrap();
    buffer.insert(at(5), sound(0), 0).unwrap();
    assert_packet(buffer.pop(at(60)), 0);
    assert_packet(buffer.pop(at(80)), 1);
}

#[test]
fn a_lost_packet_offers_the_next_one_for_its_copy() {
    let mut buffer = playing(5);
    buffer.insert(at(160), sound(8), 8).unwrap();
    assert_packet(buffer.pop(at(140)), 5);
    assert_packet(buffer.pop(at(160)), 6);
    assert_missing(buffer.pop(at(180)), Some(8));
    assert_eq!(assert_packet(buffer.pop(at(200)), 8), 1);
    assert_eq!(buffer.counters().lost, 1);
    // Of two in a row only the second has its follower.
    buffer.insert(at(220), sound(11), 11).unwrap();
    assert_missing(buffer.pop(at(220)), None);
    assert_missing(buffer.pop(at(240)), Some(11));
    assert_eq!(assert_packet(buffer.pop(at(260)), 11), 2);
}

#[test]
fn an_empty_buffer_holds_for_the_late_packet() {
    let mut buffer = playing(5);
    assert_packet(buffer.pop(at(140)), 5);
    assert_packet(buffer.pop(at(160)), 6);
    assert_missing(buffer.pop(at(180)), None);
    assert_missing(buffer.pop(at(200)), None);
    buffer.insert(at(210), sound(7), 7).unwrap();
    buffer.insert(at(211), sound(8), 8).unwrap();
    assert_eq!(assert_packet(buffer.pop(at(220)), 7), 0);
    assert_eq!(assert_packet(buffer.pop(at(240)), 8), 0);
    assert_eq!(buffer.counters().underruns, 1);
    assert_eq!(buffer.counters().late, 0);
}

#[test]
fn what_was_made_up_in_an_underrun_is_not_made_up_again_for_loss() {
    let mut buffer = playing(5);
    assert_packet(buffer.pop(at(140)), 5);
    assert_packet(buffer.pop(at(160)), 6);
    assert_missing(buffer.pop(at(180)), None);
    // 7 never comes.
    buffer.insert(at(190), sound(8), 8).unwrap();
    assert_eq!(assert_packet(buffer.pop(at(200)), 8), 1);
    let late = buffer.insert(at(201), sound(7), 7).unwrap_err();
    assert_eq!((late.item, late.reason), (7, RejectReason::Late));
    let again = buffer.insert(at(202), sound(7), 7).unwrap_err();
    assert_eq!(again.reason, RejectReason::Duplicate);
}

#[test]
fn a_long_underrun_turns_into_silence() {
    let mut buffer = playing(5);
    assert_packet(buffer.pop(at(140)), 5);
    assert_packet(buffer.pop(at(160)), 6);
    for step in 0..5 {
        assert_missing(buffer.pop(at(180 + 20 * step)), None);
    }
    for step in 5..500 {
        assert_eq!(buffer.pop(at(180 + 20 * step)), Pop::Silence);
    }
}

#[test]
fn a_duplicate_is_refused_stored_or_played() {
    let mut buffer = playing(5);
    for n in [6, 5, 4, 0] {
        let refused = buffer.insert(at(141), sound(n), 100 + n).unwrap_err();
        assert_eq!(
            (refused.item, refused.reason),
            (100 + n, RejectReason::Duplicate)
        );
    }
    assert_eq!(buffer.counters().duplicate, 4);
    assert_packet(buffer.pop(at(140)), 5);
}

#[test]
fn a_pause_is_silence_and_the_next_talk_plays_when_due() {
    let mut buffer = playing(5);
    let noise = Arrival {
        ticks: 0,
        discontinuous: true,
        ..sound(7)
    };
    buffer.insert(at(140), noise, 7).unwrap();
    assert_packet(buffer.pop(at(140)), 5);
    assert_packet(buffer.pop(at(160)), 6);
    // No sound of its own: the caller asks again in the same tick.
    assert_packet(buffer.pop(at(180)), 7);
    for step in 0..20 {
        assert_eq!(buffer.pop(at(180 + 20 * step)), Pop::Silence);
    }
    let talk = Arrival {
        timestamp: 7 * 160 + 8_000,
        marker: true,
        ..sound(8)
    };
    buffer.insert(at(1_140), talk, 8).unwrap();
    assert_eq!(buffer.pop(at(1_150)), Pop::Silence);
    assert_eq!(buffer.pop(at(1_170)), Pop::Silence);
    assert_eq!(assert_packet(buffer.pop(at(1_190)), 8), 0);
    assert_eq!(buffer.counters().lost, 0);
    assert_eq!(buffer.counters().concealed, 0);
}

#[test]
fn loss_beside_a_pause_is_concealed_where_it_was() {
    // 7 is lost and 8 comes a second later on the sender's clock as well.
    let after_pause = |marker| Arrival {
        timestamp: 8 * 160 + 8_000,
        marker,
        ..sound(8)
    };
    // With the marker 8 begins the talk, so 7 was the end of the one before.
    let mut buffer = playing(5);
    assert_packet(buffer.pop(at(140)), 5);
    assert_packet(buffer.pop(at(160)), 6);
    buffer.insert(at(170), after_pause(true), 8).unwrap();
    assert_missing(buffer.pop(at(180)), Some(8));
    assert_eq!(buffer.pop(at(200)), Pop::Silence);
    // Without it 7 was the beginning: the pause comes first.
    let mut buffer = playing(5);
    assert_packet(buffer.pop(at(140)), 5);
    assert_packet(buffer.pop(at(160)), 6);
    buffer.insert(at(170), after_pause(false), 8).unwrap();
    assert_eq!(buffer.pop(at(180)), Pop::Silence);
}

#[test]
fn a_sender_whose_clock_stood_still_costs_nothing() {
    let mut buffer = playing(5);
    for step in 0..500 {
        let now = at(140 + 20 * step);
        // Three seconds of nothing, then packet 7 as if no time had gone by.
        if step >= 150 {
            buffer.insert(now, sound(step - 143), step - 143).unwrap();
        }
        let pop = buffer.pop(now);
        if step >= 152 {
            // Gathered anew, then played without a gap.
            assert_packet(pop, step - 145);
        }
    }
    assert_eq!(buffer.counters().restarts, 0);
    assert_eq!(buffer.counters().discarded, 0);
}

#[test]
fn another_clock_starts_anew() {
    let mut buffer = playing(5);
    buffer.set_clock(8_000);
    assert_packet(buffer.pop(at(140)), 5);
    buffer.set_clock(48_000);
    assert_eq!((buffer.level(), buffer.pop(at(160))), (0, Pop::Wait));
    for n in 0..500_u64 {
        let opus = Arrival {
            timestamp: 960 * n as u32,
            ticks: 960,
            ..sound(n + 6)
        };
        buffer.insert(at(160 + 20 * n), opus, n).unwrap();
        if n >= 2 {
            assert_packet(buffer.pop(at(160 + 20 * n)), n - 2);
        }
    }
}

#[test]
fn telephone_events_are_not_loss() {
    let mut buffer = playing(5);
    for n in 7..15 {
        buffer.skip(n);
    }
    assert_packet(buffer.pop(at(140)), 5);
    assert_packet(buffer.pop(at(160)), 6);
    assert_eq!(buffer.pop(at(180)), Pop::Silence);
    buffer.insert(at(300), sound(15), 15).unwrap();
    assert_eq!(buffer.pop(at(300)), Pop::Silence);
    assert_eq!(assert_packet(buffer.pop(at(340)), 15), 0);
    assert_eq!(buffer.counters().lost, 0);
    // An event's repeat, or one from before the stream began, does nothing.
    buffer.skip(8);
    let mut fresh = JitterBuffer::<u64>::new(&JitterConfig::new(8_000));
    fresh.skip(1);
    assert_eq!(fresh.level(), 0);
}

#[test]
fn a_full_buffer_lets_the_oldest_go() {
    let mut buffer = playing(5);
    for n in 7..69 {
        buffer.insert(at(141), sound(n), n).unwrap();
    }
    assert_eq!((buffer.level(), buffer.counters().discarded), (64, 0));
    buffer.insert(at(142), sound(69), 69).unwrap();
    assert_eq!((buffer.level(), buffer.counters().discarded), (64, 1));
    buffer.insert(at(142), sound(500), 500).unwrap();
    assert_eq!((buffer.level(), buffer.counters().discarded), (1, 65));
}

#[test]
fn capacity_is_kept_to_its_range() {
    for (asked, expected) in [(0, 2), (5, 8), (64, 64), (1 << 40, 1_024)] {
        let config = JitterConfig {
            capacity: asked,
            ..JitterConfig::new(48_000)
        };
        let mut buffer = JitterBuffer::new(&config);
        for n in 0..3_000_u64 {
            let _ = buffer.insert(at(n), sound(n), n);
        }
        assert_eq!(buffer.level(), expected);
    }
}

#[test]
fn a_burst_after_an_outage_is_cut_to_the_most_delay() {
    let mut buffer = playing(5);
    let mut now = 140;
    while now < 900 {
        buffer.pop(at(now));
        now += 20;
    }
    for n in 7..45 {
        buffer.insert(at(899), sound(n), n).unwrap();
    }
    let Pop::Packet {
        item, lost_before, ..
    } = buffer.pop(at(900))
    else {
        panic!("nothing played");
    };
    // Packet n was sent at 20 n: 200 ms before now is packet 35.
    assert!((35..=44).contains(&item), "{item}");
    assert_eq!(u64::from(lost_before), item - 7);
}

#[test]
fn a_path_slower_than_the_maximum_still_plays_everything() {
    let mut buffer = playing(5);
    let mut played = 0;
    for step in 0..1_000 {
        let now = at(140 + 20 * step);
        // From packet 7 on, everything takes 400 ms longer.
        if step >= 20 {
            buffer.insert(now, sound(step - 13), step - 13).unwrap();
        }
        if let Pop::Packet { adjust, .. } = buffer.pop(now) {
            played += 1;
            assert_ne!(adjust, Adjust::Accelerate, "nothing is waiting");
        }
    }
    assert!(played >= 975, "{played}");
    assert!(buffer.counters().discarded <= 3);
}

#[test]
fn a_stream_restarts_after_a_jump_of_sequence_or_timestamp() {
    let mut buffer = playing(5);
    let far = |n: u64| sound(n + 20_000);
    let refused = buffer.insert(at(141), far(0), 100).unwrap_err();
    assert_eq!(refused.reason, RejectReason::OutOfRange);
    // One of the old stream in between: the jump was a stray.
    buffer.insert(at(142), sound(7), 7).unwrap();
    assert!(buffer.insert(at(161), far(1), 101).is_err());
    buffer.insert(at(181), far(2), 102).unwrap();
    assert_eq!(buffer.counters().restarts, 1);
    assert_eq!(buffer.pop(at(190)), Pop::Wait);
    assert_packet(buffer.pop(at(225)), 102);

    for offset in [1_000_000_u32, 0_u32.wrapping_sub(1_000_000)] {
        let mut buffer = playing(5);
        let moved = |n: u64| Arrival {
            timestamp: sound(n).timestamp.wrapping_add(offset),
            ..sound(n)
        };
        buffer.insert(at(141), moved(7), 7).unwrap();
        buffer.insert(at(161), moved(8), 8).unwrap();
        assert_eq!(buffer.counters().restarts, 1);
        assert_packet(buffer.pop(at(190)), 7);
        assert_packet(buffer.pop(at(210)), 8);
    }
}

#[test]
fn a_silence_of_an_hour_is_no_restart() {
    let mut buffer = playing(5);
    let hour = 3_600_000;
    let late = Arrival {
        timestamp: 7 * 160 + 8 * hour as u32,
        ..sound(7)
    };
    buffer.insert(at(140 + hour), late, 7).unwrap();
    assert_eq!(buffer.counters().restarts, 0);
    // What was still stored is an hour old.
    assert_eq!(assert_packet(buffer.pop(at(140 + hour)), 7), 2);
}

#[test]
fn first_packets_that_came_too_late_together_end_the_wait() {
    let mut buffer = buffer();
    // A second and a half of sound at once: of it the newest is worth playing, and
    // that is not due yet.
    for n in [64, 68, 71, 75] {
        buffer.insert(at(0), sound(n), n).unwrap();
    }
    buffer.skip(63);
    assert_eq!(buffer.pop(at(0)), Pop::Silence);
    assert_eq!(buffer.counters().discarded, 3);
    assert_packet(buffer.pop(at(60)), 75);
}

#[test]
fn an_impossible_length_is_cut() {
    let mut buffer = buffer();
    let huge = Arrival {
        ticks: u32::MAX,
        ..sound(0)
    };
    buffer.insert(at(0), huge, 0).unwrap();
    let pop = buffer.pop(at(100));
    assert!(matches!(pop, Pop::Packet { ticks: 960, .. }), "{pop:?}");
}

/// What happens to a buffer.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A packet at this distance from the newest.
    Insert(i64),
    Skip(i64),
    Pop,
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (-4_i64..5).prop_map(Step::Insert),
        1 => (-90_i64..90).prop_map(Step::Insert),
        1 => (1_i64..4).prop_map(Step::Skip),
        6 => Just(Step::Pop),
        6 => (1_u64..40).prop_map(Step::Wait),
    ];
    proptest::collection::vec(step, 1..300)
}

proptest! {
    /// The model is a set of what is stored: it knows nothing of time. Whatever
    /// the buffer decides to pass over, what it hands out is the least that is left,
    /// every packet has exactly one fate, and the counters say which.
    #[test]
    fn order_and_fates_agree_with_a_set(start: u16, steps in steps()) {
        let mut buffer = JitterBuffer::<(i64, Rc<()>)>::new(&JitterConfig::new(8_000));
        let alive = Rc::new(());
        let mut stored = BTreeSet::new();
        let mut came = BTreeSet::new();
        let (mut newest, mut now, mut played) = (i64::from(start), 0, None);
        // The buffer counts from the first packet's 16 bits.
        let mut first = None;
        for step in steps {
            match step {
                Step::Wait(ms) => now += ms,
                Step::Insert(distance) => {
                    let n = newest + distance;
                    let offset = *first.get_or_insert(n - i64::from(n as u16));
                    let arrival = Arrival {
                        sequence: n as u16,
                        timestamp: (n as u32).wrapping_mul(160),
                        ticks: 160,
                        ..Arrival::default()
                    };
                    match buffer.insert(at(now), arrival, (n, Rc::clone(&alive))) {
                        Ok(()) => {
                            prop_assert!(came.insert(n), "stored twice");
                            prop_assert!(played < Some(n));
                            stored.insert(n);
                            newest = if came.len() == 1 { n } else { newest.max(n) };
                            stored.retain(|&stored| stored > newest - 64);
                        }
                        Err(Rejected { item, reason: RejectReason::Duplicate }) => {
                            prop_assert!(came.contains(&item.0));
                        }
                        Err(Rejected { item, reason: RejectReason::Late }) => {
                            prop_assert!(!stored.contains(&item.0));
                            prop_assert!(item.0 - offset < buffer.next_sequence);
                            came.insert(item.0);
                        }
                        Err(other) => prop_assert!(false, "{:?}", other.reason),
                    }
                }
                Step::Skip(distance) => {
                    let n = newest + distance;
                    if !came.is_empty() {
                        buffer.skip(n as u16);
                        newest = n;
                        came.insert(n);
                        stored.retain(|&stored| stored > newest - 64);
                    }
                }
                Step::Pop => {
                    let before = buffer.counters().discarded;
                    let pop = match buffer.pop(at(now)) {
                        Pop::Packet { item: (n, _), .. } => Some((n, true)),
                        Pop::Missing { next: Some(&(n, _)), .. } => Some((n, false)),
                        Pop::Missing { next: None, .. } => {
                            prop_assert!(played.is_some());
                            None
                        }
                        // Silence before the first sound: what was due was overdue.
                        Pop::Silence => {
                            prop_assert!(played.is_some() || buffer.counters().discarded > 0);
                            None
                        }
                        Pop::Wait => {
                            prop_assert_eq!(played, None);
                            None
                        }
                    };
                    for _ in before..buffer.counters().discarded {
                        stored.pop_first();
                    }
                    if let Some((n, popped)) = pop {
                        prop_assert_eq!(stored.first(), Some(&n));
                        if popped {
                            stored.pop_first();
                            played = Some(n);
                        }
                    }
                }
            }
            // Nothing leaks and nothing is dropped early: leases are counted.
            prop_assert_eq!(Rc::strong_count(&alive) - 1, stored.len());
        }
    }
}
