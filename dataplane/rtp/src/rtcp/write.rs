//! Compound packets that we send.

use super::{BYE, CNAME, NtpTime, RR, ReportBlock, SDES, SR};

/// Report blocks that fit a report's count.
const BLOCKS_MAX: usize = 31;

/// The buffer is too small for the packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no room for the RTCP packet")]
pub struct NoRoom;

/// What a sender report says of our own stream.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SenderInfo {
    /// Wall-clock time now.
    pub ntp: NtpTime,
    /// RTP timestamp of the same instant.
    pub rtp_timestamp: u32,
    /// Packets sent.
    pub packets: u32,
    /// Payload bytes sent.
    pub octets: u32,
}

/// Writes one compound packet: a report first, then the CNAME, then BYE.
///
/// A call that finds no room makes [`CompoundWriter::finish`] fail, so that only
/// one result needs a look.
#[derive(Debug)]
pub struct CompoundWriter<'a> {
    out: &'a mut [u8],
    len: usize,
    overflow: bool,
}

impl<'a> CompoundWriter<'a> {
    /// Writes from the start of `out`. 128 bytes hold one report block, a CNAME of
    /// 40 bytes and a BYE.
    #[must_use]
    pub fn new(out: &'a mut [u8]) -> Self {
        Self {
            out,
            len: 0,
            overflow: false,
        }
    }

    /// A sender report: for who sent RTP since the last but one report. Blocks
    /// beyond 31 are left out.
    pub fn sender_report(
        &mut self,
        ssrc: u32,
        info: &SenderInfo,
        blocks: &[ReportBlock],
    ) -> &mut Self {
        let blocks = &blocks[..blocks.len().min(BLOCKS_MAX)];
        let start = self.begin(SR, blocks.len());
        self.put(&ssrc.to_be_bytes());
        self.put(&info.ntp.0.to_be_bytes());
        self.put(&info.rtp_timestamp.to_be_bytes());
        self.put(&info.packets.to_be_bytes());
        self.put(&info.octets.to_be_bytes());
        self.put_blocks(blocks);
        self.end(start)
    }

    /// A receiver report: for who did not send. Blocks beyond 31 are left out.
    pub fn receiver_report(&mut self, ssrc: u32, blocks: &[ReportBlock]) -> &mut Self {
        let blocks = &blocks[..blocks.len().min(BLOCKS_MAX)];
        let start = self.begin(RR, blocks.len());
        self.put(&ssrc.to_be_bytes());
        self.put_blocks(blocks);
        self.end(start)
    }

    /// A source description with our canonical name, cut to 255 bytes.
    pub fn cname(&mut self, ssrc: u32, name: &[u8]) -> &mut Self {
        let name = &name[..name.len().min(255)];
        let start = self.begin(SDES, 1);
        self.put(&ssrc.to_be_bytes());
        self.put(&[CNAME, name.len() as u8]);
        self.put(name);
        // One zero ends the list, more fill the word.
        let padding = 4 - (self.len - start) % 4;
        self.put(&[0; 4][..padding]);
        self.end(start)
    }

    /// We leave.
    pub fn bye(&mut self, ssrc: u32) -> &mut Self {
        let start = self.begin(BYE, 1);
        self.put(&ssrc.to_be_bytes());
        self.end(start)
    }

    /// Bytes written.
    ///
    /// # Errors
    ///
    /// When the buffer was too small; what is in it is no packet.
    pub fn finish(&self) -> Result<usize, NoRoom> {
        if self.overflow {
            Err(NoRoom)
        } else {
            Ok(self.len)
        }
    }

    pub(super) fn begin(&mut self, kind: u8, count: usize) -> usize {
        let start = self.len;
        self.put(&[0x80 | count as u8, kind, 0, 0]);
        start
    }

    fn put_blocks(&mut self, blocks: &[ReportBlock]) {
        for block in blocks {
            self.put(&block.bytes());
        }
    }

    pub(super) fn end(&mut self, start: usize) -> &mut Self {
        let words = (self.len - start) / 4;
        if !self.overflow {
            let length = (words.saturating_sub(1) as u16).to_be_bytes();
            self.out[start + 2..start + 4].copy_from_slice(&length);
        }
        self
    }

    pub(super) fn put(&mut self, bytes: &[u8]) {
        match self.out.get_mut(self.len..self.len + bytes.len()) {
            Some(room) if !self.overflow => {
                room.copy_from_slice(bytes);
                self.len += bytes.len();
            }
            _ => self.overflow = true,
        }
    }
}
