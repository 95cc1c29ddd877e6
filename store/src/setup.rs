//! What a vault is served with, on record: `vault.toml` and the program itself. Where one of them is not what it was the last
//! time, a record says so under the name of who started the process (7.6.12-S2 c and d), and the settings of that time are kept
//! in `audit/settings/`, so that what was changed can be read for as long as the log.
//!
//! Not here: what settings mean (`config`).

use crate::actor;
use crate::audit::{Action, AuditEvent, AuditQuery, DIR, Detail, REASON_BYTES_MAX};
use crate::config::FILE;
use crate::error::{Error, Result};
use crate::vault::{Inner, Vault, blocking};
use sha2::{Digest as _, Sha256};
use shosoin_protocol::Digest;
use shosoin_tiers::durable;
use shosoin_tiers::media::Media as _;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Folder of settings that were once in force, beside the log.
const SETTINGS: &str = "settings";

impl Vault {
    /// Puts on record where settings or program are not what they were when the vault was served before.
    pub async fn note_setup(&self) -> Result<()> {
        let inner = self.inner.clone();
        blocking(move || {
            inner.note_settings()?;
            inner.note_program()
        })
        .await
    }
}

impl Inner {
    fn note_settings(&self) -> Result<()> {
        let now = read(&self.dir.join(FILE))?;
        let (digest, len) = (Digest(Sha256::digest(&now).into()), now.len() as u64);
        let before = self.content_before(Action::SettingsChanged)?;
        if before == Some(digest) {
            return Ok(());
        }
        let kept = |digest: Digest| format!("{DIR}/{SETTINGS}/{digest}.toml");
        self.folder.make_dir(&format!("{DIR}/{SETTINGS}"))?;
        durable::replace(&self.folder, &kept(digest), &now)?;
        let old = before.map(|before| std::fs::read(self.dir.join(kept(before))).unwrap_or_default());
        let why = old.map_or_else(|| "as they were met first".to_owned(), |old| changed(&old, &now));
        self.note_content(Action::SettingsChanged, why, Detail::Content { digest, len })
    }

    fn note_program(&self) -> Result<()> {
        let (path, release) = (program()?, env!("CARGO_PKG_VERSION"));
        let (digest, len) = digest_of(&path)?;
        match self.content_before(Action::ProgramChanged)? {
            Some(before) if before == digest => Ok(()),
            before => {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let why = if before.is_some() { "replaced" } else { "as it was met first" };
                let why = format!("{name}, release {release}: {why}");
                self.note_content(Action::ProgramChanged, why, Detail::Content { digest, len })
            }
        }
    }

    /// What the newest record of this kind says.
    fn content_before(&self, action: Action) -> Result<Option<Digest>> {
        let query = AuditQuery { actions: vec![action], newest: Some(1), ..AuditQuery::default() };
        let newest = self.media.audit().read(&query)?.pop();
        Ok(newest.and_then(|record| match record.event.detail {
            Detail::Content { digest, .. } => Some(digest),
            _ => None,
        }))
    }

    fn note_content(&self, action: Action, why: String, detail: Detail) -> Result<()> {
        let actor = actor::process_uid().map_or_else(|| "unknown".to_owned(), actor::user);
        let why: String = why.chars().filter(|c| !c.is_control()).collect();
        let end = why.floor_char_boundary(REASON_BYTES_MAX);
        let event = AuditEvent::new(self.clock.now_ms(), actor, action).because(&why[..end]).with(detail);
        self.media.record(event).map(drop)
    }
}

/// Names of the settings that differ, and nothing of what they say.
fn changed(old: &[u8], new: &[u8]) -> String {
    let parse = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        let mut flat = BTreeMap::new();
        flatten("", &toml::Value::Table(toml::from_str(text).unwrap_or_default()), &mut flat);
        flat
    };
    let (old, new) = (parse(old), parse(new));
    let names = old.keys().chain(new.keys()).filter(|name| old.get(*name) != new.get(*name));
    let names: std::collections::BTreeSet<&str> = names.map(String::as_str).collect();
    format!("changed: {}", names.into_iter().collect::<Vec<_>>().join(", "))
}

fn flatten(name: &str, value: &toml::Value, out: &mut BTreeMap<String, String>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                flatten(&name, value, out);
            }
        }
        other => drop(out.insert(name.to_owned(), other.to_string())),
    }
}

fn program() -> Result<PathBuf> {
    std::env::current_exe().map_err(|source| Error::Io { action: "find", path: "the program".into(), source })
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|source| Error::Io { action: "read", path: path.to_owned(), source })
}

/// Digest and length of a file, a piece at a time.
fn digest_of(path: &Path) -> Result<(Digest, u64)> {
    let failed = |source| Error::Io { action: "read", path: path.to_owned(), source };
    let (mut file, mut hash, mut len) = (File::open(path).map_err(failed)?, Sha256::new(), 0u64);
    let mut piece = vec![0; 1 << 20];
    loop {
        match file.read(&mut piece).map_err(failed)? {
            0 => return Ok((Digest(hash.finalize().into()), len)),
            count => {
                hash.update(piece.get(..count).unwrap_or_default());
                len += count as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_changed_settings_the_names_are_told_and_not_what_they_say() {
        let (old, new) = ("a = 1\n[b]\nc = \"secret\"\nd = 2\n", "a = 1\n[b]\nc = \"other\"\n[e]\nf = true\n");
        assert_eq!(changed(old.as_bytes(), new.as_bytes()), "changed: b.c, b.d, e.f");
    }
}
