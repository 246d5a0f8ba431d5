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

/// What a frame came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Nothing to show.
    Nothing,
    /// A picture.
    Picture,
    /// A picture that is damaged, or refers to one that is.
    Corrupted,
}

/// A decoded picture in the library's own memory.
#[derive(Clone, Copy, Debug)]
pub struct Output<'a> {
    /// Samples in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Y, U and V; the latter two have half the width and height, rounded up.
    pub planes: [Plane<'a>; 3],
}

/// A decoder.
pub struct Decoder {
    context: Context,
    /// Set only by the call that was the last one.
    shown: Option<Shown>,
}

/// Where the library has a picture: rows that are all there, a stride apart.
struct Shown {
    width: usize,
    height: usize,
    /// Y, U and V, with their strides.
    planes: [(*const u8, usize); 3],
}

// SAFETY: the pointers in `shown` go into memory that is the context's own, which may
// go to another thread.
unsafe impl Send for Decoder {}

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
                    shown: None,
                }),
                _ => Err(Refused),
            }
        }
    }

    /// Decodes one frame.
    ///
    /// # Errors
    /// When there should have been a picture and there is none.
    pub fn decode(&mut self, frame: &[u8]) -> Result<Outcome, Damaged> {
        self.shown = None;
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
        let Some(image) = image else {
            return Ok(Outcome::Nothing);
        };
        let (width, height) = (image.d_w as usize, image.d_h as usize);
        if width == 0 || height == 0 || image.fmt != sys::vpx_img_fmt::VPX_IMG_FMT_I420 {
            return Err(Damaged);
        }
        let plane = |index: usize| {
            let width = if index == 0 { width } else { width.div_ceil(2) };
            let stride = usize::try_from(image.stride[index]).map_err(|_| Damaged)?;
            if stride < width || image.planes[index].is_null() {
                return Err(Damaged);
            }
            Ok((image.planes[index].cast_const(), stride))
        };
        self.shown = Some(Shown {
            width,
            height,
            planes: [plane(0)?, plane(1)?, plane(2)?],
        });
        Ok(match corrupted {
            0 => Outcome::Picture,
            _ => Outcome::Corrupted,
        })
    }

    /// What the last call of [`Self::decode`] made; `None` if that was no picture.
    #[must_use]
    pub fn picture(&self) -> Option<Output<'_>> {
        let shown = self.shown.as_ref()?;
        let (width, height) = (shown.width, shown.height);
        let plane = |index: usize| {
            let (width, height) = match index {
                0 => (width, height),
                _ => (width.div_ceil(2), height.div_ceil(2)),
            };
            let (rows, stride) = shown.planes[index];
            let reach = (height - 1) * stride + width;
            // SAFETY: the library's frame buffers hold all rows of the size that it
            // told, a stride apart. It touches them only when it is called, which the
            // borrow of `self` forbids for the life of the slice, and what an earlier
            // call showed is forgotten before the next one.
            let data = unsafe { slice::from_raw_parts(rows, reach) };
            Plane { data, stride }
        };
        Some(Output {
            width,
            height,
            planes: [plane(0), plane(1), plane(2)],
        })
    }
}
