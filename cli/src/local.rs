//! Asking a process of this machine through the socket in its folder.

use crate::error::{Error, Result};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use shosoin_protocol::api::Problem;
use std::io::ErrorKind;
use std::path::Path;
use tokio::net::UnixStream;

/// Asks the process that listens; nothing if none does.
pub async fn ask(socket: &Path, task: &'static str, method: Method, path: &str, body: Bytes) -> Result<Option<Value>> {
    let Some(body) = send(socket, task, method, path, body).await? else { return Ok(None) };
    let bytes = body.collect().await.map_err(broken(socket))?.to_bytes();
    let unlike = |error: serde_json::Error| Error::invalid("answer of the process that serves", error.to_string());
    serde_json::from_slice(&bytes).map(Some).map_err(unlike)
}

/// Sends a request to the process that listens and gives the body of a success; nothing if none listens.
pub async fn send(
    socket: &Path,
    task: &'static str,
    method: Method,
    path: &str,
    body: Bytes,
) -> Result<Option<Incoming>> {
    let stream = match UnixStream::connect(socket).await {
        Ok(stream) => stream,
        // under a name that is too long for a socket nobody can listen
        Err(error)
            if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::InvalidInput) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(Error::file("connect to", socket)(error)),
    };
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken(socket))?;
    tokio::spawn(connection);
    let request = Request::builder().method(method).uri(path).header("host", "shosoin").body(Full::new(body));
    let request = request.map_err(|error| Error::invalid("request", error.to_string()))?;
    let reply = sender.send_request(request).await.map_err(broken(socket))?;
    if reply.status().is_success() {
        return Ok(Some(reply.into_body()));
    }
    let bytes = reply.into_body().collect().await.map_err(broken(socket))?.to_bytes();
    let told = |error: serde_json::Error| Error::invalid("answer of the process that serves", error.to_string());
    Err(Error::Served { task, problem: serde_json::from_slice::<Problem>(&bytes).map_err(told)? })
}

fn broken(socket: &Path) -> impl FnOnce(hyper::Error) -> Error {
    move |error| Error::file("talk to", socket)(std::io::Error::other(error))
}
