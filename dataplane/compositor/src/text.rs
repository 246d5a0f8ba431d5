//! Text to masks: any script, shaped, in both directions, cut with an ellipsis where
//! it is too long.
//!
//! Shaping and rasterising are cosmic-text's. A text is drawn once for a size and
//! kept, [`MASKS_MAX`] of them; what was not used for longest goes first. Names are
//! other people's words: control characters and those that turn the direction of
//! what follows are taken out first.
//!
//! Not here: files. The fonts built in cover the scripts in use and the characters
//! that nearly all names are written with; a caller may add more.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use cosmic_text::fontdb::{Database, Source};
use cosmic_text::{
    Align, Attrs, Buffer, Ellipsize, EllipsizeHeightLimit, Family, FontSystem, Metrics, Shaping,
    SwashCache, SwashContent, SwashImage, Wrap,
};

use crate::paint::Stamp;

/// Most masks that are kept.
pub(crate) const MASKS_MAX: usize = 1_024;

/// Distance of base lines, in sizes of the font, times 100.
const LINE_PERCENT: u32 = 130;

/// How a font file becomes part of the binary.
macro_rules! fonts {
    ($($name:literal),* $(,)?) => {
        [$(include_bytes!(concat!("../fonts/", $name)).as_slice()),*]
    };
}

/// See `fonts/README.md`. Earlier ones are preferred.
static BUILT_IN: [&[u8]; 23] = fonts![
    "NotoSans-Regular.ttf",
    "NotoSansArabic-Regular.ttf",
    "NotoSansArmenian-Regular.ttf",
    "NotoSansBengali-Regular.ttf",
    "NotoSansCJK-Subset.otf",
    "NotoSansDevanagari-Regular.ttf",
    "NotoSansEthiopic-Regular.ttf",
    "NotoSansGeorgian-Regular.ttf",
    "NotoSansGujarati-Regular.ttf",
    "NotoSansGurmukhi-Regular.ttf",
    "NotoSansHebrew-Regular.ttf",
    "NotoSansKannada-Regular.ttf",
    "NotoSansKhmer-Regular.ttf",
    "NotoSansLao-Regular.ttf",
    "NotoSansMalayalam-Regular.ttf",
    "NotoSansMyanmar-Regular.ttf",
    "NotoSansOriya-Regular.ttf",
    "NotoSansSinhala-Regular.ttf",
    "NotoSansTamil-Regular.ttf",
    "NotoSansTelugu-Regular.ttf",
    "NotoSansThaana-Regular.ttf",
    "NotoSansThai-Regular.ttf",
    "NotoEmoji-Regular.ttf",
];

/// Fonts to write names with. Cheap to clone: the bytes are shared.
#[derive(Clone, Debug)]
pub struct Fonts(Database);

impl Default for Fonts {
    fn default() -> Self {
        Self::built_in()
    }
}

impl Fonts {
    /// Those that are part of the binary.
    #[must_use]
    pub fn built_in() -> Self {
        let mut fonts = Self(Database::new());
        for font in BUILT_IN {
            fonts.0.load_font_source(Source::Binary(Arc::new(font)));
        }
        fonts
    }

    /// Adds the fonts of one file (TrueType, OpenType, or a collection of them) for
    /// what the others have not. What cannot be read adds nothing.
    pub fn add(&mut self, file: Vec<u8>) {
        self.0.load_font_source(Source::Binary(Arc::new(file)));
    }
}

/// How a text is set.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Style {
    /// Size of the font, samples.
    pub(crate) size: u32,
    /// No wider than this, samples.
    pub(crate) width_max: u32,
    /// No more lines than this; with one, it is not wrapped.
    pub(crate) lines_max: u8,
}

/// How much of each sample something covers, 0 to 255, row by row.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Mask {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) coverage: Vec<u8>,
}

impl Mask {
    /// Nothing is covered.
    pub(crate) fn new(width: u32, height: u32) -> Self {
        Self {
            width,
            height,
            coverage: vec![0; width as usize * height as usize],
        }
    }

    /// Adds coverage at a place; outside there is nothing to add it to.
    fn add(&mut self, x: i32, y: i32, coverage: u8) {
        let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else {
            return;
        };
        if x < self.width && y < self.height {
            let place = &mut self.coverage[(y * self.width + x) as usize];
            *place = (*place).max(coverage);
        }
    }
}

/// Draws text, and remembers what it drew.
pub(crate) struct Typesetter {
    fonts: FontSystem,
    raster: SwashCache,
    masks: HashMap<(String, Style), Kept>,
    uses: u64,
}

