//! Who sees what: from everybody in the conference to a seating for each receiver.
//!
//! Two seatings are made each time. One is of everybody who is to be seen: it says
//! whose video is to be decoded. The other leaves out those of whom there is no
//! picture yet: it is what is shown. So a newcomer, or a speaker who was not seen
//! before, comes into a pane together with its first picture, and until then the
//! old one stays; nothing is ever black in between.
//!
//! Not here: encoders.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use plenum_abi::Nanos;

use crate::layout::Shape;
use crate::participants::Participants;
use crate::rate::Rung;
use crate::seating::{Candidates, Order, Rules, Seat, Seating};
use crate::source::Source;
use crate::{ConferencePolicy, Layout, ParticipantId, Receiver, Stream, Wants};

/// How long sources must have been smaller before views become so.
const SHRINK_AFTER: Duration = Duration::from_secs(10);

/// How long a view stays one of 60 pictures a second after the source that had them left
/// its large pane: people take turns, and each change is a key frame. A picture that does
/// not come costs nothing.
const SLOW_AFTER: Duration = Duration::from_secs(10);

/// The rows that [`Shape::place`] is asked with to compare panes and sources.
const REFERENCE: (u32, u32) = (1280, 720);

/// What receivers share a history of: the layout, and whether content may be in it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Kind {
    People { layout: Layout, content: bool },
    Content,
}

impl Kind {
    /// What a receiver asks for.
    pub(crate) fn of(receiver: &Receiver, policy: &ConferencePolicy, content: bool) -> Self {
        match receiver.wants {
            Wants::Content => Self::Content,
            Wants::Main { content_in_main } => Self::People {
                layout: receiver.layout.unwrap_or(policy.layout),
                content: content && content_in_main,
            },
        }
    }
}

/// Of one [`Kind`].
#[derive(Debug, Default)]
struct History {
    order: Order,
    need: Option<Need>,
    /// When each viewer last had a fast source in a large pane.
    fast_at: BTreeMap<Option<ParticipantId>, Nanos>,
}

/// The size that sources are worth, slow to go down.
#[derive(Clone, Copy, Debug)]
struct Need {
    rung: Rung,
    /// When less began to be enough.
    less_since: Option<Nanos>,
}

/// What one receiver is shown.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) seating: Seating,
    pub(crate) need: Rung,
    /// A source in a large pane of it has more than 30 pictures a second, or had lately.
    pub(crate) fast: bool,
}

/// The streams that views want, and what each receiver is shown.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) wanted: BTreeSet<(ParticipantId, Stream)>,
    /// What each receiver is to see, as soon as there are pictures of it.
    pub(crate) aimed: BTreeMap<(Kind, Option<ParticipantId>), Seating>,
    pub(crate) shown: BTreeMap<(Kind, Option<ParticipantId>), Shown>,
}

impl Plan {
    /// How many rows each stream is given in the largest pane it has, or is to have. `rows`
    /// are those of each receiver's picture, were its sources as large as they could be.
    /// Who may soon be the speaker is to have the largest of all.
    pub(crate) fn rows(
        &self,
        viewers: impl Iterator<Item = ((Kind, Option<ParticipantId>), u32)>,
    ) -> BTreeMap<(ParticipantId, Stream), u32> {
        let mut largest = BTreeMap::new();
        for (viewer, rows) in viewers {
            let shown = self.shown.get(&viewer).map(|shown| &shown.seating);
            for seating in shown.into_iter().chain(self.aimed.get(&viewer)) {
                note_rows(seating, rows, &mut largest);
            }
        }
        let most = largest.values().copied().max().unwrap_or(0);
        for stream in &self.wanted {
            largest.entry(*stream).or_insert(most);
        }
        largest
    }
}

/// Makes plans; remembers who sat where.
#[derive(Debug, Default)]
pub(crate) struct Planner {
    histories: BTreeMap<Kind, History>,
}

/// What plans are made of.
pub(crate) struct Facts<'a> {
    pub(crate) now: Nanos,
    pub(crate) policy: &'a ConferencePolicy,
    pub(crate) participants: &'a Participants,
    /// Whose content is shown.
    pub(crate) content: Option<ParticipantId>,
    /// Who may soon be the active speaker: its picture is got ready.
    pub(crate) next_speaker: Option<ParticipantId>,
}

/// The candidates of a moment.
struct Cast {
    /// Everybody who is to be seen.
    all: Candidates,
    /// Those of them of whom there is a picture.
    ready: Candidates,
    cards: Candidates,
    policy_cards: bool,
}

