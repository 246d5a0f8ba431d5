//! Both resamplers against their promises and against one plain convolution.

use std::f64::consts::TAU;

use super::*;
use crate::audio::noise::Noise;

/// `len` samples of a tone.
fn tone(hz: f64, amplitude: f64, rate_hz: u32, len: usize) -> Vec<i16> {
    let radians = hz * TAU / f64::from(rate_hz);
    (0..len)
        .map(|n| (amplitude * (radians * n as f64 + 0.3).sin()).round() as i16)
        .collect()
}

/// Amplitude of the part of `samples` at `hz`, which must be a whole number of
/// periods of it.
fn amplitude(samples: &[i16], hz: f64, rate_hz: u32) -> f64 {
    let radians = hz * TAU / f64::from(rate_hz);
    let (mut re, mut im) = (0.0, 0.0);
    for (n, &sample) in samples.iter().enumerate() {
        let (sin, cos) = (radians * n as f64).sin_cos();
        re += f64::from(sample) * cos;
        im += f64::from(sample) * sin;
    }
    // At zero and half the rate both mirror images fall on the same place.
    let twice = hz % f64::from(rate_hz / 2) == 0.0;
    re.hypot(im) * if twice { 1.0 } else { 2.0 } / samples.len() as f64
}

fn decibels(ratio: f64) -> f64 {
    20.0 * ratio.max(1e-9).log10()
}

/// Upper end of the band that must come through, in hertz.
const fn pass_hz(rates: Rates) -> u32 {
    match rates {
        Rates::R8And16 | Rates::R8And48 => 3_400,
        Rates::R16And48 => 7_000,
    }
}

/// 100 ms after 40 ms for the filter to fill, in 20 ms frames.
fn up_tone(rates: Rates, hz: f64) -> Vec<i16> {
    let input = tone(
        hz,
        20_000.0,
        rates.low_hz(),
        rates.low_hz() as usize * 140 / 1_000,
    );
    let mut output = vec![0; input.len() * rates.ratio()];
    let mut up = Upsampler::new(rates);
    let frame = rates.low_hz() as usize / 50;
    let frames = input.chunks(frame);
    for (input, output) in frames.zip(output.chunks_mut(frame * rates.ratio())) {
        up.process(input, output);
    }
    output.split_off(rates.high_hz() as usize * 40 / 1_000)
}

fn down_tone(rates: Rates, hz: f64) -> Vec<i16> {
    let input = tone(
        hz,
        20_000.0,
        rates.high_hz(),
        rates.high_hz() as usize * 140 / 1_000,
    );
    let mut output = vec![0; input.len() / rates.ratio()];
    let mut down = Downsampler::new(rates);
    let frame = rates.high_hz() as usize / 50;
    let frames = input.chunks(frame);
    for (input, output) in frames.zip(output.chunks_mut(frame / rates.ratio())) {
        down.process(input, output);
    }
    output.split_off(rates.low_hz() as usize * 40 / 1_000)
}

#[test]
fn the_pass_band_is_flat_within_half_a_decibel() {
    for rates in Rates::ALL {
        for hz in (50..=pass_hz(rates)).step_by(50).map(f64::from) {
            let up = decibels(amplitude(&up_tone(rates, hz), hz, rates.high_hz()) / 20_000.0);
            assert!(up.abs() <= 0.5, "{rates:?} up, {hz} Hz: {up:.2} dB");
            let down = decibels(amplitude(&down_tone(rates, hz), hz, rates.low_hz()) / 20_000.0);
            assert!(down.abs() <= 0.5, "{rates:?} down, {hz} Hz: {down:.2} dB");
        }
    }
}

#[test]
fn images_are_60_db_down() {
    for rates in Rates::ALL {
        let (low, high) = (rates.low_hz(), rates.high_hz());
        for hz in (70..low / 2).step_by(210).chain([low / 2 - 10]) {
            let output = up_tone(rates, f64::from(hz));
            let images = (1..=rates.ratio() as u32 / 2)
                .flat_map(|k| [k * low - hz, k * low + hz])
                .filter(|&image| image < high / 2);
            for image in images {
                let level = decibels(amplitude(&output, f64::from(image), high) / 20_000.0);
                assert!(
                    level <= -60.0,
                    "{rates:?}, {hz} Hz at {image} Hz: {level:.1} dB"
                );
            }
        }
    }
}

#[test]
fn what_would_alias_is_60_db_down() {
    for rates in Rates::ALL {
        let (low, high) = (rates.low_hz(), rates.high_hz());
        for hz in (low / 2 + 10..high / 2).step_by(110) {
            let folded = (hz % low).min(low - hz % low);
            let output = down_tone(rates, f64::from(hz));
            let level = decibels(amplitude(&output, f64::from(folded), low) / 20_000.0);
            assert!(
                level <= -60.0,
                "{rates:?}, {hz} Hz at {folded} Hz: {level:.1} dB"
            );
        }
    }
}

