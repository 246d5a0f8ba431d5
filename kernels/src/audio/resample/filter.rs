//! The filters: a sinc under a Kaiser window (Kaiser 1974), made at first use.
//!
//! A formula instead of tables: the three numbers that matter are visible, and
//! the tests measure what came of them. Each phase of the way up is corrected
//! to a sum of exactly one, so that a constant stays a constant.

use std::f64::consts::PI;
use std::sync::LazyLock;

use super::Rates;

/// The taps of one pair of rates, `T` in each of `R` phases.
pub(super) struct Bank<const T: usize, const R: usize> {
    /// Per phase, in the order of time, in 2^-14.
    pub(super) up: [[i16; T]; R],
    /// The whole filter in the order of time, in 2^-16.
    pub(super) down: [[i16; R]; T],
}

/// A pair's taps.
pub(super) enum Filter {
    R8And16(&'static Bank<48, 2>),
    R8And48(&'static Bank<48, 6>),
    R16And48(&'static Bank<64, 3>),
}

// At 8 kHz voices end at 3.4 kHz and the filter has 0.6 kHz to fall, at 16 kHz
// one kilohertz of twice the rate: a little more sharpness, hence 64 taps.
static R8_AND_16: LazyLock<Bank<48, 2>> = LazyLock::new(|| Bank::design(0.4565, 6.0));
static R8_AND_48: LazyLock<Bank<48, 6>> = LazyLock::new(|| Bank::design(0.4565, 6.0));
static R16_AND_48: LazyLock<Bank<64, 3>> = LazyLock::new(|| Bank::design(0.466, 6.0));

impl Rates {
    pub(super) fn filter(self) -> Filter {
        match self {
            Self::R8And16 => Filter::R8And16(&R8_AND_16),
            Self::R8And48 => Filter::R8And48(&R8_AND_48),
            Self::R16And48 => Filter::R16And48(&R16_AND_48),
        }
    }
}

/// The modified Bessel function of order zero, by its power series.
fn bessel_i0(x: f64) -> f64 {
    let (mut sum, mut term, mut k) = (1.0, 1.0, 1.0);
    while term > sum * 1e-15 {
        term *= (x / (2.0 * k)).powi(2);
        sum += term;
        k += 1.0;
    }
    sum
}

impl<const T: usize, const R: usize> Bank<T, R> {
    /// `cut_off` is where 6 dB are lost, in units of the lower rate; `beta`
    /// trades stop-band depth for sharpness.
    fn design(cut_off: f64, beta: f64) -> Self {
        let centre = (T * R - 1) as f64 / 2.0;
        let tap = |index: usize| {
            let x = 2.0 * PI * cut_off * (index as f64 - centre) / R as f64;
            // The length is even: no tap lies on the centre itself.
            let sinc = x.sin() / x;
            let edge = (index as f64 - centre) / centre;
            sinc * bessel_i0(beta * (1.0 - edge * edge).max(0.0).sqrt())
        };
        let mut up = [[0; T]; R];
        for (phase, taps) in up.iter_mut().enumerate() {
            // Output p of a sample sees the taps p, p + R, ... backwards in time.
            let reals: [f64; T] = std::array::from_fn(|k| tap(phase + R * (T - 1 - k)));
            *taps = quantise(&reals, 1 << 14);
        }
        // Symmetrical, hence the same in either order.
        let reals: Vec<f64> = (0..T * R).map(tap).collect();
        let mut down = [[0; R]; T];
        quantise_into(down.as_flattened_mut(), &reals, 1 << 16);
        Self { up, down }
    }
}

fn quantise<const T: usize>(reals: &[f64; T], one: i32) -> [i16; T] {
    let mut taps = [0; T];
    quantise_into(&mut taps, reals, one);
    taps
}

/// Scales to a sum of exactly `one`; what rounding leaves goes to the largest
/// taps, where it weighs least.
fn quantise_into(taps: &mut [i16], reals: &[f64], one: i32) {
    let sum: f64 = reals.iter().sum();
    for (tap, real) in taps.iter_mut().zip(reals) {
        *tap = (real / sum * f64::from(one)).round() as i16;
    }
    let mut lacking = one - taps.iter().map(|&tap| i32::from(tap)).sum::<i32>();
    let mut largest: Vec<usize> = (0..taps.len()).collect();
    largest.sort_by(|&a, &b| reals[b].total_cmp(&reals[a]));
    for index in largest.into_iter().cycle() {
        if lacking == 0 {
            break;
        }
        taps[index] += lacking.signum() as i16;
        lacking -= lacking.signum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds_hold<const T: usize, const R: usize>(bank: &Bank<T, R>) {
        let magnitude = |taps: &mut dyn Iterator<Item = &i16>| -> i64 {
            taps.map(|tap| i64::from(tap.unsigned_abs())).sum()
        };
        for phase in &bank.up {
            assert_eq!(
                phase.iter().map(|&tap| i32::from(tap)).sum::<i32>(),
                1 << 14
            );
            // 32 bits hold the phase's worst sum and its rounding.
            let worst = magnitude(&mut phase.iter()) * 32_768 + (1 << 13);
            assert!(worst <= i64::from(i32::MAX), "{worst}");
        }
        let down = bank.down.as_flattened();
        assert_eq!(down.iter().map(|&tap| i32::from(tap)).sum::<i32>(), 1 << 16);
        assert!(down.iter().eq(down.iter().rev()), "linear phase");
        // 32 bits hold the worst sum of a vector lane: two of each 16 taps.
        for lane in 0..8 {
            let mut taps = down
                .chunks_exact(16)
                .flat_map(|chunk| &chunk[2 * lane..2 * lane + 2]);
            let worst = magnitude(&mut taps) * 32_768;
            assert!(worst <= i64::from(i32::MAX), "lane {lane}: {worst}");
        }
    }

    #[test]
    fn sums_stay_within_the_words_they_are_kept_in() {
        bounds_hold(&R8_AND_16);
        bounds_hold(&R8_AND_48);
        bounds_hold(&R16_AND_48);
    }
}
