//! ChannelData (RFC 8656 section 12.4): four bytes, then the payload.

use std::ops::RangeInclusive;

use crate::ParseError;

/// Channel numbers that may be bound. RFC 8656 section 12 ends at 0x4fff, so that
/// other protocols can share a client's port; clients of RFC 5766 use all of these.
pub const CHANNELS: RangeInclusive<u16> = 0x4000..=0x7ffe;

/// Bytes before the payload.
pub const CHANNEL_HEADER: usize = 4;

/// The header of a packet on a channel.
#[must_use]
pub const fn channel_header(channel: u16, payload_len: u16) -> [u8; CHANNEL_HEADER] {
    let [channel_0, channel_1] = channel.to_be_bytes();
    let [len_0, len_1] = payload_len.to_be_bytes();
    [channel_0, channel_1, len_0, len_1]
}

/// A packet on a channel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ChannelData<'a> {
    /// Its channel, one of [`CHANNELS`].
    pub channel: u16,
    /// What goes to the peer.
    pub payload: &'a [u8],
}

impl<'a> ChannelData<'a> {
    /// Reads a datagram. Bytes behind the payload are padding, which a sender
    /// over UDP may but need not add (section 12.5).
    ///
    /// # Errors
    /// [`ParseError::NotStun`] when the channel is none, [`ParseError::Length`]
    /// when the payload is not all there.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, ParseError> {
        let Some((&[channel_0, channel_1, len_0, len_1], rest)) = datagram.split_first_chunk()
        else {
            return Err(ParseError::Length);
        };
        let channel = u16::from_be_bytes([channel_0, channel_1]);
        if !CHANNELS.contains(&channel) {
            return Err(ParseError::NotStun);
        }
        let len = usize::from(u16::from_be_bytes([len_0, len_1]));
        let payload = rest.get(..len).ok_or(ParseError::Length)?;
        Ok(Self { channel, payload })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_not_payload_and_a_cut_packet_is_refused() {
        let mut datagram = channel_header(0x4001, 5).to_vec();
        datagram.extend(b"hello\0\0\0");
        let read = ChannelData::parse(&datagram).unwrap();
        assert_eq!((read.channel, read.payload), (0x4001, &b"hello"[..]));
        for len in 0..9 {
            let cut = ChannelData::parse(&datagram[..len]);
            assert_eq!(cut, Err(ParseError::Length), "{len} bytes");
        }
    }

    #[test]
    fn only_numbers_from_0x4000_to_0x7ffe_are_channels() {
        for (channel, good) in [
            (0x3fff, false),
            (0x4000, true),
            (0x7ffe, true),
            (0x7fff, false),
            (0x8000, false),
        ] {
            let datagram = channel_header(channel, 0);
            assert_eq!(ChannelData::parse(&datagram).is_ok(), good, "{channel:#x}");
        }
    }
}
