//! `shosoin report`: the monthly report to a hospital.

use crate::commands::notices::digest_of;
use crate::commands::volume::DirArgs;
use crate::error::{Error, Result};
use crate::operator;
use crate::output::Output;
use crate::text::time;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;
use shosoin_store::applicability::Lang;
use shosoin_store::reports::{Month, ReportCommand};
use std::fmt::Write as _;
use std::path::PathBuf;

/// Commands about reports.
#[derive(Debug, Subcommand)]
pub enum ReportCommands {
    /// Make the report of a month that is over; once made it is never changed
    #[command(after_help = "Example:\n  shosoin report make 2026-04 --dir ./vault --hospital 77ab12...")]
    Make(MonthArgs),
    /// Show a report that was made: figures, or the document for the hospital
    #[command(after_help = "Examples:\n  \
        shosoin report show 2026-04 --dir ./vault --format html --lang ja > 2026-04.html\n  \
        shosoin report show 2026-04 --dir ./vault --json")]
    Show(ShowArgs),
    /// The months with a report
    #[command(after_help = "Example:\n  shosoin report list --dir ./vault --json")]
    List(ListArgs),
}

/// Which report.
#[derive(Debug, Args)]
pub struct MonthArgs {
    /// Which month, as in 2026-04
    #[arg(value_name = "MONTH")]
    month: Month,
    #[command(flatten)]
    of: ListArgs,
}

/// Whose reports.
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    dir: DirArgs,
    /// Whose [default: the only hospital of the vault]
    #[arg(long, value_name = "ID")]
    hospital: Option<String>,
}

/// Arguments of `report show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    #[command(flatten)]
    report: MonthArgs,
    /// How
    #[arg(long, value_name = "FORM", default_value = "text")]
    format: Form,
    /// Language of the document
    #[arg(long, value_name = "LANG", default_value = "ja")]
    lang: Language,
    /// The text that the hospital sent beside a remark: is it the one of which the digest is on the record?
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,
}

/// Form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    Text,
    Html,
    Json,
}

/// Languages on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Language {
    Ja,
    En,
}

/// Runs one of them.
pub async fn run(command: ReportCommands, output: Output) -> Result<()> {
    match command {
        ReportCommands::Make(MonthArgs { month, of }) => {
            let command = ReportCommand::Make { hospital: of.hospital, month };
            let answer = operator::report(&of.dir.dir, "make the report", &command).await?;
            output.answer(&answer, || {
                let made = if answer["made"] == true { "made" } else { "there already, and stays as it is" };
                format!("report {month}: {made}\n{}", text(&answer))
            })
        }
        ReportCommands::Show(ShowArgs { report: MonthArgs { month, of }, format, lang, text: beside }) => {
            let lang = if lang == Language::Ja { Lang::Ja } else { Lang::En };
            let command = ReportCommand::Show { hospital: of.hospital, month, lang };
            let mut answer = operator::report(&of.dir.dir, "show the report", &command).await?;
            let page = answer["html"].as_str().unwrap_or_default().to_owned();
            if let Some(fields) = answer.as_object_mut() {
                fields.remove("html");
            }
            let remarks = answer["remarks"].as_array().map(Vec::as_slice).unwrap_or_default();
            if let Some(path) = &beside {
                let digest = digest_of(path)?.to_string();
                if !remarks.iter().any(|remark| remark["text"] == digest.as_str()) {
                    let why = format!("no remark on this report is about {}, whose digest is {digest}", path.display());
                    return Err(Error::invalid("--text", why));
                }
            }
            output.answer(&answer, || match format {
                Form::Text => text(&answer),
                Form::Html => page,
                Form::Json => answer.to_string(),
            })
        }
        ReportCommands::List(of) => {
            let command = ReportCommand::List { hospital: of.hospital };
            let answer = operator::report(&of.dir.dir, "list reports", &command).await?;
            output.answer(&answer, || {
                let months = answer["months"].as_array().into_iter().flatten().filter_map(Value::as_str);
                months.map(|month| format!("{month}\n")).collect()
            })
        }
    }
}

fn text(answer: &Value) -> String {
    let (report, mut out) = (&answer["report"], String::new());
    for (name, field) in [
        ("received", "received"),
        ("held", "held"),
        ("given out", "given_out"),
        ("disposed", "disposed"),
        ("read", "read"),
    ] {
        let _ = writeln!(out, "{name:<10} {:>10}  {} bytes", report[field]["count"], report[field]["bytes"]);
    }
    let _ = writeln!(out, "digest     {}", answer["digest"].as_str().unwrap_or("-"));
    for remark in answer["remarks"].as_array().into_iter().flatten() {
        let field = |name: &str| remark[name].as_str().unwrap_or("none");
        let at = time(remark["accepted_ms"].as_u64().unwrap_or(0));
        let _ = writeln!(out, "remark     {}, {at}, text {}", field("word"), field("text"));
    }
    out
}
