//! Who hears whom, how loud, and without a click.

mod common;

use common::{Sim, amplitude, db, gated, leg, silent, steepest, tone};
use plenum_abi::AudioCodec;
use plenum_mixer::{Conference, LegKey, MixPolicy, PacketKind, Pulled, Rate};

const PCMU: AudioCodec = AudioCodec::Pcmu;

fn sim(speakers_max: u8) -> Sim {
    let policy = MixPolicy {
        speakers_max,
        ..MixPolicy::default()
    };
    Sim::new(Conference::new(policy, 1_000))
}

/// PCMU, G.722 and Opus say 440, 660 and 880 Hz for 20 s. Each hears the other
/// two as loud as they are, and itself 40 dB below; every 20 ms hold a packet,
/// and sound.
#[test]
fn three_codecs_hear_each_other_and_not_themselves() {
    let mut sim = sim(0);
    let legs = [
        (0, AudioCodec::Pcmu, 440.0),
        (1, AudioCodec::G722, 660.0),
        (2, AudioCodec::Opus, 880.0),
    ];
    for (key, codec, hz) in legs {
        sim.join(key, leg(codec), tone(Rate::of(codec), hz, 6_000.0));
    }
    sim.run(1_000);
    for (key, codec, own_hz) in legs {
        let far = sim.far(key);
        assert_eq!(far.received.len(), 1_000);
        let units = codec.rtp_clock_hz() / 50;
        for (index, packet) in far.received.iter().enumerate() {
            assert_eq!(packet.timestamp, index as u32 * units);
            assert_eq!((packet.samples, packet.marker), (units, false));
        }
        let heard = sim.heard_since(key, 50);
        let rate = far.rate_hz();
        for (_, _, hz) in legs {
            let level = db(amplitude(&heard, hz, rate) / 6_000.0);
            if hz == own_hz {
                assert!(level < -40.0, "{codec:?} hears itself at {level:.1} dB");
            } else {
                assert!(
                    level.abs() < 1.0,
                    "{codec:?} hears {hz} Hz at {level:.1} dB"
                );
            }
        }
        let frame = rate as usize / 50;
        for (index, frame) in heard.chunks(frame).enumerate() {
            let energy: f64 = frame.iter().map(|&s| f64::from(s).powi(2)).sum();
            let rms = (energy / frame.len() as f64).sqrt();
            assert!(rms > 1_500.0, "{codec:?}: frame {index} at {rms:.0}");
        }
    }
}

/// A leg may say something at another rate than it hears at.
#[test]
fn what_is_said_at_another_rate_is_not_heard_back() {
    let mut sim = sim(0);
    sim.join(0, leg(AudioCodec::Opus), tone(Rate::Hz8000, 440.0, 6_000.0));
    sim.join(1, leg(PCMU), tone(Rate::Hz48000, 660.0, 6_000.0));
    sim.join(2, leg(AudioCodec::G722), tone(Rate::Hz8000, 880.0, 6_000.0));
    sim.run(250);
    for (key, hears) in [
        (0, [660.0, 880.0]),
        (1, [440.0, 880.0]),
        (2, [440.0, 660.0]),
    ] {
        let heard = sim.heard_since(key, 50);
        let rate = sim.far(key).rate_hz();
        for hz in [440.0, 660.0, 880.0] {
            let level = db(amplitude(&heard, hz, rate) / 6_000.0);
            if hears.contains(&hz) {
                assert!(level.abs() < 1.0, "{key} hears {hz} Hz at {level:.1} dB");
            } else {
                assert!(level < -40.0, "{key} hears itself at {level:.1} dB");
            }
        }
    }
}

