//! Participants, receivers, and what goes in and comes out for them.

use plenum_abi::{H264Profile, VideoCodec, VideoLimits};

/// Most participants of a stage.
pub const PARTICIPANTS_MAX: usize = 1_024;

/// Most receivers of a stage: each participant's picture and its content.
pub const RECEIVERS_MAX: usize = 2 * PARTICIPANTS_MAX;

/// Longest [`Participant::label`]; what is longer is cut between characters.
pub const LABEL_BYTES_MAX: usize = 256;

/// A participant, as the caller numbers it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ParticipantId(pub u32);

/// A receiver, as the caller numbers it: one encoded stream to one far end.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ReceiverId(pub u32);

/// Which of its two streams a participant sends.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Stream {
    /// The camera.
    Main,
    /// A screen or a document.
    Content,
}

/// Who may be seen, and how.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Participant {
    /// Name on the pane, any text. At most [`LABEL_BYTES_MAX`] bytes count.
    pub label: String,
    /// Video was agreed on in this direction. Whether any comes is seen here.
    pub sends_video: bool,
    /// Nobody hears it: its label says so.
    pub audio_muted: bool,
    /// Nobody may see it.
    pub video_muted: bool,
    /// On hold: nobody sees it.
    pub held: bool,
    /// The higher, the earlier it gets a pane; with pane placement, which pane.
    /// 0 is none.
    pub importance: u32,
}

/// What a receiver is to see.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wants {
    /// People.
    Main {
        /// Content, while there is any, takes the large pane: for those who have
        /// no channel of its own for it.
        content_in_main: bool,
    },
    /// Content alone; while there is none, nothing is sent.
    Content,
}

/// Where encoded pictures go, and what can be taken there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Receiver {
    /// Whose eyes these are: it does not see itself. `None` for a recorder or
    /// streamer.
    pub participant: Option<ParticipantId>,
    /// What it decodes.
    pub codec: VideoCodec,
    /// H.264: what it decodes. Sent is Constrained Baseline, or High to those who
    /// take that.
    pub profile: H264Profile,
    /// What was agreed on. The stream claims the lowest H.264 level that holds it.
    pub limits: VideoLimits,
    /// H.264 in packetization-mode 0: no NAL unit is longer, bytes.
    pub slice_bytes_max: Option<u32>,
    /// Largest picture that is of use to it, luma samples.
    pub width_max: u32,
    /// Largest picture that is of use to it, luma rows.
    pub height_max: u32,
    /// Pictures a second that are of use to it.
    pub frame_rate_max_hz: u32,
    /// What its path takes just now, bit/s of coded pictures. May change often.
    pub bit_rate_bps: u32,
    /// Its own choice instead of the conference's.
    pub layout: Option<crate::Layout>,
    /// Nothing is sent, and nothing encoded for it.
    pub paused: bool,
    /// What it is to see.
    pub wants: Wants,
}

/// All that makes one picture of a stream.
#[derive(Clone, Copy, Debug)]
pub struct AccessUnit<'a> {
    /// What it is coded in; may change at a key frame.
    pub codec: VideoCodec,
    /// Decoding can begin here.
    pub key_frame: bool,
    /// NAL units with start codes (H.264 Annex B), or one VP8 frame.
    pub data: &'a [u8],
}

/// One encoded picture.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// To whom it goes: at least one.
    pub receivers: &'a [ReceiverId],
    /// What it is coded in.
    pub codec: VideoCodec,
    /// When it is to be seen, on the stage's clock, wrapping. A leg adds its own
    /// random offset.
    pub timestamp_90khz: u32,
    /// Decoding can begin here.
    pub key_frame: bool,
    /// Layer in time, 0 for the lowest.
    pub temporal_layer: u8,
    /// Luma samples in a row.
    pub width: u32,
    /// Luma rows.
    pub height: u32,
    /// As [`AccessUnit::data`].
    pub data: &'a [u8],
}

/// Where what comes out of [`Stage::tick`](crate::Stage::tick) goes.
pub trait Sink {
    /// Sends one encoded picture to each of its receivers.
    fn encoded(&mut self, frame: &Frame<'_>);

    /// Asks a participant for a key frame. Asked at most twice a second for a stream.
    fn request_key_frame(&mut self, participant: ParticipantId, stream: Stream);
}
