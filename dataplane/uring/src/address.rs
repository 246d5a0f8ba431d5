//! Socket addresses as the kernel spells them.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Bytes of a `sockaddr_in`.
const IPV4_LEN: u8 = 16;
/// Bytes of a `sockaddr_in6`.
const IPV6_LEN: u8 = 28;

/// Where datagrams of one socket go, as the kernel wants it: made once per
/// leg, not once per packet. [`crate::Driver::destination`] makes it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C, align(4))]
pub struct Destination {
    bytes: [u8; IPV6_LEN as usize],
    len: u8,
}

impl Destination {
    /// Nowhere; never sent to.
    pub(crate) const NONE: Self = Self {
        bytes: [0; IPV6_LEN as usize],
        len: 0,
    };

    /// `None` when an IPv4 socket cannot reach the address.
    pub(crate) fn new(address: SocketAddr, ipv6_socket: bool) -> Option<Self> {
        let mut to = Self::NONE;
        match (
            ipv6_socket,
            SocketAddr::new(address.ip().to_canonical(), address.port()),
        ) {
            (false, SocketAddr::V4(v4)) => to.put_ipv4(v4),
            (false, SocketAddr::V6(_)) => return None,
            (true, SocketAddr::V4(v4)) => to.put_ipv6(&v4.ip().to_ipv6_mapped(), v4.port(), 0),
            (true, SocketAddr::V6(v6)) => {
                // `to_canonical` lost the scope.
                let scope = match address {
                    SocketAddr::V6(original) => original.scope_id(),
                    SocketAddr::V4(_) => 0,
                };
                to.put_ipv6(v6.ip(), v6.port(), scope);
            }
        }
        Some(to)
    }

    fn put_ipv4(&mut self, address: SocketAddrV4) {
        self.bytes[0..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
        self.bytes[2..4].copy_from_slice(&address.port().to_be_bytes());
        self.bytes[4..8].copy_from_slice(&address.ip().octets());
        self.len = IPV4_LEN;
    }

    fn put_ipv6(&mut self, ip: &Ipv6Addr, port: u16, scope: u32) {
        self.bytes[0..2].copy_from_slice(&(libc::AF_INET6 as u16).to_ne_bytes());
        self.bytes[2..4].copy_from_slice(&port.to_be_bytes());
        self.bytes[8..24].copy_from_slice(&ip.octets());
        self.bytes[24..28].copy_from_slice(&scope.to_ne_bytes());
        self.len = IPV6_LEN;
    }

    pub(crate) const fn as_ptr(&self) -> *const libc::sockaddr {
        self.bytes.as_ptr().cast()
    }

    pub(crate) const fn len(&self) -> libc::socklen_t {
        self.len as libc::socklen_t
    }

    /// The address; an IPv4-mapped one is shown as IPv4. `None` only for a
    /// value that no driver made.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        parse(&self.bytes)
    }
}

/// Reads a `sockaddr` that the kernel wrote. An IPv4-mapped address comes out
/// as IPv4, so that one peer has one address whatever the socket's family.
pub(crate) fn parse(name: &[u8]) -> Option<SocketAddr> {
    let family = u16::from_ne_bytes(*name.first_chunk()?);
    let port = u16::from_be_bytes(*name.get(2..)?.first_chunk()?);
    match i32::from(family) {
        libc::AF_INET => {
            let ip: [u8; 4] = *name.get(4..)?.first_chunk()?;
            Some(SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::from(ip), port)))
        }
        libc::AF_INET6 => {
            let ip: [u8; 16] = *name.get(8..)?.first_chunk()?;
            let ip = Ipv6Addr::from(ip);
            Some(match ip.to_ipv4_mapped() {
                Some(ip) => SocketAddr::V4(SocketAddrV4::new(ip, port)),
                None => {
                    let scope = u32::from_ne_bytes(*name.get(24..)?.first_chunk()?);
                    SocketAddr::V6(SocketAddrV6::new(ip, port, 0, scope))
                }
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_survive_the_round_trip() {
        for text in ["127.0.0.1:5004", "[2001:db8::7]:65535", "[fe80::1%3]:9"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(
                Destination::new(address, true).unwrap().address(),
                Some(address)
            );
            let on_ipv4 = Destination::new(address, false).and_then(|to| to.address());
            assert_eq!(on_ipv4, address.is_ipv4().then_some(address));
        }
    }

    #[test]
    fn a_mapped_address_is_an_ipv4_address() {
        let mapped: SocketAddr = "[::ffff:127.0.0.1]:7".parse().unwrap();
        let plain: SocketAddr = "127.0.0.1:7".parse().unwrap();
        for ipv6_socket in [false, true] {
            let to = Destination::new(mapped, ipv6_socket).unwrap();
            assert_eq!(to, Destination::new(plain, ipv6_socket).unwrap());
            assert_eq!(to.address(), Some(plain));
        }
    }

    #[test]
    fn a_short_or_foreign_name_is_no_address() {
        let to = Destination::new("[2001:db8::7]:1".parse().unwrap(), true).unwrap();
        for len in 0..28 {
            assert_eq!(parse(&to.bytes[..len]), None, "{len} bytes");
        }
        assert_eq!(parse(&[0; 28]), None);
    }
}
