//! H.264 by OpenH264: what it is told, and what of a stream it gets to see.

mod decoder;
mod encoder;

pub(super) use decoder::Decoder;
pub(super) use encoder::Encoder;
