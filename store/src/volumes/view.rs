//! A medium as commands and JSON show it.

use crate::audit::{AuditRecord, MediaState};
use crate::media_facts::LabelFacts;
use crate::media_ledger::{Environment, Medium, TestResult, TourResult};
use serde::Serialize;

/// One medium now. Times are in milliseconds since 1970.
#[derive(Debug, Clone, Serialize)]
pub struct VolumeView {
    /// what its label says
    pub label: LabelFacts,
    /// where in its life it is
    pub state: MediaState,
    /// since when
    pub since_ms: u64,
    /// who said so
    pub actor: String,
    /// why
    pub reason: String,
    /// where it is or was last mounted
    pub place: String,
    /// the shelf it is kept on when it is not
    pub shelf: String,
    /// since when it is known here
    pub known_ms: u64,
    /// whether it is there and in use
    pub mounted: bool,
    /// it carries an old label, and no tour has passed clean since
    pub stale: bool,
    /// shards on it; of a medium on its shelf as they were when it went there
    pub shards: u32,
    /// bytes of those
    pub used_bytes: u64,
    /// bytes that can still be written, if the medium says
    pub free_bytes: Option<u64>,
    /// when its life ends
    pub ends_ms: Option<u64>,
    /// when its shards must begin to move, at the rate measured so far
    pub latest_start_ms: Option<u64>,
    /// when it must be tested next
    pub test_due_ms: Option<u64>,
    /// hours it was powered, as far as known
    pub power_on_hours: Option<u64>,
    /// times it passed a head, as far as known
    pub passes: Option<u64>,
    /// where it is kept
    pub environment: Option<Environment>,
    /// its last tour
    pub last_tour: Option<TourResult>,
}

impl VolumeView {
    /// From the ledger and the running tier.
    pub fn new(
        medium: &Medium,
        status: Option<&shosoin_tiers::VolumeStatus>,
        (shards, used_bytes): (u32, u64),
        latest_start_ms: Option<u64>,
    ) -> Self {
        VolumeView {
            label: LabelFacts::from(&medium.label),
            state: medium.state,
            since_ms: medium.since_ms,
            actor: medium.actor.clone(),
            reason: medium.reason.clone(),
            place: medium.place.clone(),
            shelf: medium.shelf.clone(),
            known_ms: medium.known_ms,
            mounted: status.is_some(),
            stale: medium.stale,
            shards,
            used_bytes,
            free_bytes: status.and_then(|status| status.free_bytes),
            ends_ms: medium.ends_ms(),
            latest_start_ms,
            test_due_ms: medium.test_due_ms(),
            power_on_hours: medium.wear.and_then(|wear| wear.power_on_hours),
            passes: medium.wear.and_then(|wear| wear.passes),
            environment: medium.environment.clone(),
            last_tour: medium.last_tour,
        }
    }
}

/// One medium with its history, which outlives it.
#[derive(Debug, Clone, Serialize)]
pub struct VolumeDetail {
    /// the medium now
    pub volume: VolumeView,
    /// its newest tests
    pub tests: Vec<TestResult>,
    /// everything that was recorded of it
    pub history: Vec<AuditRecord>,
}
