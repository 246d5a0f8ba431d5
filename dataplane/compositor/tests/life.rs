//! Meetings over time: speakers, newcomers, damage, and a minute of everything.

mod common;

use common::{Meeting, color, flat, person, receiver, who};
use plenum_abi::{Nanos, VideoCodec};
use plenum_compositor::{
    AccessUnit, ConferencePolicy, Layout, PARTICIPANTS_MAX, Participant, ParticipantId,
    RECEIVERS_MAX, Receiver, ReceiverId, StageFull, Stream,
};
use proptest::prelude::*;

fn policy(layout: Layout) -> ConferencePolicy {
    ConferencePolicy {
        layout,
        labels: false,
        ..ConferencePolicy::default()
    }
}

impl Meeting {
    fn speak(&mut self, n: u32) {
        self.stage.handle_speaker(self.now, ParticipantId(n));
    }

    /// Runs until somebody else is at this place, and says after how many milliseconds.
    fn until_shown(&mut self, looker: u32, n: u32, (x, y): (u32, u32)) -> u64 {
        self.codecs.log().keep = true;
        for ms in 0..5_000 {
            self.run(1);
            let Some(last) = self.got(looker).last() else {
                continue;
            };
            let log = self.codecs.log();
            let picture = log.encoders[last.encoder].picture.as_ref();
            if picture.is_some_and(|picture| who(picture, x, y) == Some(n)) {
                drop(log);
                self.codecs.log().keep = false;
                return ms;
            }
        }
        panic!("{n} is not shown");
    }
}

#[test]
fn the_speaker_is_in_the_large_pane_within_half_a_second_and_not_more_often_than_allowed() {
    for layout in [
        Layout::SpeakerOnly,
        Layout::OnePlusFive,
        Layout::Telepresence,
        Layout::Stacked,
    ] {
        let mut meeting = Meeting::new(policy(layout));
        (1..=9).for_each(|n| meeting.join(n));
        meeting.receive(100, receiver(100));
        meeting.speak(1);
        meeting.run(4_000);
        // Seen by nobody before, in most of these layouts.
        meeting.speak(9);
        let after = meeting.until_shown(100, 9, (330, 330));
        assert!((200..=500).contains(&after), "{layout:?}: {after} ms");
        let changed = meeting.now;
        meeting.speak(4);
        meeting.until_shown(100, 4, (330, 330));
        let held = meeting.now.since(changed).as_millis();
        assert!((2_900..=3_400).contains(&held), "{layout:?}: {held} ms");
        assert_eq!(meeting.stage.stats().speaker_changes, 3);
    }
}

#[test]
fn who_may_soon_be_the_speaker_is_wanted_as_large_as_speakers_are() {
    let rows = |meeting: &Meeting, n| meeting.stage.rows_wanted(ParticipantId(n), Stream::Main);
    let mut meeting = Meeting::new(policy(Layout::OnePlusFive));
    (1..=9).for_each(|n| meeting.join(n));
    meeting.receive(100, receiver(100));
    meeting.speak(1);
    meeting.run(4_000);
    let large = rows(&meeting, 1);
    assert!(large > 400 && rows(&meeting, 9) < large, "{large}");
    meeting.speak(9);
    meeting.run(100);
    assert_eq!(rows(&meeting, 9), large, "not confirmed yet");
}

/// Also where they are the only ones to be seen: then their cards are.
#[test]
fn who_is_muted_or_has_stopped_is_seen_no_more() {
    let mut meeting = Meeting::new(policy(Layout::Automatic));
    (1..=2).for_each(|n| meeting.join(n));
    meeting.receive(1, receiver(1));
    meeting.run(2_000);
    assert_eq!(who(&meeting.see(1), 900, 500), Some(2));
    let muted = |video_muted| Participant {
        video_muted,
        ..person(2)
    };
    meeting.set(2, muted(true));
    meeting.run(500);
    assert_eq!(who(&meeting.see(1), 900, 500), None);
    meeting.set(2, muted(false));
    meeting.run(500);
    assert_eq!(who(&meeting.see(1), 900, 500), Some(2));
    meeting.cameras.remove(&(2, Stream::Main));
    meeting.run(6_000);
    assert_eq!(who(&meeting.see(1), 900, 500), None);
}

