//! Legs with something to say, and what they hear.

#![allow(dead_code, reason = "each test binary uses some of it")]

use std::collections::BTreeMap;
use std::f64::consts::TAU;

use plenum_abi::AudioCodec;
use plenum_codecs::AudioDecoder;
use plenum_kernels::audio::level::{energy, level_dbov};
use plenum_mixer::{
    Conference, LegKey, MixLeg, Need, Packet, PacketKind, Pulled, Rate, SetLegError, TickIo,
};

/// What a leg says: fills a frame at the rate it tells, given the tick.
pub(crate) type Source = Box<dyn FnMut(u64, &mut [i16; 960]) -> Pulled>;

/// A packet as a leg got it.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) tick: u64,
    pub(crate) timestamp: u32,
    pub(crate) samples: u32,
    pub(crate) marker: bool,
    pub(crate) shared: bool,
    pub(crate) kind: PacketKind,
    pub(crate) payload: Vec<u8>,
}

/// One leg's side of it.
pub(crate) struct Far {
    pub(crate) config: MixLeg,
    pub(crate) source: Source,
    pub(crate) received: Vec<Received>,
}

impl Far {
    /// All that was received, decoded by one decoder.
    pub(crate) fn heard(&self) -> Vec<i16> {
        let mut decoder = AudioDecoder::new(self.config.codec).unwrap();
        let mut heard = Vec::new();
        let mut out = [0; plenum_codecs::FRAME_SAMPLES_MAX];
        for packet in &self.received {
            if packet.kind == PacketKind::Audio {
                let samples = decoder.decode(&packet.payload, &mut out).unwrap();
                heard.extend_from_slice(&out[..samples]);
            }
        }
        heard
    }

    pub(crate) fn rate_hz(&self) -> u32 {
        self.config.codec.sample_rate_hz()
    }
}

/// A conference and its legs.
pub(crate) struct Sim {
    pub(crate) conference: Conference,
    pub(crate) world: World,
}

#[derive(Default)]
pub(crate) struct World {
    pub(crate) tick: u64,
    pub(crate) legs: BTreeMap<u32, Far>,
    /// What screens sound like, by leg.
    pub(crate) screens: BTreeMap<u32, Source>,
    /// Pushes, and legs pushed to, in the last tick.
    pub(crate) pushes: usize,
    /// Levels are known before a frame is decoded, and what is not needed is not.
    pub(crate) has_levels: bool,
    /// Frames that were decoded, by leg.
    pub(crate) decoded: BTreeMap<u32, u64>,
}

impl TickIo for World {
    fn pull(&mut self, leg: LegKey, need: Need, pcm: &mut [i16; 960]) -> Pulled {
        let far = self.legs.get_mut(&leg.0).expect("a leg that was set");
        let pulled = (far.source)(self.tick, pcm);
        let Pulled::Sound(rate) = pulled else {
            return pulled;
        };
        if self.has_levels {
            let said = &pcm[..rate.samples()];
            let level_dbov = Some(level_dbov(energy(said), said.len()));
            if !need.covers(level_dbov) {
                pcm.fill(i16::MAX);
                return Pulled::Unheard { level_dbov };
            }
        }
        *self.decoded.entry(leg.0).or_default() += 1;
        pulled
    }

    fn pull_screen(&mut self, leg: LegKey, pcm: &mut [i16; 960]) -> Pulled {
        let screen = self.screens.get_mut(&leg.0).expect("a screen");
        screen(self.tick, pcm)
    }

    fn push(&mut self, legs: &[LegKey], packet: &Packet<'_>) {
        assert!(!legs.is_empty());
        self.pushes += 1;
        for leg in legs {
            let far = self.legs.get_mut(&leg.0).expect("a leg that was set");
            far.received.push(Received {
                tick: self.tick,
                timestamp: packet.timestamp,
                samples: packet.samples,
                marker: packet.marker,
                shared: packet.shared,
                kind: packet.kind,
                payload: packet.payload.to_vec(),
            });
        }
    }
}

impl Sim {
    pub(crate) fn new(conference: Conference) -> Self {
        Self {
            conference,
            world: World::default(),
        }
    }

