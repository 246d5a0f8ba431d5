//! The worker's end of the video modules.
//!
//! A module may die, and come back, at any moment; its epoch tells. What it is told
//! is desired state, so a record that does not fit is no harm: the link is then
//! *behind*, and everything is said again when there is room ([`Link::must_hear_all`]).
//! Of access units there is no second: one that does not fit is gone.

use std::sync::atomic::Ordering;

use plenum_abi::{Begin, ModuleEnd, SlotRef, StreamNote, UpKind};
use plenum_ring::{Doorbell, ModuleMemory, RecordConsumer, RecordProducer};
use zerocopy::IntoBytes;

/// What a worker gets of a video module.
#[derive(Debug)]
pub struct ModuleSetup {
    /// Its memory.
    pub memory: ModuleMemory,
    /// Rung when something waits for the sleeping module.
    pub doorbell: Doorbell,
}

/// One module.
pub(crate) struct Link {
    memory: ModuleMemory,
    doorbell: Doorbell,
    worker: u32,
    up: RecordProducer,
    down: RecordConsumer,
    /// The life of the module that was told everything; 0 for none.
    epoch: u64,
    /// Something did not fit.
    behind: bool,
    wrote: bool,
    /// Conferences that it has of ours.
    pub(crate) rooms: u32,
}

impl Link {
    pub(crate) fn new(worker: u32, setup: ModuleSetup) -> Self {
        let ModuleSetup { memory, doorbell } = setup;
        Self {
            up: memory.up_producer(worker),
            down: memory.down_consumer(worker),
            memory,
            doorbell,
            worker,
            epoch: 0,
            behind: false,
            wrote: false,
            rooms: 0,
        }
    }

    /// Whether everything has to be said, to a module that was not told or has
    /// missed something, and can be.
    pub(crate) fn must_hear_all(&self) -> bool {
        let epoch = self.memory.header().epoch.load(Ordering::Acquire);
        let half = self.memory.layout().up_bytes as usize / 2;
        epoch != 0 && (epoch != self.epoch || self.behind && self.up.room() > half)
    }

    /// Whether the module that is told now is another than the one before it. Of
    /// the dead one, `suspects` are those of our streams that it had in hand, if it
    /// died of what it had in hand.
    pub(crate) fn begin(&mut self, mut suspects: impl FnMut(SlotRef)) -> bool {
        let header = self.memory.header();
        let epoch = header.epoch.load(Ordering::Acquire);
        let another = epoch != self.epoch;
        // Whoever begins (a worker that was started anew) has nobody to blame.
        if another
            && self.epoch != 0
            && ModuleEnd::is_fault(header.last_end.load(Ordering::Acquire))
        {
            let notes = header.last_notes.iter();
            let notes = notes.map(|note| note.load(Ordering::Relaxed));
            let ours = notes.filter_map(StreamNote::from_word);
            ours.filter(|note| note.worker == self.worker)
                .for_each(|note| suspects(note.stream));
        }
        self.epoch = epoch;
        self.behind = false;
        self.say(UpKind::Begin, Begin { epoch }.as_bytes());
        another
    }

    /// Says something of desired state. Nothing is said to a module that has not
    /// been told where it begins.
    pub(crate) fn say(&mut self, kind: UpKind, payload: &[u8]) {
        if self.epoch == 0 {
            return;
        }
        self.wrote = true;
        self.behind |= self.up.push(kind as u32, &[payload]).is_err();
    }

    /// Hands on an access unit; `false` when it did not fit.
    pub(crate) fn offer(&mut self, head: &[u8], unit: &[u8]) -> bool {
        let fitted = self.epoch != 0
            && self
                .up
                .push(UpKind::AccessUnit as u32, &[head, unit])
                .is_ok();
        self.wrote |= fitted;
        fitted
    }

    /// Takes the module's next record.
    pub(crate) fn pop(&mut self, payload: &mut Vec<u8>) -> Option<u32> {
        self.down.pop(payload)
    }

    /// Wakes the module if something was written and it sleeps.
    pub(crate) fn wake(&mut self) {
        if std::mem::take(&mut self.wrote) {
            self.up.wake(&self.doorbell);
        }
    }

    /// See [`RecordConsumer::prepare_sleep`]; sleep would be wrong as well while a
    /// new life of the module waits to be told.
    pub(crate) fn prepare_sleep(&self) -> bool {
        self.down.prepare_sleep() && !self.must_hear_all()
    }

    pub(crate) fn stay_awake(&self) {
        self.down.stay_awake();
    }
}

/// The module for another conference: the one with the fewest of ours.
pub(crate) fn least_loaded(links: &[Link]) -> Option<usize> {
    (0..links.len()).min_by_key(|index| links[*index].rooms)
}
