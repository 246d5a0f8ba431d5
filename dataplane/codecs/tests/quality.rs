//! What is left of a sound after each codec, with and without loss.

mod common;

use common::{amplitude, purity_db, snr_db, steepest, tone, voice};
use plenum_abi::AudioCodec;
use plenum_codecs::{AudioDecoder, AudioEncoder, EncoderOptions, PAYLOAD_BYTES_MAX};

fn encode_all(codec: AudioCodec, options: &EncoderOptions, pcm: &[i16], ms: usize) -> Vec<Vec<u8>> {
    let mut encoder = AudioEncoder::new(codec, options).unwrap();
    let frame = codec.sample_rate_hz() as usize / 1_000 * ms;
    pcm.chunks_exact(frame)
        .map(|frame| {
            let mut out = [0; PAYLOAD_BYTES_MAX];
            let bytes = encoder.encode(frame, &mut out).unwrap();
            out[..bytes].to_vec()
        })
        .collect()
}

fn decode_all(codec: AudioCodec, payloads: &[Vec<u8>], ms: usize) -> Vec<i16> {
    let frame = codec.sample_rate_hz() as usize / 1_000 * ms;
    let mut decoder = AudioDecoder::new(codec).unwrap();
    let mut pcm = vec![0; payloads.len() * frame];
    for (payload, out) in payloads.iter().zip(pcm.chunks_mut(frame)) {
        assert_eq!(AudioDecoder::samples(codec, payload), Ok(frame));
        assert_eq!(decoder.decode(payload, out), Ok(frame));
    }
    pcm
}

#[test]
fn a_tone_keeps_its_frequency_and_level() {
    // Purity in dB: what the codec's quantisation leaves, less a margin.
    for (codec, hz, purity_min) in [
        (AudioCodec::Pcmu, 1_004.0, 35.0),
        (AudioCodec::Pcma, 1_004.0, 35.0),
        (AudioCodec::G722, 1_004.0, 35.0),
        (AudioCodec::G722, 5_504.0, 12.0),
        (AudioCodec::Opus, 1_004.0, 20.0),
        (AudioCodec::Opus, 440.0, 20.0),
    ] {
        let rate = codec.sample_rate_hz();
        let packet_times: &[usize] = match codec {
            AudioCodec::Opus => &[10, 20, 40, 60],
            _ => &[10, 20, 30, 40, 60],
        };
        for &ms in packet_times {
            let pcm = tone(hz, 8_000.0, rate, rate as usize * 12 / 10);
            let options = EncoderOptions::default();
            let payloads = encode_all(codec, &options, &pcm, ms);
            let heard = decode_all(codec, &payloads, ms);
            let settled = &heard[rate as usize / 5..];
            let level = 20.0 * (amplitude(settled, hz, rate) / 8_000.0).log10();
            let purity = purity_db(settled, hz, rate);
            assert!(
                level.abs() < 0.5,
                "{codec:?} {hz} Hz, {ms} ms: {level:.2} dB"
            );
            assert!(
                purity > purity_min,
                "{codec:?} {hz} Hz, {ms} ms: {purity:.1} dB"
            );
        }
    }
}

#[test]
fn ten_thousand_frames_without_a_gap() {
    for codec in AudioCodec::ALL {
        let rate = codec.sample_rate_hz();
        let frame = rate as usize / 50;
        // One period of the tone is one frame's fiftieth: every frame is alike.
        let pcm = tone(1_000.0, 8_000.0, rate, frame);
        let options = EncoderOptions {
            complexity: 0,
            ..EncoderOptions::default()
        };
        let mut encoder = AudioEncoder::new(codec, &options).unwrap();
        let mut decoder = AudioDecoder::new(codec).unwrap();
        let mut payload = [0; PAYLOAD_BYTES_MAX];
        let mut out = vec![0; frame];
        for index in 0..10_000 {
            let bytes = encoder.encode(&pcm, &mut payload).unwrap();
            assert_eq!(decoder.decode(&payload[..bytes], &mut out), Ok(frame));
            if index >= 10 && index % 16 == 0 {
                let level = 20.0 * (amplitude(&out, 1_000.0, rate) / 8_000.0).log10();
                assert!(level.abs() < 0.7, "{codec:?}, frame {index}: {level:.2} dB");
            }
        }
    }
}

