//! What is done once for many, and what a receiver gets for what its path takes.

mod common;

use common::{Meeting, receiver};
use plenum_abi::{H264Level, H264Profile, Nanos, VideoCodec};
use plenum_compositor::{
    ConferencePolicy, Layout, ParticipantId, Receiver, ReceiverId, Stats, Stream, Thrift, Wants,
};

fn policy(layout: Layout) -> ConferencePolicy {
    ConferencePolicy {
        layout,
        ..ConferencePolicy::default()
    }
}

/// What a second of a meeting that has settled takes.
fn second(meeting: &mut Meeting) -> Stats {
    meeting.run(2_000);
    let before = meeting.stage.stats();
    meeting.run(1_000);
    let after = meeting.stage.stats();
    Stats {
        decodes: after.decodes - before.decodes,
        decodes_spared: after.decodes_spared - before.decodes_spared,
        scales: after.scales - before.scales,
        composes: after.composes - before.composes,
        encodes: after.encodes - before.encodes,
        key_frames: after.key_frames - before.key_frames,
        shared_sends: after.shared_sends - before.shared_sends,
        ..after
    }
}

fn about(seen: u64, expected: u64) -> bool {
    seen.abs_diff(expected) * 20 <= expected + 20
}

#[test]
fn everybody_but_the_speaker_shares_one_encoder() {
    let mut meeting = Meeting::of(policy(Layout::SpeakerOnly), 10);
    let stats = second(&mut meeting);
    // The speaker sees somebody else.
    assert_eq!((stats.views, stats.encoders, stats.decoders), (2, 2, 2));
    assert!(about(stats.decodes, 60), "{stats:?}");
    assert!(about(stats.decodes_spared, 240), "{stats:?}");
    assert!(about(stats.encodes, 60), "{stats:?}");
    assert!(about(stats.composes, 60), "{stats:?}");
    assert!(about(stats.shared_sends, 8 * 30), "{stats:?}");
    assert_eq!(stats.scales, 0, "720p fills 720p");
    assert_eq!(stats.key_frames, 0);
    for n in 1..=10 {
        assert!(meeting.got(n).len() > 80);
    }
}

#[test]
fn those_who_are_seen_have_views_of_their_own_and_sources_are_scaled_once() {
    let mut meeting = Meeting::of(policy(Layout::AllEqualQuarters), 4);
    let stats = second(&mut meeting);
    assert_eq!((stats.views, stats.encoders, stats.decoders), (4, 4, 4));
    assert!(about(stats.decodes, 120), "{stats:?}");
    assert!(
        about(stats.scales, 120),
        "three panes each, but one size: {stats:?}"
    );
    assert!(about(stats.composes, 120), "{stats:?}");
    assert_eq!(stats.shared_sends, 0);
    // Cost grows with sources and views, not with receivers.
    for n in 100..150 {
        let looker = Receiver {
            participant: None,
            ..receiver(n)
        };
        meeting.receive(n, looker);
    }
    let stats = second(&mut meeting);
    assert_eq!((stats.views, stats.encoders, stats.decoders), (5, 5, 4));
    assert!(about(stats.scales, 120), "{stats:?}");
    assert!(about(stats.encodes, 150), "{stats:?}");
    assert!(about(stats.shared_sends, 49 * 30), "{stats:?}");
}

#[test]
fn nothing_is_done_for_nobody() {
    let mut meeting = Meeting::of(policy(Layout::AllEqual), 3);
    meeting.run(500);
    for n in 1..=3 {
        let paused = Receiver {
            paused: true,
            ..receiver(n)
        };
        meeting.receive(n, paused);
    }
    let stats = second(&mut meeting);
    assert_eq!(
        (stats.decodes, stats.scales, stats.composes, stats.encodes),
        (0, 0, 0, 0)
    );
    assert_eq!((stats.views, stats.encoders), (0, 0));
    assert_eq!(meeting.stage.next_deadline(), None);
    let before = meeting.got(2).len();
    meeting.receive(2, receiver(2));
    meeting.run(300);
    assert!(
        meeting.got(2)[before].key_frame,
        "after a pause decoding begins anew"
    );
    meeting.run(5_000);
    assert_eq!(meeting.codecs.log().decoders_now, 2, "its own is not seen");
}

