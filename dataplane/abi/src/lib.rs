//! Plain messages and session state shared by the two planes.
//!
//! The control plane and the dataplane are separate processes that are
//! upgraded, and crash, separately. What they say to each other, and what must
//! outlive either, is here as `repr(C)` data without padding or pointers:
//!
//! ```text
//!   control plane                    arena (one memfd)                     worker
//!       |-- Command --> command ring ----------------------------> apply ----|
//!       |<-- Event ---- event ring   <-----------------------------------    |
//!       |   reads       LegRecord::config  (double-buffered, checksummed) <--| writes
//!       |   reads       LegRecord::srtp, path, stats (independent words)  <--| writes
//! ```
//!
//! The worker is the only writer of records; the control plane asks through
//! commands. Every enum crosses as an integer that the reader checks, because
//! any byte may arrive.
//!
//! This crate refuses to map memory, to wake anybody or to decide anything:
//! mapping and rings are `plenum-ring`'s work.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod address;
mod codec;
mod config;
mod layout;
mod message;
mod module;
mod record;
mod stats;
mod time;
mod transport;
mod turn;
mod video;
mod video_stream;

pub use address::SocketAddress;
pub use codec::{AudioCodec, PayloadMap, VideoCodec};
pub use config::{ConferenceConfig, LegConfig, LegFlags, MasterKeys, NO_PAYLOAD_TYPE, SrtpSuite};
pub use layout::{
    ABI_VERSION, ARENA_MAGIC, ArenaHeader, COMMAND_RING_SLOTS, EVENT_RING_SLOTS, Layout,
    MAX_CONFERENCES_PER_WORKER, MAX_LEGS_PER_WORKER, MAX_VIDEO_STREAMS_PER_WORKER, MAX_WORKERS,
    RingHeader, WorkerHeader,
};
pub use message::{
    Command, CommandKind, Event, EventKind, RejectReason, SendDtmf, SetConference, SetLeg, SlotRef,
};
pub use module::{
    AccessUnitHead, Begin, DownKind, FRAME_RECEIVERS_MAX, FrameHead, InConference, MODULE_MAGIC,
    MODULE_RECORD_BYTES_MAX, MODULE_THREADS_MAX, MODULE_VERSION, MODULES_MAX, ModuleConference,
    ModuleEnd, ModuleHeader, ModuleLayout, ModuleParticipant, ModuleReceiver, ModuleRings,
    SourceSize, SourceWanted, StreamNote, UpKind, participant_flags, receiver_flags,
};
pub use record::{
    ConferenceRecord, DoubleBuffered, LegRecord, PathState, RX_STREAMS, ReceiveStream, SlotState,
    TransmitState,
};
pub use stats::{LATENESS_BUCKETS_US, LegStats, WorkerStats};
pub use time::Nanos;
pub use transport::{
    AddCandidate, ICE_PWD_MAX, ICE_RANDOM_LEN, ICE_UFRAG_MAX, IceCredentials, SetTransport,
    TransportConfig, TransportKeys, TransportRecord, slot_of_ufrag, transport_flags,
};
pub use turn::{
    MAX_TURN_ALLOCATIONS, MAX_TURN_WORKERS, TURN_MAGIC, TURN_PEERS, TURN_VERSION, TurnAllocation,
    TurnAllocationStats, TurnHeader, TurnLayout, TurnPeer, TurnPeerRecord, TurnRecord, TurnStats,
};
pub use video::{
    H264Level, H264Profile, PROFILE_LEVEL_ID_LEN, ProfileLevelId, VideoLimits, macroblocks,
};
pub use video_stream::{
    LAYERS_MAX, RID_LEN_MAX, SetText, SetVideo, SetViewPolicy, TEXT_MAX, Text, VIDEO_RX_STREAMS,
    VideoConfig, VideoFlags, VideoPayload, VideoRecord, VideoStats, ViewPolicy,
};