#[test]
fn nothing_is_black_and_no_card_flashes_while_the_speaker_changes() {
    let mut meeting = Meeting::new(policy(Layout::SpeakerOnly));
    (1..=5).for_each(|n| meeting.join(n));
    meeting.receive(100, receiver(100));
    meeting.speak(1);
    meeting.run(1_000);
    meeting.codecs.log().keep = true;
    for n in [2, 3, 4, 5, 1, 3] {
        meeting.speak(n);
        for _ in 0..400 {
            meeting.run(10);
            let encoder = meeting.got(100).last().expect("a frame").encoder;
            let log = meeting.codecs.log();
            let picture = log.encoders[encoder].picture.as_ref().expect("kept");
            assert!(who(picture, 500, 500).is_some());
        }
    }
}

#[test]
fn a_newcomer_comes_into_view_with_its_first_picture() {
    let mut meeting = Meeting::new(policy(Layout::AllEqual));
    meeting.join(1);
    meeting.receive(100, receiver(100));
    meeting.run(1_000);
    let asked = meeting.notes.key_requests.len();
    meeting.join(2);
    assert!(meeting.until_shown(100, 2, (750, 500)) < 120);
    assert_eq!(
        meeting.notes.key_requests.len(),
        asked,
        "its first key frame was used"
    );
    // One who never sends anything that can be decoded is a card after a second.
    meeting.set(3, person(3));
    for _ in 0..60 {
        let unit = AccessUnit {
            codec: VideoCodec::H264,
            key_frame: true,
            data: b"?",
        };
        meeting
            .stage
            .handle_access_unit(meeting.now, ParticipantId(3), Stream::Main, &unit);
        meeting.run(33);
    }
    let seen = meeting.see(100);
    assert_eq!(who(&seen, 250, 250), Some(1));
    assert_eq!(who(&seen, 750, 250), Some(2));
    assert!(common::at(&seen, 400, 600) != ConferencePolicy::default().background);
}

#[test]
fn damage_freezes_a_pane_and_asks_for_a_key_frame_twice_a_second_at_most() {
    let mut meeting = Meeting::new(policy(Layout::AllEqual));
    (1..=2).for_each(|n| meeting.join(n));
    meeting.receive(100, receiver(100));
    meeting.run(1_000);
    // 2 sends nothing right any more, and does not answer.
    meeting.cameras.remove(&(2, Stream::Main));
    let asked = meeting.notes.key_requests.len();
    for step in 0..90u8 {
        let data = [b'F', step, 7, 7];
        let unit = AccessUnit {
            codec: VideoCodec::H264,
            key_frame: step % 10 == 3,
            data: &data[..usize::from(step % 5)],
        };
        meeting
            .stage
            .handle_access_unit(meeting.now, ParticipantId(2), Stream::Main, &unit);
        meeting.run(33);
    }
    let asked = meeting.notes.key_requests.len() - asked;
    assert!((5..=7).contains(&asked), "{asked} in three seconds");
    let seen = meeting.see(100);
    assert_eq!(who(&seen, 250, 500), Some(1));
    assert_eq!(who(&seen, 750, 500), Some(2), "its last picture");
    let gaps = meeting
        .got(100)
        .windows(2)
        .map(|pair| pair[1].at.since(pair[0].at));
    assert!(gaps.max().expect("frames").as_millis() < 70);
    // Also in a pane of another size, for which there was none before.
    meeting.stage.set_policy(policy(Layout::Stacked));
    meeting.speak(2);
    meeting.run(1_000);
    let seen = meeting.see(100);
    assert_eq!(who(&seen, 500, 250), Some(2), "its last picture, larger");
    meeting.stage.set_policy(policy(Layout::AllEqual));
    meeting.run(1_000);
    meeting.camera(2, Stream::Main, (1280, 720), color(7));
    assert!(
        meeting.until_shown(100, 7, (750, 500)) < 100,
        "and it goes on"
    );
}

