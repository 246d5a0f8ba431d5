//! The few who are heard: who they are, and what they add to the mix.
//!
//! A slot is a place among the speakers with all that a speaker needs. Within a
//! tick it goes through:
//!
//! ```text
//! free --louder than the room--> candidate --loud enough--> speaking
//!   ^                                |                          | quiet for 500 ms,
//!   +---------- not taken -----------+                          | or outspoken
//!   +------------------------ after one tick -------------- leaving
//! ```
//!
//! A speaker fades in over its first tick and out over its last. One who stops
//! without warning (its packets end, it is muted, it leaves) is faded out over
//! its last frame played backwards: that begins where the sound ended.
//!
//! Two rules keep speakers from taking turns at being cut off: a newcomer must
//! be twice as loud (3 dB) as the softest speaker, and nobody is put out within
//! his first 100 ms.
//!
//! Frames are swapped, never copied: a leg is always pulled into the spare
//! frame, and whoever keeps the sound gives his own frame for it.

use plenum_kernels::audio::gain::{self, Gain};
use plenum_kernels::audio::mix;
use plenum_kernels::audio::resample::{Downsampler, Rates, Upsampler};

use crate::meter::Meter;
use crate::{FRAME_SAMPLES_MAX, LegKey, Rate};

/// By how much a newcomer must be louder: 3 dB.
const OUTSPEAK: f32 = 2.0;
/// In a pause of the active speaker's, whose level falls slowly, it is enough not to
/// be softer by more than this (12 dB): who answers is seen at once, who breathes
/// is not.
const INTERRUPT: f32 = 1.0 / 16.0;
/// Ticks for which a new speaker is safe: 100 ms.
const SAFE_TICKS: u32 = 5;
/// Ticks of sound by which the active speaker must be outspoken to be replaced:
/// 160 ms.
const BEATEN_TICKS: u8 = 8;
/// A slot's leg that has left the conference.
pub(crate) const NO_LEG: u32 = u32::MAX;

/// Slots that `speakers_max` speakers need: as many again may be leaving, and
/// as many be candidates.
pub(crate) const fn slots_for(speakers_max: usize) -> usize {
    3 * speakers_max
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Free,
    Candidate,
    Speaking,
    Leaving,
}

/// A sum at each rate.
pub(crate) type Sums = [[i32; FRAME_SAMPLES_MAX]; 3];

struct Slot {
    state: State,
    leg: u32,
    /// Index of its frame.
    frame: usize,
    voice: Voice,
    loudness: f32,
    quiet: bool,
    /// Not in a pause.
    sounds: bool,
    /// Ticks since it became a speaker.
    ticks: u32,
}

/// What somebody adds to the mix, frame by frame, without a step where it begins or ends.
struct Voice {
    /// What was pulled in this tick.
    pulled: Option<Rate>,
    /// Rate of what is in the frame.
    rate: Rate,
    /// Gain that is wanted, and what the frame before ended at: silence where nothing
    /// of it was heard.
    wanted_gain: Gain,
    gain: Gain,
    /// Adds to the mix in this tick.
    heard: bool,
    converters: Converters,
    /// The frame at the other rates, 8 kHz first.
    resampled: [i16; RESAMPLED],
}

const RESAMPLED: usize = 160 + 320 + 960;

fn place(rate: Rate) -> core::ops::Range<usize> {
    match rate {
        Rate::Hz8000 => 0..160,
        Rate::Hz16000 => 160..480,
        Rate::Hz48000 => 480..1_440,
    }
}

/// From any rate to any other.
struct Converters {
    up: [Upsampler; 3],
    down: [Downsampler; 3],
}

impl Converters {
    fn new() -> Self {
        Self {
            up: Rates::ALL.map(Upsampler::new),
            down: Rates::ALL.map(Downsampler::new),
        }
    }

    fn reset(&mut self) {
        self.up.iter_mut().for_each(Upsampler::reset);
        self.down.iter_mut().for_each(Downsampler::reset);
    }

    fn convert(&mut self, from: Rate, to: Rate, input: &[i16], output: &mut [i16]) {
        let which = match (from.hz().min(to.hz()), from.hz().max(to.hz())) {
            (8_000, 16_000) => 0,
            (8_000, _) => 1,
            _ => 2,
        };
        if from.hz() < to.hz() {
            self.up[which].process(input, output);
        } else {
            self.down[which].process(input, output);
        }
    }
}

/// The sound of a screen that a leg shares: heard by everybody but that leg, whatever
/// its level, and never a speaker's.
pub(crate) struct Screen {
    pub(crate) owner: LegKey,
    voice: Voice,
    frame: Box<[i16; FRAME_SAMPLES_MAX]>,
}

impl Screen {
    pub(crate) fn new(owner: LegKey) -> Self {
        Self {
            owner,
            voice: Voice::new(),
            frame: Box::new([0; FRAME_SAMPLES_MAX]),
        }
    }

