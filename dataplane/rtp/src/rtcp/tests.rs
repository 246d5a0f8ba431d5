//! Packets by hand, round trips through the writer, and the interval rule by statistics.

use core::time::Duration;

use plenum_abi::Nanos;
use proptest::prelude::*;

use super::*;
use crate::test_random::Random;

fn at(ms: u64) -> Nanos {
    Nanos::from_millis(50_000 + ms)
}

/// A receiver report without blocks: what every compound packet here begins with.
const EMPTY_RR: [u8; 8] = [0x80, RR, 0, 1, 0, 0, 0, 7];

fn compound(more: &[&[u8]]) -> Vec<u8> {
    let mut bytes = EMPTY_RR.to_vec();
    more.iter()
        .for_each(|packet| bytes.extend_from_slice(packet));
    bytes
}

/// The second packet of a compound that is otherwise fine.
fn second(packet: &[u8]) -> Result<String, RtcpError> {
    let bytes = compound(&[packet]);
    Compound::parse(&bytes).map(|compound| format!("{:?}", compound.packets().nth(1).unwrap()))
}

/// <https://www.rfc-editor.org/rfc/rfc3550#section-6.4.1> by hand.
#[test]
fn a_sender_report_is_read() {
    let bytes = [
        0x81, SR, 0, 12, 0, 0, 0, 1, // one block, SSRC 1
        0xe0, 0, 0, 2, 0x80, 0, 0, 0, // NTP
        0, 0, 0, 160, 0, 0, 0, 10, 0, 0, 6, 0x40, // RTP time, packets, octets
        0, 0, 0, 9, 64, 0xff, 0xff, 0xfe, // block: SSRC 9, 25 %, -2 lost
        0, 1, 0, 5, 0, 0, 0, 33, 0, 2, 0x80, 0, 0, 0, 0x80, 0,
    ];
    let compound = Compound::parse(&bytes).unwrap();
    assert_eq!(compound.sender_ssrc(), 1);
    let Some(RtcpPacket::SenderReport(report)) = compound.packets().next() else {
        panic!("no sender report");
    };
    assert_eq!(report.ntp, NtpTime(0xe000_0002_8000_0000));
    assert_eq!(
        (report.rtp_timestamp, report.packets, report.octets),
        (160, 10, 1_600)
    );
    let block = ReportBlock {
        ssrc: 9,
        fraction_lost: 64,
        cumulative_lost: -2,
        highest_sequence: 0x1_0005,
        jitter: 33,
        last_sr: 0x0002_8000,
        delay_since_last_sr: 0x8000,
    };
    assert_eq!(report.blocks().collect::<Vec<_>>(), [block]);
}

#[test]
fn descriptions_goodbyes_and_application_packets_are_read() {
    let bytes = compound(&[
        &[
            0x82, SDES, 0, 6, // two chunks
            0, 0, 0, 7, 1, 3, b'a', b'@', b'b', 2, 0, 0, // CNAME, empty NAME, end
            0, 0, 0, 8, 1, 1, b'c', 0, // CNAME, end
            0, 0, 0, 0,
        ],
        &[0x82, BYE, 0, 3, 0, 0, 0, 7, 0, 0, 0, 8, 3, b'o', b'f', b'f'],
        &[
            0x83, APP, 0, 3, 0, 0, 0, 7, b'N', b'A', b'M', b'E', 1, 2, 3, 4,
        ],
        &[0x80, 207, 0, 0],
    ]);
    let packets: Vec<_> = Compound::parse(&bytes).unwrap().into_iter().collect();
    let [
        RtcpPacket::ReceiverReport(report),
        RtcpPacket::SourceDescription(description),
        RtcpPacket::Bye(bye),
        RtcpPacket::App(app),
        RtcpPacket::Unknown { packet_type: 207 },
    ] = packets[..]
    else {
        panic!("{packets:?}");
    };
    assert_eq!((report.ssrc, report.blocks().count()), (7, 0));
    assert_eq!(description.cname(7), Some(&b"a@b"[..]));
    assert_eq!(description.cname(8), Some(&b"c"[..]));
    assert_eq!(description.cname(9), None);
    assert_eq!(description.items().count(), 3);
    assert_eq!(bye.sources().collect::<Vec<_>>(), [7, 8]);
    assert_eq!(bye.reason, Some(&b"off"[..]));
    assert_eq!((app.subtype, app.ssrc, app.name), (3, 7, *b"NAME"));
    assert_eq!(app.data, [1, 2, 3, 4]);
}

