//! One leg's transmit key.

use core::sync::atomic::{AtomicU64, Ordering, compiler_fence};

use plenum_abi::{MasterKeys, SrtpSuite};
use plenum_kernels::sha1::{DIGEST_LEN, HmacJob, HmacKey, hmac, hmac_many};

use crate::ProtectError;
use crate::cipher::{Transform, counter_block, nonce, seal};
use crate::keys::{SessionKeys, Use};
use crate::packet::{RTCP_CLEAR_LEN, RtpHeader, rtcp_ssrc};
use crate::window::{RTCP_INDEX_END, RTP_INDEX_END};

/// Most SSRCs that one transmit key carries (sound, pictures and their repairs).
pub const TX_STREAMS: usize = 8;
/// Tail room that suffices for every suite: a GCM tag and the SRTCP index.
pub const TAIL_MAX: usize = 20;

/// Bytes of the SRTCP index with its E bit.
pub(crate) const RTCP_INDEX_LEN: usize = 4;
/// Bytes of the roll-over counter where it enters the tag.
const ROLL_OVER_LEN: usize = 4;
/// The E bit: this SRTCP packet is encrypted.
pub(crate) const ENCRYPTED: u32 = 1 << 31;
/// Packets that one call of the kernel tags.
const TAG_GROUP: usize = 16;

/// What this context has used of one SSRC: a second guard, for the counters
/// themselves are the caller's words.
#[derive(Clone, Copy, Debug)]
struct Used {
    ssrc: u32,
    rtp_next: u64,
    rtcp_next: u64,
}

/// Protects what one leg sends under one key.
///
/// Every call takes `next`, the word in which the packet index is kept (for
/// RTP [`plenum_abi::TransmitState::next_rtp_index`]). The index is read from
/// it and the word advanced *before* anything is encrypted; a context made anew
/// after a crash goes on where the word stands. The word has one owner, the
/// worker that holds this context; for a new key, and only then, it is set by
/// hand: SRTP to a random number below 2^15 (RFC 3711 section 3.3.1: a receiver
/// that misses the first packets must not guess a wrong roll-over counter), SRTCP
/// to 0. Each SSRC has a word of its own.
pub struct Sender {
    rtp: Transform,
    rtcp: Transform,
    used: [Option<Used>; TX_STREAMS],
}

impl core::fmt::Debug for Sender {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Sender")
            .field("used", &self.used)
            .finish_non_exhaustive()
    }
}

/// A packet that is encrypted and still wants its tag: see [`finish_tags`].
/// It holds what a key was hashed to, so it is as secret as the key.
#[derive(Clone, Copy)]
#[must_use = "without its tag the far end drops the packet"]
pub struct PendingTag {
    mac: HmacKey,
    /// What the tag is over: the packet, and for RTP the roll-over counter behind it.
    signed_len: usize,
    packet_len: usize,
    /// 0 where nothing is left to do (GCM).
    tag_len: usize,
}

impl core::fmt::Debug for PendingTag {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("PendingTag")
            .field("packet_len", &self.packet_len)
            .field("tag_len", &self.tag_len)
            .finish_non_exhaustive()
    }
}

impl PendingTag {
    const NOTHING: Self = Self {
        mac: HmacKey {
            inner: [0; 5],
            outer: [0; 5],
        },
        signed_len: 0,
        packet_len: 0,
        tag_len: 0,
    };

    /// Bytes of the packet with its tag.
    #[must_use]
    pub fn packet_len(&self) -> usize {
        self.packet_len
    }

    fn finish_alone(&self, buffer: &mut [u8]) {
        if self.tag_len > 0 {
            let tag = hmac(&self.mac, &buffer[..self.signed_len]);
            self.put(&tag, buffer);
        }
    }

    fn put(&self, tag: &[u8; DIGEST_LEN], buffer: &mut [u8]) {
        let place = &mut buffer[self.packet_len - self.tag_len..self.packet_len];
        place.copy_from_slice(&tag[..self.tag_len]);
    }
}

impl Sender {
    /// A context for `keys`, which are of the suite's length. Allocates.
    #[must_use]
    pub fn new(suite: SrtpSuite, keys: &MasterKeys) -> Self {
        Self::from_session_keys(
            suite,
            &SessionKeys::derive(suite, keys, Use::Rtp),
            &SessionKeys::derive(suite, keys, Use::Rtcp),
        )
    }

