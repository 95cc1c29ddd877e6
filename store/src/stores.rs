//! From the volumes of `vault.toml` to media: folders, and prefixes in object stores with their credentials.
//!
//! Invariants
//! - Credentials come from the environment or from a file that is its owner's alone, never from `vault.toml` itself, a command
//!   line or a request, and they are in no error and no log.
//! - A store that cannot be asked is an absent volume, as a disk without power is.

use crate::config::VolumeSpec;
use parking_lot::Mutex;
use shosoin_archive::{Bridge, Credentials, Secrets};
use shosoin_tiers::Error as MediaError;
use shosoin_tiers::media::{FileMedia, FileOptions, Media};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

/// The bridge that all volumes of this process share while there is one.
static BRIDGE: Mutex<Weak<Bridge>> = Mutex::new(Weak::new());

/// Variables of the environment, and the credential that each of them is.
const VARIABLES: [(&str, &str); 6] = [
    ("AWS_ACCESS_KEY_ID", "access_key_id"),
    ("AWS_SECRET_ACCESS_KEY", "secret_access_key"),
    ("AWS_SESSION_TOKEN", "session_token"),
    ("AZURE_STORAGE_ACCOUNT_NAME", "account_name"),
    ("AZURE_STORAGE_ACCOUNT_KEY", "access_key"),
    ("GOOGLE_SERVICE_ACCOUNT_KEY", "service_account"),
];

/// Opens the media of the volumes of one vault.
#[derive(Debug)]
pub struct Stores {
    dir: PathBuf,
}

impl Stores {
    /// For the vault in `dir`.
    pub fn new(dir: &Path) -> Self {
        Stores { dir: dir.to_owned() }
    }

    /// Where a volume is, as errors and reports name it.
    pub fn place(&self, spec: &VolumeSpec) -> String {
        match spec.address() {
            Ok(Some(address)) => address.place(),
            _ => self.folder(spec).display().to_string(),
        }
    }

    /// The folder of a volume; an absolute path stands alone.
    pub fn folder(&self, spec: &VolumeSpec) -> PathBuf {
        self.dir.join(&spec.path)
    }

    /// Its medium, which may be absent. Blocks on the network where the volume is in an object store.
    pub fn media(&self, spec: &VolumeSpec) -> Result<Arc<dyn Media>, MediaError> {
        let absent = |error: io::Error| MediaError::VolumeAbsent { place: self.place(spec), source: error };
        let address = spec.address().map_err(|why| absent(io::Error::new(io::ErrorKind::InvalidInput, why)))?;
        match address {
            None => Ok(Arc::new(FileMedia::open(&self.folder(spec), FileOptions::default())?)),
            Some(address) => {
                let bridge = bridge().map_err(absent)?;
                Ok(Arc::new(shosoin_archive::open(&address, &self.credentials(spec), &bridge)?))
            }
        }
    }

    fn credentials(&self, spec: &VolumeSpec) -> Credentials {
        match &spec.credentials {
            Some(path) => Credentials::File(self.dir.join(path)),
            None => {
                let given = |(variable, name): (&str, &str)| Some((name.to_owned(), std::env::var(variable).ok()?));
                Credentials::Given(Secrets::of(VARIABLES.into_iter().filter_map(given)))
            }
        }
    }
}

fn bridge() -> io::Result<Arc<Bridge>> {
    let mut shared = BRIDGE.lock();
    match shared.upgrade() {
        Some(bridge) => Ok(bridge),
        None => {
            let bridge = Bridge::start()?;
            *shared = Arc::downgrade(&bridge);
            Ok(bridge)
        }
    }
}
