//! Received compound packets.

use super::{APP, BLOCK_LEN, BYE, CNAME, NtpTime, PSFB, RR, RTPFB, SDES, SR};

/// Why bytes are not a compound RTCP packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RtcpError {
    /// A packet's version bits are not 2.
    #[error("not RTCP version 2")]
    Version,
    /// The first packet is not a report, or is padded.
    #[error("does not begin with a report")]
    NotAReport,
    /// Lengths do not add up to the datagram's.
    #[error("lengths do not add up")]
    Length,
    /// A packet is shorter than its counts say.
    #[error("a packet is shorter than its counts say")]
    Truncated,
    /// Padding where it must not be, or of the wrong size.
    #[error("padding does not fit")]
    Padding,
}

/// A whole compound packet, every part of it checked.
#[derive(Clone, Copy, Debug)]
pub struct Compound<'a> {
    bytes: &'a [u8],
}

impl<'a> Compound<'a> {
    /// Checks a datagram, decrypted if need be (RFC 3550 A.2).
    ///
    /// # Errors
    ///
    /// When any packet of it is malformed: nothing of such a datagram is used.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RtcpError> {
        let &[first, kind, ..] = bytes else {
            return Err(RtcpError::Length);
        };
        if first >> 6 != 2 {
            return Err(RtcpError::Version);
        }
        if first & 0x20 != 0 || (kind != SR && kind != RR) {
            return Err(RtcpError::NotAReport);
        }
        Self::checked(bytes)
    }

    /// The same for one that may begin with feedback (reduced size, RFC 5506). Browsers
    /// send what they say of the transport so, agreed on or not.
    ///
    /// # Errors
    ///
    /// When any packet of it is malformed, or the first is neither report nor feedback.
    pub fn parse_reduced_size(bytes: &'a [u8]) -> Result<Self, RtcpError> {
        match bytes {
            [first, RTPFB | PSFB, ..] if first >> 6 == 2 => Self::checked(bytes),
            _ => Self::parse(bytes),
        }
    }

    fn checked(bytes: &'a [u8]) -> Result<Self, RtcpError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (_, after) = split(rest)?;
            rest = after;
        }
        Ok(Self { bytes })
    }

    /// SSRC of who sent the compound packet.
    #[must_use]
    pub fn sender_ssrc(&self) -> u32 {
        // A report is never shorter: `parse` has seen it.
        self.bytes.get(4..8).map_or(0, be32)
    }

    /// The packets, in order.
    #[must_use]
    pub fn packets(&self) -> CompoundIter<'a> {
        CompoundIter { rest: self.bytes }
    }
}

impl<'a> IntoIterator for Compound<'a> {
    type Item = RtcpPacket<'a>;
    type IntoIter = CompoundIter<'a>;

    fn into_iter(self) -> CompoundIter<'a> {
        self.packets()
    }
}

/// Packets of a [`Compound`].
#[derive(Clone, Debug)]
pub struct CompoundIter<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for CompoundIter<'a> {
    type Item = RtcpPacket<'a>;

    fn next(&mut self) -> Option<RtcpPacket<'a>> {
        let (packet, rest) = split(self.rest).ok()?;
        self.rest = rest;
        Some(packet)
    }
}

