//! How loud a leg is, and how loud it should be.

use plenum_kernels::audio::gain::Gain;
use plenum_kernels::audio::level;

use crate::MixLeg;

/// Powers are mean squares; 1 is a full-scale square wave (0 dBov).
const FULL_SCALE: f32 = (1_u32 << 30) as f32;

/// -55 dBov: who is louder asks to be heard. A quiet room through a telephone
/// is at -60 to -65.
const OPEN: f32 = 3.162e-6;
/// -60 dBov: a leg whose frames are softer for [`HOLD_TICKS`] is no longer
/// heard.
const CLOSE: f32 = 1e-6;
/// 500 ms: longer than the pauses between words.
const HOLD_TICKS: u16 = 25;

/// Share of the way to a louder and to a softer frame that the level moves: a
/// word counts within two frames, while a pause takes half a second to be half
/// as loud. Faster, and talkers would lose their places between syllables.
const ATTACK: f32 = 0.6;
const DECAY: f32 = 0.03;

/// A frame so much below the level (6 dB) is a pause.
const PAUSE: f32 = 0.25;

/// Automatic gain: where to (the nominal level of speech, ITU-T P.56), how far
/// and how fast, in dB and dB a frame.
const WANTED_DBOV: f32 = -26.0;
const GAIN_DB_MIN: f32 = -9.0;
const GAIN_DB_MAX: f32 = 12.0;
const RISE_DB: f32 = 0.03;
const FALL_DB: f32 = 0.12;
/// What is below this (-45 dBov) is a pause, and says nothing about the voice.
const VOICE: f32 = 3.162e-5;

/// The mean square of a level in -dBov; 127 is digital silence (RFC 6464 section 3).
pub(crate) fn claimed_power(level_dbov: u8) -> f32 {
    if level_dbov >= 127 {
        return 0.0;
    }
    10_f32.powf(f32::from(level_dbov) / -10.0)
}

/// The level of one leg over time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meter {
    /// Of the last frame, and over time.
    now: f32,
    smooth: f32,
    /// Frames below [`CLOSE`], in a row.
    quiet: u16,
    /// Gain on the leg, and its square for comparing loudness as heard.
    gain: Gain,
    gain_power: f32,
    gain_db: f32,
    automatic: bool,
}

impl Meter {
    pub(crate) fn new(leg: &MixLeg) -> Self {
        let mut meter = Self {
            now: 0.0,
            smooth: 0.0,
            quiet: HOLD_TICKS,
            gain: Gain::UNITY,
            gain_power: 1.0,
            gain_db: 0.0,
            automatic: false,
        };
        meter.configure(leg);
        meter
    }

    pub(crate) fn configure(&mut self, leg: &MixLeg) {
        self.automatic = leg.automatic_gain && leg.rx_gain_centibels == 0;
        if !self.automatic {
            self.gain_db = 0.0;
            self.set_gain(Gain::from_hundredths_db(leg.rx_gain_centibels));
        }
    }

    fn set_gain(&mut self, gain: Gain) {
        self.gain = gain;
        let factor = f32::from(gain.q12()) / 4_096.0;
        self.gain_power = factor * factor;
    }

    /// Gain that the leg is to be heard at.
    pub(crate) const fn gain(&self) -> Gain {
        self.gain
    }

    /// Loudness by which legs are compared.
    pub(crate) fn loudness(&self) -> f32 {
        self.smooth * self.gain_power
    }

    /// Loud enough to ask to be heard.
    pub(crate) fn is_loud(&self) -> bool {
        self.smooth > OPEN
    }

    /// Silent for so long that it need not be heard any more.
    pub(crate) const fn is_quiet(&self) -> bool {
        self.quiet >= HOLD_TICKS
    }

    /// Whether the last frame is part of what made the leg as loud as it is.
    pub(crate) fn sounds(&self) -> bool {
        self.now > self.smooth * PAUSE
    }

    /// Level of the last frame in -dBov.
    pub(crate) fn level_dbov(&self) -> u8 {
        level::level_dbov((self.now * FULL_SCALE) as u64, 1)
    }

    pub(crate) fn sound(&mut self, pcm: &[i16]) {
        self.follow(level::energy(pcm) as f32 / (pcm.len() as f32 * FULL_SCALE));
    }

    /// Takes the far end's word for a frame that nobody decoded.
    pub(crate) fn claimed(&mut self, level_dbov: u8) {
        self.follow(claimed_power(level_dbov));
    }

