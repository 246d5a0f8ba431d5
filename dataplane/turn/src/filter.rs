//! Which peers may be talked to.
//!
//! A relay that reaches what its clients could not is a way into the network it
//! stands in. So nothing is a peer that is not plainly on the public internet,
//! however it is spelt, unless the settings name it: not this machine, not its
//! neighbours, no group, and no address that hides another one. The server's
//! own addresses are refused too, but for its own relay ports: two clients of
//! one server may meet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A range of addresses, such as `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Network {
    first: u128,
    bits: u32,
    is_ipv4: bool,
}

impl Network {
    const fn v4(a: u8, b: u8, c: u8, bits: u32) -> Self {
        Self {
            first: (a as u128) << 24 | (b as u128) << 16 | (c as u128) << 8,
            bits,
            is_ipv4: true,
        }
    }

    const fn v6(a: u16, b: u16, bits: u32) -> Self {
        Self {
            first: (a as u128) << 112 | (b as u128) << 96,
            bits,
            is_ipv4: false,
        }
    }

    /// The range that an address and its first `bits` bits name; `None` when the
    /// family does not have so many. Mapped IPv4 addresses are IPv4.
    #[must_use]
    pub fn new(ip: IpAddr, bits: u32) -> Option<Self> {
        let (first, width) = number(ip);
        let bits = match (ip, ip.to_canonical()) {
            (IpAddr::V6(_), IpAddr::V4(_)) => bits.checked_sub(96)?,
            _ => bits,
        };
        if bits > width {
            return None;
        }
        Some(Self {
            first: first & !low(width - bits),
            bits,
            is_ipv4: width == 32,
        })
    }

    /// Whether an address lies in it.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        let (address, width) = number(ip);
        (width == 32) == self.is_ipv4 && address & !low(width - self.bits) == self.first
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match u32::try_from(self.first) {
            Ok(first) if self.is_ipv4 => write!(f, "{}/{}", Ipv4Addr::from(first), self.bits),
            _ => write!(f, "{}/{}", Ipv6Addr::from(self.first), self.bits),
        }
    }
}

impl std::str::FromStr for Network {
    type Err = ();

    /// An address alone is a range of one.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (ip, bits) = text.split_once('/').unwrap_or((text, ""));
        let ip: IpAddr = ip.trim().parse().map_err(|_| ())?;
        let bits = match (bits, ip) {
            ("", IpAddr::V4(_)) => 32,
            ("", IpAddr::V6(_)) => 128,
            (bits, _) => bits.trim().parse().map_err(|_| ())?,
        };
        Self::new(ip, bits).ok_or(())
    }
}

/// An address as a number and how many bits it has; mapped IPv4 is IPv4.
fn number(ip: IpAddr) -> (u128, u32) {
    match ip.to_canonical() {
        IpAddr::V4(ip) => (u128::from(u32::from(ip)), 32),
        IpAddr::V6(ip) => (u128::from(ip), 128),
    }
}

const fn low(bits: u32) -> u128 {
    match bits {
        128 => u128::MAX,
        bits => (1 << bits) - 1,
    }
}

/// What of IPv4 is not public (RFC 6890 and its registry).
const SPECIAL_V4: [Network; 15] = [
    Network::v4(0, 0, 0, 8),       // this network
    Network::v4(10, 0, 0, 8),      // private
    Network::v4(100, 64, 0, 10),   // behind a carrier's NAT
    Network::v4(127, 0, 0, 8),     // this machine
    Network::v4(169, 254, 0, 16),  // this link, cloud metadata
    Network::v4(172, 16, 0, 12),   // private
    Network::v4(192, 0, 0, 24),    // protocol assignments
    Network::v4(192, 0, 2, 24),    // documentation
    Network::v4(192, 88, 99, 24),  // 6to4 relays
    Network::v4(192, 168, 0, 16),  // private
    Network::v4(198, 18, 0, 15),   // benchmarks
    Network::v4(198, 51, 100, 24), // documentation
    Network::v4(203, 0, 113, 24),  // documentation
    Network::v4(224, 0, 0, 4),     // groups
    Network::v4(240, 0, 0, 4),     // reserved, broadcast
];

/// What of IPv6 is handed out at all; all else is this machine, this link, this
/// site, groups, or an IPv4 address in disguise (`::/96`, `64:ff9b::/96`, ...).
const GLOBAL_V6: Network = Network::v6(0x2000, 0, 3);

/// What of [`GLOBAL_V6`] is not public.
const SPECIAL_V6: [Network; 4] = [
    Network::v6(0x2001, 0, 23),      // protocol assignments, Teredo among them
    Network::v6(0x2001, 0x0db8, 32), // documentation
    Network::v6(0x2002, 0, 16),      // 6to4: an IPv4 address in disguise
    Network::v6(0x3fff, 0, 20),      // documentation
];

/// The rules in force.
#[derive(Clone, Debug, Default)]
pub struct PeerFilter {
    /// Ranges that are allowed whatever they are.
    pub allowed: Vec<Network>,
    /// Ranges that are refused before all else.
    pub refused: Vec<Network>,
    /// The server's own addresses.
    pub own: Vec<IpAddr>,
}

/// Why a peer is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refused {
    /// The settings say so, or the address is not public.
    Address,
    /// It is one of the server's own.
    Own,
}

