//! Pictures of SIP legs: slots, and what was negotiated as desired state of the media
//! plane. One picture a leg; slides of others come in it.

use plenum_abi::{
    CommandKind, H264Level, H264Profile, SlotRef, SocketAddress, VideoConfig, VideoFlags,
    VideoLimits, VideoPayload,
};
use plenum_model::CallLegId;
use plenum_sdp::{Direction as Flow, LocalVideo, Negotiated, Video, VideoFormat};

use super::{App, Asked, random_ssrc};
use crate::leg::Leg;
use crate::video::{self, Stream, StreamKind};
use crate::world::{Output, World};

/// What our decoders and encoders do, best first. Our encoder makes the constrained
/// baseline profile, which who takes High takes too.
const FORMATS: [VideoFormat; 4] = [
    h264(H264Profile::ConstrainedBaseline, 1),
    h264(H264Profile::High, 1),
    h264(H264Profile::ConstrainedBaseline, 0),
    VideoFormat::Vp8,
];
/// Pictures of 1080p.
const LEVEL: H264Level = H264Level::L4;
const LIMITS: VideoLimits = VideoLimits {
    frame_rate_max_hz: 60,
    ..LEVEL.limits()
};
/// Most that a far end is asked for, bit/s: 1080p in good quality.
const RX_BIT_RATE_BPS_MAX: u32 = 4_000_000;
/// Sizes of a view, largest first.
const SIZES: [(u16, u16); 7] = [
    (1_920, 1_080),
    (1_280, 720),
    (960, 540),
    (640, 360),
    (480, 270),
    (320, 180),
    (160, 90),
];
/// Pictures of a view a second, where both ends have so many.
const FRAME_RATE_HZ: u32 = 60;
/// Below this a smaller picture is better.
const FAIR_FRAME_RATE_HZ: u8 = 15;

const fn h264(profile: H264Profile, packetization_mode: u8) -> VideoFormat {
    VideoFormat::H264 {
        profile,
        packetization_mode,
    }
}

/// Whether an SDP has a video line that is not switched off.
fn has_picture(sdp: &str) -> bool {
    sdp.lines()
        .filter_map(|line| line.strip_prefix("m=video "))
        .any(|line| !line.starts_with("0 "))
}

impl App {
    /// A slot for the picture that `offer` asks for, if there is one.
    pub(super) fn make_room_for(&mut self, id: CallLegId, offer: &str, world: &mut World<'_>) {
        if has_picture(offer) {
            self.make_room(id, world);
        }
    }

    /// A slot for a picture, if there is one.
    pub(super) fn make_room(&mut self, id: CallLegId, world: &mut World<'_>) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        let slot = leg.video.slot(StreamKind::Main);
        if slot.is_none() {
            let place = world
                .places
                .take_video(leg.place.worker, world.now.monotonic);
            *slot = place.map(|place| Stream {
                place,
                ssrcs: (random_ssrc(world), random_ssrc(world)),
                config: None,
                flow: video::Flow::default(),
                asked: Asked::default(),
            });
        }
    }

    /// Tells the media plane what was agreed; a picture that was not gives its slot back.
    pub(super) fn set_picture(
        &mut self,
        id: CallLegId,
        agreed: Option<&Video>,
        world: &mut World<'_>,
    ) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        let (Some(agreed), Some(leg_config)) = (agreed, leg.config) else {
            return self.drop_picture(id, world);
        };
        let Some(stream) = leg.video.stream(StreamKind::Main) else {
            return;
        };
        let mut config = stream.config.unwrap_or_else(|| VideoConfig {
            generation: stream.place.generation,
            leg: SlotRef {
                slot: leg.place.slot,
                generation: leg_config.generation,
            },
            tx_ssrc: stream.ssrcs.0,
            ..VideoConfig::default()
        });
        negotiated(&mut config, agreed);
        self.mute_video(id, StreamKind::Main, &mut config);
        self.send_video(id, StreamKind::Main, config, world);
    }

    fn drop_picture(&mut self, id: CallLegId, world: &mut World<'_>) {
        let leg = self.legs.get_mut(&id);
        let Some(stream) = leg.and_then(|leg| leg.video.slot(StreamKind::Main).take()) else {
            return;
        };
        if stream.config.is_some() {
            world.out.push(Output::Remove {
                kind: CommandKind::RemoveVideo,
                place: stream.place,
            });
        }
        world
            .places
            .give_back_video(stream.place, world.now.monotonic);
    }
}

