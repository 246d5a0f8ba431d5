//! One video stream of a leg on its worker.
//!
//! ```text
//! datagram -> SRTP -> whose is it? -> reorder -> assemble -> access unit -> module
//! module -> encoded picture -> packets -> SRTP -> paced -> datagrams
//! ```
//!
//! As a leg is ([`crate::leg`]), a stream is what its configuration says plus what
//! has happened to it, and both are in its record. Pictures themselves are not: after
//! a crash the far end is asked for a key frame, and so is the module.
//!
//! Keys and addresses are [`path`]'s, what comes in [`inbound`]'s, what goes out
//! [`outbound`]'s, what the path to a browser carries [`bandwidth`]'s.

mod bandwidth;
mod inbound;
mod outbound;
mod path;
mod rate;
mod ssrcs;

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::Duration;

use plenum_abi::{
    LAYERS_MAX, ModuleReceiver, NO_PAYLOAD_TYPE, Nanos, RejectReason, SlotRef, SlotState,
    VideoCodec, VideoConfig, VideoFlags, VideoRecord, receiver_flags,
};
use plenum_rtp::packet::header_extension;
use plenum_rtp::rtcp::{RateBound, RtcpTimerConfig};
use plenum_rtp::video::{History, KeyFrameRequests, LayerChooser};
use plenum_uring::Driver;
use rand::Rng;

use crate::counters::{add, set};
use crate::report::{Reports, ReportsConfig};
use crate::transports::Bundle;

pub(crate) use bandwidth::Bandwidth;
use inbound::Inflow;
pub(crate) use inbound::{Inlet, VideoInbound};
pub(crate) use outbound::EncodedPicture;
use outbound::{Again, Packetizer, Waiting};
use path::Path;
use rate::SendRate;
pub(crate) use ssrcs::Carries;
use ssrcs::Ssrcs;

/// A stream that killed its decoder so often is put aside.
const CRASHES_MAX: u64 = 2;
/// Longest payload of an RTP packet, bytes: below every usual path's MTU with IPv6,
/// UDP, RTP and SRTP around it.
const PAYLOAD_MAX: usize = 1_200;
/// So long after its last picture a stream still counts as sent.
const SENDS_FOR: Duration = Duration::from_secs(2);
/// Bandwidth of a video session as RTCP's share is counted from it, bit/s: some five
/// reports a second, which is as often as rates are changed by them.
const SESSION_BPS: u32 = 200_000;

/// See the [module](self).
pub(crate) struct VideoStream {
    pub(crate) slot: u32,
    pub(crate) config: VideoConfig,
    /// What its leg's transport gives it; `None` for a stream with sockets of its own.
    bundle: Option<Bundle>,
    path: Path,
    /// RTP packets that were authentic.
    opened: u64,
    /// SSRCs under which the far end sent it, retransmissions included.
    ssrcs: Ssrcs,
    /// Which of the far end's layers should be in use; `None` for one plain stream.
    chooser: Option<LayerChooser>,
    /// What is in use of what the far end sends: its one stream, or a layer of it.
    inflow: Option<Inflow>,
    /// The layer that is to be used instead, until a key frame of it has come.
    next: Option<Inflow>,
    /// Packets that never came of layers that are not in use any more.
    lost_before: u64,
    /// By layer; of a plain stream the first counts.
    key_frames: [KeyFrameRequests; LAYERS_MAX],
    /// Number of the last full intra request (RFC 5104 section 4.3.1).
    fir_command: u8,
    reports: Reports,
    packetizer: Packetizer,
    rate: SendRate,
    /// What the far end asked for and is to be told that it is kept to.
    bound_to_confirm: Option<RateBound>,
    /// Nothing is of use to the far end before a key frame.
    awaits_key_frame: bool,
    /// What was sent lately, where the far end may ask for it again.
    history: Option<History>,
    again: Again,
    /// Packets of a large picture that wait for their moment.
    backlog: VecDeque<Waiting>,
    /// Bytes of their payloads.
    backlog_bytes: u32,
    /// When a packet of a picture last left.
    sent_at: Nanos,
    /// Added to the stage's clock; `None` before the first picture.
    timestamp_offset: Option<u32>,
    /// RTP timestamp of the first picture of all.
    first_timestamp: u32,
}

