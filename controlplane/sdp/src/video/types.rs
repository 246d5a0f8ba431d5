//! What goes into a negotiation of video and what comes out of it.

use std::net::SocketAddr;

use plenum_abi::{H264Level, H264Profile, VideoCodec, VideoLimits, VideoPayload};

use crate::{Direction, Srtp};

/// A codec with those of its parameters that both ends must have the same.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum VideoFormat {
    /// H.264 (RFC 6184 section 8.2.2).
    H264 {
        /// `ConstrainedBaseline` stands for `Baseline` too, whose further tools are
        /// not met in conversation, and `High` for `ConstrainedHigh`.
        profile: H264Profile,
        /// 0 or 1.
        packetization_mode: u8,
    },
    /// VP8 (RFC 7741).
    Vp8,
    /// VP9 (RFC 9628).
    Vp9,
    /// AV1.
    Av1,
}

impl VideoFormat {
    /// The codec.
    #[must_use]
    pub const fn codec(self) -> VideoCodec {
        match self {
            Self::H264 { .. } => VideoCodec::H264,
            Self::Vp8 => VideoCodec::Vp8,
            Self::Vp9 => VideoCodec::Vp9,
            Self::Av1 => VideoCodec::Av1,
        }
    }
}

/// What our end can and wants to do with a leg's main picture.
#[derive(Clone, Debug)]
pub struct LocalVideo {
    /// Port of RTP, not 0; the address is [`crate::LocalMedia::address`].
    pub rtp_port: u16,
    /// Port of RTCP where the far end does not multiplex (RFC 5761).
    pub rtcp_port: u16,
    /// What we can do, best first. Our order counts in answers too: who is sent the
    /// same codec as others can share their encoder.
    pub formats: Vec<VideoFormat>,
    /// Level of H.264 that we decode.
    pub level: H264Level,
    /// What we decode in any codec; what goes beyond `level` is said as `max-fs` and
    /// `max-mbps`, and for VP8 all of it as `max-fs` and `max-fr`.
    pub limits: VideoLimits,
    /// Whether we resend and take what is resent (RFC 4588).
    pub rtx: bool,
    /// Most that the far end may send, bit/s; 0 says nothing.
    pub rx_bit_rate_bps_max: u32,
    /// What we wish; the far end may allow less.
    pub direction: Direction,
}

/// The agreed picture of a leg; maps to `plenum_abi::VideoConfig`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Video {
    /// Accepted payload types, 1 to 4; the first is what we send.
    pub payloads: Vec<VideoPayload>,
    /// What the far end takes in the first of them.
    pub tx_limits: VideoLimits,
    /// Where RTP goes. The port is never 0.
    pub remote_rtp: SocketAddr,
    /// Where RTCP goes; equal to `remote_rtp` with [`Self::rtcp_mux`].
    pub remote_rtcp: SocketAddr,
    /// RTP and RTCP share a port (RFC 5761).
    pub rtcp_mux: bool,
    /// What is allowed now, seen from us.
    pub direction: Direction,
    /// The keys, where media is encrypted.
    pub srtp: Option<Srtp>,
    /// Most that the far end takes, bit/s; 0 where it did not say.
    pub tx_bit_rate_bps_max: u32,
    /// Most that we told it to send, bit/s; 0 where we did not.
    pub rx_bit_rate_bps_max: u32,
    /// Generic NACK (RFC 4585 section 6.2.1).
    pub nack: bool,
    /// Picture loss indication (RFC 4585 section 6.3.1).
    pub pli: bool,
    /// Full intra request (RFC 5104 section 4.3.1).
    pub fir: bool,
    /// Temporary maximum bit rate (RFC 5104 section 4.2.1).
    pub tmmbr: bool,
}
