//! `shosoin assets`: the ledger of every deposit, as pages, one entry, or all of it.

use crate::error::{Error, Result};
use crate::operator::{self, Operator};
use crate::output::{Output, print};
use crate::progress::Progress;
use crate::text::{bytes, csv_row, parse_time, time};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;
use shosoin_store::assets::{AssetCommand, AssetQuery, AssetState, Order, PAGE_MAX, RetentionFilter};
use std::path::PathBuf;

/// Commands about what is held.
#[derive(Debug, Subcommand)]
pub enum AssetsCommand {
    /// A page of the ledger, filtered and sorted
    #[command(after_help = "Examples:\n  \
        shosoin assets list --dir ./vault --type T4-01 --since 2026-04-01 --order bytes --descending\n  \
        shosoin assets list --dir ./vault --retention start-unknown --json")]
    List(Box<ListArgs>),
    /// One deposit: every field, everywhere it is, everything that was done with it
    #[command(after_help = "Example:\n  shosoin assets show --dir ./vault 1042 --json")]
    Show(ShowArgs),
    /// Every entry that the filters let through, one a line
    #[command(after_help = "Examples:\n  \
        shosoin assets export --dir ./vault --format csv > assets.csv\n  \
        shosoin assets export --dir ./vault --format json --label restricted")]
    Export(Box<ExportArgs>),
}

/// What is being done, for errors.
const TASK: &str = "read the asset ledger";

/// Which entries.
#[derive(Debug, Args)]
pub struct FilterArgs {
    /// Folder of the vault
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Whose [default: the only hospital of the vault]
    #[arg(long, value_name = "ID")]
    hospital: Option<String>,
    /// Only this record type, as in T4-01; repeat for more
    #[arg(long = "type", value_name = "CODE")]
    types: Vec<String>,
    /// Only this label: ordinary, sensitive, restricted; repeat for more
    #[arg(long, value_name = "LABEL")]
    label: Vec<String>,
    /// Only in this state; repeat for more
    #[arg(long, value_name = "STATE")]
    state: Vec<StateName>,
    /// Only signed by this device
    #[arg(long, value_name = "ID")]
    device: Option<String>,
    /// Accepted on this day or at this moment, or later
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Accepted before this day or moment
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only with this retention: none, start-unknown, ends-before=TIME, ends-from=TIME
    #[arg(long, value_name = "WHICH", value_parser = parse_retention)]
    retention: Option<RetentionFilter>,
    /// Only this reference number or higher
    #[arg(long, value_name = "NUMBER")]
    from: Option<u64>,
    /// Only below this reference number
    #[arg(long, value_name = "NUMBER")]
    to: Option<u64>,
}

/// Names of states on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum StateName {
    Held,
    GivenOut,
    Disposed,
}

/// Arguments of `assets list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// Sorted by number, bytes, type, label, device or retention-end
    #[arg(long, value_name = "FIELD", default_value = "number", value_parser = parse_order)]
    order: Order,
    /// Largest first
    #[arg(long)]
    descending: bool,
    /// Entries of the page, up to 1000
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    limit: usize,
    /// Go on after the page that ended in this cursor
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
}

/// Arguments of `assets show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Folder of the vault
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Whose [default: the only hospital of the vault]
    #[arg(long, value_name = "ID")]
    hospital: Option<String>,
    /// Reference number
    number: u64,
}

/// Arguments of `assets export`.
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

fn parse_order(name: &str) -> Result<Order, String> {
    let found = Order::ALL.iter().find(|(known, _)| *known == name);
    let names = || Order::ALL.map(|(name, _)| name).join(", ");
    found.map(|(_, order)| *order).ok_or_else(|| format!("it is one of {}", names()))
}

fn parse_retention(text: &str) -> Result<RetentionFilter, String> {
    let moment = |text: &str| parse_time(text).ok_or_else(|| format!("{text} is no day or moment"));
    match text.split_once('=') {
        None if text == "none" => Ok(RetentionFilter::None),
        None if text == "start-unknown" => Ok(RetentionFilter::StartUnknown),
        Some(("ends-before", at)) => moment(at).map(RetentionFilter::EndsBefore),
        Some(("ends-from", at)) => moment(at).map(RetentionFilter::EndsFrom),
        _ => Err("it is none, start-unknown, ends-before=TIME or ends-from=TIME".into()),
    }
}

impl FilterArgs {
    fn query(&self) -> Result<AssetQuery> {
        let moment = |name: &'static str, text: &Option<String>| {
            let parse = |text: &String| {
                parse_time(text).ok_or_else(|| Error::invalid(name, format!("{text} is no day or moment")))
            };
            text.as_ref().map(parse).transpose()
        };
        let state = |name: &StateName| match name {
            StateName::Held => AssetState::Held,
            StateName::GivenOut => AssetState::GivenOut,
            StateName::Disposed => AssetState::Disposed,
        };
        Ok(AssetQuery {
            hospital: self.hospital.clone(),
            types: self.types.clone(),
            labels: self.label.clone(),
            states: self.state.iter().map(state).collect(),
            device: self.device.clone(),
            since_ms: moment("--since", &self.since)?,
            until_ms: moment("--until", &self.until)?,
            retention: self.retention,
            from_number: self.from,
            to_number: self.to,
            ..AssetQuery::default()
        })
    }
}

