//! Cost of a packet: its number when it is sent, and what its feedback teaches. Beside it
//! the floor, reading the same feedback and doing nothing; and asking the pacer.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use plenum_abi::Nanos;
use plenum_congestion::{Estimator, Limits, Pacer};
use plenum_rtp::rtcp::{Arrivals, TransportFeedback};

/// Packets that one feedback is about: 70 ms of 3 Mbit/s.
const PACKETS: u64 = 25;
const GAP_NS: u64 = 2_800_000;

/// A feedback about the packets from `first` on, all of which came 20 ms late.
fn feedback(arrivals: &mut Arrivals, first: u64) -> ([u8; 128], usize) {
    for number in first..first + PACKETS {
        arrivals.note(Nanos(number * GAP_NS + 20_000_000), number as u16);
    }
    let mut fci = [0; 128];
    let len = arrivals.write(&mut fci).expect("something came");
    (fci, len)
}

fn estimator(c: &mut Criterion) {
    let limits = Limits {
        start_bps: 3_000_000,
        min_bps: 100_000,
        max_bps: 4_000_000,
    };
    let mut group = c.benchmark_group("packet");
    group.throughput(Throughput::Elements(PACKETS));

    let (fci, len) = feedback(&mut Arrivals::default(), 0);
    let came = |fci: &[u8]| {
        let feedback = TransportFeedback::parse(fci).expect("well-formed");
        feedback
            .packets()
            .filter(|(_, came)| came.is_some())
            .count()
    };
    assert_eq!(came(&fci[..len]), PACKETS as usize);
    group.bench_function("feedback read", |b| b.iter(|| came(black_box(&fci[..len]))));

    // Feedback is written before, for as many turns as the count of numbers allows.
    let turns = 65_536_u64;
    let mut arrivals = Arrivals::default();
    let written: Vec<_> = (0..turns)
        .map(|turn| feedback(&mut arrivals, turn * PACKETS))
        .collect();
    let mut estimator = Estimator::new(Nanos::ZERO, limits);
    let mut turn = 0_u64;
    group.bench_function("sent and acknowledged", |b| {
        b.iter(|| {
            if turn == turns {
                estimator = Estimator::new(Nanos::ZERO, limits);
                turn = 0;
            }
            let first = turn * PACKETS;
            for number in first..first + PACKETS {
                estimator.sent(Nanos(number * GAP_NS), 1_100);
            }
            let (fci, len) = &written[turn as usize];
            let feedback = TransportFeedback::parse(&fci[..*len]).expect("well-formed");
            turn += 1;
            let now = Nanos(turn * PACKETS * GAP_NS + 40_000_000);
            estimator.feedback(now, &feedback)
        });
    });
    assert!(
        estimator.target_bps() >= limits.start_bps,
        "nothing was lost or late"
    );

    let mut pacer = Pacer::new(Nanos::ZERO, 3_000_000);
    let mut now = 0;
    group.throughput(Throughput::Elements(1));
    group.bench_function("paced", |b| {
        b.iter(|| {
            now += GAP_NS;
            pacer.may_send(Nanos(now), black_box(1_100))
        });
    });
    group.finish();
}

criterion_group!(benches, estimator);
criterion_main!(benches);