/// One packet of a compound packet.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum RtcpPacket<'a> {
    /// Sender report (RFC 3550 section 6.4.1).
    SenderReport(SenderReport<'a>),
    /// Receiver report (section 6.4.2).
    ReceiverReport(ReceiverReport<'a>),
    /// Source description (section 6.5).
    SourceDescription(SourceDescription<'a>),
    /// Goodbye (section 6.6).
    Bye(Bye<'a>),
    /// Application-defined (section 6.7).
    App(App<'a>),
    /// Transport-layer feedback (RFC 4585 section 6.2).
    TransportFeedback(Feedback<'a>),
    /// Payload-specific feedback (RFC 4585 section 6.3).
    PayloadFeedback(Feedback<'a>),
    /// A packet type that is not known here; to be ignored.
    Unknown {
        /// The packet type.
        packet_type: u8,
    },
}

/// What one receiver says about one source (RFC 3550 section 6.4.1).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ReportBlock {
    /// The source.
    pub ssrc: u32,
    /// Lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Lost in all; 24 bits, negative with duplicates.
    pub cumulative_lost: i32,
    /// Highest sequence number received, roll-overs above bit 16.
    pub highest_sequence: u32,
    /// Interarrival jitter in ticks of the source's RTP clock.
    pub jitter: u32,
    /// Middle 32 bits of the NTP time in the source's last sender report; 0 for none.
    pub last_sr: u32,
    /// Since that report came, in 1/65,536 s.
    pub delay_since_last_sr: u32,
}

impl ReportBlock {
    fn read(bytes: &[u8]) -> Self {
        let lost = be32(&bytes[4..8]);
        Self {
            ssrc: be32(&bytes[0..4]),
            fraction_lost: bytes[4],
            // Moves the 24-bit sign up to bit 31 and back.
            cumulative_lost: (lost << 8) as i32 >> 8,
            highest_sequence: be32(&bytes[8..12]),
            jitter: be32(&bytes[12..16]),
            last_sr: be32(&bytes[16..20]),
            delay_since_last_sr: be32(&bytes[20..24]),
        }
    }

    pub(super) fn bytes(&self) -> [u8; BLOCK_LEN] {
        let lost = self.cumulative_lost.clamp(-0x80_0000, 0x7f_ffff) as u32 & 0xff_ffff;
        let words = [
            self.ssrc,
            u32::from(self.fraction_lost) << 24 | lost,
            self.highest_sequence,
            self.jitter,
            self.last_sr,
            self.delay_since_last_sr,
        ];
        let mut bytes = [0; BLOCK_LEN];
        for (out, word) in bytes.chunks_exact_mut(4).zip(words) {
            out.copy_from_slice(&word.to_be_bytes());
        }
        bytes
    }
}

/// A sender report.
#[derive(Clone, Copy, Debug)]
pub struct SenderReport<'a> {
    /// Who sends.
    pub ssrc: u32,
    /// Wall-clock time of the report, by the sender's clock.
    pub ntp: NtpTime,
    /// The same instant on the RTP clock.
    pub rtp_timestamp: u32,
    /// Packets sent.
    pub packets: u32,
    /// Payload bytes sent.
    pub octets: u32,
    blocks: &'a [u8],
}

impl<'a> SenderReport<'a> {
    /// Its report blocks, at most 31.
    pub fn blocks(&self) -> impl Iterator<Item = ReportBlock> + 'a {
        self.blocks.chunks_exact(BLOCK_LEN).map(ReportBlock::read)
    }
}

/// A receiver report.
#[derive(Clone, Copy, Debug)]
pub struct ReceiverReport<'a> {
    /// Who reports.
    pub ssrc: u32,
    blocks: &'a [u8],
}

impl<'a> ReceiverReport<'a> {
    /// Its report blocks, at most 31.
    pub fn blocks(&self) -> impl Iterator<Item = ReportBlock> + 'a {
        self.blocks.chunks_exact(BLOCK_LEN).map(ReportBlock::read)
    }
}

/// One item of a source description.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SdesItem<'a> {
    /// Whom it describes.
    pub ssrc: u32,
    /// Item type; 1 is the CNAME.
    pub kind: u8,
    /// Its text, UTF-8 if the sender keeps to the RFC.
    pub text: &'a [u8],
}

/// A source description.
#[derive(Clone, Copy, Debug)]
pub struct SourceDescription<'a> {
    chunks: u8,
    bytes: &'a [u8],
}

impl<'a> SourceDescription<'a> {
    /// All items of all chunks.
    pub fn items(&self) -> impl Iterator<Item = SdesItem<'a>> + 'a {
        SdesItems {
            chunks_left: self.chunks,
            ssrc: None,
            all: self.bytes,
            at: 0,
        }
        .map_while(Result::ok)
    }

