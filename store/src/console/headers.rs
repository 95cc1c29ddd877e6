//! What every answer of the console says to the browser, whatever it answers.

use axum::body::Body;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderValue, Response};

/// Nothing from elsewhere, nothing inside a page, nobody's frame.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Besides that policy. A `no-referrer` would make browsers say `Origin: null` for forms of ours.
const ALWAYS: [(HeaderName, &str); 8] = [
    (CACHE_CONTROL, "no-store"),
    (STRICT_TRANSPORT_SECURITY, "max-age=63072000"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
];

/// Puts them on an answer. A page may bring a policy that is stricter in its own way; nothing may bring another of the rest.
pub(super) fn dress(mut answer: Response<Body>) -> Response<Body> {
    let headers = answer.headers_mut();
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// The policy of a page that is handed over as one file: its own style, known by its digest, and nothing else.
pub(super) fn policy_of_file(style_digest: &str) -> String {
    format!(
        "default-src 'none'; style-src 'sha256-{style_digest}'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )
}
