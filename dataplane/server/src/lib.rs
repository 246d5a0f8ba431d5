//! The dataplane process: map, adopt, pin, run.
//!
//! Everything it needs is inherited from the supervisor as open descriptors:
//! the session arena, the doorbells, and the media sockets of every leg slot.
//! It opens no file, binds no port and allocates no session of its own, so a
//! process that was killed is replaced by one that finds all of it again.
//!
//! There is no orderly stop: stopping is being killed, at any moment, and the
//! arena is written so that this is safe (see `plenum-abi`).

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;
use std::thread;

use plenum_ring::{Arena, Doorbell, ModuleMemory, ModuleMemoryError, OpenError};
use plenum_worker::{BrowserPorts, ModuleSetup, SetupError, Worker, WorkerSetup};

pub use plenum_worker::{Identity, LegSockets, UnusableIdentity};

/// What the supervisor hands down to the dataplane process.
#[derive(Debug)]
pub struct Inherited {
    /// The sealed memfd of [`Arena::create`].
    pub arena: OwnedFd,
    /// Rung when an event ring has something for a sleeping control plane.
    pub control_doorbell: OwnedFd,
    /// Who we are to browsers; `None` where none is ever met.
    pub identity: Option<Identity>,
    /// One entry per worker of the arena's layout, in order.
    pub workers: Vec<InheritedWorker>,
    /// The video modules; none where video is off.
    pub modules: Vec<InheritedModule>,
}

/// What all workers get of a video module.
#[derive(Debug)]
pub struct InheritedModule {
    /// The memfd of [`ModuleMemory::create`].
    pub memory: OwnedFd,
    /// Rung when a worker has something for the sleeping module.
    pub doorbell: OwnedFd,
}

/// What one worker gets.
#[derive(Debug)]
pub struct InheritedWorker {
    /// The core it is pinned to; `None` leaves that to the kernel.
    pub core: Option<u32>,
    /// Rung when its command ring has something for the sleeping worker.
    pub doorbell: OwnedFd,
    /// Media sockets by leg slot; as many as the arena has leg slots.
    pub sockets: Vec<LegSockets>,
    /// The same by video slot.
    pub video_sockets: Vec<LegSockets>,
    /// Sockets that all its browsers share.
    pub browsers: Vec<OwnedFd>,
}

/// Why the dataplane could not run, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The inherited descriptor is no arena of ours.
    #[error("the dataplane cannot use the session arena")]
    Arena(#[from] OpenError),
    /// The inherited descriptor is no video module's memory.
    #[error("the dataplane cannot use the memory of a video module")]
    Module(#[from] ModuleMemoryError),
    /// The supervisor and the arena disagree.
    #[error("inherited {found} {what}, the session arena has {expected}")]
    Mismatch {
        /// What was counted.
        what: &'static str,
        /// How many were inherited.
        found: usize,
        /// How many the arena has.
        expected: usize,
    },
    /// The kernel lacks something.
    #[error("worker {worker} cannot start")]
    Worker {
        /// Which.
        worker: u32,
        /// Why.
        source: SetupError,
    },
    /// No thread or descriptor to be had.
    #[error("the dataplane cannot start worker threads")]
    Thread(#[source] io::Error),
    /// A worker's loop ended, which it never does of itself.
    #[error("worker {0} stopped")]
    Stopped(u32),
}

/// Runs the workers; comes back only when something is wrong, and the caller
/// should then end the process with an error.
///
/// # Errors
/// [`RunError`].
pub fn run(inherited: Inherited) -> Result<(), RunError> {
    let arena = Arena::open(inherited.arena)?;
    let layout = arena.layout();
    check("workers", inherited.workers.len(), layout.workers as usize)?;
    for worker in &inherited.workers {
        check(
            "leg sockets",
            worker.sockets.len(),
            layout.legs_per_worker as usize,
        )?;
        check(
            "video sockets",
            worker.video_sockets.len(),
            layout.video_streams_per_worker as usize,
        )?;
    }
    let mut modules = Vec::new();
    for module in inherited.modules {
        modules.push((ModuleMemory::open(module.memory)?, module.doorbell));
    }
    let epoch = arena
        .header()
        .dataplane_epoch
        .fetch_add(1, Ordering::AcqRel)
        + 1;
    let (ended_tx, ended_rx) = std::sync::mpsc::channel();
    for (index, inherited_worker) in (0_u32..).zip(inherited.workers) {
        let control_doorbell = inherited
            .control_doorbell
            .try_clone()
            .map_err(RunError::Thread)?;
        let setup = WorkerSetup {
            view: arena.worker(index),
            epoch,
            core: inherited_worker.core,
            doorbell: Doorbell::from_fd(inherited_worker.doorbell),
            control_doorbell: Doorbell::from_fd(control_doorbell),
            sockets: inherited_worker.sockets,
            video_sockets: inherited_worker.video_sockets,
            browsers: inherited.identity.clone().map(|identity| BrowserPorts {
                sockets: inherited_worker.browsers,
                identity,
            }),
            modules: modules
                .iter()
                .map(|(memory, doorbell)| {
                    Ok(ModuleSetup {
                        memory: memory.clone(),
                        doorbell: Doorbell::from_fd(doorbell.try_clone()?),
                    })
                })
                .collect::<Result<_, io::Error>>()
                .map_err(RunError::Thread)?,
        };
        let ended = ended_tx.clone();
        thread::Builder::new()
            .name(format!("worker-{index}"))
            .spawn(move || {
                // The ring belongs to the thread that waits on it, so it is made here.
                let outcome = Worker::new(setup).map(Worker::run);
                let _ = ended.send((index, outcome));
            })
            .map_err(RunError::Thread)?;
    }
    drop(ended_tx);
    tracing::info!(workers = layout.workers, epoch, "dataplane runs");
    // A worker that panics drops its sender without a word; the others go on
    // until the process is replaced as a whole.
    match ended_rx.recv() {
        Ok((worker, Err(source))) => Err(RunError::Worker { worker, source }),
        Ok((worker, Ok(()))) => Err(RunError::Stopped(worker)),
        Err(_) => Err(RunError::Stopped(0)),
    }
}

fn check(what: &'static str, found: usize, expected: usize) -> Result<(), RunError> {
    if found == expected {
        Ok(())
    } else {
        Err(RunError::Mismatch {
            what,
            found,
            expected,
        })
    }
}
