//! Offers of ours, and the answers to them.

use plenum_abi::AudioCodec;
use rand::CryptoRng;

use crate::answering::{agreed_audio, common_formats, packet_ms};
use crate::ours::{AudioLine, Identity, Line, write};
use crate::remote::{self, Format, RemoteAudio, profile};
use crate::sdes::Crypto;
use crate::{Audio, Encryption, LocalMedia, Negotiated, NegotiationError, PendingOffer, Srtp};

/// Dynamic payload types (RFC 3551 section 3).
const DYNAMIC: std::ops::RangeInclusive<u8> = 96..=127;

fn proto(local: &LocalMedia) -> &'static str {
    // With optional encryption the keys ride on the plain profile: who does not
    // know them ignores them, and one media line is all that everybody takes.
    if local.encryption == Encryption::Required {
        "RTP/SAVP"
    } else {
        "RTP/AVP"
    }
}

fn cryptos(local: &LocalMedia, known: &[Crypto], rng: &mut impl CryptoRng) -> Vec<Crypto> {
    if local.encryption == Encryption::Prohibited {
        return Vec::new();
    }
    (1..)
        .zip(&local.suites)
        .map(|(tag, suite)| {
            let key = known.iter().find(|known| known.suite == *suite);
            key.map_or_else(
                || Crypto::generate(tag, *suite, rng),
                |key| Crypto { tag, ..*key },
            )
        })
        .collect()
}

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
    known: &[Crypto],
    rng: &mut impl CryptoRng,
) -> Line<'a> {
    Line::Audio(AudioLine {
        proto: proto(local),
        formats: formats(local, before),
        cryptos: cryptos(local, known, rng),
        packet_ms: local.packet_ms,
        rtcp_mux: true,
        direction: local.direction,
    })
}

pub(crate) fn offer(local: &LocalMedia, rng: &mut impl CryptoRng) -> (String, PendingOffer) {
    let identity = Identity::new(rng);
    let line = audio_line(local, &[], &[], rng);
    let sdp = write(&identity, local, &[line]);
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
    let place = session
        .medias
        .iter()
        .position(|media| media.media == "audio" && media.port != 0)
        .or_else(|| {
            session
                .medias
                .iter()
                .position(|media| media.media == "audio")
        });
    let mut lines: Vec<Line<'_>> = session
        .medias
        .iter()
        .enumerate()
        .map(|(index, media)| {
            if place == Some(index) {
                let before =
                    RemoteAudio::read(&session, media).map_or(Vec::new(), |line| line.formats);
                audio_line(local, &before, &known, rng)
            } else {
                Line::Off {
                    media: &media.media,
                    proto: &media.proto,
                    formats: &media.fmt,
                }
            }
        })
        .collect();
    if place.is_none() {
        lines.push(audio_line(local, &[], &known, rng));
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
    let offered = ours
        .medias
        .iter()
        .zip(&theirs.medias)
        .find(|(ours, _)| ours.port != 0);
    let Some((our_line, their_line)) = offered else {
        return Ok(Negotiated {
            sdp: pending.sdp.clone(),
            audio: None,
        });
    };
    if their_line.media != our_line.media {
        return Err(NegotiationError::Mismatch(
            "another kind of media".to_owned(),
        ));
    }
    let audio = if their_line.port == 0 {
        None
    } else {
        let remote = RemoteAudio::read(&theirs, their_line)?;
        let offer = RemoteAudio::read(&ours, our_line)?;
        Some(accept_line(pending, &remote, &offer)?)
    };
    Ok(Negotiated {
        sdp: pending.sdp.clone(),
        audio,
    })
}

fn accept_line(
    pending: &PendingOffer,
    remote: &RemoteAudio,
    offer: &RemoteAudio,
) -> Result<Audio, NegotiationError> {
    let local = &pending.local;
    // Exactly one key line, under one of our tags (RFC 4568 section 5.1.3).
    let agreed = remote.cryptos.first().map(|theirs| {
        offer
            .cryptos
            .iter()
            .find(|ours| ours.tag == theirs.tag && ours.suite == theirs.suite)
            .map(|ours| Srtp {
                suite: ours.suite,
                tx_keys: ours.keys,
                rx_keys: theirs.keys,
            })
            .ok_or_else(|| NegotiationError::Mismatch("a key that was not asked for".to_owned()))
    });
    let srtp = agreed.transpose()?;
    let must_be_secure = local.encryption == Encryption::Required
        || profile(proto(local)) == Some(true)
        || remote.secure_profile;
    if srtp.is_none() && must_be_secure {
        return Err(NegotiationError::EncryptionRequired);
    }
    let formats = common_formats(remote, &local.codecs)?;
    let packet_ms = packet_ms(remote, local.packet_ms);
    Ok(agreed_audio(
        remote,
        &formats,
        packet_ms,
        remote.rtcp_mux,
        local,
        srtp,
    ))
}
