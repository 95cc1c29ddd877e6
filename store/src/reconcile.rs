//! Reconciliation: every deposit of a hospital's log is counted as held, given out, disposed of or missing, from media,
//! and the account is signed. The hospital checks it against its own log with `shosoin reconcile verify`.
//!
//! ```text
//! reconciliations/<hospital id>/<milliseconds since 1970>.shrc
//! ```
//!
//! Invariants
//! - The entries are read on media and must lead to the root that is signed; the index is not believed.
//! - "Held" is said of a deposit only if the frame of each of its records was found on media. What they say is verified by
//!   scrubs, not here.
//! - An account that does not balance is signed all the same: it is what the hospital must see.
//!
//! Source: guideline 8.2-R4, 3.4-R1, 3.4-ALL-P1.

use crate::audit::{Action, AuditEvent, Detail, Outcome};
use crate::desk::Desk;
use crate::disposal::ended::Ended;
use crate::error::{Error, Result};
use crate::vault::{Inner, Vault, blocking};
use bytes::Bytes;
use serde::Serialize;
use shosoin_protocol::entry::{Body, Deposit};
use shosoin_protocol::limits::RECONCILED_MISSING_MAX;
use shosoin_protocol::manifest::AddressList;
use shosoin_protocol::merkle::Frontier;
use shosoin_protocol::reconciliation::{Account, Amount, Reconciliation};
use shosoin_protocol::{Address, Digest, HospitalId};
use shosoin_tiers::durable;
use shosoin_tiers::media::Media as _;
use std::path::PathBuf;

/// Folder of the accounts in the vault's folder.
const DIR: &str = "reconciliations";
/// Ending of their files.
const ENDING: &str = ".shrc";

/// An account as commands show it.
#[derive(Debug, Clone, Serialize)]
pub struct ReconcileReport {
    /// whose, in hex
    pub hospital: String,
    /// leaves that are accounted for
    pub log_size: u64,
    /// root over them, hex
    pub log_root: String,
    /// when, in milliseconds since 1970
    pub time_ms: u64,
    /// deposits in the log
    pub received: AmountView,
    /// all their records are on media
    pub held: AmountView,
    /// handed over
    pub given_out: AmountView,
    /// disposed of
    pub disposed: AmountView,
    /// none of these
    pub missing: AmountView,
    /// leaf indexes of the first of the missing
    pub missing_leaves: Vec<u64>,
    /// received = held + given out + disposed
    pub balances: bool,
    /// where the signed account is
    pub file: PathBuf,
}

/// Deposits and their sealed bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct AmountView {
    /// deposits
    pub count: u64,
    /// sealed bytes
    pub bytes: u64,
}

impl From<Amount> for AmountView {
    fn from(Amount { count, bytes }: Amount) -> Self {
        AmountView { count, bytes }
    }
}

impl Vault {
    /// The newest signed account for a hospital.
    pub async fn reconciliation(&self, hospital: HospitalId) -> Result<Bytes> {
        self.line(hospital)?;
        let inner = self.inner.clone();
        blocking(move || inner.newest_reconciliation(hospital)).await
    }
}

impl Inner {
    /// Accounts for everything a hospital deposited, signs that and keeps it.
    pub(crate) fn reconcile(&self, hospital: Option<&str>, actor: &str) -> Result<ReconcileReport> {
        let desk = self.asset_desk(hospital, actor)?;
        let account = self.account(&desk)?;
        let signed = Reconciliation::sign(account, desk.ledger().key());
        let (account, hospital) = (&signed.account, desk.info().hospital);
        let mut event = AuditEvent::new(account.time_ms, actor, Action::Reconciled);
        (event.hospital, event.units, event.bytes) = (Some(hospital), account.received.count, account.received.bytes);
        if !account.balances() {
            let lost = account.missing.count;
            event = event.ended(Outcome::Findings).with(Detail::Found { findings: lost, lost });
        }
        self.media.record(event)?;
        let path = format!("{DIR}/{hospital}/{}{ENDING}", account.time_ms);
        self.folder.make_dir(DIR)?;
        self.folder.make_dir(&format!("{DIR}/{hospital}"))?;
        durable::replace(&self.folder, &path, &signed.encode())?;
        Ok(report(account, self.dir.join(path)))
    }

