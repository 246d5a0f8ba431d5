//! Cost of a step of 20 ms, decoding and sending not included: what legs say
//! is copied in, packets are counted. Throughput is in legs, so that the
//! reciprocal is the cost of one leg's 20 ms.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Bencher, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use plenum_abi::AudioCodec;
use plenum_codecs::{AudioDecoder, AudioEncoder, EncoderOptions, PAYLOAD_BYTES_MAX};
use plenum_kernels::audio::level::{energy, level_dbov};
use plenum_mixer::{Conference, LegKey, MixLeg, MixPolicy, Need, Packet, Pulled, Rate, TickIo};

/// The first `talking` legs speak all the time, the others are a quiet room.
struct Room {
    talking: u32,
    voice: Vec<i16>,
    quiet: Vec<i16>,
    rate: Rate,
    tick: usize,
    packets: u64,
}

impl Room {
    fn new(rate: Rate, talking: u32) -> Self {
        let voice = |loud: f64| {
            (0..rate.samples() * 50)
                .map(|index| {
                    let time = index as f64 / f64::from(rate.hz());
                    let syllable = 0.55 - 0.45 * (time * 19.0).cos();
                    let sound: f64 = (1..=12)
                        .map(|harmonic| {
                            let hz = 123.0 * f64::from(harmonic);
                            let level = 1.0 + ((hz - 650.0) / 200.0).powi(2);
                            (time * hz * std::f64::consts::TAU).sin() / level
                        })
                        .sum();
                    (loud * syllable * sound) as i16
                })
                .collect()
        };
        Self {
            talking,
            voice: voice(4_000.0),
            quiet: voice(10.0),
            rate,
            tick: 0,
            packets: 0,
        }
    }
}

impl TickIo for Room {
    fn pull(&mut self, leg: LegKey, _need: Need, pcm: &mut [i16; 960]) -> Pulled {
        let (sound, turn) = if leg.0 < self.talking {
            (&self.voice, self.tick + leg.0 as usize * 7)
        } else {
            (&self.quiet, self.tick)
        };
        let samples = self.rate.samples();
        let begin = turn % 50 * samples;
        pcm[..samples].copy_from_slice(&sound[begin..begin + samples]);
        Pulled::Sound(self.rate)
    }

    fn push(&mut self, legs: &[LegKey], packet: &Packet<'_>) {
        self.packets += legs.len() as u64;
        black_box(packet.payload);
    }
}

/// As [`Room`], but what is said comes as Opus, each leg with a decoder of its own, and is
/// decoded before it is heard.
struct Decoding {
    room: Room,
    /// Payloads of a second, and their levels.
    voice: Vec<(Vec<u8>, u8)>,
    quiet: Vec<(Vec<u8>, u8)>,
    decoders: Vec<AudioDecoder>,
    /// Whether levels are known before.
    has_levels: bool,
    decoded: u64,
}

impl Decoding {
    fn new(legs: u32, talking: u32, has_levels: bool) -> Self {
        let room = Room::new(Rate::Hz48000, talking);
        let coded = |pcm: &[i16]| {
            let mut encoder =
                AudioEncoder::new(AudioCodec::Opus, &EncoderOptions::default()).expect("Opus");
            pcm.chunks_exact(960)
                .map(|frame| {
                    let mut payload = [0; PAYLOAD_BYTES_MAX];
                    let len = encoder.encode(frame, &mut payload).expect("a frame");
                    let level = level_dbov(energy(frame), frame.len());
                    (payload[..len].to_vec(), level)
                })
                .collect()
        };
        Self {
            voice: coded(&room.voice),
            quiet: coded(&room.quiet),
            decoders: (0..legs)
                .map(|_| AudioDecoder::new(AudioCodec::Opus).expect("Opus"))
                .collect(),
            room,
            has_levels,
            decoded: 0,
        }
    }
}

impl TickIo for Decoding {
    fn pull(&mut self, leg: LegKey, need: Need, pcm: &mut [i16; 960]) -> Pulled {
        let talks = leg.0 < self.room.talking;
        let said = if talks { &self.voice } else { &self.quiet };
        let (payload, level) = &said[self.room.tick % 50];
        let level_dbov = self.has_levels.then_some(*level);
        if !need.covers(level_dbov) {
            return Pulled::Unheard { level_dbov };
        }
        self.decoded += 1;
        match self.decoders[leg.0 as usize].decode(payload, pcm) {
            Ok(_) => Pulled::Sound(Rate::Hz48000),
            Err(_) => Pulled::Silence,
        }
    }

    fn push(&mut self, legs: &[LegKey], packet: &Packet<'_>) {
        self.room.push(legs, packet);
    }
}

/// What it is worth to know a level without decoding.
fn levels(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tick-with-decoding");
    group.warm_up_time(Duration::from_millis(300));
    group.measurement_time(Duration::from_secs(2));
    group.sample_size(20);
    let legs = 100;
    for (name, has_levels) in [("opus-3-talking", false), ("opus-3-talking-levels", true)] {
        let mut conference = conference(AudioCodec::Opus, legs, 6);
        let mut room = Decoding::new(legs, 3, has_levels);
        for _ in 0..50 {
            conference.tick(&mut room);
            room.room.tick += 1;
        }
        assert_eq!(room.decoded, if has_levels { 150 } else { 5_000 });
        group.throughput(Throughput::Elements(u64::from(legs)));
        group.bench_function(BenchmarkId::new(name, legs), |bench| {
            cpu(bench, || {
                conference.tick(&mut room);
                room.room.tick += 1;
            });
        });
    }
    group.finish();
}

