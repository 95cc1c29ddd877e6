//! Answers of the vault API: bytes, JSON, and problems with the status of their [`ErrorKind`].

use crate::Error;
use axum::body::Body;
use axum::response::IntoResponse;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;
use shosoin_protocol::ErrorKind;
use shosoin_protocol::api::Problem;

/// Seconds after which a caller may try again what was unavailable.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// What a handler gives back.
pub(super) type Reply = Result<Response<Body>, Refusal>;

/// A failure on its way to the caller.
pub(super) struct Refusal(Problem);

impl Refusal {
    /// From its parts.
    pub(super) fn new(kind: ErrorKind, code: &str, message: impl Into<String>) -> Self {
        Refusal(Problem { kind: kind.name().to_owned(), code: code.to_owned(), message: message.into() })
    }

    /// What the caller can do about it.
    #[cfg(test)]
    pub(super) fn kind(&self) -> ErrorKind {
        self.0.kind()
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        if matches!(error.kind(), ErrorKind::Damaged | ErrorKind::Bug) {
            tracing::error!(error = &error as &dyn std::error::Error, "a request failed");
        }
        Refusal(error.problem())
    }
}

impl From<shosoin_protocol::Error> for Refusal {
    fn from(error: shosoin_protocol::Error) -> Self {
        Refusal::new(ErrorKind::Invalid, "malformed", error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response<Body> {
        let kind = self.0.kind();
        let mut reply = json(&self.0);
        let status = if self.0.code == shosoin_protocol::api::code::DISPOSED { 410 } else { kind.http_status() };
        *reply.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if kind == ErrorKind::Unavailable {
            reply.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
        }
        reply
    }
}

/// Bytes in the canonical encoding.
pub(super) fn bytes(body: impl Into<Bytes>) -> Response<Body> {
    with_type("application/octet-stream", body.into())
}

/// Text as it is.
pub(super) fn text(body: String) -> Response<Body> {
    with_type("text/plain; charset=utf-8", body.into())
}

/// JSON.
pub(super) fn json(value: &impl Serialize) -> Response<Body> {
    match serde_json::to_vec(value) {
        Ok(body) => with_type("application/json", body.into()),
        Err(_) => bug(),
    }
}

/// What is said when an invariant of ours is broken.
pub(super) fn bug() -> Response<Body> {
    let mut reply = with_type(
        "application/json",
        Bytes::from_static(
            br#"{"kind":"bug","code":"bug","message":"the vault met a bug of its own; nothing was stored"}"#,
        ),
    );
    *reply.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    reply
}

fn with_type(content_type: &'static str, body: Bytes) -> Response<Body> {
    let mut reply = Response::new(Body::from(body));
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_answers_with_its_status_and_only_unavailable_asks_to_come_back() {
        for kind in ErrorKind::ALL {
            let reply = Refusal::new(kind, "code", "message").into_response();
            assert_eq!(reply.status().as_u16(), kind.http_status());
            assert_eq!(reply.headers().contains_key(RETRY_AFTER), kind == ErrorKind::Unavailable);
        }
    }
}
