//! Browsers' transports of one worker: ICE and DTLS of every leg that shares the
//! worker's port.
//!
//! ```text
//!              STUN: the ufrag says whose,  or who was asked
//! datagram --> DTLS: whose address it is -> queue -> one a turn
//!              SRTP: whose address it is -> the leg
//! ```
//!
//! A [`Transport`] is one leg's: it has the two machines and knows where the leg
//! sends and under which keys. What its successor needs is in the leg's
//! [`TransportRecord`] before it is used. Nothing is made for a stranger: what comes
//! neither with a leg's password nor from an address that a check with it has proven
//! is counted and gone.
//!
//! A step of a handshake takes as long as a thousand packets, so each turn of the
//! loop takes one at most, after the ticks that were due; the rest waits in a
//! bounded queue, and what finds it full comes again by itself.

mod transport;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use plenum_abi::{AddCandidate, Nanos, RejectReason, SetTransport, TransportKeys, slot_of_ufrag};
use plenum_dtls::Identity;
use plenum_ice::{Candidate, CandidateKind, Path, local_ufrag};
use plenum_pool::Lease;
use plenum_ring::WorkerView;
use plenum_uring::{Destination, Driver};
use rand::rngs::SmallRng;

use crate::deadlines::Deadlines;
use crate::events::Events;
use crate::outbox::Outbox;
use crate::sources::Sources;

pub(crate) use transport::{Changes, Transport};

/// Datagrams of handshakes that wait for their turn: half a second of them, at the
/// rate at which steps are taken.
const HANDSHAKES_MAX: usize = 256;

/// Where a leg's packets go: from which socket, and to where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route {
    pub(crate) key: u32,
    pub(crate) to: Destination,
}

/// What a leg that shares its transport gets from it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bundle {
    pub(crate) keys: Option<TransportKeys>,
    pub(crate) route: Option<Route>,
}

/// One of the sockets that browsers share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Port {
    /// Its key in the driver.
    pub(crate) key: u32,
    /// What it is bound to.
    pub(crate) address: SocketAddr,
}

/// What all transports of a worker have in common.
pub(crate) struct Common {
    pub(crate) identity: Identity,
    /// What stands for the clock's zero in the machines.
    pub(crate) epoch: Instant,
    pub(crate) ports: Vec<Port>,
}

impl Common {
    fn port(&self, address: SocketAddr) -> Option<Port> {
        self.ports
            .iter()
            .copied()
            .find(|port| port.address == address)
    }

    /// The route of a path.
    fn route(&self, path: Path, driver: &Driver) -> Option<Route> {
        let key = self.port(path.local)?.key;
        let to = driver.destination(key, path.remote)?;
        Some(Route { key, to })
    }
}

/// The parts of the worker that transports need.
pub(crate) struct Desk<'a> {
    pub(crate) now: Nanos,
    pub(crate) view: &'a WorkerView,
    pub(crate) driver: &'a mut Driver,
    pub(crate) outbox: &'a mut Outbox,
    pub(crate) events: &'a mut Events,
    pub(crate) rng: &'a mut SmallRng,
}

/// A datagram of a handshake, waiting.
struct Waiting {
    slot: u32,
    generation: u32,
    path: Path,
    lease: Lease,
}

/// See the [module](self).
pub(crate) struct Transports {
    common: Common,
    /// By leg slot. A transport is taken out of its place while it is worked on.
    slots: Box<[Option<Box<Transport>>]>,
    sources: Sources,
    deadlines: Deadlines,
    waiting: VecDeque<Waiting>,
    live: usize,
}

impl Transports {
    /// For the leg slots of a worker. Allocates what it will need.
    pub(crate) fn new(common: Common, slots: u32) -> Self {
        Self {
            common,
            slots: (0..slots).map(|_| None).collect(),
            sources: Sources::new(slots as usize),
            deadlines: Deadlines::new(slots as usize),
            waiting: VecDeque::with_capacity(HANDSHAKES_MAX),
            live: 0,
        }
    }

    /// When something is due without a datagram: now, while handshakes wait.
    pub(crate) fn next_deadline(&self) -> Option<Nanos> {
        if self.waiting.is_empty() {
            self.deadlines.next()
        } else {
            Some(Nanos::ZERO)
        }
    }

    /// Whether there are browsers, and so the ports are open.
    pub(crate) const fn is_open(&self) -> bool {
        self.live > 0
    }

    /// The address that a socket of ours is bound to; `None` when it is not one of
    /// those that browsers share.
    pub(crate) fn address_of(&self, key: u32) -> Option<SocketAddr> {
        let first = self.common.ports.first()?.key;
        let index = key.checked_sub(first)?;
        Some(self.common.ports.get(index as usize)?.address)
    }

