//! What the stack tells the application, and what it is asked for.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{DialogState, Transport};

/// A call leg, before and after a restart. On the wire it is our tag.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct DialogKey(pub(crate) u128);

impl fmt::Display for DialogKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The text is not a [`DialogKey`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a dialog key: 32 hexadecimal digits are needed")]
pub struct ParseKeyError;

impl FromStr for DialogKey {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, ParseKeyError> {
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(ParseKeyError);
        }
        u128::from_str_radix(text, 16)
            .map(Self)
            .map_err(|_| ParseKeyError)
    }
}

impl Serialize for DialogKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DialogKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A request inside a dialog that waits for the application's answer.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct TxnId(pub(crate) u64);

/// A name and address, as in From and To.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Party {
    /// The URI without parameters of the header.
    pub uri: String,
    /// Display name, unquoted; empty where there is none.
    pub display: String,
}

/// Another dialog that an INVITE wants to replace (RFC 3891).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Replaces {
    /// Our leg, where the named dialog is one of ours.
    pub key: Option<DialogKey>,
    /// Replace only a dialog that was not answered yet.
    pub early_only: bool,
}

/// Why a dialog ended.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Cause {
    /// The far end sent BYE.
    Bye,
    /// The far end sent CANCEL before we answered.
    Cancel,
    /// We hung up.
    Local,
    /// The far end did not acknowledge our answer, or did not answer a request.
    Timeout,
    /// No session refresh came in time (RFC 4028).
    SessionExpired,
    /// The far end knows the dialog no more (481), or answered 408.
    Gone,
    /// The far end cannot be reached.
    TransportFailed,
}

/// What happened. Every dialog ends with exactly one [`SipEvent::Ended`] or
/// [`SipEvent::Rejected`]. Its `Debug` shows no SDP: SRTP keys never reach a log.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
#[allow(
    clippy::large_enum_variant,
    reason = "few exist at a time, and a caller reads them where they are"
)]
pub enum SipEvent {
    /// Somebody calls. Answer with `provisional`, `accept` or `reject`; a 100 is
    /// out already.
    Invite {
        /// The new leg.
        key: DialogKey,
        /// Whom the caller wants, as written in the request line.
        request_uri: String,
        /// The caller, unverified.
        from: Party,
        /// The To header.
        to: Party,
        /// The Call-ID.
        call_id: String,
        /// The caller's SDP; `None` asks for our offer (delayed offer).
        offer: Option<String>,
        /// Where the message came from.
        peer: SocketAddr,
        /// Our address on which it arrived, never unspecified; media for this
        /// leg can use its IP address.
        local: SocketAddr,
        /// How it came.
        transport: Transport,
        /// User-Agent header, empty where there is none.
        user_agent: String,
        /// The user name that passed digest authentication, where configured.
        authenticated: Option<String>,
        /// The leg that this call replaces.
        replaces: Option<Replaces>,
    },
    /// The call stands: our answer was acknowledged, or the far end accepted.
    Established {
        /// The leg.
        key: DialogKey,
        /// The far end's answer where the offer was ours; `None` where ours was the
        /// answer.
        answer: Option<String>,
    },
    /// The far end accepted our INVITE without SDP (or our re-INVITE without SDP)
    /// and offers. Answer with `acknowledge`.
    DelayedOffer {
        /// The leg.
        key: DialogKey,
        /// Its offer.
        offer: String,
    },
    /// The far end changes the session (re-INVITE, or UPDATE with SDP). Answer
    /// with `accept_reoffer` or `reject_reoffer`.
    Reoffer {
        /// The leg.
        key: DialogKey,
        /// For the answer.
        txn: TxnId,
        /// The new offer; `None` asks for ours.
        offer: Option<String>,
    },
    /// The far end answered our `reinvite`, or acknowledged the offer that we gave
    /// in `accept_reoffer`.
    ReofferAnswered {
        /// The leg.
        key: DialogKey,
        /// The answer.
        answer: String,
    },
    /// Our `reinvite` was refused, or an offer of ours was never answered; the
    /// session goes on as before.
    ReofferFailed {
        /// The leg.
        key: DialogKey,
        /// The status; 408 where nothing came, 491 where both sides tried at once
        /// (try again later).
        code: u16,
    },
    /// The far end rings (180), queues, or plays something early.
    Progress {
        /// The leg.
        key: DialogKey,
        /// 101 to 199.
        code: u16,
        /// Early media, where there is any.
        sdp: Option<String>,
    },
    /// Our call was refused. The last event of the leg.
    Rejected {
        /// The leg.
        key: DialogKey,
        /// 300 to 699; 408 where nothing answered, 503 where it cannot be reached.
        code: u16,
        /// The reason phrase.
        reason: String,
        /// Where a redirection (3xx) points.
        contacts: Vec<String>,
    },
    /// The leg is over; forget its state. The last event of the leg.
    Ended {
        /// The leg.
        key: DialogKey,
        /// Why.
        cause: Cause,
    },
    /// INFO with a body that is not a digit; already answered 200.
    Info {
        /// The leg.
        key: DialogKey,
        /// Content-Type without parameters, lower case.
        content_type: String,
        /// The body.
        body: Vec<u8>,
    },
    /// A digit by INFO (`application/dtmf-relay` or `application/dtmf`); already
    /// answered 200.
    DtmfInfo {
        /// The leg.
        key: DialogKey,
        /// `0`-`9`, `*`, `#`, `A`-`D`.
        digit: char,
        /// Milliseconds; 250 where not given.
        duration_ms: u16,
    },
    /// The far end asks us to call somebody (RFC 3515). Answer with
    /// `accept_refer` (202) or `reject_refer` (603).
    Refer {
        /// The leg.
        key: DialogKey,
        /// For the answer.
        txn: TxnId,
        /// Whom, with URI headers such as Replaces.
        refer_to: String,
        /// Referred-By, empty where there is none.
        referred_by: String,
    },
    /// Store this state: with it, [`crate::SipStack::start`] carries the dialog on
    /// after a restart. Comes with every change; the newest counts.
    DialogChanged {
        /// The leg.
        key: DialogKey,
        /// Everything there is to know of it.
        state: Box<DialogState>,
    },
}

