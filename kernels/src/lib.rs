//! SIMD inner loops, each beside its scalar reference.
