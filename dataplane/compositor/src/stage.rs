//! The pictures of one conference as its caller sees them, and their frame clock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use plenum_abi::{H264Profile, Nanos, VideoCodec};

use crate::groups::{Group, Key, Member, Work, assign};
use crate::participants::Participants;
use crate::pens::Pens;
use crate::plan::{Facts, Kind, Planner, Shown};
use crate::rate::{Allowance, Bounds, Format, Rung};
use crate::seating::Seating;
use crate::source::{Source, Taken};
use crate::speaker::ActiveSpeaker;
use crate::stats::Profile;
use crate::view::{Canvas, Scene};
use crate::{
    AccessUnit, Codecs, ConferencePolicy, Fonts, Participant, ParticipantId, RECEIVERS_MAX,
    Receiver, ReceiverId, Sink, Stats, Stream, Thrift, Wants,
};

/// Everything is thought over again after this even if nothing seems to have
/// happened: classes rise and sources shrink by time alone.
const REVIEW: Duration = Duration::from_millis(500);

/// A receiver that asks for more key frames than so many in [`ASKS_WINDOW`] gets an
/// encoder of its own for [`ALONE_FOR`].
const ASKS_MAX: u32 = 3;
const ASKS_WINDOW: Duration = Duration::from_secs(10);
const ALONE_FOR: Duration = Duration::from_secs(30);

/// There are as many participants or receivers as there may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StageFull;

impl core::fmt::Display for StageFull {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the stage is full")
    }
}

impl core::error::Error for StageFull {}

/// What stays with [`Thrift::Motion`] and [`Thrift::Size`].
const THRIFTY_FRAME_RATE_HZ: u32 = 30;
const THRIFTY_HEIGHT: u32 = 720;

/// A receiver, with what is remembered of it.
struct Viewer {
    receiver: Receiver,
    allowance: Allowance,
    /// Key frames asked for since the window began.
    asks: u32,
    asks_since: Nanos,
    alone_until: Option<Nanos>,
}

impl Viewer {
    fn is_alone(&self, now: Nanos) -> bool {
        self.alone_until.is_some_and(|until| now < until)
    }

    /// The most that it takes, bit/s.
    fn bit_rate_bps(&self) -> u32 {
        self.allowance
            .bit_rate_bps()
            .min(self.receiver.limits.bit_rate_max_bps)
    }
}

/// What a view's canvas is found by: what it shows, width and height.
type CanvasKey = (Seating, (u32, u32));

/// The pictures of one conference. See the crate.
pub struct Stage {
    policy: ConferencePolicy,
    thrift: Thrift,
    /// Changes whenever something changes that all panes depend on.
    look: u64,
    codecs: Box<dyn Codecs>,
    pens: Pens,
    profile: Profile,
    participants: Participants,
    content: Option<ParticipantId>,
    speaker: ActiveSpeaker,
    viewers: BTreeMap<ReceiverId, Viewer>,
    planner: Planner,
    /// Something has changed since the last plan.
    changed: bool,
    /// A picture was decoded since the last look at what is due.
    fresh: bool,
    planned_at: Nanos,
    /// What of the sources the last plan was made from.
    planned_from: Vec<SourceFacts>,
    groups: Vec<Group>,
    canvases: BTreeMap<CanvasKey, Canvas>,
    data: Vec<u8>,
    receivers: Vec<ReceiverId>,
    stats: Stats,
}

/// What of a source a plan depends on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct SourceFacts {
    id: ParticipantId,
    stream: Stream,
    live: bool,
    may_be_shown: bool,
    fast: bool,
    size: Option<(u32, u32)>,
}

