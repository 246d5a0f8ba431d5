//! The server as a whole.

use std::time::{Duration, SystemTime};

use crate::HostId;

/// What `/system/status` shows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SystemStatus {
    /// This server.
    pub host_id: HostId,
    /// Version of the software.
    pub software_version: String,
    /// Since the server (not merely the control plane) started.
    pub uptime: Duration,
    /// Now, by the clock that stamps call detail records.
    pub cdr_time: SystemTime,
    /// Index of the next call detail record; 0 when none was sent.
    pub cdr_correlator_index: u64,
    /// Call legs now.
    pub call_legs_active: u64,
    /// Most call legs at one time since the start.
    pub call_legs_max_active: u64,
    /// Call legs that have ended since the start.
    pub call_legs_completed: u64,
    /// Sound we send now, bit/s over all legs.
    pub audio_bit_rate_outgoing: u64,
    /// Sound we receive now, bit/s over all legs.
    pub audio_bit_rate_incoming: u64,
    /// Pictures we send now, bit/s over all legs.
    pub video_bit_rate_outgoing: u64,
    /// Pictures we receive now, bit/s over all legs.
    pub video_bit_rate_incoming: u64,
}

/// What `/system/load` shows.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SystemLoad {
    /// Share of the machine's CPU time that media takes, recently, 0 to 100.
    pub media_processing_percent: u8,
    /// Ticks of conferences (20 ms of sound each) since the workers started, by how late
    /// they began.
    pub tick_lateness: Vec<TickLateness>,
}

/// So many ticks began no later than this, and later than the entry before says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TickLateness {
    /// `None` for all that were later still.
    pub up_to: Option<Duration>,
    /// How many.
    pub ticks: u64,
}
