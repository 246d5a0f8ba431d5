//! VP8 by libvpx: what it is told, and what of a stream it gets to see.
//!
//! A key frame tells its size in the first ten bytes (RFC 6386 section 9.1), so
//! one that is too large is refused before the library takes memory for it.

use plenum_abi::macroblocks;
use plenum_kernels::video::{Picture, PictureRef};
use plenum_vpx::{self as vpx, EncoderParams, Outcome};

use super::{
    ACCESS_UNIT_BYTES_MAX, DecodeError, Decoded, DecoderConfig, EncodeError, Encoded,
    EncoderConfig, Rate, SetupError, VideoDecoder, VideoEncoder, borrow_planes, lent_picture,
};

/// The library counts in kbit/s, and below this it only leaves pictures out.
const BIT_RATE_MIN_BPS: u32 = 16_000;
/// Above this the bits are no longer the bound.
const BIT_RATE_MAX_BPS: u32 = 50_000_000;

/// Size of a key frame's picture; `None` when the frame is no key frame.
///
/// # Errors
/// When it says that it is one and is not.
fn key_frame_size(frame: &[u8]) -> Result<Option<(u32, u32)>, DecodeError> {
    if frame[0] & 1 != 0 {
        return Ok(None);
    }
    match *frame {
        [_, _, _, 0x9d, 0x01, 0x2a, w_low, w_high, h_low, h_high, ..] => {
            // The upper two bits are a scale that nobody uses.
            let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
            Ok(Some((side(w_low, w_high), side(h_low, h_high))))
        }
        _ => Err(DecodeError::Corrupt),
    }
}

pub(super) struct Decoder {
    vpx: vpx::Decoder,
    config: DecoderConfig,
}

impl Decoder {
    pub(super) fn new(config: &DecoderConfig) -> Result<Self, SetupError> {
        Ok(Self {
            vpx: vpx::Decoder::new().map_err(|_| SetupError::Refused)?,
            config: *config,
        })
    }
}

impl VideoDecoder for Decoder {
    fn decode(&mut self, frame: &[u8]) -> Result<Decoded, DecodeError> {
        match frame.len() {
            0 => return Err(DecodeError::Empty),
            1..=ACCESS_UNIT_BYTES_MAX => {}
            _ => return Err(DecodeError::TooLong),
        }
        if let Some((width, height)) = key_frame_size(frame)? {
            if width < Picture::SIDE_MIN || height < Picture::SIDE_MIN {
                return Err(DecodeError::Corrupt);
            }
            let sides = [width.div_ceil(16), height.div_ceil(16)];
            if !self.config.allows(macroblocks(width, height), sides) {
                return Err(DecodeError::TooLarge);
            }
        }
        match self.vpx.decode(frame) {
            Ok(Outcome::Nothing) => Ok(Decoded::Nothing),
            Ok(Outcome::Picture) => Ok(Decoded::Picture),
            Ok(Outcome::Corrupted) => Ok(Decoded::Concealed),
            Err(vpx::Damaged) => Err(DecodeError::Corrupt),
        }
    }

    fn picture(&self) -> Option<PictureRef<'_>> {
        let output = self.vpx.picture()?;
        let planes = output.planes.map(|plane| (plane.data, plane.stride));
        lent_picture(output.width, output.height, planes)
    }
}

pub(super) struct Encoder {
    vpx: vpx::Encoder,
    config: EncoderConfig,
    /// A key frame was asked for and has not come out yet.
    key_frame_due: bool,
}

impl Encoder {
    pub(super) fn new(config: &EncoderConfig) -> Result<Self, SetupError> {
        let rate = clamp(config.rate, config.frame_rate_max_hz);
        let params = EncoderParams {
            width: config.width,
            height: config.height,
            bit_rate_bps: rate.bit_rate_bps,
            temporal_layers: config.temporal_layers,
            screen: config.content,
            speed: speed(macroblocks(config.width, config.height)),
        };
        Ok(Self {
            vpx: vpx::Encoder::new(&params).map_err(|_| SetupError::Refused)?,
            config: EncoderConfig { rate, ..*config },
            key_frame_due: true,
        })
    }
}

/// Small pictures have time for a better search.
const fn speed(macroblocks: u32) -> u8 {
    match macroblocks {
        0..=920 => 8,
        921..=3_600 => 10,
        _ => 12,
    }
}

fn clamp(rate: Rate, frame_rate_max_hz: f32) -> Rate {
    Rate {
        bit_rate_bps: rate.bit_rate_bps.clamp(BIT_RATE_MIN_BPS, BIT_RATE_MAX_BPS),
        frame_rate_hz: rate.frame_rate_hz.clamp(1.0, frame_rate_max_hz),
    }
}

impl VideoEncoder for Encoder {
    fn encode(
        &mut self,
        picture: &Picture,
        key_frame: bool,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, EncodeError> {
        out.clear();
        if (picture.width(), picture.height()) != (self.config.width, self.config.height) {
            return Err(EncodeError::PictureSize);
        }
        self.key_frame_due |= key_frame;
        let planes = borrow_planes(picture).map(|(data, stride)| vpx::Plane { data, stride });
        let frame_rate_hz = self.config.rate.frame_rate_hz;
        match self
            .vpx
            .encode(planes, frame_rate_hz, self.key_frame_due, out)
        {
            Ok(Some(frame)) => {
                self.key_frame_due &= !frame.key;
                Ok(Encoded {
                    key_frame: frame.key,
                    temporal_layer: frame.temporal_layer,
                    skipped: false,
                })
            }
            Ok(None) => Ok(Encoded::SKIPPED),
            Err(vpx::Refused) => {
                out.clear();
                Err(EncodeError::Refused)
            }
        }
    }

    fn set_rate(&mut self, rate: Rate) {
        let rate = clamp(rate, self.config.frame_rate_max_hz);
        // The frame rate goes with each picture.
        self.config.rate.frame_rate_hz = rate.frame_rate_hz;
        if rate.bit_rate_bps != self.config.rate.bit_rate_bps
            && self.vpx.set_bit_rate(rate.bit_rate_bps).is_ok()
        {
            self.config.rate.bit_rate_bps = rate.bit_rate_bps;
        }
    }

    fn config(&self) -> &EncoderConfig {
        &self.config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_frame_tells_its_size() {
        let head = [0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x42, 0x68, 0x81, 0];
        assert_eq!(key_frame_size(&head), Ok(Some((0x280, 0x168))));
        assert_eq!(key_frame_size(&[0x11]), Ok(None));
        for len in 1..10 {
            assert_eq!(key_frame_size(&head[..len]), Err(DecodeError::Corrupt));
        }
        let mut other = head;
        other[3] = 0;
        assert_eq!(key_frame_size(&other), Err(DecodeError::Corrupt));
    }
}
