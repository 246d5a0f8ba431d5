//! Desired state and records of video.
//!
//! A *video stream* is one m-line of a leg: its main picture or its content
//! (screen share). It has a slot of its own beside the leg's, with a pair of
//! sockets of its own, because most legs of a server may have none, and because
//! SIP does not bundle. A browser's streams go over its leg's transport instead
//! ([`VideoFlags::BUNDLED`]).

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::record::SlotState;
use crate::{
    DoubleBuffered, MasterKeys, Nanos, PathState, ReceiveStream, SlotRef, SocketAddress, SrtpSuite,
    TransmitState,
};

/// Switches of a video stream, as bits of [`VideoConfig::flags`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct VideoFlags(pub u32);

impl VideoFlags {
    /// SDP allows us to send to the far end.
    pub const SEND: Self = Self(1 << 0);
    /// SDP allows the far end to send to us.
    pub const RECEIVE: Self = Self(1 << 1);
    /// RTP and RTCP share the RTP port (RFC 5761).
    pub const RTCP_MUX: Self = Self(1 << 2);
    /// As [`crate::LegFlags::LEARN_ADDRESS`].
    pub const LEARN_ADDRESS: Self = Self(1 << 3);
    /// The stream is the leg's content (RFC 4796 `slides`), not its main picture.
    pub const CONTENT: Self = Self(1 << 4);
    /// Others do not see the far end's picture (`rxVideoMute`).
    pub const RX_VIDEO_MUTE: Self = Self(1 << 5);
    /// The leg is sent no picture (`txVideoMute`).
    pub const TX_VIDEO_MUTE: Self = Self(1 << 6);
    /// Keys, addresses and port are those of the leg's transport.
    pub const BUNDLED: Self = Self(1 << 7);
    /// Both ends do generic NACK (RFC 4585 section 6.2.1).
    pub const NACK: Self = Self(1 << 8);
    /// The far end takes PLI (RFC 4585 section 6.3.1).
    pub const PLI: Self = Self(1 << 9);
    /// The far end takes FIR (RFC 5104 section 4.3.1).
    pub const FIR: Self = Self(1 << 10);
    /// The far end does TMMBR (RFC 5104 section 4.2.1).
    pub const TMMBR: Self = Self(1 << 11);
    /// The far end does REMB.
    pub const REMB: Self = Self(1 << 12);
    /// The far end does transport-wide congestion control.
    pub const TRANSPORT_CC: Self = Self(1 << 13);
    /// The leg has no stream for content: content goes into its main picture.
    pub const CONTENT_IN_MAIN: Self = Self(1 << 14);

    /// Whether all bits of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// With the bits of `other` set or cleared.
    #[must_use]
    pub const fn with(self, other: Self, on: bool) -> Self {
        if on {
            Self(self.0 | other.0)
        } else {
            Self(self.0 & !other.0)
        }
    }
}

impl core::ops::BitOr for VideoFlags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// One payload type of a video stream.
#[derive(
    Clone, Copy, Debug, Default, Eq, FromBytes, Hash, Immutable, IntoBytes, KnownLayout, PartialEq,
)]
#[repr(C)]
pub struct VideoPayload {
    /// RTP payload type, 0 to 127.
    pub payload_type: u8,
    /// A [`crate::VideoCodec`], unchecked; 0 where the entry is unused.
    pub codec: u8,
    /// Payload type of its retransmissions (RFC 4588) or [`crate::NO_PAYLOAD_TYPE`].
    pub rtx_payload_type: u8,
    /// H.264: packetization-mode that the far end takes, 0 or 1 (RFC 6184 section 6).
    pub packetization_mode: u8,
    /// H.264: profile-level-id, 24 bits (RFC 6184 section 8.1); 0 for other codecs.
    pub profile_level_id: u32,
}

const _: () = assert!(size_of::<VideoPayload>() == 8);

