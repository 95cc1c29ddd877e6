//! Incidents: what a hospital must know of at once (4.3-R1), said in its own ledger by an act that nobody takes back, with the scene
//! as it was, preserved before anything is mended (4.3-R5).
//!
//! ```text
//! incidents/<id>/manifest.json      name, length and SHA-256 of each file beside it; its own digest is in the ledger
//! incidents/<id>/audit/000001.log   the audit log up to then, and its head
//! incidents/<id>/status.json, vault.toml
//! incidents/<id>/given/...          files that a person added
//! ```
//!
//! Invariants
//! - The scene is durable before the hospital is told, and is never written again.
//! - Everything in it is covered by the digest in the hospital's ledger: what was changed afterwards does not match.
//!
//! Not here: who is told at once (`notify`), the form of the act (`protocol::act`).

use crate::accounts::Caller;
use crate::acts::OperatorAct;
use crate::audit::{self, Action, AuditEvent, Detail, Outcome};
use crate::config::FILE;
use crate::desk::Desk;
use crate::error::{Error, Result};
use crate::vault::{Inner, Vault, blocking};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use shosoin_protocol::act::{ActKind, Document, Incident, IncidentClass, Severity};
use shosoin_protocol::{Digest, HospitalId};
use shosoin_tiers::durable;
use shosoin_tiers::media::Media as _;
use std::path::{Path, PathBuf};

/// Folder of the scenes in the vault's folder.
const DIR: &str = "incidents";
/// Files that a person may add to a scene.
const GIVEN_MAX: usize = 64;
/// Bytes of one of them.
const GIVEN_BYTES_MAX: u64 = 64 << 20;

/// One command.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum IncidentCommand {
    /// tell hospitals
    State {
        /// which, in hex; every one, where there is none
        hospitals: Vec<String>,
        /// what
        class: String,
        /// how grave
        severity: String,
        /// when it began, in milliseconds since 1970
        began_ms: Option<u64>,
        /// files of this machine that belong to the scene
        given: Vec<PathBuf>,
    },
    /// what hospitals were told, and whether each scene is as it was
    List {
        /// which, in hex; every one, where there is none
        hospital: Option<String>,
    },
}

impl IncidentCommand {
    /// What it is called in the table of permissions.
    pub fn work(&self) -> &'static str {
        match self {
            IncidentCommand::State { .. } => "incident state",
            IncidentCommand::List { .. } => "incident list",
        }
    }
}

/// A file of a scene.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    name: String,
    len: u64,
    sha256: String,
}

/// What a scene holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    vault: String,
    incident: String,
    kept_ms: u64,
    audit_head: String,
    files: Vec<Kept>,
}

impl Vault {
    /// Does what a command says, for `caller`, and answers in JSON.
    pub async fn incident_command(&self, command: IncidentCommand, caller: Caller) -> Result<Value> {
        let actor = self.admit(&caller, command.work()).await?.actor;
        let inner = self.inner.clone();
        blocking(move || match command {
            IncidentCommand::State { hospitals, class, severity, began_ms, given } => {
                let incident = Told::parse(&class, &severity, began_ms)?;
                inner.state_incident(&hospitals, &incident, &given, &actor)
            }
            IncidentCommand::List { hospital } => inner.incidents(hospital.as_deref()),
        })
        .await
    }
}

/// What is told, as far as words go.
pub(crate) struct Told {
    pub(crate) class: IncidentClass,
    pub(crate) severity: Severity,
    pub(crate) began_ms: Option<u64>,
}

impl Told {
    fn parse(class: &str, severity: &str, began_ms: Option<u64>) -> Result<Self> {
        let unknown =
            |what, names: Vec<&str>| Error::Argument { what, why: format!("it is one of {}", names.join(", ")) };
        let known = IncidentClass::ALL.iter().find(|known| known.name() == class);
        let class =
            known.ok_or_else(|| unknown("class", IncidentClass::ALL.iter().map(|known| known.name()).collect()))?;
        let known = Severity::ALL.iter().find(|known| known.name() == severity);
        let severity =
            known.ok_or_else(|| unknown("severity", Severity::ALL.iter().map(|known| known.name()).collect()))?;
        Ok(Told { class: *class, severity: *severity, began_ms })
    }
}

