//! The load: clients with a channel to one peer, and that peer.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use plenum_e2e::turn::{TurnClient, channel_packet};
use plenum_uring::SocketOptions;
use plenum_uring::datagrams::{Inbox, Outbox, Received, datagram_socket};

use crate::server::USER;

const CHANNEL: u16 = 0x4000;
/// Datagrams that a client sends at once in a flood.
const BATCH: usize = 32;
/// ChannelData's header.
const HEADER: usize = 4;

/// How packets are sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Way {
    /// As fast as can be, one by one.
    Flood,
    /// As fast as can be, in bursts.
    Burst,
    /// At a rate, and back.
    Echo,
}

impl Way {
    pub(crate) fn named(name: &str) -> Self {
        match name {
            "flood" => Self::Flood,
            "burst" => Self::Burst,
            "echo" => Self::Echo,
            other => panic!("{other}: flood, burst or echo"),
        }
    }
}

/// What a run brought.
pub(crate) struct Run {
    pub(crate) elapsed: Duration,
    sent: u64,
    back: u64,
    /// Of packets that came back, sorted.
    delays_us: Vec<f64>,
}

impl Run {
    pub(crate) fn delay_us(&self, fraction: f64) -> f64 {
        let index = (self.delays_us.len() as f64 * fraction) as usize;
        self.delays_us.get(index).copied().unwrap_or(0.0)
    }

    pub(crate) fn lost_percent(&self) -> f64 {
        match self.sent {
            0 => 0.0,
            sent => (sent - self.back.min(sent)) as f64 / sent as f64 * 100.0,
        }
    }
}

/// Clients and their peer.
pub(crate) struct Load {
    server: SocketAddr,
    clients: Vec<TurnClient>,
    peer: OwnedFd,
    peer_port: u16,
    packet: Vec<u8>,
    inbox: Inbox,
    received: Vec<Received>,
    outbox: Outbox,
    echo: Outbox,
    /// Packets that came to the peer, and those that came back to clients.
    relayed: u64,
    next: usize,
    /// What stamps count from: packets of one run may come back in the next.
    epoch: Instant,
}

impl Load {
    /// Allocates and binds for all clients; sends a packet through each.
    pub(crate) fn new(server: SocketAddr, clients: usize, size: usize) -> Self {
        let options = SocketOptions {
            receive_buffer: 8 << 20,
            send_buffer: 4 << 20,
            dscp: 0,
        };
        let any = "127.0.0.1:0".parse().expect("an address");
        let peer = datagram_socket(any, &options, false).expect("a socket");
        let copy = UdpSocket::from(peer.try_clone().expect("a descriptor"));
        let address = copy.local_addr().expect("an address");
        let clients: Vec<TurnClient> = (0..clients)
            .map(|_| {
                let mut client = TurnClient::udp(server, USER.0, USER.1);
                client.allocate().expect("an allocation");
                client.bind(CHANNEL, address).expect("a channel");
                client.socket().set_nonblocking(true).expect("a socket");
                client
            })
            .collect();
        let mut load = Self {
            server,
            clients,
            peer,
            peer_port: address.port(),
            packet: channel_packet(CHANNEL, &vec![0; size]),
            inbox: Inbox::new(64),
            received: Vec::new(),
            outbox: Outbox::new(false, true),
            echo: Outbox::new(false, false),
            relayed: 0,
            next: 0,
            epoch: Instant::now(),
        };
        for index in 0..load.clients.len() {
            load.clients[index].send(CHANNEL, b"is it there?");
        }
        let deadline = Instant::now() + Duration::from_secs(5);
        while load.relayed < load.clients.len() as u64 {
            load.drain_peer(false);
            assert!(Instant::now() < deadline, "packets do not come through");
        }
        load
    }

