//! The picture kernels, the baseline beside every level that is granted.
//!
//! Pictures are 1280x720 unless the name says otherwise. Each level's answer is
//! checked before it is timed. Beside other libraries: `benches/video`.
//! `cargo bench -p plenum-kernels --bench video`

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use plenum_kernels::cpu::Level;
use plenum_kernels::video::scale::Scaler;
use plenum_kernels::video::{Picture, Plane, activity, blend, convert};

const WIDTH: usize = 1_280;
const HEIGHT: usize = 720;

/// Bytes in which nothing repeats.
fn noise(seed: u32, out: &mut [u8]) {
    let mut state = seed;
    for byte in out {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = (state >> 24) as u8;
    }
}

fn picture(seed: u32, (width, height): (u32, u32)) -> Picture {
    let mut picture = Picture::new(width, height);
    for (seed, mut plane) in (seed..).zip(picture.planes_mut()) {
        noise(seed, plane.data());
    }
    picture
}

/// A picture that can be compared.
#[derive(Clone, Debug)]
struct Shown(Picture);

impl PartialEq for Shown {
    fn eq(&self, other: &Self) -> bool {
        let mut planes = Plane::ALL.into_iter();
        planes.all(|plane| self.0.plane(plane).rows().eq(other.0.plane(plane).rows()))
    }
}

/// Times `run` at each level over `samples` luma samples; what it leaves in `out` at
/// the baseline is the right answer.
fn compare<T: Clone + PartialEq + std::fmt::Debug>(
    criterion: &mut Criterion,
    name: &str,
    samples: usize,
    mut out: T,
    mut run: impl FnMut(Level, &mut T),
) {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(samples as u64));
    let fresh = out.clone();
    let mut wanted = fresh.clone();
    run(Level::Scalar, &mut wanted);
    for level in Level::granted() {
        let mut answer = fresh.clone();
        run(level, &mut answer);
        assert!(answer == wanted, "{name} at {}", level.name());
        group.bench_function(BenchmarkId::from_parameter(level.name()), |bencher| {
            bencher.iter(|| run(level, black_box(&mut out)));
        });
    }
    group.finish();
}

fn scaling(criterion: &mut Criterion) {
    for (from, to) in [
        ((1_280, 720), (640, 360)),
        ((1_280, 720), (426, 240)),
        ((1_280, 720), (320, 180)),
        ((1_920, 1_080), (1_280, 720)),
        ((1_920, 1_080), (640, 360)),
        ((640, 360), (1_280, 720)),
    ] {
        let (source, target) = (picture(1, from), Shown(Picture::new(to.0, to.1)));
        let mut scalers: Vec<_> = Level::granted()
            .map(|level| (level, Scaler::at(level, from, to)))
            .collect();
        let name = format!("scale {}x{} to {}x{}", from.0, from.1, to.0, to.1);
        let samples = (to.0 * to.1) as usize;
        compare(criterion, &name, samples, target, |level, target| {
            let scaler = scalers.iter_mut().find(|(at, _)| *at == level);
            let (_, scaler) = scaler.expect("a scaler for each level");
            scaler.scale(source.view(), target.0.view_mut());
        });
    }
}

fn blending(criterion: &mut Criterion) {
    let samples = WIDTH * HEIGHT;
    let (mut a, mut b) = (vec![0; samples], vec![0; samples]);
    noise(1, &mut a);
    noise(2, &mut b);
    let (a, b) = (black_box(a.as_slice()), black_box(b.as_slice()));
    let rows = || a.chunks_exact(WIDTH).zip(b.chunks_exact(WIDTH));
    let plane = || vec![0; samples];
    let c = criterion;
    compare(c, "fade", samples, plane(), |level, out| {
        for (out, (a, b)) in out.chunks_exact_mut(WIDTH).zip(rows()) {
            blend::rows::at::fade(level, out, a, b, black_box(100));
        }
    });
    compare(c, "color through a mask", samples, plane(), |level, out| {
        for (out, (_, mask)) in out.chunks_exact_mut(WIDTH).zip(rows()) {
            blend::rows::at::color(level, out, mask, black_box(235));
        }
    });
    compare(c, "overlay", samples, plane(), |level, out| {
        for (out, (covered, mask)) in out.chunks_exact_mut(WIDTH).zip(rows()) {
            blend::rows::at::overlay(level, out, mask, covered);
        }
    });
    compare(c, "sad", samples, 0, |level, out| {
        *out = rows()
            .map(|(a, b)| u64::from(activity::rows::at::sad(level, a, b)))
            .sum();
    });
    compare(c, "sum", samples, 0, |level, out| {
        *out = rows()
            .map(|(a, _)| u64::from(activity::rows::at::sum(level, a)))
            .sum();
    });
    compare(c, "squares", samples, 0, |level, out| {
        *out = rows()
            .map(|(a, _)| u64::from(activity::rows::at::squares(level, a)))
            .sum();
    });
}

fn converting(criterion: &mut Criterion) {
    let samples = WIDTH * HEIGHT;
    let mut rgba = vec![0; 4 * samples];
    noise(1, &mut rgba);
    let rows = || rgba.chunks_exact(4 * WIDTH);
    let chroma = || (vec![0; samples / 4], vec![0; samples / 4]);
    let c = criterion;
    compare(
        c,
        "luma of RGBA",
        samples,
        vec![0; samples],
        |level, out| {
            for (out, row) in out.chunks_exact_mut(WIDTH).zip(rows()) {
                convert::rows::at::luma_of_rgba(level, out, row);
            }
        },
    );
    compare(c, "chroma of RGBA", samples, chroma(), |level, (u, v)| {
        let out = u
            .chunks_exact_mut(WIDTH / 2)
            .zip(v.chunks_exact_mut(WIDTH / 2));
        for ((u, v), two) in out.zip(rgba.chunks_exact(8 * WIDTH)) {
            let (above, below) = two.split_at(4 * WIDTH);
            convert::rows::at::chroma_of_rgba(level, u, v, above, below);
        }
    });
    compare(
        c,
        "RGBA of YUV",
        samples,
        vec![0; 4 * samples],
        |level, out| {
            for (out, row) in out.chunks_exact_mut(4 * WIDTH).zip(rows()) {
                let (y, u, v) = (&row[..WIDTH], &row[WIDTH..][..WIDTH / 2], &row[2 * WIDTH..]);
                convert::rows::at::rgba_of_yuv(level, out, y, u, &v[..WIDTH / 2]);
            }
        },
    );
    compare(c, "U and V of NV12", samples, chroma(), |level, (u, v)| {
        let out = u
            .chunks_exact_mut(WIDTH / 2)
            .zip(v.chunks_exact_mut(WIDTH / 2));
        for ((u, v), uv) in out.zip(rgba.chunks_exact(WIDTH)) {
            convert::rows::at::part(level, u, v, uv);
        }
    });
}

fn short() -> Criterion {
    Criterion::default()
        .warm_up_time(std::time::Duration::from_millis(100))
        .measurement_time(std::time::Duration::from_millis(400))
        .sample_size(30)
}

criterion_group! { name = video; config = short(); targets = scaling, blending, converting }
criterion_main!(video);