    /// Where its sound goes.
    pub(crate) fn frame(&mut self) -> &mut [i16; FRAME_SAMPLES_MAX] {
        &mut self.frame
    }

    /// What was pulled into [`Self::frame`].
    pub(crate) const fn pulled(&mut self, pulled: Option<Rate>) {
        self.voice.pulled = pulled;
    }

    /// Adds it to the sums of the rates `in_use`; whether it is heard.
    pub(crate) fn mix(&mut self, in_use: [bool; 3], sums: &mut Sums) -> bool {
        self.voice.add(&mut self.frame, false, in_use, sums)
    }

    /// What it added to the sum of a rate in use, if anything.
    pub(crate) fn share(&self, rate: Rate) -> Option<&[i16]> {
        self.voice.share(&self.frame, rate)
    }
}

/// See the module.
pub(crate) struct Speakers {
    frames: Vec<[i16; FRAME_SAMPLES_MAX]>,
    /// Index of the frame that belongs to nobody.
    spare: usize,
    slots: Vec<Slot>,
    /// Slots by state; speaking holds the leaving too.
    free: Vec<u16>,
    candidates: Vec<u16>,
    speaking: Vec<u16>,
    /// Loudness that a newcomer had to have in the tick before.
    threshold: f32,
    active: Option<LegKey>,
    beaten: u8,
}

impl Speakers {
    pub(crate) fn new() -> Self {
        Self {
            frames: vec![[0; FRAME_SAMPLES_MAX]],
            spare: 0,
            slots: Vec::new(),
            free: Vec::new(),
            candidates: Vec::new(),
            speaking: Vec::new(),
            threshold: 0.0,
            active: None,
            beaten: 0,
        }
    }

    /// Makes so many slots, if there are fewer.
    pub(crate) fn grow(&mut self, slots: usize) {
        while self.slots.len() < slots {
            self.free.push(self.slots.len() as u16);
            self.slots.push(Slot::new(self.frames.len()));
            self.frames.push([0; FRAME_SAMPLES_MAX]);
        }
        let slots = self.slots.len();
        for list in [&mut self.free, &mut self.candidates, &mut self.speaking] {
            list.reserve(slots - list.len());
        }
    }

    /// Loudness above which a newcomer may find a place in this tick.
    pub(crate) const fn threshold(&self) -> f32 {
        self.threshold
    }

    /// Where the next leg's sound goes.
    pub(crate) fn spare_frame(&mut self) -> &mut [i16; FRAME_SAMPLES_MAX] {
        &mut self.frames[self.spare]
    }

    /// A speaker was pulled into the spare frame.
    pub(crate) fn speaker(&mut self, slot: u16, pulled: Option<Rate>, meter: &Meter) {
        let slot = &mut self.slots[usize::from(slot)];
        slot.voice.pulled = pulled;
        slot.voice.wanted_gain = meter.gain();
        slot.loudness = meter.loudness();
        slot.quiet = meter.is_quiet();
        slot.sounds = meter.sounds();
        if pulled.is_some() {
            core::mem::swap(&mut slot.frame, &mut self.spare);
        }
    }

    /// Somebody else was pulled into the spare frame, and is loud.
    pub(crate) fn offer(&mut self, max: usize, leg: u32, rate: Rate, meter: &Meter) {
        let loudness = meter.loudness();
        if loudness <= self.threshold {
            return;
        }
        let free = if self.candidates.len() < max {
            self.free.pop()
        } else {
            None
        };
        let index = match free {
            Some(index) => {
                self.candidates.push(index);
                index
            }
            None => match self.softest(&self.candidates, 0) {
                Some(index) if self.slots[usize::from(index)].loudness < loudness => index,
                _ => return,
            },
        };
        let slot = &mut self.slots[usize::from(index)];
        slot.state = State::Candidate;
        slot.leg = leg;
        slot.voice.pulled = Some(rate);
        slot.voice.wanted_gain = meter.gain();
        slot.voice.gain = Gain::SILENCE;
        slot.voice.heard = false;
        slot.loudness = loudness;
        slot.quiet = false;
        slot.sounds = true;
        slot.ticks = 0;
        core::mem::swap(&mut slot.frame, &mut self.spare);
    }

    /// The softest in a list among those who have been there so long.
    fn softest(&self, list: &[u16], ticks: u32) -> Option<u16> {
        let slot = |index: u16| &self.slots[usize::from(index)];
        list.iter()
            .copied()
            .filter(|&index| slot(index).state != State::Leaving && slot(index).ticks >= ticks)
            .min_by(|&a, &b| slot(a).loudness.total_cmp(&slot(b).loudness))
    }

