//! What an audio leg costs.
//!
//! A worker, pinned to one core, has so many legs in conferences of so many;
//! a generator on the other core sends each leg 50 packets a second of noise
//! under its own SRTP key and receives what comes back. The figure is the CPU
//! time of the worker's thread, system calls included:
//!
//! ```text
//! cargo run --release -p plenum-bench-legs -- [--legs 100,400,1000] [--room 10] [--suite cm80|gcm128|none] [--seconds 10]
//! ```
//!
//! Every case runs in a process of its own. Before anything is timed, packets of
//! a leg are decrypted and must hold sound, and afterwards the packets that
//! came back must be as many as the ticks made.

#![allow(clippy::print_stdout)]

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::process::Command as Process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use plenum_abi::{
    AudioCodec, Command, CommandKind, ConferenceConfig, EventKind, LATENESS_BUCKETS_US, Layout,
    LegConfig, LegFlags, MasterKeys, NO_PAYLOAD_TYPE, PayloadMap, SetConference, SetLeg, SrtpSuite,
};
use plenum_dataplane::{Inherited, InheritedWorker, LegSockets};
use plenum_ring::{Arena, Doorbell, WorkerView};
use plenum_rtp::packet::{RTP_HEADER_LEN, RtpHeader, RtpPacket};
use plenum_srtp::{Receiver, Sender, TAIL_MAX};
use plenum_uring::SocketOptions;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

const PAYLOAD: usize = 160;
const SLICES: usize = 20;
const WARM_UP: Duration = Duration::from_secs(3);

#[derive(Clone, Copy)]
struct Case {
    legs: u32,
    room: u32,
    suite: Option<SrtpSuite>,
    seconds: u64,
}

