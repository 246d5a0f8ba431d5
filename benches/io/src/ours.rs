//! The driver that the worker uses.

use std::time::Duration;

use plenum_abi::Nanos;
use plenum_uring::{Config, Destination, Driver, Event};

use crate::way::{Io, Legs, PAYLOAD};

pub(crate) struct Ours {
    driver: Driver,
    gather: Duration,
    payloads: Vec<[u8; PAYLOAD]>,
    destinations: Vec<Destination>,
}

impl Ours {
    pub(crate) fn new(legs: &Legs, gather: Duration) -> Self {
        let mut driver = Driver::new(Config {
            sockets: legs.sockets.len() as u32,
            receive_slots: 4_096,
            ..Config::default()
        })
        .expect("a driver");
        let mut destinations = Vec::new();
        for (key, (socket, &peer)) in (0..).zip(legs.sockets.iter().zip(&legs.peers)) {
            let socket = socket.try_clone().expect("a descriptor");
            driver
                .register_socket(key, socket.into())
                .expect("registered");
            driver.arm(key).expect("armed");
            destinations.push(driver.destination(key, peer).expect("IPv4"));
        }
        Self {
            driver,
            gather,
            payloads: legs.payloads(),
            destinations,
        }
    }
}

impl Io for Ours {
    fn wait(&mut self, until: Nanos, datagram: &mut dyn FnMut(&[u8])) {
        self.driver.wait(Some(until), self.gather).expect("a ring");
        while let Some(event) = self.driver.next_event() {
            let Event::Datagram { lease, .. } = event else {
                panic!("{event:?}");
            };
            datagram(self.driver.bytes(&lease));
            self.driver.release(lease);
        }
    }

    fn tick(&mut self) {
        for (key, (payload, to)) in (0..).zip(self.payloads.iter().zip(&self.destinations)) {
            let mut lease = self.driver.send_buffer().expect("a slot");
            assert!(lease.set_len(PAYLOAD));
            self.driver.bytes_mut(&mut lease).copy_from_slice(payload);
            self.driver.send(key, to, lease).expect("room");
        }
        self.driver.flush().expect("a ring");
    }
}
