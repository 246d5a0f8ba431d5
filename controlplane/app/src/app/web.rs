//! People in browsers come, come back and go.

use std::sync::Arc;

use plenum_model::{CallLegId, Direction, Layout, Space};

use super::incoming::same_text;
use super::{App, Error};
use crate::leg::{Leg, NewLeg, Phase};
use crate::media;
use crate::web::{
    ABSENCE_MAX, NAME_CHARS_MAX, WebBye, WebEnd, WebFound, WebJoin, WebJoined, WebMessage,
    WebRefusal, WebWelcome,
};
use crate::world::{Output, World};

/// What is shown to who did not choose.
const LAYOUT_DEFAULT: Layout = Layout::AllEqual;

impl App {
    /// What a person may know of a space before joining. A link's `secret` has to
    /// be right, if there is one.
    ///
    /// # Errors
    /// [`WebRefusal`].
    pub fn web_lookup(
        &mut self,
        space: &Space,
        secret: Option<&str>,
        peer: std::net::IpAddr,
        world: &World<'_>,
    ) -> Result<WebFound, WebRefusal> {
        if !space.non_member_access {
            return Err(WebRefusal::GuestsNotAllowed);
        }
        if let Some(secret) = secret {
            self.check_secret(space, secret, peer, world)?;
        }
        Ok(WebFound {
            space_name: space.name.clone(),
            // Who has the link needs no passcode.
            passcode_required: space.passcode.is_some() && secret.is_none(),
        })
    }

    /// Wrong tries count, whether they were of a passcode or of a link: who knows
    /// neither must not get more of them by changing between the two.
    fn check_secret(
        &mut self,
        space: &Space,
        given: &str,
        peer: std::net::IpAddr,
        world: &World<'_>,
    ) -> Result<(), WebRefusal> {
        let right = |space: &Space| {
            let secret = space.secret.as_deref();
            secret.is_some_and(|secret| same_text(given, secret))
        };
        self.guarded(peer, right(space), WebRefusal::SecretWrong, world)
    }

    fn guarded(
        &mut self,
        peer: std::net::IpAddr,
        right: bool,
        refusal: WebRefusal,
        world: &World<'_>,
    ) -> Result<(), WebRefusal> {
        let now = world.now.monotonic;
        if !self.guard.allows(peer, now) {
            let retry_after_s = self.guard.retry_after(peer, now).as_secs() + 1;
            return Err(WebRefusal::TooManyTries { retry_after_s });
        }
        if right {
            return Ok(());
        }
        self.guard.wrong(peer, now);
        Err(refusal)
    }

    fn check_web(
        &mut self,
        space: &Space,
        join: &WebJoin,
        world: &World<'_>,
    ) -> Result<(), WebRefusal> {
        if !space.non_member_access {
            return Err(WebRefusal::GuestsNotAllowed);
        }
        if let Some(secret) = &join.secret {
            return self.check_secret(space, secret, join.peer, world);
        }
        let Some(passcode) = &space.passcode else {
            return Ok(());
        };
        let Some(given) = &join.passcode else {
            return Err(WebRefusal::PasscodeRequired);
        };
        let right = same_text(given, passcode);
        self.guarded(join.peer, right, WebRefusal::PasscodeWrong, world)
    }

    /// Lets a person in, as the leg `id`. A socket has to attach within
    /// [`ABSENCE_MAX`].
    ///
    /// # Errors
    /// [`WebRefusal`]; nothing was begun.
    pub fn web_join(
        &mut self,
        id: CallLegId,
        space: &Space,
        join: &WebJoin,
        world: &mut World<'_>,
    ) -> Result<WebJoined, WebRefusal> {
        if let Err(refusal) = self.check_web(space, join, world) {
            tracing::info!(space = %space.id, peer = %join.peer, %refusal, "not let in");
            return Err(refusal);
        }
        if self.is_locked(self.running_call(space.id)) {
            tracing::info!(space = %space.id, peer = %join.peer, "locked out");
            return Err(WebRefusal::Locked);
        }
        let joined = self.web_begin(id, space, join, world);
        joined.map_err(|error| {
            tracing::warn!(space = %space.id, %error, legs = self.legs.len(), "turned away");
            WebRefusal::Full
        })
    }

