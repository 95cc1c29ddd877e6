//! Stock-taking: the ledger of media against what is there. Mounted media are asked for their labels; what is on shelves
//! is what a person has seen there.

use super::Volumes;
use crate::audit::{Action, AuditEvent, Detail, MediaState, Outcome};
use crate::error::Result;
use crate::media_facts::difference;
use crate::media_ledger::Medium;
use serde::Serialize;
use shosoin_protocol::VolumeId;
use shosoin_tiers::{Volume, VolumeLabel};
use std::collections::BTreeSet;

/// One medium or name, counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Counted {
    /// volume id, or the name as it was given
    pub volume: String,
    /// where
    pub place: String,
    /// state in the ledger; nothing for what the ledger does not know
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<MediaState>,
    /// what differs, or why
    #[serde(skip_serializing_if = "String::is_empty")]
    pub why: String,
}

/// What was counted.
#[derive(Debug, Clone, Default, Serialize)]
pub struct StocktakeReport {
    /// in the ledger, and there with the label it should have
    pub present: Vec<Counted>,
    /// in the ledger, and neither mounted nor seen
    pub missing: Vec<Counted>,
    /// there or seen, and not in the ledger
    pub unknown: Vec<Counted>,
    /// there, with a label that is not as the ledger has it
    pub differing: Vec<Counted>,
}

impl StocktakeReport {
    /// How many are not as they should be.
    pub fn findings(&self) -> usize {
        self.missing.len() + self.unknown.len() + self.differing.len()
    }
}

impl Volumes {
    /// Compares the ledger with what is mounted and with what was `seen` elsewhere, by id, serial number or place.
    pub fn stocktake(&self, seen: &[String], reason: &str, actor: &str) -> Result<StocktakeReport> {
        let mut report = StocktakeReport::default();
        let mut met: BTreeSet<VolumeId> = BTreeSet::new();
        for mounted in self.tier.mounted() {
            let id = mounted.label.id;
            met.insert(id);
            let read = Volume::open(mounted.media.clone()).map(|volume| VolumeLabel::clone(&volume.label()));
            let medium = self.ledger.get(id);
            let state = medium.as_ref().map(|medium| medium.state);
            let why = match (read, &medium) {
                (Err(error), _) => format!("its label cannot be read: {}", crate::Error::from(error).problem().message),
                (Ok(_), None) => String::new(),
                (Ok(read), Some(medium)) => match difference(&medium.label, &read) {
                    why if why.is_empty() && read.security_label.is_empty() => {
                        "it has no security label (7.6.7-M8); `shosoin volume label` writes one".to_owned()
                    }
                    why => why,
                },
            };
            let counted = Counted { volume: id.to_string(), place: mounted.place, state, why };
            match (medium, counted.why.is_empty()) {
                (None, _) => report.unknown.push(counted),
                (Some(_), true) => report.present.push(counted),
                (Some(_), false) => report.differing.push(counted),
            }
        }
        for name in seen.iter().map(|name| name.trim()).filter(|name| !name.is_empty()) {
            self.count_seen(name, &mut met, &mut report);
        }
        let gone = |medium: &&Medium| matches!(medium.state, MediaState::Lost | MediaState::Destroyed);
        let missing = self.ledger.media();
        let missing = missing.iter().filter(|medium| !gone(medium) && !met.contains(&medium.label.id));
        report.missing.extend(missing.map(|medium| Counted {
            volume: medium.label.id.to_string(),
            place: kept_at(medium),
            state: Some(medium.state),
            why: "neither mounted nor seen".to_owned(),
        }));
        let findings = report.findings() as u64;
        let mut event = AuditEvent::new(self.now_ms(), actor, Action::Stocktake).because(reason);
        event.units = met.len() as u64;
        let outcome = if findings == 0 { Outcome::Done } else { Outcome::Findings };
        self.ledger.record(event.ended(outcome).with(Detail::Found { findings, lost: report.missing.len() as u64 }))?;
        Ok(report)
    }

    fn count_seen(&self, name: &str, met: &mut BTreeSet<VolumeId>, report: &mut StocktakeReport) {
        let shown: String = name.chars().filter(|c| !c.is_control()).take(120).collect();
        let medium = match self.ledger.find(name) {
            Ok(medium) => medium,
            Err(error) => {
                let why = error.problem().message;
                return report.unknown.push(Counted { volume: shown, place: "seen".into(), state: None, why });
            }
        };
        if !met.insert(medium.label.id) {
            return; // mounted, or seen twice
        }
        let mut counted = Counted {
            volume: medium.label.id.to_string(),
            place: kept_at(&medium),
            state: Some(medium.state),
            why: String::new(),
        };
        match medium.state {
            MediaState::Lost | MediaState::Destroyed => {
                counted.why = format!("it was seen, and the ledger says {}", medium.state);
                report.differing.push(counted);
            }
            _ => report.present.push(counted),
        }
    }
}

/// Where a person would look for it.
fn kept_at(medium: &Medium) -> String {
    if medium.shelf.is_empty() { medium.place.clone() } else { medium.shelf.clone() }
}
