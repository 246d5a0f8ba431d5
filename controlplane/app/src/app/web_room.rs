//! What people in browsers do in a call.

use std::net::IpAddr;

use plenum_model::{CallId, CallLegConfiguration, CallLegId, CallLegPatch, DialOut, Field, Layout};

use super::App;
use crate::web::{CHAT_CHARS_MAX, WebBye, WebChat, WebError, WebMessage, WebRequest};
use crate::world::World;

/// Longest mark by which a sender knows its words again, bytes.
const CHAT_ID_MAX: usize = 64;

impl App {
    /// A participant in a browser asks for something.
    ///
    /// # Errors
    /// [`WebError`]; nothing was changed.
    pub fn web_request(
        &mut self,
        id: CallLegId,
        request: WebRequest,
        world: &mut World<'_>,
    ) -> Result<(), WebError> {
        let leg = self.legs.get(&id).filter(|leg| leg.web.is_some());
        let call = leg.ok_or(WebError::Gone)?.call;
        let allowed = self.config.web;
        let only_if = |allowed: bool| allowed.then_some(()).ok_or(WebError::NotAllowed);
        match request {
            WebRequest::Offer { sdp } => self.web_offer(id, &sdp, world),
            WebRequest::Candidate { candidate, ufrag } => {
                self.web_candidate(id, &candidate, ufrag.as_deref(), world)
            }
            WebRequest::Mute { audio, video } => {
                let keep = |wish: Option<bool>| wish.map_or(Field::Keep, Field::Set);
                let patch = CallLegPatch {
                    rx_audio_mute: keep(audio),
                    rx_video_mute: keep(video),
                    ..CallLegPatch::default()
                };
                self.change_by(id, Some(id), patch, world);
                Ok(())
            }
            WebRequest::MuteOther { participant, audio } => {
                only_if(allowed.moderate)?;
                self.member(call, participant)?;
                self.mute_by(id, participant, audio, world);
                Ok(())
            }
            WebRequest::MuteAll => {
                only_if(allowed.moderate)?;
                for other in self.legs_of(call) {
                    if other != id {
                        self.mute_by(id, other, true, world);
                    }
                }
                Ok(())
            }
            WebRequest::Layout(layout) => {
                self.choose_layout(id, layout, world);
                Ok(())
            }
            WebRequest::Content { sharing } => {
                only_if(allowed.share)?;
                self.share(id, call, sharing, world);
                Ok(())
            }
            WebRequest::RaiseHand { raised } => {
                if let Some(leg) = self.legs.get_mut(&id)
                    && let Some(web) = leg.web.as_deref_mut()
                {
                    web.hand_raised = raised;
                }
                self.changed(call, world.now.monotonic);
                self.save(id, world);
                Ok(())
            }
            WebRequest::Chat {
                id: chat_id,
                text,
                to,
            } => {
                only_if(allowed.chat)?;
                self.chat(id, call, chat_id, text, to, world)
            }
            WebRequest::Remove { participant } => {
                only_if(allowed.moderate)?;
                self.member(call, participant)?;
                self.drop_leg(participant, "removed by a participant", world);
                Ok(())
            }
            WebRequest::Leave => {
                self.drop_leg_with(id, "left", WebBye::Left, world);
                Ok(())
            }
        }
    }

    /// Whether a participant in a browser may have others called.
    ///
    /// # Errors
    /// [`WebError::Gone`], [`WebError::NotAllowed`].
    pub fn web_may_dial(&self, by: CallLegId) -> Result<CallId, WebError> {
        let leg = self.legs.get(&by).filter(|leg| leg.web.is_some());
        let call = leg.ok_or(WebError::Gone)?.call;
        let may = self.config.web.dial;
        may.then_some(call).ok_or(WebError::NotAllowed)
    }

    /// Calls somebody into the call of a participant in a browser; see
    /// [`App::dial_out`].
    ///
    /// # Errors
    /// [`WebError`]; nothing was begun.
    pub fn web_dial(
        &mut self,
        leg: CallLegId,
        by: CallLegId,
        wanted: DialOut,
        local_ip: IpAddr,
        world: &mut World<'_>,
    ) -> Result<(), WebError> {
        let call = self.web_may_dial(by)?;
        let dialled = self.dial_out(leg, call, wanted, local_ip, world);
        dialled.map_err(|_| WebError::Full)
    }

    fn member(&self, call: CallId, participant: CallLegId) -> Result<(), WebError> {
        let leg = self.legs.get(&participant);
        let is_there = leg.is_some_and(|leg| leg.call == call);
        is_there.then_some(()).ok_or(WebError::NoSuchParticipant)
    }

