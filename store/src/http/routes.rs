//! The routes: parse, reserve memory, call the vault, encode. One function for each line of the table in
//! [`shosoin_protocol::api`], in its order.

use super::budget::Budget;
use super::reply::{self, Refusal, Reply};
use crate::Vault;
use crate::read_log::Visitor;
use axum::body::{Body, HttpBody as _};
use axum::extract::{Path, Query, State};
use axum::routing::{get, post, put};
use axum::{Extension, Router};
use bytes::{Bytes, BytesMut};
use http::Uri;
use http_body_util::BodyExt as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use shosoin_protocol::api::{DepositBatch, decode_addresses, decode_versions};
use shosoin_protocol::codec::Writer;
use shosoin_protocol::limits::{
    ADDRESS_QUERY_MAX, DEPOSIT_BATCH_BYTES_MAX, LOG_PAGE_BYTES_MAX, LOG_PAGE_ENTRIES_MAX, RECORD_BYTES_MAX, REWRAP_MAX,
    WRAP_BYTES_MAX,
};
use shosoin_protocol::share::ShareAsk;
use shosoin_protocol::{Address, DeviceId, Digest, ErrorKind, HospitalId, NameToken, VersionId, receipt};
use std::time::Duration;

/// What every handler needs.
#[derive(Clone)]
struct Api {
    vault: Vault,
    budget: Budget,
}

/// The routes over `vault`; the caller is the [`HospitalId`] among the extensions of the request.
pub(super) fn router(vault: Vault, budget: Budget) -> Router {
    Router::new()
        .route("/v1/hello", get(hello))
        .route("/v1/chunks/missing", post(missing))
        .route("/v1/chunks/{address}", put(put_chunk))
        .route("/v1/records/{address}", get(record))
        .route("/v1/audit/{address}", get(audit))
        .route("/v1/plan", post(plan))
        .route("/v1/deposits", post(deposit))
        .route("/v1/versions/{version}", get(version))
        .route("/v1/wraps", post(wraps))
        .route("/v1/names/{token}", get(name))
        .route("/v1/devices/{device}", get(device))
        .route("/v1/log/checkpoint", get(checkpoint))
        .route("/v1/log/snapshot", get(snapshot))
        .route("/v1/log/entries", get(log_entries))
        .route("/v1/log/consistency", get(consistency))
        .route("/v1/reconciliation", get(reconciliation))
        .route("/v1/shares", get(offers))
        .route("/v1/shares/{owner}/{grant}/versions/{version}", get(shared_version))
        .route("/v1/shares/{owner}/{grant}/versions/{version}/records/{address}", get(shared_record))
        .fallback(no_route)
        .method_not_allowed_fallback(no_route)
        .with_state(Api { vault, budget })
}

/// Whether a device that only deposits may ask this: what it needs to send records, to follow the heads that receipts are proved
/// under, and to know its own place.
pub(super) fn serves_deposits(method: &http::Method, path: &str, device: DeviceId) -> bool {
    match method.as_str() {
        "GET" => {
            matches!(path, "/v1/hello" | "/v1/log/checkpoint" | "/v1/log/consistency")
                || path.strip_prefix("/v1/devices/") == Some(&device.to_string())
        }
        "PUT" => path.starts_with("/v1/chunks/"),
        "POST" => path == "/v1/deposits",
        _ => false,
    }
}

type Caller = Extension<HospitalId>;
/// A caller whose reads are on record.
type Reader = Extension<Visitor>;

async fn hello(State(api): State<Api>, Extension(hospital): Caller) -> Reply {
    Ok(reply::json(&api.vault.hello(hospital).await?))
}

async fn missing(State(api): State<Api>, Extension(hospital): Caller, body: Body) -> Reply {
    let body = api.body(hospital, body, 4 + ADDRESS_QUERY_MAX * Address::LEN).await?;
    let missing = api.vault.missing(hospital, &decode_addresses(&body)?).await?;
    Ok(reply::bytes(missing.into_iter().map(u8::from).collect::<Vec<u8>>()))
}

async fn put_chunk(
    State(api): State<Api>,
    Extension(hospital): Caller,
    Path(address): Path<String>,
    body: Body,
) -> Reply {
    let address: Address = address.parse()?;
    let chunk = api.body(hospital, body, RECORD_BYTES_MAX).await?;
    api.vault.put_chunk(hospital, address, chunk).await?;
    Ok(reply::bytes(Bytes::new()))
}

