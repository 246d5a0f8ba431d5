//! Streams that x264 and libvpx made for others decode to what FFmpeg decodes them to,
//! bit by bit, and no damage to them does more than spoil the picture.
//!
//! Beside each stream in `streams/` lie FNV-1a hashes of its pictures, one a line, in
//! the order in which they are shown: of Y, then U, then V, without gaps.

use std::time::{Duration, Instant};

use plenum_abi::VideoCodec;
use plenum_codecs::video::testing::decode_into;
use plenum_codecs::video::{self, DecodeError, Decoded, DecoderConfig};
use plenum_h264::{NalType, START_CODE, nal_units};
use plenum_kernels::video::Picture;

struct Stream {
    name: &'static str,
    codec: VideoCodec,
    bytes: &'static [u8],
    hashes: &'static str,
}

macro_rules! stream {
    ($codec:ident, $name:literal) => {
        Stream {
            name: $name,
            codec: VideoCodec::$codec,
            bytes: include_bytes!(concat!("streams/", $name)),
            hashes: include_str!(concat!("streams/", $name, ".fnv")),
        }
    };
}

const IN_ORDER: [Stream; 5] = [
    stream!(H264, "baseline-slices.264"),
    stream!(H264, "main-cabac.264"),
    stream!(H264, "high-refs.264"),
    stream!(Vp8, "realtime.ivf"),
    stream!(Vp8, "odd.ivf"),
];

/// Nobody sends these in a conversation; here only to do harm.
const WITH_B_SLICES: Stream = stream!(H264, "high-b.264");

impl Stream {
    fn hashes(&self) -> Vec<u64> {
        self.hashes
            .lines()
            .map(|line| u64::from_str_radix(line, 16).expect("a hash"))
            .collect()
    }

    /// The access units. Those of H.264 begin with a delimiter.
    fn units(&self) -> Vec<Vec<u8>> {
        if self.codec == VideoCodec::Vp8 {
            return frames_of_ivf(self.bytes);
        }
        let mut units: Vec<Vec<u8>> = Vec::new();
        for range in nal_units(self.bytes) {
            let unit = &self.bytes[range];
            if NalType::of(unit[0]) == NalType::AccessUnitDelimiter {
                units.push(Vec::new());
            }
            let last = units.last_mut().expect("a delimiter first");
            last.extend_from_slice(&START_CODE);
            last.extend_from_slice(unit);
        }
        units
    }
}

/// A header of 32 bytes, then frames with a header of 12, whose first four are the
/// length.
fn frames_of_ivf(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = &bytes[32..];
    let mut frames = Vec::new();
    while let Some((head, behind)) = rest.split_first_chunk::<12>() {
        let len = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
        frames.push(behind[..len].to_vec());
        rest = &behind[len..];
    }
    frames
}

