//! The call bridge's decisions: pure, over traits.
