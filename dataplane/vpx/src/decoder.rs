//! One VP8 decoder: a frame in, at most one picture out.

use std::ffi::{c_int, c_uint};
use std::mem::MaybeUninit;
use std::{ptr, slice};

use vpx_sys as sys;
use vpx_sys::vpx_codec_err_t::VPX_CODEC_OK;

use crate::{Context, Plane, Refused};

/// The frame is damaged, or what it refers to is not there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Damaged;

/// A decoded picture in the library's own memory.
#[derive(Clone, Copy, Debug)]
pub struct Output<'a> {
    /// Samples in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Y, U and V; the latter two have half the width and height, rounded up.
    pub planes: [Plane<'a>; 3],
    /// It or what it refers to is damaged.
    pub corrupted: bool,
}

/// A decoder.
pub struct Decoder {
    context: Context,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Decoder")
    }
}

impl Decoder {
    /// A decoder at rest.
    ///
    /// # Errors
    /// When the library has no memory.
    pub fn new() -> Result<Self, Refused> {
        let config = sys::vpx_codec_dec_cfg {
            threads: 1,
            w: 0,
            h: 0,
        };
        let mut context = Box::new(MaybeUninit::uninit());
        // SAFETY: the library writes the whole context before anything else, and
        // copies the configuration; only a context that it initialised is taken as one.
        unsafe {
            let status = sys::vpx_codec_dec_init_ver(
                context.as_mut_ptr(),
                sys::vpx_codec_vp8_dx(),
                &raw const config,
                0,
                sys::VPX_DECODER_ABI_VERSION as c_int,
            );
            match status {
                VPX_CODEC_OK => Ok(Self {
                    context: Context(context.assume_init()),
                }),
                _ => Err(Refused),
            }
        }
    }

    /// Decodes one frame. `None` when it is not to be shown. The picture lasts until
    /// the next call.
    ///
    /// # Errors
    /// When there should have been a picture and there is none.
    pub fn decode(&mut self, frame: &[u8]) -> Result<Option<Output<'_>>, Damaged> {
        let len = c_uint::try_from(frame.len()).map_err(|_| Damaged)?;
        // SAFETY: the context is initialised; the library reads `len` bytes and keeps
        // none of them.
        let status = unsafe {
            sys::vpx_codec_decode(
                &raw mut *self.context.0,
                frame.as_ptr(),
                len,
                ptr::null_mut(),
                0,
            )
        };
        if status != VPX_CODEC_OK {
            return Err(Damaged);
        }
        let mut corrupted: c_int = 0;
        let mut iterator = ptr::null();
        // SAFETY: the context is initialised; the control writes an int, and the
        // iterator began as null. The image lasts until the context is called again.
        let image = unsafe {
            sys::vpx_codec_control_(
                &raw mut *self.context.0,
                sys::vp8_dec_control_id::VP8D_GET_FRAME_CORRUPTED as c_int,
                &raw mut corrupted,
            );
            sys::vpx_codec_get_frame(&raw mut *self.context.0, &raw mut iterator).as_ref()
        };
        let Some(image) = image else { return Ok(None) };
        let (width, height) = (image.d_w as usize, image.d_h as usize);
        if width == 0 || height == 0 || image.fmt != sys::vpx_img_fmt::VPX_IMG_FMT_I420 {
            return Err(Damaged);
        }
        let plane = |index: usize| {
            let (width, height) = match index {
                0 => (width, height),
                _ => (width.div_ceil(2), height.div_ceil(2)),
            };
            let stride = usize::try_from(image.stride[index]).map_err(|_| Damaged)?;
            if stride < width || image.planes[index].is_null() {
                return Err(Damaged);
            }
            let reach = (height - 1) * stride + width;
            // SAFETY: the library's frame buffers hold all rows of the size that it
            // tells, a stride apart. They stay until the next call, which the borrow
            // of `self` forbids for the life of the slice.
            let data = unsafe { slice::from_raw_parts(image.planes[index], reach) };
            Ok(Plane { data, stride })
        };
        Ok(Some(Output {
            width,
            height,
            planes: [plane(0)?, plane(1)?, plane(2)?],
            corrupted: corrupted != 0,
        }))
    }
}
