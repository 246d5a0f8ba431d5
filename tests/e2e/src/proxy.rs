//! A network that is bad in a way that can be repeated: a UDP proxy whose loss,
//! jitter, rate and cuts follow from a seed.
//!
//! ```text
//!   client --> [listen address] -- loss, queue, delay --> server
//!          <--                  <-- loss, queue, delay --
//! ```
//!
//! Each client gets a socket of its own towards the server, so that the server
//! sees each of them at an address of its own, as it would behind a NAT. It runs
//! on a thread until dropped; it knows nothing of what it carries.

use std::collections::{BinaryHeap, HashMap};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// Clients that are served; those beyond are not heard.
const CLIENTS_MAX: usize = 64;
/// Most that waits for its turn in one direction of one client, when the rate is
/// limited: what a router at home buffers.
const QUEUE_MAX: Duration = Duration::from_millis(300);
/// How long the thread sleeps at most between two looks at its sockets.
const NAP: Duration = Duration::from_micros(500);
/// Longest datagram.
const DATAGRAM_MAX: usize = 2_048;

/// What the network does to a datagram, in both directions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// Datagrams lost at random, percent.
    pub loss_percent: f64,
    /// Delay that every datagram has.
    pub delay: Duration,
    /// Delay that a datagram has beyond that, anything up to this; it reorders.
    pub jitter: Duration,
    /// Bottleneck for each client and direction, bit/s of UDP payload; `None` is no limit.
    pub rate_bps: Option<u64>,
    /// Nothing passes.
    pub cut: bool,
}

impl Link {
    /// A network without fault.
    pub const GOOD: Self = Self {
        loss_percent: 0.0,
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        rate_bps: None,
        cut: false,
    };
}

/// What a proxy has done so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Carried {
    /// Datagrams delivered.
    pub delivered: u64,
    /// Datagrams lost at random, in a cut, or at a full queue.
    pub lost: u64,
}

