//! `shosoin machine`: the register of the computers that the service is run on and from.

use crate::commands::volume::record_line;
use crate::error::{Error, Result};
use crate::operator;
use crate::output::Output;
use crate::text::{parse_time, time};
use clap::{Args, Subcommand};
use serde_json::Value;
use shosoin_store::machines::{CheckKind, MachineCommand, MachineId, MachineKind, MachineState};
use std::net::IpAddr;
use std::path::PathBuf;

/// Commands about machines.
#[derive(Debug, Subcommand)]
pub enum MachineCommands {
    /// Register a machine; it is not connected before it was checked and made active
    #[command(after_help = "Examples:\n  \
        shosoin machine add --dir ./vault vault-a --kind vault-host --this-host --address 10.0.8.2 --reason 'order 118'\n  \
        shosoin machine add --dir ./vault desk-1 --kind operator-terminal --address 10.0.8.21 --reason 'order 119'")]
    Add(AddArgs),
    /// Give a machine other addresses, or read again what recognises this host
    #[command(
        after_help = "Example:\n  shosoin machine change --dir ./vault desk-1 --address 10.0.8.22 --reason 'moved to room 4'"
    )]
    Change(ChangeArgs),
    /// List every machine there ever was, and whether it may be connected
    #[command(after_help = "Example:\n  shosoin machine list --dir ./vault --json")]
    List(ListArgs),
    /// Show one machine and its history
    #[command(after_help = "Example:\n  shosoin machine show --dir ./vault desk-1")]
    Show(OneArgs),
    /// Record what was looked at before it is connected: malware, patches, address
    #[command(after_help = "Example:\n  \
        shosoin machine check --dir ./vault desk-1 --passed malware,patches,address --reason 'full scan, release 2026-11'")]
    Check(CheckArgs),
    /// Connect a machine, stop it, or end its life
    #[command(after_help = "Examples:\n  \
        shosoin machine set-state --dir ./vault desk-1 active --reason 'checked today'\n  \
        shosoin machine set-state --dir ./vault desk-1 suspended --reason 'found unlocked'")]
    SetState(StateArgs),
}

/// Arguments of `machine list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Folder of the vault
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Only machines in this state: new, active, suspended, retired, destroyed
    #[arg(long, value_name = "STATE", value_parser = parse_state)]
    state: Option<MachineState>,
}

