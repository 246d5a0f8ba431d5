//! The driver itself: set-up, the wait, and what completions become.

mod sends;
mod sockets;

use std::collections::VecDeque;
use std::io;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use io_uring::types::{CancelBuilder, SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring, Probe, cqueue, opcode, squeue};
use plenum_abi::Nanos;
use plenum_pool::{Lease, MAX_SLOTS, Pool};

use crate::buffers::BufferRing;
use crate::{DriverStats, NotSentReason, SetupError, WaitError, address, now, thread};
use sends::Sends;
use sockets::Sockets;

/// What the kernel writes before a received datagram: lengths and flags, then
/// the sender's address.
const RECEIVE_HEADER: usize = 16;
/// Room for the sender's address: a `sockaddr_in6` has 28 bytes, and 32 put
/// the datagram on a 16-byte boundary.
const NAME_ROOM: usize = 32;
/// Where a received datagram begins in its slot.
const PAYLOAD_AT: usize = RECEIVE_HEADER + NAME_ROOM;

/// Head-room of what [`Driver::send_buffer`] gives.
pub const SEND_HEAD_ROOM: usize = 64;

/// Sizes of a driver. All memory is taken at the start.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Config {
    /// Sockets: keys are below this. 1 to 32,767.
    pub sockets: u32,
    /// Slots to receive into, the packets that the worker keeps included: a
    /// jitter buffer holds some 3 to 10 a leg. 1 to 32,768, 2,048 bytes each.
    pub receive_slots: u32,
    /// Slots to send from; also how many datagrams can be on their way. They
    /// are back as soon as the kernel has taken the batch. 1 to 32,768.
    pub send_slots: u32,
    /// Entries of the submission queue, a power of two up to 32,768: how many
    /// sends go to the kernel in one batch.
    pub batch: u32,
    /// Entries of the completion queue, a power of two from `batch` to 65,536.
    /// More are never lost; they wait in the kernel, which is slower.
    pub completions: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            sockets: 1_024,
            receive_slots: 8_192,
            send_slots: 1_024,
            batch: 256,
            completions: 8_192,
        }
    }
}

/// What a wait brought.
#[derive(Debug)]
pub enum Event {
    /// A datagram came.
    Datagram {
        /// On which socket.
        key: u32,
        /// From where; an IPv4-mapped address is shown as IPv4.
        source: SocketAddr,
        /// Its bytes. To be given back with [`Driver::release`].
        lease: Lease,
    },
    /// The doorbell was rung. Clearing it is the worker's part.
    Doorbell,
    /// The kernel did not take a datagram; its slot is back already.
    SendFailed {
        /// On which socket.
        key: u32,
        /// Why.
        errno: i32,
    },
    /// A socket cannot receive any more and has been disarmed.
    ReceiveFailed {
        /// Which one.
        key: u32,
        /// Why.
        errno: i32,
    },
}

/// A datagram that was not taken for sending.
#[derive(Debug)]
pub struct NotSent {
    /// The caller's again.
    pub lease: Lease,
    /// Why.
    pub reason: NotSentReason,
}

/// What a request was, in the `user_data` that its completions carry:
/// kind (8 bits), generation (24 bits), socket key or place in the send table (32 bits).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Tag {
    Receive { key: u32, generation: u32 },
    Send { place: u32 },
    Doorbell,
    Cancel,
}

const GENERATION_MASK: u32 = 0x00ff_ffff;

impl Tag {
    fn pack(self) -> u64 {
        let (kind, generation, low) = match self {
            Self::Receive { key, generation } => (1, generation & GENERATION_MASK, key),
            Self::Send { place } => (2, 0, place),
            Self::Doorbell => (3, 0, 0),
            Self::Cancel => (4, 0, 0),
        };
        kind << 56 | u64::from(generation) << 32 | u64::from(low)
    }

    fn unpack(word: u64) -> Option<Self> {
        let low = word as u32;
        let generation = (word >> 32) as u32 & GENERATION_MASK;
        Some(match word >> 56 {
            1 => Self::Receive {
                key: low,
                generation,
            },
            2 => Self::Send { place: low },
            3 => Self::Doorbell,
            4 => Self::Cancel,
            _ => return None,
        })
    }
}

