//! A TURN client of our own, for what others' clients do not show, and the
//! server as `plenum serve --role turn` starts it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use plenum_stun::{
    Class, Key, Message, Method, PasswordAlgorithm, TransactionId, Writer, address, attribute,
    channel_header, frame_length,
};

/// How long an answer may take before the request is sent again.
const PATIENCE: Duration = Duration::from_millis(300);
/// How often a request is sent.
const TRIES: usize = 5;

/// What a client speaks over.
#[derive(Debug)]
enum Link {
    Udp(UdpSocket),
    Tcp(TcpStream),
}

/// A client with one allocation at most.
#[derive(Debug)]
pub struct TurnClient {
    link: Link,
    user: (String, String),
    realm: Vec<u8>,
    nonce: Vec<u8>,
    requests: u32,
}

/// The error code of an answer; 0 when none came.
pub type Code = u16;

impl TurnClient {
    /// A client of a user over UDP.
    ///
    /// # Panics
    /// When there is no socket to be had.
    #[must_use]
    pub fn udp(server: SocketAddr, user: &str, password: &str) -> Self {
        let any: SocketAddr = match server {
            SocketAddr::V4(_) => "127.0.0.1:0".parse().expect("an address"),
            SocketAddr::V6(_) => "[::1]:0".parse().expect("an address"),
        };
        let socket = UdpSocket::bind(any).expect("a socket");
        socket.connect(server).expect("a route");
        socket.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        Self::over(Link::Udp(socket), user, password)
    }

    /// The same over TCP.
    ///
    /// # Panics
    /// When the server does not take the connection.
    #[must_use]
    pub fn tcp(server: SocketAddr, user: &str, password: &str) -> Self {
        let stream = TcpStream::connect(server).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        Self::over(Link::Tcp(stream), user, password)
    }

    fn over(link: Link, user: &str, password: &str) -> Self {
        Self {
            link,
            user: (user.to_owned(), password.to_owned()),
            realm: Vec::new(),
            nonce: Vec::new(),
            requests: 0,
        }
    }

    /// The socket of a client over UDP.
    ///
    /// # Panics
    /// When it is one over TCP.
    #[must_use]
    pub fn socket(&self) -> &UdpSocket {
        match &self.link {
            Link::Udp(socket) => socket,
            Link::Tcp(_) => panic!("a client over TCP"),
        }
    }

    /// Sends bytes as they are.
    ///
    /// # Panics
    /// When the kernel refuses.
    pub fn send_raw(&mut self, packet: &[u8]) {
        match &mut self.link {
            Link::Udp(socket) => {
                // Who was told that nobody is there (a server being restarted) goes on.
                let _ = socket.send(packet);
            }
            Link::Tcp(stream) => stream.write_all(packet).expect("it is sent"),
        }
    }