/// Everything the dataplane must know of a video stream. A whole value replaces
/// the one before it.
#[derive(
    Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq,
)]
#[repr(C)]
pub struct VideoConfig {
    /// See [`crate::LegConfig::revision`].
    pub revision: u64,
    /// See [`crate::LegConfig::generation`].
    pub generation: u32,
    /// [`VideoFlags`].
    pub flags: u32,
    /// The leg whose stream it is; on the same worker and in its conference.
    pub leg: SlotRef,
    /// SSRC under which we send.
    pub tx_ssrc: u32,
    /// SSRC under which we retransmit (RFC 4588); 0 for none.
    pub tx_rtx_ssrc: u32,
    /// Where RTP goes until something better is learned.
    pub remote_rtp: SocketAddress,
    /// Where RTCP goes without RTCP_MUX.
    pub remote_rtcp: SocketAddress,
    /// Accepted payload types; the first in use is the one we send.
    pub payloads: [VideoPayload; 4],
    /// Most that the far end takes, bit/s; 0 is no limit but ours.
    pub tx_bit_rate_bps_max: u32,
    /// Most that we told the far end to send, bit/s; 0 is no limit.
    pub rx_bit_rate_bps_max: u32,
    /// Most macroblocks a second that the far end takes ([`crate::VideoLimits::max_mbps`]);
    /// 0 is no limit but size and pictures a second.
    pub tx_macroblocks_per_s_max: u32,
    /// Widest picture that the far end takes, pixels.
    pub tx_width_max: u16,
    /// Highest picture that the far end takes, pixels.
    pub tx_height_max: u16,
    /// Most pictures a second that the far end takes, however small.
    pub tx_frame_rate_max: u8,
    /// A [`SrtpSuite`], or 0 for plain RTP. With BUNDLED it is 0.
    pub srtp_suite: u8,
    /// See [`crate::LegConfig::tx_key_epoch`].
    pub tx_key_epoch: u16,
    /// See [`crate::LegConfig::rx_key_epoch`].
    pub rx_key_epoch: u16,
    /// With BUNDLED: the m-line's identification tag (RFC 8843 section 15), zeros after
    /// its end; all zeros where it is longer, and packets are told apart without it.
    pub mid: [u8; 6],
    /// With BUNDLED: the RIDs (RFC 8852) of the layers that the far end sends (RFC 8853), each
    /// as [`Self::rid_of`] has it; none in use where it sends one plain stream.
    pub rids: [[u8; RID_LEN_MAX]; LAYERS_MAX],
    /// Zero.
    pub reserved: [u8; 4],
    /// Keys under which we send.
    pub tx_keys: MasterKeys,
    /// Keys under which we receive.
    pub rx_keys: MasterKeys,
}

const _: () = assert!(size_of::<VideoConfig>() == 288 && align_of::<VideoConfig>() == 8);

impl VideoConfig {
    /// What we send: the first payload type in use.
    #[must_use]
    pub fn tx_payload(&self) -> Option<VideoPayload> {
        self.payloads
            .iter()
            .find(|payload| payload.codec != 0)
            .copied()
    }

    /// What a received payload type is.
    #[must_use]
    pub fn rx_payload(&self, payload_type: u8) -> Option<VideoPayload> {
        self.payloads
            .iter()
            .find(|payload| payload.codec != 0 && payload.payload_type == payload_type)
            .copied()
    }

    /// The suite, where media is encrypted under keys of the stream's own.
    #[must_use]
    pub const fn suite(&self) -> Option<SrtpSuite> {
        SrtpSuite::from_u8(self.srtp_suite)
    }

    /// The payload type that a received one sends again (RFC 4588).
    #[must_use]
    pub fn rx_repaired(&self, rtx_payload_type: u8) -> Option<VideoPayload> {
        let repairs = |payload: &&VideoPayload| {
            payload.codec != 0
                && payload.rtx_payload_type == rtx_payload_type
                && rtx_payload_type != crate::NO_PAYLOAD_TYPE
        };
        self.payloads.iter().find(repairs).copied()
    }

