//! What an operator asks for, as values: a running vault takes them through its administration socket and a stopped one in
//! the process that asks.

use super::export::{self, ExportOptions, SEGMENT_BYTES};
use super::import::{self, ImportOptions};
use super::meter::{Meter, Progress};
use crate::accounts::Caller;
use crate::audit::{Action, AuditEvent, Detail, Outcome};
use crate::config::VolumeSpec;
use crate::error::{Error, Result};
use crate::jobs::{JobPace, Rate, StopFlag, StopReason};
use crate::vault::{Inner, Vault, blocking};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shosoin_protocol::HospitalId;
use std::path::PathBuf;
use std::sync::Arc;

/// Payload of a file of a package, at least: smaller ones would be many.
const SEGMENT_BYTES_MIN: u64 = 1 << 20;

/// One command.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum HandoverCommand {
    /// write a package, or let one grow
    Export {
        /// whose, in hex; may be left out where the vault knows one hospital
        hospital: Option<String>,
        /// where to
        to: VolumeSpec,
        /// bytes a second, at most
        rate: Option<u64>,
        /// bytes of payload after which a file is complete
        segment_bytes: Option<u64>,
        /// end the log, on the hospital's order: the package is the last
        close: bool,
        /// folder with timestamped heads of the hospital, which are kept and sent along
        #[serde(default)]
        timestamps: Option<PathBuf>,
    },
    /// take the end of a log back
    Reopen {
        /// whose, in hex; may be left out where the vault knows one hospital
        hospital: Option<String>,
    },
    /// take a hospital over from a package
    Import {
        /// where it is
        from: VolumeSpec,
        /// fingerprint of the key of the vault that made it
        fingerprint: String,
        /// take it although that vault could not read everything any more
        accept_missing: bool,
        /// bytes a second, at most
        rate: Option<u64>,
    },
    /// how far a hand-over has come
    Status {
        /// whose, in hex; may be left out where the vault knows one hospital
        hospital: Option<String>,
    },
}

impl HandoverCommand {
    /// The command as people and the table of permissions know it.
    pub fn work(&self) -> &'static str {
        match self {
            HandoverCommand::Export { .. } => "handover export",
            HandoverCommand::Reopen { .. } => "handover reopen",
            HandoverCommand::Import { .. } => "handover import",
            HandoverCommand::Status { .. } => "handover status",
        }
    }
}

/// One run of a command, for whoever looks at it or stops it. Clones are of the same run.
#[derive(Debug, Clone, Default)]
pub struct HandoverRun {
    meter: Arc<Meter>,
    stop: StopFlag,
}

impl HandoverRun {
    /// How far it has come.
    pub fn progress(&self) -> Progress {
        self.meter.progress()
    }

    /// Asks it to end at its next safe point.
    pub fn stop(&self) {
        self.stop.stop(StopReason::Asked);
    }
}

impl Vault {
    /// Does what a command says, for `caller`, and answers in JSON. One package is written or taken in at a time.
    pub async fn handover_command(&self, command: HandoverCommand, caller: Caller, run: HandoverRun) -> Result<Value> {
        let actor = self.admit(&caller, command.work()).await?.actor;
        let inner = self.inner.clone();
        blocking(move || {
            let alone = || inner.handover.try_lock().ok_or(Error::JobRunning { job: "a hand-over" });
            match command {
                HandoverCommand::Export { hospital, to, rate, segment_bytes, close, timestamps } => {
                    let segment_bytes_max = segment_bytes.unwrap_or(SEGMENT_BYTES).max(SEGMENT_BYTES_MIN);
                    let options = ExportOptions { to, segment_bytes_max, close, timestamps };
                    let _alone = alone()?;
                    inner.export_package(hospital.as_deref(), &options, rate, &actor, &run)
                }
                HandoverCommand::Reopen { hospital } => {
                    let desk = inner.desk_of(hospital.as_deref())?;
                    let noted =
                        Noted { inner: &inner, actor: &actor, hospital: Some(desk.info().hospital), place: None };
                    noted.around(Action::HandoverReopened, || {
                        let leaf_index = inner.reopen_log(&desk)?;
                        Ok((0, 1, json!({ "hospital": desk.info().hospital.to_string(), "leaf_index": leaf_index })))
                    })
                }
                HandoverCommand::Import { from, fingerprint, accept_missing, rate } => {
                    let options = ImportOptions { from, fingerprint, accept_missing };
                    let _alone = alone()?;
                    inner.import_package(&options, rate, &actor, &run)
                }
                HandoverCommand::Status { hospital } => {
                    let desk = inner.desk_of(hospital.as_deref())?;
                    Ok(json!(inner.handover_status(&desk)?))
                }
            }
        })
        .await
    }
}

impl Inner {
    fn export_package(
        &self,
        hospital: Option<&str>,
        options: &ExportOptions,
        rate: Option<u64>,
        actor: &str,
        run: &HandoverRun,
    ) -> Result<Value> {
        let desk = self.desk_of(hospital)?;
        let pace = self.handover_pace(rate, run);
        let place = Some(options.to.place());
        let noted = Noted { inner: self, actor, hospital: Some(desk.info().hospital), place };
        noted.around(Action::HandoverExported, || {
            let report = export::export(self, &desk, options, &pace, &run.meter)?;
            Ok((report.added_bytes, report.added_records, json!(report)))
        })
    }

    fn import_package(
        &self,
        options: &ImportOptions,
        rate: Option<u64>,
        actor: &str,
        run: &HandoverRun,
    ) -> Result<Value> {
        let pace = self.handover_pace(rate, run);
        let noted = Noted { inner: self, actor, hospital: None, place: Some(options.from.place()) };
        noted.around(Action::HandoverImported, || {
            let report = import::import(self, options, &pace, &run.meter)?;
            Ok((report.added_bytes, report.added_records, json!(report)))
        })
    }

    fn handover_pace(&self, rate: Option<u64>, run: &HandoverRun) -> JobPace {
        let rates = rate.map(|rate| Arc::new(Rate::new(rate))).into_iter().chain(self.jobs.rate()).collect();
        JobPace::new(run.stop.clone(), None, rates, self.clients.clone(), None)
    }
}

/// What stands in the audit log before something is done, and after.
struct Noted<'a> {
    inner: &'a Inner,
    actor: &'a str,
    hospital: Option<HospitalId>,
    place: Option<String>,
}

impl Noted<'_> {
    /// Does something that gives bytes, units and an answer.
    fn around(&self, action: Action, work: impl FnOnce() -> Result<(u64, u64, Value)>) -> Result<Value> {
        let began_ms = self.inner.clock.now_ms();
        let event = |outcome| {
            let mut event = AuditEvent::new(self.inner.clock.now_ms(), self.actor, action).ended(outcome);
            event.hospital = self.hospital;
            event.duration_ms = event.at_ms.saturating_sub(began_ms);
            event.with(self.place.clone().map_or(Detail::None, Detail::Place))
        };
        self.inner.media.record(event(Outcome::Begun))?;
        let done = work();
        let mut ended = event(match &done {
            Ok(_) => Outcome::Done,
            Err(Error::Media(shosoin_tiers::Error::Stopped)) => Outcome::Stopped,
            Err(_) => Outcome::Failed,
        });
        if let Ok((bytes, units, _)) = &done {
            (ended.bytes, ended.units) = (*bytes, *units);
        }
        self.inner.media.record(ended)?;
        done.map(|(_, _, answer)| answer)
    }
}
