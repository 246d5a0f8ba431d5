//! The answer, line by line.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};

use plenum_abi::{AudioCodec, H264Level, H264Profile, NO_PAYLOAD_TYPE, VideoCodec};
use sdp_types::{Media, Session};

use super::offer::{self, Role};
use super::types::{
    Extensions, LocalVideo, LocalWeb, RemoteTransport, WebAnswer, WebAudio, WebVideo,
};
use super::{candidate, simulcast};
use crate::answering::common_formats;
use crate::remote::{self, Format, RemoteAudio, RemoteStream};
use crate::video::VideoFormat;
use crate::video::attributes::{self, Feedback};
use crate::video::format::{self, Ability, Choice};
use crate::{Direction, NegotiationError};

/// Milliseconds of sound in a packet of ours; browsers take any.
const PACKET_MS: u8 = 20;

/// What Chromium sends at first, kbit/s, until it knows more. Its own 300 is little: the
/// first picture of a shared page took over two seconds then. Others pass it over, as
/// they must what they do not know (RFC 8866 section 6.15).
const START_BIT_RATE: &str = "x-google-start-bitrate=1000";

/// Pictures of 1080p. Browsers need no word on the other codecs.
const ABILITY: Ability = Ability {
    level: H264Level::L4,
    limits: None,
};

/// What is said of one line.
enum Line {
    /// Refused: port 0.
    Off,
    Audio(WebAudio, Vec<(u8, Format)>),
    Video(Role, WebVideo, Vec<Choice>, Option<LocalVideo>),
    /// Sound of a shared screen: what it is sent under, while it is.
    Screen(Option<u32>, Vec<(u8, Format)>),
}

impl Line {
    /// Takes one stream instead of layers.
    fn take_plain(&mut self) {
        if let Self::Video(_, video, ..) = self {
            video.layers.clear();
        }
    }
}

/// Whether packets will say which layer they are of (RFC 8852): layers cannot be told
/// apart by anything else.
fn are_layers_named(session: &Session, lines: &[Line]) -> bool {
    let mut agreed = Extensions::default();
    let kept = session.medias.iter().zip(lines);
    for (media, _) in kept.filter(|(_, line)| !matches!(line, Line::Off)) {
        for (id, uri) in offer::extensions(media) {
            agreed.take(id, uri);
        }
    }
    agreed.rid != 0
}

pub(super) fn answer(text: &str, local: &LocalWeb) -> Result<WebAnswer, NegotiationError> {
    let session = remote::parse(text)?;
    let mut lines: Vec<Line> = session
        .medias
        .iter()
        .map(|media| decide(&session, media, local))
        .collect();
    let first = lines
        .iter()
        .position(|line| !matches!(line, Line::Off))
        .ok_or(NegotiationError::NoCommonMedia)?;
    if !are_layers_named(&session, &lines) {
        lines.iter_mut().for_each(Line::take_plain);
    }
    let tagged = &session.medias[first];
    let mut transport = RemoteTransport {
        ice: offer::ice(&session, tagged)?,
        lite: offer::is_lite(&session),
        fingerprint: offer::fingerprint(&session, tagged)?,
        dtls_client: offer::dtls_client(&session, tagged)?,
        extensions: Extensions::default(),
        candidates: offer::candidates(tagged),
    };
    let sdp = write(&session, &lines, local, &mut transport, first);
    let mut answer = WebAnswer {
        sdp,
        transport,
        audio: None,
        screen_ssrc: None,
        main: None,
        content: None,
    };
    for line in lines {
        match line {
            Line::Audio(audio, _) => answer.audio = Some(audio),
            Line::Video(Role::Main, video, _, Some(_)) => answer.main = Some(video),
            Line::Video(_, video, _, Some(_)) => answer.content = Some(video),
            Line::Screen(ssrc, _) => answer.screen_ssrc = ssrc,
            Line::Off | Line::Video(..) => {}
        }
    }
    Ok(answer)
}