impl Inner {
    /// Preserves the scene and tells these hospitals, or every one.
    pub(crate) fn state_incident(
        &self,
        hospitals: &[String],
        told: &Told,
        given: &[PathBuf],
        actor: &str,
    ) -> Result<Value> {
        let desks = match hospitals {
            [] => self.desks(),
            named => named.iter().map(|id| self.desk_of(Some(id))).collect::<Result<Vec<_>>>()?,
        };
        let now_ms = self.clock.now_ms();
        if told.began_ms.is_some_and(|began_ms| began_ms > now_ms) {
            return Err(Error::Argument { what: "began", why: "it is in the future".to_owned() });
        }
        let id = self.fresh_id()?;
        let begun =
            AuditEvent::new(now_ms, actor, Action::IncidentStated).ended(Outcome::Begun).because(told.class.name());
        self.media.record(begun)?;
        let (scene, len) = self.preserve(&id.to_string(), given, now_ms)?;
        let document = Document::Incident(Incident {
            class: told.class,
            severity: told.severity,
            noticed_ms: now_ms,
            began_ms: told.began_ms,
            scene: Some(scene),
        });
        let mut stated = Vec::new();
        for desk in desks {
            let hospital = desk.info().hospital;
            let act = OperatorAct { id: self.fresh_id()?, subject: None, document: document.clone() };
            let seat = desk.state(act)?;
            let event = AuditEvent::new(self.clock.now_ms(), actor, Action::IncidentStated).because(told.class.name());
            let event = AuditEvent { hospital: Some(hospital), number: Some(seat.index), ..event };
            self.media.record(event.with(Detail::Content { digest: scene, len }))?;
            stated.push(json!({ "hospital": hospital.to_string(), "leaf_index": seat.index }));
        }
        let folder = self.dir.join(DIR).join(id.to_string());
        Ok(json!({ "incident": id.to_string(), "scene": scene.to_string(), "folder": folder, "stated": stated }))
    }

