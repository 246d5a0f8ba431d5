//! Desired state to the dataplane's rings, events back; reconciliation after a restart.
//!
//! ```text
//!   application -- Link::send --> queue --> command ring --> worker
//!   application <- Link::next --------------- event ring <-- worker
//!   application -- Slots: which slots of legs, conferences and video are whose
//!   application <- Link::live_legs, live_conferences: what runs, from the arena
//! ```
//! A command is desired state, so that one that is still waiting when the next
//! one for the same slot comes is simply replaced: a dataplane that is away for
//! a while finds the last word and no history.
//!
//! This crate decides nothing about calls, and it never waits for a worker.
#![forbid(unsafe_code)]

mod link;
mod queue;
mod slots;

pub use link::{AttachError, Counters, Link, LiveConference, LiveLeg, LiveVideo, VideoCounters};
pub use queue::Overflow;
pub use slots::{Generations, REST, Slot, Slots};
