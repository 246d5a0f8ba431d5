//! Retransmission payloads (RFC 4588 section 4): the original sequence number,
//! then the original payload.

/// Bytes in front of the original payload.
pub const HEAD_LEN: usize = 2;

/// Reads the payload of a retransmission: the original's sequence number and
/// payload. `None` for one without content, which only measures bandwidth.
#[must_use]
pub fn original(payload: &[u8]) -> Option<(u16, &[u8])> {
    match payload {
        [high, low, rest @ ..] if !rest.is_empty() => {
            Some((u16::from_be_bytes([*high, *low]), rest))
        }
        _ => None,
    }
}

/// What stands in front of an original payload that is sent again.
#[must_use]
pub const fn head(sequence: u16) -> [u8; HEAD_LEN] {
    sequence.to_be_bytes()
}
