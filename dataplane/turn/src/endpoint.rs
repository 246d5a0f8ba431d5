//! Transport addresses in one shape, whatever their family.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// An address family of relayed addresses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Its number in REQUESTED-ADDRESS-FAMILY.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::V4),
            2 => Some(Self::V6),
            _ => None,
        }
    }

    /// The family of an address.
    #[must_use]
    pub const fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// Its place in tables of two.
    pub(crate) const fn index(self) -> usize {
        match self {
            Self::V4 => 0,
            Self::V6 => 1,
        }
    }
}

/// An address and port; IPv4 is mapped, so that one peer has one spelling.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Endpoint {
    pub(crate) ip: [u8; 16],
    pub(crate) port: u16,
}

impl Endpoint {
    pub(crate) fn family(&self) -> Family {
        Family::of(self.address().ip())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::new(Ipv6Addr::from(self.ip).to_canonical(), self.port)
    }
}

/// The bytes of an address, IPv4 mapped.
pub(crate) fn mapped(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self {
            ip: mapped(address.ip()),
            port: address.port(),
        }
    }
}
