//! A vault for one command of its operator: asked through its administration socket if a process serves it, opened in
//! this process if none does.

use crate::error::{Error, Result};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use shosoin_protocol::api::Problem;
use shosoin_store::http::admin::socket_path;
use shosoin_store::{CheckOptions, Counters, OpenOptions, Vault};
use std::io::ErrorKind;
use std::path::Path;
use tokio::net::UnixStream;

/// Opens the vault at `dir` in this process.
pub async fn open(dir: &Path) -> Result<Vault> {
    Vault::open(dir, OpenOptions::default()).await.map_err(Error::vault(format!("open vault {}", dir.display())))
}

/// Its status.
pub async fn status(dir: &Path) -> Result<Value> {
    let task = "ask the vault for its status";
    if let Some(status) = ask(dir, task, Method::GET, "/v1/status", Bytes::new()).await? {
        return Ok(status);
    }
    let vault = open(dir).await?;
    let status = vault.status().await.map_err(Error::vault(task));
    finish(&vault, status.map(|status| serde_json::json!(status))).await
}

/// Its check report.
pub async fn check(dir: &Path, options: CheckOptions) -> Result<Value> {
    let task = "check the vault";
    let path = format!("/v1/check?every_unit={}", options.every_unit);
    if let Some(report) = ask(dir, task, Method::POST, &path, Bytes::new()).await? {
        return Ok(report);
    }
    let vault = open(dir).await?;
    let report = vault.check(options).await.map_err(Error::vault(task));
    finish(&vault, report.map(|report| serde_json::json!(report))).await
}

/// Enrols a hospital.
pub async fn enrol(dir: &Path, enrolment: Vec<u8>) -> Result<()> {
    let task = "enrol the hospital";
    if ask(dir, task, Method::POST, "/v1/hospitals", enrolment.clone().into()).await?.is_some() {
        return Ok(());
    }
    let vault = open(dir).await?;
    let enrolled = vault.enrol(&enrolment).map_err(Error::vault(task));
    finish(&vault, enrolled.map(drop)).await
}

/// Closes the vault after a command, whose own failure comes first.
pub async fn finish<T>(vault: &Vault, outcome: Result<T>) -> Result<T> {
    let closed = vault.close().await.map_err(Error::vault("close the vault"));
    let value = outcome?;
    closed.map(|()| value)
}

/// The last line of a process that served: what the vault did meanwhile.
pub fn closed(counters: Counters) -> Value {
    let Counters { groups, records, deposits, syncs } = counters;
    serde_json::json!({ "closed": true, "groups": groups, "records": records, "deposits": deposits, "syncs": syncs })
}

/// Asks the process that serves the vault; nothing if none does.
async fn ask(dir: &Path, task: &'static str, method: Method, path: &str, body: Bytes) -> Result<Option<Value>> {
    let socket = socket_path(dir);
    let stream = match UnixStream::connect(&socket).await {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => return Ok(None),
        Err(error) => return Err(Error::file("connect to", socket)(error)),
    };
    let broken = |error: hyper::Error| Error::file("talk to", socket_path(dir))(std::io::Error::other(error));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    tokio::spawn(connection);
    let request = Request::builder().method(method).uri(path).header("host", "vault").body(Full::new(body));
    let request = request.map_err(|error| Error::invalid("request", error.to_string()))?;
    let (head, body) = sender.send_request(request).await.map_err(broken)?.into_parts();
    let reply = Response::from_parts(head, body.collect().await.map_err(broken)?.to_bytes());
    judge(task, &reply).map(Some)
}

fn judge(task: &'static str, reply: &Response<Bytes>) -> Result<Value> {
    let told = |error: serde_json::Error| Error::invalid("answer of the vault", error.to_string());
    if reply.status().is_success() {
        return serde_json::from_slice(reply.body()).map_err(told);
    }
    let problem: Problem = serde_json::from_slice(reply.body()).map_err(told)?;
    Err(Error::Served { task, problem })
}
