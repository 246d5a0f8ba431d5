//! Drawing on a picture: rectangles and masks of one colour.
//!
//! Everything is clipped to the picture. Places are rounded down to even samples,
//! so that a mask's chroma is where its luma is.

use std::ops::Deref;

use plenum_kernels::video::{Picture, PlaneRef, Rect, Yuv, blend, draw};

use crate::layout::even;
use crate::text::Mask;

/// The part of `rect` that is inside of `bounds`.
pub(crate) fn intersect(rect: Rect, bounds: Rect) -> Option<Rect> {
    let (left, top) = (rect.x.max(bounds.x), rect.y.max(bounds.y));
    let right = (rect.x + rect.width).min(bounds.x + bounds.width);
    let bottom = (rect.y + rect.height).min(bounds.y + bounds.height);
    (left < right && top < bottom).then(|| Rect::new(left, top, right - left, bottom - top))
}

/// Makes a rectangle one colour.
pub(crate) fn fill(picture: &mut Picture, rect: Rect, color: Yuv) {
    let rect = Rect::new(even(rect.x), even(rect.y), rect.width, rect.height);
    if let Some(rect) = intersect(rect, picture.rect()) {
        draw::fill(picture.crop_mut(rect), color);
    }
}

/// A mask, ready to be laid over pictures.
#[derive(Debug, Default)]
pub(crate) struct Stamp {
    mask: Mask,
    /// The same with its chroma; `None` where nothing is covered.
    blend: Option<blend::Mask>,
}

impl Stamp {
    pub(crate) fn new(mask: Mask) -> Self {
        Self {
            blend: with_chroma(&mask),
            mask,
        }
    }

    /// Covering only `opacity` of 255 of what the mask does.
    pub(crate) fn faded(mut mask: Mask, opacity: u8) -> Self {
        for covered in &mut mask.coverage {
            *covered = (u32::from(*covered) * u32::from(opacity) / 255) as u8;
        }
        Self::new(mask)
    }
}

impl Deref for Stamp {
    type Target = Mask;

    fn deref(&self) -> &Mask {
        &self.mask
    }
}

fn with_chroma(mask: &Mask) -> Option<blend::Mask> {
    let (width, height) = (mask.width as usize, mask.height as usize);
    let plane = || PlaneRef::new(&mask.coverage, width, width, height);
    (width > 0 && height > 0).then(|| blend::Mask::new(plane()))
}

/// Lays a colour over a picture as far as a stamp covers it.
pub(crate) fn stamp(picture: &mut Picture, (x, y): (u32, u32), stamp: &Stamp, color: Yuv) {
    let whole = Rect::new(even(x), even(y), stamp.width, stamp.height);
    let Some(rect) = intersect(whole, picture.rect()) else {
        return;
    };
    if rect == whole {
        if let Some(mask) = &stamp.blend {
            blend::color(picture.crop_mut(rect), mask, color);
        }
        return;
    }
    // Seldom: something that is larger than the picture.
    let mut part = Mask::new(rect.width, rect.height);
    let rows = stamp.coverage.chunks_exact(stamp.width as usize);
    for (out, row) in part
        .coverage
        .chunks_exact_mut(rect.width as usize)
        .zip(rows)
    {
        out.copy_from_slice(&row[..rect.width as usize]);
    }
    if let Some(mask) = with_chroma(&part) {
        blend::color(picture.crop_mut(rect), &mask, color);
    }
}

/// Cuts the corners of a rectangle round, as far as what is behind it goes: `color`.
pub(crate) fn round_corners(picture: &mut Picture, rect: Rect, corners: &Corners, color: Yuv) {
    let side = corners.side;
    if rect.width < 2 * side || rect.height < 2 * side {
        return;
    }
    let (right, bottom) = (rect.x + rect.width - side, rect.y + rect.height - side);
    let places = [
        (rect.x, rect.y),
        (right, rect.y),
        (rect.x, bottom),
        (right, bottom),
    ];
    for (place, mask) in places.into_iter().zip(&corners.masks) {
        stamp(picture, place, mask, color);
    }
}

/// What is outside of round corners: upper left, upper right, lower left, lower right.
pub(crate) struct Corners {
    side: u32,
    masks: [Stamp; 4],
}

