//! What a datagram costs by each way the kernel offers.
//!
//! One worker thread owns N sockets; a generator on another core sends each
//! of them 50 datagrams a second, evenly spread, and every 20 ms the worker
//! sends one on each: the traffic of SIP legs in conferences. What counts is
//! the CPU time of the worker's thread, in `tick` (sending) and outside of it
//! (waiting and receiving). Loopback, so a send also pays for delivery into
//! the far end's socket.
//!
//! Every way must first move the right bytes both ways; only then it is timed.

// A table is what it is for.
#![allow(clippy::print_stdout)]

mod burst;
mod epoll;
mod load;
mod ours;
mod ring;
mod sys;
mod way;

use std::time::Duration;

use load::Measured;

struct Options {
    seconds: f64,
    legs: Vec<usize>,
    only: String,
    realtime: bool,
}

const USAGE: &str =
    "options: --seconds S  --legs N[,N...]  --only PART_OF_A_NAME  --realtime (needs the right to)";

fn options() -> Result<Options, String> {
    let mut options = Options {
        seconds: 0.5,
        legs: vec![4, 100, 400, 1000],
        only: String::new(),
        realtime: false,
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        if arg == "--realtime" {
            options.realtime = true;
            continue;
        }
        let value = args.next().ok_or(USAGE)?;
        let wrong = |_| format!("{arg} {value}: not a number. {USAGE}");
        match arg.as_str() {
            "--seconds" => options.seconds = value.parse().map_err(|_| USAGE)?,
            "--legs" => {
                options.legs = value
                    .split(',')
                    .map(|part| part.parse().map_err(wrong))
                    .collect::<Result<_, _>>()?;
            }
            "--only" => options.only = value,
            _ => return Err(USAGE.to_owned()),
        }
    }
    Ok(options)
}

/// How often each row is measured: the median is shown, and how far apart the
/// repeats are.
const REPEATS: usize = 3;

/// Median, lowest and highest of the repeats.
fn spread(runs: &[Measured], value: impl Fn(&Measured) -> f64) -> String {
    let mut values: Vec<f64> = runs.iter().map(value).collect();
    values.sort_unstable_by(f64::total_cmp);
    let (low, high) = (values[0], values[values.len() - 1]);
    format!("{:.0} ({low:.0}-{high:.0})", values[values.len() / 2])
}

fn print(name: &str, legs: usize, runs: &mut [Measured]) {
    runs.sort_unstable_by(|a, b| a.core_percent.total_cmp(&b.core_percent));
    let (receive, send) = (spread(runs, |m| m.receive_ns), spread(runs, |m| m.send_ns));
    let lost: u64 = runs.iter().map(|m| m.lost).sum();
    let m = &mut runs[REPEATS / 2];
    m.latencies_us.sort_unstable_by(f32::total_cmp);
    let at = |part: f64| {
        let last = m.latencies_us.len().saturating_sub(1);
        m.latencies_us
            .get((last as f64 * part) as usize)
            .copied()
            .unwrap_or(f32::NAN)
    };
    println!(
        "| {name} | {legs} | {receive} | {send} | {:.1} | {:.2} | {:.0} | {:.0} | {lost} |",
        m.core_percent,
        m.waits_per_packet,
        at(0.5),
        at(0.99),
    );
}

fn main() -> Result<(), String> {
    let options = options()?;
    let seconds = Duration::from_secs_f64(options.seconds);
    sys::print_cost_of_a_system_call();
    println!(
        "| way | legs | rx ns | tx ns | core % | waits/packet | delay p50 us | p99 us | lost |\n\
         |---|---|---|---|---|---|---|---|---|"
    );
    for &legs in &options.legs {
        for way in way::all() {
            if !way.name.contains(&options.only) {
                continue;
            }
            let mut runs: Vec<Measured> = (0..REPEATS)
                .map(|_| load::measure(&way, legs, seconds, options.realtime))
                .collect();
            print(way.name, legs, &mut runs);
        }
    }
    if "burst".contains(&options.only) {
        burst::run(options.realtime);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_moves_the_right_bytes() {
        for way in way::all() {
            load::check(&way, 8);
        }
    }

    #[test]
    fn every_burst_arrives_whole() {
        burst::check();
    }
}