impl Cast {
    fn new(facts: &Facts<'_>) -> Self {
        let now = facts.now;
        let any = |_: ParticipantId, _: &Source| true;
        let ready = |_: ParticipantId, source: &Source| source.may_be_shown(now);
        Self {
            all: facts.participants.senders(now, any),
            ready: facts.participants.senders(now, ready),
            cards: facts.participants.cards(now),
            policy_cards: facts.policy.cards,
        }
    }

    /// Of `senders`, for somebody's eyes: cards too where they are asked for, and
    /// where there is nobody else.
    fn seen_by(&self, senders: &Candidates, viewer: Option<ParticipantId>) -> Candidates {
        let others = senders.keys().any(|&id| Some(id) != viewer);
        let mut seen = senders.clone();
        if self.policy_cards || !others {
            seen.extend(self.cards.iter().map(|(&id, &card)| (id, card)));
        }
        seen
    }
}

impl Planner {
    /// A plan for those who look: what each asks for, and who it is.
    pub(crate) fn plan(
        &mut self,
        facts: &Facts<'_>,
        viewers: impl Iterator<Item = (Kind, Option<ParticipantId>)>,
    ) -> Plan {
        let cast = Cast::new(facts);
        let mut plan = Plan::default();
        let mut asked: BTreeMap<Kind, BTreeSet<Option<ParticipantId>>> = BTreeMap::new();
        for (kind, viewer) in viewers {
            asked.entry(kind).or_default().insert(viewer);
        }
        self.histories.retain(|kind, _| asked.contains_key(kind));
        let next = facts.next_speaker.filter(|id| cast.all.contains_key(id));
        if !asked.is_empty() {
            plan.wanted.extend(next.map(|id| (id, Stream::Main)));
        }
        for (kind, viewers) in asked {
            match kind {
                Kind::Content => self.plan_content(facts, kind, &viewers, &mut plan),
                Kind::People { layout, content } => {
                    let rules = Rules {
                        layout,
                        placed: facts.policy.placement_highest_importance.unwrap_or(0),
                        self_pane: facts.policy.self_pane_mode,
                        active_speaker: facts.policy.active_speaker_mode,
                        content: facts.content.filter(|_| content),
                    };
                    self.plan_people(facts, &cast, kind, &rules, &viewers, &mut plan);
                }
            }
        }
        plan
    }

    /// Content alone, for all but the one whose it is.
    fn plan_content(
        &mut self,
        facts: &Facts<'_>,
        kind: Kind,
        viewers: &BTreeSet<Option<ParticipantId>>,
        plan: &mut Plan,
    ) {
        let Some(id) = facts.content else {
            return;
        };
        let others: Vec<_> = viewers
            .iter()
            .filter(|viewer| **viewer != Some(id))
            .collect();
        if others.is_empty() {
            return;
        }
        plan.wanted.insert((id, Stream::Content));
        let seating = Seating {
            shape: Shape::FULL,
            seats: vec![Seat::Content(id)],
        };
        for &&viewer in &others {
            plan.aimed.insert((kind, viewer), seating.clone());
        }
        let ready = facts.participants.source(id, Stream::Content);
        if ready.is_none_or(|source| source.number().is_none()) {
            return;
        }
        let need = needed(&seating, facts.participants);
        let need = self
            .histories
            .entry(kind)
            .or_default()
            .need(facts.now, need);
        for &viewer in others {
            let shown = Shown {
                seating: seating.clone(),
                need,
                fast: false,
            };
            plan.shown.insert((kind, viewer), shown);
        }
    }

