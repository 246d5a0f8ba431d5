//! What was received of one SSRC: sequence validity, loss and interarrival
//! jitter, and the report block that says so (RFC 3550 A.1, A.3, A.8, 6.4.1).
//!
//! Loss here is the wire's, for reports; what the ear missed is counted by
//! [`crate::jitter`].

use plenum_abi::Nanos;

use crate::rtcp::ReportBlock;

/// Packets in sequence that make a source valid (RFC 3550 A.1, MIN_SEQUENTIAL).
const MIN_SEQUENTIAL: u32 = 2;
/// Forward jump that is still loss (MAX_DROPOUT).
const MAX_DROPOUT: u16 = 3_000;
/// Backward jump that is still reordering (MAX_MISORDER).
const MAX_MISORDER: u16 = 100;

/// Extends a 16-bit sequence number to the index nearest to `highest`, which
/// counts roll-overs above bit 16 (RFC 3711 3.3.1 and appendix A). An index
/// below zero does not exist: close to the start it is taken from the first cycle.
#[must_use]
pub const fn extend_sequence(highest: u64, sequence: u16) -> u64 {
    let step = sequence.wrapping_sub(highest as u16) as i16;
    match highest.checked_add_signed(step as i64) {
        Some(index) => index,
        None => sequence as u64,
    }
}

/// What a packet means for its source.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sequence {
    /// Valid; the sequence number extended by its roll-overs. It may be a
    /// duplicate or out of order.
    Valid(u64),
    /// The source must send the next in sequence before it is believed.
    Probation,
    /// Far from where the source was; not counted. A second one in sequence
    /// there restarts the source.
    Jump,
}

/// Reception of one SSRC.
#[derive(Clone, Debug)]
pub struct Reception {
    clock_hz: u32,
    /// Packets in sequence still wanted.
    probation: u32,
    seen: bool,
    base: u64,
    highest: u64,
    /// Sequence number that would make a jump a restart.
    bad_next: Option<u16>,
    received: u64,
    expected_prior: u64,
    received_prior: u64,
    transit: Option<u32>,
    /// Scaled by 16, in ticks (A.8).
    jitter_q4: u32,
}

impl Reception {
    /// A source that must first prove itself by two packets in sequence: for
    /// plain RTP, where anybody can send one.
    #[must_use]
    pub const fn new(clock_hz: u32) -> Self {
        Self {
            clock_hz,
            probation: MIN_SEQUENTIAL,
            seen: false,
            base: 0,
            highest: 0,
            bad_next: None,
            received: 0,
            expected_prior: 0,
            received_prior: 0,
            transit: None,
            jitter_q4: 0,
        }
    }

    /// A source that is valid from its first packet: for SRTP, whose tag is a
    /// better proof.
    #[must_use]
    pub const fn authenticated(clock_hz: u32) -> Self {
        Self {
            probation: 0,
            ..Self::new(clock_hz)
        }
    }

    /// Takes a packet.
    pub fn on_packet(&mut self, now: Nanos, sequence: u16, timestamp: u32) -> Sequence {
        let outcome = self.update_sequence(sequence);
        if let Sequence::Valid(_) = outcome {
            self.update_jitter(now, timestamp);
        }
        outcome
    }

    fn update_sequence(&mut self, sequence: u16) -> Sequence {
        if !self.seen {
            self.seen = true;
            self.start(sequence);
            if self.probation > 0 {
                self.probation -= 1;
                return Sequence::Probation;
            }
            self.received = 1;
            return Sequence::Valid(self.highest);
        }
        let step = sequence.wrapping_sub(self.highest as u16);
        if self.probation > 0 {
            let in_sequence = step == 1;
            self.start(sequence);
            if !in_sequence {
                self.probation = MIN_SEQUENTIAL - 1;
                return Sequence::Probation;
            }
            self.probation -= 1;
            if self.probation > 0 {
                return Sequence::Probation;
            }
            self.received = 1;
            return Sequence::Valid(self.highest);
        }
        let index = if step < MAX_DROPOUT {
            self.highest += u64::from(step);
            self.highest
        } else if step > u16::MAX - MAX_MISORDER {
            extend_sequence(self.highest, sequence)
        } else if self.bad_next == Some(sequence) {
            self.start(sequence);
            self.transit = None;
            self.highest
        } else {
            self.bad_next = Some(sequence.wrapping_add(1));
            return Sequence::Jump;
        };
        self.bad_next = None;
        self.received += 1;
        Sequence::Valid(index)
    }

