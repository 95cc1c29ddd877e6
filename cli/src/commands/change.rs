//! `shosoin change`: the register of changes of the service.

use crate::error::{Error, Result};
use crate::operator;
use crate::output::Output;
use crate::text::time;
use clap::{Args, Subcommand};
use serde_json::Value;
use shosoin_store::changes::{ChangeCommand, Thing};
use shosoin_store::machines::MachineId;
use std::path::PathBuf;

/// Commands about changes.
#[derive(Debug, Subcommand)]
pub enum ChangeCommands {
    /// Register a change before it is made: program, settings or machine; a program is compared with what its maker published
    #[command(after_help = "Examples:\n  \
        shosoin change add --dir ./vault --program ./shosoin-0.2.0 --release 0.2.0 --sha256 9f2c.. --what 'release 0.2.0' \\\n    \
        --tested 'trial vault: put, get, check' --reason 'advisory 2027-3'\n  \
        shosoin account approve --dir ./vault 7     # and the same again, once somebody agreed\n  \
        shosoin change add --dir ./vault --settings ./vault.toml.new --what 'scrub at night' --tested 'read back on the trial vault' \\\n    \
        --reason 'order 120'")]
    Add(Box<AddArgs>),
    /// List every change, and whether program and settings are as registered
    #[command(after_help = "Example:\n  shosoin change list --dir ./vault --json")]
    List(ListArgs),
    /// Show one change
    #[command(after_help = "Example:\n  shosoin change show --dir ./vault 3")]
    Show(ShowArgs),
}

/// Arguments of `change list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Folder of the vault
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

/// Arguments of `change show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Number of the change
    number: u64,
    /// Folder of the vault
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

/// Arguments of `change add`.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// Folder of the vault
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    #[command(flatten)]
    thing: ThingArgs,
    /// SHA-256 of the program as its maker published it, from another place than the file
    #[arg(long, value_name = "HEX", requires = "program")]
    sha256: Option<String>,
    /// Release of the program
    #[arg(long, value_name = "RELEASE", requires = "program")]
    release: Option<String>,
    /// What is changed
    #[arg(long, value_name = "WORDS")]
    what: String,
    /// How it was found to work, and to do what it is for
    #[arg(long, value_name = "WORDS")]
    tested: String,
    /// Who agreed, in a vault without accounts; otherwise a second person approves the request that this makes
    #[arg(long, value_name = "NAME")]
    approved_by: Option<String>,
    /// Why, for the audit log
    #[arg(long, value_name = "WORDS")]
    reason: String,
}

/// What is changed: one of these.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct ThingArgs {
    /// File of the new program
    #[arg(long, value_name = "FILE", requires = "sha256", requires = "release")]
    program: Option<PathBuf>,
    /// File that becomes vault.toml; without a file, vault.toml as it is
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    settings: Option<Option<PathBuf>>,
    /// A machine of the register
    #[arg(long, value_name = "ID")]
    machine: Option<MachineId>,
}

/// Runs one of them.
pub async fn run(command: ChangeCommands, output: Output) -> Result<()> {
    match command {
        ChangeCommands::Add(args) => add(*args, output).await,
        ChangeCommands::List(ListArgs { dir }) => {
            let list = operator::change(&dir, "list changes", &ChangeCommand::List).await?;
            output.answer(&list, || list_text(&list))
        }
        ChangeCommands::Show(ShowArgs { number, dir }) => {
            let shown = operator::change(&dir, "show the change", &ChangeCommand::Show { number }).await?;
            output.answer(&shown, || show_text(&shown["change"]))
        }
    }
}

async fn add(args: AddArgs, output: Output) -> Result<()> {
    let AddArgs { dir, thing, sha256, release, what, tested, approved_by, reason } = args;
    let absolute = |file: PathBuf| std::path::absolute(&file).map_err(Error::file("find", &file));
    let thing = match (thing.program, thing.settings, thing.machine) {
        (Some(file), _, _) => {
            // the group and its requirements leave neither out
            let (sha256, release) = (sha256.unwrap_or_default(), release.unwrap_or_default());
            Thing::Program { file: absolute(file)?, sha256, release }
        }
        (_, Some(file), _) => Thing::Settings { file: file.map(absolute).transpose()? },
        (_, _, machine) => {
            let missing = || Error::invalid("change", "name a program, settings or a machine".to_owned());
            Thing::Machine { id: machine.ok_or_else(missing)? }
        }
    };
    let command = ChangeCommand::Add { thing, what, tested, approved_by, reason };
    let added = operator::change(&dir, "register the change", &command).await?;
    output.answer(&added, || match added["state"].as_str() {
        Some("waiting") => format!(
            "request {0} waits for a second person: `shosoin account approve {0}`, then run this again\n",
            added["request"]
        ),
        _ => show_text(&added["change"]),
    })
}

fn word<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or("-")
}

fn line(change: &Value) -> String {
    let state = match change["in_force_ms"].as_u64() {
        Some(at_ms) => format!("in force since {}", time(at_ms)),
        None => "registered, not met yet".to_owned(),
    };
    let (kind, subject, what) = (word(change, "kind"), word(change, "subject"), word(change, "what"));
    format!("{:>5}  {kind:<8} {subject:<16} {state}  {what}\n", change["number"])
}

fn list_text(list: &Value) -> String {
    let mut out: String = list["changes"].as_array().into_iter().flatten().map(line).collect();
    for (what, registered) in [("program", "program_registered"), ("settings", "settings_registered")] {
        out += &format!("{what:<8} {}: {}\n", word(&list["now"], what), standing(&list["now"][registered]));
    }
    out
}

/// How program or settings stand to the register, in words.
pub fn standing(registered: &Value) -> String {
    let number = |of: &str| registered[of]["change"].as_u64();
    match (number("as"), number("before"), number("not")) {
        (Some(change), _, _) => format!("as registered, change {change}"),
        (_, Some(change), _) => format!("as before change {change}, which is registered and not done yet"),
        (_, _, Some(change)) => format!("NOT REGISTERED; it should be as change {change} says"),
        _ => "nothing is registered".to_owned(),
    }
}

fn show_text(change: &Value) -> String {
    let mut out = line(change);
    let registered = time(change["registered_ms"].as_u64().unwrap_or(0));
    out += &format!("  registered {registered} by {}: {}\n", word(change, "actor"), word(change, "reason"));
    out += &format!("  agreed     {} (request {})\n", word(change, "approved_by"), change["request"]);
    out += &format!("  tested     {}\n", word(change, "tested"));
    out += &format!("  before     {}\n  after      {}\n", word(change, "before"), word(change, "after"));
    out
}
