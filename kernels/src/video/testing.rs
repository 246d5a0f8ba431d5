//! Repeatable noise for tests.

use super::Picture;

/// A generator (xorshift64*, Vigna 2014).
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(seed.wrapping_mul(2).wrapping_add(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Samples of any value, black and white more often than chance would.
    pub(crate) fn samples(&mut self, out: &mut [u8]) {
        for sample in out {
            let bits = self.next() >> 48;
            *sample = match bits & 7 {
                0 => 0,
                1 => 255,
                _ => (bits >> 8) as u8,
            };
        }
    }

    /// A picture of such samples.
    pub(crate) fn picture(&mut self, width: u32, height: u32) -> Picture {
        let mut picture = Picture::new(width, height);
        for mut plane in picture.planes_mut() {
            for row in plane.rows_mut() {
                self.samples(row);
            }
        }
        picture
    }
}
