//! Scaling and blending a picture allocate nothing, once what they need is made.
//! Without the test harness, for the counter is the process's and the harness has
//! threads.

use std::alloc::System;

use plenum_kernels::video::blend::{self, Mask, Overlay, Progress};
use plenum_kernels::video::scale::Scaler;
use plenum_kernels::video::{Picture, Plane, Rect, Yuv, activity, draw};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() {
    let source = Picture::new(640, 360);
    // Folds, halvings, both orders of axes, and nothing to do.
    for to in [
        (320, 180),
        (160, 90),
        (426, 240),
        (70, 40),
        (900, 500),
        (640, 360),
    ] {
        let (mut scaler, mut target) = (Scaler::new((640, 360), to), Picture::new(to.0, to.1));
        nothing(&format!("scale to {to:?}"), || {
            scaler.scale(source.view(), target.view_mut());
        });
    }
    let mut target = Picture::new(640, 360);
    let mask = Mask::new(source.plane(Plane::Y));
    let overlay = Overlay::from_rgba(&[9; 4 * 640 * 360], 640, 360);
    nothing("blend and draw", || {
        blend::color(target.view_mut(), &mask, Yuv::WHITE);
        blend::overlay(target.view_mut(), &overlay);
        blend::fade(
            target.view_mut(),
            source.view(),
            source.view(),
            Progress::new(9),
        );
        draw::border(target.view_mut(), 4, Yuv::BLACK);
        draw::copy(
            target.crop_mut(Rect::new(2, 2, 64, 64)),
            source.crop(Rect::new(0, 0, 64, 64)),
        );
        std::hint::black_box(activity::sad(
            target.plane(Plane::Y),
            source.plane(Plane::Y),
        ));
    });
    nothing("a smaller size and back", || {
        target.resize(320, 180);
        target.resize(640, 360);
    });
}

fn nothing(what: &str, mut run: impl FnMut()) {
    let region = Region::new(ALLOCATOR);
    run();
    let change = region.change();
    assert_eq!(
        change.allocations + change.reallocations,
        0,
        "{what}: {change:?}"
    );
}
