//! Headers and messages, as far as dialogs need them.
//!
//! Values are read from the text of a header and written as text: what a far end
//! wrote is given back as it wrote it (RFC 3261 wants From and To unchanged), which
//! a parse and print of every part would not promise.

use rsipstack::sip::headers::make_header;
use rsipstack::sip::{Header, Headers, Method, Request, Response, StatusCode, Uri, Version};

use crate::Party;

/// What we take part in; also the Allow header.
pub(crate) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, REFER";
/// Extensions that we take part in.
pub(crate) const SUPPORTED: &str = "timer, 100rel, replaces";
/// Bodies that we take in an INVITE.
pub(crate) const ACCEPT: &str = "application/sdp";

/// The first header of that name.
pub(crate) fn header<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|header| header.name().eq_ignore_ascii_case(name))
        .map(Header::value)
}

/// The comma-separated values of all headers of that name, in order.
pub(crate) fn values(headers: &Headers, name: &str) -> Vec<String> {
    headers
        .iter()
        .filter(|header| header.name().eq_ignore_ascii_case(name))
        .flat_map(|header| split_list(header.value()))
        .collect()
}

/// Whether a list header names `token`.
pub(crate) fn lists(headers: &Headers, name: &str, token: &str) -> bool {
    values(headers, name)
        .iter()
        .any(|value| value.eq_ignore_ascii_case(token))
}

/// Splits at commas outside quotes and angle brackets.
fn split_list(text: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let (mut start, mut quoted, mut escaped, mut angle) = (0, false, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' if !angle => quoted = !quoted,
            b'<' if !quoted => angle = true,
            b'>' if !quoted => angle = false,
            b',' if !quoted && !angle => {
                parts.push(text[start..at].trim().to_owned());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim().to_owned());
    parts.retain(|part| !part.is_empty());
    parts
}

/// A name-addr or addr-spec with the parameters of its header.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct NameAddr {
    pub(crate) party: Party,
    params: String,
}

impl NameAddr {
    pub(crate) fn parse(text: &str) -> Self {
        let text = text.trim();
        let open = angle(text);
        let Some(open) = open else {
            // Without brackets the parameters belong to the header.
            let (uri, params) = text.split_once(';').unwrap_or((text, ""));
            return Self {
                party: Party {
                    uri: uri.trim().to_owned(),
                    display: String::new(),
                },
                params: params.to_owned(),
            };
        };
        let rest = &text[open + 1..];
        let (uri, after) = rest.split_once('>').unwrap_or((rest, ""));
        Self {
            party: Party {
                uri: uri.trim().to_owned(),
                display: unquote(text[..open].trim()),
            },
            params: after.trim().trim_start_matches(';').to_owned(),
        }
    }

    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        param(&self.params, name)
    }

    pub(crate) fn tag(&self) -> Option<&str> {
        self.param("tag").filter(|tag| !tag.is_empty())
    }
}

/// Where the bracket of the URI opens, outside the display name's quotes.
fn angle(text: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'<' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// A parameter's value in `a=b;c;d=e`; empty where it has none.
pub(crate) fn param<'a>(params: &'a str, name: &str) -> Option<&'a str> {
    params.split(';').find_map(|part| {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        key.trim()
            .eq_ignore_ascii_case(name)
            .then(|| value.trim().trim_matches('"'))
    })
}

fn unquote(text: &str) -> String {
    let Some(inner) = text.strip_prefix('"') else {
        return text.to_owned();
    };
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(next) = chars.next() {
        match next {
            '\\' => out.extend(chars.next()),
            '"' => break,
            _ => out.push(next),
        }
    }
    out
}

/// `"Display" <uri>;tag=...`
pub(crate) fn name_addr(party: &Party, tag: &str) -> String {
    let mut text = String::new();
    if !party.display.is_empty() {
        text.push('"');
        for next in party.display.chars() {
            if matches!(next, '"' | '\\') {
                text.push('\\');
            }
            text.push(next);
        }
        text.push_str("\" ");
    }
    text.push_str(&format!("<{}>", party.uri));
    if !tag.is_empty() {
        text.push_str(";tag=");
        text.push_str(tag);
    }
    text
}

/// The number and method of CSeq.
pub(crate) fn cseq(headers: &Headers) -> Option<(u32, String)> {
    let mut parts = header(headers, "CSeq")?.split_whitespace();
    let number = parts.next()?.parse().ok()?;
    Some((number, parts.next()?.to_ascii_uppercase()))
}

pub(crate) fn from(headers: &Headers) -> NameAddr {
    NameAddr::parse(header(headers, "From").unwrap_or_default())
}

pub(crate) fn to(headers: &Headers) -> NameAddr {
    NameAddr::parse(header(headers, "To").unwrap_or_default())
}

pub(crate) fn call_id(headers: &Headers) -> &str {
    header(headers, "Call-ID").unwrap_or_default().trim()
}

/// The URI of the first Contact.
pub(crate) fn contact_uri(headers: &Headers) -> Option<String> {
    values(headers, "Contact")
        .first()
        .map(|value| NameAddr::parse(value).party.uri)
        .filter(|uri| Uri::try_from(uri.as_str()).is_ok())
}

