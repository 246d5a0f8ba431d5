//! The media plane as far as decisions need it at once.

use plenum_abi::Nanos;

/// A leg or conference slot with its tenant's generation.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, serde::Deserialize, serde::Serialize)]
pub struct Place {
    /// The worker.
    pub worker: u32,
    /// The slot on it.
    pub slot: u32,
    /// Told apart from the slot's earlier tenants.
    pub generation: u32,
}

/// A leg's counters at one moment; the meanings are those of
/// [`plenum_abi::LegStats`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[allow(missing_docs)]
pub struct Counters {
    pub rx_packets: u64,
    pub rx_bytes: u64,
    pub rx_lost: u64,
    pub rx_jitter_us: u64,
    pub rx_codec: u64,
    pub tx_packets: u64,
    pub tx_bytes: u64,
    pub tx_loss_fraction: u64,
    pub tx_jitter_us: u64,
    pub round_trip_us: u64,
    /// When media was last valid; `None` for never.
    pub last_received: Option<Nanos>,
}

/// Whose the slots are, and what runs in them.
pub trait Places {
    /// A conference slot on the least loaded worker; `None` when there is none.
    fn take_conference(&mut self, now: Nanos) -> Option<Place>;
    /// A leg slot on this worker; `None` when there is none.
    fn take_leg(&mut self, worker: u32, now: Nanos) -> Option<Place>;
    /// A conference is gone.
    fn give_back_conference(&mut self, place: Place, now: Nanos);
    /// A leg is gone.
    fn give_back_leg(&mut self, place: Place, now: Nanos);
    /// RTP port of a leg slot; RTCP is the next one.
    fn rtp_port(&self, place: Place) -> u16;
    /// Counters of a leg; `None` when it does not run.
    fn counters(&self, place: Place) -> Option<Counters>;
    /// Revision of a leg's configuration that the worker has; `None` when the
    /// leg does not run.
    fn revision(&self, place: Place) -> Option<u64>;
    /// The same of a conference.
    fn conference_revision(&self, place: Place) -> Option<u64>;
}
