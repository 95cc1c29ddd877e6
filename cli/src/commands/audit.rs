//! `shosoin audit`: what was done to a vault, by whom and why; and whether the log of it is whole.

use crate::commands::volume::{DirArgs, record_line};
use crate::error::{Error, Result};
use crate::operator;
use crate::output::Output;
use crate::text::parse_time;
use clap::{Args, Subcommand};
use serde_json::Value;
use shosoin_store::audit::Action;
use shosoin_store::volumes::MediaCommand;

/// Commands about the audit log.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Follow the chain of the log from its first record to its head, and compare the copies on volumes
    #[command(after_help = "Example:\n  shosoin audit verify --dir ./vault --json")]
    Verify(VerifyArgs),
    /// Show records, oldest first
    #[command(after_help = "Example:\n  \
        shosoin audit show --dir ./vault --since 2026-04-01 --action volume-state --action release --json")]
    Show(ShowArgs),
    /// Say that the clock was compared with a good one, after it went back or far ahead
    #[command(after_help = "Example:\n  shosoin audit confirm-clock --dir ./vault")]
    ConfirmClock(DirArgs),
}

/// Arguments of `audit verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    dir: DirArgs,
}

/// Arguments of `audit show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    #[command(flatten)]
    dir: DirArgs,
    /// Not before this day or moment
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before this day or moment
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only this action; repeat for more
    #[arg(long, value_name = "ACTION", value_parser = parse_action)]
    action: Vec<Action>,
    /// Only about this volume
    #[arg(long, value_name = "VOLUME")]
    volume: Option<String>,
    /// Only by this user or job
    #[arg(long, value_name = "WHO")]
    actor: Option<String>,
    /// Only the newest so many [default: 1000]
    #[arg(long, value_name = "COUNT")]
    newest: Option<usize>,
}

fn parse_action(name: &str) -> Result<Action, String> {
    let names = Action::ALL.iter().map(|action| action.name()).collect::<Vec<_>>().join(", ");
    Action::parse(name).ok_or_else(|| format!("it is one of {names}"))
}

/// Runs one of them.
pub async fn run(command: AuditCommand, output: Output) -> Result<()> {
    match command {
        AuditCommand::Verify(args) => verify(&args, output).await,
        AuditCommand::Show(args) => show(args, output).await,
        AuditCommand::ConfirmClock(args) => {
            let answer = operator::media(&args.dir, &MediaCommand::ConfirmClock).await?;
            output.answer(&answer, || "the clock is trusted from now on\n".to_owned())
        }
    }
}

async fn verify(args: &VerifyArgs, output: Output) -> Result<()> {
    let report = operator::media(&args.dir.dir, &MediaCommand::AuditVerify).await?;
    let findings = || report["findings"].as_array().into_iter().flatten();
    output.answer(&report, || {
        let head = format!("{} at {}", report["head_digest"].as_str().unwrap_or("-"), report["head_seq"]);
        let counts =
            format!("{} records, {} copies of files on volumes, head {head}\n", report["records"], report["copies"]);
        let line = |finding: &Value| format!("{}\n", finding["message"].as_str().unwrap_or("-"));
        counts + &findings().map(line).collect::<String>()
    })?;
    match findings().filter(|finding| finding["severity"] == "damaged").count() as u64 {
        0 => Ok(()),
        count => Err(Error::Damage { count, what: "findings of a damaged audit log" }),
    }
}

async fn show(args: ShowArgs, output: Output) -> Result<()> {
    let moment = |what: &str, text: &Option<String>| {
        let why = "it must look like 2026-04-01 or 2026-04-01T09:00:00+09:00";
        text.as_ref().map(|text| parse_time(text).ok_or_else(|| Error::invalid(what, why))).transpose()
    };
    let command = MediaCommand::AuditShow {
        since_ms: moment("--since", &args.since)?,
        until_ms: moment("--until", &args.until)?,
        actions: args.action,
        volume: args.volume,
        actor: args.actor,
        newest: args.newest,
    };
    let records = operator::media(&args.dir.dir, &command).await?;
    output.answer(&records, || {
        let lines = records["records"].as_array().into_iter().flatten().map(|record| record_line(record) + "\n");
        lines.collect()
    })
}
