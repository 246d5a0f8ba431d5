use proptest::prelude::*;

use super::*;

const NAME: Style = Style {
    size: 24,
    width_max: 300,
    lines_max: 1,
};

fn typesetter() -> Typesetter {
    Typesetter::new(&Fonts::built_in())
}

/// Samples that are more covered than not.
fn ink(mask: &Mask) -> usize {
    mask.coverage.iter().filter(|&&c| c > 127).count()
}

/// Columns from the first to the last that is covered at all.
fn inked_columns(mask: &Mask) -> std::ops::Range<usize> {
    let width = mask.width as usize;
    let covered = |x: &usize| mask.coverage.chunks(width).any(|row| row[*x] > 60);
    let first = (0..width).find(covered).unwrap_or(0);
    let last = (0..width).rev().find(covered).map_or(0, |x| x + 1);
    first..last
}

#[test]
fn every_script_of_the_fonts_has_glyphs_of_its_own() {
    let mut typesetter = typesetter();
    // What is in no font is drawn alike: a box.
    let missing = typesetter.mask("\u{e000}\u{e000}", NAME);
    for text in [
        "Příliš žluťoučký",
        "Владимир",
        "Ελένη",
        "שלום",
        "محمد",
        "शुभम",
        "তানিয়া",
        "ਗੁਰਪ੍ਰੀਤ",
        "ગીતા",
        "தமிழ்",
        "తెలుగు",
        "ಕನ್ನಡ",
        "മലയാളം",
        "ଓଡ଼ିଆ",
        "සිංහල",
        "สมชาย",
        "ລາວ",
        "ភាសាខ្មែរ",
        "မြန်မာ",
        "Հայերեն",
        "ქართული",
        "አማርኛ",
        "ދިވެހި",
        "王小明",
        "さくら",
        "김철수",
        "😀🚀",
    ] {
        let mask = typesetter.mask(text, NAME);
        assert!(ink(&mask) > 60, "{text}: {}", ink(&mask));
        // Not one box after another: the halves of two boxes are the same.
        let boxes = typesetter.mask(&"\u{e000}".repeat(text.chars().count()), NAME);
        assert_ne!(mask.coverage, boxes.coverage, "{text}");
    }
    assert!(missing.width > 0);
}

#[test]
fn letters_are_joined_and_reordered_as_their_script_wants() {
    let mut typesetter = typesetter();
    let mut width = |text: &str| inked_columns(&typesetter.mask(text, NAME)).len();
    // Joined letters are narrower than their forms on their own.
    let apart = width("\u{633}\u{200c}\u{644}\u{200c}\u{627}\u{200c}\u{645}");
    assert!(width("\u{633}\u{644}\u{627}\u{645}") < apart);
    // A conjunct is narrower than its consonants with a visible virama.
    assert!(width("क्ष") < width("क्\u{200c}ष"));
}

#[test]
fn right_to_left_text_ends_at_the_left() {
    let mut typesetter = typesetter();
    // A dot after the word: in Hebrew it stands before it.
    let word = typesetter.mask("שלום", NAME);
    let dotted = typesetter.mask("שלום.", NAME);
    let dot = (dotted.width - word.width) as usize;
    let left_of = |mask: &Mask| -> u32 {
        let rows = mask.coverage.chunks(mask.width as usize);
        rows.take(mask.height as usize / 2)
            .map(|row| row[..dot].iter().map(|&c| u32::from(c)).sum::<u32>())
            .sum()
    };
    assert_eq!(left_of(&dotted), 0, "nothing but a dot, which is low");
    assert!(left_of(&word) > 0);
}

#[test]
fn what_is_too_long_is_cut_with_an_ellipsis() {
    let mut typesetter = typesetter();
    let long = "Maximiliana Friederike von und zu Hohenberg-Sonnenstein";
    for width_max in [40, 80, 120, 200] {
        let style = Style { width_max, ..NAME };
        let mask = typesetter.mask(long, style);
        assert!(mask.width <= width_max);
        // Nothing is cut through: there is a free column at the right.
        assert!(inked_columns(&mask).end < width_max as usize, "{width_max}");
        let fitting = typesetter.mask("Max", style);
        assert!(width_max < 80 || fitting.width < mask.width);
    }
}

#[test]
fn a_message_is_wrapped_and_ends_after_its_lines() {
    let mut typesetter = typesetter();
    let style = Style {
        lines_max: 3,
        ..NAME
    };
    let lines = |mask: &Mask| mask.height / (24 * LINE_PERCENT / 100);
    assert_eq!(lines(&typesetter.mask("one", style)), 1);
    assert_eq!(lines(&typesetter.mask("one\ntwo", style)), 2);
    assert_eq!(lines(&typesetter.mask(&"word ".repeat(100), style)), 3);
    assert_eq!(lines(&typesetter.mask(&"a\n".repeat(100), style)), 3);
    assert_eq!(lines(&typesetter.mask("one\ntwo", NAME)), 1);
}

#[test]
fn nothing_is_drawn_of_what_cannot_be_seen() {
    let mut typesetter = typesetter();
    for text in ["", " ", "\n\n", "\u{202e}", "\0\u{7}"] {
        assert_eq!(typesetter.mask(text, NAME).width, 0, "{text:?}");
    }
    let plain = typesetter.mask("Eve Mallory", NAME);
    let tricky = typesetter.mask("\u{202e}Eve\r\n\t\u{2066}Mallory", NAME);
    assert_eq!(**plain, **tricky);
}

#[test]
fn a_text_is_drawn_once_and_the_memory_is_bounded() {
    let mut typesetter = typesetter();
    let first = typesetter.mask("Ada", NAME);
    assert!(Arc::ptr_eq(&first, &typesetter.mask("Ada", NAME)));
    for n in 0..MASKS_MAX + 50 {
        typesetter.mask(&n.to_string(), Style { size: 8, ..NAME });
        typesetter.mask("Ada", NAME);
        assert!(typesetter.kept() <= MASKS_MAX);
    }
    assert!(
        Arc::ptr_eq(&first, &typesetter.mask("Ada", NAME)),
        "it was in use"
    );
}

#[test]
fn fonts_that_cannot_be_read_add_nothing() {
    let mut fonts = Fonts::built_in();
    fonts.add(b"not a font".to_vec());
    fonts.add(Vec::new());
    let mask = Typesetter::new(&fonts).mask("Ada", NAME);
    assert_eq!(**mask, **typesetter().mask("Ada", NAME));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_text_does_harm(
        texts in proptest::collection::vec("(\\PC|\\p{M}|\\p{C}|[\u{0590}-\u{0e7f}]){0,60}", 1..8),
        size in 1..60u32,
        width_max in 0..500u32,
        lines_max in 0..5u8,
    ) {
        let mut typesetter = typesetter();
        for text in texts {
            let mask = typesetter.mask(&text, Style { size, width_max, lines_max });
            prop_assert!(mask.width <= width_max.max(1));
            prop_assert_eq!(mask.coverage.len() as u32, mask.width * mask.height);
            let line = (size * LINE_PERCENT / 100).max(1);
            prop_assert!(mask.height <= u32::from(lines_max.max(1)) * line);
        }
    }
}
