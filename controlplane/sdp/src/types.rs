//! What goes into a negotiation and what comes out of it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use plenum_abi::{AudioCodec, MasterKeys, SrtpSuite};

use crate::{LocalVideo, Video};

/// Whether media is encrypted (the `mediaEncryption` setting).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Encryption {
    /// Only SRTP. An offer without usable keys is refused with 488.
    Required,
    /// SRTP where the far end can, plain RTP otherwise.
    Optional,
    /// Only plain RTP. An offer of RTP/SAVP is refused with 488.
    Prohibited,
}

/// Which way a stream flows, seen from us.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Direction {
    /// We send to the far end.
    pub send: bool,
    /// The far end sends to us.
    pub receive: bool,
}

impl Direction {
    /// Both ways (`sendrecv`).
    pub const BOTH: Self = Self {
        send: true,
        receive: true,
    };
    /// We only send (`sendonly`).
    pub const SEND: Self = Self {
        send: true,
        receive: false,
    };
    /// We only receive (`recvonly`).
    pub const RECEIVE: Self = Self {
        send: false,
        receive: true,
    };
    /// Neither (`inactive`).
    pub const NONE: Self = Self {
        send: false,
        receive: false,
    };

    /// The same flow seen from the other end.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self {
            send: self.receive,
            receive: self.send,
        }
    }

    /// What both allow.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            send: self.send && other.send,
            receive: self.receive && other.receive,
        }
    }

    /// The attribute's name (RFC 8866 section 6.7).
    #[must_use]
    pub const fn attribute(self) -> &'static str {
        match (self.send, self.receive) {
            (true, true) => "sendrecv",
            (true, false) => "sendonly",
            (false, true) => "recvonly",
            (false, false) => "inactive",
        }
    }
}

/// What our end can and wants to do on one leg.
#[derive(Clone, Debug)]
pub struct LocalMedia {
    /// Where the far end reaches our media sockets. IPv4 or IPv6; not unspecified.
    pub address: IpAddr,
    /// Port of RTP, not 0.
    pub rtp_port: u16,
    /// Port of RTCP where the far end does not multiplex (RFC 5761).
    pub rtcp_port: u16,
    /// Whether media is encrypted.
    pub encryption: Encryption,
    /// Codecs we can do, best first. In an offer this is our order; in an answer
    /// the offerer's order counts (RFC 3264 section 6.1).
    pub codecs: Vec<AudioCodec>,
    /// Milliseconds of sound in a packet where the far end has no wish: 10, 20 or 40.
    pub packet_ms: u8,
    /// SRTP suites we can do, best first.
    pub suites: Vec<SrtpSuite>,
    /// What we wish; the far end may allow less.
    pub direction: Direction,
    /// The main picture beside the sound; `None` refuses it, and switches it off in a
    /// later offer.
    pub video: Option<LocalVideo>,
}

/// Opus parameters of the far end: what it wishes to receive (RFC 7587 section 6.1).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct OpusParameters {
    /// `useinbandfec=1`: it makes use of in-band FEC.
    pub in_band_fec: bool,
    /// `stereo=1`: it prefers stereo.
    pub stereo: bool,
    /// `usedtx=1`: it prefers that we stop sending in silence.
    pub dtx: bool,
    /// `maxaveragebitrate`, bit/s, 6,000 to 510,000; 0 where not given.
    pub max_average_bit_rate_bps: u32,
}

/// SRTP as agreed through SDES (RFC 4568).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Srtp {
    /// The suite of both directions.
    pub suite: SrtpSuite,
    /// Keys under which we send: the ones of our SDP.
    pub tx_keys: MasterKeys,
    /// Keys under which we receive: the ones of the far end's SDP.
    pub rx_keys: MasterKeys,
}

/// The agreed audio stream of a leg; maps to `plenum_abi::LegConfig` field by field.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Audio {
    /// Accepted payload types, at most 4. The first is what we send.
    pub codecs: Vec<(u8, AudioCodec)>,
    /// Payload type of telephone-event at 8 kHz (RFC 4733), if agreed. With Opus
    /// first, the one at 48 kHz where there is one.
    pub telephone_event_payload_type: Option<u8>,
    /// Payload type of comfort noise (RFC 3389), if agreed.
    pub comfort_noise_payload_type: Option<u8>,
    /// ID of the audio level header extension (RFC 6464), if agreed.
    pub audio_level_id: Option<u8>,
    /// Milliseconds of sound in each packet we send: 10, 20 or 40.
    pub packet_ms: u8,
    /// Where RTP goes. The port is never 0.
    pub remote_rtp: SocketAddr,
    /// Where RTCP goes; equal to `remote_rtp` with [`Self::rtcp_mux`].
    pub remote_rtcp: SocketAddr,
    /// RTP and RTCP share a port (RFC 5761).
    pub rtcp_mux: bool,
    /// What is allowed now, seen from us. Hold is [`Direction::RECEIVE`] taken
    /// away or everything taken away.
    pub direction: Direction,
    /// The keys, where media is encrypted.
    pub srtp: Option<Srtp>,
    /// What the far end wishes of Opus, where Opus is agreed.
    pub opus: Option<OpusParameters>,
}

/// A finished offer/answer exchange. Its `Debug` leaves the SDP out: it holds keys.
#[derive(Clone, Eq, PartialEq)]
pub struct Negotiated {
    /// Our SDP: the answer to send, or the offer that was answered.
    pub sdp: String,
    /// The audio stream; `None` where the far end switched it off (port 0) or
    /// offered no media at all.
    pub audio: Option<Audio>,
    /// The main picture; `None` where it was not offered, or refused by either end. A
    /// picture that cannot be had fails nothing.
    pub video: Option<Video>,
}

/// Our own offer, waiting for its answer. It is its SDP text and what we can do,
/// nothing else, so that it can be rebuilt after a restart. Its `Debug` leaves the
/// SDP out: it holds keys.
#[derive(Clone)]
pub struct PendingOffer {
    /// The offer as sent.
    pub sdp: String,
    /// What it was made from.
    pub local: LocalMedia,
}

impl fmt::Debug for Negotiated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Negotiated")
            .field("audio", &self.audio)
            .field("video", &self.video)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for PendingOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingOffer")
            .field("local", &self.local)
            .finish_non_exhaustive()
    }
}

/// Why a negotiation failed, and with which SIP status to say so.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NegotiationError {
    /// The text is not SDP, or breaks a rule no implementation may break.
    #[error("malformed SDP: {0}")]
    Malformed(String),
    /// No offered audio stream has a codec of ours.
    #[error("no common audio codec")]
    NoCommonCodec,
    /// No audio stream with a transport of ours was offered.
    #[error("no acceptable media stream")]
    NoCommonMedia,
    /// Encryption is required and no usable key was offered.
    #[error("media encryption is required")]
    EncryptionRequired,
    /// Encryption is prohibited and only SRTP was offered.
    #[error("media encryption is prohibited")]
    EncryptionProhibited,
    /// An address is a host name, multicast or of an unknown kind.
    #[error("unusable address {0:?}")]
    Address(String),
    /// The answer does not fit the offer.
    #[error("the answer does not fit the offer: {0}")]
    Mismatch(String),
}

impl NegotiationError {
    /// The status for the SIP response: 400 or 488.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            _ => 488,
        }
    }

    /// Warn-code for a Warning header (RFC 3261 section 20.43).
    #[must_use]
    pub const fn warning(&self) -> u16 {
        match self {
            Self::NoCommonMedia => 304,
            Self::NoCommonCodec => 305,
            Self::Address(_) => 301,
            _ => 399,
        }
    }
}
