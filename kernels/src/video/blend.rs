//! What lies over a picture: one colour through a mask (text), a picture with
//! transparency (icons), another picture by degrees (a change of layout).
//!
//! What is laid over is prepared once, with its chroma, and blended into many
//! pictures. 0 leaves a sample exactly as it was, 255 replaces it exactly.
//!
//! The loops are recompiled for each level.

use super::color::{U_OF_RGB, V_OF_RGB, Y_OF_RGB};
use super::color::{Yuv, weigh};
use super::picture::{PictureMut, PictureRef};
use super::plane::{PlaneMut, PlaneRef};
use crate::cpu::Level;
use crate::levels::kernels;

/// A sum of products of bytes that add up to 255 at most, divided by 255, halves
/// upwards.
#[inline(always)]
const fn over_255(sum: u16) -> u8 {
    let sum = sum + 128;
    ((sum + (sum >> 8)) >> 8) as u8
}

/// One chroma sample's share of a luma-sized map, for co-sited chroma: its column
/// counts twice, those beside it once, both rows alike. `at` clamps to the map.
fn chroma_of(at: impl Fn(usize, usize) -> u32, x: usize, y: usize) -> u32 {
    let row = |y| at((2 * x).saturating_sub(1), y) + 2 * at(2 * x, y) + at(2 * x + 1, y);
    (row(2 * y) + row(2 * y + 1) + 4) / 8
}

/// How much of each sample is covered: 0 not at all, 255 all of it.
#[derive(Clone, Debug)]
pub struct Mask {
    width: usize,
    height: usize,
    luma: Vec<u8>,
    chroma: Vec<u8>,
}

impl Mask {
    /// From the coverage of luma samples.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn new(coverage: PlaneRef<'_>) -> Self {
        let (width, height) = (coverage.width(), coverage.height());
        assert!(width > 0 && height > 0, "a mask of {width}x{height}");
        let at = |x: usize, y: usize| u32::from(coverage.row(y.min(height - 1))[x.min(width - 1)]);
        let (columns, rows) = (width.div_ceil(2), height.div_ceil(2));
        Self {
            width,
            height,
            luma: coverage.rows().flatten().copied().collect(),
            chroma: (0..columns * rows)
                .map(|n| chroma_of(at, n % columns, n / columns) as u8)
                .collect(),
        }
    }

    /// Luma samples in a row.
    #[must_use]
    pub const fn width(&self) -> u32 {
        self.width as u32
    }

    /// Luma rows.
    #[must_use]
    pub const fn height(&self) -> u32 {
        self.height as u32
    }

    fn planes(&self) -> [PlaneRef<'_>; 3] {
        let (columns, rows) = (self.width.div_ceil(2), self.height.div_ceil(2));
        let chroma = PlaneRef::new(&self.chroma, columns, columns, rows);
        let luma = PlaneRef::new(&self.luma, self.width, self.width, self.height);
        [luma, chroma, chroma]
    }
}

/// A picture with transparency, to lay over others.
#[derive(Clone, Debug)]
pub struct Overlay {
    mask: Mask,
    /// Samples times their coverage, of all three planes.
    covered: [Vec<u8>; 3],
}

impl Overlay {
    /// From `height` rows of `width` pixels, four bytes each: red, green, blue (full
    /// range, not multiplied by alpha), alpha.
    ///
    /// # Panics
    /// When there is no pixel, or when `rgba` has another length.
    #[must_use]
    pub fn from_rgba(rgba: &[u8], width: u32, height: u32) -> Self {
        let (width, height) = (width as usize, height as usize);
        let (pixels, rest) = rgba.as_chunks::<4>();
        assert!(pixels.len() == width * height && rest.is_empty());
        let alpha: Vec<u8> = pixels.iter().map(|pixel| pixel[3]).collect();
        let mask = Mask::new(PlaneRef::new(&alpha, width, width, height));
        // Colours of chroma samples are means of pixels by how much they cover, so
        // multiplied before they are added up; finer than bytes, to be rounded once.
        let covered = |shares: [i32; 3], zero: i32| -> Vec<u32> {
            let sample = |&[r, g, b, a]: &[u8; 4]| {
                let rgb = [r, g, b].map(i32::from);
                u32::from(weigh(shares, rgb, zero)) * u32::from(a)
            };
            pixels.iter().map(sample).collect()
        };
        let byte = |sum: u32| over_255(sum as u16);
        let chroma = |full: &[u32]| -> Vec<u8> {
            let at = |x: usize, y: usize| full[y.min(height - 1) * width + x.min(width - 1)];
            let columns = width.div_ceil(2);
            (0..columns * height.div_ceil(2))
                .map(|n| byte(chroma_of(at, n % columns, n / columns)))
                .collect()
        };
        let luma = covered(Y_OF_RGB, 16);
        Self {
            mask,
            covered: [
                luma.into_iter().map(byte).collect(),
                chroma(&covered(U_OF_RGB, 128)),
                chroma(&covered(V_OF_RGB, 128)),
            ],
        }
    }

    /// Luma samples in a row.
    #[must_use]
    pub const fn width(&self) -> u32 {
        self.mask.width()
    }

