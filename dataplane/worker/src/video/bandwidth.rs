//! What the path to a browser carries: one estimate and one pacer for the pictures of
//! a transport, which share it.
//!
//! A stream asks for each packet's number and leave; what the far end says of those
//! numbers moves the estimate, and the streams' rates follow it. Sound passes by: it is
//! small and even, and must not wait for a picture.

use std::time::Duration;

use plenum_abi::Nanos;
use plenum_congestion::{Estimator, Limits, Pacer};
use plenum_rtp::packet::RTP_HEADER_LEN;
use plenum_rtp::rtcp::Compound;

/// What is tried first is a good picture of 720p; what is never left is a small one.
const LIMITS: Limits = Limits {
    start_bps: 1_500_000,
    min_bps: 100_000,
    max_bps: 8_000_000,
};
/// IPv6, UDP and the tag of SRTP, bytes.
const AROUND: usize = 40 + 8 + 16;
/// Over which it is judged whether the encoders make half of what they may: they
/// leave out pictures after a key frame, and seldom spend all of it. (At 80 % of half a
/// second the estimate stood at half of a line of 1 Mbit/s for ten seconds.)
const JUDGED: Duration = Duration::from_millis(1_000);
/// Content is text, which is worth more bits than faces.
const CONTENT_SHARE_PERCENT: u64 = 65;

/// An RTP header with the extension, bytes.
pub(super) const NUMBERED_HEADER_LEN: usize = RTP_HEADER_LEN + 8;

/// See the [module](self).
pub(crate) struct Bandwidth {
    estimator: Estimator,
    pacer: Pacer,
    /// Id of the header extension with the number (RFC 8285).
    id: u8,
    /// Since when, and how many bytes, for [`JUDGED`].
    judged_at: Nanos,
    bytes: u64,
}

impl Bandwidth {
    /// For a transport whose far end counts packets by this header extension.
    pub(crate) fn new(now: Nanos, id: u8) -> Self {
        Self {
            estimator: Estimator::new(now, LIMITS),
            pacer: Pacer::new(now, LIMITS.start_bps),
            id,
            judged_at: now,
            bytes: 0,
        }
    }

    /// Makes room for the extension in the header at the beginning of a packet of
    /// `len` bytes, and writes the packet's number: it leaves now.
    pub(super) fn number(&mut self, now: Nanos, packet: &mut [u8], len: usize) {
        let bytes = len + AROUND;
        self.bytes += bytes as u64;
        let number = self.estimator.sent(now, bytes as u32);
        extend(packet, Some((self.id, number)));
    }

    /// Whether a packet of so many bytes may leave now; then it counts.
    pub(super) fn may_send(&mut self, now: Nanos, len: usize) -> bool {
        self.pacer.may_send(now, (len + AROUND) as u32)
    }

    /// So many bytes of a stream wait.
    pub(super) fn queued(&mut self, bytes: u32) {
        self.pacer.queued(bytes);
    }

    /// Whether a probe of the path wants more sent now; begins one when it is due.
    pub(crate) fn wants_padding(&mut self, now: Nanos) -> bool {
        self.estimator.probe(now).is_some()
    }

    /// Whether a probe is being sent, and is to be asked again soon.
    pub(super) fn is_probing(&self) -> bool {
        self.estimator.is_probing()
    }

    /// Takes what the far end says of the packets.
    pub(crate) fn on_reports(&mut self, now: Nanos, compound: &[u8]) {
        let Ok(compound) = Compound::parse_reduced_size(compound) else {
            return;
        };
        for feedback in compound
            .packets()
            .filter_map(|packet| packet.transport_wide())
        {
            if self.estimator.feedback(now, &feedback) {
                self.pacer.set_rate(self.estimator.target_bps());
            }
        }
    }

    /// Time passes; the round trip as reports say it, zero where none did.
    pub(crate) fn tick(&mut self, now: Nanos, round_trip: Duration) {
        if !round_trip.is_zero() {
            self.estimator.round_trip(round_trip);
        }
        let gone = now.since(self.judged_at);
        if gone >= JUDGED {
            let made = self.bytes * 8_000 / gone.as_millis().max(1) as u64;
            let may = u64::from(self.estimator.target_bps());
            self.estimator.set_application_limited(made * 2 < may);
            (self.judged_at, self.bytes) = (now, 0);
        }
        if self.estimator.tick(now) {
            self.pacer.set_rate(self.estimator.target_bps());
        }
    }

    /// What a stream may send, bit/s; `shared` when content and camera are both sent.
    /// `None` before the far end said anything of what was sent.
    pub(crate) fn share_bps(&self, content: bool, shared: bool) -> Option<u32> {
        if !self.estimator.is_heard() {
            return None;
        }
        let all = u64::from(self.estimator.target_bps());
        let percent = match (shared, content) {
            (false, _) => 100,
            (true, true) => CONTENT_SHARE_PERCENT,
            (true, false) => 100 - CONTENT_SHARE_PERCENT,
        };
        Some((all * percent / 100) as u32)
    }
}

