//! What this machine asks a gateway that runs: its state for a person, a snapshot now, figures for a Prometheus.
//!
//! Invariants
//! - The socket is in a folder that this process has to itself, and only its user opens it.
//! - Figures are shown to whoever asks, so their address is a loopback address, and they hold no name, no key and no record.
//! - What is shown is what this gateway knows. The vault is not asked, so it is shown while the vault is away as well.

use crate::error::Error;
use crate::snapshots::Snapshots;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, serve};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use shosoin_client::{Client, SnapshotMade, Standing};
use shosoin_protocol::ErrorKind;
use shosoin_protocol::api::Problem;
use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use tokio::net::{TcpListener, UnixListener};

/// Type of the figures.
const FIGURES: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Code of a failure that is this gateway's own.
const CODE: &str = "gateway";

/// Where the socket of the gateway with this state folder is.
pub fn socket_path(state: &Path) -> PathBuf {
    state.join("gateway.sock")
}

/// A snapshot that was made, as programs are told of it.
pub fn snapshot_answer(made: &SnapshotMade) -> Value {
    let SnapshotMade { id, log_size, rows, pieces, plain_bytes, sealed_bytes } = made;
    json!({
        "snapshot": id.to_string(), "log_size": log_size, "rows": rows, "pieces": pieces, "plain_bytes": plain_bytes,
        "sealed_bytes": sealed_bytes,
    })
}

/// Requests since it began.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) requests: AtomicU64,
    /// answered with a status of 500 or above
    pub(crate) failed: AtomicU64,
}

/// What is asked.
pub(crate) struct Seen {
    pub(crate) client: Client,
    pub(crate) snapshots: Arc<Snapshots>,
    pub(crate) counts: Arc<Counts>,
}

/// The socket and the address for figures, which listen; [`run`](Self::run) answers.
pub(crate) struct Local {
    socket: Option<UnixListener>,
    path: PathBuf,
    figures: Option<TcpListener>,
    seen: Arc<Seen>,
}

impl Local {
    /// Listens. Where there can be no socket, as in a folder with too long a name, records are stored and read all the same.
    pub(crate) async fn bind(path: PathBuf, figures: Option<SocketAddr>, seen: Seen) -> Result<Local, Error> {
        let socket = listen(&path);
        if let Err(error) = &socket {
            tracing::warn!(%error, path = %path.display(), "no `gateway status` and no snapshot on demand: there is no socket");
        }
        let figures = match figures {
            None => None,
            Some(address) if !address.ip().is_loopback() => {
                let why = "it must be a loopback address, as figures are shown to whoever asks";
                return Err(Error::Invalid { what: "listen of [metrics]", value: address.to_string(), why });
            }
            Some(address) => {
                Some(TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })?)
            }
        };
        Ok(Local { socket: socket.ok(), path, figures, seen: Arc::new(seen) })
    }

    /// Where figures are shown, if anywhere.
    pub(crate) fn figures(&self) -> Option<SocketAddr> {
        self.figures.as_ref()?.local_addr().ok()
    }

    /// Answers for ever; who started it ends it.
    pub(crate) async fn run(self) {
        let shown = || Router::new().route("/metrics", get(figures));
        let asked = shown().route("/v1/status", get(status)).route("/v1/snapshot", post(snapshot));
        let (asked, shown) = (asked.with_state(self.seen.clone()), shown().with_state(self.seen));
        let on_socket = async {
            match self.socket {
                Some(socket) => serve(socket, asked).await,
                None => Ok(()),
            }
        };
        let on_address = async {
            match self.figures {
                Some(listener) => serve(listener, shown).await,
                None => Ok(()),
            }
        };
        if let Err(error) = futures::future::try_join(on_socket, on_address).await {
            tracing::warn!(%error, path = %self.path.display(), "the socket of this gateway failed");
        }
    }
}

/// A socket left by a process that was killed is replaced: the lock of the folder says that nobody uses it.
fn listen(path: &Path) -> std::io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = UnixListener::bind(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(socket)
}

async fn status(State(seen): State<Arc<Seen>>) -> Result<Response, Refusal> {
    let (standing, snapshots) = (seen.client.known_standing()?, seen.snapshots.look().await?);
    let Standing { device, entries, known, read_only, head, from_snapshot } = standing;
    Ok(reply(&json!({
        "device": device.to_string(),
        "read_only": read_only,
        "entries": entries,
        "known": known,
        "log_size": seen.client.entries(),
        "head": head.as_ref().map(|head| format!("{}:{}", head.size, head.root)),
        "head_time_ms": head.as_ref().map(|head| head.time_ms),
        "from_snapshot": from_snapshot,
        "snapshot": snapshots.alive(),
        "snapshot_due": snapshots.due(seen.snapshots.rule(), device),
        "requests": seen.counts.requests.load(Ordering::Relaxed),
        "requests_failed": seen.counts.failed.load(Ordering::Relaxed),
        "upload_bytes": seen.client.upload_bytes_in_use(),
    })))
}

async fn snapshot(State(seen): State<Arc<Seen>>) -> Result<Response, Refusal> {
    Ok(reply(&snapshot_answer(&seen.snapshots.make().await?)))
}

async fn figures(State(seen): State<Arc<Seen>>) -> Result<Response, Refusal> {
    let (standing, snapshots) = (seen.client.known_standing()?, seen.snapshots.look().await?);
    let mut page = Registry::with_prefix("shosoin_gateway");
    let mut gauge = |name: &str, help: &str, value: u64| {
        let gauge = Gauge::<i64, AtomicI64>::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        page.register(name, help, gauge);
    };
    let read_only = u64::from(standing.read_only);
    gauge(
        "read_only",
        "1 while it stores nothing, because another signed with its key, until a person confirms",
        read_only,
    );
    gauge("log_entries", "Entries of the ledger that it has read and verified", seen.client.entries());
    gauge(
        "snapshot_entries",
        "Entries that the newest snapshot stands behind; 0: there is none",
        snapshots.alive().unwrap_or(0),
    );
    gauge("upload_bytes", "Bytes of uploads in memory", seen.client.upload_bytes_in_use() as u64);
    let mut counter = |name: &str, help: &str, value: &AtomicU64| {
        let counter = Counter::<u64>::default();
        counter.inc_by(value.load(Ordering::Relaxed));
        page.register(name, help, counter);
    };
    counter("requests", "Requests of S3 clients", &seen.counts.requests);
    counter("requests_failed", "Those answered with a status of 500 or above", &seen.counts.failed);
    let mut text = String::new();
    encode(&mut text, &page).map_err(|_| Refusal::bug("figures could not be written as text"))?;
    Ok(([(CONTENT_TYPE, FIGURES)], text).into_response())
}

fn reply(answer: &Value) -> Response {
    ([(CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
}

/// A failure on its way to who asked.
struct Refusal(Problem);

impl Refusal {
    fn bug(message: &str) -> Refusal {
        Refusal(Problem { kind: ErrorKind::Bug.name().to_owned(), code: CODE.to_owned(), message: message.to_owned() })
    }
}

impl From<shosoin_client::Error> for Refusal {
    fn from(error: shosoin_client::Error) -> Self {
        if let shosoin_client::Error::Vault(problem) = error.root() {
            return Refusal(problem.clone());
        }
        let mut message = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            message = format!("{message}: {error}");
            cause = error.source();
        }
        Refusal(Problem { kind: error.kind().name().to_owned(), code: CODE.to_owned(), message })
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.kind().http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let problem = serde_json::to_string(&self.0).unwrap_or_default();
        let mut response = Response::new(Body::from(problem));
        *response.status_mut() = status;
        response
    }
}
