//! The catalogue of controls: data with an edition mark.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// The controls of the second edition.
const EDITION_2: &str = include_str!("../../data/guideline-2.toml");
/// What resolves its tensions.
const TENSIONS_2: &str = include_str!("../../data/tensions-2.toml");

/// Whose duty a control is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Duty {
    /// the software must do it
    Product,
    /// people do it, the software gives figures
    Evidence,
    /// people, buildings, contracts
    Organisation,
}

/// Which guideline.
#[derive(Debug, Clone, Deserialize)]
pub struct Meta {
    /// its title
    pub guideline: String,
    /// its title in Japanese
    pub guideline_ja: String,
    /// its edition
    pub edition: String,
    /// when that was published
    pub edition_date: String,
    /// that summaries are not its text
    pub note: String,
}

/// One control.
#[derive(Debug, Clone, Deserialize)]
pub struct Control {
    /// section and key
    pub id: String,
    /// section
    pub section: String,
    /// title of the section
    pub title: String,
    /// the same in Japanese
    pub title_ja: String,
    /// `must` or `should`
    pub kind: String,
    /// whose duty
    pub duty: Duty,
    /// what fulfils or shows it
    pub feature: String,
    /// what it asks, in other words
    pub summary: String,
    /// the same in Japanese
    pub summary_ja: String,
    /// ids of the tensions that bear on it
    #[serde(default)]
    pub tension: Vec<String>,
}

/// Features that exist because the information is medical (7.1.1-S3).
const MEDICAL: [&str; 16] = [
    "record-types",
    "asset-ledger",
    "labels",
    "retention",
    "sealing",
    "signing",
    "signature-verify",
    "intake-quarantine",
    "malware-scan",
    "key-escrow",
    "sharing-consent",
    "disposal-certificate",
    "handover",
    "export",
    "copy-forward",
    "tiering",
];

impl Control {
    /// Whether it takes special account of medical information.
    pub fn is_medical(&self) -> bool {
        MEDICAL.contains(&self.feature.as_str())
    }
}

/// Where the text pulls in two directions, and what resolves it.
#[derive(Debug, Clone, Deserialize)]
pub struct Tension {
    /// `T1` and so on
    pub id: String,
    /// the resolution
    pub en: String,
    /// the same in Japanese
    pub ja: String,
}

#[derive(Deserialize)]
struct Tensions {
    tension: Vec<Tension>,
}

/// Every control of one edition.
#[derive(Debug, Clone, Deserialize)]
pub struct Catalogue {
    /// which guideline
    pub meta: Meta,
    /// its controls, in its order
    #[serde(rename = "control")]
    pub controls: Vec<Control>,
    /// what resolves its tensions
    #[serde(skip)]
    pub tensions: Vec<Tension>,
}

impl Catalogue {
    /// The second edition, of October 2012.
    pub fn edition_2() -> Result<Self> {
        let parsed = || -> Result<Self, toml::de::Error> {
            let tensions = toml::from_str::<Tensions>(TENSIONS_2)?.tension;
            Ok(Catalogue { tensions, ..toml::from_str(EDITION_2)? })
        };
        parsed().map_err(|_| Error::Bug("the catalogue of controls does not parse"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tension_that_a_control_names_has_its_resolution_in_both_languages() {
        let catalogue = Catalogue::edition_2().unwrap();
        for id in catalogue.controls.iter().flat_map(|control| &control.tension) {
            let found = catalogue.tensions.iter().find(|tension| tension.id == *id);
            assert!(found.is_some_and(|tension| !tension.en.is_empty() && !tension.ja.is_empty()), "{id}");
        }
    }
}
