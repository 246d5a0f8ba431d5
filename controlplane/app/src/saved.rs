//! What of a leg outlives the control process.

use plenum_abi::{LegConfig, TransportConfig};
use plenum_model::{CallId, CallLegId, CorrelatorId, MediaEncryption, SpaceId};
use serde::{Deserialize, Serialize};
use zerocopy::{FromBytes, IntoBytes};

use crate::Place;
use crate::look::Look;
use crate::video::SavedVideo;
use crate::web::SavedWeb;

/// A call, repeated in each of its legs.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SavedCall {
    /// The call.
    pub id: CallId,
    /// Equal on all servers that share the call.
    pub correlator: CorrelatorId,
    /// Its space.
    pub space: SpaceId,
    /// Name of the space.
    pub name: String,
    /// User part of our address in it.
    pub user: String,
    /// Who scheduled it.
    pub owner: Option<String>,
    /// Its conference slot.
    pub place: Place,
    /// When it began.
    pub began_unix_ms: i64,
    /// Most legs at one time.
    pub legs_max: usize,
    /// How it looks.
    #[serde(default)]
    pub look: Look,
}

/// A leg. Holds keys: to be kept as carefully as the dialog beside it.
#[derive(Clone, Deserialize, PartialEq, Serialize)]
pub struct SavedLeg {
    /// The leg.
    pub id: CallLegId,
    /// Its call.
    pub call: SavedCall,
    /// Its slot.
    pub place: Place,
    /// We called.
    pub outgoing: bool,
    /// The session stands.
    pub connected: bool,
    /// What the far end calls itself.
    pub name: String,
    /// Address of the far end.
    pub remote_party: String,
    /// Our address.
    pub local_address: String,
    /// Call-ID of the dialog; empty for a browser.
    pub sip_call_id: String,
    /// Our IP address for media.
    pub local_ip: std::net::IpAddr,
    /// When the leg began.
    pub began_unix_ms: i64,
    /// When it was connected.
    pub connected_unix_ms: Option<i64>,
    /// The SDP we sent last.
    pub local_sdp: Option<String>,
    /// An offer of ours waits for its answer.
    pub offering: bool,
    /// Bytes of the last [`LegConfig`]; empty before the first.
    pub config: Vec<u8>,
    /// Others do not hear this leg.
    pub rx_audio_mute: Option<bool>,
    /// This leg hears nothing.
    pub tx_audio_mute: Option<bool>,
    /// Name label instead of the far end's own.
    pub name_label_override: Option<String>,
    /// Opaque mark of whoever dialled.
    pub owner_id: Option<String>,
    /// Encryption asked of the leg.
    pub encryption: Option<MediaEncryption>,
    /// Others do not see this leg.
    #[serde(default)]
    pub rx_video_mute: Option<bool>,
    /// This leg sees nothing.
    #[serde(default)]
    pub tx_video_mute: Option<bool>,
    /// Layout to begin with.
    #[serde(default)]
    pub default_layout: Option<String>,
    /// Layout chosen meanwhile.
    #[serde(default)]
    pub chosen_layout: Option<String>,
    /// Counts the names that it was shown under.
    #[serde(default)]
    pub label_revision: u64,
    /// Its pictures.
    #[serde(default)]
    pub video: SavedVideo,
    /// The far end is a browser; `None` is SIP.
    #[serde(default)]
    pub web: Option<SavedWeb>,
}

impl std::fmt::Debug for SavedLeg {
    /// Keys never reach a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SavedLeg")
            .field("id", &self.id)
            .field("call", &self.call.id)
            .field("place", &self.place)
            .field("connected", &self.connected)
            .finish_non_exhaustive()
    }
}

/// Why a saved leg is not taken up again.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RestoreError {
    /// The media plane was replaced, or has removed the leg.
    #[error("its media is gone")]
    MediaGone,
    /// The session was never finished.
    #[error("it was not connected yet")]
    NotConnected,
    /// The value was written by another version.
    #[error("what was saved cannot be read")]
    Unreadable,
}

impl SavedLeg {
    pub(crate) fn config_bytes(config: Option<&LegConfig>) -> Vec<u8> {
        config.map_or_else(Vec::new, |config| config.as_bytes().to_vec())
    }

    /// Whether what is there of a browser's transport can be read.
    pub(crate) fn web_is_readable(&self) -> bool {
        let bytes = self.web.as_ref().map(|web| web.transport.as_slice());
        bytes
            .is_none_or(|bytes| bytes.is_empty() || TransportConfig::read_from_bytes(bytes).is_ok())
    }

    /// The last configuration.
    pub(crate) fn leg_config(&self) -> Option<LegConfig> {
        LegConfig::read_from_bytes(&self.config).ok()
    }
}
