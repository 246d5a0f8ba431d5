//! The loop.

mod browsers;
mod bundled;
mod commands;
mod looks;
mod pictures;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::time::Duration;

use plenum_abi::{
    ConferenceConfig, EventKind, LATENESS_BUCKETS_US, Nanos, SlotState, SocketAddress,
};
use plenum_dtls::Identity;
use plenum_mixer::{Conference, LegKey, MixPolicy};
use plenum_ring::{CommandConsumer, Doorbell, WorkerView};
use plenum_uring::{Config, Driver, Event, RegisterError};
use rand::SeedableRng;
use rand::rngs::SmallRng;

use crate::counters::{add, set};
use crate::events::Events;
use crate::leg::{Exit, Inbound, Leg, rtcp_key, rtp_key};
use crate::modules::{Link, ModuleSetup};
use crate::outbox::Outbox;
use crate::shelf;
use crate::tick::{Legs, Tick};
use crate::transports::Transports;
use crate::video::{Carries, VideoInbound};
use crate::wheel::{Due, Wheel};
use pictures::Pictures;

/// Commands that one turn of the loop carries out, so that a burst of them
/// does not hold up a tick.
const COMMANDS_PER_TURN: usize = 16;
/// Nor do commands take longer than this in a turn, but for the one that is under
/// way: a leg's set-up makes codecs.
const COMMANDS_TIME: Duration = Duration::from_micros(500);
/// Datagrams between two looks at the clock.
const DATAGRAMS_PER_TURN: usize = 512;
/// An idle worker turns so often, to show that it lives.
const HEARTBEAT: Duration = Duration::from_millis(500);
/// With sound in the making, packets are needed by the next tick and no sooner:
/// they gather this long before they wake the worker, because a wake-up costs
/// more than a packet does.
const GATHER: Duration = Duration::from_millis(1);
/// Above every ordinary thread, below the kernel's own real-time work (50).
const REAL_TIME_PRIORITY: u8 = 10;
/// Gauges of a conference's legs are brought up to date each so many ticks.
const PUBLISH_TICKS: u64 = 10;

/// The media sockets of one leg slot or video slot.
#[derive(Debug)]
pub struct LegSockets {
    /// RTP, and RTCP where both share a port (RFC 5761).
    pub rtp: OwnedFd,
    /// RTCP, on the next higher port (RFC 3550 section 11).
    pub rtcp: OwnedFd,
}

/// What a worker meets browsers with.
#[derive(Debug)]
pub struct BrowserPorts {
    /// Sockets that all of them share, each bound to one address of ours.
    pub sockets: Vec<OwnedFd>,
    /// Who we are in DTLS.
    pub identity: Identity,
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
    /// By video slot.
    pub video_sockets: Vec<LegSockets>,
    /// `None` where no browser is ever met.
    pub browsers: Option<BrowserPorts>,
    /// Video modules, the same for all workers; none where video is off.
    pub modules: Vec<ModuleSetup>,
}

