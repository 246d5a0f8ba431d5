//! What a packet costs: alone, in a batch, and being opened; beside the two
//! floors, the key stream and the tag.

#![allow(
    missing_docs,
    reason = "criterion's macros make functions without them"
)]

use core::hint::black_box;
use core::sync::atomic::AtomicU64;
use core::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, criterion_group, criterion_main};
use plenum_abi::{MasterKeys, SrtpSuite};
use plenum_kernels::aes_ctr::CounterMode;
use plenum_kernels::cpu::Vaes;
use plenum_kernels::sha1::{Engine, HmacJob, HmacKey};
use plenum_srtp::{PendingTag, Receiver, Sender, TAIL_MAX, finish_tags};
use rustix::time::{ClockId, clock_gettime};

const SUITES: [(&str, SrtpSuite); 6] = [
    ("cm128_80", SrtpSuite::AesCm128HmacSha1_80),
    ("cm128_32", SrtpSuite::AesCm128HmacSha1_32),
    ("cm256_80", SrtpSuite::AesCm256HmacSha1_80),
    ("cm256_32", SrtpSuite::AesCm256HmacSha1_32),
    ("gcm128", SrtpSuite::AeadAes128Gcm),
    ("gcm256", SrtpSuite::AeadAes256Gcm),
];

/// A packet of 20 ms of G.711 and one of video.
const SIZES: [usize; 2] = [172, 1_200];

/// Time that this thread ran: a noisy neighbour takes the core, not this clock.
struct CpuTime;

impl CpuTime {
    fn now() -> Duration {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }
}

impl Measurement for CpuTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        Self::now()
    }

    fn end(&self, start: Duration) -> Duration {
        Self::now() - start
    }

    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        *a + *b
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        value.as_nanos() as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

fn keys(suite: SrtpSuite, which: usize) -> MasterKeys {
    let bytes = [which as u8 + 1; 46];
    MasterKeys::new(suite, &bytes[..suite.key_len() + suite.salt_len()])
        .expect("of the suite's length")
}

/// One leg that sends: its key, its counter, its buffer.
struct Leg {
    sender: Sender,
    next: AtomicU64,
    buffer: Vec<u8>,
    len: usize,
    pending: Option<PendingTag>,
}

impl Leg {
    fn new(suite: SrtpSuite, which: usize, len: usize) -> Self {
        let mut buffer = vec![0x5a; len + TAIL_MAX];
        buffer[..2].copy_from_slice(&[0x80, 0]);
        Self {
            sender: Sender::new(suite, &keys(suite, which)),
            next: AtomicU64::new(0),
            buffer,
            len,
            pending: None,
        }
    }

    /// Writes the header's sequence number, as a packetiser would.
    fn number(&mut self) {
        let index = *self.next.get_mut();
        self.buffer[2..4].copy_from_slice(&(index as u16).to_be_bytes());
        self.buffer[0] = 0x80;
    }

    fn protect(&mut self) -> usize {
        self.number();
        self.sender
            .protect_rtp(&self.next, &mut self.buffer, self.len)
            .expect("a good packet")
    }

    fn begin(&mut self) {
        self.number();
        let begun = self
            .sender
            .begin_rtp(&self.next, &mut self.buffer, self.len);
        self.pending = Some(begun.expect("a good packet"));
    }
}

fn protect_batch(legs: &mut [Leg]) {
    for leg in &mut *legs {
        leg.begin();
    }
    finish_tags(
        legs.iter_mut()
            .filter_map(|leg| Some((leg.pending?, &mut leg.buffer[..]))),
    );
}

