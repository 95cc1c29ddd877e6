//! Who may use the gateway: access keys with a role and the buckets they are for, in one file, `users`.
//!
//! Invariants
//! - A secret key is on disk only sealed, and the seal covers key id, role, bucket, end and whether it is disabled: whoever can
//!   write the file without the keyring can remove users, and can neither add one nor widen what one may do.
//! - An access key id is random and never given again. One that has ended or is disabled is answered like one that never was,
//!   also while the clock stands before a time that was seen already.
//! - A running gateway honours a change at once: it looks at the file before each request and reads it when it changed.
//! - Changes by two processes at once do not lose each other: they hold a lock on `users.lock`.
//!
//! A secret key is shown once, when it is made.

use crate::error::Error;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use parking_lot::{Mutex, RwLock};
use s3s::auth::SecretKey;
use s3s::validation::NameValidation;
use serde::{Deserialize, Serialize};
use shosoin_client::{Keyring, durable};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Name of the file under the gateway's state directory.
pub const USERS_FILE: &str = "users";
/// Name of the list of last uses beside it. To lose it costs dates.
pub const USED_FILE: &str = "users.used";
/// A use is written down this long after the one before, in milliseconds.
const USED_EVERY_MS: u64 = 3_600_000;
/// Version of the file.
const VERSION: u8 = 1;
/// Users in one file.
const USERS_MAX: usize = 10_000;
/// Longest name of a user, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// Letters of an access key id: no 0, 1, 8, 9, which read like others.
const KEY_ID_ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// What a user may do; each role may do all that the one before may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// list, get and head
    Read,
    /// also put, copy, delete and tag objects
    Write,
    /// also create and delete buckets and change their versioning
    Admin,
}

impl Role {
    /// By name.
    pub fn from_name(name: &str) -> Result<Self, Error> {
        match name {
            "read" => Ok(Role::Read),
            "write" => Ok(Role::Write),
            "admin" => Ok(Role::Admin),
            other => Err(Error::Invalid { what: "role", value: other.into(), why: "roles are read, write, admin" }),
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Role::Read => "read",
            Role::Write => "write",
            Role::Admin => "admin",
        }
    }
}

/// One user, without the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// name, for people
    pub name: String,
    /// access key id, public
    pub access_key_id: String,
    /// what the user may do
    pub role: Role,
    /// the one bucket the user may use; all if there is none
    pub bucket: Option<String>,
    /// refused from then on, in milliseconds since 1970; never, if there is none
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<u64>,
    /// refused until it is enabled again
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
}

/// What is to change about a user; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct UserChange {
    /// role
    pub role: Option<Role>,
    /// end; `Some(None)` for none
    pub expires_ms: Option<Option<u64>>,
    /// whether it is refused for now
    pub disabled: Option<bool>,
}

impl User {
    /// Whether the user may use `bucket`.
    pub fn may_use(&self, bucket: &str) -> bool {
        self.bucket.as_deref().is_none_or(|only| only == bucket)
    }
}

/// A new pair, shown once.
#[derive(Clone)]
pub struct NewCredentials {
    /// the user
    pub user: User,
    /// the secret key
    pub secret_access_key: SecretKey,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct StoredUser {
    #[serde(flatten)]
    user: User,
    /// secret key, sealed by the keyring under a label that names the fields above; base64
    sealed_secret: String,
}

impl StoredUser {
    fn label(user: &User) -> String {
        let bucket = user.bucket.as_deref().unwrap_or("*");
        let v1 = format!("gateway user v1|{}|{}|{bucket}", user.access_key_id, user.role.name());
        match (user.expires_ms, user.disabled) {
            (None, false) => v1, // the label of files from before users could end
            (expires, disabled) => {
                let expires = expires.map_or_else(|| "never".to_owned(), |at_ms| at_ms.to_string());
                format!("{v1}|{expires}|{}", if disabled { "disabled" } else { "enabled" })
            }
        }
    }

