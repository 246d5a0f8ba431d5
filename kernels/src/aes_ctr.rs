//! AES counter mode for short packets (FIPS 197, NIST SP 800-38A section 6.5).
//!
//! Libraries keep one 128-bit block per register; a machine with VAES does two
//! at once. On Zen 3 (3.2 GHz), AES-128, key schedule made beforehand, in ns:
//!
//! | bytes | aws-lc-rs | RustCrypto aes 0.8 | this | floor |
//! |------:|----------:|-------------------:|-----:|------:|
//! |    24 |        65 |                 20 |   26 |    13 |
//! |   160 |        68 |                 37 |   20 |    16 |
//! | 1,188 |       210 |                175 |   84 |    60 |
//!
//! (The floor is ten dependent rounds, or two 256-bit rounds a cycle.) Without
//! VAES the libraries are close to what the machine can do: there is nothing
//! here for such machines.

#[cfg(test)]
mod scalar;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod vaes;

use crate::cpu::Vaes;

/// Round keys of AES-256, the most there are.
const ROUND_KEYS_MAX: usize = 15;

/// An AES-128 or AES-256 key, expanded.
#[derive(Clone)]
#[repr(align(32))]
pub struct CounterMode {
    round_keys: [[u8; 16]; ROUND_KEYS_MAX],
    rounds: usize,
    proof: Vaes,
}

impl core::fmt::Debug for CounterMode {
    /// Keys never reach a log.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("CounterMode(..)")
    }
}

impl CounterMode {
    /// Expands a key; `None` unless it has 16 or 32 bytes.
    #[must_use]
    pub fn new(proof: Vaes, key: &[u8]) -> Option<Self> {
        let mut round_keys = [[0; 16]; ROUND_KEYS_MAX];
        let rounds = expand(proof, key, &mut round_keys)?;
        Some(Self {
            round_keys,
            rounds,
            proof,
        })
    }

    /// Adds the key stream that begins with the encryption of `first` to `data`.
    /// The last 32 bits of the block count, big-endian, and wrap.
    pub fn apply(&self, first: &[u8; 16], data: &mut [u8]) {
        #[cfg(target_arch = "x86_64")]
        match self.rounds {
            10 => vaes::apply::<10>(self.proof, &self.round_keys, first, data),
            _ => vaes::apply::<14>(self.proof, &self.round_keys, first, data),
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            let _ = (self.proof, self.rounds, first, data);
            unreachable!("no token, no key");
        }
    }

    /// Overwrites the key; what is left is of no use.
    pub fn erase(&mut self) {
        self.round_keys = [[0; 16]; ROUND_KEYS_MAX];
        core::hint::black_box(&mut self.round_keys);
    }
}

#[cfg(target_arch = "x86_64")]
use vaes::expand;

#[cfg(not(target_arch = "x86_64"))]
fn expand(_: Vaes, _: &[u8], _: &mut [[u8; 16]; ROUND_KEYS_MAX]) -> Option<usize> {
    None
}