/// Content-Type without parameters, lower case.
pub(crate) fn content_type(headers: &Headers) -> String {
    header(headers, "Content-Type")
        .and_then(|value| value.split(';').next())
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}

/// The body where it is SDP, also inside `multipart/mixed`.
pub(crate) fn sdp(headers: &Headers, body: &[u8]) -> Option<String> {
    if body.is_empty() {
        return None;
    }
    let text = String::from_utf8_lossy(body);
    match content_type(headers).as_str() {
        "application/sdp" => Some(text.into_owned()),
        kind if kind.starts_with("multipart/") => {
            let value = header(headers, "Content-Type")?;
            let boundary = format!("--{}", param(value, "boundary")?);
            text.split(boundary.as_str()).find_map(|part| {
                let (head, content) = part.split_once("\r\n\r\n")?;
                head.to_ascii_lowercase()
                    .contains("application/sdp")
                    .then(|| format!("{}\r\n", content.trim_end()))
            })
        }
        _ => None,
    }
}

/// Headers being collected.
#[derive(Default)]
pub(crate) struct Extra(pub(crate) Vec<Header>);

impl Extra {
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.push(make_header(name, value.into()));
        self
    }

    pub(crate) fn maybe(self, name: &str, value: Option<String>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }
}

/// A response to `request` (RFC 3261 section 8.2.6).
pub(crate) fn response(
    request: &Request,
    code: u16,
    tag: &str,
    server: &str,
    extra: Extra,
    sdp: Option<&str>,
) -> Response {
    let mut headers = Vec::with_capacity(16);
    for header in request.headers.iter() {
        match header {
            Header::To(value) if code != 100 && !tag.is_empty() => {
                let text = value.value();
                headers.push(match NameAddr::parse(text).tag() {
                    Some(_) => header.clone(),
                    None => make_header("To", format!("{text};tag={tag}")),
                });
            }
            Header::Via(_)
            | Header::From(_)
            | Header::To(_)
            | Header::CallId(_)
            | Header::CSeq(_) => headers.push(header.clone()),
            // The route set is the requests' own (RFC 3261 section 12.1.1).
            Header::RecordRoute(_) if (101..300).contains(&code) => headers.push(header.clone()),
            Header::Timestamp(_) if code == 100 => headers.push(header.clone()),
            _ => {}
        }
    }
    headers.push(make_header("Server", server.to_owned()));
    headers.extend(extra.0);
    let body = sdp.unwrap_or_default().as_bytes().to_vec();
    if !body.is_empty() {
        headers.push(make_header("Content-Type", "application/sdp".to_owned()));
    }
    headers.push(make_header("Content-Length", body.len().to_string()));
    Response {
        status_code: status(code),
        wire_reason: None,
        version: Version::V2,
        headers: headers.into(),
        body,
    }
}

fn status(code: u16) -> StatusCode {
    StatusCode::try_from((code, "Unknown")).unwrap_or(StatusCode::ServerInternalError)
}

/// A request with the headers given, in order.
pub(crate) fn request(
    method: Method,
    uri: Uri,
    headers: Extra,
    content_type: &str,
    body: Vec<u8>,
) -> Request {
    let mut headers = headers;
    if !body.is_empty() {
        headers = headers.with("Content-Type", content_type);
    }
    headers = headers.with("Content-Length", body.len().to_string());
    Request {
        method,
        uri,
        version: Version::V2,
        headers: headers.0.into(),
        body,
    }
}

/// Whether text can stand in a header.
pub(crate) fn is_line(text: &str) -> bool {
    !text.bytes().any(|byte| byte < 0x20 && byte != b'\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_split_outside_quotes_and_brackets() {
        assert_eq!(
            split_list(r#""a, \" b" <sip:x,y@z>;q=1, <sip:c@d>,,e"#),
            [r#""a, \" b" <sip:x,y@z>;q=1"#, "<sip:c@d>", "e"]
        );
    }

    #[test]
    fn parties_are_read_with_and_without_brackets() {
        let quoted = NameAddr::parse(r#""Al <b> \"c\"" <sip:a@b;x=y>;tag=t1;z"#);
        assert_eq!(quoted.party.display, r#"Al <b> "c""#);
        assert_eq!(quoted.party.uri, "sip:a@b;x=y");
        assert_eq!(quoted.tag(), Some("t1"));
        let bare = NameAddr::parse("sip:a@b;tag=t2");
        assert_eq!(bare.party.uri, "sip:a@b");
        assert_eq!(bare.tag(), Some("t2"));
        let again = NameAddr::parse(&name_addr(&quoted.party, "t1"));
        assert_eq!(again.party, quoted.party);
    }

    #[test]
    fn sdp_is_found_in_multipart() {
        let headers: Headers = vec![make_header(
            "Content-Type",
            "multipart/mixed;boundary=\"xx\"".to_owned(),
        )]
        .into();
        let body = b"--xx\r\nContent-Type: text/plain\r\n\r\nhi\r\n--xx\r\nContent-Type: application/sdp\r\n\r\nv=0\r\ns=-\r\n--xx--\r\n";
        assert_eq!(sdp(&headers, body).as_deref(), Some("v=0\r\ns=-\r\n"));
    }
}
