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

mod scalar;
#[cfg(test)]
mod tests;

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

/// SHA-1 of a whole message.
#[must_use]
pub fn digest(message: &[u8]) -> [u8; DIGEST_LEN] {
    let mut state = INITIAL;
    let (blocks, rest) = message.as_chunks();
    scalar::compress(&mut state, blocks);
    let (tail, count) = last_blocks(rest, message.len());
    scalar::compress(&mut state, &tail[..count]);
    to_bytes(state)
}

/// The tag of one message.
#[must_use]
pub fn hmac(key: &HmacKey, message: &[u8]) -> [u8; DIGEST_LEN] {
    let mut state = key.inner;
    let (blocks, rest) = message.as_chunks();
    scalar::compress(&mut state, blocks);
    let (tail, count) = last_blocks(rest, BLOCK_LEN + message.len());
    scalar::compress(&mut state, &tail[..count]);
    let (tail, count) = last_blocks(&to_bytes(state), BLOCK_LEN + DIGEST_LEN);
    state = key.outer;
    scalar::compress(&mut state, &tail[..count]);
    to_bytes(state)
}

/// Fills in the tag of every job. Keys and lengths may all differ.
pub fn hmac_many(jobs: &mut [HmacJob<'_>]) {
    for job in jobs {
        job.tag = hmac(&job.key, job.message);
    }
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
