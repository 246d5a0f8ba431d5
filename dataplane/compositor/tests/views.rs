//! What people see: the right person in the right pane, names, messages, cards.

mod common;

use common::{Meeting, at, color, person, receiver, who};
use plenum_abi::Nanos;
use plenum_compositor::{
    ConferencePolicy, Indicators, Layout, Message, MessagePosition, Participant, ParticipantId,
    Receiver, Stream, Wants,
};
use plenum_kernels::video::{Picture, Plane, Yuv};

fn policy(layout: Layout) -> ConferencePolicy {
    ConferencePolicy {
        layout,
        labels: false,
        ..ConferencePolicy::default()
    }
}

/// Who is at each of these places.
fn row(picture: &Picture, places: &[(u32, u32)]) -> Vec<Option<u32>> {
    places.iter().map(|&(x, y)| who(picture, x, y)).collect()
}

/// Samples that differ by more than a little.
fn differing(a: &Picture, b: &Picture) -> usize {
    let rows = a.plane(Plane::Y).rows().zip(b.plane(Plane::Y).rows());
    rows.map(|(a, b)| a.iter().zip(b).filter(|(a, b)| a.abs_diff(**b) > 8).count())
        .sum()
}

#[test]
fn every_layout_shows_people_where_it_says() {
    // For eleven people, without the one who looks, who is not one of them.
    let right5 = [(830, 170), (830, 500)];
    let cases: [(Layout, Vec<(u32, u32)>); 13] = [
        (
            Layout::AllEqual,
            vec![(130, 180), (380, 180), (630, 180), (880, 180), (130, 500)],
        ),
        (Layout::SpeakerOnly, vec![(500, 500)]),
        (
            Layout::Telepresence,
            vec![(500, 300), (170, 890), (335, 890), (500, 890)],
        ),
        (
            Layout::Stacked,
            vec![(500, 300), (110, 890), (300, 890), (500, 890)],
        ),
        (
            Layout::AllEqualQuarters,
            vec![(250, 250), (750, 250), (250, 750), (750, 750)],
        ),
        (
            Layout::AllEqualNinths,
            vec![(170, 170), (500, 170), (830, 170), (170, 500)],
        ),
        (
            Layout::AllEqualSixteenths,
            vec![(130, 130), (380, 130), (630, 130), (880, 130)],
        ),
        (
            Layout::AllEqualTwentyFifths,
            vec![(100, 100), (300, 100), (500, 100)],
        ),
        (
            Layout::OnePlusFive,
            [vec![(330, 330)], right5.to_vec(), vec![(170, 830)]].concat(),
        ),
        (
            Layout::OnePlusSeven,
            vec![(380, 380), (880, 130), (880, 380), (880, 630)],
        ),
        (
            Layout::OnePlusNine,
            vec![(400, 400), (900, 100), (900, 300)],
        ),
        (Layout::Automatic, vec![(400, 400), (900, 100), (900, 300)]),
        (Layout::OnePlusN, vec![(400, 400), (900, 100), (900, 300)]),
    ];
    for (layout, places) in cases {
        let mut meeting = Meeting::new(policy(layout));
        for n in 1..=11 {
            meeting.join(n);
        }
        meeting.receive(100, receiver(100));
        let seen = meeting.see(100);
        let expected: Vec<_> = (1..=places.len() as u32).map(Some).collect();
        assert_eq!(row(&seen, &places), expected, "{layout:?}");
    }
}

#[test]
fn nobody_sees_itself() {
    for layout in Layout::ALL {
        let mut meeting = Meeting::of(policy(layout), 4);
        for n in 1..=4 {
            let seen = meeting.see(n);
            for (x, y) in (0..100).flat_map(|x| (0..100).map(move |y| (10 * x + 5, 10 * y + 5))) {
                assert_ne!(who(&seen, x, y), Some(n), "{layout:?} at {x} {y}");
            }
        }
    }
}

#[test]
fn a_receiver_may_choose_its_own_layout() {
    let mut meeting = Meeting::of(policy(Layout::AllEqual), 5);
    let own = Receiver {
        layout: Some(Layout::SpeakerOnly),
        ..receiver(5)
    };
    meeting.receive(5, own);
    assert_eq!(
        row(&meeting.see(5), &[(100, 100), (900, 900)]),
        [Some(1); 2]
    );
    let four = [(250, 250), (750, 250), (250, 750), (750, 750)];
    assert_eq!(row(&meeting.see(1), &four), [2, 3, 4, 5].map(Some));
}

