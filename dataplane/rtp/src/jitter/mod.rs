//! Adaptive jitter buffer: turns packets that come when they like into sound
//! that is there when it is needed.
//!
//! It stores whatever the caller calls a packet (`T`, usually a lease) and never
//! looks inside. The caller keeps decoded samples of its own and asks for
//! more only when it runs short:
//!
//! ```text
//! insert(arrival) --> [ slots by sequence number ] --> pop() while held < one tick
//!                          ^ cursor: next sequence, next timestamp
//! ```
//!
//! So packets of 10 to 60 ms and ticks of 20 ms need no arithmetic here. Time is
//! the tick's own: what counts is not when a sound is heard but when the packet
//! must be here, and that is when the caller runs short. Clock drift shows
//! as that delay moving away from its target; each `Accelerate` or `Expand` that the
//! caller carries out, by however much, moves it back sooner or later, so
//! nothing needs to be reported.
//!
//! What is decided here, in this order of care:
//! 1. A hole is loss only if its sequence numbers never came. A timestamp jump
//!    with none missing is a silence the sender chose (DTX, comfort noise), and a
//!    silence is where the delay is corrected for free: the next packet plays
//!    when it is due.
//! 2. An empty buffer *holds*: sound is made up, the cursor stays. The late packet
//!    then still plays and the delay has grown by the wait; a packet that
//!    turns out lost costs nothing more than what was already made up.
//! 3. Delay beyond the maximum is cut by discarding what is oldest, but never
//!    the newest packet.
//!
//! It refuses to decode, to stretch sound, or to say how a gap should sound.

mod timing;
mod types;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use core::time::Duration;

use plenum_abi::Nanos;

use timing::Timing;
pub use types::{Adjust, Arrival, JitterConfig, JitterCounters, Pop, RejectReason, Rejected};

/// Forward jump of the sequence number that is still loss (RFC 3550 A.1, MAX_DROPOUT).
const MAX_DROPOUT: i64 = 3_000;
/// Backward jump that is still reordering (RFC 3550 A.1, MAX_MISORDER).
const MAX_MISORDER: i64 = 100;
/// A timestamp this far from where its arrival says, and not explained by the
/// sequence number, is another clock.
const CLOCK_JUMP_NS: i64 = 1_000_000_000;
/// Least time between two hints, so that stretching stays inaudible.
const HINT_INTERVAL: Duration = Duration::from_millis(100);
/// A target that swings between two buckets of the histogram is no reason to adjust.
const TOLERANCE_NS: i64 = 5_000_000;
/// Longest sound of one packet that is believed (RFC 7587: Opus has up to 120 ms).
const PACKET_MAX: Duration = Duration::from_millis(120);

#[derive(Debug)]
struct Slot<T> {
    sequence: i64,
    timestamp: i64,
    ticks: u32,
    marker: bool,
    discontinuous: bool,
    arrived: Nanos,
    /// `None` for a packet without sound (see [`JitterBuffer::skip`]).
    item: Option<T>,
}

/// The next packet with sound.
#[derive(Clone, Copy)]
struct Front {
    sequence: i64,
    timestamp: i64,
    marker: bool,
    /// Sequence numbers before it that never came.
    missing: i64,
}

/// See the [module](self).
#[derive(Debug)]
pub struct JitterBuffer<T> {
    config: JitterConfig,
    slots: Box<[Option<Slot<T>>]>,
    timing: Timing,
    step_ticks: i64,
    conceal_ticks: i64,
    packet_ticks_max: u32,
    hint_after: Nanos,
    /// Least delay of the packets taken since the last hint was considered.
    delay_least: i64,
    /// A packet was seen; what follows means something.
    begun: bool,
    /// The first packet was due; before, the cursor may still move back.
    playing: bool,
    /// `next_timestamp` means something: it does not before the first packet plays
    /// and after packets had to go for want of room.
    anchored: bool,
    /// Cursor: sequence number (extended) and timestamp (extended) that play next.
    next_sequence: i64,
    next_timestamp: i64,
    /// Newest stored or skipped, extended.
    highest_sequence: i64,
    /// Timestamp of the newest with sound, and its sequence number.
    highest_timestamp: i64,
    highest_sound: i64,
    /// Bit n: sequence `next_sequence - 1 - n` came.
    came: u64,
    /// Where a restarted stream would go on.
    restart_at: Option<u16>,
    /// Ticks handed out since the last packet without moving the cursor.
    held: i64,
    /// Sound in the last packet that had any.
    packet_ticks: i64,
    /// The sender said it would be silent.
    silent: bool,
    /// See [`Pop::Packet::lost_before`].
    lost_before: u16,
    counters: JitterCounters,
}

