//! The agent of one leg.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use is::stun::{StunMessage, StunPacket};
use is::{IceAgent, IceAgentEvent, IceCreds, Protocol};
use plenum_abi::{IceCredentials, Nanos};

/// Addresses of one far end from which packets are believed, between two restarts.
/// Each is a pair to check for as long as it lives, so they are few.
pub const SOURCES_MAX: usize = 16;
/// Candidates that a far end may name, between two restarts.
pub const CANDIDATES_MAX: usize = 32;
/// Addresses under which a far end may say that it sees us: one for each NAT on
/// the way from one of our addresses, and some for NATs that changed their mind.
const MAPPED_MAX: usize = 16;
/// Consent to send ends so long after the last answer (RFC 7675 section 5.1).
pub const CONSENT: Duration = Duration::from_secs(30);
/// A path that was not found for so long counts as failed; the search goes on.
pub const GIVE_UP: Duration = Duration::from_secs(30);

/// Who nominates (RFC 8445 section 6.1.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// We do.
    Controlling,
    /// The far end does.
    Controlled,
}

/// What a candidate is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CandidateKind {
    /// Of an interface.
    Host,
    /// Of a NAT, as a STUN server saw it.
    ServerReflexive,
    /// Of a NAT, as a peer saw it.
    PeerReflexive,
    /// Of a TURN server.
    Relayed,
}

impl CandidateKind {
    /// By its number in [`plenum_abi::AddCandidate::kind`].
    #[must_use]
    pub const fn from_u8(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Host,
            2 => Self::ServerReflexive,
            3 => Self::PeerReflexive,
            4 => Self::Relayed,
            _ => return None,
        })
    }
}

/// An address at which the far end may be found, over UDP.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Candidate {
    /// The address.
    pub address: SocketAddr,
    /// Its priority (RFC 8445 section 5.1.2).
    pub priority: u32,
    /// What it is.
    pub kind: CandidateKind,
}

/// Where datagrams go and come from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Path {
    /// Our address.
    pub local: SocketAddr,
    /// The far end's.
    pub remote: SocketAddr,
}

/// What an agent wants done, or has to tell.
#[derive(Debug)]
pub enum Output {
    /// A STUN message is to be sent on `path`.
    Send {
        /// Where.
        path: Path,
        /// Its bytes.
        datagram: Vec<u8>,
    },
    /// The far end has proved that it sends from this address.
    Source(SocketAddr),
    /// Everything is to go this way from now on; also said when a lost path is back.
    Selected(Path),
    /// The far end has not answered for [`CONSENT`]: nothing may be sent any more,
    /// until a path is selected again.
    Lost,
    /// No path was found for [`GIVE_UP`]. Said once; the search goes on.
    Failed,
}

/// How far the search is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Searching {
        since: Nanos,
    },
    Failed,
    /// With the time of the last answer.
    Consented {
        at: Nanos,
    },
}

/// See the [crate](crate).
#[derive(Debug)]
pub struct Agent {
    inner: IceAgent,
    /// What stands for the clock's zero in the inner agent.
    epoch: Instant,
    local: IceCredentials,
    remote: IceCredentials,
    state: State,
    selected: Option<Path>,
    sources: Vec<SocketAddr>,
    candidates: usize,
    mapped: Vec<SocketAddr>,
    /// What is said before anything of the inner agent's, newest last.
    said: Vec<Output>,
}

fn creds(credentials: &IceCredentials) -> IceCreds {
    IceCreds {
        ufrag: credentials.ufrag().to_owned(),
        pass: credentials.pwd().to_owned(),
    }
}

