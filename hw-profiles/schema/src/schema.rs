//! The file's form. Every key is documented here; unknown ones are refused.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{CoreList, Fact};

/// A platform. Made by [`Profile::load`], [`Profile::builtin`] or
/// [`Profile::detect`], which also check it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Small letters, digits, dots and hyphens; a built-in's file name.
    pub name: String,
    /// The platform's name in full.
    pub title: String,
    /// Whether it can be run.
    pub kind: Kind,
    /// Where facts come from, by the keys that `source` names.
    #[serde(default)]
    pub sources: BTreeMap<String, String>,
    /// What there is.
    pub hardware: Hardware,
    /// What each core is for; on a host, and only there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores: Option<Cores>,
    /// How much is admitted.
    #[serde(default)]
    pub limits: Limits,
    /// Calls at a time of one kind: the targets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capacity: Vec<Capacity>,
    /// What a recorder carries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recording: Vec<Recording>,
    /// What a streamer carries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub streaming: Vec<Streaming>,
}

/// What a profile is good for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// One Linux machine, with roles for its cores.
    Host,
    /// Something to compare with: capacities without cores.
    Reference,
}

/// What there is.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Hardware {
    /// A key of `[sources]`, for every fact here that names none of its own.
    pub source: String,
    /// Blades of a chassis.
    #[serde(default)]
    pub blades: Fact,
    /// Media modules, as the platform itself counts them.
    #[serde(default)]
    pub modules: Fact,
    /// Physical cores, of all processors together.
    #[serde(default)]
    pub cores: Fact,
    /// Logical processors that the system sees.
    #[serde(default)]
    pub vcpus: Fact,
    /// Memory, MiB.
    #[serde(default)]
    pub memory_mib: Fact,
    /// NUMA nodes; none listed is one node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub numa: Vec<NumaNode>,
    /// Network interfaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nics: Vec<Nic>,
}

/// A NUMA node.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NumaNode {
    /// The kernel's number.
    pub node: u32,
    /// Its logical processors.
    pub cores: CoreList,
    /// Its memory, MiB.
    #[serde(default)]
    pub memory_mib: Fact,
}

/// A network interface.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Nic {
    /// The kernel's name, or the platform's.
    pub name: String,
    /// Mbit/s.
    #[serde(default)]
    pub speed_mbps: Fact,
    /// The node it is attached to, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numa_node: Option<u32>,
}

/// What each core is for.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Cores {
    /// The kernel's interrupts and the control plane.
    pub control: CoreList,
    /// Sockets, SRTP, TURN, jitter buffers, mixing: one worker each, always on time.
    pub io: CoreList,
    /// Decoding, scaling, composing, encoding: long jobs.
    pub video: CoreList,
    /// Whether a core may have several roles. The io worker then runs at the
    /// higher real-time priority.
    #[serde(default)]
    pub shared: bool,
    /// Video cores of one module, the process that falls together; the last
    /// module takes what is left.
    #[serde(default = "video_module_cores")]
    pub video_module_cores: u32,
}

const fn video_module_cores() -> u32 {
    4
}

/// How much is admitted.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// A key of `[sources]`, for every fact here that names none of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Call legs of one io worker, 1 to [`crate::LEGS_PER_IO_CORE_MAX`].
    #[serde(default = "legs_per_io_core")]
    pub legs_per_io_core: u32,
    /// Sockets for media that may be open: two for each leg. Absent: just those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_sockets: Option<u32>,
    /// Load limit of a call bridge, in the units of the API: a 720p30 call is 1,000.
    #[serde(default)]
    pub load_limit: Fact,
    /// HD participants of one conference on one server.
    #[serde(default)]
    pub hd_participants_per_conference: Fact,
    /// Users of a cluster whose databases are on this platform.
    #[serde(default)]
    pub users: Fact,
}

const fn legs_per_io_core() -> u32 {
    1_000
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            source: None,
            legs_per_io_core: legs_per_io_core(),
            media_sockets: None,
            load_limit: Fact::UNMEASURED,
            hd_participants_per_conference: Fact::UNMEASURED,
            users: Fact::UNMEASURED,
        }
    }
}

/// A kind of call, as the capacity tables tell them apart.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[non_exhaustive]
pub enum CallType {
    /// Full HD: 1080p60 video, 720p30 content.
    #[serde(rename = "1080p60-content-720p30")]
    FullHd60Content720p30,
    /// Full HD: 1080p30 video, content of 1080p30 or 4K at 7 frames a second.
    #[serde(rename = "1080p30-content-4k7")]
    FullHdContent4k7,
    /// Full HD: 1080p30 video, 720p30 content.
    #[serde(rename = "1080p30-content-720p30")]
    FullHdContent720p30,
    /// HD: 720p30 video, 720p5 content.
    #[serde(rename = "720p30-content-720p5")]
    HdContent720p5,
    /// SD: 480p30 video, 720p5 content.
    #[serde(rename = "480p30-content-720p5")]
    SdContent720p5,
    /// G.711 without video.
    #[serde(rename = "audio-g711")]
    AudioG711,
    /// Web app, full HD.
    #[serde(rename = "web-full-hd")]
    WebFullHd,
    /// Web app, HD.
    #[serde(rename = "web-hd")]
    WebHd,
    /// Web app, SD.
    #[serde(rename = "web-sd")]
    WebSd,
    /// Web app, sound only.
    #[serde(rename = "web-audio")]
    WebAudio,
    /// 1080p30 through an edge.
    #[serde(rename = "relayed-1080p30")]
    Relayed1080p30,
    /// 720p30 through an edge.
    #[serde(rename = "relayed-720p30")]
    Relayed720p30,
    /// 448p30 through an edge.
    #[serde(rename = "relayed-448p30")]
    Relayed448p30,
    /// G.711 through an edge.
    #[serde(rename = "relayed-audio-g711")]
    RelayedAudioG711,
}

/// Calls at a time, all of one kind.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Capacity {
    /// The kind.
    pub call: CallType,
    /// How many.
    pub calls: Fact,
    /// A key of `[sources]`.
    pub source: String,
}

/// What is recorded.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub enum Quality {
    /// 1080p video.
    #[serde(rename = "1080p")]
    P1080,
    /// 720p video.
    #[serde(rename = "720p")]
    P720,
    /// Sound only.
    #[serde(rename = "audio")]
    Audio,
}

/// What recordings of one quality cost.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    /// The quality.
    pub quality: Quality,
    /// Recordings at a time on each logical processor.
    pub per_vcpu: Fact,
    /// Memory of each, MB.
    pub memory_mb_each: Fact,
    /// Disk of each for an hour, MB.
    pub disk_mb_per_hour_each: Fact,
    /// Most at a time, whatever the machine.
    pub at_once_max: Fact,
    /// A key of `[sources]`.
    pub source: String,
}

/// What a machine of one size streams.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Streaming {
    /// Its logical processors.
    pub vcpus: u32,
    /// Its memory, MiB.
    pub memory_mib: u32,
    /// 720p streams at a time.
    pub streams_720p: Fact,
    /// 1080p streams at a time.
    pub streams_1080p: Fact,
    /// Streams of sound at a time.
    pub streams_audio: Fact,
    /// A key of `[sources]`.
    pub source: String,
}
