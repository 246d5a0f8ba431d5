//! One VP8 encoder at a constant bit rate, with up to three layers in time.

use std::ffi::{c_int, c_long, c_uint, c_ulong};
use std::mem::MaybeUninit;
use std::ptr;

use vpx_sys as sys;
use vpx_sys::vp8e_enc_control_id as control;
use vpx_sys::vpx_codec_err_t::VPX_CODEC_OK;

use crate::{Context, Plane, Refused};

/// Ticks a second of the library's clock.
const CLOCK_HZ: f32 = 90_000.0;
/// Milliseconds of bits that the rate control may be behind or ahead.
const BUFFER_MS: [u32; 3] = [1_000, 500, 600];
/// A key frame may take so much of an average frame's bits, percent.
const INTRA_PERCENT_MAX: c_uint = 900;

/// What an encoder is made for.
#[derive(Clone, Copy, Debug)]
pub struct EncoderParams {
    /// Samples in a row, 2 to 16,383.
    pub width: u32,
    /// Rows, 2 to 16,383.
    pub height: u32,
    /// Bits a second.
    pub bit_rate_bps: u32,
    /// Layers in time, 1 to 3.
    pub temporal_layers: u8,
    /// A screen, not a camera.
    pub screen: bool,
    /// 0 (good) to 16 (quick).
    pub speed: u8,
}

/// A coded frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Frame {
    /// A key frame.
    pub key: bool,
    /// Layer in time.
    pub temporal_layer: u8,
}

/// How the layers of one number of layers follow each other, and what share of the
/// bits each has together with those below, percent.
struct Pattern {
    layers: &'static [u8],
    percent: [u32; 3],
}

const PATTERNS: [Pattern; 3] = [
    Pattern {
        layers: &[0],
        percent: [100, 0, 0],
    },
    Pattern {
        layers: &[0, 1],
        percent: [60, 100, 0],
    },
    Pattern {
        layers: &[0, 2, 1, 2],
        percent: [40, 60, 100],
    },
];

/// An encoder.
pub struct Encoder {
    context: Context,
    config: Box<sys::vpx_codec_enc_cfg_t>,
    width: u32,
    height: u32,
    temporal_layers: u8,
    /// Place in the pattern of layers.
    phase: usize,
    /// Time of the next frame, in ticks.
    clock: i64,
}

// SAFETY: besides the context, which may be sent, there are only the configuration's
// pointers to statistics of a first pass, which are null: there is one pass.
unsafe impl Send for Encoder {}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Encoder({}x{})", self.width, self.height)
    }
}

impl Encoder {
    /// An encoder whose first frame will be a key frame.
    ///
    /// # Errors
    /// When the library has no memory or refuses the parameters.
    ///
    /// # Panics
    /// Unless there are 1 to 3 layers.
    pub fn new(params: &EncoderParams) -> Result<Self, Refused> {
        let mut config = default_config()?;
        config.g_w = params.width;
        config.g_h = params.height;
        config.g_threads = 1;
        config.g_timebase = sys::vpx_rational {
            num: 1,
            den: CLOCK_HZ as c_int,
        };
        config.g_lag_in_frames = 0;
        config.rc_end_usage = sys::vpx_rc_mode::VPX_CBR;
        config.rc_dropframe_thresh = 30;
        config.rc_resize_allowed = 0;
        config.rc_min_quantizer = 2;
        config.rc_max_quantizer = 56;
        config.rc_undershoot_pct = 100;
        config.rc_overshoot_pct = 15;
        [
            config.rc_buf_sz,
            config.rc_buf_initial_sz,
            config.rc_buf_optimal_sz,
        ] = BUFFER_MS;
        // Key frames come when they are asked for.
        config.kf_mode = sys::vpx_kf_mode::VPX_KF_DISABLED;
        // Frames above the lowest layer may be missing where others are decoded.
        let layered = params.temporal_layers > 1;
        config.g_error_resilient = u32::from(layered) * sys::VPX_ERROR_RESILIENT_DEFAULT;
        let pattern = &PATTERNS[usize::from(params.temporal_layers) - 1];
        config.ts_number_layers = u32::from(params.temporal_layers);
        config.ts_periodicity = pattern.layers.len() as u32;
        for (to, layer) in config.ts_layer_id.iter_mut().zip(pattern.layers) {
            *to = u32::from(*layer);
        }
        for (layer, to) in (0..params.temporal_layers).zip(&mut config.ts_rate_decimator) {
            *to = 1 << (params.temporal_layers - 1 - layer);
        }
        set_bit_rate(&mut config, pattern, params.bit_rate_bps);
        let mut encoder = Self {
            context: open(&config)?,
            config,
            width: params.width,
            height: params.height,
            temporal_layers: params.temporal_layers,
            phase: 0,
            clock: 0,
        };
        encoder.control(control::VP8E_SET_CPUUSED, -c_int::from(params.speed))?;
        let threshold = if params.screen { 100 } else { 1 };
        encoder.control(control::VP8E_SET_STATIC_THRESHOLD, threshold)?;
        encoder.control(
            control::VP8E_SET_SCREEN_CONTENT_MODE,
            c_int::from(params.screen),
        )?;
        encoder.control(control::VP8E_SET_TOKEN_PARTITIONS, 0)?;
        encoder.control(
            control::VP8E_SET_MAX_INTRA_BITRATE_PCT,
            INTRA_PERCENT_MAX as c_int,
        )?;
        Ok(encoder)
    }

