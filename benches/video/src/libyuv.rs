//! libyuv's `I420Scale`, which has three filters.

use std::ffi::c_int;

use plenum_kernels::video::Picture;

use crate::Way;

const BILINEAR: c_int = 2;
const BOX: c_int = 3;

#[link(name = "yuv")]
unsafe extern "C" {
    fn I420Scale(
        src_y: *const u8,
        src_stride_y: c_int,
        src_u: *const u8,
        src_stride_u: c_int,
        src_v: *const u8,
        src_stride_v: c_int,
        src_width: c_int,
        src_height: c_int,
        dst_y: *mut u8,
        dst_stride_y: c_int,
        dst_u: *mut u8,
        dst_stride_u: c_int,
        dst_v: *mut u8,
        dst_stride_v: c_int,
        dst_width: c_int,
        dst_height: c_int,
        filtering: c_int,
    ) -> c_int;
}

pub(crate) fn ways<'a>() -> [Way<'a>; 2] {
    [("libyuv, bilinear", BILINEAR), ("libyuv, box", BOX)].map(|(name, filter)| -> Way<'a> {
        (
            name.to_owned(),
            Box::new(move |source, target| scale(source, target, filter)),
        )
    })
}

fn scale(source: &Picture, target: &mut Picture, filter: c_int) {
    let [y, u, v] = source.planes();
    let (width, height) = (target.width() as c_int, target.height() as c_int);
    let [mut to_y, mut to_u, mut to_v] = target.planes_mut();
    let strides = [to_y.stride(), to_u.stride(), to_v.stride()].map(|stride| stride as c_int);
    // SAFETY: each plane is given with its own stride, and has the rows and columns
    // that I420 of the size given with it has.
    let error = unsafe {
        I420Scale(
            y.data().as_ptr(),
            y.stride() as c_int,
            u.data().as_ptr(),
            u.stride() as c_int,
            v.data().as_ptr(),
            v.stride() as c_int,
            source.width() as c_int,
            source.height() as c_int,
            to_y.data().as_mut_ptr(),
            strides[0],
            to_u.data().as_mut_ptr(),
            strides[1],
            to_v.data().as_mut_ptr(),
            strides[2],
            width,
            height,
            filter,
        )
    };
    assert_eq!(error, 0);
}
