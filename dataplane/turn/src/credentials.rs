//! Who may come in: long-term credentials that are kept, and time-limited ones
//! that are computed.
//!
//! Time-limited ones need no table: the user name is `expiry` or `expiry:name`
//! (seconds of the Unix clock), and the password is the base64 of the HMAC-SHA1
//! of that name under a secret that the server shares with whoever hands
//! credentials out. Several secrets count at the same time, so that they can be
//! changed without a gap.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use plenum_stun::{Key, PasswordAlgorithm, hmac_sha1, user_hash};

/// Longest user name (RFC 8489 section 14.3: 508 bytes).
const USER_MAX: usize = 508;

/// The keys of a kept user; passwords are not kept.
#[derive(Clone, Debug)]
struct KeptUser {
    name: Vec<u8>,
    md5: Key,
    sha256: Key,
}

impl KeptUser {
    fn key(&self, algorithm: PasswordAlgorithm) -> Key {
        match algorithm {
            PasswordAlgorithm::Md5 => self.md5,
            PasswordAlgorithm::Sha256 => self.sha256,
        }
    }
}

/// A realm and its users.
#[derive(Clone)]
pub struct Realm {
    name: String,
    secrets: Vec<Vec<u8>>,
    /// By USERHASH.
    users: HashMap<[u8; 32], KeptUser>,
}

impl std::fmt::Debug for Realm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Realm")
            .field("name", &self.name)
            .field("users", &self.users.len())
            .finish_non_exhaustive()
    }
}

/// A user as a request named it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Named<'a> {
    Name(&'a [u8]),
    Hash([u8; 32]),
}

/// Who a request says to be from, and the keys that would prove it.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// Stands for realm and full user name.
    pub(crate) user: [u8; 16],
    /// Stands for realm and the name that quotas count by.
    pub(crate) quota: [u8; 16],
    /// One, or one for each secret.
    pub(crate) keys: Vec<Key>,
}

impl Realm {
    /// A realm in which nobody may come in yet. Its name has at most 127
    /// characters (RFC 8489 section 14.9); what is longer is cut off.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.chars().take(127).collect(),
            secrets: Vec::new(),
            users: HashMap::new(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Lets time-limited credentials of this secret in.
    #[must_use]
    pub fn with_secret(mut self, secret: &[u8]) -> Self {
        self.secrets.push(secret.to_vec());
        self
    }

    /// Lets a user in.
    #[must_use]
    pub fn with_user(mut self, name: &str, password: &str) -> Self {
        let key = |algorithm| {
            Key::long_term(
                algorithm,
                name.as_bytes(),
                self.name.as_bytes(),
                password.as_bytes(),
            )
        };
        let user = KeptUser {
            name: name.as_bytes().to_vec(),
            md5: key(PasswordAlgorithm::Md5),
            sha256: key(PasswordAlgorithm::Sha256),
        };
        let hash = user_hash(name.as_bytes(), self.name.as_bytes());
        self.users.insert(hash, user);
        self
    }

    /// Whether a user can be found by USERHASH: not those of a secret.
    pub(crate) fn knows_hashes(&self) -> bool {
        self.secrets.is_empty()
    }

    /// What stands for this realm and a name.
    fn short(&self, name: &[u8]) -> [u8; 16] {
        shortened(user_hash(name, self.name.as_bytes()))
    }

    /// What stands for the user that a request names, whether or not there is one.
    pub(crate) fn identify(&self, named: Named<'_>) -> [u8; 16] {
        match named {
            Named::Name(name) => self.short(name),
            Named::Hash(hash) => shortened(hash),
        }
    }

    /// The keys that would prove a user; `None` when nothing would.
    pub(crate) fn candidate(
        &self,
        named: Named<'_>,
        algorithm: PasswordAlgorithm,
        unix_s: u64,
    ) -> Option<Candidate> {
        let hash = match named {
            Named::Name(name) if name.len() > USER_MAX => return None,
            Named::Name(name) => user_hash(name, self.name.as_bytes()),
            Named::Hash(hash) => hash,
        };
        if let Some(user) = self.users.get(&hash) {
            return Some(Candidate {
                user: shortened(hash),
                quota: self.short(&user.name),
                keys: vec![user.key(algorithm)],
            });
        }
        let Named::Name(name) = named else {
            return None;
        };
        let (expiry, rest) = match name.iter().position(|byte| *byte == b':') {
            Some(colon) => (&name[..colon], &name[colon + 1..]),
            None => (name, &[][..]),
        };
        let expiry: u64 = std::str::from_utf8(expiry).ok()?.parse().ok()?;
        if expiry <= unix_s || self.secrets.is_empty() {
            return None;
        }
        let keys = self.secrets.iter().map(|secret| {
            let password = STANDARD.encode(hmac_sha1(secret, &[name]));
            Key::long_term(algorithm, name, self.name.as_bytes(), password.as_bytes())
        });
        Some(Candidate {
            user: shortened(hash),
            // Who has no name of its own is counted by its credentials.
            quota: self.short(if rest.is_empty() { name } else { rest }),
            keys: keys.collect(),
        })
    }
}

fn shortened(hash: [u8; 32]) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&hash[..16]);
    short
}

