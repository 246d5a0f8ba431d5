//! Random comings, goings and changes; after every tick every index points at
//! what points back at it, and every leg got what was its due.

use std::collections::BTreeMap;

use plenum_abi::AudioCodec;
use plenum_codecs::AudioDecoder;

use super::*;
use crate::{Packet, PacketKind};

/// Marsaglia's xorshift64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 16) as usize % bound
    }

    fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    fn leg(&mut self) -> MixLeg {
        // Opus is dear to encode in tests; the others take the same paths.
        let codec = match self.below(10) {
            0 => AudioCodec::Opus,
            1..4 => AudioCodec::G722,
            4..7 => AudioCodec::Pcma,
            _ => AudioCodec::Pcmu,
        };
        let gain = |random: &mut Self| match random.below(4) {
            0 => random.below(60_000) as i16,
            _ => 0,
        };
        MixLeg {
            codec,
            packet_ms: [10, 20, 20, 40][self.below(4)],
            rx_muted: self.one_in(5),
            tx_muted: self.one_in(5),
            rx_gain_centibels: gain(self),
            tx_gain_centibels: gain(self),
            automatic_gain: self.one_in(2),
            bit_rate_bps_max: [0, 16_000, 64_000, 1][self.below(4)],
            discontinuous: self.one_in(3),
            loss_percent: [0, 0, 5, 100][self.below(4)],
            shares_screen: self.one_in(8),
        }
    }
}

struct Far {
    config: MixLeg,
    /// What it says: nothing, or a loudness and a rate.
    says: Option<(i32, Rate)>,
    packets: Vec<(u32, u32, PacketKind)>,
}

struct World {
    tick: u64,
    random: Random,
    legs: BTreeMap<u32, Far>,
}

impl TickIo for World {
    fn pull(&mut self, leg: LegKey, _need: Need, pcm: &mut [i16; FRAME_SAMPLES_MAX]) -> Pulled {
        let far = &self.legs[&leg.0];
        match far.says {
            None => Pulled::Silence,
            Some((loud, rate)) => {
                for sample in &mut pcm[..rate.samples()] {
                    *sample = (self.random.below(65_536) as i32 * loud / 32_768 - loud) as i16;
                }
                Pulled::Sound(rate)
            }
        }
    }

    fn push(&mut self, legs: &[LegKey], packet: &Packet<'_>) {
        assert!(!legs.is_empty() && !packet.payload.is_empty());
        for leg in legs {
            let far = self.legs.get_mut(&leg.0).expect("a leg that is in");
            far.packets
                .push((packet.timestamp, packet.samples, packet.kind));
            let codec = far.config.codec;
            let units = codec.rtp_clock_hz() / 1_000 * u32::from(far.config.packet_ms);
            assert_eq!(packet.samples, units);
            if packet.kind == PacketKind::Audio {
                let samples = AudioDecoder::samples(codec, packet.payload).expect("a payload");
                let wanted = Rate::of(codec).samples() * usize::from(far.config.packet_ms) / 20;
                assert_eq!(samples, wanted);
            } else {
                assert!(far.config.discontinuous);
            }
        }
    }
}

/// What a leg must have got in this tick.
fn check_packets(far: &mut Far, tick: u64) {
    let units = far.config.codec.rtp_clock_hz() / 50;
    let now = (tick as u32).wrapping_mul(units);
    let due: Vec<u32> = match far.config.packet_ms {
        10 => vec![now, now.wrapping_add(units / 2)],
        40 if tick % 2 == 1 => vec![now.wrapping_sub(units)],
        40 => vec![],
        _ => vec![now],
    };
    let got: Vec<u32> = far.packets.iter().map(|packet| packet.0).collect();
    if far.config.discontinuous {
        assert!(got.iter().all(|timestamp| due.contains(timestamp)));
    } else {
        assert_eq!(got, due);
    }
    far.packets.clear();
}

fn soak(seed: u64, ticks: u64) {
    eprintln!("seed {seed}");
    let legs_max = 24;
    let mut random = Random(seed * 2 + 1);
    let mut world = World {
        tick: 0,
        random: Random(seed * 2 + 0x1234_5679),
        legs: BTreeMap::new(),
    };
    let mut conference = Conference::new(MixPolicy::default(), legs_max);
    for tick in 0..ticks {
        world.tick = tick;
        if random.one_in(40) {
            conference.set_policy(MixPolicy {
                speakers_max: random.below(6) as u8,
                join_tone_participants_max: random.below(30) as u8,
                leave_tone_participants_max: random.below(30) as u8,
                opus_complexity: 0,
            });
        }
        for _ in 0..random.below(3) {
            let key = random.below(40) as u32;
            let config = random.leg();
            if random.one_in(3) {
                let was = world.legs.remove(&key);
                assert_eq!(conference.remove_leg(LegKey(key)), was.is_some());
            } else if let Err(error) = conference.set_leg(LegKey(key), config) {
                assert_eq!(error, SetLegError::Full);
                assert_eq!(world.legs.len(), legs_max);
                assert!(!world.legs.contains_key(&key));
            } else {
                let far = world.legs.entry(key).or_insert(Far {
                    config,
                    says: None,
                    packets: Vec::new(),
                });
                far.config = config;
            }
        }
        for far in world.legs.values_mut() {
            if random.one_in(20) {
                let loud = 1 << (random.below(16));
                let rate = Rate::ALL[random.below(3)];
                far.says = (!random.one_in(3)).then_some((loud, rate));
            }
        }
        conference.tick(&mut world);
        conference.seats.check();
        let max = conference.policy.speakers();
        conference.speakers.check(max, conference.len());
        for far in world.legs.values_mut() {
            check_packets(far, tick);
        }
    }
    assert_eq!(conference.len(), world.legs.len());
    assert_eq!(conference.counters().encode_failures, 0);
    // Everybody goes, and all that was theirs goes with them.
    for (key, _) in core::mem::take(&mut world.legs) {
        assert!(conference.remove_leg(LegKey(key)));
        conference.seats.check();
    }
    for _ in 0..30 {
        conference.tick(&mut world);
    }
    conference.speakers.check(0, 0);
    assert!(conference.seats.groups.iter().all(Option::is_none));
}

#[test]
fn comings_goings_and_changes() {
    for seed in 1..=5 {
        soak(seed, 1_000);
    }
}

#[test]
fn a_conference_may_be_empty() {
    soak(99, 0);
}
