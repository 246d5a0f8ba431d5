//! Profiles by name and by file, and the questions that the server asks them.

use std::io::Read as _;
use std::path::Path;

use crate::{CallType, CoreId, Cores, Profile, ProfileError};

/// Name of the profile that is detected and not read.
pub const THIS_HOST: &str = "this-host";

/// A profile is a page of text; what is longer is some other file.
const FILE_BYTES_MAX: u64 = 256 * 1024;

const BUILTIN: [(&str, &str); 13] = [
    ("edge-large", include_str!("../../edge-large.toml")),
    ("edge-small", include_str!("../../edge-small.toml")),
    ("mcu-4200", include_str!("../../mcu-4200.toml")),
    ("mcu-4500", include_str!("../../mcu-4500.toml")),
    ("mcu-5300", include_str!("../../mcu-5300.toml")),
    ("mcu-mse-8420", include_str!("../../mcu-mse-8420.toml")),
    ("mcu-mse-8510", include_str!("../../mcu-mse-8510.toml")),
    (
        "meeting-server-1000-m5v2",
        include_str!("../../meeting-server-1000-m5v2.toml"),
    ),
    (
        "meeting-server-1000-m6",
        include_str!("../../meeting-server-1000-m6.toml"),
    ),
    (
        "meeting-server-2000-m5v2",
        include_str!("../../meeting-server-2000-m5v2.toml"),
    ),
    (
        "meeting-server-2000-m6",
        include_str!("../../meeting-server-2000-m6.toml"),
    ),
    ("recorder", include_str!("../../recorder.toml")),
    ("streamer", include_str!("../../streamer.toml")),
];

/// What a module does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// Sockets and sound: a worker of the io process.
    Io,
    /// Pictures: a process of its own.
    Video,
}

/// A part that can fail by itself: one bit of the status bitmap.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Module {
    /// `io0`, `io1`, .., `video0`, ..
    pub name: String,
    /// What it does.
    pub role: Role,
    /// Where it runs.
    pub cores: Vec<CoreId>,
}

pub(crate) fn names_with_commas() -> String {
    Profile::names().collect::<Vec<_>>().join(", ")
}

impl Profile {
    /// Names that [`Profile::builtin`] knows, [`THIS_HOST`] first.
    pub fn names() -> impl Iterator<Item = &'static str> {
        std::iter::once(THIS_HOST).chain(BUILTIN.iter().map(|(name, _)| *name))
    }

    /// A profile that comes with the program. [`THIS_HOST`] is detected anew
    /// by each call.
    ///
    /// # Errors
    /// [`ProfileError::Unknown`].
    pub fn builtin(name: &str) -> Result<Self, ProfileError> {
        if name == THIS_HOST {
            return Ok(Self::detect());
        }
        match BUILTIN.iter().find(|(known, _)| *known == name) {
            Some((name, content)) => Self::parse(&format!("{name}.toml"), content),
            None => Err(ProfileError::Unknown {
                name: name.to_owned(),
                names: names_with_commas(),
            }),
        }
    }

    /// Reads a file and checks it.
    ///
    /// # Errors
    /// All but [`ProfileError::Unknown`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ProfileError> {
        let path = path.as_ref();
        let read = || -> std::io::Result<String> {
            let mut content = String::new();
            let file = std::fs::File::open(path)?;
            if file.take(FILE_BYTES_MAX + 1).read_to_string(&mut content)? > FILE_BYTES_MAX as usize
            {
                return Err(std::io::Error::other("longer than any profile"));
            }
            Ok(content)
        };
        let content = read().map_err(|error| ProfileError::read(path, error))?;
        Self::parse(&path.display().to_string(), &content)
    }

    /// What an administrator wrote: a built-in's name, or a path where it has
    /// a slash or ends in `.toml`.
    ///
    /// # Errors
    /// See [`Profile::builtin`] and [`Profile::load`].
    pub fn open(name_or_path: &str) -> Result<Self, ProfileError> {
        if name_or_path.contains('/') || name_or_path.ends_with(".toml") {
            Self::load(name_or_path)
        } else {
            Self::builtin(name_or_path)
        }
    }

    /// Checks a file's content; `file` is for messages.
    ///
    /// # Errors
    /// [`ProfileError::Form`] and [`ProfileError::Invalid`].
    pub fn parse(file: &str, content: &str) -> Result<Self, ProfileError> {
        let profile: Self =
            toml::from_str(content).map_err(|error| ProfileError::form(file, content, &error))?;
        profile.validate(file)?;
        Ok(profile)
    }

    /// The profile as a file, to be edited and loaded again.
    #[must_use]
    pub fn to_toml(&self) -> String {
        // Tables with text keys and whole numbers: there is nothing TOML cannot say.
        toml::to_string(self).expect("a profile can be written as TOML")
    }

    /// Cores of the io workers, one worker each; empty for a reference.
    #[must_use]
    pub fn io_cores(&self) -> &[CoreId] {
        self.role(|cores| cores.io.as_slice())
    }

    /// Cores that the video modules share; empty for a reference.
    #[must_use]
    pub fn video_cores(&self) -> &[CoreId] {
        self.role(|cores| cores.video.as_slice())
    }

    /// Cores of the control plane; empty for a reference.
    #[must_use]
    pub fn control_cores(&self) -> &[CoreId] {
        self.role(|cores| cores.control.as_slice())
    }

    fn role<'a>(&'a self, list: impl Fn(&'a Cores) -> &'a [CoreId]) -> &'a [CoreId] {
        self.cores.as_ref().map_or(&[], list)
    }

    /// Most legs of each io worker.
    #[must_use]
    pub const fn legs_per_worker(&self) -> u32 {
        self.limits.legs_per_io_core
    }

    /// With another limit of legs for each io worker, and the sockets they need.
    ///
    /// # Errors
    /// [`ProfileError::Invalid`] where it is out of bounds.
    pub fn with_legs_per_worker(mut self, legs: u32) -> Result<Self, ProfileError> {
        self.limits.legs_per_io_core = legs;
        self.limits.media_sockets = None;
        self.validate(&self.name)?;
        Ok(self)
    }

    /// Most legs of all io workers together.
    #[must_use]
    pub fn legs_max(&self) -> u32 {
        self.legs_per_worker()
            .saturating_mul(self.io_cores().len() as u32)
    }

    /// Sockets for media that may be open.
    #[must_use]
    pub fn media_sockets(&self) -> u32 {
        self.limits
            .media_sockets
            .unwrap_or(self.legs_max().saturating_mul(2))
    }

    /// The parts that can fail by themselves, in the order of their bits: io
    /// workers, then video modules. Empty for a reference.
    #[must_use]
    pub fn modules(&self) -> Vec<Module> {
        let Some(cores) = &self.cores else {
            return Vec::new();
        };
        let io = cores.io.as_slice().chunks(1);
        let video = cores.video.as_slice();
        let video = video.chunks(cores.video_module_cores.max(1) as usize);
        let module = |name: &str, role, index: usize, cores: &[CoreId]| Module {
            name: format!("{name}{index}"),
            role,
            cores: cores.to_vec(),
        };
        let io = io.enumerate();
        let io = io.map(|(index, cores)| module("io", Role::Io, index, cores));
        let video = video.enumerate();
        io.chain(video.map(|(index, cores)| module("video", Role::Video, index, cores)))
            .collect()
    }

    /// The target for calls of one kind; `None` where nobody measured it.
    #[must_use]
    pub fn target(&self, call: CallType) -> Option<u64> {
        let mut capacities = self.capacity.iter();
        capacities.find(|one| one.call == call)?.calls.get()
    }
}