/// Measures by the thread's CPU time: the machine has noisy neighbours.
fn cpu<T>(bench: &mut Bencher<'_>, mut body: impl FnMut() -> T) {
    bench.iter_custom(|rounds| {
        let now = || {
            let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
            Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec as u32)
        };
        let begin = now();
        for _ in 0..rounds {
            black_box(body());
        }
        now() - begin
    });
}

fn conference(codec: AudioCodec, legs: u32, speakers_max: u8) -> Conference {
    let policy = MixPolicy {
        speakers_max,
        ..MixPolicy::default()
    };
    let mut conference = Conference::new(policy, legs as usize);
    for key in 0..legs {
        conference
            .set_leg(LegKey(key), MixLeg::new(codec))
            .expect("room");
    }
    conference
}

fn tick(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tick");
    group.warm_up_time(Duration::from_millis(300));
    group.measurement_time(Duration::from_secs(1));
    group.sample_size(20);
    let cases: &[(&str, AudioCodec, u32, u32, u8)] = &[
        ("pcmu-silent", AudioCodec::Pcmu, 1_000, 0, 6),
        ("pcmu-3-talking", AudioCodec::Pcmu, 3, 3, 6),
        ("pcmu-3-talking", AudioCodec::Pcmu, 10, 3, 6),
        ("pcmu-3-talking", AudioCodec::Pcmu, 100, 3, 6),
        ("pcmu-3-talking", AudioCodec::Pcmu, 1_000, 3, 6),
        ("pcmu-all-talking", AudioCodec::Pcmu, 1_000, 1_000, 6),
        ("g722-3-talking", AudioCodec::G722, 100, 3, 6),
        ("opus-3-talking", AudioCodec::Opus, 100, 3, 6),
        ("opus-3-talking", AudioCodec::Opus, 1_000, 3, 6),
        ("opus-all-talking-own-mixes", AudioCodec::Opus, 8, 8, 8),
    ];
    for &(name, codec, legs, talking, speakers_max) in cases {
        let mut conference = conference(codec, legs, speakers_max);
        let mut room = Room::new(Rate::of(codec), talking);
        // The answer first: everybody gets a packet, and the encodes are the
        // speakers' and one for all others.
        for _ in 0..20 {
            conference.tick(&mut room);
            room.tick += 1;
        }
        assert_eq!(room.packets, 20 * u64::from(legs));
        let before = conference.counters().encodes;
        conference.tick(&mut room);
        let encodes = conference.counters().encodes - before;
        let own = u64::from(talking.min(u32::from(speakers_max)));
        let others = u64::from(own < u64::from(legs));
        // Where more talk than may, one or another is just fading out.
        assert!((own + others..=2 * own + others).contains(&encodes));

        group.throughput(Throughput::Elements(u64::from(legs)));
        group.bench_function(BenchmarkId::new(name, legs), |bench| {
            cpu(bench, || {
                conference.tick(&mut room);
                room.tick += 1;
            });
        });
    }
    // One of each codec, so everything is resampled.
    let mut mixed = Conference::new(MixPolicy::default(), 3);
    for (key, codec) in [AudioCodec::Pcmu, AudioCodec::G722, AudioCodec::Opus]
        .into_iter()
        .enumerate()
    {
        mixed
            .set_leg(LegKey(key as u32), MixLeg::new(codec))
            .expect("room");
    }
    let mut room = Room::new(Rate::Hz8000, 3);
    group.throughput(Throughput::Elements(3));
    group.bench_function("one-of-each-codec/3", |bench| {
        cpu(bench, || {
            mixed.tick(&mut room);
            room.tick += 1;
        });
    });
    group.finish();
}

/// What a leg's 20 ms are made of.
fn parts(criterion: &mut Criterion) {
    use plenum_kernels::audio::{g711, gain, limit, mix};

    let mut group = criterion.benchmark_group("parts-8khz");
    group.warm_up_time(Duration::from_millis(200));
    group.measurement_time(Duration::from_millis(500));
    group.sample_size(20);
    let room = Room::new(Rate::Hz8000, 1);
    let frame = &room.voice[1_600..1_760];
    let mut sum = vec![0; 160];
    mix::accumulate(&mut sum, frame);
    mix::accumulate(&mut sum, &room.voice[3_200..3_360]);
    let mut out = vec![0; 160];
    let mut payload = vec![0; 160];
    group.bench_function("level", |bench| {
        cpu(bench, || {
            black_box(energy(black_box(frame)));
        });
    });
    group.bench_function("ramp", |bench| {
        cpu(bench, || {
            gain::ramp_gain(black_box(&mut out), gain::Gain::UNITY, gain::Gain::UNITY);
        });
    });
    group.bench_function("accumulate", |bench| {
        cpu(bench, || mix::accumulate(black_box(&mut sum), frame));
    });
    group.bench_function("peak", |bench| cpu(bench, || mix::peak(black_box(&sum))));
    group.bench_function("minus-own", |bench| {
        let plan = limit::Plan::UNITY;
        cpu(bench, || {
            limit::subtract_limit(&mut out, black_box(&sum), frame, gain::Gain::UNITY, plan);
        });
    });
    group.bench_function("encode", |bench| {
        cpu(bench, || g711::encode_ulaw(&mut payload, black_box(frame)));
    });
    group.finish();
}

criterion_group!(benches, tick, levels, parts);
criterion_main!(benches);
