//! Following the hospital's ledger: from one verified head to the next, entry by entry, into the view.
//!
//! Invariants
//! - No head is believed that does not continue the one remembered. A smaller or forked one is refused with both.
//! - No entry is applied before its page was proved to be in a signed head: the leaves of the page, hashed onto those
//!   applied before, give the root of that head, or a root that is proved to be a prefix of it.
//! - Entries of devices are believed only with the device's signature, in the order of its chain, and while enrolled; acts
//!   of the operator only with that of the vault, in the order of theirs.
//!
//! Here below: the chain of this device (`own`), receipts (`receipts`), what is refused and proved (`refusal`).
//! Not here: making entries (`lane`), what entries do to names (`view`).

mod own;
mod receipts;
mod refusal;

use crate::followed::Followed;
use crate::head::HeadKeeper;
use crate::retry::repeat;
use crate::signed::Signed;
use crate::task::blocking;
use crate::view::row::{Chain, PositionRow};
use crate::view::{Placed, View};
use crate::witness::{Gate, Unwitnessed};
use crate::{Error, Result, Transport, ahead, audit, snapshot};
use parking_lot::RwLock;
use receipts::verify_receipts;
use shosoin_keyring::Keyring;
use shosoin_protocol::act::agreement::Parties;
use shosoin_protocol::act::{Document, WitnessRule};
use shosoin_protocol::api::LogPage;
use shosoin_protocol::checkpoint::Checkpoint;
use shosoin_protocol::limits::{DEPOSIT_BATCH_MAX, LOG_PAGE_ENTRIES_MAX};
use shosoin_protocol::lineage::{Lineage, Span};
use shosoin_protocol::merkle::{self, Frontier};
use shosoin_protocol::receipt::Receipt;
use shosoin_protocol::sign::PublicKey;
use shosoin_protocol::{Digest, LogId, VaultId, VersionId};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::{Mutex, watch};

pub use shosoin_protocol::checkpoint::SignedHead as Head;

/// What a ledger did that became shorter.
pub const WENT_BACK: &str = "went back";
/// What a ledger did that is another than it was.
const FORKED: &str = "forked";
/// Own entries whose place is kept in memory: more than are ever under way at once.
const OWN_ENTRIES_KEPT: usize = 2 * DEPOSIT_BATCH_MAX;

/// What identifies the ledger and checks its entries.
#[derive(Clone)]
pub struct Identity {
    /// secrets that open summaries
    pub keyring: Arc<Keyring>,
    /// the vault
    pub vault: VaultId,
    /// its key, pinned
    pub vault_key: PublicKey,
    /// the ledger, as this vault keeps it
    pub log: LogId,
    /// the vaults that kept it, this one last
    pub lineage: Lineage,
    /// threads that verify a page
    pub threads: usize,
}

impl Identity {
    /// Whom an agreement must bind, `hospital_key` being the hospital's own.
    pub fn parties<'a>(&'a self, hospital_key: &'a PublicKey) -> Parties<'a> {
        self.parties_in(self.lineage.current(), hospital_key)
    }

    /// Whom an agreement bound in the span of a vault.
    pub fn parties_in<'a>(&'a self, span: &'a Span, hospital_key: &'a PublicKey) -> Parties<'a> {
        Parties { hospital: self.keyring.hospital(), hospital_key, vault: span.vault, vault_key: &span.vault_key }
    }

    /// The key of the vault that signed a receipt; of the one of today where nobody knows.
    pub fn key_of(&self, receipt: &Receipt) -> &PublicKey {
        let head = Checkpoint::parse(&receipt.inclusion.checkpoint).ok();
        let span = head.and_then(|(head, _)| self.lineage.of_vault(head.vault));
        span.map_or(&self.vault_key, |span| &span.vault_key)
    }
}

/// The ledger as far as it is verified and applied.
pub struct Ledger {
    identity: Identity,
    transport: Arc<dyn Transport>,
    view: Arc<View>,
    /// whoever holds this may apply entries
    position: Mutex<PositionRow>,
    head: RwLock<Option<Head>>,
    /// leaves that the view has
    applied: watch::Sender<u64>,
    keeper: HeadKeeper,
    /// what this device signed, as this state knows it
    signed: Arc<Signed>,
    /// the alarm about entries of this device that were not signed here was given
    alarmed: AtomicBool,
    /// leaves of the snapshot that the view began from
    began_at: AtomicU64,
    gate: Gate,
    /// witnesses that the hospital requires on the record, as of so many acts
    rule: parking_lot::Mutex<Followed<Option<WitnessRule>>>,
    /// newest entries of this device: sequence, leaf hash, leaf index
    own: parking_lot::Mutex<VecDeque<(u64, Digest, u64)>>,
    /// where this device's chain stands behind what it packed onto media
    ahead: parking_lot::Mutex<Option<Chain>>,
}

