//! One leg's transport.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use plenum_abi::{
    EventKind, Nanos, SocketAddress, TransportConfig, TransportKeys, TransportRecord,
    transport_flags,
};
use plenum_dtls::{Association, Output as DtlsOutput, SessionKeys};
use plenum_ice::{Agent, Candidate, Output as IceOutput, Path};
use rand::Rng;

use super::{Bundle, Common, Desk, Route};
use crate::counters::{add, set};
use crate::sources::{PER_LEG_MAX, Sources};

/// Room for the largest datagram of a handshake.
const DATAGRAM_MAX: usize = 1_400;
/// [`EventKind::TransportFailed`]: no path.
const FAILED_ICE: u64 = 1;
/// [`EventKind::TransportFailed`]: no keys.
const FAILED_DTLS: u64 = 2;

/// What has changed for the leg.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Changes {
    /// There are new keys.
    pub(crate) keys: bool,
    /// There is another route, or none any more.
    pub(crate) route: bool,
}

/// See the [module](super).
pub(crate) struct Transport {
    pub(crate) config: TransportConfig,
    slot: u32,
    agent: Agent,
    association: Option<Association>,
    /// The association was told something, and is to be asked what it wants.
    association_stirs: bool,
    /// There is to be a handshake: there are no keys, or they are of another peer.
    needs_keys: bool,
    /// Where the handshake's newest datagram came from.
    dtls_path: Option<Path>,
    /// The handshake failed: nothing more is tried under this configuration.
    dtls_failed: bool,
    keys: Option<TransportKeys>,
    route: Option<Route>,
    said_connected: bool,
    failed: bool,
    /// Addresses that the table of sources may have as ours.
    addresses: Vec<SocketAddr>,
    deadline: Nanos,
}

fn ice_role(config: &TransportConfig) -> plenum_ice::Role {
    let nominates = transport_flags::CONTROLLING | transport_flags::REMOTE_LITE;
    if config.flags & nominates == 0 {
        plenum_ice::Role::Controlled
    } else {
        plenum_ice::Role::Controlling
    }
}

fn dtls_role(config: &TransportConfig) -> plenum_dtls::Role {
    if config.flags & transport_flags::DTLS_CLIENT == 0 {
        plenum_dtls::Role::Server
    } else {
        plenum_dtls::Role::Client
    }
}

/// Whether a datagram begins with a ClientHello: a handshake record (22) of the first
/// epoch whose message is of type 1 (RFC 6347 sections 4.1 and 4.2.2). Both versions
/// send it in the clear.
fn begins_handshake(datagram: &[u8]) -> bool {
    datagram.first() == Some(&22)
        && datagram.get(3..5) == Some(&[0, 0])
        && datagram.get(13) == Some(&1)
}

impl Transport {
    pub(super) fn new(
        now: Nanos,
        slot: u32,
        config: TransportConfig,
        common: &Common,
        rng: &mut impl Rng,
    ) -> Self {
        let ours: Vec<SocketAddr> = common.ports.iter().map(|port| port.address).collect();
        let credentials = [&config.local, &config.remote];
        let role = ice_role(&config);
        Self {
            agent: Agent::new(now, common.epoch, credentials, role, &ours, rng.random()),
            slot,
            association: None,
            association_stirs: false,
            needs_keys: true,
            dtls_path: None,
            dtls_failed: false,
            keys: None,
            route: None,
            said_connected: false,
            failed: false,
            addresses: Vec::with_capacity(PER_LEG_MAX),
            deadline: now,
            config,
        }
    }

    /// Takes keys and path that a worker before this one left in the record; tells
    /// the far end's address, which had been proven to that one.
    pub(super) fn resume(
        &mut self,
        desk: &mut Desk<'_>,
        record: &TransportRecord,
        common: &Common,
    ) -> Option<SocketAddr> {
        self.keys = record.keys.load();
        self.needs_keys = self.keys.is_none();
        let address = |stored: Option<SocketAddress>| stored?.get();
        let path = Path {
            local: address(record.local.load())?,
            remote: address(record.remote.load())?,
        };
        let consent_at = Nanos(record.consent_at.load(Ordering::Relaxed));
        self.agent.resume(path, consent_at);
        self.route = common.route(path, desk.driver);
        self.said_connected = self.keys.is_some() && self.route.is_some();
        self.addresses.push(path.remote);
        Some(path.remote)
    }

    /// Takes the newest configuration.
    pub(super) fn update(&mut self, now: Nanos, config: TransportConfig) {
        let before = std::mem::replace(&mut self.config, config);
        self.agent.configure(now, &config.local, &config.remote);
        let restarted = config.local != before.local;
        let another_peer = config.remote_fingerprint != before.remote_fingerprint
            || dtls_role(&config) != dtls_role(&before);
        if another_peer {
            // The keys stay in use until the new association has some (RFC 8842 section 4).
            self.association = None;
            self.needs_keys = true;
        }
        if restarted || another_peer {
            self.dtls_failed = false;
            self.failed = false;
        }
    }

