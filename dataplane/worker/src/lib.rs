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
//! The machines it drives (`plenum-rtp`, `plenum-srtp`, `plenum-mixer`, `plenum-ice`,
//! `plenum-dtls`) know no socket and no clock; this crate knows both and decides nothing about media.
//! After a leg is set up its packets allocate nothing, lock nothing and log
//! nothing. It refuses to know SIP, spaces or people.

mod counters;
mod deadlines;
mod events;
mod leg;
mod modules;
mod outbox;
mod playout;
mod report;
mod shelf;
mod sources;
mod tick;
mod transports;
mod video;
mod wheel;
mod worker;

pub use modules::ModuleSetup;
pub use plenum_dtls::{Identity, UnusableIdentity};
pub use worker::{BrowserPorts, LegSockets, SetupError, Worker, WorkerSetup};
