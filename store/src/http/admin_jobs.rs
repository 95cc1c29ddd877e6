//! Jobs over the administration socket. A run answers with one line of JSON for each look at it and a last one with its
//! result; a caller that goes away asks it to stop at its next safe point.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET /v1/jobs` | | [`JobsReport`](crate::jobs::JobsReport) as JSON |
//! | `POST /v1/jobs/{job}?dry_run=&volume=&hospital=&max_duration_ms=&rate=&every_unit=&onto=&amplification=` | | lines: `{"progress": ..}`, then `{"report": ..}` or `{"problem": ..}` |
//! | `DELETE /v1/jobs/{job}` | | `{"cancelled": bool}` |
//! | `GET /metrics` | | figures in the text form of Prometheus |

use super::admin::Peer;
use super::lines;
use super::reply::{self, Refusal, Reply};
use super::routes::parse_query;
use crate::compaction::Amplification;
use crate::jobs::{JobKind, JobOptions};
use crate::{Vault, metrics};
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Path, State};
use axum::routing::{get, post};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, Uri};
use serde::Deserialize;
use serde_json::json;
use shosoin_protocol::ErrorKind;
use std::time::Duration;

/// The routes.
pub(super) fn routes() -> Router<Vault> {
    Router::new()
        .route("/v1/jobs", get(jobs))
        .route("/v1/jobs/{job}", post(run).delete(cancel))
        .route("/metrics", get(admin_metrics))
}

async fn jobs(State(vault): State<Vault>, ConnectInfo(peer): ConnectInfo<Peer>) -> Reply {
    Ok(reply::json(&vault.jobs_for(&peer.caller).await?))
}

/// What is asked of a run.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RunQuery {
    dry_run: bool,
    volume: Option<String>,
    hospital: Option<String>,
    max_duration_ms: Option<u64>,
    rate: Option<u64>,
    every_unit: bool,
    onto: Option<String>,
    amplification: Option<Amplification>,
}

impl RunQuery {
    fn options(self) -> Result<JobOptions, Refusal> {
        Ok(JobOptions {
            dry_run: self.dry_run,
            volume: self.volume.map(|text| text.parse()).transpose()?,
            hospital: self.hospital.map(|text| text.parse()).transpose()?,
            max_duration: self.max_duration_ms.map(Duration::from_millis),
            rate: self.rate,
            every_unit: self.every_unit,
            onto: self.onto.map(|text| text.parse()).transpose()?,
            amplification: self.amplification,
            released: false,
        })
    }
}

fn kind_of(name: &str) -> Result<JobKind, Refusal> {
    JobKind::parse(name)
        .ok_or_else(|| Refusal::new(ErrorKind::NotFound, "no-such-job", format!("there is no job {name}")))
}

async fn run(
    State(vault): State<Vault>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(job): Path<String>,
    uri: Uri,
) -> Reply {
    let kind = kind_of(&job)?;
    let options = parse_query::<RunQuery>(&uri)?.options()?;
    vault.admit_job(&peer.caller, kind, &options).await?;
    let seen = vault.clone();
    let stopped = vault.clone();
    let work = async move { Ok(json!(vault.run_job(kind, options).await?)) };
    let progress = move || seen.job_progress(kind).map(|progress| json!(progress));
    Ok(lines::answer(work, progress, move || {
        stopped.cancel_job(kind);
    }))
}

async fn cancel(State(vault): State<Vault>, ConnectInfo(peer): ConnectInfo<Peer>, Path(job): Path<String>) -> Reply {
    let cancelled = vault.cancel_job_for(&peer.caller, kind_of(&job)?).await?;
    Ok(reply::json(&json!({ "cancelled": cancelled })))
}

async fn admin_metrics(State(vault): State<Vault>, ConnectInfo(peer): ConnectInfo<Peer>) -> Reply {
    Ok(metrics_reply(vault.metrics_for(&peer.caller).await?))
}

pub(super) async fn show_metrics(State(vault): State<Vault>) -> Reply {
    Ok(metrics_reply(vault.metrics().await?))
}

fn metrics_reply(figures: String) -> Response<Body> {
    let mut response = reply::text(figures);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(metrics::CONTENT_TYPE));
    response
}
