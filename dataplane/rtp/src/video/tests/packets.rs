use plenum_abi::VideoCodec;
use plenum_h264::{START_CODE, nal_units};
use proptest::prelude::*;

use crate::test_random::Random;
use crate::video::{
    Assembler, H264Packetizer, PacketizationMode, UnitInfo, Vp8Descriptor, Vp8Packetizer, rtx,
};

const MODES: [PacketizationMode; 2] = [
    PacketizationMode::SingleNalUnit,
    PacketizationMode::NonInterleaved,
];

/// One payload and whether it had the marker.
type Sent = (Vec<u8>, bool);

fn packets_of_h264(mode: PacketizationMode, payload_max: usize, unit: &[u8]) -> (Vec<Sent>, u32) {
    let mut packets = H264Packetizer::new(mode, payload_max).packets(unit);
    let mut out = [0; 2_000];
    let mut sent = Vec::new();
    while let Some(payload) = packets.write_next(&mut out) {
        assert!(payload.len <= payload_max);
        sent.push((out[..payload.len].to_vec(), payload.marker));
    }
    (sent, packets.omitted())
}

fn stream(units: &[Vec<u8>]) -> Vec<u8> {
    units
        .iter()
        .flat_map(|unit| [&START_CODE[..], unit].concat())
        .collect()
}

/// NAL units of types 1 to 23, without start codes inside, not ending in zero.
fn some_units(random: &mut Random, count: u64, len_max: u64) -> Vec<Vec<u8>> {
    (0..1 + random.below(count))
        .map(|_| {
            let mut unit = vec![0; 1 + random.below(len_max) as usize];
            random.fill(&mut unit);
            for byte in &mut unit {
                *byte = (*byte).max(1);
            }
            unit[0] = (random.below(4) << 5 | (1 + random.below(8))) as u8;
            unit
        })
        .collect()
}

/// <https://www.rfc-editor.org/rfc/rfc6184#section-5.7.1>
#[test]
fn parameter_sets_and_a_small_picture_share_a_packet() {
    let unit = stream(&[vec![0x67, 1, 2], vec![0x68, 3], vec![0x65, 4, 5, 6]]);
    let (sent, omitted) = packets_of_h264(MODES[1], 100, &unit);
    let expected = vec![0x78, 0, 3, 0x67, 1, 2, 0, 2, 0x68, 3, 0, 4, 0x65, 4, 5, 6];
    assert_eq!(sent, [(expected, true)]);
    assert_eq!(omitted, 0);
    let (sent, _) = packets_of_h264(MODES[0], 100, &unit);
    let markers: Vec<_> = sent.iter().map(|(_, marker)| *marker).collect();
    assert_eq!(markers, [false, false, true]);
    assert_eq!(sent[1].0, [0x68, 3]);
}

/// <https://www.rfc-editor.org/rfc/rfc6184#section-5.8>
#[test]
fn a_long_nal_unit_goes_in_even_pieces() {
    let mut nal_unit = vec![7; 151];
    nal_unit[0] = 0x65;
    let (sent, omitted) = packets_of_h264(MODES[1], 64, &stream(&[nal_unit.clone()]));
    let heads: Vec<_> = sent.iter().map(|(bytes, _)| [bytes[0], bytes[1]]).collect();
    assert_eq!(heads, [[0x7c, 0x85], [0x7c, 0x05], [0x7c, 0x45]]);
    assert!(sent.iter().all(|(bytes, _)| bytes.len() == 52));
    let markers: Vec<_> = sent.iter().map(|(_, marker)| *marker).collect();
    assert_eq!((markers, omitted), (vec![false, false, true], 0));
    let (sent, omitted) = packets_of_h264(MODES[0], 64, &stream(&[nal_unit, vec![0x41, 9]]));
    assert_eq!((sent, omitted), (vec![(vec![0x41, 9], true)], 1));
}

fn assemble(codec: VideoCodec, sent: &[Sent]) -> (Vec<u8>, UnitInfo) {
    let mut assembler = Assembler::new(codec, 1 << 20);
    let mut unit = Vec::new();
    for (payload, _) in sent {
        assert!(!assembler.ends_before(9));
        assembler.push(9, payload, &mut unit);
    }
    let info = assembler.finish(&mut unit).expect("a unit");
    assert_eq!(assembler.finish(&mut unit), None);
    (unit, info)
}

