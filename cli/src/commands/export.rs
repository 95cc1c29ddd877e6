//! `shosoin export`: records as plain files with their names, and an index that a browser shows, for the day when nothing else
//! can be relied on. What is in the folder with the right digest is not fetched again, so it can be stopped at any moment.
//!
//! Invariants
//! - A record that cannot be read is listed with the reason, and stops no other.
//! - That records leave the archive is in the ledger before the first is read, by number and digest of their ids; where the
//!   vault takes no entry any more, the export is made all the same and says so.
//!
//! Not here: packages for another provider (`handover`), files without vault or network (`shosoin-reader`).

mod folder;
mod index;
mod name;
mod walk;

use crate::args::SiteArgs;
use crate::error::{Error, Result};
use crate::output::Output;
use crate::partial::Partial;
use crate::progress::Progress;
use crate::session::Session;
use crate::text;
use clap::Args;
use folder::{Folder, Found};
use futures::{StreamExt as _, stream};
use index::{Heading, Index, Row, State};
use name::Paths;
use serde_json::json;
use shosoin_client::{Client, now_ms};
use shosoin_protocol::act::{Document, Export, ExportScope};
use shosoin_protocol::{Digest, ErrorKind, VersionId};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use walk::{Item, Selection, Walk};

/// Records under way at a time.
const AT_ONCE: usize = 8;
/// Records one after the other to which the vault gave no answer, after which it is asked no more.
const SILENCES_MAX: u32 = 3;
/// Programs that read along are told how far it has come this often.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Arguments of `export`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    shosoin export /media/usb/records --dir ./hospital\n  \
    shosoin export ./ward-3 charts --prefix ward-3/ --dir ./hospital --as-of 2026-11-01T00:00:00+09:00\n  \
    shosoin export ./records --dir ./hospital --dry-run --json")]
pub struct ExportArgs {
    /// Folder for the files: new, empty, or of an earlier export that is to go on
    out: PathBuf,
    /// Bucket [default: every bucket]
    bucket: Option<String>,
    /// Only names that begin with this
    #[arg(long, default_value = "", hide_default_value = true)]
    prefix: String,
    /// The records as they were then, as in `2026-11-01T00:00:00+09:00`, as far as they are still in view
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    as_of: Option<u64>,
    /// Replace files that are not the record whose name they have; without it the record is written beside them
    #[arg(long)]
    replace: bool,
    /// Fetch and write nothing: say how much there is, and how much of it is in the folder already
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    site: SiteArgs,
}

fn parse_moment(text: &str) -> Result<u64, String> {
    text::parse_time(text).ok_or_else(|| "it must be a day or a moment, as in 2026-11-01T00:00:00+09:00".to_owned())
}

/// Exports, and prints a line for each record that is not there, and a summary.
pub async fn run(args: ExportArgs, output: Output) -> Result<()> {
    let session = Session::open(&args.site).await?;
    let outcome = export(&session.client, &args, output).await;
    session.finish(outcome).await
}

/// What is to be exported.
struct Plan {
    selection: Selection,
    paths: Paths,
    versions: Vec<VersionId>,
    bytes: u64,
}

/// What was done.
#[derive(Debug, Default)]
struct Tally {
    records: u64,
    bytes: u64,
    written: u64,
    written_bytes: u64,
    present: u64,
    beside: u64,
    failed: u64,
    damaged: u64,
    refused: u64,
}

impl Tally {
    fn count(&mut self, done: &Done) {
        self.records += 1;
        self.bytes += done.row.size_bytes;
        match done.row.state {
            State::Written => self.written += 1,
            State::Present => self.present += 1,
            State::Beside => self.beside += 1,
            State::Failed => self.failed += 1,
            State::Earlier => {}
        }
        self.written_bytes += done.written_bytes;
        match done.failure {
            Some(ErrorKind::Damaged) => self.damaged += 1,
            Some(ErrorKind::Refused | ErrorKind::Invalid) => self.refused += 1,
            _ => {}
        }
    }

