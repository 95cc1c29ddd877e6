//! What a store asks for before it lets anyone in. Never printed, never logged; a file of them must be the owner's alone,
//! and is read again for every request, so that new ones take effect without a restart.

use crate::{Error, Provider, Result};
use object_store::aws::AwsCredential;
use object_store::{CredentialProvider, Error as StoreError};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file of credentials is never longer.
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// Names that may stand in a file, or as keys of [`Secrets`].
const NAMES: [&str; 6] =
    ["access_key_id", "secret_access_key", "session_token", "account_name", "access_key", "service_account"];

/// Where the credentials of a store come from.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// lines `name = value` in a file of mode 0600, or Google's service account file as it is
    File(PathBuf),
    /// given by the caller, as from the environment
    Given(Secrets),
}

/// Credentials by name.
#[derive(Clone, Default)]
pub struct Secrets {
    values: BTreeMap<&'static str, String>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({} values)", self.values.len())
    }
}

impl Secrets {
    /// Secrets from pairs; names that no store asks for are left out.
    pub fn of(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let known = |(name, value): (String, String)| Some((*NAMES.iter().find(|known| **known == name)?, value));
        Secrets { values: pairs.into_iter().filter_map(known).collect() }
    }

    /// One of them.
    pub fn get(&self, name: &'static str) -> Result<&str> {
        self.optional(name).ok_or(Error::CredentialsMissing { missing: name })
    }

    /// One of them, if it is given.
    pub fn optional(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn aws(&self) -> Result<AwsCredential> {
        Ok(AwsCredential {
            key_id: self.get("access_key_id")?.to_owned(),
            secret_key: self.get("secret_access_key")?.to_owned(),
            token: self.optional("session_token").map(str::to_owned),
        })
    }
}

impl Credentials {
    /// The secrets as they are now.
    pub fn read(&self) -> Result<Secrets> {
        match self {
            Credentials::Given(secrets) => Ok(secrets.clone()),
            Credentials::File(path) => read_file(path),
        }
    }

    /// Refuses what `provider` could not work with.
    pub fn check(&self, provider: Provider) -> Result<()> {
        let secrets = self.read()?;
        let needed: &[&'static str] = match provider {
            Provider::S3 => &["access_key_id", "secret_access_key"],
            Provider::Azure => &["account_name", "access_key"],
            Provider::Gcs => &["service_account"],
        };
        needed.iter().try_for_each(|name| secrets.get(name).map(drop))
    }
}

fn read_file(path: &Path) -> Result<Secrets> {
    let bad = |why: String| Error::CredentialsFile { path: path.to_owned(), why };
    let facts = std::fs::metadata(path).map_err(|error| bad(error.to_string()))?;
    if facts.mode() & 0o077 != 0 {
        return Err(bad(format!("its mode is {:o}, others could read it; make it 600", facts.mode() & 0o777)));
    }
    if facts.len() > FILE_BYTES_MAX {
        return Err(bad(format!("it is longer than {FILE_BYTES_MAX} bytes")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
    if text.trim_start().starts_with('{') {
        return Ok(Secrets { values: BTreeMap::from([("service_account", text)]) });
    }
    let mut values = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let rule = || bad(format!("line {} must look like name = value, with one of {}", number + 1, NAMES.join(", ")));
        let (name, value) = line.split_once('=').ok_or_else(rule)?;
        let name = NAMES.iter().find(|known| **known == name.trim()).ok_or_else(rule)?;
        values.insert(*name, value.trim().trim_matches('"').to_owned());
    }
    Ok(Secrets { values })
}

/// Credentials for requests to S3, read when each is signed.
#[derive(Debug)]
pub struct Signer {
    /// where they come from
    pub credentials: Credentials,
}

#[async_trait::async_trait]
impl CredentialProvider for Signer {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let read = self.credentials.read().and_then(|secrets| secrets.aws());
        let unusable = |error: Error| StoreError::Unauthenticated { path: String::new(), source: Box::new(error) };
        read.map(Arc::new).map_err(unusable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn file(text: &str, mode: u32) -> (tempfile::TempDir, Credentials) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("credentials");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (dir, Credentials::File(path))
    }

    #[test]
    fn a_file_of_the_owner_alone_is_read_each_time() {
        let (dir, credentials) = file("# archive\naccess_key_id = AKIA\nsecret_access_key=\"s3cr=t\"\n", 0o600);
        credentials.check(Provider::S3).unwrap();
        assert_eq!(credentials.read().unwrap().get("secret_access_key").unwrap(), "s3cr=t");
        std::fs::write(dir.path().join("credentials"), "access_key_id = NEW\nsecret_access_key = other").unwrap();
        assert_eq!(credentials.read().unwrap().get("access_key_id").unwrap(), "NEW");
    }

    #[test]
    fn a_file_that_others_can_read_or_that_lacks_something_is_refused_without_its_content() {
        let text = "access_key_id = AKIA\nsecret_access_key = hunter2\n";
        let refused = [
            file(text, 0o644).1.check(Provider::S3),
            file(text, 0o640).1.check(Provider::S3),
            file("hunter2\n", 0o600).1.check(Provider::S3),
            file("password = hunter2\n", 0o600).1.check(Provider::S3),
            file("access_key_id = hunter2\n", 0o600).1.check(Provider::S3),
            file(text, 0o600).1.check(Provider::Azure),
            Credentials::File("/nowhere".into()).check(Provider::S3),
        ];
        for error in refused.map(Result::unwrap_err) {
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
            assert_eq!(error.kind(), shosoin_protocol::ErrorKind::Unavailable);
        }
    }

    #[test]
    fn a_service_account_file_is_taken_as_it_is() {
        let (_dir, credentials) = file("{\"type\": \"service_account\"}", 0o600);
        credentials.check(Provider::Gcs).unwrap();
        assert!(credentials.read().unwrap().get("service_account").unwrap().contains("service_account"));
    }

    #[test]
    fn secrets_do_not_show_themselves() {
        let secrets = Secrets::of([("access_key".to_owned(), "hunter2".to_owned()), ("x".to_owned(), "y".to_owned())]);
        assert_eq!(format!("{:?}", Credentials::Given(secrets)), "Given(Secrets(1 values))");
    }
}