fn hash(picture: &Picture) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for plane in picture.planes() {
        for &sample in plane.rows().flatten() {
            hash = (hash ^ u64::from(sample)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash
}

#[test]
fn every_picture_comes_out_at_once_and_exact() {
    for stream in IN_ORDER {
        let mut decoder = video::decoder(stream.codec, &DecoderConfig::default()).unwrap();
        let mut picture = Picture::new(2, 2);
        let units = stream.units();
        let hashes = stream.hashes();
        assert_eq!(units.len(), hashes.len(), "{}", stream.name);
        for (index, (unit, expected)) in units.iter().zip(hashes).enumerate() {
            let decoded = decode_into(&mut *decoder, unit, &mut picture);
            assert_eq!(decoded, Ok(Decoded::Picture), "{} {index}", stream.name);
            assert_eq!(hash(&picture), expected, "{} {index}", stream.name);
        }
    }
}

/// splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// Damages an access unit: flips bits, cuts, repeats, splices, or writes garbage.
fn mutate(random: &mut Random, unit: &mut Vec<u8>, others: &[Vec<u8>]) {
    if unit.is_empty() {
        return;
    }
    match random.below(7) {
        0 => {
            for _ in 0..=random.below(8) {
                let at = random.below(unit.len());
                unit[at] ^= 1 << random.below(8);
            }
        }
        // Headers are where it hurts most.
        1 => {
            let at = random.below(unit.len().min(48));
            unit[at] = random.next() as u8;
        }
        2 => unit.truncate(random.below(unit.len())),
        3 => {
            let from = random.below(unit.len());
            let piece = unit[from..].to_vec();
            let at = random.below(unit.len());
            unit.splice(at..at, piece);
        }
        4 => {
            let other = &others[random.below(others.len())];
            let at = random.below(unit.len());
            unit.truncate(at);
            unit.extend_from_slice(&other[random.below(other.len())..]);
        }
        5 => {
            let from = random.below(unit.len());
            let to = (from + random.below(64)).min(unit.len());
            for byte in &mut unit[from..to] {
                *byte = random.next() as u8;
            }
        }
        _ => unit.clear(),
    }
}

/// Memory in use, bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
    kilobytes
        .and_then(|text| text.parse::<u64>().ok())
        .expect("a size")
        * 1_024
}

#[test]
fn damage_spoils_pictures_and_nothing_else() {
    let mut random = Random(20_261_125);
    let limit = DecoderConfig {
        macroblocks_max: 40 * 30,
    };
    let before = resident();
    for stream in IN_ORDER.iter().chain([&WITH_B_SLICES]) {
        let units = stream.units();
        let (mut shown, mut refused) = (0, 0);
        for _ in 0..60 {
            let mut decoder = video::decoder(stream.codec, &limit).unwrap();
            let mut picture = Picture::new(2, 2);
            for unit in &units {
                let mut damaged = unit.clone();
                if random.below(3) == 0 {
                    mutate(&mut random, &mut damaged, &units);
                }
                let begun = Instant::now();
                match decode_into(&mut *decoder, &damaged, &mut picture) {
                    Ok(Decoded::Picture | Decoded::Concealed) => {
                        shown += 1;
                        let (width, height) = (picture.width(), picture.height());
                        assert!(width.div_ceil(16) * height.div_ceil(16) <= 1_200);
                    }
                    Ok(Decoded::Nothing) => {}
                    Err(DecodeError::Empty) => assert!(damaged.is_empty()),
                    Err(_) => refused += 1,
                }
                // A picture of this size takes well below a millisecond.
                assert!(begun.elapsed() < Duration::from_secs(5), "{}", stream.name);
            }
            // Whatever it went through, a key frame can be shown.
            if stream.name != WITH_B_SLICES.name {
                let healed = decode_into(&mut *decoder, &units[0], &mut picture);
                assert_eq!(healed, Ok(Decoded::Picture), "{}", stream.name);
                assert_eq!(hash(&picture), stream.hashes()[0], "{}", stream.name);
            }
        }
        assert!(
            shown > 100 && refused > 20,
            "{}: {shown} {refused}",
            stream.name
        );
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 256 << 20, "{grown} bytes more");
}

#[test]
fn noise_is_refused() {
    let mut random = Random(7);
    for codec in [VideoCodec::H264, VideoCodec::Vp8] {
        let mut decoder = video::decoder(codec, &DecoderConfig::default()).unwrap();
        let mut picture = Picture::new(2, 2);
        for round in 0..2_000 {
            let mut bytes: Vec<u8> = (0..=random.below(200))
                .map(|_| random.next() as u8)
                .collect();
            if codec == VideoCodec::H264 && round % 2 == 0 {
                let kind = [0x67, 0x68, 0x65, 0x41][random.below(4)];
                bytes.splice(0..0, [0, 0, 1, kind]);
            }
            let decoded = decode_into(&mut *decoder, &bytes, &mut picture);
            assert_ne!(decoded, Ok(Decoded::Picture));
        }
    }
}
