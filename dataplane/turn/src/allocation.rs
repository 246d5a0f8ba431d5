//! One allocation: its client, its relays, its permissions and channels.
//!
//! Permissions and channels share one short list. It is walked, not hashed: a
//! browser has one channel and a handful of permissions, and a few entries side
//! by side are found faster than a hash is computed. Channels stand first, for
//! packets ask for them.

use plenum_abi::{Nanos, TURN_PEERS, TurnAllocation, TurnPeer, TurnPeerRecord, TurnRecord};
use plenum_stun::{Key, TransactionId};

use crate::endpoint::Endpoint;
use crate::relays::RelayId;
use crate::users::UserIndex;
use crate::{Client, Via};

/// How long a permission is good (RFC 8656 section 9), seconds.
const PERMISSION_S: u32 = 300;
/// How long a channel is (RFC 8656 section 12), seconds.
const CHANNEL_S: u32 = 600;

/// A life of at least so many seconds that begins now: what has begun of this
/// second is given on top.
const fn until(now_s: u32, seconds: u32) -> u32 {
    now_s + seconds + 1
}

/// The second that an instant lies in.
pub(crate) const fn second(now: Nanos) -> u32 {
    (now.0 / 1_000_000_000) as u32
}

/// Why a permission or channel cannot be had.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum PeerError {
    /// The list is full.
    Full,
    /// The channel has another peer, or the peer another channel.
    Bound,
}

/// An allocation.
#[derive(Debug)]
pub(crate) struct Allocation {
    pub(crate) client: Client,
    pub(crate) user: [u8; 16],
    pub(crate) quota: [u8; 16],
    pub(crate) user_index: UserIndex,
    pub(crate) key: Key,
    pub(crate) realm: u16,
    pub(crate) transaction: TransactionId,
    pub(crate) expires: Nanos,
    /// By family.
    pub(crate) relays: [Option<RelayId>; 2],
    peers: Vec<TurnPeer>,
}

impl Allocation {
    #[expect(clippy::too_many_arguments, reason = "each is a field of the record")]
    pub(crate) fn new(
        client: Client,
        user: [u8; 16],
        quota: [u8; 16],
        user_index: UserIndex,
        key: Key,
        realm: u16,
        transaction: TransactionId,
        expires: Nanos,
        relays: [Option<RelayId>; 2],
    ) -> Self {
        Self {
            client,
            user,
            quota,
            user_index,
            key,
            realm,
            transaction,
            expires,
            relays,
            peers: Vec::new(),
        }
    }

    /// As its record keeps it.
    fn kept(&self) -> TurnAllocation {
        let endpoint = self.client.endpoint();
        let mut key = [0; 32];
        key[..self.key.as_bytes().len()].copy_from_slice(self.key.as_bytes());
        let number = |relay: Option<RelayId>| relay.map_or(0, |relay| relay.0 + 1);
        TurnAllocation {
            client_ip: endpoint.ip,
            client_port: endpoint.port,
            user: self.user,
            quota: self.quota,
            key,
            key_len: self.key.as_bytes().len() as u16,
            realm: self.realm,
            transaction: self.transaction.0,
            expires: self.expires.0,
            relays: self.relays.map(number),
            listener: match self.client.via {
                Via::Udp(listener) => listener,
                Via::Stream(_) => 0,
            },
            is_stream: matches!(self.client.via, Via::Stream(_)).into(),
        }
    }

    /// Writes all but the peers to the record.
    pub(crate) fn keep(&self, record: &TurnRecord) {
        record.store(&self.kept());
    }

    /// What a predecessor kept, when it can go on: not when its client was on a
    /// stream, for that connection died with the process.
    pub(crate) fn adopt(
        kept: &TurnAllocation,
        record: &TurnRecord,
        user_index: UserIndex,
    ) -> Option<Self> {
        let client = Endpoint {
            ip: kept.client_ip,
            port: kept.client_port,
        };
        let relay = |number: u32| number.checked_sub(1).map(RelayId);
        let mut allocation = Self::new(
            Client {
                address: client.address(),
                via: Via::Udp(kept.listener),
            },
            kept.user,
            kept.quota,
            user_index,
            Key::from_bytes(kept.key.get(..usize::from(kept.key_len))?)?,
            kept.realm,
            TransactionId(kept.transaction),
            Nanos(kept.expires),
            kept.relays.map(relay),
        );
        allocation.peers = record
            .peers
            .iter()
            .filter_map(TurnPeerRecord::load)
            .collect();
        allocation.sort();
        allocation.keep_peers(record);
        Some(allocation)
    }