#[test]
fn another_codec_may_come_at_a_key_frame() {
    let mut meeting = Meeting::new(policy(Layout::SpeakerOnly));
    meeting.join(1);
    meeting.receive(100, receiver(100));
    meeting.run(500);
    meeting.cameras.clear();
    let data = flat((640, 360), color(5));
    let mut unit = AccessUnit {
        codec: VideoCodec::Vp8,
        key_frame: false,
        data: &data,
    };
    meeting
        .stage
        .handle_access_unit(meeting.now, ParticipantId(1), Stream::Main, &unit);
    assert_eq!(
        who(&meeting.see(100), 500, 500),
        Some(1),
        "not before a key frame"
    );
    unit.key_frame = true;
    meeting
        .stage
        .handle_access_unit(meeting.now, ParticipantId(1), Stream::Main, &unit);
    assert_eq!(who(&meeting.see(100), 500, 500), Some(5));
    assert_eq!(meeting.codecs.log().decoders_now, 1);
}

#[test]
fn a_late_tick_skips_pictures_instead_of_sending_a_burst() {
    let mut meeting = Meeting::of(policy(Layout::SpeakerOnly), 2);
    meeting.run(1_000);
    let before = meeting.got(1).len();
    meeting.now.0 += 2_000_000_000;
    meeting.run(34);
    assert!(meeting.got(1).len() - before <= 2);
}

/// Also where they come now just before a place in time begins and now just after.
#[test]
fn no_picture_is_lost_to_jitter() {
    let mut meeting = Meeting::new(policy(Layout::SpeakerOnly));
    meeting.set(1, person(1));
    meeting.receive(100, receiver(100));
    let data = flat((1280, 720), color(1));
    for picture in 0..90_u64 {
        let jitter = [0, 5, 2, 4, 1][picture as usize % 5];
        // A place begins each thirtieth of a second.
        let at = Nanos::from_millis(2_000 - 3 + picture * 1_000 / 30 + jitter);
        while meeting.now < at {
            meeting.run(1);
        }
        let unit = AccessUnit {
            codec: VideoCodec::H264,
            key_frame: picture == 0,
            data: &data,
        };
        meeting
            .stage
            .handle_access_unit(meeting.now, ParticipantId(1), Stream::Main, &unit);
    }
    meeting.run(40);
    let since = Nanos::from_millis(2_100);
    let got = meeting.got(100).iter().filter(|got| got.at >= since);
    let stamps: Vec<u32> = got.map(|got| got.timestamp_90khz).collect();
    assert!(stamps.len() >= 86, "{} of 87", stamps.len());
    assert!(stamps.windows(2).all(|pair| pair[0] < pair[1]));
}

#[test]
fn there_is_room_for_so_many_and_no_more() {
    let mut meeting = Meeting::new(policy(Layout::AllEqual));
    for n in 0..PARTICIPANTS_MAX as u32 {
        meeting.set(n, person(n));
    }
    let one_more = ParticipantId(PARTICIPANTS_MAX as u32);
    assert_eq!(
        meeting.stage.set_participant(one_more, person(0)),
        Err(StageFull)
    );
    assert_eq!(
        meeting.stage.set_participant(ParticipantId(5), person(6)),
        Ok(())
    );
    for n in 0..RECEIVERS_MAX as u32 {
        meeting.receive(
            n,
            Receiver {
                paused: true,
                ..receiver(n)
            },
        );
    }
    let full =
        meeting
            .stage
            .set_receiver(meeting.now, ReceiverId(RECEIVERS_MAX as u32), receiver(0));
    assert_eq!(full, Err(StageFull));
    // Strangers are nobody's.
    let unit = AccessUnit {
        codec: VideoCodec::H264,
        key_frame: true,
        data: &[],
    };
    meeting
        .stage
        .handle_access_unit(meeting.now, one_more, Stream::Main, &unit);
    assert_eq!(meeting.stage.stats().access_units, 0);
    assert!(!meeting.stage.remove_participant(one_more));
    assert!(!meeting.stage.remove_receiver(ReceiverId(u32::MAX)));
}

