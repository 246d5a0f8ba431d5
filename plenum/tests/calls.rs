//! A call through the whole program, told from the signalling's side: who is
//! let in, and who is told when the server goes.

mod common;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use common::{Folder, Server, plenum};
use rustix::process::Signal;

/// A telephone that speaks just enough SIP.
struct Phone {
    socket: UdpSocket,
    /// Where it wants to hear.
    media: UdpSocket,
    server: SocketAddr,
    call: String,
}

impl Phone {
    fn new(server: SocketAddr) -> Self {
        let any: IpAddr = match server {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        let [socket, media] = [0; 2].map(|_| {
            let socket = UdpSocket::bind((any, 0)).unwrap();
            let patience = Some(Duration::from_secs(5));
            socket.set_read_timeout(patience).unwrap();
            socket
        });
        let call = format!("call-{}", socket.local_addr().unwrap().port());
        Self {
            socket,
            media,
            server,
            call,
        }
    }

    fn send(&self, method: &str, user: &str, to_tag: &str, body: &str) {
        let (here, there, call) = (self.socket.local_addr().unwrap(), self.server, &self.call);
        let (kind, length) = match body {
            "" => ("", 0),
            body => ("Content-Type: application/sdp\r\n", body.len()),
        };
        let message = format!(
            "{method} sip:{user}@{there} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {here};branch=z9hG4bK{method}{call};rport\r\n\
             From: \"Ada\" <sip:ada@{here}>;tag=ada\r\n\
             To: <sip:{user}@{there}>{to_tag}\r\n\
             Call-ID: {call}\r\n\
             CSeq: 1 {method}\r\n\
             Contact: <sip:ada@{here}>\r\n\
             Max-Forwards: 70\r\n\
             {kind}Content-Length: {length}\r\n\r\n{body}"
        );
        self.socket.send_to(message.as_bytes(), there).unwrap();
    }

    /// The next message that begins with `start`.
    fn receive(&self, start: &str) -> String {
        let mut buffer = [0; 4_096];
        loop {
            let (length, _) = self
                .socket
                .recv_from(&mut buffer)
                .unwrap_or_else(|error| panic!("no {start}: {error}"));
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if message.starts_with(start) {
                return message;
            }
        }
    }

    /// Calls, and acknowledges whatever final answer comes; its status.
    fn call(&self, user: &str) -> (u16, String) {
        let media = self.media.local_addr().unwrap();
        let (ip, port) = (media.ip(), media.port());
        let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
        let offer = format!(
            "v=0\r\no=- 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP 0\r\n"
        );
        self.send("INVITE", user, "", &offer);
        let answer = loop {
            let answer = self.receive("SIP/2.0 ");
            if !answer.starts_with("SIP/2.0 1") {
                break answer;
            }
        };
        let to = header(&answer, "To");
        let tag = to.split_once(";tag=").map_or("", |(_, tag)| tag);
        self.send("ACK", user, &format!(";tag={tag}"), "");
        (answer[8..11].parse().unwrap(), answer)
    }

    /// Waits for the far end to hang up, and agrees.
    fn is_hung_up(&self) -> String {
        let bye = self.receive("BYE ");
        let copied: Vec<String> = ["Via", "From", "To", "Call-ID", "CSeq"]
            .into_iter()
            .map(|name| format!("{name}: {}\r\n", header(&bye, name)))
            .collect();
        let answer = format!(
            "SIP/2.0 200 OK\r\n{}Content-Length: 0\r\n\r\n",
            copied.concat()
        );
        self.socket.send_to(answer.as_bytes(), self.server).unwrap();
        bye
    }
}

fn header<'a>(message: &'a str, name: &str) -> &'a str {
    let line = message.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then_some(value.trim())
    });
    line.unwrap_or_default()
}