    fn web_begin(
        &mut self,
        id: CallLegId,
        space: &Space,
        join: &WebJoin,
        world: &mut World<'_>,
    ) -> Result<WebJoined, Error> {
        self.admit(self.running_call(space.id))?;
        let call = self.call_of(space, world)?;
        let place = self.take_leg_place(call, world)?;
        let id_text = id.to_string();
        let domain = &self.config.own_domain;
        let new = NewLeg {
            id,
            call,
            place,
            direction: Direction::Incoming,
            name: join.name.chars().take(NAME_CHARS_MAX).collect(),
            remote_party: format!("guest-{}@{domain}", &id_text[..8]),
            local_address: format!("{}@{domain}", join.address),
            sip_call_id: String::new(),
            local_ip: join.local_ip,
            number: self.number(),
        };
        let mut leg = Leg::new(new, world.now);
        leg.web = Some(Box::new(WebEnd::new(world.now.monotonic)));
        self.insert_leg(leg);
        self.save(id, world);
        tracing::info!(
            leg = %id, call = %call, peer = %join.peer, worker = place.worker, slot = place.slot,
            "participant joins from a browser"
        );
        Ok(WebJoined {
            call,
            space_name: space.name.clone(),
        })
    }

    /// Whether a leg is that of a browser.
    #[must_use]
    pub fn is_web(&self, id: CallLegId) -> bool {
        self.legs.get(&id).is_some_and(|leg| leg.web.is_some())
    }

    /// A socket speaks for a participant now, instead of one before it. `None`
    /// where the participation is over.
    pub fn web_attach(&mut self, id: CallLegId, world: &mut World<'_>) -> Option<WebWelcome> {
        let leg = self.legs.get_mut(&id)?;
        let web = leg.web.as_deref_mut()?;
        let resumed = web.came;
        web.came = true;
        web.absent_since = None;
        if leg.phase != Phase::Connected {
            leg.phase = Phase::Connected;
            leg.connected_unix_ms.get_or_insert(world.now.unix_ms);
        }
        let (call, configuration) = (leg.call, leg.configuration.clone());
        tracing::info!(leg = %id, %call, resumed, "browser is attached");
        self.changed(call, world.now.monotonic);
        self.save(id, world);
        let running = self.call(call)?;
        Some(WebWelcome {
            space_name: running.name.clone(),
            resumed,
            layout: self.layout_of(id),
            audio_muted: configuration.rx_audio_mute == Some(true),
            video_muted: configuration.rx_video_mute == Some(true),
            roster: self.roster(running),
            speaker: running.room.speaker,
            content: self.sharer(running),
            chat: running.room.chat_of(id),
            permissions: self.config.web,
        })
    }

    /// The socket of a participant is gone; it is waited for.
    pub fn web_detached(&mut self, id: CallLegId, world: &mut World<'_>) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        let call = leg.call;
        if let Some(web) = leg.web.as_deref_mut()
            && web.is_attached()
        {
            web.absent_since = Some(world.now.monotonic);
            tracing::info!(leg = %id, "browser is away");
            self.changed(call, world.now.monotonic);
        }
    }

    /// Ends those that were away for too long.
    pub(super) fn web_sweep(&mut self, world: &mut World<'_>) {
        let now = world.now.monotonic;
        let away = |leg: &Leg| {
            let since = leg.web.as_deref().and_then(|web| web.absent_since);
            since.is_some_and(|since| now.since(since) >= ABSENCE_MAX)
        };
        for id in self.legs_where(away) {
            self.drop_leg(id, "the browser did not come back", world);
        }
    }

