//! PSNR and SSIM, as the video literature has them.

use plenum_kernels::video::{Picture, Plane, PlaneRef};

/// What a perfect copy counts as, dB.
const PSNR_MAX_DB: f64 = 99.0;

/// Sum of squared differences and number of samples of one plane.
///
/// # Panics
/// When the sizes differ.
#[must_use]
pub fn squared_error(a: &Picture, b: &Picture, plane: Plane) -> (u64, u64) {
    assert_eq!((a.width(), a.height()), (b.width(), b.height()));
    let (a, b) = (a.plane(plane), b.plane(plane));
    let mut error = 0;
    for (a, b) in a.rows().zip(b.rows()) {
        let row: u32 = a
            .iter()
            .zip(b)
            .map(|(&a, &b)| u32::from(a.abs_diff(b)).pow(2))
            .sum();
        error += u64::from(row);
    }
    (error, (a.width() * a.height()) as u64)
}

/// PSNR by a sum of squared errors over so many samples, dB.
#[must_use]
pub fn psnr_of_error((error, samples): (u64, u64)) -> f64 {
    if error == 0 {
        return PSNR_MAX_DB;
    }
    10.0 * (255.0_f64.powi(2) * samples as f64 / error as f64).log10()
}

/// PSNR of the luma plane, dB.
///
/// # Panics
/// When the sizes differ.
#[must_use]
pub fn psnr(a: &Picture, b: &Picture) -> f64 {
    psnr_of_error(squared_error(a, b, Plane::Y))
}

/// Mean SSIM of the luma plane over windows of 8x8 samples, four apart; 1 for a
/// perfect copy.
///
/// # Panics
/// When the sizes differ or are below 8.
#[must_use]
pub fn ssim(a: &Picture, b: &Picture) -> f64 {
    assert_eq!((a.width(), a.height()), (b.width(), b.height()));
    let (a, b) = (a.plane(Plane::Y), b.plane(Plane::Y));
    let mut sum = 0.0;
    let mut windows = 0;
    for y in (0..=a.height() - 8).step_by(4) {
        for x in (0..=a.width() - 8).step_by(4) {
            sum += ssim_of_window(a, b, x, y);
            windows += 1;
        }
    }
    sum / f64::from(windows)
}

fn ssim_of_window(a: PlaneRef<'_>, b: PlaneRef<'_>, x: usize, y: usize) -> f64 {
    const C1: f64 = (0.01 * 255.0) * (0.01 * 255.0);
    const C2: f64 = (0.03 * 255.0) * (0.03 * 255.0);
    let (mut sum_a, mut sum_b, mut aa, mut bb, mut ab) = (0_u32, 0_u32, 0_u32, 0_u32, 0_u32);
    for row in y..y + 8 {
        for (&a, &b) in a.row(row)[x..x + 8].iter().zip(&b.row(row)[x..x + 8]) {
            let (a, b) = (u32::from(a), u32::from(b));
            sum_a += a;
            sum_b += b;
            aa += a * a;
            bb += b * b;
            ab += a * b;
        }
    }
    let [mean_a, mean_b, aa, bb, ab] = [sum_a, sum_b, aa, bb, ab].map(|sum| f64::from(sum) / 64.0);
    let (var_a, var_b) = (aa - mean_a * mean_a, bb - mean_b * mean_b);
    let covariance = ab - mean_a * mean_b;
    ((2.0 * mean_a * mean_b + C1) * (2.0 * covariance + C2))
        / ((mean_a * mean_a + mean_b * mean_b + C1) * (var_a + var_b + C2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::video::testing::TalkingHeads;

    #[test]
    fn a_copy_is_perfect_and_a_shift_is_not() {
        let clip = TalkingHeads::new(160, 96, 1);
        let mut a = Picture::new(160, 96);
        clip.draw(0, &mut a);
        assert_eq!(psnr(&a, &a), PSNR_MAX_DB);
        assert!((ssim(&a, &a) - 1.0).abs() < 1e-9);
        let mut b = a.clone();
        for row in b.plane_mut(Plane::Y).rows_mut() {
            for sample in row {
                *sample += 4;
            }
        }
        // An error of 4 everywhere: 20 log(255 / 4).
        assert!((psnr(&a, &b) - 36.09).abs() < 0.01);
        assert!(ssim(&a, &b) < 1.0 && ssim(&a, &b) > 0.9);
        clip.draw(40, &mut b);
        assert!(ssim(&a, &b) < 0.95);
    }
}