fn decide(session: &Session, media: &Media, local: &LocalWeb) -> Line {
    if !offer::can_bundle(session, media) {
        return Line::Off;
    }
    match Role::of(media) {
        Some(Role::Audio) => audio(session, media).unwrap_or(Line::Off),
        Some(role) => video(session, media, role, local),
        None if media.media == "audio" => {
            audio_formats(session, media).map_or(Line::Off, |(_, formats)| {
                let sends = offer::direction(session, media).receive;
                Line::Screen(offer::ssrc(media).filter(|_| sends), formats)
            })
        }
        None => Line::Off,
    }
}

fn audio_formats(session: &Session, media: &Media) -> Option<(RemoteAudio, Vec<(u8, Format)>)> {
    // Its addresses mean nothing here: ICE finds them.
    let nowhere = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), media.port);
    let stream = RemoteStream::read_at(session, media, nowhere, true);
    let remote = RemoteAudio::read_on(stream, media);
    let formats = common_formats(&remote, &AudioCodec::ALL).ok()?;
    Some((remote, formats))
}

fn audio(session: &Session, media: &Media) -> Option<Line> {
    let (remote, formats) = audio_formats(session, media)?;
    let find = |wanted: fn(&Format) -> bool| {
        let found = formats.iter().find(|(_, format)| wanted(format));
        found.map(|(number, _)| *number)
    };
    let codecs: Vec<(u8, AudioCodec)> = formats
        .iter()
        .filter_map(|(number, format)| match format {
            Format::Codec(codec) => Some((*number, *codec)),
            _ => None,
        })
        .collect();
    let has_opus = codecs.iter().any(|(_, codec)| *codec == AudioCodec::Opus);
    let audio = WebAudio {
        telephone_event_payload_type: find(|format| {
            matches!(format, Format::TelephoneEvent { .. })
        }),
        comfort_noise_payload_type: find(|format| *format == Format::ComfortNoise),
        red_payload_type: remote.red.filter(|_| has_opus),
        packet_ms: PACKET_MS,
        direction: offer::direction(session, media),
        opus: has_opus.then_some(remote.opus),
        codecs,
    };
    Some(Line::Audio(audio, formats))
}

/// A codec as browsers do it, H.264 in the profile that our encoder makes.
const fn video_format(codec: VideoCodec) -> Option<VideoFormat> {
    Some(match codec {
        VideoCodec::H264 => VideoFormat::H264 {
            profile: H264Profile::ConstrainedBaseline,
            packetization_mode: 1,
        },
        VideoCodec::Vp8 => VideoFormat::Vp8,
        VideoCodec::Vp9 => VideoFormat::Vp9,
        VideoCodec::Av1 => VideoFormat::Av1,
        _ => return None,
    })
}

fn video(session: &Session, media: &Media, role: Role, local: &LocalWeb) -> Line {
    let formats: Vec<VideoFormat> = local
        .video_codecs
        .iter()
        .filter_map(|codec| video_format(*codec))
        .collect();
    let mut choices = format::choose(media, &formats, ABILITY);
    for choice in &mut choices {
        choice.add_parameter(START_BIT_RATE);
    }
    let Some(first) = choices.first() else {
        return Line::Off;
    };
    let ours = match role {
        Role::Main => local.main,
        _ => local.content,
    };
    let direction = match ours {
        Some(_) => offer::direction(session, media),
        None => Direction::NONE,
    };
    let feedback = Feedback::of(media, first.payload.payload_type);
    // A shared screen is one stream; only cameras are sent in layers.
    let layers = match (role, direction.receive) {
        (Role::Main, true) => simulcast::layers(media, local.layers_max),
        _ => Vec::new(),
    };
    let video = WebVideo {
        mid: offer::mid(media).unwrap_or_default().to_owned(),
        payloads: choices.iter().map(|choice| choice.payload).collect(),
        direction,
        nack: feedback.nack,
        pli: feedback.pli,
        fir: feedback.fir,
        remb: feedback.remb,
        transport_cc: feedback.transport_cc && local.transport_cc,
        bit_rate_bps_max: attributes::bit_rate_bps_max(&media.bandwidths),
        layers,
    };
    Line::Video(role, video, choices, ours)
}

