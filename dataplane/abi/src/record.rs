//! Session state that outlives every process.
//!
//! One writer (the worker that owns the slot), any number of readers. A writer
//! may be killed between any two instructions, so:
//!
//! - configuration is [`DoubleBuffered`]: the copy that is being written is
//!   never the one that counts, and a torn one fails its checksum;
//! - counters are single atomic words, stored in an order in which every
//!   prefix is safe (see [`TransmitState`] and [`ReceiveStream`]).
//!
//! `kill -9` stops at an instruction boundary and the memory is coherent, so
//! program order is the order of the stores that the successor sees.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, compiler_fence};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{ConferenceConfig, LegConfig, LegStats, Nanos, SocketAddress};

/// FNV-1a over 64-bit words, with a final mix; guards against torn writes, not
/// against attackers.
pub(crate) fn checksum(sequence: u64, words: impl Iterator<Item = u64>) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ sequence;
    for word in words {
        hash = (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        hash ^= hash >> 29;
    }
    hash
}

/// One of the two copies in a [`DoubleBuffered`]; public only because the
/// derived layout traits name it.
#[derive(Debug, FromBytes, KnownLayout)]
#[repr(C)]
#[doc(hidden)]
#[allow(unreachable_pub)]
pub struct Half<const WORDS: usize> {
    sequence: AtomicU64,
    checksum: AtomicU64,
    words: [AtomicU64; WORDS],
}

/// A value that is replaced as a whole and never seen torn.
///
/// `WORDS` is the size of the value in 64-bit words. Sequence 0 means "never
/// written"; the valid copy with the higher sequence counts.
#[derive(Debug, FromBytes, KnownLayout)]
#[repr(C)]
pub struct DoubleBuffered<const WORDS: usize> {
    copies: [Half<WORDS>; 2],
}

impl<const WORDS: usize> DoubleBuffered<WORDS> {
    fn read_copy(&self, which: usize) -> Option<(u64, [u64; WORDS])> {
        let copy = &self.copies[which];
        let sequence = copy.sequence.load(Ordering::Acquire);
        let mut words = [0; WORDS];
        for (word, stored) in words.iter_mut().zip(&copy.words) {
            *word = stored.load(Ordering::Relaxed);
        }
        // A writer that overtook this read changed the sequence or breaks the sum.
        let sum = copy.checksum.load(Ordering::Acquire);
        let intact = sequence != 0 && sum == checksum(sequence, words.iter().copied());
        intact.then_some((sequence, words))
    }

    fn newest(&self) -> Option<(usize, u64, [u64; WORDS])> {
        let first = self
            .read_copy(0)
            .map(|(sequence, words)| (0, sequence, words));
        let second = self
            .read_copy(1)
            .map(|(sequence, words)| (1, sequence, words));
        match (first, second) {
            (Some(a), Some(b)) => Some(if b.1 > a.1 { b } else { a }),
            (a, b) => a.or(b),
        }
    }

    /// The newest whole value; `None` before the first write.
    pub fn load<T: FromBytes>(&self) -> Option<T> {
        const { assert!(size_of::<T>() == WORDS * 8) };
        let (_, _, words) = self.newest()?;
        T::read_from_bytes(words.as_bytes()).ok()
    }

    /// Replaces the value. For the slot's one writer only.
    pub fn store<T: IntoBytes + Immutable>(&self, value: &T) {
        const { assert!(size_of::<T>() == WORDS * 8) };
        let (target, sequence) = match self.newest() {
            Some((which, sequence, _)) => (1 - which, sequence + 1),
            None => (0, 1),
        };
        let copy = &self.copies[target];
        let words = value.as_bytes().chunks_exact(8).map(|chunk| {
            let mut word = [0; 8];
            word.copy_from_slice(chunk);
            u64::from_ne_bytes(word)
        });
        copy.sequence.store(0, Ordering::Release);
        compiler_fence(Ordering::SeqCst);
        let mut count = 0;
        for (stored, word) in copy.words.iter().zip(words.clone()) {
            stored.store(word, Ordering::Relaxed);
            count += 1;
        }
        debug_assert_eq!(count, WORDS);
        copy.checksum
            .store(checksum(sequence, words), Ordering::Release);
        copy.sequence.store(sequence, Ordering::Release);
    }

