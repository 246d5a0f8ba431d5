//! Video codecs behind one pair of traits.
//!
//! [`VideoDecoder`] turns access units into pictures, [`VideoEncoder`] pictures
//! into access units. An access unit is all that makes one picture: NAL units
//! with start codes (H.264 Annex B), or one VP8 frame. Making it from packets
//! and cutting it into them is `plenum_rtp::video`'s work.
//!
//! Both are trait objects: the work behind one call is measured in milliseconds,
//! and a library that is replaced is replaced in [`decoder`] and [`encoder`].
//!
//! An access unit is hostile until decoded. Whatever its bytes, the answer is a
//! picture no larger than [`DecoderConfig`] allows, nothing, or a
//! [`DecodeError`]. The libraries behind this are large and not ours, so the
//! process that decodes is one that may die (ARCHITECTURE.md).
//!
//! Not here: scaling (`plenum-kernels`), who sees whom and at what rate
//! (`plenum-compositor`), when to ask for a key frame.

mod h264;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod vp8;

use plenum_abi::{H264Level, H264Profile, VideoCodec};
use plenum_kernels::video::{Picture, PictureRef, PlaneRef};

/// Macroblocks of the largest picture that is decoded unless told otherwise:
/// 1920x1088, upright or not.
pub const MACROBLOCKS_MAX: u32 = 8_160;

/// Longest access unit that is decoded or encoded, bytes.
pub const ACCESS_UNIT_BYTES_MAX: usize = 1 << 20;

/// Sides of pictures that are encoded.
const SIDE_MIN: u32 = 16;
const SIDE_MAX: u32 = 1_920;

/// What a decoder may be asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DecoderConfig {
    /// Macroblocks (16x16) of the largest picture. Larger ones are refused
    /// before any memory is taken for them. Neither side may be longer than the
    /// root of eight times this, as H.264 has it for its levels.
    pub macroblocks_max: u32,
}

impl Default for DecoderConfig {
    fn default() -> Self {
        Self {
            macroblocks_max: MACROBLOCKS_MAX,
        }
    }
}

impl DecoderConfig {
    /// Whether a picture of so many macroblocks, so many across and down, is
    /// small enough.
    fn allows(&self, macroblocks: u32, sides: [u32; 2]) -> bool {
        let side_max = (f64::from(self.macroblocks_max) * 8.0).sqrt() as u32;
        macroblocks <= self.macroblocks_max && sides.iter().all(|&side| side <= side_max)
    }
}

/// What an access unit decoded to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decoded {
    /// A picture as its sender made it, as far as the bitstream tells.
    Picture,
    /// A picture in which something is made up, for a part or a reference of it
    /// never came: worth showing, and worth asking for a key frame.
    Concealed,
    /// Nothing to show: parameter sets alone, or a frame that is not shown.
    Nothing,
}

/// Why an access unit gave no picture. The decoder goes on; it needs a key frame
/// before it shows anything that is right.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// No bytes.
    #[error("the access unit is empty")]
    Empty,
    /// More bytes than [`ACCESS_UNIT_BYTES_MAX`].
    #[error("the access unit is too long")]
    TooLong,
    /// A picture larger than [`DecoderConfig`] allows.
    #[error("the picture is larger than allowed")]
    TooLarge,
    /// Not a bitstream of this codec, damaged, of a kind that is not decoded
    /// here, or without the pictures it refers to.
    #[error("the access unit is corrupt")]
    Corrupt,
}

/// The decoder of one stream.
pub trait VideoDecoder: Send {
    /// Decodes one access unit. The stream's size may change at any key frame.
    ///
    /// # Errors
    /// When there is no picture that should have been one: see [`DecodeError`].
    fn decode(&mut self, access_unit: &[u8]) -> Result<Decoded, DecodeError>;

    /// The picture that the last call of [`Self::decode`] made, where the library
    /// has it: nothing is copied. `None` when that call made none; what was there
    /// before is gone then, for the library may have reused its memory.
    fn picture(&self) -> Option<PictureRef<'_>>;
}

/// What may change while a stream runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Bits a second of the coded pictures, packet headers not counted.
    pub bit_rate_bps: u32,
    /// Pictures a second, for which the bits are meant.
    pub frame_rate_hz: f32,
}

/// What an encoder makes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EncoderConfig {
    /// The codec.
    pub codec: VideoCodec,
    /// Pixels in a row, even, 16 to 1,920.
    pub width: u32,
    /// Rows, even, 16 to 1,920.
    pub height: u32,
    /// What to begin with.
    pub rate: Rate,
    /// H.264: Constrained Baseline, or High (coded without its B slices, so
    /// decoders of Constrained High take it too).
    pub profile: H264Profile,
    /// H.264: the highest level that the stream may claim. It claims the lowest
    /// that holds its size, at [`Self::frame_rate_max_hz`] and at any bit rate
    /// that the level allows.
    pub level_max: H264Level,
    /// The highest frame rate that [`VideoEncoder::set_rate`] will ask for.
    pub frame_rate_max_hz: f32,
    /// H.264: no NAL unit is longer, for receivers that cannot put fragments
    /// together (packetization-mode 0). Costs some of the picture's quality.
    pub slice_bytes_max: Option<u32>,
    /// Layers in time, 1 to 3. Each above the first doubles the frame rate and
    /// can be left out without harm to those below it.
    pub temporal_layers: u8,
    /// A screen, not a camera: sharp edges, and pictures that stay.
    pub content: bool,
}