/// Whether packets are sent again to the far end (RFC 4588).
fn sends_again(config: &VideoConfig) -> bool {
    let payload = config.tx_payload().unwrap_or_default();
    config.flags().contains(VideoFlags::NACK)
        && payload.rtx_payload_type != NO_PAYLOAD_TYPE
        && config.tx_rtx_ssrc != 0
}

fn history(config: &VideoConfig) -> Option<History> {
    sends_again(config).then(|| History::new(PAYLOAD_MAX))
}

/// What a stream sends and receives as, if it can be.
pub(crate) fn check(config: &VideoConfig) -> Result<(), RejectReason> {
    let payload_known = |payload: &plenum_abi::VideoPayload| {
        payload.codec == 0
            || matches!(
                VideoCodec::from_u8(payload.codec),
                Some(VideoCodec::H264 | VideoCodec::Vp8)
            ) && payload.payload_type < 128
    };
    let suite_known = config.srtp_suite == 0 || config.suite().is_some();
    let supported =
        config.payloads.iter().all(payload_known) && config.tx_payload().is_some() && suite_known;
    supported.then_some(()).ok_or(RejectReason::Unsupported)
}

impl VideoStream {
    /// Sets up a new tenant of a slot. The record becomes live last. `socket` is the
    /// key of its RTP socket, `leg_guid` its leg's id.
    pub(crate) fn create(
        now: Nanos,
        at: (u32, u32),
        (wanted, bundle): (VideoConfig, Option<Bundle>),
        leg_guid: [u8; 16],
        record: &VideoRecord,
        driver: &Driver,
        rng: &mut impl Rng,
    ) -> Self {
        let free = SlotState::Free as u32;
        record.state.store(free, Ordering::Release);
        record.last_received.store(0, Ordering::Relaxed);
        record.stats.reset();
        let config = path::with_bundle(&wanted, bundle.as_ref());
        path::begin(record, &config, rng);
        for place in &record.ssrcs {
            place.store(0, Ordering::Relaxed);
        }
        record.config.store(&wanted);
        record
            .generation
            .store(config.generation, Ordering::Release);
        let stream = Self::adopt(now, at, (wanted, bundle), leg_guid, record, driver, rng);
        record
            .state
            .store(SlotState::Live as u32, Ordering::Release);
        stream
    }

    /// Goes on with a stream that a worker before this one had.
    pub(crate) fn adopt(
        now: Nanos,
        (slot, socket): (u32, u32),
        (wanted, bundle): (VideoConfig, Option<Bundle>),
        leg_guid: [u8; 16],
        record: &VideoRecord,
        driver: &Driver,
        rng: &mut impl Rng,
    ) -> Self {
        let config = path::with_bundle(&wanted, bundle.as_ref());
        let feedback =
            config.flags().contains(VideoFlags::PLI) || config.flags().contains(VideoFlags::NACK);
        let timer = match feedback {
            true => RtcpTimerConfig::avpf(SESSION_BPS),
            false => RtcpTimerConfig::avp(SESSION_BPS),
        };
        let reports = ReportsConfig {
            leg_guid,
            clock_hz: VideoCodec::H264.rtp_clock_hz(),
            timer,
        };
        let mut key_frames = <[KeyFrameRequests; LAYERS_MAX]>::default();
        if record.last_received().is_some() && !config.is_layered() {
            key_frames[0].need();
        }
        Self {
            slot,
            path: Path::new(now, socket, (&config, bundle.as_ref()), record, driver, rng),
            bundle,
            opened: 0,
            ssrcs: Ssrcs::load(record),
            chooser: config.is_layered().then(LayerChooser::default),
            inflow: None,
            next: None,
            lost_before: 0,
            key_frames,
            fir_command: rng.random(),
            reports: Reports::new(now, &reports, rng),
            packetizer: Packetizer::new(&config, rng),
            rate: SendRate::new(config.tx_bit_rate_bps_max),
            bound_to_confirm: None,
            awaits_key_frame: true,
            backlog: VecDeque::new(),
            backlog_bytes: 0,
            sent_at: Nanos::ZERO,
            history: history(&config),
            again: Again::default(),
            timestamp_offset: None,
            first_timestamp: rng.random(),
            config,
        }
    }