fn main() {
    let mut legs = vec![100, 400, 1_000];
    let mut case = Case {
        legs: 0,
        room: 10,
        suite: Some(SrtpSuite::AesCm128HmacSha1_80),
        seconds: 10,
    };
    let mut suite_name = "cm80".to_owned();
    let mut child = false;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--child" {
            child = true;
            continue;
        }
        let value = arguments
            .next()
            .unwrap_or_else(|| panic!("{argument} wants a value"));
        match argument.as_str() {
            "--legs" => {
                legs = value
                    .split(',')
                    .map(|n| n.parse().expect("a number"))
                    .collect();
            }
            "--room" => case.room = value.parse().expect("a number"),
            "--seconds" => case.seconds = value.parse().expect("a number"),
            "--suite" => {
                case.suite = match value.as_str() {
                    "cm80" => Some(SrtpSuite::AesCm128HmacSha1_80),
                    "gcm128" => Some(SrtpSuite::AeadAes128Gcm),
                    "none" => None,
                    other => panic!("unknown suite {other}: cm80, gcm128 or none"),
                };
                suite_name = value;
            }
            other => panic!("unknown option {other}"),
        }
    }
    if child {
        case.legs = legs[0];
        return run(case);
    }
    println!(
        "suite {suite_name}, PCMU 20 ms, conferences of {}, {} s after {} s of warm-up",
        case.room,
        case.seconds,
        WARM_UP.as_secs()
    );
    println!(
        "{:>5} {:>8} {:>13} {:>12} {:>12} {:>10} {:>10} {:>9}",
        "legs", "core %", "us/leg-s", "ns/packet", "legs/core", "rx pps", "tx pps", "late p999"
    );
    let me = std::env::current_exe().expect("a path of our own");
    for count in legs {
        let status = Process::new(&me)
            .args([
                "--child",
                "--legs",
                &count.to_string(),
                "--room",
                &case.room.to_string(),
            ])
            .args([
                "--suite",
                &suite_name,
                "--seconds",
                &case.seconds.to_string(),
            ])
            .status()
            .expect("a process");
        assert!(status.success(), "the case of {count} legs failed");
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// A worker with its legs set up, and what the generator must know of each.
struct Bench {
    view: WorkerView,
    ports: Vec<u16>,
    generator: UdpSocket,
    keys: Vec<[MasterKeys; 2]>,
}

fn set_up(case: Case, rng: &mut SmallRng) -> Bench {
    let rooms = case.legs.div_ceil(case.room);
    let layout = Layout {
        workers: 1,
        legs_per_worker: case.legs,
        conferences_per_worker: rooms,
        video_streams_per_worker: 0,
    };
    let arena = Arena::create(layout).expect("an arena");
    let view = arena.worker(0);
    let own = |fd: std::os::fd::BorrowedFd<'_>| -> OwnedFd {
        fd.try_clone_to_owned().expect("a descriptor")
    };
    let (doorbell, control_doorbell) = (
        Doorbell::new().expect("an eventfd"),
        Doorbell::new().expect("an eventfd"),
    );
    let options = SocketOptions::default();
    let socket = || plenum_uring::media_socket(local(0), &options).expect("a socket");
    let mut ports = Vec::new();
    let sockets = (0..case.legs)
        .map(|_| {
            let rtp = UdpSocket::from(socket());
            ports.push(rtp.local_addr().expect("an address").port());
            LegSockets {
                rtp: rtp.into(),
                rtcp: socket(),
            }
        })
        .collect();
    let inherited = Inherited {
        arena: own(arena.as_fd()),
        control_doorbell: own(control_doorbell.as_fd()),
        identity: None,
        workers: vec![InheritedWorker {
            core: Some(0),
            doorbell: own(doorbell.as_fd()),
            sockets,
            video_sockets: Vec::new(),
            browsers: Vec::new(),
        }],
        modules: Vec::new(),
    };
    std::thread::spawn(move || {
        panic!(
            "the dataplane stopped: {:?}",
            plenum_dataplane::run(inherited)
        )
    });

    let generator = UdpSocket::bind(local(0)).expect("a socket");
    let port = generator.local_addr().expect("an address").port();
    let mut commands = view.command_producer();
    let mut send = |command: &Command| {
        while commands.push(command).is_err() {
            commands.wake(&doorbell);
            std::thread::sleep(Duration::from_millis(1));
        }
        commands.wake(&doorbell);
    };
    for slot in 0..rooms {
        let config = ConferenceConfig {
            generation: 1,
            revision: 1,
            ..ConferenceConfig::default()
        };
        send(&Command::new(
            CommandKind::SetConference,
            0,
            &SetConference {
                slot,
                reserved: 0,
                config,
            },
        ));
    }
    let mut keys = Vec::new();
    for slot in 0..case.legs {
        let pair: [MasterKeys; 2] = std::array::from_fn(|_| {
            let mut secret = [0; 46];
            rng.fill(&mut secret[..]);
            case.suite.map_or_else(MasterKeys::default, |suite| {
                let len = suite.key_len() + suite.salt_len();
                MasterKeys::new(suite, &secret[..len]).expect("the suite's length")
            })
        });
        keys.push(pair);
        let flags = LegFlags::SEND | LegFlags::RECEIVE | LegFlags::RTCP_MUX;
        let config = LegConfig {
            generation: 1,
            revision: 1,
            conference: slot / case.room,
            flags: flags.0,
            tx_ssrc: 1_000 + slot,
            remote_rtp: local(port).into(),
            codecs: [
                PayloadMap {
                    payload_type: 0,
                    codec: AudioCodec::Pcmu as u8,
                },
                PayloadMap::default(),
                PayloadMap::default(),
                PayloadMap::default(),
            ],
            telephone_event_payload_type: NO_PAYLOAD_TYPE,
            comfort_noise_payload_type: NO_PAYLOAD_TYPE,
            packet_ms: 20,
            srtp_suite: case.suite.map_or(0, |suite| suite as u8),
            tx_keys: pair[0],
            rx_keys: pair[1],
            ..LegConfig::default()
        };
        send(&Command::new(
            CommandKind::SetLeg,
            0,
            &SetLeg {
                slot,
                reserved: 0,
                config,
            },
        ));
    }
    send(&Command::new(CommandKind::Barrier, 7, &0_u64));
    let mut events = view.event_consumer();
    let started = Instant::now();
    loop {
        match events.pop() {
            Some(event) if event.kind == EventKind::Barrier as u32 => break,
            Some(event) if event.kind == EventKind::Rejected as u32 => {
                panic!("rejected: {event:?}")
            }
            Some(_) => {}
            None => std::thread::sleep(Duration::from_millis(1)),
        }
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "the worker does not answer"
        );
    }
    Bench {
        view,
        ports,
        generator,
        keys,
    }
}

/// Sends 50 packets a second to every leg, spread over the 20 ms.
fn generate(case: Case, bench: &Bench, stop: &AtomicBool, rng: &mut SmallRng) {
    let mut senders: Vec<Option<Sender>> = bench
        .keys
        .iter()
        .map(|pair| case.suite.map(|suite| Sender::new(suite, &pair[1])))
        .collect();
    let next: Vec<AtomicU64> = (0..case.legs).map(|_| AtomicU64::new(1)).collect();
    let legs = case.legs as usize;
    let begin = Instant::now();
    let mut buffer = [0; RTP_HEADER_LEN + PAYLOAD + TAIL_MAX];
    for slice in 0_u32.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let due = Duration::from_millis(u64::from(slice));
        if let Some(early) = due.checked_sub(begin.elapsed()) {
            std::thread::sleep(early);
        }
        let part = slice as usize % SLICES;
        for leg in legs * part / SLICES..legs * (part + 1) / SLICES {
            let index = next[leg].load(Ordering::Relaxed);
            let header = RtpHeader {
                marker: false,
                payload_type: 0,
                sequence: index as u16,
                timestamp: (index as u32).wrapping_mul(160),
                ssrc: leg as u32 + 1,
            };
            header.write(&mut buffer);
            rng.fill(&mut buffer[RTP_HEADER_LEN..RTP_HEADER_LEN + PAYLOAD]);
            let plain = RTP_HEADER_LEN + PAYLOAD;
            let len = match &mut senders[leg] {
                Some(sender) => sender
                    .protect_rtp(&next[leg], &mut buffer, plain)
                    .expect("a packet"),
                None => {
                    next[leg].store(index + 1, Ordering::Relaxed);
                    plain
                }
            };
            let _ = bench
                .generator
                .send_to(&buffer[..len], local(bench.ports[leg]));
        }
    }
}

