//! Where a leg's media comes from and goes to: symmetric RTP (RFC 4961) with a
//! bounded rule.
//!
//! A phone behind a NAT signals an address it does not send from, so a server
//! must learn the real one from packets. A server that learns from any packet at
//! any time can be made to send a conference's sound to whoever sprays
//! packets at its ports ("RTP bleed"), and to play what they send. The rule:
//!
//! **Plain RTP** (anybody can send a packet):
//! - *Window*: for 5 s after set-up or [`AddressLearner::relearn`]. The signalled
//!   address is accepted from its first packet. Any other source must send 3
//!   packets in sequence under one SSRC; nothing of it is heard before.
//!   Should the signalled address speak after all, in the window and likewise in
//!   sequence, it takes over: the control plane's word beats a guess.
//! - *Locked*: only the locked address is accepted. It changes without the
//!   control plane only when its source has been silent for 3 s and a
//!   newcomer goes on with *its* SSRC, 3 packets in sequence, from a sequence
//!   number that the time gone by explains. That is a NAT which changed its
//!   mapping; an attacker off the path would have to guess 32 bits and more.
//! - *Re-INVITE*: the window opens again, but who was locked stays accepted, and
//!   no newcomer other than the signalled address gets in while they talk (1 s
//!   without a packet is not talking).
//! - *Nobody came in the window*: only the signalled address may still begin. A
//!   leg that waits for a stranger for ever is what RTP bleed looks for.
//!
//! **SRTP**: a packet that was authenticated and is not a replay is accepted
//! wherever it came from, and moves the address when it is newer than all before
//! it, at most once in 500 ms. (Somebody on the path who takes packets
//! away and delivers them himself can move the address; he could as well keep
//! them. What he gets is encrypted.) Only ICE's consent is stronger.
//!
//! **RTCP** on a port of its own has no sequence numbers. Plain: the signalled
//! RTCP address, or the host that RTP is locked to, under the SSRC that RTP
//! comes under; the port is then kept until RTP moves. SRTCP: like SRTP. With RTCP
//! on RTP's port: RTP's address, nothing is learned from plain RTCP.
//!
//! The module refuses to authenticate: what it is told of a packet must be true.

use core::time::Duration;

use plenum_abi::{Nanos, SocketAddress};

/// Newcomers watched at the same time; another replaces the one quiet longest.
pub const CANDIDATES_MAX: usize = 4;
/// Packets in sequence that make a newcomer believable.
const PROOF_PACKETS: u8 = 3;
/// How far a sequence number may step and still be "in sequence": a lost packet
/// or two must not keep a phone out.
const PROOF_STEP_MAX: u16 = 4;
/// How long learning is open after set-up or re-INVITE.
const WINDOW: Duration = Duration::from_secs(5);
/// Silence of the locked source after which its stream may go on from elsewhere.
const LOST_AFTER: Duration = Duration::from_secs(3);
/// Silence of the locked source after which a re-INVITE's newcomer may take over.
const QUIET_AFTER: Duration = Duration::from_secs(1);
/// Least time between two moves of an SRTP leg.
const MOVE_INTERVAL: Duration = Duration::from_millis(500);
/// Fastest packets believed when the time gone by must explain a sequence number.
const PACKETS_PER_SECOND_MAX: u64 = 400;

/// Fixed properties of a leg's learner.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LearnConfig {
    /// Where the far end said it receives RTP; [`SocketAddress::UNKNOWN`] if it did not.
    pub signalled_rtp: SocketAddress,
    /// Where it receives RTCP. Not read with `rtcp_mux`.
    pub signalled_rtcp: SocketAddress,
    /// Packets are authenticated (SRTP).
    pub secure: bool,
    /// RTP and RTCP share a port.
    pub rtcp_mux: bool,
    /// Addresses other than the signalled ones may be learned.
    pub learn: bool,
}

/// What the learner must know of an RTP packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RtpEvidence {
    /// Where the datagram came from.
    pub source: SocketAddress,
    /// SSRC of its header.
    pub ssrc: u32,
    /// Sequence number of its header.
    pub sequence: u16,
}

/// What the learner must know of an RTCP packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RtcpEvidence {
    /// Where the datagram came from.
    pub source: SocketAddress,
    /// SSRC of the sender of the compound packet.
    pub ssrc: u32,
}

