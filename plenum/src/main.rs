//! The plenum binary: roles, supervision, doctor.
//!
//! ```text
//!   plenum serve ──┬── plenum dataplane   packets
//!                  ├── plenum video       pictures, one for each module
//!                  ├── plenum control     decisions
//!                  └── plenum turn        packets of strangers
//! ```
//! Processes of one program; the first argument tells which one it is.
//! Only this crate sees both planes, and all that it does is to bring them
//! together.

mod addresses;
mod certificate;
mod channel;
mod cli;
mod clock;
mod config;
mod control;
mod dataplane;
mod doctor;
mod dtls_identity;
mod inherit;
mod logging;
mod plan;
mod supervise;
mod turn;
mod video;

use std::process::ExitCode;

/// A restart would only fail in the same way (EX_CONFIG of sysexits.h).
const EXIT_HOPELESS: u8 = 78;

fn main() -> ExitCode {
    cli::run()
}
