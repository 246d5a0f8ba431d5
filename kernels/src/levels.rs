//! One source, one kernel per level.
//!
//! Most audio loops are plain enough for the compiler: recompiled with wider
//! vectors allowed, the very same body runs two to six times as fast as at the
//! baseline. The macro makes those recompilations, so that no level can say
//! anything but what its one body says.

/// Makes for each declared kernel a public function that picks the best level,
/// and in a module `at` one that runs the level it is given. The bodies are
/// the functions of the same names in the module named first; they must be
/// `#[inline(always)]`, or nothing is recompiled.
macro_rules! kernels {
    (
        $body:ident;
        $(
            $(#[$doc:meta])*
            pub fn $name:ident($($arg:ident: $ty:ty),+ $(,)?) $(-> $ret:ty)?;
        )+
    ) => {
        $(
            $(#[$doc])*
            pub fn $name($($arg: $ty),+) $(-> $ret)? {
                at::$name($crate::cpu::Level::best(), $($arg),+)
            }
        )+

        /// The kernels at a level of the caller's choice, for tests and benches.
        pub mod at {
            #[allow(unused_imports, reason = "not every module's kernels name a type")]
            use super::*;

            $(
                #[doc = concat!("[`", stringify!($name), "`](super::", stringify!($name), ") at `level`.")]
                pub fn $name(level: $crate::cpu::Level, $($arg: $ty),+) $(-> $ret)? {
                    #[cfg(target_arch = "x86_64")]
                    use $crate::cpu::Level;

                    #[cfg(target_arch = "x86_64")]
                    #[target_feature(enable = "avx2")]
                    fn avx2($($arg: $ty),+) $(-> $ret)? {
                        super::$body::$name($($arg),+)
                    }

                    #[cfg(target_arch = "x86_64")]
                    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
                    fn avx512($($arg: $ty),+) $(-> $ret)? {
                        super::$body::$name($($arg),+)
                    }

                    match level {
                        #[cfg(target_arch = "x86_64")]
                        // SAFETY: needs AVX2; the level's token exists only
                        // where `cpu` detected it.
                        Level::Avx2(_) => unsafe { avx2($($arg),+) },
                        #[cfg(target_arch = "x86_64")]
                        // SAFETY: needs AVX-512 F, BW and VL; the level's token
                        // exists only where `cpu` detected all three.
                        Level::Avx512(_) => unsafe { avx512($($arg),+) },
                        // AArch64's baseline has NEON: the body is NEON code already.
                        _ => super::$body::$name($($arg),+),
                    }
                }
            )+
        }
    };
}

pub(crate) use kernels;