    pub(crate) fn join(&mut self, key: u32, config: MixLeg, source: Source) {
        self.try_join(key, config, source).expect("room");
    }

    pub(crate) fn try_join(
        &mut self,
        key: u32,
        config: MixLeg,
        source: Source,
    ) -> Result<(), SetLegError> {
        self.conference.set_leg(LegKey(key), config)?;
        self.world.legs.insert(
            key,
            Far {
                config,
                source,
                received: Vec::new(),
            },
        );
        Ok(())
    }

    pub(crate) fn change(&mut self, key: u32, change: impl FnOnce(&mut MixLeg)) {
        let far = self.world.legs.get_mut(&key).expect("a leg");
        change(&mut far.config);
        self.conference
            .set_leg(LegKey(key), far.config)
            .expect("a change");
    }

    pub(crate) fn leave(&mut self, key: u32) -> Far {
        assert!(self.conference.remove_leg(LegKey(key)));
        self.world.legs.remove(&key).expect("a leg")
    }

    pub(crate) fn run(&mut self, ticks: u64) {
        for _ in 0..ticks {
            self.world.pushes = 0;
            self.conference.tick(&mut self.world);
            self.world.tick += 1;
        }
    }

    pub(crate) fn far(&self, key: u32) -> &Far {
        &self.world.legs[&key]
    }

    /// What a leg has heard since a tick, where 20 ms packets come without gaps.
    pub(crate) fn heard_since(&self, key: u32, tick: u64) -> Vec<i16> {
        let far = self.far(key);
        let first = far.received.first().expect("packets").tick;
        let frame = far.rate_hz() as usize / 50;
        far.heard().split_off((tick - first) as usize * frame)
    }

    /// Forgets what was received.
    pub(crate) fn forget(&mut self) {
        for far in self.world.legs.values_mut() {
            far.received.clear();
        }
    }
}

/// 20 ms packets of a codec.
pub(crate) fn leg(codec: AudioCodec) -> MixLeg {
    MixLeg::new(codec)
}

/// A tone without end, in phase with the conference's clock.
pub(crate) fn tone(rate: Rate, hz: f64, amplitude: f64) -> Source {
    gated(rate, hz, amplitude, |_tick| true)
}

/// A tone in the ticks that `on` names, silence in the others.
pub(crate) fn gated(
    rate: Rate,
    hz: f64,
    amplitude: f64,
    on: impl Fn(u64) -> bool + 'static,
) -> Source {
    Box::new(move |tick, pcm| {
        if !on(tick) {
            return Pulled::Silence;
        }
        let samples = rate.samples();
        for (index, sample) in pcm[..samples].iter_mut().enumerate() {
            let at = tick as f64 * samples as f64 + index as f64;
            // A cosine: it begins at its peak, so a missing ramp is a click.
            *sample = (amplitude * (TAU * hz * at / f64::from(rate.hz())).cos()) as i16;
        }
        Pulled::Sound(rate)
    })
}

pub(crate) fn silent() -> Source {
    Box::new(|_, _| Pulled::Silence)
}

/// Amplitude of one frequency.
pub(crate) fn amplitude(pcm: &[i16], hz: f64, rate_hz: u32) -> f64 {
    let step = TAU * hz / f64::from(rate_hz);
    let (mut re, mut im) = (0.0, 0.0);
    for (index, &sample) in pcm.iter().enumerate() {
        // A Hann window: neighbours 20 Hz away must not leak in.
        let window = 1.0 - (TAU * index as f64 / pcm.len() as f64).cos();
        let angle = step * index as f64;
        re += window * f64::from(sample) * angle.cos();
        im += window * f64::from(sample) * angle.sin();
    }
    2.0 * re.hypot(im) / pcm.len() as f64
}

pub(crate) fn db(ratio: f64) -> f64 {
    20.0 * ratio.log10()
}

/// Largest difference between neighbours.
pub(crate) fn steepest(pcm: &[i16]) -> f64 {
    let steps = pcm.windows(2).map(|pair| pair[0].abs_diff(pair[1]));
    f64::from(steps.max().unwrap_or(0))
}

/// Marsaglia's xorshift64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 16) as usize % bound
    }

    pub(crate) fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }
}
