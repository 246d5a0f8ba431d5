//! How loud a frame is.

use crate::levels::kernels;

kernels! {
    scalar;

    /// Sum of the squares of the samples.
    pub fn energy(input: &[i16]) -> u64;
}

/// The level of RFC 6464 and RFC 6465: the root mean square of `samples`
/// samples in -dBov, from 0 (a full-scale square wave) to 127 (silence),
/// rounded. A full-scale sine is 3. No samples are silence.
#[must_use]
pub fn level_dbov(energy: u64, samples: usize) -> u8 {
    if energy == 0 || samples == 0 {
        return 127;
    }
    // Two of 53 bits are lost at most: nothing against a whole decibel.
    let mean_square = energy as f64 / samples as f64;
    let full_scale = f64::from(1_u32 << 30);
    let below = -10.0 * (mean_square / full_scale).log10();
    below.round().clamp(0.0, 127.0) as u8
}

/// The specification.
pub mod scalar {
    /// See [`super::energy`].
    #[inline(always)]
    #[must_use]
    pub fn energy(input: &[i16]) -> u64 {
        let square = |&sample: &i16| u64::from((i32::from(sample) * i32::from(sample)) as u32);
        input.iter().map(square).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::noise::Noise;
    use crate::cpu::Level;

    #[test]
    fn every_level_agrees_with_the_scalar() {
        let mut noise = Noise::seeded(4);
        for len in noise.lengths() {
            let input = noise.samples(len);
            for level in Level::granted() {
                assert_eq!(
                    at::energy(level, &input),
                    scalar::energy(&input),
                    "{level:?} {len}"
                );
            }
        }
        let loudest = vec![i16::MIN; 1_920];
        assert_eq!(energy(&loudest), 1_920 << 30);
    }

    /// <https://www.rfc-editor.org/rfc/rfc6464#section-3>
    #[test]
    fn levels_of_rfc6464_3() {
        let of = |samples: &[i16]| level_dbov(energy(samples), samples.len());
        assert_eq!(of(&[]), 127);
        assert_eq!(of(&[0; 160]), 127);
        assert_eq!(of(&[i16::MIN; 160]), 0);
        assert_eq!(of(&[i16::MAX; 160]), 0);
        // A single least bit, for ever: 20 log10(1 / 32768) = -90.3.
        assert_eq!(of(&[1; 160]), 90);
        let sine = |peak: f64| -> Vec<i16> {
            let radians = |n: u32| f64::from(n) * std::f64::consts::TAU / 16.0;
            (0..160)
                .map(|n| (peak * radians(n).sin()).round() as i16)
                .collect()
        };
        assert_eq!(of(&sine(32_767.0)), 3);
        for below in 3..=70_u8 {
            let peak = 32_768.0 * 10_f64.powf((3.0103 - f64::from(below)) / 20.0);
            assert_eq!(of(&sine(peak.min(32_767.0))), below);
        }
        assert_eq!(level_dbov(1, usize::MAX), 127);
        assert_eq!(level_dbov(u64::MAX, 1), 0);
    }
}
