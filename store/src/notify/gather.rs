//! A log server (7.6.12-R1): every record of the audit log, whole and in its order, to one place of the operator's, where logs are
//! looked at together. Each record has its number and the digest of its chain, so that a gap or a change shows there.
//!
//! Invariants
//! - Nothing is left out: a record that was not taken is tried again, for as long as it takes. A kill sends some twice.
//! - What was taken is no record itself, or the log would never come to rest; what was not taken is one, after the tries of the channel.

use super::{Place, Teller};
use crate::audit::{Action, AuditEvent, AuditRecord, Detail, Outcome};
use crate::error::{Error, Result};
use crate::journal::VAULT;
use crate::vault::blocking;
use serde::Serialize;

/// Records that are sent at once.
const RECORDS_MAX: usize = 200;

/// What a log server is sent.
#[derive(Serialize)]
struct Records<'a> {
    /// which vault, in hex
    vault: &'a str,
    /// records, oldest first
    records: &'a [AuditRecord],
}

impl Teller {
    /// Sends everything behind a place, and moves it on.
    pub(super) async fn gather(&self, place: &mut Option<Place>) -> Result<()> {
        loop {
            let from = match *place {
                Some(place) => place,
                None => self.place().await?,
            };
            let inner = self.inner.clone();
            let records = blocking(move || inner.media.audit().behind(from.told, RECORDS_MAX)).await?;
            let end = Place { told: records.last().map_or(from.told, |record| record.seq) };
            if !records.is_empty() {
                self.send_records(&records).await?;
                self.keep(end).await?;
            }
            *place = Some(end);
            self.inner.standings.change(&self.config.name, |standing| standing.told = end.told);
            if records.is_empty() {
                return Ok(());
            }
        }
    }

    /// Tries as often as the channel says; then that is on record, and an error, and it begins anew.
    async fn send_records(&self, records: &[AuditRecord]) -> Result<()> {
        let message = Records { vault: &self.inner.config.vault, records };
        let mut why = String::new();
        for tried in 1..=self.config.tries {
            match self.channel.post(&message).await {
                Ok(()) => {
                    self.inner.standings.change(&self.config.name, |standing| {
                        (standing.sent, standing.tries, standing.why) = (standing.sent + 1, 0, None);
                    });
                    return Ok(());
                }
                Err(failed) => {
                    why = failed.chars().filter(|c| !c.is_control()).take(super::WHY_BYTES_MAX / 4).collect();
                    let told = Some(why.clone());
                    let name = &self.config.name;
                    self.inner.standings.change(name, |standing| (standing.tries, standing.why) = (tried, told));
                }
            }
            if tried < self.config.tries {
                tokio::time::sleep(self.wait(tried)).await;
            }
        }
        let (inner, name, units) = (self.inner.clone(), self.config.name.clone(), records.len() as u64);
        let reason = format!("log server: {why}");
        let noted = reason.clone();
        blocking(move || {
            let event = AuditEvent::new(inner.clock.now_ms(), VAULT, Action::NoticeFailed).ended(Outcome::Failed);
            let event = AuditEvent { units, ..event.because(noted).with(Detail::Place(name)) };
            inner.media.record(event).map(drop)
        })
        .await?;
        Err(Error::Argument { what: "log server", why: reason })
    }
}
