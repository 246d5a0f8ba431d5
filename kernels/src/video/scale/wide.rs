//! The kernels that are the same in 256 and in 512 bits, written once.
//!
//! The trade is `pmaddubsw`: unsigned samples times signed shares, neighbours
//! added, in 16 bits. Shares add up to 64 with no more than 8 lost below zero, so
//! nothing overflows ([`super::axis`] tests it). `pmulhrsw` by `2^(15 - n)` divides
//! by `2^n` and rounds halves upwards.
//!
//! Where the samples are not a multiple of a vector, the last vector begins early
//! and says again what the one before said. What is shorter than a vector is for
//! the next lower level.

use super::starts;

/// What both widths need, by the same names.
macro_rules! vector {
    (
        $name:ident, $features:literal, $type:ty, $len:literal,
        $load:ident, $store:ident, $madd_bytes:ident, $madd_words:ident, $add:ident,
        $mul_round:ident, $pack:ident, $pack_words:ident, $low:ident, $high:ident,
        $splat:ident, $splat_double:ident, $zero:ident,
        |$packed:ident| $quads:expr, |$doubles:ident| $singles:expr
    ) => {
        pub(in crate::video) mod $name {
            use std::arch::x86_64::*;

            /// Samples in a vector.
            pub(in crate::video) const LEN: usize = $len;
            pub(in crate::video) type Vector = $type;

            /// `LEN` samples from `at` on.
            ///
            /// # Safety
            /// They must be inside the slice.
            #[inline]
            #[target_feature(enable = $features)]
            pub(in crate::video) unsafe fn load(samples: &[u8], at: usize) -> Vector {
                debug_assert!(at + LEN <= samples.len());
                // SAFETY: the caller keeps to the slice; unaligned is allowed.
                unsafe { $load(samples.as_ptr().add(at).cast()) }
            }

            /// Overwrites `LEN` samples from `at` on.
            ///
            /// # Safety
            /// They must be inside the slice.
            #[inline]
            #[target_feature(enable = $features)]
            pub(in crate::video) unsafe fn store(samples: &mut [u8], at: usize, value: Vector) {
                debug_assert!(at + LEN <= samples.len());
                // SAFETY: the caller keeps to the slice; unaligned is allowed.
                unsafe { $store(samples.as_mut_ptr().add(at).cast(), value) }
            }

            /// Four shares, again and again.
            #[inline]
            #[target_feature(enable = $features)]
            pub(in crate::video) fn shares(four: [i8; 4]) -> Vector {
                $splat_double(i32::from_le_bytes(four.map(|share| share as u8)))
            }

            /// The same 16 bits everywhere.
            #[inline]
            #[target_feature(enable = $features)]
            pub(in crate::video) fn words(value: i16) -> Vector {
                $splat(value)
            }

            #[inline]
            #[target_feature(enable = $features)]
            pub(in crate::video) fn zero() -> Vector {
                $zero()
            }

            /// Neighbouring bytes, each times its share, added in 16 bits.
            #[inline]
            #[target_feature(enable = $features)]
            pub(in crate::video) fn madd_bytes(samples: Vector, shares: Vector) -> Vector {
                $madd_bytes(samples, shares)
            }

            /// Neighbouring 16 bits added in 32.
            #[inline]
            #[target_feature(enable = $features)]
            pub(in crate::video) fn add_pairs(words: Vector) -> Vector {
                $madd_words(words, $splat(1))
            }

            /// Sums of 16 bits.
            #[inline]
            #[target_feature(enable = $features)]
            pub(in crate::video) fn add(a: Vector, b: Vector) -> Vector {
                $add(a, b)
            }

            /// 16 bits divided by `2^n`, where `by` is `2^(15 - n)`.
            #[inline]
            #[target_feature(enable = $features)]
            pub(in crate::video) fn divide(words: Vector, by: Vector) -> Vector {
                $mul_round(words, by)
            }

            /// Bytes of two vectors by turns: the lower half of each 128 bits, the
            /// upper half of each.
            #[inline]
            #[target_feature(enable = $features)]
            pub(in crate::video) fn interleave(a: Vector, b: Vector) -> [Vector; 2] {
                [$low(a, b), $high(a, b)]
            }

            /// 16 bits cut to bytes, 128 bits of each by turns: undoes `interleave`.
            #[inline]
            #[target_feature(enable = $features)]
            pub(in crate::video) fn join([low, high]: [Vector; 2]) -> Vector {
                $pack(low, high)
            }

            /// 16 bits cut to bytes, one vector after the other.
            #[inline]
            #[target_feature(enable = $features)]
            pub(in crate::video) fn pack($doubles: [Vector; 2]) -> Vector {
                let $doubles = $pack($doubles[0], $doubles[1]);
                $singles
            }

            /// Sums of 32 bits cut to 16, divided as by [`divide`], cut to bytes, one
            /// vector after the other.
            #[inline]
            #[target_feature(enable = $features)]
            pub(in crate::video) fn pack_quads(sums: [Vector; 4], by: Vector) -> Vector {
                let low = divide($pack_words(sums[0], sums[1]), by);
                let high = divide($pack_words(sums[2], sums[3]), by);
                let $packed = $pack(low, high);
                $quads
            }
        }
    };
}

