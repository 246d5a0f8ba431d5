//! Icons, drawn by arithmetic: no picture files, sharp at every size.
//!
//! A shape is a function of a point in the unit square, which says whether the
//! point is inside. A sample is covered as far as sixteen points of it are inside.

use std::f32::consts::PI;

use crate::text::Mask;

/// What an icon says.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Icon {
    /// A microphone, struck through.
    Muted,
    /// A full circle.
    Recording,
    /// A mast that sends waves.
    Streaming,
    /// A padlock.
    Locked,
    /// Head and shoulders.
    Person,
    /// A disc, behind initials.
    Disc,
}

/// Points a side for each sample.
const POINTS: u32 = 4;

impl Icon {
    /// The icon in a square of so many samples.
    pub(crate) fn mask(self, size: u32) -> Mask {
        let mut mask = Mask::new(size, size);
        let points = size * POINTS;
        let at = |n: u32| (n as f32 + 0.5) / points as f32;
        let samples = (0..size).flat_map(|y| (0..size).map(move |x| (x, y)));
        for (place, (x, y)) in mask.coverage.iter_mut().zip(samples) {
            let inside = (0..POINTS * POINTS)
                .filter(|n| self.covers(at(x * POINTS + n % POINTS), at(y * POINTS + n / POINTS)))
                .count() as u32;
            *place = (inside * 255 / (POINTS * POINTS)) as u8;
        }
        mask
    }

    fn covers(self, x: f32, y: f32) -> bool {
        match self {
            Self::Muted => {
                // Along the stroke from the upper left to the lower right, and across.
                let across = (x - y).abs() / 2.0_f32.sqrt();
                let stroke = across < 0.05 && (0.1..0.9).contains(&x);
                let gap = across < 0.12;
                stroke || (!gap && microphone(x, y))
            }
            Self::Recording => circle(x, y, 0.5, 0.5, 0.38),
            Self::Streaming => {
                let mast = circle(x, y, 0.5, 0.5, 0.1);
                let angle = (y - 0.5).atan2((x - 0.5).abs());
                let sides = angle.abs() < PI / 4.0;
                let waves = [0.25, 0.42].iter().any(|&r| ring(x, y, 0.5, 0.5, r, 0.05));
                mast || (sides && waves)
            }
            Self::Locked => {
                let shackle = (y < 0.45 && ring(x, y, 0.5, 0.36, 0.18, 0.05))
                    || ((0.36..0.5).contains(&y) && ((x - 0.5).abs() - 0.18).abs() < 0.05);
                shackle || rounded(x, y, (0.22, 0.45), (0.78, 0.88), 0.08)
            }
            Self::Person => {
                let shoulders = circle((x - 0.5) * 0.8 + 0.5, y, 0.5, 0.98, 0.36) && y < 0.94;
                circle(x, y, 0.5, 0.34, 0.2) || shoulders
            }
            Self::Disc => circle(x, y, 0.5, 0.5, 0.5),
        }
    }
}

fn microphone(x: f32, y: f32) -> bool {
    let capsule = rounded(x, y, (0.37, 0.08), (0.63, 0.58), 0.13);
    let holder = y > 0.44 && ring(x, y, 0.5, 0.46, 0.25, 0.04);
    let stand = (x - 0.5).abs() < 0.04 && (0.7..0.86).contains(&y);
    let foot = (x - 0.5).abs() < 0.17 && (0.84..0.92).contains(&y);
    capsule || holder || stand || foot
}

fn circle(x: f32, y: f32, cx: f32, cy: f32, r: f32) -> bool {
    (x - cx).hypot(y - cy) <= r
}

fn ring(x: f32, y: f32, cx: f32, cy: f32, r: f32, half_width: f32) -> bool {
    ((x - cx).hypot(y - cy) - r).abs() <= half_width
}

fn rounded(x: f32, y: f32, from: (f32, f32), to: (f32, f32), r: f32) -> bool {
    let dx = (from.0 + r - x).max(x - (to.0 - r)).max(0.0);
    let dy = (from.1 + r - y).max(y - (to.1 - r)).max(0.0);
    dx.hypot(dy) <= r
}

/// A rectangle with round corners.
pub(crate) fn plate(width: u32, height: u32, radius: u32) -> Mask {
    let mut mask = Mask::new(width, height);
    let radius = radius.min(width / 2).min(height / 2) as f32;
    let samples = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    for (place, (x, y)) in mask.coverage.iter_mut().zip(samples) {
        *place = plate_coverage(x, y, width, height, radius);
    }
    mask
}

/// The coverage of one sample: by its distance from the edge, exact enough.
fn plate_coverage(x: u32, y: u32, width: u32, height: u32, radius: f32) -> u8 {
    let from_edge = |n: u32, all: u32| (n as f32 + 0.5).min(all as f32 - n as f32 - 0.5);
    let dx = (radius - from_edge(x, width)).max(0.0);
    let dy = (radius - from_edge(y, height)).max(0.0);
    if dx == 0.0 || dy == 0.0 {
        return 255;
    }
    ((radius - dx.hypot(dy) + 0.5).clamp(0.0, 1.0) * 255.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Icon; 6] = [
        Icon::Muted,
        Icon::Recording,
        Icon::Streaming,
        Icon::Locked,
        Icon::Person,
        Icon::Disc,
    ];

    fn share(mask: &Mask) -> f64 {
        let sum: u64 = mask.coverage.iter().map(|&c| u64::from(c)).sum();
        sum as f64 / (255.0 * f64::from(mask.width * mask.height))
    }

    #[test]
    fn icons_are_there_at_every_size_and_unlike() {
        for size in [10, 16, 24, 64] {
            let masks = ALL.map(|icon| icon.mask(size));
            for (index, mask) in masks.iter().enumerate() {
                assert!((0.1..0.9).contains(&share(mask)), "{:?}", ALL[index]);
                assert!(!masks[..index].contains(mask), "{:?}", ALL[index]);
            }
        }
        assert_eq!(Icon::Person.mask(0), Mask::default());
    }

    #[test]
    fn a_plate_is_full_but_for_its_corners() {
        let mask = plate(40, 20, 6);
        assert_eq!(mask.coverage[0], 0);
        assert_eq!(mask.coverage[10 * 40 + 20], 255);
        assert_eq!(mask.coverage[20], 255);
        let covered = share(&mask) * 800.0;
        let expected = 800.0 - (4.0 - f64::from(PI)) * 36.0;
        assert!((covered - expected).abs() < 4.0, "{covered}");
        assert_eq!(share(&plate(8, 8, 0)), 1.0);
        assert_eq!(plate(0, 5, 3).coverage, []);
    }
}
