//! `shosoin incident`: tell hospitals at once what happened, with the scene as it was, and look at what they were told.

use crate::commands::volume::DirArgs;
use crate::error::{Error, Result};
use crate::operator;
use crate::output::Output;
use crate::text::{parse_time, time};
use clap::{Args, Subcommand};
use serde_json::Value;
use shosoin_store::incidents::IncidentCommand;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Commands about incidents.
#[derive(Debug, Subcommand)]
pub enum IncidentCommands {
    /// Preserve the scene, and state the incident in the ledger of each hospital, for good
    #[command(after_help = "Examples:\n  \
        shosoin incident state --dir ./vault --class outage --severity serious --began 2026-04-01T09:00:00+09:00\n  \
        shosoin incident state --dir ./vault --class access --severity grave --hospital 77ab12... --scene /var/log/auth.log")]
    State(StateArgs),
    /// What hospitals were told, and whether each scene is as it was
    #[command(after_help = "Example:\n  shosoin incident list --dir ./vault --json")]
    List(ListArgs),
}

/// Arguments of `incident state`.
#[derive(Debug, Args)]
pub struct StateArgs {
    #[command(flatten)]
    dir: DirArgs,
    /// What: loss, medium-lost, access, malware, outage, tampering, other
    #[arg(long, value_name = "CLASS")]
    class: String,
    /// How grave for the hospital: notice, serious, grave
    #[arg(long, value_name = "SEVERITY")]
    severity: String,
    /// When it began, if that is known
    #[arg(long, value_name = "TIME")]
    began: Option<String>,
    /// Which hospital; repeat for more [default: every one]
    #[arg(long, value_name = "ID")]
    hospital: Vec<String>,
    /// A file of this machine that belongs to the scene; repeat for more
    #[arg(long, value_name = "FILE")]
    scene: Vec<PathBuf>,
}

/// Arguments of `incident list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    dir: DirArgs,
    /// Which hospital [default: every one]
    #[arg(long, value_name = "ID")]
    hospital: Option<String>,
}

/// Runs one of them.
pub async fn run(command: IncidentCommands, output: Output) -> Result<()> {
    match command {
        IncidentCommands::State(args) => {
            let why = "it must look like 2026-04-01 or 2026-04-01T09:00:00+09:00";
            let began = args.began.as_ref().map(|text| parse_time(text).ok_or_else(|| Error::invalid("--began", why)));
            let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
            let command = IncidentCommand::State {
                hospitals: args.hospital,
                class: args.class,
                severity: args.severity,
                began_ms: began.transpose()?,
                given: args.scene.iter().map(absolute).collect(),
            };
            let answer = operator::incident(&args.dir.dir, "state the incident", &command).await?;
            output.answer(&answer, || stated(&answer))
        }
        IncidentCommands::List(args) => {
            let command = IncidentCommand::List { hospital: args.hospital };
            let answer = operator::incident(&args.dir.dir, "show incidents", &command).await?;
            output.answer(&answer, || listed(&answer))
        }
    }
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

fn stated(answer: &Value) -> String {
    let mut out = format!("scene  {}\n       {}\n", word(&answer["folder"]), word(&answer["scene"]));
    for told in answer["stated"].as_array().into_iter().flatten() {
        let _ = writeln!(out, "told   {} in leaf {}", word(&told["hospital"]), told["leaf_index"]);
    }
    out
}

fn listed(answer: &Value) -> String {
    let mut out = String::new();
    for incident in answer["incidents"].as_array().into_iter().flatten() {
        let told = incident["told_ms"].as_u64().map(time).unwrap_or_default();
        let (class, severity) = (word(&incident["class"]), word(&incident["severity"]));
        let hospital = word(&incident["hospital"]);
        let hospital = hospital.get(..8).unwrap_or(hospital);
        let _ = writeln!(out, "{told}  {hospital}  {class:<12} {severity:<8} scene {}", word(&incident["scene_state"]));
    }
    if out.is_empty() { "no incident was stated\n".to_owned() } else { out }
}