/// Every packet of a batch is opened by its receiver and is what it was.
fn check_answers(suite: SrtpSuite, len: usize) {
    let mut legs: Vec<_> = (0..19).map(|which| Leg::new(suite, which, len)).collect();
    for round in 0..3 {
        let mut plain = Vec::new();
        for leg in &mut legs {
            leg.buffer[12..len].fill(round);
            leg.number();
            plain.push(leg.buffer[..len].to_vec());
        }
        protect_batch(&mut legs);
        for (which, leg) in legs.iter().enumerate() {
            let packet_len = leg.pending.expect("begun").packet_len();
            let mut packet = leg.buffer[..packet_len].to_vec();
            let opened = Receiver::new(suite, &keys(suite, which)).unprotect_rtp(&mut packet);
            assert_eq!(opened, Ok(len));
            assert_eq!(packet[..len], plain[which]);
        }
    }
}

/// A receiver and what comes in, each packet once.
fn bench_unprotect(
    group: &mut BenchmarkGroup<'_, CpuTime>,
    name: &str,
    suite: SrtpSuite,
    len: usize,
) {
    let mut leg = Leg::new(suite, 0, len);
    let packets: Vec<Vec<u8>> = (0..256)
        .map(|_| {
            leg.buffer[12..len].fill(7);
            let packet_len = leg.protect();
            leg.buffer[..packet_len].to_vec()
        })
        .collect();
    group.bench_function(BenchmarkId::new(format!("unprotect/{name}"), len), |b| {
        b.iter_custom(|iterations| {
            let mut spent = Duration::ZERO;
            let mut left = iterations;
            while left > 0 {
                let mut receiver = Receiver::new(suite, &keys(suite, 0));
                let mut arrived = packets.clone();
                let count = left.min(arrived.len() as u64);
                let start = CpuTime::now();
                for packet in &mut arrived[..count as usize] {
                    black_box(receiver.unprotect_rtp(packet)).expect("a good packet");
                }
                spent += CpuTime::now() - start;
                left -= count;
            }
            spent
        });
    });
}

fn packets(c: &mut Criterion<CpuTime>) {
    let mut group = c.benchmark_group("srtp");
    for len in SIZES {
        for (name, suite) in SUITES {
            check_answers(suite, len);
            let mut leg = Leg::new(suite, 0, len);
            group.bench_function(BenchmarkId::new(format!("protect/{name}"), len), |b| {
                b.iter(|| black_box(leg.protect()));
            });
            for count in [8, 16, 64] {
                let mut legs: Vec<_> = (0..count)
                    .map(|which| Leg::new(suite, which, len))
                    .collect();
                group.throughput(criterion::Throughput::Elements(count as u64));
                let id = BenchmarkId::new(format!("batch_of_{count}/{name}"), len);
                group.bench_function(id, |b| b.iter(|| protect_batch(black_box(&mut legs))));
            }
            group.throughput(criterion::Throughput::Elements(1));
            bench_unprotect(&mut group, name, suite, len);
        }
    }
    group.finish();
}

fn floors(c: &mut Criterion<CpuTime>) {
    let mut group = c.benchmark_group("floor");
    for len in SIZES {
        if let Some(mode) =
            Vaes::detect().and_then(|token| CounterMode::new(token, black_box(&[7; 16])))
        {
            let mut text = vec![0; len - 12];
            group.bench_function(BenchmarkId::new("ctr128", len), |b| {
                b.iter(|| mode.apply(black_box(&[1; 16]), black_box(&mut text)));
            });
        }
        let message = vec![3; len + 4];
        let jobs = [HmacJob {
            key: HmacKey::new(&[1; 20]),
            message: &message,
            tag: [0; 20],
        }; 64];
        let mut expected = jobs;
        Engine::Scalar.hmac_many(&mut expected);
        for engine in Engine::granted() {
            for count in [1, 16, 64] {
                let mut jobs = jobs;
                engine.hmac_many(&mut jobs);
                assert!(jobs.iter().zip(&expected).all(|(a, b)| a.tag == b.tag));
                group.throughput(criterion::Throughput::Elements(count as u64));
                let id = BenchmarkId::new(format!("hmac/{}/{count}", engine.name()), len);
                group.bench_function(id, |b| {
                    b.iter(|| engine.hmac_many(black_box(&mut jobs[..count])));
                });
            }
        }
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .with_measurement(CpuTime)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(300));
    targets = packets, floors
}
criterion_main!(benches);
