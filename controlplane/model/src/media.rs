//! Words about media streams.

use crate::invalid::words;

words! {
    /// Whether the media of a SIP leg is encrypted, independent of its signalling.
    pub enum MediaEncryption as "sipMediaEncryption" {
        /// Encrypted where the far end can.
        Optional = "optional",
        /// Refuse what is not encrypted.
        Required = "required",
        /// Never encrypted.
        Prohibited = "prohibited",
    }
}

words! {
    /// How the media of a leg is encrypted.
    pub enum CipherSuite as "cipherSuite" {
        /// RFC 7714.
        AeadAes256Gcm = "AEAD_AES_256_GCM",
        /// RFC 7714.
        AeadAes128Gcm = "AEAD_AES_128_GCM",
        /// RFC 4568 section 6.2.1.
        AesCm128HmacSha1_80 = "AES_CM_128_HMAC_SHA1_80",
        /// RFC 4568 section 6.2.2.
        AesCm128HmacSha1_32 = "AES_CM_128_HMAC_SHA1_32",
        /// RFC 6188.
        AesCm256HmacSha1_80 = "AES_256_CM_HMAC_SHA1_80",
        /// RFC 6188.
        AesCm256HmacSha1_32 = "AES_256_CM_HMAC_SHA1_32",
    }
}

words! {
    /// Video codecs, as the API calls them.
    pub enum VideoCodecName as "codec" {
        /// H.264.
        H264 = "h264",
        /// VP8.
        Vp8 = "vp8",
        /// VP9.
        Vp9 = "vp9",
        /// AV1.
        Av1 = "av1",
    }
}

words! {
    /// Audio codecs, as the API calls them.
    pub enum AudioCodecName as "codec" {
        /// G.711 mu-law.
        G711u = "g711u",
        /// G.711 A-law.
        G711a = "g711a",
        /// G.722.
        G722 = "g722",
        /// G.729.
        G729 = "g729",
        /// G.722.1.
        G722_1 = "g722_1",
        /// G.722.1 Annex C.
        G722_1c = "g722_1c",
        /// AAC-LC or AAC-LD.
        Aac = "aac",
        /// Opus.
        Opus = "opus",
    }
}
