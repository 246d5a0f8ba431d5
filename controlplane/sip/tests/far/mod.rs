//! A far end that is nothing but a socket and text: what the stack sends is
//! judged by its bytes.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses its own part"
)]

use std::net::SocketAddr;
use std::time::Duration;

use plenum_sip::{
    Cause, DialogKey, DialogState, Listener, SipConfig, SipEvent, SipStack, Timers, Transport,
};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::timeout;

pub const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
pub const ANSWER: &str = "v=0\r\no=- 2 2 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 5000 RTP/AVP 0\r\n";
const WAIT: Duration = Duration::from_secs(5);

pub fn timers() -> Timers {
    Timers {
        t1: Duration::from_millis(30),
        t2: Duration::from_millis(120),
        t4: Duration::from_millis(150),
        ..Timers::default()
    }
}

pub fn config() -> SipConfig {
    SipConfig {
        listen: vec![listener(Transport::Udp, "127.0.0.1:0")],
        timers: timers(),
        ..SipConfig::default()
    }
}

pub fn listener(transport: Transport, address: &str) -> Listener {
    Listener {
        transport,
        address: address.parse().unwrap(),
    }
}

/// The stack and its events.
pub struct Us {
    pub stack: SipStack,
    pub events: mpsc::Receiver<SipEvent>,
    /// The newest state of any leg.
    pub state: Option<DialogState>,
}

impl Us {
    pub async fn start(config: SipConfig, restored: Vec<DialogState>) -> Self {
        let (stack, events) = SipStack::start(config, restored).await.unwrap();
        Self {
            stack,
            events,
            state: None,
        }
    }

    pub fn address(&self, transport: Transport) -> SocketAddr {
        let of = |(how, _): &&(Transport, SocketAddr)| *how == transport;
        self.stack.local_addresses().iter().find(of).unwrap().1
    }

    /// The next event that is not a change of state.
    pub async fn event(&mut self) -> SipEvent {
        loop {
            let event = timeout(WAIT, self.events.recv()).await.expect("an event");
            match event.expect("the stack runs") {
                SipEvent::DialogChanged { state, .. } => self.state = Some(*state),
                event => return event,
            }
        }
    }

    /// Nothing but changes of state comes for so long.
    pub async fn quiet(&mut self, how_long: Duration) {
        let until = tokio::time::Instant::now() + how_long;
        while let Ok(event) = tokio::time::timeout_at(until, self.events.recv()).await {
            match event {
                Some(SipEvent::DialogChanged { state, .. }) => self.state = Some(*state),
                other => panic!("unexpected: {other:?}"),
            }
        }
    }

    pub async fn invite(&mut self) -> DialogKey {
        match self.event().await {
            SipEvent::Invite { key, .. } => key,
            other => panic!("no INVITE: {other:?}"),
        }
    }

    pub async fn ended(&mut self, wanted: DialogKey, why: Cause) {
        assert_eq!(
            self.event().await,
            SipEvent::Ended {
                key: wanted,
                cause: why
            }
        );
    }
}

/// A message as text.
#[derive(Clone, Debug)]
pub struct Text(pub String);

impl Text {
    pub fn first(&self) -> &str {
        self.0.lines().next().unwrap_or_default()
    }

    pub fn code(&self) -> u16 {
        let code = self.first().strip_prefix("SIP/2.0 ");
        code.and_then(|rest| rest.get(..3)?.parse().ok())
            .unwrap_or_else(|| panic!("no answer: {}", self.0))
    }

    pub fn method(&self) -> &str {
        self.first().split(' ').next().unwrap_or_default()
    }

    pub fn get(&self, name: &str) -> Option<String> {
        let head = self.0.split("\r\n\r\n").next()?;
        head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        })
    }

    pub fn all(&self, name: &str) -> Vec<String> {
        let head = self.0.split("\r\n\r\n").next().unwrap_or_default();
        head.lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim().to_owned())
            .collect()
    }

    pub fn need(&self, name: &str) -> String {
        self.get(name)
            .unwrap_or_else(|| panic!("no {name} in {}", self.0))
    }

    pub fn body(&self) -> &str {
        self.0.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }

    pub fn to_tag(&self) -> String {
        let to = self.need("To");
        to.split_once(";tag=").expect("a tag").1.to_owned()
    }

    /// The URI of Contact.
    pub fn contact(&self) -> String {
        let contact = self.need("Contact");
        let start = contact.find('<').unwrap() + 1;
        contact[start..contact.find('>').unwrap()].to_owned()
    }

    /// The bare answer to this request.
    pub fn answer(&self, line: &str, tag: &str, more: &str, body: &str) -> String {
        let mut text = format!("SIP/2.0 {line}\r\n");
        for via in self.all("Via") {
            text.push_str(&format!("Via: {via}\r\n"));
        }
        let to = self.need("To");
        let tag = match to.contains(";tag=") || tag.is_empty() {
            true => String::new(),
            false => format!(";tag={tag}"),
        };
        text.push_str(&format!(
            "From: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n{more}",
            self.need("From"),
            self.need("Call-ID"),
            self.need("CSeq"),
        ));
        finish(text, body)
    }
}

pub fn finish(mut text: String, body: &str) -> String {
    if !body.is_empty() {
        text.push_str("Content-Type: application/sdp\r\n");
    }
    text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    text
}

