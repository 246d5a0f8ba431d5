//! The main picture of a SIP leg: its line in offers and answers.

use std::fmt::Write;

use plenum_abi::{NO_PAYLOAD_TYPE, VideoPayload};
use rand::CryptoRng;
use sdp_types::{Media, Session};

use super::attributes::{self, Feedback};
use super::format::{self, Ability, Choice};
use super::{LocalVideo, Video};
use crate::keys;
use crate::ours::Keys;
use crate::remote::{RemoteStream, attribute};
use crate::sdes::Crypto;
use crate::{LocalMedia, Srtp};

/// What we understand of feedback and offer.
const FEEDBACK: Feedback = Feedback {
    nack: true,
    pli: true,
    fir: true,
    tmmbr: true,
    remb: false,
    transport_cc: false,
};

/// Payload types that we give out: above those of sound, because some endpoints
/// take one number on two lines for one codec.
const NUMBERS: std::ops::RangeInclusive<u8> = 102..=127;

/// The line for the main picture.
#[derive(Clone, Debug)]
pub(crate) struct VideoLine<'a> {
    proto: &'a str,
    ours: &'a LocalVideo,
    choices: Vec<Choice>,
    cryptos: Vec<Crypto>,
    feedback: Feedback,
    direction: crate::Direction,
    rtcp_mux: bool,
    /// Whether `a=content:main` is said (RFC 4796).
    content: bool,
}

impl LocalVideo {
    const fn ability(&self) -> Ability {
        Ability {
            level: self.level,
            limits: Some(self.limits),
        }
    }
}

/// Whether a line is the main picture rather than slides or another view.
pub(crate) fn is_main(media: &Media) -> bool {
    let content = attribute(&media.attributes, "content");
    media.media == "video"
        && content.is_none_or(|content| content.split(',').any(|word| word.trim() == "main"))
}

/// The first main picture of an offer that we can do, with its place. What cannot be
/// had is refused alone: the call goes on without.
pub(crate) fn answer<'a>(
    session: &'a Session,
    local: &'a LocalMedia,
    known: &Keys,
    rng: &mut impl CryptoRng,
) -> Option<(usize, VideoLine<'a>, Video)> {
    let ours = local.video.as_ref()?;
    let offered = session.medias.iter().enumerate();
    offered
        .filter(|(_, media)| media.port != 0 && is_main(media))
        .find_map(|(index, media)| {
            let remote = RemoteStream::read(session, media).ok()?;
            let choices = choose(media, ours);
            let first = choices.first()?;
            let feedback = Feedback::of(media, first.payload.payload_type).and(FEEDBACK);
            let keys = keys::answer(&remote, local, &known.video, rng).ok()?;
            let (crypto, srtp) = keys.unzip();
            let video = agreed(session, media, &remote, ours, &choices, feedback, srtp)?;
            let line = VideoLine {
                proto: &media.proto,
                ours,
                choices,
                cryptos: crypto.into_iter().collect(),
                feedback,
                direction: video.direction,
                rtcp_mux: remote.rtcp_mux,
                content: attribute(&media.attributes, "content").is_some(),
            };
            Some((index, line, video))
        })
}

/// Our offer of a picture. `before` is the line as it was, whose numbers stay.
pub(crate) fn offer<'a>(
    local: &'a LocalMedia,
    before: Option<&Media>,
    known: &Keys,
    rng: &mut impl CryptoRng,
) -> Option<VideoLine<'a>> {
    let ours = local.video.as_ref()?;
    Some(VideoLine {
        proto: keys::offered_profile(local),
        ours,
        choices: offered(ours, before),
        cryptos: keys::offer(local, &known.video, rng),
        feedback: FEEDBACK,
        direction: ours.direction,
        rtcp_mux: true,
        content: true,
    })
}