    fn seal(keyring: &Keyring, user: User, secret: &SecretKey) -> Result<Self, Error> {
        let sealed = keyring
            .seal_local(&Self::label(&user), secret.expose().as_bytes())
            .map_err(|source| Error::ForeignUser { name: user.name.clone(), source: source.into() })?;
        Ok(StoredUser { user, sealed_secret: BASE64.encode(sealed) })
    }

    fn open(&self, keyring: &Keyring) -> Result<SecretKey, Error> {
        let foreign = |source| Error::ForeignUser { name: self.user.name.clone(), source };
        let sealed = BASE64.decode(&self.sealed_secret).map_err(|source| foreign(source.into()))?;
        let secret = keyring.open_local(&Self::label(&self.user), &sealed).map_err(|source| foreign(source.into()))?;
        String::from_utf8(secret).map(SecretKey::from).map_err(|source| foreign(source.utf8_error().into()))
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct UsersFile {
    version: u8,
    users: Vec<StoredUser>,
}

/// The users file, for the command line: list, add, remove.
#[derive(Debug, Clone)]
pub struct UserStore {
    path: PathBuf,
}

impl UserStore {
    /// The users under a gateway's state directory.
    pub fn at(state_dir: &Path) -> Self {
        UserStore { path: state_dir.join(USERS_FILE) }
    }

    /// Every user, by name.
    pub fn list(&self) -> Result<Vec<User>, Error> {
        let mut users: Vec<User> = self.load()?.users.into_iter().map(|stored| stored.user).collect();
        users.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(users)
    }

    /// Makes a pair for a new user; durable on return.
    pub fn add(
        &self,
        keyring: &Keyring,
        name: &str,
        role: Role,
        bucket: Option<&str>,
        expires_ms: Option<u64>,
    ) -> Result<NewCredentials, Error> {
        let user = User {
            name: checked_name(name)?,
            access_key_id: random_key_id()?,
            role,
            bucket: bucket.map(checked_bucket).transpose()?,
            expires_ms,
            disabled: false,
        };
        let secret_access_key = random_secret()?;
        let stored = StoredUser::seal(keyring, user.clone(), &secret_access_key)?;
        self.change(|file| match file.users.iter().any(|known| known.user.name == name) {
            true => Err(Error::UserExists { name: name.into() }),
            false => {
                file.users.push(stored);
                Ok(())
            }
        })?;
        Ok(NewCredentials { user, secret_access_key })
    }

    /// The pair of a user that exists: what `up` prints again when it is started again.
    pub fn credentials(&self, keyring: &Keyring, name: &str) -> Result<NewCredentials, Error> {
        let stored = self.load()?.users.into_iter().find(|stored| stored.user.name == name);
        let stored = stored.ok_or_else(|| Error::NoUser { name: name.into() })?;
        Ok(NewCredentials { secret_access_key: stored.open(keyring)?, user: stored.user })
    }

    /// Changes what a user may do, or for how long; the pair stays the same. Durable on return.
    pub fn set(&self, keyring: &Keyring, name: &str, change: &UserChange) -> Result<User, Error> {
        let mut changed = None;
        self.change(|file| {
            let known = file.users.iter_mut().find(|known| known.user.name == name);
            let known = known.ok_or_else(|| Error::NoUser { name: name.into() })?;
            let (secret, mut user) = (known.open(keyring)?, known.user.clone());
            user.role = change.role.unwrap_or(user.role);
            user.expires_ms = change.expires_ms.unwrap_or(user.expires_ms);
            user.disabled = change.disabled.unwrap_or(user.disabled);
            *known = StoredUser::seal(keyring, user.clone(), &secret)?;
            changed = Some(user);
            Ok(())
        })?;
        changed.ok_or_else(|| Error::NoUser { name: name.into() })
    }

    /// When each access key was used last, to the hour, as far as a gateway wrote it down: milliseconds since 1970 by key id.
    pub fn last_used(&self) -> Result<BTreeMap<String, u64>, Error> {
        let path = self.used_path();
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| Error::Damaged {
                what: "list of last uses",
                path,
                why: error.to_string(),
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(error) => Err(Error::read("list of last uses", &path)(error)),
        }
    }

    fn keep_used(&self, used: &BTreeMap<String, u64>) -> Result<(), Error> {
        let path = self.used_path();
        let bytes = serde_json::to_vec(used).map_err(|error| Error::Damaged {
            what: "list of last uses",
            path: path.clone(),
            why: error.to_string(),
        })?;
        durable::replace(&path, &bytes).map_err(Error::write("list of last uses", &path))
    }

    fn used_path(&self) -> PathBuf {
        self.path.with_file_name(USED_FILE)
    }

    /// Forgets a user; the pair is refused from now on.
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        self.change(|file| {
            let before = file.users.len();
            file.users.retain(|known| known.user.name != name);
            match file.users.len() < before {
                true => Ok(()),
                false => Err(Error::NoUser { name: name.into() }),
            }
        })
    }

    fn load(&self) -> Result<UsersFile, Error> {
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(UsersFile { version: VERSION, users: Vec::new() });
            }
            Err(error) => return Err(Error::read("users file", &self.path)(error)),
        };
        let damaged = |why: String| Error::Damaged { what: "users file", path: self.path.clone(), why };
        let file: UsersFile = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        match file.version {
            VERSION => Ok(file),
            other => Err(damaged(format!("it has version {other}, this release reads {VERSION}"))),
        }
    }