/// The first leg's packets must decrypt and, once sound has begun, hold it.
fn check_answer(case: Case, bench: &Bench) {
    bench
        .generator
        .set_read_timeout(Some(Duration::from_secs(2)))
        .expect("a timeout");
    let mut receiver = case
        .suite
        .map(|suite| Receiver::new(suite, &bench.keys[0][0]));
    let mut buffer = [0; 2_048];
    let (mut packets, mut loud) = (0, 0);
    let started = Instant::now();
    while packets < 50 {
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "{packets} packets of leg 0"
        );
        let (len, from) = bench
            .generator
            .recv_from(&mut buffer)
            .expect("media comes back");
        if from.port() != bench.ports[0] {
            continue;
        }
        let plain = receiver.as_mut().map_or(len, |receiver| {
            receiver
                .unprotect_rtp(&mut buffer[..len])
                .expect("a packet under leg 0's key")
        });
        let packet = RtpPacket::parse(&buffer[..plain]).expect("an RTP packet");
        let is_loud = packet.payload().iter().any(|byte| byte | 0x80 != 0xff);
        if packets > 0 || is_loud {
            packets += 1;
            loud += u32::from(is_loud);
        }
    }
    assert!(loud > 25, "{loud} of 50 packets hold sound");
}

struct Sample {
    cpu_ns: u64,
    rx: u64,
    tx: u64,
    ticks: u64,
    late: [u64; 12],
}

fn sample(view: &WorkerView) -> Sample {
    let stats = view.stats();
    let get = |word: &AtomicU64| word.load(Ordering::Relaxed);
    Sample {
        cpu_ns: get(&stats.cpu_ns),
        rx: get(&stats.rx_datagrams),
        tx: get(&stats.tx_datagrams),
        ticks: get(&stats.ticks),
        late: std::array::from_fn(|index| get(&stats.tick_lateness[index])),
    }
}

fn run(case: Case) {
    let mut rng = SmallRng::seed_from_u64(42);
    let bench = Arc::new(set_up(case, &mut rng));
    let stop = Arc::new(AtomicBool::new(false));
    let generator = {
        let (bench, stop) = (bench.clone(), stop.clone());
        std::thread::spawn(move || {
            let _ = plenum_uring::pin_current_thread(1);
            generate(case, &bench, &stop, &mut rng);
        })
    };
    let _ = plenum_uring::pin_current_thread(1);
    check_answer(case, &bench);
    let sink = {
        let (bench, stop) = (bench.clone(), stop.clone());
        std::thread::spawn(move || {
            let _ = plenum_uring::pin_current_thread(1);
            let mut buffer = [0; 2_048];
            while !stop.load(Ordering::Relaxed) {
                let _ = bench.generator.recv_from(&mut buffer);
            }
        })
    };
    std::thread::sleep(WARM_UP);
    let (before, begin) = (sample(&bench.view), Instant::now());
    std::thread::sleep(Duration::from_secs(case.seconds));
    let (after, seconds) = (sample(&bench.view), begin.elapsed().as_secs_f64());
    stop.store(true, Ordering::Relaxed);
    generator.join().expect("the generator");
    sink.join().expect("the sink");

    let cpu_ns = (after.cpu_ns - before.cpu_ns) as f64;
    let (rx, tx) = ((after.rx - before.rx) as f64, (after.tx - before.tx) as f64);
    let leg_seconds = f64::from(case.legs) * seconds;
    // A tick makes a packet for each leg of its room.
    let expected = (after.ticks - before.ticks) as f64 * f64::from(case.room.min(case.legs));
    assert!(
        (tx / expected - 1.0).abs() < 0.05,
        "{tx} packets sent, {expected} made"
    );
    assert!(
        rx / (leg_seconds * 50.0) > 0.95,
        "the generator fell behind: {rx} packets in"
    );
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
        seen * 1_000 >= total * 999
    });
    let bound = bucket.and_then(|bucket| LATENESS_BUCKETS_US.get(bucket));
    println!(
        "{:>5} {:>8.1} {:>13.1} {:>12.0} {:>12.0} {:>10.0} {:>10.0} {:>9}",
        case.legs,
        cpu_ns / seconds / 1e7,
        cpu_ns / leg_seconds / 1e3,
        cpu_ns / (rx + tx),
        leg_seconds * 1e9 / cpu_ns,
        rx / seconds,
        tx / seconds,
        bound.map_or(">20 ms".to_owned(), |bound| format!("{bound} us"))
    );
    std::process::exit(0);
}
