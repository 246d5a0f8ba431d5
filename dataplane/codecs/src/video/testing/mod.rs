//! For tests and benches: a clip that looks like people talking, and measures of
//! how much a picture has suffered.

mod clip;
mod quality;

pub use clip::TalkingHeads;
pub use quality::{psnr, psnr_of_error, squared_error, ssim};
