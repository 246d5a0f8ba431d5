//! Eight messages, a lane of a 256-bit vector each.

use core::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_and_si256, _mm256_loadu_si256, _mm256_or_si256,
    _mm256_permute2x128_si256, _mm256_set_epi8, _mm256_set1_epi32, _mm256_setzero_si256,
    _mm256_shuffle_epi8, _mm256_slli_epi32, _mm256_srli_epi32, _mm256_storeu_si256,
    _mm256_unpackhi_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64,
    _mm256_xor_si256,
};

use super::wide::{eighty_rounds, round, rounds};
use super::{Block, State};
use crate::cpu::Avx2;

pub(super) const LANES: usize = 8;

/// Runs the same number of blocks for each of eight messages.
#[inline]
pub(super) fn compress(_proof: Avx2, states: &mut [State; LANES], blocks: [&[Block]; LANES]) {
    // SAFETY: needs AVX2; the token exists only where `cpu` detected it.
    unsafe { compress_avx2(states, blocks) }
}

#[target_feature(enable = "avx2")]
fn compress_avx2(states: &mut [State; LANES], blocks: [&[Block]; LANES]) {
    let count = blocks[0].len();
    assert!(blocks.iter().all(|blocks| blocks.len() == count));
    let mut state = gather(states);
    for at in 0..count {
        let mut w = schedule(blocks.map(|blocks| &blocks[at]));
        eighty_rounds!(w, state);
    }
    scatter(state, states);
}

/// The five words of every state, a lane to a state.
#[target_feature(enable = "avx2")]
pub(super) fn gather(states: &[State; LANES]) -> [__m256i; 5] {
    core::array::from_fn(|word| {
        let lanes: [u32; LANES] = core::array::from_fn(|lane| states[lane][word]);
        // SAFETY: `lanes` is 32 readable bytes; the load needs no alignment.
        unsafe { _mm256_loadu_si256(lanes.as_ptr().cast()) }
    })
}

#[target_feature(enable = "avx2")]
pub(super) fn scatter(vectors: [__m256i; 5], states: &mut [State; LANES]) {
    for (word, vector) in vectors.into_iter().enumerate() {
        let mut lanes = [0_u32; LANES];
        // SAFETY: `lanes` is 32 writable bytes; the store needs no alignment.
        unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), vector) };
        for (state, value) in states.iter_mut().zip(lanes) {
            state[word] = value;
        }
    }
}

/// The sixteen words of each block, a lane to a block.
#[target_feature(enable = "avx2")]
pub(super) fn schedule(blocks: [&Block; LANES]) -> [__m256i; 16] {
    let mut w = [_mm256_setzero_si256(); 16];
    let (low, high) = w.split_at_mut(8);
    low.copy_from_slice(&transpose(blocks.map(|block| load(block, 0))));
    high.copy_from_slice(&transpose(blocks.map(|block| load(block, 1))));
    w
}

/// Eight words of a block, in the machine's order.
#[inline]
#[target_feature(enable = "avx2")]
fn load(block: &Block, half: usize) -> __m256i {
    let bytes = &block.as_chunks::<32>().0[half];
    // SAFETY: `bytes` is 32 readable bytes; the load needs no alignment.
    let words = unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) };
    #[rustfmt::skip]
    let swap = _mm256_set_epi8(
        12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3,
        12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3,
    );
    _mm256_shuffle_epi8(words, swap)
}

/// Rows become columns.
#[inline]
#[target_feature(enable = "avx2")]
fn transpose(rows: [__m256i; 8]) -> [__m256i; 8] {
    // Words of two rows side by side, then of four, then of eight.
    let two = |i: usize, j: usize| {
        (
            _mm256_unpacklo_epi32(rows[i], rows[j]),
            _mm256_unpackhi_epi32(rows[i], rows[j]),
        )
    };
    let four = |i: usize| {
        let (low_a, high_a) = two(i, i + 1);
        let (low_b, high_b) = two(i + 2, i + 3);
        [
            _mm256_unpacklo_epi64(low_a, low_b),
            _mm256_unpackhi_epi64(low_a, low_b),
            _mm256_unpacklo_epi64(high_a, high_b),
            _mm256_unpackhi_epi64(high_a, high_b),
        ]
    };
    let (top, bottom) = (four(0), four(4));
    let mut columns = [_mm256_setzero_si256(); 8];
    for i in 0..4 {
        columns[i] = _mm256_permute2x128_si256::<0x20>(top[i], bottom[i]);
        columns[i + 4] = _mm256_permute2x128_si256::<0x31>(top[i], bottom[i]);
    }
    columns
}

#[inline]
#[target_feature(enable = "avx2")]
fn splat(word: u32) -> __m256i {
    _mm256_set1_epi32(word.cast_signed())
}

#[inline]
#[target_feature(enable = "avx2")]
fn add(a: __m256i, b: __m256i) -> __m256i {
    _mm256_add_epi32(a, b)
}

#[inline]
#[target_feature(enable = "avx2")]
fn xor(a: __m256i, b: __m256i) -> __m256i {
    _mm256_xor_si256(a, b)
}

#[inline]
#[target_feature(enable = "avx2")]
fn choose(b: __m256i, c: __m256i, d: __m256i) -> __m256i {
    xor(d, _mm256_and_si256(b, xor(c, d)))
}

#[inline]
#[target_feature(enable = "avx2")]
fn parity(b: __m256i, c: __m256i, d: __m256i) -> __m256i {
    xor(xor(b, c), d)
}

#[inline]
#[target_feature(enable = "avx2")]
fn majority(b: __m256i, c: __m256i, d: __m256i) -> __m256i {
    xor(_mm256_and_si256(b, c), _mm256_and_si256(d, xor(b, c)))
}

/// To the left by `LEFT`; `RIGHT` is the rest of 32.
#[inline]
#[target_feature(enable = "avx2")]
fn rotate<const LEFT: i32, const RIGHT: i32>(word: __m256i) -> __m256i {
    const { assert!(LEFT + RIGHT == 32) };
    _mm256_or_si256(
        _mm256_slli_epi32::<LEFT>(word),
        _mm256_srli_epi32::<RIGHT>(word),
    )
}
