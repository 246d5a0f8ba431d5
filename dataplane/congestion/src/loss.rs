//! The rate that loss allows, where lowering helps.
//!
//! A path loses for two reasons. A full queue loses less when less is sent: the rate goes
//! down with the loss. A radio loses its tenth of whatever is sent: when the rate has gone
//! down by a fifth and the loss has not, it is the path's own, the rate goes back to
//! where it was, and only loss beyond that share counts from then on. While a queue stands
//! nothing is judged so: the loss is the queue's.

use plenum_abi::Nanos;

/// Loss is judged once so long and so many packets have passed.
const PERIOD_NS: u64 = 1_000_000_000;
const PACKETS_MIN: u32 = 100;
/// Loss beyond the path's own from which the rate goes down, and up to which it goes up.
const HIGH: f64 = 0.09;
const LOW: f64 = 0.04;
/// Weight of a period in the path's own share, where it is less.
const LOWER: f64 = 0.05;
/// How far a trial goes down before it is judged: by then at least half of what lowering
/// should have spared must have been spared.
const TRIAL: f64 = 0.8;
/// Growth a period while loss is low.
const GROWTH: f64 = 1.25;

#[derive(Clone, Copy, Debug)]
struct Trial {
    from_bps: f64,
    loss: f64,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Loss {
    began: Nanos,
    came: u32,
    missing: u32,
    /// A queue stood in this period: what was lost was lost by it.
    queued: bool,
    /// The share that the path loses of whatever is sent.
    own: f64,
    trial: Option<Trial>,
    bound_bps: f64,
}

impl Loss {
    pub(crate) const fn new(now: Nanos) -> Self {
        Self {
            began: now,
            came: 0,
            missing: 0,
            queued: false,
            own: 0.0,
            trial: None,
            bound_bps: f64::INFINITY,
        }
    }

    pub(crate) fn came(&mut self) {
        self.came += 1;
    }

    pub(crate) fn missing(&mut self) {
        self.missing += 1;
    }

    /// One that was missing came late.
    pub(crate) fn came_late(&mut self) {
        self.missing = self.missing.saturating_sub(1);
        self.came += 1;
    }

    /// The share that the path loses of whatever is sent, at most half.
    pub(crate) fn own(&self) -> f64 {
        self.own.min(0.5)
    }

    /// Bits a second that loss allows; infinite where it says nothing.
    pub(crate) fn bound_bps(&self) -> f64 {
        self.bound_bps
    }

    /// After a pause: what was lost in it is no loss, and no bound holds.
    pub(crate) fn restart(&mut self, now: Nanos) {
        *self = Self {
            own: self.own,
            ..Self::new(now)
        };
    }

    /// Judges a period, if it is over; `target_bps` is what was sent at, and `queued`
    /// whether a queue stands.
    pub(crate) fn update(&mut self, now: Nanos, target_bps: f64, queued: bool) {
        self.queued |= queued;
        let packets = self.came + self.missing;
        if now.0.saturating_sub(self.began.0) < PERIOD_NS || packets < PACKETS_MIN {
            return;
        }
        let loss = f64::from(self.missing) / f64::from(packets);
        (self.began, self.came, self.missing) = (now, 0, 0);
        let queued = core::mem::take(&mut self.queued);
        if loss < self.own {
            self.own += LOWER * (loss - self.own);
        }
        let beyond = loss - self.own;
        if beyond > HIGH {
            self.lower(loss, target_bps, queued);
        } else if beyond < LOW {
            self.trial = None;
            self.bound_bps = (self.bound_bps * GROWTH).max(target_bps);
        }
    }

    fn lower(&mut self, loss: f64, target_bps: f64, queued: bool) {
        let from_bps = target_bps;
        if queued {
            self.trial = None;
        }
        let trial = *self.trial.get_or_insert(Trial { from_bps, loss });
        if target_bps < TRIAL * trial.from_bps {
            // What the loss would be now, were it all beyond a capacity.
            let carried = trial.from_bps * (1.0 - trial.loss);
            let predicted = (1.0 - carried / target_bps).max(0.0);
            if loss > (trial.loss + predicted) / 2.0 {
                self.own = loss;
                self.trial = None;
                self.bound_bps = trial.from_bps;
                return;
            }
            self.trial = Some(Trial { from_bps, loss });
        }
        self.bound_bps = target_bps * (1.0 - 0.5 * loss);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many seconds at what the bound allows, up to `want`; the bound after each.
    fn run(loss: &mut Loss, want: f64, lost: impl Fn(f64) -> f64) -> Vec<f64> {
        (1..=40)
            .map(|_| {
                let rate = want.min(loss.bound_bps());
                let missing = (lost(rate) * 200.0) as u32;
                (loss.missing, loss.came) = (missing, 200 - missing);
                loss.update(Nanos(loss.began.0 + PERIOD_NS), rate, false);
                want.min(loss.bound_bps())
            })
            .collect()
    }

    #[test]
    fn a_policer_is_kept_to() {
        let mut loss = Loss::new(Nanos::ZERO);
        let rates = run(&mut loss, 2e6, |rate| (1.0 - 1e6 / rate).max(0.0));
        for rate in &rates[8..] {
            assert!((0.9e6..1.25e6).contains(rate), "{rates:?}");
        }
    }

    #[test]
    fn a_path_that_loses_whatever_is_sent_is_used() {
        let mut loss = Loss::new(Nanos::ZERO);
        let rates = run(&mut loss, 2e6, |_| 0.2);
        assert!(rates.iter().any(|rate| *rate < 1.6e6), "it is tried");
        assert!(rates.iter().all(|rate| *rate > 1.0e6), "{rates:?}");
        assert!(rates[20..].iter().all(|rate| *rate == 2e6), "{rates:?}");
        // It gets better, and then its queue is full.
        run(&mut loss, 2e6, |_| 0.0);
        let rates = run(&mut loss, 2e6, |rate| (1.0 - 1e6 / rate).max(0.0));
        assert!(rates[39] < 1.25e6, "{rates:?}");
    }
}
