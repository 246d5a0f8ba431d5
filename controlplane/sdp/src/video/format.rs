//! Formats of a video line: what is common, and how it is written.

use std::fmt::Write;

use plenum_abi::{
    H264Level, H264Profile, NO_PAYLOAD_TYPE, ProfileLevelId, VideoLimits, VideoPayload,
};
use sdp_types::Media;

use super::VideoFormat;
use super::attributes::{self, Feedback, codec, numbers, parameter};

/// Payload types of a stream, as many as the media plane knows.
const PAYLOADS_MAX: usize = 4;

/// What we decode, as far as it is said to the far end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ability {
    /// Of H.264, where the levels of both directions may differ (RFC 6184 section 8.1).
    pub(crate) level: H264Level,
    /// What is said beyond the level, and of codecs without levels.
    pub(crate) limits: Option<VideoLimits>,
}

/// A payload type with what our SDP says of it.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    pub(crate) payload: VideoPayload,
    /// Value of `a=fmtp` behind the number; empty for none.
    pub(crate) fmtp: String,
    /// What the far end takes.
    pub(crate) tx_limits: VideoLimits,
}

/// A payload type of H.264 as its line describes it.
struct OfferedH264 {
    /// As written: the profile has to come back as it was offered (section 8.2.2).
    bits: u32,
    id: ProfileLevelId,
    /// Levels of both directions may differ.
    asymmetric: bool,
}

fn stands_for(profile: H264Profile, offered: H264Profile) -> bool {
    use H264Profile::{Baseline, ConstrainedBaseline, ConstrainedHigh, High};
    matches!(
        (profile, offered),
        (ConstrainedBaseline, Baseline) | (High, ConstrainedHigh)
    ) || profile == offered
}

impl OfferedH264 {
    fn read(media: &Media, payload_type: u8, wanted_mode: u8) -> Option<Self> {
        let parameter = |name| parameter(media, payload_type, name);
        let mode = parameter("packetization-mode").unwrap_or("0");
        if mode.parse() != Ok(wanted_mode) {
            return None;
        }
        let (bits, id) = match parameter("profile-level-id") {
            Some(text) => {
                let id = ProfileLevelId::parse(text)?;
                (u32::from_str_radix(text, 16).ok()?, id)
            }
            None => (bits(ProfileLevelId::UNSAID), ProfileLevelId::UNSAID),
        };
        let asymmetric = parameter("level-asymmetry-allowed") == Some("1");
        Some(Self {
            bits,
            id,
            asymmetric,
        })
    }

    /// With our level, unless both directions must have the same and theirs is less.
    fn answered(&self, ours: H264Level) -> u32 {
        if !self.asymmetric && self.id.level <= ours {
            self.bits
        } else {
            (self.bits & 0xff_ff00) | u32::from(ours.level_idc())
        }
    }
}

impl Choice {
    /// Adds `name=value` to what is said of the number.
    pub(crate) fn add_parameter(&mut self, parameter: &str) {
        if !self.fmtp.is_empty() {
            self.fmtp.push(';');
        }
        self.fmtp.push_str(parameter);
    }
}

/// The 24 bits of a profile-level-id.
fn bits(id: ProfileLevelId) -> u32 {
    let [profile, flags, level] = id.bytes();
    u32::from_be_bytes([0, profile, flags, level])
}

fn h264_fmtp(asymmetric: bool, mode: u8, bits: u32, ability: Ability) -> String {
    let mut fmtp = format!(
        "level-asymmetry-allowed={};packetization-mode={mode};profile-level-id={bits:06x}",
        u8::from(asymmetric)
    );
    let said = H264Level::from_level_idc(bits.to_be_bytes()[3]).map(H264Level::limits);
    if let (Some(said), Some(limits)) = (said, ability.limits) {
        // These can only raise what the level says (section 8.1).
        let more = [
            ("max-fs", limits.max_fs, said.max_fs),
            ("max-mbps", limits.max_mbps, said.max_mbps),
        ];
        for (name, limit, said) in more {
            if limit > said {
                let _ = write!(fmtp, ";{name}={limit}");
            }
        }
    }
    fmtp
}

fn vp8_fmtp(ability: Ability) -> String {
    ability.limits.map_or_else(String::new, |limits| {
        let (size, rate) = (limits.max_fs, limits.frame_rate_max_hz);
        format!("max-fs={size};max-fr={rate}")
    })
}

/// A number that says something: not 0, which nobody can mean.
fn limit(media: &Media, payload_type: u8, name: &str) -> Option<u32> {
    let value = parameter(media, payload_type, name)?.parse().ok();
    value.filter(|value| *value > 0)
}

