//! What arrivals say of queues: packets in groups by when they were sent, the trend of
//! their delay, and the delay that even the quickest packets have.

use crate::floor::Floor;
use crate::trend::{Trend, Usage};

/// Packets sent within so long are one group, microseconds: a burst queues behind itself.
const GROUP_US: i64 = 5_000;
/// The quickest packet of so long is the empty path, microseconds.
const PATH_US: i64 = 15_000_000;
/// The quickest packet of so long is the standing queue, microseconds.
const STANDING_US: i64 = 100_000;
/// A standing queue below this, milliseconds, or below so many times the jitter is jitter,
/// whatever the trend says.
const QUEUE_MS: f64 = 8.0;
const JITTERS: f64 = 1.2;
/// A standing queue above this is full, milliseconds.
const FULL_MS: f64 = 120.0;
/// Weight of a packet in the jitter (RFC 3550 section 6.4.1 has the same).
const JITTER_WEIGHT: f64 = 1.0 / 16.0;

#[derive(Clone, Copy, Debug)]
struct Group {
    first_sent_us: i64,
    last_sent_us: i64,
    last_came_us: i64,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Delay {
    group: Option<Group>,
    before: Option<Group>,
    trend: Trend,
    path: Floor,
    standing: Floor,
    /// Mean difference of the delays of two packets in a row, milliseconds.
    jitter_ms: f64,
    last_delay_us: Option<i64>,
}

impl Delay {
    pub(crate) const fn new() -> Self {
        Self {
            group: None,
            before: None,
            trend: Trend::new(),
            path: Floor::new(PATH_US),
            standing: Floor::new(STANDING_US),
            jitter_ms: 0.0,
            last_delay_us: None,
        }
    }

    /// After a pause: what was before says nothing of what comes, but the empty path.
    pub(crate) fn restart(&mut self) {
        (self.group, self.before) = (None, None);
        self.trend.restart();
        self.standing = Floor::new(STANDING_US);
    }

    /// A packet that came. The two clocks may be apart by any constant.
    pub(crate) fn packet(&mut self, sent_us: i64, came_us: i64) {
        let delay_us = came_us.saturating_sub(sent_us);
        self.path.note(sent_us, delay_us);
        self.standing.note(sent_us, delay_us);
        if let Some(last) = self.last_delay_us.replace(delay_us) {
            let step_ms = delay_us.saturating_sub(last) as f64 / 1_000.0;
            self.jitter_ms += JITTER_WEIGHT * (step_ms.abs() - self.jitter_ms);
        }
        let Some(group) = &mut self.group else {
            self.begin(sent_us, came_us);
            return;
        };
        if sent_us < group.first_sent_us {
            // Of a group that is closed.
            return;
        }
        if sent_us - group.first_sent_us <= GROUP_US {
            group.last_sent_us = group.last_sent_us.max(sent_us);
            group.last_came_us = group.last_came_us.max(came_us);
            return;
        }
        let closed = *group;
        if let Some(before) = self.before {
            let milli = |us: i64| us as f64 / 1_000.0;
            let sent_ms = milli(closed.last_sent_us.saturating_sub(before.last_sent_us));
            let came_ms = milli(closed.last_came_us.saturating_sub(before.last_came_us));
            self.trend.update(sent_ms, came_ms);
        }
        self.before = Some(closed);
        self.begin(sent_us, came_us);
    }

    fn begin(&mut self, sent_us: i64, came_us: i64) {
        self.group = Some(Group {
            first_sent_us: sent_us,
            last_sent_us: sent_us,
            last_came_us: came_us,
        });
    }

    /// The queue that even the quickest packets wait in, milliseconds.
    pub(crate) fn standing_ms(&self) -> f64 {
        match (self.standing.get(), self.path.get()) {
            (Some(standing), Some(path)) => standing.saturating_sub(path).max(0) as f64 / 1_000.0,
            _ => 0.0,
        }
    }

    /// What queues do. Over-use without a standing queue is jitter.
    pub(crate) fn usage(&self) -> Usage {
        let jitter_ms = QUEUE_MS.max(JITTERS * self.jitter_ms);
        match self.trend.usage() {
            Usage::Over if self.standing_ms() < jitter_ms => Usage::Normal,
            Usage::Normal if self.standing_ms() > FULL_MS => Usage::Full,
            usage => usage,
        }
    }
}
