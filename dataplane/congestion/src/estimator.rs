//! The estimator: what feedback says is brought together into one target.

use std::time::Duration;

use plenum_abi::Nanos;
use plenum_rtp::rtcp::TransportFeedback;

use crate::acknowledged::Acknowledged;
use crate::delay::Delay;
use crate::history::{Fate, History, Sent, micros};
use crate::loss::Loss;
use crate::probing::{Fitting, Probe, Prober};
use crate::rate::{Observed, Rate};
use crate::trend::Usage;

/// What is unanswered for so long means that the path is cut.
const SILENCE: Duration = Duration::from_secs(1);
/// While it is, the rate is halved so often.
const HALVE: Duration = Duration::from_millis(500);
/// Share of the rate before a cut with which the path is taken up again.
const AFTER_CUT: f64 = 0.85;
/// No probe for so long after the rate was lowered or the path was cut.
const AFTER_LOWERED: Duration = Duration::from_secs(3);
/// No probe while so long a queue stands, milliseconds.
const QUIET_MS: f64 = 20.0;
/// A queue that stands so long is what loses, milliseconds.
const QUEUE_MS: f64 = 40.0;
/// The clocks do not drift so far between two packets, microseconds: one was set.
const LEAP_US: i64 = 3_000_000;
/// Round trip until one is known, and the longest that is believed.
const ROUND_TRIP: Duration = Duration::from_millis(100);
const ROUND_TRIP_MAX: Duration = Duration::from_secs(2);

/// Between what the target stays, bit/s on the wire.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// What is tried first.
    pub start_bps: u32,
    /// Never less, whatever the path says.
    pub min_bps: u32,
    /// Never more; taken for `min_bps` where it is less.
    pub max_bps: u32,
}

impl Limits {
    fn most_bps(&self) -> f64 {
        f64::from(self.max_bps.max(self.min_bps))
    }
}

/// Feedback stays away.
#[derive(Clone, Copy, Debug)]
struct Cut {
    /// The rate before.
    before_bps: f64,
    halved_at: Nanos,
}

/// How fast one transport may send, by the feedback of its far end.
///
/// Give each packet its number by [`sent`](Self::sent), hand in each
/// [`feedback`](Self::feedback), call [`tick`](Self::tick) some ten times a second and
/// [`probe`](Self::probe) some hundred times, and send at [`target_bps`](Self::target_bps).
#[derive(Debug)]
pub struct Estimator {
    limits: Limits,
    cap_bps: Option<u32>,
    history: History,
    delay: Delay,
    acknowledged: Acknowledged,
    rate: Rate,
    loss: Loss,
    prober: Prober,
    round_trip: Duration,
    application_limited: bool,
    /// The last reference time, unwrapped, microseconds.
    reference_us: Option<i64>,
    /// One-way delay of the last packet that came, clocks' distance included.
    last_delay_us: Option<i64>,
    /// When the first packet left that nothing was heard after.
    unanswered_since: Option<Nanos>,
    cut: Option<Cut>,
    /// What was sent earlier and is missing was lost in a cut.
    forgive_before_us: i64,
    target_bps: u32,
}

impl Estimator {
    /// An estimator of a transport that sent nothing yet.
    #[must_use]
    pub fn new(now: Nanos, limits: Limits) -> Self {
        let mut estimator = Self {
            limits,
            cap_bps: None,
            history: History::new(),
            delay: Delay::new(),
            acknowledged: Acknowledged::new(),
            rate: Rate::new(f64::from(limits.start_bps)),
            loss: Loss::new(now),
            prober: Prober::new(),
            round_trip: ROUND_TRIP,
            application_limited: false,
            reference_us: None,
            last_delay_us: None,
            unanswered_since: None,
            cut: None,
            forgive_before_us: i64::MIN,
            target_bps: 0,
        };
        estimator.settle();
        estimator
    }

