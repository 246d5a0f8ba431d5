//! Video over RTP: access units into packets and packets into access units.
//!
//! ```text
//! access unit -> H264Packetizer | Vp8Packetizer -> payloads
//! packets -> ReorderBuffer -> Assembler -> access units
//!                |  |             |
//!             NACK  +--- lost ----+--> KeyFrameRequests -> PLI | FIR
//! ```
//!
//! [`ReorderBuffer`] brings packets into order, asks again for what is missing
//! and decides when to wait no longer; [`Assembler`] puts payloads together and
//! says what is whole, damaged, a key frame. They only meet in the caller, so a
//! packet can be forwarded without being assembled.
//!
//! [`History`] keeps what was sent for those who ask for it again, [`LayerChooser`]
//! says which of several layers of a picture is worth decoding.
//!
//! Nothing here allocates after construction, but for an access unit that is
//! longer than any before. Decoding is `plenum-codecs`'s work; how fast to send is
//! decided elsewhere.

mod assemble;
mod h264;
mod history;
mod key_frames;
mod layers;
mod reorder;
pub mod rtx;
#[cfg(test)]
mod tests;
mod vp8;

use plenum_abi::VideoCodec;

pub use assemble::{Assembler, UnitInfo};
pub use h264::{H264Packetizer, H264Packets, PacketizationMode};
pub use history::{HISTORY_PACKETS, History, SentPacket};
pub use key_frames::KeyFrameRequests;
pub use layers::LayerChooser;
pub use reorder::{Arrival, Pop, RejectReason, ReorderBuffer, ReorderConfig, ReorderCounters};
pub use vp8::{Vp8Descriptor, Vp8Packetizer, Vp8Packets};

/// A payload that was written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Payload {
    /// Its bytes.
    pub len: usize,
    /// Whether it is the last of its access unit: the RTP marker.
    pub marker: bool,
}

/// Rows of the pictures that begin with this payload, where it begins a key frame or has its
/// parameters in front.
#[must_use]
pub fn key_frame_rows(codec: VideoCodec, payload: &[u8]) -> Option<u32> {
    match codec {
        VideoCodec::H264 => h264::parameter_rows(payload),
        VideoCodec::Vp8 => vp8::key_frame_rows(payload),
        _ => None,
    }
}

/// Shortest bound of payloads that a packetiser takes.
pub const PAYLOAD_MIN: usize = 64;
