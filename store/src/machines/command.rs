//! The operator's commands about machines, as values: a running vault takes them through its administration socket and a
//! stopped one in the process that asks.

use super::host::mark_of;
use super::{CheckKind, Machine, MachineFacts, MachineId, MachineKind, MachineState};
use crate::accounts::Caller;
use crate::audit::{Action, AuditEvent, AuditQuery, AuditRecord, Detail};
use crate::error::{Error, Result};
use crate::vault::{Inner, Vault, blocking};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shosoin_protocol::Digest;
use std::net::IpAddr;

/// One command.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum MachineCommand {
    /// register a machine
    Add {
        /// its id, which nobody had
        id: MachineId,
        /// what it is for
        kind: MachineKind,
        /// its addresses
        addresses: Vec<IpAddr>,
        /// it is the host that this vault is open on: what recognises that is noted
        this_host: bool,
        /// why
        reason: String,
    },
    /// other addresses, or what recognises it read again
    Change {
        /// which
        id: MachineId,
        /// all of its addresses; as they are where left out
        addresses: Option<Vec<IpAddr>>,
        /// it is the host that this vault is open on
        this_host: bool,
        /// why
        reason: String,
    },
    /// every machine there ever was
    List,
    /// one machine with its history
    Show {
        /// which
        id: MachineId,
    },
    /// results of checks
    Check {
        /// of which machine
        id: MachineId,
        /// what passed
        passed: Vec<CheckKind>,
        /// what did not
        failed: Vec<CheckKind>,
        /// when, in milliseconds since 1970; now where left out
        made_ms: Option<u64>,
        /// how
        reason: String,
    },
    /// another state
    SetState {
        /// of which machine
        id: MachineId,
        /// which
        to: MachineState,
        /// why
        reason: String,
    },
}

impl MachineCommand {
    /// What it is called in the table of permissions.
    pub fn work(&self) -> &'static str {
        match self {
            MachineCommand::Add { .. } => "machine add",
            MachineCommand::Change { .. } => "machine change",
            MachineCommand::List => "machine list",
            MachineCommand::Show { .. } => "machine show",
            MachineCommand::Check { .. } => "machine check",
            MachineCommand::SetState { .. } => "machine set-state",
        }
    }
}

impl Vault {
    /// Does what a command says, for `caller`, and answers in JSON.
    pub async fn machine_command(&self, command: MachineCommand, caller: Caller) -> Result<Value> {
        let actor = self.admit(&caller, command.work()).await?.actor;
        let inner = self.inner.clone();
        blocking(move || inner.machine_command(command, &actor)).await
    }
}

