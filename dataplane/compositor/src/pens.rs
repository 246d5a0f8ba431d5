//! What is drawn over and instead of pictures: labels, cards, messages, indicators.
//!
//! Sizes follow the height of the pane or picture, so that a name is as legible in a
//! small pane as there is room for, and the same view at two sizes looks alike.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use plenum_kernels::video::{Picture, Rect, Yuv};
use unicode_segmentation::UnicodeSegmentation;

use crate::icons::{Icon, plate};
use crate::layout::{even, gap};
use crate::paint::{Corners, Stamp, fill, round_corners, stamp};
use crate::text::{Fonts, Style, Typesetter};
use crate::{Indicators, Message, MessagePosition};

/// Below so many rows a pane has no label: it would hide the face.
const LABELLED_FROM: u32 = 72;

/// Most shapes of a kind that are kept; when there are more, all are made again.
const SHAPES_MAX: usize = 512;

/// How much of what is behind a label's or message's plate it hides, of 255.
const PLATE_OPACITY: u8 = 165;

const TEXT: Yuv = Yuv::from_rgb(0xf5, 0xf7, 0xfa);
/// A sign that stands for nobody.
const FAINT: Yuv = Yuv::from_rgb(0x5a, 0x65, 0x73);
const PLATE: Yuv = Yuv::from_rgb(0x0b, 0x0f, 0x14);
const ALERT: Yuv = Yuv::from_rgb(0xff, 0x6b, 0x5e);
/// Between panes that lie over a picture and that picture.
const EDGE: Yuv = PLATE;
/// Beside a picture that does not fill its pane.
pub(crate) const BARS: Yuv = Yuv::from_rgb(0x0b, 0x0e, 0x12);
/// A pane that is empty on purpose.
pub(crate) const EMPTY: Yuv = Yuv::from_rgb(0x1e, 0x25, 0x2e);

/// How many colours cards have.
pub(crate) const CARD_COLORS: usize = 10;

/// Grounds of cards, dark enough for light text; each with its disc.
const CARDS: [(Yuv, Yuv); CARD_COLORS] = [
    card(0x27, 0x3b, 0x5e, 0x4a, 0x72, 0xb0),
    card(0x24, 0x4a, 0x48, 0x3f, 0x8a, 0x84),
    card(0x2d, 0x4a, 0x33, 0x54, 0x8c, 0x60),
    card(0x50, 0x3a, 0x26, 0xa8, 0x75, 0x46),
    card(0x55, 0x30, 0x36, 0xaf, 0x5b, 0x67),
    card(0x4b, 0x31, 0x53, 0x91, 0x5f, 0xa3),
    card(0x36, 0x35, 0x60, 0x6a, 0x68, 0xb8),
    card(0x21, 0x45, 0x59, 0x3f, 0x85, 0xa8),
    card(0x4a, 0x44, 0x26, 0x94, 0x88, 0x48),
    card(0x39, 0x42, 0x4e, 0x6d, 0x7d, 0x92),
];

const fn card(r: u8, g: u8, b: u8, disc_r: u8, disc_g: u8, disc_b: u8) -> (Yuv, Yuv) {
    (
        Yuv::from_rgb(r, g, b),
        Yuv::from_rgb(disc_r, disc_g, disc_b),
    )
}

/// Draws; remembers what it drew.
pub(crate) struct Pens {
    text: Typesetter,
    icons: HashMap<(Icon, u32), Arc<Stamp>>,
    plates: HashMap<(u32, u32, u32), Arc<Stamp>>,
    corners: HashMap<u32, Arc<Corners>>,
}

fn kept<K: Eq + Hash, V>(
    shapes: &mut HashMap<K, Arc<V>>,
    key: K,
    make: impl FnOnce() -> V,
) -> Arc<V> {
    if shapes.len() >= SHAPES_MAX && !shapes.contains_key(&key) {
        shapes.clear();
    }
    Arc::clone(shapes.entry(key).or_insert_with(|| Arc::new(make())))
}

/// The size of a name in a pane of so many rows: 26 in 720, 17 in 354, 12 in 172.
const fn name_size(rows: u32) -> u32 {
    8 + rows / 40
}

/// A message as it is laid out for a picture.
pub(crate) struct Banner {
    /// What of the picture it covers.
    pub(crate) rect: Rect,
    mask: Arc<Stamp>,
}

impl Pens {
    pub(crate) fn new(fonts: &Fonts) -> Self {
        Self {
            text: Typesetter::new(fonts),
            icons: HashMap::new(),
            plates: HashMap::new(),
            corners: HashMap::new(),
        }
    }

    fn icon(&mut self, icon: Icon, size: u32) -> Arc<Stamp> {
        kept(&mut self.icons, (icon, size), || {
            Stamp::new(icon.mask(size))
        })
    }