/// Writes the extension behind a header without one: with a number, or empty.
pub(super) fn extend(packet: &mut [u8], number: Option<(u8, u16)>) {
    packet[0] |= 0x10;
    let mut words = [0xbe, 0xde, 0, 1, 0, 0, 0, 0];
    if let Some((id, number)) = number {
        words[4] = id << 4 | 1;
        words[5..7].copy_from_slice(&number.to_be_bytes());
    }
    packet[RTP_HEADER_LEN..NUMBERED_HEADER_LEN].copy_from_slice(&words);
}

#[cfg(test)]
mod tests {
    use super::*;
    use plenum_rtp::packet::{RtpHeader, header_extension, header_len};
    use plenum_rtp::rtcp::{Arrivals, CompoundWriter};

    const START: Nanos = Nanos(1_000_000_000);

    #[test]
    fn a_numbered_packet_is_read_as_one() {
        let mut bandwidth = Bandwidth::new(START, 3);
        let mut packet = [7; 100];
        let mut numbers = Vec::new();
        for _ in 0..3 {
            RtpHeader::default().write(&mut packet);
            bandwidth.number(START, &mut packet, 100);
            assert_eq!(header_len(&packet), Ok(NUMBERED_HEADER_LEN));
            let number = header_extension(&packet, 3).expect("the number");
            numbers.push(u16::from_be_bytes([number[0], number[1]]));
        }
        let first = numbers[0];
        assert_eq!(numbers, [first, first + 1, first + 2]);
        RtpHeader::default().write(&mut packet);
        extend(&mut packet, None);
        assert_eq!(header_len(&packet), Ok(NUMBERED_HEADER_LEN));
        assert_eq!(header_extension(&packet, 3), None);
        assert_eq!(packet[NUMBERED_HEADER_LEN..], [7; 80]);
    }

    /// What a far end says of the packets from `base` on: all came, a millisecond apart.
    fn feedback(at_us: u64, base: u16, count: u16) -> Vec<u8> {
        let mut arrivals = Arrivals::default();
        for index in 0..count {
            let at = Nanos((at_us + u64::from(index) * 1_000) * 1_000);
            arrivals.note(at, base.wrapping_add(index));
        }
        let (mut fci, mut out) = ([0; 512], [0; 1_024]);
        let len = arrivals.write(&mut fci).expect("something came");
        let mut writer = CompoundWriter::new(&mut out);
        writer.receiver_report(1, &[]).cname(1, b"someone");
        writer.transport_feedback(1, 2, &fci[..len]);
        let len = writer.finish().expect("it fits");
        out[..len].to_vec()
    }

    /// A transport that sent ten packets and heard of them.
    fn heard() -> (Bandwidth, Nanos) {
        let mut bandwidth = Bandwidth::new(START, 3);
        let mut packet = [0; 1_200];
        let mut first = 0;
        for index in 0..10 {
            let now = START + Duration::from_millis(index);
            RtpHeader::default().write(&mut packet);
            bandwidth.number(now, &mut packet, 1_200);
            let number = header_extension(&packet, 3).expect("the number");
            if index == 0 {
                first = u16::from_be_bytes([number[0], number[1]]);
            }
        }
        let now = START + Duration::from_millis(60);
        bandwidth.on_reports(now, &feedback(5_000_000, first, 10));
        (bandwidth, now)
    }

    #[test]
    fn camera_and_content_share_what_there_is() {
        assert_eq!(Bandwidth::new(START, 3).share_bps(false, false), None);
        let (bandwidth, _) = heard();
        let share = |content, shared| bandwidth.share_bps(content, shared).expect("a share");
        let all = share(false, false);
        assert!((LIMITS.min_bps..=LIMITS.max_bps).contains(&all));
        let both = share(false, true) + share(true, true);
        assert!(both <= all && both > all - 10);
        assert!(share(true, true) > share(false, true));
    }

    #[test]
    fn without_any_further_answer_it_goes_down_to_the_least() {
        let (mut bandwidth, mut now) = heard();
        let mut packet = [0; 1_200];
        for _ in 0..1_000 {
            now = now + Duration::from_millis(20);
            bandwidth.number(now, &mut packet, 1_200);
            bandwidth.tick(now, Duration::ZERO);
        }
        assert_eq!(bandwidth.share_bps(false, false), Some(LIMITS.min_bps));
    }

    /// Browsers leave the report before it out.
    #[test]
    fn a_feedback_by_itself_is_taken() {
        let mut bandwidth = Bandwidth::new(START, 3);
        let whole = feedback(5_000_000, 0, 3);
        let packets = Compound::parse(&whole)
            .expect("a compound packet")
            .packets();
        assert_eq!(packets.count(), 3);
        let alone = whole.windows(2).position(|bytes| bytes == [0x8f, 205]);
        bandwidth.on_reports(START, &whole[alone.expect("the feedback")..]);
        assert!(bandwidth.estimator.is_heard());
    }

    #[test]
    fn what_is_no_report_teaches_nothing() {
        let mut bandwidth = Bandwidth::new(START, 3);
        for bytes in [&[][..], &[0x80; 40], &feedback(5_000_000, 0, 3)[..11]] {
            bandwidth.on_reports(START, bytes);
        }
        assert_eq!(bandwidth.share_bps(false, false), None);
    }
}
