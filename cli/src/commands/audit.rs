//! `shosoin audit`: what was done to a vault, by whom and why; and whether the log of it is whole.

use crate::commands::volume::{DirArgs, record_line};
use crate::error::{Error, Result};
use crate::operator::{self, Operator};
use crate::output::{Output, print};
use crate::progress::Progress;
use crate::text::{csv_row, parse_time, time};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;
use shosoin_store::audit::search::{AuditSearch, RECORDS_MAX, SearchOrder};
use shosoin_store::audit::{Action, Outcome};
use shosoin_store::volumes::MediaCommand;
use std::net::IpAddr;

/// Commands about the audit log.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Follow the chain of the log from its first record to its head, and compare the copies on volumes
    #[command(after_help = "Example:\n  shosoin audit verify --dir ./vault --json")]
    Verify(VerifyArgs),
    /// Show records, oldest first
    #[command(after_help = "Examples:\n  \
        shosoin audit show --dir ./vault --since 2026-04-01 --action volume-state --action release --json\n  \
        shosoin audit show --dir ./vault --number 1042 --order actor\n  \
        shosoin audit show --dir ./vault --address 10.0.8.9 --outcome refused")]
    Show(Box<ShowArgs>),
    /// Every record that the filters let through, one a line; who exported is in the log as well
    #[command(after_help = "Examples:\n  \
        shosoin audit export --dir ./vault --format csv > audit.csv\n  \
        shosoin audit export --dir ./vault --actor hanako --since 2026-04-01 --format json")]
    Export(Box<ExportArgs>),
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

/// Which records.
#[derive(Debug, Args)]
pub struct FilterArgs {
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
    /// Only what ended so
    #[arg(long, value_name = "OUTCOME", value_parser = parse_outcome)]
    outcome: Option<Outcome>,
    /// Only about this volume
    #[arg(long, value_name = "VOLUME")]
    volume: Option<String>,
    /// Only by this user, device or job
    #[arg(long, value_name = "WHO")]
    actor: Option<String>,
    /// Only for this hospital
    #[arg(long, value_name = "ID")]
    hospital: Option<String>,
    /// Only about the deposit with this number in the asset ledger
    #[arg(long, value_name = "NUMBER")]
    number: Option<u64>,
    /// Only from this address
    #[arg(long, value_name = "ADDRESS")]
    address: Option<IpAddr>,
}

/// Arguments of `audit show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// Only the newest so many, at most 100000 [default: 1000]
    #[arg(long, value_name = "COUNT")]
    newest: Option<usize>,
    /// Sorted by time, actor or number
    #[arg(long, value_name = "FIELD", default_value = "time", value_parser = parse_order)]
    order: SearchOrder,
}

/// Arguments of `audit export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// How
    #[arg(long, value_name = "FORM", default_value = "csv")]
    format: Form,
}

/// Form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    Csv,
    Json,
}

fn parse_outcome(name: &str) -> Result<Outcome, String> {
    let names = Outcome::ALL.iter().map(|outcome| outcome.name()).collect::<Vec<_>>().join(", ");
    Outcome::parse(name).ok_or_else(|| format!("it is one of {names}"))
}

fn parse_order(name: &str) -> Result<SearchOrder, String> {
    let found = SearchOrder::ALL.iter().find(|(known, _)| *known == name);
    found.map(|(_, order)| *order).ok_or_else(|| "it is time, actor or number".to_owned())
}

fn parse_action(name: &str) -> Result<Action, String> {
    let names = Action::ALL.iter().map(|action| action.name()).collect::<Vec<_>>().join(", ");
    Action::parse(name).ok_or_else(|| format!("it is one of {names}"))
}

/// Runs one of them.
pub async fn run(command: AuditCommand, output: Output) -> Result<()> {
    match command {
        AuditCommand::Verify(args) => verify(&args, output).await,
        AuditCommand::Show(args) => show(*args, output).await,
        AuditCommand::Export(args) => export(&args, output).await,
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

impl FilterArgs {
    fn search(&self) -> Result<AuditSearch> {
        let moment = |what: &str, text: &Option<String>| {
            let why = "it must look like 2026-04-01 or 2026-04-01T09:00:00+09:00";
            text.as_ref().map(|text| parse_time(text).ok_or_else(|| Error::invalid(what, why))).transpose()
        };
        Ok(AuditSearch {
            since_ms: moment("--since", &self.since)?,
            until_ms: moment("--until", &self.until)?,
            actions: self.action.clone(),
            outcome: self.outcome,
            volume: self.volume.clone(),
            actor: self.actor.clone(),
            hospital: self.hospital.clone(),
            number: self.number,
            address: self.address,
            ..AuditSearch::default()
        })
    }
}

async fn show(args: ShowArgs, output: Output) -> Result<()> {
    let search = AuditSearch { count: args.newest, order: args.order, ..args.filter.search()? };
    let records = operator::media(&args.filter.dir.dir, &MediaCommand::AuditShow(Box::new(search))).await?;
    output.answer(&records, || {
        let lines = records["records"].as_array().into_iter().flatten().map(|record| record_line(record) + "\n");
        lines.collect()
    })
}

/// Writes page after page, up to the record that was the newest when it began; memory holds one page.
async fn export(args: &ExportArgs, output: Output) -> Result<()> {
    let operator = Operator::at(&args.filter.dir.dir);
    let written = export_pages(args, &operator, output).await;
    operator.finish(written).await
}

async fn export_pages(args: &ExportArgs, operator: &Operator, output: Output) -> Result<()> {
    let mut search = AuditSearch { after: Some(0), export: true, ..args.filter.search()? };
    let progress = Progress::count(output, "records", None);
    if args.format == Form::Csv {
        print(&format!("{}\n", COLUMNS.join(",")))?;
    }
    let mut end = None;
    loop {
        let answer = operator.ask_media(&MediaCommand::AuditShow(Box::new(search.clone()))).await?;
        let end = *end.get_or_insert(answer["head_seq"].as_u64().unwrap_or_default());
        let seq = |record: &Value| record["seq"].as_u64().unwrap_or(u64::MAX);
        let records = answer["records"].as_array().cloned().unwrap_or_default();
        let lines = records.iter().filter(|record| seq(record) <= end).map(|record| match args.format {
            Form::Csv => csv_line(record),
            Form::Json => format!("{record}\n"),
        });
        print(&lines.collect::<String>())?;
        progress.add(records.len() as u64);
        match records.last().map(seq) {
            Some(last) if last < end && records.len() >= RECORDS_MAX => search.after = Some(last),
            _ => return Ok(()),
        }
    }
}

/// Columns of the CSV.
const COLUMNS: [&str; 15] = [
    "seq",
    "time",
    "duration_ms",
    "actor",
    "source",
    "action",
    "outcome",
    "hospital",
    "number",
    "volume",
    "segment",
    "bytes",
    "units",
    "reason",
    "detail",
];

fn csv_line(record: &Value) -> String {
    let cells = COLUMNS.map(|column| match (column, &record[column]) {
        ("time", _) => record["at_ms"].as_u64().map(time).unwrap_or_default(),
        (_, Value::Null) => String::new(),
        ("detail", Value::String(none)) if none == "none" => String::new(),
        (_, Value::String(text)) => text.clone(),
        (_, other) => other.to_string(),
    });
    csv_row(cells.iter().map(String::as_str))
}
