//! The vault over HTTP/1.1 and mutual TLS 1.3.
//!
//! Invariants
//! - A vault with another key than the pinned one gets no request, and the caller a typed error, never a retry.
//! - A call is repeated only if the vault cannot have acted on it, or if acting twice is the same as acting once.
//! - Connections, waiting times, repetitions and the size of every answer are bounded.

pub(crate) mod plain;
mod pool;
mod tls;

use crate::{Error, Result, Transport};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::header::HOST;
use http::uri::Authority;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use pool::{Broken, Failure, Pool};
use shosoin_protocol::answer::{AuditReply, Nonce};
use shosoin_protocol::api::{
    DepositBatch, DepositReplies, DeviceReply, Hello, LogPage, Problem, VersionReply, WrapsReply, encode_addresses,
    encode_versions,
};
use shosoin_protocol::codec::Reader;
use shosoin_protocol::limits::{
    DEPOSIT_BATCH_MAX, LOG_PAGE_BYTES_MAX, RECEIPT_BYTES_MAX, RECORD_BYTES_MAX, REWRAP_MAX, WRAP_BYTES_MAX,
};
use shosoin_protocol::plan::ShelfReply;
use shosoin_protocol::share::ShareAsk;
use shosoin_protocol::{Address, DeviceId, Digest, NameToken, VersionId, receipt};
use std::time::Duration;
use zeroize::Zeroizing;

/// Attempts at one call, the first included.
const ATTEMPTS_MAX: u32 = 4;
/// Pause before the second attempt; it doubles with each further one.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// Largest answer that is not a record, a page of the log or a batch of receipts, in bytes.
const SMALL_REPLY_BYTES_MAX: usize = 64 * 1024;

/// Where the vault is, what it must prove, and what we show it.
pub struct HttpOptions {
    /// `https://host:port`
    pub url: String,
    /// SHA-256 of the vault's TLS public key info, as its operator tells it
    pub vault_pin: [u8; 32],
    /// certificate of the hospital
    pub certificate_der: Vec<u8>,
    /// its PKCS#8 key
    pub key_der: Zeroizing<Vec<u8>>,
    /// connections open at one time; more calls wait
    pub connections_max: usize,
    /// for a connection and its handshake
    pub connect_timeout: Duration,
    /// for a whole answer, once connected
    pub reply_timeout: Duration,
}

impl HttpOptions {
    /// With the usual bounds.
    pub fn new(url: &str, vault_pin: [u8; 32], certificate_der: &[u8], key_der: &[u8]) -> Self {
        HttpOptions {
            url: url.to_owned(),
            vault_pin,
            certificate_der: certificate_der.to_vec(),
            key_der: Zeroizing::new(key_der.to_vec()),
            connections_max: 16,
            connect_timeout: Duration::from_secs(10),
            reply_timeout: Duration::from_secs(120),
        }
    }
}

/// A vault on another machine.
pub struct HttpTransport {
    pool: Pool,
    host: HeaderValue,
    reply_timeout: Duration,
}

impl HttpTransport {
    /// Prepares to talk; the first call connects.
    pub fn new(options: HttpOptions) -> Result<Self> {
        let bad_url = || Error::Invalid { what: "vault URL", why: "it must look like https://host:port" };
        let authority = authority_of(&options.url).ok_or_else(bad_url)?;
        let config = tls::client_config(&options.certificate_der, &options.key_der, options.vault_pin)
            .map_err(|_| Error::Invalid { what: "TLS key", why: "certificate and PKCS#8 key do not fit together" })?;
        let host = authority.host().trim_matches(['[', ']']);
        let port = authority.port_u16().unwrap_or(443);
        let peer = (config, options.vault_pin);
        Ok(HttpTransport {
            pool: Pool::new(host, port, peer, options.connections_max, options.connect_timeout).ok_or_else(bad_url)?,
            host: HeaderValue::from_str(authority.as_str()).map_err(|_| bad_url())?,
            reply_timeout: options.reply_timeout,
        })
    }

    /// One call, repeated while that is safe and no answer came. A vault that answers "not now" is the caller's to ask
    /// again.
    async fn call(&self, call: Call) -> Result<Bytes> {
        let mut pause = PAUSE_MIN;
        let mut attempts_left = ATTEMPTS_MAX;
        loop {
            attempts_left -= 1;
            let failure = match self.attempt(&call).await {
                Ok(reply) => return Ok(reply),
                Err(failure) => failure,
            };
            let safe = failure.unsent || call.repeatable;
            if !safe || !failure.error.is_unreachable() || attempts_left == 0 {
                return Err(failure.error);
            }
            let operation = call.operation;
            tracing::debug!(operation, error = &failure.error as &dyn std::error::Error, "no answer; asking again");
            tokio::time::sleep(jittered(pause)).await;
            pause *= 2;
        }
    }

