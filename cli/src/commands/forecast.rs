//! `shosoin forecast`: which media end their life, what must move for that, and whether it fits; as a table, as bars in
//! the terminal, or as a drawing.

use crate::commands::volume::DirArgs;
use crate::error::{Error, Result};
use crate::operator;
use crate::output::Output;
use crate::text::{bytes, time};
use clap::Args;
use serde_json::Value;
use shosoin_store::volumes::{ForecastRequest, MediaCommand};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use svg::Document;
use svg::node::element::{Group, Line, Rectangle, Text, Title};

/// Characters of the longest bar in the terminal.
const BAR: usize = 40;
/// Height of the longest bar of a drawing.
const BAR_PIXELS: f64 = 240.0;
/// Width of a month in a drawing.
const STEP_PIXELS: f64 = 20.0;
/// Room around a drawing.
const MARGIN_PIXELS: f64 = 40.0;

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

/// Bars of drive-hours by month, red where they do not fit, and a line for the hours that there are.
fn draw(report: &Value, path: &Path) -> Result<()> {
    let count = months(report).count();
    let highest = |field: &str| months(report).map(|month| number(&month[field])).max().unwrap_or(0);
    let most = highest("hours_needed").max(highest("hours_available")).max(1);
    let scaled = |hours: u64| hours as f64 / most as f64 * BAR_PIXELS;
    let width = MARGIN_PIXELS * 2.0 + STEP_PIXELS * count as f64;
    let base = MARGIN_PIXELS + BAR_PIXELS;
    let mut document = Document::new()
        .set("viewBox", (0.0, 0.0, width, base + MARGIN_PIXELS))
        .set("font-family", "sans-serif")
        .set("font-size", 10)
        .add(Title::new("Drive-hours needed by month"))
        .add(label(
            MARGIN_PIXELS,
            MARGIN_PIXELS / 2.0,
            format!("drive-hours needed, of at most {most}; line: available"),
        ));
    for (no, month) in months(report).enumerate() {
        let x = MARGIN_PIXELS + STEP_PIXELS * no as f64;
        let (needed, left_over) = (number(&month["hours_needed"]), number(&month["hours_left_over"]));
        let misfit = left_over > 0 || number(&month["bytes_without_room"]) > 0;
        let (height, available) = (scaled(needed), base - scaled(number(&month["hours_available"])));
        let begin = month["begin"].as_array().map_or(0, Vec::len);
        let told = format!("{}: {begin} volumes begin, {needed} hours", month_name(month));
        let bar = Rectangle::new()
            .set("x", x)
            .set("y", base - height)
            .set("width", STEP_PIXELS * 0.8)
            .set("height", height)
            .set("fill", if misfit { "#b3261e" } else { "#33658a" });
        let line = Line::new().set("x1", x).set("x2", x + STEP_PIXELS).set("y1", available).set("y2", available);
        let group = Group::new().add(Title::new(told)).add(bar).add(line.set("stroke", "#444444"));
        document = document.add(group);
        if no % 6 == 0 {
            document = document.add(label(x, base + 14.0, month_name(month)));
        }
        if begin > 0 {
            document = document.add(label(x, base - height - 3.0, begin.to_string()));
        }
    }
    svg::save(path, &document).map_err(Error::file("write", path))
}

fn label(x: f64, y: f64, text: String) -> Text {
    Text::new(text).set("x", x).set("y", y)
}
