//! One core's loop: the only owner of sockets and time.
use plenum_ring::{Doorbell, WorkerView};
use std::os::fd::OwnedFd;

/// The media sockets of one leg slot.
#[derive(Debug)]
pub struct LegSockets {
    /// RTP, and RTCP where both share a port (RFC 5761).
    pub rtp: OwnedFd,
    /// RTCP, on the next higher port (RFC 3550 section 11).
    pub rtcp: OwnedFd,
}

/// What a worker is made of.
#[derive(Debug)]
pub struct WorkerSetup {
    /// Its part of the arena.
    pub view: WorkerView,
    /// Which start of the dataplane this is.
    pub epoch: u64,
    /// The core it is pinned to.
    pub core: Option<u32>,
    /// Rung when a command waits.
    pub doorbell: Doorbell,
    /// Rung when an event waits.
    pub control_doorbell: Doorbell,
    /// By leg slot.
    pub sockets: Vec<LegSockets>,
}

/// Why a worker cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The kernel refused a resource.
    #[error("the kernel refused {what}")]
    Kernel {
        /// What was asked for.
        what: &'static str,
        /// Its answer.
        source: std::io::Error,
    },
}

/// One core's loop.
#[derive(Debug)]
pub struct Worker {
    setup: WorkerSetup,
}

impl Worker {
    /// Makes the worker; the calling thread becomes its thread.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(setup: WorkerSetup) -> Result<Self, SetupError> {
        Ok(Self { setup })
    }

    /// Runs until the process ends.
    pub fn run(self) {
        let _ = self.setup;
        loop {
            std::thread::park();
        }
    }
}