    /// Makes the stream what a newer configuration says, keeping what did not change.
    pub(crate) fn update(
        &mut self,
        now: Nanos,
        wanted: VideoConfig,
        record: &VideoRecord,
        driver: &Driver,
        rng: &mut impl Rng,
    ) {
        record.config.store(&wanted);
        let config = path::with_bundle(&wanted, self.bundle.as_ref());
        self.turn_into(now, config, record, driver, rng);
    }

    /// Takes what its leg's transport has come to: keys, a path, or the loss of it.
    pub(crate) fn set_bundle(
        &mut self,
        now: Nanos,
        bundle: Bundle,
        record: &VideoRecord,
        driver: &Driver,
        rng: &mut impl Rng,
    ) {
        let config = path::with_bundle(&self.config, Some(&bundle));
        let was_open = self.path.is_open();
        self.bundle = Some(bundle);
        self.turn_into(now, config, record, driver, rng);
        self.path.set_route(bundle.route);
        self.awaits_key_frame |= !was_open;
    }

    fn turn_into(
        &mut self,
        now: Nanos,
        config: VideoConfig,
        record: &VideoRecord,
        driver: &Driver,
        rng: &mut impl Rng,
    ) {
        let before = std::mem::replace(&mut self.config, config);
        self.path.update(now, &before, &config, record, driver, rng);
        if sends_again(&config) != self.history.is_some() {
            self.history = history(&config);
        }
        if config.tx_key_epoch != before.tx_key_epoch || config.tx_ssrc != before.tx_ssrc {
            // What was sent under other keys is not sent again under these.
            self.history.iter_mut().for_each(History::clear);
        }
        if config.payloads != before.payloads {
            self.packetizer = Packetizer::new(&config, rng);
            self.awaits_key_frame = true;
        }
        if config.payloads != before.payloads || config.rids != before.rids {
            (self.inflow, self.next) = (None, None);
        }
        if config.rids != before.rids {
            // Layers are known by their place among the RIDs.
            self.ssrcs.forget(record);
            self.chooser = config.is_layered().then(LayerChooser::default);
        }
        let unseen = |config: &VideoConfig| config.flags().contains(VideoFlags::RX_VIDEO_MUTE);
        if unseen(&before) && !unseen(&config) {
            // What was asked for while nobody looked delays nothing now.
            self.key_frames = Default::default();
            self.need_key_frame();
        }
        if config.tx_ssrc != before.tx_ssrc {
            self.timestamp_offset = None;
            record.transmit.clock_at.store(0, Ordering::Relaxed);
        }
        if config.tx_bit_rate_bps_max != before.tx_bit_rate_bps_max {
            self.rate = SendRate::new(config.tx_bit_rate_bps_max);
        }
    }

    /// Frees the record. Keys are overwritten.
    pub(crate) fn remove(mut self, record: &VideoRecord, driver: &mut Driver) {
        for waiting in self.backlog.drain(..) {
            driver.release(waiting.lease);
        }
        record
            .state
            .store(SlotState::Free as u32, Ordering::Release);
        record.config.clear();
        record.path.remote_rtp.clear();
        record.path.remote_rtcp.clear();
    }

    /// The stream by slot and generation.
    pub(crate) fn slot_ref(&self) -> SlotRef {
        SlotRef {
            slot: self.slot,
            generation: self.config.generation,
        }
    }

    /// Whether it is the leg's content.
    pub(crate) fn is_content(&self) -> bool {
        self.config.flags().contains(VideoFlags::CONTENT)
    }

    /// RTP packets so far that were authentic.
    pub(crate) const fn opened(&self) -> u64 {
        self.opened
    }

    /// Whether it came under this SSRC before.
    pub(crate) fn knows(&self, ssrc: u32) -> bool {
        self.ssrcs.knows(ssrc)
    }

    /// What a packet says that it carries, by the header extensions with these ids:
    /// of a RID and of a repaired one. To be believed once it was authenticated.
    pub(crate) fn named_in(&self, packet: &[u8], [rid_id, repaired_id]: [u8; 2]) -> Carries {
        let layer = |id| self.config.layer(header_extension(packet, id)?);
        match (layer(repaired_id), layer(rid_id)) {
            (Some(layer), _) => Carries::Repair(layer),
            (None, Some(layer)) => Carries::Layer(layer),
            (None, None) => Carries::Unnamed,
        }
    }

