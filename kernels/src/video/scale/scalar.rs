//! The specification of each kernel.

use super::axis::{Axis, WHOLE};

/// The nearest sample to a sum of samples in shares.
#[inline(always)]
fn whole(sum: i32) -> u8 {
    ((sum + WHOLE / 2) >> WHOLE.ilog2()).clamp(0, 255) as u8
}

/// `out[x]`: the sum of `rows[..][x]` in `shares`.
#[inline(always)]
pub(super) fn down_columns(out: &mut [u8], rows: &[&[u8]], shares: &[i8]) {
    assert_eq!(rows.len(), shares.len());
    for (x, out) in out.iter_mut().enumerate() {
        let products = rows.iter().zip(shares);
        *out = whole(
            products
                .map(|(row, &share)| i32::from(row[x]) * i32::from(share))
                .sum(),
        );
    }
}

/// `out[x]`: the sum of what `axis` says of `row`.
#[inline(always)]
pub(super) fn along_row(out: &mut [u8], row: &[u8], axis: &Axis) {
    assert_eq!((row.len(), out.len()), (axis.source(), axis.target()));
    for (x, out) in out.iter_mut().enumerate() {
        let (first, shares) = axis.filter(x);
        let products = row[first..][..shares.len()].iter().zip(shares);
        *out = whole(
            products
                .map(|(&s, &share)| i32::from(s) * i32::from(share))
                .sum(),
        );
    }
}

/// `out[x]`: the mean of two by two samples. Where `rows` end early by one, their
/// last sample counts twice.
#[inline(always)]
pub(super) fn halve(out: &mut [u8], rows: [&[u8]; 2]) {
    for (x, out) in out.iter_mut().enumerate() {
        let pair = |row: &[u8]| {
            let (left, right) = (row[2 * x], row.get(2 * x + 1));
            u16::from(left) + u16::from(*right.unwrap_or(&left))
        };
        *out = ((pair(rows[0]) + pair(rows[1]) + 2) / 4) as u8;
    }
}

/// `out[x]`: the mean of two samples, one above the other.
#[inline(always)]
pub(super) fn halve_rows(out: &mut [u8], rows: [&[u8]; 2]) {
    for ((out, &above), &below) in out.iter_mut().zip(rows[0]).zip(rows[1]) {
        *out = (u16::from(above) + u16::from(below)).div_ceil(2) as u8;
    }
}

/// [`halve`] for co-sited chroma: `out[x]` covers two samples' width around source
/// sample `2 x + 1/4`, which is 1/8, 4/8 and 3/8 of those from `2 x - 1` on.
#[inline(always)]
pub(super) fn halve_sited(out: &mut [u8], rows: [&[u8]; 2]) {
    for (x, out) in out.iter_mut().enumerate() {
        let sum = |row: &[u8]| {
            let at = |index: usize| u16::from(row[index]);
            at((2 * x).saturating_sub(1)) + 4 * at(2 * x) + 3 * at(2 * x + 1)
        };
        *out = ((sum(rows[0]) + sum(rows[1]) + 8) / 16) as u8;
    }
}

/// `out[x]`: the mean of four by four samples.
#[inline(always)]
pub(super) fn quarter(out: &mut [u8], rows: [&[u8]; 4]) {
    for (x, out) in out.iter_mut().enumerate() {
        let samples = rows.iter().flat_map(|row| &row[4 * x..4 * x + 4]);
        *out = ((samples.map(|&sample| u16::from(sample)).sum::<u16>() + 8) / 16) as u8;
    }
}

/// [`quarter`] for co-sited chroma: `out[x]` covers four samples' width around
/// source sample `4 x + 3/4`, which is 3/16, three times 4/16 and 1/16 of those
/// from `4 x - 1` on.
#[inline(always)]
pub(super) fn quarter_sited(out: &mut [u8], rows: [&[u8]; 4]) {
    for (x, out) in out.iter_mut().enumerate() {
        let sum = |row: &[u8]| {
            let at = |index: usize| u16::from(row[index]);
            let whole = at(4 * x) + at(4 * x + 1) + at(4 * x + 2);
            3 * at((4 * x).saturating_sub(1)) + 4 * whole + at(4 * x + 3)
        };
        let sum: u16 = rows.into_iter().map(sum).sum();
        *out = ((sum + 32) / 64) as u8;
    }
}
