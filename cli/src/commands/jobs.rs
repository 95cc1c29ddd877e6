//! The operator's background work, asked for now: `shosoin scrub`, `repair`, `copy-forward`, `migrate`, `compact`, `check`,
//! and `shosoin jobs` about all of it. A vault that is served meanwhile does it in its own process; one that is not is
//! opened for it.

use crate::error::{Error, Result};
use crate::operator::{self, JobRequest};
use crate::output::Output;
use crate::progress::Progress;
use crate::text;
use clap::Args;
use serde_json::Value;
use shosoin_store::{Amplification, JobKind, JobOptions};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Programs that read along are told how far a run has come when it begins, and then this often.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Arguments of one run.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Folder of the vault, or of a site made by `up`
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Only this volume
    #[arg(long, value_name = "ID", value_parser = parse_id::<shosoin_protocol::VolumeId>)]
    volume: Option<shosoin_protocol::VolumeId>,
    /// Only what belongs to this hospital
    #[arg(long, value_name = "ID", value_parser = parse_id::<shosoin_protocol::HospitalId>)]
    hospital: Option<shosoin_protocol::HospitalId>,
    /// Stop at the first safe point after this time, as in `2h 30m`; the next run goes on there
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    max_duration: Option<Duration>,
    /// Read and write at most this much a second, as in `100MiB`
    #[arg(long, value_name = "SIZE", value_parser = parse_rate)]
    rate: Option<u64>,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    run: RunArgs,
    /// Read and verify every unit on every volume too, parity as well
    #[arg(long)]
    every_unit: bool,
}

/// Arguments of `copy-forward`.
#[derive(Debug, Args)]
pub struct CopyForwardArgs {
    #[command(flatten)]
    run: RunArgs,
    /// Bring shards from fuller volumes to this one until it has its share, in place of emptying volumes
    #[arg(long, value_name = "ID", conflicts_with = "volume", value_parser = parse_id::<shosoin_protocol::VolumeId>)]
    onto: Option<shosoin_protocol::VolumeId>,
}

/// Arguments of `compact`.
#[derive(Debug, Args)]
pub struct CompactArgs {
    #[command(flatten)]
    run: RunArgs,
    /// Rewrite at most this many bytes for each byte gained, as in `0.5`; without it what `vault.toml` says, 1 unless changed
    #[arg(long, value_name = "NUMBER")]
    amplification: Option<Amplification>,
}

/// Arguments of `jobs`.
#[derive(Debug, Args)]
pub struct JobsArgs {
    /// Folder of the vault, or of a site made by `up`
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Ask a job that runs to stop at its next safe point
    #[arg(long, value_name = "JOB", value_parser = parse_kind)]
    cancel: Option<JobKind>,
}

pub fn parse_id<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| "an id is 32 hex digits, as `shosoin vault status` shows it".to_owned())
}

pub fn parse_rate(text: &str) -> Result<u64, String> {
    let rate: bytesize::ByteSize = text.trim_end_matches("/s").parse()?;
    match rate.as_u64() {
        0 => Err("it must be more than nothing".to_owned()),
        bytes => Ok(bytes),
    }
}

fn parse_kind(text: &str) -> Result<JobKind, String> {
    let names = || JobKind::ALL.map(JobKind::name).join(", ");
    JobKind::parse(text).ok_or_else(|| format!("the jobs are {}", names()))
}

/// Checks the vault.
pub async fn check(args: CheckArgs, output: Output) -> Result<()> {
    let CheckArgs { run, every_unit } = args;
    run_with(JobKind::Check, JobOptions { every_unit, ..run.options() }, run.dir, output).await
}

/// Moves everything off volumes that near their end, or some of it to one that was added.
pub async fn copy_forward(args: CopyForwardArgs, output: Output) -> Result<()> {
    let CopyForwardArgs { run, onto } = args;
    run_with(JobKind::CopyForward, JobOptions { onto, ..run.options() }, run.dir, output).await
}