#[test]
fn a_space_takes_calls_and_nothing_else_does() {
    let folder = Folder::new();
    let server = Server::start(&mut plenum(&folder.0.join("data")), &folder);
    let udp = server.address("udp");
    let (status, answer) = Phone::new(udp).call("demo");
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains("\r\nm=audio 30"), "{answer}");
    // By its number, and in any case.
    let call_id = server.ready["demo_space"]["call_id"].as_str().unwrap();
    assert_eq!(Phone::new(udp).call(call_id).0, 200);
    assert_eq!(Phone::new(udp).call("DEMO").0, 200);
    assert_eq!(Phone::new(udp).call("nobody").0, 404);
}

#[test]
fn both_families_are_heard_and_spoken() {
    let folder = Folder::new();
    let port = UdpSocket::bind("[::]:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut command = plenum(&folder.0.join("data"));
    command
        .env("PLENUM_LISTEN", "127.0.0.1,::1")
        .env("PLENUM_SIP_UDP_PORT", port.to_string());
    let _server = Server::start(&mut command, &folder);
    for ip in ["127.0.0.1", "::1"] {
        let phone = Phone::new(SocketAddr::new(ip.parse().unwrap(), port));
        let (status, answer) = phone.call("demo");
        assert_eq!(status, 200);
        assert!(answer.contains(&format!(" {ip}\r\n")), "{answer}");
        let mut packet = [0; 1_500];
        for _ in 0..5 {
            let (length, from) = phone.media.recv_from(&mut packet).unwrap();
            assert_eq!(from.ip().to_string(), ip);
            // Version 2, PCMU, 20 ms.
            assert_eq!((packet[0] >> 6, packet[1] & 0x7f, length), (2, 0, 172));
        }
    }
}

#[test]
fn a_full_server_says_when_to_try_again() {
    let folder = Folder::new();
    let mut command = plenum(&folder.0.join("data"));
    command
        .env("PLENUM_LEGS_MAX", "2")
        .env("PLENUM_SIP_RETRY_AFTER_S", "17");
    let server = Server::start(&mut command, &folder);
    let udp = server.address("udp");
    let phones: Vec<Phone> = (0..2).map(|_| Phone::new(udp)).collect();
    for phone in &phones {
        assert_eq!(phone.call("demo").0, 200);
    }
    let (status, answer) = Phone::new(udp).call("demo");
    assert_eq!(status, 503);
    assert_eq!(header(&answer, "Retry-After"), "17");
}

#[test]
fn everybody_is_told_when_the_server_stops() {
    let folder = Folder::new();
    let mut server = Server::start(&mut plenum(&folder.0.join("data")), &folder);
    let phones: Vec<Phone> = (0..3).map(|_| Phone::new(server.address("udp"))).collect();
    for phone in &phones {
        assert_eq!(phone.call("demo").0, 200);
    }
    // The last one does not answer the goodbye.
    let told = std::thread::spawn(move || {
        for phone in &phones[..2] {
            phone.is_hung_up();
        }
        phones[2].receive("BYE ");
    });
    let (status, took) = server.stop(Signal::INT);
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(3), "{took:?}");
    told.join().unwrap();
}

#[test]
fn calls_that_a_dead_server_had_are_hung_up_by_the_next() {
    let folder = Folder::new();
    // The next server has to be where the first one was.
    let port = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let start = || {
        let mut command = plenum(&folder.0.join("data"));
        command.env("PLENUM_SIP_UDP_PORT", port.to_string());
        Server::start(&mut command, &folder)
    };
    let mut first = start();
    let phone = Phone::new(first.address("udp"));
    assert_eq!(phone.call("demo").0, 200);
    // What is stored is stored some milliseconds later, more on a busy machine.
    std::thread::sleep(Duration::from_secs(1));
    first.stop(Signal::KILL);
    let mut second = start();
    let begun = Instant::now();
    let bye = phone.is_hung_up();
    assert_eq!(header(&bye, "Call-ID"), phone.call);
    assert!(begun.elapsed() < Duration::from_secs(2));
    // And only once: a third server knows nothing of it.
    std::thread::sleep(Duration::from_secs(1));
    second.stop(Signal::KILL);
    let third = start();
    phone
        .socket
        .set_read_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    let mut buffer = [0; 100];
    assert!(phone.socket.recv(&mut buffer).is_err(), "{}", third.log());
}
