//! Suspicion: after somebody was stopped, everything they could have altered is verified, and that is put on record (7.7-M3).
//!
//! Verified is what began after they were stopped: a whole scrub of every volume, a comparison of index, ledgers and media,
//! and the audit log with the accounts file. Until all of it has run, the answer says what is missing.

use super::AccountId;
use super::account::{Account, Standing};
use super::caller::Caller;
use super::reach::Reach;
use super::rights::account_state;
use crate::audit::{Action, AuditEvent, AuditQuery, Detail, Outcome};
use crate::check::Severity;
use crate::error::{Error, Result};
use crate::jobs::{JobKind, JobOptions};
use crate::vault::{Inner, Vault, blocking};
use serde::Serialize;
use std::sync::Arc;

/// One thing that is verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// what
    pub what: String,
    /// when it was verified, in milliseconds since 1970; missing where it still must be
    pub at_ms: Option<u64>,
    /// what is not as it should be
    pub findings: u64,
}

/// What became of a suspicion.
#[derive(Debug, Clone, Serialize)]
pub struct Verification {
    /// whom it is about
    pub account: AccountId,
    /// stopped at, in milliseconds since 1970
    pub stopped_ms: u64,
    /// everything they could reach, and did
    pub reach: Reach,
    /// what is verified since, and what is not yet
    pub proofs: Vec<Proof>,
    /// whether everything is
    pub complete: bool,
    /// jobs that were started for it now
    pub started: Vec<&'static str>,
}

impl Verification {
    /// Jobs that must run before everything is verified.
    fn jobs_missing(&self) -> Vec<JobKind> {
        let missing =
            |what: &str| self.proofs.iter().any(|proof| proof.at_ms.is_none() && proof.what.starts_with(what));
        let wanted = [(JobKind::Scrub, missing("volume")), (JobKind::Check, missing("index"))];
        wanted.into_iter().filter(|(_, missing)| *missing).map(|(kind, _)| kind).collect()
    }

    fn findings(&self) -> u64 {
        self.proofs.iter().map(|proof| proof.findings).sum()
    }
}

impl Vault {
    /// Starts, or collects, the verification of what a stopped person could reach. While the vault is served it goes on in the
    /// background, and is collected by asking again.
    pub(super) async fn verify_suspicion(
        &self,
        caller: &Caller,
        id: &AccountId,
        serving: bool,
    ) -> Result<Verification> {
        let by = self.admit(caller, "account review").await?.actor;
        let verification = self.collect(id).await?;
        let missing = verification.jobs_missing();
        if missing.is_empty() {
            return self.conclude(verification, by).await;
        }
        for kind in &missing {
            self.note_asked(&by, *kind, &JobOptions::default()).await?;
        }
        let started = missing.iter().map(|kind| kind.name()).collect();
        if serving {
            let vault = self.clone();
            tokio::spawn(async move {
                if let Err(error) = vault.run_missing(missing).await {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "what a stopped person could reach is not verified");
                }
            });
            return Ok(Verification { started, ..verification });
        }
        self.run_missing(missing).await?;
        let verification = Verification { started, ..self.collect(id).await? };
        match verification.complete {
            true => self.conclude(verification, by).await,
            false => Ok(verification),
        }
    }

    /// One after the other: they share a lane.
    async fn run_missing(&self, kinds: Vec<JobKind>) -> Result<()> {
        for kind in kinds {
            self.run_job(kind, JobOptions::default()).await?;
        }
        Ok(())
    }

    async fn collect(&self, id: &AccountId) -> Result<Verification> {
        let (inner, id) = (self.inner.clone(), id.clone());
        blocking(move || inner.collect(&id)).await
    }

    async fn conclude(&self, verification: Verification, by: String) -> Result<Verification> {
        let inner = self.inner.clone();
        blocking(move || inner.conclude(verification, &by)).await
    }
}

impl Inner {
    /// What was verified since somebody was stopped.
    fn collect(self: &Arc<Self>, id: &AccountId) -> Result<Verification> {
        let unknown = || Error::NotFound { what: "account", id: id.to_string() };
        let account = self.accounts.get(id).ok_or_else(unknown)?;
        if !matches!(account.standing, Standing::Suspended | Standing::Closed) {
            return Err(account_state(id, &format!("is {}: suspend it first", account.standing)));
        }
        let stopped_ms = self.stopped_ms(&account)?;
        let mut proofs = self.toured_since(stopped_ms);
        proofs.push(self.checked_since(stopped_ms));
        let report = self.verify_log()?;
        let damaged = report.findings.iter().filter(|finding| finding.severity == Severity::Damaged).count() as u64;
        let what = format!("audit log of {} records, its copies, the accounts file", report.records);
        proofs.push(Proof { what, at_ms: Some(self.clock.now_ms()), findings: damaged });
        let complete = proofs.iter().all(|proof| proof.at_ms.is_some());
        let (account, reach) = (id.clone(), self.accounts.reach(&account)?);
        Ok(Verification { account, stopped_ms, reach, proofs, complete, started: Vec::new() })
    }

    /// When somebody was stopped last, as the audit log has it.
    fn stopped_ms(&self, account: &Account) -> Result<u64> {
        let actions = vec![Action::AccountSuspended, Action::AccountClosed];
        let query = AuditQuery { actions, ..AuditQuery::default() };
        let about =
            |detail: &Detail| matches!(detail, Detail::Account { account: id, .. } if *id == account.id.as_str());
        let records = self.media.audit().read(&query)?;
        let first = records.iter().rev().take_while(|record| !about(&record.event.detail)).count();
        Ok(records.iter().rev().nth(first).map_or(account.changed_ms, |record| record.event.at_ms))
    }

    fn toured_since(&self, since_ms: u64) -> Vec<Proof> {
        let of = |volume: &shosoin_tiers::VolumeStatus| {
            let tour = self.jobs.last_tour(volume.id).filter(|tour| tour.started_ms >= since_ms);
            Proof {
                what: format!("volume {} read whole", volume.id),
                at_ms: tour.map(|tour| tour.ended_ms),
                findings: tour.map_or(0, |tour| tour.findings),
            }
        };
        self.tier.volumes().iter().filter(|volume| volume.shards > 0).map(of).collect()
    }

    fn checked_since(self: &Arc<Self>, since_ms: u64) -> Proof {
        let jobs = self.jobs_report().jobs;
        let last = jobs.into_iter().find(|status| status.job == JobKind::Check).and_then(|status| status.last);
        let last = last.filter(|last| last.started_ms >= since_ms && last.outcome == crate::jobs::Outcome::Done);
        Proof {
            what: "index, ledgers and media compared".to_owned(),
            at_ms: last.as_ref().map(|last| last.ended_ms),
            findings: last.map_or(0, |last| last.figures.findings),
        }
    }

    fn conclude(&self, verification: Verification, by: &str) -> Result<Verification> {
        let findings = verification.findings();
        let outcome = if findings > 0 { Outcome::Findings } else { Outcome::Done };
        let event = AuditEvent::new(self.clock.now_ms(), by, Action::SuspicionVerified).ended(outcome);
        let mut event = event.because(format!("what {} could reach", verification.account));
        (event.units, event.detail) = (verification.proofs.len() as u64, Detail::Found { findings, lost: 0 });
        self.media.record(event)?;
        Ok(verification)
    }
}