/// Newer heads that are followed to find the act by which an entry ended.
const NEWER_HEADS: usize = 3;

impl Ledger {
    /// Goes on from where the view stands, but demands of the vault what `keeper` remembers.
    pub fn new(
        identity: Identity,
        transport: Arc<dyn Transport>,
        view: Arc<View>,
        position: PositionRow,
        keeper: HeadKeeper,
        gate: Gate,
    ) -> Result<Self> {
        identity.lineage.spans().try_for_each(|span| view.know_vault(span.vault_key.clone()))?;
        let mut newest: Option<Head> = None;
        for text in [&keeper.remembered().checkpoint, &position.checkpoint] {
            if !text.is_empty() {
                let head = verified(&identity, text)?;
                if newest.as_ref().is_none_or(|newest| newest.size() < head.size()) {
                    newest = Some(head);
                }
            }
        }
        let ahead = parking_lot::Mutex::new(ahead::load(keeper.state_dir())?);
        let applied = watch::Sender::new(position.frontier.size());
        let (position, head, own) = (Mutex::new(position), RwLock::new(newest), Default::default());
        let signed = Arc::new(Signed::load(keeper.state_dir(), keeper.remembered().chain)?);
        let (rule, alarmed, began_at) = Default::default();
        Ok(Ledger {
            identity,
            transport,
            view,
            position,
            head,
            applied,
            keeper,
            signed,
            alarmed,
            began_at,
            gate,
            rule,
            own,
            ahead,
        })
    }

    /// Whose ledger this is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The newest head that was verified.
    pub fn head(&self) -> Option<Head> {
        self.head.read().clone()
    }

    /// Leaves that the view has.
    pub fn applied(&self) -> u64 {
        *self.applied.borrow()
    }

    /// Waits until the view has so many leaves.
    pub async fn reached(&self, leaves: u64) {
        // this ledger has the sender, so there always is one
        let _ = self.applied.subscribe().wait_for(|applied| *applied >= leaves).await;
    }

    /// Leaves of the newest verified head: what any later answer must cover.
    pub fn size(&self) -> u64 {
        self.head.read().as_ref().map_or(0, Head::size)
    }

    /// Refuses a ledger of which `size` leaves with `root` are no prefix.
    pub async fn demand_prefix(&self, size: u64, root: Digest) -> Result<()> {
        let Some(head) = self.head() else { return Err(Error::Lost { task: "the remembered head" }) };
        let not_there = |why: String| Err(Error::NotTheHead { why });
        if head.size() < size {
            return not_there(format!("the vault shows {} entries only", head.size()));
        }
        let proof = match head.size() == size || size == 0 {
            true => Vec::new(),
            false => repeat(|| self.transport.consistency(size, head.size())).await?,
        };
        match merkle::verify_consistency((size, &root), (head.size(), &head.checkpoint().root), &proof) {
            Ok(()) => Ok(()),
            Err(_) => {
                not_there(format!("the ledger of {} entries that the vault shows does not contain it", head.size()))
            }
        }
    }

    /// Leaf index of a version that the ledger holds, as far as it is applied.
    pub fn placed(&self, version: VersionId) -> Result<Option<u64>> {
        self.view.placed(version)
    }

