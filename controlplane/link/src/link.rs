//! The control plane's ends of the rings.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};

use plenum_abi::{
    Command, CommandKind, ConferenceConfig, ConferenceRecord, Event, LATENESS_BUCKETS_US,
    LegConfig, LegRecord, Nanos, Text, TransportConfig, VideoConfig, VideoRecord, ViewPolicy,
};
use plenum_ring::{Arena, CommandProducer, Doorbell, EventConsumer, OpenError, WorkerView};
use tokio::net::unix::pipe::Receiver;

use crate::queue::{Overflow, Queue};
use crate::slots::{Generations, Slot, Slots};

/// Most events taken at a time, so that a flood does not keep others waiting.
const BATCH: usize = 256;

/// Why the dataplane cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The inherited descriptor is no arena of ours.
    #[error("the session arena cannot be used")]
    Arena(#[from] OpenError),
    /// The doorbell cannot be waited for.
    #[error("the dataplane's doorbell cannot be waited for")]
    Doorbell(#[from] io::Error),
    /// There are not as many doorbells as workers.
    #[error("{doorbells} doorbells for {workers} workers")]
    Mismatch {
        /// Doorbells inherited.
        doorbells: usize,
        /// Workers of the arena.
        workers: u32,
    },
}

/// A leg that runs, as the arena has it.
#[derive(Clone, Copy, Debug)]
pub struct LiveLeg {
    /// Its slot.
    pub slot: Slot,
    /// What it was last told.
    pub config: LegConfig,
}

/// A conference that runs, as the arena has it.
#[derive(Clone, Copy, Debug)]
pub struct LiveConference {
    /// Its slot.
    pub slot: Slot,
    /// What it was last told.
    pub config: ConferenceConfig,
}

/// A video stream that runs, as the arena has it.
#[derive(Clone, Copy, Debug)]
pub struct LiveVideo {
    /// Its slot.
    pub slot: Slot,
    /// What it was last told.
    pub config: VideoConfig,
}

/// A leg's counters at one moment; see [`plenum_abi::LegStats`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[allow(missing_docs)]
pub struct Counters {
    pub rx_packets: u64,
    pub rx_bytes: u64,
    pub rx_lost: u64,
    pub rx_jitter_us: u64,
    pub rx_codec: u64,
    pub tx_packets: u64,
    pub tx_bytes: u64,
    pub tx_loss_fraction: u64,
    pub tx_jitter_us: u64,
    pub round_trip_us: u64,
    /// When media was last valid; `None` for never.
    pub last_received: Option<Nanos>,
}

/// A video stream's counters at one moment; see [`plenum_abi::VideoStats`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[allow(missing_docs)]
pub struct VideoCounters {
    pub rx_packets: u64,
    pub rx_bytes: u64,
    pub rx_lost: u64,
    pub rx_jitter_us: u64,
    pub rx_frames: u64,
    pub rx_size: u64,
    pub rx_codec: u64,
    pub rx_decoder_crashes: u64,
    pub tx_bytes: u64,
    pub tx_frames: u64,
    pub tx_size: u64,
    pub tx_allowed_bps: u64,
    pub tx_loss_fraction: u64,
    pub tx_jitter_us: u64,
    pub round_trip_us: u64,
    /// When media was last valid; `None` for never.
    pub last_received: Option<Nanos>,
}

struct WorkerLink {
    view: WorkerView,
    commands: CommandProducer,
    events: EventConsumer,
    doorbell: Doorbell,
    queue: Queue,
}

impl WorkerLink {
    /// Moves what waits into the ring, as far as there is room.
    fn flush(&mut self) {
        let mut pushed = false;
        while let Some(command) = self.queue.peek() {
            if self.commands.push(command).is_err() {
                break;
            }
            pushed = true;
            self.queue.pop();
        }
        if pushed {
            self.commands.wake(&self.doorbell);
        }
    }
}

/// The control plane's hold on the dataplane.
pub struct Link {
    arena: Arena,
    /// An eventfd. To tokio it is a pipe: it becomes readable, and reading
    /// clears it. (`AsyncFd` wants `unsafe`.)
    bell: Receiver,
    workers: Vec<WorkerLink>,
    next_token: u64,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("arena", &self.arena)
            .finish_non_exhaustive()
    }
}

