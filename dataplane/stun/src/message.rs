//! A STUN message as a view of its bytes.

use crate::attribute;

/// Bytes before the first attribute.
pub const HEADER: usize = 20;

/// Bytes 4 to 7 of every message (RFC 8489 section 5).
pub const MAGIC_COOKIE: u32 = 0x2112_a442;

/// What a message is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    /// Wants an answer.
    Request,
    /// Wants none.
    Indication,
    /// The answer when it was done.
    Success,
    /// The answer when it was not.
    Error,
}

/// What is asked for, 12 bits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Method(pub u16);

impl Method {
    /// RFC 8489 section 3.
    pub const BINDING: Self = Self(0x001);
    /// RFC 8656 section 7.
    pub const ALLOCATE: Self = Self(0x003);
    /// RFC 8656 section 8.
    pub const REFRESH: Self = Self(0x004);
    /// RFC 8656 section 11.
    pub const SEND: Self = Self(0x006);
    /// RFC 8656 section 11.
    pub const DATA: Self = Self(0x007);
    /// RFC 8656 section 10.
    pub const CREATE_PERMISSION: Self = Self(0x008);
    /// RFC 8656 section 12.
    pub const CHANNEL_BIND: Self = Self(0x009);
}

/// Ties an answer to its request.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct TransactionId(pub [u8; 12]);

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ParseError {
    /// Something else, or of RFC 3489, which had no cookie.
    #[error("neither STUN nor ChannelData")]
    NotStun,
    /// The lengths in it and its own do not agree.
    #[error("its length is not what it says")]
    Length,
    /// An attribute goes beyond the end.
    #[error("an attribute goes beyond its end")]
    Attribute,
}

/// The two bytes that hold class and method (RFC 8489 section 5, figure 3).
pub(crate) const fn type_bytes(class: Class, method: Method) -> [u8; 2] {
    let class = match class {
        Class::Request => 0x000,
        Class::Indication => 0x010,
        Class::Success => 0x100,
        Class::Error => 0x110,
    };
    let Method(method) = method;
    let spread = (method & 0x00f) | (method & 0x070) << 1 | (method & 0xf80) << 2;
    (spread | class).to_be_bytes()
}

/// A message of which the header is right and every attribute lies within.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    bytes: &'a [u8],
}

impl<'a> Message<'a> {
    /// Takes the whole of `bytes` as one message.
    ///
    /// # Errors
    /// [`ParseError`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let Some((header, body)) = bytes.split_first_chunk::<HEADER>() else {
            return Err(ParseError::Length);
        };
        let [type_0, _, len_0, len_1, cookie @ ..] = header;
        let cookie = cookie
            .first_chunk()
            .map(|cookie| u32::from_be_bytes(*cookie));
        if type_0 & 0xc0 != 0 || cookie != Some(MAGIC_COOKIE) {
            return Err(ParseError::NotStun);
        }
        let len = usize::from(u16::from_be_bytes([*len_0, *len_1]));
        if len != body.len() || !len.is_multiple_of(4) {
            return Err(ParseError::Length);
        }
        let mut rest = body;
        while !rest.is_empty() {
            (_, _, rest) = split_attribute(rest).ok_or(ParseError::Attribute)?;
        }
        Ok(Self { bytes })
    }

    /// What it is for.
    #[must_use]
    pub fn class(&self) -> Class {
        match (self.bytes[0] & 1, self.bytes[1] & 0x10) {
            (0, 0) => Class::Request,
            (0, _) => Class::Indication,
            (_, 0) => Class::Success,
            _ => Class::Error,
        }
    }

    /// What is asked for.
    #[must_use]
    pub fn method(&self) -> Method {
        let bits = u16::from_be_bytes([self.bytes[0], self.bytes[1]]);
        Method((bits & 0x000f) | (bits & 0x00e0) >> 1 | (bits & 0x3e00) >> 2)
    }

    /// Ties an answer to its request.
    #[must_use]
    pub fn transaction(&self) -> TransactionId {
        let mut id = [0; 12];
        id.copy_from_slice(&self.bytes[8..HEADER]);
        TransactionId(id)
    }

    /// All of its bytes.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The attributes that count: none of those behind a MESSAGE-INTEGRITY but
    /// MESSAGE-INTEGRITY-SHA256 and FINGERPRINT, none behind a FINGERPRINT (RFC
    /// 8489 sections 14.5 to 14.7).
    #[must_use]
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes {
            bytes: self.bytes,
            at: HEADER,
            only: None,
        }
    }

    /// The first attribute of a type; later ones of the same type do not count
    /// (RFC 8489 section 14) where the type does not say otherwise.
    #[must_use]
    pub fn find(&self, kind: u16) -> Option<&'a [u8]> {
        self.attributes()
            .find(|attribute| attribute.kind == kind)
            .map(|attribute| attribute.value)
    }

    /// An attribute of four bytes that begins with a number of two.
    #[must_use]
    pub fn find_u16(&self, kind: u16) -> Option<u16> {
        let value: [u8; 4] = self.find(kind)?.try_into().ok()?;
        Some(u16::from_be_bytes([value[0], value[1]]))
    }

    /// An attribute of four bytes that is a number.
    #[must_use]
    pub fn find_u32(&self, kind: u16) -> Option<u32> {
        Some(u32::from_be_bytes(self.find(kind)?.try_into().ok()?))
    }
}

