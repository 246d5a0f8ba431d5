//! One colour as Y, U and V.

/// A colour of a picture: BT.709, limited range (Y 16 to 235, U and V 16 to 240).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Yuv {
    /// Luma.
    pub y: u8,
    /// Blue difference, 128 where there is none.
    pub u: u8,
    /// Red difference, 128 where there is none.
    pub v: u8,
}

/// Shares of red, green and blue in luma, scaled to 219/255, in 1/65536. They add
/// up to what makes white 235.
pub(crate) const Y_OF_RGB: [i32; 3] = [11_966, 40_254, 4_064];
/// The same for U, scaled to 224/255. They add up to 0, so that grey has no colour.
pub(crate) const U_OF_RGB: [i32; 3] = [-6_596, -22_188, 28_784];
/// The same for V.
pub(crate) const V_OF_RGB: [i32; 3] = [28_784, -26_145, -2_639];

/// What `shares` make of a pixel, in whole steps above `zero`.
#[inline(always)]
pub(crate) const fn weigh(shares: [i32; 3], [r, g, b]: [i32; 3], zero: i32) -> u8 {
    ((shares[0] * r + shares[1] * g + shares[2] * b + (zero << 16) + (1 << 15)) >> 16) as u8
}

impl Yuv {
    /// Y 16.
    pub const BLACK: Self = Self::from_rgb(0, 0, 0);
    /// Y 235.
    pub const WHITE: Self = Self::from_rgb(255, 255, 255);

    /// The nearest to an RGB colour of full range (0 to 255 each), as sRGB and
    /// BT.709 have them.
    #[must_use]
    pub const fn from_rgb(r: u8, g: u8, b: u8) -> Self {
        let rgb = [r as i32, g as i32, b as i32];
        Self {
            y: weigh(Y_OF_RGB, rgb, 16),
            u: weigh(U_OF_RGB, rgb, 128),
            v: weigh(V_OF_RGB, rgb, 128),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn yuv(y: u8, u: u8, v: u8) -> Yuv {
        Yuv { y, u, v }
    }

    #[test]
    fn greys_have_no_colour() {
        for grey in 0..=255 {
            let Yuv { y, u, v } = Yuv::from_rgb(grey, grey, grey);
            let wanted = 16.0 + f64::from(grey) * 219.0 / 255.0;
            assert!((f64::from(y) - wanted).abs() <= 0.502, "{grey}: {y}");
            assert_eq!((u, v), (128, 128));
        }
        assert_eq!(Yuv::BLACK, yuv(16, 128, 128));
        assert_eq!(Yuv::WHITE, yuv(235, 128, 128));
    }

    /// ITU-R BT.709-6, items 3.2 to 3.5, by the book.
    #[test]
    fn every_colour_is_the_nearest() {
        for (r, g, b) in (0..4_096_u32).map(|n| {
            let step = |shift: u32| ((n >> shift & 15) * 17) as u8;
            (step(8), step(4), step(0))
        }) {
            let [red, green, blue] = [r, g, b].map(|one| f64::from(one) / 255.0);
            let luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
            let wanted = [
                219.0 * luma + 16.0,
                224.0 * (blue - luma) / 1.8556 + 128.0,
                224.0 * (red - luma) / 1.5748 + 128.0,
            ];
            let Yuv { y, u, v } = Yuv::from_rgb(r, g, b);
            for (got, wanted) in [y, u, v].into_iter().zip(wanted) {
                assert!(
                    (f64::from(got) - wanted).abs() < 0.51,
                    "{r} {g} {b}: {got} {wanted}"
                );
            }
        }
    }

    #[test]
    fn the_primaries_of_colour_bars() {
        assert_eq!(Yuv::from_rgb(255, 0, 0), yuv(63, 102, 240));
        assert_eq!(Yuv::from_rgb(0, 255, 0), yuv(173, 42, 26));
        assert_eq!(Yuv::from_rgb(0, 0, 255), yuv(32, 240, 118));
    }
}
