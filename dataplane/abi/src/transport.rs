//! Desired state and record of a browser's transport.
//!
//! All streams of such a leg share one pair of addresses (BUNDLE, RFC 9143) on the
//! worker's one port for all browsers; ICE (RFC 8445) finds the pair and DTLS-SRTP
//! (RFC 5764) the keys. Both machines run on the worker. What of them must outlive
//! the process is here: with the keys and the chosen pair a successor goes on
//! without a handshake.

use core::sync::atomic::AtomicU64;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{DoubleBuffered, MasterKeys, SlotRef, SocketAddress, SrtpSuite};

/// Longest ICE user name fragment that we take, bytes (RFC 8839 section 5.4 allows 256;
/// browsers use 4 to 8).
pub const ICE_UFRAG_MAX: usize = 32;
/// Longest ICE password that we take, bytes (browsers use 22 to 24).
pub const ICE_PWD_MAX: usize = 64;

/// Letters of our own credentials (RFC 8839 section 5.4: ice-char).
const ICE_CHARS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// Letters at the beginning of our ufrag that name the leg slot, 6 bits each.
const SLOT_LETTERS: usize = 3;
const _: () = assert!(crate::MAX_LEGS_PER_WORKER <= 1 << (6 * SLOT_LETTERS));
/// Random letters of our ufrag (30 bits) and of our password (144 bits; RFC 8445
/// section 5.3 wants 24 and 128).
const RANDOM_UFRAG_LETTERS: usize = 5;
const RANDOM_PWD_LETTERS: usize = 24;
/// Random bytes that [`IceCredentials::ours`] takes.
pub const ICE_RANDOM_LEN: usize = RANDOM_UFRAG_LETTERS + RANDOM_PWD_LETTERS;

/// The leg slot that a ufrag of ours names (see [`IceCredentials::ours`]); `None` when
/// it cannot be one of ours. Whether it *is* the leg's, the leg must say.
#[must_use]
pub fn slot_of_ufrag(ufrag: &str) -> Option<u32> {
    let letters = ufrag.as_bytes().first_chunk::<SLOT_LETTERS>()?;
    letters.iter().try_fold(0, |slot, letter| {
        let value = ICE_CHARS.iter().position(|char| char == letter)?;
        Some(slot << 6 | value as u32)
    })
}

/// ICE credentials of one end: bytes in use, then zeros.
#[derive(Clone, Copy, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct IceCredentials {
    /// ice-ufrag.
    pub ufrag: [u8; ICE_UFRAG_MAX],
    /// ice-pwd.
    pub pwd: [u8; ICE_PWD_MAX],
}

impl Default for IceCredentials {
    fn default() -> Self {
        Self {
            ufrag: [0; ICE_UFRAG_MAX],
            pwd: [0; ICE_PWD_MAX],
        }
    }
}

impl core::fmt::Debug for IceCredentials {
    /// Passwords never reach a log.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("IceCredentials")
            .field("ufrag", &self.ufrag())
            .finish_non_exhaustive()
    }
}

fn until_zero(bytes: &[u8]) -> &str {
    let len = bytes
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(bytes.len());
    core::str::from_utf8(&bytes[..len]).unwrap_or_default()
}

impl IceCredentials {
    /// `None` where one is too long or too short for ICE (RFC 8839 section 5.4), or
    /// is not ASCII.
    #[must_use]
    pub fn new(ufrag: &str, pwd: &str) -> Option<Self> {
        let fits = (4..=ICE_UFRAG_MAX).contains(&ufrag.len())
            && (22..=ICE_PWD_MAX).contains(&pwd.len())
            && ufrag
                .bytes()
                .chain(pwd.bytes())
                .all(|b| b.is_ascii_graphic());
        if !fits {
            return None;
        }
        let mut credentials = Self::default();
        credentials.ufrag[..ufrag.len()].copy_from_slice(ufrag.as_bytes());
        credentials.pwd[..pwd.len()].copy_from_slice(pwd.as_bytes());
        Some(credentials)
    }

