//! The operator's commands about being told, as values for the administration socket.

use crate::accounts::Caller;
use crate::audit::{Action, AuditEvent};
use crate::error::Result;
use crate::vault::{Vault, blocking};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// One command.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum NotifyCommand {
    /// how each channel fares
    Status,
    /// tell everybody that this is a trial
    Try,
}

impl NotifyCommand {
    /// What it is called in the table of permissions.
    pub fn work(self) -> &'static str {
        match self {
            NotifyCommand::Status => "notify status",
            NotifyCommand::Try => "notify try",
        }
    }
}

impl Vault {
    /// Does what a command says, for `caller`, and answers in JSON.
    pub async fn notify_command(&self, command: NotifyCommand, caller: Caller) -> Result<Value> {
        let actor = self.admit(&caller, command.work()).await?.actor;
        let inner = self.inner.clone();
        blocking(move || {
            let mut record = None;
            if let NotifyCommand::Try = command {
                let event = AuditEvent::new(inner.clock.now_ms(), actor, Action::NoticeTried);
                record = Some(inner.media.record(event)?);
            }
            let standings = inner.standings.list();
            let channel = |config: &super::ChannelConfig| {
                let standing = standings.get(&config.name).cloned().unwrap_or_default();
                let kind = if config.url.is_some() { "webhook" } else { "mail" };
                json!({ "name": config.name, "kind": kind, "standing": standing })
            };
            let channels: Vec<Value> = inner.config.notify.iter().map(channel).collect();
            Ok(json!({ "record": record, "newest": inner.media.audit().head().0, "channels": channels }))
        })
        .await
    }
}
