//! One connection of a call.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use plenum_abi::{
    AudioCodec, LegConfig, LegFlags, NO_PAYLOAD_TYPE, Nanos, Text, VideoConfig, VideoFlags,
};
use plenum_model::{
    AudioReceive, AudioSend, CallId, CallLegConfiguration, CallLegId, CallLegState, CallLegStatus,
    CallLegSummary, CallLegType, CallLegView, Direction, Layout,
};
use plenum_sdp::PendingOffer;

use crate::call::Call;
use crate::digits::Sequence;
use crate::media;
use crate::video::{Stream, StreamKind, Video};
use crate::web::{WebEnd, WebParticipant, WebPresence};
use crate::world::{Moment, Output};
use crate::{Counters, Place, SavedLeg};

/// Digits remembered of what a leg dialled.
const DIGITS_KEPT: usize = 32;

/// How far the session has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Phase {
    /// We accepted and wait for the acknowledgement, or called and wait for a sign.
    Initial,
    /// We called and it rings there.
    Ringing,
    /// The session stands.
    Connected,
}

/// What flowed lately.
#[derive(Clone, Copy, Debug, Default)]
struct Rates {
    rx_bps: u64,
    tx_bps: u64,
    rx_loss_percent: f64,
}

#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) id: CallLegId,
    pub(crate) call: CallId,
    /// Order of creation.
    pub(crate) number: u64,
    pub(crate) place: Place,
    pub(crate) direction: Direction,
    pub(crate) phase: Phase,
    pub(crate) name: String,
    pub(crate) remote_party: String,
    pub(crate) local_address: String,
    pub(crate) sip_call_id: String,
    pub(crate) local_ip: IpAddr,
    pub(crate) began_unix_ms: i64,
    pub(crate) connected_unix_ms: Option<i64>,
    pub(crate) configuration: CallLegConfiguration,
    /// What the media plane was last told; `None` before anything was agreed.
    pub(crate) config: Option<LegConfig>,
    /// The SDP we sent last.
    pub(crate) local_sdp: Option<String>,
    /// An offer of ours that waits for its answer.
    pub(crate) pending: Option<PendingOffer>,
    /// Silence counts from here at the earliest.
    pub(crate) listening_since: Nanos,
    /// A called party is given up then.
    pub(crate) ring_until: Option<Nanos>,
    /// Digits the far end dialled, oldest first.
    pub(crate) digits: VecDeque<char>,
    /// Digits to be dialled as soon as it is connected.
    pub(crate) digits_when_connected: String,
    /// Digits to be dialled there.
    pub(crate) sequence: Sequence,
    /// New keys are to be tried again then (RFC 3261 section 14.1).
    pub(crate) rekey_at: Option<Nanos>,
    pub(crate) video: Video,
    /// Counts the names that it was shown under.
    pub(crate) label_revision: u64,
    /// The far end is a browser; `None` is SIP.
    pub(crate) web: Option<Box<WebEnd>>,
    sampled: Option<(Nanos, Counters)>,
    rates: Rates,
}

/// What makes a leg.
pub(crate) struct NewLeg {
    pub(crate) id: CallLegId,
    pub(crate) call: CallId,
    pub(crate) number: u64,
    pub(crate) place: Place,
    pub(crate) direction: Direction,
    pub(crate) name: String,
    pub(crate) remote_party: String,
    pub(crate) local_address: String,
    pub(crate) sip_call_id: String,
    pub(crate) local_ip: IpAddr,
}

