//! Frames sent twice (RFC 2198), to far ends that lose many.
//!
//! It nearly doubles what sound takes of the path, so it begins where loss is heard of
//! all the time, and ends only when that is over. Below that, in-band FEC is enough.

use plenum_rtp::red::{self, HEADERS_LEN};

/// Loss at which it begins, and below which it ends, percent.
const BEGIN_PERCENT: u8 = 5;
const END_PERCENT: u8 = 2;
/// Longer frames are not sent twice: 20 ms at 128 kbit/s.
const FRAME_BYTES_MAX: usize = 320;
/// A frame from longer ago is of no use, RTP clock (60 ms of Opus).
const OFFSET_MAX: u32 = 2_880;

/// Longest payload that [`Redundancy::wrap`] makes.
pub(super) const PAYLOAD_LEN_MAX: usize = HEADERS_LEN + 2 * FRAME_BYTES_MAX;

/// See the module.
#[derive(Debug)]
pub(super) struct Redundancy {
    is_on: bool,
    frame: [u8; FRAME_BYTES_MAX],
    frame_len: usize,
    timestamp: u32,
}

impl Default for Redundancy {
    fn default() -> Self {
        Self {
            is_on: false,
            frame: [0; FRAME_BYTES_MAX],
            frame_len: 0,
            timestamp: 0,
        }
    }
}

impl Redundancy {
    /// Takes note of a frame that is sent in the next packet, and of the loss that the
    /// far end tells. The length of the payload in `out` that also has the frame before
    /// it; `None` when the frame is to be sent alone.
    pub(super) fn wrap(
        &mut self,
        loss_percent: u8,
        payload_type: u8,
        timestamp: u32,
        frame: &[u8],
        out: &mut [u8; PAYLOAD_LEN_MAX],
    ) -> Option<usize> {
        self.is_on = loss_percent
            >= if self.is_on {
                END_PERCENT
            } else {
                BEGIN_PERCENT
            };
        if !self.is_on {
            self.forget();
            return None;
        }
        let offset = timestamp.wrapping_sub(self.timestamp);
        let earlier = &self.frame[..self.frame_len];
        let is_of_use = !earlier.is_empty() && (1..=OFFSET_MAX).contains(&offset);
        let written = is_of_use
            .then(|| red::write(out, payload_type, (offset, earlier), frame))
            .flatten();
        match self.frame.get_mut(..frame.len()) {
            Some(kept) => {
                kept.copy_from_slice(frame);
                (self.frame_len, self.timestamp) = (frame.len(), timestamp);
            }
            None => self.forget(),
        }
        written
    }

    /// The next packet is not after the one that was noted last.
    pub(super) const fn forget(&mut self) {
        self.frame_len = 0;
    }
}

#[cfg(test)]
mod tests {
    use plenum_rtp::red::Blocks;

    use super::*;

    #[test]
    fn it_begins_with_loss_and_ends_when_that_is_over() {
        let mut redundancy = Redundancy::default();
        let mut out = [0; PAYLOAD_LEN_MAX];
        let losses = [0, 4, 5, 5, 3, 2, 1, 4, 9, 9];
        let sent: Vec<bool> = (0..)
            .zip(losses)
            .map(|(n, loss)| redundancy.wrap(loss, 111, n * 960, &[n as u8; 80], &mut out))
            .map(|len| len.is_some())
            .collect();
        // The first packet of each time has nothing to repeat.
        assert_eq!(
            sent,
            [
                false, false, false, true, true, true, false, false, false, true
            ]
        );
        let blocks = Blocks::parse(&out[..5 + 160]).expect("a payload");
        assert_eq!(out[blocks.newest().bytes.clone()], [9; 80]);
        let (packets, earlier) = blocks.earlier().next().expect("the frame before");
        assert_eq!((packets, earlier.timestamp_offset), (1, 960));
        assert_eq!(out[earlier.bytes.clone()], [8; 80]);
    }

    #[test]
    fn what_is_old_long_or_of_another_stream_is_not_repeated() {
        let mut redundancy = Redundancy::default();
        let mut out = [0; PAYLOAD_LEN_MAX];
        let mut wrap = |redundancy: &mut Redundancy, timestamp, frame: &[u8]| {
            redundancy
                .wrap(50, 111, timestamp, frame, &mut out)
                .is_some()
        };
        assert!(!wrap(&mut redundancy, 0, &[1; 80]));
        assert!(!wrap(&mut redundancy, 9_600, &[1; 80]), "silence between");
        assert!(wrap(&mut redundancy, 10_560, &[1; FRAME_BYTES_MAX]));
        assert!(!wrap(&mut redundancy, 11_520, &[1; FRAME_BYTES_MAX + 1]));
        assert!(!wrap(&mut redundancy, 12_480, &[1; 80]), "was too long");
        assert!(wrap(&mut redundancy, 13_440, &[1; 80]));
        redundancy.forget();
        assert!(!wrap(&mut redundancy, 14_400, &[1; 80]));
        assert!(!wrap(&mut redundancy, 14_400, &[1; 80]), "the same instant");
    }
}
