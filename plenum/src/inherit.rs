//! The child's side of an inheritance.

use std::io;
use std::os::fd::OwnedFd;

use plenum_dataplane::{InheritedModule, LegSockets};

use crate::channel::{Channel, Inheritance, Message, ModuleInheritance};
use crate::config::{Config, ConfigError, Settings};
use crate::dtls_identity::DtlsIdentity;

/// Why a process has nothing to work with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InheritError {
    /// Somebody typed the command.
    #[error("this command is not for people: `plenum serve` starts it")]
    NotStartedByServe,
    /// The line to the supervisor broke.
    #[error("the line to the supervisor broke: {0}")]
    Line(#[from] io::Error),
    /// The supervisor is gone, or is of another build.
    #[error("the supervisor did not hand down what is needed")]
    Incomplete,
    /// Its settings are of another build.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// Sockets of one worker.
#[derive(Debug)]
pub(crate) struct WorkerSockets {
    /// By leg slot.
    pub(crate) legs: Vec<LegSockets>,
    /// Those that its browsers share.
    pub(crate) browsers: Vec<OwnedFd>,
    /// By video slot.
    pub(crate) video: Vec<LegSockets>,
}

/// What the supervisor handed down.
#[derive(Debug)]
pub(crate) struct Inherited {
    pub(crate) channel: Channel,
    pub(crate) inheritance: Inheritance,
    pub(crate) settings: Settings,
    pub(crate) arena: OwnedFd,
    pub(crate) control_doorbell: OwnedFd,
    /// One for each worker.
    pub(crate) worker_doorbells: Vec<OwnedFd>,
    /// Media sockets by worker; none but for the dataplane.
    pub(crate) sockets: Vec<WorkerSockets>,
    /// Who we are to browsers; for the dataplane only.
    pub(crate) identity: Option<DtlsIdentity>,
    /// Video modules; none but for the dataplane.
    pub(crate) modules: Vec<InheritedModule>,
}

/// What the supervisor handed down to a video module.
#[derive(Debug)]
pub(crate) struct InheritedByModule {
    pub(crate) channel: Channel,
    pub(crate) inheritance: ModuleInheritance,
    pub(crate) settings: Settings,
    pub(crate) memory: OwnedFd,
    pub(crate) doorbell: OwnedFd,
    /// One for each worker.
    pub(crate) worker_doorbells: Vec<OwnedFd>,
}

/// The line to the supervisor; ties this process's life to the supervisor's.
fn line() -> Result<Channel, InheritError> {
    let channel = Channel::inherited().map_err(|_| InheritError::NotStartedByServe)?;
    // Were the supervisor dead already, the line would end before `Go`.
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .map_err(io::Error::from)?;
    Ok(channel)
}

/// As [`inherit`], for a video module.
///
/// # Errors
/// [`InheritError`].
pub(crate) fn inherit_module() -> Result<InheritedByModule, InheritError> {
    let channel = line()?;
    let Some((Message::InheritModule(inheritance), fds)) = channel.receive()? else {
        return Err(InheritError::Incomplete);
    };
    let mut fds = fds.into_iter();
    let (Some(memory), Some(doorbell)) = (fds.next(), fds.next()) else {
        return Err(InheritError::Incomplete);
    };
    let Some((Message::Go, _)) = channel.receive()? else {
        return Err(InheritError::Incomplete);
    };
    Ok(InheritedByModule {
        settings: Config::from_toml(&inheritance.settings)?,
        channel,
        inheritance: *inheritance,
        memory,
        doorbell,
        worker_doorbells: fds.collect(),
    })
}

/// Takes the inheritance from standard input, and ties this process's life to
/// the supervisor's.
///
/// # Errors
/// [`InheritError`].
pub(crate) fn inherit() -> Result<Inherited, InheritError> {
    let channel = line()?;
    let Some((Message::Inherit(inheritance), fds)) = channel.receive()? else {
        return Err(InheritError::Incomplete);
    };
    let mut fds = fds.into_iter();
    let (Some(arena), Some(control_doorbell)) = (fds.next(), fds.next()) else {
        return Err(InheritError::Incomplete);
    };
    let worker_doorbells: Vec<OwnedFd> = fds.collect();
    if worker_doorbells.len() != inheritance.workers.len() {
        return Err(InheritError::Incomplete);
    }
    let (mut sockets, mut modules, mut identity) = (Vec::new(), Vec::new(), None);
    loop {
        match channel.receive()? {
            Some((Message::Identity(handed), _)) => identity = Some(*handed),
            Some((Message::Modules, fds)) => modules.extend(fds),
            Some((Message::Sockets, fds)) => sockets.extend(fds),
            Some((Message::Go, _)) => break,
            _ => return Err(InheritError::Incomplete),
        }
    }
    Ok(Inherited {
        settings: Config::from_toml(&inheritance.settings)?,
        sockets: by_worker(sockets, &inheritance)?,
        identity,
        modules: by_module(modules)?,
        channel,
        inheritance: *inheritance,
        arena,
        control_doorbell,
        worker_doorbells,
    })
}

fn by_module(fds: Vec<OwnedFd>) -> Result<Vec<InheritedModule>, InheritError> {
    let mut fds = fds.into_iter();
    let mut modules = Vec::new();
    while let Some(memory) = fds.next() {
        let doorbell = fds.next().ok_or(InheritError::Incomplete)?;
        modules.push(InheritedModule { memory, doorbell });
    }
    Ok(modules)
}

fn by_worker(
    sockets: Vec<OwnedFd>,
    inheritance: &Inheritance,
) -> Result<Vec<WorkerSockets>, InheritError> {
    if sockets.is_empty() {
        return Ok(Vec::new());
    }
    let mut sockets = sockets.into_iter();
    let mut workers = Vec::new();
    for place in &inheritance.workers {
        let mut pairs = |count| {
            let pair = |_| {
                let (rtp, rtcp) = (sockets.next()?, sockets.next()?);
                Some(LegSockets { rtp, rtcp })
            };
            let pairs: Option<Vec<_>> = (0..count).map(pair).collect();
            pairs.ok_or(InheritError::Incomplete)
        };
        let legs = pairs(place.rtp_ports.len())?;
        let video = pairs(place.video_rtp_ports.len())?;
        let browsers: Vec<OwnedFd> = sockets.by_ref().take(place.browser_sockets).collect();
        if browsers.len() != place.browser_sockets {
            return Err(InheritError::Incomplete);
        }
        workers.push(WorkerSockets {
            legs,
            video,
            browsers,
        });
    }
    match sockets.next() {
        None => Ok(workers),
        Some(_) => Err(InheritError::Incomplete),
    }
}
