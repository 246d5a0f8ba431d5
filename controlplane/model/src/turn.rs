//! The TURN server beside a meeting server.

use std::net::SocketAddr;
use std::time::Duration;

use crate::HostId;

/// What clients are told of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TurnServer {
    /// The server's own id: each has one TURN server at most.
    pub id: HostId,
    /// Host that clients reach it at.
    pub address: String,
    /// First of its ports.
    pub port: u16,
}

/// How it is doing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TurnServerStatus {
    /// What clients are told of it.
    pub server: TurnServer,
    /// It answered; what follows is zero where it did not.
    pub reachable: bool,
    /// How long that took.
    pub round_trip: Duration,
    /// New clients are sent elsewhere.
    pub draining: bool,
    /// Allocations now.
    pub allocations: u64,
    /// Most of them at a time.
    pub allocations_max: u64,
    /// Counters since the start, by the names that they are shown under.
    pub counters: Vec<(&'static str, u64)>,
}

/// One allocation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TurnAllocationView {
    /// The client's address.
    pub client: SocketAddr,
    /// Over TCP or TLS.
    pub stream: bool,
    /// Equal for all allocations of a user.
    pub user: String,
    /// Ports of its relayed addresses.
    pub relay_ports: Vec<u16>,
    /// Until it ends unless it is refreshed.
    pub expires_in: Duration,
    /// Permissions.
    pub permissions: u64,
    /// Channels.
    pub channels: u64,
    /// From the client to peers.
    pub packets_to_peers: u64,
    /// From the client to peers.
    pub bytes_to_peers: u64,
    /// From peers to the client.
    pub packets_to_client: u64,
    /// From peers to the client.
    pub bytes_to_client: u64,
}
