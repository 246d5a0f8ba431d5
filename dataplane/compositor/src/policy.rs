//! What the control plane wants of a conference's pictures.

use std::time::Duration;

use plenum_abi::Nanos;
use plenum_kernels::video::Yuv;

/// Longest [`Message::text`]; what is longer is cut between characters.
pub const MESSAGE_BYTES_MAX: usize = 1_024;

/// How a picture is divided among those who are seen. The numbers are part of the
/// ABI.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum Layout {
    /// Everybody in panes of one size, as many as needed, up to 25.
    AllEqual = 1,
    /// The active speaker fills the picture.
    SpeakerOnly = 2,
    /// The active speaker fills the picture, others over its lower edge.
    Telepresence = 3,
    /// The active speaker large, others in a row below.
    Stacked = 4,
    /// Four panes of one size.
    AllEqualQuarters = 5,
    /// Nine panes of one size.
    AllEqualNinths = 6,
    /// Sixteen panes of one size.
    AllEqualSixteenths = 7,
    /// Twenty-five panes of one size.
    AllEqualTwentyFifths = 8,
    /// One large pane and five small.
    OnePlusFive = 9,
    /// One large pane and seven small.
    OnePlusSeven = 10,
    /// One large pane and nine small.
    OnePlusNine = 11,
    /// By the number of those to be seen: equal panes for up to four, one large
    /// pane and small ones for more.
    #[default]
    Automatic = 12,
    /// One large pane and as many small ones as needed: one, five, seven or nine.
    OnePlusN = 13,
}

impl Layout {
    /// Every layout.
    pub const ALL: [Self; 13] = [
        Self::AllEqual,
        Self::SpeakerOnly,
        Self::Telepresence,
        Self::Stacked,
        Self::AllEqualQuarters,
        Self::AllEqualNinths,
        Self::AllEqualSixteenths,
        Self::AllEqualTwentyFifths,
        Self::OnePlusFive,
        Self::OnePlusSeven,
        Self::OnePlusNine,
        Self::Automatic,
        Self::OnePlusN,
    ];

    /// The layout with this number, if there is one.
    #[must_use]
    pub const fn from_u8(value: u8) -> Option<Self> {
        if value == 0 || value as usize > Self::ALL.len() {
            return None;
        }
        Some(Self::ALL[value as usize - 1])
    }
}

/// What a participant with a placed pane sees in that pane. The numbers are part
/// of the ABI.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum SelfPaneMode {
    /// No pane of one's own; the others move up.
    #[default]
    Skip = 0,
    /// One's own picture.
    SelfVideo = 1,
    /// An empty pane.
    Blank = 2,
}

impl SelfPaneMode {
    /// The mode with this number, if there is one.
    #[must_use]
    pub const fn from_u8(value: u8) -> Option<Self> {
        Some(match value {
            0 => Self::Skip,
            1 => Self::SelfVideo,
            2 => Self::Blank,
            _ => return None,
        })
    }
}

/// What the active speaker gets while panes are placed by importance. The numbers
/// are part of the ABI.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum ActiveSpeakerMode {
    /// Nothing more than others without a place.
    #[default]
    Ignore = 0,
    /// The first pane that is not placed.
    FirstFreePane = 1,
}

impl ActiveSpeakerMode {
    /// The mode with this number, if there is one.
    #[must_use]
    pub const fn from_u8(value: u8) -> Option<Self> {
        Some(match value {
            0 => Self::Ignore,
            1 => Self::FirstFreePane,
            _ => return None,
        })
    }
}

/// Where a message stands. The numbers are part of the ABI.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum MessagePosition {
    /// At the upper edge.
    Top = 0,
    /// In the middle.
    #[default]
    Middle = 1,
    /// At the lower edge.
    Bottom = 2,
}

