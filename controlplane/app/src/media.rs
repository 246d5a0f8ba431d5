//! From what was negotiated to what the media plane is told.

use plenum_abi::{
    AudioCodec, LegConfig, LegFlags, NO_PAYLOAD_TYPE, PayloadMap, SocketAddress, SrtpSuite,
};
use plenum_model::{AudioCodecName, CallLegConfiguration, CipherSuite, Layout};
use plenum_sdp::Audio;
use plenum_sdp::webrtc::WebAudio;

/// Suites we can do, best first.
pub(crate) const SUITES: [SrtpSuite; 6] = [
    SrtpSuite::AeadAes256Gcm,
    SrtpSuite::AeadAes128Gcm,
    SrtpSuite::AesCm256HmacSha1_80,
    SrtpSuite::AesCm128HmacSha1_80,
    SrtpSuite::AesCm256HmacSha1_32,
    SrtpSuite::AesCm128HmacSha1_32,
];

/// The far end has new keys and we would keep ours. Many phones then begin both
/// directions anew and would take our going on for a replay, or the other way
/// round; with a new key of ours there is no doubt where its indexes begin.
pub(crate) fn would_keep_our_key(before: &LegConfig, audio: &Audio) -> bool {
    audio.srtp.as_ref().is_some_and(|srtp| {
        before.srtp_suite == srtp.suite as u8
            && before.tx_keys == srtp.tx_keys
            && before.rx_keys != srtp.rx_keys
    })
}

/// Writes what was negotiated into `config`; identity, SSRC and gains stay.
pub(crate) fn negotiated(config: &mut LegConfig, audio: &Audio) {
    let before = *config;
    let mut codecs = [PayloadMap::default(); 4];
    for (map, (payload_type, codec)) in codecs.iter_mut().zip(&audio.codecs) {
        *map = PayloadMap {
            payload_type: *payload_type,
            codec: *codec as u8,
        };
    }
    let comfort_noise = audio.comfort_noise_payload_type;
    let discontinuous = comfort_noise.is_some() || audio.opus.is_some_and(|opus| opus.dtx);
    config.codecs = codecs;
    config.remote_rtp = SocketAddress::from(audio.remote_rtp);
    config.remote_rtcp = SocketAddress::from(audio.remote_rtcp);
    config.telephone_event_payload_type = audio
        .telephone_event_payload_type
        .unwrap_or(NO_PAYLOAD_TYPE);
    config.comfort_noise_payload_type = comfort_noise.unwrap_or(NO_PAYLOAD_TYPE);
    config.audio_level_id = audio.audio_level_id.unwrap_or(0);
    config.packet_ms = audio.packet_ms;
    config.bit_rate_bps_max = audio.opus.map_or(0, |opus| opus.max_average_bit_rate_bps);
    config.flags = config
        .flags()
        .with(LegFlags::SEND, audio.direction.send)
        .with(LegFlags::RECEIVE, audio.direction.receive)
        .with(LegFlags::RTCP_MUX, audio.rtcp_mux)
        .with(LegFlags::DISCONTINUOUS, discontinuous)
        .with(LegFlags::LEARN_ADDRESS, true)
        .0;
    match &audio.srtp {
        Some(srtp) => {
            config.srtp_suite = srtp.suite as u8;
            config.tx_keys = srtp.tx_keys;
            config.rx_keys = srtp.rx_keys;
        }
        None => {
            config.srtp_suite = 0;
            config.tx_keys = Default::default();
            config.rx_keys = Default::default();
        }
    }
    let same_suite = before.srtp_suite == config.srtp_suite;
    if !same_suite || before.tx_keys != config.tx_keys {
        config.tx_key_epoch = before.tx_key_epoch.wrapping_add(1);
    }
    if !same_suite || before.rx_keys != config.rx_keys {
        config.rx_key_epoch = before.rx_key_epoch.wrapping_add(1);
    }
}

