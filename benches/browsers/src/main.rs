//! What a browser costs.
//!
//! A worker, pinned to one core, is joined by so many browsers at once (ICE, DTLS,
//! SRTP and Opus, see the worker's own tests), in conferences of ten; they then
//! talk for some seconds. The figures are the CPU time of the worker's thread,
//! system calls included, how long it took until all had joined, and how late ticks
//! were meanwhile: a conference ticks from the first on.
//!
//! ```text
//! cargo run --release -p plenum-bench-browsers -- [--browsers 20,100] [--seconds 10] [--silent]
//! ```
//!
//! Every case runs in a process of its own. With `--silent` the browsers stay
//! connected and say nothing: what a path and its keys alone cost.

#![allow(clippy::print_stdout)]

// The browser of the worker's tests; not all of what they check is measured here.
#[allow(dead_code)]
#[path = "../../../dataplane/worker/tests/browsers/browser.rs"]
mod browser;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Command as Process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use browser::{Browser, OPUS, identity};
use plenum_abi::{
    AudioCodec, Command, CommandKind, ConferenceConfig, EventKind, LATENESS_BUCKETS_US, Layout,
    LegConfig, LegFlags, NO_PAYLOAD_TYPE, PayloadMap, SetConference, SetLeg, SetTransport,
    TransportConfig,
};
use plenum_dataplane::{Inherited, InheritedWorker, LegSockets};
use plenum_ring::{Arena, CommandProducer, Doorbell, WorkerView};
use plenum_uring::SocketOptions;

const ROOM: u32 = 10;
/// Sound in which every so many browsers speak at a time, as people do.
const SPEAKERS_OF: u32 = 5;

#[derive(Clone, Copy)]
struct Case {
    browsers: u32,
    seconds: u64,
    silent: bool,
}

