use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use plenum_webbridge::*;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::fake::*;

struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

/// What came last.
#[derive(Debug, PartialEq)]
enum Heard {
    Json(Value),
    Closed(Option<u16>),
}

impl Client {
    async fn open(server: &Server) -> Self {
        let url = format!("ws://{}/api/ws", server.address);
        Self(tokio_tungstenite::connect_async(url).await.unwrap().0)
    }

    /// Opens, says hello and takes the welcome.
    async fn hello(server: &Server, token: &str) -> (Self, Value) {
        let mut client = Self::open(server).await;
        client
            .say(json!({"type": "hello", "protocol": 1, "token": token}))
            .await;
        let Heard::Json(welcome) = client.hear().await else {
            panic!("closed");
        };
        (client, welcome)
    }

    async fn say(&mut self, value: impl Into<Value>) {
        let text = Message::Text(value.into().to_string().into());
        // The server may have closed already.
        let _ = self.0.send(text).await;
    }

    async fn hear(&mut self) -> Heard {
        loop {
            let next = timeout(Duration::from_secs(30), self.0.next()).await;
            match next.expect("something within 30 s") {
                Some(Ok(Message::Text(text))) => {
                    return Heard::Json(serde_json::from_str(&text).unwrap());
                }
                Some(Ok(Message::Close(frame))) => {
                    return Heard::Closed(frame.map(|frame| frame.code.into()));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Heard::Closed(None),
            }
        }
    }

    /// Everything up to the end; the code of the end.
    async fn end(&mut self) -> Option<u16> {
        loop {
            if let Heard::Closed(code) = self.hear().await {
                return code;
            }
        }
    }
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..500 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}");
}

#[tokio::test]
async fn a_token_opens_a_session_and_messages_go_both_ways() {
    let server = start().await;
    let (token, participant) = server.join().await;
    let (mut client, welcome) = Client::hello(&server, &token).await;
    assert_eq!(welcome["type"], "welcome");
    assert_eq!(welcome["participantId"], json!(participant));
    assert_eq!(welcome["resumed"], false);
    assert_eq!(welcome["audioMuted"], true);
    assert_eq!(welcome["layouts"].as_array().unwrap().len(), 13);
    assert_eq!(welcome["permissions"]["addParticipant"], false);
    assert!(welcome["iceServers"][0]["credential"].is_string());
    client.say(json!({"type": "ping", "n": 7})).await;
    assert_eq!(
        client.hear().await,
        Heard::Json(json!({"type": "pong", "n": 7}))
    );
    client.say(json!({"type": "offer", "sdp": "v=0"})).await;
    until("the offer arrives", || {
        !server.bridge.state.lock().unwrap().requests.is_empty()
    })
    .await;
    server
        .bridge
        .tell(participant, ServerMessage::Answer(Sdp("v=0".into())));
    assert_eq!(
        client.hear().await,
        Heard::Json(json!({"type": "answer", "sdp": "v=0"}))
    );
    client
        .say(json!({"type": "remove", "participantId": participant}))
        .await;
    let refused = json!({"type": "error", "code": "noSuchParticipant", "about": "remove"});
    assert_eq!(client.hear().await, Heard::Json(refused));
    server
        .bridge
        .tell(participant, ServerMessage::Bye(Bye::Removed));
    assert_eq!(
        client.hear().await,
        Heard::Json(json!({"type": "bye", "reason": "removed"}))
    );
    assert_eq!(client.hear().await, Heard::Closed(Some(1000)));
}

#[tokio::test]
async fn a_session_is_resumed_after_a_break_and_by_another_socket() {
    let server = start().await;
    let (token, participant) = server.join().await;
    let (client, _) = Client::hello(&server, &token).await;
    drop(client);
    until("the break is noticed", || {
        server
            .bridge
            .state
            .lock()
            .unwrap()
            .detached
            .contains(&participant)
    })
    .await;
    let (mut old, welcome) = Client::hello(&server, &token).await;
    assert_eq!(welcome["resumed"], true);
    let (mut new, welcome) = Client::hello(&server, &token).await;
    assert_eq!(welcome["resumed"], true);
    assert_eq!(
        old.hear().await,
        Heard::Json(json!({"type": "bye", "reason": "replaced"}))
    );
    assert_eq!(old.hear().await, Heard::Closed(Some(1000)));
    // The end of the old one does not end the new one.
    server.bridge.tell(participant, ServerMessage::Reoffer);
    let wanted = json!({"type": "reoffer", "iceRestart": true});
    assert_eq!(new.hear().await, Heard::Json(wanted));
    assert!(
        server
            .bridge
            .state
            .lock()
            .unwrap()
            .attached
            .contains_key(&participant)
    );
}

#[tokio::test]
async fn who_has_no_good_token_is_told_so() {
    let server = start().await;
    let (token, participant) = server.join().await;
    server.bridge.state.lock().unwrap().participants.clear();
    for first in [
        json!({"type": "hello", "protocol": 1, "token": token}),
        json!({"type": "hello", "protocol": 1, "token": "x.y.z"}),
        json!({"type": "hello", "protocol": 2, "token": token}),
        json!({"type": "ping", "n": 1}),
        json!("hello"),
    ] {
        let mut client = Client::open(&server).await;
        client.say(first.clone()).await;
        let bye = json!({"type": "bye", "reason": "tokenInvalid"});
        assert_eq!(client.hear().await, Heard::Json(bye), "{first}");
        assert_eq!(client.hear().await, Heard::Closed(Some(1000)));
    }
    assert!(
        !server
            .bridge
            .state
            .lock()
            .unwrap()
            .detached
            .contains(&participant)
    );
}

