//! How close one picture is to another: PSNR and SSIM, for tests and benches.
//!
//! Plain code: nobody needs these in a hurry.

use super::picture::{PictureRef, Plane};
use super::plane::PlaneRef;

/// Mean square difference.
///
/// # Panics
/// When the sizes differ.
#[must_use]
pub fn mse(a: PlaneRef<'_>, b: PlaneRef<'_>) -> f64 {
    squares(a, b) as f64 / (a.width() * a.height()).max(1) as f64
}

fn squares(a: PlaneRef<'_>, b: PlaneRef<'_>) -> u64 {
    assert_eq!((a.width(), a.height()), (b.width(), b.height()));
    let pairs = a.rows().zip(b.rows()).flat_map(|(a, b)| a.iter().zip(b));
    pairs.map(|(a, &b)| u64::from(a.abs_diff(b)).pow(2)).sum()
}

/// Peak signal to noise ratio of a plane in dB: infinite where nothing differs.
///
/// # Panics
/// When the sizes differ.
#[must_use]
pub fn psnr(a: PlaneRef<'_>, b: PlaneRef<'_>) -> f64 {
    decibels(mse(a, b))
}

fn decibels(mse: f64) -> f64 {
    10.0 * (255.0 * 255.0 / mse).log10()
}

/// PSNR of all samples of a picture in dB, each plane by its number of samples.
///
/// # Panics
/// When the sizes differ.
#[must_use]
pub fn psnr_picture(a: PictureRef<'_>, b: PictureRef<'_>) -> f64 {
    let planes = Plane::ALL.map(|plane| (a.plane(plane), b.plane(plane)));
    let sum: u64 = planes.iter().map(|&(a, b)| squares(a, b)).sum();
    let samples: usize = planes.iter().map(|(a, _)| a.width() * a.height()).sum();
    decibels(sum as f64 / samples.max(1) as f64)
}

/// Side of the windows that SSIM compares, and how far apart they begin.
const WINDOW: usize = 8;
const STEP: usize = 4;

/// Structural similarity of a plane (Wang, Bovik, Sheikh, Simoncelli 2004): 1 where
/// nothing differs. The mean over windows of 8x8 samples, equally weighted, that
/// begin 4 apart, with the paper's constants; FFmpeg's and x264's is of that kind.
/// A plane smaller than a window is one window.
///
/// # Panics
/// When the sizes differ, or when there is no sample.
#[must_use]
pub fn ssim(a: PlaneRef<'_>, b: PlaneRef<'_>) -> f64 {
    let (width, height) = (a.width(), a.height());
    assert_eq!((width, height), (b.width(), b.height()));
    assert!(width > 0 && height > 0);
    let (columns, rows) = (WINDOW.min(width), WINDOW.min(height));
    let (mut sum, mut windows) = (0.0, 0_u32);
    for y in (0..=height - rows).step_by(STEP) {
        for x in (0..=width - columns).step_by(STEP) {
            sum += ssim_of(a.crop(x, y, columns, rows), b.crop(x, y, columns, rows));
            windows += 1;
        }
    }
    sum / f64::from(windows)
}

fn ssim_of(a: PlaneRef<'_>, b: PlaneRef<'_>) -> f64 {
    const C1: f64 = (0.01 * 255.0) * (0.01 * 255.0);
    const C2: f64 = (0.03 * 255.0) * (0.03 * 255.0);
    let count = (a.width() * a.height()) as f64;
    let [mut sum_a, mut sum_b, mut aa, mut bb, mut ab] = [0_u32; 5];
    for (row_a, row_b) in a.rows().zip(b.rows()) {
        for (&a, &b) in row_a.iter().zip(row_b) {
            let (a, b) = (u32::from(a), u32::from(b));
            sum_a += a;
            sum_b += b;
            aa += a * a;
            bb += b * b;
            ab += a * b;
        }
    }
    let [mean_a, mean_b, aa, bb, ab] = [sum_a, sum_b, aa, bb, ab].map(|sum| f64::from(sum) / count);
    // The paper's estimates divide by one less than the count.
    let unbiased = count / (count - 1.0).max(1.0);
    let variance_a = (aa - mean_a * mean_a) * unbiased;
    let variance_b = (bb - mean_b * mean_b) * unbiased;
    let covariance = (ab - mean_a * mean_b) * unbiased;
    let light = (2.0 * mean_a * mean_b + C1) / (mean_a * mean_a + mean_b * mean_b + C1);
    light * (2.0 * covariance + C2) / (variance_a + variance_b + C2)
}

