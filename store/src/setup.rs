//! What a vault is served with, on record: `vault.toml` and the program itself. Where one of them is not what it was the last
//! time, a record says so under the name of who started the process (7.6.12-S2 c and d), and the settings of that time are kept
//! in `audit/settings/`, so that what was changed can be read for as long as the log.
//!
//! Not here: what settings mean (`config`).

use crate::actor;
use crate::audit::{Action, AuditEvent, AuditQuery, DIR, Detail, shortened_reason};
use crate::changes::Look;
use crate::config::FILE;
use crate::error::{Error, Result};
use crate::vault::{Inner, Vault, blocking};
use sha2::{Digest as _, Sha256};
use shosoin_protocol::Digest;
use shosoin_tiers::durable;
use shosoin_tiers::media::Media as _;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Folder of settings that were once in force, beside the log.
const SETTINGS: &str = "settings";
/// Libraries that are looked at.
const LIBRARIES_MAX: usize = 512;

impl Vault {
    /// Puts on record where settings, program or libraries are not what they were when the vault was served before, and whether
    /// somebody registered them; an error where the vault is to be served on registered ones alone.
    pub async fn note_setup(&self) -> Result<()> {
        let inner = self.inner.clone();
        blocking(move || {
            let (before, look) = (inner.met_before()?, inner.look());
            inner.note_settings(&before)?;
            inner.note_program(&before, look)?;
            inner.note_libraries(&before)?;
            inner.note_look(look)?;
            inner.note_time(inner.clock.now_ms())?;
            inner.insist_on_registered()
        })
        .await
    }
}

/// What the newest record of each kind says.
type Met = BTreeMap<Action, Digest>;

impl Inner {
    /// What the vault was served with the last time.
    fn met_before(&self) -> Result<Met> {
        let actions = vec![Action::SettingsChanged, Action::ProgramChanged, Action::LibrariesChanged];
        let mut met = Met::new();
        self.media.audit().for_each(&AuditQuery { actions, ..AuditQuery::default() }, &mut |record| {
            if let Detail::Content { digest, .. } = record.event.detail {
                met.insert(record.event.action, digest);
            }
        })?;
        Ok(met)
    }

    fn note_settings(&self, before: &Met) -> Result<()> {
        let now = read(&self.dir.join(FILE))?;
        let (digest, len) = (Digest(Sha256::digest(&now).into()), now.len() as u64);
        let before = before.get(&Action::SettingsChanged).copied();
        if before == Some(digest) {
            return Ok(());
        }
        let kept = |digest: Digest| format!("{DIR}/{SETTINGS}/{digest}.toml");
        self.keep(&kept(digest), &now)?;
        let old = before.map(|before| std::fs::read(self.dir.join(kept(before))).unwrap_or_default());
        let why = old.map_or_else(|| "as they were met first".to_owned(), |old| changed(&old, &now));
        self.note_content(Action::SettingsChanged, why, Detail::Content { digest, len })
    }

    fn note_program(&self, before: &Met, look: Look) -> Result<()> {
        let (path, release) = (&self.program, env!("CARGO_PKG_VERSION"));
        let (digest, len) = (look.program, look.bytes);
        match before.get(&Action::ProgramChanged).copied() {
            Some(before) if before == digest => Ok(()),
            before => {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let why = if before.is_some() { "replaced" } else { "as it was met first" };
                let why = format!("{name}, release {release}: {why}");
                self.note_content(Action::ProgramChanged, why, Detail::Content { digest, len })
            }
        }
    }

    /// Libraries of the system that the program has loaded; those in Rust are part of it. Which ones changed is on record, and
    /// what they were is kept beside the log (7.6.9-M4).
    fn note_libraries(&self, before: &Met) -> Result<()> {
        let now = libraries()?;
        let (digest, len) = (Digest(Sha256::digest(now.as_bytes()).into()), now.len() as u64);
        let before = before.get(&Action::LibrariesChanged).copied();
        if before == Some(digest) {
            return Ok(());
        }
        let kept = |digest: Digest| format!("{DIR}/{SETTINGS}/{digest}.libraries");
        self.keep(&kept(digest), now.as_bytes())?;
        let old = before.map(|before| std::fs::read_to_string(self.dir.join(kept(before))).unwrap_or_default());
        let why = old.map_or_else(|| "as they were met first".to_owned(), |old| changed_libraries(&old, &now));
        self.note_content(Action::LibrariesChanged, why, Detail::Content { digest, len })
    }

    /// Keeps what is in force beside the log.
    fn keep(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.folder.make_dir(&format!("{DIR}/{SETTINGS}"))?;
        Ok(durable::replace(&self.folder, name, bytes)?)
    }

    fn note_content(&self, action: Action, why: String, detail: Detail) -> Result<()> {
        let actor = actor::process_uid().map_or_else(|| "unknown".to_owned(), actor::user);
        let event = AuditEvent::new(self.clock.now_ms(), actor, action).because(shortened_reason(&why)).with(detail);
        self.media.record(event).map(drop)
    }
}

/// The libraries in the memory of this process, sorted, a line each: SHA-256 and path.
fn libraries() -> Result<String> {
    let maps = "/proc/self/maps";
    let maps =
        std::fs::read_to_string(maps).map_err(|source| Error::Io { action: "read", path: maps.into(), source })?;
    let paths = maps.lines().filter_map(|line| line.find('/').and_then(|at| line.get(at..)));
    let libraries: BTreeSet<&str> = paths.filter(|path| is_library(path)).collect();
    let mut lines = String::new();
    for path in libraries.into_iter().take(LIBRARIES_MAX) {
        let digest =
            digest_of(Path::new(path)).map_or_else(|_| "unreadable".to_owned(), |(digest, _)| digest.to_string());
        lines += &format!("{digest}  {path}\n");
    }
    Ok(lines)
}

/// `libc.so.6`, `ld-linux-x86-64.so.2`.
fn is_library(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.ends_with(".so") || name.contains(".so.")
}

/// Names of the libraries that differ.
fn changed_libraries(old: &str, new: &str) -> String {
    let (old, new): (BTreeSet<&str>, BTreeSet<&str>) = (old.lines().collect(), new.lines().collect());
    let name = |line: &&str| line.rsplit('/').next().unwrap_or_default().to_owned();
    let names: BTreeSet<String> = old.symmetric_difference(&new).map(name).collect();
    format!("changed: {}", names.into_iter().collect::<Vec<_>>().join(", "))
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
    let names: BTreeSet<&str> = names.map(String::as_str).collect();
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

/// The program that runs.
pub(crate) fn program() -> Result<PathBuf> {
    std::env::current_exe().map_err(|source| Error::Io { action: "find", path: "the program".into(), source })
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|source| Error::Io { action: "read", path: path.to_owned(), source })
}

/// Digest and length of a file, a piece at a time.
pub(crate) fn digest_of(path: &Path) -> Result<(Digest, u64)> {
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

    #[test]
    fn libraries_that_this_process_has_loaded_are_found_and_those_that_changed_are_named_7_6_9_m4() {
        let now = libraries().unwrap();
        let libc = now.lines().find(|line| line.contains("/libc.so")).unwrap_or_else(|| panic!("no libc in:\n{now}"));
        let (digest, path) = libc.split_once("  ").unwrap();
        assert_eq!(digest, digest_of(Path::new(path)).unwrap().0.to_string());
        let patched = now.replace(digest, &"0".repeat(64));
        let name = path.rsplit('/').next().unwrap();
        assert_eq!(changed_libraries(&now, &patched), format!("changed: {name}"));
    }
}
