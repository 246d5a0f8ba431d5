//! A browser as far as media goes: ICE, DTLS, SRTP and Opus on a socket.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use plenum_abi::{AudioCodec, ICE_RANDOM_LEN, IceCredentials, Nanos};
use plenum_codecs::{AudioDecoder, AudioEncoder, EncoderOptions};
use plenum_dtls::{Association, Identity, Output as DtlsOutput, SessionKeys};
use plenum_ice::{Agent, Candidate, CandidateKind, Output as IceOutput, Path};
use plenum_rtp::packet::{Kind, RTP_HEADER_LEN, RtpHeader, RtpPacket, classify};
use plenum_srtp::{Receiver, Sender, TAIL_MAX};

pub(crate) const OPUS: u8 = 111;
const FRAME: usize = 960;

/// A certificate of somebody's.
pub(crate) fn identity() -> Identity {
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::default();
    let certificate = params.self_signed(&key).expect("a certificate");
    Identity::new(certificate.der().to_vec(), key.serialize_der()).expect("usable")
}

/// The SRTP contexts of a browser.
struct Media {
    sender: Sender,
    receiver: Receiver,
}

/// See the [module](self).
pub(crate) struct Browser {
    pub(crate) slot: u32,
    socket: UdpSocket,
    address: SocketAddr,
    pub(crate) server: SocketAddr,
    epoch: Instant,
    identity: Identity,
    pub(crate) credentials: IceCredentials,
    /// The server's, for this leg.
    pub(crate) server_credentials: IceCredentials,
    agent: Agent,
    association: Option<Association>,
    server_fingerprint: [u8; 32],
    pub(crate) keys: Option<SessionKeys>,
    media: Option<Media>,
    next: AtomicU64,
    encoder: AudioEncoder,
    decoder: AudioDecoder,
    /// What it says is a square wave; else silence.
    pub(crate) loud: bool,
    /// Header of each packet heard, and the loudest sample in it.
    pub(crate) heard: Vec<(RtpHeader, i16)>,
    /// Compound packets that came.
    pub(crate) reports: Vec<Vec<u8>>,
    /// Packets that did not open.
    pub(crate) unopened: usize,
    pub(crate) handshakes: usize,
    shakes_hands: bool,
}

impl Browser {
    pub(crate) fn new(slot: u32, server: SocketAddr, server_fingerprint: [u8; 32]) -> Self {
        let credentials = IceCredentials::ours(slot, &[slot as u8 + 1; ICE_RANDOM_LEN]);
        Self::with(slot, server, server_fingerprint, credentials)
    }

    /// One that was told these credentials of the server.
    pub(crate) fn with(
        slot: u32,
        server: SocketAddr,
        server_fingerprint: [u8; 32],
        server_credentials: IceCredentials,
    ) -> Self {
        let socket = UdpSocket::bind((server.ip(), 0)).expect("a socket");
        socket.set_nonblocking(true).expect("it does not block");
        let address = socket.local_addr().expect("an address");
        let credentials = IceCredentials::ours(slot, &[77; ICE_RANDOM_LEN]);
        let epoch = Instant::now();
        let mut agent = Agent::new(
            plenum_uring::now(),
            epoch,
            [&credentials, &server_credentials],
            plenum_ice::Role::Controlling,
            &[address],
            u64::from(slot) + 1,
        );
        agent.add_remote(&Candidate {
            address: server,
            priority: 2_130_706_431,
            kind: CandidateKind::Host,
        });
        Self {
            slot,
            socket,
            address,
            server,
            epoch,
            identity: identity(),
            credentials,
            server_credentials,
            agent,
            association: None,
            server_fingerprint,
            keys: None,
            media: None,
            next: AtomicU64::new(1_000),
            encoder: AudioEncoder::new(AudioCodec::Opus, &EncoderOptions::default()).expect("Opus"),
            decoder: AudioDecoder::new(AudioCodec::Opus).expect("Opus"),
            loud: true,
            heard: Vec::new(),
            reports: Vec::new(),
            unopened: 0,
            handshakes: 0,
            shakes_hands: true,
        }
    }

    pub(crate) fn fingerprint(&self) -> [u8; 32] {
        self.identity.fingerprint()
    }

    pub(crate) fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Reads what has come, and does what is due.
    pub(crate) fn turn(&mut self) {
        let mut buffer = [0; 2_048];
        while let Ok((len, from)) = self.socket.recv_from(&mut buffer) {
            let now = plenum_uring::now();
            match classify(&buffer[..len]) {
                Kind::Stun => {
                    let path = Path {
                        local: self.address,
                        remote: from,
                    };
                    self.agent.on_datagram(now, path, &buffer[..len]);
                }
                Kind::Dtls => {
                    if let Some(association) = &mut self.association {
                        association.on_datagram(now, &buffer[..len]);
                    }
                }
                Kind::Rtp => self.hear(&mut buffer[..len]),
                Kind::Rtcp => self.be_told(&mut buffer[..len]),
                _ => {}
            }
            self.drain(now);
        }
        let now = plenum_uring::now();
        if self.agent.deadline() <= now {
            self.agent.on_timeout(now);
        }
        if let Some(association) = &mut self.association
            && association.deadline() <= now
        {
            association.on_timeout(now);
        }
        self.drain(now);
    }