    fn change(&self, change: impl FnOnce(&mut UsersFile) -> Result<(), Error>) -> Result<(), Error> {
        let _lock = self.lock()?;
        let mut file = self.load()?;
        change(&mut file)?;
        if file.users.len() > USERS_MAX {
            let value = file.users.len().to_string();
            return Err(Error::Invalid { what: "number of users", value, why: "at most 10,000 fit one gateway" });
        }
        let bytes = serde_json::to_vec_pretty(&file).map_err(|error| Error::Damaged {
            what: "users file",
            path: self.path.clone(),
            why: error.to_string(),
        })?;
        durable::replace(&self.path, &bytes).map_err(Error::write("users file", &self.path))
    }

    /// Holds others off until it is dropped.
    fn lock(&self) -> Result<File, Error> {
        let path = self.path.with_extension("lock");
        let lock = File::create(&path).map_err(Error::write("lock", &path))?;
        lock.lock().map_err(Error::write("lock", &path))?;
        Ok(lock)
    }
}

/// What tells one state of the file from another without reading it; the file is always replaced, never edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    changed: (i64, i64),
    len_bytes: u64,
}

/// A user with the secret that signs its requests.
#[derive(Clone)]
pub(crate) struct KnownUser {
    pub(crate) user: Arc<User>,
    pub(crate) secret: SecretKey,
}

#[derive(Default)]
struct Snapshot {
    stamp: Option<Stamp>,
    by_key_id: HashMap<String, KnownUser>,
}

/// The users as a running gateway sees them: the file, opened once for each change of it.
pub(crate) struct Users {
    store: UserStore,
    snapshot: RwLock<Arc<Snapshot>>,
    uses: Mutex<Uses>,
}

/// When access keys were used, in milliseconds since 1970.
#[derive(Default)]
struct Uses {
    /// by key id, as it was written down; nothing before it was read
    kept: Option<BTreeMap<String, u64>>,
    /// the newest time that was seen: a clock that goes back makes no key good again
    newest_ms: u64,
}

impl Users {
    /// Reads the file under `state_dir` when the first request asks.
    pub(crate) fn at(state_dir: &Path) -> Self {
        Users { store: UserStore::at(state_dir), snapshot: RwLock::default(), uses: Mutex::default() }
    }

