//! A TURN server (RFC 8656, and RFC 5766 clients) as a sans-IO machine.
//!
//! One [`Server`] for each worker thread. Packets and time go in; what is to be
//! sent comes out, as places in the very packet that came in:
//!
//! ```text
//!   from_client(packet) -> ToPeer  { relay, peer, payload: range of the packet }
//!                       -> ToClient{ client, header to put before that range }
//!                       -> Reply   : Server::reply() has its bytes
//!   from_peer(len)      -> ToClient{ client, header to put before the packet }
//!   handle_timeout()       now and then: what ran out is given back
//!   next_change()          after either: relay sockets to open or to close
//! ```
//! The relay sockets are the caller's and bound before; the machine deals in
//! their numbers. A client belongs to one worker as long as its packets come to
//! that worker, so nothing here is shared or locked.
//!
//! Safe by default: nobody has state before it proved to know a password, nonces
//! need no memory ([`nonce`]), a peer that is not plainly public is refused
//! however it is spelt ([`PeerFilter`]), who has not proved its address gets no
//! more than it sent beyond a small allowance, and all that a user can have is
//! bounded ([`Limits`]). What is refused is counted, never logged packet by packet.
//!
//! Every allocation is written to a [`plenum_abi::TurnRecord`] before its client
//! is answered, so a successor goes on with it. Clients on a stream are the
//! exception: their connection dies with the process.
//!
//! Absent: TCP to peers (RFC 6062), mobility (RFC 8016), the DF bit (a request
//! for it is answered with 420, as RFC 8656 section 7.2 has it).

mod allocation;
mod bucket;
mod config;
mod credentials;
mod endpoint;
mod filter;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
mod nonce;
mod relays;
mod server;
#[cfg(test)]
mod tests;
mod users;

use std::net::SocketAddr;

pub use config::{Config, Limits, RelayAddress, RelayPorts};
pub use credentials::{Realm, credentials};
pub use endpoint::Family;
pub use filter::{Network, PeerFilter, Refused, disguises};
pub use relays::RelayId;
pub use server::{
    Dropped, FromClient, Header, Records, Server, SocketChange, Time, ToClient, ToPeer,
};

/// What a client's packets come in on.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Via {
    /// The UDP listener of this number.
    Udp(u16),
    /// The connection of this number, on TCP or TLS. Numbers are not used twice.
    Stream(u32),
}

/// A client: RFC 8656's 5-tuple.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Client {
    /// Its address; IPv4 as IPv4.
    pub address: SocketAddr,
    /// What it came in on.
    pub via: Via,
}

impl Client {
    fn endpoint(&self) -> endpoint::Endpoint {
        self.address.into()
    }

    /// Whether what is sent to it arrives where it says that it is.
    fn is_stream(&self) -> bool {
        matches!(self.via, Via::Stream(_))
    }
}
