//! What commands do.
//!
//! Each is desired state: carried out twice it is carried out once, and one
//! about a slot's earlier tenant is refused. Records are written so that a
//! crash half-way leaves either what was or what was asked for.

use std::sync::atomic::Ordering;

use plenum_abi::{
    AddCandidate, Command, CommandKind, ConferenceConfig, EventKind, LegFlags, RejectReason,
    SendDtmf, SetConference, SetLeg, SetText, SetTransport, SetVideo, SetViewPolicy, SlotRef,
    SlotState,
};
use plenum_mixer::{Conference, LegKey};

use super::{Room, Worker, policy};
use crate::leg::{Leg, rtcp_key, rtp_key};

impl Worker {
    pub(super) fn apply(&mut self, command: &Command) -> Result<(), (SlotRef, RejectReason)> {
        let unknown = (SlotRef::default(), RejectReason::UnknownCommand);
        match CommandKind::from_u32(command.kind).ok_or(unknown)? {
            CommandKind::SetLeg => {
                let set: SetLeg = command.payload();
                let about = SlotRef {
                    slot: set.slot,
                    generation: set.config.generation,
                };
                self.set_leg(&set).map_err(|reason| (about, reason))
            }
            CommandKind::RemoveLeg => {
                let about: SlotRef = command.payload();
                self.remove_leg(about).map_err(|reason| (about, reason))
            }
            CommandKind::SetConference => {
                let set: SetConference = command.payload();
                let about = SlotRef {
                    slot: set.slot,
                    generation: set.config.generation,
                };
                self.set_conference(&set).map_err(|reason| (about, reason))
            }
            CommandKind::RemoveConference => {
                let about: SlotRef = command.payload();
                self.remove_conference(about)
                    .map_err(|reason| (about, reason))
            }
            CommandKind::SendDtmf => {
                let send: SendDtmf = command.payload();
                self.send_dtmf(&send).map_err(|reason| (send.leg, reason))
            }
            CommandKind::SetTransport => {
                let set: SetTransport = command.payload();
                let about = SlotRef {
                    slot: set.slot,
                    generation: set.config.generation,
                };
                self.set_transport(&set).map_err(|reason| (about, reason))
            }
            CommandKind::AddCandidate => {
                let add: AddCandidate = command.payload();
                self.add_candidate(&add).map_err(|reason| (add.leg, reason))
            }
            CommandKind::SetVideo => {
                let set: SetVideo = command.payload();
                let about = SlotRef {
                    slot: set.slot,
                    generation: set.config.generation,
                };
                self.set_video(&set).map_err(|reason| (about, reason))
            }
            CommandKind::RemoveVideo => {
                let about: SlotRef = command.payload();
                self.remove_video(about).map_err(|reason| (about, reason))
            }
            CommandKind::RequestKeyFrame => {
                let about: SlotRef = command.payload();
                self.request_key_frame(about)
                    .map_err(|reason| (about, reason))
            }
            CommandKind::SendKeyFrame => {
                let about: SlotRef = command.payload();
                self.send_key_frame(about).map_err(|reason| (about, reason))
            }
            CommandKind::SetViewPolicy => {
                let set: SetViewPolicy = command.payload();
                self.set_view_policy(&set)
                    .map_err(|reason| (set.conference, reason))
            }
            CommandKind::SetLabel => {
                let set: SetText = command.payload();
                self.set_label(&set).map_err(|reason| (set.about, reason))
            }
            CommandKind::SetMessage => {
                let set: SetText = command.payload();
                self.set_message(&set).map_err(|reason| (set.about, reason))
            }
            CommandKind::Barrier => {
                self.events.worker(EventKind::Barrier, command.token, 0);
                Ok(())
            }
            _ => Err(unknown),
        }
    }

    fn set_leg(&mut self, wanted: &SetLeg) -> Result<(), RejectReason> {
        let SetLeg { slot, config, .. } = *wanted;
        let now = plenum_uring::now();
        let view = self.view.clone();
        let record = view.leg(slot).ok_or(RejectReason::NoSuchSlot)?;
        let place = self
            .legs
            .get_mut(slot as usize)
            .ok_or(RejectReason::NoSuchSlot)?;
        let room = self
            .rooms
            .get_mut(config.conference as usize)
            .and_then(Option::as_mut)
            .ok_or(RejectReason::NoSuchConference)?;
        if let Some(leg) = place {
            if config.generation < leg.config.generation {
                return Err(RejectReason::WrongGeneration);
            }
            if config.generation == leg.config.generation {
                if config.revision <= leg.config.revision {
                    return Ok(());
                }
                let moved_from = leg.config.conference;
                leg.update(now, config, record, &self.driver, &mut self.rng)?;
                let mix_leg = leg.mix_leg().ok_or(RejectReason::Unsupported)?;
                room.mixer
                    .set_leg(LegKey(slot), mix_leg)
                    .map_err(|_| RejectReason::Resource)?;
                if moved_from != config.conference {
                    self.leave_room(moved_from, slot);
                }
                self.follow_leg(slot, moved_from, config.conference);
                return Ok(());
            }
        }
        if place.is_some() {
            let generation = self.legs[slot as usize]
                .as_ref()
                .map_or(0, |leg| leg.config.generation);
            self.remove_leg(SlotRef { slot, generation })?;
        }
        let bundle = self.bundle_of(slot, &config)?;
        let driver = &self.driver;
        let leg = Leg::create(now, slot, config, bundle, record, driver, &mut self.rng)?;
        self.seat(leg, false)?;
        self.say_leg(slot);
        Ok(())
    }

