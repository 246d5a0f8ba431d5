//! One encoded stream, shared by listeners or one leg's own.

use plenum_abi::AudioCodec;
use plenum_codecs::{AudioEncoder, CodecUnavailable, EncoderOptions, PAYLOAD_BYTES_MAX};

use crate::{Counters, MixLeg, Packet, PacketKind, Rate};

/// Silent ticks after which a stream with comfort noise falls silent: 200 ms.
const TAIL_TICKS: u32 = 10;
/// A comfort noise packet is repeated after so many ticks: one second, for it
/// may have been lost.
const REPEAT_TICKS: u32 = 50;
/// Comfort noise that is asked for, -dBov: to be felt, not heard.
const NOISE_DBOV: u8 = 70;

/// Bit rates of shared Opus streams, and the default on top.
const BIT_RATES_BPS: [u32; 6] = [
    6_000,
    8_000,
    12_000,
    16_000,
    24_000,
    plenum_codecs::OPUS_BIT_RATE_BPS_DEFAULT,
];
/// Loss for which shared Opus streams are made, and from which reported loss
/// on they are used going up and going down.
const LOSS_PERCENT: [(u8, u8, u8); 3] = [(0, 0, 0), (5, 2, 1), (15, 8, 5)];

/// Legs whose streams are alike may share one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct StreamKind {
    pub(crate) codec: AudioCodec,
    pub(crate) packet_ms: u8,
    pub(crate) discontinuous: bool,
    pub(crate) options: EncoderOptions,
}

impl StreamKind {
    /// What a leg needs; `before` is what it had.
    pub(crate) fn new(leg: &MixLeg, complexity: u8, before: Option<&Self>) -> Self {
        let mut options = EncoderOptions::default();
        if leg.codec == AudioCodec::Opus {
            let bound = match leg.bit_rate_bps_max {
                0 => u32::MAX,
                bound => bound,
            };
            let affordable = BIT_RATES_BPS.iter().rev().find(|&&rate| rate <= bound);
            options.bit_rate_bps = *affordable.unwrap_or(&BIT_RATES_BPS[0]);
            options.complexity = complexity.min(10);
            options.discontinuous = leg.discontinuous;
            // A report near a bound must not move the leg to and fro.
            let now = before.map_or(0, |kind| kind.options.loss_percent);
            let class = LOSS_PERCENT.iter().rev().find(|(class, up, down)| {
                let from = if now >= *class { down } else { up };
                leg.loss_percent >= *from
            });
            options.loss_percent = class.map_or(0, |(class, ..)| *class);
        }
        Self {
            codec: leg.codec,
            packet_ms: leg.packet_ms,
            discontinuous: leg.discontinuous,
            options,
        }
    }
}

/// An encoder and the packet in the making.
#[derive(Debug)]
pub(crate) struct Stream {
    kind: StreamKind,
    rate: Rate,
    encoder: AudioEncoder,
    /// 40 ms. The packet in the making begins at the front; until the next one
    /// is begun the last one stays.
    pcm: Box<[i16]>,
    /// Silent ticks in a row.
    silent: u32,
    /// Nothing was sent last.
    gap: bool,
}

impl Stream {
    pub(crate) fn new(kind: StreamKind) -> Result<Self, CodecUnavailable> {
        let rate = Rate::of(kind.codec);
        Ok(Self {
            kind,
            rate,
            encoder: AudioEncoder::new(kind.codec, &kind.options)?,
            pcm: vec![0; rate.samples() * 2].into_boxed_slice(),
            silent: 0,
            gap: false,
        })
    }

    pub(crate) const fn codec(&self) -> AudioCodec {
        self.kind.codec
    }

    pub(crate) const fn rate(&self) -> Rate {
        self.rate
    }

    /// Becomes a stream of this kind, as good as new.
    pub(crate) fn renew(&mut self, kind: StreamKind) {
        debug_assert_eq!(self.kind.codec, kind.codec);
        self.encoder.configure(&kind.options);
        self.encoder.reset();
        self.kind = kind;
        self.pcm.fill(0);
        self.silent = 0;
        self.gap = false;
    }

    /// Goes on where `shared`, of the same kind, is.
    pub(crate) fn seed_from(&mut self, shared: &Self) {
        debug_assert_eq!(self.kind, shared.kind);
        // The last 20 ms that were encoded: a packet of 40 ms that is begun has
        // overwritten only the front.
        let frame = self.rate.samples();
        let begin = if self.kind.packet_ms == 40 { frame } else { 0 };
        self.encoder
            .seed_from(&shared.encoder, &shared.pcm[begin..begin + frame]);
        self.pcm.copy_from_slice(&shared.pcm);
        self.silent = shared.silent;
        self.gap = shared.gap;
    }

    /// Another stream may take over after this tick.
    pub(crate) const fn ends_packet(&self, tick: u64) -> bool {
        self.kind.packet_ms != 40 || tick % 2 == 1
    }

    /// Room for this tick's sound, to be filled before [`Self::send`].
    pub(crate) fn frame(&mut self, tick: u64) -> &mut [i16] {
        let frame = self.rate.samples();
        let begin = if self.ends_packet(tick) && self.kind.packet_ms == 40 {
            frame
        } else {
            0
        };
        &mut self.pcm[begin..begin + frame]
    }

    /// Encodes what is complete and hands it to `push`. `silent`: this tick's
    /// frame is all zeros.
    pub(crate) fn send(
        &mut self,
        tick: u64,
        silent: bool,
        shared: bool,
        counters: &mut Counters,
        mut push: impl FnMut(&Packet<'_>),
    ) {
        self.silent = if silent {
            self.silent.saturating_add(1)
        } else {
            0
        };
        if !self.ends_packet(tick) {
            return;
        }
        let frame = self.rate.samples();
        let units = self.kind.codec.rtp_clock_hz() / 50;
        let (first_tick, len, packets) = match self.kind.packet_ms {
            10 => (tick, frame / 2, 2),
            40 => (tick - 1, frame * 2, 1),
            _ => (tick, frame, 1),
        };
        let samples = units * u32::from(self.kind.packet_ms) / 20;
        // Wraps, as RTP timestamps do.
        let mut timestamp = (first_tick as u32).wrapping_mul(units);

        if self.kind.discontinuous
            && self.kind.codec != AudioCodec::Opus
            && self.silent > TAIL_TICKS
        {
            // Ticks of a packet's time since the tail, so that 40 ms packets
            // meet the moment too.
            let since = self.silent - TAIL_TICKS - 1;
            if since % REPEAT_TICKS < u32::from(self.kind.packet_ms).div_ceil(20) {
                push(&Packet {
                    payload: &[NOISE_DBOV],
                    kind: PacketKind::ComfortNoise,
                    timestamp,
                    samples,
                    marker: false,
                    shared,
                });
            }
            self.gap = true;
            return;
        }

        let mut payload = [0; PAYLOAD_BYTES_MAX];
        for pcm in self.pcm[..len * packets].chunks_exact(len) {
            counters.encodes += 1;
            match self.encoder.encode(pcm, &mut payload) {
                // libopus says so that there is nothing to send.
                Ok(..=2) if self.kind.options.discontinuous => self.gap = true,
                Ok(bytes) => {
                    push(&Packet {
                        payload: &payload[..bytes],
                        kind: PacketKind::Audio,
                        timestamp,
                        samples,
                        marker: core::mem::take(&mut self.gap),
                        shared,
                    });
                }
                Err(_) => counters.encode_failures += 1,
            }
            timestamp = timestamp.wrapping_add(samples);
        }
    }
}
