//! What operators and the API ask of the TURN process, over a socket in the data
//! folder: a line of JSON for a line of JSON. The file's rights are the authentication.
//!
//! The desk only looks at the shared memory, and sets the one switch in it: it is in
//! no worker's way, and what it says is as old as its answer.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use plenum_abi::{TurnAllocation, TurnPeerRecord, TurnRecord};
use plenum_ring::TurnMemory;
use serde::{Deserialize, Serialize};

use super::estate::{TurnInheritance, TurnPlace};
use crate::clock;

/// Name of the socket in the data folder.
const SOCKET_FILE: &str = "turn.sock";
/// Longest request, bytes.
const REQUEST_BYTES_MAX: u64 = 1_024;
/// Who asks has this long for his question, and as long for the answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Most allocations in one answer.
const PAGE_MAX: usize = 100;

/// What is asked.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Question {
    /// How is it going?
    Status,
    /// Who is there? From the `offset`th on, at most `limit` and [`PAGE_MAX`].
    Allocations { offset: usize, limit: usize },
    /// Take new clients, or send them elsewhere. Answered like `Status`.
    Drain(bool),
}

/// What is answered.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Answer {
    Status(TurnStatus),
    Allocations(AllocationPage),
}

/// How the server is doing.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TurnStatus {
    /// New clients are sent elsewhere.
    pub(crate) draining: bool,
    /// Most allocations at a time.
    pub(crate) allocations_max: u64,
    /// All workers together.
    pub(crate) total: TurnCounters,
    pub(crate) workers: Vec<TurnCounters>,
}

/// The counters of [`plenum_abi::TurnStats`], with the same names.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TurnCounters {
    pub(crate) allocations: u64,
    pub(crate) allocated: u64,
    pub(crate) packets_to_peers: u64,
    pub(crate) bytes_to_peers: u64,
    pub(crate) packets_to_clients: u64,
    pub(crate) bytes_to_clients: u64,
    pub(crate) unpermitted: u64,
    pub(crate) throttled: u64,
    pub(crate) unsent: u64,
    pub(crate) errors: u64,
    pub(crate) challenges: u64,
    pub(crate) unanswered: u64,
    pub(crate) refused_peers: u64,
    pub(crate) connections: u64,
}

/// A part of the allocations.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AllocationPage {
    pub(crate) total: usize,
    pub(crate) allocations: Vec<AllocationStatus>,
}

/// One allocation.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AllocationStatus {
    /// The client's address.
    pub(crate) client: SocketAddr,
    /// Over UDP, or over TCP or TLS.
    pub(crate) stream: bool,
    /// Equal for all allocations of a user; his name is not kept.
    pub(crate) user: String,
    /// Ports of its relayed addresses.
    pub(crate) relay_ports: Vec<u16>,
    /// Until it ends unless it is refreshed.
    pub(crate) expires_in_s: u64,
    pub(crate) permissions: usize,
    pub(crate) channels: usize,
    pub(crate) packets_to_peers: u64,
    pub(crate) bytes_to_peers: u64,
    pub(crate) packets_to_client: u64,
    pub(crate) bytes_to_client: u64,
}

fn read(word: &AtomicU64) -> u64 {
    word.load(Ordering::Relaxed)
}

impl TurnCounters {
    fn of(memory: &TurnMemory, worker: u32) -> Self {
        let stats = memory.stats(worker);
        Self {
            allocations: read(&stats.allocations),
            allocated: read(&stats.allocated),
            packets_to_peers: read(&stats.packets_to_peers),
            bytes_to_peers: read(&stats.bytes_to_peers),
            packets_to_clients: read(&stats.packets_to_clients),
            bytes_to_clients: read(&stats.bytes_to_clients),
            unpermitted: read(&stats.unpermitted),
            throttled: read(&stats.throttled),
            unsent: read(&stats.unsent),
            errors: read(&stats.errors),
            challenges: read(&stats.challenges),
            unanswered: read(&stats.unanswered),
            refused_peers: read(&stats.refused_peers),
            connections: read(&stats.connections),
        }
    }

