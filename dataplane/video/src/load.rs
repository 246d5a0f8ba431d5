//! Whether a thread keeps up, and what its stages leave out while it does not.
//!
//! A thread that is late leaves out pictures evenly, which everybody sees. Before it
//! comes to that, what few would miss goes: twice the pictures, then large ones
//! ([`Thrift`]). Down fast, up slowly, since each step is a key frame for somebody.
//!
//! ```text
//! busy >= 90 % of a window   one step more
//! busy <  40 % for 10 s      one step less: nothing more than doubles by one
//! ```

use std::time::Duration;

use plenum_abi::Nanos;
use plenum_compositor::Thrift;

/// Over which it is judged.
const WINDOW: Duration = Duration::from_secs(2);
/// The thread hardly keeps up, percent of its time.
const BUSY_PERCENT: u128 = 90;
/// There is room for twice the work, percent of its time.
const CALM_PERCENT: u128 = 40;
/// So long there must have been.
const CALM_FOR: Duration = Duration::from_secs(10);

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Load {
    window_began: Nanos,
    /// Time spent at work in this window. Not CPU time: a thread that does not get its
    /// core is late all the same.
    busy: Duration,
    calm_since: Nanos,
    thrift: Thrift,
}

impl Load {
    pub(crate) fn new(now: Nanos) -> Self {
        Self {
            window_began: now,
            busy: Duration::ZERO,
            calm_since: now,
            thrift: Thrift::default(),
        }
    }

    /// Notes work that ended now.
    pub(crate) fn worked(&mut self, began: Nanos, now: Nanos) {
        self.busy += now.since(began);
    }

    /// What is to be left out from now on.
    pub(crate) fn thrift(&mut self, now: Nanos) -> Thrift {
        let span = now.since(self.window_began);
        if span < WINDOW {
            return self.thrift;
        }
        let percent = self.busy.as_nanos() * 100 / span.as_nanos();
        (self.window_began, self.busy) = (now, Duration::ZERO);
        if percent >= CALM_PERCENT {
            self.calm_since = now;
        }
        if percent >= BUSY_PERCENT {
            self.thrift = self.thrift.more();
        } else if now.since(self.calm_since) >= CALM_FOR {
            self.calm_since = now;
            self.thrift = self.thrift.less();
        }
        self.thrift
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The thrift after each of so many seconds of a load.
    fn seconds(load: &mut Load, now: &mut Nanos, count: usize, percent: u64) -> Vec<Thrift> {
        let second = |_| {
            let began = *now;
            load.worked(began, began + Duration::from_millis(percent * 10));
            *now = began + Duration::from_secs(1);
            load.thrift(*now)
        };
        (0..count).map(second).collect()
    }

    #[test]
    fn a_thread_that_does_not_keep_up_leaves_out_motion_first_and_then_size() {
        let mut now = Nanos::from_millis(7_000);
        let mut load = Load::new(now);
        let seen = seconds(&mut load, &mut now, 8, 95);
        let expected = [Thrift::Nothing, Thrift::Motion, Thrift::Motion];
        assert_eq!(seen[..3], expected);
        assert_eq!(seen[3..], [Thrift::Size; 5]);
    }

    #[test]
    fn a_busy_thread_that_keeps_up_leaves_nothing_out() {
        let mut now = Nanos::ZERO;
        let mut load = Load::new(now);
        let seen = seconds(&mut load, &mut now, 60, 85);
        assert_eq!(seen, [Thrift::Nothing; 60]);
    }

    #[test]
    fn what_was_left_out_comes_back_once_there_is_room_for_twice_the_work() {
        let mut now = Nanos::ZERO;
        let mut load = Load::new(now);
        seconds(&mut load, &mut now, 6, 95);
        let half = seconds(&mut load, &mut now, 60, 50);
        assert_eq!(half, [Thrift::Size; 60], "half is too much to double");
        let calm = seconds(&mut load, &mut now, 24, 35);
        let at = |thrift| calm.iter().position(|seen| *seen == thrift);
        assert_eq!(at(Thrift::Motion), Some(9));
        assert_eq!(at(Thrift::Nothing), Some(19));
    }

    #[test]
    fn a_rest_between_two_bursts_is_no_calm() {
        let mut now = Nanos::ZERO;
        let mut load = Load::new(now);
        seconds(&mut load, &mut now, 4, 95);
        for _ in 0..6 {
            seconds(&mut load, &mut now, 8, 10);
            let seen = seconds(&mut load, &mut now, 2, 60);
            assert_eq!(seen, [Thrift::Size; 2]);
        }
    }
}
