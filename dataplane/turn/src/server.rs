//! The machine: where packets go, and what runs out.
//!
//! [`requests`] is the other half: what is asked for and answered.

mod authenticate;
mod requests;

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use plenum_abi::{Nanos, TurnRecord, TurnStats};
use plenum_stun::{
    CHANNEL_HEADER, Class, HEADER, Message, Method, Packet, TransactionId, Writer, address,
    attribute, channel_header, padding,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::allocation::{Allocation, second};
use crate::bucket::{Bucket, Credit};
use crate::config::{Config, RelayAddress};
use crate::endpoint::{Endpoint, Family};
use crate::relays::{Relays, Tenant};
use crate::users::Users;
use crate::{Client, RelayId, Via};

/// Longest answer.
const REPLY_MAX: usize = 1_280;
/// Longest header: a Data indication from an IPv6 peer.
const HEADER_MAX: usize = HEADER + 4 + address::ADDRESS_MAX + 4;
/// Slots that are looked at in one go for what ran out.
const SWEEP: usize = 64;

/// Both clocks: the one that deadlines are on, and the one that credentials name.
#[derive(Clone, Copy, Debug)]
pub struct Time {
    /// Since the machine started.
    pub now: Nanos,
    /// Seconds of the Unix clock.
    pub unix_s: u64,
}

/// The records of one worker, wherever they lie.
pub trait Records {
    /// The record of a slot below [`Records::slots`].
    fn record(&self, slot: u32) -> &TurnRecord;
    /// How many slots there are: most allocations at a time.
    fn slots(&self) -> u32;
    /// The worker's counters.
    fn stats(&self) -> &TurnStats;
}

/// Bytes that go before a payload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    bytes: [u8; HEADER_MAX],
    len: u8,
}

impl Header {
    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// A payload that goes to a peer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ToPeer {
    /// From this relay socket.
    pub relay: RelayId,
    /// To this peer.
    pub peer: SocketAddr,
    /// Where in the client's packet it lies.
    pub payload: Range<usize>,
}

/// A payload that goes to a client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ToClient {
    /// To whom.
    pub client: Client,
    /// What goes before it.
    pub header: Header,
    /// Zeros that go behind it.
    pub padding: usize,
    /// Where in the packet it lies.
    pub payload: Range<usize>,
}

/// What becomes of a client's packet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FromClient {
    /// To a peer.
    ToPeer(ToPeer),
    /// To another client of this worker: its relay was the peer.
    ToClient(ToClient),
    /// [`Server::reply`] has an answer to the sender.
    Reply,
    /// Nothing.
    Dropped(Dropped),
}

/// Why a packet went no further.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Dropped {
    /// Neither STUN nor ChannelData, or broken.
    Malformed,
    /// No allocation, no permission or no channel for it.
    Unpermitted,
    /// Beyond a bandwidth limit.
    Throttled,
    /// Its source would get more than it may before it is proved.
    Unproved,
}

/// What is to be done with a relay socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SocketChange {
    /// Empty it, then listen to it.
    Open(RelayId),
    /// Listen no more.
    Close(RelayId),
}

/// How a peer is reached.
#[derive(Clone, Copy, Debug)]
enum Route {
    Kernel(SocketAddr),
    Relay(RelayId),
}

/// Multiplies and mixes, from a secret start: client addresses are chosen by
/// others, and only those who proved a password get into the table.
#[derive(Clone, Debug)]
struct KeyedHash(u64);

struct KeyedHasher(u64);

impl BuildHasher for KeyedHash {
    type Hasher = KeyedHasher;

    fn build_hasher(&self) -> KeyedHasher {
        KeyedHasher(self.0)
    }
}

impl Hasher for KeyedHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        let wide = u128::from(self.0 ^ word) * 0x9e37_79b9_7f4a_7c15;
        self.0 = (wide as u64 ^ (wide >> 64) as u64).rotate_left(23) ^ word;
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(word.into());
    }

    fn write_u16(&mut self, word: u16) {
        self.write_u64(word.into());
    }

    fn write_u8(&mut self, word: u8) {
        self.write_u64(word.into());
    }

    fn finish(&self) -> u64 {
        self.0.wrapping_mul(0xd6e8_feb8_6659_fd93) ^ self.0 >> 32
    }
}

/// Key of the table of clients, without what hashing a `SocketAddr` would cost.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct ClientKey {
    ip: u128,
    port_and_via: u64,
}