/// One worker's io_uring: see the crate's header. Made on the thread that uses
/// it and tied to that thread.
pub struct Driver {
    // Dropped in this order: the ring closes before the memory it writes to goes.
    ring: IoUring,
    receive: BufferRing,
    sends: Sends,
    sockets: Sockets,
    doorbell: Option<OwnedFd>,
    /// Completions taken off the ring and not yet turned into events. Never
    /// grows beyond its first capacity.
    pending: VecDeque<cqueue::Entry>,
    /// Whether one wait can both gather and then sleep on (Linux 6.12).
    has_min_wait: bool,
    stats: DriverStats,
    /// The kernel lets only the thread that made the ring use it.
    _one_thread: PhantomData<*const ()>,
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver")
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}

fn check(what: &'static str, value: u32, most: u32, range: &'static str) -> Result<(), SetupError> {
    if (1..=most).contains(&value) {
        Ok(())
    } else {
        Err(SetupError::Config { what, value, range })
    }
}

impl Config {
    fn check(&self) -> Result<(), SetupError> {
        check("sockets", self.sockets, 32_767, "1 to 32,767")?;
        check(
            "receive_slots",
            self.receive_slots,
            MAX_SLOTS,
            "1 to 32,768",
        )?;
        check("send_slots", self.send_slots, MAX_SLOTS, "1 to 32,768")?;
        let power = "a power of two up to 32,768";
        check("batch", self.batch, 32_768, power)?;
        check("batch", self.batch.count_ones(), 1, power)?;
        let power = "a power of two from batch to 65,536";
        check("completions", self.completions, 65_536, power)?;
        check("completions", self.completions.count_ones(), 1, power)?;
        if self.completions < self.batch {
            return Err(SetupError::Config {
                what: "completions",
                value: self.completions,
                range: power,
            });
        }
        Ok(())
    }
}

/// What the kernel offers beyond what is required.
#[derive(Clone, Copy, Debug)]
struct Abilities {
    /// IORING_OP_SEND takes an address. Came without a flag of its own in 6.2;
    /// we go by an operation that came in 6.7.
    send_to: bool,
    min_wait: bool,
}

fn open_ring(config: &Config) -> Result<IoUring, SetupError> {
    IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_submit_all()
        .setup_cqsize(config.completions)
        .build(config.batch)
        .map_err(|source| match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => SetupError::Forbidden,
            Some(libc::ENOSYS) => SetupError::KernelTooOld {
                missing: "io_uring",
            },
            Some(libc::EINVAL) => SetupError::KernelTooOld {
                missing: "IORING_SETUP_DEFER_TASKRUN",
            },
            Some(libc::ENOMEM) => SetupError::LockedMemory,
            _ => SetupError::Os {
                step: "io_uring_setup",
                source,
            },
        })
}

impl Driver {
    /// Takes all memory and opens the ring. Also asks the kernel for timers
    /// without slack on the calling thread.
    ///
    /// # Errors
    /// [`SetupError`], whose text says what to do about it.
    pub fn new(config: Config) -> Result<Self, SetupError> {
        Self::with(config, |abilities| abilities)
    }

