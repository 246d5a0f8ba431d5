//! Sockets and the doorbell: who receives, and what its completions mean.

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use io_uring::types::{CancelBuilder, Fd, Fixed};
use io_uring::{cqueue, opcode, squeue};

use super::{Driver, Event, GENERATION_MASK, NAME_ROOM, Tag};
use crate::buffers::GROUP;
use crate::error::{RegisterError, WaitError};
use crate::{Destination, socket};

/// One key.
#[derive(Debug, Default)]
struct Place {
    socket: Option<OwnedFd>,
    ipv6: bool,
    armed: bool,
    /// Whether the receive that counts ended for want of slots.
    starved: bool,
    /// Whether the key is in the list of starved ones, perhaps no longer rightly.
    listed: bool,
    /// Of the receive that counts: completions of older ones are dropped.
    generation: u32,
}

/// All keys.
pub(super) struct Sockets {
    places: Box<[Place]>,
    /// Where to look for starved sockets. Each key is in it once at most.
    starved: Vec<u32>,
    /// Names the room for the sender's address in each receive; boxed, for the
    /// kernel reads it when a receive is submitted.
    header: Box<libc::msghdr>,
}

impl Sockets {
    pub(super) fn new(count: u32) -> Self {
        // SAFETY: zeros are a valid `msghdr`: null pointers and no lengths.
        let mut header: Box<libc::msghdr> = Box::new(unsafe { std::mem::zeroed() });
        header.msg_namelen = NAME_ROOM as libc::socklen_t;
        Self {
            places: (0..count).map(|_| Place::default()).collect(),
            starved: Vec::with_capacity(count as usize),
            header,
        }
    }

    pub(super) fn is_registered(&self, key: u32) -> bool {
        self.socket(key).is_some()
    }

    fn socket(&self, key: u32) -> Option<&OwnedFd> {
        self.places.get(key as usize)?.socket.as_ref()
    }

    /// Whether completions of this receive still count.
    fn is_current(&self, key: u32, generation: u32) -> bool {
        self.places
            .get(key as usize)
            .is_some_and(|place| place.armed && place.generation == generation)
    }

    fn receive(&self, key: u32, generation: u32) -> squeue::Entry {
        opcode::RecvMsgMulti::new(Fixed(key), &raw const *self.header, GROUP)
            .build()
            .user_data(Tag::Receive { key, generation }.pack())
    }
}

fn os(step: &'static str) -> impl FnOnce(std::io::Error) -> RegisterError {
    move |source| RegisterError::Os { step, source }
}

fn broken(error: WaitError) -> RegisterError {
    os("io_uring_enter")(std::io::Error::from_raw_os_error(error.0))
}

/// Errors that say that the socket will never receive, not that a peer is gone.
fn is_final(errno: i32) -> bool {
    matches!(
        errno,
        libc::EBADF | libc::EFAULT | libc::EINVAL | libc::ENOTSOCK | libc::EOPNOTSUPP
    )
}

impl Driver {
    /// Takes a bound UDP socket under `key`. It starts disarmed: the kernel
    /// drops what it gets. IPv4, IPv6 and dual-stack sockets are all right.
    ///
    /// # Errors
    /// [`RegisterError`]; the socket is closed then.
    pub fn register_socket(&mut self, key: u32, fd: OwnedFd) -> Result<(), RegisterError> {
        let place = self
            .sockets
            .places
            .get_mut(key as usize)
            .ok_or(RegisterError::NoSuchKey(key))?;
        if place.socket.is_some() {
            return Err(RegisterError::Taken);
        }
        let ipv6 = socket::is_ipv6(&fd)?;
        socket::drop_incoming(&fd).map_err(os("attaching a filter to the socket"))?;
        self.ring
            .submitter()
            .register_files_update(key, &[fd.as_raw_fd()])
            .map_err(os("registering the socket"))?;
        place.ipv6 = ipv6;
        place.socket = Some(fd);
        Ok(())
    }

    /// Gives the socket back, disarmed.
    pub fn unregister_socket(&mut self, key: u32) -> Option<OwnedFd> {
        self.disarm(key);
        // Requests that still lie in the queue name the key, not the socket:
        // they must reach the kernel before the key means another one.
        let _ = self.flush();
        let place = self.sockets.places.get_mut(key as usize)?;
        let fd = place.socket.take()?;
        let _ = self.ring.submitter().register_files_update(key, &[-1]);
        Some(fd)
    }

    /// Starts to receive on `key`; what lies in the socket from before is
    /// thrown away. Does nothing when it is armed already.
    ///
    /// # Errors
    /// [`RegisterError::NoSocket`], or what the kernel says.
    pub fn arm(&mut self, key: u32) -> Result<(), RegisterError> {
        let Some(fd) = self.sockets.socket(key) else {
            return Err(RegisterError::NoSocket(key));
        };
        if self.sockets.places[key as usize].armed {
            return Ok(());
        }
        self.stats.stale += socket::drain(fd);
        socket::accept_incoming(fd).map_err(os("taking the filter off the socket"))?;
        let place = &mut self.sockets.places[key as usize];
        place.armed = true;
        place.generation = (place.generation + 1) & GENERATION_MASK;
        let generation = place.generation;
        self.start_receive(key, generation).map_err(broken)
    }

