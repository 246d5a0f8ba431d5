//! One process of ours: started, watched, ended.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

use plenum_abi::Nanos;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal};

use crate::channel::{Channel, FDS_MAX, Message};
use crate::clock;

use super::Estate;

/// Which process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Role {
    /// Packets.
    Dataplane,
    /// Decisions.
    Control,
    /// Packets of TURN clients.
    Turn,
    /// Pictures; which of the video modules.
    Video(usize),
}

impl Role {
    /// First argument of the process, as `ps` shows it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Dataplane => "dataplane",
            Self::Control => "control",
            Self::Turn => "turn",
            Self::Video(_) => "video",
        }
    }
}

/// A process that was started and not yet reaped.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) channel: Channel,
    pub(super) born: Instant,
    /// The same on the clock of heartbeats.
    pub(super) born_at: Nanos,
    process: std::process::Child,
    pidfd: OwnedFd,
}

impl Child {
    /// Starts a process of this same binary and hands it its inheritance.
    ///
    /// To be called from one thread only, the one that lives as long as the
    /// supervisor: the kernel ends a child when the thread that made it ends.
    pub(super) fn start(
        role: Role,
        hand_down: impl FnOnce(&Channel) -> io::Result<()>,
    ) -> io::Result<Self> {
        let (ours, theirs) = Channel::pair()?;
        let born_at = clock::monotonic();
        let mut command = Command::new("/proc/self/exe");
        if let Role::Video(_) = role {
            let (name, value) = plenum_video::ALLOCATOR;
            command.env(name, value);
        }
        let process = command
            .arg0("plenum")
            .arg(role.name())
            .stdin(theirs.into_fd())
            // Ctrl-C is for the supervisor, which ends the others in order.
            .process_group(0)
            .stdout(match role {
                // Programs read our standard output; who may be taken over has no word there.
                Role::Video(_) => Stdio::null(),
                Role::Dataplane | Role::Control | Role::Turn => Stdio::inherit(),
            })
            .spawn()?;
        let pid = Pid::from_child(&process);
        let child = Self {
            channel: ours,
            born: Instant::now(),
            born_at,
            pidfd: rustix::process::pidfd_open(pid, PidfdFlags::empty())?,
            process,
        };
        // A child that died meanwhile is found dead by the watch, not here.
        if let Err(error) = hand_down(&child.channel) {
            tracing::warn!(role = role.name(), %error, "the inheritance did not arrive");
            child.kill();
        }
        Ok(child)
    }

    /// What the process said last, when it is that it cannot work.
    pub(super) fn last_words(&self) -> Option<String> {
        let mut fds = [PollFd::from_borrowed_fd(
            self.channel.as_fd(),
            PollFlags::IN,
        )];
        let at_once = Timespec::default();
        match rustix::event::poll(&mut fds, Some(&at_once)) {
            Ok(1) => match self.channel.receive() {
                Ok(Some((Message::Hopeless(why), _))) => Some(why),
                _ => None,
            },
            _ => None,
        }
    }

    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Readable once the process is dead.
    pub(super) fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// At once and without asking; what it held is in the arena.
    pub(super) fn kill(&self) {
        // Fails only when the process is dead already.
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL);
    }

    /// How it ended, once it has.
    pub(super) fn reap(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().ok().flatten()
    }
}

/// Hands a meeting server's process what it works with.
pub(super) fn hand_down(channel: &Channel, role: Role, estate: &Estate) -> io::Result<()> {
    if let Role::Video(index) = role {
        return hand_down_to_module(channel, index, estate);
    }
    let mut fds = vec![estate.arena.as_fd(), estate.control_doorbell.as_fd()];
    fds.extend(estate.workers.iter().map(|worker| worker.doorbell.as_fd()));
    let inheritance = Box::new(estate.inheritance.clone());
    channel.send(&Message::Inherit(inheritance), &fds)?;
    if role == Role::Dataplane {
        let sockets: Vec<BorrowedFd<'_>> = estate
            .workers
            .iter()
            .flat_map(|worker| {
                let pairs = worker.pairs.iter().chain(&worker.video_pairs);
                let legs = pairs.flat_map(|pair| [pair.rtp.as_fd(), pair.rtcp.as_fd()]);
                legs.chain(worker.browsers.iter().map(|shared| shared.socket.as_fd()))
            })
            .collect();
        for chunk in sockets.chunks(FDS_MAX) {
            channel.send(&Message::Sockets, chunk)?;
        }
        let identity = Message::Identity(Box::new(estate.identity.clone()));
        channel.send(&identity, &[])?;
        let modules: Vec<BorrowedFd<'_>> = estate
            .modules
            .iter()
            .flat_map(|module| [module.memory.as_fd(), module.doorbell.as_fd()])
            .collect();
        if !modules.is_empty() {
            channel.send(&Message::Modules, &modules)?;
        }
    }
    channel.send(&Message::Go, &[])
}

/// A module gets neither the arena nor a socket.
fn hand_down_to_module(channel: &Channel, index: usize, estate: &Estate) -> io::Result<()> {
    let module = &estate.modules[index];
    let mut fds = vec![module.memory.as_fd(), module.doorbell.as_fd()];
    fds.extend(estate.workers.iter().map(|worker| worker.doorbell.as_fd()));
    let inheritance = Box::new(module.inheritance.clone());
    channel.send(&Message::InheritModule(inheritance), &fds)?;
    channel.send(&Message::Go, &[])
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
        let _ = self.process.wait();
    }
}
