//! One request to a server that is not the vault: witnesses and timestamping authorities. What they answer is signed, so it
//! may come over plain HTTP; with `https` the peer is the pinned key, as everywhere here.

use super::tls;
use crate::{Error, Result};
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HOST};
use http::uri::Authority;
use http::{HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Where it is, and which key it must prove, if any.
pub struct Target {
    authority: Authority,
    path: String,
    tls: Option<TlsConnector>,
}

impl Target {
    /// From `http://host:port/path`, or `https://` with the pin of the peer's key.
    pub fn new(url: &str, pin: Option<[u8; 32]>) -> Result<Self> {
        let invalid = |why| Error::Invalid { what: "URL", why };
        let uri: Uri = url.parse().map_err(|_| invalid("it must look like http://host:port/path"))?;
        let authority = uri.authority().cloned().ok_or(invalid("it must look like http://host:port/path"))?;
        let tls = match (uri.scheme_str(), pin) {
            (Some("http"), None) => None,
            (Some("http"), Some(_)) => return Err(invalid("a pin needs https")),
            (Some("https"), Some(pin)) => {
                let config = tls::pinned_config(pin).map_err(|_| invalid("TLS could not be set up"))?;
                Some(TlsConnector::from(Arc::new(config)))
            }
            (Some("https"), None) => return Err(invalid("https needs the pin of the peer's key")),
            _ => return Err(invalid("it must begin with http:// or https://")),
        };
        let path = uri.path().trim_end_matches('/').to_owned();
        Ok(Target { authority, path, tls })
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// The connection.
    #[error("cannot connect: {0}")]
    Io(#[from] std::io::Error),
    /// HTTP.
    #[error("the connection broke: {0}")]
    Http(#[from] hyper::Error),
    /// The answer is too long, or the request cannot be.
    #[error("{0}")]
    Other(&'static str),
}

/// Sends one request below the target's path and reads its answer, of at most `bytes_max`. Callers bound the time.
pub async fn call(
    target: &Target,
    method: &str,
    path: &str,
    content_type: &'static str,
    body: Bytes,
    bytes_max: usize,
) -> Result<(u16, Bytes), NoAnswer> {
    let host = target.authority.host().trim_matches(['[', ']']).to_owned();
    let port = target.authority.port_u16().unwrap_or(if target.tls.is_some() { 443 } else { 80 });
    let stream = TcpStream::connect((host.as_str(), port)).await?;
    let request = request(target, method, path, content_type, body).ok_or(NoAnswer::Other("it is no valid request"))?;
    match &target.tls {
        None => exchange(stream, request, bytes_max).await,
        Some(tls) => {
            let name = ServerName::try_from(host).map_err(|_| NoAnswer::Other("its host is no name"))?;
            exchange(tls.connect(name, stream).await?, request, bytes_max).await
        }
    }
}

fn request(
    target: &Target,
    method: &str,
    path: &str,
    content_type: &'static str,
    body: Bytes,
) -> Option<Request<Full<Bytes>>> {
    let path = if path.is_empty() { target.path.clone() } else { format!("{}/{path}", target.path) };
    let path = if path.is_empty() { "/".to_owned() } else { path };
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::from_bytes(method.as_bytes()).ok()?;
    *request.uri_mut() = path.parse().ok()?;
    request.headers_mut().insert(HOST, HeaderValue::from_str(target.authority.as_str()).ok()?);
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    Some(request)
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
    bytes_max: usize,
) -> Result<(u16, Bytes), NoAnswer> {
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    let mover = tokio::spawn(connection);
    let reply = sender.send_request(request).await?;
    let status = reply.status().as_u16();
    let (mut body, mut bytes) = (reply.into_body(), BytesMut::new());
    while let Some(frame) = body.frame().await {
        let piece = frame?.into_data().unwrap_or_default();
        if piece.len() > bytes_max - bytes.len() {
            return Err(NoAnswer::Other("its answer is too long"));
        }
        bytes.extend_from_slice(&piece);
    }
    mover.abort();
    Ok((status, bytes.freeze()))
}