/// What to do with a packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decision {
    /// Use it.
    Accept,
    /// Use it, and send there from now on: the address is new.
    Learned(SocketAddress),
    /// Drop and count it.
    Refuse(Refusal),
}

/// Why a packet was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Not from the leg's address.
    #[error("not from the leg's address")]
    Stranger,
    /// From an address that may become the leg's when more packets follow.
    #[error("from an address that is still on trial")]
    OnTrial,
}

/// A newcomer's record.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    source: SocketAddress,
    ssrc: u32,
    sequence: u16,
    count: u8,
    heard: Nanos,
}

/// The stream that the locked address sends.
#[derive(Clone, Copy, Debug)]
struct Stream {
    ssrc: u32,
    /// Newest sequence number.
    sequence: u16,
}

/// See the [module](self).
#[derive(Clone, Debug)]
pub struct AddressLearner {
    config: LearnConfig,
    /// End of the learning window.
    window_end: Nanos,
    /// In the window, newcomers may be believed. Not so once one was.
    open_to_all: bool,
    /// Where RTP was accepted from; before, it goes to the signalled address.
    locked: Option<SocketAddress>,
    stream: Option<Stream>,
    /// Another SSRC from the locked address, and its packets in sequence so far.
    stream_next: Option<(Stream, u8)>,
    /// When the locked address last sent RTP.
    heard: Nanos,
    rtcp: Option<SocketAddress>,
    candidates: [Option<Candidate>; CANDIDATES_MAX],
    /// Last move of an SRTP leg's RTP and RTCP address.
    moved: [Option<Nanos>; 2],
}

impl AddressLearner {
    /// A new leg, its window open from `now` on.
    #[must_use]
    pub fn new(now: Nanos, config: LearnConfig) -> Self {
        Self {
            config,
            window_end: now + WINDOW,
            open_to_all: true,
            locked: None,
            stream: None,
            stream_next: None,
            heard: now,
            rtcp: None,
            candidates: [None; CANDIDATES_MAX],
            moved: [None; 2],
        }
    }

    /// A leg that goes on after a crash with the addresses it had learned;
    /// [`SocketAddress::UNKNOWN`] for those it had not. The window stays closed
    /// unless nothing was learned.
    #[must_use]
    pub fn resume(
        now: Nanos,
        config: LearnConfig,
        rtp: SocketAddress,
        rtcp: SocketAddress,
    ) -> Self {
        let mut learner = Self::new(now, config);
        if rtp != SocketAddress::UNKNOWN {
            learner.locked = Some(rtp);
            learner.window_end = now;
            learner.open_to_all = false;
        }
        if rtcp != SocketAddress::UNKNOWN {
            learner.rtcp = Some(rtcp);
        }
        learner
    }

    /// The control plane has new word of the far end (re-INVITE, UPDATE): opens
    /// the window again. Who is locked stays accepted until somebody else
    /// proves to be the far end.
    pub fn relearn(&mut self, now: Nanos, config: LearnConfig) {
        if config.secure != self.config.secure {
            // Keys came or went: nothing that was proven before counts.
            *self = Self::new(now, config);
            return;
        }
        self.config = config;
        self.window_end = now + WINDOW;
        self.open_to_all = true;
        self.candidates = [None; CANDIDATES_MAX];
        self.rtcp = None;
    }

    /// Where RTP is to be sent now.
    #[must_use]
    pub fn rtp_address(&self) -> Option<SocketAddress> {
        known(self.locked.unwrap_or(self.config.signalled_rtp))
    }

    /// Where RTCP is to be sent now.
    #[must_use]
    pub fn rtcp_address(&self) -> Option<SocketAddress> {
        if self.config.rtcp_mux {
            return self.rtp_address();
        }
        known(self.rtcp.unwrap_or(self.config.signalled_rtcp))
    }

    /// Judges an RTP packet. `authenticated` says that SRTP opened it and that it
    /// is no replay; on a secure leg nothing else is accepted, on a plain one it is
    /// not read.
    pub fn on_rtp(&mut self, now: Nanos, packet: &RtpEvidence, authenticated: bool) -> Decision {
        if self.config.secure {
            return self.on_srtp(now, packet, authenticated);
        }
        if self.locked == Some(packet.source) {
            self.heard = now;
            self.note_stream(packet);
            return Decision::Accept;
        }
        let signalled = packet.source == self.config.signalled_rtp;
        if signalled && self.locked.is_none() {
            return self.lock(now, packet);
        }
        if !self.may_prove(now, packet, signalled) {
            return Decision::Refuse(Refusal::Stranger);
        }
        if self.prove(now, packet) {
            self.lock(now, packet)
        } else {
            Decision::Refuse(Refusal::OnTrial)
        }
    }

