//! Filtering along a row, where neighbours in the target take samples from
//! anywhere in the source: a permutation brings each target sample four source
//! samples, or twice four, and a dot product makes them one.
//!
//! Permutations and shares are laid out beforehand in the order in which a level
//! reads them. What a permutation brings lies within a window: 16 bytes for four
//! target samples with AVX2 and NEON, 64 bytes for sixteen with VBMI. Ratios below 4
//! make that true. AVX-512 without VBMI has no better permutation than AVX2.

use super::axis::Axis;
use super::scalar;
use crate::cpu::Level;
#[cfg(target_arch = "aarch64")]
use crate::cpu::Neon;
#[cfg(target_arch = "x86_64")]
use crate::cpu::{Avx2, Vbmi};

/// Source samples that one step brings each target sample.
const GROUP: usize = 4;
/// Vectors of sums that become one vector of samples.
const PARTS: usize = 4;

/// An [`Axis`], and what a level makes of it.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    axis: Axis,
    layout: Layout,
}

#[derive(Clone, Debug)]
enum Layout {
    Plain,
    #[cfg(target_arch = "aarch64")]
    Neon(Neon, Table<16, 16>),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2, Table<32, 16>),
    #[cfg(target_arch = "x86_64")]
    Vbmi(Vbmi, Table<64, 64>),
}

/// One permutation and one dot product, in vectors of `N` bytes.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Step<const N: usize> {
    /// Where in its window each sample is.
    pub(super) places: [u8; N],
    /// What each sample counts.
    pub(super) shares: [i8; N],
}

/// What there is to do for all target samples, in vectors of `N` bytes and windows
/// of `WINDOW`.
#[derive(Clone, Debug)]
pub(super) struct Table<const N: usize, const WINDOW: usize> {
    pub(super) source: usize,
    pub(super) target: usize,
    /// Steps for each target sample: 1 or 2.
    pub(super) groups: usize,
    /// For each block of `N` target samples, each of its [`PARTS`], each group.
    pub(super) steps: Vec<Step<N>>,
    /// Where windows begin, `N / WINDOW` for each step: no later than a window
    /// before the end of the source.
    pub(super) windows: Vec<u32>,
}

impl<const N: usize, const WINDOW: usize> Table<N, WINDOW> {
    const TARGETS: usize = WINDOW / GROUP;

    /// `None` where source or target are shorter than what a step takes or gives,
    /// or where what a window should hold lies too far apart.
    fn new(axis: &Axis) -> Option<Self> {
        let (source, target) = (axis.source(), axis.target());
        if source < WINDOW || target < N {
            return None;
        }
        let groups = axis.taps().div_ceil(GROUP);
        let mut table = Self {
            source,
            target,
            groups,
            steps: Vec::new(),
            windows: Vec::new(),
        };
        for start in super::starts(target, N) {
            for part in (start..start + N).step_by(N / PARTS) {
                for group in 0..groups {
                    table.push(axis, part, GROUP * group)?;
                }
            }
        }
        Some(table)
    }

    /// Appends the step for the taps from `skip` on of the targets from `part` on.
    fn push(&mut self, axis: &Axis, part: usize, skip: usize) -> Option<()> {
        let mut step = Step {
            places: [0; N],
            shares: [0; N],
        };
        let taps = |x: usize| {
            let (first, shares) = axis.filter(x);
            (first..).zip(shares).skip(skip).take(GROUP)
        };
        for window in 0..N / WINDOW {
            let targets = part + window * Self::TARGETS..part + (window + 1) * Self::TARGETS;
            let leftmost = targets.clone().flat_map(taps).map(|(index, _)| index).min();
            let base = leftmost.unwrap_or(0).min(self.source - WINDOW);
            self.windows.push(base as u32);
            for (x, at) in targets.zip((window * WINDOW..).step_by(GROUP)) {
                for ((index, &share), at) in taps(x).zip(at..) {
                    if index - base >= WINDOW {
                        return None;
                    }
                    step.places[at] = (index - base) as u8;
                    step.shares[at] = share;
                }
            }
        }
        self.steps.push(step);
        Some(())
    }
}

#[cfg(target_arch = "x86_64")]
impl Layout {
    fn narrow(axis: &Axis, token: Avx2) -> Option<Self> {
        Some(Self::Avx2(token, Table::new(axis)?))
    }
}

impl Columns {
    pub(super) fn new(level: Level, axis: Axis) -> Self {
        let layout = match level {
            #[cfg(target_arch = "aarch64")]
            Level::Neon(token) => Table::new(&axis).map(|table| Layout::Neon(token, table)),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(token) => Layout::narrow(&axis, token),
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(token) => Vbmi::detect()
                .and_then(|token| Some(Layout::Vbmi(token, Table::new(&axis)?)))
                .or_else(|| Layout::narrow(&axis, token.avx2())),
            _ => None,
        };
        Self {
            axis,
            layout: layout.unwrap_or(Layout::Plain),
        }
    }

    pub(super) const fn axis(&self) -> &Axis {
        &self.axis
    }

    /// Whether the level makes nothing of it.
    #[cfg(test)]
    pub(super) const fn is_plain(&self) -> bool {
        matches!(self.layout, Layout::Plain)
    }

