//! Bodies of fuzz targets, compiled with everything else so that they cannot rot.
//!
//! Each takes any bytes and asserts more than the absence of a panic. The tests
//! below run them over random and over nearly valid input; a fuzzer's target is
//! one call.

mod pictures;

use plenum_abi::{Nanos, SocketAddress};

pub use pictures::pictures;

use crate::dtmf::{DtmfReceiver, EVENT_MAX};
use crate::jitter::{Arrival, JitterBuffer, JitterConfig, Pop};
use crate::learning::{AddressLearner, Decision, LearnConfig, RtcpEvidence, RtpEvidence};
use crate::packet::{Kind, RTP_HEADER_LEN, RtpPacket, classify, header_len};
use crate::red::{self, BLOCKS_MAX, Blocks};
use crate::rtcp::{Compound, RtcpPacket, TransportFeedback};

/// Every part of a parsed packet lies in the datagram, in order.
pub fn packet(data: &[u8]) {
    let Ok(packet) = RtpPacket::parse(data) else {
        return;
    };
    assert_eq!(data[0] >> 6, 2);
    assert!(matches!(classify(data), Kind::Rtp | Kind::Rtcp));
    let payload = packet.payload_range();
    assert_eq!(header_len(data), Ok(payload.start));
    assert!(RTP_HEADER_LEN <= payload.start && payload.end <= data.len());
    let csrcs = packet.csrcs().count();
    let extension = packet.extension().map_or(0, |(_, bytes)| 4 + bytes.len());
    assert_eq!(RTP_HEADER_LEN + 4 * csrcs + extension, payload.start);
    for id in 0..=255 {
        if let Some(element) = packet.extension_element(id) {
            assert!(id != 0 && element.len() < extension);
        }
    }
}

/// A compound packet that was accepted reads to its end, and its counts are kept.
pub fn rtcp(data: &[u8]) {
    let Ok(compound) = Compound::parse(data) else {
        return;
    };
    let mut words = 0;
    for (index, packet) in compound.packets().enumerate() {
        let at = words * 4;
        let count = usize::from(data[at] & 0x1f);
        words += 1 + usize::from(u16::from_be_bytes([data[at + 2], data[at + 3]]));
        let report = match packet {
            RtcpPacket::SenderReport(report) => Some((report.ssrc, report.blocks().count())),
            RtcpPacket::ReceiverReport(report) => Some((report.ssrc, report.blocks().count())),
            RtcpPacket::SourceDescription(description) => {
                assert!(description.items().all(|item| item.text.len() <= 255));
                None
            }
            RtcpPacket::Bye(bye) => {
                assert_eq!(bye.sources().count(), count);
                None
            }
            _ => None,
        };
        if let Some((ssrc, blocks)) = report {
            assert_eq!(blocks, count);
            assert!(index > 0 || ssrc == compound.sender_ssrc());
        }
        assert!(index > 0 || report.is_some());
        let nacks = packet.nacks().count();
        assert!(nacks <= data.len() / 4 * 17);
        assert!(packet.full_intra_requests().count() <= data.len() / 8);
    }
    assert_eq!(words * 4, data.len(), "the packets fill the datagram");
}

/// A feedback that was accepted reads to its end: each number once, as many arrivals as
/// there are differences at least, none further from the reference than they reach.
pub fn transport_feedback(data: &[u8]) {
    let Ok(feedback) = TransportFeedback::parse(data) else {
        return;
    };
    let mut number = feedback.base();
    let (mut count, mut came) = (0, 0);
    for (next, arrival) in feedback.packets() {
        assert_eq!(next, number);
        number = number.wrapping_add(1);
        count += 1;
        if let Some(us) = arrival {
            came += 1;
            let off = us - feedback.reference_us();
            assert!(off.abs() <= came * 0x8000 * 250);
        }
    }
    assert_eq!(count, feedback.count());
    assert!(came as usize <= data.len());
    assert!((0..TransportFeedback::WRAP_US).contains(&feedback.reference_us()));
}

