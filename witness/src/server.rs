//! The witness over HTTP/1.1: `POST /add-checkpoint`, and `GET /<origin hash>/checkpoint` for whoever watches.
//!
//! Integrity needs no TLS here: what comes in is signed by the log, what goes out by the witness. Who must not see which
//! logs are witnessed puts a proxy with TLS in front.

use crate::request::{REQUEST_BYTES_MAX, Refusal};
use crate::state::origin_hash;
use crate::{Error, Result, Witness};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use shosoin_protocol::Digest;
use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Places whose rates are remembered at a time.
const RATES_MAX: usize = 4096;

/// How much a witness gives to its callers.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// connections open at one time; more wait
    pub connections_max: usize,
    /// requests that one log, or one address, may make at once before it must wait
    pub burst: u32,
    /// requests a second that it gains again
    pub per_second: u32,
    /// for a request to arrive whole
    pub request_timeout: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        ServerOptions { connections_max: 64, burst: 100, per_second: 20, request_timeout: Duration::from_secs(10) }
    }
}

/// A witness that listens.
pub struct Server {
    listener: TcpListener,
    shared: Arc<Shared>,
}

struct Shared {
    witness: Arc<Witness>,
    options: ServerOptions,
    rates: Mutex<HashMap<Vec<u8>, (f64, Instant)>>,
}

impl Server {
    /// Takes the address; port 0 picks a free one.
    pub async fn bind(witness: Witness, listen: SocketAddr, options: ServerOptions) -> Result<Server> {
        let listener = TcpListener::bind(listen).await.map_err(|source| Error::Listen { listen, source })?;
        let shared = Shared { witness: Arc::new(witness), options, rates: Mutex::default() };
        Ok(Server { listener, shared: Arc::new(shared) })
    }

    /// The address it listens on.
    pub fn local_addr(&self) -> Result<SocketAddr> {
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        self.listener.local_addr().map_err(|source| Error::Listen { listen: unknown, source })
    }

    /// Answers until `shutdown` is ready.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let places = Arc::new(Semaphore::new(self.shared.options.connections_max));
        tokio::pin!(shutdown);
        loop {
            let Ok(place) = places.clone().acquire_owned().await else { return };
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = &mut shutdown => return,
            };
            let Ok((stream, peer)) = accepted else {
                tokio::time::sleep(Duration::from_millis(100)).await; // too many open files: waited out
                continue;
            };
            let shared = self.shared.clone();
            tokio::spawn(async move {
                let wait = shared.options.request_timeout;
                let service = hyper::service::service_fn(|request| answer(shared.clone(), peer, request));
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(wait)
                    .serve_connection(TokioIo::new(stream), service);
                if let Err(error) = connection.await {
                    tracing::debug!(%peer, %error, "connection ended early");
                }
                drop(place);
            });
        }
    }
}

async fn answer(
    shared: Arc<Shared>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if !shared.may(peer.ip().to_string().as_bytes()) {
        return Ok(text(429, "too many requests from this address\n"));
    }
    let reply = match (request.method(), request.uri().path()) {
        (&Method::POST, "/add-checkpoint") => add(shared, request).await,
        (&Method::GET, path) => {
            let origin = path.strip_prefix('/').and_then(|path| path.strip_suffix("/checkpoint"));
            let note =
                origin.and_then(|hash| hash.parse().ok()).and_then(|hash: Digest| shared.witness.checkpoint(&hash));
            note.map_or_else(|| text(404, "no checkpoint was co-signed here\n"), |note| text(200, note))
        }
        _ => text(404, "a witness answers POST /add-checkpoint and GET /<origin hash>/checkpoint\n"),
    };
    Ok(reply)
}

async fn add(shared: Arc<Shared>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let body = Limited::new(request.into_body(), REQUEST_BYTES_MAX).collect();
    let body = match timeout(shared.options.request_timeout, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => return text(413, "the request is too large, or broke off\n"),
        Err(_) => return text(408, "the request did not arrive in time\n"),
    };
    let Ok(body) = String::from_utf8(body.to_vec()) else { return text(400, "the request is not text\n") };
    let origin = body.split_once("\n\n").and_then(|(_, note)| note.lines().next()).map(origin_hash);
    if origin.is_some_and(|origin| !shared.may(&origin.0)) {
        return text(429, "too many requests for this log\n");
    }
    let witness = shared.witness.clone();
    let added = tokio::task::spawn_blocking(move || witness.add_checkpoint(&body)).await;
    match added {
        Ok(Ok(Ok(line))) => text(200, line),
        Ok(Ok(Err(Refusal::OtherSize(size)))) => {
            let mut reply = text(409, format!("{size}\n"));
            reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/x.tlog.size"));
            reply
        }
        Ok(Ok(Err(refusal))) => text(refusal.status(), said(&refusal)),
        Ok(Err(error)) => {
            tracing::error!(error = &error as &dyn std::error::Error, "nothing was co-signed");
            text(503, "the witness cannot sign now\n")
        }
        Err(_) => text(500, "the witness met a bug of its own; nothing was signed\n"),
    }
}

fn said(refusal: &Refusal) -> String {
    let why = match refusal {
        Refusal::Malformed(why) | Refusal::Inconsistent(why) => why,
        Refusal::NotTheLog => "no key that is known for this log signed the checkpoint",
        Refusal::UnknownLog => "this witness does not serve the log",
        Refusal::OtherSize(_) => "another size was co-signed last",
    };
    format!("{why}\n")
}

fn text(status: u16, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    reply
}

impl Shared {
    /// Whether `who` may make another request now.
    fn may(&self, who: &[u8]) -> bool {
        let (burst, gain) = (f64::from(self.options.burst), f64::from(self.options.per_second));
        let (mut rates, now) = (self.rates.lock(), Instant::now());
        if rates.len() >= RATES_MAX {
            rates.retain(|_, (left, since)| *left + since.elapsed().as_secs_f64() * gain < burst);
        }
        if rates.len() >= RATES_MAX && !rates.contains_key(who) {
            return false;
        }
        let (left, since) = rates.entry(who.to_vec()).or_insert((burst, now));
        *left = (*left + now.duration_since(*since).as_secs_f64() * gain).min(burst);
        *since = now;
        let may = *left >= 1.0;
        *left -= if may { 1.0 } else { 0.0 };
        may
    }
}
