//! Answers to browsers (RFC 8829).
//!
//! The browser always offers, in the first exchange and in every later one: its
//! media lines are fixed by what each of them is for, and all of them share one
//! transport (BUNDLE, RFC 9143).
//!
//! ```text
//!   mid 0  audio  microphone  <->  the mix
//!   mid 1  video  camera      <->  the composed view
//!   mid 2  video  screen      <->  somebody else's screen
//!   other lines               refused or inactive
//! ```
//! An answer follows from the offer and from what we are ([`LocalWeb`]), and from
//! nothing that was said before: ICE restarts, changed directions and a page that
//! was loaded anew are the same case. Whoever calls keeps our SSRCs and, unless
//! [`RemoteTransport::ice`] changed, our ICE credentials.

mod answering;
mod candidate;
mod offer;
mod simulcast;
mod types;

#[cfg(test)]
mod tests;

pub use candidate::{Candidate, CandidateKind, read_candidate};
pub use types::{Extensions, LocalVideo, LocalWeb, RemoteTransport, WebAnswer, WebAudio, WebVideo};

use crate::NegotiationError;

/// Answers a browser's offer.
///
/// # Errors
/// [`NegotiationError`]; the session as it was then goes on.
pub fn answer(offer: &str, local: &LocalWeb) -> Result<WebAnswer, NegotiationError> {
    answering::answer(offer, local)
}
