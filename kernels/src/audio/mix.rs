//! Sums of speakers, and what each listener hears of a sum.
//!
//! A mix is kept in 32 bits, so that the order of speakers never matters and
//! one speaker can be taken out again exactly (N-1). Only what leaves is cut
//! to 16 bits. Cutting distorts: a mixer that lets several loud speakers
//! through puts [`super::limit`] before it.
//!
//! Sums wrap. At 24 dB of gain it takes 4,096 full-scale speakers to get there.

use super::gain::Gain;
use crate::levels::kernels;

kernels! {
    scalar;

    /// Adds a speaker to a mix: `acc += input`.
    ///
    /// # Panics
    /// When the lengths differ.
    pub fn accumulate(acc: &mut [i32], input: &[i16]);

    /// Adds a speaker to a mix at a gain: `acc += (input * gain + 1/2)`, floored.
    /// Nothing is cut to 16 bits.
    ///
    /// # Panics
    /// When the lengths differ.
    pub fn accumulate_gain(acc: &mut [i32], input: &[i16], gain: Gain);

    /// What a speaker hears: the mix without what [`accumulate`] added for it,
    /// cut to 16 bits.
    ///
    /// # Panics
    /// When the lengths differ.
    pub fn subtract_saturate(out: &mut [i16], mix: &[i32], own: &[i16]);

    /// [`subtract_saturate`] for a speaker that [`accumulate_gain`] added:
    /// exactly that is taken out.
    ///
    /// # Panics
    /// When the lengths differ.
    pub fn subtract_gain_saturate(out: &mut [i16], mix: &[i32], own: &[i16], gain: Gain);

    /// Largest magnitude of a mix; 0 when it is empty.
    pub fn peak(mix: &[i32]) -> u32;
}

/// What a mere listener hears: the mix, cut to 16 bits.
///
/// # Panics
/// When the lengths differ.
pub fn saturate(out: &mut [i16], mix: &[i32]) {
    assert_eq!(out.len(), mix.len());
    for (out, &sum) in out.iter_mut().zip(mix) {
        *out = cut(sum);
    }
}

/// The nearest 16-bit sample.
#[inline(always)]
pub(crate) const fn cut(sum: i32) -> i16 {
    // `clamp` is not const; the compiler makes the same two instructions of this.
    if sum > i16::MAX as i32 {
        i16::MAX
    } else if sum < i16::MIN as i32 {
        i16::MIN
    } else {
        sum as i16
    }
}

/// The specification.
pub mod scalar {
    use super::{Gain, cut};

    /// See [`super::accumulate`].
    #[inline(always)]
    pub fn accumulate(acc: &mut [i32], input: &[i16]) {
        assert_eq!(acc.len(), input.len());
        for (sum, &sample) in acc.iter_mut().zip(input) {
            *sum = sum.wrapping_add(i32::from(sample));
        }
    }

    /// See [`super::accumulate_gain`].
    #[inline(always)]
    pub fn accumulate_gain(acc: &mut [i32], input: &[i16], gain: Gain) {
        assert_eq!(acc.len(), input.len());
        for (sum, &sample) in acc.iter_mut().zip(input) {
            *sum = sum.wrapping_add(gain.times(sample));
        }
    }

    /// See [`super::subtract_saturate`].
    #[inline(always)]
    pub fn subtract_saturate(out: &mut [i16], mix: &[i32], own: &[i16]) {
        assert_eq!(out.len(), mix.len());
        assert_eq!(out.len(), own.len());
        for ((out, &sum), &own) in out.iter_mut().zip(mix).zip(own) {
            *out = cut(sum.wrapping_sub(i32::from(own)));
        }
    }

    /// See [`super::subtract_gain_saturate`].
    #[inline(always)]
    pub fn subtract_gain_saturate(out: &mut [i16], mix: &[i32], own: &[i16], gain: Gain) {
        assert_eq!(out.len(), mix.len());
        assert_eq!(out.len(), own.len());
        for ((out, &sum), &own) in out.iter_mut().zip(mix).zip(own) {
            *out = cut(sum.wrapping_sub(gain.times(own)));
        }
    }

