//! One call leg on its worker.
//!
//! A leg is what its configuration says plus what has happened to it; both are
//! in its record, so that [`Leg::adopt`] finds after a crash what [`Leg::create`]
//! and the packets since had left there. What comes in is dealt with in
//! [`inbound`], what goes out in [`outbound`].
//!
//! A leg that shares its transport ([`LegFlags::BUNDLED`]) has no socket, key or
//! path of its own: all three are those of its [`Bundle`]. Without keys it is mute
//! and deaf, never in the clear.

mod inbound;
mod outbound;
mod redundancy;
mod screen;

use std::sync::atomic::Ordering;

use plenum_abi::{
    AudioCodec, EventKind, LegConfig, LegFlags, LegRecord, Nanos, RX_STREAMS, RejectReason,
    SlotState, SocketAddress,
};
use plenum_mixer::MixLeg;
use plenum_rtp::dtmf::{DtmfReceiver, DtmfSender};
use plenum_rtp::learning::{AddressLearner, LearnConfig};
use plenum_rtp::reception::Reception;
use plenum_rtp::rtcp::RtcpTimerConfig;
use plenum_srtp::{Receiver, Sender, StreamState};
use plenum_uring::Driver;
use rand::Rng;

use crate::counters::set;
use crate::events::Events;
use crate::playout::Playout;
use crate::report::{Reports, ReportsConfig};
use crate::transports::{Bundle, Route};

use redundancy::Redundancy;
use screen::Screen;

pub(crate) use inbound::Inbound;
pub(crate) use outbound::Exit;

/// The media sockets' keys in the driver: two for each leg slot.
pub(crate) const fn rtp_key(slot: u32) -> u32 {
    slot * 2
}

/// See [`rtp_key`].
pub(crate) const fn rtcp_key(slot: u32) -> u32 {
    slot * 2 + 1
}

/// The SRTP contexts of a leg.
struct Keys {
    sender: Sender,
    receiver: Receiver,
}

/// What is received of the far end's current stream.
struct Stream {
    ssrc: u32,
    reception: Reception,
}

/// See the [module](self).
pub(crate) struct Leg {
    pub(crate) slot: u32,
    /// What the control plane wants; with a bundle, its keys filled in.
    pub(crate) config: LegConfig,
    /// Of a leg that shares its transport.
    bundle: Option<Bundle>,
    keys: Option<Keys>,
    learner: AddressLearner,
    rtp_to: Option<Route>,
    rtcp_to: Option<Route>,
    pub(crate) playout: Playout,
    stream: Option<Stream>,
    pub(crate) screen: Option<Box<Screen>>,
    dtmf_in: DtmfReceiver,
    dtmf_out: DtmfSender,
    redundancy: Redundancy,
    reports: Reports,
    /// Added to the conference's media clock; settled by the first packet sent.
    timestamp_offset: Option<u32>,
    /// Where the timestamp stood when a process before this one died.
    timestamp_before: Option<(u32, Nanos)>,
    /// When something valid last came, or the leg was set up.
    heard_at: Nanos,
    /// Silence that was last reported, in units of the reporting interval.
    silence_reported: u64,
    key_exhausted: bool,
}

/// Interval at which silence of a leg is reported, milliseconds.
const SILENCE_REPORT_MS: u64 = 5_000;

/// Whether the configuration is one that a leg can have.
pub(crate) fn check(config: &LegConfig) -> Result<(AudioCodec, u8), RejectReason> {
    let unsupported = RejectReason::Unsupported;
    let codec = config.tx_codec().ok_or(unsupported)?;
    let codecs_known = config.codecs.iter().all(|map| {
        map.codec == 0 || AudioCodec::from_u8(map.codec).is_some() && map.payload_type < 128
    });
    let suite_known = config.srtp_suite == 0 || config.suite().is_some();
    if !codecs_known || !suite_known || !matches!(config.packet_ms, 10 | 20 | 40) {
        return Err(unsupported);
    }
    Ok(codec)
}

fn learn_config(config: &LegConfig) -> LearnConfig {
    LearnConfig {
        signalled_rtp: config.remote_rtp,
        signalled_rtcp: config.remote_rtcp,
        secure: config.srtp_suite != 0,
        rtcp_mux: config.flags().contains(LegFlags::RTCP_MUX),
        learn: config.flags().contains(LegFlags::LEARN_ADDRESS),
    }
}