    /// The user with this key id, as the file says now, who has not ended by `now_ms` and is not disabled.
    pub(crate) fn find(&self, keyring: &Keyring, access_key_id: &str, now_ms: u64) -> Result<Option<KnownUser>, Error> {
        let known = self.current(keyring)?.by_key_id.get(access_key_id).cloned();
        let latest_ms = {
            let mut uses = self.uses.lock();
            if uses.kept.is_none() {
                uses.kept = Some(self.store.last_used().unwrap_or_default());
                uses.newest_ms = uses.kept.iter().flat_map(BTreeMap::values).copied().max().unwrap_or(0);
            }
            uses.newest_ms = uses.newest_ms.max(now_ms);
            uses.newest_ms
        };
        let is_good = |user: &User| !user.disabled && user.expires_ms.is_none_or(|at_ms| latest_ms < at_ms);
        Ok(known.filter(|known| is_good(&known.user)))
    }

    /// Notes that a request of this user was let in, and writes it down at most once an hour for each.
    pub(crate) fn note_use(&self, user: &User, now_ms: u64) {
        let mut uses = self.uses.lock();
        let kept = uses.kept.get_or_insert_default();
        let last = kept.get(&user.access_key_id).copied().unwrap_or(0);
        if now_ms.abs_diff(last) < USED_EVERY_MS {
            return;
        }
        kept.insert(user.access_key_id.clone(), now_ms);
        if let Err(error) = self.store.keep_used(kept) {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the last use of an access key is not written down"
            );
        }
    }

    fn current(&self, keyring: &Keyring) -> Result<Arc<Snapshot>, Error> {
        let stamp = self.stamp()?;
        let known = Arc::clone(&self.snapshot.read());
        if known.stamp == stamp {
            return Ok(known);
        }
        let fresh = Arc::new(Snapshot { stamp, by_key_id: self.read(keyring)? });
        *self.snapshot.write() = Arc::clone(&fresh);
        Ok(fresh)
    }

    /// Opens every secret; a user whose entry does not open is left out and named in the log.
    fn read(&self, keyring: &Keyring) -> Result<HashMap<String, KnownUser>, Error> {
        let mut by_key_id = HashMap::new();
        for stored in self.store.load()?.users {
            match stored.open(keyring) {
                Ok(secret) => {
                    let user = Arc::new(stored.user);
                    by_key_id.insert(user.access_key_id.clone(), KnownUser { user, secret });
                }
                Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "a user is not honoured"),
            }
        }
        Ok(by_key_id)
    }

    fn stamp(&self) -> Result<Option<Stamp>, Error> {
        match std::fs::metadata(&self.store.path) {
            Ok(found) => Ok(Some(Stamp {
                inode: found.ino(),
                changed: (found.ctime(), found.ctime_nsec()),
                len_bytes: found.len(),
            })),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::read("users file", &self.store.path)(error)),
        }
    }
}

fn checked_name(name: &str) -> Result<String, Error> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
    match !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(plain) {
        true => Ok(name.into()),
        false => Err(Error::Invalid {
            what: "user name",
            value: name.into(),
            why: "it has 1 to 64 letters, digits, '-', '_', '.' or '@'",
        }),
    }
}

fn checked_bucket(bucket: &str) -> Result<String, Error> {
    match crate::name::BucketNames.validate_bucket_name(bucket) {
        true => Ok(bucket.into()),
        false => Err(Error::Invalid {
            what: "bucket",
            value: bucket.into(),
            why: "it has 3 to 63 lower-case letters, digits, '-' or '.', as S3 says",
        }),
    }
}

fn random_key_id() -> Result<String, Error> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(Error::Random)?;
    let letters = random.iter().map(|byte| char::from(KEY_ID_ALPHABET[usize::from(byte % 32)]));
    Ok("SHSN".chars().chain(letters).collect())
}

