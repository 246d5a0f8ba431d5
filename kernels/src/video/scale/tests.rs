use super::*;
use crate::cpu::{Feature, hide};
use crate::video::quality::psnr;
use crate::video::testing::Noise;
use crate::video::{Picture, Plane, Rect, Yuv};

/// Every way there is to scale on this machine, the specification first.
fn ways() -> Vec<(Level, &'static [Feature])> {
    let _all = hide(&[]);
    let mut ways: Vec<(Level, &[Feature])> =
        Level::granted().map(|level| (level, &[][..])).collect();
    if let Some(&(level @ Level::Avx512(_), _)) = ways.last() {
        ways.push((level, &[Feature::Vbmi]));
    }
    ways
}

fn scaled(level: Level, source: &Picture, to: (u32, u32)) -> Picture {
    let mut target = Picture::new(to.0, to.1);
    let mut scaler = Scaler::at(level, (source.width(), source.height()), to);
    scaler.scale(source.view(), target.view_mut());
    target
}

fn assert_same(a: &Picture, b: &Picture, what: &str) {
    for plane in Plane::ALL {
        let (a, b) = (a.plane(plane), b.plane(plane));
        for (y, (a, b)) in a.rows().zip(b.rows()).enumerate() {
            assert_eq!(a, b, "{what}, {plane:?}, row {y}");
        }
    }
}

fn every_way_agrees(noise: &mut Noise, from: (u32, u32), to: (u32, u32)) {
    let source = noise.picture(from.0, from.1);
    let wanted = scaled(Level::Scalar, &source, to);
    for (level, hidden) in ways() {
        let _hidden = hide(hidden);
        let what = format!("{from:?} to {to:?}, {level:?}, without {hidden:?}");
        assert_same(&scaled(level, &source, to), &wanted, &what);
    }
}

#[test]
fn every_way_agrees_with_the_scalar_on_small_pictures() {
    let mut noise = Noise::seeded(1);
    for from in [2, 3, 4, 5, 15, 16, 17, 31, 33, 64, 65, 130] {
        for to in [2, 3, 4, 7, 16, 32, 33, 47, 64, 65, 66, 129] {
            every_way_agrees(&mut noise, (from, 6), (to, 5));
            every_way_agrees(&mut noise, (66, from), (66, to));
        }
    }
}

#[test]
fn every_way_agrees_with_the_scalar_on_any_picture() {
    let mut noise = Noise::seeded(2);
    for _ in 0..80 {
        let mut side = || 2 + (noise.next() >> 32) as u32 % 400;
        let (from, to) = ((side(), side()), (side(), side()));
        every_way_agrees(&mut noise, from, to);
    }
    // Ratios at the edges of what a window holds, and whole ones.
    for (from, to) in [
        (511, 128),
        (512, 128),
        (513, 128),
        (383, 128),
        (256, 128),
        (640, 161),
    ] {
        every_way_agrees(&mut noise, (from, from / 2), (to, to / 2));
        every_way_agrees(&mut noise, (to, to / 2), (from, from / 2));
        every_way_agrees(&mut noise, (from + 1, 64), (to, 20));
    }
}

#[test]
fn every_ratio_has_a_table() {
    let _all = hide(&[]);
    for level in Level::granted().filter(|&level| level != Level::Scalar) {
        for source in (64..=2_100).step_by(53) {
            for target in (64..=1_300).step_by(97).filter(|&to| source < 4 * to) {
                for grid in [
                    Grid::centred(source, target),
                    Grid::co_sited(source, target),
                ] {
                    let axis = Axis::new(source as usize, target as usize, grid);
                    let columns = Columns::new(level, axis);
                    assert!(!columns.is_plain(), "{source} to {target}, {level:?}");
                }
            }
        }
    }
}

#[test]
fn what_is_flat_stays_flat() {
    for color in [
        Yuv { y: 0, u: 255, v: 1 },
        Yuv {
            y: 255,
            u: 0,
            v: 254,
        },
        Yuv::WHITE,
    ] {
        for (from, to) in [
            ((99, 77), (64, 130)),
            ((640, 360), (37, 19)),
            ((64, 64), (32, 32)),
        ] {
            let mut source = Picture::new(from.0, from.1);
            source.fill(color);
            let mut wanted = Picture::new(to.0, to.1);
            wanted.fill(color);
            assert_same(
                &scaled(Level::best(), &source, to),
                &wanted,
                &format!("{color:?}"),
            );
        }
    }
}

/// Left is right and top is bottom; chroma, which is sited to the left, has no
/// mirror image across.
#[test]
fn a_mirror_image_becomes_the_mirror_image() {
    let mut noise = Noise::seeded(3);
    let flipped = |picture: &Picture, plane: Plane, across: bool| -> Vec<Vec<u8>> {
        let rows = picture.plane(plane).rows().map(<[u8]>::to_vec);
        let mut rows: Vec<_> = rows.collect();
        if across {
            rows.iter_mut().for_each(|row| row.reverse());
        } else {
            rows.reverse();
        }
        rows
    };
    for (from, to) in [
        ((640, 360), (426, 240)),
        ((320, 180), (426, 240)),
        ((320, 180), (106, 60)),
        ((320, 180), (160, 90)),
        ((320, 180), (80, 46)),
        ((320, 180), (50, 30)),
    ] {
        let source = noise.picture(from.0, from.1);
        let plain = scaled(Level::best(), &source, to);
        for (across, planes) in [(true, &[Plane::Y][..]), (false, &Plane::ALL)] {
            let mut mirrored = source.clone();
            for &plane in planes {
                let rows = flipped(&source, plane, across);
                for (out, row) in mirrored.plane_mut(plane).rows_mut().zip(&rows) {
                    out.copy_from_slice(row);
                }
            }
            let mirrored = scaled(Level::best(), &mirrored, to);
            for &plane in planes {
                let wanted = flipped(&plain, plane, across);
                assert!(
                    mirrored.plane(plane).rows().eq(wanted.iter()),
                    "{from:?} {to:?}"
                );
            }
        }
    }
}

