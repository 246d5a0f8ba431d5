//! The rate at which what we send comes.

/// Buckets of the window.
const BUCKETS: usize = 10;
/// Length of one, microseconds.
const BUCKET_US: i64 = 50_000;
/// Whole buckets that are needed for a first rate.
const BUCKETS_MIN: i64 = 4;

/// Bytes by arrival, half a second of them.
#[derive(Debug)]
pub(crate) struct Acknowledged {
    bytes: [u32; BUCKETS],
    /// The bucket in hand; `None` before the first packet.
    newest: Option<i64>,
    first: i64,
}

impl Acknowledged {
    pub(crate) const fn new() -> Self {
        Self {
            bytes: [0; BUCKETS],
            newest: None,
            first: 0,
        }
    }

    pub(crate) fn note(&mut self, came_us: i64, bytes: u16) {
        let bucket = came_us.div_euclid(BUCKET_US);
        let newest = *self.newest.get_or_insert_with(|| {
            self.first = bucket;
            bucket
        });
        if bucket <= newest - BUCKETS as i64 {
            return;
        }
        // At most a whole window is emptied, however far the leap.
        for passed in (newest + 1..=bucket).rev().take(BUCKETS) {
            self.bytes[Self::place(passed)] = 0;
        }
        self.newest = Some(newest.max(bucket));
        let place = &mut self.bytes[Self::place(bucket)];
        *place = place.saturating_add(u32::from(bytes));
    }

    fn place(bucket: i64) -> usize {
        bucket.rem_euclid(BUCKETS as i64) as usize
    }

    /// Bits a second over the whole buckets, if there are enough; over the last few if
    /// that is more, for a key frame is followed by small pictures.
    pub(crate) fn rate_bps(&self) -> Option<f64> {
        let newest = self.newest?;
        let whole = (newest - self.first).min(BUCKETS as i64 - 1);
        (whole >= BUCKETS_MIN).then(|| {
            let last = self.over(newest, BUCKETS_MIN);
            self.over(newest, whole).max(last)
        })
    }

    fn over(&self, newest: i64, whole: i64) -> f64 {
        let bytes: u64 = (newest - whole..newest)
            .map(|bucket| u64::from(self.bytes[Self::place(bucket)]))
            .sum();
        bytes as f64 * 8e6 / (whole * BUCKET_US) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_of_half_a_second() {
        let mut rate = Acknowledged::new();
        for packet in 0..100 {
            rate.note(packet * 10_000, 1_250);
            if packet < 20 {
                assert_eq!(rate.rate_bps(), None);
            }
        }
        assert_eq!(rate.rate_bps(), Some(1e6));
        // A leap empties it, and what is too late does not count.
        rate.note(i64::MAX / 2, 1_250);
        rate.note(0, 1_250);
        assert_eq!(rate.rate_bps(), Some(0.0));
    }
}
