//! The server: connections in, `s3s` around the gateway, and a quiet end.
//!
//! Invariants
//! - At most [`CONNECTIONS_MAX`] connections are open; others wait in the system's queue.
//! - A connection that sends no whole request head in time is closed, and so is one that idles.
//! - After the shutdown signal no connection is accepted; requests under way have [`DRAIN_MAX`] to end.

use crate::auth::Door;
use crate::chunked::{Bounded, Form};
use crate::error::Error;
use crate::expiry;
use crate::local::{Counts, Local, Seen};
use crate::name::BucketNames;
use crate::s3::Gateway;
use crate::snapshots::Snapshots;
use crate::uploads::Uploads;
use crate::users::Users;
use http::{HeaderValue, Method, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::host::SingleDomain;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, HttpError, HttpRequest, HttpResponse, S3Error, S3ErrorCode, s3_error};
use shosoin_client::{Client, SnapshotRule};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinHandle, JoinSet};

/// Connections open at once.
const CONNECTIONS_MAX: usize = 1024;
/// How long a request head may take, and how long a connection may idle.
const HEAD_MAX: Duration = Duration::from_secs(60);
/// How long requests under way may take to end after the shutdown signal.
const DRAIN_MAX: Duration = Duration::from_secs(30);
/// How long to wait after a failed accept, which is nearly always a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Largest XML body: 1,000 keys to delete, or 10,000 parts with checksums.
const XML_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Longest life of a presigned URL: a week.
const EXPIRES_SECONDS_MAX: u32 = 7 * 24 * 60 * 60;
const AMZ_DATE: &str = "x-amz-date";

/// How a gateway is set up.
#[derive(Debug, Clone)]
pub struct GatewayOptions {
    /// address to listen on; port 0 takes any
    pub listen: SocketAddr,
    /// folder of the users file and of multipart uploads
    pub state_dir: PathBuf,
    /// region the gateway says it is
    pub region: String,
    /// domain under which `bucket.domain` names a bucket; without one, buckets are in the path
    pub domain: Option<String>,
    /// when it makes snapshots of the view by itself
    pub snapshots: SnapshotRule,
    /// where this machine asks for its state: [`socket_path`](crate::socket_path) of a folder that is locked
    pub socket: PathBuf,
    /// loopback address on which figures are shown to a Prometheus, if anywhere
    pub metrics: Option<SocketAddr>,
}

/// A gateway that accepts connections.
pub struct RunningGateway {
    /// where it listens
    pub addr: SocketAddr,
    /// where it shows figures, if anywhere
    pub metrics: Option<SocketAddr>,
    task: JoinHandle<()>,
}

impl RunningGateway {
    /// Waits until it was shut down and its requests ended.
    pub async fn finished(self) {
        // The task neither panics by design nor is it aborted by anyone; if it is gone, it has finished.
        let _ = self.task.await;
    }
}

/// Listens and serves until `shutdown` resolves.
pub async fn serve(
    client: Client,
    options: GatewayOptions,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<RunningGateway, Error> {
    let uploads = Arc::new(Uploads::open(&options.state_dir)?);
    let (counts, snapshots) = (Arc::<Counts>::default(), Snapshots::new(client.clone(), options.snapshots));
    let front = Front { service: service(client.clone(), Arc::clone(&uploads), &options)?, counts: counts.clone() };
    let listen = |source| Error::Listen { address: options.listen, source };
    let listener = TcpListener::bind(options.listen).await.map_err(listen)?;
    let addr = listener.local_addr().map_err(listen)?;
    let seen = Seen { client: client.clone(), snapshots: snapshots.clone(), counts };
    let local = Local::bind(options.socket.clone(), options.metrics, seen).await?;
    let metrics = local.figures();
    let task = tokio::spawn(async move {
        let of_itself =
            [tokio::spawn(expiry::run(client, uploads)), tokio::spawn(snapshots.run()), tokio::spawn(local.run())];
        accept(listener, front, shutdown).await;
        of_itself.iter().for_each(JoinHandle::abort);
        // what a kill leaves here is replaced at the next start
        let _ = std::fs::remove_file(options.socket);
    });
    Ok(RunningGateway { addr, metrics, task })
}

fn service(client: Client, uploads: Arc<Uploads>, options: &GatewayOptions) -> Result<S3Service, Error> {
    let users = Arc::new(Users::at(&options.state_dir));
    let door = Door::new(client.clone(), users);
    let mut builder = S3ServiceBuilder::new(Gateway { client, uploads, region: options.region.clone() });
    builder.set_auth(door.clone());
    builder.set_access(door);
    builder.set_validation(BucketNames);
    let mut config = S3Config::default();
    config.xml_max_body_size = XML_BYTES_MAX;
    builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
    if let Some(domain) = &options.domain {
        let host = SingleDomain::new(domain).map_err(|_| Error::Invalid {
            what: "domain",
            value: domain.clone(),
            why: "it must be a host name",
        })?;
        builder.set_host(host);
    }
    Ok(builder.build())
}

async fn accept(listener: TcpListener, front: Front, shutdown: impl Future<Output = ()>) {
    let mut shutdown = std::pin::pin!(shutdown);
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        tokio::select! {
            () = &mut shutdown => break,
            accepted = accept_one(&listener, &room) => match accepted {
                Ok((stream, permit)) => { connections.spawn(converse(stream, permit, front.clone(), graceful.watcher())); }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_MAX, graceful.shutdown()).await.is_err() {
        tracing::warn!(open = connections.len(), "connections are cut: their requests did not end in time");
    }
}

async fn accept_one(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, permit))
}

