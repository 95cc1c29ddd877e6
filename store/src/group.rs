//! One group: records and entries that become durable together, in one append under one checkpoint.
//!
//! A group is built in memory, where it can still be dropped without a trace; [`Group::commit`] is the only step that
//! changes anything, and it either says that everything is durable and indexed, or that nothing may be assumed.

use crate::acts::OperatorAct;
use crate::agreements::Agreements;
use crate::apply;
use crate::disposal::standing::Surroundings;
use crate::error::{Error, Result};
use crate::hospitals::HospitalInfo;
use crate::index::{Index, Pending};
use crate::intake::Prepared;
use crate::keeping;
use crate::ledger::{self, Head, Ledger};
use crate::records::Records;
use crate::rows::{self, DeviceRow, LeafRow, Row, Rows, Watermark};
use crate::sequence;
use crate::status::Work;
use bytes::Bytes;
use shosoin_protocol::act::{Act, Document, Terms};
use shosoin_protocol::entry::{Body, Entry, PlacedEntry, Seen, Statement};
use shosoin_protocol::merkle::Frontier;
use shosoin_protocol::receipt::Durable;
use shosoin_protocol::{Address, Digest, HospitalId, RecordKind, SegmentId};
use shosoin_tiers::{Clock, Code, Location, Record, Tier};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// What groups of one hospital are committed with.
pub struct Workplace {
    /// whose log
    pub hospital: HospitalInfo,
    /// the log
    pub ledger: Arc<Ledger>,
    /// what was agreed on with it
    pub agreements: Arc<Agreements>,
    /// what is held
    pub records: Arc<Records>,
    /// rows
    pub index: Arc<dyn Index>,
    /// media
    pub tier: Arc<Tier>,
    /// the vault's clock
    pub clock: Arc<dyn Clock>,
    /// work of the whole vault
    pub work: Arc<Work>,
}

/// The place of an entry whose group is not durable yet.
#[derive(Debug, Clone, Copy)]
pub struct Seat {
    /// leaf index
    pub index: u64,
    /// the vault's clock when it was accepted
    pub accepted_ms: u64,
    /// its hash as a leaf
    pub leaf: Digest,
}

/// Evidence that a group is durable and indexed.
#[derive(Debug)]
pub struct Done {
    /// head over it
    pub head: Arc<Head>,
    /// how durable it is
    pub durable: Durable,
}

/// Why a group was not committed.
#[derive(Debug)]
pub struct Failure {
    /// what happened
    pub error: Error,
    /// the outcome is unknown, or not indexed: the log must take nothing more
    pub halts: bool,
}

/// A group that is being built.
pub struct Group<'a> {
    at: &'a Workplace,
    rows: Pending<'a>,
    frontier: Frontier,
    records: Vec<Record>,
    addresses: HashSet<Address>,
    entries: Vec<PlacedEntry>,
    /// sealed bytes that its deposits take
    deposited: u64,
    /// the newest terms that it puts in force
    agreed: Option<Terms>,
    now_ms: u64,
    abandoned: Option<Error>,
}

impl<'a> Group<'a> {
    /// An empty group after the newest head.
    pub fn new(at: &'a Workplace) -> Self {
        Group {
            at,
            rows: Pending::new(at.index.as_ref()),
            frontier: at.ledger.head().frontier.clone(),
            records: Vec::new(),
            addresses: HashSet::new(),
            entries: Vec::new(),
            deposited: 0,
            agreed: None,
            now_ms: at.clock.now_ms(),
            abandoned: None,
        }
    }

    /// Adds a record, unless it is held or in the group already.
    pub fn add_record(&mut self, record: Record) -> Result<()> {
        let held = |address| Ok::<_, Error>(self.at.records.offered(self.hospital(), address)?.is_some());
        if self.addresses.contains(&record.address) || held(&record.address)? {
            return Ok(());
        }
        self.addresses.insert(record.address);
        self.records.push(record);
        Ok(())
    }