    /// Forgets the value (and overwrites it: it may hold keys).
    pub fn clear(&self) {
        for copy in &self.copies {
            copy.sequence.store(0, Ordering::Release);
            for word in &copy.words {
                word.store(0, Ordering::Relaxed);
            }
            copy.checksum.store(0, Ordering::Release);
        }
    }
}

/// Whether a slot has a tenant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u32)]
pub enum SlotState {
    /// No tenant; the rest of the record means nothing.
    Free = 0,
    /// The record's configuration counts.
    Live = 1,
}

/// How far our sending has come. Invariant: a word is stored before the
/// packet that uses it leaves, so no SRTP index is ever used twice.
#[derive(Debug, FromBytes, KnownLayout)]
#[repr(C)]
pub struct TransmitState {
    /// Next SRTP packet index (48 bits: roll-over counter and sequence number).
    pub next_rtp_index: AtomicU64,
    /// Next SRTCP index (31 bits).
    pub next_rtcp_index: AtomicU64,
    /// RTP timestamp of the media clock at `clock_at`.
    pub timestamp: AtomicU64,
    /// When `timestamp` was right, in [`Nanos`].
    pub clock_at: AtomicU64,
    /// [`LegConfig::tx_key_epoch`] of the indexes above, plus one; stored last when
    /// keys change.
    pub key_epoch: AtomicU64,
    /// Zero.
    pub reserved: [AtomicU64; 3],
}

/// SSRCs that one leg's receive key may carry.
pub const RX_STREAMS: usize = 4;

/// What was received of one SSRC. Invariant: the window is stored before what
/// it admitted is used. On an advance `highest` is stored first, then bits of
/// the skipped indexes are cleared, then the new bit is set: a crash in
/// between refuses a packet that might have been good and never admits one twice.
#[derive(Debug, FromBytes, KnownLayout)]
#[repr(C)]
pub struct ReceiveStream {
    /// SSRC in the low 32 bits, bit 32 set when the entry is in use, key epoch
    /// (low 31 bits) above it.
    pub ssrc: AtomicU64,
    /// Highest SRTP index admitted, plus one; 0 when none was.
    pub rtp_next: AtomicU64,
    /// Bit `index % 128` is set when that index was admitted.
    pub rtp_window: [AtomicU64; 2],
    /// Highest SRTCP index admitted, plus one; 0 when none was.
    pub rtcp_next: AtomicU64,
    /// Bit `index % 128` is set when that SRTCP index was admitted.
    pub rtcp_window: [AtomicU64; 2],
    /// Zero.
    pub reserved: AtomicU64,
}

/// The learned path of a leg.
#[derive(Debug, FromBytes, KnownLayout)]
#[repr(C)]
pub struct PathState {
    /// Where RTP goes now, a [`SocketAddress`].
    pub remote_rtp: DoubleBuffered<3>,
    /// Where RTCP goes now, a [`SocketAddress`].
    pub remote_rtcp: DoubleBuffered<3>,
}

const _: () = assert!(size_of::<SocketAddress>() == 24);

/// One leg, all that is needed to go on after a crash.
#[derive(Debug, FromBytes, KnownLayout)]
#[repr(C, align(64))]
pub struct LegRecord {
    /// A [`SlotState`]; stored last on set-up and first on removal.
    pub state: AtomicU32,
    /// Generation of the tenant or of the last one.
    pub generation: AtomicU32,
    /// When media was last valid, in [`Nanos`]; 0 for never.
    pub last_received: AtomicU64,
    /// Zero.
    pub reserved: [AtomicU64; 6],
    /// Sending.
    pub transmit: TransmitState,
    /// Receiving, per SSRC.
    pub receive: [ReceiveStream; RX_STREAMS],
    /// A [`LegConfig`].
    pub config: DoubleBuffered<28>,
    /// Name label, a [`crate::Text`].
    pub label: DoubleBuffered<49>,
    /// Learned addresses.
    pub path: PathState,
    /// Counters; lost with nobody harmed, kept so that they do not jump.
    pub stats: LegStats,
}

