//! One decoder: an access unit in, at most one picture out, one thread.

use std::ffi::{c_int, c_uint};
use std::ptr::{self, NonNull};
use std::slice;

use openh264_sys2 as sys;
use openh264_sys2::source::APILoader;

use crate::{Plane, Refused, method};

/// An access unit delimiter, which may stand before any picture.
const DELIMITER: [u8; 6] = [0, 0, 0, 1, 0x09, 0xf0];

/// The library's functions that decode.
type DecodeFn = unsafe extern "C" fn(
    *mut sys::ISVCDecoder,
    *const u8,
    c_int,
    *mut *mut u8,
    *mut sys::SBufferInfo,
) -> sys::DECODING_STATE;

/// Why an access unit gave no picture.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Failure {
    /// The bitstream is damaged, or its parameter sets or references are not there.
    Bitstream,
    /// The library has no memory, or is beside itself: make another decoder.
    Library,
}

/// What an access unit came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Nothing to show.
    Nothing,
    /// A picture.
    Picture,
    /// A picture in which, or in what it refers to, something was made up.
    Concealed,
}

/// A decoded picture in the library's own memory.
#[derive(Clone, Copy, Debug)]
pub struct Output<'a> {
    /// Samples in a row; even.
    pub width: usize,
    /// Rows; even.
    pub height: usize,
    /// Y, U and V; the latter two have half the width and height.
    pub planes: [Plane<'a>; 3],
}

/// A decoder.
pub struct Decoder {
    object: NonNull<sys::ISVCDecoder>,
    /// Set only by the call that was the last one.
    shown: Option<Shown>,
}

// SAFETY: the object keeps no thread-local state and starts no thread (none is asked
// for); `&mut self` on every call keeps two threads from calling at once, and the
// pointers in `shown` go into memory that is the object's own.
unsafe impl Send for Decoder {}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Decoder")
    }
}

impl Decoder {
    /// A decoder at rest, which makes up what is missing of a picture.
    ///
    /// # Errors
    /// When the library has no memory.
    pub fn new() -> Result<Self, Refused> {
        let mut object = ptr::null_mut();
        // SAFETY: the library writes one pointer to where it is told to.
        let status = unsafe { APILoader::WelsCreateDecoder(&raw mut object) };
        let object = NonNull::new(object)
            .filter(|_| status == 0)
            .ok_or(Refused)?;
        let decoder = Self {
            object,
            shown: None,
        };
        let set = method!(decoder.object, SetOption).ok_or(Refused)?;
        let mut quiet = sys::WELS_LOG_QUIET as c_int;
        // SAFETY: the object is alive; the option's value is an int, and the library
        // keeps no pointer to it.
        unsafe {
            set(
                decoder.object.as_ptr(),
                sys::DECODER_OPTION_TRACE_LEVEL,
                (&raw mut quiet).cast(),
            );
        }
        let params = sys::SDecodingParam {
            eEcActiveIdc: sys::ERROR_CON_SLICE_MV_COPY_CROSS_IDR_FREEZE_RES_CHANGE,
            sVideoProperty: sys::SVideoProperty {
                size: size_of::<sys::SVideoProperty>() as c_uint,
                eVideoBsType: sys::VIDEO_BITSTREAM_AVC,
            },
            ..Default::default()
        };
        let initialize = method!(decoder.object, Initialize).ok_or(Refused)?;
        // SAFETY: the object is alive; the library copies the parameters.
        match unsafe { initialize(decoder.object.as_ptr(), &raw const params) } {
            0 => Ok(decoder),
            _ => Err(Refused),
        }
    }

    /// Decodes one access unit, a byte stream with start codes.
    ///
    /// # Errors
    /// When there should have been a picture and there is none.
    pub fn decode(&mut self, access_unit: &[u8]) -> Result<Outcome, Failure> {
        self.shown = None;
        let decode = method!(self.object, DecodeFrameNoDelay).ok_or(Failure::Library)?;
        let mut answer = self.call(decode, access_unit)?;
        let mut concealed = answer.state != sys::dsErrorFree;
        if answer.info.iBufferStatus != 1 {
            // What is missing of a picture is made up only when the next one begins,
            // and the picture is then lost in what that shows. So let one begin.
            let decode = method!(self.object, DecodeFrame2).ok_or(Failure::Library)?;
            let state = answer.state;
            answer = self.call(decode, &DELIMITER)?;
            if answer.info.iBufferStatus != 1 {
                return if state == sys::dsErrorFree {
                    Ok(Outcome::Nothing)
                } else {
                    Err(Failure::Bitstream)
                };
            }
            concealed = true;
        }
        self.shown = Some(answer.shown()?);
        Ok(if concealed {
            Outcome::Concealed
        } else {
            Outcome::Picture
        })
    }

