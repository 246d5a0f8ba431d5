//! Receiving by scenario, sending by the RFC's example, and both against each other.

use proptest::prelude::*;

use super::*;

fn at(ms: u64) -> Nanos {
    Nanos::from_millis(1_000 + ms)
}

fn payload(event: u8, end: bool, duration: u16) -> [u8; 4] {
    EventPayload {
        event,
        end,
        volume: 10,
        duration,
    }
    .bytes()
}

fn digit(event: u8, duration_ticks: u32) -> Digit {
    Digit {
        event,
        duration_ticks,
    }
}

/// The first packets of <https://www.rfc-editor.org/rfc/rfc4733#section-5> by
/// their fields: digit 9, volume 7, durations of 50 ms steps.
#[test]
fn payload_bytes_are_those_of_rfc4733() {
    let first = EventPayload {
        event: 9,
        end: false,
        volume: 7,
        duration: 400,
    };
    assert_eq!(first.bytes(), [9, 7, 1, 0x90]);
    let last = EventPayload {
        end: true,
        duration: 1_600,
        ..first
    };
    assert_eq!(last.bytes(), [9, 0x87, 6, 0x40]);
    assert_eq!(EventPayload::parse(&last.bytes()), Some(last));
    assert_eq!(EventPayload::parse(&[9, 0x87, 6]), None);
    // The reserved bit is ignored; bytes of a further event are, too.
    assert_eq!(EventPayload::parse(&[9, 0xc7, 6, 0x40, 1]), Some(last));
    assert_eq!(digit(11, 0).symbol(), '#');
    assert_eq!(digit(12, 0).symbol(), 'A');
}

#[test]
fn a_digit_is_reported_once_at_its_end() {
    let mut receiver = DtmfReceiver::new(8_000);
    for n in 1..=5 {
        let mut digits = receiver.on_packet(
            at(20 * n),
            1_000,
            n == 1,
            &payload(5, false, 160 * n as u16),
        );
        assert_eq!(digits.next(), None);
        assert!(receiver.is_running());
    }
    let end = payload(5, true, 960);
    let mut digits = receiver.on_packet(at(120), 1_000, false, &end);
    assert_eq!((digits.next(), digits.next()), (Some(digit(5, 960)), None));
    for n in 7..20 {
        assert_eq!(
            receiver.on_packet(at(20 * n), 1_000, false, &end).next(),
            None
        );
    }
    // Straying packets of its middle do not start it again.
    let middle = payload(5, false, 320);
    assert_eq!(
        receiver.on_packet(at(400), 1_000, false, &middle).next(),
        None
    );
    assert!(!receiver.is_running());
    assert_eq!(receiver.on_timeout(at(10_000)), None);
}

#[test]
fn an_event_of_which_only_the_end_came_counts() {
    let mut receiver = DtmfReceiver::new(8_000);
    let mut digits = receiver.on_packet(at(0), 1_000, false, &payload(3, true, 800));
    assert_eq!(digits.next(), Some(digit(3, 800)));
}

#[test]
fn a_lost_end_is_made_up_by_time() {
    let mut receiver = DtmfReceiver::new(8_000);
    assert_eq!(receiver.deadline(), None);
    receiver.on_packet(at(0), 1_000, true, &payload(1, false, 160));
    receiver.on_packet(at(20), 1_000, false, &payload(1, false, 320));
    assert_eq!(receiver.deadline(), Some(at(220)));
    assert_eq!(receiver.on_timeout(at(219)), None);
    assert_eq!(receiver.on_timeout(at(220)), Some(digit(1, 320)));
    assert_eq!(receiver.on_timeout(at(500)), None);
    // Its end comes after all: it was reported.
    assert_eq!(
        receiver
            .on_packet(at(300), 1_000, false, &payload(1, true, 480))
            .next(),
        None
    );
}

#[test]
fn a_lost_end_is_made_up_by_the_next_event() {
    let mut receiver = DtmfReceiver::new(8_000);
    receiver.on_packet(at(0), 1_000, true, &payload(1, false, 160));
    // The same digit again, under its own timestamp; only its end came.
    let digits = receiver.on_packet(at(150), 2_200, false, &payload(1, true, 400));
    assert_eq!(digits.collect::<Vec<_>>(), [digit(1, 160), digit(1, 400)]);
    assert!(!receiver.is_running());
}

#[test]
fn a_long_event_in_segments_is_one_digit() {
    let mut receiver = DtmfReceiver::new(8_000);
    receiver.on_packet(at(0), 1_000, true, &payload(2, false, 160));
    receiver.on_packet(at(8_191), 1_000, false, &payload(2, false, 0xffff));
    let second = 1_000 + 0xffff;
    assert_eq!(
        receiver
            .on_packet(at(8_211), second, false, &payload(2, false, 160))
            .next(),
        None
    );
    // A packet of the first segment strays in.
    assert_eq!(
        receiver
            .on_packet(at(8_212), 1_000, false, &payload(2, false, 0xffff))
            .next(),
        None
    );
    let mut digits = receiver.on_packet(at(8_300), second, false, &payload(2, true, 800));
    assert_eq!(digits.next(), Some(digit(2, 0xffff + 800)));
    // With a marker it would have been another press.
    receiver.on_packet(at(20_000), 200_000, true, &payload(2, false, 0xffff));
    let digits = receiver.on_packet(at(20_020), 200_000 + 0xffff, true, &payload(2, false, 160));
    assert_eq!(digits.collect::<Vec<_>>(), [digit(2, 0xffff)]);
}

