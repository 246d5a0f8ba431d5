//! One flow of 1,200-byte packets in bursts, as a TURN or WebRTC port sees it:
//! what coalescing is worth.
//!
//! One thread sends a burst and then takes it all in; each part is timed by
//! itself. With UDP_SEGMENT a burst goes down the stack as one packet, with
//! UDP_GRO it comes up as one.

use std::net::UdpSocket;
use std::time::Duration;

use plenum_uring::{pin_current_thread, thread_cpu_time};

use crate::sys::{self, ReceiveBatch};

const PACKET: usize = 1_200;
const BURST: usize = 48;
const ROUNDS: u32 = 400;

struct Flow {
    from: UdpSocket,
    to: UdpSocket,
    segment: bool,
    coalesce: bool,
    batch: ReceiveBatch,
    room: Vec<u8>,
    burst: Vec<u8>,
}

impl Flow {
    fn new(segment: bool, coalesce: bool) -> Self {
        let socket = || UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let (from, to) = (socket(), socket());
        from.connect(to.local_addr().expect("an address"))
            .expect("connected");
        to.set_nonblocking(true).expect("set");
        rustix::net::sockopt::set_socket_recv_buffer_size(&to, 4 << 20).expect("set");
        if segment {
            sys::set_option(&from, libc::SOL_UDP, libc::UDP_SEGMENT, &(PACKET as i32));
        }
        if coalesce {
            sys::set_option(&to, libc::SOL_UDP, libc::UDP_GRO, &1_i32);
        }
        Self {
            from,
            to,
            segment,
            coalesce,
            batch: ReceiveBatch::new(64),
            room: vec![0; 1 << 16],
            burst: (0..BURST * PACKET).map(|at| (at / PACKET) as u8).collect(),
        }
    }

    fn send(&mut self) {
        if self.segment {
            let len = self.from.send(&self.burst).expect("sent");
            assert_eq!(len, self.burst.len());
        } else {
            for packet in self.burst.chunks(PACKET) {
                self.from.send(packet).expect("sent");
            }
        }
    }

    /// Bytes that came; `look` sees them in order.
    fn receive(&mut self, mut look: impl FnMut(&[u8])) -> usize {
        let mut sum = 0;
        loop {
            if self.coalesce {
                let Ok(len) = self.to.recv(&mut self.room) else {
                    return sum;
                };
                look(&self.room[..len]);
                sum += len;
            } else {
                let count = self.batch.receive(&self.to);
                for at in 0..count {
                    look(self.batch.datagram(at));
                    sum += self.batch.datagram(at).len();
                }
                if count == 0 {
                    return sum;
                }
            }
        }
    }

    fn verify(&mut self) {
        self.send();
        let mut got = Vec::new();
        self.receive(|bytes| got.extend_from_slice(bytes));
        assert!(got == self.burst, "a burst came back changed");
    }
}

const FLOWS: [(&str, bool, bool); 4] = [
    ("send each, recvmmsg", false, false),
    ("UDP_SEGMENT, recvmmsg", true, false),
    ("send each, UDP_GRO", false, true),
    ("UDP_SEGMENT, UDP_GRO", true, true),
];

#[cfg(test)]
pub(crate) fn check() {
    for (_, segment, coalesce) in FLOWS {
        Flow::new(segment, coalesce).verify();
    }
}

pub(crate) fn run(realtime: bool) {
    println!(
        "\nOne flow, bursts of {BURST} packets of {PACKET} bytes, ns a packet:\n\n\
         | way | tx | rx | both |\n|---|---|---|---|"
    );
    std::thread::spawn(move || {
        pin_current_thread(0).expect("a core");
        if realtime {
            sys::realtime();
        }
        for (name, segment, coalesce) in FLOWS {
            let mut flow = Flow::new(segment, coalesce);
            (0..10).for_each(|_| flow.verify());
            let (mut sending, mut receiving) = (Duration::ZERO, Duration::ZERO);
            for _ in 0..ROUNDS {
                let start = thread_cpu_time();
                flow.send();
                let middle = thread_cpu_time();
                assert_eq!(flow.receive(|_| {}), BURST * PACKET);
                sending += middle - start;
                receiving += thread_cpu_time() - middle;
            }
            let each = |time: Duration| time.as_nanos() as f64 / f64::from(ROUNDS) / BURST as f64;
            let (tx, rx) = (each(sending), each(receiving));
            println!("| {name:22} | {tx:5.0} | {rx:5.0} | {:5.0} |", tx + rx);
        }
    })
    .join()
    .expect("the thread");
}
