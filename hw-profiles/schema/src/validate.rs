//! What makes a well-formed profile wrong.

use std::collections::BTreeMap;

use crate::{CoreId, CoreList, Cores, Fact, Kind, Profile, ProfileError};

/// Most io cores of a profile: as many workers as the session arena has room for.
pub const IO_CORES_MAX: usize = 256;
/// Most legs of an io core: as many as the session arena has room for.
pub const LEGS_PER_IO_CORE_MAX: u32 = 16_384;

/// A key, what is wrong with it, and what to do.
type Problem = (String, String, String);

fn problem(
    key: impl Into<String>,
    problem: impl Into<String>,
    remedy: impl Into<String>,
) -> Result<(), Problem> {
    Err((key.into(), problem.into(), remedy.into()))
}

impl Profile {
    /// Finds the first thing that cannot be; `file` is for the message.
    ///
    /// # Errors
    /// [`ProfileError::Invalid`].
    pub fn validate(&self, file: &str) -> Result<(), ProfileError> {
        self.check_name()
            .and_then(|()| self.check_sources())
            .and_then(|()| self.check_numa())
            .and_then(|()| self.check_cores())
            .and_then(|()| self.check_limits())
            .and_then(|()| self.check_capacity())
            .map_err(|(key, problem, remedy)| ProfileError::Invalid {
                file: file.to_owned(),
                key,
                problem,
                remedy,
            })
    }

    /// Whether a machine with these cores can run the profile.
    ///
    /// # Errors
    /// [`ProfileError::Invalid`] that names the first core it lacks, or says
    /// that a reference cannot be run.
    pub fn fits(&self, available: &[CoreId]) -> Result<(), ProfileError> {
        let invalid = |key: &str, problem: String| ProfileError::Invalid {
            file: self.name.clone(),
            key: key.to_owned(),
            problem,
            remedy: "use the profile \"this-host\", or write one for this machine".to_owned(),
        };
        let Some(cores) = &self.cores else {
            let problem = "a reference has no cores and cannot be run".to_owned();
            return Err(invalid("kind", problem));
        };
        for (key, list) in roles(cores) {
            let mut named = list.as_slice().iter();
            if let Some(core) = named.find(|core| !available.contains(core)) {
                let here: CoreList = available.iter().copied().collect();
                return Err(invalid(key, format!("core {core} is not here, {here} are")));
            }
        }
        Ok(())
    }

    fn check_name(&self) -> Result<(), Problem> {
        let good =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
        if self.name.is_empty() || self.name.len() > 64 || !self.name.bytes().all(good) {
            return problem(
                "name",
                format!("\"{}\" is not a name", self.name.escape_debug()),
                "use 1 to 64 small letters, digits, dots and hyphens",
            );
        }
        Ok(())
    }

    fn check_sources(&self) -> Result<(), Problem> {
        let check = |key: String, source: &str| {
            if self.sources.contains_key(source) {
                return Ok(());
            }
            problem(
                key,
                format!("\"{source}\" is not a source"),
                "add it to [sources] or correct the name",
            )
        };
        let fact = |key: String, fact: &Fact| match &fact.source {
            Some(source) => check(key, source),
            None => Ok(()),
        };
        let hardware = &self.hardware;
        check("hardware.source".into(), &hardware.source)?;
        fact("hardware.blades".into(), &hardware.blades)?;
        fact("hardware.modules".into(), &hardware.modules)?;
        fact("hardware.cores".into(), &hardware.cores)?;
        fact("hardware.vcpus".into(), &hardware.vcpus)?;
        fact("hardware.memory_mib".into(), &hardware.memory_mib)?;
        for node in &hardware.numa {
            fact(
                format!("hardware.numa {}.memory_mib", node.node),
                &node.memory_mib,
            )?;
        }
        for nic in &hardware.nics {
            fact(
                format!("hardware.nics {}.speed_mbps", nic.name),
                &nic.speed_mbps,
            )?;
        }
        let limits = &self.limits;
        if let Some(source) = &limits.source {
            check("limits.source".into(), source)?;
        }
        for (key, figure) in [
            ("load_limit", &limits.load_limit),
            (
                "hd_participants_per_conference",
                &limits.hd_participants_per_conference,
            ),
            ("users", &limits.users),
        ] {
            fact(format!("limits.{key}"), figure)?;
            if figure.get().is_some() && figure.source.is_none() && limits.source.is_none() {
                return problem(
                    format!("limits.{key}"),
                    "a figure without a source",
                    "give [limits] a source, or say \"unmeasured\"",
                );
            }
        }
        for (index, row) in self.capacity.iter().enumerate() {
            check(format!("capacity {}.source", index + 1), &row.source)?;
            fact(format!("capacity {}.calls", index + 1), &row.calls)?;
        }
        for (index, row) in self.recording.iter().enumerate() {
            check(format!("recording {}.source", index + 1), &row.source)?;
        }
        for (index, row) in self.streaming.iter().enumerate() {
            check(format!("streaming {}.source", index + 1), &row.source)?;
        }
        Ok(())
    }

