//! Audio codecs behind one pair of types, and video codecs ([`video`]) behind
//! one pair of traits.
//!
//! [`AudioDecoder`] turns payloads into samples and makes up for what never
//! came; [`AudioEncoder`] turns samples into payloads. Both allocate when they
//! are made and never again, and both dispatch by `match`: there are four
//! codecs, and a fifth is a variant.
//!
//! A payload is hostile until decoded. Whatever its bytes and length, the
//! answer is samples or a [`DecodeError`], never a panic.
//!
//! An encoder has a state that the far end's decoder follows. Legs that share
//! one encoder follow the same state, so a leg that leaves for an encoder of
//! its own must not notice: see [`AudioEncoder::seed_from`].
//!
//! Not here: packets, sequence numbers and time (`plenum-rtp`), resampling
//! (`plenum-kernels`), who hears whom (`plenum-mixer`).

#![forbid(unsafe_code)]

pub mod conceal;
mod decoder;
mod encoder;
pub mod fuzz;
pub mod g722;
pub mod noise;
mod opus_codec;
pub mod video;

pub use decoder::AudioDecoder;
pub use encoder::{AudioEncoder, EncoderOptions, OPUS_BIT_RATE_BPS_DEFAULT};

/// Samples of the longest frame: 120 ms at 48 kHz. An output of this size
/// holds whatever a payload decodes to.
pub const FRAME_SAMPLES_MAX: usize = 5_760;

/// Bytes of the longest payload that is ever encoded (RFC 6716 section 3.2.1).
pub const PAYLOAD_BYTES_MAX: usize = 1_275;

/// Longest packet of any codec (RFC 6716 section 3.2.5), milliseconds.
pub const PACKET_MS_MAX: usize = 120;

/// Why a payload gave no samples. It is dropped and counted under the variant's
/// name; the decoder carries on, and the caller conceals.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// No bytes.
    #[error("the payload is empty")]
    Empty,
    /// Not a payload of this codec.
    #[error("the payload is malformed")]
    Malformed,
    /// More sound than 120 ms or than there is room for.
    #[error("the payload holds more sound than it may")]
    TooLong,
}

/// Why samples were not encoded. A mistake of the caller's, not of the wire.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The codec has no frame of so many samples.
    #[error("the codec has no frame of this length")]
    FrameLength,
    /// The output is too small.
    #[error("the output is too small")]
    OutputSize,
    /// The codec library refused.
    #[error("the codec refused")]
    Refused,
}

/// The codec library could not make a codec: memory ran out, or the codec is
/// not of this build.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the codec is not available")]
pub struct CodecUnavailable;
