//! The memory in which TURN allocations outlive the process that serves them.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use plenum_abi::{TURN_MAGIC, TURN_VERSION, TurnHeader, TurnLayout, TurnRecord, TurnStats};

use crate::mapping::Mapping;

const NAME: &CStr = c"plenum-turn";

/// Why a TURN memory cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum TurnMemoryError {
    /// The counts are outside their bounds, or not those of the memory.
    #[error("a TURN memory has counts that cannot be")]
    Layout,
    /// The kernel refused.
    #[error("cannot {doing} the memory of TURN allocations")]
    Kernel {
        /// What was tried.
        doing: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Not sealed, not a TURN memory, or of another version.
    #[error("the descriptor is not a TURN memory of this build")]
    Stranger,
}

/// A TURN memory, mapped. Clones share the mapping.
#[derive(Clone)]
pub struct TurnMemory {
    mapping: Arc<Mapping>,
    layout: TurnLayout,
}

impl std::fmt::Debug for TurnMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TurnMemory")
            .field("layout", &self.layout)
            .finish_non_exhaustive()
    }
}

impl TurnMemory {
    /// Makes a memory without allocations, seals its size, and maps it. The kernel
    /// gives it pages as they are first written. `nonce_key` is to be random.
    ///
    /// # Errors
    /// [`TurnMemoryError`].
    pub fn create(layout: TurnLayout, nonce_key: [u64; 4]) -> Result<Self, TurnMemoryError> {
        if !layout.is_valid() {
            return Err(TurnMemoryError::Layout);
        }
        let mapping = Mapping::create(NAME, layout.bytes())
            .map_err(|(doing, source)| TurnMemoryError::Kernel { doing, source })?;
        mapping.keep_secret();
        let memory = Self {
            mapping: Arc::new(mapping),
            layout,
        };
        let header = memory.header();
        header.version.store(TURN_VERSION, Ordering::Relaxed);
        header.workers.store(layout.workers, Ordering::Relaxed);
        header
            .allocations_per_worker
            .store(layout.allocations_per_worker, Ordering::Relaxed);
        for (word, key) in header.nonce_key.iter().zip(nonce_key) {
            word.store(key, Ordering::Relaxed);
        }
        header.magic.store(TURN_MAGIC, Ordering::Release);
        Ok(memory)
    }

    /// Maps an inherited memory after checking that it is one.
    ///
    /// # Errors
    /// [`TurnMemoryError`].
    pub fn open(fd: OwnedFd) -> Result<Self, TurnMemoryError> {
        let mapping = Mapping::open(fd)
            .map_err(|(doing, source)| TurnMemoryError::Kernel { doing, source })?
            .ok_or(TurnMemoryError::Stranger)?;
        mapping.keep_secret();
        if mapping.len() < size_of::<TurnHeader>() {
            return Err(TurnMemoryError::Stranger);
        }
        let header: &TurnHeader = mapping.at(0);
        if header.magic.load(Ordering::Acquire) != TURN_MAGIC
            || header.version.load(Ordering::Relaxed) != TURN_VERSION
        {
            return Err(TurnMemoryError::Stranger);
        }
        let layout = TurnLayout {
            workers: header.workers.load(Ordering::Relaxed),
            allocations_per_worker: header.allocations_per_worker.load(Ordering::Relaxed),
        };
        if !layout.is_valid() || layout.bytes() != mapping.len() {
            return Err(TurnMemoryError::Layout);
        }
        Ok(Self {
            mapping: Arc::new(mapping),
            layout,
        })
    }

    /// The counts that it was made with.
    #[must_use]
    pub const fn layout(&self) -> TurnLayout {
        self.layout
    }

    /// The start of it.
    #[must_use]
    pub fn header(&self) -> &TurnHeader {
        self.mapping.at(0)
    }

    /// The key of nonces.
    #[must_use]
    pub fn nonce_key(&self) -> [u8; 32] {
        let mut key = [0; 32];
        for (bytes, word) in key.chunks_exact_mut(8).zip(&self.header().nonce_key) {
            bytes.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
        }
        key
    }

    /// A worker's counters.
    ///
    /// # Panics
    /// When there is no such worker.
    #[must_use]
    pub fn stats(&self, worker: u32) -> &TurnStats {
        assert!(
            worker < self.layout.workers,
            "worker {worker} does not exist"
        );
        self.mapping.at(self.layout.stats(worker))
    }

    /// A worker's record.
    ///
    /// # Panics
    /// When there is no such worker or slot.
    #[must_use]
    pub fn record(&self, worker: u32, slot: u32) -> &TurnRecord {
        assert!(
            worker < self.layout.workers && slot < self.layout.allocations_per_worker,
            "worker {worker} has no slot {slot}"
        );
        self.mapping.at(self.layout.record(worker, slot))
    }
}

impl AsFd for TurnMemory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.mapping.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use plenum_abi::TurnAllocation;

    use super::*;

    const LAYOUT: TurnLayout = TurnLayout {
        workers: 2,
        allocations_per_worker: 3,
    };

    #[test]
    fn what_one_process_stored_its_successor_finds() {
        let ours = TurnMemory::create(LAYOUT, [1, 2, 3, 4]).unwrap();
        let fd = ours.as_fd().try_clone_to_owned().unwrap();
        let theirs = TurnMemory::open(fd).unwrap();
        assert_eq!(theirs.layout(), LAYOUT);
        assert_eq!(theirs.nonce_key(), ours.nonce_key());
        let allocation = TurnAllocation {
            expires: 77,
            ..TurnAllocation::default()
        };
        ours.record(1, 2).store(&allocation);
        assert_eq!(theirs.record(1, 2).live(), Some(allocation));
        assert_eq!(theirs.record(0, 2).live(), None);
    }

    #[test]
    fn other_memories_are_refused() {
        let plain = rustix::fs::memfd_create(NAME, rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        assert!(matches!(
            TurnMemory::open(plain),
            Err(TurnMemoryError::Stranger)
        ));
        let memory = TurnMemory::create(LAYOUT, [0; 4]).unwrap();
        memory.header().workers.store(3, Ordering::Relaxed);
        let fd = memory.as_fd().try_clone_to_owned().unwrap();
        assert!(matches!(TurnMemory::open(fd), Err(TurnMemoryError::Layout)));
        let none = TurnLayout {
            workers: 0,
            ..LAYOUT
        };
        assert!(TurnMemory::create(none, [0; 4]).is_err());
    }
}