/// Runs one of them.
pub async fn run(command: AssetsCommand, output: Output) -> Result<()> {
    match command {
        AssetsCommand::List(args) => {
            let ListArgs { filter, order, descending, limit, after } = *args;
            let (order, limit) = (order, Some(limit));
            let query = AssetQuery { order, descending, limit, after, ..filter.query()? };
            let page = operator::one(&filter.dir, TASK, &AssetCommand::List(Box::new(query))).await?;
            output.answer(&page, || page_text(&page))
        }
        AssetsCommand::Show(ShowArgs { dir, hospital, number }) => {
            let asset = operator::one(&dir, TASK, &AssetCommand::Show { hospital, number }).await?;
            output.answer(&asset, || serde_json::to_string_pretty(&asset).unwrap_or_default())
        }
        AssetsCommand::Export(args) => export(&args, output).await,
    }
}

fn page_text(page: &Value) -> String {
    let mut out =
        "number    accepted              type   label       bytes       retention until       state\n".to_owned();
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    for asset in page["assets"].as_array().into_iter().flatten() {
        let accepted = asset["arisen"]["accepted_ms"].as_u64().map(time).unwrap_or_default();
        let until = match (asset["arisen"]["planned_disposal_ms"].as_u64(), asset["arisen"]["term_days"].as_u64()) {
            (Some(at), _) => time(at),
            (None, Some(_)) => "start not known".to_owned(),
            (None, None) => "no term".to_owned(),
        };
        let size = asset["stored_bytes"].as_u64().map(bytes).unwrap_or_default();
        let (kind, label, state) = (word(&asset["kind"]), word(&asset["label"]), word(&asset["state"]));
        let number = asset["number"].to_string();
        out += &format!("{number:>8}  {accepted}  {kind:<5}  {label:<10}  {size:<10}  {until:<20}  {state}\n");
    }
    let matched = page["matched"].as_u64().map_or_else(String::new, |count| format!("{count} entries in all; "));
    match page["next"].as_str() {
        Some(next) => out + &format!("{matched}more with --after {next}\n"),
        None => out + &format!("{matched}that is the end\n"),
    }
}

/// Writes page after page; memory holds one.
async fn export(args: &ExportArgs, output: Output) -> Result<()> {
    let operator = Operator::at(&args.filter.dir);
    let written = export_pages(args, &operator, output).await;
    operator.finish(written).await
}

async fn export_pages(args: &ExportArgs, operator: &Operator, output: Output) -> Result<()> {
    let mut query = AssetQuery { limit: Some(PAGE_MAX), ..args.filter.query()? };
    let progress = Progress::count(output, "entries", None);
    if args.format == Form::Csv {
        print(&format!("{}\n", COLUMNS.join(",")))?;
    }
    loop {
        let page = operator.ask(TASK, &AssetCommand::List(Box::new(query.clone()))).await?;
        let assets = page["assets"].as_array().cloned().unwrap_or_default();
        let lines = assets.iter().map(|asset| match args.format {
            Form::Csv => csv_line(asset),
            Form::Json => format!("{asset}\n"),
        });
        print(&lines.collect::<String>())?;
        progress.add(assets.len() as u64);
        match page["next"].as_str() {
            Some(next) => query.after = Some(next.to_owned()),
            None => return Ok(()),
        }
    }
}

/// Columns of the CSV: fields a to k of 7.2.1-S2, in their order.
const COLUMNS: [&str; 21] = [
    "a_number",
    "b_version",
    "b_name_token",
    "c_kind",
    "label",
    "d_entry_format",
    "d_suite",
    "e_sites",
    "e_segments",
    "e_copying",
    "e_copies",
    "f_volumes",
    "g_business",
    "h_manager",
    "i_device",
    "j_accepted",
    "j_term_days",
    "j_start",
    "j_planned_disposal",
    "state",
    "k_history",
];

fn csv_line(asset: &Value) -> String {
    let word = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let joined = |value: &Value| {
        let parts = value.as_array().into_iter().flatten().map(word);
        parts.collect::<Vec<_>>().join(" ")
    };
    let moment = |value: &Value| value.as_u64().map(time).unwrap_or_default();
    let volumes = asset["media"].as_array().into_iter().flatten().map(|held| word(&held["volume"]));
    let history = asset["history"].as_array().into_iter().flatten();
    let history = history.map(|done| format!("{} {}", moment(&done["at_ms"]), word(&done["what"])));
    let (location, arisen) = (&asset["location"], &asset["arisen"]);
    let fields = [
        word(&asset["number"]),
        word(&asset["version"]),
        word(&asset["name_token"]),
        word(&asset["kind"]),
        word(&asset["label"]),
        word(&asset["format"]["entry"]),
        word(&asset["format"]["suite"]),
        joined(&location["sites"]),
        joined(&location["segments"]),
        word(&location["copying"]),
        joined(&location["copies"]),
        volumes.collect::<Vec<_>>().join(" "),
        word(&asset["business"]),
        word(&asset["manager"]),
        word(&asset["rights"]["hospital_device"]),
        moment(&arisen["accepted_ms"]),
        word(&arisen["term_days"]),
        moment(&arisen["start_ms"]),
        moment(&arisen["planned_disposal_ms"]),
        word(&asset["state"]),
        history.collect::<Vec<_>>().join("; "),
    ];
    csv_row(fields.iter().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retention_is_asked_for_by_name_or_by_its_end() {
        assert_eq!(parse_retention("none"), Ok(RetentionFilter::None));
        assert_eq!(parse_retention("ends-before=1970-01-02"), Ok(RetentionFilter::EndsBefore(86_400_000)));
        assert!(parse_retention("ends-before=soon").is_err() && parse_retention("never").is_err());
    }
}
