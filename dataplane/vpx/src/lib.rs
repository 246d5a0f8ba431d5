//! VP8 of libvpx behind a safe face: [`Encoder`] and [`Decoder`].
//!
//! Each owns one library context, which is called by one thread at a time and
//! starts none. What the library lends (coded bytes, planes) is copied or borrowed
//! before it can be overwritten. Its structs hold C enumerations that Rust sees as
//! enums, so none is ever made of zeros: the library's own functions fill them.
//!
//! What to encode or decode and what of a stream to let through is decided by
//! `plenum-codecs`; nothing here knows its types.

mod decoder;
mod encoder;

pub use decoder::{Damaged, Decoder, Outcome, Output};
pub use encoder::{Encoder, EncoderParams, Frame};

use vpx_sys::{vpx_codec_ctx_t, vpx_codec_destroy};

/// The library has no memory for another codec, or refused what it was given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Refused;

/// One plane of samples.
#[derive(Clone, Copy, Debug)]
pub struct Plane<'a> {
    /// Rows, a stride apart; the last may end with its last sample.
    pub data: &'a [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
}

impl Plane<'_> {
    /// Whether so many samples of so many rows lie within the data.
    fn holds(&self, width: usize, height: usize) -> bool {
        let reach = (height - 1)
            .checked_mul(self.stride)
            .and_then(|rows| rows.checked_add(width));
        self.stride >= width && reach.is_some_and(|reach| reach <= self.data.len())
    }
}

/// A context that the library has initialised. Boxed: the library may keep its
/// address.
struct Context(Box<vpx_codec_ctx_t>);

// SAFETY: a context keeps no thread-local state and, told to use one thread, starts
// none; its owners call it through `&mut self` only.
unsafe impl Send for Context {}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: initialised by the library, not yet destroyed, and never used again.
        unsafe { vpx_codec_destroy(&raw mut *self.0) };
    }
}