/// A call as its caller writes it.
#[derive(Clone, Debug)]
pub struct Call {
    pub transport: &'static str,
    pub via: SocketAddr,
    pub contact: String,
    pub uri: String,
    pub call_id: String,
    pub tag: String,
    pub to_tag: String,
    pub cseq: u32,
    pub branch: u32,
}

impl Call {
    pub fn new(transport: &'static str, own: SocketAddr, us: SocketAddr, name: &str) -> Self {
        let how = match transport {
            "UDP" => String::new(),
            other => format!(";transport={}", other.to_ascii_lowercase()),
        };
        Self {
            transport,
            via: own,
            contact: format!("<sip:far@{own}{how}>"),
            uri: format!("sip:room@{us}"),
            call_id: format!("{name}@far"),
            tag: format!("far-{name}"),
            to_tag: String::new(),
            cseq: 1,
            branch: 0,
        }
    }

    /// A request; ACK and CANCEL keep the number, everything else takes the next.
    pub fn request(&mut self, method: &str, more: &str, body: &str) -> String {
        if !matches!(method, "ACK" | "CANCEL") && self.branch > 0 {
            self.cseq += 1;
        }
        if method != "CANCEL" {
            self.branch += 1;
        }
        self.write(method, more, body)
    }

    pub fn write(&self, method: &str, more: &str, body: &str) -> String {
        let to_tag = match self.to_tag.as_str() {
            "" => String::new(),
            tag => format!(";tag={tag}"),
        };
        let text = format!(
            "{method} {} SIP/2.0\r\nVia: SIP/2.0/{} {};branch=z9hG4bK{}.{}\r\nMax-Forwards: 70\r\n\
             From: \"Far\" <sip:far@example.org>;tag={}\r\nTo: <sip:room@example.org>{to_tag}\r\n\
             Call-ID: {}\r\nCSeq: {} {method}\r\nContact: {}\r\n{more}",
            self.uri,
            self.transport,
            self.via,
            self.call_id,
            self.branch,
            self.tag,
            self.call_id,
            self.cseq,
            self.contact,
        );
        finish(text, body)
    }

    /// Takes what the 2xx says of the dialog.
    pub fn taken(&mut self, answer: &Text) {
        assert_eq!(answer.code(), 200, "{}", answer.0);
        self.to_tag = answer.to_tag();
        self.uri = answer.contact();
    }
}

/// A UDP socket.
pub struct Far {
    pub socket: UdpSocket,
    pub us: SocketAddr,
}

impl Far {
    pub async fn new(us: SocketAddr) -> Self {
        let any = if us.is_ipv4() {
            "127.0.0.1:0"
        } else {
            "[::1]:0"
        };
        let socket = UdpSocket::bind(any).await.unwrap();
        Self { socket, us }
    }

    pub fn own(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    pub fn call(&self, name: &str) -> Call {
        Call::new("UDP", self.own(), self.us, name)
    }

    pub async fn send(&self, text: &str) {
        self.socket.send_to(text.as_bytes(), self.us).await.unwrap();
    }

    pub async fn receive(&self) -> Text {
        let mut buffer = vec![0; 65_536];
        let (length, from) = timeout(WAIT, self.socket.recv_from(&mut buffer))
            .await
            .expect("a message")
            .unwrap();
        assert_eq!(from, self.us);
        Text(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }

    /// The next final answer.
    pub async fn final_answer(&self) -> Text {
        loop {
            let answer = self.receive().await;
            if answer.first().starts_with("SIP/2.0") && answer.code() >= 200 {
                return answer;
            }
        }
    }

    /// The next final answer to that method.
    pub async fn answer_to(&self, method: &str) -> Text {
        loop {
            let answer = self.final_answer().await;
            if answer.need("CSeq").ends_with(method) {
                return answer;
            }
        }
    }

    /// The next request of that method; what else comes is skipped.
    pub async fn request(&self, method: &str) -> Text {
        loop {
            let request = self.receive().await;
            if request.method() == method {
                return request;
            }
        }
    }

    pub async fn silent(&self, how_long: Duration) {
        let mut buffer = vec![0; 65_536];
        if let Ok(got) = timeout(how_long, self.socket.recv_from(&mut buffer)).await {
            let (length, _) = got.unwrap();
            panic!("{}", String::from_utf8_lossy(&buffer[..length]));
        }
    }

    /// A call that stands.
    pub async fn establish(&self, us: &mut Us, name: &str) -> (Call, DialogKey) {
        let mut call = self.call(name);
        self.send(&call.request("INVITE", "Supported: timer\r\n", SDP))
            .await;
        let key = us.invite().await;
        us.stack.accept(key, ANSWER.to_owned()).unwrap();
        call.taken(&self.final_answer().await);
        self.send(&call.request("ACK", "", "")).await;
        assert_eq!(
            us.event().await,
            SipEvent::Established { key, answer: None }
        );
        (call, key)
    }

    /// OPTIONS are answered.
    pub async fn alive(&self, name: &str) {
        let mut call = self.call(name);
        self.send(&call.request("OPTIONS", "", "")).await;
        loop {
            let answer = self.final_answer().await;
            if answer.get("Call-ID").as_ref() == Some(&call.call_id) {
                assert_eq!(answer.code(), 200);
                return;
            }
        }
    }
}
