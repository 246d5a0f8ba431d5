//! RTP, RTCP, jitter buffer, video packets, telephone events and address learning,
//! sans-IO.
//!
//! Each module is a state machine of one leg and of one concern. None owns a
//! socket, a clock, a thread or entropy: the instant is an argument
//! ([`plenum_abi::Nanos`]), and so is wall-clock time or a random number where
//! a rule needs one. None allocates after construction. What came from the
//! wire can be refused and counted; it cannot make any of this panic.
//!
//! ```text
//! datagram -> packet::classify -> (srtp) -> packet::RtpPacket -> learning
//!     -> reception -> dtmf | comfort_noise | red -> jitter -> mixer
//!                     video -> compositor
//!     -> rtcp::Compound -> rtcp::SenderView
//! ```
//!
//! Encryption is `plenum-srtp`'s work and decoding `plenum-codecs`'s.

pub mod comfort_noise;
pub mod dtmf;
#[doc(hidden)]
pub mod fuzz;
pub mod jitter;
pub mod learning;
pub mod packet;
pub mod reception;
pub mod red;
pub mod rtcp;
pub mod video;

#[cfg(test)]
mod test_random;
