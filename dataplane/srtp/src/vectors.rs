//! Published test vectors. Those that give session keys go in below the key
//! derivation.

use core::sync::atomic::AtomicU64;

use hex_literal::hex;
use plenum_abi::{MasterKeys, SrtpSuite};
use plenum_kernels::cpu::{Feature, hide};

use crate::cipher::CounterMode;
use crate::keys::{SessionKeys, Use};
use crate::{Receiver, Reject, Sender, TAIL_MAX};

fn session(cipher: &[u8], salt: &[u8]) -> SessionKeys {
    let mut keys = SessionKeys {
        cipher: [0; 32],
        auth: [0; 20],
        salt: [0; 14],
    };
    keys.cipher[..cipher.len()].copy_from_slice(cipher);
    keys.salt[..salt.len()].copy_from_slice(salt);
    keys
}

fn key_stream(key: &[u8], block: [u8; 16]) -> [u8; 48] {
    let mut stream = [0; 48];
    CounterMode::new(key).apply(&block, &mut stream);
    stream
}

/// <https://www.rfc-editor.org/rfc/rfc3711#appendix-B.2>
#[test]
fn key_stream_of_rfc3711_b2() {
    let key = hex!("2B7E151628AED2A6ABF7158809CF4F3C");
    assert_eq!(
        key_stream(&key, hex!("F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000")),
        hex!(
            "E03EAD0935C95E80E166B16DD92B4EB4"
            "D23513162B02D0F72A43A2FE4A5F97AB"
            "41E95B3BB0A2E8DD477901E4FCA894C0"
        )
    );
    assert_eq!(
        key_stream(&key, hex!("F0F1F2F3F4F5F6F7F8F9FAFBFCFDFEFF")),
        hex!(
            "EC8CDF7398607CB0F2D21675EA9EA1E4"
            "362B7C3C6773516318A077D7FC5073AE"
            "6A2CC3787889374FBEB4C81B17BA6C44"
        )
    );
}

/// <https://www.rfc-editor.org/rfc/rfc3711#appendix-B.3>
#[test]
fn session_keys_of_rfc3711_b3() {
    let suite = SrtpSuite::AesCm128HmacSha1_80;
    let master = MasterKeys::new(
        suite,
        &hex!("E1F97A0D3E018BE0D64FA32C06DE4139" "0EC675AD498AFEEBB6960B3AABE6"),
    )
    .unwrap();
    let keys = SessionKeys::derive(suite, &master, Use::Rtp);
    assert_eq!(keys.cipher[..16], hex!("C61E7A93744F39EE10734AFE3FF7A087"));
    assert_eq!(keys.cipher[16..], [0; 16]);
    assert_eq!(keys.salt, hex!("30CBBC08863D8C85D49DB34A9AE1"));
    assert_eq!(keys.auth, hex!("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"));
}

/// <https://www.rfc-editor.org/rfc/rfc6188#section-7.1>
#[test]
fn key_stream_of_rfc6188_7_1() {
    let key = hex!("57f82fe3613fd170a85ec93c40b1f0922ec4cb0dc025b58272147cc438944a98");
    assert_eq!(
        key_stream(&key, hex!("f0f1f2f3f4f5f6f7f8f9fafbfcfd0000")),
        hex!(
            "92bdd28a93c3f52511c677d08b5515a4"
            "9da71b2378a854f67050756ded165bac"
            "63c4868b7096d88421b563b8c94c9a31"
        )
    );
    assert_eq!(
        key_stream(&key, hex!("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")),
        hex!(
            "cea518c90fd91ced9cbb18c078a54711"
            "3dbc4814f4da5f00a08772b63c6a046d"
            "6eb246913062a16891433e97dd01a57f"
        )
    );
}

/// <https://www.rfc-editor.org/rfc/rfc6188#section-7.2>
#[test]
fn session_keys_of_rfc6188_7_2() {
    let suite = SrtpSuite::AesCm256HmacSha1_80;
    let master = MasterKeys::new(
        suite,
        &hex!(
            "f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6"
            "3b04803de51ee7c96423ab5b78d2"
        ),
    )
    .unwrap();
    let keys = SessionKeys::derive(suite, &master, Use::Rtp);
    assert_eq!(
        keys.cipher,
        hex!("5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4")
    );
    assert_eq!(keys.salt, hex!("fa31791685ca444a9e07c6c64e93"));
    assert_eq!(keys.auth, hex!("fd9c32d39ed5fbb5a9dc96b30818454d1313dc05"));
}

