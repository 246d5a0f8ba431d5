//! Telephone events (RFC 4733): digits as packets instead of tones.
//!
//! An event is a run of packets under the timestamp of its beginning, each saying
//! how long it has lasted so far; the last one is sent three times. Everything
//! about receiving follows from that: the timestamp tells events apart, repeats
//! are ignored by it, and an event whose end was lost is ended by the next
//! event or by [`DtmfReceiver::on_timeout`].
//!
//! Only the sixteen digits are known (0 to 9, `*`, `#`, A to D); other events
//! are ignored. Playing or muting the tone is the mixer's work.

use core::time::Duration;

use plenum_abi::Nanos;

/// Bytes of an event's payload (RFC 4733 section 2.3).
pub const PAYLOAD_LEN: usize = 4;
/// Digits that wait to be sent, at most.
pub const QUEUE_MAX: usize = 32;
/// Highest event code of a digit (RFC 4733 section 3.2).
pub const EVENT_MAX: u8 = 15;

/// An event that has gone on for so long without a packet is over.
const LOST_END_AFTER: Duration = Duration::from_millis(200);
/// Packets that say "this was the end" (RFC 4733 section 2.5.1.4).
const END_PACKETS: u8 = 3;
/// Pause between digits, so that they are told apart.
const PAUSE_MS: u32 = 60;
/// Longest event that is sent, and longest that is believed.
const DURATION_MAX_MS: u32 = 60_000;
/// A timestamp that is older than the last event's by more is another clock.
const RESTART_AFTER_MS: u32 = 10_000;

/// An event's payload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EventPayload {
    /// Event code; 0 to 15 are the digits.
    pub event: u8,
    /// The event has ended.
    pub end: bool,
    /// Level in -dBm0, 0 to 63.
    pub volume: u8,
    /// How long the event has lasted, in ticks of the RTP clock.
    pub duration: u16,
}

impl EventPayload {
    /// Reads a payload; `None` when it is too short. What follows the fourth byte
    /// is ignored.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let &[event, flags, high, low, ..] = payload else {
            return None;
        };
        Some(Self {
            event,
            end: flags & 0x80 != 0,
            volume: flags & 0x3f,
            duration: u16::from_be_bytes([high, low]),
        })
    }

    /// The payload's bytes. A volume above 63 becomes 63.
    #[must_use]
    pub fn bytes(self) -> [u8; PAYLOAD_LEN] {
        let [high, low] = self.duration.to_be_bytes();
        let flags = u8::from(self.end) << 7 | self.volume.min(63);
        [self.event, flags, high, low]
    }
}

/// A digit that has ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Digit {
    /// Event code, 0 to 15.
    pub event: u8,
    /// How long it sounded, in ticks of the RTP clock.
    pub duration_ticks: u32,
}

impl Digit {
    /// The digit as it is written: `0` to `9`, `*`, `#`, `A` to `D`.
    #[must_use]
    pub fn symbol(self) -> char {
        char::from(b"0123456789*#ABCD"[usize::from(self.event & 0x0f)])
    }
}

/// Digits that one packet ended, in order: none, one, or two.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Digits([Option<Digit>; 2]);

impl Iterator for Digits {
    type Item = Digit;

    fn next(&mut self) -> Option<Digit> {
        let first = self.0[0].take();
        self.0.swap(0, 1);
        first
    }
}

#[derive(Clone, Copy, Debug)]
struct Running {
    event: u8,
    /// Timestamp of this segment and how long it has lasted.
    timestamp: u32,
    duration: u16,
    /// Ticks of the segments before this one (RFC 4733 section 2.5.1.3).
    before: u32,
    heard: Nanos,
}

impl Running {
    fn digit(&self) -> Digit {
        Digit {
            event: self.event,
            duration_ticks: self.before.saturating_add(u32::from(self.duration)),
        }
    }
}

/// Receives the events of one stream.
#[derive(Clone, Debug)]
pub struct DtmfReceiver {
    clock_hz: u32,
    running: Option<Running>,
    /// Timestamp of the newest segment that ended: it and what is older is past.
    ended: Option<u32>,
}

impl DtmfReceiver {
    /// `clock_hz` is the rate in the event's `rtpmap`.
    #[must_use]
    pub const fn new(clock_hz: u32) -> Self {
        Self {
            clock_hz,
            running: None,
            ended: None,
        }
    }

