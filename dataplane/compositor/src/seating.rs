//! Who sits in which pane, without anybody moving but for a reason.
//!
//! An [`Order`] is everybody who may be seen: the first are in the panes, the rest
//! wait. It is kept from tick to tick, and changes as little as it can:
//!
//! - The one who speaks comes into the large pane; who was there goes to the pane
//!   that became free, or takes that of whoever has been silent longest.
//! - In small panes and grids a speaker who waits takes the pane of whoever has
//!   been silent longest.
//! - Who leaves is followed by the first who waits; where nobody waits, those
//!   behind move up.
//! - More importance goes before all of that.
//!
//! A receiver that sees itself nowhere looks at the common order. For one who is in
//! it, the same rules are applied once more to a copy without it, so that its view
//! differs from the others' by as little as possible, and needs no memory of its own.
//!
//! Not here: where the panes are, pictures, and who counts as to be seen.

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::layout::Shape;
use crate::{ActiveSpeakerMode, Layout, ParticipantId, SelfPaneMode};

/// Somebody who may be seen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Candidate {
    /// There is video of it.
    pub(crate) sends: bool,
    /// See [`Participant::importance`](crate::Participant::importance).
    pub(crate) importance: u32,
    /// Number of the last change that made it the active speaker; 0 for never.
    pub(crate) spoke: u64,
}

impl Candidate {
    /// By what people are put into the first panes.
    const fn rank(&self) -> (bool, u32) {
        (self.sends, self.importance)
    }

    /// By what they get a pane at all, and the large one.
    const fn claim(&self) -> (bool, u32, u64) {
        (self.sends, self.importance, self.spoke)
    }
}

/// Those who may be seen. By number, so that ties are always broken alike.
pub(crate) type Candidates = BTreeMap<ParticipantId, Candidate>;

/// What is in a pane.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Seat {
    /// A participant: its picture, or its card while there is none.
    Person(ParticipantId),
    /// What is presented.
    Content(ParticipantId),
    /// Nobody, on purpose.
    Blank,
}

/// A layout with somebody in each pane. Equal ones are one view.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Seating {
    /// Where the panes are.
    pub(crate) shape: Shape,
    /// Who is in them; fewer where there is nobody at all.
    pub(crate) seats: Vec<Seat>,
}

impl Seating {
    /// Whether a participant's picture is in it.
    pub(crate) fn shows(&self, id: ParticipantId) -> bool {
        self.seats.contains(&Seat::Person(id))
    }
}

/// By what rules seats are given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// The layout.
    pub(crate) layout: Layout,
    /// See [`ConferencePolicy`](crate::ConferencePolicy); 0 places nobody.
    pub(crate) placed: u32,
    /// See [`ConferencePolicy`](crate::ConferencePolicy).
    pub(crate) self_pane: SelfPaneMode,
    /// See [`ConferencePolicy`](crate::ConferencePolicy).
    pub(crate) active_speaker: ActiveSpeakerMode,
    /// Content that takes the first pane.
    pub(crate) content: Option<ParticipantId>,
}

/// Everybody who may be seen under one layout, in order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Order {
    ids: Vec<ParticipantId>,
    /// For how many of them there were panes when they were last seated.
    panes: usize,
}

impl Order {
    /// Seats `candidates` by `rules` for whoever is not among them, and remembers.
    pub(crate) fn seat(&mut self, rules: &Rules, candidates: &Candidates) -> Seating {
        self.seat_for(rules, candidates, None)
    }

    /// Seats `candidates` for one of them: it does not see itself, but where it has
    /// a placed pane and the rules say so.
    pub(crate) fn seat_without(
        &self,
        rules: &Rules,
        candidates: &Candidates,
        viewer: ParticipantId,
    ) -> Seating {
        let mut order = self.clone();
        order.seat_for(rules, candidates, Some(viewer))
    }

