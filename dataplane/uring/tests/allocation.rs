//! The packet path allocates nothing once the driver is made. A process of its
//! own, for it counts all allocations.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::UdpSocket;
use std::time::Duration;

use plenum_uring::{Config, Driver, Event, SocketOptions, media_socket, now};

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged; the counter is
// thread-local, needs no set-up, and allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = COUNT.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises, passed on.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn the_packet_path_allocates_nothing() {
    let mut driver = Driver::new(Config {
        sockets: 4,
        // So few that slots and completions run out again and again.
        receive_slots: 8,
        send_slots: 4,
        batch: 4,
        completions: 8,
    })
    .unwrap();
    let any = "127.0.0.1:0".parse().unwrap();
    let mut at = Vec::new();
    for key in 0..4 {
        let socket = UdpSocket::from(media_socket(any, &SocketOptions::default()).unwrap());
        at.push(socket.local_addr().unwrap());
        driver.register_socket(key, socket.into()).unwrap();
        driver.arm(key).unwrap();
    }
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut held = Vec::with_capacity(8);
    COUNT.set(0);
    let probe = Box::new(1);
    assert_eq!(COUNT.get(), 1, "the counter does not count");
    drop(probe);
    COUNT.set(0);
    for round in 0..500 {
        for &address in &at {
            for _ in 0..4 {
                peer.send_to(b"in", address).unwrap();
            }
            if let Some(mut lease) = driver.send_buffer() {
                assert!(lease.set_len(3));
                let to = driver.destination(round % 4, address).unwrap();
                if let Err(refused) = driver.send(round % 4, &to, lease) {
                    driver.release(refused.lease);
                }
            }
        }
        driver.disarm(round % 4);
        driver.wait(Some(now()), Duration::from_micros(50)).unwrap();
        while let Some(event) = driver.next_event() {
            if let Event::Datagram { lease, .. } = event {
                held.push(lease);
            }
        }
        held.drain(..).for_each(|lease| driver.release(lease));
        driver.arm(round % 4).unwrap();
    }
    assert_eq!(COUNT.get(), 0);
    let stats = driver.stats();
    assert!(
        stats.received > 500 && stats.sent > 500 && stats.no_slot > 0,
        "{stats:?}"
    );
}