    /// Stops to receive on `key`: after this no datagram of it is reported,
    /// and what comes for it is dropped in the kernel.
    pub fn disarm(&mut self, key: u32) {
        let Some(place) = self.sockets.places.get_mut(key as usize) else {
            return;
        };
        if !place.armed {
            return;
        }
        place.armed = false;
        place.starved = false;
        let generation = place.generation;
        if let Some(fd) = &place.socket {
            // Without the filter a stranger costs a wake-up until `arm` drains
            // the socket; nothing breaks.
            let _ = socket::drop_incoming(fd);
        }
        let receive = Tag::Receive { key, generation }.pack();
        let cancel = opcode::AsyncCancel2::new(CancelBuilder::user_data(receive))
            .build()
            .user_data(Tag::Cancel.pack());
        // SAFETY: a cancel request points to nothing. A broken ring shows
        // itself at the next wait.
        let _ = unsafe { self.push(&cancel) };
    }

    /// Where datagrams from socket `key` to `address` go, prepared. `None` when
    /// there is no such socket, or an IPv4 socket cannot reach the address.
    #[must_use]
    pub fn destination(&self, key: u32, address: SocketAddr) -> Option<Destination> {
        let place = self.sockets.places.get(key as usize)?;
        place.socket.as_ref()?;
        Destination::new(address, place.ipv6)
    }

    /// Reports [`Event::Doorbell`] whenever the eventfd is rung; also once at
    /// the start if it was rung before.
    ///
    /// # Errors
    /// [`RegisterError::Taken`] when there is a doorbell, or what the kernel says.
    pub fn watch_doorbell(&mut self, eventfd: BorrowedFd<'_>) -> Result<(), RegisterError> {
        if self.doorbell.is_some() {
            return Err(RegisterError::Taken);
        }
        let fd = eventfd
            .try_clone_to_owned()
            .map_err(os("duplicating the doorbell"))?;
        self.doorbell = Some(fd);
        self.poll_doorbell().map_err(broken)
    }

    fn poll_doorbell(&mut self) -> Result<(), WaitError> {
        let Some(fd) = &self.doorbell else {
            return Ok(());
        };
        let poll = opcode::PollAdd::new(Fd(fd.as_raw_fd()), libc::POLLIN as u32)
            .multi(true)
            .build()
            .user_data(Tag::Doorbell.pack());
        // SAFETY: a poll request points to nothing.
        unsafe { self.push(&poll) }
    }

    pub(super) fn rung(&mut self, entry: &cqueue::Entry) -> Option<Event> {
        if !cqueue::more(entry.flags()) {
            if entry.result() < 0 {
                self.stats.unexpected += 1;
                return None;
            }
            // The kernel ends a multishot whose completion it had to queue.
            let _ = self.poll_doorbell();
        }
        Some(Event::Doorbell)
    }

    /// What the completion of a receive means.
    pub(super) fn received(
        &mut self,
        key: u32,
        generation: u32,
        entry: &cqueue::Entry,
    ) -> Option<Event> {
        let datagram = self.take_datagram(entry);
        if !self.sockets.is_current(key, generation) {
            if let Some((_, lease)) = datagram {
                self.stats.late += 1;
                self.release(lease);
            }
            return None;
        }
        if !cqueue::more(entry.flags()) {
            let errno = -entry.result().min(0);
            if errno == libc::ENOBUFS {
                self.stats.no_slot += 1;
                self.starve(key);
            } else if is_final(errno) {
                self.disarm(key);
                return Some(Event::ReceiveFailed { key, errno });
            } else {
                // An empty datagram, an ICMP error on a connected socket, or a
                // full completion queue: none is a reason to stop.
                self.stats.rearmed += 1;
                if self.start_receive(key, generation).is_err() {
                    self.starve(key);
                }
            }
        }
        let (source, lease) = datagram?;
        self.stats.received += 1;
        Some(Event::Datagram { key, source, lease })
    }

    fn start_receive(&mut self, key: u32, generation: u32) -> Result<(), WaitError> {
        let request = self.sockets.receive(key, generation);
        // SAFETY: the request points to the header, which is boxed, read when
        // it is submitted, and lives as long as the driver. What it writes to
        // are the slots of the buffer ring, which outlive the ring.
        unsafe { self.push(&request) }
    }

    fn starve(&mut self, key: u32) {
        let place = &mut self.sockets.places[key as usize];
        place.starved = true;
        if !place.listed {
            place.listed = true;
            self.sockets.starved.push(key);
        }
    }

    /// Starts receives again that had ended for want of slots, once there are
    /// enough slots that they don't end at once.
    pub(super) fn restart_starved(&mut self) -> Result<(), WaitError> {
        let enough = self.receive.pool.slots().div_ceil(8).min(64);
        if self.sockets.starved.is_empty() || self.receive.pool.lent() < enough {
            return Ok(());
        }
        while let Some(key) = self.sockets.starved.pop() {
            let place = &mut self.sockets.places[key as usize];
            place.listed = false;
            let generation = place.generation;
            if std::mem::take(&mut place.starved) {
                self.start_receive(key, generation)?;
            }
        }
        Ok(())
    }
}
