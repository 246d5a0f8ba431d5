//! The media plane as far as decisions need it at once.

use std::net::SocketAddr;

use plenum_abi::{Nanos, TransportConfig, VideoConfig};

/// The slot of a leg, a conference or a video stream with its tenant's generation.
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

/// A video stream's counters at one moment; the meanings are those of
/// [`plenum_abi::VideoStats`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[allow(missing_docs)]
pub struct VideoCounters {
    pub rx_packets: u64,
    pub rx_bytes: u64,
    pub rx_lost: u64,
    pub rx_jitter_us: u64,
    pub rx_frames: u64,
    pub rx_size: u64,
    pub rx_codec: u64,
    pub rx_decoder_crashes: u64,
    pub tx_bytes: u64,
    pub tx_frames: u64,
    pub tx_size: u64,
    pub tx_allowed_bps: u64,
    pub tx_loss_fraction: u64,
    pub tx_jitter_us: u64,
    pub round_trip_us: u64,
    /// When media was last valid; `None` for never.
    pub last_received: Option<Nanos>,
}

/// Where browsers reach a worker.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reach {
    /// SHA-256 of the certificate that it shows them.
    pub fingerprint: [u8; 32],
    /// Its addresses for them, best first.
    pub addresses: Vec<SocketAddr>,
}

/// Whose the slots are, and what runs in them.
pub trait Places {
    /// A conference slot on the least loaded worker; `None` when there is none.
    fn take_conference(&mut self, now: Nanos) -> Option<Place>;
    /// A leg slot on this worker; `None` when there is none.
    fn take_leg(&mut self, worker: u32, now: Nanos) -> Option<Place>;
    /// A slot for a video stream on this worker; `None` when there is none.
    fn take_video(&mut self, worker: u32, now: Nanos) -> Option<Place>;
    /// A conference is gone.
    fn give_back_conference(&mut self, place: Place, now: Nanos);
    /// A leg is gone.
    fn give_back_leg(&mut self, place: Place, now: Nanos);
    /// A video stream is gone.
    fn give_back_video(&mut self, place: Place, now: Nanos);
    /// Where browsers reach a worker; `None` when it takes none.
    fn reach(&self, worker: u32) -> Option<Reach>;
    /// RTP port of a leg slot; RTCP is the next one.
    fn rtp_port(&self, place: Place) -> u16;
    /// RTP port of a video stream's slot, RTCP is the next one; 0 where the slot has
    /// no sockets, which is no place for a picture of SIP.
    fn video_rtp_port(&self, place: Place) -> u16;
    /// Counters of a leg; `None` when it does not run.
    fn counters(&self, place: Place) -> Option<Counters>;
    /// Counters of a video stream; `None` when it does not run.
    fn video_counters(&self, place: Place) -> Option<VideoCounters>;
    /// Revision of a leg's configuration that the worker has; `None` when the
    /// leg does not run.
    fn revision(&self, place: Place) -> Option<u64>;
    /// What the worker has of a leg's transport.
    fn running_transport(&self, place: Place) -> Option<TransportConfig>;
    /// What the worker has of a video stream.
    fn running_video(&self, place: Place) -> Option<VideoConfig>;
    /// Revision of a conference's configuration, likewise.
    fn conference_revision(&self, place: Place) -> Option<u64>;
    /// Revision of how a conference looks, policy and message.
    fn look_revision(&self, place: Place) -> Option<u64>;
    /// Revision of a leg's label.
    fn label_revision(&self, place: Place) -> Option<u64>;
}