    /// Rows of the largest pane that shows it; 0 while none does.
    pub(crate) fn ask_rows(&mut self, now: Nanos, rows: u32) {
        if let Some(chooser) = &mut self.chooser {
            chooser.ask(now, rows);
        }
    }

    /// The receiver that a module sees in it; `None` where nothing may be sent, or
    /// cannot yet.
    pub(crate) fn receiver(&mut self, conference: SlotRef, layout: u8) -> Option<ModuleReceiver> {
        let flags = self.config.flags();
        let payload = self.config.tx_payload()?;
        if !flags.contains(VideoFlags::SEND) || !self.path.is_open() {
            return None;
        }
        let _ = self.rate.take_change();
        let mut bits = 0;
        for (flag, bit) in [
            (VideoFlags::CONTENT, receiver_flags::CONTENT),
            (VideoFlags::CONTENT_IN_MAIN, receiver_flags::CONTENT_IN_MAIN),
            (VideoFlags::TX_VIDEO_MUTE, receiver_flags::PAUSED),
        ] {
            if flags.contains(flag) {
                bits |= bit;
            }
        }
        let single = payload.codec == VideoCodec::H264 as u8 && payload.packetization_mode == 0;
        Some(ModuleReceiver {
            conference,
            stream: self.slot_ref(),
            leg: self.config.leg.slot,
            flags: bits,
            profile_level_id: payload.profile_level_id,
            bit_rate_bps: self.rate.allowed_bps(),
            bit_rate_bps_max: self.config.tx_bit_rate_bps_max,
            slice_bytes_max: if single { PAYLOAD_MAX as u32 } else { 0 },
            macroblocks_per_s_max: self.config.tx_macroblocks_per_s_max,
            width_max: self.config.tx_width_max,
            height_max: self.config.tx_height_max,
            codec: payload.codec,
            frame_rate_max: self.config.tx_frame_rate_max,
            layout,
            reserved: 0,
        })
    }

    /// Whether the far end counts its packets (transport-wide).
    pub(crate) fn is_counted(&self) -> bool {
        let flags = self.config.flags();
        flags.contains(VideoFlags::BUNDLED) && flags.contains(VideoFlags::TRANSPORT_CC)
    }

    /// Whether pictures of it left lately.
    pub(crate) fn sends_now(&self, now: Nanos) -> bool {
        self.sent_at != Nanos::ZERO && now.since(self.sent_at) < SENDS_FOR
    }

    /// What the path's estimate leaves for it, bit/s.
    pub(crate) fn set_estimate(&mut self, bps: u32) {
        self.rate.set_estimate(bps);
    }

    /// Whether the allowance changed so much that the module must hear of it.
    pub(crate) fn take_rate_change(&mut self, record: &VideoRecord) -> bool {
        set(
            &record.stats.tx_allowed_bps,
            u64::from(self.rate.allowed_bps()),
        );
        self.rate.take_change().is_some()
    }

    /// Nothing of the far end's stream is of use any more without a key frame.
    pub(crate) fn need_key_frame(&mut self) {
        let layer = self.inflow.as_ref().map(|inflow| inflow.layer);
        // A layer that is waited for asks by itself.
        if let Some(layer) = layer.or(self.chooser.is_none().then_some(0)) {
            self.key_frames[layer].need();
        }
    }

    /// What is encoded for it begins anew.
    pub(crate) fn await_key_frame(&mut self) {
        self.awaits_key_frame = true;
    }

    /// Notes that its access unit was in hand when the module died; `true` when it
    /// is to be put aside for it.
    pub(crate) fn count_crash(&self, record: &VideoRecord) -> bool {
        add(&record.stats.rx_decoder_crashes, 1);
        record.stats.rx_decoder_crashes.load(Ordering::Relaxed) == CRASHES_MAX
    }
}

/// Whether a stream killed its decoder too often for another try. It is in the
/// record, so that a worker's successor knows it too.
pub(crate) fn is_put_aside(record: &VideoRecord) -> bool {
    record.stats.rx_decoder_crashes.load(Ordering::Relaxed) >= CRASHES_MAX
}
