//! SDES key lines (RFC 4568): `a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:...`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use plenum_abi::{MasterKeys, SrtpSuite};
use rand::CryptoRng;

/// Longest key and salt of a suite.
const SECRET_MAX: usize = 46;

/// One usable key line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Crypto {
    pub(crate) tag: u32,
    pub(crate) suite: SrtpSuite,
    pub(crate) keys: MasterKeys,
}

/// The suite's name (RFC 4568 section 6.2, RFC 6188, RFC 7714).
const fn name(suite: SrtpSuite) -> &'static str {
    match suite {
        SrtpSuite::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
        SrtpSuite::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
        SrtpSuite::AesCm256HmacSha1_80 => "AES_256_CM_HMAC_SHA1_80",
        SrtpSuite::AesCm256HmacSha1_32 => "AES_256_CM_HMAC_SHA1_32",
        SrtpSuite::AeadAes128Gcm => "AEAD_AES_128_GCM",
        SrtpSuite::AeadAes256Gcm => "AEAD_AES_256_GCM",
        _ => "",
    }
}

fn suite(text: &str) -> Option<SrtpSuite> {
    Some(match text.to_ascii_uppercase().as_str() {
        "AES_CM_128_HMAC_SHA1_80" => SrtpSuite::AesCm128HmacSha1_80,
        "AES_CM_128_HMAC_SHA1_32" => SrtpSuite::AesCm128HmacSha1_32,
        // The second spelling is of drafts that some phones still follow.
        "AES_256_CM_HMAC_SHA1_80" | "AES_CM_256_HMAC_SHA1_80" => SrtpSuite::AesCm256HmacSha1_80,
        "AES_256_CM_HMAC_SHA1_32" | "AES_CM_256_HMAC_SHA1_32" => SrtpSuite::AesCm256HmacSha1_32,
        "AEAD_AES_128_GCM" => SrtpSuite::AeadAes128Gcm,
        "AEAD_AES_256_GCM" => SrtpSuite::AeadAes256Gcm,
        _ => return None,
    })
}

impl Crypto {
    /// Reads a line's value; `None` where we cannot use it: an unknown suite, a
    /// master key identifier (packets would carry it), several keys, session
    /// parameters that weaken or change the transform, or a key of wrong length.
    pub(crate) fn parse(value: &str) -> Option<Self> {
        let mut parts = value.split_ascii_whitespace();
        let tag = parts.next()?.parse().ok()?;
        let suite = suite(parts.next()?)?;
        let key = parts.next()?.strip_prefix("inline:")?;
        if parts.next().is_some() || key.contains(';') {
            return None;
        }
        let mut key = key.split('|');
        let secret = STANDARD.decode(key.next()?).ok()?;
        // What may follow is a lifetime; an identifier has a colon.
        if key.any(|part| part.contains(':')) {
            return None;
        }
        let keys = MasterKeys::new(suite, &secret)?;
        Some(Self { tag, suite, keys })
    }

    /// A line with a key of our own making.
    pub(crate) fn generate(tag: u32, suite: SrtpSuite, rng: &mut impl CryptoRng) -> Self {
        let mut secret = [0; SECRET_MAX];
        let secret = &mut secret[..suite.key_len() + suite.salt_len()];
        rng.fill_bytes(secret);
        let keys = MasterKeys::new(suite, secret).unwrap_or_default();
        Self { tag, suite, keys }
    }

    /// The line's value.
    pub(crate) fn value(&self) -> String {
        let (key, salt) = (self.keys.key(self.suite), self.keys.salt(self.suite));
        let secret = STANDARD.encode([key, salt].concat());
        format!("{} {} inline:{secret}", self.tag, name(self.suite))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

    #[test]
    fn what_is_written_is_read_again() {
        let mut rng = rand::rng();
        for suite in [
            SrtpSuite::AesCm128HmacSha1_80,
            SrtpSuite::AesCm128HmacSha1_32,
            SrtpSuite::AesCm256HmacSha1_80,
            SrtpSuite::AesCm256HmacSha1_32,
            SrtpSuite::AeadAes128Gcm,
            SrtpSuite::AeadAes256Gcm,
        ] {
            let crypto = Crypto::generate(3, suite, &mut rng);
            assert_eq!(Crypto::parse(&crypto.value()), Some(crypto));
        }
    }

    /// The example of <https://www.rfc-editor.org/rfc/rfc4568#section-10.1>, and
    /// lines that we pass over.
    #[test]
    fn lifetimes_are_accepted_and_identifiers_passed_over() {
        let line = |rest: &str| format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}{rest}");
        assert!(Crypto::parse(&line("")).is_some());
        assert!(Crypto::parse(&line("|2^20")).is_some());
        assert!(Crypto::parse(&line("|2^20|1:4")).is_none());
        assert!(Crypto::parse(&line("|1:4")).is_none());
        assert!(Crypto::parse(&line(" UNENCRYPTED_SRTP")).is_none());
        assert!(Crypto::parse(&format!("1 F8_128_HMAC_SHA1_80 inline:{KEY}")).is_none());
        assert!(Crypto::parse(&format!("1 AEAD_AES_256_GCM inline:{KEY}")).is_none());
        assert!(Crypto::parse("1").is_none());
    }
}
