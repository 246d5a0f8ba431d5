//! Scenarios at the buffer's edges, and the ordering against an obvious model.

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

/// A buffer that has played packets up to `n - 1` of a perfect stream; packet `n`
/// is due at `at(20 * n + 40)`.
fn playing(n: u64) -> JitterBuffer<u64> {
    let mut buffer = buffer();
    for step in 0..n + 2 {
        if step < n {
            buffer.insert(at(20 * step), sound(step), step).unwrap();
        }
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