#[test]
fn a_list_that_ends_on_a_word_takes_another_for_its_end() {
    let bytes = compound(&[&[
        0x82, SDES, 0, 6, //
        0, 0, 0, 7, 1, 2, b'a', b'b', 0, 0, 0, 0, //
        0, 0, 0, 8, 1, 2, b'c', b'd', 0, 0, 0, 0,
    ]]);
    let packets: Vec<_> = Compound::parse(&bytes).unwrap().into_iter().collect();
    let [_, RtcpPacket::SourceDescription(description)] = packets[..] else {
        panic!("{packets:?}");
    };
    assert_eq!(description.cname(7), Some(&b"ab"[..]));
    assert_eq!(description.cname(8), Some(&b"cd"[..]));
}

#[test]
fn feedback_is_read() {
    let bytes = compound(&[
        &[
            0x81, RTPFB, 0, 3, 0, 0, 0, 7, 0, 0, 0, 9, 0xff, 0xfe, 0x80, 0x05,
        ],
        &[0x81, PSFB, 0, 2, 0, 0, 0, 7, 0, 0, 0, 9],
        &[
            0x84, PSFB, 0, 4, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 9, 5, 0, 0, 0,
        ],
    ]);
    let packets: Vec<_> = Compound::parse(&bytes).unwrap().into_iter().collect();
    // Lost: the first and those of bits 0, 2 and 15, across the roll-over.
    assert_eq!(
        packets[1].nacks().collect::<Vec<_>>(),
        [65_534, 65_535, 1, 14]
    );
    assert_eq!(packets[2].picture_loss(), Some(9));
    let fir = Fir {
        ssrc: 9,
        command: 5,
    };
    assert_eq!(packets[3].full_intra_requests().collect::<Vec<_>>(), [fir]);
    for (n, packet) in packets.iter().enumerate() {
        assert_eq!(packet.nacks().count() > 0, n == 1);
        assert_eq!(packet.picture_loss().is_some(), n == 2);
        assert_eq!(packet.full_intra_requests().count() > 0, n == 3);
    }
}

/// <https://www.rfc-editor.org/rfc/rfc3550#appendix-A.2>
#[test]
fn what_is_no_compound_packet_is_refused_whole() {
    let parse = |bytes: &[u8]| Compound::parse(bytes).map(|_| ());
    assert_eq!(parse(&[]), Err(RtcpError::Length));
    assert_eq!(parse(&EMPTY_RR[..6]), Err(RtcpError::Length));
    assert_eq!(
        parse(&[0x40, RR, 0, 1, 0, 0, 0, 7]),
        Err(RtcpError::Version)
    );
    assert_eq!(
        parse(&[0xa0, RR, 0, 1, 0, 0, 0, 4]),
        Err(RtcpError::NotAReport)
    );
    assert_eq!(
        parse(&[0x81, BYE, 0, 1, 0, 0, 0, 7]),
        Err(RtcpError::NotAReport)
    );
    assert_eq!(
        parse(&[0x81, RR, 0, 1, 0, 0, 0, 7]),
        Err(RtcpError::Truncated)
    );
    assert_eq!(
        parse(&[0x80, SR, 0, 1, 0, 0, 0, 7]),
        Err(RtcpError::Truncated)
    );
    assert_eq!(second(&[0x80, RR, 0, 1, 0, 0, 0]), Err(RtcpError::Length));
    assert_eq!(second(&[0, BYE, 0, 0]), Err(RtcpError::Version));
    assert_eq!(
        second(&[0x82, BYE, 0, 1, 0, 0, 0, 7]),
        Err(RtcpError::Truncated)
    );
    assert_eq!(
        second(&[0x80, BYE, 0, 1, 4, b'o', b'f', b'f']),
        Err(RtcpError::Truncated)
    );
    assert_eq!(
        second(&[0x80, APP, 0, 1, 0, 0, 0, 7]),
        Err(RtcpError::Truncated)
    );
    assert_eq!(
        second(&[0x81, PSFB, 0, 1, 0, 0, 0, 7]),
        Err(RtcpError::Truncated)
    );
    // An item that runs out of the packet, and a list that never ends.
    assert_eq!(
        second(&[0x81, SDES, 0, 2, 0, 0, 0, 7, 1, 9, 0, 0]),
        Err(RtcpError::Truncated)
    );
    assert_eq!(
        second(&[0x81, SDES, 0, 2, 0, 0, 0, 7, 1, 2, 0, 0]),
        Err(RtcpError::Truncated)
    );
    // Padding: only in the last packet, whole words, not more than there is.
    assert_eq!(
        second(&[0xa0, APP, 0, 3, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 4]),
        second(&[0x80, APP, 0, 2, 0, 0, 0, 7, 0, 0, 0, 0])
    );
    for padding in [0, 3, 16] {
        let packet = [0xa0, APP, 0, 3, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, padding];
        assert_eq!(second(&packet), Err(RtcpError::Padding));
    }
    let padded_first = compound(&[
        &[0xa0, APP, 0, 3, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 4],
        &EMPTY_RR,
    ]);
    assert_eq!(parse(&padded_first), Err(RtcpError::Padding));
}

