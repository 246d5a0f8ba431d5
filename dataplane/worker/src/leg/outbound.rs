//! What a leg sends: sound, digits, reports.
//!
//! The record says what a successor must not repeat: the SRTP index is in the
//! arena before the packet is encrypted (`plenum-srtp` sees to it), the
//! timestamp and its instant are stored as the packet is queued.

use std::sync::atomic::Ordering;

use plenum_abi::{LegFlags, LegRecord, NO_PAYLOAD_TYPE, Nanos};
use plenum_mixer::{Packet, PacketKind};
use plenum_pool::Lease;
use plenum_rtp::packet::{RTP_HEADER_LEN, RtpHeader};
use plenum_srtp::{PendingTag, TAIL_MAX};
use plenum_uring::Driver;
use rand::Rng;

use super::Leg;
use super::redundancy::PAYLOAD_LEN_MAX;
use crate::counters::add;
use crate::outbox::Outbox;
use crate::transports::Route;

/// Level at which digits are sent, -dBm0 (RFC 4733 section 2.3.3).
const DIGIT_VOLUME: u8 = 10;
/// A compound report never comes near this.
const REPORT_LEN_MAX: usize = 512;

/// The parts of the worker that sending needs.
pub(crate) struct Exit<'a> {
    pub(crate) now: Nanos,
    pub(crate) driver: &'a mut Driver,
    pub(crate) outbox: &'a mut Outbox,
}

impl Leg {
    /// Sends one packet of the conference's mix.
    pub(crate) fn send_packet(
        &mut self,
        packet: &Packet<'_>,
        record: &LegRecord,
        exit: &mut Exit<'_>,
        rng: &mut impl Rng,
    ) {
        if !self.config.flags().contains(LegFlags::SEND) {
            return;
        }
        let Some((codec, audio_payload_type)) = self.config.tx_codec() else {
            return;
        };
        let payload_type = match packet.kind {
            PacketKind::ComfortNoise => self.config.comfort_noise_payload_type,
            _ => audio_payload_type,
        };
        if payload_type == NO_PAYLOAD_TYPE {
            return;
        }
        let offset = *self
            .timestamp_offset
            .get_or_insert_with(|| match self.timestamp_before {
                // The stream goes on where it would be had nothing happened.
                Some((timestamp, at)) => {
                    let gone_ns = exit.now.since(at).as_nanos() as u64;
                    let gone = gone_ns * u64::from(codec.rtp_clock_hz()) / 1_000_000_000;
                    timestamp
                        .wrapping_add(gone as u32)
                        .wrapping_sub(packet.timestamp)
                }
                None => rng.random(),
            });
        let timestamp = packet.timestamp.wrapping_add(offset);
        record
            .transmit
            .timestamp
            .store(u64::from(timestamp), Ordering::Relaxed);
        record
            .transmit
            .clock_at
            .store(exit.now.0, Ordering::Relaxed);

        if let Some(digit) = self.dtmf_out.next_packet(timestamp, packet.samples) {
            // A digit takes the place of the sound while it lasts (RFC 4733 section 2.5.1.2).
            let payload_type = self.config.telephone_event_payload_type;
            let header = self.header(payload_type, digit.marker, digit.timestamp, record);
            self.redundancy.forget();
            return self.send_rtp(header, &digit.payload, record, exit);
        }
        if self.config.red_payload_type != 0 {
            return self.send_redundant(payload_type, timestamp, packet, record, exit);
        }
        let header = self.header(payload_type, packet.marker, timestamp, record);
        self.send_rtp(header, packet.payload, record, exit);
    }

    /// Sends sound to a far end that takes redundancy; with the frame before it while
    /// many are lost.
    fn send_redundant(
        &mut self,
        payload_type: u8,
        timestamp: u32,
        packet: &Packet<'_>,
        record: &LegRecord,
        exit: &mut Exit<'_>,
    ) {
        let mut both = [0; PAYLOAD_LEN_MAX];
        let loss_percent = self.reports.loss_percent();
        let len = self.redundancy.wrap(
            loss_percent,
            payload_type,
            timestamp,
            packet.payload,
            &mut both,
        );
        let (payload_type, payload) = match len {
            Some(len) => (self.config.red_payload_type, &both[..len]),
            None => (payload_type, packet.payload),
        };
        let header = self.header(payload_type, packet.marker, timestamp, record);
        self.send_rtp(header, payload, record, exit);
    }

