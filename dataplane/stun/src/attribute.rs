//! Attribute types and the error codes that go into one of them.
//!
//! Types below 0x8000 must be understood by whoever gets them (RFC 8489
//! section 14); [`is_known_to_turn`] is what a TURN server understands.

/// RFC 8489 section 14.1.
pub const MAPPED_ADDRESS: u16 = 0x0001;
/// RFC 8489 section 14.3.
pub const USERNAME: u16 = 0x0006;
/// RFC 8489 section 14.5.
pub const MESSAGE_INTEGRITY: u16 = 0x0008;
/// RFC 8489 section 14.8.
pub const ERROR_CODE: u16 = 0x0009;
/// RFC 8489 section 14.9.
pub const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
/// RFC 8656 section 18.1.
pub const CHANNEL_NUMBER: u16 = 0x000c;
/// RFC 8656 section 18.2.
pub const LIFETIME: u16 = 0x000d;
/// RFC 8656 section 18.3.
pub const XOR_PEER_ADDRESS: u16 = 0x0012;
/// RFC 8656 section 18.4.
pub const DATA: u16 = 0x0013;
/// RFC 8489 section 14.10.
pub const REALM: u16 = 0x0014;
/// RFC 8489 section 14.11.
pub const NONCE: u16 = 0x0015;
/// RFC 8656 section 18.5.
pub const XOR_RELAYED_ADDRESS: u16 = 0x0016;
/// RFC 8656 section 18.6.
pub const REQUESTED_ADDRESS_FAMILY: u16 = 0x0017;
/// RFC 8656 section 18.7.
pub const EVEN_PORT: u16 = 0x0018;
/// RFC 8656 section 18.8.
pub const REQUESTED_TRANSPORT: u16 = 0x0019;
/// RFC 8656 section 18.9.
pub const DONT_FRAGMENT: u16 = 0x001a;
/// RFC 8489 section 14.6.
pub const MESSAGE_INTEGRITY_SHA256: u16 = 0x001c;
/// RFC 8489 section 14.12.
pub const PASSWORD_ALGORITHM: u16 = 0x001d;
/// RFC 8489 section 14.4.
pub const USERHASH: u16 = 0x001e;
/// RFC 8489 section 14.2.
pub const XOR_MAPPED_ADDRESS: u16 = 0x0020;
/// RFC 8656 section 18.10.
pub const RESERVATION_TOKEN: u16 = 0x0022;
/// RFC 8656 section 18.11.
pub const ADDITIONAL_ADDRESS_FAMILY: u16 = 0x8000;
/// RFC 8656 section 18.12.
pub const ADDRESS_ERROR_CODE: u16 = 0x8001;
/// RFC 8489 section 14.13.
pub const PASSWORD_ALGORITHMS: u16 = 0x8002;
/// RFC 8489 section 14.14.
pub const SOFTWARE: u16 = 0x8022;
/// RFC 8489 section 14.15.
pub const ALTERNATE_SERVER: u16 = 0x8023;
/// RFC 8489 section 14.7.
pub const FINGERPRINT: u16 = 0x8028;
/// RFC 8489 section 14.16.
pub const ALTERNATE_DOMAIN: u16 = 0x8003;

/// Whether a TURN server understands a type that it must understand.
#[must_use]
pub const fn is_known_to_turn(kind: u16) -> bool {
    matches!(
        kind,
        MAPPED_ADDRESS
            | USERNAME
            | MESSAGE_INTEGRITY
            | ERROR_CODE
            | UNKNOWN_ATTRIBUTES
            | CHANNEL_NUMBER
            | LIFETIME
            | XOR_PEER_ADDRESS
            | DATA
            | REALM
            | NONCE
            | XOR_RELAYED_ADDRESS
            | REQUESTED_ADDRESS_FAMILY
            | EVEN_PORT
            | REQUESTED_TRANSPORT
            | DONT_FRAGMENT
            | MESSAGE_INTEGRITY_SHA256
            | PASSWORD_ALGORITHM
            | USERHASH
            | XOR_MAPPED_ADDRESS
            | RESERVATION_TOKEN
    )
}