    fn start(&mut self, sequence: u16) {
        self.base = u64::from(sequence);
        self.highest = self.base;
        self.bad_next = None;
        self.received = 0;
        self.expected_prior = 0;
        self.received_prior = 0;
    }

    fn update_jitter(&mut self, now: Nanos, timestamp: u32) {
        let arrival = u128::from(now.0) * u128::from(self.clock_hz) / 1_000_000_000;
        let transit = (arrival as u32).wrapping_sub(timestamp);
        if let Some(before) = self.transit {
            let d = (transit.wrapping_sub(before) as i32).unsigned_abs();
            // A jump of the timestamp's clock is not jitter.
            if d < self.clock_hz.saturating_mul(2) {
                let fade = (self.jitter_q4 + 8) >> 4;
                self.jitter_q4 = self.jitter_q4.saturating_add(d).saturating_sub(fade);
            }
        }
        self.transit = Some(transit);
    }

    /// Whether the source has passed its probation.
    #[must_use]
    pub const fn is_valid(&self) -> bool {
        self.seen && self.probation == 0
    }

    /// Packets received, duplicates included, since the source was (re)started.
    #[must_use]
    pub const fn received(&self) -> u64 {
        self.received
    }

    /// Packets that never came, by sequence number; negative with duplicates (A.3).
    #[must_use]
    pub const fn lost(&self) -> i64 {
        self.expected() as i64 - self.received as i64
    }

    /// Interarrival jitter in ticks of the RTP clock (A.8).
    #[must_use]
    pub const fn jitter_ticks(&self) -> u32 {
        self.jitter_q4 >> 4
    }

    /// Interarrival jitter in microseconds.
    #[must_use]
    pub fn jitter_us(&self) -> u64 {
        u64::from(self.jitter_ticks()) * 1_000_000 / u64::from(self.clock_hz.max(1))
    }

    const fn expected(&self) -> u64 {
        if self.is_valid() {
            self.highest - self.base + 1
        } else {
            0
        }
    }