    /// Copies what is known now into a folder of its own; gives the digest of its list and the bytes of all of it.
    fn preserve(&self, id: &str, given: &[PathBuf], now_ms: u64) -> Result<(Digest, u64)> {
        if given.len() > GIVEN_MAX {
            return Err(Error::Argument { what: "scene", why: format!("at most {GIVEN_MAX} files are added") });
        }
        let (head_seq, head) = self.media.audit().head();
        let mut files: Vec<(String, Vec<u8>)> = Vec::new();
        files.push(("status.json".into(), json_bytes(&self.status())?));
        files.push((FILE.into(), read(&self.dir.join(FILE), u64::MAX)?));
        let log = self.dir.join(audit::DIR);
        for name in names_in(&log)? {
            files.push((format!("audit/{name}"), read(&log.join(&name), u64::MAX)?));
        }
        for (number, path) in given.iter().enumerate() {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("file");
            let safe: String =
                name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c } else { '_' }).collect();
            files.push((format!("given/{number:02}-{safe}"), read(path, GIVEN_BYTES_MAX)?));
        }
        let folder = format!("{DIR}/{id}");
        for below in ["audit", "given"] {
            self.folder.make_dir(&format!("{folder}/{below}"))?;
        }
        let mut kept = Vec::new();
        for (name, bytes) in files {
            durable::replace(&self.folder, &format!("{folder}/{name}"), &bytes)?;
            kept.push(Kept { name, len: bytes.len() as u64, sha256: hex::encode(Sha256::digest(&bytes)) });
        }
        let manifest = Manifest {
            vault: self.identity.vault().to_string(),
            incident: id.to_owned(),
            kept_ms: now_ms,
            audit_head: format!("{head_seq} {head}"),
            files: kept,
        };
        let bytes = json_bytes(&manifest)?;
        durable::replace(&self.folder, &format!("{folder}/{MANIFEST}"), &bytes)?;
        let len = manifest.files.iter().map(|kept| kept.len).sum();
        Ok((Digest(Sha256::digest(&bytes).into()), len))
    }

    fn incidents(&self, hospital: Option<&str>) -> Result<Value> {
        let desks = match hospital {
            None => self.desks(),
            Some(id) => vec![self.desk_of(Some(id))?],
        };
        let scenes = self.scenes()?;
        let mut all = Vec::new();
        for desk in desks {
            all.extend(self.incidents_of(&desk, &scenes)?);
        }
        Ok(json!({ "incidents": all }))
    }

    fn incidents_of(&self, desk: &Desk, scenes: &[(Digest, PathBuf)]) -> Result<Vec<Value>> {
        let hospital: HospitalId = desk.info().hospital;
        let stated = desk.acts(&*self.index, &[ActKind::Incident])?;
        Ok(stated
            .into_iter()
            .filter_map(|act| match act.document {
                Document::Incident(incident) => Some((act.index, act.accepted_ms, incident)),
                _ => None,
            })
            .map(|(index, accepted_ms, incident)| {
                let found = incident.scene.and_then(|scene| scenes.iter().find(|(digest, _)| *digest == scene));
                let state = match (incident.scene, found) {
                    (None, _) => "none",
                    (Some(_), None) => "missing",
                    (Some(_), Some((_, folder))) if is_as_it_was(folder) => "as it was",
                    _ => "changed",
                };
                json!({
                    "hospital": hospital.to_string(),
                    "leaf_index": index,
                    "class": incident.class.name(),
                    "severity": incident.severity.name(),
                    "noticed_ms": incident.noticed_ms,
                    "began_ms": incident.began_ms,
                    "told_ms": accepted_ms,
                    "scene": incident.scene.map(|scene| scene.to_string()),
                    "scene_state": state,
                    "folder": found.map(|(_, folder)| folder),
                })
            })
            .collect())
    }

    /// Every scene that is kept here, by the digest of its list.
    fn scenes(&self) -> Result<Vec<(Digest, PathBuf)>> {
        let dir = self.dir.join(DIR);
        if !dir.is_dir() {
            return Ok(Vec::new());
        }
        let folders = names_in(&dir)?.into_iter().map(|name| dir.join(name));
        Ok(folders
            .filter_map(|folder| {
                let manifest = std::fs::read(folder.join(MANIFEST)).ok()?;
                Some((Digest(Sha256::digest(&manifest).into()), folder))
            })
            .collect())
    }
}

/// The list of a scene.
const MANIFEST: &str = "manifest.json";

/// Whether every file of a scene is what its list says.
fn is_as_it_was(folder: &Path) -> bool {
    let Some(manifest) = std::fs::read(folder.join(MANIFEST)).ok() else { return false };
    let Ok(manifest) = serde_json::from_slice::<Manifest>(&manifest) else { return false };
    manifest.files.iter().all(|kept| {
        let is_inside = kept.name.split('/').all(|part| !part.is_empty() && part != "..");
        is_inside
            && std::fs::read(folder.join(&kept.name))
                .is_ok_and(|bytes| hex::encode(Sha256::digest(&bytes)) == kept.sha256)
    })
}

fn json_bytes(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec_pretty(value).map_err(|_| Error::Bug("a scene could not be written as JSON"))
}

fn read(path: &Path, max: u64) -> Result<Vec<u8>> {
    let failed = |source| Error::Io { action: "read", path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(failed)?.len() > max {
        return Err(Error::Argument { what: "scene", why: format!("{} is longer than {max} bytes", path.display()) });
    }
    std::fs::read(path).map_err(failed)
}

/// Names of the files and folders in a folder, sorted; other files of other kinds are left out.
fn names_in(dir: &Path) -> Result<Vec<String>> {
    let failed = |source| Error::Io { action: "list", path: dir.to_owned(), source };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let is_kept = dir.ends_with(DIR) == entry.file_type().map_err(failed)?.is_dir();
        names.extend(entry.file_name().into_string().ok().filter(|_| is_kept));
    }
    names.sort_unstable();
    Ok(names)
}
