//! The memory that a video module shares with the workers.
//!
//! It is apart from the arena because the module is not trusted with keys. The
//! supervisor makes it and keeps it, so that it outlives both ends.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use plenum_abi::{MODULE_MAGIC, MODULE_VERSION, ModuleHeader, ModuleLayout, ModuleRings};

use crate::mapping::Mapping;
use crate::records::{Place, RecordConsumer, RecordProducer};

const NAME: &CStr = c"plenum-video";

/// Why a module's memory cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ModuleMemoryError {
    /// The sizes are outside their bounds, or not those of the memory.
    #[error("a video module's memory has sizes that cannot be")]
    Layout,
    /// The kernel refused.
    #[error("cannot {doing} the memory of a video module")]
    Kernel {
        /// What was tried.
        doing: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Not sealed, not a module's, or of another version.
    #[error("the descriptor is not the memory of a video module of this build")]
    Stranger,
}

/// A module's memory, mapped. Clones share the mapping.
#[derive(Clone)]
pub struct ModuleMemory {
    mapping: Arc<Mapping>,
    layout: ModuleLayout,
}

impl std::fmt::Debug for ModuleMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModuleMemory")
            .field("layout", &self.layout)
            .finish_non_exhaustive()
    }
}

impl ModuleMemory {
    /// Makes a memory of zeros, seals its size, and maps it. The kernel gives it
    /// pages as they are first written.
    ///
    /// # Errors
    /// [`ModuleMemoryError`].
    pub fn create(layout: ModuleLayout) -> Result<Self, ModuleMemoryError> {
        if !layout.is_valid() {
            return Err(ModuleMemoryError::Layout);
        }
        let mapping = Mapping::create(NAME, layout.len())
            .map_err(|(doing, source)| ModuleMemoryError::Kernel { doing, source })?;
        let memory = Self {
            mapping: Arc::new(mapping),
            layout,
        };
        let header = memory.header();
        header.version.store(MODULE_VERSION, Ordering::Relaxed);
        header.workers.store(layout.workers, Ordering::Relaxed);
        header.up_bytes.store(layout.up_bytes, Ordering::Relaxed);
        header
            .down_bytes
            .store(layout.down_bytes, Ordering::Relaxed);
        header.magic.store(MODULE_MAGIC, Ordering::Release);
        Ok(memory)
    }

    /// Maps an inherited memory after checking that it is one.
    ///
    /// # Errors
    /// [`ModuleMemoryError`].
    pub fn open(fd: OwnedFd) -> Result<Self, ModuleMemoryError> {
        let mapping = Mapping::open(fd)
            .map_err(|(doing, source)| ModuleMemoryError::Kernel { doing, source })?
            .ok_or(ModuleMemoryError::Stranger)?;
        if mapping.len() < size_of::<ModuleHeader>() {
            return Err(ModuleMemoryError::Stranger);
        }
        let header: &ModuleHeader = mapping.at(0);
        if header.magic.load(Ordering::Acquire) != MODULE_MAGIC
            || header.version.load(Ordering::Relaxed) != MODULE_VERSION
        {
            return Err(ModuleMemoryError::Stranger);
        }
        let layout = ModuleLayout {
            workers: header.workers.load(Ordering::Relaxed),
            up_bytes: header.up_bytes.load(Ordering::Relaxed),
            down_bytes: header.down_bytes.load(Ordering::Relaxed),
        };
        if !layout.is_valid() || layout.len() != mapping.len() {
            return Err(ModuleMemoryError::Layout);
        }
        Ok(Self {
            mapping: Arc::new(mapping),
            layout,
        })
    }

    /// The sizes that it was made with.
    #[must_use]
    pub const fn layout(&self) -> ModuleLayout {
        self.layout
    }

    /// The start of it.
    #[must_use]
    pub fn header(&self) -> &ModuleHeader {
        self.mapping.at(0)
    }

    fn place(&self, worker: u32, up: bool) -> Place {
        assert!(worker < self.layout.workers, "worker {worker} has no rings");
        let rings = self.layout.rings(worker);
        let (header, offset, bytes) = if up {
            let header = rings + std::mem::offset_of!(ModuleRings, up);
            (header, self.layout.up(worker), self.layout.up_bytes)
        } else {
            let header = rings + std::mem::offset_of!(ModuleRings, down);
            (header, self.layout.down(worker), self.layout.down_bytes)
        };
        Place {
            mapping: self.mapping.clone(),
            header,
            offset,
            words: u64::from(bytes) / 8,
        }
    }

    /// The worker's end of the ring up. One at a time; panics where there is no
    /// such worker, as do the others.
    #[must_use]
    pub fn up_producer(&self, worker: u32) -> RecordProducer {
        RecordProducer::new(self.place(worker, true))
    }

    /// The module's end of the ring up. One at a time.
    #[must_use]
    pub fn up_consumer(&self, worker: u32) -> RecordConsumer {
        RecordConsumer::new(self.place(worker, true))
    }

    /// The module's end of the ring down. One at a time.
    #[must_use]
    pub fn down_producer(&self, worker: u32) -> RecordProducer {
        RecordProducer::new(self.place(worker, false))
    }

    /// The worker's end of the ring down. One at a time.
    #[must_use]
    pub fn down_consumer(&self, worker: u32) -> RecordConsumer {
        RecordConsumer::new(self.place(worker, false))
    }
}

impl AsFd for ModuleMemory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.mapping.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: ModuleLayout = ModuleLayout {
        workers: 2,
        up_bytes: 1 << 16,
        down_bytes: 1 << 17,
    };

    #[test]
    fn the_two_ends_meet_and_workers_do_not() {
        let ours = ModuleMemory::create(LAYOUT).unwrap();
        let theirs = ModuleMemory::open(ours.as_fd().try_clone_to_owned().unwrap()).unwrap();
        assert_eq!(theirs.layout(), LAYOUT);
        ours.up_producer(0).push(7, &[b"up"]).unwrap();
        theirs.down_producer(1).push(8, &[b"down"]).unwrap();
        let mut payload = Vec::new();
        assert_eq!(theirs.up_consumer(1).pop(&mut payload), None);
        assert_eq!(theirs.up_consumer(0).pop(&mut payload), Some(7));
        assert_eq!(payload, b"up");
        assert_eq!(ours.down_consumer(0).pop(&mut payload), None);
        assert_eq!(ours.down_consumer(1).pop(&mut payload), Some(8));
        assert_eq!(payload, b"down");
    }

    #[test]
    fn strangers_and_odd_sizes_are_refused() {
        let odd = ModuleLayout {
            up_bytes: 12_345,
            ..LAYOUT
        };
        assert!(matches!(
            ModuleMemory::create(odd),
            Err(ModuleMemoryError::Layout)
        ));
        let memory = ModuleMemory::create(LAYOUT).unwrap();
        let again = || memory.as_fd().try_clone_to_owned().unwrap();
        memory.header().workers.store(3, Ordering::Relaxed);
        assert!(matches!(
            ModuleMemory::open(again()),
            Err(ModuleMemoryError::Layout)
        ));
        memory.header().version.store(99, Ordering::Relaxed);
        assert!(matches!(
            ModuleMemory::open(again()),
            Err(ModuleMemoryError::Stranger)
        ));
    }
}