    /// The canonical name of a source.
    #[must_use]
    pub fn cname(&self, ssrc: u32) -> Option<&'a [u8]> {
        self.items()
            .find(|item| item.ssrc == ssrc && item.kind == CNAME)
            .map(|item| item.text)
    }
}

/// Walks chunks: SSRC, items, a zero, zeros up to the next word (section 6.5).
struct SdesItems<'a> {
    chunks_left: u8,
    /// The chunk in progress.
    ssrc: Option<u32>,
    all: &'a [u8],
    at: usize,
}

impl<'a> Iterator for SdesItems<'a> {
    type Item = Result<SdesItem<'a>, RtcpError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(ssrc) = self.ssrc else {
                self.chunks_left = self.chunks_left.checked_sub(1)?;
                let Some(word) = self.all.get(self.at..self.at + 4) else {
                    self.chunks_left = 0;
                    return Some(Err(RtcpError::Truncated));
                };
                self.ssrc = Some(be32(word));
                self.at += 4;
                continue;
            };
            match *self.all.get(self.at..).unwrap_or_default() {
                [0, ..] => {
                    self.ssrc = None;
                    self.at = (self.at / 4 + 1) * 4;
                }
                [kind, len, ref rest @ ..] if rest.len() >= usize::from(len) => {
                    let text = &rest[..usize::from(len)];
                    self.at += 2 + text.len();
                    return Some(Ok(SdesItem { ssrc, kind, text }));
                }
                _ => {
                    self.ssrc = None;
                    self.chunks_left = 0;
                    return Some(Err(RtcpError::Truncated));
                }
            }
        }
    }
}

/// A goodbye.
#[derive(Clone, Copy, Debug)]
pub struct Bye<'a> {
    sources: &'a [u8],
    /// Why, if it says so.
    pub reason: Option<&'a [u8]>,
}

impl<'a> Bye<'a> {
    /// The sources that leave, at most 31.
    pub fn sources(&self) -> impl Iterator<Item = u32> + 'a {
        self.sources.chunks_exact(4).map(be32)
    }
}

/// An application's own packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct App<'a> {
    /// Five bits whose meaning is the application's.
    pub subtype: u8,
    /// Who sends.
    pub ssrc: u32,
    /// Four ASCII characters.
    pub name: [u8; 4],
    /// Its data.
    pub data: &'a [u8],
}

/// A feedback packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Feedback<'a> {
    /// Feedback message type, 0 to 31.
    pub format: u8,
    /// Who sends.
    pub sender_ssrc: u32,
    /// Whose media it is about.
    pub media_ssrc: u32,
    /// Feedback control information.
    pub fci: &'a [u8],
}

/// A full intra request (RFC 5104 section 4.3.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fir {
    /// Who is to send a key frame.
    pub ssrc: u32,
    /// Command number; a repeat has the same.
    pub command: u8,
}

impl<'a> RtcpPacket<'a> {
    /// Sequence numbers that a generic NACK asks for (RFC 4585 section 6.2.1);
    /// nothing for other packets.
    pub fn nacks(&self) -> impl Iterator<Item = u16> + 'a {
        let fci = match self {
            Self::TransportFeedback(feedback) if feedback.format == 1 => feedback.fci,
            _ => &[],
        };
        fci.chunks_exact(4).flat_map(|entry| {
            let first = u16::from_be_bytes([entry[0], entry[1]]);
            let following = u16::from_be_bytes([entry[2], entry[3]]);
            core::iter::once(first).chain(
                (0..16_u16)
                    .filter(move |bit| following >> bit & 1 == 1)
                    .map(move |bit| first.wrapping_add(bit + 1)),
            )
        })
    }

    /// The media SSRC of a picture loss indication (RFC 4585 section 6.3.1).
    #[must_use]
    pub fn picture_loss(&self) -> Option<u32> {
        match self {
            Self::PayloadFeedback(feedback) if feedback.format == 1 => Some(feedback.media_ssrc),
            _ => None,
        }
    }

    /// Full intra requests (RFC 5104 section 4.3.1); nothing for other packets.
    pub fn full_intra_requests(&self) -> impl Iterator<Item = Fir> + 'a {
        let fci = match self {
            Self::PayloadFeedback(feedback) if feedback.format == 4 => feedback.fci,
            _ => &[],
        };
        fci.chunks_exact(8).map(|entry| Fir {
            ssrc: be32(&entry[..4]),
            command: entry[4],
        })
    }
}

