//! NAL units of a byte stream (ITU-T H.264 Annex B, table 7-1).

use std::ops::Range;

use memchr::memmem;

/// What we write before each NAL unit of a byte stream.
pub const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// The part of every start code that is always there.
const START: &[u8] = &[0, 0, 1];

/// What a NAL unit holds (table 7-1), as far as it matters to somebody here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NalType {
    /// A slice of a picture that is no IDR picture (1).
    Slice,
    /// A slice of an IDR picture (5).
    IdrSlice,
    /// Supplemental enhancement information (6).
    Sei,
    /// Sequence parameter set (7).
    Sps,
    /// Picture parameter set (8).
    Pps,
    /// Access unit delimiter (9).
    AccessUnitDelimiter,
    /// End of sequence or of stream (10, 11).
    End,
    /// Anything else: data partitions, filler, extensions, RTP's own types.
    Other,
}

impl NalType {
    /// The type by a NAL unit's first byte.
    #[must_use]
    pub const fn of(head: u8) -> Self {
        match head & 0x1f {
            1 => Self::Slice,
            5 => Self::IdrSlice,
            6 => Self::Sei,
            7 => Self::Sps,
            8 => Self::Pps,
            9 => Self::AccessUnitDelimiter,
            10 | 11 => Self::End,
            _ => Self::Other,
        }
    }
}

/// See [`nal_units`].
#[derive(Clone, Debug)]
pub struct NalUnits<'a> {
    stream: &'a [u8],
    /// Just behind the start code of the next NAL unit.
    at: Option<usize>,
}

/// Where the NAL units of a byte stream lie in it, without start codes and
/// without the zeros that may follow; empty ones are left out. What stands
/// before the first start code is no NAL unit.
#[must_use]
pub fn nal_units(stream: &[u8]) -> NalUnits<'_> {
    NalUnits {
        stream,
        at: behind_start_code(stream, 0),
    }
}

fn behind_start_code(stream: &[u8], from: usize) -> Option<usize> {
    memmem::find(&stream[from..], START).map(|at| from + at + START.len())
}

impl Iterator for NalUnits<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        loop {
            let start = self.at?;
            self.at = behind_start_code(self.stream, start);
            let mut end = match self.at {
                Some(next) => next - START.len(),
                None => self.stream.len(),
            };
            while end > start && self.stream[end - 1] == 0 {
                end -= 1;
            }
            if end > start {
                return Some(start..end);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn units(stream: &[u8]) -> Vec<&[u8]> {
        nal_units(stream).map(|range| &stream[range]).collect()
    }

    #[test]
    fn start_codes_of_three_and_four_bytes_and_zeros_behind() {
        let stream = [
            9, 0, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x68, 2, 0, 0, 0, 0, 1, 0, 0, 1, 0x65, 0, 3, 0, 0,
        ];
        assert_eq!(units(&stream), [&[0x67, 1][..], &[0x68, 2], &[0x65, 0, 3]]);
        assert!(units(&[]).is_empty());
        assert!(units(&[0, 0, 1]).is_empty());
        assert!(units(&[0x67, 0, 0]).is_empty());
    }

    proptest! {
        #[test]
        fn what_is_joined_is_taken_apart(
            // No zeros, so nothing looks like a start code.
            parts in prop::collection::vec(prop::collection::vec(1_u8.., 1..40), 0..8),
            short: bool,
        ) {
            let mut stream = Vec::new();
            for part in &parts {
                stream.extend_from_slice(&START_CODE[usize::from(short)..]);
                stream.extend_from_slice(part);
            }
            prop_assert_eq!(units(&stream), parts);
        }

        #[test]
        fn any_bytes_give_units_in_order(stream in prop::collection::vec(0_u8..3, 0..200)) {
            let mut end = 0;
            for unit in nal_units(&stream) {
                prop_assert!(end + 3 <= unit.start && !unit.is_empty());
                prop_assert_eq!(&stream[unit.start - 3..unit.start], START);
                prop_assert!(memmem::find(&stream[unit.clone()], START).is_none());
                end = unit.end;
            }
        }
    }
}
