//! Loopback tests of the driver.

mod receiving;
mod sending;
mod soak;
mod waiting;

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use super::*;
use crate::{Destination, RegisterError};

/// Longer than anything here takes, however busy the machine.
const LONG: Duration = Duration::from_secs(5);

fn small() -> Config {
    Config {
        sockets: 16,
        receive_slots: 256,
        send_slots: 64,
        batch: 32,
        completions: 256,
    }
}

/// The driver as the kernel allows it, and as the oldest kernel would.
fn on_new_and_old_kernel(config: Config) -> [Driver; 2] {
    let old = |_| Abilities {
        send_to: false,
        min_wait: false,
    };
    [
        Driver::new(config).unwrap(),
        Driver::with(config, old).unwrap(),
    ]
}

fn peer(ip: &str) -> UdpSocket {
    let socket = UdpSocket::bind((ip, 0)).unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    socket
}

/// Binds, registers and arms a socket; returns where it is reached.
fn open(driver: &mut Driver, key: u32, ip: &str) -> SocketAddr {
    let address = bind(driver, key, ip);
    driver.arm(key).unwrap();
    address
}

fn bind(driver: &mut Driver, key: u32, ip: &str) -> SocketAddr {
    let any_port = SocketAddr::new(ip.parse().unwrap(), 0);
    let socket =
        UdpSocket::from(crate::media_socket(any_port, &crate::SocketOptions::default()).unwrap());
    let address = socket.local_addr().unwrap();
    driver.register_socket(key, socket.into()).unwrap();
    address
}

/// A datagram, copied out.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Got {
    key: u32,
    source: SocketAddr,
    bytes: Vec<u8>,
}

/// Waits for `count` datagrams and releases them. Fewer when time runs out.
fn receive(driver: &mut Driver, count: usize) -> Vec<Got> {
    let mut got = Vec::new();
    receive_until(driver, now() + LONG, |one| {
        got.push(one);
        got.len() == count
    });
    got
}

/// Feeds datagrams to `done` until it says so or the deadline has come.
fn receive_until(driver: &mut Driver, deadline: Nanos, mut done: impl FnMut(Got) -> bool) {
    let mut finished = false;
    while !finished && now() < deadline {
        driver.wait(Some(deadline), Duration::ZERO).unwrap();
        while let Some(event) = driver.next_event() {
            match event {
                Event::Datagram { key, source, lease } => {
                    let bytes = driver.bytes(&lease).to_vec();
                    driver.release(lease);
                    finished |= done(Got { key, source, bytes });
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

/// What comes within a moment that should bring nothing.
fn receive_in_vain(driver: &mut Driver) -> Vec<Got> {
    let mut got = Vec::new();
    receive_until(driver, now() + Duration::from_millis(30), |one| {
        got.push(one);
        false
    });
    got
}

fn send(driver: &mut Driver, key: u32, to: SocketAddr, bytes: &[u8]) {
    let to = driver.destination(key, to).unwrap();
    let mut lease = driver.send_buffer().unwrap();
    assert!(lease.set_len(bytes.len()));
    driver.bytes_mut(&mut lease).copy_from_slice(bytes);
    driver.send(key, &to, lease).unwrap();
}

/// No slot is anywhere but where an idle driver keeps it.
fn assert_idle(driver: &Driver) {
    assert_eq!(driver.receive_leases_out(), 0);
    assert_eq!(driver.send_leases_out(), 0);
    assert_eq!(driver.sends.on_their_way(), 0);
    assert_eq!(driver.receive.pool.lent(), driver.receive.pool.slots());
    assert_eq!(driver.stats().unexpected, 0);
}

#[test]
fn tags_survive_the_round_trip() {
    for tag in [
        Tag::Receive {
            key: 32_766,
            generation: GENERATION_MASK,
        },
        Tag::Send { place: 32_767 },
        Tag::Doorbell,
        Tag::Cancel,
    ] {
        assert_eq!(Tag::unpack(tag.pack()), Some(tag));
    }
    assert_eq!(Tag::unpack(0), None);
    assert_eq!(Tag::unpack(u64::MAX), None);
}

#[test]
fn a_configuration_out_of_range_is_named() {
    let base = small();
    for (config, name) in [
        (Config { sockets: 0, ..base }, "sockets"),
        (
            Config {
                sockets: 32_768,
                ..base
            },
            "sockets",
        ),
        (
            Config {
                receive_slots: 0,
                ..base
            },
            "receive_slots",
        ),
        (
            Config {
                receive_slots: 32_769,
                ..base
            },
            "receive_slots",
        ),
        (
            Config {
                send_slots: 0,
                ..base
            },
            "send_slots",
        ),
        (Config { batch: 33, ..base }, "batch"),
        (
            Config {
                batch: 65_536,
                ..base
            },
            "batch",
        ),
        (
            Config {
                completions: 100,
                ..base
            },
            "completions",
        ),
        (
            Config {
                completions: 16,
                ..base
            },
            "completions",
        ),
    ] {
        match Driver::new(config) {
            Err(SetupError::Config { what, .. }) => assert_eq!(what, name),
            other => panic!("{config:?}: {other:?}"),
        }
    }
}

#[test]
fn the_smallest_driver_works() {
    let config = Config {
        sockets: 1,
        receive_slots: 1,
        send_slots: 1,
        batch: 1,
        completions: 1,
    };
    for mut driver in on_new_and_old_kernel(config) {
        let address = open(&mut driver, 0, "127.0.0.1");
        for round in 0..20 {
            send(&mut driver, 0, address, &[round]);
            assert_eq!(receive(&mut driver, 1)[0].bytes, [round]);
        }
        assert_idle(&driver);
    }
}

#[test]
fn only_udp_sockets_are_taken_and_each_key_once() {
    let mut driver = Driver::new(small()).unwrap();
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    assert!(matches!(
        driver.register_socket(0, tcp.into()),
        Err(RegisterError::NotUdp)
    ));
    let (local, _other) = std::os::unix::net::UnixDatagram::pair().unwrap();
    assert!(matches!(
        driver.register_socket(0, local.into()),
        Err(RegisterError::NotUdp)
    ));
    assert!(matches!(
        driver.register_socket(16, peer("127.0.0.1").into()),
        Err(RegisterError::NoSuchKey(16))
    ));
    assert!(matches!(driver.arm(3), Err(RegisterError::NoSocket(3))));
    driver.disarm(3);
    driver.disarm(99);
    assert!(driver.unregister_socket(99).is_none());
    let address = open(&mut driver, 3, "127.0.0.1");
    assert!(matches!(
        driver.register_socket(3, peer("127.0.0.1").into()),
        Err(RegisterError::Taken)
    ));
    let back = UdpSocket::from(driver.unregister_socket(3).unwrap());
    assert_eq!(back.local_addr().unwrap(), address);
    assert!(driver.destination(3, address).is_none());
    driver.register_socket(3, back.into()).unwrap();
    driver.arm(3).unwrap();
    peer("127.0.0.1").send_to(b"again", address).unwrap();
    assert_eq!(receive(&mut driver, 1)[0].bytes, b"again");
    assert_idle(&driver);
}