impl Leg {
    pub(crate) fn new(new: NewLeg, now: Moment) -> Self {
        Self {
            id: new.id,
            call: new.call,
            number: new.number,
            place: new.place,
            direction: new.direction,
            phase: Phase::Initial,
            name: new.name,
            remote_party: new.remote_party,
            local_address: new.local_address,
            sip_call_id: new.sip_call_id,
            local_ip: new.local_ip,
            began_unix_ms: now.unix_ms,
            connected_unix_ms: None,
            configuration: CallLegConfiguration::default(),
            config: None,
            local_sdp: None,
            pending: None,
            listening_since: now.monotonic,
            ring_until: None,
            digits: VecDeque::new(),
            digits_when_connected: String::new(),
            sequence: Sequence::default(),
            rekey_at: None,
            video: Video::default(),
            label_revision: 1,
            web: None,
            sampled: None,
            rates: Rates::default(),
        }
    }

    pub(crate) fn restored(saved: &SavedLeg, number: u64, now: Moment) -> Self {
        let direction = if saved.outgoing {
            Direction::Outgoing
        } else {
            Direction::Incoming
        };
        let new = NewLeg {
            id: saved.id,
            call: saved.call.id,
            number,
            place: saved.place,
            direction,
            name: saved.name.clone(),
            remote_party: saved.remote_party.clone(),
            local_address: saved.local_address.clone(),
            sip_call_id: saved.sip_call_id.clone(),
            local_ip: saved.local_ip,
        };
        let mut leg = Self::new(new, now);
        if saved.connected {
            leg.phase = Phase::Connected;
        }
        leg.began_unix_ms = saved.began_unix_ms;
        leg.connected_unix_ms = saved.connected_unix_ms;
        leg.local_sdp = saved.local_sdp.clone();
        leg.config = saved.leg_config();
        leg.configuration = CallLegConfiguration {
            rx_audio_mute: saved.rx_audio_mute,
            tx_audio_mute: saved.tx_audio_mute,
            name_label_override: saved.name_label_override.clone(),
            owner_id: saved.owner_id.clone(),
            sip_media_encryption: saved.encryption,
            rx_video_mute: saved.rx_video_mute,
            tx_video_mute: saved.tx_video_mute,
            default_layout: read_layout(saved.default_layout.as_deref()),
            chosen_layout: read_layout(saved.chosen_layout.as_deref()),
        };
        leg.video = Video::restored(&saved.video);
        leg.label_revision = saved.label_revision.max(1);
        let web = saved.web.as_ref();
        leg.web = web.map(|web| Box::new(WebEnd::restored(web, now.monotonic)));
        leg
    }

    pub(crate) fn saved(&self, call: &Call) -> SavedLeg {
        SavedLeg {
            id: self.id,
            call: call.saved(),
            place: self.place,
            outgoing: self.direction == Direction::Outgoing,
            connected: self.phase == Phase::Connected,
            name: self.name.clone(),
            remote_party: self.remote_party.clone(),
            local_address: self.local_address.clone(),
            sip_call_id: self.sip_call_id.clone(),
            local_ip: self.local_ip,
            began_unix_ms: self.began_unix_ms,
            connected_unix_ms: self.connected_unix_ms,
            local_sdp: self.local_sdp.clone(),
            offering: self.pending.is_some(),
            config: SavedLeg::config_bytes(self.config.as_ref()),
            rx_audio_mute: self.configuration.rx_audio_mute,
            tx_audio_mute: self.configuration.tx_audio_mute,
            name_label_override: self.configuration.name_label_override.clone(),
            owner_id: self.configuration.owner_id.clone(),
            encryption: self.configuration.sip_media_encryption,
            rx_video_mute: self.configuration.rx_video_mute,
            tx_video_mute: self.configuration.tx_video_mute,
            default_layout: self
                .configuration
                .default_layout
                .map(|layout| layout.to_string()),
            chosen_layout: self
                .configuration
                .chosen_layout
                .map(|layout| layout.to_string()),
            label_revision: self.label_revision,
            video: self.video.saved(),
            web: self
                .web
                .as_deref()
                .map(|web| web.saved(call.room.sharer == Some(self.id))),
        }
    }

    /// The name on its pane.
    pub(crate) fn label(&self) -> Output {
        Output::SetLabel {
            place: self.place,
            text: Box::new(Text::new(self.label_revision, &self.shown_name())),
        }
    }

