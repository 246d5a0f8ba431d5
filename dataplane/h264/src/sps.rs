//! Sequence parameter sets (ITU-T H.264 section 7.3.2.1.1), read as far as the
//! size of the picture.

use plenum_abi::{ProfileLevelId, macroblocks};

use crate::BitReader;

/// Sides beyond this many macroblocks fit no level; refusing them early keeps
/// the arithmetic small.
const SIDE_MACROBLOCKS_MAX: u32 = 1_055;

/// What a sequence parameter set says of its pictures.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sps {
    /// `profile_idc`, the constraint flags and `level_idc`.
    pub profile_level: [u8; 3],
    /// `seq_parameter_set_id`, 0 to 31.
    pub id: u8,
    /// Columns that are shown.
    pub width: u32,
    /// Rows that are shown.
    pub height: u32,
    /// Macroblocks that are coded, cropped ones included.
    pub macroblocks: u32,
    /// Columns and rows that are coded, in macroblocks.
    pub coded_macroblocks: [u32; 2],
    /// Whether all pictures are frames, not fields.
    pub progressive: bool,
    /// 8-bit 4:2:0.
    pub ordinary_samples: bool,
}

impl Sps {
    /// Reads a NAL unit, its first byte included. `None` when it is no sequence
    /// parameter set, ends early or holds what no level allows.
    #[must_use]
    pub fn parse(nal_unit: &[u8]) -> Option<Self> {
        let (&head, payload) = nal_unit.split_first()?;
        if head & 0x1f != 7 {
            return None;
        }
        let mut bits = BitReader::new(payload);
        let profile_level = [bits.bits(8)?, bits.bits(8)?, bits.bits(8)?].map(|byte| byte as u8);
        let id = u8::try_from(bits.ue()?).ok().filter(|&id| id < 32)?;
        let mut ordinary_samples = true;
        if has_chroma_fields(profile_level[0]) {
            ordinary_samples = skip_chroma_fields(&mut bits)?;
        }
        bits.ue()?; // log2_max_frame_num_minus4
        skip_order_count(&mut bits)?;
        bits.ue()?; // max_num_ref_frames
        bits.bit()?; // gaps_in_frame_num_value_allowed_flag
        let columns = bits.ue()?.checked_add(1)?;
        let map_rows = bits.ue()?.checked_add(1)?;
        if columns > SIDE_MACROBLOCKS_MAX || map_rows > SIDE_MACROBLOCKS_MAX {
            return None;
        }
        let progressive = bits.bit()?;
        let rows = map_rows * (2 - u32::from(progressive));
        if !progressive {
            bits.bit()?; // mb_adaptive_frame_field_flag
        }
        bits.bit()?; // direct_8x8_inference_flag
        let mut cropped = [0; 4];
        if bits.bit()? {
            for side in &mut cropped {
                *side = bits.ue()?;
            }
        }
        let [left, right, top, bottom] = cropped;
        // Units of 4:2:0 samples; a field's rows count twice (7-19 to 7-22).
        let unit_y = 2 * (2 - u32::from(progressive));
        let shown = |coded: u32, unit: u32, before: u32, after: u32| {
            let gone = before.checked_add(after)?.checked_mul(unit)?;
            coded.checked_sub(gone).filter(|&side| side > 0)
        };
        let width = shown(16 * columns, 2, left, right)?;
        let height = shown(16 * rows, unit_y, top, bottom)?;
        Some(Self {
            profile_level,
            id,
            width,
            height,
            macroblocks: macroblocks(16 * columns, 16 * rows),
            coded_macroblocks: [columns, rows],
            progressive,
            ordinary_samples,
        })
    }

    /// Profile and level, if they are known.
    #[must_use]
    pub fn profile_level_id(&self) -> Option<ProfileLevelId> {
        ProfileLevelId::from_bytes(self.profile_level)
    }
}

/// Profiles whose parameter sets tell the format of their samples.
const fn has_chroma_fields(profile_idc: u8) -> bool {
    matches!(
        profile_idc,
        100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135
    )
}

/// Gives whether samples are 8-bit 4:2:0.
fn skip_chroma_fields(bits: &mut BitReader<'_>) -> Option<bool> {
    let chroma_format_idc = bits.ue()?;
    if chroma_format_idc == 3 {
        bits.bit()?; // separate_colour_plane_flag
    }
    let depth_luma = bits.ue()?;
    let depth_chroma = bits.ue()?;
    bits.bit()?; // qpprime_y_zero_transform_bypass_flag
    if bits.bit()? {
        let lists = if chroma_format_idc == 3 { 12 } else { 8 };
        for list in 0..lists {
            if bits.bit()? {
                skip_scaling_list(bits, if list < 6 { 16 } else { 64 })?;
            }
        }
    }
    Some(chroma_format_idc == 1 && depth_luma == 0 && depth_chroma == 0)
}

fn skip_scaling_list(bits: &mut BitReader<'_>, entries: u32) -> Option<()> {
    let mut last = 8;
    for _ in 0..entries {
        let delta = bits.se().filter(|delta| (-128..128).contains(delta))?;
        last = (last + delta + 256) % 256;
        if last == 0 {
            // The rest of the list is as before and not written.
            break;
        }
    }
    Some(())
}