    fn plate(&mut self, rect: Rect, radius: u32) -> Arc<Stamp> {
        let Rect { width, height, .. } = rect;
        kept(&mut self.plates, (width, height, radius), || {
            Stamp::faded(plate(width, height, radius), PLATE_OPACITY)
        })
    }

    fn draw_plate(&mut self, picture: &mut Picture, rect: Rect, radius: u32) {
        let mask = self.plate(rect, radius);
        stamp(picture, (rect.x, rect.y), &mask, PLATE);
    }

    /// Cuts the corners of a pane.
    pub(crate) fn round(&mut self, picture: &mut Picture, pane: Rect, behind: Yuv) {
        let radius = even(gap(picture.height()) * 3 / 2);
        let corners = kept(&mut self.corners, radius, || Corners::new(radius));
        round_corners(picture, pane, &corners, behind);
    }

    /// The edge around a pane that lies over a picture.
    pub(crate) fn edge(&mut self, picture: &mut Picture, pane: Rect) {
        let side = edge_width(picture.height());
        fill(picture, grown(pane, side), EDGE);
    }

    /// A name in the lower left corner of a pane, and whether nobody hears it.
    pub(crate) fn label(&mut self, picture: &mut Picture, pane: Rect, name: &str, muted: bool) {
        if pane.height < LABELLED_FROM {
            return;
        }
        let size = name_size(pane.height);
        let margin = even(size / 2).max(4);
        let padding = size / 2;
        let icon = if muted { size + size / 4 } else { 0 };
        let room = pane.width.saturating_sub(2 * (margin + padding) + icon);
        let style = Style {
            size,
            width_max: room,
            lines_max: 1,
        };
        let mask = self.text.mask(name, style);
        if mask.width == 0 && !muted {
            return;
        }
        let height = even(size * 3 / 2);
        let between = if muted && mask.width > 0 { size / 4 } else { 0 };
        let width = even(mask.width + 2 * padding + icon.min(size) + between + 1);
        let plate = Rect::new(
            pane.x + margin,
            pane.y + pane.height - margin - height,
            width,
            height,
        );
        self.draw_plate(picture, plate, height / 4);
        let mut x = plate.x + padding;
        if muted {
            let mask = self.icon(Icon::Muted, size);
            stamp(picture, (x, plate.y + (height - size) / 2), &mask, ALERT);
            x += size + between;
        }
        let y = plate.y + height.saturating_sub(mask.height) / 2;
        stamp(picture, (x, y), &mask, TEXT);
    }

    /// A card in place of a picture: a disc with initials on one of [`CARD_COLORS`]
    /// colours.
    pub(crate) fn card(&mut self, picture: &mut Picture, pane: Rect, name: &str, color: usize) {
        let (ground, disc) = CARDS[color % CARDS.len()];
        fill(picture, pane, ground);
        let size = even(pane.height * 2 / 5);
        if size < 8 {
            return;
        }
        let at = (
            pane.x + (pane.width - size) / 2,
            pane.y + (pane.height - size) / 2,
        );
        let mask = self.icon(Icon::Disc, size);
        stamp(picture, at, &mask, disc);
        let initials = initials(name);
        if initials.is_empty() {
            let person = even(size * 3 / 5);
            let inset = (size - person) / 2;
            let mask = self.icon(Icon::Person, person);
            stamp(picture, (at.0 + inset, at.1 + inset), &mask, TEXT);
            return;
        }
        let style = Style {
            size: size * 2 / 5,
            width_max: size,
            lines_max: 1,
        };
        let mask = self.text.mask(&initials, style);
        let place = (
            at.0 + size.saturating_sub(mask.width) / 2,
            at.1 + size.saturating_sub(mask.height) / 2,
        );
        stamp(picture, place, &mask, TEXT);
    }

    /// All of a picture in which there is nobody: what the meeting is called.
    pub(crate) fn title(&mut self, picture: &mut Picture, name: &str) {
        let (width, height) = (picture.width(), picture.height());
        let style = Style {
            size: height / 16,
            width_max: width * 4 / 5,
            lines_max: 2,
        };
        let text = self.text.mask(name, style);
        let icon = even(height / 5);
        let between = if text.height > 0 { height / 24 } else { 0 };
        let top = height.saturating_sub(icon + between + text.height) / 2;
        let mask = self.icon(Icon::Person, icon);
        stamp(picture, ((width - icon) / 2, top), &mask, FAINT);
        let place = (width.saturating_sub(text.width) / 2, top + icon + between);
        stamp(picture, place, &text, TEXT);
    }

