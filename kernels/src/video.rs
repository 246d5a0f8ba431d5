//! Pictures: 8-bit I420, and what is done to their samples.
//!
//! A [`Picture`] owns its samples. Kernels take views of one or of a rectangle of
//! one, [`PictureRef`] and [`PictureMut`], or of one plane, [`PlaneRef`] and
//! [`PlaneMut`]; a decoder's own memory can be seen through those as well.
//!
//! | kernels | levels above the baseline |
//! |---|---|
//! | [`scale`] | AVX2, AVX-512 and NEON by hand; more where there is VBMI |
//! | [`blend`], [`convert`], [`activity`] | the same source recompiled for AVX2 and AVX-512 |
//! | [`draw`], [`quality`] | none |
//!
//! On AArch64 the baseline has NEON and the compiler uses it where nothing is written
//! by hand. The NEON code agrees with the scalar on an emulated machine; nobody has
//! measured it. Figures: `benches/results/kernels-video.md`.
//!
//! **Colour** is BT.709 in limited range: Y 16 to 235, U and V 16 to 240 around
//! 128. Only [`Yuv::from_rgb`], [`convert`] and [`blend::Overlay`] know that; the
//! other kernels work on samples of any meaning and use all of 0 to 255.
//!
//! **Chroma** has half the luma's width and height, rounded up. It is sited where
//! H.264 and VP8 have it unless told otherwise: a chroma sample lies on the left
//! luma column of its two (co-sited), and half-way between its two luma rows.
//!
//! Not here: bitstreams, which pane shows whom, text.

pub mod activity;
pub mod blend;
mod color;
pub mod convert;
pub mod draw;
mod picture;
mod plane;
pub mod quality;
pub mod scale;
#[cfg(test)]
pub(crate) mod testing;

pub use color::Yuv;
pub use picture::{Picture, PictureMut, PictureRef, Plane, Rect};
pub use plane::{PlaneMut, PlaneRef};
