//! The chimes of joining and leaving.
//!
//! Two notes, rising for joining and falling for leaving, made anew at each
//! rate. A second chime of the same kind while one plays is the same chime; one
//! of the other kind waits.

use core::f32::consts::TAU;

use crate::{FRAME_SAMPLES_MAX, Rate};

/// Which chime.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Chime {
    Join,
    Leave,
}

/// E5 and A5.
const LOW_HZ: f32 = 659.26;
const HIGH_HZ: f32 = 880.0;
/// 120 ms a note.
const NOTE_TICKS: u32 = 6;
const NOTE_MS: f32 = 120.0;
/// Each note begins and ends over so long, or it would click.
const EDGE_MS: f32 = 5.0;
/// Peak of a sine whose root mean square is 20 dB below overload.
const PEAK: f32 = 4_634.0;

/// What is being played.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tone {
    playing: Option<(Chime, u32)>,
    next: Option<Chime>,
}

impl Tone {
    pub(crate) fn play(&mut self, chime: Chime) {
        match self.playing {
            None => self.playing = Some((chime, 0)),
            Some((playing, _)) if playing == chime => {}
            Some(_) => self.next = Some(chime),
        }
    }

    pub(crate) const fn is_playing(&self) -> bool {
        self.playing.is_some()
    }

    /// This step's part of the chime at `rate`. To be asked at every rate that
    /// matters, then [`Self::advance`]d.
    pub(crate) fn fill(&self, rate: Rate, out: &mut [i16; FRAME_SAMPLES_MAX]) {
        let Some((chime, tick)) = self.playing else {
            out.fill(0);
            return;
        };
        let first = tick < NOTE_TICKS;
        let hz = if first == (chime == Chime::Join) {
            LOW_HZ
        } else {
            HIGH_HZ
        };
        let begin_ms = (tick % NOTE_TICKS * 20) as f32;
        let step_ms = 1_000.0 / rate.hz() as f32;
        for (index, out) in out[..rate.samples()].iter_mut().enumerate() {
            let ms = begin_ms + index as f32 * step_ms;
            let edge = (ms.min(NOTE_MS - ms) / EDGE_MS).min(1.0);
            *out = (PEAK * edge * (TAU * hz * ms / 1_000.0).sin()) as i16;
        }
    }

    pub(crate) fn advance(&mut self) {
        if let Some((_, tick)) = &mut self.playing {
            *tick += 1;
            if *tick == 2 * NOTE_TICKS {
                self.playing = self.next.take().map(|chime| (chime, 0));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plenum_kernels::audio::level;

    fn play(chime: Chime, rate: Rate) -> Vec<i16> {
        let mut tone = Tone::default();
        tone.play(chime);
        let mut all = Vec::new();
        while tone.is_playing() {
            let mut out = [0; FRAME_SAMPLES_MAX];
            tone.fill(rate, &mut out);
            all.extend_from_slice(&out[..rate.samples()]);
            tone.advance();
        }
        all
    }

    fn crossings(pcm: &[i16]) -> usize {
        pcm.windows(2).filter(|w| (w[0] < 0) != (w[1] < 0)).count()
    }

    #[test]
    fn joining_rises_and_leaving_falls_at_minus_20_dbov() {
        for rate in Rate::ALL {
            let (join, leave) = (play(Chime::Join, rate), play(Chime::Leave, rate));
            assert_eq!(join.len(), rate.samples() * 12);
            let half = join.len() / 2;
            let expected = [
                (&join[..half], LOW_HZ),
                (&join[half..], HIGH_HZ),
                (&leave[..half], HIGH_HZ),
                (&leave[half..], LOW_HZ),
            ];
            for (note, hz) in expected {
                let expected = (hz * 0.24) as usize;
                assert!(crossings(note).abs_diff(expected) <= 2, "{rate:?} {hz}");
                let middle = &note[half / 4..half / 4 * 3];
                let level = level::level_dbov(level::energy(middle), middle.len());
                assert_eq!(level, 20, "{rate:?} {hz}");
            }
            let steepest = join.windows(2).map(|w| w[0].abs_diff(w[1])).max();
            let bound = PEAK * TAU * HIGH_HZ / rate.hz() as f32 + 2.0;
            assert!(steepest.map(f32::from) <= Some(bound), "no click");
        }
    }

    #[test]
    fn one_chime_at_a_time() {
        let mut tone = Tone::default();
        tone.play(Chime::Join);
        tone.advance();
        for _ in 0..10 {
            tone.play(Chime::Join);
            tone.play(Chime::Leave);
        }
        let mut ticks = 1;
        while tone.is_playing() {
            tone.advance();
            ticks += 1;
        }
        assert_eq!(ticks, 4 * NOTE_TICKS, "one of each");
    }
}
