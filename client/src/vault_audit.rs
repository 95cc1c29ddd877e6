//! Auditing the vault: records drawn at random among all that the ledger names, asked for with a fresh nonce, answered by
//! the vault with its signature and the bytes, verified by address.
//!
//! Invariants
//! - What is drawn from is the hospital's own ledger, whose entries lead to the head it has verified; the address lists are
//!   those that entries commit to. Nothing the vault says of itself decides what is asked.
//! - Records of versions that ended by the hospital's own order are not asked for: nobody owes them.
//! - A record counts as given only if its bytes came and have its address. One that a person must mount first is not
//!   answered, and what is not answered is not vouched for.
//! - What the vault signed against itself is kept as evidence; the report is signed by this device.
//!
//! What no question can force: that the bytes came from a medium of this vault, or that they are there twice. The vault
//! that is shipped reads them on media past every cache; another one may fetch them from wherever they still are.
//!
//! Source: guideline 3.4-R1, 6.1-R5; `challenge` for how many and which.

use crate::challenge::{Draw, Named, Target, Wanted};
use crate::client::Inner;
use crate::clock::now_ms;
use crate::ledger::{Head, WENT_BACK};
use crate::retry::repeat;
use crate::task::blocking;
use crate::view::View;
use crate::{Client, Error, Result, accuse, evidence};
use bytes::Bytes;
use futures::StreamExt as _;
use serde::Serialize;
use shosoin_protocol::answer::{AuditReply, Outcome};
use shosoin_protocol::api::{LogPage, VersionReply};
use shosoin_protocol::entry::{Body, Entry};
use shosoin_protocol::evidence::{Class, Part, Place};
use shosoin_protocol::limits::LOG_PAGE_ENTRIES_MAX;
use shosoin_protocol::manifest::AddressList;
use shosoin_protocol::merkle::{self, Frontier};
use shosoin_protocol::receipt::Receipt;
use shosoin_protocol::{Address, Digest};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What is asked of the vault here.
const OPERATION: &str = "an audit";
/// Records asked for at the same time.
const AT_ONCE: usize = 8;
/// Failures of one audit for which evidence is gathered: as many show what the vault does.
const EVIDENCE_MAX: usize = 4;
/// Failures that a report names.
const FAILURES_MAX: usize = 1000;

/// How to audit.
#[derive(Debug, Clone)]
pub struct AuditOptions {
    /// confidence and fraction of damage
    pub wanted: Wanted,
    /// kept receipts, each with a name for reports, that the ledger must still honour
    pub receipts: Vec<(String, Vec<u8>)>,
}

/// What an audit came to.
#[derive(Debug, Clone, Serialize)]
pub struct VaultAudit {
    /// when it was begun, in milliseconds since 1970
    pub time_ms: u64,
    /// leaves of the ledger that was drawn from
    pub ledger_size: u64,
    /// root over them, hex
    pub ledger_root: String,
    /// records that its entries name, each as often as it is named
    pub population: u64,
    /// probability with which damage of `damage` or more would have been found
    pub confidence: f64,
    /// fraction of the records
    pub damage: f64,
    /// records that were asked for
    pub sample: u64,
    /// records whose right bytes came
    pub given: u64,
    /// their sealed bytes
    pub given_bytes: u64,
    /// records that the vault did not answer for now: on shelves, or not in time
    pub unanswered: u64,
    /// kept receipts that the ledger honours
    pub receipts: u64,
    /// what failed, of more than a thousand the first
    pub failures: Vec<AuditFailure>,
    /// how many failed
    pub failed: u64,
    /// all were answered and nothing failed: less than `damage` is damaged, with `confidence`
    pub holds: bool,
    /// the report, signed by this device
    pub report: String,
}

/// A record that failed, or a receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditFailure {
    /// version that depends on the record, hex; empty for a receipt
    pub version: String,
    /// place of its entry in the ledger
    pub leaf_index: u64,
    /// address of the record, hex; for a receipt its name
    pub what: String,
    /// what is wrong
    pub why: String,
    /// what proves it against the vault
    pub evidence: Option<PathBuf>,
}

