//! What outlives the processes: the arena, the doorbells, the media sockets.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{SystemTime, UNIX_EPOCH};

use plenum_abi::{Layout, MAX_LEGS_PER_WORKER, ModuleLayout};
use plenum_ring::{Arena, CreateError, Doorbell, ModuleMemory, ModuleMemoryError};
use rustix::process::{Resource, Rlimit};

use crate::channel::{Inheritance, ModuleInheritance, WorkerPlace};
use crate::config::Config;
use crate::dtls_identity::{DtlsIdentity, DtlsIdentityError};
use crate::plan::Plan;
use crate::{addresses, clock};

use super::sockets::{self, BROWSER_ADDRESSES_MAX, BrowserSocket, Pair};

/// Descriptors that the processes need beside media sockets.
const OTHER_DESCRIPTORS: u64 = 512;
/// Bytes of a ring between a worker and a video module: a second of some twenty
/// streams at 1.5 Mbit/s, and several of the longest access units.
const MODULE_RING_BYTES: u32 = 4 << 20;

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EstateError {
    /// Not one pair of media ports could be bound.
    #[error("media.ports: every port of {first}-{last} is taken")]
    NoPorts { first: u16, last: u16 },
    /// The kernel refused a media socket.
    #[error("cannot bind media sockets to {address} (from the setting listen): {source}")]
    Bind { address: IpAddr, source: io::Error },
    /// The machine does not tell its addresses.
    #[error("listen: {0}")]
    Addresses(io::Error),
    /// More workers than ports above the first.
    #[error("media.webrtc_port: each of {workers} workers needs a port, and {first} is too high")]
    BrowserPorts { first: u16, workers: u32 },
    /// A socket for browsers cannot be bound.
    #[error("media.webrtc_port: cannot bind UDP {address}: {source}")]
    BindBrowsers {
        address: SocketAddr,
        source: io::Error,
    },
    /// Browsers would not know whom they talk to.
    #[error("data_dir: {0}")]
    Identity(#[from] DtlsIdentityError),
    /// No memory.
    #[error("{0}: {source}", source = std::error::Error::source(.0).map(ToString::to_string).unwrap_or_default())]
    Arena(#[from] CreateError),
    /// No memory for a video module.
    #[error(transparent)]
    Module(#[from] ModuleMemoryError),
    /// No descriptor left.
    #[error("cannot make a doorbell: {0}")]
    Doorbell(io::Error),
}

/// One worker's part.
#[derive(Debug)]
pub(super) struct WorkerEstate {
    pub(super) doorbell: Doorbell,
    pub(super) pairs: Vec<Pair>,
    pub(super) video_pairs: Vec<Pair>,
    pub(super) browsers: Vec<BrowserSocket>,
}

/// A video module's part.
#[derive(Debug)]
pub(super) struct ModuleEstate {
    pub(super) memory: ModuleMemory,
    pub(super) doorbell: Doorbell,
    pub(super) inheritance: ModuleInheritance,
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Estate {
    pub(super) arena: Arena,
    pub(super) control_doorbell: Doorbell,
    pub(super) workers: Vec<WorkerEstate>,
    pub(super) identity: DtlsIdentity,
    pub(super) modules: Vec<ModuleEstate>,
    pub(super) inheritance: Inheritance,
}

/// Descriptors that so many workers need beside those of leg slots.
fn other_descriptors(workers: u32) -> u64 {
    u64::from(workers) * BROWSER_ADDRESSES_MAX as u64 + OTHER_DESCRIPTORS
}

/// Descriptors that so many legs need, in one process.
pub(crate) fn descriptors_needed(legs_max: u32, workers: u32) -> u64 {
    let slots = u64::from(slots_per_worker(legs_max, workers)) * u64::from(workers);
    slots * 2 + other_descriptors(workers)
}

/// Layout of the arena for so many legs.
pub(crate) fn layout(legs_max: u32, workers: u32) -> Layout {
    let slots = slots_per_worker(legs_max, workers);
    Layout {
        workers,
        legs_per_worker: slots,
        conferences_per_worker: slots,
        video_streams_per_worker: 0,
    }
}

/// Slots of a worker for its share of `legs_max` legs: some more than legs,
/// because a slot rests after use so that its last packets find nobody.
fn slots_per_worker(legs_max: u32, workers: u32) -> u32 {
    let legs = legs_max.div_ceil(workers);
    (legs + legs / 8 + 64).min(MAX_LEGS_PER_WORKER)
}

/// Raises the soft limit of open files to the hard one; tells what it is now.
pub(crate) fn raise_descriptor_limit() -> u64 {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    match rustix::process::setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum.unwrap_or(u64::MAX),
        Err(_) => limit.current.unwrap_or(u64::MAX),
    }
}

impl Estate {
    /// Makes everything, as large as the plan wants and the machine allows.
    ///
    /// # Errors
    /// [`EstateError`].
    pub(crate) fn make(config: &Config, plan: &Plan) -> Result<Self, EstateError> {
        let settings = &config.settings;
        let workers = u32::try_from(plan.cores.len()).unwrap_or(u32::MAX).max(1);
        let mut wanted = slots_per_worker(plan.legs_max, workers) as usize * workers as usize;
        let descriptors = raise_descriptor_limit();
        let affordable =
            usize::try_from(descriptors.saturating_sub(other_descriptors(workers)) / 2)
                .unwrap_or(usize::MAX);
        if wanted > affordable {
            tracing::warn!(
                wanted,
                affordable,
                "fewer leg slots than the profile allows: the limit of open files is {descriptors}"
            );
            wanted = affordable;
        }
        let ports = settings.media.ports.range();
        let (first, last) = (*ports.start(), *ports.end());
        let dscp = u8::try_from(settings.media.dscp.get()).unwrap_or(0);
        let address = sockets::bind_address(&settings.general.listen);
        // Sound first: pictures get the ports and descriptors that are left.
        let video_wanted = match plan.video_streams_max {
            0 => 0,
            most => slots_per_worker(most, workers) as usize * workers as usize,
        };
        let video_wanted = video_wanted.min(affordable - wanted);
        let mut pairs = sockets::bind_pairs(address, ports, wanted + video_wanted, dscp)
            .map_err(|source| EstateError::Bind { address, source })?;
        let slots = u32::try_from(pairs.len().min(wanted)).unwrap_or(u32::MAX) / workers;
        if slots == 0 {
            return Err(EstateError::NoPorts { first, last });
        }
        let left = pairs.len() - (slots * workers) as usize;
        let video_slots = u32::try_from(left.min(video_wanted)).unwrap_or(u32::MAX) / workers;
        if plan.video_streams_max > 0 && video_slots == 0 {
            tracing::warn!(
                "no pictures: media.ports {first}-{last} and the limit of open files ({descriptors}) \
                 leave nothing for them"
            );
        }
        let legs_max = plan.legs_max.min(slots * workers);
        if legs_max < plan.legs_max {
            tracing::warn!(
                legs_max,
                wanted = plan.legs_max,
                "fewer call legs than the profile allows: media.ports {first}-{last} holds no more"
            );
        }
        let layout = Layout {
            workers,
            legs_per_worker: slots,
            conferences_per_worker: slots,
            video_streams_per_worker: video_slots,
        };
        let arena = Arena::create(layout)?;
        let ours = addresses::expand(&settings.general.listen).map_err(EstateError::Addresses)?;
        let browser_ports = browser_ports(settings.media.webrtc_port, workers)?;
        let public_ip = settings.media.public_ip.get();
        let identity =
            DtlsIdentity::load_or_make(&settings.general.data_dir, clock::unix_ms() / 1_000)?;
        if !arena.is_locked() {
            tracing::warn!(
                bytes = layout.len(),
                "the session arena can be swapped out: raise the limit of locked memory (ulimit -l)"
            );
        }
        let mut estates = Vec::new();
        let mut places = Vec::new();
        for (core, port) in plan.cores.iter().zip(browser_ports) {
            let mut take = |count: u32| pairs.drain(..count as usize).collect::<Vec<Pair>>();
            let (pairs, video_pairs) = (take(slots), take(video_slots));
            for pair in &video_pairs {
                pair.make_room_for_pictures()
                    .map_err(|source| EstateError::Bind { address, source })?;
            }
            let ports = |pairs: &[Pair]| pairs.iter().map(|pair| pair.rtp_port).collect();
            let browsers = sockets::bind_browser_sockets(&ours, port, dscp)
                .map_err(|(address, source)| EstateError::BindBrowsers { address, source })?;
            let bound: Vec<SocketAddr> = browsers.iter().map(|socket| socket.address).collect();
            places.push(WorkerPlace {
                core: *core,
                rtp_ports: ports(&pairs),
                video_rtp_ports: ports(&video_pairs),
                browser_sockets: bound.len(),
                candidates: candidates(&bound, public_ip),
            });
            estates.push(WorkerEstate {
                doorbell: Doorbell::new().map_err(EstateError::Doorbell)?,
                pairs,
                video_pairs,
                browsers,
            });
        }
        let modules = match video_slots {
            0 => Vec::new(),
            _ => make_modules(config, plan, workers)?,
        };
        let started_at = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        Ok(Self {
            arena,
            control_doorbell: Doorbell::new().map_err(EstateError::Doorbell)?,
            workers: estates,
            modules,
            inheritance: Inheritance {
                settings: config.to_toml(),
                profile: plan.profile.clone(),
                legs_max,
                started_at,
                fingerprint: identity.fingerprint(),
                workers: places,
            },
            identity,
        })
    }
}

fn make_modules(
    config: &Config,
    plan: &Plan,
    workers: u32,
) -> Result<Vec<ModuleEstate>, EstateError> {
    let layout = ModuleLayout {
        workers,
        up_bytes: MODULE_RING_BYTES,
        down_bytes: MODULE_RING_BYTES,
    };
    let modules = plan.video_modules.iter().enumerate();
    modules
        .map(|(index, cores)| {
            Ok(ModuleEstate {
                memory: ModuleMemory::create(layout)?,
                doorbell: Doorbell::new().map_err(EstateError::Doorbell)?,
                inheritance: ModuleInheritance {
                    settings: config.to_toml(),
                    index,
                    cores: cores.clone(),
                },
            })
        })
        .collect()
}

/// Port of each worker's sockets for browsers; 0 lets the kernel choose.
fn browser_ports(first: u16, workers: u32) -> Result<Vec<u16>, EstateError> {
    if first == 0 {
        return Ok(vec![0; workers as usize]);
    }
    let ports: Vec<u16> = (first..=u16::MAX).take(workers as usize).collect();
    if ports.len() < workers as usize {
        return Err(EstateError::BrowserPorts { first, workers });
    }
    Ok(ports)
}

/// Where browsers are told to find a worker: through the NAT first, for who is on
/// this side of it finds the others as well.
fn candidates(bound: &[SocketAddr], public_ip: Option<IpAddr>) -> Vec<SocketAddr> {
    let behind = |ip: &IpAddr| {
        let same_family = |address: &&SocketAddr| address.is_ipv4() == ip.is_ipv4();
        let local = bound.iter().find(same_family)?;
        Some(SocketAddr::new(*ip, local.port()))
    };
    let public = public_ip.as_ref().and_then(behind);
    let local = bound.iter().copied();
    public.into_iter().chain(local).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_worker_has_the_next_port_for_browsers() {
        assert_eq!(browser_ports(3480, 3).unwrap(), [3480, 3481, 3482]);
        assert_eq!(browser_ports(0, 2).unwrap(), [0, 0]);
        assert_eq!(browser_ports(65_534, 2).unwrap(), [65_534, 65_535]);
        assert!(browser_ports(65_534, 3).is_err());
    }

    #[test]
    fn the_public_address_is_a_candidate_where_there_is_a_nat() {
        let bound: Vec<SocketAddr> = ["10.0.0.2:3480", "[fd00::2]:3480"]
            .map(|text| text.parse().unwrap())
            .to_vec();
        assert_eq!(candidates(&bound, None), bound);
        let public = candidates(&bound, Some("192.0.2.7".parse().unwrap()));
        assert_eq!(public[0], "192.0.2.7:3480".parse().unwrap());
        assert_eq!(public[1..], bound);
        // Nothing of that family is behind it.
        let none = candidates(&bound[..1], Some("2001:db8::7".parse().unwrap()));
        assert_eq!(none, bound[..1]);
    }

    #[test]
    fn there_are_more_slots_than_legs_and_never_more_than_the_arena_takes() {
        for (legs, workers) in [(1, 1), (100, 3), (3_000, 1), (16_384, 1), (100_000, 8)] {
            let slots = slots_per_worker(legs, workers);
            assert!(slots >= (legs / workers).min(MAX_LEGS_PER_WORKER));
            assert!(slots <= MAX_LEGS_PER_WORKER);
        }
    }
}