/// What runs where AES on wide vectors is missing.
#[test]
fn both_ways_give_one_key_stream() {
    let key: [u8; 32] = core::array::from_fn(|i| i as u8);
    for key in [&key[..16], &key] {
        let wide = CounterMode::new(key);
        let hidden = hide(&[Feature::Vaes]);
        let narrow = CounterMode::new(key);
        assert!(!matches!(narrow, CounterMode::Wide(_)));
        drop(hidden);
        for len in 0..600 {
            let block = [len as u8; 16];
            let (mut a, mut b) = (vec![0; len], vec![0; len]);
            wide.apply(&block, &mut a);
            narrow.apply(&block, &mut b);
            assert_eq!(a, b, "{len} bytes");
        }
    }
}

/// Protects, compares, opens.
fn check(
    (sender, receiver): (&mut Sender, &mut Receiver),
    is_rtp: bool,
    index: u64,
    plain: &[u8],
    protected: &[u8],
) {
    let next = AtomicU64::new(index);
    let mut buffer = [plain, &[0; TAIL_MAX]].concat();
    let len = if is_rtp {
        sender.protect_rtp(&next, &mut buffer, plain.len())
    } else {
        sender.protect_rtcp(&next, &mut buffer, plain.len())
    };
    assert_eq!(&buffer[..len.unwrap()], protected);
    buffer.truncate(protected.len());
    let len = if is_rtp {
        receiver.unprotect_rtp(&mut buffer)
    } else {
        receiver.unprotect_rtcp(&mut buffer)
    };
    assert_eq!(&buffer[..len.unwrap()], plain);
}

const GCM_KEY: [u8; 32] = hex!("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
const GCM_SALT: [u8; 12] = hex!("517569642070726f2071756f");

fn gcm(suite: SrtpSuite) -> (Sender, Receiver) {
    let keys = session(&GCM_KEY[..suite.key_len()], &GCM_SALT);
    (
        Sender::from_session_keys(suite, &keys, &keys),
        Receiver::from_session_keys(suite, &keys, &keys),
    )
}

/// <https://www.rfc-editor.org/rfc/rfc7714#section-16.1.1> and 16.2.1; the
/// cases of 16.1.3 and 16.2.3 (a tag without encryption) do not occur in SRTP.
#[test]
fn srtp_packets_of_rfc7714_16() {
    let plain = hex!(
        "8040f17b8041f8d35501a0b2"
        "47616c6c696120657374206f6d6e69732064697669736120696e207061727465732074726573"
    );
    let cases: [(SrtpSuite, &[u8]); 2] = [
        (
            SrtpSuite::AeadAes128Gcm,
            &hex!(
                "8040f17b8041f8d35501a0b2"
                "f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833"
                "899d7f27beb16a9152cf765ee4390cce"
            ),
        ),
        (
            SrtpSuite::AeadAes256Gcm,
            &hex!(
                "8040f17b8041f8d35501a0b2"
                "32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b"
                "7aa3db36dfffd6b0f9bb7878d7a76c13"
            ),
        ),
    ];
    for (suite, protected) in cases {
        let (mut sender, mut receiver) = gcm(suite);
        check(
            (&mut sender, &mut receiver),
            true,
            0xf17b,
            &plain,
            protected,
        );
    }
}

/// <https://www.rfc-editor.org/rfc/rfc7714#section-17.1> and 17.2. A packet
/// that is only tagged (17.3) is authentic and yet refused.
#[test]
fn srtcp_packets_of_rfc7714_17() {
    let plain = hex!(
        "81c8000d4d617273"
        "4e5450314e545032525450200000042a0000e9304c756e61"
        "deadbeefdeadbeefdeadbeefdeadbeefdeadbeef"
    );
    let cases: [(SrtpSuite, &[u8]); 2] = [
        (
            SrtpSuite::AeadAes128Gcm,
            &hex!(
                "81c8000d4d617273"
                "63e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda"
                "4ce09b4686303ded0bb9275b"
                "c84aa45896cf4d2fc5abf87245d9eade"
                "800005d4"
            ),
        ),
        (
            SrtpSuite::AeadAes256Gcm,
            &hex!(
                "81c8000d4d617273"
                "d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be"
                "8415f658c61de0476f1b6fad"
                "1d1eb30c4446839f57ff6f6cb26ac3be"
                "800005d4"
            ),
        ),
    ];
    for (suite, protected) in cases {
        let (mut sender, mut receiver) = gcm(suite);
        check(
            (&mut sender, &mut receiver),
            false,
            0x5d4,
            &plain,
            protected,
        );
    }
    let mut tagged = hex!(
        "81c8000d4d617273"
        "4e5450314e545032525450200000042a0000e9304c756e61"
        "deadbeefdeadbeefdeadbeefdeadbeefdeadbeef"
        "841dd9683dd78ec92ae58790125f62b3"
        "000005d4"
    );
    assert_eq!(
        gcm(SrtpSuite::AeadAes128Gcm).1.unprotect_rtcp(&mut tagged),
        Err(Reject::NotEncrypted)
    );
}

/// Suite, master key and salt, the protected RTP packet, the protected RTCP packet.
type Case<'a> = (SrtpSuite, &'a [u8], &'a [u8], &'a [u8]);

