//! The call bridge's decisions: pure, over traits.
//!
//! ```text
//!   SIP, browsers, REST, media events, time ---> App ---> outputs: SIP, browsers, media, store
//!                                       |
//!                                       +-- Places: slots and counters, asked at once
//! ```
//! A *call* is a space in use: it begins with its first leg and ends with its
//! last. A *leg* is one connection of a call, and at once its participant. Each
//! method takes the world as it is now ([`World`]) and leaves what is to be
//! done in [`World::out`], in order. Looking up a space is the one thing that
//! takes time: [`Output::Resolve`] asks for it and [`App::resolved`] gives the
//! answer.
//!
//! What a leg needs to go on after a restart is a plain value ([`SavedLeg`]),
//! handed out with every change.
//!
//! This crate opens no socket and no database, reads no clock, makes no
//! randomness, and never sees a SIP message: SDP is text that goes through
//! `plenum-sdp`.
#![forbid(unsafe_code)]

mod app;
mod call;
mod config;
mod digits;
mod guard;
mod leg;
mod look;
mod media;
mod place;
mod room;
mod saved;
mod video;
mod web;
mod world;

pub use app::{
    App, EndCause, Error, Incoming, MEDIA_CONTROL, PICTURE_FAST_UPDATE, Refusal, Statistics,
};
pub use config::AppConfig;
pub use look::Look;
pub use place::{Counters, Place, Places, Reach, VideoCounters};
pub use saved::{RestoreError, SavedCall, SavedLeg};
pub use video::{SavedStream, SavedVideo};
pub use web::{
    ABSENCE_MAX, CHAT_CHARS_MAX, NAME_CHARS_MAX, SavedWeb, WebBye, WebChat, WebError, WebFound,
    WebJoin, WebJoined, WebMessage, WebParticipant, WebPermissions, WebPresence, WebRefusal,
    WebRequest, WebWelcome,
};
pub use world::{DtmfDigit, Invitation, Moment, Output, World};

#[cfg(test)]
mod tests;
