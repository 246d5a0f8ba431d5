//! Where decoders and encoders come from.

use plenum_abi::VideoCodec;
use plenum_codecs::video::{
    DecoderConfig, EncoderConfig, SetupError, VideoDecoder, VideoEncoder, decoder, encoder,
};

/// Makes decoders and encoders.
pub trait Codecs {
    /// A decoder at rest.
    ///
    /// # Errors
    /// As [`plenum_codecs::video::decoder`].
    fn decoder(&mut self, codec: VideoCodec) -> Result<Box<dyn VideoDecoder>, SetupError>;

    /// An encoder whose first picture is a key frame.
    ///
    /// # Errors
    /// As [`plenum_codecs::video::encoder`].
    fn encoder(&mut self, config: &EncoderConfig) -> Result<Box<dyn VideoEncoder>, SetupError>;
}

/// Those of `plenum-codecs`.
#[derive(Clone, Copy, Debug, Default)]
pub struct LibraryCodecs;

impl Codecs for LibraryCodecs {
    fn decoder(&mut self, codec: VideoCodec) -> Result<Box<dyn VideoDecoder>, SetupError> {
        decoder(codec, &DecoderConfig::default())
    }

    fn encoder(&mut self, config: &EncoderConfig) -> Result<Box<dyn VideoEncoder>, SetupError> {
        encoder(config)
    }
}