fn skip_order_count(bits: &mut BitReader<'_>) -> Option<()> {
    match bits.ue()? {
        0 => _ = bits.ue()?,
        1 => {
            bits.bit()?;
            bits.se()?;
            bits.se()?;
            let cycle = bits.ue()?;
            if cycle > 255 {
                return None;
            }
            for _ in 0..cycle {
                bits.se()?;
            }
        }
        2 => {}
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use plenum_abi::{H264Level, H264Profile};
    use proptest::prelude::*;

    use super::*;

    /// Written by x264.
    const BASELINE_720: &[u8] = b"\x67\x42\xc0\x1f\xd9\x00\x50\x05\xbb\x01\x10\x00\x00\x03\x00\
        \x10\x00\x00\x03\x03\xc0\xf1\x83\x24\x80";
    const HIGH_1080: &[u8] = b"\x67\x64\x00\x28\xac\xd9\x40\x78\x02\x27\xe5\xc0\x44\x00\x00\x03\
        \x00\x04\x00\x00\x03\x00\xf0\x3c\x60\xc6\x58";
    const MAIN_638: &[u8] = b"\x67\x4d\x40\x1e\xec\xa0\x50\x17\xf5\x26\x02\x20\x00\x00\x03\x00\
        \x20\x00\x00\x07\x81\xe2\xc5\xb2\xc0";
    const HIGH_444: &[u8] = b"\x67\xf4\x00\x0a\x91\x9b\x28\x84\xd8\x08\x80\x00\x00\x03\x00\x80\
        \x00\x00\x1e\x07\x89\x12\xcb";

    #[test]
    fn sets_that_others_wrote() {
        let sps = Sps::parse(BASELINE_720).unwrap();
        assert_eq!(
            (sps.width, sps.height, sps.macroblocks),
            (1_280, 720, 3_600)
        );
        assert!(sps.progressive && sps.ordinary_samples);
        let id = sps.profile_level_id().unwrap();
        assert_eq!(id.profile, H264Profile::ConstrainedBaseline);
        assert_eq!(id.level, H264Level::L3_1);

        let sps = Sps::parse(HIGH_1080).unwrap();
        assert_eq!(
            (sps.width, sps.height, sps.macroblocks),
            (1_920, 1_080, 8_160)
        );
        assert!(sps.progressive && sps.ordinary_samples);
        assert_eq!(sps.coded_macroblocks, [120, 68]);

        let sps = Sps::parse(MAIN_638).unwrap();
        assert_eq!((sps.width, sps.height), (638, 362));

        let sps = Sps::parse(HIGH_444).unwrap();
        assert_eq!((sps.width, sps.height), (64, 64));
        assert!(!sps.ordinary_samples);
        assert_eq!(sps.profile_level_id(), None);
    }

    #[test]
    fn what_ends_early_is_refused() {
        // The last bytes are VUI parameters, which are not read.
        for len in 0..9 {
            assert_eq!(Sps::parse(&HIGH_1080[..len]), None, "{len}");
        }
        let mut pps = BASELINE_720.to_vec();
        pps[0] = 0x68;
        assert_eq!(Sps::parse(&pps), None);
    }

    /// Packs `ue(v)` codes and flags, without emulation prevention.
    #[derive(Default)]
    struct Bits(Vec<bool>);

    impl Bits {
        fn put(&mut self, count: u32, word: u32) -> &mut Self {
            self.0
                .extend((0..count).rev().map(|bit| word >> bit & 1 == 1));
            self
        }

        fn ue(&mut self, value: u32) -> &mut Self {
            let len = (value + 1).ilog2();
            self.put(len, 0).put(len + 1, value + 1)
        }

        fn nal_unit(&self) -> Vec<u8> {
            let mut bytes = vec![0x67];
            for eight in self.0.chunks(8) {
                let byte = eight.iter().fold(0, |byte, &bit| byte << 1 | u8::from(bit));
                bytes.push(byte << (8 - eight.len()));
                if let [.., 0, 0, 0..=3] = bytes[..] {
                    let last = bytes.len() - 1;
                    bytes.insert(last, 3);
                }
            }
            bytes
        }
    }

    #[test]
    fn a_picture_that_is_cropped_away_or_beyond_all_levels_is_refused() {
        let size = |columns: u32, rows: u32, crop: u32| {
            let mut bits = Bits::default();
            bits.put(8, 66).put(8, 0xc0).put(8, 31);
            bits.ue(0).ue(0).ue(2).ue(1).put(1, 0);
            bits.ue(columns - 1).ue(rows - 1).put(3, 0b111);
            bits.ue(crop).ue(0).ue(0).ue(0).put(1, 0);
            Sps::parse(&bits.nal_unit()).map(|sps| (sps.width, sps.height))
        };
        assert_eq!(size(2, 1, 0), Some((32, 16)));
        assert_eq!(size(2, 1, 15), Some((2, 16)));
        assert_eq!(size(2, 1, 16), None);
        assert_eq!(size(2, 1, u32::MAX - 1), None);
        assert_eq!(size(1_055, 1_055, 0), Some((16_880, 16_880)));
        assert_eq!(size(1_056, 1, 0), None);
        assert_eq!(size(1, u32::MAX - 1, 0), None);
    }

    #[test]
    fn fields_count_twice() {
        let mut bits = Bits::default();
        bits.put(8, 77).put(8, 0).put(8, 30);
        bits.ue(3).ue(0).ue(0).ue(0).ue(1).put(1, 0);
        bits.ue(44).ue(17).put(4, 0b0010).put(2, 0);
        let sps = Sps::parse(&bits.nal_unit()).unwrap();
        assert_eq!((sps.width, sps.height, sps.id), (720, 576, 3));
        assert!(!sps.progressive);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Some(head) = bytes.first_mut() {
                *head = 0x67;
            }
            if let Some(sps) = Sps::parse(&bytes) {
                prop_assert!(sps.width > 0 && sps.height > 0);
                let [columns, rows] = sps.coded_macroblocks;
                prop_assert!(sps.width <= 16 * columns && sps.height <= 16 * rows);
                prop_assert_eq!(sps.macroblocks, columns * rows);
            }
        }
    }
}
