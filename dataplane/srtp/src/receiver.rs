//! One leg's receive key.

use plenum_abi::{MasterKeys, RX_STREAMS, SrtpSuite, VIDEO_RX_STREAMS};

use crate::cipher::{GCM_TAG_LEN, Transform, counter_block, nonce, open, verify};
use crate::keys::{SessionKeys, Use};
use crate::packet::{RTCP_CLEAR_LEN, RtpHeader, rtcp_ssrc};
use crate::sender::{ENCRYPTED, RTCP_INDEX_LEN};
use crate::window::{NoIndex, Window, guess_index};
use crate::{Reject, StreamState};

/// What was received of one SSRC.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stream {
    pub(crate) ssrc: u32,
    pub(crate) rtp: Window,
    pub(crate) rtcp: Window,
}

/// Opens what one leg receives under one key.
///
/// Per SSRC it keeps the roll-over counter and a replay window for RTP and one
/// for RTCP. A stream comes into being with its first authentic packet, and at
/// most as many as it was made for do: a further SSRC is refused for the life of the key.
/// Making room by forgetting one would forget its replay window too, and every
/// packet of it could then be played back.
pub struct Receiver {
    rtp: Transform,
    rtcp: Transform,
    streams: [Option<Stream>; VIDEO_RX_STREAMS],
    /// How many of them may be in use.
    limit: usize,
    changed: Option<usize>,
}

impl core::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Receiver")
            .field("streams", &self.streams)
            .finish_non_exhaustive()
    }
}

impl Receiver {
    /// A context that has received nothing, for [`RX_STREAMS`] streams. `keys` are of the suite's length. Allocates.
    #[must_use]
    pub fn new(suite: SrtpSuite, keys: &MasterKeys) -> Self {
        Self::restore(suite, keys, &[None; RX_STREAMS])
    }

    /// A context that goes on where another under the same key left off. The
    /// places in `streams` are the slots of [`Receiver::changed`], and as many as
    /// there will be; at most [`VIDEO_RX_STREAMS`] count. Allocates.
    #[must_use]
    pub fn restore(suite: SrtpSuite, keys: &MasterKeys, streams: &[Option<StreamState>]) -> Self {
        let mut receiver = Self::from_session_keys(
            suite,
            &SessionKeys::derive(suite, keys, Use::Rtp),
            &SessionKeys::derive(suite, keys, Use::Rtcp),
        );
        receiver.limit = streams.len().min(VIDEO_RX_STREAMS);
        for (stream, state) in receiver.streams.iter_mut().zip(streams) {
            *stream = state.map(Stream::from);
        }
        receiver
    }

    pub(crate) fn from_session_keys(
        suite: SrtpSuite,
        rtp: &SessionKeys,
        rtcp: &SessionKeys,
    ) -> Self {
        Self {
            rtp: Transform::new(suite, rtp, Use::Rtp),
            rtcp: Transform::new(suite, rtcp, Use::Rtcp),
            streams: [None; VIDEO_RX_STREAMS],
            limit: RX_STREAMS,
            changed: None,
        }
    }

    /// The slot that the last accepted packet touched and what is in it now;
    /// `None` before the first. It is stored ([`StreamState::store`]) before the
    /// packet is used.
    #[must_use]
    pub fn changed(&self) -> Option<(usize, StreamState)> {
        let slot = self.changed?;
        Some((slot, self.stream(slot)?))
    }

    /// What is in a slot.
    #[must_use]
    pub fn stream(&self, slot: usize) -> Option<StreamState> {
        self.streams.get(slot)?.map(StreamState::from)
    }

