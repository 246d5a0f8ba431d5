//! What a server is told before it begins.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::credentials::Realm;
use crate::filter::PeerFilter;

/// Relayed addresses of one family.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RelayAddress {
    /// Where the relay sockets are bound.
    pub local: IpAddr,
    /// What clients are told: the same, or the address that a NAT in front of
    /// the server has for it, port by port.
    pub public: IpAddr,
}

/// How much there may be. Zero never means "without limit" unless it says so.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Allocations of one user.
    pub allocations_per_user: u32,
    /// Bytes a second, both ways together, of one user; 0 for no limit.
    pub user_bytes_per_s: u64,
    /// Bytes a second, both ways together, of all users; 0 for no limit.
    pub all_bytes_per_s: u64,
    /// Longest lifetime that a client is given (RFC 8656 section 7.2: an hour).
    pub lifetime_max: Duration,
    /// How long a nonce is good (RFC 8489 section 9.2: not more than an hour).
    pub nonce_lifetime: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            allocations_per_user: 16,
            user_bytes_per_s: 0,
            all_bytes_per_s: 0,
            lifetime_max: Duration::from_secs(3_600),
            nonce_lifetime: Duration::from_secs(600),
        }
    }
}

/// Everything a server is told.
#[derive(Debug)]
pub struct Config {
    /// Who may come in. The first realm is the one that is offered; a client
    /// that names another is held to that.
    pub realms: Vec<Realm>,
    /// Relayed addresses of IPv4 and of IPv6; at least one.
    pub relay_v4: Option<RelayAddress>,
    /// See `relay_v4`.
    pub relay_v6: Option<RelayAddress>,
    /// Ports of the relay sockets by number, IPv4 first, then IPv6. The caller
    /// has bound them.
    pub ports: RelayPorts,
    /// Ports on the relay addresses that clients may send to: relays of all workers
    /// of this server, and its own media. Everything else there is some service.
    pub server_ports: Vec<u16>,
    /// Which peers may be talked to.
    pub peers: PeerFilter,
    /// How much there may be.
    pub limits: Limits,
    /// Key of the nonces; the same for all workers and successors.
    pub nonce_key: [u8; 32],
    /// Where new clients are sent when the server drains, by family.
    pub alternates: Vec<SocketAddr>,
}

/// Ports of one worker's relay sockets. A relay's number is its place in the
/// two lists put one behind the other.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RelayPorts {
    /// Ports bound to the IPv4 address.
    pub v4: Vec<u16>,
    /// Ports bound to the IPv6 address.
    pub v6: Vec<u16>,
}
