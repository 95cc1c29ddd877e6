//! Findings: what opening, reading or checking media met that is not as it should be. A finding is reported and the
//! walk goes on; it names volume, segment, shard and offset, and carries no payload.

use shosoin_protocol::{Digest, SegmentId, VolumeId};
use std::fmt;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing; nothing acknowledged is touched.
    Note,
    /// Redundancy is lost, data is not: repair brings it back.
    Degraded,
    /// Data cannot be read with what is present.
    Lost,
}

impl Severity {
    /// Name in JSON and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Degraded => "degraded",
            Severity::Lost => "lost",
        }
    }
}

/// What was met.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Defect {
    /// One copy of a volume's label is damaged, missing or older; the other one was used.
    Label {
        /// which copy, relative to the volume
        path: String,
        /// what is wrong with it
        why: String,
    },
    /// A volume could not be listed; what it holds is unknown, which is not the same as empty.
    VolumeUnlisted {
        /// why
        why: String,
    },
    /// The label of a volume is older than the one it was last known by: it is an older image of that volume.
    VolumeStale {
        /// generation it was last known by
        known: u64,
        /// generation of its label
        found: u64,
    },
    /// A file that is not a shard lies among the shards.
    ForeignFile {
        /// its name
        name: String,
    },
    /// Two volumes hold the same shard; one copy is used, the other is spare.
    ShardTwice,
    /// No present volume holds this shard.
    ShardMissing,
    /// The shard exists and cannot be read here.
    ShardUnreadable {
        /// why
        why: String,
    },
    /// The shard file ends before it should.
    ShardShort {
        /// bytes that are not there
        missing_bytes: u64,
    },
    /// A unit header is damaged, or is not the one that belongs here.
    HeaderDamaged {
        /// why it was refused
        why: String,
    },
    /// A unit's bytes are not what its header says.
    UnitDamaged {
        /// digest in the header
        expected: Digest,
        /// digest of the bytes
        found: Digest,
    },
    /// The unit could not be brought back when its shard was written anew, and nothing of it was there to be kept.
    UnitGap,
    /// The footer of a closed segment is missing or damaged on this shard.
    FooterDamaged {
        /// why it was refused
        why: String,
    },
    /// A record's frame or bytes are not what the footer says.
    RecordDamaged {
        /// why it was refused
        why: String,
    },
    /// The last stripe was never completed and never acknowledged; its bytes stay where they are as evidence.
    StripeTorn {
        /// units that are good
        good: u8,
        /// units it would need
        needed: u8,
    },
    /// The last stripe can be read only if shards come back that are absent now, and whether it was ever completed only
    /// they can say.
    StripeUnjudged {
        /// units that are good
        good: u8,
        /// units that nobody can look at now
        unseen: u8,
        /// units it would need
        needed: u8,
    },
    /// Too few good units of a stripe are in sight; shards that cannot be looked at now may have the others.
    StripeOutOfSight {
        /// units that are good
        good: u8,
        /// units that nobody can look at now
        unseen: u8,
        /// units it needs
        needed: u8,
    },
    /// A shard could not be rebuilt, though it may be possible later.
    Unrepaired {
        /// why
        why: String,
    },
    /// A volume has a shard of a segment that was removed; it is not taken up again.
    SegmentRemoved,
    /// The list of removed segments on a volume is not good; the other volumes have it.
    RemovedUnlisted {
        /// why
        why: String,
    },
    /// A committed stripe has too few good units.
    StripeLost {
        /// units that are good
        good: u8,
        /// units it needs
        needed: u8,
    },
    /// Too few shards are present to read the segment.
    SegmentUnreadable {
        /// shards present
        present: u8,
        /// shards it needs
        needed: u8,
    },
    /// The segment was not closed by its writer; it was recovered and closed.
    SegmentRecovered {
        /// stripes kept
        stripes: u32,
        /// records kept
        records: u32,
    },
    /// The segment was begun and nothing was ever stored in it; its few empty files stay.
    SegmentVoid,
    /// A footer could not be written on this volume.
    FooterUnwritten {
        /// why
        why: String,
    },
}

impl Defect {
    /// Whether it says only that nobody could look: the shard is absent or cannot be read now, or could not when it was
    /// written anew, and may be good all the same.
    pub fn is_unseen(&self) -> bool {
        self.is_absence() || matches!(self, Defect::ShardUnreadable { .. })
    }

    /// Whether nothing is there that could be read some day: only what comes back from elsewhere can.
    pub fn is_absence(&self) -> bool {
        matches!(self, Defect::ShardMissing | Defect::UnitGap)
    }

