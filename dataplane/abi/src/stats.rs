//! Counters that are read without stopping a worker.
//!
//! One writer, relaxed stores of single words: a reader may see two words of
//! different moments, never half a word.

use core::sync::atomic::{AtomicU64, Ordering};

use zerocopy::{FromBytes, IntoBytes, KnownLayout};

/// Counters of a leg. All are totals since the leg was set up unless the name
/// says otherwise.
#[derive(Debug, Default, FromBytes, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct LegStats {
    /// RTP packets accepted.
    pub rx_packets: AtomicU64,
    /// Bytes of accepted RTP packets, header included.
    pub rx_bytes: AtomicU64,
    /// RTP packets that never came (RFC 3550 A.3).
    pub rx_lost: AtomicU64,
    /// Came too late to be played.
    pub rx_late: AtomicU64,
    /// Refused by SRTP: bad tag.
    pub rx_auth_failed: AtomicU64,
    /// Refused by SRTP: seen before or too old.
    pub rx_replayed: AtomicU64,
    /// Refused by the learning rule: not from the leg's address.
    pub rx_stranger: AtomicU64,
    /// Malformed, unknown payload type, or not wanted now.
    pub rx_discarded: AtomicU64,
    /// Interarrival jitter, microseconds (RFC 3550 A.8). A gauge.
    pub rx_jitter_us: AtomicU64,
    /// Delay that the jitter buffer aims at, microseconds. A gauge.
    pub rx_buffer_us: AtomicU64,
    /// Frames of 20 ms that were made up because nothing was there.
    pub rx_concealed: AtomicU64,
    /// Last measured level of what the leg says, -dBov (0 loud, 127 silent). A gauge.
    pub rx_level_dbov: AtomicU64,
    /// The [`crate::AudioCodec`] last received; 0 before. A gauge.
    pub rx_codec: AtomicU64,
    /// RTP packets sent.
    pub tx_packets: AtomicU64,
    /// Bytes of sent RTP packets, header included.
    pub tx_bytes: AtomicU64,
    /// Sends that the kernel refused.
    pub tx_errors: AtomicU64,
    /// What the far end reports lost of ours, total (RFC 3550 6.4.1). A gauge.
    pub tx_lost: AtomicU64,
    /// Fraction that the far end reports lost, in 1/256. A gauge.
    pub tx_loss_fraction: AtomicU64,
    /// Jitter that the far end reports, microseconds. A gauge.
    pub tx_jitter_us: AtomicU64,
    /// Round trip by LSR/DLSR, microseconds; 0 before the first. A gauge.
    pub round_trip_us: AtomicU64,
}

impl LegStats {
    /// Starts all counters anew, for the slot's next tenant.
    pub fn reset(&self) {
        let words = [
            &self.rx_packets,
            &self.rx_bytes,
            &self.rx_lost,
            &self.rx_late,
            &self.rx_auth_failed,
            &self.rx_replayed,
            &self.rx_stranger,
            &self.rx_discarded,
            &self.rx_jitter_us,
            &self.rx_buffer_us,
            &self.rx_concealed,
            &self.rx_level_dbov,
            &self.rx_codec,
            &self.tx_packets,
            &self.tx_bytes,
            &self.tx_errors,
            &self.tx_lost,
            &self.tx_loss_fraction,
            &self.tx_jitter_us,
            &self.round_trip_us,
        ];
        const { assert!(size_of::<Self>() == 20 * 8) };
        for word in words {
            word.store(0, Ordering::Relaxed);
        }
    }
}

/// Upper bounds of the lateness histogram, microseconds; the last bucket has none.
pub const LATENESS_BUCKETS_US: [u64; 11] = [
    10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000,
];

/// Counters of a worker.
#[derive(Debug, Default, FromBytes, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct WorkerStats {
    /// Process id of the worker's process.
    pub process_id: AtomicU64,
    /// Grows with every start of the worker.
    pub epoch: AtomicU64,
    /// Last turn of the loop, [`crate::Nanos`]. A gauge; a supervisor compares it
    /// with `deadline`.
    pub heartbeat: AtomicU64,
    /// When the loop said it would wake at the latest, [`crate::Nanos`]. A gauge.
    pub deadline: AtomicU64,
    /// CPU time of the worker's thread, nanoseconds.
    pub cpu_ns: AtomicU64,
    /// Turns of the loop.
    pub turns: AtomicU64,
    /// Ticks of conferences (20 ms of sound each).
    pub ticks: AtomicU64,
    /// Ticks by how late they began; bounds in [`LATENESS_BUCKETS_US`].
    pub tick_lateness: [AtomicU64; 12],
    /// Datagrams received.
    pub rx_datagrams: AtomicU64,
    /// Datagrams sent.
    pub tx_datagrams: AtomicU64,
    /// Receives dropped for want of a packet slot.
    pub rx_no_slot: AtomicU64,
    /// Commands applied.
    pub commands: AtomicU64,
    /// Events that found their ring full.
    pub events_lost: AtomicU64,
    /// Legs now. A gauge.
    pub legs: AtomicU64,
    /// Conferences now. A gauge.
    pub conferences: AtomicU64,
    /// Encodes made.
    pub encodes: AtomicU64,
    /// Packets sent from an encode that others shared.
    pub shared_sends: AtomicU64,
    /// Datagrams to the browsers' ports that were no browser's.
    pub rx_unknown: AtomicU64,
    /// DTLS handshakes that gave keys.
    pub handshakes: AtomicU64,
    /// Zero.
    pub reserved: [AtomicU64; 2],
}