    /// Channels first.
    fn sort(&mut self) {
        self.peers.sort_by_key(|peer| peer.channel == 0);
    }

    fn keep_peers(&self, record: &TurnRecord) {
        for (index, place) in record.peers.iter().enumerate() {
            place.store(self.peers.get(index));
        }
    }

    fn drop_expired(&mut self, now_s: u32) -> bool {
        let before = self.peers.len();
        self.peers.retain(|peer| peer.until_s > now_s);
        self.peers.len() != before
    }

    /// Removes what has run out.
    pub(crate) fn expire_peers(&mut self, record: &TurnRecord, now: Nanos) {
        if self.drop_expired(second(now)) {
            self.keep_peers(record);
        }
    }

    /// Whether an address is permitted.
    pub(crate) fn permits(&self, ip: &[u8; 16], now_s: u32) -> bool {
        self.peers
            .iter()
            .any(|peer| peer.channel == 0 && peer.until_s > now_s && peer.ip == *ip)
    }

    /// The channel of a peer.
    pub(crate) fn channel_of(&self, peer: &Endpoint, now_s: u32) -> Option<u16> {
        self.peers
            .iter()
            .take_while(|entry| entry.channel != 0)
            .find(|entry| entry.port == peer.port && entry.ip == peer.ip && entry.until_s > now_s)
            .map(|entry| entry.channel)
    }

    /// The peer on a channel.
    pub(crate) fn on_channel(&self, channel: u16, now_s: u32) -> Option<Endpoint> {
        self.peers
            .iter()
            .take_while(|entry| entry.channel != 0)
            .find(|entry| entry.channel == channel && entry.until_s > now_s)
            .map(|entry| Endpoint {
                ip: entry.ip,
                port: entry.port,
            })
    }

    fn put(&mut self, new: TurnPeer) -> Result<(), PeerError> {
        let same =
            |old: &TurnPeer| old.channel == new.channel && old.ip == new.ip && old.port == new.port;
        if let Some(old) = self.peers.iter_mut().find(|old| same(old)) {
            old.until_s = new.until_s;
            return Ok(());
        }
        if self.peers.len() >= TURN_PEERS {
            return Err(PeerError::Full);
        }
        self.peers.push(new);
        Ok(())
    }

    /// Permits addresses, all or none of them.
    pub(crate) fn permit(
        &mut self,
        ips: &[[u8; 16]],
        record: &TurnRecord,
        now: Nanos,
    ) -> Result<(), PeerError> {
        let now_s = second(now);
        self.drop_expired(now_s);
        let known = self.peers.clone();
        for ip in ips {
            let put = self.put(TurnPeer {
                ip: *ip,
                port: 0,
                channel: 0,
                until_s: until(now_s, PERMISSION_S),
            });
            if let Err(full) = put {
                self.peers = known;
                return Err(full);
            }
        }
        self.keep_peers(record);
        Ok(())
    }

    /// Binds a channel, which permits its peer's address too.
    pub(crate) fn bind(
        &mut self,
        channel: u16,
        peer: Endpoint,
        record: &TurnRecord,
        now: Nanos,
    ) -> Result<(), PeerError> {
        let now_s = second(now);
        self.drop_expired(now_s);
        let taken = self
            .on_channel(channel, now_s)
            .is_some_and(|other| other != peer);
        let has_another = self
            .channel_of(&peer, now_s)
            .is_some_and(|other| other != channel);
        if taken || has_another {
            return Err(PeerError::Bound);
        }
        let known = self.peers.clone();
        let bound = self
            .put(TurnPeer {
                ip: peer.ip,
                port: peer.port,
                channel,
                until_s: until(now_s, CHANNEL_S),
            })
            .and_then(|()| {
                self.put(TurnPeer {
                    ip: peer.ip,
                    port: 0,
                    channel: 0,
                    until_s: until(now_s, PERMISSION_S),
                })
            });
        if let Err(full) = bound {
            self.peers = known;
            return Err(full);
        }
        self.sort();
        self.keep_peers(record);
        Ok(())
    }

    /// Forgets peers of a family that has no relay any more.
    pub(crate) fn forget_family(&mut self, family: crate::Family, record: &TurnRecord) {
        self.peers.retain(|peer| {
            let endpoint = Endpoint {
                ip: peer.ip,
                port: peer.port,
            };
            endpoint.family() != family
        });
        self.keep_peers(record);
    }
}
