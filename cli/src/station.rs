//! A station: a machine without any connection that reads a courier's medium before the vault does (guideline 3.3-P3), and signs what
//! it found.
//!
//! Invariants
//! - Every file on the medium is scanned, whether or not its manifest names it; the worst that was found is the verdict.
//! - Symbolic links are not followed: they are foreign, as is everything that the manifest does not name.
//! - Whether the machine had a connection is looked up, not asked.

use crate::error::{Error, Result};
use crate::files;
use shosoin_client::now_ms;
use shosoin_client::scan::{Demand, ScanError, ScanPlan, Scanner};
use shosoin_protocol::api::Enrolment;
use shosoin_protocol::medium::{FOLDER, MediumCheck, MediumManifest, MediumPlace, MediumVerdict};
use shosoin_protocol::sign::SigningKey;
use shosoin_protocol::suite::sha256;
use shosoin_protocol::{Digest, Suite, VersionId};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Bytes that are read at a time.
const READ_BYTES: usize = 1 << 20;
/// Longest manifest, in bytes.
const MANIFEST_BYTES_MAX: u64 = 64 << 20;
/// Files on one medium; more are no medium of ours.
const FILES_MAX: usize = 1_000_000;

/// Makes a station's key in a new file that its owner alone reads.
pub fn new_key(path: &Path) -> Result<SigningKey> {
    let mut seed = Zeroizing::new([0u8; 32]);
    getrandom::fill(&mut seed[..]).map_err(|error| Error::invalid("random numbers", error.to_string()))?;
    let key =
        SigningKey::from_seed(Suite::Default, &seed).map_err(|error| Error::invalid("seed", error.to_string()))?;
    files::create(path, format!("{}\n", hex::encode(&seed[..])).as_bytes())?;
    Ok(key)
}

/// Reads a station's key.
pub fn load_key(path: &Path) -> Result<SigningKey> {
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(Error::file("read", path))?);
    let wrong = || Error::invalid(path.display().to_string(), "it is no key of a station");
    let mut seed = Zeroizing::new([0u8; 32]);
    hex::decode_to_slice(text.trim(), &mut seed[..]).map_err(|_| wrong())?;
    SigningKey::from_seed(Suite::Default, &seed).map_err(|_| wrong())
}

/// Whether any interface that this process sees, but the loopback, is up.
pub fn is_connected() -> Result<bool> {
    let (seen, folder) = (interfaces()?, Path::new("/sys/class/net"));
    let mut described = BTreeSet::new();
    for interface in std::fs::read_dir(folder).map_err(Error::file("list", folder))? {
        let interface = interface.map_err(Error::file("list", folder))?;
        if interface.path().join("operstate").exists() {
            described.insert(interface.file_name().to_string_lossy().into_owned());
        }
    }
    // in a network namespace of its own a process may still be shown the states of another one
    let is_ours = seen == described;
    Ok(seen.iter().filter(|name| *name != "lo").any(|name| {
        let state = std::fs::read_to_string(folder.join(name).join("operstate")).unwrap_or_default();
        !is_ours || state.trim() != "down"
    }))
}

/// Names of the network interfaces of this process's namespace.
fn interfaces() -> Result<BTreeSet<String>> {
    let path = Path::new("/proc/self/net/dev");
    let text = std::fs::read_to_string(path).map_err(Error::file("read", path))?;
    Ok(text.lines().skip(2).filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned())).collect())
}

/// What was found, with the words for a person.
pub struct Found {
    /// signed for the vault
    pub check: MediumCheck,
    /// what is wrong, file by file
    pub findings: Vec<String>,
}

/// Reads a whole medium.
pub async fn check(
    medium: &Path,
    enrolment: &Enrolment,
    scanner: &Arc<Scanner>,
    station: &SigningKey,
) -> Result<Found> {
    let demand = Demand { definitions_hours_max: u32::MAX, in_pieces: true };
    let plan = ScanPlan { scanner: scanner.clone(), demand };
    let engine = scanner.engine(u32::MAX).await.map_err(|error| Error::invalid("scanner", error.to_string()))?;
    let mut look = Look { plan, files: 0, bytes: 0, findings: Vec::new(), worst: MediumVerdict::Clean };
    let manifest_path = medium.join(FOLDER).join("manifest");
    let (manifest, digest) = look.manifest(&manifest_path, enrolment);
    let mut named = named(manifest.as_ref());
    for path in walk(medium)? {
        let relative = path.strip_prefix(medium).unwrap_or(&path).to_string_lossy().into_owned();
        let expected = named.remove(&relative);
        look.file(&path, &relative, expected.as_ref(), manifest.as_ref().map(|manifest| manifest.suite)).await?;
    }
    for missing in named.keys().filter(|name| **name != manifest_name()) {
        look.found(MediumVerdict::Damaged, format!("{missing} is named by the manifest and not there"));
    }
    let none = MediumPlace { shipment: VersionId([0; 16]), number: 1, of: 1 };
    let check = MediumCheck {
        verdict: look.worst,
        connected: is_connected()?,
        station: station.public(),
        hospital: enrolment.hospital,
        place: manifest.map_or(none, |manifest| manifest.place),
        manifest: digest,
        engine,
        files: look.files,
        bytes: look.bytes,
        checked_ms: now_ms(),
    };
    Ok(Found { check, findings: look.findings })
}

fn manifest_name() -> String {
    format!("{FOLDER}/manifest")
}

/// What a file must be.
enum Expected {
    Manifest,
    Chunk(shosoin_protocol::Address),
    Batch(Digest),
}

