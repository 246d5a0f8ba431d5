//! `plenum serve`: holds what must not die, starts and restarts the rest.
//!
//! ```text
//!   supervisor ── arena, doorbells, media sockets ──┬── plenum dataplane
//!      │  watches: deaths, heartbeats, signals      ├── plenum video, one or more
//!      │                                            ├── plenum control
//!      │                                            └── plenum turn, where it is served
//!      └─ standard output: the ready line, once
//! ```
//! One thread, one poll. It must be too simple to crash: it reads no packet,
//! knows no protocol and opens no database. A child that dies is replaced and
//! finds everything again in the inheritance; a child never outlives its
//! supervisor.

mod child;
mod estate;
mod greeting;
mod restarts;
mod sockets;
mod turn;

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use plenum_abi::{ModuleEnd, Nanos};
use rustix::event::{PollFd, PollFlags, Timespec};
use signal_hook::consts::{SIGHUP, SIGINT, SIGKILL, SIGTERM};

use crate::channel::{Channel, Message};
use crate::config::{Config, LogFormat};
use crate::plan::Plan;
use crate::turn::estate::TurnEstateError;
use crate::{EXIT_HOPELESS, clock};

use child::Child;
pub(crate) use child::Role;
use estate::Estate;
pub(crate) use estate::{EstateError, descriptors_needed, layout, raise_descriptor_limit};
use restarts::{Restarts, Verdict};
pub(crate) use sockets::{PICTURE_BUFFER, bind_address, bind_browser_sockets, bind_pairs};
use turn::TurnPost;
pub(crate) use turn::serve_turn;

/// How often heartbeats are looked at.
const WATCH_EVERY: Duration = Duration::from_millis(250);
/// How often they are while somebody waits for the server to be ready.
const WATCH_AT_START: Duration = Duration::from_millis(5);
/// A worker that is later than this for its own deadline is stuck.
const STUCK_AFTER: Duration = Duration::from_secs(1);
/// A dataplane whose workers have not begun after this long is stuck.
const START_WITHIN: Duration = Duration::from_secs(15);
/// Place of the dataplane among the posts.
const DATAPLANE: usize = 0;
/// Place of the control plane.
const CONTROL: usize = 1;
/// Pause before a video module is started again that died too often: sound goes
/// on without it.
const MODULE_PAUSE: Duration = Duration::from_secs(5);
/// What the control plane gets to say goodbye to everybody.
const CONTROL_STOPS_WITHIN: Duration = Duration::from_millis(2_500);

/// Why the server ended other than by request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    /// Nothing to work with.
    #[error(transparent)]
    Estate(#[from] EstateError),
    /// TURN cannot be served.
    #[error("{}", crate::dataplane::chain(.0))]
    Turn(#[from] TurnEstateError),
    /// The kernel refused something that every process may have.
    #[error("cannot {doing}: {source}")]
    Kernel {
        doing: &'static str,
        source: io::Error,
    },
    /// A process said that it cannot work.
    #[error("{0}")]
    Hopeless(String),
    /// A process keeps dying.
    #[error("plenum {} died 10 times within 60 seconds; its messages above say why", .0.name())]
    DiesTooOften(Role),
}

/// One of the processes over its lives.
#[derive(Debug)]
struct Post {
    role: Role,
    child: Option<Child>,
    restarts: Restarts,
    start_at: Instant,
    was_ready: bool,
    /// It was killed because it gave no sign of life.
    was_stuck: bool,
}

impl Post {
    fn new(role: Role) -> Self {
        Self {
            role,
            child: None,
            restarts: Restarts::default(),
            start_at: Instant::now(),
            was_ready: false,
            was_stuck: false,
        }
    }
}

/// Runs the server until it is asked to stop.
///
/// # Errors
/// [`ServeError`].
pub(crate) fn serve(config: &Config, plan: &Plan) -> Result<(), ServeError> {
    let signals = catch_signals()?;
    let estate = Estate::make(config, plan)?;
    let mut posts = vec![Post::new(Role::Dataplane), Post::new(Role::Control)];
    posts.extend((0..estate.modules.len()).map(|index| Post::new(Role::Video(index))));
    let mut supervisor = Supervisor {
        estate,
        posts,
        signals,
        turn: crate::turn::is_served(&config.settings)
            .then(|| TurnPost::make(config, plan))
            .transpose()?,
        unsaid: None,
        watched_at: Instant::now(),
        greet: matches!(config.settings.log.format, LogFormat::Text)
            .then(|| config.settings.general.data_dir.clone()),
    };
    let outcome = supervisor.watch();
    supervisor.stop();
    outcome
}

/// A socket that becomes readable when somebody wants us to end.
fn catch_signals() -> Result<UnixStream, ServeError> {
    let kernel = |doing| move |source| ServeError::Kernel { doing, source };
    let (signals, signals_in) = UnixStream::pair().map_err(kernel("make a socket pair"))?;
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        let end = signals_in.try_clone().map_err(kernel("copy a socket"))?;
        signal_hook::low_level::pipe::register(signal, end).map_err(kernel("catch a signal"))?;
    }
    Ok(signals)
}

