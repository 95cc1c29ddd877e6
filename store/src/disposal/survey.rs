//! What an order would end, read from media and from nothing else: that every entry is the one that was ordered, which records
//! only they name, what acts say of keeping them, and whether the records can be read.
//!
//! Invariants
//! - Every entry of the ledger is read, up to a head whose root they must lead to; the index only says where they are.
//! - A record that any entry names which is not ended by this order or an earlier one stays.
//! - What cannot be read whole stops the survey, but for records that are to go: those are counted as not verified.

use super::ended::Ended;
use super::{Case, Obstacle, Refused};
use crate::desk::Desk;
use crate::error::{Error, Result};
use crate::rows::{self, RecordRow, Rows};
use crate::vault::Inner;
use shosoin_protocol::act::{Act, ActKind, Document, Order, OrderItem, OutState, Scope};
use shosoin_protocol::entry::{Body, Deposit, PlacedEntry};
use shosoin_protocol::manifest::AddressList;
use shosoin_protocol::merkle::Frontier;
use shosoin_protocol::policy::Retention;
use shosoin_protocol::retention::{About, End, Kept};
use shosoin_protocol::{Address, Digest, NameToken, VersionId};
use shosoin_tiers::{Location, Pace};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Addresses that one survey holds in memory: 256 MiB of them.
const ADDRESSES_MAX: usize = 8 << 20;

/// What was found of one order.
pub struct Survey<'a> {
    inner: &'a Inner,
    desk: &'a Desk,
    ended: Ended,
    leaves: BTreeSet<u64>,
    deposits: BTreeMap<VersionId, (u64, Retention)>,
    kept: BTreeMap<VersionId, Kept>,
    holds: BTreeSet<VersionId>,
    tokens: HashSet<NameToken>,
    /// what the entries of the order name, ascending
    named: Vec<Address>,
    /// wraps that acts name for the versions of the order, and pieces of snapshots, which have their names. A wrap opens for its
    /// own version alone and a piece for its snapshot, so nothing else lives by them.
    wraps: BTreeSet<Address>,
    /// those of them that others name too
    needed: BTreeSet<Address>,
    frontier: Frontier,
    obstacles: Vec<Refused>,
    /// whether everything is ordered, and newer deposits stand against it
    everything_below: Option<u64>,
    /// whether what is ordered was handed over
    handed_over: bool,
    /// whether the log has ended here
    log_ended: bool,
    /// deposits of an order of everything that came after it
    newer: bool,
}

/// A record that goes.
#[derive(Debug, Clone, Copy)]
pub struct GoingRecord {
    /// its address
    pub address: Address,
    /// where the index has it; nowhere where it is lost
    pub at: Option<Location>,
}

/// What was seen of the records that go.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen {
    /// records
    pub records: u64,
    /// their bytes, as far as known
    pub bytes: u64,
    /// read whole and verified
    pub verified: u64,
    /// not in sight, or damaged
    pub unverified: u64,
}

impl<'a> Survey<'a> {
    /// Reads the entries that an order names, and then all others.
    pub fn begin(inner: &'a Inner, desk: &'a Desk, order: &Order, pace: &dyn Pace) -> Result<Self> {
        let mut survey = Survey {
            inner,
            desk,
            ended: Ended::of(inner, desk)?,
            leaves: BTreeSet::new(),
            deposits: BTreeMap::new(),
            kept: BTreeMap::new(),
            holds: BTreeSet::new(),
            tokens: HashSet::new(),
            named: Vec::new(),
            wraps: BTreeSet::new(),
            needed: BTreeSet::new(),
            frontier: Frontier::default(),
            obstacles: Vec::new(),
            everything_below: None,
            handed_over: order.scope.hand_over().is_some(),
            log_ended: false,
            newer: false,
        };
        match &order.scope {
            Scope::These(items) => {
                for item in items {
                    pace.spend(0)?;
                    survey.item(item)?;
                }
            }
            Scope::Everything { log_size, .. } => {
                survey.everything_below = Some(*log_size);
                for leaf_index in 0..*log_size {
                    pace.spend(0)?;
                    let placed = desk.ledger().entry(leaf_index)?;
                    if let Some((version, _, _)) = placed.entry.body().name_change()
                        && !survey.ended.is(leaf_index)
                    {
                        let leaf = placed.entry.leaf_hash();
                        survey.item(&OrderItem { leaf_index, version, leaf })?;
                    }
                }
            }
        }
        survey.named.sort_unstable();
        survey.named.dedup();
        survey.advance(pace)?;
        Ok(survey)
    }