#[test]
fn more_than_twenty_five_are_a_full_house_and_not_a_crash() {
    let mut meeting = Meeting::new(ConferencePolicy {
        placement_highest_importance: Some(30),
        ..policy(Layout::AllEqual)
    });
    for n in 1..=40 {
        meeting.set(
            n,
            Participant {
                importance: n,
                ..person(n)
            },
        );
        meeting.camera(n, Stream::Main, (320, 180), color(n));
    }
    for n in [1, 30, 40] {
        meeting.receive(n, receiver(n));
    }
    meeting.run(500);
    for layout in Layout::ALL {
        meeting.stage.set_policy(ConferencePolicy {
            placement_highest_importance: Some(30),
            ..policy(layout)
        });
        meeting.run(100);
    }
    for n in [1, 30, 40] {
        assert!(meeting.got(n).len() > 30);
    }
}

/// Joins, leaves, layouts, speakers, mutes, every second for a minute.
#[test]
fn a_minute_of_everything_freezes_nobody_and_leaves_nothing_behind() {
    let mut meeting = Meeting::of(policy(Layout::Automatic), 12);
    let small = |n| Receiver {
        width_max: 640,
        height_max: 360,
        ..receiver(n)
    };
    for n in 1..=12 {
        meeting.camera(n, Stream::Main, (320, 180), color(n));
        meeting.receive(n, small(n));
    }
    meeting.run(1_000);
    let mut gone: Option<u32> = None;
    let mut came = [Nanos::ZERO; 13];
    for second in 0..60u32 {
        match gone.take() {
            Some(n) => {
                meeting.set(n, person(n));
                meeting.camera(n, Stream::Main, (320, 180), color(n));
                meeting.receive(n, small(n));
                came[n as usize] = meeting.now;
            }
            None => {
                let n = 1 + second * 5 % 12;
                meeting.leave(n);
                gone = Some(n);
            }
        }
        meeting
            .stage
            .set_policy(policy(Layout::ALL[second as usize * 7 % 13]));
        meeting.speak(1 + second * 7 % 12);
        let muted = 1 + second * 3 % 12;
        if gone != Some(muted) {
            let participant = Participant {
                video_muted: second % 2 == 0,
                ..person(muted)
            };
            meeting.set(muted, participant);
        }
        meeting.run(1_000);
    }
    for n in (1..=12).filter(|n| gone != Some(*n)) {
        let got = meeting.got(n);
        let steady = got.iter().filter(|got| got.at >= came[n as usize]);
        let gaps: Vec<_> = steady
            .clone()
            .zip(steady.skip(1))
            .map(|(a, b)| b.at.since(a.at))
            .collect();
        let longest = gaps.iter().max().copied().unwrap_or_default();
        assert!(longest.as_millis() <= 500, "{n}: {longest:?}");
    }

    let stats = meeting.stage.stats();
    let log = meeting.codecs.log();
    assert_eq!(log.encoders_now, stats.encoders);
    assert_eq!(log.decoders_now, stats.decoders);
    assert!(log.encoders_now <= 13 && log.decoders_now <= 12);
    drop(log);
    for n in 1..=12 {
        meeting.leave(n);
    }
    meeting.run(1_000);
    let stats = meeting.stage.stats();
    assert_eq!((stats.views, stats.encoders, stats.decoders), (0, 0, 0));
    let log = meeting.codecs.log();
    assert_eq!((log.encoders_now, log.decoders_now), (0, 0));
}

#[derive(Clone, Debug)]
enum Act {
    Join(u32, bool, u32),
    Leave(u32),
    Unit(u32, bool, bool, Vec<u8>),
    Picture(u32, u16, u16),
    Receive(u32, u32, u32, u8),
    Unreceive(u32),
    Ask(u32),
    Speak(u32),
    Policy(usize, u32, bool),
    Content(Option<u32>),
    Run(u64),
}

