//! The shared mapping: session arena, single-producer rings, wake-ups.