    /// How bad it is.
    pub fn severity(&self) -> Severity {
        match self {
            Defect::SegmentRecovered { .. }
            | Defect::SegmentVoid
            | Defect::StripeTorn { .. }
            | Defect::ForeignFile { .. }
            | Defect::SegmentRemoved
            | Defect::ShardTwice => Severity::Note,
            Defect::StripeLost { .. }
            | Defect::StripeOutOfSight { .. }
            | Defect::StripeUnjudged { .. }
            | Defect::SegmentUnreadable { .. } => Severity::Lost,
            _ => Severity::Degraded,
        }
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Defect::Label { path, why } => write!(f, "{path} is not good: {why}"),
            Defect::VolumeUnlisted { why } => write!(f, "volume cannot be listed: {why}"),
            Defect::VolumeStale { known, found } => {
                write!(f, "volume is an older image of itself: its label has generation {found}, {known} was known")
            }
            Defect::ForeignFile { name } => write!(f, "{name} is not a shard of ours"),
            Defect::ShardTwice => write!(f, "the same shard exists on another volume, which is used instead"),
            Defect::ShardMissing => write!(f, "shard is on no present volume"),
            Defect::ShardUnreadable { why } => write!(f, "shard cannot be read: {why}"),
            Defect::HeaderDamaged { why } => write!(f, "unit header is damaged: {why}"),
            Defect::UnitDamaged { expected, found } => write!(f, "unit is damaged: expected {expected}, found {found}"),
            Defect::UnitGap => write!(f, "unit could not be brought back when its shard was written anew"),
            Defect::FooterDamaged { why } => write!(f, "footer is missing or damaged: {why}"),
            Defect::RecordDamaged { why } => write!(f, "record is damaged: {why}"),
            Defect::StripeTorn { good, needed } => {
                write!(f, "unacknowledged last stripe set aside: {good} good units of {needed} needed")
            }
            Defect::ShardShort { missing_bytes } => write!(f, "shard ends {missing_bytes} bytes early"),
            Defect::StripeUnjudged { good, unseen, needed } => {
                write!(
                    f,
                    "last stripe waits for absent shards: {good} good units of {needed} needed, {unseen} not seen"
                )
            }
            Defect::StripeOutOfSight { good, unseen, needed } => {
                write!(
                    f,
                    "stripe waits for shards out of sight: {good} good units of {needed} needed, {unseen} not seen"
                )
            }
            Defect::Unrepaired { why } => write!(f, "shard could not be rebuilt: {why}"),
            Defect::SegmentRemoved => write!(f, "shard is of a segment that was removed, and is not used"),
            Defect::RemovedUnlisted { why } => write!(f, "its list of removed segments is not good: {why}"),
            Defect::StripeLost { good, needed } => write!(f, "stripe is lost: {good} good units of {needed} needed"),
            Defect::SegmentUnreadable { present, needed } => {
                write!(f, "segment is unreadable: {present} shards present of {needed} needed")
            }
            Defect::SegmentRecovered { stripes, records } => {
                write!(f, "segment was recovered with {stripes} stripes and {records} records, and closed")
            }
            Defect::SegmentVoid => write!(f, "segment was begun and nothing was stored in it"),
            Defect::FooterUnwritten { why } => write!(f, "footer could not be written: {why}"),
        }
    }
}

/// Where something is; as much as is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// volume
    pub volume: Option<VolumeId>,
    /// segment
    pub segment: Option<SegmentId>,
    /// shard of the segment
    pub shard: Option<u8>,
    /// offset in the shard file, in bytes
    pub offset: Option<u64>,
}

impl Place {
    /// A segment as a whole.
    pub fn segment(segment: SegmentId) -> Self {
        Place { segment: Some(segment), ..Place::default() }
    }

    /// A volume as a whole.
    pub fn volume(volume: VolumeId) -> Self {
        Place { volume: Some(volume), ..Place::default() }
    }

    /// The same place, at this shard, on this volume if it is known.
    pub fn shard(self, shard: u8, volume: Option<VolumeId>) -> Self {
        Place { shard: Some(shard), volume, ..self }
    }

    /// The same place, at this offset.
    pub fn at(self, offset: u64) -> Self {
        Place { offset: Some(offset), ..self }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        if let Some(volume) = self.volume {
            write!(f, "volume {volume}")?;
            comma = ", ";
        }
        if let Some(segment) = self.segment {
            write!(f, "{comma}segment {segment}")?;
            comma = ", ";
        }
        if let Some(shard) = self.shard {
            write!(f, "{comma}shard {shard}")?;
            comma = ", ";
        }
        if let Some(offset) = self.offset {
            write!(f, "{comma}offset {offset}")?;
        }
        Ok(())
    }
}

/// One thing that is not as it should be, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// where
    pub place: Place,
    /// what
    pub defect: Defect,
}

impl Finding {
    /// A finding.
    pub fn new(place: Place, defect: Defect) -> Self {
        Finding { place, defect }
    }

    /// How bad it is.
    pub fn severity(&self) -> Severity {
        self.defect.severity()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.defect)
    }
}