impl<T> JitterBuffer<T> {
    /// Allocates everything the buffer will ever use.
    #[must_use]
    pub fn new(config: &JitterConfig) -> Self {
        let capacity = config.capacity.clamp(2, 1_024).next_power_of_two();
        let timing = Timing::new(
            config.clock_hz,
            config.delay_min,
            config.delay_initial,
            config.delay_max,
        );
        let mut buffer = Self {
            config: *config,
            slots: (0..capacity).map(|_| None).collect(),
            step_ticks: 1,
            conceal_ticks: 1,
            packet_ticks_max: 1,
            timing,
            hint_after: Nanos::ZERO,
            delay_least: i64::MAX,
            begun: false,
            playing: false,
            anchored: false,
            next_sequence: 0,
            next_timestamp: 0,
            highest_sequence: 0,
            highest_timestamp: 0,
            highest_sound: 0,
            came: 0,
            restart_at: None,
            held: 0,
            packet_ticks: 1,
            silent: false,
            lost_before: 0,
            counters: JitterCounters::default(),
        };
        buffer.count_in_ticks();
        buffer
    }

    /// For a stream on another RTP clock, as when the far end changes from Opus to
    /// G.711: restarts, and keeps what was learned of the network. The same clock
    /// again does nothing.
    pub fn set_clock(&mut self, clock_hz: u32) {
        if clock_hz != self.config.clock_hz {
            self.config.clock_hz = clock_hz;
            self.timing.set_clock(clock_hz);
            self.count_in_ticks();
            self.restart();
        }
    }

    /// The spans of the configuration on the stream's clock.
    fn count_in_ticks(&mut self) {
        let timing = &self.timing;
        let ticks = |span: Duration| timing.ticks(span.as_nanos().min(1 << 40) as i64).max(1);
        self.step_ticks = ticks(self.config.step);
        self.conceal_ticks = ticks(self.config.conceal_max);
        self.packet_ticks_max = ticks(PACKET_MAX) as u32;
        self.packet_ticks = self.step_ticks;
    }

    /// Stores a packet that came at `now`.
    ///
    /// When the sequence number is too far ahead for the slots, the oldest
    /// packets are dropped for it.
    ///
    /// # Errors
    ///
    /// Gives the packet back with the reason.
    pub fn insert(&mut self, now: Nanos, arrival: Arrival, item: T) -> Result<(), Rejected<T>> {
        let arrival = Arrival {
            ticks: arrival.ticks.min(self.packet_ticks_max),
            ..arrival
        };
        let place = match self.admit(arrival.sequence) {
            Ok(sequence) => self.place(now, sequence, &arrival),
            Err(reason) => return Err(Rejected { item, reason }),
        };
        let (sequence, timestamp) = place.unwrap_or_else(|| self.begin(&arrival));
        self.timing.observe(now, timestamp);
        if let Err(reason) = self.make_room(sequence) {
            return Err(Rejected { item, reason });
        }
        if sequence >= self.highest_sound {
            self.highest_sound = sequence;
            self.highest_timestamp = timestamp;
        }
        self.put(Slot {
            sequence,
            timestamp,
            ticks: arrival.ticks,
            marker: arrival.marker,
            discontinuous: arrival.discontinuous,
            arrived: now,
            item: Some(item),
        });
        Ok(())
    }

