//! Who makes whose pictures.
//!
//! The dispatcher reads every worker's ring and hands each record to the thread
//! that has the conference. Records of a worker that did not begin anew with this
//! life of the module are of another life, and dropped.

use std::collections::{HashMap, HashSet};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use plenum_abi::{AccessUnitHead, Begin, SlotRef, UpKind};
use plenum_ring::{Doorbell, ModuleMemory, RecordConsumer};
use rustix::event::{PollFd, PollFlags, Timespec};
use zerocopy::FromBytes;

use crate::RunError;
use crate::maker::{Job, Key, Queue};
use crate::sink::Down;

/// A sign of life is given so often at least.
const HEARTBEAT: Duration = Duration::from_millis(250);
/// A thread that is longer than this about one access unit or picture hangs.
const HANGS_AFTER: Duration = Duration::from_millis(1_000);
/// Records taken from one worker before the next has its turn.
const RECORDS_PER_TURN: usize = 64;

fn cpu_time_ns() -> u64 {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    spent.tv_sec as u64 * 1_000_000_000 + spent.tv_nsec as u64
}

/// A worker as it is heard.
struct Up {
    ring: RecordConsumer,
    /// It has begun anew with this life of the module.
    begun: bool,
}

/// Where a conference is made.
struct Home {
    queue: usize,
    /// Said since the last beginning.
    said: bool,
}

/// See the [module](self).
pub(crate) struct Dispatcher {
    memory: ModuleMemory,
    down: Arc<[Down]>,
    workers: Vec<Up>,
    queues: Vec<Queue>,
    homes: HashMap<Key, Home>,
    /// Streams of which an access unit was dropped: nothing of them is of use
    /// before a key frame.
    broken: HashSet<(u32, u32)>,
    epoch: u64,
}

impl Dispatcher {
    pub(crate) fn new(memory: ModuleMemory, down: Arc<[Down]>, queues: Vec<Queue>) -> Self {
        let workers = (0..memory.layout().workers)
            .map(|worker| Up {
                ring: memory.up_consumer(worker),
                begun: false,
            })
            .collect();
        Self {
            memory,
            down,
            workers,
            queues,
            homes: HashMap::new(),
            broken: HashSet::new(),
            epoch: 0,
        }
    }

    /// Forgets what was said to an earlier life and asks every worker to say all of
    /// it again, by a new epoch.
    pub(crate) fn begin(&mut self) {
        for worker in &mut self.workers {
            worker.ring.skip_all();
        }
        let header = self.memory.header();
        self.epoch = header.epoch.load(Ordering::Acquire) + 1;
        self.sign_of_life();
        header.epoch.store(self.epoch, Ordering::Release);
        // They look at it when they wake.
        for down in &self.down[..] {
            down.ring_bell();
        }
    }

    /// Of the makers too: one that does not come back from a decoder is a module
    /// that does not live.
    fn sign_of_life(&self) {
        let header = self.memory.header();
        let now = plenum_uring::now();
        let hangs = |queue: &Queue| {
            let busy = queue.busy_for(now);
            busy > HANGS_AFTER
        };
        if self.queues.iter().any(hangs) {
            return;
        }
        header.cpu_ns.store(cpu_time_ns(), Ordering::Relaxed);
        header.heartbeat.store(now.0, Ordering::Release);
        header
            .deadline
            .store((now + HEARTBEAT).0, Ordering::Release);
    }

    /// Until a thread is gone.
    pub(crate) fn run(mut self, bell: &Doorbell) -> Result<(), RunError> {
        let mut payload = Vec::new();
        loop {
            self.sign_of_life();
            let mut idle = true;
            for worker in 0..self.workers.len() {
                for _ in 0..RECORDS_PER_TURN {
                    let Some(kind) = self.workers[worker].ring.pop(&mut payload) else {
                        break;
                    };
                    idle = false;
                    self.dispatch(worker as u32, kind, &payload)?;
                }
            }
            if idle {
                self.sleep(bell)?;
            }
        }
    }