    /// [`VideoConfig::mid`] of a tag.
    #[must_use]
    pub fn mid_of(tag: &str) -> [u8; 6] {
        let mut mid = [0; 6];
        if let Some(place) = mid.get_mut(..tag.len()) {
            place.copy_from_slice(tag.as_bytes());
        }
        mid
    }

    /// An element of [`VideoConfig::rids`]: zeros after its end; all zeros, which is no RID,
    /// where it is longer than [`RID_LEN_MAX`].
    #[must_use]
    pub fn rid_of(rid: &[u8]) -> [u8; RID_LEN_MAX] {
        let mut padded = [0; RID_LEN_MAX];
        if let Some(place) = padded.get_mut(..rid.len()) {
            place.copy_from_slice(rid);
        }
        padded
    }

    /// Whether the far end sends layers.
    #[must_use]
    pub fn is_layered(&self) -> bool {
        self.rids[0] != [0; RID_LEN_MAX]
    }

    /// The layer of a RID, as an index of [`Self::rids`]; `None` for a stranger's.
    #[must_use]
    pub fn layer(&self, rid: &[u8]) -> Option<usize> {
        let wanted = Self::rid_of(rid);
        if wanted == [0; RID_LEN_MAX] {
            return None;
        }
        self.rids.iter().position(|rid| *rid == wanted)
    }

    /// The switches.
    #[must_use]
    pub const fn flags(&self) -> VideoFlags {
        VideoFlags(self.flags)
    }
}

/// Payload of [`crate::CommandKind::SetVideo`].
#[derive(
    Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq,
)]
#[repr(C)]
pub struct SetVideo {
    /// Video slot on the worker; its sockets are those of this slot.
    pub slot: u32,
    /// Zero.
    pub reserved: u32,
    /// The desired state.
    pub config: VideoConfig,
}

/// How a conference looks. Layouts are numbered in the order of the REST API's
/// LAYOUT words, from 1; 0 is the server's default.
#[derive(
    Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq,
)]
#[repr(C)]
pub struct ViewPolicy {
    /// See [`crate::LegConfig::revision`].
    pub revision: u64,
    /// Number of the layout, unchecked.
    pub layout: u8,
    /// What a participant with a placed pane sees there, in the order of the
    /// words of `panePlacementSelfPaneMode`, from 1; 0 is the default.
    pub self_pane_mode: u8,
    /// Most pictures a second; 0 is the default (60).
    pub frame_rate_max: u8,
    /// 1 switches name labels off.
    pub labels_off: u8,
    /// Panes are placed for participants of this importance and below
    /// (`panePlacementHighestImportance`); 0 places none.
    pub placement_highest_importance: u32,
    /// Number of the placement's active speaker mode; 0 is the default.
    pub active_speaker_mode: u8,
    /// Where the message is shown, in the order of the words of
    /// `messagePosition`, from 1.
    pub message_position: u8,
    /// 1 shows that the meeting is locked.
    pub locked: u8,
    /// Zero.
    pub reserved: [u8; 5],
    /// When the message goes, in [`Nanos`]; 0 is never.
    pub message_until: u64,
}

const _: () = assert!(size_of::<ViewPolicy>() == 32);

/// Payload of [`crate::CommandKind::SetViewPolicy`].
#[derive(
    Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq,
)]
#[repr(C)]
pub struct SetViewPolicy {
    /// The conference.
    pub conference: SlotRef,
    /// The desired state.
    pub policy: ViewPolicy,
}

/// Longest text of a [`Text`], bytes of UTF-8.
pub const TEXT_MAX: usize = 376;

/// A label or a message: UTF-8, cut to [`TEXT_MAX`] at a character.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct Text {
    /// See [`crate::LegConfig::revision`].
    pub revision: u64,
    /// Bytes in use, unchecked.
    pub len: u32,
    /// Zero.
    pub reserved: u32,
    /// UTF-8, unchecked, zero after its end.
    pub bytes: [u8; TEXT_MAX],
}

const _: () = assert!(size_of::<Text>() == 49 * 8);

