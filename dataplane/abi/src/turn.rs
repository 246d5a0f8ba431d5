//! What a TURN server leaves to its successor: a memory of its own, beside the
//! session arena, because TURN is a process of its own.
//!
//! ```text
//! TurnHeader | worker 0: TurnStats, records | worker 1: ... |
//! ```
//! A record has one writer, its worker. Its allocation is double-buffered; each
//! peer is a few words with a checksum in one place, for a torn one is a
//! permission that was never confirmed: its client asks again.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::record::checksum;
use crate::{DoubleBuffered, SlotState};

/// First bytes of a TURN memory.
pub const TURN_MAGIC: u64 = u64::from_le_bytes(*b"PlenumTu");
/// Version of everything in this module.
pub const TURN_VERSION: u32 = 1;
/// Permissions and channels of one allocation.
pub const TURN_PEERS: usize = 32;
/// Most allocations of one worker.
pub const MAX_TURN_ALLOCATIONS: u32 = 16_384;
/// Most workers.
pub const MAX_TURN_WORKERS: u32 = 256;

/// Start of the memory. Written once by the supervisor.
#[derive(Debug, FromBytes, KnownLayout)]
#[repr(C, align(64))]
pub struct TurnHeader {
    /// [`TURN_MAGIC`], stored last.
    pub magic: AtomicU64,
    /// [`TURN_VERSION`].
    pub version: AtomicU32,
    /// Workers.
    pub workers: AtomicU32,
    /// Records of each worker.
    pub allocations_per_worker: AtomicU32,
    /// 1 while new clients are sent elsewhere.
    pub draining: AtomicU32,
    /// Key of the nonces, by which they outlive the process that made them.
    pub nonce_key: [AtomicU64; 4],
    /// Zero.
    pub reserved: AtomicU64,
}

const _: () = assert!(size_of::<TurnHeader>() == 64);

/// Counters of a worker; totals unless they say otherwise.
#[derive(Debug, Default, FromBytes, IntoBytes, KnownLayout)]
#[repr(C, align(64))]
pub struct TurnStats {
    /// Process id of the worker's process.
    pub process_id: AtomicU64,
    /// Last turn of the loop, [`crate::Nanos`]. A gauge.
    pub heartbeat: AtomicU64,
    /// Allocations now. A gauge.
    pub allocations: AtomicU64,
    /// Allocations made.
    pub allocated: AtomicU64,
    /// Packets from clients to peers.
    pub packets_to_peers: AtomicU64,
    /// Their bytes, without headers of ours.
    pub bytes_to_peers: AtomicU64,
    /// Packets from peers to clients.
    pub packets_to_clients: AtomicU64,
    /// Their bytes, without headers of ours.
    pub bytes_to_clients: AtomicU64,
    /// Packets for which there was no allocation, permission or channel.
    pub unpermitted: AtomicU64,
    /// Packets beyond a bandwidth limit.
    pub throttled: AtomicU64,
    /// Packets that could not be sent, or found a slow client's queue full.
    pub unsent: AtomicU64,
    /// Requests answered with an error, challenges left out.
    pub errors: AtomicU64,
    /// Requests answered with a challenge.
    pub challenges: AtomicU64,
    /// Requests not answered because their source was not proved.
    pub unanswered: AtomicU64,
    /// Peers that were refused by the rules.
    pub refused_peers: AtomicU64,
    /// Clients on TCP and TLS now. A gauge.
    pub connections: AtomicU64,
}

/// One allocation as its record keeps it.
#[derive(
    Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq,
)]
#[repr(C)]
pub struct TurnAllocation {
    /// The client's address, IPv4 mapped.
    pub client_ip: [u8; 16],
    /// Stands for realm and user.
    pub user: [u8; 16],
    /// Stands for who quotas count it to.
    pub quota: [u8; 16],
    /// Key of message integrity; as many bytes as `key_len` says.
    pub key: [u8; 32],
    /// Transaction id of the request that made it.
    pub transaction: [u8; 12],
    /// The client's port.
    pub client_port: u16,
    /// Place of its realm among the settings'.
    pub realm: u16,
    /// When it ends, [`crate::Nanos`].
    pub expires: u64,
    /// Number of its IPv4 relay plus one, then of its IPv6 relay; 0 for none.
    pub relays: [u32; 2],
    /// Which listener the client comes to.
    pub listener: u16,
    /// Bytes of the key: 16 or 32.
    pub key_len: u16,
    /// 1 for a client on a stream, which does not outlive the process.
    pub is_stream: u32,
}

