//! A vault for one command of its operator: asked through its administration socket if a process serves it, opened in
//! this process if none does.

use crate::error::{Error, Result};
use crate::local;
use crate::stop::Stop;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::Method;
use hyper::body::Incoming;
use serde_json::Value;
use shosoin_store::accounts::{AccountCommand, Caller};
use shosoin_store::agreements::AgreementCommand;
use shosoin_store::applicability::{Statement, StatementRequest};
use shosoin_store::assets::AssetCommand;
use shosoin_store::changes::ChangeCommand;
use shosoin_store::disposal::DisposalCommand;
use shosoin_store::handover::{HandoverCommand, HandoverRun};
use shosoin_store::http::admin::socket_path;
use shosoin_store::incidents::IncidentCommand;
use shosoin_store::machines::MachineCommand;
use shosoin_store::notify::NotifyCommand;
use shosoin_store::quarantine::QuarantineCommand;
use shosoin_store::reports::ReportCommand;
use shosoin_store::shipments::ShipmentCommand;
use shosoin_store::transfers::TransferCommand;
use shosoin_store::volumes::MediaCommand;
use shosoin_store::{CheckOptions, Counters, JobKind, JobOptions, OpenOptions, Vault};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Opens the vault at `dir` in this process.
pub async fn open(dir: &Path) -> Result<Vault> {
    Vault::open(dir, OpenOptions::default()).await.map_err(Error::vault(format!("open vault {}", dir.display())))
}

/// Its status.
pub async fn status(dir: &Path) -> Result<Value> {
    let task = "ask the vault for its status";
    if let Some(status) = ask(dir, task, Method::GET, "/v1/status", Bytes::new()).await? {
        return Ok(status);
    }
    let vault = open(dir).await?;
    let status = vault.status_for(&Caller::this_process()).await.map_err(Error::vault(task));
    finish(&vault, status.map(|status| serde_json::json!(status))).await
}

/// Its check report.
pub async fn check(dir: &Path, options: CheckOptions) -> Result<Value> {
    let task = "check the vault";
    let path = format!("/v1/check?every_unit={}", options.every_unit);
    if let Some(report) = ask(dir, task, Method::POST, &path, Bytes::new()).await? {
        return Ok(report);
    }
    let vault = open(dir).await?;
    let report = vault.check_for(&Caller::this_process(), options).await.map_err(Error::vault(task));
    finish(&vault, report.map(|report| serde_json::json!(report))).await
}

/// Enrols a hospital.
pub async fn enrol(dir: &Path, enrolment: Vec<u8>) -> Result<()> {
    let task = "enrol the hospital";
    if ask(dir, task, Method::POST, "/v1/hospitals", enrolment.clone().into()).await?.is_some() {
        return Ok(());
    }
    let vault = open(dir).await?;
    let enrolled = vault.enrol_for(&Caller::this_process(), enrolment).await.map_err(Error::vault(task));
    finish(&vault, enrolled.map(drop)).await
}

/// Does something with its media or its audit log.
pub async fn media(dir: &Path, command: &MediaCommand) -> Result<Value> {
    let task = media_task(command);
    let body = serde_json::to_vec(command).map_err(|error| Error::invalid("command", error.to_string()))?;
    if let Some(answer) = ask(dir, task, Method::POST, "/v1/media", body.into()).await? {
        return Ok(answer);
    }
    let vault = open(dir).await?;
    let answer = vault.media_command(command.clone(), Caller::this_process()).await;
    finish(&vault, answer.map_err(Error::vault(task))).await
}

/// Does something about telling people.
pub async fn told(dir: &Path, task: &'static str, command: NotifyCommand) -> Result<Value> {
    let dir = vault_dir(dir);
    let body = serde_json::to_vec(&command).map_err(|error| Error::invalid("command", error.to_string()))?;
    if let Some(answer) = ask(&dir, task, Method::POST, "/v1/notify", body.into()).await? {
        return Ok(answer);
    }
    let vault = open(&dir).await?;
    let answer = vault.notify_command(command, Caller::this_process()).await;
    finish(&vault, answer.map_err(Error::vault(task))).await
}

/// Does something about reports.
pub async fn report(dir: &Path, task: &'static str, command: &ReportCommand) -> Result<Value> {
    let dir = vault_dir(dir);
    let body = serde_json::to_vec(command).map_err(|error| Error::invalid("command", error.to_string()))?;
    if let Some(answer) = ask(&dir, task, Method::POST, "/v1/reports", body.into()).await? {
        return Ok(answer);
    }
    let vault = open(&dir).await?;
    let answer = vault.report_command(command.clone(), Caller::this_process()).await;
    finish(&vault, answer.map_err(Error::vault(task))).await
}

