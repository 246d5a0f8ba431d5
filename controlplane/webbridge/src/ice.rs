//! TURN servers for browsers, with credentials that end.
//!
//! The user name is when they end and for whom they are; the password follows
//! from it by a secret that the TURN server shares (the usual scheme of a "TURN
//! REST API"): so nobody has to tell the server about each participant.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use plenum_model::CallLegId;
use serde::Serialize;

/// How long credentials are good: longer than most meetings, as a browser cannot
/// change them while it uses them.
const LIFETIME_S: u64 = 12 * 3_600;

/// One entry of `RTCConfiguration.iceServers`.
#[derive(Clone, Eq, PartialEq, Serialize)]
pub struct IceServer {
    /// `turn:host:port?transport=udp` and its kin.
    pub urls: Vec<String>,
    /// Empty for STUN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

impl std::fmt::Debug for IceServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IceServer")
            .field("urls", &self.urls)
            .finish_non_exhaustive()
    }
}

/// The TURN servers that browsers are told of.
#[derive(Clone, Default)]
pub struct TurnServers {
    /// `turn:`, `turns:` and `stun:` URLs (RFC 7065, RFC 7064).
    pub urls: Vec<String>,
    /// Shared with the servers.
    pub secret: String,
}

impl std::fmt::Debug for TurnServers {
    /// Secrets never reach a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TurnServers")
            .field("urls", &self.urls)
            .finish_non_exhaustive()
    }
}

impl TurnServers {
    /// What a participant is told at `now_s` (seconds of the Unix clock).
    #[must_use]
    pub fn ice_servers(&self, participant: CallLegId, now_s: u64) -> Vec<IceServer> {
        let (stun, turn): (Vec<String>, Vec<String>) = self
            .urls
            .iter()
            .cloned()
            .partition(|url| url.starts_with("stun"));
        let mut servers = Vec::new();
        if !stun.is_empty() {
            servers.push(IceServer {
                urls: stun,
                username: None,
                credential: None,
            });
        }
        if !turn.is_empty() {
            let username = format!("{}:{participant}", now_s.saturating_add(LIFETIME_S));
            let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, self.secret.as_bytes());
            let credential = STANDARD.encode(hmac::sign(&key, username.as_bytes()));
            servers.push(IceServer {
                urls: turn,
                username: Some(username),
                credential: Some(credential),
            });
        }
        servers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_end_and_belong_to_one_participant() {
        let turn = TurnServers {
            urls: vec![
                "stun:turn.example.org".into(),
                "turn:turn.example.org:3478?transport=udp".into(),
            ],
            secret: "north".into(),
        };
        let id = CallLegId::from_bytes([0; 16]);
        let servers = turn.ice_servers(id, 1_000);
        assert_eq!(servers.len(), 2);
        assert_eq!(servers[0].username, None);
        let username = servers[1].username.as_deref().unwrap();
        assert_eq!(username, "44200:00000000-0000-0000-0000-000000000000");
        // printf '44200:0000...' | openssl dgst -sha1 -hmac north -binary | base64
        let credential = servers[1].credential.as_deref().unwrap();
        assert_eq!(credential, "s09KDki52n8sm45cqUQJtgUqok4=");
        let later = turn.ice_servers(id, 1_001);
        assert_ne!(later[1].credential, servers[1].credential);
        assert!(!format!("{turn:?} {servers:?}").contains("north"));
        assert!(!format!("{servers:?}").contains(credential));
    }

    #[test]
    fn without_servers_nothing_is_told() {
        let none = TurnServers::default();
        assert_eq!(none.ice_servers(CallLegId::from_bytes([0; 16]), 1), []);
    }
}
