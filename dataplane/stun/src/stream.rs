//! Where one message or packet ends in a stream of bytes (RFC 8489 section
//! 6.2.2, RFC 8656 section 12.5).

use crate::{CHANNEL_HEADER, CHANNELS, HEADER, MAGIC_COOKIE};

/// Longest frame that a length field can ask for, padding included.
pub const FRAME_MAX: usize = HEADER + (1 << 16);

/// A stream that cannot be followed any more; there is no way back into step.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the stream is neither STUN nor ChannelData")]
pub struct FrameError;

/// How long the frame is that `stream` begins with, padding included; `None`
/// until there are enough bytes to tell.
///
/// # Errors
/// [`FrameError`].
pub fn frame_length(stream: &[u8]) -> Result<Option<usize>, FrameError> {
    let Some(&[first, second, len_0, len_1]) = stream.first_chunk() else {
        return match stream.first() {
            Some(first) if *first > 0x7f => Err(FrameError),
            _ => Ok(None),
        };
    };
    let len = usize::from(u16::from_be_bytes([len_0, len_1]));
    if CHANNELS.contains(&u16::from_be_bytes([first, second])) {
        return Ok(Some((CHANNEL_HEADER + len).next_multiple_of(4)));
    }
    if first & 0xc0 != 0 || !len.is_multiple_of(4) {
        return Err(FrameError);
    }
    match stream.get(4..8) {
        None => Ok(None),
        Some(cookie) if cookie == MAGIC_COOKIE.to_be_bytes() => Ok(Some(HEADER + len)),
        Some(_) => Err(FrameError),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Class, Method, TransactionId, Writer, channel_header};

    #[test]
    fn channel_data_is_padded_and_messages_are_whole() {
        assert_eq!(frame_length(&channel_header(0x4000, 5)), Ok(Some(12)));
        assert_eq!(frame_length(&channel_header(0x7ffe, 0)), Ok(Some(4)));
        assert_eq!(
            frame_length(&channel_header(0x4fff, u16::MAX)),
            Ok(Some(65_540))
        );
        let mut buffer = [0; 64];
        let mut writer = Writer::new(
            &mut buffer,
            Class::Request,
            Method::BINDING,
            TransactionId::default(),
        );
        writer.attribute(0x8022, b"abcde");
        let len = writer.finish().unwrap();
        for have in 8..=len {
            assert_eq!(frame_length(&buffer[..have]), Ok(Some(len)));
        }
        for have in 0..8 {
            assert_eq!(frame_length(&buffer[..have]), Ok(None));
        }
    }

    #[test]
    fn other_streams_are_given_up() {
        // What begins with letters is taken for a channel's; none of that number is
        // bound, so it is dropped.
        assert_eq!(frame_length(b"GET / HTTP/1.1\r\n"), Ok(Some(21_540)));
        assert_eq!(frame_length(&[0x80]), Err(FrameError));
        assert_eq!(frame_length(&[0x7f, 0xff, 0, 0]), Err(FrameError));
        assert_eq!(frame_length(&[0, 1, 0, 3, 0x21]), Err(FrameError));
        assert_eq!(frame_length(&[0, 1, 0, 4, 1, 2, 3, 4]), Err(FrameError));
    }
}
