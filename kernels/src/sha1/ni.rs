//! Hardware rounds, `N` messages side by side.
//!
//! `sha1rnds4` does four rounds and takes six cycles or so before the next one
//! may begin; another may be begun after two. One message leaves the unit idle
//! for most of the time, several fill it.

use core::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_extract_epi32, _mm_loadu_si128, _mm_set_epi32, _mm_set_epi64x,
    _mm_sha1msg1_epu32, _mm_sha1msg2_epu32, _mm_sha1nexte_epu32, _mm_sha1rnds4_epu32,
    _mm_shuffle_epi8, _mm_shuffle_epi32, _mm_storeu_si128, _mm_xor_si128,
};

use super::{Block, State};
use crate::cpu::ShaNi;

/// Runs the same number of blocks for each of `N` messages.
#[inline]
pub(super) fn compress<const N: usize>(
    _proof: ShaNi,
    states: &mut [State; N],
    blocks: [&[Block]; N],
) {
    // SAFETY: needs SHA, SSE4.1 and SSSE3; the token exists only where `cpu`
    // detected all three.
    unsafe { compress_ni(states, blocks) }
}

#[target_feature(enable = "sha,sse4.1,ssse3")]
fn compress_ni<const N: usize>(states: &mut [State; N], blocks: [&[Block]; N]) {
    let count = blocks[0].len();
    assert!(blocks.iter().all(|blocks| blocks.len() == count));

    let zero = _mm_set_epi64x(0, 0);
    // a in the highest word, as the instructions have it.
    let mut abcd = [zero; N];
    // e alone, in the highest word.
    let mut e = [zero; N];
    for lane in 0..N {
        let [a, b, c, d, last] = states[lane].map(u32::cast_signed);
        abcd[lane] = _mm_set_epi32(a, b, c, d);
        e[lane] = _mm_set_epi32(last, 0, 0, 0);
    }

    #[expect(
        clippy::needless_range_loop,
        reason = "it indexes the blocks of every lane"
    )]
    for at in 0..count {
        let (abcd_before, e_before) = (abcd, e);
        // The last sixteen words of the message schedule, four to a vector.
        let mut schedule = [[zero; 4]; N];
        // What the state was before the last four rounds: its a becomes e.
        let mut before = [zero; N];
        macro_rules! four_rounds {
            ($($group:literal)+) => { $(
                for lane in 0..N {
                    let w = &mut schedule[lane];
                    if $group < 4 {
                        w[$group % 4] = load(&blocks[lane][at], $group);
                    } else {
                        let sum = _mm_sha1msg1_epu32(w[$group % 4], w[($group + 1) % 4]);
                        let sum = _mm_xor_si128(sum, w[($group + 2) % 4]);
                        w[$group % 4] = _mm_sha1msg2_epu32(sum, w[($group + 3) % 4]);
                    }
                    let e_and_w = if $group == 0 {
                        _mm_add_epi32(e[lane], w[0])
                    } else {
                        _mm_sha1nexte_epu32(before[lane], w[$group % 4])
                    };
                    before[lane] = abcd[lane];
                    abcd[lane] = _mm_sha1rnds4_epu32::<{ $group / 5 }>(abcd[lane], e_and_w);
                }
            )+ };
        }
        four_rounds!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19);
        for lane in 0..N {
            e[lane] = _mm_sha1nexte_epu32(before[lane], e_before[lane]);
            abcd[lane] = _mm_add_epi32(abcd[lane], abcd_before[lane]);
        }
    }

    for lane in 0..N {
        let state = &mut states[lane];
        // SAFETY: the first four of the state's five words are 16 bytes that are
        // ours to write; the store needs no alignment.
        unsafe {
            _mm_storeu_si128(
                state.as_mut_ptr().cast(),
                _mm_shuffle_epi32::<0b00_01_10_11>(abcd[lane]),
            );
        }
        state[4] = _mm_extract_epi32::<3>(e[lane]).cast_unsigned();
    }
}

/// Words `4 * quarter..` of a block, the first in the highest place.
#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn load(block: &Block, quarter: usize) -> __m128i {
    let bytes = &block.as_chunks::<16>().0[quarter];
    // SAFETY: `bytes` is 16 readable bytes; the load needs no alignment.
    let words = unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
    _mm_shuffle_epi8(
        words,
        _mm_set_epi64x(0x0001_0203_0405_0607, 0x0809_0a0b_0c0d_0e0f),
    )
}
