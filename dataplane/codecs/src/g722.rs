//! G.722: two bands of 4 kHz, each coded as ADPCM (ITU-T G.722, 64 kbit/s).
//!
//! ```text
//! 16 kHz --QMF--> low band   6 bits --+
//!            '--> high band  2 bits --+--> one byte at 8 kHz
//! ```
//!
//! Ours because a listener who becomes a speaker must leave a shared stream
//! without a click: its own encoder has to start from the shared one's state,
//! so the state is plain data and `Copy`. Names in comments are the blocks of
//! the Recommendation.
//!
//! Not here: the 56 and 48 kbit/s modes, which RFC 3551 does not use.

/// Decision levels of the low band's 60-step quantiser (table 8, Q6).
const LOW_DECISION: [i32; 29] = [
    35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1_023,
    1_121, 1_219, 1_339, 1_458, 1_612, 1_765, 1_980, 2_195, 2_557, 2_919,
];

/// Output of the low band's quantiser at 6 bits (QQ6), by code word.
const LOW_OUTPUT_6: [i32; 64] = [
    -136, -136, -136, -136, -24_808, -21_904, -19_008, -16_704, -14_984, -13_512, -12_280, -11_192,
    -10_232, -9_360, -8_576, -7_856, -7_192, -6_576, -6_000, -5_456, -4_944, -4_464, -4_008,
    -3_576, -3_168, -2_776, -2_400, -2_032, -1_688, -1_360, -1_040, -728, 24_808, 21_904, 19_008,
    16_704, 14_984, 13_512, 12_280, 11_192, 10_232, 9_360, 8_576, 7_856, 7_192, 6_576, 6_000,
    5_456, 4_944, 4_464, 4_008, 3_576, 3_168, 2_776, 2_400, 2_032, 1_688, 1_360, 1_040, 728, 432,
    136, -432, -136,
];

/// The same at 4 bits (QQ4), which is what the predictor sees.
const LOW_OUTPUT_4: [i32; 16] = [
    0, -20_456, -12_896, -8_968, -6_288, -4_240, -2_584, -1_200, 20_456, 12_896, 8_968, 6_288,
    4_240, 2_584, 1_200, 0,
];

/// Logarithmic step of the low band's scale factor (WL), by 4-bit code word.
const LOW_LOG_STEP: [i32; 16] = [
    -60, 3_042, 1_198, 538, 334, 172, 58, -30, 3_042, 1_198, 538, 334, 172, 58, -30, -60,
];

/// Output of the high band's quantiser (QQ2), by code word.
const HIGH_OUTPUT: [i32; 4] = [-7_408, -1_616, 7_408, 1_616];

/// Logarithmic step of the high band's scale factor (WH), by code word.
const HIGH_LOG_STEP: [i32; 4] = [798, -214, 798, -214];

/// Antilogarithm of a scale factor's fraction (ILB).
const ANTILOG: [i32; 32] = [
    2_048, 2_093, 2_139, 2_186, 2_233, 2_282, 2_332, 2_383, 2_435, 2_489, 2_543, 2_599, 2_656,
    2_714, 2_774, 2_834, 2_896, 2_960, 3_025, 3_091, 3_158, 3_228, 3_298, 3_371, 3_444, 3_520,
    3_597, 3_676, 3_756, 3_838, 3_922, 4_008,
];

/// Every second tap of the quadrature mirror filter; the others are the same
/// backwards.
const QMF: [i32; 12] = [3, -11, 12, 32, -210, 951, 3_876, -805, 362, -156, 53, -11];

/// Samples of the past that the filter needs.
const QMF_PAST: usize = 22;

/// Pairs of samples that are filtered at a time.
const PIECE: usize = 160;

const fn saturate(value: i32) -> i32 {
    if value > 32_767 {
        32_767
    } else if value < -32_768 {
        -32_768
    } else {
        value
    }
}

/// Adaptive predictor and quantiser scale of one band.
#[derive(Clone, Copy, Debug)]
struct Band {
    /// Scale factor, logarithmic (NBL, NBH) and plain (DETL, DETH).
    log_scale: i32,
    scale: i32,
    /// Signal estimate (SL, SH) and the zero section's share of it (SZL, SZH).
    estimate: i32,
    zeros: i32,
    /// Reconstructed signal, newest first (RLT).
    reconstructed: [i32; 2],
    /// Partially reconstructed signal, newest first (PLT).
    partial: [i32; 2],
    /// Pole section's coefficients (AL).
    poles_by: [i32; 2],
    /// Quantised differences, newest first (DLT).
    differences: [i32; 6],
    /// Zero section's coefficients (BL).
    zeros_by: [i32; 6],
}

