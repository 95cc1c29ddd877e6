//! Uploads in parts that are under way, on disk under `multipart/`.
//!
//! ```text
//! multipart/<upload id>/upload        what the object will be
//! multipart/<upload id>/part-00001    where the sealed chunks of a part are
//! multipart/<upload id>/done          what completing it gave, kept for a day
//! ```
//! Invariants
//! - A part that was answered is on disk: its chunks in the vault, its file synced. It survives a restart, and
//!   completing never uploads again.
//! - Every file is sealed by the keyring under a label that names upload and file, so none can stand in for another.
//! - Files are replaced whole; the last upload of a part to finish is the part.
//!
//! Completing and aborting hold an upload alone; parts of it are kept at the same time as each other. What a crash left of
//! an upload that ended, and outcomes older than a day, are tidied away at the start and then now and again.

use crate::error::Error;
use crate::lock::Asked;
use shosoin_client::{Keyring, PartContent, durable};
use shosoin_protocol::VersionId;
use shosoin_protocol::act::{Lock, LockMode};
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::limits::*;
use shosoin_protocol::manifest::{
    Checksum, ChecksumAlgorithm, Pairs, read_checksum, read_pairs, write_checksum, write_pairs,
};
use shosoin_protocol::policy::DepositPolicy;
use shosoin_protocol::suite::sha256;
use std::collections::BTreeMap;
use std::io::ErrorKind::NotFound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};
use tokio::sync::RwLock;

/// Name of the folder under the gateway's state directory.
const FOLDER: &str = "multipart";
/// How long the outcome of a completed upload answers a client that asks again.
const DONE_KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// Completed uploads between two times that old outcomes are tidied away.
const TIDY_EVERY: u64 = 1000;
/// Locks over all uploads; two uploads that share one wait for each other while one completes.
const LOCKS: usize = 64;
/// Longest file of a part: its chunk list, or its sealed bytes where they travel with the deposit.
const PART_FILE_BYTES_MAX: usize = DEPOSIT_BYTES_MAX;
const WHAT: &str = "multipart state";

/// Names one upload: 32 hex digits, random.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct UploadId(String);

impl UploadId {
    /// A fresh one.
    pub(crate) fn random() -> Result<Self, Error> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(Error::Random)?;
        Ok(UploadId(hex::encode(random)))
    }

    /// From a request; anything that never was an upload id is none. Safe as a file name.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (text.len() == 32 && text.bytes().all(digits)).then(|| UploadId(text.into()))
    }

    /// Id of the version that completing it makes, the same however often that is tried.
    pub(crate) fn version(&self, initiated_ms: u64) -> VersionId {
        let digest = sha256(&[b"shosoin upload v1", self.0.as_bytes()]);
        let mut random = [0; 10];
        random.copy_from_slice(&digest.0[..10]);
        VersionId::new(initiated_ms, random)
    }

    /// As text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// What an object that is uploaded in parts will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Upload {
    pub(crate) bucket: String,
    pub(crate) name: String,
    pub(crate) initiated_ms: u64,
    pub(crate) headers: Pairs,
    pub(crate) metadata: Pairs,
    pub(crate) tags: Pairs,
    pub(crate) policy: DepositPolicy,
    /// checksum that every part gets, and whether the object's is of the whole
    pub(crate) checksum: Option<(ChecksumAlgorithm, bool)>,
    /// what keeps it besides its policy
    pub(crate) asked: Asked,
    /// the signature that the document brings, as it came
    pub(crate) signature: Option<Vec<u8>>,
}

/// One part that arrived.
#[derive(Debug)]
pub(crate) struct StoredPart {
    pub(crate) uploaded_ms: u64,
    pub(crate) checksum: Option<Checksum>,
    pub(crate) content: PartContent,
}

impl StoredPart {
    /// Its ETag, without quotes.
    pub(crate) fn etag(&self) -> String {
        hex::encode(self.content.md5)
    }
}

/// What completing an upload gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) bucket: String,
    pub(crate) name: String,
    pub(crate) etag: String,
    pub(crate) version: Option<String>,
    pub(crate) checksum: Option<Checksum>,
    pub(crate) parts: u32,
}

/// Every upload under way. All functions but the locks block on the disk.
pub(crate) struct Uploads {
    folder: PathBuf,
    locks: Vec<RwLock<()>>,
    finished: AtomicU64,
}