/// Compacts what is worth it.
pub async fn compact(args: CompactArgs, output: Output) -> Result<()> {
    let CompactArgs { run, amplification } = args;
    run_with(JobKind::Compact, JobOptions { amplification, ..run.options() }, run.dir, output).await
}

/// Runs a job now.
pub async fn run(kind: JobKind, args: RunArgs, output: Output) -> Result<()> {
    run_with(kind, args.options(), args.dir, output).await
}

impl RunArgs {
    fn options(&self) -> JobOptions {
        let RunArgs { dry_run, volume, hospital, max_duration, rate, .. } = *self;
        JobOptions { dry_run, volume, hospital, max_duration, rate, ..JobOptions::default() }
    }
}

async fn run_with(kind: JobKind, options: JobOptions, dir: PathBuf, output: Output) -> Result<()> {
    let bar = Progress::bytes(output, kind.name(), Some(0));
    let mut told: Option<Instant> = None;
    let show = |progress: &Value| {
        let done = number(&progress["done_bytes"]);
        bar.set(done, progress["total_bytes"].as_u64().unwrap_or(done));
        if told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            told = Some(Instant::now());
            output.progress(progress);
        }
    };
    let report = operator::run_job(&dir, &JobRequest { kind, options }, show).await?;
    drop(bar);
    output.answer(&report, || report_text(&report))?;
    judge(kind, &report)
}

/// A failure if the report says that something is wrong: for a check that data is, for the rest that anything is.
fn judge(kind: JobKind, report: &Value) -> Result<()> {
    if let Some(why) = report["error"].as_str() {
        return Err(Error::Job { job: kind.name(), why: why.to_owned() });
    }
    let wrong = |finding: &&Value| match kind {
        JobKind::Check => finding["severity"] == "damaged",
        _ => finding["severity"] != "notice",
    };
    let listed = report["finding"].as_array().into_iter().flatten().filter(wrong).count() as u64;
    match listed + report["short"].as_u64().unwrap_or(0) {
        0 => Ok(()),
        count => Err(Error::Damage { count, what: "findings" }),
    }
}

fn report_text(report: &Value) -> String {
    let mut out = String::new();
    for sentence in report["done"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let _ = writeln!(out, "{sentence}");
    }
    for finding in report["finding"].as_array().into_iter().flatten() {
        let _ = writeln!(out, "{:<10}{}", word(&finding["severity"]), word(&finding["message"]));
    }
    if report["dry_run"] == true {
        let _ = writeln!(out, "nothing was changed; {} to read or move", size(&report["left_bytes"]));
        return out;
    }
    let seconds = number(&report["ended_ms"]).saturating_sub(number(&report["started_ms"])) / 1000;
    let _ = writeln!(
        out,
        "{} {} after {seconds} s: {} read, {} units verified, {} written, {} read back, {} freed, {} rebuilt; {} \
         findings, {} short, {} left",
        word(&report["job"]),
        word(&report["outcome"]),
        size(&report["read_bytes"]),
        report["units"],
        size(&report["written_bytes"]),
        size(&report["reread_bytes"]),
        size(&report["freed_bytes"]),
        report["rebuilt"],
        report["findings"],
        report["short"],
        size(&report["left_bytes"]),
    );
    out
}

/// Shows or steers the jobs of a vault.
pub async fn jobs(args: JobsArgs, output: Output) -> Result<()> {
    if let Some(kind) = args.cancel {
        let answer = operator::cancel_job(&args.dir, kind).await?;
        return output.answer(&answer, || match answer["cancelled"] == true {
            true => format!("{} ends at its next safe point", kind.name()),
            false => format!("{} does not run", kind.name()),
        });
    }
    let report = operator::jobs(&args.dir).await?;
    output.answer(&report, || jobs_text(&report))
}

