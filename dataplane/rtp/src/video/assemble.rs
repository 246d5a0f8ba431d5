//! Payloads, in order, into access units.
//!
//! A unit ends with the marker, or where the timestamp changes. What is missing
//! is told by the caller ([`Assembler::lost`]), who has the sequence numbers. Of a
//! damaged H.264 unit the whole NAL units remain, for decoders can make up the
//! rest; of a damaged VP8 frame nothing does.

use plenum_abi::VideoCodec;
use plenum_h264::{NalType, START_CODE, SliceHead};

use super::h264::{FU_A, NRI_MASK, STAP_A, TYPE_MASK};
use super::vp8::Vp8Descriptor;

/// What is known of an access unit.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct UnitInfo {
    /// RTP timestamp.
    pub timestamp: u32,
    /// Decoding can begin here: an IDR picture, or a VP8 key frame.
    pub key_frame: bool,
    /// Something of it is missing, malformed or beyond the size allowed.
    pub damaged: bool,
    /// Packets before it were lost, perhaps whole units: what it refers to may not
    /// be there.
    pub gap_before: bool,
}

/// Puts one stream's units together; see the [module](self).
#[derive(Debug)]
pub struct Assembler {
    codec: VideoCodec,
    bytes_max: usize,
    info: UnitInfo,
    /// A packet of the unit was seen.
    open: bool,
    /// Bytes of the unit that are certain: before the fragment in progress.
    whole: usize,
    /// A NAL unit is being put together from fragments.
    fragment: bool,
    /// Packets were lost since the last unit began.
    lost: bool,
}

impl Assembler {
    /// An assembler of units of up to `bytes_max` bytes; what is beyond is left out.
    #[must_use]
    pub fn new(codec: VideoCodec, bytes_max: usize) -> Self {
        Self {
            codec,
            bytes_max,
            info: UnitInfo::default(),
            open: false,
            whole: 0,
            fragment: false,
            lost: false,
        }
    }

    /// Packets between the last one and the next are lost.
    pub const fn lost(&mut self) {
        self.lost = true;
    }

    /// Whether a packet with this timestamp ends the unit in progress. If so, call
    /// [`Self::finish`] before [`Self::push`].
    #[must_use]
    pub const fn ends_before(&self, timestamp: u32) -> bool {
        self.open && self.info.timestamp != timestamp
    }

    /// Takes the next payload; `unit` is what this and no other call has appended
    /// to since the last unit was finished. With the marker, [`Self::finish`] is
    /// next.
    pub fn push(&mut self, timestamp: u32, payload: &[u8], unit: &mut Vec<u8>) {
        if !self.open {
            unit.clear();
            self.open = true;
            self.whole = 0;
            self.fragment = false;
            self.info = UnitInfo {
                timestamp,
                gap_before: self.lost,
                // Only a payload that is known to begin a unit proves that what
                // was lost was not of this one.
                damaged: self.lost && !begins_unit(self.codec, payload),
                ..UnitInfo::default()
            };
        } else if self.lost {
            self.info.damaged = true;
            self.drop_fragment(unit);
        }
        self.lost = false;
        let taken = match self.codec {
            VideoCodec::H264 => self.push_h264(payload, unit),
            VideoCodec::Vp8 => self.push_vp8(payload, unit),
            _ => None,
        };
        if taken.is_none() {
            self.info.damaged = true;
            self.drop_fragment(unit);
        }
    }

    /// Ends the unit in progress. `None` when there is none. Whether there is
    /// anything in it is another question: of a damaged one, nothing may be left.
    pub fn finish(&mut self, unit: &mut Vec<u8>) -> Option<UnitInfo> {
        if !self.open {
            return None;
        }
        self.open = false;
        if self.lost {
            // The end of it, or what is between it and the next: nobody can tell.
            self.info.damaged = true;
        }
        if self.fragment {
            self.info.damaged = true;
            self.drop_fragment(unit);
        }
        if self.codec != VideoCodec::H264 && self.info.damaged {
            unit.clear();
        }
        Some(self.info)
    }

    /// Forgets what a fragment began, for the rest of it will not come.
    fn drop_fragment(&mut self, unit: &mut Vec<u8>) {
        if self.fragment {
            unit.truncate(self.whole);
            self.fragment = false;
        }
    }

