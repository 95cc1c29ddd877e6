//! `shosoin quarantine`: evidence of what a hospital sent and intake found suspicious.

use crate::error::{Error, Result};
use crate::operator;
use crate::output::Output;
use crate::text::{bytes, time};
use clap::{Args, Subcommand};
use serde_json::Value;
use shosoin_store::quarantine::QuarantineCommand;
use std::path::PathBuf;

/// Commands about quarantine.
#[derive(Debug, Subcommand)]
pub enum QuarantineCommands {
    /// What was set aside: why, since when, and until when people must have decided
    #[command(after_help = "Example:\n  shosoin quarantine list --dir ./vault --all --json")]
    List(ListArgs),
    /// One thing, its evidence read and verified
    #[command(after_help = "Example:\n  shosoin quarantine show --dir ./vault 0198f0c2...")]
    Show(ShowArgs),
    /// Hand evidence out, or destroy it, as the hospital decided: ask, let a second person approve, run it again
    #[command(after_help = "Example:\n  \
        shosoin quarantine release --dir ./vault 0198f0c2... --to /media/police/evidence.shqe\n  \
        shosoin account approve --dir ./vault 7\n  \
        shosoin quarantine release --dir ./vault 0198f0c2... --to /media/police/evidence.shqe")]
    Release(ReleaseArgs),
}

/// Arguments of `quarantine list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Folder of the vault
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Whose [default: every hospital's]
    #[arg(long, value_name = "ID")]
    hospital: Option<String>,
    /// What left it too
    #[arg(long)]
    all: bool,
}

/// Arguments of `quarantine show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Its number
    id: String,
    /// Folder of the vault
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Whose [default: the only hospital of the vault]
    #[arg(long, value_name = "ID")]
    hospital: Option<String>,
}

/// Arguments of `quarantine release`.
#[derive(Debug, Args)]
pub struct ReleaseArgs {
    /// Its number
    id: String,
    /// Folder of the vault
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Whose [default: the only hospital of the vault]
    #[arg(long, value_name = "ID")]
    hospital: Option<String>,
    /// A new file that the evidence is written to, on the machine of the vault
    #[arg(long, value_name = "FILE", required_unless_present = "destroy", conflicts_with = "destroy")]
    to: Option<PathBuf>,
    /// Destroy it
    #[arg(long)]
    destroy: bool,
}

/// Runs one of them.
pub async fn run(command: QuarantineCommands, output: Output) -> Result<()> {
    match command {
        QuarantineCommands::List(ListArgs { dir, hospital, all }) => {
            let command = QuarantineCommand::List { hospital, all };
            let listed = operator::quarantine(&dir, "list quarantine", &command).await?;
            output.answer(&listed, || list_text(&listed))
        }
        QuarantineCommands::Show(ShowArgs { id, dir, hospital }) => {
            let command = QuarantineCommand::Show { hospital, id };
            let shown = operator::quarantine(&dir, "show what is in quarantine", &command).await?;
            output.answer(&shown, || show_text(&shown))
        }
        QuarantineCommands::Release(ReleaseArgs { id, dir, hospital, to, destroy: _ }) => {
            let absolute =
                |to: PathBuf| std::path::absolute(&to).map_err(|error| Error::invalid("file", error.to_string()));
            let command = QuarantineCommand::Release { hospital, id, to: to.map(absolute).transpose()? };
            let done = operator::quarantine(&dir, "release it from quarantine", &command).await?;
            output.answer(&done, || release_text(&done))
        }
    }
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or("-").to_owned()
}

fn list_text(listed: &Value) -> String {
    let mut out = String::new();
    for hospital in listed["hospitals"].as_array().into_iter().flatten() {
        let status = &hospital["status"];
        let held = status["bytes"].as_u64().map(bytes).unwrap_or_default();
        out += &format!("hospital {}: {} in quarantine, {held}", word(&hospital["hospital"]), status["items"]);
        match status["overdue"].as_u64() {
            Some(0) | None => out += "\n",
            Some(overdue) => out += &format!(", {overdue} past their term and undecided\n"),
        }
        for item in hospital["items"].as_array().into_iter().flatten() {
            let at = |field: &str| item[field].as_u64().map(time).unwrap_or_default();
            let mark = if item["overdue"] == true { "  OVERDUE" } else { "" };
            let (id, reason, thing, state) =
                (word(&item["id"]), word(&item["reason"]), word(&item["thing"]), word(&item["state"]));
            let (since, until) = (at("taken_ms"), at("until_ms"));
            out += &format!("  {id}  {thing:<7}  {reason:<14}  {state:<10}  {since}  decide by {until}{mark}\n");
        }
    }
    out
}

fn show_text(shown: &Value) -> String {
    let mut out = String::new();
    let at = |field: &str| shown[field].as_u64().map(time);
    out += &format!("{} of hospital {}, ", word(&shown["thing"]), word(&shown["hospital"]));
    out += &format!("set aside: {}\n", word(&shown["reason"]));
    out += &format!("version     {}\n", word(&shown["version"]));
    out += &format!("since       {}\n", at("taken_ms").unwrap_or_default());
    out += &format!("decide by   {}\n", at("until_ms").unwrap_or_default());
    out += &format!("ledger      leaf {}\n", shown["leaf_index"]);
    let size = shown["bytes"].as_u64().map(bytes).unwrap_or_default();
    out +=
        &format!("kept        {} records, {size}; {} left out for want of room\n", shown["records"], shown["left_out"]);
    match (&shown["intact"], at("left_ms")) {
        (Value::Bool(true), _) => out += "evidence    verified: it is what came in\n",
        (Value::Bool(false), _) => out += &format!("evidence    DAMAGED: {}\n", word(&shown["damage"])),
        (_, left) => out += &format!("evidence    {} at {}\n", word(&shown["state"]), left.unwrap_or_default()),
    }
    out
}

fn release_text(done: &Value) -> String {
    match done["state"].as_str() {
        Some("waiting") => format!(
            "request {0} waits for a second person: `shosoin account approve {0}`, then run this again\n",
            done["request"]
        ),
        Some("handed-out") => format!("handed out to {}, ledger leaf {}\n", word(&done["to"]), done["leaf_index"]),
        _ => format!("destroyed, ledger leaf {}\n", done["leaf_index"]),
    }
}
