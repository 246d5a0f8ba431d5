//! The far end's SDP as far as it concerns our streams.

use std::net::{IpAddr, SocketAddr};

use plenum_abi::AudioCodec;
use sdp_types::{Attribute, Connection, Media, Session};

use crate::sdes::Crypto;
use crate::{Direction, NegotiationError, OpusParameters};

/// Longest SDP that is looked at.
const LEN_MAX: usize = 64 * 1_024;
/// Most media lines.
const MEDIA_MAX: usize = 32;

/// Level of the sound in a packet (RFC 6464).
pub(crate) const AUDIO_LEVEL: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";

/// What a payload type stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Format {
    Codec(AudioCodec),
    TelephoneEvent { clock_hz: u32 },
    ComfortNoise,
}

/// What is the same for all kinds of streams, of a line that is not switched off.
#[derive(Clone, Debug)]
pub(crate) struct RemoteStream {
    pub(crate) rtp: SocketAddr,
    pub(crate) rtcp: SocketAddr,
    pub(crate) rtcp_mux: bool,
    /// Seen from us.
    pub(crate) direction: Direction,
    /// RTP/SAVP or RTP/SAVPF.
    pub(crate) secure_profile: bool,
    pub(crate) cryptos: Vec<Crypto>,
}

/// Redundant audio as browsers offer it for Opus.
const RED: &str = "red/48000/2";

/// An audio line that is not switched off.
#[derive(Clone, Debug)]
pub(crate) struct RemoteAudio {
    pub(crate) stream: RemoteStream,
    /// In the far end's order, those that we know.
    pub(crate) formats: Vec<(u8, Format)>,
    /// Payload type of redundant Opus (RFC 2198).
    pub(crate) red: Option<u8>,
    /// ID of the audio level header extension.
    pub(crate) audio_level_id: Option<u8>,
    pub(crate) packet_ms: Option<u8>,
    pub(crate) packet_ms_max: Option<u8>,
    pub(crate) opus: OpusParameters,
}

/// `extmap` values of a line that are in force (RFC 8285 section 5): id, URI. IDs of the
/// one-byte form only, and what the far end sends.
pub(crate) fn extensions(media: &Media) -> impl Iterator<Item = (u8, &str)> {
    attributes(&media.attributes, "extmap").filter_map(|value| {
        let mut words = value.split_ascii_whitespace();
        let (id, direction) = words
            .next()
            .map(|word| word.split_once('/').unwrap_or((word, "")))?;
        let id = id.parse().ok()?;
        let is_sent = !matches!(direction, "recvonly" | "inactive");
        let uri = words.next()?;
        (is_sent && (1..=14).contains(&id)).then_some((id, uri))
    })
}

pub(crate) fn parse(text: &str) -> Result<Session, NegotiationError> {
    if text.len() > LEN_MAX {
        return Err(NegotiationError::Malformed(format!(
            "longer than {LEN_MAX} bytes"
        )));
    }
    let session = Session::parse(text.as_bytes())
        .map_err(|error| NegotiationError::Malformed(error.to_string()))?;
    if session.medias.len() > MEDIA_MAX {
        return Err(NegotiationError::Malformed(format!(
            "more than {MEDIA_MAX} media lines"
        )));
    }
    Ok(session)
}

/// The value of an attribute; empty for a flag.
pub(crate) fn attribute<'a>(attributes: &'a [Attribute], name: &str) -> Option<&'a str> {
    attributes
        .iter()
        .find(|attribute| attribute.attribute.eq_ignore_ascii_case(name))
        .map(|attribute| attribute.value.as_deref().unwrap_or_default())
}

/// All values of an attribute.
pub(crate) fn attributes<'a>(
    attributes: &'a [Attribute],
    name: &'a str,
) -> impl Iterator<Item = &'a str> {
    attributes
        .iter()
        .filter(move |attribute| attribute.attribute.eq_ignore_ascii_case(name))
        .filter_map(|attribute| attribute.value.as_deref())
}

