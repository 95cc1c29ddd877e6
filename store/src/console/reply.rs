//! Answers of the console, and failures on their way to becoming a page.

use crate::error::Error;
use axum::body::Body;
use axum::response::IntoResponse;
use http::header::{CONTENT_TYPE, LOCATION, SET_COOKIE};
use http::{HeaderValue, Response, StatusCode};
use std::sync::Arc;

/// What a handler gives back.
pub(super) type Reply = Result<Response<Body>, Refused>;

/// Why a handler did nothing. `gate` makes a page of it in the language of who asked.
#[derive(Debug, Clone)]
pub(super) struct Refused(pub(super) Arc<Error>);

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Refused(Arc::new(error))
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response<Body> {
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        answer.extensions_mut().insert(self);
        answer
    }
}

/// A whole page.
pub(super) fn html(text: String) -> Response<Body> {
    with_type("text/html; charset=utf-8", text)
}

/// A file of our own.
pub(super) fn file(content_type: &'static str, text: &'static str) -> Response<Body> {
    with_type(content_type, text)
}

/// JSON.
pub(super) fn json(value: &serde_json::Value) -> Response<Body> {
    with_type("application/json", value.to_string())
}

/// Somewhere else of ours, to be fetched with GET. `to` is never made of what somebody sent but of ids and names of ours.
pub(super) fn see(to: &str) -> Response<Body> {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::SEE_OTHER;
    let to = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
    answer.headers_mut().insert(LOCATION, to);
    answer
}

/// The same answer, with a cookie. One that cannot be a header is left out, and whoever needed it logs on again.
pub(super) fn with_cookie(mut answer: Response<Body>, cookie: &str) -> Response<Body> {
    if let Ok(mut value) = HeaderValue::from_str(cookie) {
        value.set_sensitive(true);
        answer.headers_mut().append(SET_COOKIE, value);
    }
    answer
}

/// The same answer, with another status.
pub(super) fn with_status(mut answer: Response<Body>, status: StatusCode) -> Response<Body> {
    *answer.status_mut() = status;
    answer
}

fn with_type(content_type: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut answer = Response::new(body.into());
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}
