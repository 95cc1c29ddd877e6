//! `shosoin suite`: the algorithms of a hospital over time. A weaker suite ends by a signed policy that nobody takes back, and a
//! hospital moves to a stronger one by sealing everything anew under a second hospital id.

use crate::args::SiteArgs;
use crate::error::{Error, Result};
use crate::output::Output;
use crate::passphrase::PassphraseArgs;
use crate::progress::Progress;
use crate::session::Session;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use shosoin_client::{Client, Fate, ResealReport};
use shosoin_protocol::act::SuitePolicy;
use shosoin_protocol::{HospitalId, Suite};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Instant;

/// Commands about suites.
#[derive(Debug, Subcommand)]
pub enum SuiteCommand {
    /// The suite of the hospital, and the least one that is still stored in
    #[command(after_help = "Example:\n  shosoin suite show --dir ./hospital --json")]
    Show(ShowArgs),
    /// Demand that what is stored from now on is at least of this suite; it never falls again
    #[command(after_help = "Example:\n  shosoin suite require 2 --dir ./hospital --yes")]
    Require(RequireArgs),
    /// Seal every record in view into the ledger of another hospital id of the same hospital, of a suite that is not weaker
    #[command(after_help = "Example:\n  \
        shosoin keyring init --suite cryptrec --dir ./hospital-2 --vault-url https://vault.example:7443 --vault-pin 3f9a...\n  \
        shosoin suite move --dir ./hospital --to ./hospital-2 --end\n\n\
        Killed or stopped, the next run goes on. With --end nothing is stored under the old hospital id any more; all of it stays readable.")]
    Move(MoveArgs),
}

/// Arguments of `suite show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    #[command(flatten)]
    site: SiteArgs,
}

/// Arguments of `suite require`.
#[derive(Debug, Args)]
pub struct RequireArgs {
    /// The least suite, 1 or 2
    #[arg(value_name = "SUITE", value_parser = clap::value_parser!(u8).range(1..=2))]
    minimum: u8,
    /// This is meant
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    site: SiteArgs,
}

/// Arguments of `suite move`.
#[derive(Debug, Args)]
pub struct MoveArgs {
    /// Folder of the new hospital id, made by `keyring init` and known to the vault
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// File with the passphrase of its key file [default: as for the old one]
    #[arg(long, value_name = "FILE")]
    to_passphrase_file: Option<PathBuf>,
    /// End storing under the old hospital id once everything was moved
    #[arg(long)]
    end: bool,
    #[command(flatten)]
    site: SiteArgs,
}

/// Runs one of them.
pub async fn run(command: SuiteCommand, output: Output) -> Result<()> {
    match command {
        SuiteCommand::Show(args) => show(args, output).await,
        SuiteCommand::Require(args) => require(args, output).await,
        SuiteCommand::Move(args) => move_to(args, output).await,
    }
}

fn described(client: &Client) -> Result<Value> {
    let policy = client.suite_policy().map_err(Error::client("read the suite policy"))?;
    Ok(json!({
        "hospital": client.keyring().hospital().to_string(), "suite": client.keyring().suite().code(),
        "minimum": policy.map(|policy| policy.minimum.code()),
        "successor": policy.and_then(|policy| policy.successor).map(|successor| successor.to_string()),
        "stores": policy.is_none_or(|policy| policy.takes(client.keyring().suite())),
    }))
}

async fn show(args: ShowArgs, output: Output) -> Result<()> {
    let session = Session::open(&args.site).await?;
    let outcome = async {
        session.client.refresh().await.map_err(Error::client("read the ledger"))?;
        described(&session.client)
    };
    let outcome = outcome.await;
    let answer = session.finish(outcome).await?;
    output.answer(&answer, || {
        let or = |value: &Value, none: &str| {
            if value.is_null() { none.to_owned() } else { value.to_string().replace('"', "") }
        };
        format!(
            "hospital   {}\nsuite      {}\nleast      {}\nsuccessor  {}\nstores     {}",
            or(&answer["hospital"], "-"),
            answer["suite"],
            or(&answer["minimum"], "none demanded"),
            or(&answer["successor"], "none"),
            if answer["stores"] == true { "yes" } else { "no: what is there stays readable" }
        )
    })
}

