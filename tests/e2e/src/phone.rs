//! A phone of our own: PCMU over SRTP with SDES keys, SIP over UDP, and a picture
//! if it is given an [`Eye`].
//!
//! It keeps what a real phone hides: each packet's SSRC, sequence number,
//! SRTP index and time. It speaks just enough SIP for a call.

use std::f64::consts::TAU;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use plenum_abi::{MasterKeys, SrtpSuite};
use plenum_rtp::packet::{RTP_HEADER_LEN, RtpHeader, RtpPacket};
use plenum_srtp::{Receiver, Sender, TAIL_MAX};
use rand::Rng;

use crate::eye::{Clip, Eye};

/// Time between packets.
const PACKET: Duration = Duration::from_millis(20);
pub(crate) const SUITE: SrtpSuite = SrtpSuite::AesCm128HmacSha1_80;

/// A packet that was heard.
#[derive(Clone, Copy, Debug)]
pub struct Heard {
    /// When.
    pub at: Instant,
    /// Whose.
    pub ssrc: u32,
    /// Number.
    pub sequence: u16,
    /// Media clock.
    pub timestamp: u32,
    /// Whether it is sound and not silence.
    pub loud: bool,
}

/// A phone in a call.
pub struct Phone {
    sip: UdpSocket,
    rtp: UdpSocket,
    server: SocketAddr,
    uri: String,
    call_id: String,
    from: String,
    to: String,
    contact: String,
    sequence: u32,
    media: SocketAddr,
    sender: Sender,
    next_index: AtomicU64,
    receiver: Receiver,
    ssrc: u32,
    timestamp: u32,
    phase: f64,
    /// All that was heard.
    pub heard: Vec<Heard>,
    /// Packets that SRTP refused.
    pub refused: usize,
    /// The server said BYE.
    pub ended: bool,
    /// Bodies of INFO that came.
    pub informed: Vec<String>,
    /// Its camera and screen.
    pub eye: Option<Eye>,
}

fn header<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message
        .lines()
        .take_while(|line| !line.is_empty())
        .find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
}

/// Longest time between two of `moments`, which are in order, from one moment to another.
pub(crate) fn longest_gap(
    moments: impl Iterator<Item = Instant>,
    from: Instant,
    to: Instant,
) -> Duration {
    let mut before = from;
    let mut longest = Duration::ZERO;
    for at in moments.filter(|at| (from..to).contains(at)).chain([to]) {
        longest = longest.max(at.saturating_duration_since(before));
        before = at;
    }
    longest
}

/// An m-line of an answer.
pub(crate) struct Answered {
    pub(crate) kind: String,
    pub(crate) address: SocketAddr,
    /// Key and salt of RFC 4568.
    pub(crate) secret: Vec<u8>,
    /// First payload type.
    pub(crate) payload_type: u8,
}

impl Answered {
    /// What is wanted of the m-lines that were not refused.
    fn read(message: &str) -> Vec<Self> {
        let mut host = "";
        let mut lines: Vec<Self> = Vec::new();
        for line in message.lines() {
            if let Some(rest) = line.strip_prefix("c=IN IP4 ") {
                host = rest.trim();
            } else if let Some(rest) = line.strip_prefix("m=") {
                let mut words = rest.split(' ');
                let kind = words.next().unwrap_or_default().to_owned();
                let port = words.next().unwrap_or_default();
                let payload_type = words.nth(1).and_then(|word| word.trim().parse().ok());
                lines.push(Self {
                    kind,
                    address: format!("{host}:{port}").parse().expect("an address"),
                    secret: Vec::new(),
                    payload_type: payload_type.unwrap_or(0),
                });
            } else if let (Some(rest), Some(last)) = (line.split_once("inline:"), lines.last_mut())
            {
                let text = rest.1.split('|').next().unwrap_or_default().trim();
                last.secret = STANDARD.decode(text).unwrap_or_default();
            }
        }
        lines.retain(|line| line.address.port() != 0);
        lines
    }
}

