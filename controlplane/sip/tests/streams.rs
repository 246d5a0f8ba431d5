//! TCP and TLS, IPv6, and a successor that takes calls over.

mod far;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use far::{ANSWER, Call, Far, SDP, Text, Us, config, listener};
use plenum_sip::{
    Cause, DialogKey, DialogState, Listener, SessionTimer, SipConfig, SipEvent, SipStack,
    TlsConfig, Transport,
};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Socket for S {}

/// A connection.
struct Line {
    socket: Box<dyn Socket>,
    own: SocketAddr,
    us: SocketAddr,
    transport: &'static str,
    buffer: Vec<u8>,
}

impl Line {
    async fn tcp(us: SocketAddr) -> Self {
        let socket = TcpStream::connect(us).await.unwrap();
        Self {
            own: socket.local_addr().unwrap(),
            socket: Box::new(socket),
            us,
            transport: "TCP",
            buffer: Vec::new(),
        }
    }

    async fn tls(us: SocketAddr, config: Arc<rustls::ClientConfig>) -> Self {
        let socket = TcpStream::connect(us).await.unwrap();
        let own = socket.local_addr().unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let connector = tokio_rustls::TlsConnector::from(config);
        Self {
            own,
            socket: Box::new(connector.connect(name, socket).await.unwrap()),
            us,
            transport: "TLS",
            buffer: Vec::new(),
        }
    }

    fn call(&self, name: &str) -> Call {
        Call::new(self.transport, self.own, self.us, name)
    }

    async fn send(&mut self, text: &str) {
        self.socket.write_all(text.as_bytes()).await.unwrap();
        self.socket.flush().await.unwrap();
    }

    async fn receive(&mut self) -> Text {
        timeout(Duration::from_secs(5), self.read())
            .await
            .expect("a message")
    }

    async fn read(&mut self) -> Text {
        loop {
            let text = String::from_utf8_lossy(&self.buffer).into_owned();
            if let Some(head) = text.find("\r\n\r\n") {
                let length: usize = Text(text.clone()).need("Content-Length").parse().unwrap();
                let whole = head + 4 + length;
                if self.buffer.len() >= whole {
                    self.buffer.drain(..whole);
                    return Text(text[..whole].to_owned());
                }
            }
            let mut chunk = [0; 4096];
            let length = self.socket.read(&mut chunk).await.unwrap();
            assert!(length > 0, "closed");
            self.buffer.extend_from_slice(&chunk[..length]);
        }
    }

    async fn final_answer(&mut self) -> Text {
        loop {
            let answer = self.receive().await;
            if answer.first().starts_with("SIP/2.0") && answer.code() >= 200 {
                return answer;
            }
        }
    }

    async fn request(&mut self, method: &str) -> Text {
        loop {
            let request = self.receive().await;
            if request.method() == method {
                return request;
            }
        }
    }

    async fn closed(&mut self) {
        let mut chunk = [0; 4096];
        let wait = async { while self.socket.read(&mut chunk).await.unwrap_or(0) > 0 {} };
        timeout(Duration::from_secs(5), wait).await.expect("closed");
    }

    async fn establish(&mut self, us: &mut Us, name: &str) -> (Call, DialogKey) {
        let mut call = self.call(name);
        self.send(&call.request("INVITE", "", SDP)).await;
        let key = us.invite().await;
        us.stack.accept(key, ANSWER.to_owned()).unwrap();
        let ok = self.final_answer().await;
        call.taken(&ok);
        self.send(&call.request("ACK", "", "")).await;
        let established = SipEvent::Established { key, answer: None };
        assert_eq!(us.event().await, established);
        (call, key)
    }
}

fn listen(transport: Transport) -> SipConfig {
    SipConfig {
        listen: vec![listener(transport, "127.0.0.1:0")],
        ..config()
    }
}

fn certificate() -> (TlsConfig, Arc<rustls::ClientConfig>) {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let der = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(der.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![der], key)
        .unwrap();
    let client = Arc::new(client);
    let config = TlsConfig {
        server: Arc::new(server),
        client: client.clone(),
    };
    (config, client)
}