fn main() {
    let mut browsers = vec![20, 100];
    let mut case = Case {
        browsers: 0,
        seconds: 10,
        silent: false,
    };
    let mut child = false;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || {
            let value = arguments.next();
            value.unwrap_or_else(|| panic!("{argument} wants a value"))
        };
        match argument.as_str() {
            "--child" => child = true,
            "--silent" => case.silent = true,
            "--browsers" => {
                let value = value();
                let counts = value.split(',').map(|n| n.parse().expect("a number"));
                browsers = counts.collect();
            }
            "--seconds" => case.seconds = value().parse().expect("a number"),
            other => panic!("unknown option {other}"),
        }
    }
    if child {
        case.browsers = browsers[0];
        return run(case);
    }
    println!(
        "{:>8} {:>8} {:>9} {:>14} {:>11} | {:>8} {:>13} {:>10} {:>10}",
        "browsers",
        "joins/s",
        "CPU us",
        "late p999",
        "late max",
        "core %",
        "us/leg-s",
        "rx pps",
        "tx pps"
    );
    let me = std::env::current_exe().expect("a path of our own");
    for count in browsers {
        let mut process = Process::new(&me);
        process.args(["--child", "--browsers", &count.to_string()]);
        process.args(["--seconds", &case.seconds.to_string()]);
        if case.silent {
            process.arg("--silent");
        }
        let status = process.status().expect("a process");
        assert!(status.success(), "the case of {count} browsers failed");
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// A worker without legs, and a way to tell it what to do.
struct Bench {
    view: WorkerView,
    commands: CommandProducer,
    doorbell: Doorbell,
    server: SocketAddr,
    fingerprint: [u8; 32],
}

impl Bench {
    fn new(case: Case) -> Self {
        let arena = Arena::create(Layout {
            workers: 1,
            legs_per_worker: case.browsers,
            conferences_per_worker: case.browsers.div_ceil(ROOM),
            video_streams_per_worker: 0,
        })
        .expect("an arena");
        let own =
            |fd: BorrowedFd<'_>| -> OwnedFd { fd.try_clone_to_owned().expect("a descriptor") };
        let bell = || Doorbell::new().expect("an eventfd");
        let (doorbell, control_doorbell) = (bell(), bell());
        let socket = |buffer| {
            let options = SocketOptions {
                receive_buffer: buffer,
                send_buffer: buffer,
                dscp: 0,
            };
            plenum_uring::media_socket(local(0), &options).expect("a socket")
        };
        let shared = UdpSocket::from(socket(4 << 20));
        let server = shared.local_addr().expect("an address");
        let identity = identity();
        let fingerprint = identity.fingerprint();
        let unused = (0..case.browsers).map(|_| LegSockets {
            rtp: socket(4_096),
            rtcp: socket(4_096),
        });
        let inherited = Inherited {
            arena: own(arena.as_fd()),
            control_doorbell: own(control_doorbell.as_fd()),
            identity: Some(identity),
            modules: Vec::new(),
            workers: vec![InheritedWorker {
                core: Some(0),
                doorbell: own(doorbell.as_fd()),
                sockets: unused.collect(),
                video_sockets: Vec::new(),
                browsers: vec![shared.into()],
            }],
        };
        std::thread::spawn(move || {
            let ended = plenum_dataplane::run(inherited);
            panic!("the dataplane stopped: {ended:?}")
        });
        let view = arena.worker(0);
        Self {
            commands: view.command_producer(),
            view,
            doorbell,
            server,
            fingerprint,
        }
    }

    fn send<T: zerocopy::IntoBytes + zerocopy::Immutable>(
        &mut self,
        kind: CommandKind,
        payload: &T,
    ) {
        while self.commands.push(&Command::new(kind, 0, payload)).is_err() {
            self.commands.wake(&self.doorbell);
            std::thread::sleep(Duration::from_millis(1));
        }
        self.commands.wake(&self.doorbell);
    }

    fn open_room(&mut self, slot: u32) {
        let config = ConferenceConfig {
            generation: 1,
            revision: 1,
            ..ConferenceConfig::default()
        };
        let set = SetConference {
            slot,
            reserved: 0,
            config,
        };
        self.send(CommandKind::SetConference, &set);
    }

    fn admit(&mut self, browser: &Browser) {
        let slot = browser.slot;
        let config = TransportConfig {
            revision: 1,
            generation: 1,
            local: browser.server_credentials,
            remote: browser.credentials,
            remote_fingerprint: browser.fingerprint(),
            ..TransportConfig::default()
        };
        let transport = SetTransport {
            slot,
            reserved: 0,
            config,
        };
        self.send(CommandKind::SetTransport, &transport);
        let flags = LegFlags::SEND | LegFlags::RECEIVE | LegFlags::BUNDLED;
        let mut codecs = [PayloadMap::default(); 4];
        codecs[0] = PayloadMap {
            payload_type: OPUS,
            codec: AudioCodec::Opus as u8,
        };
        let config = LegConfig {
            revision: 1,
            generation: 1,
            conference: slot / ROOM,
            flags: flags.0,
            tx_ssrc: 0x1000 + slot,
            codecs,
            telephone_event_payload_type: NO_PAYLOAD_TYPE,
            comfort_noise_payload_type: NO_PAYLOAD_TYPE,
            packet_ms: 20,
            ..LegConfig::default()
        };
        let leg = SetLeg {
            slot,
            reserved: 0,
            config,
        };
        self.send(CommandKind::SetLeg, &leg);
    }

    fn sample(&self) -> Sample {
        let stats = self.view.stats();
        let get = |word: &AtomicU64| word.load(Ordering::Relaxed);
        Sample {
            cpu_ns: get(&stats.cpu_ns),
            rx: get(&stats.rx_datagrams),
            tx: get(&stats.tx_datagrams),
            late: std::array::from_fn(|index| get(&stats.tick_lateness[index])),
        }
    }

    /// How many events of a kind have come since the last call.
    fn count(&self, kind: EventKind) -> u32 {
        let mut events = self.view.event_consumer();
        let mut count = 0;
        while let Some(event) = events.pop() {
            count += u32::from(event.kind == kind as u32);
            assert_ne!(event.kind, EventKind::Rejected as u32, "{event:?}");
            assert_ne!(event.kind, EventKind::TransportFailed as u32, "{event:?}");
        }
        count
    }
}

struct Sample {
    cpu_ns: u64,
    rx: u64,
    tx: u64,
    late: [u64; 12],
}

/// Bound of the lateness that so many of a thousand ticks kept.
fn lateness(before: &Sample, after: &Sample, of_1000: u64) -> String {
    let late: Vec<u64> = after
        .late
        .iter()
        .zip(before.late)
        .map(|(a, b)| a - b)
        .collect();
    let total: u64 = late.iter().sum();
    let mut seen = 0;
    let bucket = late.iter().position(|count| {
        seen += count;
        seen * 1_000 >= total * of_1000
    });
    let bound = bucket.and_then(|bucket| LATENESS_BUCKETS_US.get(bucket));
    bound.map_or(">20 ms".to_owned(), |bound| format!("{bound} us"))
}

fn run(case: Case) {
    let mut bench = Bench::new(case);
    let _ = plenum_uring::pin_current_thread(1);
    let make = |slot| Browser::new(slot, bench.server, bench.fingerprint);
    let mut browsers: Vec<Browser> = (0..case.browsers).map(make).collect();
    for room in 0..case.browsers.div_ceil(ROOM) {
        bench.open_room(room);
    }
    std::thread::sleep(Duration::from_millis(500));

    let (before, begin) = (bench.sample(), Instant::now());
    for browser in &browsers {
        bench.admit(browser);
    }
    let mut connected = 0;
    while connected < case.browsers {
        browsers.iter_mut().for_each(Browser::turn);
        connected += bench.count(EventKind::TransportConnected);
        let patience = Duration::from_secs(60);
        assert!(begin.elapsed() < patience, "{connected} connected");
    }
    let (joined, took) = (bench.sample(), begin.elapsed().as_secs_f64());
    let count = f64::from(case.browsers);
    // What the ticks of the rooms cost meanwhile is in it.
    let join_us = (joined.cpu_ns - before.cpu_ns) as f64 / 1e3 / count;

    let talk = |browsers: &mut [Browser], span: Duration| {
        let begin = Instant::now();
        let mut next = begin;
        while begin.elapsed() < span {
            if Instant::now() >= next {
                next += Duration::from_millis(20);
                if !case.silent {
                    browsers.iter_mut().for_each(Browser::say);
                }
            }
            browsers.iter_mut().for_each(Browser::turn);
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    for browser in &mut browsers {
        browser.loud = browser.slot % SPEAKERS_OF == 0;
    }
    talk(&mut browsers, Duration::from_secs(2));
    browsers
        .iter_mut()
        .for_each(|browser| browser.heard.clear());
    let (before_media, begin) = (bench.sample(), Instant::now());
    talk(&mut browsers, Duration::from_secs(case.seconds));
    let (after, seconds) = (bench.sample(), begin.elapsed().as_secs_f64());
    for browser in &browsers {
        let heard = browser.heard.len() as f64 / seconds;
        assert!(
            heard > 45.0,
            "browser {} heard {heard} packets a second",
            browser.slot
        );
        let loud = browser
            .heard
            .iter()
            .filter(|(_, loudest)| *loudest > 2_000)
            .count();
        assert!(
            case.silent || loud * 2 > browser.heard.len(),
            "it hears others"
        );
    }
    let cpu_ns = (after.cpu_ns - before_media.cpu_ns) as f64;
    println!(
        "{:>8} {:>8.0} {:>9.0} {:>14} {:>11} | {:>8.1} {:>13.1} {:>10.0} {:>10.0}",
        case.browsers,
        count / took,
        join_us,
        lateness(&before, &joined, 999),
        lateness(&before, &joined, 1_000),
        cpu_ns / seconds / 1e7,
        cpu_ns / (count * seconds) / 1e3,
        (after.rx - before_media.rx) as f64 / seconds,
        (after.tx - before_media.tx) as f64 / seconds,
    );
    std::process::exit(0);
}
