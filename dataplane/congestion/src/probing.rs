//! Probing: for a moment more is sent than the rate, and how it comes says whether the
//! path carries it. The beginning, a path that became wider and an application that does
//! not fill the rate learn by nothing else.

use std::time::Duration;

use plenum_abi::Nanos;

use crate::history::Sent;

/// A probe is at so many times the target.
const FACTOR: f64 = 2.0;
/// How long a probe takes, and the packets it has at least.
const LENGTH_S: f64 = 0.025;
const PACKETS_MIN: u32 = 5;
const BYTES_MIN: u32 = PACKETS_MIN * 1_200;
/// A probe that the caller could not send within so long ends as it is.
const LENGTH_MAX: Duration = Duration::from_millis(100);
/// Its packets' feedback is waited for so long beyond the round trip.
const ANSWER: Duration = Duration::from_millis(400);
/// Time between probes, and until one that was not fitting is tried again.
const PERIOD: Duration = Duration::from_secs(5);
const LATER: Duration = Duration::from_millis(500);
/// A probe that came at this share of its rate is followed by a higher one at once.
const FURTHER: f64 = 0.7;
/// Below this share of the rate sent, what came is the capacity; a little less is used.
const SATURATED: f64 = 0.9;
/// Share of a probe's packets that must have come.
const COMPLETE: f64 = 0.8;

/// What a probe wants sent now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Probe {
    /// The rate of the probe on the wire, bit/s; at most 2^32.
    pub rate_bps: u32,
    /// Bytes wanted now, beside what is sent anyway: padding or packets sent again.
    pub bytes: u32,
}

/// A probe on its way.
#[derive(Clone, Copy, Debug)]
struct Cluster {
    id: u8,
    rate_bps: f64,
    began: Nanos,
    ended: Option<Nanos>,
    goal_bytes: u32,
    sent_bytes: u32,
    sent_packets: u32,
    came: Option<Came>,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
struct Came {
    packets: u32,
    bytes: u32,
    first_sent: Sent,
    last_sent: Sent,
    first_us: i64,
    first_bytes: u16,
    last_us: i64,
}

/// Whether a probe is fitting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fitting {
    pub(crate) target_bps: f64,
    /// More is not wanted, bit/s.
    pub(crate) most_bps: f64,
    /// No queue stands and none was met just now.
    pub(crate) quiet: bool,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Prober {
    cluster: Option<Cluster>,
    last_id: u8,
    next_at: Nanos,
    /// The rate of the next one, where the last one asked for more.
    further_bps: Option<f64>,
}

impl Prober {
    pub(crate) const fn new() -> Self {
        Self {
            cluster: None,
            last_id: 0,
            next_at: Nanos::ZERO,
            further_bps: None,
        }
    }

    /// No probe before `at`; one on its way is given up.
    pub(crate) fn wait_until(&mut self, at: Nanos) {
        (self.cluster, self.further_bps) = (None, None);
        self.next_at = at;
    }

    /// A packet leaves; the probe that it belongs to, 0 for none.
    pub(crate) fn sent(&mut self, bytes: u32) -> u8 {
        match &mut self.cluster {
            Some(cluster) if cluster.ended.is_none() => {
                cluster.sent_bytes = cluster.sent_bytes.saturating_add(bytes);
                cluster.sent_packets += 1;
                cluster.id
            }
            _ => 0,
        }
    }

    /// A packet of a probe came.
    pub(crate) fn came(&mut self, sent: &Sent, came_us: i64) {
        let Some(cluster) = self.cluster.as_mut().filter(|it| it.id == sent.cluster) else {
            return;
        };
        let came = cluster.came.get_or_insert(Came {
            packets: 0,
            bytes: 0,
            first_sent: *sent,
            last_sent: *sent,
            first_us: came_us,
            first_bytes: sent.bytes,
            last_us: came_us,
        });
        came.packets += 1;
        came.bytes += u32::from(sent.bytes);
        if sent.at_us < came.first_sent.at_us {
            came.first_sent = *sent;
        }
        if sent.at_us >= came.last_sent.at_us {
            came.last_sent = *sent;
        }
        if came_us < came.first_us {
            (came.first_us, came.first_bytes) = (came_us, sent.bytes);
        }
        came.last_us = came.last_us.max(came_us);
    }

