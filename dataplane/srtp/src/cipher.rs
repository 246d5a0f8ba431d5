//! The transforms: AES counter mode with HMAC-SHA1, and AES-GCM.

use core::hint::black_box;

use aes::{Aes128Enc, Aes256Enc};
use ctr::cipher::{InnerIvInit, KeyInit, StreamCipher};
use ctr::{Ctr32BE, CtrCore};
use plenum_abi::SrtpSuite;
use plenum_kernels::aes_ctr;
use plenum_kernels::cpu::Vaes;
use plenum_kernels::sha1::{HmacKey, hmac};
use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroize;

use crate::keys::{SALT_LEN, SessionKeys, Use};

/// Bytes of a GCM tag (RFC 7714 section 13.1: only the full one).
pub(crate) const GCM_TAG_LEN: usize = 16;
const GCM_SALT_LEN: usize = 12;

/// AES in counter mode, the key expanded once. The last 32 bits of a block
/// count; SRTP begins with the last 16 at zero.
#[allow(
    clippy::large_enum_variant,
    reason = "every packet reads the expanded key: it lies in the context itself"
)]
pub(crate) enum CounterMode {
    /// Where the machine has AES on wide vectors.
    Wide(aes_ctr::CounterMode),
    /// Elsewhere. Boxed, for the library keeps room for an implementation without
    /// AES instructions, whose keys take four times as much.
    Aes128(Box<Aes128Enc>),
    /// As `Aes128`.
    Aes256(Box<Aes256Enc>),
}

impl CounterMode {
    /// `key` has 16 or 32 bytes.
    pub(crate) fn new(key: &[u8]) -> Self {
        const FITS: &str = "the suite gives a length that AES has";
        if let Some(token) = Vaes::detect() {
            Self::Wide(aes_ctr::CounterMode::new(token, key).expect(FITS))
        } else if key.len() == 16 {
            Self::Aes128(Box::new(Aes128Enc::new_from_slice(key).expect(FITS)))
        } else {
            Self::Aes256(Box::new(Aes256Enc::new_from_slice(key).expect(FITS)))
        }
    }

    /// Adds the key stream that begins at `block`.
    pub(crate) fn apply(&self, block: &[u8; 16], data: &mut [u8]) {
        match self {
            Self::Wide(key) => key.apply(block, data),
            // Borrowed: to give the key away would copy it for every packet.
            Self::Aes128(key) => {
                let core = CtrCore::inner_iv_init(&**key, block.into());
                Ctr32BE::<&Aes128Enc>::from_core(core).apply_keystream(data);
            }
            Self::Aes256(key) => {
                let core = CtrCore::inner_iv_init(&**key, block.into());
                Ctr32BE::<&Aes256Enc>::from_core(core).apply_keystream(data);
            }
        }
    }
}

impl Drop for CounterMode {
    fn drop(&mut self) {
        // The library's own keys are overwritten by the library.
        if let Self::Wide(key) = self {
            key.erase();
        }
    }
}

/// What one packet type of one context needs.
#[allow(
    clippy::large_enum_variant,
    reason = "every packet reads the expanded key: it lies in the context itself"
)]
pub(crate) enum Transform {
    /// RFC 3711, RFC 6188.
    CounterHmac {
        cipher: CounterMode,
        salt: [u8; SALT_LEN],
        mac: HmacKey,
        tag_len: usize,
    },
    /// RFC 7714.
    Gcm {
        key: LessSafeKey,
        salt: [u8; GCM_SALT_LEN],
    },
}

impl Drop for Transform {
    fn drop(&mut self) {
        match self {
            Self::CounterHmac { salt, mac, .. } => {
                salt.zeroize();
                mac.inner.zeroize();
                mac.outer.zeroize();
            }
            Self::Gcm { salt, .. } => salt.zeroize(),
        }
    }
}