/// What became of one question.
enum Asked {
    Given(u64),
    Unanswered,
    Failed { why: String, evidence: Option<PathBuf> },
}

/// What all questions of one audit have in common.
struct Round {
    /// the ledger that was drawn from
    head: Head,
    /// failures for which evidence was gathered
    accused: AtomicUsize,
}

impl Round {
    /// Whether evidence is gathered once more.
    fn accuses(&self) -> bool {
        self.accused.fetch_add(1, Ordering::Relaxed) < EVIDENCE_MAX
    }
}

/// Counts while questions are asked.
#[derive(Default)]
struct Tally {
    given: u64,
    given_bytes: u64,
    unanswered: u64,
    failed: u64,
    failures: Vec<AuditFailure>,
}

impl Tally {
    fn count(&mut self, target: &Target, address: &Address, asked: Asked) {
        match asked {
            Asked::Given(bytes) => {
                self.given += 1;
                self.given_bytes += bytes;
            }
            Asked::Unanswered => self.unanswered += 1,
            Asked::Failed { why, evidence } => {
                let (version, what) = (target.version.to_string(), address.to_string());
                self.fail(AuditFailure { version, leaf_index: target.leaf_index, what, why, evidence });
            }
        }
    }

    fn fail(&mut self, failure: AuditFailure) {
        self.failed += 1;
        if self.failures.len() < FAILURES_MAX {
            self.failures.push(failure);
        }
    }
}

impl Client {
    /// Audits the vault. `progress` is told of every record that was asked for, and how many will be.
    pub async fn audit_vault(&self, options: AuditOptions, progress: impl Fn(u64, u64) + Sync) -> Result<VaultAudit> {
        let (time_ms, wanted) = (now_ms(), options.wanted.check()?);
        let ledger = &self.inner.ledger;
        ledger.refresh().await?;
        let head = ledger.head().ok_or(Error::Lost { task: "the remembered head" })?;
        let draw = self.inner.draw(wanted, &head).await?;
        let round = Round { head: head.clone(), accused: AtomicUsize::new(0) };
        let population = draw.population();
        let targets = draw.finish(wanted.sample_size(population)?);
        let (sample, mut tally) = (targets.len() as u64, Tally::default());
        let mut lists: BTreeMap<Option<Named>, Vec<Target>> = BTreeMap::new();
        for target in targets {
            lists.entry(list_of(&target.named)).or_default().push(target);
        }
        for (list, targets) in lists {
            self.inner.ask_all(list, targets, &round, &mut tally, &|done| progress(done, sample)).await?;
        }
        let mut receipts = 0;
        for (name, bytes) in &options.receipts {
            match self.check_receipt(bytes).await {
                Ok(_) => receipts += 1,
                Err(error) if error.is_unreachable() => return Err(error),
                Err(error) => tally.fail(AuditFailure {
                    version: String::new(),
                    leaf_index: Receipt::decode(bytes).map_or(0, |receipt| receipt.inclusion.index),
                    what: name.clone(),
                    why: sentence(&error),
                    evidence: error.evidence().map(Into::into),
                }),
            }
        }
        let Tally { given, given_bytes, unanswered, failed, failures } = tally;
        let mut audit = VaultAudit {
            time_ms,
            ledger_size: head.size(),
            ledger_root: head.checkpoint().root.to_string(),
            population,
            confidence: wanted.confidence,
            damage: wanted.damage,
            sample,
            given,
            given_bytes,
            unanswered,
            receipts,
            failures,
            failed,
            holds: failed == 0 && unanswered == 0,
            report: String::new(),
        };
        let parts = vec![Part::Head(head.text().to_owned()), Part::Report(lines(&audit))];
        audit.report = evidence::make(ledger.identity(), Class::Audit, parts).render();
        Ok(audit)
    }