    pub(crate) fn from_session_keys(
        suite: SrtpSuite,
        rtp: &SessionKeys,
        rtcp: &SessionKeys,
    ) -> Self {
        Self {
            rtp: Transform::new(suite, rtp, Use::Rtp),
            rtcp: Transform::new(suite, rtcp, Use::Rtcp),
            used: [None; TX_STREAMS],
        }
    }

    /// Bytes that an RTP packet grows by: 4, 10 or 16.
    #[must_use]
    pub fn rtp_overhead(&self) -> usize {
        self.rtp.tag_len()
    }

    /// Bytes that an RTCP packet grows by: 14 or 20.
    #[must_use]
    pub fn rtcp_overhead(&self) -> usize {
        RTCP_INDEX_LEN + self.rtcp.tag_len()
    }

    /// Protects the RTP packet `buffer[..len]` in place and returns its new
    /// length; the tag goes behind it. The header carries the low 16 bits of
    /// the word `next` as its sequence number.
    ///
    /// # Errors
    /// See [`ProtectError`]; `next` is then as it was.
    pub fn protect_rtp(
        &mut self,
        next: &AtomicU64,
        buffer: &mut [u8],
        len: usize,
    ) -> Result<usize, ProtectError> {
        let pending = self.begin_rtp(next, buffer, len)?;
        pending.finish_alone(buffer);
        Ok(pending.packet_len)
    }

    /// [`Sender::protect_rtp`] without the tag, which [`finish_tags`] makes for
    /// many packets at once. Until then the packet must not leave, and
    /// `buffer[..packet_len]` must not change.
    ///
    /// # Errors
    /// As [`Sender::protect_rtp`].
    pub fn begin_rtp(
        &mut self,
        next: &AtomicU64,
        buffer: &mut [u8],
        len: usize,
    ) -> Result<PendingTag, ProtectError> {
        let packet = buffer.get(..len).ok_or(ProtectError::Malformed)?;
        let header = RtpHeader::parse(packet).ok_or(ProtectError::Malformed)?;
        let packet_len = len + self.rtp.tag_len();
        if buffer.len() < packet_len {
            return Err(ProtectError::NoRoom);
        }
        let used = Self::used(&mut self.used, header.ssrc)?;
        let index = next.load(Ordering::Relaxed);
        if index >= RTP_INDEX_END {
            return Err(ProtectError::KeyExpired);
        }
        if header.sequence != index as u16 {
            return Err(ProtectError::SequenceMismatch);
        }
        take(index, next, &mut used.rtp_next)?;

        let (clear, text) = buffer.split_at_mut(header.len);
        let (text, tail) = text.split_at_mut(len - header.len);
        match &self.rtp {
            Transform::CounterHmac {
                cipher,
                salt,
                mac,
                tag_len,
            } => {
                cipher.apply(&counter_block(salt, header.ssrc, index), text);
                // The tag is over the packet and the roll-over counter. That waits
                // where the tag will be, so that the kernel sees one message.
                let roll_over = (index >> 16) as u32;
                tail[..ROLL_OVER_LEN].copy_from_slice(&roll_over.to_be_bytes());
                Ok(PendingTag {
                    mac: *mac,
                    signed_len: len + ROLL_OVER_LEN,
                    packet_len,
                    tag_len: *tag_len,
                })
            }
            Transform::Gcm { key, salt } => {
                let tag = seal(key, nonce(salt, header.ssrc, index), clear, text);
                tail[..tag.len()].copy_from_slice(&tag);
                Ok(PendingTag {
                    packet_len,
                    ..PendingTag::NOTHING
                })
            }
        }
    }

