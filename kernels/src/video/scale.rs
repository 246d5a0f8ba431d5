//! Scaling, up and down, by any factor on either axis.
//!
//! Down by 2 and more, a target sample is the mean of the area that it covers.
//! Between 1:2 and 1:1 it is Catmull-Rom's cubic, stretched by the ratio so that
//! what the target cannot show does not alias; from 1:1 up it is that cubic as it
//! is. It is not the softest of the cubics: it goes through its samples, so that a
//! picture scaled by 1 is the picture, and text stays sharp; what overshoots is cut
//! to 0 to 255.
//!
//! Where source and target lie on each other: their outer edges agree. Chroma is
//! taken from where it is sited (the [module](super) says where), not from the
//! same fraction of its plane, so colour stays on its outlines.
//!
//! One axis after the other, rounded to a byte in between, shares in 1/64. That
//! costs a step of 255 here and there against ideal arithmetic, and lets vectors
//! hold bytes. Vectors like columns better than rows: the axis that leaves fewer
//! rows to walk along goes first.
//!
//! | ratio, both axes | how |
//! |---|---|
//! | 2, 4 exactly | one go: means of 2x2 or 4x4 samples |
//! | 4 and more | halved first, until it is less |
//! | anything else | down the columns and along the rows, 1 to 8 samples each |

mod axis;
mod kernel;
#[cfg(target_arch = "aarch64")]
mod neon;
mod row;
mod scalar;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod wide;

use super::picture::{PictureMut, PictureRef};
use super::plane::{PlaneMut, PlaneRef};
use crate::cpu::Level;
use axis::{Axis, Grid, RATIO_MAX, TAPS_MAX};
use row::Columns;

/// Scales pictures of one size to another: filters are made once, and nothing is
/// allocated for a picture.
#[derive(Clone, Debug)]
pub struct Scaler {
    from: (u32, u32),
    to: (u32, u32),
    luma: PlaneScaler,
    chroma: PlaneScaler,
}

impl Scaler {
    /// For pictures of `from`, width and height, to pictures of `to`.
    ///
    /// # Panics
    /// When a side is 0.
    #[must_use]
    pub fn new(from: (u32, u32), to: (u32, u32)) -> Self {
        Self::at(Level::best(), from, to)
    }

    /// [`Self::new`] at a level of the caller's choice, for tests and benches.
    ///
    /// # Panics
    /// When a side is 0.
    #[must_use]
    pub fn at(level: Level, from: (u32, u32), to: (u32, u32)) -> Self {
        assert!(
            from.0 > 0 && from.1 > 0 && to.0 > 0 && to.1 > 0,
            "from {from:?} to {to:?}"
        );
        let (columns, rows) = (Grid::centred(from.0, to.0), Grid::centred(from.1, to.1));
        let half = |(width, height): (u32, u32)| (width.div_ceil(2), height.div_ceil(2));
        Self {
            from,
            to,
            luma: PlaneScaler::new(level, from, to, [columns, rows]),
            chroma: PlaneScaler::new(
                level,
                half(from),
                half(to),
                // Chroma rows lie between luma rows, centred as those are.
                [Grid::co_sited(from.0, to.0), rows],
            ),
        }
    }

    /// Width and height of what it takes.
    #[must_use]
    pub const fn from(&self) -> (u32, u32) {
        self.from
    }

    /// Width and height of what it gives.
    #[must_use]
    pub const fn to(&self) -> (u32, u32) {
        self.to
    }

    /// Scales one picture. A part of a picture is a picture too
    /// ([`PictureRef::crop`]); nothing outside of it is looked at.
    ///
    /// # Panics
    /// When the pictures do not have the sizes that the scaler was made for.
    pub fn scale(&mut self, source: PictureRef<'_>, target: PictureMut<'_>) {
        assert_eq!((source.width(), source.height()), self.from);
        assert_eq!((target.width(), target.height()), self.to);
        let [y, u, v] = target.planes_mut();
        let [source_y, source_u, source_v] = source.planes();
        self.luma.scale(source_y, y);
        self.chroma.scale(source_u, u);
        self.chroma.scale(source_v, v);
    }
}

