//! The operator's commands about the lines to hospitals, as values: a running vault takes them through its administration socket
//! and a stopped one in the process that asks.

use crate::accounts::{Agreement, Caller, Mode, RequestKind};
use crate::acts::OperatorAct;
use crate::audit::{Action, AuditEvent};
use crate::desk::Desk;
use crate::error::{Error, Result};
use crate::vault::{Inner, Vault, blocking};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shosoin_protocol::act::{Document, Reopened, StopCause};
use shosoin_protocol::suite::sha256;
use std::sync::Arc;

/// One command.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum TransferCommand {
    /// how the lines stand
    Status {
        /// whose, in hex; all where it is left out
        hospital: Option<String>,
    },
    /// let a line be used again, once a second person agreed; the first call asks for them
    Reopen {
        /// whose, in hex; may be left out where the vault knows one hospital
        hospital: Option<String>,
        /// what the cause was: `line`, `hospital`, `operator`, `attack` or `unknown`
        cause: String,
        /// what was found, in the operator's words, for the audit log
        reason: String,
    },
}

impl TransferCommand {
    /// What it is called in the table of permissions.
    pub fn work(&self) -> &'static str {
        match self {
            TransferCommand::Status { .. } => "transfer status",
            TransferCommand::Reopen { .. } => "transfer reopen",
        }
    }
}

impl Vault {
    /// Does what a command says, for `caller`, and answers in JSON.
    pub async fn transfer_command(&self, command: TransferCommand, caller: Caller) -> Result<Value> {
        let actor = self.admit(&caller, command.work()).await?.actor;
        let inner = self.inner.clone();
        blocking(move || match command {
            TransferCommand::Status { hospital } => {
                let desks = match hospital.as_deref() {
                    Some(hospital) => vec![inner.desk_of(Some(hospital))?],
                    None => inner.desks(),
                };
                let one = |desk: &Arc<Desk>| json!({ "hospital": desk.info().hospital.to_string(), "line": inner.line_status(desk) });
                Ok(json!({ "time_ms": inner.clock.now_ms(), "lines": desks.iter().map(one).collect::<Vec<_>>() }))
            }
            TransferCommand::Reopen { hospital, cause, reason } => {
                let desk = inner.desk_of(hospital.as_deref())?;
                let known = StopCause::ALL.iter().map(|cause| cause.name()).collect::<Vec<_>>().join(", ");
                let wrong = || Error::Argument { what: "cause", why: format!("{cause} is none of {known}") };
                let cause = StopCause::parse(&cause).ok_or_else(wrong)?;
                inner.reopen(&desk, cause, &reason, &caller, &actor)
            }
        })
        .await
    }
}

impl Inner {
    fn reopen(&self, desk: &Arc<Desk>, cause: StopCause, reason: &str, caller: &Caller, actor: &str) -> Result<Value> {
        let hospital = desk.info().hospital;
        let Some((stopped, said)) = self.stop_of(hospital) else {
            return Err(Error::NotFound { what: "stop of communication with hospital", id: hospital.to_string() });
        };
        if reason.trim().is_empty() {
            return Err(Error::Argument {
                what: "reason",
                why: "say what was found; it goes into the audit log".into(),
            });
        }
        // in a vault without accounts there is nobody to agree; the statement of applicability counts that as not met
        let request = match self.accounts.mode() {
            Mode::NoAccounts => 0,
            _ => {
                let subject = format!("{} {hospital} {stopped}", cause.name());
                let what = sha256(&[&stopped.0, &[cause.code()]]);
                match self.accounts.take_or_ask(caller, RequestKind::Reopening, &subject, what, actor)? {
                    Agreement::Given(approved) => approved.number(),
                    Agreement::Waits(request) => {
                        return Ok(json!({ "state": "waiting", "request": request.number }));
                    }
                }
            }
        };
        let document = Document::Reopened(Reopened { stopped, cause, request });
        let leaf_index = desk.state(OperatorAct { id: self.fresh_id()?, subject: None, document })?.index;
        self.line_opened(hospital)?;
        let mut event = AuditEvent::new(self.clock.now_ms(), actor, Action::CommunicationReopened);
        (event.hospital, event.units) = (Some(hospital), said.failures.into());
        self.media.record(event.because(reason))?;
        Ok(json!({ "state": "open", "request": request, "leaf_index": leaf_index }))
    }
}