impl From<&Client> for ClientKey {
    fn from(client: &Client) -> Self {
        let Endpoint { ip, port } = client.endpoint();
        let via = match client.via {
            Via::Udp(listener) => u64::from(listener),
            Via::Stream(connection) => 1 << 40 | u64::from(connection),
        };
        Self {
            ip: u128::from_be_bytes(ip),
            port_and_via: u64::from(port) << 48 | via,
        }
    }
}

/// A TURN server: see the crate's header.
pub struct Server<R> {
    config: Config,
    records: R,
    rng: StdRng,
    by_client: HashMap<ClientKey, u32, KeyedHash>,
    allocations: Vec<Option<Allocation>>,
    free_slots: Vec<u32>,
    relays: Relays,
    /// A bit for each of [`Config::server_ports`].
    server_ports: Vec<u64>,
    users: Users,
    all_bytes: Bucket,
    credit: Credit,
    draining: bool,
    changes: VecDeque<SocketChange>,
    reply: [u8; REPLY_MAX],
    reply_len: usize,
    /// Counts Data indications, to number their transactions.
    indications: u64,
    swept: usize,
}

impl<R> std::fmt::Debug for Server<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("allocations", &self.by_client.len())
            .finish_non_exhaustive()
    }
}

impl<R: Records> Server<R> {
    /// A server, with all that a predecessor left in the records. `seed` is to
    /// be random: ports and tokens follow from it.
    pub fn new(config: Config, records: R, seed: [u8; 32], now: Nanos) -> Self {
        let mut rng = StdRng::from_seed(seed);
        let slots = records.slots();
        let mut server = Self {
            by_client: HashMap::with_hasher(KeyedHash(rng.random())),
            allocations: (0..slots).map(|_| None).collect(),
            free_slots: Vec::new(),
            relays: Relays::new(&config.ports),
            server_ports: bits(&config.server_ports),
            users: Users::new(
                config.limits.allocations_per_user,
                config.limits.user_bytes_per_s,
            ),
            all_bytes: Bucket::new(config.limits.all_bytes_per_s, now),
            credit: Credit::new(rng.random()),
            draining: false,
            changes: VecDeque::new(),
            reply: [0; REPLY_MAX],
            reply_len: 0,
            indications: rng.random(),
            swept: 0,
            rng,
            config,
            records,
        };
        for slot in (0..slots).rev() {
            if !server.adopt(slot, now) {
                server.records.record(slot).clear();
                server.free_slots.push(slot);
            }
        }
        server.count_allocations();
        server
    }

    /// Takes over what a record holds; `false` when there is nothing to go on with.
    fn adopt(&mut self, slot: u32, now: Nanos) -> bool {
        let record = self.records.record(slot);
        let Some(kept) = record.live() else {
            return false;
        };
        if kept.is_stream != 0
            || kept.expires <= now.0
            || usize::from(kept.realm) >= self.config.realms.len()
        {
            return false;
        }
        let Some(user_index) = self.users.enter(kept.quota, now) else {
            return false;
        };
        let adopted = Allocation::adopt(&kept, record, user_index).filter(|allocation| {
            let key = ClientKey::from(&allocation.client);
            !self.by_client.contains_key(&key) && allocation.relays != [None; 2]
        });
        let Some(allocation) = adopted else {
            self.users.leave(user_index);
            return false;
        };
        let mut had = Vec::new();
        for (relay, family) in allocation.relays.iter().zip([Family::V4, Family::V6]) {
            let Some(relay) = relay else { continue };
            if !self.relays.adopt(*relay, family, slot) {
                for relay in had {
                    self.relays.give_back(relay);
                }
                self.users.leave(user_index);
                return false;
            }
            had.push(*relay);
        }
        self.changes.extend(had.into_iter().map(SocketChange::Open));
        self.by_client.insert((&allocation.client).into(), slot);
        self.allocations[slot as usize] = Some(allocation);
        true
    }

    /// New clients are sent elsewhere, or not any more.
    pub fn set_draining(&mut self, draining: bool) {
        self.draining = draining;
    }

    /// The answer that [`FromClient::Reply`] announced.
    #[must_use]
    pub fn reply(&self) -> &[u8] {
        &self.reply[..self.reply_len]
    }

    /// The next relay socket that changes.
    pub fn next_change(&mut self) -> Option<SocketChange> {
        self.changes.pop_front()
    }