    /// What the failures mean for a script: damage before what may pass.
    fn outcome(&self) -> Result<()> {
        let kind = match (self.failed, self.damaged, self.refused) {
            (0, _, _) => return Ok(()),
            (_, 0, 0) => ErrorKind::Unavailable,
            (_, 0, _) => ErrorKind::Refused,
            _ => ErrorKind::Damaged,
        };
        Err(Error::NotExported { count: self.failed, kind })
    }
}

/// One record, and what became of it.
struct Done {
    row: Row,
    written_bytes: u64,
    failure: Option<ErrorKind>,
}

async fn export(client: &Client, args: &ExportArgs, output: Output) -> Result<()> {
    let selection = Selection { bucket: args.bucket.clone(), prefix: args.prefix.clone(), as_of_ms: args.as_of };
    let plan = plan(client, selection)?;
    let hospital = client.keyring().hospital();
    let folder = match args.dry_run {
        true => Folder::look(&args.out, hospital)?,
        false => Folder::take(&args.out, hospital)?,
    };
    let mut run = Run { client, args, plan, folder: &folder, silences: AtomicU32::new(0), stated: String::new() };
    if args.dry_run {
        return run.look(output).await;
    }
    if run.anything_to_write().await? {
        run.stated = state(client, &run.plan, output).await;
    }
    let tally = run.write(output).await?;
    let index = args.out.join("index.html");
    let answer = json!({
        "records": tally.records, "bytes": tally.bytes, "written": tally.written, "written_bytes": tally.written_bytes,
        "present": tally.present, "beside": tally.beside, "failed": tally.failed, "act": run.stated, "index": index,
    });
    output.answer(&answer, || {
        let beside = match tally.beside {
            0 => String::new(),
            count => format!(
                "\n{count} stand beside files that are not the record whose name they have; --replace replaces those"
            ),
        };
        format!(
            "{} records: {} written ({}), {} there already, {} failed{beside}\nopen {}",
            tally.records,
            tally.written + tally.beside,
            text::bytes(tally.written_bytes),
            tally.present,
            tally.failed,
            index.display()
        )
    })?;
    tally.outcome()
}

fn plan(client: &Client, selection: Selection) -> Result<Plan> {
    let mut walk = Walk::begin(client, &selection)?;
    let (mut paths, mut versions, mut bytes) = (Paths::default(), Vec::new(), 0);
    while let Some(items) = walk.next_page()? {
        for item in items {
            paths.add(&item.bucket, &item.name);
            versions.push(item.version);
            bytes += item.size_bytes;
        }
    }
    Ok(Plan { selection, paths, versions, bytes })
}

/// States the export in the ledger; gives the id of the act, or nothing where the vault takes none.
async fn state(client: &Client, plan: &Plan, output: Output) -> String {
    let scope = match plan.selection.is_everything() {
        true => ExportScope::Everything,
        false => ExportScope::Chosen,
    };
    let (versions, list) = (plan.versions.len() as u64, Export::list(plan.versions.clone()));
    let export = Export { scope, as_of_ms: plan.selection.as_of_ms, versions, list };
    match client.state(None, Document::Export(export)).await {
        Ok(stated) => stated.id.to_string(),
        Err(error) => {
            let why = Error::client("put the export on the record")(error).clauses().join(": ");
            output.note(&format!("{why}\nit goes on without: note it elsewhere"));
            String::new()
        }
    }
}

/// One run.
struct Run<'a> {
    client: &'a Client,
    args: &'a ExportArgs,
    plan: Plan,
    folder: &'a Folder,
    /// records in a row to which the vault gave no answer
    silences: AtomicU32,
    /// id of the act; empty where there is none
    stated: String,
}

