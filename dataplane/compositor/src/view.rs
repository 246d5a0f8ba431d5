//! One view at one size: its picture, of which only what has changed is drawn anew.
//!
//! Each pane remembers what it was drawn from. Labels belong to their pane and are
//! drawn with it; a message and the indicators lie over panes, and whatever they
//! touch is drawn again with them, since laying them twice over the same samples
//! would make them darker:
//!
//! ```text
//! changed panes -> overlays that touch those -> panes that those touch -> ... -> draw, in order
//! ```

use plenum_abi::Nanos;
use plenum_kernels::video::{Picture, Rect};

use crate::layout::Pane;
use crate::paint::{copy, fill, intersect};
use crate::participants::Participants;
use crate::pens::{BARS, Banner, EMPTY, Pens, indicator_rect};
use crate::seating::{Seat, Seating};
use crate::source::Fit;
use crate::stats::Profile;
use crate::{ConferencePolicy, Indicators, Message, Stats, Stream};

/// What views are drawn from.
pub(crate) struct Scene<'a> {
    pub(crate) now: Nanos,
    pub(crate) policy: &'a ConferencePolicy,
    /// Changes whenever something changes that all panes depend on.
    pub(crate) look: u64,
    /// The policy's message while it lasts.
    pub(crate) message: Option<&'a Message>,
    pub(crate) participants: &'a mut Participants,
    pub(crate) pens: &'a mut Pens,
    pub(crate) profile: &'a Profile,
    pub(crate) stats: &'a mut Stats,
}

/// What a pane was drawn from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Ink {
    seat: Seat,
    /// The number of the source's picture; `None` for a card.
    number: Option<u64>,
    /// Of the participant.
    revision: u64,
}

/// What lay over the panes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Overlays {
    message: Option<Message>,
    indicators: Indicators,
}

/// See the module.
pub(crate) struct Canvas {
    seating: Seating,
    panes: Vec<Pane>,
    inks: Vec<Option<Ink>>,
    overlays: Overlays,
    overlay_rects: Vec<Rect>,
    look: Option<u64>,
    picture: Picture,
    /// Counts drawings.
    version: u64,
}

impl Canvas {
    pub(crate) fn new(seating: Seating, (width, height): (u32, u32)) -> Self {
        let mut canvas = Self {
            panes: Vec::new(),
            inks: Vec::new(),
            overlays: Overlays::default(),
            overlay_rects: Vec::new(),
            look: None,
            picture: Picture::new(width, height),
            version: 0,
            seating,
        };
        canvas.place();
        canvas
    }

    fn place(&mut self) {
        let (width, height) = self.size();
        self.panes = self.seating.shape.place(width, height);
        // What is left free is background.
        self.panes.truncate(self.seating.seats.len());
        self.inks = vec![None; self.panes.len()];
        self.look = None;
    }

    /// Shows something else from the next drawing on.
    pub(crate) fn set_seating(&mut self, seating: &Seating) {
        let same_places =
            self.seating.shape == seating.shape && self.seating.seats.len() == seating.seats.len();
        if self.seating == *seating {
            return;
        }
        self.seating.clone_from(seating);
        if !same_places {
            self.place();
        }
    }

    pub(crate) const fn size(&self) -> (u32, u32) {
        (self.picture.width(), self.picture.height())
    }

    pub(crate) const fn picture(&self) -> &Picture {
        &self.picture
    }

    /// Changes when the picture does.
    pub(crate) const fn version(&self) -> u64 {
        self.version
    }

    /// Content alone is shown as it is.
    fn is_content(&self) -> bool {
        matches!(self.seating.seats.as_slice(), [Seat::Content(_)])
    }

    /// Brings the picture up to date.
    pub(crate) fn draw(&mut self, scene: &mut Scene<'_>) {
        let began = scene.profile.now();
        let scaled_before = scene.stats.spent.scale;
        let all = self.look != Some(scene.look);
        if all {
            self.picture.fill(scene.policy.background);
            self.inks.fill(None);
            self.look = Some(scene.look);
        }
        let inks: Vec<_> = self
            .seating
            .seats
            .iter()
            .map(|&seat| ink(seat, scene))
            .collect();
        let dirty: Vec<_> = inks
            .iter()
            .zip(&self.inks)
            .map(|(ink, drawn)| Some(*ink) != *drawn)
            .collect();

        let overlays = if self.is_content() {
            Overlays::default()
        } else {
            Overlays {
                message: scene.message.cloned(),
                indicators: scene.policy.indicators,
            }
        };
        let banner = overlays
            .message
            .as_ref()
            .and_then(|message| scene.pens.banner(self.size(), message));
        let indicators = indicator_rect(self.picture.height(), overlays.indicators);
        let new_overlays = overlays != self.overlays;
        if !all && !new_overlays && !dirty.contains(&true) {
            return;
        }
        let rects: Vec<Rect> = banner
            .iter()
            .map(|banner| banner.rect)
            .chain(indicators)
            .collect();
        // Where an overlay was, there is a hole now.
        let mut stale = Vec::new();
        if new_overlays {
            stale.append(&mut self.overlay_rects);
            stale.extend(&rects);
        }
        let (dirty, touched) = self.spread(dirty, &rects, stale, all);
        for &rect in &touched {
            fill(&mut self.picture, rect, scene.policy.background);
        }
        for (index, ink) in inks.into_iter().enumerate() {
            if dirty[index] {
                self.draw_pane(index, ink, scene);
                self.inks[index] = Some(ink);
            }
        }
        if self.panes.is_empty() {
            scene.pens.title(&mut self.picture, &scene.policy.name);
        }
        self.draw_overlays(
            scene.pens,
            &touched,
            all,
            banner.as_ref(),
            indicators,
            overlays.indicators,
        );
        (self.overlays, self.overlay_rects) = (overlays, rects);
        self.version += 1;
        scene.stats.composes += 1;
        let spent = scene.profile.now().since(began);
        let scaling = scene.stats.spent.scale.saturating_sub(scaled_before);
        scene.stats.spent.compose += spent.saturating_sub(scaling);
    }

