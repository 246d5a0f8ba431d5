use std::net::UdpSocket;
use std::os::fd::AsFd;

use super::*;

fn socket() -> (OwnedFd, SocketAddr) {
    let any = "127.0.0.1:0".parse().unwrap();
    let socket = datagram_socket(any, &SocketOptions::default(), false).unwrap();
    let address = UdpSocket::from(socket.try_clone().unwrap())
        .local_addr()
        .unwrap();
    (socket, address)
}

/// Receives `count` datagrams into the inbox.
fn receive(inbox: &mut Inbox, socket: &OwnedFd, count: usize) -> Vec<Received> {
    let mut received = Vec::new();
    let datagrams = |received: &[Received]| -> usize {
        received
            .iter()
            .map(|one| one.range.len().div_ceil(one.segment))
            .sum()
    };
    for _ in 0..1_000 {
        inbox.receive(socket.as_fd(), 64, &mut received).unwrap();
        if datagrams(&received) >= count {
            return received;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    panic!("{} of {count} datagrams", datagrams(&received));
}

#[test]
fn parts_are_put_together_and_bursts_are_cut_where_they_were_joined() {
    let (from, _) = socket();
    let far = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (near, near_address) = socket();
    far.send_to(b"0123456789", near_address).unwrap();
    let mut inbox = Inbox::new(4);
    let received = receive(&mut inbox, &near, 1);
    assert_eq!(received[0].source, far.local_addr().unwrap());
    let at = received[0].range.start;
    for bursts_allowed in [true, false] {
        let mut outbox = Outbox::new(false, bursts_allowed);
        let to = far.local_addr().unwrap();
        // Three of six bytes, a shorter one that closes the burst, one of another length.
        assert!(outbox.push(to, b"AB", at..at + 4, 0));
        assert!(outbox.push(to, b"CD", at + 4..at + 7, 1));
        assert!(outbox.push(to, b"", at + 2..at + 8, 0));
        assert!(outbox.push(to, b"E", at..at + 2, 0));
        assert!(outbox.push(to, b"F", at..at + 9, 0));
        assert!(!outbox.push("[::1]:9".parse().unwrap(), b"", at..at, 0));
        let sent = outbox.send(from.as_fd(), &inbox);
        assert_eq!(
            sent,
            Sent {
                datagrams: 5,
                failed: 0
            }
        );
        assert!(outbox.is_empty());
        for expected in [&b"AB0123"[..], b"CD456\0", b"234567", b"E01", b"F012345678"] {
            let mut buffer = [0; 64];
            let len = far.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..len], expected);
        }
    }
}

#[test]
fn a_burst_arrives_as_one_and_says_where_it_is_cut() {
    let (from, _) = socket();
    let (to, to_address) = socket();
    let mut inbox = Inbox::new(64);
    let mut outbox = Outbox::new(false, true);
    for number in 0..40_u8 {
        assert!(outbox.push(to_address, &[number; 100], 0..0, 0));
    }
    outbox.push(to_address, &[99; 50], 0..0, 0);
    assert_eq!(outbox.send(from.as_fd(), &inbox).datagrams, 41);
    let received = receive(&mut inbox, &to, 41);
    assert!(received.len() < 41, "at least some came as a burst");
    let datagrams: Vec<&[u8]> = received
        .iter()
        .flat_map(|one| inbox.bytes(one.range.clone()).chunks(one.segment))
        .collect();
    for (number, datagram) in datagrams[..40].iter().enumerate() {
        assert_eq!(*datagram, [number as u8; 100]);
    }
    assert_eq!(datagrams[40], [99; 50]);
}

#[test]
fn a_full_inbox_takes_no_more_and_an_empty_socket_is_no_error() {
    let (to, address) = socket();
    let from = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut inbox = Inbox::new(2);
    let mut received = Vec::new();
    assert_eq!(inbox.receive(to.as_fd(), 9, &mut received).unwrap(), 0);
    for text in [b"one", b"two", b"six"] {
        from.send_to(text, address).unwrap();
    }
    let received = receive(&mut inbox, &to, 2);
    assert_eq!((inbox.free(), received.len()), (0, 2));
    assert_eq!(
        inbox.receive(to.as_fd(), 9, &mut Vec::new()).unwrap(),
        0,
        "no slot is free"
    );
    inbox.clear();
    let received = receive(&mut inbox, &to, 1);
    assert_eq!(inbox.bytes(received[0].range.clone()), b"six");
}

#[test]
fn what_the_kernel_refuses_does_not_hold_up_the_rest() {
    let (from, _) = socket();
    let to = UdpSocket::bind("127.0.0.1:0").unwrap();
    let inbox = Inbox::new(1);
    let mut outbox = Outbox::new(false, true);
    outbox.push(to.local_addr().unwrap(), b"before", 0..0, 0);
    // Nobody may send to port 0.
    outbox.push("127.0.0.1:0".parse().unwrap(), b"lost", 0..0, 0);
    outbox.push(to.local_addr().unwrap(), b"after", 0..0, 0);
    let sent = outbox.send(from.as_fd(), &inbox);
    assert_eq!((sent.datagrams, sent.failed), (2, 1));
    for expected in [&b"before"[..], b"after"] {
        let mut buffer = [0; 16];
        let len = to.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..len], expected);
    }
}
