//! What the machine is to be used for: cores of workers and the size of the server.

use crate::config::Settings;

/// A hardware profile as far as a supervisor needs it.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Name of the profile.
    pub(crate) profile: String,
    /// Core of each worker; `None` where none is reserved.
    pub(crate) cores: Vec<Option<u32>>,
    /// Most call legs.
    pub(crate) legs_max: u32,
}

impl Plan {
    pub(crate) fn make(settings: &Settings) -> Self {
        let legs_max = match u32::try_from(settings.general.legs_max.get()) {
            Ok(0) | Err(_) => 1_000,
            Ok(set) => set,
        };
        Self {
            profile: settings.general.profile.clone(),
            cores: vec![None],
            legs_max,
        }
    }
}
