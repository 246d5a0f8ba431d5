//! Keys and addresses of a stream.
//!
//! A seam: a stream knows that packets can be opened and protected and that they
//! have somewhere to go. With SIP that is SDES-SRTP or plain RTP on the stream's own
//! pair of sockets, with addresses by the learning rule; with a browser it is what
//! its leg's transport has come to, under one key for all streams, each with an SSRC
//! and counters of its own.

use std::sync::atomic::{AtomicU64, Ordering};

use plenum_abi::{
    Nanos, SocketAddress, TransmitState, VIDEO_RX_STREAMS, VideoConfig, VideoFlags, VideoRecord,
};
use plenum_rtp::learning::{AddressLearner, Decision, LearnConfig, RtcpEvidence, RtpEvidence};
use plenum_srtp::{PendingTag, Receiver, Reject, Sender, StreamState};
use plenum_uring::{Destination, Driver};
use rand::Rng;

use crate::transports::{Bundle, Route};

/// See [`Path`].
struct Keys {
    sender: Sender,
    receiver: Receiver,
}

/// What a packet was.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Judged {
    /// Good, and from where the others came.
    Good,
    /// Good, and the far end is somewhere else than before.
    Moved,
    /// A stranger's.
    Refused,
}

/// See the [module](self).
pub(super) struct Path {
    keys: Option<Keys>,
    learner: AddressLearner,
    /// Key of the RTP socket in the driver; RTCP's is the next.
    socket: u32,
    mux: bool,
    rx_key_epoch: u32,
    rtp_to: Option<Destination>,
    rtcp_to: Option<Destination>,
    /// Where a bundle's packets go; `None` for a stream with sockets of its own.
    bundled: Option<Option<Route>>,
}

/// The configuration with what a bundle decides: a transport's keys are the stream's,
/// and so is every change of them.
pub(super) fn with_bundle(config: &VideoConfig, bundle: Option<&Bundle>) -> VideoConfig {
    let Some(bundle) = bundle else {
        return *config;
    };
    let keys = bundle.keys.unwrap_or_default();
    VideoConfig {
        flags: (config.flags() | VideoFlags::RTCP_MUX).0,
        srtp_suite: keys.suite().map_or(0, |suite| suite as u8),
        tx_key_epoch: keys.epoch as u16,
        rx_key_epoch: keys.epoch as u16,
        tx_keys: keys.tx_keys,
        rx_keys: keys.rx_keys,
        ..*config
    }
}

fn learn_config(config: &VideoConfig) -> LearnConfig {
    LearnConfig {
        signalled_rtp: config.remote_rtp,
        signalled_rtcp: config.remote_rtcp,
        secure: config.srtp_suite != 0,
        rtcp_mux: config.flags().contains(VideoFlags::RTCP_MUX),
        learn: config.flags().contains(VideoFlags::LEARN_ADDRESS),
    }
}

/// Starts the counters of a key that was never used: see [`crate::leg`].
fn begin_sending(transmit: &TransmitState, epoch: u64, rng: &mut impl Rng) {
    let first = u64::from(rng.random::<u16>() >> 1);
    transmit.next_rtp_index.store(first, Ordering::Release);
    transmit.next_rtcp_index.store(0, Ordering::Release);
    // Last: until here the counters count as those of no key.
    transmit.key_epoch.store(epoch, Ordering::Release);
}

fn sending_epoch(config: &VideoConfig) -> u64 {
    u64::from(config.tx_key_epoch) + 1
}

/// Makes the record that of a new tenant's keys.
pub(super) fn begin(record: &VideoRecord, config: &VideoConfig, rng: &mut impl Rng) {
    record.path.remote_rtp.clear();
    record.path.remote_rtcp.clear();
    for transmit in [&record.transmit, &record.retransmit] {
        transmit.clock_at.store(0, Ordering::Relaxed);
        begin_sending(transmit, sending_epoch(config), rng);
    }
    begin_receiving(record);
}

fn begin_receiving(record: &VideoRecord) {
    for stream in &record.receive {
        stream.ssrc.store(0, Ordering::Release);
    }
}

