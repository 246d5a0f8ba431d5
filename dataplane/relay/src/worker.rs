//! The loop of one thread.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use plenum_abi::{Nanos, TurnStats};
use plenum_stun::frame_length;
use plenum_turn::{
    Client, FromClient, Records, RelayId, Server, SocketChange, Time, ToClient, ToPeer, Via,
};
use plenum_uring::datagrams::{Inbox, Outbox, Received};
use plenum_uring::now;
use rustix::event::{Timespec, epoll};
use rustix::net::SocketFlags;
use rustls::ServerConfig;

use crate::records::SharedRecords;
use crate::stream::{Closed, FRAME_MAX};
use crate::streams::Streams;
use crate::{Setup, SetupError};

/// Datagrams or bursts that are taken in one go.
const BATCH: usize = 64;
/// Of these, from one relay.
const BATCH_OF_RELAY: usize = 32;
/// Batches that are taken off one listener before others have their turn.
const ROUNDS: usize = 4;
/// Events of one wait.
const EVENTS: usize = 256;
/// How often time is looked after.
const TICK: Duration = Duration::from_millis(100);
/// Connections that are accepted in one go.
const ACCEPTS: usize = 32;

/// What an event is about, in the 64 bits that come back with it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Token {
    Listener(u32),
    StreamListener(u32),
    Relay(u32),
    Stream(u32),
}

impl Token {
    fn data(self) -> epoll::EventData {
        let (kind, number) = match self {
            Self::Listener(number) => (0, number),
            Self::StreamListener(number) => (1, number),
            Self::Relay(number) => (2, number),
            Self::Stream(number) => (3, number),
        };
        epoll::EventData::new_u64(kind << 32 | u64::from(number))
    }

    fn read(data: epoll::EventData) -> Option<Self> {
        let word = data.u64();
        let number = word as u32;
        match word >> 32 {
            0 => Some(Self::Listener(number)),
            1 => Some(Self::StreamListener(number)),
            2 => Some(Self::Relay(number)),
            3 => Some(Self::Stream(number)),
            _ => None,
        }
    }
}

struct StreamDoor {
    socket: OwnedFd,
    tls: Option<Arc<ServerConfig>>,
}

/// A payload on its way to a peer.
struct Pending {
    relay: RelayId,
    peer: SocketAddr,
    range: Range<usize>,
}