#[test]
fn codecs_sizes_and_classes_divide_and_nothing_else_does() {
    let mut meeting = Meeting::new(policy(Layout::SpeakerOnly));
    meeting.join(1);
    let base = Receiver {
        participant: None,
        ..receiver(0)
    };
    let receivers = [
        base,
        Receiver {
            bit_rate_bps: 2_100_000,
            ..base
        },
        Receiver {
            bit_rate_bps: 1_400_000,
            ..base
        },
        Receiver {
            profile: H264Profile::High,
            ..base
        },
        Receiver {
            limits: H264Level::L3_1.limits(),
            ..base
        },
        Receiver {
            bit_rate_bps: 1_000_000,
            ..base
        },
        Receiver {
            codec: VideoCodec::Vp8,
            ..base
        },
        Receiver {
            height_max: 360,
            ..base
        },
        Receiver {
            slice_bytes_max: Some(1_200),
            ..base
        },
        Receiver {
            frame_rate_max_hz: 15,
            ..base
        },
    ];
    for (n, receiver) in (10..).zip(receivers) {
        meeting.receive(n, receiver);
    }
    let stats = second(&mut meeting);
    assert_eq!((stats.views, stats.encoders), (1, 6));
    let encoder = |n: u32| meeting.got(n).last().expect("a frame").encoder;
    for same in [11, 12, 13, 14] {
        assert_eq!(encoder(same), encoder(10), "{same}");
    }
    let log = meeting.codecs.log();
    let shared = &log.encoders[encoder(10)];
    assert_eq!(shared.rate.bit_rate_bps, 1_400_000, "what all of them take");
    assert_eq!(shared.config.profile, H264Profile::ConstrainedBaseline);
    assert_eq!(log.encoders[encoder(17)].config.height, 360);
    assert_eq!(log.encoders[encoder(19)].rate.frame_rate_hz, 15.0);
    assert_eq!(
        log.encoders[encoder(18)].config.slice_bytes_max,
        Some(1_200)
    );
    drop(log);
    let frames = |n: u32| {
        meeting
            .got(n)
            .iter()
            .filter(|got| got.at > Nanos(meeting.now.0 - 1_000_000_000))
            .count()
    };
    assert!((29..=31).contains(&frames(10)), "{}", frames(10));
    assert!((14..=16).contains(&frames(19)), "{}", frames(19));
}

#[test]
fn timestamps_follow_the_frame_clock() {
    let mut meeting = Meeting::of(policy(Layout::SpeakerOnly), 2);
    meeting.run(2_000);
    let got = &meeting.got(1)[5..];
    for pair in got.windows(2) {
        let ticks = pair[1]
            .timestamp_90khz
            .wrapping_sub(pair[0].timestamp_90khz);
        assert!(ticks % 3_000 == 0 && ticks > 0, "{ticks}");
        let millis = pair[1].at.since(pair[0].at).as_millis() as u32;
        assert!(millis.abs_diff(ticks / 90) <= 2, "{millis} {ticks}");
    }
}

#[test]
fn late_joiners_share_one_key_frame() {
    let mut meeting = Meeting::of(policy(Layout::SpeakerOnly), 3);
    meeting.run(3_000);
    let before = meeting.stage.stats();
    for n in 100..140 {
        let looker = Receiver {
            participant: None,
            ..receiver(n)
        };
        meeting.receive(n, looker);
        meeting.run(5);
    }
    meeting.run(1_000);
    let after = meeting.stage.stats();
    assert_eq!(after.encoders, before.encoders);
    let keys = after.key_frames - before.key_frames;
    assert!((1..=2).contains(&keys), "{keys}");
    for n in 100..140 {
        let first = meeting.got(n)[0];
        assert!(first.key_frame);
    }
    // Those who were there before miss nothing.
    let gaps = meeting
        .got(2)
        .windows(2)
        .map(|pair| pair[1].at.since(pair[0].at));
    assert!(gaps.max().expect("frames").as_millis() < 70);
}