impl PeerFilter {
    /// Whether an address may be a peer's. A relay port of this server is the
    /// caller's to let pass.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn check(&self, ip: IpAddr) -> Result<(), Refused> {
        let ip = ip.to_canonical();
        let among = |ranges: &[Network]| ranges.iter().any(|range| range.contains(ip));
        if among(&self.refused) {
            return Err(Refused::Address);
        }
        if among(&self.allowed) {
            return Ok(());
        }
        if self.own.iter().any(|own| own.to_canonical() == ip) {
            return Err(Refused::Own);
        }
        let public = match ip {
            IpAddr::V4(_) => !among(&SPECIAL_V4),
            IpAddr::V6(_) => GLOBAL_V6.contains(ip) && !among(&SPECIAL_V6),
        };
        public.then_some(()).ok_or(Refused::Address)
    }

    /// Whether an address is one of the server's own.
    #[must_use]
    pub fn is_own(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.own.iter().any(|own| own.to_canonical() == ip)
    }
}

/// Every spelling of an IPv4 address in IPv6 that is known: mapped, compatible,
/// translated, 6to4, NAT64 of both prefixes, Teredo, ISATAP. For tests of what
/// must be refused.
#[must_use]
pub fn disguises(ip: Ipv4Addr) -> Vec<Ipv6Addr> {
    let number = u128::from(u32::from(ip));
    let prefixed = |a: u128, b: u128, c: u128, d: u128| {
        Ipv6Addr::from(a << 112 | b << 96 | c << 80 | d << 32 | number)
    };
    vec![
        ip.to_ipv6_mapped(),
        prefixed(0, 0, 0, 0),
        prefixed(0, 0, 0, 0xffff_0000),
        prefixed(0x64, 0xff9b, 0, 0),
        prefixed(0x64, 0xff9b, 1, 0),
        Ipv6Addr::from(0x2002 << 112 | number << 80 | 1),
        Ipv6Addr::from(0x2001 << 112 | number << 64 | u128::from(!u32::from(ip))),
        prefixed(0xfe80, 0, 0, 0x5efe),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(filter: &PeerFilter, text: &str) -> Result<(), Refused> {
        filter.check(text.parse().unwrap())
    }

    #[test]
    fn the_public_internet_is_allowed_and_nothing_else() {
        let filter = PeerFilter::default();
        for good in [
            "8.8.8.8",
            "100.63.0.1",
            "172.32.0.1",
            "223.255.255.255",
            "2600::1",
            "2a00::",
        ] {
            assert_eq!(check(&filter, good), Ok(()), "{good}");
        }
        for bad in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.19.0.1",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd00::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "2002::1",
            "3fff::1",
            "64:ff9b::808:808",
            "::ffff:10.0.0.1",
            "::8.8.8.8",
            "100::1",
            "5f00::1",
            "4000::1",
        ] {
            assert_eq!(check(&filter, bad), Err(Refused::Address), "{bad}");
        }
    }

    #[test]
    fn no_disguise_lets_a_private_address_through() {
        let filter = PeerFilter::default();
        for ip in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.0.1"] {
            for disguise in disguises(ip.parse().unwrap()) {
                assert!(filter.check(disguise.into()).is_err(), "{ip} as {disguise}");
            }
        }
        // A mapped public address is that address and nothing worse.
        assert_eq!(check(&filter, "::ffff:8.8.8.8"), Ok(()));
    }

    #[test]
    fn settings_allow_and_refuse_and_refusal_wins() {
        let filter = PeerFilter {
            allowed: vec![
                "127.0.0.0/8".parse().unwrap(),
                "10.0.0.0/8".parse().unwrap(),
            ],
            refused: vec!["10.9.0.0/16".parse().unwrap(), "8.8.8.8".parse().unwrap()],
            own: vec!["127.0.0.1".parse().unwrap(), "9.9.9.9".parse().unwrap()],
        };
        assert_eq!(check(&filter, "127.0.0.1"), Ok(()));
        assert_eq!(check(&filter, "::ffff:127.0.0.1"), Ok(()));
        assert_eq!(check(&filter, "10.1.0.1"), Ok(()));
        assert_eq!(check(&filter, "10.9.0.1"), Err(Refused::Address));
        assert_eq!(check(&filter, "8.8.8.8"), Err(Refused::Address));
        assert_eq!(check(&filter, "9.9.9.9"), Err(Refused::Own));
        assert_eq!(check(&filter, "::ffff:9.9.9.9"), Err(Refused::Own));
        // Allowing IPv4's loopback says nothing about its disguises.
        assert!(check(&filter, "64:ff9b::7f00:1").is_err());
        assert!(check(&filter, "::127.0.0.1").is_err());
    }

    #[test]
    fn ranges_are_read_as_they_are_written_everywhere() {
        let parse = |text: &str| text.parse::<Network>();
        assert!(
            parse("10.0.0.0/8")
                .unwrap()
                .contains("10.255.0.1".parse().unwrap())
        );
        assert_eq!(parse("10.1.2.3/8"), parse("10.0.0.0/8"));
        assert_eq!(parse("::ffff:10.0.0.0/104"), parse("10.0.0.0/8"));
        assert_eq!(parse("192.0.2.1"), parse("192.0.2.1/32"));
        assert!(
            parse("0.0.0.0/0")
                .unwrap()
                .contains("1.2.3.4".parse().unwrap())
        );
        assert!(!parse("0.0.0.0/0").unwrap().contains("::1".parse().unwrap()));
        assert!(parse("::/0").unwrap().contains("::1".parse().unwrap()));
        for wrong in [
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "x",
            "",
            "::ffff:10.0.0.0/8",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