async fn converse(
    stream: TcpStream,
    _room: OwnedSemaphorePermit,
    front: Front,
    graceful: hyper_util::server::graceful::Watcher,
) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_MAX);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(HEAD_MAX);
    let answer = service_fn(move |request| {
        let front = front.clone();
        async move { front.answer(request).await }
    });
    let connection = builder.serve_connection(TokioIo::new(stream), answer).into_owned();
    if let Err(error) = graceful.watch(connection).await {
        tracing::debug!(error, "a connection ended early");
    }
}

/// What stands before `s3s`: bounds on bodies, and the request id on every answer.
#[derive(Clone)]
struct Front {
    service: S3Service,
    counts: Arc<Counts>,
}

impl Front {
    async fn answer(&self, request: hyper::Request<Incoming>) -> Result<HttpResponse, HttpError> {
        let id = self.next_id();
        let of_attributes = asks_for_attributes(&request);
        let hang_up = expects_in_vain(&request);
        let response = match bounded(request) {
            Ok(request) => Box::pin(self.service.call(request)).await?,
            Err(error) => error.to_http_response().map_err(|error| HttpError::new(Box::new(error)))?,
        };
        let response = if of_attributes { without_etag_quotes(response) } else { response };
        if response.status().is_server_error() {
            self.counts.failed.fetch_add(1, Ordering::Relaxed);
        }
        let mut response = signed_off(response, &id);
        if hang_up {
            response.headers_mut().insert(http::header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }

    /// Unique within a gateway's life; random parts are not needed, nobody guesses requests.
    fn next_id(&self) -> String {
        format!("{:012X}{:08X}", shosoin_client::now_ms(), self.counts.requests.fetch_add(1, Ordering::Relaxed))
    }
}

/// Refuses bodies that would be read into memory whole, and bounds those in chunks.
fn bounded(request: hyper::Request<Incoming>) -> Result<HttpRequest, S3Error> {
    let (mut head, body) = request.into_parts();
    if head.method == Method::OPTIONS {
        return Err(preflight(&head.headers));
    }
    check_expiry(head.uri.query().unwrap_or_default())?;
    add_amz_date(&mut head.headers);
    let content_type = head.headers.get(http::header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    if head.method == Method::POST && content_type.to_ascii_lowercase().starts_with(b"multipart/form-data") {
        return Err(s3_error!(NotImplemented, "Uploads from an HTML form are not supported by this store."));
    }
    let body = match Form::of(&head.headers) {
        Form::Plain => Body::from(body),
        form => {
            let frames = Bounded::new(body.into_data_stream(), form);
            Body::http_body_unsync(StreamBody::new(futures::TryStreamExt::map_ok(frames, Frame::data)))
        }
    };
    Ok(HttpRequest::from_parts(head, body))
}

/// A browser asks whether another site's page may call: no bucket here has CORS rules, so never.
fn preflight(headers: &http::HeaderMap) -> S3Error {
    let (code, status, message) = match headers.contains_key(http::header::ORIGIN) {
        true => ("AccessForbidden", StatusCode::FORBIDDEN, "CORSResponse: CORS is not enabled for this bucket."),
        false => ("BadRequest", StatusCode::BAD_REQUEST, "Insufficient information. Origin request header needed."),
    };
    let mut error = S3Error::with_message(S3ErrorCode::Custom(code.into()), message);
    error.set_status_code(status);
    error
}

/// A presigned URL is good for a second to a week; `s3s` would answer another number as a malformed request.
fn check_expiry(query: &str) -> Result<(), S3Error> {
    let expires = query.split('&').find_map(|pair| pair.strip_prefix("X-Amz-Expires="));
    match expires.map(|text| text.parse::<u32>()) {
        None | Some(Ok(1..=EXPIRES_SECONDS_MAX)) => Ok(()),
        Some(_) => Err(s3_error!(AccessDenied, "X-Amz-Expires must be 1 to {EXPIRES_SECONDS_MAX} seconds.")),
    }
}

/// A signature of version 4 may be dated by `Date` alone; `s3s` reads `x-amz-date` only.
fn add_amz_date(headers: &mut http::HeaderMap) {
    if headers.contains_key(AMZ_DATE) {
        return;
    }
    let date = headers.get(http::header::DATE).and_then(|date| crate::reply::amz_date(date.to_str().ok()?));
    if let Some(date) = date {
        headers.insert(AMZ_DATE, date);
    }
}

/// Puts the request id into the header, and into the body of an error as S3 does.
fn signed_off(mut response: HttpResponse, id: &str) -> HttpResponse {
    if let Ok(value) = HeaderValue::from_str(id) {
        response.headers_mut().insert("x-amz-request-id", value);
    }
    let is_error = response.status().is_client_error() || response.status().is_server_error();
    if is_error && let Some(body) = response.body().bytes().and_then(|bytes| with_request_id(&bytes, id)) {
        *response.body_mut() = Body::from(body);
    }
    if response.status() == StatusCode::NOT_MODIFIED {
        *response.body_mut() = Body::empty();
    }
    response
}

/// A client that expects `100 Continue` for an empty body gets none, for there is nothing to go on with. botocore then
/// takes the status of that answer for the next one on the connection too, so there must be no next one.
fn expects_in_vain<B: hyper::body::Body>(request: &hyper::Request<B>) -> bool {
    let http1 = request.version() < http::Version::HTTP_2;
    http1 && request.body().is_end_stream() && request.headers().contains_key(http::header::EXPECT)
}

fn asks_for_attributes<B>(request: &hyper::Request<B>) -> bool {
    let names = request.uri().query().unwrap_or_default().split('&').map(|pair| pair.split('=').next());
    request.method() == Method::GET && names.flatten().any(|name| name == "attributes")
}

/// `s3s` writes every ETag in quotes; in the answer to `GetObjectAttributes` S3 writes it without.
fn without_etag_quotes(mut response: HttpResponse) -> HttpResponse {
    let bytes = response.body().bytes();
    if let Some(text) = bytes.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok()) {
        let plain = text.replace("<ETag>\"", "<ETag>").replace("\"</ETag>", "</ETag>");
        *response.body_mut() = Body::from(plain);
    }
    response
}

fn with_request_id(body: &[u8], id: &str) -> Option<String> {
    let head = std::str::from_utf8(body).ok()?.strip_suffix("</Error>")?;
    Some(format!("{head}<RequestId>{id}</RequestId></Error>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_presigned_url_lives_a_second_to_a_week() {
        for good in ["", "a=b", "X-Amz-Expires=1", "a=b&X-Amz-Expires=604800&c"] {
            assert!(check_expiry(good).is_ok(), "{good}");
        }
        for wrong in ["X-Amz-Expires=0", "X-Amz-Expires=-7", "X-Amz-Expires=604801", "X-Amz-Expires=soon"] {
            assert_eq!(check_expiry(wrong).unwrap_err().code(), &s3s::S3ErrorCode::AccessDenied, "{wrong}");
        }
    }

    #[test]
    fn only_an_empty_body_is_expected_in_vain() {
        let request = |body: &'static str, expect: bool| {
            let mut request = hyper::Request::new(Body::from(body.to_owned()));
            if expect {
                request.headers_mut().insert(http::header::EXPECT, HeaderValue::from_static("100-continue"));
            }
            expects_in_vain(&request)
        };
        assert!(request("", true));
        assert!(!request("", false) && !request("x", true));
    }

    #[test]
    fn a_preflight_is_never_allowed() {
        let mut headers = http::HeaderMap::new();
        assert_eq!(preflight(&headers).status_code(), Some(StatusCode::BAD_REQUEST));
        headers.insert(http::header::ORIGIN, HeaderValue::from_static("http://example.com"));
        assert_eq!(preflight(&headers).status_code(), Some(StatusCode::FORBIDDEN));
    }

    #[test]
    fn a_date_stands_in_for_the_date_of_the_signature() {
        let mut headers = http::HeaderMap::new();
        headers.insert(http::header::DATE, HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT"));
        add_amz_date(&mut headers);
        assert_eq!(headers[AMZ_DATE], "19941106T084937Z");
        headers.insert(http::header::DATE, HeaderValue::from_static("yesterday"));
        add_amz_date(&mut headers);
        assert_eq!(headers[AMZ_DATE], "19941106T084937Z");
    }

    #[test]
    fn attributes_have_an_etag_without_quotes() {
        let response = HttpResponse::new(Body::from("<A><ETag>\"ab-2\"</ETag></A>".to_owned()));
        assert_eq!(without_etag_quotes(response).body().bytes().unwrap(), "<A><ETag>ab-2</ETag></A>");
        let ask = |uri: &str| asks_for_attributes(&hyper::Request::builder().uri(uri).body(()).unwrap());
        assert!(ask("/b/k?attributes") && ask("/b/k?versionId=null&attributes="));
        assert!(!ask("/b/k") && !ask("/b/attributes?a=attributes"));
    }

    #[test]
    fn an_error_body_gets_the_request_id() {
        let body = b"<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code></Error>";
        let found = with_request_id(body, "7F").unwrap();
        assert!(found.ends_with("<Code>NoSuchKey</Code><RequestId>7F</RequestId></Error>"));
        assert_eq!(with_request_id(b"plain text", "7F"), None);
    }
}
