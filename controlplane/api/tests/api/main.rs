//! The API through its front door: one test a rule of the wire, named after it.

mod conventions;
mod fake;
mod https;
mod limits;
mod nodes;
mod profiles;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, Response, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tower::ServiceExt as _;

pub(crate) use fake::Fake;

/// An answer, read to its end.
#[derive(Debug)]
struct Got {
    status: StatusCode,
    head: axum::http::HeaderMap,
    body: String,
}

impl Got {
    async fn of(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 1 << 20).await.unwrap();
        Self {
            status: parts.status,
            head: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.get(name).map(|value| value.to_str().unwrap())
    }

    fn location(&self) -> &str {
        self.header("location").unwrap()
    }

    /// Status 200 and an empty body.
    #[track_caller]
    fn done(self) -> Self {
        assert_eq!((self.status, self.body.as_str()), (StatusCode::OK, ""));
        self
    }

    #[track_caller]
    fn shown(self) -> String {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        assert_eq!(self.header("content-type"), Some("text/xml"));
        self.body
    }

    /// The status and the literal inside of `failureDetails`.
    #[track_caller]
    fn refused(&self) -> (u16, &str) {
        let reason = self
            .body
            .strip_prefix("<?xml version=\"1.0\"?>\n<failureDetails>")
            .and_then(|rest| rest.strip_suffix("</failureDetails>"))
            .unwrap_or_else(|| panic!("{self:?}"));
        (self.status.as_u16(), reason)
    }
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// One request with the right credentials; `form` goes into the body.
async fn ask(router: &Router, method: &str, path: &str, form: &str) -> Got {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", basic("admin", "right"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(form.to_owned()))
        .unwrap();
    send(router, request).await
}

async fn get(router: &Router, path: &str) -> Got {
    ask(router, "GET", path, "").await
}

async fn send(router: &Router, request: Request<Body>) -> Got {
    Got::of(router.clone().oneshot(request).await.unwrap()).await
}

/// The text of the first element of this name.
fn text<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let start = xml.find(&format!("<{name}>"))? + name.len() + 2;
    let len = xml[start..].find(&format!("</{name}>"))?;
    Some(&xml[start..start + len])
}