fn write(
    session: &Session,
    lines: &[Line],
    local: &LocalWeb,
    transport: &mut RemoteTransport,
    first: usize,
) -> String {
    let (id, version) = (local.session_id, local.version);
    let mut out = format!("v=0\r\no=- {id} {version} IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n");
    out.push_str("a=group:BUNDLE");
    for (media, line) in session.medias.iter().zip(lines) {
        if let (Some(mid), false) = (offer::mid(media), matches!(line, Line::Off)) {
            let _ = write!(out, " {mid}");
        }
    }
    out.push_str("\r\na=msid-semantic: WMS *\r\n");
    for (index, (media, line)) in session.medias.iter().zip(lines).enumerate() {
        if matches!(line, Line::Off) {
            // RFC 3264 section 6: the same line with port 0.
            let _ = write!(
                out,
                "m={} 0 {} {}\r\nc=IN IP4 0.0.0.0\r\n",
                media.media, media.proto, media.fmt
            );
            if let Some(mid) = offer::mid(media) {
                let _ = write!(out, "a=mid:{mid}\r\n");
            }
            out.push_str("a=inactive\r\n");
            continue;
        }
        write_head(&mut out, media, line, local, transport);
        if index == first {
            candidate::write(&mut out, &local.candidates);
        }
        write_body(&mut out, line, local);
    }
    out
}

/// The m-line with its transport, the same on every line of the bundle.
fn write_head(
    out: &mut String,
    media: &Media,
    line: &Line,
    local: &LocalWeb,
    transport: &mut RemoteTransport,
) {
    let _ = write!(out, "m={} 9 {}", media.media, media.proto);
    if let Line::Audio(
        WebAudio {
            red_payload_type: Some(number),
            ..
        },
        _,
    ) = line
    {
        // First, since browsers send what stands there: a frame that is lost comes
        // again with the next.
        let _ = write!(out, " {number}");
    }
    match line {
        Line::Audio(_, formats) | Line::Screen(_, formats) => {
            for (number, _) in formats {
                let _ = write!(out, " {number}");
            }
        }
        Line::Video(_, _, choices, _) => format::write_numbers(out, choices),
        Line::Off => {}
    }
    out.push_str("\r\nc=IN IP4 0.0.0.0\r\n");
    if let Line::Video(_, _, _, Some(ours)) = line {
        format::write_bit_rate(out, ours.bit_rate_bps_max);
    }
    let mid = offer::mid(media).unwrap_or_default();
    let setup = if transport.dtls_client {
        "active"
    } else {
        "passive"
    };
    let _ = write!(
        out,
        "a=mid:{mid}\r\na=rtcp-mux\r\na=ice-ufrag:{}\r\na=ice-pwd:{}\r\n\
         a=ice-options:trickle\r\na=fingerprint:sha-256 ",
        local.ice.ufrag(),
        local.ice.pwd()
    );
    for (index, byte) in local.fingerprint.iter().enumerate() {
        let colon = if index == 0 { "" } else { ":" };
        let _ = write!(out, "{colon}{byte:02X}");
    }
    let _ = write!(out, "\r\na=setup:{setup}\r\n");
    for (id, uri) in offer::extensions(media) {
        // Sound is not counted: what it takes is little and always the same.
        if uri == offer::TRANSPORT_CC && (media.media != "video" || !local.transport_cc) {
            continue;
        }
        if transport.extensions.take(id, uri) {
            let _ = write!(out, "a=extmap:{id} {uri}\r\n");
        }
    }
}

