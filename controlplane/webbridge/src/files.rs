//! The web app's files with the headers that go with them.

use axum::body::Body;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use plenum_webapp::Asset;

/// Kept for good by a browser, since its name changes with its content.
const FOR_GOOD: &str = "public, max-age=31536000, immutable";
/// Asked for each time, with the tag of what the browser has.
const EACH_TIME: &str = "no-cache";

/// The file of a path, or the page that starts the app where the path is one of
/// the app's own: without a dot in its last segment.
pub(crate) fn find(path: &str) -> Option<Asset> {
    let name = path.trim_start_matches('/');
    let last = name.rsplit('/').next().unwrap_or_default();
    match plenum_webapp::asset(name).filter(|_| name != "index.html") {
        Some(asset) => Some(asset),
        None if last.contains('.') => None,
        None => Some(plenum_webapp::index()),
    }
}

/// Whether a coding is acceptable (RFC 9110 section 12.5.3): named, or meant by
/// `*`, with a weight that is not 0.
fn accepts(header: &str, coding: &str) -> bool {
    let weight = |wanted: &str| {
        header.split(',').find_map(|item| {
            let mut parts = item.split(';');
            let name = parts.next()?.trim();
            if !name.eq_ignore_ascii_case(wanted) {
                return None;
            }
            let q = parts.find_map(|part| part.trim().strip_prefix("q="));
            Some(q.map_or(1.0, |q| q.trim().parse::<f32>().unwrap_or(0.0)))
        })
    };
    weight(coding)
        .or_else(|| weight("*"))
        .is_some_and(|weight| weight > 0.0)
}

/// Answers with a file, or with 304 where the browser has it.
pub(crate) fn answer(asset: Asset, request: &HeaderMap) -> Response<Body> {
    let header = |name| request.get(name).and_then(|value| value.to_str().ok());
    let accepted = header(ACCEPT_ENCODING).unwrap_or_default();
    let brotli = asset.brotli.filter(|_| accepts(accepted, "br"));
    let gzip = asset.gzip.filter(|_| accepts(accepted, "gzip"));
    let (coding, bytes) = match (brotli, gzip) {
        (Some(bytes), _) => (Some("br"), bytes),
        (None, Some(bytes)) => (Some("gzip"), bytes),
        (None, None) => (None, asset.bytes),
    };
    // A compressed copy is another representation and needs another tag.
    let tag = match coding {
        Some(coding) => format!("{}-{coding}\"", asset.etag.trim_end_matches('"')),
        None => asset.etag.to_owned(),
    };
    let has_it = header(IF_NONE_MATCH).is_some_and(|tags| {
        tags.split(',')
            .map(|known| known.trim().trim_start_matches("W/"))
            .any(|known| known == tag || known == "*")
    });
    let mut response = match has_it {
        true => Response::new(Body::empty()),
        false => Response::new(Body::from(bytes)),
    };
    if has_it {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let caching = match asset.immutable {
        true => FOR_GOOD,
        false => EACH_TIME,
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(plenum_webapp::CONTENT_SECURITY_POLICY),
    );
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    if let (Some(coding), false) = (coding, has_it) {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASSET: Asset = Asset {
        bytes: b"plain",
        brotli: Some(b"brotli"),
        gzip: Some(b"gzip"),
        content_type: "text/javascript",
        immutable: true,
        etag: "\"abc\"",
    };

    fn asked(asset: Asset, headers: &[(&'static str, &str)]) -> Response<Body> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_str(value).unwrap());
        }
        answer(asset, &map)
    }

    fn of<'a>(response: &'a Response<Body>, name: &str) -> &'a str {
        let value = response.headers().get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    #[test]
    fn the_best_acceptable_copy_is_sent_under_its_own_tag() {
        for (accepted, coding, tag) in [
            ("gzip, deflate, br, zstd", "br", "\"abc-br\""),
            ("gzip", "gzip", "\"abc-gzip\""),
            ("br;q=0, *", "gzip", "\"abc-gzip\""),
            ("identity", "", "\"abc\""),
            ("", "", "\"abc\""),
            ("br;q=0.000", "", "\"abc\""),
            ("BR;Q=x;q=1", "br", "\"abc-br\""),
        ] {
            let response = asked(ASSET, &[("accept-encoding", accepted)]);
            assert_eq!(of(&response, "content-encoding"), coding, "{accepted}");
            assert_eq!(of(&response, "etag"), tag, "{accepted}");
            assert_eq!(of(&response, "vary"), "accept-encoding");
        }
    }

    #[test]
    fn what_a_browser_has_is_not_sent_again() {
        let again = |tags: &str| {
            let response = asked(ASSET, &[("accept-encoding", "br"), ("if-none-match", tags)]);
            response.status()
        };
        assert_eq!(again("\"abc-br\""), StatusCode::NOT_MODIFIED);
        assert_eq!(again("\"x\", W/\"abc-br\""), StatusCode::NOT_MODIFIED);
        assert_eq!(again("\"abc\""), StatusCode::OK, "another representation");
    }

    #[test]
    fn only_what_has_its_content_in_its_name_is_kept_for_good() {
        assert_eq!(of(&asked(ASSET, &[]), "cache-control"), FOR_GOOD);
        let page = Asset {
            immutable: false,
            ..ASSET
        };
        let response = asked(page, &[]);
        assert_eq!(of(&response, "cache-control"), EACH_TIME);
        assert!(of(&response, "content-security-policy").contains("default-src 'none'"));
    }

    #[test]
    fn the_apps_own_paths_lead_to_its_page_and_missing_files_to_nothing() {
        for path in ["/", "/meeting/123456", "/join", "/a/b/c"] {
            assert!(find(path).is_some(), "{path}");
        }
        for path in ["/assets/none.js", "/../Cargo.toml", "/.git"] {
            assert!(find(path).is_none(), "{path}");
        }
    }
}
