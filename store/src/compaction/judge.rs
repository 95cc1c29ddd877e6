//! What of one segment is dead, and what waits to be.

use crate::compaction::Released;
use crate::compaction::named::Named;
use crate::desk::Desk;
use crate::error::Result;
use crate::index::Index;
use crate::rows::{self, LeafRow, RecordRow, Rows, UnnamedRow};
use shosoin_protocol::entry::PlacedEntry;
use shosoin_protocol::{Address, Digest, HospitalId, RecordKind, SegmentId, VersionId, VolumeId};
use shosoin_tiers::volume::TierKind;
use shosoin_tiers::{FRAME_LEN, Location, SegmentInfo, Tier, Walked};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// By what a segment is judged.
pub struct Judge<'a> {
    /// media
    pub tier: &'a Tier,
    /// where things are
    pub index: &'a dyn Index,
    /// whose records they are
    pub desk: &'a Desk,
    /// what its entries name
    pub named: &'a Named,
    /// what a disposal released
    pub released: &'a Released,
    /// what was noted at this time or before has waited long enough
    pub noted_by_ms: u64,
    /// the vault's clock: what was noted later than this was noted by a clock that was ahead
    pub now_ms: u64,
}

/// The leaf of an entry that lies in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaf {
    /// its index
    pub index: u64,
    /// its hash
    pub hash: Digest,
}

/// What was found of one segment.
#[derive(Debug, Default)]
pub struct Verdict {
    /// records that are elsewhere too
    pub twice: BTreeSet<Place>,
    /// records that a disposal released
    pub released: BTreeSet<(Address, Place)>,
    /// by which orders
    pub orders: BTreeSet<VersionId>,
    /// records that nothing names, and whose time is over
    pub unnamed: BTreeMap<Address, Place>,
    /// records that nothing names, met for the first time
    pub fresh: Vec<(Address, Location)>,
    /// bytes that nothing names, and whose time is not over
    pub waiting_bytes: u64,
    /// rows of the index that lead to what was judged
    pub rows: u64,
    /// entries in it, by address
    pub leaves: BTreeMap<Address, Leaf>,
}

/// Where a record lies in its segment.
pub type Place = (u64, u32);

/// The place of a location.
pub fn place(at: &Location) -> Place {
    (at.stripe_at, at.at)
}

impl Verdict {
    /// Whether a record still matters.
    pub fn is_live(&self, walked: &Walked) -> bool {
        let here = place(&walked.location);
        let is_here = |found: Option<&Place>| found == Some(&here);
        !(self.twice.contains(&here)
            || self.released.contains(&(walked.address, here))
            || is_here(self.unnamed.get(&walked.address)))
    }

    /// Addresses that go and will be nowhere.
    pub fn going(&self) -> Vec<Address> {
        self.released.iter().map(|(address, _)| address).chain(self.unnamed.keys()).copied().collect()
    }
}

impl Judge<'_> {
    fn hospital(&self) -> HospitalId {
        self.desk.info().hospital
    }

    /// Judges every record of a closed segment.
    pub fn segment(&self, info: &SegmentInfo) -> Result<Verdict> {
        let mut walked = Vec::new();
        self.tier.walk(info.id, 0, &mut |record| {
            walked.push(record);
            Ok(())
        })?;
        let (mut verdict, mut seen) = (Verdict::default(), HashSet::new());
        for record in &walked {
            match record.kind {
                RecordKind::Checkpoint => {
                    if !seen.insert(record.address) {
                        verdict.twice.insert(place(&record.location));
                    }
                }
                RecordKind::Entry => self.entry(record, &mut verdict)?,
                _ => self.record(record, &mut verdict)?,
            }
        }
        Ok(verdict)
    }

    /// An entry is dead only where the ledger has it elsewhere, and it was read there.
    fn entry(&self, record: &Walked, verdict: &mut Verdict) -> Result<()> {
        let bytes = self.tier.read(self.desk.info().suite, &record.location, &record.address)?;
        let Ok(placed) = PlacedEntry::decode(&bytes) else { return Ok(()) }; // evidence of whatever it is
        let leaf = Leaf { index: placed.index, hash: placed.entry.leaf_hash() };
        verdict.leaves.insert(record.address, leaf);
        let row = self.index.row::<LeafRow>(&rows::leaf_key(self.hospital(), leaf.index))?;
        verdict.rows += u64::from(row.is_some_and(|row| row.at == record.location));
        let elsewhere = row.is_some_and(|row| row.at != record.location && row.leaf == leaf.hash);
        if elsewhere && self.desk.ledger().entry(leaf.index).is_ok_and(|there| there.entry.leaf_hash() == leaf.hash) {
            verdict.twice.insert(place(&record.location));
        }
        Ok(())
    }

    fn record(&self, record: &Walked, verdict: &mut Verdict) -> Result<()> {
        let (address, at) = (record.address, record.location);
        let row = self.index.row::<RecordRow>(&rows::record_key(self.hospital(), &address))?;
        if let (None, Some(order)) = (&row, self.released.order(&address)) {
            verdict.released.insert((address, place(&at)));
            verdict.orders.insert(order);
            return Ok(());
        }
        let Some(row) = row.filter(|row| row.kind == record.kind) else { return Ok(()) };
        if row.at != at {
            if self.tier.read(self.desk.info().suite, &row.at, &address).is_ok() {
                verdict.twice.insert(place(&at));
            }
            return Ok(());
        }
        verdict.rows += 1;
        if self.named.contains(&address) {
            return Ok(());
        }
        let noted = self.index.row::<UnnamedRow>(&rows::unnamed_key(self.hospital(), &address))?;
        match noted.filter(|noted| noted.at == at && noted.since_ms <= self.now_ms) {
            Some(noted) if noted.since_ms <= self.noted_by_ms => {
                verdict.unnamed.insert(address, place(&at));
                return Ok(());
            }
            Some(_) => {}
            None => verdict.fresh.push((address, at)),
        }
        verdict.waiting_bytes += FRAME_LEN as u64 + u64::from(at.len);
        Ok(())
    }

    /// The segments that lie on hot volumes alone. What the archive has is on shelves, and what is compacted is written hot.
    pub fn on_hot_alone(tier: &Tier) -> BTreeSet<SegmentId> {
        let kinds: BTreeMap<_, _> = tier.kinds().into_iter().collect();
        let is_hot = |volume: &VolumeId| kinds.get(volume) == Some(&TierKind::Hot);
        let alone = tier.copies().into_iter().filter(|copies| copies.shards.iter().flatten().all(is_hot));
        alone.map(|copies| copies.segment).collect()
    }
}