    fn seat_for(
        &mut self,
        rules: &Rules,
        candidates: &Candidates,
        viewer: Option<ParticipantId>,
    ) -> Seating {
        let mut front: Vec<Seat> = rules.content.map(Seat::Content).into_iter().collect();
        let mut rest = candidates.clone();
        let places = rules.placed.min(crate::layout::PANES_MAX as u32);
        for place in (0..places).map(|index| rules.placed - index) {
            let best = rest
                .iter()
                .filter(|(_, candidate)| candidate.importance == place)
                .max_by_key(|(id, candidate)| (candidate.claim(), Reverse(**id)));
            let seat = best.map_or(Seat::Blank, |(&id, _)| Seat::Person(id));
            if let Seat::Person(id) = seat {
                rest.remove(&id);
            }
            match (seat, rules.self_pane) {
                (Seat::Person(id), SelfPaneMode::Skip) if viewer == Some(id) => {}
                (Seat::Person(id), SelfPaneMode::Blank) if viewer == Some(id) => {
                    front.push(Seat::Blank);
                }
                _ => front.push(seat),
            }
        }
        if let Some(viewer) = viewer {
            rest.remove(&viewer);
        }

        let layout = match rules.layout {
            // Content needs a large pane.
            Layout::AllEqual
            | Layout::AllEqualQuarters
            | Layout::AllEqualNinths
            | Layout::AllEqualSixteenths
            | Layout::AllEqualTwentyFifths
            | Layout::Automatic
                if rules.content.is_some() =>
            {
                Layout::OnePlusN
            }
            layout => layout,
        };
        let shape = Shape::of(layout, front.len() + rest.len());
        front.truncate(shape.panes());
        let panes = shape.panes() - front.len();
        let led = match (front.is_empty(), rules.active_speaker) {
            (true, _) => shape.has_large(),
            (false, mode) => rules.placed > 0 && mode == ActiveSpeakerMode::FirstFreePane,
        };
        self.update(&rest, panes, led);
        let seats = front.into_iter();
        let seats = seats.chain(self.ids.iter().take(panes).map(|&id| Seat::Person(id)));
        Seating {
            shape,
            seats: seats.collect(),
        }
    }

    /// Brings the order up to date for so many panes, of which the first is for
    /// the one with the highest claim where it is `led`.
    fn update(&mut self, candidates: &Candidates, panes: usize, led: bool) {
        self.drop_others(candidates);
        self.panes = panes;
        let here: BTreeSet<_> = self.ids.iter().copied().collect();
        let new = candidates.keys().filter(|id| !here.contains(id));
        self.ids.extend(new);
        if panes == 0 || self.ids.is_empty() {
            return;
        }
        let claim = |id: &ParticipantId| candidates[id].claim();
        if led {
            self.lead(panes, claim);
        }
        let first = usize::from(led);
        while let Some((seen, waiting)) = self.unjust(first, panes, claim) {
            self.ids.swap(seen, waiting);
        }
        let seen = panes.min(self.ids.len());
        self.ids[first..seen].sort_by_key(|id| Reverse(candidates[id].rank()));
    }

    /// Takes out who is no candidate; who waits follows whoever was seen.
    fn drop_others(&mut self, candidates: &Candidates) {
        let panes = self.panes;
        if self.ids.len() <= panes {
            self.ids.retain(|id| candidates.contains_key(id));
            return;
        }
        let mut index = 0;
        while index < self.ids.len() {
            if candidates.contains_key(&self.ids[index]) {
                index += 1;
                continue;
            }
            let successor = (panes.max(index + 1)..self.ids.len())
                .find(|&waiting| candidates.contains_key(&self.ids[waiting]));
            match successor {
                Some(waiting) if index < panes => self.ids[index] = self.ids.remove(waiting),
                _ => {
                    self.ids.remove(index);
                }
            }
        }
    }

    /// Puts the one with the highest claim first.
    fn lead(&mut self, panes: usize, claim: impl Fn(&ParticipantId) -> (bool, u32, u64)) {
        let highest = (0..self.ids.len())
            .rev()
            .max_by_key(|&index| claim(&self.ids[index]))
            .unwrap_or(0);
        if highest < panes {
            self.ids.swap(0, highest);
            return;
        }
        let longest_silent = (1..panes)
            .rev()
            .min_by_key(|&index| claim(&self.ids[index]));
        match longest_silent {
            Some(silent) if claim(&self.ids[0]) >= claim(&self.ids[silent]) => {
                self.ids.swap(silent, highest);
                self.ids.swap(0, silent);
            }
            _ => self.ids.swap(0, highest),
        }
    }

    /// Somebody who is seen while somebody with a higher claim waits.
    fn unjust(
        &self,
        first: usize,
        panes: usize,
        claim: impl Fn(&ParticipantId) -> (bool, u32, u64),
    ) -> Option<(usize, usize)> {
        let end = panes.min(self.ids.len());
        let seen = (first..end)
            .rev()
            .min_by_key(|&index| claim(&self.ids[index]))?;
        let waiting = (end..self.ids.len())
            .rev()
            .max_by_key(|&index| claim(&self.ids[index]))?;
        (claim(&self.ids[waiting]) > claim(&self.ids[seen])).then_some((seen, waiting))
    }
}
