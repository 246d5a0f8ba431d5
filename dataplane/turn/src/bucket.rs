//! Buckets of bytes: what flows in over time may flow out at once.

use plenum_abi::Nanos;

/// Fills at a rate, holds a second's worth.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    /// Bytes a second; 0 for no limit.
    rate: u64,
    level: u64,
    filled_at: Nanos,
}

impl Bucket {
    /// A full one.
    pub(crate) fn new(rate: u64, now: Nanos) -> Self {
        Self {
            rate,
            level: rate,
            filled_at: now,
        }
    }

    fn fill(&mut self, now: Nanos) {
        let elapsed = now.0.saturating_sub(self.filled_at.0);
        let gained = u128::from(self.rate) * u128::from(elapsed) / 1_000_000_000;
        // Less than a byte is not lost: the time for it stays to be counted.
        if gained > 0 {
            self.level = u64::try_from(gained)
                .unwrap_or(u64::MAX)
                .saturating_add(self.level)
                .min(self.rate);
            self.filled_at = now;
        }
    }

    /// Takes `bytes`, all or nothing.
    #[must_use]
    pub(crate) fn take(&mut self, bytes: u64, now: Nanos) -> bool {
        if self.rate == 0 {
            return true;
        }
        self.fill(now);
        match self.level.checked_sub(bytes) {
            Some(left) => {
                self.level = left;
                true
            }
            None => false,
        }
    }
}

/// Buckets of the credit table; a power of two.
const SOURCES: usize = 4_096;
/// Bytes that a source may get beyond what it sent, at once ...
const ALLOWANCE: u32 = 16 << 10;
/// ... and in a second.
const ALLOWANCE_PER_S: u64 = 2 << 10;
/// Most bytes that a source can have to its credit.
const CREDIT_MAX: u32 = 64 << 10;

#[derive(Clone, Copy, Debug)]
struct Source {
    /// What it sent and did not get back.
    credit: u32,
    /// What is left of its allowance.
    allowance: u32,
    /// When the allowance was last filled, in milliseconds.
    filled_ms: u64,
}

/// What may be sent to those who have not proved their address.
///
/// A challenge is longer than the request that provokes it, so "no more than it
/// sent" would lock everybody out. A source therefore has an allowance beyond
/// that: enough for some hundreds of clients behind one address to begin at
/// once, and as traffic of a victim, whose address somebody forges, nothing.
///
/// Sources share a fixed number of buckets by a keyed hash: no source can make
/// the table grow or choose whom it shares with, and sharing only makes a bucket
/// tighter.
#[derive(Debug)]
pub(crate) struct Credit {
    key: u64,
    sources: Vec<Source>,
}

impl Credit {
    pub(crate) fn new(key: u64) -> Self {
        let full = Source {
            credit: 0,
            allowance: ALLOWANCE,
            filled_ms: 0,
        };
        Self {
            key,
            sources: vec![full; SOURCES],
        }
    }

    /// IPv4 by address, IPv6 by the 64 bits that one customer has.
    fn source(&mut self, ip: &[u8; 16]) -> &mut Source {
        let (high, low) = ip.split_at(8);
        let word = |bytes: &[u8]| {
            let mut word = [0; 8];
            word.copy_from_slice(bytes);
            u64::from_be_bytes(word)
        };
        let prefix = match word(high) {
            0 => word(low),
            prefix => prefix,
        };
        let mixed = (prefix ^ self.key).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed =
            (mixed ^ mixed >> 32 ^ self.key.rotate_left(17)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        &mut self.sources[(mixed >> 40) as usize % SOURCES]
    }

    /// A source sent so many bytes and wants to get `out` back: whether it may.
    #[must_use]
    pub(crate) fn answer(&mut self, ip: &[u8; 16], sent: usize, out: usize, now: Nanos) -> bool {
        let source = self.source(ip);
        let now_ms = now.0 / 1_000_000;
        let gained = now_ms.saturating_sub(source.filled_ms) * ALLOWANCE_PER_S / 1_000;
        if gained > 0 {
            let gained = u32::try_from(gained).unwrap_or(u32::MAX);
            source.allowance = source.allowance.saturating_add(gained).min(ALLOWANCE);
            source.filled_ms = now_ms;
        }
        let sent = u32::try_from(sent).unwrap_or(u32::MAX);
        let out = u32::try_from(out).unwrap_or(u32::MAX);
        source.credit = source.credit.saturating_add(sent).min(CREDIT_MAX);
        let beyond = out.saturating_sub(source.credit);
        match source.allowance.checked_sub(beyond) {
            Some(left) => {
                source.allowance = left;
                source.credit -= out - beyond;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_lets_its_rate_through_and_a_second_of_it_at_once() {
        let mut bucket = Bucket::new(1_000, Nanos::ZERO);
        assert!(bucket.take(1_000, Nanos::ZERO));
        assert!(!bucket.take(1, Nanos::ZERO));
        let mut through = 0;
        for ms in 0..10_000 {
            while bucket.take(10, Nanos::from_millis(ms)) {
                through += 10;
            }
        }
        assert!((9_900..=10_000).contains(&through), "{through}");
        assert!(Bucket::new(0, Nanos::ZERO).take(u64::MAX, Nanos::ZERO));
    }

    #[test]
    fn a_forged_source_gets_its_allowance_and_then_no_more_than_was_sent() {
        let mut credit = Credit::new(7);
        let victim = [9; 16];
        let (mut sent, mut got) = (0_u64, 0_u64);
        for _ in 0..100_000 {
            sent += 28;
            if credit.answer(&victim, 28, 120, Nanos::from_millis(1)) {
                got += 120;
            }
        }
        assert!(got > 16_000, "a first challenge is answered");
        assert!(got <= sent + u64::from(ALLOWANCE), "{got} for {sent}");
        // An hour later the allowance is full again, and not more than full.
        let (later, mut free) = (Nanos::from_millis(3_600_000), 0);
        while credit.answer(&victim, 0, 100, later) {
            free += 100;
        }
        assert!(free <= u64::from(ALLOWANCE + CREDIT_MAX), "{free}");
        assert!(
            credit.answer(&[1; 16], 0, 100, Nanos::ZERO),
            "others are not held up"
        );
    }
}
