//! Which layer of a sender's simulcast (RFC 8853) is worth decoding.
//!
//! A browser sends one camera in several sizes. One of them is decoded at a time: the
//! smallest that has the rows that are asked for, else the largest there is. What counts
//! is what arrives, not what was agreed on: on a slow uplink a browser leaves layers
//! out, largest first, and takes them up again.
//!
//! ```text
//!   rows asked for      180 ------- 720 ---------------------- 180 -------------
//!   of 180, 360, 720    180         720                        720 (3 s)     180
//!   the largest stops               720      360 (0.4 s)                     180
//! ```
//!
//! More rows are given at once, fewer after a while, since panes change to and fro. It
//! names a layer and no more: when to switch to it, with which key frame, is the
//! caller's to say.

use core::time::Duration;

use plenum_abi::{LAYERS_MAX, Nanos};

/// How long fewer rows must have been enough before they are given.
const SHRINK_AFTER: Duration = Duration::from_secs(3);
/// A layer that is silent for so long has ended,
const GONE_AFTER: Duration = Duration::from_millis(400);
/// if so many pictures of another came meanwhile: a camera may be slow, or rest.
const GONE_PICTURES: u8 = 3;

/// A layer that has begun goes on after so many pictures: browsers try what a line carries
/// with a key frame, and leave it at that.
const STEADY_PICTURES: u8 = 5;

/// What is known of one layer.
#[derive(Clone, Copy, Debug, Default)]
struct Layer {
    /// When its last packet came; `None` before the first.
    heard: Option<Nanos>,
    /// Rows of its last key frame.
    rows: Option<u32>,
    /// Pictures that ended since it began, or began again.
    pictures: u8,
    /// Pictures of each layer that ended since its last packet.
    missed: [u8; LAYERS_MAX],
}

impl Layer {
    fn arrives(&self, now: Nanos) -> bool {
        self.heard.is_some_and(|heard| {
            now.since(heard) < GONE_AFTER || self.missed.iter().all(|count| *count < GONE_PICTURES)
        })
    }
}

/// See the [module](self).
#[derive(Clone, Debug, Default)]
pub struct LayerChooser {
    layers: [Layer; LAYERS_MAX],
    /// Rows that were asked for last.
    asked: u32,
    /// Rows that are given.
    rows: u32,
    /// Since when fewer are asked for than are given.
    less_since: Option<Nanos>,
}

impl LayerChooser {
    /// A packet with content came of a layer, an index below [`LAYERS_MAX`]. `marker`:
    /// it ends a picture; `rows`: it begins a key frame of so many.
    pub fn on_packet(&mut self, now: Nanos, layer: usize, marker: bool, rows: Option<u32>) {
        let Some(heard) = self.layers.get_mut(layer) else {
            return;
        };
        if !heard.arrives(now) {
            heard.pictures = 0;
        }
        heard.pictures = heard.pictures.saturating_add(u8::from(marker));
        heard.heard = Some(now);
        heard.missed = [0; LAYERS_MAX];
        heard.rows = rows.or(heard.rows);
        if !marker {
            return;
        }
        for (index, other) in self.layers.iter_mut().enumerate() {
            if index != layer {
                other.missed[layer] = other.missed[layer].saturating_add(1);
            }
        }
    }

    /// Rows of the largest pane that shows the sender; 0 while none does.
    pub fn ask(&mut self, now: Nanos, rows: u32) {
        self.settle(now);
        self.asked = rows;
        self.less_since = (rows < self.rows).then(|| self.less_since.unwrap_or(now));
        if rows >= self.rows {
            self.rows = rows;
        }
    }

    fn settle(&mut self, now: Nanos) {
        if self
            .less_since
            .is_some_and(|since| now.since(since) >= SHRINK_AFTER)
        {
            self.rows = self.asked;
            self.less_since = None;
        }
    }

    /// The layer that should be decoded, where `current` is; `None` before the first
    /// that could be. While nobody looks, the one in use is as good as any.
    pub fn choose(&mut self, now: Nanos, current: Option<usize>) -> Option<usize> {
        self.settle(now);
        let arrives = |index: &usize| self.layers[*index].arrives(now);
        let kept = current.filter(|index| *index < LAYERS_MAX);
        if self.rows == 0 && kept.as_ref().is_some_and(arrives) {
            return kept;
        }
        let of_use = |index: &usize| {
            let rows = self.layers[*index].rows?;
            // Of equal ones the one in use, else the one that was named first.
            Some((rows, Some(*index) != kept, *index))
        };
        let known = || (0..LAYERS_MAX).filter(arrives).filter_map(|it| of_use(&it));
        let enough = known().filter(|(rows, ..)| *rows >= self.rows).min();
        let largest = || known().max_by_key(|(rows, other, index)| (*rows, !other, !index));
        let best = enough.or_else(largest);
        best.map(|(_, _, index)| index).or(kept)
    }

    /// Whether a layer is being sent.
    #[must_use]
    pub fn arrives(&self, now: Nanos, layer: usize) -> bool {
        let layer = self.layers.get(layer);
        layer.is_some_and(|layer| layer.arrives(now))
    }

    /// Whether a layer has come for long enough to be relied on.
    #[must_use]
    pub fn is_steady(&self, layer: usize) -> bool {
        let layer = self.layers.get(layer);
        layer.is_some_and(|layer| layer.pictures >= STEADY_PICTURES)
    }

    /// Whether a layer arrives of which no key frame told the size yet.
    #[must_use]
    pub fn is_unmeasured(&self, now: Nanos, layer: usize) -> bool {
        let layer = self.layers.get(layer);
        layer.is_some_and(|layer| layer.rows.is_none() && layer.arrives(now))
    }
}
