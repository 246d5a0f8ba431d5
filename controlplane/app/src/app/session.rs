//! Offer and answer of a leg, first and later.

use plenum_model::CallLegId;
use plenum_sdp::{Negotiated, NegotiationError, PendingOffer};

use super::{App, EndCause, Refusal, sip_video};
use crate::leg::Phase;
use crate::media;
use crate::world::{Output, World};

impl From<NegotiationError> for Refusal {
    fn from(error: NegotiationError) -> Self {
        Self {
            code: error.status(),
            reason: error.to_string(),
        }
    }
}

/// The leg of an event has ended meanwhile.
fn gone() -> Refusal {
    Refusal {
        code: 481,
        reason: "no such call leg".to_owned(),
    }
}

/// An SDP of ours as if it had never had keys, so that the next one gets new ones.
fn without_keys(sdp: &str) -> String {
    sdp.split_inclusive('\n')
        .filter(|line| !line.starts_with("a=crypto:"))
        .collect()
}

impl App {
    /// Answers the offer of an INVITE.
    pub(super) fn answer_first(
        &mut self,
        id: CallLegId,
        offer: &str,
        world: &mut World<'_>,
    ) -> Result<String, Refusal> {
        self.make_room_for(id, offer, world);
        let leg = self.legs.get(&id).ok_or_else(gone)?;
        let local = self.local_media(leg, world);
        let negotiated = plenum_sdp::answer(offer, &local, &mut world.rng)?;
        Ok(self.agreed(id, negotiated, world))
    }

    /// Our offer, for an INVITE without one or of our own.
    pub(super) fn offer_first(&mut self, id: CallLegId, world: &mut World<'_>) -> String {
        self.make_room(id, world);
        let Some(leg) = self.legs.get(&id) else {
            return String::new();
        };
        let local = self.local_media(leg, world);
        let (sdp, pending) = plenum_sdp::offer(&local, &mut world.rng);
        self.offered(id, &sdp, pending);
        sdp
    }

    /// Our offer for a session that stands. Keys are new with each offer of ours:
    /// should the far end then change its own, both directions begin anew
    /// together and no keystream comes twice.
    fn offer_again(&mut self, id: CallLegId, world: &mut World<'_>) -> Result<String, Refusal> {
        let leg = self.legs.get(&id).ok_or_else(gone)?;
        let local = self.local_media(leg, world);
        let (sdp, pending) = match &leg.local_sdp {
            Some(previous) => {
                let previous = without_keys(previous);
                plenum_sdp::reoffer(&previous, &local, &mut world.rng)?
            }
            None => plenum_sdp::offer(&local, &mut world.rng),
        };
        self.offered(id, &sdp, pending);
        Ok(sdp)
    }

