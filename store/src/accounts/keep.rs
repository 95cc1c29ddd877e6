//! Keeping the accounts file: opened against what the audit log knows of it, changed so that log and file never part.
//!
//! Order of a change: the next content is durable in `accounts.next`, then the audit record with its digest, then the file. A
//! kill in front of the record leaves the old content, one behind it the new: opening finishes what the record says.

use super::admit::is_owner;
use super::book::{self, Book, FILE_BYTES_MAX};
use super::caller::Caller;
use super::floods::Floods;
use super::log_on::REFUSAL_TAKES;
use super::password::Cost;
use super::session::{SessionLimits, Sessions};
use super::{Account, AccountId, Accounts, AccountsConfig, Mode, Moment, Standing, State};
use crate::audit::{Action, AuditEvent, Detail, Outcome};
use crate::check::{Finding, Severity};
use crate::error::{Error, Result};
use crate::media_ledger::MediaLedger;
use parking_lot::Mutex;
use shosoin_protocol::Digest;
use shosoin_tiers::media::{FileMedia, FileOptions};
use shosoin_tiers::{Clock, Random, durable};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use tokio::sync::Notify;

/// Name of the file in the vault's folder.
pub const FILE: &str = "accounts";
/// Name of what it is about to be.
pub const NEXT: &str = "accounts.next";

/// What the audit log knows of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mark {
    /// digest of the file as it was last written; none where there never was one
    pub digest: Option<Digest>,
    /// every id that there ever was
    pub ids: BTreeSet<AccountId>,
}

/// Where the parts of [`Accounts`] come from.
pub(crate) struct Parts {
    pub media: Arc<MediaLedger>,
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
    pub config: AccountsConfig,
    pub vault: String,
}

impl Accounts {
    /// Opens the accounts of the vault in `dir`. A file that the log does not know is a finding, and nobody's word.
    pub(crate) fn open(dir: &Path, parts: Parts) -> Result<(Self, Option<Finding>)> {
        let Parts { media, clock, random, config, vault } = parts;
        let disk = FileMedia::open(dir, FileOptions { exclusive: false, ..FileOptions::default() })?;
        let known = media.accounts_mark().digest;
        let is_known = |bytes: &Vec<u8>| Some(book::digest(bytes)) == known;
        let state = match (known, read(dir, FILE), read(dir, NEXT).unwrap_or_default()) {
            (_, Err(error), _) => doubted(&error.problem().message),
            (known, Ok(found), next) => match (known, found, next) {
                (None, None, _) => State { book: Book::default(), digest: None, mode: Mode::NoAccounts },
                (None, Some(_), _) => doubted("there is an accounts file that the audit log knows nothing of"),
                (Some(_), Some(bytes), _) if is_known(&bytes) => believed(&bytes),
                (Some(_), _, Some(bytes)) if is_known(&bytes) => {
                    durable::replace(&disk, FILE, &bytes)?;
                    believed(&bytes)
                }
                (Some(_), None, _) => doubted("the accounts file is gone"),
                (Some(_), Some(_), _) => {
                    doubted("the accounts file is not the one that was written last: it was changed, or is an old one")
                }
            },
        };
        let finding = finding_of(&state.mode);
        let sessions = Sessions::new(SessionLimits {
            idle_ms: u64::from(config.idle_minutes) * 60_000,
            life_ms: u64::from(config.session_hours) * 3_600_000,
            count: config.sessions_max as usize,
        });
        let accounts = Accounts {
            dir: dir.to_owned(),
            disk,
            media,
            clock,
            random,
            config,
            vault,
            state: Mutex::new(state),
            sessions,
            hashing: Mutex::default(),
            cost: Cost::default(),
            trying: AtomicUsize::new(0),
            floods: Floods::default(),
            locks: AtomicU64::new(0),
            written: Notify::new(),
            refusal_takes: REFUSAL_TAKES,
        };
        Ok((accounts, finding))
    }

    /// Whether file, memory and log agree now; what does not is a finding.
    pub fn verify(&self) -> Option<Finding> {
        let state = self.state.lock();
        finding_of(&state.mode).or_else(|| {
            let why = match self.is_as_left(&state) {
                Err(error) => error.problem().message,
                Ok(()) if state.digest == self.media.accounts_mark().digest => return None,
                Ok(()) => "the audit log knows another accounts file".to_owned(),
            };
            Some(damaged(&why))
        })
    }

    /// Makes a change: `event` says what it is and who makes it, `about` and `request` what it concerns. Durable on `Ok`;
    /// nothing has changed on `Err`.
    pub(super) fn write<T>(
        &self,
        state: &mut State,
        moment: &Moment,
        event: Noted<'_>,
        change: impl FnOnce(&mut Book) -> Result<T>,
    ) -> Result<T> {
        if let Mode::Doubted(why) = &state.mode {
            return Err(self.unusable(why));
        }
        self.is_as_left(state)?;
        let mut book = state.book.clone();
        let value = change(&mut book)?;
        self.publish(state, moment, event, book)?;
        Ok(value)
    }