/// See the [module](self).
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    link: Arc<Mutex<Link>>,
    carried: Arc<Mutex<Carried>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// A proxy in front of `server`, on a free port of `server`'s loopback address.
    ///
    /// # Errors
    /// No socket to be had.
    pub fn start(server: SocketAddr, link: Link, seed: u64) -> io::Result<Self> {
        let socket = UdpSocket::bind(SocketAddr::new(server.ip(), 0))?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let link = Arc::new(Mutex::new(link));
        let carried = Arc::new(Mutex::new(Carried::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let mut network = Network {
            server,
            socket,
            clients: HashMap::new(),
            on_the_way: BinaryHeap::new(),
            sent: 0,
            rng: SmallRng::seed_from_u64(seed),
            link: Arc::clone(&link),
            carried: Arc::clone(&carried),
        };
        let stopping = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("proxy".to_owned())
            .spawn(move || {
                while !stopping.load(Ordering::Relaxed) {
                    let nap = network.turn().min(NAP);
                    std::thread::sleep(nap);
                }
            })?;
        Ok(Self {
            address,
            link,
            carried,
            stop,
            thread: Some(thread),
        })
    }

    /// Where clients send to instead of the server.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes the network better or worse from now on.
    pub fn set(&self, link: Link) {
        *self.link.lock().unwrap_or_else(PoisonError::into_inner) = link;
    }

    /// What it has done so far.
    #[must_use]
    pub fn carried(&self) -> Carried {
        *self.carried.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One client's way to the server and back.
struct Client {
    towards_server: UdpSocket,
    /// When the bottleneck is free again, to the server and back.
    free_at: [Instant; 2],
}

/// A datagram that is due later; the earliest is the greatest in a heap.
struct OnTheWay {
    due: Instant,
    number: u64,
    client: SocketAddr,
    to_server: bool,
    datagram: Vec<u8>,
}

impl PartialEq for OnTheWay {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for OnTheWay {}

impl PartialOrd for OnTheWay {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for OnTheWay {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.due, other.number).cmp(&(self.due, self.number))
    }
}

struct Network {
    server: SocketAddr,
    socket: UdpSocket,
    clients: HashMap<SocketAddr, Client>,
    on_the_way: BinaryHeap<OnTheWay>,
    sent: u64,
    rng: SmallRng,
    link: Arc<Mutex<Link>>,
    carried: Arc<Mutex<Carried>>,
}

impl Network {
    /// Takes what has come, delivers what is due; tells when something is due next.
    fn turn(&mut self) -> Duration {
        let link = *self.link.lock().unwrap_or_else(PoisonError::into_inner);
        let mut carried = Carried::default();
        let mut buffer = [0; DATAGRAM_MAX];
        while let Ok((len, client)) = self.socket.recv_from(&mut buffer) {
            if self.knows(client) {
                self.take(&link, client, true, &buffer[..len], &mut carried);
            }
        }
        let clients: Vec<SocketAddr> = self.clients.keys().copied().collect();
        for client in clients {
            while let Some(len) = self.receive_for(client, &mut buffer) {
                self.take(&link, client, false, &buffer[..len], &mut carried);
            }
        }
        let now = Instant::now();
        while let Some(first) = self.on_the_way.peek() {
            if first.due > now {
                break;
            }
            if let Some(due) = self.on_the_way.pop() {
                self.deliver(&due);
                carried.delivered += 1;
            }
        }
        let mut total = self.carried.lock().unwrap_or_else(PoisonError::into_inner);
        total.delivered += carried.delivered;
        total.lost += carried.lost;
        let next = self.on_the_way.peek().map(|first| first.due);
        next.map_or(NAP, |due| due.saturating_duration_since(now))
    }

    fn receive_for(&self, client: SocketAddr, buffer: &mut [u8]) -> Option<usize> {
        let socket = &self.clients.get(&client)?.towards_server;
        let (len, from) = socket.recv_from(buffer).ok()?;
        (from == self.server).then_some(len)
    }

    /// Whether a client has its socket, making one for a new client.
    fn knows(&mut self, client: SocketAddr) -> bool {
        if self.clients.contains_key(&client) {
            return true;
        }
        if self.clients.len() >= CLIENTS_MAX {
            return false;
        }
        let made = UdpSocket::bind(SocketAddr::new(self.server.ip(), 0))
            .and_then(|socket| socket.set_nonblocking(true).map(|()| socket));
        let Ok(towards_server) = made else {
            return false;
        };
        let free_at = [Instant::now(); 2];
        self.clients.insert(
            client,
            Client {
                towards_server,
                free_at,
            },
        );
        true
    }

    /// Loses a datagram, or decides when it arrives.
    fn take(
        &mut self,
        link: &Link,
        client: SocketAddr,
        to_server: bool,
        datagram: &[u8],
        carried: &mut Carried,
    ) {
        // One draw for each decision, taken or not: what happens to one datagram
        // does not depend on what the link was for another.
        let lost = self.rng.random_range(0.0..100.0) < link.loss_percent;
        let jitter = link.jitter.mul_f64(self.rng.random_range(0.0..=1.0));
        let now = Instant::now();
        let queued = self.queue(link, client, to_server, datagram.len(), now);
        let (false, false, Some(through)) = (lost, link.cut, queued) else {
            carried.lost += 1;
            return;
        };
        self.sent += 1;
        self.on_the_way.push(OnTheWay {
            due: through + link.delay + jitter,
            number: self.sent,
            client,
            to_server,
            datagram: datagram.to_vec(),
        });
    }

    /// When a datagram is through the bottleneck; `None` when the queue is full.
    fn queue(
        &mut self,
        link: &Link,
        client: SocketAddr,
        to_server: bool,
        len: usize,
        now: Instant,
    ) -> Option<Instant> {
        let Some(rate_bps) = link.rate_bps else {
            return Some(now);
        };
        let client = self.clients.get_mut(&client)?;
        let free_at = &mut client.free_at[usize::from(to_server)];
        let begins = (*free_at).max(now);
        if begins.duration_since(now) > QUEUE_MAX {
            return None;
        }
        let takes = Duration::from_secs_f64(len as f64 * 8.0 / rate_bps.max(1) as f64);
        *free_at = begins + takes;
        Some(*free_at)
    }

    fn deliver(&self, due: &OnTheWay) {
        let Some(client) = self.clients.get(&due.client) else {
            return;
        };
        // What the kernel does not take is lost, as in any network.
        let _ = if due.to_server {
            client.towards_server.send_to(&due.datagram, self.server)
        } else {
            self.socket.send_to(&due.datagram, due.client)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends `count` numbered datagrams of `len` bytes through `link` to a server that
    /// sends each back; returns the numbers that came back, in order, and how long it took.
    fn there_and_back(link: Link, seed: u64, count: u32, len: usize) -> (Vec<u32>, Duration) {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        server.set_nonblocking(true).unwrap();
        let proxy = Proxy::start(server.local_addr().unwrap(), link, seed).unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.set_nonblocking(true).unwrap();
        let start = Instant::now();
        let mut last = start;
        let mut back = Vec::new();
        let mut buffer = [0; DATAGRAM_MAX];
        let mut next = 0;
        while last.elapsed() < Duration::from_millis(700) {
            if next < count {
                let mut datagram = vec![0; len];
                datagram[..4].copy_from_slice(&next.to_be_bytes());
                client.send_to(&datagram, proxy.address()).unwrap();
                next += 1;
                last = Instant::now();
            }
            while let Ok((len, from)) = server.recv_from(&mut buffer) {
                server.send_to(&buffer[..len], from).unwrap();
            }
            while let Ok((_, from)) = client.recv_from(&mut buffer) {
                assert_eq!(from, proxy.address());
                let number = buffer.first_chunk().unwrap();
                back.push(u32::from_be_bytes(*number));
                last = Instant::now();
            }
            std::thread::sleep(Duration::from_micros(500));
        }
        (back, last - start)
    }

    #[test]
    fn a_good_link_carries_everything_in_order() {
        let (back, _) = there_and_back(Link::GOOD, 1, 200, 100);
        assert_eq!(back, (0..200).collect::<Vec<u32>>());
    }

    #[test]
    fn loss_is_as_large_as_it_was_set_and_a_cut_is_total() {
        let link = Link {
            loss_percent: 20.0,
            ..Link::GOOD
        };
        let (back, _) = there_and_back(link, 2, 500, 100);
        // 64 % come back, give or take four standard deviations.
        assert!((277..=363).contains(&back.len()), "{}", back.len());
        let cut = Link {
            cut: true,
            ..Link::GOOD
        };
        assert!(there_and_back(cut, 3, 20, 100).0.is_empty());
    }

    #[test]
    fn jitter_reorders_and_delays() {
        let link = Link {
            delay: Duration::from_millis(20),
            jitter: Duration::from_millis(50),
            ..Link::GOOD
        };
        let (back, took) = there_and_back(link, 4, 100, 100);
        assert_eq!(back.len(), 100);
        assert!(!back.is_sorted());
        assert!(took >= Duration::from_millis(40));
    }

    #[test]
    fn a_bottleneck_lets_its_rate_through() {
        let link = Link {
            rate_bps: Some(400_000),
            ..Link::GOOD
        };
        // 40,000 bytes at 50,000 a second are 0.8 s; what is sent within that time
        // beyond the queue is lost.
        let (back, took) = there_and_back(link, 5, 40, 1_000);
        let rate = back.len() as f64 * 8_000.0 / took.as_secs_f64();
        assert!((250_000.0..=440_000.0).contains(&rate), "{rate} bit/s");
        assert!(back.len() < 40, "{}", back.len());
    }
}