    /// Allocations now.
    #[must_use]
    pub fn allocations(&self) -> usize {
        self.by_client.len()
    }

    /// Whether a client has an allocation.
    #[must_use]
    pub fn has_allocation(&self, client: &Client) -> bool {
        self.slot_of(client).is_some()
    }

    /// The records.
    #[must_use]
    pub fn records(&self) -> &R {
        &self.records
    }

    fn stats(&self) -> &TurnStats {
        self.records.stats()
    }

    fn count_allocations(&self) {
        let count = self.by_client.len() as u64;
        self.stats().allocations.store(count, Ordering::Relaxed);
    }

    fn slot_of(&self, client: &Client) -> Option<u32> {
        self.by_client.get(&client.into()).copied()
    }

    fn relay_address(&self, family: Family) -> Option<&RelayAddress> {
        match family {
            Family::V4 => self.config.relay_v4.as_ref(),
            Family::V6 => self.config.relay_v6.as_ref(),
        }
    }

    /// The relayed address as clients and peers know it.
    fn relayed(&self, relay: RelayId) -> Option<SocketAddr> {
        let address = self.relay_address(self.relays.family(relay))?;
        Some(SocketAddr::new(address.public, self.relays.port(relay)))
    }

    /// The family of which an address is this server's relay address.
    fn own_relay_family(&self, ip: IpAddr) -> Option<Family> {
        let family = Family::of(ip);
        let address = self.relay_address(family)?;
        (address.public == ip || address.local == ip).then_some(family)
    }

    /// Where a peer is: `None` when nothing may be sent there.
    fn route(&self, peer: SocketAddr) -> Option<Route> {
        let Some(family) = self.own_relay_family(peer.ip()) else {
            // Its address was looked at when it was permitted.
            return Some(Route::Kernel(peer));
        };
        if let Some(relay) = self.relays.on_port(family, peer.port()) {
            return Some(Route::Relay(relay));
        }
        let port = usize::from(peer.port());
        if self.server_ports[port / 64] >> (port % 64) & 1 == 1 {
            // Another worker's relay, or media: through the kernel, which knows only
            // the local address.
            let own = self.relay_address(family)?;
            return Some(Route::Kernel(SocketAddr::new(own.local, peer.port())));
        }
        // Some other service on our address.
        self.config.peers.check(peer.ip()).ok()?;
        Some(Route::Kernel(peer))
    }

    /// Whether a peer may be bound to a channel.
    fn may_send(&self, peer: SocketAddr) -> bool {
        match self.own_relay_family(peer.ip()) {
            Some(_) => self.route(peer).is_some(),
            None => self.config.peers.check(peer.ip()).is_ok(),
        }
    }

    /// A packet of `count` equal ones, one behind the other in time, from a
    /// client. All of them go where this one goes: `count` is above 1 only for
    /// ChannelData.
    pub fn from_client(
        &mut self,
        time: Time,
        client: &Client,
        packet: &[u8],
        count: u32,
    ) -> FromClient {
        match Packet::parse(packet) {
            Ok(Packet::ChannelData(data)) => {
                let payload = CHANNEL_HEADER..CHANNEL_HEADER + data.payload.len();
                let Some(slot) = self.slot_of(client) else {
                    return self.dropped(Dropped::Unpermitted);
                };
                let allocation = self.allocations[slot as usize].as_ref();
                let now_s = second(time.now);
                let peer = allocation
                    .filter(|allocation| allocation.expires > time.now)
                    .and_then(|allocation| allocation.on_channel(data.channel, now_s));
                match peer {
                    Some(peer) => self.pass_to_peer(time, slot, peer, payload, count),
                    None => self.dropped(Dropped::Unpermitted),
                }
            }
            Ok(Packet::Message(message)) => match (message.class(), message.method()) {
                (Class::Indication, Method::SEND) => self.send_indication(time, client, &message),
                (Class::Request, _) => self.request(time, client, &message),
                // Indications of binding keep a NAT open; answers were not asked for.
                _ => FromClient::Dropped(Dropped::Malformed),
            },
            Err(_) => FromClient::Dropped(Dropped::Malformed),
        }
    }

    fn dropped(&self, why: Dropped) -> FromClient {
        match why {
            Dropped::Unpermitted => count(&self.stats().unpermitted, 1),
            Dropped::Throttled => count(&self.stats().throttled, 1),
            Dropped::Unproved => count(&self.stats().unanswered, 1),
            Dropped::Malformed => {}
        }
        FromClient::Dropped(why)
    }