/// The configuration with what a bundle decides: a transport's keys are the leg's, and
/// so is every change of them.
fn with_bundle(config: &LegConfig, bundle: Option<&Bundle>) -> LegConfig {
    let Some(bundle) = bundle else {
        return *config;
    };
    let keys = bundle.keys.unwrap_or_default();
    LegConfig {
        flags: (config.flags() | LegFlags::RTCP_MUX).0,
        srtp_suite: keys.suite().map_or(0, |suite| suite as u8),
        tx_key_epoch: keys.epoch as u16,
        rx_key_epoch: keys.epoch as u16,
        tx_keys: keys.tx_keys,
        rx_keys: keys.rx_keys,
        ..*config
    }
}

/// Bandwidth of an audio session as RTCP's share is counted from it, bit/s.
const SESSION_BPS: u32 = 64_000;

fn reports_config(config: &LegConfig, clock_hz: u32) -> ReportsConfig {
    ReportsConfig {
        leg_guid: config.leg_guid,
        clock_hz,
        timer: RtcpTimerConfig::avp(SESSION_BPS),
    }
}

/// A new key's first index: anywhere in the lower half of the first round, so
/// that a far end which misses the first packets guesses the roll-over counter
/// right (RFC 3711 section 3.3.1).
fn first_index(rng: &mut impl Rng) -> u64 {
    u64::from(rng.random::<u16>() >> 1)
}

/// Starts the record's sending counters for a key that was never used.
fn begin_sending(record: &LegRecord, config: &LegConfig, rng: &mut impl Rng) {
    let transmit = &record.transmit;
    transmit
        .next_rtp_index
        .store(first_index(rng), Ordering::Release);
    transmit.next_rtcp_index.store(0, Ordering::Release);
    // Last: until here the counters count as those of no key.
    transmit
        .key_epoch
        .store(sending_epoch(config), Ordering::Release);
}

/// What [`TransmitState::key_epoch`](plenum_abi::TransmitState) says of counters
/// that are this configuration's.
fn sending_epoch(config: &LegConfig) -> u64 {
    u64::from(config.tx_key_epoch) + 1
}

/// Forgets the streams received under an earlier key.
fn begin_receiving(record: &LegRecord) {
    for stream in &record.receive {
        stream.ssrc.store(0, Ordering::Release);
    }
}

fn make_keys(config: &LegConfig, record: &LegRecord) -> Option<Keys> {
    let suite = config.suite()?;
    let streams: [Option<StreamState>; RX_STREAMS] = std::array::from_fn(|index| {
        StreamState::load(&record.receive[index], u32::from(config.rx_key_epoch))
    });
    Some(Keys {
        sender: Sender::new(suite, &config.tx_keys),
        receiver: Receiver::restore(suite, &config.rx_keys, &streams),
    })
}

impl Leg {
    /// Sets up a new tenant of a slot. The record becomes live last.
    pub(crate) fn create(
        now: Nanos,
        slot: u32,
        wanted: LegConfig,
        bundle: Option<Bundle>,
        record: &LegRecord,
        driver: &Driver,
        rng: &mut impl Rng,
    ) -> Result<Self, RejectReason> {
        let config = with_bundle(&wanted, bundle.as_ref());
        check(&config)?;
        record
            .state
            .store(SlotState::Free as u32, Ordering::Release);
        record.path.remote_rtp.clear();
        record.path.remote_rtcp.clear();
        record.label.clear();
        record.last_received.store(0, Ordering::Relaxed);
        record.transmit.clock_at.store(0, Ordering::Relaxed);
        record.stats.reset();
        begin_sending(record, &config, rng);
        begin_receiving(record);
        record.config.store(&wanted);
        record
            .generation
            .store(config.generation, Ordering::Release);
        let leg = Self::build(now, slot, config, bundle, record, driver, rng)?;
        record
            .state
            .store(SlotState::Live as u32, Ordering::Release);
        Ok(leg)
    }

