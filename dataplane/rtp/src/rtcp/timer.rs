//! When to send RTCP (RFC 3550 sections 6.2 and 6.3, appendix A.7; RFC 4585
//! section 3.5 in the small).

use core::time::Duration;

use plenum_abi::Nanos;

/// Bytes of IPv4 and UDP headers, which count as control traffic (section 6.2).
const LOWER_LAYERS: f64 = 28.0;
/// What a report of ours is likely to be before one was sent.
const FIRST_SIZE: f64 = 128.0;
/// e - 3/2: timer reconsideration makes intervals shorter than asked (A.7).
const COMPENSATION: f64 = core::f64::consts::E - 1.5;
/// Share of the session's bandwidth for RTCP, and of that for senders.
const RTCP_SHARE: f64 = 0.05;
const SENDER_SHARE: f64 = 0.25;
/// Longest interval: what an absurd bandwidth or membership may lead to.
const INTERVAL_MAX_NS: f64 = 3_600e9;

/// Fixed properties of a session's RTCP.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RtcpTimerConfig {
    /// Bandwidth of the session, bit/s; 5 % of it is RTCP's.
    pub session_bps: u32,
    /// Least interval on average: 5 s for RTP/AVP, and zero for RTP/AVPF, where the
    /// bandwidth alone decides. The first one is half as long.
    pub minimum: Duration,
}

impl RtcpTimerConfig {
    /// RTP/AVP: at least 5 s between reports.
    #[must_use]
    pub const fn avp(session_bps: u32) -> Self {
        Self {
            session_bps,
            minimum: Duration::from_secs(5),
        }
    }

    /// RTP/AVPF (RFC 4585 section 3.4): no minimum.
    #[must_use]
    pub const fn avpf(session_bps: u32) -> Self {
        Self {
            session_bps,
            minimum: Duration::ZERO,
        }
    }
}

/// Decides when our next compound packet is due. Random numbers are arguments,
/// uniform over all of `u32`.
#[derive(Clone, Debug)]
pub struct RtcpTimer {
    config: RtcpTimerConfig,
    /// `tp` and `tn` of the RFC.
    last: Nanos,
    next: Nanos,
    members: u32,
    members_then: u32,
    senders: u32,
    we_sent: bool,
    initial: bool,
    average_size: f64,
    /// RFC 4585: one packet may go early per regular interval.
    may_be_early: bool,
}

impl RtcpTimer {
    /// A session of two that begins at `now`.
    #[must_use]
    pub fn new(now: Nanos, config: RtcpTimerConfig, random: u32) -> Self {
        let mut timer = Self {
            config,
            last: now,
            next: now,
            members: 2,
            members_then: 2,
            senders: 1,
            we_sent: false,
            initial: true,
            average_size: FIRST_SIZE + LOWER_LAYERS,
            may_be_early: true,
        };
        timer.next = now + timer.interval(random);
        timer
    }

    /// When to call [`RtcpTimer::on_timeout`].
    #[must_use]
    pub const fn deadline(&self) -> Nanos {
        self.next
    }

    /// Who takes part, ourselves included, who of them sends, and whether we sent
    /// RTP since the last but one report. At least one member is assumed.
    pub fn set_members(&mut self, members: u32, senders: u32, we_sent: bool) {
        self.members = members.max(1);
        self.senders = senders.min(self.members);
        self.we_sent = we_sent;
    }

    /// Takes the size of a compound packet, received or sent, without lower layers.
    pub fn on_packet(&mut self, bytes: usize) {
        let size = bytes.min(65_535) as f64 + LOWER_LAYERS;
        self.average_size += (size - self.average_size) / 16.0;
    }

    /// At the deadline: true when a compound packet is to be sent now. False after
    /// timer reconsideration (section 6.3.6): the deadline has moved.
    pub fn on_timeout(&mut self, now: Nanos, random: u32) -> bool {
        if now < self.next {
            return false;
        }
        let due = self.last + self.interval(random);
        self.members_then = self.members;
        if due > now {
            self.next = due;
            return false;
        }
        self.last = now;
        self.initial = false;
        self.may_be_early = true;
        // The RFC draws again for the next interval; the same number serves, as it
        // is not correlated with anything that happens until then.
        self.next = now + self.interval(random.rotate_left(16));
        true
    }

    /// After members left: moves the deadline closer in proportion (section 6.3.4).
    pub fn on_members_left(&mut self, now: Nanos, members: u32) {
        let members = members.max(1);
        if members >= self.members_then {
            self.members = members;
            return;
        }
        let share = f64::from(members) / f64::from(self.members_then);
        let scaled = |span: Duration| span.mul_f64(share);
        self.next = now + scaled(self.next.since(now));
        self.last = now - scaled(now.since(self.last));
        self.members = members;
        self.members_then = members;
        self.senders = self.senders.min(members);
    }

    /// Feedback wants to go before the deadline (RFC 4585 section 3.5.2): true
    /// when it may, at once, for no dithering is needed between two. The next
    /// regular packet then waits an interval longer.
    pub fn send_early(&mut self, now: Nanos, random: u32) -> bool {
        if !self.may_be_early || self.config.minimum > Duration::ZERO {
            return false;
        }
        self.may_be_early = false;
        self.last = now;
        self.initial = false;
        self.next = self.next.max(now) + self.interval(random);
        true
    }

    /// Section 6.3.1.
    fn interval(&self, random: u32) -> Duration {
        let minimum = self.config.minimum.as_nanos() as f64;
        let minimum = if self.initial { minimum / 2.0 } else { minimum };
        let bytes_per_second = f64::from(self.config.session_bps.max(1)) / 8.0 * RTCP_SHARE;
        let (members, senders) = (f64::from(self.members), f64::from(self.senders));
        let (count, share) = if senders <= members * SENDER_SHARE {
            if self.we_sent {
                (senders, SENDER_SHARE)
            } else {
                (members - senders, 1.0 - SENDER_SHARE)
            }
        } else {
            (members, 1.0)
        };
        let by_bandwidth = count * self.average_size / (bytes_per_second * share) * 1e9;
        let spread = 0.5 + f64::from(random) / (f64::from(u32::MAX) + 1.0);
        let nanos = by_bandwidth.max(minimum) * spread / COMPENSATION;
        Duration::from_nanos(nanos.min(INTERVAL_MAX_NS) as u64)
    }
}
