//! RTCP: compound packets in and out, when to send them, and what their clocks say.
//!
//! - [`Compound`]: a received compound packet, checked as a whole (RFC 3550 A.2)
//!   before any of it is believed, then read as typed views.
//! - [`CompoundWriter`]: what we send. Always compound: a report first, then our
//!   CNAME; reduced-size RTCP (RFC 5506) is not negotiated and not accepted.
//!   Feedback about video is written and read by it too (`feedback.rs`).
//! - [`RtcpTimer`]: when (RFC 3550 section 6.3, RFC 4585 section 3.5).
//! - [`NtpTime`], [`SenderView`], [`round_trip`]: wall-clock mapping and round trip.
//!
//! Wall-clock time and randomness are arguments. Reception statistics are
//! [`crate::reception`]'s.

mod arrivals;
mod clock;
mod feedback;
mod timer;
mod transport_wide;
mod view;
mod write;

pub use arrivals::Arrivals;
pub use clock::{NtpTime, SenderView, round_trip};
pub use feedback::{RateBound, Remb};
pub use timer::{RtcpTimer, RtcpTimerConfig};
pub use transport_wide::{Numbers, TransportFeedback};
pub use view::{
    App, Bye, Compound, CompoundIter, Feedback, Fir, ReceiverReport, ReportBlock, RtcpError,
    RtcpPacket, SdesItem, SenderReport, SourceDescription,
};
pub use write::{CompoundWriter, NoRoom, SenderInfo};

/// Packet type of a sender report.
const SR: u8 = 200;
/// Packet type of a receiver report.
const RR: u8 = 201;
/// Packet type of a source description.
const SDES: u8 = 202;
/// Packet type of a goodbye.
const BYE: u8 = 203;
/// Packet type of an application's own.
const APP: u8 = 204;
/// Packet type of transport-layer feedback (RFC 4585).
const RTPFB: u8 = 205;
/// Packet type of payload-specific feedback (RFC 4585).
const PSFB: u8 = 206;
/// SDES item: canonical name.
const CNAME: u8 = 1;
/// Bytes of a report block.
const BLOCK_LEN: usize = 24;
#[cfg(test)]
mod tests;