    /// The block about this source, and the start of the next interval of its
    /// loss fraction. `last_sr` and `delay_since_last_sr` are
    /// [`crate::rtcp::SenderView::report_times`]'s. `None` before the source is valid.
    pub fn report(
        &mut self,
        ssrc: u32,
        last_sr: u32,
        delay_since_last_sr: u32,
    ) -> Option<ReportBlock> {
        if !self.is_valid() {
            return None;
        }
        let expected = self.expected();
        let expected_interval = expected - self.expected_prior;
        let received_interval = self.received - self.received_prior;
        self.expected_prior = expected;
        self.received_prior = self.received;
        let lost_interval = expected_interval.saturating_sub(received_interval);
        let fraction_lost = (lost_interval << 8)
            .checked_div(expected_interval)
            .map_or(0, |fraction| fraction.min(255) as u8);
        Some(ReportBlock {
            ssrc,
            fraction_lost,
            cumulative_lost: self.lost().clamp(-0x80_0000, 0x7f_ffff) as i32,
            highest_sequence: self.highest as u32,
            jitter: self.jitter_ticks(),
            last_sr,
            delay_since_last_sr,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(ms: u64) -> Nanos {
        Nanos::from_millis(1_000 + ms)
    }

    fn feed(reception: &mut Reception, sequences: impl IntoIterator<Item = u16>) {
        for sequence in sequences {
            let n = u64::from(sequence);
            reception.on_packet(at(20 * n), sequence, u32::from(sequence) * 160);
        }
    }

    #[test]
    fn a_source_is_valid_after_two_in_sequence() {
        let mut reception = Reception::new(8_000);
        assert_eq!(reception.on_packet(at(0), 10, 0), Sequence::Probation);
        assert_eq!(reception.on_packet(at(1), 12, 0), Sequence::Probation);
        assert!(!reception.is_valid());
        assert_eq!(reception.report(1, 0, 0), None);
        assert_eq!(reception.on_packet(at(2), 13, 0), Sequence::Valid(13));
        assert_eq!((reception.received(), reception.lost()), (1, 0));
        let mut known = Reception::authenticated(8_000);
        assert_eq!(known.on_packet(at(0), 10, 0), Sequence::Valid(10));
    }

    #[test]
    fn loss_is_counted_since_the_last_report_and_in_all() {
        let mut reception = Reception::authenticated(8_000);
        feed(&mut reception, (0..100).filter(|n| n % 4 != 1));
        let block = reception.report(7, 1, 2).unwrap();
        assert_eq!(block.fraction_lost, 64);
        assert_eq!(block.cumulative_lost, 25);
        assert_eq!(block.highest_sequence, 99);
        assert_eq!(
            (block.ssrc, block.last_sr, block.delay_since_last_sr),
            (7, 1, 2)
        );
        feed(&mut reception, 100..200);
        let block = reception.report(7, 0, 0).unwrap();
        assert_eq!((block.fraction_lost, block.cumulative_lost), (0, 25));
        // Duplicates make it negative, never the fraction.
        feed(&mut reception, (100..200).chain(100..200));
        let block = reception.report(7, 0, 0).unwrap();
        assert_eq!((block.fraction_lost, block.cumulative_lost), (0, -175));
        feed(&mut reception, (200..300).filter(|n| n % 2 == 0));
        let block = reception.report(7, 0, 0).unwrap();
        assert!((126..=128).contains(&block.fraction_lost));
        // An interval without packets divides by nothing.
        assert_eq!(reception.report(7, 0, 0).unwrap().fraction_lost, 0);
    }

    #[test]
    fn the_sequence_rolls_over_and_jumps_need_a_second() {
        let mut reception = Reception::authenticated(8_000);
        feed(&mut reception, 65_530..=65_535);
        assert_eq!(reception.on_packet(at(0), 0, 0), Sequence::Valid(65_536));
        assert_eq!(
            reception.on_packet(at(0), 65_535, 0),
            Sequence::Valid(65_535)
        );
        assert_eq!(reception.on_packet(at(0), 20_000, 0), Sequence::Jump);
        assert_eq!(reception.on_packet(at(0), 1, 0), Sequence::Valid(65_537));
        assert_eq!(reception.on_packet(at(0), 20_001, 0), Sequence::Jump);
        assert_eq!(
            reception.on_packet(at(0), 20_002, 0),
            Sequence::Valid(20_002)
        );
        assert_eq!((reception.received(), reception.lost()), (1, 0));
    }

    /// <https://www.rfc-editor.org/rfc/rfc3550#appendix-A.8>: in floating point.
    #[test]
    fn jitter_is_that_of_a8() {
        let mut reception = Reception::authenticated(8_000);
        let mut model = 0.0_f64;
        let mut before: Option<i64> = None;
        for n in 0..2_000_u64 {
            let delay_ms = n * 7 % 23;
            reception.on_packet(at(20 * n + delay_ms), n as u16, (n * 160) as u32);
            let transit = delay_ms as i64 * 8;
            if let Some(before) = before {
                model += ((transit - before).abs() as f64 - model) / 16.0;
            }
            before = Some(transit);
        }
        let jitter = f64::from(reception.jitter_ticks());
        assert!((jitter - model).abs() < 1.5, "{jitter} against {model}");
        assert_eq!(
            reception.jitter_us(),
            u64::from(reception.jitter_ticks()) * 125
        );
    }

    #[test]
    fn a_restart_is_not_jitter() {
        let mut reception = Reception::authenticated(8_000);
        feed(&mut reception, 0..100);
        for n in 0..3_u16 {
            let now = at(2_000 + 20 * u64::from(n));
            reception.on_packet(now, 20_000 + n, 24_000 + 160 * u32::from(n));
        }
        assert_eq!(reception.jitter_ticks(), 0);
    }

    proptest! {
        #[test]
        fn extension_finds_the_nearest_index(highest in 0_u64..1 << 48, sequence: u16) {
            let index = extend_sequence(highest, sequence);
            prop_assert_eq!(index as u16, sequence);
            prop_assert!(index.abs_diff(highest) <= 1 << 15 || highest < 1 << 15);
        }

        #[test]
        fn counts_agree_with_a_list_of_what_came(
            start: u16,
            lost in proptest::collection::vec(any::<bool>(), 1..400),
        ) {
            let mut reception = Reception::authenticated(8_000);
            reception.on_packet(at(0), start, 0);
            let (mut received, mut highest) = (1_i64, 0_i64);
            for (n, &lost) in (1_i64..).zip(&lost) {
                if !lost {
                    reception.on_packet(at(0), start.wrapping_add(n as u16), 0);
                    received += 1;
                    highest = n;
                }
            }
            prop_assert_eq!(reception.lost(), highest + 1 - received);
        }
    }
}
