//! A thread that makes pictures.
//!
//! Jobs come through an unbounded queue, because desired state must not be lost;
//! the bytes of access units in it are bounded ([`Queue::push`]), because whoever
//! sends more than can be decoded must not fill the memory.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use plenum_abi::{Nanos, UpKind};
use plenum_compositor::Fonts;
use plenum_ring::ModuleMemory;

use crate::load::Load;
use crate::room::Room;
use crate::sink::Down;

/// Bytes of access units that may wait for one thread: some 2 s of thirty
/// participants at 2 Mbit/s.
const WAITING_BYTES_MAX: usize = 16 << 20;
/// Jobs between two looks at what is due.
const JOBS_PER_TURN: usize = 16;
/// Longest sleep.
const PATIENCE: Duration = Duration::from_secs(1);

/// A conference by worker and slot.
pub(crate) type Key = (u32, u32);

/// What a maker is given to do.
pub(crate) enum Job {
    /// A record about a conference.
    Record {
        key: Key,
        kind: UpKind,
        payload: Vec<u8>,
    },
    /// A worker begins to say all that there is.
    Begin { worker: u32 },
    /// It said all: what it did not say is gone.
    Settled { worker: u32 },
}

/// The sending end of a maker's jobs.
pub(crate) struct Queue {
    jobs: Sender<Job>,
    shared: Arc<Shared>,
}

/// The other end.
pub(crate) struct Jobs {
    jobs: Receiver<Job>,
    shared: Arc<Shared>,
}

/// What the two ends know of each other.
#[derive(Default)]
struct Shared {
    waiting_bytes: AtomicUsize,
    /// Since when the thread is about one thing; 0 between two.
    busy_since: AtomicU64,
}

impl Queue {
    pub(crate) fn pair() -> (Self, Jobs) {
        let (sender, receiver) = mpsc::channel();
        let shared = Arc::new(Shared::default());
        let queue = Self {
            jobs: sender,
            shared: shared.clone(),
        };
        let jobs = Jobs {
            jobs: receiver,
            shared,
        };
        (queue, jobs)
    }

    /// Whether an access unit may still be queued.
    pub(crate) fn has_room(&self) -> bool {
        self.shared.waiting_bytes.load(Ordering::Relaxed) < WAITING_BYTES_MAX
    }

    /// For how long the thread has been about the same thing.
    pub(crate) fn busy_for(&self, now: Nanos) -> Duration {
        match self.shared.busy_since.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            since => now.since(Nanos(since)),
        }
    }

    /// `false` when the thread is gone.
    pub(crate) fn push(&self, job: Job) -> bool {
        if let Job::Record { payload, .. } = &job {
            self.shared
                .waiting_bytes
                .fetch_add(payload.len(), Ordering::Relaxed);
        }
        self.jobs.send(job).is_ok()
    }
}

impl Jobs {
    pub(crate) fn next(&self, patience: Duration) -> Result<Option<Job>, Gone> {
        let job = match self.jobs.recv_timeout(patience) {
            Ok(job) => job,
            Err(RecvTimeoutError::Timeout) => return Ok(None),
            Err(RecvTimeoutError::Disconnected) => return Err(Gone),
        };
        if let Job::Record { payload, .. } = &job {
            self.shared
                .waiting_bytes
                .fetch_sub(payload.len(), Ordering::Relaxed);
        }
        Ok(Some(job))
    }

    /// Does one thing of which it is known when it began.
    pub(crate) fn about<T>(&self, now: Nanos, work: impl FnOnce() -> T) -> T {
        self.shared.busy_since.store(now.0, Ordering::Relaxed);
        let done = work();
        self.shared.busy_since.store(0, Ordering::Relaxed);
        done
    }
}

/// The dispatcher is gone, and the process with it.
pub(crate) struct Gone;

/// See the [module](self).
pub(crate) struct Maker {
    index: usize,
    memory: ModuleMemory,
    fonts: Fonts,
    down: Arc<[Down]>,
    jobs: Jobs,
}

impl Maker {
    pub(crate) fn new(
        index: usize,
        memory: ModuleMemory,
        fonts: Fonts,
        down: Arc<[Down]>,
        jobs: Jobs,
    ) -> Self {
        Self {
            index,
            memory,
            fonts,
            down,
            jobs,
        }
    }

    /// Until the dispatcher is gone.
    pub(crate) fn run(self) {
        let mut rooms: HashMap<Key, Room> = HashMap::new();
        let mut load = Load::new(plenum_uring::now());
        loop {
            let mut patience = rooms
                .values()
                .filter_map(Room::next_deadline)
                .min()
                .map_or(PATIENCE, |at| at.since(plenum_uring::now()).min(PATIENCE));
            for _ in 0..JOBS_PER_TURN {
                match self.jobs.next(patience) {
                    Ok(Some(job)) => {
                        let now = plenum_uring::now();
                        self.jobs.about(now, || self.obey(now, job, &mut rooms));
                        load.worked(now, plenum_uring::now());
                    }
                    Ok(None) => break,
                    Err(Gone) => return,
                }
                patience = Duration::ZERO;
            }
            let thrift = load.thrift(plenum_uring::now());
            for room in rooms.values_mut() {
                room.set_thrift(thrift);
                let now = plenum_uring::now();
                if room.next_deadline().is_some_and(|at| at <= now) {
                    self.jobs.about(now, || room.tick(now));
                    load.worked(now, plenum_uring::now());
                }
            }
        }
    }

    fn obey(&self, now: Nanos, job: Job, rooms: &mut HashMap<Key, Room>) {
        match job {
            Job::Record { key, kind, payload } => {
                if kind == UpKind::RemoveConference {
                    rooms.remove(&key);
                    return;
                }
                let (worker, _) = key;
                let room = rooms.entry(key).or_insert_with(|| {
                    Room::new(
                        worker,
                        self.index,
                        self.memory.clone(),
                        self.fonts.clone(),
                        &self.down,
                    )
                });
                room.obey(now, kind, &payload);
            }
            Job::Begin { worker } => {
                let of_worker = rooms.iter_mut().filter(|(key, _)| key.0 == worker);
                of_worker.for_each(|(_, room)| room.begin());
            }
            Job::Settled { worker } => {
                rooms.retain(|key, room| key.0 != worker || room.settle());
            }
        }
    }
}