struct Supervisor {
    estate: Estate,
    /// The dataplane, the control plane, then the video modules.
    posts: Vec<Post>,
    signals: UnixStream,
    /// TURN, where it is served.
    turn: Option<TurnPost>,
    /// The ready line, until the dataplane is ready too.
    unsaid: Option<serde_json::Value>,
    /// When the watch last came by.
    watched_at: Instant,
    /// The data folder, where the log is for people, who are then told of it.
    greet: Option<PathBuf>,
}

/// What woke the supervisor.
enum Wake {
    Signal,
    Spoke(usize),
    Died(usize),
    /// TURN is looked after whenever we are awake.
    Turn,
}

impl Supervisor {
    fn watch(&mut self) -> Result<(), ServeError> {
        loop {
            for post in &mut self.posts {
                if post.child.is_none() && Instant::now() >= post.start_at {
                    let (role, estate) = (post.role, &self.estate);
                    let handing = |channel: &Channel| child::hand_down(channel, role, estate);
                    let child =
                        Child::start(role, handing).map_err(|source| ServeError::Kernel {
                            doing: "start a process",
                            source,
                        })?;
                    tracing::info!(role = post.role.name(), pid = child.id(), "started");
                    post.child = Some(child);
                }
            }
            let patience = match self.unsaid {
                Some(_) => WATCH_AT_START,
                None => WATCH_EVERY,
            };
            for wake in self.wait(patience)? {
                match wake {
                    Wake::Signal => return Ok(()),
                    Wake::Spoke(post) => self.listen(post)?,
                    Wake::Died(post) => self.bury(post)?,
                    Wake::Turn => {}
                }
            }
            self.tend_turn()?;
            // Who was held up (a machine that slept) cannot blame others for the same.
            let late = self.watched_at.elapsed() > WATCH_EVERY + STUCK_AFTER / 2;
            self.watched_at = Instant::now();
            if !late {
                self.watch_workers();
                self.watch_modules();
            }
        }
    }

    /// Sleeps until something happens, `patience` at most.
    fn wait(&self, patience: Duration) -> Result<Vec<Wake>, ServeError> {
        let mut fds = vec![PollFd::new(&self.signals, PollFlags::IN)];
        let mut meanings = vec![Wake::Signal];
        for (index, post) in self.posts.iter().enumerate() {
            if let Some(child) = &post.child {
                // Words before death: a process explains itself, then ends.
                fds.push(PollFd::from_borrowed_fd(
                    child.channel.as_fd(),
                    PollFlags::IN,
                ));
                meanings.push(Wake::Spoke(index));
                fds.push(PollFd::from_borrowed_fd(child.pidfd(), PollFlags::IN));
                meanings.push(Wake::Died(index));
            }
        }
        if let Some(child) = self.turn.as_ref().and_then(TurnPost::child) {
            fds.push(PollFd::from_borrowed_fd(child.pidfd(), PollFlags::IN));
            meanings.push(Wake::Turn);
        }
        let restart = self
            .posts
            .iter()
            .filter(|post| post.child.is_none())
            .map(|post| post.start_at.saturating_duration_since(Instant::now()))
            .chain(self.turn.iter().filter_map(TurnPost::starts_in))
            .min();
        let patience = restart.map_or(patience, |restart| restart.min(patience));
        let patience = Timespec::try_from(patience).ok();
        match rustix::event::poll(&mut fds, patience.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => {
                return Err(ServeError::Kernel {
                    doing: "wait",
                    source: error.into(),
                });
            }
        }
        let woken = fds.iter().zip(meanings);
        Ok(woken
            .filter(|(fd, _)| !fd.revents().is_empty())
            .map(|(_, meaning)| meaning)
            .collect())
    }