impl Default for Text {
    fn default() -> Self {
        Self {
            revision: 0,
            len: 0,
            reserved: 0,
            bytes: [0; TEXT_MAX],
        }
    }
}

impl Text {
    /// `text`, cut where it is too long.
    #[must_use]
    pub fn new(revision: u64, text: &str) -> Self {
        let mut len = text.len().min(TEXT_MAX);
        while !text.is_char_boundary(len) {
            len -= 1;
        }
        let mut bytes = [0; TEXT_MAX];
        bytes[..len].copy_from_slice(&text.as_bytes()[..len]);
        Self {
            revision,
            len: len as u32,
            reserved: 0,
            bytes,
        }
    }

    /// The text; empty where the bytes are none.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..self.len as usize).unwrap_or_default();
        core::str::from_utf8(bytes).unwrap_or_default()
    }
}

/// Payload of [`crate::CommandKind::SetLabel`] (about a leg) and
/// [`crate::CommandKind::SetMessage`] (about a conference).
#[derive(
    Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq,
)]
#[repr(C)]
pub struct SetText {
    /// Whom it is about.
    pub about: SlotRef,
    /// The desired state.
    pub text: Text,
}

/// Most layers of simulcast (RFC 8853) that one video stream is received in.
pub const LAYERS_MAX: usize = 3;

/// Longest RID that is told apart, bytes: what a header extension of the one-byte form
/// holds (RFC 8285 section 4.2).
pub const RID_LEN_MAX: usize = 16;

/// SSRCs that one video stream's receive key may carry: three layers of
/// simulcast, their retransmissions, and two that come after a restart of the
/// far end.
pub const VIDEO_RX_STREAMS: usize = 8;

/// Counters of a video stream; totals since it was set up unless the name says
/// otherwise.
#[derive(Debug, Default, FromBytes, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct VideoStats {
    /// RTP packets accepted.
    pub rx_packets: AtomicU64,
    /// Bytes of accepted RTP packets, header included.
    pub rx_bytes: AtomicU64,
    /// RTP packets that never came, retransmissions counted as having come.
    pub rx_lost: AtomicU64,
    /// Refused: bad tag, seen before, a stranger's, malformed, not wanted.
    pub rx_refused: AtomicU64,
    /// Interarrival jitter, microseconds. A gauge.
    pub rx_jitter_us: AtomicU64,
    /// Pictures received whole.
    pub rx_frames: AtomicU64,
    /// Pictures given up.
    pub rx_frames_lost: AtomicU64,
    /// Key frames that we asked for.
    pub rx_key_frame_requests: AtomicU64,
    /// Width in the high, height in the low 16 bits of the low word, of the last
    /// picture decoded; 0 before. A gauge.
    pub rx_size: AtomicU64,
    /// Times that this stream killed its decoder.
    pub rx_decoder_crashes: AtomicU64,
    /// Number of the codec last received; 0 before. A gauge.
    pub rx_codec: AtomicU64,
    /// RTP packets sent.
    pub tx_packets: AtomicU64,
    /// Bytes of sent RTP packets, header included.
    pub tx_bytes: AtomicU64,
    /// Sends that the kernel refused.
    pub tx_errors: AtomicU64,
    /// Pictures sent.
    pub tx_frames: AtomicU64,
    /// Key frames that the far end asked for.
    pub tx_key_frame_requests: AtomicU64,
    /// As `rx_size`, of what we send. A gauge.
    pub tx_size: AtomicU64,
    /// What we may send now, bit/s. A gauge.
    pub tx_allowed_bps: AtomicU64,
    /// Packets that we sent again.
    pub tx_retransmitted: AtomicU64,
    /// Fraction that the far end reports lost, in 1/256. A gauge.
    pub tx_loss_fraction: AtomicU64,
    /// Jitter that the far end reports, microseconds. A gauge.
    pub tx_jitter_us: AtomicU64,
    /// Round trip, microseconds; 0 before the first. A gauge.
    pub round_trip_us: AtomicU64,
}