    fn mute_by(&mut self, by: CallLegId, whom: CallLegId, audio: bool, world: &mut World<'_>) {
        let patch = CallLegPatch {
            rx_audio_mute: Field::Set(audio),
            ..CallLegPatch::default()
        };
        self.change_by(whom, Some(by), patch, world);
    }

    fn choose_layout(&mut self, id: CallLegId, layout: Layout, world: &mut World<'_>) {
        let patch = CallLegPatch {
            chosen_layout: Field::Set(layout),
            ..CallLegPatch::default()
        };
        self.change_by(id, Some(id), patch, world);
    }

    /// Tells a browser what was changed for it: to the one who did it as an
    /// acknowledgement, to others so that what they see is true.
    pub(super) fn web_changed(
        &self,
        id: CallLegId,
        by: Option<CallLegId>,
        before: &CallLegConfiguration,
        world: &mut World<'_>,
    ) {
        let Some(leg) = self.legs.get(&id) else {
            return;
        };
        let now = &leg.configuration;
        let mutes = |configuration: &CallLegConfiguration| {
            let is_on = |mute: Option<bool>| mute == Some(true);
            let CallLegConfiguration {
                rx_audio_mute,
                rx_video_mute,
                ..
            } = configuration;
            (is_on(*rx_audio_mute), is_on(*rx_video_mute))
        };
        let by_other = by != Some(id);
        if mutes(now) != mutes(before) || !by_other {
            let (audio, video) = mutes(now);
            let muted = WebMessage::Muted {
                audio,
                video,
                by_other,
            };
            self.web_tell(id, muted, world);
        }
        if now.chosen_layout != before.chosen_layout || now.default_layout != before.default_layout
        {
            self.web_tell(id, WebMessage::Layout(self.layout_of(id)), world);
        }
    }

    /// One screen at a time: who shares takes over.
    fn share(&mut self, id: CallLegId, call: CallId, sharing: bool, world: &mut World<'_>) {
        let now = world.now.monotonic;
        let Some(running) = self.call_mut(call) else {
            return;
        };
        let before = running.room.sharer;
        match sharing {
            true => running.room.sharer = Some(id),
            false if before == Some(id) => running.room.sharer = None,
            // Another took over meanwhile.
            false => return,
        }
        self.changed(call, now);
        for whose in before.into_iter().chain([id]) {
            self.remute_video(whose, world);
            self.save(whose, world);
        }
        if let Some(running) = self.call(call) {
            let content = WebMessage::Content(self.sharer(running));
            self.web_tell_all(call, &content, world);
        }
    }

    fn chat(
        &mut self,
        from: CallLegId,
        call: CallId,
        chat_id: String,
        text: String,
        to: Option<CallLegId>,
        world: &mut World<'_>,
    ) -> Result<(), WebError> {
        let is_text = !text.trim().is_empty() && text.chars().count() <= CHAT_CHARS_MAX;
        if !is_text || chat_id.len() > CHAT_ID_MAX {
            return Err(WebError::Invalid);
        }
        if let Some(to) = to {
            self.member(call, to)?;
        }
        let name = self.legs.get(&from).map(|leg| leg.summary().name);
        let chat = WebChat {
            id: chat_id,
            from,
            name: name.unwrap_or_default(),
            text,
            to,
            at_unix_ms: world.now.unix_ms,
        };
        match chat.to {
            None => self.web_tell_all(call, &WebMessage::Chat(chat.clone()), world),
            Some(to) => {
                self.web_tell(from, WebMessage::Chat(chat.clone()), world);
                if to != from {
                    self.web_tell(to, WebMessage::Chat(chat.clone()), world);
                }
            }
        }
        if let Some(call) = self.call_mut(call) {
            call.room.said(chat);
        }
        Ok(())
    }

    /// A call has a new loudest speaker, by the slot of its leg.
    pub(super) fn web_speaker(
        &mut self,
        conference: crate::Place,
        slot: u64,
        world: &mut World<'_>,
    ) {
        let call = self
            .calls
            .values()
            .find(|call| call.place == conference && call.web_legs > 0);
        let Some(call) = call else {
            return;
        };
        let id = call.id;
        let speaker = self
            .members(call)
            .find(|leg| u64::from(leg.place.slot) == slot)
            .map(|leg| leg.id);
        if let Some(call) = self.call_mut(id)
            && call.room.speaker != speaker
        {
            call.room.speaker = speaker;
            self.web_tell_all(id, &WebMessage::Speaker(speaker), world);
        }
    }
}