    /// Packets that the server relayed: also those that found the peer's queue full.
    pub(crate) fn relayed(&self) -> u64 {
        let table = std::fs::read_to_string("/proc/net/udp").unwrap_or_default();
        let ours = format!(":{:04X} ", self.peer_port);
        let dropped = table
            .lines()
            .find(|line| {
                line.split_whitespace()
                    .nth(1)
                    .is_some_and(|local| format!("{local} ").ends_with(&ours))
            })
            .and_then(|line| line.split_whitespace().last()?.parse::<u64>().ok());
        self.relayed + dropped.unwrap_or(0)
    }

    fn drain_peer(&mut self, send_back: bool) {
        for _ in 0..4 {
            self.inbox.clear();
            self.received.clear();
            let count = self
                .inbox
                .receive(self.peer.as_fd(), 64, &mut self.received)
                .unwrap_or(0);
            for burst in &self.received {
                let mut at = burst.range.start;
                while at < burst.range.end {
                    let end = (at + burst.segment).min(burst.range.end);
                    self.relayed += 1;
                    if send_back {
                        self.echo.push(burst.source, &[], at..end, 0);
                    }
                    at = end;
                }
            }
            self.echo.send(self.peer.as_fd(), &self.inbox);
            if count < 64 {
                break;
            }
        }
    }

    /// Sends for a while.
    pub(crate) fn run(&mut self, way: Way, rate: f64, span: Duration) -> Run {
        let started = Instant::now();
        let mut run = Run {
            elapsed: Duration::ZERO,
            sent: 0,
            back: 0,
            delays_us: Vec::new(),
        };
        self.outbox = Outbox::new(false, way == Way::Burst);
        while started.elapsed() < span {
            match way {
                Way::Flood | Way::Burst => {
                    self.flood();
                    self.drain_peer(false);
                }
                Way::Echo => {
                    let due = (started.elapsed().as_secs_f64() * rate) as u64;
                    for _ in run.sent..due.min(run.sent + 16) {
                        self.send_stamped();
                        run.sent += 1;
                    }
                    self.drain_peer(true);
                    self.take_back(&mut run);
                }
            }
        }
        run.elapsed = started.elapsed();
        // What is still on its way belongs to this run.
        let settled = Instant::now() + Duration::from_millis(100);
        while Instant::now() < settled {
            self.drain_peer(way == Way::Echo);
            if way == Way::Echo {
                self.take_back(&mut run);
            }
        }
        run.delays_us.sort_by(f64::total_cmp);
        run
    }

    fn flood(&mut self) {
        let client = &self.clients[self.next % self.clients.len()];
        self.next += 1;
        let count = if self.clients.len() > 1 { 4 } else { BATCH };
        for _ in 0..count {
            self.outbox.push(self.server, &self.packet, 0..0, 0);
        }
        self.outbox.send(client.socket().as_fd(), &self.inbox);
    }

    fn send_stamped(&mut self) {
        let index = self.next % self.clients.len();
        self.next += 1;
        let stamp = self.epoch.elapsed().as_nanos() as u64;
        self.packet[HEADER..HEADER + 8].copy_from_slice(&stamp.to_be_bytes());
        let _ = self.clients[index].socket().send(&self.packet);
    }

    /// Looks at some clients, those first that were sent to longest ago.
    fn take_back(&mut self, run: &mut Run) {
        let count = self.clients.len();
        for step in 0..count.min(64) {
            let index = (self.next + count - 1 - step) % count;
            let mut buffer = [0; 2_048];
            while let Ok(len) = self.clients[index].socket().recv(&mut buffer) {
                if len < HEADER + 8 {
                    continue;
                }
                let mut stamp = [0; 8];
                stamp.copy_from_slice(&buffer[HEADER..HEADER + 8]);
                let took = self.epoch.elapsed().as_nanos() as u64 - u64::from_be_bytes(stamp);
                run.delays_us.push(took as f64 / 1_000.0);
                run.back += 1;
                self.relayed += 1;
            }
        }
    }
}
