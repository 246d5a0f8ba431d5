//! From received packets to the 20 ms that a tick wants.
//!
//! The jitter buffer says what comes next, the decoder makes sound of it, and
//! a short store of samples bridges the sender's packet time and ours:
//!
//! ```text
//! packets of 10 to 120 ms -> jitter buffer -> decoder -> samples held -> 20 ms
//! ```
//!
//! Sound that nobody will hear is not decoded: the far end tells its level (RFC 6464), and
//! the mixer what it needs. Such a packet leaves its time in the store and itself on the
//! side, to wake the decoder with once its sound is needed again.
//!
//! The far end may change codec from packet to packet among those negotiated;
//! what is held of the old rate is then given up, which is at most a packet.

use std::time::Duration;

use plenum_abi::{AudioCodec, LegConfig, NO_PAYLOAD_TYPE, Nanos};
use plenum_codecs::{AudioDecoder, FRAME_SAMPLES_MAX};
use plenum_kernels::audio::level::{energy, level_dbov};
use plenum_mixer::{Need, Pulled, Rate};
use plenum_rtp::comfort_noise::ComfortNoise;
use plenum_rtp::jitter::{Adjust, Arrival, JitterBuffer, JitterConfig, Pop, RejectReason};
use plenum_rtp::packet::RtpHeader;

use plenum_uring::Driver;

use crate::shelf::Held;
use crate::wheel::TICK;

/// Held samples: a packet of the longest kind and a tick.
const HELD_MAX: usize = FRAME_SAMPLES_MAX + 960;
/// Pieces that one tick may ask of the jitter buffer: 2.5 ms packets fill a tick
/// in eight, and gaps come in pieces too.
const POPS_MAX: usize = 32;
/// A frame below this level (-dBov) may be left out or repeated unheard.
const SILENT_DBOV: u8 = 60;

/// A packet on its way to the decoder.
#[derive(Debug)]
struct Queued {
    held: Held,
    kind: QueuedKind,
    level_dbov: Option<u8>,
}

/// The newest packet that was passed over.
#[derive(Debug)]
struct PassedOver {
    held: Held,
    level_dbov: Option<u8>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum QueuedKind {
    Sound(AudioCodec),
    ComfortNoise,
}

/// Why a packet was not queued; the leg counts it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Refused {
    /// Its turn is over.
    Late,
    /// A copy, or far from the sequence numbers in use.
    Discarded,
    /// Its payload type was not negotiated, or the payload is none of its codec.
    Malformed,
}

/// The header fields that playout needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard {
    pub(crate) payload_type: u8,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) marker: bool,
    /// How loud the far end says it is, -dBov.
    pub(crate) level_dbov: Option<u8>,
}

impl Heard {
    pub(crate) const fn of(header: &RtpHeader, level_dbov: Option<u8>) -> Self {
        Self {
            payload_type: header.payload_type,
            sequence: header.sequence,
            timestamp: header.timestamp,
            marker: header.marker,
            level_dbov,
        }
    }
}

/// See the [module](self).
pub(crate) struct Playout {
    jitter: JitterBuffer<Queued>,
    decoders: [Option<AudioDecoder>; 4],
    /// Index of the decoder that spoke last.
    current: usize,
    held: Box<[i16]>,
    held_start: usize,
    held_end: usize,
    /// What is held is time without sound.
    is_unheard: bool,
    /// The decoder sleeps since then.
    passed_over: Option<PassedOver>,
    concealed: u64,
}

impl Playout {
    /// Allocates all that the leg will need. `None` where a codec is not at hand.
    pub(crate) fn new(config: &LegConfig) -> Option<Self> {
        let mut decoders = [const { None }; 4];
        for (decoder, map) in decoders.iter_mut().zip(&config.codecs) {
            if let Some(codec) = AudioCodec::from_u8(map.codec) {
                *decoder = Some(AudioDecoder::new(codec).ok()?);
            }
        }
        let (codec, _) = config.tx_codec()?;
        Some(Self {
            jitter: JitterBuffer::new(&JitterConfig::new(codec.rtp_clock_hz())),
            decoders,
            current: 0,
            held: vec![0; HELD_MAX].into_boxed_slice(),
            held_start: 0,
            held_end: 0,
            is_unheard: false,
            passed_over: None,
            concealed: 0,
        })
    }

