//! What outlives the TURN process: its memory, its listeners, its relay sockets.
//!
//! All relay sockets are bound at the start, as the media sockets are: an
//! allocation then costs no system call for its port, a port that somebody else
//! has is found out at once, and a killed process has nothing to hand over.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use plenum_abi::{MAX_TURN_ALLOCATIONS, TurnLayout};
use plenum_ring::{TurnMemory, TurnMemoryError};
use plenum_uring::SocketOptions;
use plenum_uring::datagrams::datagram_socket;
use rand::Rng;
use rand::seq::SliceRandom;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use serde::{Deserialize, Serialize};

use crate::addresses;
use crate::certificate::{self, CertificateError};
use crate::clock;
use crate::config::Settings;
use crate::plan::Plan;

use super::read_secret;

/// Bytes that wait in a listener's socket at most; the kernel clips it at its own limit.
const LISTENER_BUFFER: usize = 4 << 20;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 1_024;

/// Why TURN cannot be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TurnEstateError {
    /// A port cannot be had.
    #[error("{setting}: cannot bind {address}: {source}")]
    Bind {
        setting: &'static str,
        address: SocketAddr,
        source: io::Error,
    },
    /// No relay port is free.
    #[error("turn.relay_ports: no port of {0} is free")]
    NoRelays(IpAddr),
    /// No address of this machine can be found.
    #[error("listen: {0}")]
    Addresses(io::Error),
    /// The secret cannot be kept.
    #[error("the TURN secret in data_dir: {0}")]
    Secret(io::Error),
    /// No TLS.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// No memory.
    #[error(transparent)]
    Memory(#[from] TurnMemoryError),
}

/// What the process is told beside descriptors.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct TurnInheritance {
    /// The settings in force, as TOML.
    pub(crate) settings: String,
    /// Where relay sockets are bound, by family.
    pub(crate) relay_v4: Option<IpAddr>,
    /// See `relay_v4`.
    pub(crate) relay_v6: Option<IpAddr>,
    /// All of the server's own addresses.
    pub(crate) own: Vec<IpAddr>,
    /// Each worker.
    pub(crate) workers: Vec<TurnPlace>,
}

/// One worker's part.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct TurnPlace {
    /// Core that it is pinned to.
    pub(crate) core: Option<u32>,
    /// UDP listeners.
    pub(crate) listeners: usize,
    /// TCP listeners; whether each is for TLS.
    pub(crate) streams: Vec<bool>,
    /// Ports of the IPv4 relays.
    pub(crate) v4: Vec<u16>,
    /// Ports of the IPv6 relays.
    pub(crate) v6: Vec<u16>,
}

impl TurnPlace {
    /// Descriptors of this worker: listeners, stream listeners, relays.
    pub(crate) fn descriptors(&self) -> usize {
        self.listeners + self.streams.len() + self.v4.len() + self.v6.len()
    }
}

/// All of it.
#[derive(Debug)]
pub(crate) struct TurnEstate {
    pub(crate) memory: TurnMemory,
    pub(crate) inheritance: TurnInheritance,
    /// Of all workers, each one's in the order of [`TurnPlace::descriptors`].
    sockets: Vec<OwnedFd>,
    udp: Vec<SocketAddr>,
    tcp: Vec<SocketAddr>,
    tls: Vec<SocketAddr>,
}

impl TurnEstate {
    /// Binds everything.
    ///
    /// # Errors
    /// [`TurnEstateError`].
    pub(crate) fn make(
        settings: &Settings,
        settings_toml: String,
        plan: &Plan,
    ) -> Result<Self, TurnEstateError> {
        let turn = &settings.turn;
        let addresses =
            addresses::expand(&settings.general.listen).map_err(TurnEstateError::Addresses)?;
        read_secret(settings).map_err(TurnEstateError::Secret)?;
        if !turn.tls_ports.0.is_empty() {
            certificate::make_private_folder(&settings.general.data_dir)
                .map_err(TurnEstateError::Secret)?;
            let now_s = clock::unix_ms() / 1_000;
            certificate::load_or_make(
                settings,
                &addresses,
                addresses::host_name().as_deref(),
                now_s,
            )?;
        }
        let workers = u32::try_from(plan.cores.len()).unwrap_or(1).max(1);
        let most = u64::from(MAX_TURN_ALLOCATIONS) * u64::from(workers);
        let allocations = turn.allocations_max.get().min(most);
        let each = u32::try_from(allocations)
            .unwrap_or(u32::MAX)
            .div_ceil(workers);
        let layout = TurnLayout {
            workers,
            allocations_per_worker: each,
        };
        let mut estate = Self {
            memory: TurnMemory::create(layout, rand::rng().random())?,
            inheritance: TurnInheritance {
                settings: settings_toml,
                relay_v4: relay_address(&addresses, true),
                relay_v6: relay_address(&addresses, false),
                own: own_addresses(settings, &addresses),
                workers: Vec::new(),
            },
            sockets: Vec::new(),
            udp: Vec::new(),
            tcp: Vec::new(),
            tls: Vec::new(),
        };
        let mut pairs = port_pairs(settings);
        for (index, core) in plan.cores.iter().enumerate() {
            // Each has its share of the ports, also where they are fewer than allocations.
            let share = pairs.len() / (plan.cores.len() - index);
            let mut own_pairs = pairs.split_off(pairs.len() - share);
            let mut place = TurnPlace {
                core: *core,
                listeners: 0,
                streams: Vec::new(),
                v4: Vec::new(),
                v6: Vec::new(),
            };
            estate.bind_listeners(settings, &addresses, &mut place)?;
            estate.bind_relays(&mut own_pairs, each, &mut place)?;
            // What one did not need another may, in whose range a port was taken.
            pairs.append(&mut own_pairs);
            estate.inheritance.workers.push(place);
        }
        Ok(estate)
    }