    /// Finds its path and keeps it, and does nothing else.
    pub(crate) fn check_only(&mut self) {
        self.shakes_hands = false;
        self.turn();
    }

    fn drain(&mut self, now: Nanos) {
        while let Some(output) = self.agent.poll(now) {
            match output {
                IceOutput::Send { path, datagram } => {
                    let _ = self.socket.send_to(&datagram, path.remote);
                }
                IceOutput::Selected(_) if self.association.is_none() && self.shakes_hands => {
                    self.begin_handshake(now);
                }
                _ => {}
            }
        }
        let mut buffer = [0; 2_048];
        while let Some(association) = &mut self.association {
            match association.poll(&mut buffer) {
                Some(DtlsOutput::Datagram { len }) => {
                    let _ = self.socket.send_to(&buffer[..len], self.server);
                }
                Some(DtlsOutput::Keys(keys)) => {
                    self.handshakes += 1;
                    self.keys = Some(keys);
                    self.media = Some(Media {
                        sender: Sender::new(keys.suite, &keys.tx),
                        receiver: Receiver::new(keys.suite, &keys.rx),
                    });
                }
                Some(DtlsOutput::Failed(_)) => self.association = None,
                None => return,
            }
        }
    }

    /// Begins a handshake, also where there was one.
    pub(crate) fn begin_handshake(&mut self, now: Nanos) {
        self.association = Some(Association::new(
            now,
            self.epoch,
            &self.identity,
            plenum_dtls::Role::Client,
            self.server_fingerprint,
        ));
    }

    fn hear(&mut self, packet: &mut [u8]) {
        let Some(media) = &mut self.media else {
            self.unopened += 1;
            return;
        };
        let Ok(len) = media.receiver.unprotect_rtp(packet) else {
            self.unopened += 1;
            return;
        };
        let packet = RtpPacket::parse(&packet[..len]).expect("RTP");
        let mut pcm = [0; FRAME];
        let samples = self
            .decoder
            .decode(packet.payload(), &mut pcm)
            .expect("Opus");
        let loudest = pcm[..samples]
            .iter()
            .map(|sample| sample.saturating_abs())
            .max();
        self.heard.push((packet.header, loudest.unwrap_or(0)));
    }

    fn be_told(&mut self, packet: &mut [u8]) {
        let receiver = self.media.as_mut().map(|media| &mut media.receiver);
        match receiver.map(|receiver| receiver.unprotect_rtcp(packet)) {
            Some(Ok(len)) => self.reports.push(packet[..len].to_vec()),
            _ => self.unopened += 1,
        }
    }

    /// Protects an RTP packet under the index in `next` and sends it.
    pub(crate) fn send(&mut self, next: &AtomicU64, packet: &[u8]) {
        let media = self.media.as_mut().expect("keys");
        let mut buffer = packet.to_vec();
        buffer.resize(packet.len() + TAIL_MAX, 0);
        let sender = &mut media.sender;
        let len = sender.protect_rtp(next, &mut buffer, packet.len());
        let sent = &buffer[..len.expect("it is protected")];
        let _ = self.socket.send_to(sent, self.server);
    }

    /// Sends 20 ms of sound, once there are keys.
    pub(crate) fn say(&mut self) {
        if let Some(packet) = self.packet() {
            let _ = self.socket.send_to(&packet, self.server);
        }
    }

    /// The next packet that it would send.
    pub(crate) fn packet(&mut self) -> Option<Vec<u8>> {
        let media = self.media.as_mut()?;
        let index = self.next.load(Ordering::Relaxed);
        let mut pcm = [0; FRAME];
        if self.loud {
            for (n, sample) in pcm.iter_mut().enumerate() {
                *sample = if n / 60 % 2 == 0 { 9_000 } else { -9_000 };
            }
        }
        let mut buffer = vec![0; 1_200];
        let header = RtpHeader {
            marker: false,
            payload_type: OPUS,
            sequence: index as u16,
            timestamp: index as u32 * FRAME as u32,
            ssrc: 900 + self.slot,
        };
        header.write(&mut buffer);
        let payload = self
            .encoder
            .encode(&pcm, &mut buffer[RTP_HEADER_LEN..1_000])
            .expect("Opus");
        let len = RTP_HEADER_LEN + payload;
        let sender = &mut media.sender;
        buffer.truncate(len + TAIL_MAX);
        let len = sender.protect_rtp(&self.next, &mut buffer, len).ok()?;
        buffer.truncate(len);
        Some(buffer)
    }
}
