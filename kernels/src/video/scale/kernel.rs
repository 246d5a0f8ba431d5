//! The choosers: each kernel at a level.

#[cfg(target_arch = "aarch64")]
use super::neon;
use super::scalar;
#[cfg(target_arch = "x86_64")]
use super::wide::{avx2, avx512};
use crate::cpu::Level;

macro_rules! choosers {
    ($($name:ident($($arg:ident: $ty:ty),+);)+) => { $(
        #[doc = concat!("See [`scalar::", stringify!($name), "`].")]
        pub(super) fn $name(level: Level, out: &mut [u8], $($arg: $ty),+) {
            match level {
                #[cfg(target_arch = "x86_64")]
                Level::Avx2(token) => avx2::$name(out, $($arg,)+ token),
                #[cfg(target_arch = "x86_64")]
                Level::Avx512(token) => avx512::$name(out, $($arg,)+ token),
                #[cfg(target_arch = "aarch64")]
                Level::Neon(token) => neon::$name(out, $($arg,)+ token),
                _ => scalar::$name(out, $($arg),+),
            }
        }
    )+ };
}

choosers! {
    down_columns(rows: &[&[u8]], shares: &[i8]);
    halve(rows: [&[u8]; 2]);
    halve_sited(rows: [&[u8]; 2]);
    quarter(rows: [&[u8]; 4]);
    quarter_sited(rows: [&[u8]; 4]);
}