#[test]
fn key_frames_are_bounded_and_who_keeps_asking_gets_its_own() {
    let mut meeting = Meeting::of(policy(Layout::SpeakerOnly), 6);
    meeting.run(3_000);
    let shared = meeting.got(3).last().expect("a frame").encoder;
    let before = meeting.stage.stats();
    // Three losses: one key frame serves everybody, each time.
    for _ in 0..3 {
        for _ in 0..10 {
            meeting.run(30);
        }
        meeting.stage.request_key_frame(meeting.now, ReceiverId(3));
        meeting.run(700);
    }
    let after = meeting.stage.stats();
    assert_eq!(after.key_frames - before.key_frames, 3);
    assert_eq!(after.encoders, before.encoders);
    // The fourth within ten seconds: from now on it is on its own.
    meeting.stage.request_key_frame(meeting.now, ReceiverId(3));
    meeting.run(1_000);
    assert_eq!(meeting.stage.stats().encoders, before.encoders + 1);
    let own = meeting.got(3).last().expect("a frame").encoder;
    assert_ne!(own, shared);
    let keys = |meeting: &Meeting, encoder: usize| meeting.codecs.log().encoders[encoder].keys;
    let others = keys(&meeting, shared);
    for _ in 0..200 {
        meeting.stage.request_key_frame(meeting.now, ReceiverId(3));
        meeting.run(50);
    }
    assert_eq!(keys(&meeting, shared), others, "nobody else is disturbed");
    assert!(keys(&meeting, own) <= 28, "0.4 s apart at least");
    // When it is quiet for long, it shares again.
    meeting.run(31_000);
    assert_eq!(meeting.stage.stats().encoders, before.encoders);
    assert_eq!(meeting.got(3).last().expect("a frame").encoder, shared);
}

#[test]
fn the_encoder_follows_the_allowance_and_the_size_steps_down() {
    let mut meeting = Meeting::of(policy(Layout::SpeakerOnly), 2);
    meeting.run(1_000);
    let set = |meeting: &mut Meeting, bit_rate_bps| {
        meeting.receive(
            1,
            Receiver {
                bit_rate_bps,
                ..receiver(1)
            },
        );
        meeting.run(300);
        let last = *meeting.got(1).last().expect("a frame");
        let rate = meeting.codecs.log().encoders[last.encoder].rate;
        (last.size.1, rate.bit_rate_bps)
    };
    assert_eq!(set(&mut meeting, 1_900_000), (720, 1_900_000));
    let encoder = meeting.got(1).last().expect("a frame").encoder;
    assert_eq!(set(&mut meeting, 1_400_000), (720, 1_400_000));
    assert_eq!(
        meeting.got(1).last().expect("a frame").encoder,
        encoder,
        "no new one for that"
    );
    assert_eq!(set(&mut meeting, 700_000), (540, 700_000));
    assert_eq!(set(&mut meeting, 310_000), (360, 310_000));
    assert_eq!(set(&mut meeting, 120_000), (180, 120_000));
    assert_eq!(set(&mut meeting, 0), (180, 32_000));
    assert_eq!(set(&mut meeting, 2_000_000).0, 180, "not up at once");
    meeting.run(2_500);
    assert_eq!(set(&mut meeting, 2_000_000), (720, 2_000_000));
    // Each change of size begins with a key frame.
    for pair in meeting.got(1).windows(2) {
        assert!(pair[0].size == pair[1].size || pair[1].key_frame);
    }
}

#[test]
fn small_sources_are_not_blown_up() {
    let mut meeting = Meeting::of(policy(Layout::SpeakerOnly), 2);
    for n in 1..=2 {
        meeting.camera(n, Stream::Main, (640, 360), common::color(n));
    }
    meeting.run(1_000);
    assert_eq!(meeting.got(1).last().expect("a frame").size, (640, 360));
    meeting.camera(2, Stream::Main, (1280, 720), common::color(2));
    meeting.run(500);
    assert_eq!(meeting.got(1).last().expect("a frame").size, (1280, 720));
    // A source that trembles between sizes does not drag its views along.
    for step in 0..20 {
        let size = if step % 2 == 0 {
            (640, 360)
        } else {
            (1280, 720)
        };
        meeting.camera(2, Stream::Main, size, common::color(2));
        meeting.run(500);
        assert_eq!(meeting.got(1).last().expect("a frame").size, (1280, 720));
    }
    meeting.camera(2, Stream::Main, (640, 360), common::color(2));
    meeting.run(11_000);
    assert_eq!(meeting.got(1).last().expect("a frame").size, (640, 360));
}

