//! Datagrams in: whole, by the right socket, whatever ends a receive.

use super::*;

#[test]
fn datagrams_come_whole_and_with_their_source() {
    for mut driver in on_new_and_old_kernel(small()) {
        let address = open(&mut driver, 5, "127.0.0.1");
        let peer = peer("127.0.0.1");
        for len in [0, 1, 12, 172, 1_200, 1_472, 2_000] {
            let bytes: Vec<u8> = (0..len).map(|at| at as u8).collect();
            peer.send_to(&bytes, address).unwrap();
            let expected = Got {
                key: 5,
                source: peer.local_addr().unwrap(),
                bytes,
            };
            assert_eq!(receive(&mut driver, 1), [expected]);
        }
        assert_idle(&driver);
    }
}

#[test]
fn a_datagram_that_does_not_fit_is_dropped_and_counted() {
    let mut driver = Driver::new(small()).unwrap();
    let address = open(&mut driver, 0, "127.0.0.1");
    let peer = peer("127.0.0.1");
    for len in [2_001, 9_000, 60_000] {
        peer.send_to(&vec![1; len], address).unwrap();
    }
    peer.send_to(b"fits", address).unwrap();
    assert_eq!(receive(&mut driver, 1)[0].bytes, b"fits");
    assert_eq!(driver.stats().truncated, 3);
    assert_idle(&driver);
}

#[test]
fn empty_datagrams_do_not_end_a_receive() {
    // The kernel ends a multishot at each of them.
    let mut driver = Driver::new(small()).unwrap();
    let address = open(&mut driver, 0, "127.0.0.1");
    let peer = peer("127.0.0.1");
    for _ in 0..50 {
        peer.send_to(b"", address).unwrap();
    }
    peer.send_to(b"end", address).unwrap();
    let got = receive(&mut driver, 51);
    assert_eq!(got.iter().filter(|one| one.bytes.is_empty()).count(), 50);
    assert_eq!(got[50].bytes, b"end");
    assert_idle(&driver);
}

#[test]
fn both_address_families_and_dual_stack() {
    for mut driver in on_new_and_old_kernel(small()) {
        let port = open(&mut driver, 0, "::").port();
        let only_ipv6 = open(&mut driver, 1, "::1");
        let (four, six) = (peer("127.0.0.1"), peer("::1"));
        four.send_to(b"4", ("127.0.0.1", port)).unwrap();
        six.send_to(b"6", ("::1", port)).unwrap();
        six.send_to(b"1", only_ipv6).unwrap();
        let mut got = receive(&mut driver, 3);
        got.sort_by_key(|one| one.bytes.clone());
        // An IPv4 peer looks like one, whatever socket it came in by.
        let sources: Vec<_> = got.iter().map(|one| (one.key, one.source)).collect();
        let (four_at, six_at) = (four.local_addr().unwrap(), six.local_addr().unwrap());
        assert_eq!(sources, [(1, six_at), (0, four_at), (0, six_at)]);
        for (key, at) in sources {
            send(&mut driver, key, at, b"answer");
        }
        driver.flush().unwrap();
        let mut room = [0; 16];
        let (len, from) = four.recv_from(&mut room).unwrap();
        assert_eq!((&room[..len], from.port()), (&b"answer"[..], port));
        for _ in 0..2 {
            assert_eq!(six.recv(&mut room).unwrap(), 6);
        }
        assert_idle(&driver);
    }
}

#[test]
fn slots_run_out_and_come_back() {
    let config = Config {
        receive_slots: 16,
        ..small()
    };
    let mut driver = Driver::new(config).unwrap();
    let addresses: Vec<_> = (0..4)
        .map(|key| open(&mut driver, key, "127.0.0.1"))
        .collect();
    let peer = peer("127.0.0.1");
    let mut held = Vec::new();
    let mut seen = Vec::new();
    for number in 0..40_u8 {
        peer.send_to(&[number], addresses[usize::from(number) % 4])
            .unwrap();
    }
    // Keep everything: only 16 of 40 can come.
    let deadline = now() + Duration::from_millis(100);
    while now() < deadline {
        driver.wait(Some(deadline), Duration::ZERO).unwrap();
        while let Some(event) = driver.next_event() {
            let Event::Datagram { lease, .. } = event else {
                panic!("{event:?}");
            };
            seen.push(driver.bytes(&lease)[0]);
            held.push(lease);
        }
    }
    assert_eq!(held.len(), 16);
    assert!(driver.stats().no_slot >= 1);
    // The worker slept meanwhile: a starved driver does not spin.
    assert!(driver.stats().enters < 50, "{:?}", driver.stats());
    // One slot is not enough to start again; all of them are.
    held.drain(..).for_each(|lease| driver.release(lease));
    seen.extend(receive(&mut driver, 24).iter().map(|one| one.bytes[0]));
    seen.sort_unstable();
    assert_eq!(seen, (0..40).collect::<Vec<u8>>());
    assert_idle(&driver);
}

