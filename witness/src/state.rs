//! The folder of a witness: its key, the logs it serves, and the newest head of each that it co-signed.
//!
//! ```text
//! witness.key                    "shwk" | version 1 | zeros 3 | seed 32 | var name
//! logs/<sha256 of origin>/keys   keys of the log, one a line
//!                        /checkpoint   the head that was co-signed last, with the log's signatures and ours
//!                        /conflicts/   requests of the log's own key that contradict it, 16 at most
//! ```

use crate::request::{Refusal, Request};
use crate::{Error, Result};
use parking_lot::Mutex;
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::note::{self, Note, VerifierKey};
use shosoin_protocol::sign::SigningKey;
use shosoin_protocol::suite::sha256;
use shosoin_protocol::{Digest, Suite};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use zeroize::Zeroizing;

const MAGIC: [u8; 4] = *b"shwk";
const VERSION: u8 = 1;
const NAME_BYTES_MAX: usize = 256;
/// Logs of one witness.
const LOGS_MAX: usize = 10_000;
/// Contradicting requests that are kept for each log.
const CONFLICTS_MAX: usize = 16;
/// How far the clock may be behind the last cosignature, in seconds, before nothing is signed.
const CLOCK_BACK_S_MAX: u64 = 300;

/// An open witness. The folder is its alone.
pub struct Witness {
    dir: PathBuf,
    name: String,
    key: SigningKey,
    logs: BTreeMap<Digest, Arc<Log>>,
    _lock: File,
}

/// A log, and what was co-signed of it.
struct Log {
    dir: PathBuf,
    keys: Vec<VerifierKey>,
    /// held while a request is judged and remembered
    latest: Mutex<Option<Latest>>,
}

struct Latest {
    size: u64,
    root: Digest,
    time_s: u64,
    note: String,
}

/// A log as people are shown it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownLog {
    /// its origin
    pub origin: String,
    /// its keys
    pub keys: Vec<String>,
    /// leaves, root in hex and time in seconds since 1970 of the head that was co-signed last
    pub latest: Option<(u64, String, u64)>,
    /// requests of the log's own key that contradict what was co-signed
    pub conflicts: usize,
}