/// What libsrtp2 2.5 makes of the same packets under the same master keys: the
/// whole way from master key to tag, against an independent peer.
#[test]
fn packets_of_libsrtp() {
    let rtp = hex!("800f1234decafbadcafebabeabababababababababababababababab");
    let rtcp = hex!("81c8000bcafebabeabababababababababababababababab");
    let icm_128 = hex!("e1f97a0d3e018be0d64fa32c06de4139" "0ec675ad498afeebb6960b3aabe6");
    let icm_256 = hex!(
        "f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6"
        "3b04803de51ee7c96423ab5b78d2"
    );
    let gcm_128 = hex!("000102030405060708090a0b0c0d0e0f" "a0a1a2a3a4a5a6a7a8a9aaab");
    let gcm_256 = hex!(
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
        "a0a1a2a3a4a5a6a7a8a9aaab"
    );
    let cases: [Case<'_>; 6] = [
        (
            SrtpSuite::AesCm128HmacSha1_80,
            &icm_128,
            &hex!("800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb"),
            &hex!("81c8000bcafebabe7128035be487b9bdbef89041f977a5a880000001993e08cd54d6c1230798"),
        ),
        (
            SrtpSuite::AesCm128HmacSha1_32,
            &icm_128,
            &hex!("800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc"),
            &hex!("81c8000bcafebabe7128035be487b9bdbef89041f977a5a880000001993e08cd54d6c1230798"),
        ),
        (
            SrtpSuite::AesCm256HmacSha1_80,
            &icm_256,
            &hex!("800f1234decafbadcafebabef1d9de17ff251ff1aa007774b0b4b40da08d9d9a5b3a55d8873b"),
            &hex!("81c8000bcafebabeb4d0e7a917d24b9faab9d3b6127b3ba680000001e04ac0ec2846f71bd31c"),
        ),
        (
            SrtpSuite::AesCm256HmacSha1_32,
            &icm_256,
            &hex!("800f1234decafbadcafebabef1d9de17ff251ff1aa007774b0b4b40da08d9d9a"),
            &hex!("81c8000bcafebabeb4d0e7a917d24b9faab9d3b6127b3ba680000001e04ac0ec2846f71bd31c"),
        ),
        (
            SrtpSuite::AeadAes128Gcm,
            &gcm_128,
            &hex!(
                "800f1234decafbadcafebabec5002ede04cfdd2eb91159e0880aa06ed2976826f796b201df3131a127e8a392"
            ),
            &hex!(
                "81c8000bcafebabec98b8b5df0392a55852b6c21ac8e7025c52c6fbea2b3b446ea31123ba88ce61e80000001"
            ),
        ),
        (
            SrtpSuite::AeadAes256Gcm,
            &gcm_256,
            &hex!(
                "800f1234decafbadcafebabe0af7f21e8a90bdad7a425c9c31ed4bb1d90238917e7390a2793500e1681acaea"
            ),
            &hex!(
                "81c8000bcafebabe8abfafa780070a90e80f9161cf4aac081ed93aaa53c15b0f3ed1a3b984167b0380000001"
            ),
        ),
    ];
    for (suite, master, srtp, srtcp) in cases {
        let keys = MasterKeys::new(suite, master).unwrap();
        let (mut sender, mut receiver) = (Sender::new(suite, &keys), Receiver::new(suite, &keys));
        check((&mut sender, &mut receiver), true, 0x1234, &rtp, srtp);
        check((&mut sender, &mut receiver), false, 1, &rtcp, srtcp);
    }
}
