use super::*;

/// Bits of Marsaglia's xorshift64.
struct Bits(u64);

impl Bits {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Four seconds of rising tones in noise, at eight loudnesses. Whole numbers
/// only, so that everybody computes the same.
fn signal() -> Vec<i16> {
    let mut bits = Bits(0x9e37_79b9_7f4a_7c15);
    let mut phase = 0;
    (0..64_000)
        .map(|index: i32| {
            let noise = ((bits.next() >> 32) & 0xffff) as i32 - 32_768;
            phase = (phase + index / 3_200 * 997 + 1_500) & 0xffff;
            let triangle = (phase - 32_768).abs() * 2 - 32_768;
            let mixed = ((noise >> 3) + ((triangle * 7) >> 3)) >> (index / 1_600 % 8);
            mixed.clamp(-32_768, 32_767) as i16
        })
        .collect()
}

/// FNV-1a.
fn hash(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn hash_pcm(pcm: &[i16]) -> u64 {
    hash(pcm.iter().flat_map(|sample| sample.to_le_bytes()))
}

/// What SpanDSP 0.0.6 makes of the same signal, and what FFmpeg 5.1 makes of
/// the bytes: two implementations, neither an ancestor of this one. (SpanDSP's
/// decoder does not saturate, so it is no judge of loud sound.) The
/// Recommendation's own sequences may not be passed on.
#[test]
fn agrees_with_independent_implementations() {
    let pcm = signal();
    let mut codes = vec![0; pcm.len() / 2];
    // Frames of unequal length: nothing may depend on where they end.
    let mut encoder = G722Encoder::default();
    let mut rest = codes.as_mut_slice();
    let mut pcm_rest = pcm.as_slice();
    for pairs in [1, 80, 160, 333, 480].into_iter().cycle() {
        let pairs = pairs.min(rest.len());
        let (now, later) = rest.split_at_mut(pairs);
        encoder.encode(&pcm_rest[..2 * pairs], now);
        (rest, pcm_rest) = (later, &pcm_rest[2 * pairs..]);
        if rest.is_empty() {
            break;
        }
    }
    assert_eq!(hash(codes.iter().copied()), 0x24ae_9613_51f0_0e7f);

    let mut decoded = vec![0; pcm.len()];
    G722Decoder::default().decode(&codes, &mut decoded);
    assert_eq!(hash_pcm(&decoded), 0x089e_8d45_273c_280e);
}

/// Every code word in every order: FFmpeg 5.1 hears the same.
#[test]
fn agrees_on_random_codes() {
    let mut bits = Bits(0x0123_4567_89ab_cdef);
    let codes: Vec<u8> = (0..16_000).map(|_| (bits.next() >> 40) as u8).collect();
    let mut decoded = vec![0; 32_000];
    let mut decoder = G722Decoder::default();
    for (codes, out) in codes.chunks(457).zip(decoded.chunks_mut(914)) {
        decoder.decode(codes, out);
    }
    assert_eq!(hash_pcm(&decoded), 0x2482_1b21_edd1_913e);
}

/// Full-scale noise of any shape overflows nothing (the dev profile checks).
#[test]
fn full_scale_stays_within_its_integers() {
    let mut bits = Bits(7);
    let loud: Vec<i16> = (0..64_000)
        .map(|index| {
            let run = 1 + index / 640;
            let up = if index % 3 == 0 {
                bits.next() & 1 == 0
            } else {
                index / run % 2 == 0
            };
            if up { i16::MAX } else { i16::MIN }
        })
        .collect();
    let mut codes = vec![0; loud.len() / 2];
    let mut decoded = vec![0; loud.len()];
    G722Encoder::default().encode(&loud, &mut codes);
    G722Decoder::default().decode(&codes, &mut decoded);
}
