//! The operator's commands about quarantine, as values: a running vault takes them through its administration socket and a
//! stopped one in the process that asks.
//!
//! Order of a release: two people agreed to exactly this, the evidence is verified, handed out and synced, the ledger says so,
//! then the file goes. After a stop the start goes on behind the ledger.

use super::{Item, QuarantineStatus};
use crate::accounts::{Agreement, Caller, RequestKind};
use crate::acts::OperatorAct;
use crate::audit::{Action, AuditEvent};
use crate::desk::Desk;
use crate::error::{Error, Result};
use crate::vault::{Inner, Vault, blocking};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shosoin_protocol::act::{Document, QuarantineOut, QuarantineOutcome};
use shosoin_protocol::suite::sha256;
use shosoin_protocol::{Digest, VersionId};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One command.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum QuarantineCommand {
    /// what is in quarantine
    List {
        /// whose, in hex; may be left out where the vault knows one hospital
        hospital: Option<String>,
        /// what left it too
        all: bool,
    },
    /// one thing, its evidence verified
    Show {
        /// whose, in hex; may be left out where the vault knows one hospital
        hospital: Option<String>,
        /// its number
        id: String,
    },
    /// hand evidence out or destroy it, once two people agreed; the first call asks for the second person
    Release {
        /// whose, in hex; may be left out where the vault knows one hospital
        hospital: Option<String>,
        /// its number
        id: String,
        /// a file that is not there yet, which the evidence is written to; none: it is destroyed
        to: Option<PathBuf>,
    },
}

/// What quarantine holds of one hospital, and held.
#[derive(Debug, Clone, Serialize)]
pub struct InQuarantine {
    /// whose, in hex
    pub hospital: String,
    /// what is there
    pub status: QuarantineStatus,
    /// each thing
    pub items: Vec<QuarantineAnswer>,
}

/// An item as commands and pages show it. Times in milliseconds since 1970.
#[derive(Debug, Clone, Serialize)]
pub struct QuarantineAnswer {
    /// its number
    pub id: String,
    /// leaf of the entry by which it came in
    pub leaf_index: u64,
    /// why
    pub reason: &'static str,
    /// a deposit or a chunk
    pub thing: &'static str,
    /// the version that it names, if any
    pub version: Option<String>,
    /// when it came in
    pub taken_ms: u64,
    /// until when people must have decided
    pub until_ms: u64,
    /// nobody has
    pub overdue: bool,
    /// records that are kept
    pub records: u32,
    /// records that there was no room for
    pub left_out: u32,
    /// bytes that are kept
    pub bytes: u64,
    /// `held`, `handed-out` or `destroyed`
    pub state: &'static str,
    /// when it left
    pub left_ms: Option<u64>,
}

impl QuarantineAnswer {
    fn of(item: &Item, now_ms: u64) -> Self {
        let said = &item.said;
        QuarantineAnswer {
            id: item.id.to_string(),
            leaf_index: item.index,
            reason: said.reason.name(),
            thing: said.thing.name(),
            version: said.version.map(|version| version.to_string()),
            taken_ms: said.taken_ms,
            until_ms: said.until_ms,
            overdue: item.is_overdue(now_ms),
            records: said.records,
            left_out: said.left_out,
            bytes: said.bytes,
            state: item.left.map_or("held", |(_, out)| out.outcome.name()),
            left_ms: item.left.map(|(at_ms, _)| at_ms),
        }
    }
}

impl QuarantineCommand {
    /// What it is called in the table of permissions.
    pub fn work(&self) -> &'static str {
        match self {
            QuarantineCommand::List { .. } => "quarantine list",
            QuarantineCommand::Show { .. } => "quarantine show",
            QuarantineCommand::Release { .. } => "quarantine release",
        }
    }
}

impl Vault {
    /// What quarantine holds of each hospital, and held.
    pub(crate) fn in_quarantine(&self) -> Result<Vec<InQuarantine>> {
        self.inner.in_quarantine(&self.inner.desks(), true)
    }

    /// Does what a command says, for `caller`, and answers in JSON.
    pub async fn quarantine_command(&self, command: QuarantineCommand, caller: Caller) -> Result<Value> {
        let actor = self.admit(&caller, command.work()).await?.actor;
        let inner = self.inner.clone();
        blocking(move || match command {
            QuarantineCommand::List { hospital, all } => inner.list_quarantine(hospital.as_deref(), all),
            QuarantineCommand::Show { hospital, id } => inner.show_quarantined(hospital.as_deref(), &id),
            QuarantineCommand::Release { hospital, id, to } => {
                let desk = inner.desk_of(hospital.as_deref())?;
                inner.release_quarantined(&desk, &id, to.as_deref(), &By { caller: &caller, actor: &actor })
            }
        })
        .await
    }
}

/// Who asks.
struct By<'a> {
    caller: &'a Caller,
    actor: &'a str,
}

impl Inner {
    fn list_quarantine(&self, hospital: Option<&str>, all: bool) -> Result<Value> {
        let desks = match hospital {
            Some(_) => vec![self.desk_of(hospital)?],
            None => self.desks(),
        };
        Ok(json!({ "time_ms": self.clock.now_ms(), "hospitals": self.in_quarantine(&desks, all)? }))
    }

