//! What clients ask for: Binding, Allocate, Refresh, CreatePermission, ChannelBind.

use std::net::SocketAddr;
use std::time::Duration;

use plenum_abi::TURN_PEERS;
use plenum_stun::{CHANNELS, Class, Message, Method, Writer, address, attribute};

use super::authenticate::{NotProved, Proved};
use super::{Dropped, FromClient, Records, Server, SocketChange, Time, count};
use crate::allocation::{Allocation, PeerError};
use crate::endpoint::{Endpoint, Family};
use crate::{Client, RelayId};

/// Lifetime without LIFETIME, and the shortest that is given (section 3.2).
const LIFETIME_DEFAULT: Duration = Duration::from_secs(600);
/// UDP's number in REQUESTED-TRANSPORT.
const UDP: u8 = 17;
/// Types that UNKNOWN-ATTRIBUTES lists at most.
const UNKNOWN_MAX: usize = 16;

/// Error codes of RFC 8489 section 14.8 and RFC 8656 section 19, with their reasons.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Failure {
    TryAlternate(SocketAddr),
    BadRequest,
    Forbidden,
    AllocationMismatch,
    AddressFamilyNotSupported,
    WrongCredentials,
    UnsupportedTransport,
    PeerAddressFamilyMismatch,
    AllocationQuotaReached,
    InsufficientCapacity,
    UnknownAttributes([u16; UNKNOWN_MAX], usize),
}

impl Failure {
    const fn code(self) -> (u16, &'static str) {
        match self {
            Self::TryAlternate(_) => (300, "Try Alternate"),
            Self::BadRequest => (400, "Bad Request"),
            Self::Forbidden => (403, "Forbidden"),
            Self::UnknownAttributes(..) => (420, "Unknown Attribute"),
            Self::AllocationMismatch => (437, "Allocation Mismatch"),
            Self::AddressFamilyNotSupported => (440, "Address Family not Supported"),
            Self::WrongCredentials => (441, "Wrong Credentials"),
            Self::UnsupportedTransport => (442, "Unsupported Transport Protocol"),
            Self::PeerAddressFamilyMismatch => (443, "Peer Address Family Mismatch"),
            Self::AllocationQuotaReached => (486, "Allocation Quota Reached"),
            Self::InsufficientCapacity => (508, "Insufficient Capacity"),
        }
    }
}

/// What an answer to a success holds.
#[derive(Clone, Copy, Debug, Default)]
struct Success {
    relayed: [Option<SocketAddr>; 2],
    lifetime_s: Option<u32>,
    token: Option<[u8; 8]>,
    mapped: Option<SocketAddr>,
    /// A family that was asked for on top and cannot be had.
    without: Option<(Family, u16)>,
}

fn unknown(message: &Message<'_>) -> Option<Failure> {
    let mut kinds = [0; UNKNOWN_MAX];
    let mut count = 0;
    for found in message.attributes() {
        // DONT-FRAGMENT is known and not done, which is said in this way.
        let known =
            attribute::is_known_to_turn(found.kind) && found.kind != attribute::DONT_FRAGMENT;
        if found.kind < 0x8000 && !known && count < UNKNOWN_MAX {
            kinds[count] = found.kind;
            count += 1;
        }
    }
    (count > 0).then_some(Failure::UnknownAttributes(kinds, count))
}

/// The family that an attribute names; `Err` when there is none of that number.
fn family(message: &Message<'_>, kind: u16) -> Result<Option<Family>, Failure> {
    match message.find(kind) {
        None => Ok(None),
        Some([number, _, _, _]) => Family::from_number(*number)
            .map(Some)
            .ok_or(Failure::AddressFamilyNotSupported),
        Some(_) => Err(Failure::BadRequest),
    }
}

