//! Syntax that more than one kind of object has.

/// At most so many characters that neither break a line on a screen nor XML.
pub(crate) fn is_text(text: &str, most: usize) -> bool {
    text.chars().count() <= most
        && !text
            .chars()
            .any(|c| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}'))
}

/// A URL of at most so many characters that begins with one of `schemes`
/// (such as `https://`) and names a host.
pub(crate) fn is_url(text: &str, schemes: &[&str], most: usize) -> bool {
    let host = schemes.iter().find_map(|scheme| text.strip_prefix(scheme));
    host.is_some_and(|host| !host.is_empty() && !host.starts_with('/'))
        && is_text(text, most)
        && !text.contains(char::is_whitespace)
}