    /// As [`Self::new`], with abilities of the kernel hidden by tests.
    fn with(
        config: Config,
        limit: impl FnOnce(Abilities) -> Abilities,
    ) -> Result<Self, SetupError> {
        config.check()?;
        let os = |step| move |source| SetupError::Os { step, source };
        thread::no_timer_slack().map_err(os("prctl(PR_SET_TIMERSLACK)"))?;
        let ring = open_ring(&config)?;
        let submitter = ring.submitter();
        let mut probe = Probe::new();
        submitter
            .register_probe(&mut probe)
            .map_err(os("probing io_uring"))?;
        let abilities = limit(Abilities {
            send_to: probe.is_supported(opcode::FutexWait::CODE),
            min_wait: ring.params().is_feature_min_timeout(),
        });
        submitter
            .register_files_sparse(config.sockets)
            .map_err(|source| match source.raw_os_error() {
                Some(libc::EMFILE) => SetupError::OpenFiles {
                    sockets: config.sockets,
                },
                _ => os("registering the table of sockets")(source),
            })?;
        let pool = Pool::new(config.receive_slots)?;
        // SAFETY: `Driver::drop` ends all requests, and the fields' order closes
        // the ring before the buffers go. Should `new` fail below, no request
        // has been made yet.
        let receive =
            unsafe { BufferRing::new(&submitter, pool) }.map_err(|source| {
                match source.raw_os_error() {
                    Some(libc::ENOMEM) => SetupError::LockedMemory,
                    _ => os("registering the buffer ring")(source),
                }
            })?;
        Ok(Self {
            sends: Sends::new(config.send_slots, abilities.send_to)?,
            sockets: Sockets::new(config.sockets),
            receive,
            doorbell: None,
            pending: VecDeque::with_capacity(config.completions as usize),
            has_min_wait: abilities.min_wait,
            stats: DriverStats::default(),
            ring,
            _one_thread: PhantomData,
        })
    }

    /// What was counted so far.
    #[must_use]
    pub const fn stats(&self) -> &DriverStats {
        &self.stats
    }

    /// Received datagrams that are leased out: kept by the worker or on their way out.
    #[must_use]
    pub fn receive_leases_out(&self) -> usize {
        self.receive.pool.out()
    }

    /// Slots of the send pool that are leased out: being filled or on their way out.
    #[must_use]
    pub fn send_leases_out(&self) -> usize {
        self.sends.pool.out()
    }

    /// Slots that [`Self::send_buffer`] has at once.
    #[must_use]
    pub fn send_buffers_free(&self) -> usize {
        self.sends.pool.available()
    }

    /// The bytes of a lease, received or to be sent.
    #[must_use]
    pub fn bytes(&self, lease: &Lease) -> &[u8] {
        if self.receive.pool.owns(lease) {
            self.receive.pool.bytes(lease)
        } else {
            self.sends.pool.bytes(lease)
        }
    }

    /// The bytes of a lease, to be changed.
    #[must_use]
    pub fn bytes_mut<'a>(&'a mut self, lease: &'a mut Lease) -> &'a mut [u8] {
        if self.receive.pool.owns(lease) {
            self.receive.pool.bytes_mut(lease)
        } else {
            self.sends.pool.bytes_mut(lease)
        }
    }

