//! One encoder: one layer in space, up to three in time, one thread.

use std::ffi::{c_int, c_void};
use std::ptr::{self, NonNull};

use openh264_sys2 as sys;
use openh264_sys2::source::APILoader;

use crate::{Plane, Refused, method};

/// Profile of the stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Profile {
    /// Constrained Baseline: CAVLC.
    Baseline,
    /// High: CABAC.
    High,
}

/// What an encoder is made for.
#[derive(Clone, Copy, Debug)]
pub struct EncoderParams {
    /// Samples in a row, even, 16 to 4,096.
    pub width: u32,
    /// Rows, even, 16 to 4,096.
    pub height: u32,
    /// Bits a second.
    pub bit_rate_bps: u32,
    /// Pictures a second, 1 to 60.
    pub frame_rate_hz: f32,
    /// Profile.
    pub profile: Profile,
    /// `level_idc`; bounds the bit rate too.
    pub level_idc: u8,
    /// Bytes of the longest NAL unit; one slice a picture where there is no bound.
    pub slice_bytes_max: Option<u32>,
    /// Layers in time, 1 to 3.
    pub temporal_layers: u8,
    /// A screen, not a camera.
    pub screen: bool,
}

/// What became of a picture.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Coded {
    /// An access unit.
    Picture {
        /// An IDR picture.
        idr: bool,
        /// Layer in time.
        temporal_layer: u8,
    },
    /// None: the rate left no room for it.
    Skipped,
}

/// An encoder.
pub struct Encoder {
    object: NonNull<sys::ISVCEncoder>,
    width: u32,
    height: u32,
    /// Where the library says what it made: 7 kB, so not on the stack each time.
    info: Box<sys::SFrameBSInfo>,
}

// SAFETY: the object keeps no thread-local state and starts no thread (asked for one
// in `new`); `&mut self` on every call keeps two threads from calling at once.
unsafe impl Send for Encoder {}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Encoder({}x{})", self.width, self.height)
    }
}

impl Encoder {
    /// An encoder whose first picture will be an IDR picture.
    ///
    /// # Errors
    /// When the library has no memory or refuses the parameters.
    pub fn new(params: &EncoderParams) -> Result<Self, Refused> {
        let mut object = ptr::null_mut();
        // SAFETY: the library writes one pointer to where it is told to.
        let status = unsafe { APILoader::WelsCreateSVCEncoder(&raw mut object) };
        let object = NonNull::new(object)
            .filter(|_| status == 0)
            .ok_or(Refused)?;
        let mut encoder = Self {
            object,
            width: params.width,
            height: params.height,
            info: Box::default(),
        };
        let mut quiet = sys::WELS_LOG_QUIET as c_int;
        encoder.set_option(sys::ENCODER_OPTION_TRACE_LEVEL, &mut quiet)?;
        let ext = encoder.parameters(params)?;
        let initialize = method!(encoder.object, InitializeExt).ok_or(Refused)?;
        // SAFETY: the object is alive, and `ext` was filled by the library's own
        // defaults before it was changed.
        match unsafe { initialize(encoder.object.as_ptr(), &raw const ext) } {
            0 => Ok(encoder),
            _ => Err(Refused),
        }
    }

