//! From and to other formats: RGBA, NV12.
//!
//! RGBA is four bytes a pixel, red, green, blue in full range (0 to 255), alpha;
//! BT.709 as in [`Yuv::from_rgb`](super::Yuv::from_rgb). Half a step is lost each
//! way, in U and V of course what a quarter of the samples cannot say.
//!
//! The loops are recompiled for each level.

use super::color::{U_OF_RGB, V_OF_RGB, Y_OF_RGB, weigh};
use super::picture::{PictureMut, PictureRef};
use super::plane::PlaneRef;
use crate::cpu::Level;
use crate::levels::kernels;

/// Bytes of a pixel.
const PIXEL: usize = 4;

/// Shows pixels, whatever their alpha. A chroma sample is the mean of the pixels
/// that it is sited among: its column counts twice, those beside it once, both rows
/// alike.
///
/// # Panics
/// When `rgba` is not exactly as many pixels as the picture has luma samples.
pub fn from_rgba(mut target: PictureMut<'_>, rgba: &[u8]) {
    let (width, height) = (target.width() as usize, target.height() as usize);
    assert_eq!(rgba.len(), PIXEL * width * height);
    let level = Level::best();
    let row = |y: usize| &rgba[PIXEL * width * y.min(height - 1)..][..PIXEL * width];
    let [mut luma, mut u, mut v] = target.reborrow().planes_mut();
    for (y, out) in luma.rows_mut().enumerate() {
        rows::at::luma_of_rgba(level, out, row(y));
    }
    for (y, (u, v)) in u.rows_mut().zip(v.rows_mut()).enumerate() {
        rows::at::chroma_of_rgba(level, u, v, row(2 * y), row(2 * y + 1));
    }
}

/// The pixels of a picture, alpha 255. A chroma sample is taken as it is for its two
/// by two luma samples.
///
/// # Panics
/// When `rgba` is not exactly as many pixels as the picture has luma samples.
pub fn to_rgba(rgba: &mut [u8], source: PictureRef<'_>) {
    let (width, height) = (source.width() as usize, source.height() as usize);
    assert_eq!(rgba.len(), PIXEL * width * height);
    let level = Level::best();
    let [luma, u, v] = source.planes();
    for (y, out) in rgba.chunks_exact_mut(PIXEL * width.max(1)).enumerate() {
        rows::at::rgba_of_yuv(level, out, luma.row(y), u.row(y / 2), v.row(y / 2));
    }
}

/// The same picture from NV12: luma, and one plane of U and V by turns.
///
/// # Panics
/// When luma does not have the picture's size, or `uv` not twice the width and the
/// height of its chroma.
pub fn from_nv12(target: PictureMut<'_>, luma: PlaneRef<'_>, uv: PlaneRef<'_>) {
    let [mut y, mut u, mut v] = target.planes_mut();
    assert_eq!((luma.width(), luma.height()), (y.width(), y.height()));
    assert_eq!((uv.width(), uv.height()), (2 * u.width(), u.height()));
    let level = Level::best();
    for (out, row) in y.rows_mut().zip(luma.rows()) {
        out.copy_from_slice(row);
    }
    for ((u, v), uv) in u.rows_mut().zip(v.rows_mut()).zip(uv.rows()) {
        rows::at::part(level, u, v, uv);
    }
}

/// The kernels, a row at a time.
pub mod rows {
    use super::kernels;

    kernels! {
        scalar;

        /// Luma of a row of pixels.
        ///
        /// # Panics
        /// When the lengths differ.
        pub fn luma_of_rgba(out: &mut [u8], rgba: &[u8]);

        /// Chroma of two rows of pixels, as [`super::from_rgba`] has it.
        ///
        /// # Panics
        /// When `u` or `v` is not half as long as the rows, rounded up.
        pub fn chroma_of_rgba(u: &mut [u8], v: &mut [u8], above: &[u8], below: &[u8]);

        /// Pixels of a row, as [`super::to_rgba`] has it.
        ///
        /// # Panics
        /// When the lengths are not those of a row.
        pub fn rgba_of_yuv(rgba: &mut [u8], y: &[u8], u: &[u8], v: &[u8]);

        /// What comes by turns, taken apart.
        ///
        /// # Panics
        /// When `u` or `v` is not half as long as `uv`.
        pub fn part(u: &mut [u8], v: &mut [u8], uv: &[u8]);
    }

