//! What can go wrong on media, with where and why.

use shosoin_protocol::{Address, ErrorKind, SegmentId, VolumeId};

/// Why a call on media was refused or failed. `place` says which volume, as a person would find it; `path` is relative
/// to the volume.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder or mount point of a volume is not there.
    #[error("volume at {place} is absent")]
    VolumeAbsent {
        /// where it should be
        place: String,
        /// what the system said
        #[source]
        source: std::io::Error,
    },
    /// Another process has the volume open, or this one still waits for a write to it.
    #[error("volume at {place} is in use already")]
    VolumeBusy {
        /// where it is
        place: String,
    },
    /// Two volumes carry the same id: one is a copy, and writing to either would be writing to the wrong one.
    #[error("volumes at {first} and {second} are both labelled {id}")]
    VolumeDuplicate {
        /// the id on both labels
        id: VolumeId,
        /// where the first one is
        first: String,
        /// where the second one is
        second: String,
    },
    /// A new volume was asked for where there is one already.
    #[error("volume at {place} has a label already")]
    VolumeExists {
        /// where it is
        place: String,
    },
    /// A file was overwritten, and reading it back gave something else.
    #[error("file at {place} was overwritten and does not read back so at {at}")]
    NotErased {
        /// where the volume is
        place: String,
        /// offset in the file, in bytes
        at: u64,
    },
    /// Neither copy of the label is there.
    #[error("volume at {place} has no label")]
    LabelMissing {
        /// where the volume is
        place: String,
    },
    /// Both copies of the label are damaged or missing, so nobody can say which volume this is.
    #[error("neither copy of the label of the volume at {place} is good")]
    LabelDamaged {
        /// where the volume is
        place: String,
        /// what is wrong with the first copy
        #[source]
        source: shosoin_protocol::Error,
    },
    /// The label was written by a newer release.
    #[error("label of the volume at {place} cannot be read by this release")]
    LabelUnsupported {
        /// where the volume is
        place: String,
        /// which version it has
        #[source]
        source: shosoin_protocol::Error,
    },
    /// The volume can only be read.
    #[error("volume at {place} is read-only, {call} of {path} was refused")]
    ReadOnly {
        /// where the volume is
        place: String,
        /// file or folder
        path: String,
        /// what was asked
        call: &'static str,
    },
    /// The volume is full.
    #[error("volume at {place} is full, {call} of {path} failed")]
    NoSpace {
        /// where the volume is
        place: String,
        /// file or folder
        path: String,
        /// what was asked
        call: &'static str,
    },
    /// There is no such file or folder on the volume.
    #[error("{path} is not on the volume at {place}")]
    NotFound {
        /// where the volume is
        place: String,
        /// file or folder
        path: String,
    },
    /// A file that was to be created is there already; nothing on media is ever overwritten.
    #[error("{path} is on the volume at {place} already")]
    Exists {
        /// where the volume is
        place: String,
        /// file or folder
        path: String,
    },
    /// An earlier write or sync through this handle failed: what is on media is unknown, so the handle is never used again.
    #[error("{call} of {path} on the volume at {place} was refused because an earlier one failed")]
    Suspect {
        /// where the volume is
        place: String,
        /// file
        path: String,
        /// what was asked
        call: &'static str,
    },
    /// The medium takes files only as a whole: written from the start to the end, synced once, never appended to.
    #[error("{call} of {path} was refused: the volume at {place} takes whole files only")]
    WholeFilesOnly {
        /// where the volume is
        place: String,
        /// file
        path: String,
        /// what was asked
        call: &'static str,
    },
    /// Any other failure of the medium.
    #[error("{call} of {path} on the volume at {place} failed")]
    Io {
        /// where the volume is
        place: String,
        /// file or folder
        path: String,
        /// what was asked
        call: &'static str,
        /// what the system said
        #[source]
        source: std::io::Error,
    },
    /// A buffer, offset or length that is not a multiple of the block size: a mistake of ours.
    #[error("{call} of {path} at {at}, {len_bytes} bytes, is not aligned to blocks")]
    Misaligned {
        /// file
        path: String,
        /// what was asked
        call: &'static str,
        /// offset in bytes
        at: u64,
        /// length in bytes
        len_bytes: usize,
    },
    /// A code that is not one of the allowed ones.
    #[error("code {found} is not one of {allowed}")]
    Code {
        /// what was asked for
        found: String,
        /// the allowed ones
        allowed: &'static str,
    },
    /// Fewer than k good units of a stripe.
    #[error("{good} good units are too few, {needed} are needed")]
    TooFewUnits {
        /// units that verified
        good: usize,
        /// data units of the code
        needed: usize,
    },
    /// The erasure coder was called with the wrong number or lengths of units: a mistake of ours.
    #[error("units do not fit the code: {why}")]
    Units {
        /// the rule it breaks
        why: &'static str,
    },
    /// No choice of volumes keeps the promise that m losses are survived.
    #[error("no {wanted} of {offered} volumes can hold a segment: {why}")]
    Placement {
        /// k + m
        wanted: usize,
        /// writable volumes with room
        offered: usize,
        /// the rule that cannot be kept
        why: String,
    },
    /// Too few volumes take writes for a new segment; nothing was acknowledged.
    #[error("{writable} volumes take writes, a segment needs {needed}")]
    NoWritableMedia {
        /// k + m
        needed: usize,
        /// volumes that are present, not suspect, not read-only and have room
        writable: usize,
    },
    /// No present volume has a shard of this segment.
    #[error("no present volume has segment {segment}")]
    SegmentUnknown {
        /// the segment
        segment: SegmentId,
    },
    /// No volume in use has this id.
    #[error("volume {volume} is not in use here")]
    VolumeUnknown {
        /// the volume
        volume: VolumeId,
    },
    /// The volume has no copy of this shard, or has none any more.
    #[error("volume {volume} has no copy of shard {shard} of segment {segment}")]
    CopyUnknown {
        /// the segment
        segment: SegmentId,
        /// the shard
        shard: u8,
        /// the volume
        volume: VolumeId,
    },
    /// The segment has no footer yet, so nobody can say what its shards must be.
    #[error("segment {segment} is not closed: {why}")]
    SegmentUnclosed {
        /// the segment
        segment: SegmentId,
        /// why it is not
        why: &'static str,
    },
    /// Compacting the segment would write too much for what it gains.
    #[error("segment {segment} is too dense to compact: {live_bytes} bytes are live, {dead_bytes} would be gained")]
    Dense {
        /// the segment
        segment: SegmentId,
        /// bytes that would be written anew
        live_bytes: u64,
        /// bytes that would be gained
        dead_bytes: u64,
    },
    /// Other background work changes where the shards of this segment are.
    #[error("other work on segment {segment} is under way")]
    SegmentBusy {
        /// the segment
        segment: SegmentId,
    },
    /// What was written reads back otherwise; it was given up, and what it was to replace is as it was.
    #[error("{path} on the volume at {place} does not read back as it was written: {why}")]
    ReadBack {
        /// where the volume is
        place: String,
        /// file
        path: String,
        /// what is wrong
        why: String,
    },
    /// The proof that another copy is good does not hold, so the copy is not released.
    #[error("the copy of shard {shard} of segment {segment} on volume {volume} is not released: {why}")]
    Unproven {
        /// the segment
        segment: SegmentId,
        /// the shard
        shard: u8,
        /// the volume of the copy that stays
        volume: VolumeId,
        /// what is missing
        why: String,
    },
    /// A volume did not do in time what it was asked for. Whether it will is not known.
    #[error("the volume at {place} did not finish {what} within {waited_ms} ms")]
    Slow {
        /// where the volume is
        place: String,
        /// what it was asked for
        what: &'static str,
        /// how long it was waited for
        waited_ms: u64,
    },
    /// A volume is in use and cannot be read now: it does not answer, or another medium is where it was.
    #[error("volume {volume} at {place} is away")]
    VolumeAway {
        /// the volume
        volume: VolumeId,
        /// where it was
        place: String,
    },
    /// The folders of a volume in use could not be listed, so what depends on all that is on it is not done.
    #[error(
        "volume {volume} at {place} could not be listed, and what is on it is not known; it is listed again when it answers"
    )]
    VolumeUnlisted {
        /// the volume
        volume: VolumeId,
        /// where it is
        place: String,
    },
    /// Background work was told to stop; what it had finished stays finished.
    #[error("the work was stopped")]
    Stopped,
    /// What a segment holds cannot be listed: too few of its shards are present, or its table is lost.
    #[error("segment {segment} cannot be listed: {why}")]
    SegmentUnreadable {
        /// the segment
        segment: SegmentId,
        /// what is missing
        why: String,
    },
    /// Fewer than k good units of the record's stripe are left.
    #[error("record {address} in segment {segment} at {stripe_at} is unreadable: {good} good units of {needed} needed")]
    RecordUnreadable {
        /// the record
        address: Address,
        /// its segment
        segment: SegmentId,
        /// offset of its stripe in every shard
        stripe_at: u64,
        /// units that verified
        good: usize,
        /// units that are needed
        needed: usize,
    },
    /// The stripe is good, and the record is not in it where the location says: the location is wrong.
    #[error("record {address} is not in segment {segment} at {stripe_at}")]
    RecordElsewhere {
        /// the record
        address: Address,
        /// segment of the location
        segment: SegmentId,
        /// stripe of the location
        stripe_at: u64,
    },
    /// A record longer than the format allows.
    #[error("record {address} of {len_bytes} bytes is longer than {limit_bytes}")]
    RecordTooLarge {
        /// the record
        address: Address,
        /// its length
        len_bytes: usize,
        /// the limit
        limit_bytes: usize,
    },
    /// Bytes that were to be a location and are not.
    #[error("location of a record is not valid")]
    Location {
        /// what is wrong
        #[source]
        source: shosoin_protocol::Error,
    },
    /// A thread could not be started.
    #[error("a thread could not be started")]
    Thread {
        /// what the system said
        #[source]
        source: std::io::Error,
    },
    /// A thread of ours ended before it answered.
    #[error("{what} was abandoned")]
    Abandoned {
        /// what it was doing
        what: &'static str,
    },
    /// Randomness was asked of the system and not given.
    #[error("the system gave no random numbers: {why}")]
    Random {
        /// what the system said
        why: String,
    },
    /// Bytes that are not what they must be.
    #[error("{what} on the volume at {place} is not good")]
    Format {
        /// structure
        what: String,
        /// where the volume is
        place: String,
        /// what is wrong
        #[source]
        source: shosoin_protocol::Error,
    },
}

