//! What is due: deposits whose retention has ended. A list for people who then order; it disposes of nothing.

use super::Now;
use crate::assets::{AssetState, PAGE_MAX, Slot, scan};
use crate::audit::{Action, AuditEvent};
use crate::error::{Error, Result};
use crate::keeping;
use crate::vault::Inner;
use serde::{Deserialize, Serialize};
use shosoin_protocol::entry::Body;
use shosoin_protocol::retention::{DAY_MS, End};

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DueQuery {
    /// whose, in hex; may be left out where the vault knows one hospital
    pub hospital: Option<String>,
    /// those that end within so many days too
    pub within_days: u32,
    /// only above this reference number
    pub after: Option<u64>,
    /// entries at most
    pub limit: usize,
}

/// What is due.
#[derive(Debug, Clone, Serialize)]
pub struct Due {
    /// whose, in hex
    pub hospital: String,
    /// deposits whose retention has ended, and that no hold keeps
    pub count: u64,
    /// the page, by reference number
    pub due: Vec<DueEntry>,
    /// deposits whose retention has ended, and that a hold keeps
    pub on_hold: u64,
    /// deposits with a term whose start the hospital has not told
    pub start_unknown: u64,
    /// deposits without a term: they are never due by themselves
    pub without_term: u64,
    /// the last number of the page, if there are more
    pub next: Option<u64>,
}

/// One deposit that is due.
#[derive(Debug, Clone, Serialize)]
pub struct DueEntry {
    /// reference number
    pub number: u64,
    /// version, in hex
    pub version: String,
    /// hash of its entry as a leaf, hex: what an order names
    pub leaf: String,
    /// code of its record type
    pub kind: &'static str,
    /// when its retention ended, or will, in milliseconds since 1970
    pub ended_ms: u64,
    /// sealed bytes
    pub stored_bytes: u64,
}

impl Inner {
    /// What is due, for `actor`. While the clock is doubted nothing is.
    pub(crate) fn due(&self, query: &DueQuery, actor: &str) -> Result<Due> {
        let desk = self.asset_desk(query.hospital.as_deref(), actor)?;
        let (hospital, size) = (desk.info().hospital, desk.head()?.size);
        if query.limit > PAGE_MAX {
            return Err(Error::Argument { what: "limit", why: format!("a page has at most {PAGE_MAX} entries") });
        }
        let by_ms = match self.now_for_disposal()? {
            Now::Trusted(now_ms) => now_ms.saturating_add(u64::from(query.within_days).saturating_mul(DAY_MS)),
            Now::Doubted => return Err(Error::ClockDoubted { why: self.doubt().unwrap_or_default() }),
        };
        let everything_on_hold = !keeping::of_everything(self.index.as_ref(), hospital)?.is_empty();
        let mut due = Due {
            hospital: hospital.to_string(),
            count: 0,
            due: Vec::new(),
            on_hold: 0,
            start_unknown: 0,
            without_term: 0,
            next: None,
        };
        let mut page: Vec<(Slot, u64)> = Vec::new();
        scan(self.index.as_ref(), hospital, &mut |slot| {
            if slot.number >= size || slot.state != AssetState::Held {
                return Ok(true);
            }
            match slot.end() {
                End::Never => due.without_term += 1,
                End::StartUnknown => due.start_unknown += 1,
                End::At(end_ms) if end_ms > by_ms => {}
                End::At(_) if slot.on_hold || everything_on_hold => due.on_hold += 1,
                End::At(end_ms) => {
                    due.count += 1;
                    if query.after.is_none_or(|after| slot.number > after) {
                        match page.len() < query.limit {
                            true => page.push((slot, end_ms)),
                            false => due.next = page.last().map(|(last, _)| last.number),
                        }
                    }
                }
            }
            Ok(true)
        })?;
        let mut event = AuditEvent::new(self.clock.now_ms(), actor, Action::AssetsRead);
        (event.hospital, event.units) = (Some(hospital), page.len() as u64);
        self.media.record(event)?;
        for (slot, ended_ms) in page {
            let placed = desk.ledger().entry(slot.number)?;
            let Body::Deposit(deposit) = placed.entry.body() else { continue };
            due.due.push(DueEntry {
                number: slot.number,
                version: deposit.version.to_string(),
                leaf: placed.entry.leaf_hash().to_string(),
                kind: slot.policy.record_type.code(),
                ended_ms,
                stored_bytes: slot.stored_bytes,
            });
        }
        Ok(due)
    }
}
