//! We call somebody.

use std::net::IpAddr;

use plenum_abi::Nanos;
use plenum_model::{CallId, CallLegId, DialOut, Direction};

use super::{App, Error};
use crate::leg::{Leg, NewLeg, Phase};
use crate::world::{Invitation, Output, World};

/// What people read as an address: `user@host`.
fn address_of(remote_party: &str) -> String {
    let bare = remote_party
        .strip_prefix("sips:")
        .or_else(|| remote_party.strip_prefix("sip:"))
        .unwrap_or(remote_party);
    bare.split([';', '?']).next().unwrap_or(bare).to_owned()
}

impl App {
    /// Calls somebody into a call, under the id `leg`; [`Output::Invite`] follows.
    /// `local_ip` is our address on the way there.
    ///
    /// # Errors
    /// [`Error`]; nothing was begun.
    pub fn dial_out(
        &mut self,
        leg: CallLegId,
        call: CallId,
        wanted: DialOut,
        local_ip: IpAddr,
        world: &mut World<'_>,
    ) -> Result<(), Error> {
        let running = self.call(call).ok_or(Error::NoSuchCall)?;
        let (name, user) = (running.name.clone(), running.user.clone());
        self.admit(Some(call))?;
        let place = self.take_leg_place(call, world)?;
        let remote_party = address_of(&wanted.remote_party);
        let new = NewLeg {
            id: leg,
            call,
            number: self.number(),
            place,
            direction: Direction::Outgoing,
            name: remote_party
                .split('@')
                .next()
                .unwrap_or_default()
                .to_owned(),
            remote_party,
            local_address: format!("{user}@{}", self.config.own_domain),
            sip_call_id: String::new(),
            local_ip,
        };
        let mut new = Leg::new(new, world.now);
        new.digits_when_connected = wanted.settings.dtmf_sequence.clone().unwrap_or_default();
        wanted.settings.apply(&mut new.configuration);
        new.ring_until = Some(world.now.monotonic + self.config.ring_timeout);
        self.insert_leg(new);
        let sdp = self.offer_first(leg, world);
        tracing::info!(%leg, %call, to = wanted.remote_party, "calling");
        world.out.push(Output::Invite {
            leg,
            invitation: Invitation {
                to: wanted.remote_party,
                from_user: user,
                from_display: name,
                sdp,
            },
        });
        Ok(())
    }

    /// The Call-ID of a call of ours, once SIP has made it.
    pub fn invited(&mut self, leg: CallLegId, sip_call_id: &str) {
        if let Some(leg) = self.legs.get_mut(&leg) {
            leg.sip_call_id = sip_call_id.to_owned();
        }
    }

    /// It rings there.
    pub fn progress(&mut self, leg: CallLegId, code: u16, now: Nanos) {
        if let Some(leg) = self.legs.get_mut(&leg)
            && leg.phase == Phase::Initial
            && code >= 180
        {
            leg.phase = Phase::Ringing;
            let call = leg.call;
            self.changed(call, now);
        }
    }

    /// The far end does not want to, or could not be reached.
    pub fn rejected(&mut self, leg: CallLegId, code: u16, reason: &str, world: &mut World<'_>) {
        if self.legs.contains_key(&leg) {
            tracing::info!(%leg, code, reason, "call was refused");
            self.remove_leg(leg, world);
        }
    }
}
