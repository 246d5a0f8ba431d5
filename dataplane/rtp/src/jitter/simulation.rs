//! Ten-minute calls through seeded networks, in simulated time.
//!
//! A sender with its own idea of a second, a network that delays, loses and
//! reorders, and a receiver that behaves as the worker does: 20 ms every 20 ms of
//! its own clock, decoded sound kept between ticks, adjustments of 5 ms when hinted.

use super::*;
use crate::test_random::Random;

const MS: u64 = 1_000_000;
const HZ: u64 = 8_000;
/// Delay of the fastest packet.
const PATH_MS: u64 = 30;

#[derive(Clone, Copy, Debug)]
struct Network {
    seed: u64,
    minutes: u64,
    packet_ms: u64,
    /// Delay above the path's, uniform up to this.
    jitter_ms: u64,
    /// Share of packets that begin a burst of loss, and its longest.
    loss_per_million: u64,
    burst_max: u64,
    /// Share of packets held back by two packets.
    swap_per_million: u64,
    /// The sender's seconds are shorter by this (it is fast).
    drift_ppm: i64,
    /// Talks and pauses in turn, up to that long each; pauses send nothing, or one
    /// comfort noise packet first.
    talk_ms: u64,
    pause_ms: u64,
    comfort_noise: bool,
    /// The receiver carries out the hints.
    adjusts: bool,
}

impl Network {
    const CLEAN: Self = Self {
        seed: 1,
        minutes: 10,
        packet_ms: 20,
        jitter_ms: 0,
        loss_per_million: 0,
        burst_max: 1,
        swap_per_million: 0,
        drift_ppm: 0,
        talk_ms: u64::MAX,
        pause_ms: 0,
        comfort_noise: false,
        adjusts: true,
    };
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    arrival: Arrival,
    at: u64,
    arrives: Option<u64>,
}

fn send(network: &Network, random: &mut Random) -> Vec<Sent> {
    let packet_ticks = network.packet_ms * HZ / 1_000;
    let mut packets = Vec::new();
    let (mut sequence, mut ticks) = (random.next() as u16, 0_u64);
    let first_timestamp = random.next() as u32;
    let end = network.minutes * 60 * HZ;
    let mut burst_left = 0;
    let mut talk_until = talk(network, random, 0);
    let mut after_pause = true;
    while ticks < end {
        let pauses = ticks >= talk_until;
        if !pauses || network.comfort_noise {
            let nominal = ticks * 1_000_000_000 / HZ;
            let drift = nominal as i64 / 1_000_000 * network.drift_ppm;
            let at = 5_000 * MS + nominal.wrapping_add_signed(-drift);
            if burst_left == 0 && random.chance(network.loss_per_million) {
                burst_left = 1 + random.below(network.burst_max);
            }
            let mut delay = PATH_MS * MS + random.below(network.jitter_ms * MS + 1);
            if random.chance(network.swap_per_million) {
                delay += 2 * network.packet_ms * MS + MS;
            }
            let lost = burst_left > 0;
            burst_left -= u64::from(lost);
            packets.push(Sent {
                arrival: Arrival {
                    sequence,
                    timestamp: first_timestamp.wrapping_add(ticks as u32),
                    ticks: if pauses { 0 } else { packet_ticks as u32 },
                    marker: after_pause && !pauses,
                    discontinuous: pauses,
                },
                at,
                arrives: (!lost).then_some(at + delay),
            });
            sequence = sequence.wrapping_add(1);
        }
        after_pause = pauses;
        if pauses {
            // Not a multiple of the packet time: clocks of pauses are anybody's.
            ticks += 1 + random.below(network.pause_ms * HZ / 1_000);
            talk_until = talk(network, random, ticks);
        } else {
            ticks += packet_ticks;
        }
    }
    packets
}

fn talk(network: &Network, random: &mut Random, from: u64) -> u64 {
    if network.pause_ms == 0 {
        return u64::MAX;
    }
    from + random.below(network.talk_ms * HZ / 1_000)
}

#[derive(Debug, Default)]
struct Outcome {
    sent: u64,
    lost: u64,
    played: u64,
    late: u64,
    discarded: u64,
    /// Made-up sound and silence between the first packet and the last, ms.
    missing_ms: u64,
    silence_ms: u64,
    paused_ms: u64,
    /// Playing delay over the fastest path: mean, and the most after warm-up, ms.
    delay_mean_ms: f64,
    delay_max_ms: f64,
    underruns: u64,
    fec_chances: u64,
    accelerated: u64,
    expanded: u64,
    target_ms: f64,
}

