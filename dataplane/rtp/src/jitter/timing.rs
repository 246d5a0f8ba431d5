//! How long a packet must wait before it is played.
//!
//! Everything is measured against the fastest packet of the last seconds: the
//! *base* is the smallest `arrival - timestamp`, a packet's *relative delay* is
//! how much more it took, and the target is the relative delay that all but the
//! slowest [`TAIL`] stay under. Old observations fade by a weight that
//! grows with each new one, so a handful of slow packets raises the target at
//! once (each weighs 1/[`MEMORY`]) while it takes many seconds of quick ones to
//! lower it: fast up and slow down without a rule for either.
//!
//! The base follows clock drift because it forgets: 200 ppm move it by 1 ms
//! in the 5 s that it remembers.

use core::time::Duration;

use plenum_abi::Nanos;

/// Width of a bucket of the histogram.
const BUCKET_NS: i64 = 5_000_000;
/// Relative delays from 0 to 320 ms; what is slower counts in the last bucket.
const BUCKETS: usize = 64;
/// Share of packets that may be slower than the target.
const TAIL: f32 = 1.0 / 100.0;
/// Packets after which an observation's weight has fallen to 1/e: 10 s at 20 ms.
const MEMORY: f32 = 500.0;
/// Until so many packets were seen, the initial target is a floor.
const WARM_UP: u32 = 50;
/// The base is the minimum of this and the previous window.
const WINDOW: Duration = Duration::from_millis(2_500);
/// After such a silence drift has made the base meaningless.
const STALE: Duration = Duration::from_secs(5);

/// Observes arrivals and knows when a timestamp is due.
#[derive(Debug)]
pub(super) struct Timing {
    clock_hz: i64,
    target_min: i64,
    target_max: i64,
    initial: i64,
    /// Minima of `arrival - timestamp`, nanoseconds: this window's, the one's before.
    minima: [i64; 2],
    window_end: Nanos,
    last_arrival: Option<Nanos>,
    observed: u32,
    weights: [f32; BUCKETS],
    weight_total: f32,
    weight_next: f32,
    /// The fewest buckets, counted from below, that hold all but the tail, and the
    /// weight above them: moved along, for a scan would cost more than all the rest.
    edge: usize,
    above: f32,
    target: i64,
}

impl Timing {
    pub(super) fn new(clock_hz: u32, min: Duration, initial: Duration, max: Duration) -> Self {
        let target_min = nanos(min);
        let target_max = nanos(max).max(target_min);
        let initial = nanos(initial).clamp(target_min, target_max);
        Self {
            clock_hz: i64::from(clock_hz.max(1)),
            target_min,
            target_max,
            initial,
            minima: [i64::MAX; 2],
            window_end: Nanos::ZERO,
            last_arrival: None,
            observed: 0,
            weights: [0.0; BUCKETS],
            weight_total: 0.0,
            weight_next: 1.0,
            edge: 1,
            above: 0.0,
            target: initial,
        }
    }

    /// Call [`Timing::forget_base`] with it: timestamps now mean something else.
    pub(super) fn set_clock(&mut self, clock_hz: u32) {
        self.clock_hz = i64::from(clock_hz.max(1));
    }

    /// Forgets the relation between the clocks, keeps what the path's spread was.
    pub(super) fn forget_base(&mut self) {
        self.minima = [i64::MAX; 2];
        self.last_arrival = None;
    }

    /// Takes the arrival of a packet whose sound begins at `timestamp`.
    pub(super) fn observe(&mut self, now: Nanos, timestamp: i64) {
        let offset = signed(now) - self.span(timestamp);
        match self.last_arrival {
            Some(last) if now.since(last) <= STALE => self.advance_window(now, offset),
            _ => {
                self.minima = [offset, i64::MAX];
                self.window_end = now + WINDOW;
            }
        }
        self.last_arrival = Some(now);
        let relative = offset - self.base();
        if relative > self.target_max {
            // An outage: waiting for its packets is not allowed, so they must not
            // raise the target for those that can be waited for.
            return;
        }
        let bucket = (relative / BUCKET_NS).clamp(0, BUCKETS as i64 - 1);
        let bucket = bucket as usize;
        self.weights[bucket] += self.weight_next;
        if bucket >= self.edge {
            self.above += self.weight_next;
        }
        self.weight_total += self.weight_next;
        self.weight_next *= 1.0 + 1.0 / MEMORY;
        if self.weight_next > 1e12 {
            self.rescale();
        }
        self.observed = self.observed.saturating_add(1);
        self.update_target();
    }

