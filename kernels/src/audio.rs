//! Sound: 16-bit linear samples, frames of 80 to 1,920.
//!
//! | kernel | levels above the baseline | why |
//! |---|---|---|
//! | [`mix`], [`gain`], [`level`], [`limit`] | the same source recompiled for AVX2 and AVX-512 | 1.5 to 7 times the baseline's speed |
//! | [`mix::saturate`] | none | the baseline is as fast: it waits for memory |
//! | [`g711`] | arithmetic in float lanes, recompiled | 1.3 to 3 times the baseline, and no table in the cache |
//! | [`resample`] | AVX2 by hand | 4 to 6 times the baseline; recompiled it was less than twice |
//!
//! On AArch64 the baseline has NEON and the compiler uses it; nothing is
//! written by hand there and nobody has measured it. The AVX-512 levels are
//! tested where a machine grants them; their speed was not measured, and the
//! resampler has none. Figures: `benches/results/kernels-audio.md`.
//!
//! Not here: which legs are mixed, frame clocks, buffers. Every function works
//! on the slices it is given, allocates nothing and keeps no state, except the
//! structs that say so ([`limit::Limiter`], [`resample::Upsampler`],
//! [`resample::Downsampler`]).

pub mod g711;
pub mod gain;
pub mod level;
pub mod limit;
pub mod mix;
pub mod resample;

#[cfg(test)]
pub(crate) mod noise {
    /// Repeatable noise for tests.
    pub(crate) struct Noise(u64);

    impl Noise {
        pub(crate) fn seeded(seed: u64) -> Self {
            Self(seed.wrapping_mul(2).wrapping_add(0x9e37_79b9_7f4a_7c15) | 1)
        }

        /// xorshift64* (Vigna 2014).
        pub(crate) fn next(&mut self) -> u64 {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
        }

        /// Samples of every loudness, the extremes more often than chance would.
        pub(crate) fn sample(&mut self) -> i16 {
            let bits = self.next() >> 16;
            match bits & 0xf {
                0 => i16::MIN,
                1 => i16::MAX,
                2 => 0,
                shift => (bits >> 8) as i16 >> (shift & 7),
            }
        }

        pub(crate) fn samples(&mut self, len: usize) -> Vec<i16> {
            (0..len).map(|_| self.sample()).collect()
        }

        /// Mixes of up to about a hundred full-scale speakers.
        pub(crate) fn mix(&mut self, len: usize) -> Vec<i32> {
            (0..len)
                .map(|_| (self.next() >> 32) as i32 >> 9 >> (self.next() >> 60))
                .collect()
        }

        /// Lengths that every kernel is tried on: all short ones, some long.
        pub(crate) fn lengths(&mut self) -> Vec<usize> {
            let long = (0..16).map(|_| 258 + (self.next() >> 32) as usize % 2_000);
            (0..=257).chain(long).collect()
        }
    }
}