impl Witness {
    /// Makes a witness named `name` in `dir`.
    pub fn init(dir: &Path, name: &str) -> Result<VerifierKey> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(&mut seed[..]).map_err(|error| Error::Randomness { why: error.to_string() })?;
        let key = SigningKey::from_seed(Suite::Default, &seed).map_err(invalid("key"))?;
        let public = VerifierKey::of_witness(name, key.public()).map_err(invalid("name"))?;
        make_dir(&dir.join("logs"))?;
        let path = dir.join("witness.key");
        if path.exists() {
            return Err(Error::Exists { what: "a witness", path: dir.to_owned() });
        }
        let mut out = Writer::new();
        out.put(&MAGIC).u8(VERSION).zeros(3).put(&seed[..]).var(name.as_bytes());
        replace(&path, &Zeroizing::new(out.finish()))?;
        Ok(public)
    }

    /// Opens the witness in `dir`.
    pub fn open(dir: &Path) -> Result<Self> {
        let lock = take_lock(dir)?;
        let path = dir.join("witness.key");
        let bytes = Zeroizing::new(std::fs::read(&path).map_err(io("read", &path))?);
        let (key, name) = parse_key(&bytes).map_err(|source| Error::Damaged { path, source })?;
        let mut witness = Witness { dir: dir.to_owned(), name, key, logs: BTreeMap::new(), _lock: lock };
        let folder = dir.join("logs");
        for entry in std::fs::read_dir(&folder).map_err(io("list", &folder))? {
            let path = entry.map_err(io("list", &folder))?.path();
            let (origin, log) = witness.open_log(&path)?;
            witness.logs.insert(origin, Arc::new(log));
        }
        Ok(witness)
    }

    fn open_log(&self, dir: &Path) -> Result<(Digest, Log)> {
        let damaged = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::Damaged { path, source }
        };
        let path = dir.join("keys");
        let text = std::fs::read_to_string(&path).map_err(io("read", &path))?;
        let keys: Result<Vec<VerifierKey>, _> = text.lines().map(str::parse).collect();
        let keys = keys.map_err(damaged(&path))?;
        let origin = keys.first().map(|key| key.name.clone()).unwrap_or_default();
        let path = dir.join("checkpoint");
        let latest = match std::fs::read_to_string(&path) {
            Ok(note) => Some(self.read_latest(&keys, note).map_err(damaged(&path))?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(io("read", &path)(error)),
        };
        Ok((origin_hash(&origin), Log { dir: dir.to_owned(), keys, latest: Mutex::new(latest) }))
    }

    /// What was written when it was co-signed: signed by the log and by us.
    fn read_latest(&self, keys: &[VerifierKey], text: String) -> shosoin_protocol::Result<Latest> {
        let read = Note::parse(&text)?;
        let head = read.tree_head()?;
        let signed = keys.iter().map(|key| key.verify(&read)).collect::<Result<Vec<_>, _>>()?.contains(&true);
        let time_s = self.public()?.cosigned_at(&read)?.filter(|_| signed);
        let time_s = time_s.ok_or(shosoin_protocol::Error::Signature { what: "remembered head" })?;
        let (size, root) = (head.size, head.root);
        Ok(Latest { size, root, time_s, note: text })
    }

    fn public(&self) -> shosoin_protocol::Result<VerifierKey> {
        VerifierKey::of_witness(&self.name, self.key.public())
    }

    /// Its name and key, for those who rely on it.
    pub fn verifier_key(&self) -> Result<VerifierKey> {
        self.public().map_err(invalid("name"))
    }

    /// Serves one log more, or the same log under one key more. The key's name is the origin of the log.
    pub fn add_log(&mut self, key: &VerifierKey) -> Result<()> {
        let origin = origin_hash(&key.name);
        let dir = self.dir.join("logs").join(origin.to_string());
        let mut keys = self.logs.get(&origin).map(|log| log.keys.clone()).unwrap_or_default();
        if keys.contains(key) {
            return Err(Error::Exists { what: "this key of the log", path: dir });
        }
        if self.logs.len() >= LOGS_MAX {
            let limit = LOGS_MAX as u64;
            return Err(invalid("log")(shosoin_protocol::Error::OverLimit { what: "logs", found: limit + 1, limit }));
        }
        keys.push(key.clone());
        make_dir(&dir)?;
        let text: String = keys.iter().map(|key| format!("{key}\n")).collect();
        replace(&dir.join("keys"), text.as_bytes())?;
        sync_folder(&self.dir.join("logs"))?;
        let (origin, log) = self.open_log(&dir)?;
        self.logs.insert(origin, Arc::new(log));
        Ok(())
    }

    /// Every log it serves.
    pub fn logs(&self) -> Vec<KnownLog> {
        let shown = |log: &Arc<Log>| {
            let latest = log.latest.lock();
            KnownLog {
                origin: log.keys.first().map(|key| key.name.clone()).unwrap_or_default(),
                keys: log.keys.iter().map(VerifierKey::to_string).collect(),
                latest: latest.as_ref().map(|latest| (latest.size, latest.root.to_string(), latest.time_s)),
                conflicts: std::fs::read_dir(log.dir.join("conflicts")).map_or(0, Iterator::count),
            }
        };
        self.logs.values().map(shown).collect()
    }

    /// The head that was co-signed last of the log with this origin hash.
    pub fn checkpoint(&self, origin: &Digest) -> Option<String> {
        self.logs.get(origin)?.latest.lock().as_ref().map(|latest| latest.note.clone())
    }

    /// Judges a request and, if it holds, remembers its head and gives the cosignature. On disk before this returns.
    pub fn add_checkpoint(&self, body: &str) -> Result<Result<String, Refusal>> {
        let request = match Request::parse(body) {
            Ok(request) => request,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let Some(log) = self.logs.get(&origin_hash(request.head.origin)) else { return Ok(Err(Refusal::UnknownLog)) };
        let mut latest = log.latest.lock();
        let known = latest.as_ref().map(|latest| (latest.size, latest.root));
        if let Err(refusal) = request.judge(&log.keys, known) {
            if let Refusal::Inconsistent(_) = refusal {
                log.keep_conflict(body)?;
            }
            return Ok(Err(refusal));
        }
        let time_s = now_s();
        if latest.as_ref().is_some_and(|latest| time_s + CLOCK_BACK_S_MAX < latest.time_s) {
            let source = std::io::Error::other("the clock is behind the last cosignature");
            return Err(Error::Io { action: "believe the clock of", path: self.dir.clone(), source });
        }
        let line = note::cosign(&self.name, &self.key, request.note.text, time_s).map_err(invalid("name"))?;
        let kept = log.only_the_logs(&request).map_err(invalid("checkpoint"))? + &line;
        replace(&log.dir.join("checkpoint"), kept.as_bytes())?;
        *latest = Some(Latest { size: request.head.size, root: request.head.root, time_s, note: kept });
        Ok(Ok(line))
    }
}

