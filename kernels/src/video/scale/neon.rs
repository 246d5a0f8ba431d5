//! The kernels in 128 bits of AArch64.
//!
//! `vqrshrun` does in one what a sum of shares needs at the end: divide, round
//! halves upwards, cut to a byte. The last vector begins early, as on x86-64.

use std::arch::aarch64::*;

use super::row::Table;
use super::{scalar, starts};
use crate::cpu::Neon;

/// Samples in a vector.
const LEN: usize = 16;

/// `LEN` samples from `at` on.
///
/// # Safety
/// They must be inside the slice.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn load(samples: &[u8], at: usize) -> uint8x16_t {
    debug_assert!(at + LEN <= samples.len());
    // SAFETY: the caller keeps to the slice.
    unsafe { vld1q_u8(samples.as_ptr().add(at)) }
}

/// Overwrites `LEN` samples from `at` on.
///
/// # Safety
/// They must be inside the slice.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn store(samples: &mut [u8], at: usize, low: uint8x8_t, high: uint8x8_t) {
    debug_assert!(at + LEN <= samples.len());
    // SAFETY: the caller keeps to the slice.
    unsafe { vst1q_u8(samples.as_mut_ptr().add(at), vcombine_u8(low, high)) }
}

#[inline]
#[target_feature(enable = "neon")]
fn low(samples: uint8x16_t) -> int16x8_t {
    vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(samples)))
}

#[inline]
#[target_feature(enable = "neon")]
fn high(samples: uint8x16_t) -> int16x8_t {
    vreinterpretq_s16_u16(vmovl_high_u8(samples))
}

/// See [`scalar::down_columns`].
pub(super) fn down_columns(out: &mut [u8], rows: &[&[u8]], shares: &[i8], _proof: Neon) {
    if out.len() < LEN {
        return scalar::down_columns(out, rows, shares);
    }
    assert_eq!(rows.len(), shares.len());
    assert!(rows.iter().all(|row| row.len() >= out.len()));
    // SAFETY: needs NEON, whose token exists only where it was detected. Each row is
    // as long as `out`, which has a vector's length.
    unsafe { down_columns_whole(out, rows, shares) }
}

/// # Safety
/// Every row must have `out.len()` samples, and that must be `LEN` at least.
#[target_feature(enable = "neon")]
unsafe fn down_columns_whole(out: &mut [u8], rows: &[&[u8]], shares: &[i8]) {
    for x in starts(out.len(), LEN) {
        let mut sums = [vdupq_n_s16(0); 2];
        for (row, &share) in rows.iter().zip(shares) {
            // SAFETY: `x` is at least `LEN` before the end of `out`, and so of every row.
            let samples = unsafe { load(row, x) };
            sums[0] = vmlaq_n_s16(sums[0], low(samples), i16::from(share));
            sums[1] = vmlaq_n_s16(sums[1], high(samples), i16::from(share));
        }
        let [low, high] = sums.map(|sum| vqrshrun_n_s16::<6>(sum));
        // SAFETY: as for the loads.
        unsafe { store(out, x, low, high) };
    }
}

/// See [`scalar::along_row`].
///
/// # Panics
/// When the row or `out` has another length than the table was made for.
pub(super) fn along_row(out: &mut [u8], row: &[u8], table: &Table<16, 16>, _proof: Neon) {
    assert_eq!((row.len(), out.len()), (table.source, table.target));
    // SAFETY: needs NEON, whose token exists only where it was detected. The row and
    // `out` have the lengths that the table was made for.
    unsafe { along_row_whole(out, row, table) }
}

