//! The operator's commands about media and the audit log as values, so that a running vault takes them through its
//! administration socket and a stopped one in the process that asks: one path for both.

use super::{AddVolume, ForecastRequest, LabelChange, Measured};
use crate::accounts::Caller;
use crate::audit::MediaState;
use crate::audit::search::AuditSearch;
use crate::error::{Error, Result};
use crate::vault::Vault;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// One command.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum MediaCommand {
    /// every medium there ever was
    List,
    /// one medium with its history
    Show {
        /// which
        volume: String,
    },
    /// take a medium into use
    Add(Box<AddVolume>),
    /// write a label anew
    Label {
        /// which volume
        volume: String,
        /// what to write
        change: Box<LabelChange>,
        /// why
        reason: String,
        /// change nothing
        dry_run: bool,
    },
    /// move a medium to another state
    SetState {
        /// which volume
        volume: String,
        /// to what
        to: MediaState,
        /// why
        reason: String,
        /// change nothing
        dry_run: bool,
    },
    /// record tests, use and surroundings
    Test {
        /// of which volume
        volume: String,
        /// what was measured
        measured: Measured,
    },
    /// compare the ledger with what is there
    Stocktake {
        /// what was seen on shelves
        seen: Vec<String>,
        /// remark
        reason: String,
    },
    /// what losses would cost
    WhatIf {
        /// which losses, all at once
        lose: Vec<String>,
    },
    /// the coming months
    Forecast(ForecastRequest),
    /// records of the audit log
    AuditShow(Box<AuditSearch>),
    /// verify the audit log and its copies
    AuditVerify,
    /// a person has compared the clock with a good one
    ConfirmClock,
}

impl MediaCommand {
    /// What it is called in the table of permissions.
    pub fn work(&self) -> &'static str {
        match self {
            MediaCommand::List => "volume list",
            MediaCommand::Show { .. } => "volume show",
            MediaCommand::Add(_) => "volume add",
            MediaCommand::Label { .. } => "volume label",
            MediaCommand::SetState { .. } => "volume set-state",
            MediaCommand::Test { .. } => "volume test",
            MediaCommand::Stocktake { .. } => "volume stocktake",
            MediaCommand::WhatIf { .. } => "volume what-if",
            MediaCommand::Forecast(_) => "forecast",
            MediaCommand::AuditShow(search) if search.export => "audit export",
            MediaCommand::AuditShow(_) => "audit show",
            MediaCommand::AuditVerify => "audit verify",
            MediaCommand::ConfirmClock => "audit confirm-clock",
        }
    }
}

impl Vault {
    /// Does what a command says, for `caller`, and answers in JSON.
    pub async fn media_command(&self, command: MediaCommand, caller: Caller) -> Result<Value> {
        let by = self.admit(&caller, command.work()).await?;
        let vault = self.clone();
        let done = tokio::task::spawn_blocking(move || run(&vault, command, &by.actor)).await;
        done.map_err(|_| Error::Bug("a command about media panicked"))?
    }
}

fn run(vault: &Vault, command: MediaCommand, actor: &str) -> Result<Value> {
    let volumes = vault.volumes();
    Ok(match command {
        MediaCommand::List => json!({ "volumes": volumes.list() }),
        MediaCommand::Show { volume } => json!(volumes.show(&volume)?),
        MediaCommand::Add(request) => json!(volumes.add(&request, actor)?),
        MediaCommand::Label { volume, change, reason, dry_run } => {
            json!(volumes.relabel(&volume, &change, &reason, dry_run, actor)?)
        }
        MediaCommand::SetState { volume, to, reason, dry_run } => {
            json!(volumes.set_state(&volume, to, &reason, dry_run, actor)?)
        }
        MediaCommand::Test { volume, measured } => {
            json!({ "dry_run": measured.dry_run, "recorded": volumes.measure(&volume, &measured, actor)? })
        }
        MediaCommand::Stocktake { seen, reason } => json!(volumes.stocktake(&seen, &reason, actor)?),
        MediaCommand::WhatIf { lose } => json!(volumes.what_if(&lose)?),
        MediaCommand::Forecast(request) => json!(volumes.forecast(&request)?),
        MediaCommand::AuditShow(search) => search.answer(vault, actor)?,
        MediaCommand::AuditVerify => json!(vault.inner.verify_log()?),
        MediaCommand::ConfirmClock => {
            volumes.confirm_clock(actor)?;
            json!({ "clock": "confirmed" })
        }
    })
}
