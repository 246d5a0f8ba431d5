//! Writing XML.
//!
//! Everything that reaches a document may come from the wire: a name may hold
//! markup, control characters or nothing but combining marks. Text is escaped,
//! and what XML 1.0 (section 2.2) cannot hold at all becomes U+FFFD.

/// A document under construction.
#[derive(Debug)]
pub(crate) struct Xml {
    text: String,
}

impl Xml {
    /// Starts with the declaration.
    pub(crate) fn document() -> Self {
        Self {
            text: String::from("<?xml version=\"1.0\"?>\n"),
        }
    }

    /// `<name a="b">`, what `inside` writes, `</name>`. Names are ours, values are escaped.
    pub(crate) fn element(
        &mut self,
        name: &'static str,
        attributes: &[(&'static str, &str)],
        inside: impl FnOnce(&mut Self),
    ) {
        self.text.push('<');
        self.text.push_str(name);
        for (key, value) in attributes {
            self.text.push(' ');
            self.text.push_str(key);
            self.text.push_str("=\"");
            escape(&mut self.text, value);
            self.text.push('"');
        }
        self.text.push('>');
        inside(self);
        self.text.push_str("</");
        self.text.push_str(name);
        self.text.push('>');
    }

    /// `<name>value</name>`.
    pub(crate) fn value(&mut self, name: &'static str, value: impl std::fmt::Display) {
        let value = value.to_string();
        self.element(name, &[], |xml| escape(&mut xml.text, &value));
    }

    /// [`Self::value`], or nothing.
    pub(crate) fn optional(&mut self, name: &'static str, value: Option<impl std::fmt::Display>) {
        if let Some(value) = value {
            self.value(name, value);
        }
    }

    /// `<name a="b" />`, with the space that clients look for.
    pub(crate) fn empty(&mut self, name: &'static str, attributes: &[(&'static str, &str)]) {
        self.text.push('<');
        self.text.push_str(name);
        for (key, value) in attributes {
            self.text.push(' ');
            self.text.push_str(key);
            self.text.push_str("=\"");
            escape(&mut self.text, value);
            self.text.push('"');
        }
        self.text.push_str(" />");
    }

    /// The document.
    pub(crate) fn finish(self) -> String {
        self.text
    }
}

fn escape(into: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => into.push_str("&amp;"),
            '<' => into.push_str("&lt;"),
            '>' => into.push_str("&gt;"),
            '"' => into.push_str("&quot;"),
            '\'' => into.push_str("&apos;"),
            // A parser would turn these into plain spaces (attributes) or line feeds.
            '\t' => into.push_str("&#9;"),
            '\n' => into.push_str("&#10;"),
            '\r' => into.push_str("&#13;"),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => into.push('\u{fffd}'),
            c => into.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use quick_xml::Reader;
    use quick_xml::events::Event;

    use super::*;

    /// What a parser reads back from one element.
    fn read(document: &str) -> (String, String) {
        let mut reader = Reader::from_str(document);
        let (mut attribute, mut text) = (String::new(), String::new());
        loop {
            match reader.read_event().unwrap() {
                Event::Start(start) => {
                    let a = start.try_get_attribute("a").unwrap().unwrap();
                    text.clear();
                    attribute = quick_xml::escape::unescape(&a.value).unwrap().into_owned();
                }
                // XML 1.0 section 2.11 is why line ends are escaped.
                Event::Text(part) => text.push_str(&part.xml10_content()),
                Event::GeneralRef(name) => {
                    let reference = format!("&{};", &*name);
                    text.push_str(&quick_xml::escape::unescape(&reference).unwrap());
                }
                Event::Eof => return (attribute, text),
                _ => {}
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_text_comes_back_as_it_went_in_but_for_what_xml_cannot_hold(
            chars in prop::collection::vec(
                prop_oneof![any::<char>(), prop::char::range('\0', '\u{ff}')], 0..60)
        ) {
            let text: String = chars.into_iter().collect();
            let mut xml = Xml::document();
            xml.element("x", &[("a", &text)], |xml| escape(&mut xml.text, &text));
            let expected: String = text
                .chars()
                .map(|c| match c {
                    '\t' | '\n' | '\r' => c,
                    '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
                    c => c,
                })
                .collect();
            prop_assert_eq!(read(&xml.finish()), (expected.clone(), expected));
        }
    }
}
