//! Body of the fuzz target: any payloads in any order, losses between them.

use plenum_abi::AudioCodec;

use crate::{AudioDecoder, DecodeError, FRAME_SAMPLES_MAX};

/// Longest payload that is tried, what an Ethernet frame holds.
pub const PAYLOAD_TRIED_MAX: usize = 1_500;

/// Drives one decoder. The first byte chooses the codec; then come steps of
/// an operation, a length of two bytes (low first) and as many bytes of payload.
///
/// # Panics
/// When a decoder says one length and gives another, gives more than there is
/// room for, or calls a payload what it is not.
pub fn fuzz_decoder(data: &[u8]) {
    let Some((&choice, mut data)) = data.split_first() else {
        return;
    };
    let codec = AudioCodec::ALL[usize::from(choice) % AudioCodec::ALL.len()];
    let Ok(mut decoder) = AudioDecoder::new(codec) else {
        return;
    };
    let mut out = [0; FRAME_SAMPLES_MAX];
    while let [operation, low, high, rest @ ..] = data {
        let len = (usize::from(*high) << 8 | usize::from(*low)) % (PAYLOAD_TRIED_MAX + 1);
        let (payload, later) = rest.split_at(len.min(rest.len()));
        data = later;
        let lost = len * 8 % (FRAME_SAMPLES_MAX + 1);
        match operation % 8 {
            0 => decoder.conceal(&mut out[..lost]),
            1 => decoder.comfort_noise(*low, &mut out[..lost]),
            2 => _ = decoder.recover(payload, &mut out[..lost]),
            3 => _ = decoder.recover(payload, &mut out[..960]),
            other => {
                let room =
                    [960, FRAME_SAMPLES_MAX, FRAME_SAMPLES_MAX, lost][usize::from(other) - 4];
                let told = AudioDecoder::samples(codec, payload);
                match decoder.decode(payload, &mut out[..room]) {
                    Ok(samples) => {
                        assert!((1..=room).contains(&samples));
                        assert_eq!(told, Ok(samples));
                    }
                    Err(DecodeError::TooLong) => {
                        assert!(told.map_or_else(
                            |error| error == DecodeError::TooLong,
                            |samples| samples > room
                        ));
                    }
                    Err(DecodeError::Empty) => assert!(payload.is_empty()),
                    Err(_) => assert!(codec == AudioCodec::Opus),
                }
            }
        }
    }
}
