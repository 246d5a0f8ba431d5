//! Video streams of a leg: slots, and what the media plane was told of them.

use plenum_abi::VideoConfig;
use plenum_model::CallLegConfiguration;
use serde::{Deserialize, Serialize};
use zerocopy::{FromBytes, IntoBytes};

use crate::Place;

/// Which of a leg's two pictures.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum StreamKind {
    /// The far end's camera against the composed view.
    Main,
    /// The far end's screen against another's.
    Content,
}

impl StreamKind {
    pub(crate) const ALL: [Self; 2] = [Self::Main, Self::Content];
}

/// A stream that has a slot.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub(crate) place: Place,
    /// SSRC under which we send, and under which we send again.
    pub(crate) ssrcs: (u32, u32),
    /// What the media plane was last told; `None` before anything was agreed.
    pub(crate) config: Option<VideoConfig>,
}

/// A leg's streams.
#[derive(Clone, Debug, Default)]
pub(crate) struct Video {
    main: Option<Stream>,
    content: Option<Stream>,
}

impl Video {
    pub(crate) const fn stream(&self, kind: StreamKind) -> Option<&Stream> {
        match kind {
            StreamKind::Main => self.main.as_ref(),
            StreamKind::Content => self.content.as_ref(),
        }
    }

    pub(crate) const fn slot(&mut self, kind: StreamKind) -> &mut Option<Stream> {
        match kind {
            StreamKind::Main => &mut self.main,
            StreamKind::Content => &mut self.content,
        }
    }

    pub(crate) fn streams(&self) -> impl Iterator<Item = &Stream> {
        self.main.iter().chain(&self.content)
    }
}

/// What of a stream outlives the control process.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SavedStream {
    /// Its slot.
    pub place: Place,
    /// SSRC under which we send, and under which we send again.
    pub ssrcs: (u32, u32),
    /// Bytes of the last [`VideoConfig`]; empty before the first.
    pub config: Vec<u8>,
}

/// What of a leg's streams outlives the control process.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct SavedVideo {
    /// Camera and view.
    pub main: Option<SavedStream>,
    /// Screens.
    pub content: Option<SavedStream>,
}

impl Stream {
    fn saved(&self) -> SavedStream {
        let bytes = |config: &VideoConfig| config.as_bytes().to_vec();
        SavedStream {
            place: self.place,
            ssrcs: self.ssrcs,
            config: self.config.as_ref().map_or_else(Vec::new, bytes),
        }
    }

    fn restored(saved: &SavedStream) -> Self {
        Self {
            place: saved.place,
            ssrcs: saved.ssrcs,
            config: VideoConfig::read_from_bytes(&saved.config).ok(),
        }
    }
}

impl Video {
    pub(crate) fn saved(&self) -> SavedVideo {
        SavedVideo {
            main: self.main.as_ref().map(Stream::saved),
            content: self.content.as_ref().map(Stream::saved),
        }
    }

    pub(crate) fn restored(saved: &SavedVideo) -> Self {
        Self {
            main: saved.main.as_ref().map(Stream::restored),
            content: saved.content.as_ref().map(Stream::restored),
        }
    }
}

impl SavedVideo {
    /// Slots of the streams.
    pub fn places(&self) -> impl Iterator<Item = Place> {
        let streams = self.main.iter().chain(&self.content);
        streams.map(|stream| stream.place)
    }
}

/// Writes the switches of the API into `config`.
pub(crate) fn muted(config: &mut VideoConfig, wish: &CallLegConfiguration) {
    use plenum_abi::VideoFlags;
    config.flags = config
        .flags()
        .with(VideoFlags::RX_VIDEO_MUTE, wish.rx_video_mute == Some(true))
        .with(VideoFlags::TX_VIDEO_MUTE, wish.tx_video_mute == Some(true))
        .0;
}