#[test]
fn the_muted_and_the_held_disappear_and_come_back() {
    let mut meeting = Meeting::new(policy(Layout::AllEqualQuarters));
    (1..=3).for_each(|n| meeting.join(n));
    meeting.receive(100, receiver(100));
    let places = [(250, 250), (750, 250), (500, 750)];
    assert_eq!(row(&meeting.see(100), &places), [1, 2, 3].map(Some));
    let hide = |muted: bool| Participant {
        video_muted: muted,
        held: !muted,
        ..person(2)
    };
    for muted in [true, false] {
        meeting.set(2, hide(muted));
        let seen = meeting.see(100);
        assert_eq!(row(&seen, &places[..2]), [1, 3].map(Some));
        assert_eq!(at(&seen, 500, 750), ConferencePolicy::default().background);
        meeting.set(2, person(2));
        assert_eq!(row(&meeting.see(100), &places), [1, 3, 2].map(Some));
        meeting.leave(3);
        meeting.see(100);
        meeting.join(3);
        meeting.run(200);
        meeting.set(3, person(3));
        let seen = meeting.see(100);
        assert_eq!(row(&seen, &places), [1, 2, 3].map(Some));
    }
}

#[test]
fn who_stops_sending_disappears() {
    let mut meeting = Meeting::new(policy(Layout::AllEqual));
    (1..=2).for_each(|n| meeting.join(n));
    meeting.receive(100, receiver(100));
    assert_eq!(
        row(&meeting.see(100), &[(250, 500), (750, 500)]),
        [1, 2].map(Some)
    );
    meeting.cameras.remove(&(1, Stream::Main));
    meeting.run(4_000);
    assert_eq!(
        who(&meeting.see(100), 250, 500),
        Some(1),
        "its last picture stays a while"
    );
    meeting.run(1_000);
    assert_eq!(who(&meeting.see(100), 500, 500), Some(2));
}

#[test]
fn where_nobody_sends_there_are_cards_and_where_nobody_is_there_is_a_title() {
    let named = ConferencePolicy {
        name: "Weekly".to_owned(),
        labels: true,
        ..policy(Layout::Automatic)
    };
    let mut meeting = Meeting::new(named);
    meeting.receive(1, receiver(1));
    let silent = |n| Participant {
        sends_video: false,
        ..person(n)
    };
    meeting.set(1, silent(1));
    let alone = meeting.see(1);
    let mut empty = Picture::new(1280, 720);
    empty.fill(ConferencePolicy::default().background);
    assert!(differing(&alone, &empty) > 2_000, "a title");
    assert_eq!(at(&alone, 50, 50), ConferencePolicy::default().background);

    meeting.set(2, silent(2));
    let card = meeting.see(1);
    assert_ne!(
        at(&card, 50, 50),
        ConferencePolicy::default().background,
        "a card's ground"
    );
    assert_ne!(at(&card, 50, 50), at(&card, 400, 500), "and its disc");
    assert!(at(&card, 50, 50).y > 40, "not black");

    // Somebody with video is seen alone, unless cards are asked for.
    meeting.join(3);
    assert_eq!(who(&meeting.see(1), 900, 500), Some(3));
    let cards = ConferencePolicy {
        cards: true,
        ..policy(Layout::Automatic)
    };
    meeting.stage.set_policy(cards);
    let both = meeting.see(1);
    assert_eq!(who(&both, 250, 500), Some(3));
    assert_eq!(at(&both, 550, 300), at(&card, 50, 50), "the card beside it");
}

#[test]
fn names_are_written_at_the_lower_left_and_can_be_left_out() {
    let mut meeting = Meeting::new(policy(Layout::SpeakerOnly));
    meeting.join(1);
    meeting.receive(100, receiver(100));
    let without = meeting.see(100);
    let labelled = ConferencePolicy {
        labels: true,
        ..policy(Layout::SpeakerOnly)
    };
    meeting.stage.set_policy(labelled.clone());
    let with = meeting.see(100);
    assert!(differing(&without, &with) > 1_000);
    assert_eq!(at(&with, 500, 500), color(1));
    assert_ne!(at(&with, 20, 965), color(1));
    assert_eq!(at(&with, 500, 965), color(1), "no wider than the name");

    // Another name, a microphone that is off, and nothing else, change it.
    let mut drawn = vec![with];
    for participant in [
        Participant {
            label: "शुभम वर्मा".to_owned(),
            ..person(1)
        },
        Participant {
            audio_muted: true,
            ..person(1)
        },
    ] {
        meeting.set(1, participant);
        drawn.push(meeting.see(100));
    }
    for (index, one) in drawn.iter().enumerate() {
        for other in &drawn[..index] {
            assert!(differing(one, other) > 200);
        }
    }
    meeting.set(1, person(1));
    assert_eq!(differing(&meeting.see(100), &drawn[0]), 0);
    meeting.stage.set_policy(policy(Layout::SpeakerOnly));
    assert_eq!(differing(&meeting.see(100), &without), 0);
}