vector!(
    v256,
    "avx2",
    __m256i,
    32,
    _mm256_loadu_si256,
    _mm256_storeu_si256,
    _mm256_maddubs_epi16,
    _mm256_madd_epi16,
    _mm256_add_epi16,
    _mm256_mulhrs_epi16,
    _mm256_packus_epi16,
    _mm256_packs_epi32,
    _mm256_unpacklo_epi8,
    _mm256_unpackhi_epi8,
    _mm256_set1_epi16,
    _mm256_set1_epi32,
    _mm256_setzero_si256,
    |quads| _mm256_permutevar8x32_epi32(quads, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)),
    |pairs| _mm256_permute4x64_epi64::<0b11_01_10_00>(pairs)
);

vector!(
    v512,
    "avx512f,avx512bw,avx512vl",
    __m512i,
    64,
    _mm512_loadu_si512,
    _mm512_storeu_si512,
    _mm512_maddubs_epi16,
    _mm512_madd_epi16,
    _mm512_add_epi16,
    _mm512_mulhrs_epi16,
    _mm512_packus_epi16,
    _mm512_packs_epi32,
    _mm512_unpacklo_epi8,
    _mm512_unpackhi_epi8,
    _mm512_set1_epi16,
    _mm512_set1_epi32,
    _mm512_setzero_si512,
    |quads| _mm512_permutexvar_epi32(
        _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15),
        quads,
    ),
    |pairs| _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), pairs)
);

/// [`starts`], where the first sample is not for vectors: the first vector begins
/// with the second sample and overlaps with the next, which is where it was.
#[inline(always)]
fn starts_after_first(all: usize, len: usize) -> impl Iterator<Item = usize> {
    starts(all, len).map(|start| start.max(1))
}

