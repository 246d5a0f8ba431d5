//! Datagrams out: as they are, bounded, and their slots come back.

use super::*;

#[test]
fn five_thousand_datagrams_are_echoed_as_they_are() {
    const LEGS: u32 = 200;
    const ROUNDS: usize = 25;
    let config = Config {
        sockets: LEGS,
        receive_slots: 1_024,
        send_slots: 128,
        batch: 64,
        completions: 1_024,
    };
    for mut driver in on_new_and_old_kernel(config) {
        let peers: Vec<UdpSocket> = (0..LEGS).map(|_| peer("127.0.0.1")).collect();
        let legs: Vec<SocketAddr> = (0..LEGS)
            .map(|key| open(&mut driver, key, "127.0.0.1"))
            .collect();
        for round in 0..ROUNDS {
            let text = |leg: usize| {
                let mut bytes = format!("round {round} leg {leg} ").into_bytes();
                bytes.resize(40 + leg, leg as u8);
                bytes
            };
            for (leg, peer) in peers.iter().enumerate() {
                peer.send_to(&text(leg), legs[leg]).unwrap();
            }
            let mut echoed = 0;
            while echoed < peers.len() {
                driver
                    .wait(Some(now() + LONG), Duration::from_micros(200))
                    .unwrap();
                while let Some(event) = driver.next_event() {
                    let Event::Datagram {
                        key,
                        source,
                        mut lease,
                    } = event
                    else {
                        panic!("{event:?}");
                    };
                    assert_eq!(source, peers[key as usize].local_addr().unwrap());
                    let to = driver.destination(key, source).unwrap();
                    // Half go out in the slot they came in, half in a new one.
                    if key % 2 == 0 {
                        driver.bytes_mut(&mut lease)[0] = b'R';
                        driver.send(key, &to, lease).unwrap();
                    } else {
                        let mut copy = driver.send_buffer().unwrap();
                        assert!(copy.set_len(lease.len()));
                        let mut both = [copy, lease];
                        let mut open = driver.bytes_mut_many(&mut both);
                        let (into, from) = (open.next().unwrap(), open.next().unwrap());
                        into.copy_from_slice(from);
                        into[0] = b'R';
                        drop(open);
                        let [copy, lease] = both;
                        driver.release(lease);
                        driver.send(key, &to, copy).unwrap();
                    }
                    echoed += 1;
                }
            }
            driver.flush().unwrap();
            for (leg, peer) in peers.iter().enumerate() {
                let mut room = [0; 512];
                let (len, from) = peer.recv_from(&mut room).unwrap();
                let mut expected = text(leg);
                expected[0] = b'R';
                assert_eq!((&room[..len], from), (&expected[..], legs[leg]));
            }
        }
        let total = u64::from(LEGS) * ROUNDS as u64;
        assert_eq!(
            (driver.stats().received, driver.stats().sent),
            (total, total)
        );
        assert_idle(&driver);
    }
}

#[test]
fn a_failed_send_is_reported_and_its_slot_comes_back() {
    for mut driver in on_new_and_old_kernel(small()) {
        let nowhere: SocketAddr = "127.0.0.1:0".parse().unwrap();
        open(&mut driver, 2, "127.0.0.1");
        // More than there are places, so places must come back too.
        for _ in 0..200 {
            send(&mut driver, 2, nowhere, b"x");
            driver.wait(Some(now()), Duration::ZERO).unwrap();
            assert!(matches!(
                driver.next_event(),
                Some(Event::SendFailed {
                    key: 2,
                    errno: libc::EINVAL
                })
            ));
            assert!(driver.next_event().is_none());
        }
        assert_eq!((driver.stats().sent, driver.stats().send_failed), (0, 200));
        assert_idle(&driver);
    }
}

#[test]
fn unreported_failures_fill_the_table_and_no_more() {
    let mut driver = Driver::new(small()).unwrap();
    open(&mut driver, 0, "127.0.0.1");
    let nowhere = driver
        .destination(0, "127.0.0.1:0".parse().unwrap())
        .unwrap();
    let mut refused = 0;
    for _ in 0..200 {
        let lease = driver.send_buffer().unwrap();
        if let Err(NotSent { lease, reason }) = driver.send(0, &nowhere, lease) {
            assert_eq!(reason, NotSentReason::Full);
            driver.release(lease);
            refused += 1;
        }
    }
    assert_eq!(refused, 200 - 64);
    assert_eq!(driver.stats().send_full, refused);
    let reports = std::iter::from_fn(|| driver.next_event()).count();
    assert_eq!(reports, 64);
    assert_idle(&driver);
}

#[test]
fn the_send_pool_has_a_bound() {
    let mut driver = Driver::new(small()).unwrap();
    let address = open(&mut driver, 0, "127.0.0.1");
    let mut filled: Vec<Lease> = std::iter::from_fn(|| driver.send_buffer()).collect();
    assert_eq!(filled.len(), 64);
    // With every slot of the pool in use a received one can still be sent.
    let lease = filled.pop().unwrap();
    driver.release(lease);
    send(&mut driver, 0, address, b"round");
    driver.wait(Some(now() + LONG), Duration::ZERO).unwrap();
    let Some(Event::Datagram { lease, source, .. }) = driver.next_event() else {
        panic!("nothing came");
    };
    let to = driver.destination(0, source).unwrap();
    driver.send(0, &to, lease).unwrap();
    assert_eq!(receive(&mut driver, 1)[0].bytes, b"round");
    filled.into_iter().for_each(|lease| driver.release(lease));
    assert_idle(&driver);
}

#[test]
fn sending_needs_a_socket_that_can_reach_the_address() {
    let mut driver = Driver::new(small()).unwrap();
    let address = open(&mut driver, 0, "127.0.0.1");
    assert!(driver.destination(0, "[::1]:9".parse().unwrap()).is_none());
    assert!(driver.destination(1, address).is_none());
    assert!(driver.destination(99, address).is_none());
    let to = driver.destination(0, address).unwrap();
    let lease = driver.send_buffer().unwrap();
    let NotSent { lease, reason } = driver.send(1, &to, lease).unwrap_err();
    assert_eq!(reason, NotSentReason::NoSocket);
    let NotSent { lease, .. } = driver.send(0, &Destination::NONE, lease).unwrap_err();
    driver.release(lease);
    assert_idle(&driver);
}

#[test]
fn what_was_queued_before_a_socket_left_still_goes_out_by_it() {
    let mut driver = Driver::new(small()).unwrap();
    let first = open(&mut driver, 0, "127.0.0.1");
    let peer = peer("127.0.0.1");
    send(&mut driver, 0, peer.local_addr().unwrap(), b"bye");
    let socket = driver.unregister_socket(0).unwrap();
    open(&mut driver, 0, "127.0.0.1");
    let mut room = [0; 8];
    let (len, from) = peer.recv_from(&mut room).unwrap();
    assert_eq!((&room[..len], from), (&b"bye"[..], first));
    drop(socket);
    assert_idle(&driver);
}