/// Whatever comes, sound goes out in the order of its numbers between restarts,
/// a tick ends after a bounded number of questions, and the bound holds.
pub fn jitter(data: &[u8]) {
    let mut buffer = JitterBuffer::<u64>::new(&JitterConfig::new(8_000));
    let mut now = 1_000_000_000_u64;
    let mut inserted = 0;
    let (mut sequence, mut timestamp) = (0_u16, 0_u32);
    let mut last: Option<u64> = None;
    let mut restarts = 0;
    for chunk in data.chunks_exact(6) {
        let &[what, a, b, c, d, e] = chunk else {
            continue;
        };
        now += u64::from(e) * 250_000;
        match what % 8 {
            0 => {
                // Anything at all.
                sequence = u16::from_be_bytes([a, b]);
                timestamp = u32::from_be_bytes([c, d, a, b]);
            }
            1 => sequence = sequence.wrapping_add_signed(i16::from(a as i8)),
            2 => timestamp = timestamp.wrapping_add(u32::from_be_bytes([0, a, b, c])),
            _ => {
                sequence = sequence.wrapping_add(1);
                timestamp = timestamp.wrapping_add(160);
            }
        }
        let arrival = Arrival {
            sequence,
            timestamp,
            ticks: if d > 250 {
                u32::from_be_bytes([a, b, c, d])
            } else {
                160
            },
            marker: b & 1 != 0,
            discontinuous: c > 250,
        };
        if a > 250 {
            buffer.skip(sequence);
        } else if buffer
            .insert(Nanos(now), arrival, u64::from(sequence))
            .is_ok()
        {
            inserted += 1;
        }
        if what & 0x20 != 0 {
            // As redundancy has it, and as a liar would.
            let before = sequence.wrapping_sub(u16::from(b % 4));
            let earlier = Arrival {
                sequence: before,
                timestamp: timestamp.wrapping_sub(u32::from(b % 4) * 160 + u32::from(c % 2) * 7),
                ..arrival
            };
            buffer.fill(Nanos(now), earlier, u64::from(before));
            assert!(!buffer.lacks(before), "a gap that was filled");
        }
        if what & 0x10 == 0 {
            continue;
        }
        let mut sound = 0;
        for question in 0.. {
            assert!(question <= 64 + 3, "a tick that never ends");
            if buffer.counters().restarts != restarts {
                restarts = buffer.counters().restarts;
                last = None;
            }
            match buffer.pop(Nanos(now)) {
                Pop::Packet { item, ticks, .. } => {
                    assert!(ticks <= 960);
                    if let Some(last) = last {
                        let step = (item as u16).wrapping_sub(last as u16);
                        assert!(step != 0 && step < 0x8000, "{last} then {item}");
                    }
                    last = Some(item);
                    sound += ticks;
                }
                Pop::Missing { ticks, .. } => {
                    assert!((1..=960).contains(&ticks));
                    // One tick of a packet may stand for less than a step.
                    sound += ticks.max(3);
                }
                Pop::Silence | Pop::Wait => break,
            }
            if sound >= 160 {
                break;
            }
        }
        assert!(buffer.level() <= 64);
        assert!(buffer.target().as_millis() <= 200);
    }
    let counters = buffer.counters();
    assert!(counters.played + counters.discarded <= inserted + counters.filled);
}

/// Frames of a redundant payload lie in it, one behind the other to its end, and what
/// is written of two of them reads as it was.
pub fn red(data: &[u8]) {
    let Some(blocks) = Blocks::parse(data) else {
        return;
    };
    let mut end = data.len();
    let newest = blocks.newest();
    assert_eq!((newest.bytes.end, newest.timestamp_offset), (end, 0));
    end = newest.bytes.start;
    for (packets, block) in blocks.earlier() {
        assert_eq!(block.bytes.end, end);
        assert!(usize::from(packets) < BLOCKS_MAX && block.payload_type < 128);
        end = block.bytes.start;
        let mut out = [0; 4_096];
        let earlier = (block.timestamp_offset, &data[block.bytes.clone()]);
        let sound = &data[newest.bytes.clone()];
        let Some(len) = red::write(&mut out, newest.payload_type, earlier, sound) else {
            continue;
        };
        let again = Blocks::parse(&out[..len]).expect("what we wrote");
        assert_eq!(&out[again.newest().bytes.clone()], sound);
    }
    assert!(end > 0, "a header stands before the frames");
}

