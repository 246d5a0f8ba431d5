//! Work once, share it: how many encodes, who gets them, and when.

mod common;

use common::{Sim, amplitude, db, gated, leg, silent, steepest, tone};
use plenum_abi::AudioCodec;
use plenum_mixer::{Conference, LegKey, MixPolicy, Rate, SetLegError};

fn sim() -> Sim {
    Sim::new(Conference::new(MixPolicy::default(), 1_000))
}

#[test]
fn a_hundred_listeners_cost_one_encode() {
    let mut sim = sim();
    sim.join(0, leg(AudioCodec::Pcmu), tone(Rate::Hz8000, 440.0, 6_000.0));
    for key in 1..=100 {
        sim.join(key, leg(AudioCodec::Pcmu), silent());
    }
    sim.run(10);
    let before = sim.conference.counters();
    sim.run(50);
    let after = sim.conference.counters();
    assert_eq!(after.ticks - before.ticks, 50);
    // The speaker's own, and one for everybody else.
    assert_eq!(after.encodes - before.encodes, 2 * 50);
    assert_eq!(after.shared_sends - before.shared_sends, 99 * 50);
    assert_eq!(sim.world.pushes, 2);
    for key in 0..=100 {
        assert_eq!(sim.far(key).received.len(), 60);
        assert_eq!(sim.far(key).received[59].shared, key != 0);
    }
    // Whoever asks for a gain pays for it.
    sim.change(7, |leg| leg.tx_gain_centibels = 300);
    sim.run(10);
    assert_eq!(sim.conference.counters().encodes - after.encodes, 3 * 10);
}

#[test]
fn one_encode_for_each_codec_and_packet_time() {
    let mut sim = sim();
    sim.join(0, leg(AudioCodec::Pcmu), tone(Rate::Hz8000, 440.0, 6_000.0));
    let mut key = 1;
    for codec in AudioCodec::ALL {
        for packet_ms in [20, 40] {
            for _ in 0..5 {
                let mut config = leg(codec);
                config.packet_ms = packet_ms;
                sim.join(key, config, silent());
                key += 1;
            }
        }
    }
    sim.run(10);
    let before = sim.conference.counters().encodes;
    sim.run(20);
    // The speaker's own; four codecs every tick and every second tick.
    let encodes = sim.conference.counters().encodes - before;
    assert_eq!(encodes, 20 + 4 * 20 + 4 * 10);
}

/// Legs that hear alike though their bounds differ a little.
#[test]
fn opus_legs_share_by_class() {
    let mut sim = sim();
    sim.join(0, leg(AudioCodec::Pcmu), tone(Rate::Hz8000, 440.0, 6_000.0));
    for (key, bit_rate, loss) in [
        (1, 0, 0),
        (2, 64_000, 1),
        (3, 40_000, 0),
        (4, 24_000, 0),
        (5, 31_000, 0),
        (6, 0, 3),
        (7, 0, 7),
        (8, 0, 20),
    ] {
        let mut config = leg(AudioCodec::Opus);
        config.bit_rate_bps_max = bit_rate;
        config.loss_percent = loss;
        sim.join(key, config, silent());
    }
    sim.run(5);
    let before = sim.conference.counters().encodes;
    sim.run(10);
    // 32k, 24k, 32k with some loss, 32k with much loss; and the speaker's own.
    assert_eq!(sim.conference.counters().encodes - before, 10 * 5);
    // A report just below the bound does not move the leg back.
    sim.change(6, |leg| leg.loss_percent = 1);
    sim.run(1);
    assert_eq!(
        sim.far(6).received.last().unwrap().payload,
        sim.far(7).received.last().unwrap().payload
    );
    sim.change(6, |leg| leg.loss_percent = 0);
    sim.run(1);
    assert_eq!(
        sim.far(6).received.last().unwrap().payload,
        sim.far(1).received.last().unwrap().payload
    );
}

/// Packets of 10 and 40 ms: whole, in time, aligned, and the sound in them is
/// unbroken though the leg goes to and fro between shared and own.
#[test]
fn packet_times_of_10_and_40_ms() {
    for codec in AudioCodec::ALL {
        for packet_ms in [10, 40] {
            let mut sim = sim();
            // Comes and goes at odd and even ticks.
            let speaks = |t| matches!(t % 200, 51..=70 | 130..=140);
            let mut config = leg(codec);
            config.packet_ms = packet_ms;
            sim.join(0, leg(AudioCodec::Pcmu), tone(Rate::Hz8000, 440.0, 6_000.0));
            sim.join(1, config, gated(Rate::of(codec), 1_000.0, 6_000.0, speaks));
            sim.join(2, config, silent());
            sim.run(400);
            let units = codec.rtp_clock_hz() / 1_000 * u32::from(packet_ms);
            for key in [1, 2] {
                let received = &sim.far(key).received;
                assert_eq!(received.len(), 8_000 / usize::from(packet_ms));
                for (index, packet) in received.iter().enumerate() {
                    let what = format!("{codec:?}, {packet_ms} ms, leg {key}, packet {index}");
                    assert_eq!(packet.timestamp, index as u32 * units, "{what}");
                    assert_eq!(packet.samples, units, "{what}");
                    if packet_ms == 40 {
                        assert_eq!(packet.tick % 2, 1, "{what}");
                    }
                }
            }
            let own = sim
                .far(1)
                .received
                .iter()
                .filter(|packet| !packet.shared)
                .count();
            assert!(own > 0 && own < sim.far(1).received.len());
            let heard = sim.far(1).heard();
            let rate = codec.sample_rate_hz();
            let settled = &heard[rate as usize / 2..];
            let other = db(amplitude(settled, 440.0, rate) / 6_000.0);
            let itself = db(amplitude(settled, 1_000.0, rate) / 6_000.0);
            assert!(other.abs() < 1.0, "{codec:?} {packet_ms}: {other:.1} dB");
            assert!(itself < -40.0, "{codec:?} {packet_ms}: {itself:.1} dB");
            // 6,000 at 440 Hz, with room for G.711's quantisation and Opus' seams.
            let bound = std::f64::consts::TAU * 440.0 / f64::from(rate) * 6_000.0 * 1.5 + 260.0;
            let worst = steepest(settled);
            assert!(
                worst < bound,
                "{codec:?} {packet_ms}: {worst} against {bound:.0}"
            );
        }
    }
}

