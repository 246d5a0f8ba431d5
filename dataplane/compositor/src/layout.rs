//! Where the panes are: a pure function of a layout, how many are to be seen, and
//! the size of the picture.
//!
//! Panes come in order: the large one first where there is one, then rows from the
//! left. All have the shape of 16:9, give or take the gaps between them, and begin
//! and end on even samples, since chroma has half the resolution.
//!
//! ```text
//!   allEqual, 7       onePlusFive      onePlusNine       telepresence     stacked
//!   +---+---+---+     +-------+---+    +---------+--+    +-----------+    +---------+
//!   |   |   |   |     |       |   |    |         |  |    |           |    |         |
//!   +---+---+---+     |       +---+    |         +--+    |           |    |         |
//!   |   |   |   |     |       |   |    |         |  |    |  +-+ +-+  |    +--+--+---+
//!   +---+---+---+     +---+---+---+    |         +--+    |  +-+ +-+  |    |  |  |   |
//!       |   |         |   |   |   |    +--+--+--+--+     +-----------+    +--+--+---+
//!       +---+         +---+---+---+    |  |  |  |  |
//! ```
//!
//! Not here: who sits where.

#[cfg(test)]
mod tests;

use plenum_kernels::video::Rect;

use crate::Layout;

/// Most panes of any layout.
pub(crate) const PANES_MAX: usize = 25;

/// Most small panes over the lower edge of [`Kind::Overlay`], or in the row of
/// [`Kind::Stack`].
const ROW_MAX: usize = 5;

/// How panes are arranged.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Kind {
    /// So many columns and rows.
    Grid { columns: u8, rows: u8 },
    /// A large pane of `units - 1` by `units - 1`, small ones of 1 by 1 to the
    /// right of it and below it.
    OnePlus { units: u8 },
    /// One pane that is all of the picture, small ones over its lower edge.
    Overlay,
    /// A large pane, small ones in a row below.
    Stack,
}

/// A layout, settled for a number of those to be seen.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Shape {
    kind: Kind,
    /// Panes in use.
    panes: u8,
}

/// A pane of a picture.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Pane {
    /// Where it is.
    pub(crate) rect: Rect,
    /// It lies over another pane.
    pub(crate) over: bool,
}

impl Shape {
    /// All of the picture for one.
    pub(crate) const FULL: Self = Self {
        kind: Kind::Grid {
            columns: 1,
            rows: 1,
        },
        panes: 1,
    };

    /// What `layout` is for `count` who are to be seen. More than there are panes
    /// for are left out; for nobody it is as for one.
    pub(crate) fn of(layout: Layout, count: usize) -> Self {
        let count = count.max(1);
        let grid = |side: u8| Kind::Grid {
            columns: side,
            rows: side,
        };
        let kind = match layout {
            Layout::SpeakerOnly => grid(1),
            Layout::Telepresence => Kind::Overlay,
            Layout::Stacked => Kind::Stack,
            Layout::AllEqual => Self::equal(count),
            Layout::AllEqualQuarters => grid(2),
            Layout::AllEqualNinths => grid(3),
            Layout::AllEqualSixteenths => grid(4),
            Layout::AllEqualTwentyFifths => grid(5),
            Layout::OnePlusFive => Kind::OnePlus { units: 3 },
            Layout::OnePlusSeven => Kind::OnePlus { units: 4 },
            Layout::OnePlusNine => Kind::OnePlus { units: 5 },
            Layout::Automatic if count <= 4 => Self::equal(count),
            Layout::Automatic | Layout::OnePlusN => match count {
                1 => grid(1),
                2..=6 => Kind::OnePlus { units: 3 },
                7..=8 => Kind::OnePlus { units: 4 },
                _ => Kind::OnePlus { units: 5 },
            },
        };
        let panes = kind.capacity().min(count) as u8;
        Self { kind, panes }
    }

    /// The least grid for `count`, no taller than wide.
    fn equal(count: usize) -> Kind {
        let (columns, rows) = match count {
            1 => (1, 1),
            2 => (2, 1),
            3..=4 => (2, 2),
            5..=6 => (3, 2),
            7..=9 => (3, 3),
            10..=12 => (4, 3),
            13..=16 => (4, 4),
            17..=20 => (5, 4),
            _ => (5, 5),
        };
        Kind::Grid { columns, rows }
    }

    /// Panes in use.
    pub(crate) const fn panes(self) -> usize {
        self.panes as usize
    }

    /// Whether the first pane is larger than the others, so that it matters who
    /// is in it.
    pub(crate) const fn has_large(self) -> bool {
        match self.kind {
            Kind::Grid { columns, .. } => columns == 1,
            Kind::OnePlus { .. } | Kind::Overlay | Kind::Stack => true,
        }
    }

    /// The panes in a picture of this size, [`Self::panes`] of them.
    pub(crate) fn place(self, width: u32, height: u32) -> Vec<Pane> {
        let frame = Frame::new(width, height);
        let count = self.panes();
        match self.kind {
            Kind::Grid { columns: 1, .. } => vec![frame.full()],
            Kind::Grid { columns, rows } => frame.grid(columns.into(), rows.into(), count),
            Kind::OnePlus { units } => frame.one_plus(units.into(), count),
            Kind::Overlay => frame.overlay(count),
            Kind::Stack => frame.stack(count),
        }
    }
}