    /// Whether this is the packet after the newest: nothing is missing between them.
    #[must_use]
    pub const fn follows(&self, sequence: u16) -> bool {
        self.begun && sequence == (self.highest_sequence as u16).wrapping_add(1)
    }

    /// Whether this packet is missing and would still be in time: nothing was made up
    /// in its place yet. Ask after the packet that brought it was stored.
    #[must_use]
    pub fn lacks(&self, sequence: u16) -> bool {
        self.gap_at(sequence).is_some()
    }

    /// The extended sequence number of a packet that [is lacking](Self::lacks).
    fn gap_at(&self, sequence: u16) -> Option<i64> {
        let step = i64::from(sequence.wrapping_sub(self.highest_sequence as u16) as i16);
        let sequence = self.highest_sequence + step;
        let waits = sequence - self.next_sequence;
        let lacks = self.begun
            && (-MAX_MISORDER..0).contains(&step)
            && waits >= 0
            && waits * self.packet_ticks >= self.held
            && self.slot(sequence).is_none();
        lacks.then_some(sequence)
    }

    /// Stores a packet that a later one brought along (RFC 2198), where it
    /// [is lacking](Self::lacks); elsewhere it is dropped. It says nothing of how
    /// long the path takes.
    pub fn fill(&mut self, now: Nanos, arrival: Arrival, item: T) {
        let Some(sequence) = self.gap_at(arrival.sequence) else {
            return;
        };
        self.counters.filled += 1;
        self.put(Slot {
            sequence,
            timestamp: self.highest_timestamp + self.step_to(arrival.timestamp),
            ticks: arrival.ticks.min(self.packet_ticks_max),
            marker: arrival.marker,
            discontinuous: arrival.discontinuous,
            arrived: now,
            item: Some(item),
        });
    }

    /// Notes a packet of the stream that has no sound to play (a telephone
    /// event, a payload type that nobody negotiated), so that its sequence
    /// number is not taken for loss.
    pub fn skip(&mut self, sequence: u16) {
        if !self.begun {
            return;
        }
        let Ok(sequence) = self.admit(sequence) else {
            return;
        };
        if self.make_room(sequence).is_ok() {
            self.put(Slot {
                sequence,
                timestamp: 0,
                ticks: 0,
                marker: false,
                discontinuous: true,
                arrived: Nanos::ZERO,
                item: None,
            });
        }
    }

    /// Forgets the stream, drops what is stored and waits for a first packet. For
    /// a new SSRC; jumps within one are found out by [`JitterBuffer::insert`].
    pub fn restart(&mut self) {
        self.slots.fill_with(|| None);
        self.timing.forget_base();
        self.begun = false;
        self.playing = false;
        self.anchored = false;
        self.came = 0;
        self.restart_at = None;
        self.held = 0;
        self.silent = false;
        self.delay_least = i64::MAX;
    }

    /// What to play next. Call it in the tick at `now` (its scheduled instant, so
    /// that a late worker does not look like a slow network) until there is
    /// enough for the tick or it says [`Pop::Wait`].
    pub fn pop(&mut self, now: Nanos) -> Pop<'_, T> {
        self.pass_soundless();
        let Some(mut front) = self.front() else {
            return self.underrun();
        };
        if !self.playing {
            if self.timing.until_due(now, front.timestamp) > 0 {
                return Pop::Wait;
            }
            self.playing = true;
        }
        if self.timing.delay(now, front.timestamp) > self.timing.target_max() {
            front = self.discard_overdue(now, front);
        }
        if !self.anchored {
            self.anchor(&mut front);
        }
        self.absorb_held(&mut front);

