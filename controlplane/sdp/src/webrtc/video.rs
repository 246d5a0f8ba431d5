//! Codecs and feedback of a video line.

use plenum_abi::{NO_PAYLOAD_TYPE, VideoCodec, VideoPayload};
use sdp_types::Media;

use crate::remote::{attribute, attributes};

/// Level of H.264 that we take where the levels of both directions may differ:
/// 4.0, pictures of 1080p (RFC 6184 section 8.1).
const LEVEL: u32 = 40;
/// Payload types of a stream, as many as the media plane knows.
const PAYLOADS_MAX: usize = 4;
/// Layers of simulcast that are looked at.
const LAYERS_SEEN_MAX: usize = 8;

/// A payload type of ours with what the answer says of it.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    pub(super) payload: VideoPayload,
    /// Value of `a=fmtp` behind the number; empty for none.
    pub(super) fmtp: String,
}

/// Feedback that both ends know.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Feedback {
    pub(super) nack: bool,
    pub(super) pli: bool,
    pub(super) fir: bool,
    pub(super) remb: bool,
    pub(super) transport_cc: bool,
}

/// Splits `96 rest` and checks the number.
fn numbered(value: &str) -> Option<(u8, &str)> {
    let (number, rest) = value.split_once(' ')?;
    let number = number.trim().parse().ok().filter(|number| *number < 128)?;
    Some((number, rest.trim()))
}

fn rtpmap(media: &Media, wanted: u8) -> Option<&str> {
    attributes(&media.attributes, "rtpmap")
        .filter_map(numbered)
        .find(|(number, _)| *number == wanted)
        .map(|(_, rest)| rest)
}

fn parameter<'a>(media: &'a Media, payload_type: u8, name: &str) -> Option<&'a str> {
    attributes(&media.attributes, "fmtp")
        .filter_map(numbered)
        .filter(|(number, _)| *number == payload_type)
        .flat_map(|(_, parameters)| parameters.split(';'))
        .filter_map(|parameter| parameter.split_once('='))
        .find(|(key, _)| key.trim().eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

fn codec(media: &Media, payload_type: u8) -> Option<VideoCodec> {
    let map = rtpmap(media, payload_type)?.to_ascii_uppercase();
    Some(match map.as_str() {
        "H264/90000" => VideoCodec::H264,
        "VP8/90000" => VideoCodec::Vp8,
        "VP9/90000" => VideoCodec::Vp9,
        "AV1/90000" => VideoCodec::Av1,
        _ => return None,
    })
}

/// Name of a codec number in an rtpmap.
pub(super) const fn name(codec: u8) -> &'static str {
    match VideoCodec::from_u8(codec) {
        Some(VideoCodec::Vp8) => "VP8",
        Some(VideoCodec::Vp9) => "VP9",
        Some(VideoCodec::Av1) => "AV1",
        _ => "H264",
    }
}

/// The payload type that repeats `payload_type` (RFC 4588 section 8.6).
fn rtx(media: &Media, payload_type: u8) -> Option<u8> {
    numbers(media).find(|&number| {
        let is_rtx = rtpmap(media, number).is_some_and(|map| map.eq_ignore_ascii_case("rtx/90000"));
        let apt = || parameter(media, number, "apt").and_then(|apt| apt.parse().ok());
        is_rtx && apt() == Some(payload_type)
    })
}

fn numbers(media: &Media) -> impl Iterator<Item = u8> {
    media
        .fmt
        .split_ascii_whitespace()
        .filter_map(|number| number.parse::<u8>().ok().filter(|number| *number < 128))
}

/// A payload type of H.264 that we can do: packetization-mode 1 and the
/// (constrained) baseline profile, which our encoder makes.
fn h264(media: &Media, payload_type: u8) -> Option<(u32, String)> {
    let mode = parameter(media, payload_type, "packetization-mode");
    let profile = parameter(media, payload_type, "profile-level-id")?;
    let profile = u32::from_str_radix(profile, 16)
        .ok()
        .filter(|_| profile.len() == 6)?;
    if mode != Some("1") || profile >> 16 != 0x42 {
        return None;
    }
    let asymmetric = parameter(media, payload_type, "level-asymmetry-allowed") == Some("1");
    // The profile has to come back as it was offered (RFC 6184 section 8.2.2).
    let ours = match asymmetric {
        true => (profile & 0xff_ff00) | LEVEL,
        false => profile,
    };
    let fmtp = format!(
        "level-asymmetry-allowed={};packetization-mode=1;profile-level-id={ours:06x}",
        u8::from(asymmetric)
    );
    Some((profile, fmtp))
}