    /// Names and values, in the order in which people read them.
    pub(crate) const fn rows(&self) -> [(&'static str, u64); 14] {
        [
            ("allocations", self.allocations),
            ("allocated", self.allocated),
            ("connections", self.connections),
            ("packetsToPeers", self.packets_to_peers),
            ("bytesToPeers", self.bytes_to_peers),
            ("packetsToClients", self.packets_to_clients),
            ("bytesToClients", self.bytes_to_clients),
            ("unpermitted", self.unpermitted),
            ("throttled", self.throttled),
            ("unsent", self.unsent),
            ("errors", self.errors),
            ("challenges", self.challenges),
            ("unanswered", self.unanswered),
            ("refusedPeers", self.refused_peers),
        ]
    }

    fn add(&mut self, other: &Self) {
        for (sum, value) in [
            (&mut self.allocations, other.allocations),
            (&mut self.allocated, other.allocated),
            (&mut self.packets_to_peers, other.packets_to_peers),
            (&mut self.bytes_to_peers, other.bytes_to_peers),
            (&mut self.packets_to_clients, other.packets_to_clients),
            (&mut self.bytes_to_clients, other.bytes_to_clients),
            (&mut self.unpermitted, other.unpermitted),
            (&mut self.throttled, other.throttled),
            (&mut self.unsent, other.unsent),
            (&mut self.errors, other.errors),
            (&mut self.challenges, other.challenges),
            (&mut self.unanswered, other.unanswered),
            (&mut self.refused_peers, other.refused_peers),
            (&mut self.connections, other.connections),
        ] {
            *sum += value;
        }
    }
}

impl AllocationStatus {
    fn of(record: &TurnRecord, kept: &TurnAllocation, place: &TurnPlace) -> Self {
        let ip = Ipv6Addr::from(kept.client_ip);
        let client = IpAddr::V6(ip).to_canonical();
        // IPv4 relays are numbered first.
        let ports = || place.v4.iter().chain(&place.v6);
        let relay = |number: &u32| ports().nth(number.checked_sub(1)? as usize).copied();
        let now = clock::monotonic();
        let left = Duration::from_nanos(kept.expires.saturating_sub(now.0));
        let peers = record.peers.iter().filter_map(TurnPeerRecord::load);
        let (channels, permissions): (Vec<_>, Vec<_>) = peers.partition(|peer| peer.channel != 0);
        let stats = &record.stats;
        Self {
            client: SocketAddr::new(client, kept.client_port),
            stream: kept.is_stream != 0,
            user: kept.user.iter().map(|byte| format!("{byte:02x}")).collect(),
            relay_ports: kept.relays.iter().filter_map(relay).collect(),
            expires_in_s: left.as_secs(),
            permissions: permissions.len(),
            channels: channels.len(),
            packets_to_peers: read(&stats.packets_to_peers),
            bytes_to_peers: read(&stats.bytes_to_peers),
            packets_to_client: read(&stats.packets_to_client),
            bytes_to_client: read(&stats.bytes_to_client),
        }
    }
}

/// Who answers.
pub(crate) struct Desk {
    listener: UnixListener,
    memory: TurnMemory,
    inheritance: TurnInheritance,
}

fn path(data_dir: &Path) -> PathBuf {
    data_dir.join(SOCKET_FILE)
}

impl Desk {
    /// Opens the socket; one that a dead process left behind is replaced.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub(crate) fn open(
        data_dir: &Path,
        memory: TurnMemory,
        inheritance: TurnInheritance,
    ) -> io::Result<Self> {
        let path = path(data_dir);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self {
            listener,
            memory,
            inheritance,
        })
    }

    /// Answers for ever, one after the other.
    pub(crate) fn run(self) {
        for stream in self.listener.incoming().flatten() {
            if let Err(error) = self.serve(&stream) {
                tracing::debug!(%error, "a question about TURN was not answered");
            }
        }
    }

    fn serve(&self, mut stream: &UnixStream) -> io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut line = String::new();
        BufReader::new(stream.take(REQUEST_BYTES_MAX)).read_line(&mut line)?;
        let question: Question = serde_json::from_str(&line)?;
        let mut answer = serde_json::to_vec(&self.answer(question))?;
        answer.push(b'\n');
        stream.write_all(&answer)
    }

    fn answer(&self, question: Question) -> Answer {
        match question {
            Question::Status => Answer::Status(self.status()),
            Question::Drain(on) => {
                let word = &self.memory.header().draining;
                word.store(u32::from(on), Ordering::Relaxed);
                tracing::info!(draining = on, "TURN");
                Answer::Status(self.status())
            }
            Question::Allocations { offset, limit } => {
                Answer::Allocations(self.allocations(offset, limit.min(PAGE_MAX)))
            }
        }
    }

    fn status(&self) -> TurnStatus {
        let layout = self.memory.layout();
        let workers: Vec<_> = (0..layout.workers)
            .map(|worker| TurnCounters::of(&self.memory, worker))
            .collect();
        let mut total = TurnCounters::default();
        workers.iter().for_each(|worker| total.add(worker));
        TurnStatus {
            draining: self.memory.header().draining.load(Ordering::Relaxed) != 0,
            allocations_max: u64::from(layout.workers) * u64::from(layout.allocations_per_worker),
            total,
            workers,
        }
    }

    fn allocations(&self, offset: usize, limit: usize) -> AllocationPage {
        let layout = self.memory.layout();
        let places = (0..layout.workers).zip(&self.inheritance.workers);
        let live = places.flat_map(|(worker, place)| {
            let slots = 0..layout.allocations_per_worker;
            slots.filter_map(move |slot| {
                let record = self.memory.record(worker, slot);
                Some((record, record.live()?, place))
            })
        });
        let mut total = 0;
        let mut allocations = Vec::new();
        for (record, kept, place) in live {
            if total >= offset && allocations.len() < limit {
                allocations.push(AllocationStatus::of(record, &kept, place));
            }
            total += 1;
        }
        AllocationPage { total, allocations }
    }
}

