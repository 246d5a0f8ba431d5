//! Sealed shared memory, reached through atomic words alone.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::mm::{Advice, MapFlags, MlockFlags, ProtFlags};

/// What could not be done, and what the kernel said.
pub(crate) type Refusal = (&'static str, io::Error);

/// A mapped memfd whose size cannot change.
pub(crate) struct Mapping {
    base: NonNull<u8>,
    len: usize,
    fd: OwnedFd,
}

// SAFETY: the mapping is shared memory that is only reached through shared
// references to atomic words; moving or sharing the handle between threads
// adds no access that atomics do not order.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `base` and `len` are those of our own successful mmap, and
        // every reference into it borrows from `self`.
        let _ = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

impl Mapping {
    /// Zeros, sealed in size, closed on exec.
    pub(crate) fn create(name: &CStr, len: usize) -> Result<Self, Refusal> {
        let kernel = |doing| move |error: rustix::io::Errno| (doing, error.into());
        let fd = rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)
            .map_err(kernel("make"))?;
        rustix::fs::ftruncate(&fd, len as u64).map_err(kernel("size"))?;
        rustix::fs::fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)
            .map_err(kernel("seal"))?;
        Self::map(fd, len)
    }

    /// An inherited one; `None` where its size could change under us, and every
    /// access could then fault.
    pub(crate) fn open(fd: OwnedFd) -> Result<Option<Self>, Refusal> {
        let Ok(seals) = rustix::fs::fcntl_get_seals(&fd) else {
            return Ok(None);
        };
        if !seals.contains(SealFlags::SHRINK | SealFlags::GROW) {
            return Ok(None);
        }
        let size = rustix::fs::fstat(&fd)
            .map_err(|error| ("examine", error.into()))?
            .st_size;
        let len = usize::try_from(size).unwrap_or(0);
        if len == 0 {
            return Ok(None);
        }
        Self::map(fd, len).map(Some)
    }

    fn map(fd: OwnedFd, len: usize) -> Result<Self, Refusal> {
        // SAFETY: a new shared mapping of `len` bytes at an address of the kernel's
        // choice replaces nothing.
        let base = unsafe {
            rustix::mm::mmap(
                std::ptr::null_mut(),
                len,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                &fd,
                0,
            )
        };
        let base = base.map_err(|error| ("map", error.into()))?;
        let base =
            NonNull::new(base.cast()).ok_or(("map", io::Error::from(io::ErrorKind::Other)))?;
        Ok(Self { base, len, fd })
    }

    /// Out of core files, and out of swap where the limits allow; tells whether
    /// they did. For memory with keys in it.
    pub(crate) fn keep_secret(&self) -> bool {
        // SAFETY: both calls are about our own mapping and change no contents.
        unsafe {
            let base = self.base.as_ptr().cast();
            let _ = rustix::mm::madvise(base, self.len, Advice::LinuxDontDump);
            rustix::mm::mlock_with(base, self.len, MlockFlags::ONFAULT).is_ok()
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// A record of atomic words. Panics where it does not lie within, aligned.
    pub(crate) fn at<T: zerocopy::FromBytes + zerocopy::KnownLayout>(&self, offset: usize) -> &T {
        assert!(offset.is_multiple_of(align_of::<T>()));
        assert!(offset + size_of::<T>() <= self.len);
        // SAFETY: in bounds and aligned by the assertions (the base is
        // page-aligned); the sealed mapping lives as long as `self`; any bytes
        // are a `T` (`FromBytes`), and every `T` used here consists of atomics,
        // so that writes by others while the reference lives are allowed.
        unsafe { self.base.add(offset).cast::<T>().as_ref() }
    }

    /// `len` words. Panics where they do not lie within.
    pub(crate) fn words(&self, offset: usize, len: usize) -> &[AtomicU64] {
        assert!(offset.is_multiple_of(8) && offset + len * 8 <= self.len);
        // SAFETY: as in `at`, for a slice of atomic words.
        unsafe { std::slice::from_raw_parts(self.base.add(offset).cast().as_ptr(), len) }
    }
}

impl AsFd for Mapping {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