    /// See [`scalar::along_row`].
    pub(super) fn along_row(&self, out: &mut [u8], row: &[u8]) {
        match &self.layout {
            #[cfg(target_arch = "aarch64")]
            Layout::Neon(token, table) => super::neon::along_row(out, row, table, *token),
            #[cfg(target_arch = "x86_64")]
            Layout::Avx2(token, table) => x86::narrow(out, row, table, *token),
            #[cfg(target_arch = "x86_64")]
            Layout::Vbmi(token, table) => x86::wide(out, row, table, *token),
            Layout::Plain => scalar::along_row(out, row, &self.axis),
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::super::{starts, wide};
    use super::{PARTS, Step, Table};
    use crate::cpu::{Avx2, Vbmi};

    /// # Panics
    /// When the row or `out` has another length than the table was made for.
    pub(super) fn narrow(out: &mut [u8], row: &[u8], table: &Table<32, 16>, _proof: Avx2) {
        assert_eq!((row.len(), out.len()), (table.source, table.target));
        // SAFETY: needs AVX2; the token exists only where it was detected. The row has
        // the length that the table was made for.
        unsafe {
            match table.groups {
                1 => narrow_avx2::<1>(out, row, table),
                _ => narrow_avx2::<2>(out, row, table),
            }
        }
    }

    /// # Safety
    /// `row` and `out` must have the lengths that the table was made for.
    #[target_feature(enable = "avx2")]
    unsafe fn narrow_avx2<const GROUPS: usize>(out: &mut [u8], row: &[u8], table: &Table<32, 16>) {
        use wide::v256::*;
        let by = words(1 << 9);
        let window = |at: u32| {
            // SAFETY: windows begin 16 bytes before the end of the source or earlier.
            unsafe { _mm_loadu_si128(row.as_ptr().add(at as usize).cast()) }
        };
        let blocks = table.steps.chunks_exact(PARTS * GROUPS);
        let windows = table.windows.chunks_exact(2 * PARTS * GROUPS);
        for ((x, steps), windows) in starts(out.len(), LEN).zip(blocks).zip(windows) {
            let mut sums = [zero(); PARTS];
            for (part, sum) in sums.iter_mut().enumerate() {
                for at in part * GROUPS..(part + 1) * GROUPS {
                    let Step { places, shares } = &steps[at];
                    let (low, high) = (window(windows[2 * at]), window(windows[2 * at + 1]));
                    // SAFETY: `places` and `shares` are 32 bytes each.
                    let (places, shares) = unsafe {
                        (
                            _mm256_loadu_si256(places.as_ptr().cast()),
                            _mm256_loadu_si256(shares.as_ptr().cast()),
                        )
                    };
                    let samples = _mm256_shuffle_epi8(_mm256_set_m128i(high, low), places);
                    *sum = add(*sum, madd_bytes(samples, shares));
                }
                *sum = add_pairs(*sum);
            }
            // SAFETY: blocks begin `LEN` before the end of `out` or earlier.
            unsafe { store(out, x, pack_quads(sums, by)) };
        }
    }

    /// # Panics
    /// When the row or `out` has another length than the table was made for.
    pub(super) fn wide(out: &mut [u8], row: &[u8], table: &Table<64, 64>, _proof: Vbmi) {
        assert_eq!((row.len(), out.len()), (table.source, table.target));
        // SAFETY: needs what the token proves; it exists only where all of it was
        // detected. The row has the length that the table was made for.
        unsafe {
            match table.groups {
                1 => wide_vbmi::<1>(out, row, table),
                _ => wide_vbmi::<2>(out, row, table),
            }
        }
    }

    /// # Safety
    /// `row` and `out` must have the lengths that the table was made for.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni")]
    unsafe fn wide_vbmi<const GROUPS: usize>(out: &mut [u8], row: &[u8], table: &Table<64, 64>) {
        use wide::v512::*;
        let by = words(1 << 9);
        let blocks = table.steps.chunks_exact(PARTS * GROUPS);
        let windows = table.windows.chunks_exact(PARTS * GROUPS);
        for ((x, steps), windows) in starts(out.len(), LEN).zip(blocks).zip(windows) {
            let mut sums = [zero(); PARTS];
            for (part, sum) in sums.iter_mut().enumerate() {
                for at in part * GROUPS..(part + 1) * GROUPS {
                    let Step { places, shares } = &steps[at];
                    // SAFETY: `places` and `shares` are 64 bytes each; windows begin 64
                    // bytes before the end of the source or earlier.
                    let (places, shares, window) = unsafe {
                        (
                            _mm512_loadu_si512(places.as_ptr().cast()),
                            _mm512_loadu_si512(shares.as_ptr().cast()),
                            load(row, windows[at] as usize),
                        )
                    };
                    let samples = _mm512_permutexvar_epi8(places, window);
                    *sum = _mm512_dpbusd_epi32(*sum, samples, shares);
                }
            }
            // SAFETY: blocks begin `LEN` before the end of `out` or earlier.
            unsafe { store(out, x, pack_quads(sums, by)) };
        }
    }
}