    /// The next datagram or frame; `None` when nothing comes for a while.
    pub fn receive(&mut self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 4_096];
        match &mut self.link {
            Link::Udp(socket) => {
                let len = socket.recv(&mut buffer).ok()?;
                buffer.truncate(len);
            }
            Link::Tcp(stream) => {
                let mut have = 0;
                loop {
                    let wanted = match frame_length(&buffer[..have]).ok()? {
                        Some(whole) if whole <= have => {
                            buffer.truncate(whole);
                            break;
                        }
                        Some(whole) => whole,
                        None => have + 1,
                    };
                    match stream.read(&mut buffer[have..wanted]) {
                        Ok(0) => return None,
                        Ok(count) => have += count,
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(_) => return None,
                    }
                }
            }
        }
        Some(buffer)
    }

    /// A request with what `fill` adds; the answer when it is a success.
    ///
    /// # Errors
    /// The error code; 0 when no answer came.
    pub fn ask(&mut self, method: Method, fill: impl Fn(&mut Writer<'_>)) -> Result<Vec<u8>, Code> {
        for _ in 0..2 {
            self.requests += 1;
            let mut id = [0; 12];
            id[..4].copy_from_slice(&self.requests.to_be_bytes());
            let packet = self.request(TransactionId(id), method, &fill);
            let answer = self.exchange(&packet, TransactionId(id)).ok_or(0_u16)?;
            let message = Message::parse(&answer).map_err(|_| 0_u16)?;
            if message.class() == Class::Success {
                return Ok(answer);
            }
            let value = message.find(attribute::ERROR_CODE).ok_or(0_u16)?;
            let code = u16::from(value[2]) * 100 + u16::from(value[3]);
            let first = code == 401 && self.nonce.is_empty();
            if !first && code != 438 {
                return Err(code);
            }
            let find = |kind| message.find(kind).unwrap_or_default().to_vec();
            self.realm = find(attribute::REALM);
            self.nonce = find(attribute::NONCE);
        }
        Err(438)
    }

    fn request(
        &self,
        id: TransactionId,
        method: Method,
        fill: &impl Fn(&mut Writer<'_>),
    ) -> Vec<u8> {
        let mut buffer = [0; 1_024];
        let mut writer = Writer::new(&mut buffer, Class::Request, method, id);
        fill(&mut writer);
        if !self.nonce.is_empty() {
            let (user, password) = (self.user.0.as_bytes(), self.user.1.as_bytes());
            let key = Key::long_term(PasswordAlgorithm::Md5, user, &self.realm, password);
            writer.attribute(attribute::USERNAME, user);
            writer.attribute(attribute::REALM, &self.realm);
            writer.attribute(attribute::NONCE, &self.nonce);
            writer.sign_sha1(&key);
        }
        writer.fingerprint();
        let len = writer.finish().expect("it fits");
        buffer[..len].to_vec()
    }

    fn exchange(&mut self, packet: &[u8], id: TransactionId) -> Option<Vec<u8>> {
        for _ in 0..TRIES {
            self.send_raw(packet);
            while let Some(answer) = self.receive() {
                if Message::parse(&answer).is_ok_and(|message| message.transaction() == id) {
                    return Some(answer);
                }
            }
            if matches!(self.link, Link::Tcp(_)) {
                break;
            }
        }
        None
    }

    /// Allocates; the relayed address.
    ///
    /// # Errors
    /// The error code.
    pub fn allocate(&mut self) -> Result<SocketAddr, Code> {
        let answer = self.ask(Method::ALLOCATE, |writer| {
            writer.attribute(attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
        })?;
        let message = Message::parse(&answer).map_err(|_| 0_u16)?;
        message
            .find(attribute::XOR_RELAYED_ADDRESS)
            .and_then(|value| address::read_xored(value, &message.transaction()))
            .ok_or(0)
    }

    /// Ends the allocation.
    ///
    /// # Errors
    /// The error code.
    pub fn end(&mut self) -> Result<(), Code> {
        self.ask(Method::REFRESH, |writer| {
            writer.number(attribute::LIFETIME, 0);
        })
        .map(drop)
    }

    /// Permits a peer.
    ///
    /// # Errors
    /// The error code.
    pub fn permit(&mut self, peer: SocketAddr) -> Result<(), Code> {
        self.ask(Method::CREATE_PERMISSION, |writer| {
            writer.xored_address(attribute::XOR_PEER_ADDRESS, peer);
        })
        .map(drop)
    }

    /// Binds a channel.
    ///
    /// # Errors
    /// The error code.
    pub fn bind(&mut self, channel: u16, peer: SocketAddr) -> Result<(), Code> {
        let [high, low] = channel.to_be_bytes();
        self.ask(Method::CHANNEL_BIND, |writer| {
            writer.attribute(attribute::CHANNEL_NUMBER, &[high, low, 0, 0]);
            writer.xored_address(attribute::XOR_PEER_ADDRESS, peer);
        })
        .map(drop)
    }

    /// Sends on a channel.
    pub fn send(&mut self, channel: u16, payload: &[u8]) {
        let mut packet = channel_packet(channel, payload);
        if matches!(self.link, Link::Tcp(_)) {
            packet.resize(packet.len().next_multiple_of(4), 0);
        }
        self.send_raw(&packet);
    }

    /// Sends by indication.
    pub fn indicate(&mut self, peer: SocketAddr, payload: &[u8]) {
        let mut buffer = vec![0; payload.len() + 100];
        let id = TransactionId([1; 12]);
        let mut writer = Writer::new(&mut buffer, Class::Indication, Method::SEND, id);
        writer.xored_address(attribute::XOR_PEER_ADDRESS, peer);
        writer.attribute(attribute::DATA, payload);
        let len = writer.finish().expect("it fits");
        self.send_raw(&buffer[..len]);
    }
}

/// A packet on a channel, without padding.
#[must_use]
pub fn channel_packet(channel: u16, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len()).expect("a datagram's length");
    let mut packet = channel_header(channel, len).to_vec();
    packet.extend_from_slice(payload);
    packet
}
