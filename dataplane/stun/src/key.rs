//! Keys of the two credential mechanisms (RFC 8489 sections 9.1 and 9.2) and
//! the hashes they are made of.

use md5::{Digest, Md5};
use ring::{digest, hmac};

/// How a long-term password becomes a key (RFC 8489 section 18.5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PasswordAlgorithm {
    /// What everybody speaks.
    Md5,
    /// Only together with the PASSWORD-ALGORITHM attribute.
    Sha256,
}

impl PasswordAlgorithm {
    /// Its number in PASSWORD-ALGORITHM.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::Md5 => 1,
            Self::Sha256 => 2,
        }
    }

    /// The algorithm of a number.
    #[must_use]
    pub const fn from_number(number: u16) -> Option<Self> {
        match number {
            1 => Some(Self::Md5),
            2 => Some(Self::Sha256),
            _ => None,
        }
    }
}

/// A key for message integrity. It is a secret: it shows nothing in a log.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Key {
    bytes: [u8; 32],
    len: u8,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Key {
    /// The key of long-term credentials.
    #[must_use]
    pub fn long_term(
        algorithm: PasswordAlgorithm,
        user: &[u8],
        realm: &[u8],
        password: &[u8],
    ) -> Self {
        let parts = [user, b":", realm, b":", password];
        match algorithm {
            PasswordAlgorithm::Md5 => {
                let mut hash = Md5::new();
                for part in parts {
                    hash.update(part);
                }
                let mut bytes = [0; 32];
                bytes[..16].copy_from_slice(&hash.finalize());
                Self { bytes, len: 16 }
            }
            PasswordAlgorithm::Sha256 => Self {
                bytes: sha256(&parts),
                len: 32,
            },
        }
    }

    /// A key that was kept as bytes; `None` when it is neither 16 nor 32 long.
    #[must_use]
    pub fn from_bytes(key: &[u8]) -> Option<Self> {
        if !matches!(key.len(), 16 | 32) {
            return None;
        }
        let mut bytes = [0; 32];
        bytes[..key.len()].copy_from_slice(key);
        let len = key.len() as u8;
        Some(Self { bytes, len })
    }

    /// The key as bytes: 16 of MD5, 32 of SHA-256.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = digest::Context::new(&digest::SHA256);
    for part in parts {
        hash.update(part);
    }
    let mut bytes = [0; 32];
    bytes.copy_from_slice(hash.finish().as_ref());
    bytes
}

/// What stands in USERHASH for a user (RFC 8489 section 14.4).
#[must_use]
pub fn user_hash(user: &[u8], realm: &[u8]) -> [u8; 32] {
    sha256(&[user, b":", realm])
}

fn tag<const N: usize>(algorithm: hmac::Algorithm, key: &[u8], parts: &[&[u8]]) -> [u8; N] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(algorithm, key));
    for part in parts {
        context.update(part);
    }
    let mut bytes = [0; N];
    bytes.copy_from_slice(context.sign().as_ref());
    bytes
}

/// HMAC-SHA1 over all parts.
#[must_use]
pub fn hmac_sha1(key: &[u8], parts: &[&[u8]]) -> [u8; 20] {
    tag(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key, parts)
}

/// HMAC-SHA256 over all parts.
#[must_use]
pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    tag(hmac::HMAC_SHA256, key, parts)
}

/// Compares secrets; how long it takes tells only their length.
#[must_use]
pub fn same_bytes(a: &[u8], b: &[u8]) -> bool {
    let differences = a
        .iter()
        .zip(b)
        .fold(0, |differences, (a, b)| differences | (a ^ b));
    a.len() == b.len() && std::hint::black_box(differences) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_being_kept_and_show_nothing() {
        for algorithm in [PasswordAlgorithm::Md5, PasswordAlgorithm::Sha256] {
            let key = Key::long_term(algorithm, b"user", b"realm", b"pass");
            assert_eq!(Key::from_bytes(key.as_bytes()), Some(key));
            assert_eq!(format!("{key:?}"), "Key(..)");
            assert_eq!(
                PasswordAlgorithm::from_number(algorithm.number()),
                Some(algorithm)
            );
        }
        assert_eq!(Key::from_bytes(&[0; 20]), None);
    }

    #[test]
    fn secrets_are_the_same_only_when_all_of_them_is() {
        assert!(same_bytes(b"", b""));
        assert!(same_bytes(b"abc", b"abc"));
        assert!(!same_bytes(b"abc", b"abd"));
        assert!(!same_bytes(b"abc", b"ab"));
    }
}
