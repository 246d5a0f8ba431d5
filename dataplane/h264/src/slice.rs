//! The first fields of a slice header (ITU-T H.264 section 7.3.3).

use crate::BitReader;

/// How a slice's macroblocks may be predicted (table 7-6).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SliceKind {
    /// From one earlier picture each, or not at all (P and SP).
    P,
    /// From two (B): its picture may be shown after a later one is decoded.
    B,
    /// From this picture only (I and SI).
    I,
}

/// The head of a slice.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SliceHead {
    /// Where the slice begins; 0 begins a picture, unless slices come in any order.
    pub first_macroblock: u32,
    /// How it is predicted.
    pub kind: SliceKind,
}

impl SliceHead {
    /// Reads the NAL unit of a slice, its first byte included. `None` when it is
    /// too short or names a kind that does not exist.
    #[must_use]
    pub fn parse(nal_unit: &[u8]) -> Option<Self> {
        let mut bits = BitReader::new(nal_unit.get(1..)?);
        let first_macroblock = bits.ue()?;
        let kind = match bits.ue()? {
            0 | 3 | 5 | 8 => SliceKind::P,
            1 | 6 => SliceKind::B,
            2 | 4 | 7 | 9 => SliceKind::I,
            _ => return None,
        };
        Some(Self {
            first_macroblock,
            kind,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_of_slices() {
        let parse = |bytes: &[u8]| SliceHead::parse(bytes);
        let head = |first_macroblock, kind| {
            Some(SliceHead {
                first_macroblock,
                kind,
            })
        };
        // ue(0) ue(7); ue(0) ue(5); ue(3) ue(1); ue(0) ue(10).
        assert_eq!(parse(&[0x65, 0b1000_1000]), head(0, SliceKind::I));
        assert_eq!(parse(&[0x41, 0b1001_1000]), head(0, SliceKind::P));
        assert_eq!(parse(&[0x01, 0b0010_0010]), head(3, SliceKind::B));
        assert_eq!(parse(&[0x41, 0b1000_1011]), None);
        assert_eq!(parse(&[0x41]), None);
        assert_eq!(parse(&[]), None);
    }
}