    /// Holds a kept receipt against the ledger: the vault signed it, its head is continued by the one remembered, and so
    /// the entry is where it says. Gives the leaf index.
    pub async fn check_receipt(&self, bytes: &[u8]) -> Result<u64> {
        let answer = |source| Error::Answer { operation: "a kept receipt", source };
        let (ledger, receipt) = (&self.inner.ledger, Receipt::decode(bytes).map_err(answer)?);
        if let Err(error) = receipt.verify(&receipt.leaf, ledger.identity().key_of(&receipt)) {
            let kept = ledger.keep(Class::FalseReceipt, vec![Part::Receipt(bytes.to_vec())]).await;
            return Err(answer(error).with_evidence(kept));
        }
        match ledger.confirm(&receipt.inclusion.checkpoint, 0).await {
            Ok(_) => Ok(receipt.inclusion.index),
            Err(error @ Error::Head { .. }) => Err(self.inner.omitted(&receipt, bytes, error).await),
            Err(error) => Err(error),
        }
    }
}

impl Inner {
    /// A receipt whose head the ledger does not continue: what is at its place now, if the vault shows it, is the evidence
    /// that its entry was left out.
    async fn omitted(&self, receipt: &Receipt, bytes: &[u8], error: Error) -> Error {
        let (Some(head), index) = (self.ledger.head(), receipt.inclusion.index) else { return error };
        let mut parts = vec![Part::Receipt(bytes.to_vec()), Part::Head(head.text().to_owned())];
        let mut found = None;
        let tree = accuse::Tree::read(&self.transport, &head, |at, entry| {
            if at == index {
                found = Some(entry.bytes().to_vec());
            }
        });
        if let Some((entry, place)) =
            tree.await.and_then(|tree| tree.place(index)).and_then(|place| Some((found?, place)))
        {
            parts.extend([Part::OtherEntry(entry), Part::OtherPlace(place)]);
        }
        match self.ledger.keep(Class::Omission, parts).await {
            Some(kept) => error.with_evidence(Some(kept)),
            None => error,
        }
    }

    /// Reads the ledger under `head` once, and draws among the records that its entries name.
    async fn draw(&self, wanted: Wanted, head: &Head) -> Result<Draw> {
        let (mut draw, mut frontier) = (Draw::new(wanted)?, Frontier::default());
        while frontier.size() < head.size() {
            let (from, left) = (frontier.size(), head.size() - frontier.size());
            let count = u32::try_from(left.min(LOG_PAGE_ENTRIES_MAX as u64)).unwrap_or(u32::MAX);
            let page = repeat(|| self.transport.log_entries(from, count)).await?;
            if page.items.is_empty() || page.items.len() as u64 > left {
                let why = format!("a page of {} entries from {from} on was asked for {count}", page.items.len());
                return Err(Error::Contradiction { operation: OPERATION, why });
            }
            let view = self.view.clone();
            (draw, frontier) = blocking("drawing records", move || {
                offer_page(&mut draw, &mut frontier, &page, &view)?;
                Ok((draw, frontier))
            })
            .await?;
        }
        match frontier.root() == head.checkpoint().root {
            true => Ok(draw),
            false => {
                let why = format!("its entries do not lead to the head of {} leaves that it signed", head.size());
                Err(Error::Contradiction { operation: OPERATION, why })
            }
        }
    }

