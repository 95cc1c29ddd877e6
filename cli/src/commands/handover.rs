//! `shosoin handover`: everything of one hospital in a package, from this provider to the next.

mod hospital;

use super::volume::parse_spec;
use crate::error::{Error, Result};
use crate::operator;
use crate::output::Output;
use crate::progress::Progress;
use crate::text::{bytes, time};
use clap::{Args, Subcommand};
use serde_json::Value;
use shosoin_protocol::HospitalId;
use shosoin_store::check::{Finding, Severity};
use shosoin_store::handover::{self, Meter, VerifyOptions, VerifyReport};
use shosoin_store::stores::Stores;
use shosoin_store::{IndexKind, VolumeSpec};
use shosoin_tiers::media::Media;
use shosoin_tiers::{Random as _, SystemRandom, Unpaced};
use shosoin_trust::timestamp::Token;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Programs that read along are told how far a run has come when it begins, and then this often.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// How often a verification is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// What is done about a hand-over.
#[derive(Debug, Subcommand)]
pub enum HandoverCommand {
    /// Hospital: order that everything is handed over to another vault
    #[command(after_help = "Example:\n  \
        shosoin handover order --dir ./hospital --receiver 71b2e4... --fingerprint \"01c9 77e0 ...\" --yes")]
    Order(hospital::OrderArgs),
    /// Operator: write everything of one hospital into a package, in a folder or a bucket; again to let it grow
    #[command(after_help = "Examples:\n  \
        shosoin handover export --dir ./vault --to /mnt/package\n  \
        shosoin handover export --dir ./vault --to /mnt/package --timestamps /media/stick/timestamps\n  \
        shosoin handover export --dir ./vault --hospital 77ab12... --to s3://handover/77ab --close --json")]
    Export(ExportArgs),
    /// Operator: take a hospital over from a package that its own order names this vault in
    #[command(after_help = "Example:\n  \
        shosoin handover import --dir ./vault --from /mnt/package --fingerprint \"01c9 77e0 ...\"")]
    Import(ImportArgs),
    /// Hospital: look at everything at the vault that received it, confirm in both ledgers, and go on there
    #[command(after_help = "Examples:\n  \
        shosoin handover confirm --dir ./hospital --to-url https://next.example:7443 --to-pin 5f0c8a...\n  \
        shosoin handover confirm --dir ./hospital --to-url https://next.example:7443 --to-pin 5f0c8a... \\\n    \
        --confidence 0.99 --damage 0.001")]
    Confirm(hospital::ConfirmArgs),
    /// Operator: how far a hand-over has come, on this vault's record
    #[command(after_help = "Example:\n  shosoin handover status --dir ./vault --json")]
    Status(HospitalArgs),
    /// Operator: take the end of a ledger back, where the hospital stays after all
    #[command(after_help = "Example:\n  shosoin handover reopen --dir ./vault --hospital 77ab12... --yes")]
    Reopen(ReopenArgs),
    /// Anyone: check a package against itself, without any key
    #[command(after_help = "Example:\n  \
        shosoin handover verify --from /mnt/package --fingerprint \"01c9 77e0 ...\" --json")]
    Verify(VerifyArgs),
}

/// Where a package is.
#[derive(Debug, Args)]
#[command(next_help_heading = "Object store")]
struct StoreArgs {
    /// Where the store answers, if not where its provider's stores do
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Region of the bucket
    #[arg(long, value_name = "NAME")]
    region: Option<String>,
    /// File with the credentials of the store, mode 0600 [default: from the environment]
    #[arg(long, value_name = "FILE")]
    credentials: Option<PathBuf>,
}

impl StoreArgs {
    fn complete(self, place: VolumeSpec) -> Result<VolumeSpec> {
        let credentials = self.credentials.map(absolute).transpose()?;
        Ok(VolumeSpec { endpoint: self.endpoint, region: self.region, credentials, ..place })
    }
}

/// A path that a process in another folder finds, too.
fn absolute(path: PathBuf) -> Result<PathBuf> {
    std::path::absolute(&path).map_err(Error::file("find", path))
}

