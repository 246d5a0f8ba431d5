//! Requests outside of the WebSocket.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{CACHE_CONTROL, HOST, LOCATION, ORIGIN, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri};
use axum::response::{IntoResponse, Json};
use plenum_model::{EffectiveWebBridgeProfile, ResolveCoSpaceUris};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::bridge::{Join, JoinRefusal, Meeting, Origin};
use crate::files;
use crate::service::{Web, now_s};
use crate::socket;

/// Longest name of a person, characters.
const NAME_MAX: usize = 100;
/// Longest address, number, passcode or secret, bytes.
const WORD_MAX: usize = 300;
/// Longest message of a WebSocket.
const MESSAGE_MAX: usize = 64 * 1_024;

/// The client's address.
pub(crate) struct Peer(IpAddr);

impl<S: Send + Sync> axum::extract::FromRequestParts<S> for Peer {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut axum::http::request::Parts,
        _: &S,
    ) -> Result<Self, Self::Rejection> {
        let info = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let unknown = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        Ok(Self(info.map_or(unknown, |info| info.0.ip())))
    }
}

/// An answer that no cache keeps.
fn fresh(status: StatusCode, body: Value) -> Response<Body> {
    let no_store = [(CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (status, no_store, Json(body)).into_response()
}

fn invalid(field: &str) -> Response<Body> {
    fresh(
        StatusCode::BAD_REQUEST,
        json!({"error": "invalid", "field": field}),
    )
}

fn too_many(wait: Duration) -> Response<Body> {
    refuse(JoinRefusal::TooManyTries {
        retry_after_s: wait.as_secs() + 1,
    })
}

/// An answer instead of what was asked for. Boxed: it is large, and rare.
struct Refused(Box<Response<Body>>);

impl From<Response<Body>> for Refused {
    fn from(answer: Response<Body>) -> Self {
        Self(Box::new(answer))
    }
}

fn refuse(refusal: JoinRefusal) -> Response<Body> {
    let (status, code) = match refusal {
        JoinRefusal::NotFound => (StatusCode::NOT_FOUND, "notFound"),
        JoinRefusal::PasscodeRequired => (StatusCode::UNAUTHORIZED, "passcodeRequired"),
        JoinRefusal::PasscodeWrong => (StatusCode::FORBIDDEN, "passcodeWrong"),
        JoinRefusal::SecretWrong => (StatusCode::FORBIDDEN, "secretWrong"),
        JoinRefusal::PasscodesNotAllowed => (StatusCode::FORBIDDEN, "passcodesNotAllowed"),
        JoinRefusal::SecretsNotAllowed => (StatusCode::FORBIDDEN, "secretsNotAllowed"),
        JoinRefusal::GuestsNotAllowed => (StatusCode::FORBIDDEN, "guestsNotAllowed"),
        JoinRefusal::Locked => (StatusCode::FORBIDDEN, "locked"),
        JoinRefusal::TooManyTries { .. } => (StatusCode::TOO_MANY_REQUESTS, "tooManyTries"),
        JoinRefusal::Full => (StatusCode::SERVICE_UNAVAILABLE, "full"),
        JoinRefusal::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    let mut body = json!({"error": code});
    let JoinRefusal::TooManyTries { retry_after_s } = refusal else {
        return fresh(status, body);
    };
    body["retryAfterSeconds"] = retry_after_s.into();
    let mut response = fresh(status, body);
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from(retry_after_s));
    response
}

/// `GET /api/config`.
pub(crate) async fn config(State(web): State<Arc<Web>>) -> Response<Body> {
    let offer = match web.bridge.offer().await {
        Ok(offer) => offer,
        Err(refusal) => return refuse(refusal),
    };
    let suggestion = match offer.resolve_co_space_uris {
        ResolveCoSpaceUris::DomainSuggestionEnabled => web.config.domain.as_deref(),
        _ => None,
    };
    fresh(
        StatusCode::OK,
        json!({
            "productName": "Plenum",
            "allowPasscodes": offer.allow_passcodes,
            "allowSecrets": offer.allow_secrets,
            "resolveCallIds": offer.resolve_co_space_call_ids,
            "resolveUris": offer.resolve_co_space_uris,
            "domainSuggestion": suggestion,
            "allowUnauthenticatedGuests": offer.allow_unauthenticated_guests,
            "userPortalEnabled": web.config.user_portal,
        }),
    )
}

/// What names a meeting, and who wants in.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Wanted {
    call_id: Option<String>,
    uri: Option<String>,
    passcode: Option<String>,
    secret: Option<String>,
    name: Option<String>,
}

impl Wanted {
    /// Clients are careless about the type; the body is JSON whatever they say.
    fn read(body: &[u8]) -> Result<Self, &'static str> {
        let wanted: Self = serde_json::from_slice(body).map_err(|_| "body")?;
        for (name, word) in [
            ("callId", &wanted.call_id),
            ("uri", &wanted.uri),
            ("passcode", &wanted.passcode),
            ("secret", &wanted.secret),
            ("name", &wanted.name),
        ] {
            let bad = |word: &String| word.len() > WORD_MAX || word.chars().any(char::is_control);
            if word.as_ref().is_some_and(bad) {
                return Err(name);
            }
        }
        Ok(wanted)
    }

    /// Which meeting; a refusal where that way of naming it is off.
    fn meeting(&self, offer: &EffectiveWebBridgeProfile) -> Result<Meeting, Refused> {
        let given = |word: &Option<String>| {
            let word = word.as_deref().map(str::trim);
            word.filter(|word| !word.is_empty()).map(str::to_owned)
        };
        match (given(&self.call_id), given(&self.uri)) {
            (Some(_), None) if !offer.resolve_co_space_call_ids => {
                Err(refuse(JoinRefusal::NotFound).into())
            }
            (None, Some(_)) if offer.resolve_co_space_uris == ResolveCoSpaceUris::Off => {
                Err(refuse(JoinRefusal::NotFound).into())
            }
            (Some(call_id), None) => Ok(Meeting::CallId(call_id)),
            (None, Some(uri)) => Ok(Meeting::Uri(uri)),
            _ => Err(invalid("callId").into()),
        }
    }

    /// What was given of passcode and secret; a refusal where a switch is off.
    /// To pass it over instead would answer another question than was asked.
    fn credentials(
        &self,
        offer: &EffectiveWebBridgeProfile,
    ) -> Result<(Option<String>, Option<String>), Refused> {
        let given = |word: &Option<String>| word.clone().filter(|word| !word.is_empty());
        let (passcode, secret) = (given(&self.passcode), given(&self.secret));
        if secret.is_some() && !offer.allow_secrets {
            return Err(refuse(JoinRefusal::SecretsNotAllowed).into());
        }
        if passcode.is_some() && !offer.allow_passcodes {
            return Err(refuse(JoinRefusal::PasscodesNotAllowed).into());
        }
        Ok((passcode, secret))
    }
}