    fn listen(&mut self, index: usize) -> Result<(), ServeError> {
        let post = &mut self.posts[index];
        let Some(child) = &post.child else {
            return Ok(());
        };
        match child.channel.receive() {
            Ok(Some((Message::Ready(line), _))) => {
                let (role, pid) = (post.role.name(), child.id());
                tracing::info!(role, pid, "ready");
                if post.role == Role::Control && !post.was_ready {
                    self.unsaid = Some(line);
                }
                post.was_ready = true;
                Ok(())
            }
            // Before it was ever ready a restart would only say the same again.
            Ok(Some((Message::Hopeless(why), _))) if !post.was_ready => {
                Err(ServeError::Hopeless(why))
            }
            Ok(Some((Message::Hopeless(why), _))) => {
                tracing::error!(role = post.role.name(), why, "cannot go on");
                Ok(())
            }
            Ok(Some(_)) => Ok(()),
            Ok(None) => {
                // The end of file comes a moment before the end of the process;
                // one that closed its line and lives is of no use.
                child.kill();
                Ok(())
            }
            Err(error) => {
                tracing::error!(role = post.role.name(), %error, "cannot be understood");
                child.kill();
                Ok(())
            }
        }
    }

    fn bury(&mut self, index: usize) -> Result<(), ServeError> {
        let post = &mut self.posts[index];
        let Some(child) = &mut post.child else {
            return Ok(());
        };
        let Some(status) = child.reap() else {
            return Ok(());
        };
        let now = Instant::now();
        let (role, pid, born) = (post.role, child.id(), child.born);
        post.child = None;
        let was_stuck = std::mem::take(&mut post.was_stuck);
        if let Role::Video(module) = role {
            let header = self.estate.modules[module].memory.header();
            for (last, note) in header.last_notes.iter().zip(&header.notes) {
                last.store(note.load(Ordering::Acquire), Ordering::Relaxed);
            }
            let end = module_end(status, was_stuck);
            header.last_end.store(end as u64, Ordering::Release);
        }
        match post.restarts.died(born, now) {
            Verdict::RestartAfter(pause) => {
                tracing::error!(role = role.name(), pid, %status, ?pause, "died, starting another");
                post.start_at = now + pause;
                Ok(())
            }
            Verdict::GiveUp if matches!(role, Role::Video(_)) => {
                tracing::error!(role = role.name(), pid, %status, "died too often, resting");
                post.start_at = now + MODULE_PAUSE;
                Ok(())
            }
            Verdict::GiveUp => {
                tracing::error!(role = role.name(), pid, %status, "died too often");
                Err(ServeError::DiesTooOften(role))
            }
        }
    }

    /// Looks after TURN. A meeting goes on without it when it keeps dying.
    fn tend_turn(&mut self) -> Result<(), ServeError> {
        let Some(turn) = &mut self.turn else {
            return Ok(());
        };
        match turn.tend() {
            Err(error @ ServeError::DiesTooOften(_)) => {
                tracing::error!(%error, "going on without TURN");
                turn.give_up();
                Ok(())
            }
            other => other,
        }
    }

    /// Kills a dataplane of which a worker does not turn any more.
    fn watch_workers(&mut self) {
        let dataplane = &mut self.posts[DATAPLANE];
        let Some(child) = &dataplane.child else {
            return;
        };
        let mut all_turn = true;
        for index in 0..self.estate.arena.layout().workers {
            let worker = self.estate.arena.worker(index);
            let stats = worker.stats();
            let heartbeat = Nanos(stats.heartbeat.load(Ordering::Acquire));
            // Before its first turn the page is still that of the worker before it.
            let turns = stats.process_id.load(Ordering::Acquire) == u64::from(child.id())
                && heartbeat >= child.born_at;
            let deadline = Nanos(stats.deadline.load(Ordering::Acquire));
            let stuck = match turns {
                true => clock::monotonic().since(deadline.max(heartbeat)) > STUCK_AFTER,
                false => child.born.elapsed() > START_WITHIN,
            };
            if stuck {
                tracing::error!(
                    worker = index,
                    pid = child.id(),
                    "worker is stuck, killing it"
                );
                child.kill();
                return;
            }
            all_turn &= turns;
        }
        let turn_is_settled = self.turn.as_ref().is_none_or(TurnPost::is_settled);
        if all_turn && turn_is_settled {
            dataplane.was_ready = true;
            if let Some(line) = self.unsaid.take() {
                self.say_ready(&line);
            }
        }
    }

