//! What passes through the rings.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{ConferenceConfig, LegConfig, SetText, SetTransport, SetVideo};

/// Room for a command's payload, 64-bit words.
const PAYLOAD_WORDS: usize = 62;

/// A slot and the generation of its tenant: a late message about an earlier
/// tenant is recognised and ignored.
#[derive(
    Clone, Copy, Debug, Default, Eq, FromBytes, Hash, Immutable, IntoBytes, KnownLayout, PartialEq,
)]
#[repr(C)]
pub struct SlotRef {
    /// Index on the worker.
    pub slot: u32,
    /// Generation of the tenant.
    pub generation: u32,
}

/// Payload of [`CommandKind::SetLeg`].
#[derive(
    Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq,
)]
#[repr(C)]
pub struct SetLeg {
    /// Slot on the worker; its sockets are those of this slot.
    pub slot: u32,
    /// Zero.
    pub reserved: u32,
    /// The desired state.
    pub config: LegConfig,
}

/// Payload of [`CommandKind::SetConference`].
#[derive(
    Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq,
)]
#[repr(C)]
pub struct SetConference {
    /// Slot on the worker.
    pub slot: u32,
    /// Zero.
    pub reserved: u32,
    /// The desired state.
    pub config: ConferenceConfig,
}

/// Payload of [`CommandKind::SendDtmf`].
#[derive(
    Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq,
)]
#[repr(C)]
pub struct SendDtmf {
    /// To whom.
    pub leg: SlotRef,
    /// Event code of RFC 4733 section 3.2: 0 to 15.
    pub event: u8,
    /// Zero.
    pub reserved: u8,
    /// How long it sounds, in milliseconds: 40 to 6000.
    pub duration_ms: u16,
}

/// What a [`Command`] asks for. The numbers are part of the ABI.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u32)]
#[non_exhaustive]
pub enum CommandKind {
    /// Create or change a leg ([`SetLeg`]).
    SetLeg = 1,
    /// Remove a leg ([`SlotRef`]).
    RemoveLeg = 2,
    /// Create or change a conference ([`SetConference`]).
    SetConference = 3,
    /// Remove a conference and every leg in it ([`SlotRef`]).
    RemoveConference = 4,
    /// Send a digit ([`SendDtmf`]).
    SendDtmf = 5,
    /// Answer with [`EventKind::Barrier`]: everything before it is applied.
    Barrier = 6,
    /// Create or change a video stream ([`crate::SetVideo`]).
    SetVideo = 7,
    /// Remove a video stream ([`SlotRef`] of a video slot).
    RemoveVideo = 8,
    /// How a conference looks ([`crate::SetViewPolicy`]).
    SetViewPolicy = 9,
    /// A leg's name label ([`crate::SetText`]).
    SetLabel = 10,
    /// A conference's on-screen message ([`crate::SetText`]); empty takes it away.
    SetMessage = 11,
    /// Create or change a leg's transport ([`crate::SetTransport`]).
    SetTransport = 12,
    /// A candidate of the far end ([`crate::AddCandidate`]).
    AddCandidate = 13,
    /// Ask the far end for a key frame ([`SlotRef`] of a video slot).
    RequestKeyFrame = 14,
    /// The far end asks for a key frame by other means than RTCP ([`SlotRef`] of a
    /// video slot).
    SendKeyFrame = 15,
}

impl CommandKind {
    /// The kind with this number, if there is one.
    #[must_use]
    pub const fn from_u32(value: u32) -> Option<Self> {
        Some(match value {
            1 => Self::SetLeg,
            2 => Self::RemoveLeg,
            3 => Self::SetConference,
            4 => Self::RemoveConference,
            5 => Self::SendDtmf,
            6 => Self::Barrier,
            7 => Self::SetVideo,
            8 => Self::RemoveVideo,
            9 => Self::SetViewPolicy,
            10 => Self::SetLabel,
            11 => Self::SetMessage,
            12 => Self::SetTransport,
            13 => Self::AddCandidate,
            14 => Self::RequestKeyFrame,
            15 => Self::SendKeyFrame,
            _ => return None,
        })
    }
}

/// Control plane to worker.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct Command {
    /// A [`CommandKind`], unchecked.
    pub kind: u32,
    /// Zero.
    pub reserved: u32,
    /// Chosen by the sender, returned in the answer.
    pub token: u64,
    /// The payload of the kind, zero after its end.
    pub payload: [u64; PAYLOAD_WORDS],
}

const _: () = assert!(size_of::<Command>() == 512 && align_of::<Command>() == 8);
const _: () = {
    let room = size_of::<[u64; PAYLOAD_WORDS]>();
    assert!(size_of::<SetLeg>() <= room && size_of::<SetVideo>() <= room);
    assert!(size_of::<SetText>() <= room && size_of::<SetTransport>() <= room);
};

impl Command {
    /// A command with a plain payload.
    #[must_use]
    pub fn new<T: IntoBytes + Immutable>(kind: CommandKind, token: u64, payload: &T) -> Self {
        const { assert!(size_of::<T>() <= size_of::<[u64; PAYLOAD_WORDS]>()) };
        let mut command = Self {
            kind: kind as u32,
            reserved: 0,
            token,
            payload: [0; PAYLOAD_WORDS],
        };
        command.payload.as_mut_bytes()[..size_of::<T>()].copy_from_slice(payload.as_bytes());
        command
    }

