//! Segment: an append-only container of one hospital's records, as the catalogue of a tier knows it.
//!
//! Invariants
//! - A segment never mixes hospitals or suites, and all its shards share offsets.
//! - A closed segment never changes. A segment whose writer is gone is never appended to: it is closed, or left as it is.
//! - Its table is in memory only while it has no footer to read it from.
//! - A closed shard never changes, so two copies of it on two volumes are equally right: one is used, the others are spare.

use crate::footer::{Locator, Table};
use crate::layout::shard_path;
use crate::mount::Mount;
use crate::tier::{SegmentInfo, SegmentState};
use crate::{Code, Error, MediaFile, Result};
use parking_lot::RwLock;
use shosoin_protocol::{HospitalId, SegmentId, Suite, VolumeId};
use std::sync::Arc;

/// What never changes about a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// segment
    pub id: SegmentId,
    /// whose records it holds
    pub hospital: HospitalId,
    /// algorithm of its digests and addresses
    pub suite: Suite,
    /// its code
    pub code: Code,
}

impl Identity {
    /// Path of one of its shards on whatever volume it is.
    pub fn path(&self, shard: usize) -> String {
        shard_path(self.hospital, self.id, shard_no(shard))
    }

    /// Opens a shard for reading where `shards` has it.
    pub fn open_shard(&self, shards: &[Option<Arc<Mount>>], shard: usize) -> Option<Result<Arc<dyn MediaFile>>> {
        Some(self.open_on(shards.get(shard)?.as_ref()?, shard))
    }

    /// Opens the copy of a shard on one volume for reading, unless that is away.
    pub fn open_on(&self, mount: &Mount, shard: usize) -> Result<Arc<dyn MediaFile>> {
        match mount.answers() {
            true => {
                let (media, path) = (mount.volume.media().clone(), self.path(shard));
                mount.call("opening a shard file", move || media.open(&path))
            }
            false => Err(Error::VolumeAway { volume: mount.id(), place: mount.volume.media().place() }),
        }
    }
}

/// A shard index as it is on media; there are never more than 14.
pub fn shard_no(shard: usize) -> u8 {
    u8::try_from(shard).unwrap_or(u8::MAX)
}

/// A segment in the catalogue.
#[derive(Debug)]
pub struct Segment {
    /// what never changes
    pub identity: Identity,
    shards: RwLock<Vec<Option<Arc<Mount>>>>,
    spares: RwLock<Vec<(u8, Arc<Mount>)>>,
    body: RwLock<Body>,
}

#[derive(Debug, Clone)]
struct Body {
    state: SegmentState,
    stripes: u32,
    records: u32,
    payload_bytes: u64,
    end: u64,
    closed_ms: Option<u64>,
    table: Option<Arc<Table>>,
}

impl Segment {
    /// A segment whose table is in memory.
    pub fn with_table(identity: Identity, shards: Vec<Option<Arc<Mount>>>, state: SegmentState, table: Table) -> Self {
        let segment = Segment::new(identity, shards, Body::of(&table, state));
        segment.body.write().table = Some(Arc::new(table));
        segment
    }

    /// A closed segment, known by one of its locators.
    pub fn closed(identity: Identity, shards: Vec<Option<Arc<Mount>>>, locator: &Locator) -> Self {
        let body = Body {
            state: SegmentState::Closed,
            stripes: locator.stripes,
            records: locator.records,
            payload_bytes: locator.payload_bytes,
            end: locator.end,
            closed_ms: Some(locator.closed_ms),
            table: None,
        };
        Segment::new(identity, shards, body)
    }

    fn new(identity: Identity, shards: Vec<Option<Arc<Mount>>>, body: Body) -> Self {
        Segment { identity, shards: RwLock::new(shards), spares: RwLock::default(), body: RwLock::new(body) }
    }

    /// A segment that can be neither listed nor closed with the shards that are present.
    pub fn unreadable(identity: Identity, shards: Vec<Option<Arc<Mount>>>) -> Self {
        let body = Body::of(&Table::new(identity.code), SegmentState::Unreadable);
        Segment::new(identity, shards, body)
    }

    /// The volume of each shard that is used; `None` where no present volume has it.
    pub fn shards(&self) -> Vec<Option<Arc<Mount>>> {
        self.shards.read().clone()
    }

    /// The volume of one shard.
    pub fn shard(&self, shard: usize) -> Option<Arc<Mount>> {
        self.shards.read().get(shard)?.clone()
    }