/// `RTP/AVP` and its kin: whether it is secure. `None` for other transports.
pub(crate) fn profile(proto: &str) -> Option<bool> {
    match proto.to_ascii_uppercase().as_str() {
        "RTP/AVP" | "RTP/AVPF" => Some(false),
        "RTP/SAVP" | "RTP/SAVPF" => Some(true),
        _ => None,
    }
}

fn address(connection: &Connection) -> Result<IpAddr, NegotiationError> {
    let text = &connection.connection_address;
    let ip: IpAddr = text
        .parse()
        .map_err(|_| NegotiationError::Address(text.clone()))?;
    if ip.is_multicast() {
        return Err(NegotiationError::Address(text.clone()));
    }
    Ok(ip)
}

pub(crate) fn direction(attributes: &[Attribute]) -> Option<Direction> {
    [
        Direction::BOTH,
        Direction::SEND,
        Direction::RECEIVE,
        Direction::NONE,
    ]
    .into_iter()
    .find(|direction| attribute(attributes, direction.attribute()).is_some())
}

/// `a=rtpmap`'s right side, or what RFC 3551 table 4 fixes.
fn format(payload_type: u8, rtpmap: Option<&str>) -> Option<Format> {
    let Some(rtpmap) = rtpmap else {
        return Some(match payload_type {
            0 => Format::Codec(AudioCodec::Pcmu),
            8 => Format::Codec(AudioCodec::Pcma),
            9 => Format::Codec(AudioCodec::G722),
            13 => Format::ComfortNoise,
            _ => return None,
        });
    };
    let mut parts = rtpmap.trim().split('/');
    let name = parts.next()?.to_ascii_uppercase();
    let clock_hz: u32 = parts.next()?.trim().parse().ok()?;
    let channels: u32 = parts
        .next()
        .map_or(Some(1), |text| text.trim().parse().ok())?;
    Some(match (name.as_str(), clock_hz, channels) {
        ("PCMU", 8_000, 1) => Format::Codec(AudioCodec::Pcmu),
        ("PCMA", 8_000, 1) => Format::Codec(AudioCodec::Pcma),
        ("G722", 8_000, 1) => Format::Codec(AudioCodec::G722),
        // RFC 7587 section 7: always 48000 and 2, whatever is sent.
        ("OPUS", 48_000, 2) => Format::Codec(AudioCodec::Opus),
        ("TELEPHONE-EVENT", _, 1) => Format::TelephoneEvent { clock_hz },
        ("CN", 8_000, 1) => Format::ComfortNoise,
        _ => return None,
    })
}

fn opus(fmtp: &str) -> OpusParameters {
    let mut opus = OpusParameters::default();
    for parameter in fmtp.split(';') {
        let Some((name, value)) = parameter.split_once('=') else {
            continue;
        };
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        match name.as_str() {
            "useinbandfec" => opus.in_band_fec = value == "1",
            "stereo" => opus.stereo = value == "1",
            "usedtx" => opus.dtx = value == "1",
            "maxaveragebitrate" => {
                opus.max_average_bit_rate_bps = value
                    .parse()
                    .map_or(0, |rate: u32| rate.clamp(6_000, 510_000));
            }
            _ => {}
        }
    }
    opus
}

/// `a=rtcp:53020` or `a=rtcp:53020 IN IP4 126.16.64.4` (RFC 3605).
fn rtcp_address(value: &str, rtp: SocketAddr) -> Option<SocketAddr> {
    let mut parts = value.split_ascii_whitespace();
    let port: u16 = parts.next()?.parse().ok().filter(|port| *port != 0)?;
    let ip = match parts.nth(2) {
        Some(text) => text.parse().ok()?,
        None => rtp.ip(),
    };
    Some(SocketAddr::new(ip, port))
}

impl RemoteStream {
    /// Reads one line of RTP.
    pub(crate) fn read(session: &Session, media: &Media) -> Result<Self, NegotiationError> {
        let secure_profile = profile(&media.proto).ok_or(NegotiationError::NoCommonMedia)?;
        let connection = media.connections.first().or(session.connection.as_ref());
        let connection = connection
            .ok_or_else(|| NegotiationError::Malformed("no connection line".to_owned()))?;
        let rtp = SocketAddr::new(address(connection)?, media.port);
        Ok(Self::read_at(session, media, rtp, secure_profile))
    }

