//! Between 8, 16 and 48 kHz, by whole factors.
//!
//! One linear-phase filter per pair of rates serves both ways: it removes the
//! images on the way up and what would alias on the way down. Everything from
//! half the lower rate on is at least 60 dB down, so a tone at 4.1 kHz does not
//! come out of an 8 kHz leg as one at 3.9 kHz.
//!
//! | rates | pass-band within 0.5 dB | taps at the higher rate | delay, one way |
//! |---|---|---|---|
//! | 8, 16 kHz | 0 to 3.4 kHz | 96 | 3 ms |
//! | 8, 48 kHz | 0 to 3.4 kHz | 288 | 3 ms |
//! | 16, 48 kHz | 0 to 7.0 kHz | 192 | 2 ms |
//!
//! Whole numbers all the way, so that every level gives the same bits:
//!
//! ```text
//! up      out[n * ratio + p] = cut((sum(taps_p * in) + 1/2 of 2^14) >> 14)
//! down    out[n]             = cut((sum(taps * in)   + 1/2 of 2^16) >> 16)
//! ```
//!
//! A phase of the way up has magnitudes that add up to less than 4, so its sums
//! fit 32 bits. The way down needs finer taps and a wider sum; the vector code
//! adds in 32 bits per lane, which the taps' lane sums allow, and joins the
//! lanes in halves of 16 bits. Tests hold the taps to these bounds.
//!
//! Not here: other ratios, and clocks that drift. That is the jitter buffer's
//! trade.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod filter;
pub mod scalar;

use crate::cpu::{Avx2, Level};
use filter::{Bank, Filter};

/// A pair of rates.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Rates {
    /// 8,000 and 16,000 Hz.
    R8And16,
    /// 8,000 and 48,000 Hz.
    R8And48,
    /// 16,000 and 48,000 Hz.
    R16And48,
}

impl Rates {
    /// Every pair.
    pub const ALL: [Self; 3] = [Self::R8And16, Self::R8And48, Self::R16And48];

    /// The pair with these rates in hertz, if there is one.
    #[must_use]
    pub const fn of(low_hz: u32, high_hz: u32) -> Option<Self> {
        Some(match (low_hz, high_hz) {
            (8_000, 16_000) => Self::R8And16,
            (8_000, 48_000) => Self::R8And48,
            (16_000, 48_000) => Self::R16And48,
            _ => return None,
        })
    }

    /// The lower rate in hertz.
    #[must_use]
    pub const fn low_hz(self) -> u32 {
        match self {
            Self::R8And16 | Self::R8And48 => 8_000,
            Self::R16And48 => 16_000,
        }
    }

    /// The higher rate in hertz.
    #[must_use]
    pub const fn high_hz(self) -> u32 {
        self.low_hz() * self.ratio() as u32
    }

    /// Higher rate over lower rate: 2, 6 or 3.
    #[must_use]
    pub const fn ratio(self) -> usize {
        match self {
            Self::R8And16 => 2,
            Self::R8And48 => 6,
            Self::R16And48 => 3,
        }
    }

    /// By how much a resampler of this pair, up or down, delays sound, in
    /// samples of the lower rate.
    #[must_use]
    pub const fn delay_low_samples(self) -> usize {
        match self {
            Self::R8And16 | Self::R8And48 => 24,
            Self::R16And48 => 32,
        }
    }
}

/// Most samples of the lower rate that are worked on at once; longer frames
/// are taken in pieces.
const PIECE: usize = 320;
/// Most taps of a phase, most taps of a filter, greatest ratio.
const PHASE_MAX: usize = 64;
const TAPS_MAX: usize = 288;
const RATIO_MAX: usize = 6;

/// From the lower rate to the higher one.
#[derive(Clone, Debug)]
pub struct Upsampler {
    rates: Rates,
    /// The last samples of the frame before, all but one of a phase's taps.
    past: [i16; PHASE_MAX - 1],
}

impl Upsampler {
    /// With silence before the first frame. The first call for a pair of rates
    /// designs its filter, once for the process.
    #[must_use]
    pub fn new(rates: Rates) -> Self {
        rates.filter();
        Self {
            rates,
            past: [0; PHASE_MAX - 1],
        }
    }

    /// The pair of rates.
    #[must_use]
    pub const fn rates(&self) -> Rates {
        self.rates
    }

    /// Forgets the frames before.
    pub const fn reset(&mut self) {
        self.past = [0; PHASE_MAX - 1];
    }

    /// Takes the next samples and gives `ratio` times as many.
    ///
    /// # Panics
    /// When `output` is not exactly `ratio` times as long as `input`.
    pub fn process(&mut self, input: &[i16], output: &mut [i16]) {
        self.process_at(Level::best(), input, output);
    }