/// SSIM of a picture: that of its planes, each by its number of samples.
///
/// # Panics
/// When the sizes differ.
#[must_use]
pub fn ssim_picture(a: PictureRef<'_>, b: PictureRef<'_>) -> f64 {
    let (mut sum, mut samples) = (0.0, 0.0);
    for plane in Plane::ALL {
        let (a, b) = (a.plane(plane), b.plane(plane));
        let count = (a.width() * a.height()) as f64;
        sum += ssim(a, b) * count;
        samples += count;
    }
    sum / samples
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::video::Picture;
    use crate::video::testing::Noise;

    #[test]
    fn a_picture_is_like_itself() {
        let mut noise = Noise::seeded(51);
        for (width, height) in [(2, 2), (5, 20), (33, 17)] {
            let picture = noise.picture(width, height);
            assert_eq!(psnr_picture(picture.view(), picture.view()), f64::INFINITY);
            let ssim = ssim_picture(picture.view(), picture.view());
            assert!((ssim - 1.0).abs() < 1e-12, "{ssim}");
        }
    }

    #[test]
    fn psnr_by_the_book() {
        let (a, mut b) = (Picture::new(16, 8), Picture::new(16, 8));
        for row in b.plane_mut(Plane::Y).rows_mut() {
            row.fill(26);
        }
        // 10 steps everywhere: 20 log10(25.5).
        let luma = psnr(a.plane(Plane::Y), b.plane(Plane::Y));
        assert!((luma - 28.130_803_6).abs() < 1e-6, "{luma}");
        assert_eq!(mse(a.plane(Plane::Y), b.plane(Plane::Y)), 100.0);
        // Two thirds of all samples differ.
        let all = psnr_picture(a.view(), b.view());
        assert!((all - luma - 10.0 * 1.5_f64.log10()).abs() < 1e-9, "{all}");
    }

    #[test]
    fn ssim_by_the_book() {
        let (mut a, mut b) = (Picture::new(8, 8), Picture::new(8, 8));
        a.plane_mut(Plane::Y).data().fill(100);
        b.plane_mut(Plane::Y).data().fill(120);
        // Flat: only the means count.
        let wanted = (2.0 * 100.0 * 120.0 + 6.502_5) / (24_400.0 + 6.502_5);
        let got = ssim(a.plane(Plane::Y), b.plane(Plane::Y));
        assert!((got - wanted).abs() < 1e-12, "{got}");
        // Stripes against their negative: the same means, and covariance below zero.
        for (x, value) in [(0, 50), (1, 200)] {
            for row in a.plane_mut(Plane::Y).rows_mut() {
                row.iter_mut()
                    .skip(x)
                    .step_by(2)
                    .for_each(|sample| *sample = value);
            }
            for row in b.plane_mut(Plane::Y).rows_mut() {
                row.iter_mut()
                    .skip(1 - x)
                    .step_by(2)
                    .for_each(|sample| *sample = value);
            }
        }
        let variance = 75.0 * 75.0 * 64.0 / 63.0;
        let wanted = (58.522_5 - 2.0 * variance) / (58.522_5 + 2.0 * variance);
        let got = ssim(a.plane(Plane::Y), b.plane(Plane::Y));
        assert!((got - wanted).abs() < 1e-9, "{got} {wanted}");
    }

    #[test]
    fn noise_costs_both_the_more_of_it_there_is() {
        let mut noise = Noise::seeded(52);
        let original = noise.picture(64, 64);
        let mut before = (f64::INFINITY, 1.1);
        for strength in [1, 4, 16, 64] {
            let mut worse = original.clone();
            for row in worse.plane_mut(Plane::Y).rows_mut() {
                for sample in row {
                    *sample = sample.wrapping_add((noise.next() >> 32) as u8 % strength);
                }
            }
            let (a, b) = (original.plane(Plane::Y), worse.plane(Plane::Y));
            let now = (psnr(a, b), ssim(a, b));
            assert!(strength == 1 || now.0 < before.0 && now.1 < before.1);
            before = now;
        }
    }
}
