//! `shosoin notify`: whether people are told what is wrong, and a trial of it.

use crate::commands::volume::DirArgs;
use crate::error::Result;
use crate::operator;
use crate::output::Output;
use clap::Subcommand;
use serde_json::Value;
use shosoin_store::notify::NotifyCommand;
use std::fmt::Write as _;

/// Commands about telling people.
#[derive(Debug, Subcommand)]
pub enum NotifyCommands {
    /// How each channel fares: up to which record of the audit log it was told, and what fails
    #[command(after_help = "Example:\n  shosoin notify status --dir ./vault --json")]
    Status(DirArgs),
    /// Tell every channel of the vault that runs that this is a trial
    #[command(after_help = "Example:\n  shosoin notify try --dir ./vault && shosoin notify status --dir ./vault")]
    Try(DirArgs),
}

/// Runs one of them.
pub async fn run(command: NotifyCommands, output: Output) -> Result<()> {
    let (args, task, command) = match command {
        NotifyCommands::Status(args) => (args, "show who is told", NotifyCommand::Status),
        NotifyCommands::Try(args) => (args, "try whether people are told", NotifyCommand::Try),
    };
    let answer = operator::told(&args.dir, task, command).await?;
    output.answer(&answer, || text(&answer))
}

fn text(answer: &Value) -> String {
    let mut out = String::new();
    if let Some(record) = answer["record"].as_u64() {
        let _ = writeln!(out, "trial is record {record}; a process that serves the vault tells it");
    }
    let channels = answer["channels"].as_array().map_or(&[] as &[Value], Vec::as_slice);
    if channels.is_empty() {
        return out + "nobody is told: vault.toml has no [[notify]]\n";
    }
    for channel in channels {
        let (name, kind) = (channel["name"].as_str().unwrap_or("-"), channel["kind"].as_str().unwrap_or("-"));
        let standing = &channel["standing"];
        let _ = write!(out, "{name:<16} {kind:<8} told up to record {} of {}", standing["told"], answer["newest"]);
        if let Some(why) = standing["why"].as_str() {
            let _ = write!(out, "; try {} failed: {why}", standing["tries"]);
        }
        out.push('\n');
    }
    out
}
