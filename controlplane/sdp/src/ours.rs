//! Writing our SDP.

use std::fmt::Write;
use std::net::IpAddr;

use plenum_abi::AudioCodec;
use rand::CryptoRng;
use sdp_types::{Media, Session};

use crate::keys;
use crate::remote::{self, Format};
use crate::sdes::Crypto;
use crate::video::stream::VideoLine;
use crate::{Direction, LocalMedia, NegotiationError};

/// What stays the same over all of a dialog's SDP of ours.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    session_id: String,
    version: u64,
    /// Of the last SDP, without its version; empty before there was one.
    previous: String,
}

impl Identity {
    pub(crate) fn new(rng: &mut impl CryptoRng) -> Self {
        // Below 2^62: some parsers keep it in a signed number.
        Self {
            session_id: (rng.next_u64() >> 2).to_string(),
            version: 1,
            previous: String::new(),
        }
    }

    pub(crate) fn of(previous: &str, session: &Session) -> Self {
        Self {
            session_id: session.origin.sess_id.clone(),
            version: session.origin.sess_version,
            previous: without_origin(previous),
        }
    }
}

fn without_origin(sdp: &str) -> String {
    sdp.split_inclusive('\n')
        .filter(|line| !line.starts_with("o="))
        .collect()
}

/// The line for the audio stream.
#[derive(Clone, Debug)]
pub(crate) struct AudioLine<'a> {
    pub(crate) proto: &'a str,
    pub(crate) formats: Vec<(u8, Format)>,
    pub(crate) cryptos: Vec<Crypto>,
    pub(crate) audio_level_id: Option<u8>,
    pub(crate) packet_ms: u8,
    pub(crate) rtcp_mux: bool,
    pub(crate) direction: Direction,
}

/// One media line.
#[derive(Clone, Debug)]
pub(crate) enum Line<'a> {
    Audio(AudioLine<'a>),
    Video(VideoLine<'a>),
    /// Refused or switched off: the same line with port 0 (RFC 3264 section 6).
    Off {
        media: &'a str,
        proto: &'a str,
        formats: &'a str,
    },
}

impl<'a> Line<'a> {
    pub(crate) fn off(media: &'a Media) -> Self {
        Self::Off {
            media: &media.media,
            proto: &media.proto,
            formats: &media.fmt,
        }
    }
}

/// Keys that our last SDP of a dialog showed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    pub(crate) audio: Vec<Crypto>,
    pub(crate) video: Vec<Crypto>,
}

/// The text. The version grows when anything else changed (RFC 3264 section 8).
pub(crate) fn write(identity: &Identity, local: &LocalMedia, lines: &[Line<'_>]) -> String {
    let family = match local.address {
        IpAddr::V4(_) => "IP4",
        IpAddr::V6(_) => "IP6",
    };
    let address = local.address;
    let mut rest = format!("s=-\r\nc=IN {family} {address}\r\nt=0 0\r\n");
    for line in lines {
        match line {
            Line::Audio(audio) => write_audio(&mut rest, local, family, audio),
            Line::Video(video) => video.write(&mut rest, local, family),
            Line::Off {
                media,
                proto,
                formats,
            } => {
                let _ = write!(rest, "m={media} 0 {proto} {formats}\r\n");
            }
        }
    }
    let unchanged = without_origin(&identity.previous) == format!("v=0\r\n{rest}");
    let grows = !identity.previous.is_empty() && !unchanged;
    let version = identity.version.saturating_add(u64::from(grows));
    let id = &identity.session_id;
    format!("v=0\r\no=- {id} {version} IN {family} {address}\r\n{rest}")
}

fn write_audio(out: &mut String, local: &LocalMedia, family: &str, audio: &AudioLine<'_>) {
    // Writing into a String does not fail.
    let _ = write!(out, "m=audio {} {}", local.rtp_port, audio.proto);
    for (number, _) in &audio.formats {
        let _ = write!(out, " {number}");
    }
    out.push_str("\r\n");
    for (number, format) in &audio.formats {
        let _ = match format {
            Format::Codec(AudioCodec::Pcmu) => write!(out, "a=rtpmap:{number} PCMU/8000\r\n"),
            Format::Codec(AudioCodec::Pcma) => write!(out, "a=rtpmap:{number} PCMA/8000\r\n"),
            Format::Codec(AudioCodec::G722) => write!(out, "a=rtpmap:{number} G722/8000\r\n"),
            Format::Codec(_) => write!(
                out,
                "a=rtpmap:{number} opus/48000/2\r\na=fmtp:{number} useinbandfec=1\r\n"
            ),
            Format::TelephoneEvent { clock_hz } => write!(
                out,
                "a=rtpmap:{number} telephone-event/{clock_hz}\r\na=fmtp:{number} 0-15\r\n"
            ),
            Format::ComfortNoise => write!(out, "a=rtpmap:{number} CN/8000\r\n"),
        };
    }
    if let Some(id) = audio.audio_level_id {
        let _ = write!(out, "a=extmap:{id} {}\r\n", remote::AUDIO_LEVEL);
    }
    for crypto in &audio.cryptos {
        let _ = write!(out, "a=crypto:{}\r\n", crypto.value());
    }
    let _ = write!(
        out,
        "a=ptime:{}\r\na={}\r\n",
        audio.packet_ms,
        audio.direction.attribute()
    );
    keys::write_rtcp(
        out,
        (local.rtp_port, local.rtcp_port),
        (family, local.address),
        audio.rtcp_mux,
    );
}

/// Our last SDP of the dialog: who we are in it, and the keys that it showed.
pub(crate) fn read_previous(previous: &str) -> Result<(Session, Identity, Keys), NegotiationError> {
    let session = remote::parse(previous)?;
    let identity = Identity::of(previous, &session);
    let keys = |kind: &str| {
        session
            .medias
            .iter()
            .filter(|media| media.media == kind && media.port != 0)
            .flat_map(|media| remote::attributes(&media.attributes, "crypto"))
            .filter_map(Crypto::parse)
            .collect()
    };
    let keys = Keys {
        audio: keys("audio"),
        video: keys("video"),
    };
    Ok((session, identity, keys))
}
