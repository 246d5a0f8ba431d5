//! What a video receiver can take: H.264 profiles and levels (ITU-T H.264
//! Annex A, RFC 6184 section 8.1) and VP8's limits (RFC 7741 section 6.1).
//!
//! Both planes need this: the control plane reads and writes it as SDP
//! parameters, the dataplane chooses sizes and rates by it. What of it is
//! offered or chosen is decided elsewhere.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Macroblocks of 16x16 that a picture takes.
#[must_use]
pub const fn macroblocks(width: u32, height: u32) -> u32 {
    width.div_ceil(16).saturating_mul(height.div_ceil(16))
}

/// An H.264 level (Table A-1).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum H264Level {
    /// Level 1.
    L1,
    /// Level 1b.
    L1b,
    /// Level 1.1.
    L1_1,
    /// Level 1.2.
    L1_2,
    /// Level 1.3.
    L1_3,
    /// Level 2.
    L2,
    /// Level 2.1.
    L2_1,
    /// Level 2.2.
    L2_2,
    /// Level 3.
    L3,
    /// Level 3.1: 1280x720 at 30.
    L3_1,
    /// Level 3.2: 1280x720 at 60.
    L3_2,
    /// Level 4: 1920x1080 at 30.
    L4,
    /// Level 4.1: as 4, with more bits.
    L4_1,
    /// Level 4.2: 1920x1080 at 60.
    L4_2,
    /// Level 5.
    L5,
    /// Level 5.1.
    L5_1,
    /// Level 5.2.
    L5_2,
}

/// One row of Table A-1.
struct Row {
    level: H264Level,
    level_idc: u8,
    max_mbps: u32,
    max_fs: u32,
    /// In 1,000 bit/s, for profiles below High.
    max_br: u32,
}

const fn row(level: H264Level, level_idc: u8, max_mbps: u32, max_fs: u32, max_br: u32) -> Row {
    Row {
        level,
        level_idc,
        max_mbps,
        max_fs,
        max_br,
    }
}

/// Table A-1, in the order of [`H264Level`].
const TABLE: [Row; 17] = [
    row(H264Level::L1, 10, 1_485, 99, 64),
    row(H264Level::L1b, 9, 1_485, 99, 128),
    row(H264Level::L1_1, 11, 3_000, 396, 192),
    row(H264Level::L1_2, 12, 6_000, 396, 384),
    row(H264Level::L1_3, 13, 11_880, 396, 768),
    row(H264Level::L2, 20, 11_880, 396, 2_000),
    row(H264Level::L2_1, 21, 19_800, 792, 4_000),
    row(H264Level::L2_2, 22, 20_250, 1_620, 4_000),
    row(H264Level::L3, 30, 40_500, 1_620, 10_000),
    row(H264Level::L3_1, 31, 108_000, 3_600, 14_000),
    row(H264Level::L3_2, 32, 216_000, 5_120, 20_000),
    row(H264Level::L4, 40, 245_760, 8_192, 20_000),
    row(H264Level::L4_1, 41, 245_760, 8_192, 50_000),
    row(H264Level::L4_2, 42, 522_240, 8_704, 50_000),
    row(H264Level::L5, 50, 589_824, 22_080, 135_000),
    row(H264Level::L5_1, 51, 983_040, 36_864, 240_000),
    row(H264Level::L5_2, 52, 2_073_600, 36_864, 240_000),
];

impl H264Level {
    const fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// The level's number in a bitstream: ten times the level, and 9 for 1b
    /// (which profiles below High write as 11 with a flag, see [`ProfileLevelId`]).
    #[must_use]
    pub const fn level_idc(self) -> u8 {
        self.row().level_idc
    }

    /// The level with this `level_idc`. A number between levels or above the
    /// highest known is the next lower level: who can take more can take that.
    /// `None` below 9.
    #[must_use]
    pub fn from_level_idc(level_idc: u8) -> Option<Self> {
        if level_idc == 9 {
            return Some(Self::L1b);
        }
        TABLE
            .iter()
            .rev()
            .find(|row| row.level != Self::L1b && row.level_idc <= level_idc)
            .map(|row| row.level)
    }