/// Digits are digits, no timestamp gives two of them in a row, and an event
/// that is left alone ends.
pub fn dtmf(data: &[u8]) {
    let mut receiver = DtmfReceiver::new(8_000);
    let mut now = Nanos(1_000_000_000);
    for chunk in data.chunks_exact(8) {
        now = Nanos(now.0 + u64::from(chunk[7]) * 1_000_000);
        if let Some(digit) = receiver.on_timeout(now) {
            assert!(digit.event <= EVENT_MAX);
        }
        let timestamp = u32::from_be_bytes([0, chunk[0] & 3, chunk[1], chunk[2]]);
        let marker = chunk[0] & 0x80 != 0;
        let digits = receiver.on_packet(now, timestamp, marker, &chunk[3..7]);
        assert!(digits.count() <= 2);
        for digit in digits {
            assert!(digit.event <= EVENT_MAX);
        }
        // Said again, it ends nothing again.
        assert_eq!(
            receiver
                .on_packet(now, timestamp, marker, &chunk[3..7])
                .count(),
            0
        );
    }
    if let Some(deadline) = receiver.deadline() {
        assert!(receiver.on_timeout(deadline).is_some());
    }
    assert!(!receiver.is_running());
}

/// On a secure leg nothing without a tag is accepted or moves it; on a plain
/// one an address is only ever learned from three packets of its own.
pub fn learning(data: &[u8]) {
    let Some((&first, rest)) = data.split_first() else {
        return;
    };
    let address = |n: u8| SocketAddress {
        ip: [n % 3; 16],
        port: 1_000 + u16::from(n % 8),
        ..SocketAddress::UNKNOWN
    };
    let secure = first & 1 != 0;
    let config = LearnConfig {
        signalled_rtp: address(0),
        signalled_rtcp: address(1),
        secure,
        rtcp_mux: first & 2 != 0,
        learn: true,
    };
    let mut now = Nanos(1_000_000_000);
    let mut learner = AddressLearner::new(now, config);
    let mut heard = [0_u32; 24];
    for chunk in rest.chunks_exact(5) {
        now = Nanos(now.0 + u64::from(chunk[4]) * u64::from(chunk[4]) * 200_000);
        let authenticated = chunk[0] & 0x40 != 0;
        let source = address(chunk[1]);
        let before = (learner.rtp_address(), learner.rtcp_address());
        let decision = if chunk[0] & 0x80 == 0 {
            heard[usize::from(chunk[1] % 24)] += 1;
            let packet = RtpEvidence {
                source,
                ssrc: u32::from(chunk[2] % 4),
                sequence: u16::from(chunk[3]),
            };
            let decision = learner.on_rtp(now, &packet, authenticated);
            if let Decision::Learned(learned) = decision {
                assert!(secure || heard[usize::from(chunk[1] % 24)] >= 3);
                assert_eq!(learner.rtp_address(), Some(learned));
            }
            decision
        } else {
            let packet = RtcpEvidence {
                source,
                ssrc: u32::from(chunk[2] % 4),
            };
            learner.on_rtcp(now, &packet, authenticated)
        };
        match decision {
            Decision::Learned(learned) => assert_eq!(learned, source),
            Decision::Accept => {}
            Decision::Refuse(_) => {
                assert_eq!(before, (learner.rtp_address(), learner.rtcp_address()));
            }
        }
        if secure && !authenticated {
            assert!(matches!(decision, Decision::Refuse(_)));
        }
        if chunk[0] & 0x3f == 0 {
            learner.relearn(now, config);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::packet::RtpHeader;
    use crate::rtcp::{CompoundWriter, ReportBlock, SenderInfo};
    use crate::test_random::Random;

    /// Random bytes of every length up to `longest`.
    fn each_random(rounds: usize, longest: u64, body: impl Fn(&[u8])) {
        let mut random = Random(20_261_121);
        let mut data = vec![0; longest as usize];
        for _ in 0..rounds {
            let len = random.below(longest + 1) as usize;
            random.fill(&mut data[..len]);
            body(&data[..len]);
        }
    }

    /// A valid datagram with up to three bytes changed and perhaps its end cut off.
    fn each_mutant(rounds: usize, valid: &[u8], body: impl Fn(&[u8])) {
        let mut random = Random(20_261_122);
        for _ in 0..rounds {
            let mut data = valid.to_vec();
            for _ in 0..random.below(4) {
                let at = random.below(data.len() as u64) as usize;
                data[at] = random.next() as u8;
            }
            if random.chance(200_000) {
                data.truncate(random.below(valid.len() as u64) as usize);
            }
            body(&data);
        }
    }

    #[test]
    fn packets() {
        each_random(20_000, 64, super::packet);
        let mut valid = vec![0; 60];
        RtpHeader::default().write(&mut valid);
        valid[0] = 0xb2;
        valid[20..24].copy_from_slice(&[0xbe, 0xde, 0, 3]);
        valid[24..36].copy_from_slice(&[0x11, 1, 2, 0x20, 3, 0, 0x31, 4, 5, 0, 0, 0]);
        valid[59] = 4;
        super::packet(&valid);
        each_mutant(20_000, &valid, super::packet);
    }

    #[test]
    fn compounds() {
        each_random(20_000, 64, super::rtcp);
        let mut valid = [0; 256];
        let len = CompoundWriter::new(&mut valid)
            .sender_report(1, &SenderInfo::default(), &[ReportBlock::default(); 2])
            .cname(1, b"a@b.example")
            .bye(1)
            .finish()
            .unwrap();
        valid[len..len + 16]
            .copy_from_slice(&[0x81, 205, 0, 3, 0, 0, 0, 7, 0, 0, 0, 9, 0, 5, 0x80, 5]);
        super::rtcp(&valid[..len + 16]);
        each_mutant(20_000, &valid[..len + 16], super::rtcp);
    }

    #[test]
    fn transport_feedbacks() {
        each_random(20_000, 64, super::transport_feedback);
        let valid = [
            0xff, 0xff, 0, 20, 0, 0, 2, 9, 0x20, 3, 0x80, 1, 0xd8, 0, 4, 0, 255, 1, 8, 0xff, 0xf8,
            0, 0, 0,
        ];
        each_mutant(20_000, &valid, super::transport_feedback);
    }

    #[test]
    fn jitter_buffers() {
        each_random(2_000, 3_000, super::jitter);
    }

    #[test]
    fn redundancy() {
        each_random(20_000, 64, super::red);
        let valid = [
            0x80 | 9,
            0x1e,
            0,
            3,
            0x80 | 9,
            0x0f,
            0,
            2,
            9,
            1,
            2,
            3,
            4,
            5,
            6,
        ];
        super::red(&valid);
        each_mutant(20_000, &valid, super::red);
    }

    #[test]
    fn telephone_events() {
        each_random(5_000, 800, super::dtmf);
    }

    #[test]
    fn learners() {
        each_random(5_000, 1_000, super::learning);
    }
    /// Steps of the body with payloads that are mostly such as a sender makes.
    fn packets_of_pictures(random: &mut Random, choice: u8) -> Vec<u8> {
        let mut data = vec![choice];
        for _ in 0..random.below(120) {
            let mut payload = vec![0; random.below(60) as usize];
            random.fill(&mut payload);
            if let [first, second, ..] = &mut payload[..] {
                // A descriptor of VP8 without extension, or a single NAL unit, an
                // aggregate or a fragment.
                *first = match choice & 2 {
                    0 => [0x65, 0x41, 0x78, 0x7c][random.below(4) as usize],
                    _ => [0x10, 0x00, 0x00, 0x80][random.below(4) as usize],
                };
                *second = [0x85, 0x05, 0x45, *second][random.below(4) as usize];
            }
            // Mostly in sequence, and soon.
            let what = random.next() as u8 | [0, 7, 7, 7][random.below(4) as usize];
            let late = random.below(8) as u8;
            data.extend([what, random.next() as u8, late, payload.len() as u8]);
            data.extend(payload);
        }
        data
    }

    #[test]
    fn pictures() {
        each_random(5_000, 2_000, super::pictures);
        let mut random = Random(20_261_127);
        for round in 0..20_000 {
            super::pictures(&packets_of_pictures(&mut random, round as u8));
        }
    }
}