    /// The leg whose SRTP comes from `source`.
    pub(crate) fn leg_at(&self, source: SocketAddr) -> Option<u32> {
        self.sources.proven(source)
    }

    /// Id of the header extension with the transport-wide number of a leg's packets; 0
    /// where none was agreed.
    pub(crate) fn transport_cc_id(&self, slot: u32) -> u8 {
        let transport = self.slots.get(slot as usize).and_then(Option::as_ref);
        transport.map_or(0, |transport| transport.config.transport_cc_id)
    }

    /// Id of the header extension that names an m-line (RFC 8843 section 15.2) in a leg's
    /// packets; 0 where none was agreed.
    pub(crate) fn mid_id(&self, slot: u32) -> u8 {
        let transport = self.slots.get(slot as usize).and_then(Option::as_ref);
        transport.map_or(0, |transport| transport.config.mid_id)
    }

    /// Ids of the header extensions that name a layer, and the layer of what is sent again
    /// (RFC 8852), in a leg's packets; 0 where none was agreed.
    pub(crate) fn rid_ids(&self, slot: u32) -> [u8; 2] {
        let transport = self.slots.get(slot as usize).and_then(Option::as_ref);
        transport.map_or([0; 2], |transport| {
            [transport.config.rid_id, transport.config.repaired_rid_id]
        })
    }

    /// What the leg gets of its transport; `None` when there is none of this generation.
    pub(crate) fn bundle(&self, slot: u32, generation: u32) -> Option<Bundle> {
        let transport = self.slots.get(slot as usize)?.as_ref()?;
        (transport.config.generation == generation).then(|| transport.bundle())
    }

    /// Takes a STUN message; `None` when it is nobody's.
    pub(crate) fn on_stun(
        &mut self,
        desk: &mut Desk<'_>,
        path: Path,
        lease: &Lease,
    ) -> Option<(u32, Changes)> {
        let bytes = desk.driver.bytes(lease);
        let slot = match local_ufrag(bytes) {
            Some(ufrag) => slot_of_ufrag(ufrag),
            None => self.sources.asked(path.remote),
        }?;
        let mut transport = self.take(slot)?;
        let ours = transport.on_stun(desk.now, path, bytes);
        let changes = self.put_back(desk, slot, transport);
        ours.then_some((slot, changes))
    }

    /// Keeps a datagram of a handshake until its turn; gives it back when it is
    /// nobody's, or too many wait.
    pub(crate) fn queue_dtls(&mut self, path: Path, lease: Lease) -> Result<(), Lease> {
        let slot = self.sources.proven(path.remote);
        let transport = slot.and_then(|slot| self.slots.get(slot as usize)?.as_ref());
        match (slot, transport) {
            (Some(slot), Some(transport)) if self.waiting.len() < HANDSHAKES_MAX => {
                self.waiting.push_back(Waiting {
                    slot,
                    generation: transport.config.generation,
                    path,
                    lease,
                });
                Ok(())
            }
            _ => Err(lease),
        }
    }

    /// Takes one step of the handshake that has waited longest.
    pub(crate) fn step(&mut self, desk: &mut Desk<'_>) -> Option<(u32, Changes)> {
        let Waiting {
            slot,
            generation,
            path,
            lease,
        } = self.waiting.pop_front()?;
        let changes = self.take(slot).map(|mut transport| {
            if transport.config.generation == generation {
                let bytes = desk.driver.bytes(&lease);
                transport.on_dtls(desk.now, &self.common, path, bytes);
            }
            (slot, self.put_back(desk, slot, transport))
        });
        desk.driver.release(lease);
        changes
    }

    /// Does what is due of one transport; `None` when nothing is due any more.
    pub(crate) fn on_timeout(&mut self, desk: &mut Desk<'_>) -> Option<(u32, Changes)> {
        loop {
            let slot = self.deadlines.take_due(desk.now)?;
            if let Some(mut transport) = self.take(slot) {
                transport.on_timeout(desk.now);
                return Some((slot, self.put_back(desk, slot, transport)));
            }
        }
    }