/// Does something about incidents.
pub async fn incident(dir: &Path, task: &'static str, command: &IncidentCommand) -> Result<Value> {
    let dir = vault_dir(dir);
    let body = serde_json::to_vec(command).map_err(|error| Error::invalid("command", error.to_string()))?;
    if let Some(answer) = ask(&dir, task, Method::POST, "/v1/incidents", body.into()).await? {
        return Ok(answer);
    }
    let vault = open(&dir).await?;
    let answer = vault.incident_command(command.clone(), Caller::this_process()).await;
    finish(&vault, answer.map_err(Error::vault(task))).await
}

/// Does something about its agreements.
pub async fn agreement(dir: &Path, task: &'static str, command: &AgreementCommand) -> Result<Value> {
    let dir = vault_dir(dir);
    let body = serde_json::to_vec(command).map_err(|error| Error::invalid("command", error.to_string()))?;
    if let Some(answer) = ask(&dir, task, Method::POST, "/v1/agreements", body.into()).await? {
        return Ok(answer);
    }
    let vault = open(&dir).await?;
    let answer = vault.agreement_command(command.clone(), Caller::this_process()).await;
    finish(&vault, answer.map_err(Error::vault(task))).await
}

/// Does something about the people who run it.
pub async fn account(dir: &Path, task: &'static str, command: &AccountCommand) -> Result<Value> {
    let dir = vault_dir(dir);
    let body = serde_json::to_vec(command).map_err(|error| Error::invalid("command", error.to_string()))?;
    if let Some(answer) = ask(&dir, task, Method::POST, "/v1/accounts", body.into()).await? {
        return Ok(answer);
    }
    let vault = open(&dir).await?;
    let answer = vault.account_command(command.clone(), Caller::this_process(), false).await;
    finish(&vault, answer.map_err(Error::vault(task))).await
}

/// A vault for several commands of its operator in a row: the process that serves it, or this one, which then opens it
/// once.
pub struct Operator {
    dir: PathBuf,
    opened: tokio::sync::OnceCell<Vault>,
}

impl Operator {
    /// The vault at `dir`, or the half of a site that is one.
    pub fn at(dir: &Path) -> Self {
        Operator { dir: vault_dir(dir), opened: tokio::sync::OnceCell::new() }
    }

    /// Does something with what is held.
    pub async fn ask(&self, task: &'static str, command: &AssetCommand) -> Result<Value> {
        if !self.opened.initialized() {
            let body = serde_json::to_vec(command).map_err(|error| Error::invalid("command", error.to_string()))?;
            if let Some(answer) = ask(&self.dir, task, Method::POST, "/v1/assets", body.into()).await? {
                return Ok(answer);
            }
        }
        let vault = self.opened.get_or_try_init(|| open(&self.dir)).await?;
        vault.asset_command(command.clone(), Caller::this_process()).await.map_err(Error::vault(task))
    }

    /// Does something with its media or its audit log.
    pub async fn ask_media(&self, command: &MediaCommand) -> Result<Value> {
        let task = media_task(command);
        if !self.opened.initialized() {
            let body = serde_json::to_vec(command).map_err(|error| Error::invalid("command", error.to_string()))?;
            if let Some(answer) = ask(&self.dir, task, Method::POST, "/v1/media", body.into()).await? {
                return Ok(answer);
            }
        }
        let vault = self.opened.get_or_try_init(|| open(&self.dir)).await?;
        vault.media_command(command.clone(), Caller::this_process()).await.map_err(Error::vault(task))
    }

    /// Closes the vault where this process opened it; the commands' own failure comes first.
    pub async fn finish<T>(self, outcome: Result<T>) -> Result<T> {
        match self.opened.into_inner() {
            Some(vault) => finish(&vault, outcome).await,
            None => outcome,
        }
    }
}

/// One command about what is held.
pub async fn one(dir: &Path, task: &'static str, command: &AssetCommand) -> Result<Value> {
    let operator = Operator::at(dir);
    let answer = operator.ask(task, command).await;
    operator.finish(answer).await
}

