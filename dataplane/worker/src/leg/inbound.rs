//! What a leg does with a datagram.
//!
//! ```text
//! datagram -> kind -> SRTP -> whose is it? -> stream -> digits | sound
//!                      |          |
//!                      '----------'--> counted and dropped
//! ```
//!
//! With SRTP the packet is authenticated before anything about it is believed,
//! and its replay window is in the arena before it is used. Nothing here fails:
//! what is not wanted is counted.

use std::ops::Range;
use std::sync::atomic::Ordering;

use plenum_abi::{EventKind, LegFlags, LegRecord, LegStats, NO_PAYLOAD_TYPE, Nanos, SocketAddress};
use plenum_pool::Lease;
use plenum_rtp::learning::{Decision, RtcpEvidence, RtpEvidence};
use plenum_rtp::packet::{Kind, RtpPacket, classify};
use plenum_rtp::reception::{Reception, Sequence};
use plenum_rtp::red::{BLOCKS_MAX, Blocks, EARLIER_BYTES_MAX};
use plenum_srtp::{Receiver, Reject};
use plenum_uring::Driver;

use super::{Leg, Stream};
use crate::counters::{add, set};
use crate::events::Events;
use crate::playout::{Heard, Refused};
use crate::shelf::Held;

/// Slots to send from that redundancy leaves alone.
const SEND_BUFFERS_KEPT: usize = 512;

/// A datagram and where it belongs.
pub(crate) struct Inbound {
    pub(crate) now: Nanos,
    pub(crate) source: SocketAddress,
    /// It came to the leg's RTCP port.
    pub(crate) on_rtcp_port: bool,
    pub(crate) lease: Lease,
}

/// The level that a packet tells of its sound, -dBov (RFC 6464 section 3). The bit that
/// says whether it is voice is left out: who is loud is judged alike.
fn audio_level(packet: &RtpPacket<'_>, id: u8) -> Option<u8> {
    if id == 0 {
        return None;
    }
    let element = packet.extension_element(id)?;
    element.first().map(|byte| byte & 0x7f)
}

/// Leaves of a packet its payload.
fn show_only(lease: &mut Lease, payload: Range<usize>) {
    let trimmed = lease.trim_front(payload.start) && lease.set_len(payload.len());
    debug_assert!(trimmed, "a payload lies within its packet");
}

fn count_refused(taken: Result<(), Refused>, stats: &LegStats) {
    match taken {
        Ok(()) => {}
        Err(Refused::Late) => add(&stats.rx_late, 1),
        Err(Refused::Discarded | Refused::Malformed) => add(&stats.rx_discarded, 1),
    }
}

/// The earlier frames of a redundant payload, each in a slot of its own; `at` is where
/// the payload begins. Slots to send from are used for it, and never the last ones:
/// what is said to everybody goes before what one has missed.
fn copy_earlier(
    blocks: &Blocks,
    heard: &Heard,
    lease: &Lease,
    at: usize,
    driver: &mut Driver,
) -> [Option<(Heard, Held)>; BLOCKS_MAX - 1] {
    let mut copies = [const { None }; BLOCKS_MAX - 1];
    for (copy, (packets, block)) in copies.iter_mut().zip(blocks.earlier()) {
        if driver.send_buffers_free() < SEND_BUFFERS_KEPT || block.bytes.is_empty() {
            continue;
        }
        let mut bytes = [0; EARLIER_BYTES_MAX];
        let bytes = &mut bytes[..block.bytes.len()];
        let from = at + block.bytes.start..at + block.bytes.end;
        bytes.copy_from_slice(&driver.bytes(lease)[from]);
        let Some(mut own) = driver.send_buffer() else {
            continue;
        };
        if !own.set_len(bytes.len()) {
            driver.release(own);
            continue;
        }
        driver.bytes_mut(&mut own).copy_from_slice(bytes);
        let earlier = Heard {
            payload_type: block.payload_type,
            sequence: heard.sequence.wrapping_sub(packets),
            timestamp: heard.timestamp.wrapping_sub(block.timestamp_offset),
            marker: false,
            // It was in its own packet; the present one is the best guess.
            level_dbov: heard.level_dbov,
        };
        *copy = Some((earlier, Held::new(own)));
    }
    copies
}

impl Leg {
    /// Takes a datagram that came to one of the leg's sockets.
    pub(crate) fn on_datagram(
        &mut self,
        inbound: Inbound,
        record: &LegRecord,
        driver: &mut Driver,
        events: &mut Events,
    ) {
        let bytes = driver.bytes(&inbound.lease);
        let kind = classify(bytes);
        let mux = self.config.flags().contains(LegFlags::RTCP_MUX);
        if self.bundle.is_some() && kind == Kind::Rtp && !self.is_sound(bytes) {
            add(&record.stats.rx_discarded, 1);
            return driver.release(inbound.lease);
        }
        match kind {
            Kind::Rtp if !inbound.on_rtcp_port => self.on_rtp(inbound, record, driver, events),
            Kind::Rtcp if inbound.on_rtcp_port || mux => {
                self.on_rtcp(inbound, record, driver, events);
            }
            _ => {
                add(&record.stats.rx_discarded, 1);
                driver.release(inbound.lease);
            }
        }
    }