impl Uploads {
    /// Opens the folder, which is made if it is not there, and tidies it.
    pub(crate) fn open(state_dir: &Path) -> Result<Self, Error> {
        let folder = state_dir.join(FOLDER);
        std::fs::create_dir_all(&folder).map_err(Error::write(WHAT, &folder))?;
        let locks = (0..LOCKS).map(|_| RwLock::new(())).collect();
        let uploads = Uploads { folder, locks, finished: AtomicU64::new(0) };
        uploads.tidy(SystemTime::now())?;
        Ok(uploads)
    }

    /// The lock of an upload: shared to keep a part, alone to complete or abort.
    pub(crate) fn lock(&self, id: &UploadId) -> &RwLock<()> {
        let sum: usize = id.0.bytes().map(usize::from).sum();
        &self.locks[sum % LOCKS]
    }

    /// Begins an upload; durable on return.
    pub(crate) fn create(&self, keyring: &Keyring, id: &UploadId, upload: &Upload) -> Result<(), Error> {
        let folder = self.folder_of(id);
        std::fs::create_dir(&folder).map_err(Error::write(WHAT, &folder))?;
        self.write(keyring, id, "upload", &upload.encode())?;
        durable::sync_folder(&self.folder).map_err(Error::write(WHAT, &self.folder))
    }

    /// Replaces what an upload will be; durable on return.
    pub(crate) fn put_upload(&self, keyring: &Keyring, id: &UploadId, upload: &Upload) -> Result<(), Error> {
        self.write(keyring, id, "upload", &upload.encode())
    }

    /// An upload under way; none if there is no such, or it is completed.
    pub(crate) fn upload(&self, keyring: &Keyring, id: &UploadId) -> Result<Option<Upload>, Error> {
        let Some(bytes) = self.read(keyring, id, "upload")? else { return Ok(None) };
        Upload::decode(&bytes).map(Some).map_err(|error| self.damaged(id, error))
    }

    /// Keeps a part in place of any with its number; durable on return.
    pub(crate) fn put_part(
        &self,
        keyring: &Keyring,
        id: &UploadId,
        number: u16,
        part: &StoredPart,
    ) -> Result<(), Error> {
        let content = part.content.encode(keyring).map_err(|error| self.damaged(id, error))?;
        let mut out = Writer::with_capacity(content.len() + 64);
        out.u64(part.uploaded_ms);
        write_checksum(&mut out, part.checksum.as_ref());
        out.put(&content);
        self.write(keyring, id, &part_file(number), &out.finish())
    }

    /// A part, if it arrived.
    pub(crate) fn part(&self, keyring: &Keyring, id: &UploadId, number: u16) -> Result<Option<StoredPart>, Error> {
        let Some(bytes) = self.read(keyring, id, &part_file(number))? else { return Ok(None) };
        let mut reader = Reader::new(&bytes, "part of an upload");
        let head = reader.u64("uploaded").and_then(|at| Ok((at, read_checksum(&mut reader)?)));
        let (uploaded_ms, checksum) = head.map_err(|error| self.damaged(id, error))?;
        let content = PartContent::decode(keyring, reader.rest()).map_err(|error| self.damaged(id, error))?;
        Ok(Some(StoredPart { uploaded_ms, checksum, content }))
    }