#[tokio::test]
async fn a_call_over_tcp_uses_its_connection_both_ways() {
    let mut us = Us::start(listen(Transport::Tcp), vec![]).await;
    let address = us.address(Transport::Tcp);
    let mut line = Line::tcp(address).await;
    let mut call = line.call("tcp");
    let invite = call.request("INVITE", "", SDP);
    // In pieces, after a keep-alive.
    let (first, rest) = invite.split_at(100);
    line.send("\r\n\r\n").await;
    let mut pong = [0; 2];
    line.socket.read_exact(&mut pong).await.unwrap();
    assert_eq!(&pong, b"\r\n");
    line.send(first).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    line.send(rest).await;
    let key = us.invite().await;
    us.stack.accept(key, ANSWER.to_owned()).unwrap();
    let ok = line.final_answer().await;
    assert_eq!(ok.contact(), format!("sip:room@{address};transport=tcp"));
    call.taken(&ok);
    line.send(&call.request("ACK", "", "")).await;
    us.event().await;
    // The Contact names a port where nobody listens: the connection is used.
    us.stack.hang_up(key, "").unwrap();
    let bye = line.request("BYE").await;
    assert!(
        bye.need("Via")
            .starts_with(&format!("SIP/2.0/TCP {address};"))
    );
    line.send(&bye.answer("200 OK", "", "", "")).await;
    us.ended(key, Cause::Local).await;
}

#[tokio::test]
async fn a_silent_connection_stays_while_a_call_uses_it() {
    let mut config = listen(Transport::Tcp);
    config.timers.idle_max = Duration::from_millis(60);
    config.max_connections = 1;
    let mut us = Us::start(config, vec![]).await;
    let address = us.address(Transport::Tcp);
    let mut line = Line::tcp(address).await;
    let (mut call, key) = line.establish(&mut us, "silent").await;
    // One is the most there may be.
    Line::tcp(address).await.closed().await;
    tokio::time::sleep(Duration::from_millis(250)).await;
    line.send(&call.request("BYE", "", "")).await;
    assert_eq!(line.final_answer().await.code(), 200);
    us.ended(key, Cause::Bye).await;
    line.closed().await;
    // And its place is free.
    let mut line = Line::tcp(address).await;
    line.establish(&mut us, "next").await;
}

#[tokio::test]
async fn a_call_over_tls() {
    let (tls, client) = certificate();
    let config = SipConfig {
        tls: Some(tls),
        ..listen(Transport::Tls)
    };
    let mut us = Us::start(config, vec![]).await;
    let mut line = Line::tls(us.address(Transport::Tls), client).await;
    let (mut call, key) = line.establish(&mut us, "tls").await;
    assert!(call.uri.ends_with(";transport=tls"));
    line.send(&call.request("BYE", "", "")).await;
    assert_eq!(line.final_answer().await.code(), 200);
    us.ended(key, Cause::Bye).await;
}

#[tokio::test]
async fn we_call_over_tls_and_over_tcp() {
    let (tls, _) = certificate();
    let server = tls.server.clone();
    let config = SipConfig {
        tls: Some(tls),
        listen: vec![
            listener(Transport::Tls, "127.0.0.1:0"),
            listener(Transport::Tcp, "127.0.0.1:0"),
        ],
        ..config()
    };
    let mut us = Us::start(config, vec![]).await;
    for (transport, how) in [(Transport::Tls, "tls"), (Transport::Tcp, "tcp")] {
        let far = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = far.local_addr().unwrap();
        let call = plenum_sip::Outbound {
            to: format!("sip:bob@{own};transport={how}"),
            from: "sip:room@example.org".to_owned(),
            sdp: Some(SDP.to_owned()),
            ..plenum_sip::Outbound::default()
        };
        let key = us.stack.invite(call).unwrap();
        let (socket, peer) = far.accept().await.unwrap();
        let socket: Box<dyn Socket> = match transport {
            Transport::Tls => {
                let acceptor = tokio_rustls::TlsAcceptor::from(server.clone());
                Box::new(acceptor.accept(socket).await.unwrap())
            }
            _ => Box::new(socket),
        };
        let mut line = Line {
            socket,
            own,
            us: peer,
            transport: "TCP",
            buffer: Vec::new(),
        };
        let invite = line.request("INVITE").await;
        let address = us.address(transport);
        assert_eq!(invite.contact(), format!("sip:{address};transport={how}"));
        // Nobody listens at its Contact: the connection is the way to it.
        let more = format!("Contact: <sip:bob@127.0.0.1:1;transport={how}>\r\n");
        line.send(&invite.answer("200 OK", "bob", &more, ANSWER))
            .await;
        line.request("ACK").await;
        let answer = Some(ANSWER.to_owned());
        assert_eq!(us.event().await, SipEvent::Established { key, answer });
        us.stack.hang_up(key, "").unwrap();
        let bye = line.request("BYE").await;
        line.send(&bye.answer("200 OK", "", "", "")).await;
        us.ended(key, Cause::Local).await;
    }
}

