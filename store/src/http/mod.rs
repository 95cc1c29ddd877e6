//! The vault API over HTTP/1.1 and mutual TLS 1.3: what [`shosoin_protocol::api`] describes, for hospitals that are
//! enrolled, and for nobody else.
//!
//! Invariants
//! - Who calls is decided once, in the handshake, by the pin of the client's key ([`tls`]); no request names a hospital.
//! - Everything is bounded: connections (`listener`), bytes in memory (`budget`), the size of each body, and the time a
//!   peer may take to shake hands, to send and to receive (`stall`).
//!
//! Not here: what the calls mean (`Vault`), their messages (`protocol::api`).

pub mod admin;
mod admin_handover;
mod admin_jobs;
mod budget;
mod lines;
pub(crate) mod listener;
pub mod metrics;
mod reply;
mod routes;
mod stall;
pub mod tls;

use crate::network::{Guest, TurnedAway};
use crate::read_log::Visitor;
use crate::{Error, Result, Vault};
use axum::Router;
use axum::body::Body;
use budget::Budget;
use http::{Request, Response};
use hyper::body::Incoming;
use listener::Listener;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
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
    listener: Listener,
    hospitals: Arc<Hospitals>,
}

impl Server {
    /// Takes the address; port 0 picks a free one. Callers may connect once this returns, and are answered by `run`.
    pub async fn bind(vault: Vault, listen: SocketAddr, options: HttpOptions) -> Result<Server> {
        let budget = Budget::new(options.body_bytes_max, options.stall_timeout);
        let router = routes::router(vault.clone(), budget);
        let listener = Listener::bind(listen, tls::server_config(&vault)?, options).await?;
        Ok(Server { listener, hospitals: Arc::new(Hospitals { vault, router }) })
    }

    /// The address it listens on.
    pub fn local_addr(&self) -> Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until `shutdown` is ready, then finishes what was begun. The vault itself stays open.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        self.listener.run(self.hospitals, shutdown).await;
    }
}

/// Who is at the other end.
#[derive(Debug, Clone, Copy)]
struct Caller {
    visitor: Visitor,
    /// it may deposit, and nothing else
    only_deposits: bool,
}

/// The API, for hospitals that are enrolled.
struct Hospitals {
    vault: Vault,
    router: Router,
}

impl listener::Service for Hospitals {
    type Place = ();
    type Peer = Caller;

    fn admit(self: &Arc<Self>, from: SocketAddr) -> Option<()> {
        self.vault.inner.line_from(from.ip()).map_err(|why| self.turned_away(from, why)).ok()
    }

    fn meet(&self, stream: &TlsStream<TcpStream>, from: SocketAddr) -> Option<Caller> {
        let certificate = stream.get_ref().1.peer_certificates()?.first()?;
        let (hospital, device) = self.vault.device_by_pin(&tls::pin_of(certificate).ok()?)?;
        // a role is stated before its device joins and never changes, so what the handshake finds holds for the connection
        let only_deposits = self.vault.only_deposits(hospital, device).ok()?;
        if let Err(why) = self.vault.inner.line_of(hospital, from.ip()) {
            self.vault.inner.turn_away(from.ip(), format!("device:{device}"), why);
            return None;
        }
        Some(Caller { visitor: Visitor { hospital, device, from: Some(from.ip()) }, only_deposits })
    }

    async fn entered(&self, caller: &Caller) -> bool {
        let Visitor { hospital, device, from } = caller.visitor;
        let guest = Guest { actor: format!("device:{device}"), hospital: Some(hospital), from };
        self.vault.inner.connected(guest).await
    }

    fn turned_away(&self, from: SocketAddr, why: TurnedAway) {
        self.vault.inner.turn_away(from.ip(), "unknown".to_owned(), why);
    }

    async fn answer(&self, caller: Caller, request: Request<Incoming>) -> Response<Body> {
        let Caller { visitor, only_deposits } = caller;
        // a connection that is kept open does not outlast the hours of its line
        let line = visitor.from.map_or(Ok(()), |from| self.vault.inner.line_of(visitor.hospital, from));
        if let Err(why) = line {
            let refusal = reply::Refusal::from(Error::OffLine { device: visitor.device, why });
            return axum::response::IntoResponse::into_response(refusal);
        }
        if only_deposits && !routes::serves_deposits(request.method(), request.uri().path(), visitor.device) {
            let refusal = reply::Refusal::from(Error::OnlyDeposits { device: visitor.device });
            return axum::response::IntoResponse::into_response(refusal);
        }
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(visitor.hospital);
        request.extensions_mut().insert(visitor);
        let Ok(reply) = self.router.clone().call(request).await;
        reply
    }

    fn bug(&self) -> Response<Body> {
        reply::bug()
    }
}
