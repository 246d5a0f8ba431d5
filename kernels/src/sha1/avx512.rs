//! Sixteen messages, a lane of a 512-bit vector each. They come and go through
//! the eight lanes of [`super::avx2`], twice.

use core::arch::x86_64::{
    __m256i, __m512i, _mm512_add_epi32, _mm512_castsi256_si512, _mm512_castsi512_si256,
    _mm512_extracti64x4_epi64, _mm512_inserti64x4, _mm512_rol_epi32, _mm512_set1_epi32,
    _mm512_ternarylogic_epi32, _mm512_xor_si512,
};

use super::avx2::{self, gather, scatter, schedule};
use super::wide::{eighty_rounds, round, rounds};
use super::{Block, State};
use crate::cpu::Avx512;

pub(super) const LANES: usize = 2 * avx2::LANES;

/// Runs the same number of blocks for each of sixteen messages.
#[inline]
pub(super) fn compress(_proof: Avx512, states: &mut [State; LANES], blocks: [&[Block]; LANES]) {
    // SAFETY: needs AVX-512 F and AVX2; the token exists only where `cpu`
    // detected both.
    unsafe { compress_avx512(states, blocks) }
}

#[target_feature(enable = "avx512f,avx2")]
fn compress_avx512(states: &mut [State; LANES], blocks: [&[Block]; LANES]) {
    let count = blocks[0].len();
    assert!(blocks.iter().all(|blocks| blocks.len() == count));
    let (halves, []) = states.as_chunks_mut() else {
        unreachable!("sixteen is twice eight")
    };
    let mut state = join(gather(&halves[0]), gather(&halves[1]));
    #[expect(
        clippy::needless_range_loop,
        reason = "it indexes the blocks of every lane"
    )]
    for at in 0..count {
        let half = |first: usize| core::array::from_fn(|lane| &blocks[first + lane][at]);
        let mut w = join(schedule(half(0)), schedule(half(avx2::LANES)));
        eighty_rounds!(w, state);
    }
    scatter(
        state.map(|word| _mm512_castsi512_si256(word)),
        &mut halves[0],
    );
    scatter(
        state.map(|word| _mm512_extracti64x4_epi64::<1>(word)),
        &mut halves[1],
    );
}

/// Lanes 0 to 7 and lanes 8 to 15.
#[inline]
#[target_feature(enable = "avx512f,avx2")]
fn join<const N: usize>(low: [__m256i; N], high: [__m256i; N]) -> [__m512i; N] {
    core::array::from_fn(|i| _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low[i]), high[i]))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn splat(word: u32) -> __m512i {
    _mm512_set1_epi32(word.cast_signed())
}

#[inline]
#[target_feature(enable = "avx512f")]
fn add(a: __m512i, b: __m512i) -> __m512i {
    _mm512_add_epi32(a, b)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn xor(a: __m512i, b: __m512i) -> __m512i {
    _mm512_xor_si512(a, b)
}

// The three functions as truth tables: bit 4b + 2c + d.

#[inline]
#[target_feature(enable = "avx512f")]
fn choose(b: __m512i, c: __m512i, d: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0b1100_1010>(b, c, d)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn parity(b: __m512i, c: __m512i, d: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0b1001_0110>(b, c, d)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn majority(b: __m512i, c: __m512i, d: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0b1110_1000>(b, c, d)
}

/// To the left by `LEFT`; `RIGHT` is the rest of 32.
#[inline]
#[target_feature(enable = "avx512f")]
fn rotate<const LEFT: i32, const RIGHT: i32>(word: __m512i) -> __m512i {
    const { assert!(LEFT + RIGHT == 32) };
    _mm512_rol_epi32::<LEFT>(word)
}
