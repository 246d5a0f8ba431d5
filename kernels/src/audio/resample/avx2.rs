//! Both resamplers with 256-bit vectors.
//!
//! `pmaddwd` multiplies sixteen samples with sixteen taps and adds neighbours.
//! Four sums of eight lanes are folded at a time, so that folding costs about a
//! third of the multiplying.

use std::arch::x86_64::*;

use super::scalar;
use crate::cpu::Avx2;

/// See [`scalar::up`].
pub(super) fn up<const T: usize, const R: usize>(
    output: &mut [i16],
    input: &[i16],
    phases: &[[i16; T]; R],
    _proof: Avx2,
) {
    // SAFETY: needs AVX2; an `Avx2` exists only where it was detected.
    unsafe { up_avx2(output, input, phases) }
}

/// See [`scalar::down`].
pub(super) fn down<const T: usize, const R: usize>(
    output: &mut [i16],
    input: &[i16],
    taps: &[[i16; R]; T],
    _proof: Avx2,
) {
    // Folding takes four outputs at a time.
    if output.len() < 4 {
        return scalar::down(output, input, taps.as_flattened(), R);
    }
    // SAFETY: needs AVX2; an `Avx2` exists only where it was detected.
    unsafe { down_avx2(output, input, taps) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(samples: &[i16; 16]) -> __m256i {
    // SAFETY: reads 32 bytes, which the array has; unaligned is allowed.
    unsafe { _mm256_loadu_si256(samples.as_ptr().cast()) }
}

/// The sums of the lanes of each.
#[inline]
#[target_feature(enable = "avx2")]
fn fold(a: __m256i, b: __m256i, c: __m256i, d: __m256i) -> __m128i {
    let pairs = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
    let (low, high) = (
        _mm256_castsi256_si128(pairs),
        _mm256_extracti128_si256::<1>(pairs),
    );
    _mm_add_epi32(low, high)
}

/// Cut to 16 bits.
#[inline]
#[target_feature(enable = "avx2")]
fn cut(sums: __m128i) -> [i16; 4] {
    let packed = _mm_cvtsi128_si64(_mm_packs_epi32(sums, sums));
    [
        packed as i16,
        (packed >> 16) as i16,
        (packed >> 32) as i16,
        (packed >> 48) as i16,
    ]
}

#[target_feature(enable = "avx2")]
fn up_avx2<const T: usize, const R: usize>(
    output: &mut [i16],
    input: &[i16],
    phases: &[[i16; T]; R],
) {
    const { assert!(T.is_multiple_of(16)) };
    assert_eq!((input.len() + 1 - T) * R, output.len());
    let half = _mm_set1_epi32(1 << 13);
    for (output, window) in output.chunks_exact_mut(R).zip(input.windows(T)) {
        let mut sums = [_mm256_setzero_si256(); R];
        for (at, samples) in window.as_chunks::<16>().0.iter().enumerate() {
            let samples = load(samples);
            for (sum, taps) in sums.iter_mut().zip(phases) {
                let products = _mm256_madd_epi16(samples, load(&taps.as_chunks::<16>().0[at]));
                *sum = _mm256_add_epi32(*sum, products);
            }
        }
        for (output, sums) in output.chunks_mut(4).zip(sums.chunks(4)) {
            // Where fewer than four are left, the last stands in for the missing.
            let last = sums[sums.len() - 1];
            let sum = |index: usize| *sums.get(index).unwrap_or(&last);
            let sums = fold(sum(0), sum(1), sum(2), sum(3));
            let samples = cut(_mm_srai_epi32::<14>(_mm_add_epi32(sums, half)));
            output.copy_from_slice(&samples[..output.len()]);
        }
    }
}

#[target_feature(enable = "avx2")]
fn down_avx2<const T: usize, const R: usize>(
    output: &mut [i16],
    input: &[i16],
    taps: &[[i16; R]; T],
) {
    const { assert!((T * R).is_multiple_of(16)) };
    let taps = taps.as_flattened();
    assert!(output.len() >= 4);
    assert_eq!(input.len() + R - taps.len(), output.len() * R);
    let taps = taps.as_chunks::<16>().0;
    let low_half = _mm256_set1_epi32(0xffff);
    let half = _mm_set1_epi32(1 << 15);
    let mut first = 0;
    while first < output.len() {
        // The last four overlap the four before them where the count is odd.
        first = first.min(output.len() - 4);
        let window = |n: usize| &input[(first + n) * R..].as_chunks().0[..taps.len()];
        let windows: [&[[i16; 16]]; 4] = [window(0), window(1), window(2), window(3)];
        let mut sums = [_mm256_setzero_si256(); 4];
        for (at, taps) in taps.iter().enumerate() {
            let taps = load(taps);
            for (sum, window) in sums.iter_mut().zip(windows) {
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(load(&window[at]), taps));
            }
        }
        // A lane fits 32 bits, all eight together need not: fold the halves.
        let [a, b, c, d] = sums;
        let high = fold(
            _mm256_srai_epi32::<16>(a),
            _mm256_srai_epi32::<16>(b),
            _mm256_srai_epi32::<16>(c),
            _mm256_srai_epi32::<16>(d),
        );
        let low = fold(
            _mm256_and_si256(a, low_half),
            _mm256_and_si256(b, low_half),
            _mm256_and_si256(c, low_half),
            _mm256_and_si256(d, low_half),
        );
        let carry = _mm_srai_epi32::<16>(_mm_add_epi32(low, half));
        let samples = cut(_mm_add_epi32(high, carry));
        output[first..first + 4].copy_from_slice(&samples);
        first += 4;
    }
}