/// What our end can do with a picture; `None` where the leg has no slot for one.
pub(super) fn local(leg: &Leg, world: &World<'_>) -> Option<LocalVideo> {
    let stream = leg.video.stream(StreamKind::Main)?;
    let rtp_port = world.places.video_rtp_port(stream.place);
    if rtp_port == 0 {
        return None;
    }
    Some(LocalVideo {
        rtp_port,
        rtcp_port: rtp_port + 1,
        formats: FORMATS.to_vec(),
        level: LEVEL,
        limits: LIMITS,
        rtx: false,
        rx_bit_rate_bps_max: RX_BIT_RATE_BPS_MAX,
        direction: Flow::BOTH,
    })
}

/// As `media::would_keep_our_key`, of the picture.
pub(super) fn would_keep_our_key(leg: &Leg, negotiated: &Negotiated) -> bool {
    let before = leg.video.stream(StreamKind::Main);
    let before = before.and_then(|stream| stream.config);
    let agreed = negotiated.video.as_ref();
    before
        .zip(agreed.and_then(|video| video.srtp.as_ref()))
        .is_some_and(|(before, srtp)| {
            before.srtp_suite == srtp.suite as u8
                && before.tx_keys == srtp.tx_keys
                && before.rx_keys != srtp.rx_keys
        })
}

/// The largest picture that is taken at a fair rate.
fn largest(limits: VideoLimits) -> (u16, u16) {
    let fair = |&(width, height): &(u16, u16)| {
        limits.fits(
            u32::from(width),
            u32::from(height),
            f32::from(FAIR_FRAME_RATE_HZ),
        )
    };
    let smallest = SIZES[SIZES.len() - 1];
    SIZES.into_iter().find(fair).unwrap_or(smallest)
}

/// Writes what was negotiated into `config`; identity and SSRC stay.
fn negotiated(config: &mut VideoConfig, agreed: &Video) {
    let before = *config;
    config.payloads = [VideoPayload::default(); 4];
    for (slot, payload) in config.payloads.iter_mut().zip(&agreed.payloads) {
        *slot = *payload;
    }
    config.remote_rtp = SocketAddress::from(agreed.remote_rtp);
    config.remote_rtcp = SocketAddress::from(agreed.remote_rtcp);
    let said = [
        agreed.tx_bit_rate_bps_max,
        agreed.tx_limits.bit_rate_max_bps,
    ];
    let said = said.into_iter().filter(|rate| *rate > 0);
    config.tx_bit_rate_bps_max = said.min().unwrap_or(0);
    config.rx_bit_rate_bps_max = agreed.rx_bit_rate_bps_max;
    let limits = agreed.tx_limits;
    (config.tx_width_max, config.tx_height_max) = largest(limits);
    config.tx_macroblocks_per_s_max = limits.max_mbps;
    config.tx_frame_rate_max = limits.frame_rate_max_hz.min(FRAME_RATE_HZ) as u8;
    config.flags = (VideoFlags::LEARN_ADDRESS | VideoFlags::CONTENT_IN_MAIN)
        .with(VideoFlags::SEND, agreed.direction.send)
        .with(VideoFlags::RECEIVE, agreed.direction.receive)
        .with(VideoFlags::RTCP_MUX, agreed.rtcp_mux)
        .with(VideoFlags::NACK, agreed.nack)
        .with(VideoFlags::PLI, agreed.pli)
        .with(VideoFlags::FIR, agreed.fir)
        .with(VideoFlags::TMMBR, agreed.tmmbr)
        .0;
    match &agreed.srtp {
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
