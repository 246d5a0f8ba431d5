//! What may be sent to one far end: bounds that were agreed on, what the far end
//! asks for, and what its reports say of loss.
//!
//! Additive up, multiplicative down, on each receiver report (RFC 3550 section
//! 6.4.1): loss above a tenth takes half of that share away, loss below a fiftieth
//! lets it grow by a twelfth; between the two it stays. TMMBR (RFC 5104) and REMB are
//! bounds from above. Where the far end counts packets, an estimate of the whole path
//! ([`plenum_congestion`]) takes loss's place ([`SendRate::set_estimate`]). Sans-IO.

use std::time::Duration;

use plenum_abi::Nanos;

/// Where nothing was agreed on, bit/s.
const DEFAULT_MAX_BPS: u32 = 4_000_000;
/// What is tried first, bit/s.
const START_BPS: u32 = 2_000_000;
/// Below this no picture is worth sending, bit/s.
const MIN_BPS: u32 = 64_000;
/// Least time between two steps up.
const STEP_UP: Duration = Duration::from_millis(900);
/// Loss above which the rate goes down, in 1/256.
const LOSS_HIGH: u8 = 26;
/// Loss below which it goes up, in 1/256.
const LOSS_LOW: u8 = 5;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct SendRate {
    /// What was agreed on.
    max_bps: u32,
    /// What the far end last asked for, by TMMBR or REMB.
    bound_bps: u32,
    /// What loss allows.
    loss_bps: u32,
    /// What the path carries, where that is estimated; loss is part of it.
    estimate_bps: Option<u32>,
    stepped_at: Option<Nanos>,
    /// What was last told on.
    told_bps: u32,
}

impl SendRate {
    /// `max_bps` is what was agreed on; 0 is no limit but ours.
    pub(crate) fn new(max_bps: u32) -> Self {
        let max_bps = match max_bps {
            0 => DEFAULT_MAX_BPS,
            set => set.max(MIN_BPS),
        };
        Self {
            max_bps,
            bound_bps: u32::MAX,
            loss_bps: max_bps.min(START_BPS),
            estimate_bps: None,
            stepped_at: None,
            told_bps: 0,
        }
    }

    /// What may be sent now, bit/s.
    pub(crate) fn allowed_bps(&self) -> u32 {
        let path_bps = self.estimate_bps.unwrap_or(self.loss_bps);
        let allowed = path_bps.min(self.bound_bps).min(self.max_bps);
        allowed.max(MIN_BPS)
    }

    /// A bound from above that holds until the next, bit/s.
    pub(crate) fn set_bound(&mut self, bound_bps: u64) {
        self.bound_bps = u32::try_from(bound_bps).unwrap_or(u32::MAX);
    }

    /// What the path carries of this stream, bit/s: it holds instead of what loss says.
    pub(crate) fn set_estimate(&mut self, bps: u32) {
        self.estimate_bps = Some(bps);
    }

    /// A report of our stream: the share lost since the last, in 1/256.
    pub(crate) fn on_report(&mut self, now: Nanos, fraction_lost: u8) {
        let rate = u64::from(self.loss_bps);
        if fraction_lost > LOSS_HIGH {
            let left = 512 - u64::from(fraction_lost);
            self.loss_bps = ((rate * left / 512) as u32).max(MIN_BPS);
            self.stepped_at = Some(now);
        } else if fraction_lost < LOSS_LOW
            && self.stepped_at.is_none_or(|at| now.since(at) >= STEP_UP)
        {
            self.loss_bps = ((rate * 13 / 12) as u32).min(self.max_bps);
            self.stepped_at = Some(now);
        }
    }

    /// The rate, where it changed enough to be worth telling an encoder: down by 3 %
    /// or up by 8 %.
    pub(crate) fn take_change(&mut self) -> Option<u32> {
        let (allowed, told) = (u64::from(self.allowed_bps()), u64::from(self.told_bps));
        let changed = allowed * 100 <= told * 97 || allowed * 100 >= told * 108;
        changed.then(|| {
            self.told_bps = allowed as u32;
            self.told_bps
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Nanos {
        Nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn it_begins_with_what_was_agreed_on_and_is_told_once() {
        let mut rate = SendRate::new(768_000);
        assert_eq!(rate.take_change(), Some(768_000));
        assert_eq!(rate.take_change(), None);
        assert_eq!(SendRate::new(0).allowed_bps(), START_BPS);
        assert_eq!(SendRate::new(1).allowed_bps(), MIN_BPS);
    }

    #[test]
    fn loss_takes_it_down_and_quiet_brings_it_back_no_further_than_agreed() {
        let mut rate = SendRate::new(1_000_000);
        for second in 0..20 {
            rate.on_report(seconds(second), 64);
        }
        let low = rate.allowed_bps();
        assert!(low < 100_000, "{low}");
        for second in 0..200 {
            rate.on_report(seconds(1_000 + second), 64);
        }
        assert_eq!(rate.allowed_bps(), MIN_BPS);
        // Between the bounds it stays where it is.
        rate.on_report(seconds(2_000), 15);
        assert_eq!(rate.allowed_bps(), MIN_BPS);
        for second in 0..60 {
            rate.on_report(seconds(3_000 + second), 0);
        }
        assert_eq!(rate.allowed_bps(), 1_000_000);
    }

    #[test]
    fn reports_in_a_burst_are_one_step_up() {
        let mut rate = SendRate::new(4_000_000);
        for _ in 0..50 {
            rate.on_report(seconds(5), 0);
        }
        assert_eq!(rate.allowed_bps(), START_BPS / 12 * 13 + 8);
    }

    #[test]
    fn an_estimate_takes_losss_place_within_the_same_bounds() {
        let mut rate = SendRate::new(2_000_000);
        rate.set_estimate(900_000);
        for second in 0..20 {
            rate.on_report(seconds(second), 64);
        }
        assert_eq!(rate.allowed_bps(), 900_000);
        rate.set_estimate(9_000_000);
        assert_eq!(rate.allowed_bps(), 2_000_000);
        rate.set_bound(300_000);
        assert_eq!(rate.allowed_bps(), 300_000);
    }

    #[test]
    fn the_far_ends_word_is_a_bound_and_can_be_taken_back() {
        let mut rate = SendRate::new(2_000_000);
        let _ = rate.take_change();
        rate.set_bound(300_000);
        assert_eq!(rate.take_change(), Some(300_000));
        rate.set_bound(u64::MAX);
        assert_eq!(rate.take_change(), Some(2_000_000));
        rate.set_bound(0);
        assert_eq!(rate.allowed_bps(), MIN_BPS);
    }
}
