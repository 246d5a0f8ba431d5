//! The test vectors of RFC 5769 and of RFC 8489 appendix B.1.

use std::net::SocketAddr;

use hex_literal::hex;

use crate::{
    Class, Key, Message, Method, PasswordAlgorithm, Writer, address, attribute, user_hash,
};

/// A key of short-term credentials is the password itself (RFC 8489 section
/// 9.1.1), and HMAC fills a key with zeros up to its block: 32 bytes hold it.
fn short_term() -> Key {
    let mut bytes = [0; 32];
    let password = b"VOkJxbRl1RmTxUk/WvJxBt";
    bytes[..password.len()].copy_from_slice(password);
    Key::from_bytes(&bytes).unwrap()
}

/// <https://www.rfc-editor.org/rfc/rfc5769#section-2.1>
#[test]
fn sample_request_of_rfc5769_2_1() {
    let bytes = hex!(
        "00010058 2112a442 b7e7a701bc34d686fa87dfae"
        "80220010 5354554e207465737420636c69656e74"
        "00240004 6e0001ff"
        "80290008 932ff9b151263b36"
        "00060009 6576746a3a68367659202020"
        "00080014 9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2"
        "80280004 e57a3bcf"
    );
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.class(), Class::Request);
    assert_eq!(message.method(), Method::BINDING);
    assert_eq!(
        message.find(attribute::SOFTWARE),
        Some(&b"STUN test client"[..])
    );
    assert_eq!(message.find(attribute::USERNAME), Some(&b"evtj:h6vY"[..]));
    assert!(message.is_signed_sha1(&short_term()));
    assert_eq!(message.has_good_fingerprint(), Some(true));
}

fn assert_response(bytes: &[u8], mapped: &str) {
    let mapped: SocketAddr = mapped.parse().unwrap();
    let message = Message::parse(bytes).unwrap();
    assert_eq!(message.class(), Class::Success);
    let value = message.find(attribute::XOR_MAPPED_ADDRESS).unwrap();
    assert_eq!(
        address::read_xored(value, &message.transaction()),
        Some(mapped)
    );
    assert!(message.is_signed_sha1(&short_term()));
    assert_eq!(message.has_good_fingerprint(), Some(true));
    // The vector pads with spaces where we pad with zeros; without SOFTWARE,
    // which alone needs padding, the address must come out byte for byte.
    let mut buffer = [0; 128];
    let mut writer = Writer::new(
        &mut buffer,
        Class::Success,
        Method::BINDING,
        message.transaction(),
    );
    writer.xored_address(attribute::XOR_MAPPED_ADDRESS, mapped);
    let len = writer.finish().unwrap();
    let ours = Message::parse(&buffer[..len]).unwrap();
    assert_eq!(ours.find(attribute::XOR_MAPPED_ADDRESS), Some(value));
}

/// <https://www.rfc-editor.org/rfc/rfc5769#section-2.2>
#[test]
fn sample_ipv4_response_of_rfc5769_2_2() {
    let bytes = hex!(
        "0101003c 2112a442 b7e7a701bc34d686fa87dfae"
        "8022000b 7465737420766563746f7220"
        "00200008 0001a147e112a643"
        "00080014 2b91f599fd9e90c38c7489f92af9ba53f06be7d7"
        "80280004 c07d4c96"
    );
    assert_response(&bytes, "192.0.2.1:32853");
}

/// <https://www.rfc-editor.org/rfc/rfc5769#section-2.3>
#[test]
fn sample_ipv6_response_of_rfc5769_2_3() {
    let bytes = hex!(
        "01010048 2112a442 b7e7a701bc34d686fa87dfae"
        "8022000b 7465737420766563746f7220"
        "00200014 0002a1470113a9faa5d3f179bc25f4b5bed2b9d9"
        "00080014 a382954e4be67bf11784c97c8292c275bfe3ed41"
        "80280004 c8fb0b4c"
    );
    assert_response(&bytes, "[2001:db8:1234:5678:11:2233:4455:6677]:32853");
}

const MATRIX: &[u8] = "マトリックス".as_bytes();

/// <https://www.rfc-editor.org/rfc/rfc5769#section-2.4>
#[test]
fn sample_request_with_long_term_authentication_of_rfc5769_2_4() {
    let bytes = hex!(
        "00010060 2112a442 78ad3433c6ad72c029da412e"
        "00060012 e3839ee38388e383aae38383e382afe382b90000"
        "0015001c 662f2f3439396b3935346436 4f4c33346f4c39465354767936347341"
        "0014000b 6578616d706c652e6f726700"
        "00080014 f67024656dd64a3e02b8e0712e85c9a28ca89666"
    );
    let message = Message::parse(&bytes).unwrap();
    let key = Key::long_term(PasswordAlgorithm::Md5, MATRIX, b"example.org", b"TheMatrIX");
    assert!(message.is_signed_sha1(&key));

    let mut buffer = [0; 256];
    let mut writer = Writer::new(
        &mut buffer,
        Class::Request,
        Method::BINDING,
        message.transaction(),
    );
    writer.attribute(attribute::USERNAME, MATRIX);
    writer.attribute(attribute::NONCE, b"f//499k954d6OL34oL9FSTvy64sA");
    writer.attribute(attribute::REALM, b"example.org");
    writer.sign_sha1(&key);
    let len = writer.finish().unwrap();
    assert_eq!(&buffer[..len], &bytes);
}

/// <https://www.rfc-editor.org/rfc/rfc8489#appendix-B.1>, with the attribute and
/// the tag of its verified erratum.
#[test]
fn sample_request_with_sha256_and_userhash_of_rfc8489_b_1() {
    let hash = hex!("4a3cf38fef6992bda952c6780417da0f24819415569e60b205c46e41407f1704");
    assert_eq!(user_hash(MATRIX, b"example.org"), hash);
    let key = Key::long_term(
        PasswordAlgorithm::Sha256,
        MATRIX,
        b"example.org",
        b"TheMatrIX",
    );
    let mut buffer = [0; 256];
    let mut writer = Writer::new(
        &mut buffer,
        Class::Request,
        Method::BINDING,
        crate::TransactionId(hex!("78ad3433c6ad72c029da412e")),
    );
    writer.attribute(attribute::USERHASH, &hash);
    writer.attribute(
        attribute::NONCE,
        b"obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA",
    );
    writer.attribute(attribute::REALM, b"example.org");
    writer.attribute(attribute::PASSWORD_ALGORITHM, &[0, 2, 0, 0]);
    writer.sign_sha256(&key);
    let len = writer.finish().unwrap();
    let message = Message::parse(&buffer[..len]).unwrap();
    assert!(message.is_signed_sha256(&key));
    assert_eq!(
        message.find(attribute::MESSAGE_INTEGRITY_SHA256),
        Some(&hex!("b5c7bf005b6c52a21c51c5e892f819241362 96cb927c43149309278cc6518e65")[..])
    );
}