    /// `None` when the payload is malformed or too much.
    fn push_h264(&mut self, payload: &[u8], unit: &mut Vec<u8>) -> Option<()> {
        let (&head, rest) = payload.split_first()?;
        match head & TYPE_MASK {
            1..=23 => self.push_nal_unit(payload, unit),
            STAP_A => {
                let mut rest = rest;
                while !rest.is_empty() {
                    let (size, behind) = rest.split_at_checked(2)?;
                    let size = usize::from(u16::from_be_bytes([size[0], size[1]]));
                    let (nal_unit, behind) = behind.split_at_checked(size)?;
                    if !matches!(nal_unit.first()? & TYPE_MASK, 1..=23) {
                        return None;
                    }
                    self.push_nal_unit(nal_unit, unit)?;
                    rest = behind;
                }
                Some(())
            }
            FU_A => self.push_fragment(head, rest, unit),
            _ => None,
        }
    }

    fn push_nal_unit(&mut self, nal_unit: &[u8], unit: &mut Vec<u8>) -> Option<()> {
        // A fragment without its end.
        if self.fragment {
            self.info.damaged = true;
            self.drop_fragment(unit);
        }
        self.reserve(START_CODE.len() + nal_unit.len(), unit)?;
        unit.extend_from_slice(&START_CODE);
        unit.extend_from_slice(nal_unit);
        self.whole = unit.len();
        self.info.key_frame |= NalType::of(nal_unit[0]) == NalType::IdrSlice;
        Some(())
    }

    fn push_fragment(&mut self, indicator: u8, rest: &[u8], unit: &mut Vec<u8>) -> Option<()> {
        let (&header, part) = rest.split_first()?;
        let (starts, ends) = (header & 0x80 != 0, header & 0x40 != 0);
        if (starts && ends) || part.is_empty() {
            return None;
        }
        let head = indicator & NRI_MASK | header & TYPE_MASK;
        if starts {
            if self.fragment {
                self.info.damaged = true;
                self.drop_fragment(unit);
            }
            self.reserve(START_CODE.len() + 1 + part.len(), unit)?;
            self.fragment = true;
            unit.extend_from_slice(&START_CODE);
            unit.push(head);
        } else if self.fragment && unit.get(self.whole + START_CODE.len()) == Some(&head) {
            self.reserve(part.len(), unit)?;
        } else {
            // Its beginning was lost, or it is another NAL unit's.
            return None;
        }
        unit.extend_from_slice(part);
        if ends {
            self.fragment = false;
            self.whole = unit.len();
            self.info.key_frame |= NalType::of(head) == NalType::IdrSlice;
        }
        Some(())
    }

    fn push_vp8(&mut self, payload: &[u8], unit: &mut Vec<u8>) -> Option<()> {
        let (descriptor, part) = Vp8Descriptor::parse(payload)?;
        if descriptor.starts_frame() != unit.is_empty() {
            return None;
        }
        self.reserve(part.len(), unit)?;
        if unit.is_empty() {
            // RFC 6386 section 9.1: the lowest bit is 0 for a key frame.
            self.info.key_frame = part[0] & 1 == 0;
        }
        unit.extend_from_slice(part);
        Some(())
    }

    fn reserve(&self, len: usize, unit: &[u8]) -> Option<()> {
        (unit.len() + len <= self.bytes_max).then_some(())
    }
}

/// Whether a payload is the first of its unit, by what is in it.
fn begins_unit(codec: VideoCodec, payload: &[u8]) -> bool {
    match codec {
        VideoCodec::H264 => h264_begins_unit(payload),
        VideoCodec::Vp8 => {
            Vp8Descriptor::parse(payload).is_some_and(|(descriptor, _)| descriptor.starts_frame())
        }
        _ => false,
    }
}

fn h264_begins_unit(payload: &[u8]) -> bool {
    let Some(&head) = payload.first() else {
        return false;
    };
    match head & TYPE_MASK {
        STAP_A => payload.get(3..).is_some_and(h264_begins_unit),
        FU_A => payload.get(1).is_some_and(|header| {
            // Behind the two bytes is what is behind a NAL unit's first.
            header & 0x80 != 0 && SliceHead::parse(&payload[1..]).is_some_and(starts_picture)
        }),
        _ => match NalType::of(head) {
            NalType::Slice | NalType::IdrSlice => {
                SliceHead::parse(payload).is_some_and(starts_picture)
            }
            NalType::Sei | NalType::Sps | NalType::Pps | NalType::AccessUnitDelimiter => true,
            NalType::End | NalType::Other => false,
        },
    }
}

const fn starts_picture(head: SliceHead) -> bool {
    head.first_macroblock == 0
}