    /// Numbers of the parts that arrived, ascending.
    pub(crate) fn part_numbers(&self, id: &UploadId) -> Result<Vec<u16>, Error> {
        let mut numbers: Vec<u16> =
            self.names_in(&self.folder_of(id))?.iter().filter_map(|name| part_number(name)).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Ends an upload with an outcome, which stays for a client that asks again.
    pub(crate) fn finish(&self, keyring: &Keyring, id: &UploadId, done: &Done) -> Result<(), Error> {
        self.write(keyring, id, "done", &done.encode())?;
        self.clear(id)?;
        if self.finished.fetch_add(1, Ordering::Relaxed) % TIDY_EVERY == TIDY_EVERY - 1 {
            self.tidy(SystemTime::now())?;
        }
        Ok(())
    }

    /// Removes everything of a completed upload but its outcome.
    fn clear(&self, id: &UploadId) -> Result<(), Error> {
        let folder = self.folder_of(id);
        self.remove_file(&folder.join("upload"))?;
        for number in self.part_numbers(id)? {
            self.remove_file(&folder.join(part_file(number)))?;
        }
        Ok(())
    }

    /// The outcome of a completed upload.
    pub(crate) fn done(&self, keyring: &Keyring, id: &UploadId) -> Result<Option<Done>, Error> {
        let Some(bytes) = self.read(keyring, id, "done")? else { return Ok(None) };
        Done::decode(&bytes).map(Some).map_err(|error| self.damaged(id, error))
    }

    /// Forgets an upload. Its chunks stay in the vault until compaction finds that nothing names them.
    pub(crate) fn remove(&self, id: &UploadId) -> Result<(), Error> {
        let folder = self.folder_of(id);
        // Without its first file an upload is gone, whatever a crash leaves of the rest.
        self.remove_file(&folder.join("upload"))?;
        std::fs::remove_dir_all(&folder).map_err(Error::write(WHAT, &folder))?;
        durable::sync_folder(&self.folder).map_err(Error::write(WHAT, &self.folder))
    }

    /// The uploads under way in `bucket`, by name, then by id.
    pub(crate) fn list(&self, keyring: &Keyring, bucket: &str) -> Result<BTreeMap<(String, UploadId), Upload>, Error> {
        let mut found = BTreeMap::new();
        for id in self.ids()? {
            match self.upload(keyring, &id)? {
                Some(upload) if upload.bucket == bucket => {
                    found.insert((upload.name.clone(), id), upload);
                }
                _ => {}
            }
        }
        Ok(found)
    }

    /// Forgets what was under way in a bucket that ended.
    pub(crate) fn forget_bucket(&self, keyring: &Keyring, bucket: &str) -> Result<(), Error> {
        for (_, id) in self.list(keyring, bucket)?.into_keys() {
            self.remove(&id)?;
        }
        Ok(())
    }

    fn ids(&self) -> Result<Vec<UploadId>, Error> {
        Ok(self.names_in(&self.folder)?.iter().filter_map(|name| UploadId::parse(name)).collect())
    }

    /// Removes outcomes that are older than a day at `now`, what completed uploads left when a crash cut them short, and
    /// folders that lost their upload or never got it.
    fn tidy(&self, now: SystemTime) -> Result<(), Error> {
        let is_old = |path: &Path| {
            let modified = std::fs::metadata(path).and_then(|found| found.modified()).ok();
            modified.and_then(|at| now.duration_since(at).ok()).is_some_and(|age| age > DONE_KEPT)
        };
        for id in self.ids()? {
            let folder = self.folder_of(&id);
            let (done, upload) = (folder.join("done"), folder.join("upload"));
            match (done.exists(), upload.exists()) {
                (true, _) if is_old(&done) => self.remove(&id)?,
                (true, true) => self.clear(&id)?,
                (false, false) if is_old(&folder) => self.remove(&id)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn folder_of(&self, id: &UploadId) -> PathBuf {
        self.folder.join(&id.0)
    }

    fn names_in(&self, folder: &Path) -> Result<Vec<String>, Error> {
        let listing = match std::fs::read_dir(folder) {
            Ok(listing) => listing,
            Err(error) if error.kind() == NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::read(WHAT, folder)(error)),
        };
        let mut names = Vec::new();
        for entry in listing {
            let entry = entry.map_err(Error::read(WHAT, folder))?;
            names.extend(entry.file_name().into_string());
        }
        Ok(names)
    }

    fn write(&self, keyring: &Keyring, id: &UploadId, file: &str, bytes: &[u8]) -> Result<(), Error> {
        let sealed = keyring.seal_local(&label(id, file), bytes).map_err(|error| self.damaged(id, error))?;
        let path = self.folder_of(id).join(file);
        durable::replace(&path, &sealed).map_err(Error::write(WHAT, path))
    }

    fn read(&self, keyring: &Keyring, id: &UploadId, file: &str) -> Result<Option<Vec<u8>>, Error> {
        let path = self.folder_of(id).join(file);
        let sealed = match std::fs::read(&path) {
            Ok(sealed) if sealed.len() <= PART_FILE_BYTES_MAX => sealed,
            Ok(_) => return Err(self.damaged(id, "a file is longer than any that is written")),
            Err(error) if error.kind() == NotFound => return Ok(None),
            Err(error) => return Err(Error::read(WHAT, path)(error)),
        };
        keyring.open_local(&label(id, file), &sealed).map(Some).map_err(|error| self.damaged(id, error))
    }

    fn remove_file(&self, path: &Path) -> Result<(), Error> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != NotFound => Err(Error::write(WHAT, path)(error)),
            _ => Ok(()),
        }
    }

    fn damaged(&self, id: &UploadId, why: impl ToString) -> Error {
        Error::Damaged { what: WHAT, path: self.folder_of(id), why: why.to_string() }
    }
}

fn label(id: &UploadId, file: &str) -> String {
    format!("multipart v1|{}|{file}", id.0)
}

fn part_file(number: u16) -> String {
    format!("part-{number:05}")
}

fn part_number(file: &str) -> Option<u16> {
    file.strip_prefix("part-")?.parse().ok()
}

impl Upload {
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.var(self.bucket.as_bytes()).var(self.name.as_bytes()).u64(self.initiated_ms);
        write_pairs(&mut out, &self.headers);
        write_pairs(&mut out, &self.metadata);
        write_pairs(&mut out, &self.tags);
        self.policy.write(&mut out);
        let (algorithm, full_object) =
            self.checksum.map_or((0, 0), |(algorithm, full)| (algorithm as u8, u8::from(full)));
        out.u8(algorithm).u8(full_object);
        let (mode, until_ms) = self.asked.lock.map_or((0, 0), |lock| (lock.mode.code(), lock.until_ms));
        out.u8(mode).u64(until_ms).u8(u8::from(self.asked.hold)).u64(self.asked.until_ms);
        out.var(self.signature.as_deref().unwrap_or_default());
        out.finish()
    }

