//! SHA-1 and HMAC-SHA1 over many short messages at once (FIPS 180-4, RFC 2104).
//!
//! SRTP tags every packet with HMAC-SHA1, and a tick of a mixer has many packets
//! to tag. One SHA-1 is a chain: each round waits for the one before it, so a
//! core that runs one message is mostly idle. Here several messages advance side
//! by side, each in a lane of its own, and a lane that is through takes the next
//! message:
//!
//! ```text
//! lane 0   a a a a|d d d d d d
//! lane 1   b b b b b b|e e e
//! lane 2   c c c|f f f f f
//! ```
//!
//! A key is hashed once, when it is made: what is kept are the two chaining
//! values of RFC 2104 section 4, so a message of n bytes costs its own blocks
//! and one more.
//!
//! SHA-1 is broken as a collision-resistant hash; HMAC-SHA1 is not, and is what
//! RFC 3711 asks for. Nothing else should use this module.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod lanes;
#[cfg(target_arch = "x86_64")]
mod ni;
mod scalar;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod wide;

use crate::cpu::{Avx2, Avx512, ShaNi};

/// Bytes of a SHA-1 block.
pub const BLOCK_LEN: usize = 64;
/// Bytes of a SHA-1 digest.
pub const DIGEST_LEN: usize = 20;

/// A chaining value: the words a, b, c, d, e of FIPS 180-4 section 6.1.2.
pub type State = [u32; 5];

type Block = [u8; BLOCK_LEN];

/// The value before the first block (FIPS 180-4 section 5.3.1).
pub const INITIAL: State = [
    0x6745_2301,
    0xefcd_ab89,
    0x98ba_dcfe,
    0x1032_5476,
    0xc3d2_e1f0,
];

/// An HMAC-SHA1 key, hashed as far as it goes without a message. It is as
/// secret as the key itself; its owner overwrites it.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct HmacKey {
    /// Chaining value after `key ^ ipad`.
    pub inner: State,
    /// Chaining value after `key ^ opad`.
    pub outer: State,
}

impl core::fmt::Debug for HmacKey {
    /// Keys never reach a log.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("HmacKey(..)")
    }
}

impl HmacKey {
    /// Prepares a key of any length (RFC 2104 section 2).
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        let mut block = [0; BLOCK_LEN];
        if key.len() > BLOCK_LEN {
            block[..DIGEST_LEN].copy_from_slice(&digest(key));
        } else {
            block[..key.len()].copy_from_slice(key);
        }
        let keyed = |pad: u8| {
            let mut state = INITIAL;
            scalar::compress(&mut state, &[block.map(|byte| byte ^ pad)]);
            state
        };
        Self {
            inner: keyed(0x36),
            outer: keyed(0x5c),
        }
    }
}

/// One message and, when [`hmac_many`] is through, its tag.
#[derive(Clone, Copy, Debug)]
pub struct HmacJob<'a> {
    /// Key of this message.
    pub key: HmacKey,
    /// What is tagged.
    pub message: &'a [u8],
    /// The whole tag; truncating it is the protocol's matter.
    pub tag: [u8; DIGEST_LEN],
}

/// A way to run SHA-1, with the proof that it may.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Engine {
    /// The specification: plain Rust, one message.
    Scalar,
    /// Hardware rounds, one message.
    ShaNi1(ShaNi),
    /// Hardware rounds, two messages.
    ShaNi2(ShaNi),
    /// Hardware rounds, four messages.
    ShaNi4(ShaNi),
    /// 256-bit vectors, eight messages.
    Avx2(Avx2),
    /// 512-bit vectors, sixteen messages.
    Avx512(Avx512),
}

impl Engine {
    /// What suits `messages` at once best.
    ///
    /// On Zen 3 (3.2 GHz) a message of 176 and of 1,204 bytes takes, in ns:
    ///
    /// | messages | ni x1     | ni x2     | ni x4      | avx2 x8     | scalar      |
    /// |---------:|-----------|-----------|------------|-------------|-------------|
    /// |        1 | 195, 790  | 243, 890  | 330, 1,300 | 860, 3,200  | 920, 4,230  |
    /// |        2 | 188, 785  | 136, 470  | 180, 665   | 440, 1,620  | 910, 4,290  |
    /// |        4 | 183, 780  | 130, 465  | 100, 343   | 235, 820    | 900, 4,310  |
    /// |       16 | 182, 780  | 128, 465  |  96, 340   | 125, 420    | 900, 4,310  |
    ///
    /// Three, five, six and eight in hardware are slower than four: the registers
    /// run out. AVX-512 was not measured yet, so it is taken only where it has
    /// nothing but AVX2 to beat.
    #[must_use]
    pub fn best(messages: usize) -> Self {
        if let Some(token) = ShaNi::detect() {
            match messages {
                0 | 1 => Self::ShaNi1(token),
                2 => Self::ShaNi2(token),
                _ => Self::ShaNi4(token),
            }
        } else if let Some(token) = Avx512::detect()
            && messages > 8
        {
            Self::Avx512(token)
        } else if let Some(token) = Avx2::detect() {
            Self::Avx2(token)
        } else {
            Self::Scalar
        }
    }

