//! The plenum binary: roles, supervision, doctor.

fn main() {}