    /// Begins an empty view from a snapshot, if there is one that fits; otherwise leaves it at the first leaf.
    pub async fn begin_from_snapshot(&self) -> Result<()> {
        let mut position = self.position.lock().await;
        if position.frontier.size() > 0 {
            return Ok(());
        }
        let text = repeat(|| self.transport.checkpoint()).await?;
        let head = self.verify_head(&text).await?;
        if head.size() == 0 {
            return Ok(());
        }
        if let Some(remembered) = self.head() {
            self.prove(&remembered, &head).await?;
        }
        self.demand_witnesses(&head).await?;
        match snapshot::take(&self.identity, &self.transport, &self.view, &head).await {
            Ok(None) => return Ok(()),
            Ok(Some(taken)) => {
                tracing::info!(leaves = taken.frontier.size(), of = head.size(), "the view begins from a snapshot");
                self.began_at.store(taken.frontier.size(), Ordering::SeqCst);
                *position = taken;
                self.applied.send_replace(position.frontier.size());
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "the snapshot of the view is not used; the whole ledger is read");
                *position = self.view.begin_anew(self.identity.log)?;
            }
        }
        self.identity.lineage.spans().try_for_each(|span| self.view.know_vault(span.vault_key.clone()))
    }

    /// Leaves of the snapshot that the view began from since it was opened; 0 without one.
    pub fn began_at(&self) -> u64 {
        self.began_at.load(Ordering::SeqCst)
    }

    /// Catches up with the vault's newest head.
    pub async fn refresh(self: &Arc<Self>) -> Result<()> {
        let at_least = self.size();
        let text = repeat(|| self.transport.checkpoint()).await?;
        // a view that was deleted, or cut short, is behind a head that is already known
        let behind = self.position.lock().await.frontier.size() < at_least;
        match behind {
            true => self.follow_to(&text, at_least).await?,
            false => self.confirm(&text, at_least).await?,
        };
        self.nothing_is_owed().await
    }

    /// Refuses a vault that gives an entry without its summary while its ledger does not say that the record ended. The act that
    /// says so may have come after the head that was followed, so newer ones are followed first.
    async fn nothing_is_owed(self: &Arc<Self>) -> Result<()> {
        for _ in 0..NEWER_HEADS {
            if self.view.owed()?.is_none() {
                return Ok(());
            }
            let text = repeat(|| self.transport.checkpoint()).await?;
            self.confirm(&text, self.size()).await?;
        }
        match self.view.owed()? {
            None => Ok(()),
            Some(index) => {
                let why = format!("it withholds the summary of entry {index}, and no act says that it was disposed of");
                Err(Error::Contradiction { operation: "the ledger", why })
            }
        }
    }

    /// Believes a signed head if it continues or precedes the one remembered, and has at least `at_least` leaves.
    /// If it is newer, everything up to it is applied.
    pub async fn confirm(self: &Arc<Self>, text: &str, at_least: u64) -> Result<Checkpoint> {
        let known = self.head.read().as_ref().filter(|head| head.text() == text).map(|head| head.checkpoint().clone());
        match known {
            Some(checkpoint) => Ok(checkpoint),
            None => self.follow_to(text, at_least).await,
        }
    }

    /// As [`confirm`](Self::confirm), for a head that is new or that the view has not reached.
    async fn follow_to(self: &Arc<Self>, text: &str, at_least: u64) -> Result<Checkpoint> {
        let offered = self.verify_head(text).await?;
        if offered.size() < at_least {
            let Some(remembered) = self.head() else { return Err(Error::Lost { task: "the remembered head" }) };
            return Err(self.refused(WENT_BACK, remembered, offered, Vec::new()).await);
        }
        let (checkpoint, ledger) = (offered.checkpoint().clone(), self.clone());
        // A caller who goes away must not stop an advance half-way.
        let advance = tokio::spawn(async move {
            let mut position = ledger.position.lock().await;
            ledger.advance(&mut position, offered, Vec::new()).await
        });
        advance.await.unwrap_or(Err(Error::Lost { task: "following the ledger" }))?;
        Ok(checkpoint)
    }

    /// Verifies receipts for entries of this device and applies the entries.
    pub async fn accept(&self, accepted: Vec<(Placed, Receipt)>) -> Result<()> {
        let (identity, receipts) =
            (self.identity.clone(), accepted.iter().map(|(_, receipt)| receipt.clone()).collect::<Vec<_>>());
        let verified = blocking("verifying receipts", move || Ok(verify_receipts(&identity, accepted))).await?;
        let accepted = match verified {
            Ok(accepted) => accepted,
            Err(bad) => return Err(self.proved(bad.error, bad.receipt).await),
        };
        self.watch_receipts(&receipts).await;
        let mut position = self.position.lock().await;
        for (head, entries) in accepted {
            self.advance(&mut position, head, entries).await?;
        }
        Ok(())
    }

    /// Saves the newest head; it is there for good on return.
    pub async fn save(&self) -> Result<()> {
        self.keeper.save().await
    }

    /// Folder of the local state.
    pub fn state_dir(&self) -> &std::path::Path {
        self.keeper.state_dir()
    }

    /// Saves the newest head and touches the state folder no more.
    pub async fn close(&self) -> Result<()> {
        self.keeper.close().await
    }

    async fn verify_head(&self, text: &str) -> Result<Head> {
        let (identity, text) = (self.identity.clone(), text.to_owned());
        blocking("verifying a ledger head", move || verified(&identity, &text)).await
    }

    /// Goes from `position` to `offered`. `own` are entries that are known to lie between the two.
    async fn advance(&self, position: &mut PositionRow, offered: Head, own: Vec<Placed>) -> Result<()> {
        let (remembered, from) = (self.head(), position.frontier.size());
        let known = from < offered.size() && covers(&own, from, offered.size());
        if let Some(remembered) = &remembered
            && (!known || from != remembered.size())
        {
            self.prove(remembered, &offered).await?;
        }
        if offered.size() <= from {
            return Ok(());
        }
        if remembered.as_ref().is_none_or(|remembered| remembered.size() < offered.size()) {
            self.demand_witnesses(&offered).await?;
        }
        match known {
            true => self.apply(position, own, &offered, true).await?,
            false => self.follow(position, &offered).await?,
        }
        if let Some(remembered) = &remembered {
            self.watch_time(remembered, &offered).await;
        }
        if remembered.is_none_or(|remembered| remembered.size() < offered.size()) {
            let chain = self.view.chain(self.identity.keyring.device_id())?;
            self.keeper.remember(offered.text(), chain);
            *self.head.write() = Some(offered);
        }
        Ok(())
    }

    /// The newest act of the hospital about witnesses, if there is one.
    pub fn witness_rule(&self) -> Result<Option<WitnessRule>> {
        let mut followed = self.rule.lock();
        let rule = followed.follow(&self.view, |newest, act| {
            if let Document::Witness(rule) = act.document {
                *newest = Some(rule);
            }
        })?;
        Ok(rule.clone())
    }

    /// Refuses the newest head if the hospital's own act, which a machine may only now have read, requires more of it.
    pub async fn demand_rule(&self) -> Result<()> {
        let (Some(rule), Some(head)) = (self.witness_rule()?, self.head()) else { return Ok(()) };
        let met = matches!(&self.gate, Gate::Witnesses(witnesses) if witnesses.has_witnessed(head.size()));
        if rule.required() == 0 || met { Ok(()) } else { self.demand_witnesses(&head).await }
    }

    /// Refuses a head that too few witnesses have co-signed, where the hospital requires them.
    async fn demand_witnesses(&self, offered: &Head) -> Result<()> {
        let rule = self.witness_rule()?.filter(|rule| rule.required() > 0);
        let witnesses = match (&self.gate, &rule) {
            (Gate::Witnesses(witnesses), _) => witnesses,
            (Gate::None, Some(rule)) => return Err(unwitnessed(rule)),
            (Gate::None, None) => return Ok(()),
            (Gate::Open, _) => {
                tracing::error!(
                    size = offered.size(),
                    "ALARM: a ledger head is believed without any witness, as was asked"
                );
                return Ok(());
            }
        };
        match witnesses.require(&self.identity, &self.transport, offered, rule.as_ref()).await {
            Ok(()) => Ok(()),
            Err(Unwitnessed { why, other }) => {
                tracing::error!(
                    why,
                    size = offered.size(),
                    "ALARM: a ledger head lacks the witnesses that are required"
                );
                match other {
                    Some(other) => Err(self.refused(FORKED, *other, offered.clone(), Vec::new()).await),
                    None => Err(Error::Unwitnessed { why }),
                }
            }
        }
    }

    /// Reads, checks and applies the pages between `position` and `offered`.
    async fn follow(&self, position: &mut PositionRow, offered: &Head) -> Result<()> {
        while position.frontier.size() < offered.size() {
            let (from, end) = (position.frontier.size(), offered.size());
            let count = u32::try_from((end - from).min(LOG_PAGE_ENTRIES_MAX as u64)).unwrap_or(u32::MAX);
            let page = repeat(|| self.transport.log_entries(from, count)).await?;
            let (identity, view) = (self.identity.clone(), self.view.clone());
            let checked = blocking("checking a page of the ledger", move || {
                check_shape(&page, from, end)?;
                Ok(audit::check_page(&identity, &view, page))
            });
            let entries = match checked.await? {
                Ok(entries) => entries,
                Err(refused) => return Err(self.accused(*refused.error, offered, refused.accusation).await),
            };
            let whole = from + entries.len() as u64 == end;
            if !whole {
                self.prove_page(position, &entries, offered).await?;
            }
            self.apply(position, entries, offered, whole).await?;
        }
        Ok(())
    }

    /// Refuses a page whose leaves, after those applied before, are not a prefix of `offered`.
    async fn prove_page(&self, position: &PositionRow, entries: &[Placed], offered: &Head) -> Result<()> {
        let frontier = extend(&position.frontier, entries);
        let (size, root) = (frontier.size(), frontier.root());
        let proof = repeat(|| self.transport.consistency(size, offered.size())).await?;
        let new = (offered.size(), &offered.checkpoint().root);
        match merkle::verify_consistency((size, &root), new, &proof) {
            Ok(()) => Ok(()),
            Err(_) => Err(self.blame(offered).await),
        }
    }

    /// Applies proved entries; with `whole`, refuses them unless they end in the root of `offered`.
    async fn apply(&self, position: &mut PositionRow, entries: Vec<Placed>, offered: &Head, whole: bool) -> Result<()> {
        if whole && extend(&position.frontier, &entries).root() != offered.checkpoint().root {
            return Err(self.blame(offered).await);
        }
        let device = self.identity.keyring.device_id();
        let own = entries.iter().filter(|placed| placed.entry.statement().device == device);
        let own: Vec<_> = own.map(|p| (p.entry.statement().device_seq, p.entry.leaf_hash(), p.index)).collect();
        let (identity, view, mut next) = (self.identity.clone(), self.view.clone(), position.clone());
        offered.text().clone_into(&mut next.checkpoint);
        let outcome = blocking("applying entries", move || {
            for placed in entries {
                audit::check_step(&identity, &view, &placed, &next.frontier)?;
                next.frontier.push(placed.entry.leaf_hash(), |_, _| {});
                view.apply(placed, &next)?;
            }
            Ok(())
        })
        .await;
        *position = self.view.position()?.ok_or(Error::Lost { task: "the position of the view" })?;
        self.applied.send_replace(position.frontier.size());
        outcome?;
        if !own.is_empty() {
            self.remember_own(own);
            self.watch_for_copies()?;
        }
        Ok(())
    }
}

