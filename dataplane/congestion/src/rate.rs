//! The rate that delay allows: down to a share of what comes when a queue grows, up in
//! proportion while the capacity is unknown, up by a packet a response time near it.

use std::time::Duration;

use plenum_abi::Nanos;

use crate::trend::Usage;

/// Share of the acknowledged rate that is sent after over-use: less than the capacity, so
/// that the queue empties.
const DECREASE: f64 = 0.85;
/// Growth a second where the capacity is unknown, and below a known one.
const GROWTH: f64 = 0.08;
const GROWTH_BELOW: f64 = 0.2;
/// The rate falls no further than to this share at once: a pause of the encoder makes the
/// acknowledged rate look small.
const FALL: f64 = 0.6;
/// Bits that growth near the capacity adds a response time.
const STEP_BITS: f64 = 8.0 * 1_200.0;
/// A response time is the round trip and so long: the encoder, and telling it.
const RESPONSE: Duration = Duration::from_millis(100);
/// The rate does not grow beyond so many times what is acknowledged.
const AHEAD: f64 = 1.5;
/// Nor while so long a queue stands, milliseconds.
const STANDING_MS: f64 = 40.0;
/// No two decreases within so long: what is acknowledged then shows the first.
const AGAIN: Duration = Duration::from_millis(200);
/// Nor of a full queue, which takes longer to empty. Down to this share at most: if that
/// does not help, the route became longer.
const AGAIN_FULL: Duration = Duration::from_millis(500);
const FULL_LEAST: f64 = 0.35;
/// A decrease so soon after another says that the path became narrower.
const SOON: Duration = Duration::from_millis(700);
/// The capacity is near from this share of it on, and was wrong from that share on.
const NEAR: f64 = 0.8;
const BEYOND: f64 = 1.2;

/// What a feedback says of the path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Observed {
    pub(crate) usage: Usage,
    /// Bits a second that came, if known.
    pub(crate) acknowledged_bps: Option<f64>,
    pub(crate) standing_ms: f64,
    /// The application sends less than it may: what comes says nothing of the path.
    pub(crate) application_limited: bool,
    pub(crate) round_trip: Duration,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Rate {
    bps: f64,
    /// What was acknowledged at over-use, averaged.
    capacity_bps: Option<f64>,
    /// The rate when the queue was found full.
    full_from_bps: Option<f64>,
    grew_at: Option<Nanos>,
    lowered_at: Option<Nanos>,
}

impl Rate {
    pub(crate) const fn new(bps: f64) -> Self {
        Self {
            bps,
            capacity_bps: None,
            full_from_bps: None,
            grew_at: None,
            lowered_at: None,
        }
    }

    pub(crate) fn bps(&self) -> f64 {
        self.bps
    }

    /// Sets it, by a probe or after a pause.
    pub(crate) fn set(&mut self, bps: f64) {
        self.bps = bps;
        if self
            .capacity_bps
            .is_some_and(|capacity| bps > BEYOND * capacity)
        {
            self.capacity_bps = None;
        }
    }

    pub(crate) fn clamp(&mut self, min_bps: f64, max_bps: f64) {
        self.bps = self.bps.clamp(min_bps, max_bps);
    }

    /// When it was last lowered.
    pub(crate) fn lowered_at(&self) -> Option<Nanos> {
        self.lowered_at
    }

    pub(crate) fn update(&mut self, now: Nanos, observed: &Observed) {
        let since = self.grew_at.map_or(Duration::ZERO, |at| now.since(at));
        self.grew_at = Some(now);
        match observed.usage {
            Usage::Over => self.decrease(now, AGAIN, observed),
            Usage::Full => {
                let least = FULL_LEAST * *self.full_from_bps.get_or_insert(self.bps);
                if self.bps > least {
                    self.decrease(now, AGAIN_FULL, observed);
                    self.bps = self.bps.max(least);
                }
            }
            Usage::Normal if observed.standing_ms < STANDING_MS => {
                self.full_from_bps = None;
                self.grow(since.min(Duration::from_secs(1)), observed);
            }
            Usage::Normal | Usage::Under => {}
        }
    }

