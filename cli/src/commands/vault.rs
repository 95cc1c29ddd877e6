//! `shosoin vault`: the operator's side. No command here needs, takes or shows a key of a hospital.

pub mod init;
mod rebuild;
pub mod serve;

use crate::commands::change;
use crate::error::{Error, Result};
use crate::operator;
use crate::output::Output;
use crate::text;
use clap::{Args, Subcommand};
use serde_json::Value;
use shosoin_store::CheckOptions;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Commands about a vault.
#[derive(Debug, Subcommand)]
pub enum VaultCommand {
    /// Make a vault: its configuration, keys and volumes
    #[command(after_help = "Example:\n  \
        shosoin vault init --dir ./vault --code 4+2 --listen 0.0.0.0:7443 \\\n    \
        --volume /mnt/a,rack=1 --volume /mnt/b,rack=1 --volume /mnt/c,rack=2 \\\n    \
        --volume /mnt/d,rack=2 --volume /mnt/e,rack=3 --volume /mnt/f,rack=3")]
    Init(init::InitArgs),
    /// Serve the vault to its hospitals over mutual TLS
    #[command(after_help = "Example:\n  shosoin vault serve --dir ./vault")]
    Serve(serve::ServeArgs),
    /// Show volumes, hospitals and what needs attention; the vault may be served meanwhile
    #[command(after_help = "Example:\n  shosoin vault status --dir ./vault --json")]
    Status(StatusArgs),
    /// Compare index, ledger and media; the vault may be served meanwhile
    #[command(after_help = "Example:\n  shosoin vault check --dir ./vault --every-unit")]
    Check(CheckArgs),
    /// Make the index and the state of the ledgers anew from media alone, without any key
    #[command(after_help = "Example:\n  shosoin vault rebuild --dir ./vault")]
    Rebuild(rebuild::RebuildArgs),
}

/// Arguments of `vault status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Folder of the vault
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

/// Arguments of `vault check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Folder of the vault
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Read and verify every unit on every volume, parity too, not only what records need
    #[arg(long)]
    every_unit: bool,
}

/// Runs one of them.
pub async fn run(command: VaultCommand, output: Output) -> Result<()> {
    match command {
        VaultCommand::Init(args) => init::run(args, output).await,
        VaultCommand::Serve(args) => serve::run(args, output).await,
        VaultCommand::Status(args) => {
            let status = operator::status(&args.dir).await?;
            output.answer(&status, || status_text(&status))
        }
        VaultCommand::Check(args) => check(&args, output).await,
        VaultCommand::Rebuild(args) => rebuild::run(args, output).await,
    }
}

async fn check(args: &CheckArgs, output: Output) -> Result<()> {
    let report =
        operator::check(&args.dir, CheckOptions { every_unit: args.every_unit, ..CheckOptions::default() }).await?;
    output.answer(&report, || {
        let sealed = text::bytes(report["sealed_bytes"].as_u64().unwrap_or(0));
        let (segments, records, entries) = (&report["segments"], &report["records"], &report["entries"]);
        let counts =
            format!("{segments} segments, {records} records ({sealed}), {entries} entries of ledgers verified\n");
        counts + &findings_text(&report["findings"])
    })?;
    damage_in(&report["findings"])
}

/// A failure if any finding says that something stored is wrong or gone; lost redundancy is none.
fn damage_in(findings: &Value) -> Result<()> {
    let damaged = findings.as_array().into_iter().flatten().filter(|finding| finding["severity"] == "damaged").count();
    match damaged {
        0 => Ok(()),
        count => Err(Error::Damage { count: count as u64, what: "findings of damage" }),
    }
}

fn findings_text(findings: &Value) -> String {
    let findings = findings.as_array().into_iter().flatten();
    let lines: String =
        findings.map(|finding| format!("{:<10}{}\n", word(&finding["severity"]), word(&finding["message"]))).collect();
    match lines.is_empty() {
        true => "nothing to report: every copy is as it should be\n".to_owned(),
        false => lines,
    }
}

