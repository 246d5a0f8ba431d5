//! Offers of ours, and the answers to them.

use plenum_abi::AudioCodec;
use rand::CryptoRng;

use crate::answering::{agreed_audio, common_formats, packet_ms};
use crate::keys;
use crate::ours::{AudioLine, Identity, Keys, Line, write};
use crate::remote::{self, Format, RemoteAudio};
use crate::video::stream as video;
use crate::{Audio, LocalMedia, Negotiated, NegotiationError, PendingOffer};

/// Dynamic payload types (RFC 3551 section 3).
const DYNAMIC: std::ops::RangeInclusive<u8> = 96..=127;

/// Payload types, keeping numbers that mean something already in this dialog.
fn formats(local: &LocalMedia, before: &[(u8, Format)]) -> Vec<(u8, Format)> {
    let mut formats: Vec<(u8, Format)> = Vec::new();
    let mut add = |format: Format, fixed: Option<u8>| {
        let taken = |number: u8, formats: &[(u8, Format)]| {
            formats
                .iter()
                .chain(before)
                .any(|(used, _)| *used == number)
        };
        let kept = before
            .iter()
            .find(|(_, known)| *known == format)
            .map(|(number, _)| *number);
        let number = kept
            .or(fixed)
            .or_else(|| DYNAMIC.into_iter().find(|n| !taken(*n, &formats)));
        if let Some(number) = number {
            formats.push((number, format));
        }
    };
    for codec in &local.codecs {
        let fixed = match codec {
            AudioCodec::Pcmu => Some(0),
            AudioCodec::Pcma => Some(8),
            AudioCodec::G722 => Some(9),
            _ => None,
        };
        add(Format::Codec(*codec), fixed);
    }
    let clocks = |wanted: u32| {
        local
            .codecs
            .iter()
            .any(|codec| codec.rtp_clock_hz() == wanted)
    };
    for clock_hz in [48_000, 8_000].into_iter().filter(|clock| clocks(*clock)) {
        // 101 is what most phones expect to see.
        let usual = (clock_hz == 8_000).then_some(101);
        add(Format::TelephoneEvent { clock_hz }, usual);
    }
    formats
}

fn audio_line<'a>(
    local: &LocalMedia,
    before: &[(u8, Format)],
    known: &Keys,
    rng: &mut impl CryptoRng,
) -> Line<'a> {
    Line::Audio(AudioLine {
        proto: keys::offered_profile(local),
        formats: formats(local, before),
        cryptos: keys::offer(local, &known.audio, rng),
        audio_level_id: None,
        packet_ms: local.packet_ms,
        rtcp_mux: true,
        direction: local.direction,
    })
}

pub(crate) fn offer(local: &LocalMedia, rng: &mut impl CryptoRng) -> (String, PendingOffer) {
    let identity = Identity::new(rng);
    let known = Keys::default();
    let mut lines = vec![audio_line(local, &[], &known, rng)];
    lines.extend(video::offer(local, None, &known, rng).map(Line::Video));
    let sdp = write(&identity, local, &lines);
    (
        sdp.clone(),
        PendingOffer {
            sdp,
            local: local.clone(),
        },
    )
}

pub(crate) fn reoffer(
    previous: &str,
    local: &LocalMedia,
    rng: &mut impl CryptoRng,
) -> Result<(String, PendingOffer), NegotiationError> {
    let (session, identity, known) = crate::ours::read_previous(previous)?;
    let place = |kind: &str| {
        let lines = || session.medias.iter().enumerate();
        lines()
            .find(|(_, media)| media.media == kind && media.port != 0)
            .or_else(|| lines().find(|(_, media)| media.media == kind))
            .map(|(index, _)| index)
    };
    let (sound, picture) = (place("audio"), place("video"));
    let mut lines: Vec<Line<'_>> = Vec::new();
    for (index, media) in session.medias.iter().enumerate() {
        let picture = (picture == Some(index))
            .then(|| video::offer(local, Some(media), &known, rng))
            .flatten();
        lines.push(if sound == Some(index) {
            let before = RemoteAudio::read(&session, media).map_or(Vec::new(), |line| line.formats);
            audio_line(local, &before, &known, rng)
        } else {
            picture.map_or_else(|| Line::off(media), Line::Video)
        });
    }
    if sound.is_none() {
        lines.push(audio_line(local, &[], &known, rng));
    }
    if picture.is_none() {
        lines.extend(video::offer(local, None, &known, rng).map(Line::Video));
    }
    let sdp = write(&identity, local, &lines);
    Ok((
        sdp.clone(),
        PendingOffer {
            sdp,
            local: local.clone(),
        },
    ))
}

pub(crate) fn accept_answer(
    pending: &PendingOffer,
    answer: &str,
) -> Result<Negotiated, NegotiationError> {
    let ours = remote::parse(&pending.sdp)?;
    let theirs = remote::parse(answer)?;
    if ours.medias.len() != theirs.medias.len() {
        let text = format!(
            "{} media lines for {}",
            theirs.medias.len(),
            ours.medias.len()
        );
        return Err(NegotiationError::Mismatch(text));
    }
    let offered = |kind: &'static str| {
        let mut lines = ours.medias.iter().zip(&theirs.medias);
        lines.find(move |(ours, _)| ours.media == kind && ours.port != 0)
    };
    let audio = match offered("audio") {
        Some((offer, answer)) if answer.media != offer.media => {
            return Err(NegotiationError::Mismatch(
                "another kind of media".to_owned(),
            ));
        }
        Some((offer, answer)) if answer.port != 0 => {
            let remote = RemoteAudio::read(&theirs, answer)?;
            let offer = RemoteAudio::read(&ours, offer)?;
            Some(accept_line(&pending.local, &remote, &offer)?)
        }
        _ => None,
    };
    let pictured = offered("video").filter(|_| audio.is_some());
    let video = pictured.and_then(|(offer, answer)| {
        video::accept(&pending.local, (&ours, offer), (&theirs, answer))
    });
    Ok(Negotiated {
        sdp: pending.sdp.clone(),
        audio,
        video,
    })
}

fn accept_line(
    local: &LocalMedia,
    remote: &RemoteAudio,
    offer: &RemoteAudio,
) -> Result<Audio, NegotiationError> {
    let srtp = keys::accept(local, &remote.stream, &offer.stream)?;
    let formats = common_formats(remote, &local.codecs)?;
    let packet_ms = packet_ms(remote, local.packet_ms);
    Ok(agreed_audio(remote, &formats, packet_ms, local, srtp))
}