    /// Luma rows.
    #[must_use]
    pub const fn height(&self) -> u32 {
        self.mask.height()
    }
}

/// Puts `color` where the mask covers: `(sample * (255 - mask) + color * mask) / 255`,
/// rounded.
///
/// # Panics
/// When the sizes differ.
pub fn color(target: PictureMut<'_>, mask: &Mask, color: Yuv) {
    assert_eq!(
        (target.width(), target.height()),
        (mask.width(), mask.height())
    );
    let level = Level::best();
    let samples = [color.y, color.u, color.v];
    let planes = target.planes_mut().into_iter().zip(mask.planes());
    for ((mut plane, mask), sample) in planes.zip(samples) {
        for (out, mask) in plane.rows_mut().zip(mask.rows()) {
            rows::at::color(level, out, mask, sample);
        }
    }
}

/// Lays `overlay` over it: `sample * (255 - alpha) / 255`, rounded, and what the
/// overlay has there.
///
/// # Panics
/// When the sizes differ.
pub fn overlay(target: PictureMut<'_>, overlay: &Overlay) {
    assert_eq!(
        (target.width(), target.height()),
        (overlay.width(), overlay.height())
    );
    let level = Level::best();
    let masks = overlay.mask.planes().into_iter().zip(&overlay.covered);
    for (mut plane, (mask, covered)) in target.planes_mut().into_iter().zip(masks) {
        let covered = covered.chunks_exact(mask.width());
        for ((out, mask), covered) in plane.rows_mut().zip(mask.rows()).zip(covered) {
            rows::at::overlay(level, out, mask, covered);
        }
    }
}

/// How far one picture has become another: from 0, the first, to 256, the second.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Progress(u16);

impl Progress {
    /// `done` 256ths, or all of it where that is more.
    #[must_use]
    pub const fn new(done: u16) -> Self {
        Self(if done > 256 { 256 } else { done })
    }
}

/// A picture on its way from one to another: `(from * (256 - progress) + to *
/// progress) / 256`, rounded.
///
/// # Panics
/// When the sizes differ.
pub fn fade(target: PictureMut<'_>, from: PictureRef<'_>, to: PictureRef<'_>, progress: Progress) {
    let size = (target.width(), target.height());
    assert_eq!(size, (from.width(), from.height()));
    assert_eq!(size, (to.width(), to.height()));
    let sources = from.planes().into_iter().zip(to.planes());
    for (target, (from, to)) in target.planes_mut().into_iter().zip(sources) {
        fade_plane(target, from, to, progress);
    }
}

fn fade_plane(mut target: PlaneMut<'_>, from: PlaneRef<'_>, to: PlaneRef<'_>, progress: Progress) {
    let level = Level::best();
    for ((out, from), to) in target.rows_mut().zip(from.rows()).zip(to.rows()) {
        rows::at::fade(level, out, from, to, progress.0);
    }
}

/// The kernels, a row at a time.
pub mod rows {
    use super::kernels;

    kernels! {
        scalar;

        /// See [`super::color`]; one plane's `sample`.
        ///
        /// # Panics
        /// When the lengths differ.
        pub fn color(out: &mut [u8], mask: &[u8], sample: u8);

        /// See [`super::overlay`].
        ///
        /// # Panics
        /// When the lengths differ.
        pub fn overlay(out: &mut [u8], mask: &[u8], covered: &[u8]);

        /// See [`super::fade`]; `progress` is 0 to 256.
        ///
        /// # Panics
        /// When the lengths differ.
        pub fn fade(out: &mut [u8], from: &[u8], to: &[u8], progress: u16);
    }

    /// The specification.
    pub mod scalar {
        use super::super::over_255;

        /// See [`super::color`].
        #[inline(always)]
        pub fn color(out: &mut [u8], mask: &[u8], sample: u8) {
            assert_eq!(out.len(), mask.len());
            for (out, &mask) in out.iter_mut().zip(mask) {
                let mask = u16::from(mask);
                *out = over_255(u16::from(*out) * (255 - mask) + u16::from(sample) * mask);
            }
        }

        /// See [`super::overlay`].
        #[inline(always)]
        pub fn overlay(out: &mut [u8], mask: &[u8], covered: &[u8]) {
            assert_eq!(out.len(), mask.len());
            assert_eq!(out.len(), covered.len());
            for ((out, &mask), &covered) in out.iter_mut().zip(mask).zip(covered) {
                let left = over_255(u16::from(*out) * (255 - u16::from(mask)));
                *out = left.saturating_add(covered);
            }
        }

        /// See [`super::fade`].
        #[inline(always)]
        pub fn fade(out: &mut [u8], from: &[u8], to: &[u8], progress: u16) {
            assert_eq!(out.len(), from.len());
            assert_eq!(out.len(), to.len());
            assert!(progress <= 256);
            for ((out, &from), &to) in out.iter_mut().zip(from).zip(to) {
                let sum = u16::from(from) * (256 - progress) + u16::from(to) * progress;
                *out = ((sum + 128) >> 8) as u8;
            }
        }
    }
}

#[cfg(test)]
mod tests;
