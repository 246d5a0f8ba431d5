//! Nonsense on every port; nothing dies and nobody else notices.

use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use plenum_e2e::phone::Phone;
use plenum_e2e::server::Server;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// Messages that are wrong in one way each.
fn broken_sip(target: &str) -> Vec<Vec<u8>> {
    let good = format!(
        "INVITE sip:demo@{target} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKx\r\n\
         Max-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:demo@{target}>\r\nCall-ID: broken\r\n\
         CSeq: 1 INVITE\r\nContact: <sip:a@127.0.0.1:9>\r\nContent-Length: 0\r\n\r\n"
    );
    let without = |name: &str| {
        good.split_inclusive("\r\n")
            .filter(|line| !line.starts_with(name))
            .collect::<String>()
    };
    let mut all: Vec<Vec<u8>> = ["Via", "From", "To", "Call-ID", "CSeq", "Contact"]
        .iter()
        .map(|name| without(name).into_bytes())
        .collect();
    let replaced = [
        ("Content-Length: 0", "Content-Length: 99999999999999999999"),
        ("Content-Length: 0", "Content-Length: -1"),
        ("CSeq: 1 INVITE", "CSeq: 99999999999 INVITE"),
        ("CSeq: 1 INVITE", "CSeq: INVITE"),
        ("Max-Forwards: 70", "Max-Forwards: x"),
        ("SIP/2.0\r\nVia", "SIP/7.0\r\nVia"),
        ("sip:demo@", "sip:%00%ff%zz@"),
        ("<sip:a@b>", "\"unclosed <sip:a@b>"),
        ("branch=z9hG4bKx", "branch="),
    ];
    all.extend(replaced.map(|(from, to)| good.replacen(from, to, 1).into_bytes()));
    all.push(good.replace("\r\n", "\n").into_bytes());
    all.push(format!("{}{}", good, "x".repeat(60_000)).into_bytes());
    all.push(
        good.replace(
            "Call-ID: broken",
            &format!("Call-ID: {}", "y".repeat(50_000)),
        )
        .into_bytes(),
    );
    all.push(vec![0; 1_000]);
    all.push(b"\r\n\r\n\r\n".to_vec());
    all.push(b"INVITE".to_vec());
    all.push(Vec::new());
    all
}

#[test]
fn broken_sip_and_rtp_kill_nothing() {
    let server = Server::start("malformed", &[]);
    let (control, dataplane) = (server.process("control"), server.process("dataplane"));
    let mut rng = SmallRng::seed_from_u64(42);
    let call = || Phone::call(server.sip("udp"), &server.demo_uri()).expect("the space answers");
    let (mut ann, mut bob) = (call(), call());

    let messages = broken_sip(&server.sip("udp").to_string());
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for message in &messages {
        let _ = udp.send_to(message, server.sip("udp"));
        for transport in ["tcp", "tls"] {
            let mut stream = TcpStream::connect(server.sip(transport)).expect("it listens");
            let _ = stream.write_all(message);
        }
        // Any good message with any bytes turned over.
        let mut mutated = message.clone();
        for _ in 0..mutated.len().min(8) {
            let at = rng.random_range(0..mutated.len());
            mutated[at] = rng.random();
        }
        let _ = udp.send_to(&mutated, server.sip("udp"));
    }
    // The legs' own ports, from their own phones and from strangers: random bytes
    // that look like RTP, RTCP, STUN and DTLS by their first byte.
    for first in [0x80, 0x81, 0x90, 0xbf, 0x00, 0x16, 0xff] {
        for len in [0, 1, 2, 7, 11, 12, 13, 20, 40, 172, 1_400] {
            let mut bytes: Vec<u8> = (0..len).map(|_| rng.random()).collect();
            if let Some(byte) = bytes.first_mut() {
                *byte = first;
            }
            if let Some(byte) = bytes.get_mut(1) {
                *byte = [0, 200, 201, 203, 205][rng.random_range(0..5)];
            }
            ann.send_raw(&bytes);
            let _ = udp.send_to(&bytes, ann.media());
            let mut rtcp = ann.media();
            rtcp.set_port(rtcp.port() + 1);
            let _ = udp.send_to(&bytes, rtcp);
        }
    }
    Phone::talk_together(
        &mut [(&mut ann, 440.0), (&mut bob, 660.0)],
        Duration::from_secs(2),
    );
    let heard = bob.heard.iter().filter(|packet| packet.loud).count();
    assert!(heard > 60, "bob heard {heard} packets with sound");
    assert_eq!(bob.refused + ann.refused, 0);

    assert_eq!(
        server.process("control"),
        control,
        "the control plane lives"
    );
    assert_eq!(
        server.process("dataplane"),
        dataplane,
        "the dataplane lives"
    );
    assert_eq!(ann.hang_up(), Some(200));
    assert_eq!(bob.hang_up(), Some(200));
}

#[test]
fn a_stranger_can_neither_take_over_a_leg_nor_hear_it() {
    let server = Server::start("stranger", &[]);
    let call = || Phone::call(server.sip("udp"), &server.demo_uri()).expect("the space answers");
    let (mut ann, mut bob) = (call(), call());
    Phone::talk_together(&mut [(&mut ann, 440.0)], Duration::from_millis(500));
    let stranger = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    stranger.set_nonblocking(true).expect("a mode");
    for sequence in 0..100_u16 {
        let mut packet = vec![0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4];
        packet[2..4].copy_from_slice(&sequence.to_be_bytes());
        packet.extend([0x00; 160]);
        let _ = stranger.send_to(&packet, ann.media());
    }
    Phone::talk_together(
        &mut [(&mut ann, 440.0), (&mut bob, 660.0)],
        Duration::from_secs(1),
    );
    let mut buffer = [0; 2_048];
    assert!(
        stranger.recv_from(&mut buffer).is_err(),
        "media went to a stranger"
    );
    assert!(ann.heard.iter().filter(|packet| packet.loud).count() > 20);
}