/// # Safety
/// `row` and `out` must have the lengths that the table was made for.
#[target_feature(enable = "neon")]
unsafe fn along_row_whole(out: &mut [u8], row: &[u8], table: &Table<16, 16>) {
    let parts = table.steps.chunks_exact(table.groups);
    let mut parts = parts.zip(table.windows.chunks_exact(table.groups));
    for x in starts(out.len(), LEN) {
        // Four parts of four targets: each target's sum is still in two halves.
        let mut halves = [vdupq_n_s16(0); 4];
        for (halves, (steps, windows)) in halves.iter_mut().zip(&mut parts) {
            let mut sums = [vdupq_n_s16(0); 2];
            for (step, &window) in steps.iter().zip(windows) {
                // SAFETY: windows begin 16 bytes before the end of the source or earlier;
                // `places` and `shares` are 16 bytes each.
                let (samples, shares) = unsafe {
                    let places = vld1q_u8(step.places.as_ptr());
                    let samples = vqtbl1q_u8(load(row, window as usize), places);
                    (samples, vld1q_s8(step.shares.as_ptr()))
                };
                let low_shares = vmovl_s8(vget_low_s8(shares));
                sums[0] = vmlaq_s16(sums[0], low(samples), low_shares);
                sums[1] = vmlaq_s16(sums[1], high(samples), vmovl_high_s8(shares));
            }
            *halves = vpaddq_s16(sums[0], sums[1]);
        }
        let low = vqrshrun_n_s16::<6>(vpaddq_s16(halves[0], halves[1]));
        let high = vqrshrun_n_s16::<6>(vpaddq_s16(halves[2], halves[3]));
        // SAFETY: blocks begin `LEN` before the end of `out` or earlier.
        unsafe { store(out, x, low, high) };
    }
}

/// See [`scalar::halve`].
pub(super) fn halve(out: &mut [u8], rows: [&[u8]; 2], _proof: Neon) {
    // What a last, single sample counts for is not for vectors.
    let whole = out.len().min(rows[0].len() / 2).min(rows[1].len() / 2);
    if whole < LEN {
        return scalar::halve(out, rows);
    }
    let (out, rest) = out.split_at_mut(whole);
    // SAFETY: needs NEON, whose token exists only where it was detected. `whole` bounds
    // what is read.
    unsafe { halve_whole(out, rows) };
    if !rest.is_empty() {
        scalar::halve(rest, rows.map(|row| &row[2 * whole..]));
    }
}

/// # Safety
/// Each row must have twice `out.len()` samples, and that must be `LEN` at least.
#[target_feature(enable = "neon")]
unsafe fn halve_whole(out: &mut [u8], rows: [&[u8]; 2]) {
    for x in starts(out.len(), LEN) {
        let [low, high] = [2 * x, 2 * x + LEN].map(|at| {
            // SAFETY: `at + LEN` is at most `2 * (x + LEN)`.
            let [above, below] = unsafe { [load(rows[0], at), load(rows[1], at)] };
            vrshrn_n_u16::<2>(vpadalq_u8(vpaddlq_u8(above), below))
        });
        // SAFETY: `x + LEN` is at most `out.len()`.
        unsafe { store(out, x, low, high) };
    }
}

/// See [`scalar::halve_sited`].
pub(super) fn halve_sited(out: &mut [u8], rows: [&[u8]; 2], _proof: Neon) {
    if out.len() <= LEN {
        return scalar::halve_sited(out, rows);
    }
    assert!(rows.iter().all(|row| row.len() >= 2 * out.len()));
    scalar::halve_sited(&mut out[..1], rows);
    // SAFETY: needs NEON, whose token exists only where it was detected; lengths were
    // asserted.
    unsafe { halve_sited_after_first(out, rows) };
}

