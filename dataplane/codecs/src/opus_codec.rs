//! Opus through libopus: mono, 48 kHz.
//!
//! What libopus keeps to itself has to be worked around here, for its state
//! cannot be copied through the safe wrapper: see [`OpusEncoder::seed`].

use opus::{Application, Bitrate, Channels, Signal};

use crate::{
    CodecUnavailable, DecodeError, EncodeError, EncoderOptions, FRAME_SAMPLES_MAX,
    OPUS_BIT_RATE_BPS_DEFAULT, PAYLOAD_BYTES_MAX,
};

const RATE_HZ: u32 = 48_000;
/// Every Opus frame is a multiple of 2.5 ms.
const STEP_SAMPLES: usize = 120;
/// Expected loss beyond which more redundancy does not help speech.
const LOSS_PERCENT_MAX: u8 = 30;

pub(crate) struct OpusDecoder(opus::Decoder);

impl OpusDecoder {
    pub(crate) fn new() -> Result<Self, CodecUnavailable> {
        // A mono decoder mixes stereo packets down by itself.
        opus::Decoder::new(RATE_HZ, Channels::Mono)
            .map(Self)
            .map_err(|_| CodecUnavailable)
    }

    pub(crate) fn reset(&mut self) {
        // Fails only for arguments, and there are none.
        let _ = self.0.reset_state();
    }

    pub(crate) fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> Result<usize, DecodeError> {
        // An empty payload means "lost" to libopus.
        let samples = samples(payload)?;
        let Some(out) = out.get_mut(..samples) else {
            return Err(DecodeError::TooLong);
        };
        self.0
            .decode(payload, out, false)
            .map_err(|_| DecodeError::Malformed)
    }

    pub(crate) fn conceal(&mut self, out: &mut [i16]) {
        for out in out.chunks_mut(FRAME_SAMPLES_MAX) {
            let (whole, rest) = out.split_at_mut(out.len() / STEP_SAMPLES * STEP_SAMPLES);
            if !whole.is_empty() && self.0.decode(&[], whole, false).is_err() {
                whole.fill(0);
            }
            if !rest.is_empty() {
                let mut step = [0; STEP_SAMPLES];
                let _ = self.0.decode(&[], &mut step, false);
                rest.copy_from_slice(&step[..rest.len()]);
            }
        }
    }

    pub(crate) fn recover(&mut self, next_payload: &[u8], out: &mut [i16]) -> bool {
        let fits = out.len().is_multiple_of(STEP_SAMPLES) && out.len() <= FRAME_SAMPLES_MAX;
        let carried = redundant_samples(next_payload).is_some_and(|samples| samples <= out.len());
        if !fits || !carried {
            return false;
        }
        let recovered = self.0.decode(next_payload, out, true);
        recovered.is_ok_and(|samples| samples == out.len())
    }
}

/// Samples that a payload decodes to.
pub(crate) fn samples(payload: &[u8]) -> Result<usize, DecodeError> {
    if payload.is_empty() {
        return Err(DecodeError::Empty);
    }
    match opus::packet::get_nb_samples(payload, RATE_HZ) {
        Ok(samples) if samples > FRAME_SAMPLES_MAX => Err(DecodeError::TooLong),
        Ok(0) | Err(_) => Err(DecodeError::Malformed),
        Ok(samples) => Ok(samples),
    }
}

/// How much of the time before it a packet carries again (low bit-rate
/// redundancy, RFC 6716 section 4.2.4); `None` when it carries none.
fn redundant_samples(payload: &[u8]) -> Option<usize> {
    let (&toc, rest) = payload.split_first()?;
    // Section 3.1, table 2: SILK, hybrid, and CELT that has no redundancy.
    let milliseconds = match toc >> 3 {
        config @ 0..12 => [10, 20, 40, 60][usize::from(config & 3)],
        config @ 12..16 => [10, 20][usize::from(config & 1)],
        _ => return None,
    };
    let first = *first_frame(toc, rest)?.first()?;
    // Section 4.2.3: a voice flag for each 20 ms, then the redundancy flag, and
    // in stereo the same for the side channel.
    let voice_flags = (milliseconds / 20).max(1);
    let middle = first >> (7 - voice_flags) & 1;
    let stereo = toc & 4 != 0;
    let side = if stereo {
        first >> (6 - 2 * voice_flags) & 1
    } else {
        0
    };
    (middle | side != 0).then_some(milliseconds * RATE_HZ as usize / 1_000)
}

