//! The slots.

use std::io;
use std::mem;
use std::num::NonZeroU16;
use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::map::Map;
use crate::{Lease, MAX_SLOTS, SLOT_LEN};

static POOLS: AtomicU32 = AtomicU32::new(0);

/// Why there is no pool.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// The number of slots is 0 or above [`MAX_SLOTS`].
    #[error("{0} packet slots: a pool has 1 to {MAX_SLOTS}")]
    Slots(u32),
    /// The memory could not be had.
    #[error("no memory for {slots} packet slots of {SLOT_LEN} bytes")]
    Memory {
        /// Slots asked for.
        slots: u32,
        /// What the kernel said.
        source: io::Error,
    },
    /// The process has made 65,535 pools.
    #[error("this process has made too many packet pools")]
    TooManyPools,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Free,
    Leased,
    Lent,
}

/// A fixed number of packet slots, for one thread.
///
/// A lease of another pool is refused by a panic in every build: it is a bug
/// of ours, and no bytes from the wire lead to it.
#[derive(Debug)]
pub struct Pool {
    map: Map,
    tag: NonZeroU16,
    states: Box<[State]>,
    /// Free slots, the last released first: its bytes are likely in the cache.
    free: Vec<u16>,
    lent: u32,
}

impl Pool {
    /// Maps `slots` slots, resident from the start.
    ///
    /// # Errors
    /// [`PoolError`]; nothing is held then.
    pub fn new(slots: u32) -> Result<Self, PoolError> {
        if slots == 0 || slots > MAX_SLOTS {
            return Err(PoolError::Slots(slots));
        }
        let tag = POOLS
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                (count < u32::from(u16::MAX)).then_some(count + 1)
            })
            .ok()
            .and_then(|count| u16::try_from(count + 1).ok())
            .and_then(NonZeroU16::new)
            .ok_or(PoolError::TooManyPools)?;
        let map = Map::new(slots as usize * SLOT_LEN)
            .map_err(|source| PoolError::Memory { slots, source })?;
        Ok(Self {
            map,
            tag,
            states: vec![State::Free; slots as usize].into_boxed_slice(),
            // Lossless: `slots` is at most 32,768.
            free: (0..slots).rev().map(|slot| slot as u16).collect(),
            lent: 0,
        })
    }

    /// Slots in all.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.states.len()
    }

    /// Slots that [`Self::lease`] can still give.
    #[must_use]
    pub fn available(&self) -> usize {
        self.free.len()
    }

    /// Slots that the kernel holds.
    #[must_use]
    pub const fn lent(&self) -> usize {
        self.lent as usize
    }

    /// Leases that are out: neither free nor with the kernel.
    #[must_use]
    pub fn out(&self) -> usize {
        self.slots() - self.free.len() - self.lent()
    }

    /// Whether the lease is one of this pool's.
    #[must_use]
    pub fn owns(&self, lease: &Lease) -> bool {
        lease.pool == self.tag
    }

    /// A free slot with `head_room` bytes before its front and no byte that
    /// counts; `None` when none is free or the head-room is longer than a slot.
    pub fn lease(&mut self, head_room: usize) -> Option<Lease> {
        if head_room > SLOT_LEN {
            return None;
        }
        let slot = self.free.pop()?;
        self.states[usize::from(slot)] = State::Leased;
        Some(Lease {
            pool: self.tag,
            slot,
            // Lossless: at most `SLOT_LEN`.
            offset: head_room as u16,
            len: 0,
        })
    }

    /// Takes the slot back.
    pub fn release(&mut self, lease: Lease) {
        let slot = self.retire(lease);
        self.states[usize::from(slot)] = State::Free;
        self.free.push(slot);
    }

    /// Ends a lease without counting it as lost.
    fn retire(&self, lease: Lease) -> u16 {
        self.check(&lease);
        let slot = lease.slot;
        mem::forget(lease);
        slot
    }

    fn check(&self, lease: &Lease) {
        assert!(self.owns(lease), "a lease of another pool");
        debug_assert_eq!(self.states[usize::from(lease.slot)], State::Leased);
    }

    /// Address of the first byte that counts.
    ///
    /// Dereferencing it is subject to the lease: nobody may write through it
    /// while [`Self::bytes`] is borrowed, nor read while [`Self::bytes_mut`] is.
    #[must_use]
    pub fn as_ptr(&self, lease: &Lease) -> NonNull<u8> {
        self.check(lease);
        let from_base = usize::from(lease.slot) * SLOT_LEN + usize::from(lease.offset);
        // SAFETY: a lease of this pool has `slot < slots` and
        // `offset <= SLOT_LEN` (invariant of `Lease`, whose fields only this
        // crate writes), so the result is inside the map or one past its end.
        unsafe { self.map.base().add(from_base) }
    }

    /// The bytes that count.
    #[must_use]
    pub fn bytes(&self, lease: &Lease) -> &[u8] {
        let first = self.as_ptr(lease);
        // SAFETY: `offset + len <= SLOT_LEN` keeps the slice in the slot. The
        // slot is leased, so the kernel does not write to it (`redeem`'s
        // obligation). A mutable slice of it needs `&mut self`. The map is
        // zeroed, hence initialised, and lives as long as `self`.
        unsafe { slice::from_raw_parts(first.as_ptr(), lease.len()) }
    }

    /// The bytes that count, to be changed.
    #[must_use]
    pub fn bytes_mut<'a>(&'a mut self, lease: &'a mut Lease) -> &'a mut [u8] {
        let first = self.as_ptr(lease);
        // SAFETY: as in `bytes`; and `&mut self` excludes every other slice of
        // this pool for as long as this one lives.
        unsafe { slice::from_raw_parts_mut(first.as_ptr(), lease.len()) }
    }

    /// The bytes of several leases at once, in their order.
    ///
    /// ```
    /// # let mut pool = plenum_pool::Pool::new(2).unwrap();
    /// let mut packets = [pool.lease(0).unwrap(), pool.lease(0).unwrap()];
    /// assert!(packets.iter_mut().all(|packet| packet.set_len(1)));
    /// let bytes: Vec<&mut [u8]> = pool.bytes_mut_many(&mut packets).collect();
    /// for slice in bytes {
    ///     slice[0] = 1;
    /// }
    /// # packets.into_iter().for_each(|packet| pool.release(packet));
    /// ```
    pub fn bytes_mut_many<'a, I>(&'a mut self, leases: I) -> impl Iterator<Item = &'a mut [u8]>
    where
        I: IntoIterator<Item = &'a mut Lease>,
        I::IntoIter: 'a,
    {
        let pool: &'a Self = self;
        leases.into_iter().map(move |lease| {
            let first = pool.as_ptr(lease);
            // SAFETY: as in `bytes`; and the slices do not overlap: each lease
            // is borrowed mutably for `'a`, so none comes twice, and no two
            // leases name one slot. `self` stays mutably borrowed for `'a`,
            // which excludes slices made by other calls.
            unsafe { slice::from_raw_parts_mut(first.as_ptr(), lease.len()) }
        })
    }

    /// Address of a slot's first byte, for a kernel that will write there.
    ///
    /// # Panics
    /// When there is no such slot.
    #[must_use]
    pub fn slot_ptr(&self, slot: u16) -> NonNull<u8> {
        assert!(usize::from(slot) < self.slots());
        // SAFETY: `slot < slots`, so this is inside the map.
        unsafe { self.map.base().add(usize::from(slot) * SLOT_LEN) }
    }

    /// Ends the lease in favour of the kernel, which may write to the slot from
    /// now on. Returns the slot's number; [`Self::redeem`] makes it a lease again.
    pub fn lend(&mut self, lease: Lease) -> u16 {
        let slot = self.retire(lease);
        self.states[usize::from(slot)] = State::Lent;
        self.lent += 1;
        slot
    }

    /// Makes a lent slot a lease of `len` bytes from `offset` on. `None`, and
    /// nothing changes, when the slot is not lent or the bytes are not inside it.
    ///
    /// # Safety
    /// The kernel has given the slot up: it holds no request and no ring entry
    /// that lets it write there.
    pub unsafe fn redeem(&mut self, slot: u16, offset: usize, len: usize) -> Option<Lease> {
        let state = self.states.get_mut(usize::from(slot))?;
        if *state != State::Lent || offset > SLOT_LEN || len > SLOT_LEN - offset {
            return None;
        }
        *state = State::Leased;
        self.lent -= 1;
        Some(Lease {
            pool: self.tag,
            slot,
            // Lossless: both are at most `SLOT_LEN`.
            offset: offset as u16,
            len: len as u16,
        })
    }
}

#[cfg(test)]
mod tests;