    fn header(
        &self,
        payload_type: u8,
        marker: bool,
        timestamp: u32,
        record: &LegRecord,
    ) -> RtpHeader {
        let index = record.transmit.next_rtp_index.load(Ordering::Relaxed);
        RtpHeader {
            marker,
            payload_type,
            sequence: index as u16,
            timestamp,
            ssrc: self.config.tx_ssrc,
        }
    }

    fn send_rtp(
        &mut self,
        header: RtpHeader,
        payload: &[u8],
        record: &LegRecord,
        exit: &mut Exit<'_>,
    ) {
        let Some(Route { key, to }) = self.rtp_to else {
            return;
        };
        let Some(mut lease) = exit.driver.send_buffer() else {
            return add(&record.stats.tx_errors, 1);
        };
        let plain_len = RTP_HEADER_LEN + payload.len();
        let Some(tag) = self.write_rtp(&header, payload, record, exit.driver, &mut lease) else {
            add(&record.stats.tx_errors, 1);
            return exit.driver.release(lease);
        };
        add(&record.stats.tx_packets, 1);
        add(&record.stats.tx_bytes, plain_len as u64);
        self.reports
            .count_sent(payload.len(), header.timestamp, exit.now);
        exit.outbox.push(exit.driver, key, to, lease, tag);
    }

    /// Writes a packet into `lease`; `Some(Some(_))` when its tag is to be finished.
    fn write_rtp(
        &mut self,
        header: &RtpHeader,
        payload: &[u8],
        record: &LegRecord,
        driver: &mut Driver,
        lease: &mut Lease,
    ) -> Option<Option<PendingTag>> {
        let len = RTP_HEADER_LEN + payload.len();
        let fits = lease.set_len(len + TAIL_MAX);
        if !fits {
            return None;
        }
        let buffer = driver.bytes_mut(lease);
        header.write(buffer);
        buffer[RTP_HEADER_LEN..len].copy_from_slice(payload);
        let next = &record.transmit.next_rtp_index;
        let (len, tag) = match &mut self.keys {
            Some(keys) => {
                let tag = keys.sender.begin_rtp(next, buffer, len).ok()?;
                (tag.packet_len(), Some(tag))
            }
            None => {
                let index = next.load(Ordering::Relaxed);
                next.store((index + 1) & 0xffff_ffff_ffff, Ordering::Release);
                (len, None)
            }
        };
        lease.truncate(len);
        Some(tag)
    }

    /// Queues a digit to be sent; `false` when the far end takes none or too many wait.
    pub(crate) fn send_digit(&mut self, event: u8, duration_ms: u16) -> bool {
        self.config.telephone_event_payload_type != NO_PAYLOAD_TYPE
            && self
                .dtmf_out
                .push(event, u32::from(duration_ms), DIGIT_VOLUME)
                .is_ok()
    }

    /// Sends a report when one is due.
    pub(crate) fn report_if_due(
        &mut self,
        record: &LegRecord,
        exit: &mut Exit<'_>,
        rng: &mut impl Rng,
    ) {
        if !self.reports.is_due(exit.now) {
            return;
        }
        let stream = self
            .stream
            .as_mut()
            .map(|stream| (stream.ssrc, &mut stream.reception));
        let Some(mut lease) = exit.driver.send_buffer() else {
            return;
        };
        if !lease.set_len(REPORT_LEN_MAX + TAIL_MAX) {
            return exit.driver.release(lease);
        }
        let buffer = exit.driver.bytes_mut(&mut lease);
        let len = self.reports.write(
            exit.now,
            self.config.tx_ssrc,
            stream,
            &mut buffer[..REPORT_LEN_MAX],
            rng,
        );
        let next = &record.transmit.next_rtcp_index;
        let len = match &mut self.keys {
            Some(keys) => keys.sender.protect_rtcp(next, buffer, len).ok(),
            None => Some(len),
        };
        match (len, self.rtcp_to) {
            (Some(len), Some(Route { key, to })) if len > 0 => {
                lease.truncate(len);
                exit.outbox.push(exit.driver, key, to, lease, None);
            }
            _ => exit.driver.release(lease),
        }
    }
}
