//! DTLS-SRTP (RFC 5763, RFC 5764) of one leg: proves who the far end is and
//! gives the keys of its media.
//!
//! An [`Association`] runs one handshake, DTLS 1.3 or 1.2 as the far end can, with
//! ECDSA certificates that no authority signed: the far end's must have the
//! fingerprint that the signalling told, and no key leaves this crate before that
//! was seen. The protocol itself is the crate `dimpl`'s.
//!
//! ```text
//!   on_datagram --\                            /--> Output::Datagram   to be sent
//!   on_timeout  ----> Association -- poll() ------> Output::Keys       once, at the end
//!                                              \--> Output::Failed     drop it
//! ```
//!
//! After each call the outputs are to be polled until there is none, and then
//! [`Association::deadline`] to be asked. An association is kept after its keys are
//! out, for the far end may have missed our last flight and repeat its own.
//!
//! There is no cookie exchange: an association is only made for an address that
//! ICE has proved. The crate refuses to own sockets or clocks. Its randomness is
//! that of the cryptographic library; keys must not come from a seed.

mod association;

pub use association::{
    Association, Failure, Identity, Output, Role, SessionKeys, UnusableIdentity,
};
