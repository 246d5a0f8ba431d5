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