async fn record(State(api): State<Api>, Extension(reader): Reader, Path(address): Path<String>) -> Reply {
    let address: Address = address.parse()?;
    let room = api.budget.reserve(RECORD_BYTES_MAX).await?;
    Ok(reply::bytes(room.hold(api.vault.record_for(&reader, address).await?)))
}

/// What an answer to an audit must repeat.
#[derive(Deserialize)]
struct NonceQuery {
    nonce: String,
}

async fn audit(State(api): State<Api>, Extension(reader): Reader, Path(address): Path<String>, uri: Uri) -> Reply {
    let (address, query): (Address, NonceQuery) = (address.parse()?, parse_query(&uri)?);
    let nonce: Digest = query.nonce.parse()?;
    let room = api.budget.reserve(2 * RECORD_BYTES_MAX).await?;
    let reply = api.vault.audit_record_for(&reader, address, nonce.0).await?;
    Ok(reply::bytes(room.hold(reply.encode().into())))
}

async fn plan(State(api): State<Api>, Extension(hospital): Caller, body: Body) -> Reply {
    let body = api.body(hospital, body, 4 + ADDRESS_QUERY_MAX * Address::LEN).await?;
    Ok(reply::json(&api.vault.plan(hospital, &decode_addresses(&body)?).await?))
}

async fn deposit(State(api): State<Api>, Extension(hospital): Caller, body: Body) -> Reply {
    let body = api.body(hospital, body, DEPOSIT_BATCH_BYTES_MAX).await?;
    let batch = DepositBatch::decode(&body)?;
    drop(body);
    Ok(reply::bytes(api.vault.deposit(hospital, batch).await?.encode()))
}

async fn version(State(api): State<Api>, Extension(reader): Reader, Path(version): Path<String>) -> Reply {
    let version: VersionId = version.parse()?;
    Ok(reply::bytes(api.vault.version_for(&reader, version).await?.encode()))
}

async fn wraps(State(api): State<Api>, Extension(hospital): Caller, body: Body) -> Reply {
    let versions = decode_versions(&api.body(hospital, body, 4 + REWRAP_MAX * VersionId::LEN).await?)?;
    let room = api.budget.reserve(REWRAP_MAX * WRAP_BYTES_MAX).await?;
    let reply = api.vault.wraps(hospital, versions).await?;
    Ok(reply::bytes(room.hold(reply.encode().into())))
}

async fn name(State(api): State<Api>, Extension(reader): Reader, Path(token): Path<String>) -> Reply {
    let token: NameToken = token.parse()?;
    Ok(reply::bytes(api.vault.name_for(&reader, token).await?.encode()))
}

async fn device(State(api): State<Api>, Extension(hospital): Caller, Path(device): Path<String>) -> Reply {
    let device: DeviceId = device.parse()?;
    Ok(reply::bytes(api.vault.device(hospital, device).await?.encode()))
}

async fn checkpoint(State(api): State<Api>, Extension(hospital): Caller) -> Reply {
    Ok(reply::text(api.vault.checkpoint(hospital).await?))
}

async fn snapshot(State(api): State<Api>, Extension(hospital): Caller) -> Reply {
    Ok(reply::bytes(api.vault.snapshot(hospital).await?.encode()))
}

/// Which page of the log.
#[derive(Deserialize)]
struct PageQuery {
    from: u64,
    size: u32,
}

async fn log_entries(State(api): State<Api>, Extension(hospital): Caller, uri: Uri) -> Reply {
    let query: PageQuery = parse_query(&uri)?;
    let size = query.size.min(u32::try_from(LOG_PAGE_ENTRIES_MAX).unwrap_or(u32::MAX));
    let room = api.budget.reserve(2 * LOG_PAGE_BYTES_MAX).await?;
    let page = api.vault.log_entries(hospital, query.from, size).await?;
    Ok(reply::bytes(room.hold(page.encode().into())))
}

/// Between which sizes of the log.
#[derive(Deserialize)]
struct SpanQuery {
    from: u64,
    to: u64,
}

async fn consistency(State(api): State<Api>, Extension(hospital): Caller, uri: Uri) -> Reply {
    let query: SpanQuery = parse_query(&uri)?;
    let proof = api.vault.consistency(hospital, query.from, query.to).await?;
    let mut out = Writer::new();
    receipt::write_proof(&mut out, &proof);
    Ok(reply::bytes(out.finish()))
}