fn make_keys(config: &VideoConfig, record: &VideoRecord) -> Option<Keys> {
    let suite = config.suite()?;
    let streams: [Option<StreamState>; VIDEO_RX_STREAMS] = std::array::from_fn(|index| {
        StreamState::load(&record.receive[index], u32::from(config.rx_key_epoch))
    });
    Some(Keys {
        sender: Sender::new(suite, &config.tx_keys),
        receiver: Receiver::restore(suite, &config.rx_keys, &streams),
    })
}

impl Path {
    /// The path of a stream, new or adopted; `socket` is the key of its RTP socket.
    pub(super) fn new(
        now: Nanos,
        socket: u32,
        (config, bundle): (&VideoConfig, Option<&Bundle>),
        record: &VideoRecord,
        driver: &Driver,
        rng: &mut impl Rng,
    ) -> Self {
        for transmit in [&record.transmit, &record.retransmit] {
            if transmit.key_epoch.load(Ordering::Acquire) != sending_epoch(config) {
                // A worker died between new keys and their first packet.
                begin_sending(transmit, sending_epoch(config), rng);
            }
        }
        let address = |learned: Option<SocketAddress>| learned.unwrap_or(SocketAddress::UNKNOWN);
        let mut path = Self {
            keys: make_keys(config, record),
            learner: AddressLearner::resume(
                now,
                learn_config(config),
                address(record.path.remote_rtp.load()),
                address(record.path.remote_rtcp.load()),
            ),
            socket,
            mux: config.flags().contains(VideoFlags::RTCP_MUX),
            rx_key_epoch: u32::from(config.rx_key_epoch),
            rtp_to: None,
            rtcp_to: None,
            bundled: bundle.map(|bundle| bundle.route),
        };
        path.prepare(driver);
        path
    }

    /// Follows a newer configuration; what did not change goes on.
    pub(super) fn update(
        &mut self,
        now: Nanos,
        before: &VideoConfig,
        config: &VideoConfig,
        record: &VideoRecord,
        driver: &Driver,
        rng: &mut impl Rng,
    ) {
        let sends_anew = config.tx_key_epoch != before.tx_key_epoch;
        let receives_anew = config.rx_key_epoch != before.rx_key_epoch;
        if sends_anew {
            for transmit in [&record.transmit, &record.retransmit] {
                begin_sending(transmit, sending_epoch(config), rng);
            }
        }
        if receives_anew {
            begin_receiving(record);
        }
        if sends_anew || receives_anew {
            self.keys = make_keys(config, record);
            self.rx_key_epoch = u32::from(config.rx_key_epoch);
        }
        self.mux = config.flags().contains(VideoFlags::RTCP_MUX);
        if learn_config(config) != learn_config(before) || sends_anew || receives_anew {
            self.learner.relearn(now, learn_config(config));
            self.prepare(driver);
        }
    }

    /// A bundle's packets go another way now.
    pub(super) fn set_route(&mut self, route: Option<Route>) {
        self.bundled = Some(route);
    }

    /// Whether there is somewhere to send to, and something to send under.
    pub(super) fn is_open(&self) -> bool {
        self.bundled
            .is_none_or(|route| route.is_some() && self.keys.is_some())
    }

    fn prepare(&mut self, driver: &Driver) {
        let prepare =
            |key, address: Option<SocketAddress>| driver.destination(key, address?.get()?);
        self.rtp_to = prepare(self.socket, self.learner.rtp_address());
        self.rtcp_to = prepare(self.rtcp_socket(), self.learner.rtcp_address());
    }

    fn rtcp_socket(&self) -> u32 {
        self.socket + u32::from(!self.mux)
    }

    /// Whether RTCP may come on RTP's port.
    pub(super) const fn is_mux(&self) -> bool {
        self.mux
    }

    /// Whether packets are authenticated.
    pub(super) const fn is_secure(&self) -> bool {
        self.keys.is_some()
    }