#[test]
fn the_rows_of_a_senders_largest_pane_are_told_whatever_it_sends() {
    let rows = |meeting: &Meeting, n| meeting.stage.rows_wanted(ParticipantId(n), Stream::Main);
    let mut meeting = Meeting::of(policy(Layout::AllEqualSixteenths), 2);
    meeting.run(500);
    assert!(
        (160..180).contains(&rows(&meeting, 1)),
        "{}",
        rows(&meeting, 1)
    );
    // A small picture makes a small view, but the pane would take more.
    meeting.camera(1, Stream::Main, (320, 180), common::color(1));
    let large = Receiver {
        layout: Some(Layout::SpeakerOnly),
        ..receiver(2)
    };
    meeting.receive(2, large);
    meeting.run(500);
    assert_eq!(rows(&meeting, 1), 720);
    assert!((160..180).contains(&rows(&meeting, 2)), "only 1 sees 2");
    // What the path does not carry need not be sent either.
    meeting.receive(
        2,
        Receiver {
            bit_rate_bps: 300_000,
            ..large
        },
    );
    meeting.run(500);
    assert_eq!(rows(&meeting, 1), 360);
    for n in 1..=2 {
        let paused = Receiver {
            paused: true,
            ..receiver(n)
        };
        meeting.receive(n, paused);
    }
    meeting.run(500);
    assert_eq!((rows(&meeting, 1), rows(&meeting, 2)), (0, 0));
    assert_eq!(rows(&meeting, 7), 0, "a stranger");
}

/// One who sends 60 pictures a second, number 1, and one who sends 30, number 2.
fn fast_and_slow(layout: Layout) -> Meeting {
    let mut meeting = Meeting::new(ConferencePolicy {
        frame_rate_max_hz: 60,
        ..policy(layout)
    });
    meeting.set(1, common::person(1));
    meeting.join(2);
    meeting
}

/// Somebody who looks on, and whose path takes 60 pictures a second.
fn onlooker(n: u32) -> Receiver {
    Receiver {
        participant: None,
        bit_rate_bps: 5_000_000,
        ..receiver(n)
    }
}

/// So many sixtieths of a second, in which `speaker` is the loudest.
fn sixtieths(meeting: &mut Meeting, count: u64, speaker: u32) {
    for step in 0..count {
        let color = plenum_kernels::video::Yuv {
            y: (step % 200) as u8,
            ..common::color(1)
        };
        let unit = plenum_compositor::AccessUnit {
            codec: VideoCodec::H264,
            key_frame: true,
            data: &common::flat((1280, 720), color),
        };
        let (one, now) = (ParticipantId(1), meeting.now);
        meeting
            .stage
            .handle_access_unit(now, one, Stream::Main, &unit);
        meeting.stage.handle_speaker(now, ParticipantId(speaker));
        meeting.run(if step % 3 == 0 { 16 } else { 17 });
    }
}

#[test]
fn sixty_pictures_a_second_where_both_ends_have_them_and_it_can_be_seen() {
    let mut meeting = fast_and_slow(Layout::SpeakerOnly);
    meeting.receive(12, onlooker(12));
    let slow = Receiver {
        frame_rate_max_hz: 30,
        ..onlooker(13)
    };
    meeting.receive(13, slow);
    // Level 3.1 takes as much, but not so often.
    let small = Receiver {
        limits: H264Level::L3_1.limits(),
        ..onlooker(14)
    };
    meeting.receive(14, small);
    // Nobody sees himself.
    meeting.receive(1, receiver(1));
    sixtieths(&mut meeting, 240, 1);
    let rate = |n| rows_and_rate(&meeting, n).1;
    assert!((58..=61).contains(&rate(12)), "{}", rate(12));
    for n in [1, 13, 14] {
        assert!((28..=31).contains(&rate(n)), "{n}: {}", rate(n));
    }
    // In a small pane nobody would see it.
    let mut meeting = fast_and_slow(Layout::AllEqualNinths);
    meeting.receive(12, onlooker(12));
    sixtieths(&mut meeting, 240, 1);
    let (_, rate) = rows_and_rate(&meeting, 12);
    assert!((29..=31).contains(&rate), "{rate}");
}

