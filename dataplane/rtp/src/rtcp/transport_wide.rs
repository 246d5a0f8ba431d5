//! Transport-wide feedback as a sender reads it
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1); [`super::Arrivals`]
//! writes it.
//!
//! ```text
//! base number | count of numbers | reference time, 24 bits | count of feedbacks
//! chunks: a symbol for each number: did not come, came (one byte), came (two bytes)
//! differences to the arrival before, of those that came, 250 us each
//! ```

use super::arrivals::{DELTA_US, HEAD_LEN, REFERENCE_US};
use super::feedback::TRANSPORT_WIDE;
use super::{RtcpError, RtcpPacket};

/// Numbers that one feedback may be about. Runs make 65,535 of eight bytes; what comes
/// from the wire shall not buy so much work, and no sender of ours has as many on the way.
const NUMBERS_MAX: u16 = 4_096;

/// One feedback, checked as a whole.
#[derive(Clone, Copy, Debug)]
pub struct TransportFeedback<'a> {
    base: u16,
    count: u16,
    reference_us: i64,
    feedback_count: u8,
    chunks: &'a [u8],
    deltas: &'a [u8],
}

impl<'a> TransportFeedback<'a> {
    /// The reference time wraps around after so many microseconds (12.4 days).
    pub const WRAP_US: i64 = REFERENCE_US << 24;

    /// Checks feedback control information.
    ///
    /// # Errors
    ///
    /// When it is shorter than its counts say, about no number or more than 4,096, or has
    /// the symbol that is reserved.
    pub fn parse(fci: &'a [u8]) -> Result<Self, RtcpError> {
        let (head, rest) = fci.split_at_checked(HEAD_LEN).ok_or(RtcpError::Truncated)?;
        let count = u16::from_be_bytes([head[2], head[3]]);
        if count == 0 || count > NUMBERS_MAX {
            return Err(RtcpError::Length);
        }
        let mut symbols = Symbols::new(rest);
        let mut deltas_len = 0;
        for _ in 0..count {
            deltas_len += match symbols.next() {
                Some(symbol @ 0..=2) => usize::from(symbol),
                Some(_) => return Err(RtcpError::Length),
                None => return Err(RtcpError::Truncated),
            };
        }
        let (chunks, deltas) = rest.split_at(rest.len() - symbols.rest.len());
        if deltas.len() < deltas_len {
            return Err(RtcpError::Truncated);
        }
        let reference = u32::from_be_bytes([0, head[4], head[5], head[6]]);
        Ok(Self {
            base: u16::from_be_bytes([head[0], head[1]]),
            count,
            reference_us: i64::from(reference) * REFERENCE_US,
            feedback_count: head[7],
            chunks,
            deltas,
        })
    }

    /// The first number that it is about.
    #[must_use]
    pub const fn base(&self) -> u16 {
        self.base
    }

    /// How many numbers it is about, 1 to 4,096.
    #[must_use]
    pub const fn count(&self) -> u16 {
        self.count
    }

    /// Reference time on the far end's clock, microseconds, below [`Self::WRAP_US`].
    #[must_use]
    pub const fn reference_us(&self) -> i64 {
        self.reference_us
    }

    /// Feedbacks that the far end wrote before this one, modulo 256.
    #[must_use]
    pub const fn feedback_count(&self) -> u8 {
        self.feedback_count
    }

    /// Each number in order, and when it came on the far end's clock, microseconds;
    /// `None` for what did not come.
    #[must_use]
    pub const fn packets(&self) -> Numbers<'a> {
        Numbers {
            next: self.base,
            left: self.count,
            symbols: Symbols::new(self.chunks),
            deltas: self.deltas,
            clock_us: self.reference_us,
        }
    }
}

/// Numbers of a [`TransportFeedback`].
#[derive(Clone, Debug)]
pub struct Numbers<'a> {
    next: u16,
    left: u16,
    symbols: Symbols<'a>,
    deltas: &'a [u8],
    clock_us: i64,
}

impl Iterator for Numbers<'_> {
    type Item = (u16, Option<i64>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let number = self.next;
        self.next = number.wrapping_add(1);
        let delta = match (self.symbols.next()?, self.deltas) {
            (1, &[small, ref rest @ ..]) => {
                self.deltas = rest;
                i64::from(small)
            }
            (2, &[high, low, ref rest @ ..]) => {
                self.deltas = rest;
                i64::from(i16::from_be_bytes([high, low]))
            }
            _ => return Some((number, None)),
        };
        self.clock_us += delta * DELTA_US;
        Some((number, Some(self.clock_us)))
    }
}

