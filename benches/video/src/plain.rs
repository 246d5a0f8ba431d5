//! The kernels that are one source recompiled, over one plane of 1280x720 samples or
//! what a picture of that size has of it.

use std::hint::black_box;

use plenum_kernels::cpu::Level;
use plenum_kernels::video::{Plane, activity, blend, convert};

const WIDTH: usize = 1_280;
const HEIGHT: usize = 720;

/// What is measured, and how to run it at a level.
type Kernel = (&'static str, Box<dyn FnMut(Level)>);

pub(crate) fn kernels() -> Vec<Kernel> {
    let plane = || {
        let picture = crate::noise((WIDTH as u32, HEIGHT as u32));
        let rows = picture.plane(Plane::Y);
        rows.rows().flatten().copied().collect::<Vec<u8>>()
    };
    let each = |run: fn(Level, &mut [u8], &[u8], &[u8])| -> Box<dyn FnMut(Level)> {
        let (mut out, a, b) = (plane(), plane(), plane());
        Box::new(move |level| {
            let sources = a.chunks_exact(WIDTH).zip(b.chunks_exact(WIDTH));
            for (out, (a, b)) in out.chunks_exact_mut(WIDTH).zip(sources) {
                run(level, black_box(out), a, b);
            }
        })
    };
    let (rgba, mut pixels) = (plane().repeat(4), vec![0; 4 * WIDTH * HEIGHT]);
    let (mut luma, mut u, mut v) = (vec![0; WIDTH], vec![0; WIDTH / 2], vec![0; WIDTH / 2]);
    let source = plane();
    vec![
        ("copy", each(|_, out, a, _| out.copy_from_slice(a))),
        (
            "fade",
            each(|level, out, a, b| blend::rows::at::fade(level, out, a, b, 100)),
        ),
        (
            "color through a mask",
            each(|level, out, a, _| blend::rows::at::color(level, out, a, 235)),
        ),
        ("overlay", each(blend::rows::at::overlay)),
        (
            "sad",
            each(|level, _, a, b| {
                black_box(activity::rows::at::sad(level, a, b));
            }),
        ),
        (
            "sum and squares",
            each(|level, _, a, _| {
                black_box(activity::rows::at::sum(level, a));
                black_box(activity::rows::at::squares(level, a));
            }),
        ),
        (
            "RGBA to I420",
            Box::new(move |level| {
                for two in rgba.chunks_exact(8 * WIDTH) {
                    let (above, below) = two.split_at(4 * WIDTH);
                    convert::rows::at::luma_of_rgba(level, black_box(&mut luma), above);
                    convert::rows::at::luma_of_rgba(level, black_box(&mut luma), below);
                    convert::rows::at::chroma_of_rgba(
                        level,
                        &mut u,
                        black_box(&mut v),
                        above,
                        below,
                    );
                }
            }),
        ),
        (
            "I420 to RGBA",
            Box::new(move |level| {
                for (out, y) in pixels
                    .chunks_exact_mut(4 * WIDTH)
                    .zip(source.chunks_exact(WIDTH))
                {
                    let (u, v) = y.split_at(WIDTH / 2);
                    convert::rows::at::rgba_of_yuv(level, black_box(out), y, u, v);
                }
            }),
        ),
    ]
}
