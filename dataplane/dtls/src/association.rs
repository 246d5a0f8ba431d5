//! One handshake and what is left of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dimpl::{Config, Dtls, DtlsCertificate, SrtpProfile};
use plenum_abi::{MasterKeys, Nanos, SrtpSuite};

/// Largest datagram that we make, bytes: what every path carries (RFC 8200 section 5)
/// less the headers of IPv6, UDP and a TURN channel.
const MTU: usize = 1_200;
/// First repetition of a flight. The path is known to work, and most are far quicker.
const FLIGHT_RTO: Duration = Duration::from_millis(400);
/// Repetitions, each after twice the time: the last some 25 s after the first.
const FLIGHT_RETRIES: usize = 6;
/// A handshake takes this long at most.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// Certificate and key are of no use together.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the certificate for browsers, or its key, is not one on P-256 or P-384")]
pub struct UnusableIdentity;

/// Who we are: one for all associations.
#[derive(Clone)]
pub struct Identity {
    config: Arc<Config>,
    certificate: DtlsCertificate,
}

impl std::fmt::Debug for Identity {
    /// Keys never reach a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

impl Identity {
    /// From an X.509 certificate and its ECDSA key (PKCS #8), both DER.
    ///
    /// # Errors
    /// [`UnusableIdentity`].
    pub fn new(certificate: Vec<u8>, private_key: Vec<u8>) -> Result<Self, UnusableIdentity> {
        let config = Config::builder()
            .mtu(MTU)
            .use_server_cookie(false)
            .require_client_certificate(true)
            .flight_start_rto(FLIGHT_RTO)
            .flight_retries(FLIGHT_RETRIES)
            .handshake_timeout(HANDSHAKE_TIMEOUT)
            .build()
            .map_err(|_| UnusableIdentity)?;
        let keys = config.crypto_provider().key_provider;
        keys.load_private_key(&private_key)
            .map_err(|_| UnusableIdentity)?;
        Ok(Self {
            config: Arc::new(config),
            certificate: DtlsCertificate {
                certificate,
                private_key,
            },
        })
    }

    /// SHA-256 of the certificate (RFC 8122 section 5).
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        fingerprint(&self.certificate.certificate)
    }
}

/// Runs `run`; `None` when it panicked.
fn guarded<T>(run: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(run)).ok()
}

fn fingerprint(certificate: &[u8]) -> [u8; 32] {
    let digest = ring::digest::digest(&ring::digest::SHA256, certificate);
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(digest.as_ref());
    fingerprint
}

/// Who begins (RFC 4145: `a=setup`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// We do.
    Client,
    /// The far end does.
    Server,
}

/// Why there will be no keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Failure {
    /// The far end is not the one that the signalling told of.
    #[error("the far end's certificate is another one")]
    Fingerprint,
    /// The far end offered no protection profile of ours (RFC 5764 section 4.1).
    #[error("no SRTP profile in common")]
    NoProfile,
    /// The handshake broke or took too long.
    #[error("the handshake failed")]
    Handshake,
    /// The far end ended the association.
    #[error("the far end closed")]
    Closed,
}

/// Keys of both directions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SessionKeys {
    /// How packets are protected.
    pub suite: SrtpSuite,
    /// Keys under which we send.
    pub tx: MasterKeys,
    /// Keys under which we receive.
    pub rx: MasterKeys,
}

impl SessionKeys {
    /// Client key, server key, client salt, server salt (RFC 5764 section 4.2).
    fn new(profile: SrtpProfile, material: &[u8], role: Role) -> Option<Self> {
        let suite = match profile {
            SrtpProfile::AES128_CM_SHA1_80 => SrtpSuite::AesCm128HmacSha1_80,
            SrtpProfile::AEAD_AES_128_GCM => SrtpSuite::AeadAes128Gcm,
            SrtpProfile::AEAD_AES_256_GCM => SrtpSuite::AeadAes256Gcm,
            _ => return None,
        };
        let (client_key, rest) = material.split_at_checked(suite.key_len())?;
        let (server_key, rest) = rest.split_at_checked(suite.key_len())?;
        let (client_salt, server_salt) = rest.split_at_checked(suite.salt_len())?;
        let client = MasterKeys::new(suite, &[client_key, client_salt].concat())?;
        let server = MasterKeys::new(suite, &[server_key, server_salt].concat())?;
        let (tx, rx) = match role {
            Role::Client => (client, server),
            Role::Server => (server, client),
        };
        Some(Self { suite, tx, rx })
    }
}

/// What an association wants done, or has to tell.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Output {
    /// The first `len` bytes of the buffer are to be sent.
    Datagram {
        /// How many.
        len: usize,
    },
    /// The far end is who it should be, and these are the keys. Said once.
    Keys(SessionKeys),
    /// There is nothing more to come.
    Failed(Failure),
}

/// What is known of the far end's certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Peer {
    Unknown,
    Right,
    Wrong,
}