proptest! {
    #[test]
    fn h264_units_come_out_as_they_went_in(seed: u64, payload_max in 64_usize..1_500, mode in 0_usize..2) {
        let mut random = Random(seed);
        let len_max = if mode == 0 { payload_max as u64 } else { 5_000 };
        let units = some_units(&mut random, 6, len_max);
        let (sent, omitted) = packets_of_h264(MODES[mode], payload_max, &stream(&units));
        prop_assert_eq!(omitted, 0);
        for (index, (_, marker)) in sent.iter().enumerate() {
            prop_assert_eq!(*marker, index + 1 == sent.len());
        }
        let (unit, info) = assemble(VideoCodec::H264, &sent);
        prop_assert_eq!(unit, stream(&units));
        prop_assert!(!info.damaged && !info.gap_before && info.timestamp == 9);
        prop_assert_eq!(info.key_frame, units.iter().any(|unit| unit[0] & 31 == 5));
    }

    #[test]
    fn vp8_frames_come_out_as_they_went_in(
        frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..5_000), 1..5),
        payload_max in 64_usize..1_500,
        layers in 1_u8..4,
        picture_id: u16,
    ) {
        let mut packetizer = Vp8Packetizer::new(payload_max, layers, picture_id);
        for (index, frame) in frames.iter().enumerate() {
            let layer = index as u8 % layers;
            let mut packets = packetizer.packets(frame, layer);
            let mut out = [0; 2_000];
            let mut sent = Vec::new();
            while let Some(payload) = packets.write_next(&mut out) {
                prop_assert!(payload.len <= payload_max);
                let (descriptor, _) = Vp8Descriptor::parse(&out[..payload.len]).unwrap();
                let id = picture_id.wrapping_add(index as u16) & 0x7fff;
                prop_assert_eq!(descriptor.picture_id, Some(id));
                prop_assert_eq!(descriptor.starts_frame(), sent.is_empty());
                prop_assert_eq!(descriptor.temporal_layer, (layers > 1).then_some(layer));
                prop_assert_eq!(descriptor.non_reference, layers > 1 && layer + 1 == layers);
                sent.push((out[..payload.len].to_vec(), payload.marker));
            }
            let (unit, info) = assemble(VideoCodec::Vp8, &sent);
            prop_assert_eq!(&unit, frame);
            prop_assert_eq!(info.key_frame, frame[0] & 1 == 0);
            prop_assert!(!info.damaged);
        }
    }

    /// What is called whole is whole, whatever was lost.
    #[test]
    fn losses_are_told(seed: u64, payload_max in 64_usize..600, loss in 0_u64..400_000) {
        let mut random = Random(seed);
        let units: Vec<_> = (0..20).map(|_| some_units(&mut random, 4, 1_500)).collect();
        let mut assembler = Assembler::new(VideoCodec::H264, 1 << 20);
        let mut unit = Vec::new();
        let mut finished = Vec::new();
        for (timestamp, parts) in units.iter().enumerate() {
            let timestamp = timestamp as u32;
            for (payload, marker) in packets_of_h264(MODES[1], payload_max, &stream(parts)).0 {
                if random.chance(loss) {
                    assembler.lost();
                    continue;
                }
                if assembler.ends_before(timestamp) {
                    finished.extend(assembler.finish(&mut unit).map(|info| (info, unit.clone())));
                }
                assembler.push(timestamp, &payload, &mut unit);
                if marker {
                    finished.extend(assembler.finish(&mut unit).map(|info| (info, unit.clone())));
                }
            }
        }
        for (info, unit) in finished {
            let sent = &units[info.timestamp as usize];
            let got: Vec<_> = nal_units(&unit).map(|range| unit[range].to_vec()).collect();
            let whole = got == *sent;
            prop_assert!(whole || info.damaged || info.gap_before);
            // Only whole NAL units, in their order.
            let mut sent = sent.iter();
            prop_assert!(got.iter().all(|part| sent.any(|other| other == part)));
        }
    }
}

#[test]
fn a_change_of_timestamp_ends_a_unit_without_a_marker() {
    let mut assembler = Assembler::new(VideoCodec::H264, 1_000);
    let mut unit = Vec::new();
    assert!(!assembler.ends_before(1));
    assembler.push(1, &[0x41, 0x9a], &mut unit);
    assert!(!assembler.ends_before(1) && assembler.ends_before(2));
    let info = assembler.finish(&mut unit).unwrap();
    assert!(!info.damaged && !info.key_frame);
    assert_eq!(unit, [0, 0, 0, 1, 0x41, 0x9a]);
}

