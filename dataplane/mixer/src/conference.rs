//! The conference as its caller sees it, and its step of 20 ms.

use plenum_kernels::audio::gain::{self, Gain};
use plenum_kernels::audio::limit::{self, Limiter, Plan};
use plenum_kernels::audio::mix;

use crate::seats::Seats;
use crate::speakers::{Screen, Speakers, Sums, slots_for};
use crate::tone::{Chime, Tone};
use crate::{
    Counters, FRAME_SAMPLES_MAX, LegKey, MixLeg, MixPolicy, Need, Pulled, Rate, SetLegError, TickIo,
};

/// A mix that is softer than this (-42 dB) is a pause.
const PAUSE_PEAK: u32 = 256;

/// The audio of one conference. See the crate.
pub struct Conference {
    policy: MixPolicy,
    legs_max: usize,
    seats: Seats,
    speakers: Speakers,
    /// Of legs that share one; as many as there are legs at most.
    screens: Vec<Screen>,
    tone: Tone,
    counters: Counters,
    /// Rates at which somebody listens.
    in_use: [bool; 3],
    sums: Box<Sums>,
    /// What a mere listener hears, at each rate.
    full: Box<[[i16; FRAME_SAMPLES_MAX]; 3]>,
    limiters: [Limiter; 3],
}

impl core::fmt::Debug for Conference {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Conference")
            .field("legs", &self.len())
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

impl Conference {
    /// An empty conference for up to `legs_max` legs.
    #[must_use]
    pub fn new(policy: MixPolicy, legs_max: usize) -> Self {
        Self {
            policy,
            legs_max,
            seats: Seats::default(),
            speakers: Speakers::new(),
            screens: Vec::new(),
            tone: Tone::default(),
            counters: Counters::default(),
            in_use: [false; 3],
            sums: Box::new([[0; FRAME_SAMPLES_MAX]; 3]),
            full: Box::new([[0; FRAME_SAMPLES_MAX]; 3]),
            limiters: Rate::ALL.map(|rate| Limiter::new(rate.hz())),
        }
    }

    /// Mixes by another policy from the next tick on. Another Opus complexity
    /// counts for legs that are set from now on.
    pub fn set_policy(&mut self, policy: MixPolicy) {
        self.policy = policy;
        let slots = slots_for(policy.speakers());
        self.speakers.grow(slots.min(self.len()));
        // Where memory has run out, fewer speak at once than the policy allows.
        let _ = self.seats.allow_slots(slots);
    }

    /// Lets a leg in, or changes it; the same value again changes nothing. The
    /// conference hears a newcomer's chime where the policy says so.
    ///
    /// # Errors
    /// When the conference is full, the packet time is not supported, or the
    /// codec could not be made. Nothing that is heard has changed then.
    pub fn set_leg(&mut self, key: LegKey, leg: MixLeg) -> Result<(), SetLegError> {
        let max = usize::from(self.policy.join_tone_participants_max);
        if self.set(key, leg)? && self.len() <= max {
            self.tone.play(Chime::Join);
        }
        Ok(())
    }

    /// As [`Self::set_leg`], without a chime: for legs that were there before
    /// this process was.
    ///
    /// # Errors
    /// As [`Self::set_leg`].
    pub fn restore_leg(&mut self, key: LegKey, leg: MixLeg) -> Result<(), SetLegError> {
        self.set(key, leg).map(|_new| ())
    }

    fn set(&mut self, key: LegKey, leg: MixLeg) -> Result<bool, SetLegError> {
        if !matches!(leg.packet_ms, 10 | 20 | 40) {
            return Err(SetLegError::PacketTime);
        }
        if self.len() >= self.legs_max && self.seats.find(key).is_none() {
            return Err(SetLegError::Full);
        }
        let slots = slots_for(self.policy.speakers());
        let complexity = self.policy.opus_complexity;
        let new = self.seats.set(key, leg, complexity, slots)?;
        let shared = self.screens.iter().any(|screen| screen.owner == key);
        match (shared, leg.shares_screen) {
            (false, true) => self.screens.push(Screen::new(key)),
            (true, false) => self.screens.retain(|screen| screen.owner != key),
            _ => {}
        }
        self.speakers.grow(slots.min(self.len()));
        self.note_rates();
        Ok(new)
    }

