//! What goes into an answer to a browser and what comes out of it.

use std::fmt;
use std::net::SocketAddr;

use plenum_abi::{AudioCodec, IceCredentials, VideoCodec, VideoPayload};

use super::Candidate;
use crate::{Direction, OpusParameters};

/// What we are on one leg.
#[derive(Clone, Debug)]
pub struct LocalWeb {
    /// Session id of our SDP (RFC 8866 section 5.2), below 2^63; the same in every
    /// answer of a leg.
    pub session_id: u64,
    /// Version of our SDP; grows with each answer.
    pub version: u64,
    /// Our ICE credentials.
    pub ice: IceCredentials,
    /// SHA-256 of our certificate.
    pub fingerprint: [u8; 32],
    /// Where the worker is reached, best first: our host candidates.
    pub candidates: Vec<SocketAddr>,
    /// CNAME (RFC 3550 section 6.5.1) and stream id of what we send.
    pub cname: String,
    /// SSRC of the mix.
    pub audio_ssrc: u32,
    /// Codecs of video, best first.
    pub video_codecs: Vec<VideoCodec>,
    /// The composed view against the camera; `None` makes the line inactive.
    pub main: Option<LocalVideo>,
    /// Others' screens against the screen; `None` makes the line inactive.
    pub content: Option<LocalVideo>,
    /// Most layers of simulcast that we take; less than 2 is none.
    pub layers_max: usize,
    /// We answer packets with transport-wide feedback.
    pub transport_cc: bool,
}

/// What we send and take on one video line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LocalVideo {
    /// SSRC under which we send.
    pub ssrc: u32,
    /// SSRC under which we send again (RFC 4588).
    pub rtx_ssrc: u32,
    /// Most that the browser may send, bit/s; 0 says nothing.
    pub bit_rate_bps_max: u32,
}

/// IDs of RTP header extensions (RFC 8285), one-byte form; 0 where not agreed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Extensions {
    /// Transport-wide sequence numbers.
    pub transport_cc: u8,
    /// Audio level (RFC 6464).
    pub audio_level: u8,
    /// MID (RFC 9143).
    pub mid: u8,
    /// RID (RFC 8852).
    pub rid: u8,
    /// Repaired RID (RFC 8852).
    pub repaired_rid: u8,
    /// Absolute send time.
    pub abs_send_time: u8,
}

/// The browser's end of the transport.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RemoteTransport {
    /// Its ICE credentials. Other ones than before are an ICE restart.
    pub ice: IceCredentials,
    /// It is an ICE lite agent.
    pub lite: bool,
    /// SHA-256 of its certificate. Another one than before is a new DTLS association.
    pub fingerprint: [u8; 32],
    /// We begin the DTLS handshake, because it does not.
    pub dtls_client: bool,
    /// Header extensions of all lines.
    pub extensions: Extensions,
    /// The candidates that came with the offer and that we can use, at most 32.
    pub candidates: Vec<Candidate>,
}

/// The audio line; maps to `plenum_abi::LegConfig`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WebAudio {
    /// Accepted payload types, at most 4; the first is what we send.
    pub codecs: Vec<(u8, AudioCodec)>,
    /// Payload type of telephone-event (RFC 4733), if agreed.
    pub telephone_event_payload_type: Option<u8>,
    /// Payload type of comfort noise (RFC 3389), if agreed.
    pub comfort_noise_payload_type: Option<u8>,
    /// Payload type of redundant Opus (RFC 2198), if agreed. The browser sends it then.
    pub red_payload_type: Option<u8>,
    /// Milliseconds of sound in each packet we send.
    pub packet_ms: u8,
    /// Seen from us.
    pub direction: Direction,
    /// What the browser wishes of Opus, where Opus is agreed.
    pub opus: Option<OpusParameters>,
}

/// A video line; maps to `plenum_abi::VideoConfig`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WebVideo {
    /// Identification tag of the line (RFC 8843).
    pub mid: String,
    /// Accepted payload types, 1 to 4; the first is what we send.
    pub payloads: Vec<VideoPayload>,
    /// Seen from us.
    pub direction: Direction,
    /// Generic NACK (RFC 4585 section 6.2.1).
    pub nack: bool,
    /// Picture loss indication (RFC 4585 section 6.3.1).
    pub pli: bool,
    /// Full intra request (RFC 5104 section 4.3.1).
    pub fir: bool,
    /// Receiver estimated maximum bit rate.
    pub remb: bool,
    /// Transport-wide congestion control.
    pub transport_cc: bool,
    /// Most that the browser takes, bit/s; 0 where it did not say.
    pub bit_rate_bps_max: u32,
    /// Layers of simulcast that we take, best first; empty for one plain stream.
    pub layers: Vec<String>,
}

/// A finished exchange. Its `Debug` leaves the SDP out: it holds a password.
#[derive(Clone, Eq, PartialEq)]
pub struct WebAnswer {
    /// Our answer.
    pub sdp: String,
    /// The browser's end.
    pub transport: RemoteTransport,
    /// Sound; `None` where the line is missing, refused or switched off.
    pub audio: Option<WebAudio>,
    /// SSRC of the sound of a screen that the browser shares.
    pub screen_ssrc: Option<u32>,
    /// Camera and view, likewise; `None` too where [`LocalWeb::main`] is.
    pub main: Option<WebVideo>,
    /// Screens, likewise.
    pub content: Option<WebVideo>,
}

impl fmt::Debug for WebAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebAnswer")
            .field("transport", &self.transport)
            .field("audio", &self.audio)
            .field("main", &self.main)
            .field("content", &self.content)
            .finish_non_exhaustive()
    }
}
