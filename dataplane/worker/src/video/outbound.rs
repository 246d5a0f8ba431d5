//! What a stream sends: pictures that a module encoded.
//!
//! A picture becomes packets at once, for its bytes are the module's only until the
//! next; but a large one leaves over some milliseconds, because a burst of fifty
//! packets is what queues on the way are short of.

use std::sync::atomic::{AtomicU64, Ordering};

use plenum_abi::{
    FrameHead, InConference, Nanos, UpKind, VideoCodec, VideoConfig, VideoFlags, VideoRecord,
};
use plenum_pool::Lease;
use plenum_rtp::packet::{RTP_HEADER_LEN, RtpHeader};
use plenum_rtp::video::{
    H264Packetizer, H264Packets, PacketizationMode, Payload, SentPacket, Vp8Packetizer, Vp8Packets,
    rtx,
};
use plenum_srtp::TAIL_MAX;
use plenum_uring::Destination;
use rand::Rng;
use zerocopy::IntoBytes;

use super::bandwidth::{Bandwidth, NUMBERED_HEADER_LEN, extend};
use super::inbound::Inlet;
use super::path::Path;
use super::{PAYLOAD_MAX, VideoStream};
use crate::counters::{add, set};
use crate::leg::Exit;

/// Bytes of padding in a packet of nothing else.
const PADDING_LEN: usize = 255;
/// Packets that leave together where nothing is known of the path; the rest of a picture follows in as many at a time.
const BURST: usize = 8;
/// Packets of pictures that may wait. More, and the path is not what it was taken for.
const BACKLOG_MAX: usize = 512;
/// Packets that are sent again for one request.
const AGAIN_MAX: usize = 64;
/// The stage's clock may be off by this much before it is taken for another.
const CLOCK_SLACK: u32 = 90_000;

/// A packet that waits for its moment. Its header is written when that comes: only
/// then is it known which number it has on its transport, and only what leaves takes a
/// number of its stream.
pub(super) struct Waiting {
    pub(super) lease: Lease,
    /// Where the payload begins.
    head_len: usize,
    payload: Payload,
    timestamp: u32,
}

/// What may be sent again: a share of what may be sent, so that a far end that loses
/// much, or says so, does not get more of what it loses.
#[derive(Debug, Default)]
pub(super) struct Again {
    bytes: u64,
    filled_at: Nanos,
}

/// Half of the rate, and a quarter of a second's worth of it at once, but some packets
/// in any case: of a small rate a key frame's are a second's worth. (At a tenth lost
/// and 50 ms of jitter a quarter was too little: 4 pictures a second came through, not
/// 17.)
const AGAIN_SHARE: u64 = 2;
const AGAIN_BYTES_MIN: u64 = 10_000;

impl Again {
    pub(super) fn fill(&mut self, now: Nanos, rate_bps: u32) {
        let most = u64::from(rate_bps) / 8 / AGAIN_SHARE;
        let millis = now.since(self.filled_at).as_millis().min(1_000) as u64;
        self.bytes = (self.bytes + most * millis / 1_000).min((most / 4).max(AGAIN_BYTES_MIN));
        self.filled_at = now;
    }

    fn take(&mut self, bytes: u64) -> bool {
        let enough = self.bytes >= bytes;
        self.bytes -= if enough { bytes } else { 0 };
        enough
    }
}

/// A picture for some receivers.
pub(crate) struct EncodedPicture<'a> {
    pub(crate) head: FrameHead,
    pub(crate) data: &'a [u8],
}

/// How pictures become payloads.
pub(super) enum Packetizer {
    H264(H264Packetizer),
    Vp8(Vp8Packetizer),
}

impl Packetizer {
    pub(super) fn new(config: &VideoConfig, rng: &mut impl Rng) -> Self {
        let payload = config.tx_payload().unwrap_or_default();
        if payload.codec == VideoCodec::Vp8 as u8 {
            return Self::Vp8(Vp8Packetizer::new(PAYLOAD_MAX, 1, rng.random()));
        }
        let mode = PacketizationMode::from_u8(payload.packetization_mode)
            .unwrap_or(PacketizationMode::SingleNalUnit);
        Self::H264(H264Packetizer::new(mode, PAYLOAD_MAX))
    }

    fn packets<'a>(&mut self, picture: &'a [u8]) -> Packets<'a> {
        match self {
            Self::H264(packetizer) => Packets::H264(packetizer.packets(picture)),
            Self::Vp8(packetizer) => Packets::Vp8(packetizer.packets(picture, 0)),
        }
    }

    const fn codec(&self) -> VideoCodec {
        match self {
            Self::H264(_) => VideoCodec::H264,
            Self::Vp8(_) => VideoCodec::Vp8,
        }
    }
}