    /// The bytes of several leases at once, in their order; received ones and
    /// ones to be sent may be mixed.
    pub fn bytes_mut_many<'a, I>(&'a mut self, leases: I) -> impl Iterator<Item = &'a mut [u8]>
    where
        I: IntoIterator<Item = &'a mut Lease>,
        I::IntoIter: 'a,
    {
        let (receive, send) = (&self.receive.pool, &self.sends.pool);
        leases.into_iter().map(move |lease| {
            let pool = if receive.owns(lease) { receive } else { send };
            let first = pool.as_ptr(lease);
            // SAFETY: the pool vouches for `len` bytes from `first`. Each lease
            // is mutably borrowed for `'a`, so none comes twice, and no two
            // leases name one slot; other slices of either pool would need
            // `self`, which is mutably borrowed for `'a`.
            unsafe { std::slice::from_raw_parts_mut(first.as_ptr(), lease.len()) }
        })
    }

    /// Gives a lease back: a received slot to the kernel, one of the send pool
    /// to that pool.
    pub fn release(&mut self, lease: Lease) {
        if self.receive.pool.owns(&lease) {
            self.receive.give(lease);
        } else {
            self.sends.pool.release(lease);
        }
    }

    /// Hands queued sends to the kernel, then sleeps until there is an event
    /// or `deadline` has come. Returns at once while events are undrained, and
    /// now and then without one: the caller looks at its clock anyway.
    ///
    /// Events that come within `gather` of the call pile up and end the wait
    /// together when it is over; after that the first one ends it. So a worker
    /// that was idle wakes at once, and a busy one once every `gather` instead
    /// of once a packet. The deadline is kept in any case.
    ///
    /// # Errors
    /// [`WaitError`] when the ring is broken; the worker cannot go on.
    pub fn wait(&mut self, deadline: Option<Nanos>, gather: Duration) -> Result<(), WaitError> {
        self.restart_starved()?;
        // What this completes (sends, mostly) must not count as the event that
        // the sleep below waits for. It runs what the kernel deferred as well:
        // a receive that is started again may complete at once, wait after
        // wait, and must not keep everybody else's datagrams from us.
        if self.sends.on_their_way() > 0 || !self.ring.submission().is_empty() {
            self.enter(0, Some(&SubmitArgs::new()))?;
        }
        self.reap();
        if !self.pending.is_empty() {
            return Ok(());
        }
        let started = now();
        let left = deadline.map(|deadline| deadline.since(started));
        if left == Some(Duration::ZERO) {
            self.enter(0, Some(&SubmitArgs::new()))?;
        } else {
            self.sleep(left, gather.min(left.unwrap_or(gather)))?;
        }
        self.reap();
        Ok(())
    }

    fn sleep(&mut self, left: Option<Duration>, gather: Duration) -> Result<(), WaitError> {
        if gather.is_zero() {
            let limit = left.map(Timespec::from);
            let args = SubmitArgs::new();
            return match &limit {
                Some(limit) => self.enter(1, Some(&args.timespec(limit))),
                None => self.enter(1, Some(&args)),
            };
        }
        // So many that the wait ends before slots or completions run short.
        let many = (self.receive.pool.lent() / 2)
            .min(self.pending.capacity() / 2)
            .max(1) as u32;
        if self.has_min_wait {
            let micros = u32::try_from(gather.as_micros()).unwrap_or(u32::MAX);
            let limit = left.map(Timespec::from);
            let args = SubmitArgs::new().min_wait_usec(micros.max(1));
            return match &limit {
                Some(limit) => self.enter(many, Some(&args.timespec(limit))),
                None => self.enter(many, Some(&args)),
            };
        }
        let first = Timespec::from(gather);
        self.enter(many, Some(&SubmitArgs::new().timespec(&first)))?;
        self.reap();
        let left = left.map(|left| left.saturating_sub(gather));
        if !self.pending.is_empty() || left == Some(Duration::ZERO) {
            return Ok(());
        }
        self.sleep(left, Duration::ZERO)
    }

    /// Hands queued sends to the kernel now. [`Self::wait`] does so too, and
    /// [`Self::send`] whenever a batch is full.
    ///
    /// # Errors
    /// [`WaitError`] when the ring is broken.
    pub fn flush(&mut self) -> Result<(), WaitError> {
        self.enter(0, None)?;
        self.reap();
        Ok(())
    }

    /// Submits everything. With `args` it also runs what the kernel deferred
    /// to this thread, and waits for `want` completions.
    fn enter(&mut self, want: u32, args: Option<&SubmitArgs<'_, '_>>) -> Result<(), WaitError> {
        self.stats.enters += 1;
        let queue = self.ring.submission();
        let (len, overflow) = (queue.len() as u32, queue.cq_overflow());
        drop(queue);
        let mut flags = EnterFlags::empty();
        if overflow {
            self.stats.overflows += 1;
        }
        if args.is_some() || overflow {
            flags |= EnterFlags::GETEVENTS;
        }
        if args.is_some() {
            flags |= EnterFlags::EXT_ARG;
        }
        // SAFETY: the arguments are those of the flags given: EXT_ARG with a
        // `SubmitArgs`, which is the kernel's struct, or neither. The entries
        // in the queue were vouched for when they were pushed.
        let result = unsafe { self.ring.submitter().enter(len, want, flags.bits(), args) };
        match result.map_err(|error| error.raw_os_error()) {
            Ok(_) => Ok(()),
            // The time is over; a signal came; the completion queue is full, so
            // drain it first; no memory now, so try again later.
            Err(Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN)) => Ok(()),
            Err(errno) => Err(WaitError(errno.unwrap_or(0))),
        }
    }

    /// Queues a request, making room if it must.
    ///
    /// # Safety
    /// What the entry points to must stay until the request is done.
    unsafe fn push(&mut self, entry: &squeue::Entry) -> Result<(), WaitError> {
        // SAFETY: the caller's promise.
        if unsafe { self.ring.submission().push(entry) }.is_ok() {
            return Ok(());
        }
        self.enter(0, None)?;
        self.reap();
        // SAFETY: the caller's promise.
        unsafe { self.ring.submission().push(entry) }.map_err(|_| WaitError(libc::EBUSY))
    }

    /// Takes completions off the ring: sends end here, the rest waits in `pending`.
    fn reap(&mut self) {
        const AT_ONCE: usize = 32;
        let mut batch = [const { MaybeUninit::<cqueue::Entry>::uninit() }; AT_ONCE];
        loop {
            let room = (self.pending.capacity() - self.pending.len()).min(AT_ONCE);
            let taken = self.ring.completion().fill(&mut batch[..room]);
            for entry in &*taken {
                match Tag::unpack(entry.user_data()) {
                    Some(Tag::Send { place })
                        if self.sends.finish(
                            place,
                            entry.result(),
                            &mut self.receive,
                            &mut self.stats,
                        ) => {}
                    Some(Tag::Cancel) => {}
                    _ => self.pending.push_back(entry.clone()),
                }
            }
            if taken.len() < AT_ONCE {
                return;
            }
        }
    }

    /// The next thing that happened; `None` when it is time to wait. To be
    /// called until then: what is undrained keeps slots from the kernel.
    pub fn next_event(&mut self) -> Option<Event> {
        loop {
            let entry = match self.pending.pop_front() {
                Some(entry) => entry,
                None => {
                    self.reap();
                    self.pending.pop_front()?
                }
            };
            let event = match Tag::unpack(entry.user_data()) {
                Some(Tag::Receive { key, generation }) => self.received(key, generation, &entry),
                Some(Tag::Send { place }) => self.sends.failed(place, &entry),
                Some(Tag::Doorbell) => self.rung(&entry),
                Some(Tag::Cancel) => None,
                None => {
                    self.stats.unexpected += 1;
                    None
                }
            };
            if event.is_some() {
                return event;
            }
        }
    }

    /// The lease of a completed receive, if it is worth one.
    fn take_datagram(&mut self, entry: &cqueue::Entry) -> Option<(SocketAddr, Lease)> {
        let slot = cqueue::buffer_select(entry.flags())?;
        let len = usize::try_from(entry.result()).unwrap_or(0);
        // SAFETY: the kernel named this slot in a completion, which is how it
        // gives a buffer up; `redeem` itself refuses one that it did not have.
        let Some(mut lease) = (unsafe { self.receive.pool.redeem(slot, 0, len) }) else {
            self.stats.unexpected += 1;
            return None;
        };
        let bytes = self.receive.pool.bytes(&lease);
        let parsed = bytes.split_at_checked(PAYLOAD_AT).and_then(|(head, _)| {
            let (header, name) = head.split_at(RECEIVE_HEADER);
            // struct io_uring_recvmsg_out: namelen, controllen, payloadlen, flags.
            let flags = u32::from_ne_bytes(*header.last_chunk()?);
            Some((flags & libc::MSG_TRUNC as u32 != 0, address::parse(name)?))
        });
        match parsed {
            Some((false, source)) if lease.trim_front(PAYLOAD_AT) => return Some((source, lease)),
            Some((true, _)) => self.stats.truncated += 1,
            _ => self.stats.unexpected += 1,
        }
        self.receive.give(lease);
        None
    }
}

impl Drop for Driver {
    /// Ends every request while the memory they write to is still there.
    fn drop(&mut self) {
        // Requests that only lie in the queue would be submitted by closing it.
        let _ = self.enter(0, None);
        let cancelled = self
            .ring
            .submitter()
            .register_sync_cancel(None, CancelBuilder::any());
        debug_assert!(
            cancelled.is_ok()
                || cancelled.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        );
        // Their last completions are task work of this thread.
        let _ = self.enter(0, Some(&SubmitArgs::new()));
        self.sends.forget_leases();
    }
}

#[cfg(test)]
mod tests;