    /// Says goodbye to a browser; [`Output::Forget`] follows when the leg goes.
    pub(super) fn web_bye(&self, id: CallLegId, bye: WebBye, world: &mut World<'_>) {
        world.out.push(Output::Web {
            leg: id,
            message: WebMessage::Bye(bye),
        });
    }

    /// Tells one participant, if it is in a browser that listens.
    pub(super) fn web_tell(&self, id: CallLegId, message: WebMessage, world: &mut World<'_>) {
        let leg = self.legs.get(&id);
        if leg.is_some_and(Leg::is_attached) {
            world.out.push(Output::Web { leg: id, message });
        }
    }

    /// Tells everybody in a call who is in a browser that listens.
    pub(super) fn web_tell_all(
        &self,
        call: plenum_model::CallId,
        message: &WebMessage,
        world: &mut World<'_>,
    ) {
        let Some(call) = self.call(call).filter(|call| call.web_legs > 0) else {
            return;
        };
        for leg in self.members(call).filter(|leg| leg.is_attached()) {
            world.out.push(Output::Web {
                leg: leg.id,
                message: message.clone(),
            });
        }
    }

    /// The list of participants, in the order of joining. Who has not come yet is
    /// not there.
    pub(super) fn roster(&self, call: &crate::call::Call) -> Arc<[crate::web::WebParticipant]> {
        let sharer = call.room.sharer;
        self.members(call)
            .filter_map(|leg| leg.participant(sharer == Some(leg.id)))
            .collect()
    }

    pub(super) fn sharer(&self, call: &crate::call::Call) -> Option<(CallLegId, String)> {
        let leg = self.legs.get(&call.room.sharer?)?;
        Some((leg.id, leg.summary().name))
    }

    /// Tells the lists that are due.
    pub(super) fn tell_rosters(&mut self, world: &mut World<'_>) {
        let now = world.now.monotonic;
        let due = |number: &&u64| {
            let call = self.calls.get(number);
            call.and_then(|call| call.room.roster_due)
                .is_none_or(|due| due <= now)
        };
        let due: Vec<u64> = self.restless.iter().filter(due).copied().collect();
        for number in due {
            self.restless.remove(&number);
            let Some(call) = self.calls.get_mut(&number) else {
                continue;
            };
            call.room.told(now);
            let id = call.id;
            if let Some(call) = self.call(id).filter(|call| call.web_legs > 0) {
                let roster = self.roster(call);
                self.web_tell_all(id, &WebMessage::Roster(roster), world);
            }
        }
    }

    /// Something that the list of participants shows has changed.
    pub(super) fn changed(&mut self, call: plenum_model::CallId, now: plenum_abi::Nanos) {
        let Some(number) = self.calls_by_id.get(&call).copied() else {
            return;
        };
        if let Some(call) = self.calls.get_mut(&number).filter(|call| call.web_legs > 0) {
            call.room.touch(now);
            self.restless.insert(number);
        }
    }

    /// The view of a leg: what was set for it, else what its space says.
    pub(super) fn layout_of(&self, id: CallLegId) -> Layout {
        let view = |leg: &Leg| {
            let call = || self.call(leg.call)?.look.layout();
            media::layout_of(&leg.configuration).or_else(call)
        };
        let view = self.legs.get(&id).and_then(view);
        view.unwrap_or(LAYOUT_DEFAULT)
    }

    /// Tells those in browsers who follow the call's layout that it is another.
    pub(super) fn web_call_layout(&self, call: plenum_model::CallId, world: &mut World<'_>) {
        let Some(call) = self.call(call) else {
            return;
        };
        for leg in self.members(call) {
            if media::layout_of(&leg.configuration).is_none() {
                let layout = WebMessage::Layout(self.layout_of(leg.id));
                self.web_tell(leg.id, layout, world);
            }
        }
    }
}
