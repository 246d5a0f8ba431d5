//! What a stack is started with.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How SIP messages travel.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Datagrams (RFC 3261 section 18).
    Udp,
    /// A TCP connection.
    Tcp,
    /// TLS over TCP.
    Tls,
}

impl Transport {
    /// As in a Via header: `UDP`, `TCP`, `TLS`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }

    /// Whether messages arrive once and in order.
    #[must_use]
    pub const fn is_reliable(self) -> bool {
        !matches!(self, Self::Udp)
    }

    /// The port where none is given.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One address to listen on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Listener {
    /// How.
    pub transport: Transport,
    /// Where. Port 0 takes any free one; an unspecified address listens on all
    /// and advertises, to each peer, the address that routes to it.
    pub address: SocketAddr,
}

/// Certificate and trust for TLS.
#[derive(Clone)]
pub struct TlsConfig {
    /// For connections to us.
    pub server: Arc<rustls::ServerConfig>,
    /// For connections from us.
    pub client: Arc<rustls::ClientConfig>,
}

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsConfig(..)")
    }
}

/// Looks up the password of a user name; `None` where there is no such user.
pub type CredentialLookup = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Digest authentication of incoming INVITEs (RFC 8760: SHA-256, and MD5 for
/// phones that know nothing newer).
#[derive(Clone)]
pub struct DigestConfig {
    /// The realm that is shown to callers.
    pub realm: String,
    /// Passwords.
    pub lookup: CredentialLookup,
}

impl fmt::Debug for DigestConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DigestConfig")
            .field("realm", &self.realm)
            .finish_non_exhaustive()
    }
}

/// Timers of RFC 3261 table 4 and of the connections. The defaults are the RFC's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timers {
    /// Round-trip estimate; everything else scales with it.
    pub t1: Duration,
    /// Longest retransmission interval.
    pub t2: Duration,
    /// How long a message may live in the network.
    pub t4: Duration,
    /// How long an outgoing INVITE may ring (timer C).
    pub ringing_max: Duration,
    /// How long a connection may take to be set up, TLS handshake included.
    pub connect_max: Duration,
    /// How long a connection may be silent while no dialog uses it.
    pub idle_max: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            ringing_max: Duration::from_secs(180),
            connect_max: Duration::from_secs(10),
            idle_max: Duration::from_secs(300),
        }
    }
}

/// What a stack is started with.
#[derive(Clone, Debug)]
pub struct SipConfig {
    /// Where to listen; at least one.
    pub listen: Vec<Listener>,
    /// Needed for [`Transport::Tls`] listeners and for calls out over TLS.
    pub tls: Option<TlsConfig>,
    /// For Server and User-Agent headers.
    pub user_agent: String,
    /// Session-Expires that we ask for, seconds (RFC 4028); at least
    /// [`Self::min_session_expires_s`].
    pub session_expires_s: u32,
    /// Min-SE: shorter wishes are answered 422. At least 90.
    pub min_session_expires_s: u32,
    /// Dialogs and half-open INVITEs together; beyond them INVITEs are answered
    /// 503 without keeping state.
    pub max_dialogs: usize,
    /// TCP and TLS connections together; beyond them new ones are closed at once.
    pub max_connections: usize,
    /// The Retry-After of the stack's own 503, seconds.
    pub retry_after_s: u32,
    /// Ask callers for credentials.
    pub digest: Option<DigestConfig>,
    /// Timers.
    pub timers: Timers,
}

impl Default for SipConfig {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            tls: None,
            user_agent: concat!("Plenum/", env!("CARGO_PKG_VERSION")).to_owned(),
            session_expires_s: 1800,
            min_session_expires_s: 90,
            max_dialogs: 10_000,
            max_connections: 10_000,
            retry_after_s: 30,
            digest: None,
            timers: Timers::default(),
        }
    }
}
