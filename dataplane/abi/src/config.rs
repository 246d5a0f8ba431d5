//! Desired state: what the control plane wants a leg and a conference to be.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{AudioCodec, PayloadMap, SocketAddress};

/// "This payload type was not negotiated".
pub const NO_PAYLOAD_TYPE: u8 = 0xff;

/// SRTP protection profile of a leg. The numbers are part of the ABI.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
#[non_exhaustive]
pub enum SrtpSuite {
    /// AES_CM_128_HMAC_SHA1_80 (RFC 4568 section 6.2.1).
    AesCm128HmacSha1_80 = 1,
    /// AES_CM_128_HMAC_SHA1_32 (RFC 4568 section 6.2.2).
    AesCm128HmacSha1_32 = 2,
    /// AES_256_CM_HMAC_SHA1_80 (RFC 6188).
    AesCm256HmacSha1_80 = 3,
    /// AES_256_CM_HMAC_SHA1_32 (RFC 6188).
    AesCm256HmacSha1_32 = 4,
    /// AEAD_AES_128_GCM (RFC 7714).
    AeadAes128Gcm = 5,
    /// AEAD_AES_256_GCM (RFC 7714).
    AeadAes256Gcm = 6,
}

impl SrtpSuite {
    /// The suite with this number, if there is one.
    #[must_use]
    pub const fn from_u8(value: u8) -> Option<Self> {
        Some(match value {
            1 => Self::AesCm128HmacSha1_80,
            2 => Self::AesCm128HmacSha1_32,
            3 => Self::AesCm256HmacSha1_80,
            4 => Self::AesCm256HmacSha1_32,
            5 => Self::AeadAes128Gcm,
            6 => Self::AeadAes256Gcm,
            _ => return None,
        })
    }

    /// Bytes of the master key.
    #[must_use]
    pub const fn key_len(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 | Self::AeadAes128Gcm => 16,
            Self::AesCm256HmacSha1_80 | Self::AesCm256HmacSha1_32 | Self::AeadAes256Gcm => 32,
        }
    }

    /// Bytes of the master salt.
    #[must_use]
    pub const fn salt_len(self) -> usize {
        match self {
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 12,
            _ => 14,
        }
    }
}

/// Master key and salt, one after the other as in SDES (RFC 4568 section 6.1),
/// the rest zero.
#[derive(Clone, Copy, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(transparent)]
pub struct MasterKeys(pub [[u8; 16]; 3]);

impl MasterKeys {
    /// Takes `key || salt`; `None` where the length does not fit the suite.
    #[must_use]
    pub fn new(suite: SrtpSuite, key_and_salt: &[u8]) -> Option<Self> {
        if key_and_salt.len() != suite.key_len() + suite.salt_len() {
            return None;
        }
        let mut keys = Self::default();
        keys.0.as_flattened_mut()[..key_and_salt.len()].copy_from_slice(key_and_salt);
        Some(keys)
    }

    /// The master key.
    #[must_use]
    pub fn key(&self, suite: SrtpSuite) -> &[u8] {
        &self.0.as_flattened()[..suite.key_len()]
    }

    /// The master salt.
    #[must_use]
    pub fn salt(&self, suite: SrtpSuite) -> &[u8] {
        &self.0.as_flattened()[suite.key_len()..suite.key_len() + suite.salt_len()]
    }
}

impl core::fmt::Debug for MasterKeys {
    /// Keys never reach a log.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("MasterKeys(..)")
    }
}

/// Switches of a leg, as bits of [`LegConfig::flags`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LegFlags(pub u32);

impl LegFlags {
    /// The far end's sound is not heard by others (`rxAudioMute`).
    pub const RX_AUDIO_MUTE: Self = Self(1 << 0);
    /// The leg hears nothing (`txAudioMute`).
    pub const TX_AUDIO_MUTE: Self = Self(1 << 1);
    /// SDP allows us to send to the far end.
    pub const SEND: Self = Self(1 << 2);
    /// SDP allows the far end to send to us.
    pub const RECEIVE: Self = Self(1 << 3);
    /// RTP and RTCP share the RTP port (RFC 5761).
    pub const RTCP_MUX: Self = Self(1 << 4);
    /// Both ends may stop sending in silence (comfort noise, Opus DTX).
    pub const DISCONTINUOUS: Self = Self(1 << 5);
    /// The leg's sound level is steered towards a common one (AGC).
    pub const AUTOMATIC_GAIN: Self = Self(1 << 6);
    /// The far end may use addresses other than the one it signalled
    /// (symmetric RTP, RFC 4961), under the learning rule.
    pub const LEARN_ADDRESS: Self = Self(1 << 7);
    /// Keys, addresses and port are those of the leg's transport
    /// ([`crate::TransportConfig`]), and so are those of its video streams.
    pub const BUNDLED: Self = Self(1 << 8);
    /// The far end is on hold: its picture is not shown.
    pub const HELD: Self = Self(1 << 9);

    /// Whether all bits of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// With the bits of `other` set or cleared.
    #[must_use]
    pub const fn with(self, other: Self, on: bool) -> Self {
        if on {
            Self(self.0 | other.0)
        } else {
            Self(self.0 & !other.0)
        }
    }
}

