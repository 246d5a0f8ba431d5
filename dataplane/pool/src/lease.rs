//! The right to one slot.

use std::num::NonZeroU16;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::SLOT_LEN;

static LOST: AtomicU64 = AtomicU64::new(0);

/// Leases of this process that were dropped instead of released, in total.
/// Each took its slot with it.
#[must_use]
pub fn leases_lost() -> u64 {
    LOST.load(Ordering::Relaxed)
}

/// The right to one slot of one pool, and which of its bytes count.
///
/// Give it back with [`Pool::release`](crate::Pool::release). Moving the front
/// and the end needs no pool: it changes what the lease shows, not the bytes.
#[derive(Debug)]
#[must_use = "a lease that is dropped takes its slot with it"]
pub struct Lease {
    /// Never zero, which leaves room for `None`.
    pub(crate) pool: NonZeroU16,
    pub(crate) slot: u16,
    /// Invariant: `offset + len <= SLOT_LEN`.
    pub(crate) offset: u16,
    pub(crate) len: u16,
}

const _: () = assert!(size_of::<Lease>() == 8 && size_of::<Option<Lease>>() == 8);

// Lossless: every value below is at most `SLOT_LEN`, which fits.
fn short(value: usize) -> u16 {
    debug_assert!(value <= SLOT_LEN);
    value as u16
}

impl Lease {
    /// Bytes that count.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether no byte counts.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes from the front to the end of the slot: the longest [`Self::set_len`] takes.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        SLOT_LEN - self.offset as usize
    }

    /// Bytes of the slot before the front.
    #[must_use]
    pub const fn head_room(&self) -> usize {
        self.offset as usize
    }

    /// Makes `len` bytes count, from the front on. Bytes that come in so hold
    /// whatever the slot held. `false`, and nothing changes, when it is more
    /// than [`Self::capacity`].
    #[must_use]
    pub fn set_len(&mut self, len: usize) -> bool {
        let fits = len <= self.capacity();
        if fits {
            self.len = short(len);
        }
        fits
    }

    /// Lets go of all bytes behind the first `len`.
    pub fn truncate(&mut self, len: usize) {
        self.len = short(len.min(self.len()));
    }

    /// Moves the front past `count` bytes; they become head-room. `false`, and
    /// nothing changes, when there are fewer.
    #[must_use]
    pub fn trim_front(&mut self, count: usize) -> bool {
        let fits = count <= self.len();
        if fits {
            self.offset += short(count);
            self.len -= short(count);
        }
        fits
    }

    /// Moves the front back over `count` bytes of head-room. `false`, and
    /// nothing changes, when there are fewer.
    #[must_use]
    pub fn grow_front(&mut self, count: usize) -> bool {
        let fits = count <= self.head_room();
        if fits {
            self.offset -= short(count);
            self.len += short(count);
        }
        fits
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        LOST.fetch_add(1, Ordering::Relaxed);
    }
}
