//! `shosoin retention`: how long records are kept. The hospital reports when terms began, and extends; nothing shortens.

mod select;

pub use select::SelectArgs;

use crate::args::SiteArgs;
use crate::error::{Error, Result};
use crate::output::Output;
use crate::session::Session;
use crate::text::{parse_time, time};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use shosoin_client::{Keeping, Selected, Stated, now_ms};
use shosoin_protocol::act::RetentionChange;
use shosoin_protocol::policy::Retention;
use shosoin_protocol::retention::{DAY_MS, End};

/// Commands about retention.
#[derive(Debug, Subcommand)]
pub enum RetentionCommand {
    /// What keeps records, and until when
    #[command(after_help = "Examples:\n  \
        shosoin retention show charts 2026/0001.pdf --dir ./hospital\n  \
        shosoin retention show --id 018f3c... --dir ./hospital --json")]
    Show(ShowArgs),
    /// Report the event from which the term of records counts, as the end of a treatment
    #[command(after_help = "Example:\n  \
        shosoin retention start charts --prefix 2026/0001 --at 2026-09-30 --dir ./hospital")]
    Start(StartArgs),
    /// Keep records longer: a longer term, or until a day. Nothing is ever kept shorter
    #[command(after_help = "Examples:\n  \
        shosoin retention extend charts 2026/0001.pdf --days 3652 --dir ./hospital\n  \
        shosoin retention extend --id 018f3c... --until 2046-04-01 --dir ./hospital")]
    Extend(ExtendArgs),
    /// Records whose retention has ended, or soon will
    #[command(after_help = "Example:\n  shosoin retention due --within-days 90 --dir ./hospital --json")]
    Due(DueArgs),
}

/// Arguments of `retention show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    #[command(flatten)]
    select: SelectArgs,
    #[command(flatten)]
    site: SiteArgs,
}

/// Arguments of `retention start`.
#[derive(Debug, Args)]
pub struct StartArgs {
    #[command(flatten)]
    select: SelectArgs,
    /// When the event was: a day or a moment
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    at: u64,
    #[command(flatten)]
    site: SiteArgs,
}

/// Arguments of `retention extend`.
#[derive(Debug, Args)]
pub struct ExtendArgs {
    #[command(flatten)]
    select: SelectArgs,
    /// The whole term from now on, in days; not less than it is
    #[arg(long, value_name = "DAYS", conflicts_with = "until", required_unless_present = "until")]
    days: Option<u32>,
    /// Keep at least until this day or moment, whatever the term says
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    until: Option<u64>,
    #[command(flatten)]
    site: SiteArgs,
}

/// Arguments of `retention due`.
#[derive(Debug, Args)]
pub struct DueArgs {
    /// Those that end within so many days too
    #[arg(long, value_name = "DAYS", default_value_t = 0)]
    within_days: u32,
    /// Only of this bucket
    #[arg(long, value_name = "BUCKET")]
    bucket: Option<String>,
    #[command(flatten)]
    site: SiteArgs,
}

pub fn parse_moment(text: &str) -> Result<u64, String> {
    parse_time(text).ok_or_else(|| format!("{text} is no day or moment, as in 2026-04-01"))
}

/// Runs one of them.
pub async fn run(command: RetentionCommand, output: Output) -> Result<()> {
    match command {
        RetentionCommand::Show(args) => {
            let session = Session::open(&args.site).await?;
            let found = args.select.find(&session.client).await;
            for selected in session.finish(found).await? {
                output.answer(&selected_json(&selected), || selected_text(&selected))?;
            }
            Ok(())
        }
        RetentionCommand::Start(args) => {
            let change = RetentionChange::Start { start_ms: args.at };
            change_retention(&args.select, change, &args.site, output).await
        }
        RetentionCommand::Extend(args) => {
            let change = match (args.days, args.until) {
                (Some(term_days), _) => RetentionChange::Term { term_days },
                (None, Some(until_ms)) => RetentionChange::Until { until_ms },
                (None, None) => return Err(Error::invalid("--days", "give it, or --until")),
            };
            change_retention(&args.select, change, &args.site, output).await
        }
        RetentionCommand::Due(args) => due(args, output).await,
    }
}