/// As Chromium sends it; two bytes fill the last word.
#[test]
fn feedback_that_is_padded_by_less_than_a_word_is_taken() {
    let feedback = [
        0xaf, 205, 0, 7, 0x8a, 0x66, 0x7f, 0x5f, 0x6d, 0x87, 0xa7, 0x6e, 0x01, 0xa8, 0x00, 0x0f,
        0x0a, 0x9d, 0x8f, 0x1b, 0x94, 0x54, 0x20, 0x01, 0x27, 0x26, 0x29, 0x25, 0x2d, 0x27, 0x00,
        0x02,
    ];
    let compound = Compound::parse_reduced_size(&feedback).unwrap();
    let packet = compound.packets().next().unwrap();
    let transport_wide = packet.transport_wide().expect("feedback");
    let came = transport_wide.packets().filter(|(_, at)| at.is_some());
    assert_eq!((transport_wide.base(), came.count()), (0x01a8, 6));
    for padding in [0, 29] {
        let mut wrong = feedback;
        wrong[31] = padding;
        let parsed = Compound::parse_reduced_size(&wrong).map(|_| ());
        assert_eq!(parsed, Err(RtcpError::Padding));
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        ssrc: u32,
        ntp: u64,
        words: [u32; 3],
        lost in -0x80_0000_i32..0x80_0000,
        fraction_lost: u8,
        block_count in 0_usize..40,
        name in proptest::collection::vec(1_u8..128, 0..300),
        sends: bool,
        leaves: bool,
    ) {
        let [rtp_timestamp, packets, octets] = words;
        let info = SenderInfo { ntp: NtpTime(ntp), rtp_timestamp, packets, octets };
        let blocks: Vec<_> = (0..block_count as u32)
            .map(|n| ReportBlock {
                ssrc: n,
                fraction_lost,
                cumulative_lost: lost,
                highest_sequence: packets,
                jitter: octets,
                last_sr: rtp_timestamp,
                delay_since_last_sr: n,
            })
            .collect();
        let mut out = [0xaa; 2_000];
        let mut writer = CompoundWriter::new(&mut out);
        if sends {
            writer.sender_report(ssrc, &info, &blocks);
        } else {
            writer.receiver_report(ssrc, &blocks);
        }
        writer.cname(ssrc, &name);
        if leaves {
            writer.bye(ssrc);
        }
        let len = writer.finish().unwrap();
        let compound = Compound::parse(&out[..len]).unwrap();
        prop_assert_eq!(compound.sender_ssrc(), ssrc);
        let mut read = compound.packets();
        let expected = &blocks[..block_count.min(31)];
        match read.next() {
            Some(RtcpPacket::SenderReport(report)) if sends => {
                prop_assert_eq!((report.ntp, report.rtp_timestamp), (info.ntp, rtp_timestamp));
                prop_assert_eq!((report.packets, report.octets), (packets, octets));
                prop_assert_eq!(report.blocks().collect::<Vec<_>>(), expected);
            }
            Some(RtcpPacket::ReceiverReport(report)) if !sends => {
                prop_assert_eq!(report.blocks().collect::<Vec<_>>(), expected);
            }
            other => prop_assert!(false, "{other:?}"),
        }
        match read.next() {
            Some(RtcpPacket::SourceDescription(description)) => {
                prop_assert_eq!(description.cname(ssrc), Some(&name[..name.len().min(255)]));
            }
            other => prop_assert!(false, "{other:?}"),
        }
        match read.next() {
            Some(RtcpPacket::Bye(bye)) if leaves => prop_assert!(bye.sources().eq([ssrc])),
            None if !leaves => {}
            other => prop_assert!(false, "{other:?}"),
        }
        // One byte less is not enough, and says so.
        let mut writer = CompoundWriter::new(&mut out[..len - 1]);
        if sends {
            writer.sender_report(ssrc, &info, &blocks);
        } else {
            writer.receiver_report(ssrc, &blocks);
        }
        writer.cname(ssrc, &name);
        if leaves {
            writer.bye(ssrc);
        }
        prop_assert_eq!(writer.finish(), Err(NoRoom));
    }

    #[test]
    fn the_round_trip_is_what_neither_end_held(
        start_s in 0_u64..4_000_000_000,
        trip_us in 0_u64..5_000_000,
        held_us in 0_u64..60_000_000,
    ) {
        let sent = Duration::from_secs(start_s);
        let block = ReportBlock {
            last_sr: NtpTime::from_unix(sent).middle().max(1),
            delay_since_last_sr: (held_us * 65_536 / 1_000_000) as u32,
            ..ReportBlock::default()
        };
        let now = NtpTime::from_unix(sent + Duration::from_micros(trip_us + held_us));
        let trip = round_trip(now, &block).unwrap();
        prop_assert!(trip.abs_diff(Duration::from_micros(trip_us)) <= Duration::from_micros(50));
    }
}

