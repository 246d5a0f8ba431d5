//! Who may ask, and how often.
//!
//! Wrong credentials slow their source down: the first ten are free, then it is
//! not listened to for 1 s, 2 s, 4 s and so on up to a minute after each. A
//! source is an IPv4 address or an IPv6 /64, which is what one customer has.
//! The table is bounded; when it is full the source that failed longest ago is
//! forgotten, so it cannot be used to fill the memory.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Failures without consequence.
const FREE_FAILURES: u32 = 10;
/// Longest time for which a source is not listened to.
const LONGEST_BLOCK: Duration = Duration::from_secs(60);
/// After so long without a failure a source starts anew.
const FORGIVEN_AFTER: Duration = Duration::from_secs(15 * 60);
/// Sources that are remembered.
pub(crate) const MAX_SOURCES: usize = 1_024;

/// Some clients leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// User and password of an `Authorization` header (RFC 7617).
pub(crate) fn basic_credentials(header: &str) -> Option<(String, String)> {
    let (scheme, token) = header.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(BASE64.decode(token.trim()).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// Failures of one source.
#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: Instant,
}

impl Failures {
    /// When the source is listened to again.
    fn until(self) -> Instant {
        let Some(over) = self.count.checked_sub(FREE_FAILURES) else {
            return self.last;
        };
        let block = Duration::from_secs(1 << over.min(6)).min(LONGEST_BLOCK);
        self.last + block
    }
}

/// The sources that failed lately.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    table: Mutex<HashMap<IpAddr, Failures>>,
}

impl Sources {
    /// For how long this source is not listened to.
    pub(crate) fn blocked(&self, source: IpAddr, now: Instant) -> Option<Duration> {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let failures = table.get(&key(source))?;
        let left = failures.until().saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }

    /// Wrong credentials came from there.
    pub(crate) fn failed(&self, source: IpAddr, now: Instant) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let key = key(source);
        if table.len() >= MAX_SOURCES && !table.contains_key(&key) {
            let oldest = table
                .iter()
                .min_by_key(|(_, failures)| failures.last)
                .map(|(&source, _)| source);
            if let Some(oldest) = oldest {
                table.remove(&oldest);
            }
        }
        let entry = table.entry(key).or_insert(Failures {
            count: 0,
            last: now,
        });
        if now.saturating_duration_since(entry.last) > FORGIVEN_AFTER {
            entry.count = 0;
        }
        entry.count = entry.count.saturating_add(1);
        entry.last = now;
    }

    /// Right credentials came from there.
    pub(crate) fn succeeded(&self, source: IpAddr) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.remove(&key(source));
    }
}

/// What counts as one source.
fn key(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => {
            let network = u128::from(v6) >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from(network))
        }
    }
}

/// A token bucket: so many requests a second, so many at once after a pause.
#[derive(Debug)]
pub(crate) struct Rate {
    per_second: f64,
    burst: f64,
    bucket: Mutex<(f64, Option<Instant>)>,
}

impl Rate {
    pub(crate) fn new(per_second: u32, burst: u32) -> Self {
        let burst = f64::from(burst);
        Self {
            per_second: f64::from(per_second),
            burst,
            bucket: Mutex::new((burst, None)),
        }
    }

    /// Whether one more request may pass.
    pub(crate) fn admit(&self, now: Instant) -> bool {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let (tokens, last) = &mut *bucket;
        let since = last.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        *last = Some(now);
        *tokens = (*tokens + since.as_secs_f64() * self.per_second).min(self.burst);
        if *tokens < 1.0 {
            return false;
        }
        *tokens -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn credentials_are_read_as_rfc_7617_says() {
        let pair = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        // The RFC's own example.
        assert_eq!(
            basic_credentials("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
            pair("Aladdin", "open sesame")
        );
        assert_eq!(
            basic_credentials("basic QWxhZGRpbjpvcGVuIHNlc2FtZQ"),
            pair("Aladdin", "open sesame")
        );
        assert_eq!(
            basic_credentials(&format!("Basic {}", BASE64.encode("ünser:a:b:c"))),
            pair("ünser", "a:b:c")
        );
        for bad in [
            "",
            "Basic",
            "Basic !!",
            "Bearer QQ==",
            "Basic QQ==",
            "Basic /zo=",
        ] {
            assert_eq!(basic_credentials(bad), None, "{bad}");
        }
    }

    #[test]
    fn ten_failures_are_free_and_the_next_cost_twice_as_much_each() {
        let sources = Sources::default();
        let mut now = Instant::now();
        for _ in 0..9 {
            sources.failed(v4(1), now);
            assert_eq!(sources.blocked(v4(1), now), None);
        }
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            sources.failed(v4(1), now);
            let block = Duration::from_secs(seconds);
            assert_eq!(sources.blocked(v4(1), now), Some(block));
            assert_eq!(sources.blocked(v4(2), now), None);
            now += block;
            assert_eq!(sources.blocked(v4(1), now), None);
        }
        sources.succeeded(v4(1));
        sources.failed(v4(1), now);
        assert_eq!(sources.blocked(v4(1), now), None);
    }

    #[test]
    fn a_source_that_behaves_is_forgiven() {
        let sources = Sources::default();
        let now = Instant::now();
        for _ in 0..20 {
            sources.failed(v4(1), now);
        }
        let later = now + FORGIVEN_AFTER + Duration::from_secs(1);
        sources.failed(v4(1), later);
        assert_eq!(sources.blocked(v4(1), later), None);
    }

    #[test]
    fn an_ipv6_customer_is_one_source_and_a_mapped_address_is_ipv4() {
        let parse = |text: &str| key(text.parse().unwrap());
        assert_eq!(parse("2001:db8::1"), parse("2001:db8::ffff:2:3"));
        assert_ne!(parse("2001:db8::1"), parse("2001:db8:0:1::1"));
        assert_eq!(parse("::ffff:192.0.2.1"), v4(1));
    }

    #[test]
    fn the_table_is_bounded_and_forgets_the_oldest() {
        let sources = Sources::default();
        let start = Instant::now();
        let address = |n: usize| IpAddr::from(u32::try_from(n).unwrap().to_be_bytes());
        for n in 0..=MAX_SOURCES {
            for _ in 0..20 {
                sources.failed(address(n), start + Duration::from_micros(n as u64));
            }
        }
        let now = start + Duration::from_secs(1);
        assert_eq!(sources.table.lock().unwrap().len(), MAX_SOURCES);
        assert_eq!(sources.blocked(address(0), now), None);
        assert!(sources.blocked(address(1), now).is_some());
        assert!(sources.blocked(address(MAX_SOURCES), now).is_some());
    }

    #[test]
    fn a_rate_lets_a_burst_pass_and_then_so_many_a_second() {
        let rate = Rate::new(10, 3);
        let now = Instant::now();
        let admitted = |now| (0..100).filter(|_| rate.admit(now)).count();
        assert_eq!(admitted(now), 3);
        assert_eq!(admitted(now + Duration::from_millis(100)), 1);
        assert_eq!(admitted(now + Duration::from_millis(350)), 2);
        assert_eq!(admitted(now + Duration::from_secs(60)), 3);
    }
}
