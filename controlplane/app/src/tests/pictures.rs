//! Pictures of SIP legs.

use std::time::Duration;

use plenum_abi::{
    Event, EventKind, H264Level, H264Profile, SlotRef, VideoCodec, VideoConfig, VideoFlags,
};
use plenum_model::{
    CallLegId, CallLegPatch, CallPatch, Field, Layout, MessageDuration, MessagePosition,
    SelfPaneMode,
};
use plenum_sdp::{Direction, Encryption, LocalMedia, LocalVideo, VideoFormat};

use super::world::*;
use crate::{App, EndCause, MEDIA_CONTROL, Output, PICTURE_FAST_UPDATE, VideoCounters};

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
    assert_eq!(stream.tx_frame_rate_max, 60);
    assert_eq!(stream.tx_bit_rate_bps_max, 1_000_000);
    assert_ne!(stream.tx_keys, sim.media(leg).tx_keys);
    for flag in [VideoFlags::SEND, VideoFlags::RECEIVE, VideoFlags::PLI] {
        assert!(stream.flags().contains(flag));
    }
    sim.decide(|app, world| app.ended(leg, EndCause::FarEnd, world));
    sim.assert_empty();
}

#[test]
fn who_takes_more_gets_larger_pictures() {
    let sent = |level| {
        let mut sim = Sim::new(config());
        join(&mut sim, &with_picture(camera(level)));
        let stream = only_stream(&sim);
        (stream.tx_width_max, stream.tx_macroblocks_per_s_max)
    };
    assert_eq!(sent(H264Level::L4), (1_920, 245_760));
    assert_eq!(sent(H264Level::L3_2), (1_280, 216_000));
    assert_eq!(sent(H264Level::L3), (640, 40_500));
    assert_eq!(sent(H264Level::L1_2), (320, 6_000));
    assert_eq!(sent(H264Level::L1), (160, 1_485));
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

#[test]
fn panes_bear_the_names_that_the_list_shows() {
    let mut sim = Sim::new(config());
    let (leg, _) = join(&mut sim, &with_picture(camera(H264Level::L3_1)));
    let label = |sim: &Sim| sim.places.labels[&sim.place(leg)].as_str().to_owned();
    let name = sim.app.call_leg(leg, sim.now).unwrap().summary.name;
    assert_eq!(label(&sim), name);
    for (field, shown) in [
        (
            Field::Set("Dr. Jana Nováková".to_owned()),
            "Dr. Jana Nováková",
        ),
        (Field::Keep, "Dr. Jana Nováková"),
        (Field::Unset, name.as_str()),
    ] {
        let patch = CallLegPatch {
            name_label_override: field,
            ..CallLegPatch::default()
        };
        sim.decide(|app, world| app.update_call_leg(leg, patch, world))
            .unwrap();
        assert_eq!(label(&sim), shown);
    }
}

#[test]
fn a_call_looks_as_its_space_says_until_the_api_says_otherwise() {
    let mut sim = Sim::new(config());
    sim.spaces[0].default_layout = Some(Layout::Stacked);
    sim.spaces[0].pane_placement_highest_importance = Some(4);
    let (leg, _) = join(&mut sim, &with_picture(camera(H264Level::L3_1)));
    let look = |sim: &Sim| {
        assert_eq!(sim.places.looks.len(), 1);
        *sim.places.looks.values().next().unwrap()
    };
    let (policy, message) = look(&sim);
    assert_eq!((policy.layout, policy.placement_highest_importance), (4, 4));
    assert_eq!((policy.self_pane_mode, message.as_str()), (0, ""));

    let call = sim.app.call_leg(leg, sim.now).unwrap().summary.call;
    let change = |sim: &mut Sim, patch: CallPatch| {
        sim.decide(|app, world| app.update_call(call, patch, world))
            .unwrap();
    };
    let message_for = |duration| CallPatch {
        message_text: Field::Set("Back at ten".into()),
        message_position: Field::Set(MessagePosition::Bottom),
        message_duration: Field::Set(duration),
        pane_placement_highest_importance: Field::Set(2),
        pane_placement_self_pane_mode: Field::Set(SelfPaneMode::Blank),
        ..CallPatch::default()
    };
    change(&mut sim, message_for(MessageDuration::Seconds(60)));
    let (policy, message) = look(&sim);
    assert_eq!((policy.layout, policy.placement_highest_importance), (4, 2));
    assert_eq!((policy.self_pane_mode, policy.message_position), (3, 3));
    let end = sim.now.monotonic + Duration::from_secs(60);
    assert_eq!(
        (message.as_str(), policy.message_until),
        ("Back at ten", end.0)
    );

    // Another setting leaves the message where it was in its time.
    sim.now.monotonic = sim.now.monotonic + Duration::from_secs(20);
    sim.now.unix_ms += 20_000;
    let patch = CallPatch {
        pane_placement_self_pane_mode: Field::Unset,
        ..CallPatch::default()
    };
    change(&mut sim, patch);
    assert_eq!(look(&sim).0.message_until, end.0);
    let view = sim.app.call_view(call, sim.now).unwrap();
    assert_eq!(view.message_remaining, Some(Duration::from_secs(40)));

    for (duration, text) in [
        (MessageDuration::Permanent, "Back at ten"),
        (MessageDuration::Seconds(0), ""),
    ] {
        change(&mut sim, message_for(duration));
        let (policy, message) = look(&sim);
        assert_eq!((message.as_str(), policy.message_until), (text, 0));
    }
}

#[test]
fn pictures_are_shown_with_what_they_carry_lately() {
    let mut sim = Sim::new(config());
    let (leg, _) = join(&mut sim, &with_picture(camera(H264Level::L3_1)));
    let place = sim.places.taken_video[0];
    let statuses = |sim: &Sim| {
        let status = sim.app.call_leg(leg, sim.now).unwrap().status;
        (status.rx_video, status.tx_video)
    };
    assert_eq!(statuses(&sim), (vec![], vec![]));
    let flowed = |seconds: u64| VideoCounters {
        rx_packets: 90 * seconds,
        rx_bytes: 125_000 * seconds,
        rx_lost: 10 * seconds,
        rx_frames: 25 * seconds,
        rx_size: 1_280 << 16 | 720,
        rx_codec: VideoCodec::H264 as u64,
        tx_bytes: 250_000 * seconds,
        tx_frames: 30 * seconds,
        tx_size: 640 << 16 | 360,
        tx_allowed_bps: 2_500_000,
        round_trip_us: 12_400,
        ..VideoCounters::default()
    };
    for second in 1..=3 {
        sim.places.video_counters.insert(place, flowed(second));
        sim.now.monotonic = sim.now.monotonic + Duration::from_secs(1);
        sim.now.unix_ms += 1_000;
        sim.decide(App::tick);
    }
    let (received, sent) = statuses(&sim);
    let received = &received[0];
    assert_eq!(
        (received.size, received.bit_rate),
        ((1_280, 720), 1_000_000)
    );
    assert_eq!(
        (received.frame_rate_hz, received.packet_loss_percentage),
        (25.0, 10.0)
    );
    assert!(!received.put_aside && received.round_trip_time_ms.is_none());
    assert_eq!((sent[0].size, sent[0].bit_rate), ((640, 360), 2_000_000));
    assert_eq!(
        (sent[0].frame_rate_hz, sent[0].round_trip_time_ms),
        (30.0, Some(12))
    );
    assert_eq!(sent[0].allowed_bit_rate, Some(2_500_000));
    assert_eq!(received.allowed_bit_rate, None);
    let statistics = sim.app.statistics();
    assert_eq!(statistics.video_bit_rate_incoming, 1_000_000);
    assert_eq!(statistics.video_bit_rate_outgoing, 2_000_000);

    let crashed = VideoCounters {
        rx_decoder_crashes: 2,
        ..flowed(3)
    };
    sim.places.video_counters.insert(place, crashed);
    sim.now.monotonic = sim.now.monotonic + Duration::from_secs(1);
    sim.decide(App::tick);
    assert!(statuses(&sim).0[0].put_aside);
}

#[test]
fn a_muted_phone_that_shows_itself_is_not_hung_up() {
    let mut sim = Sim::new(config());
    let (leg, _) = join(&mut sim, &with_picture(camera(H264Level::L3_1)));
    let place = sim.places.taken_video[0];
    let pass = |sim: &mut Sim, seen: bool| {
        for _ in 0..70 {
            sim.now.monotonic = sim.now.monotonic + Duration::from_secs(1);
            let counters = VideoCounters {
                last_received: Some(sim.now.monotonic),
                ..VideoCounters::default()
            };
            if seen {
                sim.places.video_counters.insert(place, counters);
            }
            sim.decide(App::tick);
        }
        sim.app.call_leg(leg, sim.now).is_ok()
    };
    assert!(pass(&mut sim, true));
    assert!(!pass(&mut sim, false));
}

/// RFC 5168, both ways and bounded.
#[test]
fn key_frames_are_asked_for_by_info_once_a_second() {
    let mut sim = Sim::new(config());
    let (leg, _) = join(&mut sim, &with_picture(camera(H264Level::L3_1)));
    let (of, place) = (sim.place(leg), sim.places.taken_video[0]);
    let needed = |sim: &mut Sim, leg_generation: u32| {
        let event = Event {
            kind: EventKind::VideoKeyFrameNeeded as u32,
            value: u64::from(leg_generation) << 32 | u64::from(of.slot),
            leg: SlotRef {
                slot: place.slot,
                generation: place.generation,
            },
            ..Event::default()
        };
        sim.out.clear();
        sim.decide(|app, world| app.media_event(place.worker, &event, world));
        std::mem::take(&mut sim.out)
    };
    assert_eq!(
        needed(&mut sim, of.generation + 1),
        [],
        "a leg that is gone"
    );
    let ask = || Output::AskForKeyFrame { leg };
    assert_eq!(needed(&mut sim, of.generation), [ask()]);
    assert_eq!(needed(&mut sim, of.generation), []);
    sim.now.monotonic = sim.now.monotonic + Duration::from_secs(1);
    assert_eq!(needed(&mut sim, of.generation), [ask()]);

    let informed = |sim: &mut Sim, content_type: &str, body: &str| {
        sim.decide(|app, world| app.informed(leg, content_type, body.as_bytes(), world));
        std::mem::take(&mut sim.out)
    };
    let send = || Output::SendKeyFrame { place };
    assert_eq!(informed(&mut sim, "text/plain", PICTURE_FAST_UPDATE), []);
    assert_eq!(informed(&mut sim, MEDIA_CONTROL, "<media_control/>"), []);
    let asked = |sim: &mut Sim| informed(sim, MEDIA_CONTROL, PICTURE_FAST_UPDATE);
    assert_eq!(asked(&mut sim), [send()]);
    assert_eq!(asked(&mut sim), []);
    sim.now.monotonic = sim.now.monotonic + Duration::from_secs(1);
    assert_eq!(asked(&mut sim), [send()]);
}

#[test]
fn what_the_space_says_reaches_the_call_that_runs() {
    let mut sim = Sim::new(config());
    let (leg, _) = join(&mut sim, &with_picture(camera(H264Level::L3_1)));
    let call = sim.app.call_leg(leg, sim.now).unwrap().summary.call;
    let highest = CallPatch {
        pane_placement_highest_importance: Field::Set(2),
        ..CallPatch::default()
    };
    sim.decide(|app, world| app.update_call(call, highest, world))
        .unwrap();
    let policy = |sim: &Sim| sim.places.looks.values().next().unwrap().0;
    let before = policy(&sim);
    let mut space = sim.spaces[0].clone();
    space.default_layout = Some(Layout::Stacked);
    space.pane_placement_highest_importance = Some(4);
    space.pane_placement_self_pane_mode = Some(SelfPaneMode::Blank);
    sim.decide(|app, world| app.space_changed(&space, world));
    let after = policy(&sim);
    assert_eq!((after.layout, after.self_pane_mode), (4, 3));
    // What is set for the call still wins.
    assert_eq!(after.placement_highest_importance, 2);
    assert!(after.revision > before.revision);

    // A name is no look, and another space is another call's.
    space.name = "Another name".to_owned();
    sim.decide(|app, world| app.space_changed(&space, world));
    let mut other = sim.spaces[1].clone();
    other.default_layout = Some(Layout::AllEqual);
    sim.decide(|app, world| app.space_changed(&other, world));
    assert_eq!(policy(&sim), after);

    // A successor of the process knows it as well.
    let saved = sim.saved[&leg].clone();
    sim.app = App::new(config());
    sim.out.clear();
    let running = sim.places.legs.get(&saved.place).copied();
    sim.decide(|app, world| app.restore(&saved, running, false, world))
        .unwrap();
    assert_eq!(sim.out, [], "the dataplane knows it all");
    sim.decide(|app, world| app.space_changed(&space, world));
    assert_eq!(policy(&sim), after);
}