impl Band {
    const fn new(scale: i32) -> Self {
        Self {
            log_scale: 0,
            scale,
            estimate: 0,
            zeros: 0,
            reconstructed: [0; 2],
            partial: [0; 2],
            poles_by: [0; 2],
            differences: [0; 6],
            zeros_by: [0; 6],
        }
    }

    /// LOGSCL, SCALEL and their twins of the high band.
    #[inline]
    fn adapt_scale(&mut self, step: i32, max: i32, shift: i32) {
        self.log_scale = (((self.log_scale * 127) >> 7) + step).clamp(0, max);
        let fraction = ANTILOG[(self.log_scale >> 6) as usize & 31];
        let down = shift - (self.log_scale >> 11);
        let scale = if down < 0 {
            fraction << -down
        } else {
            fraction >> down
        };
        self.scale = scale << 2;
    }

    /// Block 4: the predictor learns from a quantised difference.
    #[inline]
    fn adapt_predictor(&mut self, difference: i32) {
        // RECONS, PARREC
        let reconstructed = saturate(self.estimate + difference);
        let partial = saturate(self.zeros + difference);

        // UPPOL2
        let agrees = (partial ^ self.partial[0]) >= 0;
        let first = saturate(self.poles_by[0] << 2);
        let first = if agrees { (-first).min(32_767) } else { first };
        let second = if (partial ^ self.partial[1]) >= 0 {
            128
        } else {
            -128
        };
        let pole_2 = (first >> 7) + second + ((self.poles_by[1] * 32_512) >> 15);
        let pole_2 = pole_2.clamp(-12_288, 12_288);

        // UPPOL1
        let step = if agrees { 192 } else { -192 };
        let bound = saturate(15_360 - pole_2);
        let pole_1 = saturate(step + ((self.poles_by[0] * 32_640) >> 15)).clamp(-bound, bound);

        // UPZERO, FILTEZ. The leak applies even where the difference is zero.
        let step = if difference == 0 { 0 } else { 128 };
        let mut zeros = 0;
        let mut newest = difference;
        for (by, past) in self.zeros_by.iter_mut().zip(&mut self.differences) {
            let step = if (*past ^ difference) >= 0 {
                step
            } else {
                -step
            };
            *by = saturate(step + ((*by * 32_640) >> 15));
            // DELAYA
            core::mem::swap(past, &mut newest);
            zeros += (*by * saturate(*past << 1)) >> 15;
        }
        self.zeros = saturate(zeros);

        self.reconstructed = [reconstructed, self.reconstructed[0]];
        self.partial = [partial, self.partial[0]];
        self.poles_by = [pole_1, pole_2];

        // FILTEP, PREDIC
        let poles = ((pole_1 * saturate(self.reconstructed[0] << 1)) >> 15)
            + ((pole_2 * saturate(self.reconstructed[1] << 1)) >> 15);
        self.estimate = saturate(saturate(poles) + self.zeros);
    }

    /// What the decoder and the encoder's own decoder do with a low code word.
    #[inline]
    fn adapt_low(&mut self, code: usize) {
        let difference = (self.scale * LOW_OUTPUT_4[code >> 2]) >> 15;
        self.adapt_scale(LOW_LOG_STEP[code >> 2], 18_432, 8);
        self.adapt_predictor(difference);
    }

    /// The same for a high code word; gives the quantised difference.
    #[inline]
    fn adapt_high(&mut self, code: usize) -> i32 {
        let difference = (self.scale * HIGH_OUTPUT[code]) >> 15;
        self.adapt_scale(HIGH_LOG_STEP[code], 22_528, 10);
        self.adapt_predictor(difference);
        difference
    }
}

/// Both bands as a reset leaves them (the Recommendation's table 9).
const RESET: [Band; 2] = [Band::new(32), Band::new(8)];

/// From 16-bit samples at 16 kHz to bytes at 8 kHz.
#[derive(Clone, Copy, Debug)]
pub struct G722Encoder {
    bands: [Band; 2],
    past: [i16; QMF_PAST],
}

impl Default for G722Encoder {
    fn default() -> Self {
        Self {
            bands: RESET,
            past: [0; QMF_PAST],
        }
    }
}