    /// What is wanted now; begins a probe when one is due and fitting.
    pub(crate) fn wanted(&mut self, now: Nanos, fitting: &Fitting) -> Option<Probe> {
        if self.cluster.is_none() && now >= self.next_at {
            self.begin(now, fitting);
        }
        let cluster = self.cluster.as_mut().filter(|it| it.ended.is_none())?;
        let passed = now.since(cluster.began);
        let whole = cluster.sent_bytes >= cluster.goal_bytes && cluster.sent_packets >= PACKETS_MIN;
        if whole || passed > LENGTH_MAX {
            cluster.ended = Some(now);
            return None;
        }
        // A millisecond ahead, so that the first packet leaves at once.
        let due = cluster.rate_bps / 8.0 * (passed.as_secs_f64() + 0.001);
        let bytes = (due as u32).saturating_sub(cluster.sent_bytes);
        (bytes > 0).then_some(Probe {
            rate_bps: cluster.rate_bps as u32,
            bytes,
        })
    }

    /// Whether a probe is being sent, also while nothing of it is due.
    pub(crate) fn is_sending(&self) -> bool {
        self.cluster.is_some_and(|cluster| cluster.ended.is_none())
    }

    fn begin(&mut self, now: Nanos, fitting: &Fitting) {
        let rate_bps = self
            .further_bps
            .take()
            .unwrap_or(FACTOR * fitting.target_bps)
            .min(fitting.most_bps);
        if !fitting.quiet || rate_bps < 1.1 * fitting.target_bps {
            self.next_at = now + LATER;
            return;
        }
        self.last_id = self.last_id % u8::MAX + 1;
        self.cluster = Some(Cluster {
            id: self.last_id,
            rate_bps,
            began: now,
            ended: None,
            goal_bytes: ((rate_bps / 8.0 * LENGTH_S) as u32).max(BYTES_MIN),
            sent_bytes: 0,
            sent_packets: 0,
            came: None,
        });
    }

    /// Whether a probe has an answer; the bits a second that the path carried, if it
    /// is one.
    pub(crate) fn result(&mut self, now: Nanos, round_trip: Duration) -> Option<f64> {
        let cluster = self.cluster?;
        let ended = cluster.ended?;
        let all = cluster
            .came
            .is_some_and(|came| came.packets == cluster.sent_packets);
        if !all && now.since(ended) < ANSWER + round_trip {
            return None;
        }
        self.wait_until(now + PERIOD);
        let result = cluster.rate()?;
        if result > FURTHER * cluster.rate_bps {
            self.next_at = now;
            self.further_bps = Some(FACTOR * result);
        }
        Some(result)
    }
}

impl Cluster {
    /// What the path carried, if enough came to say so; never more than was sent.
    fn rate(&self) -> Option<f64> {
        let came = self.came?;
        let enough = f64::from(came.packets) >= COMPLETE * f64::from(self.sent_packets);
        if !enough || came.packets < PACKETS_MIN - 1 {
            return None;
        }
        // Of n packets there are n - 1 gaps: the last one sent and the first one that came
        // do not count.
        let rate = |bytes: u32, us: i64| f64::from(bytes) * 8e6 / us.max(1) as f64;
        let sent = rate(
            came.bytes - u32::from(came.last_sent.bytes),
            came.last_sent.at_us - came.first_sent.at_us,
        );
        let came = rate(
            came.bytes - u32::from(came.first_bytes),
            came.last_us.saturating_sub(came.first_us),
        );
        let carried = if came < SATURATED * sent {
            SATURATED * came
        } else {
            came
        };
        Some(carried.min(sent).min(self.rate_bps))
    }
}
