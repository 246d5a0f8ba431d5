//! Everybody in the conference, with what they send.

use std::collections::BTreeMap;
use std::rc::Rc;

use plenum_abi::Nanos;

use crate::pens::{CARD_COLORS, cut, favourite_color};
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
    /// Of its card, for as long as it stays.
    color: usize,
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
        let color = known.map(|person| person.color);
        let color = color.unwrap_or_else(|| self.free_color(&info.label));
        self.revisions += 1;
        let person = Person {
            name: Rc::new(cut(&info.label, LABEL_BYTES_MAX).to_owned()),
            revision: self.revisions,
            spoke: known.map_or(0, |person| person.spoke),
            color,
            info,
        };
        self.people.insert(id, person);
        Ok(true)
    }

    /// A colour that the fewest have: of those, the one that belongs to the name, or the
    /// next.
    fn free_color(&self, label: &str) -> usize {
        let mut owners = [0_u32; CARD_COLORS];
        for person in self.people.values() {
            owners[person.color] += 1;
        }
        let favourite = favourite_color(label);
        let nearest = (0..CARD_COLORS).map(|step| (favourite + step) % CARD_COLORS);
        nearest.min_by_key(|&color| owners[color]).unwrap_or(0)
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

    /// Of its card; below [`CARD_COLORS`].
    pub(crate) fn card_color(&self, id: ParticipantId) -> usize {
        self.people.get(&id).map_or(0, |person| person.color)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn join(people: &mut Participants, n: u32, label: &str) -> usize {
        let info = Participant {
            label: label.to_owned(),
            ..Participant::default()
        };
        people.set(ParticipantId(n), info).expect("room");
        people.card_color(ParticipantId(n))
    }

    #[test]
    fn cards_differ_in_colour_while_there_are_enough() {
        let mut people = Participants::default();
        // All would like the same.
        let colors: Vec<usize> = (0..20).map(|n| join(&mut people, n, "Ann")).collect();
        assert_eq!(colors[0], favourite_color("Ann"));
        for some in colors.chunks(CARD_COLORS) {
            let mut some = some.to_vec();
            some.sort_unstable();
            assert!(some.into_iter().eq(0..CARD_COLORS));
        }
    }

    #[test]
    fn a_colour_stays_with_its_owner_and_is_free_after_that() {
        let mut people = Participants::default();
        let first = join(&mut people, 1, "Ann");
        let second = join(&mut people, 2, "Ann");
        assert_ne!(first, second);
        assert_eq!(join(&mut people, 2, "Ben"), second, "a new name");
        people.remove(ParticipantId(1));
        assert_eq!(people.card_color(ParticipantId(2)), second);
        assert_eq!(join(&mut people, 3, "Ann"), first);
    }
}
