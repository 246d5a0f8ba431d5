//! What the machine is to be used for: cores of workers and the size of the server.

use plenum_abi::MODULES_MAX;
use plenum_hw_profile::{CoreId, Profile, ProfileError, Role};

use crate::config::Settings;

/// A hardware profile as far as a supervisor needs it.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Name of the profile.
    pub(crate) profile: String,
    /// Core of each worker; `None` where none is reserved.
    pub(crate) cores: Vec<Option<u32>>,
    /// Cores of each video module; none where video is off.
    pub(crate) video_modules: Vec<Vec<u32>>,
    /// Most call legs.
    pub(crate) legs_max: u32,
    /// Most video streams.
    pub(crate) video_streams_max: u32,
}

/// Cores that this process may run on.
pub(crate) fn available_cores() -> Vec<CoreId> {
    let Ok(set) = rustix::thread::sched_getaffinity(None) else {
        return Vec::new();
    };
    (0_u32..)
        .take(rustix::thread::CpuSet::MAX_CPU)
        .filter(|core| set.is_set(*core as usize))
        .map(CoreId)
        .collect()
}

impl Plan {
    /// Opens the profile that the settings name, and holds it to this machine.
    ///
    /// # Errors
    /// [`ProfileError`].
    pub(crate) fn make(settings: &Settings) -> Result<Self, ProfileError> {
        let profile = Profile::open(&settings.general.profile)?;
        profile.fits(&available_cores())?;
        let cores: Vec<Option<u32>> = profile.io_cores().iter().map(|core| Some(core.0)).collect();
        let legs_max = match u32::try_from(settings.general.legs_max.get()) {
            Ok(0) | Err(_) => profile.legs_max(),
            Ok(set) => set,
        };
        let legs_max = legs_max.max(1);
        let modules = profile.modules().into_iter();
        let video = modules.filter(|module| module.role == Role::Video);
        let mut video_modules: Vec<Vec<u32>> = video
            .map(|module| module.cores.iter().map(|core| core.0).collect())
            .collect();
        video_modules.truncate(MODULES_MAX);
        let set = u32::try_from(settings.media.video_streams_max.get()).unwrap_or(u32::MAX);
        let video_streams_max = if video_modules.is_empty() {
            0
        } else {
            set.min(legs_max)
        };
        if video_streams_max == 0 {
            video_modules.clear();
        }
        Ok(Self {
            profile: profile.name,
            // A profile that can be run has io cores; one worker there is in any case.
            cores: if cores.is_empty() { vec![None] } else { cores },
            legs_max,
            video_modules,
            video_streams_max,
        })
    }
}
