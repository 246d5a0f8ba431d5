//! The audio of one conference: who is heard, by whom, encoded once.
//!
//! A step is 20 ms. Every leg is asked for its sound; the loudest few are the
//! speakers. A speaker hears the mix without itself, everybody else the same
//! mix, encoded once for all who share codec, packet time and options:
//!
//! ```text
//! legs --pull--> levels --> speakers --gain--> sums --+--> shared stream --> 1,000 listeners
//!                               |        8 16 48 kHz  |
//!                               '---- minus own ------+--> own stream ----> one speaker
//! ```
//!
//! There is a sum for each sampling rate at which somebody listens, and each is
//! made at its own rate: a speaker at that rate is added as it came, others are
//! resampled to it. So a conference of telephones is never resampled at all,
//! and taking a speaker's own sound out of the sum is exact at every rate.
//!
//! A leg moves between its shared stream and one of its own without a seam: the
//! own encoder is seeded from the shared one, both are limited alike, and gains
//! move over a frame.
//!
//! Everything is bounded by [`Conference::new`]'s number of legs, and
//! [`Conference::tick`] does not allocate: what a leg may come to need is made
//! in [`Conference::set_leg`].
//!
//! Not here: packets, jitter buffers, decoders, time and sockets. The caller
//! has them behind [`TickIo`].

#![forbid(unsafe_code)]

mod conference;
mod meter;
mod seats;
mod speakers;
mod stream;
mod tone;

use plenum_abi::AudioCodec;

pub use conference::Conference;

/// Samples in 20 ms at the highest rate.
pub const FRAME_SAMPLES_MAX: usize = 960;

/// Default of [`MixPolicy::speakers_max`].
///
/// Rarely do more than three people speak at once for longer than a word. Since
/// a speaker keeps its place for half a second after the last word, twice as
/// many have room for everybody who takes part in a lively exchange. More would
/// only add the noise of open microphones (six are 8 dB above one) and an
/// encode each.
pub const SPEAKERS_MAX_DEFAULT: u8 = 6;

/// Largest [`MixPolicy::speakers_max`]; more is taken for this.
pub const SPEAKERS_MAX_LIMIT: u8 = 32;

/// A leg, as the caller numbers it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LegKey(pub u32);

/// What a leg is to hear and how it is to be heard.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MixLeg {
    /// What is sent to the leg.
    pub codec: AudioCodec,
    /// Sound in each packet that is sent, milliseconds: 10, 20 or 40.
    pub packet_ms: u8,
    /// Nobody hears the leg.
    pub rx_muted: bool,
    /// The leg hears silence.
    pub tx_muted: bool,
    /// Gain on what the leg says, in 1/100 dB, up to +24 dB. Anything but 0
    /// switches [`Self::automatic_gain`] off.
    pub rx_gain_centibels: i16,
    /// Gain on what the leg hears, in 1/100 dB, up to +24 dB. Anything but 0
    /// costs an encoder for this leg alone.
    pub tx_gain_centibels: i16,
    /// What the leg says is slowly brought to -26 dBov, by -9 to +12 dB.
    pub automatic_gain: bool,
    /// Most that Opus may spend, bit/s; 0 for no bound. Rounded down to a step
    /// that others share.
    pub bit_rate_bps_max: u32,
    /// Nothing need be sent in silence. For G.711 and G.722 this means comfort
    /// noise packets (RFC 3389), so only where a payload type for them was agreed on.
    pub discontinuous: bool,
    /// Loss that the leg reports, in percent; Opus then sends redundancy.
    pub loss_percent: u8,
    /// The leg shares a screen with sound ([`TickIo::pull_screen`]), which everybody else
    /// hears whether it is muted or not. Costs an encoder for this leg alone.
    pub shares_screen: bool,
}

impl MixLeg {
    /// 20 ms packets, no mute, no gain, nothing unusual.
    #[must_use]
    pub const fn new(codec: AudioCodec) -> Self {
        Self {
            codec,
            packet_ms: 20,
            rx_muted: false,
            tx_muted: false,
            rx_gain_centibels: 0,
            tx_gain_centibels: 0,
            automatic_gain: false,
            bit_rate_bps_max: 0,
            discontinuous: false,
            loss_percent: 0,
            shares_screen: false,
        }
    }
}

/// How a conference mixes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MixPolicy {
    /// How many of the loudest are heard, up to [`SPEAKERS_MAX_LIMIT`]; 0 for
    /// [`SPEAKERS_MAX_DEFAULT`].
    pub speakers_max: u8,
    /// A tone is played when somebody joins and no more than so many are then
    /// in the conference; 0 is off.
    pub join_tone_participants_max: u8,
    /// A tone is played when somebody leaves and no more than so many are then
    /// in the conference; 0 is off.
    pub leave_tone_participants_max: u8,
    /// Complexity of Opus encoders, 0 to 10.
    pub opus_complexity: u8,
}

impl Default for MixPolicy {
    /// Default speakers, no tones, complexity 5.
    fn default() -> Self {
        Self {
            speakers_max: 0,
            join_tone_participants_max: 0,
            leave_tone_participants_max: 0,
            opus_complexity: 5,
        }
    }
}

