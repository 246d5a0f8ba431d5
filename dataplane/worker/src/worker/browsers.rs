//! The loop's part in browsers' transports: datagrams of the shared ports, their
//! deadlines, and what has changed for legs.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::Instant;

use plenum_abi::{
    AddCandidate, LegConfig, LegFlags, Nanos, RejectReason, SetTransport, SlotRef, SocketAddress,
};
use plenum_ice::Path;
use plenum_rtp::packet::{Kind, classify};
use plenum_uring::{Driver, Lease};

use super::{BrowserPorts, SetupError, Worker};
use crate::counters::add;
use crate::leg::Inbound;
use crate::transports::{Bundle, Changes, Common, Desk, Port, Transports};
use crate::video::{Carries, VideoInbound};

/// Deadlines of transports that one turn of the loop looks at, so that many at a
/// time do not hold up a tick.
const DEADLINES_PER_TURN: usize = 16;

/// Registers the sockets that browsers share, behind those of the leg slots.
pub(super) fn open(
    ports: BrowserPorts,
    driver: &mut Driver,
    slots: u32,
) -> Result<Transports, SetupError> {
    let mut shared = Vec::with_capacity(ports.sockets.len());
    for (key, socket) in (slots * 2..).zip(ports.sockets) {
        let socket = UdpSocket::from(socket);
        let address = socket.local_addr().map_err(SetupError::Address)?;
        driver.register_socket(key, OwnedFd::from(socket))?;
        shared.push(Port { key, address });
    }
    let common = Common {
        identity: ports.identity,
        epoch: Instant::now(),
        ports: shared,
    };
    Ok(Transports::new(common, slots))
}

/// The transports and a desk for them, out of a worker; `None` where no browser is met.
macro_rules! at_desk {
    ($worker:ident) => {
        $worker.transports.as_mut().map(|transports| {
            let desk = Desk {
                now: plenum_uring::now(),
                view: &$worker.view,
                driver: &mut $worker.driver,
                outbox: &mut $worker.outbox,
                events: &mut $worker.events,
                rng: &mut $worker.rng,
            };
            (transports, desk)
        })
    };
}

impl Worker {
    /// Takes a datagram that came to one of the shared ports.
    pub(super) fn on_browser_datagram(
        &mut self,
        now: Nanos,
        key: u32,
        source: SocketAddr,
        lease: Lease,
    ) {
        let Some((transports, mut desk)) = at_desk!(self) else {
            return self.driver.release(lease);
        };
        let Some(local) = transports.address_of(key) else {
            return desk.driver.release(lease);
        };
        desk.now = now;
        let path = Path {
            local,
            remote: source,
        };
        let ours = match classify(desk.driver.bytes(&lease)) {
            Kind::Stun => {
                let taken = transports.on_stun(&mut desk, path, &lease);
                desk.driver.release(lease);
                if let Some((slot, changes)) = taken {
                    self.tell_leg(slot, changes);
                }
                taken.is_some()
            }
            Kind::Dtls => match transports.queue_dtls(path, lease) {
                Ok(()) => true,
                Err(lease) => {
                    desk.driver.release(lease);
                    false
                }
            },
            Kind::Rtp | Kind::Rtcp => {
                let slot = transports.leg_at(source);
                self.on_bundled_media(now, slot, source, lease)
            }
            Kind::Other => {
                desk.driver.release(lease);
                false
            }
        };
        if !ours {
            add(&self.view.stats().rx_unknown, 1);
        }
    }