/// Why a worker cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The io_uring driver cannot be made.
    #[error("the worker's io_uring cannot be set up")]
    Driver(#[from] plenum_uring::SetupError),
    /// A socket is refused.
    #[error("a media socket cannot be used")]
    Socket(#[from] RegisterError),
    /// A socket does not tell its address.
    #[error("a media socket does not tell its address")]
    Address(#[source] io::Error),
    /// The core cannot be had.
    #[error("core {core} cannot be had")]
    Pin {
        /// Which.
        core: u32,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// A conference on this worker.
struct Room {
    config: ConferenceConfig,
    mixer: Conference,
    active_speaker: Option<LegKey>,
    /// Counters of the mixer that were added to the worker's.
    encodes: u64,
    shared_sends: u64,
    ticks: u64,
    /// The video module that makes its pictures, while it has any.
    module: Option<usize>,
    /// The speaker that the module was told of.
    speaker_told: Option<LegKey>,
}

/// See the [crate](crate).
pub struct Worker {
    view: WorkerView,
    driver: Driver,
    commands: CommandConsumer,
    doorbell: Doorbell,
    events: Events,
    legs: Legs,
    transports: Option<Transports>,
    rooms: Box<[Option<Box<Room>>]>,
    wheel: Wheel,
    due: Vec<Due>,
    outbox: Outbox,
    pictures: Pictures,
    rng: SmallRng,
    live_legs: usize,
}

impl Worker {
    /// Makes the worker and goes on with every leg and conference that the
    /// arena holds. The calling thread becomes its thread.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(setup: WorkerSetup) -> Result<Self, SetupError> {
        let WorkerSetup {
            view,
            epoch,
            core,
            doorbell,
            control_doorbell,
            sockets,
            video_sockets,
            browsers,
            modules,
        } = setup;
        if let Some(core) = core {
            plenum_uring::pin_current_thread(core as usize)
                .map_err(|source| SetupError::Pin { core, source })?;
        }
        if core.is_some() {
            // A worker with a core of its own goes before whatever else the kernel
            // puts there. Where that is not allowed, it is a worker all the same.
            let _ = plenum_uring::run_in_real_time(REAL_TIME_PRIORITY);
        }
        let slots = view.legs();
        let streams = view.video_streams();
        let shared = browsers.as_ref().map_or(0, |ports| ports.sockets.len());
        let video_key = slots * 2 + shared as u32;
        let mut driver = Driver::new(Config {
            sockets: video_key + streams * 2,
            receive_slots: receive_slots(slots, streams),
            send_slots: send_slots(slots, streams),
            ..Config::default()
        })?;
        for (slot, sockets) in (0..slots).zip(sockets) {
            driver.register_socket(rtp_key(slot), sockets.rtp)?;
            driver.register_socket(rtcp_key(slot), sockets.rtcp)?;
        }
        let transports = match browsers {
            Some(ports) => Some(browsers::open(ports, &mut driver, slots)?),
            None => None,
        };
        for (slot, sockets) in (0..streams).zip(video_sockets) {
            driver.register_socket(video_key + slot * 2, sockets.rtp)?;
            driver.register_socket(video_key + slot * 2 + 1, sockets.rtcp)?;
        }
        driver.watch_doorbell(doorbell.as_fd())?;
        shelf::begin(receive_slots(slots, streams) as usize);
        let links: Vec<Link> = modules
            .into_iter()
            .map(|module| Link::new(view.index(), module))
            .collect();
        let stats = view.stats();
        set(&stats.process_id, u64::from(std::process::id()));
        set(&stats.epoch, epoch);
        let rooms = view.conferences();
        let mut worker = Self {
            commands: view.command_consumer(),
            events: Events::new(view.event_producer(), control_doorbell),
            driver,
            doorbell,
            legs: (0..slots).map(|_| None).collect(),
            transports,
            rooms: (0..rooms).map(|_| None).collect(),
            wheel: Wheel::new(rooms as usize),
            due: Vec::with_capacity(rooms as usize),
            outbox: Outbox::new(),
            pictures: Pictures::new(slots, streams, video_key, links),
            rng: SmallRng::from_os_rng(),
            live_legs: 0,
            view,
        };
        worker.adopt();
        let adopted = worker.live_legs as u64;
        worker.events.worker(EventKind::WorkerStarted, 0, adopted);
        Ok(worker)
    }

    /// Runs until the process ends or its ring is lost.
    pub fn run(mut self) {
        while self.turn().is_ok() {}
    }

    /// One turn: sleep until something is due, receive, obey, mix.
    ///
    /// # Errors
    /// The ring is lost; the worker is of no more use.
    pub fn turn(&mut self) -> Result<(), plenum_uring::WaitError> {
        self.sleep()?;
        self.receive();
        self.obey();
        self.mix();
        self.advance_transports();
        self.show();
        shelf::give_back(&mut self.driver);
        self.account();
        Ok(())
    }

    fn sleep(&mut self) -> Result<(), plenum_uring::WaitError> {
        let now = plenum_uring::now();
        let tick = self.wheel.next_deadline();
        let transports = self.transports.as_ref().and_then(Transports::next_deadline);
        let deadline = tick.unwrap_or(now + HEARTBEAT);
        let pictures = self.pictures.next_deadline();
        let deadline = [transports, pictures]
            .into_iter()
            .flatten()
            .fold(deadline, Nanos::min)
            .max(now);
        let stats = self.view.stats();
        set(&stats.heartbeat, now.0);
        set(&stats.deadline, deadline.0);
        let may_sleep =
            deadline > now && self.commands.prepare_sleep() && self.pictures.prepare_sleep();
        if !may_sleep {
            self.commands.stay_awake();
            self.pictures.stay_awake();
            // Sends still have to leave, and events to be seen.
            return self.driver.wait(Some(now), Duration::ZERO);
        }
        let gather = if tick.is_some() {
            GATHER
        } else {
            Duration::ZERO
        };
        let waited = self.driver.wait(Some(deadline), gather);
        self.commands.stay_awake();
        self.pictures.stay_awake();
        waited
    }

    fn receive(&mut self) {
        let mut now = plenum_uring::now();
        let mut datagrams = 0;
        while let Some(event) = self.driver.next_event() {
            match event {
                Event::Datagram { key, source, lease } => {
                    datagrams += 1;
                    if datagrams % DATAGRAMS_PER_TURN == 0 {
                        now = plenum_uring::now();
                    }
                    if self.is_video_key(key) {
                        let source = SocketAddress::from(source);
                        let inbound = VideoInbound {
                            now,
                            source,
                            on_rtcp_port: false,
                            carries: Carries::Unnamed,
                            lease,
                        };
                        self.on_video_datagram(key, inbound);
                        continue;
                    }
                    let slot = key / 2;
                    if slot >= self.view.legs() {
                        self.on_browser_datagram(now, key, source, lease);
                        continue;
                    }
                    let (Some(Some(leg)), Some(record)) =
                        (self.legs.get_mut(slot as usize), self.view.leg(slot))
                    else {
                        self.driver.release(lease);
                        continue;
                    };
                    let source = SocketAddress::from(source);
                    let inbound = Inbound {
                        now,
                        source,
                        on_rtcp_port: key % 2 == 1,
                        lease,
                    };
                    leg.on_datagram(inbound, record, &mut self.driver, &mut self.events);
                }
                Event::Doorbell => {
                    self.doorbell.clear();
                }
                Event::SendFailed { key, .. } if self.is_video_key(key) => {
                    self.count_video_error(key);
                }
                Event::SendFailed { key, .. } => {
                    if let Some(record) = self.view.leg(key / 2) {
                        add(&record.stats.tx_errors, 1);
                    }
                }
                Event::ReceiveFailed { key, .. } if self.is_video_key(key) => {
                    self.rearm_video(key);
                }
                Event::ReceiveFailed { key, .. } => {
                    // The socket is whole, its receive was not: once more.
                    let has_tenant = match self.legs.get(key as usize / 2) {
                        Some(leg) => leg.is_some(),
                        None => self.transports.as_ref().is_some_and(Transports::is_open),
                    };
                    if has_tenant {
                        let _ = self.driver.arm(key);
                    }
                }
            }
        }
        add(&self.view.stats().rx_datagrams, datagrams as u64);
    }

    fn obey(&mut self) {
        let begin = plenum_uring::now();
        for _ in 0..COMMANDS_PER_TURN {
            if plenum_uring::now().since(begin) > COMMANDS_TIME {
                return;
            }
            let Some(command) = self.commands.peek() else {
                return;
            };
            if let Err((about, reason)) = self.apply(&command) {
                self.events.rejected(command.token, about, reason);
            }
            // Only now: a successor would carry it out again, which does no harm.
            self.commands.advance();
            add(&self.view.stats().commands, 1);
        }
    }

    /// Runs every tick that is due.
    fn mix(&mut self) {
        let now = plenum_uring::now();
        let mut due = std::mem::take(&mut self.due);
        self.wheel.take_due(now, &mut due);
        for tick in &due {
            self.tick(*tick);
        }
        self.due = due;
        self.outbox.flush(&mut self.driver);
    }

    fn tick(&mut self, due: Due) {
        let Some(Some(room)) = self.rooms.get_mut(due.slot as usize) else {
            return;
        };
        let now = plenum_uring::now();
        let stats = self.view.stats();
        let late_us = now.since(due.at).as_micros() as u64;
        let bucket = LATENESS_BUCKETS_US
            .iter()
            .position(|&bound| late_us <= bound);
        add(
            &stats.tick_lateness[bucket.unwrap_or(LATENESS_BUCKETS_US.len())],
            1,
        );
        add(&stats.ticks, 1);

        let exit = Exit {
            now,
            driver: &mut self.driver,
            outbox: &mut self.outbox,
        };
        let mut io = Tick {
            at: due.at,
            legs: &mut self.legs,
            view: &self.view,
            exit,
            rng: &mut self.rng,
        };
        room.mixer.tick(&mut io);

        let publish = room.ticks.is_multiple_of(PUBLISH_TICKS);
        room.ticks += 1;
        for (key, level_dbov) in room.mixer.levels() {
            let (Some(Some(leg)), Some(record)) =
                (io.legs.get_mut(key.0 as usize), self.view.leg(key.0))
            else {
                continue;
            };
            leg.report_if_due(record, &mut io.exit, io.rng);
            if publish {
                leg.publish(record, level_dbov);
                leg.time_out_digit(now, &mut self.events);
                if let Some(silent_ms) = leg.silence_to_report(now) {
                    let generation = leg.config.generation;
                    self.events
                        .leg(EventKind::MediaSilent, key.0, generation, silent_ms);
                }
            }
        }
        let counters = room.mixer.counters();
        add(&stats.encodes, counters.encodes - room.encodes);
        add(
            &stats.shared_sends,
            counters.shared_sends - room.shared_sends,
        );
        (room.encodes, room.shared_sends) = (counters.encodes, counters.shared_sends);

        let speaker = room.mixer.active_speaker();
        if speaker != room.active_speaker {
            room.active_speaker = speaker;
            let slot = speaker.map_or(0, |key| u64::from(key.0) + 1);
            if let Some(record) = self.view.conference(due.slot) {
                record.active_speaker.store(slot, Ordering::Relaxed);
            }
            if slot > 0 {
                let generation = room.config.generation;
                self.events
                    .leg(EventKind::ActiveSpeaker, due.slot, generation, slot - 1);
            }
        }
        self.advance_pictures(due.slot, now);
    }

    /// Goes on with what the arena holds; what is torn there is dropped.
    fn adopt(&mut self) {
        let view = self.view.clone();
        let now = plenum_uring::now();
        for slot in 0..view.conferences() {
            let Some(record) = view.conference(slot) else {
                continue;
            };
            match record.live_config() {
                Some(config) => self.open_room(slot, config),
                None => record
                    .state
                    .store(SlotState::Free as u32, Ordering::Release),
            }
        }
        for slot in 0..view.legs() {
            let Some(record) = view.leg(slot) else {
                continue;
            };
            self.adopt_transport(slot);
            let adopted = record.live_config().and_then(|config| {
                let bundle = self.bundle_of(slot, &config).ok()?;
                let driver = &self.driver;
                Leg::adopt(now, slot, config, bundle, record, driver, &mut self.rng).ok()
            });
            let seated = adopted.is_some_and(|leg| self.seat(leg, true).is_ok());
            if !seated {
                record
                    .state
                    .store(SlotState::Free as u32, Ordering::Release);
            }
        }
        self.adopt_pictures();
    }

    fn account(&mut self) {
        let stats = self.view.stats();
        add(&stats.turns, 1);
        set(
            &stats.cpu_ns,
            plenum_uring::thread_cpu_time().as_nanos() as u64,
        );
        set(&stats.legs, self.live_legs as u64);
        set(&stats.conferences, self.wheel.len() as u64);
        let driver = self.driver.stats();
        set(&stats.rx_no_slot, driver.no_slot);
        set(&stats.tx_datagrams, driver.sent);
        add(&stats.events_lost, 0);
        self.events.flush(stats);
        let _ = self.outbox.take_refused();
    }
}

fn policy(config: &ConferenceConfig) -> MixPolicy {
    MixPolicy {
        speakers_max: config.speakers_max,
        join_tone_participants_max: config.join_tone_participants_max,
        leave_tone_participants_max: config.leave_tone_participants_max,
        ..MixPolicy::default()
    }
}

/// Packets that wait in jitter buffers (ten a leg is 200 ms) and on the way there; of
/// pictures, those of a large one or of a gap.
fn receive_slots(legs: u32, streams: u32) -> u32 {
    (legs * 12 + streams * 32)
        .next_power_of_two()
        .clamp(1_024, 32_768)
}

/// A tick of every leg, and reports; of pictures, what is paced.
fn send_slots(legs: u32, streams: u32) -> u32 {
    (legs * 2 + streams * 16)
        .next_power_of_two()
        .clamp(1_024, 32_768)
}
