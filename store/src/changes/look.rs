//! The vault looks at its own files: the program it runs and its settings, against the register of changes. At every start of a
//! process that serves, after a change was registered, and once a day while it runs (guideline 7.4-R4, 7.6.1-M6, 7.6.2-M4).

use super::{ChangeKind, Changes, Registered};
use crate::audit::{Action, AuditEvent, Detail, Outcome};
use crate::check::{Finding, Severity};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::incidents::Told;
use crate::setup;
use crate::vault::{Inner, Vault, blocking};
use serde::Serialize;
use shosoin_protocol::Digest;
use shosoin_protocol::act::{IncidentClass, Severity as Grave};
use shosoin_protocol::suite::sha256;
use shosoin_tiers::life::DAY_MS;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Longest time between two looks of a vault that is served.
pub const PERIOD_MS: u64 = DAY_MS;
/// Who looks.
const LOOKER: &str = "self-check";
/// The digest of what cannot be read; nothing has it.
const UNREADABLE: Digest = Digest([0; 32]);
/// Rights of others to write.
const OTHERS_WRITE: u32 = 0o022;

/// What the vault is made of, as it is on disk at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    /// the program
    pub program: Digest,
    /// the settings, their list of volumes aside
    pub settings: Digest,
    /// bytes that were read
    pub bytes: u64,
    /// whether others than its owner may write to the program
    pub open_to_others: bool,
    /// when, in milliseconds since 1970
    pub at_ms: u64,
}

/// What the vault says of itself in its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SelfStatus {
    /// SHA-256 of the program
    pub program: String,
    /// how that stands to the register of changes
    pub program_registered: Registered,
    /// SHA-256 of the settings without the list of volumes
    pub settings: String,
    /// how those do
    pub settings_registered: Registered,
    /// changes on the register
    pub changes: usize,
    /// when the vault looked last, in milliseconds since 1970
    pub looked_ms: u64,
}

impl SelfStatus {
    /// What nobody registered.
    pub fn unregistered(&self) -> impl Iterator<Item = ChangeKind> {
        let all = [(ChangeKind::Program, &self.program_registered), (ChangeKind::Settings, &self.settings_registered)];
        let not = all.map(|(kind, registered)| matches!(registered, Registered::Not { .. }).then_some(kind));
        not.into_iter().flatten()
    }
}

impl Vault {
    /// Looks at the vault's own files, as a vault that is served does by itself every day; gives what it thinks of them.
    pub async fn look_at_itself(&self) -> Result<SelfStatus> {
        let inner = self.inner.clone();
        blocking(move || {
            let look = inner.look();
            inner.note_look(look)?;
            Ok(inner.self_status(look))
        })
        .await
    }

    /// The same if it is a day ago, as the schedule does it.
    pub async fn watch_itself(&self) -> Result<()> {
        let inner = self.inner.clone();
        blocking(move || inner.watch_itself(inner.clock.now_ms())).await
    }
}

impl Inner {
    /// Reads what the vault is made of. What cannot be read is nothing that anybody registered.
    pub(crate) fn look(&self) -> Look {
        let (program, bytes) = setup::digest_of(&self.program).unwrap_or((UNREADABLE, 0));
        let mode = std::fs::metadata(&self.program).map(|found| found.permissions().mode());
        let open_to_others = mode.is_ok_and(|mode| mode & OTHERS_WRITE != 0);
        let settings = settings_of(&self.dir).unwrap_or(UNREADABLE);
        Look { program, settings, bytes, open_to_others, at_ms: self.clock.now_ms() }
    }