/// Scales planes of one size to another.
#[derive(Clone, Debug)]
struct PlaneScaler {
    level: Level,
    plan: Plan,
}

#[derive(Clone, Debug)]
enum Plan {
    Copy,
    Fold(Fold),
    Filter(Box<Filter>),
}

/// Means of 2x2 or 4x4 samples.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fold {
    Halve,
    HalveSited,
    Quarter,
    QuarterSited,
}

impl Fold {
    /// Where there is one for these sizes.
    fn of(source: (u32, u32), target: (u32, u32), [columns, rows]: [Grid; 2]) -> Option<Self> {
        let by = |ratio: u32| {
            columns.ratio == f64::from(ratio)
                && rows.ratio == f64::from(ratio)
                && source == (ratio * target.0, ratio * target.1)
        };
        let sited = columns.offset != (columns.ratio - 1.0) / 2.0;
        match (by(2), by(4), sited) {
            (true, _, false) => Some(Self::Halve),
            (true, _, true) => Some(Self::HalveSited),
            (_, true, false) => Some(Self::Quarter),
            (_, true, true) => Some(Self::QuarterSited),
            _ => None,
        }
    }

    fn apply(self, level: Level, source: PlaneRef<'_>, mut target: PlaneMut<'_>) {
        for (y, out) in target.rows_mut().enumerate() {
            let two = || [source.row(2 * y), source.row(2 * y + 1)];
            let four = || [0, 1, 2, 3].map(|below| source.row(4 * y + below));
            match self {
                Self::Halve => kernel::halve(level, out, two()),
                Self::HalveSited => kernel::halve_sited(level, out, two()),
                Self::Quarter => kernel::quarter(level, out, four()),
                Self::QuarterSited => kernel::quarter_sited(level, out, four()),
            }
        }
    }
}

/// One axis after the other.
#[derive(Clone, Debug)]
struct Filter {
    halvings: Vec<Halving>,
    columns: Columns,
    rows: Axis,
    /// Rows that one axis was done for: one, or as many as the other axis takes.
    scratch: Vec<u8>,
}

/// A plane of half the width, half the height, or both.
#[derive(Clone, Debug)]
struct Halving {
    across: bool,
    down: bool,
    width: usize,
    height: usize,
    samples: Vec<u8>,
}

impl Halving {
    fn apply(&mut self, level: Level, source: PlaneRef<'_>) {
        let rows = self.samples.chunks_exact_mut(self.width);
        for (y, out) in rows.enumerate() {
            let pair = if self.down {
                let last = source.height() - 1;
                [source.row(2 * y), source.row((2 * y + 1).min(last))]
            } else {
                [source.row(y); 2]
            };
            if self.across {
                kernel::halve(level, out, pair);
            } else {
                scalar::halve_rows(out, pair);
            }
        }
    }

    fn plane(&self) -> PlaneRef<'_> {
        PlaneRef::new(&self.samples, self.width, self.width, self.height)
    }
}

impl PlaneScaler {
    fn new(level: Level, source: (u32, u32), target: (u32, u32), grids: [Grid; 2]) -> Self {
        let plan = match Fold::of(source, target, grids) {
            Some(fold) => Plan::Fold(fold),
            None => Filter::new(level, source, target, grids)
                .map_or(Plan::Copy, |filter| Plan::Filter(Box::new(filter))),
        };
        Self { level, plan }
    }

    fn scale(&mut self, source: PlaneRef<'_>, mut target: PlaneMut<'_>) {
        match &mut self.plan {
            Plan::Copy => {
                for (out, row) in target.rows_mut().zip(source.rows()) {
                    out.copy_from_slice(row);
                }
            }
            Plan::Fold(fold) => fold.apply(self.level, source, target),
            Plan::Filter(filter) => filter.apply(self.level, source, target),
        }
    }
}