    /// Gives a leg its place in the conference and opens its sockets.
    pub(super) fn seat(&mut self, leg: Leg, restored: bool) -> Result<(), RejectReason> {
        let slot = leg.slot;
        let mix_leg = leg.mix_leg().ok_or(RejectReason::Unsupported)?;
        let room = self
            .rooms
            .get_mut(leg.config.conference as usize)
            .and_then(Option::as_mut)
            .ok_or(RejectReason::NoSuchConference)?;
        let joined = if restored {
            room.mixer.restore_leg(LegKey(slot), mix_leg)
        } else {
            room.mixer.set_leg(LegKey(slot), mix_leg)
        };
        joined.map_err(|_| RejectReason::Resource)?;
        let mux = leg.config.flags().contains(LegFlags::RTCP_MUX);
        let bundled = leg.config.flags().contains(LegFlags::BUNDLED);
        self.legs[slot as usize] = Some(Box::new(leg));
        self.live_legs += 1;
        if bundled {
            return Ok(());
        }
        let armed = self.driver.arm(rtp_key(slot)).and_then(|()| {
            if mux {
                Ok(())
            } else {
                self.driver.arm(rtcp_key(slot))
            }
        });
        armed.map_err(|_| RejectReason::Resource)
    }

    fn remove_leg(&mut self, about: SlotRef) -> Result<(), RejectReason> {
        let view = self.view.clone();
        let record = view.leg(about.slot).ok_or(RejectReason::NoSuchSlot)?;
        let place = self
            .legs
            .get_mut(about.slot as usize)
            .ok_or(RejectReason::NoSuchSlot)?;
        match place {
            // Gone already, or its transport is all there ever was of it.
            None => {
                self.remove_transport(about);
                return Ok(());
            }
            Some(leg) if leg.config.generation != about.generation => {
                return Err(RejectReason::WrongGeneration);
            }
            Some(_) => {}
        }
        self.remove_leg_video(about.slot);
        if let Some(leg) = self.legs[about.slot as usize].take() {
            self.driver.disarm(rtp_key(about.slot));
            self.driver.disarm(rtcp_key(about.slot));
            self.leave_room(leg.config.conference, about.slot);
            self.say_left(leg.config.conference, about);
            leg.remove(record);
            self.live_legs -= 1;
        }
        self.remove_transport(about);
        Ok(())
    }

    fn leave_room(&mut self, conference: u32, slot: u32) {
        if let Some(Some(room)) = self.rooms.get_mut(conference as usize) {
            room.mixer.remove_leg(LegKey(slot));
        }
    }

    fn set_conference(&mut self, wanted: &SetConference) -> Result<(), RejectReason> {
        let SetConference { slot, config, .. } = *wanted;
        let view = self.view.clone();
        let record = view.conference(slot).ok_or(RejectReason::NoSuchSlot)?;
        let place = self
            .rooms
            .get_mut(slot as usize)
            .ok_or(RejectReason::NoSuchSlot)?;
        if let Some(room) = place {
            if config.generation < room.config.generation {
                return Err(RejectReason::WrongGeneration);
            }
            if config.generation == room.config.generation {
                if config.revision > room.config.revision {
                    record.config.store(&config);
                    room.mixer.set_policy(policy(&config));
                    room.config = config;
                }
                return Ok(());
            }
            let generation = room.config.generation;
            self.remove_conference(SlotRef { slot, generation })?;
        }
        record
            .state
            .store(SlotState::Free as u32, Ordering::Release);
        record.view_policy.clear();
        record.message.clear();
        record.config.store(&config);
        record
            .generation
            .store(config.generation, Ordering::Release);
        record.active_speaker.store(0, Ordering::Relaxed);
        self.open_room(slot, config);
        record
            .state
            .store(SlotState::Live as u32, Ordering::Release);
        Ok(())
    }

    pub(super) fn open_room(&mut self, slot: u32, config: ConferenceConfig) {
        self.rooms[slot as usize] = Some(Box::new(Room {
            mixer: Conference::new(policy(&config), self.legs.len()),
            config,
            active_speaker: None,
            encodes: 0,
            shared_sends: 0,
            ticks: 0,
            module: None,
            speaker_told: None,
        }));
        self.wheel.insert(slot, plenum_uring::now());
    }

    fn remove_conference(&mut self, about: SlotRef) -> Result<(), RejectReason> {
        let view = self.view.clone();
        let record = view
            .conference(about.slot)
            .ok_or(RejectReason::NoSuchSlot)?;
        match self.rooms.get(about.slot as usize) {
            Some(Some(room)) if room.config.generation == about.generation => {}
            Some(None) => return Ok(()),
            Some(Some(_)) => return Err(RejectReason::WrongGeneration),
            None => return Err(RejectReason::NoSuchSlot),
        }
        for slot in 0..self.legs.len() {
            let Some(leg) = &self.legs[slot] else {
                continue;
            };
            if leg.config.conference == about.slot {
                let generation = leg.config.generation;
                self.remove_leg(SlotRef {
                    slot: slot as u32,
                    generation,
                })?;
            }
        }
        self.leave_module(about.slot);
        record
            .state
            .store(SlotState::Free as u32, Ordering::Release);
        record.config.clear();
        record.view_policy.clear();
        record.message.clear();
        self.rooms[about.slot as usize] = None;
        self.wheel.remove(about.slot);
        Ok(())
    }

    fn send_dtmf(&mut self, send: &SendDtmf) -> Result<(), RejectReason> {
        let leg = self
            .legs
            .get_mut(send.leg.slot as usize)
            .and_then(Option::as_mut)
            .ok_or(RejectReason::NoSuchSlot)?;
        if leg.config.generation != send.leg.generation {
            return Err(RejectReason::WrongGeneration);
        }
        let queued = leg.send_digit(send.event, send.duration_ms);
        if queued {
            Ok(())
        } else {
            Err(RejectReason::Unsupported)
        }
    }
}
