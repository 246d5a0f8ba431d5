//! STUN messages (RFC 8489) and TURN's ChannelData (RFC 8656 section 12), on
//! the wire and no further.
//!
//! ```text
//!   datagram ──Packet::parse──┬─> Message: a view; attributes are slices of it
//!                             └─> ChannelData: channel number and payload
//!   TCP bytes ──frame_length──> how long the next of the two is
//!   Writer: attribute after attribute into a buffer of the caller's
//! ```
//! Reading borrows, writing goes into memory that the caller has: a relay's
//! packet path allocates nothing. Whoever parses gets a view only when every
//! attribute lies within the message, so looking at attributes cannot fail.
//!
//! It keeps no transaction, retransmits nothing, and decides nothing: what a
//! message means is its user's affair. Credentials are bytes as they are given;
//! whoever takes a password from a person prepares it (RFC 8265) before.
//!
//! Crates that do this exist. They build messages out of heap-allocated
//! attributes, which suits clients; here an indication wraps every packet of a
//! peer without a channel, so reading and writing are part of the packet path.

pub mod address;
pub mod attribute;
mod channel;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
mod integrity;
mod key;
mod message;
mod stream;
#[cfg(test)]
mod vectors;
mod writer;

pub use channel::{CHANNEL_HEADER, CHANNELS, ChannelData, channel_header};
pub use integrity::FINGERPRINT_LEN;
pub use key::{Key, PasswordAlgorithm, hmac_sha1, hmac_sha256, same_bytes, user_hash};
pub use message::{
    Attribute, Attributes, Class, HEADER, MAGIC_COOKIE, Message, Method, ParseError, TransactionId,
};
pub use stream::{FRAME_MAX, FrameError, frame_length};
pub use writer::{Writer, padding};

/// What a datagram to a TURN server is.
#[derive(Clone, Copy, Debug)]
pub enum Packet<'a> {
    /// A STUN message.
    Message(Message<'a>),
    /// A packet on a channel.
    ChannelData(ChannelData<'a>),
}

impl<'a> Packet<'a> {
    /// Tells the two apart by their first two bits (RFC 8656 section 12) and
    /// reads the one it is.
    ///
    /// # Errors
    /// [`ParseError`].
    pub fn parse(datagram: &'a [u8]) -> Result<Self, ParseError> {
        match datagram.first() {
            Some(0x00..=0x3f) => Message::parse(datagram).map(Self::Message),
            Some(0x40..=0x7f) => ChannelData::parse(datagram).map(Self::ChannelData),
            _ => Err(ParseError::NotStun),
        }
    }
}