#[test]
fn segments_without_end_are_bounded() {
    let mut receiver = DtmfReceiver::new(8_000);
    let mut longest = 0;
    for n in 0..1_000_u32 {
        let timestamp = n.wrapping_mul(0xffff);
        let digits = receiver.on_packet(
            at(u64::from(n)),
            timestamp,
            false,
            &payload(2, false, 0xffff),
        );
        longest = digits.fold(longest, |longest, digit| longest.max(digit.duration_ticks));
    }
    assert!((480_000..700_000).contains(&longest), "{longest}");
}

#[test]
fn what_is_no_digit_is_ignored() {
    let mut receiver = DtmfReceiver::new(8_000);
    for event in 16..=255 {
        assert_eq!(
            receiver
                .on_packet(at(0), 1_000, true, &payload(event, true, 800))
                .next(),
            None
        );
    }
    assert_eq!(receiver.on_packet(at(0), 1_000, true, &[]).next(), None);
    assert!(!receiver.is_running());
}

#[test]
fn a_sender_whose_clock_jumped_back_is_heard_again() {
    let mut receiver = DtmfReceiver::new(8_000);
    assert_eq!(
        receiver
            .on_packet(at(0), 900_000, true, &payload(1, true, 800))
            .count(),
        1
    );
    assert_eq!(
        receiver
            .on_packet(at(100), 899_000, true, &payload(1, true, 800))
            .count(),
        0
    );
    assert_eq!(
        receiver
            .on_packet(at(200), 1_000, true, &payload(1, true, 800))
            .count(),
        1
    );
}

/// Packets of one run of the sender, `None` where sound is sent.
fn sent(sender: &mut DtmfSender, packet_ticks: u32) -> Vec<Option<EventPacket>> {
    let mut timestamp = 5_000_u32;
    let mut packets = Vec::new();
    while sender.is_active() {
        packets.push(sender.next_packet(timestamp, packet_ticks));
        timestamp = timestamp.wrapping_add(packet_ticks);
        assert!(packets.len() < 100_000);
    }
    packets
}

#[test]
fn a_digit_is_sent_with_marker_growing_duration_and_three_ends() {
    let mut sender = DtmfSender::new(8_000);
    assert_eq!(sender.next_packet(0, 160), None);
    sender.push(7, 100, 10).unwrap();
    let packets = sent(&mut sender, 160);
    let told: Vec<_> = packets
        .iter()
        .flatten()
        .map(|packet| {
            assert_eq!(packet.timestamp, 5_000);
            let payload = EventPayload::parse(&packet.payload).unwrap();
            assert_eq!((payload.event, payload.volume), (7, 10));
            (packet.marker, payload.end, payload.duration)
        })
        .collect();
    assert_eq!(
        told,
        [
            (true, false, 160),
            (false, false, 320),
            (false, false, 480),
            (false, false, 640),
            (false, true, 800),
            (false, true, 800),
            (false, true, 800),
        ]
    );
    // Then a pause of 60 ms in sound.
    assert_eq!(packets[7..], [None; 3]);
}

#[test]
fn the_queue_is_bounded_and_checked() {
    let mut sender = DtmfSender::new(8_000);
    assert_eq!(sender.push(16, 100, 10), Err(DtmfError::NotADigit));
    assert_eq!(sender.push(1, 39, 10), Err(DtmfError::Duration));
    assert_eq!(sender.push(1, 60_001, 10), Err(DtmfError::Duration));
    for _ in 0..QUEUE_MAX {
        sender.push(1, 100, 255).unwrap();
    }
    assert_eq!(sender.push(1, 100, 10), Err(DtmfError::QueueFull));
    sender.next_packet(0, 160);
    assert_eq!(sender.push(2, 100, 10), Ok(()));
    assert_eq!(sender.push(1, 100, 10), Err(DtmfError::QueueFull));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever is sent is received, in order and of its length, even when packets are
    /// lost, swapped or doubled, as long as one of each digit's ends comes through.
    #[test]
    fn digits_survive_a_bad_network(
        digits in proptest::collection::vec((0_u8..16, 40_u32..20_000), 1..8),
        clock_hz in prop_oneof![Just(8_000_u32), Just(48_000)],
        packet_ms in prop_oneof![Just(10_u32), Just(20), Just(40)],
        faults in proptest::collection::vec(0_u8..8, 64),
    ) {
        let mut sender = DtmfSender::new(clock_hz);
        for &(event, ms) in &digits {
            sender.push(event, ms, 10).unwrap();
        }
        let packet_ticks = clock_hz / 1_000 * packet_ms;
        let mut network: Vec<(u64, EventPacket)> = Vec::new();
        let mut faults = faults.iter().cycle();
        let mut ends_lost = 0;
        for (n, packet) in sent(&mut sender, packet_ticks).into_iter().enumerate() {
            let Some(packet) = packet else { continue };
            let end = packet.payload[1] & 0x80 != 0;
            // A segment that is gone as a whole would shorten the digit.
            let whole = packet.payload[2..] == [0xff, 0xff];
            ends_lost = if end { ends_lost } else { 0 };
            let at = n as u64 * u64::from(packet_ms);
            match faults.next() {
                Some(0 | 1) if !whole && (!end || ends_lost < 2) => ends_lost += u8::from(end),
                Some(2) => network.extend([(at, packet), (at, packet)]),
                Some(3) if !whole => network.push((at + u64::from(packet_ms) + 1, packet)),
                _ => network.push((at, packet)),
            }
        }
        network.sort_by_key(|&(at, _)| at);
        let mut receiver = DtmfReceiver::new(clock_hz);
        let mut received = Vec::new();
        for (ms, packet) in network {
            received.extend(receiver.on_packet(at(ms), packet.timestamp, packet.marker, &packet.payload));
        }
        let expected: Vec<_> = digits
            .iter()
            .map(|&(event, ms)| digit(event, ticks(clock_hz, ms)))
            .collect();
        prop_assert_eq!(received, expected);
    }
}
