//! `plenum turn`: hands the inheritance to the relay workers.

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use plenum_relay::{Setup, StreamListener, Worker};
use plenum_ring::{TurnMemory, TurnMemoryError};
use plenum_turn::{RelayAddress, RelayPorts};
use rand::Rng;

use crate::certificate::{self, CertificateError};
use crate::channel::{Channel, Message};
use crate::config::{Config, ConfigError, Settings};
use crate::dataplane::chain;
use crate::logging;

use super::desk::Desk;
use super::estate::{TurnInheritance, TurnPlace};
use super::facts::{UsersError, machine_config};
use super::read_secret;

/// Why the TURN process ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TurnError {
    /// Somebody typed the command.
    #[error("this command is not for people: `plenum serve` starts it")]
    NotStartedByServe,
    /// The line to the supervisor broke, or what came over it was not all.
    #[error("the supervisor did not hand down what is needed")]
    Incomplete,
    /// The kernel refused.
    #[error("cannot {doing}: {source}")]
    Kernel {
        doing: &'static str,
        source: io::Error,
    },
    /// The settings are of another build.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The memory is another's.
    #[error("{}", chain(.0))]
    Memory(#[from] TurnMemoryError),
    /// The users cannot be read.
    #[error(transparent)]
    Users(#[from] UsersError),
    /// No TLS.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// A worker cannot begin.
    #[error("{}", chain(.0))]
    Setup(#[from] plenum_relay::SetupError),
    /// A worker's loop ended, which it does not do by itself.
    #[error("worker {0} stopped")]
    Stopped(usize),
}

fn kernel(doing: &'static str) -> impl Fn(io::Error) -> TurnError {
    move |source| TurnError::Kernel { doing, source }
}

/// Runs until killed.
///
/// # Errors
/// [`TurnError`].
pub(crate) fn run() -> Result<(), TurnError> {
    let channel = Channel::inherited().map_err(|_| TurnError::NotStartedByServe)?;
    let outcome = serve(&channel);
    if let Err(error) = &outcome {
        let _ = channel.send(&Message::Hopeless(error.to_string()), &[]);
    }
    outcome
}

fn receive(channel: &Channel) -> Result<(Message, Vec<OwnedFd>), TurnError> {
    let message = channel.receive().map_err(kernel("hear the supervisor"))?;
    message.ok_or(TurnError::Incomplete)
}

fn serve(channel: &Channel) -> Result<(), TurnError> {
    // Were the supervisor dead already, the line would end before `Go`.
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .map_err(io::Error::from)
        .map_err(kernel("tie our life to the supervisor's"))?;
    let (Message::InheritTurn(inheritance), fds) = receive(channel)? else {
        return Err(TurnError::Incomplete);
    };
    let memory = fds.into_iter().next().ok_or(TurnError::Incomplete)?;
    let mut sockets = Vec::new();
    loop {
        match receive(channel)? {
            (Message::Sockets, fds) => sockets.extend(fds),
            (Message::Go, _) => break,
            _ => return Err(TurnError::Incomplete),
        }
    }
    let settings = Config::from_toml(&inheritance.settings)?;
    logging::start(&settings, "turn");
    let memory = TurnMemory::open(memory)?;
    let setups = setups(&settings, &inheritance, &memory, sockets)?;
    let count = setups.len();
    let data_dir = &settings.general.data_dir;
    match Desk::open(data_dir, memory.clone(), *inheritance) {
        Ok(desk) => {
            std::thread::Builder::new()
                .name("desk".to_owned())
                .spawn(move || desk.run())
                .map_err(kernel("start a thread"))?;
        }
        // Relaying goes before being asked about it.
        Err(error) => tracing::error!(%error, folder = %data_dir.display(), "nobody can ask"),
    }
    let (ended_tx, ended_rx) = std::sync::mpsc::channel();
    for (index, setup) in setups.into_iter().enumerate() {
        let ended = ended_tx.clone();
        std::thread::Builder::new()
            .name(format!("turn-{index}"))
            .spawn(move || {
                let outcome = Worker::new(setup).map(Worker::run);
                let _ = ended.send((index, outcome));
            })
            .map_err(kernel("start a thread"))?;
    }
    drop(ended_tx);
    tracing::info!(workers = count, "TURN runs");
    let watched = channel.try_clone().map_err(kernel("copy a socket"))?;
    std::thread::Builder::new()
        .name("line".to_owned())
        .spawn(move || {
            while let Ok(Some(_)) = watched.receive() {}
            std::process::exit(0);
        })
        .map_err(kernel("start a thread"))?;
    // A worker that panics drops its sender without a word; the others go on until
    // the supervisor misses its heartbeat.
    match ended_rx.recv() {
        Ok((_, Err(error))) => Err(error.into()),
        Ok((index, Ok(Err(source)))) => {
            tracing::error!(index, %source, "worker stopped");
            Err(TurnError::Stopped(index))
        }
        Ok((index, Ok(Ok(())))) => Err(TurnError::Stopped(index)),
        Err(_) => Err(TurnError::Stopped(0)),
    }
}

/// The relay address as clients know it: a NAT's, where it is of the same family.
fn relay(local: Option<IpAddr>, public: Option<IpAddr>) -> Option<RelayAddress> {
    let local = local?;
    let public = public.filter(|public| public.is_ipv4() == local.is_ipv4());
    Some(RelayAddress {
        local,
        public: public.unwrap_or(local),
    })
}

fn setups(
    settings: &Settings,
    inheritance: &TurnInheritance,
    memory: &TurnMemory,
    sockets: Vec<OwnedFd>,
) -> Result<Vec<Setup>, TurnError> {
    let wanted: usize = inheritance.workers.iter().map(TurnPlace::descriptors).sum();
    if wanted != sockets.len() {
        return Err(TurnError::Incomplete);
    }
    let turn = &settings.turn;
    let secret = read_secret(settings).map_err(kernel("read the secret in data_dir"))?;
    let tls = match turn.tls_ports.0.is_empty() {
        true => None,
        false => certificate::existing(settings)?
            .map(|identity| identity.server())
            .transpose()?,
    };
    let public = turn.public_ip.get().or(settings.media.public_ip.get());
    let ports = inheritance.workers.iter();
    // Browsers that can reach us through TURN alone meet our media there.
    let media = (settings.media.webrtc_port..)
        .take(inheritance.workers.len())
        .filter(|port| *port != 0 && settings.media.webrtc_port != 0);
    let server_ports: Vec<u16> = ports
        .flat_map(|place| place.v4.iter().chain(&place.v6).copied())
        .chain(media)
        .collect();
    let mut sockets = sockets.into_iter();
    let mut setups = Vec::new();
    for (worker, place) in (0_u32..).zip(&inheritance.workers) {
        let mut config = machine_config(
            settings,
            &secret,
            memory.nonce_key(),
            relay(inheritance.relay_v4, public),
            relay(inheritance.relay_v6, public),
            inheritance.own.clone(),
            server_ports.clone(),
        )?;
        config.ports = RelayPorts {
            v4: place.v4.clone(),
            v6: place.v6.clone(),
        };
        // A worker has its share of what all may have.
        config.limits.all_bytes_per_s /= inheritance.workers.len() as u64;
        let listeners = sockets.by_ref().take(place.listeners).collect();
        let streams = place
            .streams
            .iter()
            .zip(sockets.by_ref().take(place.streams.len()))
            .map(|(is_tls, socket)| StreamListener {
                socket,
                is_tls: *is_tls,
            })
            .collect();
        setups.push(Setup {
            memory: memory.clone(),
            worker,
            core: place.core,
            listeners,
            streams,
            relays: sockets
                .by_ref()
                .take(place.v4.len() + place.v6.len())
                .collect(),
            config,
            tls: tls.as_ref().map(Arc::clone),
            bursts: turn.bursts,
            gather: Duration::from_micros(turn.gather_us.get()),
            seed: rand::rng().random(),
        });
    }
    Ok(setups)
}