macro_rules! bodies {
    ($name:ident, $features:literal, $vector:ident, $token:ident, $lower:expr) => {
        pub(super) mod $name {
            use super::super::axis::TAPS_MAX;
            use super::super::{kernel, scalar, starts};
            use super::starts_after_first;
            use super::$vector::*;
            use crate::cpu::{Level, $token};

            /// See [`scalar::down_columns`].
            pub(in crate::video::scale) fn down_columns(
                out: &mut [u8],
                rows: &[&[u8]],
                shares: &[i8],
                token: $token,
            ) {
                if out.len() < LEN {
                    return kernel::down_columns($lower(token), out, rows, shares);
                }
                assert!(rows.len() == shares.len() && rows.len() <= TAPS_MAX);
                assert!(rows.iter().all(|row| row.len() >= out.len()));
                // An odd row goes with itself and no share.
                let row = |at: usize| rows[at.min(rows.len() - 1)];
                let share = |at: usize| shares.get(at).copied().unwrap_or(0);
                let pair = |at: usize| {
                    let (a, b) = (share(2 * at), share(2 * at + 1));
                    ([row(2 * at), row(2 * at + 1)], [a, b, a, b])
                };
                // SAFETY: needs the features of the token, which exists only where they
                // were detected. Each row is as long as `out`, which has a vector's length.
                unsafe {
                    match rows.len().div_ceil(2) {
                        1 => down::<1>(out, [pair(0)]),
                        2 => down::<2>(out, [pair(0), pair(1)]),
                        3 => down::<3>(out, [pair(0), pair(1), pair(2)]),
                        _ => down::<4>(out, [pair(0), pair(1), pair(2), pair(3)]),
                    }
                }
            }

            /// # Safety
            /// Every row must have `out.len()` samples, and that must be `LEN` at least.
            #[target_feature(enable = $features)]
            unsafe fn down<const PAIRS: usize>(
                out: &mut [u8],
                pairs: [([&[u8]; 2], [i8; 4]); PAIRS],
            ) {
                let mut shares_of = [zero(); PAIRS];
                for (vector, (_, four)) in shares_of.iter_mut().zip(&pairs) {
                    *vector = shares(*four);
                }
                let by = words(1 << 9);
                for x in starts(out.len(), LEN) {
                    let mut sums = [zero(); 2];
                    for (([a, b], _), &shares) in pairs.iter().zip(&shares_of) {
                        // SAFETY: `x` is at least `LEN` before the end of `out`, and so of
                        // every row.
                        let [low, high] = unsafe { interleave(load(a, x), load(b, x)) };
                        sums[0] = add(sums[0], madd_bytes(low, shares));
                        sums[1] = add(sums[1], madd_bytes(high, shares));
                    }
                    let sums = [divide(sums[0], by), divide(sums[1], by)];
                    // SAFETY: as for the loads.
                    unsafe { store(out, x, join(sums)) };
                }
            }

            /// See [`scalar::halve`].
            pub(in crate::video::scale) fn halve(out: &mut [u8], rows: [&[u8]; 2], token: $token) {
                // What a last, single sample counts for is not for vectors.
                let whole = out.len().min(rows[0].len() / 2).min(rows[1].len() / 2);
                let (out, rest) = out.split_at_mut(whole);
                if whole < LEN {
                    kernel::halve($lower(token), out, rows);
                } else {
                    // SAFETY: needs the features of the token, which exists only where they
                    // were detected. `whole` bounds what is read.
                    unsafe { halve_whole(out, rows) };
                }
                if !rest.is_empty() {
                    scalar::halve(rest, rows.map(|row| &row[2 * whole..]));
                }
            }

            /// # Safety
            /// Each row must have twice `out.len()` samples, and that must be `LEN` at least.
            #[target_feature(enable = $features)]
            unsafe fn halve_whole(out: &mut [u8], rows: [&[u8]; 2]) {
                let (one, by) = (shares([1; 4]), words(1 << 13));
                for x in starts(out.len(), LEN) {
                    let mut sums = [zero(); 2];
                    for (half, sum) in sums.iter_mut().enumerate() {
                        let at = 2 * x + half * LEN;
                        // SAFETY: `at + LEN` is at most `2 * (x + LEN)`.
                        let [above, below] = unsafe { [load(rows[0], at), load(rows[1], at)] };
                        let both = add(madd_bytes(above, one), madd_bytes(below, one));
                        *sum = divide(both, by);
                    }
                    // SAFETY: `x + LEN` is at most `out.len()`.
                    unsafe { store(out, x, pack(sums)) };
                }
            }

            /// See [`scalar::halve_sited`].
            pub(in crate::video::scale) fn halve_sited(
                out: &mut [u8],
                rows: [&[u8]; 2],
                token: $token,
            ) {
                if out.len() <= LEN {
                    return kernel::halve_sited($lower(token), out, rows);
                }
                assert!(rows.iter().all(|row| row.len() >= 2 * out.len()));
                scalar::halve_sited(&mut out[..1], rows);
                // SAFETY: needs the features of the token, which exists only where they
                // were detected; lengths were asserted.
                unsafe { halve_sited_after_first(out, rows) };
            }

            /// # Safety
            /// Each row must have twice `out.len()` samples, and that must be more than
            /// `LEN`.
            #[target_feature(enable = $features)]
            unsafe fn halve_sited_after_first(out: &mut [u8], rows: [&[u8]; 2]) {
                // One of the left, four of the middle, three of the right.
                let (left, own) = (shares([1, 0, 1, 0]), shares([4, 3, 4, 3]));
                let by = words(1 << 11);
                for x in starts_after_first(out.len(), LEN) {
                    let mut sums = [zero(); 2];
                    for (half, sum) in sums.iter_mut().enumerate() {
                        let at = 2 * x + half * LEN;
                        for row in rows {
                            // SAFETY: `x` is 1 at least, and `at + LEN` at most
                            // `2 * (x + LEN)`.
                            let [a, b] = unsafe { [load(row, at - 1), load(row, at)] };
                            *sum = add(*sum, add(madd_bytes(a, left), madd_bytes(b, own)));
                        }
                        *sum = divide(*sum, by);
                    }
                    // SAFETY: `x + LEN` is at most `out.len()`.
                    unsafe { store(out, x, pack(sums)) };
                }
            }

            /// See [`scalar::quarter`].
            pub(in crate::video::scale) fn quarter(
                out: &mut [u8],
                rows: [&[u8]; 4],
                token: $token,
            ) {
                if out.len() < LEN {
                    return kernel::quarter($lower(token), out, rows);
                }
                assert!(rows.iter().all(|row| row.len() >= 4 * out.len()));
                // SAFETY: needs the features of the token, which exists only where they
                // were detected; lengths were asserted.
                unsafe { quarter_whole(out, rows) };
            }

            /// # Safety
            /// Each row must have four times `out.len()` samples, and that must be `LEN` at
            /// least.
            #[target_feature(enable = $features)]
            unsafe fn quarter_whole(out: &mut [u8], rows: [&[u8]; 4]) {
                let (one, by) = (shares([1; 4]), words(1 << 11));
                for x in starts(out.len(), LEN) {
                    let mut sums = [zero(); 4];
                    for (part, sum) in sums.iter_mut().enumerate() {
                        for row in rows {
                            // SAFETY: this ends at `4 * (x + LEN)` at most.
                            let samples = unsafe { load(row, 4 * x + part * LEN) };
                            *sum = add(*sum, madd_bytes(samples, one));
                        }
                        *sum = add_pairs(*sum);
                    }
                    // SAFETY: `x + LEN` is at most `out.len()`.
                    unsafe { store(out, x, pack_quads(sums, by)) };
                }
            }

            /// See [`scalar::quarter_sited`].
            pub(in crate::video::scale) fn quarter_sited(
                out: &mut [u8],
                rows: [&[u8]; 4],
                token: $token,
            ) {
                if out.len() <= LEN {
                    return kernel::quarter_sited($lower(token), out, rows);
                }
                assert!(rows.iter().all(|row| row.len() >= 4 * out.len()));
                scalar::quarter_sited(&mut out[..1], rows);
                // SAFETY: needs the features of the token, which exists only where they
                // were detected; lengths were asserted.
                unsafe { quarter_sited_after_first(out, rows) };
            }

            /// # Safety
            /// Each row must have four times `out.len()` samples, and that must be more
            /// than `LEN`.
            #[target_feature(enable = $features)]
            unsafe fn quarter_sited_after_first(out: &mut [u8], rows: [&[u8]; 4]) {
                // Three of the left, four of each but the last, one of that.
                let (left, own) = (shares([3, 0, 0, 0]), shares([4, 4, 4, 1]));
                let by = words(1 << 9);
                for x in starts_after_first(out.len(), LEN) {
                    let mut sums = [zero(); 4];
                    for (part, sum) in sums.iter_mut().enumerate() {
                        let at = 4 * x + part * LEN;
                        for row in rows {
                            // SAFETY: `x` is 1 at least, and `at + LEN` at most
                            // `4 * (x + LEN)`.
                            let [a, b] = unsafe { [load(row, at - 1), load(row, at)] };
                            *sum = add(*sum, add(madd_bytes(a, left), madd_bytes(b, own)));
                        }
                        *sum = add_pairs(*sum);
                    }
                    // SAFETY: `x + LEN` is at most `out.len()`.
                    unsafe { store(out, x, pack_quads(sums, by)) };
                }
            }
        }
    };
}

bodies!(avx2, "avx2", v256, Avx2, |_: Avx2| Level::Scalar);
bodies!(
    avx512,
    "avx512f,avx512bw,avx512vl",
    v512,
    Avx512,
    |token: Avx512| Level::Avx2(token.avx2())
);