        let jump = front.timestamp - self.next_timestamp;
        let gap = jump - self.held;
        let slack = self.packet_ticks / 2;
        // More time than the lost packets had means that the sender was silent
        // too; without the marker, speech began with the lost ones.
        let silent_too = gap > front.missing * self.packet_ticks + slack && !front.marker;
        if front.missing > 0 && gap > 0 && !self.silent && !silent_too {
            return self.conceal_lost(gap, &front);
        }
        let after_silence = self.silent || (jump > slack && gap > 0);
        if after_silence && self.timing.until_due(now, front.timestamp) > 0 {
            return self.silence();
        }
        self.take(now, &front)
    }

    /// Delay aimed at, over the fastest packet of the last seconds.
    #[must_use]
    pub fn target(&self) -> Duration {
        Duration::from_nanos(self.timing.target().max(0) as u64)
    }

    /// How much later than the fastest packet could be here the next one is taken,
    /// if that is at `now`; zero before the first packet plays.
    #[must_use]
    pub fn delay(&self, now: Nanos) -> Duration {
        if !self.playing {
            return Duration::ZERO;
        }
        let delay = self.timing.delay(now, self.next_timestamp);
        Duration::from_nanos(delay.max(0) as u64)
    }

    /// Packets stored, those without sound included.
    #[must_use]
    pub fn level(&self) -> usize {
        self.slots.iter().flatten().count()
    }

    /// Totals.
    #[must_use]
    pub fn counters(&self) -> &JitterCounters {
        &self.counters
    }

    /// The extended sequence number, or why the packet is none of ours. May
    /// restart the stream.
    fn admit(&mut self, sequence: u16) -> Result<i64, RejectReason> {
        if !self.begun {
            return Ok(i64::from(sequence));
        }
        let step = i64::from(sequence.wrapping_sub(self.highest_sequence as u16) as i16);
        if (-MAX_MISORDER..MAX_DROPOUT).contains(&step) {
            self.restart_at = None;
            return Ok(self.highest_sequence + step);
        }
        if self.restart_at == Some(sequence) {
            self.restart();
            self.counters.restarts += 1;
            return Ok(i64::from(sequence));
        }
        self.restart_at = Some(sequence.wrapping_add(1));
        self.counters.out_of_range += 1;
        Err(RejectReason::OutOfRange)
    }

    /// How far a timestamp is from the newest, whichever way is shorter.
    fn step_to(&self, timestamp: u32) -> i64 {
        i64::from(timestamp.wrapping_sub(self.highest_timestamp as u32) as i32)
    }

    /// Sequence number and timestamp, extended; `None` when the stream starts anew
    /// with this packet.
    fn place(&mut self, now: Nanos, sequence: i64, arrival: &Arrival) -> Option<(i64, i64)> {
        if !self.begun {
            return None;
        }
        let step = self.step_to(arrival.timestamp);
        let timestamp = self.highest_timestamp + step;
        let ahead = sequence - self.highest_sound;
        let off = self.timing.delay(now, timestamp);
        if ahead > 0 && off.abs() > CLOCK_JUMP_NS {
            let explained = 0..=ahead * i64::from(self.packet_ticks_max);
            if !explained.contains(&step) {
                self.restart();
                self.counters.restarts += 1;
                return None;
            }
            // The path stood still, or the sender's clock did: no delay that could
            // be waited for, so nothing to learn the target from.
            self.timing.forget_base();
        }
        Some((sequence, timestamp))
    }

    fn begin(&mut self, arrival: &Arrival) -> (i64, i64) {
        let sequence = i64::from(arrival.sequence);
        let timestamp = i64::from(arrival.timestamp);
        self.begun = true;
        self.next_sequence = sequence;
        self.highest_sequence = sequence;
        self.highest_sound = sequence;
        self.highest_timestamp = timestamp;
        (sequence, timestamp)
    }

    /// Makes the sequence number fit the slots, or says why it must not.
    fn make_room(&mut self, sequence: i64) -> Result<(), RejectReason> {
        let capacity = self.slots.len() as i64;
        let behind = self.next_sequence - sequence;
        if behind > 0 {
            if !self.playing && self.highest_sequence - sequence < capacity {
                self.next_sequence = sequence;
                return Ok(());
            }
            let bit = 1_u64.checked_shl((behind - 1).min(64) as u32).unwrap_or(0);
            if self.came & bit != 0 {
                self.counters.duplicate += 1;
                return Err(RejectReason::Duplicate);
            }
            self.came |= bit;
            self.counters.late += 1;
            return Err(RejectReason::Late);
        }
        if behind <= -capacity {
            self.pass_to(sequence - capacity + 1);
            self.anchored = false;
        }
        if self.slot(sequence).is_some() {
            self.counters.duplicate += 1;
            return Err(RejectReason::Duplicate);
        }
        Ok(())
    }

    fn index(&self, sequence: i64) -> usize {
        sequence as usize & (self.slots.len() - 1)
    }

    /// The slot of a sequence number inside the window.
    fn slot(&self, sequence: i64) -> Option<&Slot<T>> {
        self.slots[self.index(sequence)].as_ref()
    }

    fn put(&mut self, slot: Slot<T>) {
        self.highest_sequence = self.highest_sequence.max(slot.sequence);
        let index = self.index(slot.sequence);
        self.slots[index] = Some(slot);
    }

    /// Moves the cursor's sequence number; what it passes is dropped or lost.
    fn pass_to(&mut self, sequence: i64) {
        let mut lost_before = 0;
        // Nothing is stored beyond the window, so the rest needs no look.
        let looked = sequence.min(self.next_sequence + self.slots.len() as i64);
        while self.next_sequence < looked {
            let index = self.index(self.next_sequence);
            let slot = self.slots[index].take();
            self.came = self.came << 1 | u64::from(slot.is_some());
            match slot {
                None => {
                    self.counters.lost += 1;
                    lost_before += 1;
                }
                Some(slot) if slot.item.is_some() => {
                    self.counters.discarded += 1;
                    lost_before += 1;
                }
                Some(_) => {}
            }
            self.next_sequence += 1;
        }
        let rest = sequence - self.next_sequence;
        if rest > 0 {
            self.came = self.came.checked_shl(rest.min(64) as u32).unwrap_or(0);
            self.counters.lost += rest as u64;
            self.next_sequence = sequence;
            lost_before += rest;
        }
        let lost_before = u16::try_from(lost_before).unwrap_or(u16::MAX);
        self.lost_before = self.lost_before.saturating_add(lost_before);
    }

    /// Moves the cursor over packets that have no sound.
    fn pass_soundless(&mut self) {
        while let Some(slot) = self.slot(self.next_sequence)
            && slot.item.is_none()
        {
            self.pass_to(self.next_sequence + 1);
            self.silent = true;
        }
    }

    /// The oldest packet with sound.
    fn front(&self) -> Option<Front> {
        let mut missing = 0;
        for sequence in self.next_sequence..=self.highest_sequence {
            match self.slot(sequence) {
                None => missing += 1,
                Some(slot) if slot.item.is_none() => {}
                Some(slot) => {
                    return Some(Front {
                        sequence,
                        timestamp: slot.timestamp,
                        marker: slot.marker,
                        missing,
                    });
                }
            }
        }
        None
    }

    /// Whether sound is stored behind this packet.
    fn has_more(&self, sequence: i64) -> bool {
        (sequence + 1..=self.highest_sequence)
            .any(|next| self.slot(next).is_some_and(|slot| slot.item.is_some()))
    }

    /// Nothing to play: makes up sound and leaves the cursor where it is.
    fn underrun(&mut self) -> Pop<'_, T> {
        if !self.playing {
            return Pop::Wait;
        }
        if self.held == 0 && !self.silent {
            self.counters.underruns += 1;
        }
        if self.silent || self.held >= self.conceal_ticks {
            return self.silence();
        }
        let ticks = self.step_ticks.min(self.packet_ticks);
        self.held += ticks;
        self.counters.concealed += 1;
        Pop::Missing {
            ticks: ticks as u32,
            next: None,
        }
    }

    /// From now on the next packet plays when it is due, not when there is room.
    fn silence(&mut self) -> Pop<'_, T> {
        self.silent = true;
        self.held = self.held.saturating_add(self.step_ticks);
        Pop::Silence
    }

    /// Cuts the delay down to the target, but keeps the newest packet: when even
    /// that is overdue, the path became slower and the base does not know yet.
    fn discard_overdue(&mut self, now: Nanos, mut front: Front) -> Front {
        while self.timing.until_due(now, front.timestamp) < 0 && self.has_more(front.sequence) {
            self.pass_to(front.sequence + 1);
            self.anchored = false;
            match self.front() {
                Some(next) => front = next,
                None => break,
            }
        }
        front
    }

    /// Puts the cursor on this packet, whatever came before it.
    fn anchor(&mut self, front: &mut Front) {
        self.pass_to(front.sequence);
        front.missing = 0;
        self.next_timestamp = front.timestamp;
        self.held = 0;
        self.anchored = true;
    }

    /// Sound that was made up while the buffer was empty stands for the packets
    /// that, as it turns out, were lost at that place.
    fn absorb_held(&mut self, front: &mut Front) {
        while front.missing > 0
            && self.held >= self.packet_ticks
            && front.timestamp - self.next_timestamp >= self.packet_ticks
        {
            self.pass_to(self.next_sequence + 1);
            self.next_timestamp += self.packet_ticks;
            self.held -= self.packet_ticks;
            front.missing -= 1;
            self.pass_soundless();
        }
    }

    fn conceal_lost(&mut self, gap: i64, front: &Front) -> Pop<'_, T> {
        let ticks = self.packet_ticks.min(gap);
        self.pass_to(self.next_sequence + 1);
        self.next_timestamp += ticks;
        self.counters.concealed += 1;
        let follows = self.next_sequence == front.sequence;
        let next = self.slot(front.sequence).filter(|_| follows);
        Pop::Missing {
            ticks: ticks as u32,
            next: next.and_then(|slot| slot.item.as_ref()),
        }
    }

    fn take(&mut self, now: Nanos, front: &Front) -> Pop<'_, T> {
        self.pass_to(front.sequence);
        let index = self.index(front.sequence);
        let Some(Slot {
            timestamp,
            ticks,
            discontinuous,
            arrived,
            item: Some(item),
            ..
        }) = self.slots[index].take()
        else {
            return self.underrun();
        };
        self.came = self.came << 1 | 1;
        self.next_sequence = front.sequence + 1;
        self.next_timestamp = timestamp + i64::from(ticks);
        self.held = 0;
        self.silent = discontinuous;
        if ticks > 0 {
            self.packet_ticks = i64::from(ticks);
        }
        self.counters.played += 1;
        Pop::Packet {
            item,
            ticks,
            timestamp: timestamp as u32,
            lost_before: core::mem::take(&mut self.lost_before),
            adjust: self.adjust(now, timestamp, now.since(arrived)),
        }
    }

    fn adjust(&mut self, now: Nanos, timestamp: i64, waited: Duration) -> Adjust {
        let delay = self.timing.delay(now, timestamp);
        // With packets that do not divide the tick the delay swings by up to a step;
        // the lowest is what keeps packets from being late.
        self.delay_least = self.delay_least.min(delay);
        if now < self.hint_after {
            return Adjust::None;
        }
        self.hint_after = now + HINT_INTERVAL;
        let least = core::mem::replace(&mut self.delay_least, i64::MAX);
        let target = self.timing.target();
        if least < target {
            return Adjust::Expand;
        }
        // The caller plays in steps: whatever it leaves out, the delay moves by up to
        // a whole one. A packet that had not come a step earlier cannot be played a
        // step earlier: that delay is the path's, not ours.
        let step = self.timing.span(self.step_ticks);
        let most = target + step + TOLERANCE_NS;
        if least > most && waited.as_nanos() > step as u128 {
            return Adjust::Accelerate;
        }
        Adjust::None
    }
}