#[test]
fn turns_of_fast_and_slow_speakers_need_no_other_encoder() {
    let mut meeting = fast_and_slow(Layout::SpeakerOnly);
    meeting.receive(12, onlooker(12));
    sixtieths(&mut meeting, 240, 1);
    let fast = meeting.got(12).last().expect("a frame").encoder;
    for turn in 0..4 {
        sixtieths(&mut meeting, 240, 2 - turn % 2);
        let (_, rate) = rows_and_rate(&meeting, 12);
        let (least, most) = [(28, 32), (58, 61)][(turn % 2) as usize];
        assert!((least..=most).contains(&rate), "turn {turn}: {rate}");
        assert_eq!(meeting.got(12).last().expect("a frame").encoder, fast);
    }
    // Who has gone for good is not waited for.
    sixtieths(&mut meeting, 60 * 15, 2);
    assert_ne!(meeting.got(12).last().expect("a frame").encoder, fast);
}

#[test]
fn in_need_thirty_pictures_a_second_are_enough() {
    let mut meeting = fast_and_slow(Layout::SpeakerOnly);
    meeting.receive(12, onlooker(12));
    let rate = |meeting: &mut Meeting, thrift| {
        meeting.stage.set_thrift(thrift);
        sixtieths(meeting, 240, 1);
        rows_and_rate(meeting, 12)
    };
    let near = |seen: (u32, usize), rate: usize| seen.0 == 720 && seen.1.abs_diff(rate) <= 2;
    for (thrift, wanted) in [
        (Thrift::Nothing, 60),
        (Thrift::Motion, 30),
        (Thrift::Nothing, 60),
    ] {
        let seen = rate(&mut meeting, thrift);
        assert!(near(seen, wanted), "{thrift:?}: {seen:?}");
    }
}

/// What a receiver gets now: rows, and pictures in the last second.
fn rows_and_rate(meeting: &Meeting, n: u32) -> (u32, usize) {
    let since = Nanos(meeting.now.0 - 1_000_000_000);
    let got = meeting.got(n);
    let rows = got.last().expect("a frame").size.1;
    (rows, got.iter().filter(|got| got.at > since).count())
}

#[test]
fn in_need_large_pictures_of_people_are_left_out_and_content_stays() {
    let mut meeting = Meeting::new(policy(Layout::SpeakerOnly));
    meeting.join(1);
    meeting.camera(1, Stream::Main, (1920, 1080), common::color(1));
    meeting.camera(1, Stream::Content, (1920, 1080), common::color(2));
    meeting.stage.set_content(Some(ParticipantId(1)));
    let people = Receiver {
        width_max: 1920,
        height_max: 1080,
        bit_rate_bps: 4_000_000,
        ..receiver(2)
    };
    let content = Receiver {
        wants: Wants::Content,
        ..people
    };
    meeting.receive(2, people);
    meeting.receive(3, content);
    let rows = |meeting: &Meeting| [2, 3].map(|n| rows_and_rate(meeting, n).0);
    meeting.run(2_000);
    assert_eq!(rows(&meeting), [1080, 1080]);
    meeting.stage.set_thrift(Thrift::Motion);
    meeting.run(500);
    assert_eq!(rows(&meeting), [1080, 1080]);
    meeting.stage.set_thrift(Thrift::Size);
    meeting.run(500);
    assert_eq!(rows(&meeting), [720, 1080]);
    meeting.stage.set_thrift(Thrift::Nothing);
    meeting.run(500);
    assert_eq!(rows(&meeting), [1080, 1080]);
}

#[test]
fn a_still_picture_is_sent_rarely() {
    let mut meeting = Meeting::new(policy(Layout::Automatic));
    meeting.set(
        1,
        plenum_compositor::Participant {
            sends_video: false,
            ..common::person(1)
        },
    );
    meeting.receive(2, receiver(2));
    let stats = second(&mut meeting);
    assert!((4..=6).contains(&stats.encodes), "{}", stats.encodes);
    assert_eq!(stats.composes, 0);
}
