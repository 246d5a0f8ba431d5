//! Estimator and pacer over simulated paths: a seed decides everything and is in the
//! message of what fails. `PLENUM_SEED` replays one, `PLENUM_TRACE=1` prints each second.

mod flow;
mod path;

use flow::Flow;
use path::{Link, Path};

const SECOND: u64 = 1_000_000;
const MBIT: u64 = 1_000_000;
/// How often a run is sampled.
const SAMPLE_US: u64 = 10_000;

/// What was seen of a run, each 10 ms.
struct Seen {
    seed: u64,
    /// By flow.
    targets: Vec<Vec<f64>>,
    came: Vec<Vec<u64>>,
    queue_ms: Vec<f64>,
}

fn run(seed: u64, links: Vec<(u64, Link)>, mut flows: Vec<Flow>, seconds: u64) -> Seen {
    run_with(seed, links, &mut flows, seconds, |_, _| {})
}

fn run_with(
    seed: u64,
    links: Vec<(u64, Link)>,
    flows: &mut [Flow],
    seconds: u64,
    change: impl Fn(u64, &mut [Flow]),
) -> Seen {
    let trace = std::env::var_os("PLENUM_TRACE").is_some();
    let mut path = Path::new(seed, links);
    let mut seen = Seen {
        seed,
        targets: vec![Vec::new(); flows.len()],
        came: vec![Vec::new(); flows.len()],
        queue_ms: Vec::new(),
    };
    for at_us in (0..seconds * SECOND).step_by(1_000) {
        change(at_us, flows);
        path.step(at_us);
        for flow in flows.iter_mut() {
            flow.step(at_us, &mut path);
        }
        if at_us % SAMPLE_US == 0 {
            for (index, flow) in flows.iter().enumerate() {
                seen.targets[index].push(flow.target());
                seen.came[index].push(flow.came);
            }
            seen.queue_ms.push(path.queue_us(at_us) as f64 / 1e3);
        }
        if trace && at_us % (SECOND / 4) == 0 {
            let targets: Vec<_> = flows
                .iter()
                .map(|flow| flow.target() as u32 / 1_000)
                .collect();
            let queue = path.queue_us(at_us) / 1_000;
            eprintln!(
                "{seed} {:.2} s: {targets:?} kbit/s, queue {queue} ms",
                at_us as f64 / 1e6
            );
        }
    }
    seen
}

fn index(seconds: f64) -> usize {
    (seconds * SECOND as f64) as usize / SAMPLE_US as usize
}

impl Seen {
    fn targets(&self, flow: usize, from: f64, to: f64) -> &[f64] {
        &self.targets[flow][index(from)..index(to)]
    }

    fn mean_target(&self, flow: usize, from: f64, to: f64) -> f64 {
        let targets = self.targets(flow, from, to);
        targets.iter().sum::<f64>() / targets.len() as f64
    }

    fn least_target(&self, from: f64, to: f64) -> f64 {
        let targets = self.targets(0, from, to).iter();
        targets.copied().fold(f64::MAX, f64::min)
    }

    /// Bits a second that came.
    fn rate(&self, flow: usize, from: f64, to: f64) -> f64 {
        let came = &self.came[flow];
        (came[index(to) - 1] - came[index(from)]) as f64 * 8.0 / (to - from)
    }

    fn median_queue(&self, from: f64, to: f64) -> f64 {
        let mut queue = self.queue_ms[index(from)..index(to)].to_vec();
        queue.sort_by(f64::total_cmp);
        queue[queue.len() / 2]
    }

    /// Within a fifth of a capacity: on average, and six times of seven.
    fn assert_settled(&self, capacity: f64, from: f64, to: f64) {
        let mean = self.mean_target(0, from, to);
        let near = |target: &f64| (0.8 * capacity..1.2 * capacity).contains(target);
        let targets = self.targets(0, from, to);
        let share = targets.iter().filter(|t| near(t)).count() as f64 / targets.len() as f64;
        let seed = self.seed;
        assert!(near(&mean), "seed {seed}: {mean}");
        assert!(share > 0.857, "seed {seed}: {share} of the time near");
        let queue = self.median_queue(from, to);
        assert!(queue < 60.0, "seed {seed}: a queue of {queue} ms");
    }
}

