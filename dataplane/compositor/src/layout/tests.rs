use super::*;

const SIZES: [(u32, u32); 8] = [
    (320, 180),
    (480, 270),
    (640, 360),
    (960, 540),
    (1280, 720),
    (1920, 1080),
    (352, 288),
    (720, 1280),
];

fn overlap(a: Rect, b: Rect) -> bool {
    a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height
}

#[test]
fn the_number_of_panes_is_what_the_layout_is_called() {
    let panes = |layout, count| Shape::of(layout, count).panes();
    for (layout, most) in [
        (Layout::AllEqual, 25),
        (Layout::SpeakerOnly, 1),
        (Layout::Telepresence, 6),
        (Layout::Stacked, 6),
        (Layout::AllEqualQuarters, 4),
        (Layout::AllEqualNinths, 9),
        (Layout::AllEqualSixteenths, 16),
        (Layout::AllEqualTwentyFifths, 25),
        (Layout::OnePlusFive, 6),
        (Layout::OnePlusSeven, 8),
        (Layout::OnePlusNine, 10),
        (Layout::Automatic, 10),
        (Layout::OnePlusN, 10),
    ] {
        for count in 0..60 {
            assert_eq!(panes(layout, count), count.clamp(1, most), "{layout:?}");
        }
        assert_eq!(panes(layout, usize::MAX), most);
    }
}

#[test]
fn panes_are_inside_and_apart_and_even_and_wide() {
    for (layout, count, (width, height)) in Layout::ALL
        .iter()
        .flat_map(|&layout| (0..30).flat_map(move |count| SIZES.map(|size| (layout, count, size))))
    {
        let shape = Shape::of(layout, count);
        let panes = shape.place(width, height);
        let what = format!("{layout:?} for {count} at {width}x{height}: {panes:?}");
        assert_eq!(panes.len(), shape.panes(), "{what}");
        for (index, pane) in panes.iter().enumerate() {
            let Rect {
                x,
                y,
                width: w,
                height: h,
            } = pane.rect;
            assert!([x, y, w, h].iter().all(|n| n % 2 == 0), "{what}");
            assert!(w >= 16 && h >= 16, "{what}");
            assert!(x + w <= width && y + h <= height, "{what}");
            let full = (w, h) == (width, height);
            assert!(
                full || (1.5..2.0).contains(&(f64::from(w) / f64::from(h))),
                "{what}"
            );
            for other in &panes[..index] {
                let apart = !overlap(pane.rect, other.rect);
                assert!(apart || (pane.over && !other.over), "{what}");
            }
        }
    }
}

#[test]
fn the_large_pane_is_first_and_largest() {
    let area = |pane: &Pane| pane.rect.width * pane.rect.height;
    for layout in Layout::ALL {
        for count in 2..12 {
            let shape = Shape::of(layout, count);
            let panes = shape.place(1280, 720);
            let larger = panes[1..].iter().all(|pane| area(pane) < area(&panes[0]));
            assert_eq!(larger, shape.has_large(), "{layout:?} for {count}");
        }
    }
}

#[test]
fn more_people_do_not_move_the_panes_of_a_fixed_layout() {
    for layout in [
        Layout::AllEqualNinths,
        Layout::AllEqualTwentyFifths,
        Layout::OnePlusFive,
        Layout::OnePlusNine,
    ] {
        let full = Shape::of(layout, PANES_MAX).place(1280, 720);
        let columns = if full.len() > 10 { 5 } else { 3 };
        for count in 1..=full.len() {
            let panes = Shape::of(layout, count).place(1280, 720);
            // But for those of a last row that is centred, and rows that are not there.
            let fixed = match layout {
                Layout::OnePlusFive if count > 3 => count,
                Layout::OnePlusNine if count > 5 => count,
                Layout::OnePlusFive | Layout::OnePlusNine => 0,
                _ => count - count % columns,
            };
            assert_eq!(panes[..fixed], full[..fixed], "{layout:?} for {count}");
        }
    }
}

#[test]
fn two_stand_side_by_side_at_720p() {
    let panes = Shape::of(Layout::Automatic, 2).place(1280, 720);
    let rects: Vec<_> = panes.iter().map(|pane| pane.rect).collect();
    assert_eq!(
        rects,
        [Rect::new(8, 182, 628, 354), Rect::new(644, 182, 628, 354)]
    );
}