    fn advance_window(&mut self, now: Nanos, offset: i64) {
        if now < self.window_end {
            self.minima[0] = self.minima[0].min(offset);
            return;
        }
        let before = self.base();
        self.minima = [offset, self.minima[0]];
        self.window_end = now + WINDOW;
        // The path became slower for good: what was seen of it so far was measured
        // from a base that no longer counts, and must not be waited for twice.
        let rise = (self.base() - before) / BUCKET_NS;
        if rise > 0 {
            self.shift_down(usize::try_from(rise).unwrap_or(BUCKETS));
        }
    }

    fn shift_down(&mut self, by: usize) {
        let by = by.min(BUCKETS - 1);
        let merged = self.weights[..=by].iter().sum();
        self.weights.copy_within(by.., 0);
        self.weights[0] = merged;
        self.weights[BUCKETS - by..].fill(0.0);
        self.sum_above();
    }

    fn rescale(&mut self) {
        let factor = 1.0 / self.weight_next;
        for weight in &mut self.weights {
            *weight *= factor;
        }
        self.weight_total = self.weights.iter().sum();
        self.weight_next = 1.0;
        self.sum_above();
    }

    fn sum_above(&mut self) {
        self.above = self.weights[self.edge..].iter().sum();
    }

    fn update_target(&mut self) {
        let allowed = self.weight_total * TAIL;
        while self.above > allowed && self.edge < BUCKETS {
            self.above -= self.weights[self.edge];
            self.edge += 1;
        }
        while self.edge > 1 && self.above + self.weights[self.edge - 1] <= allowed {
            self.edge -= 1;
            self.above += self.weights[self.edge];
        }
        let floor = if self.observed < WARM_UP {
            self.initial
        } else {
            self.target_min
        };
        self.target = (self.edge as i64 * BUCKET_NS).clamp(floor, self.target_max);
    }

    fn base(&self) -> i64 {
        self.minima[0].min(self.minima[1])
    }

    /// Delay of playing `timestamp` at `now` over the fastest packet, nanoseconds.
    pub(super) fn delay(&self, now: Nanos, timestamp: i64) -> i64 {
        if self.last_arrival.is_none() {
            return 0;
        }
        signed(now) - self.span(timestamp) - self.base()
    }

    /// How much later than now `timestamp` should be played; negative when it is overdue.
    pub(super) fn until_due(&self, now: Nanos, timestamp: i64) -> i64 {
        self.target - self.delay(now, timestamp)
    }

    pub(super) fn target(&self) -> i64 {
        self.target
    }

    pub(super) fn target_max(&self) -> i64 {
        self.target_max
    }

    /// Ticks as nanoseconds, exact to one nanosecond.
    pub(super) fn span(&self, ticks: i64) -> i64 {
        let hz = self.clock_hz;
        ticks.div_euclid(hz) * 1_000_000_000 + ticks.rem_euclid(hz) * 1_000_000_000 / hz
    }

    /// Nanoseconds as ticks, rounded down.
    pub(super) fn ticks(&self, nanos: i64) -> i64 {
        let second = 1_000_000_000;
        nanos.div_euclid(second) * self.clock_hz + nanos.rem_euclid(second) * self.clock_hz / second
    }
}

/// The monotonic clock fits 63 bits for 292 years.
fn signed(now: Nanos) -> i64 {
    i64::try_from(now.0).unwrap_or(i64::MAX)
}