    /// Adds an entry with its records, if it may come next.
    pub fn add_deposit(&mut self, deposit: Prepared) -> Result<Seat> {
        let index = self.frontier.size();
        let vault = self.at.ledger.public_key().device_id();
        let document = deposit.document.as_ref();
        sequence::admit(&self.rows, &self.at.hospital, vault, index, &deposit.entry, document)?;
        let stored_bytes = self.agreed(&deposit)?;
        let kept = self.judge_keeping(&deposit, index)?;
        for record in deposit.records {
            self.add_record(record)?;
        }
        let seat = Seat { index, accepted_ms: self.now_ms, leaf: deposit.entry.leaf_hash() };
        let placed = PlacedEntry { index, accepted_ms: self.now_ms, entry: deposit.entry };
        if let Err(error) = self.effects(&placed, deposit.document.as_ref(), kept) {
            // Some of its effects may be pending, so nothing that is pending can be trusted.
            self.abandoned = Some(error);
            return Err(Error::Bug("effects of an entry could not be noted"));
        }
        apply::leaf(&mut self.rows, self.at.hospital.hospital, &mut self.frontier, seat.leaf);
        self.entries.push(placed);
        self.deposited += stored_bytes;
        if let Some(Document::Agreement(agreement)) = deposit.document {
            self.agreed = Some(agreement.terms);
        }
        Ok(seat)
    }

    /// The sealed bytes that an entry deposits, if the quota leaves room for them; a new agreement continues the newest.
    fn agreed(&self, prepared: &Prepared) -> Result<u64> {
        let agreements = &self.at.agreements;
        if let Some(Document::Agreement(agreement)) = &prepared.document {
            let newest = agreements.newest()?;
            let follows = agreement.follows(self.agreed.as_ref().or(newest.as_deref()));
            follows.map_err(|source| Error::Malformed { what: "agreement", source })?;
        }
        match prepared.entry.body() {
            Body::Deposit(deposit) => {
                agreements.within_quota(self.deposited, deposit.stored_bytes, self.now_ms)?;
                Ok(deposit.stored_bytes)
            }
            _ => Ok(0),
        }
    }

    /// What an act changes in what keeps records, if it may.
    fn judge_keeping(&self, deposit: &Prepared, leaf: u64) -> Result<Option<keeping::Changes>> {
        let Body::Act(act) = deposit.entry.body() else { return Ok(None) };
        if !keeping::concerns(act.kind) {
            return Ok(None);
        }
        let document = deposit.document.as_ref().ok_or(Error::Bug("an act without its document"))?;
        let read = |address: &Address| self.at.records.read(self.hospital(), self.at.hospital.suite, address);
        let document_of = |act: &Act| {
            let pending = self.records.iter().find(|record| record.address == act.document).map(|record| &record.bytes);
            keeping::document(act, pending, read)
        };
        let root_at = |size| self.at.ledger.root_at(size);
        let (document_of, root_at) = (&document_of, &root_at);
        let (hospital, log, leaf_hash) = (self.hospital(), self.at.ledger.log(), deposit.entry.leaf_hash());
        let around = Surroundings { hospital, log, leaf, leaf_hash, now_ms: self.now_ms, document_of, root_at };
        keeping::judge(&self.rows, &around, act, document).map(Some)
    }

    fn effects(
        &mut self,
        placed: &PlacedEntry,
        document: Option<&Document>,
        kept: Option<keeping::Changes>,
    ) -> Result<()> {
        let hospital = self.hospital();
        apply::effects(&mut self.rows, placed)?;
        if let Some(document) = document.filter(|document| apply::has_effect(document.kind())) {
            apply::document(&mut self.rows, hospital, placed.index, document)?;
            apply::documented(&mut self.rows, hospital, placed.index)?;
        }
        kept.map_or(Ok(()), |kept| kept.write(&mut self.rows, hospital, placed.index))
    }

    /// Adds an act of the operator, signed here, where its place in the chain of such acts is known.
    pub fn add_act(&mut self, act: OperatorAct, attached: Vec<Bytes>) -> Result<Seat> {
        let OperatorAct { id, subject, document } = act;
        let ledger = &self.at.ledger;
        let suite = self.at.hospital.suite;
        let (kind, bytes) = (document.kind(), Bytes::from(document.encode()));
        let address = suite.address(&bytes);
        let device = ledger.public_key().device_id();
        let chain = self.rows.row::<DeviceRow>(&rows::device_key(self.hospital(), device))?.unwrap_or_default();
        let head = ledger.head();
        let statement = Statement {
            suite,
            log: ledger.log(),
            hospital: self.hospital(),
            device,
            device_seq: chain.next_seq,
            prev: chain.prev,
            seen: Seen { size: head.size, root: head.root },
            claimed_ms: self.now_ms,
            body: Body::Act(Act { id, kind, subject, document: address }),
        };
        let entry = Entry::sign(statement, ledger.key());
        let mut records = vec![Record { kind: RecordKind::Document, address, bytes }];
        let further = |bytes: Bytes| Record { kind: RecordKind::Document, address: suite.address(&bytes), bytes };
        records.extend(attached.into_iter().map(further));
        self.add_deposit(Prepared { entry, records, document: Some(document) })
    }

