//! Where things lie in the arena.
//!
//! ```text
//! ArenaHeader | worker 0: WorkerHeader, commands, events, conferences, legs, transports, video |
//!             | worker 1: ... |
//! ```
//! Offsets follow from the counts in the header by one function, [`Layout`],
//! which both processes run; nothing in shared memory is a pointer.

use core::sync::atomic::{AtomicU32, AtomicU64};

use zerocopy::{FromBytes, KnownLayout};

use crate::{
    Command, ConferenceRecord, Event, LegRecord, TransportRecord, VideoRecord, WorkerStats,
};

/// First bytes of an arena.
pub const ARENA_MAGIC: u64 = u64::from_le_bytes(*b"PlenumAr");
/// Version of everything in this crate.
pub const ABI_VERSION: u32 = 3;
/// Most workers of one dataplane.
pub const MAX_WORKERS: u32 = 256;
/// Most legs of one worker.
pub const MAX_LEGS_PER_WORKER: u32 = 16_384;
/// Most conferences of one worker.
pub const MAX_CONFERENCES_PER_WORKER: u32 = 16_384;
/// Most video streams of one worker.
pub const MAX_VIDEO_STREAMS_PER_WORKER: u32 = 16_384;
/// Slots of a command ring.
pub const COMMAND_RING_SLOTS: u32 = 1_024;
/// Slots of an event ring.
pub const EVENT_RING_SLOTS: u32 = 8_192;

/// Start of the arena. Written once by the supervisor before anybody else maps it.
#[derive(Debug, FromBytes, KnownLayout)]
#[repr(C, align(64))]
pub struct ArenaHeader {
    /// [`ARENA_MAGIC`], stored last.
    pub magic: AtomicU64,
    /// [`ABI_VERSION`].
    pub version: AtomicU32,
    /// Workers.
    pub workers: AtomicU32,
    /// Leg slots of each worker.
    pub legs_per_worker: AtomicU32,
    /// Conference slots of each worker.
    pub conferences_per_worker: AtomicU32,
    /// Video slots of each worker.
    pub video_streams_per_worker: AtomicU32,
    /// Zero.
    pub reserved_0: AtomicU32,
    /// Grows with every start of the dataplane process.
    pub dataplane_epoch: AtomicU64,
    /// Grows with every start of the control process.
    pub control_epoch: AtomicU64,
    /// Modules that run, a bit for each: io workers first, then video modules,
    /// those beyond 128 left out. Stored by the supervisor.
    pub modules_up: [AtomicU64; 2],
}

const _: () = assert!(size_of::<ArenaHeader>() == 64);

/// Positions of a single-producer ring. `head` and `tail` count messages since
/// the arena was made; each is on a cache line of its own.
#[derive(Debug, FromBytes, KnownLayout)]
#[repr(C, align(64))]
pub struct RingHeader {
    /// Next message to be read; the consumer stores it after it has dealt with the message.
    pub head: AtomicU64,
    /// 1 while the consumer sleeps and wants its doorbell rung.
    pub consumer_sleeps: AtomicU64,
    /// Zero.
    pub reserved_0: [AtomicU64; 6],
    /// Next message to be written; the producer stores it after the message.
    pub tail: AtomicU64,
    /// Zero.
    pub reserved_1: [AtomicU64; 7],
}

const _: () = assert!(size_of::<RingHeader>() == 128);

/// Start of a worker's part.
#[derive(Debug, FromBytes, KnownLayout)]
#[repr(C, align(64))]
pub struct WorkerHeader {
    /// Control plane to worker.
    pub commands: RingHeader,
    /// Worker to control plane.
    pub events: RingHeader,
    /// Counters.
    pub stats: WorkerStats,
    /// Zero.
    pub padding: [AtomicU64; 4],
}

const _: () = assert!(size_of::<WorkerHeader>().is_multiple_of(64));

/// Counts of an arena, from which every offset follows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Layout {
    /// Workers, 1 to [`MAX_WORKERS`].
    pub workers: u32,
    /// Leg slots of each, 1 to [`MAX_LEGS_PER_WORKER`].
    pub legs_per_worker: u32,
    /// Conference slots of each, 1 to [`MAX_CONFERENCES_PER_WORKER`].
    pub conferences_per_worker: u32,
    /// Video slots of each, up to [`MAX_VIDEO_STREAMS_PER_WORKER`].
    pub video_streams_per_worker: u32,
}

impl Layout {
    /// Whether the counts are within their bounds.
    #[must_use]
    pub const fn is_valid(&self) -> bool {
        self.workers >= 1
            && self.workers <= MAX_WORKERS
            && self.legs_per_worker >= 1
            && self.legs_per_worker <= MAX_LEGS_PER_WORKER
            && self.conferences_per_worker >= 1
            && self.conferences_per_worker <= MAX_CONFERENCES_PER_WORKER
            && self.video_streams_per_worker <= MAX_VIDEO_STREAMS_PER_WORKER
    }

    const fn commands_offset(&self) -> usize {
        size_of::<WorkerHeader>()
    }

    const fn events_offset(&self) -> usize {
        self.commands_offset() + COMMAND_RING_SLOTS as usize * size_of::<Command>()
    }

    const fn conferences_offset(&self) -> usize {
        self.events_offset() + EVENT_RING_SLOTS as usize * size_of::<Event>()
    }

    const fn legs_offset(&self) -> usize {
        self.conferences_offset()
            + self.conferences_per_worker as usize * size_of::<ConferenceRecord>()
    }

    const fn transports_offset(&self) -> usize {
        self.legs_offset() + self.legs_per_worker as usize * size_of::<LegRecord>()
    }

    const fn video_streams_offset(&self) -> usize {
        self.transports_offset() + self.legs_per_worker as usize * size_of::<TransportRecord>()
    }

    const fn worker_len(&self) -> usize {
        self.video_streams_offset()
            + self.video_streams_per_worker as usize * size_of::<VideoRecord>()
    }

    /// Offset of a worker's [`WorkerHeader`].
    #[must_use]
    pub const fn worker(&self, worker: u32) -> usize {
        size_of::<ArenaHeader>() + worker as usize * self.worker_len()
    }

    /// Offset of a worker's command slots.
    #[must_use]
    pub const fn commands(&self, worker: u32) -> usize {
        self.worker(worker) + self.commands_offset()
    }

    /// Offset of a worker's event slots.
    #[must_use]
    pub const fn events(&self, worker: u32) -> usize {
        self.worker(worker) + self.events_offset()
    }

    /// Offset of a worker's [`ConferenceRecord`]s.
    #[must_use]
    pub const fn conferences(&self, worker: u32) -> usize {
        self.worker(worker) + self.conferences_offset()
    }

    /// Offset of a worker's [`LegRecord`]s.
    #[must_use]
    pub const fn legs(&self, worker: u32) -> usize {
        self.worker(worker) + self.legs_offset()
    }

    /// Offset of a worker's [`TransportRecord`]s, one for each leg slot.
    #[must_use]
    pub const fn transports(&self, worker: u32) -> usize {
        self.worker(worker) + self.transports_offset()
    }

    /// Offset of a worker's [`VideoRecord`]s.
    #[must_use]
    pub const fn video_streams(&self, worker: u32) -> usize {
        self.worker(worker) + self.video_streams_offset()
    }

    /// Bytes of the whole arena.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.worker(self.workers)
    }

    /// Never: an arena has at least its header.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        false
    }
}
