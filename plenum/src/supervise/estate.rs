//! What outlives the processes: the arena, the doorbells, the media sockets.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use plenum_abi::{Layout, MAX_LEGS_PER_WORKER};
use plenum_ring::{Arena, CreateError, Doorbell};
use rustix::process::{Resource, Rlimit};

use crate::channel::{Inheritance, WorkerPlace};
use crate::config::Config;
use crate::plan::Plan;

use super::sockets::{self, Pair};

/// Descriptors that the processes need beside media sockets.
const OTHER_DESCRIPTORS: u64 = 512;

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EstateError {
    /// Not one pair of media ports could be bound.
    #[error("media.ports: every port of {first}-{last} is taken")]
    NoPorts { first: u16, last: u16 },
    /// The kernel refused a media socket.
    #[error("cannot bind media sockets to {address} (from the setting listen): {source}")]
    Bind {
        address: std::net::IpAddr,
        source: io::Error,
    },
    /// No memory.
    #[error("{0}: {source}", source = std::error::Error::source(.0).map(ToString::to_string).unwrap_or_default())]
    Arena(#[from] CreateError),
    /// No descriptor left.
    #[error("cannot make a doorbell: {0}")]
    Doorbell(io::Error),
}

/// One worker's part.
#[derive(Debug)]
pub(super) struct WorkerEstate {
    pub(super) doorbell: Doorbell,
    pub(super) pairs: Vec<Pair>,
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Estate {
    pub(super) arena: Arena,
    pub(super) control_doorbell: Doorbell,
    pub(super) workers: Vec<WorkerEstate>,
    pub(super) inheritance: Inheritance,
}

/// Descriptors that so many legs need, in one process.
pub(crate) fn descriptors_needed(legs_max: u32, workers: u32) -> u64 {
    let slots = u64::from(slots_per_worker(legs_max, workers)) * u64::from(workers);
    slots * 2 + OTHER_DESCRIPTORS
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
        let affordable = usize::try_from(descriptors.saturating_sub(OTHER_DESCRIPTORS) / 2)
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
        let mut pairs = sockets::bind_pairs(address, ports, wanted, dscp)
            .map_err(|source| EstateError::Bind { address, source })?;
        let slots = u32::try_from(pairs.len()).unwrap_or(u32::MAX) / workers;
        if slots == 0 {
            return Err(EstateError::NoPorts { first, last });
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
            video_streams_per_worker: 0,
        };
        let arena = Arena::create(layout)?;
        if !arena.is_locked() {
            tracing::warn!(
                bytes = layout.len(),
                "the session arena can be swapped out: raise the limit of locked memory (ulimit -l)"
            );
        }
        let mut estates = Vec::new();
        let mut places = Vec::new();
        for core in &plan.cores {
            let pairs: Vec<Pair> = pairs.drain(..slots as usize).collect();
            places.push(WorkerPlace {
                core: *core,
                rtp_ports: pairs.iter().map(|pair| pair.rtp_port).collect(),
            });
            estates.push(WorkerEstate {
                doorbell: Doorbell::new().map_err(EstateError::Doorbell)?,
                pairs,
            });
        }
        let started_at = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        Ok(Self {
            arena,
            control_doorbell: Doorbell::new().map_err(EstateError::Doorbell)?,
            workers: estates,
            inheritance: Inheritance {
                settings: config.to_toml(),
                profile: plan.profile.clone(),
                legs_max,
                started_at,
                workers: places,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_more_slots_than_legs_and_never_more_than_the_arena_takes() {
        for (legs, workers) in [(1, 1), (100, 3), (3_000, 1), (16_384, 1), (100_000, 8)] {
            let slots = slots_per_worker(legs, workers);
            assert!(slots >= (legs / workers).min(MAX_LEGS_PER_WORKER));
            assert!(slots <= MAX_LEGS_PER_WORKER);
        }
    }
}
