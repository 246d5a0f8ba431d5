//! The active speaker: the loudest, slow to change.
//!
//! A newcomer must stay the loudest for [`CONFIRM`], so that a cough moves nothing;
//! then it becomes the active speaker at once, unless the last change was less than
//! the hold-off ago: then when that is over, if it still is the loudest.
//!
//! A candidate is told before it is confirmed, so that its picture can be got ready
//! meanwhile.

use std::time::Duration;

use plenum_abi::Nanos;

use crate::ParticipantId;

/// How long a newcomer must be the loudest.
pub(crate) const CONFIRM: Duration = Duration::from_millis(200);

#[derive(Debug, Default)]
pub(crate) struct ActiveSpeaker {
    current: Option<ParticipantId>,
    changed_at: Option<Nanos>,
    candidate: Option<(ParticipantId, Nanos)>,
}

impl ActiveSpeaker {
    /// Who it is; the last one while nobody speaks.
    pub(crate) const fn current(&self) -> Option<ParticipantId> {
        self.current
    }

    /// Who may soon be it.
    pub(crate) fn candidate(&self) -> Option<ParticipantId> {
        self.candidate.map(|(id, _)| id)
    }

    /// `loudest` is the loudest from `now` on.
    pub(crate) fn handle(&mut self, now: Nanos, loudest: ParticipantId) {
        if self.current == Some(loudest) {
            self.candidate = None;
        } else if self.candidate() != Some(loudest) {
            self.candidate = Some((loudest, now));
        }
    }

    /// Lets time pass. `true` when the active speaker has changed.
    pub(crate) fn poll(&mut self, now: Nanos, hold: Duration) -> bool {
        let Some((id, since)) = self.candidate else {
            return false;
        };
        if self.due(since, hold) > now {
            return false;
        }
        self.current = Some(id);
        self.changed_at = Some(now);
        self.candidate = None;
        true
    }

    /// When a candidate of `since` may take over. There is nobody to take over
    /// from at first.
    fn due(&self, since: Nanos, hold: Duration) -> Nanos {
        match self.changed_at {
            Some(changed) if self.current.is_some() => (since + CONFIRM).max(changed + hold),
            _ => since,
        }
    }

    /// It has left.
    pub(crate) fn forget(&mut self, id: ParticipantId) {
        if self.current == Some(id) {
            self.current = None;
        }
        if self.candidate() == Some(id) {
            self.candidate = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOLD: Duration = Duration::from_secs(3);
    const A: ParticipantId = ParticipantId(1);
    const B: ParticipantId = ParticipantId(2);
    const C: ParticipantId = ParticipantId(3);

    /// Each millisecond the loudest is said; the milliseconds of changes.
    fn changes(millis: u64, loudest: impl Fn(u64) -> Option<ParticipantId>) -> Vec<(u64, u32)> {
        let mut speaker = ActiveSpeaker::default();
        (0..millis)
            .filter_map(|ms| {
                let now = Nanos::from_millis(ms);
                if let Some(id) = loudest(ms) {
                    speaker.handle(now, id);
                }
                let changed = speaker.poll(now, HOLD);
                changed.then(|| (ms, speaker.current().expect("a speaker").0))
            })
            .collect()
    }

    #[test]
    fn the_first_to_speak_is_it_at_once() {
        assert_eq!(changes(1_000, |ms| (ms >= 10).then_some(A)), [(10, 1)]);
    }

    #[test]
    fn a_change_takes_a_fifth_of_a_second_and_then_the_hold_off() {
        let turns = |ms| {
            Some(match ms {
                0..5_000 => A,
                5_000..6_000 => B,
                6_000..20_000 => C,
                _ => A,
            })
        };
        let expected = [(0, 1), (5_200, 2), (8_200, 3), (20_200, 1)];
        assert_eq!(changes(30_000, turns), expected);
    }

    #[test]
    fn it_need_be_said_only_when_it_changes() {
        let once = |ms| (ms == 0).then_some(A).or((ms == 4_000).then_some(B));
        assert_eq!(changes(10_000, once), [(0, 1), (4_200, 2)]);
    }

    #[test]
    fn a_cough_and_a_quarrel_move_little() {
        let cough = |ms| Some(if ms % 5_000 > 4_810 { B } else { A });
        assert_eq!(changes(60_000, cough), [(0, 1)]);
        let quarrel = |ms| Some(if ms / 700 % 2 == 0 { A } else { B });
        let changes = changes(60_000, quarrel);
        assert!(changes.len() > 10);
        for pair in changes.windows(2) {
            assert!(pair[1].0 - pair[0].0 >= 3_000, "{changes:?}");
        }
    }

    #[test]
    fn who_has_left_is_not_waited_for() {
        let mut speaker = ActiveSpeaker::default();
        speaker.handle(Nanos::ZERO, A);
        assert!(speaker.poll(Nanos::ZERO, HOLD));
        speaker.handle(Nanos::ZERO, B);
        speaker.forget(B);
        assert_eq!(speaker.candidate(), None);
        speaker.forget(A);
        assert_eq!(speaker.current(), None);
        speaker.handle(Nanos::from_millis(1), C);
        assert!(
            speaker.poll(Nanos::from_millis(1), HOLD),
            "nobody to wait for"
        );
    }
}
