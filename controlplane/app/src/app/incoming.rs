//! Somebody calls.

use std::net::IpAddr;

use plenum_model::{CallId, CallLegId, Direction, Space};

use super::{App, Error};
use crate::leg::{Leg, NewLeg};
use crate::world::{Output, World};

/// Between a space's address and its passcode, as in `board*1234`. A phone's
/// keypad has it, and RFC 3261 takes it unescaped.
const PASSCODE_MARK: char = '*';

/// A call that comes in.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// User part of the address that was called.
    pub user: String,
    /// Host part of the address that was called, without port.
    pub host: String,
    /// Display name of the caller, unverified; may be empty.
    pub from_name: String,
    /// Address of the caller (`user@host`), unverified.
    pub from_address: String,
    /// Call-ID of the dialog.
    pub sip_call_id: String,
    /// The caller's SDP; `None` asks for our offer.
    pub offer: Option<String>,
    /// Where it came from.
    pub peer: IpAddr,
    /// Our address on which it came, also that of its media.
    pub local_ip: IpAddr,
    /// The leg that this call is to replace (RFC 3891): `Some(None)` is one that
    /// we do not know.
    pub replaces: Option<Option<CallLegId>>,
}

/// A caller whose space is being looked for.
#[derive(Debug)]
pub(super) struct Waiting {
    incoming: Incoming,
    /// What was cut off the user part in the second try.
    passcode: Option<String>,
}

impl App {
    /// Somebody calls. [`Output::Resolve`], [`Output::Accept`] or
    /// [`Output::Reject`] follows.
    pub fn incoming(&mut self, leg: CallLegId, incoming: Incoming, world: &mut World<'_>) {
        if !self.is_ours(&incoming.host, incoming.local_ip) {
            tracing::info!(%leg, host = incoming.host, from = incoming.from_address, "not our domain");
            return reject(world, leg, 404, "not a domain of this server", None);
        }
        if let Some(replaced) = incoming.replaces {
            return self.replace(leg, replaced, &incoming, world);
        }
        // Full is full, whatever was called: the store need not be asked.
        if let Err(error) = self.admit(None) {
            return self.reject_full(leg, error, world);
        }
        world.out.push(Output::Resolve {
            leg,
            user: incoming.user.clone(),
        });
        let waiting = Waiting {
            incoming,
            passcode: None,
        };
        self.waiting.insert(leg, waiting);
    }

    /// The space that was asked for by [`Output::Resolve`], if there is one.
    pub fn resolved(&mut self, leg: CallLegId, space: Option<Space>, world: &mut World<'_>) {
        // The caller may have given up meanwhile.
        let Some(mut waiting) = self.waiting.remove(&leg) else {
            return;
        };
        let Some(space) = space else {
            // The second try, without what may be a passcode.
            if let Some((user, passcode)) = waiting.incoming.user.rsplit_once(PASSCODE_MARK)
                && !user.is_empty()
                && waiting.passcode.is_none()
            {
                let user = user.to_owned();
                waiting.passcode = Some(passcode.to_owned());
                waiting.incoming.user.clone_from(&user);
                self.waiting.insert(leg, waiting);
                world.out.push(Output::Resolve { leg, user });
                return;
            }
            let Incoming {
                user, from_address, ..
            } = &waiting.incoming;
            tracing::info!(%leg, user, from = from_address, "no such space");
            return reject(world, leg, 404, "no such space", None);
        };
        let Waiting { incoming, passcode } = waiting;
        let allowed = self.check_passcode(&space, incoming.peer, passcode.as_deref(), world);
        if let Err(reason) = allowed {
            tracing::info!(
                %leg, space = %space.id, from = incoming.from_address, peer = %incoming.peer, reason,
                "not let in"
            );
            return reject(world, leg, 403, reason, None);
        }
        let running = self.running_call(space.id);
        if self.is_locked(running) {
            tracing::info!(%leg, space = %space.id, from = incoming.from_address, "locked out");
            return reject(world, leg, 403, "this meeting is locked", None);
        }
        if let Err(error) = self.admit(running) {
            return self.reject_full(leg, error, world);
        }
        match self.call_of(&space, world) {
            Ok(call) => self.join(leg, call, &incoming, world),
            Err(error) => self.reject_full(leg, error, world),
        }
    }

