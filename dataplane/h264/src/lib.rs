//! H.264 syntax, as much as is needed by who packs, checks or forwards streams
//! without decoding them.
//!
//! - [`nal_units`]: NAL units of an Annex B byte stream.
//! - [`NalType`]: what one of them is.
//! - [`Sps`]: the size and kind of pictures that a sequence parameter set promises.
//! - [`SliceHead`]: the first fields of a slice.
//!
//! Everything borrows, nothing allocates, and any bytes may come: the answer is
//! then `None`. Decoding is `plenum-codecs`'s work, packets are `plenum-rtp`'s.

#![forbid(unsafe_code)]

mod bits;
mod nal;
mod slice;
mod sps;

pub use bits::BitReader;
pub use nal::{NalType, NalUnits, START_CODE, nal_units};
pub use slice::{SliceHead, SliceKind};
pub use sps::Sps;
