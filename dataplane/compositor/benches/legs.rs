//! What a leg of a video conference costs: CPU time of one thread, by conference,
//! divided into decoding, scaling, composing and encoding.
//!
//! Everybody sends a clip of somebody talking, H.264, and receives 720p at 1.5
//! Mbit/s. The clock that pictures are due by is simulated, so a machine that is
//! slower than that is measured all the same; what is counted is the thread's own
//! time. Before a conference counts, everybody must have received. The allocator is
//! as it is in a module; `GLIBC_TUNABLES=` before the command makes it as it is elsewhere.
//!
//! `cargo bench -p plenum-compositor --bench legs`, with `-- '(a)'` behind it for those
//! whose name has that. Run as a test it is the smallest conference for a second, to
//! see that it works.

#![allow(clippy::print_stdout)]

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use plenum_abi::{H264Level, H264Profile, Nanos, VideoCodec};
use plenum_codecs::video::testing::TalkingHeads;
use plenum_codecs::video::{EncoderConfig, Rate, encoder};
use plenum_compositor::{
    ALLOCATOR, AccessUnit, ConferencePolicy, Fonts, Frame, Layout, LibraryCodecs, Participant,
    ParticipantId, Receiver, ReceiverId, Sink, Spent, Stage, Stats, Stream, Wants,
};
use plenum_kernels::video::Picture;
use rustix::time::{ClockId, clock_gettime};

/// Pictures of a clip; it begins with a key frame and is played again and again.
const CLIP_FRAMES: usize = 60;

/// Different clips; more people send the same ones, at other places.
const CLIPS: u32 = 4;