    /// The payload read as `T`; any bytes are some `T`.
    #[must_use]
    pub fn payload<T: FromBytes>(&self) -> T {
        const { assert!(size_of::<T>() <= size_of::<[u64; PAYLOAD_WORDS]>()) };
        // The length is right by the assertion above.
        T::read_from_bytes(&self.payload.as_bytes()[..size_of::<T>()])
            .unwrap_or_else(|_| T::new_zeroed())
    }
}

/// What an [`Event`] tells. The numbers are part of the ABI.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u32)]
#[non_exhaustive]
pub enum EventKind {
    /// The worker runs; `value` is the number of legs it found in the arena.
    WorkerStarted = 1,
    /// A command was not carried out; `value` is a [`RejectReason`], `token` the command's.
    Rejected = 2,
    /// Answer to [`CommandKind::Barrier`] with its `token`.
    Barrier = 3,
    /// First valid packet of a leg since it was set up.
    MediaStarted = 4,
    /// Nothing valid came from a leg for `value` milliseconds though it may send.
    MediaSilent = 5,
    /// The far end's RTP address was learned or moved; read [`crate::PathState`].
    AddressLearned = 6,
    /// A digit ended; `value` is the event code of RFC 4733.
    DtmfReceived = 7,
    /// The conference (slot and generation in `leg`) has a new loudest speaker;
    /// `value` is that leg's slot.
    ActiveSpeaker = 8,
    /// The far end said RTCP BYE for its only stream.
    RtcpBye = 9,
    /// More streams under one SRTP key than the context keeps; re-key the leg.
    KeyExhausted = 10,
    /// First valid packet of a video stream since it was set up (`leg` is its slot).
    VideoStarted = 11,
    /// A video stream (`leg` is its slot) killed its decoder twice and is put aside.
    VideoPutAside = 12,
    /// More streams under one SRTP key than the context of a video stream (`leg` is
    /// its slot) keeps; re-key it.
    VideoKeyExhausted = 13,
    /// A leg's transport has a path and keys: media can flow.
    TransportConnected = 14,
    /// A leg's transport has lost its path (RFC 7675) and looks for another.
    TransportLost = 15,
    /// A leg's transport failed for good; `value` is 1 for ICE, 2 for DTLS.
    TransportFailed = 16,
    /// A key frame of a video stream (`leg` is its slot) is needed, and its far end
    /// takes no RTCP feedback that asks for one; `value` is the stream's leg, its
    /// generation in the upper half and its slot in the lower.
    VideoKeyFrameNeeded = 17,
}

impl EventKind {
    /// The kind with this number, if there is one.
    #[must_use]
    pub const fn from_u32(value: u32) -> Option<Self> {
        Some(match value {
            1 => Self::WorkerStarted,
            2 => Self::Rejected,
            3 => Self::Barrier,
            4 => Self::MediaStarted,
            5 => Self::MediaSilent,
            6 => Self::AddressLearned,
            7 => Self::DtmfReceived,
            8 => Self::ActiveSpeaker,
            9 => Self::RtcpBye,
            10 => Self::KeyExhausted,
            11 => Self::VideoStarted,
            12 => Self::VideoPutAside,
            13 => Self::VideoKeyExhausted,
            14 => Self::TransportConnected,
            15 => Self::TransportLost,
            16 => Self::TransportFailed,
            17 => Self::VideoKeyFrameNeeded,
            _ => return None,
        })
    }
}

/// Why a command was not carried out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u32)]
#[non_exhaustive]
pub enum RejectReason {
    /// The kind is not of this ABI.
    UnknownCommand = 1,
    /// The slot does not exist on this worker.
    NoSuchSlot = 2,
    /// The slot has another tenant.
    WrongGeneration = 3,
    /// The leg names a conference that does not exist.
    NoSuchConference = 4,
    /// A codec, suite, packet time or payload type is not supported.
    Unsupported = 5,
    /// The kernel refused a resource of the slot.
    Resource = 6,
}

/// Worker to control plane.
#[derive(
    Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq,
)]
#[repr(C)]
pub struct Event {
    /// An [`EventKind`], unchecked.
    pub kind: u32,
    /// Zero.
    pub reserved: u32,
    /// Token of the command that is answered, or 0.
    pub token: u64,
    /// Whom it is about.
    pub leg: SlotRef,
    /// Meaning by kind.
    pub value: u64,
}

const _: () = assert!(size_of::<Event>() == 32 && align_of::<Event>() == 8);

#[cfg(test)]
mod tests {
    use super::*;

    /// The two processes may be of different builds: do not change this test,
    /// raise `ABI_VERSION` and add another.
    #[test]
    fn frozen_bytes_of_remove_leg() {
        let command = Command::new(
            CommandKind::RemoveLeg,
            7,
            &SlotRef {
                slot: 3,
                generation: 0x0102_0304,
            },
        );
        let bytes = command.as_bytes();
        assert_eq!(
            &bytes[..24],
            &[
                2, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 4, 3, 2, 1
            ]
        );
        assert!(bytes[24..].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn payloads_survive_the_round_trip() {
        let mut leg = SetLeg {
            slot: 9,
            ..SetLeg::default()
        };
        leg.config.revision = 5;
        leg.config.tx_keys.0[2] = [7; 16];
        assert_eq!(
            Command::new(CommandKind::SetLeg, 1, &leg).payload::<SetLeg>(),
            leg
        );
    }
}