    /// Makes `book` the file.
    fn publish(&self, state: &mut State, moment: &Moment, noted: Noted<'_>, mut book: Book) -> Result<()> {
        book.tidy(moment);
        book.confirmed |= book.approvers(Standing::Active).count() >= 2;
        book.generation = state.book.generation + 1;
        book.written_ms = moment.ms().max(state.book.written_ms);
        let refused = |source| Error::Malformed { what: "accounts file", source };
        book.check().map_err(refused)?;
        let bytes = book.encode();
        Book::decode(&bytes).map_err(refused)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(self.unusable("it would grow beyond what is read of it"));
        }
        let digest = book::digest(&bytes);
        durable::replace(&self.disk, NEXT, &bytes)?;
        let Noted { event, about, request } = noted;
        let roles = about.map_or(super::Roles::NONE, |id| book.roles_now(id, moment));
        let account = about.map(AccountId::to_string).unwrap_or_default();
        let detail = Detail::Account { account, request, generation: book.generation, roles, digest };
        self.media.record(event.with(detail))?;
        if let Err(error) = durable::replace(&self.disk, FILE, &bytes) {
            let why = "it could not be written after the log said that it would; open the vault again".to_owned();
            state.mode = Mode::Doubted(why);
            return Err(error.into());
        }
        *state = State { book, digest: Some(digest), mode: Mode::InForce };
        self.written.notify_waiters();
        Ok(())
    }

    /// The owner of the vault's folder stands up for the file as it is, or for an empty one where it is gone or cannot be
    /// read. Every id that the log knows stays taken.
    pub fn confirm_file(&self, caller: &Caller, reason: &str) -> Result<()> {
        let moment = self.now()?;
        let mut state = self.state.lock();
        let Mode::Doubted(_) = state.mode else {
            let why = "the file is the one that the audit log knows".to_owned();
            return Err(Error::Argument { what: "confirmation", why });
        };
        let actor = is_owner(&self.dir, caller).ok_or_else(|| Error::NotAllowed {
            actor: caller.os_user().map_or_else(|| "somebody".to_owned(), |user| user.name.clone()),
            what: "stand up for the accounts file: that is for the owner of the vault's folder",
        })?;
        let found = read(&self.dir, FILE)?.and_then(|bytes| Book::decode(&bytes).ok());
        let (mut book, what) = match found {
            Some(book) => (book, "the file as it is"),
            None => (Book { next_request: 1, ..Book::default() }, "an empty file"),
        };
        for id in self.media.accounts_mark().ids {
            book.accounts.entry(id.clone()).or_insert_with(|| gone(id, &moment));
        }
        tracing::error!(actor, what, "the accounts file was confirmed by the owner of the vault");
        let event = AuditEvent::new(moment.ms(), actor, Action::AccountsConfirmed).ended(Outcome::Findings);
        let noted = Noted::new(event.because(reason));
        self.publish(&mut state, &moment, noted, book)
    }

    fn is_as_left(&self, state: &State) -> Result<()> {
        let found = read(&self.dir, FILE)?.map(|bytes| book::digest(&bytes));
        match found == state.digest {
            true => Ok(()),
            false => Err(self.unusable("it was changed by somebody else while the vault was open")),
        }
    }

    fn unusable(&self, why: &str) -> Error {
        Error::Accounts { path: self.dir.join(FILE), why: why.to_owned() }
    }
}

/// An event about to be recorded with the file's new digest.
pub(super) struct Noted<'a> {
    pub event: AuditEvent,
    pub about: Option<&'a AccountId>,
    pub request: u64,
}

impl<'a> Noted<'a> {
    /// About nobody.
    pub fn new(event: AuditEvent) -> Self {
        Noted { event, about: None, request: 0 }
    }

    /// The same, about somebody.
    pub fn about(self, id: &'a AccountId) -> Self {
        Noted { about: Some(id), ..self }
    }

    /// The same, by this request.
    pub fn by_request(self, request: u64) -> Self {
        Noted { request, ..self }
    }
}

fn believed(bytes: &[u8]) -> State {
    match Book::decode(bytes) {
        Ok(book) => State { book, digest: Some(book::digest(bytes)), mode: Mode::InForce },
        Err(error) => doubted(&error.to_string()),
    }
}

fn doubted(why: &str) -> State {
    State { book: Book::default(), digest: None, mode: Mode::Doubted(why.to_owned()) }
}

fn finding_of(mode: &Mode) -> Option<Finding> {
    match mode {
        Mode::Doubted(why) => Some(damaged(why)),
        Mode::NoAccounts | Mode::InForce => None,
    }
}

fn damaged(why: &str) -> Finding {
    let message = format!(
        "accounts of operators: {why}; hospitals are served, operators are refused until the right file is back or the owner of \
         the vault's folder says `shosoin account confirm-file`"
    );
    Finding { severity: Severity::Damaged, code: "accounts-doubted", message }
}

/// An account of which only the id is known.
pub(super) fn gone(id: AccountId, moment: &Moment) -> Account {
    Account {
        id,
        name: String::new(),
        standing: Standing::Closed,
        roles: super::Roles::NONE,
        os_user: None,
        key: None,
        hours: super::Hours::default(),
        created_ms: moment.ms(),
        changed_ms: moment.ms(),
        last_success_ms: 0,
        last_failure_ms: 0,
        failures_before: 0,
        log_on: super::Tries::default(),
        change: super::Tries::default(),
        secrets: super::password::Secrets::default(),
        second_factor: None,
    }
}

fn read(dir: &Path, name: &str) -> Result<Option<Vec<u8>>> {
    let path = dir.join(name);
    let read = std::fs::metadata(&path).and_then(|found| match found.len() <= FILE_BYTES_MAX {
        true => std::fs::read(&path),
        false => Err(std::io::ErrorKind::FileTooLarge.into()),
    });
    match read {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Io { action: "read", path, source }),
    }
}