#[test]
fn a_round_trip_that_cannot_be_is_none() {
    let now = NtpTime(1_000_000 << 16);
    let block = |last_sr, delay_since_last_sr| ReportBlock {
        last_sr,
        delay_since_last_sr,
        ..ReportBlock::default()
    };
    assert_eq!(round_trip(now, &block(0, 0)), None);
    assert_eq!(round_trip(now, &block(900_000, 100_001)), None);
    assert_eq!(round_trip(now, &block(1_000_001, 0)), None);
    let tenth = round_trip(now, &block(900_000, 93_446)).unwrap();
    assert!(tenth.abs_diff(Duration::from_millis(100)) < Duration::from_micros(50));
}

#[test]
fn the_clocks_of_a_sender_are_followed() {
    let unix = Duration::new(1_700_000_000, 500_000_000);
    let ntp = NtpTime::from_unix(unix);
    assert_eq!(ntp.0, (1_700_000_000 + 2_208_988_800) << 32 | 1 << 31);
    let mut view = SenderView::new();
    assert_eq!(view.report_times(at(0)), (0, 0));
    assert_eq!(view.wall_clock(0, 8_000), None);
    let mut out = [0; 64];
    let info = SenderInfo {
        ntp,
        rtp_timestamp: 100,
        ..SenderInfo::default()
    };
    let len = CompoundWriter::new(&mut out)
        .sender_report(1, &info, &[])
        .finish()
        .unwrap();
    let compound = Compound::parse(&out[..len]).unwrap();
    let Some(RtcpPacket::SenderReport(report)) = compound.packets().next() else {
        panic!("no sender report");
    };
    view.on_report(at(0), &report);
    assert_eq!(view.report_times(at(1_500)), (ntp.middle(), 65_536 * 3 / 2));
    let second = 1_u64 << 32;
    assert_eq!(
        view.wall_clock(100 + 8_000, 8_000),
        Some(NtpTime(ntp.0 + second))
    );
    assert_eq!(
        view.wall_clock(100_u32.wrapping_sub(4_000), 8_000),
        Some(NtpTime(ntp.0 - second / 2))
    );
}

/// Intervals between reports of a timer that nothing disturbs.
fn intervals(config: RtcpTimerConfig, members: u32, senders: u32, we_sent: bool) -> Vec<f64> {
    let mut random = Random(7);
    let mut now = at(0);
    let mut timer = RtcpTimer::new(now, config, random.next() as u32);
    timer.set_members(members, senders, we_sent);
    let mut last = now;
    let mut intervals = Vec::new();
    while intervals.len() < 2_000 {
        assert!(timer.deadline() >= now);
        now = timer.deadline();
        if timer.on_timeout(now, random.next() as u32) {
            timer.on_packet(100);
            intervals.push(now.since(last).as_secs_f64());
            last = now;
        }
    }
    intervals
}