    /// From now on `shard` is read from `mount`; where it was read from before holds a spare copy.
    pub fn use_copy(&self, shard: usize, mount: Arc<Mount>) {
        let mut spares = self.spares.write();
        spares.retain(|(no, spare)| !(usize::from(*no) == shard && spare.id() == mount.id()));
        let before = self.shards.write().get_mut(shard).and_then(|slot| slot.replace(mount.clone()));
        spares.extend(before.filter(|before| before.id() != mount.id()).map(|before| (shard_no(shard), before)));
    }

    /// A volume has one more copy of `shard`: used if there is none yet, else spare.
    pub fn add_copy(&self, shard: usize, mount: Arc<Mount>) {
        let mut spares = self.spares.write();
        match self.shards.write().get_mut(shard) {
            Some(slot @ None) => *slot = Some(mount),
            Some(Some(_)) => spares.push((shard_no(shard), mount)),
            None => {}
        }
    }

    /// A volume has no copy of `shard` any more; a spare one takes its place where there is one.
    pub fn forget_copy(&self, shard: usize, volume: VolumeId) {
        let mut spares = self.spares.write();
        spares.retain(|(no, spare)| !(usize::from(*no) == shard && spare.id() == volume));
        let mut shards = self.shards.write();
        let Some(slot) = shards.get_mut(shard).filter(|slot| slot.as_ref().is_some_and(|used| used.id() == volume))
        else {
            return;
        };
        let next = spares.iter().position(|(no, _)| usize::from(*no) == shard);
        *slot = next.map(|next| spares.remove(next).1);
    }

    /// Every copy of one shard, the one that is used first.
    pub fn copies_of(&self, shard: usize) -> Vec<Arc<Mount>> {
        self.copies().filter(|(no, _)| usize::from(*no) == shard).map(|(_, mount)| mount).collect()
    }

    /// Every copy of every shard, spare ones last.
    pub fn copies(&self) -> impl Iterator<Item = (u8, Arc<Mount>)> {
        let used = self.shards().into_iter().enumerate();
        let used = used.filter_map(|(shard, mount)| Some((shard_no(shard), mount?)));
        used.chain(self.spares.read().clone())
    }

    /// Its table, where it is in memory.
    pub fn table(&self) -> Option<Arc<Table>> {
        self.body.read().table.clone()
    }

    /// Whether it still grows.
    pub fn state(&self) -> SegmentState {
        self.body.read().state
    }

    /// Replaces the table by a longer one: its writer made another stripe durable.
    pub fn grow(&self, change: impl FnOnce(&mut Table)) {
        let mut body = self.body.write();
        let mut table = body.table.take().unwrap_or_else(|| Arc::new(Table::new(self.identity.code)));
        change(Arc::make_mut(&mut table));
        *body = Body { table: Some(table.clone()), ..Body::of(&table, body.state) };
    }

    /// It will not grow any more. The table stays in memory unless there is a footer to read it from.
    pub fn stop(&self, has_footer: bool, at_ms: u64) {
        let mut body = self.body.write();
        match has_footer {
            true => (body.state, body.closed_ms, body.table) = (SegmentState::Closed, Some(at_ms), None),
            false => body.state = SegmentState::Unreadable,
        }
    }

    /// Opens one of its shards for reading; `None` when no present volume has it.
    pub fn open_shard(&self, shard: usize) -> Option<Result<Arc<dyn MediaFile>>> {
        Some(self.identity.open_on(&*self.shard(shard)?, shard))
    }

    /// What the catalogue shows.
    pub fn info(&self) -> SegmentInfo {
        let body = self.body.read();
        SegmentInfo {
            id: self.identity.id,
            hospital: self.identity.hospital,
            suite: self.identity.suite,
            code: self.identity.code,
            state: body.state,
            stripes: body.stripes,
            records: body.records,
            payload_bytes: body.payload_bytes,
            end: body.end,
            closed_ms: body.closed_ms,
            shards: self.shards.read().iter().map(|mount| mount.as_ref().map(|mount| mount.id())).collect(),
        }
    }
}

impl Body {
    fn of(table: &Table, state: SegmentState) -> Self {
        Body {
            state,
            stripes: table.stripe_count(),
            records: table.record_count(),
            payload_bytes: table.payload_bytes(),
            end: table.end(),
            closed_ms: None,
            table: None,
        }
    }
}
