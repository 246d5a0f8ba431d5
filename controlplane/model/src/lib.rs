//! Ids and objects of the control plane: pure.
//!
//! One vocabulary for everybody above the packets: the store keeps a [`Space`],
//! the REST API shows it, SIP resolves to it. A value that anybody may have
//! typed is checked in exactly one place, the `validate` of its object and the
//! `FromStr` of each enum; whoever writes calls it.
//!
//! A change is a patch whose every field says keep, set or unset ([`Field`]),
//! because "not mentioned" and "made empty" are different wishes on the wire.
//!
//! This crate refuses to know XML, SQL, SIP messages, clocks or entropy: random
//! bytes and durations are arguments.

mod call;
mod field;
mod id;
mod invalid;
mod layout;
mod look;
mod media;
mod page;
mod space;
mod status;
mod text;
mod turn;
mod web_bridge;

pub use call::{
    AudioReceive, AudioSend, CallLegConfiguration, CallLegPatch, CallLegQuery, CallLegState,
    CallLegStatus, CallLegSummary, CallLegType, CallLegView, CallQuery, CallSummary, CallType,
    CallView, DialOut, Direction, MAX_DTMF_SEQUENCE, MAX_NAME_LABEL_BYTES, MAX_REMOTE_PARTY,
    VideoRole, VideoStatus,
};
pub use field::Field;
pub use id::{
    CallId, CallLegId, CorrelatorId, EntryPointId, HostId, ParseIdError, SpaceId,
    WebBridgeProfileId,
};
pub use invalid::InvalidField;
pub use layout::{Layout, SelfPaneMode};
pub use look::{CallConfiguration, CallPatch, MAX_MESSAGE_BYTES, MessageDuration, MessagePosition};
pub use media::{AudioCodecName, CipherSuite, MediaEncryption, VideoCodecName};
pub use page::{Page, PageRequest};
pub use space::{
    MAX_CALL_ID_DIGITS, MAX_CDR_TAG, MAX_IMPORTANCE, MAX_NAME, MAX_OWNER, MAX_PASSCODE_DIGITS,
    MAX_SECRET, MAX_STREAM_URL, MAX_USERPART, Space, SpacePatch, SpaceQuery, generate_call_id,
    generate_secret, uri_key,
};
pub use status::{SystemLoad, SystemStatus, TickLateness};
pub use turn::{TurnAllocationView, TurnServer, TurnServerStatus};
pub use web_bridge::{
    EffectiveWebBridgeProfile, EntryPoint, EntryPointKind, EntryPointPatch, EntryPoints,
    MAX_ENTRY_POINT_LABEL, MAX_ENTRY_POINTS, MAX_IVR_NUMBER, MAX_PROFILE_URL, ProfileUsage,
    ResolveCoSpaceUris, SystemProfiles, SystemProfilesPatch, WebBridgeProfile,
    WebBridgeProfilePatch, WebBridgeProfileQuery,
};