/// One command about quarantine.
pub async fn quarantine(dir: &Path, task: &'static str, command: &QuarantineCommand) -> Result<Value> {
    let dir = vault_dir(dir);
    let body = serde_json::to_vec(command).map_err(|error| Error::invalid("command", error.to_string()))?;
    if let Some(answer) = ask(&dir, task, Method::POST, "/v1/quarantine", body.into()).await? {
        return Ok(answer);
    }
    let vault = open(&dir).await?;
    let answer = vault.quarantine_command(command.clone(), Caller::this_process()).await;
    finish(&vault, answer.map_err(Error::vault(task))).await
}

/// One command about the register of machines.
pub async fn machine(dir: &Path, task: &'static str, command: &MachineCommand) -> Result<Value> {
    let dir = vault_dir(dir);
    let body = serde_json::to_vec(command).map_err(|error| Error::invalid("command", error.to_string()))?;
    if let Some(answer) = ask(&dir, task, Method::POST, "/v1/machines", body.into()).await? {
        return Ok(answer);
    }
    let vault = open(&dir).await?;
    let answer = vault.machine_command(command.clone(), Caller::this_process()).await;
    finish(&vault, answer.map_err(Error::vault(task))).await
}

/// One command about the register of changes.
pub async fn change(dir: &Path, task: &'static str, command: &ChangeCommand) -> Result<Value> {
    let dir = vault_dir(dir);
    let body = serde_json::to_vec(command).map_err(|error| Error::invalid("command", error.to_string()))?;
    if let Some(answer) = ask(&dir, task, Method::POST, "/v1/changes", body.into()).await? {
        return Ok(answer);
    }
    let vault = open(&dir).await?;
    let answer = vault.change_command(command.clone(), Caller::this_process()).await;
    finish(&vault, answer.map_err(Error::vault(task))).await
}

/// One command about media that arrive by courier.
pub async fn shipment(dir: &Path, task: &'static str, command: &ShipmentCommand) -> Result<Value> {
    let dir = vault_dir(dir);
    let body = serde_json::to_vec(command).map_err(|error| Error::invalid("command", error.to_string()))?;
    if let Some(answer) = ask(&dir, task, Method::POST, "/v1/shipments", body.into()).await? {
        return Ok(answer);
    }
    let vault = open(&dir).await?;
    let answer = vault.shipment_command(command.clone(), Caller::this_process()).await;
    finish(&vault, answer.map_err(Error::vault(task))).await
}

/// One command about the lines to hospitals.
pub async fn transfer(dir: &Path, task: &'static str, command: &TransferCommand) -> Result<Value> {
    let dir = vault_dir(dir);
    let body = serde_json::to_vec(command).map_err(|error| Error::invalid("command", error.to_string()))?;
    if let Some(answer) = ask(&dir, task, Method::POST, "/v1/transfers", body.into()).await? {
        return Ok(answer);
    }
    let vault = open(&dir).await?;
    let answer = vault.transfer_command(command.clone(), Caller::this_process()).await;
    finish(&vault, answer.map_err(Error::vault(task))).await
}

/// One command about the end of records.
pub async fn disposal(dir: &Path, task: &'static str, command: &DisposalCommand) -> Result<Value> {
    let dir = vault_dir(dir);
    let body = serde_json::to_vec(command).map_err(|error| Error::invalid("command", error.to_string()))?;
    if let Some(answer) = ask(&dir, task, Method::POST, "/v1/disposal", body.into()).await? {
        return Ok(answer);
    }
    let vault = open(&dir).await?;
    let answer = vault.disposal_command(command.clone(), Caller::this_process()).await;
    finish(&vault, answer.map_err(Error::vault(task))).await
}

/// Id of the vault in a folder, as its configuration says.
pub fn vault_id(dir: &Path) -> Result<String> {
    let config =
        shosoin_store::Config::load(&vault_dir(dir)).map_err(Error::vault("read the vault's configuration"))?;
    Ok(config.vault)
}

/// The statement of applicability, measured by the process that serves the vault or by this one.
pub async fn applicability(dir: &Path, request: StatementRequest) -> Result<Statement> {
    let (dir, task) = (vault_dir(dir), "measure the statement of applicability");
    let told = |error: serde_json::Error| Error::invalid("answer of the vault", error.to_string());
    let body = serde_json::to_vec(&request).map_err(|error| Error::invalid("request", error.to_string()))?;
    if let Some(answer) = ask(&dir, task, Method::POST, "/v1/applicability", body.into()).await? {
        return serde_json::from_value(answer).map_err(told);
    }
    let vault = open(&dir).await?;
    let statement = vault.applicability(request, Caller::this_process()).await.map_err(Error::vault(task));
    finish(&vault, statement).await
}