/// The thread's own time.
fn cpu() -> Nanos {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Nanos(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

struct Unit {
    key_frame: bool,
    data: Vec<u8>,
}

fn clip(width: u32, height: u32, seed: u32, frames: usize) -> Vec<Unit> {
    let heads = TalkingHeads::new(width, height, seed);
    let rate = Rate {
        bit_rate_bps: if height > 400 { 1_500_000 } else { 500_000 },
        frame_rate_hz: 30.0,
    };
    let mut encoder = encoder(&EncoderConfig {
        codec: VideoCodec::H264,
        width,
        height,
        rate,
        profile: H264Profile::ConstrainedBaseline,
        level_max: H264Level::L5_2,
        frame_rate_max_hz: 30.0,
        slice_bytes_max: None,
        temporal_layers: 1,
        content: false,
    })
    .expect("an encoder");
    let mut picture = Picture::new(width, height);
    let mut units = Vec::new();
    for frame in 0..frames {
        heads.draw(frame as u32, &mut picture);
        let mut data = Vec::new();
        let encoded = encoder
            .encode(&picture, frame == 0, &mut data)
            .expect("encodes");
        units.push(Unit {
            key_frame: encoded.key_frame,
            data,
        });
    }
    units
}

#[derive(Default)]
struct Count {
    sends: usize,
    bytes: usize,
}

impl Sink for Count {
    fn encoded(&mut self, frame: &Frame<'_>) {
        self.sends += frame.receivers.len();
        self.bytes += frame.data.len();
    }

    fn request_key_frame(&mut self, _: ParticipantId, _: Stream) {}
}

struct Case<'a> {
    name: &'a str,
    layout: Layout,
    legs: u32,
    /// Everybody sees the same, itself included.
    same: bool,
    /// What everybody sends, in rising size; the smallest that fills its panes is decoded.
    layers: &'a [Layer],
}

/// Clips of one size.
struct Layer {
    rows: u32,
    clips: Vec<Vec<Unit>>,
}

/// The layer that is of use to panes of so many rows.
fn layer_for(layers: &[Layer], rows: u32) -> &Layer {
    let enough = layers.iter().find(|layer| layer.rows >= rows);
    enough.unwrap_or(&layers[layers.len() - 1])
}

fn run(case: &Case<'_>, frames: u64) {
    let policy = ConferencePolicy {
        layout: case.layout,
        ..ConferencePolicy::default()
    };
    let mut stage = Stage::new(policy, &Fonts::built_in(), Box::new(LibraryCodecs));
    stage.set_profile_clock(Box::new(cpu));
    for n in 0..case.legs {
        let participant = Participant {
            label: format!("Participant {n}"),
            sends_video: true,
            ..Participant::default()
        };
        stage
            .set_participant(ParticipantId(n), participant)
            .expect("room");
        let receiver = Receiver {
            participant: (!case.same).then_some(ParticipantId(n)),
            codec: VideoCodec::H264,
            profile: H264Profile::ConstrainedBaseline,
            limits: H264Level::L3_1.limits(),
            slice_bytes_max: None,
            width_max: 1280,
            height_max: 720,
            frame_rate_max_hz: 30,
            bit_rate_bps: 1_500_000,
            layout: None,
            paused: false,
            wants: Wants::Main {
                content_in_main: false,
            },
        };
        stage
            .set_receiver(Nanos::ZERO, ReceiverId(n), receiver)
            .expect("room");
    }
    // Everybody's clip has begun anew, in the layer that is of use.
    let warm = case.layers[0].clips[0].len() as u64;
    let mut sent = vec![&case.layers[0]; case.legs as usize];
    let mut sink = Count::default();
    let mut before = (cpu(), stage.stats());
    for frame in 0..warm + frames {
        if frame == warm {
            sink = Count::default();
            before = (cpu(), stage.stats());
        }
        let now = Nanos(1_000_000_000 + frame * 1_000_000_000 / 30 + 1_000_000);
        for n in 0..case.legs {
            let layer = &mut sent[n as usize];
            let place = frame as usize % layer.clips[0].len();
            if place == 0 {
                let rows = stage.rows_wanted(ParticipantId(n), Stream::Main);
                *layer = layer_for(case.layers, rows);
            }
            let unit = &layer.clips[n as usize % layer.clips.len()][place];
            let unit = AccessUnit {
                codec: VideoCodec::H264,
                key_frame: unit.key_frame,
                data: &unit.data,
            };
            stage.handle_access_unit(now, ParticipantId(n), Stream::Main, &unit);
        }
        stage.tick(now, &mut sink);
    }
    report(case, frames, before, (cpu(), stage.stats()), &sink);
}

fn report(
    case: &Case<'_>,
    frames: u64,
    before: (Nanos, Stats),
    after: (Nanos, Stats),
    sink: &Count,
) {
    let legs = f64::from(case.legs);
    let expected = f64::from(case.legs) * frames as f64;
    let share = sink.sends as f64 / expected;
    assert!(
        share > 0.8,
        "{}: only {share:.2} of the pictures came",
        case.name
    );
    let leg_seconds = legs * frames as f64 / 30.0;
    let spent = |part: fn(&Spent) -> Duration| {
        (part(&after.1.spent) - part(&before.1.spent)).as_secs_f64() * 1e3 / leg_seconds
    };
    let all = after.0.since(before.0).as_secs_f64() * 1e3 / leg_seconds;
    let parts = [
        spent(|s| s.decode),
        spent(|s| s.scale),
        spent(|s| s.compose),
        spent(|s| s.encode),
    ];
    println!(
        "| {} | {} | {} | {} | {all:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {:.0} |",
        case.name,
        case.legs,
        after.1.views,
        after.1.encoders,
        1_000.0 / all,
        parts[0],
        parts[1],
        parts[2],
        parts[3],
        sink.bytes as f64 * 8.0 * 30.0 / frames as f64 / after.1.encoders.max(1) as f64 / 1e3,
    );
}

/// Starts again with the allocator as modules have it, unless that is how it began.
fn as_in_a_module() {
    let (name, value) = ALLOCATOR;
    if std::env::var_os(name).is_none() {
        let error = Command::new("/proc/self/exe")
            .args(std::env::args_os().skip(1))
            .env(name, value)
            .exec();
        panic!("starting again: {error}");
    }
}

fn main() {
    as_in_a_module();
    // Cargo says so when it benches.
    let quick = !std::env::args().any(|arg| arg == "--bench");
    let (frames, clips, clip_frames) = if quick {
        (15, 1, 5)
    } else {
        (150, CLIPS, CLIP_FRAMES)
    };
    let make = |width, rows| Layer {
        rows,
        clips: (0..clips)
            .map(|seed| clip(width, rows, seed, clip_frames))
            .collect(),
    };
    println!(
        "| conference | legs | views | encoders | ms a leg-second | legs a core | decode | scale | compose | encode | kbit/s a stream |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    let wanted = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let case = |name: &str, layout, legs, same, layers: &[Layer]| {
        if wanted.as_deref().is_some_and(|part| !name.contains(part)) {
            return;
        }
        run(
            &Case {
                name,
                layout,
                legs,
                same,
                layers,
            },
            frames,
        );
    };
    let low = [make(640, 360)];
    let sizes: &[u32] = if quick { &[2] } else { &[4, 9, 16] };
    for &legs in sizes {
        case("(c) one view, 360p in", Layout::AllEqual, legs, true, &low);
    }
    if quick {
        return;
    }
    let hd = [make(1280, 720)];
    let [layer] = low;
    let layers = [make(320, 180), layer, make(1280, 720)];
    for (name, layout, same) in [
        ("(a) a view each, layers in", Layout::AllEqual, false),
        ("(b) one view, layers in", Layout::AllEqual, true),
        ("curve: onePlusFive, layers in", Layout::OnePlusFive, true),
    ] {
        for &legs in sizes {
            case(name, layout, legs, same, &layers);
        }
    }
    for &legs in sizes {
        case(
            "(a) a view each, 720p in",
            Layout::AllEqual,
            legs,
            false,
            &hd,
        );
    }
    for &legs in sizes {
        case("(b) one view, 720p in", Layout::AllEqual, legs, true, &hd);
    }
    for &legs in sizes {
        case(
            "(b) speaker only, 720p in",
            Layout::SpeakerOnly,
            legs,
            false,
            &hd,
        );
    }
    for legs in [2, 4, 9, 16, 25, 36, 50] {
        case(
            "curve: onePlusFive, 720p in",
            Layout::OnePlusFive,
            legs,
            true,
            &hd,
        );
    }
}