    /// Whether an RTP packet of a bundle is the leg's own sound. Pictures come the same
    /// way under the same keys, and a receive context has room for few streams.
    pub(crate) fn is_sound(&self, packet: &[u8]) -> bool {
        let payload_type = packet[1] & 0x7f;
        self.config.rx_codec(payload_type).is_some()
            || self.config.is_redundant(payload_type)
            || payload_type == self.config.telephone_event_payload_type
            || payload_type == self.config.comfort_noise_payload_type
    }

    /// Takes reports of its bundle that a stream of pictures has opened. A goodbye in
    /// them may be that stream's.
    pub(crate) fn on_opened_reports(&mut self, now: Nanos, compound: &[u8]) {
        let _ = self.reports.on_compound(now, compound, self.config.tx_ssrc);
    }

    fn on_rtp(
        &mut self,
        mut inbound: Inbound,
        record: &LegRecord,
        driver: &mut Driver,
        events: &mut Events,
    ) {
        let stats = &record.stats;
        let datagram_len = inbound.lease.len();
        if !self.decrypt(
            Receiver::unprotect_rtp,
            &mut inbound,
            record,
            driver,
            events,
        ) {
            return driver.release(inbound.lease);
        }
        let Ok(packet) = RtpPacket::parse(driver.bytes(&inbound.lease)) else {
            add(&stats.rx_discarded, 1);
            return driver.release(inbound.lease);
        };
        let header = packet.header;
        let mut payload = packet.payload_range();
        // Authentic by now; told in the clear all the same (RFC 6904 is not used).
        let level_dbov = audio_level(&packet, self.config.audio_level_id);
        let evidence = RtpEvidence {
            source: inbound.source,
            ssrc: header.ssrc,
            sequence: header.sequence,
        };
        // Where a bundle's packets come from is ICE's affair.
        let decision = match self.bundle {
            Some(_) => Decision::Accept,
            None => {
                let authenticated = self.keys.is_some();
                self.learner.on_rtp(inbound.now, &evidence, authenticated)
            }
        };
        match decision {
            Decision::Accept => {}
            Decision::Learned(address) => {
                record.path.remote_rtp.store(&address);
                self.prepare_destinations(driver);
                events.leg(
                    EventKind::AddressLearned,
                    self.slot,
                    self.config.generation,
                    0,
                );
            }
            Decision::Refuse(_) => {
                add(&stats.rx_stranger, 1);
                return driver.release(inbound.lease);
            }
        }
        if self.note_heard(inbound.now, record, events) {
            // Also where it is the signalled one: a successor finds it locked.
            if let Some(address) = self.learner.rtp_address() {
                record.path.remote_rtp.store(&address);
            }
        }
        add(&stats.rx_packets, 1);
        add(&stats.rx_bytes, datagram_len as u64);
        if let Some(screen) = &mut self.screen
            && screen.ssrc() == header.ssrc
        {
            show_only(&mut inbound.lease, payload);
            let taken = screen.on_packet(inbound.now, &header, inbound.lease, &self.config, driver);
            return count_refused(taken, stats);
        }
        if !self.config.flags().contains(LegFlags::RECEIVE) {
            return driver.release(inbound.lease);
        }
        let stream = self.stream_of(header.ssrc);
        if stream
            .reception
            .on_packet(inbound.now, header.sequence, header.timestamp)
            == Sequence::Jump
        {
            add(&stats.rx_discarded, 1);
            return driver.release(inbound.lease);
        }
        if header.payload_type == self.config.telephone_event_payload_type
            && header.payload_type != NO_PAYLOAD_TYPE
        {
            let bytes = &driver.bytes(&inbound.lease)[payload];
            let digits =
                self.dtmf_in
                    .on_packet(inbound.now, header.timestamp, header.marker, bytes);
            for digit in digits {
                let event = u64::from(digit.event);
                events.leg(
                    EventKind::DtmfReceived,
                    self.slot,
                    self.config.generation,
                    event,
                );
            }
            self.playout.skip(header.sequence);
            return driver.release(inbound.lease);
        }
        let mut heard = Heard::of(&header, level_dbov);
        let mut earlier = [const { None }; BLOCKS_MAX - 1];
        if self.config.is_redundant(header.payload_type) {
            let bytes = &driver.bytes(&inbound.lease)[payload.clone()];
            let Some(blocks) = Blocks::parse(bytes) else {
                add(&stats.rx_discarded, 1);
                return driver.release(inbound.lease);
            };
            if self.playout.has_gap_before(header.sequence) {
                earlier = copy_earlier(&blocks, &heard, &inbound.lease, payload.start, driver);
            }
            let newest = blocks.newest();
            heard.payload_type = newest.payload_type;
            payload = payload.start + newest.bytes.start..payload.start + newest.bytes.end;
        }
        if let Some(codec) = self.config.rx_codec(heard.payload_type) {
            set(&stats.rx_codec, codec as u64);
        }
        show_only(&mut inbound.lease, payload);
        let held = Held::new(inbound.lease);
        let taken = self
            .playout
            .insert(inbound.now, &self.config, &heard, held, driver);
        count_refused(taken, stats);
        for (heard, held) in earlier.into_iter().flatten() {
            self.playout
                .fill(inbound.now, &self.config, &heard, held, driver);
        }
    }

