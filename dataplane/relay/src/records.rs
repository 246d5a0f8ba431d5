//! One worker's part of the shared memory, as the machine wants it.

use plenum_abi::{TurnRecord, TurnStats};
use plenum_ring::TurnMemory;
use plenum_turn::Records;

#[derive(Debug)]
pub(crate) struct SharedRecords {
    pub(crate) memory: TurnMemory,
    pub(crate) worker: u32,
}

impl Records for SharedRecords {
    fn record(&self, slot: u32) -> &TurnRecord {
        self.memory.record(self.worker, slot)
    }

    fn slots(&self) -> u32 {
        self.memory.layout().allocations_per_worker
    }

    fn stats(&self) -> &TurnStats {
        self.memory.stats(self.worker)
    }
}
