//! Work that takes long, over the administration socket: a line of JSON for each look at it, and a last one with its result.
//! A caller that goes away asks it to stop at its next safe point.

use crate::Result;
use axum::body::Body;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::mpsc;

/// How often a run says how far it has come.
const LOOK: Duration = Duration::from_millis(500);
/// Lines that may wait for a caller.
const LINES_MAX: usize = 16;

/// Lines `{"progress": ..}` while `work` goes on, then `{"report": ..}` or `{"problem": ..}`.
pub(super) fn answer(
    work: impl Future<Output = Result<Value>> + Send + 'static,
    progress: impl Fn() -> Option<Value> + Send + Sync + 'static,
    stop: impl FnOnce() + Send + 'static,
) -> Response<Body> {
    let (lines, mut told) = mpsc::channel(LINES_MAX);
    tokio::spawn(follow(work, progress, stop, lines));
    let body = futures::stream::poll_fn(move |context| told.poll_recv(context));
    let mut response = Response::new(Body::from_stream(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    response
}

/// Tells how far it has come until it ends or nobody listens.
async fn follow(
    work: impl Future<Output = Result<Value>>,
    progress: impl Fn() -> Option<Value>,
    stop: impl FnOnce(),
    lines: mpsc::Sender<Result<Bytes, Infallible>>,
) {
    let mut work = Box::pin(work);
    let mut look = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            ended = &mut work => {
                let last = match ended {
                    Ok(report) => json!({ "report": report }),
                    Err(error) => json!({ "problem": error.problem() }),
                };
                let _ = lines.send(Ok(line(&last))).await;
                return;
            }
            () = lines.closed() => break,
            _ = look.tick() => {
                let progress = progress().map(|progress| line(&json!({ "progress": progress })));
                let _ = progress.map(|line| lines.try_send(Ok(line)));
            }
        }
    }
    stop();
    let _ = work.await;
}

fn line(value: &Value) -> Bytes {
    format!("{value}\n").into()
}
