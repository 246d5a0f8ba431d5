//! What of a received stream outlives the process, and the order in which it
//! is stored.
//!
//! A process may be killed between any two stores. What it leaves may refuse a
//! packet that would have been good, and must never admit one that was used.
//! A bit of the window means another index as soon as the highest index moves
//! on, so the highest index goes first:
//!
//! ```text
//! 1. highest        stale bits now stand for skipped indexes: they refuse
//! 2. cleared bits   skipped indexes are open again; older ones are out of reach
//! 3. the new bit    until now the packet was not used
//! ```
//!
//! The other way round, a bit cleared before the highest moved would open the
//! old index that it still stands for.

use core::sync::atomic::{AtomicU64, Ordering};

use plenum_abi::ReceiveStream;

use crate::receiver::Stream;
use crate::window::Window;

#[cfg(test)]
mod tests;

/// One SSRC under a receive key, as plain data.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct StreamState {
    /// The SSRC.
    pub ssrc: u32,
    /// Highest SRTP index admitted, plus one; 0 when none was.
    pub rtp_next: u64,
    /// Bit `index % 128` is set when that index was admitted.
    pub rtp_window: [u64; 2],
    /// Highest SRTCP index admitted, plus one; 0 when none was.
    pub rtcp_next: u64,
    /// As `rtp_window`, for SRTCP.
    pub rtcp_window: [u64; 2],
}

const IN_USE: u64 = 1 << 32;
const EPOCH_SHIFT: u32 = 33;

/// Where each word of a slot lies in the order of [`ReceiveStream`].
const SSRC: usize = 0;
const RTP: usize = 1;
const RTCP: usize = 4;
#[cfg(test)]
const WORDS: usize = 7;

/// The words of a slot; a test replaces them by ones that die half-way.
pub(crate) trait Words {
    fn get(&self, word: usize) -> u64;
    fn set(&self, word: usize, value: u64);
}

fn cell(slot: &ReceiveStream, word: usize) -> &AtomicU64 {
    match word {
        SSRC => &slot.ssrc,
        1 => &slot.rtp_next,
        2 => &slot.rtp_window[0],
        3 => &slot.rtp_window[1],
        4 => &slot.rtcp_next,
        5 => &slot.rtcp_window[0],
        _ => &slot.rtcp_window[1],
    }
}

impl Words for ReceiveStream {
    fn get(&self, word: usize) -> u64 {
        cell(self, word).load(Ordering::Relaxed)
    }

    fn set(&self, word: usize, value: u64) {
        // Release keeps the stores in this order in the memory that a successor maps.
        cell(self, word).store(value, Ordering::Release);
    }
}

fn label(ssrc: u32, key_epoch: u32) -> u64 {
    u64::from(ssrc) | IN_USE | u64::from(key_epoch) << EPOCH_SHIFT
}

/// Stores a word where it differs.
fn put(slot: &impl Words, word: usize, value: u64) {
    if slot.get(word) != value {
        slot.set(word, value);
    }
}

fn put_window(slot: &impl Words, at: usize, next: u64, bits: [u64; 2]) {
    let mut cleared = bits;
    if slot.get(at) != next {
        slot.set(at, next);
        let newest = Window::bit(next.wrapping_sub(1));
        cleared[0] &= !(newest as u64);
        cleared[1] &= !((newest >> 64) as u64);
    }
    put(slot, at + 1, cleared[0]);
    put(slot, at + 2, cleared[1]);
    put(slot, at + 1, bits[0]);
    put(slot, at + 2, bits[1]);
}

impl StreamState {
    /// Stores the state in its slot of the arena, in the order that leaves no
    /// bad moment; words that are right already are left alone. Call it after
    /// every accepted packet, or once after several, before any of them is used.
    /// Only the low 31 bits of `key_epoch` count.
    pub fn store(&self, slot: &ReceiveStream, key_epoch: u32) {
        self.store_words(slot, key_epoch);
    }

    pub(crate) fn store_words(&self, slot: &impl Words, key_epoch: u32) {
        let label = label(self.ssrc, key_epoch);
        if slot.get(SSRC) != label {
            // Another tenant's slot: empty until everything in it is ours.
            slot.set(SSRC, 0);
        }
        put_window(slot, RTP, self.rtp_next, self.rtp_window);
        put_window(slot, RTCP, self.rtcp_next, self.rtcp_window);
        put(slot, SSRC, label);
    }

    /// What a slot holds; `None` when it is not in use, or of another key epoch.
    #[must_use]
    pub fn load(slot: &ReceiveStream, key_epoch: u32) -> Option<Self> {
        Self::load_words(slot, key_epoch)
    }

    pub(crate) fn load_words(slot: &impl Words, key_epoch: u32) -> Option<Self> {
        let ssrc = slot.get(SSRC) as u32;
        (slot.get(SSRC) == label(ssrc, key_epoch)).then(|| Self {
            ssrc,
            rtp_next: slot.get(RTP),
            rtp_window: [slot.get(RTP + 1), slot.get(RTP + 2)],
            rtcp_next: slot.get(RTCP),
            rtcp_window: [slot.get(RTCP + 1), slot.get(RTCP + 2)],
        })
    }
}

fn to_window(next: u64, bits: [u64; 2]) -> Window {
    Window {
        next,
        bits: u128::from(bits[1]) << 64 | u128::from(bits[0]),
    }
}

fn from_window(window: Window) -> [u64; 2] {
    [window.bits as u64, (window.bits >> 64) as u64]
}

impl From<StreamState> for Stream {
    fn from(state: StreamState) -> Self {
        Self {
            ssrc: state.ssrc,
            rtp: to_window(state.rtp_next, state.rtp_window),
            rtcp: to_window(state.rtcp_next, state.rtcp_window),
        }
    }
}

impl From<Stream> for StreamState {
    fn from(stream: Stream) -> Self {
        Self {
            ssrc: stream.ssrc,
            rtp_next: stream.rtp.next,
            rtp_window: from_window(stream.rtp),
            rtcp_next: stream.rtcp.next,
            rtcp_window: from_window(stream.rtcp),
        }
    }
}
