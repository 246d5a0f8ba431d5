use super::*;
use crate::cpu::{Feature, hide};

fn hex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// <https://www.rfc-editor.org/rfc/rfc3174#section-7.3>
#[test]
fn digests_of_rfc3174_7_3() {
    let cases: [(&[u8], usize, &str); 4] = [
        (b"abc", 1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (
            b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            1,
            "84983e441c3bd26ebaae4aa1f95129e5e54670f1",
        ),
        (b"a", 1_000_000, "34aa973cd4c4daa4f61eeb2bdbad27316534016f"),
        (
            b"0123456701234567012345670123456701234567012345670123456701234567",
            10,
            "dea356a2cddd90c7a7ecedc5ebb563934f460452",
        ),
    ];
    for (text, repeat, expected) in cases {
        assert_eq!(digest(&text.repeat(repeat)).as_slice(), hex(expected));
    }
}

/// <https://www.rfc-editor.org/rfc/rfc2202#section-3>
#[test]
fn tags_of_rfc2202_3() {
    let cases: [(Vec<u8>, Vec<u8>, &str); 7] = [
        (
            vec![0x0b; 20],
            b"Hi There".to_vec(),
            "b617318655057264e28bc0b6fb378c8ef146be00",
        ),
        (
            b"Jefe".to_vec(),
            b"what do ya want for nothing?".to_vec(),
            "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
        ),
        (
            vec![0xaa; 20],
            vec![0xdd; 50],
            "125d7342b9ac11cd91a39af48aa17b4f63f175d3",
        ),
        (
            (1..=25).collect(),
            vec![0xcd; 50],
            "4c9007f4026250c6bc8414f9bf50c86c2d7235da",
        ),
        (
            vec![0x0c; 20],
            b"Test With Truncation".to_vec(),
            "4c1a03424b55e07fe7f27be1d58bb9324a9a5a04",
        ),
        (
            vec![0xaa; 80],
            b"Test Using Larger Than Block-Size Key - Hash Key First".to_vec(),
            "aa4ae5e15272d00e95705637ce8a3b55ed402112",
        ),
        (
            vec![0xaa; 80],
            b"Test Using Larger Than Block-Size Key and Larger Than One Block-Size Data".to_vec(),
            "e8e99d0f45237d786d6bbaa7965c7808bbff1a91",
        ),
    ];
    for (key, message, expected) in cases {
        assert_eq!(
            hmac(&HmacKey::new(&key), &message).as_slice(),
            hex(expected)
        );
    }
}

/// HMAC as RFC 2104 section 2 has it, without the shortcut of section 4.
fn slow_hmac(key: &[u8; 20], message: &[u8]) -> [u8; DIGEST_LEN] {
    let padded = |pad: u8| {
        let mut block = [pad; BLOCK_LEN];
        for (byte, key) in block.iter_mut().zip(key) {
            *byte ^= key;
        }
        block.to_vec()
    };
    let inner = digest(&[padded(0x36), message.to_vec()].concat());
    digest(&[padded(0x5c), inner.to_vec()].concat())
}

/// The engine's tags for messages of these lengths, each under its own key,
/// beside the reference's.
fn check(engine: Option<Engine>, lengths: impl Iterator<Item = usize>, seed: u64) {
    let mut seed = seed | 1;
    let mut random = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed as u8
    };
    let cases: Vec<([u8; 20], Vec<u8>)> = lengths
        .map(|len| {
            let message = (0..len).map(|_| random()).collect();
            (core::array::from_fn(|_| random()), message)
        })
        .collect();
    let mut jobs: Vec<_> = cases
        .iter()
        .map(|(key, message)| HmacJob {
            key: HmacKey::new(key),
            message,
            tag: [0; DIGEST_LEN],
        })
        .collect();
    match engine {
        Some(engine) => engine.hmac_many(&mut jobs),
        None => hmac_many(&mut jobs),
    }
    for (job, (key, message)) in jobs.iter().zip(&cases) {
        let slow = slow_hmac(key, message);
        assert_eq!(hmac(&job.key, message), slow, "alone");
        assert_eq!(
            job.tag,
            slow,
            "{} over {} bytes, one of {}",
            engine.map_or("the choice", Engine::name),
            message.len(),
            cases.len()
        );
    }
}

#[test]
fn every_engine_equals_the_reference() {
    let _all = hide(&[]);
    for engine in Engine::granted().map(Some).chain([None]) {
        check(engine, 0..=300, 1);
        for len in 0..=300 {
            check(engine, core::iter::once(len), len as u64);
        }
        for count in 0..40 {
            check(engine, core::iter::repeat_n(185, count), 7);
            check(
                engine,
                (0..count).map(|i| (i * 7_919 + count * 104_729) % 1_500),
                count as u64,
            );
        }
    }
}

#[test]
fn a_hidden_engine_is_not_used() {
    let _hidden = hide(&[Feature::ShaNi, Feature::Avx2]);
    assert_eq!(Engine::best(16), Engine::Scalar);
    assert_eq!(Engine::granted().count(), 1);
    check(None, 0..200, 5);
}
