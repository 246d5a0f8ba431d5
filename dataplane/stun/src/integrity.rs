//! MESSAGE-INTEGRITY, MESSAGE-INTEGRITY-SHA256 and FINGERPRINT (RFC 8489
//! sections 14.5 to 14.7).
//!
//! Each covers the message up to itself, with a header that says that the
//! message ends with it.

use crate::{
    Attribute, HEADER, Key, Message, Writer, attribute, hmac_sha1, hmac_sha256, same_bytes,
};

/// Bytes that a FINGERPRINT adds.
pub const FINGERPRINT_LEN: usize = 8;

/// What a fingerprint is XORed with, so that it differs from another protocol's CRC.
const FINGERPRINT_XOR: u32 = 0x5354_554e;

const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = index as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ 0xedb8_8320
            } else {
                crc >> 1
            };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
};

/// CRC-32 of ITU V.42, as in Ethernet, over all parts.
fn crc32(parts: [&[u8]; 3]) -> u32 {
    let mut crc = u32::MAX;
    for byte in parts.into_iter().flatten() {
        let index = (crc ^ u32::from(*byte)) & 0xff;
        crc = CRC_TABLE[index as usize] ^ crc >> 8;
    }
    !crc
}

/// What an attribute at `at` with a value of `len` bytes covers: the message
/// before it, with a header that says that it ends behind that attribute.
fn covered(bytes: &[u8], at: usize, len: usize) -> [u8; 2] {
    debug_assert!(at >= HEADER && at <= bytes.len());
    let end = at + 4 + len.next_multiple_of(4) - HEADER;
    u16::try_from(end).unwrap_or(u16::MAX).to_be_bytes()
}

fn parts<'a>(bytes: &'a [u8], length: &'a [u8; 2], at: usize) -> [&'a [u8]; 3] {
    [&bytes[..2], length, &bytes[4..at]]
}

impl Message<'_> {
    fn attribute(&self, kind: u16) -> Option<Attribute<'_>> {
        self.attributes().find(|attribute| attribute.kind == kind)
    }

    /// Whether it has a MESSAGE-INTEGRITY and that is of this key.
    #[must_use]
    pub fn is_signed_sha1(&self, key: &Key) -> bool {
        let Some(found) = self.attribute(attribute::MESSAGE_INTEGRITY) else {
            return false;
        };
        let length = covered(self.bytes(), found.at, 20);
        let tag = hmac_sha1(key.as_bytes(), &parts(self.bytes(), &length, found.at));
        same_bytes(&tag, found.value)
    }

    /// Whether it has a MESSAGE-INTEGRITY-SHA256 and that is of this key. It may
    /// be cut, to 16 bytes at least and a multiple of four.
    #[must_use]
    pub fn is_signed_sha256(&self, key: &Key) -> bool {
        let Some(found) = self.attribute(attribute::MESSAGE_INTEGRITY_SHA256) else {
            return false;
        };
        let len = found.value.len();
        if !(16..=32).contains(&len) || !len.is_multiple_of(4) {
            return false;
        }
        let length = covered(self.bytes(), found.at, len);
        let tag = hmac_sha256(key.as_bytes(), &parts(self.bytes(), &length, found.at));
        same_bytes(&tag[..len], found.value)
    }

    /// Whether its FINGERPRINT is right; `None` when there is none.
    #[must_use]
    pub fn has_good_fingerprint(&self) -> Option<bool> {
        let found = self.attribute(attribute::FINGERPRINT)?;
        let length = covered(self.bytes(), found.at, 4);
        let crc = crc32(parts(self.bytes(), &length, found.at)) ^ FINGERPRINT_XOR;
        Some(found.value == crc.to_be_bytes())
    }
}

impl Writer<'_> {
    /// Adds a MESSAGE-INTEGRITY.
    pub fn sign_sha1(&mut self, key: &Key) -> &mut Self {
        let Some(at) = self.len else { return self };
        let length = covered(self.buffer, at, 20);
        let tag = hmac_sha1(key.as_bytes(), &parts(self.buffer, &length, at));
        self.attribute(attribute::MESSAGE_INTEGRITY, &tag)
    }

    /// Adds a MESSAGE-INTEGRITY-SHA256, uncut.
    pub fn sign_sha256(&mut self, key: &Key) -> &mut Self {
        let Some(at) = self.len else { return self };
        let length = covered(self.buffer, at, 32);
        let tag = hmac_sha256(key.as_bytes(), &parts(self.buffer, &length, at));
        self.attribute(attribute::MESSAGE_INTEGRITY_SHA256, &tag)
    }

    /// Adds a FINGERPRINT, which must be the last.
    pub fn fingerprint(&mut self) -> &mut Self {
        let Some(at) = self.len else { return self };
        let length = covered(self.buffer, at, 4);
        let crc = crc32(parts(self.buffer, &length, at)) ^ FINGERPRINT_XOR;
        self.attribute(attribute::FINGERPRINT, &crc.to_be_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Class, Method, PasswordAlgorithm, TransactionId};

    #[test]
    fn crc_of_the_check_string_is_the_published_one() {
        assert_eq!(crc32([b"123", b"456", b"789"]), 0xcbf4_3926);
    }

    #[test]
    fn every_changed_bit_is_found() {
        let key = Key::long_term(PasswordAlgorithm::Md5, b"u", b"r", b"p");
        let mut buffer = [0; 128];
        let mut writer = Writer::new(
            &mut buffer,
            Class::Request,
            Method::ALLOCATE,
            TransactionId([9; 12]),
        );
        writer.attribute(attribute::USERNAME, b"u");
        writer.sign_sha1(&key).sign_sha256(&key).fingerprint();
        let len = writer.finish().unwrap();
        let check = |bytes: &[u8]| {
            let message = Message::parse(bytes).ok()?;
            Some((
                message.is_signed_sha1(&key),
                message.is_signed_sha256(&key),
                message.has_good_fingerprint(),
            ))
        };
        assert_eq!(check(&buffer[..len]), Some((true, true, Some(true))));
        for bit in 0..len * 8 {
            buffer[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(
                check(&buffer[..len]),
                Some((true, true, Some(true))),
                "bit {bit}"
            );
            buffer[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn a_tag_may_be_cut_to_16_bytes_and_not_below() {
        let key = Key::long_term(PasswordAlgorithm::Sha256, b"u", b"r", b"p");
        for len in 0..=36 {
            let mut buffer = [0; 128];
            let mut writer = Writer::new(
                &mut buffer,
                Class::Request,
                Method::BINDING,
                TransactionId::default(),
            );
            let length = covered(writer.buffer, HEADER, len);
            let tag = hmac_sha256(key.as_bytes(), &parts(writer.buffer, &length, HEADER));
            let mut value = [0; 36];
            value[..32].copy_from_slice(&tag);
            writer.attribute(attribute::MESSAGE_INTEGRITY_SHA256, &value[..len]);
            let end = writer.finish().unwrap();
            let message = Message::parse(&buffer[..end]).unwrap();
            let allowed = matches!(len, 16 | 20 | 24 | 28 | 32);
            assert_eq!(message.is_signed_sha256(&key), allowed, "{len} bytes");
        }
    }
}
