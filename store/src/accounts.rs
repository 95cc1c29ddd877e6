//! Operator accounts: who may run this vault, what each of them may do, and what needs two of them.
//!
//! A vault without any account is run by whoever may open its folder, as the file system decides, and says so. The first
//! administrator is made by the owner of the folder; from then on every command and every request asks [`Accounts::admit`], and
//! what it refuses is in the audit log.
//!
//! ```text
//! accounts        everybody, requests, grants: replaced as a whole, mode 0600
//! accounts.next   what it is about to be; its digest goes to the audit log before it takes the place of the other
//! ```
//!
//! Invariants
//! - An id is one person for ever. Nothing here is made by anybody but one of them, or the owner of the vault's folder.
//! - Every change is an audit record, written before it takes effect, that holds the digest of the whole file. A file that is
//!   not the one the log knows is not believed: nobody but the owner gets anything done until they stand up for it.
//! - What needs two people is done only with the agreement of distinct people who may agree, then and now.
//! - No secret is in the audit log, in an error, or in an answer, but the first password and the second factor, once.
//!
//! Not here: the web pages of the console; users of the gateway, who are the hospital's.
//! Source: guideline 7.6.13, 7.6.14, 7.7-M3, 8.2-R6.

mod account;
mod admit;
mod book;
mod caller;
mod change;
mod command;
mod config;
mod floods;
mod grant;
mod hours;
mod id;
mod keep;
mod log_on;
mod moment;
mod password;
mod permission;
mod probe;
mod reach;
mod request;
mod review;
mod rights;
mod role;
mod secrets;
mod session;
mod suspicion;
mod totp;
mod two_person;
mod view;

pub use account::{Account, NAME_BYTES_MAX, OsUser, Refusal, Standing, Tries};
pub use admit::Admitted;
pub use caller::Caller;
pub use change::Change;
pub use command::{AccountCommand, Typed};
pub use config::AccountsConfig;
pub use grant::Grant;
pub use hours::Hours;
pub use id::AccountId;
pub(crate) use keep::Parts;
pub use keep::{FILE, Mark, NEXT};
pub use log_on::{Attempt, FirstDo, LoggedOn};
pub use moment::Moment;
pub use permission::{Permission, SERVICES, TABLE, asked_by};
pub use probe::probe_passwords;
pub use reach::{Did, Reach, Tenure};
pub use request::{Approval, ApprovalRequest, Approved, Means, NotApproved, RequestKind, RequestState, Rule};
pub use review::{Review, UNUSED_DAYS};
pub use rights::Proposed;
pub use role::{Role, Roles};
pub use session::{Before, Ended, Session, SessionLimits, Sessions};
pub use suspicion::{Proof, Verification};
pub use totp::{TotpHash, parse_code};
pub use two_person::Agreement;
pub use view::{AccountView, GrantView, RequestView};

use crate::error::Result;
use crate::media_ledger::MediaLedger;
use book::Book;
use floods::Floods;
use parking_lot::Mutex;
use password::Cost;
use shosoin_protocol::Digest;
use shosoin_protocol::sign::PublicKey;
use shosoin_tiers::media::FileMedia;
use shosoin_tiers::{Clock, Random};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Duration;
use tokio::sync::Notify;

/// Everybody who may run a vault.
#[derive(Debug)]
pub struct Accounts {
    dir: PathBuf,
    disk: FileMedia,
    media: Arc<MediaLedger>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    config: AccountsConfig,
    /// id of the vault, as authenticators show it
    vault: String,
    state: Mutex<State>,
    sessions: Sessions,
    /// passwords are hashed one after the other: each takes 64 MiB
    hashing: Mutex<()>,
    cost: Cost,
    trying: AtomicUsize,
    floods: Floods,
    /// locks after wrong tries since the vault was opened
    locks: AtomicU64,
    /// the accounts file was written
    written: Notify,
    refusal_takes: Duration,
}

#[derive(Debug)]
struct State {
    book: Book,
    /// of the file on disk; none where there is none
    digest: Option<Digest>,
    mode: Mode,
}

/// Whether accounts decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// there never was an account: the file system decides
    NoAccounts,
    /// they decide
    InForce,
    /// the file is not the one that the audit log knows, for this reason
    Doubted(String),
}

impl Accounts {
    /// Whether accounts decide.
    pub fn mode(&self) -> Mode {
        self.state.lock().mode.clone()
    }

    /// Whether accounts decide, or should: there was one once.
    pub fn are_there(&self) -> bool {
        self.mode() != Mode::NoAccounts
    }

    /// Waits until there is an account.
    pub async fn first_account(&self) {
        loop {
            let written = self.written.notified();
            if self.are_there() {
                return;
            }
            written.await;
        }
    }

    /// How strict the rules are.
    pub fn config(&self) -> &AccountsConfig {
        &self.config
    }

    /// Now, as people are judged by it. A clock that jumped is noted.
    pub fn now(&self) -> Result<Moment> {
        let now_ms = self.clock.now_ms();
        self.media.clock_is_trusted(now_ms)?;
        Ok(Moment::of(now_ms, self.media.trusted_ms()))
    }

    /// Every account there ever was, by id.
    pub fn list(&self) -> Vec<Account> {
        self.state.lock().book.accounts.values().cloned().collect()
    }

    /// One account.
    pub fn get(&self, id: &AccountId) -> Option<Account> {
        self.state.lock().book.accounts.get(id).cloned()
    }

    /// The account that is a user of this machine. Number and name must both be the ones remembered.
    pub fn by_os_user(&self, user: &OsUser) -> Option<Account> {
        admit::mapped(&self.state.lock().book, user).cloned()
    }

    /// The account that has a key, if it can act.
    pub fn by_key(&self, key: &PublicKey) -> Option<Account> {
        let state = self.state.lock();
        state.book.accounts.values().find(|account| account.is_usable() && account.key.as_ref() == Some(key)).cloned()
    }

    /// Every request that is remembered, by number.
    pub fn requests(&self) -> Vec<ApprovalRequest> {
        self.state.lock().book.requests.values().cloned().collect()
    }

    /// Every grant that is remembered.
    pub fn grants(&self) -> Vec<Grant> {
        self.state.lock().book.grants.clone()
    }

    /// Requests that wait, and grants that are in force.
    pub fn waiting(&self) -> (usize, usize) {
        let moment = Moment::of(self.clock.now_ms(), self.media.trusted_ms());
        let state = self.state.lock();
        let requests = state.book.requests.values().filter(|request| request.is_waiting(&moment)).count();
        (requests, state.book.grants.iter().filter(|grant| grant.is_in_force(&moment)).count())
    }

    /// Whether rights need a second person's agreement.
    pub fn rights_are_confirmed(&self) -> bool {
        self.state.lock().book.confirmed
    }
}

#[cfg(test)]
mod tests;
