//! The child's side of an inheritance.

use std::io;
use std::os::fd::OwnedFd;

use plenum_dataplane::LegSockets;

use crate::channel::{Channel, Inheritance, Message};
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
}

/// Takes the inheritance from standard input, and ties this process's life to
/// the supervisor's.
///
/// # Errors
/// [`InheritError`].
pub(crate) fn inherit() -> Result<Inherited, InheritError> {
    let channel = Channel::inherited().map_err(|_| InheritError::NotStartedByServe)?;
    // Were the supervisor dead already, the line would end before `Go`.
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .map_err(io::Error::from)?;
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
    let mut sockets = Vec::new();
    let mut identity = None;
    loop {
        match channel.receive()? {
            Some((Message::Identity(handed), _)) => identity = Some(*handed),
            Some((Message::Sockets, fds)) => sockets.extend(fds),
            Some((Message::Go, _)) => break,
            _ => return Err(InheritError::Incomplete),
        }
    }
    Ok(Inherited {
        settings: Config::from_toml(&inheritance.settings)?,
        sockets: by_worker(sockets, &inheritance)?,
        identity,
        channel,
        inheritance: *inheritance,
        arena,
        control_doorbell,
        worker_doorbells,
    })
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
        let mut legs = Vec::with_capacity(place.rtp_ports.len());
        for _ in &place.rtp_ports {
            let (Some(rtp), Some(rtcp)) = (sockets.next(), sockets.next()) else {
                return Err(InheritError::Incomplete);
            };
            legs.push(LegSockets { rtp, rtcp });
        }
        let browsers: Vec<OwnedFd> = sockets.by_ref().take(place.browser_sockets).collect();
        if browsers.len() != place.browser_sockets {
            return Err(InheritError::Incomplete);
        }
        workers.push(WorkerSockets { legs, browsers });
    }
    match sockets.next() {
        None => Ok(workers),
        Some(_) => Err(InheritError::Incomplete),
    }
}
