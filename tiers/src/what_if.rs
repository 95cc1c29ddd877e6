//! What a loss would cost: which segments could not be read any more, which would have less to spare, and which already
//! have more of their shards together than they may lose. Pure, over labels and where the shards are.
//!
//! Refuses: to guess. A fact that no label states is compared with nothing.

use crate::{Code, VolumeLabel};
use shosoin_protocol::{HospitalId, SegmentId, VolumeId};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The volumes that hold a copy of one shard.
pub type Copies = Vec<VolumeId>;

/// A segment, and where each of its shards is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentCopies {
    /// the segment
    pub segment: SegmentId,
    /// whose records it holds
    pub hospital: HospitalId,
    /// its code
    pub code: Code,
    /// bytes of records in it
    pub payload_bytes: u64,
    /// by shard
    pub shards: Vec<Copies>,
}

/// What volumes share, so that one cause takes all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// manufacturing lot
    Lot,
    /// firmware revision
    Firmware,
    /// machine
    Host,
    /// power feed
    Power,
    /// rack
    Rack,
    /// physical device
    Device,
    /// building
    Site,
}

impl Fate {
    /// Every kind. Placement keeps all of them apart but the site, because one vault is one site.
    pub const ALL: [Fate; 7] =
        [Fate::Lot, Fate::Firmware, Fate::Host, Fate::Power, Fate::Rack, Fate::Device, Fate::Site];

    /// Name in commands and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Fate::Lot => "lot",
            Fate::Firmware => "firmware",
            Fate::Host => "host",
            Fate::Power => "power",
            Fate::Rack => "rack",
            Fate::Device => "device",
            Fate::Site => "site",
        }
    }

    /// What a label states of it; nothing where the text is empty.
    pub fn of(self, label: &VolumeLabel) -> Option<&str> {
        let text = match self {
            Fate::Lot => &label.lot,
            Fate::Firmware => &label.firmware,
            Fate::Host => &label.domains.host,
            Fate::Power => &label.domains.power,
            Fate::Rack => &label.domains.rack,
            Fate::Device => &label.domains.device,
            Fate::Site => &label.domains.site,
        };
        Some(text.as_str()).filter(|text| !text.is_empty())
    }
}

/// A loss to imagine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loss {
    /// one volume
    Volume(VolumeId),
    /// every volume that states this
    Fate(Fate, String),
}

impl Loss {
    /// Reads `volume:<id>`, `lot:<text>`, `rack:<text>` and so on.
    pub fn parse(text: &str) -> Option<Loss> {
        let (kind, value) = text.split_once(':').filter(|(_, value)| !value.is_empty())?;
        match kind {
            "volume" => value.parse().ok().map(Loss::Volume),
            _ => Some(Loss::Fate(Fate::ALL.into_iter().find(|fate| fate.name() == kind)?, value.to_owned())),
        }
    }

    /// Whether it takes a volume with this label.
    pub fn takes(&self, label: &VolumeLabel) -> bool {
        match self {
            Loss::Volume(volume) => label.id == *volume,
            Loss::Fate(fate, value) => fate.of(label) == Some(value),
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Loss::Volume(volume) => write!(f, "volume:{volume}"),
            Loss::Fate(fate, value) => write!(f, "{}:{value}", fate.name()),
        }
    }
}

/// What a loss would do to one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// the segment
    pub segment: SegmentId,
    /// whose records it holds
    pub hospital: HospitalId,
    /// bytes of records in it
    pub payload_bytes: u64,
    /// shards that would be left
    pub left: usize,
    /// shards it needs
    pub needed: usize,
}

/// What losses would cost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WhatIf {
    /// volumes that would be gone
    pub volumes: Vec<VolumeId>,
    /// segments that could not be read any more, though they can now
    pub lost: Vec<Hit>,
    /// segments that would still be read, with fewer shards than now
    pub degraded: Vec<Hit>,
    /// segments it would not touch
    pub untouched: usize,
    /// segments that cannot be read even now
    pub lost_already: usize,
}

/// What would be lost if all of `losses` happened together.
pub fn what_if(segments: &[SegmentCopies], labels: &[VolumeLabel], losses: &[Loss]) -> WhatIf {
    let gone: BTreeSet<VolumeId> =
        labels.iter().filter(|label| losses.iter().any(|loss| loss.takes(label))).map(|label| label.id).collect();
    let mut report = WhatIf { volumes: gone.iter().copied().collect(), ..WhatIf::default() };
    for segment in segments {
        let now = segment.shards.iter().filter(|copies| !copies.is_empty()).count();
        let left = segment.shards.iter().filter(|copies| copies.iter().any(|volume| !gone.contains(volume))).count();
        let needed = segment.code.k();
        let SegmentCopies { segment, hospital, payload_bytes, .. } = *segment;
        let hit = Hit { segment, hospital, payload_bytes, left, needed };
        match () {
            () if now < needed => report.lost_already += 1,
            () if left < needed => report.lost.push(hit),
            () if left < now => report.degraded.push(hit),
            () => report.untouched += 1,
        }
    }
    report
}

/// Shards of one segment that one cause would take, more than the code survives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// the segment
    pub segment: SegmentId,
    /// what its shards share
    pub fate: Fate,
    /// the text they share
    pub value: String,
    /// shards whose every copy is there
    pub shards: usize,
    /// how many may be
    pub allowed: usize,
}

/// Every segment of which one lot, firmware, host, power feed, rack or device holds more shards than may be lost.
pub fn violations(segments: &[SegmentCopies], labels: &[VolumeLabel]) -> Vec<Violation> {
    let labels: BTreeMap<VolumeId, &VolumeLabel> = labels.iter().map(|label| (label.id, label)).collect();
    let mut violations = Vec::new();
    for segment in segments {
        for fate in Fate::ALL.into_iter().filter(|fate| *fate != Fate::Site) {
            let mut count: BTreeMap<&str, usize> = BTreeMap::new();
            for copies in segment.shards.iter().filter(|copies| !copies.is_empty()) {
                let mut values = copies.iter().map(|volume| fate.of(labels.get(volume)?));
                let first = values.next().flatten();
                if let Some(value) = first.filter(|_| values.all(|value| value == first)) {
                    *count.entry(value).or_default() += 1;
                }
            }
            let allowed = segment.code.m();
            let over = count.into_iter().filter(|(_, shards)| *shards > allowed);
            violations.extend(over.map(|(value, shards)| Violation {
                segment: segment.segment,
                fate,
                value: value.to_owned(),
                shards,
                allowed,
            }));
        }
    }
    violations
}

/// Volumes that state the same lot, firmware and so on, where more than one does: what may fail together.
pub fn shared_fates(labels: &[VolumeLabel]) -> Vec<(Fate, String, Vec<VolumeId>)> {
    let mut shared: BTreeMap<(Fate, &str), Vec<VolumeId>> = BTreeMap::new();
    for label in labels {
        let stated = Fate::ALL.into_iter().filter_map(|fate| Some((fate, fate.of(label)?)));
        stated.for_each(|fate| shared.entry(fate).or_default().push(label.id));
    }
    let several = shared.into_iter().filter(|(_, volumes)| volumes.len() > 1);
    several.map(|((fate, value), volumes)| (fate, value.to_owned(), volumes)).collect()
}

#[cfg(test)]
mod tests;