    /// Every way that the machine grants and that is not hidden.
    pub fn granted() -> impl Iterator<Item = Self> {
        let ni = ShaNi::detect();
        [
            Some(Self::Scalar),
            ni.map(Self::ShaNi1),
            ni.map(Self::ShaNi2),
            ni.map(Self::ShaNi4),
            Avx2::detect().map(Self::Avx2),
            Avx512::detect().map(Self::Avx512),
        ]
        .into_iter()
        .flatten()
    }

    /// The name in lower case, for reports and bench names.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::ShaNi1(_) => "sha-ni x1",
            Self::ShaNi2(_) => "sha-ni x2",
            Self::ShaNi4(_) => "sha-ni x4",
            Self::Avx2(_) => "avx2 x8",
            Self::Avx512(_) => "avx512 x16",
        }
    }

    /// [`hmac_many`] in this way.
    pub fn hmac_many(self, jobs: &mut [HmacJob<'_>]) {
        #[cfg(target_arch = "x86_64")]
        match self {
            Self::Scalar => lanes::hmac_many::<1>(jobs, |states, blocks| {
                scalar::compress(&mut states[0], blocks[0]);
            }),
            Self::ShaNi1(token) => lanes::hmac_many::<1>(jobs, |states, blocks| {
                ni::compress(token, states, blocks);
            }),
            Self::ShaNi2(token) => lanes::hmac_many::<2>(jobs, |states, blocks| {
                ni::compress(token, states, blocks);
            }),
            Self::ShaNi4(token) => lanes::hmac_many::<4>(jobs, |states, blocks| {
                ni::compress(token, states, blocks);
            }),
            Self::Avx2(token) => lanes::hmac_many(jobs, |states, blocks| {
                avx2::compress(token, states, blocks);
            }),
            Self::Avx512(token) => lanes::hmac_many(jobs, |states, blocks| {
                avx512::compress(token, states, blocks);
            }),
        }
        // No other engine can be made here: there are no tokens for it.
        #[cfg(not(target_arch = "x86_64"))]
        lanes::hmac_many::<1>(jobs, |states, blocks| {
            scalar::compress(&mut states[0], blocks[0]);
        });
    }
}

/// The tag of one message.
#[must_use]
pub fn hmac(key: &HmacKey, message: &[u8]) -> [u8; DIGEST_LEN] {
    let engine = ShaNi::detect();
    let compress = |state: &mut State, blocks: &[Block]| match engine {
        #[cfg(target_arch = "x86_64")]
        Some(token) => ni::compress::<1>(token, core::array::from_mut(state), [blocks]),
        _ => scalar::compress(state, blocks),
    };
    let mut state = key.inner;
    let (blocks, rest) = message.as_chunks();
    compress(&mut state, blocks);
    let (tail, count) = last_blocks(rest, BLOCK_LEN + message.len());
    compress(&mut state, &tail[..count]);
    let (tail, count) = last_blocks(&to_bytes(state), BLOCK_LEN + DIGEST_LEN);
    state = key.outer;
    compress(&mut state, &tail[..count]);
    to_bytes(state)
}

/// Fills in the tag of every job. Keys and lengths may all differ.
pub fn hmac_many(jobs: &mut [HmacJob<'_>]) {
    let best = Engine::best(jobs.len());
    // Four lanes for a last message or two would take the time of four.
    let last = match best {
        Engine::ShaNi4(_) => jobs.len() % 4,
        _ => 0,
    };
    let (fours, last) = jobs.split_at_mut(jobs.len() - last);
    best.hmac_many(fours);
    Engine::best(last.len()).hmac_many(last);
}

/// SHA-1 of a whole message, by the reference.
fn digest(message: &[u8]) -> [u8; DIGEST_LEN] {
    let mut state = INITIAL;
    let (blocks, rest) = message.as_chunks();
    scalar::compress(&mut state, blocks);
    let (tail, count) = last_blocks(rest, message.len());
    scalar::compress(&mut state, &tail[..count]);
    to_bytes(state)
}

/// `rest`, the end of a message of `total` bytes, padded to one or two blocks
/// (FIPS 180-4 section 5.1.1), and how many.
fn last_blocks(rest: &[u8], total: usize) -> ([Block; 2], usize) {
    let mut blocks = [[0; BLOCK_LEN]; 2];
    let bytes = blocks.as_flattened_mut();
    bytes[..rest.len()].copy_from_slice(rest);
    bytes[rest.len()] = 0x80;
    let count = if rest.len() < BLOCK_LEN - 8 { 1 } else { 2 };
    let end = count * BLOCK_LEN;
    bytes[end - 8..end].copy_from_slice(&(total as u64 * 8).to_be_bytes());
    (blocks, count)
}

fn to_bytes(state: State) -> [u8; DIGEST_LEN] {
    let mut bytes = [0; DIGEST_LEN];
    for (chunk, word) in bytes.as_chunks_mut().0.iter_mut().zip(state) {
        *chunk = word.to_be_bytes();
    }
    bytes
}
