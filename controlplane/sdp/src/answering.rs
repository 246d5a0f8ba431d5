//! Answers: what is made of the far end's offer.

use plenum_abi::AudioCodec;
use rand::CryptoRng;
use sdp_types::Session;

use crate::keys;
use crate::ours::{AudioLine, Identity, Keys, Line, write};
use crate::remote::{self, Format, RemoteAudio};
use crate::sdes::Crypto;
use crate::video::stream as video;
use crate::{Audio, LocalMedia, Negotiated, NegotiationError, Srtp};

/// Packet times that a worker makes.
const PACKET_MS: [u8; 3] = [40, 20, 10];

/// How one offered line is answered.
struct Choice {
    formats: Vec<(u8, Format)>,
    crypto: Option<Crypto>,
    audio: Audio,
}

pub(crate) fn answer(
    offer: &str,
    local: &LocalMedia,
    identity: &Identity,
    known: &Keys,
    rng: &mut impl CryptoRng,
) -> Result<Negotiated, NegotiationError> {
    let session = remote::parse(offer)?;
    let chosen = choose(&session, local, &known.audio, rng)?;
    // A picture comes beside sound.
    let pictured = match chosen {
        Some(_) => video::answer(&session, local, known, rng),
        None => None,
    };
    let lines: Vec<Line<'_>> = session
        .medias
        .iter()
        .enumerate()
        .map(|(index, media)| match (&chosen, &pictured) {
            (Some((wanted, choice)), _) if *wanted == index => Line::Audio(AudioLine {
                proto: &media.proto,
                formats: choice.formats.clone(),
                cryptos: choice.crypto.into_iter().collect(),
                audio_level_id: choice.audio.audio_level_id,
                packet_ms: choice.audio.packet_ms,
                rtcp_mux: choice.audio.rtcp_mux,
                direction: choice.audio.direction,
            }),
            (_, Some((wanted, line, _))) if *wanted == index => Line::Video(line.clone()),
            _ => Line::off(media),
        })
        .collect();
    let sdp = write(identity, local, &lines);
    Ok(Negotiated {
        sdp,
        audio: chosen.map(|(_, choice)| choice.audio),
        video: pictured.map(|(_, _, video)| video),
    })
}

/// The first audio line that we can do. `None` where all are switched off, or
/// none is offered at all; an error where what is offered cannot be had.
fn choose(
    session: &Session,
    local: &LocalMedia,
    known: &[Crypto],
    rng: &mut impl CryptoRng,
) -> Result<Option<(usize, Choice)>, NegotiationError> {
    let mut refusal = None;
    let audio = || {
        session
            .medias
            .iter()
            .enumerate()
            .filter(|(_, media)| media.media == "audio")
    };
    for (index, media) in audio().filter(|(_, media)| media.port != 0) {
        let choice = RemoteAudio::read(session, media)
            .and_then(|remote| choose_formats(&remote, local, known, rng));
        match choice {
            Ok(choice) => return Ok(Some((index, choice))),
            Err(error) => refusal = refusal.or(Some(error)),
        }
    }
    match refusal {
        Some(error) => Err(error),
        None if session.medias.is_empty() || audio().next().is_some() => Ok(None),
        None => Err(NegotiationError::NoCommonMedia),
    }
}

fn choose_formats(
    remote: &RemoteAudio,
    local: &LocalMedia,
    known: &[Crypto],
    rng: &mut impl CryptoRng,
) -> Result<Choice, NegotiationError> {
    let (crypto, srtp) = keys::answer(&remote.stream, local, known, rng)?.unzip();
    let formats = common_formats(remote, &local.codecs)?;
    let packet_ms = packet_ms(remote, local.packet_ms);
    let audio = agreed_audio(remote, &formats, packet_ms, local, srtp);
    Ok(Choice {
        formats,
        crypto,
        audio,
    })
}

/// The agreed stream from what the far end said and what both know.
pub(crate) fn agreed_audio(
    remote: &RemoteAudio,
    formats: &[(u8, Format)],
    packet_ms: u8,
    local: &LocalMedia,
    srtp: Option<Srtp>,
) -> Audio {
    let codecs: Vec<(u8, AudioCodec)> = formats
        .iter()
        .filter_map(|(number, format)| match format {
            Format::Codec(codec) => Some((*number, *codec)),
            _ => None,
        })
        .take(4)
        .collect();
    let find = |wanted: fn(&Format) -> bool| {
        formats
            .iter()
            .find(|(_, format)| wanted(format))
            .map(|(number, _)| *number)
    };
    let has_opus = codecs.iter().any(|(_, codec)| *codec == AudioCodec::Opus);
    Audio {
        telephone_event_payload_type: find(|format| {
            matches!(format, Format::TelephoneEvent { .. })
        }),
        comfort_noise_payload_type: find(|format| *format == Format::ComfortNoise),
        audio_level_id: remote.audio_level_id,
        packet_ms,
        remote_rtp: remote.stream.rtp,
        remote_rtcp: remote.stream.rtcp,
        rtcp_mux: remote.stream.rtcp_mux,
        direction: remote.stream.direction.and(local.direction),
        srtp,
        opus: has_opus.then_some(remote.opus),
        codecs,
    }
}

/// The first of their codecs that is ours, and what goes with its clock.
pub(crate) fn common_formats(
    remote: &RemoteAudio,
    codecs: &[AudioCodec],
) -> Result<Vec<(u8, Format)>, NegotiationError> {
    let (number, codec) = remote
        .formats
        .iter()
        .find_map(|(number, format)| match format {
            Format::Codec(codec) if codecs.contains(codec) => Some((*number, *codec)),
            _ => None,
        })
        .ok_or(NegotiationError::NoCommonCodec)?;
    let mut formats = vec![(number, Format::Codec(codec))];
    let event = |clock_hz: u32| {
        let wanted = Format::TelephoneEvent { clock_hz };
        remote.formats.iter().find(|(_, format)| *format == wanted)
    };
    formats.extend(
        event(codec.rtp_clock_hz())
            .or_else(|| event(8_000))
            .copied(),
    );
    if codec.rtp_clock_hz() == 8_000 {
        let noise = remote
            .formats
            .iter()
            .find(|(_, format)| *format == Format::ComfortNoise);
        formats.extend(noise.copied());
    }
    Ok(formats)
}

/// Their wish where it is one that we make and they can take, else ours.
pub(crate) fn packet_ms(remote: &RemoteAudio, ours: u8) -> u8 {
    let wished = remote
        .packet_ms
        .filter(|wish| PACKET_MS.contains(wish))
        .unwrap_or(ours);
    let longest = remote.packet_ms_max.unwrap_or(u8::MAX).max(10);
    PACKET_MS
        .into_iter()
        .find(|length| *length <= wished.min(longest))
        .unwrap_or(10)
}