    fn offered(&mut self, id: CallLegId, sdp: &str, pending: PendingOffer) {
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.local_sdp = Some(sdp.to_owned());
            leg.pending = Some(pending);
        }
    }

    /// Keeps what was negotiated and tells the media plane; our SDP.
    fn agreed(&mut self, id: CallLegId, negotiated: Negotiated, world: &mut World<'_>) -> String {
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.local_sdp = Some(negotiated.sdp.clone());
            leg.pending = None;
            leg.rekey_at = None;
        }
        self.set_media(id, negotiated.audio.as_ref(), world);
        self.set_picture(id, negotiated.video.as_ref(), world);
        negotiated.sdp
    }

    fn take_answer(
        &mut self,
        id: CallLegId,
        answer: &str,
        world: &mut World<'_>,
    ) -> Result<(), Refusal> {
        let leg = self.legs.get_mut(&id).ok_or_else(gone)?;
        let Some(pending) = leg.pending.take() else {
            // An answer to nothing changes nothing.
            return Ok(());
        };
        let negotiated = plenum_sdp::accept_answer(&pending, answer)?;
        self.agreed(id, negotiated, world);
        Ok(())
    }

    /// The session stands. `answer` is the far end's answer to our offer.
    pub fn established(&mut self, id: CallLegId, answer: Option<&str>, world: &mut World<'_>) {
        let outcome = match answer {
            Some(answer) => self.take_answer(id, answer, world),
            None => Ok(()),
        };
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        if let Err(refusal) = outcome {
            return self.drop_leg(id, &refusal.reason, world);
        }
        if leg.pending.is_some() {
            return self.drop_leg(id, "our offer was not answered", world);
        }
        leg.phase = Phase::Connected;
        leg.ring_until = None;
        leg.connected_unix_ms.get_or_insert(world.now.unix_ms);
        leg.listening_since = world.now.monotonic;
        let digits = std::mem::take(&mut leg.digits_when_connected);
        leg.sequence.extend(&digits, world.now.monotonic);
        self.busy.insert(leg.number);
        let call = leg.call;
        tracing::info!(leg = %id, %call, "call leg is connected");
        self.changed(call, world.now.monotonic);
        self.save(id, world);
    }

    /// The far end took our INVITE or re-INVITE without SDP and offers.
    pub fn delayed_offer(&mut self, id: CallLegId, offer: &str, world: &mut World<'_>) {
        match self.reoffer(id, Some(offer), world) {
            Ok(sdp) => world.out.push(Output::Acknowledge {
                leg: id,
                sdp: sdp.unwrap_or_default(),
            }),
            Err(refusal) => self.drop_leg(id, &refusal.reason, world),
        }
    }

    /// The far end changes the session; `None` asks for our offer. What comes back
    /// is our SDP.
    ///
    /// # Errors
    /// The session goes on as it was.
    pub fn reoffer(
        &mut self,
        id: CallLegId,
        offer: Option<&str>,
        world: &mut World<'_>,
    ) -> Result<Option<String>, Refusal> {
        if !self.legs.contains_key(&id) {
            return Err(gone());
        }
        let Some(offer) = offer else {
            let sdp = self.offer_again(id, world)?;
            self.save(id, world);
            return Ok(Some(sdp));
        };
        self.make_room_for(id, offer, world);
        let leg = self.legs.get(&id).ok_or_else(gone)?;
        let local = self.local_media(leg, world);
        let negotiated = match &leg.local_sdp {
            Some(previous) => {
                let negotiated = plenum_sdp::reanswer(previous, offer, &local, &mut world.rng)?;
                let reuses = leg.config.as_ref().zip(negotiated.audio.as_ref());
                let reuses =
                    reuses.is_some_and(|(before, audio)| media::would_keep_our_key(before, audio));
                if reuses || sip_video::would_keep_our_key(leg, &negotiated) {
                    let previous = without_keys(previous);
                    plenum_sdp::reanswer(&previous, offer, &local, &mut world.rng)?
                } else {
                    negotiated
                }
            }
            None => plenum_sdp::answer(offer, &local, &mut world.rng)?,
        };
        let sdp = self.agreed(id, negotiated, world);
        if let Some(leg) = self.legs.get(&id) {
            tracing::info!(leg = %id, state = %leg.state(), "session changed by the far end");
        }
        self.save(id, world);
        Ok(Some(sdp))
    }

    /// The far end answered an offer of ours in a session that stands.
    pub fn reoffer_answered(&mut self, id: CallLegId, answer: &str, world: &mut World<'_>) {
        match self.take_answer(id, answer, world) {
            Ok(()) => self.save(id, world),
            // The session goes on as it was; its keys are those of before.
            Err(refusal) => {
                tracing::warn!(leg = %id, reason = refusal.reason, "unusable answer");
            }
        }
    }

    /// An offer of ours was refused; the session goes on as it was.
    pub fn reoffer_failed(&mut self, id: CallLegId, code: u16, world: &mut World<'_>) {
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.pending = None;
            tracing::warn!(leg = %id, code, "the far end refused a change of session");
            if code == 491 {
                leg.rekey_at = Some(world.now.monotonic + super::watch::GLARE_PAUSE);
                self.busy.insert(leg.number);
            }
        }
    }

    /// New keys for a leg, by an offer of ours.
    pub(super) fn rekey(&mut self, id: CallLegId, world: &mut World<'_>) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        leg.rekey_at = None;
        if leg.phase != Phase::Connected || leg.pending.is_some() {
            return;
        }
        match self.offer_again(id, world) {
            Ok(sdp) => {
                tracing::info!(leg = %id, "new keys are offered");
                world.out.push(Output::Reinvite { leg: id, sdp });
            }
            Err(refusal) => self.drop_leg(id, &refusal.reason, world),
        }
    }

    /// The leg is over at the far end, or was never there.
    pub fn ended(&mut self, id: CallLegId, cause: EndCause, world: &mut World<'_>) {
        if self.forget_waiting(id) {
            return;
        }
        if let Some(leg) = self.legs.get(&id) {
            tracing::info!(leg = %id, call = %leg.call, ?cause, "call leg ends");
            self.remove_leg(id, world);
        }
    }

    /// A digit that came by SIP INFO.
    pub fn digit_by_info(&mut self, id: CallLegId, digit: char) {
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.heard_digit(digit);
            tracing::debug!(leg = %id, "digit by INFO");
        }
    }
}
