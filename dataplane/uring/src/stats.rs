//! What the driver counts.

/// Totals since the driver was made. The worker copies what it publishes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct DriverStats {
    /// Times the thread went into the kernel.
    pub enters: u64,
    /// Datagrams handed out.
    pub received: u64,
    /// Datagrams dropped because they did not fit a slot.
    pub truncated: u64,
    /// Datagrams dropped because their socket was disarmed when their turn came.
    pub late: u64,
    /// Datagrams that lay in a socket from before it was armed.
    pub stale: u64,
    /// Receives that ended because no slot was free. Their datagrams wait in
    /// the socket; what does not fit there is lost and counted by the kernel.
    pub no_slot: u64,
    /// Receives that ended for another reason and were started again.
    pub rearmed: u64,
    /// Datagrams handed to the kernel.
    pub sent: u64,
    /// Datagrams that the kernel refused.
    pub send_failed: u64,
    /// Datagrams refused because too many were on their way.
    pub send_full: u64,
    /// Times that completions had to wait in the kernel because their queue was full.
    pub overflows: u64,
    /// Completions that made no sense. Not zero means a bug, here or there.
    pub unexpected: u64,
}
