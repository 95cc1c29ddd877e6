//! Searching the audit log for people: by worker, deposit, time, kind and address, sorted as an auditor wants it (7.6.12-S3).
//! Whoever looks is in the log themselves.

use super::{Action, AuditEvent, AuditQuery, AuditRecord, Outcome};
use crate::error::{Error, Result};
use crate::vault::Vault;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::net::IpAddr;

/// Records that one answer holds, unless another number is asked for.
pub const RECORDS_MAX: usize = 1000;
/// Records that one answer holds at most.
const RECORDS_ASKED_MAX: usize = 100_000;

/// In which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SearchOrder {
    /// as they were written
    #[default]
    Time,
    /// by worker, then as they were written
    Actor,
    /// by hospital and number of the deposit, then as they were written
    Number,
}

impl SearchOrder {
    /// Every order with its name.
    pub const ALL: [(&str, SearchOrder); 3] =
        [("time", SearchOrder::Time), ("actor", SearchOrder::Actor), ("number", SearchOrder::Number)];
}

/// What is looked for. Nothing set: everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditSearch {
    /// not before, in milliseconds since 1970
    pub since_ms: Option<u64>,
    /// before, in milliseconds since 1970
    pub until_ms: Option<u64>,
    /// one of these
    pub actions: Vec<Action>,
    /// ended so
    pub outcome: Option<Outcome>,
    /// about this volume
    pub volume: Option<String>,
    /// by this worker, device or job
    pub actor: Option<String>,
    /// for this hospital
    pub hospital: Option<String>,
    /// about the deposit with this number in the asset ledger
    pub number: Option<u64>,
    /// from this address
    pub address: Option<IpAddr>,
    /// behind the record with this number: the oldest of those, in place of the newest
    pub after: Option<u64>,
    /// only so many
    pub count: Option<usize>,
    /// in which order
    pub order: SearchOrder,
    /// they leave the vault
    pub export: bool,
}

impl AuditSearch {
    /// The records, for `actor`, whose look is on record before they have them.
    pub(crate) fn answer(&self, vault: &Vault, actor: &str) -> Result<Value> {
        let head_seq = vault.audit().head().0;
        let mut records = vault.audit().read(&self.query(vault)?)?;
        match self.order {
            SearchOrder::Time => {}
            SearchOrder::Actor => records.sort_by(|one, other| one.event.actor.cmp(&other.event.actor)),
            SearchOrder::Number => records.sort_by_key(number_of),
        }
        let event = AuditEvent::new(vault.inner.clock.now_ms(), actor, Action::LogRead);
        let event = event.because(if self.export { "export" } else { "" });
        vault.media().record(AuditEvent { units: records.len() as u64, ..event })?;
        Ok(json!({ "records": records, "head_seq": head_seq }))
    }

    fn query(&self, vault: &Vault) -> Result<AuditQuery> {
        let volume = self.volume.as_ref().map(|name| vault.media().find(name).map(|medium| medium.label.id));
        let hospital = self.hospital.as_ref().map(|text| {
            text.parse().map_err(|_| Error::Argument { what: "hospital", why: "it is no id of a hospital".to_owned() })
        });
        let count = self.count.unwrap_or(RECORDS_MAX).min(RECORDS_ASKED_MAX);
        let (newest, oldest) = if self.after.is_some() { (None, Some(count)) } else { (Some(count), None) };
        Ok(AuditQuery {
            since_ms: self.since_ms,
            until_ms: self.until_ms,
            actions: self.actions.clone(),
            volume: volume.transpose()?,
            actor: self.actor.clone(),
            hospital: hospital.transpose()?,
            number: self.number,
            source: self.address,
            outcome: self.outcome,
            after: self.after,
            newest,
            oldest,
        })
    }
}

/// Records about no deposit come last.
fn number_of(record: &AuditRecord) -> (Option<shosoin_protocol::HospitalId>, u64) {
    let first = match &record.event.detail {
        super::Detail::Numbers(numbers) => numbers.first().copied(),
        _ => None,
    };
    let number = record.event.number.or(first).unwrap_or(u64::MAX);
    (record.event.hospital.filter(|_| number < u64::MAX), number)
}