    /// One entry that the order names: it must be the one that was meant.
    fn item(&mut self, item: &OrderItem) -> Result<()> {
        let placed = self.desk.ledger().entry(item.leaf_index)?;
        let body = placed.entry.body();
        let version = body.name_change().map(|(version, _, _)| version);
        if placed.entry.leaf_hash() != item.leaf || version != Some(item.version) {
            self.against(item.leaf_index, Obstacle::OtherEntry);
            return Ok(());
        }
        if self.ended.is(item.leaf_index) {
            self.against(item.leaf_index, Obstacle::EndedAlready);
            return Ok(());
        }
        self.leaves.insert(item.leaf_index);
        match body {
            Body::Deposit(deposit) => {
                self.deposits.insert(item.version, (item.leaf_index, deposit.policy.retention));
                let names = self.names(item.leaf_index, deposit)?;
                self.named.extend(names);
            }
            Body::Marker(change) | Body::Policy(change) => {
                self.tokens.insert(change.name_token);
                self.named.push(change.summary);
            }
            Body::Device(_) | Body::Act(_) => self.against(item.leaf_index, Obstacle::OtherEntry),
        }
        match self.named.len() {
            count if count <= ADDRESSES_MAX => Ok(()),
            _ => Err(Error::Argument {
                what: "order",
                why: "it names more records than one survey holds; order it in parts".into(),
            }),
        }
    }

    fn against(&mut self, number: u64, obstacle: Obstacle) {
        self.obstacles.push(Refused { number: Some(number), obstacle });
    }

    /// Everything a deposit names; its address list must be the one that its entry commits to.
    fn names(&mut self, leaf: u64, deposit: &Deposit) -> Result<Vec<Address>> {
        let bytes = self.desk.record(&deposit.address_list)?;
        let list = AddressList::decode(&bytes);
        let list = list.map_err(|source| Error::Malformed { what: "address list", source })?;
        if list.root() != deposit.address_root {
            self.against(leaf, Obstacle::OtherEntry);
        }
        Ok(deposit.own_records().into_iter().chain(list.addresses().iter().copied()).collect())
    }

    /// Reads the entries that were not read yet, up to the newest head, whose root they must lead to.
    pub fn advance(&mut self, pace: &dyn Pace) -> Result<()> {
        let head = self.desk.head()?;
        while self.frontier.size() < head.size {
            pace.spend(0)?;
            let placed = self.desk.ledger().entry(self.frontier.size())?;
            self.entry(&placed)?;
            self.frontier.push(placed.entry.leaf_hash(), |_, _: Digest| {});
        }
        match self.frontier.root() == head.root {
            true => Ok(()),
            false => {
                let (id, why) =
                    (self.desk.info().hospital.to_string(), "its entries do not lead to its root".to_owned());
                Err(Error::Damaged { what: "ledger of hospital", id, why })
            }
        }
    }

    /// Entries read so far.
    pub fn read_to(&self) -> u64 {
        self.frontier.size()
    }

