//! OpenH264 behind a safe face: [`Encoder`] and [`Decoder`].
//!
//! The library's objects are C++ ones with a table of functions in front. Here
//! each is owned by one value, called by one thread at a time, and what it lends
//! (coded bytes, planes) is copied or borrowed before it can be overwritten. The
//! library's own threads are never asked for, and its log is off.
//!
//! What to encode or decode and what of a stream to let through is decided by
//! `plenum-codecs`; nothing here knows its types.
//!
//! Patents: only the maker's own binary of this library comes with a licence to
//! H.264's patents. Who distributes a build of this source has to see to that.

mod decoder;
mod encoder;

pub use decoder::{Decoder, Failure, Outcome, Output};
pub use encoder::{Coded, Encoder, EncoderParams, Profile};

/// The library has no memory for another codec, or refused its parameters.
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

/// A function of a library object's table.
macro_rules! method {
    ($object:expr, $name:ident) => {{
        // SAFETY: `object` was made by the library and is destroyed only when its
        // owner is dropped; it begins with a pointer to a table that is never
        // written.
        unsafe { (**$object.as_ptr()).$name }
    }};
}
use method;

/// A build without the assembler's part is half as fast, one without its AVX2 half
/// (`.cargo/config.toml` asks for it) a tenth slower, and neither says anything of
/// it. This symbol is in that half, so such a build does not link.
#[cfg(target_arch = "x86_64")]
mod assembled {
    unsafe extern "C" {
        fn WelsSampleSatd16x16_avx2();
    }

    #[used]
    static ASSEMBLED: unsafe extern "C" fn() = WelsSampleSatd16x16_avx2;
}
