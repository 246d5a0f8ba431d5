//! Many datagrams with one system call, and bursts as one: for sockets with
//! traffic of their own, where waiting through the ring gains nothing.
//!
//! ```text
//!   Inbox:  receive(socket) fills slots     <- recvmmsg, UDP_GRO
//!   Outbox: push(destination, header, part of a slot, padding)
//!           send(socket, inbox)             -> sendmmsg, UDP_SEGMENT
//! ```
//! What is pushed names bytes of the inbox by their place; nothing is copied but
//! a header of a few bytes, and the kernel gathers the parts. Datagrams that
//! follow one another to one destination and are of one length leave as one
//! burst, which the kernel cuts: the way through the stack is then paid once.
//!
//! A burst that the kernel will not cut (a device without checksums of its own,
//! an old kernel) is sent datagram by datagram, and so are all after it.

mod inbox;
mod outbox;
#[cfg(test)]
mod tests;

pub use inbox::{Inbox, Received};
pub use outbox::{Outbox, Sent};

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::net::sockopt;

use crate::socket::{SocketOptions, set_option, udp_socket};

/// Most segments of one burst; kernels before 6.10 cut no more.
pub const SEGMENTS_MAX: usize = 64;

/// A UDP socket for an [`Inbox`] and an [`Outbox`]: it takes bursts as they are,
/// and with `shared` others may be bound to the same address, among which the
/// kernel chooses by the sender's address and port: one sender, one socket, as
/// long as no socket comes or goes.
///
/// # Errors
/// What the kernel says: the address is in use or not ours, or too many files
/// are open.
pub fn datagram_socket(
    address: SocketAddr,
    options: &SocketOptions,
    shared: bool,
) -> io::Result<OwnedFd> {
    let socket = udp_socket(address, options, |socket| {
        if shared {
            sockopt::set_socket_reuseport(socket, true)?;
        }
        // Not on kernels before 5.0: bursts then come datagram by datagram.
        let _ = set_option(socket, libc::IPPROTO_UDP, libc::UDP_GRO, &1_i32);
        Ok(())
    })?;
    Ok(socket)
}
