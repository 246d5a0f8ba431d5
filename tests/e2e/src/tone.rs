//! Listening: which tones are in a recording, how loud, and where it is silent.

use std::f64::consts::TAU;
use std::fs;
use std::path::Path;

/// Sound as one channel of numbers between -1 and 1.
#[derive(Debug)]
pub struct Recording {
    /// Samples a second.
    pub rate_hz: u32,
    /// The first channel.
    pub samples: Vec<f32>,
}

impl Recording {
    /// Reads a 16-bit PCM WAV file; a header whose length was never filled in is
    /// taken to mean "to the end of the file".
    ///
    /// # Panics
    /// When it is no such file.
    #[must_use]
    pub fn read_wav(path: &Path) -> Self {
        let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(
            bytes.len() >= 44 && &bytes[..4] == b"RIFF",
            "{} is no WAV file",
            path.display()
        );
        let word = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let (channels, bits) = (usize::from(word(22)), word(34));
        assert_eq!(bits, 16, "{} is not 16-bit PCM", path.display());
        let rate_hz = u32::from(word(24)) | u32::from(word(26)) << 16;
        let samples = bytes[44..]
            .chunks_exact(2 * channels)
            .map(|frame| f32::from(i16::from_le_bytes([frame[0], frame[1]])) / 32_768.0)
            .collect();
        Self { rate_hz, samples }
    }

    /// Length in seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.samples.len() as f64 / f64::from(self.rate_hz)
    }

    /// The part from `start` to `end`, seconds.
    #[must_use]
    pub fn part(&self, start: f64, end: f64) -> Self {
        let at = |seconds: f64| {
            ((seconds.max(0.0) * f64::from(self.rate_hz)) as usize).min(self.samples.len())
        };
        Self {
            rate_hz: self.rate_hz,
            samples: self.samples[at(start)..at(end)].to_vec(),
        }
    }

    fn window(&self, milliseconds: usize) -> usize {
        self.rate_hz as usize * milliseconds / 1_000
    }

    /// Amplitude of a tone in each window of `window_ms`, one every `hop_ms`.
    #[must_use]
    pub fn tone(&self, hz: f64, window_ms: usize, hop_ms: usize) -> Vec<f64> {
        let (window, hop) = (self.window(window_ms), self.window(hop_ms));
        let step = TAU * hz / f64::from(self.rate_hz);
        let hann: Vec<f64> = (0..window)
            .map(|n| 0.5 - 0.5 * (TAU * n as f64 / window as f64).cos())
            .collect();
        let scale = 2.0 / hann.iter().sum::<f64>();
        (0..)
            .map(|index| index * hop)
            .take_while(|start| start + window <= self.samples.len())
            .map(|start| {
                let (mut re, mut im) = (0.0, 0.0);
                for (n, (&sample, &weight)) in self.samples[start..start + window]
                    .iter()
                    .zip(&hann)
                    .enumerate()
                {
                    let (sin, cos) = (step * n as f64).sin_cos();
                    re += f64::from(sample) * weight * cos;
                    im += f64::from(sample) * weight * sin;
                }
                re.hypot(im) * scale
            })
            .collect()
    }

    /// Lowest and highest level of a tone over windows of one second, dB below full scale.
    #[must_use]
    pub fn tone_range_db(&self, hz: f64) -> (f64, f64) {
        let levels = self.tone(hz, 1_000, 500);
        assert!(!levels.is_empty(), "the recording is shorter than a second");
        let low = levels.iter().copied().fold(f64::INFINITY, f64::min);
        let high = levels.iter().copied().fold(0.0, f64::max);
        (decibels(low), decibels(high))
    }

    /// Longest stretch in which a tone is gone (20 dB below its median), in milliseconds.
    #[must_use]
    pub fn longest_gap_ms(&self, hz: f64) -> usize {
        const HOP_MS: usize = 5;
        let levels = self.tone(hz, 20, HOP_MS);
        let mut sorted = levels.clone();
        sorted.sort_by(f64::total_cmp);
        let threshold = sorted[sorted.len() / 2] / 10.0;
        let (mut longest, mut run) = (0, 0);
        for level in levels {
            run = if level < threshold { run + 1 } else { 0 };
            longest = longest.max(run);
        }
        // A window is below the threshold when all but its edges lie in the gap.
        if longest == 0 {
            0
        } else {
            longest * HOP_MS + 10
        }
    }
}

/// Amplitude as decibels below full scale.
#[must_use]
pub fn decibels(amplitude: f64) -> f64 {
    20.0 * amplitude.max(1e-9).log10()
}

/// A WAV file with a tone, 48 kHz mono.
///
/// # Panics
/// When it cannot be written.
pub fn write_tone(path: &Path, hz: f64, seconds: u32) {
    const RATE: u32 = 48_000;
    let count = RATE * seconds;
    let mut bytes = Vec::with_capacity(44 + count as usize * 2);
    bytes.extend_from_slice(b"RIFF");
    bytes.extend_from_slice(&(36 + count * 2).to_le_bytes());
    bytes.extend_from_slice(b"WAVEfmt ");
    bytes.extend_from_slice(&16_u32.to_le_bytes());
    bytes.extend_from_slice(&1_u16.to_le_bytes());
    bytes.extend_from_slice(&1_u16.to_le_bytes());
    bytes.extend_from_slice(&RATE.to_le_bytes());
    bytes.extend_from_slice(&(RATE * 2).to_le_bytes());
    bytes.extend_from_slice(&2_u16.to_le_bytes());
    bytes.extend_from_slice(&16_u16.to_le_bytes());
    bytes.extend_from_slice(b"data");
    bytes.extend_from_slice(&(count * 2).to_le_bytes());
    for n in 0..count {
        let sample = (TAU * hz * f64::from(n) / f64::from(RATE)).sin() * 8_000.0;
        bytes.extend_from_slice(&(sample as i16).to_le_bytes());
    }
    fs::write(path, bytes).expect("a tone on disk");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mix(parts: &[(f64, f64)], seconds: f64) -> Recording {
        let count = (8_000.0 * seconds) as usize;
        let samples = (0..count)
            .map(|n| {
                let t = n as f64 / 8_000.0;
                parts
                    .iter()
                    .map(|(hz, level)| (TAU * hz * t).sin() * level)
                    .sum::<f64>() as f32
            })
            .collect();
        Recording {
            rate_hz: 8_000,
            samples,
        }
    }

    #[test]
    fn tones_are_told_apart() {
        let recording = mix(&[(440.0, 0.2), (660.0, 0.002)], 3.0);
        let (low, _) = recording.tone_range_db(440.0);
        let (_, high) = recording.tone_range_db(660.0);
        assert!((low - high - 40.0).abs() < 0.5, "{low} {high}");
        assert!(recording.tone_range_db(880.0).1 < -80.0);
    }

    #[test]
    fn a_gap_is_found_and_measured() {
        let mut recording = mix(&[(440.0, 0.2), (880.0, 0.2)], 3.0);
        assert_eq!(recording.longest_gap_ms(440.0), 0);
        recording.samples[8_000..8_000 + 8 * 60].fill(0.0);
        let gap = recording.longest_gap_ms(440.0);
        assert!((50..=70).contains(&gap), "{gap}");
    }
}
