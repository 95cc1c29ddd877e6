//! `shosoin hold`: legal holds. While one stands, nothing it is on ends, whatever has expired and whoever orders it.

use crate::args::SiteArgs;
use crate::commands::retention::{SelectArgs, act_ids, acts};
use crate::error::{Error, Result};
use crate::output::Output;
use crate::session::Session;
use crate::text::time;
use clap::{Args, Subcommand};
use serde_json::json;
use shosoin_client::{HoldNote, HoldStanding};
use shosoin_protocol::VersionId;
use shosoin_protocol::act::HoldReason;

/// Commands about holds.
#[derive(Debug, Subcommand)]
pub enum HoldCommand {
    /// Forbid any end of records until the hold is released
    #[command(after_help = "Examples:\n  \
        shosoin hold set charts --prefix 2026/0001 --reason litigation --case \"2026 (wa) 1234\" --dir ./hospital\n  \
        shosoin hold set --everything --reason investigation --dir ./hospital")]
    Set(SetArgs),
    /// End a hold by its id
    #[command(after_help = "Example:\n  shosoin hold release 018f3c... --dir ./hospital")]
    Release(ReleaseArgs),
    /// The holds that stand
    #[command(after_help = "Example:\n  shosoin hold list --dir ./hospital --all --json")]
    List(ListArgs),
}

/// Arguments of `hold set`.
#[derive(Debug, Args)]
pub struct SetArgs {
    #[command(flatten)]
    select: SelectArgs,
    /// Everything the hospital has, and will have while the hold stands
    #[arg(long, conflicts_with_all = ["bucket", "id"])]
    everything: bool,
    /// litigation, investigation, patient-request, audit or other
    #[arg(long, value_name = "REASON", value_parser = parse_reason)]
    reason: HoldReason,
    /// The hospital's own reference, as of a court case: sealed, the operator cannot read it
    #[arg(long, value_name = "TEXT")]
    case: Option<String>,
    #[command(flatten)]
    site: SiteArgs,
}

/// Arguments of `hold release`.
#[derive(Debug, Args)]
pub struct ReleaseArgs {
    /// Id of the hold, as `hold list` shows it
    hold: String,
    #[command(flatten)]
    site: SiteArgs,
}

/// Arguments of `hold list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Those that were released too
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    site: SiteArgs,
}

fn parse_reason(name: &str) -> Result<HoldReason, String> {
    let given = HoldReason::parse(name).filter(|reason| *reason != HoldReason::ObjectLock);
    given.ok_or_else(|| "it is litigation, investigation, patient-request, audit or other".to_owned())
}

/// Runs one of them.
pub async fn run(command: HoldCommand, output: Output) -> Result<()> {
    match command {
        HoldCommand::Set(args) => set(args, output).await,
        HoldCommand::Release(args) => {
            let wrong = |_| Error::invalid("HOLD", "it must have 32 hex digits, as `hold list` shows them");
            let hold: VersionId = args.hold.parse().map_err(wrong)?;
            let session = Session::open(&args.site).await?;
            let released = session.client.release(hold).await;
            let stated = session.finish(released.map_err(Error::client("release the hold"))).await?;
            let answer = json!({ "released": hold.to_string(), "acts": acts(std::slice::from_ref(&stated)) });
            output.answer(&answer, || format!("hold {hold} is released, on the record as {}", stated.id))
        }
        HoldCommand::List(args) => list(args, output).await,
    }
}

async fn set(args: SetArgs, output: Output) -> Result<()> {
    let session = Session::open(&args.site).await?;
    let SetArgs { select, everything, reason, case, .. } = args;
    let setting = async {
        let versions = match everything {
            true => None,
            false => {
                let found = select.find(&session.client).await?;
                Some(found.iter().map(|selected| selected.keeping.version).collect::<Vec<_>>())
            }
        };
        let count = versions.as_ref().map(Vec::len);
        let held = session.client.hold(versions, reason, case.as_deref()).await;
        Ok((count, held.map_err(Error::client("set the hold"))?))
    };
    let set = setting.await;
    let (count, stated) = session.finish(set).await?;
    let answer = json!({ "versions": count, "everything": count.is_none(), "acts": acts(&stated) });
    let what = count.map_or_else(|| "everything".to_owned(), |count| format!("{count} versions"));
    output.answer(&answer, || format!("{what} on hold; release it with the id {}", act_ids(&stated)))
}

async fn list(args: ListArgs, output: Output) -> Result<()> {
    let session = Session::open(&args.site).await?;
    let holds = session.client.holds().map_err(Error::client("list the holds"));
    for hold in session.finish(holds).await?.into_iter().filter(|hold| args.all || hold.released_ms.is_none()) {
        let HoldStanding { id, set_ms, released_ms, reason, note, versions } = &hold;
        let case = match note {
            HoldNote::None => None,
            HoldNote::Text(text) => Some(text.as_str()),
            HoldNote::Unreadable => Some("unreadable"),
        };
        let listed = versions.as_ref().map(|versions| versions.iter().map(ToString::to_string).collect::<Vec<_>>());
        let answer = json!({
            "hold": id.to_string(), "set_ms": set_ms, "released_ms": released_ms, "reason": reason.name(),
            "case": case, "everything": listed.is_none(), "versions": listed,
        });
        output.answer(&answer, || {
            let what = versions.as_ref().map_or("everything".to_owned(), |found| format!("{} versions", found.len()));
            let case = case.map_or_else(String::new, |case| format!("  {case}"));
            let ended = released_ms.map_or_else(String::new, |at_ms| format!("  released {}", time(at_ms)));
            format!("{id}  set {}  {}  {what}{case}{ended}", time(*set_ms), reason.name())
        })?;
    }
    Ok(())
}
