//! Bodies of the fuzz targets, as ordinary code.

use crate::{HEADER, Key, Packet, PasswordAlgorithm, Writer, attribute, frame_length};

/// Any datagram: it is refused, or what was read of it says the same when it is
/// written again.
///
/// # Panics
/// When it does not.
pub fn packet(datagram: &[u8]) {
    match Packet::parse(datagram) {
        Ok(Packet::ChannelData(data)) => {
            let header = crate::channel_header(data.channel, data.payload.len() as u16);
            let mut again = header.to_vec();
            again.extend_from_slice(data.payload);
            assert!(datagram.starts_with(&again));
            assert!(matches!(frame_length(datagram), Ok(Some(_))));
        }
        Ok(Packet::Message(message)) => {
            let transaction = message.transaction();
            let key = Key::long_term(PasswordAlgorithm::Md5, b"u", b"r", b"p");
            // A stranger's message is not signed with a key it never had.
            assert!(!message.is_signed_sha1(&key) && !message.is_signed_sha256(&key));
            let _ = message.has_good_fingerprint();
            let mut buffer = vec![0; datagram.len() + 64];
            let mut writer =
                Writer::new(&mut buffer, message.class(), message.method(), transaction);
            let mut end = HEADER;
            for found in message.attributes() {
                assert!(found.at >= end, "attributes do not overlap");
                end = found.at + 4 + found.value.len();
                let _ = crate::address::read(found.value);
                let _ = crate::address::read_xored(found.value, &transaction);
                writer.attribute(found.kind, found.value);
            }
            let len = writer.finish().expect("no longer than it was");
            let Ok(Packet::Message(again)) = Packet::parse(&buffer[..len]) else {
                panic!("what was written is no message");
            };
            assert_eq!(again.class(), message.class());
            assert_eq!(again.method(), message.method());
            assert!(
                again
                    .attributes()
                    .map(|found| (found.kind, found.value))
                    .eq(message.attributes().map(|found| (found.kind, found.value)))
            );
            assert_eq!(frame_length(datagram), Ok(Some(datagram.len())));
            let _ = message.find_u32(attribute::LIFETIME);
            let _ = message.find_u16(attribute::CHANNEL_NUMBER);
        }
        Err(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn noise(datagram in proptest::collection::vec(any::<u8>(), 0..200)) {
            packet(&datagram);
        }

        #[test]
        fn noise_that_looks_like_a_message(
            kind in 0..0x7fff_u16,
            attributes in proptest::collection::vec(
                (0..0x26_u16, proptest::collection::vec(any::<u8>(), 0..40)), 0..8),
            broken in proptest::option::of((any::<proptest::sample::Index>(), any::<u8>())),
        ) {
            let mut bytes = kind.to_be_bytes().to_vec();
            bytes.extend([0, 0, 0x21, 0x12, 0xa4, 0x42]);
            bytes.extend([5; 12]);
            for (kind, value) in attributes {
                bytes.extend(kind.to_be_bytes());
                bytes.extend((value.len() as u16).to_be_bytes());
                bytes.extend(&value);
                bytes.resize(bytes.len().next_multiple_of(4), 0);
            }
            let len = (bytes.len() - HEADER) as u16;
            bytes[2..4].copy_from_slice(&len.to_be_bytes());
            if let Some((index, byte)) = broken {
                let index = index.index(bytes.len());
                bytes[index] = byte;
            }
            packet(&bytes);
        }
    }
}