    /// [`Self::process`] at a level of the caller's choice, for tests and benches.
    ///
    /// # Panics
    /// When `output` is not exactly `ratio` times as long as `input`.
    pub fn process_at(&mut self, level: Level, input: &[i16], output: &mut [i16]) {
        let ratio = self.rates.ratio();
        assert_eq!(output.len(), input.len() * ratio);
        match self.rates.filter() {
            Filter::R8And16(bank) => self.run(level, bank, input, output),
            Filter::R8And48(bank) => self.run(level, bank, input, output),
            Filter::R16And48(bank) => self.run(level, bank, input, output),
        }
    }

    fn run<const T: usize, const R: usize>(
        &mut self,
        level: Level,
        bank: &Bank<T, R>,
        input: &[i16],
        output: &mut [i16],
    ) {
        let past = &mut self.past[..T - 1];
        let mut joined = [0; PHASE_MAX - 1 + PIECE];
        for (input, output) in input.chunks(PIECE).zip(output.chunks_mut(PIECE * R)) {
            let joined = &mut joined[..T - 1 + input.len()];
            joined[..T - 1].copy_from_slice(past);
            joined[T - 1..].copy_from_slice(input);
            match wide(level) {
                #[cfg(target_arch = "x86_64")]
                Some(token) => avx2::up(output, joined, &bank.up, token),
                _ => scalar::up(output, joined, &bank.up),
            }
            past.copy_from_slice(&joined[input.len()..]);
        }
    }
}

/// From the higher rate to the lower one.
#[derive(Clone, Debug)]
pub struct Downsampler {
    rates: Rates,
    /// The last samples of the frame before, all but `ratio` of the taps.
    past: [i16; TAPS_MAX - RATIO_MAX],
}

impl Downsampler {
    /// With silence before the first frame. The first call for a pair of rates
    /// designs its filter, once for the process.
    #[must_use]
    pub fn new(rates: Rates) -> Self {
        rates.filter();
        Self {
            rates,
            past: [0; TAPS_MAX - RATIO_MAX],
        }
    }

    /// The pair of rates.
    #[must_use]
    pub const fn rates(&self) -> Rates {
        self.rates
    }

    /// Forgets the frames before.
    pub const fn reset(&mut self) {
        self.past = [0; TAPS_MAX - RATIO_MAX];
    }

    /// Takes the next samples, a multiple of `ratio`, and gives one for each
    /// `ratio` of them.
    ///
    /// # Panics
    /// When `input` is not exactly `ratio` times as long as `output`.
    pub fn process(&mut self, input: &[i16], output: &mut [i16]) {
        self.process_at(Level::best(), input, output);
    }

    /// [`Self::process`] at a level of the caller's choice, for tests and benches.
    ///
    /// # Panics
    /// When `input` is not exactly `ratio` times as long as `output`.
    pub fn process_at(&mut self, level: Level, input: &[i16], output: &mut [i16]) {
        let ratio = self.rates.ratio();
        assert_eq!(input.len(), output.len() * ratio);
        match self.rates.filter() {
            Filter::R8And16(bank) => self.run(level, bank, input, output),
            Filter::R8And48(bank) => self.run(level, bank, input, output),
            Filter::R16And48(bank) => self.run(level, bank, input, output),
        }
    }

    fn run<const T: usize, const R: usize>(
        &mut self,
        level: Level,
        bank: &Bank<T, R>,
        input: &[i16],
        output: &mut [i16],
    ) {
        let kept = (T - 1) * R;
        let past = &mut self.past[..kept];
        let mut joined = [0; TAPS_MAX - RATIO_MAX + PIECE * RATIO_MAX];
        for (input, output) in input.chunks(PIECE * R).zip(output.chunks_mut(PIECE)) {
            let joined = &mut joined[..kept + input.len()];
            joined[..kept].copy_from_slice(past);
            joined[kept..].copy_from_slice(input);
            match wide(level) {
                #[cfg(target_arch = "x86_64")]
                Some(token) => avx2::down(output, joined, &bank.down, token),
                _ => scalar::down_in_lanes(output, joined, bank.down.as_flattened(), R),
            }
            past.copy_from_slice(&joined[input.len()..]);
        }
    }
}

/// What the resamplers make of a level.
const fn wide(level: Level) -> Option<Avx2> {
    match level {
        Level::Avx2(token) => Some(token),
        Level::Avx512(token) => Some(token.avx2()),
        Level::Scalar | Level::Neon(_) => None,
    }
}

#[cfg(test)]
mod tests;