impl MixPolicy {
    fn speakers(&self) -> usize {
        usize::from(match self.speakers_max {
            0 => SPEAKERS_MAX_DEFAULT,
            asked => asked.min(SPEAKERS_MAX_LIMIT),
        })
    }
}

/// A sampling rate of the mixer.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Rate {
    /// 160 samples in 20 ms.
    Hz8000,
    /// 320 samples in 20 ms.
    Hz16000,
    /// 960 samples in 20 ms.
    Hz48000,
}

impl Rate {
    /// Every rate.
    pub const ALL: [Self; 3] = [Self::Hz8000, Self::Hz16000, Self::Hz48000];

    /// The rate of a codec's samples.
    #[must_use]
    pub const fn of(codec: AudioCodec) -> Self {
        match codec.sample_rate_hz() {
            8_000 => Self::Hz8000,
            16_000 => Self::Hz16000,
            _ => Self::Hz48000,
        }
    }

    /// Samples a second.
    #[must_use]
    pub const fn hz(self) -> u32 {
        match self {
            Self::Hz8000 => 8_000,
            Self::Hz16000 => 16_000,
            Self::Hz48000 => 48_000,
        }
    }

    /// Samples in 20 ms.
    #[must_use]
    pub const fn samples(self) -> usize {
        self.hz() as usize / 50
    }
}

/// What a leg said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pulled {
    /// Nothing: discontinuous transmission, no packets for long, or not set up.
    Silence,
    /// 20 ms at this rate, at the front of the buffer.
    Sound(Rate),
    /// 20 ms that [`Need`] could do without. Nothing is in the buffer.
    Unheard {
        /// How loud the far end says they are, -dBov; `None` where it says nothing.
        level_dbov: Option<u8>,
    },
}

/// Which sound of a leg the mixer can do without in this tick, so that it need not be
/// decoded.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    /// What is no louder is not needed: a mean square, 1 being 0 dBov.
    least: f32,
}

impl Need {
    /// All of it, however soft.
    pub const ALL: Self = Self { least: -1.0 };
    /// Nothing, however loud: the leg is muted.
    pub const NOTHING: Self = Self {
        least: f32::INFINITY,
    };

    /// Whether sound is needed that is, by the far end's own word, this loud, in -dBov
    /// (RFC 6464). Sound of an unknown level is, but for a muted leg's.
    #[must_use]
    pub fn covers(self, level_dbov: Option<u8>) -> bool {
        // Levels are told in whole dB: who is just below the threshold may be above it.
        let at_most = |level: u8| meter::claimed_power(level.saturating_sub(1));
        let power = level_dbov.map_or(f32::MAX, at_most);
        power > self.least
    }
}

/// What kind of payload is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PacketKind {
    /// Of the leg's codec.
    Audio,
    /// RFC 3389, under the payload type that was agreed on for it.
    ComfortNoise,
}

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// The RTP payload.
    pub payload: &'a [u8],
    /// What it is.
    pub kind: PacketKind,
    /// When its first sample sounds, on the conference's clock in units of the
    /// codec's RTP clock, wrapping. A leg adds its own random offset. It runs on
    /// where nothing is sent.
    pub timestamp: u32,
    /// How long it sounds, in units of the codec's RTP clock.
    pub samples: u32,
    /// The first after a gap (RFC 3551 section 4.1).
    pub marker: bool,
    /// From a stream that legs share, as opposed to one leg's own.
    pub shared: bool,
}

/// Where sound comes from and where packets go.
pub trait TickIo {
    /// Takes 20 ms of what `leg` says, to the front of `pcm`. The rate may be
    /// any and may change; it need not be that of the codec that is sent. What
    /// `need` does not cover may be left undecoded.
    fn pull(&mut self, leg: LegKey, need: Need, pcm: &mut [i16; FRAME_SAMPLES_MAX]) -> Pulled;

    /// Takes 20 ms of the screen that `leg` shares, likewise. Asked for legs that
    /// [share one](MixLeg::shares_screen).
    fn pull_screen(&mut self, _leg: LegKey, _pcm: &mut [i16; FRAME_SAMPLES_MAX]) -> Pulled {
        Pulled::Silence
    }

    /// Sends one packet to each of `legs`, of which there is at least one.
    fn push(&mut self, legs: &[LegKey], packet: &Packet<'_>);
}

/// Why a leg was not set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SetLegError {
    /// There are as many legs as there may be.
    Full,
    /// The packet time is none of 10, 20 and 40 ms.
    PacketTime,
    /// The codec could not be made.
    Codec,
}

impl core::fmt::Display for SetLegError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Full => "the conference is full",
            Self::PacketTime => "the packet time is none of 10, 20 and 40 ms",
            Self::Codec => "the codec is not available",
        })
    }
}

impl core::error::Error for SetLegError {}

/// Totals since the conference began.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// Steps of 20 ms.
    pub ticks: u64,
    /// Payloads encoded.
    pub encodes: u64,
    /// Packets given to legs from an encode that others shared: for a payload
    /// that goes to ten legs, nine.
    pub shared_sends: u64,
    /// Payloads that the codec library failed to make.
    pub encode_failures: u64,
}
