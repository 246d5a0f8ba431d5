//! Two blocks to a vector, eight vectors on their way at a time: a round takes
//! four cycles or so and two may be begun in each.

use core::arch::x86_64::{
    __m128i, __m256i, _mm_aeskeygenassist_si128, _mm_loadu_si128, _mm_shuffle_epi32,
    _mm_slli_si128, _mm_storeu_si128, _mm_xor_si128, _mm256_add_epi32, _mm256_aesenc_epi128,
    _mm256_aesenclast_epi128, _mm256_broadcastsi128_si256, _mm256_loadu_si256, _mm256_set_epi8,
    _mm256_set_epi32, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_storeu_si256,
    _mm256_xor_si256,
};

use super::ROUND_KEYS_MAX;
use crate::cpu::Vaes;

/// Vectors on their way at a time.
const WIDTH: usize = 8;
const VECTOR_LEN: usize = 32;

type RoundKeys = [[u8; 16]; ROUND_KEYS_MAX];

/// Fills in the round keys and tells how many rounds there are; `None` for a
/// key of another length than 16 or 32.
pub(super) fn expand(_proof: Vaes, key: &[u8], round_keys: &mut RoundKeys) -> Option<usize> {
    match key.as_chunks() {
        ([key], []) => {
            // SAFETY: needs AES-NI; the token exists only where `cpu` detected it.
            unsafe { expand_128(key, round_keys) };
            Some(10)
        }
        ([low, high], []) => {
            // SAFETY: needs AES-NI; the token exists only where `cpu` detected it.
            unsafe { expand_256([low, high], round_keys) };
            Some(14)
        }
        _ => None,
    }
}

#[inline]
fn load(block: &[u8; 16]) -> __m128i {
    // SAFETY: `block` is 16 readable bytes; the load needs no alignment. SSE2 is
    // part of every x86-64.
    unsafe { _mm_loadu_si128(block.as_ptr().cast()) }
}

#[inline]
fn store(block: &mut [u8; 16], value: __m128i) {
    // SAFETY: `block` is 16 writable bytes; the store needs no alignment. SSE2 is
    // part of every x86-64.
    unsafe { _mm_storeu_si128(block.as_mut_ptr().cast(), value) };
}

/// Each word and all the words below it, and `mixed` over them all.
#[inline]
#[target_feature(enable = "aes")]
fn next_key(key: __m128i, mixed: __m128i) -> __m128i {
    let key = _mm_xor_si128(key, _mm_slli_si128::<4>(key));
    let key = _mm_xor_si128(key, _mm_slli_si128::<8>(key));
    _mm_xor_si128(key, mixed)
}

#[target_feature(enable = "aes")]
fn expand_128(key: &[u8; 16], round_keys: &mut RoundKeys) {
    let mut last = load(key);
    round_keys[0] = *key;
    macro_rules! step {
        ($($round:literal $constant:literal),+) => { $(
            let mixed = _mm_aeskeygenassist_si128::<$constant>(last);
            last = next_key(last, _mm_shuffle_epi32::<0xff>(mixed));
            store(&mut round_keys[$round], last);
        )+ };
    }
    step!(1 1, 2 2, 3 4, 4 8, 5 16, 6 32, 7 64, 8 128, 9 0x1b, 10 0x36);
}

#[target_feature(enable = "aes")]
fn expand_256([low, high]: [&[u8; 16]; 2], round_keys: &mut RoundKeys) {
    let (mut even, mut odd) = (load(low), load(high));
    (round_keys[0], round_keys[1]) = (*low, *high);
    macro_rules! step {
        ($($round:literal $constant:literal),+) => { $(
            let mixed = _mm_aeskeygenassist_si128::<$constant>(odd);
            even = next_key(even, _mm_shuffle_epi32::<0xff>(mixed));
            store(&mut round_keys[$round], even);
            if let Some(place) = round_keys.get_mut($round + 1) {
                let mixed = _mm_aeskeygenassist_si128::<0>(even);
                odd = next_key(odd, _mm_shuffle_epi32::<0xaa>(mixed));
                store(place, odd);
            }
        )+ };
    }
    step!(2 1, 4 2, 6 4, 8 8, 10 16, 12 32, 14 64);
}

/// Adds the key stream of `ROUNDS` rounds.
#[inline]
pub(super) fn apply<const ROUNDS: usize>(
    _proof: Vaes,
    round_keys: &RoundKeys,
    first: &[u8; 16],
    data: &mut [u8],
) {
    // SAFETY: needs VAES and AVX2; the token exists only where `cpu` detected both.
    unsafe { apply_vaes::<ROUNDS>(round_keys, first, data) }
}

#[target_feature(enable = "vaes,avx2")]
fn apply_vaes<const ROUNDS: usize>(round_keys: &RoundKeys, first: &[u8; 16], data: &mut [u8]) {
    // Back to front, a block ends with its count in the machine's order.
    #[rustfmt::skip]
    let reverse = _mm256_set_epi8(
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
    );
    let two = _mm256_set_epi32(0, 0, 0, 2, 0, 0, 0, 2);
    let first = _mm256_broadcastsi128_si256(load(first));
    let mut next = _mm256_add_epi32(
        _mm256_shuffle_epi8(first, reverse),
        _mm256_set_epi32(0, 0, 0, 1, 0, 0, 0, 0),
    );

    let mut chunks = data.chunks_mut(WIDTH * VECTOR_LEN);
    for chunk in &mut chunks {
        let mut stream = [_mm256_setzero_si256(); WIDTH];
        let key = _mm256_broadcastsi128_si256(load(&round_keys[0]));
        for vector in &mut stream {
            *vector = _mm256_xor_si256(_mm256_shuffle_epi8(next, reverse), key);
            next = _mm256_add_epi32(next, two);
        }
        for round_key in &round_keys[1..ROUNDS] {
            let key = _mm256_broadcastsi128_si256(load(round_key));
            for vector in &mut stream {
                *vector = _mm256_aesenc_epi128(*vector, key);
            }
        }
        let key = _mm256_broadcastsi128_si256(load(&round_keys[ROUNDS]));
        for vector in &mut stream {
            *vector = _mm256_aesenclast_epi128(*vector, key);
        }

        let (vectors, rest) = chunk.as_chunks_mut::<VECTOR_LEN>();
        for (bytes, &key) in vectors.iter_mut().zip(&stream) {
            xor(bytes, key);
        }
        if !rest.is_empty() {
            let mut padded = [0; VECTOR_LEN];
            padded[..rest.len()].copy_from_slice(rest);
            xor(&mut padded, stream[vectors.len()]);
            rest.copy_from_slice(&padded[..rest.len()]);
        }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn xor(bytes: &mut [u8; VECTOR_LEN], key: __m256i) {
    // SAFETY: `bytes` is 32 readable and writable bytes; neither the load nor the
    // store needs alignment.
    unsafe {
        let sum = _mm256_xor_si256(_mm256_loadu_si256(bytes.as_ptr().cast()), key);
        _mm256_storeu_si256(bytes.as_mut_ptr().cast(), sum);
    }
}
