//! Keys and addresses of a stream with sockets of its own.
//!
//! A seam: a stream knows that packets can be opened and protected and that they
//! have somewhere to go. Here that is SDES-SRTP or plain RTP on the stream's own
//! pair of sockets, with addresses by the learning rule.

use std::sync::atomic::Ordering;

use plenum_abi::{
    Nanos, SocketAddress, TransmitState, VIDEO_RX_STREAMS, VideoConfig, VideoFlags, VideoRecord,
};
use plenum_rtp::learning::{AddressLearner, Decision, LearnConfig, RtcpEvidence, RtpEvidence};
use plenum_srtp::{PendingTag, Receiver, Reject, Sender, StreamState};
use plenum_uring::{Destination, Driver};
use rand::Rng;

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
        config: &VideoConfig,
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
        Some((self.socket, self.rtp_to?))
    }

    /// Where RTCP goes.
    pub(super) fn rtcp_route(&self) -> Option<(u32, Destination)> {
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
            return Ok(packet.len());
        };
        let len = unprotect(&mut keys.receiver, packet)?;
        if let Some((index, state)) = keys.receiver.changed() {
            state.store(&record.receive[index], self.rx_key_epoch);
        }
        Ok(len)
    }

    /// Protects the RTP packet `buffer[..len]`; its length then, and the tag that is
    /// to be finished.
    pub(super) fn protect(
        &mut self,
        transmit: &TransmitState,
        buffer: &mut [u8],
        len: usize,
    ) -> Option<(usize, Option<PendingTag>)> {
        let next = &transmit.next_rtp_index;
        match &mut self.keys {
            Some(keys) => {
                let tag = keys.sender.begin_rtp(next, buffer, len).ok()?;
                Some((tag.packet_len(), Some(tag)))
            }
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
            None => Some(len),
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
