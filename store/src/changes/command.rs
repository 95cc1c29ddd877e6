//! The operator's commands about changes, as values: a running vault takes them through its administration socket and a stopped
//! one in the process that asks.

use super::look::{digest_of_settings, settings_of};
use super::{Change, ChangeFacts, ChangeKind};
use crate::accounts::{Agreement, Caller, Mode, RequestKind};
use crate::audit::{Action, AuditEvent, Detail};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::machines::MachineId;
use crate::setup;
use crate::vault::{Inner, Vault, blocking};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shosoin_protocol::Digest;
use shosoin_protocol::codec::Writer;
use shosoin_protocol::suite::sha256;
use std::path::PathBuf;

/// One command.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ChangeCommand {
    /// register a change, once a second person agreed; the first call asks for them
    Add {
        /// what is changed
        thing: Thing,
        /// what is changed, in words
        what: String,
        /// how it was found to work
        tested: String,
        /// who agreed, where no accounts say so
        approved_by: Option<String>,
        /// why
        reason: String,
    },
    /// every change, and how the vault stands to them
    List,
    /// one change
    Show {
        /// its number
        number: u64,
    },
}

/// What is changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Thing {
    /// the program
    Program {
        /// file of the new one, on the vault's machine
        file: PathBuf,
        /// SHA-256 as its maker published it, in hex
        sha256: String,
        /// its release
        release: String,
    },
    /// the settings
    Settings {
        /// file that becomes `vault.toml`; `vault.toml` as it is where left out
        file: Option<PathBuf>,
    },
    /// a machine of the register
    Machine {
        /// which
        id: MachineId,
    },
}

impl ChangeCommand {
    /// What it is called in the table of permissions.
    pub fn work(&self) -> &'static str {
        match self {
            ChangeCommand::Add { .. } => "change add",
            ChangeCommand::List => "change list",
            ChangeCommand::Show { .. } => "change show",
        }
    }
}

/// Who asks.
struct Asking<'a> {
    caller: &'a Caller,
    actor: &'a str,
}

impl Vault {
    /// Does what a command says, for `caller`, and answers in JSON.
    pub async fn change_command(&self, command: ChangeCommand, caller: Caller) -> Result<Value> {
        let actor = self.admit(&caller, command.work()).await?.actor;
        let inner = self.inner.clone();
        blocking(move || match command {
            ChangeCommand::List => {
                let status = inner.self_status(inner.look());
                Ok(json!({ "changes": inner.media.changes().list(), "now": status }))
            }
            ChangeCommand::Show { number } => Ok(json!({ "change": inner.media.changes().get(number)? })),
            ChangeCommand::Add { thing, what, tested, approved_by, reason } => {
                let facts = inner.facts_of(thing, what, tested)?;
                inner.add_change(facts, approved_by, &reason, &Asking { caller: &caller, actor: &actor })
            }
        })
        .await
    }
}

impl Inner {
    /// What the register is to say, who agreed aside. Refuses a program that is not the one its maker published.
    fn facts_of(&self, thing: Thing, what: String, tested: String) -> Result<ChangeFacts> {
        let now = self.look();
        let changes = self.media.changes();
        let bare = |kind, subject| {
            let (before, after, request, approved_by) = (None, None, 0, String::new());
            ChangeFacts {
                kind,
                subject,
                before,
                after,
                request,
                approved_by,
                what: what.clone(),
                tested: tested.clone(),
            }
        };
        let before = |kind: ChangeKind, now: Digest, after: Digest| match changes.newest(kind) {
            Some(newest) => newest.facts.after,
            None => Some(now).filter(|now| *now != after),
        };
        Ok(match thing {
            Thing::Program { file, sha256, release } => {
                let wrong = |_| Error::Argument { what: "sha256", why: "it is no 64 hex digits".to_owned() };
                let published: Digest = sha256.to_lowercase().parse().map_err(wrong)?;
                let (found, _) = setup::digest_of(&file)?;
                if found != published {
                    let why =
                        format!("{} has {found}, and {published} was published: do not install it", file.display());
                    return Err(Error::Argument { what: "program", why });
                }
                let kind = ChangeKind::Program;
                let before = before(kind, now.program, found);
                ChangeFacts { before, after: Some(found), ..bare(kind, release) }
            }
            Thing::Settings { file } => {
                let after = match file {
                    Some(file) => digest_of_settings(Config::read(&file)?)?,
                    None => settings_of(&self.dir)?,
                };
                let kind = ChangeKind::Settings;
                let before = before(kind, now.settings, after);
                ChangeFacts { before, after: Some(after), ..bare(kind, String::new()) }
            }
            Thing::Machine { id } => {
                self.media.machines().get(&id)?;
                bare(ChangeKind::Machine, id.to_string())
            }
        })
    }

    fn add_change(
        &self,
        facts: ChangeFacts,
        approved_by: Option<String>,
        reason: &str,
        asking: &Asking<'_>,
    ) -> Result<Value> {
        if reason.trim().is_empty() {
            return Err(Error::Argument { what: "reason", why: "the audit log wants one".to_owned() });
        }
        let known = approved_by.clone().unwrap_or_else(|| "-".to_owned());
        self.media.changes().may_add(&ChangeFacts { approved_by: known, ..facts.clone() })?;
        // in a vault without accounts nobody can be asked to agree, so who did is what the caller says
        let facts = match (self.accounts.mode(), approved_by) {
            (Mode::NoAccounts, Some(approved_by)) => ChangeFacts { approved_by, ..facts },
            (Mode::NoAccounts, None) => {
                let why = "this vault has no accounts: say who agreed (--approved-by)".to_owned();
                return Err(Error::Argument { what: "who agreed", why });
            }
            (_, Some(_)) => {
                let why = "this vault has accounts: who agreed is whoever approves the request".to_owned();
                return Err(Error::Argument { what: "who agreed", why });
            }
            (_, None) => {
                let (subject, what) = (subject_of(&facts), digest_of_facts(&facts));
                match self.accounts.take_or_ask(asking.caller, RequestKind::Change, &subject, what, asking.actor)? {
                    Agreement::Waits(request) => {
                        return Ok(json!({ "state": "waiting", "request": request.number }));
                    }
                    Agreement::Given(approved) => {
                        let by: Vec<&str> = approved.by().iter().map(|id| id.as_str()).collect();
                        ChangeFacts { request: approved.number(), approved_by: by.join(", "), ..facts }
                    }
                }
            }
        };
        let changes = self.media.register_change(|changes| {
            changes.may_add(&facts)?;
            let event = AuditEvent::new(self.clock.now_ms(), asking.actor, Action::ChangeRegistered).because(reason);
            Ok(event.with(Detail::Change(Box::new(facts.clone()))))
        })?;
        let number = changes.list().len() as u64;
        self.note_look(self.look())?; // what is there already is in force from now on
        let change: Change = self.media.changes().get(number)?.clone();
        Ok(json!({ "state": "registered", "change": change }))
    }
}

/// What others are asked to agree to, in words that name it.
fn subject_of(facts: &ChangeFacts) -> String {
    let after = facts.after.map(|after| after.to_string()).unwrap_or_default();
    [facts.kind.name(), &facts.subject, &after]
        .into_iter()
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Exactly that.
fn digest_of_facts(facts: &ChangeFacts) -> Digest {
    let mut out = Writer::new();
    facts.write(&mut out);
    sha256(&[b"shosoin change v1\0", &out.finish()])
}