/// Each speaker's payload is, to the bit, the G.711 code of the exact sum of
/// the others, computed in f64.
#[test]
fn minus_one_is_exact() {
    use plenum_kernels::audio::g711;

    let mut sim = sim(8);
    let signal = |key: u64, tick: u64, index: usize| {
        let at = (tick * 160 + index as u64) as f64;
        let noise = (at * (12.989 + key as f64)).sin() * 43_758.545;
        (at * 0.02 * (key + 1) as f64).sin() * 2_500.0 + (noise - noise.floor() - 0.5) * 2_000.0
    };
    for key in 0..6 {
        let source = move |tick: u64, pcm: &mut [i16; 960]| {
            for (index, sample) in pcm[..160].iter_mut().enumerate() {
                *sample = signal(u64::from(key), tick, index) as i16;
            }
            Pulled::Sound(Rate::Hz8000)
        };
        sim.join(key, leg(PCMU), Box::new(source));
    }
    sim.run(200);
    for key in 0..6 {
        for packet in &sim.far(key).received[2..] {
            let sums: Vec<i16> = (0..160)
                .map(|index| {
                    let others = (0..6).filter(|&other| other != u64::from(key));
                    let sum: f64 = others
                        .map(|other| f64::from(signal(other, packet.tick, index) as i16))
                        .sum();
                    sum.clamp(-32_768.0, 32_767.0) as i16
                })
                .collect();
            let expected: Vec<u8> = sums.into_iter().map(g711::scalar::linear_to_ulaw).collect();
            assert_eq!(packet.payload, expected, "leg {key}, tick {}", packet.tick);
        }
    }
}

/// A screen is heard at every rate by everybody but its owner, who hears the others: also
/// while the owner is muted, beside as many speakers as there may be, and it is never
/// who speaks.
#[test]
fn a_shared_screen_is_heard_by_all_but_its_owner() {
    const SCREEN_HZ: f64 = 1_000.0;
    let mut sim = sim(12);
    sim.join(
        0,
        leg(AudioCodec::Opus),
        tone(Rate::Hz48000, 440.0, 3_000.0),
    );
    sim.join(1, leg(PCMU), silent());
    sim.join(
        2,
        leg(AudioCodec::Opus),
        tone(Rate::Hz48000, 600.0, 3_000.0),
    );
    let screen = tone(Rate::Hz48000, SCREEN_HZ, 1_000.0);
    sim.world.screens.insert(0, screen);
    sim.change(0, |leg| leg.shares_screen = true);
    let part = |sim: &Sim, key: u32, hz: f64| {
        let since = sim.world.tick - 50;
        let heard = sim.heard_since(key, since);
        db(amplitude(&heard, hz, sim.far(key).rate_hz()) / 1_000.0)
    };
    sim.run(150);
    for key in [1, 2] {
        let level = part(&sim, key, SCREEN_HZ);
        assert!(level > -3.0, "{key} hears the screen at {level} dB");
    }
    let own = (part(&sim, 0, SCREEN_HZ), part(&sim, 0, 440.0));
    assert!(
        own.0 < -30.0 && own.1 < -30.0,
        "the owner hears itself: {own:?} dB"
    );
    assert!(part(&sim, 0, 600.0) > 5.0, "and the others");

    sim.change(0, |leg| leg.rx_muted = true);
    (10..16).for_each(|key| sim.join(key, leg(PCMU), tone(Rate::Hz8000, 300.0, 4_000.0)));
    sim.run(200);
    assert_ne!(sim.conference.active_speaker(), Some(LegKey(0)));
    assert!(
        part(&sim, 1, SCREEN_HZ) > -6.0,
        "muted, among many speakers"
    );
    assert!(part(&sim, 0, SCREEN_HZ) < -30.0);

    sim.change(0, |leg| leg.shares_screen = false);
    sim.run(100);
    let level = part(&sim, 1, SCREEN_HZ);
    assert!(level < -20.0, "it is over: {level} dB");
    sim.change(0, |leg| leg.shares_screen = true);
    sim.run(10);
    sim.leave(0);
    sim.run(100);
    let level = part(&sim, 1, SCREEN_HZ);
    assert!(level < -20.0, "it has left: {level} dB");
}

/// The only one who is heard hears nothing, also by two ways.
#[test]
fn who_talks_alone_over_a_screen_hears_silence() {
    let mut sim = sim(4);
    sim.join(0, leg(PCMU), tone(Rate::Hz8000, 440.0, 3_000.0));
    sim.join(1, leg(PCMU), silent());
    sim.world
        .screens
        .insert(0, tone(Rate::Hz8000, 1_000.0, 2_000.0));
    sim.change(0, |leg| leg.shares_screen = true);
    sim.run(100);
    let heard = sim.heard_since(0, 50);
    assert!(
        heard.iter().all(|sample| sample.unsigned_abs() < 8),
        "{heard:?}"
    );
    let heard = sim.heard_since(1, 50);
    for hz in [440.0, 1_000.0] {
        assert!(amplitude(&heard, hz, 8_000) > 1_500.0, "{hz} Hz");
    }
}

