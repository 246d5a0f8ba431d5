//! Writing a message, attribute after attribute.

use std::net::SocketAddr;

use crate::message::type_bytes;
use crate::{Class, HEADER, MAGIC_COOKIE, Method, TransactionId, address, attribute};

/// Bytes of padding that a value of `len` bytes needs.
#[must_use]
pub const fn padding(len: usize) -> usize {
    len.wrapping_neg() % 4
}

/// Writes one message into a buffer of the caller's. What does not fit is
/// remembered, and [`Writer::finish`] then has nothing to show.
#[derive(Debug)]
pub struct Writer<'a> {
    pub(crate) buffer: &'a mut [u8],
    /// Bytes written; `None` once something did not fit.
    pub(crate) len: Option<usize>,
    transaction: TransactionId,
}

impl<'a> Writer<'a> {
    /// Begins a message.
    pub fn new(
        buffer: &'a mut [u8],
        class: Class,
        method: Method,
        transaction: TransactionId,
    ) -> Self {
        let len = buffer.first_chunk_mut::<HEADER>().map(|header| {
            header[..2].copy_from_slice(&type_bytes(class, method));
            header[2..4].fill(0);
            header[4..8].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
            header[8..].copy_from_slice(&transaction.0);
            HEADER
        });
        Self {
            buffer,
            len,
            transaction,
        }
    }

    /// Adds an attribute.
    pub fn attribute(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        self.len = self.len.and_then(|at| self.put(at, kind, value));
        self
    }

    fn put(&mut self, at: usize, kind: u16, value: &[u8]) -> Option<usize> {
        let len = u16::try_from(value.len()).ok()?;
        let end = at + 4 + value.len().next_multiple_of(4);
        // The header's length field must be able to say it.
        u16::try_from(end - HEADER).ok()?;
        let room = self.buffer.get_mut(at..end)?;
        room[..2].copy_from_slice(&kind.to_be_bytes());
        room[2..4].copy_from_slice(&len.to_be_bytes());
        room[4..4 + value.len()].copy_from_slice(value);
        room[4 + value.len()..].fill(0);
        self.set_length(end);
        Some(end)
    }

    /// Makes the header say that the message ends at `end`.
    pub(crate) fn set_length(&mut self, end: usize) {
        let len = u16::try_from(end - HEADER).unwrap_or(u16::MAX);
        self.buffer[2..4].copy_from_slice(&len.to_be_bytes());
    }

    /// Adds a number of four bytes.
    pub fn number(&mut self, kind: u16, value: u32) -> &mut Self {
        self.attribute(kind, &value.to_be_bytes())
    }

    /// Adds an address, plain.
    pub fn address(&mut self, kind: u16, value: SocketAddr) -> &mut Self {
        let (bytes, len) = address::write(value);
        self.attribute(kind, &bytes[..len])
    }

    /// Adds an address, XORed.
    pub fn xored_address(&mut self, kind: u16, value: SocketAddr) -> &mut Self {
        let (bytes, len) = address::write_xored(value, &self.transaction);
        self.attribute(kind, &bytes[..len])
    }

    /// Adds an ERROR-CODE (RFC 8489 section 14.8); `code` is 300 to 699, the
    /// reason at most 128 bytes.
    pub fn error(&mut self, code: u16, reason: &str) -> &mut Self {
        const REASON_MAX: usize = 128;
        let mut value = [0; 4 + REASON_MAX];
        let reason = reason.as_bytes();
        let len = reason.len().min(REASON_MAX);
        value[2] = u8::try_from(code / 100).unwrap_or(u8::MAX) & 7;
        value[3] = u8::try_from(code % 100).unwrap_or(0);
        value[4..4 + len].copy_from_slice(&reason[..len]);
        self.attribute(attribute::ERROR_CODE, &value[..4 + len])
    }

    /// Ends the message: how long it is, or `None` when it did not fit.
    #[must_use]
    pub fn finish(self) -> Option<usize> {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Message;

    #[test]
    fn what_does_not_fit_yields_no_message() {
        for room in 0..64 {
            let mut buffer = vec![0; room];
            let mut writer = Writer::new(
                &mut buffer,
                Class::Error,
                Method::ALLOCATE,
                TransactionId::default(),
            );
            writer.error(437, "Allocation Mismatch");
            let len = writer.finish();
            assert_eq!(len.is_some(), room >= HEADER + 4 + 24, "{room} bytes");
        }
        let mut buffer = vec![0; 1 << 17];
        let mut writer = Writer::new(
            &mut buffer,
            Class::Indication,
            Method::DATA,
            TransactionId::default(),
        );
        writer.attribute(attribute::DATA, &[0; 65_533]);
        assert_eq!(writer.finish(), None, "the length field ends at 65,535");
    }

    #[test]
    fn an_error_has_class_number_and_reason() {
        let mut buffer = [0; 64];
        let mut writer = Writer::new(
            &mut buffer,
            Class::Error,
            Method::ALLOCATE,
            TransactionId::default(),
        );
        writer.error(437, "Mismatch");
        let len = writer.finish().unwrap();
        let message = Message::parse(&buffer[..len]).unwrap();
        assert_eq!(
            message.find(attribute::ERROR_CODE),
            Some(&b"\0\0\x04\x25Mismatch"[..])
        );
    }
}
