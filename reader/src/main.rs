//! Turns volumes and the hospital's root into plain files with names, and needs nothing else: no vault, no network, no
//! other code of Shosoin. It is small so that somebody can read all of it, and everything it knows stands in
//! docs/format.md, so that somebody can write it again.
//!
//! ```text
//! folders ── volumes ── segments ── stripes ── records ─┬─ entries ── which versions there are, which are current
//!                                                       └─ wraps, manifests, chunks ── files
//! ```
//!
//! Invariants
//! - Any k of the k + m shards of a segment are enough.
//! - A byte is written only if its unit, its record, its seal and its part verified; damage is told and does not stop the rest.
//! - Folders are only read; files that are there are never replaced.

mod bytes;
mod crypto;
mod error;
mod files;
mod keys;
mod ledger;
mod manifest;
mod names;
mod records;
mod sheets;
#[cfg(test)]
#[path = "../tests/unit/vectors.rs"]
mod vectors;
mod volumes;

use bytes::hex;
use crypto::{Id, Key};
use error::{Error, Result};
use files::List;
use keys::Root;
use ledger::Body;
use records::Records;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use zeroize::Zeroizing;

const HELP: &str = "\
Turns volumes of a Shosoin vault and the hospital's root into plain files with names.

Usage: shosoin-reader --from DIR... --out DIR (--key-file FILE --passphrase-file FILE | --sheet FILE...)

  --from DIR              a volume, or a folder with volumes in it, such as a package that was handed over; may be repeated
  --out DIR               where files go: files/BUCKET/NAME, older/VERSION/BUCKET/NAME, and index.html (for people) and
                          index.tsv with all of them
  --key-file FILE         the hospital's key file
  --passphrase-file FILE  its passphrase; one newline at the end is ignored
  --sheet FILE            an escrow sheet, as printed or typed; repeat for as many as the split needs
  --all-versions          older and hidden versions too
  --json                  one line of JSON at the end

Example:
  shosoin-reader --from /mnt/v01 --from /mnt/v02 --from /mnt/v03 --from /mnt/v04 \\
    --sheet one.txt --sheet two.txt --sheet three.txt --out ./records

Exit codes: 0 everything was written, 2 invalid, 4 wrong keys, 5 something is damaged or missing (the rest was written), 6 a file.
";

#[derive(Default)]
struct Args {
    from: Vec<PathBuf>,
    out: Option<PathBuf>,
    key_file: Option<PathBuf>,
    passphrase_file: Option<PathBuf>,
    sheets: Vec<PathBuf>,
    all_versions: bool,
    json: bool,
}