/// Arguments of `handover export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Folder of the vault, or of a site made by `up`
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Whose [default: the only hospital of the vault]
    #[arg(long, value_name = "ID", value_parser = super::jobs::parse_id::<HospitalId>)]
    hospital: Option<HospitalId>,
    /// An empty folder, or prefix of a bucket as in `s3://bucket/prefix`; or one with a package that is to grow
    #[arg(long, value_name = "PLACE", value_parser = parse_spec)]
    to: VolumeSpec,
    /// Read and write at most this much a second, as in `100MiB`
    #[arg(long, value_name = "SIZE", value_parser = super::jobs::parse_rate)]
    rate: Option<u64>,
    /// Payload of each file of the package, as in `256MiB`
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = super::jobs::parse_rate)]
    file_size: u64,
    /// End the ledger here, as the hospital has ordered: the package is the last, and no record is taken any more
    #[arg(long)]
    close: bool,
    /// Folder `timestamps` of the hospital, or a copy: timestamped heads of its ledger, which are kept and packed from now on
    #[arg(long, value_name = "DIR")]
    timestamps: Option<PathBuf>,
    #[command(flatten)]
    store: StoreArgs,
}

/// Arguments of `handover import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Folder of the vault, or of a site made by `up`
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Where the package is: a folder, or prefix of a bucket as in `s3://bucket/prefix`
    #[arg(long, value_name = "PLACE", value_parser = parse_spec)]
    from: VolumeSpec,
    /// Fingerprint of the key of the vault that made it, as its operator tells it
    #[arg(long, value_name = "HEX")]
    fingerprint: String,
    /// Take it although that vault could not read everything any more: what is missing stays missing
    #[arg(long)]
    accept_missing: bool,
    /// Read and write at most this much a second, as in `100MiB`
    #[arg(long, value_name = "SIZE", value_parser = super::jobs::parse_rate)]
    rate: Option<u64>,
    #[command(flatten)]
    store: StoreArgs,
}

/// Whose hand-over.
#[derive(Debug, Args)]
pub struct HospitalArgs {
    /// Folder of the vault, or of a site made by `up`
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Whose [default: the only hospital of the vault]
    #[arg(long, value_name = "ID", value_parser = super::jobs::parse_id::<HospitalId>)]
    hospital: Option<HospitalId>,
}

/// Arguments of `handover reopen`.
#[derive(Debug, Args)]
pub struct ReopenArgs {
    #[command(flatten)]
    of: HospitalArgs,
    /// Do it: if the receiving vault has taken the package in, the hospital has two vaults that each go on
    #[arg(long)]
    yes: bool,
}

/// Arguments of `handover verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Where the package is: a folder, or prefix of a bucket as in `s3://bucket/prefix`
    #[arg(long, value_name = "PLACE", value_parser = parse_spec)]
    from: VolumeSpec,
    /// Fingerprint of the key of the vault that made it, as its operator tells it; without it the package is checked against
    /// itself alone
    #[arg(long, value_name = "HEX")]
    fingerprint: Option<String>,
    /// Folder for some 100 bytes a record while it is checked [default: the system's temporary folder]
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    #[command(flatten)]
    store: StoreArgs,
}

/// Runs one of them.
pub async fn run(command: HandoverCommand, output: Output) -> Result<()> {
    match command {
        HandoverCommand::Order(args) => hospital::order(args, output).await,
        HandoverCommand::Export(args) => export(args, output).await,
        HandoverCommand::Import(args) => import(args, output).await,
        HandoverCommand::Confirm(args) => hospital::confirm(args, output).await,
        HandoverCommand::Status(args) => status(args, output).await,
        HandoverCommand::Reopen(args) => reopen(args, output).await,
        HandoverCommand::Verify(args) => verify(args, output).await,
    }
}

async fn export(args: ExportArgs, output: Output) -> Result<()> {
    let ExportArgs { dir, hospital, to, rate, file_size, close, timestamps, store } = args;
    let to = store.complete(to)?;
    if to.url.is_none() {
        crate::files::create_dir(&to.path)?;
    }
    let hospital = hospital.map(|id| id.to_string());
    let timestamps = timestamps.map(absolute).transpose()?;
    let segment_bytes = Some(file_size);
    let command = handover::HandoverCommand::Export { hospital, to, rate, segment_bytes, close, timestamps };
    let report = operator::handover(&dir, &command, shown(output, "packing")).await?;
    output.answer(&report, || export_text(&report))?;
    match report["missing"].as_array().map_or(0, Vec::len) as u64 {
        0 => Ok(()),
        count => Err(Error::Damage { count, what: "records could not be read and are missing in the package" }),
    }
}

