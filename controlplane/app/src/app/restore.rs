//! After the control process was replaced.

use plenum_abi::LegConfig;
use plenum_model::CallLegId;

use super::{App, pictures};
use crate::call::Call;
use crate::leg::{Leg, Phase};
use crate::media;
use crate::video::StreamKind;
use crate::world::{Output, World};
use crate::{RestoreError, SavedLeg};

impl App {
    /// Takes a leg up again whose dialog was found in the store. `running` is
    /// what the arena has of it, and `vacant` that its slot never had this tenant:
    /// then it is set up as if just now. Slots must have been adopted before.
    ///
    /// A leg that the media plane has removed is not set up a second time: its
    /// keys were used, and a keystream must not come twice.
    ///
    /// # Errors
    /// [`RestoreError`]: the caller ends the dialog.
    pub fn restore(
        &mut self,
        saved: &SavedLeg,
        running: Option<LegConfig>,
        vacant: bool,
        world: &mut World<'_>,
    ) -> Result<(), RestoreError> {
        if !saved.connected && (saved.outgoing || saved.offering) {
            return Err(RestoreError::NotConnected);
        }
        let wanted = match saved.config.is_empty() {
            true => None,
            false => Some(saved.leg_config().ok_or(RestoreError::Unreadable)?),
        };
        if !saved.web_is_readable() {
            return Err(RestoreError::Unreadable);
        }
        if wanted.is_some() && running.is_none() && !vacant {
            return Err(RestoreError::MediaGone);
        }
        self.restore_call(saved, world);
        let number = self.number();
        let mut leg = Leg::restored(saved, number, world.now);
        // The far end may have acknowledged while nobody listened; it will be
        // hung up for silence if not. A browser that never came is not there yet.
        if saved.web.as_ref().is_none_or(|web| web.came) {
            leg.phase = Phase::Connected;
            leg.connected_unix_ms.get_or_insert(saved.began_unix_ms);
        }
        if let (Some(wanted), Some(running)) = (&mut leg.config, running) {
            // What the worker has counts where it is newer than what was stored.
            if running.revision >= wanted.revision {
                *wanted = running;
                media::read_mutes(&mut leg.configuration, &running);
            }
        }
        let told = running.map(|config| config.revision);
        let place = leg.place;
        let config = leg.config;
        if let Some(transport) = leg
            .web
            .as_deref_mut()
            .and_then(|web| web.transport.as_mut())
        {
            match world.places.running_transport(place) {
                Some(running) if running.revision >= transport.revision => *transport = running,
                _ => world.out.push(Output::SetTransport {
                    place,
                    config: Box::new(*transport),
                }),
            }
        }
        let mut streams = Vec::new();
        for kind in StreamKind::ALL {
            let Some(stream) = leg.video.slot(kind) else {
                continue;
            };
            let Some(config) = &mut stream.config else {
                continue;
            };
            match world.places.running_video(stream.place) {
                Some(running) if running.revision >= config.revision => *config = running,
                _ => streams.push(Output::SetVideo {
                    place: stream.place,
                    config: Box::new(*config),
                }),
            }
        }
        self.insert_leg(leg);
        let shares = saved.web.as_ref().is_some_and(|web| web.sharing);
        if let Some(call) = self.call_mut(saved.call.id).filter(|_| shares) {
            call.room.sharer = Some(saved.id);
        }
        if let Some(config) = config
            && told != Some(config.revision)
        {
            world.out.push(Output::SetLeg {
                place,
                config: Box::new(config),
            });
        }
        if let Some(leg) = self.legs.get(&saved.id) {
            pictures::retell_label(leg, world);
        }
        world.out.extend(streams);
        Ok(())
    }

    fn restore_call(&mut self, saved: &SavedLeg, world: &mut World<'_>) {
        if self.call(saved.call.id).is_some() {
            return;
        }
        let mut call = Call::restored(&saved.call);
        match world.places.conference_revision(call.place) {
            Some(revision) => call.revision = revision,
            None => {
                self.tell_conference(&call, world);
                return self.insert_call(call);
            }
        }
        pictures::retell_look(&call, world);
        self.insert_call(call);
    }

    /// Whether a video slot is that of a leg.
    #[must_use]
    pub fn has_video(&self, place: crate::Place) -> bool {
        let mut streams = self.legs.values().flat_map(|leg| leg.video.streams());
        streams.any(|stream| stream.place == place)
    }

    /// The leg in a slot.
    #[must_use]
    pub fn leg_at(&self, place: crate::Place) -> Option<CallLegId> {
        self.legs_by_place.get(&place).copied()
    }

    /// Whether a conference slot is that of a call.
    #[must_use]
    pub fn has_conference(&self, place: crate::Place) -> bool {
        self.calls.values().any(|call| call.place == place)
    }
}