impl<R: Records> Server<R> {
    pub(super) fn request(
        &mut self,
        time: Time,
        client: &Client,
        message: &Message<'_>,
    ) -> FromClient {
        if message.has_good_fingerprint() == Some(false) {
            return FromClient::Dropped(Dropped::Malformed);
        }
        let method = message.method();
        match method {
            Method::BINDING => {
                let success = Success {
                    mapped: Some(client.address),
                    ..Success::default()
                };
                self.answer(message, Ok(success), None);
                return self.unproved(time, client, message);
            }
            Method::ALLOCATE
            | Method::REFRESH
            | Method::CREATE_PERMISSION
            | Method::CHANNEL_BIND => {}
            _ => return FromClient::Dropped(Dropped::Malformed),
        }
        let proved = match self.authenticate(time, client, message) {
            Ok(proved) => proved,
            Err(NotProved::BadRequest) => {
                self.answer(message, Err(Failure::BadRequest), None);
                return self.unproved(time, client, message);
            }
            Err(not) => {
                let code = match not {
                    NotProved::StaleNonce => 438,
                    _ => 401,
                };
                self.challenge(time, client, method, message, code);
                count(&self.stats().challenges, 1);
                return self.unproved(time, client, message);
            }
        };
        let outcome = match unknown(message) {
            Some(unknown) => Err(unknown),
            None => match method {
                Method::ALLOCATE => self.allocate(time, client, message, &proved),
                Method::REFRESH => self.refresh(time, client, message, &proved),
                Method::CREATE_PERMISSION => self.create_permission(time, client, message, &proved),
                _ => self.channel_bind(time, client, message, &proved),
            },
        };
        if outcome.is_err() {
            count(&self.stats().errors, 1);
        }
        self.answer(message, outcome, Some(&proved));
        FromClient::Reply
    }

    /// Lets an answer out to somebody who has not proved where it is, as far as
    /// that may be.
    fn unproved(&mut self, time: Time, client: &Client, message: &Message<'_>) -> FromClient {
        let sent = message.bytes().len();
        let ip = client.endpoint().ip;
        // A stream's handshake proved its address; its rate is bounded all the same.
        if self.credit.answer(&ip, sent, self.reply_len, time.now) {
            FromClient::Reply
        } else {
            self.dropped(Dropped::Unproved)
        }
    }

    fn answer(
        &mut self,
        message: &Message<'_>,
        outcome: Result<Success, Failure>,
        proved: Option<&Proved>,
    ) {
        let class = match outcome {
            Ok(_) => Class::Success,
            Err(_) => Class::Error,
        };
        let mut writer = Writer::new(
            &mut self.reply,
            class,
            message.method(),
            message.transaction(),
        );
        match outcome {
            Ok(success) => {
                for relayed in success.relayed.into_iter().flatten() {
                    writer.xored_address(attribute::XOR_RELAYED_ADDRESS, relayed);
                }
                if let Some(seconds) = success.lifetime_s {
                    writer.number(attribute::LIFETIME, seconds);
                }
                if let Some(token) = success.token {
                    writer.attribute(attribute::RESERVATION_TOKEN, &token);
                }
                if let Some(mapped) = success.mapped {
                    writer.xored_address(attribute::XOR_MAPPED_ADDRESS, mapped);
                }
                if let Some((family, code)) = success.without {
                    let number = 1 + family.index() as u8;
                    let value = [number, 0, (code / 100) as u8, (code % 100) as u8];
                    writer.attribute(attribute::ADDRESS_ERROR_CODE, &value);
                }
            }
            Err(failure) => {
                let (code, reason) = failure.code();
                writer.error(code, reason);
                match failure {
                    Failure::TryAlternate(address) => {
                        writer.address(attribute::ALTERNATE_SERVER, address);
                    }
                    Failure::UnknownAttributes(kinds, count) => {
                        let mut value = [0; UNKNOWN_MAX * 2];
                        for (place, kind) in value.chunks_exact_mut(2).zip(&kinds[..count]) {
                            place.copy_from_slice(&kind.to_be_bytes());
                        }
                        writer.attribute(attribute::UNKNOWN_ATTRIBUTES, &value[..count * 2]);
                    }
                    _ => {}
                }
            }
        }
        if let Some(proved) = proved {
            proved.sign(&mut writer);
        }
        if message.find(attribute::FINGERPRINT).is_some() {
            writer.fingerprint();
        }
        self.reply_len = writer.finish().unwrap_or(0);
    }

