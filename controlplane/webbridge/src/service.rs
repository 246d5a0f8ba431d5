//! What the Web Bridge is made of, and its routes.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use axum::routing::{get, post};
use tokio::sync::Semaphore;

use crate::bridge::CallBridge;
use crate::http;
use crate::ice::TurnServers;
use crate::limits::{Rate, Sources};
use crate::token::TokenKey;

/// What stays the same while the server runs; the rest is
/// [`CallBridge::offer`].
#[derive(Clone, Debug)]
pub struct WebConfig {
    /// Our domain, where one is suggested.
    pub domain: Option<String>,
    /// People can sign in (`userPortalEnabled`).
    pub user_portal: bool,
    /// TURN servers of browsers.
    pub turn: TurnServers,
}

/// Bounds on what strangers may use up.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Sockets at one time; above it 503.
    pub sockets: usize,
    /// Look-ups and joins of one source; above it 429.
    pub joins: Rate,
    /// Those among them that found nothing; above it 429.
    pub misses: Rate,
    /// Messages of one socket; above it the socket is closed.
    pub messages: Rate,
}

impl Default for Limits {
    fn default() -> Self {
        let rate = |per_second, burst| Rate { per_second, burst };
        Self {
            sockets: 4_096,
            // An office behind one address joins within a minute.
            joins: rate(20.0, 100.0),
            misses: rate(0.2, 20.0),
            messages: rate(30.0, 60.0),
        }
    }
}

pub(crate) struct Web {
    pub(crate) bridge: Arc<dyn CallBridge>,
    pub(crate) config: WebConfig,
    pub(crate) key: TokenKey,
    pub(crate) limits: Limits,
    pub(crate) joins: Sources,
    pub(crate) misses: Sources,
    pub(crate) sockets: Arc<Semaphore>,
}

/// Seconds of the Unix clock.
pub(crate) fn now_s() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

/// Longest body of a request.
const BODY_MAX: usize = 8 * 1_024;

/// The web app and what it talks to. The client's address is taken from
/// `ConnectInfo<SocketAddr>`; without it all clients are one source.
pub fn router(
    bridge: Arc<dyn CallBridge>,
    config: WebConfig,
    key: TokenKey,
    limits: Limits,
) -> Router {
    let web = Web {
        bridge,
        config,
        key,
        joins: Sources::new(limits.joins),
        misses: Sources::new(limits.misses),
        sockets: Arc::new(Semaphore::new(limits.sockets)),
        limits,
    };
    Router::new()
        .route("/api/config", get(http::config))
        .route("/api/lookup", post(http::lookup))
        .route("/api/join", post(http::join))
        .route("/api/ws", get(http::socket))
        .route("/invited.sf", get(http::invited))
        .route("/index.html", get(http::landing))
        .fallback(http::file)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(axum::middleware::map_response(harden))
        .with_state(Arc::new(web))
}

/// Headers of every answer to a browser.
async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        (
            "permissions-policy",
            "camera=(self), microphone=(self), display-capture=(self), fullscreen=(self), geolocation=()",
        ),
        ("strict-transport-security", "max-age=31536000"),
    ] {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    response
}