/// Where each leg is alone with its codec, its stream comes from one encoder
/// for ever: G.722 is to the bit what it would be if the leg had never spoken.
#[test]
fn a_stream_goes_on_through_every_change() {
    let run = |others: u32| {
        let mut sim = sim();
        sim.join(0, leg(AudioCodec::Pcmu), tone(Rate::Hz8000, 440.0, 6_000.0));
        let speaks = |t| matches!(t % 100, 20..=30 | 55..=56);
        sim.join(
            1,
            leg(AudioCodec::G722),
            gated(Rate::Hz16000, 1_000.0, 6_000.0, speaks),
        );
        for key in 0..others {
            sim.join(10 + key, leg(AudioCodec::G722), silent());
        }
        sim.run(300);
        let received = &sim.far(1).received;
        assert!(received.iter().any(|packet| packet.shared));
        assert!(received.iter().any(|packet| !packet.shared));
        received
            .iter()
            .flat_map(|packet| packet.payload.clone())
            .collect::<Vec<u8>>()
    };
    let alone = run(0);
    // What leg 1 hears is the tone of leg 0, whatever leg 1 itself says.
    let mut sim = sim();
    sim.join(0, leg(AudioCodec::Pcmu), tone(Rate::Hz8000, 440.0, 6_000.0));
    sim.join(1, leg(AudioCodec::G722), silent());
    sim.run(300);
    let undisturbed: Vec<u8> = sim
        .far(1)
        .received
        .iter()
        .flat_map(|packet| packet.payload.clone())
        .collect();
    assert_eq!(alone, undisturbed);
    // Leaving an encoder that others share is exact as well. Coming back is not:
    // the others' encoder has heard leg 1.
    let among_others = run(3);
    assert_eq!(among_others[..160 * 50], undisturbed[..160 * 50]);
}

/// G.722 comes back in a pause, or after five seconds.
#[test]
fn a_seam_waits_for_a_pause() {
    for (pause_at, back) in [(150, 150..160), (10_000, 320..340)] {
        let mut sim = sim();
        let speaks = move |t| !(pause_at..pause_at + 20).contains(&t);
        let talker = gated(Rate::Hz16000, 440.0, 6_000.0, speaks);
        sim.join(0, leg(AudioCodec::G722), talker);
        let guest = gated(Rate::Hz16000, 660.0, 6_000.0, |t| t < 50);
        sim.join(1, leg(AudioCodec::G722), guest);
        sim.join(2, leg(AudioCodec::G722), silent());
        sim.run(400);
        let shared = |packet: &&common::Received| packet.shared;
        let first = sim
            .far(1)
            .received
            .iter()
            .find(shared)
            .map(|packet| packet.tick);
        assert!(first.is_some_and(|tick| back.contains(&tick)), "{first:?}");
    }
}

#[test]
fn the_bound_on_legs_holds() {
    let mut sim = Sim::new(Conference::new(MixPolicy::default(), 3));
    for key in 0..3 {
        sim.join(key, leg(AudioCodec::Pcmu), silent());
    }
    let full = sim.try_join(3, leg(AudioCodec::Pcmu), silent());
    assert_eq!(full, Err(SetLegError::Full));
    sim.change(2, |leg| leg.packet_ms = 40);
    sim.leave(0);
    sim.join(3, leg(AudioCodec::Pcmu), silent());
    let mut odd = leg(AudioCodec::Pcmu);
    odd.packet_ms = 30;
    let refused = sim.conference.set_leg(LegKey(3), odd);
    assert_eq!(refused, Err(SetLegError::PacketTime));
    assert!(!sim.conference.remove_leg(LegKey(77)));
    assert_eq!(sim.conference.len(), 3);
    sim.run(10);
}

/// The most that one worker holds, in one conference.
#[test]
fn sixteen_thousand_legs() {
    let mut sim = Sim::new(Conference::new(MixPolicy::default(), 16_384));
    for key in 0..16_384 {
        let source = if key % 1_000 == 0 {
            tone(Rate::Hz8000, 440.0, 3_000.0)
        } else {
            silent()
        };
        sim.join(key, leg(AudioCodec::Pcmu), source);
    }
    assert_eq!(
        sim.conference
            .set_leg(LegKey(16_384), leg(AudioCodec::Pcmu)),
        Err(SetLegError::Full)
    );
    sim.run(4);
    // Six speakers and everybody else.
    assert_eq!(sim.world.pushes, 7);
    assert!(sim.world.legs.values().all(|far| far.received.len() == 4));
    for key in 0..16_384 {
        sim.leave(key);
    }
    assert!(sim.conference.is_empty());
    sim.run(1);
}