struct Kept {
    mask: Arc<Stamp>,
    used: u64,
}

impl Typesetter {
    pub(crate) fn new(fonts: &Fonts) -> Self {
        Self {
            fonts: FontSystem::new_with_locale_and_db("en-US".to_owned(), fonts.0.clone()),
            raster: SwashCache::new(),
            masks: HashMap::new(),
            uses: 0,
        }
    }

    /// The mask of a text; without width where there is nothing to see.
    pub(crate) fn mask(&mut self, text: &str, style: Style) -> Arc<Stamp> {
        self.uses += 1;
        let key = (text.to_owned(), style);
        if let Some(kept) = self.masks.get_mut(&key) {
            kept.used = self.uses;
            return Arc::clone(&kept.mask);
        }
        let mask = Arc::new(Stamp::new(self.draw(text, style)));
        if self.masks.len() >= MASKS_MAX {
            let oldest = self.masks.iter().min_by_key(|(_, kept)| kept.used);
            if let Some(key) = oldest.map(|(key, _)| key.clone()) {
                self.masks.remove(&key);
            }
        }
        let kept = Kept {
            mask: Arc::clone(&mask),
            used: self.uses,
        };
        self.masks.insert(key, kept);
        mask
    }

    fn draw(&mut self, text: &str, style: Style) -> Mask {
        let text = clean(text, style.lines_max > 1);
        let line_height = (style.size * LINE_PERCENT / 100).max(1);
        let metrics = Metrics::new(style.size.max(1) as f32, line_height as f32);
        let mut buffer = Buffer::new(&mut self.fonts, metrics);
        let lines_max = usize::from(style.lines_max.max(1));
        buffer.set_size(Some(style.width_max as f32), None);
        buffer.set_wrap(if lines_max > 1 {
            Wrap::WordOrGlyph
        } else {
            Wrap::None
        });
        buffer.set_ellipsize(Ellipsize::End(EllipsizeHeightLimit::Lines(lines_max)));
        let attrs = Attrs::new().family(Family::Name("Noto Sans"));
        let align = (lines_max > 1).then_some(Align::Center);
        buffer.set_text(&text, &attrs, Shaping::Advanced, align);
        buffer.shape_until_scroll(&mut self.fonts, false);

        let (mut left, mut right, mut lines) = (f32::MAX, 0.0_f32, 0);
        for run in buffer.layout_runs().take(lines_max) {
            lines += 1;
            for glyph in run.glyphs {
                left = left.min(glyph.x);
                right = right.max(glyph.x + glyph.w);
            }
        }
        if right <= left {
            return Mask::default();
        }
        // A sample on each side for what leans out of its advance.
        let width = ((right - left).ceil() as u32 + 2).min(style.width_max.max(1));
        let mut mask = Mask::new(width, lines * line_height);
        for run in buffer.layout_runs().take(lines_max) {
            for glyph in run.glyphs {
                let place = glyph.physical((1.0 - left, run.line_y), 1.0);
                let image = self
                    .raster
                    .get_image_uncached(&mut self.fonts, place.cache_key);
                if let Some(image) = image {
                    stamp(&mut mask, &image, place.x, place.y);
                }
            }
        }
        mask
    }

    /// Masks that are kept.
    #[cfg(test)]
    pub(crate) fn kept(&self) -> usize {
        self.masks.len()
    }
}

/// Adds a glyph with its origin at `x`, `y`.
fn stamp(mask: &mut Mask, image: &SwashImage, x: i32, y: i32) {
    let bytes = match image.content {
        SwashContent::Mask => 1,
        SwashContent::Color | SwashContent::SubpixelMask => 4,
    };
    let (left, top) = (x + image.placement.left, y - image.placement.top);
    let width = image.placement.width.max(1) as usize;
    for (row, samples) in (top..).zip(image.data.chunks_exact(width * bytes)) {
        for (column, sample) in (left..).zip(samples.chunks_exact(bytes)) {
            mask.add(column, row, sample[bytes - 1]);
        }
    }
}

/// Without what controls: line breaks are kept only where there may be several
/// lines; white space is single; nothing overrides the direction of what follows.
fn clean(text: &str, lines: bool) -> String {
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let line = |line: &str| {
        let words = line.split(|c: char| c.is_whitespace() || c.is_control() || turns(c));
        let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
        words.join(" ")
    };
    if !lines {
        return line(text);
    }
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}
