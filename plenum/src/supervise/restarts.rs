//! When a process that died is started again: pure, time is an argument.
//!
//! The first restart is at once, for people are talking. Only one that dies
//! again within a second is held back, longer each time; one that keeps dying
//! is given up, because a server that restarts for ever hides its fault.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A life shorter than this is held against the process.
const SHORT_LIFE: Duration = Duration::from_secs(1);
/// First pause; it doubles with every short life after it.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// So many deaths ...
const DEATHS_MAX: usize = 10;
/// ... within this long are too many.
const DEATHS_WITHIN: Duration = Duration::from_secs(60);

/// What to do about a death.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// Start it again after this long.
    RestartAfter(Duration),
    /// It died too often.
    GiveUp,
}

/// The deaths of one process.
#[derive(Debug, Default)]
pub(crate) struct Restarts {
    deaths: VecDeque<Instant>,
    short_lives: u32,
}

impl Restarts {
    /// Notes that a process that was started at `born` is dead.
    pub(crate) fn died(&mut self, born: Instant, now: Instant) -> Verdict {
        while let Some(oldest) = self.deaths.front() {
            if now.duration_since(*oldest) <= DEATHS_WITHIN {
                break;
            }
            self.deaths.pop_front();
        }
        self.deaths.push_back(now);
        if self.deaths.len() >= DEATHS_MAX {
            return Verdict::GiveUp;
        }
        if now.duration_since(born) >= SHORT_LIFE {
            self.short_lives = 0;
            return Verdict::RestartAfter(Duration::ZERO);
        }
        let pause = FIRST_PAUSE * 2_u32.pow(self.short_lives.min(16));
        self.short_lives += 1;
        Verdict::RestartAfter(match self.short_lives {
            1 => Duration::ZERO,
            _ => pause.min(LONGEST_PAUSE),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn restart_after_ms(millis: u64) -> Verdict {
        Verdict::RestartAfter(Duration::from_millis(millis))
    }

    #[test]
    fn the_first_restart_is_at_once_and_short_lives_wait_longer_each_time() {
        let mut restarts = Restarts::default();
        let start = Instant::now();
        let verdicts: Vec<Verdict> = (0..6).map(|_| restarts.died(start, start)).collect();
        let expected = [0, 200, 400, 800, 1_600, 3_200].map(restart_after_ms);
        assert_eq!(verdicts, expected);
    }

    #[test]
    fn a_long_life_is_forgiven() {
        let mut restarts = Restarts::default();
        let start = Instant::now();
        restarts.died(start, start);
        restarts.died(start, start);
        let later = start + Duration::from_secs(2);
        assert_eq!(restarts.died(start, later), restart_after_ms(0));
        assert_eq!(restarts.died(later, later), restart_after_ms(0));
    }

    #[test]
    fn ten_deaths_in_a_minute_are_too_many() {
        let mut restarts = Restarts::default();
        let mut now = Instant::now();
        for _ in 0..9 {
            now += Duration::from_secs(6);
            assert_eq!(restarts.died(now - SHORT_LIFE, now), restart_after_ms(0));
        }
        let tenth = now + Duration::from_secs(6);
        assert_eq!(restarts.died(now, tenth), Verdict::GiveUp);
    }

    #[test]
    fn ten_deaths_in_more_than_a_minute_are_not() {
        let mut restarts = Restarts::default();
        let mut now = Instant::now();
        for _ in 0..100 {
            now += Duration::from_secs(7);
            assert_eq!(restarts.died(now - SHORT_LIFE, now), restart_after_ms(0));
        }
        assert!(restarts.deaths.len() < DEATHS_MAX);
    }
}