/// See the [crate](crate).
#[derive(Debug)]
pub struct Association {
    inner: Dtls,
    /// What stands for the clock's zero in the inner machine.
    epoch: Instant,
    role: Role,
    expected: [u8; 32],
    peer: Peer,
    keys: Option<SessionKeys>,
    /// Whether there were keys, said or not.
    keyed: bool,
    connected: bool,
    deadline: Nanos,
    failure: Option<Failure>,
    over: bool,
}

impl Association {
    /// An association that has not begun. `epoch` is any instant, the same for all
    /// associations of a process; `expected` is the SHA-256 of the far end's
    /// certificate.
    #[must_use]
    pub fn new(
        now: Nanos,
        epoch: Instant,
        identity: &Identity,
        role: Role,
        expected: [u8; 32],
    ) -> Self {
        let config = Arc::clone(&identity.config);
        let certificate = identity.certificate.clone();
        let start = epoch + Duration::from_nanos(now.0);
        let mut association = Self {
            inner: Dtls::new_auto(config, certificate, start),
            epoch,
            role,
            expected,
            peer: Peer::Unknown,
            keys: None,
            keyed: false,
            connected: false,
            deadline: now,
            failure: None,
            over: false,
        };
        association.fenced(|inner| {
            inner.set_active(role == Role::Client);
            inner.handle_timeout(start)
        });
        association
    }

    /// Runs the inner machine. It eats bytes of strangers; should one of them find a
    /// way to make it panic, the association ends and not the worker.
    fn fenced(&mut self, run: impl FnOnce(&mut Dtls) -> Result<(), dimpl::Error>) {
        if self.failure.is_some() || self.over {
            return;
        }
        let outcome = guarded(|| run(&mut self.inner));
        if !matches!(outcome, Some(Ok(()))) {
            // Whatever comes after the keys can only be noise: media goes on.
            self.failure = Some(Failure::Handshake);
        }
    }

    /// Takes a datagram from the far end. Noise in it is ignored.
    pub fn on_datagram(&mut self, now: Nanos, datagram: &[u8]) {
        let instant = self.epoch + Duration::from_nanos(now.0);
        self.fenced(|inner| {
            inner.handle_timeout(instant)?;
            inner.handle_packet(datagram)
        });
    }

    /// Does what is due. To be called when [`Self::deadline`] has come; earlier does
    /// no harm.
    pub fn on_timeout(&mut self, now: Nanos) {
        let instant = self.epoch + Duration::from_nanos(now.0);
        self.fenced(|inner| inner.handle_timeout(instant));
    }

    /// The next output; `None` when there is no more. `buffer` has room for a
    /// datagram (1,200 bytes).
    pub fn poll(&mut self, buffer: &mut [u8]) -> Option<Output> {
        while !self.over {
            if let Some(failure) = self.failure {
                self.over = true;
                self.deadline = Nanos(u64::MAX);
                return Some(Output::Failed(failure));
            }
            match self.poll_inner(buffer) {
                Step::Say(output) => return Some(output),
                Step::Settled => return None,
                Step::GoOn => {}
            }
        }
        None
    }

    fn poll_inner(&mut self, buffer: &mut [u8]) -> Step {
        let inner = &mut self.inner;
        let Some(polled) = guarded(move || inner.poll_output(buffer)) else {
            self.failure = Some(Failure::Handshake);
            return Step::GoOn;
        };
        match polled {
            dimpl::Output::Packet(packet) => {
                return Step::Say(Output::Datagram { len: packet.len() });
            }
            dimpl::Output::Timeout(at) => {
                let since = at.saturating_duration_since(self.epoch);
                self.deadline = Nanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX));
                if self.connected && !self.keyed {
                    self.failure = Some(Failure::NoProfile);
                    return Step::GoOn;
                }
                return Step::Settled;
            }
            dimpl::Output::PeerCert(certificate) => {
                if fingerprint(certificate) == self.expected {
                    self.peer = Peer::Right;
                } else {
                    self.peer = Peer::Wrong;
                    self.failure = Some(Failure::Fingerprint);
                }
            }
            dimpl::Output::KeyingMaterial(material, profile) => {
                self.keys = SessionKeys::new(profile, &material, self.role);
                self.keyed = self.keys.is_some();
            }
            dimpl::Output::Connected => self.connected = true,
            dimpl::Output::CloseNotify => self.failure = Some(Failure::Closed),
            dimpl::Output::BufferTooSmall { .. } => self.failure = Some(Failure::Handshake),
            // Nobody uses the association for data.
            _ => {}
        }
        self.finish()
    }

    /// The keys, once the handshake is through and the certificate is the right one.
    fn finish(&mut self) -> Step {
        let proven = self.peer == Peer::Right && self.connected && self.failure.is_none();
        if proven && let Some(keys) = self.keys.take() {
            return Step::Say(Output::Keys(keys));
        }
        Step::GoOn
    }

    /// When [`Self::on_timeout`] is to be called next.
    #[must_use]
    pub const fn deadline(&self) -> Nanos {
        self.deadline
    }
}

/// What one poll of the inner machine came to.
enum Step {
    Say(Output),
    GoOn,
    Settled,
}