async fn change_retention(select: &SelectArgs, change: RetentionChange, site: &SiteArgs, output: Output) -> Result<()> {
    let session = Session::open(site).await?;
    let changed = async {
        let found = select.find(&session.client).await?;
        let versions: Vec<_> = found.iter().map(|selected| selected.keeping.version).collect();
        let changing = session.client.retain(versions.clone(), change).await;
        let stated = changing.map_err(Error::client("change the retention"))?;
        Ok((versions, stated))
    };
    let changed = changed.await;
    let (versions, stated) = session.finish(changed).await?;
    let answer = json!({ "versions": versions.len(), "acts": acts(&stated) });
    output.answer(&answer, || format!("{} versions changed, on the record as {}", versions.len(), act_ids(&stated)))
}

/// Acts for programs.
pub fn acts(stated: &[Stated]) -> Vec<Value> {
    let act = |stated: &Stated| json!({ "id": stated.id.to_string(), "leaf_index": stated.leaf_index });
    stated.iter().map(act).collect()
}

/// Their ids for people.
pub fn act_ids(stated: &[Stated]) -> String {
    stated.iter().map(|stated| stated.id.to_string()).collect::<Vec<_>>().join(", ")
}

async fn due(args: DueArgs, output: Output) -> Result<()> {
    let session = Session::open(&args.site).await?;
    let selection = shosoin_client::Selection { bucket: args.bucket, ..Default::default() };
    let found = session.client.select(&selection).await.map_err(Error::client("look for what is due"));
    let by_ms = now_ms().saturating_add(u64::from(args.within_days).saturating_mul(DAY_MS));
    let mut due: Vec<Selected> = session.finish(found).await?;
    due.retain(|selected| matches!(selected.keeping.end(), End::At(end_ms) if end_ms <= by_ms));
    due.sort_by_key(|selected| match selected.keeping.end() {
        End::At(end_ms) => end_ms,
        End::Never | End::StartUnknown => u64::MAX,
    });
    for selected in &due {
        output.answer(&selected_json(selected), || selected_text(selected))?;
    }
    output.note(&format!("{} records are due; a hold on them is shown, and keeps them", due.len()));
    Ok(())
}

/// A record and what keeps it, for programs.
pub fn selected_json(selected: &Selected) -> Value {
    let Selected { leaf_index, accepted_ms, bucket, name, stored_bytes, keeping, .. } = selected;
    let (term_days, start_ms) = match keeping.retention() {
        Retention::None => (None, None),
        Retention::Term { term_days, start_ms } => (Some(term_days), start_ms),
    };
    let (ends_ms, end) = match keeping.end() {
        End::At(end_ms) => (Some(end_ms), "known"),
        End::Never => (None, "no-term"),
        End::StartUnknown => (None, "start-unknown"),
    };
    let lock = keeping.kept.lock.map(|lock| json!({ "mode": lock.mode.name(), "until_ms": lock.until_ms }));
    let until_ms = Some(keeping.kept.until_ms).filter(|until_ms| *until_ms > 0);
    let ids = |holds: &[shosoin_protocol::VersionId]| holds.iter().map(ToString::to_string).collect::<Vec<_>>();
    json!({
        "bucket": bucket, "name": name, "version": keeping.version.to_string(), "leaf_index": leaf_index,
        "accepted_ms": accepted_ms, "record_type": keeping.policy.record_type.code(), "stored_bytes": stored_bytes,
        "term_days": term_days, "start_ms": start_ms, "until_ms": until_ms, "lock": lock, "end": end,
        "ends_ms": ends_ms, "on_hold": keeping.is_on_hold(), "holds": ids(&keeping.kept.holds),
        "holds_on_everything": ids(&keeping.holds_on_everything),
    })
}

fn selected_text(selected: &Selected) -> String {
    let Selected { bucket, name, keeping, .. } = selected;
    let version = keeping.version;
    format!("{bucket}/{name}  version {version}  {}", keeping_text(keeping))
}

/// What keeps a record, for people.
pub fn keeping_text(keeping: &Keeping) -> String {
    let term = match keeping.retention() {
        Retention::None => "no term".to_owned(),
        Retention::Term { term_days, start_ms: None } => format!("{term_days} days from a start not yet known"),
        Retention::Term { term_days, start_ms: Some(start_ms) } => format!("{term_days} days from {}", time(start_ms)),
    };
    let until = match keeping.end() {
        End::At(end_ms) => format!(", kept until {}", time(end_ms)),
        End::Never | End::StartUnknown => String::new(),
    };
    let lock = keeping
        .kept
        .lock
        .map_or_else(String::new, |lock| format!(", {} lock until {}", lock.mode.name(), time(lock.until_ms)));
    let holds = keeping.kept.holds.len() + keeping.holds_on_everything.len();
    let hold = if holds > 0 { format!(", on hold ({holds})") } else { String::new() };
    term + &until + &lock + &hold
}
