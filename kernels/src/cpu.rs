//! Which instructions this machine grants.
//!
//! A token ([`Avx2`], [`Avx512`], [`Neon`], [`ShaNi`], [`Vaes`], [`Vbmi`]) exists only where its feature was
//! detected, so a function that takes one may use the feature and needs no
//! other proof. Detection is a few loads of a cached word: call it per frame,
//! not per sample.
//!
//! Tests and benches must reach the levels below the machine's best one.
//! [`hide`] takes features away from the whole process for as long as its
//! guard lives. Every level of a kernel gives the same answer, so code that
//! runs beside such a test is slower and not wrong.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A set of instructions that kernels know how to use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Feature {
    /// 256-bit integer vectors of x86-64.
    Avx2 = 1 << 0,
    /// 512-bit vectors of x86-64 with byte and word operations (F, BW and VL).
    /// Needs [`Feature::Avx2`].
    Avx512 = 1 << 1,
    /// 128-bit vectors of AArch64.
    Neon = 1 << 2,
    /// SHA-1 rounds in hardware (x86-64, with SSE4.1 and SSSE3).
    ShaNi = 1 << 3,
    /// AES rounds on 256-bit vectors (x86-64). Needs [`Feature::Avx2`].
    Vaes = 1 << 4,
    /// Byte permutes over 512 bits and dot products of bytes (x86-64: AVX-512 VBMI
    /// and VNNI). Needs [`Feature::Avx512`].
    Vbmi = 1 << 5,
}

static HIDDEN: AtomicU8 = AtomicU8::new(0);
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn visible(feature: Feature) -> bool {
    HIDDEN.load(Ordering::Relaxed) & feature as u8 == 0
}

/// Gives the features back when dropped.
#[derive(Debug)]
#[must_use = "the features come back when the guard is dropped"]
pub struct Hidden(#[expect(dead_code, reason = "held for its drop")] MutexGuard<'static, ()>);

/// Hides features from detection in the whole process. A second call waits
/// until the first one's guard is dropped. For tests and benches.
pub fn hide(features: &[Feature]) -> Hidden {
    let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let bits = features.iter().fold(0, |bits, &one| bits | one as u8);
    HIDDEN.store(bits, Ordering::Relaxed);
    Hidden(turn)
}

impl Drop for Hidden {
    fn drop(&mut self) {
        HIDDEN.store(0, Ordering::Relaxed);
    }
}

/// Proof that AVX2 was detected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Avx2(());

impl Avx2 {
    /// The token, where the machine grants it.
    #[must_use]
    #[inline]
    pub fn detect() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if visible(Feature::Avx2) && is_x86_feature_detected!("avx2") {
            return Some(Self(()));
        }
        None
    }
}

/// Proof that AVX-512 F, BW and VL, and AVX2, were detected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Avx512(());

impl Avx512 {
    /// The token, where the machine grants it.
    #[must_use]
    #[inline]
    pub fn detect() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if visible(Feature::Avx512)
            && Avx2::detect().is_some()
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
        {
            return Some(Self(()));
        }
        None
    }

    /// What has AVX-512 has AVX2.
    #[must_use]
    pub const fn avx2(self) -> Avx2 {
        Avx2(())
    }
}

/// Proof that NEON was detected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Neon(());

impl Neon {
    /// The token, where the machine grants it.
    #[must_use]
    #[inline]
    pub fn detect() -> Option<Self> {
        #[cfg(target_arch = "aarch64")]
        if visible(Feature::Neon) && std::arch::is_aarch64_feature_detected!("neon") {
            return Some(Self(()));
        }
        None
    }
}

/// Proof that the SHA instructions of x86-64, SSE4.1 and SSSE3 were detected.
/// It is no [`Level`]: it makes one hash quick and is of no use elsewhere.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ShaNi(());

impl ShaNi {
    /// The token, where the machine grants it.
    #[must_use]
    #[inline]
    pub fn detect() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if visible(Feature::ShaNi)
            && is_x86_feature_detected!("sha")
            && is_x86_feature_detected!("sse4.1")
            && is_x86_feature_detected!("ssse3")
        {
            return Some(Self(()));
        }
        None
    }
}

/// Proof that AES on 256-bit vectors, AES-NI and AVX2 were detected. No
/// [`Level`], as [`ShaNi`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Vaes(());

impl Vaes {
    /// The token, where the machine grants it.
    #[must_use]
    #[inline]
    pub fn detect() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if visible(Feature::Vaes)
            && Avx2::detect().is_some()
            && is_x86_feature_detected!("aes")
            && is_x86_feature_detected!("vaes")
        {
            return Some(Self(()));
        }
        None
    }
}

/// Proof that AVX-512 VBMI and VNNI, and what [`Avx512`] proves, were detected. No
/// [`Level`], as [`ShaNi`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Vbmi(());

impl Vbmi {
    /// The token, where the machine grants it.
    #[must_use]
    #[inline]
    pub fn detect() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if visible(Feature::Vbmi)
            && Avx512::detect().is_some()
            && is_x86_feature_detected!("avx512vbmi")
            && is_x86_feature_detected!("avx512vnni")
        {
            return Some(Self(()));
        }
        None
    }
}

/// One way to run a kernel, with the proof that it may.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Level {
    /// The specification: plain Rust.
    Scalar,
    /// AArch64 vectors.
    Neon(Neon),
    /// 256-bit vectors.
    Avx2(Avx2),
    /// 512-bit vectors.
    Avx512(Avx512),
}

impl Level {
    /// The highest level that is granted and not hidden.
    #[must_use]
    #[inline]
    pub fn best() -> Self {
        if let Some(token) = Avx512::detect() {
            Self::Avx512(token)
        } else if let Some(token) = Avx2::detect() {
            Self::Avx2(token)
        } else if let Some(token) = Neon::detect() {
            Self::Neon(token)
        } else {
            Self::Scalar
        }
    }

    /// Every level that is granted and not hidden, lowest first.
    pub fn granted() -> impl Iterator<Item = Self> {
        [
            Some(Self::Scalar),
            Neon::detect().map(Self::Neon),
            Avx2::detect().map(Self::Avx2),
            Avx512::detect().map(Self::Avx512),
        ]
        .into_iter()
        .flatten()
    }

    /// The level's name in lower case, for reports and bench names.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Neon(_) => "neon",
            Self::Avx2(_) => "avx2",
            Self::Avx512(_) => "avx512",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hidden_feature_comes_back_with_the_guard() {
        let all = {
            let _none = hide(&[]);
            Level::best()
        };
        let hidden = hide(&[Feature::Avx2, Feature::Neon]);
        assert_eq!(Level::best(), Level::Scalar, "AVX-512 goes with AVX2");
        assert_eq!(Level::granted().count(), 1);
        drop(hidden);
        let hidden = hide(&[Feature::Avx512]);
        assert_eq!(Avx512::detect(), None);
        assert_eq!(Vbmi::detect(), None, "VBMI goes with AVX-512");
        drop(hidden);
        let _none = hide(&[]);
        assert_eq!(Level::best(), all);
        assert_eq!(Level::granted().last(), Some(all));
    }
}
