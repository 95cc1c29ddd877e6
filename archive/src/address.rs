//! Where a volume in an object store is: provider, bucket, prefix, endpoint, region. Parsed once, refused early.

use crate::{Error, Result};
use object_store::path::Path;
use url::{Host, Url};

/// Whose interface a store speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// Amazon S3 and everything compatible with it
    S3,
    /// Azure Blob Storage
    Azure,
    /// Google Cloud Storage
    Gcs,
}

/// Where a volume in an object store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// whose interface the store speaks
    pub provider: Provider,
    /// bucket, or container in Azure
    pub bucket: String,
    /// what every object of the volume begins with
    pub prefix: Path,
    /// where the store answers, if not where its provider's stores do
    pub endpoint: Option<Url>,
    /// region of the bucket
    pub region: Option<String>,
}

impl Address {
    /// Reads `s3://bucket/prefix`, `az://container/prefix` or `gs://bucket/prefix`. Refuses user names, passwords and
    /// queries, because credentials do not belong into an address, and plain HTTP to anything but this machine.
    pub fn parse(url: &str, endpoint: Option<&str>, region: Option<&str>) -> Result<Address> {
        let parsed = plain_url(url)?;
        let bad = |why: &str| Error::Address { url: url.to_owned(), why: why.to_owned() };
        let provider = match parsed.scheme() {
            "s3" => Provider::S3,
            "az" => Provider::Azure,
            "gs" => Provider::Gcs,
            other => return Err(bad(&format!("{other} is none of s3, az, gs"))),
        };
        let bucket = parsed.host_str().filter(|bucket| !bucket.is_empty() && parsed.port().is_none());
        let bucket = bucket.ok_or_else(|| bad("it must look like s3://bucket/prefix"))?.to_owned();
        let prefix = Path::from_url_path(parsed.path()).map_err(|error| bad(&error.to_string()))?;
        let endpoint = endpoint.map(plain_url).transpose()?;
        if let Some(endpoint) = &endpoint
            && !is_safe(endpoint)
        {
            let why = "an endpoint must begin with https://; http:// is for this machine alone".to_owned();
            return Err(Error::Address { url: endpoint.to_string(), why });
        }
        Ok(Address { provider, bucket, prefix, endpoint, region: region.map(str::to_owned) })
    }

    /// The volume as errors and reports name it.
    pub fn place(&self) -> String {
        let scheme = match self.provider {
            Provider::S3 => "s3",
            Provider::Azure => "az",
            Provider::Gcs => "gs",
        };
        format!("{scheme}://{}/{}", self.bucket, self.prefix)
    }
}

/// A URL that carries nothing secret.
fn plain_url(text: &str) -> Result<Url> {
    let parsed = Url::parse(text)
        .map_err(|error| Error::Address { url: text.chars().take(8).collect(), why: error.to_string() })?;
    if !parsed.username().is_empty() || parsed.password().is_some() || parsed.query().is_some() {
        let url = format!("{}://{}", parsed.scheme(), parsed.host_str().unwrap_or_default());
        return Err(Error::Address { url, why: "it must not carry credentials or a query".into() });
    }
    Ok(parsed)
}

/// Whether credentials may be used over this endpoint.
fn is_safe(endpoint: &Url) -> bool {
    let this_machine = match endpoint.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    endpoint.scheme() == "https" || (endpoint.scheme() == "http" && this_machine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_provider_bucket_and_prefix() {
        let address = Address::parse("s3://deep-archive/hospital/v07", None, Some("ap-northeast-1")).unwrap();
        assert_eq!((address.provider, address.bucket.as_str()), (Provider::S3, "deep-archive"));
        assert_eq!(address.prefix.as_ref(), "hospital/v07");
        assert_eq!(address.place(), "s3://deep-archive/hospital/v07");
        assert_eq!(Address::parse("az://box/v1", None, None).unwrap().provider, Provider::Azure);
        assert_eq!(Address::parse("gs://box/v1/", None, None).unwrap().prefix.as_ref(), "v1");
    }

    #[test]
    fn an_address_that_is_none_is_refused_and_its_secrets_are_not_repeated() {
        for url in ["s3:///prefix", "/mnt/disk", "ftp://host/x", "s3://user:hunter2@bucket/x", "az://box/x?sig=hunter2"]
        {
            let error = Address::parse(url, None, None).unwrap_err();
            assert!(
                error.kind() == shosoin_protocol::ErrorKind::Invalid && !error.to_string().contains("hunter2"),
                "{error}"
            );
        }
    }

    #[test]
    fn plain_http_is_for_this_machine_alone() {
        for good in ["http://127.0.0.1:5000", "http://localhost:9000", "http://[::1]:1", "https://ceph.example"] {
            Address::parse("s3://b/p", Some(good), None).unwrap();
        }
        for bad in ["http://ceph.example", "http://10.0.0.1:9000", "ws://127.0.0.1", "https://u:p@ceph.example"] {
            Address::parse("s3://b/p", Some(bad), None).unwrap_err();
        }
    }
}