impl VideoStats {
    /// Starts all counters anew, for the slot's next tenant.
    pub fn reset(&self) {
        let words = [
            &self.rx_packets,
            &self.rx_bytes,
            &self.rx_lost,
            &self.rx_refused,
            &self.rx_jitter_us,
            &self.rx_frames,
            &self.rx_frames_lost,
            &self.rx_key_frame_requests,
            &self.rx_size,
            &self.rx_decoder_crashes,
            &self.rx_codec,
            &self.tx_packets,
            &self.tx_bytes,
            &self.tx_errors,
            &self.tx_frames,
            &self.tx_key_frame_requests,
            &self.tx_size,
            &self.tx_allowed_bps,
            &self.tx_retransmitted,
            &self.tx_loss_fraction,
            &self.tx_jitter_us,
            &self.round_trip_us,
        ];
        const { assert!(size_of::<Self>() == 22 * 8) };
        for word in words {
            word.store(0, Ordering::Relaxed);
        }
    }
}

/// One video stream, all that is needed to go on after a crash.
#[derive(Debug, FromBytes, KnownLayout)]
#[repr(C, align(64))]
pub struct VideoRecord {
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
    /// Sending again (RFC 4588).
    pub retransmit: TransmitState,
    /// Receiving, per SSRC.
    pub receive: [ReceiveStream; VIDEO_RX_STREAMS],
    /// What came under which SSRC, newest first: the SSRC in the low 32 bits, what it
    /// carries above it, as the reader of packets has it; 0 where unused. Browsers name
    /// a stream's m-line and layer in its first packets only.
    pub ssrcs: [AtomicU64; VIDEO_RX_STREAMS],
    /// A [`VideoConfig`].
    pub config: DoubleBuffered<36>,
    /// Learned addresses.
    pub path: PathState,
    /// Counters.
    pub stats: VideoStats,
    /// Zero.
    pub padding: [AtomicU64; 4],
}

const _: () = assert!(size_of::<VideoConfig>() == 36 * 8);
const _: () = assert!(size_of::<VideoRecord>().is_multiple_of(64));

impl VideoRecord {
    /// Whether the slot has a tenant.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.state.load(Ordering::Acquire) == SlotState::Live as u32
    }

    /// The tenant's configuration; `None` when the slot is free or the record is torn.
    #[must_use]
    pub fn live_config(&self) -> Option<VideoConfig> {
        if !self.is_live() {
            return None;
        }
        self.config
            .load::<VideoConfig>()
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

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;

    #[test]
    fn a_layer_is_found_by_its_whole_rid() {
        let mut config = VideoConfig::default();
        assert!(!config.is_layered());
        assert_eq!((config.layer(b""), config.layer(b"h")), (None, None));
        let longest = b"0123456789abcdef";
        config.rids = [&b"h"[..], b"hi", longest].map(VideoConfig::rid_of);
        assert!(config.is_layered());
        for (rid, layer) in [(&b"h"[..], 0), (b"hi", 1), (longest, 2)] {
            assert_eq!(config.layer(rid), Some(layer));
        }
        for stranger in [
            &b""[..],
            b"H",
            b"hig",
            b"0123456789abcde",
            b"0123456789abcdefg",
        ] {
            assert_eq!(config.layer(stranger), None, "{stranger:?}");
        }
    }

    #[test]
    fn a_text_is_cut_at_a_character_and_any_bytes_are_some_text() {
        assert_eq!(Text::new(1, "Žofie").as_str(), "Žofie");
        let long = "é".repeat(TEXT_MAX);
        assert_eq!(Text::new(1, &long).as_str().len(), TEXT_MAX);
        let odd = format!("x{long}");
        assert_eq!(Text::new(1, &odd).as_str().len(), TEXT_MAX - 1);
        let mut torn = Text::new(1, "é");
        torn.len = 1;
        assert_eq!(torn.as_str(), "");
        torn.len = u32::MAX;
        assert_eq!(torn.as_str(), "");
    }
}
