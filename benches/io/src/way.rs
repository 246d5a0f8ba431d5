//! The ways that are compared.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use plenum_abi::Nanos;

use crate::epoll::{self, Epoll};
use crate::ours::Ours;
use crate::ring::{self, Ring};

/// Bytes of a datagram: 20 ms of G.711 and an RTP header.
pub(crate) const PAYLOAD: usize = 172;

/// One way of waiting, receiving and sending, on its own sockets.
pub(crate) trait Io {
    /// Sleeps until datagrams come or it is `until`; shows each datagram.
    fn wait(&mut self, until: Nanos, datagram: &mut dyn FnMut(&[u8]));
    /// Sends one datagram on each leg, its first bytes the leg's number.
    fn tick(&mut self);
}

/// What a way is given.
pub(crate) struct Legs {
    /// One a leg, or one for all. Connected where the way asks for it.
    pub(crate) sockets: Vec<UdpSocket>,
    /// Where each leg's datagrams go.
    pub(crate) peers: Vec<SocketAddr>,
}

impl Legs {
    /// The datagram of each leg.
    pub(crate) fn payloads(&self) -> Vec<[u8; PAYLOAD]> {
        (0..self.peers.len() as u32)
            .map(|leg| {
                let mut bytes = [7; PAYLOAD];
                bytes[..4].copy_from_slice(&leg.to_le_bytes());
                bytes
            })
            .collect()
    }
}

/// A row of the table.
pub(crate) struct Way {
    pub(crate) name: &'static str,
    pub(crate) connected: bool,
    pub(crate) shared: bool,
    pub(crate) open: Box<dyn Fn(Legs) -> Box<dyn Io> + Sync>,
}

impl Way {
    fn new<T: Io + 'static>(name: &'static str, open: impl Fn(Legs) -> T + Sync + 'static) -> Self {
        Self {
            name,
            connected: false,
            shared: false,
            open: Box::new(move |legs| Box::new(open(legs))),
        }
    }

    fn connected(self) -> Self {
        Self {
            connected: true,
            ..self
        }
    }

    fn shared(self) -> Self {
        Self {
            shared: true,
            ..self
        }
    }
}

pub(crate) fn all() -> Vec<Way> {
    use epoll::{By, Receive};
    use ring::{By as Op, Options as O};
    let plain = O {
        own_thread_only: false,
        registered_files: false,
        connected: false,
        gather: Duration::ZERO,
        send: Op::SendTo,
    };
    let own = O {
        own_thread_only: true,
        ..plain
    };
    let files = O {
        registered_files: true,
        ..own
    };
    let with = |o: O, send| O { send, ..o };
    let gather = |o: O, us| O {
        gather: Duration::from_micros(us),
        ..o
    };
    let raw = |name, o: O| Way::new(name, move |legs| Ring::new(legs, o));
    let epoll = |name, receive, send| Way::new(name, move |legs| Epoll::new(legs, receive, send));
    let connected = O {
        connected: true,
        ..files
    };
    vec![
        raw("multishot + SEND", plain),
        raw("multishot + SEND, DEFER_TASKRUN", own),
        raw("multishot + SEND, DEFER, registered files", files),
        raw("multishot + SENDMSG", with(files, Op::SendMsg)),
        raw("multishot + sendto (hybrid)", with(files, Op::SystemCall)),
        raw("multishot + SEND, connected", with(connected, Op::Send)).connected(),
        raw(
            "multishot + send (hybrid), connected",
            with(connected, Op::SystemCall),
        )
        .connected(),
        raw("multishot + SEND, gather 100 us", gather(files, 100)),
        raw("multishot + SEND, gather 1 ms", gather(files, 1_000)),
        raw(
            "multishot + sendto, gather 1 ms",
            gather(with(files, Op::SystemCall), 1_000),
        ),
        epoll("epoll level + recvfrom + sendto", Receive::One, By::SendTo),
        epoll(
            "epoll edge + recvfrom + sendto",
            Receive::UntilEmpty,
            By::SendTo,
        ),
        epoll(
            "epoll edge + recvmmsg + sendto",
            Receive::Mmsg(4),
            By::SendTo,
        ),
        epoll(
            "epoll level + recv + send, connected",
            Receive::One,
            By::Send,
        )
        .connected(),
        epoll("epoll, nap of 100 us", Receive::Nap(100), By::SendTo),
        epoll("epoll, nap of 1 ms", Receive::Nap(1_000), By::SendTo),
        epoll(
            "all sockets once a tick (floor)",
            Receive::Sweep,
            By::SendTo,
        ),
        epoll(
            "one port: epoll + recvmmsg + sendmmsg",
            Receive::Mmsg(64),
            By::Mmsg,
        )
        .shared(),
        raw("one port: multishot + SEND", files).shared(),
        raw("one port: multishot + sendmmsg", with(files, Op::Mmsg)).shared(),
        raw(
            "one port: multishot + sendmmsg, gather 100 us",
            gather(with(files, Op::Mmsg), 100),
        )
        .shared(),
        Way::new("plenum-uring", |legs| Ours::new(&legs, Duration::ZERO)),
        Way::new("plenum-uring, gather 100 us", |legs| {
            Ours::new(&legs, Duration::from_micros(100))
        }),
        Way::new("plenum-uring, gather 1 ms", |legs| {
            Ours::new(&legs, Duration::from_millis(1))
        }),
    ]
}