    /// See [`super::peak`].
    #[inline(always)]
    #[must_use]
    pub fn peak(mix: &[i32]) -> u32 {
        mix.iter()
            .fold(0, |peak, &sum| peak.max(sum.unsigned_abs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::noise::Noise;
    use crate::cpu::Level;

    fn gain(noise: &mut Noise) -> Gain {
        Gain::from_q12((noise.next() >> 48) as u16)
    }

    #[test]
    fn every_level_agrees_with_the_scalar() {
        let mut noise = Noise::seeded(1);
        for len in noise.lengths() {
            let (mix, input, gain) = (noise.mix(len), noise.samples(len), gain(&mut noise));
            for level in Level::granted() {
                let (mut fast, mut slow) = (mix.clone(), mix.clone());
                at::accumulate(level, &mut fast, &input);
                scalar::accumulate(&mut slow, &input);
                assert_eq!(fast, slow, "accumulate, {level:?}, {len} samples");

                at::accumulate_gain(level, &mut fast, &input, gain);
                scalar::accumulate_gain(&mut slow, &input, gain);
                assert_eq!(fast, slow, "accumulate_gain, {level:?}, {len} samples");

                let (mut fast, mut slow) = (vec![0; len], vec![1; len]);
                at::subtract_saturate(level, &mut fast, &mix, &input);
                scalar::subtract_saturate(&mut slow, &mix, &input);
                assert_eq!(fast, slow, "subtract_saturate, {level:?}, {len} samples");

                at::subtract_gain_saturate(level, &mut fast, &mix, &input, gain);
                scalar::subtract_gain_saturate(&mut slow, &mix, &input, gain);
                assert_eq!(fast, slow, "subtract_gain, {level:?}, {len} samples");

                assert_eq!(at::peak(level, &mix), scalar::peak(&mix), "{level:?} {len}");
            }
        }
    }

    #[test]
    fn a_speaker_is_taken_out_exactly() {
        let mut noise = Noise::seeded(2);
        let speakers: Vec<_> = (0..5).map(|_| noise.samples(960)).collect();
        let gains: Vec<_> = (0..5).map(|_| gain(&mut noise)).collect();
        let mut mix = vec![0; 960];
        for (speaker, &gain) in speakers.iter().zip(&gains) {
            accumulate_gain(&mut mix, speaker, gain);
        }
        for alone in 0..5 {
            let mut others = vec![0; 960];
            for other in (0..5).filter(|&other| other != alone) {
                accumulate_gain(&mut others, &speakers[other], gains[other]);
            }
            let (mut heard, mut wanted) = (vec![0; 960], vec![1; 960]);
            subtract_gain_saturate(&mut heard, &mix, &speakers[alone], gains[alone]);
            saturate(&mut wanted, &others);
            assert_eq!(heard, wanted);
        }
    }

    #[test]
    fn sums_beyond_16_bits_are_cut() {
        let mut out = [0; 4];
        saturate(&mut out, &[32_767, 32_768, -32_768, -32_769]);
        assert_eq!(out, [32_767, 32_767, -32_768, -32_768]);
        subtract_saturate(&mut out, &[40_000, 40_000, i32::MIN, 5], &[10_000, 0, 0, 6]);
        assert_eq!(out, [30_000, 32_767, -32_768, -1]);
        assert_eq!(peak(&[1, i32::MIN, 7]), 1 << 31);
        assert_eq!(peak(&[]), 0);
    }

    #[test]
    fn unity_gain_is_no_gain() {
        let all: Vec<i16> = (i16::MIN..=i16::MAX).collect();
        let (mut with, mut without) = (vec![7; all.len()], vec![7; all.len()]);
        accumulate_gain(&mut with, &all, Gain::UNITY);
        accumulate(&mut without, &all);
        assert_eq!(with, without);
    }
}