async fn import(args: ImportArgs, output: Output) -> Result<()> {
    let ImportArgs { dir, from, fingerprint, accept_missing, rate, store } = args;
    let from = store.complete(from)?;
    let command = handover::HandoverCommand::Import { from, fingerprint, accept_missing, rate };
    let report = operator::handover(&dir, &command, shown(output, "taking in")).await?;
    output.answer(&report, || {
        let (hospital, entries, leaf) = (&report["hospital"], &report["entries"], &report["leaf_index"]);
        format!(
            "hospital {} is here with {entries} entries of its ledger, which goes on at leaf {leaf}\n\
             this run wrote {} records, {}; {} machines of the hospital are let in\n\
             next: the hospital runs `handover confirm`; until then the former vault keeps everything",
            hospital.as_str().unwrap_or("?"),
            report["added_records"],
            bytes(report["added_bytes"].as_u64().unwrap_or(0)),
            report["machines"]
        )
    })
}

async fn status(args: HospitalArgs, output: Output) -> Result<()> {
    let hospital = args.hospital.map(|id| id.to_string());
    let status = operator::handover(&args.dir, &handover::HandoverCommand::Status { hospital }, |_| ()).await?;
    output.answer(&status, || status_text(&status))
}

fn status_text(status: &Value) -> String {
    let vaults: Vec<&str> = status["vaults"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut out =
        format!("hospital   {}\nkept by    {}\n", status["hospital"].as_str().unwrap_or("?"), vaults.join(", then "));
    let _ = match status["ordered_to"].as_str() {
        Some(receiver) => writeln!(out, "ordered    to vault {receiver}"),
        None => writeln!(out, "ordered    no"),
    };
    let _ = match status["ended_at"].as_u64() {
        Some(leaf) => writeln!(out, "ended      at leaf {leaf}"),
        None => writeln!(out, "ended      no"),
    };
    let confirmed = &status["confirmed"];
    let _ = match confirmed["receiver"].as_str() {
        Some(receiver) => writeln!(
            out,
            "confirmed  vault {receiver} has everything: {} of {} versions were opened there",
            confirmed["versions"], confirmed["of"]
        ),
        None => writeln!(out, "confirmed  no"),
    };
    out
}

async fn reopen(args: ReopenArgs, output: Output) -> Result<()> {
    if !args.yes {
        let why = "give --yes once the hospital says that it stays and that no other vault has taken the package in";
        return Err(Error::NotConfirmed { what: "reopening", why: why.to_owned() });
    }
    let hospital = args.of.hospital.map(|id| id.to_string());
    let command = handover::HandoverCommand::Reopen { hospital };
    let reopened = operator::handover(&args.of.dir, &command, |_| ()).await?;
    output.answer(&reopened, || format!("the ledger goes on here from leaf {}", reopened["leaf_index"]))
}

/// Shows progress as it comes: a bar for people, a line now and then for programs.
fn shown(output: Output, what: &'static str) -> impl FnMut(&Value) {
    let bar = Progress::bytes(output, what, Some(0));
    let mut told: Option<Instant> = None;
    move |progress: &Value| {
        let done = progress["bytes"].as_u64().unwrap_or(0);
        bar.set(done, progress["bytes_total"].as_u64().unwrap_or(0).max(done));
        if told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            told = Some(Instant::now());
            output.progress(progress);
        }
    }
}

fn export_text(report: &Value) -> String {
    let size = |field: &str| bytes(report[field].as_u64().unwrap_or(0));
    let mut out = format!(
        "{} package of {} entries and {} records, {}, in {} files at {}\n",
        report["state"].as_str().unwrap_or("?"),
        report["log_size"],
        report["records"],
        size("record_bytes"),
        report["files"],
        report["place"].as_str().unwrap_or("?"),
    );
    let _ = writeln!(
        out,
        "this run added {} entries and {} records and wrote {}",
        report["added_entries"],
        report["added_records"],
        size("added_bytes")
    );
    for address in report["missing"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let _ = writeln!(out, "MISSING  {address}: it cannot be read at this vault; the manifest says so");
    }
    let _ = writeln!(out, "signed with key {}", report["fingerprint"].as_str().unwrap_or("?"));
    out
}