fn run(network: Network) -> Outcome {
    let mut random = Random(network.seed);
    let sent = send(&network, &mut random);
    let mut arrivals: Vec<(u64, usize)> = sent
        .iter()
        .enumerate()
        .filter_map(|(index, packet)| Some((packet.arrives?, index)))
        .collect();
    arrivals.sort_unstable();
    let mut arrivals = arrivals.into_iter().peekable();
    let mut outcome = Outcome {
        sent: sent.len() as u64,
        lost: sent
            .iter()
            .filter(|packet| packet.arrives.is_none())
            .count() as u64,
        ..Outcome::default()
    };
    for pair in sent.windows(2) {
        let span = pair[1]
            .arrival
            .timestamp
            .wrapping_sub(pair[0].arrival.timestamp);
        outcome.paused_ms += u64::from(span - pair[0].arrival.ticks) * 1_000 / HZ;
    }
    let mut buffer = JitterBuffer::<usize>::new(&JitterConfig::new(HZ as u32));
    let mut tick = 5_000 * MS + random.below(20 * MS);
    let mut held: i64 = 0;
    let mut last_played: Option<usize> = None;
    let mut delays = 0.0;
    let expected_last = sent.iter().rposition(|packet| packet.arrives.is_some());
    while last_played < expected_last {
        while let Some(&(at, index)) = arrivals.peek()
            && at <= tick
        {
            arrivals.next();
            let given_back = buffer.insert(Nanos(at), sent[index].arrival, index);
            if let Err(Rejected { item, reason }) = given_back {
                assert_eq!((item, reason), (index, RejectReason::Late), "{network:?}");
            }
        }
        let mut pops = 0;
        while held < 160 && last_played < expected_last {
            pops += 1;
            assert!(pops < 100, "no progress: {network:?}");
            let plays_at = tick + held as u64 * MS / 8;
            match buffer.pop(Nanos(tick)) {
                Pop::Packet {
                    item,
                    ticks,
                    lost_before,
                    adjust,
                    timestamp,
                } => {
                    assert!(last_played < Some(item), "order: {network:?}");
                    if let Some(last) = last_played {
                        assert_eq!(usize::from(lost_before), item - last - 1, "{network:?}");
                    }
                    assert_eq!(timestamp, sent[item].arrival.timestamp);
                    last_played = Some(item);
                    held += i64::from(ticks);
                    let delay = (plays_at as f64 - (sent[item].at + PATH_MS * MS) as f64) / 1e6;
                    delays += delay;
                    if sent[item].at > 15_000 * MS {
                        outcome.delay_max_ms = outcome.delay_max_ms.max(delay);
                    }
                    if network.adjusts && ticks > 40 {
                        match adjust {
                            Adjust::None => {}
                            Adjust::Accelerate => {
                                held -= 40;
                                outcome.accelerated += 1;
                            }
                            Adjust::Expand => {
                                held += 40;
                                outcome.expanded += 1;
                            }
                        }
                    }
                }
                Pop::Missing { ticks, next } => {
                    if let Some(&next) = next {
                        assert!(last_played.is_none_or(|last| next > last + 1));
                        outcome.fec_chances += 1;
                    }
                    outcome.missing_ms += u64::from(ticks) / 8;
                    held += i64::from(ticks);
                }
                Pop::Silence => {
                    outcome.silence_ms += (160 - held) as u64 / 8;
                    held = 160;
                }
                Pop::Wait => {
                    assert_eq!(last_played, None, "{network:?}");
                    held = 160;
                }
            }
        }
        held -= 160;
        tick += 20 * MS;
    }
    let counters = *buffer.counters();
    outcome.played = counters.played;
    outcome.late = counters.late;
    outcome.discarded = counters.discarded;
    outcome.underruns = counters.underruns;
    outcome.delay_mean_ms = delays / counters.played as f64;
    outcome.target_ms = buffer.target().as_secs_f64() * 1e3;
    assert_eq!(counters.restarts, 0, "{network:?}");
    assert_eq!(
        outcome.played + outcome.late + outcome.discarded + outcome.lost,
        outcome.sent - (sent.len() - 1 - expected_last.unwrap_or(0)) as u64,
        "every packet has one fate: {network:?} {outcome:?}"
    );
    outcome
}

/// Runs a network under three seeds and holds every run to the same bounds.
fn each_seed(network: Network, check: impl Fn(&Outcome)) {
    for seed in [1, 2, 3] {
        let network = Network { seed, ..network };
        let outcome = run(network);
        eprintln!("{network:?}\n  {outcome:?}");
        check(&outcome);
    }
}

/// Step of the receiver plus what its adjustments of 5 ms leave it holding.
const BEAT_MS: f64 = 20.0 + 15.0;

#[test]
fn a_clean_network_is_gapless_and_quick() {
    for packet_ms in [10, 20, 30, 40, 60] {
        let network = Network {
            packet_ms,
            ..Network::CLEAN
        };
        each_seed(network, |outcome| {
            assert_eq!(outcome.played, outcome.sent);
            assert_eq!((outcome.missing_ms, outcome.silence_ms), (0, 0));
            assert!(outcome.delay_max_ms <= 20.0 + BEAT_MS + 5.0);
        });
    }
}