    /// The specification.
    pub mod scalar {
        use super::super::{U_OF_RGB, V_OF_RGB, Y_OF_RGB, weigh};

        /// See [`super::luma_of_rgba`].
        #[inline(always)]
        pub fn luma_of_rgba(out: &mut [u8], rgba: &[u8]) {
            let (pixels, rest) = rgba.as_chunks::<4>();
            assert!(pixels.len() == out.len() && rest.is_empty());
            for (out, &[r, g, b, _]) in out.iter_mut().zip(pixels) {
                *out = weigh(Y_OF_RGB, [r, g, b].map(i32::from), 16);
            }
        }

        /// See [`super::chroma_of_rgba`].
        #[inline(always)]
        pub fn chroma_of_rgba(u: &mut [u8], v: &mut [u8], above: &[u8], below: &[u8]) {
            let (above, below) = (above.as_chunks::<4>().0, below.as_chunks::<4>().0);
            let (width, columns) = (above.len(), above.len().div_ceil(2));
            assert!(below.len() == width && u.len() == columns && v.len() == columns);
            let both = |x: usize| {
                let (above, below) = (above[x], below[x]);
                [0, 1, 2].map(|c: usize| i32::from(above[c]) + i32::from(below[c]))
            };
            for (x, (u, v)) in u.iter_mut().zip(v).enumerate() {
                let (left, right) = ((2 * x).saturating_sub(1), (2 * x + 1).min(width - 1));
                let (left, own, right) = (both(left), both(2 * x), both(right));
                let rgb = [0, 1, 2].map(|c: usize| (left[c] + 2 * own[c] + right[c] + 4) >> 3);
                *u = weigh(U_OF_RGB, rgb, 128);
                *v = weigh(V_OF_RGB, rgb, 128);
            }
        }

        /// Red, green and blue of a sample, in 1/8192: BT.709's matrix turned round,
        /// from limited to full range.
        const LUMA: i32 = 9_539;
        const RED_OF_V: i32 = 14_686;
        const GREEN_OF_U: i32 = -1_747;
        const GREEN_OF_V: i32 = -4_366;
        const BLUE_OF_U: i32 = 17_305;

        /// See [`super::rgba_of_yuv`].
        #[inline(always)]
        pub fn rgba_of_yuv(rgba: &mut [u8], y: &[u8], u: &[u8], v: &[u8]) {
            let (pixels, rest) = rgba.as_chunks_mut::<4>();
            let columns = y.len().div_ceil(2);
            assert!(pixels.len() == y.len() && rest.is_empty());
            assert!(u.len() == columns && v.len() == columns);
            let cut = |sum: i32| (sum >> 13).clamp(0, 255) as u8;
            let pixel = |y: u8, u: u8, v: u8| {
                let luma = (i32::from(y) - 16) * LUMA + (1 << 12);
                let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
                let red = luma + v * RED_OF_V;
                let green = luma + u * GREEN_OF_U + v * GREEN_OF_V;
                let blue = luma + u * BLUE_OF_U;
                [cut(red), cut(green), cut(blue), 255]
            };
            // Two at a time share their chroma; of an odd row, the last has its own.
            let (pairs, last) = pixels.as_chunks_mut::<2>();
            let (lumas, last_luma) = y.as_chunks::<2>();
            for ((pair, &[left, right]), (&u, &v)) in
                pairs.iter_mut().zip(lumas).zip(u.iter().zip(v))
            {
                *pair = [pixel(left, u, v), pixel(right, u, v)];
            }
            if let ([last], [y]) = (last, last_luma) {
                *last = pixel(*y, u[columns - 1], v[columns - 1]);
            }
        }

