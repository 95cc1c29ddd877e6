//! A TLS address that answers HTTP/1.1: the bounds that the vault API and the console share.
//!
//! Invariants
//! - Everything is bounded: connections, and the time a peer may take to shake hands, to send a request and to take its answer.
//! - Whoever is at the other end is known, or turned away, before the first request is read.
//! - A drain answers every request that was begun, or gives up after a deadline and says so.
//!
//! Not here: who is let in, and what requests mean ([`Service`]); the size of bodies.

use super::HttpOptions;
use super::stall::StallGuard;
use crate::error::{Error, Result};
use crate::network::TurnedAway;
use axum::body::Body;
use futures::FutureExt as _;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustls::ServerConfig;
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

/// Who is served, and with what.
pub(crate) trait Service: Send + Sync + 'static {
    /// What is held while a connection lasts.
    type Place: Send + 'static;
    /// Who is at the other end.
    type Peer: Clone + Send + Sync + 'static;

    /// Whether a connection from this address may begin at all.
    fn admit(self: &Arc<Self>, from: SocketAddr) -> Option<Self::Place>;
    /// Who shook hands; nobody ends the connection.
    fn meet(&self, stream: &TlsStream<TcpStream>, from: SocketAddr) -> Option<Self::Peer>;
    /// Puts on record who shook hands, before they are answered; false ends the connection.
    fn entered(&self, peer: &Self::Peer) -> impl Future<Output = bool> + Send;
    /// Somebody came as far as the handshake and no further.
    fn turned_away(&self, from: SocketAddr, why: TurnedAway);
    /// Answers a request.
    fn answer(&self, peer: Self::Peer, request: Request<Incoming>) -> impl Future<Output = Response<Body>> + Send;
    /// What is answered where a panic ended a request.
    fn bug(&self) -> Response<Body>;
}

/// An address that is taken; [`run`](Self::run) answers.
pub(crate) struct Listener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    options: HttpOptions,
}

impl Listener {
    /// Takes the address; port 0 picks a free one. Callers may connect once this returns, and are answered by `run`.
    pub(crate) async fn bind(listen: SocketAddr, tls: Arc<ServerConfig>, options: HttpOptions) -> Result<Self> {
        let listener = TcpListener::bind(listen).await.map_err(|source| Error::Listen { listen, source })?;
        Ok(Listener { listener, acceptor: TlsAcceptor::from(tls), options })
    }

    /// The address it listens on.
    pub(crate) fn local_addr(&self) -> Result<SocketAddr> {
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        self.listener.local_addr().map_err(|source| Error::Listen { listen: unknown, source })
    }

    /// Answers until `shutdown` is ready, then finishes what was begun.
    pub(crate) async fn run<S: Service>(self, service: Arc<S>, shutdown: impl Future<Output = ()>) {
        let Listener { listener, acceptor, options } = self;
        let graceful = GracefulShutdown::new();
        let places = Arc::new(Semaphore::new(options.connections_max));
        tokio::pin!(shutdown);
        loop {
            let (stream, from, place) = tokio::select! {
                accepted = accept(&listener, &places) => accepted,
                () = &mut shutdown => break,
            };
            let Some(admitted) = service.admit(from) else { continue };
            let connection = Connection { service: service.clone(), options: options.clone(), from };
            let (acceptor, watcher) = (acceptor.clone(), graceful.watcher());
            tokio::spawn(async move {
                connection.serve(&acceptor, stream, watcher).await;
                drop((place, admitted));
            });
        }
        drop(listener);
        if timeout(options.drain_timeout, graceful.shutdown()).await.is_err() {
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

struct Connection<S> {
    service: Arc<S>,
    options: HttpOptions,
    from: SocketAddr,
}

impl<S: Service> Connection<S> {
    async fn serve(&self, acceptor: &TlsAcceptor, stream: TcpStream, watcher: Watcher) {
        let from = self.from;
        let Ok(handshake) = timeout(self.options.handshake_timeout, self.shake_hands(acceptor, stream)).await else {
            return self.service.turned_away(from, TurnedAway::NoHandshake);
        };
        let Some((stream, peer)) = handshake else { return };
        if !self.service.entered(&peer).await {
            return;
        }
        let service = hyper::service::service_fn(|request| self.answer(peer.clone(), request));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.options.idle_timeout)
            .serve_connection(TokioIo::new(StallGuard::new(stream, self.options.stall_timeout)), service);
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(peer = %from, %error, "connection ended early");
        }
    }

    /// The encrypted stream and who is at its other end; nothing if nobody is there who is let in.
    async fn shake_hands(&self, acceptor: &TlsAcceptor, stream: TcpStream) -> Option<(TlsStream<TcpStream>, S::Peer)> {
        let _ = stream.set_nodelay(true);
        match acceptor.accept(stream).into_fallible().await {
            Ok(stream) => {
                let peer = self.service.meet(&stream, self.from)?;
                Some((stream, peer))
            }
            Err((error, stream)) => {
                tracing::debug!(%error, "handshake failed");
                self.service.turned_away(self.from, why(&error));
                let_the_alert_arrive(stream).await;
                None
            }
        }
    }

    /// One request. A panic below becomes an answer, not a lost connection.
    async fn answer(&self, peer: S::Peer, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let answered = AssertUnwindSafe(self.service.answer(peer, request)).catch_unwind().await;
        Ok(answered.unwrap_or_else(|_| self.service.bug()))
    }
}

/// Why a handshake came to nothing.
fn why(error: &std::io::Error) -> TurnedAway {
    match error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(_)) => TurnedAway::UnknownKey,
        Some(rustls::Error::NoCertificatesPresented) => TurnedAway::NoKey,
        _ => TurnedAway::NoHandshake,
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