    /// What the last call of [`Self::decode`] made; `None` if that was no picture.
    #[must_use]
    pub fn picture(&self) -> Option<Output<'_>> {
        let shown = self.shown.as_ref()?;
        let (width, height) = (shown.width, shown.height);
        let plane = |index: usize| {
            let (stride, width, height) = match index {
                0 => (shown.strides[0], width, height),
                _ => (shown.strides[1], width / 2, height / 2),
            };
            let reach = (height - 1) * stride + width;
            // SAFETY: the library said that this plane's rows begin there, a stride
            // apart, and its picture buffers are allocated for all of them. It touches
            // them only when it is called, which the borrow of `self` forbids for the
            // life of the slice, and what an earlier call showed is forgotten before
            // the next one.
            let data = unsafe { slice::from_raw_parts(shown.planes[index], reach) };
            Plane { data, stride }
        };
        Some(Output {
            width,
            height,
            planes: [plane(0), plane(1), plane(2)],
        })
    }

    /// Calls one of the library's functions to decode.
    fn call(&mut self, decode: DecodeFn, bytes: &[u8]) -> Result<Answer, Failure> {
        let len = c_int::try_from(bytes.len()).map_err(|_| Failure::Bitstream)?;
        let mut answer = Answer {
            state: sys::dsErrorFree,
            planes: [ptr::null_mut(); 3],
            info: sys::SBufferInfo::default(),
        };
        // SAFETY: the object is alive and initialised; the library reads `len` bytes,
        // copies them, and writes three pointers and `info`.
        answer.state = unsafe {
            decode(
                self.object.as_ptr(),
                bytes.as_ptr(),
                len,
                answer.planes.as_mut_ptr(),
                &raw mut answer.info,
            )
        };
        let fatal = sys::dsOutOfMemory | sys::dsInitialOptExpected | sys::dsInvalidArgument;
        if answer.state & fatal != 0 {
            return Err(Failure::Library);
        }
        Ok(answer)
    }
}

/// What the library says.
struct Answer {
    state: sys::DECODING_STATE,
    planes: [*mut u8; 3],
    info: sys::SBufferInfo,
}

/// Where the library has a picture: rows that are all there, a stride apart.
struct Shown {
    width: usize,
    height: usize,
    planes: [*const u8; 3],
    /// Of Y, and of both others.
    strides: [usize; 2],
}

impl Answer {
    /// The picture, when it is one.
    fn shown(&self) -> Result<Shown, Failure> {
        // SAFETY: the union has one member, and any bytes are a valid one.
        let buffer = unsafe { self.info.UsrData.sSystemBuffer };
        let size = |value: c_int| usize::try_from(value).map_err(|_| Failure::Library);
        let (width, height) = (size(buffer.iWidth)?, size(buffer.iHeight)?);
        let strides = [size(buffer.iStride[0])?, size(buffer.iStride[1])?];
        let is_even = width % 2 == 0 && height % 2 == 0;
        let absent = self.planes.iter().any(|plane| plane.is_null());
        if absent
            || !is_even
            || width == 0
            || height == 0
            || strides[0] < width
            || strides[1] < width / 2
        {
            return Err(Failure::Library);
        }
        Ok(Shown {
            width,
            height,
            planes: self.planes.map(<*mut u8>::cast_const),
            strides,
        })
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: made by the library, not yet destroyed, and never used again.
        unsafe {
            if let Some(uninitialize) = (**self.object.as_ptr()).Uninitialize {
                uninitialize(self.object.as_ptr());
            }
            APILoader::WelsDestroyDecoder(self.object.as_ptr());
        }
    }
}
