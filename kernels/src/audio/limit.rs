//! Keeps loud mixes from being cut.
//!
//! Five people who laugh at once add up to more than 16 bits. Cut, that is a
//! crackle, the ugliest sound a conference makes; turned down for the moment,
//! it is merely people laughing. So once per conference and frame the limiter
//! looks at the peak of the full mix and plans a gain, and every output of
//! that conference (the common mix and each N-1) is made with the same plan: a
//! listener who becomes a speaker hears no step.
//!
//! ```text
//! gain 1 ----.                               .----
//!             \ 2 ms                 33 dB/s /
//!              '------------- . . . --------'
//! ```
//!
//! There is no look-ahead, for that is delay: the first 2 ms of a sudden peak
//! are cut, as is an N-1 whose speaker had cancelled the others.

use super::gain::{Gain, Line, RAMP_SAMPLES_MAX};
use super::mix::cut;
use crate::levels::kernels;

/// Largest magnitude of a mix sample that a limited output still tells apart:
/// sixteen full-scale speakers. What is beyond is cut before the gain.
pub const MIX_MAX: i32 = (1 << 19) - 1;

/// The gain of one frame: a straight line, then level.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Plan {
    from: Gain,
    to: Gain,
    /// Samples from `from` to `to`.
    ramp: usize,
}

impl Plan {
    /// Changes nothing.
    pub const UNITY: Self = Self {
        from: Gain::UNITY,
        to: Gain::UNITY,
        ramp: 0,
    };

    /// Whether the frame is left as it is; then [`super::mix`]'s functions say
    /// the same and are faster.
    #[must_use]
    pub fn is_unity(&self) -> bool {
        *self == Self::UNITY
    }

    /// Gain after the frame.
    #[must_use]
    pub const fn end(&self) -> Gain {
        self.to
    }
}

/// The gain of one conference's mix over time.
#[derive(Clone, Copy, Debug)]
pub struct Limiter {
    gain: Gain,
    sample_rate_hz: u32,
}

impl Limiter {
    /// At rest, for mixes of this rate (8,000 to 48,000).
    #[must_use]
    pub const fn new(sample_rate_hz: u32) -> Self {
        Self {
            gain: Gain::UNITY,
            sample_rate_hz,
        }
    }

    /// Back to rest.
    pub const fn reset(&mut self) {
        self.gain = Gain::UNITY;
    }

    /// Plans the next frame of `samples` samples whose full mix has this
    /// [`peak`](super::mix::peak).
    ///
    /// # Panics
    /// When the frame is longer than [`RAMP_SAMPLES_MAX`].
    pub fn plan(&mut self, peak: u32, samples: usize) -> Plan {
        assert!(samples <= RAMP_SAMPLES_MAX);
        let ceiling = i16::MAX as u32;
        let wanted = if peak <= ceiling {
            Gain::UNITY
        } else {
            let peak = peak.min(MIX_MAX as u32);
            Gain::from_q12((ceiling * 4_096 / peak) as u16)
        };
        let from = self.gain;
        if wanted <= from {
            self.gain = wanted;
            let ramp = (self.sample_rate_hz as usize / 500).min(samples);
            return if wanted == from && from == Gain::UNITY {
                Plan::UNITY
            } else {
                Plan {
                    from,
                    to: wanted,
                    ramp,
                }
            };
        }
        // By a factor of e in a quarter of a second, and always by something.
        let rise = u64::from(from.q12()) * samples as u64 * 4 / u64::from(self.sample_rate_hz);
        let to = u64::from(from.q12()) + rise.max(1);
        let to = Gain::from_q12(to.min(u64::from(wanted.q12())) as u16);
        self.gain = to;
        Plan {
            from,
            to,
            ramp: samples,
        }
    }
}

kernels! {
    scalar;

    /// What a mere listener hears: the mix at the plan's gain.
    ///
    /// # Panics
    /// When the lengths differ, or are shorter than the plan's frame.
    pub fn limit(out: &mut [i16], mix: &[i32], plan: Plan);

    /// What a speaker hears: the mix without what
    /// [`accumulate_gain`](super::mix::accumulate_gain) added for it (for
    /// [`accumulate`](super::mix::accumulate) the gain is [`Gain::UNITY`]), at
    /// the plan's gain.
    ///
    /// # Panics
    /// When the lengths differ, or are shorter than the plan's frame.
    pub fn subtract_limit(out: &mut [i16], mix: &[i32], own: &[i16], gain: Gain, plan: Plan);
}

/// The specification.
pub mod scalar {
    use super::{Gain, Line, MIX_MAX, Plan, cut};

    #[inline(always)]
    fn at_gain(sum: i32, q12: i32) -> i16 {
        cut((sum.clamp(-MIX_MAX, MIX_MAX) * q12 + (1 << 11)) >> 12)
    }

    /// See [`super::limit`].
    #[inline(always)]
    pub fn limit(out: &mut [i16], mix: &[i32], plan: Plan) {
        assert_eq!(out.len(), mix.len());
        let (moving, level) = out.split_at_mut(plan.ramp);
        let (mix_moving, mix_level) = mix.split_at(plan.ramp);
        if plan.ramp > 0 {
            let line = Line::new(plan.from, plan.to, plan.ramp);
            for (index, (out, &sum)) in moving.iter_mut().zip(mix_moving).enumerate() {
                *out = at_gain(sum, line.q12(index));
            }
        }
        for (out, &sum) in level.iter_mut().zip(mix_level) {
            *out = at_gain(sum, i32::from(plan.to.q12()));
        }
    }