impl core::fmt::Debug for Stage {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Stage")
            .field("viewers", &self.viewers.len())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl Stage {
    /// Nobody yet. `codecs` is [`LibraryCodecs`](crate::LibraryCodecs) but in tests.
    #[must_use]
    pub fn new(policy: ConferencePolicy, fonts: &Fonts, codecs: Box<dyn Codecs>) -> Self {
        Self {
            policy,
            thrift: Thrift::default(),
            look: 0,
            codecs,
            pens: Pens::new(fonts),
            profile: Profile::default(),
            participants: Participants::default(),
            content: None,
            speaker: ActiveSpeaker::default(),
            viewers: BTreeMap::new(),
            planner: Planner::default(),
            changed: false,
            fresh: false,
            planned_at: Nanos::ZERO,
            planned_from: Vec::new(),
            groups: Vec::new(),
            canvases: BTreeMap::new(),
            data: Vec::new(),
            receivers: Vec::new(),
            stats: Stats::default(),
        }
    }

    /// Where [`Stats::spent`] takes its time from. Decides nothing.
    pub fn set_profile_clock(&mut self, clock: Box<dyn Fn() -> Nanos>) {
        self.profile = Profile::new(clock);
    }

    /// Shows by another policy from the next tick on; the same again changes nothing.
    pub fn set_policy(&mut self, policy: ConferencePolicy) {
        if self.policy == policy {
            return;
        }
        let drawn = |policy: &ConferencePolicy| (policy.labels, policy.background);
        if drawn(&self.policy) != drawn(&policy) || self.policy.name != policy.name {
            self.look += 1;
        }
        self.policy = policy;
        self.changed = true;
    }

    /// Leaves out more or less from the next tick on; the same again changes nothing.
    pub fn set_thrift(&mut self, thrift: Thrift) {
        self.changed |= self.thrift != thrift;
        self.thrift = thrift;
    }

    /// Lets a participant in, or changes it; the same again changes nothing.
    ///
    /// # Errors
    /// When there are [`PARTICIPANTS_MAX`](crate::PARTICIPANTS_MAX) already.
    pub fn set_participant(
        &mut self,
        id: ParticipantId,
        participant: Participant,
    ) -> Result<(), StageFull> {
        self.changed |= self.participants.set(id, participant)?;
        Ok(())
    }

    /// Puts a participant out; `false` where there is none of this number. Its
    /// receivers stay until they are removed.
    pub fn remove_participant(&mut self, id: ParticipantId) -> bool {
        let known = self.participants.remove(id);
        if known {
            self.speaker.forget(id);
            self.content = self.content.filter(|&owner| owner != id);
            self.changed = true;
        }
        known
    }

    /// Whose [`Stream::Content`] is shown; `None` for nobody's.
    pub fn set_content(&mut self, id: Option<ParticipantId>) {
        self.changed |= self.content != id;
        self.content = id;
    }

    /// Takes what a participant sent. Decoded if somebody sees it, dropped if not.
    pub fn handle_access_unit(
        &mut self,
        now: Nanos,
        id: ParticipantId,
        stream: Stream,
        unit: &AccessUnit<'_>,
    ) {
        let Some(source) = self.participants.source_or_new(id, stream) else {
            return;
        };
        self.stats.access_units += 1;
        if source.touch(now) {
            // So that the key frame a newcomer begins with is not lost.
            self.plan(now);
        }
        let Some(source) = self.participants.source_mut(id, stream) else {
            return;
        };
        source.expire(now);
        let began = self.profile.now();
        let taken = source.take(unit, &mut *self.codecs);
        self.stats.spent.decode += self.profile.now().since(began);
        match taken {
            Taken::Picture => {
                self.stats.decodes += 1;
                self.fresh = true;
            }
            Taken::Spared => self.stats.decodes_spared += 1,
            Taken::Refused => self.stats.decode_failures += 1,
            Taken::Nothing | Taken::Waits => {}
        }
    }

    /// Rows of the largest pane that shows a stream, or is to: a sender of several sizes
    /// need send, and its decoder see, no more. 0 while nobody is to see it. Changes with
    /// [`Self::tick`].
    #[must_use]
    pub fn rows_wanted(&self, id: ParticipantId, stream: Stream) -> u32 {
        let source = self.participants.source(id, stream);
        source.map_or(0, Source::rows_wanted)
    }

    /// Who is loudest, said again and again while it lasts, or whenever it changes.
    /// Hold-off and hysteresis are here.
    pub fn handle_speaker(&mut self, now: Nanos, id: ParticipantId) {
        let before = self.speaker.candidate();
        self.speaker.handle(now, id);
        self.changed |= before != self.speaker.candidate();
    }

    /// Lets a receiver in, or changes it; the same again changes nothing. Its first
    /// frame is a key frame.
    ///
    /// # Errors
    /// When there are [`RECEIVERS_MAX`] already.
    pub fn set_receiver(
        &mut self,
        now: Nanos,
        id: ReceiverId,
        receiver: Receiver,
    ) -> Result<(), StageFull> {
        let Some(viewer) = self.viewers.get_mut(&id) else {
            if self.viewers.len() >= RECEIVERS_MAX {
                return Err(StageFull);
            }
            let viewer = Viewer {
                receiver,
                allowance: Allowance::new(now, receiver.bit_rate_bps),
                asks: 0,
                asks_since: now,
                alone_until: None,
            };
            self.viewers.insert(id, viewer);
            self.changed = true;
            return Ok(());
        };
        let class = viewer.allowance.class();
        viewer.allowance.update(now, receiver.bit_rate_bps);
        let same = Receiver {
            bit_rate_bps: receiver.bit_rate_bps,
            ..viewer.receiver
        };
        self.changed |= same != receiver || viewer.allowance.class() != class;
        viewer.receiver = receiver;
        let bit_rate_bps = viewer.bit_rate_bps();
        for group in &mut self.groups {
            group.set_bit_rate(id, bit_rate_bps);
        }
        Ok(())
    }

    /// Puts a receiver out; `false` where there is none of this number.
    pub fn remove_receiver(&mut self, id: ReceiverId) -> bool {
        let known = self.viewers.remove(&id).is_some();
        for group in &mut self.groups {
            group.forget(id);
        }
        self.changed |= known;
        known
    }

    /// A receiver's decoder has lost its way. One key frame serves all who share
    /// the encoder, and they are not made more often than a rate allows; who keeps
    /// asking gets an encoder of its own.
    pub fn request_key_frame(&mut self, now: Nanos, id: ReceiverId) {
        let Some(viewer) = self.viewers.get_mut(&id) else {
            return;
        };
        let Some(group) = self.groups.iter_mut().find(|group| group.has(id)) else {
            return;
        };
        group.want_key_frame();
        if group.keeps_waiting(id) {
            return;
        }
        if now.since(viewer.asks_since) >= ASKS_WINDOW {
            (viewer.asks, viewer.asks_since) = (0, now);
        }
        viewer.asks += 1;
        if viewer.asks > ASKS_MAX && (group.is_shared() || viewer.is_alone(now)) {
            viewer.alone_until = Some(now + ALONE_FOR);
            self.changed = true;
        }
    }

    /// When [`Self::tick`] is due; `None` while there is nothing to send.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Nanos> {
        if self.changed || self.fresh && self.groups.iter().any(Group::is_idle) {
            return Some(Nanos::ZERO);
        }
        let frames = self.groups.iter().map(Group::next_due);
        let requests = self.participants.sources();
        let requests = requests.filter_map(|(_, source)| source.next_key_request());
        frames.chain(requests).min()
    }