fn named(manifest: Option<&MediumManifest>) -> BTreeMap<String, Expected> {
    let mut named = BTreeMap::from([(manifest_name(), Expected::Manifest)]);
    if let Some(manifest) = manifest {
        for (address, _) in &manifest.chunks {
            named.insert(format!("{FOLDER}/{}", MediumManifest::chunk_file(address)), Expected::Chunk(*address));
        }
        for (number, batch) in manifest.batches.iter().enumerate() {
            named.insert(format!("{FOLDER}/{}", MediumManifest::batch_file(number)), Expected::Batch(batch.digest));
        }
    }
    named
}

/// Every file below a folder, links among them and not followed.
fn walk(root: &Path) -> Result<Vec<PathBuf>> {
    let (mut found, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(Error::file("list", &folder))? {
            let entry = entry.map_err(Error::file("list", &folder))?;
            match entry.file_type().map_err(Error::file("look at", entry.path()))?.is_dir() {
                true => folders.push(entry.path()),
                false => found.push(entry.path()),
            }
            if found.len() + folders.len() > FILES_MAX {
                return Err(Error::invalid(
                    root.display().to_string(),
                    "there are more files on it than on any medium of ours",
                ));
            }
        }
    }
    found.sort();
    Ok(found)
}

struct Look {
    plan: ScanPlan,
    files: u64,
    bytes: u64,
    findings: Vec<String>,
    worst: MediumVerdict,
}

impl Look {
    /// Malware is worse than what is foreign, that worse than damage: the first thing a person must hear.
    fn found(&mut self, verdict: MediumVerdict, what: String) {
        let rank = |verdict: MediumVerdict| match verdict {
            MediumVerdict::Infected => 4,
            MediumVerdict::Foreign => 3,
            MediumVerdict::Unsigned => 2,
            MediumVerdict::Damaged => 1,
            MediumVerdict::Clean => 0,
        };
        if rank(verdict) > rank(self.worst) {
            self.worst = verdict;
        }
        self.findings.push(what);
    }

    fn manifest(&mut self, path: &Path, enrolment: &Enrolment) -> (Option<MediumManifest>, Digest) {
        let none = Digest([0; 32]);
        let read = std::fs::symlink_metadata(path).and_then(|facts| {
            match facts.is_file() && facts.len() <= MANIFEST_BYTES_MAX {
                true => std::fs::read(path),
                false => Err(std::io::Error::from(std::io::ErrorKind::InvalidData)),
            }
        });
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(error) => {
                self.found(MediumVerdict::Unsigned, format!("its manifest cannot be read: {error}"));
                return (None, none);
            }
        };
        let digest = MediumManifest::digest_of(&bytes);
        match MediumManifest::verify(&bytes, &enrolment.hospital_key) {
            Ok(manifest) if manifest.hospital == enrolment.hospital => (Some(manifest), digest),
            Ok(_) => {
                self.found(MediumVerdict::Unsigned, "its manifest is of another hospital".to_owned());
                (None, digest)
            }
            Err(error) => {
                self.found(MediumVerdict::Unsigned, format!("its manifest does not verify: {error}"));
                (None, digest)
            }
        }
    }

    async fn file(&mut self, path: &Path, name: &str, expected: Option<&Expected>, suite: Option<Suite>) -> Result<()> {
        if !std::fs::symlink_metadata(path).map_err(Error::file("look at", path))?.is_file() {
            self.found(MediumVerdict::Foreign, format!("{name} is no file"));
            return Ok(());
        }
        let content = self.scan(path, name, expected.is_some()).await?;
        let right = match (expected, suite) {
            // without a manifest nothing in its folder can be told from what belongs there
            (None, None) if name.starts_with(FOLDER) => true,
            (None, _) => {
                self.found(MediumVerdict::Foreign, format!("{name} is not named by the manifest"));
                true
            }
            (Some(Expected::Manifest), _) => true,
            (Some(Expected::Chunk(address)), Some(suite)) => suite.address(&content) == *address,
            (Some(Expected::Batch(digest)), _) => sha256(&[&content]) == *digest,
            (Some(Expected::Chunk(_)), None) => false,
        };
        if !right {
            self.found(MediumVerdict::Damaged, format!("{name} is not what the manifest says"));
        }
        Ok(())
    }

    /// Hands a file to the scanner; gives its bytes where somebody needs them.
    async fn scan(&mut self, path: &Path, name: &str, keep: bool) -> Result<Vec<u8>> {
        let mut file = std::fs::File::open(path).map_err(Error::file("open", path))?;
        let failed = |error: ScanError| Error::invalid("scanner", error.to_string());
        let mut scan = self.plan.begin().await.map_err(failed)?;
        let (mut content, mut buffer) = (Vec::new(), vec![0; READ_BYTES]);
        let mut outcome = Ok(());
        loop {
            let read = file.read(&mut buffer).map_err(Error::file("read", path))?;
            if read == 0 {
                break;
            }
            self.bytes += read as u64;
            if keep {
                content.extend_from_slice(&buffer[..read]);
            }
            if outcome.is_ok() {
                outcome = scan.push(&buffer[..read]).await;
            }
        }
        self.files += 1;
        let outcome = match outcome {
            Ok(()) => scan.finish().await.map(drop),
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => Ok(content),
            Err(ScanError::Infected { found }) => {
                self.found(MediumVerdict::Infected, format!("{name}: {found}"));
                Ok(content)
            }
            Err(error) => Err(failed(error)),
        }
    }
}
