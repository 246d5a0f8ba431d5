//! How often each source may ask.
//!
//! A source is an IPv4 address or an IPv6 /64, which is what one customer has. The
//! table is bounded: when it is full, the source that was heard of longest ago is
//! forgotten, so it cannot be used to fill the memory.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Sources that are remembered.
const SOURCES_MAX: usize = 1_024;

/// So many a second, so many at once after a pause.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// In the long run.
    pub per_second: f64,
    /// After a pause.
    pub burst: f64,
}

/// A bucket of tokens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Bucket {
    pub(crate) const fn full(rate: Rate, now: Instant) -> Self {
        Self {
            tokens: rate.burst,
            at: now,
        }
    }

    fn fill(&mut self, rate: Rate, now: Instant) {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + since * rate.per_second).min(rate.burst);
        self.at = now;
    }

    /// Takes a token, if there is one.
    pub(crate) fn take(&mut self, rate: Rate, now: Instant) -> bool {
        self.fill(rate, now);
        let has = self.tokens >= 1.0;
        if has {
            self.tokens -= 1.0;
        }
        has
    }
}

/// A bucket for each source.
#[derive(Debug)]
pub(crate) struct Sources {
    rate: Rate,
    table: Mutex<HashMap<IpAddr, Bucket>>,
}

impl Sources {
    pub(crate) fn new(rate: Rate) -> Self {
        Self {
            rate,
            table: Mutex::default(),
        }
    }

    /// One more from there; how long it has to wait where that is too many.
    pub(crate) fn take(&self, source: IpAddr, now: Instant) -> Result<(), Duration> {
        self.with(source, now, |bucket, rate| match bucket.take(rate, now) {
            true => Ok(()),
            false => Err(Duration::from_secs_f64(
                (1.0 - bucket.tokens) / rate.per_second,
            )),
        })
    }

    /// Whether one more would be too many, and for how long.
    pub(crate) fn is_spent(&self, source: IpAddr, now: Instant) -> Result<(), Duration> {
        self.with(source, now, |bucket, rate| {
            bucket.fill(rate, now);
            match bucket.tokens >= 1.0 {
                true => Ok(()),
                false => Err(Duration::from_secs_f64(
                    (1.0 - bucket.tokens) / rate.per_second,
                )),
            }
        })
    }

    fn with<T>(
        &self,
        source: IpAddr,
        now: Instant,
        look: impl FnOnce(&mut Bucket, Rate) -> T,
    ) -> T {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let key = key(source);
        if table.len() >= SOURCES_MAX && !table.contains_key(&key) {
            let oldest = table.iter().min_by_key(|(_, bucket)| bucket.at);
            if let Some(oldest) = oldest.map(|(source, _)| *source) {
                table.remove(&oldest);
            }
        }
        let bucket = table
            .entry(key)
            .or_insert_with(|| Bucket::full(self.rate, now));
        look(bucket, self.rate)
    }
}

/// What counts as one source.
fn key(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6) >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        per_second: 2.0,
        burst: 3.0,
    };

    fn source(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    #[test]
    fn a_burst_passes_and_then_so_many_a_second() {
        let sources = Sources::new(RATE);
        let now = Instant::now();
        let passed = |now| {
            (0..10)
                .filter(|_| sources.take(source(1), now).is_ok())
                .count()
        };
        assert_eq!(passed(now), 3);
        let wait = sources.take(source(1), now).unwrap_err();
        assert_eq!(wait, Duration::from_millis(500));
        assert_eq!(sources.is_spent(source(1), now), Err(wait));
        assert_eq!(passed(now + Duration::from_secs(1)), 2);
        assert_eq!(passed(now + Duration::from_secs(60)), 3);
        assert!(
            sources.is_spent(source(2), now).is_ok(),
            "others are not to blame"
        );
    }

    #[test]
    fn the_table_is_bounded_and_an_ipv6_customer_is_one_source() {
        let sources = Sources::new(RATE);
        let start = Instant::now();
        for number in 0..5_000 {
            let now = start + Duration::from_micros(u64::from(number));
            let _ = sources.take(source(number), now);
        }
        let table = sources.table.lock().unwrap();
        assert_eq!(table.len(), SOURCES_MAX);
        assert!(table.contains_key(&source(4_999)));
        let parse = |text: &str| key(text.parse().unwrap());
        assert_eq!(parse("2001:db8::1"), parse("2001:db8::ffff:2:3"));
        assert_eq!(parse("::ffff:192.0.2.1"), parse("192.0.2.1"));
    }
}
