//! Brings one video stream's packets into order and asks again for what is
//! missing (RFC 4585 section 6.2.1).
//!
//! ```text
//!   cursor                                    highest
//!     | held | held | missing | held | missing | held |
//!                       |                |
//!                       +-- asked for, again after a round trip, until it comes,
//!                           or nobody waits any longer, or a key frame is behind it
//! ```
//!
//! It stores whatever the caller calls a packet (`T`, usually a lease) and never
//! looks inside. Two bounds hold it: packets between the cursor and the highest,
//! and time that the cursor waits for one. Where nothing is asked for again, the
//! second is just long enough for packets that overtook each other.
//!
//! It refuses to put units together, to write RTCP, or to say when the sender
//! should make a key frame.

use core::time::Duration;

use plenum_abi::Nanos;

/// Forward jump of the sequence number that is still loss (RFC 3550 A.1, MAX_DROPOUT).
const MAX_DROPOUT: i64 = 3_000;
/// Least time between two requests for the same packet: a retransmission on a fast
/// path needs its sender's attention first.
const RETRY_MIN: Duration = Duration::from_millis(20);

/// Bounds and manners.
#[derive(Clone, Copy, Debug)]
pub struct ReorderConfig {
    /// Packets between cursor and highest, held or missing; rounded up to a power of
    /// two. 512 are a second of 5 Mbit/s.
    pub capacity: usize,
    /// Whether missing packets are asked for again.
    pub nack: bool,
    /// How long a packet may be late before it is called missing: asked for, or
    /// given up where nothing is asked for.
    pub reorder_wait: Duration,
    /// How long a packet that is asked for may hold up those behind it.
    pub recovery_wait: Duration,
    /// How often one packet is asked for.
    pub requests_max: u8,
}

impl ReorderConfig {
    /// For a sender that sends again what it is asked for.
    pub const NACK: Self = Self {
        capacity: 512,
        nack: true,
        reorder_wait: Duration::from_millis(10),
        recovery_wait: Duration::from_millis(300),
        requests_max: 8,
    };

    /// For one that does not.
    pub const PLAIN: Self = Self {
        capacity: 512,
        nack: false,
        reorder_wait: Duration::from_millis(40),
        recovery_wait: Duration::from_millis(40),
        requests_max: 0,
    };
}

/// What is known of a packet besides its content.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Arrival {
    /// RTP sequence number; of a retransmission, the original's.
    pub sequence: u16,
    /// RTP timestamp.
    pub timestamp: u32,
    /// RTP marker.
    pub marker: bool,
    /// A key frame begins here, so nothing before it is needed to go on.
    pub key_frame_start: bool,
}

/// Why a packet was not stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RejectReason {
    /// It was handed out, or given up, before.
    Late,
    /// It is held already.
    Duplicate,
    /// Far from where the stream is. A second one in sequence there restarts it.
    Jump,
}

/// What comes next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pop<T> {
    /// The next packet.
    Packet(Arrival, T),
    /// So many packets before the next one never came, or were left out for a key
    /// frame.
    Lost(u32),
    /// Nothing yet.
    Wait,
}

/// What has happened.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ReorderCounters {
    /// Packets handed out.
    pub delivered: u64,
    /// Sequence numbers given up.
    pub lost: u64,
    /// Packets held and left out: for a key frame, a restart, or want of room.
    pub discarded: u64,
    /// Requests for single packets.
    pub requested: u64,
    /// Packets that came after they had been asked for.
    pub recovered: u64,
}

#[derive(Debug)]
enum Slot<T> {
    Empty,
    Missing {
        since: Nanos,
        asked: u8,
        asked_at: Nanos,
    },
    Held(Arrival, T),
}

/// See the [module](self).
#[derive(Debug)]
pub struct ReorderBuffer<T> {
    config: ReorderConfig,
    slots: Box<[Slot<T>]>,
    begun: bool,
    /// Sequence number (extended) that is handed out next.
    cursor: i64,
    /// One above the highest that came.
    end: i64,
    /// Slots between them that are missing.
    missing: usize,
    /// Sequence number of the last key frame's start that is held, if any.
    key_frame: Option<i64>,
    /// Where a restarted stream would go on.
    restart_at: Option<u16>,
    /// Packets passed over and not told yet.
    passed: u32,
    round_trip: Duration,
    counters: ReorderCounters,
}