#[test]
fn starved_sockets_may_be_disarmed_armed_and_closed() {
    let config = Config {
        receive_slots: 8,
        ..small()
    };
    let mut driver = Driver::new(config).unwrap();
    let addresses: Vec<_> = (0..3)
        .map(|key| open(&mut driver, key, "127.0.0.1"))
        .collect();
    let peer = peer("127.0.0.1");
    let mut held = Vec::new();
    for round in 0..12 {
        peer.send_to(b"x", addresses[round % 3]).unwrap();
    }
    while driver.stats().no_slot < 1 {
        driver.wait(None, Duration::ZERO).unwrap();
        while let Some(event) = driver.next_event() {
            if let Event::Datagram { lease, .. } = event {
                held.push(lease);
            }
        }
    }
    for _ in 0..100 {
        driver.disarm(0);
        driver.arm(0).unwrap();
    }
    driver.disarm(1);
    driver.unregister_socket(2).unwrap();
    held.drain(..).for_each(|lease| driver.release(lease));
    let _ = receive_in_vain(&mut driver);
    peer.send_to(b"y", addresses[0]).unwrap();
    assert_eq!(receive(&mut driver, 1)[0].bytes, b"y");
    assert_idle(&driver);
}

#[test]
fn a_disarmed_socket_hears_nothing_and_arming_forgets_the_past() {
    let mut driver = Driver::new(small()).unwrap();
    // Lies there from before the driver had the socket.
    let socket = peer("127.0.0.1");
    let address = socket.local_addr().unwrap();
    let stranger = peer("127.0.0.1");
    for _ in 0..7 {
        stranger.send_to(b"old", address).unwrap();
    }
    driver.register_socket(0, socket.into()).unwrap();
    stranger.send_to(b"filtered", address).unwrap();
    assert_eq!(receive_in_vain(&mut driver), []);
    driver.arm(0).unwrap();
    assert_eq!(driver.stats().stale, 7);
    driver.arm(0).unwrap();
    stranger.send_to(b"new", address).unwrap();
    assert_eq!(receive(&mut driver, 1)[0].bytes, b"new");

    for round in 0..20_u8 {
        driver.disarm(0);
        stranger.send_to(b"for nobody", address).unwrap();
        driver.arm(0).unwrap();
        stranger.send_to(&[round], address).unwrap();
        assert_eq!(receive(&mut driver, 1)[0].bytes, [round]);
    }
    driver.disarm(0);
    stranger.send_to(b"for nobody", address).unwrap();
    assert_eq!(receive_in_vain(&mut driver), []);
    assert_idle(&driver);
}

#[test]
fn what_completed_before_a_disarm_is_not_reported_after_it() {
    let mut driver = Driver::new(small()).unwrap();
    let addresses = [
        open(&mut driver, 0, "127.0.0.1"),
        open(&mut driver, 1, "127.0.0.1"),
    ];
    let peer = peer("127.0.0.1");
    for round in 0..10 {
        peer.send_to(b"x", addresses[round % 2]).unwrap();
    }
    driver.wait(None, Duration::from_millis(20)).unwrap();
    driver.disarm(0);
    let keys: Vec<u32> = receive(&mut driver, 5).iter().map(|one| one.key).collect();
    assert_eq!(keys, [1; 5]);
    assert_eq!(driver.stats().late, 5);
    // Nor does a new tenant get them.
    for _ in 0..3 {
        peer.send_to(b"before", addresses[0]).unwrap();
    }
    driver.arm(0).unwrap();
    assert_eq!(receive_in_vain(&mut driver), []);
    assert_idle(&driver);
}

#[test]
fn a_full_completion_queue_loses_nothing() {
    let config = Config {
        batch: 4,
        completions: 4,
        ..small()
    };
    let mut driver = Driver::new(config).unwrap();
    let addresses: Vec<_> = (0..16)
        .map(|key| open(&mut driver, key, "127.0.0.1"))
        .collect();
    let peer = peer("127.0.0.1");
    for number in 0..160_u8 {
        peer.send_to(&[number], addresses[usize::from(number) % 16])
            .unwrap();
    }
    let mut seen: Vec<u8> = receive(&mut driver, 160)
        .iter()
        .map(|one| one.bytes[0])
        .collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..160).collect::<Vec<u8>>());
    assert!(driver.stats().rearmed > 0, "it was never full");
    assert_idle(&driver);
}

#[test]
fn a_dead_peer_stops_nothing() {
    let mut driver = Driver::new(small()).unwrap();
    let address = open(&mut driver, 0, "127.0.0.1");
    // A connected socket is told by ICMP that nobody is there, and its receive ends.
    let connected = peer("127.0.0.1");
    let at = connected.local_addr().unwrap();
    let friend = peer("127.0.0.1");
    let friend_at = friend.local_addr().unwrap();
    connected.connect(friend_at).unwrap();
    driver.register_socket(1, connected.into()).unwrap();
    driver.arm(1).unwrap();
    let dead = {
        let gone = peer("127.0.0.1");
        gone.local_addr().unwrap()
    };
    drop(friend);
    for _ in 0..30 {
        send(&mut driver, 0, dead, b"anybody?");
        send(&mut driver, 1, friend_at, b"anybody?");
        driver
            .wait(Some(now() + Duration::from_millis(2)), Duration::ZERO)
            .unwrap();
        while let Some(event) = driver.next_event() {
            // The error may be delivered to a send instead.
            assert!(
                matches!(
                    event,
                    Event::SendFailed {
                        key: 1,
                        errno: libc::ECONNREFUSED
                    }
                ),
                "{event:?}"
            );
        }
    }
    assert!(driver.stats().rearmed + driver.stats().send_failed >= 10);
    let friend = UdpSocket::bind(friend_at).unwrap();
    friend.send_to(b"to 0", address).unwrap();
    friend.send_to(b"to 1", at).unwrap();
    let mut got = receive(&mut driver, 2);
    got.sort_by_key(|one| one.key);
    assert_eq!(
        (&got[0].bytes[..], &got[1].bytes[..]),
        (&b"to 0"[..], &b"to 1"[..])
    );
    assert_idle(&driver);
}
