//! What goes into a jitter buffer and what comes out.

use core::time::Duration;

/// Fixed properties of a buffer.
#[derive(Clone, Copy, Debug)]
pub struct JitterConfig {
    /// Ticks a second of the RTP timestamp.
    pub clock_hz: u32,
    /// Packets held at most, 2 to 1,024; rounded up to a power of two.
    pub capacity: usize,
    /// The caller's tick; made-up sound is handed out in pieces of at most this.
    pub step: Duration,
    /// Least delay aimed at. Below one step there is nothing to gain.
    pub delay_min: Duration,
    /// Delay aimed at until a second of packets was seen.
    pub delay_initial: Duration,
    /// Most delay aimed at; sound older than this is discarded.
    pub delay_max: Duration,
    /// An underrun is [`Pop::Missing`] for so long, [`Pop::Silence`] afterwards.
    pub conceal_max: Duration,
}

impl JitterConfig {
    /// What a conference leg uses: 64 packets, steps of 20 ms, delay between
    /// 20 and 200 ms from 40 on, 100 ms of concealment.
    #[must_use]
    pub const fn new(clock_hz: u32) -> Self {
        Self {
            clock_hz,
            capacity: 64,
            step: Duration::from_millis(20),
            delay_min: Duration::from_millis(20),
            delay_initial: Duration::from_millis(40),
            delay_max: Duration::from_millis(200),
            conceal_max: Duration::from_millis(100),
        }
    }
}

/// What the buffer must know of a packet.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Arrival {
    /// RTP sequence number.
    pub sequence: u16,
    /// RTP timestamp.
    pub timestamp: u32,
    /// Sound in the packet, in ticks of the RTP clock; 0 for comfort noise
    /// (RFC 3389). Values above 120 ms are cut to that.
    pub ticks: u32,
    /// The header's marker: first packet after a silence.
    pub marker: bool,
    /// The sender may be silent after this packet: comfort noise, or a frame of
    /// Opus DTX (a payload of at most two bytes).
    pub discontinuous: bool,
}

/// A packet that was not stored, given back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rejected<T> {
    /// The packet.
    pub item: T,
    /// Why.
    pub reason: RejectReason,
}

/// Why a packet was not stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RejectReason {
    /// Its turn is over.
    #[error("too late to be played")]
    Late,
    /// This sequence number came before.
    #[error("received before")]
    Duplicate,
    /// Far from the sequence numbers in use. The stream restarts there when the
    /// next packet follows on (RFC 3550 A.1).
    #[error("sequence number out of range")]
    OutOfRange,
}

/// What the caller may do to a packet's sound to bring the delay to its target.
/// Ignoring it costs delay, or a made-up step now and then; never sound in order.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Adjust {
    /// Play as it is.
    #[default]
    None,
    /// Play a little less than there is: leave the frame out when it is silent,
    /// else cut a pitch period. At most one step. Said at most every 100 ms, as is
    /// `Expand`.
    Accelerate,
    /// Play a little more: repeat the frame when it is silent, else a pitch
    /// period. At most one step.
    Expand,
}

/// What to play next.
#[derive(Debug, PartialEq)]
pub enum Pop<'a, T> {
    /// A packet: decode it.
    Packet {
        /// The packet.
        item: T,
        /// Its [`Arrival::ticks`].
        ticks: u32,
        /// Its RTP timestamp.
        timestamp: u32,
        /// Packets before it, since the last one handed out, that never played:
        /// lost, late, or discarded to cut the delay. Saturates.
        lost_before: u16,
        /// What would help the delay.
        adjust: Adjust,
    },
    /// Make up sound for a packet that is lost or not here yet.
    Missing {
        /// How much.
        ticks: u32,
        /// The packet right after the lost one, for codecs that carry a copy of
        /// the frame before (Opus in-band FEC). It is still to be popped.
        next: Option<&'a T>,
    },
    /// The sender is silent. Fill the rest of the tick with comfort noise or
    /// nothing, and ask again in the next.
    Silence,
    /// Nothing has begun: no packet yet, or the first ones are gathering. Fill the
    /// rest of the tick with nothing, and ask again in the next.
    Wait,
}

/// Totals since construction.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct JitterCounters {
    /// Packets handed out.
    pub played: u64,
    /// Refused as [`RejectReason::Late`].
    pub late: u64,
    /// Refused as [`RejectReason::Duplicate`].
    pub duplicate: u64,
    /// Refused as [`RejectReason::OutOfRange`].
    pub out_of_range: u64,
    /// Sequence numbers that the cursor passed without a packet.
    pub lost: u64,
    /// Stored packets dropped unplayed: delay above the maximum, or no room.
    pub discarded: u64,
    /// Missing packets that a later one brought along in time.
    pub filled: u64,
    /// Restarts of the stream: sequence or timestamp jumped.
    pub restarts: u64,
    /// Times that [`Pop::Missing`] was returned.
    pub concealed: u64,
    /// Times that the buffer ran empty while sound was expected.
    pub underruns: u64,
}
