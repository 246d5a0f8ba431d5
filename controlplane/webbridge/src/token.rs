//! Call access tokens: JWT (RFC 7519), HMAC with SHA-256.
//!
//! A token says whom it speaks for and nothing else. When it ends is not written
//! in it: it is good while its participant is in the call.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use plenum_model::CallLegId;
use serde::{Deserialize, Serialize};

/// Who issues them.
const ISSUER: &str = "plenum";
/// Longest token that is looked at, bytes; ours have some 200.
const LEN_MAX: usize = 1_024;

/// What is signed.
#[derive(Debug, Deserialize, Serialize)]
struct Claims {
    iss: String,
    /// Participant.
    sub: CallLegId,
    /// When it was issued, seconds of the Unix clock.
    iat: u64,
}

/// The key under which tokens are signed.
#[derive(Clone)]
pub struct TokenKey {
    sign: EncodingKey,
    verify: DecodingKey,
}

impl std::fmt::Debug for TokenKey {
    /// Keys never reach a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenKey(..)")
    }
}

impl TokenKey {
    /// From 32 random bytes that outlive the process.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        Self {
            sign: EncodingKey::from_secret(secret),
            verify: DecodingKey::from_secret(secret),
        }
    }

    /// A token for a participant; `None` where it cannot be signed.
    pub(crate) fn issue(&self, participant: CallLegId, now_s: u64) -> Option<String> {
        let claims = Claims {
            iss: ISSUER.to_owned(),
            sub: participant,
            iat: now_s,
        };
        encode(&Header::new(Algorithm::HS256), &claims, &self.sign).ok()
    }

    /// Whom a token speaks for; `None` where it is not one of ours.
    pub(crate) fn verify(&self, token: &str) -> Option<CallLegId> {
        if token.len() > LEN_MAX {
            return None;
        }
        let mut rules = Validation::new(Algorithm::HS256);
        rules.set_issuer(&[ISSUER]);
        rules.set_required_spec_claims(&["iss", "sub"]);
        rules.validate_exp = false;
        let token = decode::<Claims>(token, &self.verify, &rules).ok()?;
        Some(token.claims.sub)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::prelude::*;

    use super::*;

    fn key(byte: u8) -> TokenKey {
        TokenKey::new(&[byte; 32])
    }

    #[test]
    fn a_token_speaks_for_its_participant_under_its_key_alone() {
        let id = CallLegId::from_bytes([7; 16]);
        let token = key(1).issue(id, 1_800_000_000).unwrap();
        assert_eq!(key(1).verify(&token), Some(id));
        assert_eq!(key(2).verify(&token), None);
    }

    #[test]
    fn a_token_that_signs_itself_otherwise_is_refused() {
        let token = key(1)
            .issue(CallLegId::from_bytes([7; 16]), 1_800_000_000)
            .unwrap();
        let mut parts = token.split('.');
        let (_, claims, signature) = (
            parts.next().unwrap(),
            parts.next().unwrap(),
            parts.next().unwrap(),
        );
        for header in [
            r#"{"alg":"none"}"#,
            r#"{"typ":"JWT","alg":"HS384"}"#,
            r#"{"alg":"RS256"}"#,
        ] {
            let header = URL_SAFE_NO_PAD.encode(header);
            for signature in [signature, ""] {
                assert_eq!(
                    key(1).verify(&format!("{header}.{claims}.{signature}")),
                    None
                );
            }
        }
        assert_eq!(key(1).verify(&"x".repeat(LEN_MAX + 1)), None);
    }

    proptest! {
        #[test]
        fn no_changed_token_is_taken(at in 0_usize..400, byte: u8, cut in 0_usize..400) {
            let id = CallLegId::from_bytes([7; 16]);
            let token = key(1).issue(id, 1_800_000_000).unwrap();
            let mut bytes = token.clone().into_bytes();
            let len = bytes.len();
            bytes[at % len] = byte;
            let changed = String::from_utf8_lossy(&bytes).into_owned();
            // The last letter of base 64 has spare bits; those change nothing.
            if changed != token && at % len != len - 1 {
                prop_assert_eq!(key(1).verify(&changed), None);
            }
            let cut: String = token.chars().take(cut % len).collect();
            prop_assert_eq!(key(1).verify(&cut), None);
        }
    }
}
