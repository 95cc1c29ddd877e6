//! `shosoin forecast`: which media end their life, what must move for that, and whether it fits; as a table, as bars in
//! the terminal, or as a drawing.

use crate::commands::volume::DirArgs;
use crate::error::{Error, Result};
use crate::operator;
use crate::output::Output;
use crate::text::{bytes, time};
use clap::Args;
use serde_json::Value;
use shosoin_store::volumes::{ChartWords, ForecastMonth, ForecastRequest, MediaCommand, chart};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Characters of the longest bar in the terminal.
const BAR: usize = 40;
/// Arguments of `forecast`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    shosoin forecast --dir ./vault --months 36\n  \
    shosoin forecast --dir ./vault --hours-per-week 60 --drives 2 --svg forecast.svg")]
pub struct ForecastArgs {
    #[command(flatten)]
    dir: DirArgs,
    /// How many months
    #[arg(long, default_value_t = 36)]
    months: u32,
    /// Bytes in a second while a copy runs, as in 120MB [default: as measured]
    #[arg(long, value_name = "BYTES")]
    rate: Option<bytesize::ByteSize>,
    /// Hours of a week in which copies may run [default: all 168]
    #[arg(long, value_name = "HOURS")]
    hours_per_week: Option<u32>,
    /// Drives that copy at the same time [default: 1]
    #[arg(long, value_name = "COUNT")]
    drives: Option<u32>,
    /// Bytes of new shards each month, as in 2TB [default: as so far]
    #[arg(long, value_name = "BYTES")]
    growth: Option<bytesize::ByteSize>,
    /// Write a drawing to this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Asks, draws and prints.
pub async fn run(args: ForecastArgs, output: Output) -> Result<()> {
    let request = ForecastRequest {
        months: Some(args.months),
        bytes_per_second: args.rate.map(|rate| rate.as_u64()),
        hours_per_week: args.hours_per_week,
        drives: args.drives,
        growth_bytes_per_month: args.growth.map(|growth| growth.as_u64()),
    };
    let report = operator::media(&args.dir.dir, &MediaCommand::Forecast(request)).await?;
    if let Some(path) = &args.svg {
        draw(&report, path)?;
    }
    output.answer(&report, || text(&report))
}

fn months(report: &Value) -> impl Iterator<Item = &Value> {
    report["months"].as_array().into_iter().flatten()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn month_name(month: &Value) -> String {
    time(number(&month["begins_ms"])).chars().take(7).collect()
}

fn text(report: &Value) -> String {
    let mut out = String::new();
    if report["clock_trusted"] == false {
        out.push_str("the clock is doubted: these dates mean nothing until `shosoin audit confirm-clock`\n");
    }
    let (rate, hours, drives) =
        (bytes(number(&report["bytes_per_second"])), &report["hours_per_week"], &report["drives"]);
    let growth = bytes(number(&report["growth_bytes_per_month"]));
    let _ = writeln!(out, "reckoned with {rate}/s, {hours} hours a week, {drives} drives, {growth} more each month");
    let _ = writeln!(out, "growth is {}", report["growth_basis"].as_str().unwrap_or("-"));
    let most = months(report).map(|month| number(&month["hours_needed"])).max().unwrap_or(0).max(1);
    out.push_str("month    begin  bytes       hours needed / there\n");
    for month in months(report) {
        let (needed, there) = (number(&month["hours_needed"]), number(&month["hours_available"]));
        let bar = "#".repeat(usize::try_from(needed * BAR as u64 / most).unwrap_or(BAR));
        let begin = month["begin"].as_array().map_or(0, Vec::len);
        let moved = bytes(number(&month["bytes"]));
        let _ = write!(out, "{}  {begin:>5}  {moved:<10}  {needed:>6} / {there:<6} {bar}", month_name(month));
        if number(&month["hours_left_over"]) > 0 {
            let _ = write!(out, "  {} hours do not fit", month["hours_left_over"]);
        }
        if number(&month["bytes_without_room"]) > 0 {
            let _ = write!(out, "  {} have no room", bytes(number(&month["bytes_without_room"])));
        }
        out.push('\n');
    }
    for expiring in report["expiring"].as_array().into_iter().flatten() {
        let day = |field: &str| time(number(&expiring[field])).chars().take(10).collect::<String>();
        let (volume, place) = (expiring["volume"].as_str().unwrap_or("-"), expiring["place"].as_str().unwrap_or("-"));
        let (ends, start) = (day("ends_ms"), day("latest_start_ms"));
        let _ = writeln!(out, "volume {volume} ({place}): life ends {ends}, begin to move by {start}");
    }
    for fate in report["shared_fates"].as_array().into_iter().flatten() {
        let count = fate["volumes"].as_array().map_or(0, Vec::len);
        let (kind, value) = (fate["kind"].as_str().unwrap_or("-"), fate["value"].as_str().unwrap_or("-"));
        let _ = writeln!(out, "{count} volumes share {kind} {value}");
    }
    match report["first_misfit"].as_u64() {
        None => out + "everything fits\n",
        Some(month) => out + &format!("what must move does not fit from month {} on\n", month + 1),
    }
}

/// Writes the drawing.
fn draw(report: &Value, path: &Path) -> Result<()> {
    let told = |error: serde_json::Error| Error::invalid("answer of the vault", error.to_string());
    let months: Vec<ForecastMonth> = serde_json::from_value(report["months"].clone()).map_err(told)?;
    svg::save(path, &chart(&months, &ChartWords::default())).map_err(Error::file("write", path))
}