    /// Decides who speaks in this tick. `admit` is asked for each newcomer, told
    /// his slot, and may refuse.
    pub(crate) fn select(&mut self, max: usize, mut admit: impl FnMut(u32, u16) -> bool) {
        let mut count = 0;
        for &index in &self.speaking {
            let slot = &mut self.slots[usize::from(index)];
            if slot.quiet {
                slot.state = State::Leaving;
            }
            count += usize::from(slot.state == State::Speaking);
        }
        while count > max {
            let Some(index) = self.softest(&self.speaking, 0) else {
                break;
            };
            self.slots[usize::from(index)].state = State::Leaving;
            count -= 1;
        }

        let mut candidates = core::mem::take(&mut self.candidates);
        let slots = &self.slots;
        candidates.sort_unstable_by(|&a, &b| {
            let loudness = |index: u16| slots[usize::from(index)].loudness;
            loudness(b).total_cmp(&loudness(a))
        });
        for index in candidates.drain(..) {
            let softest = if count < max {
                None
            } else {
                let loudness = self.slots[usize::from(index)].loudness;
                match self.softest(&self.speaking, SAFE_TICKS) {
                    Some(softest)
                        if loudness > OUTSPEAK * self.slots[usize::from(softest)].loudness =>
                    {
                        Some(softest)
                    }
                    _ => {
                        self.release(index);
                        continue;
                    }
                }
            };
            if !admit(self.slots[usize::from(index)].leg, index) {
                self.release(index);
                continue;
            }
            if let Some(softest) = softest {
                self.slots[usize::from(softest)].state = State::Leaving;
            } else {
                count += 1;
            }
            self.slots[usize::from(index)].state = State::Speaking;
            self.speaking.push(index);
        }
        self.candidates = candidates;

        self.threshold = if count < max {
            0.0
        } else {
            let softest = self.softest(&self.speaking, 0);
            softest.map_or(0.0, |index| {
                OUTSPEAK * self.slots[usize::from(index)].loudness
            })
        };
    }

    fn release(&mut self, index: u16) {
        let slot = &mut self.slots[usize::from(index)];
        slot.state = State::Free;
        slot.leg = NO_LEG;
        slot.voice.heard = false;
        self.free.push(index);
    }

    /// Adds the speakers to the sums of the rates `in_use`; gives how many are heard.
    pub(crate) fn mix(&mut self, in_use: [bool; 3], sums: &mut Sums) -> usize {
        let mut heard = 0;
        for &index in &self.speaking {
            let slot = &mut self.slots[usize::from(index)];
            let leaving = slot.state == State::Leaving;
            let frame = &mut self.frames[slot.frame];
            heard += usize::from(slot.voice.add(frame, leaving, in_use, sums));
        }
        heard
    }

    /// What a speaker added to the sum of a rate in use, if anything.
    pub(crate) fn share(&self, slot: u16, rate: Rate) -> Option<&[i16]> {
        let slot = &self.slots[usize::from(slot)];
        slot.voice.share(&self.frames[slot.frame], rate)
    }

    /// Ends the tick; `left` is told each leg that is no longer a speaker.
    pub(crate) fn end_tick(&mut self, mut left: impl FnMut(u32)) {
        let mut position = 0;
        while let Some(&index) = self.speaking.get(position) {
            let slot = &mut self.slots[usize::from(index)];
            if slot.state == State::Leaving {
                if slot.leg != NO_LEG {
                    left(slot.leg);
                }
                self.speaking.swap_remove(position);
                self.release(index);
                continue;
            }
            slot.ticks = slot.ticks.saturating_add(1);
            slot.voice.pulled = None;
            position += 1;
        }
    }

    /// The leg has left the conference.
    pub(crate) fn orphan(&mut self, slot: u16) {
        let slot = &mut self.slots[usize::from(slot)];
        slot.leg = NO_LEG;
        slot.voice.pulled = None;
        slot.state = State::Leaving;
    }

    /// A speaker's leg has another index now.
    pub(crate) fn renumber(&mut self, slot: u16, leg: u32) {
        self.slots[usize::from(slot)].leg = leg;
    }

    /// Judges who the active speaker is.
    pub(crate) fn judge_active(&mut self, key: impl Fn(u32) -> LegKey) {
        let present = |slot: &&Slot| slot.state == State::Speaking && slot.leg != NO_LEG;
        let speaking = || {
            let slots = self.speaking.iter();
            slots
                .map(|&index| &self.slots[usize::from(index)])
                .filter(present)
        };
        let louder = |a: &&Slot, b: &&Slot| {
            let sounds = a.sounds.cmp(&b.sounds);
            sounds.then(a.loudness.total_cmp(&b.loudness))
        };
        let Some(loudest) = speaking().max_by(louder) else {
            self.beaten = 0;
            return;
        };
        let newcomer = key(loudest.leg);
        let Some(active) = self.active else {
            self.active = Some(newcomer);
            self.beaten = 0;
            return;
        };
        let now = speaking().find(|slot| key(slot.leg) == active);
        let least = now.map_or(0.0, |slot| {
            let share = if slot.sounds { OUTSPEAK } else { INTERRUPT };
            share * slot.loudness
        });
        if newcomer == active || loudest.loudness <= least {
            self.beaten = 0;
            return;
        }
        // A cough echoes in the level for a while; only its sound counts.
        self.beaten += u8::from(loudest.sounds);
        if self.beaten >= BEATEN_TICKS {
            self.active = Some(newcomer);
            self.beaten = 0;
        }
    }

