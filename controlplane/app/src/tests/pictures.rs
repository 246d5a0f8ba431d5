//! Pictures of SIP legs.

use plenum_abi::{H264Level, H264Profile, VideoCodec, VideoConfig, VideoFlags};
use plenum_model::{CallLegId, CallLegPatch, Field};
use plenum_sdp::{Direction, Encryption, LocalMedia, LocalVideo, VideoFormat};

use super::world::*;
use crate::EndCause;

fn camera(level: H264Level) -> LocalVideo {
    LocalVideo {
        rtp_port: 4_002,
        rtcp_port: 4_003,
        formats: vec![VideoFormat::H264 {
            profile: H264Profile::ConstrainedBaseline,
            packetization_mode: 1,
        }],
        level,
        limits: level.limits(),
        rtx: false,
        rx_bit_rate_bps_max: 1_000_000,
        direction: Direction::BOTH,
    }
}

fn with_picture(video: LocalVideo) -> LocalMedia {
    LocalMedia {
        video: Some(video),
        ..phone(Encryption::Required)
    }
}

/// Joins with a picture; our answer.
fn join(sim: &mut Sim, media: &LocalMedia) -> (CallLegId, String) {
    let offer = plenum_sdp::offer(media, sim.rng()).0;
    let (leg, out) = sim.call("board", Some(offer));
    let answer = answer_of(&out).unwrap().to_owned();
    sim.decide(|app, world| app.established(leg, None, world));
    sim.out.clear();
    (leg, answer)
}

fn only_stream(sim: &Sim) -> VideoConfig {
    assert_eq!(sim.places.video.len(), 1);
    *sim.places.video.values().next().unwrap()
}

#[test]
fn a_picture_is_answered_told_and_given_back() {
    let mut sim = Sim::new(config());
    let (leg, answer) = join(&mut sim, &with_picture(camera(H264Level::L3_1)));
    let port = 40_000 + 2 * sim.places.taken_video[0].slot;
    assert!(
        answer.contains(&format!("m=video {port} RTP/SAVP ")),
        "{answer}"
    );
    let stream = only_stream(&sim);
    assert_eq!(stream.leg.slot, sim.place(leg).slot);
    assert_eq!(
        stream.remote_rtp.get().unwrap().to_string(),
        "192.0.2.10:4002"
    );
    assert_eq!(stream.tx_payload().unwrap().codec, VideoCodec::H264 as u8);
    assert_eq!((stream.tx_width_max, stream.tx_height_max), (1_280, 720));
    assert_eq!(stream.tx_frame_rate_max, 30);
    assert_eq!(stream.tx_bit_rate_bps_max, 1_000_000);
    assert_ne!(stream.tx_keys, sim.media(leg).tx_keys);
    for flag in [VideoFlags::SEND, VideoFlags::RECEIVE, VideoFlags::PLI] {
        assert!(stream.flags().contains(flag));
    }
    sim.decide(|app, world| app.ended(leg, EndCause::FarEnd, world));
    sim.assert_empty();
}

#[test]
fn small_screens_get_small_pictures() {
    let sent = |level| {
        let mut sim = Sim::new(config());
        join(&mut sim, &with_picture(camera(level)));
        let stream = only_stream(&sim);
        (stream.tx_width_max, stream.tx_frame_rate_max)
    };
    assert_eq!(sent(H264Level::L3), (640, 30));
    assert_eq!(sent(H264Level::L1_2), (320, 25));
    assert_eq!(sent(H264Level::L1), (160, 24));
}

#[test]
fn without_a_slot_there_is_sound_alone() {
    let mut sim = Sim::new(config());
    sim.places.video_max = 0;
    let (leg, answer) = join(&mut sim, &with_picture(camera(H264Level::L3_1)));
    assert!(answer.contains("m=video 0 "), "{answer}");
    assert!(sim.places.video.is_empty());
    assert_eq!(sim.media(leg).remote_rtp.port, 4_000);
    // Nor is a slot taken for who has no camera.
    let mut sim = Sim::new(config());
    sim.join("board");
    assert!(sim.places.taken_video.is_empty());
}

#[test]
fn a_picture_is_held_removed_and_brought_back() {
    let mut sim = Sim::new(config());
    let mut media = with_picture(camera(H264Level::L3_1));
    let (leg, _) = join(&mut sim, &media);
    let again = |sim: &mut Sim, media: &LocalMedia| {
        let offer = plenum_sdp::offer(media, sim.rng()).0;
        let answer = sim.decide(|app, world| app.reoffer(leg, Some(&offer), world));
        answer.unwrap().unwrap()
    };
    media.video.as_mut().unwrap().direction = Direction::NONE;
    again(&mut sim, &media);
    let flags = only_stream(&sim).flags();
    assert!(!flags.contains(VideoFlags::SEND) && !flags.contains(VideoFlags::RECEIVE));
    let camera = media.video.take();
    // The line stays, switched off.
    let offer = plenum_sdp::offer(&media, sim.rng()).0 + "m=video 0 RTP/SAVP 96\r\n";
    let off = sim.decide(|app, world| app.reoffer(leg, Some(&offer), world));
    assert!(off.unwrap().unwrap().contains("m=video 0 "));
    assert!(sim.places.video.is_empty() && sim.places.taken_video.is_empty());
    media.video = camera;
    media.video.as_mut().unwrap().direction = Direction::BOTH;
    again(&mut sim, &media);
    assert!(only_stream(&sim).flags().contains(VideoFlags::SEND));
}

#[test]
fn our_offer_has_a_picture_and_may_be_answered_without() {
    let answered = |media: &LocalMedia| {
        let mut sim = Sim::new(config());
        let (leg, out) = sim.call("board", None);
        let ours = answer_of(&out).unwrap().to_owned();
        assert!(ours.contains("m=video 4"), "{ours}");
        let answer = plenum_sdp::answer(&ours, media, sim.rng()).unwrap();
        sim.decide(|app, world| app.established(leg, Some(&answer.sdp), world));
        (sim.places.video.len(), sim.places.taken_video.len())
    };
    let mut media = phone(Encryption::Optional);
    assert_eq!(answered(&media), (0, 0));
    media.video = Some(camera(H264Level::L3_1));
    assert_eq!(answered(&media), (1, 1));
}

#[test]
fn the_api_hides_a_picture_and_the_view() {
    let mut sim = Sim::new(config());
    let (leg, _) = join(&mut sim, &with_picture(camera(H264Level::L3_1)));
    let patch = CallLegPatch {
        rx_video_mute: Field::Set(true),
        tx_video_mute: Field::Set(true),
        ..CallLegPatch::default()
    };
    sim.decide(|app, world| app.update_call_leg(leg, patch, world))
        .unwrap();
    let flags = only_stream(&sim).flags();
    assert!(flags.contains(VideoFlags::RX_VIDEO_MUTE) && flags.contains(VideoFlags::TX_VIDEO_MUTE));
}