/// Six full-scale speakers: quieter, not cut. What a limiter leaves of a sine
/// is a sine; cutting would leave odd harmonics at -10 dB.
#[test]
fn loud_mixes_are_limited_and_not_cut() {
    let mut sim = sim(6);
    for key in 0..6 {
        sim.join(key, leg(PCMU), tone(Rate::Hz8000, 500.0, 30_000.0));
    }
    sim.join(9, leg(AudioCodec::G722), silent());
    sim.run(100);
    let heard = sim.heard_since(9, 25);
    let level = amplitude(&heard, 500.0, 16_000);
    let third = amplitude(&heard, 1_500.0, 16_000);
    assert!(level > 28_000.0 && level < 33_000.0, "{level:.0}");
    assert!(db(third / level) < -40.0, "{:.1} dB", db(third / level));
}

/// Nobody comes or goes with a step: newcomers, the outspoken, the muted, the
/// silent and those who leave. All tones begin at their peak.
#[test]
fn comings_and_goings_do_not_click() {
    let mut sim = sim(2);
    sim.join(99, leg(PCMU), silent());
    // mu-law's own steps at this loudness.
    let coarse = 260.0;
    let bound = |hz: f64, amplitude: f64| std::f64::consts::TAU * hz / 8_000.0 * amplitude;
    sim.join(
        0,
        leg(PCMU),
        gated(Rate::Hz8000, 300.0, 4_000.0, |t| (10..50).contains(&t)),
    );
    sim.join(
        1,
        leg(PCMU),
        gated(Rate::Hz8000, 350.0, 3_900.0, |t| t >= 20),
    );
    sim.join(
        2,
        leg(PCMU),
        gated(Rate::Hz8000, 400.0, 8_000.0, |t| t >= 40),
    );
    sim.join(
        3,
        leg(PCMU),
        gated(Rate::Hz8000, 450.0, 8_000.0, |t| t >= 80),
    );
    sim.run(120);
    sim.change(2, |leg| leg.rx_muted = true);
    sim.run(20);
    sim.change(2, |leg| leg.rx_muted = false);
    sim.run(20);
    sim.change(3, |leg| leg.rx_gain_centibels = -600);
    sim.run(20);
    sim.leave(3);
    sim.run(20);
    let heard = sim.heard_since(99, 0);
    let bound = bound(400.0, 8_000.0) + bound(450.0, 8_000.0) + coarse;
    for (tick, frames) in heard.windows(320).step_by(160).enumerate() {
        let worst = steepest(frames);
        assert!(worst < bound, "tick {tick}: {worst} against {bound:.0}");
    }
    // The test can fail: without ramps a tone's beginning is a step of 8,000.
    assert!(bound < 7_500.0);
}

#[test]
fn ten_talkers_leave_four_places() {
    let mut sim = sim(4);
    let hz = |key: u32| 400.0 + 250.0 * f64::from(key);
    // Softer and softer by 1 dB; the last one shouts from tick 100 on.
    for key in 0..9 {
        let loud = 4_000.0 * 10_f64.powf(-f64::from(key) / 20.0);
        sim.join(key, leg(PCMU), tone(Rate::Hz8000, hz(key), loud));
    }
    sim.join(
        9,
        leg(PCMU),
        gated(Rate::Hz8000, hz(9), 12_000.0, |t| t >= 100),
    );
    sim.join(50, leg(PCMU), silent());
    let heard_tones = |sim: &Sim, from: u64, to: u64| -> Vec<u32> {
        let heard = sim.heard_since(50, from);
        let heard = &heard[..(to - from) as usize * 160];
        (0..10)
            .filter(|&key| amplitude(heard, hz(key), 8_000) > 500.0)
            .collect()
    };
    sim.run(200);
    for from in (10..80).step_by(10) {
        let tones = heard_tones(&sim, from, from + 20);
        assert_eq!(tones.len(), 4, "at {from}: {tones:?}");
    }
    // 200 ms after it began the newcomer is heard, and three others.
    let tones = heard_tones(&sim, 110, 120);
    assert!(tones.contains(&9) && tones.len() == 4, "{tones:?}");
    assert_eq!(sim.conference.active_speaker(), Some(LegKey(9)));
}

