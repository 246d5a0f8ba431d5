use super::*;
use crate::cpu::hide;

fn token() -> Option<Vaes> {
    let _all = hide(&[]);
    Vaes::detect()
}

/// <https://doi.org/10.6028/NIST.FIPS.197-upd1>, appendixes B and C.3
#[test]
fn reference_blocks_of_fips_197() {
    let sequence = |len: u8| (0..len).collect::<Vec<u8>>();
    let block = core::array::from_fn(|i| 0x11 * i as u8);
    assert_eq!(
        u128::from_be_bytes(scalar::encrypt(&sequence(16), block)),
        0x69c4_e0d8_6a7b_0430_d8cd_b780_70b4_c55a
    );
    assert_eq!(
        u128::from_be_bytes(scalar::encrypt(&sequence(32), block)),
        0x8ea2_b7ca_5167_45bf_eafc_4990_4b49_6089
    );
}

#[test]
fn vectors_equal_the_reference() {
    let Some(token) = token() else { return };
    let mut seed = 42_u64;
    let mut random = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed as u8
    };
    for key_len in [16, 32] {
        for len in (0..300).chain([511, 512, 513, 1_188, 1_500]) {
            // The reference takes its time: later on, only the edges of blocks.
            if len > 70 && len % 16 > 1 && len % 32 < 31 {
                continue;
            }
            let key: Vec<u8> = (0..key_len).map(|_| random()).collect();
            let mut first = core::array::from_fn(|_| random());
            if len % 3 == 0 {
                // Close to the end of the count.
                first[12..].copy_from_slice(&[0xff, 0xff, 0xff, 0xfe]);
            }
            let mut slow: Vec<u8> = (0..len + 8).map(|_| random()).collect();
            let mut fast = slow.clone();
            scalar::apply(&key, &first, &mut slow[..len]);
            let mut mode = CounterMode::new(token, &key).unwrap();
            mode.apply(&first, &mut fast[..len]);
            assert_eq!(fast, slow, "{len} bytes, key of {key_len}");
            mode.erase();
            assert_eq!(mode.round_keys, [[0; 16]; ROUND_KEYS_MAX]);
        }
    }
}

#[test]
fn other_key_lengths_are_refused() {
    let Some(token) = token() else { return };
    for len in (0..64).filter(|len| ![16, 32].contains(len)) {
        assert!(CounterMode::new(token, &vec![0; len]).is_none());
    }
}