fn random_secret() -> Result<SecretKey, Error> {
    let mut random = [0; 30];
    getrandom::fill(&mut random).map_err(Error::Random)?;
    Ok(SecretKey::from(BASE64.encode(random)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use shosoin_protocol::Suite;

    const NOW: u64 = 1_900_000_000_000;
    const HOUR: u64 = 3_600_000;

    fn keyring() -> Keyring {
        Keyring::generate(Suite::Default).unwrap()
    }

    #[test]
    fn a_running_gateway_sees_a_new_user_and_a_removed_one_at_once() {
        let (dir, keyring) = (tempfile::tempdir().unwrap(), keyring());
        let (store, users) = (UserStore::at(dir.path()), Users::at(dir.path()));
        assert!(users.find(&keyring, "SHSNNOBODY", NOW).unwrap().is_none());
        let added = store.add(&keyring, "pacs", Role::Write, Some("images"), None).unwrap();
        let found = users.find(&keyring, &added.user.access_key_id, NOW).unwrap().unwrap();
        assert_eq!(*found.user, added.user);
        assert_eq!(found.secret.expose(), added.secret_access_key.expose());
        store.remove("pacs").unwrap();
        assert!(users.find(&keyring, &added.user.access_key_id, NOW).unwrap().is_none());
    }

    #[test]
    fn a_secret_is_sealed_on_disk_and_given_again_to_the_keyring_that_made_it() {
        let (dir, keyring) = (tempfile::tempdir().unwrap(), keyring());
        let store = UserStore::at(dir.path());
        let added = store.add(&keyring, "up", Role::Admin, None, None).unwrap();
        let file = std::fs::read_to_string(dir.path().join(USERS_FILE)).unwrap();
        assert!(!file.contains(added.secret_access_key.expose()));
        let again = store.credentials(&keyring, "up").unwrap();
        assert_eq!(again.secret_access_key.expose(), added.secret_access_key.expose());
        let foreign = Keyring::generate(Suite::Default).unwrap();
        assert!(matches!(store.credentials(&foreign, "up"), Err(Error::ForeignUser { .. })));
    }

    #[test]
    fn a_role_or_bucket_edited_in_the_file_is_not_honoured() {
        for (from, to) in [("\"read\"", "\"admin\""), ("\"images\"", "null")] {
            let (dir, keyring) = (tempfile::tempdir().unwrap(), keyring());
            let added = UserStore::at(dir.path()).add(&keyring, "viewer", Role::Read, Some("images"), None).unwrap();
            let path = dir.path().join(USERS_FILE);
            let edited = std::fs::read_to_string(&path).unwrap().replace(from, to);
            std::fs::write(&path, edited).unwrap();
            let users = Users::at(dir.path());
            assert!(users.find(&keyring, &added.user.access_key_id, NOW).unwrap().is_none(), "{to}");
        }
    }

    #[test]
    fn a_key_that_ended_or_is_disabled_is_unknown_and_no_edited_file_or_old_clock_brings_it_back_7_6_10_m5() {
        let (dir, keyring) = (tempfile::tempdir().unwrap(), keyring());
        let (store, users) = (UserStore::at(dir.path()), Users::at(dir.path()));
        let added = store.add(&keyring, "locum", Role::Write, None, Some(NOW + HOUR)).unwrap();
        let found = |users: &Users, at_ms| users.find(&keyring, &added.user.access_key_id, at_ms).unwrap().is_some();
        assert!(found(&users, NOW) && !found(&users, NOW + HOUR));
        assert!(!found(&users, NOW), "the clock went back");
        let path = dir.path().join(USERS_FILE);
        let (good, fresh) = (std::fs::read_to_string(&path).unwrap(), || Users::at(dir.path()));
        let later = good.replace(&(NOW + HOUR).to_string(), &(NOW + 9 * HOUR).to_string());
        assert_ne!(good, later);
        std::fs::write(&path, later).unwrap();
        assert!(!found(&fresh(), NOW), "an end moved by hand");
        std::fs::write(&path, good).unwrap();
        assert!(found(&fresh(), NOW));

        let change = UserChange { disabled: Some(true), expires_ms: Some(None), ..UserChange::default() };
        store.set(&keyring, "locum", &change).unwrap();
        assert!(!found(&fresh(), NOW));
        let disabled = std::fs::read_to_string(&path).unwrap();
        let enabled = disabled.replace("\"disabled\": true", "\"disabled\": false");
        assert_ne!(disabled, enabled);
        std::fs::write(&path, enabled).unwrap();
        assert!(!found(&fresh(), NOW), "enabled by hand");
        std::fs::write(&path, disabled).unwrap();
        let change = UserChange { disabled: Some(false), role: Some(Role::Read), ..UserChange::default() };
        assert_eq!(store.set(&keyring, "locum", &change).unwrap().role, Role::Read);
        let again = store.credentials(&keyring, "locum").unwrap();
        assert_eq!(again.secret_access_key.expose(), added.secret_access_key.expose(), "the pair stays");
        assert!(found(&fresh(), NOW + 99 * HOUR));
    }

    #[test]
    fn the_last_use_of_a_key_is_known_after_a_restart() {
        let (dir, keyring) = (tempfile::tempdir().unwrap(), keyring());
        let (store, users) = (UserStore::at(dir.path()), Users::at(dir.path()));
        let user = store.add(&keyring, "pacs", Role::Write, None, None).unwrap().user;
        assert!(store.last_used().unwrap().is_empty());
        users.note_use(&user, NOW);
        users.note_use(&user, NOW + HOUR / 2);
        assert_eq!(store.last_used().unwrap(), BTreeMap::from([(user.access_key_id.clone(), NOW)]));
        Users::at(dir.path()).note_use(&user, NOW + HOUR);
        assert_eq!(store.last_used().unwrap()[&user.access_key_id], NOW + HOUR);
        std::fs::write(dir.path().join(USED_FILE), "torn").unwrap();
        assert!(users.find(&keyring, &user.access_key_id, NOW).unwrap().is_some(), "a lost list costs dates");
    }

    #[test]
    fn names_are_given_once_and_follow_the_rules() {
        let (dir, keyring) = (tempfile::tempdir().unwrap(), keyring());
        let store = UserStore::at(dir.path());
        store.add(&keyring, "b", Role::Read, None, None).unwrap();
        store.add(&keyring, "a", Role::Read, None, None).unwrap();
        assert!(matches!(store.add(&keyring, "a", Role::Admin, None, None), Err(Error::UserExists { .. })));
        assert!(matches!(store.remove("nobody"), Err(Error::NoUser { .. })));
        let names: Vec<String> = store.list().unwrap().into_iter().map(|user| user.name).collect();
        assert_eq!(names, ["a", "b"]);
        for wrong in ["", "a b", "../a", &"x".repeat(65)] {
            assert!(
                matches!(store.add(&keyring, wrong, Role::Read, None, None), Err(Error::Invalid { .. })),
                "{wrong}"
            );
        }
        assert!(store.add(&keyring, "c", Role::Read, Some("Not_A_Bucket"), None).is_err());
    }

    #[test]
    fn a_users_file_that_is_not_ours_is_damaged_not_empty() {
        let dir = tempfile::tempdir().unwrap();
        for wrong in ["", "{}", "{\"version\":9,\"users\":[]}", "not json"] {
            std::fs::write(dir.path().join(USERS_FILE), wrong).unwrap();
            assert!(matches!(UserStore::at(dir.path()).list(), Err(Error::Damaged { .. })), "{wrong:?}");
        }
    }

    #[test]
    fn a_secret_does_not_show_in_debug_output() {
        let (dir, keyring) = (tempfile::tempdir().unwrap(), keyring());
        let added = UserStore::at(dir.path()).add(&keyring, "a", Role::Read, None, None).unwrap();
        assert!(!format!("{:?}", added.secret_access_key).contains(added.secret_access_key.expose()));
    }
}