    fn shown_name(&self) -> String {
        let label = self.configuration.name_label_override.as_ref();
        label.unwrap_or(&self.name).clone()
    }

    /// Whether the far end is a browser whose socket is there.
    pub(crate) fn is_attached(&self) -> bool {
        self.web.as_deref().is_some_and(WebEnd::is_attached)
    }

    /// Its line in the list of participants; `None` before it has come.
    pub(crate) fn participant(&self, sharing: bool) -> Option<WebParticipant> {
        let presence = match (&self.web, self.state()) {
            (Some(web), _) if !web.came => return None,
            (Some(web), _) if web.lost || !web.is_attached() => WebPresence::Reconnecting,
            (None, CallLegState::Initial) if self.direction == Direction::Incoming => return None,
            (_, CallLegState::Initial | CallLegState::Ringing) => WebPresence::Ringing,
            (_, CallLegState::OnHold) => WebPresence::OnHold,
            (_, CallLegState::Connected) => WebPresence::Connected,
        };
        let main = self.video.stream(StreamKind::Main);
        let receives = |config: VideoConfig| config.flags().contains(VideoFlags::RECEIVE);
        Some(WebParticipant {
            id: self.id,
            name: self.summary().name,
            web: self.web.is_some(),
            presence,
            audio_muted: self.configuration.rx_audio_mute == Some(true),
            video_muted: self.configuration.rx_video_mute == Some(true),
            has_video: main.and_then(|main| main.config).is_some_and(receives),
            hand_raised: self.web.as_deref().is_some_and(|web| web.hand_raised),
            sharing,
            joined_unix_ms: self.connected_unix_ms.unwrap_or(self.began_unix_ms),
        })
    }

    /// Whether the far end should be heard now.
    pub(crate) fn listens(&self) -> bool {
        let receives = |config: &LegConfig| config.flags().contains(LegFlags::RECEIVE);
        // A browser may be silent for long; its transport says whether it is there.
        self.phase == Phase::Connected
            && self.web.is_none()
            && self.config.as_ref().is_some_and(receives)
    }

    fn on_hold(&self) -> bool {
        let sends = |config: &LegConfig| config.flags().contains(LegFlags::SEND);
        self.web.is_none() && !self.config.as_ref().is_none_or(sends)
    }

    /// Whether digits can go as telephone-events.
    pub(crate) fn has_telephone_event(&self) -> bool {
        let agreed = |config: &LegConfig| config.telephone_event_payload_type != NO_PAYLOAD_TYPE;
        self.config.as_ref().is_some_and(agreed)
    }

    /// When digits or new keys are to be sent, if any are.
    pub(crate) fn deadlines(&self) -> impl Iterator<Item = Nanos> {
        self.sequence.deadline().into_iter().chain(self.rekey_at)
    }

    pub(crate) fn heard_digit(&mut self, digit: char) {
        if self.digits.len() == DIGITS_KEPT {
            self.digits.pop_front();
        }
        self.digits.push_back(digit);
    }

    /// Takes a sample of the counters; rates are from one sample to the next.
    pub(crate) fn sample(&mut self, now: Nanos, counters: Counters) {
        if let Some((at, before)) = self.sampled {
            let span = now.since(at);
            let rate = |now, before| per_second(now, before, 8, span);
            let came = counters.rx_packets.saturating_sub(before.rx_packets);
            let lost = counters.rx_lost.saturating_sub(before.rx_lost);
            self.rates = Rates {
                rx_bps: rate(counters.rx_bytes, before.rx_bytes),
                tx_bps: rate(counters.tx_bytes, before.tx_bytes),
                rx_loss_percent: loss_percent(came, lost),
            };
        }
        self.sampled = Some((now, counters));
    }

    pub(crate) fn bit_rates(&self) -> (u64, u64) {
        (self.rates.rx_bps, self.rates.tx_bps)
    }