/// The payloads of one picture.
enum Packets<'a> {
    H264(H264Packets<'a>),
    Vp8(Vp8Packets<'a>),
}

impl Packets<'_> {
    fn write_next(&mut self, out: &mut [u8]) -> Option<Payload> {
        match self {
            Self::H264(packets) => packets.write_next(out),
            Self::Vp8(packets) => packets.write_next(out),
        }
    }

    /// Whether nothing had to be left out.
    fn is_whole(&self) -> bool {
        match self {
            Self::H264(packets) => packets.omitted() == 0,
            Self::Vp8(_) => true,
        }
    }
}

/// Where the payload begins.
const fn head_len(numbered: bool) -> usize {
    if numbered {
        NUMBERED_HEADER_LEN
    } else {
        RTP_HEADER_LEN
    }
}

/// A packet whose payload is in its place.
struct Ready<'a> {
    lease: Lease,
    /// Where the payload begins and ends.
    head_len: usize,
    plain_len: usize,
    /// Its stream's next index; the sequence number follows from it.
    next: &'a AtomicU64,
    header: RtpHeader,
    /// Its payload is padding (RFC 3550 section 5.1).
    padding: bool,
    /// Where it goes: the socket's key and the address.
    to: (u32, Destination),
}

/// Writes header and number, protects the packet and sends it; `false` when it could not
/// be protected.
fn leave(
    ready: Ready<'_>,
    path: &mut Path,
    exit: &mut Exit<'_>,
    bandwidth: Option<&mut Bandwidth>,
) -> bool {
    let Ready {
        mut lease,
        head_len,
        plain_len,
        next,
        header,
        padding,
        to: (socket, to),
    } = ready;
    let buffer = exit.driver.bytes_mut(&mut lease);
    let sequence = next.load(Ordering::Relaxed) as u16;
    RtpHeader { sequence, ..header }.write(buffer);
    buffer[0] |= u8::from(padding) << 5;
    match bandwidth {
        _ if head_len == RTP_HEADER_LEN => {}
        Some(bandwidth) => bandwidth.number(exit.now, buffer, plain_len),
        None => extend(buffer, None),
    }
    let Some((len, tag)) = path.protect(next, buffer, plain_len) else {
        exit.driver.release(lease);
        return false;
    };
    lease.truncate(len);
    exit.outbox.push(exit.driver, socket, to, lease, tag);
    true
}

impl VideoStream {
    /// Sends a picture. `true` when the stream cannot go on without a key frame that
    /// the module does not know of.
    pub(crate) fn send_picture(
        &mut self,
        picture: &EncodedPicture<'_>,
        record: &VideoRecord,
        exit: &mut Exit<'_>,
        bandwidth: Option<&mut Bandwidth>,
    ) -> bool {
        let flags = self.config.flags();
        if !flags.contains(VideoFlags::SEND) || flags.contains(VideoFlags::TX_VIDEO_MUTE) {
            return false;
        }
        let key_frame = picture.head.key_frame != 0;
        if picture.head.codec != self.packetizer.codec() as u8
            || self.awaits_key_frame && !key_frame
        {
            return self.awaits_key_frame;
        }
        let timestamp = self.timestamp(exit.now, picture.head.timestamp, record);
        let whole = self.send_payloads(picture.data, timestamp, record, exit, bandwidth);
        self.awaits_key_frame = !whole;
        let stats = &record.stats;
        let size = u64::from(picture.head.width) << 16 | u64::from(picture.head.height);
        set(&stats.tx_size, size);
        add(&stats.tx_frames, u64::from(whole));
        !whole
    }

    /// The stage's timestamp in the stream's time, which goes on where it would be
    /// had no process died, ours or the module's.
    fn timestamp(&mut self, now: Nanos, stage: u32, record: &VideoRecord) -> u32 {
        let transmit = &record.transmit;
        let clock_at = transmit.clock_at.load(Ordering::Relaxed);
        let expected = (clock_at != 0).then(|| {
            let gone_ns = now.since(Nanos(clock_at)).as_nanos() as u64;
            let gone = gone_ns * u64::from(VideoCodec::H264.rtp_clock_hz()) / 1_000_000_000;
            (transmit.timestamp.load(Ordering::Relaxed) as u32).wrapping_add(gone as u32)
        });
        let offset = *self.timestamp_offset.get_or_insert_with(|| match expected {
            Some(expected) => expected.wrapping_sub(stage),
            None => self.first_timestamp.wrapping_sub(stage),
        });
        let mut timestamp = stage.wrapping_add(offset);
        if let Some(expected) = expected {
            let off = timestamp.wrapping_sub(expected) as i32;
            if off.unsigned_abs() > CLOCK_SLACK {
                self.timestamp_offset = Some(expected.wrapping_sub(stage));
                timestamp = expected;
            }
        }
        transmit
            .timestamp
            .store(u64::from(timestamp), Ordering::Relaxed);
        transmit.clock_at.store(now.0, Ordering::Relaxed);
        timestamp
    }

