//! What the vault says of itself to the operator: a value that serializes, and nothing else.

use serde::Serialize;

/// State of the whole vault.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// vault id, hex
    pub vault: String,
    /// release
    pub release: String,
    /// a demonstration, not an archive
    pub demo: bool,
    /// a sentence about that, where it is so
    pub notice: Option<String>,
    /// code of new segments
    pub code: String,
    /// which database holds the index
    pub index: String,
    /// each volume
    pub volumes: Vec<VolumeStatus>,
    /// each hospital
    pub hospitals: Vec<HospitalStatus>,
    /// segments by state
    pub segments: SegmentCounts,
    /// stripes waiting for repair
    pub repair_queue: usize,
    /// work since the vault was opened
    pub counters: Counters,
    /// what opening found and worked around
    pub findings: Vec<crate::Finding>,
}

/// State of one volume.
#[derive(Debug, Clone, Serialize)]
pub struct VolumeStatus {
    /// volume id, hex
    pub id: String,
    /// where it is
    pub place: String,
    /// online, suspect, read-only, absent
    pub state: String,
    /// bytes it holds when empty
    pub total_bytes: u64,
    /// bytes that can still be written
    pub free_bytes: u64,
}

/// State of one hospital's log.
#[derive(Debug, Clone, Serialize)]
pub struct HospitalStatus {
    /// hospital id, hex
    pub hospital: String,
    /// suite number
    pub suite: u8,
    /// entries in its log
    pub log_size: u64,
    /// root over them, hex
    pub log_root: String,
    /// term of the sequencer
    pub term: u64,
    /// why the log takes no more entries, if it does not
    pub read_only: Option<String>,
}

/// Segments by state.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct SegmentCounts {
    /// taking records
    pub open: usize,
    /// finished
    pub closed: usize,
    /// with fewer shards present than the code has
    pub degraded: usize,
    /// bytes of records
    pub payload_bytes: u64,
}

/// Work since the vault was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// groups committed: stripes written
    pub groups: u64,
    /// records appended, entries and checkpoints included
    pub records: u64,
    /// entries accepted
    pub deposits: u64,
    /// shard files synced
    pub syncs: u64,
}
