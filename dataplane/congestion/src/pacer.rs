//! When a packet may leave: a leaky bucket, so that a key frame does not meet the
//! bottleneck's queue as one burst.

use plenum_abi::Nanos;

/// Media leave at so many times the target, for pictures are not all of one size. (At
/// 2.5 the key frame of a larger size overran the queue of a line of 1 Mbit/s now and
/// then, 300 ms, and 5 % of ten seconds' packets were lost.)
const FACTOR: f64 = 1.5;
/// What may leave at once after a pause, nanoseconds at the pacing rate, beside one packet.
const BURST_NS: u64 = 5_000_000;
/// What waits shall not wait longer, seconds: the rate rises rather.
const WAIT_S: f64 = 1.0;
/// No slower than this, bit/s: a packet of 1,500 bytes each 0.12 s.
const MIN_BPS: f64 = 100_000.0;

/// See the [module](self).
#[derive(Debug)]
pub struct Pacer {
    target_bps: f64,
    /// Bits a second at which packets leave now.
    rate_bps: f64,
    next: Nanos,
}

impl Pacer {
    /// Paces for a target, bit/s.
    #[must_use]
    pub fn new(now: Nanos, target_bps: u32) -> Self {
        let mut pacer = Self {
            target_bps: 0.0,
            rate_bps: MIN_BPS,
            next: now,
        };
        pacer.set_rate(target_bps);
        pacer
    }

    /// The target changed, bit/s. Media leave at 1.5 times of it.
    pub fn set_rate(&mut self, target_bps: u32) {
        self.target_bps = f64::from(target_bps);
        self.rate_bps = (FACTOR * self.target_bps).max(MIN_BPS);
    }

    /// How many bytes wait. Where they would wait longer than a second, packets leave
    /// so much faster, until this is told again or the target changes.
    pub fn queued(&mut self, bytes: u32) {
        let in_time = f64::from(bytes) * 8.0 / WAIT_S;
        self.rate_bps = (FACTOR * self.target_bps).max(in_time).max(MIN_BPS);
    }

    /// Whether a packet of so many bytes on the wire may leave now; if so, it counts as
    /// sent.
    pub fn may_send(&mut self, now: Nanos, bytes: u32) -> bool {
        if now < self.next {
            return false;
        }
        let from = self.next.0.max(now.0.saturating_sub(BURST_NS));
        let takes = f64::from(bytes) * 8e9 / self.rate_bps;
        self.next = Nanos(from.saturating_add(takes as u64));
        true
    }

    /// From when on the next packet may leave; an instant that has passed for "now".
    #[must_use]
    pub fn next_at(&self) -> Nanos {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that leave within so many milliseconds, asked each 100 us for 1,200 bytes.
    fn leave(pacer: &mut Pacer, from_ms: u64, millis: u64) -> u64 {
        (0..millis * 10)
            .filter(|at| pacer.may_send(Nanos((from_ms * 10 + at) * 100_000), 1_200))
            .count() as u64
            * 1_200
    }

    #[test]
    fn packets_leave_at_one_and_a_half_times_the_target() {
        let mut pacer = Pacer::new(Nanos::ZERO, 1_000_000);
        let bytes = leave(&mut pacer, 0, 1_000);
        assert!((187_500..190_000).contains(&bytes), "{bytes}");
        // After a pause, 5 ms' worth at once, and one packet at least.
        let now = Nanos::from_millis(5_000);
        let burst = (0..10).take_while(|_| pacer.may_send(now, 1_200)).count();
        assert_eq!(burst, 1);
        assert!(pacer.next_at() > now);
        assert!(!pacer.may_send(now, 1));
        assert!(pacer.may_send(pacer.next_at(), 1));
    }

    #[test]
    fn what_waits_leaves_within_a_second() {
        let mut pacer = Pacer::new(Nanos::ZERO, 100_000);
        pacer.queued(120_000);
        let bytes = leave(&mut pacer, 1_000, 1_000);
        assert!((118_000..125_000).contains(&bytes), "{bytes}");
        pacer.queued(0);
        let bytes = leave(&mut pacer, 3_000, 1_000);
        assert!((18_000..22_000).contains(&bytes), "{bytes}");
    }

    #[test]
    fn no_number_stops_the_clock() {
        let mut pacer = Pacer::new(Nanos(u64::MAX), 0);
        pacer.queued(u32::MAX);
        assert!(pacer.may_send(Nanos(u64::MAX), u32::MAX));
        assert_eq!(pacer.next_at(), Nanos(u64::MAX));
    }
}
