//! RTP packets (RFC 3550 section 5.1) and which protocol a datagram is of.
//!
//! A parsed packet borrows the datagram and remembers ranges, so that a caller
//! who holds the datagram by lease can drop the view and keep the payload's
//! range. Nothing here decrypts: parse after SRTP has opened the packet, for
//! the padding length is inside the encrypted part. [`header_len`] is what SRTP
//! needs before that.

use core::ops::Range;

/// Bytes of an RTP header without CSRCs and extension.
pub const RTP_HEADER_LEN: usize = 12;

/// What a datagram on a media port is, by its first bytes (RFC 7983 section 7,
/// RFC 5761 section 4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// RTP or SRTP.
    Rtp,
    /// RTCP or SRTCP.
    Rtcp,
    /// STUN.
    Stun,
    /// DTLS.
    Dtls,
    /// Anything else: empty, too short to tell, ZRTP, TURN channel data, noise.
    Other,
}

/// Tells the protocols on one port apart. A promise about the first two bytes
/// only; the protocol's own parser decides whether the rest is any good.
#[must_use]
pub fn classify(datagram: &[u8]) -> Kind {
    match *datagram {
        [0..=3, _, ..] => Kind::Stun,
        [20..=63, _, ..] => Kind::Dtls,
        [128..=191, 192..=223, ..] => Kind::Rtcp,
        [128..=191, _, ..] => Kind::Rtp,
        _ => Kind::Other,
    }
}

/// Why bytes are not an RTP packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RtpError {
    /// The version bits are not 2.
    #[error("not RTP version 2")]
    Version,
    /// Shorter than its own header says.
    #[error("shorter than its header")]
    Truncated,
    /// The padding is empty or longer than the payload.
    #[error("padding does not fit")]
    Padding,
}

/// The fields of the fixed header.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RtpHeader {
    /// Marker; for sound, the first packet after a silence (RFC 3551 section 4.1).
    pub marker: bool,
    /// Payload type, 0 to 127.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp in ticks of the payload's RTP clock.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
}

impl RtpHeader {
    /// Writes a header without CSRCs, extension or padding and returns its
    /// length, [`RTP_HEADER_LEN`]. The top bit of `payload_type` is ignored.
    ///
    /// # Panics
    ///
    /// When `out` is shorter than that: it is our buffer, never the peer's.
    pub fn write(&self, out: &mut [u8]) -> usize {
        let out = &mut out[..RTP_HEADER_LEN];
        out[0] = 0x80;
        out[1] = u8::from(self.marker) << 7 | self.payload_type & 0x7f;
        out[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        out[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        out[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        RTP_HEADER_LEN
    }
}

/// Length of the header with CSRCs and extension: where the encrypted part of
/// an SRTP packet begins (RFC 3711 section 3.1).
///
/// # Errors
///
/// When these bytes cannot hold the header they announce.
pub fn header_len(datagram: &[u8]) -> Result<usize, RtpError> {
    let &[first, _, ..] = datagram else {
        return Err(RtpError::Truncated);
    };
    if first >> 6 != 2 {
        return Err(RtpError::Version);
    }
    let mut len = RTP_HEADER_LEN + 4 * usize::from(first & 0x0f);
    if first & 0x10 != 0 {
        let Some(words) = datagram.get(len + 2..len + 4) else {
            return Err(RtpError::Truncated);
        };
        len += 4 + 4 * usize::from(be16(words));
    }
    if len > datagram.len() {
        return Err(RtpError::Truncated);
    }
    Ok(len)
}

/// An RTP packet in the datagram that carries it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RtpPacket<'a> {
    bytes: &'a [u8],
    /// The fixed header.
    pub header: RtpHeader,
    header_len: usize,
    payload_end: usize,
}

impl<'a> RtpPacket<'a> {
    /// Parses a packet in the clear.
    ///
    /// # Errors
    ///
    /// When the bytes are not RTP, or the header or the padding does not fit.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, RtpError> {
        let header_len = header_len(datagram)?;
        let mut payload_end = datagram.len();
        if datagram[0] & 0x20 != 0 {
            let padding = usize::from(datagram[payload_end - 1]);
            if padding == 0 || padding > payload_end - header_len {
                return Err(RtpError::Padding);
            }
            payload_end -= padding;
        }
        Ok(Self {
            bytes: datagram,
            header: RtpHeader {
                marker: datagram[1] & 0x80 != 0,
                payload_type: datagram[1] & 0x7f,
                sequence: be16(&datagram[2..4]),
                timestamp: be32(&datagram[4..8]),
                ssrc: be32(&datagram[8..12]),
            },
            header_len,
            payload_end,
        })
    }

    /// Where the payload lies in the datagram, padding left out. May be empty.
    #[must_use]
    pub fn payload_range(&self) -> Range<usize> {
        self.header_len..self.payload_end
    }

    /// The payload, padding left out.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        &self.bytes[self.payload_range()]
    }