/// Symbols of chunks, also of the unused end of the last one.
#[derive(Clone, Debug)]
struct Symbols<'a> {
    rest: &'a [u8],
    chunk: u16,
    /// Symbols of the chunk that were not read.
    left: u16,
}

impl<'a> Symbols<'a> {
    const fn new(chunks: &'a [u8]) -> Self {
        Self {
            rest: chunks,
            chunk: 0,
            left: 0,
        }
    }
}

impl Iterator for Symbols<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        while self.left == 0 {
            let &[high, low, ref rest @ ..] = self.rest else {
                return None;
            };
            self.rest = rest;
            self.chunk = u16::from_be_bytes([high, low]);
            self.left = match self.chunk >> 14 {
                0b11 => 7,
                0b10 => 14,
                _ => self.chunk & 0x1fff,
            };
        }
        self.left -= 1;
        let symbol = match self.chunk >> 14 {
            0b11 => self.chunk >> (2 * self.left) & 0b11,
            0b10 => self.chunk >> self.left & 1,
            _ => self.chunk >> 13 & 0b11,
        };
        Some(symbol as u8)
    }
}

impl<'a> RtcpPacket<'a> {
    /// Transport-wide feedback, if this is one and well-formed.
    #[must_use]
    pub fn transport_wide(&self) -> Option<TransportFeedback<'a>> {
        match self {
            Self::TransportFeedback(feedback) if feedback.format == TRANSPORT_WIDE => {
                TransportFeedback::parse(feedback.fci).ok()
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use plenum_abi::Nanos;
    use proptest::prelude::*;

    use super::*;
    use crate::rtcp::{Arrivals, Compound, CompoundWriter};

    /// Writes symbols as the draft has them, in chunks of the kinds asked for, 0 to 2; a
    /// kind that cannot hold what comes is replaced by two bits each.
    fn chunks(symbols: &[u8], kinds: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let (mut rest, mut kinds) = (symbols, kinds.iter().cycle());
        while let Some(&first) = rest.first() {
            let run = rest.iter().take_while(|s| **s == first).count();
            let narrow = rest.iter().take(14).all(|symbol| *symbol < 2);
            let (word, used) = match kinds.next() {
                Some(0) => (u16::from(first) << 13 | run as u16, run),
                Some(1) if narrow => {
                    let bits = (0..14).fold(0, |bits, at| {
                        bits << 1 | u16::from(*rest.get(at).unwrap_or(&0))
                    });
                    (0b10 << 14 | bits, 14)
                }
                _ => {
                    let bits = (0..7).fold(0, |bits, at| {
                        bits << 2 | u16::from(*rest.get(at).unwrap_or(&0))
                    });
                    (0b11 << 14 | bits, 7)
                }
            };
            out.extend(word.to_be_bytes());
            rest = &rest[used.min(rest.len())..];
        }
        out
    }

    fn feedback(base: u16, reference: u32, deltas: &[Option<i16>], kinds: &[u8]) -> Vec<u8> {
        let symbols: Vec<u8> = deltas
            .iter()
            .map(|delta| delta.map_or(0, |delta| if (0..256).contains(&delta) { 1 } else { 2 }))
            .collect();
        let mut fci = Vec::new();
        fci.extend(base.to_be_bytes());
        fci.extend((deltas.len() as u16).to_be_bytes());
        fci.extend((reference << 8 | 77).to_be_bytes());
        fci.extend(chunks(&symbols, kinds));
        for (delta, symbol) in deltas
            .iter()
            .flatten()
            .zip(symbols.iter().filter(|s| **s > 0))
        {
            fci.extend(&delta.to_be_bytes()[2 - usize::from(*symbol)..]);
        }
        fci.resize(fci.len().next_multiple_of(4), 0);
        fci
    }

    #[test]
    fn a_feedback_with_each_kind_of_chunk() {
        #[rustfmt::skip]
        let fci = [
            0xff, 0xff, 0, 20, 0, 0, 2, 9, // from 65,535, twenty, 128 ms, the tenth
            0x20, 3, // three came
            0b1000_0000, 0b0000_0001, // fourteen, of which the last came
            0b1101_1000, 0, // came, came late, did not come
            4, 0, 255, 1, 8, 0xff, 0xf8, 0,
        ];
        let feedback = TransportFeedback::parse(&fci).unwrap();
        assert_eq!((feedback.base(), feedback.count()), (65_535, 20));
        assert_eq!(feedback.feedback_count(), 9);
        let came: Vec<_> = feedback
            .packets()
            .filter_map(|(number, came)| Some((number, came?)))
            .collect();
        let expected = [
            (65_535, 129_000),
            (0, 129_000),
            (1, 192_750),
            (15, 193_000),
            (16, 195_000),
            (17, 193_000),
        ];
        assert_eq!(came, expected);
        assert_eq!(feedback.packets().count(), 20);
    }

    #[test]
    fn what_is_no_feedback() {
        let parse = |fci: &[u8]| TransportFeedback::parse(fci).map(|feedback| feedback.count);
        let run = |count: u16, chunk: u16| {
            let mut fci = [0; 10];
            fci[2..4].copy_from_slice(&count.to_be_bytes());
            fci[8..].copy_from_slice(&chunk.to_be_bytes());
            fci
        };
        assert_eq!(parse(&[0; 7]), Err(RtcpError::Truncated));
        assert_eq!(parse(&run(0, 5)), Err(RtcpError::Length));
        assert_eq!(parse(&run(5, 5)), Ok(5));
        assert_eq!(
            parse(&run(6, 5)),
            Err(RtcpError::Truncated),
            "a chunk lacks"
        );
        assert_eq!(
            parse(&run(5, 0x2005)),
            Err(RtcpError::Truncated),
            "no times"
        );
        assert_eq!(parse(&run(1, 0x6001)), Err(RtcpError::Length), "reserved");
        assert_eq!(parse(&run(4_096, 0x1fff)), Ok(4_096));
        assert_eq!(
            parse(&run(4_097, 0x1fff)),
            Err(RtcpError::Length),
            "the bound"
        );
    }

    #[test]
    fn it_is_found_in_a_compound_packet() {
        let mut arrivals = Arrivals::default();
        arrivals.note(Nanos::from_millis(640), 7);
        let (mut fci, mut bytes) = ([0; 64], [0; 128]);
        let len = arrivals.write(&mut fci).unwrap();
        let len = CompoundWriter::new(&mut bytes)
            .receiver_report(1, &[])
            .transport_feedback(1, 2, &fci[..len])
            .finish()
            .unwrap();
        let compound = Compound::parse(&bytes[..len]).unwrap();
        let read: Vec<_> = compound
            .packets()
            .filter_map(|packet| packet.transport_wide())
            .flat_map(|feedback| feedback.packets())
            .collect();
        assert_eq!(read, [(7, Some(640_000))]);
    }

    proptest! {
        /// The model is the list that it was written from.
        #[test]
        fn it_agrees_with_what_was_written(
            base: u16,
            reference in 0_u32..1 << 24,
            deltas in prop::collection::vec(prop::option::of(prop_oneof![0_i16..256, any::<i16>()]), 1..300),
            kinds in prop::collection::vec(0_u8..3, 1..9),
        ) {
            let fci = feedback(base, reference, &deltas, &kinds);
            let read = TransportFeedback::parse(&fci).unwrap();
            prop_assert_eq!(read.feedback_count(), 77);
            let mut clock = i64::from(reference) * REFERENCE_US;
            let mut packets = read.packets();
            for (index, delta) in deltas.iter().enumerate() {
                let came = delta.map(|delta| {
                    clock += i64::from(delta) * DELTA_US;
                    clock
                });
                prop_assert_eq!(packets.next(), Some((base.wrapping_add(index as u16), came)));
            }
            prop_assert_eq!(packets.next(), None);
        }

        /// What our own receiver notes is what a sender of ours reads.
        #[test]
        fn it_agrees_with_our_writer(first: u16, steps in prop::collection::vec((1_u16..4, 0_u64..900), 1..300)) {
            let mut arrivals = Arrivals::default();
            let (mut number, mut us) = (first, 7_000_000_u64);
            let mut expected = Vec::new();
            for (step, wait) in steps {
                us += wait * 250;
                arrivals.note(Nanos(us * 1_000), number);
                expected.push((number, us as i64));
                number = number.wrapping_add(step);
            }
            let (mut seen, mut out) = (Vec::new(), [0; 150]);
            while let Some(len) = arrivals.write(&mut out) {
                let read = TransportFeedback::parse(&out[..len]).unwrap();
                seen.extend(read.packets().filter_map(|(number, came)| Some((number, came?))));
            }
            // What is more than its window behind is not told.
            prop_assert!(expected.ends_with(&seen));
            prop_assert!(seen.len() >= expected.len().min(170));
        }
    }
}
