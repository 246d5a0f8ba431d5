//! What a worker and a video module say to each other, and where.
//!
//! A module decodes hostile bitstreams, so it is a process that may die, and
//! whose words are not trusted. It shares no arena with anybody: it has a
//! memory of its own, with a pair of rings for each worker.
//!
//! ```text
//!   worker 0 --up--->  module      Begin, desired state, Settled; then access units
//!            <-down--              encoded pictures, requests for key frames, sizes
//!   worker 1 ...
//! ```
//!
//! What goes up is desired state and may be said again at any time. Between
//! [`UpKind::Begin`] and [`UpKind::Settled`] a worker says all of it; what it
//! did not say is gone. That is how a module's successor, and a worker's, come
//! to know what there is.
//!
//! Ring records are of any length: a head, which is one of the structures here,
//! and for access units and pictures the bitstream behind it.

use core::sync::atomic::{AtomicU32, AtomicU64};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{RingHeader, SlotRef, Text, ViewPolicy};

/// First bytes of a module's memory.
pub const MODULE_MAGIC: u64 = u64::from_le_bytes(*b"PlenumVi");
/// Version of everything in this file.
pub const MODULE_VERSION: u32 = 2;
/// Most video modules of a server; each is a bit of a word.
pub const MODULES_MAX: usize = 64;
/// Most threads of one module that make pictures.
pub const MODULE_THREADS_MAX: usize = 64;
/// Longest record, head included, bytes: an access unit of 1 MiB, and receivers.
pub const MODULE_RECORD_BYTES_MAX: usize = (1 << 20) + 64 * 1024;
/// Most receivers of one encoded picture that one record names; a picture for
/// more is said in several.
pub const FRAME_RECEIVERS_MAX: usize = 1_024;

/// Start of a module's memory.
#[derive(Debug, FromBytes, KnownLayout)]
#[repr(C, align(64))]
pub struct ModuleHeader {
    /// [`MODULE_MAGIC`], stored last.
    pub magic: AtomicU64,
    /// [`MODULE_VERSION`].
    pub version: AtomicU32,
    /// Workers, each with a pair of rings.
    pub workers: AtomicU32,
    /// Bytes of each ring that goes up, a power of two.
    pub up_bytes: AtomicU32,
    /// Bytes of each ring that goes down, a power of two.
    pub down_bytes: AtomicU32,
    /// How the module's process before this one ended, a [`ModuleEnd`]. The
    /// supervisor stores it before it starts the next.
    pub last_end: AtomicU64,
    /// Grows with every start of the module; stored by it last, when it listens.
    pub epoch: AtomicU64,
    /// Process id of the module.
    pub process_id: AtomicU64,
    /// Last sign of life, [`crate::Nanos`]. A gauge.
    pub heartbeat: AtomicU64,
    /// When the module said that it would give the next at the latest, [`crate::Nanos`].
    pub deadline: AtomicU64,
    /// CPU time of the module's process, nanoseconds.
    pub cpu_ns: AtomicU64,
    /// Access units decoded.
    pub decodes: AtomicU64,
    /// Pictures encoded.
    pub encodes: AtomicU64,
    /// Records that found a ring to a worker full.
    pub frames_lost: AtomicU64,
    /// Zero.
    pub reserved: [AtomicU64; 3],
    /// Of each thread: the stream whose access unit it has in hand, as
    /// [`StreamNote`] has it; 0 between two.
    pub notes: [AtomicU64; MODULE_THREADS_MAX],
    /// `notes` of the process before this one as they were at its end. The supervisor
    /// stores them with `last_end`.
    pub last_notes: [AtomicU64; MODULE_THREADS_MAX],
}

const _: () = assert!(size_of::<ModuleHeader>().is_multiple_of(64));

/// How a module's process ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u64)]
#[non_exhaustive]
pub enum ModuleEnd {
    /// It has not.
    None = 0,
    /// From outside, or of its own will: no stream is to blame.
    Ended = 1,
    /// By a fault: whatever it had in hand is suspect.
    Crashed = 2,
    /// It gave no sign of life and was killed: likewise.
    Stuck = 3,
}

