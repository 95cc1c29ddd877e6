//! The operator console: pages over HTTPS for the people who run a vault, made here and complete without a script.
//!
//! In reading order: [`Console`] takes an address, `gate` stands before every page, `pages` has a file for each of them, `page` is what
//! is around all of them and `parts` what several have. `words` has every sentence in both languages.
//!
//! Invariants
//! - Nobody gets further than the log-on form without a session that `accounts` gave, and to no page or action that the table of
//!   permissions does not give them ([`accounts::TABLE`](crate::accounts::TABLE)).
//! - What changes anything is a POST with the token of its session's forms, from a page of this very address.
//! - Nothing that anybody else wrote becomes markup, a header or an address; no page holds a byte of what hospitals sealed
//!   (7.5.3-M4), and no browser keeps one.
//! - Everything is bounded: connections, requests of an address, tries to log on, bytes of a form, time.
//! - There is no console before there is an account.
//!
//! Not here: who may do what, passwords and second factors, sessions (`accounts`); what an action does (the rest of the vault).

mod config;
mod cookies;
mod fields;
mod gate;
mod headers;
mod language;
mod limits;
mod page;
mod pages;
mod parts;
mod reply;
mod routes;
mod terms;
mod tls;
mod when;
mod words;

pub use config::{ConsoleConfig, LISTEN};
pub use routes::PATHS;

use crate::applicability::Lang;
use crate::audit::Action;
use crate::error::{Error, Result};
use crate::http::HttpOptions;
use crate::http::listener::{Listener, Service};
use crate::jobs::JobKind;
use crate::network::{Guest, TurnedAway};
use crate::vault::{Vault, blocking};
use axum::Router;
use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use limits::Limits;
use pages::jobs::Asked;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tower_service::Service as _;

/// Connections that one address may have at once.
const CONNECTIONS_OF_ADDRESS: usize = 24;
/// How often sessions and grants whose time is over are ended on the record.
const SWEEP: Duration = Duration::from_secs(20);

/// How much the console gives to browsers at once, and how long it waits for them.
pub fn options() -> HttpOptions {
    HttpOptions {
        connections_max: 128,
        body_bytes_max: 0, // forms are bounded one by one
        handshake_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(30),
        stall_timeout: Duration::from_secs(30),
        drain_timeout: Duration::from_secs(10),
    }
}

/// A console that listens; [`run`](Self::run) answers.
pub struct Console {
    listener: Listener,
    entrance: Arc<Entrance>,
    fingerprint: String,
}

impl Console {
    /// Takes the address; port 0 picks a free one. Refused before there is an account. Browsers may connect once this returns, and are answered by `run`.
    pub async fn bind(vault: &Vault, listen: SocketAddr) -> Result<Console> {
        if !vault.accounts().are_there() {
            let why = "there is no account yet; `shosoin account add` makes the first administrator";
            return Err(Error::Argument { what: "console", why: why.to_owned() });
        }
        let config = vault.inner.config.console.clone();
        let tls::Shown { server, fingerprint } = tls::shown(vault, &config)?;
        let listener = Listener::bind(listen, server, options()).await?;
        let front = Arc::new(Front { vault: vault.clone(), limits: Limits::default(), asked: Mutex::default() });
        let router = routes::router(front.clone());
        let entrance = Arc::new(Entrance { front, router, config, connections: Mutex::default() });
        Ok(Console { listener, entrance, fingerprint })
    }

    /// The address it listens on.
    pub fn local_addr(&self) -> Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// SHA-256 of the certificate it shows, as browsers write it: what a person compares before they trust it.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Answers until `shutdown` is ready, then finishes what was begun.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let front = self.entrance.front.clone();
        let sweeping = async move {
            let mut look = tokio::time::interval(SWEEP);
            look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                look.tick().await;
                let accounts = front.vault.accounts().clone();
                if let Err(error) = blocking(move || accounts.sweep()).await {
                    tracing::warn!(error = &error as &dyn std::error::Error, "sessions could not be ended on record");
                }
            }
        };
        tokio::select! {
            () = self.listener.run(self.entrance, shutdown) => {}
            () = sweeping => {}
        }
    }
}