impl Agent {
    /// An agent that can send from and is reached on `addresses`. `epoch` is any
    /// instant, the same for all agents of a process; `tie_breaker` is random. The
    /// far end's credentials may be empty as long as they are not known.
    ///
    /// An address that no candidate can have (multicast, unspecified, IPv4 link
    /// local) is left out.
    #[must_use]
    pub fn new(
        now: Nanos,
        epoch: Instant,
        credentials: [&IceCredentials; 2],
        role: Role,
        addresses: &[SocketAddr],
        tie_breaker: u64,
    ) -> Self {
        let [local, remote] = credentials;
        let mut inner = IceAgent::new(creds(local));
        inner.set_controlling(role == Role::Controlling);
        inner.set_control_tie_breaker(tie_breaker);
        inner.set_max_candidate_pairs((CANDIDATES_MAX + SOURCES_MAX) * 2);
        for address in addresses {
            if let Ok(candidate) = is::Candidate::host(*address, Protocol::Udp) {
                inner.add_local_candidate(candidate);
            }
        }
        let mut agent = Self {
            inner,
            epoch,
            local: *local,
            remote: IceCredentials::default(),
            state: State::Searching { since: now },
            selected: None,
            sources: Vec::with_capacity(SOURCES_MAX),
            candidates: 0,
            mapped: Vec::with_capacity(MAPPED_MAX),
            said: Vec::new(),
        };
        agent.set_remote(remote);
        agent.inner.handle_timeout(agent.instant(now));
        agent
    }

    fn instant(&self, now: Nanos) -> Instant {
        self.epoch + Duration::from_nanos(now.0)
    }

    fn set_remote(&mut self, remote: &IceCredentials) {
        self.remote = *remote;
        if !remote.ufrag().is_empty() {
            self.inner.set_remote_credentials(creds(remote));
        }
    }

    /// Takes the newest credentials. The far end's first ones only complete the
    /// agent; any other change is a restart: candidates and checks begin anew, and
    /// what was selected stays in use until the new checks select something.
    pub fn configure(&mut self, now: Nanos, local: &IceCredentials, remote: &IceCredentials) {
        if (*local, *remote) == (self.local, self.remote) {
            return;
        }
        if *local == self.local && self.remote.ufrag().is_empty() {
            return self.set_remote(remote);
        }
        self.local = *local;
        self.inner.ice_restart(creds(local), true);
        self.set_remote(remote);
        self.candidates = 0;
        self.mapped.clear();
        let kept = self.selected.map(|path| path.remote);
        self.sources.retain(|source| Some(*source) == kept);
        self.inner.handle_timeout(self.instant(now));
    }

    /// Goes on with a path that a process before this one had selected, and with
    /// the consent that it had.
    pub fn resume(&mut self, path: Path, consent_at: Nanos) {
        self.selected = Some(path);
        self.state = State::Consented { at: consent_at };
        self.sources.push(path.remote);
        // The pair is checked like any other, which renews the consent.
        self.add_remote(&Candidate {
            address: path.remote,
            priority: 0,
            kind: CandidateKind::PeerReflexive,
        });
    }

    /// Adds a candidate of the far end; `false` when there are [`CANDIDATES_MAX`].
    pub fn add_remote(&mut self, candidate: &Candidate) -> bool {
        if self.candidates >= CANDIDATES_MAX {
            return false;
        }
        self.candidates += 1;
        let foundation = format!("{}", self.candidates);
        let kind = match candidate.kind {
            CandidateKind::Host => is::CandidateKind::Host,
            CandidateKind::ServerReflexive => is::CandidateKind::ServerReflexive,
            CandidateKind::PeerReflexive => is::CandidateKind::PeerReflexive,
            CandidateKind::Relayed => is::CandidateKind::Relayed,
        };
        self.inner.add_remote_candidate(is::Candidate::from_parts(
            foundation,
            1,
            Protocol::Udp,
            candidate.priority,
            candidate.address,
            kind,
            None,
            None,
            None,
        ));
        true
    }