const _: () = assert!(size_of::<LegConfig>() == 28 * 8);
const _: () = assert!(size_of::<LegRecord>().is_multiple_of(64));

impl LegRecord {
    /// Whether the slot has a tenant.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.state.load(Ordering::Acquire) == SlotState::Live as u32
    }

    /// The tenant's configuration; `None` when the slot is free or the record is torn.
    #[must_use]
    pub fn live_config(&self) -> Option<LegConfig> {
        if !self.is_live() {
            return None;
        }
        self.config
            .load::<LegConfig>()
            .filter(|config| config.generation == self.generation.load(Ordering::Acquire))
    }

    /// When media was last valid.
    #[must_use]
    pub fn last_received(&self) -> Option<Nanos> {
        match self.last_received.load(Ordering::Relaxed) {
            0 => None,
            nanos => Some(Nanos(nanos)),
        }
    }
}

/// One conference.
#[derive(Debug, FromBytes, KnownLayout)]
#[repr(C, align(64))]
pub struct ConferenceRecord {
    /// A [`SlotState`].
    pub state: AtomicU32,
    /// Generation of the tenant or of the last one.
    pub generation: AtomicU32,
    /// Slot of the loudest speaker, plus one; 0 for nobody.
    pub active_speaker: AtomicU64,
    /// Zero.
    pub reserved: [AtomicU64; 2],
    /// A [`ConferenceConfig`].
    pub config: DoubleBuffered<4>,
    /// A [`crate::ViewPolicy`].
    pub view_policy: DoubleBuffered<4>,
    /// On-screen message, a [`crate::Text`].
    pub message: DoubleBuffered<49>,
    /// Zero.
    pub padding: [AtomicU64; 2],
}

const _: () = assert!(size_of::<ConferenceConfig>() == 4 * 8);
const _: () = assert!(size_of::<ConferenceRecord>().is_multiple_of(64));

impl ConferenceRecord {
    /// The tenant's configuration; `None` when the slot is free or the record is torn.
    #[must_use]
    pub fn live_config(&self) -> Option<ConferenceConfig> {
        if self.state.load(Ordering::Acquire) != SlotState::Live as u32 {
            return None;
        }
        self.config
            .load::<ConferenceConfig>()
            .filter(|config| config.generation == self.generation.load(Ordering::Acquire))
    }
}

#[cfg(test)]
mod tests {
    use zerocopy::FromZeros;

    use super::*;

    #[test]
    fn a_torn_copy_is_dropped_and_the_one_before_it_counts() {
        let buffer = DoubleBuffered::<3>::new_zeroed();
        assert_eq!(buffer.load::<[u64; 3]>(), None);
        buffer.store(&[1_u64, 2, 3]);
        buffer.store(&[4_u64, 5, 6]);
        assert_eq!(buffer.load(), Some([4_u64, 5, 6]));
        // The writer died half-way through the third value, which goes over the first.
        let target = &buffer.copies[0];
        assert_eq!(target.sequence.load(Ordering::Relaxed), 1);
        target.sequence.store(0, Ordering::Relaxed);
        target.words[0].store(7, Ordering::Relaxed);
        assert_eq!(buffer.load(), Some([4_u64, 5, 6]));
        // Even a sequence that made it does not make a torn copy count.
        target.sequence.store(3, Ordering::Relaxed);
        assert_eq!(buffer.load(), Some([4_u64, 5, 6]));
        buffer.store(&[7_u64, 8, 9]);
        assert_eq!(buffer.load(), Some([7_u64, 8, 9]));
    }

    #[test]
    fn a_cleared_value_leaves_no_bytes_behind() {
        let buffer = DoubleBuffered::<2>::new_zeroed();
        buffer.store(&[0xdead_u64, 0xbeef]);
        buffer.clear();
        assert_eq!(buffer.load::<[u64; 2]>(), None);
        assert!(buffer.copies.iter().all(|copy| {
            copy.words
                .iter()
                .all(|word| word.load(Ordering::Relaxed) == 0)
        }));
    }
}