    /// Protects the RTCP packet (compound or reduced-size) `buffer[..len]` in
    /// place and returns its new length. `next` is the SRTCP counter.
    ///
    /// # Errors
    /// See [`ProtectError`]; `next` is then as it was.
    pub fn protect_rtcp(
        &mut self,
        next: &AtomicU64,
        buffer: &mut [u8],
        len: usize,
    ) -> Result<usize, ProtectError> {
        let packet = buffer.get(..len).ok_or(ProtectError::Malformed)?;
        let ssrc = rtcp_ssrc(packet).ok_or(ProtectError::Malformed)?;
        let packet_len = len + self.rtcp_overhead();
        if buffer.len() < packet_len {
            return Err(ProtectError::NoRoom);
        }
        let used = Self::used(&mut self.used, ssrc)?;
        let index = next.load(Ordering::Relaxed);
        if index >= RTCP_INDEX_END {
            return Err(ProtectError::KeyExpired);
        }
        take(index, next, &mut used.rtcp_next)?;

        let trailer = (ENCRYPTED | index as u32).to_be_bytes();
        match &self.rtcp {
            Transform::CounterHmac {
                cipher,
                salt,
                mac,
                tag_len,
            } => {
                let block = counter_block(salt, ssrc, index);
                cipher.apply(&block, &mut buffer[RTCP_CLEAR_LEN..len]);
                buffer[len..len + RTCP_INDEX_LEN].copy_from_slice(&trailer);
                let pending = PendingTag {
                    mac: *mac,
                    signed_len: len + RTCP_INDEX_LEN,
                    packet_len,
                    tag_len: *tag_len,
                };
                pending.finish_alone(buffer);
            }
            Transform::Gcm { key, salt } => {
                let (clear, text) = buffer.split_at_mut(RTCP_CLEAR_LEN);
                let (text, tail) = text.split_at_mut(len - RTCP_CLEAR_LEN);
                let mut associated = [0; RTCP_CLEAR_LEN + RTCP_INDEX_LEN];
                associated[..RTCP_CLEAR_LEN].copy_from_slice(clear);
                associated[RTCP_CLEAR_LEN..].copy_from_slice(&trailer);
                let tag = seal(key, nonce(salt, ssrc, index), &associated, text);
                tail[..tag.len()].copy_from_slice(&tag);
                tail[tag.len()..][..RTCP_INDEX_LEN].copy_from_slice(&trailer);
            }
        }
        Ok(packet_len)
    }

    /// The entry of an SSRC; a new one where there is room. An entry without a
    /// packet in it costs nothing but its place.
    fn used(used: &mut [Option<Used>; TX_STREAMS], ssrc: u32) -> Result<&mut Used, ProtectError> {
        used.iter_mut()
            .find(|entry| entry.is_none_or(|used| used.ssrc == ssrc))
            .map(|entry| {
                entry.get_or_insert(Used {
                    ssrc,
                    rtp_next: 0,
                    rtcp_next: 0,
                })
            })
            .ok_or(ProtectError::TooManyStreams)
    }
}

/// Uses up `index`: the stored word first, so that it never falls behind.
fn take(index: u64, next: &AtomicU64, used_next: &mut u64) -> Result<(), ProtectError> {
    if index < *used_next {
        return Err(ProtectError::IndexReused);
    }
    next.store(index + 1, Ordering::Release);
    // Nothing that uses the index moves before the store. A process that is killed
    // leaves its stores in program order; no stronger barrier is needed.
    compiler_fence(Ordering::SeqCst);
    *used_next = index + 1;
    Ok(())
}

/// Writes the tags of packets that [`Sender::begin_rtp`] encrypted, each in the
/// buffer it was encrypted in. Contexts, suites and lengths may be mixed; the
/// more packets a call gets, the cheaper each is.
///
/// # Panics
/// When a buffer is shorter than its packet: it is not the one of `begin_rtp`.
pub fn finish_tags<'a>(jobs: impl IntoIterator<Item = (PendingTag, &'a mut [u8])>) {
    let mut jobs = jobs
        .into_iter()
        .filter(|(pending, _)| pending.tag_len > 0)
        .fuse();
    while let Some(first) = jobs.next() {
        let (mut first, mut count) = (Some(first), 0);
        let mut group: [(PendingTag, &mut [u8]); TAG_GROUP] = core::array::from_fn(|_| {
            let Some(job) = first.take().or_else(|| jobs.next()) else {
                return (PendingTag::NOTHING, &mut [][..]);
            };
            count += 1;
            job
        });
        let mut macs: [HmacJob<'_>; TAG_GROUP] = core::array::from_fn(|i| {
            let (pending, buffer) = &group[i];
            HmacJob {
                key: pending.mac,
                message: &buffer[..pending.signed_len],
                tag: [0; DIGEST_LEN],
            }
        });
        hmac_many(&mut macs[..count]);
        let tags = macs.map(|mac| mac.tag);
        for ((pending, buffer), tag) in group[..count].iter_mut().zip(tags) {
            pending.put(&tag, buffer);
        }
    }
}
