use super::*;
use crate::video::testing::Noise;
use crate::video::{Picture, Plane, Rect};

#[test]
fn every_level_agrees_with_the_scalar() {
    let mut noise = Noise::seeded(21);
    for len in (0..=257).chain([640, 1_283]) {
        let mut rows = [(); 3].map(|()| vec![0; len]);
        rows.iter_mut().for_each(|row| noise.samples(row));
        let [out, a, b] = rows;
        let (sample, progress) = (
            (noise.next() >> 56) as u8,
            (noise.next() >> 32) as u16 % 257,
        );
        for level in Level::granted() {
            let (mut fast, mut slow) = (out.clone(), out.clone());
            rows::at::color(level, &mut fast, &a, sample);
            rows::scalar::color(&mut slow, &a, sample);
            assert_eq!(fast, slow, "color, {level:?}, {len}");
            rows::at::overlay(level, &mut fast, &a, &b);
            rows::scalar::overlay(&mut slow, &a, &b);
            assert_eq!(fast, slow, "overlay, {level:?}, {len}");
            rows::at::fade(level, &mut fast, &a, &b, progress);
            rows::scalar::fade(&mut slow, &a, &b, progress);
            assert_eq!(fast, slow, "fade, {level:?}, {len}");
        }
    }
}

#[test]
fn division_is_rounded() {
    for sum in 0..=255 * 255 {
        let wanted = (f64::from(sum) / 255.0).round() as u8;
        assert_eq!(over_255(sum), wanted, "{sum}");
    }
}

#[test]
fn a_mask_takes_its_chroma_along() {
    // One covered luma sample counts for the chroma samples beside it.
    let mut coverage = [0; 7 * 5];
    coverage[7 + 3] = 255;
    coverage[4 * 7 + 6] = 255;
    let mask = Mask::new(PlaneRef::new(&coverage, 7, 7, 5));
    assert_eq!((mask.width(), mask.height()), (7, 5));
    let [luma, chroma, _] = mask.planes();
    assert!(luma.rows().flatten().eq(&coverage));
    assert_eq!(chroma.row(0), [0, 32, 32, 0]);
    assert_eq!(chroma.row(1), [0; 4]);
    // The corner: the last column is its own neighbour, the last row too.
    assert_eq!(chroma.row(2), [0, 0, 0, 191]);
}

#[test]
fn all_and_nothing_are_exact() {
    let mut noise = Noise::seeded(22);
    let before = noise.picture(37, 21);
    let red = Yuv::from_rgb(255, 0, 0);
    for (coverage, changed) in [(0, false), (255, true)] {
        let plane = vec![coverage; 37 * 21];
        let mask = Mask::new(PlaneRef::new(&plane, 37, 37, 21));
        let mut masked = before.clone();
        color(masked.view_mut(), &mask, red);
        let rgba: Vec<u8> = [255, 0, 0, coverage].repeat(37 * 21);
        let mut overlaid = before.clone();
        overlay(overlaid.view_mut(), &Overlay::from_rgba(&rgba, 37, 21));
        let mut filled = before.clone();
        if changed {
            filled.fill(red);
        }
        for plane in Plane::ALL {
            assert!(masked.plane(plane).rows().eq(filled.plane(plane).rows()));
            assert!(overlaid.plane(plane).rows().eq(filled.plane(plane).rows()));
        }
    }
}

#[test]
fn an_overlay_of_one_colour_is_a_mask() {
    let mut noise = Noise::seeded(23);
    let before = noise.picture(60, 40);
    let mut coverage = vec![0; 33 * 17];
    noise.samples(&mut coverage);
    let blue = [20, 90, 200];
    let rgba: Vec<u8> = coverage
        .iter()
        .flat_map(|&a| [blue[0], blue[1], blue[2], a])
        .collect();
    let part = Rect::new(8, 14, 33, 17);
    let (mut masked, mut overlaid) = (before.clone(), before.clone());
    let mask = Mask::new(PlaneRef::new(&coverage, 33, 33, 17));
    color(
        masked.crop_mut(part),
        &mask,
        Yuv::from_rgb(blue[0], blue[1], blue[2]),
    );
    overlay(overlaid.crop_mut(part), &Overlay::from_rgba(&rgba, 33, 17));
    for plane in Plane::ALL {
        let pairs = masked.plane(plane).rows().zip(overlaid.plane(plane).rows());
        for (a, b) in pairs.flat_map(|(a, b)| a.iter().zip(b)) {
            assert!(a.abs_diff(*b) <= 1, "{plane:?} {a} {b}");
        }
    }
    draw_back(&mut masked, &before, part);
    for plane in Plane::ALL {
        assert!(masked.plane(plane).rows().eq(before.plane(plane).rows()));
    }
}

fn draw_back(picture: &mut Picture, before: &Picture, part: Rect) {
    crate::video::draw::copy(picture.crop_mut(part), before.crop(part));
}

/// What is invisible has no colour: it does not bleed into what is beside it.
#[test]
fn transparent_pixels_do_not_colour_their_neighbours() {
    let rgba = [
        [0, 255, 0, 0],
        [0, 255, 0, 0],
        [255, 0, 0, 255],
        [255, 0, 0, 255],
    ]
    .concat();
    let mut picture = Picture::new(4, 2);
    picture.fill(Yuv::from_rgb(255, 0, 0));
    let before = picture.clone();
    let twice = [rgba.clone(), rgba].concat();
    overlay(picture.view_mut(), &Overlay::from_rgba(&twice, 4, 2));
    for plane in Plane::ALL {
        let pairs = picture.plane(plane).rows().zip(before.plane(plane).rows());
        for (a, b) in pairs.flat_map(|(a, b)| a.iter().zip(b)) {
            assert!(a.abs_diff(*b) <= 1, "{plane:?} {a} {b}");
        }
    }
}

#[test]
fn a_fade_begins_and_ends_where_it_should() {
    let mut noise = Noise::seeded(24);
    let (from, to) = (noise.picture(35, 18), noise.picture(35, 18));
    let mut target = Picture::new(35, 18);
    for (done, wanted) in [(0, &from), (256, &to), (999, &to)] {
        fade(
            target.view_mut(),
            from.view(),
            to.view(),
            Progress::new(done),
        );
        for plane in Plane::ALL {
            assert!(target.plane(plane).rows().eq(wanted.plane(plane).rows()));
        }
    }
    fade(target.view_mut(), from.view(), to.view(), Progress::new(64));
    let (a, b) = (from.plane(Plane::V).row(7)[9], to.plane(Plane::V).row(7)[9]);
    let wanted = (f64::from(a) * 0.75 + f64::from(b) * 0.25 + 1e-9).round() as u8;
    assert_eq!(target.plane(Plane::V).row(7)[9], wanted);
}
