//! Composed pictures to look at: every layout, cards, messages, scripts.
//!
//! `cargo run -p plenum-compositor --example gallery -- FOLDER` writes raw I420
//! pictures, each with its size in its name; for instance
//! `ffmpeg -f rawvideo -pix_fmt yuv420p -s 1280x720 -i X.yuv X.png`.

#[path = "../tests/common/mod.rs"]
mod common;

use std::io::Write;
use std::path::Path;

use common::{Meeting, person, receiver};
use plenum_compositor::{
    ConferencePolicy, Indicators, Layout, Message, MessagePosition, Participant, Receiver, Stream,
};
use plenum_kernels::video::{Picture, Plane};

const NAMES: [&str; 12] = [
    "Ada Lovelace",
    "शुभम वर्मा",
    "محمد العربي",
    "Příliš Žluťoučký",
    "王小明",
    "שרה כהן",
    "Maximiliana Friederike von und zu Hohenberg-Sonnenstein",
    "김철수 🚀",
    "สมชาย ใจดี",
    "+420 777 123 456",
    "Владимир Ильин",
    "தமிழ் செல்வன்",
];

fn save(folder: &Path, name: &str, picture: &Picture) -> std::io::Result<()> {
    let name = format!("{name}-{}x{}.yuv", picture.width(), picture.height());
    let mut file = std::fs::File::create(folder.join(name))?;
    for plane in Plane::ALL {
        for row in picture.plane(plane).rows() {
            file.write_all(row)?;
        }
    }
    Ok(())
}

fn meeting(policy: ConferencePolicy, people: u32, sends_video: bool) -> Meeting {
    let mut meeting = Meeting::new(policy);
    for n in 1..=people {
        meeting.set(
            n,
            Participant {
                label: NAMES[(n as usize - 1) % NAMES.len()].to_owned(),
                audio_muted: n % 3 == 0,
                sends_video,
                ..person(n)
            },
        );
        if sends_video {
            meeting.camera(n, Stream::Main, (1280, 720), common::color(n));
        }
    }
    meeting.receive(100, receiver(100));
    meeting
}

fn main() -> std::io::Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder)?;
    let policy = |layout| ConferencePolicy {
        name: "Weekly meeting".to_owned(),
        layout,
        ..ConferencePolicy::default()
    };
    for layout in Layout::ALL {
        let picture = meeting(policy(layout), 12, true).see(100);
        save(folder, &format!("layout-{layout:?}"), &picture)?;
    }
    for people in [0, 1, 2, 3, 6, 12] {
        let picture = meeting(policy(Layout::Automatic), people, false).see(100);
        save(folder, &format!("cards-{people}"), &picture)?;
    }
    for people in [1, 2, 3] {
        let picture = meeting(policy(Layout::Automatic), people, true).see(100);
        save(folder, &format!("people-{people}"), &picture)?;
    }
    for (position, text) in [
        (MessagePosition::Top, "The meeting is being recorded."),
        (
            MessagePosition::Middle,
            "Fire drill at noon.\nPlease leave by the nearest exit, and do not use the lifts. Věnujte pozornost. कृपया ध्यान दें।",
        ),
        (MessagePosition::Bottom, "الاجتماع ينتهي بعد خمس دقائق"),
    ] {
        let with = ConferencePolicy {
            message: Some(Message {
                text: text.to_owned(),
                position,
                until: None,
            }),
            indicators: Indicators {
                recording: true,
                streaming: true,
                locked: true,
            },
            ..policy(Layout::OnePlusFive)
        };
        save(
            folder,
            &format!("message-{position:?}"),
            &meeting(with, 8, true).see(100),
        )?;
    }
    let mut small = meeting(policy(Layout::AllEqual), 9, true);
    small.receive(
        100,
        Receiver {
            bit_rate_bps: 310_000,
            ..receiver(100)
        },
    );
    save(folder, "small", &small.see(100))
}
