//! A video module: the process in which hostile bitstreams are decoded.
//!
//! ```text
//!                        +------------------ module ------------------+
//!   worker 0 --records-->|            -jobs-> maker 0: stages ---+    |--> worker 0
//!   worker 1 --records-->| dispatcher -jobs-> maker 1: stages ---+--> |--> worker 1
//!                        +--------------------------------------------+
//! ```
//!
//! The [dispatcher](dispatch) copies records out of the rings and knows which
//! conference is whose. A [maker](maker) is a thread on a core of the module's;
//! it drives the stages (`plenum-compositor`) of its conferences at their
//! deadlines. A conference is on one thread for as long as it lasts.
//!
//! The process may die at any moment: all it knows it was told, and its successor
//! is told again (`plenum_abi::module`). Which stream it has in hand is noted in
//! shared memory, so that one which kills its decoder is found out. Before the
//! first access unit it gives up files, network and processes for good
//! ([`sandbox`]).
//!
//! It has no keys, sees no packet, and decides neither who is in a conference nor
//! how much a path takes.

mod dispatch;
mod load;
mod maker;
mod room;
pub mod sandbox;
mod sink;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Barrier};
use std::thread;

use plenum_abi::MODULE_THREADS_MAX;
use plenum_compositor::Fonts;

pub use plenum_compositor::ALLOCATOR;
use plenum_ring::{Doorbell, ModuleMemory, ModuleMemoryError};

use dispatch::Dispatcher;
use maker::{Maker, Queue};
use sink::Down;

/// How far a module stands back where it shares a core with a worker that has no
/// real-time priority.
const NICE: i32 = 10;

/// What the supervisor hands down to a module.
#[derive(Debug)]
pub struct Inherited {
    /// The memfd of [`ModuleMemory::create`].
    pub memory: OwnedFd,
    /// Rung when a worker has something for the sleeping module.
    pub doorbell: OwnedFd,
    /// Of each worker: rung when the module has something for it.
    pub worker_doorbells: Vec<OwnedFd>,
    /// The module's cores, a thread each; without any there is one thread, and the
    /// kernel says where.
    pub cores: Vec<u32>,
}

/// Why a module cannot run, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The inherited descriptor is no module's memory.
    #[error(transparent)]
    Memory(#[from] ModuleMemoryError),
    /// The supervisor and the memory disagree.
    #[error("inherited {found} doorbells of workers, the memory has rings for {expected}")]
    Workers {
        /// How many were inherited.
        found: usize,
        /// How many the memory has.
        expected: usize,
    },
    /// The kernel lacks something.
    #[error("the video module cannot start its threads: {0}")]
    Thread(#[source] io::Error),
    /// Without its sandbox it does not run.
    #[error(transparent)]
    Sandbox(#[from] sandbox::SandboxError),
    /// It cannot wait.
    #[error("the video module cannot wait for its doorbell: {0}")]
    Wait(#[source] io::Error),
    /// A thread ended, which it never does of itself.
    #[error("a thread of the video module stopped")]
    Stopped,
}

/// Runs the module; `ready` is called once, when nothing is left to do but to close
/// the sandbox, out of which it could say nothing. Comes back only when something is
/// wrong, and the caller should then end the process.
///
/// # Errors
/// [`RunError`].
pub fn run(inherited: Inherited, ready: impl FnOnce()) -> Result<(), RunError> {
    let memory = ModuleMemory::open(inherited.memory)?;
    let expected = memory.layout().workers as usize;
    let found = inherited.worker_doorbells.len();
    if found != expected {
        return Err(RunError::Workers { found, expected });
    }
    // Only ever a wish: sound goes before pictures where both want a core.
    let _ = rustix::process::nice(NICE);
    let mut cores: Vec<Option<u32>> = inherited.cores.into_iter().map(Some).collect();
    cores.truncate(MODULE_THREADS_MAX);
    if cores.is_empty() {
        cores.push(None);
    }
    let down: Arc<[Down]> = (0..)
        .zip(inherited.worker_doorbells)
        .map(|(worker, bell)| Down::new(memory.down_producer(worker), Doorbell::from_fd(bell)))
        .collect();
    let fonts = Fonts::built_in();
    // Nobody decodes before the sandbox is closed, and nobody opens it after.
    let closed = Arc::new(Barrier::new(cores.len() + 1));
    let mut queues = Vec::new();
    for (index, core) in cores.into_iter().enumerate() {
        let (queue, jobs) = Queue::pair();
        queues.push(queue);
        let maker = Maker::new(index, memory.clone(), fonts.clone(), down.clone(), jobs);
        let closed = closed.clone();
        thread::Builder::new()
            .name(format!("maker-{index}"))
            .spawn(move || {
                if let Some(core) = core {
                    let _ = plenum_uring::pin_current_thread(core as usize);
                }
                closed.wait();
                maker.run();
            })
            .map_err(RunError::Thread)?;
    }
    ready();
    sandbox::close()?;
    closed.wait();

    let header = memory.header();
    for note in &header.notes {
        note.store(0, Ordering::Release);
    }
    let mut dispatcher = Dispatcher::new(memory.clone(), down, queues);
    header
        .process_id
        .store(u64::from(std::process::id()), Ordering::Release);
    dispatcher.begin();
    dispatcher.run(&Doorbell::from_fd(inherited.doorbell))
}