        /// See [`super::part`].
        #[inline(always)]
        pub fn part(u: &mut [u8], v: &mut [u8], uv: &[u8]) {
            let (pairs, rest) = uv.as_chunks::<2>();
            assert!(pairs.len() == u.len() && pairs.len() == v.len() && rest.is_empty());
            for ((u, v), &[from_u, from_v]) in u.iter_mut().zip(v).zip(pairs) {
                (*u, *v) = (from_u, from_v);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::video::testing::Noise;
    use crate::video::{Picture, Plane, Yuv};

    #[test]
    fn every_level_agrees_with_the_scalar() {
        let mut noise = Noise::seeded(41);
        for width in (1..=130_usize).chain([640, 1_283]) {
            let columns = width.div_ceil(2);
            let mut bytes = |len: usize| {
                let mut bytes = vec![0; len];
                noise.samples(&mut bytes);
                bytes
            };
            let (above, below) = (bytes(4 * width), bytes(4 * width));
            let (y, u, v) = (bytes(width), bytes(columns), bytes(columns));
            let uv = bytes(2 * columns);
            for level in Level::granted() {
                let (mut fast, mut slow) = (vec![0; width], vec![1; width]);
                rows::at::luma_of_rgba(level, &mut fast, &above);
                rows::scalar::luma_of_rgba(&mut slow, &above);
                assert_eq!(fast, slow, "luma, {level:?}, {width}");

                let mut fast = [vec![0; columns], vec![0; columns]];
                let mut slow = fast.clone();
                let [u_out, v_out] = &mut fast;
                rows::at::chroma_of_rgba(level, u_out, v_out, &above, &below);
                let [u_out, v_out] = &mut slow;
                rows::scalar::chroma_of_rgba(u_out, v_out, &above, &below);
                assert_eq!(fast, slow, "chroma, {level:?}, {width}");

                let [u_out, v_out] = &mut fast;
                rows::at::part(level, u_out, v_out, &uv);
                let [u_out, v_out] = &mut slow;
                rows::scalar::part(u_out, v_out, &uv);
                assert_eq!(fast, slow, "part, {level:?}, {width}");

                let (mut fast, mut slow) = (vec![0; 4 * width], vec![1; 4 * width]);
                rows::at::rgba_of_yuv(level, &mut fast, &y, &u, &v);
                rows::scalar::rgba_of_yuv(&mut slow, &y, &u, &v);
                assert_eq!(fast, slow, "pixels, {level:?}, {width}");
            }
        }
    }

    /// What is one colour comes back within two steps of each.
    #[test]
    fn colours_come_back() {
        let mut picture = Picture::new(9, 5);
        for n in 0..512_u32 {
            let color = [n >> 6, n >> 3 & 7, n & 7].map(|step| (step * 36) as u8);
            let [r, g, b] = color;
            from_rgba(picture.view_mut(), &[r, g, b, 7].repeat(45));
            let Yuv { y, u, v } = Yuv::from_rgb(r, g, b);
            for (plane, wanted) in Plane::ALL.into_iter().zip([y, u, v]) {
                assert!(picture.plane(plane).rows().flatten().all(|&s| s == wanted));
            }
            let mut back = vec![0; 4 * 45];
            to_rgba(&mut back, picture.view());
            for pixel in back.as_chunks::<4>().0 {
                for (got, wanted) in pixel.iter().zip(color) {
                    assert!(got.abs_diff(wanted) <= 2, "{color:?} {pixel:?}");
                }
                assert_eq!(pixel[3], 255);
            }
        }
    }

    #[test]
    fn greys_come_back_within_a_step() {
        let greys: Vec<u8> = (0..=255_u8).flat_map(|n| [n, n, n, 255]).collect();
        let mut picture = Picture::new(16, 16);
        from_rgba(picture.view_mut(), &greys);
        let mut back = vec![0; greys.len()];
        to_rgba(&mut back, picture.view());
        for (got, wanted) in back.iter().zip(&greys) {
            assert!(got.abs_diff(*wanted) <= 1, "{got} {wanted}");
        }
    }

    #[test]
    fn nv12_is_the_same_picture() {
        let mut noise = Noise::seeded(42);
        for (width, height) in [(2, 2), (31, 17), (64, 48)] {
            let source = noise.picture(width, height);
            let [y, u, v] = source.planes();
            let uv: Vec<u8> = u
                .rows()
                .flatten()
                .zip(v.rows().flatten())
                .flat_map(|(&u, &v)| [u, v])
                .collect();
            let uv = PlaneRef::new(&uv, 2 * u.width(), 2 * u.width(), u.height());
            let mut target = Picture::new(width, height);
            from_nv12(target.view_mut(), y, uv);
            for plane in Plane::ALL {
                assert!(target.plane(plane).rows().eq(source.plane(plane).rows()));
            }
        }
    }
}