/// What was done.
#[derive(Default)]
struct Report {
    written: u64,
    bytes: u64,
    failed: u64,
    findings: u64,
    entries: u64,
    proved: bool,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.iter().any(|arg| matches!(arg.as_str(), "--help" | "-h")) {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    match parse(args).and_then(|args| run(&args).map(|report| (report, args.json))) {
        Ok((report, json)) => {
            println!("{}", summary(&report, json));
            ExitCode::from(if report.failed + report.findings > 0 { 5 } else { 0 })
        }
        Err(error) => {
            eprintln!("shosoin-reader: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn summary(report: &Report, json: bool) -> String {
    let Report { written, bytes, failed, findings, entries, proved } = report;
    match json {
        true => format!(
            "{{\"written\":{written},\"bytes\":{bytes},\"failed\":{failed},\"findings\":{findings},\
             \"entries\":{entries},\"ledger_proved\":{proved}}}"
        ),
        false => format!(
            "{written} files of {bytes} bytes written, {failed} could not be, {findings} findings on the volumes\n\
             {entries} entries in the ledger; {}",
            if *proved { "they give the root of its newest signed head" } else { "NOT proved by a signed head" }
        ),
    }
}

fn parse(args: Vec<String>) -> Result<Args> {
    let (mut parsed, mut args) = (Args::default(), args.into_iter());
    while let Some(arg) = args.next() {
        let mut path =
            || args.next().map(PathBuf::from).ok_or_else(|| Error::Usage(format!("{arg} needs a value; see --help")));
        match arg.as_str() {
            "--from" => parsed.from.push(path()?),
            "--out" => parsed.out = Some(path()?),
            "--key-file" => parsed.key_file = Some(path()?),
            "--passphrase-file" => parsed.passphrase_file = Some(path()?),
            "--sheet" => parsed.sheets.push(path()?),
            "--all-versions" => parsed.all_versions = true,
            "--json" => parsed.json = true,
            other => return Err(Error::Usage(format!("{other} is not known; see --help"))),
        }
    }
    Ok(parsed)
}

fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    std::fs::read(path).map(Zeroizing::new).map_err(Error::file("read", path))
}

fn root(args: &Args) -> Result<Root> {
    if !args.sheets.is_empty() {
        let text = |path: &PathBuf| {
            let bytes = read_secret(path)?;
            let text = std::str::from_utf8(&bytes).map_err(|_| Error::form("sheet", "it is not text"))?;
            sheets::read(text)
        };
        return sheets::combine(&args.sheets.iter().map(text).collect::<Result<Vec<_>>>()?);
    }
    let (Some(key_file), Some(passphrase)) = (&args.key_file, &args.passphrase_file) else {
        return Err(Error::Usage("give --key-file and --passphrase-file, or --sheet; see --help".to_owned()));
    };
    let passphrase = read_secret(passphrase)?;
    let trimmed =
        passphrase.strip_suffix(b"\n").map_or(&passphrase[..], |text| text.strip_suffix(b"\r").unwrap_or(text));
    Root::from_key_file(&read_secret(key_file)?, trimmed)
}

fn run(args: &Args) -> Result<Report> {
    let Some(out) = &args.out else { return Err(Error::Usage("give --out; see --help".to_owned())) };
    if args.from.is_empty() {
        return Err(Error::Usage("give --from; see --help".to_owned()));
    }
    let root = root(args)?;
    let segments = volumes::find(&args.from, root.hospital)?;
    if segments.is_empty() {
        return Err(Error::Usage(format!("nothing of hospital {} is below the given folders", hex(&root.hospital))));
    }
    eprintln!("reading {} segments of hospital {}", segments.len(), hex(&root.hospital));
    let mut records = Records::read(root.suite, segments)?;
    let ledger = ledger::read(&mut records)?;
    eprintln!("{} entries, {} chunks; writing files", ledger.size, records.chunk_count());
    let mut list = List::create(out)?;
    let mut report = Report { entries: ledger.size, proved: ledger.proved, ..Report::default() };
    let current = names::current(&root, &mut records, &ledger);
    for change in &ledger.changes {
        let Body::Deposit { manifest, dek_commit } = &change.body else { continue };
        let is_current = current.contains(&change.version);
        if is_current || args.all_versions {
            let version = Version { id: &change.version, manifest, dek_commit, is_current };
            give_out(&root, &mut records, &version, out, &mut list, &mut report)?;
        }
    }
    for finding in &records.findings {
        eprintln!("finding: {finding}");
        list.record(&["", "finding", "", "", "", "", "", finding])?;
    }
    report.findings = records.findings.len() as u64;
    Ok(report)
}

struct Version<'a> {
    id: &'a Id,
    manifest: &'a [u8; 32],
    dek_commit: &'a [u8; 32],
    is_current: bool,
}

/// Writes one version and its line. Only a list that cannot be written ends the run.
fn give_out(
    root: &Root,
    records: &mut Records,
    version: &Version<'_>,
    out: &Path,
    list: &mut List,
    report: &mut Report,
) -> Result<()> {
    let (id, state) = (hex(version.id), if version.is_current { "current" } else { "older" });
    let top = if version.is_current { "files".to_owned() } else { format!("older/{id}") };
    let object = data_key(root, records, version)
        .and_then(|key| manifest::read(root, records, version.id, version.manifest, &key));
    let object = match object {
        Ok(object) => object,
        Err(error) => {
            report.failed += 1;
            eprintln!("version {id}: {error}");
            return list.record(&[&id, "failed", "", "", "", "", "", &error.to_string()]);
        }
    };
    let (size, modified) = (object.size.to_string(), object.modified_ms.to_string());
    match files::write(root, records, &object, version.id, out, &top) {
        Ok(written) => {
            report.written += 1;
            report.bytes += object.size;
            let (digest, path) = (hex(&written.sha256), written.path.display().to_string());
            list.record(&[&id, state, &object.bucket, &object.name, &size, &modified, &digest, &path])
        }
        Err(error) => {
            report.failed += 1;
            eprintln!("version {id}: {error}");
            list.record(&[&id, "failed", &object.bucket, &object.name, &size, &modified, "", &error.to_string()])
        }
    }
}

/// The data key of a version from whichever of its wraps opens.
fn data_key(root: &Root, records: &Records, version: &Version<'_>) -> Result<Key> {
    let wraps = records.wraps.get(version.id).map(Vec::as_slice).unwrap_or_default();
    let mut last = Error::Missing { what: "wrap of version", address: hex(version.id) };
    for wrap in wraps {
        match root.unwrap(version.id, wrap, version.dek_commit) {
            Ok(key) => return Ok(key),
            Err(error) => last = error,
        }
    }
    Err(last)
}
