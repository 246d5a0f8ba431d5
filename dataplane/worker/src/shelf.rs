//! Received packets that wait to be played.
//!
//! A jitter buffer may drop a packet at any time (too late, no room, stream
//! restarted), and a dropped [`Held`] finds its way back to the driver by
//! itself: it goes to a list of this thread, which the loop empties. So no
//! protocol machine has to know that its items are slots of a pool.

use std::cell::RefCell;

use plenum_pool::Lease;
use plenum_uring::Driver;

thread_local! {
    static RETURNED: RefCell<Vec<Lease>> = const { RefCell::new(Vec::new()) };
}

/// A received packet, kept. Dropping it gives its slot back.
#[derive(Debug)]
pub(crate) struct Held(Option<Lease>);

impl Held {
    pub(crate) fn new(lease: Lease) -> Self {
        Self(Some(lease))
    }

    /// The bytes that are left of the packet.
    pub(crate) fn bytes<'a>(&self, driver: &'a Driver) -> &'a [u8] {
        self.0.as_ref().map_or(&[], |lease| driver.bytes(lease))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(lease) = self.0.take() {
            RETURNED.with_borrow_mut(|returned| returned.push(lease));
        }
    }
}

/// Begins a worker's life on this thread: forgets what a worker before it had
/// dropped (its pool is gone), and makes the list long enough for `slots`
/// packets, so that it never grows while packets flow.
pub(crate) fn begin(slots: usize) {
    RETURNED.with_borrow_mut(|returned| {
        returned.clear();
        returned.reserve(slots);
    });
}

/// Gives every dropped packet's slot back to the driver.
pub(crate) fn give_back(driver: &mut Driver) {
    RETURNED.with_borrow_mut(|returned| {
        for lease in returned.drain(..) {
            driver.release(lease);
        }
    });
}
