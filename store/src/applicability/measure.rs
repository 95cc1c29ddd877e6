//! What a statement measures: each check by its name, run now on this vault, with its figures in both languages.
//!
//! A check that cannot say anything, because there is nothing to measure, says so; it never passes for want of data.

mod agreements;
mod holdings;
mod house;
mod itself;
mod media;
mod network;
mod people;
mod probe;
mod sample;

use super::{Lang, Measures};
use crate::desk::Desk;
use crate::vault::{Inner, Vault};
use std::sync::Arc;

/// What a check showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// what it measured holds
    Met,
    /// what it measured does not hold
    NotMet,
    /// a figure that judges nothing by itself
    Figure,
    /// there was nothing to measure
    Nothing,
}

impl Shown {
    /// Met if `holds`.
    pub fn if_met(holds: bool) -> Self {
        if holds { Shown::Met } else { Shown::NotMet }
    }
}

/// What a check measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measure {
    /// what it showed
    pub shown: Shown,
    /// its figures
    pub en: String,
    /// its figures in Japanese
    pub ja: String,
}

impl Measure {
    /// A measure.
    pub fn new(shown: Shown, en: String, ja: String) -> Self {
        Measure { shown, en, ja }
    }

    /// There was nothing to measure, and why.
    pub fn nothing(en: &str, ja: &str) -> Self {
        Measure::new(Shown::Nothing, en.to_owned(), ja.to_owned())
    }

    /// Holds or not.
    pub fn judged(holds: bool, en: String, ja: String) -> Self {
        Measure::new(Shown::if_met(holds), en, ja)
    }

    /// As the statement prints it: the check's name, its verdict, its figures.
    pub fn sentence(&self, name: &str, lang: Lang) -> String {
        let verdict = match (self.shown, lang) {
            (Shown::Met, Lang::En) => "holds",
            (Shown::Met, Lang::Ja) => "適",
            (Shown::NotMet, Lang::En) => "does not hold",
            (Shown::NotMet, Lang::Ja) => "不適",
            (Shown::Figure, Lang::En) => "figure",
            (Shown::Figure, Lang::Ja) => "参考値",
            (Shown::Nothing, Lang::En) => "nothing to measure",
            (Shown::Nothing, Lang::Ja) => "測定対象なし",
        };
        match lang {
            Lang::En => format!("[{name}: {verdict}] {}", self.en),
            Lang::Ja => format!("［{name}：{verdict}］{}", self.ja),
        }
    }
}

/// Every check, by name. `proofs` says which control each stands for.
#[cfg(test)]
pub const NAMES: &[&str] = &[
    "agreements",
    "accounts-file",
    "audit-chain",
    "audit-people",
    "account",
    "asset-entries",
    "asset-page",
    "check-job",
    "change-register",
    "closed-entries",
    "connection-log",
    "clock",
    "crypto-list",
    "crypto-switch",
    "disposal-guard",
    "emergencies",
    "environment",
    "file-rights",
    "free-space",
    "hours",
    "isolation",
    "label-rules",
    "ledger-readers",
    "life",
    "log-on-lock",
    "log-on-words",
    "log-server",
    "machine-checks",
    "machine-register",
    "malware-sample",
    "media-labels",
    "mutual-tls",
    "no-default-accounts",
    "no-ftp",
    "outward",
    "page",
    "paper-application",
    "paper-disposal",
    "paper-media",
    "paper-network",
    "paper-operation",
    "password-age",
    "password-history",
    "passwords",
    "people-administrators",
    "people-duties",
    "people-groups",
    "people-ids",
    "people-review",
    "people-stopped",
    "people-unused",
    "read-sample",
    "receipt-sample",
    "record-types",
    "redundancy",
    "refused-reads",
    "retention-terms",
    "scrub",
    "sealed-sample",
    "second-factor",
    "self-check",
    "sessions",
    "signature-sample",
    "sites",
    "stocktake",
    "suspicions",
    "terminals",
    "tiers",
    "time-agreement",
    "two-people",
];

/// Runs every check on the hospitals of `desks`.
pub fn all(inner: &Arc<Inner>, desks: &[Arc<Desk>], now_ms: u64) -> Measures {
    let mut measures = Measures::new();
    let sample = sample::take(inner, desks);
    let holdings = holdings::count(inner, desks);
    let vault = Vault { inner: inner.clone() };
    measures.extend(media::all(inner, now_ms));
    measures.extend(house::all(inner, now_ms));
    measures.extend(itself::all(inner));
    measures.extend(network::all(inner));
    measures.extend(people::all(inner, now_ms));
    measures.extend(sample.measures());
    measures.extend(holdings::all(inner, desks, &holdings, now_ms));
    measures.extend(agreements::all(inner, desks, now_ms));
    measures.insert("mutual-tls", probe::mutual_tls(&vault));
    measures.insert("isolation", probe::isolation(inner, desks));
    measures.insert("disposal-guard", probe::disposal_guard(inner, desks));
    let (en, ja) = ("every control of the catalogue has a line in this statement", "目録の全項目がこの宣言書に載る");
    measures.insert("page", Measure::judged(true, en.into(), ja.into()));
    measures
}