/// What follows the lengths of a packet (RFC 6716 section 3.2): its first
/// frame, perhaps with others behind it. Empty where that frame is.
fn first_frame(toc: u8, rest: &[u8]) -> Option<&[u8]> {
    let length = |bytes: &[u8]| match *bytes {
        [short @ 0..252, ..] => Some((usize::from(short), 1)),
        [low, high, ..] => Some((usize::from(high) * 4 + usize::from(low), 2)),
        _ => None,
    };
    match toc & 3 {
        0 | 1 => Some(rest),
        2 => {
            let (len, taken) = length(rest)?;
            rest.get(taken..taken + len)
        }
        _ => {
            let (&count, mut rest) = rest.split_first()?;
            if count & 0x40 != 0 {
                // Padding's length: 254 for each 255, then the last.
                while let Some((&255, after)) = rest.split_first() {
                    rest = after;
                }
                rest = rest.get(1..)?;
            }
            if count & 0x80 == 0 {
                return Some(rest);
            }
            let mut first = None;
            for _ in 1..count & 0x3f {
                let (len, taken) = length(rest)?;
                first.get_or_insert(len);
                rest = rest.get(taken..)?;
            }
            first.map_or(Some(rest), |len| rest.get(..len))
        }
    }
}

pub(crate) struct OpusEncoder {
    encoder: opus::Encoder,
    options: EncoderOptions,
    /// The next frame is the first after [`OpusEncoder::seed`].
    seeded: bool,
}

impl OpusEncoder {
    pub(crate) fn new(options: &EncoderOptions) -> Result<Self, CodecUnavailable> {
        let encoder = opus::Encoder::new(RATE_HZ, Channels::Mono, Application::Voip)
            .map_err(|_| CodecUnavailable)?;
        let mut encoder = Self {
            encoder,
            options: *options,
            seeded: false,
        };
        encoder.apply().map_err(|_| CodecUnavailable)?;
        Ok(encoder)
    }

    pub(crate) fn configure(&mut self, options: &EncoderOptions) {
        if self.options != *options {
            self.options = *options;
            // Every value was made to fit, and libopus accepts what fits.
            let _ = self.apply();
        }
    }

    fn apply(&mut self) -> opus::Result<()> {
        let options = &self.options;
        let bit_rate = match options.bit_rate_bps {
            0 => OPUS_BIT_RATE_BPS_DEFAULT,
            // RFC 7587 section 3.1.1
            asked => asked.clamp(6_000, 510_000),
        };
        let encoder = &mut self.encoder;
        encoder.set_bitrate(Bitrate::Bits(bit_rate as i32))?;
        encoder.set_signal(Signal::Voice)?;
        encoder.set_complexity(i32::from(options.complexity.min(10)))?;
        encoder.set_inband_fec(true)?;
        encoder.set_packet_loss_perc(i32::from(options.loss_percent.min(LOSS_PERCENT_MAX)))?;
        encoder.set_dtx(options.discontinuous)
    }

    pub(crate) fn reset(&mut self) {
        let _ = self.encoder.reset_state();
        self.leave_seed();
    }

    fn leave_seed(&mut self) {
        if self.seeded {
            self.seeded = false;
            let _ = self.encoder.set_prediction_disabled(false);
        }
    }

    /// Takes over a stream that another encoder began, knowing only the last
    /// frame it encoded.
    ///
    /// The far end's decoder is in the other encoder's state, which cannot be
    /// copied. So that frame is encoded once more, for nobody, which gives this
    /// encoder its filters' past, its pitch and its sense of level; and the
    /// first frame that is sent is coded without reference to the decoder's
    /// state.
    pub(crate) fn seed(&mut self, last_frame: &[i16]) {
        let _ = self.encoder.reset_state();
        let mut nobody = [0; PAYLOAD_BYTES_MAX];
        let _ = self.encoder.encode(last_frame, &mut nobody);
        self.seeded = self.encoder.set_prediction_disabled(true).is_ok();
    }

    pub(crate) fn encode(&mut self, pcm: &[i16], out: &mut [u8]) -> Result<usize, EncodeError> {
        if !matches!(pcm.len(), 120 | 240 | 480 | 960 | 1_920 | 2_880) {
            return Err(EncodeError::FrameLength);
        }
        if out.is_empty() {
            return Err(EncodeError::OutputSize);
        }
        let room = out.len().min(PAYLOAD_BYTES_MAX);
        let sent = self.encoder.encode(pcm, &mut out[..room]);
        self.leave_seed();
        sent.map_err(|error| match error.code() {
            opus::ErrorCode::BufferTooSmall => EncodeError::OutputSize,
            _ => EncodeError::Refused,
        })
    }
}

#[cfg(test)]
mod tests;