    /// Goes on with a leg that a worker before this one had.
    pub(crate) fn adopt(
        now: Nanos,
        slot: u32,
        wanted: LegConfig,
        bundle: Option<Bundle>,
        record: &LegRecord,
        driver: &Driver,
        rng: &mut impl Rng,
    ) -> Result<Self, RejectReason> {
        let config = with_bundle(&wanted, bundle.as_ref());
        check(&config)?;
        if record.transmit.key_epoch.load(Ordering::Acquire) != sending_epoch(&config) {
            // It died between new keys and their first packet. (Streams received
            // under an earlier key say so themselves.)
            begin_sending(record, &config, rng);
        }
        let mut leg = Self::build(now, slot, config, bundle, record, driver, rng)?;
        let address = |learned: Option<SocketAddress>| learned.unwrap_or(SocketAddress::UNKNOWN);
        leg.learner = AddressLearner::resume(
            now,
            learn_config(&config),
            address(record.path.remote_rtp.load()),
            address(record.path.remote_rtcp.load()),
        );
        leg.prepare_destinations(driver);
        let clock_at = record.transmit.clock_at.load(Ordering::Relaxed);
        if clock_at != 0 {
            let timestamp = record.transmit.timestamp.load(Ordering::Relaxed) as u32;
            leg.timestamp_before = Some((timestamp, Nanos(clock_at)));
        }
        leg.heard_at = record.last_received().unwrap_or(now);
        Ok(leg)
    }

    fn build(
        now: Nanos,
        slot: u32,
        config: LegConfig,
        bundle: Option<Bundle>,
        record: &LegRecord,
        driver: &Driver,
        rng: &mut impl Rng,
    ) -> Result<Self, RejectReason> {
        let clock_hz = config
            .tx_codec()
            .map_or(8_000, |(codec, _)| codec.rtp_clock_hz());
        let mut leg = Self {
            slot,
            keys: make_keys(&config, record),
            learner: AddressLearner::new(now, learn_config(&config)),
            rtp_to: None,
            rtcp_to: None,
            playout: Playout::new(&config).ok_or(RejectReason::Unsupported)?,
            stream: None,
            screen: Screen::of(&config),
            dtmf_in: DtmfReceiver::new(clock_hz),
            dtmf_out: DtmfSender::new(clock_hz),
            redundancy: Redundancy::default(),
            reports: Reports::new(now, &reports_config(&config, clock_hz), rng),
            timestamp_offset: None,
            timestamp_before: None,
            heard_at: now,
            silence_reported: 0,
            key_exhausted: false,
            config,
            bundle,
        };
        leg.prepare_destinations(driver);
        Ok(leg)
    }

    /// Makes the leg what a newer configuration says, keeping what did not change.
    pub(crate) fn update(
        &mut self,
        now: Nanos,
        wanted: LegConfig,
        record: &LegRecord,
        driver: &Driver,
        rng: &mut impl Rng,
    ) -> Result<(), RejectReason> {
        if wanted.flags().contains(LegFlags::BUNDLED) != self.bundle.is_some() {
            // Another transport is another leg.
            return Err(RejectReason::Unsupported);
        }
        let config = with_bundle(&wanted, self.bundle.as_ref());
        check(&config)?;
        record.config.store(&wanted);
        self.turn_into(now, config, record, driver, rng)
    }

    /// Takes what its transport has come to: keys, a path, or the loss of it.
    pub(crate) fn set_bundle(
        &mut self,
        now: Nanos,
        bundle: Bundle,
        record: &LegRecord,
        driver: &Driver,
        rng: &mut impl Rng,
    ) {
        self.bundle = Some(bundle);
        let config = with_bundle(&self.config, Some(&bundle));
        // Only keys differ, and those of a transport are always some.
        let _ = self.turn_into(now, config, record, driver, rng);
        self.prepare_destinations(driver);
    }

    fn turn_into(
        &mut self,
        now: Nanos,
        config: LegConfig,
        record: &LegRecord,
        driver: &Driver,
        rng: &mut impl Rng,
    ) -> Result<(), RejectReason> {
        let before = std::mem::replace(&mut self.config, config);
        let sends_anew = config.tx_key_epoch != before.tx_key_epoch;
        let receives_anew = config.rx_key_epoch != before.rx_key_epoch;
        let rekeyed = sends_anew || receives_anew;
        if sends_anew {
            begin_sending(record, &config, rng);
        }
        if receives_anew {
            begin_receiving(record);
            self.key_exhausted = false;
        }
        if rekeyed {
            self.keys = make_keys(&config, record);
        }
        if config.codecs != before.codecs {
            self.playout = Playout::new(&config).ok_or(RejectReason::Unsupported)?;
        }
        if config.codecs != before.codecs || config.screen_ssrc != before.screen_ssrc {
            self.screen = Screen::of(&config);
        }
        let clock = |config: &LegConfig| config.tx_codec().map(|(codec, _)| codec.rtp_clock_hz());
        if config.tx_ssrc != before.tx_ssrc || clock(&config) != clock(&before) {
            self.timestamp_offset = None;
            self.timestamp_before = None;
        }
        if learn_config(&config) != learn_config(&before) || rekeyed {
            self.learner.relearn(now, learn_config(&config));
            self.prepare_destinations(driver);
        }
        let may_hear = LegFlags::RECEIVE;
        if config.flags().contains(may_hear) != before.flags().contains(may_hear) {
            self.playout.restart();
            self.heard_at = now;
            self.silence_reported = 0;
        }
        Ok(())
    }