    fn on_rtcp(
        &mut self,
        mut inbound: Inbound,
        record: &LegRecord,
        driver: &mut Driver,
        events: &mut Events,
    ) {
        if !self.decrypt(
            Receiver::unprotect_rtcp,
            &mut inbound,
            record,
            driver,
            events,
        ) {
            return driver.release(inbound.lease);
        }
        let compound = driver.bytes(&inbound.lease);
        if let Some(ssrc) = crate::report::sender_ssrc(compound) {
            let evidence = RtcpEvidence {
                source: inbound.source,
                ssrc,
            };
            let decision = match self.bundle {
                Some(_) => Decision::Accept,
                None => {
                    let authenticated = self.keys.is_some();
                    self.learner.on_rtcp(inbound.now, &evidence, authenticated)
                }
            };
            if let Decision::Refuse(_) = decision {
                add(&record.stats.rx_stranger, 1);
                return driver.release(inbound.lease);
            }
            let said_bye = self
                .reports
                .on_compound(inbound.now, compound, self.config.tx_ssrc);
            if let Decision::Learned(address) = decision {
                record.path.remote_rtcp.store(&address);
                self.prepare_destinations(driver);
            }
            if said_bye {
                events.leg(EventKind::RtcpBye, self.slot, self.config.generation, 0);
            }
        } else {
            add(&record.stats.rx_discarded, 1);
        }
        driver.release(inbound.lease);
    }

    /// Opens an SRTP or SRTCP packet in place, its replay window stored before the
    /// packet is used; `false` when it was refused, which is then counted. Without
    /// keys every packet is open, but in a bundle, where there are none yet.
    fn decrypt(
        &mut self,
        open: fn(&mut Receiver, &mut [u8]) -> Result<usize, Reject>,
        inbound: &mut Inbound,
        record: &LegRecord,
        driver: &mut Driver,
        events: &mut Events,
    ) -> bool {
        let Some(keys) = &mut self.keys else {
            if self.bundle.is_some() {
                // The far end is through with the handshake before we are.
                add(&record.stats.rx_discarded, 1);
            }
            return self.bundle.is_none();
        };
        match open(&mut keys.receiver, driver.bytes_mut(&mut inbound.lease)) {
            Ok(len) => {
                if let Some((index, state)) = keys.receiver.changed() {
                    state.store(&record.receive[index], u32::from(self.config.rx_key_epoch));
                }
                inbound.lease.truncate(len);
                true
            }
            Err(reject) => {
                self.count_reject(reject, record, events);
                false
            }
        }
    }

    fn count_reject(&mut self, reject: Reject, record: &LegRecord, events: &mut Events) {
        let stats = &record.stats;
        match reject {
            Reject::Replayed => add(&stats.rx_replayed, 1),
            Reject::TooManyStreams => {
                add(&stats.rx_discarded, 1);
                // A bundle's keys change with a handshake only, which is the far end's to begin.
                let was = std::mem::replace(&mut self.key_exhausted, true);
                if !was && self.bundle.is_none() {
                    let generation = self.config.generation;
                    events.leg(EventKind::KeyExhausted, self.slot, generation, 0);
                }
            }
            Reject::AuthTag | Reject::NotEncrypted => add(&stats.rx_auth_failed, 1),
            _ => add(&stats.rx_discarded, 1),
        }
    }

    /// Whether this was the leg's first.
    fn note_heard(&mut self, now: Nanos, record: &LegRecord, events: &mut Events) -> bool {
        let first = record.last_received.load(Ordering::Relaxed) == 0;
        record.last_received.store(now.0, Ordering::Relaxed);
        self.heard_at = now;
        self.silence_reported = 0;
        if first {
            events.leg(
                EventKind::MediaStarted,
                self.slot,
                self.config.generation,
                0,
            );
        }
        first
    }

    /// The far end's stream; a new SSRC begins a new one.
    fn stream_of(&mut self, ssrc: u32) -> &mut Stream {
        let known = self
            .stream
            .as_ref()
            .is_some_and(|stream| stream.ssrc == ssrc);
        if !known {
            let clock_hz = self
                .config
                .tx_codec()
                .map_or(8_000, |(codec, _)| codec.rtp_clock_hz());
            let reception = if self.keys.is_some() {
                Reception::authenticated(clock_hz)
            } else {
                Reception::new(clock_hz)
            };
            if self.stream.is_some() {
                self.playout.restart();
            }
            self.stream = None;
            return self.stream.insert(Stream { ssrc, reception });
        }
        match &mut self.stream {
            Some(stream) => stream,
            // `known` says that there is one.
            None => unreachable!("the stream was looked at above"),
        }
    }
}