fn jobs_text(report: &Value) -> String {
    let mut out = String::new();
    let now_ms = number(&report["now_ms"]);
    if let Some(doubt) = report["clock_in_doubt"].as_str() {
        let _ = writeln!(
            out,
            "the clock is in doubt: {doubt}; nothing that removes anything starts until it is right or confirmed"
        );
    }
    if report["scheduled"] != true {
        let _ = writeln!(out, "nothing starts by itself here: no process serves this vault, or [jobs] is not enabled");
    }
    let _ = writeln!(out, "{:<13}{:<24}{:<24}last result", "job", "now", "next start");
    for job in report["jobs"].as_array().into_iter().flatten() {
        let next = job["next_ms"].as_u64().map_or("when there is work".to_owned(), text::time);
        let _ = writeln!(
            out,
            "{:<13}{:<24}{next:<24}{}",
            word(&job["job"]),
            now_text(job, now_ms),
            last_text(&job["last"])
        );
    }
    let scrub = &report["scrub"];
    let alarm = if scrub["alarm"] == true { "  ALARM" } else { "" };
    let (debt, total) = (size(&scrub["debt_bytes"]), size(&scrub["total_bytes"]));
    let _ = writeln!(
        out,
        "scrub debt   {debt} of {total} not verified for {}; oldest unverified byte {}{alarm}",
        length(number(&scrub["period_ms"])),
        length(number(&scrub["oldest_unverified_ms"])),
    );
    for waiting in report["repair_queue"].as_array().into_iter().flatten() {
        let (items, left) = (&waiting["items"], &waiting["redundancy_left"]);
        let _ = writeln!(out, "repairs      {items} wait where {left} more losses are survived");
    }
    if let Some(until_ms) = report["repair_waits_until_ms"].as_u64() {
        let until = text::time(until_ms);
        let _ = writeln!(
            out,
            "repairs      volumes are absent and waited for until {until}; `shosoin repair` does not wait"
        );
    }
    out
}

fn now_text(job: &Value, now_ms: u64) -> String {
    let running = &job["running"];
    if !running.is_null() {
        let (done, total) = (number(&running["done_bytes"]), running["total_bytes"].as_u64());
        let share = total.filter(|total| *total > 0).map_or(String::new(), |total| format!(" {}%", done * 100 / total));
        return format!("runs{share}");
    }
    if let Some(since) = job["late_since_ms"].as_u64() {
        return format!("late by {}", length(now_ms.saturating_sub(since)));
    }
    match (job["due"] == true, job["in_hand"] == true) {
        (true, _) => "due".to_owned(),
        (false, true) => "waits in the middle".to_owned(),
        _ => "rests".to_owned(),
    }
}

fn last_text(last: &Value) -> String {
    let Some(ended_ms) = last["ended_ms"].as_u64() else { return "never ran".to_owned() };
    let (outcome, read) = (word(&last["outcome"]), size(&last["read_bytes"]));
    let note = last["message"].as_str().filter(|note| !note.is_empty()).map(|note| format!(": {note}"));
    format!(
        "{outcome} {}, {read} read, {} findings{}",
        text::time(ended_ms),
        last["findings"],
        note.filter(|_| outcome == "failed").unwrap_or_default()
    )
}

fn length(ms: u64) -> String {
    match ms / 1000 {
        seconds if seconds < 120 => format!("{seconds} s"),
        seconds if seconds < 7_200 => format!("{} min", seconds / 60),
        seconds if seconds < 172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("unknown")
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn size(value: &Value) -> String {
    text::bytes(number(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_read_as_people_write_them() {
        assert_eq!(parse_rate("100MiB"), Ok(100 << 20));
        assert_eq!(parse_rate("5MB/s"), Ok(5_000_000));
        assert!(parse_rate("fast").is_err() && parse_rate("0").is_err());
        assert!(parse_kind("scrubb").unwrap_err().contains("copy-forward"));
    }
}