    /// Contributing sources, at most 15.
    pub fn csrcs(&self) -> impl Iterator<Item = u32> + 'a {
        let count = usize::from(self.bytes[0] & 0x0f);
        self.bytes[RTP_HEADER_LEN..RTP_HEADER_LEN + 4 * count]
            .chunks_exact(4)
            .map(be32)
    }

    /// The header extension: its profile word and its bytes.
    #[must_use]
    pub fn extension(&self) -> Option<(u16, &'a [u8])> {
        if self.bytes[0] & 0x10 == 0 {
            return None;
        }
        let start = RTP_HEADER_LEN + 4 * usize::from(self.bytes[0] & 0x0f);
        let profile = be16(&self.bytes[start..start + 2]);
        Some((profile, &self.bytes[start + 4..self.header_len]))
    }

    /// The first extension element with this id, in one-byte or two-byte form
    /// (RFC 8285 section 4). Ids of one-byte elements are 1 to 14, of two-byte
    /// elements 1 to 255; a malformed element ends the search.
    #[must_use]
    pub fn extension_element(&self, id: u8) -> Option<&'a [u8]> {
        let (profile, bytes) = self.extension()?;
        match profile {
            0xbede => one_byte_element(bytes, id),
            // The low four bits are "appbits", whose meaning is the application's.
            0x1000..=0x100f => two_byte_element(bytes, id),
            _ => None,
        }
    }
}

/// The extension element with this id of a packet whose payload may be encrypted; 0 is
/// no id. See [`RtpPacket::extension_element`].
#[must_use]
pub fn header_extension(datagram: &[u8], id: u8) -> Option<&[u8]> {
    if id == 0 {
        return None;
    }
    let header_len = header_len(datagram).ok()?;
    let clear = RtpPacket {
        bytes: datagram,
        header: RtpHeader::default(),
        header_len,
        payload_end: header_len,
    };
    clear.extension_element(id)
}

fn one_byte_element(mut bytes: &[u8], wanted: u8) -> Option<&[u8]> {
    loop {
        let (&head, rest) = bytes.split_first()?;
        match head >> 4 {
            // Padding carries no length.
            0 if head == 0 => bytes = rest,
            // 15 stops the search; 0 with a length is not allowed.
            0 | 15 => return None,
            id => {
                let (data, rest) = rest.split_at_checked(usize::from(head & 0x0f) + 1)?;
                if id == wanted {
                    return Some(data);
                }
                bytes = rest;
            }
        }
    }
}

fn two_byte_element(mut bytes: &[u8], wanted: u8) -> Option<&[u8]> {
    loop {
        let (&id, rest) = bytes.split_first()?;
        if id == 0 {
            bytes = rest;
            continue;
        }
        let (&len, rest) = rest.split_first()?;
        let (data, rest) = rest.split_at_checked(usize::from(len))?;
        if id == wanted {
            return Some(data);
        }
        bytes = rest;
    }
}

/// Callers pass slices of exactly two bytes.
fn be16(bytes: &[u8]) -> u16 {
    u16::from_be_bytes([bytes[0], bytes[1]])
}