/// Seeds of a test: some, or the one asked for.
fn seeds() -> Vec<u64> {
    match std::env::var("PLENUM_SEED") {
        Ok(seed) => vec![seed.parse().expect("a number")],
        Err(_) => (1..=8).collect(),
    }
}

#[test]
fn a_bottleneck_is_settled_on_from_above_and_from_below() {
    for seed in seeds() {
        for start in [1_500_000, 300_000] {
            let seen = run(
                seed,
                vec![(0, Link::of(MBIT))],
                vec![Flow::new(0, start)],
                40,
            );
            seen.assert_settled(1e6, 10.0, 40.0);
            let came = seen.rate(0, 10.0, 40.0);
            assert!(came > 0.75e6, "seed {seed}: {came} came");
        }
    }
}

#[test]
fn jitter_and_feedback_that_is_lost_change_little() {
    let link = Link {
        jitter_us: 15_000,
        feedback_loss: 0.2,
        ..Link::of(MBIT)
    };
    for seed in seeds() {
        let seen = run(seed, vec![(0, link)], vec![Flow::new(0, 1_500_000)], 40);
        let mean = seen.mean_target(0, 10.0, 40.0);
        assert!((0.7e6..1.2e6).contains(&mean), "seed {seed}: {mean}");
        let queue = seen.median_queue(10.0, 40.0);
        assert!(queue < 80.0, "seed {seed}: a queue of {queue} ms");
    }
}

#[test]
fn a_tenth_lost_and_fifty_milliseconds_of_jitter_are_no_collapse() {
    let link = Link {
        loss: 0.1,
        jitter_us: 50_000,
        feedback_loss: 0.1,
        ..Link::of(20 * MBIT)
    };
    for seed in seeds() {
        for start in [1_500_000, 600_000] {
            let seen = run(seed, vec![(0, link)], vec![Flow::new(0, start)], 60);
            // What the trial of a lower rate costs, then nothing.
            let least = seen.least_target(0.0, 60.0);
            assert!(least > 0.5 * f64::from(start), "seed {seed}: {least}");
            let least = seen.least_target(20.0, 60.0);
            assert!(least >= 450e3, "seed {seed}: {least}");
            let came = seen.rate(0, 10.0, 60.0);
            assert!(came >= 500e3, "seed {seed}: {came} came");
        }
    }
}

#[test]
fn a_cut_of_five_seconds_is_over_within_two() {
    let links = |rate| {
        vec![
            (0, Link::of(rate)),
            (20 * SECOND, Link::of(0)),
            (25 * SECOND, Link::of(rate)),
        ]
    };
    for seed in seeds() {
        for rate in [MBIT, 4 * MBIT] {
            let seen = run(seed, links(rate), vec![Flow::new(0, 1_000_000)], 40);
            let before = seen.rate(0, 15.0, 20.0);
            let meanwhile = seen.mean_target(0, 24.0, 25.0);
            assert!(
                meanwhile < 0.2 * before,
                "seed {seed}: {meanwhile} in the cut"
            );
            let (target, came) = (seen.mean_target(0, 26.9, 27.1), seen.rate(0, 27.0, 28.0));
            assert!(
                target >= 0.7 * before,
                "seed {seed}: {before}, then {target}"
            );
            assert!(came >= 0.7 * before, "seed {seed}: {before}, then {came}");
            let later = seen.rate(0, 30.0, 40.0);
            assert!(
                later >= 0.7 * before,
                "seed {seed}: {before}, later {later}"
            );
        }
    }
}

#[test]
fn steps_up_and_down_are_followed() {
    let links = vec![
        (0, Link::of(MBIT)),
        (20 * SECOND, Link::of(3 * MBIT)),
        (40 * SECOND, Link::of(MBIT)),
    ];
    for seed in seeds() {
        let seen = run(seed, links.clone(), vec![Flow::new(0, 1_000_000)], 60);
        let up = seen.mean_target(0, 29.5, 30.5);
        assert!(up > 2.4e6, "seed {seed}: {up} after ten seconds");
        let wide = seen.mean_target(0, 30.0, 40.0);
        assert!((2.4e6..3.6e6).contains(&wide), "seed {seed}: {wide}");
        let down = seen.mean_target(0, 42.8, 43.2);
        assert!(down < 1.2e6, "seed {seed}: {down} after three seconds");
        seen.assert_settled(1e6, 50.0, 60.0);
    }
}

