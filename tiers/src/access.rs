//! Access: what every reader of a tier shares: open files, coders, the repair queue, the last rebuilt stripe, counters.

use crate::pool::Pool;
use crate::queue::{RepairItem, RepairQueue};
use crate::read::Rebuilt;
use crate::segment::{Segment, shard_no};
use crate::tier::Threads;
use crate::{Code, Erasure, Error, MediaFile, Result};
use lru::LruCache;
use parking_lot::{Mutex, RwLock};
use shosoin_protocol::SegmentId;
use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Shard files kept open for reading. Together with open segments this stays far below a limit of 1,024 descriptors.
const FILES_MAX: NonZeroUsize = NonZeroUsize::MIN.saturating_add(255);

/// Buffers kept for reads past the cache, a part of a unit each: a few MiB in all.
const READ_BUFFERS_MAX: usize = 8;

/// What readers share.
pub struct Access {
    files: Mutex<LruCache<(SegmentId, usize), Arc<dyn MediaFile>>>,
    coders: Mutex<HashMap<Code, Arc<Erasure>>>,
    /// memory for reads past the cache
    pub pool: Pool,
    /// what waits for repair
    pub repairs: RepairQueue,
    /// the last stripe that had to be rebuilt; its lock admits one rebuild at a time
    pub rebuilt: Mutex<Option<Rebuilt>>,
    rebuilt_reads: AtomicU64,
    /// segments whose shards are being moved, rebuilt or removed
    busy: Mutex<BTreeSet<SegmentId>>,
    /// segments that were removed; what is found of them is not taken up again
    pub removed: RwLock<BTreeSet<SegmentId>>,
    /// whether the parts of a large record are read at the same time
    pub threads: Threads,
}

impl Access {
    /// Nothing open yet.
    pub fn new(threads: Threads) -> Self {
        Access {
            threads,
            files: Mutex::new(LruCache::new(FILES_MAX)),
            coders: Mutex::default(),
            pool: Pool::new(READ_BUFFERS_MAX),
            repairs: RepairQueue::default(),
            rebuilt: Mutex::default(),
            rebuilt_reads: AtomicU64::new(0),
            busy: Mutex::default(),
            removed: RwLock::default(),
        }
    }

    /// A shard file, opened for reading; `None` when it is on no present volume or cannot be opened.
    pub fn file(&self, segment: &Segment, shard: usize) -> Option<Arc<dyn MediaFile>> {
        let key = (segment.identity.id, shard);
        if segment.shard(shard).is_some_and(|mount| !mount.answers()) {
            return None;
        }
        if let Some(file) = self.files.lock().get(&key) {
            return Some(file.clone());
        }
        match segment.open_shard(shard)? {
            Ok(file) => {
                self.files.lock().put(key, file.clone());
                Some(file)
            }
            Err(error) => {
                self.note_read_error(segment, shard, &error);
                None
            }
        }
    }

    /// Keeps other work away from the shards of `segment` until what this gives is dropped.
    pub fn begin_work(&self, segment: SegmentId) -> Result<Working<'_>> {
        match self.busy.lock().insert(segment) {
            true => Ok(Working { access: self, segment }),
            false => Err(Error::SegmentBusy { segment }),
        }
    }

    /// Forgets the handle of a shard: it is on another volume now, or gone.
    pub fn forget(&self, segment: SegmentId, shard: usize) {
        self.files.lock().pop(&(segment, shard));
    }

    /// Records that a shard could not be read, and forgets the handle.
    pub fn note_read_error(&self, segment: &Segment, shard: usize, error: &Error) {
        self.files.lock().pop(&(segment.identity.id, shard));
        if let Some(mount) = segment.shard(shard) {
            tracing::warn!(volume = %mount.id(), segment = %segment.identity.id, shard, %error, "a read failed");
            mount.note_read_error(error);
        }
    }

    /// The coder of `code`.
    pub fn erasure(&self, code: Code) -> Result<Arc<Erasure>> {
        let mut coders = self.coders.lock();
        if let Some(coder) = coders.get(&code) {
            return Ok(coder.clone());
        }
        let coder = Arc::new(Erasure::new(code)?);
        coders.insert(code, coder.clone());
        Ok(coder)
    }

    /// Queues what lost redundancy.
    pub fn queue(&self, items: Vec<RepairItem>) {
        items.into_iter().for_each(|item| self.repairs.add(item));
    }

    /// Queues whole shards of a segment that have `present` shards left.
    pub fn queue_shards(&self, segment: SegmentId, code: Code, lost: &[usize]) {
        let left = shard_no(code.m().saturating_sub(lost.len()));
        let item =
            |shard: &usize| RepairItem { redundancy_left: left, segment, shard: shard_no(*shard), stripe_at: None };
        self.queue(lost.iter().map(item).collect());
    }

    /// Counts a read that needed other units than its own.
    pub fn count_rebuilt(&self) {
        self.rebuilt_reads.fetch_add(1, Ordering::Relaxed);
    }

    /// Reads that needed other units than their own.
    pub fn rebuilt_reads(&self) -> u64 {
        self.rebuilt_reads.load(Ordering::Relaxed)
    }
}

/// Work on the shards of one segment, which no other work meets.
pub struct Working<'a> {
    access: &'a Access,
    segment: SegmentId,
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.access.busy.lock().remove(&self.segment);
    }
}
