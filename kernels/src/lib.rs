//! SIMD inner loops, each beside its scalar reference.

pub mod cpu;
