//! SIP signalling (RFC 3261) for a conferencing server.
//!
//! ```text
//!  sockets -> net -> message -> transactions (rsipstack) -> ua -> SipEvent
//!                                                            ^  \
//!                                   SipStack's methods ------+   DialogState
//! ```
//!
//! The idea a reader could not guess: **a dialog is a plain value**. Everything
//! that a BYE or re-INVITE needs is in [`DialogState`], handed out with every
//! change; a process that was killed is succeeded by one that was given those
//! values, on the same ports, and neither far end notices.
//!
//! This crate refuses to know what SDP says, what a space is, and who may join.
#![forbid(unsafe_code)]

mod auth;
mod config;

mod dialog;
mod event;
mod message;
mod net;
mod refuse;
mod stack;
mod state;
mod stream;
mod tasks;
mod txn;
mod ua;

pub use config::{
    CredentialLookup, DigestConfig, Listener, SipConfig, Timers, TlsConfig, Transport,
};
pub use event::{
    Cause, Credentials, DialogKey, Outbound, ParseKeyError, Party, Replaces, SipError, SipEvent,
    StartError, TxnId,
};
pub use stack::SipStack;
pub use state::{DialogState, Role, SessionTimer};