impl ModuleEnd {
    /// Whether what the module had in hand is to blame.
    #[must_use]
    pub const fn is_fault(value: u64) -> bool {
        value == Self::Crashed as u64 || value == Self::Stuck as u64
    }
}

/// A stream as a module notes it while its access unit is decoded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StreamNote {
    /// The worker whose stream it is.
    pub worker: u32,
    /// The stream.
    pub stream: SlotRef,
}

impl StreamNote {
    const IN_USE: u64 = 1 << 63;

    /// As a word: bit 63, the worker (15 bits), the slot (16), the generation (32).
    #[must_use]
    pub const fn to_word(self) -> u64 {
        Self::IN_USE
            | (self.worker as u64 & 0x7fff) << 48
            | (self.stream.slot as u64 & 0xffff) << 32
            | self.stream.generation as u64
    }

    /// What a word says; `None` where it says nothing.
    #[must_use]
    pub const fn from_word(word: u64) -> Option<Self> {
        if word & Self::IN_USE == 0 {
            return None;
        }
        Some(Self {
            worker: (word >> 48) as u32 & 0x7fff,
            stream: SlotRef {
                slot: (word >> 32) as u32 & 0xffff,
                generation: word as u32,
            },
        })
    }
}

/// The rings between a module and one worker.
#[derive(Debug, FromBytes, KnownLayout)]
#[repr(C, align(64))]
pub struct ModuleRings {
    /// Worker to module. Positions count words of 64 bits.
    pub up: RingHeader,
    /// Module to worker.
    pub down: RingHeader,
}

/// Sizes of a module's memory, from which every offset follows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ModuleLayout {
    /// Workers, 1 to [`crate::MAX_WORKERS`].
    pub workers: u32,
    /// Bytes of each ring that goes up.
    pub up_bytes: u32,
    /// Bytes of each ring that goes down.
    pub down_bytes: u32,
}

impl ModuleLayout {
    /// Smallest and largest ring, bytes: two of the longest records, and a bound.
    const RING_BYTES: core::ops::RangeInclusive<u32> = 1 << 16..=1 << 26;

    /// Whether the sizes are within their bounds.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let ring = |bytes: u32| bytes.is_power_of_two() && Self::RING_BYTES.contains(&bytes);
        self.workers >= 1
            && self.workers <= crate::MAX_WORKERS
            && ring(self.up_bytes)
            && ring(self.down_bytes)
    }

    const fn worker_len(&self) -> usize {
        size_of::<ModuleRings>() + self.up_bytes as usize + self.down_bytes as usize
    }

    /// Offset of a worker's [`ModuleRings`].
    #[must_use]
    pub const fn rings(&self, worker: u32) -> usize {
        size_of::<ModuleHeader>() + worker as usize * self.worker_len()
    }

    /// Offset of the bytes of a worker's ring up.
    #[must_use]
    pub const fn up(&self, worker: u32) -> usize {
        self.rings(worker) + size_of::<ModuleRings>()
    }

    /// Offset of the bytes of a worker's ring down.
    #[must_use]
    pub const fn down(&self, worker: u32) -> usize {
        self.up(worker) + self.up_bytes as usize
    }

    /// Bytes of the whole memory.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.rings(self.workers)
    }

    /// Never: it has at least its header.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        false
    }
}

/// What a record from a worker to a module is. The numbers are part of the ABI.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u32)]
#[non_exhaustive]
pub enum UpKind {
    /// All desired state follows ([`Begin`]).
    Begin = 1,
    /// All of it was said; no payload.
    Settled = 2,
    /// How a conference looks ([`ModuleConference`]). Comes before who is in it.
    SetConference = 3,
    /// A conference is gone, and all in it ([`SlotRef`]).
    RemoveConference = 4,
    /// A participant ([`ModuleParticipant`]).
    SetParticipant = 5,
    /// A participant is gone ([`InConference`]).
    RemoveParticipant = 6,
    /// A receiver of pictures ([`ModuleReceiver`]).
    SetReceiver = 7,
    /// A receiver is gone ([`InConference`]).
    RemoveReceiver = 8,
    /// An access unit ([`AccessUnitHead`] and the bytes).
    AccessUnit = 9,
    /// A receiver's decoder lost its way ([`InConference`]).
    RequestKeyFrame = 10,
    /// Who is loudest ([`InConference`] of the participant).
    Speaker = 11,
}