/// Nothing else than the tone comes out: noise, images and all together.
#[test]
fn a_tone_stays_a_tone() {
    let rest_db = |output: &[i16], hz: f64, rate_hz: u32| {
        let part = amplitude(output, hz, rate_hz).powi(2) / 2.0;
        let whole = output.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / output.len() as f64;
        decibels(((whole - part).max(0.0) / part).sqrt())
    };
    for rates in Rates::ALL {
        for hz in [310.0, 1_000.0, 2_450.0, 3_400.0] {
            let up = rest_db(&up_tone(rates, hz), hz, rates.high_hz());
            assert!(up <= -60.0, "{rates:?} up, {hz} Hz: {up:.1} dB");
            let down = rest_db(&down_tone(rates, hz), hz, rates.low_hz());
            assert!(down <= -70.0, "{rates:?} down, {hz} Hz: {down:.1} dB");
        }
    }
}

#[test]
fn every_level_agrees_with_the_scalar() {
    let mut noise = Noise::seeded(8);
    for rates in Rates::ALL {
        let ratio = rates.ratio();
        for level in Level::granted() {
            let (mut fast, mut slow) = (Upsampler::new(rates), Upsampler::new(rates));
            let (mut fast_down, mut slow_down) = (Downsampler::new(rates), Downsampler::new(rates));
            // The state goes on from one length to the next.
            for len in noise.lengths() {
                let input = noise.samples(len);
                let (mut a, mut b) = (vec![0; len * ratio], vec![1; len * ratio]);
                fast.process_at(level, &input, &mut a);
                slow.process_at(Level::Scalar, &input, &mut b);
                assert_eq!(a, b, "{rates:?} up, {level:?}, {len} samples");

                let input = noise.samples(len * ratio);
                let (mut a, mut b) = (vec![0; len], vec![1; len]);
                fast_down.process_at(level, &input, &mut a);
                slow_down.process_at(Level::Scalar, &input, &mut b);
                assert_eq!(a, b, "{rates:?} down, {level:?}, {len} samples");
            }
        }
    }
}

#[test]
fn lanes_add_up_to_the_scalar() {
    let mut noise = Noise::seeded(10);
    let Filter::R8And48(bank) = Rates::R8And48.filter() else {
        unreachable!();
    };
    let taps = bank.down.as_flattened();
    for len in noise.lengths() {
        let input = noise.samples(taps.len() - 6 + len * 6);
        let (mut fast, mut slow) = (vec![0; len], vec![1; len]);
        scalar::down_in_lanes(&mut fast, &input, taps, 6);
        scalar::down(&mut slow, &input, taps, 6);
        assert_eq!(fast, slow, "{len} samples");
    }
}

/// By the book: zeros between the samples, one convolution, every sample or
/// every sixth of it.
#[test]
fn frames_of_any_length_join_to_one_convolution() {
    fn whole<const T: usize, const R: usize>(bank: &Bank<T, R>, rates: Rates) {
        let mut noise = Noise::seeded(9);
        let input = noise.samples(R * 1_000);
        let convolved = |signal: &[i64], at: usize, taps: &[i64]| -> i64 {
            let past = taps.iter().enumerate().take(at + 1);
            past.map(|(k, tap)| tap * signal[at - k]).sum()
        };
        let cut = |sum: i64| sum.clamp(-32_768, 32_767) as i16;

        let mut stuffed = vec![0; input.len() * R];
        for (n, &sample) in input.iter().enumerate() {
            stuffed[n * R] = i64::from(sample);
        }
        let mut taps = vec![0; T * R];
        for (phase, reversed) in bank.up.iter().enumerate() {
            for (k, &tap) in reversed.iter().rev().enumerate() {
                taps[phase + k * R] = i64::from(tap);
            }
        }
        let wanted: Vec<i16> = (0..stuffed.len())
            .map(|at| cut((convolved(&stuffed, at, &taps) + (1 << 13)) >> 14))
            .collect();
        let mut up = Upsampler::new(rates);
        let mut output = vec![0; stuffed.len()];
        let mut at = 0;
        while at < input.len() {
            let len = (noise.next() >> 32) as usize % 700;
            let end = (at + len).min(input.len());
            up.process(&input[at..end], &mut output[at * R..end * R]);
            at = end;
        }
        assert_eq!(output, wanted);

        let signal: Vec<i64> = input.iter().copied().map(i64::from).collect();
        let taps = bank.down.as_flattened().iter().rev();
        let taps: Vec<i64> = taps.copied().map(i64::from).collect();
        let wanted: Vec<i16> = (0..input.len() / R)
            .map(|n| cut((convolved(&signal, n * R + R - 1, &taps) + (1 << 15)) >> 16))
            .collect();
        let mut down = Downsampler::new(rates);
        let mut output = vec![0; wanted.len()];
        let mut at = 0;
        while at < output.len() {
            let len = (noise.next() >> 32) as usize % 700;
            let end = (at + len).min(output.len());
            down.process(&input[at * R..end * R], &mut output[at..end]);
            at = end;
        }
        assert_eq!(output, wanted);
    }
    for rates in Rates::ALL {
        match rates.filter() {
            Filter::R8And16(bank) => whole(bank, rates),
            Filter::R8And48(bank) => whole(bank, rates),
            Filter::R16And48(bank) => whole(bank, rates),
        }
    }
}