impl Inner {
    fn machine_command(&self, command: MachineCommand, actor: &str) -> Result<Value> {
        let event = |action, reason: &str| AuditEvent::new(self.clock.now_ms(), actor, action).because(reason);
        match command {
            MachineCommand::List => {
                let machines = self.media.machines();
                let views: Vec<Value> = machines.list().map(|machine| self.machine_view(machine)).collect();
                Ok(json!({ "machines": views, "host": self.host_standing() }))
            }
            MachineCommand::Show { id } => {
                let machine = self.machine_view(self.media.machines().get(&id)?);
                Ok(json!({ "machine": machine, "history": self.machine_history(&id)? }))
            }
            MachineCommand::Add { id, kind, addresses, this_host, reason } => {
                let facts = MachineFacts { id, kind, addresses: ascending(addresses), mark: self.own_mark(this_host)? };
                let machines = self.media.register(|machines| {
                    given(&reason)?;
                    machines.may_add(&facts)?;
                    let detail = Detail::Machine(Box::new(facts.clone()));
                    Ok(vec![event(Action::MachineAdded, &reason).with(detail)])
                })?;
                Ok(json!({ "machine": self.machine_view(machines.get(&facts.id)?) }))
            }
            MachineCommand::Change { id, addresses, this_host, reason } => {
                let mark = self.own_mark(this_host)?;
                let machines = self.media.register(|machines| {
                    given(&reason)?;
                    let now = &machines.get(&id)?.facts;
                    let addresses = addresses.map_or_else(|| now.addresses.clone(), ascending);
                    let facts = MachineFacts { addresses, mark: mark.or(now.mark), ..now.clone() };
                    machines.may_change(&facts)?;
                    Ok(vec![event(Action::MachineChanged, &reason).with(Detail::Machine(Box::new(facts)))])
                })?;
                Ok(json!({ "machine": self.machine_view(machines.get(&id)?) }))
            }
            MachineCommand::SetState { id, to, reason } => {
                let machines = self.media.register(|machines| {
                    given(&reason)?;
                    let days = self.config.machines.check_days;
                    let from = machines.may_become(&id, to, self.clock.now_ms(), days)?;
                    let detail = Detail::MachineState { id: id.clone(), from, to };
                    Ok(vec![event(Action::MachineState, &reason).with(detail)])
                })?;
                Ok(json!({ "machine": self.machine_view(machines.get(&id)?) }))
            }
            MachineCommand::Check { id, passed, failed, made_ms, reason } => {
                let results: Vec<(CheckKind, bool)> = passed
                    .into_iter()
                    .map(|kind| (kind, true))
                    .chain(failed.into_iter().map(|kind| (kind, false)))
                    .collect();
                let machines = self.media.register(|machines| {
                    given(&reason)?;
                    each_once(&results)?;
                    let now_ms = self.clock.now_ms();
                    let made_ms = made_ms.unwrap_or(now_ms);
                    machines.may_check(&id, made_ms, now_ms)?;
                    let one = |(check, passed): &(CheckKind, bool)| {
                        let detail = Detail::MachineCheck { id: id.clone(), check: *check, passed: *passed, made_ms };
                        event(Action::MachineChecked, &reason).with(detail)
                    };
                    Ok(results.iter().map(one).collect())
                })?;
                Ok(json!({ "machine": self.machine_view(machines.get(&id)?) }))
            }
        }
    }

    fn own_mark(&self, this_host: bool) -> Result<Option<Digest>> {
        if !this_host {
            return Ok(None);
        }
        let file = &self.config.machines.host_id;
        mark_of(file, self.identity.vault())?.map(Some).ok_or_else(|| {
            let why = format!("{} says nothing of this host; machines.host_id may name another file", file.display());
            Error::Argument { what: "host", why }
        })
    }

    fn machine_view(&self, machine: &Machine) -> Value {
        let (now_ms, days) = (self.clock.now_ms(), self.config.machines.check_days);
        let mut view = json!(machine);
        view["may_connect"] = json!(machine.obstacle(now_ms, days).is_none());
        view["obstacle"] = json!(machine.obstacle(now_ms, days));
        view["checks_missing"] = json!(machine.lacks(now_ms, days));
        view
    }

    fn machine_history(&self, id: &MachineId) -> Result<Vec<AuditRecord>> {
        let actions = vec![Action::MachineAdded, Action::MachineChanged, Action::MachineState, Action::MachineChecked];
        let records = self.media.audit().read(&AuditQuery { actions, ..AuditQuery::default() })?;
        let of = |record: &AuditRecord| match &record.event.detail {
            Detail::Machine(facts) => facts.id == *id,
            Detail::MachineState { id: of, .. } | Detail::MachineCheck { id: of, .. } => of == id,
            _ => false,
        };
        Ok(records.into_iter().filter(of).collect())
    }
}

fn ascending(mut addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    addresses.iter_mut().for_each(|address| *address = address.to_canonical());
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

fn given(reason: &str) -> Result<()> {
    match reason.trim().is_empty() {
        true => Err(Error::Argument { what: "reason", why: "the audit log wants one".to_owned() }),
        false => Ok(()),
    }
}

fn each_once(results: &[(CheckKind, bool)]) -> Result<()> {
    let kinds: std::collections::BTreeSet<CheckKind> = results.iter().map(|(kind, _)| *kind).collect();
    match (results.is_empty(), kinds.len() == results.len()) {
        (true, _) => Err(Error::Argument { what: "checks", why: "say what passed or failed".to_owned() }),
        (_, false) => Err(Error::Argument { what: "checks", why: "one of them is there twice".to_owned() }),
        _ => Ok(()),
    }
}