impl UpKind {
    /// The kind with this number, if there is one.
    #[must_use]
    pub const fn from_u32(value: u32) -> Option<Self> {
        Some(match value {
            1 => Self::Begin,
            2 => Self::Settled,
            3 => Self::SetConference,
            4 => Self::RemoveConference,
            5 => Self::SetParticipant,
            6 => Self::RemoveParticipant,
            7 => Self::SetReceiver,
            8 => Self::RemoveReceiver,
            9 => Self::AccessUnit,
            10 => Self::RequestKeyFrame,
            11 => Self::Speaker,
            _ => return None,
        })
    }
}

/// Head of [`UpKind::Begin`].
#[derive(
    Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq,
)]
#[repr(C)]
pub struct Begin {
    /// The [`ModuleHeader::epoch`] of the module that is meant; another ignores
    /// everything up to a beginning of its own.
    pub epoch: u64,
}

/// Head of [`UpKind::SetConference`].
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct ModuleConference {
    /// The conference.
    pub conference: SlotRef,
    /// How it looks.
    pub policy: ViewPolicy,
    /// On-screen message; empty for none.
    pub message: Text,
}

/// Bits of [`ModuleParticipant::flags`].
pub mod participant_flags {
    /// Video was agreed on in this direction.
    pub const SENDS_VIDEO: u32 = 1 << 0;
    /// Nobody hears it.
    pub const AUDIO_MUTED: u32 = 1 << 1;
    /// Nobody may see it.
    pub const VIDEO_MUTED: u32 = 1 << 2;
}

/// Head of [`UpKind::SetParticipant`].
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct ModuleParticipant {
    /// Its conference.
    pub conference: SlotRef,
    /// Its leg.
    pub leg: SlotRef,
    /// [`participant_flags`].
    pub flags: u32,
    /// Importance for the placement of panes; 0 is none.
    pub importance: u32,
    /// Its name.
    pub label: Text,
}

/// Bits of [`ModuleReceiver::flags`].
pub mod receiver_flags {
    /// It is sent content, not people.
    pub const CONTENT: u32 = 1 << 0;
    /// Content goes into its picture of people.
    pub const CONTENT_IN_MAIN: u32 = 1 << 1;
    /// Nothing is sent to it now.
    pub const PAUSED: u32 = 1 << 2;
}

/// Head of [`UpKind::SetReceiver`].
#[derive(
    Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq,
)]
#[repr(C)]
pub struct ModuleReceiver {
    /// Its conference.
    pub conference: SlotRef,
    /// The video stream.
    pub stream: SlotRef,
    /// Slot of the leg whose eyes these are.
    pub leg: u32,
    /// [`receiver_flags`].
    pub flags: u32,
    /// H.264: profile-level-id, 24 bits.
    pub profile_level_id: u32,
    /// What its path takes now, bit/s.
    pub bit_rate_bps: u32,
    /// Most that was agreed on, bit/s.
    pub bit_rate_bps_max: u32,
    /// H.264: longest NAL unit, bytes; 0 where fragments may be sent.
    pub slice_bytes_max: u32,
    /// Most macroblocks a second; 0 is no limit but size and pictures a second.
    pub macroblocks_per_s_max: u32,
    /// Widest picture, pixels.
    pub width_max: u16,
    /// Highest picture, pixels.
    pub height_max: u16,
    /// Number of the codec, unchecked.
    pub codec: u8,
    /// Most pictures a second, however small; 0 is 30.
    pub frame_rate_max: u8,
    /// Number of the leg's own layout; 0 is the conference's.
    pub layout: u8,
    /// Zero.
    pub reserved: u8,
}

/// Somebody or something of a conference.
#[derive(
    Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq,
)]
#[repr(C)]
pub struct InConference {
    /// The conference.
    pub conference: SlotRef,
    /// A leg or a video stream, by the kind of the record.
    pub about: SlotRef,
}

