//! What people in browsers share beyond sound and pictures: chat, whose screen
//! is shown, who speaks, and when they are next told who is there.

use std::collections::VecDeque;
use std::time::Duration;

use plenum_abi::Nanos;
use plenum_model::CallLegId;

use crate::web::WebChat;

/// The list of participants is told four times a second at most.
pub(crate) const ROSTER_PAUSE: Duration = Duration::from_millis(250);
/// Words of a call that are kept for those who come later or come back.
pub(crate) const CHAT_KEPT: usize = 100;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Room {
    chat: VecDeque<WebChat>,
    /// Whose screen is shown.
    pub(crate) sharer: Option<CallLegId>,
    /// Who is loudest.
    pub(crate) speaker: Option<CallLegId>,
    /// When the list is to be told; `None` while nothing changed.
    pub(crate) roster_due: Option<Nanos>,
    roster_told: Option<Nanos>,
}

impl Room {
    /// The list has changed.
    pub(crate) fn touch(&mut self, now: Nanos) {
        let earliest = self.roster_told.map_or(now, |told| told + ROSTER_PAUSE);
        self.roster_due.get_or_insert(earliest.max(now));
    }

    /// The list is told now.
    pub(crate) const fn told(&mut self, now: Nanos) {
        self.roster_due = None;
        self.roster_told = Some(now);
    }

    /// A participant is gone; `true` when its screen was the one that was shown.
    pub(crate) fn left(&mut self, id: CallLegId) -> bool {
        self.speaker = self.speaker.filter(|speaker| *speaker != id);
        let shared = self.sharer == Some(id);
        if shared {
            self.sharer = None;
        }
        shared
    }

    pub(crate) fn said(&mut self, chat: WebChat) {
        if self.chat.len() == CHAT_KEPT {
            self.chat.pop_front();
        }
        self.chat.push_back(chat);
    }

    /// What a participant may read, oldest first.
    pub(crate) fn chat_of(&self, reader: CallLegId) -> Vec<WebChat> {
        let may_read = |chat: &&WebChat| chat.is_for(reader);
        self.chat.iter().filter(may_read).cloned().collect()
    }
}