    /// What a decoder of this level takes, in a profile below High.
    #[must_use]
    pub const fn limits(self) -> VideoLimits {
        let row = self.row();
        VideoLimits {
            max_fs: row.max_fs,
            max_mbps: row.max_mbps,
            frame_rate_max_hz: VideoLimits::H264_FRAME_RATE_MAX_HZ,
            bit_rate_max_bps: row.max_br * 1_000,
        }
    }

    /// The lowest level whose limits hold a stream; `None` where none does.
    #[must_use]
    pub fn for_stream(
        width: u32,
        height: u32,
        frame_rate_hz: f32,
        bit_rate_bps: u32,
    ) -> Option<Self> {
        TABLE.iter().map(|row| row.level).find(|level| {
            let limits = level.limits();
            limits.fits(width, height, frame_rate_hz) && bit_rate_bps <= limits.bit_rate_max_bps
        })
    }
}

/// An H.264 profile that some of our peers use (RFC 6184 Table 5).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
#[non_exhaustive]
pub enum H264Profile {
    /// What every decoder can.
    ConstrainedBaseline = 1,
    /// Constrained Baseline, and tools that nobody uses for conversation.
    Baseline = 2,
    /// B slices, CABAC, interlace.
    Main = 3,
    /// Main, and the 8x8 transform.
    High = 4,
    /// High without B slices and interlace.
    ConstrainedHigh = 5,
}

impl H264Profile {
    /// The profile with this number, if there is one.
    #[must_use]
    pub const fn from_u8(value: u8) -> Option<Self> {
        Some(match value {
            1 => Self::ConstrainedBaseline,
            2 => Self::Baseline,
            3 => Self::Main,
            4 => Self::High,
            5 => Self::ConstrainedHigh,
            _ => return None,
        })
    }

    /// `profile_idc` and the constraint flags as they are best written.
    const fn bytes(self) -> (u8, u8) {
        match self {
            Self::ConstrainedBaseline => (0x42, 0xe0),
            Self::Baseline => (0x42, 0x00),
            Self::Main => (0x4d, 0x00),
            Self::High => (0x64, 0x00),
            Self::ConstrainedHigh => (0x64, 0x0c),
        }
    }
}

/// Characters of a written [`ProfileLevelId`].
pub const PROFILE_LEVEL_ID_LEN: usize = 6;

/// `profile-level-id` of RFC 6184 section 8.1: what a receiver decodes, or what
/// a sequence parameter set says of its stream.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ProfileLevelId {
    /// The profile.
    pub profile: H264Profile,
    /// The level.
    pub level: H264Level,
}

impl ProfileLevelId {
    /// What is meant where nothing is said: Baseline at level 1 (section 8.1).
    pub const UNSAID: Self = Self {
        profile: H264Profile::Baseline,
        level: H264Level::L1,
    };

    /// Reads six hexadecimal digits. `None` when they are not that, or name a
    /// profile that is not known here.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != PROFILE_LEVEL_ID_LEN || !text.bytes().all(|c| c.is_ascii_hexdigit()) {
            return None;
        }
        let [_, profile_idc, flags, level_idc] = u32::from_str_radix(text, 16).ok()?.to_be_bytes();
        Self::from_bytes([profile_idc, flags, level_idc])
    }

    /// Reads `profile_idc`, the constraint flags and `level_idc`, as the three
    /// bytes after the head of a sequence parameter set are.
    #[must_use]
    pub fn from_bytes([profile_idc, flags, level_idc]: [u8; 3]) -> Option<Self> {
        let set = |n: u8| flags & (0x80 >> n) != 0;
        let profile = match profile_idc {
            0x42 if set(1) => H264Profile::ConstrainedBaseline,
            0x4d if set(0) => H264Profile::ConstrainedBaseline,
            0x58 if set(0) && set(1) => H264Profile::ConstrainedBaseline,
            0x42 => H264Profile::Baseline,
            0x58 if set(0) => H264Profile::Baseline,
            0x4d => H264Profile::Main,
            0x64 if set(4) && set(5) => H264Profile::ConstrainedHigh,
            0x64 => H264Profile::High,
            _ => return None,
        };
        // Below High, 1b is 1.1 with constraint_set3_flag (A.3.1).
        let level = if level_idc == 11 && set(3) && profile_idc != 0x64 {
            H264Level::L1b
        } else {
            H264Level::from_level_idc(level_idc)?
        };
        Some(Self { profile, level })
    }

    /// The three bytes that [`Self::from_bytes`] reads.
    #[must_use]
    pub const fn bytes(self) -> [u8; 3] {
        let (profile_idc, flags) = self.profile.bytes();
        if matches!(self.level, H264Level::L1b) && profile_idc != 0x64 {
            return [profile_idc, flags | 0x10, 11];
        }
        [profile_idc, flags, self.level.level_idc()]
    }
}