impl Kind {
    const fn capacity(self) -> usize {
        match self {
            Self::Grid { columns, rows } => columns as usize * rows as usize,
            Self::OnePlus { units } => 2 * units as usize,
            Self::Overlay | Self::Stack => 1 + ROW_MAX,
        }
    }
}

/// The gap between panes in a picture of this height, and between them and its
/// edges: 8 rows of 720.
pub(crate) const fn gap(height: u32) -> u32 {
    even(height / 90)
}

/// The largest even number that is not larger.
pub(crate) const fn even(n: u32) -> u32 {
    n & !1
}

/// A picture into which panes are placed.
struct Frame {
    width: u32,
    height: u32,
    gap: u32,
}

impl Frame {
    const fn new(width: u32, height: u32) -> Self {
        Self {
            width,
            height,
            gap: gap(height),
        }
    }

    const fn full(&self) -> Pane {
        Pane {
            rect: Rect::new(0, 0, even(self.width), even(self.height)),
            over: false,
        }
    }

    /// The size of one of `units` by `units` panes, of 16:9.
    fn unit(&self, columns: u32, rows: u32) -> (u32, u32) {
        let width = (self.width - (columns + 1) * self.gap) / columns;
        let height = (self.height - (rows + 1) * self.gap) / rows;
        let width = width.min(height * 16 / 9);
        let height = height.min((width * 9).div_ceil(16));
        (even(width).max(2), even(height).max(2))
    }

    /// A pane of `across` by `down` units, gaps within included.
    const fn pane(&self, (width, height): (u32, u32), at: (u32, u32), across: u32) -> Pane {
        let rect = Rect::new(
            at.0,
            at.1,
            across * width + (across - 1) * self.gap,
            across * height + (across - 1) * self.gap,
        );
        Pane { rect, over: false }
    }

    /// Where `count` units begin so that they are in the middle of `length`.
    const fn middle(&self, length: u32, unit: u32, count: u32) -> u32 {
        let taken = count * unit + (count - 1) * self.gap;
        even(length.saturating_sub(taken) / 2)
    }

    fn grid(&self, columns: u32, rows: u32, count: usize) -> Vec<Pane> {
        let unit = self.unit(columns, rows);
        let top = self.middle(self.height, unit.1, rows);
        let count = count as u32;
        (0..count)
            .map(|index| {
                let (row, column) = (index / columns, index % columns);
                // A last row that is not full stands in the middle.
                let in_row = columns.min(count - row * columns);
                let left = self.middle(self.width, unit.0, in_row);
                let at = (
                    left + column * (unit.0 + self.gap),
                    top + row * (unit.1 + self.gap),
                );
                self.pane(unit, at, 1)
            })
            .collect()
    }

    fn one_plus(&self, units: u32, count: usize) -> Vec<Pane> {
        let unit = self.unit(units, units);
        let left = self.middle(self.width, unit.0, units);
        // Without a lower row the rest is in the middle.
        let rows = if count as u32 > units {
            units
        } else {
            units - 1
        };
        let top = self.middle(self.height, unit.1, rows);
        let at = |column: u32, row: u32| {
            (
                left + column * (unit.0 + self.gap),
                top + row * (unit.1 + self.gap),
            )
        };
        let right = (0..units - 1).map(|row| at(units - 1, row));
        let below = (0..units).map(|column| at(column, units - 1));
        let small = right.chain(below).map(|at| self.pane(unit, at, 1));
        std::iter::once(self.pane(unit, at(0, 0), units - 1))
            .chain(small)
            .take(count)
            .collect()
    }

    fn overlay(&self, count: usize) -> Vec<Pane> {
        let small = count as u32 - 1;
        let unit = self.unit(ROW_MAX as u32 + 1, ROW_MAX as u32 + 1);
        let left = self.middle(self.width, unit.0, small.max(1));
        let top = even(self.height.saturating_sub(unit.1 + 2 * self.gap));
        let row = (0..small).map(|column| Pane {
            over: true,
            ..self.pane(unit, (left + column * (unit.0 + self.gap), top), 1)
        });
        std::iter::once(self.full()).chain(row).collect()
    }

    fn stack(&self, count: usize) -> Vec<Pane> {
        let small = count as u32 - 1;
        if small == 0 {
            return vec![self.full()];
        }
        let unit = self.unit(ROW_MAX as u32, ROW_MAX as u32);
        // The large pane takes the other four fifths.
        let large = self.pane(unit, (0, 0), ROW_MAX as u32 - 1).rect;
        let top = self.middle(self.height, unit.1, ROW_MAX as u32);
        let large = Rect {
            x: even((self.width - large.width) / 2),
            y: top,
            ..large
        };
        let below = top + large.height + self.gap;
        let left = self.middle(self.width, unit.0, small);
        let row = (0..small)
            .map(|column| self.pane(unit, (left + column * (unit.0 + self.gap), below), 1));
        std::iter::once(Pane {
            rect: large,
            over: false,
        })
        .chain(row)
        .collect()
    }
}
