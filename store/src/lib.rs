//! The operator's vault: it takes deposits from hospitals, keeps them on media, proves what it keeps, and cannot
//! read any of it.
//!
//! In reading order: [`vault`] is the front, and `desk` what it does for one hospital. `intake` judges a deposit on its
//! own and `sequence` in its order; `committer` takes everything waiting into a `group`, which makes it durable and gives
//! it its place in the `ledger`. [`index`] remembers where things are in the `rows` that `apply` writes; [`rebuild`]
//! recreates that memory from media, and [`check`] compares the two. [`http`] is the same front over mutual TLS.
//!
//! Invariants
//! - Nothing is acknowledged before every byte it speaks of, the ledger entry and the checkpoint included, is synced.
//! - Media are the truth. Index rows are hints: each is checked against the bytes it points to, and all of them can
//!   be deleted at any time.
//! - The ledger of a hospital has one writer: its committer.
//! - Nothing here can open an envelope: this crate does not depend on `keyring`, and a test asserts it.
//!
//! Not here: bytes on media (`tiers`), sealing (`keyring`), names (`client`).

pub mod accounts;
pub mod actor;
pub mod acts;
pub mod agreements;
pub mod applicability;
mod apply;
pub mod assets;
pub mod audit;
pub mod changes;
pub mod check;
pub mod clients;
mod committer;
mod compaction;
pub mod config;
pub mod console;
mod desk;
pub mod disposal;
pub mod error;
mod group;
pub mod handover;
pub mod hospitals;
pub mod http;
pub mod identity;
mod in_flight;
pub mod incidents;
pub mod index;
mod init;
mod intake;
pub mod jobs;
mod journal;
mod keeping;
mod ledger;
pub mod machines;
pub mod malware;
pub mod media_facts;
pub mod media_ledger;
pub mod metrics;
pub mod migrate;
pub mod network;
pub mod notify;
mod open;
mod operator;
mod plan;
pub mod quarantine;
mod read_log;
mod reads;
pub mod rebuild;
pub mod reconcile;
mod records;
pub mod reports;
mod rows;
mod sequence;
mod setup;
mod sharing;
mod shelf;
pub mod shipments;
pub mod status;
pub mod stores;
pub mod time_sync;
pub mod transfers;
pub mod vault;
pub mod volumes;

pub use audit::{AuditEvent, AuditLog};
pub use check::{CheckOptions, CheckReport, Finding, Severity};
pub use compaction::{Amplification, SegmentGain};
pub use config::{Config, Domains, IndexKind, IntakeConfig, VolumeSpec};
pub use error::{Error, Result};
pub use hospitals::{HospitalInfo, Machine};
pub use jobs::{JobKind, JobOptions, JobReport, JobsConfig, MetricsConfig};
pub use media_ledger::MediaLedger;
pub use read_log::Visitor;
pub use shosoin_tiers::Code;
pub use status::{Counters, Status};
pub use vault::{InitOptions, OpenOptions, Vault};

/// The tables of `docs/format.md`, for tests that hold encoders to them.
#[cfg(test)]
#[path = "../../protocol/tests/format_doc/table.rs"]
mod table;
