//! The traffic, and what is measured of the worker under it.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use plenum_abi::Nanos;
use plenum_uring::{now, pin_current_thread, thread_cpu_time};

use crate::sys;
use crate::way::{Io, Legs, PAYLOAD, Way};

const TICK: Duration = Duration::from_millis(20);
/// Before the clock starts.
const WARM_UP: Duration = Duration::from_millis(200);

/// One row.
pub(crate) struct Measured {
    pub(crate) receive_ns: f64,
    pub(crate) send_ns: f64,
    pub(crate) core_percent: f64,
    pub(crate) waits_per_packet: f64,
    /// From just before the send call to the worker's hands.
    pub(crate) latencies_us: Vec<f32>,
    /// Sent from the first datagram to the last and never received.
    pub(crate) lost: u64,
}

fn udp() -> UdpSocket {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let options = plenum_uring::SocketOptions {
        receive_buffer: 1 << 20,
        send_buffer: 1 << 20,
        dscp: 0,
    };
    UdpSocket::from(plenum_uring::media_socket(any, &options).expect("a socket"))
}

/// The legs' sockets and, connected to them, their peers'.
fn sockets(way: &Way, legs: usize) -> (Legs, Vec<UdpSocket>) {
    let count = if way.shared { 1 } else { legs };
    let sockets: Vec<UdpSocket> = (0..count).map(|_| udp()).collect();
    let peers: Vec<UdpSocket> = (0..legs).map(|_| udp()).collect();
    for (leg, peer) in peers.iter().enumerate() {
        let socket = &sockets[leg % count];
        let connect = |a: &UdpSocket, b: &UdpSocket| {
            a.connect(b.local_addr().expect("an address"))
                .expect("connect");
        };
        connect(peer, socket);
        if way.connected {
            connect(socket, peer);
        }
    }
    let addresses = peers
        .iter()
        .map(|peer| peer.local_addr().expect("an address"))
        .collect();
    let legs = Legs {
        sockets,
        peers: addresses,
    };
    (legs, peers)
}

/// Panics unless one datagram of each leg arrives as it was, each way.
fn verify(io: &mut dyn Io, peers: &[UdpSocket]) {
    let mut missing: Vec<u32> = (0..peers.len() as u32).collect();
    for (leg, peer) in (0_u32..).zip(peers) {
        let mut bytes = [9; PAYLOAD];
        bytes[..4].copy_from_slice(&leg.to_le_bytes());
        peer.send(&bytes).expect("send");
    }
    let deadline = now() + Duration::from_secs(5);
    while !missing.is_empty() {
        assert!(now() < deadline, "{} datagrams did not come", missing.len());
        io.wait(now() + TICK, &mut |bytes| {
            assert_eq!((bytes.len(), bytes[PAYLOAD - 1]), (PAYLOAD, 9));
            let leg = u32::from_le_bytes(*bytes.first_chunk().expect("four bytes"));
            let at = missing.iter().position(|&one| one == leg);
            missing.swap_remove(at.expect("each comes once"));
        });
    }
    io.tick();
    io.wait(now() + Duration::from_millis(1), &mut |_| {
        panic!("nobody sent")
    });
    for (leg, peer) in (0_u32..).zip(peers) {
        let mut bytes = [0; 2 * PAYLOAD];
        assert_eq!(peer.recv(&mut bytes).expect("an answer"), PAYLOAD);
        assert_eq!(bytes[..4], leg.to_le_bytes());
        assert!(peer.recv(&mut bytes).is_err(), "two answers");
    }
}

/// Only the check, for tests.
#[cfg(test)]
pub(crate) fn check(way: &Way, legs: usize) {
    let (legs, peers) = sockets(way, legs);
    println!("{}", way.name);
    verify(&mut *(way.open)(legs), &peers);
}

#[derive(Default)]
struct Generator {
    stop: AtomicBool,
    sent: AtomicU64,
}