impl Link {
    /// Takes hold of an inherited arena. `bell` is rung by workers, each of
    /// `worker_bells` wakes one. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`AttachError`].
    pub fn attach(
        arena: OwnedFd,
        bell: OwnedFd,
        worker_bells: Vec<OwnedFd>,
    ) -> Result<Self, AttachError> {
        let arena = Arena::open(arena)?;
        let layout = arena.layout();
        if worker_bells.len() != layout.workers as usize {
            return Err(AttachError::Mismatch {
                doorbells: worker_bells.len(),
                workers: layout.workers,
            });
        }
        // Every slot, and every leg's transport, may have one command waiting, and some
        // more for digits and candidates.
        let slots = 2 * layout.legs_per_worker
            + layout.conferences_per_worker
            + layout.video_streams_per_worker;
        let capacity = slots as usize + 1_024;
        let workers = (0..)
            .zip(worker_bells)
            .map(|(index, doorbell)| {
                let view = arena.worker(index);
                WorkerLink {
                    commands: view.command_producer(),
                    events: view.event_consumer(),
                    doorbell: Doorbell::from_fd(doorbell),
                    queue: Queue::new(capacity),
                    view,
                }
            })
            .collect();
        Ok(Self {
            bell: Receiver::from_owned_fd_unchecked(bell)?,
            arena,
            workers,
            next_token: 1,
        })
    }