fn media_task(command: &MediaCommand) -> &'static str {
    match command {
        MediaCommand::List | MediaCommand::Show { .. } => "show media",
        MediaCommand::Add(_) => "add the volume",
        MediaCommand::Label { .. } => "label the volume",
        MediaCommand::SetState { .. } => "change the state of the volume",
        MediaCommand::Test { .. } => "record that of the volume",
        MediaCommand::Stocktake { .. } => "take stock",
        MediaCommand::WhatIf { .. } => "imagine that loss",
        MediaCommand::Forecast(_) => "forecast",
        MediaCommand::AuditShow(search) if search.export => "export the audit log",
        MediaCommand::AuditShow(_) => "show the audit log",
        MediaCommand::AuditVerify => "verify the audit log",
        MediaCommand::ConfirmClock => "confirm the clock",
    }
}

/// Closes the vault after a command, whose own failure comes first.
pub async fn finish<T>(vault: &Vault, outcome: Result<T>) -> Result<T> {
    let closed = vault.close().await.map_err(Error::vault("close the vault"));
    let value = outcome?;
    closed.map(|()| value)
}

/// The last line of a process that served: what the vault did meanwhile.
pub fn closed(counters: Counters) -> Value {
    let Counters { groups, records, deposits, syncs } = counters;
    serde_json::json!({ "closed": true, "groups": groups, "records": records, "deposits": deposits, "syncs": syncs })
}

/// Which job is to run, and how.
pub struct JobRequest {
    /// the job
    pub kind: JobKind,
    /// how
    pub options: JobOptions,
}

impl JobRequest {
    fn path(&self) -> String {
        let JobOptions { dry_run, volume, hospital, max_duration, rate, every_unit, onto, amplification, .. } =
            &self.options;
        let mut path = format!("/v1/jobs/{}?dry_run={dry_run}&every_unit={every_unit}", self.kind.name());
        volume.iter().for_each(|volume| path += &format!("&volume={volume}"));
        hospital.iter().for_each(|hospital| path += &format!("&hospital={hospital}"));
        max_duration.iter().for_each(|time| path += &format!("&max_duration_ms={}", time.as_millis()));
        rate.iter().for_each(|rate| path += &format!("&rate={rate}"));
        onto.iter().for_each(|volume| path += &format!("&onto={volume}"));
        amplification.iter().for_each(|bound| path += &format!("&amplification={}", f64::from(*bound)));
        path
    }
}

/// Runs a job in the process that serves the vault, or in this one, and gives its report. Ctrl-C ends it at its next safe
/// point.
pub async fn run_job(dir: &Path, request: &JobRequest, show: impl FnMut(&Value)) -> Result<Value> {
    let (dir, task) = (vault_dir(dir), "run the job");
    let stop = Stop::listen()?;
    if let Some(body) = send(&dir, task, Method::POST, &request.path(), Bytes::new()).await? {
        return follow(task, body, stop, show).await;
    }
    let vault = open(&dir).await?;
    let admitted = vault.admit_job(&Caller::this_process(), request.kind, &request.options).await;
    if let Err(error) = admitted.map_err(Error::vault(task)) {
        return finish(&vault, Err(error)).await;
    }
    let job = async { vault.run_job(request.kind, request.options.clone()).await.map_err(Error::vault(task)) };
    let look = || vault.job_progress(request.kind).map(|progress| serde_json::json!(progress));
    let report = watched(job, stop, look, || vault.cancel_job(request.kind), show).await;
    finish(&vault, report.map(|report| serde_json::json!(report))).await
}

/// Runs a command about a hand-over in the process that serves the vault, or in this one. Ctrl-C ends it at its next safe
/// point; the same command goes on there.
pub async fn handover(dir: &Path, command: &HandoverCommand, show: impl FnMut(&Value)) -> Result<Value> {
    let (dir, task) = (vault_dir(dir), "hand over");
    let stop = Stop::listen()?;
    let body = serde_json::to_vec(command).map_err(|error| Error::invalid("command", error.to_string()))?;
    if let Some(body) = send(&dir, task, Method::POST, "/v1/handover", body.into()).await? {
        return follow(task, body, stop, show).await;
    }
    let (vault, run) = (open(&dir).await?, HandoverRun::default());
    let work = vault.handover_command(command.clone(), Caller::this_process(), run.clone());
    let work = async { work.await.map_err(Error::vault(task)) };
    let look = || Some(serde_json::json!(run.progress()));
    let cancel = || {
        run.stop();
        true
    };
    let report = watched(work, stop, look, cancel, show).await;
    finish(&vault, report).await
}