    /// Puts a leg out; `false` where there is none of this key. The others hear
    /// a chime where the policy says so.
    pub fn remove_leg(&mut self, key: LegKey) -> bool {
        let Some(index) = self.seats.find(key) else {
            return false;
        };
        if let Some(slot) = self.seats.legs[index].slot {
            self.speakers.orphan(slot);
        }
        self.speakers.forget(key);
        self.screens.retain(|screen| screen.owner != key);
        if let Some(slot) = self.seats.remove(index) {
            self.speakers.renumber(slot, index as u32);
        }
        self.note_rates();
        if self.len() <= usize::from(self.policy.leave_tone_participants_max) {
            self.tone.play(Chime::Leave);
        }
        true
    }

    fn note_rates(&mut self) {
        let before = self.in_use;
        self.in_use = [false; 3];
        for group in self.seats.groups.iter().flatten() {
            self.in_use[group.stream.rate() as usize] |= !group.muted;
        }
        for (rate, limiter) in self.limiters.iter_mut().enumerate() {
            if !before[rate] {
                limiter.reset();
            }
        }
    }

    /// Legs in the conference.
    #[must_use]
    pub fn len(&self) -> usize {
        self.seats.legs.len()
    }

    /// Whether nobody is in the conference.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seats.legs.is_empty()
    }

    /// The loudest speaker, slow to change; the last one while nobody speaks,
    /// `None` before anybody has.
    #[must_use]
    pub fn active_speaker(&self) -> Option<LegKey> {
        self.speakers.active()
    }

    /// What each leg said in the last tick, in -dBov: 0 loud, 127 silent.
    pub fn levels(&self) -> impl Iterator<Item = (LegKey, u8)> {
        let legs = self.seats.legs.iter();
        legs.map(|leg| (leg.key, leg.meter.level_dbov()))
    }

    /// Totals since the conference began.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// One step of 20 ms: pulls every leg once, then pushes what is complete.
    pub fn tick(&mut self, io: &mut impl TickIo) {
        let tick = self.counters.ticks;
        self.counters.ticks += 1;
        let max = self.policy.speakers();

        self.pull(io, max);
        let seats = &mut self.seats;
        self.speakers
            .select(max, |leg, slot| seats.admit(leg as usize, slot));

        let (heard, plans, pause) = self.mix();
        let silent = heard == 0 && !self.tone.is_playing();
        self.push_groups(io, tick, silent);
        self.push_owners(io, tick, silent, heard, plans);

        self.tone.advance();
        let legs = &mut self.seats.legs;
        self.speakers.judge_active(|leg| legs[leg as usize].key);
        self.speakers.end_tick(|leg| legs[leg as usize].slot = None);
        self.seats.rejoin(tick, pause);
    }

    fn pull(&mut self, io: &mut impl TickIo, max: usize) {
        for (index, leg) in self.seats.legs.iter_mut().enumerate() {
            let need = match leg.slot {
                _ if leg.config.rx_muted => Need::NOTHING,
                Some(_) => Need::ALL,
                None => Need {
                    least: leg.meter.needed(self.speakers.threshold()),
                },
            };
            let frame = self.speakers.spare_frame();
            let pulled = match io.pull(leg.key, need, frame) {
                _ if leg.config.rx_muted => {
                    leg.meter.mute();
                    None
                }
                Pulled::Silence => {
                    leg.meter.silence();
                    None
                }
                Pulled::Unheard { level_dbov } => {
                    match level_dbov {
                        Some(level) => leg.meter.claimed(level),
                        None => leg.meter.silence(),
                    }
                    None
                }
                Pulled::Sound(rate) => {
                    leg.meter.sound(&frame[..rate.samples()]);
                    Some(rate)
                }
            };
            match (leg.slot, pulled) {
                (Some(slot), _) => {
                    leg.meter.adapt_gain();
                    self.speakers.speaker(slot, pulled, &leg.meter);
                }
                (None, Some(rate)) if leg.meter.is_loud() => {
                    self.speakers.offer(max, index as u32, rate, &leg.meter);
                }
                (None, _) => {}
            }
        }
        for screen in &mut self.screens {
            let pulled = match io.pull_screen(screen.owner, screen.frame()) {
                Pulled::Sound(rate) => Some(rate),
                Pulled::Silence | Pulled::Unheard { .. } => None,
            };
            screen.pulled(pulled);
        }
    }