/// Talkers of nearly the same loudness do not take turns.
#[test]
fn places_are_not_passed_around() {
    let mut sim = sim(3);
    for key in 0..8 {
        let source = move |tick: u64, pcm: &mut [i16; 960]| {
            // Loudness wanders by 2 dB, each at its own pace.
            let wander = (tick as f64 * (0.11 + 0.03 * f64::from(key))).sin();
            let loud = 4_000.0 * 10_f64.powf(wander / 20.0);
            for (index, sample) in pcm[..160].iter_mut().enumerate() {
                let at = (tick * 160 + index as u64) as f64;
                *sample = (loud * (at * 0.3).sin()) as i16;
            }
            Pulled::Sound(Rate::Hz8000)
        };
        sim.join(key, leg(PCMU), Box::new(source));
    }
    let mut changes = 0;
    let mut before = None;
    for _ in 0..1_000 {
        sim.run(1);
        let own: Vec<u32> = sim
            .world
            .legs
            .iter()
            .filter(|(_, far)| far.received.last().is_some_and(|packet| !packet.shared))
            .map(|(&key, _)| key)
            .collect();
        assert!(own.len() <= 6);
        if before.as_ref().is_some_and(|before| *before != own) {
            changes += 1;
        }
        before = Some(own);
    }
    assert!(changes <= 2, "{changes} changes in 20 s");
}

#[test]
fn the_active_speaker_is_slow_to_change() {
    let mut sim = sim(0);
    // The second coughs for 80 ms, then speaks.
    let second = |t| (50..54).contains(&t) || t >= 100;
    sim.join(0, leg(PCMU), tone(Rate::Hz8000, 300.0, 3_000.0));
    sim.join(1, leg(PCMU), gated(Rate::Hz8000, 500.0, 6_000.0, second));
    assert_eq!(sim.conference.active_speaker(), None);
    sim.run(50);
    assert_eq!(sim.conference.active_speaker(), Some(LegKey(0)));
    for _ in 50..100 {
        sim.run(1);
        assert_eq!(sim.conference.active_speaker(), Some(LegKey(0)));
    }
    sim.run(10);
    assert_eq!(
        sim.conference.active_speaker(),
        Some(LegKey(1)),
        "after 200 ms"
    );
    let levels: Vec<_> = sim.conference.levels().collect();
    assert!(
        matches!(levels[..], [(LegKey(0), 23..=25), (LegKey(1), 17..=19)]),
        "{levels:?}"
    );
    sim.leave(1);
    sim.run(2);
    assert_eq!(sim.conference.active_speaker(), Some(LegKey(0)));
}

#[test]
fn mutes_and_gains() {
    let mut sim = sim(0);
    sim.join(0, leg(PCMU), tone(Rate::Hz8000, 440.0, 4_000.0));
    sim.join(1, leg(PCMU), tone(Rate::Hz8000, 660.0, 4_000.0));
    sim.join(2, leg(AudioCodec::G722), silent());
    let hears = |sim: &mut Sim, key: u32| {
        sim.run(10);
        sim.forget();
        let from = sim.world.tick;
        sim.run(50);
        let heard = sim.heard_since(key, from);
        let rate = sim.far(key).rate_hz();
        [440.0, 660.0]
            .map(|hz| db((amplitude(&heard, hz, rate) / 4_000.0).max(1e-6)).round() as i32)
    };
    assert_eq!(hears(&mut sim, 2), [0, 0]);
    sim.change(0, |leg| leg.rx_muted = true);
    assert!(matches!(hears(&mut sim, 2), [..-40, 0]));
    assert!(hears(&mut sim, 0)[1] == 0, "a muted leg hears");
    sim.change(0, |leg| leg.rx_muted = false);
    sim.change(2, |leg| leg.tx_muted = true);
    assert!(matches!(hears(&mut sim, 2), [..-40, ..-40]));
    sim.change(2, |leg| {
        leg.tx_muted = false;
        leg.tx_gain_centibels = -600;
    });
    assert_eq!(hears(&mut sim, 2), [-6, -6]);
    assert!(!sim.far(2).received[0].shared);
    sim.change(2, |leg| leg.tx_gain_centibels = 0);
    sim.change(1, |leg| leg.rx_gain_centibels = 600);
    assert_eq!(hears(&mut sim, 2), [0, 6]);
    assert!(sim.far(2).received[0].shared);
    // A speaker with a gain hears the other at it, and not himself.
    sim.change(0, |leg| leg.tx_gain_centibels = 300);
    assert!(matches!(hears(&mut sim, 0), [..-40, 9]));
    // A speaker who is to hear nothing.
    sim.change(1, |leg| leg.tx_muted = true);
    assert!(matches!(hears(&mut sim, 1), [..-40, ..-40]));
    assert_eq!(hears(&mut sim, 2), [0, 6]);
}