    /// Takes a telephone-event packet; yields the digits that end with it.
    pub fn on_packet(
        &mut self,
        now: Nanos,
        timestamp: u32,
        marker: bool,
        payload: &[u8],
    ) -> Digits {
        let mut digits = Digits::default();
        let Some(packet) = EventPayload::parse(payload) else {
            return digits;
        };
        if packet.event > EVENT_MAX || self.is_past(timestamp) {
            return digits;
        }
        let mut running = Running {
            event: packet.event,
            timestamp,
            duration: packet.duration,
            before: 0,
            heard: now,
        };
        if let Some(current) = self.running {
            if current.timestamp == timestamp {
                // Reordered packets must not shorten the event, nor rename it.
                running.event = current.event;
                running.duration = packet.duration.max(current.duration);
                running.before = current.before;
            } else if is_before(timestamp, current.timestamp) {
                return digits;
            } else if is_next_segment(&current, &packet, timestamp, marker)
                && current.before < self.ticks(DURATION_MAX_MS)
            {
                running.before = current.before + u32::from(current.duration);
                self.ended = Some(current.timestamp);
            } else {
                digits.0[0] = Some(self.end(&current));
            }
        }
        if packet.end {
            let digit = self.end(&running);
            let place = usize::from(digits.0[0].is_some());
            digits.0[place] = Some(digit);
        } else {
            self.running = Some(running);
        }
        digits
    }

    /// When to call [`DtmfReceiver::on_timeout`]; `None` while nothing runs.
    #[must_use]
    pub fn deadline(&self) -> Option<Nanos> {
        self.running.map(|running| running.heard + LOST_END_AFTER)
    }

    /// Ends the running digit if its end must have been lost.
    pub fn on_timeout(&mut self, now: Nanos) -> Option<Digit> {
        let running = self.running?;
        if now < running.heard + LOST_END_AFTER {
            return None;
        }
        Some(self.end(&running))
    }

    /// Whether a digit sounds now.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        self.running.is_some()
    }

    fn end(&mut self, running: &Running) -> Digit {
        self.running = None;
        self.ended = Some(running.timestamp);
        running.digit()
    }

    /// Repeats of an event that has ended, and what is older.
    fn is_past(&self, timestamp: u32) -> bool {
        self.ended.is_some_and(|ended| {
            let behind = ended.wrapping_sub(timestamp);
            behind < self.ticks(RESTART_AFTER_MS)
        })
    }

    fn ticks(&self, ms: u32) -> u32 {
        ticks(self.clock_hz, ms)
    }
}

fn ticks(clock_hz: u32, ms: u32) -> u32 {
    (u64::from(clock_hz) * u64::from(ms) / 1_000) as u32
}

fn is_before(a: u32, b: u32) -> bool {
    b.wrapping_sub(a) < 1 << 31
}

/// A long event goes on in a new segment that begins where the last one ended,
/// without a marker; the last packets before it may be lost.
fn is_next_segment(current: &Running, packet: &EventPayload, timestamp: u32, marker: bool) -> bool {
    let begin = timestamp.wrapping_sub(current.timestamp);
    let full = u32::from(u16::MAX);
    !marker
        && packet.event == current.event
        && current.duration >= u16::MAX - u16::MAX / 8
        && (begin == full || begin == full + 1 || begin == u32::from(current.duration))
}

/// Why a digit was not queued.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DtmfError {
    /// [`QUEUE_MAX`] digits are waiting.
    #[error("too many digits are waiting")]
    QueueFull,
    /// The event is not a digit.
    #[error("the event is not a digit")]
    NotADigit,
    /// Shorter than 40 ms, which phones may miss, or longer than 60 s.
    #[error("the duration is not between 40 ms and 60 s")]
    Duration,
}

/// A packet to send instead of sound.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EventPacket {
    /// RTP timestamp: that of the event's (or its segment's) beginning.
    pub timestamp: u32,
    /// RTP marker: first packet of the event.
    pub marker: bool,
    /// RTP payload.
    pub payload: [u8; PAYLOAD_LEN],
}

#[derive(Clone, Copy, Debug, Default)]
struct Queued {
    event: u8,
    volume: u8,
    ticks: u32,
}

#[derive(Clone, Copy, Debug)]
enum Sending {
    Idle,
    Sounding {
        digit: Queued,
        /// Beginning of the segment and how much of the event lies before it.
        timestamp: u32,
        before: u32,
        elapsed: u32,
    },
    Repeating {
        packet: EventPacket,
        left: u8,
    },
    Pausing {
        ticks_left: u32,
    },
}