    /// Makes a slot's transport what the control plane wants it to be.
    pub(crate) fn set(
        &mut self,
        desk: &mut Desk<'_>,
        wanted: &SetTransport,
    ) -> Result<Changes, RejectReason> {
        let SetTransport { slot, config, .. } = *wanted;
        let view = desk.view;
        let record = view.transport(slot).ok_or(RejectReason::NoSuchSlot)?;
        let before = self.slots.get(slot as usize).and_then(Option::as_ref);
        match before.map(|transport| transport.config) {
            Some(before) if config.generation < before.generation => {
                return Err(RejectReason::WrongGeneration);
            }
            Some(before) if config.generation > before.generation => {
                // The tenant before was forgotten without a word.
                self.remove(desk, slot, before.generation);
            }
            Some(before) if config.revision <= before.revision => return Ok(Changes::default()),
            Some(_) | None => {}
        }
        if slot_of_ufrag(config.local.ufrag()) != Some(slot) {
            return Err(RejectReason::Unsupported);
        }
        let transport = match self.take(slot) {
            Some(mut transport) => {
                record.config.store(&config);
                transport.update(desk.now, config);
                for address in transport.take_stale() {
                    self.sources.forget(address, slot);
                }
                transport
            }
            None => {
                record.clear();
                record.config.store(&config);
                self.arm_with_first(desk.driver)?;
                Box::new(Transport::new(
                    desk.now,
                    slot,
                    config,
                    &self.common,
                    desk.rng,
                ))
            }
        };
        Ok(self.put_back(desk, slot, transport))
    }

    /// Takes a candidate of the far end.
    pub(crate) fn add_candidate(
        &mut self,
        desk: &mut Desk<'_>,
        add: &AddCandidate,
    ) -> Result<Changes, RejectReason> {
        let slot = add.leg.slot;
        let mut transport = self.take(slot).ok_or(RejectReason::NoSuchSlot)?;
        let refused = if transport.config.generation == add.leg.generation {
            let address = add.address.get();
            let kind = CandidateKind::from_u8(add.kind);
            match address.zip(kind) {
                // One too many is no error of the control plane: it is not used.
                Some((address, kind)) => {
                    transport.add_candidate(&Candidate {
                        address,
                        priority: add.priority,
                        kind,
                    });
                    None
                }
                None => Some(RejectReason::Unsupported),
            }
        } else {
            Some(RejectReason::WrongGeneration)
        };
        let changes = self.put_back(desk, slot, transport);
        refused.map_or(Ok(changes), Err)
    }

    /// Goes on with a transport that a worker before this one had.
    pub(crate) fn adopt(&mut self, desk: &mut Desk<'_>, slot: u32) -> Result<(), RejectReason> {
        let view = desk.view;
        let record = view.transport(slot).ok_or(RejectReason::NoSuchSlot)?;
        let Some(config) = record.config.load() else {
            return Ok(());
        };
        self.arm_with_first(desk.driver)?;
        let mut transport = Box::new(Transport::new(
            desk.now,
            slot,
            config,
            &self.common,
            desk.rng,
        ));
        if let Some(source) = transport.resume(desk, record, &self.common) {
            self.sources.prove(source, slot, |_| true);
        }
        self.put_back(desk, slot, transport);
        Ok(())
    }

    /// Removes a slot's transport, if it is of this generation. Keys are overwritten.
    pub(crate) fn remove(&mut self, desk: &mut Desk<'_>, slot: u32, generation: u32) {
        let is_it = |transport: &&mut Option<Box<Transport>>| {
            let transport = transport.as_ref();
            transport.is_some_and(|transport| transport.config.generation == generation)
        };
        let place = self.slots.get_mut(slot as usize);
        let Some(mut transport) = place.filter(is_it).and_then(Option::take) else {
            return;
        };
        if let Some(record) = desk.view.transport(slot) {
            record.clear();
        }
        for address in transport.addresses() {
            self.sources.forget(address, slot);
        }
        self.deadlines.set(slot, None);
        self.live -= 1;
        if self.live == 0 {
            for port in &self.common.ports {
                desk.driver.disarm(port.key);
            }
        }
    }

    /// Opens the ports for the first browser.
    fn arm_with_first(&mut self, driver: &mut Driver) -> Result<(), RejectReason> {
        if self.common.ports.is_empty() {
            return Err(RejectReason::Resource);
        }
        if self.live == 0 {
            for port in &self.common.ports {
                driver.arm(port.key).map_err(|_| RejectReason::Resource)?;
            }
        }
        self.live += 1;
        Ok(())
    }

    fn take(&mut self, slot: u32) -> Option<Box<Transport>> {
        self.slots.get_mut(slot as usize)?.take()
    }

    /// Carries out what a transport wants, notes when it wants to be looked at next,
    /// and puts it back into its slot.
    fn put_back(
        &mut self,
        desk: &mut Desk<'_>,
        slot: u32,
        mut transport: Box<Transport>,
    ) -> Changes {
        let slots = &self.slots;
        let holds = |address, other: u32| {
            let other = slots.get(other as usize).and_then(Option::as_ref);
            other.is_some_and(|other| other.holds(address))
        };
        let changes = transport.settle(desk, &self.common, &mut self.sources, holds);
        self.deadlines.set(slot, Some(transport.deadline()));
        self.slots[slot as usize] = Some(transport);
        changes
    }
}