/// Gaps of 20 and 60 ms in a tone: neither at its ends nor inside is there a
/// step that the tone has not (within 3 dB, Opus 4); after it the tone is as before.
#[test]
fn a_concealed_gap_has_no_click() {
    for codec in AudioCodec::ALL {
        let rate = codec.sample_rate_hz();
        let frame = rate as usize / 50;
        for hz in [200.0, 440.0, 997.0] {
            let pcm = tone(hz, 8_000.0, rate, rate as usize);
            let payloads = encode_all(codec, &EncoderOptions::default(), &pcm, 20);
            for lost in [1, 3] {
                let mut decoder = AudioDecoder::new(codec).unwrap();
                let mut heard = vec![0; frame * payloads.len()];
                for (index, out) in heard.chunks_mut(frame).enumerate() {
                    if (20..20 + lost).contains(&index) {
                        decoder.conceal(out);
                    } else {
                        decoder.decode(&payloads[index], out).unwrap();
                    }
                }
                let around = &heard[15 * frame..(25 + lost) * frame];
                let usual = f64::from(steepest(&heard[10 * frame..18 * frame]));
                let worst = f64::from(steepest(around));
                let what = format!("{codec:?}, {hz} Hz, {lost} lost");
                // libopus' own seams are a little steeper than ours.
                let bound = if codec == AudioCodec::Opus { 1.6 } else { 1.41 };
                assert!(worst < usual * bound, "{what}: {worst} against {usual}");
                // 20 ms are filled nearly as loud as the rest.
                if lost == 1 {
                    let gap = &heard[20 * frame..21 * frame];
                    let loud = amplitude(gap, hz, rate);
                    assert!(loud > 8_000.0 * 0.5, "{what}: {loud:.0}");
                }
                let after = &heard[(28 + lost) * frame..];
                assert!(
                    (amplitude(after, hz, rate) / 8_000.0).log10().abs() * 20.0 < 0.7,
                    "{what}"
                );
            }
        }
    }
}

