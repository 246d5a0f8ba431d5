//! What a stream does with a datagram.
//!
//! The order is a leg's: authenticated before believed, replay window stored before
//! use, strangers refused. Then packets are put in order and together, and what
//! comes out goes to the module without being looked at.
//!
//! Of a far end that sends layers (RFC 8853) one is in use. Another takes its place with
//! a whole key frame of its own, and until then the old one goes on:
//!
//! ```text
//!   in use    -- l --- l --- l --- l -.
//!   next            PLI . . . . [ key ]'-- h --- h
//!   others    counted, told of to the far end, dropped
//! ```

use std::sync::atomic::Ordering;

use plenum_abi::{
    AccessUnitHead, EventKind, LAYERS_MAX, Nanos, SlotRef, SocketAddress, VideoCodec, VideoFlags,
    VideoRecord,
};
use plenum_pool::Lease;
use plenum_rtp::learning::{RtcpEvidence, RtpEvidence};
use plenum_rtp::packet::{Kind, RtpHeader, RtpPacket, classify};
use plenum_rtp::reception::{Reception, Sequence};
use plenum_rtp::rtcp::{Arrivals, Compound, CompoundWriter, RateBound, RtcpPacket};
use plenum_rtp::video::{
    Arrival, Assembler, LayerChooser, Pop, ReorderBuffer, ReorderConfig, UnitInfo, key_frame_rows,
    rtx,
};
use plenum_srtp::{Receiver, Reject, TAIL_MAX};
use plenum_uring::Driver;
use rand::Rng;
use zerocopy::IntoBytes;

use super::path::Judged;
use super::{Bandwidth, Carries, VideoStream, is_put_aside};
use crate::counters::{add, set};
use crate::events::Events;
use crate::leg::Exit;
use crate::modules::Link;
use crate::outbox::Outbox;
use crate::shelf::Held;

/// Longest access unit; what is beyond is damage.
const UNIT_BYTES_MAX: usize = 1 << 20;
/// Sequence numbers that are asked for in one packet.
const NACKS_MAX: usize = 64;
/// Room for what is told of a transport's packets in one packet: those of some tenths
/// of a second.
const TRANSPORT_FEEDBACK_MAX: usize = 384;
/// A compound packet of ours never comes near this.
const COMPOUND_LEN_MAX: usize = 512;

/// A datagram and where it belongs.
pub(crate) struct VideoInbound {
    pub(crate) now: Nanos,
    pub(crate) source: SocketAddress,
    /// It came to the stream's RTCP port.
    pub(crate) on_rtcp_port: bool,
    /// What it says that it carries.
    pub(crate) carries: Carries,
    pub(crate) lease: Lease,
}

/// The parts of the worker that receiving needs.
pub(crate) struct Inlet<'a> {
    pub(crate) driver: &'a mut Driver,
    pub(crate) outbox: &'a mut Outbox,
    pub(crate) events: &'a mut Events,
    /// Where the conference's pictures are made; `None` while nowhere.
    pub(crate) link: Option<&'a mut Link>,
    pub(crate) conference: SlotRef,
    /// Of its transport, where the far end counts packets.
    pub(crate) bandwidth: Option<&'a mut Bandwidth>,
}

/// What is received of the far end's stream, or of one layer of it.
pub(super) struct Inflow {
    /// 0 for a plain stream.
    pub(super) layer: usize,
    /// It is not in use before a key frame.
    waits: bool,
    ssrc: u32,
    codec: VideoCodec,
    reception: Reception,
    reorder: ReorderBuffer<Held>,
    assembler: Assembler,
    unit: Vec<u8>,
    /// VP8: a picture is missing that those after it refer to, or none came yet.
    broken: bool,
}

impl Inflow {
    /// What it is that is received.
    const fn stream(&self) -> (u32, VideoCodec) {
        (self.ssrc, self.codec)
    }
}

/// What a packet asks to be sent again of the stream with this SSRC.
fn nacks_of<'a>(packet: &RtcpPacket<'a>, ssrc: u32) -> impl Iterator<Item = u16> + 'a {
    let ours = matches!(packet, RtcpPacket::TransportFeedback(it) if it.media_ssrc == ssrc);
    packet.nacks().filter(move |_| ours)
}