    /// Ours for the leg in `slot`. All legs of a worker share its ports, so the user
    /// name fragment begins with the slot, three letters of base 64 with the highest
    /// bits first; the worker finds the leg of a stranger's first check by it. The
    /// rest is `random`. New ones for the same slot are an ICE restart.
    #[must_use]
    pub fn ours(slot: u32, random: &[u8; ICE_RANDOM_LEN]) -> Self {
        let letter = |bits: u32| ICE_CHARS[bits as usize & 63];
        let mut credentials = Self::default();
        let (name, pwd) = random.split_at(RANDOM_UFRAG_LETTERS);
        let (letters, rest) = credentials.ufrag.split_at_mut(SLOT_LETTERS);
        for (place, shift) in letters.iter_mut().zip([12, 6, 0]) {
            *place = letter(slot >> shift);
        }
        for (place, byte) in rest.iter_mut().zip(name) {
            *place = letter(u32::from(*byte));
        }
        for (place, byte) in credentials.pwd.iter_mut().zip(pwd) {
            *place = letter(u32::from(*byte));
        }
        credentials
    }

    /// ice-ufrag; empty for none.
    #[must_use]
    pub fn ufrag(&self) -> &str {
        until_zero(&self.ufrag)
    }

    /// ice-pwd; empty for none.
    #[must_use]
    pub fn pwd(&self) -> &str {
        until_zero(&self.pwd)
    }
}

/// Switches of a transport, as bits of [`TransportConfig::flags`].
pub mod transport_flags {
    /// The far end is an ICE lite agent (RFC 8445 section 2.5): we are controlling.
    pub const REMOTE_LITE: u32 = 1 << 0;
    /// We begin the DTLS handshake (`a=setup:active`); else the far end does.
    pub const DTLS_CLIENT: u32 = 1 << 1;
    /// We offered: we are the controlling ICE agent (RFC 8445 section 6.1.1).
    pub const CONTROLLING: u32 = 1 << 2;
}

/// Everything the dataplane must know of a leg's transport. A whole value replaces
/// the one before it; new credentials are an ICE restart (RFC 8445 section 9), a new
/// fingerprint is a new DTLS association.
#[derive(
    Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq,
)]
#[repr(C)]
pub struct TransportConfig {
    /// See [`crate::LegConfig::revision`].
    pub revision: u64,
    /// Generation of the leg.
    pub generation: u32,
    /// [`transport_flags`].
    pub flags: u32,
    /// Ours, from [`IceCredentials::ours`].
    pub local: IceCredentials,
    /// The far end's.
    pub remote: IceCredentials,
    /// SHA-256 of the far end's certificate (RFC 8122 section 5).
    pub remote_fingerprint: [u8; 32],
    /// ID of the transport-wide sequence number header extension; 0 for none.
    pub transport_cc_id: u8,
    /// ID of the MID header extension (RFC 9143); 0 for none.
    pub mid_id: u8,
    /// ID of the RID header extension (RFC 8852); 0 for none.
    pub rid_id: u8,
    /// ID of the repaired RID header extension (RFC 8852); 0 for none.
    pub repaired_rid_id: u8,
    /// ID of the absolute send time header extension; 0 for none.
    pub abs_send_time_id: u8,
    /// Zero.
    pub reserved: [u8; 3],
}

const _: () = assert!(size_of::<TransportConfig>() == 31 * 8);

/// Payload of [`crate::CommandKind::SetTransport`]. To be sent before the leg's
/// [`crate::CommandKind::SetLeg`] with [`crate::LegFlags::BUNDLED`].
#[derive(
    Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq,
)]
#[repr(C)]
pub struct SetTransport {
    /// Leg slot on the worker.
    pub slot: u32,
    /// Zero.
    pub reserved: u32,
    /// The desired state.
    pub config: TransportConfig,
}

/// Payload of [`crate::CommandKind::AddCandidate`]: one candidate of the far end.
#[derive(
    Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq,
)]
#[repr(C)]
pub struct AddCandidate {
    /// The leg.
    pub leg: SlotRef,
    /// Its address.
    pub address: SocketAddress,
    /// Its priority (RFC 8445 section 5.1.2).
    pub priority: u32,
    /// 1 host, 2 server reflexive, 3 peer reflexive, 4 relayed.
    pub kind: u8,
    /// Zero.
    pub reserved: [u8; 3],
}

