//! The operator's commands about the end of records, as values: a running vault takes them through its administration
//! socket and a stopped one in the process that asks.

use super::due::DueQuery;
use crate::accounts::Caller;
use crate::error::Result;
use crate::vault::{Vault, blocking};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// One command.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum DisposalCommand {
    /// what could be disposed of if it were ordered
    Due(DueQuery),
}

impl DisposalCommand {
    /// What it is called in the table of permissions.
    pub fn work(&self) -> &'static str {
        match self {
            DisposalCommand::Due(_) => "dispose due",
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
        })
        .await
    }
}
