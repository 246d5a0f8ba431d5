//! The little of RTP and RTCP that SRTP must understand.

/// RTP: first byte that is encrypted and the fields that enter the index.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct RtpHeader {
    pub(crate) ssrc: u32,
    pub(crate) sequence: u16,
    /// Bytes of the fixed header, the CSRCs and the extension: sent in clear.
    pub(crate) len: usize,
}

/// Bytes of an RTCP packet that are sent in clear (RFC 3711 section 3.4).
pub(crate) const RTCP_CLEAR_LEN: usize = 8;

const RTP_FIXED_LEN: usize = 12;
const EXTENSION_HEADER_LEN: usize = 4;

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn is_version_2(first: u8) -> bool {
    first >> 6 == 2
}

impl RtpHeader {
    /// `None` where the header does not fit in `packet` (RFC 3550 section 5.1).
    pub(crate) fn parse(packet: &[u8]) -> Option<Self> {
        let fixed = packet.first_chunk::<RTP_FIXED_LEN>()?;
        if !is_version_2(fixed[0]) {
            return None;
        }
        let mut len = RTP_FIXED_LEN + 4 * usize::from(fixed[0] & 0x0f);
        if fixed[0] & 0x10 != 0 {
            let words = be16(packet, len + 2)?;
            len += EXTENSION_HEADER_LEN + 4 * usize::from(words);
        }
        (len <= packet.len()).then_some(Self {
            ssrc: be32(fixed, 8)?,
            sequence: be16(fixed, 2)?,
            len,
        })
    }
}

/// SSRC of the sender of an RTCP packet; `None` where that is not in `packet`.
pub(crate) fn rtcp_ssrc(packet: &[u8]) -> Option<u32> {
    if !is_version_2(*packet.first()?) {
        return None;
    }
    be32(packet, 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_begins_after_csrcs_and_extension() {
        let mut packet = vec![0x80, 0, 0x12, 0x34, 0, 0, 0, 0, 0xca, 0xfe, 0xba, 0xbe];
        let header = |packet: &[u8]| RtpHeader::parse(packet).map(|header| header.len);
        assert_eq!(
            RtpHeader::parse(&packet),
            Some(RtpHeader {
                ssrc: 0xcafe_babe,
                sequence: 0x1234,
                len: 12
            })
        );
        assert_eq!(header(&packet[..11]), None);
        packet[0] = 0x92; // two CSRCs and an extension
        packet.extend([0; 8]);
        assert_eq!(header(&packet), None);
        packet.extend([0xbe, 0xde, 0, 2]);
        assert_eq!(header(&packet), None);
        packet.extend([0; 7]);
        assert_eq!(header(&packet), None);
        packet.push(0);
        assert_eq!(header(&packet), Some(32));
        packet[0] = 0x52;
        assert_eq!(header(&packet), None, "version 1");
    }
}
