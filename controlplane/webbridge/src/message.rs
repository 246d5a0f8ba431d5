//! What browsers and the Web Bridge say to each other, as JSON.

use std::fmt;
use std::sync::Arc;

use plenum_model::{CallLegId, Layout};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ice::IceServer;

/// Version of the protocol.
pub(crate) const PROTOCOL: u32 = 1;

fn write_layout<S: Serializer>(layout: &Layout, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(layout.as_str())
}

fn write_layouts<S: Serializer>(layouts: &[Layout], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(layouts.iter().map(|layout| layout.as_str()))
}

fn read_layout<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Layout, D::Error> {
    let word = String::deserialize(deserializer)?;
    word.parse()
        .map_err(|_| serde::de::Error::custom("no such layout"))
}

/// What a client says first.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub(crate) enum Hello {
    /// Whom the socket speaks for.
    Hello {
        /// Version of the protocol.
        protocol: u32,
        /// The call access token.
        token: String,
    },
}

/// What a client says later: a request, or that it is there.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum FromClient {
    Ping(Ping),
    Request(Request),
}

/// A sign of life.
#[derive(Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub(crate) enum Ping {
    Ping { n: u64 },
}

/// What a participant asks for.
#[derive(Clone, Deserialize, Eq, PartialEq)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
#[allow(missing_docs)]
pub enum Request {
    Offer {
        sdp: String,
    },
    Candidate {
        candidate: String,
        #[serde(default)]
        username_fragment: Option<String>,
    },
    Mute {
        #[serde(default)]
        audio: Option<bool>,
        #[serde(default)]
        video: Option<bool>,
    },
    MuteOther {
        participant_id: CallLegId,
        audio: bool,
    },
    MuteAll,
    Layout {
        #[serde(deserialize_with = "read_layout")]
        layout: Layout,
    },
    Content {
        sharing: bool,
    },
    RaiseHand {
        raised: bool,
    },
    Chat {
        id: String,
        text: String,
        #[serde(default)]
        to: Option<CallLegId>,
    },
    Remove {
        participant_id: CallLegId,
    },
    AddParticipant {
        uri: String,
    },
    Leave,
}

impl Request {
    /// The word by which an error names what it is about.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Offer { .. } => "offer",
            Self::Candidate { .. } => "candidate",
            Self::Mute { .. } => "mute",
            Self::MuteOther { .. } => "muteOther",
            Self::MuteAll => "muteAll",
            Self::Layout { .. } => "layout",
            Self::Content { .. } => "content",
            Self::RaiseHand { .. } => "raiseHand",
            Self::Chat { .. } => "chat",
            Self::Remove { .. } => "remove",
            Self::AddParticipant { .. } => "addParticipant",
            Self::Leave => "leave",
        }
    }
}

impl fmt::Debug for Request {
    /// SDP holds passwords, chat is nobody else's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether a participant came from a browser or by SIP.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub enum Kind {
    Web,
    Sip,
}

/// How a participant is doing.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub enum State {
    Ringing,
    Connected,
    OnHold,
    Reconnecting,
}

/// One line of the list of participants.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Participant {
    pub id: CallLegId,
    pub name: String,
    pub kind: Kind,
    pub state: State,
    pub audio_muted: bool,
    pub video_muted: bool,
    pub has_video: bool,
    pub hand_raised: bool,
    pub sharing: bool,
    pub joined_at_ms: i64,
}

/// A line as one of the participants is shown it.
#[derive(Serialize)]
struct Seen<'a> {
    #[serde(flatten)]
    participant: &'a Participant,
    #[serde(rename = "self")]
    own: bool,
}

/// A list as one of the participants is shown it.
pub(crate) struct SeenBy<'a> {
    pub(crate) roster: &'a [Participant],
    pub(crate) reader: CallLegId,
}

impl Serialize for SeenBy<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.roster.iter().map(|participant| Seen {
            own: participant.id == self.reader,
            participant,
        }))
    }
}

/// Words that were said.
#[derive(Clone, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Chat {
    pub id: String,
    pub from: CallLegId,
    pub name: String,
    pub text: String,
    pub to: Option<CallLegId>,
    pub at_ms: i64,
}

impl fmt::Debug for Chat {
    /// What was said is nobody else's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chat")
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

/// Whose screen is shown.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Content {
    pub participant_id: Option<CallLegId>,
    pub name: String,
}

/// What a participant may do beyond hearing and seeing.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Permissions {
    pub mute_others: bool,
    pub remove_others: bool,
    pub add_participant: bool,
    pub chat: bool,
    pub share: bool,
    pub layout: bool,
}

/// How things are for a participant whose socket attaches.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Welcome {
    pub space_name: String,
    pub resumed: bool,
    pub layout: Layout,
    pub audio_muted: bool,
    pub video_muted: bool,
    pub roster: Arc<[Participant]>,
    pub speaker: Option<CallLegId>,
    pub content: Option<Content>,
    pub chat: Vec<Chat>,
    pub permissions: Permissions,
}

