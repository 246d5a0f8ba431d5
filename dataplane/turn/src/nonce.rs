//! Nonces that need no memory of whom they were given to.
//!
//! ```text
//!   obMatJos2 | features, 4 | expiry, 8 hex | tag, 16 base64
//! ```
//! The first 13 characters are RFC 8489 section 9.2's nonce cookie; the tag is an
//! HMAC over the expiry and the client's address. A request with a good nonce and
//! a good tag of its own proves that its sender gets what is sent to its address.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use plenum_abi::Nanos;
use plenum_stun::{hmac_sha256, same_bytes};

use crate::Client;
use crate::endpoint::Endpoint;

const COOKIE: &[u8] = b"obMatJos2";
const FEATURES_LEN: usize = 4;
const EXPIRY_LEN: usize = 8;
const TAG_LEN: usize = 16;
/// Characters of a nonce.
pub(crate) const NONCE_LEN: usize = COOKIE.len() + FEATURES_LEN + EXPIRY_LEN + TAG_LEN;

/// Security features (RFC 8489 section 18.1); bit 0 is the first of the 24.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Features {
    pub(crate) user_anonymity: bool,
}

impl Features {
    fn encoded(self) -> [u8; FEATURES_LEN] {
        // Password algorithms are always offered.
        let bits = 0x80 | if self.user_anonymity { 0x40 } else { 0 };
        let mut text = [0; FEATURES_LEN];
        let _ = STANDARD.encode_slice([bits, 0, 0], &mut text);
        text
    }
}

fn tag(key: &[u8; 32], client: &Client, fixed: &[u8]) -> [u8; TAG_LEN] {
    let Endpoint { ip, port } = client.endpoint();
    let full = hmac_sha256(key, &[&ip, &port.to_be_bytes(), fixed]);
    let mut text = [0; TAG_LEN];
    let _ = STANDARD.encode_slice(&full[..12], &mut text);
    text
}

/// A nonce for a client, good until `expires`, to the second.
pub(crate) fn make(
    key: &[u8; 32],
    client: &Client,
    features: Features,
    expires: Nanos,
) -> [u8; NONCE_LEN] {
    let mut nonce = [0; NONCE_LEN];
    let (fixed, tag_room) = nonce.split_at_mut(NONCE_LEN - TAG_LEN);
    let (cookie, rest) = fixed.split_at_mut(COOKIE.len());
    let (feature_room, expiry) = rest.split_at_mut(FEATURES_LEN);
    cookie.copy_from_slice(COOKIE);
    feature_room.copy_from_slice(&features.encoded());
    let seconds = (expires.0 / 1_000_000_000) as u32;
    for (digit, place) in expiry.iter_mut().zip((0..EXPIRY_LEN).rev()) {
        *digit = b"0123456789abcdef"[(seconds >> (place * 4) & 15) as usize];
    }
    tag_room.copy_from_slice(&tag(key, client, fixed));
    nonce
}

/// Whether a nonce was made for this client and is still good.
pub(crate) fn is_good(key: &[u8; 32], client: &Client, nonce: &[u8], now: Nanos) -> bool {
    let Ok(nonce) = <&[u8; NONCE_LEN]>::try_from(nonce) else {
        return false;
    };
    let (fixed, found) = nonce.split_at(NONCE_LEN - TAG_LEN);
    if !same_bytes(&tag(key, client, fixed), found) {
        return false;
    }
    let expiry = std::str::from_utf8(&fixed[COOKIE.len() + FEATURES_LEN..])
        .ok()
        .and_then(|digits| u32::from_str_radix(digits, 16).ok());
    expiry.is_some_and(|expiry| u64::from(expiry) * 1_000_000_000 > now.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Via;

    #[test]
    fn a_nonce_is_good_for_its_client_its_time_and_its_key_alone() {
        let client = |text: &str| Client {
            address: text.parse().unwrap(),
            via: Via::Udp(0),
        };
        let (ours, other) = (client("192.0.2.1:5"), client("192.0.2.1:6"));
        let features = Features {
            user_anonymity: true,
        };
        let nonce = make(&[1; 32], &ours, features, Nanos::from_millis(9_000));
        assert!(nonce.starts_with(b"obMatJos2wAAA"));
        let good =
            |key, client, nonce: &[u8], ms| is_good(key, client, nonce, Nanos::from_millis(ms));
        assert!(good(&[1; 32], &ours, &nonce, 8_999));
        assert!(!good(&[1; 32], &ours, &nonce, 9_000));
        assert!(!good(&[1; 32], &other, &nonce, 0));
        assert!(!good(&[2; 32], &ours, &nonce, 0));
        for index in 0..NONCE_LEN {
            let mut changed = nonce;
            changed[index] ^= 1;
            assert!(!good(&[1; 32], &ours, &changed, 0), "character {index}");
        }
        assert!(!good(&[1; 32], &ours, b"", 0));
    }
}
