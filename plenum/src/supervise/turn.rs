//! TURN's place among the supervised, and the server that is nothing else.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use plenum_abi::Nanos;
use rustix::event::{PollFd, PollFlags, Timespec};

use crate::channel::{Channel, FDS_MAX, Message};
use crate::clock;
use crate::config::{Config, LogFormat, Settings};
use crate::plan::Plan;
use crate::turn::estate::TurnEstate;

use super::child::Child;
use super::restarts::{Restarts, Verdict};
use super::{
    Role, START_WITHIN, STUCK_AFTER, ServeError, WATCH_AT_START, WATCH_EVERY, catch_signals, greet,
    print_ready,
};

/// The TURN process over its lives.
#[derive(Debug)]
pub(super) struct TurnPost {
    estate: TurnEstate,
    child: Option<Child>,
    restarts: Restarts,
    start_at: Instant,
    line: serde_json::Value,
    was_ready: bool,
    /// It died too often, and a server that has other work goes on without it.
    gave_up: bool,
}

fn hand_down(channel: &Channel, estate: &TurnEstate) -> std::io::Result<()> {
    let inheritance = Box::new(estate.inheritance.clone());
    channel.send(&Message::InheritTurn(inheritance), &[estate.memory.as_fd()])?;
    let sockets: Vec<_> = estate.sockets().collect();
    for chunk in sockets.chunks(FDS_MAX) {
        channel.send(&Message::Sockets, chunk)?;
    }
    channel.send(&Message::Go, &[])
}

impl TurnPost {
    /// Binds what it needs; nothing is started yet.
    pub(super) fn make(config: &Config, plan: &Plan) -> Result<Self, ServeError> {
        let settings: &Settings = &config.settings;
        let estate = TurnEstate::make(settings, config.to_toml(), plan)?;
        let line = estate.line(settings);
        Ok(Self {
            estate,
            child: None,
            restarts: Restarts::default(),
            start_at: Instant::now(),
            line,
            was_ready: false,
            gave_up: false,
        })
    }

    /// For the ready line.
    pub(super) fn line(&self) -> &serde_json::Value {
        &self.line
    }

    /// What to wait on beside others.
    pub(super) fn child(&self) -> Option<&Child> {
        self.child.as_ref()
    }

    /// When it is to be started again, if it is dead.
    pub(super) fn starts_in(&self) -> Option<Duration> {
        (self.child.is_none() && !self.gave_up)
            .then(|| self.start_at.saturating_duration_since(Instant::now()))
    }

    /// Starts it when it is due, buries it when it is dead, kills it when it is
    /// stuck. To be called whenever the supervisor is awake.
    ///
    /// # Errors
    /// When it says that it cannot work and never did, or died too often.
    pub(super) fn tend(&mut self) -> Result<(), ServeError> {
        if self.gave_up {
            return Ok(());
        }
        if self.child.is_none() && Instant::now() >= self.start_at {
            let estate = &self.estate;
            let child = Child::start(Role::Turn, |channel| hand_down(channel, estate));
            let child = child.map_err(|source| ServeError::Kernel {
                doing: "start a process",
                source,
            })?;
            tracing::info!(role = Role::Turn.name(), pid = child.id(), "started");
            self.child = Some(child);
        }
        let Some(child) = &mut self.child else {
            return Ok(());
        };
        if let Some(why) = child.last_words()
            && !self.was_ready
        {
            return Err(ServeError::Hopeless(why));
        }
        if let Some(status) = child.reap() {
            let (pid, born) = (child.id(), child.born);
            self.child = None;
            match self.restarts.died(born, Instant::now()) {
                Verdict::RestartAfter(pause) => {
                    tracing::error!(role = Role::Turn.name(), pid, %status, ?pause, "died, starting another");
                    self.start_at = Instant::now() + pause;
                }
                Verdict::GiveUp => return Err(ServeError::DiesTooOften(Role::Turn)),
            }
            return Ok(());
        }
        self.watch();
        Ok(())
    }

    fn watch(&mut self) {
        let Some(child) = &self.child else { return };
        let mut all_turn = true;
        for worker in 0..self.estate.memory.layout().workers {
            let stats = self.estate.memory.stats(worker);
            let heartbeat = Nanos(stats.heartbeat.load(Ordering::Acquire));
            let turns = stats.process_id.load(Ordering::Acquire) == u64::from(child.id());
            let stuck = match turns {
                true => clock::monotonic().since(heartbeat) > STUCK_AFTER + STUCK_AFTER,
                false => child.born.elapsed() > START_WITHIN,
            };
            if stuck {
                tracing::error!(worker, pid = child.id(), "TURN worker is stuck, killing it");
                child.kill();
                return;
            }
            all_turn &= turns;
        }
        if all_turn && !self.was_ready {
            self.was_ready = true;
            tracing::info!(role = Role::Turn.name(), pid = child.id(), "ready");
        }
    }

    /// Whether it serves, or never will again.
    pub(super) fn is_settled(&self) -> bool {
        self.was_ready || self.gave_up
    }

    /// Does without it.
    pub(super) fn give_up(&mut self) {
        self.gave_up = true;
        self.child = None;
    }
}

/// Runs a server of TURN alone until it is asked to stop.
///
/// # Errors
/// [`ServeError`].
pub(crate) fn serve_turn(config: &Config, plan: &Plan) -> Result<(), ServeError> {
    let signals = catch_signals()?;
    super::raise_descriptor_limit();
    let mut post = TurnPost::make(config, plan)?;
    let mut said = false;
    while !wait(&post, &signals, said)? {
        post.tend()?;
        if post.is_settled() && !said {
            said = true;
            let line = serde_json::json!({"ready": true, "turn": post.line()});
            print_ready(&line);
            if config.settings.log.format == LogFormat::Text {
                greet(&line, &config.settings.general.data_dir);
            }
        }
    }
    tracing::info!("stopped");
    Ok(())
}

/// Sleeps a little; `true` when a signal came.
fn wait(post: &TurnPost, signals: &UnixStream, said: bool) -> Result<bool, ServeError> {
    let mut fds = vec![PollFd::new(signals, PollFlags::IN)];
    if let Some(child) = post.child() {
        fds.push(PollFd::from_borrowed_fd(child.pidfd(), PollFlags::IN));
    }
    let patience = if said { WATCH_EVERY } else { WATCH_AT_START };
    let patience = post
        .starts_in()
        .map_or(patience, |starts| starts.min(patience));
    let patience = Timespec::try_from(patience).ok();
    match rustix::event::poll(&mut fds, patience.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(!fds[0].revents().is_empty()),
        Err(error) => Err(ServeError::Kernel {
            doing: "wait",
            source: error.into(),
        }),
    }
}
