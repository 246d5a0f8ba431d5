//! What a request gets: success in three shapes, refusal in one.
//!
//! Every error of the server becomes a status and a reason here and nowhere else.

use axum::body::Body;
use axum::http::header::{ALLOW, CONTENT_TYPE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Response, StatusCode};
use plenum_model::{EntryPointKind, InvalidField};

use crate::bridge::BridgeError;
use crate::xml::Xml;

/// What an action that went well answers.
#[derive(Debug)]
pub(crate) enum Answer {
    /// A document.
    Shown(Xml),
    /// Static text of this media type.
    Text(&'static str, &'static str),
    /// Something was made or changed, and is to be found at this path.
    At(String),
    /// Something is gone.
    Gone,
}

/// Why a request was not carried out. Nothing was changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Refusal {
    /// The server's word.
    Bridge(BridgeError),
    /// A parameter that must be given was not.
    Missing(&'static str),
    /// A parameter names an object of a kind of which there are none; the
    /// reason is the one given.
    NoSuchReference(&'static str),
    /// No such node.
    Unrecognised,
    /// The node has no such method; it has these.
    Operation(&'static str),
    /// Another version than ours.
    Version,
    /// No credentials, or wrong ones.
    Credentials,
    /// Too many wrong credentials from there; not looked at for so many seconds.
    LockedOut(u64),
    /// Body too large.
    TooLarge,
    /// A body of a type that no node takes.
    MediaType,
    /// Body or query string is no UTF-8 or did not arrive.
    Malformed,
    /// Over the bound; later.
    Busy,
}

impl From<BridgeError> for Refusal {
    fn from(error: BridgeError) -> Self {
        Self::Bridge(error)
    }
}

impl From<InvalidField> for Refusal {
    fn from(invalid: InvalidField) -> Self {
        Self::Bridge(BridgeError::Invalid(invalid))
    }
}

impl From<crate::params::NotUtf8> for Refusal {
    fn from(_: crate::params::NotUtf8) -> Self {
        Self::Malformed
    }
}

impl Answer {
    pub(crate) fn into_response(self) -> Response<Body> {
        match self {
            Self::Shown(xml) => document(StatusCode::OK, xml),
            Self::Text(media_type, text) => with_type(StatusCode::OK, media_type, text.to_owned()),
            Self::At(path) => {
                let mut response = empty(StatusCode::OK);
                if let Ok(path) = HeaderValue::try_from(path) {
                    response.headers_mut().insert(LOCATION, path);
                }
                response
            }
            Self::Gone => empty(StatusCode::OK),
        }
    }
}

impl Refusal {
    /// Status, reason and the reason's attributes. No reason: no body.
    fn describe(self) -> (StatusCode, Option<Reason>) {
        use StatusCode as S;
        let plain = |reason| Some(Reason(reason, None));
        match self {
            Self::Bridge(error) => match error {
                BridgeError::NoSuchSpace => (S::NOT_FOUND, plain("coSpaceDoesNotExist")),
                BridgeError::NoSuchCall => (S::NOT_FOUND, plain("callDoesNotExist")),
                BridgeError::NoSuchCallLeg => (S::NOT_FOUND, plain("callLegDoesNotExist")),
                BridgeError::NoSuchTurnServer => (S::NOT_FOUND, plain("turnServerDoesNotExist")),
                BridgeError::NoSuchWebBridgeProfile => {
                    (S::NOT_FOUND, plain("webBridgeProfileDoesNotExist"))
                }
                BridgeError::NoSuchEntryPoint(EntryPointKind::IvrNumber) => {
                    (S::NOT_FOUND, plain("ivrNumberDoesNotExist"))
                }
                BridgeError::NoSuchEntryPoint(EntryPointKind::WebBridgeAddress) => {
                    (S::NOT_FOUND, plain("webBridgeAddressDoesNotExist"))
                }
                BridgeError::TooManyEntryPoints(EntryPointKind::IvrNumber) => {
                    (S::BAD_REQUEST, plain("tooManyIvrNumbers"))
                }
                BridgeError::TooManyEntryPoints(EntryPointKind::WebBridgeAddress) => {
                    (S::BAD_REQUEST, plain("tooManyWebBridgeAddresses"))
                }
                BridgeError::DuplicateUri => (S::BAD_REQUEST, plain("duplicateCoSpaceUri")),
                BridgeError::DuplicateCallId => (S::BAD_REQUEST, plain("duplicateCoSpaceId")),
                BridgeError::Invalid(InvalidField { parameter }) => {
                    (S::BAD_REQUEST, parameter_error(parameter, "invalidValue"))
                }
                BridgeError::ParticipantLimitReached => {
                    (S::BAD_REQUEST, plain("participantLimitReached"))
                }
                BridgeError::CallLegCannotBeDeleted => {
                    (S::BAD_REQUEST, plain("callLegCannotBeDeleted"))
                }
                BridgeError::Busy => (S::SERVICE_UNAVAILABLE, None),
                BridgeError::DatabaseNotReady => {
                    (S::SERVICE_UNAVAILABLE, plain("databaseNotReady"))
                }
                BridgeError::Internal => (S::INTERNAL_SERVER_ERROR, None),
            },
            Self::Missing(parameter) => (S::BAD_REQUEST, parameter_error(parameter, "missing")),
            Self::NoSuchReference(reason) => (S::BAD_REQUEST, plain(reason)),
            Self::Unrecognised => (S::NOT_FOUND, plain("unrecognisedObject")),
            Self::Operation(_) => (S::METHOD_NOT_ALLOWED, plain("invalidOperation")),
            Self::Version => (S::NOT_FOUND, plain("invalidVersion")),
            Self::Credentials => (S::UNAUTHORIZED, None),
            Self::LockedOut(_) => (S::FORBIDDEN, None),
            Self::TooLarge => (S::PAYLOAD_TOO_LARGE, None),
            Self::MediaType => (S::UNSUPPORTED_MEDIA_TYPE, None),
            Self::Malformed => (S::BAD_REQUEST, None),
            Self::Busy => (S::SERVICE_UNAVAILABLE, None),
        }
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let (status, reason) = self.describe();
        let mut response = match reason {
            Some(Reason(reason, parameter)) => {
                let mut xml = Xml::document();
                xml.element("failureDetails", &[], |xml| match parameter {
                    Some((parameter, error)) => {
                        xml.empty(reason, &[("parameter", parameter), ("error", error)]);
                    }
                    None => xml.empty(reason, &[]),
                });
                document(status, xml)
            }
            None => empty(status),
        };
        let headers = response.headers_mut();
        match self {
            Self::Operation(allowed) => {
                headers.insert(ALLOW, HeaderValue::from_static(allowed));
            }
            Self::Credentials => {
                let challenge =
                    HeaderValue::from_static("Basic realm=\"plenum\", charset=\"UTF-8\"");
                headers.insert(WWW_AUTHENTICATE, challenge);
            }
            Self::LockedOut(seconds) => {
                headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
            }
            _ if status == StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, HeaderValue::from(1));
            }
            _ => {}
        }
        response
    }
}

/// A reason, and of `parameterError` the attributes `parameter` and `error`.
struct Reason(&'static str, Option<(&'static str, &'static str)>);

fn parameter_error(parameter: &'static str, error: &'static str) -> Option<Reason> {
    Some(Reason("parameterError", Some((parameter, error))))
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn document(status: StatusCode, xml: Xml) -> Response<Body> {
    with_type(status, "text/xml", xml.finish())
}

fn with_type(status: StatusCode, media_type: &'static str, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
