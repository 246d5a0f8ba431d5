//! ICE candidates as text (RFC 8839 section 5.1).

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use crate::NegotiationError;

/// Most candidates that are taken of one offer; a browser with many interfaces
/// has some twenty.
pub(super) const CANDIDATES_MAX: usize = 32;
/// Longest line that is looked at.
const LEN_MAX: usize = 512;

/// How a candidate was found; the numbers are those of `plenum_abi::AddCandidate`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum CandidateKind {
    /// An address of the host itself.
    Host = 1,
    /// Its address as a STUN server sees it.
    ServerReflexive = 2,
    /// Its address as the peer sees it.
    PeerReflexive = 3,
    /// An address of a TURN server.
    Relayed = 4,
}

/// A candidate that we can use: UDP, an address and not a name.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Candidate {
    /// Where.
    pub address: SocketAddr,
    /// RFC 8445 section 5.1.2.
    pub priority: u32,
    /// How it was found.
    pub kind: CandidateKind,
}

/// Reads `candidate:...`, with or without `a=` in front. `None` is a candidate
/// that is of no use to us: TCP, an mDNS name, another component, the end of
/// candidates (empty).
///
/// # Errors
/// [`NegotiationError::Malformed`].
pub fn read_candidate(text: &str) -> Result<Option<Candidate>, NegotiationError> {
    let malformed = || NegotiationError::Malformed("candidate".to_owned());
    if text.len() > LEN_MAX {
        return Err(malformed());
    }
    let text = text.trim();
    let text = text.strip_prefix("a=").unwrap_or(text);
    let text = text.strip_prefix("candidate:").unwrap_or(text);
    if text.is_empty() {
        return Ok(None);
    }
    let mut words = text.split_ascii_whitespace();
    let mut word = || words.next().ok_or_else(malformed);
    let _foundation = word()?;
    let component: u32 = word()?.parse().map_err(|_| malformed())?;
    let transport = word()?;
    let priority: u32 = word()?.parse().map_err(|_| malformed())?;
    let address = word()?;
    let port: u16 = word()?.parse().map_err(|_| malformed())?;
    if word()? != "typ" {
        return Err(malformed());
    }
    let kind = match word()? {
        "host" => CandidateKind::Host,
        "srflx" => CandidateKind::ServerReflexive,
        "prflx" => CandidateKind::PeerReflexive,
        "relay" => CandidateKind::Relayed,
        _ => return Ok(None),
    };
    // A name is one for mDNS, which hides the address from us: the browser's
    // checks will show it (RFC 8445 section 7.3.1.3).
    let Ok(ip) = address.parse::<IpAddr>() else {
        return Ok(None);
    };
    let usable = component == 1
        && transport.eq_ignore_ascii_case("udp")
        && port != 0
        && !ip.is_unspecified()
        && !ip.is_multicast();
    Ok(usable.then(|| Candidate {
        address: SocketAddr::new(ip, port),
        priority,
        kind,
    }))
}

/// Writes our host candidates, best first.
pub(super) fn write(out: &mut String, addresses: &[SocketAddr]) {
    for (index, address) in (0_u32..).zip(addresses) {
        // RFC 8445 section 5.1.2.1: type preference of a host candidate, then ours.
        let priority = (126 << 24) | (65_535_u32.saturating_sub(index) << 8) | 255;
        let (ip, port) = (address.ip(), address.port());
        let _ = write!(
            out,
            "a=candidate:{} 1 udp {priority} {ip} {port} typ host\r\n",
            index + 1
        );
    }
    out.push_str("a=end-of-candidates\r\n");
}
