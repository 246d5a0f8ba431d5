//! Redundant audio data (RFC 2198): earlier frames again beside the newest.
//!
//! ```text
//! |1| type 7 | timestamp offset 14 | length 10 |   each earlier frame
//! |0| type 7 |                                     the newest
//! earlier frames, oldest first, then the newest
//! ```
//!
//! An earlier frame has a timestamp and no sequence number. Senders repeat what they
//! sent just before, so that the last of the earlier frames belongs to the packet
//! before this one, and so on backwards.
//!
//! Not here: which of them somebody still lacks, and whether it pays to send any.

use core::ops::Range;

/// Most frames of a packet that are read; one with more is refused. Browsers send 2,
/// or 3 where much is lost.
pub const BLOCKS_MAX: usize = 5;

/// Longest earlier frame: its length has ten bits.
pub const EARLIER_BYTES_MAX: usize = (1 << 10) - 1;

/// What [`write`] puts before the frames.
pub const HEADERS_LEN: usize = EARLIER_HEADER_LEN + 1;

const EARLIER_HEADER_LEN: usize = 4;
/// Fourteen bits of the RTP clock.
const OFFSET_MAX: u32 = (1 << 14) - 1;

/// One frame of a packet.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Block {
    /// What it is coded as.
    pub payload_type: u8,
    /// How much earlier than the packet's timestamp it is, on the RTP clock; 0 for the
    /// newest.
    pub timestamp_offset: u32,
    /// Where in the payload it is.
    pub bytes: Range<usize>,
}

/// The frames of a payload, the oldest first; the last is the newest.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Blocks {
    blocks: [Block; BLOCKS_MAX],
    /// Of earlier frames.
    earlier: usize,
}

impl Blocks {
    /// Reads the headers. `None` where the payload is shorter than they say, or has
    /// more than [`BLOCKS_MAX`] frames.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let mut blocks = Self::default();
        let mut rest = payload;
        while *rest.first()? & 0x80 != 0 {
            let (header, after) = rest.split_first_chunk::<EARLIER_HEADER_LEN>()?;
            rest = after;
            let word = u32::from_be_bytes(*header);
            if blocks.earlier + 1 == BLOCKS_MAX {
                return None;
            }
            blocks.blocks[blocks.earlier] = Block {
                payload_type: (word >> 24) as u8 & 0x7f,
                timestamp_offset: word >> 10 & OFFSET_MAX,
                bytes: 0..(word as usize & EARLIER_BYTES_MAX),
            };
            blocks.earlier += 1;
        }
        let payload_type = rest[0] & 0x7f;
        let mut at = payload.len() - rest.len() + 1;
        for block in &mut blocks.blocks[..blocks.earlier] {
            let end = at + block.bytes.end;
            block.bytes = at..end;
            at = end;
        }
        blocks.blocks[blocks.earlier] = Block {
            payload_type,
            timestamp_offset: 0,
            bytes: at..payload.len(),
        };
        (at <= payload.len()).then_some(blocks)
    }

    /// The newest frame: what the packet is about.
    #[must_use]
    pub const fn newest(&self) -> &Block {
        &self.blocks[self.earlier]
    }

    /// The frames before it, the latest first, each with how many packets earlier it was
    /// the newest.
    pub fn earlier(&self) -> impl Iterator<Item = (u16, &Block)> {
        (1..).zip(self.blocks[..self.earlier].iter().rev())
    }
}

