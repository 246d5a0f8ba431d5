//! Comfort noise: what a line sounds like when nobody speaks (RFC 3389).
//!
//! Flat noise at the level that was asked for. It approaches a new level over
//! some 30 ms, so that a change is not heard as an event. Not here: the noise's
//! spectrum, which RFC 3389 makes optional, and the payload's format.

/// A source of noise.
#[derive(Clone, Copy, Debug)]
pub struct ComfortNoise {
    bits: u32,
    /// Peak of the noise now and where it goes, in 1/256 of a sample.
    peak: i32,
    target: i32,
    level_dbov: u8,
}

/// Lowest level in -dBov; "silence".
const SILENT: u8 = 127;

impl Default for ComfortNoise {
    fn default() -> Self {
        Self {
            bits: 0x9e37_79b9,
            peak: 0,
            target: 0,
            level_dbov: SILENT,
        }
    }
}

impl ComfortNoise {
    /// Fills `out` with noise whose root mean square is `level_dbov` below
    /// overload (0 to 127; what is above 127 is 127, no sound at all).
    pub fn fill(&mut self, level_dbov: u8, out: &mut [i16]) {
        let level_dbov = level_dbov.min(SILENT);
        if level_dbov != self.level_dbov {
            self.level_dbov = level_dbov;
            // Even noise between -peak and peak has a root mean square of peak / sqrt(3).
            let rms = 32_768.0 * 10_f32.powf(-f32::from(level_dbov) / 20.0);
            let peak = (rms * 3_f32.sqrt()).min(32_767.0);
            self.target = if level_dbov == SILENT {
                0
            } else {
                (peak * 256.0) as i32
            };
        }
        for out in out {
            self.peak += (self.target - self.peak) / 128;
            // Numerical Recipes' quick generator; its upper half is random enough.
            self.bits = self
                .bits
                .wrapping_mul(1_664_525)
                .wrapping_add(1_013_904_223);
            let random = i64::from(self.bits as i32 >> 16);
            *out = (random * i64::from(self.peak) / (1 << 23)) as i16;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plenum_kernels::audio::level;

    #[test]
    fn the_level_is_what_was_asked_for() {
        for level_dbov in [10, 30, 50, 60, 70] {
            let mut noise = ComfortNoise::default();
            let mut out = [0; 8_000];
            noise.fill(level_dbov, &mut out);
            noise.fill(level_dbov, &mut out);
            let measured = level::level_dbov(level::energy(&out), out.len());
            assert!(
                measured.abs_diff(level_dbov) <= 1,
                "{level_dbov}: {measured}"
            );
        }
    }

    #[test]
    fn any_level_is_allowed_and_silence_is_silent() {
        let mut noise = ComfortNoise::default();
        let mut out = [0; 960];
        for level_dbov in 0..=255 {
            noise.fill(level_dbov, &mut out);
        }
        noise.fill(127, &mut out);
        noise.fill(127, &mut out);
        assert_eq!(out, [0; 960]);
    }

    #[test]
    fn the_first_noise_fades_in() {
        let mut out = [0; 960];
        ComfortNoise::default().fill(20, &mut out);
        let (begin, end) = (&out[..40], &out[920..]);
        assert!(level::energy(begin) * 2 < level::energy(end));
    }
}
