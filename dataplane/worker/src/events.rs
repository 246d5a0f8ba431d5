//! What the worker tells the control plane.
//!
//! The dataplane never waits: an event that finds the ring full is counted
//! and gone. Whoever reads events reads the records too, so that a lost one is
//! late knowledge and not a wrong state.

use plenum_abi::{Event, EventKind, RejectReason, SlotRef, WorkerStats};
use plenum_ring::{Doorbell, EventProducer};

use crate::counters::add;

/// See the [module](self).
pub(crate) struct Events {
    ring: EventProducer,
    doorbell: Doorbell,
    written: bool,
    lost: u64,
}

impl Events {
    pub(crate) fn new(ring: EventProducer, doorbell: Doorbell) -> Self {
        Self {
            ring,
            doorbell,
            written: false,
            lost: 0,
        }
    }

    /// An event about a leg.
    pub(crate) fn leg(&mut self, kind: EventKind, slot: u32, generation: u32, value: u64) {
        self.push(&Event {
            kind: kind as u32,
            leg: SlotRef { slot, generation },
            value,
            ..Event::default()
        });
    }

    /// The answer to a command that was not carried out.
    pub(crate) fn rejected(&mut self, token: u64, leg: SlotRef, reason: RejectReason) {
        self.push(&Event {
            kind: EventKind::Rejected as u32,
            token,
            leg,
            value: reason as u64,
            ..Event::default()
        });
    }

    /// An event about the worker as a whole.
    pub(crate) fn worker(&mut self, kind: EventKind, token: u64, value: u64) {
        self.push(&Event {
            kind: kind as u32,
            token,
            value,
            ..Event::default()
        });
    }

    fn push(&mut self, event: &Event) {
        match self.ring.push(event) {
            Ok(()) => self.written = true,
            Err(_) => self.lost += 1,
        }
    }

    /// Wakes the control plane if something was written and it sleeps.
    pub(crate) fn flush(&mut self, stats: &WorkerStats) {
        if std::mem::take(&mut self.written) {
            self.ring.wake(&self.doorbell);
        }
        if self.lost > 0 {
            add(&stats.events_lost, std::mem::take(&mut self.lost));
        }
    }
}
