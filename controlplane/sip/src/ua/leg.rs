//! A call leg: the dialog, and what goes on in it right now.

use std::time::Duration;

use rsipstack::sip::{Request, Response};
use tokio::time::Instant;

use crate::txn::{ServerInvite, Target};
use crate::{Cause, Credentials, DialogState};

/// How far a leg is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    /// Called; the application decides.
    Incoming,
    /// Called, and answered 200; the ACK is missing.
    Answered,
    /// Calling.
    Calling,
    /// The far end answered with an offer; the application makes the answer.
    Offered,
    /// The call stands.
    Established,
    /// BYE or CANCEL is out.
    Ending(Cause),
}

impl Phase {
    /// Whether there is something that a successor could carry on.
    pub(super) fn is_dialog(self) -> bool {
        matches!(self, Self::Answered | Self::Offered | Self::Established)
    }
}

/// An INVITE of the far end.
pub(super) struct Answering {
    pub(super) id: u64,
    pub(super) request: Request,
    pub(super) transaction: ServerInvite,
    /// The INVITE came without SDP, so that the 2xx has our offer.
    pub(super) we_offer: bool,
    /// A final answer is out.
    pub(super) answered: bool,
}

/// A reliable provisional answer that waits for PRACK (RFC 3262).
pub(super) struct Reliable {
    pub(super) number: u32,
    pub(super) response: Response,
    pub(super) next: Instant,
    pub(super) interval: Duration,
    pub(super) until: Instant,
}

/// An INVITE of ours.
pub(super) struct Asking {
    pub(super) id: u64,
    pub(super) cseq: u32,
    pub(super) branch: String,
    pub(super) to: Target,
    pub(super) request: Request,
    /// It had our offer.
    pub(super) we_offered: bool,
    /// A provisional answer came: CANCEL may be sent.
    pub(super) proceeding: bool,
    /// CANCEL is wanted, or out.
    pub(super) cancelled: bool,
    /// It only refreshes the session; nobody waits for its outcome.
    pub(super) refresh: bool,
    /// An answer to our offer that came in a reliable provisional answer.
    pub(super) early_answer: Option<String>,
    /// Number of the last reliable provisional answer that was taken.
    pub(super) last_rseq: u32,
}

pub(super) struct Leg {
    pub(super) dialog: DialogState,
    pub(super) phase: Phase,
    pub(super) answering: Option<Answering>,
    pub(super) asking: Option<Asking>,
    pub(super) reliable: Option<Reliable>,
    pub(super) last_rseq: u32,
    /// The ACK that a repeated 2xx gets: INVITE number and request.
    pub(super) last_ack: Option<(u32, Request)>,
    /// Hang up as soon as the far end may be sent a BYE; with the Reason.
    pub(super) bye_wanted: Option<String>,
    /// An UPDATE or re-INVITE of the far end with an offer waits for the application.
    pub(super) reoffer_waits: bool,
    /// Restored before its ACK came.
    pub(super) unacknowledged: bool,
    /// We called.
    pub(super) called: bool,
    pub(super) min_se: Option<u32>,
    pub(super) extra_headers: Vec<(String, String)>,
    /// When something is due, and is in the queue.
    pub(super) due: Option<Instant>,
    /// CANCEL, BYE, or an answer by the application cannot take longer.
    pub(super) give_up_at: Option<Instant>,
    /// The next refresh, where we refresh.
    pub(super) refresh_at: Option<Instant>,
    /// The session ends without refresh.
    pub(super) expires_at: Option<Instant>,
}

impl Leg {
    pub(super) fn new(dialog: DialogState, phase: Phase) -> Self {
        Self {
            called: dialog.role == crate::Role::Caller,
            dialog,
            phase,
            answering: None,
            asking: None,
            reliable: None,
            last_rseq: 0,
            last_ack: None,
            bye_wanted: None,
            reoffer_waits: false,
            unacknowledged: false,
            min_se: None,
            extra_headers: Vec::new(),
            due: None,
            give_up_at: None,
            refresh_at: None,
            expires_at: None,
        }
    }

    pub(super) fn credentials(&self) -> Option<&Credentials> {
        self.dialog.credentials.as_ref()
    }

    /// Where requests in this dialog go.
    pub(super) fn target(&self) -> Option<Target> {
        let mut to = crate::txn::target(&self.dialog.next_hop())?;
        to.local = Some(self.dialog.local_address);
        if to.transport == self.dialog.transport {
            to.peer = Some(self.dialog.peer_address);
        }
        // A Contact that forgets its transport over a connection: the connection
        // is what the far end has shown to work.
        if to.transport == crate::Transport::Udp && self.dialog.transport.is_reliable() {
            to.transport = self.dialog.transport;
            to.peer = Some(self.dialog.peer_address);
        }
        Some(to)
    }
}