fn write_body(out: &mut String, line: &Line, local: &LocalWeb) {
    match line {
        Line::Off => {}
        Line::Screen(ssrc, formats) => {
            write_formats(out, formats);
            let direction = match ssrc {
                Some(_) => Direction::RECEIVE,
                None => Direction::NONE,
            };
            let _ = write!(out, "a={}\r\n", direction.attribute());
        }
        Line::Audio(audio, formats) => {
            if let (Some(red), Some((opus, _))) = (audio.red_payload_type, audio.codecs.first()) {
                let _ = write!(
                    out,
                    "a=rtpmap:{red} red/48000/2\r\na=fmtp:{red} {opus}/{opus}\r\n"
                );
            }
            write_formats(out, formats);
            let _ = write!(out, "a={}\r\n", audio.direction.attribute());
            if audio.direction.send {
                write_source(out, local, "mix", "audio", local.audio_ssrc, None);
            }
        }
        Line::Video(role, video, choices, ours) => {
            let feedback = Feedback {
                nack: video.nack,
                pli: video.pli,
                fir: video.fir,
                tmmbr: false,
                remb: video.remb,
                transport_cc: video.transport_cc,
            };
            format::write_choices(out, choices, feedback);
            if !video.layers.is_empty() {
                for rid in &video.layers {
                    let _ = write!(out, "a=rid:{rid} recv\r\n");
                }
                let _ = write!(out, "a=simulcast:recv {}\r\n", video.layers.join(";"));
            }
            let _ = write!(out, "a={}\r\n", video.direction.attribute());
            let stream = match role {
                Role::Content => "content",
                _ => "mix",
            };
            if let (Some(ours), true) = (ours, video.direction.send) {
                let resends = choices
                    .iter()
                    .any(|choice| choice.payload.rtx_payload_type != NO_PAYLOAD_TYPE);
                let rtx = resends.then_some(ours.rtx_ssrc);
                write_source(out, local, stream, "video", ours.ssrc, rtx);
            }
        }
    }
}

fn write_formats(out: &mut String, formats: &[(u8, Format)]) {
    for (number, format) in formats {
        let _ = match format {
            Format::Codec(AudioCodec::Pcmu) => write!(out, "a=rtpmap:{number} PCMU/8000\r\n"),
            Format::Codec(AudioCodec::Pcma) => write!(out, "a=rtpmap:{number} PCMA/8000\r\n"),
            Format::Codec(AudioCodec::G722) => write!(out, "a=rtpmap:{number} G722/8000\r\n"),
            Format::Codec(_) => write!(
                out,
                "a=rtpmap:{number} opus/48000/2\r\na=fmtp:{number} minptime=10;useinbandfec=1\r\n"
            ),
            Format::TelephoneEvent { clock_hz } => write!(
                out,
                "a=rtpmap:{number} telephone-event/{clock_hz}\r\na=fmtp:{number} 0-15\r\n"
            ),
            Format::ComfortNoise => write!(out, "a=rtpmap:{number} CN/8000\r\n"),
        };
    }
}

/// Whose SSRCs are whose (RFC 5576), and the stream they belong to (RFC 8830).
fn write_source(
    out: &mut String,
    local: &LocalWeb,
    stream: &str,
    track: &str,
    ssrc: u32,
    rtx: Option<u32>,
) {
    let cname = &local.cname;
    let _ = write!(out, "a=msid:{stream} {stream}-{track}\r\n");
    if let Some(rtx) = rtx {
        let _ = write!(out, "a=ssrc-group:FID {ssrc} {rtx}\r\n");
    }
    for ssrc in [Some(ssrc), rtx].into_iter().flatten() {
        let _ = write!(
            out,
            "a=ssrc:{ssrc} cname:{cname}\r\na=ssrc:{ssrc} msid:{stream} {stream}-{track}\r\n"
        );
    }
}