/// Arguments of `machine show`.
#[derive(Debug, Args)]
pub struct OneArgs {
    /// Which machine
    machine: MachineId,
    /// Folder of the vault
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

/// Arguments of `machine add`.
#[derive(Debug, Args)]
pub struct AddArgs {
    #[command(flatten)]
    one: OneArgs,
    /// vault-host, operator-terminal, station or witness-host
    #[arg(long, value_name = "KIND", value_parser = parse_kind)]
    kind: MachineKind,
    /// A network address it has; repeat
    #[arg(long, value_name = "ADDRESS")]
    address: Vec<IpAddr>,
    /// It is the host that the vault is on: a hash of its machine id recognises it from then on
    #[arg(long)]
    this_host: bool,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// Arguments of `machine change`.
#[derive(Debug, Args)]
pub struct ChangeArgs {
    #[command(flatten)]
    one: OneArgs,
    /// A network address it has from now on, in place of those before; repeat
    #[arg(long, value_name = "ADDRESS", required_unless_present = "this_host")]
    address: Vec<IpAddr>,
    /// It is the host that the vault is on: what recognises it is read again
    #[arg(long)]
    this_host: bool,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// Arguments of `machine check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    one: OneArgs,
    /// What passed: malware, patches, address
    #[arg(long, value_name = "CHECK,...", value_delimiter = ',', value_parser = parse_check, required_unless_present = "failed")]
    passed: Vec<CheckKind>,
    /// What did not
    #[arg(long, value_name = "CHECK,...", value_delimiter = ',', value_parser = parse_check)]
    failed: Vec<CheckKind>,
    /// When it was made, as in 2027-04-01 or 2027-04-01T09:00:00Z [default: now]
    #[arg(long, value_name = "TIME")]
    made: Option<String>,
    /// How it was made, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// Arguments of `machine set-state`.
#[derive(Debug, Args)]
pub struct StateArgs {
    #[command(flatten)]
    one: OneArgs,
    /// The new state: active, suspended, retired, destroyed
    #[arg(value_parser = parse_state)]
    state: MachineState,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

fn parse_kind(text: &str) -> Result<MachineKind, String> {
    MachineKind::parse(text).ok_or_else(|| one_of(MachineKind::ALL.iter().map(|word| word.name())))
}

fn parse_state(text: &str) -> Result<MachineState, String> {
    MachineState::parse(text).ok_or_else(|| one_of(MachineState::ALL.iter().map(|word| word.name())))
}

fn parse_check(text: &str) -> Result<CheckKind, String> {
    CheckKind::parse(text).ok_or_else(|| one_of(CheckKind::ALL.iter().map(|word| word.name())))
}

fn one_of<'a>(words: impl Iterator<Item = &'a str>) -> String {
    format!("it is one of {}", words.collect::<Vec<_>>().join(", "))
}

/// Runs one of them.
pub async fn run(command: MachineCommands, output: Output) -> Result<()> {
    match command {
        MachineCommands::Add(AddArgs { one, kind, address, this_host, reason }) => {
            let OneArgs { machine: id, dir } = one;
            let command = MachineCommand::Add { id, kind, addresses: address, this_host, reason };
            let added = operator::machine(&dir, "register the machine", &command).await?;
            output.answer(&added, || line(&added["machine"]))
        }
        MachineCommands::Change(ChangeArgs { one, address, this_host, reason }) => {
            let OneArgs { machine: id, dir } = one;
            let addresses = (!address.is_empty()).then_some(address);
            let command = MachineCommand::Change { id, addresses, this_host, reason };
            let changed = operator::machine(&dir, "change the machine", &command).await?;
            output.answer(&changed, || line(&changed["machine"]))
        }
        MachineCommands::List(ListArgs { dir, state }) => {
            let mut list = operator::machine(&dir, "list machines", &MachineCommand::List).await?;
            if let (Some(state), Some(machines)) = (state, list["machines"].as_array_mut()) {
                machines.retain(|machine| machine["state"] == state.name());
            }
            output.answer(&list, || list_text(&list))
        }
        MachineCommands::Show(OneArgs { machine: id, dir }) => {
            let shown = operator::machine(&dir, "show the machine", &MachineCommand::Show { id }).await?;
            output.answer(&shown, || show_text(&shown))
        }
        MachineCommands::Check(CheckArgs { one, passed, failed, made, reason }) => {
            let OneArgs { machine: id, dir } = one;
            let wrong = |text: String| Error::invalid("--made", format!("{text} is no time"));
            let made_ms = made.map(|text| parse_time(&text).ok_or_else(|| wrong(text))).transpose()?;
            let command = MachineCommand::Check { id, passed, failed, made_ms, reason };
            let checked = operator::machine(&dir, "record the check", &command).await?;
            output.answer(&checked, || line(&checked["machine"]))
        }
        MachineCommands::SetState(StateArgs { one, state, reason }) => {
            let OneArgs { machine: id, dir } = one;
            let command = MachineCommand::SetState { id, to: state, reason };
            let changed = operator::machine(&dir, "change the state of the machine", &command).await?;
            output.answer(&changed, || line(&changed["machine"]))
        }
    }
}

fn words(value: &Value) -> String {
    let words: Vec<&str> = value.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if words.is_empty() { "-".to_owned() } else { words.join(" ") }
}

fn line(machine: &Value) -> String {
    let text = |name: &str| machine[name].as_str().unwrap_or("-").to_owned();
    let may = match machine["obstacle"].as_str() {
        None => "may be connected".to_owned(),
        Some(why) => format!("not to be connected: {why}"),
    };
    format!("{:<16} {:<18} {:<10} {}  {may}\n", text("id"), text("kind"), text("state"), words(&machine["addresses"]))
}

fn list_text(list: &Value) -> String {
    let machines = list["machines"].as_array().map(Vec::as_slice).unwrap_or_default();
    let host = match (list["host"]["known"]["machine"].as_str(), list["host"]["unknown"]["why"].as_str()) {
        (Some(machine), _) => format!("this vault is on {machine}\n"),
        (_, Some(why)) => format!("this vault is on a host that the register does not let: {why}\n"),
        _ => "no machine is registered\n".to_owned(),
    };
    machines.iter().map(line).collect::<String>() + &host
}

fn show_text(shown: &Value) -> String {
    let machine = &shown["machine"];
    let mut out = line(machine);
    for (kind, result) in machine["checks"].as_object().into_iter().flatten() {
        let verdict = if result["passed"] == true { "passed" } else { "FAILED" };
        let made = time(result["made_ms"].as_u64().unwrap_or(0));
        let (by, how) = (result["actor"].as_str().unwrap_or("-"), result["remark"].as_str().unwrap_or("-"));
        out += &format!("  {kind:<8} {verdict} {made} by {by}: {how}\n");
    }
    for record in shown["history"].as_array().into_iter().flatten() {
        out += &format!("{}\n", record_line(record));
    }
    out
}