    /// `false` when not all of it could be queued.
    fn send_payloads(
        &mut self,
        data: &[u8],
        timestamp: u32,
        record: &VideoRecord,
        exit: &mut Exit<'_>,
        bandwidth: Option<&mut Bandwidth>,
    ) -> bool {
        let head_len = head_len(bandwidth.is_some());
        let mut packets = self.packetizer.packets(data);
        let mut whole = true;
        while whole
            && let Some(queued) = self.queue((timestamp, head_len), record, exit, |out| {
                packets.write_next(out)
            })
        {
            whole = queued;
        }
        self.send_burst(record, exit, bandwidth);
        whole && packets.is_whole()
    }

    /// Keeps one packet of what `write` writes; `None` when it wrote nothing,
    /// `Some(false)` when there was no room for it.
    fn queue(
        &mut self,
        (timestamp, head_len): (u32, usize),
        record: &VideoRecord,
        exit: &mut Exit<'_>,
        write: impl FnOnce(&mut [u8]) -> Option<Payload>,
    ) -> Option<bool> {
        let stats = &record.stats;
        let lease = exit
            .driver
            .send_buffer()
            .filter(|_| self.backlog.len() < BACKLOG_MAX);
        let Some(mut lease) = lease else {
            add(&stats.tx_errors, 1);
            return Some(false);
        };
        if !lease.set_len(head_len + PAYLOAD_MAX + TAIL_MAX) {
            exit.driver.release(lease);
            return Some(false);
        }
        let buffer = exit.driver.bytes_mut(&mut lease);
        let Some(payload) = write(&mut buffer[head_len..head_len + PAYLOAD_MAX]) else {
            exit.driver.release(lease);
            return None;
        };
        self.backlog_bytes += payload.len as u32;
        self.backlog.push_back(Waiting {
            lease,
            head_len,
            payload,
            timestamp,
        });
        Some(true)
    }

    /// Sends a packet that waited. Where it cannot be sent, nothing after it is of use
    /// without a key frame.
    fn send_waiting(
        &mut self,
        waiting: Waiting,
        record: &VideoRecord,
        exit: &mut Exit<'_>,
        bandwidth: Option<&mut Bandwidth>,
    ) {
        let Waiting {
            lease,
            head_len,
            payload,
            timestamp,
        } = waiting;
        let Some(to) = self.path.rtp_route() else {
            self.awaits_key_frame = true;
            return exit.driver.release(lease);
        };
        let stats = &record.stats;
        let next = &record.transmit.next_rtp_index;
        let plain_len = head_len + payload.len;
        if let Some(history) = &mut self.history {
            let sent = SentPacket {
                index: next.load(Ordering::Relaxed),
                timestamp,
                marker: payload.marker,
            };
            let plain = &exit.driver.bytes(&lease)[head_len..plain_len];
            history.put(exit.now, sent, plain);
        }
        let ready = Ready {
            lease,
            head_len,
            plain_len,
            next,
            header: RtpHeader {
                marker: payload.marker,
                payload_type: self.config.tx_payload().unwrap_or_default().payload_type,
                timestamp,
                ssrc: self.config.tx_ssrc,
                ..RtpHeader::default()
            },
            padding: false,
            to,
        };
        if !leave(ready, &mut self.path, exit, bandwidth) {
            add(&stats.tx_errors, 1);
            self.awaits_key_frame = true;
            return;
        }
        self.sent_at = exit.now;
        self.reports.count_sent(payload.len, timestamp, exit.now);
        add(&stats.tx_packets, 1);
        add(&stats.tx_bytes, plain_len as u64);
    }

    /// Sends packets again that the far end misses, as far as they are still there and
    /// the rate allows, under an SSRC and numbers of their own (RFC 4588). Who does not
    /// know that asks for a key frame in the end: the same packet a second time would
    /// be the same keystream a second time, which nothing here can do.
    pub(super) fn send_again(
        &mut self,
        now: Nanos,
        sequences: impl Iterator<Item = u16>,
        record: &VideoRecord,
        inlet: &mut Inlet<'_>,
    ) {
        let repeat_header = self.repeat_header();
        let (Some(history), Some(to)) = (&mut self.history, self.path.rtp_route()) else {
            return;
        };
        for sequence in sequences.take(AGAIN_MAX) {
            let Some((sent, payload)) = history.again(now, sequence) else {
                continue;
            };
            if !self.again.take(payload.len() as u64) {
                return;
            }
            let Some(mut lease) = inlet.driver.send_buffer() else {
                return add(&record.stats.tx_errors, 1);
            };
            let head_len = head_len(inlet.bandwidth.is_some());
            let plain_len = head_len + rtx::HEAD_LEN + payload.len();
            if !lease.set_len(plain_len + TAIL_MAX) {
                return inlet.driver.release(lease);
            }
            let buffer = &mut inlet.driver.bytes_mut(&mut lease)[head_len..plain_len];
            let (head, rest) = buffer.split_at_mut(rtx::HEAD_LEN);
            head.copy_from_slice(&rtx::head(sequence));
            rest.copy_from_slice(payload);
            let ready = Ready {
                lease,
                head_len,
                plain_len,
                next: &record.retransmit.next_rtp_index,
                header: RtpHeader {
                    marker: sent.marker,
                    timestamp: sent.timestamp,
                    ..repeat_header
                },
                padding: false,
                to,
            };
            let mut exit = Exit {
                now,
                driver: inlet.driver,
                outbox: inlet.outbox,
            };
            let bandwidth = inlet.bandwidth.as_deref_mut();
            if !leave(ready, &mut self.path, &mut exit, bandwidth) {
                return add(&record.stats.tx_errors, 1);
            }
            add(&record.stats.tx_retransmitted, 1);
            add(&record.stats.tx_bytes, plain_len as u64);
        }
    }

