//! Comfort noise payloads (RFC 3389).
//!
//! Only the noise level is read and written. The spectral coefficients that may
//! follow are ignored: the mixer fills a silence with flat noise of the right
//! level, and telling a colour apart at -60 dBov takes better ears than the
//! coefficients' cost is worth. A payload of the level alone is valid
//! (section 3.3: the model order is free, 0 included).

/// What a comfort noise payload says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ComfortNoise {
    /// Noise level in -dBov: 0 is the loudest square wave, 127 silence.
    pub level_dbov: u8,
}

impl ComfortNoise {
    /// Reads the level; `None` where the payload is empty. The reserved top bit
    /// is ignored (section 3.1).
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let level = payload.first()?;
        Some(Self {
            level_dbov: level & 0x7f,
        })
    }

    /// The payload: one byte, model order 0. A level above 127 becomes 127.
    #[must_use]
    pub fn payload(self) -> [u8; 1] {
        [self.level_dbov.min(127)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_is_read_and_written() {
        assert_eq!(ComfortNoise::parse(&[]), None);
        for level_dbov in 0..=127 {
            let noise = ComfortNoise { level_dbov };
            assert_eq!(ComfortNoise::parse(&noise.payload()), Some(noise));
        }
        // Reserved bit set, reflection coefficients following.
        let with_spectrum = ComfortNoise::parse(&[0x80 | 61, 130, 127, 80]);
        assert_eq!(with_spectrum, Some(ComfortNoise { level_dbov: 61 }));
        assert_eq!(ComfortNoise { level_dbov: 255 }.payload(), [127]);
    }
}
