//! H.264 encoding.

use plenum_abi::{H264Level, H264Profile};
use plenum_kernels::video::Picture;
use plenum_openh264::{self as openh264, Coded, EncoderParams, Profile};

use crate::video::{
    EncodeError, Encoded, EncoderConfig, Rate, SetupError, VideoEncoder, borrow_planes,
};

/// Below this the library's rate control has nothing to work with.
const BIT_RATE_MIN_BPS: u32 = 16_000;
/// What the library takes at most.
const FRAME_RATE_MAX_HZ: f32 = 60.0;
/// The library wants room for a macroblock at its worst, 400 bytes, and for heads.
const SLICE_BYTES_MIN: u32 = 500;

pub(in crate::video) struct Encoder {
    openh264: openh264::Encoder,
    config: EncoderConfig,
    /// What the claimed level allows, bit/s.
    bit_rate_max_bps: u32,
    /// Time of the next picture, on a clock of the encoder's own, which
    /// advances by one frame interval a picture.
    time_ms: f64,
    /// A key frame was asked for and has not come out yet.
    key_frame_due: bool,
}

impl Encoder {
    pub(in crate::video) fn new(config: &EncoderConfig) -> Result<Self, SetupError> {
        let profile = match config.profile {
            H264Profile::ConstrainedBaseline | H264Profile::Baseline => Profile::Baseline,
            H264Profile::High | H264Profile::ConstrainedHigh => Profile::High,
            _ => return Err(SetupError::Config),
        };
        if config
            .slice_bytes_max
            .is_some_and(|bytes| bytes < SLICE_BYTES_MIN)
            || config.frame_rate_max_hz > FRAME_RATE_MAX_HZ
        {
            return Err(SetupError::Config);
        }
        let level = H264Level::for_stream(
            config.width,
            config.height,
            config.frame_rate_max_hz,
            BIT_RATE_MIN_BPS,
        )
        .filter(|level| *level <= config.level_max)
        .ok_or(SetupError::Level)?;
        let bit_rate_max_bps = level.limits().bit_rate_max_bps;
        let rate = clamp(config.rate, config.frame_rate_max_hz, bit_rate_max_bps);
        let params = EncoderParams {
            width: config.width,
            height: config.height,
            bit_rate_bps: rate.bit_rate_bps,
            frame_rate_hz: rate.frame_rate_hz,
            profile,
            level_idc: level.level_idc(),
            slice_bytes_max: config.slice_bytes_max,
            temporal_layers: config.temporal_layers,
            screen: config.content,
        };
        Ok(Self {
            openh264: openh264::Encoder::new(&params).map_err(|_| SetupError::Refused)?,
            config: EncoderConfig { rate, ..*config },
            bit_rate_max_bps,
            time_ms: 0.0,
            key_frame_due: false,
        })
    }
}

fn clamp(rate: Rate, frame_rate_max_hz: f32, bit_rate_max_bps: u32) -> Rate {
    Rate {
        bit_rate_bps: rate.bit_rate_bps.clamp(BIT_RATE_MIN_BPS, bit_rate_max_bps),
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
        if self.key_frame_due {
            self.openh264
                .force_idr()
                .map_err(|_| EncodeError::Refused)?;
        }
        self.time_ms += 1_000.0 / f64::from(self.config.rate.frame_rate_hz);
        let planes = borrow_planes(picture).map(|(data, stride)| openh264::Plane { data, stride });
        match self.openh264.encode(planes, self.time_ms as i64, out) {
            Ok(Coded::Picture {
                idr,
                temporal_layer,
            }) => {
                self.key_frame_due &= !idr;
                Ok(Encoded {
                    key_frame: idr,
                    temporal_layer,
                    skipped: false,
                })
            }
            Ok(Coded::Skipped) => Ok(Encoded::SKIPPED),
            Err(openh264::Refused) => {
                out.clear();
                Err(EncodeError::Refused)
            }
        }
    }

    fn set_rate(&mut self, rate: Rate) {
        let rate = clamp(rate, self.config.frame_rate_max_hz, self.bit_rate_max_bps);
        let before = self.config.rate;
        // Clamped rates are never refused; if one were, the old one would stay.
        if rate.frame_rate_hz != before.frame_rate_hz
            && self.openh264.set_frame_rate(rate.frame_rate_hz).is_ok()
        {
            self.config.rate.frame_rate_hz = rate.frame_rate_hz;
        }
        if rate.bit_rate_bps != before.bit_rate_bps
            && self.openh264.set_bit_rate(rate.bit_rate_bps).is_ok()
        {
            self.config.rate.bit_rate_bps = rate.bit_rate_bps;
        }
    }

    fn config(&self) -> &EncoderConfig {
        &self.config
    }
}