impl Corners {
    /// Of this radius, rounded down to an even number.
    pub(crate) fn new(radius: u32) -> Self {
        let side = even(radius);
        let plate = crate::icons::plate(2 * side, 2 * side, side);
        let quarter = |left: u32, top: u32| {
            let mut mask = Mask::new(side, side);
            let rows = plate.coverage.chunks_exact((2 * side).max(1) as usize);
            let rows = rows.skip(top as usize);
            for (out, row) in mask
                .coverage
                .chunks_exact_mut(side.max(1) as usize)
                .zip(rows)
            {
                for (out, &covered) in out.iter_mut().zip(&row[left as usize..]) {
                    *out = 255 - covered;
                }
            }
            Stamp::new(mask)
        };
        Self {
            side,
            masks: [
                quarter(0, 0),
                quarter(side, 0),
                quarter(0, side),
                quarter(side, side),
            ],
        }
    }
}

/// Copies a picture to a place, all of it.
///
/// # Panics
/// When it is not inside.
pub(crate) fn copy(target: &mut Picture, (x, y): (u32, u32), source: &Picture) {
    let rect = Rect::new(x, y, source.width(), source.height());
    draw::copy(target.crop_mut(rect), source.view());
}

#[cfg(test)]
mod tests {
    use plenum_kernels::video::Plane;

    use super::*;

    fn luma(picture: &Picture, x: usize, y: usize) -> u8 {
        picture.plane(Plane::Y).row(y)[x]
    }

    #[test]
    fn what_is_outside_is_left_out() {
        let mut picture = Picture::new(16, 16);
        fill(&mut picture, Rect::new(13, 12, 40, 40), Yuv::WHITE);
        fill(&mut picture, Rect::new(16, 0, 4, 4), Yuv::WHITE);
        assert_eq!(luma(&picture, 12, 12), 235);
        assert_eq!(luma(&picture, 11, 12), 16);
        let mask = Stamp::new(crate::icons::plate(8, 8, 0));
        stamp(&mut picture, (13, 0), &mask, Yuv::WHITE);
        stamp(&mut picture, (100, 100), &mask, Yuv::WHITE);
        assert_eq!(luma(&picture, 12, 7), 235);
        assert_eq!(luma(&picture, 12, 8), 16);
    }

    #[test]
    fn a_mask_covers_as_far_as_it_says() {
        let mut picture = Picture::new(8, 8);
        let mut mask = Mask::new(4, 4);
        mask.coverage[0] = 255;
        mask.coverage[1] = 51;
        let red = Yuv::from_rgb(255, 0, 0);
        stamp(&mut picture, (2, 2), &Stamp::new(mask), red);
        assert_eq!(luma(&picture, 2, 2), red.y);
        assert_eq!(
            luma(&picture, 3, 2),
            16 + (f64::from(red.y - 16) / 5.0).round() as u8
        );
        assert_eq!(luma(&picture, 4, 2), 16);
        assert!((129..red.v).contains(&picture.plane(Plane::V).row(1)[1]));
        let mut half = Picture::new(8, 8);
        let faded = Stamp::faded(crate::icons::plate(8, 8, 0), 128);
        stamp(&mut half, (0, 0), &faded, Yuv::WHITE);
        assert_eq!(luma(&half, 3, 3), 126);
    }

    #[test]
    fn round_corners_leave_the_middle() {
        let mut picture = Picture::new(32, 32);
        picture.fill(Yuv::WHITE);
        let rect = Rect::new(4, 4, 24, 24);
        round_corners(&mut picture, rect, &Corners::new(8), Yuv::BLACK);
        for (x, y) in [(4, 4), (27, 4), (4, 27), (27, 27)] {
            assert_eq!(luma(&picture, x, y), 16);
        }
        for (x, y) in [(3, 3), (16, 4), (4, 16), (12, 12), (28, 28)] {
            assert_eq!(luma(&picture, x, y), 235);
        }
        round_corners(
            &mut picture,
            Rect::new(0, 0, 8, 8),
            &Corners::new(8),
            Yuv::BLACK,
        );
        assert_eq!(luma(&picture, 0, 0), 235, "too small to be round");
    }
}
