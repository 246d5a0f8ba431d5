//! Datagrams on their way out.

use io_uring::{cqueue, opcode, squeue, types};
use plenum_pool::{Lease, Pool, PoolError};

use super::{Driver, Event, NotSent, SEND_HEAD_ROOM, Tag};
use crate::buffers::BufferRing;
use crate::{Destination, DriverStats, NotSentReason};

/// One datagram that the kernel has or will get.
struct OnItsWay {
    /// Holds the bytes still until the kernel is done with them.
    lease: Option<Lease>,
    key: u32,
    destination: Destination,
}

/// What SENDMSG needs, on kernels whose SEND takes no address.
struct Message {
    header: libc::msghdr,
    bytes: libc::iovec,
}

/// The table of datagrams on their way and the pool they are built in.
pub(super) struct Sends {
    pub(super) pool: Pool,
    table: Box<[OnItsWay]>,
    /// Empty where SEND takes an address.
    messages: Box<[Message]>,
    free: Vec<u32>,
}

impl Sends {
    pub(super) fn new(slots: u32, send_to: bool) -> Result<Self, PoolError> {
        let pool = Pool::new(slots)?;
        let message = || Message {
            // SAFETY: zeros are a valid `msghdr`: null pointers and no lengths.
            header: unsafe { std::mem::zeroed() },
            bytes: libc::iovec {
                iov_base: std::ptr::null_mut(),
                iov_len: 0,
            },
        };
        Ok(Self {
            pool,
            table: (0..slots)
                .map(|_| OnItsWay {
                    lease: None,
                    key: 0,
                    destination: Destination::NONE,
                })
                .collect(),
            messages: (0..if send_to { 0 } else { slots })
                .map(|_| message())
                .collect(),
            free: (0..slots).rev().collect(),
        })
    }

    pub(super) fn on_their_way(&self) -> usize {
        self.table.len() - self.free.len()
    }

    /// Ends the datagram in `place`: its slot goes back where it came from.
    /// `false` when there is an error to report; the place is kept until then.
    pub(super) fn finish(
        &mut self,
        place: u32,
        result: i32,
        receive: &mut BufferRing,
        stats: &mut DriverStats,
    ) -> bool {
        let Some(entry) = self.table.get_mut(place as usize) else {
            stats.unexpected += 1;
            return true;
        };
        match entry.lease.take() {
            Some(lease) if receive.pool.owns(&lease) => receive.give(lease),
            Some(lease) => self.pool.release(lease),
            None => {
                stats.unexpected += 1;
                return true;
            }
        }
        if result < 0 {
            stats.send_failed += 1;
            return false;
        }
        stats.sent += 1;
        self.free.push(place);
        true
    }

    /// Reports the failure that [`Self::finish`] found, and frees the place.
    pub(super) fn failed(&mut self, place: u32, entry: &cqueue::Entry) -> Option<Event> {
        let key = self.table.get(place as usize)?.key;
        self.free.push(place);
        Some(Event::SendFailed {
            key,
            errno: -entry.result(),
        })
    }

    /// The pools are going too: nothing is lost.
    pub(super) fn forget_leases(&mut self) {
        for entry in &mut self.table {
            std::mem::forget(entry.lease.take());
        }
    }

    /// Fills a free place and the request for it. `file` is the socket's key.
    fn request(&mut self, place: u32, bytes: *const u8, len: usize) -> squeue::Entry {
        // A full socket buffer drops the datagram: late media is worth nothing.
        const FLAGS: i32 = libc::MSG_DONTWAIT;
        let entry = &self.table[place as usize];
        let socket = types::Fixed(entry.key);
        match self.messages.get_mut(place as usize) {
            None => opcode::Send::new(socket, bytes, len as u32)
                .flags(FLAGS)
                .dest_addr(entry.destination.as_ptr())
                .dest_addr_len(entry.destination.len())
                .build(),
            Some(message) => {
                message.bytes.iov_base = bytes.cast_mut().cast();
                message.bytes.iov_len = len;
                message.header.msg_name = entry.destination.as_ptr().cast_mut().cast();
                message.header.msg_namelen = entry.destination.len();
                message.header.msg_iov = &raw mut message.bytes;
                message.header.msg_iovlen = 1;
                opcode::SendMsg::new(socket, &raw const message.header)
                    .flags(FLAGS as u32)
                    .build()
            }
        }
        .user_data(Tag::Send { place }.pack())
    }
}

impl Driver {
    /// An empty slot to build a datagram in, with [`SEND_HEAD_ROOM`]. `None`
    /// while all are on their way or being filled.
    pub fn send_buffer(&mut self) -> Option<Lease> {
        if self.sends.pool.available() == 0 {
            self.make_room();
        }
        self.sends.pool.lease(SEND_HEAD_ROOM)
    }

    /// What is queued goes out, and what is out comes back.
    fn make_room(&mut self) {
        // A broken ring shows itself at the next wait.
        let _ = self.flush();
    }

    /// Queues a datagram: the bytes of `lease`, from socket `key`. The slot
    /// comes back by itself when the kernel has taken it. A received lease can
    /// be sent as well, changed or not.
    ///
    /// # Errors
    /// [`NotSent`] gives the lease back.
    pub fn send(&mut self, key: u32, to: &Destination, lease: Lease) -> Result<(), NotSent> {
        let not_sent = |lease, reason| Err(NotSent { lease, reason });
        if !self.sockets.is_registered(key) || to.len() == 0 {
            return not_sent(lease, NotSentReason::NoSocket);
        }
        if self.sends.free.is_empty() || self.ring.submission().is_full() {
            self.make_room();
        }
        let Some(&place) = self.sends.free.last() else {
            self.stats.send_full += 1;
            return not_sent(lease, NotSentReason::Full);
        };
        let pool = if self.receive.pool.owns(&lease) {
            &self.receive.pool
        } else {
            &self.sends.pool
        };
        let (bytes, len) = (pool.as_ptr(&lease), lease.len());
        let entry = &mut self.sends.table[place as usize];
        entry.key = key;
        entry.destination = *to;
        let request = self.sends.request(place, bytes.as_ptr(), len);
        // SAFETY: the bytes stay: their slot stays leased, and the lease is put
        // into the table below, from where only the completion (or, with the
        // ring closed, `drop`) takes it. Address and message header lie in
        // tables that never move, and their place is not free until then.
        if unsafe { self.ring.submission().push(&request) }.is_err() {
            self.stats.send_full += 1;
            return not_sent(lease, NotSentReason::Full);
        }
        self.sends.free.pop();
        self.sends.table[place as usize].lease = Some(lease);
        Ok(())
    }
}