/// Whether a profile-level-id is one of the constrained baseline profile (RFC 6184
/// section 8.1, table 5), which is exactly what our encoder makes.
const fn is_constrained(profile_level_id: u32) -> bool {
    profile_level_id & 0x4000 != 0
}

/// Common codecs in our order; of one codec the first that fits best.
pub(super) fn choose(media: &Media, codecs: &[VideoCodec]) -> Vec<Choice> {
    let mut chosen: Vec<Choice> = Vec::new();
    for &wanted in codecs {
        let mut choices = numbers(media)
            .filter(|&number| codec(media, number) == Some(wanted))
            .filter_map(|payload_type| {
                let (profile_level_id, fmtp) = match wanted {
                    VideoCodec::H264 => h264(media, payload_type)?,
                    _ => (0, String::new()),
                };
                let payload = VideoPayload {
                    payload_type,
                    codec: wanted as u8,
                    rtx_payload_type: rtx(media, payload_type).unwrap_or(NO_PAYLOAD_TYPE),
                    packetization_mode: u8::from(wanted == VideoCodec::H264),
                    profile_level_id,
                };
                Some(Choice { payload, fmtp })
            });
        let first = choices.next();
        let better = choices.find(|choice| is_constrained(choice.payload.profile_level_id));
        let good = |first: &Choice| is_constrained(first.payload.profile_level_id);
        chosen.extend(match first {
            Some(first) if good(&first) => Some(first),
            first => better.or(first),
        });
    }
    chosen.truncate(PAYLOADS_MAX);
    chosen
}

impl Feedback {
    /// What the offer says of `payload_type`, or of all.
    pub(super) fn of(media: &Media, payload_type: u8) -> Self {
        let mut feedback = Self::default();
        for value in attributes(&media.attributes, "rtcp-fb") {
            let Some((number, what)) = value.split_once(' ') else {
                continue;
            };
            if number != "*" && number.parse() != Ok(payload_type) {
                continue;
            }
            match what.trim() {
                "nack" => feedback.nack = true,
                "nack pli" => feedback.pli = true,
                "ccm fir" => feedback.fir = true,
                "goog-remb" => feedback.remb = true,
                "transport-cc" => feedback.transport_cc = true,
                _ => {}
            }
        }
        feedback
    }

    /// The values of `a=rtcp-fb`.
    pub(super) fn values(self) -> impl Iterator<Item = &'static str> {
        [
            (self.transport_cc, "transport-cc"),
            (self.remb, "goog-remb"),
            (self.fir, "ccm fir"),
            (self.nack, "nack"),
            (self.pli, "nack pli"),
        ]
        .into_iter()
        .filter_map(|(on, value)| on.then_some(value))
    }
}

/// RIDs that the browser offers to send, in its order (RFC 8853 section 5.1):
/// alternatives are passed over, layers that start paused are not.
pub(super) fn layers(media: &Media, most: usize) -> Vec<String> {
    let Some(simulcast) = attribute(&media.attributes, "simulcast") else {
        return Vec::new();
    };
    let mut words = simulcast.split_ascii_whitespace();
    let mut sent = None;
    while let (Some(direction), Some(list)) = (words.next(), words.next()) {
        if direction == "send" {
            sent = Some(list);
        }
    }
    let offered = |rid: &str| {
        attributes(&media.attributes, "rid").any(|value| {
            let mut words = value.split_ascii_whitespace();
            words.next() == Some(rid) && words.next() == Some("send")
        })
    };
    let is_rid = |rid: &str| {
        (1..=16).contains(&rid.len()) && rid.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    let layers: Vec<String> = sent
        .unwrap_or_default()
        .split(';')
        .take(LAYERS_SEEN_MAX)
        .filter_map(|alternatives| alternatives.split(',').next())
        .map(|rid| rid.trim_start_matches('~'))
        .filter(|rid| is_rid(rid) && offered(rid))
        .take(most)
        .map(str::to_owned)
        .collect();
    // One layer is no simulcast.
    if layers.len() < 2 { Vec::new() } else { layers }
}

/// Most that the far end takes, bit/s (RFC 3890; RFC 8866 section 5.8); 0 for no word.
pub(super) fn bit_rate_bps_max(media: &Media) -> u32 {
    let of = |name: &str, scale: u64| {
        let found = media.bandwidths.iter().find(|line| line.bwtype == name)?;
        Some(u32::try_from(found.bandwidth.saturating_mul(scale)).unwrap_or(u32::MAX))
    };
    of("TIAS", 1).or_else(|| of("AS", 1_000)).unwrap_or(0)
}