    pub(crate) const fn active(&self) -> Option<LegKey> {
        self.active
    }

    /// The active speaker has left.
    pub(crate) fn forget(&mut self, key: LegKey) {
        if self.active == Some(key) {
            self.active = None;
            self.beaten = 0;
        }
    }

    /// Every slot is in one list, every frame has one owner, and no more speak
    /// than may.
    #[cfg(test)]
    pub(crate) fn check(&self, max: usize, legs: usize) {
        assert!(self.candidates.is_empty());
        let mut slots: Vec<u16> = self.free.iter().chain(&self.speaking).copied().collect();
        slots.sort_unstable();
        assert!(slots.iter().copied().eq(0..self.slots.len() as u16));
        let mut frames: Vec<usize> = self.slots.iter().map(|slot| slot.frame).collect();
        frames.push(self.spare);
        frames.sort_unstable();
        assert!(frames.into_iter().eq(0..self.frames.len()));
        assert!(self.speaking.len() <= max);
        for &index in &self.speaking {
            let slot = &self.slots[usize::from(index)];
            assert!(slot.state == State::Leaving || (slot.leg as usize) < legs);
        }
    }
}

impl Slot {
    fn new(frame: usize) -> Self {
        Self {
            state: State::Free,
            leg: NO_LEG,
            frame,
            voice: Voice::new(),
            loudness: 0.0,
            quiet: false,
            sounds: false,
            ticks: 0,
        }
    }
}

impl Voice {
    fn new() -> Self {
        Self {
            pulled: None,
            rate: Rate::Hz8000,
            wanted_gain: Gain::UNITY,
            gain: Gain::SILENCE,
            heard: false,
            converters: Converters::new(),
            resampled: [0; RESAMPLED],
        }
    }

    /// Adds the frame to the sums of the rates `in_use`, for the last time where it is
    /// `leaving`; whether it is heard.
    fn add(
        &mut self,
        frame: &mut [i16; FRAME_SAMPLES_MAX],
        leaving: bool,
        in_use: [bool; 3],
        sums: &mut Sums,
    ) -> bool {
        self.prepare(frame, leaving);
        if !self.heard {
            return false;
        }
        let frame = &frame[..self.rate.samples()];
        for (to, sum) in Rate::ALL.into_iter().zip(sums.iter_mut()) {
            if !in_use[to as usize] {
                continue;
            }
            if to == self.rate {
                mix::accumulate(&mut sum[..to.samples()], frame);
            } else {
                let resampled = &mut self.resampled[place(to)];
                self.converters.convert(self.rate, to, frame, resampled);
                mix::accumulate(&mut sum[..to.samples()], resampled);
            }
        }
        true
    }

    /// What it added to the sum of a rate in use, if anything.
    fn share<'a>(&'a self, frame: &'a [i16; FRAME_SAMPLES_MAX], rate: Rate) -> Option<&'a [i16]> {
        if !self.heard {
            return None;
        }
        Some(if rate == self.rate {
            &frame[..rate.samples()]
        } else {
            &self.resampled[place(rate)]
        })
    }

    /// Makes the frame what is added to the mix.
    fn prepare(&mut self, frame: &mut [i16; FRAME_SAMPLES_MAX], leaving: bool) {
        let was_heard = self.heard;
        match self.pulled {
            Some(rate) => {
                if !was_heard || rate != self.rate {
                    self.converters.reset();
                }
                self.rate = rate;
                let from = if was_heard { self.gain } else { Gain::SILENCE };
                let to = if leaving {
                    Gain::SILENCE
                } else {
                    self.wanted_gain
                };
                let frame = &mut frame[..rate.samples()];
                if from == to {
                    gain::apply_gain(frame, to);
                } else {
                    gain::ramp_gain(frame, from, to);
                }
                self.gain = to;
                self.heard = from != Gain::SILENCE || to != Gain::SILENCE;
            }
            None if was_heard && self.gain != Gain::SILENCE => {
                let frame = &mut frame[..self.rate.samples()];
                frame.reverse();
                gain::ramp_gain(frame, Gain::UNITY, Gain::SILENCE);
                self.gain = Gain::SILENCE;
                self.heard = true;
            }
            None => self.heard = false,
        }
    }
}