    /// All settings used here are an `int` or an `unsigned int`.
    fn control(&mut self, setting: control, value: c_int) -> Result<(), Refused> {
        // SAFETY: the context is initialised; each of the settings in this file takes
        // one argument of int's size by value.
        let status =
            unsafe { sys::vpx_codec_control_(&raw mut *self.context.0, setting as c_int, value) };
        if status == VPX_CODEC_OK {
            Ok(())
        } else {
            Err(Refused)
        }
    }

    /// Another bit rate from the next frame on.
    ///
    /// # Errors
    /// When the library refuses it.
    pub fn set_bit_rate(&mut self, bit_rate_bps: u32) -> Result<(), Refused> {
        let pattern = &PATTERNS[usize::from(self.temporal_layers) - 1];
        set_bit_rate(&mut self.config, pattern, bit_rate_bps);
        // SAFETY: the context is initialised, and the library copies the configuration.
        let status = unsafe {
            sys::vpx_codec_enc_config_set(&raw mut *self.context.0, &raw const *self.config)
        };
        if status == VPX_CODEC_OK {
            Ok(())
        } else {
            Err(Refused)
        }
    }

    /// Encodes a picture to the end of `out`, as a key frame if told so. Its planes
    /// are Y, U and V. `None` when the rate left no room for it.
    ///
    /// # Errors
    /// When the library failed. It is then of no further use.
    ///
    /// # Panics
    /// When the planes are smaller than the picture.
    pub fn encode(
        &mut self,
        planes: [Plane<'_>; 3],
        frame_rate_hz: f32,
        key_frame: bool,
        out: &mut Vec<u8>,
    ) -> Result<Option<Frame>, Refused> {
        let (width, height) = (self.width as usize, self.height as usize);
        let chroma = (width.div_ceil(2), height.div_ceil(2));
        assert!(
            planes[0].holds(width, height)
                && planes[1].holds(chroma.0, chroma.1)
                && planes[2].holds(chroma.0, chroma.1),
            "planes smaller than the picture"
        );
        if key_frame {
            self.phase = 0;
        }
        let layers = PATTERNS[usize::from(self.temporal_layers) - 1].layers;
        let temporal_layer = layers[self.phase % layers.len()];
        self.phase += 1;
        let mut flags = self.references(temporal_layer);
        if key_frame {
            flags = sys::VPX_EFLAG_FORCE_KF;
        }
        if self.temporal_layers > 1 {
            let layer = c_int::from(temporal_layer);
            self.control(control::VP8E_SET_TEMPORAL_LAYER_ID, layer)?;
        }
        let mut image = MaybeUninit::<sys::vpx_image_t>::uninit();
        // SAFETY: the library fills in the whole struct; it does not look behind the
        // pointer, which is replaced below.
        let image = unsafe {
            sys::vpx_img_wrap(
                image.as_mut_ptr(),
                sys::vpx_img_fmt::VPX_IMG_FMT_I420,
                self.width,
                self.height,
                1,
                planes[0].data.as_ptr().cast_mut(),
            )
            .as_mut()
        };
        let image = image.ok_or(Refused)?;
        for (index, plane) in planes.iter().enumerate() {
            image.planes[index] = plane.data.as_ptr().cast_mut();
            image.stride[index] = c_int::try_from(plane.stride).map_err(|_| Refused)?;
        }
        let duration = (CLOCK_HZ / frame_rate_hz.max(1.0)) as c_ulong;
        // SAFETY: the context is initialised; the library only reads the planes,
        // within the bounds asserted above.
        let status = unsafe {
            sys::vpx_codec_encode(
                &raw mut *self.context.0,
                &raw const *image,
                self.clock,
                duration,
                c_long::from(flags),
                c_ulong::from(sys::VPX_DL_REALTIME),
            )
        };
        self.clock += duration as i64;
        if status != VPX_CODEC_OK {
            return Err(Refused);
        }
        let key = self.append(out);
        Ok(key.map(|key| Frame {
            key,
            temporal_layer,
        }))
    }

    /// What a frame of this layer refers to and what it leaves behind: layer 0 lives
    /// in "last", layer 1 of three in "golden", the topmost in nothing.
    fn references(&self, temporal_layer: u8) -> u32 {
        let no_other = sys::VP8_EFLAG_NO_REF_GF | sys::VP8_EFLAG_NO_REF_ARF;
        let keep_last = sys::VP8_EFLAG_NO_UPD_LAST | sys::VP8_EFLAG_NO_UPD_ENTROPY;
        let keep_other = sys::VP8_EFLAG_NO_UPD_GF | sys::VP8_EFLAG_NO_UPD_ARF;
        match (self.temporal_layers, temporal_layer) {
            (1, _) => 0,
            (_, 0) => no_other | keep_other,
            (2, _) => no_other | keep_last | keep_other,
            (_, 1) => no_other | keep_last | sys::VP8_EFLAG_NO_UPD_ARF,
            _ => sys::VP8_EFLAG_NO_REF_ARF | keep_last | keep_other,
        }
    }

    /// Copies what was coded; whether it is a key frame, if there is anything.
    fn append(&mut self, out: &mut Vec<u8>) -> Option<bool> {
        let mut iterator = ptr::null();
        let mut key = None;
        loop {
            // SAFETY: the context is initialised, and the iterator began as null.
            let packet = unsafe {
                sys::vpx_codec_get_cx_data(&raw mut *self.context.0, &raw mut iterator).as_ref()
            };
            let Some(packet) = packet else { return key };
            if packet.kind != sys::vpx_codec_cx_pkt_kind::VPX_CODEC_CX_FRAME_PKT {
                continue;
            }
            // SAFETY: the kind says which member of the union is written. Its buffer
            // lasts until the context is called again.
            let bytes = unsafe {
                let frame = &packet.data.frame;
                key = Some(frame.flags & sys::VPX_FRAME_IS_KEY != 0);
                std::slice::from_raw_parts(frame.buf.cast::<u8>(), frame.sz as usize)
            };
            out.extend_from_slice(bytes);
        }
    }
}

fn default_config() -> Result<Box<sys::vpx_codec_enc_cfg_t>, Refused> {
    let mut config = MaybeUninit::uninit();
    // SAFETY: the library writes the whole struct when it succeeds, and only then is
    // it taken as initialised.
    unsafe {
        let interface = sys::vpx_codec_vp8_cx();
        match sys::vpx_codec_enc_config_default(interface, config.as_mut_ptr(), 0) {
            VPX_CODEC_OK => Ok(Box::new(config.assume_init())),
            _ => Err(Refused),
        }
    }
}

fn open(config: &sys::vpx_codec_enc_cfg_t) -> Result<Context, Refused> {
    let mut context = Box::new(MaybeUninit::uninit());
    // SAFETY: the library writes the whole context before anything else, and copies
    // the configuration; only a context that it initialised is taken as one.
    unsafe {
        let status = sys::vpx_codec_enc_init_ver(
            context.as_mut_ptr(),
            sys::vpx_codec_vp8_cx(),
            config,
            0,
            sys::VPX_ENCODER_ABI_VERSION as c_int,
        );
        match status {
            VPX_CODEC_OK => Ok(Context(context.assume_init())),
            _ => Err(Refused),
        }
    }
}

fn set_bit_rate(config: &mut sys::vpx_codec_enc_cfg_t, pattern: &Pattern, bit_rate_bps: u32) {
    let kilobits = (bit_rate_bps / 1_000).max(1);
    config.rc_target_bitrate = kilobits;
    for (to, percent) in config.ts_target_bitrate.iter_mut().zip(pattern.percent) {
        *to = kilobits * percent / 100;
    }
}
