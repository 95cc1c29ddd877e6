//! `shosoin notices` and `shosoin remark`: what the operator told the hospital, and what the hospital says of a report.
//!
//! A notice is an act in the hospital's own ledger, verified before it is shown. Which ones were shown is remembered in the state
//! folder, so that the next look shows what is new; the ledger has all of them for ever.

use crate::args::SiteArgs;
use crate::commands::retention::parse_moment;
use crate::error::{Error, Result};
use crate::output::Output;
use crate::session::Session;
use crate::stop::Stop;
use crate::text::{bytes, time};
use clap::Args;
use serde_json::{Value, json};
use shosoin_client::{ActRow, durable};
use shosoin_protocol::Digest;
use shosoin_protocol::act::{DisposalStep, Document, MonthReport, OutState, RemarkWord};
use shosoin_protocol::suite::sha256;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// File in the state folder with the first leaf that was not shown.
const SHOWN_FILE: &str = "notices-shown";
/// Longest text of a remark, in bytes.
const TEXT_BYTES_MAX: u64 = 16 << 20;

/// Arguments of `notices`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    shosoin notices --dir ./hospital\n  \
    shosoin notices --dir ./hospital --since 2026-04-01 --json\n  \
    shosoin notices --dir ./hospital --follow --json | mail-each-line")]
pub struct NoticesArgs {
    /// Everything from this day or moment on, also what was shown before
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    since: Option<u64>,
    /// Everything there ever was
    #[arg(long, conflicts_with = "since")]
    all: bool,
    /// Do not remember that they were shown
    #[arg(long)]
    peek: bool,
    /// Go on showing what comes, until stopped
    #[arg(long)]
    follow: bool,
    /// Seconds between two questions to the vault while following
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    every: u64,
    #[command(flatten)]
    site: SiteArgs,
}

/// Arguments of `remark`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    shosoin remark 2026-04 agreed --dir ./hospital\n  \
    shosoin remark 2026-04 objects --text remark.txt --dir ./hospital")]
pub struct RemarkArgs {
    /// Report of which month, as in 2026-04
    #[arg(value_name = "MONTH", value_parser = parse_month)]
    month: (u16, u8),
    /// agreed, objects or asks
    #[arg(value_name = "WORD", value_parser = parse_word)]
    word: RemarkWord,
    /// What is to be said in words: only its digest goes on the record, the file goes to the operator by mail or by hand
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,
    #[command(flatten)]
    site: SiteArgs,
}

fn parse_month(text: &str) -> Result<(u16, u8), String> {
    let month: shosoin_store::reports::Month = text.parse()?;
    Ok(month.parts())
}

fn parse_word(name: &str) -> Result<RemarkWord, String> {
    let names = || RemarkWord::ALL.iter().map(|word| word.name()).collect::<Vec<_>>().join(", ");
    RemarkWord::parse(name).ok_or_else(|| format!("it is one of {}", names()))
}

/// Shows what the operator told.
pub async fn run(args: NoticesArgs, output: Output) -> Result<()> {
    let session = Session::open(&args.site).await?;
    let shown = show(&session, &args, output).await;
    session.finish(shown).await
}

async fn show(session: &Session, args: &NoticesArgs, output: Output) -> Result<()> {
    let path = session.state.join(SHOWN_FILE);
    let before = shown_before(&path)?;
    let mut from = if args.all || args.since.is_some() { 0 } else { before };
    let mut since_ms = args.since.unwrap_or(0);
    let stopped = Stop::listen()?.asked();
    tokio::pin!(stopped);
    loop {
        session.client.up_to_date().await.map_err(Error::client("ask the vault for what is new"))?;
        let notices = session.client.notices(from).map_err(Error::client("look for notices"))?;
        let mut count = 0;
        for notice in notices.iter().filter(|notice| notice.accepted_ms >= since_ms) {
            let answer = answer(notice, notice.leaf_index >= before);
            output.answer(&answer, || line(notice))?;
            count += 1;
        }
        if let Some(last) = notices.last() {
            (from, since_ms) = (last.leaf_index + 1, 0);
            if !args.peek && from > before {
                durable::replace(&path, format!("{from}\n").as_bytes()).map_err(Error::file("write", &path))?;
            }
        }
        if !args.follow {
            output.note(&format!("{count} notices of the operator; each is in the ledger and was verified"));
            return Ok(());
        }
        tokio::select! {
            () = &mut stopped => return Ok(()),
            () = tokio::time::sleep(Duration::from_secs(args.every)) => {}
        }
    }
}

/// The first leaf that was not shown. A file that says nothing shows everything once more.
fn shown_before(path: &Path) -> Result<u64> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text.trim().parse().unwrap_or(0)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(Error::file("read", path)(error)),
    }
}

fn answer(notice: &ActRow, new: bool) -> Value {
    let mut answer = json!({
        "id": notice.id.to_string(), "leaf_index": notice.leaf_index, "accepted_ms": notice.accepted_ms,
        "kind": notice.document.kind().name(), "new": new, "says": says(notice),
    });
    if let Some(fields) = answer.as_object_mut() {
        fields.extend(details(&notice.document));
    }
    answer
}

fn line(notice: &ActRow) -> String {
    format!("{}  {:<22}  {}", time(notice.accepted_ms), notice.document.kind().name(), says(notice))
}

