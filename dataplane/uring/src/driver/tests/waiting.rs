//! What ends a wait, and how soon.

use std::os::fd::AsFd;
use std::sync::mpsc;
use std::thread;

use rustix::event::{EventfdFlags, eventfd};

use super::*;

fn doorbell() -> OwnedFd {
    eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).unwrap()
}

fn ring(doorbell: &OwnedFd) {
    rustix::io::write(doorbell, &1_u64.to_ne_bytes()).unwrap();
}

fn clear(doorbell: &OwnedFd) {
    let mut count = [0; 8];
    let _ = rustix::io::read(doorbell, &mut count);
}

#[test]
fn the_deadline_is_kept_whatever_may_gather() {
    for mut driver in on_new_and_old_kernel(small()) {
        for gather in [
            Duration::ZERO,
            Duration::from_millis(1),
            Duration::from_secs(9),
        ] {
            let mut soonest = Duration::MAX;
            for round in 1..=20 {
                let deadline = now() + Duration::from_micros(150 * round);
                while now() < deadline {
                    driver.wait(Some(deadline), gather).unwrap();
                }
                soonest = soonest.min(now().since(deadline));
                assert!(driver.next_event().is_none());
            }
            // The machine may be busy at one time, not at all times.
            assert!(
                soonest < Duration::from_micros(200),
                "{gather:?}: {soonest:?}"
            );
        }
        let before = now();
        driver.wait(Some(Nanos::ZERO), LONG).unwrap();
        assert!(now().since(before) < Duration::from_millis(500));
        assert_idle(&driver);
    }
}

#[test]
fn the_doorbell_wakes_a_sleeper_each_time() {
    let mut driver = Driver::new(small()).unwrap();
    let bell = doorbell();
    driver.watch_doorbell(bell.as_fd()).unwrap();
    assert!(matches!(
        driver.watch_doorbell(bell.as_fd()),
        Err(RegisterError::Taken)
    ));
    let ringer = bell.try_clone().unwrap();
    let (ask, asked) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel();
    let thread = thread::spawn(move || {
        while asked.recv().is_ok() {
            thread::sleep(Duration::from_millis(2));
            tell.send(now()).unwrap();
            ring(&ringer);
        }
    });
    let mut soonest = Duration::MAX;
    for _ in 0..30 {
        ask.send(()).unwrap();
        let deadline = now() + LONG;
        driver.wait(Some(deadline), Duration::ZERO).unwrap();
        let woken = now();
        assert!(matches!(driver.next_event(), Some(Event::Doorbell)));
        assert!(driver.next_event().is_none());
        clear(&bell);
        soonest = soonest.min(woken.since(told.recv().unwrap()));
    }
    drop(ask);
    thread.join().unwrap();
    assert!(soonest < Duration::from_micros(200), "{soonest:?}");
}

#[test]
fn a_doorbell_rung_early_or_often_is_heard() {
    let mut driver = Driver::new(small()).unwrap();
    let bell = doorbell();
    ring(&bell);
    driver.watch_doorbell(bell.as_fd()).unwrap();
    driver.wait(Some(now() + LONG), Duration::ZERO).unwrap();
    assert!(matches!(driver.next_event(), Some(Event::Doorbell)));
    while driver.next_event().is_some() {}
    // Not cleared: ringing again must still be heard.
    for _ in 0..500 {
        ring(&bell);
    }
    driver.wait(Some(now() + LONG), Duration::ZERO).unwrap();
    assert!(matches!(driver.next_event(), Some(Event::Doorbell)));
    while driver.next_event().is_some() {}
    // And a bell that nobody cleared does not keep the worker awake.
    clear(&bell);
    let before = driver.stats().enters;
    let deadline = now() + Duration::from_millis(20);
    while now() < deadline {
        driver.wait(Some(deadline), Duration::ZERO).unwrap();
        while driver.next_event().is_some() {}
    }
    assert!(driver.stats().enters - before < 5);
}