    /// Puts a look on record. What nobody registered is an incident, once; an error where `vault.toml` says that such a vault is
    /// not served is the caller's to raise.
    pub(crate) fn note_look(&self, look: Look) -> Result<()> {
        let before = self.media.changes();
        let status = self.self_status(look);
        let unregistered: Vec<ChangeKind> = status.unregistered().collect();
        let names: Vec<&str> = unregistered.iter().map(|kind| kind.name()).collect();
        let event = AuditEvent::of_job(look.at_ms, LOOKER, Action::SelfChecked);
        let detail = Detail::Look { program: look.program, settings: look.settings };
        let event = AuditEvent { bytes: look.bytes, units: 2, ..event.with(detail) };
        let event = match names.is_empty() {
            true => event,
            false => event.ended(Outcome::Findings).because(format!("nobody registered this: {}", names.join(", "))),
        };
        self.media.record(event)?;
        *self.last_look.lock() = Some(look);
        let severity = match unregistered.as_slice() {
            [] => return Ok(()),
            kinds if kinds.contains(&ChangeKind::Program) => Grave::Serious,
            _ => Grave::Notice,
        };
        tracing::error!(what = names.join(", "), "the vault is not what the register of changes says");
        if !was_told(&before, look) {
            let told = Told { class: IncidentClass::Tampering, severity, began_ms: None };
            if let Err(error) = self.state_incident(&[], &told, &[], &format!("job:{LOOKER}")) {
                tracing::error!(error = &error as &dyn std::error::Error, "the incident could not be stated");
            }
        }
        Ok(())
    }

    /// Looks again, once a day.
    pub(crate) fn watch_itself(&self, now_ms: u64) -> Result<()> {
        let looked_ms = self.last_look.lock().map_or(0, |look| look.at_ms);
        if now_ms.abs_diff(looked_ms) < PERIOD_MS {
            return Ok(());
        }
        self.note_look(self.look())
    }

    /// An error where the vault is to be served on registered files alone, and these are not.
    pub(crate) fn insist_on_registered(&self) -> Result<()> {
        let Some(look) = *self.last_look.lock() else { return Ok(()) };
        let unregistered = self.self_status(look).unregistered().next();
        match unregistered.filter(|_| self.config.changes.refuse_unregistered) {
            None => Ok(()),
            Some(kind) => {
                let found = if kind == ChangeKind::Program { look.program } else { look.settings };
                Err(Error::Unregistered { what: kind.name(), found })
            }
        }
    }

    /// What a look means by the register as it is now.
    pub(crate) fn self_status(&self, look: Look) -> SelfStatus {
        let changes = self.media.changes();
        SelfStatus {
            program: look.program.to_string(),
            program_registered: changes.judge(ChangeKind::Program, look.program),
            settings: look.settings.to_string(),
            settings_registered: changes.judge(ChangeKind::Settings, look.settings),
            changes: changes.list().len(),
            looked_ms: look.at_ms,
        }
    }

    /// The same of the newest look of this process, if it looked.
    pub(crate) fn newest_self_status(&self) -> Option<SelfStatus> {
        let look = *self.last_look.lock();
        look.map(|look| self.self_status(look))
    }
}

/// Whether the look before met the same, and found it unregistered then.
fn was_told(before: &Changes, look: Look) -> bool {
    let same = before.met() == Some((look.program, look.settings));
    same && before.met_unregistered()
}

/// What is said of files that nobody registered.
pub(crate) fn finding(status: &SelfStatus, kind: ChangeKind) -> Finding {
    let (what, digest) = match kind {
        ChangeKind::Settings => ("settings are not those", &status.settings),
        _ => ("program is not the one", &status.program),
    };
    let message = format!(
        "this vault's {what} that the register of changes says (SHA-256 {digest}): find out who changed it, then register \
         it with `shosoin change add`, or bring back what was registered"
    );
    Finding { severity: Severity::Degraded, code: "unregistered-change", message }
}

/// Digest of the settings in a folder: what the file means, with its list of volumes left out, which the vault keeps itself and
/// the ledger of media has.
pub(super) fn settings_of(dir: &Path) -> Result<Digest> {
    digest_of_settings(Config::load(dir)?)
}

/// The same of a file that is to become `vault.toml`.
pub(super) fn digest_of_settings(config: Config) -> Result<Digest> {
    let text = toml::to_string(&Config { volumes: Vec::new(), ..config });
    let text = text.map_err(|_| Error::Bug("settings could not be written as text"))?;
    Ok(sha256(&[b"shosoin settings v1\0", text.as_bytes()]))
}
