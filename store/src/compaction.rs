//! Compaction, as the store sees it: which records of a segment still matter, and the order in which the rest goes.
//!
//! A record of a closed segment is *dead* when
//! - the same record is somewhere else, where the index finds it and it was just read whole: a fault left it twice;
//! - it was released by a disposal ([`Released`]), whatever other places it lies in; or
//! - no entry of the ledger names it, which has been known for as long as an upload may take ([`UPLOAD_DAYS`]).
//!
//! Everything else lives: entries and checkpoints, what entries name, what the index does not know, and what nobody can judge.
//!
//! Invariants
//! - What entries name is read from the ledger, from its first entry to the head, and is believed only if the entries lead
//!   to the head's root ([`named`]).
//! - A record that nothing names is *noted* first. From then on uploads are told that it is missing, so that when its time is
//!   over no upload can count on it; one that was told before may still name it, and then it lives.
//! - Between the last look at the ledger and the removal no deposit is in flight that could name what goes ([`switch`]).
//! - Nothing is noted or removed while the clock is doubted, a volume is absent, or the log of the hospital takes no entries.
//!
//! Not here: moving records and removing shards (`tiers::compact`), when it runs (`jobs`).

pub mod judge;
pub mod named;
pub mod switch;

use crate::disposal::erase;
use crate::media_ledger::MediaLedger;
use serde::{Deserialize, Serialize};
use shosoin_protocol::{Address, HospitalId, SegmentId, VersionId};
use shosoin_tiers::{Defect, Finding, Tier, Unpaced};
use std::collections::BTreeMap;
use std::str::FromStr;

/// Days that an upload may take from its first chunk to its entry, unless the operator decides otherwise.
pub const UPLOAD_DAYS: u32 = 30;

/// Addresses that disposals released, and the order of each: they are dead, and go at any cost. What other records of the
/// hospital still need is not among them. Only [`crate::disposal`] makes one, from acts that it has verified on media.
#[derive(Debug, Default)]
pub struct Released {
    addresses: BTreeMap<Address, VersionId>,
}

impl Released {
    /// What orders released, by whoever has proved that they may.
    pub(crate) fn proved(addresses: BTreeMap<Address, VersionId>) -> Self {
        Released { addresses }
    }

    /// Whether nothing is.
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }

    /// The order that released a record.
    pub fn order(&self, address: &Address) -> Option<VersionId> {
        self.addresses.get(address).copied()
    }
}

/// Bytes that may be rewritten for each byte gained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Amplification(u32);

/// Steps of a whole that an amplification is counted in.
const STEPS: f64 = 1000.0;

impl Amplification {
    /// Half of a segment must be dead.
    pub const DEFAULT: Amplification = Amplification(1000);
}

impl TryFrom<f64> for Amplification {
    type Error = String;

    fn try_from(value: f64) -> Result<Self, String> {
        match (value * STEPS).round() {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is asked first")]
            steps if (0.0..=f64::from(u32::MAX)).contains(&steps) => Ok(Amplification(steps as u32)),
            _ => Err(format!("{value} is no amplification: a number from 0 on, as in 1.5")),
        }
    }
}

impl From<Amplification> for f64 {
    fn from(value: Amplification) -> f64 {
        f64::from(value.0) / STEPS
    }
}

impl FromStr for Amplification {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let value: f64 = text.parse().map_err(|_| format!("{text:?} is no number, as in 1.5"))?;
        value.try_into()
    }
}

/// What compacting one segment would bring, or brought.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SegmentGain {
    /// segment
    pub segment: String,
    /// whose records it holds
    pub hospital: String,
    /// bytes of records that live, which are written anew
    pub live_bytes: u64,
    /// bytes of the others, which are gained
    pub dead_bytes: u64,
    /// bytes among the live ones that no entry names, and whose time is not over
    pub waiting_bytes: u64,
    /// bytes rewritten for each byte gained; null where nothing is gained
    pub amplification: Option<f64>,
    /// whether it is within the bound
    pub worth_it: bool,
}

impl SegmentGain {
    /// The gain of a segment, and whether it is within `bound`.
    pub fn new(
        (segment, hospital): (SegmentId, HospitalId),
        gain: shosoin_tiers::Gain,
        waiting_bytes: u64,
        worth_it: bool,
    ) -> Self {
        let amplification = gain.amplification();
        SegmentGain {
            segment: segment.to_string(),
            hospital: hospital.to_string(),
            live_bytes: gain.live_bytes,
            dead_bytes: gain.dead_bytes,
            waiting_bytes,
            amplification: amplification.is_finite().then_some(amplification),
            worth_it,
        }
    }
}

/// Erases what a volume that came back still has of removed segments. What cannot be removed now is found again.
pub fn sweep_after(tier: &Tier, media: &MediaLedger, (passes, now_ms): (u8, u64), findings: &[Finding]) {
    if findings.iter().any(|finding| finding.defect == Defect::SegmentRemoved) {
        match erase::sweep(tier, media, passes, &|| now_ms, &Unpaced) {
            Ok(swept) => tracing::info!(swept, "shards of removed segments were removed from volumes that came back"),
            Err(error) => tracing::warn!(%error, "shards of removed segments stay for now"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amplification_reads_as_people_write_it() {
        assert_eq!("1".parse(), Ok(Amplification::DEFAULT));
        assert_eq!("0.25".parse::<Amplification>().map(f64::from), Ok(0.25));
        for wrong in ["", "-1", "NaN", "inf", "1e300", "much"] {
            assert!(wrong.parse::<Amplification>().is_err(), "{wrong}");
        }
        let json = serde_json::to_string(&Amplification::DEFAULT).unwrap();
        assert_eq!(serde_json::from_str::<Amplification>(&json).unwrap(), Amplification::DEFAULT);
    }
}