    fn account(&self, desk: &Desk) -> Result<Account> {
        let head = desk.head()?;
        let mut account = Account {
            vault: self.identity.vault(),
            hospital: desk.info().hospital,
            log_size: head.size,
            log_root: head.root,
            time_ms: self.clock.now_ms(),
            received: Amount::default(),
            held: Amount::default(),
            given_out: Amount::default(),
            disposed: Amount::default(),
            missing: Amount::default(),
            missing_leaves: Vec::new(),
        };
        let ended = Ended::of(self, desk)?;
        let mut frontier = Frontier::default();
        for index in 0..head.size {
            let placed = desk.ledger().entry(index)?;
            frontier.push(placed.entry.leaf_hash(), |_, _: Digest| {});
            if let Body::Deposit(deposit) = placed.entry.body() {
                match ended.is(index) {
                    true => {
                        account.received.add(deposit.stored_bytes);
                        account.disposed.add(deposit.stored_bytes);
                    }
                    false => self.count(desk, &mut account, index, deposit),
                }
            }
        }
        match frontier.root() == head.root {
            true => Ok(account),
            false => {
                let why = "its entries on media do not lead to its newest root".to_owned();
                Err(Error::Damaged { what: "ledger of hospital", id: account.hospital.to_string(), why })
            }
        }
    }

    fn count(&self, desk: &Desk, account: &mut Account, index: u64, deposit: &Deposit) {
        account.received.add(deposit.stored_bytes);
        if is_whole(self, desk, deposit) {
            return account.held.add(deposit.stored_bytes);
        }
        account.missing.add(deposit.stored_bytes);
        if account.missing_leaves.len() < RECONCILED_MISSING_MAX {
            account.missing_leaves.push(index);
        }
    }

    /// The newest signed account for a hospital.
    pub(crate) fn newest_reconciliation(&self, hospital: HospitalId) -> Result<Bytes> {
        let dir = format!("{DIR}/{hospital}");
        let none = || Error::NotFound { what: "reconciliation of hospital", id: hospital.to_string() };
        let listed = match self.folder.list(&dir) {
            Ok(listed) => listed,
            Err(shosoin_tiers::Error::NotFound { .. }) => return Err(none()),
            Err(error) => return Err(error.into()),
        };
        let times = listed.iter().filter_map(|file| file.name.strip_suffix(ENDING)?.parse::<u64>().ok());
        let newest = times.max().ok_or_else(none)?;
        let path = self.dir.join(&dir).join(format!("{newest}{ENDING}"));
        let bytes = std::fs::read(&path);
        bytes.map(Bytes::from).map_err(|source| Error::Io { action: "read", path, source })
    }
}

/// Whether the frame of every record of a deposit is on media.
fn is_whole(inner: &Inner, desk: &Desk, deposit: &Deposit) -> bool {
    let held = |address: &Address| inner.records.held(desk.info().hospital, address).is_ok_and(|row| row.is_some());
    let list = || AddressList::decode(&desk.record(&deposit.address_list).ok()?).ok();
    deposit.own_records().iter().all(held) && list().is_some_and(|list| list.addresses().iter().all(held))
}

fn report(account: &Account, file: PathBuf) -> ReconcileReport {
    ReconcileReport {
        hospital: account.hospital.to_string(),
        log_size: account.log_size,
        log_root: account.log_root.to_string(),
        time_ms: account.time_ms,
        received: account.received.into(),
        held: account.held.into(),
        given_out: account.given_out.into(),
        disposed: account.disposed.into(),
        missing: account.missing.into(),
        missing_leaves: account.missing_leaves.clone(),
        balances: account.balances(),
        file,
    }
}
