//! SRTP and SRTCP contexts (RFC 3711, RFC 6188, RFC 7714).
//!
//! A [`Sender`] holds one leg's transmit key, a [`Receiver`] its receive key.
//! Packets are worked on in place; nothing is allocated after a context is made;
//! there is no clock, no socket and no randomness here.
//!
//! The idea to know before reading on is who owns the packet index, for an index
//! used twice under AES-CM or GCM gives the plaintext away:
//!
//! ```text
//!   arena word "next index" --load--> check --store index + 1--> encrypt --> leave
//!          ^                                        |
//!          +---- a successor after a crash ---------+  continues here
//! ```
//!
//! The word in shared memory *is* the counter: protecting a packet takes the
//! index from it and advances it before the first byte is encrypted. A caller
//! cannot forget to persist, and cannot persist too late.
//!
//! Receiving is the mirror image: [`Receiver::changed`] tells which slot of the
//! arena an accepted packet touched, and [`StreamState::store`] writes it in the
//! order that makes every half-way point safe.
//!
//! Refused here: key derivation rates other than 0, MKI, unencrypted SRTCP, and
//! any SSRC beyond the bound. Key exchange is elsewhere.

mod cipher;
mod error;
mod keys;
mod packet;
mod receiver;
mod sender;
mod state;
mod window;

#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
#[cfg(test)]
mod vectors;

pub use error::{ProtectError, Reject};
pub use receiver::Receiver;
pub use sender::{PendingTag, Sender, TAIL_MAX, TX_STREAMS, finish_tags};
pub use state::StreamState;
