//! What it costs to scale a picture, ours beside libyuv's and swscale's in the same
//! run.
//!
//! ```sh
//! apt-get install libyuv-dev libswscale-dev
//! cargo run --release -p plenum-bench-video --features libyuv,swscale
//! ```
//!
//! Everybody scales the same noise, by turns, a round each, so that what else the
//! machine does meets all of them. Time is CPU time of the process; the figure is
//! the fastest round, in microseconds for a picture of three planes. All of a
//! picture stays in the caches between rounds, for everybody. Last, what a picture of
//! several panes costs, whose sources are more than the caches hold.

mod compose;
#[cfg(feature = "libyuv")]
mod libyuv;
mod plain;
#[cfg(feature = "swscale")]
mod swscale;

use std::io::{self, Write};

use compose::Grid;
use plenum_kernels::cpu::Level;
use plenum_kernels::video::Picture;
use plenum_kernels::video::scale::Scaler;
use rustix::time::{ClockId, clock_gettime};

/// Sizes that a conference scales between: a camera to panes, and to smaller
/// views; a small camera to a large pane.
const SIZES: [((u32, u32), (u32, u32)); 9] = [
    ((1_280, 720), (640, 360)),
    ((1_280, 720), (426, 240)),
    ((1_280, 720), (320, 180)),
    ((1_280, 720), (960, 540)),
    ((1_920, 1_080), (1_280, 720)),
    ((1_920, 1_080), (640, 360)),
    ((640, 360), (1_280, 720)),
    ((640, 360), (426, 240)),
    ((640, 360), (320, 180)),
];

/// Rounds of which the fastest counts.
const ROUNDS: usize = 200;

/// A way to scale one picture into another.
type Way<'a> = (String, Box<dyn FnMut(&Picture, &mut Picture) + 'a>);

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    for (from, to) in SIZES {
        let (source, mut target) = (noise(from), Picture::new(to.0, to.1));
        let mut ways: Vec<Way<'_>> = Level::granted()
            .map(|level| ours(level, from, to))
            .collect();
        #[cfg(feature = "libyuv")]
        ways.extend(libyuv::ways());
        #[cfg(feature = "swscale")]
        ways.extend(swscale::ways(from, to));
        writeln!(out, "{}x{} to {}x{}", from.0, from.1, to.0, to.1)?;
        race(
            &mut out,
            &mut ways,
            |(name, _)| name.clone(),
            |(_, scale)| {
                scale(&source, &mut target);
            },
        )?;
    }
    let name = |level: &Level| format!("ours, {}", level.name());
    for columns in [2, 3, 4] {
        writeln!(
            out,
            "{} panes of 1280x720 sources in 1280x720",
            columns * columns
        )?;
        let mut grids: Vec<_> = Level::granted()
            .filter(|&level| level != Level::Scalar)
            .map(|level| (level, Grid::new(level, columns)))
            .collect();
        race(
            &mut out,
            &mut grids,
            |(level, _)| name(level),
            |(_, grid)| grid.compose(),
        )?;
    }
    let mut levels: Vec<Level> = Level::granted().collect();
    for (what, mut run) in plain::kernels() {
        writeln!(out, "{what}, 1280x720")?;
        race(&mut out, &mut levels, name, |&mut level| run(level))?;
    }
    Ok(())
}

/// Runs everybody by turns and tells the fastest round of each.
fn race<T>(
    out: &mut impl Write,
    racers: &mut [T],
    name: impl Fn(&T) -> String,
    mut run: impl FnMut(&mut T),
) -> io::Result<()> {
    let mut fastest = vec![u64::MAX; racers.len()];
    for _ in 0..ROUNDS {
        for (racer, fastest) in racers.iter_mut().zip(&mut fastest) {
            let start = cpu_time_ns();
            run(racer);
            *fastest = cpu_time_ns().wrapping_sub(start).min(*fastest);
        }
    }
    for (racer, ns) in racers.iter().zip(fastest) {
        writeln!(out, "  {:<24}{:>8.1} us", name(racer), ns as f64 / 1e3)?;
    }
    Ok(())
}

fn ours<'a>(level: Level, from: (u32, u32), to: (u32, u32)) -> Way<'a> {
    let mut scaler = Scaler::at(level, from, to);
    (
        format!("ours, {}", level.name()),
        Box::new(move |source, target| scaler.scale(source.view(), target.view_mut())),
    )
}

/// CPU time of this process in nanoseconds.
fn cpu_time_ns() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// A picture in which nothing repeats.
fn noise((width, height): (u32, u32)) -> Picture {
    let mut picture = Picture::new(width, height);
    let mut state = 42_u32;
    for mut plane in picture.planes_mut() {
        for sample in plane.data() {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *sample = (state >> 24) as u8;
        }
    }
    picture
}