impl Run<'_> {
    /// Whether any record is not in its place yet, as far as can be told without reading files.
    async fn anything_to_write(&self) -> Result<bool> {
        let mut walk = Walk::begin(self.client, &self.plan.selection)?;
        while let Some(items) = walk.next_page()? {
            for item in items {
                let path = self.folder.path(&self.plan.paths.of(&item.bucket, &item.name, item.version));
                let there = std::fs::symlink_metadata(path).is_ok_and(|found| found.len() == item.size_bytes);
                if !there {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    async fn look(&self, output: Output) -> Result<()> {
        let (mut walk, mut present, mut present_bytes) = (Walk::begin(self.client, &self.plan.selection)?, 0, 0);
        while let Some(items) = walk.next_page()? {
            for item in items {
                if let Some((_, _)) = self.present(&item).await? {
                    present += 1;
                    present_bytes += item.size_bytes;
                }
            }
        }
        let (records, bytes) = (self.plan.versions.len() as u64, self.plan.bytes);
        let answer = json!({ "records": records, "bytes": bytes, "present": present, "present_bytes": present_bytes });
        output.answer(&answer, || {
            format!(
                "{records} records ({}), of which {present} ({}) are in the folder already; nothing was written",
                text::bytes(bytes),
                text::bytes(present_bytes)
            )
        })
    }

    async fn write(&self, output: Output) -> Result<Tally> {
        let mut walk = Walk::begin(self.client, &self.plan.selection)?;
        let mut index = Index::begin(self.folder)?;
        let meter = Meter::new(output, self.plan.versions.len() as u64, self.plan.bytes);
        let (mut tally, scope) = (Tally::default(), |row: &Row| self.plan.selection.takes(&row.bucket, &row.name));
        while let Some(items) = walk.next_page()? {
            let mut done = stream::iter(items).map(|item| self.one(item)).buffered(AT_ONCE);
            while let Some(done) = done.next().await {
                let done = done?;
                tally.count(&done);
                meter.tell(&tally);
                index.add(&done.row, &scope)?;
                if done.row.state == State::Failed {
                    tell_failure(&done, output)?;
                }
            }
        }
        drop(meter);
        let heading = Heading {
            hospital: self.client.keyring().hospital().to_string(),
            made_ms: now_ms(),
            as_of_ms: self.plan.selection.as_of_ms,
            ledger_entries: self.client.head().map_or(0, |head| head.size),
            run: if self.stated.is_empty() { "-".to_owned() } else { self.stated.clone() },
        };
        index.finish(&heading, &scope).map(|()| tally)
    }

    /// Where the record is already, and its SHA-256.
    async fn present(&self, item: &Item) -> Result<Option<(String, Digest)>> {
        let own = self.plan.paths.of(&item.bucket, &item.name, item.version);
        for path in [own, name::with_version(&item.bucket, &item.name, item.version)] {
            if let Found::Same(digest) = self.found(&path, item).await? {
                return Ok(Some((path, digest)));
            }
        }
        Ok(None)
    }

    /// What is at a path; files are read on a thread that may wait.
    async fn found(&self, path: &str, item: &Item) -> Result<Found> {
        let (suite, facts) = (self.client.keyring().suite(), item.facts(self.client)?);
        tokio::task::block_in_place(|| self.folder.found(path, suite, &facts.parts))
    }

    /// One record: there already, fetched, or listed with the reason. An error of the folder itself ends the run.
    async fn one(&self, item: Item) -> Result<Done> {
        let mut row = self.row(&item);
        if let Some((path, digest)) = self.present(&item).await? {
            (row.state, row.path, row.sha256) = (State::Present, path, digest.to_string());
            return Ok(Done { row, written_bytes: 0, failure: None });
        }
        match self.fetch(&item).await {
            Ok((state, path, digest)) => {
                (row.state, row.path, row.sha256) = (state, path, digest.to_string());
                Ok(Done { written_bytes: row.size_bytes, row, failure: None })
            }
            Err(error @ (Error::File { .. } | Error::System { .. })) => Err(error),
            Err(error) => {
                row.why = error.clauses().join(": ");
                Ok(Done { row, written_bytes: 0, failure: Some(error.kind()) })
            }
        }
    }

    fn row(&self, item: &Item) -> Row {
        let policy = self.client.keeping(item.version).ok().flatten().map(|keeping| keeping.policy);
        Row {
            bucket: item.bucket.clone(),
            name: item.name.clone(),
            version: item.version.to_string(),
            state: State::Failed,
            size_bytes: item.size_bytes,
            modified_ms: item.modified_ms,
            record_type: policy.map(|policy| policy.record_type.code().to_owned()).unwrap_or_default(),
            label: policy.map(|policy| policy.label.name().to_owned()).unwrap_or_default(),
            sha256: String::new(),
            path: String::new(),
            why: String::new(),
        }
    }

    /// Fetches a record to its place, or beside a file that has its place.
    async fn fetch(&self, item: &Item) -> Result<(State, String, Digest)> {
        if self.silences.load(Ordering::Relaxed) >= SILENCES_MAX {
            return Err(Error::Job {
                job: "the export",
                why: "the vault gave no answer, so it was not asked".to_owned(),
            });
        }
        let scratch = self.folder.scratch(&item.version.to_string());
        let fetched = self.to_scratch(item, &scratch).await;
        let silent = matches!(&fetched, Err(Error::Client { source, .. }) if matches!(**source, shosoin_client::Error::Unreachable { .. }));
        match silent {
            true => drop(self.silences.fetch_add(1, Ordering::Relaxed)),
            false => self.silences.store(0, Ordering::Relaxed),
        }
        let digest = fetched?;
        let own = self.plan.paths.of(&item.bucket, &item.name, item.version);
        let (state, path) = match self.found(&own, item).await? {
            Found::Other if !self.args.replace => {
                (State::Beside, name::with_version(&item.bucket, &item.name, item.version))
            }
            _ => (State::Written, own),
        };
        let place = || self.folder.place(&scratch, &path, item.modified_ms, self.args.replace);
        tokio::task::block_in_place(place).map(|()| (state, path, digest))
    }

    /// Fetches a record, goes on where an earlier run stopped, and reads back what was written; its SHA-256.
    async fn to_scratch(&self, item: &Item, scratch: &std::path::Path) -> Result<Digest> {
        let task = || Error::client("read it");
        let object = self.client.open_object(&item.bucket, &item.name, Some(item.version)).await.map_err(task())?;
        object.verify_signature().await.map_err(task())?;
        let mut file = Partial::open(scratch, item.version, item.size_bytes)?;
        let mut pieces = object.read(file.kept_bytes()..item.size_bytes);
        while let Some(piece) = pieces.next().await {
            match piece {
                Ok(piece) => file.write(&piece).await?,
                Err(error) if error.kind() == ErrorKind::Unavailable => {
                    file.keep().await?;
                    return Err(task()(error));
                }
                Err(error) => {
                    file.discard();
                    return Err(task()(error));
                }
            }
        }
        file.finish().await?;
        let suite = self.client.keyring().suite();
        let same = tokio::task::block_in_place(|| folder::read_back(scratch, suite, &object.facts().parts))?;
        same.ok_or_else(|| {
            let _ = std::fs::remove_file(scratch); // it is not the record: nothing is lost with it
            Error::Damage { count: 1, what: "files read back as other bytes than were written" }
        })
    }
}

/// How far a run has come.
struct Meter {
    output: Output,
    bar: Progress,
    records: u64,
    bytes: u64,
    begun: Instant,
    told: std::cell::Cell<Option<Instant>>,
}

impl Meter {
    fn new(output: Output, records: u64, bytes: u64) -> Meter {
        let bar = Progress::bytes(output, "exported", Some(bytes));
        Meter { output, bar, records, bytes, begun: Instant::now(), told: std::cell::Cell::new(None) }
    }

    fn tell(&self, tally: &Tally) {
        self.bar.set(tally.bytes, self.bytes);
        if self.told.get().is_some_and(|told| told.elapsed() < TELL_EVERY) {
            return;
        }
        self.told.set(Some(Instant::now()));
        let seconds = self.begun.elapsed().as_secs_f64().max(0.001);
        let rate = tally.written_bytes as f64 / seconds;
        let left = self.bytes.saturating_sub(tally.bytes) as f64;
        let eta = (rate > 0.0).then(|| (left / rate).round());
        self.output.progress(&json!({
            "records": tally.records, "records_total": self.records, "bytes": tally.bytes, "bytes_total": self.bytes,
            "bytes_per_second": rate.round(), "eta_seconds": eta,
        }));
    }
}

fn tell_failure(done: &Done, output: Output) -> Result<()> {
    let row = &done.row;
    let kind = done.failure.map_or("", ErrorKind::name);
    let answer =
        json!({ "bucket": row.bucket, "name": row.name, "version": row.version, "kind": kind, "failure": row.why });
    output.answer(&answer, || format!("FAILED  {}/{} version {}: {}", row.bucket, row.name, row.version, row.why))
}