impl<T> ReorderBuffer<T> {
    /// An empty buffer. Allocates all that it will ever need.
    #[must_use]
    pub fn new(config: ReorderConfig) -> Self {
        let capacity = config
            .capacity
            .clamp(2, MAX_DROPOUT as usize)
            .next_power_of_two();
        Self {
            config,
            slots: (0..capacity).map(|_| Slot::Empty).collect(),
            begun: false,
            cursor: 0,
            end: 0,
            missing: 0,
            key_frame: None,
            restart_at: None,
            passed: 0,
            round_trip: Duration::from_millis(100),
            counters: ReorderCounters::default(),
        }
    }

    /// What an answer takes at least.
    pub const fn set_round_trip(&mut self, round_trip: Duration) {
        self.round_trip = round_trip;
    }

    /// What has happened so far.
    #[must_use]
    pub const fn counters(&self) -> ReorderCounters {
        self.counters
    }

    /// Packets held.
    #[must_use]
    pub fn held(&self) -> usize {
        (self.end - self.cursor) as usize - self.missing
    }

    fn slot(&mut self, index: i64) -> &mut Slot<T> {
        // The length is a power of two.
        let at = index as usize & (self.slots.len() - 1);
        &mut self.slots[at]
    }

    /// Takes a packet.
    ///
    /// # Errors
    /// Gives the packet back when it is not stored.
    pub fn insert(
        &mut self,
        now: Nanos,
        arrival: Arrival,
        item: T,
    ) -> Result<(), (RejectReason, T)> {
        if !self.begun {
            self.begun = true;
            self.cursor = i64::from(arrival.sequence);
            self.end = self.cursor;
        }
        let step = i64::from(arrival.sequence.wrapping_sub(self.end as u16) as i16);
        let mut index = self.end + step;
        if !(-MAX_DROPOUT..MAX_DROPOUT).contains(&step) {
            if self.restart_at != Some(arrival.sequence) {
                self.restart_at = Some(arrival.sequence.wrapping_add(1));
                return Err((RejectReason::Jump, item));
            }
            index = self.restart(arrival.sequence);
        }
        self.restart_at = None;
        if index < self.cursor {
            return Err((RejectReason::Late, item));
        }
        if index < self.end {
            match *self.slot(index) {
                Slot::Missing { asked, .. } => {
                    self.missing -= 1;
                    self.counters.recovered += u64::from(asked > 0);
                }
                _ => return Err((RejectReason::Duplicate, item)),
            }
        } else {
            self.make_room(index);
            for missing in self.end.max(self.cursor)..index {
                *self.slot(missing) = Slot::Missing {
                    since: now,
                    asked: 0,
                    asked_at: Nanos::ZERO,
                };
                self.missing += 1;
            }
            self.end = index + 1;
        }
        if arrival.key_frame_start && self.key_frame.is_none_or(|at| at < index) {
            self.key_frame = Some(index);
        }
        *self.slot(index) = Slot::Held(arrival, item);
        Ok(())
    }

    /// Begins anew at this sequence number, with an index near to the old ones.
    fn restart(&mut self, sequence: u16) -> i64 {
        self.pass(self.end);
        // At least one packet is lost, or it would not be a jump.
        self.passed = self.passed.saturating_add(1);
        self.cursor = i64::from(sequence);
        self.end = self.cursor;
        self.key_frame = None;
        self.cursor
    }

    /// Moves the cursor on until `index` has a slot.
    fn make_room(&mut self, index: i64) {
        let least = index + 1 - self.slots.len() as i64;
        if least > self.cursor {
            let behind = (least - self.end).max(0);
            self.pass(least.min(self.end));
            // Beyond the end there are no slots yet, and there will be none.
            self.cursor += behind;
            self.end = self.end.max(self.cursor);
            self.passed = self.passed.saturating_add(behind as u32);
            self.counters.lost += behind as u64;
        }
    }