    /// Makes everything durable, then indexes it, then lets readers see it. `None` where there was nothing to do.
    pub fn commit(mut self) -> Result<Option<Done>, Failure> {
        if let Some(error) = self.abandoned {
            return Err(Failure { error, halts: false });
        }
        self.records.sort_by_key(|record| record.kind.code());
        let head = self.place_entries();
        if self.records.is_empty() {
            return Ok(None);
        }
        enough_volumes(&self.at.tier).map_err(|error| Failure { error, halts: false })?;
        let appended = self.at.tier.append(self.hospital(), self.at.hospital.suite, &self.records);
        let has_entries = head.is_some();
        let committed = appended.map_err(|error| Failure { error: error.into(), halts: has_entries })?;
        let head = self.index(&committed.locations, head).map_err(|error| Failure { error, halts: true })?;
        self.at.work.committed(self.entries.len() as u64);
        Ok(Some(Done { head, durable: committed.durable }))
    }

    /// Puts the entries behind the records, and the checkpoint over them last.
    fn place_entries(&mut self) -> Option<Head> {
        if self.entries.is_empty() {
            return None;
        }
        let suite = self.at.hospital.suite;
        let record = |kind, bytes: Vec<u8>| Record { kind, address: suite.address(&bytes), bytes: Bytes::from(bytes) };
        let entries = self.entries.iter().map(|placed| record(RecordKind::Entry, placed.encode()));
        self.records.extend(entries);
        let head = self.at.ledger.draft(self.frontier.clone(), self.now_ms);
        self.records.push(record(RecordKind::Checkpoint, head.checkpoint.clone().into_bytes()));
        Some(head)
    }

    /// Writes the rows of everything appended, with the watermarks, in one batch, and lets readers see the head.
    fn index(&mut self, locations: &[Location], head: Option<Head>) -> Result<Arc<Head>> {
        let hospital = self.hospital();
        let mut entries = self.entries.iter();
        for (record, at) in self.records.iter().zip(locations) {
            match record.kind {
                RecordKind::Checkpoint => {}
                RecordKind::Entry => {
                    let placed = entries.next().ok_or(Error::Bug("an entry record without its entry"))?;
                    let row = LeafRow { leaf: placed.entry.leaf_hash(), address: record.address, at: *at };
                    apply::place(&mut self.rows, hospital, placed.index, row);
                }
                kind => apply::record(&mut self.rows, hospital, kind, &record.address, *at),
            }
        }
        if let Some(head) = &head {
            ledger::put_head(&mut self.rows, hospital, head);
        }
        for (segment, stripe_at) in next_stripes(locations, self.at.tier.code()) {
            self.rows.put(rows::watermark_key(segment), Watermark(stripe_at).encode());
        }
        let ledger = &self.at.ledger;
        let head = match head {
            Some(head) => ledger.advance(head, || self.rows.write())?,
            None => self.rows.write().map(|()| ledger.head())?,
        };
        self.at.records.stored(hospital, self.addresses.iter().copied());
        self.at.agreements.add_used(self.deposited);
        if self.agreed.is_some() {
            self.at.agreements.forget();
        }
        Ok(head)
    }

    fn hospital(&self) -> HospitalId {
        self.at.hospital.hospital
    }
}

/// Where the next walk of each segment begins.
pub fn next_stripes(locations: &[Location], code: Code) -> BTreeMap<SegmentId, u64> {
    let mut next = BTreeMap::new();
    for at in locations {
        let stripe_at = next.entry(at.segment).or_default();
        *stripe_at = at.next_stripe_at(code).max(*stripe_at);
    }
    next
}

/// Refuses before anything is written, so that a vault without room stays able to take entries once it has some.
fn enough_volumes(tier: &Tier) -> Result<()> {
    let needed = tier.code().shards();
    let writable = tier.writable_volumes();
    match writable >= needed {
        true => Ok(()),
        false => Err(shosoin_tiers::Error::NoWritableMedia { needed, writable }.into()),
    }
}
