//! Wall-clock time in reports, and the round trip they give.

use core::time::Duration;

use plenum_abi::Nanos;

use super::{ReportBlock, SenderReport};

/// Seconds from 1900 (NTP) to 1970 (Unix).
const NTP_OF_UNIX_EPOCH: u64 = 2_208_988_800;

/// NTP time: seconds since 1900 in the upper half, 1/2^32 s in the lower
/// (RFC 3550 section 4). Rolls over in 2036 with all that use it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct NtpTime(pub u64);

impl NtpTime {
    /// From the time since 1970, as the system's clock tells it.
    #[must_use]
    pub const fn from_unix(since_1970: Duration) -> Self {
        let seconds = since_1970.as_secs().wrapping_add(NTP_OF_UNIX_EPOCH);
        let fraction = ((since_1970.subsec_nanos() as u64) << 32) / 1_000_000_000;
        Self(seconds << 32 | fraction)
    }

    /// The middle 32 bits, in 1/65,536 s: what LSR refers to.
    #[must_use]
    pub const fn middle(self) -> u32 {
        (self.0 >> 16) as u32
    }
}

/// What the far end's sender reports told us of its clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SenderView {
    last: Option<Seen>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    ntp: NtpTime,
    rtp_timestamp: u32,
    at: Nanos,
}

impl SenderView {
    /// Before any report.
    #[must_use]
    pub const fn new() -> Self {
        Self { last: None }
    }

    /// Takes a sender report that came at `now`.
    pub fn on_report(&mut self, now: Nanos, report: &SenderReport<'_>) {
        self.last = Some(Seen {
            ntp: report.ntp,
            rtp_timestamp: report.rtp_timestamp,
            at: now,
        });
    }

    /// LSR and DLSR for a report block sent at `now`; zeros before the first report.
    #[must_use]
    pub fn report_times(&self, now: Nanos) -> (u32, u32) {
        self.last.map_or((0, 0), |seen| {
            let delay = now.since(seen.at).as_nanos() * 65_536 / 1_000_000_000;
            (seen.ntp.middle(), u32::try_from(delay).unwrap_or(u32::MAX))
        })
    }

    /// The sender's wall-clock time of one of its RTP timestamps, at most 2^31
    /// ticks from the last report.
    #[must_use]
    pub fn wall_clock(&self, timestamp: u32, clock_hz: u32) -> Option<NtpTime> {
        let seen = self.last?;
        let ticks = i128::from(timestamp.wrapping_sub(seen.rtp_timestamp) as i32);
        let offset = (ticks << 32) / i128::from(clock_hz.max(1));
        Some(NtpTime(seen.ntp.0.wrapping_add(offset as i64 as u64)))
    }
}

/// The round trip that a report block about us gives (RFC 3550 section 6.4.1).
/// `now` must be of the clock that our sender reports carry. `None` when the far
/// end has seen no report of ours, or claims to have held it longer than it was gone.
#[must_use]
pub fn round_trip(now: NtpTime, block: &ReportBlock) -> Option<Duration> {
    if block.last_sr == 0 {
        return None;
    }
    let gone = now.middle().wrapping_sub(block.last_sr);
    let trip = gone.wrapping_sub(block.delay_since_last_sr);
    // Half the range is nine hours: beyond, it is a negative number.
    if gone > i32::MAX as u32 || trip > i32::MAX as u32 {
        return None;
    }
    Some(Duration::from_nanos(
        u64::from(trip) * 1_000_000_000 / 65_536,
    ))
}