impl core::fmt::Display for ProfileLevelId {
    /// Six hexadecimal digits, as in SDP.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let [profile_idc, flags, level_idc] = self.bytes();
        write!(f, "{profile_idc:02x}{flags:02x}{level_idc:02x}")
    }
}

/// What a receiver takes at most, whatever the codec. A level's
/// ([`H264Level::limits`]), raised by `max-fs`, `max-mbps` and `max-br` of RFC
/// 6184, or VP8's `max-fs` and `max-fr` ([`VideoLimits::vp8`]).
#[derive(Clone, Copy, Debug, Eq, FromBytes, Hash, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct VideoLimits {
    /// Macroblocks a picture.
    pub max_fs: u32,
    /// Macroblocks a second.
    pub max_mbps: u32,
    /// Pictures a second, however small.
    pub frame_rate_max_hz: u32,
    /// Bits a second of the coded pictures.
    pub bit_rate_max_bps: u32,
}

impl VideoLimits {
    /// No H.264 stream has more pictures a second (A.3.1).
    pub const H264_FRAME_RATE_MAX_HZ: u32 = 172;

    /// Limits of a VP8 receiver that said `max-fs` (macroblocks) and `max-fr`
    /// (pictures a second); it says nothing of bits.
    #[must_use]
    pub const fn vp8(max_fs: u32, max_fr: u32) -> Self {
        Self {
            max_fs,
            max_mbps: max_fs.saturating_mul(max_fr),
            frame_rate_max_hz: max_fr,
            bit_rate_max_bps: u32::MAX,
        }
    }

    /// Raised by the optional parameters of RFC 6184 section 8.1, where they are
    /// said; `max-br` is in 1,000 bit/s. None can lower what the level promises.
    #[must_use]
    pub fn raised(self, max_fs: Option<u32>, max_mbps: Option<u32>, max_br: Option<u32>) -> Self {
        Self {
            max_fs: self.max_fs.max(max_fs.unwrap_or(0)),
            max_mbps: self.max_mbps.max(max_mbps.unwrap_or(0)),
            bit_rate_max_bps: self
                .bit_rate_max_bps
                .max(max_br.unwrap_or(0).saturating_mul(1_000)),
            ..self
        }
    }