    /// Takes a packet; its payload is all that `held` shows.
    pub(crate) fn insert(
        &mut self,
        now: Nanos,
        config: &LegConfig,
        heard: &Heard,
        held: Held,
        driver: &Driver,
    ) -> Result<(), Refused> {
        let (arrival, queued) = self.queue(config, heard, held, driver)?;
        self.jitter
            .insert(now, arrival, queued)
            .map_err(|rejected| match rejected.reason {
                RejectReason::Late => Refused::Late,
                _ => Refused::Discarded,
            })
    }

    /// Whether packets are missing before this one, which is about to come.
    pub(crate) const fn has_gap_before(&self, sequence: u16) -> bool {
        !self.jitter.follows(sequence)
    }

    /// Takes a frame that a later packet brought along, where it is still lacking.
    pub(crate) fn fill(
        &mut self,
        now: Nanos,
        config: &LegConfig,
        heard: &Heard,
        held: Held,
        driver: &Driver,
    ) {
        if !self.jitter.lacks(heard.sequence) {
            return;
        }
        if let Ok((arrival, queued)) = self.queue(config, heard, held, driver) {
            self.jitter.fill(now, arrival, queued);
        }
    }

    /// A packet as the jitter buffer takes it.
    fn queue(
        &mut self,
        config: &LegConfig,
        heard: &Heard,
        held: Held,
        driver: &Driver,
    ) -> Result<(Arrival, Queued), Refused> {
        let payload = held.bytes(driver);
        let is_noise = heard.payload_type == config.comfort_noise_payload_type
            && heard.payload_type != NO_PAYLOAD_TYPE;
        let (kind, ticks, discontinuous) = if is_noise {
            ComfortNoise::parse(payload).ok_or(Refused::Malformed)?;
            (QueuedKind::ComfortNoise, 0, true)
        } else {
            let codec = config
                .rx_codec(heard.payload_type)
                .ok_or(Refused::Malformed)?;
            let samples =
                AudioDecoder::samples(codec, payload).map_err(|_| Refused::Malformed)? as u32;
            let ticks = samples * (codec.rtp_clock_hz() / 1_000) / (codec.sample_rate_hz() / 1_000);
            // The far end may change between clocks of 8 and 48 kHz.
            self.jitter.set_clock(codec.rtp_clock_hz());
            let dtx = codec == AudioCodec::Opus && payload.len() <= 2;
            (QueuedKind::Sound(codec), ticks, dtx)
        };
        let arrival = Arrival {
            sequence: heard.sequence,
            timestamp: heard.timestamp,
            ticks,
            marker: heard.marker,
            discontinuous,
        };
        let queued = Queued {
            held,
            kind,
            level_dbov: heard.level_dbov,
        };
        Ok((arrival, queued))
    }

    /// A packet of the stream that carries no sound (telephone-event): its
    /// sequence number is no loss.
    pub(crate) fn skip(&mut self, sequence: u16) {
        self.jitter.skip(sequence);
    }

    /// Forgets what was received, for a new stream.
    pub(crate) fn restart(&mut self) {
        self.jitter.restart();
        self.passed_over = None;
    }

