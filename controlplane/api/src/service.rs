//! The way of a request to its node.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Response};
use axum::routing::get;
use tokio::sync::Semaphore;

use crate::access::{Rate, Sources, basic_credentials};
use crate::answer::{Answer, Refusal};
use crate::bridge::{Authenticator, Bridge};
use crate::nodes;
use crate::params::Params;

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Bounds on what the API takes in.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Requests a second, over all clients; above it 503.
    pub requests_per_second: u32,
    /// Requests that may come at once after a pause.
    pub burst: u32,
    /// Requests at work at one time; above it 503.
    pub concurrent: usize,
    /// Bytes of a body; above it 413.
    pub body_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_per_second: 500,
            burst: 1_000,
            concurrent: 128,
            body_bytes: 64 * 1_024,
        }
    }
}

struct Service {
    bridge: Arc<dyn Bridge>,
    authenticator: Arc<dyn Authenticator>,
    sources: Sources,
    rate: Rate,
    turns: Semaphore,
    body_bytes: usize,
}

/// The API with the default [`Limits`].
pub fn router(bridge: Arc<dyn Bridge>, authenticator: Arc<dyn Authenticator>) -> Router {
    router_with(bridge, authenticator, Limits::default())
}

/// The API: everything under `/api/`, and `/healthz`, which answers `ok` to
/// anybody. The client's address is taken from [`ConnectInfo`], which
/// [`crate::https::serve_https`] provides; without it all clients are one source.
pub fn router_with(
    bridge: Arc<dyn Bridge>,
    authenticator: Arc<dyn Authenticator>,
    limits: Limits,
) -> Router {
    let service = Service {
        bridge,
        authenticator,
        sources: Sources::default(),
        rate: Rate::new(limits.requests_per_second, limits.burst),
        turns: Semaphore::new(limits.concurrent),
        body_bytes: limits.body_bytes,
    };
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        // Not axum's own matching: ours takes any case and a trailing slash.
        .route("/api", axum::routing::any(handle))
        .route("/api/{*path}", axum::routing::any(handle))
        .with_state(Arc::new(service))
}

async fn handle(State(service): State<Arc<Service>>, request: Request) -> Response<Body> {
    let source = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |info| info.0.ip());
    match answer(&service, source, request).await {
        Ok(answer) => answer.into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

async fn answer(service: &Service, source: IpAddr, request: Request) -> Result<Answer, Refusal> {
    let now = Instant::now();
    // First these two, so that strangers take nothing from those who may ask.
    if let Some(left) = service.sources.blocked(source, now) {
        return Err(Refusal::LockedOut(left.as_secs() + 1));
    }
    let (parts, body) = request.into_parts();
    let authorization = parts
        .headers
        .get(AUTHORIZATION)
        .ok_or(Refusal::Credentials)?;
    let _turn = service.turns.try_acquire().map_err(|_| Refusal::Busy)?;
    if !service.rate.admit(now) {
        return Err(Refusal::Busy);
    }
    let user = authenticate(service, source, authorization).await?;
    let action = nodes::find(parts.uri.path(), &parts.method)?;
    let params = read_params(service, &parts, body).await?;
    let outcome = nodes::act(service.bridge.as_ref(), action, &params).await;
    if !matches!(parts.method, Method::GET | Method::HEAD) {
        let (method, path) = (&parts.method, parts.uri.path());
        match &outcome {
            Ok(Answer::At(at)) => tracing::info!(user, %source, %method, path, at, "API: done"),
            Ok(_) => tracing::info!(user, %source, %method, path, "API: done"),
            Err(refusal) => tracing::info!(user, %source, %method, path, ?refusal, "API: refused"),
        }
    }
    outcome
}

/// The user's name, if the credentials are right.
async fn authenticate(
    service: &Service,
    source: IpAddr,
    authorization: &HeaderValue,
) -> Result<String, Refusal> {
    let credentials = authorization.to_str().ok().and_then(basic_credentials);
    if let Some((user, password)) = credentials
        && service.authenticator.verify(&user, &password).await?
    {
        service.sources.succeeded(source);
        return Ok(user);
    }
    tracing::warn!(%source, "API: wrong credentials");
    service.sources.failed(source, Instant::now());
    Err(Refusal::Credentials)
}

/// Query string first, then the form, which wins.
async fn read_params(service: &Service, parts: &Parts, body: Body) -> Result<Params, Refusal> {
    let mut params = Params::default();
    params.read(parts.uri.query().unwrap_or_default().as_bytes())?;
    let body = tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, service.body_bytes))
        .await
        .map_err(|_| Refusal::Malformed)?
        // The length was over the bound or the connection broke; nobody reads the answer then.
        .map_err(|_| Refusal::TooLarge)?;
    if matches!(parts.method, Method::POST | Method::PUT) && !body.is_empty() {
        let media_type = parts.headers.get(CONTENT_TYPE);
        let is_json = media_type
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.to_ascii_lowercase().contains("json"));
        // Clients are careless about every other type, and mean a form.
        if is_json {
            return Err(Refusal::MediaType);
        }
        params.read(&body)?;
    }
    Ok(params)
}
