//! People in browsers: what they ask, what they are told, and what is kept of
//! their end.
//!
//! A participation lives by its token, not by its socket: it is there from the
//! moment of joining, and ends by leaving, by being removed, or when no socket
//! has been attached for [`ABSENCE_MAX`].

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use plenum_abi::{Nanos, TransportConfig};
use plenum_model::{CallId, CallLegId, Layout};
use serde::{Deserialize, Serialize};
use zerocopy::{FromBytes, IntoBytes};

/// A browser that was away for so long is not waited for any more.
pub const ABSENCE_MAX: Duration = Duration::from_secs(60);
/// Most characters of a chat message.
pub const CHAT_CHARS_MAX: usize = 4_000;
/// Most characters of a name.
pub const NAME_CHARS_MAX: usize = 100;

/// Who wants to join a space from a browser.
#[derive(Clone, Debug)]
pub struct WebJoin {
    /// What the person wants to be called.
    pub name: String,
    /// What was asked for: a call ID or a user part.
    pub address: String,
    /// The passcode that was given.
    pub passcode: Option<String>,
    /// The secret of the link that was followed.
    pub secret: Option<String>,
    /// Where it came from.
    pub peer: IpAddr,
    /// Our address on which it came.
    pub local_ip: IpAddr,
}

/// What a person is told of a space before joining.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WebFound {
    /// Name of the space.
    pub space_name: String,
    /// A passcode has to be given.
    pub passcode_required: bool,
}

/// Why a person is not let in.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum WebRefusal {
    /// The space asks for a passcode and none was given.
    #[error("a passcode is needed")]
    PasscodeRequired,
    /// It was another one.
    #[error("wrong passcode")]
    PasscodeWrong,
    /// The link's secret is not, or no longer, the space's.
    #[error("wrong secret")]
    SecretWrong,
    /// Only members may join.
    #[error("only members may join this space")]
    GuestsNotAllowed,
    /// Too many wrong tries came from there.
    #[error("too many wrong tries")]
    TooManyTries {
        /// When one is looked at again.
        retry_after_s: u64,
    },
    /// The call takes nobody else.
    #[error("the meeting is locked")]
    Locked,
    /// The call or the server is full.
    #[error("there is no room")]
    Full,
}

/// A participation that was begun.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WebJoined {
    /// The call.
    pub call: CallId,
    /// Name of the space.
    pub space_name: String,
}

/// What a participant asks for.
#[derive(Clone)]
pub enum WebRequest {
    /// A changed session; always the browser offers.
    Offer {
        /// SDP.
        sdp: String,
    },
    /// A candidate of the browser's.
    Candidate {
        /// `candidate:...`; empty at their end.
        candidate: String,
        /// The ICE user name fragment it belongs to.
        ufrag: Option<String>,
    },
    /// One's own microphone and camera; `None` leaves them as they are.
    Mute {
        /// Others do not hear me.
        audio: Option<bool>,
        /// Others do not see me.
        video: Option<bool>,
    },
    /// Another's microphone.
    MuteOther {
        /// Whose.
        participant: CallLegId,
        /// Whether others stop hearing it.
        audio: bool,
    },
    /// Everybody's microphone but one's own.
    MuteAll,
    /// Another view.
    Layout(Layout),
    /// One's own screen.
    Content {
        /// Whether it is shown.
        sharing: bool,
    },
    /// One's hand.
    RaiseHand {
        /// Whether it is up.
        raised: bool,
    },
    /// Words.
    Chat {
        /// Chosen by the sender, to know it again.
        id: String,
        /// At most [`CHAT_CHARS_MAX`] characters.
        text: String,
        /// One participant, or everybody.
        to: Option<CallLegId>,
    },
    /// Another is to go.
    Remove {
        /// Who.
        participant: CallLegId,
    },
    /// Goodbye.
    Leave,
}

