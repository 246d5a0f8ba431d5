//! From payloads to samples, whatever comes and whatever does not.

use plenum_abi::AudioCodec;
use plenum_kernels::audio::g711;

use crate::conceal::Concealer;
use crate::g722::G722Decoder;
use crate::noise::ComfortNoise;
use crate::opus_codec::{self, OpusDecoder};
use crate::{CodecUnavailable, DecodeError, PACKET_MS_MAX};

/// The decoder of one stream.
///
/// Samples are 16-bit, mono, at the codec's
/// [`sample_rate_hz`](AudioCodec::sample_rate_hz). [`AudioDecoder::new`]
/// allocates; nothing else does.
pub struct AudioDecoder {
    state: State,
    noise: ComfortNoise,
}

/// Boxed where it is large: a leg that is set up holds one of these.
enum State {
    Pcmu(Box<Concealer>),
    Pcma(Box<Concealer>),
    G722(Box<(G722Decoder, Concealer)>),
    Opus(OpusDecoder),
}

impl core::fmt::Debug for AudioDecoder {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "AudioDecoder({:?})", self.codec())
    }
}

impl AudioDecoder {
    /// A decoder at rest.
    ///
    /// # Errors
    /// When the codec library has no memory, or the codec is not known here.
    pub fn new(codec: AudioCodec) -> Result<Self, CodecUnavailable> {
        let concealer = || Concealer::new(codec.sample_rate_hz());
        let state = match codec {
            AudioCodec::Pcmu => State::Pcmu(Box::new(concealer())),
            AudioCodec::Pcma => State::Pcma(Box::new(concealer())),
            AudioCodec::G722 => State::G722(Box::new((G722Decoder::default(), concealer()))),
            AudioCodec::Opus => State::Opus(OpusDecoder::new()?),
            _ => return Err(CodecUnavailable),
        };
        Ok(Self {
            state,
            noise: ComfortNoise::default(),
        })
    }

    /// What it decodes.
    #[must_use]
    pub const fn codec(&self) -> AudioCodec {
        match self.state {
            State::Pcmu(_) => AudioCodec::Pcmu,
            State::Pcma(_) => AudioCodec::Pcma,
            State::G722(_) => AudioCodec::G722,
            State::Opus(_) => AudioCodec::Opus,
        }
    }

    /// Whether frames of a codec may be passed over: the decoder is then woken by
    /// [`Self::reset`] and the frame before the one that counts, and sounds at once as if
    /// it had never slept. G.722 takes a tenth of a second to come near.
    #[must_use]
    pub const fn may_sleep(codec: AudioCodec) -> bool {
        !matches!(codec, AudioCodec::G722)
    }

    /// Back to rest, as for a new stream.
    pub fn reset(&mut self) {
        match &mut self.state {
            State::Pcmu(concealer) | State::Pcma(concealer) => **concealer = Concealer::new(8_000),
            State::G722(both) => **both = (G722Decoder::default(), Concealer::new(16_000)),
            State::Opus(decoder) => decoder.reset(),
        }
        self.noise = ComfortNoise::default();
    }

    /// Samples that a payload decodes to, told without decoding it.
    ///
    /// # Errors
    /// As [`Self::decode`] would give, except that a payload may prove
    /// malformed only when it is decoded.
    pub fn samples(codec: AudioCodec, payload: &[u8]) -> Result<usize, DecodeError> {
        let samples_per_byte = match codec {
            AudioCodec::Opus => return opus_codec::samples(payload),
            AudioCodec::G722 => 2,
            _ => 1,
        };
        let samples_max = codec.sample_rate_hz() as usize / 1_000 * PACKET_MS_MAX;
        match payload.len() * samples_per_byte {
            0 => Err(DecodeError::Empty),
            samples if samples > samples_max => Err(DecodeError::TooLong),
            samples => Ok(samples),
        }
    }

    /// Decodes a payload to the front of `out`; gives the number of samples.
    /// Room for [`FRAME_SAMPLES_MAX`](crate::FRAME_SAMPLES_MAX) always suffices.
    ///
    /// # Errors
    /// When the payload is empty, malformed, or has more sound than 120 ms or
    /// than `out` has room for. The decoder is then as before: conceal.
    pub fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> Result<usize, DecodeError> {
        if let State::Opus(decoder) = &mut self.state {
            return decoder.decode(payload, out);
        }
        let samples = Self::samples(self.codec(), payload)?;
        let Some(out) = out.get_mut(..samples) else {
            return Err(DecodeError::TooLong);
        };
        match &mut self.state {
            State::Pcmu(concealer) => {
                g711::decode_ulaw(out, payload);
                concealer.received(out);
            }
            State::Pcma(concealer) => {
                g711::decode_alaw(out, payload);
                concealer.received(out);
            }
            State::G722(both) => {
                both.0.decode(payload, out);
                both.1.received(out);
            }
            State::Opus(_) => {}
        }
        Ok(samples)
    }

    /// Fills all of `out` with made-up sound, for time whose packets are lost.
    /// Any length will do; Opus likes multiples of 2.5 ms.
    pub fn conceal(&mut self, out: &mut [i16]) {
        match &mut self.state {
            State::Pcmu(concealer) | State::Pcma(concealer) => concealer.conceal(out),
            State::G722(both) => both.1.conceal(out),
            State::Opus(decoder) => decoder.conceal(out),
        }
    }

    /// Fills all of `out` with the sound of a lost packet out of the one after
    /// it (Opus in-band FEC); `out` is as long as what was lost. `false` when
    /// `next_payload` does not carry it: then `out` is not to be used, and
    /// [`Self::conceal`] is next. Either way `next_payload` is decoded
    /// afterwards as if nothing had been.
    pub fn recover(&mut self, next_payload: &[u8], out: &mut [i16]) -> bool {
        match &mut self.state {
            State::Opus(decoder) => decoder.recover(next_payload, out),
            _ => false,
        }
    }

    /// Fills all of `out` with noise at this level in -dBov (RFC 3389 section
    /// 3.1), for a gap that the far end announced by a comfort noise packet.
    pub fn comfort_noise(&mut self, level_dbov: u8, out: &mut [i16]) {
        self.noise.fill(level_dbov, out);
        match &mut self.state {
            State::Pcmu(concealer) | State::Pcma(concealer) => concealer.received(out),
            State::G722(both) => both.1.received(out),
            State::Opus(_) => {}
        }
    }
}
