//! An IP address and port as plain bytes.

use core::net::{IpAddr, Ipv6Addr, SocketAddr};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A transport address. IPv4 is carried as an IPv4-mapped IPv6 address
/// (RFC 4291 section 2.5.5.2); all zeros with port 0 means "not known".
#[derive(
    Clone, Copy, Debug, Default, Eq, FromBytes, Hash, Immutable, IntoBytes, KnownLayout, PartialEq,
)]
#[repr(C)]
pub struct SocketAddress {
    /// Network order.
    pub ip: [u8; 16],
    /// Link-local scope, host order.
    pub scope_id: u32,
    /// Host order; 0 means "not known".
    pub port: u16,
    /// Zero.
    pub reserved: u16,
}

const _: () = assert!(size_of::<SocketAddress>() == 24 && align_of::<SocketAddress>() == 4);

impl SocketAddress {
    /// "Not known".
    pub const UNKNOWN: Self = Self {
        ip: [0; 16],
        scope_id: 0,
        port: 0,
        reserved: 0,
    };

    /// `None` when the port is 0.
    #[must_use]
    pub fn get(&self) -> Option<SocketAddr> {
        if self.port == 0 {
            return None;
        }
        let ip = Ipv6Addr::from(self.ip);
        Some(match ip.to_ipv4_mapped() {
            Some(v4) => SocketAddr::new(IpAddr::V4(v4), self.port),
            None => SocketAddr::V6(core::net::SocketAddrV6::new(
                ip,
                self.port,
                0,
                self.scope_id,
            )),
        })
    }
}

impl From<SocketAddr> for SocketAddress {
    fn from(address: SocketAddr) -> Self {
        let (ip, scope_id) = match address {
            SocketAddr::V4(v4) => (v4.ip().to_ipv6_mapped(), 0),
            SocketAddr::V6(v6) => (*v6.ip(), v6.scope_id()),
        };
        Self {
            ip: ip.octets(),
            scope_id,
            port: address.port(),
            reserved: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_survive_the_round_trip() {
        for text in ["127.0.0.1:5004", "[::1]:5006", "[2001:db8::7]:65535"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(SocketAddress::from(address).get(), Some(address));
        }
        assert_eq!(SocketAddress::UNKNOWN.get(), None);
    }
}
