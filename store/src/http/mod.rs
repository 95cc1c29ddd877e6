//! The vault API over HTTP/1.1 and mutual TLS 1.3: what [`shosoin_protocol::api`] describes, for hospitals that are
//! enrolled, and for nobody else.
//!
//! Invariants
//! - Who calls is decided once, in the handshake, by the pin of the client's key ([`tls`]); no request names a hospital.
//! - Everything is bounded: connections, bytes in memory (`budget`), the size of each body, and the time a peer may
//!   take to shake hands, to send and to receive (`stall`).
//! - A drain answers every request that was begun, or gives up after a deadline and says so.
//!
//! Not here: what the calls mean (`Vault`), their messages (`protocol::api`).

pub mod admin;
mod admin_handover;
mod admin_jobs;
mod budget;
mod lines;
pub mod metrics;
mod reply;
mod routes;
mod stall;
pub mod tls;

use crate::{Error, Result, Vault};
use axum::Router;
use axum::body::Body;
use budget::Budget;
use futures::FutureExt as _;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use shosoin_protocol::HospitalId;
use stall::StallGuard;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower_service::Service as _;

/// How much a vault gives to its callers at once, and how long it waits for them.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// connections open at one time; more wait to be accepted
    pub connections_max: usize,
    /// bytes of request and reply bodies in memory at one time; more requests wait
    pub body_bytes_max: usize,
    /// for a handshake
    pub handshake_timeout: Duration,
    /// for the next request on an open connection
    pub idle_timeout: Duration,
    /// without any byte from or to a peer in the middle of a body
    pub stall_timeout: Duration,
    /// for the requests that were begun when the vault was asked to stop
    pub drain_timeout: Duration,
}

impl Default for HttpOptions {
    fn default() -> Self {
        HttpOptions {
            connections_max: 512,
            body_bytes_max: 160 << 20,
            handshake_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(90),
            stall_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(30),
        }
    }
}

/// A vault that listens; [`run`](Self::run) answers.
pub struct Server {
    listener: TcpListener,
    shared: Arc<Shared>,
}

/// What every connection needs.
struct Shared {
    vault: Vault,
    acceptor: TlsAcceptor,
    router: Router,
    options: HttpOptions,
}

impl Server {
    /// Takes the address; port 0 picks a free one. Callers may connect once this returns, and are answered by `run`.
    pub async fn bind(vault: Vault, listen: SocketAddr, options: HttpOptions) -> Result<Server> {
        let listener = TcpListener::bind(listen).await.map_err(|source| Error::Listen { listen, source })?;
        let acceptor = TlsAcceptor::from(tls::server_config(&vault)?);
        let budget = Budget::new(options.body_bytes_max, options.stall_timeout);
        let router = routes::router(vault.clone(), budget);
        Ok(Server { listener, shared: Arc::new(Shared { vault, acceptor, router, options }) })
    }

    /// The address it listens on.
    pub fn local_addr(&self) -> Result<SocketAddr> {
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        self.listener.local_addr().map_err(|source| Error::Listen { listen: unknown, source })
    }

    /// Answers until `shutdown` is ready, then finishes what was begun. The vault itself stays open.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let graceful = GracefulShutdown::new();
        let places = Arc::new(Semaphore::new(self.shared.options.connections_max));
        tokio::pin!(shutdown);
        loop {
            let (stream, peer, place) = tokio::select! {
                accepted = accept(&self.listener, &places) => accepted,
                () = &mut shutdown => break,
            };
            let (shared, watcher) = (self.shared.clone(), graceful.watcher());
            tokio::spawn(async move {
                serve_connection(&shared, stream, peer, watcher).await;
                drop(place);
            });
        }
        drop(self.listener);
        if timeout(self.shared.options.drain_timeout, graceful.shutdown()).await.is_err() {
            tracing::warn!(
                "stopped although some requests were not finished: their callers saw no answer and will retry"
            );
        }
    }
}

/// The next connection, once there is a place for it. A failure to accept (too many open files) is waited out.
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { std::future::pending().await };
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, place),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection; trying again");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve_connection(shared: &Shared, stream: TcpStream, peer: SocketAddr, watcher: Watcher) {
    let Ok(handshake) = timeout(shared.options.handshake_timeout, shake_hands(shared, stream)).await else {
        return tracing::info!(%peer, "gave up on a handshake that took too long");
    };
    let Some((stream, hospital)) = handshake else { return };
    let router = &shared.router;
    let service = hyper::service::service_fn(|request| answer(router.clone(), hospital, request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(shared.options.idle_timeout)
        .serve_connection(TokioIo::new(StallGuard::new(stream, shared.options.stall_timeout)), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%peer, %hospital, %error, "connection ended early");
    }
}

/// The encrypted stream and the hospital at its other end; nothing if there is no hospital there.
async fn shake_hands(shared: &Shared, stream: TcpStream) -> Option<(TlsStream<TcpStream>, HospitalId)> {
    let _ = stream.set_nodelay(true);
    match shared.acceptor.accept(stream).into_fallible().await {
        Ok(stream) => {
            let certificate = stream.get_ref().1.peer_certificates()?.first()?;
            let hospital = shared.vault.hospital_by_pin(&tls::pin_of(certificate).ok()?)?;
            Some((stream, hospital))
        }
        Err((error, stream)) => {
            tracing::info!(%error, "handshake failed");
            let_the_alert_arrive(stream).await;
            None
        }
    }
}

/// Reads what the peer still sends: closing with unread bytes resets the connection, and the peer would see the reset
/// in place of the alert that says why it was refused. Bounded by the handshake's timeout.
async fn let_the_alert_arrive(mut stream: TcpStream) {
    let mut ignored = [0; 1024];
    if stream.shutdown().await.is_ok() {
        while matches!(stream.read(&mut ignored).await, Ok(1..)) {}
    }
}

/// One request. A panic below becomes an answer, not a lost connection.
async fn answer(
    mut router: Router,
    hospital: HospitalId,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(hospital);
    match AssertUnwindSafe(router.call(request)).catch_unwind().await {
        Ok(reply) => reply,
        Err(_) => Ok(reply::bug()),
    }
}
