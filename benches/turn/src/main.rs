//! What a relayed packet costs, beside coturn in one run.
//!
//! The server has one core and the load another. The figure is CPU time of the
//! server's process, of `/proc`, for each packet that it relayed; the load
//! generator is the same for both:
//!
//! ```text
//! cargo run --release -p plenum-bench-turn -- [--servers plenum,plenum-single,coturn] [--clients 1,40,1000]
//!     [--sizes 160,1000] [--ways flood,burst,echo] [--seconds 3] [--rounds 3] [--rate 40000]
//! ```
//! - `flood`: clients send as fast as they can to a peer, datagram by datagram.
//! - `burst`: the same in bursts that the kernel cuts (UDP_SEGMENT).
//! - `echo`: so many packets a second in all, evenly, which the peer sends back.
//!   Each counts twice, and its way there and back is timed.
//!
//! `plenum-single` is this server without bursts, `plenum-eager` without a time in
//! which packets gather. Rounds of the servers take
//! turns, and the median counts. Before anything is timed a packet must come
//! through; afterwards all that was sent in `echo` must be back but for a percent.

#![allow(clippy::print_stdout)]

mod load;
mod server;

use std::collections::BTreeMap;
use std::time::Duration;

use load::{Load, Way};
use server::{Kind, Server};

/// What is run.
struct Plan {
    servers: Vec<Kind>,
    clients: Vec<usize>,
    sizes: Vec<usize>,
    ways: Vec<Way>,
    seconds: f64,
    rounds: usize,
    rate: f64,
}

/// One run of a case.
#[derive(Clone, Copy, Debug)]
struct Figure {
    us_per_packet: f64,
    packets_per_s: f64,
    cpu_percent: f64,
    memory_per_allocation: f64,
    p50_us: f64,
    p99_us: f64,
    lost_percent: f64,
}

fn main() {
    let mut plan = Plan {
        servers: vec![Kind::Plenum, Kind::PlenumSingle, Kind::Coturn],
        clients: vec![1, 40, 1_000],
        sizes: vec![160, 1_000],
        ways: vec![Way::Flood, Way::Burst, Way::Echo],
        seconds: 3.0,
        rounds: 3,
        rate: 40_000.0,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().unwrap_or_default();
        let list = || value.split(',');
        match argument.as_str() {
            // This very program, as the server that is measured.
            "--serve" => server::serve(&value),
            "--servers" => plan.servers = list().map(Kind::named).collect(),
            "--clients" => plan.clients = list().map(number).collect(),
            "--sizes" => plan.sizes = list().map(number).collect(),
            "--ways" => plan.ways = list().map(Way::named).collect(),
            "--seconds" => plan.seconds = value.parse().expect("seconds"),
            "--rounds" => plan.rounds = number(&value),
            "--rate" => plan.rate = value.parse().expect("packets a second"),
            other => panic!("{other}: see the head of benches/turn/src/main.rs"),
        }
    }
    // The server has core 0 to itself, as far as the machine allows.
    plenum_uring::pin_current_thread(1).expect("a second core");
    println!(
        "| way | clients | bytes | server | us/packet | packets/s | core % | B/allocation | p50 us | p99 us | lost % |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for way in &plan.ways {
        for clients in &plan.clients {
            for size in &plan.sizes {
                case(&plan, *way, *clients, *size);
            }
        }
    }
}

fn number(text: &str) -> usize {
    text.parse().expect("a number")
}

fn case(plan: &Plan, way: Way, clients: usize, size: usize) {
    let mut figures: BTreeMap<Kind, Vec<Figure>> = BTreeMap::new();
    for _ in 0..plan.rounds {
        for kind in &plan.servers {
            figures
                .entry(*kind)
                .or_default()
                .push(measure(plan, *kind, way, clients, size));
        }
    }
    for (kind, mut figures) in figures {
        figures.sort_by(|a, b| a.us_per_packet.total_cmp(&b.us_per_packet));
        let figure = figures[figures.len() / 2];
        let (least, most) = (
            figures[0].us_per_packet,
            figures[figures.len() - 1].us_per_packet,
        );
        println!(
            "| {way:?} | {clients} | {size} | {kind:?} | {:.2} ({least:.2}-{most:.2}) | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.1} |",
            figure.us_per_packet,
            figure.packets_per_s,
            figure.cpu_percent,
            figure.memory_per_allocation,
            figure.p50_us,
            figure.p99_us,
            figure.lost_percent,
        );
    }
}

fn measure(plan: &Plan, kind: Kind, way: Way, clients: usize, size: usize) -> Figure {
    let server = Server::start(kind);
    let before = server.memory();
    let mut load = Load::new(server.address(), clients, size);
    let memory = server.memory().saturating_sub(before);
    // Caches, branch predictors and the adaptive parts of both.
    load.run(way, plan.rate, Duration::from_millis(300));
    let (cpu, relayed) = (server.cpu(), load.relayed());
    let run = load.run(way, plan.rate, Duration::from_secs_f64(plan.seconds));
    let cpu = (server.cpu() - cpu).as_secs_f64();
    let relayed = (load.relayed() - relayed) as f64;
    Figure {
        us_per_packet: cpu / relayed * 1e6,
        packets_per_s: relayed / run.elapsed.as_secs_f64(),
        cpu_percent: cpu / run.elapsed.as_secs_f64() * 100.0,
        memory_per_allocation: memory as f64 / clients as f64,
        p50_us: run.delay_us(0.5),
        p99_us: run.delay_us(0.99),
        lost_percent: run.lost_percent(),
    }
}