impl Transform {
    pub(crate) fn new(suite: SrtpSuite, keys: &SessionKeys, usage: Use) -> Self {
        let cipher = &keys.cipher[..suite.key_len()];
        match suite {
            SrtpSuite::AeadAes128Gcm | SrtpSuite::AeadAes256Gcm => {
                let algorithm = if suite == SrtpSuite::AeadAes128Gcm {
                    &AES_128_GCM
                } else {
                    &AES_256_GCM
                };
                let key = UnboundKey::new(algorithm, cipher)
                    .expect("the suite gives the length that the algorithm has");
                let mut salt = [0; GCM_SALT_LEN];
                salt.copy_from_slice(&keys.salt[..GCM_SALT_LEN]);
                Self::Gcm {
                    key: LessSafeKey::new(key),
                    salt,
                }
            }
            _ => Self::CounterHmac {
                cipher: CounterMode::new(cipher),
                salt: keys.salt,
                mac: HmacKey::new(&keys.auth),
                tag_len: match (usage, suite) {
                    // SRTCP keeps the long tag (RFC 4568 section 6.2.2).
                    (Use::Rtp, SrtpSuite::AesCm128HmacSha1_32 | SrtpSuite::AesCm256HmacSha1_32) => {
                        4
                    }
                    _ => 10,
                },
            },
        }
    }

    /// Bytes that a tag takes.
    pub(crate) fn tag_len(&self) -> usize {
        match self {
            Self::CounterHmac { tag_len, .. } => *tag_len,
            Self::Gcm { .. } => GCM_TAG_LEN,
        }
    }
}

/// First counter block of a packet (RFC 3711 section 4.1.1).
pub(crate) fn counter_block(salt: &[u8; SALT_LEN], ssrc: u32, index: u64) -> [u8; 16] {
    let mut block = [0; 16];
    block[..SALT_LEN].copy_from_slice(salt);
    let fields = u128::from(ssrc) << 64 | u128::from(index) << 16;
    (u128::from_be_bytes(block) ^ fields).to_be_bytes()
}

/// Nonce of a packet (RFC 7714 sections 8.1 and 9.1; for SRTCP the index's
/// upper 17 bits are the zeros of the latter).
pub(crate) fn nonce(salt: &[u8; GCM_SALT_LEN], ssrc: u32, index: u64) -> [u8; GCM_SALT_LEN] {
    let fields = (u128::from(ssrc) << 48 | u128::from(index)).to_be_bytes();
    let mut nonce = *salt;
    for (byte, field) in nonce.iter_mut().zip(&fields[4..]) {
        *byte ^= field;
    }
    nonce
}

/// Encrypts `text` in place.
pub(crate) fn seal(
    key: &LessSafeKey,
    nonce: [u8; GCM_SALT_LEN],
    associated: &[u8],
    text: &mut [u8],
) -> [u8; GCM_TAG_LEN] {
    let tag = key
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(associated),
            text,
        )
        .expect("packets are far below the length that GCM takes");
    let mut bytes = [0; GCM_TAG_LEN];
    bytes.copy_from_slice(tag.as_ref());
    bytes
}

/// Decrypts `text || tag` in place; false where the tag does not match.
#[must_use]
pub(crate) fn open(
    key: &LessSafeKey,
    nonce: [u8; GCM_SALT_LEN],
    associated: &[u8],
    text_and_tag: &mut [u8],
) -> bool {
    key.open_in_place(
        Nonce::assume_unique_for_key(nonce),
        Aad::from(associated),
        text_and_tag,
    )
    .is_ok()
}

/// Whether `tag`, as far as it goes, is that of `message`. Takes the same time
/// wherever they differ.
#[must_use]
pub(crate) fn verify(mac: &HmacKey, message: &[u8], tag: &[u8]) -> bool {
    let right = hmac(mac, message);
    let pairs = right.iter().zip(tag);
    let difference = pairs.fold(0, |sum, (a, b)| black_box(sum | (a ^ b)));
    difference == 0 && tag.len() <= right.len()
}