    /// What else has to be drawn when the `dirty` panes are: those panes, and the
    /// rectangles of overlays that have to be made empty before.
    fn spread(
        &self,
        mut dirty: Vec<bool>,
        overlays: &[Rect],
        mut touched: Vec<Rect>,
        all: bool,
    ) -> (Vec<bool>, Vec<Rect>) {
        if all {
            dirty.fill(true);
            // The background is new already.
            return (dirty, Vec::new());
        }
        if self.panes.is_empty() {
            touched = vec![self.picture.rect()];
        }
        loop {
            let before = (dirty.clone(), touched.len());
            for (index, pane) in self.panes.iter().enumerate() {
                let over_dirty = pane.over && dirty[0];
                let over_hole = touched
                    .iter()
                    .any(|&rect| intersect(rect, pane.rect).is_some());
                dirty[index] |= over_dirty || over_hole;
            }
            for &overlay in overlays {
                let mut panes = self.panes.iter().zip(&dirty);
                let disturbed =
                    panes.any(|(pane, &dirty)| dirty && intersect(overlay, pane.rect).is_some());
                if disturbed && !touched.contains(&overlay) {
                    touched.push(overlay);
                }
            }
            if before == (dirty.clone(), touched.len()) {
                return (dirty, touched);
            }
        }
    }

    fn draw_overlays(
        &mut self,
        pens: &mut Pens,
        touched: &[Rect],
        all: bool,
        banner: Option<&Banner>,
        indicators: Option<Rect>,
        shown: Indicators,
    ) {
        let disturbed =
            |rect: Rect| all || touched.iter().any(|&hole| intersect(hole, rect).is_some());
        if let Some(rect) = indicators.filter(|&rect| disturbed(rect)) {
            pens.indicators(&mut self.picture, rect, shown);
        }
        if let Some(banner) = banner.filter(|banner| disturbed(banner.rect)) {
            pens.draw_banner(&mut self.picture, banner);
        }
    }

    fn draw_pane(&mut self, index: usize, ink: Ink, scene: &mut Scene<'_>) {
        let Pane { rect, over } = self.panes[index];
        // Above the panes that lie over this one.
        let lower = self.panes.iter().filter(|pane| pane.over && !over);
        let free_rows = lower.map(|pane| pane.rect.y - rect.y).min();
        let free = Rect {
            height: free_rows.unwrap_or(rect.height),
            ..rect
        };
        let picture = &mut self.picture;
        let full = rect == picture.rect();
        if over {
            scene.pens.edge(picture, rect);
        }
        let (id, stream) = match ink.seat {
            Seat::Blank => {
                fill(picture, rect, EMPTY);
                scene.pens.round(picture, rect, scene.policy.background);
                return;
            }
            Seat::Person(id) => (id, Stream::Main),
            Seat::Content(id) => (id, Stream::Content),
        };
        let name = scene.participants.name(id);
        let shown = ink.number.is_some()
            && draw_source(
                picture,
                rect,
                scene.participants,
                (id, stream),
                scene.profile,
                scene.stats,
            );
        if !shown {
            let color = scene.participants.card_color(id);
            scene.pens.card(picture, rect, name.as_str(), color);
        }
        if !full && !over {
            scene.pens.round(picture, rect, scene.policy.background);
        }
        if scene.policy.labels && stream == Stream::Main {
            let muted = scene.participants.is_audio_muted(id);
            scene.pens.label(picture, free, name.as_str(), muted);
        }
    }
}

/// Draws a source's last picture into a pane; `false` where there is none.
fn draw_source(
    picture: &mut Picture,
    pane: Rect,
    participants: &mut Participants,
    (id, stream): (crate::ParticipantId, Stream),
    profile: &Profile,
    stats: &mut Stats,
) -> bool {
    let Some(source) = participants.source_mut(id, stream) else {
        return false;
    };
    let Some(size) = source.size() else {
        return false;
    };
    let fit = Fit::new(size, pane, stream == Stream::Content);
    if fit.target != pane {
        fill(picture, pane, BARS);
    }
    let began: Nanos = profile.now();
    let Some((scaled, new)) = source.scaled(fit) else {
        return false;
    };
    stats.scales += u64::from(new);
    stats.spent.scale += profile.now().since(began);
    copy(picture, (fit.target.x, fit.target.y), scaled);
    true
}

fn ink(seat: Seat, scene: &Scene<'_>) -> Ink {
    let (id, stream) = match seat {
        Seat::Person(id) => (id, Stream::Main),
        Seat::Content(id) => (id, Stream::Content),
        Seat::Blank => {
            return Ink {
                seat,
                number: None,
                revision: 0,
            };
        }
    };
    Ink {
        seat,
        // The last picture of who is muted or has stopped is nobody's to see.
        number: (stream == Stream::Content || scene.participants.sends(id, scene.now))
            .then(|| scene.participants.picture_number(id, stream))
            .flatten(),
        revision: scene.participants.revision(id),
    }
}
