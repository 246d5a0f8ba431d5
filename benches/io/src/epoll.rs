//! What one would do without io_uring.

use std::net::SocketAddr;
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::time::Duration;

use plenum_abi::Nanos;
use plenum_uring::now;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use crate::sys::{ReceiveBatch, SendBatch};
use crate::way::{Io, Legs, PAYLOAD};

#[derive(Clone, Copy)]
pub(crate) enum Receive {
    /// Level-triggered, one datagram an event.
    One,
    /// Edge-triggered, until the socket is empty.
    UntilEmpty,
    /// Edge-triggered, so many at once.
    Mmsg(usize),
    /// As `One`, but asleep for so many microseconds before each look.
    Nap(u64),
    /// No epoll: all sockets once a tick.
    Sweep,
}

#[derive(Clone, Copy)]
pub(crate) enum By {
    SendTo,
    /// On connected sockets.
    Send,
    Mmsg,
}

pub(crate) struct Epoll {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    sockets: Vec<UdpSocket>,
    peers: Vec<SocketAddr>,
    payloads: Vec<[u8; PAYLOAD]>,
    receive: Receive,
    send: By,
    room: Vec<u8>,
    batch: ReceiveBatch,
    sends: SendBatch,
}

impl Epoll {
    pub(crate) fn new(legs: Legs, receive: Receive, send: By) -> Self {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("an epoll");
        let mut flags = epoll::EventFlags::IN;
        if matches!(receive, Receive::UntilEmpty | Receive::Mmsg(_)) {
            flags |= epoll::EventFlags::ET;
        }
        for (key, socket) in (0..).zip(&legs.sockets) {
            epoll::add(&epoll, socket, epoll::EventData::new_u64(key), flags).expect("added");
        }
        Self {
            epoll,
            events: Vec::with_capacity(256),
            payloads: legs.payloads(),
            sends: SendBatch::new(&legs.peers),
            sockets: legs.sockets,
            peers: legs.peers,
            receive,
            send,
            room: vec![0; 2_048],
            batch: ReceiveBatch::new(match receive {
                Receive::Mmsg(count) => count,
                _ => 1,
            }),
        }
    }

    /// One socket; `false` when there was nothing.
    fn one(&mut self, key: usize, datagram: &mut dyn FnMut(&[u8])) -> bool {
        let socket = &self.sockets[key];
        // A leg that is not connected must know from whom it is.
        let len = match self.send {
            By::Send => socket.recv(&mut self.room),
            _ => socket.recv_from(&mut self.room).map(|(len, _)| len),
        };
        let Ok(len) = len else { return false };
        datagram(&self.room[..len]);
        true
    }
}

impl Io for Epoll {
    fn wait(&mut self, until: Nanos, datagram: &mut dyn FnMut(&[u8])) {
        let left = until.since(now());
        match self.receive {
            Receive::Sweep => {
                std::thread::sleep(left);
                for key in 0..self.sockets.len() {
                    while self.one(key, datagram) {}
                }
                return;
            }
            Receive::Nap(us) => std::thread::sleep(left.min(Duration::from_micros(us))),
            _ => {}
        }
        let left = until.since(now());
        let limit = Timespec {
            tv_sec: 0,
            tv_nsec: left.as_nanos().min(999_999_999) as i64,
        };
        self.events.clear();
        let _ = epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&limit));
        for at in 0..self.events.len() {
            let key = self.events[at].data.u64() as usize;
            match self.receive {
                Receive::Mmsg(most) => loop {
                    let count = self.batch.receive(&self.sockets[key]);
                    (0..count).for_each(|at| datagram(self.batch.datagram(at)));
                    if count < most {
                        break;
                    }
                },
                Receive::UntilEmpty => while self.one(key, datagram) {},
                _ => {
                    self.one(key, datagram);
                }
            }
        }
    }

    fn tick(&mut self) {
        match self.send {
            By::Mmsg => self.sends.send(&self.sockets[0], &self.payloads),
            By::Send => {
                for (socket, payload) in self.sockets.iter().zip(&self.payloads) {
                    socket.send(payload).expect("sent");
                }
            }
            By::SendTo => {
                let legs = self.peers.iter().zip(&self.payloads);
                for (key, (peer, payload)) in legs.enumerate() {
                    let socket = &self.sockets[key % self.sockets.len()];
                    socket.send_to(payload, peer).expect("sent");
                }
            }
        }
    }
}
