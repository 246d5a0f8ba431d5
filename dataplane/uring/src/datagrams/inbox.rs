//! Receiving: slots, and which datagrams lie in them.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::address::parse;

/// Bytes of a slot: the longest burst there is.
const SLOT_LEN: usize = 1 << 16;
/// From one slot to the next. Not a power of two, or the beginnings of all slots
/// would share a few lines of the cache.
const STRIDE: usize = SLOT_LEN + 2_048 + 64;
/// Room for a `sockaddr_in6`.
const NAME_ROOM: usize = 32;
/// Room for one control message with a number of four bytes.
const CONTROL_ROOM: usize = 24;

#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Name([u8; NAME_ROOM]);

#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL_ROOM]);

/// One datagram or burst.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Received {
    /// From where; an IPv4-mapped address is shown as IPv4.
    pub source: SocketAddr,
    /// Where its bytes lie: for [`Inbox::bytes`] and [`super::Outbox::push`].
    pub range: Range<usize>,
    /// How long each datagram of a burst is, the last perhaps less; the whole
    /// length where there is one.
    pub segment: usize,
}

/// Slots to receive into, one after the other until [`Inbox::clear`].
pub struct Inbox {
    memory: Vec<u8>,
    slots: usize,
    used: usize,
    names: Vec<Name>,
    controls: Vec<Control>,
    vectors: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

// SAFETY: the pointers in `vectors` and `headers` are scratch of `receive`, which
// writes them anew each time; between calls nobody follows them.
unsafe impl Send for Inbox {}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox")
            .field("slots", &self.slots)
            .field("used", &self.used)
            .finish_non_exhaustive()
    }
}

impl Inbox {
    /// So many slots of 64 KiB; the kernel gives pages as they are first used.
    #[must_use]
    pub fn new(slots: usize) -> Self {
        let vector = libc::iovec {
            iov_base: std::ptr::null_mut(),
            iov_len: 0,
        };
        Self {
            memory: vec![0; slots * STRIDE],
            slots,
            used: 0,
            names: vec![Name([0; NAME_ROOM]); slots],
            controls: vec![Control([0; CONTROL_ROOM]); slots],
            vectors: vec![vector; slots],
            // SAFETY: an `mmsghdr` is integers and pointers; all zeros are one.
            headers: vec![unsafe { std::mem::zeroed() }; slots],
        }
    }

    /// Slots that are free.
    #[must_use]
    pub const fn free(&self) -> usize {
        self.slots - self.used
    }

    /// Frees all slots.
    pub fn clear(&mut self) {
        self.used = 0;
    }

    /// All bytes of a [`Received::range`] or part of it.
    ///
    /// # Panics
    /// When the range is not within the slots.
    #[must_use]
    pub fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.memory[range]
    }

    /// Lets the caller write into one free slot, which is zeros or old bytes; `write`
    /// tells how many count. `None` when no slot is free.
    pub fn fill(&mut self, write: impl FnOnce(&mut [u8]) -> usize) -> Option<Range<usize>> {
        if self.free() == 0 {
            return None;
        }
        let at = self.used * STRIDE;
        self.used += 1;
        let len = write(&mut self.memory[at..at + SLOT_LEN]).min(SLOT_LEN);
        Some(at..at + len)
    }

    /// Takes up to `most` datagrams or bursts off a socket, into free slots, and
    /// puts what they are behind `received`. Returns how many; 0 when nothing is
    /// there or no slot is free.
    ///
    /// # Errors
    /// What the kernel says other than that nothing is there. An ICMP error that
    /// lay in the socket is such a word, and gone with it.
    pub fn receive(
        &mut self,
        socket: BorrowedFd<'_>,
        most: usize,
        received: &mut Vec<Received>,
    ) -> io::Result<usize> {
        let first = self.used;
        let most = most.min(self.free());
        if most == 0 {
            return Ok(0);
        }
        let base = self.memory.as_mut_ptr();
        for slot in first..first + most {
            self.vectors[slot] = libc::iovec {
                // SAFETY: `slot < slots`, and the memory has `slots * STRIDE` bytes.
                iov_base: unsafe { base.add(slot * STRIDE) }.cast(),
                iov_len: SLOT_LEN,
            };
            let header = &mut self.headers[slot].msg_hdr;
            header.msg_name = self.names[slot].0.as_mut_ptr().cast();
            header.msg_namelen = NAME_ROOM as libc::socklen_t;
            header.msg_iov = &raw mut self.vectors[slot];
            header.msg_iovlen = 1;
            header.msg_control = self.controls[slot].0.as_mut_ptr().cast();
            header.msg_controllen = CONTROL_ROOM;
            header.msg_flags = 0;
        }
        // SAFETY: the `most` headers from `first` on are ours, and each points to a
        // name, a vector and a control buffer of its own with the room it states,
        // and the vector to a slot of its own; none moves during the call.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr().add(first),
                most as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let Ok(count) = usize::try_from(count) else {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(0),
                _ => Err(error),
            };
        };
        self.used = first + count;
        for slot in first..first + count {
            let header = &self.headers[slot];
            let len = header.msg_len as usize;
            let name = &self.names[slot].0;
            let name_len = (header.msg_hdr.msg_namelen as usize).min(NAME_ROOM);
            let Some(source) = parse(&name[..name_len]) else {
                continue;
            };
            let at = slot * STRIDE;
            let segment = segment(&self.controls[slot], header.msg_hdr.msg_controllen);
            received.push(Received {
                source,
                range: at..at + len,
                segment: segment.unwrap_or(len).clamp(1, len.max(1)),
            });
        }
        Ok(count)
    }
}

/// The segment length that the kernel wrote beside a burst.
fn segment(control: &Control, len: usize) -> Option<usize> {
    // A `cmsghdr`: its length (8 bytes), level, type, then a number of four.
    const HEADER: usize = 16;
    if len < HEADER + 4 {
        return None;
    }
    let word = |at: usize| -> Option<i32> {
        Some(i32::from_ne_bytes(*control.0.get(at..)?.first_chunk()?))
    };
    if word(8)? != libc::IPPROTO_UDP || word(12)? != libc::UDP_GRO {
        return None;
    }
    usize::try_from(word(HEADER)?).ok()
}