#[test]
fn automatic_gain_brings_voices_together() {
    let mut sim = sim(0);
    let mut soft = leg(PCMU);
    soft.automatic_gain = true;
    sim.join(0, soft, tone(Rate::Hz8000, 440.0, 600.0)); // -38 dBov
    sim.join(1, leg(PCMU), silent());
    sim.run(600);
    let settled = amplitude(&sim.heard_since(1, 550), 440.0, 8_000);
    assert!((db(settled / 600.0) - 12.0).abs() < 1.0, "{settled:.0}");
}

/// Chimes: rising for joining, falling for leaving, heard by all who are there,
/// the newcomer included, up to the thresholds.
#[test]
fn chimes_follow_the_thresholds() {
    let policy = MixPolicy {
        join_tone_participants_max: 3,
        leave_tone_participants_max: 2,
        ..MixPolicy::default()
    };
    let mut sim = Sim::new(Conference::new(policy, 10));
    // What leg 0 hears in the next second: first the low or the high note?
    let chime = |sim: &mut Sim, key: u32| {
        sim.forget();
        let from = sim.world.tick;
        sim.run(50);
        let heard = sim.heard_since(key, from);
        let note = |from: usize| {
            let part = &heard[from..from + 800];
            match [659.26, 880.0].map(|hz| amplitude(part, hz, 8_000) > 2_000.0) {
                [true, false] => 'L',
                [false, true] => 'H',
                _ => '-',
            }
        };
        [note(80), note(1_040)]
    };
    for (key, expected) in [
        (0, ['L', 'H']),
        (1, ['L', 'H']),
        (2, ['L', 'H']),
        (3, ['-', '-']),
    ] {
        sim.join(key, leg(PCMU), silent());
        assert_eq!(
            chime(&mut sim, key),
            expected,
            "{} legs, the newcomer",
            key + 1
        );
        if key == 1 {
            sim.leave(1);
            assert_eq!(chime(&mut sim, 0), ['H', 'L'], "one is left");
            sim.join(1, leg(PCMU), silent());
            assert_eq!(chime(&mut sim, 0), ['L', 'H'], "those who were there");
        }
    }
    // A change is no joining.
    sim.leave(3);
    assert_eq!(chime(&mut sim, 0), ['-', '-'], "three are left");
    sim.change(2, |leg| leg.rx_gain_centibels = 100);
    assert_eq!(chime(&mut sim, 0), ['-', '-']);
    sim.leave(2);
    assert_eq!(chime(&mut sim, 0), ['H', 'L'], "two are left");
    // Nor is coming back after a restart.
    let before = sim.world.legs.len();
    sim.conference.restore_leg(LegKey(2), leg(PCMU)).unwrap();
    sim.conference.remove_leg(LegKey(2));
    sim.conference.set_policy(MixPolicy::default());
    assert_eq!(sim.world.legs.len(), before);
    sim.run(50);
    sim.conference.restore_leg(LegKey(0), leg(PCMU)).unwrap();
    assert_eq!(chime(&mut sim, 0), ['-', '-']);
    sim.join(5, leg(PCMU), silent());
    assert_eq!(chime(&mut sim, 0), ['-', '-'], "off");
}

#[test]
fn comfort_noise_and_opus_dtx_end_sending() {
    let mut sim = sim(0);
    for (key, codec) in AudioCodec::ALL.into_iter().enumerate() {
        let mut config = leg(codec);
        config.discontinuous = true;
        sim.join(key as u32, config, silent());
    }
    let speaks = |t| (100..200).contains(&t);
    sim.join(9, leg(PCMU), gated(Rate::Hz8000, 500.0, 6_000.0, speaks));
    sim.run(600);
    for (key, codec) in AudioCodec::ALL.into_iter().enumerate() {
        let received = &sim.far(key as u32).received;
        let units = codec.rtp_clock_hz() / 50;
        let during = |from: u64, to: u64| {
            received
                .iter()
                .filter(move |packet| (from..to).contains(&packet.tick))
        };
        assert_eq!(during(101, 200).count(), 99, "{codec:?}");
        let quiet = during(300, 600).count();
        assert!(
            quiet <= 20,
            "{codec:?}: {quiet} packets in six silent seconds"
        );
        if codec != AudioCodec::Opus {
            let noise = during(300, 600).filter(|packet| packet.kind == PacketKind::ComfortNoise);
            assert!((4..=8).contains(&noise.count()));
        }
        let first = during(100, 103).find(|packet| packet.marker);
        assert!(
            first.is_some(),
            "{codec:?}: a talk spurt begins with a marker"
        );
        for packet in received {
            assert_eq!(packet.timestamp, packet.tick as u32 * units, "{codec:?}");
        }
    }
    assert_eq!(
        sim.far(9).received.len(),
        600,
        "not everybody may fall silent"
    );
}

