//! Whether delay grows: a line through the accumulated differences of the last groups,
//! and a threshold that adapts to what this path's jitter does to its slope
//! (draft-ietf-rmcat-gcc-02 section 5.4 for the threshold).

/// Groups that the line goes through.
const WINDOW: usize = 20;
/// Weight of the past in the smoothed accumulated delay.
const SMOOTHING: f64 = 0.9;
/// Slope, in milliseconds a millisecond, to the threshold's unit: by groups and gain.
const GAIN: f64 = 4.0;
const GROUPS_MAX: f64 = 60.0;
const THRESHOLD_START: f64 = 12.5;
const THRESHOLD_MIN: f64 = 6.0;
const THRESHOLD_MAX: f64 = 600.0;
/// A slope so much above the threshold is a leap of the route and teaches nothing.
const LEAP: f64 = 15.0;
/// How fast the threshold follows, a millisecond: up slowly, down faster.
const FOLLOW_UP: f64 = 0.0087;
const FOLLOW_DOWN: f64 = 0.039;
/// The slope must be above the threshold for so long, milliseconds.
const OVER_MS: f64 = 10.0;

/// What the slope says of the path.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Usage {
    #[default]
    Normal,
    /// A queue grows.
    Over,
    /// A queue stands high and grows no more: it is full.
    Full,
    /// A queue empties.
    Under,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Trend {
    /// Arrival of a group and smoothed delay, milliseconds.
    points: [(f64, f64); WINDOW],
    /// Groups so far, no further than counted.
    groups: usize,
    at_ms: f64,
    accumulated_ms: f64,
    smoothed_ms: f64,
    slope: f64,
    threshold: f64,
    over_ms: f64,
    usage: Usage,
}

impl Trend {
    pub(crate) const fn new() -> Self {
        Self {
            points: [(0.0, 0.0); WINDOW],
            groups: 0,
            at_ms: 0.0,
            accumulated_ms: 0.0,
            smoothed_ms: 0.0,
            slope: 0.0,
            threshold: THRESHOLD_START,
            over_ms: 0.0,
            usage: Usage::Normal,
        }
    }

    /// Begins anew, with the threshold that the path taught.
    pub(crate) fn restart(&mut self) {
        *self = Self {
            threshold: self.threshold,
            ..Self::new()
        };
    }

    pub(crate) fn usage(&self) -> Usage {
        self.usage
    }

    /// A further group: how much later than the one before it was sent and came.
    pub(crate) fn update(&mut self, sent_ms: f64, came_ms: f64) {
        self.at_ms += came_ms;
        self.accumulated_ms += came_ms - sent_ms;
        self.smoothed_ms = SMOOTHING * self.smoothed_ms + (1.0 - SMOOTHING) * self.accumulated_ms;
        self.points[self.groups % WINDOW] = (self.at_ms, self.smoothed_ms);
        self.groups += 1;
        if self.groups < WINDOW {
            return;
        }
        let slope = slope(&self.points).unwrap_or(self.slope);
        let scaled = slope * (self.groups as f64).min(GROUPS_MAX) * GAIN;
        self.judge(scaled, slope, sent_ms);
        self.follow(scaled.abs(), came_ms.clamp(0.0, 100.0));
        self.slope = slope;
    }

    fn judge(&mut self, scaled: f64, slope: f64, sent_ms: f64) {
        if scaled <= self.threshold {
            self.over_ms = 0.0;
            self.usage = if scaled < -self.threshold {
                Usage::Under
            } else {
                Usage::Normal
            };
            return;
        }
        let twice = self.over_ms > 0.0;
        self.over_ms += sent_ms.max(0.1);
        if twice && self.over_ms > OVER_MS && slope >= self.slope {
            self.usage = Usage::Over;
        }
    }

    fn follow(&mut self, scaled: f64, passed_ms: f64) {
        if scaled > self.threshold + LEAP {
            return;
        }
        let speed = if scaled < self.threshold {
            FOLLOW_DOWN
        } else {
            FOLLOW_UP
        };
        self.threshold += speed * (scaled - self.threshold) * passed_ms;
        self.threshold = self.threshold.clamp(THRESHOLD_MIN, THRESHOLD_MAX);
    }
}

/// Least-squares slope; `None` when all came at once.
fn slope(points: &[(f64, f64); WINDOW]) -> Option<f64> {
    let count = WINDOW as f64;
    let mean_x = points.iter().map(|point| point.0).sum::<f64>() / count;
    let mean_y = points.iter().map(|point| point.1).sum::<f64>() / count;
    let (mut over, mut under) = (0.0, 0.0);
    for (x, y) in points {
        over += (x - mean_x) * (y - mean_y);
        under += (x - mean_x) * (x - mean_x);
    }
    (under > 0.0).then(|| over / under)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_grows_empties_or_stands() {
        let mut trend = Trend::new();
        for _ in 0..100 {
            trend.update(10.0, 10.0);
            assert_eq!(trend.usage(), Usage::Normal);
        }
        let grows = (0..40).position(|_| {
            trend.update(10.0, 12.0);
            trend.usage() == Usage::Over
        });
        assert!(grows.is_some_and(|groups| groups < 25), "{grows:?}");
        let empties = (0..60).position(|_| {
            trend.update(10.0, 8.5);
            trend.usage() == Usage::Under
        });
        assert!(empties.is_some(), "{empties:?}");
        for _ in 0..200 {
            trend.update(10.0, 10.0);
        }
        assert_eq!(trend.usage(), Usage::Normal);
    }
}