#[test]
fn a_busy_worker_wakes_once_a_gathering() {
    for mut driver in on_new_and_old_kernel(small()) {
        let address = open(&mut driver, 0, "127.0.0.1");
        let sender = thread::spawn(move || {
            let peer = peer("127.0.0.1");
            for number in 0..100_u8 {
                peer.send_to(&[number], address).unwrap();
                thread::sleep(Duration::from_micros(300));
            }
        });
        let (mut count, mut waits) = (0, 0);
        while count < 100 {
            driver
                .wait(Some(now() + LONG), Duration::from_millis(20))
                .unwrap();
            waits += 1;
            while let Some(event) = driver.next_event() {
                let Event::Datagram { lease, .. } = event else {
                    panic!("{event:?}");
                };
                assert_eq!(usize::from(driver.bytes(&lease)[0]), count);
                driver.release(lease);
                count += 1;
            }
        }
        sender.join().unwrap();
        // 30 ms and more of sending at 20 ms each; the machine may stretch it.
        assert!(waits < 50, "{waits} waits");
        assert_idle(&driver);
    }
}

#[test]
fn an_idle_worker_is_woken_by_the_first_packet_after_the_gathering() {
    for mut driver in on_new_and_old_kernel(small()) {
        let address = open(&mut driver, 0, "127.0.0.1");
        let mut soonest = Duration::MAX;
        for _ in 0..10 {
            let sender = thread::spawn(move || {
                let peer = peer("127.0.0.1");
                thread::sleep(Duration::from_millis(5));
                let sent = now();
                peer.send_to(b"x", address).unwrap();
                sent
            });
            driver.wait(None, Duration::from_millis(1)).unwrap();
            let woken = now();
            assert_eq!(receive(&mut driver, 1).len(), 1);
            soonest = soonest.min(woken.since(sender.join().unwrap()));
        }
        assert!(soonest < Duration::from_micros(500), "{soonest:?}");
    }
}

#[test]
fn events_left_undrained_do_not_let_it_sleep() {
    let mut driver = Driver::new(small()).unwrap();
    let address = open(&mut driver, 0, "127.0.0.1");
    let peer = peer("127.0.0.1");
    for _ in 0..2 {
        peer.send_to(b"x", address).unwrap();
    }
    driver.wait(None, Duration::from_millis(20)).unwrap();
    for _ in 0..2 {
        driver.wait(None, LONG).unwrap();
        let Some(Event::Datagram { lease, .. }) = driver.next_event() else {
            panic!("nothing came");
        };
        driver.release(lease);
    }
    assert!(driver.next_event().is_none());
}

#[test]
fn a_flood_of_empty_datagrams_starves_nobody() {
    // Each ends its receive, and starting that again completes at once: every
    // wait then has events before it has looked at anybody else.
    let mut driver = Driver::new(small()).unwrap();
    let flooded = open(&mut driver, 0, "127.0.0.1");
    let quiet = open(&mut driver, 1, "127.0.0.1");
    let bell = doorbell();
    driver.watch_doorbell(bell.as_fd()).unwrap();
    driver.flush().unwrap();
    let stranger = peer("127.0.0.1");
    let (mut heard, mut rung) = (None, None);
    for round in 0..60 {
        for _ in 0..3 {
            stranger.send_to(b"", flooded).unwrap();
        }
        if round == 30 {
            stranger.send_to(b"sound", quiet).unwrap();
            ring(&bell);
        }
        driver.wait(Some(now() + LONG), Duration::ZERO).unwrap();
        while let Some(event) = driver.next_event() {
            match event {
                Event::Datagram { key, lease, .. } => {
                    driver.release(lease);
                    if key == 1 {
                        heard.get_or_insert(round);
                    }
                }
                Event::Doorbell => {
                    rung.get_or_insert(round);
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!((heard, rung), (Some(30), Some(30)));
}
