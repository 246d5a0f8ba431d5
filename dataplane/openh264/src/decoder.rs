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

/// A decoded picture in the library's own memory.
#[derive(Clone, Copy, Debug)]
pub struct Output<'a> {
    /// Samples in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Y, U and V; the latter two have half the width and height.
    pub planes: [Plane<'a>; 3],
    /// Something in it or in what it refers to was made up.
    pub concealed: bool,
}

/// A decoder.
pub struct Decoder {
    object: NonNull<sys::ISVCDecoder>,
}

// SAFETY: the object keeps no thread-local state and starts no thread (none is asked
// for); `&mut self` on every call keeps two threads from calling at once.
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
        let decoder = Self { object };
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

    /// Decodes one access unit, a byte stream with start codes. `None` when it has
    /// nothing to show. The picture lasts until the next call.
    ///
    /// # Errors
    /// When there should have been a picture and there is none.
    pub fn decode(&mut self, access_unit: &[u8]) -> Result<Option<Output<'_>>, Failure> {
        let decode = method!(self.object, DecodeFrameNoDelay).ok_or(Failure::Library)?;
        let mut shown = self.call(decode, access_unit)?;
        let mut concealed = shown.state != sys::dsErrorFree;
        if shown.info.iBufferStatus != 1 {
            // What is missing of a picture is made up only when the next one begins,
            // and the picture is then lost in what that shows. So let one begin.
            let decode = method!(self.object, DecodeFrame2).ok_or(Failure::Library)?;
            let state = shown.state;
            shown = self.call(decode, &DELIMITER)?;
            if shown.info.iBufferStatus != 1 {
                return if state == sys::dsErrorFree {
                    Ok(None)
                } else {
                    Err(Failure::Bitstream)
                };
            }
            concealed = true;
        }
        shown.output(concealed).map(Some)
    }

    /// Calls one of the library's functions to decode.
    fn call(&mut self, decode: DecodeFn, bytes: &[u8]) -> Result<Shown, Failure> {
        let len = c_int::try_from(bytes.len()).map_err(|_| Failure::Bitstream)?;
        let mut shown = Shown {
            state: sys::dsErrorFree,
            planes: [ptr::null_mut(); 3],
            info: sys::SBufferInfo::default(),
        };
        // SAFETY: the object is alive and initialised; the library reads `len` bytes,
        // copies them, and writes three pointers and `info`.
        shown.state = unsafe {
            decode(
                self.object.as_ptr(),
                bytes.as_ptr(),
                len,
                shown.planes.as_mut_ptr(),
                &raw mut shown.info,
            )
        };
        let fatal = sys::dsOutOfMemory | sys::dsInitialOptExpected | sys::dsInvalidArgument;
        if shown.state & fatal != 0 {
            return Err(Failure::Library);
        }
        Ok(shown)
    }
}

/// What the library says that it shows.
struct Shown {
    state: sys::DECODING_STATE,
    planes: [*mut u8; 3],
    info: sys::SBufferInfo,
}

impl Shown {
    /// The picture, for as long as the caller borrows the decoder.
    fn output<'a>(&self, concealed: bool) -> Result<Output<'a>, Failure> {
        // SAFETY: the union has one member, and any bytes are a valid one.
        let buffer = unsafe { self.info.UsrData.sSystemBuffer };
        let size = |value: c_int| usize::try_from(value).map_err(|_| Failure::Library);
        let (width, height) = (size(buffer.iWidth)?, size(buffer.iHeight)?);
        let strides = [size(buffer.iStride[0])?, size(buffer.iStride[1])?];
        let absent = self.planes.iter().any(|plane| plane.is_null());
        if absent || width < 2 || height < 2 || strides[0] < width || strides[1] < width / 2 {
            return Err(Failure::Library);
        }
        let plane = |index: usize| {
            let (stride, width, height) = match index {
                0 => (strides[0], width, height),
                _ => (strides[1], width / 2, height / 2),
            };
            let reach = (height - 1) * stride + width;
            // SAFETY: the library says that this plane's rows begin there, a stride
            // apart, and its picture buffers are allocated for all of them. They
            // stay until the next call, which the borrow of the decoder that
            // `Decoder::decode` ties the result to forbids.
            let data = unsafe { slice::from_raw_parts(self.planes[index], reach) };
            Plane { data, stride }
        };
        Ok(Output {
            width,
            height,
            planes: [plane(0), plane(1), plane(2)],
            concealed,
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
