//! Adding to counters that others read.

use std::sync::atomic::{AtomicU64, Ordering};

/// Adds to a counter of which this thread is the only writer: a plain load and
/// store, without the cost of a locked instruction.
pub(crate) fn add(counter: &AtomicU64, amount: u64) {
    counter.store(
        counter.load(Ordering::Relaxed).wrapping_add(amount),
        Ordering::Relaxed,
    );
}

/// Sets a gauge.
pub(crate) fn set(gauge: &AtomicU64, value: u64) {
    gauge.store(value, Ordering::Relaxed);
}
