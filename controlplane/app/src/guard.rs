//! Against guessing passcodes: who was wrong too often has to wait.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use plenum_abi::Nanos;

/// So many wrong passcodes ...
const TRIES_MAX: u32 = 5;
/// ... from one address within this long, and it is not listened to.
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses remembered; of more, the longest known is forgotten.
const ADDRESSES_MAX: usize = 1_024;

#[derive(Clone, Copy, Debug)]
struct Tries {
    since: Nanos,
    wrong: u32,
}

/// Wrong passcodes by address.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    addresses: HashMap<IpAddr, Tries>,
}

impl Guard {
    /// Whether a try from this address is looked at.
    pub(crate) fn allows(&mut self, address: IpAddr, now: Nanos) -> bool {
        let Some(tries) = self.addresses.get(&address) else {
            return true;
        };
        if now.since(tries.since) >= WINDOW {
            self.addresses.remove(&address);
            return true;
        }
        tries.wrong < TRIES_MAX
    }

    /// For how long tries from this address are not looked at.
    pub(crate) fn retry_after(&self, address: IpAddr, now: Nanos) -> Duration {
        let tries = self.addresses.get(&address);
        let blocked = tries.filter(|tries| tries.wrong >= TRIES_MAX);
        blocked.map_or(Duration::ZERO, |tries| (tries.since + WINDOW).since(now))
    }

    /// Counts a wrong passcode.
    pub(crate) fn wrong(&mut self, address: IpAddr, now: Nanos) {
        let known = self.addresses.contains_key(&address);
        if !known && self.addresses.len() >= ADDRESSES_MAX {
            let oldest = self.addresses.iter().min_by_key(|(_, tries)| tries.since);
            if let Some(oldest) = oldest.map(|(address, _)| *address) {
                self.addresses.remove(&oldest);
            }
        }
        let fresh = Tries {
            since: now,
            wrong: 0,
        };
        self.addresses.entry(address).or_insert(fresh).wrong += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn address(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(number).into()
    }

    #[test]
    fn five_wrong_tries_in_a_minute_are_enough() {
        let mut guard = Guard::default();
        let start = Nanos::from_millis(1);
        for _ in 0..TRIES_MAX {
            assert!(guard.allows(address(1), start));
            guard.wrong(address(1), start);
        }
        assert!(!guard.allows(address(1), start));
        assert_eq!(guard.retry_after(address(1), start), WINDOW);
        assert_eq!(guard.retry_after(address(2), start), Duration::ZERO);
        assert!(guard.allows(address(2), start), "others are not to blame");
        assert!(guard.allows(address(1), start + WINDOW));
    }

    #[test]
    fn it_remembers_a_bounded_number_of_addresses() {
        let mut guard = Guard::default();
        for number in 0..5_000 {
            guard.wrong(address(number), Nanos(u64::from(number)));
        }
        assert_eq!(guard.addresses.len(), ADDRESSES_MAX);
        assert!(guard.addresses.contains_key(&address(4_999)));
    }
}