    /// New limits; `start_bps` counts no more.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
        self.settle();
    }

    /// A packet leaves: the transport-wide number that it gets. `bytes` is its size on the
    /// wire with all headers. The last 2,048 are remembered.
    pub fn sent(&mut self, now: Nanos, bytes: u32) -> u16 {
        self.unanswered_since.get_or_insert(now);
        let cluster = self.prober.sent(bytes);
        self.history.push(now, bytes, cluster)
    }

    /// A feedback about what was sent; whether the target changed.
    pub fn feedback(&mut self, now: Nanos, feedback: &TransportFeedback<'_>) -> bool {
        self.unanswered_since = None;
        if let Some(cut) = self.cut.take() {
            self.rejoin(now, cut);
        }
        let unwrapped_by = self.unwrap(feedback.reference_us());
        for (number, came_us) in feedback.packets() {
            let came_us = came_us.map(|us| us.saturating_add(unwrapped_by));
            self.packet(now, number, came_us);
        }
        if let Some(result) = self.prober.result(now, self.round_trip)
            && result > self.rate.bps()
        {
            self.rate.set(result);
        }
        let observed = Observed {
            usage: self.delay.usage(),
            acknowledged_bps: self
                .acknowledged
                .rate_bps()
                .map(|bps| bps / (1.0 - self.loss.own())),
            standing_ms: self.delay.standing_ms(),
            application_limited: self.application_limited,
            round_trip: self.round_trip,
        };
        self.rate.update(now, &observed);
        let queued = observed.standing_ms > QUEUE_MS;
        self.loss.update(now, f64::from(self.target_bps), queued);
        self.settle()
    }

    /// What to add to the times of a feedback whose reference wraps around.
    fn unwrap(&mut self, reference_us: i64) -> i64 {
        const WRAP_US: i64 = TransportFeedback::WRAP_US;
        let Some(last) = self.reference_us else {
            self.reference_us = Some(reference_us);
            return 0;
        };
        let ahead = (reference_us - last).rem_euclid(WRAP_US);
        let step = if ahead < WRAP_US / 2 {
            ahead
        } else {
            ahead - WRAP_US
        };
        let unwrapped = last + step;
        // Far beyond any life of a transport: begin anew rather than overflow.
        let unwrapped = if unwrapped.abs() > i64::MAX / 4 {
            reference_us
        } else {
            unwrapped
        };
        self.reference_us = Some(unwrapped);
        unwrapped - reference_us
    }

    fn packet(&mut self, now: Nanos, number: u16, came_us: Option<i64>) {
        let Some(sent) = self.history.get_mut(number) else {
            return;
        };
        match (sent.fate, came_us) {
            (Fate::Came, _) | (Fate::Missing, None) => {}
            (Fate::Unknown, None) => {
                sent.fate = Fate::Missing;
                if sent.at_us >= self.forgive_before_us {
                    self.loss.missing();
                }
            }
            (fate, Some(came_us)) => {
                sent.fate = Fate::Came;
                let sent = *sent;
                if fate == Fate::Missing {
                    self.loss.came_late();
                } else {
                    self.loss.came();
                }
                self.came(now, &sent, came_us);
            }
        }
    }

    fn came(&mut self, now: Nanos, sent: &Sent, came_us: i64) {
        let delay_us = came_us.saturating_sub(sent.at_us);
        let last = self.last_delay_us.replace(delay_us);
        if last.is_some_and(|last| delay_us.saturating_sub(last).saturating_abs() > LEAP_US) {
            self.delay = Delay::new();
            self.acknowledged = Acknowledged::new();
            self.prober.wait_until(now + AFTER_LOWERED);
        }
        self.acknowledged.note(came_us, sent.bytes);
        self.delay.packet(sent.at_us, came_us);
        if sent.cluster != 0 {
            self.prober.came(sent, came_us);
        }
    }

    /// The path is back: what was lost meanwhile says nothing of its rate.
    fn rejoin(&mut self, now: Nanos, cut: Cut) {
        self.rate.set(AFTER_CUT * cut.before_bps);
        self.forgive_before_us = micros(now);
        self.delay.restart();
        self.acknowledged = Acknowledged::new();
        self.loss.restart(now);
        self.prober.wait_until(now + AFTER_LOWERED);
    }

    /// A cap from the far end (REMB, TMMBR), bit/s; `None` lifts it.
    pub fn set_cap(&mut self, bps: Option<u32>) {
        self.cap_bps = bps;
        self.settle();
    }

    /// The round trip, as reports say it. Above 2 s it is taken for 2 s.
    pub fn round_trip(&mut self, round_trip: Duration) {
        self.round_trip = round_trip.min(ROUND_TRIP_MAX);
    }

    /// Time passes; whether the target changed. Where feedback stays away for a second it
    /// is halved, again each half second; it comes back with the first feedback.
    pub fn tick(&mut self, now: Nanos) -> bool {
        let silent = self
            .unanswered_since
            .is_some_and(|at| now.since(at) >= SILENCE + self.round_trip);
        if !silent || !self.is_heard() {
            // Before the first feedback nothing says that the far end sends any.
            return false;
        }
        let bps = self.rate.bps();
        let cut = self.cut.get_or_insert(Cut {
            before_bps: bps,
            halved_at: Nanos::ZERO,
        });
        if now.since(cut.halved_at) < HALVE {
            return false;
        }
        cut.halved_at = now;
        self.rate.set(bps / 2.0);
        self.settle()
    }

    /// What may be sent, bit/s on the wire: within the limits and the cap, but for
    /// `min_bps`, which is stronger than all.
    #[must_use]
    pub fn target_bps(&self) -> u32 {
        self.target_bps
    }

    /// What a probe wants sent now; `None` while there is no probe or it has enough.
    /// All that [`sent`](Self::sent) is told meanwhile belongs to it.
    pub fn probe(&mut self, now: Nanos) -> Option<Probe> {
        let heard = self.is_heard() && self.cut.is_none();
        let cap = self.cap_bps.map_or(f64::INFINITY, f64::from);
        let lowered = self.rate.lowered_at();
        let fitting = Fitting {
            target_bps: f64::from(self.target_bps),
            most_bps: self.limits.most_bps().min(cap).min(self.loss.bound_bps()),
            quiet: heard
                && self.delay.usage() != Usage::Over
                && self.delay.standing_ms() < QUIET_MS
                && lowered.is_none_or(|at| now.since(at) >= AFTER_LOWERED),
        };
        self.prober.wanted(now, &fitting)
    }

    /// Whether a probe is being sent: [`probe`](Self::probe) is to be asked again within
    /// a few milliseconds, also where it wanted nothing just now.
    #[must_use]
    pub fn is_probing(&self) -> bool {
        self.prober.is_sending()
    }

    /// Whether the far end said anything of what was sent.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        self.reference_us.is_some()
    }

    /// Whether the application sends less than it may. What is acknowledged then says
    /// nothing of the path: the target stays, and probes alone raise it.
    pub fn set_application_limited(&mut self, limited: bool) {
        self.application_limited = limited;
    }

    /// Brings rate, bounds and limits together; whether the target changed.
    fn settle(&mut self) -> bool {
        let (min, max) = (f64::from(self.limits.min_bps), self.limits.most_bps());
        self.rate.clamp(min, max);
        let cap = self.cap_bps.map_or(max, f64::from);
        let target = self.rate.bps().min(self.loss.bound_bps()).min(cap).max(min) as u32;
        core::mem::replace(&mut self.target_bps, target) != target
    }
}

#[cfg(test)]
mod tests;
