//! What an administrator sets.

use std::time::Duration;

use plenum_model::MediaEncryption;
use plenum_sdp::Encryption;

use crate::web::WebPermissions;

/// Policy of the call bridge.
#[derive(Clone, Debug)]
pub struct AppConfig {
    /// Host names and addresses that are ours, lower case, without port or brackets.
    /// The address on which a message arrived is ours in any case.
    pub domains: Vec<String>,
    /// Host part of the addresses we give ourselves.
    pub own_domain: String,
    /// Most call legs at a time.
    pub legs_max: usize,
    /// Most participants of one call; `None` is no limit but the machine's.
    pub participants_max: Option<usize>,
    /// Seconds after which a caller who was turned away may try again.
    pub retry_after_s: u32,
    /// Encryption of media where a leg says nothing else.
    pub encryption: MediaEncryption,
    /// A leg from which nothing valid comes for so long is hung up; `None` is never.
    pub silence_timeout: Option<Duration>,
    /// A called party that rings for so long is given up.
    pub ring_timeout: Duration,
    /// Milliseconds of sound in a packet we send, where the far end has no wish.
    pub packet_ms: u8,
    /// A tone greets who joins while at most so many are in the call; 0 is off.
    pub join_tone_participants_max: u8,
    /// A tone sounds when somebody leaves while at most so many are in the call; 0 is off.
    pub leave_tone_participants_max: u8,
    /// What participants in browsers may do.
    pub web: WebPermissions,
}

pub(crate) const fn encryption(wish: MediaEncryption) -> Encryption {
    match wish {
        MediaEncryption::Optional => Encryption::Optional,
        MediaEncryption::Required => Encryption::Required,
        MediaEncryption::Prohibited => Encryption::Prohibited,
    }
}