/// What a notice says, in one line.
fn says(notice: &ActRow) -> String {
    match &notice.document {
        Document::Incident(incident) => {
            let scene = incident.scene.map_or_else(String::new, |digest| format!("; scene {digest}"));
            let (severity, class) = (incident.severity.name(), incident.class.name());
            format!("{severity}: {class}, noticed {}{scene}", time(incident.noticed_ms))
        }
        Document::QuarantineIn(taken) => {
            let version = taken.version.map_or_else(String::new, |version| format!(" version {version}"));
            let (reason, until) = (taken.reason.name(), time(taken.until_ms));
            format!("a {}{version} was set aside ({reason}) and is evidence until {until}", taken.thing.name())
        }
        Document::QuarantineOut(left) => {
            let intact = if left.intact { "intact" } else { "NOT INTACT" };
            format!("what was set aside by {} was {}, {intact}", left.quarantined, left.outcome.name())
        }
        Document::Stopped(stopped) => {
            let (failures, minutes) = (stopped.failures, stopped.window_minutes);
            format!(
                "{failures} transfers failed within {minutes} minutes (last: {}): nothing passes",
                stopped.last.name()
            )
        }
        Document::Reopened(reopened) => format!("communication goes on; cause: {}", reopened.cause.name()),
        Document::Report(report) => {
            let MonthReport { year, month, received, held, digest, .. } = **report;
            format!(
                "report of {year:04}-{month:02}: received {} ({}), held {} ({}); digest {digest}",
                received.count,
                bytes(received.bytes),
                held.count,
                bytes(held.bytes)
            )
        }
        Document::Disposed(disposed) => match &disposed.step {
            DisposalStep::Begun { approvals, .. } => {
                format!("the end ordered by {} has begun, {} approvals", disposed.order, approvals.len())
            }
            DisposalStep::Certified { serial, pending, certificate } => {
                format!("certificate {serial} of {}: {pending} copies pending; digest {certificate}", disposed.order)
            }
        },
        Document::HandOverOut(out) => match out.state {
            OutState::Closed => format!("the ledger ends here and goes on at vault {}", out.receiver),
            OutState::Reopened => "the ledger goes on here after all".to_owned(),
        },
        Document::HandOverIn(taken) => {
            format!("the ledger goes on from vault {} with {} entries", taken.former, taken.log_size)
        }
        other => other.kind().name().to_owned(),
    }
}

/// Fields for programs.
fn details(document: &Document) -> serde_json::Map<String, Value> {
    let details = match document {
        Document::Incident(incident) => json!({
            "class": incident.class.name(), "severity": incident.severity.name(), "noticed_ms": incident.noticed_ms,
            "began_ms": incident.began_ms, "scene": incident.scene.map(|digest| digest.to_string()),
        }),
        Document::QuarantineIn(taken) => json!({
            "reason": taken.reason.name(), "version": taken.version.map(|version| version.to_string()),
            "until_ms": taken.until_ms, "evidence": taken.evidence.to_string(),
        }),
        Document::QuarantineOut(left) => json!({
            "quarantined": left.quarantined.to_string(), "outcome": left.outcome.name(), "intact": left.intact,
        }),
        Document::Stopped(stopped) => json!({ "failures": stopped.failures, "last": stopped.last.name() }),
        Document::Reopened(reopened) => {
            json!({ "stopped": reopened.stopped.to_string(), "cause": reopened.cause.name() })
        }
        Document::Report(report) => json!({
            "month": format!("{:04}-{:02}", report.year, report.month), "digest": report.digest.to_string(),
            "received": report.received.count, "held": report.held.count, "given_out": report.given_out.count,
            "disposed": report.disposed.count, "incidents": report.incidents, "log_size": report.log_size,
        }),
        Document::Disposed(disposed) => json!({ "order": disposed.order.to_string() }),
        Document::HandOverOut(out) => json!({ "order": out.order.to_string(), "receiver": out.receiver.to_string() }),
        Document::HandOverIn(taken) => json!({ "former": taken.former.to_string(), "log_size": taken.log_size }),
        _ => json!({}),
    };
    if let Value::Object(fields) = details { fields } else { serde_json::Map::new() }
}

/// Puts a remark on the record.
pub async fn remark(args: RemarkArgs, output: Output) -> Result<()> {
    let text = args.text.as_deref().map(digest_of).transpose()?;
    let session = Session::open(&args.site).await?;
    let (year, month) = args.month;
    let stated = session.client.remark(year, month, args.word, text).await;
    let stated = session.finish(stated.map_err(Error::client("remark on the report"))).await?;
    let answer = json!({
        "month": format!("{year:04}-{month:02}"), "word": args.word.name(), "id": stated.id.to_string(),
        "leaf_index": stated.leaf_index, "text": text.map(|digest| digest.to_string()),
    });
    output.answer(&answer, || {
        let beside =
            text.map_or_else(String::new, |digest| format!("; send the operator the file, whose digest is {digest}"));
        format!("{} on the report of {year:04}-{month:02}, on the record as {}{beside}", args.word.name(), stated.id)
    })
}

/// SHA-256 of the text of a remark.
pub fn digest_of(path: &Path) -> Result<Digest> {
    let len = std::fs::metadata(path).map_err(Error::file("look at", path))?.len();
    if len > TEXT_BYTES_MAX {
        return Err(Error::invalid("--text", format!("it is longer than {TEXT_BYTES_MAX} bytes")));
    }
    let text = std::fs::read(path).map_err(Error::file("read", path))?;
    Ok(sha256(&[&text]))
}