    fn in_quarantine(&self, desks: &[Arc<Desk>], all: bool) -> Result<Vec<InQuarantine>> {
        let now_ms = self.clock.now_ms();
        let one = |desk: &Arc<Desk>| {
            let items = self.quarantined(desk)?;
            let shown = items.iter().filter(|item| all || item.left.is_none());
            let items = shown.map(|item| QuarantineAnswer::of(item, now_ms)).collect();
            let status = self.quarantine_status(desk)?;
            Ok(InQuarantine { hospital: desk.info().hospital.to_string(), status, items })
        };
        desks.iter().map(one).collect()
    }

    fn show_quarantined(&self, hospital: Option<&str>, id: &str) -> Result<Value> {
        let desk = self.desk_of(hospital)?;
        let item = self.quarantined_item(&desk, id)?;
        let mut shown = json!(QuarantineAnswer::of(&item, self.clock.now_ms()));
        shown["hospital"] = json!(desk.info().hospital.to_string());
        if item.left.is_none() {
            let intact = self.quarantine.verify(desk.info().hospital, &item);
            shown["intact"] = json!(intact.is_ok());
            shown["damage"] = json!(intact.as_ref().err().map(|error| error.problem().message));
            if let Ok(head) = intact {
                let record = |record: &shosoin_protocol::quarantine::EvidenceRecord| {
                    let origin = if record.came_along { "came-along" } else { "held" };
                    json!({ "address": record.address.to_string(), "bytes": record.len, "origin": origin })
                };
                shown["contents"] = json!(head.records.iter().map(record).collect::<Vec<_>>());
            }
        }
        Ok(shown)
    }

    fn quarantined_item(&self, desk: &Desk, id: &str) -> Result<Item> {
        let wrong = |error: shosoin_protocol::Error| Error::Argument { what: "number", why: error.to_string() };
        let sought: VersionId = id.parse().map_err(wrong)?;
        let found = self.quarantined(desk)?.iter().find(|item| item.id == sought).cloned();
        found.ok_or_else(|| Error::NotFound { what: "evidence", id: id.to_owned() })
    }

    fn release_quarantined(&self, desk: &Arc<Desk>, id: &str, to: Option<&Path>, by: &By<'_>) -> Result<Value> {
        let _one = self.quarantine.working.lock();
        let hospital = desk.info().hospital;
        let item = self.quarantined_item(desk, id)?;
        if item.left.is_some() {
            return Err(Error::NotFound { what: "evidence", id: id.to_owned() });
        }
        let outcome = if to.is_some() { QuarantineOutcome::HandedOut } else { QuarantineOutcome::Destroyed };
        let intact = self.quarantine.verify(hospital, &item);
        if let (Some(_), Err(error)) = (to, &intact) {
            let why = format!("cannot be handed out, it is not what came in: {}", error.problem().message);
            return Err(Error::Damaged { what: "evidence", id: id.to_owned(), why });
        }
        let subject = format!("{} {} {}", outcome.name(), hospital, item.id);
        let what = exactly(&item, outcome);
        let approved =
            match self.accounts.take_or_ask(by.caller, RequestKind::QuarantineRelease, &subject, what, by.actor)? {
                Agreement::Waits(request) => {
                    return Ok(json!({ "state": "waiting", "request": request.number, "id": id }));
                }
                Agreement::Given(approved) => approved,
            };
        if let Some(to) = to {
            self.hand_out(hospital, item.id, to)?;
        }
        let out = QuarantineOut { quarantined: item.id, outcome, intact: intact.is_ok(), request: approved.number() };
        let act = OperatorAct { id: self.fresh_id()?, subject: None, document: Document::QuarantineOut(out) };
        let leaf_index = desk.state(act)?.index;
        self.quarantine.forget(hospital);
        self.quarantine.remove(hospital, item.id)?;
        let mut event = AuditEvent::new(self.clock.now_ms(), by.actor, Action::QuarantineReleased);
        (event.hospital, event.bytes) = (Some(hospital), item.said.bytes);
        self.media.record(event.because(format!("{} {}", outcome.name(), item.id)))?;
        Ok(
            json!({ "state": outcome.name(), "request": approved.number(), "id": id, "leaf_index": leaf_index, "to": to }),
        )
    }

    /// Writes evidence to a new file that nobody else can read, durably.
    fn hand_out(&self, hospital: shosoin_protocol::HospitalId, id: VersionId, to: &Path) -> Result<()> {
        let failed = |source| Error::Io { action: "write", path: to.to_owned(), source };
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(failed)?;
        self.quarantine.copy(hospital, id, |bytes| file.write_all(bytes), to)?;
        file.sync_all().map_err(failed)
    }
}

/// What people agree to: this evidence, and this end of it.
fn exactly(item: &Item, outcome: QuarantineOutcome) -> Digest {
    sha256(&[&item.id.0, &item.said.evidence.0, &[outcome.code()]])
}