/// Writes a payload of two frames of one payload type into `out`; its length. `None`
/// where a header cannot tell it, or `out` is too short.
pub fn write(
    out: &mut [u8],
    payload_type: u8,
    (timestamp_offset, earlier): (u32, &[u8]),
    newest: &[u8],
) -> Option<usize> {
    if timestamp_offset > OFFSET_MAX || earlier.len() > EARLIER_BYTES_MAX {
        return None;
    }
    let out = out.get_mut(..HEADERS_LEN + earlier.len() + newest.len())?;
    let payload_type = payload_type & 0x7f;
    let word =
        1 << 31 | u32::from(payload_type) << 24 | timestamp_offset << 10 | earlier.len() as u32;
    let (headers, frames) = out.split_at_mut(HEADERS_LEN);
    headers[..EARLIER_HEADER_LEN].copy_from_slice(&word.to_be_bytes());
    headers[EARLIER_HEADER_LEN] = payload_type;
    let (first, second) = frames.split_at_mut(earlier.len());
    first.copy_from_slice(earlier);
    second.copy_from_slice(newest);
    Some(out.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_packet_of_the_rfc_reads_as_it_is_drawn() {
        // RFC 2198 section 3: DVI 8 kHz as the newest, LPC 5 as an earlier frame.
        let mut payload = vec![0x80 | 7, 0b0000_0010, 0b1000_0000, 14, 5];
        payload.extend([0xaa; 14]);
        payload.extend([0xbb; 84]);
        let blocks = Blocks::parse(&payload).expect("well formed");
        let newest = blocks.newest();
        assert_eq!((newest.payload_type, newest.bytes.clone()), (5, 19..103));
        let earlier: Vec<_> = blocks.earlier().collect();
        assert_eq!(earlier.len(), 1);
        let (packets, block) = earlier[0];
        assert_eq!(
            (packets, block.payload_type, block.timestamp_offset),
            (1, 7, 160)
        );
        assert_eq!(payload[block.bytes.clone()], [0xaa; 14]);
    }

    #[test]
    fn the_frame_before_this_one_stands_last_of_the_earlier() {
        let payload = [0x80 | 9, 0x1e, 0, 1, 0x80 | 9, 0x0f, 0, 1, 9, 1, 2, 3];
        let blocks = Blocks::parse(&payload).expect("well formed");
        let seen: Vec<_> = blocks
            .earlier()
            .map(|(packets, block)| (packets, block.timestamp_offset, payload[block.bytes.start]))
            .collect();
        assert_eq!(seen, [(1, 960, 2), (2, 1_920, 1)]);
        assert_eq!(payload[blocks.newest().bytes.clone()], [3]);
    }

    #[test]
    fn what_is_short_or_too_much_is_refused() {
        assert_eq!(Blocks::parse(&[]), None);
        assert_eq!(Blocks::parse(&[0x80, 0, 0]), None);
        assert_eq!(Blocks::parse(&[0x80, 0, 0, 0]), None, "no newest");
        assert_eq!(Blocks::parse(&[0x80, 0, 0, 2, 0, 1]), None, "too short");
        let mut many = [0x80, 0, 0, 0].repeat(BLOCKS_MAX - 1);
        many.push(0);
        assert!(Blocks::parse(&many).is_some());
        let mut more = [0x80, 0, 0, 0].repeat(BLOCKS_MAX);
        more.push(0);
        assert_eq!(Blocks::parse(&more), None);
        let mut out = [0; 20];
        assert_eq!(write(&mut out, 1, (OFFSET_MAX + 1, &[1]), &[2]), None);
        assert_eq!(write(&mut out, 1, (0, &[0; 1_024]), &[2]), None);
        assert_eq!(write(&mut out, 1, (0, &[0; 8]), &[2; 8]), None, "no room");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            payload_type in 0_u8..128,
            offset in 0..=OFFSET_MAX,
            earlier in prop::collection::vec(any::<u8>(), 0..=EARLIER_BYTES_MAX),
            newest in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut out = [0; 2_000];
            let len = write(&mut out, payload_type, (offset, &earlier), &newest).unwrap();
            let blocks = Blocks::parse(&out[..len]).unwrap();
            prop_assert_eq!(blocks.newest().payload_type, payload_type);
            prop_assert_eq!(&out[blocks.newest().bytes.clone()], &newest[..]);
            let (packets, block) = blocks.earlier().next().unwrap();
            prop_assert_eq!((packets, block.timestamp_offset), (1, offset));
            prop_assert_eq!(&out[block.bytes.clone()], &earlier[..]);
        }
    }
}
