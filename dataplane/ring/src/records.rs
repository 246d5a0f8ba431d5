//! Single-producer, single-consumer rings of records of any length.
//!
//! ```text
//!   word   head                                      tail
//!   ... | kind, length | payload, padded to words | kind, length | ...
//! ```
//!
//! Positions count words since the memory was made and are in it, so whoever is
//! killed, its successor goes on at the next record: `tail` moves when a record
//! is whole, `head` when it was copied out. A record may lie across the end of
//! the ring.
//!
//! The peer is not trusted. A record is copied out before anything of it is
//! read; a position or a length that no honest peer makes empties the ring.
//! Wake-ups are as in [`crate::spsc`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use plenum_abi::{MODULE_RECORD_BYTES_MAX, RingHeader};

use crate::Doorbell;
use crate::mapping::Mapping;
use crate::spsc::Full;

/// One ring in a mapping.
pub(crate) struct Place {
    pub(crate) mapping: Arc<Mapping>,
    /// Offset of the [`RingHeader`].
    pub(crate) header: usize,
    /// Offset of the words.
    pub(crate) offset: usize,
    /// How many there are, a power of two.
    pub(crate) words: u64,
}

impl Place {
    fn header(&self) -> &RingHeader {
        self.mapping.at(self.header)
    }

    fn ring(&self) -> &[AtomicU64] {
        self.mapping.words(self.offset, self.words as usize)
    }

    /// Words between the positions; `None` where no honest peer could be.
    fn waiting(&self, head: u64, tail: u64) -> Option<u64> {
        let waiting = tail.wrapping_sub(head);
        (waiting <= self.words).then_some(waiting)
    }

    /// The consumer's: nothing waits afterwards.
    fn empty(&self) {
        let header = self.header();
        header
            .head
            .store(header.tail.load(Ordering::Acquire), Ordering::Release);
    }

    /// The words from a position on: up to the end of the ring, and from its start.
    fn from(&self, position: u64, len: usize) -> impl Iterator<Item = &AtomicU64> {
        let ring = self.ring();
        let at = (position & (self.words - 1)) as usize;
        ring[at..].iter().chain(&ring[..at]).take(len)
    }
}

/// Kind and payload length of a record as a word.
const fn head_word(kind: u32, len: usize) -> u64 {
    (kind as u64) << 32 | len as u64
}

/// The writing end.
pub struct RecordProducer {
    place: Place,
}

impl RecordProducer {
    pub(crate) fn new(place: Place) -> Self {
        Self { place }
    }

    /// Writes one record, its payload the `parts` one after the other. The consumer
    /// is not woken: see [`Self::wake`].
    ///
    /// # Errors
    /// [`Full`]; nothing was written then. A record longer than
    /// [`MODULE_RECORD_BYTES_MAX`] never fits.
    pub fn push(&mut self, kind: u32, parts: &[&[u8]]) -> Result<(), Full> {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        if len > MODULE_RECORD_BYTES_MAX {
            return Err(Full);
        }
        let words = 1 + len.div_ceil(8);
        let place = &self.place;
        let header = place.header();
        let tail = header.tail.load(Ordering::Relaxed);
        let head = header.head.load(Ordering::Acquire);
        let free = place.words - place.waiting(head, tail).ok_or(Full)?;
        if words as u64 > free {
            return Err(Full);
        }
        let mut ring = place.from(tail, words);
        let mut put = |word: u64| {
            if let Some(place) = ring.next() {
                place.store(word, Ordering::Relaxed);
            }
        };
        put(head_word(kind, len));
        // Bytes that do not fill a word wait for those of the next part.
        let (mut word, mut filled) = (0_u64, 0_u32);
        for part in parts {
            let mut bytes = *part;
            while filled > 0 && !bytes.is_empty() {
                word |= u64::from(bytes[0]) << (8 * filled);
                bytes = &bytes[1..];
                filled += 1;
                if filled == 8 {
                    put(word);
                    (word, filled) = (0, 0);
                }
            }
            let (whole, rest) = bytes.as_chunks::<8>();
            for chunk in whole {
                put(u64::from_le_bytes(*chunk));
            }
            for byte in rest {
                word |= u64::from(*byte) << (8 * filled);
                filled += 1;
            }
        }
        if filled > 0 {
            put(word);
        }
        header
            .tail
            .store(tail.wrapping_add(words as u64), Ordering::Release);
        Ok(())
    }

    /// Bytes that the next record's payload may have.
    #[must_use]
    pub fn room(&self) -> usize {
        let header = self.place.header();
        let tail = header.tail.load(Ordering::Relaxed);
        let waiting = self
            .place
            .waiting(header.head.load(Ordering::Acquire), tail);
        let free = waiting.map_or(0, |waiting| self.place.words - waiting);
        free.saturating_sub(1) as usize * 8
    }

    /// Rings the doorbell if the consumer sleeps. Once per batch of pushes.
    pub fn wake(&self, doorbell: &Doorbell) {
        fence(Ordering::SeqCst);
        if self.place.header().consumer_sleeps.load(Ordering::Relaxed) != 0 {
            doorbell.ring();
        }
    }
}

/// The reading end.
pub struct RecordConsumer {
    place: Place,
}

impl RecordConsumer {
    pub(crate) fn new(place: Place) -> Self {
        Self { place }
    }

    /// Copies the next record's payload into `payload`, takes the record off and
    /// tells its kind; `None` where none waits. `payload` grows to the longest
    /// record there is and then no more.
    ///
    /// What the peer may not have written (positions or a length that cannot be)
    /// empties the ring.
    pub fn pop(&mut self, payload: &mut Vec<u8>) -> Option<u32> {
        payload.clear();
        let place = &self.place;
        let header = place.header();
        let head = header.head.load(Ordering::Relaxed);
        let tail = header.tail.load(Ordering::Acquire);
        let waiting = place.waiting(head, tail);
        if waiting == Some(0) {
            return None;
        }
        let mut ring = place.from(head, place.words as usize);
        let first = ring.next().map_or(0, |word| word.load(Ordering::Relaxed));
        let (kind, len) = ((first >> 32) as u32, first as u32 as usize);
        let words = 1 + len.div_ceil(8) as u64;
        let honest = len <= MODULE_RECORD_BYTES_MAX && waiting.is_some_and(|there| words <= there);
        if !honest {
            place.empty();
            return None;
        }
        payload.reserve(len.next_multiple_of(8));
        for word in ring.take(words as usize - 1) {
            payload.extend_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
        }
        payload.truncate(len);
        header
            .head
            .store(head.wrapping_add(words), Ordering::Release);
        Some(kind)
    }

    /// Announces sleep; `false` when a record came meanwhile and sleep would be
    /// wrong. Undone by [`Self::stay_awake`].
    #[must_use]
    pub fn prepare_sleep(&self) -> bool {
        let header = self.place.header();
        header.consumer_sleeps.store(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let empty = header.tail.load(Ordering::Acquire) == header.head.load(Ordering::Relaxed);
        if !empty {
            self.stay_awake();
        }
        empty
    }

    /// No wake-ups are wanted.
    pub fn stay_awake(&self) {
        let header = self.place.header();
        header.consumer_sleeps.store(0, Ordering::Relaxed);
    }

    /// Catches up with whatever the producer wrote: nothing waits afterwards.
    pub fn skip_all(&mut self) {
        self.place.empty();
    }
}

#[cfg(test)]
mod tests;
