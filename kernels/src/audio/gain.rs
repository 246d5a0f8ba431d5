//! Gain, steady and moving.
//!
//! A gain that changes between two frames is heard as a click; [`ramp_gain`]
//! moves it sample by sample. Fading out is a ramp to [`Gain::SILENCE`].

use super::mix::cut;
use crate::levels::kernels;

/// A factor from 0 to just under 16 (+24 dB), in steps of 1/4096.
///
/// The bound is what keeps a sample times a gain within 32 bits.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Gain(u16);

impl Gain {
    /// Nothing is left.
    pub const SILENCE: Self = Self(0);
    /// Nothing is changed.
    pub const UNITY: Self = Self(1 << 12);
    /// +24.08 dB.
    pub const MAX: Self = Self(u16::MAX);

    /// `q12` / 4096.
    #[must_use]
    pub const fn from_q12(q12: u16) -> Self {
        Self(q12)
    }

    /// 4096 times the factor.
    #[must_use]
    pub const fn q12(self) -> u16 {
        self.0
    }

    /// The nearest to `hundredths` / 100 dB; [`Gain::MAX`] where that is too much.
    /// Computes a power: for changes of configuration, not for each frame.
    #[must_use]
    pub fn from_hundredths_db(hundredths: i16) -> Self {
        let factor = 10_f64.powf(f64::from(hundredths) / 2_000.0);
        // A float cast saturates: what is too loud becomes the maximum.
        Self((factor * 4_096.0).round() as u16)
    }

    /// A sample at this gain, rounded, halves upwards.
    #[inline(always)]
    #[must_use]
    pub const fn times(self, sample: i16) -> i32 {
        (sample as i32 * self.0 as i32 + (1 << 11)) >> 12
    }
}

impl Default for Gain {
    fn default() -> Self {
        Self::UNITY
    }
}

kernels! {
    scalar;

    /// Makes a frame louder or softer, cut to 16 bits.
    pub fn apply_gain(io: &mut [i16], gain: Gain);

    /// Moves the gain over a frame in a straight line. The first sample is one
    /// step away from `from` and the last one is at `to` (within 1/4096), so
    /// frames whose ends agree join without a step.
    ///
    /// # Panics
    /// When the frame is longer than [`RAMP_SAMPLES_MAX`].
    pub fn ramp_gain(io: &mut [i16], from: Gain, to: Gain);
}

/// Longest ramp; on longer ones the steps would round to something else.
pub const RAMP_SAMPLES_MAX: usize = 1 << 14;

/// A straight line between two gains, in 2^-26 units.
#[derive(Clone, Copy)]
pub(crate) struct Line {
    start: i32,
    step: i32,
}

impl Line {
    /// Reaches `to` after `len` samples; `len` is 1 to [`RAMP_SAMPLES_MAX`].
    #[inline(always)]
    pub(crate) fn new(from: Gain, to: Gain, len: usize) -> Self {
        debug_assert!((1..=RAMP_SAMPLES_MAX).contains(&len));
        let start = i32::from(from.0) << 14;
        let rise = (i32::from(to.0) << 14) - start;
        Self {
            start,
            step: rise / len as i32,
        }
    }

    /// The gain of sample `index`, counted from 0, in 1/4096.
    #[inline(always)]
    pub(crate) const fn q12(self, index: usize) -> i32 {
        (self.start + self.step * (index as i32 + 1)) >> 14
    }
}

/// The specification.
pub mod scalar {
    use super::{Gain, Line, RAMP_SAMPLES_MAX, cut};

    /// See [`super::apply_gain`].
    #[inline(always)]
    pub fn apply_gain(io: &mut [i16], gain: Gain) {
        if gain == Gain::UNITY {
            return;
        }
        for sample in io {
            *sample = cut(gain.times(*sample));
        }
    }

    /// See [`super::ramp_gain`].
    #[inline(always)]
    pub fn ramp_gain(io: &mut [i16], from: Gain, to: Gain) {
        assert!(io.len() <= RAMP_SAMPLES_MAX);
        if io.is_empty() {
            return;
        }
        let line = Line::new(from, to, io.len());
        for (index, sample) in io.iter_mut().enumerate() {
            *sample = cut((i32::from(*sample) * line.q12(index) + (1 << 11)) >> 12);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::noise::Noise;
    use crate::cpu::Level;

    #[test]
    fn every_level_agrees_with_the_scalar() {
        let mut noise = Noise::seeded(3);
        for len in noise.lengths() {
            let input = noise.samples(len);
            let from = Gain::from_q12((noise.next() >> 48) as u16);
            let to = Gain::from_q12((noise.next() >> 48) as u16);
            for level in Level::granted() {
                let (mut fast, mut slow) = (input.clone(), input.clone());
                at::apply_gain(level, &mut fast, from);
                scalar::apply_gain(&mut slow, from);
                assert_eq!(fast, slow, "apply_gain, {level:?}, {len} samples");

                at::ramp_gain(level, &mut fast, from, to);
                scalar::ramp_gain(&mut slow, from, to);
                assert_eq!(fast, slow, "ramp_gain, {level:?}, {len} samples");
            }
        }
    }

    #[test]
    fn extremes_stay_within_32_bits() {
        for (from, to) in [
            (Gain::SILENCE, Gain::MAX),
            (Gain::MAX, Gain::SILENCE),
            (Gain::MAX, Gain::MAX),
        ] {
            for len in [1, 2, 1_920, RAMP_SAMPLES_MAX] {
                let mut io: Vec<i16> = [i16::MIN, i16::MAX].into_iter().cycle().take(len).collect();
                // Overflow would panic here in the dev profile.
                ramp_gain(&mut io, from, to);
                apply_gain(&mut io, Gain::MAX);
                assert!(
                    io.iter()
                        .enumerate()
                        .all(|(i, &s)| s == 0 || (s < 0) == (i % 2 == 0))
                );
            }
        }
    }

    #[test]
    fn a_ramp_has_no_step() {
        let mut frames = vec![10_000; 3 * 480];
        let (first, rest) = frames.split_at_mut(480);
        let (second, third) = rest.split_at_mut(480);
        ramp_gain(first, Gain::SILENCE, Gain::UNITY);
        apply_gain(second, Gain::UNITY);
        ramp_gain(third, Gain::UNITY, Gain::SILENCE);
        assert!(frames[0] <= 21 && frames[3 * 480 - 1] <= 3);
        assert_eq!(frames[480], 10_000);
        let steepest = frames.windows(2).map(|w| (w[1] - w[0]).abs()).max();
        assert!(steepest <= Some(23), "{steepest:?}");
    }

    #[test]
    fn decibels() {
        for (hundredths, q12) in [
            (0, 4_096),
            (600, 8_173),
            (-600, 2_053),
            (2_408, 65_518),
            (2_500, 65_535),
            (i16::MAX, 65_535),
            (-2_000, 410),
            (i16::MIN, 0),
        ] {
            assert_eq!(
                Gain::from_hundredths_db(hundredths).q12(),
                q12,
                "{hundredths}"
            );
        }
    }
}
