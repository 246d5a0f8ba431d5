//! What administrators see and do.

use plenum_model::{
    CallId, CallLegId, CallLegPatch, CallLegQuery, CallLegSummary, CallLegView, CallQuery,
    CallSummary, CallView, Page, Space,
};

use super::watch::UNUSED_CALL;
use super::{App, Error};
use crate::call::Call;
use crate::leg::{Leg, Phase};
use crate::media;
use crate::web::WebBye;
use crate::world::{Moment, World};

impl App {
    /// Running calls, oldest first.
    #[must_use]
    pub fn calls(&self, query: CallQuery) -> Page<CallSummary> {
        let all = self.calls.values().map(Call::summary);
        let wanted = all.filter(|call| query.matches(call));
        Page::select(wanted, query.page, |call| call)
    }

    /// One call.
    ///
    /// # Errors
    /// [`Error::NoSuchCall`].
    pub fn call_view(&self, id: CallId, now: Moment) -> Result<CallView, Error> {
        let call = self.call(id).ok_or(Error::NoSuchCall)?;
        Ok(call.view(now))
    }

    /// The call of a space: the one that runs, else a new one, which ends after
    /// five minutes if nobody comes.
    ///
    /// # Errors
    /// [`Error::Busy`].
    pub fn create_call(&mut self, space: &Space, world: &mut World<'_>) -> Result<CallId, Error> {
        let id = self.call_of(space, world)?;
        let until = world.now.monotonic + UNUSED_CALL;
        if let Some(call) = self.call_mut(id)
            && call.legs == 0
        {
            call.unused_until = Some(until);
        }
        Ok(id)
    }

    /// Hangs everybody up.
    ///
    /// # Errors
    /// [`Error::NoSuchCall`].
    pub fn end_call(&mut self, id: CallId, world: &mut World<'_>) -> Result<(), Error> {
        self.call(id).ok_or(Error::NoSuchCall)?;
        for leg in self.legs_of(id) {
            self.drop_leg_with(leg, "the meeting was ended", WebBye::Ended, world);
        }
        self.remove_call(id, world);
        Ok(())
    }

    /// Hangs everybody up in every call: the server ends.
    pub fn stop(&mut self, world: &mut World<'_>) {
        let all: Vec<CallLegId> = self.order.values().copied().collect();
        for leg in all {
            self.drop_leg_with(leg, "the server stops", WebBye::ServerStops, world);
        }
    }

    pub(super) fn legs_of(&self, call: CallId) -> Vec<CallLegId> {
        let call = self.call(call);
        let legs = call.into_iter().flat_map(|call| self.members(call));
        legs.map(|leg| leg.id).collect()
    }

    /// Legs of a call, in the order of joining.
    pub(super) fn members<'a>(&'a self, call: &'a Call) -> impl Iterator<Item = &'a Leg> {
        let ids = call
            .members
            .iter()
            .filter_map(|number| self.order.get(number));
        ids.filter_map(|id| self.legs.get(id))
    }

    fn in_order(&self) -> impl Iterator<Item = &Leg> {
        self.order.values().filter_map(|id| self.legs.get(id))
    }

    /// Call legs, oldest first.
    ///
    /// # Errors
    /// [`Error::NoSuchCall`] where the query names one that does not run.
    pub fn call_legs(&self, query: &CallLegQuery) -> Result<Page<CallLegSummary>, Error> {
        if let Some(call) = query.call {
            self.call(call).ok_or(Error::NoSuchCall)?;
        }
        let wanted = self
            .in_order()
            .map(Leg::summary)
            .filter(|leg| query.matches(leg));
        Ok(Page::select(wanted, query.page, |leg| leg))
    }

    /// One call leg.
    ///
    /// # Errors
    /// [`Error::NoSuchCallLeg`].
    pub fn call_leg(&self, id: CallLegId, now: Moment) -> Result<CallLegView, Error> {
        let leg = self.legs.get(&id).ok_or(Error::NoSuchCallLeg)?;
        Ok(leg.view(now))
    }

    /// Changes a leg.
    ///
    /// # Errors
    /// [`Error::NoSuchCallLeg`].
    pub fn update_call_leg(
        &mut self,
        id: CallLegId,
        change: CallLegPatch,
        world: &mut World<'_>,
    ) -> Result<(), Error> {
        self.legs.get(&id).ok_or(Error::NoSuchCallLeg)?;
        self.change_by(id, None, change, world);
        Ok(())
    }

    /// Changes a leg; `by` is the participant who wished it, `None` an administrator.
    pub(super) fn change_by(
        &mut self,
        id: CallLegId,
        by: Option<CallLegId>,
        change: CallLegPatch,
        world: &mut World<'_>,
    ) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        if let Some(digits) = &change.dtmf_sequence {
            match leg.phase {
                Phase::Connected => {
                    leg.sequence.extend(digits, world.now.monotonic);
                    self.busy.insert(leg.number);
                }
                _ => leg.digits_when_connected.clone_from(digits),
            }
        }
        let before = leg.configuration.clone();
        change.apply(&mut leg.configuration);
        let mut config = leg.config;
        if let Some(config) = &mut config {
            media::muted(config, &leg.configuration);
            media::shown(config, &leg.configuration);
        }
        let call = leg.call;
        if config != leg.config {
            self.send_config(id, config, world);
        }
        if self
            .legs
            .get(&id)
            .is_some_and(|leg| leg.configuration.name_label_override != before.name_label_override)
        {
            self.relabel(id, world);
        }
        self.remute_video(id, world);
        self.web_changed(id, by, &before, world);
        // A mute or a name shows in the list before there is any media.
        self.changed(call, world.now.monotonic);
        self.save(id, world);
    }

    /// Hangs a leg up.
    ///
    /// # Errors
    /// [`Error::NoSuchCallLeg`].
    pub fn hang_up(&mut self, id: CallLegId, world: &mut World<'_>) -> Result<(), Error> {
        self.legs.get(&id).ok_or(Error::NoSuchCallLeg)?;
        self.drop_leg(id, "hung up by an administrator", world);
        Ok(())
    }
}