/// Callers pass slices of exactly four bytes.
fn be32(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn kinds_of_rfc7983_and_rfc5761() {
        for first in 0..=255_u8 {
            let expected = match first {
                0..=3 => Kind::Stun,
                20..=63 => Kind::Dtls,
                128..=191 => Kind::Rtp,
                _ => Kind::Other,
            };
            assert_eq!(classify(&[first, 0]), expected, "{first}");
        }
        for second in 0..=255_u8 {
            let expected = if (192..=223).contains(&second) {
                Kind::Rtcp
            } else {
                Kind::Rtp
            };
            assert_eq!(classify(&[0x80, second]), expected, "{second}");
        }
        assert_eq!(classify(&[]), Kind::Other);
        assert_eq!(classify(&[0x80]), Kind::Other);
    }

    /// The layout of <https://www.rfc-editor.org/rfc/rfc3550#section-5.1>, by hand.
    #[test]
    fn every_part_of_a_header_is_found() {
        let bytes = [
            0xb2, 0x88, 0x12, 0x34, 0, 0, 0, 0xa0, 0xde, 0xad, 0xbe, 0xef, // fixed
            0, 0, 0, 1, 0, 0, 0, 2, // two CSRCs
            0xbe, 0xde, 0, 2, 0x10, 0xaa, 0, 0x31, 0xb1, 0xb2, 0, 0, // ids 1 and 3
            7, 8, 9, // payload
            0, 0, 3, // padding
        ];
        let packet = RtpPacket::parse(&bytes).unwrap();
        assert_eq!(
            packet.header,
            RtpHeader {
                marker: true,
                payload_type: 8,
                sequence: 0x1234,
                timestamp: 160,
                ssrc: 0xdead_beef,
            }
        );
        assert_eq!(packet.csrcs().collect::<Vec<_>>(), [1, 2]);
        assert_eq!(packet.payload(), [7, 8, 9]);
        assert_eq!(packet.payload_range(), 32..35);
        assert_eq!(packet.extension_element(1), Some(&[0xaa][..]));
        assert_eq!(packet.extension_element(3), Some(&[0xb1, 0xb2][..]));
        assert_eq!(packet.extension_element(2), None);
        assert_eq!(header_len(&bytes), Ok(32));
    }

    /// <https://www.rfc-editor.org/rfc/rfc8285#section-4.3>
    #[test]
    fn two_byte_elements_may_be_empty() {
        let bytes = [
            0x90, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0x00, 0, 2, 5, 0, 0, 200, 2, 0xaa, 0xbb, 0,
        ];
        let packet = RtpPacket::parse(&bytes).unwrap();
        assert_eq!(packet.extension_element(5), Some(&[][..]));
        assert_eq!(packet.extension_element(200), Some(&[0xaa, 0xbb][..]));
        assert_eq!(packet.extension_element(0), None);
    }

    #[test]
    fn lengths_that_do_not_fit_are_refused() {
        let whole = [0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert!(RtpPacket::parse(&whole).unwrap().payload().is_empty());
        for len in 0..whole.len() {
            assert_eq!(RtpPacket::parse(&whole[..len]), Err(RtpError::Truncated));
        }
        let first = |byte: u8| {
            let mut bytes = whole;
            bytes[0] = byte;
            bytes
        };
        assert_eq!(RtpPacket::parse(&first(0x40)), Err(RtpError::Version));
        assert_eq!(RtpPacket::parse(&first(0x81)), Err(RtpError::Truncated));
        assert_eq!(RtpPacket::parse(&first(0x90)), Err(RtpError::Truncated));
        assert_eq!(RtpPacket::parse(&first(0xa0)), Err(RtpError::Padding));
        let mut all_padding = first(0xa0).to_vec();
        all_padding.push(1);
        assert!(RtpPacket::parse(&all_padding).unwrap().payload().is_empty());
        all_padding[12] = 2;
        assert_eq!(RtpPacket::parse(&all_padding), Err(RtpError::Padding));
    }

    proptest! {
        #[test]
        fn a_written_header_is_read_back(
            marker: bool,
            payload_type in 0_u8..128,
            sequence: u16,
            timestamp: u32,
            ssrc: u32,
            payload: [u8; 3],
        ) {
            let header = RtpHeader { marker, payload_type, sequence, timestamp, ssrc };
            let mut bytes = [0; 15];
            prop_assert_eq!(header.write(&mut bytes), 12);
            bytes[12..].copy_from_slice(&payload);
            let packet = RtpPacket::parse(&bytes).unwrap();
            prop_assert_eq!(packet.header, header);
            prop_assert_eq!(packet.payload(), payload);
        }
    }
}
