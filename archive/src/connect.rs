//! From an address and credentials to a medium. How long anything may take, and how often it is tried, is decided here.

use crate::credentials::Signer;
use crate::fault::{Failure, Fault};
use crate::{Address, Bridge, Credentials, Error, Limits, ObjectMedia, Provider};
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use std::sync::Arc;
use std::time::Duration;

/// One request, body included, takes no longer; a part of an upload over a slow line is what needs it.
pub const REQUEST_MAX: Duration = Duration::from_secs(60);
/// A connection is there within this time, or the store counts as unreachable.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// A request that failed for a passing reason is tried again so often, and no later than this.
const RETRIES_MAX: usize = 3;
const RETRY_WINDOW: Duration = Duration::from_secs(30);
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(2);
/// Region that stores without regions expect to be told.
const REGION_DEFAULT: &str = "us-east-1";

/// Opens the volume at `address` and asks its store for a first listing. A store that cannot be reached, refuses the
/// credentials or has no such bucket is an absent volume.
pub fn open(address: &Address, credentials: &Credentials, bridge: &Arc<Bridge>) -> shosoin_tiers::Result<ObjectMedia> {
    let place = address.place();
    let unusable = |error: Error| Failure::Fault(Fault::CredentialsUnusable { why: error.to_string() }).absent(&place);
    credentials.check(address.provider).map_err(unusable)?;
    let store = match address.provider {
        Provider::S3 => s3(address, credentials),
        Provider::Azure => azure(address, credentials),
        Provider::Gcs => gcs(address, credentials),
    };
    let store = store.map_err(|failure| failure.absent(&place))?;
    let media = ObjectMedia::over(store, address.prefix.clone(), &place, bridge.clone(), Limits::default());
    media.probe()?;
    Ok(media)
}

type Built = Result<Arc<dyn ObjectStore>, Failure>;

fn s3(address: &Address, credentials: &Credentials) -> Built {
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&address.bucket)
        .with_region(address.region.as_deref().unwrap_or(REGION_DEFAULT))
        .with_credentials(Arc::new(Signer { credentials: credentials.clone() }))
        .with_client_options(client(address))
        .with_retry(retry());
    if let Some(endpoint) = &address.endpoint {
        builder = builder.with_endpoint(endpoint.as_str().trim_end_matches('/'));
    }
    Ok(Arc::new(builder.build()?))
}

fn azure(address: &Address, credentials: &Credentials) -> Built {
    let secrets = credentials.read().map_err(unusable)?;
    let mut builder = MicrosoftAzureBuilder::new()
        .with_container_name(&address.bucket)
        .with_account(secrets.get("account_name").map_err(unusable)?)
        .with_access_key(secrets.get("access_key").map_err(unusable)?)
        .with_client_options(client(address))
        .with_retry(retry());
    if let Some(endpoint) = &address.endpoint {
        builder = builder.with_endpoint(endpoint.as_str().trim_end_matches('/').to_owned());
    }
    Ok(Arc::new(builder.build()?))
}

fn gcs(address: &Address, credentials: &Credentials) -> Built {
    let secrets = credentials.read().map_err(unusable)?;
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(&address.bucket)
        .with_service_account_key(secrets.get("service_account").map_err(unusable)?)
        .with_client_options(client(address))
        .with_retry(retry());
    if let Some(endpoint) = &address.endpoint {
        builder = builder.with_base_url(endpoint.as_str().trim_end_matches('/'));
    }
    Ok(Arc::new(builder.build()?))
}

fn unusable(error: Error) -> Failure {
    Failure::Fault(Fault::CredentialsUnusable { why: error.to_string() })
}

fn client(address: &Address) -> ClientOptions {
    // `Address` lets plain HTTP through to this machine only.
    let plain = address.endpoint.as_ref().is_some_and(|endpoint| endpoint.scheme() == "http");
    ClientOptions::new().with_allow_http(plain).with_timeout(REQUEST_MAX).with_connect_timeout(CONNECT_MAX)
}

fn retry() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig { init_backoff: BACKOFF_FIRST, max_backoff: BACKOFF_MAX, base: 2.0 },
        max_retries: RETRIES_MAX,
        retry_timeout: RETRY_WINDOW,
    }
}