    /// See [`super::subtract_limit`].
    #[inline(always)]
    pub fn subtract_limit(out: &mut [i16], mix: &[i32], own: &[i16], gain: Gain, plan: Plan) {
        assert_eq!(out.len(), mix.len());
        assert_eq!(out.len(), own.len());
        let (moving, level) = out.split_at_mut(plan.ramp);
        let (mix_moving, mix_level) = mix.split_at(plan.ramp);
        let (own_moving, own_level) = own.split_at(plan.ramp);
        if plan.ramp > 0 {
            let line = Line::new(plan.from, plan.to, plan.ramp);
            let frame = moving.iter_mut().zip(mix_moving).zip(own_moving);
            for (index, ((out, &sum), &own)) in frame.enumerate() {
                *out = at_gain(sum.wrapping_sub(gain.times(own)), line.q12(index));
            }
        }
        for ((out, &sum), &own) in level.iter_mut().zip(mix_level).zip(own_level) {
            *out = at_gain(sum.wrapping_sub(gain.times(own)), i32::from(plan.to.q12()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::mix;
    use crate::audio::noise::Noise;
    use crate::cpu::Level;

    #[test]
    fn every_level_agrees_with_the_scalar() {
        let mut noise = Noise::seeded(5);
        for len in noise.lengths() {
            let (sums, own) = (noise.mix(len), noise.samples(len));
            let gain = Gain::from_q12((noise.next() >> 48) as u16);
            let below_unity = |noise: &mut Noise| Gain::from_q12((noise.next() % 4_097) as u16);
            let plan = Plan {
                from: below_unity(&mut noise),
                to: below_unity(&mut noise),
                ramp: (noise.next() % (len as u64 + 1)) as usize,
            };
            for level in Level::granted() {
                let (mut fast, mut slow) = (vec![0; len], vec![1; len]);
                at::limit(level, &mut fast, &sums, plan);
                scalar::limit(&mut slow, &sums, plan);
                assert_eq!(fast, slow, "limit, {level:?}, {len} samples");
                at::subtract_limit(level, &mut fast, &sums, &own, gain, plan);
                scalar::subtract_limit(&mut slow, &sums, &own, gain, plan);
                assert_eq!(fast, slow, "subtract_limit, {level:?}, {len} samples");
            }
        }
    }

    #[test]
    fn a_unity_plan_is_saturation() {
        let sums = Noise::seeded(6).mix(960);
        let (mut limited, mut cut) = (vec![0; 960], vec![1; 960]);
        limit(&mut limited, &sums, Plan::UNITY);
        mix::saturate(&mut cut, &sums);
        assert_eq!(limited, cut);
        assert!(Limiter::new(48_000).plan(32_767, 960).is_unity());
    }

    /// Five full-scale tones for a second, then one of them: after the first
    /// 2 ms nothing is cut, the gain never jumps, and it comes back.
    #[test]
    fn five_loud_speakers_are_turned_down_and_not_cut() {
        let mut limiter = Limiter::new(48_000);
        let tone = |n: usize, hz: f64| (n as f64 * hz * std::f64::consts::TAU / 48_000.0).sin();
        let mut out = vec![0; 960];
        let mut last = Gain::UNITY;
        for frame in 0..150 {
            let loud = frame < 50;
            let sums: Vec<i32> = (frame * 960..(frame + 1) * 960)
                .map(|n| {
                    let speakers = [440.0, 557.0, 660.0, 881.0, 1_234.0];
                    let count = if loud { 5 } else { 1 };
                    let sum: f64 = speakers[..count].iter().map(|&hz| tone(n, hz)).sum();
                    (sum * 32_000.0) as i32
                })
                .collect();
            let plan = limiter.plan(mix::peak(&sums), 960);
            assert_eq!(
                plan.from, last,
                "frame {frame} goes on where the last one ended"
            );
            last = plan.end();
            limit(&mut out, &sums, plan);
            let cut = out[96..]
                .windows(2)
                .filter(|pair| pair.contains(&i16::MIN) || *pair == [i16::MAX; 2]);
            assert_eq!(cut.count(), 0, "frame {frame}");
            if loud && frame > 0 {
                let peak = out.iter().map(|s| s.unsigned_abs()).max();
                assert!(peak >= Some(20_000), "turned down too far: {peak:?}");
            }
        }
        assert_eq!(last, Gain::UNITY);
        assert!(limiter.plan(32_000, 960).is_unity());
    }

    #[test]
    fn the_worst_mix_stays_within_32_bits() {
        let mut limiter = Limiter::new(8_000);
        for peak in [u32::MAX, 1 << 31, MIX_MAX as u32 + 1, MIX_MAX as u32] {
            let plan = limiter.plan(peak, 160);
            let mut out = [0; 160];
            limit(&mut out, &[i32::MIN; 160], plan);
            limit(&mut out, &[i32::MAX; 160], plan);
            assert!(out[159] > 32_000 && out.iter().all(|&s| s > 0));
            limiter.reset();
        }
        // From the deepest gain there is a way back.
        limiter.plan(u32::MAX, 160);
        let frames = (0..200).take_while(|_| limiter.plan(0, 80).end() != Gain::UNITY);
        assert!(frames.count() < 150);
    }
}
