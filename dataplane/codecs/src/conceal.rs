//! Packet-loss concealment for codecs without one of their own.
//!
//! In the spirit of G.711 Appendix I, without its delay: the last pitch period
//! goes on and on, fading to nothing between 10 and 60 ms of gap, and what
//! arrives after the gap fades in over it.
//!
//! ```text
//! received ~~~~~~~~~|period|                        |received ~~~~~
//! heard    ~~~~~~~~~|period|period|period|per\______/fade in  ~~~~~
//! ```
//!
//! A period whose end does not meet its beginning would click at each turn: its
//! last quarter is mixed with what came before the period. And where the last
//! sample heard is not where the period begins, the difference is carried over
//! and fades within a quarter of a period. (The Appendix mixes there too, for
//! which it must hold back 3.75 ms of everything.)
//!
//! Not here: when to conceal. That is the jitter buffer's.

use core::ops::RangeInclusive;

/// Longest past that is kept: 15 ms of longest period, 20 ms to compare and
/// 3.75 ms of overlap, at 16 kHz.
const PAST_MAX: usize = 624;
/// The same in milliseconds.
const PAST_MS: usize = 39;
/// Longest pitch period: 15 ms at 16 kHz.
const PERIOD_MAX: usize = 240;

/// Makes up for lost sound at 8 or 16 kHz.
#[derive(Clone, Debug)]
pub struct Concealer {
    samples_per_ms: usize,
    /// Newest last; only the front is used at 8 kHz.
    past: [i16; PAST_MAX],
    /// What is repeated, and where in it we are.
    period: [i16; PERIOD_MAX],
    period_len: usize,
    position: usize,
    /// Samples made up since the last that were received; counts no further
    /// than the end of the fade.
    lost: usize,
    /// By how much the last sample heard missed the period's beginning.
    step: i32,
}

impl Concealer {
    /// With silence as its past.
    ///
    /// # Panics
    /// When the rate is neither 8,000 nor 16,000 Hz.
    #[must_use]
    pub fn new(sample_rate_hz: u32) -> Self {
        assert!(matches!(sample_rate_hz, 8_000 | 16_000));
        Self {
            samples_per_ms: sample_rate_hz as usize / 1_000,
            past: [0; PAST_MAX],
            period: [0; PERIOD_MAX],
            period_len: 1,
            position: 0,
            lost: 0,
            step: 0,
        }
    }

    /// Sound was received: joins it to what was made up before it, and
    /// remembers it.
    pub fn received(&mut self, frame: &mut [i16]) {
        if self.lost > 0 {
            // Longer gaps need longer seams, as the Appendix has it.
            let ms = self.samples_per_ms;
            let seam = (4 * ms + self.lost * 2 / 5).min(10 * ms).min(frame.len());
            for (index, sample) in frame[..seam].iter_mut().enumerate() {
                let made_up = i32::from(self.next());
                let share = (index + 1) as i32;
                let seam = seam as i32 + 1;
                let mixed = i32::from(*sample) * share + made_up * (seam - share);
                *sample = (mixed / seam) as i16;
            }
            self.lost = 0;
        }
        self.remember(frame);
    }

    /// Nothing was received: fills `out` with what might have been there.
    pub fn conceal(&mut self, out: &mut [i16]) {
        if self.lost == 0 {
            self.begin();
        }
        for out in out.iter_mut() {
            *out = self.next();
        }
        self.remember(out);
    }

    /// Samples of the past that count at this rate.
    const fn past_len(&self) -> usize {
        PAST_MS * self.samples_per_ms
    }

    fn remember(&mut self, frame: &[i16]) {
        let past = &mut self.past[..PAST_MS * self.samples_per_ms];
        let keep = past.len().saturating_sub(frame.len());
        let newest = &frame[frame.len() - (past.len() - keep)..];
        past.copy_within(past.len() - keep.., 0);
        past[keep..].copy_from_slice(newest);
    }

    /// Takes the last period out of the past.
    fn begin(&mut self) {
        let len = self.pitch();
        let quarter = len / 4;
        let past = self.past_len();
        let (before, last) = self.past[past - 2 * len..past].split_at(len);
        self.period[..len].copy_from_slice(last);
        // The end glides into what came before the period, where its beginning goes on.
        for (index, sample) in self.period[len - quarter..len].iter_mut().enumerate() {
            let share = index as i32 + 1;
            let whole = quarter as i32;
            let earlier = i32::from(before[len - quarter + index]);
            let mixed = i32::from(*sample) * (whole - share) + earlier * share;
            *sample = (mixed / whole) as i16;
        }
        self.period_len = len;
        self.position = 0;
        // Where the sound was, less where the period thinks it was.
        self.step = i32::from(last[len - 1]) - i32::from(before[len - 1]);
    }

    /// The next sample of the gap.
    fn next(&mut self) -> i16 {
        let ms = self.samples_per_ms;
        let (full, gone) = (10 * ms, 60 * ms);
        if self.lost >= gone {
            return 0;
        }
        let mut sample = i32::from(self.period[self.position]);
        let quarter = self.period_len / 4;
        if self.lost < quarter {
            sample += self.step * (quarter - self.lost) as i32 / (quarter as i32 + 1);
        }
        if self.lost > full {
            sample = sample * (gone - self.lost) as i32 / (gone - full) as i32;
        }
        self.position = (self.position + 1) % self.period_len;
        self.lost += 1;
        sample.clamp(-32_768, 32_767) as i16
    }

    /// The lag at which the last 20 ms look most like what was before them:
    /// 5 to 15 ms, that is a voice of 66 to 200 Hz or a multiple of its period.
    fn pitch(&self) -> usize {
        let ms = self.samples_per_ms;
        let past = &self.past[..self.past_len()];
        // Twelve bits: the products of 20 ms then add up in 32.
        let peak = past.iter().map(|sample| sample.unsigned_abs()).max();
        let shift = 5_u32.saturating_sub(peak.unwrap_or(0).leading_zeros());
        let mut scaled = [0; PAST_MAX];
        for (scaled, sample) in scaled.iter_mut().zip(past) {
            *scaled = sample >> shift;
        }
        let scaled = &scaled[..past.len()];

        // 4 kHz will do to find the neighbourhood; voices have little above 2 kHz.
        let coarse = ms / 4;
        let mut thinned = [0; PAST_MAX / 2];
        for (thinned, sample) in thinned.iter_mut().zip(scaled.iter().step_by(coarse)) {
            *thinned = *sample;
        }
        let near = coarse * best_lag(&thinned[..past.len() / coarse], 80, 20..=60);
        let low = (near - (coarse - 1)).max(5 * ms);
        let high = (near + coarse - 1).min(15 * ms);
        best_lag(scaled, 20 * ms, low..=high)
    }
}

/// Where the last `window` samples look most like what was before them. The
/// samples have 12 bits and the window no more than 320.
fn best_lag(past: &[i16], window: usize, lags: RangeInclusive<usize>) -> usize {
    let now = &past[past.len() - window..];
    let mut best = (0.0, *lags.start());
    for lag in lags {
        let then = &past[past.len() - window - lag..past.len() - lag];
        let (mut product, mut energy) = (0, 1);
        for (&now, &then) in now.iter().zip(then) {
            product += i32::from(now) * i32::from(then);
            energy += i32::from(then) * i32::from(then);
        }
        // Against a present of fixed energy, the likeness is this.
        let likeness = product as f32 / (energy as f32).sqrt();
        if likeness > best.0 {
            best = (likeness, lag);
        }
    }
    best.1
}

#[cfg(test)]
mod tests;