/// <https://www.rfc-editor.org/rfc/rfc3550#section-6.3.1>
#[test]
fn intervals_of_two_are_five_seconds_on_average() {
    let intervals = intervals(RtcpTimerConfig::avp(64_000), 2, 2, true);
    let first = intervals[0];
    assert!(
        (2.5 / 2.0 / 1.22..=2.5 * 1.5 / 1.21).contains(&first),
        "{first}"
    );
    let rest = &intervals[1..];
    for interval in rest {
        assert!((2.5 / 1.22..=7.5 / 1.21).contains(interval), "{interval}");
    }
    let mean = rest.iter().sum::<f64>() / rest.len() as f64;
    assert!((4.7..5.3).contains(&mean), "{mean}");
    let spread = rest
        .iter()
        .fold(0.0_f64, |most, interval| most.max(*interval));
    assert!(spread > 5.5, "not randomised: {spread}");
}

#[test]
fn many_members_share_five_percent() {
    // 1,000 listeners, one sender, 64 kbit/s: 400 bytes a second, 300 of them for listeners.
    let listening = intervals(RtcpTimerConfig::avp(64_000), 1_001, 1, false);
    let mean = listening[100..].iter().sum::<f64>() / 1_900.0;
    let expected = 1_000.0 * 128.0 / 300.0;
    assert!(
        (mean / expected - 1.0).abs() < 0.06,
        "{mean} against {expected}"
    );
    // The sender has a quarter to itself.
    let sending = intervals(RtcpTimerConfig::avp(64_000), 1_001, 1, true);
    assert!(sending[100..].iter().all(|interval| *interval < 7.0));
}

#[test]
fn with_avpf_the_bandwidth_alone_decides() {
    let intervals = intervals(RtcpTimerConfig::avpf(64_000), 2, 2, true);
    let mean = intervals[100..].iter().sum::<f64>() / 1_900.0;
    let expected = 2.0 * 128.0 / 400.0;
    assert!(
        (mean / expected - 1.0).abs() < 0.06,
        "{mean} against {expected}"
    );
}

#[test]
fn feedback_goes_early_once_per_interval() {
    let mut timer = RtcpTimer::new(at(0), RtcpTimerConfig::avpf(64_000), 1 << 31);
    let regular = timer.deadline();
    assert!(timer.send_early(at(10), 1 << 31));
    assert!(timer.deadline() > regular, "the regular one waits");
    assert!(!timer.send_early(at(20), 1 << 31));
    let deadline = timer.deadline();
    assert!(!timer.on_timeout(deadline - Duration::from_nanos(1), 1 << 31));
    assert!(timer.on_timeout(deadline, 1 << 31));
    assert!(timer.send_early(deadline, 1 << 31));
    let mut avp = RtcpTimer::new(at(0), RtcpTimerConfig::avp(64_000), 0);
    assert!(!avp.send_early(at(10), 0));
}

#[test]
fn growth_postpones_and_leaving_advances() {
    let config = RtcpTimerConfig::avp(64_000);
    let mut timer = RtcpTimer::new(at(0), config, 1 << 31);
    timer.set_members(1_000, 1, false);
    let deadline = timer.deadline();
    assert!(!timer.on_timeout(deadline, 1 << 31), "reconsidered");
    assert!(timer.deadline().since(deadline) > Duration::from_secs(60));
    let before = timer.deadline().since(deadline);
    timer.on_members_left(deadline, 100);
    let after = timer.deadline().since(deadline);
    assert!(
        after.abs_diff(before / 10) < Duration::from_millis(1),
        "{before:?} {after:?}"
    );
}

#[test]
fn absurd_numbers_stay_in_range() {
    let config = RtcpTimerConfig {
        session_bps: 0,
        minimum: Duration::MAX,
    };
    let mut timer = RtcpTimer::new(at(0), config, u32::MAX);
    timer.set_members(u32::MAX, u32::MAX, false);
    timer.on_packet(usize::MAX);
    assert!(timer.deadline().since(at(0)) <= Duration::from_secs(3_600));
    timer.set_members(0, 9, true);
    assert!(timer.on_timeout(Nanos(u64::MAX), 0));
}
