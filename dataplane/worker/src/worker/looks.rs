//! How pictures look: what the control plane says of conferences and legs is kept in
//! their records, and passed on to the module that draws.

use plenum_abi::{RejectReason, SetText, SetViewPolicy, SlotRef, Text, ViewPolicy};

use super::{Room, Worker};

impl Worker {
    pub(super) fn set_view_policy(&mut self, wanted: &SetViewPolicy) -> Result<(), RejectReason> {
        let SetViewPolicy { conference, policy } = *wanted;
        self.room_of(conference)?;
        let record = self.view.conference(conference.slot);
        let record = record.ok_or(RejectReason::NoSuchSlot)?;
        let known = record.view_policy.load::<ViewPolicy>();
        if known.is_none_or(|known| known.revision < policy.revision) {
            record.view_policy.store(&policy);
            self.say_conference(conference.slot);
        }
        Ok(())
    }

    pub(super) fn set_message(&mut self, wanted: &SetText) -> Result<(), RejectReason> {
        self.room_of(wanted.about)?;
        let record = self.view.conference(wanted.about.slot);
        let record = record.ok_or(RejectReason::NoSuchSlot)?;
        let known = record.message.load::<Text>();
        if known.is_none_or(|known| known.revision < wanted.text.revision) {
            record.message.store(&wanted.text);
            self.say_conference(wanted.about.slot);
        }
        Ok(())
    }

    pub(super) fn set_label(&mut self, wanted: &SetText) -> Result<(), RejectReason> {
        let slot = wanted.about.slot;
        let leg = self.legs.get(slot as usize).and_then(Option::as_ref);
        let leg = leg.ok_or(RejectReason::NoSuchSlot)?;
        if leg.config.generation != wanted.about.generation {
            return Err(RejectReason::WrongGeneration);
        }
        let record = self.view.leg(slot).ok_or(RejectReason::NoSuchSlot)?;
        let known = record.label.load::<Text>();
        if known.is_none_or(|known| known.revision < wanted.text.revision) {
            record.label.store(&wanted.text);
            self.say_leg(slot);
        }
        Ok(())
    }

    fn room_of(&self, conference: SlotRef) -> Result<&Room, RejectReason> {
        let room = self.rooms.get(conference.slot as usize);
        let room = room.and_then(Option::as_ref);
        let room = room.ok_or(RejectReason::NoSuchConference)?;
        match room.config.generation == conference.generation {
            true => Ok(room),
            false => Err(RejectReason::WrongGeneration),
        }
    }
}