    /// Kills video modules that give no sign of life, and keeps the bitmap of those
    /// that run.
    fn watch_modules(&mut self) {
        let layout = self.estate.arena.layout();
        let mut up = [0_u64; 2];
        let mut set = |bit: usize| {
            if let Some(word) = up.get_mut(bit / 64) {
                *word |= 1 << (bit % 64);
            }
        };
        if self.posts[DATAPLANE].child.is_some() {
            (0..layout.workers as usize).for_each(&mut set);
        }
        for post in &mut self.posts {
            let (Role::Video(index), Some(child)) = (post.role, &post.child) else {
                continue;
            };
            let header = self.estate.modules[index].memory.header();
            let heartbeat = Nanos(header.heartbeat.load(Ordering::Acquire));
            let lives = header.process_id.load(Ordering::Acquire) == u64::from(child.id())
                && heartbeat >= child.born_at;
            let deadline = Nanos(header.deadline.load(Ordering::Acquire));
            let stuck = match lives {
                // Any deadline may be written there; none is later than the next beat.
                true => {
                    clock::monotonic().since(deadline.max(heartbeat)) > STUCK_AFTER
                        || deadline.since(clock::monotonic()) > STUCK_AFTER
                }
                false => child.born.elapsed() > START_WITHIN,
            };
            if stuck {
                let pid = child.id();
                tracing::error!(module = index, pid, "video module is stuck, killing it");
                child.kill();
                post.was_stuck = true;
            } else if lives {
                set(layout.workers as usize + index);
            }
        }
        let words = &self.estate.arena.header().modules_up;
        for (word, up) in words.iter().zip(up) {
            let before = word.swap(up, Ordering::Relaxed);
            if before != up {
                tracing::info!(before, now = up, "modules that run, io workers first");
            }
        }
    }

    /// Calls can be taken: both planes are there.
    fn say_ready(&self, line: &serde_json::Value) {
        let mut line = line.clone();
        if let Some(turn) = &self.turn {
            line["turn"] = turn.line().clone();
        }
        print_ready(&line);
        if let Some(data_dir) = &self.greet {
            greet(&line, data_dir);
        }
    }

    /// The control plane first, so that everybody is told while media still flows.
    fn stop(&mut self) {
        if let Some(child) = &mut self.posts[CONTROL].child {
            tracing::info!("stopping");
            let until = Instant::now() + CONTROL_STOPS_WITHIN;
            if child.channel.send(&Message::Stop, &[]).is_ok() {
                while child.reap().is_none() && Instant::now() < until {
                    let mut fds = [
                        PollFd::from_borrowed_fd(child.pidfd(), PollFlags::IN),
                        // A second Ctrl-C means it.
                        PollFd::new(&self.signals, PollFlags::IN),
                    ];
                    drain(&self.signals);
                    let left = until.saturating_duration_since(Instant::now());
                    let left = Timespec::try_from(left).ok();
                    let _ = rustix::event::poll(&mut fds, left.as_ref());
                    if !fds[1].revents().is_empty() {
                        break;
                    }
                }
            }
        }
        // The others have no orderly stop: they may be killed at any moment.
        for post in &mut self.posts {
            post.child = None;
        }
        self.turn = None;
        tracing::info!("stopped");
    }
}

/// Whether a video module died of what it had in hand.
fn module_end(status: ExitStatus, was_stuck: bool) -> ModuleEnd {
    match status.signal() {
        _ if was_stuck => ModuleEnd::Stuck,
        // Somebody wanted it so, or there was no memory.
        Some(SIGKILL | SIGTERM | SIGINT) => ModuleEnd::Ended,
        Some(_) => ModuleEnd::Crashed,
        // A thread that panics takes the process with it, in good order.
        None if !status.success() => ModuleEnd::Crashed,
        None => ModuleEnd::Ended,
    }
}

/// Empties the signal pipe.
fn drain(signals: &UnixStream) {
    let mut bytes = [0; 16];
    let _ = rustix::net::recv(
        signals.as_fd(),
        &mut bytes[..],
        rustix::net::RecvFlags::DONTWAIT,
    );
}

/// The ready line in words.
fn greet(line: &serde_json::Value, data_dir: &Path) {
    let words = greeting::text(line, data_dir);
    let _ = io::stderr().write_all(words.as_bytes());
}

fn print_ready(line: &serde_json::Value) {
    let mut out = io::stdout().lock();
    // Whoever reads it may be gone; the server goes on all the same.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

impl ServeError {
    /// What the process ends with.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Estate(_) | Self::Turn(_) | Self::Hopeless(_) => EXIT_HOPELESS,
            Self::Kernel { .. } | Self::DiesTooOften(_) => 1,
        }
    }
}
