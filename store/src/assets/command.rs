//! The operator's commands about what is held, as values: a running vault takes them through its administration socket
//! and a stopped one in the process that asks.

use super::AssetQuery;
use crate::accounts::Caller;
use crate::error::{Error, Result};
use crate::vault::Vault;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// One command.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum AssetCommand {
    /// a page
    List(Box<AssetQuery>),
    /// one deposit
    Show {
        /// whose, in hex; may be left out where the vault knows one hospital
        hospital: Option<String>,
        /// reference number
        number: u64,
    },
    /// compare what was received with what is held, and sign it
    Reconcile {
        /// whose, in hex; may be left out where the vault knows one hospital
        hospital: Option<String>,
    },
}

impl AssetCommand {
    /// What it is called in the table of permissions. An export is pages of the list.
    pub fn work(&self) -> &'static str {
        match self {
            AssetCommand::List(_) => "assets list",
            AssetCommand::Show { .. } => "assets show",
            AssetCommand::Reconcile { .. } => "reconcile sign",
        }
    }
}

impl Vault {
    /// Does what a command says, for `caller`, and answers in JSON.
    pub async fn asset_command(&self, command: AssetCommand, caller: Caller) -> Result<Value> {
        let actor = self.admit(&caller, command.work()).await?.actor;
        let inner = self.inner.clone();
        let run = move || match command {
            AssetCommand::List(query) => Ok(json!(inner.assets(&query, &actor)?)),
            AssetCommand::Show { hospital, number } => Ok(json!(inner.asset(hospital.as_deref(), number, &actor)?)),
            AssetCommand::Reconcile { hospital } => Ok(json!(inner.reconcile(hospital.as_deref(), &actor)?)),
        };
        let done = tokio::task::spawn_blocking(run).await;
        done.map_err(|_| Error::Bug("a command about assets panicked"))?
    }
}