/// User name and password for challenges of the far end (401, 407).
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
pub struct Credentials {
    /// User name.
    pub user: String,
    /// Password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// A call to make.
#[derive(Clone, Debug, Default)]
pub struct Outbound {
    /// Whom: a `sip:` or `sips:` URI; its `transport` parameter counts.
    pub to: String,
    /// Display name for the To header; may be empty.
    pub to_display: String,
    /// Who we say we are: a `sip:` URI.
    pub from: String,
    /// Display name for the From header; may be empty.
    pub from_display: String,
    /// User part of our Contact; may be empty.
    pub contact_user: String,
    /// Our offer; `None` asks the far end for its offer.
    pub sdp: Option<String>,
    /// Outbound proxy: a `sip:` URI to which the INVITE goes, as its first route.
    pub proxy: Option<String>,
    /// Further headers, name and value without line ends.
    pub headers: Vec<(String, String)>,
    /// For challenges.
    pub credentials: Option<Credentials>,
}

/// Why the stack did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {transport} {address}")]
    Bind {
        /// How.
        transport: Transport,
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// A value of the configuration is out of range.
    #[error("bad configuration: {0}")]
    Config(String),
    /// Certificate or key cannot be used.
    #[error("bad certificate or key: {0}")]
    Certificate(String),
}

/// Why a wish was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SipError {
    /// The stack has been shut down.
    #[error("the SIP stack is shut down")]
    Closed,
    /// Too many wishes wait; try again.
    #[error("the SIP stack is overloaded")]
    Overloaded,
    /// A value cannot be put into a message (a line end in a header, a bad URI).
    #[error("a value cannot be put into a SIP message")]
    BadValue,
}

impl SipEvent {
    /// The leg that it is about.
    #[must_use]
    pub const fn key(&self) -> DialogKey {
        match self {
            Self::Invite { key, .. }
            | Self::Established { key, .. }
            | Self::DelayedOffer { key, .. }
            | Self::Reoffer { key, .. }
            | Self::ReofferAnswered { key, .. }
            | Self::ReofferFailed { key, .. }
            | Self::Progress { key, .. }
            | Self::Rejected { key, .. }
            | Self::Ended { key, .. }
            | Self::Info { key, .. }
            | Self::DtmfInfo { key, .. }
            | Self::Refer { key, .. }
            | Self::DialogChanged { key, .. } => *key,
        }
    }

    /// The variant's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Invite { .. } => "Invite",
            Self::Established { .. } => "Established",
            Self::DelayedOffer { .. } => "DelayedOffer",
            Self::Reoffer { .. } => "Reoffer",
            Self::ReofferAnswered { .. } => "ReofferAnswered",
            Self::ReofferFailed { .. } => "ReofferFailed",
            Self::Progress { .. } => "Progress",
            Self::Rejected { .. } => "Rejected",
            Self::Ended { .. } => "Ended",
            Self::Info { .. } => "Info",
            Self::DtmfInfo { .. } => "DtmfInfo",
            Self::Refer { .. } => "Refer",
            Self::DialogChanged { .. } => "DialogChanged",
        }
    }
}

impl fmt::Debug for SipEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct(self.name());
        out.field("key", &format_args!("{}", self.key()));
        match self {
            Self::Rejected { code, .. }
            | Self::ReofferFailed { code, .. }
            | Self::Progress { code, .. } => {
                out.field("code", code);
            }
            Self::Ended { cause, .. } => {
                out.field("cause", cause);
            }
            _ => {}
        }
        out.finish_non_exhaustive()
    }
}