    /// Asks for records that one list names, or that entries name themselves.
    async fn ask_all(
        self: &Arc<Self>,
        list: Option<Named>,
        targets: Vec<Target>,
        round: &Round,
        tally: &mut Tally,
        progress: &(impl Fn(u64) + Sync),
    ) -> Result<()> {
        let addresses = match &list {
            Some(list) => match self.addresses_of(list).await {
                Ok(addresses) => Some(addresses),
                Err(error) if error.is_unreachable() => return Err(error),
                Err(error) => return self.without_list(list, &targets, round, tally, &sentence(&error)).await,
            },
            None => None,
        };
        let with_address = targets.into_iter().filter_map(|target| {
            let address = match (target.named, &addresses) {
                (Named::Own(address), _) => address,
                (Named::Listed { slot, .. }, Some(list)) => *list.addresses().get(slot as usize)?,
                _ => return None,
            };
            Some((target, address))
        });
        let mut asked = futures::stream::iter(with_address)
            .map(|(target, address)| async move { (target, address, self.ask(&target, &address, round).await) })
            .buffer_unordered(AT_ONCE);
        while let Some((target, address, asked)) = asked.next().await {
            tally.count(&target, &address, asked?);
            progress(tally.given + tally.unanswered + tally.failed);
        }
        Ok(())
    }

    /// Records whose list is not given: the list itself is asked for, and none of them counts as given.
    async fn without_list(
        self: &Arc<Self>,
        list: &Named,
        targets: &[Target],
        round: &Round,
        tally: &mut Tally,
        why: &str,
    ) -> Result<()> {
        let (Named::Listed { list, .. }, Some(first)) = (list, targets.first()) else { return Ok(()) };
        let asked = self.ask(&Target { named: Named::Own(*list), ..*first }, list, round).await?;
        let (why, evidence) = match asked {
            Asked::Unanswered => {
                tally.unanswered += targets.len() as u64;
                return Ok(());
            }
            Asked::Given(_) => (why.to_owned(), None),
            Asked::Failed { why, evidence } => (why, evidence),
        };
        for target in targets {
            let why = format!("its address list {list} does not serve: {why}");
            tally.count(target, list, Asked::Failed { why, evidence: evidence.clone() });
        }
        Ok(())
    }

    /// The list that an entry commits to.
    async fn addresses_of(&self, named: &Named) -> Result<AddressList> {
        let Named::Listed { list, root, count, .. } = *named else { return Err(Error::Lost { task: "a list" }) };
        let answer = |source| Error::Answer { operation: "an address list", source };
        let stored = repeat(|| self.transport.record(list)).await?;
        self.keyring.suite().verify(&list, &stored).map_err(answer)?;
        let decoded = blocking("reading an address list", move || AddressList::decode(&stored).map_err(answer)).await?;
        match decoded.root() == root && decoded.addresses().len() == count as usize {
            true => Ok(decoded),
            false => {
                let why = "it is not the one that the entry commits to".to_owned();
                Err(Error::Contradiction { operation: "an address list", why })
            }
        }
    }

    /// Asks for one record. An error only where the audit cannot go on.
    async fn ask(self: &Arc<Self>, target: &Target, address: &Address, round: &Round) -> Result<Asked> {
        let mut nonce = [0; 32];
        getrandom::fill(&mut nonce).map_err(|error| Error::Randomness { why: error.to_string() })?;
        let reply = match repeat(|| self.transport.audit_record(*address, nonce)).await {
            Ok(reply) => reply,
            Err(error) if error.is_unreachable() => return Err(error),
            Err(error) if error.kind() == shosoin_protocol::ErrorKind::Unavailable => return Ok(Asked::Unanswered),
            Err(error) => return Ok(Asked::Failed { why: sentence(&error), evidence: None }),
        };
        let said = &reply.answer.said;
        if (said.nonce, said.address) != (nonce, *address) {
            return Ok(Asked::Failed { why: "the answer is to another question".to_owned(), evidence: None });
        }
        if let Err(error) = self.check_answer(&reply, round).await {
            let evidence = error.evidence().map(Into::into);
            return Ok(Asked::Failed { why: sentence(&error), evidence });
        }
        let digest = self.digest(&reply.record).await?;
        match said.outcome {
            Outcome::OnShelf => Ok(Asked::Unanswered),
            Outcome::Given { .. } if digest.0 == address.0 => Ok(Asked::Given(reply.record.len() as u64)),
            Outcome::Given { digest: signed, .. } if signed == digest => {
                let why = format!("the vault gave, and signed, bytes with digest {digest}");
                let evidence = self.proof(Class::Substitution, target, address, &reply, round).await;
                Ok(Asked::Failed { why, evidence })
            }
            Outcome::Given { .. } => {
                let why = format!("the bytes have digest {digest}, and are not what the vault signed");
                Ok(Asked::Failed { why, evidence: None })
            }
            Outcome::NotHeld | Outcome::Unreadable => {
                let why = format!("the vault signed that the record is {}", said.outcome.name());
                let evidence = self.proof(Class::Loss, target, address, &reply, round).await;
                Ok(Asked::Failed { why, evidence })
            }
        }
    }