/// Whether a source may ask now.
fn admit(web: &Web, peer: IpAddr) -> Result<(), Refused> {
    let now = Instant::now();
    web.misses
        .is_spent(peer, now)
        .and_then(|()| web.joins.take(peer, now))
        .map_err(|wait| too_many(wait).into())
}

/// A refusal that tells something about what is there counts against the source.
fn missed(web: &Web, peer: IpAddr, refusal: JoinRefusal) -> Response<Body> {
    let tells = matches!(
        refusal,
        JoinRefusal::NotFound | JoinRefusal::SecretWrong | JoinRefusal::PasscodeWrong
    );
    if tells {
        let _ = web.misses.take(peer, Instant::now());
    }
    refuse(refusal)
}

/// `POST /api/lookup`.
pub(crate) async fn lookup(
    State(web): State<Arc<Web>>,
    Peer(peer): Peer,
    body: Bytes,
) -> Response<Body> {
    let looked_up = async {
        admit(&web, peer)?;
        let wanted = Wanted::read(&body).map_err(invalid)?;
        let offer = web.bridge.offer().await.map_err(refuse)?;
        let meeting = wanted.meeting(&offer)?;
        let (_, secret) = wanted.credentials(&offer)?;
        let found = web.bridge.lookup(Origin { peer }, meeting, secret).await;
        let found = found.map_err(|refusal| missed(&web, peer, refusal))?;
        // Nobody is to be asked for what is not taken afterwards.
        match found.passcode_required && !offer.allow_passcodes {
            true => Err(Refused::from(refuse(JoinRefusal::PasscodesNotAllowed))),
            false => Ok(found),
        }
    };
    match looked_up.await {
        Ok(found) => fresh(
            StatusCode::OK,
            json!({"spaceName": found.space_name, "passcodeRequired": found.passcode_required}),
        ),
        Err(Refused(answer)) => *answer,
    }
}