impl Log {
    /// The checkpoint with the signatures of the log alone: lines of strangers are neither kept nor passed on.
    fn only_the_logs(&self, request: &Request<'_>) -> shosoin_protocol::Result<String> {
        let end = request.note.text.len() + 1;
        let mut kept = request.checkpoint[..end].to_owned();
        for (line, (name, signature)) in request.checkpoint[end..].split_inclusive('\n').zip(&request.note.signatures) {
            if self.keys.iter().any(|key| key.name == *name && signature.starts_with(&key.id())) {
                kept.push_str(line);
            }
        }
        Ok(kept)
    }

    fn keep_conflict(&self, body: &str) -> Result<()> {
        let folder = self.dir.join("conflicts");
        make_dir(&folder)?;
        let path = folder.join(format!("{}.txt", &sha256(&[body.as_bytes()]).to_string()[..16]));
        let kept = std::fs::read_dir(&folder).map_err(io("list", &folder))?.count();
        tracing::error!(path = %path.display(), "a log contradicts what was co-signed of it");
        if kept < CONFLICTS_MAX { replace(&path, body.as_bytes()) } else { Ok(()) }
    }
}

/// What names a log in paths: SHA-256 of its origin.
pub fn origin_hash(origin: &str) -> Digest {
    sha256(&[origin.as_bytes()])
}

fn parse_key(bytes: &[u8]) -> shosoin_protocol::Result<(SigningKey, String)> {
    let mut reader = Reader::new(bytes, "witness key");
    if reader.array::<4>("magic of the witness key")? != MAGIC {
        return Err(shosoin_protocol::Error::Magic { what: "witness key" });
    }
    match reader.u8("version of the witness key")? {
        VERSION => {}
        found => return Err(shosoin_protocol::Error::Version { what: "witness key", found, known: VERSION }),
    }
    reader.zeros(3, "reserved bytes of the witness key")?;
    let seed = Zeroizing::new(reader.array("seed")?);
    let name = reader.text(NAME_BYTES_MAX, "name")?;
    reader.finish()?;
    Ok((SigningKey::from_seed(Suite::Default, &seed)?, name))
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

fn invalid(what: &'static str) -> impl Fn(shosoin_protocol::Error) -> Error {
    move |source| Error::Invalid { what, source }
}

fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::Io { action, path, source }
}

fn take_lock(dir: &Path) -> Result<File> {
    let path = dir.join("lock");
    let open = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let file = open.map_err(io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(Error::InUse { path: dir.to_owned() }),
        Err(std::fs::TryLockError::Error(error)) => Err(io("lock", &path)(error)),
    }
}

fn make_dir(dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir).map_err(io("make folder", dir))
}

fn sync_folder(dir: &Path) -> Result<()> {
    File::open(dir).and_then(|folder| folder.sync_all()).map_err(io("sync folder", dir))
}

/// Puts `bytes` in place of what `path` held; durable on return.
fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = path.with_extension("tmp");
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    };
    write().map_err(io("write", path))?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))
}

#[cfg(test)]
mod tests;
