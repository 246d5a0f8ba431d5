//! How much is going on: differences of two planes, mean and variance of one.
//!
//! The loops are recompiled for each level.

use super::plane::PlaneRef;
use crate::cpu::Level;
use crate::levels::kernels;

/// The sum of absolute differences.
///
/// # Panics
/// When the sizes differ.
#[must_use]
pub fn sad(a: PlaneRef<'_>, b: PlaneRef<'_>) -> u64 {
    assert_eq!((a.width(), a.height()), (b.width(), b.height()));
    let level = Level::best();
    let rows = a.rows().zip(b.rows());
    rows.map(|(a, b)| u64::from(rows::at::sad(level, a, b)))
        .sum()
}

/// What mean and variance are made of.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Moments {
    /// Samples.
    pub count: u64,
    /// Their sum.
    pub sum: u64,
    /// The sum of their squares.
    pub squares: u64,
}

impl Moments {
    /// Of all samples of a plane.
    #[must_use]
    pub fn of(plane: PlaneRef<'_>) -> Self {
        let level = Level::best();
        let all = Self {
            count: (plane.width() * plane.height()) as u64,
            ..Self::default()
        };
        plane.rows().fold(all, |all, row| Self {
            sum: all.sum + u64::from(rows::at::sum(level, row)),
            squares: all.squares + u64::from(rows::at::squares(level, row)),
            ..all
        })
    }

    /// 0 to 255; 0 where there is no sample.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.sum as f64 / self.count.max(1) as f64
    }

    /// The mean square of the distance to the mean: 0 for one colour, 16,256 at
    /// most.
    #[must_use]
    pub fn variance(&self) -> f64 {
        let count = u128::from(self.count.max(1));
        // Whole numbers, for the difference of the two is small.
        let squared = u128::from(self.sum).pow(2);
        (count * u128::from(self.squares) - squared) as f64 / (count * count) as f64
    }
}

/// Longest row, in samples: sums of squares fit 32 bits.
pub const ROW_MAX: usize = 1 << 16;

/// The kernels, a row at a time.
pub mod rows {
    use super::kernels;

    kernels! {
        scalar;

        /// The sum of absolute differences.
        ///
        /// # Panics
        /// When the lengths differ, or when they are over [`super::ROW_MAX`].
        pub fn sad(a: &[u8], b: &[u8]) -> u32;

        /// The sum.
        ///
        /// # Panics
        /// When it is longer than [`super::ROW_MAX`].
        pub fn sum(row: &[u8]) -> u32;

        /// The sum of squares.
        ///
        /// # Panics
        /// When it is longer than [`super::ROW_MAX`].
        pub fn squares(row: &[u8]) -> u32;
    }

    /// The specification.
    pub mod scalar {
        use super::super::ROW_MAX;

        /// See [`super::sad`].
        #[inline(always)]
        #[must_use]
        pub fn sad(a: &[u8], b: &[u8]) -> u32 {
            assert!(a.len() == b.len() && a.len() <= ROW_MAX);
            a.iter()
                .zip(b)
                .map(|(&a, &b)| u32::from(a.abs_diff(b)))
                .sum()
        }

        /// See [`super::sum`].
        #[inline(always)]
        #[must_use]
        pub fn sum(row: &[u8]) -> u32 {
            assert!(row.len() <= ROW_MAX);
            row.iter().map(|&sample| u32::from(sample)).sum()
        }

        /// See [`super::squares`].
        #[inline(always)]
        #[must_use]
        pub fn squares(row: &[u8]) -> u32 {
            assert!(row.len() <= ROW_MAX);
            row.iter()
                .map(|&sample| u32::from(sample) * u32::from(sample))
                .sum()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::video::testing::Noise;
    use crate::video::{Picture, Plane, Rect};

    #[test]
    fn every_level_agrees_with_the_scalar() {
        let mut noise = Noise::seeded(31);
        for len in (0..=257).chain([1_280, ROW_MAX]) {
            let (mut a, mut b) = (vec![255; len], vec![0; len]);
            for extreme in [true, false] {
                if !extreme {
                    noise.samples(&mut a);
                    noise.samples(&mut b);
                }
                for level in Level::granted() {
                    let what = format!("{level:?}, {len}");
                    assert_eq!(
                        rows::at::sad(level, &a, &b),
                        rows::scalar::sad(&a, &b),
                        "{what}"
                    );
                    assert_eq!(rows::at::sum(level, &a), rows::scalar::sum(&a), "{what}");
                    assert_eq!(
                        rows::at::squares(level, &a),
                        rows::scalar::squares(&a),
                        "{what}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_still_picture_differs_by_nothing() {
        let mut noise = Noise::seeded(32);
        let mut picture = noise.picture(99, 41);
        let before = picture.clone();
        assert_eq!(sad(picture.plane(Plane::Y), before.plane(Plane::Y)), 0);
        let mut plane = picture.plane_mut(Plane::Y);
        let sample = &mut plane.row_mut(40)[98];
        let by = sample.abs_diff(77);
        *sample = 77;
        assert_eq!(
            sad(picture.plane(Plane::Y), before.plane(Plane::Y)),
            u64::from(by)
        );
        // Nor does a part look beyond its edges.
        let part = Rect::new(0, 0, 98, 40);
        let [a, ..] = picture.crop(part).planes();
        assert_eq!(sad(a, before.crop(part).planes()[0]), 0);
    }

    #[test]
    fn moments_by_the_book() {
        let mut picture = Picture::new(4, 2);
        let moments = Moments::of(picture.plane(Plane::Y));
        assert_eq!((moments.mean(), moments.variance()), (16.0, 0.0));
        picture.plane_mut(Plane::Y).row_mut(0).fill(0);
        picture.plane_mut(Plane::Y).row_mut(1).fill(255);
        let moments = Moments::of(picture.plane(Plane::Y));
        assert_eq!((moments.mean(), moments.variance()), (127.5, 16_256.25));
        assert_eq!(Moments::default().variance(), 0.0);
        let mut noise = Noise::seeded(33);
        let picture = noise.picture(123, 45);
        let samples: Vec<f64> = picture
            .plane(Plane::Y)
            .rows()
            .flatten()
            .map(|&s| f64::from(s))
            .collect();
        let mean = samples.iter().sum::<f64>() / samples.len() as f64;
        let variance =
            samples.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / samples.len() as f64;
        let moments = Moments::of(picture.plane(Plane::Y));
        assert!((moments.mean() - mean).abs() < 1e-9);
        assert!((moments.variance() - variance).abs() < 1e-6);
    }
}
