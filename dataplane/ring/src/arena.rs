//! Making, sealing, mapping and checking the arena.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::mapping::{Mapping, Refusal};
use crate::spsc::{CommandConsumer, CommandProducer, EventConsumer, EventProducer, RingParts};
use plenum_abi::{
    ABI_VERSION, ARENA_MAGIC, ArenaHeader, COMMAND_RING_SLOTS, Command, ConferenceRecord,
    EVENT_RING_SLOTS, Event, Layout, LegRecord, TransportRecord, VideoRecord, WorkerHeader,
    WorkerStats,
};

const NAME: &CStr = c"plenum-arena";

/// Why an arena could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The counts are outside their bounds.
    #[error("an arena of {} workers, {} legs and {} conferences each is out of bounds", .0.workers, .0.legs_per_worker, .0.conferences_per_worker)]
    Layout(Layout),
    /// The kernel refused.
    #[error("cannot {doing} the session arena")]
    Kernel {
        /// What was tried.
        doing: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// Why a descriptor is not accepted as an arena.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The kernel refused.
    #[error("cannot {doing} the session arena")]
    Kernel {
        /// What was tried.
        doing: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Its size could change under us, and every access could then fault.
    #[error("the descriptor is not a sealed session arena")]
    NotSealed,
    /// It does not begin as an arena does.
    #[error("the descriptor is not a session arena")]
    NotAnArena,
    /// It was made by a build with another ABI.
    #[error("the session arena has ABI version {found}, this build has {ABI_VERSION}")]
    Version {
        /// The arena's version.
        found: u32,
    },
    /// Counts out of bounds or of another size than the memory.
    #[error("the session arena's layout does not fit its size")]
    Layout,
}

/// A mapped arena. Clones share the mapping.
#[derive(Clone)]
pub struct Arena {
    mapping: Arc<Mapping>,
    layout: Layout,
    locked: bool,
}

impl std::fmt::Debug for Arena {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Arena")
            .field("layout", &self.layout)
            .field("len", &self.mapping.len())
            .field("locked", &self.locked)
            .finish_non_exhaustive()
    }
}

impl Arena {
    /// Makes an arena of zeros, seals its size, and maps it. The descriptor is
    /// closed on exec; whoever hands it down clears that.
    ///
    /// # Errors
    /// [`CreateError`].
    pub fn create(layout: Layout) -> Result<Self, CreateError> {
        if !layout.is_valid() {
            return Err(CreateError::Layout(layout));
        }
        let mapping = Mapping::create(NAME, layout.len())
            .map_err(|(doing, source)| CreateError::Kernel { doing, source })?;
        let arena = Self {
            locked: mapping.keep_secret(),
            mapping: Arc::new(mapping),
            layout,
        };
        let header = arena.header();
        header.version.store(ABI_VERSION, Ordering::Relaxed);
        header.workers.store(layout.workers, Ordering::Relaxed);
        header
            .legs_per_worker
            .store(layout.legs_per_worker, Ordering::Relaxed);
        header
            .conferences_per_worker
            .store(layout.conferences_per_worker, Ordering::Relaxed);
        header
            .video_streams_per_worker
            .store(layout.video_streams_per_worker, Ordering::Relaxed);
        header.magic.store(ARENA_MAGIC, Ordering::Release);
        Ok(arena)
    }

