//! For tests and benches: a clip that looks like people talking, and measures of
//! how much a picture has suffered.

mod clip;
mod quality;

use plenum_kernels::video::Picture;
use plenum_kernels::video::draw::copy;

use super::{DecodeError, Decoded, VideoDecoder};

pub use clip::TalkingHeads;
pub use quality::{psnr, psnr_of_error, squared_error, ssim};

/// Decodes one access unit and keeps its picture. Unless there is one, `out` is as it was.
///
/// # Errors
/// As [`VideoDecoder::decode`].
pub fn decode_into(
    decoder: &mut dyn VideoDecoder,
    access_unit: &[u8],
    out: &mut Picture,
) -> Result<Decoded, DecodeError> {
    let decoded = decoder.decode(access_unit)?;
    if let Some(picture) = decoder.picture() {
        out.resize(picture.width(), picture.height());
        copy(out.view_mut(), picture);
    }
    Ok(decoded)
}
