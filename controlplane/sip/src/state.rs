//! What of a dialog outlives the process.

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{Credentials, DialogKey, Party, Transport};

/// Who sent the INVITE.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// We called.
    Caller,
    /// We were called.
    Callee,
}

/// Session timer of a dialog (RFC 4028).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SessionTimer {
    /// Agreed interval, seconds.
    pub interval_s: u32,
    /// We refresh; otherwise the far end does.
    pub we_refresh: bool,
}

/// A dialog as RFC 3261 section 12 has it, and what we need beside it. All of
/// it is text and numbers, so that any store can keep it. Its `Debug` shows no
/// SDP and no password.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
pub struct DialogState {
    /// The leg; our tag.
    pub key: DialogKey,
    /// Who called.
    pub role: Role,
    /// Call-ID.
    pub call_id: String,
    /// The far end's tag.
    pub remote_tag: String,
    /// Our From or To.
    pub local_party: Party,
    /// The far end's From or To.
    pub remote_party: Party,
    /// Last CSeq number that we used; 0 before the first.
    pub local_cseq: u32,
    /// Last CSeq number of the far end, once there was one.
    pub remote_cseq: Option<u32>,
    /// CSeq number of the INVITE that made the dialog, or of our last one in it that was
    /// accepted: the number of its ACK.
    pub invite_cseq: u32,
    /// Route set in the order in which we use it, as `<sip:...;lr>` entries.
    pub route_set: Vec<String>,
    /// The far end's Contact URI.
    pub remote_target: String,
    /// Our Contact URI in this dialog.
    pub local_contact: String,
    /// How messages travel.
    pub transport: Transport,
    /// Our listener's address, never unspecified.
    pub local_address: SocketAddr,
    /// Where the last message came from, or where the first went.
    pub peer_address: SocketAddr,
    /// The 2xx was acknowledged.
    pub confirmed: bool,
    /// The session timer, where agreed.
    pub session_timer: Option<SessionTimer>,
    /// When the session was last refreshed, seconds since 1970: after a restart
    /// the timer goes on from there.
    pub refreshed_at_unix_s: u64,
    /// The far end takes UPDATE (RFC 3311).
    pub peer_allows_update: bool,
    /// The SDP that we sent last.
    pub local_sdp: Option<String>,
    /// The SDP that we received last.
    pub remote_sdp: Option<String>,
    /// For challenges within the dialog, where we called with credentials.
    pub credentials: Option<Credentials>,
}

impl fmt::Debug for DialogState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DialogState")
            .field("key", &format_args!("{}", self.key))
            .field("role", &self.role)
            .field("call_id", &self.call_id)
            .field("remote_target", &self.remote_target)
            .field("peer_address", &self.peer_address)
            .field("local_cseq", &self.local_cseq)
            .field("remote_cseq", &self.remote_cseq)
            .field("confirmed", &self.confirmed)
            .finish_non_exhaustive()
    }
}