    /// Maps an inherited arena after checking that it is one.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(fd: OwnedFd) -> Result<Self, OpenError> {
        let kernel = |(doing, source): Refusal| OpenError::Kernel { doing, source };
        let mapping = Mapping::open(fd)
            .map_err(kernel)?
            .ok_or(OpenError::NotSealed)?;
        let len = mapping.len();
        if len < size_of::<ArenaHeader>() {
            return Err(OpenError::NotAnArena);
        }
        let header: &ArenaHeader = mapping.at(0);
        if header.magic.load(Ordering::Acquire) != ARENA_MAGIC {
            return Err(OpenError::NotAnArena);
        }
        let found = header.version.load(Ordering::Relaxed);
        if found != ABI_VERSION {
            return Err(OpenError::Version { found });
        }
        let layout = Layout {
            workers: header.workers.load(Ordering::Relaxed),
            legs_per_worker: header.legs_per_worker.load(Ordering::Relaxed),
            conferences_per_worker: header.conferences_per_worker.load(Ordering::Relaxed),
            video_streams_per_worker: header.video_streams_per_worker.load(Ordering::Relaxed),
        };
        if !layout.is_valid() || layout.len() != len {
            return Err(OpenError::Layout);
        }
        Ok(Self {
            locked: mapping.keep_secret(),
            mapping: Arc::new(mapping),
            layout,
        })
    }

    /// The counts it was made with.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Whether the kernel keeps it out of swap.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.locked
    }

    /// The start of it.
    #[must_use]
    pub fn header(&self) -> &ArenaHeader {
        self.at(0)
    }

    /// One worker's part.
    ///
    /// # Panics
    /// When there is no such worker.
    #[must_use]
    pub fn worker(&self, index: u32) -> WorkerView {
        assert!(index < self.layout.workers, "worker {index} does not exist");
        WorkerView {
            arena: self.clone(),
            index,
        }
    }

    /// A record at an offset that [`Layout`] gave.
    fn at<T: zerocopy::FromBytes + zerocopy::KnownLayout>(&self, offset: usize) -> &T {
        self.mapping.at(offset)
    }

    /// `len` words at an offset that [`Layout`] gave.
    pub(crate) fn words(&self, offset: usize, len: usize) -> &[AtomicU64] {
        self.mapping.words(offset, len)
    }

    pub(crate) fn worker_header(&self, worker: u32) -> &WorkerHeader {
        self.at(self.layout.worker(worker))
    }
}

impl AsFd for Arena {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.mapping.as_fd()
    }
}

/// One worker's part of an arena.
#[derive(Clone, Debug)]
pub struct WorkerView {
    arena: Arena,
    index: u32,
}

impl WorkerView {
    /// Which worker.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Its counters.
    #[must_use]
    pub fn stats(&self) -> &WorkerStats {
        &self.arena.worker_header(self.index).stats
    }

    /// Leg slots.
    #[must_use]
    pub fn legs(&self) -> u32 {
        self.arena.layout.legs_per_worker
    }

    /// Conference slots.
    #[must_use]
    pub fn conferences(&self) -> u32 {
        self.arena.layout.conferences_per_worker
    }

    /// A leg's record; `None` past the last slot.
    #[must_use]
    pub fn leg(&self, slot: u32) -> Option<&LegRecord> {
        let layout = self.arena.layout;
        (slot < layout.legs_per_worker).then(|| {
            self.arena
                .at(layout.legs(self.index) + slot as usize * size_of::<LegRecord>())
        })
    }

    /// A conference's record; `None` past the last slot.
    #[must_use]
    pub fn conference(&self, slot: u32) -> Option<&ConferenceRecord> {
        let layout = self.arena.layout;
        (slot < layout.conferences_per_worker).then(|| {
            let offset = slot as usize * size_of::<ConferenceRecord>();
            self.arena.at(layout.conferences(self.index) + offset)
        })
    }

    /// The record of a leg slot's transport; `None` past the last slot.
    #[must_use]
    pub fn transport(&self, slot: u32) -> Option<&TransportRecord> {
        let layout = self.arena.layout;
        (slot < layout.legs_per_worker).then(|| {
            let offset = slot as usize * size_of::<TransportRecord>();
            self.arena.at(layout.transports(self.index) + offset)
        })
    }

    /// Video slots.
    #[must_use]
    pub fn video_streams(&self) -> u32 {
        self.arena.layout.video_streams_per_worker
    }

    /// A video stream's record; `None` past the last slot.
    #[must_use]
    pub fn video_stream(&self, slot: u32) -> Option<&VideoRecord> {
        let layout = self.arena.layout;
        (slot < layout.video_streams_per_worker).then(|| {
            let offset = slot as usize * size_of::<VideoRecord>();
            self.arena.at(layout.video_streams(self.index) + offset)
        })
    }

    fn command_parts(&self) -> RingParts {
        RingParts::new::<Command>(
            self.arena.clone(),
            self.index,
            |header| &header.commands,
            self.arena.layout.commands(self.index),
            COMMAND_RING_SLOTS,
        )
    }

    fn event_parts(&self) -> RingParts {
        RingParts::new::<Event>(
            self.arena.clone(),
            self.index,
            |header| &header.events,
            self.arena.layout.events(self.index),
            EVENT_RING_SLOTS,
        )
    }

    /// The control plane's end of the command ring. One at a time per arena.
    #[must_use]
    pub fn command_producer(&self) -> CommandProducer {
        CommandProducer::new(self.command_parts())
    }

