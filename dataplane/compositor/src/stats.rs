//! What a stage did, and what it took.

use std::time::Duration;

use plenum_abi::Nanos;

/// Time spent, as the profile clock saw it; zero without one
/// ([`Stage::set_profile_clock`](crate::Stage::set_profile_clock)).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Spent {
    /// In decoders.
    pub decode: Duration,
    /// Bringing sources to pane sizes.
    pub scale: Duration,
    /// Copying panes and drawing over them.
    pub compose: Duration,
    /// In encoders.
    pub encode: Duration,
}

/// Totals since the stage began, and what there is now.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Stats {
    /// Time spent.
    pub spent: Spent,
    /// Ticks.
    pub ticks: u64,
    /// Access units that came.
    pub access_units: u64,
    /// Access units that were decoded to a picture.
    pub decodes: u64,
    /// Access units that no view needed.
    pub decodes_spared: u64,
    /// Access units that a decoder refused.
    pub decode_failures: u64,
    /// Sources brought to a pane size.
    pub scales: u64,
    /// Pictures of views of which at least one pane or overlay was drawn anew.
    pub composes: u64,
    /// Pictures encoded.
    pub encodes: u64,
    /// Key frames among them.
    pub key_frames: u64,
    /// Pictures that an encoder's rate control left out.
    pub encodes_skipped: u64,
    /// Pictures that an encoder failed to make.
    pub encode_failures: u64,
    /// Pictures given to receivers from an encode that others shared: for one
    /// that goes to ten, nine.
    pub shared_sends: u64,
    /// Key frames asked of participants.
    pub key_frame_requests: u64,
    /// Changes of the active speaker.
    pub speaker_changes: u64,
    /// Distinct views now.
    pub views: usize,
    /// Encoders now.
    pub encoders: usize,
    /// Decoders now.
    pub decoders: usize,
}

/// Where [`Spent`] takes its time from.
#[derive(Default)]
pub(crate) struct Profile(Option<Box<dyn Fn() -> Nanos>>);

impl Profile {
    pub(crate) fn new(clock: Box<dyn Fn() -> Nanos>) -> Self {
        Self(Some(clock))
    }

    /// The time; always the same without a clock.
    pub(crate) fn now(&self) -> Nanos {
        self.0.as_ref().map_or(Nanos::ZERO, |clock| clock())
    }
}