/// Waits for work of this process, shows how far it has come, and asks it to end where somebody asked that of us; until
/// `cancel` says that it was running, it is asked again.
async fn watched<T>(
    work: impl Future<Output = Result<T>>,
    stop: Stop,
    look: impl Fn() -> Option<Value>,
    cancel: impl Fn() -> bool,
    mut show: impl FnMut(&Value),
) -> Result<T> {
    let (mut tick, stopped) = (tokio::time::interval(LOOK), stop.asked());
    tokio::pin!(work, stopped);
    let mut asked = false;
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = &mut stopped, if !asked => asked = cancel(),
            _ = tick.tick() => look().iter().for_each(&mut show),
        }
    }
}

/// How often a run in this process is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Follows a run in another process, line by line. Letting go of the connection asks the job to stop.
async fn follow(task: &'static str, mut body: Incoming, stop: Stop, mut show: impl FnMut(&Value)) -> Result<Value> {
    let told = |error: serde_json::Error| Error::invalid("answer of the vault", error.to_string());
    let cut = || Error::invalid("answer of the vault", "it ended before the job did");
    let mut waiting = Vec::new();
    let stopped = stop.asked();
    tokio::pin!(stopped);
    loop {
        let frame = tokio::select! {
            frame = body.frame() => frame,
            () = &mut stopped => return Err(Error::NotConfirmed { what: "the end of the job", why: STOPPED.into() }),
        };
        let frame = frame.ok_or_else(cut)?.map_err(|_| cut())?;
        waiting.extend_from_slice(&frame.into_data().unwrap_or_default());
        while let Some(end) = waiting.iter().position(|byte| *byte == b'\n') {
            let line: Value = serde_json::from_slice(&waiting[..end]).map_err(told)?;
            waiting.drain(..=end);
            if let Some(problem) = line.get("problem") {
                let problem = serde_json::from_value(problem.clone()).map_err(told)?;
                return Err(Error::Served { task, problem });
            }
            match line.get("report") {
                Some(report) => return Ok(report.clone()),
                None => show(&line["progress"]),
            }
        }
    }
}

/// Said where a run in another process is let go.
const STOPPED: &str = "it was asked to end at its next safe point; `shosoin jobs` shows what came of it";

/// Every job.
pub async fn jobs(dir: &Path) -> Result<Value> {
    let (dir, task) = (vault_dir(dir), "ask the vault for its jobs");
    if let Some(jobs) = ask(&dir, task, Method::GET, "/v1/jobs", Bytes::new()).await? {
        return Ok(jobs);
    }
    let vault = open(&dir).await?;
    let jobs = vault.jobs_for(&Caller::this_process()).await.map_err(Error::vault(task));
    finish(&vault, jobs.map(|jobs| serde_json::json!(jobs))).await
}

/// Asks a job to end. In a vault that nobody serves, none runs.
pub async fn cancel_job(dir: &Path, kind: JobKind) -> Result<Value> {
    let path = format!("/v1/jobs/{}", kind.name());
    let answer = ask(&vault_dir(dir), "cancel the job", Method::DELETE, &path, Bytes::new()).await?;
    Ok(answer.unwrap_or_else(|| serde_json::json!({ "cancelled": false })))
}

/// The vault in a folder: the folder itself, or the half of a site that is one.
fn vault_dir(dir: &Path) -> PathBuf {
    let half = dir.join("vault");
    match !dir.join(shosoin_store::config::FILE).exists() && half.is_dir() {
        true => half,
        false => dir.to_owned(),
    }
}

/// Asks the process that serves the vault; nothing if none does.
async fn ask(dir: &Path, task: &'static str, method: Method, path: &str, body: Bytes) -> Result<Option<Value>> {
    local::ask(&socket_path(dir), task, method, path, body).await
}

/// Sends a request to the process that serves the vault and gives the body of a success; nothing if none serves.
async fn send(dir: &Path, task: &'static str, method: Method, path: &str, body: Bytes) -> Result<Option<Incoming>> {
    local::send(&socket_path(dir), task, method, path, body).await
}
