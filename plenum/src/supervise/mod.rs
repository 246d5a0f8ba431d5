//! `plenum serve`: holds what must not die, starts and restarts the rest.
//!
//! ```text
//!   supervisor ── arena, doorbells, media sockets ──┬── plenum dataplane
//!      │  watches: deaths, heartbeats, signals      ├── plenum control
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
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use plenum_abi::Nanos;
use rustix::event::{PollFd, PollFlags, Timespec};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

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
pub(crate) use sockets::{bind_address, bind_browser_sockets, bind_pairs};
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

/// One of the two processes over its lives.
#[derive(Debug)]
struct Post {
    role: Role,
    child: Option<Child>,
    restarts: Restarts,
    start_at: Instant,
    was_ready: bool,
}

impl Post {
    fn new(role: Role) -> Self {
        Self {
            role,
            child: None,
            restarts: Restarts::default(),
            start_at: Instant::now(),
            was_ready: false,
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
    let mut supervisor = Supervisor {
        estate,
        posts: [Post::new(Role::Dataplane), Post::new(Role::Control)],
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
    posts: [Post; 2],
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
            self.watch_workers();
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
        match post.restarts.died(born, now) {
            Verdict::RestartAfter(pause) => {
                tracing::error!(role = role.name(), pid, %status, ?pause, "died, starting another");
                post.start_at = now + pause;
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
        let [dataplane, _] = &mut self.posts;
        let Some(child) = &dataplane.child else {
            return;
        };
        // Who was held up (a machine that slept) cannot blame others for the same.
        let late = self.watched_at.elapsed() > WATCH_EVERY + STUCK_AFTER / 2;
        self.watched_at = Instant::now();
        if late {
            return;
        }
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
        let [dataplane, control] = &mut self.posts;
        if let Some(child) = &mut control.child {
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
        // The dataplane has no orderly stop: it may be killed at any moment.
        control.child = None;
        dataplane.child = None;
        self.turn = None;
        tracing::info!("stopped");
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