    fn decrease(&mut self, now: Nanos, again: Duration, observed: &Observed) {
        let again = again + observed.round_trip;
        if self.lowered_at.is_some_and(|at| now.since(at) < again) {
            return;
        }
        let soon = self.lowered_at.is_some_and(|at| now.since(at) < SOON);
        self.lowered_at = Some(now);
        let carried = match observed.acknowledged_bps {
            Some(acknowledged) if !observed.application_limited => {
                // What is acknowledged may be little because little was sent: for once the
                // known capacity is believed.
                let known = self.capacity_bps.filter(|_| !soon).unwrap_or(0.0);
                if acknowledged > NEAR * known {
                    self.learn(acknowledged);
                }
                acknowledged.max(known)
            }
            _ => self.bps,
        };
        self.bps = self.bps.min(DECREASE * carried).max(FALL * self.bps);
    }

    fn learn(&mut self, bps: f64) {
        self.capacity_bps = Some(match self.capacity_bps {
            Some(known) if (NEAR * known..BEYOND * known).contains(&bps) => 0.8 * known + 0.2 * bps,
            _ => bps,
        });
    }

    fn grow(&mut self, since: Duration, observed: &Observed) {
        if observed.application_limited {
            return;
        }
        let Some(acknowledged) = observed.acknowledged_bps else {
            return;
        };
        if self
            .capacity_bps
            .is_some_and(|known| acknowledged > BEYOND * known)
        {
            self.capacity_bps = None;
        }
        let a_second = match self.capacity_bps {
            None => GROWTH * self.bps,
            Some(known) if self.bps < NEAR * known => GROWTH_BELOW * self.bps,
            Some(_) => STEP_BITS / (observed.round_trip + RESPONSE).as_secs_f64(),
        };
        let grown = self.bps + a_second * since.as_secs_f64();
        self.bps = grown.min(AHEAD * acknowledged + STEP_BITS).max(self.bps);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEN: Observed = Observed {
        usage: Usage::Normal,
        acknowledged_bps: Some(1e6),
        standing_ms: 0.0,
        application_limited: false,
        round_trip: Duration::from_millis(50),
    };

    #[test]
    fn it_grows_by_a_share_then_falls_then_grows_by_a_packet() {
        let mut rate = Rate::new(1e6);
        for second in 0..=1 {
            rate.update(Nanos::from_millis(second * 1_000), &SEEN);
        }
        assert!((1.07e6..1.09e6).contains(&rate.bps()), "{}", rate.bps());
        let over = Observed {
            usage: Usage::Over,
            ..SEEN
        };
        rate.update(Nanos::from_millis(1_100), &over);
        assert!((rate.bps() - 0.85e6).abs() < 1.0);
        rate.update(
            Nanos::from_millis(1_150),
            &Observed {
                acknowledged_bps: Some(1e5),
                ..over
            },
        );
        assert!((rate.bps() - 0.85e6).abs() < 1.0, "not twice at once");
        rate.update(Nanos::from_millis(2_150), &SEEN);
        assert!((0.91e6..0.92e6).contains(&rate.bps()), "{}", rate.bps());
    }

    #[test]
    fn what_comes_bounds_growth_but_of_a_limited_sender_it_says_nothing() {
        let mut rate = Rate::new(3e6);
        let limited = Observed {
            application_limited: true,
            ..SEEN
        };
        for millis in 0..100 {
            rate.update(Nanos::from_millis(millis * 100), &SEEN);
            rate.update(Nanos::from_millis(millis * 100), &limited);
        }
        assert_eq!(rate.bps(), 3e6);
        let more = Observed {
            acknowledged_bps: Some(2.9e6),
            ..limited
        };
        rate.update(Nanos::from_millis(11_000), &more);
        assert_eq!(rate.bps(), 3e6, "probes alone raise it");
        rate.update(
            Nanos::from_millis(20_000),
            &Observed {
                usage: Usage::Over,
                ..limited
            },
        );
        assert!((rate.bps() - 2.55e6).abs() < 1.0);
        rate.update(
            Nanos::from_millis(21_000),
            &Observed {
                standing_ms: 90.0,
                acknowledged_bps: Some(9e6),
                ..SEEN
            },
        );
        assert!((rate.bps() - 2.55e6).abs() < 1.0, "not into a queue");
    }
}
