//! FFmpeg's `sws_scale`, with its bicubic and its area filter.

use std::ffi::{c_int, c_void};
use std::ptr::{null, null_mut};

use plenum_kernels::video::Picture;

use crate::Way;

const YUV420P: c_int = 0;
const BICUBIC: c_int = 4;
const AREA: c_int = 0x20;

#[link(name = "swscale")]
unsafe extern "C" {
    fn sws_getContext(
        src_width: c_int,
        src_height: c_int,
        src_format: c_int,
        dst_width: c_int,
        dst_height: c_int,
        dst_format: c_int,
        flags: c_int,
        src_filter: *mut c_void,
        dst_filter: *mut c_void,
        param: *const f64,
    ) -> *mut c_void;
    fn sws_scale(
        context: *mut c_void,
        src: *const *const u8,
        src_stride: *const c_int,
        first_row: c_int,
        rows: c_int,
        dst: *const *mut u8,
        dst_stride: *const c_int,
    ) -> c_int;
    fn sws_freeContext(context: *mut c_void);
}

struct Context(*mut c_void);

impl Context {
    fn new(from: (u32, u32), to: (u32, u32), filter: c_int) -> Self {
        let [from_width, from_height, to_width, to_height] =
            [from.0, from.1, to.0, to.1].map(|side| side as c_int);
        // SAFETY: no pointer but to filters and parameters, which may be null.
        let context = unsafe {
            sws_getContext(
                from_width,
                from_height,
                YUV420P,
                to_width,
                to_height,
                YUV420P,
                filter,
                null_mut(),
                null_mut(),
                null(),
            )
        };
        assert!(!context.is_null());
        Self(context)
    }

    fn scale(&mut self, source: &Picture, target: &mut Picture) {
        let rows = source.height() as c_int;
        let planes = source.planes();
        let from = planes.map(|plane| plane.data().as_ptr());
        let from_strides = planes.map(|plane| plane.stride() as c_int);
        let mut planes = target.planes_mut();
        let to_strides = [0, 1, 2].map(|plane: usize| planes[plane].stride() as c_int);
        let to = planes.each_mut().map(|plane| plane.data().as_mut_ptr());
        // SAFETY: `self` holds a live context for these sizes; the arrays have the three
        // entries that the format has, and outlive the call, as the planes do.
        unsafe {
            sws_scale(
                self.0,
                from.as_ptr(),
                from_strides.as_ptr(),
                0,
                rows,
                to.as_ptr(),
                to_strides.as_ptr(),
            );
        }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: `self` owns a live context, and nobody has it afterwards.
        unsafe { sws_freeContext(self.0) };
    }
}

pub(crate) fn ways<'a>(from: (u32, u32), to: (u32, u32)) -> [Way<'a>; 2] {
    [("swscale, bicubic", BICUBIC), ("swscale, area", AREA)].map(|(name, filter)| -> Way<'a> {
        let mut context = Context::new(from, to, filter);
        (
            name.to_owned(),
            Box::new(move |source, target| context.scale(source, target)),
        )
    })
}
