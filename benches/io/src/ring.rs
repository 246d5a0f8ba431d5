//! io_uring without the driver, in the variants one can choose from.

use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use io_uring::types::{BufRingEntry, Fd, Fixed, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use plenum_abi::Nanos;
use plenum_uring::now;

use crate::sys::{Address, Mapping, SendBatch};
use crate::way::{Io, Legs, PAYLOAD};

#[derive(Clone, Copy)]
pub(crate) enum By {
    /// IORING_OP_SEND with an address.
    SendTo,
    /// IORING_OP_SEND on connected sockets.
    Send,
    SendMsg,
    /// Plain sendto or send.
    SystemCall,
    Mmsg,
}

#[derive(Clone, Copy)]
pub(crate) struct Options {
    /// SINGLE_ISSUER and DEFER_TASKRUN.
    pub(crate) own_thread_only: bool,
    pub(crate) registered_files: bool,
    pub(crate) connected: bool,
    /// The shortest wait.
    pub(crate) gather: Duration,
    pub(crate) send: By,
}

const SLOT: usize = 2_048;
const SLOTS: u16 = 4_096;
/// In the `user_data` of everything but receives.
const NOT_A_RECEIVE: u64 = 1 << 32;
/// Room for a `sockaddr_in`, and the lengths and flags before it.
const NAME: usize = 16;
const HEADER: usize = 16 + NAME;

/// Entries and slots, handed to the kernel.
struct Slots {
    entries: Mapping,
    bytes: Mapping,
    tail: u16,
}

impl Slots {
    fn give(&mut self, id: u16) {
        let at = usize::from(self.tail & (SLOTS - 1));
        // SAFETY: `at < SLOTS`, the entries' number; the kernel does not read
        // this one before the tail passes it; nobody else has a reference.
        unsafe {
            let entry = &mut *self.entries.at::<BufRingEntry>(at);
            entry.set_addr(self.bytes.at::<[u8; SLOT]>(usize::from(id)) as u64);
            entry.set_len(SLOT as u32);
            entry.set_bid(id);
        }
        self.tail = self.tail.wrapping_add(1);
    }

    fn publish(&self) {
        // SAFETY: the tail is a mapped and aligned `u16` in the first entry.
        let tail =
            unsafe { AtomicU16::from_ptr(BufRingEntry::tail(self.entries.at(0)).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}

pub(crate) struct Ring {
    // First: closed before the memory goes.
    ring: IoUring,
    slots: Slots,
    options: Options,
    sockets: Vec<UdpSocket>,
    peers: Vec<std::net::SocketAddr>,
    addresses: Vec<Address>,
    payloads: Vec<[u8; PAYLOAD]>,
    sends: SendBatch,
    header: Box<libc::msghdr>,
    ended: Vec<u32>,
}

impl Ring {
    pub(crate) fn new(legs: Legs, options: Options) -> Self {
        let mut builder = IoUring::builder();
        builder.setup_cqsize(16_384).setup_submit_all();
        if options.own_thread_only {
            builder.setup_single_issuer().setup_defer_taskrun();
        }
        let ring: IoUring = builder.build(256).expect("a ring");
        if options.registered_files {
            let files: Vec<i32> = legs.sockets.iter().map(AsRawFd::as_raw_fd).collect();
            ring.submitter().register_files(&files).expect("registered");
        }
        let mut slots = Slots {
            entries: Mapping::new(usize::from(SLOTS) * size_of::<BufRingEntry>()),
            bytes: Mapping::new(usize::from(SLOTS) * SLOT),
            tail: 0,
        };
        // SAFETY: the entries stay mapped longer than the ring: `Ring` drops
        // its fields in order, and `drop` ends all requests before.
        unsafe {
            ring.submitter()
                .register_buf_ring_with_flags(slots.entries.at::<u8>(0) as u64, SLOTS, 0, 0)
                .expect("registered");
        }
        (0..SLOTS).for_each(|id| slots.give(id));
        slots.publish();
        // SAFETY: zeros are a valid `msghdr`.
        let mut header: Box<libc::msghdr> = Box::new(unsafe { std::mem::zeroed() });
        header.msg_namelen = NAME as u32;
        let mut this = Self {
            ring,
            slots,
            options,
            payloads: legs.payloads(),
            addresses: legs.peers.iter().map(|&peer| Address::new(peer)).collect(),
            sends: SendBatch::new(&legs.peers),
            sockets: legs.sockets,
            peers: legs.peers,
            header,
            ended: Vec::new(),
        };
        for key in 0..this.sockets.len() as u32 {
            this.receive(key);
        }
        this.ring.submit().expect("submitted");
        this
    }

    fn receive(&mut self, key: u32) {
        let header = &raw const *self.header;
        let fd = Fd(self.sockets[key as usize].as_raw_fd());
        let entry = match (self.options.connected, self.options.registered_files) {
            (false, true) => opcode::RecvMsgMulti::new(Fixed(key), header, 0).build(),
            (false, false) => opcode::RecvMsgMulti::new(fd, header, 0).build(),
            (true, true) => opcode::RecvMulti::new(Fixed(key), 0).build(),
            (true, false) => opcode::RecvMulti::new(fd, 0).build(),
        };
        self.push(&entry.user_data(u64::from(key)));
    }

    fn push(&mut self, entry: &squeue::Entry) {
        // SAFETY: header, payloads, addresses and message headers are boxed or
        // in vectors that nobody changes, and live as long as the ring.
        while unsafe { self.ring.submission().push(entry) }.is_err() {
            self.ring.submit().expect("submitted");
        }
    }

    fn send_entry(&self, leg: usize) -> squeue::Entry {
        let key = leg % self.sockets.len();
        let (fixed, fd) = (Fixed(key as u32), Fd(self.sockets[key].as_raw_fd()));
        let bytes = self.payloads[leg].as_ptr();
        let len = PAYLOAD as u32;
        let address = &self.addresses[leg];
        let entry = match (self.options.send, self.options.registered_files) {
            (By::SendMsg, true) => opcode::SendMsg::new(fixed, self.sends.header(leg)).build(),
            (By::SendMsg, false) => opcode::SendMsg::new(fd, self.sends.header(leg)).build(),
            (By::Send, true) => opcode::Send::new(fixed, bytes, len).build(),
            (By::Send, false) => opcode::Send::new(fd, bytes, len).build(),
            (_, true) => opcode::Send::new(fixed, bytes, len)
                .dest_addr(address.as_ptr())
                .dest_addr_len(address.len())
                .build(),
            (_, false) => opcode::Send::new(fd, bytes, len)
                .dest_addr(address.as_ptr())
                .dest_addr_len(address.len())
                .build(),
        };
        entry.user_data(NOT_A_RECEIVE)
    }
}

impl Io for Ring {
    fn wait(&mut self, until: Nanos, datagram: &mut dyn FnMut(&[u8])) {
        let limit = Timespec::from(until.since(now()));
        let mut args = SubmitArgs::new().timespec(&limit);
        let mut want = 1;
        if !self.options.gather.is_zero() {
            args = args.min_wait_usec(self.options.gather.as_micros() as u32);
            want = 1_024;
        }
        // Its errors are "the time is over" and "a signal".
        let _ = self.ring.submitter().submit_with_args(want, &args);
        let head = if self.options.connected { 0 } else { HEADER };
        for entry in self.ring.completion() {
            if entry.user_data() == NOT_A_RECEIVE {
                assert_eq!(entry.result(), PAYLOAD as i32);
                continue;
            }
            if let Some(id) = cqueue::buffer_select(entry.flags()) {
                // SAFETY: the kernel named the slot and wrote so many bytes to
                // it; it gets it back only below.
                let bytes = unsafe {
                    let slot = self.slots.bytes.at::<[u8; SLOT]>(usize::from(id));
                    &(&*slot)[head..entry.result() as usize]
                };
                datagram(bytes);
                self.slots.give(id);
            }
            if !cqueue::more(entry.flags()) {
                self.ended.push(entry.user_data() as u32);
            }
        }
        self.slots.publish();
        while let Some(key) = self.ended.pop() {
            self.receive(key);
        }
    }

    fn tick(&mut self) {
        match self.options.send {
            By::Mmsg => self.sends.send(&self.sockets[0], &self.payloads),
            By::SystemCall if self.options.connected => {
                for (socket, payload) in self.sockets.iter().zip(&self.payloads) {
                    socket.send(payload).expect("sent");
                }
            }
            By::SystemCall => {
                for (leg, (peer, payload)) in self.peers.iter().zip(&self.payloads).enumerate() {
                    let socket = &self.sockets[leg % self.sockets.len()];
                    socket.send_to(payload, peer).expect("sent");
                }
            }
            _ => {
                if matches!(self.options.send, By::SendMsg) {
                    self.sends.point_at(&self.payloads);
                }
                for leg in 0..self.payloads.len() {
                    let entry = self.send_entry(leg);
                    self.push(&entry);
                }
                self.ring.submit().expect("submitted");
            }
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        let all = io_uring::types::CancelBuilder::any();
        let _ = self.ring.submitter().register_sync_cancel(None, all);
        let _ = self.ring.submit_and_wait(1);
    }
}