    /// Gives a media packet to its leg; `false` when it is nobody's.
    fn on_bundled_media(
        &mut self,
        now: Nanos,
        slot: Option<u32>,
        source: SocketAddr,
        lease: Lease,
    ) -> bool {
        let leg = slot.and_then(|slot| self.legs.get(slot as usize)?.as_ref());
        let leg = leg.filter(|leg| leg.config.flags().contains(LegFlags::BUNDLED));
        let Some(leg) = leg else {
            self.driver.release(lease);
            return false;
        };
        let slot = leg.slot;
        let bytes = self.driver.bytes(&lease);
        let kind = classify(bytes);
        let lease = if kind == Kind::Rtp && leg.is_sound(bytes) {
            lease
        } else {
            let inbound = VideoInbound {
                now,
                source: SocketAddress::from(source),
                on_rtcp_port: false,
                carries: Carries::Unnamed,
                lease,
            };
            let taken = match kind {
                Kind::Rtp => self.on_bundled_picture(slot, inbound),
                _ => self.on_bundled_reports(slot, inbound),
            };
            match taken {
                Ok(()) => return true,
                Err(inbound) => inbound.lease,
            }
        };
        let (Some(Some(leg)), Some(record)) =
            (self.legs.get_mut(slot as usize), self.view.leg(slot))
        else {
            self.driver.release(lease);
            return false;
        };
        let inbound = Inbound {
            now,
            source: SocketAddress::from(source),
            on_rtcp_port: false,
            lease,
        };
        leg.on_datagram(inbound, record, &mut self.driver, &mut self.events);
        true
    }

    /// Takes one step of a handshake, and looks at transports whose time has come.
    pub(super) fn advance_transports(&mut self) {
        for _ in 0..DEADLINES_PER_TURN {
            let due = at_desk!(self).and_then(|(all, mut desk)| all.on_timeout(&mut desk));
            let Some((slot, changes)) = due else {
                break;
            };
            self.tell_leg(slot, changes);
        }
        let stepped = at_desk!(self).and_then(|(all, mut desk)| all.step(&mut desk));
        if let Some((slot, changes)) = stepped {
            self.tell_leg(slot, changes);
        }
        self.outbox.flush(&mut self.driver);
    }

    /// Lets a leg know what has become of its transport.
    fn tell_leg(&mut self, slot: u32, changes: Changes) {
        if changes == Changes::default() {
            return;
        }
        let (Some(Some(leg)), Some(record)) =
            (self.legs.get_mut(slot as usize), self.view.leg(slot))
        else {
            return;
        };
        let generation = leg.config.generation;
        let transports = self.transports.as_ref();
        if let Some(bundle) = transports.and_then(|all| all.bundle(slot, generation)) {
            let now = plenum_uring::now();
            leg.set_bundle(now, bundle, record, &self.driver, &mut self.rng);
            self.tell_streams(slot, bundle);
        }
    }

    /// What the leg gets of its transport: `None` when it has a socket of its own.
    pub(super) fn bundle_of(
        &self,
        slot: u32,
        config: &LegConfig,
    ) -> Result<Option<Bundle>, RejectReason> {
        if !config.flags().contains(LegFlags::BUNDLED) {
            return Ok(None);
        }
        let transports = self.transports.as_ref().ok_or(RejectReason::Resource)?;
        let bundle = transports.bundle(slot, config.generation);
        bundle.map(Some).ok_or(RejectReason::WrongGeneration)
    }

    pub(super) fn set_transport(&mut self, wanted: &SetTransport) -> Result<(), RejectReason> {
        let (transports, mut desk) = at_desk!(self).ok_or(RejectReason::Resource)?;
        let changes = transports.set(&mut desk, wanted)?;
        self.tell_leg(wanted.slot, changes);
        Ok(())
    }

    pub(super) fn add_candidate(&mut self, wanted: &AddCandidate) -> Result<(), RejectReason> {
        let (transports, mut desk) = at_desk!(self).ok_or(RejectReason::Resource)?;
        let changes = transports.add_candidate(&mut desk, wanted)?;
        self.tell_leg(wanted.leg.slot, changes);
        Ok(())
    }

    pub(super) fn adopt_transport(&mut self, slot: u32) {
        if let Some((transports, mut desk)) = at_desk!(self) {
            // What cannot be had now will be missed by the leg, which is then dropped.
            let _ = transports.adopt(&mut desk, slot);
        }
    }

    pub(super) fn remove_transport(&mut self, about: SlotRef) {
        if let Some((transports, mut desk)) = at_desk!(self) {
            transports.remove(&mut desk, about.slot, about.generation);
        }
    }
}
