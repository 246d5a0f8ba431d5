//! What goes into a decision beside the question, and what comes out.

use std::time::Duration;

use plenum_abi::{
    CommandKind, ConferenceConfig, LegConfig, Nanos, Text, TransportConfig, VideoConfig, ViewPolicy,
};
use plenum_model::CallLegId;
use plenum_sdp::webrtc::Candidate;
use rand::CryptoRng;

use crate::web::WebMessage;
use crate::{Place, Places, SavedLeg};

/// A moment on both clocks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Moment {
    /// `CLOCK_MONOTONIC`, for intervals.
    pub monotonic: Nanos,
    /// Unix time in milliseconds, for what outlives a boot.
    pub unix_ms: i64,
}

impl Moment {
    /// Since a moment of the Unix clock; zero when that is in the future.
    pub(crate) fn since_unix_ms(self, unix_ms: i64) -> Duration {
        Duration::from_millis(u64::try_from(self.unix_ms - unix_ms).unwrap_or(0))
    }
}

/// The world as it is at the moment of a decision.
pub struct World<'a> {
    /// Now.
    pub now: Moment,
    /// Slots and counters.
    pub places: &'a mut dyn Places,
    /// For ids, keys and SSRCs.
    pub rng: &'a mut dyn CryptoRng,
    /// What is to be done, in this order.
    pub out: &'a mut Vec<Output>,
}

/// A digit to be sent by a worker (RFC 4733).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DtmfDigit {
    /// Event code, 0 to 15.
    pub event: u8,
    /// How long it sounds, milliseconds.
    pub duration_ms: u16,
}

/// Whom to call, and as whom.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Invitation {
    /// The far end, as it was asked for: a SIP URI or `user@host`.
    pub to: String,
    /// User part of our address.
    pub from_user: String,
    /// Our display name.
    pub from_display: String,
    /// Our offer.
    pub sdp: String,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Look for the space that `user` names and answer with [`crate::App::resolved`].
    Resolve {
        /// Who waits for it.
        leg: CallLegId,
        /// User part of the address, as dialled.
        user: String,
    },
    /// SIP: 200 with this SDP.
    Accept {
        /// The leg.
        leg: CallLegId,
        /// Our answer, or our offer where the caller made none.
        sdp: String,
    },
    /// SIP: refuse a call that was not accepted.
    Reject {
        /// The leg.
        leg: CallLegId,
        /// 300 to 699.
        code: u16,
        /// For people.
        reason: String,
        /// Seconds.
        retry_after: Option<u32>,
    },
    /// SIP: end a leg, whatever its state.
    HangUp {
        /// The leg.
        leg: CallLegId,
        /// For people; empty where there is nothing to say.
        reason: String,
    },
    /// SIP: call somebody.
    Invite {
        /// The leg.
        leg: CallLegId,
        /// Whom.
        invitation: Invitation,
    },
    /// SIP: our answer to an offer that came with a 200.
    Acknowledge {
        /// The leg.
        leg: CallLegId,
        /// The answer.
        sdp: String,
    },
    /// SIP: offer a changed session.
    Reinvite {
        /// The leg.
        leg: CallLegId,
        /// The offer.
        sdp: String,
    },
    /// SIP: a digit by INFO, for far ends without telephone-event.
    DtmfInfo {
        /// The leg.
        leg: CallLegId,
        /// `0`-`9`, `*`, `#`, `A`-`D`.
        digit: char,
        /// Milliseconds.
        duration_ms: u16,
    },
    /// SIP: ask for a key frame by INFO ([`crate::PICTURE_FAST_UPDATE`]).
    AskForKeyFrame {
        /// The leg.
        leg: CallLegId,
    },
    /// Media: create or change a leg.
    SetLeg {
        /// Its slot.
        place: Place,
        /// What it is to be.
        config: Box<LegConfig>,
    },
    /// Media: create or change a browser's transport; comes before its leg.
    SetTransport {
        /// The leg's slot.
        place: Place,
        /// What it is to be.
        config: Box<TransportConfig>,
    },
    /// Media: a candidate of a browser's.
    AddCandidate {
        /// The leg's slot.
        place: Place,
        /// The candidate.
        candidate: Candidate,
    },
    /// Media: create or change a video stream; comes after its leg.
    SetVideo {
        /// Its slot.
        place: Place,
        /// What it is to be.
        config: Box<VideoConfig>,
    },
    /// Media: create or change a conference.
    SetConference {
        /// Its slot.
        place: Place,
        /// What it is to be.
        config: ConferenceConfig,
    },
    /// Media: how a conference looks; comes after the conference.
    SetViewPolicy {
        /// The conference's slot.
        place: Place,
        /// How.
        policy: ViewPolicy,
    },
    /// Media: the text over everybody's picture; comes after the conference.
    SetMessage {
        /// The conference's slot.
        place: Place,
        /// The text; empty takes it away.
        text: Box<Text>,
    },
    /// Media: the name on a leg's pane; comes after the leg.
    SetLabel {
        /// The leg's slot.
        place: Place,
        /// The name.
        text: Box<Text>,
    },
    /// Media: remove a leg ([`CommandKind::RemoveLeg`]), a conference
    /// ([`CommandKind::RemoveConference`]) or a video stream
    /// ([`CommandKind::RemoveVideo`]).
    Remove {
        /// Which.
        kind: CommandKind,
        /// Its slot.
        place: Place,
    },
    /// Media: the far end asks for a key frame.
    SendKeyFrame {
        /// The video slot.
        place: Place,
    },
    /// Media: send a digit.
    SendDtmf {
        /// The leg's slot.
        place: Place,
        /// The digit.
        digit: DtmfDigit,
    },
    /// Store: this is the leg now; beside its dialog, if it has one, it survives a
    /// restart.
    Save(Box<SavedLeg>),
    /// Web: tell a participant in a browser.
    Web {
        /// The leg.
        leg: CallLegId,
        /// What.
        message: WebMessage,
    },
    /// Web and store: a browser's leg is over.
    Forget {
        /// The leg.
        leg: CallLegId,
    },
}