impl VideoStream {
    /// Takes a datagram that came to one of the stream's sockets.
    pub(crate) fn on_datagram(
        &mut self,
        inbound: VideoInbound,
        record: &VideoRecord,
        inlet: &mut Inlet<'_>,
    ) {
        match classify(inlet.driver.bytes(&inbound.lease)) {
            Kind::Rtp if !inbound.on_rtcp_port => self.on_rtp(inbound, record, inlet),
            Kind::Rtcp if inbound.on_rtcp_port || self.path.is_mux() => {
                self.on_rtcp(inbound, record, inlet);
            }
            _ => {
                add(&record.stats.rx_refused, 1);
                inlet.driver.release(inbound.lease);
            }
        }
    }

    fn on_rtp(&mut self, mut inbound: VideoInbound, record: &VideoRecord, inlet: &mut Inlet<'_>) {
        let datagram_len = inbound.lease.len();
        let refuse = |inlet: &mut Inlet<'_>, lease| {
            add(&record.stats.rx_refused, 1);
            inlet.driver.release(lease);
        };
        if !self.decrypt(Receiver::unprotect_rtp, &mut inbound, record, inlet) {
            return refuse(inlet, inbound.lease);
        }
        let Ok(packet) = RtpPacket::parse(inlet.driver.bytes(&inbound.lease)) else {
            return refuse(inlet, inbound.lease);
        };
        let (header, payload) = (packet.header, packet.payload_range());
        let evidence = RtpEvidence {
            source: inbound.source,
            ssrc: header.ssrc,
            sequence: header.sequence,
        };
        let judged = self
            .path
            .judge_rtp(inbound.now, &evidence, record, inlet.driver);
        if judged == Judged::Refused {
            return refuse(inlet, inbound.lease);
        }
        self.note_heard(inbound.now, record, inlet.events);
        self.ssrcs.note(header.ssrc, inbound.carries, record);
        self.opened += 1;
        if let Some(payload) = self.config.rx_repaired(header.payload_type) {
            return self.on_retransmission(inbound, (header.ssrc, payload.codec), record, inlet);
        }
        let codec = self
            .config
            .rx_payload(header.payload_type)
            .and_then(|payload| VideoCodec::from_u8(payload.codec));
        let (Some(codec), true) = (codec, self.config.flags().contains(VideoFlags::RECEIVE)) else {
            return refuse(inlet, inbound.lease);
        };
        let Some(layer) = self.layer_of(header.ssrc) else {
            return refuse(inlet, inbound.lease);
        };
        let bytes = &inlet.driver.bytes(&inbound.lease)[payload.clone()];
        let Some(inflow) = self.inflow_for(inbound.now, layer, &header, (codec, bytes)) else {
            add(&record.stats.rx_packets, 1);
            add(&record.stats.rx_bytes, datagram_len as u64);
            return inlet.driver.release(inbound.lease);
        };
        let sequence = inflow
            .reception
            .on_packet(inbound.now, header.sequence, header.timestamp);
        if sequence == Sequence::Jump {
            return refuse(inlet, inbound.lease);
        }
        add(&record.stats.rx_packets, 1);
        add(&record.stats.rx_bytes, datagram_len as u64);
        set(&record.stats.rx_codec, codec as u64);
        let lease = &mut inbound.lease;
        let trimmed = lease.trim_front(payload.start) && lease.set_len(payload.len());
        debug_assert!(trimmed, "a payload lies within its packet");
        let arrival = Arrival {
            sequence: header.sequence,
            timestamp: header.timestamp,
            marker: header.marker,
            key_frame_start: false,
        };
        // What is refused (late, twice) is dropped here, and goes back to the driver.
        let _ = inflow
            .reorder
            .insert(inbound.now, arrival, Held::new(inbound.lease));
        self.drain(inbound.now, record, inlet);
    }

    /// Takes a packet that was sent again under an SSRC of its own (RFC 4588).
    fn on_retransmission(
        &mut self,
        mut inbound: VideoInbound,
        (ssrc, codec): (u32, u8),
        record: &VideoRecord,
        inlet: &mut Inlet<'_>,
    ) {
        let bytes = inlet.driver.bytes(&inbound.lease);
        let packet = RtpPacket::parse(bytes).ok();
        let original = packet.as_ref().and_then(|packet| {
            let (sequence, _) = rtx::original(packet.payload())?;
            let mut range = packet.payload_range();
            range.start += rtx::HEAD_LEN;
            let arrival = Arrival {
                sequence,
                timestamp: packet.header.timestamp,
                marker: packet.header.marker,
                key_frame_start: false,
            };
            Some((arrival, range))
        });
        let layer = match (&self.chooser, self.ssrcs.carries(ssrc)) {
            (None, _) => Some(0),
            (Some(_), Carries::Repair(layer)) => Some(layer),
            (Some(_), _) => None,
        };
        let inflow = layer.and_then(|layer| self.received_of(layer));
        let inflow = inflow.filter(|inflow| inflow.codec as u8 == codec);
        // Without an original it only measured the path.
        let (Some((arrival, range)), Some(inflow)) = (original, inflow) else {
            return inlet.driver.release(inbound.lease);
        };
        add(&record.stats.rx_packets, 1);
        add(&record.stats.rx_bytes, inbound.lease.len() as u64);
        let lease = &mut inbound.lease;
        let trimmed = lease.trim_front(range.start) && lease.set_len(range.len());
        debug_assert!(trimmed, "a payload lies within its packet");
        let held = Held::new(inbound.lease);
        let _ = inflow.reorder.insert(inbound.now, arrival, held);
        self.drain(inbound.now, record, inlet);
    }

    /// The layer that comes under an SSRC, 0 for a plain stream; `None` where that is not
    /// known, or was another time.
    fn layer_of(&self, ssrc: u32) -> Option<usize> {
        match (&self.chooser, self.ssrcs.carries(ssrc)) {
            (None, _) => Some(0),
            (Some(_), Carries::Layer(layer)) => Some(layer).filter(|layer| *layer < LAYERS_MAX),
            (Some(_), _) => None,
        }
    }

    /// Where a packet of a layer goes; `None` while its layer is not in use. A new SSRC or
    /// codec begins anew.
    fn inflow_for(
        &mut self,
        now: Nanos,
        layer: usize,
        header: &RtpHeader,
        (codec, payload): (VideoCodec, &[u8]),
    ) -> Option<&mut Inflow> {
        let current = self.inflow.as_ref().map(|inflow| inflow.layer);
        let mut rows = None;
        let chosen = match &mut self.chooser {
            None => Some(layer),
            // It only measured the path.
            Some(_) if payload.is_empty() => None,
            Some(chooser) => {
                rows = key_frame_rows(codec, payload);
                chooser.on_packet(now, layer, header.marker, rows);
                chooser.choose(now, current)
            }
        };
        let given_up = |next: &mut Inflow| chosen.is_some_and(|layer| layer != next.layer);
        self.next.take_if(given_up);
        let known = self.received_of(layer).map(|inflow| inflow.stream());
        if known.is_none() && rows.is_some() {
            self.key_frames[layer].received();
        }
        if known == Some((header.ssrc, codec)) {
            return self.received_of(layer);
        }
        let waits = match known {
            Some(_) => self.next.as_ref().is_some_and(|next| next.layer == layer),
            None if chosen == Some(layer) => self.chooser.is_some(),
            None => return None,
        };
        let fresh = self.begin(layer, waits, header.ssrc, codec);
        if waits && rows.is_none() {
            self.key_frames[layer].need();
        }
        let place = if waits {
            &mut self.next
        } else {
            &mut self.inflow
        };
        Some(place.insert(fresh))
    }

    fn begin(&self, layer: usize, waits: bool, ssrc: u32, codec: VideoCodec) -> Inflow {
        let clock_hz = codec.rtp_clock_hz();
        Inflow {
            layer,
            waits,
            ssrc,
            codec,
            reception: match self.path.is_secure() {
                true => Reception::authenticated(clock_hz),
                false => Reception::new(clock_hz),
            },
            reorder: ReorderBuffer::new(match self.config.flags().contains(VideoFlags::NACK) {
                true => ReorderConfig::NACK,
                false => ReorderConfig::PLAIN,
            }),
            assembler: Assembler::new(codec, UNIT_BYTES_MAX),
            unit: Vec::new(),
            broken: codec == VideoCodec::Vp8,
        }
    }

    /// What is received of a layer that is in use, or is to be.
    fn received_of(&mut self, layer: usize) -> Option<&mut Inflow> {
        let flows = [&mut self.inflow, &mut self.next];
        flows
            .into_iter()
            .flatten()
            .find(|inflow| inflow.layer == layer)
    }

    /// Takes out of the reorder buffers what is in order, or never will be. The next
    /// layer's turn comes first: its key frame makes it the one in use. What has just
    /// begun is held back while there is another: it may end at once.
    fn drain(&mut self, now: Nanos, record: &VideoRecord, inlet: &mut Inlet<'_>) {
        let taken = match (&self.chooser, &self.inflow) {
            (Some(chooser), Some(inflow)) => {
                let waits = chooser.arrives(now, inflow.layer);
                let ready = |next: &mut Inflow| !waits || chooser.is_steady(next.layer);
                self.next.take_if(ready)
            }
            _ => self.next.take(),
        };
        if let Some(mut next) = taken {
            self.drain_one(&mut next, now, record, inlet);
            if next.waits {
                self.next = Some(next);
            } else {
                let before = self.inflow.replace(next);
                self.lost_before += before.map_or(0, |inflow| inflow.reorder.counters().lost);
            }
        }
        if let Some(mut inflow) = self.inflow.take() {
            self.drain_one(&mut inflow, now, record, inlet);
            self.inflow = Some(inflow);
        }
    }

    fn drain_one(
        &mut self,
        inflow: &mut Inflow,
        now: Nanos,
        record: &VideoRecord,
        inlet: &mut Inlet<'_>,
    ) {
        loop {
            match inflow.reorder.pop(now) {
                Pop::Wait => break,
                Pop::Lost(_) => inflow.assembler.lost(),
                Pop::Packet(arrival, held) => {
                    if inflow.assembler.ends_before(arrival.timestamp) {
                        self.finish(inflow, record, inlet);
                    }
                    let bytes = held.bytes(inlet.driver);
                    inflow
                        .assembler
                        .push(arrival.timestamp, bytes, &mut inflow.unit);
                    if arrival.marker {
                        self.finish(inflow, record, inlet);
                    }
                }
            }
        }
    }

    /// Hands an access unit on, if there is one that is of use.
    fn finish(&mut self, inflow: &mut Inflow, record: &VideoRecord, inlet: &mut Inlet<'_>) {
        let Some(info) = inflow.assembler.finish(&mut inflow.unit) else {
            return;
        };
        let UnitInfo {
            timestamp,
            key_frame,
            damaged,
            gap_before,
        } = info;
        let key_frames = &mut self.key_frames[inflow.layer];
        if inflow.waits && (!key_frame || damaged) {
            return key_frames.need();
        }
        inflow.waits = false;
        if damaged || gap_before {
            add(&record.stats.rx_frames_lost, 1);
            key_frames.need();
            inflow.broken = inflow.codec == VideoCodec::Vp8;
        }
        if key_frame && !damaged {
            key_frames.received();
            inflow.broken = false;
        } else if inflow.broken {
            key_frames.need();
        }
        // An H.264 decoder makes up what is missing; a VP8 decoder does not notice,
        // and shows what never was.
        if inflow.unit.is_empty() || inflow.broken || is_put_aside(record) {
            return;
        }
        add(&record.stats.rx_frames, 1);
        let Some(link) = &mut inlet.link else {
            return;
        };
        let head = AccessUnitHead {
            conference: inlet.conference,
            stream: self.slot_ref(),
            leg: self.config.leg.slot,
            timestamp,
            codec: inflow.codec as u8,
            key_frame: u8::from(key_frame),
            content: u8::from(self.is_content()),
            reserved: [0; 5],
        };
        if !link.offer(head.as_bytes(), &inflow.unit) {
            add(&record.stats.rx_frames_lost, 1);
            self.key_frames[inflow.layer].need();
            inflow.broken = inflow.codec == VideoCodec::Vp8;
        }
    }

    fn on_rtcp(&mut self, mut inbound: VideoInbound, record: &VideoRecord, inlet: &mut Inlet<'_>) {
        if self.decrypt(Receiver::unprotect_rtcp, &mut inbound, record, inlet) {
            self.on_compound(&inbound, record, inlet);
        } else {
            add(&record.stats.rx_refused, 1);
        }
        inlet.driver.release(inbound.lease);
    }

    /// Opens reports of a bundle, which may be about any stream of it; the lease, if
    /// they are good.
    pub(crate) fn open_reports(
        &mut self,
        mut inbound: VideoInbound,
        record: &VideoRecord,
        inlet: &mut Inlet<'_>,
    ) -> Option<VideoInbound> {
        if self.decrypt(Receiver::unprotect_rtcp, &mut inbound, record, inlet) {
            return Some(inbound);
        }
        add(&record.stats.rx_refused, 1);
        inlet.driver.release(inbound.lease);
        None
    }

    /// Takes what opened reports say of it.
    pub(crate) fn on_compound(
        &mut self,
        inbound: &VideoInbound,
        record: &VideoRecord,
        inlet: &mut Inlet<'_>,
    ) {
        let bytes = inlet.driver.bytes(&inbound.lease);
        let compound = match self.bundle {
            Some(_) => Compound::parse_reduced_size(bytes),
            None => Compound::parse(bytes),
        };
        let Ok(compound) = compound else {
            return add(&record.stats.rx_refused, 1);
        };
        let evidence = RtcpEvidence {
            source: inbound.source,
            ssrc: compound.sender_ssrc(),
        };
        let judged = self
            .path
            .judge_rtcp(inbound.now, &evidence, record, inlet.driver);
        if judged == Judged::Refused {
            return add(&record.stats.rx_refused, 1);
        }
        let now = inbound.now;
        let our_ssrc = self.config.tx_ssrc;
        let bytes = inlet.driver.bytes(&inbound.lease);
        // A goodbye of a stream of pictures ends nothing: the leg is SIP's.
        let _ = self.reports.on_compound(now, bytes, our_ssrc);
        if let Some(block) = self.reports.take_heard() {
            self.rate.on_report(now, block.fraction_lost);
        }
        let mut wants_key_frame = false;
        let mut missing = [0; NACKS_MAX];
        let mut count = 0;
        let asker = compound.sender_ssrc();
        for packet in compound.packets() {
            for (place, sequence) in missing[count..].iter_mut().zip(nacks_of(&packet, our_ssrc)) {
                *place = sequence;
                count += 1;
            }
            wants_key_frame |= packet.picture_loss() == Some(our_ssrc);
            wants_key_frame |= packet
                .full_intra_requests()
                .any(|request| request.ssrc == our_ssrc);
            self.take_rate_bounds(asker, &packet);
        }
        self.send_again(now, missing[..count].iter().copied(), record, inlet);
        if wants_key_frame {
            add(&record.stats.tx_key_frame_requests, 1);
            self.ask_module_for_key_frame(inlet);
        }
    }

    fn take_rate_bounds(&mut self, asker: u32, packet: &RtcpPacket<'_>) {
        let our_ssrc = self.config.tx_ssrc;
        let requests = packet.rate_requests();
        if let Some(bound) = requests.filter(|bound| bound.ssrc == our_ssrc).last() {
            self.rate.set_bound(bound.bit_rate_bps);
            self.bound_to_confirm = Some(RateBound {
                ssrc: asker,
                ..bound
            });
        }
        if let Some(remb) = packet.remb() {
            self.rate.set_bound(remb.bit_rate_bps);
        }
    }

    /// Opens a packet in place; `false` when it was refused.
    fn decrypt(
        &mut self,
        open: fn(&mut Receiver, &mut [u8]) -> Result<usize, Reject>,
        inbound: &mut VideoInbound,
        record: &VideoRecord,
        inlet: &mut Inlet<'_>,
    ) -> bool {
        let packet = inlet.driver.bytes_mut(&mut inbound.lease);
        match self.path.open(open, packet, record) {
            Ok(len) => {
                inbound.lease.truncate(len);
                true
            }
            Err(Reject::TooManyStreams) => {
                let SlotRef { slot, generation } = self.slot_ref();
                let kind = EventKind::VideoKeyExhausted;
                inlet.events.leg(kind, slot, generation, 0);
                false
            }
            Err(_) => false,
        }
    }

    fn note_heard(&mut self, now: Nanos, record: &VideoRecord, events: &mut Events) {
        let first = record.last_received.load(Ordering::Relaxed) == 0;
        record.last_received.store(now.0, Ordering::Relaxed);
        if first {
            self.path.keep_address(record);
            let SlotRef { slot, generation } = self.slot_ref();
            events.leg(EventKind::VideoStarted, slot, generation, 0);
        }
    }

    /// What has become due without a packet: gaps given up or asked for again, a key
    /// frame asked for, a report. Called on each tick of the conference.
    pub(crate) fn advance(
        &mut self,
        record: &VideoRecord,
        conference: SlotRef,
        link: Option<&mut Link>,
        events: &mut Events,
        exit: &mut Exit<'_>,
        rng: &mut impl Rng,
    ) {
        let now = exit.now;
        self.again.fill(now, self.rate.allowed_bps());
        let mut inlet = Inlet {
            driver: exit.driver,
            outbox: exit.outbox,
            events,
            link,
            conference,
            bandwidth: None,
        };
        self.drain(now, record, &mut inlet);
        for layer in 0..LAYERS_MAX {
            let unmeasured = |chooser: &LayerChooser| chooser.is_unmeasured(now, layer);
            if self.chooser.as_ref().is_some_and(unmeasured) {
                self.key_frames[layer].need();
            } else if self.received_of(layer).is_none() {
                continue;
            }
            self.ask_of_layer(layer, record, events, exit);
        }
        self.confirm_bound(record, exit);
        self.report_if_due(record, exit, rng);
    }

    /// Asks for what is missing of a layer, or of a plain stream.
    fn ask_of_layer(
        &mut self,
        layer: usize,
        record: &VideoRecord,
        events: &mut Events,
        exit: &mut Exit<'_>,
    ) {
        let mut sequences = [0; NACKS_MAX];
        let mut missing = 0;
        let mut ssrc = self.ssrcs.of_layer(layer);
        if let Some(inflow) = self.received_of(layer) {
            missing = inflow.reorder.requests(exit.now, &mut sequences);
            ssrc = Some(inflow.ssrc);
        }
        let Some(ssrc) = ssrc else {
            return;
        };
        let flags = self.config.flags();
        let by_feedback = flags.contains(VideoFlags::PLI) || flags.contains(VideoFlags::FIR);
        let due = self.key_frames[layer].poll(exit.now);
        if due && !by_feedback {
            self.ask_control_for_key_frame(record, events);
        }
        let ask = due && by_feedback;
        if ask || missing > 0 {
            let sequences = &sequences[..missing];
            self.send_feedback(record, exit, ssrc, sequences, ask);
        }
    }

    /// Says which bound is kept to, to whom asked for it (TMMBN, RFC 5104 section
    /// 3.5.4.2): once a tick, however often it was asked.
    fn confirm_bound(&mut self, record: &VideoRecord, exit: &mut Exit<'_>) {
        let Some(bound) = self.bound_to_confirm.take() else {
            return;
        };
        let ours = self.config.tx_ssrc;
        let cname = self.reports.cname().to_owned();
        self.send_compound(record, exit, |_, out| {
            let mut writer = CompoundWriter::new(out);
            writer.receiver_report(ours, &[]).cname(ours, &cname);
            writer.rate_notification(ours, &[bound]);
            writer.finish().unwrap_or(0)
        });
    }

    /// Asks for a key frame where only SIP can (RFC 5168).
    fn ask_control_for_key_frame(&self, record: &VideoRecord, events: &mut Events) {
        add(&record.stats.rx_key_frame_requests, 1);
        let SlotRef { slot, generation } = self.slot_ref();
        let leg = self.config.leg;
        let leg = u64::from(leg.generation) << 32 | u64::from(leg.slot);
        events.leg(EventKind::VideoKeyFrameNeeded, slot, generation, leg);
    }

    /// Asks the far end, at once: for packets again, or for a key frame.
    fn send_feedback(
        &mut self,
        record: &VideoRecord,
        exit: &mut Exit<'_>,
        ssrc: u32,
        sequences: &[u16],
        key_frame: bool,
    ) {
        let ours = self.config.tx_ssrc;
        let with_pli = self.config.flags().contains(VideoFlags::PLI);
        if key_frame {
            add(&record.stats.rx_key_frame_requests, 1);
            self.fir_command = self.fir_command.wrapping_add(u8::from(!with_pli));
        }
        let command = self.fir_command;
        let cname = self.reports.cname().to_owned();
        self.send_compound(record, exit, |_, out| {
            let mut writer = CompoundWriter::new(out);
            writer.receiver_report(ours, &[]).cname(ours, &cname);
            writer.nack(ours, ssrc, sequences);
            match (key_frame, with_pli) {
                (false, _) => {}
                (true, true) => {
                    writer.picture_loss(ours, ssrc);
                }
                (true, false) => {
                    writer.full_intra_request(ours, ssrc, command);
                }
            }
            writer.finish().unwrap_or(0)
        });
    }

    /// Tells the far end when the packets of its transport came.
    pub(crate) fn send_transport_feedback(
        &mut self,
        arrivals: &mut Arrivals,
        record: &VideoRecord,
        exit: &mut Exit<'_>,
    ) {
        let mut fci = [0; TRANSPORT_FEEDBACK_MAX];
        let (Some(ssrc), Some(len)) = (self.ssrcs.newest(), arrivals.write(&mut fci)) else {
            return;
        };
        let ours = self.config.tx_ssrc;
        let cname = self.reports.cname().to_owned();
        self.send_compound(record, exit, |_, out| {
            let mut writer = CompoundWriter::new(out);
            writer.receiver_report(ours, &[]).cname(ours, &cname);
            writer.transport_feedback(ours, ssrc, &fci[..len]);
            writer.finish().unwrap_or(0)
        });
    }

    fn report_if_due(&mut self, record: &VideoRecord, exit: &mut Exit<'_>, rng: &mut impl Rng) {
        if !self.reports.is_due(exit.now) {
            return;
        }
        let (now, ours) = (exit.now, self.config.tx_ssrc);
        self.send_compound(record, exit, |stream, out| {
            let inflow = stream.inflow.as_mut();
            let received = inflow.map(|inflow| (inflow.ssrc, &mut inflow.reception));
            stream.reports.write(now, ours, received, out, rng)
        });
        self.publish(record);
    }

    /// Sends what `write` writes, if it writes anything.
    fn send_compound(
        &mut self,
        record: &VideoRecord,
        exit: &mut Exit<'_>,
        write: impl FnOnce(&mut Self, &mut [u8]) -> usize,
    ) {
        let Some(mut lease) = exit.driver.send_buffer() else {
            return;
        };
        let mut sent = None;
        if lease.set_len(COMPOUND_LEN_MAX + TAIL_MAX) {
            let buffer = exit.driver.bytes_mut(&mut lease);
            let len = write(self, &mut buffer[..COMPOUND_LEN_MAX]);
            sent = (len > 0)
                .then(|| self.path.protect_rtcp(record, buffer, len))
                .flatten();
        }
        match (sent, self.path.rtcp_route()) {
            (Some(len), Some((socket, to))) => {
                lease.truncate(len);
                exit.outbox.push(exit.driver, socket, to, lease, None);
            }
            _ => exit.driver.release(lease),
        }
    }

    /// Brings gauges of the record up to date.
    fn publish(&self, record: &VideoRecord) {
        let stats = &record.stats;
        set(&stats.round_trip_us, self.reports.round_trip_us());
        if let Some(inflow) = &self.inflow {
            set(&stats.rx_jitter_us, inflow.reception.jitter_us());
            set(
                &stats.rx_lost,
                self.lost_before + inflow.reorder.counters().lost,
            );
        }
        if let Some(block) = self.reports.heard() {
            set(&stats.tx_loss_fraction, u64::from(block.fraction_lost));
            // 90 ticks are a millisecond.
            set(&stats.tx_jitter_us, u64::from(block.jitter) * 1_000 / 90);
        }
    }
}
