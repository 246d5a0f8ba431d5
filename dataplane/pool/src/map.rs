//! The memory under a pool: private, zeroed, resident, on huge pages where
//! there are some, and left out of core files and of children (it holds sound
//! in the clear).

use std::io;
use std::ptr::NonNull;

/// Huge pages come in this size; a pool starts at a multiple of it.
#[cfg(not(miri))]
const HUGE: usize = 2 << 20;

/// Zeroed memory, unmapped on drop.
#[derive(Debug)]
pub(crate) struct Map {
    base: NonNull<u8>,
    len: usize,
}

impl Map {
    pub(crate) const fn base(&self) -> NonNull<u8> {
        self.base
    }
}

#[cfg(not(miri))]
impl Map {
    pub(crate) fn new(len: usize) -> io::Result<Self> {
        let len = len.next_multiple_of(4096);
        let align = if len >= HUGE { HUGE } else { 4096 };
        // Ask for more than needed and give back what lies outside the alignment.
        let asked = len + align;
        // SAFETY: a new private anonymous mapping at an address of the
        // kernel's choice touches no memory that Rust knows of.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                asked,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = start.cast::<u8>();
        let before = start.align_offset(align);
        let after = asked - before - len;
        // SAFETY: `before <= align` and `before + len + after == asked`, so each
        // range lies in the mapping just made, of which nobody holds a pointer
        // yet; page sizes divide all three.
        let base = unsafe {
            let base = start.add(before);
            if before > 0 {
                libc::munmap(start.cast(), before);
            }
            if after > 0 {
                libc::munmap(base.add(len).cast(), after);
            }
            // Advice: what an older kernel refuses is lost speed or secrecy of
            // core files, not a reason to fail.
            for advice in [
                libc::MADV_HUGEPAGE,
                libc::MADV_DONTDUMP,
                libc::MADV_DONTFORK,
            ] {
                libc::madvise(base.cast(), len, advice);
            }
            base
        };
        let map = Self {
            base: NonNull::new(base).ok_or(io::ErrorKind::OutOfMemory)?,
            len,
        };
        // Now, so that no packet pays for a page fault; and running out of
        // memory is an error here instead of a kill later.
        // SAFETY: the range is the mapping that `map` owns.
        let populated = unsafe { libc::madvise(base.cast(), len, libc::MADV_POPULATE_WRITE) };
        if populated != 0 {
            let error = io::Error::last_os_error();
            if error.raw_os_error() != Some(libc::EINVAL) {
                return Err(error);
            }
        }
        Ok(map)
    }
}

#[cfg(not(miri))]
impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: `base` and `len` are what remained of our mapping, unmapped
        // only here; the pool that owned it is gone, and bytes are borrowed
        // from the pool.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

/// Miri knows no `madvise`; an allocation has the properties it can check.
#[cfg(miri)]
impl Map {
    pub(crate) fn new(len: usize) -> io::Result<Self> {
        let layout = std::alloc::Layout::from_size_align(len, 64).map_err(io::Error::other)?;
        // SAFETY: the callers' `len` is not zero.
        let base = unsafe { std::alloc::alloc_zeroed(layout) };
        let base = NonNull::new(base).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { base, len })
    }
}

#[cfg(miri)]
impl Drop for Map {
    fn drop(&mut self) {
        if let Ok(layout) = std::alloc::Layout::from_size_align(self.len, 64) {
            // SAFETY: allocated in `new` with this layout.
            unsafe { std::alloc::dealloc(self.base.as_ptr(), layout) };
        }
    }
}
