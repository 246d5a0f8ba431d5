//! Signals, and what is left of them.

#![allow(dead_code, reason = "each test binary uses some of it")]

use std::f64::consts::TAU;

/// A sine.
pub(crate) fn tone(hz: f64, amplitude: f64, rate_hz: u32, samples: usize) -> Vec<i16> {
    (0..samples)
        .map(|index| (amplitude * (TAU * hz * index as f64 / f64::from(rate_hz)).sin()) as i16)
        .collect()
}

/// Something with a voice's pitch, formants and syllables, for codecs that
/// model speech.
pub(crate) fn voice(rate_hz: u32, samples: usize) -> Vec<i16> {
    let rate = f64::from(rate_hz);
    let mut phase = 0.0;
    (0..samples)
        .map(|index| {
            let time = index as f64 / rate;
            let pitch = 120.0 + 25.0 * (TAU * 0.7 * time).sin();
            phase += TAU * pitch / rate;
            let syllable = 0.55 - 0.45 * (TAU * 3.1 * time).cos();
            let formant = 600.0 + 250.0 * (TAU * 1.3 * time).sin();
            let sound: f64 = (1..=24)
                .map(|harmonic| {
                    let hz = pitch * f64::from(harmonic);
                    let first = 1.0 / (1.0 + ((hz - formant) / 150.0).powi(2));
                    let second = 0.4 / (1.0 + ((hz - 3.0 * formant) / 250.0).powi(2));
                    (first + second) * (phase * f64::from(harmonic)).sin()
                })
                .sum();
            (6_000.0 * syllable * sound) as i16
        })
        .collect()
}

/// Amplitude of one frequency in a signal (Goertzel's sum, by definition).
pub(crate) fn amplitude(pcm: &[i16], hz: f64, rate_hz: u32) -> f64 {
    let step = TAU * hz / f64::from(rate_hz);
    let (mut re, mut im) = (0.0, 0.0);
    for (index, &sample) in pcm.iter().enumerate() {
        let angle = step * index as f64;
        re += f64::from(sample) * angle.cos();
        im += f64::from(sample) * angle.sin();
    }
    2.0 * re.hypot(im) / pcm.len() as f64
}

/// Power of all that is not `hz`, below the power that is, in dB.
pub(crate) fn purity_db(pcm: &[i16], hz: f64, rate_hz: u32) -> f64 {
    let total: f64 = pcm.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / pcm.len() as f64;
    let tone = amplitude(pcm, hz, rate_hz).powi(2) / 2.0;
    10.0 * (tone / (total - tone).max(1e-9)).log10()
}

/// Power of `signal` over power of its difference from `heard`, in dB.
pub(crate) fn snr_db(signal: &[i16], heard: &[i16]) -> f64 {
    let power = |value: f64| value * value;
    let signal_power: f64 = signal.iter().map(|&s| power(f64::from(s))).sum();
    let pairs = signal.iter().zip(heard);
    let error: f64 = pairs
        .map(|(&s, &h)| power(f64::from(s) - f64::from(h)))
        .sum();
    10.0 * (signal_power / error.max(1e-9)).log10()
}

/// Largest difference between neighbours.
pub(crate) fn steepest(pcm: &[i16]) -> u16 {
    let steps = pcm.windows(2).map(|pair| pair[0].abs_diff(pair[1]));
    steps.max().unwrap_or(0)
}

/// Marsaglia's xorshift64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 16) as usize % bound
    }
}