    /// Composes, encodes and hands out what is due. Early is allowed, and does
    /// nothing; late skips pictures rather than sending a burst.
    pub fn tick(&mut self, now: Nanos, sink: &mut impl Sink) {
        self.stats.ticks += 1;
        if self.speaker.poll(now, self.policy.speaker_hold) {
            if let Some(id) = self.speaker.current() {
                self.participants.note_speaker(id);
            }
            self.stats.speaker_changes += 1;
            self.changed = true;
        }
        if self.is_plan_stale(now) {
            self.plan(now);
        }
        for ((id, stream), source) in self.participants.sources_mut() {
            if source.take_key_request(now) {
                self.stats.key_frame_requests += 1;
                sink.request_key_frame(id, stream);
            }
        }
        self.draw_and_encode(now, sink);
    }

    /// Totals since the stage began.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let seatings: BTreeSet<_> = self.canvases.keys().map(|(seating, _)| seating).collect();
        Stats {
            views: seatings.len(),
            encoders: self.groups.iter().filter(|group| group.encodes()).count(),
            decoders: self
                .participants
                .sources()
                .filter(|(_, source)| source.is_decoded())
                .count(),
            ..self.stats
        }
    }

    fn source_facts(&self, now: Nanos) -> impl Iterator<Item = SourceFacts> {
        self.participants
            .sources()
            .map(move |((id, stream), source)| SourceFacts {
                id,
                stream,
                live: source.is_live(now),
                may_be_shown: source.may_be_shown(now),
                fast: source.is_fast(),
                size: source.size(),
            })
    }

    fn is_plan_stale(&self, now: Nanos) -> bool {
        self.changed
            || now.since(self.planned_at) >= REVIEW
            || !self.source_facts(now).eq(self.planned_from.iter().copied())
    }

    /// Decides anew who sees what, and through which encoder.
    fn plan(&mut self, now: Nanos) {
        self.changed = false;
        self.planned_at = now;
        let content = self.content.is_some();
        let facts = Facts {
            now,
            policy: &self.policy,
            participants: &self.participants,
            content: self.content,
            next_speaker: self.speaker.candidate(),
        };
        let (policy, thrift) = (&self.policy, self.thrift);
        let asks = |Viewer { receiver, .. }: &Viewer| {
            let kind = Kind::of(receiver, policy, content);
            (kind, receiver.participant)
        };
        let viewers = self.viewers.values();
        let active = viewers.filter(|viewer| !viewer.receiver.paused);
        let plan = self.planner.plan(&facts, active.clone().map(asks));
        let rows = plan.rows(active.map(|viewer| {
            let best = format_for(viewer, Rung::MOST, false, policy, thrift);
            (asks(viewer), best.rung.dimensions().1)
        }));
        for (key, source) in self.participants.sources_mut() {
            source.set_wanted(now, plan.wanted.contains(&key));
            source.want_rows(rows.get(&key).copied().unwrap_or(0));
            source.expire(now);
        }
        self.planned_from = self.source_facts(now).collect();

        let mut demands: BTreeMap<Key, Vec<Member>> = BTreeMap::new();
        for (&id, viewer) in &mut self.viewers {
            viewer.allowance.update(now, viewer.receiver.bit_rate_bps);
            let receiver = &viewer.receiver;
            let kind = Kind::of(receiver, &self.policy, content);
            let shown = plan.shown.get(&(kind, receiver.participant));
            let Some(shown) = shown.filter(|_| !receiver.paused) else {
                continue;
            };
            let key = Key {
                alone: viewer.is_alone(now).then_some(id),
                ..key_for(viewer, shown, &self.policy, self.thrift)
            };
            let high = matches!(
                receiver.profile,
                H264Profile::High | H264Profile::ConstrainedHigh
            );
            let member = Member {
                id,
                high: high && receiver.codec == VideoCodec::H264,
                bit_rate_bps: viewer.bit_rate_bps(),
            };
            demands.entry(key).or_default().push(member);
        }
        self.groups = assign(now, std::mem::take(&mut self.groups), demands);
        self.assign_canvases();
    }

    /// Gives each view at each size a canvas: the one it has, else one of this size
    /// that nobody needs any more, else a new one.
    fn assign_canvases(&mut self) {
        let mut old = std::mem::take(&mut self.canvases);
        let keys = self.groups.iter().map(Group::key);
        let keys: Vec<CanvasKey> = keys.map(|key| (key.seating.clone(), key.size())).collect();
        let mut missing = Vec::new();
        for key in keys {
            if self.canvases.contains_key(&key) || missing.contains(&key) {
                continue;
            }
            match old.remove(&key) {
                Some(canvas) => drop(self.canvases.insert(key, canvas)),
                None => missing.push(key),
            }
        }
        for key in missing {
            let free = old.keys().find(|(_, size)| *size == key.1).cloned();
            let canvas = match free.and_then(|free| old.remove(&free)) {
                Some(mut canvas) => {
                    canvas.set_seating(&key.0);
                    canvas
                }
                None => Canvas::new(key.0.clone(), key.1),
            };
            self.canvases.insert(key, canvas);
        }
    }

    fn draw_and_encode(&mut self, now: Nanos, sink: &mut impl Sink) {
        let message = self.policy.message.as_ref();
        let message = message.filter(|message| message.until.is_none_or(|until| now < until));
        let mut drawn = BTreeSet::new();
        let mut any = false;
        let fresh = std::mem::take(&mut self.fresh);
        for group in &mut self.groups {
            if group.next_due() > now && !(fresh && group.is_idle()) {
                continue;
            }
            any = true;
            let key = (group.key().seating.clone(), group.key().size());
            let Some(canvas) = self.canvases.get_mut(&key) else {
                continue;
            };
            if drawn.insert(key) {
                canvas.draw(&mut Scene {
                    now,
                    policy: &self.policy,
                    look: self.look,
                    message,
                    participants: &mut self.participants,
                    pens: &mut self.pens,
                    profile: &self.profile,
                    stats: &mut self.stats,
                });
            }
            let mut work = Work {
                codecs: &mut *self.codecs,
                profile: &self.profile,
                stats: &mut self.stats,
                data: &mut self.data,
                receivers: &mut self.receivers,
            };
            group.tick(now, canvas, &mut work, sink);
        }
        if any {
            for (_, source) in self.participants.sources_mut() {
                source.forget_unused_sizes();
            }
        }
    }
}

