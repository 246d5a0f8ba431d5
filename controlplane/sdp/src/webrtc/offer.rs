//! A browser's offer as far as it concerns us.

use plenum_abi::IceCredentials;
use sdp_types::{Media, Session};

use super::candidate::{self, Candidate, read_candidate};
use super::types::Extensions;
use crate::remote::{self, AUDIO_LEVEL, attribute, attributes};
use crate::{Direction, NegotiationError};

/// Transport of a line that goes over DTLS-SRTP (RFC 5764 section 8).
const PROFILE: &str = "UDP/TLS/RTP/SAVPF";

pub(super) const TRANSPORT_CC: &str =
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
const ABS_SEND_TIME: &str = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time";
const MID: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
const RID: &str = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";
const REPAIRED_RID: &str = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id";

/// What a line is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Role {
    Audio,
    Main,
    Content,
}

impl Role {
    /// By mid and kind; `None` for a line that has no use.
    pub(super) fn of(media: &Media) -> Option<Self> {
        match (mid(media)?, media.media.as_str()) {
            ("0", "audio") => Some(Self::Audio),
            ("1", "video") => Some(Self::Main),
            ("2", "video") => Some(Self::Content),
            _ => None,
        }
    }
}

pub(super) fn mid(media: &Media) -> Option<&str> {
    attribute(&media.attributes, "mid").filter(|mid| {
        // RFC 5888 section 4: a token. It goes back into our answer.
        !mid.is_empty() && mid.len() <= 16 && mid.bytes().all(|b| b.is_ascii_alphanumeric())
    })
}

/// Whether the line can be part of the one transport.
pub(super) fn can_bundle(session: &Session, media: &Media) -> bool {
    let in_group = |mid: &str| {
        attributes(&session.attributes, "group")
            .filter_map(|group| group.strip_prefix("BUNDLE "))
            .any(|group| group.split_ascii_whitespace().any(|member| member == mid))
    };
    let bundle_only = attribute(&media.attributes, "bundle-only").is_some();
    (media.port != 0 || bundle_only)
        && media.proto.eq_ignore_ascii_case(PROFILE)
        && attribute(&media.attributes, "rtcp-mux").is_some()
        && mid(media).is_some_and(in_group)
}

/// Seen from us.
pub(super) fn direction(session: &Session, media: &Media) -> Direction {
    remote::direction(&media.attributes)
        .or_else(|| remote::direction(&session.attributes))
        .unwrap_or(Direction::BOTH)
        .reversed()
}

/// What the line's only stream is sent under (RFC 5576).
pub(super) fn ssrc(media: &Media) -> Option<u32> {
    let source = attribute(&media.attributes, "ssrc")?;
    let number = source.split_ascii_whitespace().next()?.parse().ok()?;
    Some(number).filter(|ssrc| *ssrc != 0)
}

/// An attribute of the line, else of the session.
fn either<'a>(session: &'a Session, media: &'a Media, name: &str) -> Option<&'a str> {
    attribute(&media.attributes, name).or_else(|| attribute(&session.attributes, name))
}

/// The ICE credentials of the first line (RFC 9143 section 7.2: the tagged one).
pub(super) fn ice(session: &Session, media: &Media) -> Result<IceCredentials, NegotiationError> {
    let ufrag = either(session, media, "ice-ufrag").unwrap_or_default();
    let pwd = either(session, media, "ice-pwd").unwrap_or_default();
    IceCredentials::new(ufrag, pwd)
        .ok_or_else(|| NegotiationError::Malformed("ICE credentials".to_owned()))
}

pub(super) fn is_lite(session: &Session) -> bool {
    attribute(&session.attributes, "ice-lite").is_some()
}

/// SHA-256 of the certificate. Weaker hashes are not taken (RFC 8122 section 5).
pub(super) fn fingerprint(session: &Session, media: &Media) -> Result<[u8; 32], NegotiationError> {
    attributes(&media.attributes, "fingerprint")
        .chain(attributes(&session.attributes, "fingerprint"))
        .find_map(read_fingerprint)
        .ok_or_else(|| NegotiationError::Malformed("no SHA-256 fingerprint".to_owned()))
}

fn read_fingerprint(value: &str) -> Option<[u8; 32]> {
    let (hash, digits) = value.split_once(' ')?;
    if !hash.eq_ignore_ascii_case("sha-256") {
        return None;
    }
    let mut fingerprint = [0; 32];
    let mut pairs = digits.trim().split(':');
    for byte in &mut fingerprint {
        let pair = pairs.next().filter(|pair| pair.len() == 2)?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    pairs.next().is_none().then_some(fingerprint)
}

/// Whether we begin the DTLS handshake (RFC 5763 section 5). We leave it to the
/// browser where it may.
pub(super) fn dtls_client(session: &Session, media: &Media) -> Result<bool, NegotiationError> {
    match either(session, media, "setup") {
        Some("actpass" | "active") => Ok(false),
        Some("passive") => Ok(true),
        _ => Err(NegotiationError::Malformed("setup".to_owned())),
    }
}

/// The candidates of a line that we can use; what we cannot read is left out,
/// for the offer is good without it.
pub(super) fn candidates(media: &Media) -> Vec<Candidate> {
    attributes(&media.attributes, "candidate")
        .filter_map(|value| read_candidate(value).ok().flatten())
        .take(candidate::CANDIDATES_MAX)
        .collect()
}

/// Header extensions of a line that we know: id, URI.
pub(super) fn extensions(media: &Media) -> impl Iterator<Item = (u8, &str)> {
    remote::extensions(media).filter(|(_, uri)| Extensions::default().slot(uri).is_some())
}

impl Extensions {
    fn slot(&mut self, uri: &str) -> Option<&mut u8> {
        Some(match uri {
            TRANSPORT_CC => &mut self.transport_cc,
            ABS_SEND_TIME => &mut self.abs_send_time,
            AUDIO_LEVEL => &mut self.audio_level,
            MID => &mut self.mid,
            RID => &mut self.rid,
            REPAIRED_RID => &mut self.repaired_rid,
            _ => return None,
        })
    }

    /// Takes an extension. `false` where its number, or another number for it, is
    /// taken already: within a bundle both are one name space (RFC 9143 section 14).
    pub(super) fn take(&mut self, id: u8, uri: &str) -> bool {
        let taken = [
            self.transport_cc,
            self.audio_level,
            self.mid,
            self.rid,
            self.repaired_rid,
            self.abs_send_time,
        ]
        .contains(&id);
        let Some(slot) = self.slot(uri) else {
            return false;
        };
        if *slot == 0 && !taken {
            *slot = id;
        }
        *slot == id
    }
}
