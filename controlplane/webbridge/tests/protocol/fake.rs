use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use plenum_model::{CallLegId, EffectiveWebBridgeProfile, Layout, ResolveCoSpaceUris};
use plenum_webbridge::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One meeting, `123`, with the passcode `42` and the secret `s`.
#[derive(Default)]
pub(crate) struct FakeBridge {
    pub(crate) state: Mutex<Told>,
    /// What is offered; everything where nothing is said.
    pub(crate) offer: Mutex<Option<Result<EffectiveWebBridgeProfile, JoinRefusal>>>,
}

/// Everything is offered.
pub(crate) const EVERYTHING: EffectiveWebBridgeProfile = EffectiveWebBridgeProfile {
    allow_passcodes: true,
    allow_secrets: true,
    allow_unauthenticated_guests: true,
    resolve_co_space_call_ids: true,
    resolve_co_space_uris: ResolveCoSpaceUris::DomainSuggestionEnabled,
};

#[derive(Default)]
pub(crate) struct Told {
    next: u8,
    sessions: u64,
    pub(crate) attached: HashMap<CallLegId, (Session, ToClient)>,
    pub(crate) participants: Vec<CallLegId>,
    pub(crate) requests: Vec<Request>,
    pub(crate) detached: Vec<CallLegId>,
}

impl FakeBridge {
    /// From now on this is offered.
    pub(crate) fn offers(&self, offer: Result<EffectiveWebBridgeProfile, JoinRefusal>) {
        *self.offer.lock().unwrap() = Some(offer);
    }

    pub(crate) fn tell(&self, participant: CallLegId, message: ServerMessage) {
        let mut state = self.state.lock().unwrap();
        let (_, to_client) = &state.attached[&participant];
        if to_client.try_send(message).is_err() {
            state.attached.remove(&participant);
        }
    }
}

#[async_trait]
impl CallBridge for FakeBridge {
    async fn offer(&self) -> Result<EffectiveWebBridgeProfile, JoinRefusal> {
        self.offer.lock().unwrap().unwrap_or(Ok(EVERYTHING))
    }

    async fn lookup(
        &self,
        _: Origin,
        meeting: Meeting,
        secret: Option<String>,
    ) -> Result<Found, JoinRefusal> {
        if meeting != Meeting::CallId("123".into()) {
            return Err(JoinRefusal::NotFound);
        }
        Ok(Found {
            space_name: "Standup".into(),
            passcode_required: secret.is_none(),
        })
    }

    async fn join(&self, _: Origin, join: Join) -> Result<Joined, JoinRefusal> {
        if join.meeting != Meeting::CallId("123".into()) {
            return Err(JoinRefusal::NotFound);
        }
        match (join.secret.as_deref(), join.passcode.as_deref()) {
            (Some("s"), _) | (None, Some("42")) => {}
            (Some(_), _) => return Err(JoinRefusal::SecretWrong),
            (None, None) => return Err(JoinRefusal::PasscodeRequired),
            (None, Some("locked")) => return Err(JoinRefusal::Locked),
            (None, Some("busy")) => return Err(JoinRefusal::TooManyTries { retry_after_s: 9 }),
            (None, Some(_)) => return Err(JoinRefusal::PasscodeWrong),
        }
        let mut state = self.state.lock().unwrap();
        state.next += 1;
        let participant = CallLegId::from_bytes([state.next; 16]);
        state.participants.push(participant);
        Ok(Joined {
            participant,
            space_name: "Standup".into(),
        })
    }

    async fn attach(
        &self,
        participant: CallLegId,
        to_client: ToClient,
    ) -> Result<(Session, Welcome), NotInCall> {
        let mut state = self.state.lock().unwrap();
        if !state.participants.contains(&participant) {
            return Err(NotInCall);
        }
        state.sessions += 1;
        let session = Session(state.sessions);
        let before = state.attached.insert(participant, (session, to_client));
        let resumed = before.is_some() || state.detached.contains(&participant);
        if let Some((_, before)) = before {
            let _ = before.try_send(ServerMessage::Bye(Bye::Replaced));
        }
        let welcome = Welcome {
            space_name: "Standup".into(),
            resumed,
            layout: Layout::AllEqual,
            audio_muted: true,
            video_muted: false,
            roster: Arc::new([]),
            speaker: None,
            content: None,
            chat: Vec::new(),
            permissions: Permissions {
                mute_others: true,
                remove_others: true,
                add_participant: false,
                chat: true,
                share: true,
                layout: true,
            },
        };
        Ok((session, welcome))
    }

    async fn request(
        &self,
        participant: CallLegId,
        session: Session,
        request: Request,
    ) -> Result<(), Code> {
        let mut state = self.state.lock().unwrap();
        if state.attached.get(&participant).map(|(it, _)| *it) != Some(session) {
            return Ok(());
        }
        if matches!(request, Request::Remove { .. }) {
            return Err(Code::NoSuchParticipant);
        }
        state.requests.push(request);
        Ok(())
    }

    async fn detach(&self, participant: CallLegId, session: Session) {
        let mut state = self.state.lock().unwrap();
        let current = state.attached.get(&participant).map(|(it, _)| *it);
        if current.is_none_or(|current| current == session) {
            state.attached.remove(&participant);
            state.detached.push(participant);
        }
    }
}

pub(crate) fn config() -> WebConfig {
    WebConfig {
        domain: Some("example.org".into()),
        user_portal: false,
        turn: TurnServers {
            urls: vec!["turn:turn.example.org".into()],
            secret: "north".into(),
        },
    }
}

/// A running Web Bridge.
pub(crate) struct Server {
    pub(crate) bridge: Arc<FakeBridge>,
    pub(crate) address: SocketAddr,
}

pub(crate) async fn start_with(config: WebConfig, limits: Limits) -> Server {
    let bridge = Arc::new(FakeBridge::default());
    let key = TokenKey::new(&[7; 32]);
    let router = router(Arc::clone(&bridge) as _, config, key, limits);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    Server { bridge, address }
}

pub(crate) async fn start() -> Server {
    start_with(config(), Limits::default()).await
}

/// An answer: status, headers in lower case, body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines();
        let value = lines.find_map(|line| line.strip_prefix(&format!("{name}: ")));
        value.unwrap_or_default()
    }
}

impl Server {
    pub(crate) async fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let len = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {len}\r\n\r\n{body}",
            self.address
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    /// Joins the meeting; the token and whose it is.
    pub(crate) async fn join(&self) -> (String, CallLegId) {
        let body = r#"{"callId":"123","passcode":"42","name":"Ann"}"#;
        let answer = self.ask("POST", "/api/join", body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let json = answer.json();
        let token = json["token"].as_str().unwrap().to_owned();
        let participant = json["participantId"].as_str().unwrap().parse().unwrap();
        (token, participant)
    }
}