    /// The worker's end of the command ring. One at a time per arena.
    #[must_use]
    pub fn command_consumer(&self) -> CommandConsumer {
        CommandConsumer::new(self.command_parts())
    }

    /// The worker's end of the event ring. One at a time per arena.
    #[must_use]
    pub fn event_producer(&self) -> EventProducer {
        EventProducer::new(self.event_parts())
    }

    /// The control plane's end of the event ring. One at a time per arena.
    #[must_use]
    pub fn event_consumer(&self) -> EventConsumer {
        EventConsumer::new(self.event_parts())
    }
}

#[cfg(test)]
mod tests {
    use plenum_abi::{LegConfig, SlotState};
    use rustix::fs::{MemfdFlags, SealFlags};

    use super::*;

    const SMALL: Layout = Layout {
        workers: 2,
        legs_per_worker: 5,
        conferences_per_worker: 3,
        video_streams_per_worker: 0,
    };

    fn inherited(arena: &Arena) -> OwnedFd {
        arena.as_fd().try_clone_to_owned().unwrap()
    }

    #[test]
    fn what_one_mapping_stores_the_other_reads() {
        let ours = Arena::create(SMALL).unwrap();
        let theirs = Arena::open(inherited(&ours)).unwrap();
        assert_eq!(theirs.layout(), SMALL);
        let config = LegConfig {
            generation: 4,
            revision: 9,
            ..LegConfig::default()
        };
        let (one, two) = (ours.worker(1), theirs.worker(1));
        let record = one.leg(4).unwrap();
        record.config.store(&config);
        record.generation.store(4, Ordering::Release);
        record
            .state
            .store(SlotState::Live as u32, Ordering::Release);
        assert_eq!(two.leg(4).unwrap().live_config(), Some(config));
        assert!(two.leg(3).unwrap().live_config().is_none());
        assert!(two.leg(5).is_none() && two.conference(3).is_none());
        // A late generation is not the tenant.
        record.generation.store(5, Ordering::Release);
        assert!(two.leg(4).unwrap().live_config().is_none());
    }

    #[test]
    fn its_size_cannot_be_changed() {
        let arena = Arena::create(SMALL).unwrap();
        assert!(rustix::fs::ftruncate(arena.as_fd(), 4_096).is_err());
        assert!(rustix::fs::ftruncate(arena.as_fd(), 1 << 30).is_err());
    }

    #[test]
    fn strangers_are_refused() {
        let plain = rustix::fs::memfd_create(NAME, MemfdFlags::CLOEXEC).unwrap();
        assert!(matches!(Arena::open(plain), Err(OpenError::NotSealed)));

        let sealed = |len: u64| {
            let fd = rustix::fs::memfd_create(NAME, MemfdFlags::ALLOW_SEALING).unwrap();
            rustix::fs::ftruncate(&fd, len).unwrap();
            rustix::fs::fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW).unwrap();
            fd
        };
        assert!(matches!(
            Arena::open(sealed(10)),
            Err(OpenError::NotAnArena)
        ));
        assert!(matches!(
            Arena::open(sealed(1 << 20)),
            Err(OpenError::NotAnArena)
        ));

        let arena = Arena::create(SMALL).unwrap();
        arena
            .header()
            .version
            .store(ABI_VERSION + 1, Ordering::Relaxed);
        let refused = Arena::open(inherited(&arena));
        assert!(matches!(refused, Err(OpenError::Version { found }) if found == ABI_VERSION + 1));

        let arena = Arena::create(SMALL).unwrap();
        arena.header().legs_per_worker.store(6, Ordering::Relaxed);
        assert!(matches!(
            Arena::open(inherited(&arena)),
            Err(OpenError::Layout)
        ));
    }

    #[test]
    fn counts_are_bounded() {
        for layout in [
            Layout {
                workers: 0,
                ..SMALL
            },
            Layout {
                workers: plenum_abi::MAX_WORKERS + 1,
                ..SMALL
            },
            Layout {
                legs_per_worker: plenum_abi::MAX_LEGS_PER_WORKER + 1,
                ..SMALL
            },
            Layout {
                conferences_per_worker: 0,
                ..SMALL
            },
        ] {
            assert!(matches!(Arena::create(layout), Err(CreateError::Layout(_))));
        }
    }
}