    async fn attempt(&self, call: &Call) -> Result<Bytes, Failure> {
        let mut connection = self.pool.take(call.operation).await?;
        let request = call.request(&self.host).map_err(|error| Failure { error, unsent: true })?;
        let exchange = async {
            let reply = connection.send(request).await?;
            let status = reply.status();
            Ok((status, read_body(reply, call.reply_bytes_max).await?))
        };
        match tokio::time::timeout(self.reply_timeout, exchange).await {
            Err(_) => Err(self.pool.late(call.operation, self.reply_timeout, false)),
            Ok(Err(broken)) => Err(self.pool.explain(call.operation, connection, broken).await),
            Ok(Ok((status, Some(body)))) => {
                self.pool.give_back(connection);
                call.judge(status, body).map_err(|error| Failure { error, unsent: false })
            }
            Ok(Ok((_, None))) => Err(Failure { error: call.over_limit(), unsent: false }),
        }
    }
}

/// Host and port of a URL that has nothing else.
fn authority_of(url: &str) -> Option<Authority> {
    let uri: Uri = url.parse().ok()?;
    let bare = uri.scheme_str() == Some("https") && uri.path() == "/" && uri.query().is_none();
    uri.authority().filter(|_| bare).cloned()
}

/// The body of an answer, in memory of its own; nothing if it is longer than `bytes_max`.
async fn read_body(reply: Response<Incoming>, bytes_max: usize) -> Result<Option<Bytes>, Broken> {
    let mut body = reply.into_body();
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > bytes_max {
        return Ok(None);
    }
    let mut bytes = BytesMut::with_capacity(announced);
    while let Some(frame) = body.frame().await {
        let piece = frame.map_err(|error| Broken { error, unsent: false })?.into_data().unwrap_or_default();
        if piece.len() > bytes_max - bytes.len() {
            return Ok(None);
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(Some(bytes.freeze()))
}

/// Half of `pause` to all of it, so that callers who failed together do not come back together.
fn jittered(pause: Duration) -> Duration {
    let share = getrandom::u32().unwrap_or(u32::MAX);
    pause / 2 + pause.mul_f64(f64::from(share) / f64::from(u32::MAX) / 2.0)
}

/// One request and what may be done with it.
struct Call {
    operation: &'static str,
    method: Method,
    path: String,
    body: Bytes,
    reply_bytes_max: usize,
    repeatable: bool,
}

impl Call {
    fn get(operation: &'static str, path: impl Into<String>) -> Self {
        let (path, body, reply_bytes_max) = (path.into(), Bytes::new(), SMALL_REPLY_BYTES_MAX);
        Call { operation, method: Method::GET, path, body, reply_bytes_max, repeatable: true }
    }

    fn send(operation: &'static str, method: Method, path: impl Into<String>, body: Bytes) -> Self {
        Call { method, body, ..Call::get(operation, path) }
    }

    fn reply_bytes_max(self, reply_bytes_max: usize) -> Self {
        Call { reply_bytes_max, ..self }
    }

    fn request(&self, host: &HeaderValue) -> Result<Request<Full<Bytes>>> {
        let bad_path = |_| Error::Invalid { what: "path of the call", why: "it is no path of a URL" };
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.path.parse().map_err(bad_path)?;
        request.headers_mut().insert(HOST, host.clone());
        Ok(request)
    }

    /// The bytes of a success, or the problem the vault tells of.
    fn judge(&self, status: StatusCode, body: Bytes) -> Result<Bytes> {
        if status.is_success() {
            return Ok(body);
        }
        Err(match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => Error::Vault(problem),
            Err(_) => self.contradiction(format!("it has status {status} and does not say why")),
        })
    }

    fn over_limit(&self) -> Error {
        self.contradiction(format!("it is longer than the {} bytes it may have", self.reply_bytes_max))
    }

    fn contradiction(&self, why: String) -> Error {
        Error::Contradiction { operation: self.operation, why }
    }
}

/// Gives a parser's refusal of an answer its context.
fn parsed<T>(operation: &'static str, result: shosoin_protocol::Result<T>) -> Result<T> {
    result.map_err(|source| Error::Answer { operation, source })
}

#[async_trait]
impl Transport for HttpTransport {
    async fn hello(&self) -> Result<Hello> {
        let call = Call::get("hello", "/v1/hello");
        let reply = self.call(call).await?;
        serde_json::from_slice(&reply)
            .map_err(|error| Error::Contradiction { operation: "hello", why: format!("it is not a greeting: {error}") })
    }

    async fn missing(&self, addresses: &[Address]) -> Result<Vec<bool>> {
        let body = encode_addresses(addresses).into();
        let reply = self.call(Call::send("missing", Method::POST, "/v1/chunks/missing", body)).await?;
        match reply.len() == addresses.len() && reply.iter().all(|byte| *byte <= 1) {
            true => Ok(reply.iter().map(|byte| *byte == 1).collect()),
            false => {
                let why = "it does not answer each address with 0 or 1".to_owned();
                Err(Error::Contradiction { operation: "missing", why })
            }
        }
    }

    async fn put_chunk(&self, address: Address, bytes: Bytes) -> Result<()> {
        let call = Call::send("put chunk", Method::PUT, format!("/v1/chunks/{address}"), bytes);
        self.call(call).await.map(drop)
    }

    async fn deposit(&self, batch: &DepositBatch) -> Result<DepositReplies> {
        let call = Call::send("deposit", Method::POST, "/v1/deposits", batch.encode().into())
            .reply_bytes_max(DEPOSIT_BATCH_MAX * RECEIPT_BYTES_MAX);
        let reply = self.call(Call { repeatable: false, ..call }).await?;
        parsed("deposit", DepositReplies::decode(&reply))
    }

    async fn record(&self, address: Address) -> Result<Bytes> {
        self.call(Call::get("record", format!("/v1/records/{address}")).reply_bytes_max(RECORD_BYTES_MAX)).await
    }

    async fn audit_record(&self, address: Address, nonce: Nonce) -> Result<AuditReply> {
        let path = format!("/v1/audit/{address}?nonce={}", Digest(nonce));
        let reply = self.call(Call::get("audit", path).reply_bytes_max(AuditReply::BYTES_MAX)).await?;
        parsed("audit", AuditReply::decode(&reply))
    }

    async fn plan(&self, addresses: &[Address]) -> Result<ShelfReply> {
        let body = encode_addresses(addresses).into();
        let call = Call::send("plan", Method::POST, "/v1/plan", body).reply_bytes_max(RECORD_BYTES_MAX);
        serde_json::from_slice(&self.call(call).await?)
            .map_err(|error| Error::Contradiction { operation: "plan", why: format!("it is not a plan: {error}") })
    }

    async fn version(&self, version: VersionId) -> Result<VersionReply> {
        let call = Call::get("version", format!("/v1/versions/{version}")).reply_bytes_max(2 * RECORD_BYTES_MAX);
        parsed("version", VersionReply::decode(&self.call(call).await?))
    }

    async fn wraps(&self, versions: &[VersionId]) -> Result<Vec<Bytes>> {
        let call = Call::send("wraps", Method::POST, "/v1/wraps", encode_versions(versions).into())
            .reply_bytes_max(4 + REWRAP_MAX * (4 + WRAP_BYTES_MAX));
        parsed("wraps", WrapsReply::decode(&self.call(call).await?)).map(|reply| reply.wraps)
    }

    async fn name(&self, token: NameToken) -> Result<VersionReply> {
        let call = Call::get("name", format!("/v1/names/{token}")).reply_bytes_max(2 * RECORD_BYTES_MAX);
        parsed("name", VersionReply::decode(&self.call(call).await?))
    }

    async fn device(&self, device: DeviceId) -> Result<DeviceReply> {
        let call = Call::get("device", format!("/v1/devices/{device}"));
        parsed("device", DeviceReply::decode(&self.call(call).await?))
    }

    async fn checkpoint(&self) -> Result<String> {
        let reply = self.call(Call::get("checkpoint", "/v1/log/checkpoint")).await?;
        String::from_utf8(reply.to_vec())
            .map_err(|_| Error::Contradiction { operation: "checkpoint", why: "it is not text".to_owned() })
    }

    async fn snapshot(&self) -> Result<VersionReply> {
        let call = Call::get("snapshot", "/v1/log/snapshot").reply_bytes_max(RECORD_BYTES_MAX);
        parsed("snapshot", VersionReply::decode(&self.call(call).await?))
    }

    async fn log_entries(&self, from: u64, count: u32) -> Result<LogPage> {
        let call = Call::get("log entries", format!("/v1/log/entries?from={from}&size={count}"))
            .reply_bytes_max(LOG_PAGE_BYTES_MAX);
        parsed("log entries", LogPage::decode(&self.call(call).await?))
    }

    async fn consistency(&self, from: u64, to: u64) -> Result<Vec<Digest>> {
        let reply = self.call(Call::get("consistency", format!("/v1/log/consistency?from={from}&to={to}"))).await?;
        let mut reader = Reader::new(&reply, "consistency proof");
        let proof = receipt::read_proof(&mut reader).and_then(|proof| reader.finish().map(|()| proof));
        parsed("consistency", proof)
    }

    async fn reconciliation(&self) -> Result<Bytes> {
        self.call(Call::get("reconciliation", "/v1/reconciliation")).await
    }

    async fn share(&self, ask: ShareAsk) -> Result<Bytes> {
        let reply_bytes_max = match ask {
            ShareAsk::Offers => 2 * LOG_PAGE_BYTES_MAX,
            _ => RECORD_BYTES_MAX + SMALL_REPLY_BYTES_MAX,
        };
        self.call(Call::get("what other hospitals share", ask.path()).reply_bytes_max(reply_bytes_max)).await
    }
}