    /// Writes 20 ms to the front of `pcm`, if `need` covers them. `tick_at` is when the
    /// tick was due, so that a late worker does not look like a slow network.
    pub(crate) fn pull(
        &mut self,
        tick_at: Nanos,
        need: Need,
        pcm: &mut [i16; 960],
        driver: &Driver,
    ) -> Pulled {
        let mut sounded = self.held_end > self.held_start;
        for _ in 0..POPS_MAX {
            let Some(rate) = self.rate() else { break };
            if self.held_end - self.held_start >= rate.tick_samples() {
                break;
            }
            match self.pop_into_held(tick_at, rate, need, driver) {
                Popped::Sound => sounded = true,
                Popped::Quiet => {}
                Popped::Nothing => break,
            }
        }
        let Some(rate) = self.rate() else {
            return Pulled::Silence;
        };
        let wanted = rate.tick_samples();
        let there = (self.held_end - self.held_start).min(wanted);
        if there == 0 || !sounded {
            self.held_start = (self.held_start + there).min(self.held_end);
            return Pulled::Silence;
        }
        if self.is_unheard {
            self.held_start += there;
            let passed_over = self.passed_over.as_ref();
            let level_dbov = passed_over.and_then(|passed| passed.level_dbov);
            return Pulled::Unheard { level_dbov };
        }
        pcm[..there].copy_from_slice(&self.held[self.held_start..self.held_start + there]);
        pcm[there..wanted].fill(0);
        self.held_start += there;
        Pulled::Sound(rate.0)
    }

    fn codec(&self) -> Option<AudioCodec> {
        self.decoders[self.current]
            .as_ref()
            .map(AudioDecoder::codec)
    }

    fn rate(&self) -> Option<LegRate> {
        self.codec().map(|codec| LegRate(Rate::of(codec)))
    }

    /// Whether sound of this level need not be decoded. A packet whose beginning is held
    /// as sound goes on as sound.
    fn may_pass_over(&self, codec: AudioCodec, need: Need, level_dbov: Option<u8>) -> bool {
        let is_sound_held = self.held_end > self.held_start && !self.is_unheard;
        !is_sound_held && AudioDecoder::may_sleep(codec) && !need.covers(level_dbov)
    }

    /// Holds the time of a packet, and keeps the packet itself.
    fn pass_over(&mut self, item: Queued, adjust: Adjust, driver: &Driver) -> Popped {
        let Some(codec) = self.codec() else {
            return Popped::Nothing;
        };
        let tick = LegRate(Rate::of(codec)).tick_samples();
        let samples = AudioDecoder::samples(codec, item.held.bytes(driver)).unwrap_or(tick);
        let step = samples.min(tick);
        // Nobody hears how the delay is changed.
        let samples = match adjust {
            Adjust::Accelerate => samples - step,
            Adjust::Expand => samples + step,
            Adjust::None => samples,
        };
        self.passed_over = Some(PassedOver {
            held: item.held,
            level_dbov: item.level_dbov,
        });
        self.hold_time(samples)
    }

    fn hold_time(&mut self, samples: usize) -> Popped {
        let end = (self.held_end + samples).min(HELD_MAX);
        self.held[self.held_end..end].fill(0);
        self.held_end = end;
        self.is_unheard = true;
        Popped::Sound
    }

    /// Brings a decoder that slept to where the stream is, by the last packet that was
    /// passed over. As much of that packet as is still held becomes sound with it.
    fn wake(&mut self, driver: &Driver) {
        self.is_unheard = false;
        let Some(passed_over) = self.passed_over.take() else {
            return;
        };
        let Some(decoder) = &mut self.decoders[self.current] else {
            return;
        };
        decoder.reset();
        let room = &mut self.held[self.held_end..];
        if let Ok(samples) = decoder.decode(passed_over.held.bytes(driver), room) {
            let kept = samples.min(self.held_end - self.held_start);
            let decoded_end = self.held_end + samples;
            self.held
                .copy_within(decoded_end - kept..decoded_end, self.held_end - kept);
        }
    }