    /// Sockets for clients, one of each kind on each address and port. Where the
    /// kernel chose a port for the first worker, the others share that one.
    fn bind_listeners(
        &mut self,
        settings: &Settings,
        addresses: &[IpAddr],
        place: &mut TurnPlace,
    ) -> Result<(), TurnEstateError> {
        let turn = &settings.turn;
        let is_first = self.udp.is_empty() && self.tcp.is_empty() && self.tls.is_empty();
        let wanted = |ports: &[u16], bound: &[SocketAddr]| -> Vec<SocketAddr> {
            match is_first {
                true => ports
                    .iter()
                    .flat_map(|port| addresses.iter().map(|ip| SocketAddr::new(*ip, *port)))
                    .collect(),
                false => bound.to_vec(),
            }
        };
        let udp = wanted(&turn.ports.0, &self.udp);
        let tls = wanted(&turn.tls_ports.0, &self.tls);
        let options = SocketOptions {
            receive_buffer: LISTENER_BUFFER,
            send_buffer: LISTENER_BUFFER,
            dscp: 0,
        };
        let mut bound = Vec::new();
        for address in udp {
            let socket = datagram_socket(address, &options, true);
            bound.push(self.keep(socket, "turn.ports", address)?);
            place.listeners += 1;
        }
        // TCP on the very ports that UDP got, where the kernel chose them.
        let tcp = bound.clone();
        self.udp = bound;
        for (addresses, is_tls, setting) in
            [(tcp, false, "turn.ports"), (tls, true, "turn.tls_ports")]
        {
            let mut bound = Vec::new();
            for address in addresses {
                let socket = stream_listener(address);
                bound.push(self.keep(socket, setting, address)?);
                place.streams.push(is_tls);
            }
            match is_tls {
                true => self.tls = bound,
                false => self.tcp = bound,
            }
        }
        Ok(())
    }

    fn keep(
        &mut self,
        socket: io::Result<OwnedFd>,
        setting: &'static str,
        address: SocketAddr,
    ) -> Result<SocketAddr, TurnEstateError> {
        let bound = socket.and_then(|socket| {
            let name = rustix::net::getsockname(&socket)?;
            self.sockets.push(socket);
            Ok(SocketAddr::try_from(name)?)
        });
        bound.map_err(|source| TurnEstateError::Bind {
            setting,
            address,
            source,
        })
    }

    /// Relay sockets of one worker, for as many allocations as it may have.
    fn bind_relays(
        &mut self,
        pairs: &mut Vec<u16>,
        wanted: u32,
        place: &mut TurnPlace,
    ) -> Result<(), TurnEstateError> {
        let options = SocketOptions::default();
        let families = [self.inheritance.relay_v4, self.inheritance.relay_v6];
        let mut sockets = [Vec::new(), Vec::new()];
        while place.v4.len().max(place.v6.len()) < wanted as usize {
            let Some(even) = pairs.pop() else { break };
            for (index, ip) in families.into_iter().enumerate() {
                let Some(ip) = ip else { continue };
                for port in [even, even + 1] {
                    // One that somebody else has is passed over.
                    let Ok(socket) = datagram_socket(SocketAddr::new(ip, port), &options, false)
                    else {
                        continue;
                    };
                    sockets[index].push(socket);
                    match index {
                        0 => place.v4.push(port),
                        _ => place.v6.push(port),
                    }
                }
            }
        }
        for (ip, sockets) in families.into_iter().zip(sockets) {
            if let Some(ip) = ip.filter(|_| sockets.is_empty()) {
                return Err(TurnEstateError::NoRelays(ip));
            }
            self.sockets.extend(sockets);
        }
        Ok(())
    }

    /// All sockets, in the order in which the process takes them.
    pub(crate) fn sockets(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.sockets.iter().map(AsFd::as_fd)
    }

    /// For the ready line.
    pub(crate) fn line(&self, settings: &Settings) -> serde_json::Value {
        let first = |addresses: &[SocketAddr]| addresses.first().map(ToString::to_string);
        let ports = settings.turn.relay_ports.range();
        serde_json::json!({
            "udp": first(&self.udp),
            "tcp": first(&self.tcp),
            "tls": first(&self.tls),
            "realm": settings.turn.realm,
            "relay_ports": format!("{}-{}", ports.start(), ports.end()),
        })
    }
}

/// What others can reach first; this machine itself where there is nothing else.
fn relay_address(addresses: &[IpAddr], is_ipv4: bool) -> Option<IpAddr> {
    let of_family = || addresses.iter().filter(|ip| ip.is_ipv4() == is_ipv4);
    let reachable = of_family().find(|ip| !ip.is_loopback());
    reachable.or_else(|| of_family().next()).copied()
}

fn own_addresses(settings: &Settings, addresses: &[IpAddr]) -> Vec<IpAddr> {
    let public = settings
        .turn
        .public_ip
        .get()
        .or(settings.media.public_ip.get());
    addresses.iter().copied().chain(public).collect()
}

/// Even ports of the relay range of which the next one is in it too, shuffled.
fn port_pairs(settings: &Settings) -> Vec<u16> {
    let range = settings.turn.relay_ports.range();
    let last = *range.end();
    let mut pairs: Vec<u16> = range
        .filter(|port| port.is_multiple_of(2) && *port < last)
        .collect();
    pairs.shuffle(&mut rand::rng());
    pairs
}

fn stream_listener(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket)
}