    pub(crate) fn state(&self) -> CallLegState {
        match self.phase {
            Phase::Initial => CallLegState::Initial,
            Phase::Ringing => CallLegState::Ringing,
            Phase::Connected if self.on_hold() => CallLegState::OnHold,
            Phase::Connected => CallLegState::Connected,
        }
    }

    pub(crate) fn summary(&self) -> CallLegSummary {
        CallLegSummary {
            id: self.id,
            name: self.shown_name(),
            remote_party: self.remote_party.clone(),
            original_remote_party: self.remote_party.clone(),
            call: self.call,
        }
    }

    pub(crate) fn view(&self, now: Moment) -> CallLegView {
        let suite = self.config.as_ref().and_then(LegConfig::suite);
        let since = self.connected_unix_ms.unwrap_or(self.began_unix_ms);
        // A browser's media is never plain; its suite is the transport's.
        let encrypted = suite.is_some() || self.web.is_some() && self.config.is_some();
        CallLegView {
            summary: self.summary(),
            local_address: self.local_address.clone(),
            leg_type: match self.web {
                Some(_) => CallLegType::WebApp,
                None => CallLegType::Sip,
            },
            direction: self.direction,
            configuration: self.configuration.clone(),
            status: CallLegStatus {
                state: self.state(),
                duration: now.since_unix_ms(since),
                sip_call_id: self.sip_call_id.clone(),
                encrypted_media: encrypted,
                unencrypted_media: self.config.is_some() && !encrypted,
                cipher_suite: suite.and_then(media::cipher_suite),
                rx_audio: self.rx_audio(),
                tx_audio: self.tx_audio(),
                rx_video: self.video.statuses(Stream::received),
                tx_video: self.video.statuses(Stream::sent),
            },
        }
    }

    fn rx_audio(&self) -> Option<AudioReceive> {
        let (_, counters) = self
            .sampled
            .filter(|(_, counters)| counters.rx_packets > 0)?;
        let codec = u8::try_from(counters.rx_codec).ok()?;
        Some(AudioReceive {
            codec: media::codec_name(AudioCodec::from_u8(codec)?)?,
            jitter_ms: millis(counters.rx_jitter_us),
            bit_rate: self.rates.rx_bps,
            packet_loss_percentage: self.rates.rx_loss_percent,
            gain_applied: 0.0,
        })
    }

    fn tx_audio(&self) -> Option<AudioSend> {
        let (_, counters) = self
            .sampled
            .filter(|(_, counters)| counters.tx_packets > 0)?;
        let (codec, _) = self.config.as_ref()?.tx_codec()?;
        Some(AudioSend {
            codec: media::codec_name(codec)?,
            jitter_ms: millis(counters.tx_jitter_us),
            bit_rate: self.rates.tx_bps,
            packet_loss_percentage: counters.tx_loss_fraction.min(255) as f64 * 100.0 / 256.0,
            round_trip_time_ms: (counters.round_trip_us > 0)
                .then(|| millis(counters.round_trip_us)),
        })
    }
}

/// What was saved by a release that had other layouts is no choice.
fn read_layout(word: Option<&str>) -> Option<Layout> {
    word?.parse().ok()
}

/// What a counter grew by in `span`, times `scale`, a second. A restarted worker
/// counts on; should one ever begin anew, rates are 0.
pub(crate) fn per_second(now: u64, before: u64, scale: u64, span: Duration) -> u64 {
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let grown = now.saturating_sub(before).saturating_mul(scale * 1_000);
    grown.checked_div(millis).unwrap_or(0)
}

/// Share of packets that never came, 0.0 to 100.0.
pub(crate) fn loss_percent(came: u64, lost: u64) -> f64 {
    match came + lost {
        0 => 0.0,
        expected => lost as f64 * 100.0 / expected as f64,
    }
}

pub(crate) fn millis(micros: u64) -> u32 {
    u32::try_from((micros + 500) / 1_000).unwrap_or(u32::MAX)
}
