//! G.711: eight bits that are a tiny floating-point number.
//!
//! A code is a sign, a three-bit exponent and a four-bit mantissa. An `f32`
//! has the same three fields, only wider. So no table is needed: converting a
//! magnitude to `f32` finds the exponent, and one shift leaves both fields side
//! by side, just as the code wants them:
//!
//! ```text
//! f32    s eeeeeeee mmmmmmmmmmmmmmmmmmmmmmm        >> 19
//! code   s      eee mmmm                           - (bias << 4)
//! ```
//!
//! Decoding goes the other way, with the next mantissa bit set: the middle of
//! the interval. All of it is exact, for every number on the way has fewer
//! than 24 bits.
//!
//! The specification is [`scalar`]; it behaves as the reference code of ITU-T
//! G.191 does on all 65,536 samples and 256 codes (negative samples are
//! complemented, not negated: -1 is in the same interval as 0).

use crate::levels::kernels;

kernels! {
    lanes;

    /// Decodes mu-law to 16-bit samples.
    ///
    /// # Panics
    /// When the lengths differ.
    pub fn decode_ulaw(out: &mut [i16], codes: &[u8]);

    /// Decodes A-law to 16-bit samples.
    ///
    /// # Panics
    /// When the lengths differ.
    pub fn decode_alaw(out: &mut [i16], codes: &[u8]);

    /// Encodes 16-bit samples as mu-law.
    ///
    /// # Panics
    /// When the lengths differ.
    pub fn encode_ulaw(out: &mut [u8], samples: &[i16]);

    /// Encodes 16-bit samples as A-law.
    ///
    /// # Panics
    /// When the lengths differ.
    pub fn encode_alaw(out: &mut [u8], samples: &[i16]);
}

/// The mu-law code of silence.
pub const ULAW_SILENCE: u8 = 0xff;
/// The A-law code next to silence (A-law has no zero).
pub const ALAW_SILENCE: u8 = 0xd5;

/// The float way, one sample a lane.
mod lanes {
    /// Exponent bias of `f32`, in place.
    const fn exponent(power: u32) -> u32 {
        (127 + power) << 23
    }

    /// 2^23: added to a smaller whole `f32`, it brings that number to the
    /// bottom of the mantissa.
    const WHOLE: f32 = 8_388_608.0;

    #[inline(always)]
    fn whole(value: f32) -> i32 {
        ((value + WHOLE).to_bits() & 0x7f_ffff) as i32
    }

    #[inline(always)]
    pub(super) fn decode_ulaw(out: &mut [i16], codes: &[u8]) {
        assert_eq!(out.len(), codes.len());
        for (out, &code) in out.iter_mut().zip(codes) {
            let code = !code;
            let middle = (u32::from(code & 0x7f) << 19) + exponent(5) + (1 << 18);
            let magnitude = (whole(f32::from_bits(middle)) - 33) << 2;
            let sign = -i32::from(code >> 7);
            *out = ((magnitude ^ sign) - sign) as i16;
        }
    }

    #[inline(always)]
    pub(super) fn decode_alaw(out: &mut [i16], codes: &[u8]) {
        assert_eq!(out.len(), codes.len());
        for (out, &code) in out.iter_mut().zip(codes) {
            let code = code ^ 0x55;
            let low = i32::from(code & 0x7f);
            let middle = ((low as u32) << 19) + exponent(7) + (1 << 18);
            // Exponent 0 has no hidden one: it goes on in the steps of exponent 1.
            let magnitude = if low < 16 {
                (low << 4) + 8
            } else {
                whole(f32::from_bits(middle))
            };
            let sign = i32::from(code >> 7) - 1;
            *out = ((magnitude ^ sign) - sign) as i16;
        }
    }

    #[inline(always)]
    pub(super) fn encode_ulaw(out: &mut [u8], samples: &[i16]) {
        assert_eq!(out.len(), samples.len());
        for (out, &sample) in out.iter_mut().zip(samples) {
            let sample = i32::from(sample);
            let sign = sample >> 31;
            let magnitude = (((sample ^ sign) >> 2) + 33).min(8_191);
            let code = ((magnitude as f32).to_bits() - exponent(5)) >> 19;
            *out = !(code as u8 | (sign as u8 & 0x80));
        }
    }

