//! SIMD inner loops, each beside its scalar reference.

pub mod aes_ctr;
pub mod audio;
pub mod cpu;
mod levels;
pub mod sha1;
pub mod video;