    /// Header of what goes under the SSRC of retransmissions.
    fn repeat_header(&self) -> RtpHeader {
        let payload = self.config.tx_payload().unwrap_or_default();
        RtpHeader {
            payload_type: payload.rtx_payload_type,
            ssrc: self.config.tx_rtx_ssrc,
            ..RtpHeader::default()
        }
    }

    /// Sends the next few packets, as the path allows; whether more wait.
    pub(crate) fn send_burst(
        &mut self,
        record: &VideoRecord,
        exit: &mut Exit<'_>,
        mut bandwidth: Option<&mut Bandwidth>,
    ) -> bool {
        if let Some(bandwidth) = &mut bandwidth {
            bandwidth.queued(self.backlog_bytes);
        }
        let mut sent = 0;
        while let Some(waiting) = self.backlog.front() {
            let len = waiting.head_len + waiting.payload.len;
            let may = match &mut bandwidth {
                Some(bandwidth) => bandwidth.may_send(exit.now, len),
                None => sent < BURST,
            };
            let Some(waiting) = may.then(|| self.backlog.pop_front()).flatten() else {
                break;
            };
            self.backlog_bytes -= waiting.payload.len as u32;
            self.send_waiting(waiting, record, exit, bandwidth.as_deref_mut());
            sent += 1;
        }
        match bandwidth {
            Some(bandwidth) => self.send_probe(record, exit, bandwidth) || self.has_backlog(),
            None => self.has_backlog(),
        }
    }

    /// Sends what a probe of the path wants now, as padding under the SSRC of
    /// retransmissions; whether it goes on.
    fn send_probe(
        &mut self,
        record: &VideoRecord,
        exit: &mut Exit<'_>,
        bandwidth: &mut Bandwidth,
    ) -> bool {
        if !self.is_counted() || self.history.is_none() || self.sent_at == Nanos::ZERO {
            return false;
        }
        while bandwidth.wants_padding(exit.now) && self.send_padding(record, exit, bandwidth) {}
        bandwidth.is_probing()
    }

    /// One packet of padding alone (RFC 3550 section 5.1).
    fn send_padding(
        &mut self,
        record: &VideoRecord,
        exit: &mut Exit<'_>,
        bandwidth: &mut Bandwidth,
    ) -> bool {
        let (Some(to), Some(mut lease)) = (self.path.rtp_route(), exit.driver.send_buffer()) else {
            return false;
        };
        let plain_len = NUMBERED_HEADER_LEN + PADDING_LEN;
        if !lease.set_len(plain_len + TAIL_MAX) {
            exit.driver.release(lease);
            return false;
        }
        let padding = &mut exit.driver.bytes_mut(&mut lease)[NUMBERED_HEADER_LEN..plain_len];
        padding.fill(0);
        padding[PADDING_LEN - 1] = PADDING_LEN as u8;
        let ready = Ready {
            lease,
            head_len: NUMBERED_HEADER_LEN,
            plain_len,
            next: &record.retransmit.next_rtp_index,
            header: RtpHeader {
                timestamp: record.transmit.timestamp.load(Ordering::Relaxed) as u32,
                ..self.repeat_header()
            },
            padding: true,
            to,
        };
        leave(ready, &mut self.path, exit, Some(bandwidth))
    }

    /// Whether packets wait for their moment.
    pub(crate) fn has_backlog(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// The far end's decoder has lost its way.
    pub(super) fn ask_module_for_key_frame(&mut self, inlet: &mut Inlet<'_>) {
        if let Some(link) = &mut inlet.link {
            let about = InConference {
                conference: inlet.conference,
                about: self.slot_ref(),
            };
            link.say(UpKind::RequestKeyFrame, about.as_bytes());
        }
    }
}