/// # Safety
/// Each row must have twice `out.len()` samples, and that must be more than `LEN`.
#[target_feature(enable = "neon")]
unsafe fn halve_sited_after_first(out: &mut [u8], rows: [&[u8]; 2]) {
    for x in starts(out.len(), LEN).map(|start| start.max(1)) {
        let mut sums = [vdupq_n_u16(0); 2];
        for row in rows {
            // SAFETY: `x` is 1 at least, and what is read ends at `2 * (x + LEN)`.
            let (left, own) = unsafe {
                let at = row.as_ptr().add(2 * x);
                (vld2q_u8(at.sub(1)).0, vld2q_u8(at))
            };
            // One of the left, four of the middle, three of the right.
            let (four, three) = (vdup_n_u8(4), vdup_n_u8(3));
            sums[0] = vaddw_u8(sums[0], vget_low_u8(left));
            sums[1] = vaddw_high_u8(sums[1], left);
            sums[0] = vmlal_u8(sums[0], vget_low_u8(own.0), four);
            sums[1] = vmlal_u8(sums[1], vget_high_u8(own.0), four);
            sums[0] = vmlal_u8(sums[0], vget_low_u8(own.1), three);
            sums[1] = vmlal_u8(sums[1], vget_high_u8(own.1), three);
        }
        let [low, high] = sums.map(|sum| vrshrn_n_u16::<4>(sum));
        // SAFETY: `x + LEN` is at most `out.len()`.
        unsafe { store(out, x, low, high) };
    }
}

/// See [`scalar::quarter`].
pub(super) fn quarter(out: &mut [u8], rows: [&[u8]; 4], _proof: Neon) {
    if out.len() < LEN {
        return scalar::quarter(out, rows);
    }
    assert!(rows.iter().all(|row| row.len() >= 4 * out.len()));
    // SAFETY: needs NEON, whose token exists only where it was detected; lengths were
    // asserted.
    unsafe { quarter_whole(out, rows) };
}

/// # Safety
/// Each row must have four times `out.len()` samples, and that must be `LEN` at least.
#[target_feature(enable = "neon")]
unsafe fn quarter_whole(out: &mut [u8], rows: [&[u8]; 4]) {
    for x in starts(out.len(), LEN) {
        let sums = [0, 1, 2, 3].map(|part: usize| {
            let mut pairs = vdupq_n_u16(0);
            for row in rows {
                // SAFETY: this ends at `4 * (x + LEN)` at most.
                pairs = vpadalq_u8(pairs, unsafe { load(row, 4 * x + part * LEN) });
            }
            pairs
        });
        let low = vrshrn_n_u16::<4>(vpaddq_u16(sums[0], sums[1]));
        let high = vrshrn_n_u16::<4>(vpaddq_u16(sums[2], sums[3]));
        // SAFETY: `x + LEN` is at most `out.len()`.
        unsafe { store(out, x, low, high) };
    }
}

/// See [`scalar::quarter_sited`].
pub(super) fn quarter_sited(out: &mut [u8], rows: [&[u8]; 4], _proof: Neon) {
    if out.len() <= LEN {
        return scalar::quarter_sited(out, rows);
    }
    assert!(rows.iter().all(|row| row.len() >= 4 * out.len()));
    scalar::quarter_sited(&mut out[..1], rows);
    // SAFETY: needs NEON, whose token exists only where it was detected; lengths were
    // asserted.
    unsafe { quarter_sited_after_first(out, rows) };
}

/// # Safety
/// Each row must have four times `out.len()` samples, and that must be more than
/// `LEN`.
#[target_feature(enable = "neon")]
unsafe fn quarter_sited_after_first(out: &mut [u8], rows: [&[u8]; 4]) {
    for x in starts(out.len(), LEN).map(|start| start.max(1)) {
        let mut sums = [vdupq_n_u16(0); 2];
        for row in rows {
            // SAFETY: `x` is 1 at least, and what is read ends at `4 * (x + LEN)`.
            let (left, own) = unsafe {
                let at = row.as_ptr().add(4 * x);
                (vld4q_u8(at.sub(1)).0, vld4q_u8(at))
            };
            // Three of the left, four of each but the last, one of that.
            let shares = [(left, 3), (own.0, 4), (own.1, 4), (own.2, 4), (own.3, 1)];
            for (samples, share) in shares {
                let share = vdup_n_u8(share);
                sums[0] = vmlal_u8(sums[0], vget_low_u8(samples), share);
                sums[1] = vmlal_u8(sums[1], vget_high_u8(samples), share);
            }
        }
        let [low, high] = sums.map(|sum| vrshrn_n_u16::<6>(sum));
        // SAFETY: `x + LEN` is at most `out.len()`.
        unsafe { store(out, x, low, high) };
    }
}
