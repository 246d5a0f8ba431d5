//! Sending: datagrams made of a header, a part of a received one, and padding.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::{Inbox, SEGMENTS_MAX};
use crate::Destination;

/// Longest burst; a little less than UDP's longest datagram.
const BURST_MAX: usize = 65_000;
/// Room for one control message with a number of two bytes.
const CONTROL_ROOM: usize = 24;
/// Zeros to pad with.
static ZEROS: [u8; 4] = [0; 4];

#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL_ROOM]);

/// A piece of a datagram.
#[derive(Clone, Debug)]
enum Part {
    /// Of the inbox.
    Received(Range<usize>),
    /// Of the headers of this outbox.
    Header(Range<usize>),
    /// So many zeros.
    Zeros(usize),
}

#[derive(Clone, Debug)]
struct Burst {
    to: Destination,
    address: SocketAddr,
    parts: Range<usize>,
    segments: usize,
    /// Length of each of them but perhaps the last.
    segment: usize,
    len: usize,
    /// A shorter one closes it.
    is_closed: bool,
}

/// How a batch went.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Sent {
    /// Datagrams that the kernel took.
    pub datagrams: u64,
    /// Datagrams that it did not.
    pub failed: u64,
}

/// Datagrams that wait to be sent through one socket.
pub struct Outbox {
    is_ipv6: bool,
    bursts_allowed: bool,
    parts: Vec<Part>,
    headers: Vec<u8>,
    bursts: Vec<Burst>,
    /// Where each segment's parts begin, for those that are sent one by one.
    segment_parts: Vec<usize>,
    controls: Vec<Control>,
    vectors: Vec<libc::iovec>,
    messages: Vec<libc::mmsghdr>,
}

// SAFETY: the pointers in `vectors` and `messages` are scratch of `send`, which
// writes them anew each time; between calls nobody follows them.
unsafe impl Send for Outbox {}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox")
            .field("bursts", &self.bursts.len())
            .finish_non_exhaustive()
    }
}

impl Outbox {
    /// An empty one for sockets of a family. Without `bursts_allowed` every
    /// datagram is sent by itself.
    #[must_use]
    pub fn new(is_ipv6: bool, bursts_allowed: bool) -> Self {
        Self {
            is_ipv6,
            bursts_allowed,
            parts: Vec::new(),
            headers: Vec::new(),
            bursts: Vec::new(),
            segment_parts: Vec::new(),
            controls: Vec::new(),
            vectors: Vec::new(),
            messages: Vec::new(),
        }
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bursts.is_empty()
    }

    /// Adds a datagram; `false` when the socket's family cannot reach `to`.
    pub fn push(
        &mut self,
        to: SocketAddr,
        header: &[u8],
        payload: Range<usize>,
        padding: usize,
    ) -> bool {
        let len = header.len() + payload.len() + padding;
        let joins = self.bursts.last().is_some_and(|last| {
            self.bursts_allowed
                && !last.is_closed
                && last.address == to
                && last.segments < SEGMENTS_MAX
                && len > 0
                && len <= last.segment
                && last.len + len <= BURST_MAX
        });
        if !joins {
            let Some(destination) = Destination::new(to, self.is_ipv6) else {
                return false;
            };
            self.bursts.push(Burst {
                to: destination,
                address: to,
                parts: self.parts.len()..self.parts.len(),
                segments: 0,
                segment: len,
                len: 0,
                is_closed: len == 0,
            });
        }
        self.segment_parts.push(self.parts.len());
        if !header.is_empty() {
            let at = self.headers.len();
            self.headers.extend_from_slice(header);
            self.parts.push(Part::Header(at..self.headers.len()));
        }
        self.parts.push(Part::Received(payload));
        if padding > 0 {
            self.parts.push(Part::Zeros(padding.min(ZEROS.len())));
        }
        if let Some(last) = self.bursts.last_mut() {
            last.parts.end = self.parts.len();
            last.segments += 1;
            last.len += len;
            last.is_closed |= len < last.segment;
        }
        true
    }

    /// Sends all that waits through `socket`. Blocks never; what the socket has no
    /// room for is lost, as a datagram may be.
    ///
    /// # Panics
    /// When a part lies outside of `inbox`.
    pub fn send(&mut self, socket: BorrowedFd<'_>, inbox: &Inbox) -> Sent {
        let mut sent = Sent::default();
        self.build_vectors(inbox);
        let mut next = 0;
        while next < self.bursts.len() {
            self.build_messages(next);
            match send_messages(socket, &mut self.messages) {
                Ok(count) => {
                    let taken = &self.bursts[next..next + count];
                    sent.datagrams += taken.iter().map(|one| one.segments as u64).sum::<u64>();
                    next += count;
                    if count == 0 {
                        break;
                    }
                }
                Err(errno) => {
                    let refused = &self.bursts[next];
                    let cut = matches!(errno, libc::EIO | libc::EINVAL | libc::EMSGSIZE);
                    if refused.segments > 1 && cut {
                        self.bursts_allowed = false;
                        sent.datagrams += self.send_singly(socket, next);
                    } else {
                        sent.failed += refused.segments as u64;
                    }
                    next += 1;
                }
            }
        }
        self.parts.clear();
        self.headers.clear();
        self.bursts.clear();
        self.segment_parts.clear();
        sent
    }