/// Thirty legs, three places: some talk in turns, some are louder than others, most
/// are a quiet room. Who reads levels first hears the same, to the bit, and has decoded
/// little more than the talkers.
#[test]
fn levels_spare_decoding_and_change_nothing() {
    let run = |has_levels: bool| {
        let mut sim = sim(3);
        sim.world.has_levels = has_levels;
        sim.join(99, leg(PCMU), silent());
        for key in 0..30_u32 {
            let hz = 300.0 + 40.0 * f64::from(key);
            let source = match key {
                0..6 => {
                    let loud = 3_000.0 + 700.0 * f64::from(key);
                    gated(Rate::Hz8000, hz, loud, move |tick| {
                        (tick / 40 + u64::from(key) * 3) % 7 < 3
                    })
                }
                // -63 dBov.
                _ => tone(Rate::Hz8000, hz, 33.0),
            };
            sim.join(key, leg(PCMU), source);
        }
        sim.run(600);
        let talkers: u64 = (0..6).map(|key| sim.world.decoded[&key]).sum();
        let quiet = (6..30).map(|key| sim.world.decoded.get(&key).copied().unwrap_or(0));
        (sim.heard_since(99, 0), talkers, quiet.sum::<u64>())
    };
    let (heard, talkers, quiet) = run(true);
    let (all_heard, all_talkers, all_quiet) = run(false);
    assert_eq!(heard, all_heard);
    assert_eq!(all_quiet, 24 * 600);
    assert_eq!(quiet, 0);
    // Nor is a talker decoded who finds no place.
    assert!(talkers < all_talkers, "{talkers} of {all_talkers}");
}

/// Who claims silence and talks is not heard; who claims to be loud and says nothing
/// takes nobody's place.
#[test]
fn a_liar_gains_nothing() {
    let mut sim = sim(1);
    sim.join(0, leg(PCMU), tone(Rate::Hz8000, 440.0, 3_000.0));
    sim.join(9, leg(PCMU), silent());
    let unheard = |level| {
        Box::new(move |_, _: &mut [i16; 960]| Pulled::Unheard {
            level_dbov: Some(level),
        })
    };
    sim.join(1, leg(PCMU), unheard(127));
    // It claims 0 dBov, is asked for its sound, and that is silence.
    sim.join(2, leg(PCMU), gated(Rate::Hz8000, 600.0, 0.0, |_| true));
    sim.run(100);
    let heard = sim.heard_since(9, 10);
    assert!(db(amplitude(&heard, 440.0, 8_000) / 3_000.0).abs() < 0.5);
    assert_eq!(sim.conference.active_speaker(), Some(LegKey(0)));
    // Whatever is claimed of what is not there is not mixed.
    sim.join(3, leg(PCMU), unheard(0));
    sim.run(50);
    assert_eq!(sim.conference.active_speaker(), Some(LegKey(0)));
    let levels: Vec<_> = sim.conference.levels().collect();
    assert!(levels.contains(&(LegKey(1), 127)), "{levels:?}");
}

/// A muted leg's sound is of no use, however loud, and is there at once afterwards.
#[test]
fn nothing_of_a_muted_leg_is_decoded() {
    let mut sim = sim(0);
    sim.world.has_levels = true;
    let mut muted = leg(PCMU);
    muted.rx_muted = true;
    sim.join(0, muted, tone(Rate::Hz8000, 440.0, 8_000.0));
    sim.join(1, leg(PCMU), silent());
    sim.run(100);
    assert_eq!(sim.world.decoded.get(&0), None);
    sim.change(0, |leg| leg.rx_muted = false);
    sim.run(3);
    assert_eq!(sim.world.decoded[&0], 3);
}