/// One attribute.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Attribute<'a> {
    /// Its type.
    pub kind: u16,
    /// Its value, padding left out.
    pub value: &'a [u8],
    /// Where its type stands in the message.
    pub at: usize,
}

/// Iterates over [`Message::attributes`].
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    bytes: &'a [u8],
    at: usize,
    /// What may still come: nothing was said yet, or one of these.
    only: Option<&'static [u16]>,
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Attribute<'a>> {
        loop {
            let rest = self.bytes.get(self.at..)?;
            let (kind, value, after) = split_attribute(rest)?;
            let at = self.at;
            self.at += rest.len() - after.len();
            if self.only.is_some_and(|only| !only.contains(&kind)) {
                continue;
            }
            self.only = match kind {
                attribute::MESSAGE_INTEGRITY => {
                    Some(&[attribute::MESSAGE_INTEGRITY_SHA256, attribute::FINGERPRINT])
                }
                attribute::MESSAGE_INTEGRITY_SHA256 => Some(&[attribute::FINGERPRINT]),
                attribute::FINGERPRINT => Some(&[]),
                _ => self.only,
            };
            return Some(Attribute { kind, value, at });
        }
    }
}

/// Type and value of the first attribute, and what is behind it.
fn split_attribute(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (&[kind_0, kind_1, len_0, len_1], rest) = bytes.split_first_chunk()?;
    let len = usize::from(u16::from_be_bytes([len_0, len_1]));
    let value = rest.get(..len)?;
    let after = rest.get(len.next_multiple_of(4)..)?;
    Some((u16::from_be_bytes([kind_0, kind_1]), value, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Writer;

    #[test]
    fn every_class_and_method_survives_the_round_trip() {
        for class in [
            Class::Request,
            Class::Indication,
            Class::Success,
            Class::Error,
        ] {
            for method in 0..0x1000 {
                let mut buffer = [0; 64];
                let writer =
                    Writer::new(&mut buffer, class, Method(method), TransactionId([3; 12]));
                let len = writer.finish().unwrap();
                let message = Message::parse(&buffer[..len]).unwrap();
                assert_eq!(message.class(), class);
                assert_eq!(message.method(), Method(method));
                assert_eq!(message.transaction(), TransactionId([3; 12]));
            }
        }
    }

    #[test]
    fn what_follows_integrity_or_fingerprint_does_not_count() {
        let mut buffer = [0; 256];
        let mut writer = Writer::new(
            &mut buffer,
            Class::Request,
            Method::REFRESH,
            TransactionId([1; 12]),
        );
        writer.attribute(attribute::LIFETIME, &1_u32.to_be_bytes());
        writer.attribute(attribute::MESSAGE_INTEGRITY, &[0; 20]);
        writer.attribute(attribute::USERNAME, b"smuggled");
        writer.attribute(attribute::MESSAGE_INTEGRITY_SHA256, &[0; 32]);
        writer.attribute(attribute::MESSAGE_INTEGRITY, &[1; 20]);
        writer.attribute(attribute::FINGERPRINT, &[0; 4]);
        writer.attribute(attribute::FINGERPRINT, &[0; 4]);
        let len = writer.finish().unwrap();
        let message = Message::parse(&buffer[..len]).unwrap();
        let kinds: Vec<u16> = message.attributes().map(|found| found.kind).collect();
        assert_eq!(
            kinds,
            [
                attribute::LIFETIME,
                attribute::MESSAGE_INTEGRITY,
                attribute::MESSAGE_INTEGRITY_SHA256,
                attribute::FINGERPRINT
            ]
        );
        assert_eq!(message.find(attribute::USERNAME), None);
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        let mut buffer = [0; 64];
        let mut writer = Writer::new(
            &mut buffer,
            Class::Request,
            Method::BINDING,
            TransactionId::default(),
        );
        writer.attribute(attribute::SOFTWARE, b"abcde");
        let len = writer.finish().unwrap();
        assert!(Message::parse(&buffer[..len]).is_ok());
        for cut in 0..len {
            assert!(Message::parse(&buffer[..cut]).is_err(), "{cut} bytes");
        }
        assert!(matches!(
            Message::parse(&buffer[..len + 4]),
            Err(ParseError::Length)
        ));
        buffer[HEADER + 3] = 9; // The value would now end behind the message.
        assert!(matches!(
            Message::parse(&buffer[..len]),
            Err(ParseError::Attribute)
        ));
    }
}
