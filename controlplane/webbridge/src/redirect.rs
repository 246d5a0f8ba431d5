//! For those who type an address without `https`.

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{HOST, LOCATION};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, Uri};
use axum::response::IntoResponse;

/// Sends every request to the same path by HTTPS on `port`.
pub fn redirect_to_https(port: u16) -> Router {
    Router::new().fallback(redirect).with_state(port)
}

async fn redirect(State(port): State<u16>, headers: HeaderMap, uri: Uri) -> Response<Body> {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let to = host.and_then(|host| address(host, port, path));
    let Some(to) = to.and_then(|to| HeaderValue::from_str(&to).ok()) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    (StatusCode::PERMANENT_REDIRECT, [(LOCATION, to)]).into_response()
}

/// The address by HTTPS; `None` where the host is none.
fn address(host: &str, port: u16, path: &str) -> Option<String> {
    // The port is behind the last colon, unless that is inside of an IPv6 address.
    let name = match host.rsplit_once(':') {
        Some((name, rest)) if !rest.contains(']') => name,
        _ => host,
    };
    let good = |c: char| c.is_ascii_alphanumeric() || ".-_[]:".contains(c);
    if name.is_empty() || !name.chars().all(good) {
        return None;
    }
    Some(match port {
        443 => format!("https://{name}{path}"),
        port => format!("https://{name}:{port}{path}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_path_stay_and_the_port_is_ours() {
        for (host, port, wanted) in [
            ("example.org", 443, Some("https://example.org/m?x=1")),
            (
                "example.org:8080",
                8_443,
                Some("https://example.org:8443/m?x=1"),
            ),
            ("[::1]:8080", 8_443, Some("https://[::1]:8443/m?x=1")),
            ("[::1]", 443, Some("https://[::1]/m?x=1")),
            ("user@evil.example", 443, None),
            ("a/b", 443, None),
            ("", 443, None),
        ] {
            assert_eq!(address(host, port, "/m?x=1").as_deref(), wanted, "{host}");
        }
    }
}