    /// Addresses that an ICE restart has made worthless.
    pub(super) fn take_stale(&mut self) -> Vec<SocketAddr> {
        let kept = self.agent.sources();
        let (kept, stale) = std::mem::take(&mut self.addresses)
            .into_iter()
            .partition(|address| kept.contains(address));
        self.addresses = kept;
        stale
    }

    /// Addresses that may be ours in the table of sources.
    pub(super) fn addresses(&mut self) -> Vec<SocketAddr> {
        std::mem::take(&mut self.addresses)
    }

    /// Whether the leg has its path to `address` and may send there.
    pub(super) fn holds(&self, address: SocketAddr) -> bool {
        let selected = self.agent.selected().map(|path| path.remote);
        selected == Some(address) && self.agent.consent_at().is_some()
    }

    pub(super) fn add_candidate(&mut self, candidate: &Candidate) {
        self.agent.add_remote(candidate);
    }

    /// What the leg gets. Without keys it gets no route: it would send in the clear.
    pub(crate) fn bundle(&self) -> Bundle {
        Bundle {
            keys: self.keys,
            route: self.keys.and(self.route),
        }
    }

    pub(super) const fn deadline(&self) -> Nanos {
        self.deadline
    }

    /// Takes a STUN message; `false` when it is not the far end's.
    pub(super) fn on_stun(&mut self, now: Nanos, path: Path, datagram: &[u8]) -> bool {
        self.agent.on_datagram(now, path, datagram)
    }

    /// Takes a datagram of a handshake from an address that was proven.
    pub(super) fn on_dtls(&mut self, now: Nanos, common: &Common, path: Path, datagram: &[u8]) {
        let waits = dtls_role(&self.config) == plenum_dtls::Role::Server;
        if self.association.is_none() && waits && !self.dtls_failed && begins_handshake(datagram) {
            self.associate(now, common);
        }
        // After a crash there is none, and nothing in such a datagram could be read.
        if let Some(association) = &mut self.association {
            self.dtls_path = Some(path);
            association.on_datagram(now, datagram);
            self.association_stirs = true;
        }
    }

    fn associate(&mut self, now: Nanos, common: &Common) {
        let expected = self.config.remote_fingerprint;
        let role = dtls_role(&self.config);
        let identity = &common.identity;
        let association = Association::new(now, common.epoch, identity, role, expected);
        self.association = Some(association);
        self.association_stirs = true;
    }

    /// Does what is due.
    pub(super) fn on_timeout(&mut self, now: Nanos) {
        if self.agent.deadline() <= now {
            self.agent.on_timeout(now);
        }
        if let Some(association) = &mut self.association
            && association.deadline() <= now
        {
            association.on_timeout(now);
            self.association_stirs = true;
        }
    }

    /// Carries out what the two machines want, until they want nothing more.
    /// `holds` says whether the leg in a slot has its path to an address.
    pub(super) fn settle(
        &mut self,
        desk: &mut Desk<'_>,
        common: &Common,
        sources: &mut Sources,
        holds: impl Fn(SocketAddr, u32) -> bool,
    ) -> Changes {
        let mut changes = Changes::default();
        self.settle_ice(desk, common, sources, holds, &mut changes);
        let begins = dtls_role(&self.config) == plenum_dtls::Role::Client;
        let wanted = self.needs_keys && self.association.is_none() && !self.dtls_failed;
        if begins && wanted && self.route.is_some() {
            self.associate(desk.now, common);
        }
        if self.association_stirs {
            self.settle_dtls(desk, common, &mut changes);
        }
        self.tell(desk);
        let association = self.association.as_ref().map(Association::deadline);
        let ice = self.agent.deadline();
        self.deadline = association.map_or(ice, |dtls| dtls.min(ice));
        changes
    }

    fn settle_ice(
        &mut self,
        desk: &mut Desk<'_>,
        common: &Common,
        sources: &mut Sources,
        holds: impl Fn(SocketAddr, u32) -> bool,
        changes: &mut Changes,
    ) {
        while let Some(output) = self.agent.poll(desk.now) {
            match output {
                IceOutput::Send { path, datagram } => {
                    if sources.ask(path.remote, self.slot) {
                        self.note(path.remote);
                    }
                    send(desk, common, path, &datagram);
                }
                IceOutput::Source(source) => {
                    if sources.prove(source, self.slot, |owner| holds(source, owner)) {
                        self.note(source);
                    }
                }
                IceOutput::Selected(path) => {
                    self.route = common.route(path, desk.driver);
                    self.failed = false;
                    changes.route = true;
                    if let Some(record) = desk.view.transport(self.slot) {
                        record.remote.store(&SocketAddress::from(path.remote));
                        record.local.store(&SocketAddress::from(path.local));
                    }
                }
                IceOutput::Lost => {
                    self.route = None;
                    changes.route = true;
                    if std::mem::take(&mut self.said_connected) {
                        self.say(desk, EventKind::TransportLost, 0);
                    }
                }
                IceOutput::Failed => {
                    self.failed = true;
                    self.say(desk, EventKind::TransportFailed, FAILED_ICE);
                }
            }
        }
    }