async fn verify(args: VerifyArgs, output: Output) -> Result<()> {
    let VerifyArgs { from, fingerprint, scratch, store } = args;
    let from = store.complete(from)?;
    let folder = scratch.unwrap_or_else(std::env::temp_dir);
    let mut id = [0; 16];
    SystemRandom.fill(&mut id).map_err(|error| Error::invalid("scratch folder", error.to_string()))?;
    let scratch = folder.join(format!("shosoin-verify-{}", hex::encode(id)));
    let options = VerifyOptions { fingerprint, scratch, index: IndexKind::Fjall };
    let meter = Arc::new(Meter::default());
    let (judging, seen) = (meter.clone(), meter);
    let mut work = tokio::task::spawn_blocking(move || {
        let media = Stores::new(Path::new("")).media(&from)?;
        let mut report = handover::verify::verify(media.clone(), &options, &Unpaced, &judging)?;
        tokens(&*media, &mut report);
        Ok(report)
    });
    let (mut show, mut look) = (shown(output, "verifying"), tokio::time::interval(LOOK));
    let report = loop {
        tokio::select! {
            done = &mut work => break done.map_err(|_| Error::Job { job: "verify", why: "it panicked".to_owned() })?,
            _ = look.tick() => show(&serde_json::json!(seen.progress())),
        }
    };
    drop(show);
    let report = report.map_err(Error::vault("verify the package"))?;
    output.answer(&report, || verify_text(&report))?;
    match report.findings.len() as u64 + report.further_findings {
        0 => Ok(()),
        count => Err(Error::Damage { count, what: "findings: the package is not as it was made" }),
    }
}

/// Reads the tokens of timestamped heads: each is over what stands before it, and signed by the key of the certificate that it
/// brings. Whose that is, is for whoever has anchors.
fn tokens(media: &dyn Media, report: &mut VerifyReport) {
    for stamped in std::mem::take(&mut report.timestamps) {
        let evidence = handover::timestamps::evidence_in(media, &stamped.file);
        let covered = evidence.map_err(|error| error.problem().message).and_then(|evidence| {
            let covers = |(number, token): (usize, &Vec<u8>)| {
                let token = Token::read(token)?;
                token.covers(evidence.timestamped(number).as_bytes())?;
                token.signed_by().map(drop)
            };
            evidence.timestamps.iter().enumerate().try_for_each(covers).map_err(|error| error.to_string())
        });
        match covered {
            Ok(()) => report.timestamps.push(stamped),
            Err(why) => {
                let message = format!("{}: {why}", stamped.file);
                report.findings.push(Finding { severity: Severity::Damaged, code: "timestamp", message });
            }
        }
    }
}

fn verify_text(report: &VerifyReport) -> String {
    let mut out = String::new();
    for finding in &report.findings {
        let _ = writeln!(out, "{:<24}{}", finding.code, finding.message);
    }
    if report.further_findings > 0 {
        let _ = writeln!(out, "and {} further findings", report.further_findings);
    }
    let VerifyReport { vault, hospital, state, entries, log_size, records, heads, .. } = report;
    let _ = writeln!(out, "{state} package of hospital {hospital}, made by vault {vault} at {}", time(report.made_ms));
    let _ = writeln!(
        out,
        "{entries} of {log_size} entries proved, {records} records of {}, {heads} signed heads, {} files",
        bytes(report.record_bytes),
        report.files
    );
    let (stamped, tokens) = (report.timestamps.len(), report.timestamps.iter().map(|head| head.tokens).sum::<usize>());
    if stamped > 0 {
        let _ = writeln!(
            out,
            "{stamped} heads with {tokens} timestamps over them; `evidence verify` with anchors says who made them, and when"
        );
    }
    for address in &report.missing {
        let _ = writeln!(out, "MISSING  {address}: the vault says that it could not read it");
    }
    let _ = writeln!(out, "signed with key {}", report.fingerprint);
    match report.is_good() {
        true => out + "everything in it holds\n",
        false => out,
    }
}