/// Asks the TURN process of a data folder.
///
/// # Errors
/// Nobody serves TURN there, or the answer cannot be read.
pub(crate) fn ask(data_dir: &Path, question: Question) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(path(data_dir))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut request = serde_json::to_vec(&question)?;
    request.push(b'\n');
    stream.write_all(&request)?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use plenum_abi::TurnLayout;

    fn desk(folder: &Path) -> Desk {
        let layout = TurnLayout {
            workers: 2,
            allocations_per_worker: 60,
        };
        let place = |first: u16| TurnPlace {
            core: None,
            listeners: 0,
            streams: Vec::new(),
            v4: vec![first, first + 1],
            v6: vec![first + 2],
        };
        let inheritance = TurnInheritance {
            settings: String::new(),
            relay_v4: None,
            relay_v6: None,
            own: Vec::new(),
            workers: vec![place(50_000), place(50_100)],
        };
        let memory = TurnMemory::create(layout, [0; 4]).unwrap();
        Desk::open(folder, memory, inheritance).unwrap()
    }

    fn allocate(memory: &TurnMemory, worker: u32, slot: u32) {
        let mut client_ip = [0; 16];
        client_ip[10..12].fill(0xff);
        client_ip[12..].copy_from_slice(&[192, 0, 2, 7]);
        memory.record(worker, slot).store(&TurnAllocation {
            client_ip,
            client_port: 4_000 + slot as u16,
            user: [0xab; 16],
            relays: [2, 3],
            expires: clock::monotonic().0 + 90_500_000_000,
            ..TurnAllocation::default()
        });
    }

    #[test]
    fn it_says_who_is_there_page_by_page_and_drains() {
        let folder = std::env::temp_dir().join(format!("plenum-desk-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let desk = desk(&folder);
        let memory = desk.memory.clone();
        for slot in 0..60 {
            allocate(&memory, 0, slot);
            allocate(&memory, 1, slot);
        }
        memory.stats(1).bytes_to_peers.store(70, Ordering::Relaxed);
        memory.stats(0).bytes_to_peers.store(7, Ordering::Relaxed);
        let rights = std::fs::metadata(path(&folder)).unwrap().permissions();
        assert_eq!(rights.mode() & 0o777, 0o600);
        std::thread::spawn(move || desk.run());

        let page = |offset, limit| {
            let asked = ask(&folder, Question::Allocations { offset, limit }).unwrap();
            let Answer::Allocations(page) = asked else {
                panic!("{asked:?}")
            };
            assert_eq!(page.total, 120);
            page.allocations
        };
        assert_eq!(page(0, usize::MAX).len(), PAGE_MAX);
        assert_eq!(page(119, 10).len(), 1);
        assert!(page(120, 10).is_empty());
        let last = &page(119, 1)[0];
        assert_eq!(last.client.to_string(), "192.0.2.7:4059");
        assert_eq!(last.relay_ports, [50_101, 50_102]);
        assert_eq!(last.expires_in_s, 90);

        for draining in [true, false] {
            let answer = ask(&folder, Question::Drain(draining)).unwrap();
            let Answer::Status(status) = answer else {
                panic!("{answer:?}")
            };
            assert_eq!(status.draining, draining);
            assert_eq!(
                (status.total.bytes_to_peers, status.allocations_max),
                (77, 120)
            );
            let word = memory.header().draining.load(Ordering::Relaxed);
            assert_eq!(word, u32::from(draining));
        }

        // Nonsense gets no answer, and the next is served.
        let mut stream = UnixStream::connect(path(&folder)).unwrap();
        stream.write_all(&[b'x'; 2_000]).unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.is_empty());
        assert!(ask(&folder, Question::Status).is_ok());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
