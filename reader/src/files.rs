//! Plain files with names, and a list of them: for programs as `index.tsv`, for people as `index.html`.
//!
//! What is always true: a file has its name only after all its parts had the digests that the manifest states; nothing is
//! written outside the folder that was given, whatever a name says; nothing that is there is replaced.

use crate::bytes::hex;
use crate::crypto::{Hasher, Id, sha256};
use crate::error::{Error, Result};
use crate::keys::Root;
use crate::manifest::{Object, open_chunk};
use crate::records::Records;
use sha2::{Digest as _, Sha256};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Longest part of a path that is tried as it is.
const SEGMENT_MAX: usize = 240;

/// A version as a file.
pub struct Written {
    /// where it is, below the folder
    pub path: PathBuf,
    /// SHA-256 of its bytes
    pub sha256: [u8; 32],
}

/// Writes a version below `out`: by bucket and name, or where the name cannot be a path, by its id.
pub fn write(
    root: &Root,
    records: &mut Records,
    object: &Object,
    version: &Id,
    out: &Path,
    top: &str,
) -> Result<Written> {
    let temporary = out.join(format!(".{}.tmp", hex(version)));
    let mut file = File::create(&temporary).map_err(Error::file("create", &temporary))?;
    let written = fill(root, records, object, &mut file, &temporary);
    let sha256 = written.inspect_err(|_| drop(std::fs::remove_file(&temporary)))?;
    let path = place(&temporary, out, &named(object, top), version)?;
    Ok(Written { path, sha256 })
}

fn fill(root: &Root, records: &mut Records, object: &Object, file: &mut File, path: &Path) -> Result<[u8; 32]> {
    let (mut whole, mut part) = (Sha256::new(), Hasher::of(root.suite));
    let mut parts = object.parts.iter().copied();
    let mut current = parts.next();
    let mut left = current.map_or(0, |part| part.0);
    let wrong = Error::form("object", "a part does not have the digest that the manifest states");
    for chunk in &object.chunks {
        let plain = open_chunk(root, chunk, records.chunk(&chunk.address)?)?;
        file.write_all(&plain).map_err(Error::file("write", path))?;
        whole.update(&plain[..]);
        let mut plain = &plain[..];
        while !plain.is_empty() {
            let taken = plain.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            part.update(&plain[..taken]);
            (plain, left) = (&plain[taken..], left - taken as u64);
            while left == 0
                && let Some((_, digest)) = current
            {
                if part.take() != digest {
                    return Err(wrong);
                }
                current = parts.next();
                left = current.map_or(0, |part| part.0);
            }
            if current.is_none() && !plain.is_empty() {
                return Err(wrong);
            }
        }
    }
    if object.size == 0 && current.is_some_and(|(_, digest)| part.take() != digest) {
        return Err(wrong);
    }
    file.sync_all().map_err(Error::file("sync", path))?;
    Ok(whole.finalize().into())
}

/// Moves the file to its name, or where that is taken or cannot be, to its version's id.
fn place(temporary: &Path, out: &Path, named: &Path, version: &Id) -> Result<PathBuf> {
    let by_version = Path::new("by-version").join(hex(version));
    for path in [named, &by_version] {
        let target = out.join(path);
        let folder = target.parent().unwrap_or(out);
        // a hard link, unlike a rename, never replaces a file
        if std::fs::create_dir_all(folder).is_ok() && std::fs::hard_link(temporary, &target).is_ok() {
            std::fs::remove_file(temporary).map_err(Error::file("remove", temporary))?;
            return Ok(path.to_owned());
        }
    }
    let _ = std::fs::remove_file(temporary);
    Err(Error::Usage(format!("{} cannot be made below {}: give an empty folder", by_version.display(), out.display())))
}

/// `top/bucket/name`, each part made harmless.
fn named(object: &Object, top: &str) -> PathBuf {
    let parts = object.name.split('/').map(harmless);
    std::iter::once(top.to_owned()).chain([harmless(&object.bucket)]).chain(parts).collect()
}

/// A part of a path that stays in its folder: what could leave it, or means something to a system, is `%` and hex.
fn harmless(part: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte >= 0x80 || b" -_.,()+=@~!#$&';[]{}".contains(&byte);
    let kept: Vec<u8> = part
        .bytes()
        .flat_map(|byte| match plain(byte) {
            true => vec![byte],
            false => format!("%{byte:02X}").into_bytes(),
        })
        .collect();
    let kept = String::from_utf8_lossy(&kept).into_owned();
    match kept.as_str() {
        "" => "%".to_owned(),
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        long if long.len() > SEGMENT_MAX => format!("%{}", hex(&sha256(&[part.as_bytes()]))),
        _ => kept,
    }
}

