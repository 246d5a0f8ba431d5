//! What can go wrong, by whose fault.

/// Why a packet of ours was not protected. The caller's fault, or the end of a
/// key: nothing was encrypted, the index was not used up.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtectError {
    /// Not an RTP or RTCP packet, or its length is not inside the buffer.
    #[error("not an RTP or RTCP packet")]
    Malformed,
    /// The buffer ends before the tag would.
    #[error("no room for the tag behind the packet")]
    NoRoom,
    /// The header's sequence number is not the low half of the next index: the
    /// caller and the stored counter disagree about which packet this is.
    #[error("sequence number differs from the next index")]
    SequenceMismatch,
    /// The stored counter went back to an index that this context has used.
    #[error("packet index was used before")]
    IndexReused,
    /// 2^48 RTP or 2^31 RTCP packets were sent: new keys are needed (RFC 3711
    /// section 9.2).
    #[error("the key is used up")]
    KeyExpired,
    /// More than [`crate::TX_STREAMS`] SSRCs under one key.
    #[error("too many SSRCs under one key")]
    TooManyStreams,
}

/// Why a received packet was refused. It is dropped and counted under the
/// variant's name; the stream carries on and no state has changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Reject {
    /// Too short for its own header and the tag, or not version 2.
    #[error("too short for its header and tag")]
    Truncated,
    /// The tag does not match.
    #[error("authentication tag does not match")]
    AuthTag,
    /// Seen before, or too old to tell.
    #[error("seen before or too old")]
    Replayed,
    /// SRTCP without the E bit. Unencrypted SRTCP would have to be negotiated,
    /// and we never do.
    #[error("SRTCP is not encrypted")]
    NotEncrypted,
    /// A further SSRC under a key that already carries
    /// [`plenum_abi::RX_STREAMS`]. The packet was authentic: only who has the key
    /// can cause it, and new keys are the way out.
    #[error("too many SSRCs under one key")]
    TooManyStreams,
    /// Past the last index of the key (RFC 3711 section 9.2).
    #[error("the key is used up")]
    KeyExpired,
}