    fn check_numa(&self) -> Result<(), Problem> {
        let mut nodes = BTreeMap::new();
        for node in &self.hardware.numa {
            let key = format!("hardware.numa {}.cores", node.node);
            if nodes.values().any(|&other| other == node.node) {
                return problem(
                    format!("hardware.numa {}", node.node),
                    "the node is there twice",
                    "give each node one table",
                );
            }
            for core in node.cores.as_slice() {
                if let Some(other) = nodes.insert(*core, node.node) {
                    return problem(
                        key,
                        format!("core {core} is in node {other} already"),
                        "list each core once",
                    );
                }
            }
        }
        let mut names: Vec<_> = self.hardware.nics.iter().map(|nic| &nic.name).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return problem(
                format!("hardware.nics {}", pair[0]),
                "the interface is there twice",
                "give each interface one table",
            );
        }
        Ok(())
    }

    fn check_cores(&self) -> Result<(), Problem> {
        let cores = match (&self.cores, self.kind) {
            (Some(cores), Kind::Host) => cores,
            (None, Kind::Reference) => return Ok(()),
            (None, Kind::Host) => {
                return problem(
                    "cores",
                    "a host without roles for its cores",
                    "add [cores] with control, io and video, or say kind = \"reference\"",
                );
            }
            (Some(_), Kind::Reference) => {
                return problem(
                    "cores",
                    "a reference cannot be run, its cores have no roles",
                    "take [cores] away, or say kind = \"host\"",
                );
            }
        };
        let mut role_of: BTreeMap<CoreId, &str> = BTreeMap::new();
        for (key, list) in roles(cores) {
            if let Some(core) = list.duplicate() {
                return problem(key, format!("core {core} is listed twice"), "list it once");
            }
            for &core in list.as_slice() {
                self.check_core(key, core)?;
                if let Some(other) = role_of.insert(core, key)
                    && !cores.shared
                {
                    return problem(
                        key,
                        format!("core {core} is in {other} too"),
                        "give it one role, or say shared = true",
                    );
                }
            }
        }
        if cores.io.as_slice().is_empty() {
            return problem(
                "cores.io",
                "no io core",
                "name one at least: it runs the sockets",
            );
        }
        if cores.io.as_slice().len() > IO_CORES_MAX {
            return problem(
                "cores.io",
                format!("{} io cores", cores.io.as_slice().len()),
                format!("name {IO_CORES_MAX} at most"),
            );
        }
        if cores.control.as_slice().is_empty() {
            return problem(
                "cores.control",
                "no core for the kernel and the control plane",
                "name one at least; it may be an io core where shared = true",
            );
        }
        if cores.video_module_cores == 0 {
            return problem(
                "cores.video_module_cores",
                "a module of no cores",
                "say 1 or more, or leave the key out",
            );
        }
        Ok(())
    }

    /// Whether the platform has the core, as far as is known.
    fn check_core(&self, key: &str, core: CoreId) -> Result<(), Problem> {
        let hardware = &self.hardware;
        if let Some(vcpus) = hardware.vcpus.get()
            && hardware.numa.is_empty()
            && u64::from(core.0) >= vcpus
        {
            return problem(
                key,
                format!("there is no core {core}: hardware.vcpus is {vcpus}, counted from 0"),
                "correct the one or the other",
            );
        }
        let mut nodes = hardware.numa.iter();
        if !hardware.numa.is_empty() && !nodes.any(|node| node.cores.as_slice().contains(&core)) {
            return problem(
                key,
                format!("core {core} is in no NUMA node"),
                "add it to the cores of a [[hardware.numa]]",
            );
        }
        Ok(())
    }

    fn check_limits(&self) -> Result<(), Problem> {
        let legs = self.limits.legs_per_io_core;
        if !(1..=LEGS_PER_IO_CORE_MAX).contains(&legs) {
            return problem(
                "limits.legs_per_io_core",
                format!("{legs} legs"),
                format!("say 1 to {LEGS_PER_IO_CORE_MAX}"),
            );
        }
        let needed = self.legs_max().saturating_mul(2);
        if let Some(sockets) = self.limits.media_sockets
            && sockets < needed
        {
            return problem(
                "limits.media_sockets",
                format!("{sockets} sockets for {} legs", self.legs_max()),
                format!("say {needed} or more (each leg has two), or allow fewer legs"),
            );
        }
        Ok(())
    }

    fn check_capacity(&self) -> Result<(), Problem> {
        let mut calls: Vec<_> = self.capacity.iter().map(|row| row.call).collect();
        calls.sort_unstable();
        if let Some(pair) = calls.windows(2).find(|pair| pair[0] == pair[1]) {
            return problem(
                "capacity",
                format!("{:?} is there twice", pair[0]),
                "give each kind of call one row",
            );
        }
        Ok(())
    }
}

fn roles(cores: &Cores) -> [(&'static str, &CoreList); 3] {
    [
        ("cores.control", &cores.control),
        ("cores.io", &cores.io),
        ("cores.video", &cores.video),
    ]
}