#[test]
fn drift_is_absorbed_without_a_gap() {
    for drift_ppm in [-200, 200] {
        for packet_ms in [10, 20, 60] {
            let network = Network {
                drift_ppm,
                packet_ms,
                ..Network::CLEAN
            };
            each_seed(network, |outcome| {
                assert_eq!(outcome.played, outcome.sent);
                assert_eq!((outcome.missing_ms, outcome.silence_ms), (0, 0));
                // 120 ms in ten minutes, 5 ms at a time; and no to and fro.
                let adjusted = outcome.accelerated + outcome.expanded;
                assert!((18..=32).contains(&adjusted), "{adjusted}");
                // Measured from the path at the start, which the sender runs away from.
                assert!(outcome.delay_max_ms <= 20.0 + BEAT_MS + 10.0);
            });
        }
    }
}

#[test]
fn drift_without_adjustment_costs_delay_or_a_step_but_not_order() {
    for drift_ppm in [-200, 200] {
        let network = Network {
            drift_ppm,
            adjusts: false,
            minutes: 20,
            ..Network::CLEAN
        };
        each_seed(network, |outcome| {
            assert!(outcome.discarded <= 20 && outcome.missing_ms <= 280);
            assert!(outcome.delay_max_ms <= 220.0 + 10.0);
        });
    }
}

#[test]
fn jitter_is_waited_for_and_no_more() {
    for jitter_ms in [5, 10, 20, 40, 60, 80] {
        for packet_ms in [10, 20, 40] {
            let network = Network {
                jitter_ms,
                packet_ms,
                minutes: 5,
                ..Network::CLEAN
            };
            each_seed(network, |outcome| {
                assert!(outcome.late * 1_000 <= outcome.sent, "late above 0.1 %");
                assert!(outcome.missing_ms <= 5 * 60, "gaps above 0.1 %");
                let most = (jitter_ms as f64).max(20.0) + 5.0 + BEAT_MS + 5.0;
                assert!(outcome.delay_max_ms <= most, "{most}");
                assert!(outcome.target_ms <= (jitter_ms as f64 + 5.0).max(20.0));
            });
        }
    }
}

#[test]
fn bursts_of_loss_cost_what_was_lost() {
    for (jitter_ms, drift_ppm) in [(0, 0), (40, 200), (40, -200)] {
        let network = Network {
            loss_per_million: 20_000,
            burst_max: 5,
            jitter_ms,
            drift_ppm,
            ..Network::CLEAN
        };
        each_seed(network, |outcome| {
            assert!(outcome.late * 1_000 <= outcome.sent);
            let made_up = outcome.missing_ms + outcome.silence_ms;
            let lost = outcome.lost * 20;
            assert!(made_up * 100 <= lost * 102, "{made_up} for {lost}");
            assert!(made_up * 100 >= lost * 97, "{made_up} for {lost}");
            // Of about 560 bursts most are seen early enough for the copy in the next packet.
            assert!(outcome.fec_chances >= 400);
            assert!(outcome.delay_max_ms <= jitter_ms as f64 + 20.0 + BEAT_MS + 10.0);
        });
    }
}

#[test]
fn reordering_is_learned() {
    let network = Network {
        swap_per_million: 20_000,
        ..Network::CLEAN
    };
    each_seed(network, |outcome| {
        assert!(outcome.late <= 20, "of 600 that were overtaken");
        assert!(outcome.delay_max_ms <= 45.0 + BEAT_MS + 5.0);
    });
}

#[test]
fn silences_are_not_loss_and_correct_the_delay() {
    for drift_ppm in [-200, 0, 200] {
        for comfort_noise in [false, true] {
            let network = Network {
                talk_ms: 5_000,
                pause_ms: 4_000,
                drift_ppm,
                comfort_noise,
                ..Network::CLEAN
            };
            each_seed(network, |outcome| {
                assert_eq!(outcome.played, outcome.sent);
                let made_up = outcome.missing_ms + outcome.silence_ms;
                assert!(made_up.abs_diff(outcome.paused_ms) <= 1_000);
                if comfort_noise {
                    assert_eq!(outcome.missing_ms, 0, "it was announced");
                } else {
                    // The start of an unannounced pause cannot be told from loss.
                    assert!(outcome.missing_ms <= 100 * (outcome.underruns + 1));
                }
                assert!(outcome.delay_max_ms <= 20.0 + BEAT_MS + 10.0);
            });
        }
    }
}

#[test]
fn everything_at_once_stays_bounded() {
    for packet_ms in [10, 20, 30, 60] {
        let network = Network {
            packet_ms,
            jitter_ms: 80,
            loss_per_million: 10_000,
            burst_max: 4,
            swap_per_million: 5_000,
            drift_ppm: 200,
            talk_ms: 8_000,
            pause_ms: 3_000,
            comfort_noise: true,
            ..Network::CLEAN
        };
        each_seed(network, |outcome| {
            assert!(outcome.late * 100 <= outcome.sent, "late above 1 %");
            assert!(outcome.delay_max_ms <= 200.0 + BEAT_MS);
            assert!(outcome.delay_mean_ms <= 160.0);
        });
    }
}