    /// Takes a STUN message that came from `path.remote` to `path.local`; `false`
    /// when it is none, or not from the far end: it has then changed nothing.
    pub fn on_datagram(&mut self, now: Nanos, path: Path, datagram: &[u8]) -> bool {
        let Ok(message) = StunMessage::parse(datagram) else {
            return false;
        };
        if !self.inner.accepts_message(&message) {
            return false;
        }
        let answered = message.is_successful_binding_response();
        if answered {
            let Some(mapped) = message.mapped_address() else {
                return false;
            };
            if !remember(&mut self.mapped, mapped, MAPPED_MAX) {
                return false;
            }
        } else if message.is_binding_request() {
            let known = self.sources.contains(&path.remote);
            if !remember(&mut self.sources, path.remote, SOURCES_MAX) {
                return false;
            }
            if !known {
                self.said.push(Output::Source(path.remote));
            }
        }
        let packet = StunPacket {
            proto: Protocol::Udp,
            source: path.remote,
            destination: path.local,
            message,
        };
        self.inner.handle_packet(self.instant(now), packet);
        if answered && self.selected == Some(path) {
            if !matches!(self.state, State::Consented { .. }) {
                self.said.push(Output::Selected(path));
            }
            self.state = State::Consented { at: now };
        }
        true
    }

    /// Does what is due. To be called when [`Self::deadline`] has come; earlier does
    /// no harm.
    pub fn on_timeout(&mut self, now: Nanos) {
        match self.state {
            State::Consented { at } if now >= at + CONSENT => {
                self.state = State::Searching { since: now };
                self.said.push(Output::Lost);
            }
            State::Searching { since } if now >= since + GIVE_UP => {
                self.state = State::Failed;
                self.said.push(Output::Failed);
            }
            _ => {}
        }
        self.inner.handle_timeout(self.instant(now));
    }

    /// The next output; `None` when there is no more.
    pub fn poll(&mut self, now: Nanos) -> Option<Output> {
        if !self.said.is_empty() {
            return Some(self.said.remove(0));
        }
        if let Some(transmit) = self.inner.poll_transmit() {
            return Some(Output::Send {
                path: Path {
                    local: transmit.source,
                    remote: transmit.destination,
                },
                datagram: transmit.contents.into(),
            });
        }
        loop {
            match self.inner.poll_event()? {
                IceAgentEvent::NominatedSend {
                    source,
                    destination,
                    ..
                } => {
                    let path = Path {
                        local: source,
                        remote: destination,
                    };
                    // Its own check was answered just now.
                    let was = self.state;
                    self.state = State::Consented { at: now };
                    let same = self.selected.replace(path) == Some(path);
                    if !(same && matches!(was, State::Consented { .. })) {
                        return Some(Output::Selected(path));
                    }
                }
                // What we make of it ourselves: an address is believed when it sent a
                // check, a path is lost when consent is.
                IceAgentEvent::DiscoveredRecv { .. }
                | IceAgentEvent::IceConnectionStateChange(_)
                | IceAgentEvent::IceRestart(_) => {}
            }
        }
    }

    /// When [`Self::on_timeout`] is to be called next.
    pub fn deadline(&mut self) -> Nanos {
        let ours = match self.state {
            State::Consented { at } => at + CONSENT,
            State::Searching { since } => since + GIVE_UP,
            State::Failed => Nanos(u64::MAX),
        };
        let inner = self.inner.poll_timeout().map_or(Nanos(u64::MAX), |at| {
            let since = at.saturating_duration_since(self.epoch);
            Nanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
        });
        ours.min(inner)
    }

    /// The path in use, lost or not.
    #[must_use]
    pub const fn selected(&self) -> Option<Path> {
        self.selected
    }

    /// When the far end last answered on the selected path; `None` while nothing may
    /// be sent.
    #[must_use]
    pub const fn consent_at(&self) -> Option<Nanos> {
        match self.state {
            State::Consented { at } => Some(at),
            State::Searching { .. } | State::Failed => None,
        }
    }

    /// Addresses from which the far end has proved to send.
    #[must_use]
    pub fn sources(&self) -> &[SocketAddr] {
        &self.sources
    }

    /// Our credentials.
    #[must_use]
    pub const fn local(&self) -> &IceCredentials {
        &self.local
    }
}

/// Puts an address into a bounded list; `false` when it is full.
fn remember(addresses: &mut Vec<SocketAddr>, address: SocketAddr, most: usize) -> bool {
    if addresses.contains(&address) {
        return true;
    }
    if addresses.len() >= most {
        return false;
    }
    addresses.push(address);
    true
}