impl Generator {
    /// Sends one datagram after the other, evenly, each leg 50 times a second.
    fn run(&self, peers: &[UdpSocket]) {
        let interval = TICK / peers.len() as u32;
        let mut due = now();
        let mut bytes = [9; PAYLOAD];
        for number in 0_usize.. {
            while now() < due {
                std::hint::spin_loop();
            }
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let at = now();
            if at.since(due) > TICK {
                // Somebody had the core meanwhile; do not make up for it in a burst.
                due = at;
            }
            due = due + interval;
            bytes[..8].copy_from_slice(&at.0.to_le_bytes());
            // A prime, so that neighbours in time are not neighbours in memory.
            let _ = peers[number.wrapping_mul(7_919) % peers.len()].send(&bytes);
            self.sent.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Runs one way under load.
pub(crate) fn measure(way: &Way, legs: usize, length: Duration, realtime: bool) -> Measured {
    let (legs, peers) = sockets(way, legs);
    let generator = Generator::default();
    thread::scope(|scope| {
        let worker = scope.spawn(|| {
            take_core(0, realtime);
            let count = legs.peers.len();
            let mut io = (way.open)(legs);
            verify(&mut *io, &peers);
            // From here on nobody reads the answers.
            peers.iter().for_each(sys::drop_incoming);
            let generate = scope.spawn(|| {
                take_core(1, realtime);
                generator.run(&peers);
            });
            let (mut measured, mut total) = work(&mut *io, count, length);
            generator.stop.store(true, Ordering::Relaxed);
            generate.join().expect("the generator");
            // All that was sent is in the sockets by now.
            let mut quiet = 0;
            while quiet < 3 {
                let before = total;
                io.wait(now() + TICK, &mut |_| total += 1);
                quiet = if total == before { quiet + 1 } else { 0 };
            }
            measured.lost = generator.sent.load(Ordering::Relaxed) - total;
            measured
        });
        worker.join().expect("the worker")
    })
}

fn take_core(core: usize, realtime: bool) {
    pin_current_thread(core).expect("two cores");
    if realtime {
        sys::realtime();
    }
}

/// Also says how many datagrams came in all, warm-up included.
fn work(io: &mut dyn Io, legs: usize, length: Duration) -> (Measured, u64) {
    let begin = now() + WARM_UP;
    let end = begin + length;
    let mut tick = now() + TICK;
    let mut measuring = false;
    let (mut received, mut ticks, mut waits) = (0_u64, 0_u64, 0_u64);
    let (mut cpu_before, mut cpu_sending) = (Duration::ZERO, Duration::ZERO);
    let mut total = 0;
    let mut latencies_us = Vec::with_capacity(1 << 20);
    loop {
        let time = now();
        if time >= end {
            break;
        }
        if !measuring && time >= begin {
            measuring = true;
            (received, ticks, waits, cpu_sending) = (0, 0, 0, Duration::ZERO);
            latencies_us.clear();
            cpu_before = thread_cpu_time();
        }
        if time >= tick {
            tick = tick + TICK;
            let before = thread_cpu_time();
            io.tick();
            cpu_sending += thread_cpu_time() - before;
            ticks += 1;
        }
        let mut arrived = Nanos::ZERO;
        io.wait(tick, &mut |bytes| {
            if arrived == Nanos::ZERO {
                arrived = now();
            }
            let stamp = u64::from_le_bytes(*bytes.first_chunk().expect("a stamp"));
            if latencies_us.len() < latencies_us.capacity() {
                latencies_us.push(arrived.0.saturating_sub(stamp) as f32 / 1e3);
            }
            received += 1;
            total += 1;
        });
        waits += 1;
    }
    let cpu = thread_cpu_time() - cpu_before;
    let ns = |time: Duration, count: u64| time.as_nanos() as f64 / count as f64;
    let measured = Measured {
        receive_ns: ns(cpu - cpu_sending, received),
        send_ns: ns(cpu_sending, ticks * legs as u64),
        core_percent: cpu.as_secs_f64() / end.since(begin).as_secs_f64() * 100.0,
        waits_per_packet: waits as f64 / received as f64,
        latencies_us,
        lost: 0,
    };
    (measured, total)
}