    fn entry(&mut self, placed: &PlacedEntry) -> Result<()> {
        match placed.entry.body() {
            Body::Act(act) => self.act(act),
            Body::Deposit(deposit) if !self.leaves.contains(&placed.index) && !self.ended.is(placed.index) => {
                if self.everything_below.is_some_and(|below| placed.index >= below) {
                    self.newer = true;
                }
                if self.tokens.contains(&deposit.name_token) {
                    self.against(placed.index, Obstacle::NameLives);
                }
                for address in self.names(placed.index, deposit)? {
                    if self.named.binary_search(&address).is_ok() {
                        self.needed.insert(address);
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// What an act says of keeping what is ordered, by the rules that the committer went by.
    fn act(&mut self, act: &Act) -> Result<()> {
        let concerns = [ActKind::Rewrap, ActKind::Snapshot, ActKind::HandOverOut].contains(&act.kind)
            || crate::keeping::concerns(act.kind);
        if !concerns {
            return Ok(());
        }
        let document = crate::keeping::decode(act, &self.desk.record(&act.document)?)?;
        let refused = |source| Error::Malformed { what: "act", source };
        if let Document::Rewrap(rewrap) = &document {
            let own = rewrap.wraps().iter().filter(|(version, _)| self.deposits.contains_key(version));
            self.wraps.extend(own.map(|(_, wrap)| *wrap));
            return Ok(());
        }
        if let Document::HandOverOut(out) = &document {
            self.log_ended = out.state == OutState::Closed;
            return Ok(());
        }
        if let Document::Snapshot(_) = &document {
            self.wraps.extend(self.ended.names(&document));
            return Ok(());
        }
        if let Document::Release(release) = document {
            self.holds.remove(&release.hold);
            self.kept.values_mut().for_each(|kept| kept.holds.retain(|hold| *hold != release.hold));
            return Ok(());
        }
        match About::of(act.subject, &document).map_err(refused)? {
            Some(About::Everything) => drop(self.holds.insert(act.id)),
            Some(About::These(versions)) => {
                for version in versions {
                    let Some((_, retention)) = self.deposits.get(&version) else { continue };
                    let kept = self.kept.entry(version).or_default();
                    let next = match &document {
                        Document::Hold(_) => kept.held(act.id),
                        Document::Retention(retain) => kept.changed(Some(*retention), &retain.change),
                        _ => continue,
                    };
                    *kept = next.map_err(refused)?;
                }
            }
            None => {}
        }
        Ok(())
    }

    /// What the guard looks at, as media have it.
    pub fn cases(&self, approvals: usize) -> Vec<(u64, Case)> {
        let kept_elsewhere = self.handed_over && self.log_ended;
        let case = |(version, (leaf, retention)): (&VersionId, &(u64, Retention))| {
            let kept = self.kept.get(version).cloned().unwrap_or_default();
            let on_hold = !kept.holds.is_empty() || !self.holds.is_empty();
            let end = if kept_elsewhere { End::Never } else { kept.end(*retention) };
            (*leaf, Case { end, on_hold, keeping_known: true, ordered: true, approvals })
        };
        self.deposits.iter().map(case).collect()
    }

    /// What stands against it that no case has: other entries, names that live.
    pub fn obstacles(&self) -> &[Refused] {
        &self.obstacles
    }

    /// Whether something was deposited after an order of everything.
    pub fn has_newer_deposits(&self) -> bool {
        self.newer
    }

    /// Entries that would lose their records.
    pub fn entries(&self) -> u64 {
        self.leaves.len() as u64
    }

    /// Records that stay because others name them.
    pub fn shared(&self) -> u64 {
        self.needed.len() as u64
    }

    /// The records that would go, with where the index has them.
    pub fn going(&self) -> Result<Vec<GoingRecord>> {
        let hospital = self.desk.info().hospital;
        let gone = |address: &Address| {
            let row = self.inner.index.row::<RecordRow>(&rows::record_key(hospital, address))?;
            Ok(GoingRecord { address: *address, at: row.map(|row| row.at) })
        };
        let own = self.named.iter().filter(|address| !self.needed.contains(address));
        let wraps = self.wraps.iter().filter(|wrap| self.named.binary_search(wrap).is_err());
        own.chain(wraps).map(gone).collect()
    }

    /// Reads every record that would go, whole, and counts those that are what their address says.
    pub fn verify(&self, going: &[GoingRecord], pace: &dyn Pace) -> Result<Seen> {
        let mut seen = Seen { records: going.len() as u64, ..Seen::default() };
        for record in going {
            let bytes = u64::from(record.at.map_or(0, |at| at.len));
            pace.spend(bytes)?;
            seen.bytes += bytes;
            match self.desk.record(&record.address) {
                Ok(_) => seen.verified += 1,
                Err(error @ Error::Index { .. }) => return Err(error),
                Err(_) => seen.unverified += 1,
            }
        }
        Ok(seen)
    }
}