    /// Whether a receiver with these limits takes pictures of this size at this
    /// rate. Neither side may be longer than the root of eight times the area
    /// allowed (H.264 A.3.1, RFC 7741 section 6.1).
    #[must_use]
    pub fn fits(&self, width: u32, height: u32, frame_rate_hz: f32) -> bool {
        let area = macroblocks(width, height);
        let side = u64::from(width.div_ceil(16).max(height.div_ceil(16)));
        let per_second = f64::from(area) * f64::from(frame_rate_hz);
        area <= self.max_fs
            && side * side <= 8 * u64::from(self.max_fs)
            && per_second <= f64::from(self.max_mbps)
            && f64::from(frame_rate_hz) <= f64::from(self.frame_rate_max_hz)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;

    use super::*;

    #[test]
    fn rows_stand_where_their_level_says() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.level as usize, index);
            let again = H264Level::from_level_idc(row.level_idc);
            assert_eq!(again, Some(row.level));
        }
    }

    #[test]
    fn a_level_in_between_is_the_next_lower() {
        assert_eq!(H264Level::from_level_idc(35), Some(H264Level::L3_2));
        assert_eq!(H264Level::from_level_idc(62), Some(H264Level::L5_2));
        assert_eq!(H264Level::from_level_idc(8), None);
    }

    /// <https://www.rfc-editor.org/rfc/rfc6184#section-8.1>, Table 5.
    #[test]
    fn profiles_of_rfc6184_table_5() {
        let profile = |text| ProfileLevelId::parse(text).map(|id| id.profile);
        for text in ["42e01f", "42401f", "4d801f", "58c01f", "42C01F"] {
            let expected = Some(H264Profile::ConstrainedBaseline);
            assert_eq!(profile(text), expected, "{text}");
        }
        for text in ["42001f", "42a01f", "58801f"] {
            assert_eq!(profile(text), Some(H264Profile::Baseline), "{text}");
        }
        assert_eq!(profile("4d001f"), Some(H264Profile::Main));
        assert_eq!(profile("64001f"), Some(H264Profile::High));
        assert_eq!(profile("640c1f"), Some(H264Profile::ConstrainedHigh));
        for text in [
            "", "42e01", "42e01g", "7a001f", "42e0100", "+2e01f", "42é1f",
        ] {
            assert_eq!(profile(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_reads_the_same() {
        for profile in (0..=255).filter_map(H264Profile::from_u8) {
            for row in &TABLE {
                let id = ProfileLevelId {
                    profile,
                    level: row.level,
                };
                assert_eq!(ProfileLevelId::parse(&id.to_string()), Some(id));
            }
        }
        assert_eq!(ProfileLevelId::UNSAID.to_string(), "42000a");
    }

    #[test]
    fn levels_hold_what_annex_a_says_they_hold() {
        let lowest = |width, height, rate| {
            H264Level::for_stream(width, height, rate, 1_000).expect("a level")
        };
        assert_eq!(lowest(176, 144, 15.0), H264Level::L1);
        assert_eq!(lowest(352, 288, 30.0), H264Level::L1_3);
        assert_eq!(lowest(640, 480, 30.0), H264Level::L3);
        assert_eq!(lowest(1280, 720, 30.0), H264Level::L3_1);
        assert_eq!(lowest(720, 1280, 30.0), H264Level::L3_1);
        assert_eq!(lowest(1280, 720, 60.0), H264Level::L3_2);
        assert_eq!(lowest(1920, 1080, 30.0), H264Level::L4);
        assert_eq!(lowest(1920, 1080, 60.0), H264Level::L4_2);
        assert_eq!(
            H264Level::for_stream(1280, 720, 30.0, 20_000_001),
            Some(H264Level::L4_1)
        );
        assert_eq!(H264Level::for_stream(8192, 4320, 30.0, 1_000), None);
    }

    #[test]
    fn a_side_is_bounded_by_the_area() {
        let limits = H264Level::L3_1.limits();
        // The root of 8 * 3,600 is 169 macroblocks.
        assert!(limits.fits(169 * 16, 16, 1.0));
        assert!(!limits.fits(170 * 16, 16, 1.0));
        assert!(!limits.fits(u32::MAX, u32::MAX, 1.0));
    }

    #[test]
    fn parameters_raise_and_never_lower() {
        let level = H264Level::L3_1.limits();
        let raised = level.raised(Some(8_160), Some(245_760), Some(3_000));
        assert!(raised.fits(1920, 1080, 30.0));
        assert_eq!(raised.bit_rate_max_bps, 14_000_000);
        assert_eq!(level.raised(Some(1), None, Some(0)), level);
        let vp8 = VideoLimits::vp8(3_600, 30);
        assert!(vp8.fits(1280, 720, 30.0));
        assert!(!vp8.fits(640, 360, 31.0));
        assert!(!vp8.fits(1920, 1080, 1.0));
    }
}