fn nanos(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timing() -> Timing {
        let ms = Duration::from_millis;
        Timing::new(8_000, ms(20), ms(40), ms(200))
    }

    /// Packets of 20 ms from `from` on, each `delay(n)` ms under way.
    fn feed(timing: &mut Timing, packets: core::ops::Range<u64>, delay: impl Fn(u64) -> u64) {
        for n in packets {
            timing.observe(
                Nanos::from_millis(1_000 + 20 * n + delay(n)),
                n as i64 * 160,
            );
        }
    }

    #[test]
    fn a_steady_path_comes_down_to_the_least_delay() {
        let mut timing = timing();
        feed(&mut timing, 0..10, |_| 5);
        assert_eq!(timing.target(), 40_000_000, "warming up");
        feed(&mut timing, 10..60, |_| 5);
        assert_eq!(timing.target(), 20_000_000);
    }

    #[test]
    fn spread_raises_the_target_at_once_and_quiet_lowers_it_slowly() {
        let mut timing = timing();
        feed(&mut timing, 0..1_000, |_| 5);
        feed(&mut timing, 1_000..1_100, |n| 5 + 10 * (n % 8));
        assert!(timing.target() >= 50_000_000, "{}", timing.target());
        feed(&mut timing, 1_100..1_600, |_| 5);
        assert!(timing.target() >= 50_000_000, "forgotten within 10 s");
        feed(&mut timing, 1_600..4_600, |_| 5);
        assert_eq!(timing.target(), 20_000_000, "remembered for a minute");
    }

    #[test]
    fn a_path_that_became_slower_for_good_is_not_waited_for_twice() {
        let mut timing = timing();
        feed(&mut timing, 0..500, |_| 5);
        feed(&mut timing, 500..550, |_| 95);
        assert!(timing.target() >= 90_000_000);
        feed(&mut timing, 550..800, |_| 95);
        assert!(timing.target() <= 25_000_000, "{}", timing.target());
        // Due 20 ms after its own arrival, not after that of the old path.
        let n = 800;
        let arrival = Nanos::from_millis(1_000 + 20 * n + 95);
        let due = timing.until_due(arrival, n as i64 * 160);
        assert!((15_000_000..=30_000_000).contains(&due), "{due}");
    }

    #[test]
    fn an_outage_beyond_the_maximum_teaches_nothing() {
        let mut timing = timing();
        feed(&mut timing, 0..500, |_| 5);
        feed(&mut timing, 500..515, |n| 5 + 900 - 20 * (n - 500));
        assert_eq!(timing.target(), 20_000_000);
    }

    #[test]
    fn after_a_long_silence_the_first_packet_is_the_base() {
        let mut timing = timing();
        feed(&mut timing, 0..500, |_| 5);
        // Ten minutes of drift at 200 ppm.
        let n = 500 + 30_000;
        feed(&mut timing, n..n + 1, |_| 125);
        let due = timing.until_due(Nanos::from_millis(1_000 + 20 * n + 125), n as i64 * 160);
        assert_eq!(due, 20_000_000);
    }

    /// The edge by definition, with the whole histogram in view.
    fn edge_by_scan(timing: &Timing, tail: f32) -> usize {
        let total: f64 = timing.weights.iter().copied().map(f64::from).sum();
        let allowed = total * f64::from(tail);
        let above =
            |edge: usize| -> f64 { timing.weights[edge..].iter().copied().map(f64::from).sum() };
        (1..=BUCKETS).find(|&edge| above(edge) <= allowed).unwrap()
    }

    #[test]
    fn the_edge_that_is_moved_along_is_that_of_a_scan() {
        let mut random = crate::test_random::Random(5);
        let mut timing = timing();
        let mut spread = 1;
        for n in 0..60_000 {
            if random.chance(1_000) {
                spread = 1 + random.below(250);
            }
            let delay = random.below(spread);
            feed(&mut timing, n..n + 1, |_| delay);
            // Rounding may decide a tie, nothing more.
            let least = edge_by_scan(&timing, TAIL * 1.001);
            let most = edge_by_scan(&timing, TAIL * 0.999);
            assert!(
                (least..=most).contains(&timing.edge),
                "{n}: {}",
                timing.edge
            );
        }
    }

    #[test]
    fn weights_stay_finite_for_days() {
        let mut timing = timing();
        feed(&mut timing, 0..200_000, |n| n * 7 % 31);
        assert!(timing.weight_total.is_finite() && timing.weight_total > 0.0);
        assert!((30_000_000..=40_000_000).contains(&timing.target()));
    }

    #[test]
    fn ticks_and_nanoseconds_convert_both_ways() {
        for clock_hz in [8_000, 16_000, 48_000, 44_100, 90_000] {
            let ms = Duration::from_millis;
            let timing = Timing::new(clock_hz, ms(20), ms(40), ms(200));
            for ticks in [-7_i64, 0, 1, 159, 160, 1 << 33, -(1 << 33)] {
                let back = timing.ticks(timing.span(ticks));
                assert!((ticks - 1..=ticks).contains(&back), "{clock_hz} {ticks}");
            }
        }
    }
}