    /// Mean square that a frame must exceed for [`Self::loudness`] to come above
    /// `threshold`, and [`Self::is_loud`] with it.
    pub(crate) fn needed(&self, threshold: f32) -> f32 {
        let bound = OPEN.max(threshold / self.gain_power);
        let share = if bound >= self.smooth { ATTACK } else { DECAY };
        self.smooth + (bound - self.smooth) / share
    }

    fn follow(&mut self, power: f32) {
        self.now = power;
        let share = if self.now > self.smooth {
            ATTACK
        } else {
            DECAY
        };
        self.smooth += (self.now - self.smooth) * share;
        self.count_quiet();
    }

    pub(crate) fn silence(&mut self) {
        self.now = 0.0;
        self.smooth *= 1.0 - DECAY;
        self.count_quiet();
    }

    /// Nobody is to hear the leg any more.
    pub(crate) const fn mute(&mut self) {
        self.now = 0.0;
        self.smooth = 0.0;
        self.quiet = HOLD_TICKS;
    }

    fn count_quiet(&mut self) {
        self.quiet = if self.now < CLOSE {
            self.quiet.saturating_add(1)
        } else {
            0
        };
    }

    /// Moves the automatic gain by one frame; for legs that are heard.
    pub(crate) fn adapt_gain(&mut self) {
        if !self.automatic || self.smooth < VOICE {
            return;
        }
        let wanted = WANTED_DBOV - 10.0 * self.smooth.log10();
        let wanted = wanted.clamp(GAIN_DB_MIN, GAIN_DB_MAX);
        let change = (wanted - self.gain_db).clamp(-FALL_DB, RISE_DB);
        self.gain_db += change;
        self.set_gain(Gain::from_hundredths_db((self.gain_db * 100.0) as i16));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plenum_abi::AudioCodec;

    fn square(amplitude: i16) -> Vec<i16> {
        (0..160)
            .map(|index| if index % 8 < 4 { amplitude } else { -amplitude })
            .collect()
    }

    #[test]
    fn a_word_counts_at_once_and_a_pause_late() {
        let mut meter = Meter::new(&MixLeg::new(AudioCodec::Pcmu));
        assert!(meter.is_quiet());
        let word = square(3_277); // -20 dBov
        meter.sound(&word);
        assert_eq!(meter.level_dbov(), 20);
        assert!(meter.loudness() > 0.5e-2 && !meter.is_quiet());
        meter.sound(&word);
        let spoken = meter.loudness();
        for _ in 0..5 {
            meter.silence();
        }
        assert!(meter.loudness() > spoken / 2.0, "after 100 ms");
        assert_eq!(meter.level_dbov(), 127);
        let ticks = (0..500)
            .take_while(|_| {
                meter.silence();
                !meter.is_quiet()
            })
            .count();
        assert_eq!(ticks, 19, "500 ms after the last sound");
    }

    #[test]
    fn automatic_gain_is_slow_and_bounded_and_yields_to_manual_gain() {
        let mut leg = MixLeg::new(AudioCodec::Pcmu);
        leg.automatic_gain = true;
        let mut meter = Meter::new(&leg);
        let soft = square(328); // -40 dBov
        for _ in 0..50 {
            meter.sound(&soft);
            meter.adapt_gain();
        }
        let after_a_second = meter.gain();
        assert!(after_a_second > Gain::UNITY);
        assert!(after_a_second <= Gain::from_hundredths_db(160));
        for _ in 0..1_000 {
            meter.sound(&soft);
            meter.adapt_gain();
        }
        let full = Gain::from_hundredths_db(1_200);
        assert!(meter.gain() <= full && meter.gain() >= Gain::from_hundredths_db(1_190));
        // A pause changes nothing.
        let before = meter.gain();
        for _ in 0..500 {
            meter.silence();
        }
        meter.adapt_gain();
        assert_eq!(meter.gain(), before);
        let loud = square(30_000);
        for _ in 0..1_000 {
            meter.sound(&loud);
            meter.adapt_gain();
        }
        let least = Gain::from_hundredths_db(-900);
        assert!(meter.gain() >= least && meter.gain() <= Gain::from_hundredths_db(-890));

        leg.rx_gain_centibels = 300;
        meter.configure(&leg);
        meter.sound(&loud);
        meter.adapt_gain();
        assert_eq!(meter.gain(), Gain::from_hundredths_db(300));
    }
}