impl MessagePosition {
    /// The position with this number, if there is one.
    #[must_use]
    pub const fn from_u8(value: u8) -> Option<Self> {
        Some(match value {
            0 => Self::Top,
            1 => Self::Middle,
            2 => Self::Bottom,
            _ => return None,
        })
    }
}

/// Text over everybody's picture.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    /// Any text. At most [`MESSAGE_BYTES_MAX`] bytes count.
    pub text: String,
    /// Where it stands.
    pub position: MessagePosition,
    /// When it goes away; `None` for never.
    pub until: Option<Nanos>,
}

/// What is said of the meeting in a corner of each picture of people.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Indicators {
    /// It is recorded.
    pub recording: bool,
    /// It is streamed.
    pub streaming: bool,
    /// Nobody else gets in.
    pub locked: bool,
}

/// How a conference is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct ConferencePolicy {
    /// What the meeting is called: shown where there is nobody to be seen.
    pub name: String,
    /// For receivers without a choice of their own.
    pub layout: Layout,
    /// What one sees in one's own placed pane.
    pub self_pane_mode: SelfPaneMode,
    /// Pane placement: the first so many panes belong to participants with this
    /// importance, one less, and so on to 1. `None` or 0 places nobody.
    pub placement_highest_importance: Option<u32>,
    /// With pane placement, what the active speaker gets.
    pub active_speaker_mode: ActiveSpeakerMode,
    /// The large pane changes no more often than this.
    pub speaker_hold: Duration,
    /// Names on panes.
    pub labels: bool,
    /// Those who send no video get panes too, after all who do. Otherwise they
    /// are seen (as cards) only where nobody sends any.
    pub cards: bool,
    /// Text over everybody's picture.
    pub message: Option<Message>,
    /// What is said of the meeting.
    pub indicators: Indicators,
    /// Pictures a second at most, for everybody: 60 to allow that where both ends can.
    pub frame_rate_max_hz: u32,
    /// Behind and between the panes.
    pub background: Yuv,
}

impl Default for ConferencePolicy {
    /// Layout by numbers, labels, three seconds between speakers, 30 pictures a second.
    fn default() -> Self {
        Self {
            name: String::new(),
            layout: Layout::Automatic,
            self_pane_mode: SelfPaneMode::Skip,
            placement_highest_importance: None,
            active_speaker_mode: ActiveSpeakerMode::Ignore,
            speaker_hold: Duration::from_secs(3),
            labels: true,
            cards: false,
            message: None,
            indicators: Indicators::default(),
            frame_rate_max_hz: 30,
            background: Yuv::from_rgb(0x16, 0x1b, 0x22),
        }
    }
}

/// What is left out while the machine does not keep up; each leaves out what the ones
/// before it do.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Thrift {
    /// Nothing.
    #[default]
    Nothing,
    /// More than 30 pictures a second.
    Motion,
    /// People above 720p. Content, which is text at a few pictures a second, stays.
    Size,
}

impl Thrift {
    /// One step more.
    #[must_use]
    pub const fn more(self) -> Self {
        match self {
            Self::Nothing => Self::Motion,
            Self::Motion | Self::Size => Self::Size,
        }
    }

    /// One step less.
    #[must_use]
    pub const fn less(self) -> Self {
        match self {
            Self::Nothing | Self::Motion => Self::Nothing,
            Self::Size => Self::Motion,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_name_what_they_are_the_number_of() {
        for layout in Layout::ALL {
            assert_eq!(Layout::from_u8(layout as u8), Some(layout));
        }
        assert_eq!(Layout::from_u8(0), None);
        assert_eq!(Layout::from_u8(14), None);
        for value in 0..=u8::MAX {
            let same = |number: Option<u8>, max| number == (value <= max).then_some(value);
            assert!(same(SelfPaneMode::from_u8(value).map(|v| v as u8), 2));
            assert!(same(ActiveSpeakerMode::from_u8(value).map(|v| v as u8), 1));
            assert!(same(MessagePosition::from_u8(value).map(|v| v as u8), 2));
        }
    }
}