    /// Where RTP goes: the socket's key and the address, once it is known.
    pub(super) fn rtp_route(&self) -> Option<(u32, Destination)> {
        if let Some(route) = self.bundled {
            return route.map(|route| (route.key, route.to));
        }
        Some((self.socket, self.rtp_to?))
    }

    /// Where RTCP goes.
    pub(super) fn rtcp_route(&self) -> Option<(u32, Destination)> {
        if self.bundled.is_some() {
            return self.rtp_route();
        }
        Some((self.rtcp_socket(), self.rtcp_to?))
    }

    /// Opens a packet in place, its replay window stored before it is used. The
    /// length of what is within.
    pub(super) fn open(
        &mut self,
        unprotect: fn(&mut Receiver, &mut [u8]) -> Result<usize, Reject>,
        packet: &mut [u8],
        record: &VideoRecord,
    ) -> Result<usize, Reject> {
        let Some(keys) = &mut self.keys else {
            // In a bundle there is no plain packet: the far end is through with the
            // handshake before we are.
            return match self.bundled {
                Some(_) => Err(Reject::AuthTag),
                None => Ok(packet.len()),
            };
        };
        let len = unprotect(&mut keys.receiver, packet)?;
        if let Some((index, state)) = keys.receiver.changed() {
            state.store(&record.receive[index], self.rx_key_epoch);
        }
        Ok(len)
    }

    /// Protects the RTP packet `buffer[..len]` under the index in `next`, which it moves
    /// on; its length then, and the tag that is to be finished.
    pub(super) fn protect(
        &mut self,
        next: &AtomicU64,
        buffer: &mut [u8],
        len: usize,
    ) -> Option<(usize, Option<PendingTag>)> {
        match &mut self.keys {
            Some(keys) => {
                let tag = keys.sender.begin_rtp(next, buffer, len).ok()?;
                Some((tag.packet_len(), Some(tag)))
            }
            None if self.bundled.is_some() => None,
            None => {
                let index = next.load(Ordering::Relaxed);
                next.store((index + 1) & 0xffff_ffff_ffff, Ordering::Release);
                Some((len, None))
            }
        }
    }

    /// Protects the compound packet `buffer[..len]`; its length then.
    pub(super) fn protect_rtcp(
        &mut self,
        record: &VideoRecord,
        buffer: &mut [u8],
        len: usize,
    ) -> Option<usize> {
        let next = &record.transmit.next_rtcp_index;
        match &mut self.keys {
            Some(keys) => keys.sender.protect_rtcp(next, buffer, len).ok(),
            None => self.bundled.is_none().then_some(len),
        }
    }

    /// Whose an opened RTP packet is.
    pub(super) fn judge_rtp(
        &mut self,
        now: Nanos,
        evidence: &RtpEvidence,
        record: &VideoRecord,
        driver: &Driver,
    ) -> Judged {
        if self.bundled.is_some() {
            // ICE's affair.
            return Judged::Good;
        }
        match self.learner.on_rtp(now, evidence, self.keys.is_some()) {
            Decision::Accept => Judged::Good,
            Decision::Learned(address) => {
                record.path.remote_rtp.store(&address);
                self.prepare(driver);
                Judged::Moved
            }
            Decision::Refuse(_) => Judged::Refused,
        }
    }

    /// Whose an opened compound packet is.
    pub(super) fn judge_rtcp(
        &mut self,
        now: Nanos,
        evidence: &RtcpEvidence,
        record: &VideoRecord,
        driver: &Driver,
    ) -> Judged {
        if self.bundled.is_some() {
            return Judged::Good;
        }
        match self.learner.on_rtcp(now, evidence, self.keys.is_some()) {
            Decision::Accept => Judged::Good,
            Decision::Learned(address) => {
                record.path.remote_rtcp.store(&address);
                self.prepare(driver);
                Judged::Moved
            }
            Decision::Refuse(_) => Judged::Refused,
        }
    }

    /// Keeps where the far end is, also where it is the signalled address: a
    /// successor finds it locked.
    pub(super) fn keep_address(&self, record: &VideoRecord) {
        if let Some(address) = self.learner.rtp_address() {
            record.path.remote_rtp.store(&address);
        }
    }
}
