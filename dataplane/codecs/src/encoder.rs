//! From samples to payloads, for one leg or for many.

use plenum_abi::AudioCodec;
use plenum_kernels::audio::g711;

use crate::g722::G722Encoder;
use crate::opus_codec::OpusEncoder;
use crate::{CodecUnavailable, EncodeError};

/// What Opus spends where nobody says otherwise: fullband speech at its best,
/// mono, in 20 ms frames, takes 28 to 40 kbit/s (RFC 7587 section 3.1.1).
pub const OPUS_BIT_RATE_BPS_DEFAULT: u32 = 32_000;

/// How Opus is to encode. The other codecs have no choice and ignore it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EncoderOptions {
    /// What is spent on average while somebody speaks, bit/s (6,000 to 510,000; what is outside is moved
    /// to the nearer end); 0 for [`OPUS_BIT_RATE_BPS_DEFAULT`].
    pub bit_rate_bps: u32,
    /// 0 (quick) to 10 (good).
    pub complexity: u8,
    /// In silence payloads of two bytes or less come out, which need not be sent.
    pub discontinuous: bool,
    /// Loss that the far end reports, in percent; above 0 packets carry the one
    /// before them again, as small as it gets.
    pub loss_percent: u8,
}

impl Default for EncoderOptions {
    /// Complexity 5: 120 us a frame where 10 takes 190, and nobody hears it on speech.
    fn default() -> Self {
        Self {
            bit_rate_bps: 0,
            complexity: 5,
            discontinuous: false,
            loss_percent: 0,
        }
    }
}

/// The encoder of one stream.
///
/// Samples are 16-bit, mono, at the codec's
/// [`sample_rate_hz`](AudioCodec::sample_rate_hz). [`AudioEncoder::new`]
/// allocates; nothing else does.
pub struct AudioEncoder {
    state: State,
}

enum State {
    Pcmu,
    Pcma,
    G722(Box<G722Encoder>),
    Opus(Box<OpusEncoder>),
}

impl core::fmt::Debug for AudioEncoder {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "AudioEncoder({:?})", self.codec())
    }
}

impl AudioEncoder {
    /// An encoder at rest.
    ///
    /// # Errors
    /// When the codec library has no memory, or the codec is not known here.
    pub fn new(codec: AudioCodec, options: &EncoderOptions) -> Result<Self, CodecUnavailable> {
        let state = match codec {
            AudioCodec::Pcmu => State::Pcmu,
            AudioCodec::Pcma => State::Pcma,
            AudioCodec::G722 => State::G722(Box::default()),
            AudioCodec::Opus => State::Opus(Box::new(OpusEncoder::new(options)?)),
            _ => return Err(CodecUnavailable),
        };
        Ok(Self { state })
    }

    /// What it encodes.
    #[must_use]
    pub const fn codec(&self) -> AudioCodec {
        match self.state {
            State::Pcmu => AudioCodec::Pcmu,
            State::Pcma => AudioCodec::Pcma,
            State::G722(_) => AudioCodec::G722,
            State::Opus(_) => AudioCodec::Opus,
        }
    }

    /// Other options from the next frame on. The stream goes on unbroken.
    pub fn configure(&mut self, options: &EncoderOptions) {
        if let State::Opus(encoder) = &mut self.state {
            encoder.configure(options);
        }
    }

    /// Back to rest, as for a new stream.
    pub fn reset(&mut self) {
        match &mut self.state {
            State::G722(encoder) => **encoder = G722Encoder::default(),
            State::Opus(encoder) => encoder.reset(),
            State::Pcmu | State::Pcma => {}
        }
    }

    /// Takes over the stream of `shared` for one listener whose decoder has
    /// followed it, so that the listener hears no seam. `last_frame` is what
    /// `shared` encoded last.
    ///
    /// G.711 has no state and G.722's is copied: the next payload is the one
    /// that `shared` would have made. libopus keeps its state to itself, so Opus
    /// encodes `last_frame` once more for nobody and then one frame without
    /// prediction; the difference is less than the coding noise (DESIGN.md has
    /// the figures, `tests/quality.rs` the measurement).
    ///
    /// # Panics
    /// When the codecs differ.
    pub fn seed_from(&mut self, shared: &Self, last_frame: &[i16]) {
        assert_eq!(self.codec(), shared.codec());
        match (&mut self.state, &shared.state) {
            (State::G722(own), State::G722(shared)) => **own = **shared,
            (State::Opus(own), _) => own.seed(last_frame),
            _ => {}
        }
    }

    /// Encodes one frame to the front of `out`; gives the number of bytes.
    /// Room for [`PAYLOAD_BYTES_MAX`](crate::PAYLOAD_BYTES_MAX) always suffices
    /// for up to 120 ms.
    ///
    /// # Errors
    /// [`EncodeError::FrameLength`] unless there are 2.5, 5, 10, 20, 40 or 60 ms
    /// of Opus, or an even number of samples of G.722. [`EncodeError::OutputSize`]
    /// when `out` is too small.
    pub fn encode(&mut self, pcm: &[i16], out: &mut [u8]) -> Result<usize, EncodeError> {
        let bytes = match &mut self.state {
            State::Opus(encoder) => return encoder.encode(pcm, out),
            State::G722(_) if !pcm.len().is_multiple_of(2) => {
                return Err(EncodeError::FrameLength);
            }
            State::G722(_) => pcm.len() / 2,
            State::Pcmu | State::Pcma => pcm.len(),
        };
        let out = out.get_mut(..bytes).ok_or(EncodeError::OutputSize)?;
        match &mut self.state {
            State::Pcmu => g711::encode_ulaw(out, pcm),
            State::Pcma => g711::encode_alaw(out, pcm),
            State::G722(encoder) => encoder.encode(pcm, out),
            State::Opus(_) => {}
        }
        Ok(bytes)
    }
}