    fn send_indication(
        &mut self,
        time: Time,
        client: &Client,
        message: &Message<'_>,
    ) -> FromClient {
        let mut peer = None;
        let mut payload = None;
        for found in message.attributes() {
            match found.kind {
                attribute::XOR_PEER_ADDRESS if peer.is_none() => {
                    peer = address::read_xored(found.value, &message.transaction());
                }
                attribute::DATA if payload.is_none() => {
                    payload = Some(found.at + 4..found.at + 4 + found.value.len());
                }
                // Not understood, or not done: the packet is dropped (section 11.3).
                attribute::DONT_FRAGMENT => return FromClient::Dropped(Dropped::Malformed),
                kind if kind < 0x8000 && !attribute::is_known_to_turn(kind) => {
                    return FromClient::Dropped(Dropped::Malformed);
                }
                _ => {}
            }
        }
        let (Some(peer), Some(payload)) = (peer, payload) else {
            return FromClient::Dropped(Dropped::Malformed);
        };
        let Some(slot) = self.slot_of(client) else {
            return self.dropped(Dropped::Unpermitted);
        };
        self.pass_to_peer(time, slot, peer.into(), payload, 1)
    }

    fn pass_to_peer(
        &mut self,
        time: Time,
        slot: u32,
        peer: Endpoint,
        payload: Range<usize>,
        packets: u32,
    ) -> FromClient {
        let Some(allocation) = &self.allocations[slot as usize] else {
            return self.dropped(Dropped::Unpermitted);
        };
        let address = peer.address();
        let relay = allocation.relays[Family::of(address.ip()).index()];
        let permitted = allocation.expires > time.now
            && address.port() != 0
            && allocation.permits(&peer.ip, second(time.now));
        let (Some(relay), true, Some(route)) = (relay, permitted, self.route(address)) else {
            return self.dropped(Dropped::Unpermitted);
        };
        let bytes = payload.len() as u64 * u64::from(packets);
        let user = allocation.user_index;
        if !self.all_bytes.take(bytes, time.now) || !self.users.take(user, bytes, time.now) {
            return self.dropped(Dropped::Throttled);
        }
        let record = self.records.record(slot);
        count(&record.stats.packets_to_peers, packets.into());
        count(&record.stats.bytes_to_peers, bytes);
        count(&self.stats().packets_to_peers, packets.into());
        count(&self.stats().bytes_to_peers, bytes);
        match route {
            Route::Kernel(peer) => FromClient::ToPeer(ToPeer {
                relay,
                peer,
                payload,
            }),
            // A relay of this worker: straight to whose it is.
            Route::Relay(other) => self
                .relayed(relay)
                .and_then(|from| self.pass_to_client(time, other, from, payload, packets))
                .map_or(
                    FromClient::Dropped(Dropped::Unpermitted),
                    FromClient::ToClient,
                ),
        }
    }

    /// `count` packets of `len` bytes each that came from a peer to a relay.
    pub fn from_peer(
        &mut self,
        time: Time,
        relay: RelayId,
        peer: SocketAddr,
        len: usize,
        count: u32,
    ) -> Option<ToClient> {
        // Another worker's relay sends from its local address; its permission is
        // for the public one.
        let mut peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        if let Some(own) = self.relay_address(Family::of(peer.ip()))
            && own.local == peer.ip()
            && own.public != own.local
        {
            peer.set_ip(own.public);
        }
        self.pass_to_client(time, relay, peer, 0..len, count)
    }