impl Error {
    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::NotFound { .. }
            | Error::SegmentUnknown { .. }
            | Error::VolumeUnknown { .. }
            | Error::CopyUnknown { .. }
            | Error::RecordElsewhere { .. } => ErrorKind::NotFound,
            Error::VolumeDuplicate { .. } | Error::VolumeExists { .. } | Error::Exists { .. } => ErrorKind::Refused,
            Error::Placement { .. } | Error::WholeFilesOnly { .. } | Error::Unproven { .. } | Error::Dense { .. } => {
                ErrorKind::Refused
            }
            Error::Code { .. } | Error::RecordTooLarge { .. } | Error::Location { .. } => ErrorKind::Invalid,
            Error::RecordUnreadable { .. } | Error::SegmentUnreadable { .. } => ErrorKind::Damaged,
            Error::ReadBack { .. } | Error::NotErased { .. } => ErrorKind::Damaged,
            Error::LabelMissing { .. } | Error::LabelDamaged { .. } | Error::TooFewUnits { .. } => ErrorKind::Damaged,
            Error::LabelUnsupported { .. } => ErrorKind::Unsupported,
            Error::Format { source, .. } => match source.kind() {
                ErrorKind::Unsupported => ErrorKind::Unsupported,
                _ => ErrorKind::Damaged,
            },
            Error::Misaligned { .. } | Error::Units { .. } | Error::Abandoned { .. } => ErrorKind::Bug,
            Error::VolumeAbsent { .. }
            | Error::VolumeBusy { .. }
            | Error::ReadOnly { .. }
            | Error::NoSpace { .. }
            | Error::Suspect { .. }
            | Error::NoWritableMedia { .. }
            | Error::Random { .. }
            | Error::Slow { .. }
            | Error::VolumeAway { .. }
            | Error::VolumeUnlisted { .. }
            | Error::Stopped
            | Error::SegmentUnclosed { .. }
            | Error::SegmentBusy { .. }
            | Error::Thread { .. }
            | Error::Io { .. } => ErrorKind::Unavailable,
        }
    }
    /// Whether a volume failed and was taken out of use for it, so that the same call may succeed on the others.
    pub(crate) fn took_a_volume(&self) -> bool {
        matches!(
            self,
            Error::Io { .. }
                | Error::NoSpace { .. }
                | Error::ReadOnly { .. }
                | Error::NotFound { .. }
                | Error::Suspect { .. }
                | Error::Slow { .. }
                | Error::VolumeAbsent { .. }
        )
    }
}