#[tokio::test]
async fn ipv6_and_every_address() {
    let config = SipConfig {
        listen: vec![
            listener(Transport::Udp, "[::1]:0"),
            listener(Transport::Udp, "0.0.0.0:0"),
        ],
        ..config()
    };
    let mut us = Us::start(config, vec![]).await;
    let addresses = us.stack.local_addresses().to_vec();
    let far = Far::new(addresses[0].1).await;
    let (mut call, key) = far.establish(&mut us, "six").await;
    assert!(call.uri.starts_with("sip:room@[::1]:"), "{}", call.uri);
    us.stack.hang_up(key, "").unwrap();
    let bye = far.request("BYE").await;
    far.send(&bye.answer("200 OK", "", "", "")).await;
    us.ended(key, Cause::Local).await;
    call.to_tag.clear();

    let any: SocketAddr = format!("127.0.0.1:{}", addresses[1].1.port())
        .parse()
        .unwrap();
    let far = Far::new(any).await;
    let (call, key) = far.establish(&mut us, "any").await;
    assert_eq!(call.uri, format!("sip:room@{any}"));
    us.stack.hang_up(key, "").unwrap();
    far.request("BYE").await;
}

/// The same configuration on the ports that were taken.
fn again(us: &Us, config: &SipConfig) -> SipConfig {
    let listen = us.stack.local_addresses().iter();
    SipConfig {
        listen: listen
            .map(|(transport, address)| Listener {
                transport: *transport,
                address: *address,
            })
            .collect(),
        ..config.clone()
    }
}

