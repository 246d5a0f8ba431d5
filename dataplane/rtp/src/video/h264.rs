//! H.264 into payloads (RFC 6184): single NAL units, aggregation (STAP-A) and
//! fragmentation (FU-A).

use std::iter::Peekable;
use std::ops::Range;

use plenum_h264::{NalUnits, Sps, nal_units};

use super::{PAYLOAD_MIN, Payload};

/// Type of an aggregation packet (section 5.7.1).
pub(super) const STAP_A: u8 = 24;
/// Type of a fragment (section 5.8).
pub(super) const FU_A: u8 = 28;
/// The bits that are not the type: forbidden bit and importance.
pub(super) const NRI_MASK: u8 = 0xe0;
pub(super) const TYPE_MASK: u8 = 0x1f;

/// Rows that a sequence parameter set says, where the payload is one or begins with one.
pub(super) fn parameter_rows(payload: &[u8]) -> Option<u32> {
    let (&head, rest) = payload.split_first()?;
    let nal_unit = match head & TYPE_MASK {
        STAP_A => {
            let (size, rest) = rest.split_first_chunk()?;
            rest.get(..usize::from(u16::from_be_bytes(*size)))?
        }
        _ => payload,
    };
    Some(Sps::parse(nal_unit)?.height)
}

/// How NAL units may be packed (section 6). Interleaving (mode 2) is not known here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PacketizationMode {
    /// Mode 0: one NAL unit a packet. The encoder keeps them short.
    SingleNalUnit,
    /// Mode 1: also several in one packet, or one in several.
    NonInterleaved,
}

impl PacketizationMode {
    /// The mode with this `packetization-mode`, if it is known here.
    #[must_use]
    pub const fn from_u8(value: u8) -> Option<Self> {
        match value {
            0 => Some(Self::SingleNalUnit),
            1 => Some(Self::NonInterleaved),
            _ => None,
        }
    }
}

/// Cuts access units into payloads.
#[derive(Clone, Copy, Debug)]
pub struct H264Packetizer {
    mode: PacketizationMode,
    payload_max: usize,
}

impl H264Packetizer {
    /// A packetiser whose payloads have at most `payload_max` bytes; at least
    /// [`PAYLOAD_MIN`] is taken.
    #[must_use]
    pub const fn new(mode: PacketizationMode, payload_max: usize) -> Self {
        Self {
            mode,
            payload_max: if payload_max < PAYLOAD_MIN {
                PAYLOAD_MIN
            } else {
                payload_max
            },
        }
    }

    /// The payloads of an access unit, a byte stream with start codes.
    #[must_use]
    pub fn packets<'a>(&self, access_unit: &'a [u8]) -> H264Packets<'a> {
        H264Packets {
            packetizer: *self,
            access_unit,
            units: nal_units(access_unit).peekable(),
            fragment: None,
            omitted: 0,
        }
    }
}

/// What is left of a NAL unit that is being fragmented.
#[derive(Clone, Debug)]
struct Fragment {
    /// The NAL unit's first byte, which the fragments carry in pieces.
    head: u8,
    rest: Range<usize>,
    /// Bytes of each fragment, so that all are about as long.
    step: usize,
    begun: bool,
}

/// The payloads of one access unit.
#[derive(Clone, Debug)]
pub struct H264Packets<'a> {
    packetizer: H264Packetizer,
    access_unit: &'a [u8],
    units: Peekable<NalUnits<'a>>,
    fragment: Option<Fragment>,
    omitted: u32,
}

impl H264Packets<'_> {
    /// Writes the next payload to the front of `out`. `None` at the end.
    ///
    /// # Panics
    /// When `out` is shorter than the packetiser's bound.
    pub fn write_next(&mut self, out: &mut [u8]) -> Option<Payload> {
        let out = &mut out[..self.packetizer.payload_max];
        if self.fragment.is_some() {
            return self.write_fragment(out);
        }
        loop {
            let unit = self.units.next()?;
            if unit.len() <= out.len() {
                return Some(self.write_whole(unit, out));
            }
            if self.packetizer.mode == PacketizationMode::NonInterleaved {
                // Head and start of the NAL unit go into each fragment's two bytes.
                let rest = unit.start + 1..unit.end;
                let count = rest.len().div_ceil(out.len() - 2);
                self.fragment = Some(Fragment {
                    head: self.access_unit[unit.start],
                    step: rest.len().div_ceil(count),
                    rest,
                    begun: false,
                });
                return self.write_fragment(out);
            }
            self.omitted += 1;
        }
    }

    /// NAL units left out so far: longer than a packet, in a mode that cannot
    /// divide them.
    #[must_use]
    pub const fn omitted(&self) -> u32 {
        self.omitted
    }

    /// One NAL unit, or as many as fit.
    fn write_whole(&mut self, first: Range<usize>, out: &mut [u8]) -> Payload {
        const SIZE_LEN: usize = 2;
        let room = out.len();
        let fits = |len: usize, next: &Range<usize>| len + SIZE_LEN + next.len() <= room;
        let mut len = 1 + SIZE_LEN + first.len();
        let aggregate = self.packetizer.mode == PacketizationMode::NonInterleaved
            && self.units.peek().is_some_and(|next| fits(len, next));
        if !aggregate {
            out[..first.len()].copy_from_slice(&self.access_unit[first.clone()]);
            return self.payload(first.len());
        }
        len = 1;
        let mut head = 0;
        let mut next = Some(first);
        while let Some(unit) = next {
            let bytes = &self.access_unit[unit];
            // The aggregate is as important as its most important part (5.7).
            head = (head | bytes[0]) & 0x80 | (head & 0x60).max(bytes[0] & 0x60);
            out[len..len + SIZE_LEN].copy_from_slice(&(bytes.len() as u16).to_be_bytes());
            len += SIZE_LEN;
            out[len..len + bytes.len()].copy_from_slice(bytes);
            len += bytes.len();
            next = self.units.next_if(|next| fits(len, next));
        }
        out[0] = head | STAP_A;
        self.payload(len)
    }

    fn write_fragment(&mut self, out: &mut [u8]) -> Option<Payload> {
        let fragment = self.fragment.as_mut()?;
        let end = fragment.rest.end.min(fragment.rest.start + fragment.step);
        let part = &self.access_unit[fragment.rest.start..end];
        let last = end == fragment.rest.end;
        let start_bit = u8::from(!fragment.begun) << 7;
        out[0] = fragment.head & NRI_MASK | FU_A;
        out[1] = start_bit | u8::from(last) << 6 | fragment.head & TYPE_MASK;
        out[2..2 + part.len()].copy_from_slice(part);
        let len = 2 + part.len();
        fragment.begun = true;
        fragment.rest.start = end;
        if last {
            self.fragment = None;
            return Some(self.payload(len));
        }
        Some(Payload { len, marker: false })
    }

    /// A payload after which the next NAL unit, if there is one, begins.
    fn payload(&mut self, len: usize) -> Payload {
        Payload {
            len,
            marker: self.units.peek().is_none(),
        }
    }
}