#[test]
fn what_others_send_is_given_room_and_taken_up_when_they_end() {
    let busy = Link {
        cross_bps: MBIT,
        ..Link::of(2 * MBIT)
    };
    let links = vec![
        (0, Link::of(2 * MBIT)),
        (20 * SECOND, busy),
        (40 * SECOND, Link::of(2 * MBIT)),
    ];
    for seed in seeds() {
        let seen = run(seed, links.clone(), vec![Flow::new(0, 1_000_000)], 60);
        let beside = seen.mean_target(0, 25.0, 40.0);
        assert!((0.7e6..1.2e6).contains(&beside), "seed {seed}: {beside}");
        let queue = seen.median_queue(25.0, 40.0);
        assert!(queue < 80.0, "seed {seed}: a queue of {queue} ms");
        let after = seen.mean_target(0, 50.0, 60.0);
        assert!(after > 1.6e6, "seed {seed}: {after}");
    }
}

#[test]
fn a_queue_too_short_to_be_felt_is_known_by_its_loss() {
    let link = Link {
        queue_us: 15_000,
        ..Link::of(MBIT)
    };
    for seed in seeds() {
        let seen = run(seed, vec![(0, link)], vec![Flow::new(0, 1_500_000)], 60);
        let mean = seen.mean_target(0, 10.0, 60.0);
        assert!((0.6e6..1.3e6).contains(&mean), "seed {seed}: {mean}");
    }
}

#[test]
fn a_route_that_becomes_longer_costs_for_a_while_and_is_no_collapse() {
    let longer = Link {
        propagation_us: 175_000,
        ..Link::of(2 * MBIT)
    };
    let links = vec![(0, Link::of(2 * MBIT)), (20 * SECOND, longer)];
    for seed in seeds() {
        let seen = run(seed, links.clone(), vec![Flow::new(0, 1_000_000)], 80);
        let least = seen.least_target(20.0, 80.0);
        assert!(least > 0.4e6, "seed {seed}: {least}");
        let after = seen.mean_target(0, 70.0, 80.0);
        assert!(after > 1.5e6, "seed {seed}: {after}");
    }
}

#[test]
fn two_flows_share() {
    for seed in seeds() {
        let flows = vec![Flow::new(0, 1_000_000), Flow::new(5 * SECOND, 300_000)];
        let seen = run(seed, vec![(0, Link::of(2 * MBIT))], flows, 120);
        let (first, second) = (seen.rate(0, 60.0, 120.0), seen.rate(1, 60.0, 120.0));
        let share = first / (first + second);
        assert!(
            (0.3..0.7).contains(&share),
            "seed {seed}: {first} and {second}"
        );
        assert!(first + second > 1.4e6, "seed {seed}: {first} and {second}");
    }
}

#[test]
fn a_sender_that_is_limited_by_its_application_keeps_what_it_may() {
    for seed in seeds() {
        let mut flows = [Flow::new(0, 1_000_000)];
        let seen = run_with(
            seed,
            vec![(0, Link::of(3 * MBIT))],
            &mut flows,
            60,
            |at_us, flows| {
                let limited = (20 * SECOND..50 * SECOND).contains(&at_us);
                flows[0].demand = if limited { 0.4 } else { 1.0 };
                flows[0].estimator.set_application_limited(limited);
            },
        );
        let (before, while_limited) = (
            seen.mean_target(0, 15.0, 20.0),
            seen.mean_target(0, 30.0, 50.0),
        );
        assert!(
            while_limited > 0.8 * before,
            "seed {seed}: {before}, then {while_limited}"
        );
        assert!(
            while_limited < 3.6e6,
            "seed {seed}: {while_limited} of 3 Mbit/s"
        );
        let after = seen.rate(0, 52.0, 60.0);
        assert!(
            after > 2.2e6,
            "seed {seed}: {after} when it wants all again"
        );
    }
}
