//! The sockets of browsers, and words for them.
//!
//! A participant has one socket or none. What the application says to one that
//! has none is dropped: who comes back is told how things are.

use std::collections::HashMap;
use std::sync::Arc;

use plenum_app::{WebBye, WebChat, WebMessage, WebParticipant, WebPresence, WebWelcome};
use plenum_model::CallLegId;
use plenum_webbridge::{
    Bye, Chat, Content, Kind, Participant, Permissions, Sdp, ServerMessage, Session, State,
    ToClient, Welcome,
};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Browsers {
    sockets: HashMap<CallLegId, (Session, ToClient)>,
    sessions: u64,
}

impl Browsers {
    /// A socket takes the place of the one before it.
    pub(super) fn attach(&mut self, leg: CallLegId, to_client: ToClient) -> Session {
        self.sessions += 1;
        let session = Session(self.sessions);
        if let Some((_, replaced)) = self.sockets.insert(leg, (session, to_client)) {
            // One that reads nothing learns it by being closed.
            let _ = replaced.try_send(ServerMessage::Bye(Bye::Replaced));
        }
        session
    }

    /// Whether a socket still speaks for its participant.
    pub(super) fn is_current(&self, leg: CallLegId, session: Session) -> bool {
        let socket = self.sockets.get(&leg);
        socket.is_some_and(|(current, _)| *current == session)
    }

    /// Whether a participant has a socket.
    pub(super) fn has(&self, leg: CallLegId) -> bool {
        self.sockets.contains_key(&leg)
    }

    pub(super) fn remove(&mut self, leg: CallLegId) {
        self.sockets.remove(&leg);
    }

    /// Says something to a participant. A client that does not read loses its socket,
    /// not its participation.
    pub(super) fn tell(&mut self, leg: CallLegId, message: WebMessage) {
        let Some((_, to_client)) = self.sockets.get(&leg) else {
            return;
        };
        if to_client.try_send(server_message(message)).is_err() {
            tracing::info!(%leg, "a browser reads too slowly");
            self.sockets.remove(&leg);
        }
    }
}

fn server_message(message: WebMessage) -> ServerMessage {
    match message {
        WebMessage::Answer { sdp } => ServerMessage::Answer(Sdp(sdp)),
        WebMessage::Reoffer => ServerMessage::Reoffer,
        WebMessage::Roster(lines) => ServerMessage::Roster(roster(&lines)),
        WebMessage::Speaker(speaker) => ServerMessage::Speaker(speaker),
        WebMessage::Muted {
            audio,
            video,
            by_other,
        } => ServerMessage::Muted {
            audio,
            video,
            by_other,
        },
        WebMessage::Layout(layout) => ServerMessage::Layout(layout),
        WebMessage::Content(shown) => {
            ServerMessage::Content(shown.map(content).unwrap_or_default())
        }
        WebMessage::Chat(words) => ServerMessage::Chat(chat(words)),
        WebMessage::Bye(bye) => ServerMessage::Bye(match bye {
            WebBye::Left => Bye::Left,
            WebBye::Removed => Bye::Removed,
            WebBye::Ended => Bye::Ended,
            WebBye::ServerStops => Bye::ServerStops,
        }),
    }
}

fn roster(lines: &[WebParticipant]) -> Arc<[Participant]> {
    let line = |line: &WebParticipant| Participant {
        id: line.id,
        name: line.name.clone(),
        kind: match line.web {
            true => Kind::Web,
            false => Kind::Sip,
        },
        state: match line.presence {
            WebPresence::Ringing => State::Ringing,
            WebPresence::Connected => State::Connected,
            WebPresence::OnHold => State::OnHold,
            WebPresence::Reconnecting => State::Reconnecting,
        },
        audio_muted: line.audio_muted,
        video_muted: line.video_muted,
        has_video: line.has_video,
        hand_raised: line.hand_raised,
        sharing: line.sharing,
        joined_at_ms: line.joined_unix_ms,
    };
    lines.iter().map(line).collect()
}

fn content((participant, name): (CallLegId, String)) -> Content {
    Content {
        participant_id: Some(participant),
        name,
    }
}

fn chat(words: WebChat) -> Chat {
    Chat {
        id: words.id,
        from: words.from,
        name: words.name,
        text: words.text,
        to: words.to,
        at_ms: words.at_unix_ms,
    }
}

pub(super) fn welcome(welcome: WebWelcome) -> Welcome {
    let allowed = welcome.permissions;
    Welcome {
        space_name: welcome.space_name,
        resumed: welcome.resumed,
        layout: welcome.layout,
        audio_muted: welcome.audio_muted,
        video_muted: welcome.video_muted,
        roster: roster(&welcome.roster),
        speaker: welcome.speaker,
        content: welcome.content.map(content),
        chat: welcome.chat.into_iter().map(chat).collect(),
        permissions: Permissions {
            mute_others: allowed.moderate,
            remove_others: allowed.moderate,
            add_participant: allowed.dial,
            chat: allowed.chat,
            share: allowed.share,
            layout: true,
        },
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    #[test]
    fn a_new_socket_takes_the_place_of_the_old_one() {
        let mut browsers = Browsers::default();
        let leg = CallLegId::from_bytes([1; 16]);
        let (old, mut old_client) = mpsc::channel(4);
        let (new, mut new_client) = mpsc::channel(4);
        let first = browsers.attach(leg, old);
        let second = browsers.attach(leg, new);
        assert!(!browsers.is_current(leg, first) && browsers.is_current(leg, second));
        browsers.tell(leg, WebMessage::Reoffer);
        assert_eq!(old_client.try_recv(), Ok(ServerMessage::Bye(Bye::Replaced)));
        assert!(old_client.is_closed());
        assert_eq!(new_client.try_recv(), Ok(ServerMessage::Reoffer));
    }

    #[test]
    fn who_does_not_read_loses_the_socket() {
        let mut browsers = Browsers::default();
        let leg = CallLegId::from_bytes([1; 16]);
        let (slow, client) = mpsc::channel(2);
        let session = browsers.attach(leg, slow);
        for _ in 0..2 {
            browsers.tell(leg, WebMessage::Reoffer);
            assert!(browsers.is_current(leg, session));
        }
        browsers.tell(leg, WebMessage::Reoffer);
        assert!(!browsers.is_current(leg, session) && client.is_closed());
    }
}