    /// Judges an RTCP packet, with `authenticated` as for RTP.
    pub fn on_rtcp(&mut self, now: Nanos, packet: &RtcpEvidence, authenticated: bool) -> Decision {
        let source = packet.source;
        if self.config.secure {
            return self.on_srtcp(now, source, authenticated);
        }
        if self.config.rtcp_mux {
            return if self.rtp_address() == Some(source) {
                Decision::Accept
            } else {
                Decision::Refuse(Refusal::Stranger)
            };
        }
        if let Some(rtcp) = self.rtcp {
            return if rtcp == source {
                Decision::Accept
            } else {
                Decision::Refuse(Refusal::Stranger)
            };
        }
        let signalled = source == self.config.signalled_rtcp;
        let host_of_rtp = self.config.learn
            && self.locked.is_some_and(|rtp| same_host(rtp, source))
            && self.stream.is_some_and(|stream| stream.ssrc == packet.ssrc);
        if !signalled && !host_of_rtp {
            return Decision::Refuse(Refusal::Stranger);
        }
        self.rtcp = Some(source);
        if signalled {
            Decision::Accept
        } else {
            Decision::Learned(source)
        }
    }

    fn on_srtp(&mut self, now: Nanos, packet: &RtpEvidence, authenticated: bool) -> Decision {
        if !authenticated || !self.permitted(packet.source, self.config.signalled_rtp) {
            return Decision::Refuse(Refusal::Stranger);
        }
        self.heard = now;
        // An overtaken packet from the old address must not move the leg back.
        let newest = self.stream.is_none_or(|stream| {
            stream.ssrc != packet.ssrc || step(stream.sequence, packet.sequence) > 0
        });
        if newest {
            self.stream = Some(Stream {
                ssrc: packet.ssrc,
                sequence: packet.sequence,
            });
        }
        if self.locked == Some(packet.source) || !newest || !self.may_move(now, 0) {
            return Decision::Accept;
        }
        self.moved[0] = Some(now);
        let before = self.rtp_address();
        self.locked = Some(packet.source);
        changed(before, packet.source)
    }

    fn on_srtcp(&mut self, now: Nanos, source: SocketAddress, authenticated: bool) -> Decision {
        let mux = self.config.rtcp_mux;
        let signalled = if mux {
            self.config.signalled_rtp
        } else {
            self.config.signalled_rtcp
        };
        if !authenticated || !self.permitted(source, signalled) {
            return Decision::Refuse(Refusal::Stranger);
        }
        if mux {
            // Where RTP flows, RTP shows the path; RTCP does for an end that only listens.
            let rtp_flows = self.stream.is_some() && now.since(self.heard) <= QUIET_AFTER;
            if self.locked == Some(source) || rtp_flows || !self.may_move(now, 0) {
                return Decision::Accept;
            }
            self.moved[0] = Some(now);
            let before = self.rtp_address();
            self.locked = Some(source);
            return changed(before, source);
        }
        if self.rtcp == Some(source) || !self.may_move(now, 1) {
            return Decision::Accept;
        }
        self.moved[1] = Some(now);
        let before = self.rtcp_address();
        self.rtcp = Some(source);
        changed(before, source)
    }

    fn permitted(&self, source: SocketAddress, signalled: SocketAddress) -> bool {
        self.config.learn || source == signalled
    }

    fn may_move(&self, now: Nanos, which: usize) -> bool {
        self.moved[which].is_none_or(|moved| now.since(moved) >= MOVE_INTERVAL)
    }

    /// Whether packets from this address, not the locked one, count at all.
    fn may_prove(&self, now: Nanos, packet: &RtpEvidence, signalled: bool) -> bool {
        let in_window = now < self.window_end;
        if signalled && in_window {
            return true;
        }
        if !self.config.learn {
            return false;
        }
        let quiet = now.since(self.heard);
        if in_window && self.open_to_all && (self.locked.is_none() || quiet > QUIET_AFTER) {
            return true;
        }
        quiet > LOST_AFTER
            && self.locked.is_some()
            && self
                .stream
                .is_some_and(|stream| continues(&stream, quiet, packet))
    }