/// Keys that a handshake gave.
#[derive(Clone, Copy, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct TransportKeys {
    /// Grows with every handshake; sending and receiving then start anew.
    pub epoch: u32,
    /// A [`SrtpSuite`].
    pub srtp_suite: u32,
    /// Keys under which we send.
    pub tx_keys: MasterKeys,
    /// Keys under which we receive.
    pub rx_keys: MasterKeys,
}

const _: () = assert!(size_of::<TransportKeys>() == 13 * 8);

impl core::fmt::Debug for TransportKeys {
    /// Keys never reach a log.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TransportKeys")
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

impl TransportKeys {
    /// The suite; `None` before the first handshake.
    #[must_use]
    pub fn suite(&self) -> Option<SrtpSuite> {
        SrtpSuite::from_u8(u8::try_from(self.srtp_suite).ok()?)
    }
}

/// A leg's transport, one for each leg slot; it lives and dies with the leg.
#[derive(Debug, FromBytes, KnownLayout)]
#[repr(C, align(64))]
pub struct TransportRecord {
    /// A [`TransportConfig`].
    pub config: DoubleBuffered<31>,
    /// The [`TransportKeys`] of the last handshake.
    pub keys: DoubleBuffered<13>,
    /// Where everything goes now, a [`SocketAddress`].
    pub remote: DoubleBuffered<3>,
    /// Our address on that path, a [`SocketAddress`].
    pub local: DoubleBuffered<3>,
    /// When the far end last consented (RFC 7675), in [`crate::Nanos`]; 0 for never.
    pub consent_at: AtomicU64,
    /// 0 new, 1 checking, 2 connected, 3 failed. A gauge.
    pub state: AtomicU64,
    /// What the far end's congestion feedback allows us to send, bit/s; 0 before the
    /// first. A gauge.
    pub estimate_bps: AtomicU64,
    /// Handshakes that failed.
    pub dtls_failures: AtomicU64,
}

const _: () = assert!(size_of::<TransportRecord>().is_multiple_of(64));

impl TransportRecord {
    /// Forgets the tenant. Keys and passwords are overwritten.
    pub fn clear(&self) {
        use core::sync::atomic::Ordering::Relaxed;
        self.config.clear();
        self.keys.clear();
        self.remote.clear();
        self.local.clear();
        for word in [
            &self.consent_at,
            &self.state,
            &self.estimate_bps,
            &self.dtls_failures,
        ] {
            word.store(0, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;

    #[test]
    fn our_ufrag_names_its_slot_and_is_new_each_time() {
        for slot in [0, 1, 63, 64, 4_095, 4_096, crate::MAX_LEGS_PER_WORKER - 1] {
            let one = IceCredentials::ours(slot, &[0xa5; ICE_RANDOM_LEN]);
            let other = IceCredentials::ours(slot, &[0x5a; ICE_RANDOM_LEN]);
            assert_eq!(slot_of_ufrag(one.ufrag()), Some(slot));
            assert_ne!(one.ufrag(), other.ufrag());
            assert_ne!(one.pwd(), other.pwd());
            // What others accept of us, we do too.
            assert_eq!(IceCredentials::new(one.ufrag(), one.pwd()), Some(one));
        }
        assert_eq!(slot_of_ufrag("BA"), None);
        assert_eq!(slot_of_ufrag("A-A"), None);
        assert_eq!(slot_of_ufrag("BAAxxxxx"), Some(4_096));
    }

    #[test]
    fn credentials_are_kept_as_they_are_or_refused() {
        let pwd = "a".repeat(22);
        let credentials = IceCredentials::new("ufrg", &pwd).expect("valid");
        assert_eq!((credentials.ufrag(), credentials.pwd()), ("ufrg", &*pwd));
        let longest = IceCredentials::new(&"u".repeat(32), &"p".repeat(64)).expect("valid");
        assert_eq!(longest.pwd().len(), 64);
        for (ufrag, pwd) in [
            ("abc", pwd.as_str()),
            ("abcd", "short"),
            (&"u".repeat(33), &pwd),
            ("ab d", &pwd),
            ("ab\u{e9}d", &pwd),
        ] {
            assert_eq!(IceCredentials::new(ufrag, pwd), None);
        }
        assert!(!format!("{credentials:?}").contains(&pwd));
    }
}
