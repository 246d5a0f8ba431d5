//! The ring through which the kernel gets slots to receive into.
//!
//! Entry `i` of the ring is 16 bytes: address, length, buffer id. The tail is
//! hidden in the last two bytes of entry 0, so entries are written field by
//! field and never as a whole.

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::BufRingEntry;
use plenum_pool::{Lease, Pool, SLOT_LEN};
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// The buffer group that all receives name.
pub(crate) const GROUP: u16 = 0;

/// The ring and the pool behind it.
#[derive(Debug)]
pub(crate) struct BufferRing {
    entries: NonNull<BufRingEntry>,
    /// A power of two, at least the pool's slots: it can never be overfilled.
    count: u16,
    tail: u16,
    pub(crate) pool: Pool,
}

impl BufferRing {
    /// Maps and registers a ring and fills it with every slot of `pool`.
    ///
    /// # Safety
    /// The ring of `submitter` must be closed, with no request left, before
    /// this is dropped: the kernel writes to both mappings until then.
    pub(crate) unsafe fn new(submitter: &Submitter<'_>, pool: Pool) -> io::Result<Self> {
        let count = pool.slots().next_power_of_two();
        let bytes = count * size_of::<BufRingEntry>();
        // SAFETY: a new private mapping at an address of the kernel's choice.
        let map = unsafe {
            mmap_anonymous(
                std::ptr::null_mut(),
                bytes,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )?
        };
        let Some(entries) = NonNull::new(map.cast::<BufRingEntry>()) else {
            return Err(io::ErrorKind::OutOfMemory.into());
        };
        let mut ring = Self {
            entries,
            // Lossless: a pool has at most 2^15 slots.
            count: count as u16,
            tail: 0,
            pool,
        };
        // SAFETY: the mapping is page-aligned, zeroed, of `count` entries, and
        // stays until drop; the caller sees to it that the kernel has let go by then.
        unsafe {
            submitter.register_buf_ring_with_flags(
                entries.as_ptr() as u64,
                ring.count,
                GROUP,
                0,
            )?;
        }
        while let Some(lease) = ring.pool.lease(0) {
            ring.give(lease);
        }
        Ok(ring)
    }

    /// Hands a slot to the kernel.
    pub(crate) fn give(&mut self, lease: Lease) {
        let slot = self.pool.lend(lease);
        let index = usize::from(self.tail & (self.count - 1));
        // SAFETY: `index < count`. The kernel reads entries only below the
        // tail, and this one is not: fewer slots exist than entries, so the
        // ring is never full. No reference to an entry exists elsewhere. The
        // tail's two bytes lie in a field that none of the three setters writes.
        unsafe {
            let entry = &mut *self.entries.as_ptr().add(index);
            entry.set_addr(self.pool.slot_ptr(slot).as_ptr() as u64);
            entry.set_len(SLOT_LEN as u32);
            entry.set_bid(slot);
        }
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: `tail` gives the address of a `u16` in the first entry, which
        // is mapped and aligned; all accesses, ours and the kernel's, are atomic.
        let tail =
            unsafe { AtomicU16::from_ptr(BufRingEntry::tail(self.entries.as_ptr()).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}

impl Drop for BufferRing {
    fn drop(&mut self) {
        let bytes = usize::from(self.count) * size_of::<BufRingEntry>();
        // SAFETY: mapped in `new` with this size, unmapped only here; by the
        // obligation of `new` the kernel has let go of it.
        let _ = unsafe { munmap(self.entries.as_ptr().cast(), bytes) };
    }
}