    /// The space of [`Output::Resolve`] could not be looked for.
    pub fn not_resolved(&mut self, leg: CallLegId, world: &mut World<'_>) {
        if self.waiting.remove(&leg).is_some() {
            let retry_after = Some(self.config.retry_after_s);
            reject(world, leg, 500, "the database does not answer", retry_after);
        }
    }

    fn check_passcode(
        &mut self,
        space: &Space,
        peer: IpAddr,
        given: Option<&str>,
        world: &World<'_>,
    ) -> Result<(), &'static str> {
        if !space.non_member_access {
            return Err("only members may join this space");
        }
        let Some(passcode) = &space.passcode else {
            return Ok(());
        };
        let now = world.now.monotonic;
        let Some(given) = given else {
            return Err("this space asks for a passcode: call uri*passcode");
        };
        if !self.guard.allows(peer, now) {
            return Err("too many wrong passcodes, try again later");
        }
        if same_text(given, passcode) {
            return Ok(());
        }
        self.guard.wrong(peer, now);
        Err("wrong passcode")
    }

    /// Takes the place of another leg in its call.
    fn replace(
        &mut self,
        leg: CallLegId,
        replaced: Option<CallLegId>,
        incoming: &Incoming,
        world: &mut World<'_>,
    ) {
        let known = replaced.and_then(|replaced| self.legs.get(&replaced));
        let Some((replaced, call)) = known.map(|leg| (leg.id, leg.call)) else {
            return reject(world, leg, 481, "no such call leg to replace", None);
        };
        if let Err(error) = self.admit(None) {
            return self.reject_full(leg, error, world);
        }
        self.join(leg, call, incoming, world);
        if self.legs.contains_key(&leg) {
            self.drop_leg(replaced, "replaced", world);
        }
    }

    /// Answers the call into `call`.
    fn join(&mut self, id: CallLegId, call: CallId, incoming: &Incoming, world: &mut World<'_>) {
        let place = match self.take_leg_place(call, world) {
            Ok(place) => place,
            Err(error) => return self.reject_full(id, error, world),
        };
        let name = if incoming.from_name.is_empty() {
            let user = incoming.from_address.split('@').next();
            user.unwrap_or(&incoming.from_address).to_owned()
        } else {
            incoming.from_name.clone()
        };
        let new = NewLeg {
            id,
            call,
            number: self.number(),
            place,
            direction: Direction::Incoming,
            name,
            remote_party: incoming.from_address.clone(),
            local_address: format!("{}@{}", incoming.user, incoming.host),
            sip_call_id: incoming.sip_call_id.clone(),
            local_ip: incoming.local_ip,
        };
        self.insert_leg(Leg::new(new, world.now));
        let answered = match &incoming.offer {
            Some(offer) => self.answer_first(id, offer, world),
            None => Ok(self.offer_first(id, world)),
        };
        match answered {
            Ok(sdp) => {
                tracing::info!(
                    leg = %id, call = %call, from = incoming.from_address, peer = %incoming.peer,
                    worker = place.worker, slot = place.slot, "call leg joins"
                );
                world.out.push(Output::Accept { leg: id, sdp });
                self.save(id, world);
            }
            Err(refusal) => {
                tracing::info!(leg = %id, code = refusal.code, reason = refusal.reason, "not understood");
                self.remove_leg(id, world);
                reject(world, id, refusal.code, &refusal.reason, None);
            }
        }
    }

    fn reject_full(&self, leg: CallLegId, error: Error, world: &mut World<'_>) {
        tracing::warn!(%leg, %error, legs = self.legs.len(), "turned away");
        let retry_after = Some(self.config.retry_after_s);
        reject(world, leg, 503, &error.to_string(), retry_after);
    }

    /// The caller gave up before the space was found.
    pub(super) fn forget_waiting(&mut self, leg: CallLegId) -> bool {
        self.waiting.remove(&leg).is_some()
    }
}

fn reject(
    world: &mut World<'_>,
    leg: CallLegId,
    code: u16,
    reason: &str,
    retry_after: Option<u32>,
) {
    world.out.push(Output::Reject {
        leg,
        code,
        reason: reason.to_owned(),
        retry_after,
    });
}

/// Compares without telling by its time how much was right.
pub(super) fn same_text(a: &str, b: &str) -> bool {
    let differing = a
        .bytes()
        .zip(b.bytes())
        .fold(0, |sum, (a, b)| sum | (a ^ b));
    a.len() == b.len() && differing == 0
}
