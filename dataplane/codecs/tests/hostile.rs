//! Payloads from anybody, and callers' mistakes.

mod common;

use common::Random;
use plenum_abi::AudioCodec;
use plenum_codecs::fuzz::{PAYLOAD_TRIED_MAX, fuzz_decoder};
use plenum_codecs::{
    AudioDecoder, AudioEncoder, DecodeError, EncodeError, EncoderOptions, FRAME_SAMPLES_MAX,
    PAYLOAD_BYTES_MAX,
};

/// Random steps of the fuzz target, some of their payloads good ones bent.
#[test]
fn any_payload_gives_samples_or_an_error() {
    let seed = 0x00c0_ffee_1234_5678;
    eprintln!("seed {seed:#x}");
    let mut random = Random(seed);
    for (choice, codec) in AudioCodec::ALL.into_iter().enumerate() {
        let good = good_payloads(codec);
        for _ in 0..150 {
            let mut data = vec![choice as u8];
            for _ in 0..20 {
                let mut payload = match random.below(4) {
                    0 => good[random.below(good.len())].clone(),
                    1 => random_bytes(&mut random, 16),
                    2 => random_bytes(&mut random, 200),
                    _ => random_bytes(&mut random, PAYLOAD_TRIED_MAX + 1),
                };
                if random.below(4) == 0 {
                    payload.truncate(random.below(payload.len() + 1));
                }
                for _ in 0..random.below(4) {
                    let at = random.below(payload.len().max(1));
                    if let Some(byte) = payload.get_mut(at) {
                        *byte = random.next() as u8;
                    }
                }
                data.push(random.next() as u8);
                data.extend((payload.len() as u16).to_le_bytes());
                data.extend(payload);
            }
            fuzz_decoder(&data);
        }
    }
}

fn random_bytes(random: &mut Random, bound: usize) -> Vec<u8> {
    let len = random.below(bound);
    (0..len).map(|_| (random.next() >> 20) as u8).collect()
}

fn good_payloads(codec: AudioCodec) -> Vec<Vec<u8>> {
    let options = EncoderOptions {
        loss_percent: 20,
        ..EncoderOptions::default()
    };
    let mut encoder = AudioEncoder::new(codec, &options).unwrap();
    let rate = codec.sample_rate_hz();
    common::voice(rate, rate as usize)
        .chunks_exact(rate as usize / 50)
        .map(|frame| {
            let mut out = [0; PAYLOAD_BYTES_MAX];
            let bytes = encoder.encode(frame, &mut out).unwrap();
            out[..bytes].to_vec()
        })
        .collect()
}

/// Rubbish is not remembered: after it, good payloads are decoded as ever.
#[test]
fn rubbish_leaves_the_decoder_usable() {
    let mut random = Random(42);
    for codec in AudioCodec::ALL {
        let good = good_payloads(codec);
        let frame = codec.sample_rate_hz() as usize / 50;
        let mut decoder = AudioDecoder::new(codec).unwrap();
        let mut out = [0; FRAME_SAMPLES_MAX];
        for payload in &good {
            let rubbish = random_bytes(&mut random, 300);
            let _ = decoder.decode(&rubbish, &mut out);
            assert_eq!(decoder.decode(payload, &mut out), Ok(frame));
        }
        decoder.reset();
        assert_eq!(decoder.decode(&good[0], &mut out), Ok(frame));
    }
}

#[test]
fn the_ends_of_what_is_allowed() {
    let mut out = [0; FRAME_SAMPLES_MAX];
    for (codec, bytes_max) in [
        (AudioCodec::Pcmu, 960),
        (AudioCodec::Pcma, 960),
        (AudioCodec::G722, 960),
    ] {
        let mut decoder = AudioDecoder::new(codec).unwrap();
        assert_eq!(decoder.decode(&[], &mut out), Err(DecodeError::Empty));
        assert!(decoder.decode(&vec![0x55; bytes_max], &mut out).is_ok());
        let longer = decoder.decode(&vec![0x55; bytes_max + 1], &mut out);
        assert_eq!(longer, Err(DecodeError::TooLong));
        let no_room = decoder.decode(&[0x55; 160], &mut out[..159]);
        assert_eq!(no_room, Err(DecodeError::TooLong));
    }
    let mut decoder = AudioDecoder::new(AudioCodec::Opus).unwrap();
    assert_eq!(decoder.decode(&[], &mut out), Err(DecodeError::Empty));
    // Code 3 with no frame (RFC 6716 section 3.2.5, R5), and with 49 of 2.5 ms.
    assert_eq!(
        decoder.decode(&[0x03, 0], &mut out),
        Err(DecodeError::Malformed)
    );
    assert!(decoder.decode(&[0xe3, 49, 0], &mut out).is_err());
}

#[test]
fn a_callers_mistake_is_an_error() {
    let mut out = [0; PAYLOAD_BYTES_MAX];
    for codec in AudioCodec::ALL {
        let mut encoder = AudioEncoder::new(codec, &EncoderOptions::default()).unwrap();
        let frame = codec.sample_rate_hz() as usize / 50;
        let pcm = vec![0; frame + 1];
        assert!(encoder.encode(&pcm[..frame], &mut out).is_ok());
        let small = encoder.encode(&pcm[..frame], &mut []);
        assert_eq!(small, Err(EncodeError::OutputSize), "{codec:?}");
        let odd = encoder.encode(&pcm, &mut out);
        match codec {
            AudioCodec::Pcmu | AudioCodec::Pcma => assert_eq!(odd, Ok(161)),
            _ => assert_eq!(odd, Err(EncodeError::FrameLength), "{codec:?}"),
        }
        // Options out of range are moved into it.
        encoder.configure(&EncoderOptions {
            bit_rate_bps: u32::MAX,
            complexity: 255,
            discontinuous: true,
            loss_percent: 255,
        });
        assert!(encoder.encode(&pcm[..frame], &mut out).is_ok());
    }
}