    #[inline(always)]
    pub(super) fn encode_alaw(out: &mut [u8], samples: &[i16]) {
        assert_eq!(out.len(), samples.len());
        for (out, &sample) in out.iter_mut().zip(samples) {
            let sample = i32::from(sample);
            let sign = sample >> 31;
            let magnitude = (sample ^ sign) >> 4;
            let float = (magnitude as f32).to_bits().wrapping_sub(exponent(3)) >> 19;
            let code = if magnitude < 16 {
                magnitude as u32
            } else {
                float
            };
            *out = (code as u8 | (!sign as u8 & 0x80)) ^ 0x55;
        }
    }
}

/// The specification: ITU-T G.711 in whole numbers, one sample at a time.
pub mod scalar {
    /// The sample in the middle of a mu-law code's interval (G.711 table 2).
    #[must_use]
    pub const fn ulaw_to_linear(code: u8) -> i16 {
        // All bits are sent inverted.
        let code = !code;
        let (exponent, mantissa) = (code >> 4 & 7, (code & 15) as i16);
        // Intervals are 2, 4, .. 256 wide on a scale of 14 bits, after one of
        // width 1 at zero; 33 is what that one lacks.
        let magnitude = (((2 * mantissa + 33) << exponent) - 33) << 2;
        if code & 0x80 == 0 {
            magnitude
        } else {
            -magnitude
        }
    }

    /// The sample in the middle of an A-law code's interval (G.711 table 1).
    #[must_use]
    pub const fn alaw_to_linear(code: u8) -> i16 {
        // Even bits are sent inverted.
        let code = code ^ 0x55;
        let (exponent, mantissa) = (code >> 4 & 7, (code & 15) as i16);
        // Twice the interval's middle on a scale of 12 bits.
        let twice = match exponent {
            0 => 2 * mantissa + 1,
            _ => (2 * mantissa + 33) << (exponent - 1),
        };
        let magnitude = twice << 3;
        if code & 0x80 == 0 {
            -magnitude
        } else {
            magnitude
        }
    }

    /// The mu-law code whose interval holds the sample.
    #[must_use]
    pub const fn linear_to_ulaw(sample: i16) -> u8 {
        let folded = if sample < 0 { !sample } else { sample };
        let mut magnitude = (folded >> 2) + 33;
        if magnitude > 8_191 {
            magnitude = 8_191;
        }
        let mut exponent = 0;
        while magnitude >= 64 << exponent {
            exponent += 1;
        }
        let mantissa = (magnitude >> (exponent + 1) & 15) as u8;
        let sign = if sample < 0 { 0x80 } else { 0 };
        !(sign | exponent << 4 | mantissa)
    }

