//! The operator's commands about the end of records, as values: a running vault takes them through its administration
//! socket and a stopped one in the process that asks.

use super::due::DueQuery;
use crate::accounts::Caller;
use crate::error::{Error, Result};
use crate::vault::{Vault, blocking};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shosoin_protocol::VersionId;

/// One command.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum DisposalCommand {
    /// what could be disposed of if it were ordered
    Due(DueQuery),
    /// orders, and how far each has come
    Status {
        /// only this one, in hex
        order: Option<String>,
    },
    /// an approval that somebody signed, in hex
    Approve {
        /// the bytes of its file
        approval: String,
    },
    /// carry an order out, or go on with it
    Run {
        /// which, in hex
        order: String,
        /// only say what would be done
        dry_run: bool,
    },
    /// issue a certificate of a disposal, or give the newest
    Certificate {
        /// of which order, in hex
        order: String,
    },
}

impl DisposalCommand {
    /// What it is called in the table of permissions.
    pub fn work(&self) -> &'static str {
        match self {
            DisposalCommand::Due(_) => "dispose due",
            DisposalCommand::Status { .. } => "dispose status",
            DisposalCommand::Approve { .. } => "dispose approve",
            DisposalCommand::Run { .. } => "dispose run",
            DisposalCommand::Certificate { .. } => "dispose certificate",
        }
    }
}

impl Vault {
    /// Does what a command says, for `caller`, and answers in JSON.
    pub async fn disposal_command(&self, command: DisposalCommand, caller: Caller) -> Result<Value> {
        let actor = self.admit(&caller, command.work()).await?.actor;
        let inner = self.inner.clone();
        blocking(move || match command {
            DisposalCommand::Due(query) => Ok(json!(inner.due(&query, &actor)?)),
            DisposalCommand::Status { order } => {
                let order = order.as_deref().map(parse).transpose()?;
                Ok(json!({ "orders": inner.disposals(order, &actor)? }))
            }
            DisposalCommand::Approve { approval } => {
                let wrong = |_| Error::Argument { what: "approval", why: "it must be hex".into() };
                Ok(json!(inner.approve(&hex::decode(approval).map_err(wrong)?, &actor)?))
            }
            DisposalCommand::Run { order, dry_run } => Ok(json!(inner.dispose(parse(&order)?, dry_run, &actor)?)),
            DisposalCommand::Certificate { order } => {
                let order = parse(&order)?;
                let desk = inner.desk_of_order(order)?;
                inner.certify(&desk, order, &actor)?.handed_out()
            }
        })
        .await
    }
}

fn parse(order: &str) -> Result<VersionId> {
    let wrong = |error: shosoin_protocol::Error| Error::Argument { what: "order", why: error.to_string() };
    order.parse().map_err(wrong)
}