impl G722Encoder {
    /// Encodes pairs of samples to one byte each.
    ///
    /// # Panics
    /// When `pcm` does not hold two samples for each byte of `out`.
    pub fn encode(&mut self, pcm: &[i16], out: &mut [u8]) {
        assert_eq!(pcm.len(), out.len() * 2);
        let mut joined = [0_i16; QMF_PAST + 2 * PIECE];
        for (pcm, out) in pcm.chunks(2 * PIECE).zip(out.chunks_mut(PIECE)) {
            let joined = &mut joined[..QMF_PAST + pcm.len()];
            joined[..QMF_PAST].copy_from_slice(&self.past);
            joined[QMF_PAST..].copy_from_slice(pcm);
            for (index, out) in out.iter_mut().enumerate() {
                let (window, _) = joined[2 * index..].split_at(QMF_PAST + 2);
                let (mut odd, mut even) = (0, 0);
                for (pair, tap) in window.chunks_exact(2).zip(0..12) {
                    odd += i32::from(pair[0]) * QMF[tap];
                    even += i32::from(pair[1]) * QMF[11 - tap];
                }
                let low = self.encode_low((even + odd) >> 14);
                let high = self.encode_high((even - odd) >> 14);
                *out = high << 6 | low;
            }
            self.past.copy_from_slice(&joined[pcm.len()..]);
        }
    }

    #[inline]
    fn encode_low(&mut self, sample: i32) -> u8 {
        let band = &mut self.bands[0];
        // SUBTRA, QUANTL
        let difference = saturate(sample - band.estimate);
        let magnitude = difference ^ (difference >> 31);
        let scale = band.scale;
        let step = LOW_DECISION
            .iter()
            .position(|level| magnitude < (level * scale) >> 12)
            .unwrap_or(LOW_DECISION.len()) as u8;
        // Code words fall as the step grows; the two smallest negative ones are apart.
        let code = match (difference < 0, step) {
            (false, step) => 61 - step,
            (true, step @ 0..=1) => 63 - step,
            (true, step) => 33 - step,
        };
        band.adapt_low(usize::from(code));
        code
    }

    #[inline]
    fn encode_high(&mut self, sample: i32) -> u8 {
        let band = &mut self.bands[1];
        // SUBTRA, QUANTH
        let difference = saturate(sample - band.estimate);
        let magnitude = difference ^ (difference >> 31);
        let outer = magnitude >= (564 * band.scale) >> 12;
        let code = u8::from(!outer) | u8::from(difference >= 0) << 1;
        band.adapt_high(usize::from(code));
        code
    }
}

/// From bytes at 8 kHz to 16-bit samples at 16 kHz.
#[derive(Clone, Copy, Debug)]
pub struct G722Decoder {
    bands: [Band; 2],
    past: [i32; QMF_PAST],
}

impl Default for G722Decoder {
    fn default() -> Self {
        Self {
            bands: RESET,
            past: [0; QMF_PAST],
        }
    }
}

impl G722Decoder {
    /// Decodes each byte to two samples. Any byte is a code word.
    ///
    /// # Panics
    /// When `out` has not room for exactly two samples for each byte.
    pub fn decode(&mut self, codes: &[u8], out: &mut [i16]) {
        assert_eq!(out.len(), codes.len() * 2);
        let mut joined = [0_i32; QMF_PAST + 2 * PIECE];
        for (codes, out) in codes.chunks(PIECE).zip(out.chunks_mut(2 * PIECE)) {
            let joined = &mut joined[..QMF_PAST + out.len()];
            joined[..QMF_PAST].copy_from_slice(&self.past);
            for (pair, &code) in joined[QMF_PAST..].chunks_exact_mut(2).zip(codes) {
                let (low, high) = self.decode_bands(code);
                pair[0] = low + high;
                pair[1] = low - high;
            }
            for (index, out) in out.chunks_exact_mut(2).enumerate() {
                let (window, _) = joined[2 * index..].split_at(QMF_PAST + 2);
                let (mut first, mut second) = (0, 0);
                for (pair, tap) in window.chunks_exact(2).zip(0..12) {
                    second += pair[0] * QMF[tap];
                    first += pair[1] * QMF[11 - tap];
                }
                out[0] = saturate(first >> 11) as i16;
                out[1] = saturate(second >> 11) as i16;
            }
            self.past.copy_from_slice(&joined[out.len()..]);
        }
    }

    #[inline]
    fn decode_bands(&mut self, code: u8) -> (i32, i32) {
        let [low, high] = &mut self.bands;
        let code_low = usize::from(code & 0x3f);
        // INVQBL, RECONS, LIMIT
        let difference = (low.scale * LOW_OUTPUT_6[code_low]) >> 15;
        let sample_low = (low.estimate + difference).clamp(-16_384, 16_383);
        low.adapt_low(code_low);

        let estimate = high.estimate;
        let difference = high.adapt_high(usize::from(code >> 6));
        let sample_high = (estimate + difference).clamp(-16_384, 16_383);
        (sample_low, sample_high)
    }
}

#[cfg(test)]
mod tests;
