//! Tier: the volumes of one media class under one code, and every segment on them. The front type of this crate.

use crate::{Clock, Code, Finding, Location, Random, Record, Result, Volume};
use bytes::Bytes;
use shosoin_protocol::receipt::Durable;
use shosoin_protocol::{Address, HospitalId, RecordKind, SegmentId, Suite, VolumeId};
use std::sync::Arc;

/// How a tier is run.
#[derive(Debug, Clone)]
pub struct TierOptions {
    /// data and parity shards of new segments
    pub code: Code,
    /// bytes of payload after which a segment is closed and the next one begun
    pub segment_bytes_max: u64,
    /// whether placement may put shards on volumes that share a device, host or rack
    pub demo: bool,
}

impl TierOptions {
    /// The defaults for `code`: segments of 1 GiB, no demo.
    pub fn new(code: Code) -> Self {
        TierOptions { code, segment_bytes_max: 1 << 30, demo: false }
    }
}

/// What an append made durable.
#[derive(Debug, Clone)]
pub struct Committed {
    /// where each record lies, in the order given
    pub locations: Vec<Location>,
    /// how durable they are
    pub durable: Durable,
}

/// Whether a segment still grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SegmentState {
    /// Its writer may append to it.
    Open,
    /// It has a footer and never changes again.
    Closed,
    /// Its writer is gone and it could not be closed: shards are missing, or a stripe is lost. It is read as far as
    /// possible and never written to.
    Unreadable,
}

/// One segment, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentInfo {
    /// segment
    pub id: SegmentId,
    /// whose records it holds
    pub hospital: HospitalId,
    /// algorithm of its digests and addresses
    pub suite: Suite,
    /// its code
    pub code: Code,
    /// whether it still grows
    pub state: SegmentState,
    /// stripes
    pub stripes: u32,
    /// records
    pub records: u32,
    /// bytes of payload, frames included
    pub payload_bytes: u64,
    /// where the next stripe begins, or would; the end of a walk
    pub end: u64,
    /// the volume each shard is on, by shard; `None` where no present volume has it
    pub shards: Vec<Option<VolumeId>>,
}

/// One record met by a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walked {
    /// what it is
    pub kind: RecordKind,
    /// suite digest of its bytes
    pub address: Address,
    /// where it is
    pub location: Location,
}

/// Something that lost redundancy and waits to be rebuilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepairItem {
    /// shards of the stripe or segment that may still be lost before data is; less is more urgent
    pub redundancy_left: u8,
    /// segment
    pub segment: SegmentId,
    /// shard to rebuild
    pub shard: u8,
    /// offset of the damaged unit, or `None` for the whole shard
    pub stripe_at: Option<u64>,
}

/// How a volume is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VolumeState {
    /// It takes new shards.
    Writable,
    /// It has no room for new shards.
    Full,
    /// Its medium takes no writes.
    ReadOnly,
    /// A write or sync on it failed; it is read from and never written to again until it is opened anew.
    Suspect,
}

/// One volume, as `status` shows it.
#[derive(Debug, Clone)]
pub struct VolumeStatus {
    /// volume
    pub id: VolumeId,
    /// where it is
    pub place: String,
    /// how it is doing
    pub state: VolumeState,
    /// room left, in bytes; `None` when the medium does not say
    pub free_bytes: Option<u64>,
    /// room in all, in bytes; `None` when the medium does not say
    pub total_bytes: Option<u64>,
    /// shards on it
    pub shards: u32,
    /// failed reads since it was opened
    pub read_errors: u64,
}

/// Counters since the tier was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TierCounters {
    /// stripes made durable
    pub stripes: u64,
    /// records made durable
    pub records: u64,
    /// syncs of shard files
    pub syncs: u64,
    /// reads that needed other units than the record's own
    pub rebuilt_reads: u64,
}

/// The volumes of one media class under one code, and every segment on them.
pub struct Tier {
    options: TierOptions,
}

impl Tier {
    /// Opens `volumes`, finds their segments, and recovers and closes those whose writer did not. What was met on the
    /// way is returned; absent volumes are simply not given.
    pub fn open(
        volumes: Vec<Volume>,
        options: TierOptions,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<(Tier, Vec<Finding>)> {
        todo!()
    }

    /// Stores `records` of one hospital in as few stripes as they fit; all of them are durable on k + m volumes when
    /// it returns. After an error nothing may be assumed about them.
    pub fn append(&self, hospital: HospitalId, suite: Suite, records: &[Record]) -> Result<Committed> {
        todo!()
    }

    /// The record at `at`, verified against `address`; rebuilt from other units where its own are bad or missing, and
    /// then queued for repair.
    pub fn read(&self, suite: Suite, at: &Location, address: &Address) -> Result<Bytes> {
        todo!()
    }

    /// Whether the frame at `at` names `address`. Reads one frame and verifies nothing else.
    pub fn peek(&self, at: &Location, address: &Address) -> Result<bool> {
        todo!()
    }

    /// Every segment, by id.
    pub fn segments(&self) -> Vec<SegmentInfo> {
        todo!()
    }

    /// Every segment of one hospital, by id.
    pub fn segments_of(&self, hospital: HospitalId) -> Vec<SegmentInfo> {
        todo!()
    }

    /// Visits the records of `segment` from the stripe at `from_stripe_at` on, in order, and gives the offset where
    /// the next walk goes on.
    pub fn walk(
        &self,
        segment: SegmentId,
        from_stripe_at: u64,
        visit: &mut dyn FnMut(Walked) -> Result<()>,
    ) -> Result<u64> {
        todo!()
    }

    /// Reads every unit and footer of `segment` past the page cache and reports what is not as it should be.
    pub fn check_segment(&self, segment: SegmentId) -> Vec<Finding> {
        todo!()
    }

    /// Takes what waits for repair, most urgent first.
    pub fn take_repairs(&self) -> Vec<RepairItem> {
        todo!()
    }

    /// Every present volume.
    pub fn volumes(&self) -> Vec<VolumeStatus> {
        todo!()
    }

    /// Counters since the tier was opened.
    pub fn counters(&self) -> TierCounters {
        todo!()
    }

    /// Code of new segments.
    pub fn code(&self) -> Code {
        self.options.code
    }

    /// Whether placement may put shards on volumes that share a device, host or rack.
    pub fn is_demo(&self) -> bool {
        self.options.demo
    }

    /// Closes every open segment. The tier can go on being read.
    pub fn close(&self) -> Result<()> {
        todo!()
    }
}
