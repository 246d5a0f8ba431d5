//! The audio kernels, the baseline beside every level that is granted.
//!
//! Frames are 20 ms: 160 samples at 8 kHz, 960 at 48 kHz. Each level's answer
//! is checked before it is timed. `cargo bench -p plenum-kernels --bench audio`

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use plenum_kernels::audio::gain::Gain;
use plenum_kernels::audio::resample::{Downsampler, Rates, Upsampler};
use plenum_kernels::audio::{g711, gain, level, limit, mix};
use plenum_kernels::cpu::Level;

/// Something like a voice: repeatable, of changing loudness.
fn samples(len: usize) -> Vec<i16> {
    let mut state = 42_u32;
    (0..len)
        .map(|n| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 16) as i16) >> (n / 100 % 5)
        })
        .collect()
}

/// Times `run` at each level; its answer at the baseline is the right one.
fn compare<T: PartialEq + std::fmt::Debug>(
    criterion: &mut Criterion,
    name: &str,
    len: usize,
    mut run: impl FnMut(Level) -> T,
    mut time: impl FnMut(Level),
) {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(len as u64));
    let wanted = run(Level::Scalar);
    for level in Level::granted() {
        assert_eq!(run(level), wanted, "{name} at {}", level.name());
        group.bench_function(BenchmarkId::new(level.name(), len), |bencher| {
            bencher.iter(|| time(level));
        });
    }
    group.finish();
}

/// [`compare`] for a kernel that writes `$out` from what it is given.
macro_rules! compare_into {
    ($criterion:expr, $name:literal, $len:expr, $out:expr, |$level:ident, $buffer:ident| $call:block) => {{
        let mut timed = $out;
        compare(
            $criterion,
            $name,
            $len,
            |$level| {
                let mut fresh = $out;
                let $buffer = &mut fresh;
                $call
                fresh
            },
            |$level| {
                let $buffer = black_box(&mut timed);
                $call
            },
        );
    }};
}

fn mixing(criterion: &mut Criterion) {
    let len = 960;
    let input = samples(len);
    let mut sums = vec![0; len];
    for speaker in 1..=3_u16 {
        mix::accumulate_gain(&mut sums, &input, Gain::from_q12(speaker * 3_000));
    }
    let (input, sums) = (black_box(input.as_slice()), black_box(sums.as_slice()));
    let gain = black_box(Gain::from_q12(5_000));
    let c = criterion;
    compare_into!(c, "accumulate", len, sums.to_vec(), |level, acc| {
        mix::at::accumulate(level, acc, input);
    });
    compare_into!(c, "accumulate_gain", len, sums.to_vec(), |level, acc| {
        mix::at::accumulate_gain(level, acc, input, gain);
    });
    compare_into!(c, "subtract_saturate", len, vec![0; len], |level, out| {
        mix::at::subtract_saturate(level, out, sums, input);
    });
    compare_into!(c, "saturate", len, vec![0; len], |_level, out| {
        mix::saturate(out, sums);
    });
    compare_into!(c, "peak", len, 0, |level, out| {
        *out = mix::at::peak(level, sums);
    });
    let mut limiter = limit::Limiter::new(48_000);
    let plan = limiter.plan(mix::peak(sums).max(100_000), len);
    compare_into!(c, "limit", len, vec![0; len], |level, out| {
        limit::at::limit(level, out, sums, black_box(plan));
    });
    let silence = Gain::SILENCE;
    compare_into!(c, "apply_gain", len, input.to_vec(), |level, io| {
        gain::at::apply_gain(level, io, gain);
    });
    compare_into!(c, "ramp_gain", len, input.to_vec(), |level, io| {
        gain::at::ramp_gain(level, io, gain, silence);
    });
}

fn legs(criterion: &mut Criterion) {
    let len = 160;
    let input = samples(len);
    let mut ulaw = vec![0; len];
    let mut alaw = vec![0; len];
    g711::encode_ulaw(&mut ulaw, &input);
    g711::encode_alaw(&mut alaw, &input);
    let (input, ulaw, alaw) = (black_box(&input), black_box(&ulaw), black_box(&alaw));
    let c = criterion;
    compare_into!(c, "energy", len, 0, |level, out| {
        *out = level::at::energy(level, input);
    });
    compare_into!(c, "decode_ulaw", len, vec![0; len], |level, out| {
        g711::at::decode_ulaw(level, out, ulaw);
    });
    compare_into!(c, "decode_alaw", len, vec![0; len], |level, out| {
        g711::at::decode_alaw(level, out, alaw);
    });
    compare_into!(c, "encode_ulaw", len, vec![0; len], |level, out| {
        g711::at::encode_ulaw(level, out, input);
    });
    compare_into!(c, "encode_alaw", len, vec![0; len], |level, out| {
        g711::at::encode_alaw(level, out, input);
    });
    // What the float lanes replace: the usual table of 256 samples.
    let table: [i16; 256] = std::array::from_fn(|code| g711::scalar::ulaw_to_linear(code as u8));
    c.bench_function("decode_ulaw/table/160", |bencher| {
        let mut out = vec![0; len];
        bencher.iter(|| {
            for (out, &code) in black_box(&mut out).iter_mut().zip(ulaw) {
                *out = table[usize::from(code)];
            }
        });
    });
}

fn resampling(criterion: &mut Criterion) {
    for rates in Rates::ALL {
        let (low, high) = (rates.low_hz() as usize / 50, rates.high_hz() as usize / 50);
        let (slow, fast) = (samples(low), samples(high));
        let name = format!("up {} to {} kHz", low / 20, high / 20);
        let (mut up, mut out) = (Upsampler::new(rates), vec![0; high]);
        let right = |level| {
            let mut out = vec![0; high];
            Upsampler::new(rates).process_at(level, &slow, &mut out);
            out
        };
        compare(criterion, &name, high, right, |level| {
            up.process_at(level, black_box(&slow), black_box(&mut out));
        });
        let name = format!("down {} to {} kHz", high / 20, low / 20);
        let (mut down, mut out) = (Downsampler::new(rates), vec![0; low]);
        let right = |level| {
            let mut out = vec![0; low];
            Downsampler::new(rates).process_at(level, &fast, &mut out);
            out
        };
        compare(criterion, &name, high, right, |level| {
            down.process_at(level, black_box(&fast), black_box(&mut out));
        });
    }
}

fn short() -> Criterion {
    Criterion::default()
        .warm_up_time(std::time::Duration::from_millis(100))
        .measurement_time(std::time::Duration::from_millis(400))
        .sample_size(30)
}

criterion_group! { name = audio; config = short(); targets = mixing, legs, resampling }
criterion_main!(audio);