/// The payload type as we would answer it, and whether it fits exactly.
fn fit(
    media: &Media,
    payload_type: u8,
    format: VideoFormat,
    ability: Ability,
) -> Option<(Choice, bool)> {
    if codec(media, payload_type) != Some(format.codec()) {
        return None;
    }
    let limit = |name| limit(media, payload_type, name);
    let mut payload = VideoPayload {
        payload_type,
        codec: format.codec() as u8,
        rtx_payload_type: attributes::rtx(media, payload_type).unwrap_or(NO_PAYLOAD_TYPE),
        ..VideoPayload::default()
    };
    let VideoFormat::H264 {
        profile,
        packetization_mode,
    } = format
    else {
        let most = |name| limit(name).unwrap_or(u32::MAX);
        let is_vp8 = format == VideoFormat::Vp8;
        let choice = Choice {
            payload,
            fmtp: if is_vp8 {
                vp8_fmtp(ability)
            } else {
                String::new()
            },
            tx_limits: VideoLimits::vp8(most("max-fs"), most("max-fr")),
        };
        return Some((choice, true));
    };
    let offered = OfferedH264::read(media, payload_type, packetization_mode)
        .filter(|offered| stands_for(profile, offered.id.profile))?;
    let answered = offered.answered(ability.level);
    // One level for both directions is the one of the answer.
    let (taken, level) = if offered.asymmetric {
        (offered.bits, offered.id.level)
    } else {
        (answered, offered.id.level.min(ability.level))
    };
    payload.packetization_mode = packetization_mode;
    payload.profile_level_id = taken;
    let choice = Choice {
        payload,
        fmtp: h264_fmtp(offered.asymmetric, packetization_mode, answered, ability),
        tx_limits: level
            .limits()
            .raised(limit("max-fs"), limit("max-mbps"), limit("max-br")),
    };
    Some((choice, offered.id.profile == profile))
}

/// The payload type of a line that fits a format best.
pub(crate) fn best(media: &Media, format: VideoFormat, ability: Ability) -> Option<Choice> {
    let mut fitting =
        numbers(media).filter_map(|payload_type| fit(media, payload_type, format, ability));
    let (first, exact) = fitting.next()?;
    if exact {
        return Some(first);
    }
    let better = fitting.find(|(_, exact)| *exact).map(|(choice, _)| choice);
    Some(better.unwrap_or(first))
}

/// Common formats in our order, one of each codec: an encoder has one set of
/// parameters, and nothing is won by changing between them.
pub(crate) fn choose(media: &Media, formats: &[VideoFormat], ability: Ability) -> Vec<Choice> {
    let mut chosen: Vec<Choice> = Vec::new();
    for &format in formats {
        let is_new = chosen
            .iter()
            .all(|choice| choice.payload.codec != format.codec() as u8);
        if is_new {
            chosen.extend(best(media, format, ability));
        }
    }
    chosen.truncate(PAYLOADS_MAX);
    chosen
}

/// A format as we offer it first.
pub(crate) fn offered(
    format: VideoFormat,
    payload_type: u8,
    rtx_payload_type: u8,
    profile_bits: Option<u32>,
    ability: Ability,
) -> Choice {
    let (packetization_mode, profile_level_id, fmtp) = match format {
        VideoFormat::H264 {
            profile,
            packetization_mode,
        } => {
            let level = ability.level;
            let id = match profile_bits {
                Some(known) => (known & 0xff_ff00) | u32::from(level.level_idc()),
                None => bits(ProfileLevelId { profile, level }),
            };
            let fmtp = h264_fmtp(true, packetization_mode, id, ability);
            (packetization_mode, id, fmtp)
        }
        VideoFormat::Vp8 => (0, 0, vp8_fmtp(ability)),
        VideoFormat::Vp9 | VideoFormat::Av1 => (0, 0, String::new()),
    };
    Choice {
        payload: VideoPayload {
            payload_type,
            codec: format.codec() as u8,
            rtx_payload_type,
            packetization_mode,
            profile_level_id,
        },
        fmtp,
        tx_limits: VideoLimits::vp8(u32::MAX, u32::MAX),
    }
}

/// The numbers on the m-line.
pub(crate) fn write_numbers(out: &mut String, choices: &[Choice]) {
    // Writing into a String does not fail.
    for choice in choices {
        let _ = write!(out, " {}", choice.payload.payload_type);
        if choice.payload.rtx_payload_type != NO_PAYLOAD_TYPE {
            let _ = write!(out, " {}", choice.payload.rtx_payload_type);
        }
    }
}

/// Most that the far end may send, bit/s; 0 says nothing.
pub(crate) fn write_bit_rate(out: &mut String, bit_rate_bps_max: u32) {
    if bit_rate_bps_max > 0 {
        let kbps = bit_rate_bps_max.div_ceil(1_000);
        let _ = write!(out, "b=TIAS:{bit_rate_bps_max}\r\nb=AS:{kbps}\r\n");
    }
}

/// The attributes of the numbers.
pub(crate) fn write_choices(out: &mut String, choices: &[Choice], feedback: Feedback) {
    for Choice { payload, fmtp, .. } in choices {
        let number = payload.payload_type;
        let name = attributes::name(payload.codec);
        let _ = write!(out, "a=rtpmap:{number} {name}/90000\r\n");
        if !fmtp.is_empty() {
            let _ = write!(out, "a=fmtp:{number} {fmtp}\r\n");
        }
        for value in feedback.values() {
            let _ = write!(out, "a=rtcp-fb:{number} {value}\r\n");
        }
        let rtx = payload.rtx_payload_type;
        if rtx != NO_PAYLOAD_TYPE {
            let _ = write!(
                out,
                "a=rtpmap:{rtx} rtx/90000\r\na=fmtp:{rtx} apt={number}\r\n"
            );
        }
    }
}