    /// Asks the jitter buffer for one piece and appends its sound.
    fn pop_into_held(
        &mut self,
        tick_at: Nanos,
        rate: LegRate,
        need: Need,
        driver: &Driver,
    ) -> Popped {
        if self.held_start > 0 {
            self.held.copy_within(self.held_start..self.held_end, 0);
            self.held_end -= self.held_start;
            self.held_start = 0;
        }
        let passed_over = self.passed_over.as_ref();
        if passed_over.is_some_and(|passed| need.covers(passed.level_dbov)) {
            self.wake(driver);
        }
        match self.jitter.pop(tick_at) {
            Pop::Packet { item, adjust, .. } => {
                match item.kind {
                    // Who is silent adds nothing to a mix, whatever noise the
                    // sender would like to be imagined.
                    QueuedKind::ComfortNoise => Popped::Quiet,
                    QueuedKind::Sound(codec) => {
                        self.switch_to(codec);
                        if self.may_pass_over(codec, need, item.level_dbov) {
                            return self.pass_over(item, adjust, driver);
                        }
                        self.wake(driver);
                        self.decode(item.held.bytes(driver), adjust)
                    }
                }
            }
            Pop::Missing { ticks, next } => {
                let samples = rate.samples_of_ticks(ticks).min(HELD_MAX - self.held_end);
                if self.passed_over.is_some() {
                    // What is lost is taken to be as loud as what came before.
                    return self.hold_time(samples);
                }
                let out = &mut self.held[self.held_end..self.held_end + samples];
                let Some(decoder) = &mut self.decoders[self.current] else {
                    return Popped::Nothing;
                };
                let recovered = next
                    .filter(|next| next.kind == QueuedKind::Sound(decoder.codec()))
                    .is_some_and(|next| decoder.recover(next.held.bytes(driver), out));
                if !recovered {
                    decoder.conceal(out);
                    self.concealed += 1;
                }
                self.held_end += samples;
                Popped::Sound
            }
            Pop::Silence | Pop::Wait => Popped::Nothing,
        }
    }

    fn switch_to(&mut self, codec: AudioCodec) {
        let speaks = |decoder: &Option<AudioDecoder>| {
            decoder
                .as_ref()
                .is_some_and(|decoder| decoder.codec() == codec)
        };
        if speaks(&self.decoders[self.current]) {
            return;
        }
        if let Some(index) = self.decoders.iter().position(speaks) {
            self.current = index;
            self.passed_over = None;
            (self.held_start, self.held_end) = (0, 0);
        }
    }

    fn decode(&mut self, payload: &[u8], adjust: Adjust) -> Popped {
        let Some(decoder) = &mut self.decoders[self.current] else {
            return Popped::Nothing;
        };
        let rate = LegRate(Rate::of(decoder.codec()));
        let room = &mut self.held[self.held_end..];
        let Ok(samples) = decoder.decode(payload, room) else {
            // A payload that lied about itself: the time passes all the same.
            let samples = rate.tick_samples().min(room.len());
            decoder.conceal(&mut room[..samples]);
            self.held_end += samples;
            self.concealed += 1;
            return Popped::Sound;
        };
        let step = samples.min(rate.tick_samples());
        let silent = adjust != Adjust::None && {
            let tail = &room[samples - step..samples];
            level_dbov(energy(tail), tail.len()) >= SILENT_DBOV
        };
        self.held_end += samples;
        match adjust {
            Adjust::Accelerate if silent => self.held_end -= step,
            Adjust::Expand if silent && self.held_end + step <= HELD_MAX => {
                self.held
                    .copy_within(self.held_end - step..self.held_end, self.held_end);
                self.held_end += step;
            }
            _ => {}
        }
        Popped::Sound
    }

    /// What the jitter buffer counts, and frames made up since the start.
    pub(crate) fn concealed(&self) -> u64 {
        self.concealed
    }

    /// Delay that the jitter buffer aims at.
    pub(crate) fn target(&self) -> Duration {
        self.jitter.target().max(TICK)
    }
}

/// What one piece from the jitter buffer was.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Popped {
    Sound,
    Quiet,
    Nothing,
}

/// Arithmetic of a sample rate.
#[derive(Clone, Copy, Debug)]
struct LegRate(Rate);

impl LegRate {
    fn per_ms(self) -> usize {
        match self.0 {
            Rate::Hz8000 => 8,
            Rate::Hz16000 => 16,
            Rate::Hz48000 => 48,
        }
    }

    fn tick_samples(self) -> usize {
        self.per_ms() * 20
    }

    /// G.722's RTP clock runs at half its sample rate (RFC 3551 section 4.5.2);
    /// everybody else's runs with the samples.
    fn samples_of_ticks(self, ticks: u32) -> usize {
        let ticks = ticks as usize;
        if matches!(self.0, Rate::Hz16000) {
            ticks * 2
        } else {
            ticks
        }
    }
}