/// What one call of [`VideoEncoder::encode`] did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Encoded {
    /// Decoding can begin here.
    pub key_frame: bool,
    /// Layer in time, 0 for the lowest.
    pub temporal_layer: u8,
    /// The rate left no room for this picture: there is no access unit.
    pub skipped: bool,
}

impl Encoded {
    const SKIPPED: Self = Self {
        key_frame: false,
        temporal_layer: 0,
        skipped: true,
    };
}

/// Why a picture was not encoded.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The picture is not of the size the encoder was made for.
    #[error("the picture is of another size")]
    PictureSize,
    /// The codec library refused. A new encoder is needed.
    #[error("the codec refused")]
    Refused,
}

/// Why there is no codec.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The codec is not of this build.
    #[error("the codec is not available")]
    Unavailable,
    /// The configuration is outside of what its fields say.
    #[error("the configuration is out of range")]
    Config,
    /// No level up to the highest allowed holds such pictures.
    #[error("the level does not hold the picture")]
    Level,
    /// The library refused, or has no memory.
    #[error("the codec refused")]
    Refused,
}

/// The encoder of one stream.
pub trait VideoEncoder: Send {
    /// Encodes the next picture into `out`, which is cleared first; as an IDR
    /// picture with its parameter sets, or a VP8 key frame, when `key_frame`
    /// is set. `out` grows to what an access unit takes and then no more.
    ///
    /// # Errors
    /// See [`EncodeError`]; `out` is then empty.
    fn encode(
        &mut self,
        picture: &Picture,
        key_frame: bool,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, EncodeError>;

    /// Another rate from the next picture on, without a key frame. A frame rate
    /// above [`EncoderConfig::frame_rate_max_hz`] is taken as that.
    fn set_rate(&mut self, rate: Rate);

    /// What it was made for, with the rate as it is now.
    fn config(&self) -> &EncoderConfig;
}

/// A decoder at rest.
///
/// # Errors
/// When the codec is not of this build, or its library has no memory.
pub fn decoder(
    codec: VideoCodec,
    config: &DecoderConfig,
) -> Result<Box<dyn VideoDecoder>, SetupError> {
    Ok(match codec {
        VideoCodec::H264 => Box::new(h264::Decoder::new(config)?),
        VideoCodec::Vp8 => Box::new(vp8::Decoder::new(config)?),
        _ => return Err(SetupError::Unavailable),
    })
}

/// An encoder whose first picture will be a key frame.
///
/// # Errors
/// When the codec is not of this build, or `config` asks for what it cannot be.
pub fn encoder(config: &EncoderConfig) -> Result<Box<dyn VideoEncoder>, SetupError> {
    let side = |pixels: u32| (SIDE_MIN..=SIDE_MAX).contains(&pixels) && pixels.is_multiple_of(2);
    let in_range = side(config.width)
        && side(config.height)
        && (1..=3).contains(&config.temporal_layers)
        && config.frame_rate_max_hz >= 1.0
        && config.rate.frame_rate_hz >= 1.0;
    if !in_range {
        return Err(SetupError::Config);
    }
    Ok(match config.codec {
        VideoCodec::H264 => Box::new(h264::Encoder::new(config)?),
        VideoCodec::Vp8 => Box::new(vp8::Encoder::new(config)?),
        _ => return Err(SetupError::Unavailable),
    })
}

/// Rows of Y, U and V, and how far apart they are.
fn borrow_planes(picture: &Picture) -> [(&[u8], usize); 3] {
    picture.planes().map(|plane| (plane.data(), plane.stride()))
}

/// A decoder's planes as a picture; `None` where they are of no size that one has.
fn lent_picture<'a>(
    width: usize,
    height: usize,
    planes: [(&'a [u8], usize); 3],
) -> Option<PictureRef<'a>> {
    let sides = Picture::SIDE_MIN as usize..=Picture::SIDE_MAX as usize;
    if !sides.contains(&width) || !sides.contains(&height) {
        return None;
    }
    let [y, u, v] = planes;
    let chroma =
        |(data, stride)| PlaneRef::new(data, stride, width.div_ceil(2), height.div_ceil(2));
    Some(PictureRef::new(
        PlaneRef::new(y.0, y.1, width, height),
        chroma(u),
        chroma(v),
    ))
}