/// Why a socket is closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Bye {
    /// The participant left.
    Left,
    /// Somebody removed it.
    Removed,
    /// The call ended.
    Ended,
    /// The token is not ours, or its participation is over.
    TokenInvalid,
    /// Another socket took its place.
    Replaced,
    /// The server stops.
    ServerStops,
}

/// Why a wish is not fulfilled.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, thiserror::Error)]
#[serde(rename_all = "camelCase")]
pub enum Code {
    /// What was said makes no sense.
    #[error("invalid")]
    Invalid,
    /// There is no such participant.
    #[error("no such participant")]
    NoSuchParticipant,
    /// Participants may not do this.
    #[error("not allowed")]
    NotAllowed,
    /// There is no room.
    #[error("full")]
    Full,
    /// The server cannot do it now.
    #[error("unavailable")]
    Unavailable,
}

/// What an attached participant is told.
#[derive(Clone, Debug, PartialEq)]
pub enum ServerMessage {
    /// The answer to its offer, SDP.
    Answer(Sdp),
    /// It is to offer again, with new ICE credentials.
    Reoffer,
    /// Who is there.
    Roster(Arc<[Participant]>),
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
    Content(Content),
    /// Words.
    Chat(Chat),
    /// A wish was not fulfilled.
    Error {
        /// Why.
        code: Code,
        /// What was asked for.
        about: &'static str,
    },
    /// It is over; the socket is closed.
    Bye(Bye),
}

/// SDP, kept out of logs for the passwords in it.
#[derive(Clone, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Sdp(pub String);

impl fmt::Debug for Sdp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sdp(..)")
    }
}