impl core::ops::BitOr for LegFlags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Everything the dataplane must know of a leg. A whole value replaces the one
/// before it: applying it twice is applying it once.
#[derive(
    Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq,
)]
#[repr(C)]
pub struct LegConfig {
    /// The call leg's id in the API.
    pub leg_guid: [u8; 16],
    /// Grows with every change of this value; an older revision of the same
    /// generation is ignored.
    pub revision: u64,
    /// Told apart from the slot's earlier tenants.
    pub generation: u32,
    /// Slot of the conference on the same worker.
    pub conference: u32,
    /// [`LegFlags`].
    pub flags: u32,
    /// SSRC under which we send.
    pub tx_ssrc: u32,
    /// Where RTP goes until something better is learned.
    pub remote_rtp: SocketAddress,
    /// Where RTCP goes without RTCP_MUX.
    pub remote_rtcp: SocketAddress,
    /// Accepted payload types; the first in use is the one we send.
    pub codecs: [PayloadMap; 4],
    /// Payload type of telephone-event (RFC 4733) or [`NO_PAYLOAD_TYPE`].
    pub telephone_event_payload_type: u8,
    /// Payload type of comfort noise (RFC 3389) or [`NO_PAYLOAD_TYPE`].
    pub comfort_noise_payload_type: u8,
    /// Milliseconds of sound in each packet we send: 10, 20 or 40.
    pub packet_ms: u8,
    /// A [`SrtpSuite`], or 0 for plain RTP.
    pub srtp_suite: u8,
    /// Gain on what the leg says, in 1/100 dB.
    pub rx_gain_centibels: i16,
    /// Gain on what the leg hears, in 1/100 dB.
    pub tx_gain_centibels: i16,
    /// Most that Opus may spend, bit/s; 0 for the codec's own choice.
    pub bit_rate_bps_max: u32,
    /// Grows (wrapping) when `tx_keys` or the suite change: sending then starts anew.
    pub tx_key_epoch: u16,
    /// Grows (wrapping) when `rx_keys` or the suite change: receiving then starts
    /// anew. Apart from sending, because a far end may keep its key when we change
    /// ours, and its roll-over counter and replay window with it.
    pub rx_key_epoch: u16,
    /// Keys under which we send.
    pub tx_keys: MasterKeys,
    /// Keys under which we receive.
    pub rx_keys: MasterKeys,
    /// Importance for the placement of panes; 0 is none.
    pub importance: u32,
    /// Number of the layout that this leg is shown, see [`crate::ViewPolicy`];
    /// 0 is the conference's.
    pub layout: u8,
    /// ID of the audio level header extension (RFC 6464) in what we receive; 0 for none.
    pub audio_level_id: u8,
    /// Payload type of redundant audio (RFC 2198), whose frames are of the codecs above;
    /// 0, which is PCMU's for good, for none.
    pub red_payload_type: u8,
    /// Zero.
    pub reserved: u8,
    /// SSRC of the sound of a screen that the far end shares, beside its own; 0 for none.
    /// Its payload types are the same.
    pub screen_ssrc: u32,
    /// Zero.
    pub padding: u32,
}

const _: () = assert!(size_of::<LegConfig>() == 224 && align_of::<LegConfig>() == 8);

impl LegConfig {
    /// The codec we send and its payload type.
    #[must_use]
    pub fn tx_codec(&self) -> Option<(AudioCodec, u8)> {
        let first = self.codecs.iter().find(|map| map.codec != 0)?;
        Some((AudioCodec::from_u8(first.codec)?, first.payload_type))
    }

    /// What a received payload type decodes as.
    #[must_use]
    pub fn rx_codec(&self, payload_type: u8) -> Option<AudioCodec> {
        self.codecs
            .iter()
            .find(|map| map.codec != 0 && map.payload_type == payload_type)
            .and_then(|map| AudioCodec::from_u8(map.codec))
    }

    /// Whether what has this payload type is redundant audio.
    #[must_use]
    pub const fn is_redundant(&self, payload_type: u8) -> bool {
        self.red_payload_type != 0 && payload_type == self.red_payload_type
    }

    /// The suite, where media is encrypted.
    #[must_use]
    pub const fn suite(&self) -> Option<SrtpSuite> {
        SrtpSuite::from_u8(self.srtp_suite)
    }

    /// The switches.
    #[must_use]
    pub const fn flags(&self) -> LegFlags {
        LegFlags(self.flags)
    }
}

/// Policy of one conference.
#[derive(
    Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq,
)]
#[repr(C)]
pub struct ConferenceConfig {
    /// The call's id in the API.
    pub call_guid: [u8; 16],
    /// See [`LegConfig::revision`].
    pub revision: u64,
    /// See [`LegConfig::generation`].
    pub generation: u32,
    /// How many of the loudest are mixed; 0 for the default.
    pub speakers_max: u8,
    /// A join tone is played while at most so many are in the conference; 0 is off.
    pub join_tone_participants_max: u8,
    /// A leave tone is played while at most so many are in the conference; 0 is off.
    pub leave_tone_participants_max: u8,
    /// Zero.
    pub reserved: u8,
}

const _: () = assert!(size_of::<ConferenceConfig>() == 32 && align_of::<ConferenceConfig>() == 8);