    /// Gives up what is before `index`, held or not.
    fn pass(&mut self, index: i64) {
        while self.cursor < index {
            match core::mem::replace(self.slot(self.cursor), Slot::Empty) {
                Slot::Missing { .. } => {
                    self.missing -= 1;
                    self.counters.lost += 1;
                }
                _ => self.counters.discarded += 1,
            }
            self.cursor += 1;
            self.passed = self.passed.saturating_add(1);
        }
    }

    /// The next packet, if it is there or if it is known that it will not come.
    pub fn pop(&mut self, now: Nanos) -> Pop<T> {
        if self.passed == 0
            && self.cursor < self.end
            && let Slot::Missing { since, .. } = *self.slot(self.cursor)
        {
            let waited = now.since(since);
            let to = match self.key_frame.filter(|&at| at > self.cursor) {
                Some(at) if waited >= self.config.reorder_wait => at,
                _ if waited >= self.wait() => self.cursor + 1,
                _ => return Pop::Wait,
            };
            self.pass(to);
            // What went missing with it goes with it.
            while let Slot::Missing { since, .. } = *self.slot(self.cursor)
                && now.since(since) >= self.wait()
            {
                self.pass(self.cursor + 1);
            }
        }
        if self.passed > 0 {
            return Pop::Lost(core::mem::take(&mut self.passed));
        }
        if self.cursor == self.end {
            return Pop::Wait;
        }
        match core::mem::replace(self.slot(self.cursor), Slot::Empty) {
            Slot::Held(arrival, item) => {
                self.cursor += 1;
                self.counters.delivered += 1;
                Pop::Packet(arrival, item)
            }
            // The cursor is at a packet: what was missing has been dealt with.
            other => {
                *self.slot(self.cursor) = other;
                Pop::Wait
            }
        }
    }

    /// How long the cursor waits for a missing packet.
    const fn wait(&self) -> Duration {
        if self.config.nack {
            self.config.recovery_wait
        } else {
            self.config.reorder_wait
        }
    }

    /// When a missing packet is to be asked for (again), if it is.
    fn request_at(&self, since: Nanos, asked: u8, asked_at: Nanos) -> Option<Nanos> {
        if !self.config.nack || asked >= self.config.requests_max {
            return None;
        }
        Some(if asked == 0 {
            since + self.config.reorder_wait
        } else {
            asked_at + RETRY_MIN.max(self.round_trip * 5 / 4)
        })
    }

    /// Writes the sequence numbers to ask for now to the front of `out`, lowest
    /// first, and counts them as asked for; gives their number.
    pub fn requests(&mut self, now: Nanos, out: &mut [u16]) -> usize {
        let mut count = 0;
        if self.missing == 0 {
            return 0;
        }
        for index in self.cursor..self.end {
            if count == out.len() {
                break;
            }
            let Slot::Missing {
                since,
                asked,
                asked_at,
            } = *self.slot(index)
            else {
                continue;
            };
            if self
                .request_at(since, asked, asked_at)
                .is_some_and(|at| at <= now)
            {
                *self.slot(index) = Slot::Missing {
                    since,
                    asked: asked + 1,
                    asked_at: now,
                };
                out[count] = index as u16;
                count += 1;
            }
        }
        self.counters.requested += count as u64;
        count
    }

    /// When [`Self::pop`] or [`Self::requests`] would next say something else
    /// without a packet having come. `None` while nothing is missing.
    #[must_use]
    pub fn deadline(&self) -> Option<Nanos> {
        if self.missing == 0 {
            return None;
        }
        let mask = self.slots.len() - 1;
        (self.cursor..self.end)
            .filter_map(|index| match self.slots[index as usize & mask] {
                Slot::Missing {
                    since,
                    asked,
                    asked_at,
                } => {
                    let asks = self.request_at(since, asked, asked_at);
                    let given_up = (index == self.cursor).then(|| {
                        let jumps = self.key_frame.is_some_and(|at| at > index);
                        since
                            + if jumps {
                                self.config.reorder_wait
                            } else {
                                self.wait()
                            }
                    });
                    asks.into_iter().chain(given_up).min()
                }
                _ => None,
            })
            .min()
    }
}