/// What the answer to our line `offer` makes of it; `None` where it is refused or
/// cannot be used.
pub(crate) fn accept(
    local: &LocalMedia,
    (ours, offer): (&Session, &Media),
    (theirs, answer): (&Session, &Media),
) -> Option<Video> {
    let wish = local.video.as_ref()?;
    if answer.port == 0 || answer.media != "video" {
        return None;
    }
    let remote = RemoteStream::read(theirs, answer).ok()?;
    let srtp = keys::accept(local, &remote, &RemoteStream::read(ours, offer).ok()?).ok()?;
    let mut choices = choose(answer, wish);
    // What the answer names first is what we are to send (RFC 3264 section 7).
    choices.sort_by_key(|choice| {
        attributes::numbers(answer).position(|number| number == choice.payload.payload_type)
    });
    let first = choices.first()?;
    let feedback = Feedback::of(answer, first.payload.payload_type).and(FEEDBACK);
    agreed(theirs, answer, &remote, wish, &choices, feedback, srtp)
}

fn choose(media: &Media, ours: &LocalVideo) -> Vec<Choice> {
    let mut choices = format::choose(media, &ours.formats, ours.ability());
    if !ours.rtx {
        for choice in &mut choices {
            choice.payload.rtx_payload_type = NO_PAYLOAD_TYPE;
        }
    }
    choices
}

fn agreed(
    session: &Session,
    media: &Media,
    remote: &RemoteStream,
    ours: &LocalVideo,
    choices: &[Choice],
    feedback: Feedback,
    srtp: Option<Srtp>,
) -> Option<Video> {
    let payloads: Vec<VideoPayload> = choices.iter().map(|choice| choice.payload).collect();
    // Some endpoints say it once, for the whole of the call.
    let bit_rate_bps_max = match attributes::bit_rate_bps_max(&media.bandwidths) {
        0 => attributes::bit_rate_bps_max(&session.bandwidths),
        said => said,
    };
    Some(Video {
        tx_limits: choices.first()?.tx_limits,
        payloads,
        remote_rtp: remote.rtp,
        remote_rtcp: remote.rtcp,
        rtcp_mux: remote.rtcp_mux,
        direction: remote.direction.and(ours.direction),
        srtp,
        tx_bit_rate_bps_max: bit_rate_bps_max,
        rx_bit_rate_bps_max: ours.rx_bit_rate_bps_max,
        nack: feedback.nack,
        pli: feedback.pli,
        fir: feedback.fir,
        tmmbr: feedback.tmmbr,
    })
}

fn offered(ours: &LocalVideo, before: Option<&Media>) -> Vec<Choice> {
    let used: Vec<u8> = before.into_iter().flat_map(attributes::numbers).collect();
    let mut free = NUMBERS.filter(|number| !used.contains(number));
    let mut choices: Vec<Choice> = Vec::new();
    for &format in &ours.formats {
        let kept = before
            .and_then(|media| format::best(media, format, ours.ability()))
            .map(|choice| choice.payload)
            .filter(|kept| {
                let number = kept.payload_type;
                choices
                    .iter()
                    .all(|choice| choice.payload.payload_type != number)
            });
        let number = kept.map(|kept| kept.payload_type).or_else(|| free.next());
        let rtx = if ours.rtx {
            kept.map(|kept| kept.rtx_payload_type)
                .filter(|number| *number != NO_PAYLOAD_TYPE)
                .or_else(|| free.next())
        } else {
            None
        };
        let profile_bits = kept.map(|kept| kept.profile_level_id);
        choices.extend(number.map(|number| {
            let rtx = rtx.unwrap_or(NO_PAYLOAD_TYPE);
            format::offered(format, number, rtx, profile_bits, ours.ability())
        }));
    }
    choices
}

impl VideoLine<'_> {
    pub(crate) fn write(&self, out: &mut String, local: &LocalMedia, family: &str) {
        let ours = self.ours;
        // Writing into a String does not fail.
        let _ = write!(out, "m=video {} {}", ours.rtp_port, self.proto);
        format::write_numbers(out, &self.choices);
        out.push_str("\r\n");
        format::write_bit_rate(out, ours.rx_bit_rate_bps_max);
        // Feedback is said under the plain profile too, as most endpoints do.
        format::write_choices(out, &self.choices, self.feedback);
        for crypto in &self.cryptos {
            let _ = write!(out, "a=crypto:{}\r\n", crypto.value());
        }
        if self.content {
            out.push_str("a=content:main\r\n");
        }
        let _ = write!(out, "a={}\r\n", self.direction.attribute());
        keys::write_rtcp(
            out,
            (ours.rtp_port, ours.rtcp_port),
            (family, local.address),
            self.rtcp_mux,
        );
    }
}
