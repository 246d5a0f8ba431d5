//! Feedback about video: what to send again, when to make a key frame, how fast to
//! send (RFC 4585, RFC 5104, and REMB of the WebRTC world).

use super::{CompoundWriter, PSFB, RTPFB, RtcpPacket};

/// Feedback message type of RTPFB
/// (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1).
pub(super) const TRANSPORT_WIDE: u8 = 15;
/// Feedback message types of RTPFB.
const GENERIC_NACK: u8 = 1;
const TMMBR: u8 = 3;
const TMMBN: u8 = 4;
/// Feedback message types of PSFB.
const PLI: u8 = 1;
const FIR: u8 = 4;
const APPLICATION: u8 = 15;
/// What marks REMB among application feedback.
const REMB: [u8; 4] = *b"REMB";
/// Bits of the mantissas.
const TMMBR_MANTISSA_BITS: u32 = 17;
const REMB_MANTISSA_BITS: u32 = 18;
/// Sources that one REMB is about, at most.
const REMB_SOURCES_MAX: usize = 255;

/// A bit rate's exponent and mantissa, rounded down.
fn to_exponent(bit_rate_bps: u64, mantissa_bits: u32) -> (u32, u32) {
    let exponent = (u64::BITS - bit_rate_bps.leading_zeros()).saturating_sub(mantissa_bits);
    (exponent, (bit_rate_bps >> exponent) as u32)
}

/// The bit rate; the highest there is where it does not fit.
fn from_exponent(exponent: u32, mantissa: u32) -> u64 {
    if mantissa == 0 {
        return 0;
    }
    let mantissa = u64::from(mantissa);
    if exponent > mantissa.leading_zeros() {
        u64::MAX
    } else {
        mantissa << exponent
    }
}

/// An entry of TMMBR or TMMBN (RFC 5104 sections 4.2.1 and 4.2.2).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RateBound {
    /// TMMBR: who is to keep to it. TMMBN: who asked for it.
    pub ssrc: u32,
    /// Bits a second, of which 17 are kept.
    pub bit_rate_bps: u64,
    /// Bytes of headers a packet that are counted in, 0 to 511.
    pub overhead_bytes: u16,
}

impl RateBound {
    fn read(entry: &[u8]) -> Self {
        let ssrc = u32::from_be_bytes([entry[0], entry[1], entry[2], entry[3]]);
        let word = u32::from_be_bytes([entry[4], entry[5], entry[6], entry[7]]);
        Self {
            ssrc,
            bit_rate_bps: from_exponent(word >> 26, word >> 9 & 0x1_ffff),
            overhead_bytes: (word & 0x1ff) as u16,
        }
    }

    fn bytes(&self) -> [u8; 8] {
        let (exponent, mantissa) = to_exponent(self.bit_rate_bps, TMMBR_MANTISSA_BITS);
        let word = exponent << 26 | mantissa << 9 | u32::from(self.overhead_bytes & 0x1ff);
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&self.ssrc.to_be_bytes());
        bytes[4..].copy_from_slice(&word.to_be_bytes());
        bytes
    }
}

/// A receiver's estimate of what it can take (REMB,
/// draft-alvestrand-rmcat-remb-03 section 2.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Remb<'a> {
    /// Bits a second, of which 18 are kept.
    pub bit_rate_bps: u64,
    sources: &'a [u8],
}

impl<'a> Remb<'a> {
    /// The sources that it is about, together.
    pub fn sources(&self) -> impl Iterator<Item = u32> + 'a {
        self.sources
            .chunks_exact(4)
            .map(|word| u32::from_be_bytes([word[0], word[1], word[2], word[3]]))
    }
}

impl<'a> RtcpPacket<'a> {
    /// Bounds that the far end asks for (TMMBR); nothing for other packets.
    pub fn rate_requests(&self) -> impl Iterator<Item = RateBound> + 'a {
        self.rate_bounds(TMMBR)
    }

    /// Bounds that the far end keeps to (TMMBN); nothing for other packets.
    pub fn rate_notifications(&self) -> impl Iterator<Item = RateBound> + 'a {
        self.rate_bounds(TMMBN)
    }

    fn rate_bounds(&self, format: u8) -> impl Iterator<Item = RateBound> + 'a {
        let fci = match self {
            Self::TransportFeedback(feedback) if feedback.format == format => feedback.fci,
            _ => &[],
        };
        fci.chunks_exact(8).map(RateBound::read)
    }

    /// A receiver's estimate, if this is one.
    #[must_use]
    pub fn remb(&self) -> Option<Remb<'a>> {
        let fci = match self {
            Self::PayloadFeedback(feedback) if feedback.format == APPLICATION => feedback.fci,
            _ => return None,
        };
        let (head, sources) = fci.split_at_checked(8)?;
        let &[r, e, m, b, count, high, middle, low] = head else {
            return None;
        };
        if [r, e, m, b] != REMB {
            return None;
        }
        let word = u32::from_be_bytes([0, high, middle, low]);
        Some(Remb {
            bit_rate_bps: from_exponent(word >> 18, word & 0x3_ffff),
            sources: sources.get(..4 * usize::from(count))?,
        })
    }
}

