//! What goes wrong, by kind, and how often it did.

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultKind {
    /// sectors that can no longer be read, often several in a row
    LatentSector,
    /// a bit that changed where it lay
    BitFlip,
    /// a page that holds what another page should
    StalePage,
    /// a page of zeros
    ZeroPage,
    /// a write of which only the beginning was stored, reported as done
    TornWrite,
    /// a write that was reported as done and never stored
    LostWrite,
    /// a write that was stored somewhere else, over something else
    MisdirectedWrite,
    /// a sync that did nothing and reported success
    LyingSync,
    /// a write that failed after storing some of it
    WriteError,
    /// a sync that failed, and with it the bytes it should have made durable
    SyncError,
    /// a read that failed once
    ReadError,
    /// a folder that could not be listed
    ListingError,
    /// one copy of a label that decayed
    LabelDamage,
    /// a volume that ran full for a while
    VolumeFull,
    /// a volume that takes no writes any more, for good
    ReadOnlyVolume,
    /// a volume whose calls time out for a while
    SlowVolume,
    /// a volume that comes and goes for a while
    FlappingVolume,
    /// a volume that died
    VolumeDeath,
    /// all volumes of one lot and firmware that died together
    LotDeath,
    /// a healthy volume that was pulled instead of the dead one
    WrongVolumePulled,
    /// a copy of a volume that was put beside the original
    ClonedVolume,
    /// an old image of a volume that was put in its place
    OldImage,
    /// the process was killed in the middle of a call
    ProcessKill,
    /// the power was cut in the middle of a call
    PowerCut,
}

impl FaultKind {
    /// Every kind, in the order of reports.
    pub const ALL: [FaultKind; 24] = [
        FaultKind::LatentSector,
        FaultKind::BitFlip,
        FaultKind::StalePage,
        FaultKind::ZeroPage,
        FaultKind::TornWrite,
        FaultKind::LostWrite,
        FaultKind::MisdirectedWrite,
        FaultKind::LyingSync,
        FaultKind::WriteError,
        FaultKind::SyncError,
        FaultKind::ReadError,
        FaultKind::ListingError,
        FaultKind::LabelDamage,
        FaultKind::VolumeFull,
        FaultKind::ReadOnlyVolume,
        FaultKind::SlowVolume,
        FaultKind::FlappingVolume,
        FaultKind::VolumeDeath,
        FaultKind::LotDeath,
        FaultKind::WrongVolumePulled,
        FaultKind::ClonedVolume,
        FaultKind::OldImage,
        FaultKind::ProcessKill,
        FaultKind::PowerCut,
    ];

    /// Name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            FaultKind::LatentSector => "latent-sector",
            FaultKind::BitFlip => "bit-flip",
            FaultKind::StalePage => "stale-page",
            FaultKind::ZeroPage => "zero-page",
            FaultKind::TornWrite => "torn-write",
            FaultKind::LostWrite => "lost-write",
            FaultKind::MisdirectedWrite => "misdirected-write",
            FaultKind::LyingSync => "lying-sync",
            FaultKind::WriteError => "write-error",
            FaultKind::SyncError => "sync-error",
            FaultKind::ReadError => "read-error",
            FaultKind::ListingError => "listing-error",
            FaultKind::LabelDamage => "label-damage",
            FaultKind::VolumeFull => "volume-full",
            FaultKind::ReadOnlyVolume => "read-only-volume",
            FaultKind::SlowVolume => "slow-volume",
            FaultKind::FlappingVolume => "flapping-volume",
            FaultKind::VolumeDeath => "volume-death",
            FaultKind::LotDeath => "lot-death",
            FaultKind::WrongVolumePulled => "wrong-volume-pulled",
            FaultKind::ClonedVolume => "cloned-volume",
            FaultKind::OldImage => "old-image",
            FaultKind::ProcessKill => "process-kill",
            FaultKind::PowerCut => "power-cut",
        }
    }
}

/// Faults injected, by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FaultCounts([u64; FaultKind::ALL.len()]);

impl FaultCounts {
    /// One more of `kind`.
    pub fn add(&mut self, kind: FaultKind) {
        self.0[kind as usize] += 1;
    }

    /// How many of `kind`.
    pub fn of(&self, kind: FaultKind) -> u64 {
        self.0[kind as usize]
    }

    /// How many in all.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Every kind with its count.
    pub fn iter(&self) -> impl Iterator<Item = (FaultKind, u64)> + '_ {
        FaultKind::ALL.into_iter().zip(self.0)
    }

    /// Adds those of another run.
    pub fn merge(&mut self, other: &FaultCounts) {
        self.0.iter_mut().zip(other.0).for_each(|(count, more)| *count += more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_counted_in_its_own_place() {
        let mut counts = FaultCounts::default();
        FaultKind::ALL.into_iter().for_each(|kind| counts.add(kind));
        assert!(counts.iter().all(|(kind, count)| count == 1 && counts.of(kind) == 1));
        assert_eq!(counts.total(), FaultKind::ALL.len() as u64);
    }
}