impl fmt::Debug for WebRequest {
    /// SDP holds passwords, chat is nobody else's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Offer { .. } => "Offer",
            Self::Candidate { .. } => "Candidate",
            Self::Mute { .. } => "Mute",
            Self::MuteOther { .. } => "MuteOther",
            Self::MuteAll => "MuteAll",
            Self::Layout(_) => "Layout",
            Self::Content { .. } => "Content",
            Self::RaiseHand { .. } => "RaiseHand",
            Self::Chat { .. } => "Chat",
            Self::Remove { .. } => "Remove",
            Self::Leave => "Leave",
        };
        f.write_str(name)
    }
}

/// Why a wish is not fulfilled.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum WebError {
    /// The one who asks is not in a call.
    #[error("not in a call")]
    Gone,
    /// There is no such participant in the call.
    #[error("no such participant")]
    NoSuchParticipant,
    /// The server does not let participants do this.
    #[error("not allowed")]
    NotAllowed,
    /// What was sent makes no sense.
    #[error("not understood")]
    Invalid,
    /// The call or the server is full.
    #[error("full")]
    Full,
    /// No media worker takes browsers.
    #[error("media is not available")]
    Unavailable,
}

/// How a participant is doing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WebPresence {
    /// We called and it rings there.
    Ringing,
    /// In the call.
    Connected,
    /// In the call, the far end holds.
    OnHold,
    /// In the call, the connection broke.
    Reconnecting,
}

/// One line of the list of participants.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WebParticipant {
    /// Who.
    pub id: CallLegId,
    /// Name label.
    pub name: String,
    /// Joined from a browser.
    pub web: bool,
    /// How it is doing.
    pub presence: WebPresence,
    /// Others do not hear it.
    pub audio_muted: bool,
    /// Others do not see it.
    pub video_muted: bool,
    /// It sends a picture.
    pub has_video: bool,
    /// Its hand is up.
    pub hand_raised: bool,
    /// Its screen is shown.
    pub sharing: bool,
    /// When it joined.
    pub joined_unix_ms: i64,
}

/// Words that were said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WebChat {
    /// Chosen by the sender.
    pub id: String,
    /// Who.
    pub from: CallLegId,
    /// The sender's name then.
    pub name: String,
    /// What.
    pub text: String,
    /// To whom, if not to everybody.
    pub to: Option<CallLegId>,
    /// When.
    pub at_unix_ms: i64,
}

impl WebChat {
    /// Whether a participant may read it.
    pub(crate) fn is_for(&self, reader: CallLegId) -> bool {
        self.to.is_none_or(|to| to == reader) || self.from == reader
    }
}

/// Why a participation is over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WebBye {
    /// The participant left.
    Left,
    /// Somebody removed it.
    Removed,
    /// The call ended.
    Ended,
    /// The server stops.
    ServerStops,
}

/// What participants may do beyond hearing and seeing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct WebPermissions {
    /// Mute and remove others.
    pub moderate: bool,
    /// Call somebody into the call.
    pub dial: bool,
    /// Write to others.
    pub chat: bool,
    /// Show the screen.
    pub share: bool,
}

/// What somebody who attaches is told.
#[derive(Clone, Debug, PartialEq)]
pub struct WebWelcome {
    /// Name of the space.
    pub space_name: String,
    /// It was attached before.
    pub resumed: bool,
    /// Its view.
    pub layout: Layout,
    /// Others do not hear it.
    pub audio_muted: bool,
    /// Others do not see it.
    pub video_muted: bool,
    /// Who is there.
    pub roster: Arc<[WebParticipant]>,
    /// Who is loudest.
    pub speaker: Option<CallLegId>,
    /// Whose screen is shown.
    pub content: Option<(CallLegId, String)>,
    /// What was said, oldest first.
    pub chat: Vec<WebChat>,
    /// What it may do.
    pub permissions: WebPermissions,
}

