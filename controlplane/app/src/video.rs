//! Video streams of a leg: slots, and what the media plane was told of them.

use plenum_abi::{Nanos, VideoCodec, VideoConfig};
use plenum_model::{CallLegConfiguration, VideoCodecName, VideoRole, VideoStatus};
use serde::{Deserialize, Serialize};
use zerocopy::{FromBytes, IntoBytes};

use crate::app::Asked;
use crate::leg::{loss_percent, millis, per_second};
use crate::{Place, VideoCounters};

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

    const fn role(self) -> VideoRole {
        match self {
            Self::Main => VideoRole::Main,
            Self::Content => VideoRole::Presentation,
        }
    }
}

/// Times that a stream may make its decoder fail; the media plane's number.
const CRASHES_MAX: u64 = 2;

/// What flowed lately.
#[derive(Clone, Copy, Debug, Default)]
struct Rates {
    rx_bps: u64,
    tx_bps: u64,
    /// Pictures in a thousand seconds.
    rx_frames: u64,
    tx_frames: u64,
    rx_loss_percent: f64,
}

/// A stream that has a slot.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub(crate) place: Place,
    /// SSRC under which we send, and under which we send again.
    pub(crate) ssrcs: (u32, u32),
    /// What the media plane was last told; `None` before anything was agreed.
    pub(crate) config: Option<VideoConfig>,
    pub(crate) flow: Flow,
    pub(crate) asked: Asked,
}

/// What goes through a stream.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flow {
    sampled: Option<(Nanos, VideoCounters)>,
    rates: Rates,
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

    pub(crate) fn streams_mut(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.main.iter_mut().chain(&mut self.content)
    }

    /// What `look` says of each stream.
    pub(crate) fn statuses(
        &self,
        look: impl Fn(&Stream, StreamKind) -> Option<VideoStatus>,
    ) -> Vec<VideoStatus> {
        let of = |kind| look(self.stream(kind)?, kind);
        StreamKind::ALL.into_iter().filter_map(of).collect()
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

impl Flow {
    /// Takes a sample of the counters; rates are from one sample to the next.
    pub(crate) fn sample(&mut self, now: Nanos, counters: VideoCounters) {
        if let Some((at, before)) = self.sampled {
            let span = now.since(at);
            let rate = |now, before, scale| per_second(now, before, scale, span);
            let lost = counters.rx_lost.saturating_sub(before.rx_lost);
            let came = counters.rx_packets.saturating_sub(before.rx_packets);
            self.rates = Rates {
                rx_bps: rate(counters.rx_bytes, before.rx_bytes, 8),
                tx_bps: rate(counters.tx_bytes, before.tx_bytes, 8),
                rx_frames: rate(counters.rx_frames, before.rx_frames, 1_000),
                tx_frames: rate(counters.tx_frames, before.tx_frames, 1_000),
                rx_loss_percent: loss_percent(came, lost),
            };
        }
        self.sampled = Some((now, counters));
    }

    /// Bits a second that came and went lately.
    pub(crate) const fn bit_rates(&self) -> (u64, u64) {
        (self.rates.rx_bps, self.rates.tx_bps)
    }
}

const fn size(word: u64) -> (u16, u16) {
    ((word >> 16) as u16, word as u16)
}

/// `None` for what this release does not know.
const fn codec_name(codec: VideoCodec) -> Option<VideoCodecName> {
    Some(match codec {
        VideoCodec::H264 => VideoCodecName::H264,
        VideoCodec::Vp8 => VideoCodecName::Vp8,
        VideoCodec::Vp9 => VideoCodecName::Vp9,
        VideoCodec::Av1 => VideoCodecName::Av1,
        _ => return None,
    })
}

impl Stream {
    /// The picture that comes; `None` before the first packet.
    pub(crate) fn received(&self, kind: StreamKind) -> Option<VideoStatus> {
        let (_, counters) = self.flow.sampled?;
        let codec = VideoCodec::from_u8(u8::try_from(counters.rx_codec).ok()?)?;
        let rates = &self.flow.rates;
        Some(VideoStatus {
            role: kind.role(),
            codec: codec_name(codec)?,
            size: size(counters.rx_size),
            frame_rate_hz: rates.rx_frames as f64 / 1_000.0,
            jitter_ms: millis(counters.rx_jitter_us),
            bit_rate: rates.rx_bps,
            allowed_bit_rate: None,
            packet_loss_percentage: rates.rx_loss_percent,
            round_trip_time_ms: None,
            put_aside: counters.rx_decoder_crashes >= CRASHES_MAX,
        })
    }

    /// The picture that goes; `None` before the first.
    pub(crate) fn sent(&self, kind: StreamKind) -> Option<VideoStatus> {
        let (_, counters) = self.flow.sampled.filter(|(_, c)| c.tx_frames > 0)?;
        let payload = self.config.as_ref()?.tx_payload()?;
        let rates = &self.flow.rates;
        Some(VideoStatus {
            role: kind.role(),
            codec: codec_name(VideoCodec::from_u8(payload.codec)?)?,
            size: size(counters.tx_size),
            frame_rate_hz: rates.tx_frames as f64 / 1_000.0,
            jitter_ms: millis(counters.tx_jitter_us),
            bit_rate: rates.tx_bps,
            allowed_bit_rate: Some(counters.tx_allowed_bps),
            packet_loss_percentage: counters.tx_loss_fraction.min(255) as f64 * 100.0 / 256.0,
            round_trip_time_ms: (counters.round_trip_us > 0)
                .then(|| millis(counters.round_trip_us)),
            put_aside: false,
        })
    }

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
            flow: Flow::default(),
            asked: Asked::default(),
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
