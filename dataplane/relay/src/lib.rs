//! One thread that serves TURN: sockets and time for a [`plenum_turn::Server`].
//!
//! ```text
//!   clients' UDP sockets --recvmmsg, GRO--> Inbox -> Server::from_client -> Outbox --sendmmsg, GSO--> peers
//!   relay sockets        --recvmmsg, GRO--> Inbox -> Server::from_peer   -> Outbox --sendmmsg, GSO--> clients
//!   TCP and TLS clients  --read-----------> Inbox -> the same; back through a bounded queue
//! ```
//! A payload is not copied here: what leaves is a header and the place in the
//! [`Inbox`](plenum_uring::datagrams::Inbox) where the packet came to lie.
//!
//! Why not the media worker's ring: a relay has few listeners with much traffic,
//! and moves what it reads at once. For that, batches of system calls cost less
//! than a completion for each packet (`benches/results/turn.md`), and bursts cost
//! a quarter. Why not the media worker's thread or process: relays work for
//! strangers on the open internet, media must be on time. Each can die without
//! the other noticing.
//!
//! Every socket but those of TCP clients is inherited and outlives the process,
//! and all state of UDP clients is in a [`plenum_ring::TurnMemory`], so that a
//! successor goes on where this one was killed. There is no orderly stop.
//!
//! One client, one thread: each thread has a socket of its own on every listen
//! address (`SO_REUSEPORT`), and since these sockets neither come nor go while
//! the server runs, the kernel's choice by the sender's address is always the
//! same. No steering program is needed, and no connected socket for each client.

mod records;
mod stream;
mod streams;
mod worker;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use plenum_ring::TurnMemory;

pub use worker::Worker;

/// A socket on which TCP clients are accepted.
#[derive(Debug)]
pub struct StreamListener {
    /// It listens and does not block.
    pub socket: OwnedFd,
    /// Whether clients speak TLS on it.
    pub is_tls: bool,
}

/// What a worker is given.
#[derive(Debug)]
pub struct Setup {
    /// Where allocations live on.
    pub memory: TurnMemory,
    /// Which of the memory's workers this is.
    pub worker: u32,
    /// The core it is pinned to; `None` leaves that to the kernel.
    pub core: Option<u32>,
    /// UDP sockets for clients, of [`plenum_uring::datagrams::datagram_socket`]
    /// and shared with the other workers. Their order is the same in every process.
    pub listeners: Vec<OwnedFd>,
    /// TCP sockets for clients.
    pub streams: Vec<StreamListener>,
    /// Relay sockets by number, of the same kind, not shared.
    pub relays: Vec<OwnedFd>,
    /// What the machine is told.
    pub config: plenum_turn::Config,
    /// How clients on TLS are greeted; without it they are turned away.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Whether datagrams are sent in bursts.
    pub bursts: bool,
    /// For how long packets may gather when they come so often that waking for
    /// each would cost more than relaying it.
    pub gather: Duration,
    /// Random.
    pub seed: [u8; 32],
}

/// Why a worker cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// What was inherited does not belong together.
    #[error("inherited {found} relay sockets for {expected} ports")]
    Mismatch {
        /// Sockets.
        found: usize,
        /// Ports.
        expected: usize,
    },
    /// The kernel refused.
    #[error("cannot {doing}: {source}")]
    Kernel {
        /// What was tried.
        doing: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
}