    /// The A-law code whose interval holds the sample.
    #[must_use]
    pub const fn linear_to_alaw(sample: i16) -> u8 {
        let magnitude = (if sample < 0 { !sample } else { sample }) >> 4;
        let mut exponent = 0;
        while magnitude >= 16 << exponent {
            exponent += 1;
        }
        let mantissa = match exponent {
            0 => magnitude,
            _ => magnitude >> (exponent - 1) & 15,
        } as u8;
        let sign = if sample < 0 { 0 } else { 0x80 };
        (sign | (exponent as u8) << 4 | mantissa) ^ 0x55
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::noise::Noise;
    use crate::cpu::Level;

    fn all_samples() -> Vec<i16> {
        (i16::MIN..=i16::MAX).collect()
    }

    fn all_codes() -> Vec<u8> {
        (0..=u8::MAX).collect()
    }

    type Decode = (fn(Level, &mut [i16], &[u8]), fn(u8) -> i16);
    type Encode = (fn(Level, &mut [u8], &[i16]), fn(i16) -> u8);

    const DECODERS: [Decode; 2] = [
        (at::decode_ulaw, scalar::ulaw_to_linear),
        (at::decode_alaw, scalar::alaw_to_linear),
    ];
    const ENCODERS: [Encode; 2] = [
        (at::encode_ulaw, scalar::linear_to_ulaw),
        (at::encode_alaw, scalar::linear_to_alaw),
    ];

    #[test]
    fn every_level_agrees_with_the_scalar() {
        let mut noise = Noise::seeded(7);
        let mut inputs = vec![all_samples()];
        for len in noise.lengths() {
            inputs.push(noise.samples(len));
        }
        for level in Level::granted() {
            for samples in &inputs {
                let codes: Vec<u8> = samples.iter().map(|&s| s as u8).collect();
                for (kernel, one) in DECODERS {
                    let mut out = vec![0; codes.len()];
                    kernel(level, &mut out, &codes);
                    let wanted: Vec<_> = codes.iter().map(|&code| one(code)).collect();
                    assert_eq!(out, wanted, "{level:?}, {} codes", codes.len());
                }
                for (kernel, one) in ENCODERS {
                    let mut out = vec![0; samples.len()];
                    kernel(level, &mut out, samples);
                    let wanted: Vec<_> = samples.iter().map(|&sample| one(sample)).collect();
                    assert_eq!(out, wanted, "{level:?}, {} samples", samples.len());
                }
            }
        }
    }

    /// Decision values of the positive half as G.711 tabulates them: each
    /// segment's first value, step and count of intervals.
    fn decisions(segments: &[(i32, i32, i32)]) -> Vec<i32> {
        segments
            .iter()
            .flat_map(|&(first, step, count)| (0..count).map(move |n| first + n * step))
            .collect()
    }

    /// <https://www.itu.int/rec/T-REC-G.711>, tables 2a and 2b, on a scale of 14 bits.
    #[test]
    fn ulaw_is_that_of_g711_table_2() {
        let decisions = decisions(&[
            (0, 1, 1),
            (1, 2, 15),
            (31, 4, 16),
            (95, 8, 16),
            (223, 16, 16),
            (479, 32, 16),
            (991, 64, 16),
            (2_015, 128, 16),
            (4_063, 256, 16),
        ]);
        assert_eq!(decisions.len(), 128);
        for sample in all_samples() {
            let magnitude = i32::from(if sample < 0 { !sample } else { sample }) >> 2;
            let interval = decisions.iter().rposition(|&d| d <= magnitude).unwrap();
            let sign = if sample < 0 { 0x00 } else { 0x80 };
            let code = sign | (127 - interval as u8);
            assert_eq!(scalar::linear_to_ulaw(sample), code, "{sample}");
        }
        for code in all_codes() {
            let interval = usize::from(127 - (code & 0x7f));
            let last = 8_159;
            let end = decisions.get(interval + 1).copied().unwrap_or(last);
            // The quantised value is the middle, but zero for the first.
            let value = match interval {
                0 => 0,
                _ => (decisions[interval] + end) / 2,
            };
            let value = if code & 0x80 == 0 { -value } else { value };
            assert_eq!(
                i32::from(scalar::ulaw_to_linear(code)),
                4 * value,
                "{code:#x}"
            );
        }
    }

    /// <https://www.itu.int/rec/T-REC-G.711>, tables 1a and 1b, on a scale of
    /// 13 bits: the tables' own, where the least interval is 2.
    #[test]
    fn alaw_is_that_of_g711_table_1() {
        let decisions = decisions(&[
            (0, 2, 32),
            (64, 4, 16),
            (128, 8, 16),
            (256, 16, 16),
            (512, 32, 16),
            (1_024, 64, 16),
            (2_048, 128, 16),
        ]);
        assert_eq!(decisions.len(), 128);
        for sample in all_samples() {
            let magnitude = i32::from(if sample < 0 { !sample } else { sample }) >> 3;
            let interval = decisions.iter().rposition(|&d| d <= magnitude).unwrap();
            let sign = if sample < 0 { 0x00 } else { 0x80 };
            let code = (sign | interval as u8) ^ 0x55;
            assert_eq!(scalar::linear_to_alaw(sample), code, "{sample}");
        }
        for code in all_codes() {
            let interval = usize::from((code ^ 0x55) & 0x7f);
            let end = decisions.get(interval + 1).copied().unwrap_or(4_096);
            let value = (decisions[interval] + end) / 2;
            let value = if (code ^ 0x55) & 0x80 == 0 {
                -value
            } else {
                value
            };
            assert_eq!(
                i32::from(scalar::alaw_to_linear(code)),
                8 * value,
                "{code:#x}"
            );
        }
    }

    #[test]
    fn codes_survive_the_round_trip() {
        let (mut samples, mut codes) = ([0; 256], [0; 256]);
        decode_alaw(&mut samples, &all_codes());
        encode_alaw(&mut codes, &samples);
        assert_eq!(codes.as_slice(), all_codes());
        decode_ulaw(&mut samples, &all_codes());
        encode_ulaw(&mut codes, &samples);
        // mu-law has two zeros, and a sample has one.
        assert_eq!((samples[0x7f], codes[0x7f]), (0, ULAW_SILENCE));
        codes[0x7f] = 0x7f;
        assert_eq!(codes.as_slice(), all_codes());
        assert_eq!(scalar::ulaw_to_linear(ULAW_SILENCE), 0);
        assert_eq!(scalar::alaw_to_linear(ALAW_SILENCE), 8);
        assert_eq!(scalar::ulaw_to_linear(0x80), 32_124);
        assert_eq!(scalar::alaw_to_linear(0xaa), 32_256);
    }
}