async fn require(args: RequireArgs, output: Output) -> Result<()> {
    if !args.yes {
        let why = "it is never taken back, and a hospital of a weaker suite stores nothing any more: give --yes if that is meant";
        return Err(Error::NotConfirmed { what: "the least suite", why: why.to_owned() });
    }
    let minimum = Suite::try_from(args.minimum).map_err(|error| Error::invalid("SUITE", error.to_string()))?;
    let session = Session::open(&args.site).await?;
    let outcome = async {
        let successor = session.client.suite_policy().map_err(Error::client("read the suite policy"))?;
        let successor = successor.and_then(|policy| policy.successor);
        demand(&session.client, SuitePolicy { minimum, successor }).await
    };
    let outcome = outcome.await;
    let answer = session.finish(outcome).await?;
    output.answer(&answer, || format!("what is stored from now on is at least of suite {}", minimum.code()))
}

async fn demand(client: &Client, policy: SuitePolicy) -> Result<Value> {
    client.require_suite(policy).await.map_err(Error::client("demand the least suite"))?;
    described(client)
}

async fn move_to(args: MoveArgs, output: Output) -> Result<()> {
    let from = Session::open(&args.site).await?;
    let outcome = async {
        let target = Session::open(&target_args(&args)).await?;
        let moved = moved(&from.client, &target.client, args.end, output).await;
        target.finish(moved).await
    };
    let outcome = outcome.await;
    let (report, hospital, took_ms, ended) = from.finish(outcome).await?;
    output.answer(&json_of(&report, hospital, took_ms, ended), || text_of(&report, hospital, ended))?;
    match report.counts().2 {
        0 => Ok(()),
        count => Err(Error::Damage { count, what: "records could not be moved; they are as they were" }),
    }
}

fn target_args(args: &MoveArgs) -> SiteArgs {
    let old = &args.site.passphrase;
    let passphrase = match &args.to_passphrase_file {
        Some(file) => PassphraseArgs { passphrase_file: Some(file.clone()), pin: old.pin.clone(), passphrase_fd: None },
        None => old.clone(),
    };
    SiteArgs {
        dir: Some(args.to.clone()),
        keyring: None,
        vault_url: None,
        vault_pin: None,
        state: None,
        require_witnesses: args.site.require_witnesses,
        passphrase,
    }
}

async fn moved(from: &Client, to: &Client, end: bool, output: Output) -> Result<(ResealReport, HospitalId, u64, bool)> {
    let (bar, begun) = (Progress::count(output, "moved", Some(0)), Instant::now());
    let report = from.succeed(to, &|progress| bar.set(progress.records, progress.records_total)).await;
    let report = report.map_err(Error::client("move the records"))?;
    let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let (hospital, minimum) = (to.keyring().hospital(), to.keyring().suite());
    let ends = end && report.counts().2 == 0;
    if ends {
        for (client, successor) in [(to, None), (from, Some(hospital))] {
            let policy = SuitePolicy { minimum, successor };
            if client.suite_policy().map_err(Error::client("read the suite policy"))? != Some(policy) {
                demand(client, policy).await?;
            }
        }
    }
    Ok((report, hospital, took_ms, ends))
}

fn json_of(report: &ResealReport, hospital: HospitalId, took_ms: u64, ended: bool) -> Value {
    let (moved, left, failed) = report.counts();
    let of = |(version, fate): &(shosoin_protocol::VersionId, Fate)| match fate {
        Fate::Resealed { new, .. } => json!({ "version": version.to_string(), "stands_in": new.to_string() }),
        Fate::Left { why } => json!({ "version": version.to_string(), "left": why }),
        Fate::Failed { why } => json!({ "version": version.to_string(), "failed": why }),
    };
    json!({
        "to": hospital.to_string(), "moved": moved, "left": left, "failed": failed, "plain_bytes": report.plain_bytes,
        "took_ms": took_ms, "ended": ended, "records": report.fates.iter().map(of).collect::<Vec<_>>(),
    })
}

fn text_of(report: &ResealReport, hospital: HospitalId, ended: bool) -> String {
    let (moved, left, failed) = report.counts();
    let bytes = report.plain_bytes;
    let mut text = format!(
        "{moved} records are under hospital id {hospital}; {bytes} bytes sealed anew; {left} left, {failed} failed"
    );
    for (version, fate) in &report.fates {
        let _ = match fate {
            Fate::Resealed { .. } => continue,
            Fate::Left { why } => write!(text, "\nleft    version {version}: {why}"),
            Fate::Failed { why } => write!(text, "\nFAILED  version {version}: {why}"),
        };
    }
    let _ = match ended {
        true => write!(text, "\nnothing is stored under the old hospital id any more; what is there stays readable"),
        false => write!(text, "\nthe old hospital id still stores: `suite move --end` ends that"),
    };
    text
}