/// What a machine without witnesses says of a rule that the hospital made.
fn unwitnessed(rule: &WitnessRule) -> Error {
    let (required, count) = (rule.required(), rule.witnesses());
    let why = format!("the hospital's own act requires {required} of {count} witnesses, and none are configured here");
    tracing::error!(why, "ALARM: a ledger head lacks the witnesses that are required");
    Error::Unwitnessed { why }
}

/// A signed text as a head of this ledger.
fn verified(identity: &Identity, text: &str) -> Result<Head> {
    identity.lineage.verify_head(text).map_err(|source| match source {
        shosoin_protocol::Error::Mismatch { what, expected, found } => Error::WrongVault { what, expected, found },
        source => Error::Answer { operation: "the ledger head", source },
    })
}

/// Whether `entries` are all leaves from `from` up to `end`.
fn covers(entries: &[Placed], from: u64, end: u64) -> bool {
    entries.len() as u64 == end - from && (from..).zip(entries).all(|(index, placed)| placed.index == index)
}

fn check_shape(page: &LogPage, from: u64, end: u64) -> Result<()> {
    let count = page.items.len() as u64;
    let in_order = (from..).zip(&page.items).all(|(index, item)| item.placed.index == index);
    match count > 0 && from + count <= end && in_order {
        true => Ok(()),
        false => {
            let why = format!("a page of {count} entries does not begin at {from} or end by {end}");
            Err(Error::Contradiction { operation: "entries of the ledger", why })
        }
    }
}

fn extend(frontier: &Frontier, entries: &[Placed]) -> Frontier {
    let mut frontier = frontier.clone();
    for placed in entries {
        frontier.push(placed.entry.leaf_hash(), |_, _| {});
    }
    frontier
}