/// A word of a closed vocabulary in a language.
pub(crate) fn translate<'a>(lang: Lang, vocabulary: &str, name: &'a str) -> &'a str {
    terms::term(lang, vocabulary, name)
}

impl Vault {
    /// Where the configuration says that the console is, if there is to be one.
    pub fn console_listen(&self) -> Option<SocketAddr> {
        let config = &self.inner.config.console;
        config.enabled.then_some(config.listen)
    }
}

/// Puts on record that the register did not let somebody in. Floods are one record a minute.
fn note_unknown(vault: &Vault, from: IpAddr, why: String) {
    let accounts = vault.accounts().clone();
    tokio::spawn(async move {
        let why = format!("{why}; console");
        let noted = blocking(move || accounts.note_turned_away("unknown", Action::MachineUnknown, &why, from)).await;
        if let Err(error) = noted {
            tracing::error!(error = &error as &dyn std::error::Error, "a refusal could not be recorded");
        }
    });
}

/// What pages look at.
pub(crate) struct Front {
    vault: Vault,
    limits: Limits,
    /// what came of the jobs that people asked for here, until the vault is closed
    asked: Mutex<BTreeMap<JobKind, Asked>>,
}

/// Where browsers come in.
struct Entrance {
    front: Arc<Front>,
    router: Router,
    config: ConsoleConfig,
    /// connections of each address
    connections: Mutex<HashMap<IpAddr, usize>>,
}

/// A connection of an address, as long as it lasts.
struct Place {
    entrance: Arc<Entrance>,
    from: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut connections = self.entrance.connections.lock();
        match connections.get_mut(&self.from) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(connections.remove(&self.from)),
        }
    }
}

/// Who is at the other end of a connection, as far as the network says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(IpAddr);

impl Service for Entrance {
    type Place = Place;
    type Peer = Peer;

    fn admit(self: &Arc<Self>, from: SocketAddr) -> Option<Place> {
        let from = from.ip().to_canonical();
        if !self.config.lets_in(from) {
            self.front.vault.inner.turn_away(from, "unknown".to_owned(), TurnedAway::NoTerminal);
            return None;
        }
        if let Some(why) = self.front.vault.inner.terminal_obstacle(from) {
            tracing::warn!(%from, why, "refused a connection to the console: the register of machines does not let it");
            note_unknown(&self.front.vault, from, why);
            return None;
        }
        let mut connections = self.connections.lock();
        let count = connections.entry(from).or_insert(0);
        (*count < CONNECTIONS_OF_ADDRESS).then(|| {
            *count += 1;
            Place { entrance: self.clone(), from }
        })
    }

    fn meet(&self, _stream: &TlsStream<TcpStream>, from: SocketAddr) -> Option<Peer> {
        Some(Peer(from.ip().to_canonical()))
    }

    async fn entered(&self, peer: &Peer) -> bool {
        let guest = Guest { actor: "console".to_owned(), hospital: None, from: Some(peer.0) };
        self.front.vault.inner.connected(guest).await
    }

    fn turned_away(&self, from: SocketAddr, why: TurnedAway) {
        self.front.vault.inner.turn_away(from.ip(), "unknown".to_owned(), why);
    }

    async fn answer(&self, peer: Peer, request: Request<Incoming>) -> Response<Body> {
        let request = match gate::enter(&self.front, peer, request.map(Body::new)).await {
            Ok(request) => request,
            Err(refused) => return headers::dress(*refused),
        };
        let Ok(answered) = self.router.clone().call(request).await;
        headers::dress(answered)
    }

    fn bug(&self) -> Response<Body> {
        headers::dress(page::bare_bug())
    }
}
