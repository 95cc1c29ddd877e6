//! `shosoin keyring rotate`, `rewrap` and `coverage`: keys over time.

use crate::args::SiteArgs;
use crate::error::{Error, Result};
use crate::hospital::HospitalDir;
use crate::output::Output;
use crate::session::Session;
use crate::tour::Tour;
use clap::Args;
use serde_json::{Value, json};
use shosoin_client::{Client, CoverageReport, Covered, Dependence, RewrapOptions, RewrapReport};
use shosoin_protocol::act::{Custody, EpochReason};
use std::fmt::Write as _;

/// Arguments of `keyring rotate`.
#[derive(Debug, Args)]
pub struct RotateArgs {
    /// Why: schedule, device-lost, person-left, leak-suspected, leak-known or drill; it stands in the ledger
    #[arg(long, value_name = "REASON", default_value = "schedule", value_parser = parse_reason)]
    reason: EpochReason,
    #[command(flatten)]
    site: SiteArgs,
}

/// Arguments of `keyring rewrap`.
#[derive(Debug, Args)]
pub struct RewrapArgs {
    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// New wraps that one entry of the ledger names; fewer are done sooner and make more entries
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = clap::value_parser!(u16).range(1..=4096))]
    per_entry: u16,
    #[command(flatten)]
    site: SiteArgs,
}

/// Arguments of `keyring coverage`.
#[derive(Debug, Args)]
pub struct CoverageArgs {
    /// One line for each record that depends on what is asked for: --epoch, --suite, or else anything but the newest epoch
    #[arg(long)]
    list: bool,
    /// Only records whose key is wrapped under this epoch
    #[arg(long, value_name = "N", requires = "list")]
    epoch: Option<u32>,
    /// Only records that are sealed in this suite, 1 or 2
    #[arg(long, value_name = "N", requires = "list", value_parser = clap::value_parser!(u8).range(1..=2))]
    suite: Option<u8>,
    #[command(flatten)]
    site: SiteArgs,
}

/// A reason of an epoch, by its name.
pub fn parse_reason(text: &str) -> Result<EpochReason, String> {
    let names = || EpochReason::ALL.iter().map(|reason| reason.name()).collect::<Vec<_>>().join(", ");
    EpochReason::parse(text).ok_or_else(|| format!("the reasons are {}", names()))
}

/// Begins a new epoch.
pub async fn rotate(args: RotateArgs, output: Output) -> Result<()> {
    let custody = HospitalDir::of(&args.site)?.token()?.map_or(Custody::Passphrase, |_| Custody::Token);
    let session = Session::open(&args.site).await?;
    let begun = session.client.rotate(args.reason, custody).await;
    let begun = session.finish(begun.map_err(Error::client("begin a new epoch"))).await?;
    let answer = json!({
        "epoch": begun.epoch, "previous": begun.previous, "leaf_index": begun.leaf_index, "reason": args.reason.name(),
        "custody": custody.name(),
    });
    output.answer(&answer, || {
        format!(
            "epoch {} has begun: entry {} of the ledger\n\
             Keys of new records are wrapped under it. `shosoin keyring rewrap` wraps the older ones anew; both stay readable.",
            begun.epoch, begun.leaf_index
        )
    })
}

/// Wraps every data key anew that is not of the newest epoch.
pub async fn rewrap(args: RewrapArgs, output: Output) -> Result<()> {
    let session = Session::open(&args.site).await?;
    let tour = Tour::new(output, "wrapped");
    let options = RewrapOptions { dry_run: args.dry_run, act_wraps_max: args.per_entry.into() };
    let report = session.client.rewrap(options, &|progress| tour.show(progress)).await;
    let per_minute = tour.finish();
    let report = session.finish(report.map_err(Error::client("wrap the data keys anew"))).await?;
    output
        .answer(&rewrap_json(&report, args.dry_run, per_minute), || rewrap_text(&report, args.dry_run, per_minute))?;
    judge(report.counts.failed)
}

fn rewrap_json(report: &RewrapReport, dry_run: bool, per_minute: u64) -> Value {
    json!({
        "epoch": report.epoch, "dry_run": dry_run, "began_at": report.began_at, "entries": report.leaves,
        "rewrapped": report.counts.rewrapped, "already": report.counts.already, "gone": report.counts.gone,
        "failed": report.counts.failed, "acts": report.acts, "versions_per_minute": per_minute,
        "failures": failures(&report.failed),
    })
}