    /// The slot of the client's allocation, when it is the same user's.
    fn owned(&self, time: Time, client: &Client, proved: &Proved) -> Result<u32, Failure> {
        let slot = self.slot_of(client).ok_or(Failure::AllocationMismatch)?;
        match &self.allocations[slot as usize] {
            Some(allocation) if allocation.expires > time.now => {
                if allocation.user == proved.user && allocation.realm == proved.realm {
                    Ok(slot)
                } else {
                    Err(Failure::WrongCredentials)
                }
            }
            _ => Err(Failure::AllocationMismatch),
        }
    }

    fn lifetime(&self, message: &Message<'_>) -> Duration {
        message
            .find_u32(attribute::LIFETIME)
            .map_or(LIFETIME_DEFAULT, |seconds| {
                Duration::from_secs(seconds.into())
            })
            .max(LIFETIME_DEFAULT)
            .min(self.config.limits.lifetime_max)
    }

    fn allocate(
        &mut self,
        time: Time,
        client: &Client,
        message: &Message<'_>,
        proved: &Proved,
    ) -> Result<Success, Failure> {
        match self.owned(time, client, proved) {
            // The answer was lost: it is given again.
            Ok(slot) => {
                let allocation = self.allocations[slot as usize]
                    .as_ref()
                    .filter(|known| known.transaction == message.transaction())
                    .ok_or(Failure::AllocationMismatch)?;
                let left = Duration::from_nanos(allocation.expires.0 - time.now.0);
                return Ok(Success {
                    relayed: allocation
                        .relays
                        .map(|relay| relay.and_then(|relay| self.relayed(relay))),
                    lifetime_s: Some(u32::try_from(left.as_secs()).unwrap_or(u32::MAX)),
                    mapped: Some(client.address),
                    ..Success::default()
                });
            }
            Err(Failure::WrongCredentials) => return Err(Failure::WrongCredentials),
            // One that is over and was not cleared away yet makes room.
            Err(_) => {
                if let Some(over) = self.slot_of(client) {
                    self.remove(over);
                }
            }
        }
        if self.draining {
            let family = Family::of(client.address.ip());
            let alternates = &self.config.alternates;
            let alternate = alternates
                .iter()
                .find(|address| Family::of(address.ip()) == family)
                .copied();
            return Err(alternate.map_or(Failure::InsufficientCapacity, Failure::TryAlternate));
        }
        match message.find(attribute::REQUESTED_TRANSPORT) {
            Some([UDP, _, _, _]) => {}
            Some([_, _, _, _]) => return Err(Failure::UnsupportedTransport),
            _ => return Err(Failure::BadRequest),
        }
        let even = match message.find(attribute::EVEN_PORT) {
            None => None,
            Some([bits, ..]) => Some(bits & 0x80 != 0),
            Some(_) => return Err(Failure::BadRequest),
        };
        let token = message.find(attribute::RESERVATION_TOKEN);
        let requested = family(message, attribute::REQUESTED_ADDRESS_FAMILY)?;
        let additional = family(message, attribute::ADDITIONAL_ADDRESS_FAMILY)?;
        let contradicts = (token.is_some()
            && (even.is_some() || requested.is_some() || additional.is_some()))
            || (requested.is_some() && additional.is_some())
            || additional == Some(Family::V4)
            || (additional.is_some() && even == Some(true));
        if contradicts {
            return Err(Failure::BadRequest);
        }
        let first = requested.unwrap_or(Family::V4);
        // Asked for both, one alone is good enough (section 7.2).
        if token.is_none() && !self.relays.has(first) && additional.is_none() {
            return Err(Failure::AddressFamilyNotSupported);
        }
        let Some(&slot) = self.free_slots.last() else {
            return Err(Failure::InsufficientCapacity);
        };
        let Some(user_index) = self.users.enter(proved.quota, time.now) else {
            return Err(Failure::AllocationQuotaReached);
        };
        let drawn = self.draw(time, slot, first, additional, even, token);
        let (relays, token, without) = match drawn {
            Ok(drawn) => drawn,
            Err(failure) => {
                self.users.leave(user_index);
                return Err(failure);
            }
        };
        self.free_slots.pop();
        let lifetime = self.lifetime(message);
        let allocation = Allocation::new(
            *client,
            proved.user,
            proved.quota,
            user_index,
            proved.key,
            proved.realm,
            message.transaction(),
            time.now + lifetime,
            relays,
        );
        allocation.keep(self.records.record(slot));
        self.allocations[slot as usize] = Some(allocation);
        self.by_client.insert(client.into(), slot);
        self.changes
            .extend(relays.into_iter().flatten().map(SocketChange::Open));
        count(&self.stats().allocated, 1);
        self.count_allocations();
        Ok(Success {
            relayed: relays.map(|relay| relay.and_then(|relay| self.relayed(relay))),
            lifetime_s: Some(u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX)),
            token,
            mapped: Some(client.address),
            without,
        })
    }

    #[expect(
        clippy::type_complexity,
        reason = "three parts of one answer, used once"
    )]
    fn draw(
        &mut self,
        time: Time,
        slot: u32,
        first: Family,
        additional: Option<Family>,
        even: Option<bool>,
        token: Option<&[u8]>,
    ) -> Result<([Option<RelayId>; 2], Option<[u8; 8]>, Option<(Family, u16)>), Failure> {
        let mut relays = [None; 2];
        if let Some(token) = token {
            let relay = self
                .relays
                .redeem(token, slot, time.now)
                .ok_or(Failure::InsufficientCapacity)?;
            relays[self.relays.family(relay).index()] = Some(relay);
            return Ok((relays, None, None));
        }
        let mut reserved = None;
        relays[first.index()] = match even {
            Some(reserve) => self
                .relays
                .draw_even(first, slot, reserve, time.now, &mut self.rng)
                .map(|(relay, token)| {
                    reserved = token;
                    relay
                }),
            None => self.relays.draw(first, slot, &mut self.rng),
        };
        let Some(additional) = additional else {
            return match relays {
                [None, None] => Err(Failure::InsufficientCapacity),
                relays => Ok((relays, reserved, None)),
            };
        };
        relays[additional.index()] = self.relays.draw(additional, slot, &mut self.rng);
        let missing = [first, additional]
            .into_iter()
            .find(|family| relays[family.index()].is_none());
        let code = |family| match self.relays.has(family) {
            true => 508,
            false => 440,
        };
        match relays {
            [None, None] if self.relays.has(first) || self.relays.has(additional) => {
                Err(Failure::InsufficientCapacity)
            }
            [None, None] => Err(Failure::AddressFamilyNotSupported),
            relays => Ok((
                relays,
                reserved,
                missing.map(|family| (family, code(family))),
            )),
        }
    }

    fn refresh(
        &mut self,
        time: Time,
        client: &Client,
        message: &Message<'_>,
        proved: &Proved,
    ) -> Result<Success, Failure> {
        let slot = self.owned(time, client, proved)?;
        let asked = family(message, attribute::REQUESTED_ADDRESS_FAMILY)?;
        let lifetime = match message.find_u32(attribute::LIFETIME) {
            Some(0) => Duration::ZERO,
            _ => self.lifetime(message),
        };
        let Some(allocation) = &mut self.allocations[slot as usize] else {
            return Err(Failure::AllocationMismatch);
        };
        if let Some(asked) = asked {
            let Some(relay) = allocation.relays[asked.index()] else {
                return Err(Failure::PeerAddressFamilyMismatch);
            };
            let both = allocation.relays.iter().all(Option::is_some);
            if both && lifetime.is_zero() {
                // Only this half ends.
                allocation.relays[asked.index()] = None;
                let record = self.records.record(slot);
                allocation.keep(record);
                allocation.forget_family(asked, record);
                self.relays.give_back(relay);
                self.changes.push_back(SocketChange::Close(relay));
                return Ok(Success {
                    lifetime_s: Some(0),
                    ..Success::default()
                });
            }
        }
        if lifetime.is_zero() {
            self.remove(slot);
        } else {
            allocation.expires = time.now + lifetime;
            allocation.keep(self.records.record(slot));
        }
        Ok(Success {
            lifetime_s: Some(u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX)),
            ..Success::default()
        })
    }

    /// Whether a peer may be talked to from an allocation.
    fn check_peer(&self, slot: u32, peer: SocketAddr) -> Result<Endpoint, Failure> {
        let endpoint = Endpoint::from(peer);
        // A mapped address is IPv4 in IPv6's clothes: it is of neither family.
        let family = Family::of(peer.ip());
        if Family::of(peer.ip().to_canonical()) != family {
            return Err(Failure::PeerAddressFamilyMismatch);
        }
        let allocation = self.allocations[slot as usize].as_ref();
        if allocation.is_none_or(|allocation| allocation.relays[family.index()].is_none()) {
            return Err(Failure::PeerAddressFamilyMismatch);
        }
        Ok(endpoint)
    }

    fn refuse_peer(&self) -> Failure {
        count(&self.stats().refused_peers, 1);
        Failure::Forbidden
    }

    fn create_permission(
        &mut self,
        time: Time,
        client: &Client,
        message: &Message<'_>,
        proved: &Proved,
    ) -> Result<Success, Failure> {
        let slot = self.owned(time, client, proved)?;
        let mut ips = Vec::new();
        for found in message.attributes() {
            if found.kind != attribute::XOR_PEER_ADDRESS {
                continue;
            }
            let peer = address::read_xored(found.value, &message.transaction())
                .ok_or(Failure::BadRequest)?;
            let endpoint = self.check_peer(slot, peer)?;
            // A permission has no port; for our own relay address each packet's
            // port is looked at (`pass_to_peer`).
            let own_relay = self.own_relay_family(peer.ip()).is_some();
            if !own_relay && self.config.peers.check(peer.ip()).is_err() {
                return Err(self.refuse_peer());
            }
            if ips.len() >= TURN_PEERS {
                return Err(Failure::InsufficientCapacity);
            }
            ips.push(endpoint.ip);
        }
        if ips.is_empty() {
            return Err(Failure::BadRequest);
        }
        let Some(allocation) = &mut self.allocations[slot as usize] else {
            return Err(Failure::AllocationMismatch);
        };
        allocation
            .permit(&ips, self.records.record(slot), time.now)
            .map_err(|_| Failure::InsufficientCapacity)?;
        Ok(Success::default())
    }

    fn channel_bind(
        &mut self,
        time: Time,
        client: &Client,
        message: &Message<'_>,
        proved: &Proved,
    ) -> Result<Success, Failure> {
        let slot = self.owned(time, client, proved)?;
        let channel = message
            .find_u16(attribute::CHANNEL_NUMBER)
            .filter(|channel| CHANNELS.contains(channel))
            .ok_or(Failure::BadRequest)?;
        let peer = message
            .find(attribute::XOR_PEER_ADDRESS)
            .and_then(|value| address::read_xored(value, &message.transaction()))
            .filter(|peer| peer.port() != 0)
            .ok_or(Failure::BadRequest)?;
        let endpoint = self.check_peer(slot, peer)?;
        if !self.may_send(peer) {
            return Err(self.refuse_peer());
        }
        let Some(allocation) = &mut self.allocations[slot as usize] else {
            return Err(Failure::AllocationMismatch);
        };
        allocation
            .bind(channel, endpoint, self.records.record(slot), time.now)
            .map_err(|error| match error {
                PeerError::Full => Failure::InsufficientCapacity,
                PeerError::Bound => Failure::BadRequest,
            })?;
        Ok(Success::default())
    }
}