    fn settle_dtls(&mut self, desk: &mut Desk<'_>, common: &Common, changes: &mut Changes) {
        while let Some(association) = &mut self.association {
            let Some(mut lease) = desk.driver.send_buffer() else {
                // What is lost here is repeated by the handshake's own timer.
                return;
            };
            let room = lease.set_len(DATAGRAM_MAX);
            debug_assert!(room, "a slot is larger than any datagram of ours");
            let output = association.poll(desk.driver.bytes_mut(&mut lease));
            let path = self.dtls_path.or_else(|| self.agent.selected());
            let route = path.and_then(|path| common.route(path, desk.driver));
            match (output, route) {
                (Some(DtlsOutput::Datagram { len }), Some(Route { key, to })) => {
                    lease.truncate(len);
                    desk.outbox.push(desk.driver, key, to, lease, None);
                    continue;
                }
                (Some(DtlsOutput::Keys(keys)), _) => self.take_keys(desk, &keys, changes),
                (Some(DtlsOutput::Failed(_)), _) => self.give_up_dtls(desk),
                (Some(DtlsOutput::Datagram { .. }), None) => {}
                (None, _) => {
                    self.association_stirs = false;
                    return desk.driver.release(lease);
                }
            }
            desk.driver.release(lease);
        }
        self.association_stirs = false;
    }

    /// New keys: in the record before they are used.
    fn take_keys(&mut self, desk: &mut Desk<'_>, session: &SessionKeys, changes: &mut Changes) {
        let keys = TransportKeys {
            epoch: self.keys.map_or(0, |keys| keys.epoch).wrapping_add(1),
            srtp_suite: session.suite as u32,
            tx_keys: session.tx,
            rx_keys: session.rx,
        };
        if let Some(record) = desk.view.transport(self.slot) {
            record.keys.store(&keys);
        }
        add(&desk.view.stats().handshakes, 1);
        self.keys = Some(keys);
        self.needs_keys = false;
        changes.keys = true;
    }

    /// The association is over. With keys in hand nothing is lost by it.
    fn give_up_dtls(&mut self, desk: &mut Desk<'_>) {
        self.association = None;
        if !self.needs_keys {
            return;
        }
        self.dtls_failed = true;
        self.failed = true;
        if let Some(record) = desk.view.transport(self.slot) {
            add(&record.dtls_failures, 1);
        }
        self.say(desk, EventKind::TransportFailed, FAILED_DTLS);
    }

    /// Brings the record's gauges up to date, and tells when media can flow.
    fn tell(&mut self, desk: &mut Desk<'_>) {
        let connected = self.keys.is_some() && self.route.is_some();
        if connected && !std::mem::replace(&mut self.said_connected, true) {
            self.say(desk, EventKind::TransportConnected, 0);
        }
        let Some(record) = desk.view.transport(self.slot) else {
            return;
        };
        if let Some(at) = self.agent.consent_at() {
            set(&record.consent_at, at.0);
        }
        let state = match (connected, self.failed) {
            (true, _) => 2,
            (false, true) => 3,
            (false, false) => 1,
        };
        set(&record.state, state);
    }

    fn say(&self, desk: &mut Desk<'_>, kind: EventKind, value: u64) {
        let generation = self.config.generation;
        desk.events.leg(kind, self.slot, generation, value);
    }

    fn note(&mut self, address: SocketAddr) {
        if !self.addresses.contains(&address) {
            self.addresses.push(address);
        }
    }
}

/// Sends a STUN message.
fn send(desk: &mut Desk<'_>, common: &Common, path: Path, datagram: &[u8]) {
    let Some(Route { key, to }) = common.route(path, desk.driver) else {
        return;
    };
    let Some(mut lease) = desk.driver.send_buffer() else {
        return;
    };
    if !lease.set_len(datagram.len()) {
        return desk.driver.release(lease);
    }
    desk.driver.bytes_mut(&mut lease).copy_from_slice(datagram);
    desk.outbox.push(desk.driver, key, to, lease, None);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_first_client_hello_begins_a_handshake() {
        let mut hello = [0; 60];
        (hello[0], hello[1], hello[2], hello[13]) = (22, 254, 253, 1);
        assert!(begins_handshake(&hello));
        for (index, value) in [(0, 23), (4, 1), (13, 2)] {
            let mut other = hello;
            other[index] = value;
            assert!(!begins_handshake(&other), "byte {index}");
        }
        for len in 0..14 {
            assert!(!begins_handshake(&hello[..len]));
        }
    }
}
