//! When to ask a sender for a key frame.

use core::time::Duration;

use plenum_abi::Nanos;

/// Least time between two requests: an encoder needs one to answer, and a key
/// frame costs the sender ten ordinary ones.
const INTERVAL_MIN: Duration = Duration::from_millis(300);

/// Requests to one sender. Each starts the wait for the next, which grows while
/// no key frame comes: 1, 2, 4 and then 8 times the least.
#[derive(Clone, Debug, Default)]
pub struct KeyFrameRequests {
    needed: bool,
    asked: Option<Nanos>,
    unanswered: u8,
    round_trip: Duration,
}

impl KeyFrameRequests {
    /// Nothing shown can be trusted until a key frame comes.
    pub const fn need(&mut self) {
        self.needed = true;
    }

    /// A whole key frame has come.
    pub const fn received(&mut self) {
        self.needed = false;
        self.unanswered = 0;
    }

    /// Whether one is waited for.
    #[must_use]
    pub const fn is_needed(&self) -> bool {
        self.needed
    }

    /// An answer takes at least this long.
    pub const fn set_round_trip(&mut self, round_trip: Duration) {
        self.round_trip = round_trip;
    }

    /// When to call [`Self::poll`] again.
    #[must_use]
    pub fn deadline(&self) -> Option<Nanos> {
        self.needed
            .then(|| self.asked.map_or(Nanos::ZERO, |asked| asked + self.wait()))
    }

    /// Whether to ask now. Counts as asked if so.
    pub fn poll(&mut self, now: Nanos) -> bool {
        if self.deadline().is_none_or(|deadline| deadline > now) {
            return false;
        }
        self.asked = Some(now);
        self.unanswered = (self.unanswered + 1).min(4);
        true
    }

    fn wait(&self) -> Duration {
        let factor = 1 << self.unanswered.saturating_sub(1);
        INTERVAL_MIN.max(self.round_trip * 3 / 2) * factor
    }
}