fn status_text(status: &Value) -> String {
    let mut out = String::new();
    if let Some(notice) = status["notice"].as_str() {
        let _ = writeln!(out, "{notice}");
    }
    let (release, code, index) = (word(&status["release"]), word(&status["code"]), word(&status["index"]));
    let _ = writeln!(out, "vault     {}  release {release}, code {code}, index {index}", word(&status["vault"]));
    for key in status["keys"].as_array().into_iter().flatten() {
        let _ = writeln!(out, "key       {}  of suite {}", word(&key["fingerprint"]), key["suite"]);
    }
    for volume in status["volumes"].as_array().into_iter().flatten() {
        let free = text::bytes(volume["free_bytes"].as_u64().unwrap_or(0));
        let _ = writeln!(out, "volume    {}  {:<9} {free} free", word(&volume["place"]), word(&volume["state"]));
    }
    let waits = status["repair_waits_until_ms"].as_u64().map_or(String::new(), |until_ms| {
        format!(
            ", waited for until {} before what it holds is rebuilt; `shosoin repair` does not wait",
            text::time(until_ms)
        )
    });
    for place in status["volumes_absent"].as_array().into_iter().flatten() {
        let _ = writeln!(out, "absent    {}{waits}", word(place));
    }
    for hospital in status["hospitals"].as_array().into_iter().flatten() {
        let note = hospital["read_only"].as_str().map(|why| format!(", read-only: {why}")).unwrap_or_default();
        let _ = writeln!(out, "hospital  {}  {} entries{note}", word(&hospital["hospital"]), hospital["log_size"]);
        out += &trouble(hospital);
        let used = text::bytes(hospital["used_bytes"].as_u64().unwrap_or(0));
        let agreement = match (hospital["agreement"].as_u64(), hospital["quota_bytes"].as_u64()) {
            (Some(number), Some(quota)) => format!("agreement {number}, {used} of {} used", text::bytes(quota)),
            _ => format!("no agreement in force, {used} used"),
        };
        let _ = writeln!(out, "          {agreement}, malware scan {}", word(&hospital["scanning"]));
    }
    let people = &status["people"];
    let _ = match people["notice"].as_str() {
        Some(notice) => writeln!(out, "people    {notice}"),
        None => writeln!(out, "people    {} may act, {} requests wait", people["usable"], people["requests_waiting"]),
    };
    if status["itself"].is_object() {
        let standing = |what: &str| change::standing(&status["itself"][what]);
        let (program, settings) = (standing("program_registered"), standing("settings_registered"));
        let _ = writeln!(out, "program   {program}\nsettings  {settings}");
    }
    if status["time"].is_object() {
        let _ = writeln!(out, "clock     {}", clock_text(&status["time"]));
    }
    let segments = &status["segments"];
    let payload = text::bytes(segments["payload_bytes"].as_u64().unwrap_or(0));
    let (open, closed, degraded) = (&segments["open"], &segments["closed"], &segments["degraded"]);
    let _ =
        writeln!(out, "segments  {open} open, {closed} closed, {degraded} with lost redundancy, {payload} of records");
    for format in status["formats"].as_array().into_iter().flatten().filter(|format| format["segments"] != 0) {
        let bytes = text::bytes(format["payload_bytes"].as_u64().unwrap_or(0));
        let (suite, hospitals, records) = (&format["suite"], &format["hospitals"], &format["records"]);
        let _ = writeln!(out, "suite {suite}   {hospitals} hospitals, {records} records, {bytes}");
    }
    let _ = writeln!(out, "repairs   {} stripes waiting", status["repair_queue"]);
    out + &findings_text(&status["findings"])
}

/// How the clock stands to standard time.
fn clock_text(time: &Value) -> String {
    match (time["error_us"].as_u64(), time["source"].as_str()) {
        (Some(error_us), Some(source)) => {
            let (verdict, limit) = (word(&time["state"]), &time["limit_ms"]);
            format!("{verdict}: at most {error_us} us from {source}, the limit is {limit} ms")
        }
        _ => format!("{}: {}", word(&time["state"]), word(&time["why"])),
    }
}

/// What somebody must look at: evidence in quarantine, a line that is stopped, uploads that were given up.
fn trouble(hospital: &Value) -> String {
    let mut out = String::new();
    let count = |of: &str, field: &str| hospital[of][field].as_u64().filter(|count| *count > 0);
    if let Some(items) = count("quarantine", "items") {
        let overdue = count("quarantine", "overdue").map(|overdue| format!(", {overdue} OVERDUE")).unwrap_or_default();
        let _ = writeln!(out, "          {items} things in quarantine{overdue}: `shosoin quarantine list`");
    }
    if let Some(since) = count("line", "stopped_ms") {
        let since = text::time(since);
        let _ = writeln!(out, "          COMMUNICATION STOPPED since {since}: `shosoin transfer status`");
    }
    if let (Some(records), Some(until)) = (count("abandoned", "records"), count("abandoned", "until_ms")) {
        let (bytes, until) = (text::bytes(count("abandoned", "bytes").unwrap_or(0)), text::time(until));
        let _ = writeln!(
            out,
            "          {records} records, {bytes}, of uploads without a deposit; the first goes after {until}"
        );
    }
    out
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("unknown")
}