/// What a viewer gets of sources that are worth `need`; `fast` ones have more than 30
/// pictures a second.
fn format_for(
    viewer: &Viewer,
    need: Rung,
    fast: bool,
    policy: &ConferencePolicy,
    thrift: Thrift,
) -> Format {
    let receiver = &viewer.receiver;
    let content = receiver.wants == Wants::Content;
    let frame_rate_max_hz = receiver.frame_rate_max_hz.min(policy.frame_rate_max_hz);
    let thrifty = thrift >= Thrift::Size && !content;
    let bounds = Bounds {
        limits: receiver.limits,
        width_max: receiver.width_max,
        height_max: if thrifty {
            receiver.height_max.min(THRIFTY_HEIGHT)
        } else {
            receiver.height_max
        },
        frame_rate_max_hz: if fast && thrift < Thrift::Motion {
            frame_rate_max_hz
        } else {
            frame_rate_max_hz.min(THRIFTY_FRAME_RATE_HZ)
        },
        need,
        content,
    };
    Format::choose(viewer.allowance.class(), &bounds)
}

/// By what a viewer shares.
fn key_for(viewer: &Viewer, shown: &Shown, policy: &ConferencePolicy, thrift: Thrift) -> Key {
    let receiver = &viewer.receiver;
    Key {
        seating: shown.seating.clone(),
        codec: receiver.codec as u8,
        slice_bytes_max: receiver.slice_bytes_max,
        content: receiver.wants == Wants::Content,
        format: format_for(viewer, shown.need, shown.fast, policy, thrift),
        alone: None,
    }
}