    /// Frees the record. Keys are overwritten.
    pub(crate) fn remove(self, record: &LegRecord) {
        record
            .state
            .store(SlotState::Free as u32, Ordering::Release);
        record.config.clear();
        record.path.remote_rtp.clear();
        record.path.remote_rtcp.clear();
    }

    /// The leg as its conference's mixer sees it.
    pub(crate) fn mix_leg(&self) -> Option<MixLeg> {
        let (codec, _) = self.config.tx_codec()?;
        let flags = self.config.flags();
        let mut leg = MixLeg::new(codec);
        leg.packet_ms = self.config.packet_ms;
        leg.rx_muted = flags.contains(LegFlags::RX_AUDIO_MUTE);
        leg.tx_muted = flags.contains(LegFlags::TX_AUDIO_MUTE);
        leg.rx_gain_centibels = self.config.rx_gain_centibels;
        leg.tx_gain_centibels = self.config.tx_gain_centibels;
        leg.automatic_gain = flags.contains(LegFlags::AUTOMATIC_GAIN);
        leg.bit_rate_bps_max = self.config.bit_rate_bps_max;
        leg.discontinuous = flags.contains(LegFlags::DISCONTINUOUS);
        leg.loss_percent = self.reports.loss_percent();
        leg.shares_screen = self.screen.is_some();
        Some(leg)
    }

    fn prepare_destinations(&mut self, driver: &Driver) {
        if let Some(bundle) = &self.bundle {
            (self.rtp_to, self.rtcp_to) = (bundle.route, bundle.route);
            return;
        }
        let prepare = |key, address: Option<SocketAddress>| {
            let to = driver.destination(key, address?.get()?)?;
            Some(Route { key, to })
        };
        self.rtp_to = prepare(rtp_key(self.slot), self.learner.rtp_address());
        let rtcp_key = self.rtcp_key();
        self.rtcp_to = prepare(rtcp_key, self.learner.rtcp_address());
    }

    fn rtcp_key(&self) -> u32 {
        if self.config.flags().contains(LegFlags::RTCP_MUX) {
            rtp_key(self.slot)
        } else {
            rtcp_key(self.slot)
        }
    }

    /// How long the far end has been silent though it may speak, in whole
    /// reporting intervals; `None` when there is nothing new to report.
    pub(crate) fn silence_to_report(&mut self, now: Nanos) -> Option<u64> {
        if !self.config.flags().contains(LegFlags::RECEIVE) {
            return None;
        }
        let intervals = now.since(self.heard_at).as_millis() as u64 / SILENCE_REPORT_MS;
        if intervals <= self.silence_reported {
            return None;
        }
        self.silence_reported = intervals;
        Some(intervals * SILENCE_REPORT_MS)
    }

    /// Ends a digit whose end was lost.
    pub(crate) fn time_out_digit(&mut self, now: Nanos, events: &mut Events) {
        if let Some(digit) = self.dtmf_in.on_timeout(now) {
            let event = u64::from(digit.event);
            events.leg(
                EventKind::DtmfReceived,
                self.slot,
                self.config.generation,
                event,
            );
        }
    }

    /// Brings gauges of the record up to date.
    pub(crate) fn publish(&self, record: &LegRecord, level_dbov: u8) {
        let stats = &record.stats;
        set(&stats.rx_level_dbov, u64::from(level_dbov));
        set(
            &stats.rx_buffer_us,
            self.playout.target().as_micros() as u64,
        );
        set(&stats.rx_concealed, self.playout.concealed());
        if let Some(stream) = &self.stream {
            set(&stats.rx_jitter_us, stream.reception.jitter_us());
            set(&stats.rx_lost, stream.reception.lost().max(0) as u64);
        }
        self.reports.publish(stats);
    }
}