/// A permission or a channel.
#[derive(
    Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq,
)]
#[repr(C)]
pub struct TurnPeer {
    /// The peer's address, IPv4 mapped.
    pub ip: [u8; 16],
    /// The peer's port; 0 for a permission.
    pub port: u16,
    /// The channel; 0 for a permission.
    pub channel: u16,
    /// Second of [`crate::Nanos`] in which it ends.
    pub until_s: u32,
}

/// A [`TurnPeer`] in memory.
#[derive(Debug, FromBytes, KnownLayout)]
#[repr(C)]
pub struct TurnPeerRecord {
    words: [AtomicU64; 3],
    checksum: AtomicU64,
}

impl TurnPeerRecord {
    /// The peer; `None` when there is none or it is torn.
    #[must_use]
    pub fn load(&self) -> Option<TurnPeer> {
        let sum = self.checksum.load(Ordering::Acquire);
        let mut words = [0; 3];
        for (word, stored) in words.iter_mut().zip(&self.words) {
            *word = stored.load(Ordering::Relaxed);
        }
        let intact = sum == checksum(1, words.into_iter());
        intact.then(|| zerocopy::transmute!(words))
    }

    /// Puts a peer there; `None` removes it. For the record's one writer only.
    pub fn store(&self, peer: Option<&TurnPeer>) {
        self.checksum.store(0, Ordering::Release);
        let Some(peer) = peer else { return };
        let words: [u64; 3] = zerocopy::transmute!(*peer);
        for (stored, word) in self.words.iter().zip(words) {
            stored.store(word, Ordering::Release);
        }
        self.checksum
            .store(checksum(1, words.into_iter()), Ordering::Release);
    }
}

/// Counters of one allocation, since it was made.
#[derive(Debug, Default, FromBytes, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct TurnAllocationStats {
    /// Packets from the client to peers.
    pub packets_to_peers: AtomicU64,
    /// Their bytes.
    pub bytes_to_peers: AtomicU64,
    /// Packets from peers to the client.
    pub packets_to_client: AtomicU64,
    /// Their bytes.
    pub bytes_to_client: AtomicU64,
}

/// All of one allocation.
#[derive(Debug, FromBytes, KnownLayout)]
#[repr(C, align(64))]
pub struct TurnRecord {
    /// A [`SlotState`]; stored last when an allocation is made, first when it ends.
    pub state: AtomicU64,
    /// Zero.
    pub reserved: AtomicU64,
    /// Counters.
    pub stats: TurnAllocationStats,
    /// A [`TurnAllocation`].
    pub allocation: DoubleBuffered<15>,
    /// Permissions and channels, in no order.
    pub peers: [TurnPeerRecord; TURN_PEERS],
}

const _: () = assert!(size_of::<TurnAllocation>() == 15 * 8);
const _: () = assert!(size_of::<TurnPeer>() == 3 * 8);
const _: () = assert!(size_of::<TurnRecord>() == 1_344);

impl TurnRecord {
    /// The allocation; `None` when the slot is free or the record is torn.
    #[must_use]
    pub fn live(&self) -> Option<TurnAllocation> {
        (self.state.load(Ordering::Acquire) == SlotState::Live as u64)
            .then(|| self.allocation.load())
            .flatten()
    }

    /// Keeps the allocation; `true` for the first time that a tenant is stored.
    pub fn store(&self, allocation: &TurnAllocation) {
        if self.state.load(Ordering::Relaxed) != SlotState::Live as u64 {
            for peer in &self.peers {
                peer.store(None);
            }
            for word in [
                &self.stats.packets_to_peers,
                &self.stats.bytes_to_peers,
                &self.stats.packets_to_client,
                &self.stats.bytes_to_client,
            ] {
                word.store(0, Ordering::Relaxed);
            }
        }
        self.allocation.store(allocation);
        self.state.store(SlotState::Live as u64, Ordering::Release);
    }