fn failures(failed: &[(shosoin_protocol::VersionId, String)]) -> Vec<Value> {
    failed.iter().map(|(version, why)| json!({ "version": version.to_string(), "why": why })).collect()
}

fn rewrap_text(report: &RewrapReport, dry_run: bool, per_minute: u64) -> String {
    let RewrapReport { epoch, counts, acts, failed, .. } = report;
    let mut text = match dry_run {
        true => format!("{} data keys would be wrapped anew under epoch {epoch}", counts.rewrapped),
        false => format!("{} data keys wrapped anew under epoch {epoch}, named by {acts} entries", counts.rewrapped),
    };
    let _ = write!(text, "; {} were before", counts.already);
    if counts.gone > 0 {
        let _ = write!(text, "; {} records have none any more", counts.gone);
    }
    let _ = write!(text, "\n{per_minute} a minute");
    for (version, why) in failed {
        let _ = write!(text, "\nFAILED  version {version}: {why}");
    }
    text
}

/// Keys that do not open are damage.
fn judge(failed: u64) -> Result<()> {
    match failed {
        0 => Ok(()),
        count => Err(Error::Damage { count, what: "data keys do not open; their records are as readable as before" }),
    }
}

/// Says which records depend on which epoch and suite.
pub async fn coverage(args: CoverageArgs, output: Output) -> Result<()> {
    let session = Session::open(&args.site).await?;
    let outcome = covered(&session.client, &args, output).await;
    let report = session.finish(outcome).await?;
    output.answer(&coverage_json(&report), || coverage_text(&report))?;
    judge(report.failed_count)
}

async fn covered(client: &Client, args: &CoverageArgs, output: Output) -> Result<CoverageReport> {
    client.refresh().await.map_err(Error::client("read the ledger"))?;
    let newest = client.epoch().map_err(Error::client("read the ledger"))?;
    let wanted = |on: &Dependence| {
        let epoch = args.epoch.map_or(args.suite.is_some() || on.epoch != newest, |epoch| on.epoch == epoch);
        args.list && epoch && args.suite.is_none_or(|suite| on.suite.code() == suite)
    };
    let (tour, mut written) = (Tour::new(output, "opened"), Ok(()));
    let each = |covered: Covered| {
        if written.is_ok() {
            written = print(&covered, output);
        }
    };
    let report = client.coverage(wanted, each, &|progress| tour.show(progress)).await;
    tour.finish();
    written?;
    report.map_err(Error::client("open the newest wraps"))
}

fn print(covered: &Covered, output: Output) -> Result<()> {
    let Covered { version, name, on, stored_bytes } = covered;
    let (bucket, name) = name.as_ref().map_or((None, None), |(bucket, name)| (Some(bucket), Some(name)));
    let answer = json!({
        "version": version.to_string(), "bucket": bucket, "name": name, "epoch": on.epoch, "suite": on.suite.code(),
        "stored_bytes": stored_bytes,
    });
    let shown = |text: Option<&String>| text.map_or("?", String::as_str).to_owned();
    output.answer(&answer, || {
        let (epoch, suite) = (on.epoch, on.suite.code());
        format!("{version}  epoch {epoch}  suite {suite}  {stored_bytes:>14}  {}/{}", shown(bucket), shown(name))
    })
}

fn coverage_json(report: &CoverageReport) -> Value {
    let on = |(on, (versions, bytes)): (&Dependence, &(u64, u64))| json!({ "epoch": on.epoch, "suite": on.suite.code(), "versions": versions, "stored_bytes": bytes });
    json!({
        "epoch": report.epoch, "entries": report.leaves, "on": report.on.iter().map(on).collect::<Vec<_>>(),
        "gone": report.gone, "failed": report.failed_count, "failures": failures(&report.failed),
    })
}

fn coverage_text(report: &CoverageReport) -> String {
    let mut text = "epoch  suite        records            bytes\n".to_owned();
    for (on, (versions, bytes)) in &report.on {
        let _ = writeln!(text, "{:>5}  {:>5}  {versions:>13}  {bytes:>15}", on.epoch, on.suite.code());
    }
    let _ = write!(text, "newest epoch {}; every wrap counted was opened", report.epoch);
    if report.gone > 0 {
        let _ = write!(text, "; {} records have none any more", report.gone);
    }
    for (version, why) in &report.failed {
        let _ = write!(text, "\nFAILED  version {version}: {why}");
    }
    text
}
