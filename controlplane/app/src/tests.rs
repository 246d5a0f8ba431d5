//! The call bridge against a pretended world: time, slots, far ends and the
//! store are values, so every run is the same.

mod browsers;
mod joining;
mod leaving;
mod managing;
mod pictures;
mod restarting;
mod world;
