//! ICE (RFC 8445) of one leg: finds the path to the far end and keeps it.
//!
//! An [`Agent`] is a full agent for one component (BUNDLE and rtcp-mux: there is
//! no other), with trickle (RFC 8838), restart (RFC 8445 section 9) and consent
//! freshness (RFC 7675). It wraps the well-kept agent of the crate `is` and adds
//! what a server needs beside it: bounds on everything that a far end could make
//! grow, consent by the letter, the clock of the arena, and a path that is taken
//! over from a process that died.
//!
//! ```text
//!   configure, add_remote ---\                    /--> Output::Send
//!   on_datagram(from, to)  ---> Agent -- poll() -----> Output::Source   believe packets from there
//!   on_timeout(deadline)  ---/                    \--> Output::Selected, Lost, Failed
//! ```
//!
//! After each call the outputs are to be polled until there is none, and then
//! [`Agent::deadline`] to be asked.
//!
//! All agents of a worker share its sockets. [`local_ufrag`] says whom a check
//! is for; nothing is remembered of its sender before the agent has found its
//! MESSAGE-INTEGRITY right. A candidate with a name instead of an address (mDNS)
//! is never seen here: checks that come from it make a peer-reflexive one.
//!
//! The crate refuses to own sockets, clocks or entropy, to speak TCP, and to
//! gather addresses: ours are given, and a NAT in front of us shows itself.

mod agent;

pub use agent::{
    Agent, CANDIDATES_MAX, CONSENT, Candidate, CandidateKind, GIVE_UP, Output, Path, Role,
    SOURCES_MAX,
};

/// The user name fragment of ours that a check (a STUN Binding request) names;
/// `None` when the datagram is no check. Nothing in it is proven yet.
#[must_use]
pub fn local_ufrag(datagram: &[u8]) -> Option<&str> {
    let message = is::stun::StunMessage::parse(datagram).ok()?;
    if !message.is_binding_request() {
        return None;
    }
    let (ours, _) = message.username()?.split_once(':')?;
    Some(ours)
}