async fn reconciliation(State(api): State<Api>, Extension(hospital): Caller) -> Reply {
    Ok(reply::bytes(api.vault.reconciliation(hospital).await?))
}

async fn offers(State(api): State<Api>, Extension(hospital): Caller) -> Reply {
    let room = api.budget.reserve(2 * LOG_PAGE_BYTES_MAX).await?;
    Ok(reply::bytes(room.hold(api.vault.share(hospital, ShareAsk::Offers).await?)))
}

async fn shared_version(
    State(api): State<Api>,
    Extension(hospital): Caller,
    Path((owner, grant, version)): Path<(String, String, String)>,
) -> Reply {
    let ask = ShareAsk::Version { owner: owner.parse()?, grant: grant.parse()?, version: version.parse()? };
    let room = api.budget.reserve(RECORD_BYTES_MAX).await?;
    Ok(reply::bytes(room.hold(api.vault.share(hospital, ask).await?)))
}

async fn shared_record(
    State(api): State<Api>,
    Extension(hospital): Caller,
    Path((owner, grant, version, address)): Path<(String, String, String, String)>,
) -> Reply {
    let (owner, grant, version) = (owner.parse()?, grant.parse()?, version.parse()?);
    let ask = ShareAsk::Record { owner, grant, version, address: address.parse()? };
    let room = api.budget.reserve(RECORD_BYTES_MAX).await?;
    Ok(reply::bytes(room.hold(api.vault.share(hospital, ask).await?)))
}

/// The query of a request, or why it is not one.
pub(super) fn parse_query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Refusal> {
    match Query::try_from_uri(uri) {
        Ok(Query(query)) => Ok(query),
        Err(rejection) => Err(Refusal::new(ErrorKind::Invalid, "malformed", rejection.body_text())),
    }
}

async fn no_route() -> Refusal {
    Refusal::new(ErrorKind::NotFound, "no-route", "the vault API has no such call")
}

impl Api {
    /// Reads a body whose length was announced and is within `limit`, once there is memory for it.
    async fn body(&self, hospital: HospitalId, mut body: Body, limit: usize) -> Result<Bytes, Refusal> {
        let Some(length) = body.size_hint().exact() else {
            return Err(Refusal::new(ErrorKind::Invalid, "length-required", "the request must announce its length"));
        };
        let Some(length) = usize::try_from(length).ok().filter(|length| *length <= limit) else {
            let message = format!("a body of {length} bytes is over the limit of {limit} for this call");
            return Err(Refusal::new(ErrorKind::Invalid, "over-limit", message));
        };
        let room = self.budget.reserve(length).await?;
        let mut bytes = BytesMut::with_capacity(length);
        let mut arriving = Arriving { vault: &self.vault, hospital, whole: false };
        while let Some(frame) = next_frame(&mut body, self.budget.patience()).await? {
            bytes.extend_from_slice(&frame);
        }
        arriving.whole = true;
        Ok(room.hold(bytes.freeze()))
    }
}

/// A body on its way. One that is given up before it is whole, be it because the peer went away with its connection and the
/// request with it, is a transfer that failed.
struct Arriving<'a> {
    vault: &'a Vault,
    hospital: HospitalId,
    whole: bool,
}

impl Drop for Arriving<'_> {
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if !self.whole {
            let (vault, hospital) = (self.vault.clone(), self.hospital);
            runtime.spawn(async move {
                if let Err(error) = vault.transfer_cut(hospital).await {
                    tracing::warn!(%hospital, %error, "a transfer that did not arrive whole could not be counted");
                }
            });
        }
    }
}

/// The next piece of a body; a peer that sends none for too long is refused.
async fn next_frame(body: &mut Body, patience: Duration) -> Result<Option<Bytes>, Refusal> {
    let cut =
        |why: &str| Refusal::new(ErrorKind::Unavailable, "body-cut", format!("the body did not arrive whole: {why}"));
    match tokio::time::timeout(patience, body.frame()).await {
        Err(_) => Err(cut("no byte came for too long")),
        Ok(Some(Err(error))) => Err(cut(&error.to_string())),
        Ok(Some(Ok(frame))) => Ok(Some(frame.into_data().unwrap_or_default())),
        Ok(None) => Ok(None),
    }
}
