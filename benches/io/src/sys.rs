//! System calls that no safe crate offers.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::ptr;

use crate::way::PAYLOAD;

/// Says how dear system calls are on this machine: it explains the rest.
pub(crate) fn print_cost_of_a_system_call() {
    const TIMES: u32 = 100_000;
    let before = plenum_uring::now();
    for _ in 0..TIMES {
        // SAFETY: takes nothing and touches nothing.
        unsafe { libc::syscall(libc::SYS_getppid) };
    }
    let each = plenum_uring::now().since(before) / TIMES;
    println!("a system call that does nothing: {} ns\n", each.as_nanos());
}

/// Gives the thread a real-time priority, or says that it has none.
pub(crate) fn realtime() {
    let priority = libc::sched_param { sched_priority: 10 };
    // SAFETY: reads the struct, which lives.
    if unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const priority) } != 0 {
        eprintln!("no right to real-time priority: figures are disturbed by other work");
    }
}

/// Makes the kernel drop what the socket gets.
pub(crate) fn drop_incoming(socket: &UdpSocket) {
    let mut nothing = libc::sock_filter {
        code: (libc::BPF_RET | libc::BPF_K) as u16,
        jt: 0,
        jf: 0,
        k: 0,
    };
    let program = libc::sock_fprog {
        len: 1,
        filter: &raw mut nothing,
    };
    set_option(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program);
}

pub(crate) fn set_option<T>(socket: &UdpSocket, level: i32, option: i32, value: &T) {
    // SAFETY: the kernel reads `size_of::<T>()` bytes of plain C data at a
    // live reference; what a program points to outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            ptr::from_ref(value).cast(),
            size_of::<T>() as u32,
        )
    };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

/// An IPv4 address as the kernel wants it.
pub(crate) struct Address(libc::sockaddr_in);

impl Address {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let SocketAddr::V4(v4) = address else {
            panic!("the bench is IPv4")
        };
        Self(libc::sockaddr_in {
            sin_family: libc::AF_INET as u16,
            sin_port: v4.port().to_be(),
            sin_addr: libc::in_addr {
                s_addr: u32::from_ne_bytes(v4.ip().octets()),
            },
            sin_zero: [0; 8],
        })
    }

    pub(crate) fn as_ptr(&self) -> *const libc::sockaddr {
        (&raw const self.0).cast()
    }

    pub(crate) fn len(&self) -> u32 {
        size_of::<libc::sockaddr_in>() as u32
    }
}

/// Anonymous memory.
pub(crate) struct Mapping {
    base: *mut u8,
    len: usize,
}

impl Mapping {
    pub(crate) fn new(len: usize) -> Self {
        // SAFETY: new memory at an address of the kernel's choice.
        let base = unsafe {
            libc::mmap(
                ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(base, libc::MAP_FAILED);
        Self {
            base: base.cast(),
            len,
        }
    }

    /// Address of the `index`th `T`, which must lie inside.
    pub(crate) fn at<T>(&self, index: usize) -> *mut T {
        assert!((index + 1) * size_of::<T>() <= self.len);
        // SAFETY: just checked.
        unsafe { self.base.cast::<T>().add(index) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped in `new`; pointers into it are used only while it lives.
        unsafe { libc::munmap(self.base.cast(), self.len) };
    }
}

/// Message headers that point to one another's parts; all in vectors that
/// never grow, so nothing moves.
struct Messages {
    headers: Vec<libc::mmsghdr>,
    parts: Vec<libc::iovec>,
    names: Vec<libc::sockaddr_in>,
}

impl Messages {
    fn new(names: Vec<libc::sockaddr_in>, len: usize) -> Self {
        let count = names.len();
        // SAFETY: zeros are valid for both.
        let mut this = unsafe {
            Self {
                headers: vec![std::mem::zeroed(); count],
                parts: vec![std::mem::zeroed(); count],
                names,
            }
        };
        for at in 0..count {
            this.parts[at].iov_len = len;
            let header = &mut this.headers[at].msg_hdr;
            header.msg_name = (&raw mut this.names[at]).cast();
            header.msg_namelen = size_of::<libc::sockaddr_in>() as u32;
            header.msg_iov = &raw mut this.parts[at];
            header.msg_iovlen = 1;
        }
        this
    }
}

/// What `recvmmsg` fills.
pub(crate) struct ReceiveBatch {
    messages: Messages,
    bytes: Vec<[u8; 2_048]>,
}

impl ReceiveBatch {
    pub(crate) fn new(count: usize) -> Self {
        let nowhere = Address::new(SocketAddr::from(([0, 0, 0, 0], 0))).0;
        let mut this = Self {
            messages: Messages::new(vec![nowhere; count], 2_048),
            bytes: vec![[0; 2_048]; count],
        };
        for (part, bytes) in this.messages.parts.iter_mut().zip(&mut this.bytes) {
            part.iov_base = bytes.as_mut_ptr().cast();
        }
        this
    }

    /// How many came.
    pub(crate) fn receive(&mut self, socket: &UdpSocket) -> usize {
        for header in &mut self.messages.headers {
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_in>() as u32;
        }
        // SAFETY: all headers are whole and point to memory of `self`, which
        // is mutably borrowed.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.messages.headers.as_mut_ptr(),
                self.messages.headers.len() as u32,
                libc::MSG_DONTWAIT,
                ptr::null_mut(),
            )
        };
        usize::try_from(count).unwrap_or(0)
    }

    pub(crate) fn datagram(&self, at: usize) -> &[u8] {
        &self.bytes[at][..self.messages.headers[at].msg_len as usize]
    }
}

/// What `sendmmsg` sends: one datagram to each address.
pub(crate) struct SendBatch(Messages);

impl SendBatch {
    pub(crate) fn new(peers: &[SocketAddr]) -> Self {
        let names = peers.iter().map(|&peer| Address::new(peer).0).collect();
        Self(Messages::new(names, PAYLOAD))
    }

    /// Lets the headers point at these payloads.
    pub(crate) fn point_at(&mut self, payloads: &[[u8; PAYLOAD]]) {
        for (part, bytes) in self.0.parts.iter_mut().zip(payloads) {
            part.iov_base = bytes.as_ptr().cast_mut().cast();
        }
    }

    pub(crate) fn header(&self, at: usize) -> *const libc::msghdr {
        &raw const self.0.headers[at].msg_hdr
    }

    pub(crate) fn send(&mut self, socket: &UdpSocket, payloads: &[[u8; PAYLOAD]]) {
        self.point_at(payloads);
        for chunk in self.0.headers.chunks_mut(64) {
            // SAFETY: the headers are whole; payloads, names and parts live.
            let count = unsafe {
                libc::sendmmsg(
                    socket.as_raw_fd(),
                    chunk.as_mut_ptr(),
                    chunk.len() as u32,
                    0,
                )
            };
            assert_eq!(usize::try_from(count), Ok(chunk.len()));
        }
    }
}