    fn sleep(&self, bell: &Doorbell) -> Result<(), RunError> {
        let ready = |up: &Up| up.ring.prepare_sleep();
        // Every ring must know, also when an earlier one says that it is not empty.
        let all_empty = self
            .workers
            .iter()
            .map(ready)
            .fold(true, |all, one| all & one);
        if all_empty {
            let patience = Timespec::try_from(HEARTBEAT).ok();
            let mut fds = [PollFd::from_borrowed_fd(bell.as_fd(), PollFlags::IN)];
            match rustix::event::poll(&mut fds, patience.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(RunError::Wait(error.into())),
            }
            bell.clear();
        }
        self.workers.iter().for_each(|up| up.ring.stay_awake());
        Ok(())
    }

    fn dispatch(&mut self, worker: u32, kind: u32, payload: &[u8]) -> Result<(), RunError> {
        let Some(kind) = UpKind::from_u32(kind) else {
            return Ok(());
        };
        let begun = &mut self.workers[worker as usize].begun;
        match kind {
            UpKind::Begin => {
                let begin = Begin::read_from_prefix(payload);
                *begun = begin.is_ok_and(|(begin, _)| begin.epoch == self.epoch);
                if *begun {
                    let of_worker = self.homes.iter_mut().filter(|(key, _)| key.0 == worker);
                    of_worker.for_each(|(_, home)| home.said = false);
                    return self.tell_all(|| Job::Begin { worker });
                }
                Ok(())
            }
            _ if !*begun => Ok(()),
            UpKind::Settled => {
                self.homes.retain(|key, home| key.0 != worker || home.said);
                self.tell_all(|| Job::Settled { worker })
            }
            _ => self.route(worker, kind, payload),
        }
    }

    fn tell_all(&self, job: impl Fn() -> Job) -> Result<(), RunError> {
        let told = self.queues.iter().all(|queue| queue.push(job()));
        told.then_some(()).ok_or(RunError::Stopped)
    }

    /// Every record that is left begins with its conference.
    fn route(&mut self, worker: u32, kind: UpKind, payload: &[u8]) -> Result<(), RunError> {
        let Ok((conference, _)) = SlotRef::read_from_prefix(payload) else {
            return Ok(());
        };
        let key = (worker, conference.slot);
        if kind == UpKind::SetConference && !self.homes.contains_key(&key) {
            let queue = self.least_loaded();
            self.homes.insert(key, Home { queue, said: true });
        }
        let Some(home) = self.homes.get_mut(&key) else {
            return Ok(());
        };
        home.said |= kind == UpKind::SetConference;
        let queue = home.queue;
        if kind == UpKind::RemoveConference {
            self.homes.remove(&key);
        }
        if kind == UpKind::AccessUnit && !self.admits(worker, queue, payload) {
            return Ok(());
        }
        let payload = payload.to_vec();
        self.queues[queue]
            .push(Job::Record { key, kind, payload })
            .then_some(())
            .ok_or(RunError::Stopped)
    }

    fn least_loaded(&self) -> usize {
        let load = |queue: &usize| {
            self.homes
                .values()
                .filter(|home| home.queue == *queue)
                .count()
        };
        (0..self.queues.len()).min_by_key(load).unwrap_or(0)
    }

    /// Whether an access unit goes on to the thread that decodes it. Where one is
    /// left out, so is all that builds upon it.
    fn admits(&mut self, worker: u32, queue: usize, payload: &[u8]) -> bool {
        let Ok((head, _)) = AccessUnitHead::read_from_prefix(payload) else {
            return false;
        };
        let stream = (worker, head.stream.slot);
        let has_room = self.queues[queue].has_room();
        if has_room && (head.key_frame != 0 || !self.broken.contains(&stream)) {
            self.broken.remove(&stream);
            return true;
        }
        if self.broken.insert(stream) || has_room {
            self.down[worker as usize].request_key_frame(head.stream);
        }
        false
    }
}

#[cfg(test)]
mod tests;