impl CompoundWriter<'_> {
    /// A generic NACK (RFC 4585 section 6.2.1) for these sequence numbers, in
    /// ascending order, roll-over allowed. Nothing is written for none.
    pub fn nack(&mut self, ssrc: u32, media_ssrc: u32, sequences: &[u16]) -> &mut Self {
        let mut rest = sequences;
        if rest.is_empty() {
            return self;
        }
        let start = self.begin_feedback(RTPFB, GENERIC_NACK, ssrc, media_ssrc);
        while let Some((&first, behind)) = rest.split_first() {
            rest = behind;
            let mut following = 0_u16;
            while let Some((&next, behind)) = rest.split_first() {
                let distance = next.wrapping_sub(first);
                if !(1..=16).contains(&distance) {
                    break;
                }
                following |= 1 << (distance - 1);
                rest = behind;
            }
            self.put(&first.to_be_bytes());
            self.put(&following.to_be_bytes());
        }
        self.end(start)
    }

    /// Transport-wide feedback, whose control information [`super::Arrivals`] wrote.
    pub fn transport_feedback(&mut self, ssrc: u32, media_ssrc: u32, fci: &[u8]) -> &mut Self {
        let start = self.begin_feedback(RTPFB, TRANSPORT_WIDE, ssrc, media_ssrc);
        self.put(fci);
        self.end(start)
    }

    /// A picture loss indication (RFC 4585 section 6.3.1).
    pub fn picture_loss(&mut self, ssrc: u32, media_ssrc: u32) -> &mut Self {
        let start = self.begin_feedback(PSFB, PLI, ssrc, media_ssrc);
        self.end(start)
    }

    /// A full intra request (RFC 5104 section 4.3.1). `command` is one more than
    /// in the request before, and the same where that one is repeated.
    pub fn full_intra_request(&mut self, ssrc: u32, media_ssrc: u32, command: u8) -> &mut Self {
        // The media SSRC stands in the entry; in the head it is 0.
        let start = self.begin_feedback(PSFB, FIR, ssrc, 0);
        self.put(&media_ssrc.to_be_bytes());
        self.put(&[command, 0, 0, 0]);
        self.end(start)
    }

    /// A bound for each of these senders (TMMBR).
    pub fn rate_request(&mut self, ssrc: u32, bounds: &[RateBound]) -> &mut Self {
        self.rate_bounds(TMMBR, ssrc, bounds)
    }

    /// The bounds that we keep to (TMMBN); also to say that there is none.
    pub fn rate_notification(&mut self, ssrc: u32, bounds: &[RateBound]) -> &mut Self {
        self.rate_bounds(TMMBN, ssrc, bounds)
    }

    fn rate_bounds(&mut self, format: u8, ssrc: u32, bounds: &[RateBound]) -> &mut Self {
        let start = self.begin_feedback(RTPFB, format, ssrc, 0);
        for bound in bounds {
            self.put(&bound.bytes());
        }
        self.end(start)
    }

    /// What we can take of these sources together (REMB). Sources beyond 255 are
    /// left out.
    pub fn remb(&mut self, ssrc: u32, bit_rate_bps: u64, sources: &[u32]) -> &mut Self {
        let sources = &sources[..sources.len().min(REMB_SOURCES_MAX)];
        let start = self.begin_feedback(PSFB, APPLICATION, ssrc, 0);
        let (exponent, mantissa) = to_exponent(bit_rate_bps, REMB_MANTISSA_BITS);
        let [_, high, middle, low] = (exponent << 18 | mantissa).to_be_bytes();
        self.put(&REMB);
        self.put(&[sources.len() as u8, high, middle, low]);
        for source in sources {
            self.put(&source.to_be_bytes());
        }
        self.end(start)
    }

    fn begin_feedback(&mut self, kind: u8, format: u8, ssrc: u32, media_ssrc: u32) -> usize {
        let start = self.begin(kind, usize::from(format));
        self.put(&ssrc.to_be_bytes());
        self.put(&media_ssrc.to_be_bytes());
        start
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rtcp::{Compound, Feedback, Fir};

    /// What was written after a report, read again.
    fn written(write: impl FnOnce(&mut CompoundWriter<'_>)) -> Vec<u8> {
        let mut bytes = [0; 2_000];
        let mut writer = CompoundWriter::new(&mut bytes);
        writer.receiver_report(1, &[]);
        write(&mut writer);
        let len = writer.finish().unwrap();
        bytes[..len].to_vec()
    }

    fn second(bytes: &[u8]) -> RtcpPacket<'_> {
        Compound::parse(bytes).unwrap().packets().nth(1).unwrap()
    }

    /// <https://www.rfc-editor.org/rfc/rfc4585#section-6.2.1>
    #[test]
    fn nacks_as_rfc4585_has_them() {
        let bytes = written(|writer| _ = writer.nack(1, 2, &[65_534, 65_535, 14, 15, 100]));
        assert_eq!(
            bytes[8..],
            [
                0x81, 205, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2, // head
                0xff, 0xfe, 0x80, 0x01, // 65,534 and what is 1 and 16 above
                0, 15, 0, 0, 0, 100, 0, 0,
            ]
        );
        let nacks: Vec<_> = second(&bytes).nacks().collect();
        assert_eq!(nacks, [65_534, 65_535, 14, 15, 100]);
        assert_eq!(written(|writer| _ = writer.nack(1, 2, &[])).len(), 8);
    }

    #[test]
    fn requests_for_key_frames() {
        let bytes = written(|writer| _ = writer.picture_loss(7, 9));
        assert_eq!(second(&bytes).picture_loss(), Some(9));
        let bytes = written(|writer| _ = writer.full_intra_request(7, 9, 200));
        let requests: Vec<_> = second(&bytes).full_intra_requests().collect();
        let expected = Fir {
            ssrc: 9,
            command: 200,
        };
        assert_eq!(requests, [expected]);
    }

    #[test]
    fn rates_are_rounded_down_to_what_fits() {
        let bound = RateBound {
            ssrc: 5,
            bit_rate_bps: 1_500_001,
            overhead_bytes: 40,
        };
        let bytes = written(|writer| _ = writer.rate_request(1, &[bound, bound]));
        let read: Vec<_> = second(&bytes).rate_requests().collect();
        let kept = RateBound {
            bit_rate_bps: 1_500_001 >> 4 << 4,
            ..bound
        };
        assert_eq!(read, [kept, kept]);
        assert_eq!(second(&bytes).rate_notifications().count(), 0);
        let bytes = written(|writer| _ = writer.rate_notification(1, &[]));
        assert!(matches!(
            second(&bytes),
            RtcpPacket::TransportFeedback(Feedback { format: TMMBN, .. })
        ));
        let bytes = written(|writer| _ = writer.remb(1, u64::MAX, &[3, 4]));
        let packet = second(&bytes);
        let remb = packet.remb().unwrap();
        assert_eq!(remb.bit_rate_bps, 0x3_ffff << 46);
        assert_eq!(remb.sources().collect::<Vec<_>>(), [3, 4]);
    }

    #[test]
    fn a_remb_that_is_none() {
        let remb = |fci: &[u8]| {
            let feedback = Feedback {
                format: APPLICATION,
                sender_ssrc: 1,
                media_ssrc: 0,
                fci,
            };
            RtcpPacket::PayloadFeedback(feedback)
                .remb()
                .map(|remb| remb.bit_rate_bps)
        };
        assert_eq!(remb(b"REMB\x01\x04\x00\x01\x00\x00\x00\x09"), Some(2));
        assert_eq!(remb(b"REMB\x02\x04\x00\x01\x00\x00\x00\x09"), None);
        assert_eq!(remb(b"REMX\x00\x04\x00\x01"), None);
        assert_eq!(remb(b"REMB\x00\x04\x00"), None);
        // An exponent beyond 64 bits.
        assert_eq!(remb(b"REMB\x00\xff\xff\xff"), Some(u64::MAX));
        assert_eq!(remb(b"REMB\x00\xfc\x00\x00"), Some(0));
    }

    proptest! {
        #[test]
        fn what_is_asked_for_is_read_back(start: u16, steps in prop::collection::vec(1_u16..40, 0..60)) {
            let sequences: Vec<u16> = steps
                .iter()
                .scan(start, |at, step| {
                    *at = at.wrapping_add(*step);
                    Some(*at)
                })
                .collect();
            let bytes = written(|writer| _ = writer.nack(1, 2, &sequences));
            let read: Vec<_> = Compound::parse(&bytes)
                .unwrap()
                .packets()
                .flat_map(|packet| packet.nacks().collect::<Vec<_>>())
                .collect();
            prop_assert_eq!(read, sequences);
        }

        #[test]
        fn rates_lose_no_more_than_their_last_bits(bit_rate_bps: u64, ssrc: u32) {
            let bound = RateBound { ssrc, bit_rate_bps, overhead_bytes: 511 };
            let read = RateBound::read(&bound.bytes());
            prop_assert!(read.bit_rate_bps <= bit_rate_bps);
            prop_assert!(bit_rate_bps - read.bit_rate_bps <= bit_rate_bps >> 16);
            prop_assert_eq!((read.ssrc, read.overhead_bytes), (ssrc, 511));
        }
    }
}
