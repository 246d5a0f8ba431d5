//! One colour, a border, a copy.
//!
//! All of a view is drawn to; for a part, take a view of the part
//! ([`Picture::crop_mut`](super::Picture::crop_mut)). There is no level but the
//! baseline: these wait for memory, and the standard library's loops are made for
//! that.

use super::color::Yuv;
use super::picture::{PictureMut, PictureRef, Rect};

/// Makes all of it one colour.
pub fn fill(target: PictureMut<'_>, color: Yuv) {
    let samples = [color.y, color.u, color.v];
    for (mut plane, sample) in target.planes_mut().into_iter().zip(samples) {
        for row in plane.rows_mut() {
            row.fill(sample);
        }
    }
}

/// Draws a frame of `thickness` luma samples along the inside of its edges. What is
/// no wider than two frames becomes all frame.
///
/// # Panics
/// When `thickness` is odd: it would end within a chroma sample.
pub fn border(mut target: PictureMut<'_>, thickness: u32, color: Yuv) {
    assert!(thickness.is_multiple_of(2), "a border of {thickness}");
    let (width, height) = (target.width(), target.height());
    if thickness == 0 {
        return;
    }
    // Where right and bottom begin: even too, so of odd sizes a sample more is frame.
    let inner = |side: u32| side.saturating_sub(thickness) & !1;
    let (right, bottom) = (inner(width), inner(height));
    if right <= thickness || bottom <= thickness {
        return fill(target, color);
    }
    for side in [
        Rect::new(0, 0, width, thickness),
        Rect::new(0, bottom, width, height - bottom),
        Rect::new(0, thickness, thickness, bottom - thickness),
        Rect::new(right, thickness, width - right, bottom - thickness),
    ] {
        fill(target.reborrow().crop_mut(side), color);
    }
}

/// Copies all samples.
///
/// # Panics
/// When the sizes differ.
pub fn copy(target: PictureMut<'_>, source: PictureRef<'_>) {
    assert_eq!(
        (target.width(), target.height()),
        (source.width(), source.height())
    );
    for (mut to, from) in target.planes_mut().into_iter().zip(source.planes()) {
        for (to, from) in to.rows_mut().zip(from.rows()) {
            to.copy_from_slice(from);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::video::testing::Noise;
    use crate::video::{Picture, Plane};

    const RED: Yuv = Yuv::from_rgb(255, 0, 0);

    #[test]
    fn a_part_is_filled_and_nothing_else() {
        let mut noise = Noise::seeded(11);
        let before = noise.picture(40, 30);
        let mut picture = before.clone();
        let part = Rect::new(4, 6, 13, 11);
        fill(picture.crop_mut(part), RED);
        for (plane, wanted) in picture
            .crop(part)
            .planes()
            .into_iter()
            .zip([RED.y, RED.u, RED.v])
        {
            assert!(plane.rows().flatten().all(|&sample| sample == wanted));
        }
        copy(picture.crop_mut(part), before.crop(part));
        for plane in Plane::ALL {
            assert!(picture.plane(plane).rows().eq(before.plane(plane).rows()));
        }
    }

    #[test]
    fn a_border_is_as_thick_all_around() {
        for (width, height, thickness) in [(20, 16, 2), (21, 17, 4), (20, 16, 6), (64, 8, 2)] {
            let mut picture = Picture::new(width, height);
            border(picture.view_mut(), thickness, RED);
            for plane in Plane::ALL {
                let half = if plane == Plane::Y { 1 } else { 2 };
                let red = [RED.y, RED.u, RED.v][plane as usize];
                let (side, view) = ((thickness / half) as usize, picture.plane(plane));
                let right = (width / half) as usize - side;
                let bottom = (height / half) as usize - side;
                for (y, row) in view.rows().enumerate() {
                    for (x, &sample) in row.iter().enumerate() {
                        let framed = x < side || y < side || x >= right || y >= bottom;
                        // Of odd sizes, a luma sample more is frame.
                        let extra =
                            x + 1 == right && width % 2 == 1 || y + 1 == bottom && height % 2 == 1;
                        if !extra {
                            assert_eq!(sample == red, framed, "{plane:?} {x} {y}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_border_thicker_than_the_picture_is_all_of_it() {
        for (width, height, thickness) in [(8, 8, 4), (8, 30, 4), (9, 9, 100), (2, 2, 2)] {
            let mut picture = Picture::new(width, height);
            border(picture.view_mut(), thickness, RED);
            assert!(
                picture
                    .plane(Plane::Y)
                    .rows()
                    .flatten()
                    .all(|&s| s == RED.y)
            );
        }
        let mut picture = Picture::new(8, 8);
        border(picture.view_mut(), 0, RED);
        assert!(picture.plane(Plane::V).rows().flatten().all(|&s| s == 128));
    }
}
