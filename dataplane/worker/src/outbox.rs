//! Datagrams on their way out.
//!
//! A tick produces a datagram for every leg. They are encrypted as they are
//! written, but their authentication tags are computed together, many at a
//! time, because a SHA-1 over several messages at once costs little more than
//! one over a single message. Only then do they leave.

use plenum_pool::Lease;
use plenum_srtp::{PendingTag, finish_tags};
use plenum_uring::{Destination, Driver};

/// Datagrams whose tags are computed together.
const BATCH: usize = 64;

/// See the [module](self).
pub(crate) struct Outbox {
    leases: Vec<Lease>,
    tags: Vec<Option<PendingTag>>,
    routes: Vec<(u32, Destination)>,
    refused: u64,
}

impl Outbox {
    pub(crate) fn new() -> Self {
        Self {
            leases: Vec::with_capacity(BATCH),
            tags: Vec::with_capacity(BATCH),
            routes: Vec::with_capacity(BATCH),
            refused: 0,
        }
    }

    /// Queues a datagram; with `tag`, its last bytes are still to be computed.
    pub(crate) fn push(
        &mut self,
        driver: &mut Driver,
        key: u32,
        destination: Destination,
        lease: Lease,
        tag: Option<PendingTag>,
    ) {
        self.leases.push(lease);
        self.tags.push(tag);
        self.routes.push((key, destination));
        if self.leases.len() == BATCH {
            self.flush(driver);
        }
    }

    /// Finishes the tags and hands everything to the driver.
    pub(crate) fn flush(&mut self, driver: &mut Driver) {
        if self.leases.is_empty() {
            return;
        }
        let untagged = driver
            .bytes_mut_many(self.leases.iter_mut())
            .zip(&self.tags);
        finish_tags(untagged.filter_map(|(bytes, tag)| Some(((*tag)?, bytes))));
        self.tags.clear();
        for ((key, destination), lease) in self.routes.drain(..).zip(self.leases.drain(..)) {
            if let Err(full) = driver.send(key, &destination, lease) {
                driver.release(full.lease);
                self.refused += 1;
            }
        }
    }

    /// Datagrams that found the driver's queue full, since the last call.
    pub(crate) fn take_refused(&mut self) -> u64 {
        std::mem::take(&mut self.refused)
    }
}
