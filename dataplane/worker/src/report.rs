//! RTCP of a stream: what it tells the far end, and what the far end tells it.
//!
//! One compound packet of report and CNAME at the times of RFC 3550 section
//! 6.3; what comes back of our stream's loss and delay goes to the leg's
//! counters. Feedback for video is [`crate::video`]'s.

use std::time::{SystemTime, UNIX_EPOCH};

use plenum_abi::{LegStats, Nanos};
use plenum_rtp::reception::Reception;
use plenum_rtp::rtcp::{
    Compound, CompoundWriter, NtpTime, ReportBlock, RtcpPacket, RtcpTimer, RtcpTimerConfig,
    SenderInfo, SenderView, round_trip,
};
use rand::Rng;

use crate::counters::set;

/// A CNAME that says nothing of the machine (RFC 7022): 96 bits of the leg's id.
const CNAME_LEN: usize = 24;

/// Whose RTCP it is.
pub(crate) struct ReportsConfig {
    /// The leg's id; all of its streams have one name.
    pub(crate) leg_guid: [u8; 16],
    /// Ticks a second of the RTP timestamp.
    pub(crate) clock_hz: u32,
    /// How often reports are due.
    pub(crate) timer: RtcpTimerConfig,
}

/// See the [module](self).
pub(crate) struct Reports {
    timer: RtcpTimer,
    far_end: SenderView,
    cname: [u8; CNAME_LEN],
    packets: u32,
    octets: u32,
    /// Timestamp of our newest packet and when it was queued.
    newest: Option<(u32, Nanos)>,
    packets_at_report: u32,
    heard_of_us: Option<ReportBlock>,
    /// It was not asked for yet.
    is_news: bool,
    round_trip_us: u64,
    clock_hz: u32,
}

fn wall_clock() -> NtpTime {
    NtpTime::from_unix(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default(),
    )
}

/// Who sent the compound packet; `None` when it is none.
pub(crate) fn sender_ssrc(compound: &[u8]) -> Option<u32> {
    Compound::parse(compound)
        .ok()
        .map(|compound| compound.sender_ssrc())
}

impl Reports {
    pub(crate) fn new(now: Nanos, config: &ReportsConfig, rng: &mut impl Rng) -> Self {
        let mut cname = [0; CNAME_LEN];
        for (digits, byte) in cname.chunks_exact_mut(2).zip(config.leg_guid) {
            digits[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
            digits[1] = b"0123456789abcdef"[usize::from(byte & 0xf)];
        }
        Self {
            timer: RtcpTimer::new(now, config.timer, rng.random()),
            far_end: SenderView::new(),
            cname,
            packets: 0,
            octets: 0,
            newest: None,
            packets_at_report: 0,
            heard_of_us: None,
            is_news: false,
            round_trip_us: 0,
            clock_hz: config.clock_hz,
        }
    }

    /// Counts a packet of ours.
    pub(crate) fn count_sent(&mut self, payload_len: usize, timestamp: u32, now: Nanos) {
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(payload_len as u32);
        self.newest = Some((timestamp, now));
    }

    /// Takes a compound packet from the far end; `true` when it says goodbye.
    pub(crate) fn on_compound(&mut self, now: Nanos, compound: &[u8], our_ssrc: u32) -> bool {
        let Ok(parsed) = Compound::parse(compound) else {
            return false;
        };
        self.timer.on_packet(compound.len());
        let mut said_bye = false;
        for packet in parsed.packets() {
            match packet {
                RtcpPacket::SenderReport(report) => {
                    self.far_end.on_report(now, &report);
                    self.note(report.blocks().find(|block| block.ssrc == our_ssrc));
                }
                RtcpPacket::ReceiverReport(report) => {
                    self.note(report.blocks().find(|block| block.ssrc == our_ssrc));
                }
                RtcpPacket::Bye(_) => said_bye = true,
                _ => {}
            }
        }
        said_bye
    }

    fn note(&mut self, block: Option<ReportBlock>) {
        let Some(block) = block else { return };
        if let Some(trip) = round_trip(wall_clock(), &block) {
            self.round_trip_us = trip.as_micros() as u64;
        }
        self.heard_of_us = Some(block);
        self.is_news = true;
    }

    /// Whether it is time to look at [`Self::write`].
    pub(crate) fn is_due(&self, now: Nanos) -> bool {
        now >= self.timer.deadline()
    }

    /// Writes a report into `out` and returns its length; 0 when the timer
    /// decided to wait a little longer.
    pub(crate) fn write(
        &mut self,
        now: Nanos,
        tx_ssrc: u32,
        stream: Option<(u32, &mut Reception)>,
        out: &mut [u8],
        rng: &mut impl Rng,
    ) -> usize {
        let we_sent = self.packets != self.packets_at_report;
        let senders = u32::from(we_sent) + u32::from(stream.is_some());
        self.timer.set_members(2, senders, we_sent);
        if !self.timer.on_timeout(now, rng.random()) {
            return 0;
        }
        let (last_sr, delay) = self.far_end.report_times(now);
        let block = stream.and_then(|(ssrc, reception)| reception.report(ssrc, last_sr, delay));
        let blocks = block.as_slice();
        let mut writer = CompoundWriter::new(out);
        match self.newest {
            Some((timestamp, at)) if we_sent => {
                let since = now.since(at).as_nanos() as u64;
                let ticks = since * u64::from(self.clock_hz) / 1_000_000_000;
                let info = SenderInfo {
                    ntp: wall_clock(),
                    rtp_timestamp: timestamp.wrapping_add(ticks as u32),
                    packets: self.packets,
                    octets: self.octets,
                };
                writer.sender_report(tx_ssrc, &info, blocks);
            }
            _ => {
                writer.receiver_report(tx_ssrc, blocks);
            }
        }
        self.packets_at_report = self.packets;
        let len = writer.cname(tx_ssrc, &self.cname).finish().unwrap_or(0);
        self.timer.on_packet(len);
        len
    }

    /// What the far end said of our stream since this was last asked, if anything.
    pub(crate) fn take_heard(&mut self) -> Option<ReportBlock> {
        std::mem::take(&mut self.is_news)
            .then_some(self.heard_of_us)
            .flatten()
    }

    /// The far end's last word about our stream.
    pub(crate) fn heard(&self) -> Option<&ReportBlock> {
        self.heard_of_us.as_ref()
    }

    /// Round trip, microseconds; 0 before the first.
    pub(crate) fn round_trip_us(&self) -> u64 {
        self.round_trip_us
    }

    /// Our name.
    pub(crate) fn cname(&self) -> &[u8] {
        &self.cname
    }

    /// Loss of our stream as the far end sees it.
    pub(crate) fn loss_percent(&self) -> u8 {
        self.heard_of_us.map_or(0, |block| {
            (u32::from(block.fraction_lost) * 100 / 256) as u8
        })
    }

    /// Brings the gauges up to date.
    pub(crate) fn publish(&self, stats: &LegStats) {
        set(&stats.round_trip_us, self.round_trip_us);
        if let Some(block) = &self.heard_of_us {
            set(&stats.tx_lost, block.cumulative_lost.max(0) as u64);
            set(&stats.tx_loss_fraction, u64::from(block.fraction_lost));
            let jitter_us = u64::from(block.jitter) * 1_000_000 / u64::from(self.clock_hz.max(1));
            set(&stats.tx_jitter_us, jitter_us);
        }
    }
}