/// One thread's TURN server: see the crate's header.
pub struct Worker {
    server: Server<SharedRecords>,
    poll: OwnedFd,
    listeners: Vec<OwnedFd>,
    doors: Vec<StreamDoor>,
    relays: Vec<OwnedFd>,
    streams: Streams,
    /// Streams with something in their queue.
    to_flush: Vec<u32>,
    inbox: Inbox,
    received: Vec<Received>,
    pending: Vec<Pending>,
    /// One for each listener.
    to_clients: Vec<Outbox>,
    /// By family.
    to_peers: [Outbox; 2],
    v6_from: usize,
    time: Time,
    next_tick: Nanos,
    gather: Duration,
    /// Packets of this turn.
    moved: usize,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

fn unix_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn kernel(doing: &'static str) -> impl Fn(io::Error) -> SetupError {
    move |source| SetupError::Kernel { doing, source }
}

impl Worker {
    /// Adopts what a predecessor left, and makes ready. To be called on the thread
    /// that runs it.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(setup: Setup) -> Result<Self, SetupError> {
        let ports = &setup.config.ports;
        let expected = ports.v4.len() + ports.v6.len();
        if setup.relays.len() != expected {
            return Err(SetupError::Mismatch {
                found: setup.relays.len(),
                expected,
            });
        }
        if let Some(core) = setup.core {
            plenum_uring::pin_current_thread(core as usize).map_err(kernel("pin the thread"))?;
        }
        // A gathering time of 50 us is not to become one of 100.
        plenum_uring::no_timer_slack().map_err(kernel("ask for exact timers"))?;
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)
            .map_err(io::Error::from)
            .map_err(kernel("make an epoll"))?;
        let v6_from = ports.v4.len();
        let records = SharedRecords {
            memory: setup.memory,
            worker: setup.worker,
        };
        let started = now();
        let to_clients = setup
            .listeners
            .iter()
            .map(|socket| Outbox::new(is_ipv6(socket), setup.bursts))
            .collect();
        let mut worker = Self {
            server: Server::new(setup.config, records, setup.seed, started),
            poll,
            listeners: setup.listeners,
            doors: setup
                .streams
                .into_iter()
                .filter(|listener| !listener.is_tls || setup.tls.is_some())
                .map(|listener| StreamDoor {
                    socket: listener.socket,
                    tls: setup.tls.clone().filter(|_| listener.is_tls),
                })
                .collect(),
            relays: setup.relays,
            streams: Streams::default(),
            to_flush: Vec::new(),
            inbox: Inbox::new(BATCH),
            received: Vec::with_capacity(BATCH),
            pending: Vec::with_capacity(BATCH),
            to_clients,
            to_peers: [
                Outbox::new(false, setup.bursts),
                Outbox::new(true, setup.bursts),
            ],
            v6_from,
            time: Time {
                now: started,
                unix_s: unix_s(),
            },
            next_tick: started,
            gather: setup.gather,
            moved: 0,
        };
        worker.adopt()?;
        let stats = worker.stats();
        stats.connections.store(0, Ordering::Relaxed);
        stats.heartbeat.store(started.0, Ordering::Relaxed);
        stats
            .process_id
            .store(std::process::id().into(), Ordering::Release);
        Ok(worker)
    }

    /// Listens to listeners and to relays with an allocation; closes the others.
    fn adopt(&mut self) -> Result<(), SetupError> {
        let mut is_open = vec![false; self.relays.len()];
        while let Some(change) = self.server.next_change() {
            if let SocketChange::Open(relay) = change {
                is_open[relay.0 as usize] = true;
            }
        }
        for (number, is_open) in (0_u32..).zip(is_open) {
            let socket = &self.relays[number as usize];
            if is_open {
                // What came while nobody was here waits in it.
                open(socket).map_err(kernel("open a relay socket"))?;
                self.watch(socket, Token::Relay(number), epoll::EventFlags::IN)
                    .map_err(kernel("watch a relay socket"))?;
            } else {
                close(socket).map_err(kernel("close a relay socket"))?;
            }
        }
        for (number, socket) in (0_u32..).zip(&self.listeners) {
            self.watch(socket, Token::Listener(number), epoll::EventFlags::IN)
                .map_err(kernel("watch a listener"))?;
        }
        for (number, door) in (0_u32..).zip(&self.doors) {
            let token = Token::StreamListener(number);
            self.watch(&door.socket, token, epoll::EventFlags::IN)
                .map_err(kernel("watch a listener"))?;
        }
        Ok(())
    }

    fn watch(&self, socket: impl AsFd, token: Token, events: epoll::EventFlags) -> io::Result<()> {
        Ok(epoll::add(&self.poll, socket, token.data(), events)?)
    }

    fn stats(&self) -> &TurnStats {
        self.server.records().stats()
    }

    /// Serves until the process ends.
    ///
    /// # Errors
    /// When the kernel does not let it wait, which does not happen.
    pub fn run(mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(EVENTS);
        let mut woke_at = Nanos::ZERO;
        loop {
            // Often woken for little: what comes next may as well come together.
            let often = self.time.now.since(woke_at) < 2 * self.gather;
            if often && self.moved > 0 && self.moved < BATCH / 2 {
                std::thread::sleep(self.gather);
            }
            self.turn(&mut events, &mut woke_at)?;
        }
    }

    /// One wait and what it brought.
    fn turn(&mut self, events: &mut Vec<epoll::Event>, woke_at: &mut Nanos) -> io::Result<()> {
        let left = self.next_tick.since(self.time.now);
        let patience = Timespec {
            tv_sec: 0,
            tv_nsec: i64::try_from(left.as_nanos()).unwrap_or(0),
        };
        events.clear();
        match epoll::wait(
            &self.poll,
            rustix::buffer::spare_capacity(events),
            Some(&patience),
        ) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        *woke_at = self.time.now;
        self.time.now = now();
        self.moved = 0;
        for event in events.iter() {
            match Token::read(event.data) {
                Some(Token::Listener(number)) => self.serve_listener(number),
                Some(Token::Relay(number)) => self.serve_relay(RelayId(number)),
                Some(Token::StreamListener(number)) => self.accept(number),
                Some(Token::Stream(number)) => self.serve_stream(number, event.flags),
                None => {}
            }
        }
        self.flush();
        self.inbox.clear();
        self.follow_changes();
        if self.time.now >= self.next_tick {
            self.tick();
        }
        Ok(())
    }

    fn tick(&mut self) {
        self.next_tick = self.time.now + TICK;
        self.time.unix_s = unix_s();
        let memory = &self.server.records().memory;
        let draining = memory.header().draining.load(Ordering::Relaxed) != 0;
        self.server.set_draining(draining);
        self.server.handle_timeout(self.time.now);
        let server = &self.server;
        let idle = self
            .streams
            .idle(self.time.now, |client| server.has_allocation(client));
        for number in idle {
            self.close_stream(number);
        }
        self.follow_changes();
        let heartbeat = self.time.now.0;
        self.stats().heartbeat.store(heartbeat, Ordering::Release);
    }

    /// Opens and closes relay sockets as the machine says.
    fn follow_changes(&mut self) {
        while let Some(change) = self.server.next_change() {
            let (SocketChange::Open(relay) | SocketChange::Close(relay)) = change;
            let socket = &self.relays[relay.0 as usize];
            let done = match change {
                SocketChange::Open(_) => {
                    plenum_uring::drain(socket);
                    open(socket).and_then(|()| {
                        let token = Token::Relay(relay.0);
                        self.watch(socket, token, epoll::EventFlags::IN)
                    })
                }
                SocketChange::Close(_) => epoll::delete(&self.poll, socket)
                    .map_err(io::Error::from)
                    .and_then(|()| close(socket)),
            };
            if let Err(error) = done {
                tracing::error!(?change, %error, "a relay socket does not obey");
            }
        }
    }

    fn serve_listener(&mut self, number: u32) {
        for _ in 0..ROUNDS {
            self.flush();
            self.inbox.clear();
            let mut received = std::mem::take(&mut self.received);
            received.clear();
            let socket = self.listeners[number as usize].as_fd();
            // An error is an ICMP message of long ago; the next call goes on.
            let count = self
                .inbox
                .receive(socket, BATCH, &mut received)
                .unwrap_or(0);
            for burst in &received {
                let client = Client {
                    address: burst.source,
                    via: Via::Udp(number as u16),
                };
                self.serve_burst(&client, burst);
            }
            self.received = received;
            self.send_to_peers();
            if count < BATCH {
                break;
            }
        }
    }

    /// Datagrams of one client that came together.
    fn serve_burst(&mut self, client: &Client, burst: &Received) {
        let mut at = burst.range.start;
        while at < burst.range.end {
            let len = burst.segment.min(burst.range.end - at);
            let count = self.equal_channel_data(at..burst.range.end, len);
            self.serve_packet(client, at..at + len, count);
            at += len * count;
        }
    }

    /// How many packets of `len` bytes begin with the same ChannelData header.
    fn equal_channel_data(&self, range: Range<usize>, len: usize) -> usize {
        let bytes = self.inbox.bytes(range);
        let Some(header) = bytes.first_chunk::<4>() else {
            return 1;
        };
        if !(0x40..=0x7f).contains(&header[0]) {
            return 1;
        }
        let same = |packet: &&[u8]| packet.len() == len && packet.starts_with(header);
        bytes.chunks(len).take_while(same).count().max(1)
    }

    /// `count` packets of a client, the first of which lies in `range`.
    fn serve_packet(&mut self, client: &Client, range: Range<usize>, count: usize) {
        self.moved += count;
        let (at, len) = (range.start, range.len());
        let outcome = self.server.from_client(
            self.time,
            client,
            self.inbox.bytes(range),
            u32::try_from(count).unwrap_or(1),
        );
        match outcome {
            FromClient::ToPeer(ToPeer {
                relay,
                peer,
                payload,
            }) => {
                for number in 0..count {
                    let at = at + number * len;
                    self.pending.push(Pending {
                        relay,
                        peer,
                        range: at + payload.start..at + payload.end,
                    });
                }
            }
            FromClient::ToClient(delivery) => {
                for number in 0..count {
                    self.deliver(&delivery, at + number * len);
                }
            }
            FromClient::Reply => self.reply(client),
            FromClient::Dropped(_) => {}
        }
    }

    fn reply(&mut self, client: &Client) {
        match client.via {
            Via::Udp(listener) => {
                let outbox = &mut self.to_clients[usize::from(listener)];
                outbox.push(client.address, self.server.reply(), 0..0, 0);
            }
            Via::Stream(number) => {
                let Some(stream) = self.streams.get(number) else {
                    return;
                };
                // An answer must not be lost on a stream: nobody asks again.
                if stream.queue([self.server.reply(), &[], &[]]) {
                    self.to_flush.push(number);
                } else {
                    self.close_stream(number);
                }
            }
        }
    }

    /// A payload to a client; `base` is where its packet begins.
    fn deliver(&mut self, delivery: &ToClient, base: usize) {
        let payload = base + delivery.payload.start..base + delivery.payload.end;
        let header = delivery.header.bytes();
        let taken = match delivery.client.via {
            Via::Udp(listener) => match self.to_clients.get_mut(usize::from(listener)) {
                Some(outbox) => {
                    outbox.push(delivery.client.address, header, payload, delivery.padding)
                }
                // Its address was taken off the settings while we were restarted.
                None => false,
            },
            Via::Stream(number) => {
                let bytes = self.inbox.bytes(payload);
                let zeros = &[0; 3][..delivery.padding];
                let stream = self.streams.get(number);
                let taken = stream.is_some_and(|stream| stream.queue([header, bytes, zeros]));
                if taken && self.to_flush.last() != Some(&number) {
                    self.to_flush.push(number);
                }
                taken
            }
        };
        if !taken {
            add(&self.stats().unsent, 1);
        }
    }

    fn serve_relay(&mut self, relay: RelayId) {
        if self.inbox.free() < BATCH_OF_RELAY {
            self.flush();
            self.inbox.clear();
        }
        let mut received = std::mem::take(&mut self.received);
        received.clear();
        let socket = self.relays[relay.0 as usize].as_fd();
        let _ = self.inbox.receive(socket, BATCH_OF_RELAY, &mut received);
        for burst in &received {
            let (at, len) = (burst.range.start, burst.range.len());
            let whole = len / burst.segment;
            let rest = len - whole * burst.segment;
            self.serve_peer(
                relay,
                burst.source,
                at,
                burst.segment.min(len),
                whole.max(1),
            );
            if rest > 0 && whole > 0 {
                self.serve_peer(relay, burst.source, at + whole * burst.segment, rest, 1);
            }
        }
        self.received = received;
    }

    /// `count` packets of `len` bytes from a peer, the first of which begins at `at`.
    fn serve_peer(
        &mut self,
        relay: RelayId,
        peer: SocketAddr,
        at: usize,
        len: usize,
        count: usize,
    ) {
        self.moved += count;
        let packets = u32::try_from(count).unwrap_or(1);
        let delivery = self.server.from_peer(self.time, relay, peer, len, packets);
        if let Some(delivery) = delivery {
            for number in 0..count {
                self.deliver(&delivery, at + number * len);
            }
        }
    }

    /// Sends what waits for peers, relay by relay.
    fn send_to_peers(&mut self) {
        let mut pending = std::mem::take(&mut self.pending);
        let mixed = pending
            .windows(2)
            .any(|pair| pair[0].relay != pair[1].relay);
        if mixed {
            // By where they lie, packets of one relay stay in their order.
            pending.sort_unstable_by_key(|one| (one.relay, one.range.start));
        }
        for group in pending.chunk_by(|a, b| a.relay == b.relay) {
            let Some(first) = group.first() else { continue };
            let relay = first.relay.0 as usize;
            let outbox = &mut self.to_peers[usize::from(relay >= self.v6_from)];
            let mut unsent = 0;
            for one in group {
                unsent += u64::from(!outbox.push(one.peer, &[], one.range.clone(), 0));
            }
            let sent = outbox.send(self.relays[relay].as_fd(), &self.inbox);
            let stats = self.server.records().stats();
            if unsent + sent.failed > 0 {
                add(&stats.unsent, unsent + sent.failed);
            }
        }
        pending.clear();
        self.pending = pending;
    }

    /// Sends everything that names bytes of the inbox.
    fn flush(&mut self) {
        self.send_to_peers();
        for (outbox, socket) in self.to_clients.iter_mut().zip(&self.listeners) {
            if !outbox.is_empty() {
                let sent = outbox.send(socket.as_fd(), &self.inbox);
                if sent.failed > 0 {
                    add(&self.server.records().stats().unsent, sent.failed);
                }
            }
        }
        while let Some(number) = self.to_flush.pop() {
            self.flush_stream(number);
        }
    }

    fn accept(&mut self, number: u32) {
        for _ in 0..ACCEPTS {
            let door = &self.doors[number as usize];
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let Ok((socket, from)) = rustix::net::acceptfrom_with(&door.socket, flags) else {
                // Nobody is there any more, or no descriptor is left.
                break;
            };
            let Some(Ok(from)) = from.map(SocketAddr::try_from) else {
                continue;
            };
            let accepted = self
                .streams
                .accept(socket, from, door.tls.as_ref(), self.time.now);
            let Some(number) = accepted else { continue };
            let watched = self.streams.get(number).map(|stream| {
                epoll::add(
                    &self.poll,
                    &stream.socket,
                    Token::Stream(number).data(),
                    epoll::EventFlags::IN,
                )
            });
            if !matches!(watched, Some(Ok(()))) {
                self.close_stream(number);
            }
        }
        self.count_streams();
    }

    fn count_streams(&self) {
        let count = self.streams.len() as u64;
        self.stats().connections.store(count, Ordering::Relaxed);
    }

    fn close_stream(&mut self, number: u32) {
        // Closing the socket takes it off the poll.
        if let Some(client) = self.streams.close(number) {
            self.server.stream_closed(&client);
            self.count_streams();
        }
    }

    fn flush_stream(&mut self, number: u32) {
        let Some(stream) = self.streams.get(number) else {
            return;
        };
        let Ok(waits) = stream.flush(self.time.now) else {
            self.close_stream(number);
            return;
        };
        if waits != stream.waits_to_write {
            stream.waits_to_write = waits;
            let mut events = epoll::EventFlags::IN;
            events.set(epoll::EventFlags::OUT, waits);
            let data = Token::Stream(number).data();
            if epoll::modify(&self.poll, &stream.socket, data, events).is_err() {
                self.close_stream(number);
            }
        }
    }

    fn serve_stream(&mut self, number: u32, events: epoll::EventFlags) {
        if events.contains(epoll::EventFlags::OUT) {
            self.flush_stream(number);
        }
        let readable = epoll::EventFlags::IN | epoll::EventFlags::HUP | epoll::EventFlags::ERR;
        if !events.intersects(readable) {
            return;
        }
        if self.inbox.free() == 0 {
            self.flush();
            self.inbox.clear();
        }
        if self.read_stream(number) == Err(Closed) {
            self.send_to_peers();
            self.close_stream(number);
            return;
        }
        // TLS may have something to say of its own.
        self.flush_stream(number);
    }

    /// Reads what came and serves the frames that are whole.
    fn read_stream(&mut self, number: u32) -> Result<(), Closed> {
        let Some(stream) = self.streams.get(number) else {
            return Ok(());
        };
        let mut outcome = Ok(0);
        let begun = std::mem::take(&mut stream.begun);
        let range = self.inbox.fill(|room| {
            room[..begun.len()].copy_from_slice(&begun);
            outcome = stream.read(&mut room[begun.len()..]);
            begun.len() + outcome.unwrap_or(0)
        });
        let Some(range) = range else { return Ok(()) };
        if outcome? > 0 {
            stream.moved_at = self.time.now;
        }
        let client = stream.client;
        let mut at = range.start;
        loop {
            let rest = self.inbox.bytes(at..range.end);
            let Some(len) = frame_length(rest).map_err(|_| Closed)? else {
                break;
            };
            if len > FRAME_MAX {
                return Err(Closed);
            }
            if len > rest.len() {
                break;
            }
            self.serve_packet(&client, at..at + len, 1);
            at += len;
        }
        let rest = self.inbox.bytes(at..range.end);
        if let Some(stream) = self.streams.get(number) {
            stream.begun.extend_from_slice(rest);
        }
        Ok(())
    }
}

/// The one writer of a counter need not lock it.
fn add(counter: &AtomicU64, more: u64) {
    counter.store(
        counter.load(Ordering::Relaxed).wrapping_add(more),
        Ordering::Relaxed,
    );
}

fn is_ipv6(socket: &OwnedFd) -> bool {
    rustix::net::sockopt::socket_domain(socket)
        .is_ok_and(|family| family == rustix::net::AddressFamily::INET6)
}

/// Lets everybody's datagrams in.
fn open(socket: &OwnedFd) -> io::Result<()> {
    match rustix::net::connect_unspec(socket) {
        // It was connected to nobody.
        Err(rustix::io::Errno::NOTCONN) => Ok(()),
        other => Ok(other?),
    }
}

/// Keeps a socket bound and lets nothing in: it is connected to itself. To the
/// world its port then looks as if nobody was there. A filter would do the same
/// and take a page of kernel memory for each of thousands of sockets.
///
/// # Errors
/// What the kernel says.
pub(crate) fn close(socket: &OwnedFd) -> io::Result<()> {
    let own = SocketAddr::try_from(rustix::net::getsockname(socket)?)?;
    rustix::net::connect(socket, &own)?;
    plenum_uring::drain(socket);
    Ok(())
}