impl Filter {
    /// `None` where the target is the source.
    fn new(
        level: Level,
        (width, height): (u32, u32),
        target: (u32, u32),
        [mut columns, mut rows]: [Grid; 2],
    ) -> Option<Self> {
        let (mut width, mut height) = (width as usize, height as usize);
        let mut halvings = Vec::new();
        while columns.ratio >= RATIO_MAX || rows.ratio >= RATIO_MAX {
            let (across, down) = (columns.ratio >= RATIO_MAX, rows.ratio >= RATIO_MAX);
            if across {
                (width, columns) = (width.div_ceil(2), columns.halved());
            }
            if down {
                (height, rows) = (height.div_ceil(2), rows.halved());
            }
            halvings.push(Halving {
                across,
                down,
                width,
                height,
                samples: vec![0; width * height],
            });
        }
        let columns = Columns::new(level, Axis::new(width, target.0 as usize, columns));
        let rows = Axis::new(height, target.1 as usize, rows);
        let done = columns.axis().is_identity() && rows.is_identity() && halvings.is_empty();
        let scratch = if rows.target() < rows.source() {
            width
        } else {
            rows.taps() * target.0 as usize
        };
        (!done).then(|| Self {
            halvings,
            columns,
            rows,
            scratch: vec![0; scratch],
        })
    }

    fn apply<'a>(&'a mut self, level: Level, mut source: PlaneRef<'a>, target: PlaneMut<'_>) {
        let mut halvings = self.halvings.as_mut_slice();
        while let Some((first, rest)) = halvings.split_first_mut() {
            first.apply(level, source);
            source = first.plane();
            halvings = rest;
        }
        let (columns, rows) = (&self.columns, &self.rows);
        if rows.is_identity() {
            along_rows(columns, source, target);
        } else if columns.axis().is_identity() {
            down_columns(level, rows, source, target);
        } else if rows.target() < rows.source() {
            columns_first(level, columns, rows, &mut self.scratch, source, target);
        } else {
            rows_first(level, columns, rows, &mut self.scratch, source, target);
        }
    }
}

fn along_rows(columns: &Columns, source: PlaneRef<'_>, mut target: PlaneMut<'_>) {
    for (out, row) in target.rows_mut().zip(source.rows()) {
        columns.along_row(out, row);
    }
}

/// Target row `y`'s source rows in their shares, of which `row` gives one.
fn mix<'a>(level: Level, rows: &Axis, y: usize, out: &mut [u8], row: impl Fn(usize) -> &'a [u8]) {
    let (first, shares) = rows.trimmed(y);
    let mut taken: [&[u8]; TAPS_MAX] = [&[]; TAPS_MAX];
    for (place, index) in taken.iter_mut().zip(first..).take(shares.len()) {
        *place = row(index);
    }
    kernel::down_columns(level, out, &taken[..shares.len()], shares);
}

fn down_columns(level: Level, rows: &Axis, source: PlaneRef<'_>, mut target: PlaneMut<'_>) {
    for (y, out) in target.rows_mut().enumerate() {
        mix(level, rows, y, out, |index| source.row(index));
    }
}

/// Down the columns into one row of the source's width, and along that.
fn columns_first(
    level: Level,
    columns: &Columns,
    rows: &Axis,
    scratch: &mut [u8],
    source: PlaneRef<'_>,
    mut target: PlaneMut<'_>,
) {
    for (y, out) in target.rows_mut().enumerate() {
        mix(level, rows, y, scratch, |index| source.row(index));
        columns.along_row(out, scratch);
    }
}

/// Along each source row, into a ring of as many rows as a target row takes, and
/// down the columns of those.
fn rows_first(
    level: Level,
    columns: &Columns,
    rows: &Axis,
    scratch: &mut [u8],
    source: PlaneRef<'_>,
    mut target: PlaneMut<'_>,
) {
    let (width, taps) = (columns.axis().target(), rows.taps());
    let mut done = 0;
    for (y, out) in target.rows_mut().enumerate() {
        let (first, _) = rows.filter(y);
        for index in done.max(first)..first + taps {
            let place = &mut scratch[index % taps * width..][..width];
            columns.along_row(place, source.row(index));
        }
        done = done.max(first + taps);
        mix(level, rows, y, out, |index| {
            &scratch[index % taps * width..][..width]
        });
    }
}

/// Where vectors of `len` begin in `all` samples; the last may begin early.
#[inline(always)]
fn starts(all: usize, len: usize) -> impl Iterator<Item = usize> {
    let last = all - len;
    (0..all).step_by(len).map(move |start| start.min(last))
}