/// Sends digits to one stream, one after the other.
#[derive(Clone, Debug)]
pub struct DtmfSender {
    clock_hz: u32,
    queue: [Queued; QUEUE_MAX],
    first: usize,
    waiting: usize,
    sending: Sending,
}

impl DtmfSender {
    /// `clock_hz` is the RTP clock of the stream that the events are part of.
    #[must_use]
    pub fn new(clock_hz: u32) -> Self {
        Self {
            clock_hz,
            queue: [Queued::default(); QUEUE_MAX],
            first: 0,
            waiting: 0,
            sending: Sending::Idle,
        }
    }

    /// Queues a digit of `duration_ms` at `volume` (-dBm0, 10 is usual; above 63 is 63).
    ///
    /// # Errors
    ///
    /// When it is no digit, too short or too long, or the queue is full.
    pub fn push(&mut self, event: u8, duration_ms: u32, volume: u8) -> Result<(), DtmfError> {
        if event > EVENT_MAX {
            return Err(DtmfError::NotADigit);
        }
        if !(40..=DURATION_MAX_MS).contains(&duration_ms) {
            return Err(DtmfError::Duration);
        }
        if self.waiting == QUEUE_MAX {
            return Err(DtmfError::QueueFull);
        }
        self.queue[(self.first + self.waiting) % QUEUE_MAX] = Queued {
            event,
            volume: volume.min(63),
            ticks: ticks(self.clock_hz, duration_ms),
        };
        self.waiting += 1;
        Ok(())
    }

    /// Whether a digit is being sent or waits.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        self.waiting > 0 || !matches!(self.sending, Sending::Idle)
    }

    /// Call once per packet time, with the timestamp and length of the sound that
    /// would be sent now. A packet that comes back replaces the sound (the stream's
    /// timestamp goes on as if it had been sent); `None` means send the sound.
    pub fn next_packet(&mut self, timestamp: u32, packet_ticks: u32) -> Option<EventPacket> {
        match self.sending {
            Sending::Idle => self.begin(timestamp, packet_ticks),
            Sending::Pausing { ticks_left } if ticks_left > packet_ticks => {
                self.sending = Sending::Pausing {
                    ticks_left: ticks_left - packet_ticks,
                };
                None
            }
            Sending::Pausing { .. } => {
                self.sending = Sending::Idle;
                None
            }
            Sending::Repeating { packet, left } => {
                self.sending = if left > 1 {
                    Sending::Repeating {
                        packet,
                        left: left - 1,
                    }
                } else {
                    Sending::Pausing {
                        ticks_left: ticks(self.clock_hz, PAUSE_MS),
                    }
                };
                Some(packet)
            }
            Sending::Sounding {
                digit,
                timestamp,
                before,
                elapsed,
            } => Some(self.sound(digit, timestamp, before, elapsed + packet_ticks, false)),
        }
    }

    fn begin(&mut self, timestamp: u32, packet_ticks: u32) -> Option<EventPacket> {
        if self.waiting == 0 {
            return None;
        }
        let digit = self.queue[self.first];
        self.first = (self.first + 1) % QUEUE_MAX;
        self.waiting -= 1;
        Some(self.sound(digit, timestamp, 0, packet_ticks, true))
    }

    /// Reports that `elapsed` ticks of the digit are over.
    fn sound(
        &mut self,
        digit: Queued,
        timestamp: u32,
        before: u32,
        elapsed: u32,
        marker: bool,
    ) -> EventPacket {
        let segment = elapsed.min(digit.ticks) - before;
        let duration = u16::try_from(segment).unwrap_or(u16::MAX);
        let end = elapsed >= digit.ticks && u32::from(duration) == segment;
        let packet = EventPacket {
            timestamp,
            marker,
            payload: EventPayload {
                event: digit.event,
                end,
                volume: digit.volume,
                duration,
            }
            .bytes(),
        };
        self.sending = if end {
            Sending::Repeating {
                packet,
                left: END_PACKETS - 1,
            }
        } else if duration == u16::MAX {
            Sending::Sounding {
                digit,
                timestamp: timestamp.wrapping_add(u32::from(u16::MAX)),
                before: before + u32::from(u16::MAX),
                elapsed,
            }
        } else {
            Sending::Sounding {
                digit,
                timestamp,
                before,
                elapsed,
            }
        };
        packet
    }
}

#[cfg(test)]
mod tests;