/// What a G.711 mu-law byte stands for (G.711 table 2a).
fn decode_mu_law(byte: u8) -> i16 {
    let byte = !byte;
    let magnitude = ((i16::from(byte & 0x0f) << 3) + 0x84) << ((byte & 0x70) >> 4);
    if byte & 0x80 == 0 {
        magnitude - 0x84
    } else {
        0x84 - magnitude
    }
}

fn encode_mu_law(sample: i16) -> u8 {
    (0..=255)
        .min_by_key(|&byte| (i32::from(decode_mu_law(byte)) - i32::from(sample)).abs())
        .unwrap_or(0xff)
}

impl Phone {
    /// Calls `uri` at `server` and waits for the answer.
    ///
    /// # Errors
    /// The final response's status line when the call is refused.
    ///
    /// # Panics
    /// When nobody answers within five seconds, or not with what was offered.
    pub fn call(server: SocketAddr, uri: &str) -> Result<Self, String> {
        Self::call_as(server, uri, "probe", None)
    }

    /// The same under a name, and with a picture.
    ///
    /// # Errors
    /// As [`Phone::call`].
    ///
    /// # Panics
    /// As [`Phone::call`].
    pub fn call_as(
        server: SocketAddr,
        uri: &str,
        name: &str,
        clip: Option<&Clip>,
    ) -> Result<Self, String> {
        let eye = clip.map(Eye::new);
        let mut rng = rand::rng();
        let sip = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let rtp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        sip.set_read_timeout(Some(Duration::from_secs(5)))
            .expect("a timeout");
        rtp.set_nonblocking(true).expect("a mode");
        let me = sip.local_addr().expect("an address");
        let port = rtp.local_addr().expect("an address").port();
        let mut secret = [0; 30];
        rng.fill(&mut secret[..]);
        let key = STANDARD.encode(secret);
        let sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {port} RTP/SAVP 0\r\na=rtpmap:0 PCMU/8000\r\n\
             a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}\r\na=ptime:20\r\na=sendrecv\r\n{}",
            eye.as_ref().map(Eye::offer).unwrap_or_default()
        );
        let (call_id, tag): (u64, u32) = (rng.random(), rng.random());
        let from = format!("\"{name}\" <sip:probe@{me}>;tag={tag:08x}");
        let contact = format!("<sip:probe@{me}>");
        let invite = format!(
            "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{call_id:016x};rport\r\n\
             Max-Forwards: 70\r\nFrom: {from}\r\nTo: <{uri}>\r\nCall-ID: {call_id:016x}\r\n\
             CSeq: 1 INVITE\r\nContact: {contact}\r\nContent-Type: application/sdp\r\n\
             Content-Length: {}\r\n\r\n{sdp}",
            sdp.len()
        );
        sip.send_to(invite.as_bytes(), server)
            .expect("a datagram leaves");
        let answer = loop {
            let mut buffer = [0; 8_192];
            let (len, _) = sip
                .recv_from(&mut buffer)
                .expect("an answer to INVITE within 5 s");
            let message = String::from_utf8_lossy(&buffer[..len]).into_owned();
            if !message.starts_with("SIP/2.0 1") {
                break message;
            }
        };
        let status = answer.lines().next().unwrap_or_default().to_owned();
        let to = header(&answer, "To").expect("a To header").to_owned();
        let lines = Answered::read(&answer);
        let accepted = status.starts_with("SIP/2.0 200");
        let target = if accepted {
            let contact = header(&answer, "Contact").expect("a Contact header");
            contact
                .trim_start_matches('<')
                .split('>')
                .next()
                .unwrap_or_default()
                .to_owned()
        } else {
            uri.to_owned()
        };
        let branch: u64 = if accepted { rng.random() } else { call_id };
        let ack = format!(
            "ACK {target} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{branch:016x};rport\r\n\
             Max-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {call_id:016x}\r\n\
             CSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n"
        );
        sip.send_to(ack.as_bytes(), server)
            .expect("a datagram leaves");
        if !accepted {
            return Err(status);
        }
        let audio = lines.iter().find(|line| line.kind == "audio");
        let audio = audio.expect("an m-line for sound");
        let (media, theirs) = (audio.address, &audio.secret);
        let eye = eye.map(|eye| {
            let video = lines.iter().find(|line| line.kind == "video");
            eye.answered(video.expect("an m-line for the picture"))
        });
        let keys =
            |secret: &[u8]| MasterKeys::new(SUITE, secret).expect("30 bytes of key and salt");
        sip.set_nonblocking(true).expect("a mode");
        Ok(Self {
            sip,
            rtp,
            server,
            uri: target,
            call_id: format!("{call_id:016x}"),
            from,
            to,
            contact,
            sequence: 1,
            media,
            sender: Sender::new(SUITE, &keys(&secret)),
            next_index: AtomicU64::new(100),
            receiver: Receiver::new(SUITE, &keys(theirs)),
            ssrc: rng.random(),
            timestamp: rng.random(),
            phase: 0.0,
            heard: Vec::new(),
            refused: 0,
            ended: false,
            informed: Vec::new(),
            eye,
        })
    }

    /// The leg's media address on the server.
    #[must_use]
    pub fn media(&self) -> SocketAddr {
        self.media
    }

    /// Says a tone of `hz` for a while, hearing what comes.
    ///
    /// # Panics
    /// When a socket fails.
    pub fn talk(&mut self, hz: f64, span: Duration) {
        Self::talk_together(&mut [(self, hz)], span);
    }

    /// Several phones say their tones at the same time.
    ///
    /// # Panics
    /// When a socket fails.
    pub fn talk_together(phones: &mut [(&mut Self, f64)], span: Duration) {
        let start = Instant::now();
        let mut next = start;
        while start.elapsed() < span {
            for (phone, hz) in phones.iter_mut() {
                phone.say(*hz);
            }
            next += PACKET;
            loop {
                for (phone, _) in phones.iter_mut() {
                    // A camera keeps time of its own.
                    phone.show();
                    phone.listen();
                }
                if Instant::now() >= next {
                    break;
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }

    fn say(&mut self, hz: f64) {
        let index = *self.next_index.get_mut();
        let mut buffer = [0; RTP_HEADER_LEN + 160 + TAIL_MAX];
        let header = RtpHeader {
            marker: false,
            payload_type: 0,
            sequence: index as u16,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
        };
        header.write(&mut buffer);
        for byte in &mut buffer[RTP_HEADER_LEN..RTP_HEADER_LEN + 160] {
            *byte = encode_mu_law((self.phase.sin() * 8_000.0) as i16);
            self.phase = (self.phase + TAU * hz / 8_000.0) % TAU;
        }
        let plain = RTP_HEADER_LEN + 160;
        let len = self
            .sender
            .protect_rtp(&self.next_index, &mut buffer, plain)
            .expect("a packet");
        self.timestamp = self.timestamp.wrapping_add(160);
        // The far end may be gone for a moment; that is what some tests are about.
        let _ = self.rtp.send_to(&buffer[..len], self.media);
    }

    fn show(&mut self) {
        if let Some(eye) = &mut self.eye {
            eye.show();
        }
    }

    fn listen(&mut self) {
        if let Some(eye) = &mut self.eye {
            eye.look();
        }
        let mut buffer = [0; 2_048];
        while let Ok((len, from)) = self.rtp.recv_from(&mut buffer) {
            if from != self.media {
                continue;
            }
            match self.receiver.unprotect_rtp(&mut buffer[..len]) {
                Ok(plain) => {
                    let packet = RtpPacket::parse(&buffer[..plain]).expect("an RTP packet");
                    let loud = packet
                        .payload()
                        .iter()
                        .any(|&byte| decode_mu_law(byte).unsigned_abs() > 1_000);
                    self.heard.push(Heard {
                        at: Instant::now(),
                        ssrc: packet.header.ssrc,
                        sequence: packet.header.sequence,
                        timestamp: packet.header.timestamp,
                        loud,
                    });
                }
                Err(_) => self.refused += 1,
            }
        }
        while let Ok((len, from)) = self.sip.recv_from(&mut buffer) {
            let message = String::from_utf8_lossy(&buffer[..len]).into_owned();
            let body = message.split("\r\n\r\n").nth(1).unwrap_or_default();
            if message.starts_with("INFO ") {
                self.informed.push(body.to_owned());
            }
            self.ended |= message.starts_with("BYE ");
            if message.starts_with("BYE ") || message.starts_with("INFO ") {
                let copied: String = ["Via", "From", "To", "Call-ID", "CSeq"]
                    .iter()
                    .filter_map(|name| Some(format!("{name}: {}\r\n", header(&message, name)?)))
                    .collect();
                let ok = format!("SIP/2.0 200 OK\r\n{copied}Content-Length: 0\r\n\r\n");
                let _ = self.sip.send_to(ok.as_bytes(), from);
            }
        }
    }

    /// Its picture.
    ///
    /// # Panics
    /// When it has none.
    pub fn eye(&mut self) -> &mut Eye {
        self.eye.as_mut().expect("a phone with a picture")
    }

    /// Longest time without sound between two moments.
    #[must_use]
    pub fn longest_silence(&self, from: Instant, to: Instant) -> Duration {
        let loud = self.heard.iter().filter(|heard| heard.loud);
        longest_gap(loud.map(|heard| heard.at), from, to)
    }

    /// Hears for a while without saying anything.
    pub fn wait(&mut self, span: Duration) {
        let start = Instant::now();
        while start.elapsed() < span {
            self.listen();
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Sends bytes to the leg's media port from the phone's own RTP socket.
    pub fn send_raw(&self, bytes: &[u8]) {
        let _ = self.rtp.send_to(bytes, self.media);
    }

    /// Says BYE; the answer's status code, or `None` when there was none in three
    /// seconds, with retransmissions (RFC 3261 section 17.1.2).
    pub fn hang_up(&mut self) -> Option<u16> {
        self.request("BYE", "", "")
    }

    /// Sends INFO (RFC 6086); the answer as of [`Phone::hang_up`].
    pub fn inform(&mut self, content_type: &str, body: &str) -> Option<u16> {
        self.request("INFO", &format!("Content-Type: {content_type}\r\n"), body)
    }

    fn request(&mut self, method: &str, headers: &str, body: &str) -> Option<u16> {
        self.sequence += 1;
        let me = self.sip.local_addr().ok()?;
        let branch: u64 = rand::rng().random();
        let request = format!(
            "{method} {} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{branch:016x};rport\r\n\
             Max-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {} {method}\r\n\
             Contact: {}\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            self.uri,
            self.from,
            self.to,
            self.call_id,
            self.sequence,
            self.contact,
            body.len()
        );
        let mut buffer = [0; 8_192];
        for _ in 0..6 {
            let _ = self.sip.send_to(request.as_bytes(), self.server);
            let sent = Instant::now();
            while sent.elapsed() < Duration::from_millis(500) {
                if let Ok((len, _)) = self.sip.recv_from(&mut buffer) {
                    let message = String::from_utf8_lossy(&buffer[..len]);
                    if message.starts_with("SIP/2.0") && message.contains(method) {
                        return message.split(' ').nth(1).and_then(|code| code.parse().ok());
                    }
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mu_law_here_is_mu_law() {
        assert_eq!(decode_mu_law(0xff), 0);
        assert_eq!(decode_mu_law(0x00), -32_124);
        assert_eq!(decode_mu_law(0x80), 32_124);
        for byte in 0..=255 {
            assert_eq!(
                decode_mu_law(encode_mu_law(decode_mu_law(byte))),
                decode_mu_law(byte)
            );
        }
    }
}
