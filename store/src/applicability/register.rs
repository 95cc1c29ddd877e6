//! `attestations.toml` beside `vault.toml`: who answers for the controls that people meet, and by which document.
//!
//! ```toml
//! [[attestation]]
//! control = "7.1.2-M1"
//! owner = "security officer"
//! document = "ISMS manual 3.2, chapter 4"
//! reviewed = "2026-04-01"
//! next = "2027-04-01"
//! ```
//!
//! Refuses: unknown controls and fields, dates that are none. A name of a person is the organisation's to give; nothing
//! here leaves the vault but in the statement.

use super::Lang;
use super::catalogue::Catalogue;
use crate::error::{Error, Result};
use serde::Deserialize;
use std::path::Path;

/// Name of the file in the vault's folder.
pub const FILE: &str = "attestations.toml";

/// Who answers for one control.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attestation {
    /// which control
    pub control: String,
    /// who answers for it
    pub owner: String,
    /// which document shows it
    pub document: String,
    /// day of the last review
    #[serde(default)]
    pub reviewed: Option<String>,
    /// day of the next
    #[serde(default)]
    pub next: Option<String>,
}

impl Attestation {
    /// As the statement prints it.
    pub fn sentence(&self, lang: Lang) -> String {
        let (owner, document) = (&self.owner, &self.document);
        let unknown = match lang {
            Lang::En => "no date",
            Lang::Ja => "日付なし",
        };
        let day = |day: &Option<String>| day.clone().unwrap_or_else(|| unknown.to_owned());
        let (reviewed, next) = (day(&self.reviewed), day(&self.next));
        match lang {
            Lang::En => format!("Owner: {owner}. Document: {document}. Reviewed {reviewed}, next review {next}."),
            Lang::Ja => format!("責任者：{owner}。文書：{document}。点検日 {reviewed}、次回 {next}。"),
        }
    }
}

/// The whole register; empty where there is no file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Register {
    #[serde(default, rename = "attestation")]
    attestations: Vec<Attestation>,
}

impl Register {
    /// Reads the register of the vault in `dir`.
    pub fn load(dir: &Path) -> Result<Self> {
        let path = dir.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Register::default()),
            Err(source) => return Err(Error::Io { action: "read", path, source }),
        };
        let why = |error: toml::de::Error| error.to_string().trim_end().replace('\n', " ");
        toml::from_str(&text).map_err(|error| Error::Config { path, why: why(error) })
    }

    /// Who answers for a control.
    pub fn of(&self, control: &str) -> Option<&Attestation> {
        self.attestations.iter().find(|attestation| attestation.control == control)
    }

    /// Refuses what names no control of the catalogue, or a day that is none.
    pub fn check(&self, catalogue: &Catalogue) -> Result<(), String> {
        for attestation in &self.attestations {
            let id = &attestation.control;
            if !catalogue.controls.iter().any(|control| control.id == *id) {
                return Err(format!("control {id} is not in edition {}", catalogue.meta.edition));
            }
            let days = [&attestation.reviewed, &attestation.next];
            if let Some(day) = days.into_iter().flatten().find(|day| !is_day(day)) {
                return Err(format!("control {id}: {day} is no day as in 2026-04-01"));
            }
        }
        Ok(())
    }
}

fn is_day(text: &str) -> bool {
    let shape = text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    shape && (1..=12).contains(&text[5..7].parse().unwrap_or(0)) && (1..=31).contains(&text[8..].parse().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_register_names_controls_that_exist_and_days_that_are_days() {
        let register = |control: &str, day: &str| Register {
            attestations: vec![Attestation {
                control: control.into(),
                owner: "o".into(),
                document: "d".into(),
                reviewed: Some(day.into()),
                next: None,
            }],
        };
        let catalogue = Catalogue::edition_2().unwrap();
        assert_eq!(register("2.1-R1", "2026-04-01").check(&catalogue), Ok(()));
        assert!(register("9.9-R1", "2026-04-01").check(&catalogue).unwrap_err().contains("9.9-R1"));
        for day in ["2026-4-1", "2026-13-01", "soon", "2026-04-00"] {
            assert!(register("2.1-R1", day).check(&catalogue).is_err(), "{day}");
        }
    }
}
