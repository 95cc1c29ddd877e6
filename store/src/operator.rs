//! What people ask of a vault: each caller is admitted to the work first, and work that changes something is on record under
//! their name before it begins.

use crate::accounts::{Admitted, Caller};
use crate::audit::{Action, AuditEvent, Detail, Outcome};
use crate::check::{CheckOptions, CheckReport, Severity};
use crate::error::{Error, Result};
use crate::jobs::{JobKind, JobOptions, JobsReport, action_of};
use crate::status::Status;
use crate::vault::{Vault, blocking};
use shosoin_protocol::HospitalId;
use shosoin_protocol::api::Enrolment;

impl Vault {
    /// Whether `caller` may do `work`, a command or page of [`TABLE`](crate::accounts::TABLE); what is refused is on record.
    pub async fn admit(&self, caller: &Caller, work: &'static str) -> Result<Admitted> {
        let (accounts, caller) = (self.accounts().clone(), caller.clone());
        blocking(move || accounts.admit(&caller, work)).await
    }

    /// State of the whole vault, for `caller`.
    pub async fn status_for(&self, caller: &Caller) -> Result<Status> {
        self.admit(caller, "vault status").await?;
        self.status().await
    }

    /// Compares index, ledger and media, for `caller`.
    pub async fn check_for(&self, caller: &Caller, options: CheckOptions) -> Result<CheckReport> {
        let by = self.admit(caller, "vault check").await?;
        self.note(by.event(self.now_ms(), Action::Check).ended(Outcome::Begun)).await?;
        let report = self.check(options).await?;
        let lost = report.findings.iter().filter(|finding| finding.severity == Severity::Damaged).count() as u64;
        let findings = report.findings.len() as u64;
        let outcome = if findings > 0 { Outcome::Findings } else { Outcome::Done };
        let event = by.event(self.now_ms(), Action::Check).ended(outcome);
        self.note(event.with(Detail::Found { findings, lost })).await?;
        Ok(report)
    }

    /// Lets a hospital in, for `caller`.
    pub async fn enrol_for(&self, caller: &Caller, enrolment: Vec<u8>) -> Result<HospitalId> {
        let by = self.admit(caller, "hospital enrol").await?;
        let malformed = |source| Error::Malformed { what: "enrolment", source };
        let hospital = Enrolment::verify(&enrolment).map_err(malformed)?.hospital;
        let event = AuditEvent { hospital: Some(hospital), ..by.event(self.now_ms(), Action::HospitalEnrolled) };
        self.note(event.clone().ended(Outcome::Begun)).await?;
        let vault = self.clone();
        let enrolled = blocking(move || vault.enrol(&enrolment)).await;
        let outcome = if enrolled.is_ok() { Outcome::Done } else { Outcome::Refused };
        self.note(event.ended(outcome)).await?;
        enrolled
    }

    /// Every job, for `caller`.
    pub async fn jobs_for(&self, caller: &Caller) -> Result<JobsReport> {
        self.admit(caller, "jobs").await?;
        self.jobs().await
    }

    /// Admits `caller` to a run of a job and puts on record that they asked; [`run_job`](Self::run_job) runs it.
    pub async fn admit_job(&self, caller: &Caller, kind: JobKind, options: &JobOptions) -> Result<()> {
        let by = self.admit(caller, kind.name()).await?;
        match options.dry_run {
            true => Ok(()),
            false => self.note_asked(&by.actor, kind, options).await,
        }
    }

    /// Puts on record who asked for a job.
    pub(crate) async fn note_asked(&self, actor: &str, kind: JobKind, options: &JobOptions) -> Result<()> {
        let event = AuditEvent::new(self.now_ms(), actor, action_of(kind)).ended(Outcome::Begun).because("asked for");
        self.note(AuditEvent { volume: options.volume, hospital: options.hospital, ..event }).await
    }

    /// Asks a job to end, for `caller`; gives whether it ran.
    pub async fn cancel_job_for(&self, caller: &Caller, kind: JobKind) -> Result<bool> {
        let by = self.admit(caller, "jobs --cancel").await?;
        let event = by.event(self.now_ms(), Action::JobSetting);
        self.note(event.because(format!("{} is asked to end", kind.name()))).await?;
        Ok(self.cancel_job(kind))
    }

    /// The figures of this moment, for `caller`.
    pub async fn metrics_for(&self, caller: &Caller) -> Result<String> {
        self.admit(caller, "/metrics").await?;
        self.metrics().await
    }

    fn now_ms(&self) -> u64 {
        self.inner.clock.now_ms()
    }

    async fn note(&self, event: AuditEvent) -> Result<()> {
        let media = self.media().clone();
        blocking(move || media.record(event).map(drop)).await
    }
}

impl Admitted {
    /// An event by this person.
    fn event(&self, now_ms: u64, action: Action) -> AuditEvent {
        AuditEvent::new(now_ms, self.actor.as_str(), action)
    }
}