/// The list of what was written: one line for each version, in the order of the ledger.
pub struct List {
    file: File,
    path: PathBuf,
    page: File,
}

/// How the page for people begins. It needs nothing from elsewhere, and no script.
const PAGE_HEAD: &str = "<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Records</title>\n\
    <style>body{font:16px sans-serif;margin:2em}td,th{padding:.2em .8em;text-align:left;vertical-align:top}\
    tr.failed{background:#fdd}code{font-size:70%}</style>\n<h1>Records</h1>\n\
    <table><tr><th>record<th>state<th>bytes<th>modified (UTC)<th>SHA-256, version\n";

impl List {
    /// A new list in `out`, which must not have one.
    pub fn create(out: &Path) -> Result<List> {
        std::fs::create_dir_all(out).map_err(Error::file("make folder", out))?;
        let path = out.join("index.tsv");
        let make = |path: &Path| {
            let made = OpenOptions::new().write(true).create_new(true).open(path);
            made.map_err(Error::file("create", path))
        };
        let mut list = List { file: make(&path)?, page: make(&out.join("index.html"))?, path };
        list.page.write_all(PAGE_HEAD.as_bytes()).map_err(Error::file("write", &list.path))?;
        list.line(&[
            "version",
            "state",
            "bucket",
            "name",
            "bytes",
            "modified ms since 1970",
            "sha256",
            "file or why not",
        ])?;
        Ok(list)
    }

    /// One line; tabs and ends of lines in fields are written as `%09` and the like.
    pub fn line(&mut self, fields: &[&str]) -> Result<()> {
        let harmless = |field: &&str| {
            field
                .chars()
                .map(|c| if c.is_control() { format!("%{:02X}", u32::from(c)) } else { c.to_string() })
                .collect()
        };
        let fields: Vec<String> = fields.iter().map(harmless).collect();
        let written = writeln!(self.file, "{}", fields.join("\t"));
        written.map_err(Error::file("write", &self.path))
    }

    /// One line of both lists.
    pub fn record(&mut self, fields: &[&str; 8]) -> Result<()> {
        self.line(fields)?;
        let [version, state, bucket, name, bytes, modified_ms, digest, file] = fields.map(escaped);
        let name = if name.is_empty() { version.clone() } else { format!("{bucket}/{name}") };
        let row = match fields[1] {
            "failed" | "finding" => {
                format!("<tr class=\"failed\"><td>{name}<td>{state}<td>{bytes}<td><td>{file} <code>{version}</code>\n")
            }
            _ => format!(
                "<tr><td><a href=\"{}\">{name}</a><td>{state}<td>{bytes}<td>{}<td><code>{digest} {version}</code>\n",
                linked(fields[7]),
                modified_ms.parse().map(day).unwrap_or_default()
            ),
        };
        self.page.write_all(row.as_bytes()).map_err(Error::file("write", &self.path))
    }
}

/// Text that means nothing to a browser.
fn escaped(text: &str) -> String {
    let escape = |c: char| match c {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '"' => "&quot;".to_owned(),
        c if c.is_control() => format!("%{:02X}", u32::from(c)),
        c => c.to_string(),
    };
    text.chars().map(escape).collect()
}

/// A path as a link: every byte that is not plain is `%` and hex.
fn linked(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte);
    path.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// The day of a moment (Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn day(ms: u64) -> String {
    let days = ms / 86_400_000 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let (day, month) = (of_year - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    format!("{:04}-{month:02}-{day:02}", year + era * 400 + u64::from(month <= 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_links_are_as_people_and_browsers_read_them() {
        for (ms, expected) in [(0, "1970-01-01"), (951_782_400_000, "2000-02-29"), (1_767_225_599_999, "2025-12-31")] {
            assert_eq!(day(ms), expected);
        }
        assert_eq!(linked("files/w/a b%2E.txt"), "files/w/a%20b%252E.txt");
        assert_eq!(escaped("<b>&\"\n"), "&lt;b&gt;&amp;&quot;%0A");
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        for (name, expected) in [
            ("a/b.dcm", "files/w/a/b.dcm"),
            ("../../etc/passwd", "files/w/%2E%2E/%2E%2E/etc/passwd"),
            ("/root", "files/w/%/root"),
            ("a//b", "files/w/a/%/b"),
            (".", "files/w/%2E"),
            ("a\\b:c\n%", "files/w/a%5Cb%3Ac%0A%25"),
            ("診療録", "files/w/診療録"),
        ] {
            let object = Object {
                bucket: "w".into(),
                name: name.into(),
                size: 0,
                modified_ms: 0,
                parts: Vec::new(),
                chunks: Vec::new(),
            };
            assert_eq!(named(&object, "files"), Path::new(expected), "{name:?}");
        }
        assert!(harmless(&"x".repeat(1024)).len() < 100);
    }
}
