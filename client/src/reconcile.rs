//! Checking the vault's account: what it says it received, holds, gave out and disposed of, against the hospital's own
//! log, entry by entry.
//!
//! Invariants
//! - Nothing the vault says is taken for the comparison: the entries are counted here, and must lead to the root that the
//!   account is about, which must be a prefix of the head this hospital remembers.
//! - What does not agree is a finding that names the figure and both values; the signed account is the evidence.
//!
//! Source: guideline 8.2-R4, 3.4-R1.

use crate::retry::repeat;
use crate::{Client, Error, Result};
use bytes::Bytes;
use serde::Serialize;
use shosoin_protocol::api::LogItem;
use shosoin_protocol::entry::Body;
use shosoin_protocol::manifest::Summary;
use shosoin_protocol::merkle::{self, Frontier};
use shosoin_protocol::reconciliation::{Account, Amount, Reconciliation};
use std::collections::BTreeSet;

/// What is asked when an account is checked.
const OPERATION: &str = "the vault's account";

/// An account that the vault signed, and what this hospital makes of it.
#[derive(Debug, Clone, Serialize)]
pub struct Reconciled {
    /// when the vault made it, in milliseconds since 1970
    pub time_ms: u64,
    /// leaves it is about
    pub log_size: u64,
    /// deposits that the vault says it received
    pub received: u64,
    /// deposits that it says it holds
    pub held: u64,
    /// deposits that it says it handed over
    pub given_out: u64,
    /// deposits that it says it disposed of
    pub disposed: u64,
    /// deposits that it says it cannot show
    pub missing: u64,
    /// deposits among the same leaves, counted here
    pub counted: u64,
    /// their sealed bytes
    pub counted_bytes: u64,
    /// everything agrees, and nothing is missing
    pub agrees: bool,
    /// what does not agree, each by name with both values
    pub findings: Vec<String>,
    /// the signed account, in hex
    pub signed: String,
}

/// What was counted in the hospital's own log.
#[derive(Default)]
struct Counted {
    frontier: Frontier,
    received: Amount,
    disposed: Amount,
    findings: Vec<String>,
}

impl Client {
    /// Fetches the vault's newest account and checks it.
    pub async fn reconcile(&self) -> Result<Reconciled> {
        let bytes = repeat(|| self.inner.transport.reconciliation()).await?;
        self.check_account(&bytes).await
    }

    /// Checks an account, from the vault or from a file.
    pub async fn check_account(&self, bytes: &Bytes) -> Result<Reconciled> {
        let answer = |source| Error::Answer { operation: OPERATION, source };
        let identity = self.inner.ledger.identity();
        let signed = Reconciliation::decode(bytes).map_err(answer)?;
        let account = signed.verify(&identity.vault_key).map_err(answer)?;
        if (account.vault, account.hospital) != (identity.vault, identity.keyring.hospital()) {
            let why = "it is of another vault or for another hospital".to_owned();
            return Err(Error::Contradiction { operation: OPERATION, why });
        }
        self.inner.ledger.refresh().await?;
        let mut counted = self.count(account).await?;
        if counted.findings.is_empty() {
            counted.findings.extend(self.root_findings(account, &counted).await?);
            counted.findings.extend(findings(account, counted.received, counted.disposed));
        }
        let Counted { received, findings, .. } = counted;
        Ok(Reconciled {
            time_ms: account.time_ms,
            log_size: account.log_size,
            received: account.received.count,
            held: account.held.count,
            given_out: account.given_out.count,
            disposed: account.disposed.count,
            missing: account.missing.count,
            counted: received.count,
            counted_bytes: received.bytes,
            agrees: findings.is_empty() && account.balances(),
            findings,
            signed: hex::encode(bytes),
        })
    }

    /// Counts the deposits of the leaves that are accounted for, and says which of the missing ones they are.
    async fn count(&self, account: &Account) -> Result<Counted> {
        let missing: BTreeSet<u64> = account.missing_leaves.iter().copied().collect();
        let mut counted = Counted::default();
        let own = self.inner.ledger.size();
        if own < account.log_size {
            let size = account.log_size;
            counted.findings.push(format!("log: the account is about {size} entries, the log has {own}"));
            return Ok(counted);
        }
        let frontier = self
            .pages(account.log_size, &mut |index, item| {
                self.count_entry(index, item, (&missing, account.log_size), &mut counted);
                Ok(())
            })
            .await?;
        counted.frontier = frontier;
        Ok(counted)
    }

    fn count_entry(
        &self,
        index: u64,
        item: &LogItem,
        (missing, log_size): (&BTreeSet<u64>, u64),
        counted: &mut Counted,
    ) {
        let Body::Deposit(deposit) = item.placed.entry.body() else {
            if missing.contains(&index) {
                counted.findings.push(format!("missing: leaf {index} is said to be missing, and is no deposit"));
            }
            return;
        };
        counted.received.add(deposit.stored_bytes);
        match self.inner.view.disposed_of(deposit.version, index) {
            Ok(Some(ended)) if ended.begun_leaf < log_size => counted.disposed.add(deposit.stored_bytes),
            Ok(_) => {}
            Err(error) => counted.findings.push(format!("view: {error}")),
        }
        if missing.contains(&index) {
            let version = deposit.version;
            let name = match self.inner.keyring.open_summary(version, &item.attachment) {
                Ok(Summary::Object(facts)) => format!("{}/{}", facts.bucket, facts.name),
                _ => "a name that its summary does not give".to_owned(),
            };
            counted.findings.push(format!("missing: leaf {index}, version {version}, {name}, cannot be shown"));
        }
    }

    /// Whether the entries lead to the root of the account, and that root to the head remembered here.
    async fn root_findings(&self, account: &Account, counted: &Counted) -> Result<Option<String>> {
        let (root, size) = (counted.frontier.root(), account.log_size);
        if root != account.log_root {
            let theirs = account.log_root;
            return Ok(Some(format!("root: the account is about root {theirs} of {size} entries, the log has {root}")));
        }
        let Some(head) = self.inner.ledger.head() else { return Err(Error::Lost { task: "the remembered head" }) };
        if size == 0 || size > head.size() {
            return Ok(None);
        }
        let (newest, newest_size) = (head.checkpoint().root, head.size());
        let proof = match size == newest_size {
            true => Vec::new(),
            false => repeat(|| self.inner.transport.consistency(size, newest_size)).await?,
        };
        let proved = merkle::verify_consistency((size, &root), (newest_size, &newest), &proof);
        let forked =
            || format!("log: {size} entries with root {root} do not precede the head of {newest_size} entries");
        Ok(proved.is_err().then(forked))
    }
}

/// Figures that do not agree.
fn findings(account: &Account, counted: Amount, disposed: Amount) -> Vec<String> {
    let mut findings = Vec::new();
    let mut compare = |what: &str, theirs: u64, ours: u64| {
        if theirs != ours {
            findings.push(format!("{what}: the vault says {theirs}, the log has {ours}"));
        }
    };
    compare("deposits received", account.received.count, counted.count);
    compare("sealed bytes received", account.received.bytes, counted.bytes);
    compare("deposits disposed of", account.disposed.count, disposed.count);
    compare("sealed bytes disposed of", account.disposed.bytes, disposed.bytes);
    if !account.balances() {
        let Account { received, held, given_out, disposed, missing, .. } = account;
        findings.push(format!(
            "balance: {} received are not {} held, {} given out and {} disposed of; {} are said to be missing",
            received.count, held.count, given_out.count, disposed.count, missing.count
        ));
    }
    findings
}
