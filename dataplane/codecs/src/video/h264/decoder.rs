//! H.264 decoding.
//!
//! The library sees only what it needs: parameter sets that were read and found
//! harmless, and slices. Everything else of an access unit (supplemental
//! information, delimiters, extensions for scalability) is left out, so that a
//! hostile stream reaches less code, and no picture is allocated that is larger
//! than allowed.

use plenum_h264::{NalType, START_CODE, SliceHead, SliceKind, Sps, nal_units};
use plenum_kernels::video::PictureRef;
use plenum_openh264::{self as openh264, Failure, Outcome};

use crate::video::{
    ACCESS_UNIT_BYTES_MAX, DecodeError, Decoded, DecoderConfig, SetupError, VideoDecoder,
    lent_picture,
};

/// Slices of one picture. Each may claim all macroblocks once more, so this bounds
/// the time that a small access unit can take; a picture of 600 kB in slices that
/// fit a packet has fewer.
const SLICES_MAX: usize = 512;

/// Access units with B slices between two parameter sets that prove a stream to have
/// them. A single one may be damage.
const PROOF_OF_B_SLICES: u8 = 2;

/// `profile_idc` of Main and High, and of two profiles that write the same fields.
const BASELINE: u8 = 66;
const MAIN: u8 = 77;
const SCALABLE_BASELINE: u8 = 83;
const HIGH: u8 = 100;

pub(in crate::video) struct Decoder {
    openh264: openh264::Decoder,
    config: DecoderConfig,
    /// The part of the access unit that the library sees.
    passed: Vec<u8>,
    /// The stream has B slices, so pictures come out in another order than they
    /// come in.
    reorders: bool,
    /// Access units with B slices since the last parameter set.
    units_with_b_slices: u8,
}

impl Decoder {
    pub(in crate::video) fn new(config: &DecoderConfig) -> Result<Self, SetupError> {
        Ok(Self {
            openh264: openh264::Decoder::new().map_err(|_| SetupError::Refused)?,
            config: *config,
            passed: Vec::new(),
            reorders: false,
            units_with_b_slices: 0,
        })
    }

    /// Copies what the library may see.
    fn pass(&mut self, access_unit: &[u8]) -> Result<(), DecodeError> {
        self.passed.clear();
        let mut slices = 0;
        let mut last_macroblock = None;
        let (mut begins, mut has_b_slices) = (false, false);
        for range in nal_units(access_unit) {
            let unit = &access_unit[range];
            let kind = NalType::of(unit[0]);
            match kind {
                NalType::Sps => {
                    self.check(&Sps::parse(unit).ok_or(DecodeError::Corrupt)?)?;
                    if !begins {
                        begins = true;
                        self.decide_order();
                    }
                }
                NalType::Pps => {}
                NalType::Slice | NalType::IdrSlice => {
                    let head = SliceHead::parse(unit).ok_or(DecodeError::Corrupt)?;
                    has_b_slices |= head.kind == SliceKind::B;
                    // Slices that go back are another picture, or a second copy.
                    if last_macroblock.is_some_and(|last| head.first_macroblock <= last)
                        || slices == SLICES_MAX
                    {
                        return Err(DecodeError::Corrupt);
                    }
                    last_macroblock = Some(head.first_macroblock);
                    slices += 1;
                }
                _ => continue,
            }
            self.passed.extend_from_slice(&START_CODE);
            let at = self.passed.len();
            self.passed.extend_from_slice(unit);
            if kind == NalType::Sps {
                self.show_at_once(at + 1);
            }
        }
        self.units_with_b_slices = self
            .units_with_b_slices
            .saturating_add(u8::from(has_b_slices));
        Ok(())
    }

    /// Before a parameter set is passed: whether pictures have been coming in
    /// another order. If that changes, the library begins anew, as it can at a key
    /// frame, which is what follows a parameter set.
    fn decide_order(&mut self) {
        let reorders = self.units_with_b_slices >= PROOF_OF_B_SLICES;
        self.units_with_b_slices = 0;
        if reorders != self.reorders {
            self.reorders = reorders;
            self.begin_anew();
        }
    }

    fn begin_anew(&mut self) {
        if let Ok(decoder) = openh264::Decoder::new() {
            self.openh264 = decoder;
        }
    }

    fn check(&self, sps: &Sps) -> Result<(), DecodeError> {
        if !self.config.allows(sps.macroblocks, sps.coded_macroblocks) {
            return Err(DecodeError::TooLarge);
        }
        if !sps.progressive || !sps.ordinary_samples {
            return Err(DecodeError::Corrupt);
        }
        Ok(())
    }

    /// The library holds each picture back until the next one, in case that has
    /// to be shown first, unless the profile has no B slices. So unless some
    /// were seen, Main passes for Baseline and High for Scalable Baseline, whose
    /// parameter sets have the same fields.
    fn show_at_once(&mut self, profile_idc_at: usize) {
        if self.reorders {
            return;
        }
        let profile_idc = &mut self.passed[profile_idc_at];
        *profile_idc = match *profile_idc {
            MAIN => BASELINE,
            HIGH => SCALABLE_BASELINE,
            other => other,
        };
    }
}

impl VideoDecoder for Decoder {
    fn decode(&mut self, access_unit: &[u8]) -> Result<Decoded, DecodeError> {
        match access_unit.len() {
            0 => return Err(DecodeError::Empty),
            1..=ACCESS_UNIT_BYTES_MAX => {}
            _ => return Err(DecodeError::TooLong),
        }
        self.pass(access_unit)?;
        if self.passed.is_empty() {
            // Delimiters and the like, or no NAL unit at all.
            return match nal_units(access_unit).next() {
                Some(_) => Ok(Decoded::Nothing),
                None => Err(DecodeError::Corrupt),
            };
        }
        match self.openh264.decode(&self.passed) {
            Ok(Outcome::Nothing) => Ok(Decoded::Nothing),
            Ok(Outcome::Picture) => Ok(Decoded::Picture),
            Ok(Outcome::Concealed) => Ok(Decoded::Concealed),
            Err(Failure::Bitstream) => Err(DecodeError::Corrupt),
            Err(Failure::Library) => {
                // What it had is lost, and the stream needs a key frame either way.
                self.begin_anew();
                Err(DecodeError::Corrupt)
            }
        }
    }

    fn picture(&self) -> Option<PictureRef<'_>> {
        let output = self.openh264.picture()?;
        let planes = output.planes.map(|plane| (plane.data, plane.stride));
        lent_picture(output.width, output.height, planes)
    }
}