    async fn digest(&self, record: &Bytes) -> Result<Digest> {
        let (suite, record) = (self.keyring.suite(), record.clone());
        blocking("hashing a record", move || Ok(suite.digest(&[&record]))).await
    }

    /// Refuses an answer that the vault did not sign, or under a ledger that does not continue `head`.
    async fn check_answer(&self, reply: &AuditReply, round: &Round) -> Result<()> {
        let head = &round.head;
        let answer = |source| Error::Answer { operation: OPERATION, source };
        let (identity, said) = (self.ledger.identity(), &reply.answer.said);
        let now = reply.answer.verify(&identity.vault_key).map_err(answer)?;
        if (said.vault, said.hospital) != (identity.vault, self.keyring.hospital()) {
            let why = "the answer is of another vault or for another hospital".to_owned();
            return Err(Error::Contradiction { operation: OPERATION, why });
        }
        if now.size < head.size() {
            let parts = vec![Part::Remembered(head.text().to_owned()), Part::Answer(reply.answer.encode())];
            let (remembered, offered) = (head.text().to_owned(), said.checkpoint.clone());
            let evidence = match round.accuses() {
                true => self.ledger.keep(Class::Rollback, parts).await,
                false => None,
            };
            return Err(Error::Head { why: WENT_BACK, remembered, offered, evidence });
        }
        self.ledger.confirm(&said.checkpoint, head.size()).await.map(drop)
    }

    /// What proves an answer against the vault: the answer, and the entry in the signed ledger that depends on the record.
    async fn proof(
        &self,
        class: Class,
        target: &Target,
        address: &Address,
        reply: &AuditReply,
        round: &Round,
    ) -> Option<PathBuf> {
        if !round.accuses() {
            return None;
        }
        let mut parts = vec![Part::Answer(reply.answer.encode())];
        match self.entry_parts(target, address, &round.head).await {
            Some(more) => parts.extend(more),
            None if class == Class::Loss => return None,
            None => {}
        }
        self.ledger.keep(class, parts).await
    }

    /// The entry that names a record, its place under a signed head, and the place of the address in its list.
    async fn entry_parts(&self, target: &Target, address: &Address, head: &Head) -> Option<Vec<Part>> {
        let mut parts = match self.placed_by_version(target).await {
            Some(parts) => parts,
            None => {
                let mut entry = None;
                let tree = accuse::Tree::read(&self.transport, head, |index, found| {
                    if index == target.leaf_index {
                        entry = Some(found.bytes().to_vec());
                    }
                });
                let place = tree.await?.place(target.leaf_index)?;
                vec![Part::Head(head.text().to_owned()), Part::Entry(entry?), Part::EntryPlace(place)]
            }
        };
        if let named @ Named::Listed { .. } = target.named {
            parts.push(Part::AddressPlace(address_place(&self.addresses_of(&named).await.ok()?, address)?));
        }
        Some(parts)
    }