/// Takes the first packet off; the rest is what comes after it.
fn split(bytes: &[u8]) -> Result<(RtcpPacket<'_>, &[u8]), RtcpError> {
    let &[first, kind, high, low, ..] = bytes else {
        return Err(RtcpError::Length);
    };
    if first >> 6 != 2 {
        return Err(RtcpError::Version);
    }
    let len = 4 + 4 * usize::from(u16::from_be_bytes([high, low]));
    let Some((whole, rest)) = bytes.split_at_checked(len) else {
        return Err(RtcpError::Length);
    };
    let mut body = &whole[4..];
    if first & 0x20 != 0 {
        // Only the last packet may be padded, by whole words. Not so transport-wide
        // feedback, which browsers fill up to a word and say so by this bit.
        let padding = usize::from(whole[len - 1]);
        let fits = (1..=body.len()).contains(&padding);
        let whole_words_at_the_end = rest.is_empty() && padding % 4 == 0;
        if !fits || !(kind == RTPFB || whole_words_at_the_end) {
            return Err(RtcpError::Padding);
        }
        body = &body[..body.len() - padding];
    }
    Ok((read(kind, first & 0x1f, body)?, rest))
}

fn read(kind: u8, count: u8, body: &[u8]) -> Result<RtcpPacket<'_>, RtcpError> {
    let take = |from: usize, len: usize| body.get(from..from + len).ok_or(RtcpError::Truncated);
    let word = |at: usize| take(at, 4).map(be32);
    let blocks_len = usize::from(count) * BLOCK_LEN;
    Ok(match kind {
        SR => RtcpPacket::SenderReport(SenderReport {
            ssrc: word(0)?,
            ntp: NtpTime(u64::from(word(4)?) << 32 | u64::from(word(8)?)),
            rtp_timestamp: word(12)?,
            packets: word(16)?,
            octets: word(20)?,
            blocks: take(24, blocks_len)?,
        }),
        RR => RtcpPacket::ReceiverReport(ReceiverReport {
            ssrc: word(0)?,
            blocks: take(4, blocks_len)?,
        }),
        SDES => {
            let items = SdesItems {
                chunks_left: count,
                ssrc: None,
                all: body,
                at: 0,
            };
            for item in items {
                item?;
            }
            RtcpPacket::SourceDescription(SourceDescription {
                chunks: count,
                bytes: body,
            })
        }
        BYE => {
            let sources = take(0, 4 * usize::from(count))?;
            let reason = match body.get(sources.len()) {
                None => None,
                Some(&len) => Some(take(sources.len() + 1, usize::from(len))?),
            };
            RtcpPacket::Bye(Bye { sources, reason })
        }
        APP => {
            let name = take(4, 4)?;
            RtcpPacket::App(App {
                subtype: count,
                ssrc: word(0)?,
                name: [name[0], name[1], name[2], name[3]],
                data: &body[8..],
            })
        }
        RTPFB | PSFB => {
            let feedback = Feedback {
                format: count,
                sender_ssrc: word(0)?,
                media_ssrc: word(4)?,
                fci: &body[8..],
            };
            if kind == RTPFB {
                RtcpPacket::TransportFeedback(feedback)
            } else {
                RtcpPacket::PayloadFeedback(feedback)
            }
        }
        packet_type => RtcpPacket::Unknown { packet_type },
    })
}

/// Callers pass slices of exactly four bytes.
fn be32(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}