    fn plan_people(
        &mut self,
        facts: &Facts<'_>,
        cast: &Cast,
        kind: Kind,
        rules: &Rules,
        viewers: &BTreeSet<Option<ParticipantId>>,
        plan: &mut Plan,
    ) {
        let history = self.histories.entry(kind).or_default();
        let ready_content = |id: ParticipantId| {
            let source = facts.participants.source(id, Stream::Content);
            source.is_some_and(|source| source.number().is_some())
        };
        let shown_rules = Rules {
            content: rules.content.filter(|&id| ready_content(id)),
            ..*rules
        };
        // What is to be seen, without memory: what is shown has that.
        let mut aim = history.order.clone();
        let common_all = cast.seen_by(&cast.all, None);
        let common_ready = cast.seen_by(&cast.ready, None);
        let common_aim = aim.seat(rules, &common_all);
        let common = history.order.seat(&shown_rules, &common_ready);
        let mut need = None;
        let mut seatings = Vec::new();
        for &viewer in viewers {
            let itself = |seating: &Seating| viewer.filter(|&id| seating.shows(id));
            let wanted = match itself(&common_aim) {
                Some(id) => &aim.seat_without(rules, &cast.seen_by(&cast.all, viewer), id),
                None => &common_aim,
            };
            want(wanted, &mut plan.wanted);
            plan.aimed.insert((kind, viewer), wanted.clone());
            let shown = match itself(&common) {
                Some(id) => {
                    let seen = cast.seen_by(&cast.ready, viewer);
                    history.order.seat_without(&shown_rules, &seen, id)
                }
                None => common.clone(),
            };
            want(&shown, &mut plan.wanted);
            need = need.max(needed(&shown, facts.participants));
            seatings.push((viewer, shown));
        }
        let need = history.need(facts.now, need);
        history.fast_at.retain(|viewer, _| viewers.contains(viewer));
        for (viewer, seating) in seatings {
            let fast = is_fast(&seating, facts.participants);
            let fast = history.fast(facts.now, viewer, fast);
            let shown = Shown {
                seating,
                need,
                fast,
            };
            plan.shown.insert((kind, viewer), shown);
        }
    }
}

impl History {
    /// What sources need who now need `rung`; while there are none, what they did.
    fn need(&mut self, now: Nanos, rung: Option<Rung>) -> Rung {
        let Some(rung) = rung else {
            return self.need.map_or(Rung::DRAWN, |need| need.rung);
        };
        let need = self.need.get_or_insert(Need {
            rung,
            less_since: None,
        });
        let shrinks = rung < need.rung;
        if !shrinks || now.since(*need.less_since.get_or_insert(now)) >= SHRINK_AFTER {
            *need = Need {
                rung,
                less_since: None,
            };
        }
        need.rung
    }

    /// Whether a viewer's view, which now is `fast` or not, counts as fast.
    fn fast(&mut self, now: Nanos, viewer: Option<ParticipantId>, fast: bool) -> bool {
        if fast {
            self.fast_at.insert(viewer, now);
        }
        let last = self.fast_at.get(&viewer);
        last.is_some_and(|&at| now.since(at) < SLOW_AFTER)
    }
}

fn stream_of(seat: Seat) -> Option<(ParticipantId, Stream)> {
    match seat {
        Seat::Person(id) => Some((id, Stream::Main)),
        Seat::Content(id) => Some((id, Stream::Content)),
        Seat::Blank => None,
    }
}

fn want(seating: &Seating, wanted: &mut BTreeSet<(ParticipantId, Stream)>) {
    wanted.extend(seating.seats.iter().filter_map(|seat| stream_of(*seat)));
}

fn note_rows(seating: &Seating, rows: u32, largest: &mut BTreeMap<(ParticipantId, Stream), u32>) {
    let (width, height) = (rows * REFERENCE.0 / REFERENCE.1, rows);
    for (seat, pane) in seating.seats.iter().zip(seating.shape.place(width, height)) {
        if let Some(stream) = stream_of(*seat) {
            let known = largest.entry(stream).or_default();
            *known = pane.rect.height.max(*known);
        }
    }
}

/// Whether a pane of more than half the picture's height shows a source of more than 30
/// pictures a second: in a small one nobody would see what twice the encoding buys.
fn is_fast(seating: &Seating, participants: &Participants) -> bool {
    let panes = seating.shape.place(REFERENCE.0, REFERENCE.1);
    let large = panes.iter().map(|pane| 2 * pane.rect.height > REFERENCE.1);
    let mut large = seating.seats.iter().zip(large).filter(|(_, large)| *large);
    large.any(|(seat, _)| {
        let source = stream_of(*seat).and_then(|(id, stream)| participants.source(id, stream));
        source.is_some_and(Source::is_fast)
    })
}

/// The size at which no source of a seating loses samples; `None` without pictures.
fn needed(seating: &Seating, participants: &Participants) -> Option<Rung> {
    let panes = seating.shape.place(REFERENCE.0, REFERENCE.1);
    let sizes = seating.seats.iter().zip(panes).filter_map(|(seat, pane)| {
        let (id, stream) = stream_of(*seat)?;
        let (_, rows) = participants.source(id, stream)?.size()?;
        Some(Rung::for_need(rows, pane.rect.height, REFERENCE.1))
    });
    sizes.max()
}