    /// Lays a message out.
    pub(crate) fn banner(
        &mut self,
        (width, height): (u32, u32),
        message: &Message,
    ) -> Option<Banner> {
        let size = (height / 24).max(10);
        let style = Style {
            size,
            width_max: width * 4 / 5,
            lines_max: 4,
        };
        let mask = self
            .text
            .mask(cut(&message.text, crate::MESSAGE_BYTES_MAX), style);
        if mask.width == 0 {
            return None;
        }
        let wide = even(mask.width + 2 * size).min(even(width));
        let high = even(mask.height + size).min(even(height));
        let margin = even(height / 20);
        let y = match message.position {
            MessagePosition::Top => margin,
            MessagePosition::Middle => even((height - high) / 2),
            MessagePosition::Bottom => even(height.saturating_sub(margin + high)),
        };
        let rect = Rect::new(even((width - wide) / 2), y, wide, high);
        Some(Banner { rect, mask })
    }

    /// Draws a message that was laid out.
    pub(crate) fn draw_banner(&mut self, picture: &mut Picture, banner: &Banner) {
        let Banner { rect, mask } = banner;
        self.draw_plate(picture, *rect, rect.height.min(40) / 4);
        let place = (
            rect.x + rect.width.saturating_sub(mask.width) / 2,
            rect.y + rect.height.saturating_sub(mask.height) / 2,
        );
        stamp(picture, place, mask, TEXT);
    }

    /// Draws what is said of the meeting into `rect`, which is [`indicator_rect`]'s.
    pub(crate) fn indicators(&mut self, picture: &mut Picture, rect: Rect, indicators: Indicators) {
        self.draw_plate(picture, rect, rect.height / 4);
        let size = rect.height * 2 / 3;
        let inset = (rect.height - size) / 2;
        for (index, (icon, color)) in icons_of(indicators).enumerate() {
            let mask = self.icon(icon, size);
            let x = rect.x + inset + index as u32 * rect.height;
            stamp(picture, (x, rect.y + inset), &mask, color);
        }
    }
}

fn icons_of(indicators: Indicators) -> impl Iterator<Item = (Icon, Yuv)> {
    [
        (indicators.recording, Icon::Recording, ALERT),
        (indicators.streaming, Icon::Streaming, TEXT),
        (indicators.locked, Icon::Locked, TEXT),
    ]
    .into_iter()
    .filter_map(|(on, icon, color)| on.then_some((icon, color)))
}

/// Where in a picture of this height the indicators are; nowhere if there are none.
pub(crate) fn indicator_rect(height: u32, indicators: Indicators) -> Option<Rect> {
    let count = icons_of(indicators).count() as u32;
    let size = even(height / 20).max(12);
    let margin = 2 * gap(height);
    (count > 0).then(|| Rect::new(margin, margin, count * size, size))
}

const fn edge_width(height: u32) -> u32 {
    let width = even(height / 240);
    if width < 2 { 2 } else { width }
}

/// A rectangle that is larger by `by` on each side, as far as there is room at the
/// upper left.
fn grown(rect: Rect, by: u32) -> Rect {
    let (x, y) = (rect.x.saturating_sub(by), rect.y.saturating_sub(by));
    Rect::new(
        x,
        y,
        rect.x + rect.width + by - x,
        rect.y + rect.height + by - y,
    )
}

/// The beginning of a text, of at most so many bytes.
pub(crate) fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// The colour of a card that a name would like: the same on every machine and in every
/// release.
pub(crate) fn favourite_color(name: &str) -> usize {
    hash(name) as usize % CARD_COLORS
}

/// FNV-1a.
fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

/// The first letters of the first and the last word; of a number, none.
fn initials(name: &str) -> String {
    let mut words = name
        .split(|c: char| c.is_whitespace() || matches!(c, '.' | '_' | '@' | '/' | '('))
        .filter(|word| word.chars().next().is_some_and(char::is_alphabetic));
    let first = words.next();
    let last = words.next_back();
    let letters = first
        .into_iter()
        .chain(last)
        .filter_map(|word| word.graphemes(true).next());
    // A hostile name may have one letter with hundreds of marks.
    letters
        .map(|letter| cut(letter, 32).to_uppercase())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initials_are_of_the_first_and_the_last_word() {
        for (name, expected) in [
            ("Ada Lovelace", "AL"),
            ("jan maria rokita", "JR"),
            ("Šárka", "Š"),
            ("王小明", "王"),
            ("शुभम वर्मा", "शुव"),
            ("ada.lovelace@example.org", "AO"),
            ("+420 777 123 456", ""),
            ("(guest) 12", "G"),
            ("", ""),
            ("👩‍🚀", ""),
        ] {
            assert_eq!(initials(name), expected, "{name}");
        }
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("añb", 2), "a");
        assert_eq!(cut("añb", 3), "añ");
        assert_eq!(cut("añb", 99), "añb");
    }

    #[test]
    fn shapes_are_bounded() {
        let mut pens = Pens::new(&Fonts::built_in());
        for n in 0..2_000 {
            pens.plate(Rect::new(0, 0, 8 + n % 1_000, 8), 2);
            assert!(pens.plates.len() <= SHAPES_MAX);
        }
    }
}