    /// The entry with the proof that the vault itself gives for its version.
    async fn placed_by_version(&self, target: &Target) -> Option<Vec<Part>> {
        let VersionReply { entry, inclusion, .. } = repeat(|| self.transport.version(target.version)).await.ok()?;
        let found = Entry::decode(&entry).ok()?;
        let proved = inclusion.verify(&found.leaf_hash(), &self.ledger.identity().vault_key);
        if proved.is_err() || inclusion.index != target.leaf_index {
            return None;
        }
        let place = Place { index: inclusion.index, proof: inclusion.proof };
        Some(vec![Part::Head(inclusion.checkpoint), Part::Entry(entry.to_vec()), Part::EntryPlace(place)])
    }
}

/// Where an address is in its list.
fn address_place(list: &AddressList, address: &Address) -> Option<Place> {
    let index = list.addresses().binary_search(address).ok()? as u64;
    let (mut frontier, mut nodes) = (Frontier::default(), std::collections::HashMap::new());
    for address in list.addresses() {
        frontier.push(merkle::leaf_hash(&address.0), |node, hash| {
            nodes.insert(node, hash);
        });
    }
    let proof = merkle::inclusion_proof(index, frontier.size(), |node| nodes.get(&node).copied().ok_or(())).ok()?;
    Some(Place { index, proof })
}

/// What the targets of one list have in common; nothing for records that entries name themselves.
fn list_of(named: &Named) -> Option<Named> {
    match *named {
        Named::Own(_) => None,
        Named::Listed { list, root, count, .. } => Some(Named::Listed { list, root, count, slot: 0 }),
    }
}

fn offer_page(draw: &mut Draw, frontier: &mut Frontier, page: &LogPage, view: &View) -> Result<()> {
    for item in &page.items {
        let (entry, leaf_index) = (&item.placed.entry, frontier.size());
        frontier.push(entry.leaf_hash(), |_, _| {});
        if let Body::Act(act) = entry.body() {
            draw.offer(Target { named: Named::Own(act.document), leaf_index, version: act.id });
        }
        let Some((version, _, _)) = entry.body().name_change() else { continue };
        if view.disposed_of(version, leaf_index)?.is_some() {
            continue;
        }
        let mut offer = |named| draw.offer(Target { named, leaf_index, version });
        entry.body().summary().map(Named::Own).into_iter().for_each(&mut offer);
        if let Body::Deposit(deposit) = entry.body() {
            let own = deposit.own_records().into_iter().filter(|address| *address != deposit.summary);
            own.map(Named::Own).for_each(&mut offer);
            let (list, root, count) = (deposit.address_list, deposit.address_root, deposit.address_count);
            (0..count).map(|slot| Named::Listed { list, root, count, slot }).for_each(&mut offer);
        }
    }
    Ok(())
}

/// An error and its causes.
fn sentence(error: &Error) -> String {
    let mut sentence = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        sentence = format!("{sentence}: {error}");
        cause = error.source();
    }
    sentence
}

/// The lines of the report.
fn lines(audit: &VaultAudit) -> Vec<(String, String)> {
    let line = |name: &str, value: String| (name.to_owned(), value);
    let mut lines = vec![
        line("begun", audit.time_ms.to_string()),
        line("population", audit.population.to_string()),
        line("confidence", audit.confidence.to_string()),
        line("damage", audit.damage.to_string()),
        line("formula", "smallest n with C(N-D,n)/C(N,n) <= 1-confidence, D = ceil(damage N)".to_owned()),
        line("sample", audit.sample.to_string()),
        line("given", audit.given.to_string()),
        line("given-bytes", audit.given_bytes.to_string()),
        line("unanswered", audit.unanswered.to_string()),
        line("receipts", audit.receipts.to_string()),
        line("failed", audit.failed.to_string()),
    ];
    for failure in &audit.failures {
        let AuditFailure { version, leaf_index, what, why, .. } = failure;
        let version = if version.is_empty() { "receipt" } else { version };
        let clean = |text: &str| text.replace(['\n', '\r'], " ");
        lines.push(line("failure", format!("leaf {leaf_index} version {version} {}: {}", clean(what), clean(why))));
    }
    lines.push(line("holds", audit.holds.to_string()));
    lines
}
