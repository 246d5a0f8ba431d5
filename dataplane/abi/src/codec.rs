//! Audio and video codecs by number.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// An audio codec of a leg. The numbers are part of the ABI.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
#[non_exhaustive]
pub enum AudioCodec {
    /// G.711 mu-law, 8 kHz (RFC 3551 section 4.5.14).
    Pcmu = 1,
    /// G.711 A-law, 8 kHz (RFC 3551 section 4.5.14).
    Pcma = 2,
    /// G.722 at 64 kbit/s: 16 kHz sound on an 8 kHz RTP clock (RFC 3551 section 4.5.2).
    G722 = 3,
    /// Opus, 48 kHz (RFC 7587); mixed as mono.
    Opus = 4,
}

impl AudioCodec {
    /// Every codec, in the order in which a server prefers them.
    pub const ALL: [Self; 4] = [Self::Opus, Self::G722, Self::Pcma, Self::Pcmu];

    /// The codec with this number, if there is one.
    #[must_use]
    pub const fn from_u8(value: u8) -> Option<Self> {
        Some(match value {
            1 => Self::Pcmu,
            2 => Self::Pcma,
            3 => Self::G722,
            4 => Self::Opus,
            _ => return None,
        })
    }

    /// Samples a second of the decoded sound.
    #[must_use]
    pub const fn sample_rate_hz(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma => 8_000,
            Self::G722 => 16_000,
            Self::Opus => 48_000,
        }
    }

    /// Ticks a second of the RTP timestamp.
    #[must_use]
    pub const fn rtp_clock_hz(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 => 8_000,
            Self::Opus => 48_000,
        }
    }
}

/// A video codec of a leg. The numbers are part of the ABI.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
#[non_exhaustive]
pub enum VideoCodec {
    /// H.264 (RFC 6184), progressive.
    H264 = 1,
    /// VP8 (RFC 7741).
    Vp8 = 2,
    /// VP9 (RFC 9628).
    Vp9 = 3,
    /// AV1 (the Alliance's RTP payload format).
    Av1 = 4,
}

impl VideoCodec {
    /// The codec with this number, if there is one.
    #[must_use]
    pub const fn from_u8(value: u8) -> Option<Self> {
        Some(match value {
            1 => Self::H264,
            2 => Self::Vp8,
            3 => Self::Vp9,
            4 => Self::Av1,
            _ => return None,
        })
    }

    /// Ticks a second of the RTP timestamp: the same for all of them.
    #[must_use]
    pub const fn rtp_clock_hz(self) -> u32 {
        90_000
    }
}

/// One received payload type and what it decodes as.
#[derive(
    Clone, Copy, Debug, Default, Eq, FromBytes, Hash, Immutable, IntoBytes, KnownLayout, PartialEq,
)]
#[repr(C)]
pub struct PayloadMap {
    /// RTP payload type, 0 to 127.
    pub payload_type: u8,
    /// An [`AudioCodec`], unchecked; 0 where the entry is unused.
    pub codec: u8,
}
