//! Offer and answer (RFC 3264) for a conferencing server.
//!
//! Pure functions from SDP text to SDP text and to what the media plane needs:
//!
//! ```text
//! far end's offer  -> answer   -> our answer, Negotiated
//! our wish         -> offer    -> our offer   -> accept_answer -> Negotiated
//! later, either way: reanswer / reoffer, given the last SDP we sent
//! a browser's offer, first and later                -> webrtc::answer
//! ```
//!
//! The text we sent last is the whole state between two exchanges: session id,
//! version and our keys are read back from it, so a restarted server carries on
//! from what the dialog remembered. Randomness (session ids, keys) is an argument.
//!
//! This crate refuses to resolve names, to open sockets and to guess: what it
//! does not understand is rejected stream by stream (port 0), as RFC 3264 asks.
#![forbid(unsafe_code)]

mod answering;
mod keys;
mod offering;
mod ours;
mod remote;
mod sdes;
mod types;
mod video;
pub mod webrtc;

#[cfg(test)]
mod tests;

pub use types::{
    Audio, Direction, Encryption, LocalMedia, Negotiated, NegotiationError, OpusParameters,
    PendingOffer, Srtp,
};
pub use video::{LocalVideo, Video, VideoFormat};

use rand::CryptoRng;

/// Answers the first offer of a dialog.
///
/// # Errors
/// [`NegotiationError::status`] says with which SIP status to refuse.
pub fn answer(
    offer: &str,
    local: &LocalMedia,
    rng: &mut impl CryptoRng,
) -> Result<Negotiated, NegotiationError> {
    let identity = ours::Identity::new(rng);
    answering::answer(offer, local, &identity, &ours::Keys::default(), rng)
}

/// Answers a later offer of the same dialog. `previous` is the SDP we sent last:
/// session id and keys stay, the version grows when something changed.
///
/// # Errors
/// As [`answer`]; the session as it was then goes on (RFC 3261 section 14.2).
pub fn reanswer(
    previous: &str,
    offer: &str,
    local: &LocalMedia,
    rng: &mut impl CryptoRng,
) -> Result<Negotiated, NegotiationError> {
    let (_, identity, known) = ours::read_previous(previous)?;
    answering::answer(offer, local, &identity, &known, rng)
}

/// Makes the first offer of a dialog.
pub fn offer(local: &LocalMedia, rng: &mut impl CryptoRng) -> (String, PendingOffer) {
    offering::offer(local, rng)
}

/// Makes a later offer of the same dialog. `previous` is the SDP we sent last;
/// its media lines stay where they were (RFC 3264 section 8).
///
/// # Errors
/// [`NegotiationError::Malformed`] where `previous` is not SDP of ours.
pub fn reoffer(
    previous: &str,
    local: &LocalMedia,
    rng: &mut impl CryptoRng,
) -> Result<(String, PendingOffer), NegotiationError> {
    offering::reoffer(previous, local, rng)
}

/// Takes the far end's answer to our offer.
///
/// # Errors
/// The offer failed: the call is to be ended, or the session goes on as before.
pub fn accept_answer(pending: &PendingOffer, answer: &str) -> Result<Negotiated, NegotiationError> {
    offering::accept_answer(pending, answer)
}