    /// Ends the tenancy and overwrites the key.
    pub fn clear(&self) {
        self.state.store(SlotState::Free as u64, Ordering::Release);
        self.allocation.clear();
    }
}

/// Counts of a TURN memory, from which every offset follows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TurnLayout {
    /// Workers, 1 to [`MAX_TURN_WORKERS`].
    pub workers: u32,
    /// Records of each, 1 to [`MAX_TURN_ALLOCATIONS`].
    pub allocations_per_worker: u32,
}

impl TurnLayout {
    /// Whether the counts are within their bounds.
    #[must_use]
    pub const fn is_valid(&self) -> bool {
        self.workers >= 1
            && self.workers <= MAX_TURN_WORKERS
            && self.allocations_per_worker >= 1
            && self.allocations_per_worker <= MAX_TURN_ALLOCATIONS
    }

    const fn worker_len(&self) -> usize {
        size_of::<TurnStats>() + self.allocations_per_worker as usize * size_of::<TurnRecord>()
    }

    /// Bytes of the whole.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        size_of::<TurnHeader>() + self.workers as usize * self.worker_len()
    }

    /// Where a worker's [`TurnStats`] begin.
    #[must_use]
    pub const fn stats(&self, worker: u32) -> usize {
        size_of::<TurnHeader>() + worker as usize * self.worker_len()
    }

    /// Where a worker's record lies.
    #[must_use]
    pub const fn record(&self, worker: u32, slot: u32) -> usize {
        self.stats(worker) + size_of::<TurnStats>() + slot as usize * size_of::<TurnRecord>()
    }
}

#[cfg(test)]
mod tests {
    use zerocopy::FromZeros;

    use super::*;

    const PEER: TurnPeer = TurnPeer {
        ip: [7; 16],
        port: 9,
        channel: 0x4000,
        until_s: 77,
    };

    #[test]
    fn zeros_hold_no_allocation_and_no_peer() {
        let record = TurnRecord::new_zeroed();
        assert!(record.live().is_none());
        assert!(record.peers.iter().all(|peer| peer.load().is_none()));
    }

    #[test]
    fn a_torn_peer_is_none() {
        let record = TurnPeerRecord::new_zeroed();
        record.store(Some(&PEER));
        assert_eq!(record.load(), Some(PEER));
        record.words[2].fetch_xor(1, Ordering::Relaxed);
        assert_eq!(record.load(), None);
        record.store(Some(&PEER));
        record.store(None);
        assert_eq!(record.load(), None);
    }

    #[test]
    fn a_new_tenant_finds_neither_peers_nor_counts_and_an_old_one_leaves_no_key() {
        let record = TurnRecord::new_zeroed();
        let allocation = TurnAllocation {
            key: [0xaa; 32],
            ..TurnAllocation::default()
        };
        record.store(&allocation);
        record.peers[3].store(Some(&PEER));
        record.stats.bytes_to_peers.store(5, Ordering::Relaxed);
        record.store(&allocation);
        assert_eq!(record.peers[3].load(), Some(PEER), "the same tenant");
        record.clear();
        assert!(record.live().is_none());
        assert_eq!(record.allocation.load::<TurnAllocation>(), None);
        record.store(&allocation);
        assert_eq!(record.live(), Some(allocation));
        assert_eq!(record.peers[3].load(), None);
        assert_eq!(record.stats.bytes_to_peers.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn parts_do_not_overlap() {
        let layout = TurnLayout {
            workers: 3,
            allocations_per_worker: 5,
        };
        assert!(layout.is_valid());
        assert_eq!(layout.record(2, 5), layout.bytes());
        assert_eq!(layout.record(0, 5), layout.stats(1));
        assert!(layout.stats(1).is_multiple_of(64));
    }
}