/// Head of [`UpKind::AccessUnit`].
#[derive(
    Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq,
)]
#[repr(C)]
pub struct AccessUnitHead {
    /// The conference.
    pub conference: SlotRef,
    /// The video stream.
    pub stream: SlotRef,
    /// Slot of its leg.
    pub leg: u32,
    /// RTP timestamp, 90 kHz.
    pub timestamp: u32,
    /// Number of the codec, unchecked.
    pub codec: u8,
    /// 1 where decoding can begin here.
    pub key_frame: u8,
    /// 1 for content, 0 for the main picture.
    pub content: u8,
    /// Zero.
    pub reserved: [u8; 5],
}

/// What a record from a module to a worker is. The numbers are part of the ABI.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u32)]
#[non_exhaustive]
pub enum DownKind {
    /// An encoded picture ([`FrameHead`], its receivers as [`SlotRef`]s, the bytes).
    Frame = 1,
    /// A stream's decoder needs a key frame ([`SlotRef`] of a video stream).
    RequestKeyFrame = 2,
    /// The size of a stream's pictures changed ([`SourceSize`]).
    SourceSize = 3,
    /// How many rows of a stream are of use ([`SourceWanted`]).
    SourceWanted = 4,
}

impl DownKind {
    /// The kind with this number, if there is one.
    #[must_use]
    pub const fn from_u32(value: u32) -> Option<Self> {
        Some(match value {
            1 => Self::Frame,
            2 => Self::RequestKeyFrame,
            3 => Self::SourceSize,
            4 => Self::SourceWanted,
            _ => return None,
        })
    }
}

/// Head of [`DownKind::Frame`].
#[derive(
    Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq,
)]
#[repr(C)]
pub struct FrameHead {
    /// Receivers that follow, at most [`FRAME_RECEIVERS_MAX`].
    pub receivers: u32,
    /// Bytes of the bitstream behind them.
    pub bytes: u32,
    /// When it is to be seen on the stage's clock, 90 kHz, wrapping.
    pub timestamp: u32,
    /// Width, pixels.
    pub width: u16,
    /// Height, pixels.
    pub height: u16,
    /// Number of the codec, unchecked.
    pub codec: u8,
    /// 1 where decoding can begin here.
    pub key_frame: u8,
    /// Layer in time, 0 for the lowest.
    pub temporal_layer: u8,
    /// Zero.
    pub reserved: [u8; 5],
}

/// Head of [`DownKind::SourceSize`].
#[derive(
    Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq,
)]
#[repr(C)]
pub struct SourceSize {
    /// The video stream.
    pub stream: SlotRef,
    /// Width, pixels.
    pub width: u32,
    /// Height, pixels.
    pub height: u32,
}

/// Head of [`DownKind::SourceWanted`]. Said when it changes, and to a worker that began
/// anew.
#[derive(
    Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq,
)]
#[repr(C)]
pub struct SourceWanted {
    /// The video stream.
    pub stream: SlotRef,
    /// Rows of the largest pane that it is in; 0 where nobody sees it.
    pub rows: u32,
    /// Zero.
    pub reserved: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_comes_back_as_it_was_and_an_empty_word_is_none() {
        let note = StreamNote {
            worker: 255,
            stream: SlotRef {
                slot: 16_383,
                generation: u32::MAX,
            },
        };
        assert_eq!(StreamNote::from_word(note.to_word()), Some(note));
        assert_eq!(StreamNote::from_word(0), None);
    }

    #[test]
    fn rings_of_odd_sizes_are_refused_and_offsets_do_not_overlap() {
        let layout = ModuleLayout {
            workers: 3,
            up_bytes: 1 << 20,
            down_bytes: 1 << 21,
        };
        assert!(layout.is_valid());
        assert_eq!(layout.down(0), layout.up(0) + (1 << 20));
        assert_eq!(layout.rings(1), layout.down(0) + (1 << 21));
        assert_eq!(layout.len(), layout.down(2) + (1 << 21));
        assert!(layout.rings(2).is_multiple_of(64));
        for up_bytes in [0, 3 << 20, 1 << 27, 8] {
            assert!(!ModuleLayout { up_bytes, ..layout }.is_valid());
        }
    }
}