#[test]
fn a_constant_stays_a_constant() {
    for rates in Rates::ALL {
        let ratio = rates.ratio();
        let mut output = vec![0; 200 * ratio];
        Upsampler::new(rates).process(&[12_345; 200], &mut output);
        assert!(
            output[64 * ratio..].iter().all(|&s| s == 12_345),
            "{rates:?} up"
        );
        let mut output = vec![0; 200];
        Downsampler::new(rates).process(&vec![12_345; 200 * ratio], &mut output);
        assert!(output[64..].iter().all(|&s| s == 12_345), "{rates:?} down");
    }
}

/// An input made to match a filter's signs reaches the greatest sum there is:
/// it is cut, and does not wrap.
#[test]
fn the_worst_input_is_cut() {
    for rates in Rates::ALL {
        let ratio = rates.ratio();
        let worst = |taps: &[i16]| -> Vec<i16> {
            let sign = |&tap: &i16| if tap < 0 { i16::MIN } else { i16::MAX };
            taps.iter().map(sign).collect()
        };
        let (phase, down): (Vec<i16>, Vec<i16>) = match rates.filter() {
            Filter::R8And16(bank) => (bank.up[0].into(), bank.down.as_flattened().into()),
            Filter::R8And48(bank) => (bank.up[0].into(), bank.down.as_flattened().into()),
            Filter::R16And48(bank) => (bank.up[0].into(), bank.down.as_flattened().into()),
        };
        for level in Level::granted() {
            let input = worst(&phase);
            let mut output = vec![0; input.len() * ratio];
            Upsampler::new(rates).process_at(level, &input, &mut output);
            assert_eq!(
                output[(input.len() - 1) * ratio],
                i16::MAX,
                "{rates:?} {level:?}"
            );
            let input = worst(&down);
            let mut output = vec![0; input.len() / ratio];
            Downsampler::new(rates).process_at(level, &input, &mut output);
            assert_eq!(output.last(), Some(&i16::MAX), "{rates:?} {level:?}");
        }
    }
}

#[test]
fn the_delay_is_what_is_said_and_reset_forgets() {
    for rates in Rates::ALL {
        let (ratio, delay) = (rates.ratio(), rates.delay_low_samples());
        let mut impulse = vec![0; 160];
        impulse[10] = 10_000;
        let mut up = Upsampler::new(rates);
        let mut high = vec![0; 160 * ratio];
        up.process(&impulse, &mut high);
        let peak = (0..high.len()).max_by_key(|&n| high[n]).unwrap();
        let wanted = (10 + delay) * ratio;
        assert!(
            peak.abs_diff(wanted) <= 1,
            "{rates:?}: {peak}, not {wanted}"
        );

        let mut down = Downsampler::new(rates);
        let mut low = vec![0; 160];
        down.process(&high, &mut low);
        let peak = (0..160).max_by_key(|&n| low[n]).unwrap();
        assert!(peak.abs_diff(10 + 2 * delay) <= 1, "{rates:?}: {peak}");

        let loud = vec![i16::MAX; 480];
        let (mut once, mut again) = (vec![0; 160 * ratio], vec![0; 160]);
        up.process(&loud, &mut vec![0; 480 * ratio]);
        up.reset();
        up.process(&impulse, &mut once);
        assert_eq!(once, high);
        down.process(&loud[..480], &mut vec![0; 480 / ratio]);
        down.reset();
        down.process(&high, &mut again);
        assert_eq!(again, low);
    }
}

#[test]
fn rates_are_found_by_their_hertz() {
    for rates in Rates::ALL {
        assert_eq!(Rates::of(rates.low_hz(), rates.high_hz()), Some(rates));
    }
    assert_eq!(Rates::of(48_000, 8_000), None);
    assert_eq!(Rates::R8And48.high_hz(), 48_000);
}