/// `POST /api/join`.
pub(crate) async fn join(
    State(web): State<Arc<Web>>,
    Peer(peer): Peer,
    body: Bytes,
) -> Response<Body> {
    joined(&web, peer, &body)
        .await
        .unwrap_or_else(|Refused(answer)| *answer)
}

async fn joined(web: &Web, peer: IpAddr, body: &[u8]) -> Result<Response<Body>, Refused> {
    admit(web, peer)?;
    let offer = web.bridge.offer().await.map_err(refuse)?;
    if !offer.allow_unauthenticated_guests {
        return Err(refuse(JoinRefusal::GuestsNotAllowed).into());
    }
    let wanted = Wanted::read(body).map_err(invalid)?;
    let meeting = wanted.meeting(&offer)?;
    let (passcode, secret) = wanted.credentials(&offer)?;
    let name = wanted.name.as_deref().unwrap_or_default().trim().to_owned();
    if name.is_empty() || name.chars().count() > NAME_MAX {
        return Err(invalid("name").into());
    }
    let join = Join {
        meeting,
        passcode,
        secret,
        name,
    };
    let joined = web.bridge.join(Origin { peer }, join).await;
    let joined = joined.map_err(|refusal| match refusal {
        JoinRefusal::PasscodeRequired if !offer.allow_passcodes => {
            refuse(JoinRefusal::PasscodesNotAllowed)
        }
        refusal => missed(web, peer, refusal),
    })?;
    let now = now_s();
    let token = web.key.issue(joined.participant, now);
    let token = token.ok_or_else(|| refuse(JoinRefusal::Unavailable))?;
    Ok(fresh(
        StatusCode::OK,
        json!({
            "token": token,
            "participantId": joined.participant,
            "spaceName": joined.space_name,
            "iceServers": web.config.turn.ice_servers(joined.participant, now),
        }),
    ))
}

/// Whether a page of ours opened the WebSocket: browsers let any page do so, and
/// say which. Other programs say nothing.
fn same_origin(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(origin) = text(ORIGIN) else {
        return !headers.contains_key(ORIGIN);
    };
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    let is_host = |host: &str| authority.is_some_and(|it| it.eq_ignore_ascii_case(host));
    text(HOST).is_some_and(is_host)
}

/// `GET /api/ws`.
pub(crate) async fn socket(
    State(web): State<Arc<Web>>,
    Peer(peer): Peer,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response<Body> {
    if !same_origin(&headers) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let Ok(place) = Arc::clone(&web.sockets).try_acquire_owned() else {
        tracing::warn!(%peer, "too many sockets");
        return refuse(JoinRefusal::Unavailable);
    };
    upgrade
        .max_message_size(MESSAGE_MAX)
        .max_frame_size(MESSAGE_MAX)
        .max_write_buffer_size(4 * MESSAGE_MAX)
        .on_upgrade(move |socket| async move {
            socket::serve(socket, &web, peer).await;
            drop(place);
        })
}

/// One value of a query.
fn query(uri: &Uri, name: &str) -> Option<String> {
    let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let mut values = pairs.filter(|(key, _)| key == name).map(|(_, value)| value);
    values.next().map(std::borrow::Cow::into_owned)
}

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn redirect(to: &str) -> Response<Body> {
    let Ok(to) = HeaderValue::from_str(to) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    (StatusCode::FOUND, [(LOCATION, to)]).into_response()
}

/// Where the app shows a meeting.
fn meeting_path(id: &str, secret: Option<&str>) -> String {
    let secret = secret.map_or_else(String::new, |secret| format!("?secret={}", encoded(secret)));
    format!("/meeting/{}{secret}", encoded(id))
}

/// Links of older invitations: `/invited.sf?id=&secret=` and `?url=`.
pub(crate) async fn invited(uri: Uri) -> Response<Body> {
    match (query(&uri, "id"), query(&uri, "url")) {
        (Some(id), _) => redirect(&meeting_path(&id, query(&uri, "secret").as_deref())),
        (None, Some(url)) => redirect(&format!("/join?uri={}", encoded(&url))),
        (None, None) => redirect("/"),
    }
}

/// `/index.html?id=`, likewise.
pub(crate) async fn landing(uri: Uri) -> Response<Body> {
    match query(&uri, "id") {
        Some(id) => redirect(&meeting_path(&id, query(&uri, "secret").as_deref())),
        None => redirect("/"),
    }
}

/// Everything else is the app's.
pub(crate) async fn file(request: Request) -> Response<Body> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    match files::find(request.uri().path()) {
        Some(asset) => files::answer(asset, request.headers()),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
