//! The way to the Call Bridge.

use std::net::IpAddr;

use async_trait::async_trait;
use plenum_model::{CallLegId, EffectiveWebBridgeProfile};
use tokio::sync::mpsc;

use crate::message::{Code, Request, ServerMessage, Welcome};

/// Which meeting is meant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Meeting {
    /// By its number.
    CallId(String),
    /// By its address: `user` or `user@domain`.
    Uri(String),
}

/// Where a request came from and where it came in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Origin {
    /// The client's address.
    pub peer: IpAddr,
}

/// A meeting that was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// Its name.
    pub space_name: String,
    /// A passcode has to be given.
    pub passcode_required: bool,
}

/// Who wants to join.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Join {
    /// What.
    pub meeting: Meeting,
    /// The passcode that was given.
    pub passcode: Option<String>,
    /// The secret of the link that was followed.
    pub secret: Option<String>,
    /// What the person wants to be called.
    pub name: String,
}

/// A participation that was begun.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Joined {
    /// Whose.
    pub participant: CallLegId,
    /// Name of the space.
    pub space_name: String,
}

/// Why nobody is let in.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum JoinRefusal {
    /// There is no such meeting.
    #[error("no such meeting")]
    NotFound,
    /// A passcode is needed.
    #[error("a passcode is needed")]
    PasscodeRequired,
    /// It was another one.
    #[error("wrong passcode")]
    PasscodeWrong,
    /// The link is not good, or no longer.
    #[error("wrong secret")]
    SecretWrong,
    /// The meeting needs a passcode, or one was given, and none are taken here.
    #[error("passcodes are not allowed")]
    PasscodesNotAllowed,
    /// A link with a secret was followed, and such links are not taken here.
    #[error("links with a secret are not allowed")]
    SecretsNotAllowed,
    /// Only members may join.
    #[error("only members may join")]
    GuestsNotAllowed,
    /// The meeting takes nobody else.
    #[error("locked")]
    Locked,
    /// Too many wrong tries came from there.
    #[error("too many tries")]
    TooManyTries {
        /// Seconds.
        retry_after_s: u64,
    },
    /// No room.
    #[error("full")]
    Full,
    /// The server cannot say.
    #[error("unavailable")]
    Unavailable,
}

/// The participation is over, or never was.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not in a call")]
pub struct NotInCall;

/// Why somebody was not called.
pub type InviteError = Code;

/// Tells one socket of a participant from the next.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Session(pub u64);

/// What waits to be written to a client. Whoever drops it closes the socket; when
/// it is full the client reads too slowly, and is to be dropped: it comes back and
/// is told how things are.
pub type ToClient = mpsc::Sender<ServerMessage>;

/// What the Web Bridge asks of a Call Bridge.
#[async_trait]
pub trait CallBridge: Send + Sync + 'static {
    /// What people are offered now. Asked once a request, so that a change
    /// governs from the next one on.
    async fn offer(&self) -> Result<EffectiveWebBridgeProfile, JoinRefusal>;

    /// What a person may know of a meeting before joining.
    async fn lookup(
        &self,
        origin: Origin,
        meeting: Meeting,
        secret: Option<String>,
    ) -> Result<Found, JoinRefusal>;

    /// Lets a person in.
    async fn join(&self, origin: Origin, join: Join) -> Result<Joined, JoinRefusal>;

    /// A socket speaks for a participant from now on. One before it is told
    /// [`crate::Bye::Replaced`] and no more.
    async fn attach(
        &self,
        participant: CallLegId,
        to_client: ToClient,
    ) -> Result<(Session, Welcome), NotInCall>;

    /// The participant asks for something.
    async fn request(
        &self,
        participant: CallLegId,
        session: Session,
        request: Request,
    ) -> Result<(), Code>;

    /// The socket is gone. Of no effect when another took its place.
    async fn detach(&self, participant: CallLegId, session: Session);
}
