//! How calls look, and what is on the panes: wishes become desired state of the
//! media plane.

use plenum_model::{CallId, CallLegId, CallPatch, Space};

use super::{App, Error};
use crate::call::Call;
use crate::leg::Leg;
use crate::world::{Output, World};

/// Tells the media plane how a call looks.
pub(super) fn tell_look(call: &Call, world: &mut World<'_>) {
    world.out.push(Output::SetViewPolicy {
        place: call.place,
        policy: call.look.policy(world.now),
    });
    world.out.push(Output::SetMessage {
        place: call.place,
        text: Box::new(call.look.message()),
    });
}

/// Tells it again where the media plane does not know the last word.
pub(super) fn retell_look(call: &Call, world: &mut World<'_>) {
    if world.places.look_revision(call.place) != Some(call.look.revision()) {
        tell_look(call, world);
    }
}

/// The same of the name on a leg's pane.
pub(super) fn retell_label(leg: &Leg, world: &mut World<'_>) {
    let known = world.places.label_revision(leg.place);
    if leg.config.is_some() && known != Some(leg.label_revision) {
        world.out.push(leg.label());
    }
}

impl App {
    /// Changes how a call looks.
    ///
    /// # Errors
    /// [`Error::NoSuchCall`].
    pub fn update_call(
        &mut self,
        id: CallId,
        change: CallPatch,
        world: &mut World<'_>,
    ) -> Result<(), Error> {
        let call = self.call_mut(id).ok_or(Error::NoSuchCall)?;
        call.look.change(change, world.now);
        tell_look(call, world);
        // The call is stored in each of its legs, any of which may be the last.
        for leg in self.legs_of(id) {
            self.save(leg, world);
        }
        Ok(())
    }

    /// The space of a call may have changed: what it says of the call's look
    /// holds for the call that runs.
    pub fn space_changed(&mut self, space: &Space, world: &mut World<'_>) {
        let Some(id) = self.running_call(space.id) else {
            return;
        };
        let Some(call) = self.call_mut(id) else {
            return;
        };
        let before = call.look.layout();
        if !call.look.follow(space) {
            return;
        }
        tell_look(call, world);
        if call.look.layout() != before {
            self.web_call_layout(id, world);
        }
        for leg in self.legs_of(id) {
            self.save(leg, world);
        }
    }

    /// The name on a leg's pane has changed.
    pub(super) fn relabel(&mut self, id: CallLegId, world: &mut World<'_>) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        leg.label_revision += 1;
        if leg.config.is_some() {
            world.out.push(leg.label());
        }
    }
}