/// As it goes over the wire.
#[derive(Serialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub(crate) enum Wire<'a> {
    Welcome {
        participant_id: CallLegId,
        space_name: &'a str,
        resumed: bool,
        #[serde(serialize_with = "write_layout")]
        layout: &'a Layout,
        #[serde(serialize_with = "write_layouts")]
        layouts: &'a [Layout],
        audio_muted: bool,
        video_muted: bool,
        roster: SeenBy<'a>,
        speaker: Option<CallLegId>,
        content: Option<&'a Content>,
        chat: &'a [Chat],
        ice_servers: &'a [IceServer],
        permissions: Permissions,
    },
    Answer {
        sdp: &'a Sdp,
    },
    Reoffer {
        ice_restart: bool,
    },
    Roster {
        participants: SeenBy<'a>,
    },
    Speaker {
        participant_id: Option<CallLegId>,
    },
    Muted {
        audio_muted: bool,
        video_muted: bool,
        by_other: bool,
    },
    Layout {
        #[serde(serialize_with = "write_layout")]
        layout: &'a Layout,
    },
    Content(&'a Content),
    Chat(&'a Chat),
    Error {
        code: Code,
        about: &'a str,
    },
    Pong {
        n: u64,
    },
    Bye {
        reason: Bye,
    },
}

impl<'a> Wire<'a> {
    /// A message as its `reader` is told it.
    pub(crate) fn of(message: &'a ServerMessage, reader: CallLegId) -> Self {
        match message {
            ServerMessage::Answer(sdp) => Self::Answer { sdp },
            ServerMessage::Reoffer => Self::Reoffer { ice_restart: true },
            ServerMessage::Roster(roster) => Self::Roster {
                participants: SeenBy { roster, reader },
            },
            ServerMessage::Speaker(participant_id) => Self::Speaker {
                participant_id: *participant_id,
            },
            ServerMessage::Muted {
                audio,
                video,
                by_other,
            } => Self::Muted {
                audio_muted: *audio,
                video_muted: *video,
                by_other: *by_other,
            },
            ServerMessage::Layout(layout) => Self::Layout { layout },
            ServerMessage::Content(content) => Self::Content(content),
            ServerMessage::Chat(chat) => Self::Chat(chat),
            ServerMessage::Error { code, about } => Self::Error { code: *code, about },
            ServerMessage::Bye(reason) => Self::Bye { reason: *reason },
        }
    }

    /// How things are, for a `reader` that attaches.
    pub(crate) fn welcome(
        welcome: &'a Welcome,
        ice_servers: &'a [IceServer],
        reader: CallLegId,
    ) -> Self {
        Self::Welcome {
            participant_id: reader,
            space_name: &welcome.space_name,
            resumed: welcome.resumed,
            layout: &welcome.layout,
            layouts: Layout::ALL,
            audio_muted: welcome.audio_muted,
            video_muted: welcome.video_muted,
            roster: SeenBy {
                roster: &welcome.roster,
                reader,
            },
            speaker: welcome.speaker,
            content: welcome.content.as_ref(),
            chat: &welcome.chat,
            ice_servers,
            permissions: welcome.permissions,
        }
    }

    /// The text. Nothing in here fails to become JSON.
    pub(crate) fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn id(number: u8) -> CallLegId {
        CallLegId::from_bytes([number; 16])
    }

    fn request(value: Value) -> Option<Request> {
        match serde_json::from_value(value).ok()? {
            FromClient::Request(request) => Some(request),
            FromClient::Ping(_) => None,
        }
    }

    fn text(message: &ServerMessage) -> Value {
        serde_json::from_str(&Wire::of(message, id(1)).to_text()).unwrap()
    }

    #[test]
    fn requests_are_read_as_the_app_writes_them() {
        assert_eq!(
            request(
                json!({"type": "candidate", "candidate": "candidate:1", "sdpMid": "0",
                "usernameFragment": "abcd"})
            ),
            Some(Request::Candidate {
                candidate: "candidate:1".into(),
                username_fragment: Some("abcd".into())
            })
        );
        assert_eq!(
            request(json!({"type": "mute", "audio": true})),
            Some(Request::Mute {
                audio: Some(true),
                video: None
            })
        );
        assert_eq!(
            request(json!({"type": "muteOther", "participantId": id(2), "audio": false})),
            Some(Request::MuteOther {
                participant_id: id(2),
                audio: false
            })
        );
        assert_eq!(
            request(json!({"type": "layout", "layout": "onePlusFive"})),
            Some(Request::Layout {
                layout: Layout::OnePlusFive
            })
        );
        assert_eq!(
            request(json!({"type": "chat", "id": "7", "text": "hi", "to": null})),
            Some(Request::Chat {
                id: "7".into(),
                text: "hi".into(),
                to: None
            })
        );
        assert_eq!(request(json!({"type": "leave"})), Some(Request::Leave));
        assert_eq!(request(json!({"type": "muteAll"})), Some(Request::MuteAll));
        let ping = serde_json::from_value(json!({"type": "ping", "n": 3})).unwrap();
        assert!(matches!(ping, FromClient::Ping(Ping::Ping { n: 3 })));
        for bad in [
            json!({"type": "layout", "layout": "upsideDown"}),
            json!({"type": "muteOther", "participantId": "ann", "audio": true}),
            json!({"type": "dance"}),
            json!({"sdp": "v=0"}),
            json!([]),
        ] {
            assert_eq!(request(bad.clone()), None, "{bad}");
        }
    }

    #[test]
    fn each_reader_finds_itself_in_the_list() {
        let participant = |number| Participant {
            id: id(number),
            name: format!("P{number}"),
            kind: Kind::Web,
            state: State::OnHold,
            audio_muted: true,
            video_muted: false,
            has_video: true,
            hand_raised: false,
            sharing: false,
            joined_at_ms: 5,
        };
        let roster = ServerMessage::Roster(Arc::new([participant(1), participant(2)]));
        let value = text(&roster);
        assert_eq!(value["type"], "roster");
        let own: Vec<_> = value["participants"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| line["self"].as_bool().unwrap())
            .collect();
        assert_eq!(own, [true, false]);
        assert_eq!(
            value["participants"][1],
            json!({"id": id(2), "name": "P2", "kind": "web", "state": "onHold", "audioMuted": true,
                "videoMuted": false, "hasVideo": true, "handRaised": false, "sharing": false,
                "joinedAtMs": 5, "self": false})
        );
    }

    #[test]
    fn messages_are_written_as_the_app_reads_them() {
        for (message, wanted) in [
            (
                ServerMessage::Answer(Sdp("v=0".into())),
                json!({"type": "answer", "sdp": "v=0"}),
            ),
            (
                ServerMessage::Reoffer,
                json!({"type": "reoffer", "iceRestart": true}),
            ),
            (
                ServerMessage::Speaker(None),
                json!({"type": "speaker", "participantId": null}),
            ),
            (
                ServerMessage::Muted {
                    audio: true,
                    video: false,
                    by_other: true,
                },
                json!({"type": "muted", "audioMuted": true, "videoMuted": false, "byOther": true}),
            ),
            (
                ServerMessage::Content(Content::default()),
                json!({"type": "content", "participantId": null, "name": ""}),
            ),
            (
                ServerMessage::Error {
                    code: Code::NoSuchParticipant,
                    about: "remove",
                },
                json!({"type": "error", "code": "noSuchParticipant", "about": "remove"}),
            ),
            (
                ServerMessage::Bye(Bye::ServerStops),
                json!({"type": "bye", "reason": "serverStops"}),
            ),
        ] {
            assert_eq!(text(&message), wanted);
        }
    }

    #[test]
    fn neither_sdp_nor_chat_is_printed() {
        let request = Request::Offer {
            sdp: "a=ice-pwd:hidden".into(),
        };
        let answer = ServerMessage::Answer(Sdp("a=ice-pwd:hidden".into()));
        let chat = ServerMessage::Chat(Chat {
            id: "hidden".into(),
            from: id(1),
            name: "hidden".into(),
            text: "hidden".into(),
            to: None,
            at_ms: 0,
        });
        let printed = format!("{request:?} {answer:?} {chat:?}");
        assert!(!printed.contains("hidden"), "{printed}");
    }

    proptest! {
        #[test]
        fn any_text_is_a_message_or_none(text in ".{0,200}", kind in "[a-zA-Z]{0,10}") {
            let _ = serde_json::from_str::<FromClient>(&text);
            let _ = serde_json::from_str::<FromClient>(&json!({"type": kind, "id": text}).to_string());
        }
    }
}