/// Writes what was negotiated with a browser into `config`; addresses and keys are
/// the transport's.
pub(crate) fn negotiated_web(config: &mut LegConfig, audio: &WebAudio) {
    let mut codecs = [PayloadMap::default(); 4];
    for (map, (payload_type, codec)) in codecs.iter_mut().zip(&audio.codecs) {
        *map = PayloadMap {
            payload_type: *payload_type,
            codec: *codec as u8,
        };
    }
    let telephone_event = audio.telephone_event_payload_type;
    let comfort_noise = audio.comfort_noise_payload_type;
    let discontinuous = comfort_noise.is_some() || audio.opus.is_some_and(|opus| opus.dtx);
    config.codecs = codecs;
    config.telephone_event_payload_type = telephone_event.unwrap_or(NO_PAYLOAD_TYPE);
    config.comfort_noise_payload_type = comfort_noise.unwrap_or(NO_PAYLOAD_TYPE);
    config.red_payload_type = audio.red_payload_type.unwrap_or(0);
    config.packet_ms = audio.packet_ms;
    config.bit_rate_bps_max = audio.opus.map_or(0, |opus| opus.max_average_bit_rate_bps);
    config.flags = config
        .flags()
        .with(LegFlags::SEND, audio.direction.send)
        .with(LegFlags::RECEIVE, audio.direction.receive)
        .with(LegFlags::RTCP_MUX, true)
        .with(LegFlags::DISCONTINUOUS, discontinuous)
        .0;
}

/// A leg's own view, if it has one: what was chosen, else where it began.
pub(crate) fn layout_of(wish: &CallLegConfiguration) -> Option<Layout> {
    wish.chosen_layout.or(wish.default_layout)
}

/// Writes the leg's own view into `config`; 0 is the conference's.
pub(crate) fn shown(config: &mut LegConfig, wish: &CallLegConfiguration) {
    config.layout = layout_of(wish).map_or(0, layout_number);
}

/// Layouts are numbered in the order of the API's words, from 1.
pub(crate) fn layout_number(layout: Layout) -> u8 {
    let index = Layout::ALL.iter().position(|other| *other == layout);
    index.map_or(0, |index| u8::try_from(index + 1).unwrap_or(0))
}

/// Writes the switches of the API into `config`.
pub(crate) fn muted(config: &mut LegConfig, wish: &CallLegConfiguration) {
    config.flags = config
        .flags()
        .with(LegFlags::RX_AUDIO_MUTE, wish.rx_audio_mute == Some(true))
        .with(LegFlags::TX_AUDIO_MUTE, wish.tx_audio_mute == Some(true))
        .0;
}

/// Reads the switches back from a `config` that is newer than what was stored: a
/// mute that was told to the media plane is one, whatever the store missed.
pub(crate) fn read_mutes(wish: &mut CallLegConfiguration, config: &LegConfig) {
    for (mute, flag) in [
        (&mut wish.rx_audio_mute, LegFlags::RX_AUDIO_MUTE),
        (&mut wish.tx_audio_mute, LegFlags::TX_AUDIO_MUTE),
    ] {
        let is_on = config.flags().contains(flag);
        if is_on != (*mute == Some(true)) {
            *mute = Some(is_on);
        }
    }
}

/// The far end, or nothing, may not be sent to or received from.
pub(crate) fn silenced(config: &mut LegConfig) {
    config.flags = config
        .flags()
        .with(LegFlags::SEND, false)
        .with(LegFlags::RECEIVE, false)
        .0;
}

pub(crate) const fn codec_name(codec: AudioCodec) -> Option<AudioCodecName> {
    Some(match codec {
        AudioCodec::Pcmu => AudioCodecName::G711u,
        AudioCodec::Pcma => AudioCodecName::G711a,
        AudioCodec::G722 => AudioCodecName::G722,
        AudioCodec::Opus => AudioCodecName::Opus,
        _ => return None,
    })
}

pub(crate) const fn cipher_suite(suite: SrtpSuite) -> Option<CipherSuite> {
    Some(match suite {
        SrtpSuite::AesCm128HmacSha1_80 => CipherSuite::AesCm128HmacSha1_80,
        SrtpSuite::AesCm128HmacSha1_32 => CipherSuite::AesCm128HmacSha1_32,
        SrtpSuite::AesCm256HmacSha1_80 => CipherSuite::AesCm256HmacSha1_80,
        SrtpSuite::AesCm256HmacSha1_32 => CipherSuite::AesCm256HmacSha1_32,
        SrtpSuite::AeadAes128Gcm => CipherSuite::AeadAes128Gcm,
        SrtpSuite::AeadAes256Gcm => CipherSuite::AeadAes256Gcm,
        _ => return None,
    })
}
