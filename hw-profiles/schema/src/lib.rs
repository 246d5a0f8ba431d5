//! Hardware profiles: what a platform has and what each core is for.
//!
//! A profile is one TOML file: facts with their sources, the roles of the
//! cores, limits, and the calls that the platform's maker promises as targets
//! to be compared with. A figure that nobody measured or published says
//! `"unmeasured"`; there are no guesses that look like facts.
//!
//! ```text
//! hw-profiles/NAME.toml --load/builtin-->  Profile  --> io_cores(): one worker each, pinned
//! /proc, /sys           --detect-------->           --> modules(): bits of the status bitmap
//! ```
//!
//! A profile of kind `host` can be run; one of kind `reference` has capacities
//! and no cores, for a platform that is not one Linux machine.
//!
//! Not here: pinning, and whether this machine's kernel and limits are good
//! enough. A profile says what ought to be; `doctor` looks.

mod cores;
mod detect;
mod error;
mod fact;
mod profile;
mod schema;
mod validate;

pub use cores::{CORE_ID_MAX, CoreId, CoreList};
pub use error::ProfileError;
pub use fact::Fact;
pub use profile::{Module, Role, THIS_HOST};
pub use schema::{
    CallType, Capacity, Cores, Hardware, Kind, Limits, Nic, NumaNode, Profile, Quality, Recording,
    Streaming,
};
pub use validate::{IO_CORES_MAX, LEGS_PER_IO_CORE_MAX};