    /// Reads a line whose address was found by other means.
    pub(crate) fn read_at(
        session: &Session,
        media: &Media,
        rtp: SocketAddr,
        secure_profile: bool,
    ) -> Self {
        let rtcp_mux = attribute(&media.attributes, "rtcp-mux").is_some();
        let rtcp = if rtcp_mux {
            rtp
        } else {
            attribute(&media.attributes, "rtcp")
                .and_then(|value| rtcp_address(value, rtp))
                .unwrap_or_else(|| SocketAddr::new(rtp.ip(), media.port.saturating_add(1)))
        };
        let theirs = direction(&media.attributes)
            .or_else(|| direction(&session.attributes))
            .unwrap_or(Direction::BOTH);
        let mut ours = theirs.reversed();
        if rtp.ip().is_unspecified() {
            // Hold in the manner of RFC 2543: they do not want to hear.
            ours.send = false;
        }
        Self {
            rtp,
            rtcp,
            rtcp_mux,
            direction: ours,
            secure_profile,
            cryptos: attributes(&media.attributes, "crypto")
                .filter_map(Crypto::parse)
                .collect(),
        }
    }
}

impl RemoteAudio {
    /// Reads one audio line.
    pub(crate) fn read(session: &Session, media: &Media) -> Result<Self, NegotiationError> {
        Ok(Self::read_on(RemoteStream::read(session, media)?, media))
    }

    /// Reads what an audio line says of sound.
    pub(crate) fn read_on(stream: RemoteStream, media: &Media) -> Self {
        let rtpmap = |payload_type: u8| {
            attributes(&media.attributes, "rtpmap").find_map(|value| {
                let (number, rest) = value.split_once(' ')?;
                (number.trim().parse() == Ok(payload_type)).then_some(rest)
            })
        };
        let formats: Vec<(u8, Format)> = media
            .fmt
            .split_ascii_whitespace()
            .filter_map(|number| number.parse::<u8>().ok().filter(|number| *number < 128))
            .filter_map(|number| Some((number, format(number, rtpmap(number))?)))
            .collect();
        let opus_type = formats
            .iter()
            .find(|(_, format)| *format == Format::Codec(AudioCodec::Opus))
            .map(|(number, _)| *number);
        let fmtp = |wanted: u8| {
            attributes(&media.attributes, "fmtp")
                .filter_map(|value| value.split_once(' '))
                .find(|(number, _)| number.parse() == Ok(wanted))
                .map(|(_, parameters)| parameters)
        };
        let opus = opus_type
            .and_then(fmtp)
            .map_or_else(OpusParameters::default, opus);
        // RFC 2198 section 5: which formats the frames of a packet may have.
        let repeats_opus = |number: &u8| {
            let is_red = rtpmap(*number).is_some_and(|map| map.trim().eq_ignore_ascii_case(RED));
            let mut of = fmtp(*number).unwrap_or_default().split('/');
            is_red
                && of.all(|number| opus_type.is_some_and(|opus| number.trim().parse() == Ok(opus)))
        };
        let red = media
            .fmt
            .split_ascii_whitespace()
            .filter_map(|number| number.parse::<u8>().ok().filter(|number| *number < 128))
            .find(repeats_opus);
        let milliseconds = |name| {
            attribute(&media.attributes, name)
                .and_then(|value| value.trim().parse::<f32>().ok())
                .map(|value| value.clamp(0.0, 255.0) as u8)
        };
        Self {
            stream,
            formats,
            red,
            audio_level_id: extensions(media)
                .find(|(_, uri)| *uri == AUDIO_LEVEL)
                .map(|(id, _)| id),
            packet_ms: milliseconds("ptime"),
            packet_ms_max: milliseconds("maxptime"),
            opus,
        }
    }
}