#[test]
fn scaled_by_one_is_the_same() {
    let mut noise = Noise::seeded(4);
    for (width, height) in [(2, 2), (65, 33), (426, 240)] {
        let source = noise.picture(width, height);
        let target = scaled(Level::best(), &source, (width, height));
        assert_same(&target, &source, "1:1");
    }
}

/// Parts of pictures into parts of pictures: neither looks beyond its edges.
#[test]
fn a_part_is_a_picture() {
    let mut noise = Noise::seeded(5);
    for (part, place) in [
        (Rect::new(2, 4, 101, 77), Rect::new(0, 6, 130, 90)),
        (Rect::new(28, 0, 130, 96), Rect::new(2, 2, 65, 48)),
        (Rect::new(0, 8, 90, 80), Rect::new(30, 0, 40, 30)),
    ] {
        let source = noise.picture(160, 100);
        let before = noise.picture(140, 100);
        let mut alone = Picture::new(part.width, part.height);
        let copied = source.crop(part).planes();
        for (mut to, from) in alone.planes_mut().into_iter().zip(copied) {
            for (to, from) in to.rows_mut().zip(from.rows()) {
                to.copy_from_slice(from);
            }
        }
        let wanted = scaled(Level::Scalar, &alone, (place.width, place.height));
        let mut target = before.clone();
        let sizes = [(part.width, part.height), (place.width, place.height)];
        Scaler::new(sizes[0], sizes[1]).scale(source.crop(part), target.crop_mut(place));
        let inside = target.crop(place);
        for plane in Plane::ALL {
            assert!(inside.plane(plane).rows().eq(wanted.plane(plane).rows()));
        }
        // Put back what was there, and nothing else has changed.
        for (mut to, from) in target
            .crop_mut(place)
            .planes_mut()
            .into_iter()
            .zip(before.crop(place).planes())
        {
            for (to, from) in to.rows_mut().zip(from.rows()) {
                to.copy_from_slice(from);
            }
        }
        assert_same(&target, &before, "around the part");
    }
}

/// A picture that is a function of where one looks, sited as it should be: waves,
/// `waves` of them across.
fn smooth(width: u32, height: u32, waves: f64) -> Picture {
    let mut picture = Picture::new(width, height);
    let wave = |x: f64, y: f64, turn: f64| {
        let phase = (x * waves * std::f64::consts::TAU + turn).sin() + (y * 4.0 - turn).cos();
        (128.0 + 50.0 * phase).round() as u8
    };
    for (turn, plane) in [(0.0, Plane::Y), (1.0, Plane::U), (2.0, Plane::V)] {
        for (y, row) in picture.plane_mut(plane).rows_mut().enumerate() {
            for (x, sample) in row.iter_mut().enumerate() {
                let (x, y) = (x as f64, y as f64);
                let (x, y) = if plane == Plane::Y {
                    (x + 0.5, y + 0.5)
                } else {
                    (2.0 * x + 0.5, 2.0 * y + 1.0)
                };
                *sample = wave(x / f64::from(width), y / f64::from(height), turn);
            }
        }
    }
    picture
}

/// A wave is twenty chroma samples long in the smaller picture, so that chroma a
/// quarter of a sample off its place is well below the bound.
#[test]
fn smooth_pictures_look_the_same_at_any_size() {
    for (from, to) in [
        ((640, 360), (320, 180)),
        ((640, 360), (160, 90)),
        ((640, 360), (426, 240)),
        ((640, 360), (214, 120)),
        ((640, 360), (70, 40)),
        ((320, 180), (640, 360)),
        ((320, 180), (500, 300)),
        ((320, 180), (320, 240)),
    ] {
        let waves = f64::from(from.0.min(to.0)) / 40.0;
        let target = scaled(Level::best(), &smooth(from.0, from.1, waves), to);
        let wanted = smooth(to.0, to.1, waves);
        for plane in Plane::ALL {
            let (got, wanted) = (target.plane(plane), wanted.plane(plane));
            let psnr = psnr(got, wanted);
            assert!(psnr > 49.0, "{from:?} to {to:?}, {plane:?}: {psnr:.1} dB");
        }
    }
}

#[test]
fn edges_do_not_run_over() {
    let mut source = Picture::new(128, 64);
    for (y, row) in source.plane_mut(Plane::Y).rows_mut().enumerate() {
        for (x, sample) in row.iter_mut().enumerate() {
            *sample = if (x / 16 + y / 16) % 2 == 0 { 255 } else { 0 };
        }
    }
    // Within the squares, the cubic would swing below 0 and above 255.
    let target = scaled(Level::best(), &source, (256, 128));
    let plane = target.plane(Plane::Y);
    for (y, row) in plane.rows().enumerate() {
        for (x, &sample) in row.iter().enumerate() {
            let inside = |at: usize| (2..30).contains(&(at % 32));
            if inside(x) && inside(y) {
                let wanted = if (x / 32 + y / 32) % 2 == 0 { 255 } else { 0 };
                assert_eq!(sample, wanted, "{x} {y}");
            }
        }
    }
}
