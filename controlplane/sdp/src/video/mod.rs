//! Video lines.
//!
//! `attributes` reads, `format` matches what is offered with what we can do and
//! writes it; both serve browsers too. `stream` is the exchange with SIP endpoints:
//! one main picture beside the sound, on ports of its own.
//!
//! A second picture (RFC 4796 `slides`) and the floor control that goes with it
//! (BFCP) are refused with port 0.

pub(crate) mod attributes;
pub(crate) mod format;
pub(crate) mod stream;
mod types;

#[cfg(test)]
mod tests;

pub use types::{LocalVideo, Video, VideoFormat};