#[tokio::test]
async fn nonsense_is_answered_and_a_flood_is_not() {
    let server = start().await;
    let (token, participant) = server.join().await;
    let (mut client, _) = Client::hello(&server, &token).await;
    let invalid = json!({"type": "error", "code": "invalid", "about": "message"});
    for nonsense in [
        "{",
        "[]",
        r#"{"type":"dance"}"#,
        r#"{"type":"offer"}"#,
        "\u{0}",
    ] {
        client.0.send(Message::Text(nonsense.into())).await.unwrap();
        assert_eq!(
            client.hear().await,
            Heard::Json(invalid.clone()),
            "{nonsense}"
        );
    }
    let binary = Message::Binary(Bytes::from_static(b"\xff"));
    client.0.send(binary).await.unwrap();
    assert_eq!(client.hear().await, Heard::Json(invalid));
    for n in 0..200 {
        client.say(json!({"type": "ping", "n": n})).await;
    }
    assert_eq!(client.end().await, Some(CloseCode::Policy.into()));
    until("the participation waits", || {
        server
            .bridge
            .state
            .lock()
            .unwrap()
            .detached
            .contains(&participant)
    })
    .await;
    let (_, welcome) = Client::hello(&server, &token).await;
    assert_eq!(welcome["resumed"], true, "the participation is not lost");
}

#[tokio::test]
async fn a_message_that_is_too_long_ends_the_socket() {
    let server = start().await;
    let (token, _) = server.join().await;
    let (mut client, _) = Client::hello(&server, &token).await;
    let fits = json!({"type": "offer", "sdp": "x".repeat(64_000)});
    client.say(fits).await;
    until("64,000 characters arrive", || {
        !server.bridge.state.lock().unwrap().requests.is_empty()
    })
    .await;
    client
        .say(json!({"type": "offer", "sdp": "x".repeat(66_000)}))
        .await;
    assert!(matches!(client.end().await, Some(1009) | None));
    assert_eq!(server.bridge.state.lock().unwrap().requests.len(), 1);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_let_go() {
    let server = start().await;
    let (token, participant) = server.join().await;
    let (mut client, _) = Client::hello(&server, &token).await;
    let roster: Arc<[Participant]> = (0..200)
        .map(|n| Participant {
            id: plenum_model::CallLegId::from_bytes([n; 16]),
            name: "x".repeat(1_000),
            kind: Kind::Web,
            state: State::Connected,
            audio_muted: false,
            video_muted: false,
            has_video: false,
            hand_raised: false,
            sharing: false,
            joined_at_ms: 0,
        })
        .collect();
    let attached = || {
        server
            .bridge
            .state
            .lock()
            .unwrap()
            .attached
            .contains_key(&participant)
    };
    let mut told = 0;
    while attached() && told < 10_000 {
        server
            .bridge
            .tell(participant, ServerMessage::Roster(Arc::clone(&roster)));
        told += 1;
        if told % 64 == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    assert!(!attached(), "{told} lists wait for ever");
    // What it finds when it reads at last is an end.
    assert!(matches!(client.end().await, Some(1013) | None));
}

#[tokio::test]
async fn a_client_that_says_nothing_is_gone_after_a_while() {
    let server = start().await;
    let (token, participant) = server.join().await;
    let (mut client, _) = Client::hello(&server, &token).await;
    // Real sockets are ready or not whatever the clock says: time is moved once all is still.
    tokio::time::sleep(Duration::from_millis(50)).await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(14)).await;
    tokio::time::resume();
    client.say(json!({"type": "ping", "n": 1})).await;
    assert!(matches!(client.hear().await, Heard::Json(_)));
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(16)).await;
    tokio::time::resume();
    assert_eq!(client.end().await, Some(CloseCode::Away.into()));
    until("the participation waits", || {
        server
            .bridge
            .state
            .lock()
            .unwrap()
            .detached
            .contains(&participant)
    })
    .await;
}

#[tokio::test]
async fn pages_of_others_do_not_get_a_socket() {
    let server = start().await;
    let open = async |origin: &str| {
        let url = format!("ws://{}/api/ws", server.address);
        let mut request = url.into_client_request().unwrap();
        let origin = origin.replace("US", &server.address.to_string());
        request
            .headers_mut()
            .insert("origin", origin.parse().unwrap());
        tokio_tungstenite::connect_async(request).await.is_ok()
    };
    assert!(open("https://US").await);
    for origin in [
        "https://evil.example",
        "null",
        "https://US.evil.example",
        "",
    ] {
        assert!(!open(origin).await, "{origin}");
    }
}

#[tokio::test]
async fn sockets_are_bounded() {
    let limits = Limits {
        sockets: 2,
        ..Limits::default()
    };
    let server = start_with(config(), limits).await;
    let first = Client::open(&server).await;
    let _second = Client::open(&server).await;
    let url = format!("ws://{}/api/ws", server.address);
    assert!(tokio_tungstenite::connect_async(&url).await.is_err());
    drop(first);
    let mut again = false;
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        again = tokio_tungstenite::connect_async(&url).await.is_ok();
        if again {
            break;
        }
    }
    assert!(again, "a place that was given back is taken again");
}