#[test]
fn a_gap_between_units_damages_neither_if_both_ends_are_known() {
    let mut assembler = Assembler::new(VideoCodec::H264, 1_000);
    let mut unit = Vec::new();
    assembler.push(1, &[0x41, 0x9a], &mut unit);
    assert!(!assembler.finish(&mut unit).unwrap().damaged);
    assembler.lost();
    // first_mb_in_slice is 0.
    assembler.push(3, &[0x41, 0x9a], &mut unit);
    let info = assembler.finish(&mut unit).unwrap();
    assert!(info.gap_before && !info.damaged);
    assembler.lost();
    // A slice from the middle of a picture.
    assembler.push(5, &[0x41, 0x5a], &mut unit);
    let info = assembler.finish(&mut unit).unwrap();
    assert!(info.gap_before && info.damaged);
}

#[test]
fn fragments_without_their_beginning_or_end_are_left_out() {
    let mut assembler = Assembler::new(VideoCodec::H264, 1_000);
    let mut unit = Vec::new();
    let (start, middle, end) = ([0x7c, 0x85, 1], [0x7c, 0x05, 2], [0x7c, 0x45, 3]);
    let cases: [&[&[u8]]; 6] = [
        &[&middle, &end],
        &[&start, &middle],
        &[&start, &[0x41, 9]],
        &[&start, &start, &middle],
        // Of another NAL unit; both at once; empty.
        &[&start, &[0x7c, 0x41, 3]],
        &[&[0x7c, 0xc5, 3]],
    ];
    for payloads in cases {
        for payload in payloads {
            assembler.push(1, payload, &mut unit);
        }
        let info = assembler.finish(&mut unit).unwrap();
        assert!(info.damaged && !info.key_frame, "{payloads:?}");
        let left: Vec<_> = nal_units(&unit).map(|range| unit[range].to_vec()).collect();
        assert!(left.is_empty() || left == [vec![0x41, 9]], "{payloads:?}");
    }
    for payload in [&start[..], &middle, &end] {
        assembler.push(1, payload, &mut unit);
    }
    let info = assembler.finish(&mut unit).unwrap();
    assert!(!info.damaged && info.key_frame);
    assert_eq!(unit, [0, 0, 0, 1, 0x65, 1, 2, 3]);
}

#[test]
fn a_unit_does_not_outgrow_its_bound() {
    for codec in [VideoCodec::H264, VideoCodec::Vp8] {
        let mut assembler = Assembler::new(codec, 3_000);
        let mut unit = Vec::new();
        let payload = [0x10; 1_000];
        for _ in 0..100 {
            assembler.push(1, &payload, &mut unit);
            assert!(unit.len() <= 3_000);
        }
        assert!(assembler.finish(&mut unit).unwrap().damaged);
    }
}

#[test]
fn descriptors_of_others_are_read() {
    let parse = |bytes: &[u8]| Vp8Descriptor::parse(bytes).map(|(d, rest)| (d, rest.to_vec()));
    let (plain, rest) = parse(&[0x10, 0x50]).unwrap();
    assert!(plain.starts_frame() && plain.picture_id.is_none());
    assert_eq!(rest, [0x50]);
    // Seven bits of picture id, key index only.
    let (short, rest) = parse(&[0xa3, 0x90, 0x11, 0x05, 9]).unwrap();
    assert_eq!((short.picture_id, short.temporal_layer), (Some(0x11), None));
    assert!(short.non_reference && short.partition == 3 && !short.starts_frame());
    assert_eq!(rest, [9]);
    for cut in 0..6 {
        assert_eq!(parse(&[0x90, 0xe0, 0x81, 0x02, 7, 0x60, 9][..cut]), None);
    }
    let (all, _) = parse(&[0x90, 0xe0, 0x81, 0x02, 7, 0x60, 9]).unwrap();
    assert_eq!((all.picture_id, all.tl0_pic_idx), (Some(0x102), Some(7)));
    assert_eq!((all.temporal_layer, all.layer_sync), (Some(1), true));
}

#[test]
fn retransmissions_carry_the_original() {
    assert_eq!(
        rtx::original(&[0x12, 0x34, 5, 6]),
        Some((0x1234, &[5, 6][..]))
    );
    assert_eq!(rtx::head(0x1234), [0x12, 0x34]);
    assert_eq!(rtx::original(&[0x12, 0x34]), None);
    assert_eq!(rtx::original(&[0x12]), None);
}