#[test]
fn a_message_stands_where_it_should_until_it_goes() {
    let mut meeting = Meeting::new(policy(Layout::AllEqualQuarters));
    (1..=3).for_each(|n| meeting.join(n));
    meeting.receive(100, receiver(100));
    let before = meeting.see(100);
    for (position, rows) in [
        (MessagePosition::Top, 0..240),
        (MessagePosition::Middle, 240..480),
        (MessagePosition::Bottom, 480..720),
    ] {
        let until = Nanos(meeting.now.0 + 2_000_000_000);
        let message = Message {
            text: "Fire drill at noon".to_owned(),
            position,
            until: Some(until),
        };
        meeting.stage.set_policy(ConferencePolicy {
            message: Some(message),
            ..policy(Layout::AllEqualQuarters)
        });
        let seen = meeting.see(100);
        for (y, (a, b)) in seen
            .plane(Plane::Y)
            .rows()
            .zip(before.plane(Plane::Y).rows())
            .enumerate()
        {
            assert!(rows.contains(&y) || a == b, "{position:?} touches row {y}");
        }
        let changed = differing(&seen, &before);
        assert!(changed > 3_000, "{position:?}: {changed}");
        // What lies below moves on, and the plate does not get darker by that.
        meeting.run(600);
        assert_eq!(differing(&meeting.see(100), &seen), 0);
        meeting.run(1_500);
        assert_eq!(
            differing(&meeting.see(100), &before),
            0,
            "gone without a trace"
        );
    }
}

#[test]
fn indicators_are_in_the_upper_left_corner() {
    let mut meeting = Meeting::new(policy(Layout::SpeakerOnly));
    meeting.join(1);
    meeting.receive(100, receiver(100));
    let before = meeting.see(100);
    let mut shown = Vec::new();
    for (recording, streaming, locked) in [
        (true, false, false),
        (true, true, false),
        (false, true, true),
    ] {
        meeting.stage.set_policy(ConferencePolicy {
            indicators: Indicators {
                recording,
                streaming,
                locked,
            },
            ..policy(Layout::SpeakerOnly)
        });
        let seen = meeting.see(100);
        assert!(differing(&seen, &before) > 200);
        assert_eq!(at(&seen, 200, 200), color(1));
        assert!(shown.iter().all(|other| differing(other, &seen) > 50));
        shown.push(seen);
    }
    meeting.stage.set_policy(policy(Layout::SpeakerOnly));
    assert_eq!(differing(&meeting.see(100), &before), 0);
}

#[test]
fn content_has_a_stream_of_its_own_or_the_large_pane() {
    let mut meeting = Meeting::of(policy(Layout::AllEqual), 3);
    let screen = Yuv::from_rgb(250, 250, 240);
    meeting.camera(1, Stream::Content, (1920, 1080), screen);
    let content = |n| Receiver {
        wants: Wants::Content,
        width_max: 1920,
        height_max: 1080,
        bit_rate_bps: 4_000_000,
        ..receiver(n)
    };
    meeting.receive(101, content(1));
    meeting.receive(102, content(2));
    let in_main = Wants::Main {
        content_in_main: true,
    };
    meeting.receive(
        3,
        Receiver {
            wants: in_main,
            ..receiver(3)
        },
    );
    meeting.run(500);
    assert!(meeting.got(102).is_empty(), "nobody presents");

    meeting.stage.set_content(Some(ParticipantId(1)));
    meeting.run(300);
    assert!(meeting.got(101).is_empty(), "it is its own");
    let seen = meeting.see(102);
    assert_eq!((seen.width(), seen.height()), (1920, 1080));
    assert_eq!(row(&seen, &[(500, 500)]), [None]);
    assert_eq!(at(&seen, 5, 5), screen);
    assert_eq!(at(&seen, 995, 995), screen);
    let log = meeting.codecs.log();
    let encoder = meeting.got(102).last().expect("a frame").encoder;
    assert!(log.encoders[encoder].config.content);
    drop(log);
    let mixed = meeting.see(3);
    assert_eq!(at(&mixed, 330, 330), screen, "the large pane");
    assert_eq!(row(&mixed, &[(830, 340), (830, 650)]), [1, 2].map(Some));
    assert_eq!(
        row(&meeting.see(2), &[(250, 500), (750, 500)]),
        [1, 3].map(Some)
    );

    meeting.stage.set_content(None);
    meeting.run(100);
    let before = meeting.got(102).len();
    meeting.run(500);
    assert_eq!(meeting.got(102).len(), before, "nothing more is sent");
    assert_eq!(
        row(&meeting.see(3), &[(250, 500), (750, 500)]),
        [1, 2].map(Some)
    );
}

#[test]
fn a_portrait_has_bars_and_not_a_cut_head() {
    let mut meeting = Meeting::new(policy(Layout::SpeakerOnly));
    meeting.join(1);
    meeting.camera(1, Stream::Main, (720, 1280), color(1));
    meeting.receive(100, receiver(100));
    let seen = meeting.see(100);
    assert_eq!(
        row(&seen, &[(500, 5), (500, 995), (360, 500)]),
        [Some(1); 3]
    );
    assert_eq!(row(&seen, &[(300, 500), (700, 500)]), [None; 2]);
}
