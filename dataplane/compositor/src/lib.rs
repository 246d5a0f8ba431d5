//! The pictures of one conference: who is seen, by whom, composed and encoded once.
//!
//! A [`Stage`] takes access units of participants and gives encoded pictures to
//! receivers. What costs is done once, for all who need the same:
//!
//! ```text
//! access units --decode--> sources --scale--> panes --compose--> views --encode--> groups --> receivers
//!               only if          once for            once for            once for
//!               it is shown      each size           each size           codec, size, rate class
//! ```
//!
//! *Who* is shown *where* is pure arithmetic on the participants: seats in panes,
//! panes in a picture. Two receivers for whom it comes out the same have
//! the same view. A receiver does not see itself, so whoever is visible has a
//! view of its own; all others share one.
//!
//! The caller gives time and bytes, calls [`Stage::tick`] whenever
//! [`Stage::next_deadline`] has come, and takes what comes out of a [`Sink`].
//! The stage decides what cannot wait for anybody: the active speaker, key frames
//! to ask for, size and frame rate for a receiver's allowance.
//!
//! Whatever an access unit contains, the worst that comes of it is the freezing of
//! one pane, as far as this crate goes; the codec libraries are not ours, so a
//! stage belongs in a process that may die.
//!
//! Not here: packets, how much a path can take, processes and files. Fonts come in
//! as bytes.

#![forbid(unsafe_code)]

mod codecs;
mod groups;
mod icons;
mod layout;
mod model;
mod paint;
mod participants;
mod pens;
mod plan;
mod policy;
mod rate;
mod seating;
mod source;
mod speaker;
mod stage;
mod stats;
mod text;
mod view;

/// Name and value of what the environment of a process that makes pictures should
/// hold when it starts: the GNU C library then asks for huge pages, and takes large
/// blocks from one heap, where pictures lie side by side on them. Pictures are read and
/// written whole, in many places at once, and with pages of 4 KiB a tenth of decoding
/// and encoding is looking up where they are (`benches/results/video.md`). Other
/// libraries pass it over.
pub const ALLOCATOR: (&str, &str) = (
    "GLIBC_TUNABLES",
    "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=33554432:\
     glibc.malloc.top_pad=67108864:glibc.malloc.arena_max=1",
);

pub use codecs::{Codecs, LibraryCodecs};
pub use model::{
    AccessUnit, Frame, LABEL_BYTES_MAX, PARTICIPANTS_MAX, Participant, ParticipantId,
    RECEIVERS_MAX, Receiver, ReceiverId, Sink, Stream, Wants,
};
pub use policy::{
    ActiveSpeakerMode, ConferencePolicy, Indicators, Layout, MESSAGE_BYTES_MAX, Message,
    MessagePosition, SelfPaneMode, Thrift,
};
pub use stage::{Stage, StageFull};
pub use stats::{Spent, Stats};
pub use text::Fonts;
