//! TURN as the binary runs it: a process of its own beside the dataplane.
//!
//! ```text
//!   supervisor: TurnEstate ── memory, listeners, relay sockets ──> plenum turn
//! ```
//! [`estate`] is what outlives the process, [`process`] the process, [`desk`] where
//! operators ask it ([`command`] is how they do). The machine
//! and its loop are `plenum-turn` and `plenum-relay`.

pub(crate) mod command;
pub(crate) mod desk;
pub(crate) mod estate;
mod facts;
pub(crate) mod process;

pub(crate) use facts::{is_served, own_host, own_urls, read_secret};