    fn parameters(&mut self, params: &EncoderParams) -> Result<sys::SEncParamExt, Refused> {
        let mut ext = sys::SEncParamExt::default();
        let defaults = method!(self.object, GetDefaultParams).ok_or(Refused)?;
        // SAFETY: the object is alive, and the library fills in the whole struct.
        if unsafe { defaults(self.object.as_ptr(), &raw mut ext) } != 0 {
            return Err(Refused);
        }
        let bit_rate = c_int::try_from(params.bit_rate_bps).map_err(|_| Refused)?;
        let (width, height) = (params.width as c_int, params.height as c_int);
        ext.iUsageType = if params.screen {
            sys::SCREEN_CONTENT_REAL_TIME
        } else {
            sys::CAMERA_VIDEO_REAL_TIME
        };
        (ext.iPicWidth, ext.iPicHeight) = (width, height);
        ext.iTargetBitrate = bit_rate;
        ext.fMaxFrameRate = params.frame_rate_hz;
        // Keeps to the rate only if it may leave pictures out.
        ext.iRCMode = sys::RC_BITRATE_MODE;
        ext.bEnableFrameSkip = true;
        ext.iTemporalLayerNum = c_int::from(params.temporal_layers);
        ext.iSpatialLayerNum = 1;
        ext.iComplexityMode = sys::LOW_COMPLEXITY;
        ext.iMultipleThreadIdc = 1;
        // Key frames come when they are asked for, and at no other time: a cut to
        // another layout would otherwise cost everybody one.
        ext.uiIntraPeriod = 0;
        ext.bEnableSceneChangeDetect = params.screen;
        ext.eSpsPpsIdStrategy = sys::CONSTANT_ID;
        ext.iEntropyCodingModeFlag = c_int::from(params.profile == Profile::High);
        let layer = &mut ext.sSpatialLayers[0];
        (layer.iVideoWidth, layer.iVideoHeight) = (width, height);
        layer.fFrameRate = params.frame_rate_hz;
        layer.iSpatialBitrate = bit_rate;
        layer.uiProfileIdc = match params.profile {
            Profile::Baseline => sys::PRO_BASELINE,
            Profile::High => sys::PRO_HIGH,
        };
        layer.uiLevelIdc = sys::ELevelIdc::from(params.level_idc);
        match params.slice_bytes_max {
            Some(bytes) => {
                layer.sSliceArgument.uiSliceMode = sys::SM_SIZELIMITED_SLICE;
                layer.sSliceArgument.uiSliceSizeConstraint = bytes;
                ext.uiMaxNalSize = bytes;
            }
            None => layer.sSliceArgument.uiSliceMode = sys::SM_SINGLE_SLICE,
        }
        Ok(ext)
    }

