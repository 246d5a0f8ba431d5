//! One WebSocket of a participant.
//!
//! ```text
//!   hello, token --> attach --> welcome
//!   requests -----> CallBridge
//!   messages <----- CallBridge, through a bounded queue
//!   silence, flood, nonsense --> closed; the participation waits for the next socket
//! ```

use std::net::IpAddr;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use plenum_model::CallLegId;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use crate::bridge::Session;
use crate::limits::Bucket;
use crate::message::{
    Bye, Code, FromClient, Hello, PROTOCOL, Ping, Request, ServerMessage, Welcome, Wire,
};
use crate::service::{Web, now_s};

/// From opening to the first message.
const HELLO_PATIENCE: Duration = Duration::from_secs(10);
/// A client that says nothing for so long is gone; it pings every five seconds.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// A client that takes nothing for so long is gone.
const WRITE_PATIENCE: Duration = Duration::from_secs(10);
/// Messages that wait for a client. It has to bear a join by hundreds, not a client
/// that does not read.
const WAITING_MAX: usize = 256;

/// Why a socket is closed, with a code of RFC 6455 section 7.4.1.
enum End {
    /// Nothing more is to be said, or heard.
    Gone,
    Close(u16, &'static str),
}

/// Serves a socket to its end.
pub(crate) async fn serve(mut socket: WebSocket, web: &Web, peer: IpAddr) {
    let Some((participant, session, welcome, from_bridge)) = attach(&mut socket, web).await else {
        tracing::debug!(%peer, "socket without a participation");
        return bye(&mut socket, Bye::TokenInvalid).await;
    };
    let mut client = Client {
        socket,
        web,
        participant,
        session,
        bucket: Bucket::full(web.limits.messages, Instant::now()),
    };
    let end = client.talk(&welcome, from_bridge).await;
    web.bridge.detach(participant, session).await;
    if let End::Close(code, reason) = end {
        tracing::debug!(%peer, %participant, code, reason, "socket closed");
        close(&mut client.socket, code, reason).await;
    }
}

/// Waits for the token and takes up the participation.
async fn attach(
    socket: &mut WebSocket,
    web: &Web,
) -> Option<(CallLegId, Session, Welcome, mpsc::Receiver<ServerMessage>)> {
    let first = timeout(HELLO_PATIENCE, socket.recv()).await.ok()??.ok()?;
    let Message::Text(text) = first else {
        return None;
    };
    let Hello::Hello { protocol, token } = serde_json::from_str(&text).ok()?;
    if protocol != PROTOCOL {
        return None;
    }
    let participant = web.key.verify(&token)?;
    let (to_client, from_bridge) = mpsc::channel(WAITING_MAX);
    let attached = web.bridge.attach(participant, to_client).await;
    let (session, welcome) = attached.ok()?;
    Some((participant, session, welcome, from_bridge))
}

async fn bye(socket: &mut WebSocket, reason: Bye) {
    let text = Wire::Bye { reason }.to_text();
    let _ = timeout(WRITE_PATIENCE, socket.send(Message::Text(text.into()))).await;
    close(socket, close_code::NORMAL, "").await;
}

async fn close(socket: &mut WebSocket, code: u16, reason: &'static str) {
    let frame = CloseFrame {
        code,
        reason: reason.into(),
    };
    let _ = timeout(WRITE_PATIENCE, socket.send(Message::Close(Some(frame)))).await;
}

struct Client<'a> {
    socket: WebSocket,
    web: &'a Web,
    participant: CallLegId,
    session: Session,
    bucket: Bucket,
}

impl Client<'_> {
    async fn talk(
        &mut self,
        welcome: &Welcome,
        mut from_bridge: mpsc::Receiver<ServerMessage>,
    ) -> End {
        let ice_servers = self.web.config.turn.ice_servers(self.participant, now_s());
        let text = Wire::welcome(welcome, &ice_servers, self.participant).to_text();
        if let Err(end) = self.write(text).await {
            return end;
        }
        let mut heard = Instant::now();
        loop {
            let next = tokio::select! {
                message = from_bridge.recv() => self.tell(message).await,
                message = self.socket.recv() => {
                    heard = Instant::now();
                    self.hear(message).await
                }
                () = tokio::time::sleep_until(heard + SILENCE_MAX) => {
                    Err(End::Close(close_code::AWAY, "silence"))
                }
            };
            if let Err(end) = next {
                return end;
            }
        }
    }

    async fn write(&mut self, text: String) -> Result<(), End> {
        let sent = self.socket.send(Message::Text(text.into()));
        match timeout(WRITE_PATIENCE, sent).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::Gone),
        }
    }

    /// What comes from the bridge; its end is that of a client that reads too slowly.
    async fn tell(&mut self, message: Option<ServerMessage>) -> Result<(), End> {
        let Some(message) = message else {
            return Err(End::Close(close_code::AGAIN, "too slow"));
        };
        let text = Wire::of(&message, self.participant).to_text();
        self.write(text).await?;
        match message {
            ServerMessage::Bye(_) => Err(End::Close(close_code::NORMAL, "")),
            _ => Ok(()),
        }
    }

    async fn hear(&mut self, message: Option<Result<Message, axum::Error>>) -> Result<(), End> {
        let message = match message {
            Some(Ok(message)) => message,
            // Of what cannot be read, what is too long is the one thing that a
            // client in good order may do.
            Some(Err(_)) => return Err(End::Close(close_code::SIZE, "not understood")),
            None => return Err(End::Gone),
        };
        if !self.bucket.take(self.web.limits.messages, Instant::now()) {
            return Err(End::Close(close_code::POLICY, "too many messages"));
        }
        match message {
            Message::Text(text) => match serde_json::from_str(&text) {
                Ok(FromClient::Ping(Ping::Ping { n })) => {
                    self.write(Wire::Pong { n }.to_text()).await
                }
                Ok(FromClient::Request(request)) => self.request(request).await,
                Err(_) => self.refuse(Code::Invalid, "message").await,
            },
            Message::Binary(_) => self.refuse(Code::Invalid, "message").await,
            Message::Ping(_) | Message::Pong(_) => Ok(()),
            Message::Close(_) => Err(End::Gone),
        }
    }

    async fn request(&mut self, request: Request) -> Result<(), End> {
        let about = request.name();
        let bridge = &self.web.bridge;
        let done = bridge.request(self.participant, self.session, request);
        match done.await {
            Ok(()) => Ok(()),
            Err(code) => self.refuse(code, about).await,
        }
    }

    async fn refuse(&mut self, code: Code, about: &str) -> Result<(), End> {
        self.write(Wire::Error { code, about }.to_text()).await
    }
}
