//! What the attributes of a video line say, whoever wrote it.

use plenum_abi::VideoCodec;
use sdp_types::{Bandwidth, Media};

use crate::remote::attributes;

/// Feedback that a line names.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Feedback {
    pub(crate) nack: bool,
    pub(crate) pli: bool,
    pub(crate) fir: bool,
    pub(crate) tmmbr: bool,
    pub(crate) remb: bool,
    pub(crate) transport_cc: bool,
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

pub(super) fn parameter<'a>(media: &'a Media, payload_type: u8, name: &str) -> Option<&'a str> {
    attributes(&media.attributes, "fmtp")
        .filter_map(numbered)
        .filter(|(number, _)| *number == payload_type)
        .flat_map(|(_, parameters)| parameters.split(';'))
        .filter_map(|parameter| parameter.split_once('='))
        .find(|(key, _)| key.trim().eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

pub(super) fn codec(media: &Media, payload_type: u8) -> Option<VideoCodec> {
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
pub(crate) const fn name(codec: u8) -> &'static str {
    match VideoCodec::from_u8(codec) {
        Some(VideoCodec::Vp8) => "VP8",
        Some(VideoCodec::Vp9) => "VP9",
        Some(VideoCodec::Av1) => "AV1",
        _ => "H264",
    }
}

/// The payload type that repeats `payload_type` (RFC 4588 section 8.6).
pub(super) fn rtx(media: &Media, payload_type: u8) -> Option<u8> {
    numbers(media).find(|&number| {
        let is_rtx = rtpmap(media, number).is_some_and(|map| map.eq_ignore_ascii_case("rtx/90000"));
        let apt = || parameter(media, number, "apt").and_then(|apt| apt.parse().ok());
        is_rtx && apt() == Some(payload_type)
    })
}

pub(super) fn numbers(media: &Media) -> impl Iterator<Item = u8> {
    media
        .fmt
        .split_ascii_whitespace()
        .filter_map(|number| number.parse::<u8>().ok().filter(|number| *number < 128))
}

impl Feedback {
    /// What the offer says of `payload_type`, or of all.
    pub(crate) fn of(media: &Media, payload_type: u8) -> Self {
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
                // `smaxpr` may follow (RFC 5104 section 7.1).
                what if what.split(' ').take(2).eq(["ccm", "tmmbr"]) => feedback.tmmbr = true,
                "goog-remb" => feedback.remb = true,
                "transport-cc" => feedback.transport_cc = true,
                _ => {}
            }
        }
        feedback
    }

    /// What both ends know.
    pub(super) const fn and(self, other: Self) -> Self {
        Self {
            nack: self.nack && other.nack,
            pli: self.pli && other.pli,
            fir: self.fir && other.fir,
            tmmbr: self.tmmbr && other.tmmbr,
            remb: self.remb && other.remb,
            transport_cc: self.transport_cc && other.transport_cc,
        }
    }

    /// The values of `a=rtcp-fb`.
    pub(crate) fn values(self) -> impl Iterator<Item = &'static str> {
        [
            (self.transport_cc, "transport-cc"),
            (self.remb, "goog-remb"),
            (self.fir, "ccm fir"),
            (self.tmmbr, "ccm tmmbr"),
            (self.nack, "nack"),
            (self.pli, "nack pli"),
        ]
        .into_iter()
        .filter_map(|(on, value)| on.then_some(value))
    }
}

/// Most that the far end takes, bit/s (RFC 3890; RFC 8866 section 5.8); 0 for no word.
pub(crate) fn bit_rate_bps_max(lines: &[Bandwidth]) -> u32 {
    let of = |name: &str, scale: u64| {
        let found = lines.iter().find(|line| line.bwtype == name)?;
        Some(u32::try_from(found.bandwidth.saturating_mul(scale)).unwrap_or(u32::MAX))
    };
    of("TIAS", 1).or_else(|| of("AS", 1_000)).unwrap_or(0)
}
