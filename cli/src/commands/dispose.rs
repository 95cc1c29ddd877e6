//! `shosoin dispose`: the end of records. The hospital orders, persons approve, the operator runs and certifies.

use crate::error::Result;
use crate::operator;
use crate::output::Output;
use crate::text::{bytes, time};
use clap::{Args, Subcommand};
use serde_json::Value;
use shosoin_store::disposal::{DisposalCommand, DueQuery};
use std::path::PathBuf;

/// Commands about disposal.
#[derive(Debug, Subcommand)]
pub enum DisposeCommand {
    /// Operator: deposits whose retention has ended and that no hold keeps; nothing goes without the hospital's order
    #[command(after_help = "Example:\n  shosoin dispose due --dir ./vault --within-days 30 --json")]
    Due(DueArgs),
}

/// Arguments of `dispose due`.
#[derive(Debug, Args)]
pub struct DueArgs {
    /// Folder of the vault
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Whose [default: the only hospital of the vault]
    #[arg(long, value_name = "ID")]
    hospital: Option<String>,
    /// Those that end within so many days too
    #[arg(long, value_name = "DAYS", default_value_t = 0)]
    within_days: u32,
    /// Go on after this reference number
    #[arg(long, value_name = "NUMBER")]
    after: Option<u64>,
    /// Entries at most, up to 1000
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    limit: usize,
}

/// Runs one of them.
pub async fn run(command: DisposeCommand, output: Output) -> Result<()> {
    match command {
        DisposeCommand::Due(DueArgs { dir, hospital, within_days, after, limit }) => {
            let query = DueQuery { hospital, within_days, after, limit };
            let due = operator::disposal(&dir, "look for what is due", &DisposalCommand::Due(query)).await?;
            output.answer(&due, || due_text(&due))
        }
    }
}

fn due_text(due: &Value) -> String {
    let mut out = "number    version                           type   ended                 bytes\n".to_owned();
    for entry in due["due"].as_array().into_iter().flatten() {
        let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let (number, version, kind) = (entry["number"].to_string(), word(&entry["version"]), word(&entry["kind"]));
        let ended = entry["ended_ms"].as_u64().map(time).unwrap_or_default();
        let size = entry["stored_bytes"].as_u64().map(bytes).unwrap_or_default();
        out += &format!("{number:>8}  {version}  {kind:<5}  {ended:<20}  {size}\n");
    }
    let count = |field: &str| due[field].to_string();
    out += &format!(
        "{} due; kept beside them: {} on hold, {} without a known start, {} without a term\n",
        count("count"),
        count("on_hold"),
        count("start_unknown"),
        count("without_term")
    );
    match due["next"].as_u64() {
        Some(next) => out + &format!("more with --after {next}\n"),
        None => out,
    }
}