    fn build_vectors(&mut self, inbox: &Inbox) {
        self.vectors.clear();
        for part in &self.parts {
            let bytes: &[u8] = match part {
                Part::Received(range) => inbox.bytes(range.clone()),
                Part::Header(range) => &self.headers[range.clone()],
                Part::Zeros(count) => &ZEROS[..*count],
            };
            self.vectors.push(libc::iovec {
                iov_base: bytes.as_ptr().cast_mut().cast(),
                iov_len: bytes.len(),
            });
        }
        // Before the messages point to it: it must not move after that.
        self.controls
            .resize(self.bursts.len(), Control([0; CONTROL_ROOM]));
    }

    /// Messages for the bursts from `first` on.
    fn build_messages(&mut self, first: usize) {
        self.messages.clear();
        for (index, burst) in self.bursts.iter().enumerate().skip(first) {
            let control = (burst.segments > 1).then(|| {
                let control = &mut self.controls[index];
                *control = segment_control(burst.segment);
                control
            });
            self.messages.push(message(
                &burst.to,
                &mut self.vectors[burst.parts.clone()],
                control,
            ));
        }
    }

    /// Sends one burst datagram by datagram; how many the kernel took.
    fn send_singly(&mut self, socket: BorrowedFd<'_>, index: usize) -> u64 {
        let burst = self.bursts[index].clone();
        let mut taken = 0;
        let starts: Vec<usize> = self
            .segment_parts
            .iter()
            .copied()
            .filter(|start| burst.parts.contains(start))
            .chain([burst.parts.end])
            .collect();
        for bounds in starts.windows(2) {
            let vectors = &mut self.vectors[bounds[0]..bounds[1]];
            let mut one = [message(&burst.to, vectors, None)];
            taken += u64::from(send_messages(socket, &mut one) == Ok(1));
        }
        taken
    }
}

/// The control message that tells where a burst is to be cut.
fn segment_control(segment: usize) -> Control {
    let mut control = Control([0; CONTROL_ROOM]);
    let segment = u16::try_from(segment).unwrap_or(u16::MAX);
    control.0[..8].copy_from_slice(&18_usize.to_ne_bytes());
    control.0[8..12].copy_from_slice(&libc::IPPROTO_UDP.to_ne_bytes());
    control.0[12..16].copy_from_slice(&libc::UDP_SEGMENT.to_ne_bytes());
    control.0[16..18].copy_from_slice(&segment.to_ne_bytes());
    control
}

fn message(
    to: &Destination,
    vectors: &mut [libc::iovec],
    control: Option<&mut Control>,
) -> libc::mmsghdr {
    // SAFETY: an `mmsghdr` is integers and pointers; all zeros are one.
    let mut message: libc::mmsghdr = unsafe { std::mem::zeroed() };
    let header = &mut message.msg_hdr;
    header.msg_name = to.as_ptr().cast_mut().cast();
    header.msg_namelen = to.len();
    header.msg_iov = vectors.as_mut_ptr();
    header.msg_iovlen = vectors.len();
    if let Some(control) = control {
        header.msg_control = control.0.as_mut_ptr().cast();
        header.msg_controllen = CONTROL_ROOM;
    }
    message
}

/// Sends what it can; an error when the first could not be sent.
fn send_messages(socket: BorrowedFd<'_>, messages: &mut [libc::mmsghdr]) -> Result<usize, i32> {
    loop {
        // SAFETY: each message points to a destination, vectors and a control
        // buffer that its maker borrowed from an outbox, and the vectors to bytes
        // of that outbox and of an inbox, all of which outlive this call: both are
        // borrowed by the callers throughout. The kernel only reads them, and
        // writes to `msg_len`.
        let count = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                messages.as_mut_ptr(),
                messages.len() as libc::c_uint,
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            )
        };
        if let Ok(count) = usize::try_from(count) {
            return Ok(count);
        }
        match io::Error::last_os_error().raw_os_error() {
            Some(libc::EINTR) => {}
            errno => return Err(errno.unwrap_or(0)),
        }
    }
}