    /// Counts one more start of the control plane on this arena; 1 is the first.
    pub fn begin_epoch(&self) -> u64 {
        let epoch = &self.arena.header().control_epoch;
        epoch.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Workers of the dataplane.
    #[must_use]
    pub fn workers(&self) -> u32 {
        self.arena.layout().workers
    }

    /// The slots as the arena has them: generations of the last tenants, nobody in.
    #[must_use]
    pub fn slots(&self) -> Slots {
        Slots::new(self.workers.iter().map(|worker| {
            let view = &worker.view;
            let legs = (0..view.legs())
                .filter_map(|slot| view.leg(slot))
                .map(|record| record.generation.load(Ordering::Acquire));
            let conferences = (0..view.conferences())
                .filter_map(|slot| view.conference(slot))
                .map(|record| record.generation.load(Ordering::Acquire));
            let video = (0..view.video_streams())
                .filter_map(|slot| view.video_stream(slot))
                .map(|record| record.generation.load(Ordering::Acquire));
            Generations {
                legs: legs.collect(),
                conferences: conferences.collect(),
                video: video.collect(),
            }
        }))
    }

    /// Says `kind` with `payload` to a worker; the token comes back in answers. Its
    /// low byte is the kind, so that a refusal says what was refused.
    /// While the ring is full it waits here: call [`Self::flush`] now and then.
    ///
    /// # Errors
    /// [`Overflow`].
    ///
    /// # Panics
    /// When there is no such worker.
    pub fn send<T: zerocopy::IntoBytes + zerocopy::Immutable>(
        &mut self,
        worker: u32,
        kind: CommandKind,
        payload: &T,
    ) -> Result<u64, Overflow> {
        let token = (self.next_token << 8) | u64::from(kind as u32 & 0xff);
        self.next_token += 1;
        let link = &mut self.workers[worker as usize];
        link.queue.push(Command::new(kind, token, payload))?;
        link.flush();
        Ok(token)
    }

    /// Whether commands wait for room in a ring.
    #[must_use]
    pub fn has_backlog(&self) -> bool {
        self.workers.iter().any(|worker| !worker.queue.is_empty())
    }

    /// Moves waiting commands into their rings, as far as there is room.
    pub fn flush(&mut self) {
        for worker in &mut self.workers {
            worker.flush();
        }
    }

    /// Waits until there may be events. Can be dropped and asked again at any time.
    ///
    /// # Errors
    /// When the doorbell cannot be waited for.
    pub async fn ready(&self) -> io::Result<()> {
        let quiet = self
            .workers
            .iter()
            .all(|worker| worker.events.prepare_sleep());
        if quiet {
            self.bell.readable().await?;
            // To the end: only "would block" tells tokio that the bell is silent.
            let mut count = [0; 8];
            let error = loop {
                if let Err(error) = self.bell.try_read(&mut count) {
                    break error;
                }
            };
            if error.kind() != io::ErrorKind::WouldBlock {
                return Err(error);
            }
        }
        for worker in &self.workers {
            worker.events.stay_awake();
        }
        Ok(())
    }

    /// Takes the events that have come, with their workers, some hundreds at most.
    pub fn take_events(&mut self, events: &mut Vec<(u32, Event)>) {
        self.flush();
        for (index, worker) in (0..).zip(&mut self.workers) {
            for _ in 0..BATCH {
                let Some(event) = worker.events.pop() else {
                    break;
                };
                events.push((index, event));
            }
        }
    }

    /// Every leg that runs. A torn record is none.
    #[must_use]
    pub fn live_legs(&self) -> Vec<LiveLeg> {
        let mut live = Vec::new();
        for (worker, link) in (0..).zip(&self.workers) {
            for slot in 0..link.view.legs() {
                let config = link.view.leg(slot).and_then(LegRecord::live_config);
                live.extend(config.map(|config| LiveLeg {
                    slot: Slot {
                        worker,
                        slot,
                        generation: config.generation,
                    },
                    config,
                }));
            }
        }
        live
    }

    /// Every conference that runs. A torn record is none.
    #[must_use]
    pub fn live_conferences(&self) -> Vec<LiveConference> {
        let mut live = Vec::new();
        for (worker, link) in (0..).zip(&self.workers) {
            for slot in 0..link.view.conferences() {
                let record = link.view.conference(slot);
                let config = record.and_then(ConferenceRecord::live_config);
                live.extend(config.map(|config| LiveConference {
                    slot: Slot {
                        worker,
                        slot,
                        generation: config.generation,
                    },
                    config,
                }));
            }
        }
        live
    }

    /// Every video stream that runs. A torn record is none.
    #[must_use]
    pub fn live_videos(&self) -> Vec<LiveVideo> {
        let mut live = Vec::new();
        for (worker, link) in (0..).zip(&self.workers) {
            for slot in 0..link.view.video_streams() {
                let record = link.view.video_stream(slot);
                let config = record.and_then(VideoRecord::live_config);
                live.extend(config.map(|config| LiveVideo {
                    slot: Slot {
                        worker,
                        slot,
                        generation: config.generation,
                    },
                    config,
                }));
            }
        }
        live
    }

    /// What a video stream was last told, if it runs under this generation.
    #[must_use]
    pub fn live_video(&self, slot: Slot) -> Option<VideoConfig> {
        let worker = self.workers.get(slot.worker as usize)?;
        let config = worker.view.video_stream(slot.slot)?.live_config()?;
        (config.generation == slot.generation).then_some(config)
    }

    /// What a leg's transport was last told, if it runs under this generation.
    #[must_use]
    pub fn live_transport(&self, slot: Slot) -> Option<TransportConfig> {
        let worker = self.workers.get(slot.worker as usize)?;
        let record = worker.view.transport(slot.slot)?;
        let config = record.config.load::<TransportConfig>()?;
        (config.generation == slot.generation).then_some(config)
    }

    /// What a leg was last told, if it runs under this generation.
    #[must_use]
    pub fn live_leg(&self, slot: Slot) -> Option<LegConfig> {
        let worker = self.workers.get(slot.worker as usize)?;
        let config = worker.view.leg(slot.slot)?.live_config()?;
        (config.generation == slot.generation).then_some(config)
    }

    /// What a conference was last told, if it runs under this generation.
    #[must_use]
    pub fn live_conference(&self, slot: Slot) -> Option<ConferenceConfig> {
        let worker = self.workers.get(slot.worker as usize)?;
        let config = worker.view.conference(slot.slot)?.live_config()?;
        (config.generation == slot.generation).then_some(config)
    }

    /// Revision of how a conference looks, policy and message, if it runs under this
    /// generation and was told both.
    #[must_use]
    pub fn look_revision(&self, slot: Slot) -> Option<u64> {
        self.live_conference(slot)?;
        let worker = self.workers.get(slot.worker as usize)?;
        let record = worker.view.conference(slot.slot)?;
        let policy = record.view_policy.load::<ViewPolicy>()?.revision;
        Some(policy.min(record.message.load::<Text>()?.revision))
    }

    /// Revision of a leg's label, if it runs under this generation and has one.
    #[must_use]
    pub fn label_revision(&self, slot: Slot) -> Option<u64> {
        self.live_leg(slot)?;
        let worker = self.workers.get(slot.worker as usize)?;
        let record = worker.view.leg(slot.slot)?;
        Some(record.label.load::<Text>()?.revision)
    }

    /// A leg's counters, if it runs under this generation.
    #[must_use]
    pub fn counters(&self, slot: Slot) -> Option<Counters> {
        let worker = self.workers.get(slot.worker as usize)?;
        let record = worker.view.leg(slot.slot)?;
        if !record.is_live() || record.generation.load(Ordering::Acquire) != slot.generation {
            return None;
        }
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let stats = &record.stats;
        Some(Counters {
            rx_packets: read(&stats.rx_packets),
            rx_bytes: read(&stats.rx_bytes),
            rx_lost: read(&stats.rx_lost),
            rx_jitter_us: read(&stats.rx_jitter_us),
            rx_codec: read(&stats.rx_codec),
            tx_packets: read(&stats.tx_packets),
            tx_bytes: read(&stats.tx_bytes),
            tx_loss_fraction: read(&stats.tx_loss_fraction),
            tx_jitter_us: read(&stats.tx_jitter_us),
            round_trip_us: read(&stats.round_trip_us),
            last_received: record.last_received(),
        })
    }

    /// Ticks of all workers by how late they began; bounds in
    /// [`plenum_abi::LATENESS_BUCKETS_US`].
    #[must_use]
    pub fn tick_lateness(&self) -> [u64; LATENESS_BUCKETS_US.len() + 1] {
        let mut all = [0; LATENESS_BUCKETS_US.len() + 1];
        for worker in &self.workers {
            for (sum, ticks) in all.iter_mut().zip(&worker.view.stats().tick_lateness) {
                *sum += ticks.load(Ordering::Relaxed);
            }
        }
        all
    }

    /// A video stream's counters, if it runs under this generation.
    #[must_use]
    pub fn video_counters(&self, slot: Slot) -> Option<VideoCounters> {
        let worker = self.workers.get(slot.worker as usize)?;
        let record = worker.view.video_stream(slot.slot)?;
        if record.live_config()?.generation != slot.generation {
            return None;
        }
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let stats = &record.stats;
        let heard = read(&record.last_received);
        Some(VideoCounters {
            rx_packets: read(&stats.rx_packets),
            rx_bytes: read(&stats.rx_bytes),
            rx_lost: read(&stats.rx_lost),
            rx_jitter_us: read(&stats.rx_jitter_us),
            rx_frames: read(&stats.rx_frames),
            rx_size: read(&stats.rx_size),
            rx_codec: read(&stats.rx_codec),
            rx_decoder_crashes: read(&stats.rx_decoder_crashes),
            tx_bytes: read(&stats.tx_bytes),
            tx_frames: read(&stats.tx_frames),
            tx_size: read(&stats.tx_size),
            tx_allowed_bps: read(&stats.tx_allowed_bps),
            tx_loss_fraction: read(&stats.tx_loss_fraction),
            tx_jitter_us: read(&stats.tx_jitter_us),
            round_trip_us: read(&stats.round_trip_us),
            last_received: (heard > 0).then_some(Nanos(heard)),
        })
    }
}

#[cfg(test)]
mod tests;