    /// Counts a newcomer's packet; true when it has proven itself.
    fn prove(&mut self, now: Nanos, packet: &RtpEvidence) -> bool {
        let known = self
            .candidates
            .iter_mut()
            .flatten()
            .find(|candidate| candidate.source == packet.source);
        if let Some(candidate) = known {
            let ahead = step(candidate.sequence, packet.sequence);
            let in_sequence = candidate.ssrc == packet.ssrc
                && (1..=PROOF_STEP_MAX).contains(&ahead)
                && now.since(candidate.heard) <= QUIET_AFTER;
            candidate.count = if in_sequence { candidate.count + 1 } else { 1 };
            candidate.ssrc = packet.ssrc;
            candidate.sequence = packet.sequence;
            candidate.heard = now;
            return candidate.count >= PROOF_PACKETS;
        }
        let newcomer = Candidate {
            source: packet.source,
            ssrc: packet.ssrc,
            sequence: packet.sequence,
            count: 1,
            heard: now,
        };
        // A free place is quieter than any candidate.
        let place = self
            .candidates
            .iter_mut()
            .min_by_key(|place| place.map(|candidate| candidate.heard));
        if let Some(place) = place {
            *place = Some(newcomer);
        }
        false
    }

    fn lock(&mut self, now: Nanos, packet: &RtpEvidence) -> Decision {
        let before = self.rtp_address();
        self.locked = Some(packet.source);
        self.heard = now;
        self.open_to_all = false;
        self.stream = Some(Stream {
            ssrc: packet.ssrc,
            sequence: packet.sequence,
        });
        self.stream_next = None;
        let decision = changed(before, packet.source);
        if decision != Decision::Accept {
            self.rtcp = None;
        }
        decision
    }

    /// Follows the stream of the locked address. Another SSRC must come in
    /// sequence and alone before it is *the* stream, or one forged packet would
    /// choose under which SSRC the leg may move after a silence.
    fn note_stream(&mut self, packet: &RtpEvidence) {
        let seen = Stream {
            ssrc: packet.ssrc,
            sequence: packet.sequence,
        };
        match &mut self.stream {
            None => self.stream = Some(seen),
            Some(stream) if stream.ssrc == packet.ssrc => {
                if step(stream.sequence, packet.sequence) > 0 {
                    stream.sequence = packet.sequence;
                }
                self.stream_next = None;
            }
            Some(stream) => {
                let count = match self.stream_next {
                    Some((next, count))
                        if next.ssrc == seen.ssrc
                            && (1..=PROOF_STEP_MAX)
                                .contains(&step(next.sequence, seen.sequence)) =>
                    {
                        count + 1
                    }
                    _ => 1,
                };
                if count >= PROOF_PACKETS {
                    *stream = seen;
                    self.stream_next = None;
                } else {
                    self.stream_next = Some((seen, count));
                }
            }
        }
    }
}

/// Steps forward from one sequence number to another; 0 for backward or none.
fn step(from: u16, to: u16) -> u16 {
    match to.wrapping_sub(from) {
        ahead @ 1..0x8000 => ahead,
        _ => 0,
    }
}

/// Whether the packet may be the stream's after a silence of `quiet`.
fn continues(stream: &Stream, quiet: Duration, packet: &RtpEvidence) -> bool {
    let millis = u64::try_from(quiet.as_millis()).unwrap_or(u64::MAX);
    let explained = millis.saturating_mul(PACKETS_PER_SECOND_MAX) / 1_000;
    let ahead = step(stream.sequence, packet.sequence);
    stream.ssrc == packet.ssrc && ahead > 0 && u64::from(ahead) <= explained
}

fn changed(before: Option<SocketAddress>, source: SocketAddress) -> Decision {
    if before == Some(source) {
        Decision::Accept
    } else {
        Decision::Learned(source)
    }
}

fn known(address: SocketAddress) -> Option<SocketAddress> {
    (address.port != 0).then_some(address)
}

fn same_host(a: SocketAddress, b: SocketAddress) -> bool {
    a.ip == b.ip && a.scope_id == b.scope_id
}

#[cfg(test)]
mod tests;
