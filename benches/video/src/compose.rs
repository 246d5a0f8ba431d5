//! What a picture of several panes costs: each pane's source scaled into its place,
//! a border, a label.

use plenum_kernels::cpu::Level;
use plenum_kernels::video::blend::{self, Mask};
use plenum_kernels::video::scale::Scaler;
use plenum_kernels::video::{Picture, PlaneRef, Rect, Yuv, draw};

/// Everybody sends this, and sees this.
const SIZE: (u32, u32) = (1_280, 720);
const LABEL: (u32, u32) = (180, 28);

/// A grid of panes and what is needed to fill it.
pub(crate) struct Grid {
    sources: Vec<Picture>,
    scaler: Scaler,
    label: Mask,
    columns: u32,
    target: Picture,
}

impl Grid {
    /// `columns` by as many rows, each from a source of its own.
    pub(crate) fn new(level: Level, columns: u32) -> Self {
        let pane = ((SIZE.0 / columns) & !1, (SIZE.1 / columns) & !1);
        let (width, height) = (LABEL.0 as usize, LABEL.1 as usize);
        let coverage: Vec<u8> = (0..width * height).map(|n| (n * 7) as u8).collect();
        Self {
            sources: (0..columns * columns).map(|_| crate::noise(SIZE)).collect(),
            scaler: Scaler::at(level, SIZE, pane),
            label: Mask::new(PlaneRef::new(&coverage, width, width, height)),
            columns,
            target: Picture::new(SIZE.0, SIZE.1),
        }
    }

    /// Makes one picture.
    pub(crate) fn compose(&mut self) {
        let (width, height) = self.scaler.to();
        for (index, source) in (0..).zip(&self.sources) {
            let (x, y) = (index % self.columns * width, index / self.columns * height);
            let mut pane = self.target.crop_mut(Rect::new(x, y, width, height));
            self.scaler.scale(source.view(), pane.reborrow());
            let label = Rect::new(8, (height - LABEL.1 - 8) & !1, LABEL.0, LABEL.1);
            blend::color(pane.reborrow().crop_mut(label), &self.label, Yuv::WHITE);
            draw::border(pane, 2, Yuv::BLACK);
        }
    }
}