/// Time-limited credentials: the user name and the password that go with a
/// secret. `user` must not be empty where quotas are to count by it.
#[must_use]
pub fn credentials(secret: &[u8], user: &str, expires_unix_s: u64) -> (String, String) {
    let name = match user {
        "" => expires_unix_s.to_string(),
        user => format!("{expires_unix_s}:{user}"),
    };
    let password = STANDARD.encode(hmac_sha1(secret, &[name.as_bytes()]));
    (name, password)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn candidate(realm: &Realm, name: &str) -> Option<Candidate> {
        realm.candidate(Named::Name(name.as_bytes()), PasswordAlgorithm::Md5, NOW)
    }

    #[test]
    fn time_limited_credentials_are_good_until_their_time_and_with_every_secret() {
        let realm = Realm::new("example.org")
            .with_secret(b"old")
            .with_secret(b"new");
        for secret in [&b"old"[..], b"new"] {
            let (name, password) = credentials(secret, "alice", NOW + 1);
            assert_eq!(name, format!("{}:alice", NOW + 1));
            let key = Key::long_term(
                PasswordAlgorithm::Md5,
                name.as_bytes(),
                b"example.org",
                password.as_bytes(),
            );
            assert!(candidate(&realm, &name).unwrap().keys.contains(&key));
        }
        assert!(candidate(&realm, &format!("{NOW}:alice")).is_none(), "over");
        for nonsense in ["", ":", "alice", "-1:alice", "99999999999999999999:alice"] {
            assert!(candidate(&realm, nonsense).is_none(), "{nonsense}");
        }
    }

    #[test]
    fn a_users_credentials_of_different_times_count_together() {
        let realm = Realm::new("r").with_secret(b"s");
        let quota = |name: String| candidate(&realm, &name).unwrap().quota;
        let (one, two) = (format!("{}:alice", NOW + 5), format!("{}:alice", NOW + 9));
        assert_eq!(quota(one), quota(two));
        assert_ne!(
            quota(format!("{}:alice", NOW + 5)),
            quota(format!("{}:bob", NOW + 5))
        );
        assert_ne!(quota(format!("{}", NOW + 5)), quota(format!("{}", NOW + 9)));
    }

    #[test]
    fn kept_users_are_found_by_name_and_by_hash() {
        let realm = Realm::new("r").with_user("bob", "pw");
        let by_name = candidate(&realm, "bob").unwrap();
        let hash = Named::Hash(user_hash(b"bob", b"r"));
        let by_hash = realm.candidate(hash, PasswordAlgorithm::Md5, NOW).unwrap();
        assert_eq!(by_name.user, by_hash.user);
        assert_eq!(by_name.keys, by_hash.keys);
        assert_eq!(realm.identify(hash), by_name.user);
        assert!(candidate(&realm, "eve").is_none());
        assert!(!format!("{realm:?}").contains("pw"));
    }
}