    fn decode(bytes: &[u8]) -> shosoin_protocol::Result<Self> {
        let mut reader = Reader::new(bytes, "upload");
        let upload = Upload {
            bucket: reader.text(BUCKET_BYTES_MAX, "bucket")?,
            name: reader.text(NAME_BYTES_MAX, "name")?,
            initiated_ms: reader.u64("initiated")?,
            headers: read_pairs(&mut reader, PAIRS_MAX, HEADERS_BYTES_MAX, "headers")?,
            metadata: read_pairs(&mut reader, PAIRS_MAX, USER_METADATA_BYTES_MAX, "user metadata")?,
            tags: read_pairs(&mut reader, TAGS_MAX, TAGS_BYTES_MAX, "tags")?,
            policy: DepositPolicy::read(&mut reader)?,
            checksum: read_algorithm(&mut reader)?,
            asked: read_asked(&mut reader)?,
            signature: read_signature(&mut reader)?,
        };
        reader.finish()?;
        Ok(upload)
    }
}

fn read_asked(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Asked> {
    let lock = match (reader.u8("mode of the lock")?, reader.u64("locked until")?) {
        (0, _) => None,
        (mode, until_ms) => Some(Lock { mode: LockMode::from_code(mode)?, until_ms }),
    };
    Ok(Asked { lock, hold: reader.u8("legal hold")? == 1, until_ms: reader.u64("kept until")? })
}

/// The signature of an upload; those that began before there was one end without.
fn read_signature(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Option<Vec<u8>>> {
    if reader.left() == 0 {
        return Ok(None);
    }
    let cms = reader.var(DOCUMENT_SIGNATURE_BYTES_MAX, "document signature")?;
    Ok(Some(cms.to_vec()).filter(|cms| !cms.is_empty()))
}

fn read_algorithm(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Option<(ChecksumAlgorithm, bool)>> {
    let (code, full_object) = (reader.u8("checksum algorithm")?, reader.u8("checksum kind")?);
    match code {
        0 => Ok(None),
        code => Ok(Some((ChecksumAlgorithm::from_code(code)?, full_object == 1))),
    }
}

impl Done {
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.var(self.bucket.as_bytes()).var(self.name.as_bytes()).var(self.etag.as_bytes());
        out.var(self.version.as_deref().unwrap_or_default().as_bytes()).u32(self.parts);
        write_checksum(&mut out, self.checksum.as_ref());
        out.finish()
    }

    fn decode(bytes: &[u8]) -> shosoin_protocol::Result<Self> {
        let mut reader = Reader::new(bytes, "completed upload");
        let done = Done {
            bucket: reader.text(BUCKET_BYTES_MAX, "bucket")?,
            name: reader.text(NAME_BYTES_MAX, "name")?,
            etag: reader.text(64, "ETag")?,
            version: Some(reader.text(64, "version")?).filter(|version| !version.is_empty()),
            parts: reader.u32("parts")?,
            checksum: read_checksum(&mut reader)?,
        };
        reader.finish()?;
        Ok(done)
    }
}

#[cfg(test)]
mod tests;