/// A gap that lasts fades out, and what follows fades in.
#[test]
fn a_long_gap_is_silent_after_60_ms() {
    for codec in [AudioCodec::Pcmu, AudioCodec::Pcma, AudioCodec::G722] {
        let rate = codec.sample_rate_hz();
        let frame = rate as usize / 50;
        let pcm = tone(440.0, 8_000.0, rate, rate as usize);
        let payloads = encode_all(codec, &EncoderOptions::default(), &pcm, 20);
        let mut decoder = AudioDecoder::new(codec).unwrap();
        let mut out = vec![0; frame];
        for payload in &payloads {
            decoder.decode(payload, &mut out).unwrap();
        }
        // In pieces of odd lengths, as a jitter buffer might ask.
        let mut gap = vec![0; frame * 10];
        let mut rest = gap.as_mut_slice();
        for len in [1, 39, 7, 253, 0, 80].into_iter().cycle() {
            let (piece, later) = rest.split_at_mut(len.min(rest.len()));
            decoder.conceal(piece);
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        let usual = 8_000.0 * std::f64::consts::TAU * 440.0 / f64::from(rate);
        assert!(f64::from(steepest(&gap)) < usual * 1.41);
        assert!(
            gap[frame * 3..].iter().all(|&sample| sample == 0),
            "{codec:?}"
        );
        assert!(gap[..frame].iter().any(|&sample| sample.abs() > 6_000));
        decoder.decode(&payloads[0], &mut out).unwrap();
        assert!(out[0].abs() < 500);
    }
}

/// Every fifth packet lost: in-band redundancy restores the lost frames better
/// than concealment, and only packets that carry it say so.
#[test]
fn redundancy_restores_better_than_concealment() {
    let codec = AudioCodec::Opus;
    let pcm = voice(48_000, 48_000 * 4);
    let options = EncoderOptions {
        loss_percent: 20,
        ..EncoderOptions::default()
    };
    let payloads = encode_all(codec, &options, &pcm, 20);
    let whole = decode_all(codec, &payloads, 20);

    let lossy = |recover: bool| {
        let mut decoder = AudioDecoder::new(codec).unwrap();
        let mut heard = vec![0; 960 * payloads.len()];
        let mut recovered = 0;
        for (index, out) in heard.chunks_mut(960).enumerate() {
            let lost = index % 5 == 4 && index > 10 && index + 1 < payloads.len();
            if !lost {
                decoder.decode(&payloads[index], out).unwrap();
            } else if recover && decoder.recover(&payloads[index + 1], out) {
                recovered += 1;
            } else {
                decoder.conceal(out);
            }
        }
        (heard, recovered)
    };
    let (with, recovered) = lossy(true);
    let (without, none) = lossy(false);
    assert_eq!(none, 0);
    assert!(recovered > 25, "{recovered} of 38");

    let lost_frames = |pcm: &[i16]| -> Vec<i16> {
        let frames = pcm.chunks(960).enumerate();
        frames
            .filter(|(index, _)| index % 5 == 4 && *index > 10)
            .flat_map(|(_, frame)| frame.to_vec())
            .collect()
    };
    let truth = lost_frames(&whole);
    let redundancy = snr_db(&truth, &lost_frames(&with));
    let concealment = snr_db(&truth, &lost_frames(&without));
    eprintln!("lost frames: redundancy {redundancy:.1} dB, concealment {concealment:.1} dB");
    assert!(redundancy > concealment + 3.0);

    // Nobody reported loss: nothing to recover from.
    let plain = encode_all(codec, &EncoderOptions::default(), &pcm, 20);
    let mut decoder = AudioDecoder::new(codec).unwrap();
    let mut out = [0; 960];
    for payload in &plain {
        assert!(!decoder.recover(payload, &mut out));
        decoder.decode(payload, &mut out).unwrap();
    }
}

#[test]
fn other_codecs_recover_nothing() {
    for codec in [AudioCodec::Pcmu, AudioCodec::Pcma, AudioCodec::G722] {
        let mut decoder = AudioDecoder::new(codec).unwrap();
        assert!(!decoder.recover(&[0; 160], &mut [0; 160]));
    }
}

/// A listener becomes a speaker: his decoder, which has followed the shared
/// stream, goes on with an encoder of his own that hears the same.
#[test]
fn an_own_stream_goes_on_where_the_shared_one_was() {
    // G.722 to the bit; Opus within a fraction of its own coding noise.
    for codec in AudioCodec::ALL {
        let rate = codec.sample_rate_hz();
        let frame = rate as usize / 50;
        let pcm = voice(rate, rate as usize * 2);
        let options = EncoderOptions::default();
        let unbroken = encode_all(codec, &options, &pcm, 20);
        let heard_unbroken = decode_all(codec, &unbroken, 20);
        let (mut seams, mut unseeded, mut coding) = (Vec::new(), Vec::new(), Vec::new());
        for seam in (20..80).step_by(7) {
            let mut shared = AudioEncoder::new(codec, &options).unwrap();
            let mut own = AudioEncoder::new(codec, &options).unwrap();
            let mut out = [0; PAYLOAD_BYTES_MAX];
            let frames: Vec<&[i16]> = pcm.chunks_exact(frame).collect();
            for frame in &frames[..seam] {
                shared.encode(frame, &mut out).unwrap();
            }
            let mut go_on = |own: &mut AudioEncoder| {
                let mut payloads = unbroken[..seam].to_vec();
                for frame in &frames[seam..] {
                    let bytes = own.encode(frame, &mut out).unwrap();
                    payloads.push(out[..bytes].to_vec());
                }
                payloads
            };
            let plain = go_on(&mut AudioEncoder::new(codec, &options).unwrap());
            own.seed_from(&shared, frames[seam - 1]);
            let payloads = go_on(&mut own);
            if codec != AudioCodec::Opus {
                assert_eq!(payloads, unbroken, "{codec:?}");
                continue;
            }
            let heard = decode_all(codec, &payloads, 20);
            // The first 60 ms after the seam, against the unbroken stream.
            let around = seam * frame..(seam + 3) * frame;
            seams.push(snr_db(
                &heard_unbroken[around.clone()],
                &heard[around.clone()],
            ));
            let heard_plain = decode_all(codec, &plain, 20);
            unseeded.push(snr_db(
                &heard_unbroken[around.clone()],
                &heard_plain[around.clone()],
            ));
            // 6.5 ms are libopus' look-ahead.
            let spoken = &pcm[around.start - 312..around.end - 312];
            coding.push(snr_db(spoken, &heard_unbroken[around.clone()]));
            let steep = f64::from(steepest(&heard[around.start - frame..around.end]));
            let usual = f64::from(steepest(
                &heard_unbroken[around.start - 2 * frame..around.end + frame],
            ));
            assert!(
                steep < usual * 1.41,
                "seam at {seam}: {steep} against {usual}"
            );
        }
        if codec == AudioCodec::Opus {
            let mean = |list: &[f64]| list.iter().sum::<f64>() / list.len() as f64;
            let worst = seams.iter().copied().fold(f64::INFINITY, f64::min);
            let (seeded, unseeded, coding) = (mean(&seams), mean(&unseeded), mean(&coding));
            eprintln!(
                "Opus seam: {seeded:.1} dB (worst {worst:.1}), unseeded {unseeded:.1} dB, \
                 coding itself {coding:.1} dB"
            );
            assert!(seeded > coding + 2.0 && seeded > unseeded + 1.0 && worst > 4.0);
        }
    }
}

/// A speaker has been silent for half a second and becomes a listener again:
/// his decoder leaves his own encoder for the shared one, which had heard him too.
/// For Opus the seam is below the coding noise; G.722's is not (the mixer waits for
/// a pause).
#[test]
fn coming_back_to_a_shared_stream() {
    for codec in [AudioCodec::G722, AudioCodec::Opus] {
        let rate = codec.sample_rate_hz();
        let frame = rate as usize / 50;
        let others = voice(rate, rate as usize * 2);
        let (mut seams, mut coding) = (Vec::new(), Vec::new());
        for seam in (40..90).step_by(7) {
            let mut everybody = others.clone();
            let own = tone(523.0, 5_000.0, rate, (seam - 25) * frame);
            for (sum, own) in everybody.iter_mut().zip(own) {
                *sum = sum.saturating_add(own);
            }
            let options = EncoderOptions::default();
            let shared = encode_all(codec, &options, &everybody, 20);
            let own = encode_all(codec, &options, &others, 20);
            let unbroken = decode_all(codec, &shared, 20);
            let payloads = [&own[..seam], &shared[seam..]].concat();
            let heard = decode_all(codec, &payloads, 20);
            let around = seam * frame..(seam + 3) * frame;
            seams.push(snr_db(&unbroken[around.clone()], &heard[around.clone()]));
            // The codecs' delay: the quadrature filters' or libopus' look-ahead.
            let delay = if codec == AudioCodec::G722 { 22 } else { 312 };
            let spoken = &others[around.start - delay..around.end - delay];
            coding.push(snr_db(spoken, &unbroken[around.clone()]));
            let steep = f64::from(steepest(&heard[around.start - frame..around.end]));
            let usual = f64::from(steepest(
                &unbroken[around.start - 2 * frame..around.end + frame],
            ));
            assert!(
                steep < usual * 1.41,
                "{codec:?}, {seam}: {steep} against {usual}"
            );
        }
        let mean = |list: &[f64]| list.iter().sum::<f64>() / list.len() as f64;
        let worst = seams.iter().copied().fold(f64::INFINITY, f64::min);
        let (seam, coding) = (mean(&seams), mean(&coding));
        eprintln!("{codec:?} back: {seam:.1} dB (worst {worst:.1}), coding itself {coding:.1} dB");
        let least = if codec == AudioCodec::G722 {
            15.0
        } else {
            coding
        };
        assert!(seam > least);
    }
}

#[test]
fn stereo_opus_is_heard_in_mono() {
    let mut stereo =
        opus::Encoder::new(48_000, opus::Channels::Stereo, opus::Application::Audio).unwrap();
    let (left, right) = (
        tone(440.0, 6_000.0, 48_000, 48_000),
        tone(880.0, 6_000.0, 48_000, 48_000),
    );
    let mut decoder = AudioDecoder::new(AudioCodec::Opus).unwrap();
    let mut heard = Vec::new();
    for (left, right) in left.chunks(960).zip(right.chunks(960)) {
        let both: Vec<i16> = left.iter().zip(right).flat_map(|(&l, &r)| [l, r]).collect();
        let payload = stereo.encode_vec(&both, 1_275).unwrap();
        let mut out = [0; 960];
        assert_eq!(decoder.decode(&payload, &mut out), Ok(960));
        heard.extend_from_slice(&out);
    }
    let settled = &heard[9_600..];
    for hz in [440.0, 880.0] {
        let level = amplitude(settled, hz, 48_000);
        assert!((level - 3_000.0).abs() < 300.0, "{hz} Hz: {level:.0}");
    }
}

#[test]
fn opus_decodes_2_5_to_120_ms() {
    let mut decoder = AudioDecoder::new(AudioCodec::Opus).unwrap();
    let pcm = tone(440.0, 8_000.0, 48_000, 5_760);
    for samples in [120, 240, 480, 960, 1_920, 2_880] {
        let mut encoder = AudioEncoder::new(AudioCodec::Opus, &EncoderOptions::default()).unwrap();
        let mut payload = [0; PAYLOAD_BYTES_MAX];
        let bytes = encoder.encode(&pcm[..samples], &mut payload).unwrap();
        let mut out = [0; plenum_codecs::FRAME_SAMPLES_MAX];
        assert_eq!(decoder.decode(&payload[..bytes], &mut out), Ok(samples));
    }
    // 120 ms are two frames of 60 in one packet.
    let mut encoder = AudioEncoder::new(AudioCodec::Opus, &EncoderOptions::default()).unwrap();
    let mut frames = [[0; PAYLOAD_BYTES_MAX]; 2];
    let mut lens = [0; 2];
    for ((frame, len), pcm) in frames.iter_mut().zip(&mut lens).zip(pcm.chunks(2_880)) {
        *len = encoder.encode(pcm, frame).unwrap();
    }
    let mut packet = [0; 1_500];
    let len = opus::Repacketizer::new()
        .unwrap()
        .combine(&[&frames[0][..lens[0]], &frames[1][..lens[1]]], &mut packet)
        .unwrap();
    let mut out = [0; plenum_codecs::FRAME_SAMPLES_MAX];
    assert_eq!(decoder.decode(&packet[..len], &mut out), Ok(5_760));
}

/// In silence there is next to nothing to send, and speech comes back whole.
#[test]
fn opus_falls_silent_where_it_may() {
    let options = EncoderOptions {
        discontinuous: true,
        ..EncoderOptions::default()
    };
    let mut pcm = voice(48_000, 48_000);
    pcm.resize(48_000 * 3, 0);
    pcm.extend(voice(48_000, 48_000));
    let payloads = encode_all(AudioCodec::Opus, &options, &pcm, 20);
    let sent = |range: std::ops::Range<usize>| {
        payloads[range]
            .iter()
            .filter(|payload| payload.len() > 2)
            .count()
    };
    assert!(sent(0..50) > 45);
    assert!(sent(70..150) <= 8, "{} sent in silence", sent(70..150));
    assert!(sent(150..200) > 45);
    let always = encode_all(AudioCodec::Opus, &EncoderOptions::default(), &pcm, 20);
    assert!(always.iter().all(|payload| payload.len() > 2));
}

#[test]
fn the_bit_rate_is_kept() {
    let pcm = voice(48_000, 48_000 * 4);
    for bit_rate_bps in [6_000, 12_000, 16_000, 24_000, 32_000] {
        let options = EncoderOptions {
            bit_rate_bps,
            ..EncoderOptions::default()
        };
        let payloads = encode_all(AudioCodec::Opus, &options, &pcm, 20);
        let bits: usize = payloads.iter().map(|payload| payload.len() * 8).sum();
        let spent = bits / 4;
        assert!(
            spent < bit_rate_bps as usize * 11 / 10,
            "{bit_rate_bps}: {spent}"
        );
    }
}

/// A decoder that slept through a quiet room is reset, fed the frame before, and is there
/// when somebody begins to speak: near the decoder that never slept (at least so many dB,
/// in the first 20 ms and in the next), and without a step that it has not. (G.722 takes
/// longer, 3.6 dB in the first 20 ms, so it is not put to sleep.)
#[test]
fn a_decoder_that_slept_wakes_for_the_first_word() {
    for (codec, near_db) in [
        (AudioCodec::Pcmu, [90.0, 90.0]),
        (AudioCodec::Pcma, [90.0, 90.0]),
        (AudioCodec::Opus, [30.0, 30.0]),
    ] {
        let rate = codec.sample_rate_hz();
        let frame = rate as usize / 50;
        let mut pcm = voice(rate, rate as usize * 4);
        // It speaks for 200 ms of every 600; in between it is 60 dB softer.
        for (index, frame) in pcm.chunks_mut(frame).enumerate() {
            if index % 30 < 20 {
                frame.iter_mut().for_each(|sample| *sample /= 1_000);
            }
        }
        let payloads = encode_all(codec, &EncoderOptions::default(), &pcm, 20);
        let unbroken = decode_all(codec, &payloads, 20);
        for part in 0..2 {
            let (mut truth, mut woken) = (Vec::new(), Vec::new());
            for begin in (20..190).step_by(30) {
                let mut decoder = AudioDecoder::new(codec).unwrap();
                let mut out = vec![0; frame];
                // Its state is of the middle of the word before.
                for payload in &payloads[..begin.max(30) - 25] {
                    decoder.decode(payload, &mut out).unwrap();
                }
                decoder.reset();
                for payload in &payloads[begin - 1..=begin + part] {
                    decoder.decode(payload, &mut out).unwrap();
                }
                let at = (begin + part) * frame;
                truth.extend_from_slice(&unbroken[at..at + frame]);
                woken.extend_from_slice(&out);
            }
            let near = snr_db(&truth, &woken);
            eprintln!("{codec:?}, {} ms after: {near:.1} dB", part * 20);
            assert!(near > near_db[part], "{codec:?}: {near:.1} dB");
            let (step, usual) = (steepest(&woken), steepest(&truth));
            assert!(
                f64::from(step) < f64::from(usual) * 1.2,
                "{step} for {usual}"
            );
        }
    }
}