/// As a store would keep it.
fn stored(us: &Us) -> DialogState {
    let text = serde_json::to_string(us.state.as_ref().unwrap()).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn a_successor_carries_calls_on() {
    let config = config();
    let mut us = Us::start(config.clone(), vec![]).await;
    let far = Far::new(us.address(Transport::Udp)).await;
    let (mut call, key) = far.establish(&mut us, "first").await;
    us.quiet(Duration::from_millis(30)).await;
    let first = stored(&us);
    let (_, second_key) = far.establish(&mut us, "second").await;
    us.quiet(Duration::from_millis(30)).await;
    let second = stored(&us);
    let config = again(&us, &config);
    us.stack.shutdown().await;
    drop(us);
    far.silent(Duration::from_millis(50)).await;

    let mut us = Us::start(config, vec![first, second]).await;
    // A re-INVITE and a BYE of the far end.
    far.send(&call.request("INVITE", "", SDP)).await;
    let SipEvent::Reoffer {
        key: which, txn, ..
    } = us.event().await
    else {
        panic!("no offer");
    };
    assert_eq!(which, key);
    us.stack
        .accept_reoffer(key, txn, Some(ANSWER.to_owned()))
        .unwrap();
    assert_eq!(far.final_answer().await.code(), 200);
    far.send(&call.request("ACK", "", "")).await;
    far.send(&call.request("BYE", "", "")).await;
    assert_eq!(far.answer_to("BYE").await.code(), 200);
    us.ended(key, Cause::Bye).await;
    // And a BYE of ours.
    us.stack.hang_up(second_key, "").unwrap();
    let bye = far.request("BYE").await;
    assert!(bye.need("From").ends_with(&second_key.to_string()));
    far.send(&bye.answer("200 OK", "", "", "")).await;
    us.ended(second_key, Cause::Local).await;
}

#[tokio::test]
async fn a_successor_reaches_far_ends_whose_connection_broke() {
    let config = listen(Transport::Tcp);
    let mut us = Us::start(config.clone(), vec![]).await;
    let address = us.address(Transport::Tcp);
    // One listens where its Contact says, the other connects again.
    let behind = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut line = Line::tcp(address).await;
    let own = line.own;
    line.own = behind.local_addr().unwrap();
    let (_, key) = line.establish(&mut us, "listens").await;
    us.quiet(Duration::from_millis(30)).await;
    let first = stored(&us);
    line.own = own;
    let (mut call, other) = line.establish(&mut us, "connects").await;
    us.quiet(Duration::from_millis(30)).await;
    let second = stored(&us);
    let config = again(&us, &config);
    us.stack.shutdown().await;
    line.closed().await;

    let mut us = Us::start(config, vec![first, second]).await;
    us.stack.hang_up(key, "").unwrap();
    let (socket, peer) = behind.accept().await.unwrap();
    let mut back = Line {
        socket: Box::new(socket),
        own: line.own,
        us: peer,
        transport: "TCP",
        buffer: Vec::new(),
    };
    let bye = back.request("BYE").await;
    back.send(&bye.answer("200 OK", "", "", "")).await;
    us.ended(key, Cause::Local).await;

    let mut line = Line::tcp(address).await;
    line.send(&call.request("OPTIONS", "", "")).await;
    assert_eq!(line.final_answer().await.code(), 200);
    // Its new connection is the way to it now.
    us.stack.hang_up(other, "").unwrap();
    let bye = line.request("BYE").await;
    line.send(&bye.answer("200 OK", "", "", "")).await;
    us.ended(other, Cause::Local).await;
}

/// A call that stands, as it was stored.
async fn standing(name: &str) -> (SipConfig, Far, Call, DialogState) {
    let config = config();
    let mut us = Us::start(config.clone(), vec![]).await;
    let far = Far::new(us.address(Transport::Udp)).await;
    let (call, _) = far.establish(&mut us, name).await;
    us.quiet(Duration::from_millis(30)).await;
    let state = stored(&us);
    let config = again(&us, &config);
    us.stack.shutdown().await;
    (config, far, call, state)
}

#[tokio::test]
async fn a_session_that_nobody_refreshes_ends() {
    let (config, far, _, mut state) = standing("expires").await;
    state.session_timer = Some(SessionTimer {
        interval_s: 120,
        we_refresh: false,
    });
    // 120 s less 32 s: one second is left.
    state.refreshed_at_unix_s -= 87;
    let key = state.key;
    let mut us = Us::start(config, vec![state]).await;
    let bye = far.request("BYE").await;
    far.send(&bye.answer("200 OK", "", "", "")).await;
    us.ended(key, Cause::SessionExpired).await;
}

#[tokio::test]
async fn we_refresh_sessions() {
    let (config, far, call, mut state) = standing("refreshes").await;
    state.session_timer = Some(SessionTimer {
        interval_s: 120,
        we_refresh: true,
    });
    state.refreshed_at_unix_s -= 60;
    let mut update = state.clone();
    update.peer_allows_update = true;
    state.peer_allows_update = false;
    let key = state.key;
    let mut us = Us::start(config.clone(), vec![update]).await;
    let request = far.request("UPDATE").await;
    assert_eq!(request.need("Session-Expires"), "120;refresher=uac");
    let more = "Session-Expires: 120;refresher=uac\r\n";
    far.send(&request.answer("200 OK", "", more, "")).await;
    us.quiet(Duration::from_millis(100)).await;
    let age = state.refreshed_at_unix_s + 59;
    assert!(us.state.clone().unwrap().refreshed_at_unix_s > age);
    far.silent(Duration::from_millis(300)).await;
    us.stack.shutdown().await;

    // Who takes no UPDATE gets a re-INVITE with what stands.
    let mut us = Us::start(config, vec![state]).await;
    let request = far.request("INVITE").await;
    assert_eq!(request.body(), ANSWER);
    let more = format!("Contact: {}\r\n{more}", call.contact);
    far.send(&request.answer("200 OK", "", &more, SDP)).await;
    far.request("ACK").await;
    us.quiet(Duration::from_millis(100)).await;
    far.silent(Duration::from_millis(300)).await;
    us.stack.hang_up(key, "").unwrap();
    far.request("BYE").await;
}

#[tokio::test]
async fn a_refresh_that_is_refused_is_not_tried_again_at_once() {
    for update in [true, false] {
        let (config, far, _, mut state) = standing("again").await;
        state.session_timer = Some(SessionTimer {
            interval_s: 120,
            we_refresh: true,
        });
        state.refreshed_at_unix_s -= 60;
        state.peer_allows_update = update;
        let mut us = Us::start(config, vec![state]).await;
        let method = if update { "UPDATE" } else { "INVITE" };
        let request = far.request(method).await;
        far.send(&request.answer("491 Request Pending", "", "", ""))
            .await;
        if !update {
            far.request("ACK").await;
        }
        far.silent(Duration::from_millis(300)).await;
        us.quiet(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_successor_hears_the_ack_that_its_predecessor_missed() {
    let config = config();
    let mut us = Us::start(config.clone(), vec![]).await;
    let far = Far::new(us.address(Transport::Udp)).await;
    let mut call = far.call("ack");
    far.send(&call.request("INVITE", "", SDP)).await;
    let key = us.invite().await;
    us.stack.accept(key, ANSWER.to_owned()).unwrap();
    call.taken(&far.final_answer().await);
    let config = again(&us, &config);
    let _ = timeout(Duration::from_millis(50), us.event()).await;
    let state = stored(&us);
    assert!(!state.confirmed);
    us.stack.shutdown().await;
    let mut us = Us::start(config, vec![state]).await;
    far.send(&call.request("ACK", "", "")).await;
    let established = SipEvent::Established { key, answer: None };
    assert_eq!(us.event().await, established);
}

#[tokio::test]
async fn what_cannot_be_started_is_said() {
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut wanted = config();
    wanted.listen[0].address = taken.local_addr().unwrap();
    assert!(SipStack::start(wanted, vec![]).await.is_err());
    let wanted = SipConfig {
        listen: vec![],
        ..config()
    };
    assert!(SipStack::start(wanted, vec![]).await.is_err());
    assert!(
        SipStack::start(listen(Transport::Tls), vec![])
            .await
            .is_err()
    );
}
