//! Web Bridge: the web app, joining, and signalling with browsers.
//!
//! ```text
//!   browser -- GET  /, /meeting/...   --> files of the web app
//!           -- POST /api/lookup, join --> CallBridge -> call access token
//!           -- /api/ws (WebSocket)    --> one socket a participant <-> CallBridge
//! ```
//! A participation belongs to its token: a new socket with the same token takes
//! the place of the old one and goes on. The token is good while the participant
//! is in the call, which the [`CallBridge`] says each time.
//!
//! Everything that a stranger may use up has a bound: sockets, the rate of joins
//! and of messages, the length of each, and what waits for a slow reader.
//!
//! The crate knows the [`CallBridge`] as a trait only, so that it may be in
//! another process one day. It decides nothing about meetings and understands no
//! SDP.
#![forbid(unsafe_code)]

mod bridge;
mod files;
mod http;
mod ice;
mod limits;
mod message;
mod redirect;
mod service;
mod socket;
mod token;

pub use bridge::{
    CallBridge, Found, InviteError, Join, JoinRefusal, Joined, Meeting, NotInCall, Origin, Session,
    ToClient,
};
pub use ice::{IceServer, TurnServers};
pub use limits::Rate;
pub use message::{
    Bye, Chat, Code, Content, Kind, Participant, Permissions, Request, Sdp, ServerMessage, State,
    Welcome,
};
pub use redirect::redirect_to_https;
pub use service::{Limits, WebConfig, router};
pub use token::TokenKey;
