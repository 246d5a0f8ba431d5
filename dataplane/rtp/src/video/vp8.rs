//! VP8 into payloads, and the descriptor in front of each (RFC 7741 section 4.2).

use super::{PAYLOAD_MIN, Payload};

/// Bytes of the longest descriptor we write.
const DESCRIPTOR_MAX: usize = 6;
/// Picture ids that we write have 15 bits.
const PICTURE_ID_MASK: u16 = 0x7fff;

/// A payload descriptor.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Vp8Descriptor {
    /// The frame is referred to by no other.
    pub non_reference: bool,
    /// The payload begins a partition; partition 0 begins the frame.
    pub starts_partition: bool,
    /// The partition.
    pub partition: u8,
    /// The frame's number, of 7 or 15 bits.
    pub picture_id: Option<u16>,
    /// Number of the frame of the lowest layer that this one rests on.
    pub tl0_pic_idx: Option<u8>,
    /// Layer in time.
    pub temporal_layer: Option<u8>,
    /// The frame refers to the lowest layer only.
    pub layer_sync: bool,
}

impl Vp8Descriptor {
    /// Whether this payload begins a frame.
    #[must_use]
    pub const fn starts_frame(&self) -> bool {
        self.starts_partition && self.partition == 0
    }

    /// Reads a payload: its descriptor and what follows it. `None` when the
    /// descriptor is cut off, or nothing follows.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<(Self, &[u8])> {
        let (&first, mut rest) = payload.split_first()?;
        let mut take = || {
            let (&byte, behind) = rest.split_first()?;
            rest = behind;
            Some(byte)
        };
        let mut descriptor = Self {
            non_reference: first & 0x20 != 0,
            starts_partition: first & 0x10 != 0,
            partition: first & 0x07,
            ..Self::default()
        };
        if first & 0x80 != 0 {
            let extension = take()?;
            if extension & 0x80 != 0 {
                let high = take()?;
                descriptor.picture_id = Some(if high & 0x80 != 0 {
                    u16::from(high & 0x7f) << 8 | u16::from(take()?)
                } else {
                    u16::from(high)
                });
            }
            if extension & 0x40 != 0 {
                descriptor.tl0_pic_idx = Some(take()?);
            }
            if extension & 0x30 != 0 {
                let layer = take()?;
                if extension & 0x20 != 0 {
                    descriptor.temporal_layer = Some(layer >> 6);
                    descriptor.layer_sync = layer & 0x20 != 0;
                }
            }
        }
        (!rest.is_empty()).then_some((descriptor, rest))
    }

    /// Writes it with a picture id of 15 bits, and layers where they are told;
    /// gives its length.
    fn write(&self, out: &mut [u8]) -> usize {
        let layers = self.tl0_pic_idx.zip(self.temporal_layer);
        out[0] = 0x80
            | u8::from(self.non_reference) << 5
            | u8::from(self.starts_partition) << 4
            | self.partition & 0x07;
        out[1] = 0x80;
        let id = self.picture_id.unwrap_or(0) & PICTURE_ID_MASK | 0x8000;
        out[2..4].copy_from_slice(&id.to_be_bytes());
        let Some((tl0_pic_idx, temporal_layer)) = layers else {
            return 4;
        };
        out[1] |= 0x60;
        out[4] = tl0_pic_idx;
        out[5] = temporal_layer << 6 | u8::from(self.layer_sync) << 5;
        DESCRIPTOR_MAX
    }
}

/// Rows of a key frame that begins here (RFC 6386 section 9.1), before any scaling.
pub(super) fn key_frame_rows(payload: &[u8]) -> Option<u32> {
    let (descriptor, frame) = Vp8Descriptor::parse(payload)?;
    match *frame {
        [tag, _, _, 0x9d, 0x01, 0x2a, _, _, low, high, ..]
            if descriptor.starts_frame() && tag & 1 == 0 =>
        {
            Some(u32::from(u16::from_le_bytes([low, high]) & 0x3fff))
        }
        _ => None,
    }
}

/// Cuts frames into payloads and numbers them.
#[derive(Clone, Debug)]
pub struct Vp8Packetizer {
    payload_max: usize,
    temporal_layers: u8,
    picture_id: u16,
    tl0_pic_idx: u8,
}

impl Vp8Packetizer {
    /// A packetiser whose payloads have at most `payload_max` bytes; at least
    /// [`PAYLOAD_MIN`] is taken. Frames are numbered from `picture_id` on. Layers
    /// in time are told where there is more than one.
    #[must_use]
    pub const fn new(payload_max: usize, temporal_layers: u8, picture_id: u16) -> Self {
        Self {
            payload_max: if payload_max < PAYLOAD_MIN {
                PAYLOAD_MIN
            } else {
                payload_max
            },
            temporal_layers,
            picture_id: picture_id & PICTURE_ID_MASK,
            tl0_pic_idx: 0,
        }
    }

    /// The payloads of the next frame. What layers refer to is as
    /// `plenum-codecs` encodes them: the topmost is referred to by none, and layer
    /// 1 refers to layer 0 only.
    pub fn packets<'a>(&mut self, frame: &'a [u8], temporal_layer: u8) -> Vp8Packets<'a> {
        let layered = self.temporal_layers > 1;
        if temporal_layer == 0 {
            self.tl0_pic_idx = self.tl0_pic_idx.wrapping_add(1);
        }
        let descriptor = Vp8Descriptor {
            non_reference: layered && temporal_layer + 1 == self.temporal_layers,
            starts_partition: true,
            partition: 0,
            picture_id: Some(self.picture_id),
            tl0_pic_idx: layered.then_some(self.tl0_pic_idx),
            temporal_layer: layered.then_some(temporal_layer),
            layer_sync: temporal_layer == 1,
        };
        self.picture_id = (self.picture_id + 1) & PICTURE_ID_MASK;
        let room = self.payload_max - DESCRIPTOR_MAX;
        let count = frame.len().div_ceil(room).max(1);
        Vp8Packets {
            descriptor,
            rest: frame,
            step: frame.len().div_ceil(count),
        }
    }
}

/// The payloads of one frame.
#[derive(Clone, Debug)]
pub struct Vp8Packets<'a> {
    descriptor: Vp8Descriptor,
    rest: &'a [u8],
    /// Bytes of the frame in each payload, so that all are about as long.
    step: usize,
}

impl Vp8Packets<'_> {
    /// Writes the next payload to the front of `out`. `None` at the end.
    ///
    /// # Panics
    /// When `out` is shorter than the packetiser's bound.
    pub fn write_next(&mut self, out: &mut [u8]) -> Option<Payload> {
        if self.rest.is_empty() {
            return None;
        }
        let head = self.descriptor.write(out);
        let (part, rest) = self.rest.split_at(self.step.min(self.rest.len()));
        out[head..head + part.len()].copy_from_slice(part);
        self.rest = rest;
        self.descriptor.starts_partition = false;
        Some(Payload {
            len: head + part.len(),
            marker: rest.is_empty(),
        })
    }
}
