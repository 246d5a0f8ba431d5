//! Cost of 20 ms through each codec. Opus at complexity 5 with redundancy and
//! without; concealment in the middle of a voice.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Bencher, Criterion, criterion_group, criterion_main};
use plenum_abi::AudioCodec;
use plenum_codecs::{AudioDecoder, AudioEncoder, EncoderOptions, PAYLOAD_BYTES_MAX};

/// A second of something like a voice.
fn voice(rate_hz: u32) -> Vec<i16> {
    let rate = f64::from(rate_hz);
    (0..rate_hz)
        .map(|index| {
            let time = f64::from(index) / rate;
            let syllable = 0.55 - 0.45 * (time * 19.0).cos();
            let sound: f64 = (1..=20)
                .map(|harmonic| {
                    let hz = 123.0 * f64::from(harmonic);
                    (time * hz * std::f64::consts::TAU).sin()
                        / (1.0 + ((hz - 650.0) / 200.0).powi(2))
                })
                .sum();
            (6_000.0 * syllable * sound) as i16
        })
        .collect()
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

fn codecs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("20ms");
    group.measurement_time(Duration::from_secs(1));
    group.warm_up_time(Duration::from_millis(300));
    group.sample_size(20);
    for (name, codec, loss_percent) in [
        ("pcmu", AudioCodec::Pcmu, 0),
        ("pcma", AudioCodec::Pcma, 0),
        ("g722", AudioCodec::G722, 0),
        ("opus", AudioCodec::Opus, 0),
        ("opus-fec", AudioCodec::Opus, 10),
    ] {
        let pcm = voice(codec.sample_rate_hz());
        let frame = pcm.len() / 50;
        let options = EncoderOptions {
            loss_percent,
            ..EncoderOptions::default()
        };
        let new = || AudioEncoder::new(codec, &options).expect("a codec");
        let mut encoder = new();
        let mut payload = [0; PAYLOAD_BYTES_MAX];
        let payloads: Vec<Vec<u8>> = pcm
            .chunks(frame)
            .map(|frame| {
                let bytes = encoder.encode(frame, &mut payload).expect("a payload");
                payload[..bytes].to_vec()
            })
            .collect();
        // The answer first: as many samples out as in.
        let mut decoder = AudioDecoder::new(codec).expect("a codec");
        let mut out = vec![0; frame];
        for payload in &payloads {
            assert_eq!(decoder.decode(payload, &mut out), Ok(frame));
        }

        let mut encoder = new();
        let mut frames = pcm.chunks(frame).cycle();
        group.bench_function(format!("encode/{name}"), |bench| {
            cpu(bench, || {
                encoder.encode(black_box(frames.next().unwrap_or(&[])), &mut payload)
            });
        });
        let mut each = payloads.iter().cycle();
        group.bench_function(format!("decode/{name}"), |bench| {
            cpu(bench, || {
                decoder.decode(black_box(each.next().map_or(&[], |p| p)), &mut out)
            });
        });
        let mut each = payloads.iter().cycle();
        group.bench_function(format!("decode-then-conceal/{name}"), |bench| {
            cpu(bench, || {
                let _ = decoder.decode(black_box(each.next().map_or(&[], |p| p)), &mut out);
                decoder.conceal(&mut out);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, codecs);
criterion_main!(benches);