/// What an attached participant is told.
#[derive(Clone, PartialEq)]
pub enum WebMessage {
    /// The answer to its offer.
    Answer {
        /// SDP.
        sdp: String,
    },
    /// It is to offer again, with new ICE credentials.
    Reoffer,
    /// Who is there.
    Roster(Arc<[WebParticipant]>),
    /// Who is loudest.
    Speaker(Option<CallLegId>),
    /// Its own microphone and camera.
    Muted {
        /// Others do not hear it.
        audio: bool,
        /// Others do not see it.
        video: bool,
        /// Somebody else did it.
        by_other: bool,
    },
    /// Its view.
    Layout(Layout),
    /// Whose screen is shown.
    Content(Option<(CallLegId, String)>),
    /// Words.
    Chat(WebChat),
    /// It is over.
    Bye(WebBye),
}

impl fmt::Debug for WebMessage {
    /// SDP holds passwords, chat is nobody else's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer { .. } => f.write_str("Answer"),
            Self::Reoffer => f.write_str("Reoffer"),
            Self::Roster(roster) => write!(f, "Roster({})", roster.len()),
            Self::Speaker(speaker) => write!(f, "Speaker({speaker:?})"),
            Self::Muted {
                audio,
                video,
                by_other,
            } => write!(f, "Muted({audio}, {video}, by other: {by_other})"),
            Self::Layout(layout) => write!(f, "Layout({layout:?})"),
            Self::Content(content) => {
                write!(f, "Content({:?})", content.as_ref().map(|(id, _)| id))
            }
            Self::Chat(_) => f.write_str("Chat"),
            Self::Bye(bye) => write!(f, "Bye({bye:?})"),
        }
    }
}

/// A browser's end of a leg.
#[derive(Clone, Debug)]
pub(crate) struct WebEnd {
    /// What the media plane was last told; `None` before the first offer.
    pub(crate) transport: Option<TransportConfig>,
    /// Version of the SDP we sent last.
    pub(crate) sdp_version: u64,
    /// Candidates taken since the last offer.
    pub(crate) candidates: usize,
    /// Since when no socket is attached.
    pub(crate) absent_since: Option<Nanos>,
    /// A socket was attached once.
    pub(crate) came: bool,
    /// Its transport has no path.
    pub(crate) lost: bool,
    pub(crate) hand_raised: bool,
}

/// What of it outlives the control process. Holds a password.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
pub struct SavedWeb {
    /// Bytes of the last [`TransportConfig`]; empty before the first.
    pub transport: Vec<u8>,
    /// Version of the SDP we sent last.
    pub sdp_version: u64,
    /// A socket was attached once.
    pub came: bool,
    /// Its hand is up.
    pub hand_raised: bool,
    /// Its screen is the one that is shown.
    pub sharing: bool,
}

impl fmt::Debug for SavedWeb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SavedWeb")
            .field("came", &self.came)
            .finish_non_exhaustive()
    }
}

impl WebEnd {
    pub(crate) const fn new(now: Nanos) -> Self {
        Self {
            transport: None,
            sdp_version: 0,
            candidates: 0,
            absent_since: Some(now),
            came: false,
            lost: false,
            hand_raised: false,
        }
    }

    pub(crate) fn saved(&self, sharing: bool) -> SavedWeb {
        let bytes = |config: &TransportConfig| config.as_bytes().to_vec();
        SavedWeb {
            transport: self.transport.as_ref().map_or_else(Vec::new, bytes),
            sdp_version: self.sdp_version,
            came: self.came,
            hand_raised: self.hand_raised,
            sharing,
        }
    }

    /// Its socket went with the process before us.
    pub(crate) fn restored(saved: &SavedWeb, now: Nanos) -> Self {
        Self {
            transport: TransportConfig::read_from_bytes(&saved.transport).ok(),
            sdp_version: saved.sdp_version,
            came: saved.came,
            hand_raised: saved.hand_raised,
            ..Self::new(now)
        }
    }

    pub(crate) const fn is_attached(&self) -> bool {
        self.absent_since.is_none()
    }
}
