//! One core's loop: the only owner of sockets and time.
//!
//! ```text
//!            +--------------------------- Worker::run ---------------------------+
//!  sockets ->| datagrams -> Leg (SRTP, path, jitter buffer) -> Conference::tick  |-> sockets
//!  commands->| legs and conferences come and go                                  |-> events
//!            | sleep until the next tick, a datagram or the doorbell             |
//!            +---------------------- records in the arena -----------------------+
//! ```
//!
//! The machines it drives (`plenum-rtp`, `plenum-srtp`, `plenum-mixer`) know no
//! socket and no clock; this crate knows both and decides nothing about media.
//! After a leg is set up its packets allocate nothing, lock nothing and log
//! nothing. It refuses to know SIP, spaces or people.

mod counters;
mod events;
mod leg;
mod outbox;
mod playout;
mod report;
mod shelf;
mod tick;
mod wheel;
mod worker;

pub use worker::{LegSockets, SetupError, Worker, WorkerSetup, WorkerSockets};