    /// Sums the speakers at each rate in use; gives how many there are, how each
    /// sum is limited, and where it is next to nothing.
    fn mix(&mut self) -> (usize, [Plan; 3], [bool; 3]) {
        for rate in Rate::ALL {
            if self.in_use[rate as usize] {
                self.sums[rate as usize][..rate.samples()].fill(0);
            }
        }
        let mut heard = self.speakers.mix(self.in_use, &mut self.sums);
        for screen in &mut self.screens {
            heard += usize::from(screen.mix(self.in_use, &mut self.sums));
        }
        let mut plans = [Plan::UNITY; 3];
        let mut pause = [true; 3];
        for rate in Rate::ALL {
            let at = rate as usize;
            if !self.in_use[at] {
                continue;
            }
            let sum = &mut self.sums[at][..rate.samples()];
            if self.tone.is_playing() {
                let mut chime = [0; FRAME_SAMPLES_MAX];
                self.tone.fill(rate, &mut chime);
                mix::accumulate(sum, &chime[..rate.samples()]);
            }
            let peak = mix::peak(sum);
            pause[at] = peak < PAUSE_PEAK;
            plans[at] = self.limiters[at].plan(peak, rate.samples());
            limit::limit(&mut self.full[at][..rate.samples()], sum, plans[at]);
        }
        (heard, plans, pause)
    }

    fn push_groups(&mut self, io: &mut impl TickIo, tick: u64, silent: bool) {
        for group in self.seats.groups.iter_mut().flatten() {
            if group.listeners.is_empty() {
                continue;
            }
            let rate = group.stream.rate();
            let silent = silent || group.muted;
            let frame = group.stream.frame(tick);
            if silent {
                frame.fill(0);
            } else {
                frame.copy_from_slice(&self.full[rate as usize][..rate.samples()]);
            }
            let listeners = &group.listeners;
            let mut packets = 0;
            group
                .stream
                .send(tick, silent, true, &mut self.counters, |packet| {
                    packets += 1;
                    io.push(listeners, packet);
                });
            self.counters.shared_sends += packets * (listeners.len() as u64 - 1);
        }
    }

    fn push_owners(
        &mut self,
        io: &mut impl TickIo,
        tick: u64,
        silent: bool,
        heard: usize,
        plans: [Plan; 3],
    ) {
        for &index in &self.seats.owners {
            let leg = &mut self.seats.legs[index as usize];
            let (key, slot) = (leg.key, leg.slot);
            let (from, to) = (leg.tx_gain_now, leg.tx_gain);
            leg.tx_gain_now = to;
            let Some(stream) = leg.own() else {
                continue;
            };
            let rate = stream.rate();
            let share = slot.and_then(|slot| self.speakers.share(slot, rate));
            let screen = self.screens.iter().find(|screen| screen.owner == key);
            let screen = screen.and_then(|screen| screen.share(rate));
            // The only one who is heard hears nothing.
            let own = usize::from(share.is_some()) + usize::from(screen.is_some());
            let alone = own > 0 && own == heard && !self.tone.is_playing();
            let silent = silent || alone;
            let frame = stream.frame(tick);
            let (sum, plan) = (
                &self.sums[rate as usize][..rate.samples()],
                plans[rate as usize],
            );
            match (share, screen) {
                _ if silent => frame.fill(0),
                (None, None) => frame.copy_from_slice(&self.full[rate as usize][..rate.samples()]),
                (Some(share), None) | (None, Some(share)) => {
                    limit::subtract_limit(frame, sum, share, Gain::UNITY, plan);
                }
                (Some(share), Some(screen)) => {
                    let mut rest = [0; FRAME_SAMPLES_MAX];
                    let rest = &mut rest[..rate.samples()];
                    for ((rest, sum), screen) in rest.iter_mut().zip(sum).zip(screen) {
                        *rest = sum - i32::from(*screen);
                    }
                    limit::subtract_limit(frame, rest, share, Gain::UNITY, plan);
                }
            }
            if from == to {
                gain::apply_gain(frame, to);
            } else {
                gain::ramp_gain(frame, from, to);
            }
            stream.send(tick, silent, false, &mut self.counters, |packet| {
                io.push(&[key], packet);
            });
        }
    }
}

#[cfg(test)]
mod tests;
