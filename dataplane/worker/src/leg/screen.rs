//! The sound of a screen that the far end shares: a stream beside its own, under the same
//! keys and in the same codecs, with a jitter buffer of its own.
//!
//! It is named by its SSRC in the signalling and by nothing else. Whether the far end's
//! microphone is muted does not matter to it.

use plenum_abi::{LegConfig, Nanos};
use plenum_pool::Lease;
use plenum_rtp::packet::RtpHeader;
use plenum_rtp::reception::{Reception, Sequence};
use plenum_uring::Driver;

use crate::playout::{Heard, Playout, Refused};
use crate::shelf::Held;

/// See the [module](self).
pub(crate) struct Screen {
    ssrc: u32,
    pub(crate) playout: Playout,
    reception: Reception,
}

impl Screen {
    /// What the configuration has of one; `None` too where a codec is not at hand.
    pub(super) fn of(config: &LegConfig) -> Option<Box<Self>> {
        if config.screen_ssrc == 0 {
            return None;
        }
        let (codec, _) = config.tx_codec()?;
        Some(Box::new(Self {
            ssrc: config.screen_ssrc,
            playout: Playout::new(config)?,
            reception: Reception::authenticated(codec.rtp_clock_hz()),
        }))
    }

    pub(super) const fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Takes a packet of it; the lease shows its payload.
    pub(super) fn on_packet(
        &mut self,
        now: Nanos,
        header: &RtpHeader,
        lease: Lease,
        config: &LegConfig,
        driver: &mut Driver,
    ) -> Result<(), Refused> {
        let sequence = self
            .reception
            .on_packet(now, header.sequence, header.timestamp);
        if sequence == Sequence::Jump {
            driver.release(lease);
            return Err(Refused::Discarded);
        }
        // All of it is played, so all of it is decoded.
        let heard = Heard::of(header, None);
        self.playout
            .insert(now, config, &heard, Held::new(lease), driver)
    }
}
