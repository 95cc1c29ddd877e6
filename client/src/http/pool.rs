//! Connections to one vault: made when needed, kept while idle, never more than a bound.

use super::tls::WrongPin;
use crate::{Error, Result};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig};
use shosoin_protocol::ErrorKind;
use shosoin_protocol::api::{Problem, code};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// How long a broken connection may take to say why it broke.
const LAST_WORDS_TIMEOUT: Duration = Duration::from_secs(1);

/// Why no answer came, and what to look at.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    /// Nobody listens there, or the way is barred.
    #[error("no connection: check that the vault is running and that its address and port are right and open")]
    Connect(#[source] std::io::Error),
    /// Somebody is there who does not finish a TLS 1.3 handshake.
    #[error("no TLS handshake: check that a vault listens there, and nothing else or in between")]
    Handshake(#[source] std::io::Error),
    /// Silence.
    #[error("nothing came within {0:?}: check the network, and the vault's status and load")]
    Late(Duration),
    /// The connection broke.
    #[error("the connection broke before the answer was whole: check the vault's log if this repeats")]
    Broken(#[source] hyper::Error),
}

/// A failed attempt at a call.
pub(super) struct Failure {
    /// what went wrong
    pub(super) error: Error,
    /// the vault cannot have seen the request
    pub(super) unsent: bool,
}

/// Idle connections and how to make more.
pub(super) struct Pool {
    host: String,
    port: u16,
    server_name: ServerName<'static>,
    vault_pin: [u8; 32],
    connector: TlsConnector,
    connect_timeout: Duration,
    idle: Mutex<Vec<Wire>>,
    places: Semaphore,
}

/// The sending end of a connection, and the task that moves its bytes.
struct Wire {
    sender: SendRequest<Full<Bytes>>,
    mover: JoinHandle<hyper::Result<()>>,
}

/// A connection in use; dropping it closes it.
pub(super) struct Connection<'a> {
    wire: Wire,
    _place: SemaphorePermit<'a>,
}

/// A request that got no whole answer.
pub(super) struct Broken {
    /// what the connection said
    pub(super) error: hyper::Error,
    /// the request never left
    pub(super) unsent: bool,
}

impl Pool {
    /// Connections to `host` and `port`; nothing if `host` is no name and no address.
    pub(super) fn new(
        host: &str,
        port: u16,
        (config, vault_pin): (ClientConfig, [u8; 32]),
        connections_max: usize,
        connect_timeout: Duration,
    ) -> Option<Pool> {
        Some(Pool {
            host: host.to_owned(),
            port,
            server_name: ServerName::try_from(host.to_owned()).ok()?,
            vault_pin,
            connector: TlsConnector::from(Arc::new(config)),
            connect_timeout,
            idle: Mutex::new(Vec::new()),
            places: Semaphore::new(connections_max),
        })
    }

    /// A connection, idle or new, once fewer than the bound are in use.
    pub(super) async fn take(&self, operation: &'static str) -> Result<Connection<'_>, Failure> {
        let Ok(place) = self.places.acquire().await else {
            return Err(Failure { error: Error::Closing, unsent: true });
        };
        while let Some(mut wire) = self.pop_idle() {
            if wire.sender.ready().await.is_ok() {
                return Ok(Connection { wire, _place: place });
            }
        }
        match timeout(self.connect_timeout, self.connect()).await {
            Ok(Ok(wire)) => Ok(Connection { wire, _place: place }),
            Ok(Err(no_answer)) => Err(Failure { error: self.judge(operation, no_answer), unsent: true }),
            Err(_) => Err(self.late(operation, self.connect_timeout, true)),
        }
    }

    fn pop_idle(&self) -> Option<Wire> {
        self.idle.lock().pop()
    }

    /// Keeps a connection whose last answer was read to its end.
    pub(super) fn give_back(&self, connection: Connection<'_>) {
        if !connection.wire.sender.is_closed() {
            self.idle.lock().push(connection.wire);
        }
    }

    /// The failure of a call whose connection broke. What the task that moved its bytes met comes first: it has seen
    /// the vault's alert where the call saw only the end of the connection.
    pub(super) async fn explain(&self, operation: &'static str, connection: Connection<'_>, broken: Broken) -> Failure {
        let Connection { wire: Wire { sender, mover }, .. } = connection;
        drop(sender);
        let cause = match timeout(LAST_WORDS_TIMEOUT, mover).await {
            Ok(Ok(Err(cause))) if tls_error_in(&cause).is_some() => cause,
            _ => broken.error,
        };
        Failure { error: self.judge(operation, NoAnswer::Broken(cause)), unsent: broken.unsent }
    }

    /// The failure of a call that waited too long.
    pub(super) fn late(&self, operation: &'static str, waited: Duration, unsent: bool) -> Failure {
        Failure { error: self.judge(operation, NoAnswer::Late(waited)), unsent }
    }

    async fn connect(&self) -> Result<Wire, NoAnswer> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(NoAnswer::Connect)?;
        stream.set_nodelay(true).map_err(NoAnswer::Connect)?;
        let stream = self.connector.connect(self.server_name.clone(), stream).await.map_err(NoAnswer::Handshake)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(NoAnswer::Broken)?;
        Ok(Wire { sender, mover: tokio::spawn(connection) })
    }

    /// Tells a wrong key and an unknown hospital, which no repetition cures, from a vault that cannot be reached.
    fn judge(&self, operation: &'static str, no_answer: NoAnswer) -> Error {
        let tls_error = tls_error_in(&no_answer);
        if let Some(wrong) = tls_error.and_then(WrongPin::of) {
            let (expected, found) = (hex::encode(self.vault_pin), hex::encode(wrong.found));
            return Error::WrongVault { what: "pin of its TLS key", expected, found };
        }
        if let Some(rustls::Error::AlertReceived(AlertDescription::AccessDenied)) = tls_error {
            return Error::Vault(Problem {
                kind: ErrorKind::Refused.name().to_owned(),
                code: code::UNKNOWN_HOSPITAL.to_owned(),
                message: "the vault knows no hospital with this TLS key; its operator must enrol this hospital"
                    .to_owned(),
            });
        }
        let endpoint = format!("{}:{}", self.host, self.port);
        Error::Unreachable { endpoint, operation, source: Box::new(no_answer) }
    }
}

impl Connection<'_> {
    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Broken> {
        self.wire.sender.try_send_request(request).await.map_err(|mut failed| {
            let unsent = failed.take_message().is_some();
            Broken { error: failed.into_error(), unsent }
        })
    }
}

/// The TLS error that a chain of causes goes back to.
fn tls_error_in<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        // an I/O error's `source` skips the error it wraps
        next = match error.downcast_ref::<std::io::Error>().and_then(|error| error.get_ref()) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}
