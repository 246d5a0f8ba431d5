//! Everybody in the conference, with what they send.

use std::collections::BTreeMap;
use std::rc::Rc;

use plenum_abi::Nanos;

use crate::pens::cut;
use crate::seating::{Candidate, Candidates};
use crate::source::Source;
use crate::{LABEL_BYTES_MAX, PARTICIPANTS_MAX, Participant, ParticipantId, StageFull, Stream};

struct Person {
    info: Participant,
    /// The label, cut to what counts.
    name: Rc<String>,
    /// Changes when anything of it does, and is never the same for another person.
    revision: u64,
    /// See [`Candidate::spoke`].
    spoke: u64,
}

/// Everybody in the conference.
#[derive(Default)]
pub(crate) struct Participants {
    people: BTreeMap<ParticipantId, Person>,
    sources: BTreeMap<(ParticipantId, Stream), Source>,
    revisions: u64,
    spoken: u64,
}

impl Participants {
    /// `true` when something has changed.
    pub(crate) fn set(&mut self, id: ParticipantId, info: Participant) -> Result<bool, StageFull> {
        let known = self.people.get(&id);
        if known.is_some_and(|person| person.info == info) {
            return Ok(false);
        }
        if known.is_none() && self.people.len() >= PARTICIPANTS_MAX {
            return Err(StageFull);
        }
        self.revisions += 1;
        let person = Person {
            name: Rc::new(cut(&info.label, LABEL_BYTES_MAX).to_owned()),
            revision: self.revisions,
            spoke: known.map_or(0, |person| person.spoke),
            info,
        };
        self.people.insert(id, person);
        Ok(true)
    }

    /// `false` where there is none of this number.
    pub(crate) fn remove(&mut self, id: ParticipantId) -> bool {
        self.sources.remove(&(id, Stream::Main));
        self.sources.remove(&(id, Stream::Content));
        self.people.remove(&id).is_some()
    }

    /// The stream of somebody who is here, made when it is first asked for.
    pub(crate) fn source_or_new(
        &mut self,
        id: ParticipantId,
        stream: Stream,
    ) -> Option<&mut Source> {
        self.people
            .contains_key(&id)
            .then(|| self.sources.entry((id, stream)).or_default())
    }

    pub(crate) fn source(&self, id: ParticipantId, stream: Stream) -> Option<&Source> {
        self.sources.get(&(id, stream))
    }

    pub(crate) fn source_mut(&mut self, id: ParticipantId, stream: Stream) -> Option<&mut Source> {
        self.sources.get_mut(&(id, stream))
    }

    pub(crate) fn sources(&self) -> impl Iterator<Item = ((ParticipantId, Stream), &Source)> {
        self.sources.iter().map(|(key, source)| (*key, source))
    }

    pub(crate) fn sources_mut(
        &mut self,
    ) -> impl Iterator<Item = ((ParticipantId, Stream), &mut Source)> {
        self.sources.iter_mut().map(|(key, source)| (*key, source))
    }

    /// What is written on its pane; empty for a stranger.
    pub(crate) fn name(&self, id: ParticipantId) -> Rc<String> {
        self.people
            .get(&id)
            .map(|person| Rc::clone(&person.name))
            .unwrap_or_default()
    }

    pub(crate) fn is_audio_muted(&self, id: ParticipantId) -> bool {
        self.people
            .get(&id)
            .is_some_and(|person| person.info.audio_muted)
    }

    pub(crate) fn revision(&self, id: ParticipantId) -> u64 {
        self.people.get(&id).map_or(0, |person| person.revision)
    }

    pub(crate) fn picture_number(&self, id: ParticipantId, stream: Stream) -> Option<u64> {
        self.source(id, stream).and_then(Source::number)
    }

    /// It became the active speaker.
    pub(crate) fn note_speaker(&mut self, id: ParticipantId) {
        self.spoken += 1;
        if let Some(person) = self.people.get_mut(&id) {
            person.spoke = self.spoken;
        }
    }

    /// Whether there is video of it that may be shown.
    pub(crate) fn sends(&self, id: ParticipantId, now: Nanos) -> bool {
        let live = || {
            self.source(id, Stream::Main)
                .is_some_and(|source| source.is_live(now))
        };
        self.people.get(&id).is_some_and(|person| {
            let Participant {
                sends_video,
                video_muted,
                held,
                ..
            } = person.info;
            sends_video && !video_muted && !held && live()
        })
    }

    /// Those whose video may be seen, as far as `counts` says so.
    pub(crate) fn senders(
        &self,
        now: Nanos,
        counts: impl Fn(ParticipantId, &Source) -> bool,
    ) -> Candidates {
        let counted = |id: ParticipantId| {
            let source = self.source(id, Stream::Main);
            self.sends(id, now) && source.is_some_and(|source| counts(id, source))
        };
        let all = self.people.iter().filter(|(id, _)| counted(**id));
        all.map(|(&id, person)| (id, person.candidate(true)))
            .collect()
    }

    /// Those who send none, and are not on hold.
    pub(crate) fn cards(&self, now: Nanos) -> Candidates {
        let all = self.people.iter();
        let all = all.filter(|(id, person)| !person.info.held && !self.sends(**id, now));
        all.map(|(&id, person)| (id, person.candidate(false)))
            .collect()
    }
}

impl Person {
    const fn candidate(&self, sends: bool) -> Candidate {
        Candidate {
            sends,
            importance: self.info.importance,
            spoke: self.spoke,
        }
    }
}
