//! Session keys from master keys (RFC 3711 section 4.3, RFC 6188 section 3,
//! RFC 7714 section 11). The key derivation rate is 0: keys are derived once.

use plenum_abi::{MasterKeys, SrtpSuite};
use zeroize::Zeroize;

use crate::cipher::CounterMode;

/// Which of the two packet types a key is for; the first of its three labels.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Use {
    Rtp = 0,
    Rtcp = 3,
}

/// Bytes of the HMAC-SHA1 key.
const AUTH_KEY_LEN: usize = 20;
/// Bytes of a salt where it enters an AES-CM counter block.
pub(crate) const SALT_LEN: usize = 14;

/// Keys of one packet type. Shorter values are followed by zeros.
pub(crate) struct SessionKeys {
    pub(crate) cipher: [u8; 32],
    pub(crate) auth: [u8; AUTH_KEY_LEN],
    pub(crate) salt: [u8; SALT_LEN],
}

impl Drop for SessionKeys {
    fn drop(&mut self) {
        self.cipher.zeroize();
        self.auth.zeroize();
        self.salt.zeroize();
    }
}

impl SessionKeys {
    pub(crate) fn derive(suite: SrtpSuite, keys: &MasterKeys, usage: Use) -> Self {
        // AES-CM is the PRF of every suite, with a key as long as the suite's own.
        let prf = CounterMode::new(keys.key(suite));
        let mut salt = [0; SALT_LEN];
        salt[..suite.salt_len()].copy_from_slice(keys.salt(suite));
        let expand = |label: u8, out: &mut [u8]| {
            let mut block = [0; 16];
            block[..SALT_LEN].copy_from_slice(&salt);
            block[7] ^= label;
            prf.apply(&block, out);
        };
        let label = usage as u8;
        let mut derived = Self {
            cipher: [0; 32],
            auth: [0; AUTH_KEY_LEN],
            salt: [0; SALT_LEN],
        };
        expand(label, &mut derived.cipher[..suite.key_len()]);
        expand(label + 1, &mut derived.auth);
        expand(label + 2, &mut derived.salt[..suite.salt_len()]);
        salt.zeroize();
        derived
    }
}