    fn pass_to_client(
        &mut self,
        time: Time,
        relay: RelayId,
        from: SocketAddr,
        payload: Range<usize>,
        packets: u32,
    ) -> Option<ToClient> {
        let Tenant::Allocation(slot) = self.relays.tenant(relay) else {
            count(&self.stats().unpermitted, 1);
            return None;
        };
        let allocation = self.allocations[slot as usize].as_ref()?;
        let peer = Endpoint::from(from);
        let now_s = second(time.now);
        if allocation.expires <= time.now || !allocation.permits(&peer.ip, now_s) {
            count(&self.stats().unpermitted, 1);
            return None;
        }
        let bytes = payload.len() as u64 * u64::from(packets);
        let user = allocation.user_index;
        if !self.all_bytes.take(bytes, time.now) || !self.users.take(user, bytes, time.now) {
            count(&self.stats().throttled, 1);
            return None;
        }
        let len = u16::try_from(payload.len()).ok()?;
        let client = allocation.client;
        let (header, padding) = match allocation.channel_of(&peer, now_s) {
            Some(channel) => {
                let mut bytes = [0; HEADER_MAX];
                bytes[..CHANNEL_HEADER].copy_from_slice(&channel_header(channel, len));
                let header = Header {
                    bytes,
                    len: CHANNEL_HEADER as u8,
                };
                // On a stream the next frame must begin at a multiple of four.
                let pad = match client.is_stream() {
                    true => padding(payload.len()),
                    false => 0,
                };
                (header, pad)
            }
            None => {
                self.indications = self.indications.wrapping_add(1);
                (
                    data_indication(self.indications, from, len)?,
                    padding(payload.len()),
                )
            }
        };
        let record = self.records.record(slot);
        count(&record.stats.packets_to_client, packets.into());
        count(&record.stats.bytes_to_client, bytes);
        count(&self.stats().packets_to_clients, packets.into());
        count(&self.stats().bytes_to_clients, bytes);
        Some(ToClient {
            client,
            header,
            padding,
            payload,
        })
    }

    /// A client's connection is closed: its allocation ends (RFC 8656 section 3.1).
    pub fn stream_closed(&mut self, client: &Client) {
        if let Some(slot) = self.slot_of(client) {
            self.remove(slot);
        }
    }

    /// Gives back what ran out. To be called some times a second; each call looks
    /// at some of the slots, so that a full table is gone through in a second or
    /// two at ten calls a second for each thousand slots.
    pub fn handle_timeout(&mut self, now: Nanos) {
        self.relays.expire(now);
        let slots = self.allocations.len();
        for _ in 0..SWEEP.max(slots / 10).min(slots) {
            let slot = self.swept % slots;
            self.swept = slot + 1;
            let Some(allocation) = &mut self.allocations[slot] else {
                continue;
            };
            if allocation.expires <= now {
                self.remove(slot as u32);
            } else {
                allocation.expire_peers(self.records.record(slot as u32), now);
            }
        }
    }

    /// Whether everything that can be given is free.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn holds_nothing(&self) -> bool {
        let ports = self.config.ports.v4.len() + self.config.ports.v6.len();
        self.free_slots.len() == self.allocations.len()
            && self.relays.free_count() == ports
            && self.users.len() == 0
    }

    fn remove(&mut self, slot: u32) {
        let Some(allocation) = self.allocations[slot as usize].take() else {
            return;
        };
        self.records.record(slot).clear();
        self.by_client.remove(&(&allocation.client).into());
        self.users.leave(allocation.user_index);
        for relay in allocation.relays.into_iter().flatten() {
            self.relays.give_back(relay);
            self.changes.push_back(SocketChange::Close(relay));
        }
        self.free_slots.push(slot);
        self.count_allocations();
    }
}

/// All of a Data indication but the payload and its padding.
fn data_indication(number: u64, peer: SocketAddr, payload_len: u16) -> Option<Header> {
    let mut id = [0; 12];
    id[4..].copy_from_slice(&number.to_be_bytes());
    let mut bytes = [0; HEADER_MAX];
    let mut writer = Writer::new(
        &mut bytes,
        Class::Indication,
        Method::DATA,
        TransactionId(id),
    );
    writer.xored_address(attribute::XOR_PEER_ADDRESS, peer);
    let at = writer.finish()?;
    // DATA comes last; its value is not in this buffer.
    let whole = at + 4 + usize::from(payload_len).next_multiple_of(4);
    let body = u16::try_from(whole - HEADER).ok()?;
    bytes[2..4].copy_from_slice(&body.to_be_bytes());
    bytes[at..at + 2].copy_from_slice(&attribute::DATA.to_be_bytes());
    bytes[at + 2..at + 4].copy_from_slice(&payload_len.to_be_bytes());
    Some(Header {
        bytes,
        len: (at + 4) as u8,
    })
}

/// A bit for each port.
fn bits(ports: &[u16]) -> Vec<u64> {
    let mut bits = vec![0; 1 << 10];
    for port in ports {
        bits[usize::from(*port) / 64] |= 1 << (port % 64);
    }
    bits
}

/// The one writer of a counter need not lock it.
fn count(counter: &AtomicU64, more: u64) {
    counter.store(
        counter.load(Ordering::Relaxed).wrapping_add(more),
        Ordering::Relaxed,
    );
}
