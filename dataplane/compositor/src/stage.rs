//! The pictures of one conference as its caller sees them.

use plenum_abi::Nanos;

use crate::{
    AccessUnit, Codecs, ConferencePolicy, Participant, ParticipantId, Receiver, ReceiverId, Sink,
    Stats, Stream,
};

/// There are as many participants or receivers as there may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StageFull;

impl core::fmt::Display for StageFull {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the stage is full")
    }
}

impl core::error::Error for StageFull {}

/// The pictures of one conference. See the crate.
pub struct Stage {
    policy: ConferencePolicy,
    codecs: Box<dyn Codecs>,
    clock: Option<Box<dyn Fn() -> Nanos>>,
    stats: Stats,
}

impl Stage {
    /// Nobody yet. `codecs` is [`LibraryCodecs`](crate::LibraryCodecs) but in tests.
    #[must_use]
    pub fn new(policy: ConferencePolicy, codecs: Box<dyn Codecs>) -> Self {
        Self {
            policy,
            codecs,
            clock: None,
            stats: Stats::default(),
        }
    }

    /// Where [`Stats::spent`] takes its time from. Decides nothing.
    pub fn set_profile_clock(&mut self, clock: Box<dyn Fn() -> Nanos>) {
        self.clock = Some(clock);
    }

    /// Shows by another policy from the next tick on.
    pub fn set_policy(&mut self, policy: ConferencePolicy) {
        self.policy = policy;
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
        let _ = (id, participant);
        Ok(())
    }

    /// Puts a participant out; `false` where there is none of this number. Its
    /// receivers stay until they are removed.
    pub fn remove_participant(&mut self, id: ParticipantId) -> bool {
        let _ = id;
        false
    }

    /// Whose [`Stream::Content`] is shown; `None` for nobody's.
    pub fn set_content(&mut self, id: Option<ParticipantId>) {
        let _ = id;
    }

    /// Takes what a participant sent. Decoded if somebody sees it, dropped if not.
    pub fn handle_access_unit(
        &mut self,
        now: Nanos,
        id: ParticipantId,
        stream: Stream,
        unit: &AccessUnit<'_>,
    ) {
        let _ = (now, id, stream, unit);
    }

    /// Who is loudest, said again and again while it lasts, or whenever it changes.
    /// Hold-off and hysteresis are here.
    pub fn handle_speaker(&mut self, now: Nanos, id: ParticipantId) {
        let _ = (now, id);
    }

    /// Lets a receiver in, or changes it; the same again changes nothing. Its first
    /// frame is a key frame.
    ///
    /// # Errors
    /// When there are [`RECEIVERS_MAX`](crate::RECEIVERS_MAX) already.
    pub fn set_receiver(
        &mut self,
        now: Nanos,
        id: ReceiverId,
        receiver: Receiver,
    ) -> Result<(), StageFull> {
        let _ = (now, id, receiver);
        Ok(())
    }

    /// Puts a receiver out; `false` where there is none of this number.
    pub fn remove_receiver(&mut self, id: ReceiverId) -> bool {
        let _ = id;
        false
    }

    /// A receiver's decoder has lost its way. One key frame serves all who share
    /// the encoder, and they are not made more often than a rate allows; who keeps
    /// asking gets an encoder of its own.
    pub fn request_key_frame(&mut self, now: Nanos, id: ReceiverId) {
        let _ = (now, id);
    }

    /// When [`Self::tick`] is due; `None` while there is nothing to send.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Nanos> {
        None
    }

    /// Composes, encodes and hands out what is due. Early is allowed, and does
    /// nothing; late skips pictures rather than sending a burst.
    pub fn tick(&mut self, now: Nanos, sink: &mut impl Sink) {
        let _ = (now, sink, &self.codecs, &self.clock);
    }

    /// Totals since the stage began.
    #[must_use]
    pub const fn stats(&self) -> Stats {
        self.stats
    }
}
