//! `shosoin transfer`: the lines between vault and hospitals, and opening one that stopped.

use crate::error::Result;
use crate::operator;
use crate::output::Output;
use crate::text::time;
use clap::{Args, Subcommand};
use serde_json::Value;
use shosoin_store::transfers::TransferCommand;
use std::path::PathBuf;

/// Commands about transfers.
#[derive(Debug, Subcommand)]
pub enum TransferCommands {
    /// How often transfers failed, with how many communication stops, and where it is stopped
    #[command(after_help = "Example:\n  shosoin transfer status --dir ./vault --json")]
    Status(StatusArgs),
    /// Let a stopped line be used again, once the cause was looked for and a second person agreed
    #[command(after_help = "Example:\n  \
        shosoin transfer reopen --dir ./vault --cause line --reason 'router at the hospital replaced'\n  \
        shosoin account approve --dir ./vault 7\n  \
        shosoin transfer reopen --dir ./vault --cause line --reason 'router at the hospital replaced'")]
    Reopen(ReopenArgs),
}

/// Arguments of `transfer status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Folder of the vault
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Whose [default: every hospital's]
    #[arg(long, value_name = "ID")]
    hospital: Option<String>,
}

/// Arguments of `transfer reopen`.
#[derive(Debug, Args)]
pub struct ReopenArgs {
    /// Folder of the vault
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Whose [default: the only hospital of the vault]
    #[arg(long, value_name = "ID")]
    hospital: Option<String>,
    /// What the cause was: line, hospital, operator, attack, unknown
    #[arg(long, value_name = "CAUSE")]
    cause: String,
    /// What was found, for the audit log; no name of a patient or record
    #[arg(long, value_name = "WORDS")]
    reason: String,
}

/// Runs one of them.
pub async fn run(command: TransferCommands, output: Output) -> Result<()> {
    match command {
        TransferCommands::Status(StatusArgs { dir, hospital }) => {
            let command = TransferCommand::Status { hospital };
            let status = operator::transfer(&dir, "look at the lines", &command).await?;
            output.answer(&status, || status_text(&status))
        }
        TransferCommands::Reopen(ReopenArgs { dir, hospital, cause, reason }) => {
            let command = TransferCommand::Reopen { hospital, cause, reason };
            let done = operator::transfer(&dir, "open the line again", &command).await?;
            output.answer(&done, || reopen_text(&done))
        }
    }
}

fn status_text(status: &Value) -> String {
    let mut out = String::new();
    for one in status["lines"].as_array().into_iter().flatten() {
        let line = &one["line"];
        out += &format!("hospital {}: ", one["hospital"].as_str().unwrap_or("-"));
        out += &match line["stopped_ms"].as_u64() {
            Some(since) => format!(
                "STOPPED since {}, last failure {}; what is urgent goes by {}\n",
                time(since),
                line["last"].as_str().unwrap_or("-"),
                line["other_way"].as_str().unwrap_or("the other way")
            ),
            None => "open\n".to_owned(),
        };
        out += &match line["failures_max"].as_u64() {
            Some(limit) => format!(
                "  {} transfers failed within {} minutes; with {limit} communication stops\n",
                line["failures"], line["window_minutes"]
            ),
            None => format!("  {} transfers failed; no limit is agreed on\n", line["failures"]),
        };
    }
    out
}

fn reopen_text(done: &Value) -> String {
    match done["state"].as_str() {
        Some("waiting") => format!(
            "request {0} waits for a second person: `shosoin account approve {0}`, then run this again\n",
            done["request"]
        ),
        _ => format!("open again, ledger leaf {}\n", done["leaf_index"]),
    }
}