    /// Encodes a picture to the end of `out`, as a byte stream with start codes.
    /// Its planes are Y, U and V; `time_ms` must grow from picture to picture.
    ///
    /// # Errors
    /// When the library failed. It is then of no further use.
    ///
    /// # Panics
    /// When the planes are smaller than the picture.
    pub fn encode(
        &mut self,
        planes: [Plane<'_>; 3],
        time_ms: i64,
        out: &mut Vec<u8>,
    ) -> Result<Coded, Refused> {
        let (width, height) = (self.width as usize, self.height as usize);
        let [y, u, v] = &planes;
        assert!(
            y.holds(width, height)
                && u.holds(width / 2, height / 2)
                && v.holds(width / 2, height / 2),
            "planes smaller than the picture"
        );
        let stride = |plane: &Plane<'_>| c_int::try_from(plane.stride).map_err(|_| Refused);
        let picture = sys::SSourcePicture {
            iColorFormat: sys::videoFormatI420 as c_int,
            iStride: [stride(y)?, stride(u)?, stride(v)?, 0],
            pData: [
                y.data.as_ptr().cast_mut(),
                u.data.as_ptr().cast_mut(),
                v.data.as_ptr().cast_mut(),
                ptr::null_mut(),
            ],
            iPicWidth: self.width as c_int,
            iPicHeight: self.height as c_int,
            uiTimeStamp: time_ms,
            ..Default::default()
        };
        let encode = method!(self.object, EncodeFrame).ok_or(Refused)?;
        // SAFETY: the object is alive and initialised. The library only reads the
        // planes, within the bounds asserted above, and fills in `info`.
        let status = unsafe {
            encode(
                self.object.as_ptr(),
                &raw const picture,
                &raw mut *self.info,
            )
        };
        if status != 0 {
            return Err(Refused);
        }
        match self.info.eFrameType {
            sys::videoFrameTypeInvalid => Err(Refused),
            sys::videoFrameTypeSkip => Ok(Coded::Skipped),
            kind => {
                let temporal_layer = self.append(out)?;
                Ok(Coded::Picture {
                    idr: kind == sys::videoFrameTypeIDR,
                    temporal_layer,
                })
            }
        }
    }

    /// Copies what `info` describes; gives the layer in time.
    fn append(&self, out: &mut Vec<u8>) -> Result<u8, Refused> {
        let mut temporal_layer = 0;
        let layers = usize::try_from(self.info.iLayerNum).map_err(|_| Refused)?;
        for layer in self.info.sLayerInfo.get(..layers).ok_or(Refused)? {
            let count = usize::try_from(layer.iNalCount).map_err(|_| Refused)?;
            if count == 0 || layer.pNalLengthInByte.is_null() || layer.pBsBuf.is_null() {
                continue;
            }
            // SAFETY: the library has written `count` lengths there, and nothing has
            // called it since.
            let lengths = unsafe { std::slice::from_raw_parts(layer.pNalLengthInByte, count) };
            let total: usize = lengths
                .iter()
                .map(|&length| usize::try_from(length).unwrap_or(0))
                .sum();
            // SAFETY: a layer's NAL units lie one behind the other from `pBsBuf` on,
            // together as long as their lengths; nothing has called the library since.
            let bytes = unsafe { std::slice::from_raw_parts(layer.pBsBuf, total) };
            out.extend_from_slice(bytes);
            if u32::from(layer.uiLayerType) == sys::VIDEO_CODING_LAYER as u32 {
                temporal_layer = layer.uiTemporalId;
            }
        }
        Ok(temporal_layer)
    }

    /// The next picture that is not skipped will be an IDR picture.
    ///
    /// # Errors
    /// When the library failed.
    pub fn force_idr(&mut self) -> Result<(), Refused> {
        let force = method!(self.object, ForceIntraFrame).ok_or(Refused)?;
        // SAFETY: the object is alive and initialised. (Behind the table the method
        // has a second parameter, the layer of a simulcast; it is not looked at
        // unless there is one.)
        match unsafe { force(self.object.as_ptr(), true) } {
            0 => Ok(()),
            _ => Err(Refused),
        }
    }

    /// Another bit rate from the next picture on, at most the level's.
    ///
    /// # Errors
    /// When the library refuses it; the old one stays.
    pub fn set_bit_rate(&mut self, bit_rate_bps: u32) -> Result<(), Refused> {
        let mut info = sys::SBitrateInfo {
            iLayer: sys::SPATIAL_LAYER_ALL,
            iBitrate: c_int::try_from(bit_rate_bps).map_err(|_| Refused)?,
        };
        self.set_option(sys::ENCODER_OPTION_BITRATE, &mut info)
    }

    /// Another frame rate from the next picture on, 1 to 60 a second.
    ///
    /// # Errors
    /// When the library refuses it; the old one stays.
    pub fn set_frame_rate(&mut self, mut frame_rate_hz: f32) -> Result<(), Refused> {
        self.set_option(sys::ENCODER_OPTION_FRAME_RATE, &mut frame_rate_hz)
    }

    /// Callers pass the type that belongs to the option.
    fn set_option<T>(&mut self, option: sys::ENCODER_OPTION, value: &mut T) -> Result<(), Refused> {
        let set = method!(self.object, SetOption).ok_or(Refused)?;
        let value: *mut c_void = ptr::from_mut(value).cast();
        // SAFETY: the object is alive; the library reads a value of the option's type,
        // which the three callers in this file pass, and keeps no pointer to it.
        match unsafe { set(self.object.as_ptr(), option, value) } {
            0 => Ok(()),
            _ => Err(Refused),
        }
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: made by the library, not yet destroyed, and never used again.
        unsafe {
            if let Some(uninitialize) = (**self.object.as_ptr()).Uninitialize {
                uninitialize(self.object.as_ptr());
            }
            APILoader::WelsDestroySVCEncoder(self.object.as_ptr());
        }
    }
}