fn act() -> impl Strategy<Value = Act> {
    let who = 0..8u32;
    prop_oneof![
        (who.clone(), any::<bool>(), 0..3u32).prop_map(|(n, v, i)| Act::Join(n, v, i)),
        who.clone().prop_map(Act::Leave),
        (
            who.clone(),
            any::<bool>(),
            any::<bool>(),
            proptest::collection::vec(any::<u8>(), 0..12)
        )
            .prop_map(|(n, c, k, data)| Act::Unit(n, c, k, data)),
        (who.clone(), 2..700u16, 2..700u16).prop_map(|(n, w, h)| Act::Picture(n, w, h)),
        (who.clone(), 0..5_000_000u32, 0..2_000u32, any::<u8>())
            .prop_map(|(n, rate, side, kind)| Act::Receive(n, rate, side, kind)),
        who.clone().prop_map(Act::Unreceive),
        who.clone().prop_map(Act::Ask),
        who.clone().prop_map(Act::Speak),
        (0..13usize, 0..4u32, any::<bool>()).prop_map(|(l, p, m)| Act::Policy(l, p, m)),
        proptest::option::of(who).prop_map(Act::Content),
        (1..400u64).prop_map(Act::Run),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn whatever_comes_the_stage_goes_on(acts in proptest::collection::vec(act(), 1..60)) {
        let mut meeting = Meeting::new(policy(Layout::Automatic));
        for act in acts {
            match act {
                Act::Join(n, sends_video, importance) => meeting.set(n, Participant {
                    sends_video,
                    importance,
                    ..person(n)
                }),
                Act::Leave(n) => drop(meeting.stage.remove_participant(ParticipantId(n))),
                Act::Unit(n, content, key_frame, data) => {
                    let stream = if content { Stream::Content } else { Stream::Main };
                    let unit = AccessUnit { codec: VideoCodec::H264, key_frame, data: &data };
                    meeting.stage.handle_access_unit(meeting.now, ParticipantId(n), stream, &unit);
                }
                Act::Picture(n, width, height) => {
                    let data = flat((width, height), color(n));
                    let unit = AccessUnit { codec: VideoCodec::H264, key_frame: true, data: &data };
                    meeting.stage.handle_access_unit(meeting.now, ParticipantId(n), Stream::Main, &unit);
                }
                Act::Receive(n, bit_rate_bps, side, kind) => meeting.receive(n, Receiver {
                    bit_rate_bps,
                    width_max: side,
                    height_max: side,
                    frame_rate_max_hz: u32::from(kind),
                    layout: Layout::from_u8(kind),
                    paused: kind % 7 == 0,
                    wants: match kind % 3 {
                        0 => plenum_compositor::Wants::Content,
                        other => plenum_compositor::Wants::Main { content_in_main: other == 1 },
                    },
                    ..receiver(n)
                }),
                Act::Unreceive(n) => drop(meeting.stage.remove_receiver(ReceiverId(n))),
                Act::Ask(n) => meeting.stage.request_key_frame(meeting.now, ReceiverId(n)),
                Act::Speak(n) => meeting.speak(n),
                Act::Policy(layout, placed, message) => meeting.stage.set_policy(ConferencePolicy {
                    placement_highest_importance: Some(placed),
                    labels: placed == 0,
                    cards: placed == 2,
                    message: message.then(|| plenum_compositor::Message {
                        text: "hello".to_owned(),
                        position: plenum_compositor::MessagePosition::Top,
                        until: None,
                    }),
                    ..policy(Layout::ALL[layout])
                }),
                Act::Content(id) => meeting.stage.set_content(id.map(ParticipantId)),
                Act::Run(millis) => meeting.run(millis),
            }
        }
        // Whoever is left gets pictures, each from a key frame on.
        meeting.run(300);
        for got in meeting.notes.got.values() {
            prop_assert!(got[0].key_frame);
        }
        let stats = meeting.stage.stats();
        let log = meeting.codecs.log();
        prop_assert_eq!(log.encoders_now, stats.encoders);
        prop_assert_eq!(log.decoders_now, stats.decoders);
    }
}