    /// Opens an SRTP packet in place. Returns the length of the RTP packet at its
    /// front.
    ///
    /// # Errors
    /// See [`Reject`]; the bytes of `packet` are then worthless.
    pub fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, Reject> {
        let header = RtpHeader::parse(packet).ok_or(Reject::Truncated)?;
        let end = packet
            .len()
            .checked_sub(self.rtp.tag_len())
            .filter(|&end| end >= header.len)
            .ok_or(Reject::Truncated)?;
        let (slot, mut stream) = self.find(header.ssrc);
        let index = match guess_index(stream.rtp.next, header.sequence) {
            Ok(index) if stream.rtp.admits(index) => index,
            Ok(_) | Err(NoIndex::Old) => return Err(Reject::Replayed),
            Err(NoIndex::Expired) => return Err(Reject::KeyExpired),
        };
        match &self.rtp {
            Transform::CounterHmac {
                cipher,
                salt,
                mac,
                tag_len,
            } => {
                // The tag is over the packet and the roll-over counter. Put where
                // the tag was, the two are one message.
                let mut tag = [0; 10];
                let tag = &mut tag[..*tag_len];
                tag.copy_from_slice(&packet[end..]);
                let roll_over = ((index >> 16) as u32).to_be_bytes();
                packet[end..end + roll_over.len()].copy_from_slice(&roll_over);
                if !verify(mac, &packet[..end + roll_over.len()], tag) {
                    return Err(Reject::AuthTag);
                }
                let block = counter_block(salt, header.ssrc, index);
                cipher.apply(&block, &mut packet[header.len..end]);
            }
            Transform::Gcm { key, salt } => {
                let (clear, text_and_tag) = packet.split_at_mut(header.len);
                if !open(key, nonce(salt, header.ssrc, index), clear, text_and_tag) {
                    return Err(Reject::AuthTag);
                }
            }
        }
        stream.rtp.insert(index);
        self.keep(slot, stream)?;
        Ok(end)
    }

    /// Opens an SRTCP packet in place. Returns the length of the RTCP packet at
    /// its front.
    ///
    /// # Errors
    /// See [`Reject`]; the bytes of `packet` are then worthless.
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, Reject> {
        let ssrc = rtcp_ssrc(packet).ok_or(Reject::Truncated)?;
        let end = packet
            .len()
            .checked_sub(RTCP_INDEX_LEN + self.rtcp.tag_len())
            .filter(|&end| end >= RTCP_CLEAR_LEN)
            .ok_or(Reject::Truncated)?;
        // The index lies before the tag of HMAC and behind that of GCM.
        let index_at = match &self.rtcp {
            Transform::CounterHmac { .. } => end,
            Transform::Gcm { .. } => end + GCM_TAG_LEN,
        };
        let trailer = packet[index_at..]
            .first_chunk::<RTCP_INDEX_LEN>()
            .copied()
            .ok_or(Reject::Truncated)?;
        let word = u32::from_be_bytes(trailer);
        if word & ENCRYPTED == 0 {
            return Err(Reject::NotEncrypted);
        }
        let index = u64::from(word & !ENCRYPTED);
        let (slot, mut stream) = self.find(ssrc);
        if !stream.rtcp.admits(index) {
            return Err(Reject::Replayed);
        }
        match &self.rtcp {
            Transform::CounterHmac {
                cipher, salt, mac, ..
            } => {
                let (signed, tag) = packet.split_at_mut(end + RTCP_INDEX_LEN);
                if !verify(mac, signed, tag) {
                    return Err(Reject::AuthTag);
                }
                let block = counter_block(salt, ssrc, index);
                cipher.apply(&block, &mut signed[RTCP_CLEAR_LEN..end]);
            }
            Transform::Gcm { key, salt } => {
                let (clear, text_and_tag) = packet[..index_at].split_at_mut(RTCP_CLEAR_LEN);
                let mut associated = [0; RTCP_CLEAR_LEN + RTCP_INDEX_LEN];
                associated[..RTCP_CLEAR_LEN].copy_from_slice(clear);
                associated[RTCP_CLEAR_LEN..].copy_from_slice(&trailer);
                if !open(key, nonce(salt, ssrc, index), &associated, text_and_tag) {
                    return Err(Reject::AuthTag);
                }
            }
        }
        stream.rtcp.insert(index);
        self.keep(slot, stream)?;
        Ok(end)
    }

    /// The stream of an SSRC, or an empty one and the slot that it would take:
    /// One beyond all where none is left, which [`Self::keep`] refuses once the
    /// packet has proved that it is not anybody's.
    fn find(&self, ssrc: u32) -> (usize, Stream) {
        let known = self.streams[..self.limit]
            .iter()
            .position(|stream| stream.is_some_and(|stream| stream.ssrc == ssrc));
        let free = || self.streams[..self.limit].iter().position(Option::is_none);
        let slot = known.or_else(free).unwrap_or(VIDEO_RX_STREAMS);
        let fresh = Stream {
            ssrc,
            ..Stream::default()
        };
        let stream = self.streams.get(slot).copied().flatten();
        (slot, stream.unwrap_or(fresh))
    }

    /// The one place where state changes: after a packet proved authentic.
    fn keep(&mut self, slot: usize, stream: Stream) -> Result<(), Reject> {
        let place = self.streams.get_mut(slot).ok_or(Reject::TooManyStreams)?;
        *place = Some(stream);
        self.changed = Some(slot);
        Ok(())
    }
}
