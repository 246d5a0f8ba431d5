//! Bits of a NAL unit, emulation prevention taken out on the way
//! (ITU-T H.264 sections 7.3.1 and 9.1).

/// Reads the payload of a NAL unit bit by bit.
#[derive(Clone, Debug)]
pub struct BitReader<'a> {
    bytes: &'a [u8],
    /// Index of the next byte.
    at: usize,
    /// Zeros before it, up to two.
    zeros: u8,
    /// The byte in progress and how many of its bits are left.
    byte: u8,
    left: u8,
}

impl<'a> BitReader<'a> {
    /// Reads what follows a NAL unit's first byte.
    #[must_use]
    pub const fn new(payload: &'a [u8]) -> Self {
        Self {
            bytes: payload,
            at: 0,
            zeros: 0,
            byte: 0,
            left: 0,
        }
    }

    fn next_byte(&mut self) -> Option<u8> {
        let mut byte = *self.bytes.get(self.at)?;
        if self.zeros == 2 && byte == 3 {
            self.at += 1;
            self.zeros = 0;
            byte = *self.bytes.get(self.at)?;
        }
        self.at += 1;
        self.zeros = if byte == 0 {
            (self.zeros + 1).min(2)
        } else {
            0
        };
        Some(byte)
    }

    /// One bit; `None` at the end.
    pub fn bit(&mut self) -> Option<bool> {
        if self.left == 0 {
            self.byte = self.next_byte()?;
            self.left = 8;
        }
        self.left -= 1;
        Some(self.byte >> self.left & 1 == 1)
    }

    /// The next `count` bits, at most 32, highest first.
    pub fn bits(&mut self, count: u32) -> Option<u32> {
        (0..count).try_fold(0, |word, _| Some(word << 1 | u32::from(self.bit()?)))
    }

    /// An unsigned Exp-Golomb code, `ue(v)`; `None` too where it would be more
    /// than 2^32 - 2.
    pub fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.bit()? {
            zeros += 1;
            if zeros == 32 {
                return None;
            }
        }
        Some((1 << zeros) - 1 + self.bits(zeros)?)
    }

    /// A signed Exp-Golomb code, `se(v)`.
    pub fn se(&mut self) -> Option<i32> {
        let code = i64::from(self.ue()?);
        let value = if code & 1 == 1 {
            code / 2 + 1
        } else {
            -(code / 2)
        };
        i32::try_from(value).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emulation_prevention_is_left_out() {
        let mut bits = BitReader::new(&[0, 0, 3, 1, 0, 0, 3]);
        assert_eq!(bits.bits(32), Some(0x0000_0100));
        assert_eq!(bits.bits(8), Some(0));
        assert_eq!(bits.bit(), None);
    }

    /// Table 9-2 and table 9-3.
    #[test]
    fn exp_golomb_codes() {
        // 1 010 011 00100 00101 00110, then the end.
        let mut bits = BitReader::new(&[0b1010_0110, 0b0100_0010, 0b1001_1000]);
        for expected in 0..6 {
            assert_eq!(bits.ue(), Some(expected));
        }
        assert_eq!(bits.ue(), None);
        let mut bits = BitReader::new(&[0b1010_0110, 0b0100_0010, 0b1001_1000]);
        for expected in [0, 1, -1, 2, -2, 3] {
            assert_eq!(bits.se(), Some(expected));
        }
    }

    #[test]
    fn a_code_that_never_ends_is_refused() {
        assert_eq!(BitReader::new(&[0, 0, 3, 0, 0, 3, 0, 0, 3]).ue(), None);
        // 31 zeros is the longest there is.
        let longest = [0, 0, 3, 0, 1, 0xff, 0xff, 0xff, 0xfe];
        assert_eq!(BitReader::new(&longest).ue(), Some(u32::MAX - 1));
        assert_eq!(BitReader::new(&longest).se(), Some(-0x7fff_ffff));
    }
}
