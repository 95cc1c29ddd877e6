//! `shosoin keyring reseal` and `compromise`: records sealed anew, and all that is to be done when a machine was lost or stolen,
//! with a report of what was exposed since when.

use crate::args::SiteArgs;
use crate::commands::retention::{SelectArgs, parse_moment};
use crate::error::{Error, Result};
use crate::hospital::HospitalDir;
use crate::output::Output;
use crate::progress::Progress;
use crate::session::Session;
use crate::text::time;
use clap::Args;
use serde_json::{Value, json};
use shosoin_client::{Client, Exposure, Fate, Records, ResealReport, RewrapOptions, Selected, Selection};
use shosoin_protocol::DeviceId;
use shosoin_protocol::act::{Custody, EpochReason};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// Arguments of `keyring reseal`.
#[derive(Debug, Args)]
pub struct ResealArgs {
    #[command(flatten)]
    select: SelectArgs,
    /// Every record
    #[arg(long, conflicts_with_all = ["bucket", "id"])]
    all: bool,
    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    site: SiteArgs,
}

/// Arguments of `keyring compromise`.
#[derive(Debug, Args)]
pub struct CompromiseArgs {
    /// The machine's device, as `device list` shows it
    #[arg(long, value_name = "ID")]
    device: String,
    /// When it was last surely in good hands: a day or a moment
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    since: u64,
    /// Why the new epoch begins, as in `keyring rotate`
    #[arg(long, value_name = "REASON", default_value = "device-lost", value_parser = super::epochs::parse_reason)]
    reason: EpochReason,
    /// Do it: without this only the report is made
    #[arg(long)]
    yes: bool,
    /// Seal every record anew, and not only those that are named
    #[arg(long, conflicts_with_all = ["bucket", "id"])]
    all: bool,
    #[command(flatten)]
    select: SelectArgs,
    #[command(flatten)]
    site: SiteArgs,
}

/// Records that are meant, if any are.
async fn selected(client: &Client, select: &SelectArgs, all: bool) -> Result<Vec<Selected>> {
    match (all, select.bucket.is_some() || !select.id.is_empty()) {
        (true, _) => client.select(&Selection::default()).await.map_err(Error::client("find the records")),
        (false, true) => select.find(client).await,
        (false, false) => Ok(Vec::new()),
    }
}

/// Records sealed anew, and how long that took.
struct Resealed {
    report: ResealReport,
    took: Duration,
}

async fn sealed_anew(client: &Client, records: Vec<Selected>, output: Output) -> Result<Resealed> {
    let (bar, begun) = (Progress::count(output, "sealed", Some(0)), Instant::now());
    let report = client.reseal(records, &|progress| bar.set(progress.records, progress.records_total)).await;
    Ok(Resealed { report: report.map_err(Error::client("seal the records anew"))?, took: begun.elapsed() })
}

impl Resealed {
    fn per_second(&self) -> u64 {
        let millis = u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX).max(1);
        self.report.plain_bytes.saturating_mul(1000) / millis
    }

    fn json(&self) -> Value {
        let (resealed, left, failed) = self.report.counts();
        let of = |(version, fate): &(shosoin_protocol::VersionId, Fate)| match fate {
            Fate::Resealed { new, .. } => json!({ "version": version.to_string(), "stands_in": new.to_string() }),
            Fate::Left { why } => json!({ "version": version.to_string(), "left": why }),
            Fate::Failed { why } => json!({ "version": version.to_string(), "failed": why }),
        };
        json!({
            "epoch": self.report.epoch, "resealed": resealed, "left": left, "failed": failed, "acts": self.report.acts,
            "plain_bytes": self.report.plain_bytes, "bytes_per_second": self.per_second(),
            "took_ms": u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX),
            "records": self.report.fates.iter().map(of).collect::<Vec<_>>(),
        })
    }

    fn text(&self) -> String {
        let (resealed, left, failed) = self.report.counts();
        let mut text = format!(
            "{resealed} records sealed anew under epoch {}, {} bytes at {} a second; {left} left, {failed} failed",
            self.report.epoch,
            self.report.plain_bytes,
            self.per_second()
        );
        for (version, fate) in &self.report.fates {
            let _ = match fate {
                Fate::Resealed { .. } => continue,
                Fate::Left { why } => write!(text, "\nleft    version {version}: {why}"),
                Fate::Failed { why } => write!(text, "\nFAILED  version {version}: {why}"),
            };
        }
        text
    }

    fn judge(&self) -> Result<()> {
        match self.report.counts().2 {
            0 => Ok(()),
            count => Err(Error::Damage { count, what: "records could not be sealed anew; they are as they were" }),
        }
    }
}

/// Seals records anew.
pub async fn reseal(args: ResealArgs, output: Output) -> Result<()> {
    if !args.all {
        args.select.selection()?;
    }
    let session = Session::open(&args.site).await?;
    let outcome = async {
        let records = selected(&session.client, &args.select, args.all).await?;
        match args.dry_run {
            true => Ok((records, None)),
            false => sealed_anew(&session.client, records, output).await.map(|resealed| (Vec::new(), Some(resealed))),
        }
    };
    let outcome = outcome.await;
    match session.finish(outcome).await? {
        (_, Some(resealed)) => {
            output.answer(&resealed.json(), || resealed.text())?;
            output.note(
                "The older versions are out of view and on media until they are disposed of; see `docs/keys.md`.",
            );
            resealed.judge()
        }
        (records, None) => {
            let bytes: u64 = records.iter().map(|record| record.stored_bytes).sum();
            let answer = json!({ "dry_run": true, "records": records.len(), "stored_bytes": bytes });
            output.answer(&answer, || {
                format!(
                    "{} versions, {bytes} sealed bytes, would be sealed anew where they are the newest",
                    records.len()
                )
            })
        }
    }
}

/// What was done about a lost machine; nothing where only the report was asked for.
struct Measures {
    revoked_now: bool,
    epoch: u32,
    rewrapped: u64,
    unopened: u64,
    rewrap_took: Duration,
    resealed: Option<Resealed>,
}

/// Shuts a lost machine out, rotates, wraps and seals anew, and reports. Each step is skipped where a run before did it.
pub async fn compromise(args: CompromiseArgs, output: Output) -> Result<()> {
    let device: DeviceId = args.device.parse().map_err(|_| Error::invalid("--device", "it must have 32 hex digits"))?;
    let custody = HospitalDir::of(&args.site)?.token()?.map_or(Custody::Passphrase, |_| Custody::Token);
    let session = Session::open(&args.site).await?;
    let outcome = drilled(&session.client, &args, device, custody, output).await;
    let (exposure, measures) = session.finish(outcome).await?;
    let since = args.since;
    output.answer(&report_json(device, since, &exposure, measures.as_ref()), || {
        report_text(device, since, &exposure, measures.as_ref())
    })?;
    match &measures {
        None => {
            output.note("Nothing was changed: give --yes to revoke it, begin an epoch, and wrap and seal anew.");
            Ok(())
        }
        Some(Measures { unopened: 0, resealed, .. }) => resealed.as_ref().map_or(Ok(()), Resealed::judge),
        Some(measures) => Err(Error::Damage {
            count: measures.unopened,
            what: "data keys do not open; their records are as readable as before",
        }),
    }
}

async fn drilled(
    client: &Client,
    args: &CompromiseArgs,
    device: DeviceId,
    custody: Custody,
    output: Output,
) -> Result<(Exposure, Option<Measures>)> {
    let devices = client.devices().map_err(Error::client("list the devices"))?;
    let known = devices.iter().find(|known| known.id == device);
    let known =
        known.ok_or_else(|| Error::invalid("--device", "the ledger knows no such device; `device list` shows them"))?;
    let exposure = || async { client.exposure(device, args.since).await.map_err(Error::client("read the ledger")) };
    if !args.yes {
        return Ok((exposure().await?, None));
    }
    if known.enrolled {
        client.revoke_device(device).await.map_err(Error::client(format!("revoke device {device}")))?;
    }
    let begun = exposure().await?.epochs_since.last().copied();
    let epoch = match begun {
        Some(epoch) => epoch,
        None => client.rotate(args.reason, custody).await.map_err(Error::client("begin a new epoch"))?.epoch,
    };
    let (tour, started) = (crate::tour::Tour::new(output, "wrapped"), Instant::now());
    let rewrap = client.rewrap(RewrapOptions::default(), &|progress| tour.show(progress)).await;
    tour.finish();
    let (rewrap, rewrap_took) = (rewrap.map_err(Error::client("wrap the data keys anew"))?, started.elapsed());
    let records = selected(client, &args.select, args.all).await?;
    let resealed = match records.is_empty() {
        true => None,
        false => Some(sealed_anew(client, records, output).await?),
    };
    let (rewrapped, unopened) = (rewrap.counts.rewrapped, rewrap.counts.failed);
    let measures = Measures { revoked_now: known.enrolled, epoch, rewrapped, unopened, rewrap_took, resealed };
    Ok((exposure().await?, Some(measures)))
}

fn records_json(records: &Records) -> Value {
    json!({ "records": records.records, "stored_bytes": records.stored_bytes })
}

fn report_json(device: DeviceId, since_ms: u64, exposure: &Exposure, measures: Option<&Measures>) -> Value {
    let measures = measures.map(|measures| {
        json!({
            "revoked_now": measures.revoked_now, "epoch": measures.epoch, "rewrapped": measures.rewrapped,
            "rewrap_took_ms": u64::try_from(measures.rewrap_took.as_millis()).unwrap_or(u64::MAX),
            "reseal": measures.resealed.as_ref().map(Resealed::json),
        })
    });
    json!({
        "device": device.to_string(), "since_ms": since_ms, "entries": exposure.entries, "first_ms": exposure.first_ms,
        "last_ms": exposure.last_ms, "revoked_ms": exposure.revoked_ms, "entries_since": exposure.entries_since,
        "deposits_since": exposure.deposits_since.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "readable": records_json(&exposure.readable), "resealed": records_json(&exposure.resealed),
        "later": records_json(&exposure.later), "epochs_since": exposure.epochs_since, "ledger_size": exposure.leaves,
        "measures": measures,
    })
}

fn report_text(device: DeviceId, since_ms: u64, exposure: &Exposure, measures: Option<&Measures>) -> String {
    let moment = |at_ms: Option<u64>, none: &str| at_ms.map_or_else(|| none.to_owned(), time);
    let counted = |records: &Records| format!("{} records, {} sealed bytes", records.records, records.stored_bytes);
    let mut text = format!(
        "device    {device}\n\
         signed    {} entries, from {} to {}\n\
         since     {}: {} entries, {} deposits among them; whoever had it then may have made them\n\
         revoked   {}\n\
         readable  {} that were stored before that\n\
         later     {} that were never served to it",
        exposure.entries,
        moment(exposure.first_ms, "never"),
        moment(exposure.last_ms, "never"),
        time(since_ms),
        exposure.entries_since,
        exposure.deposits_since.len(),
        moment(exposure.revoked_ms, "NOT YET: it is still let in"),
        counted(&exposure.readable),
        counted(&exposure.later),
    );
    for version in &exposure.deposits_since {
        let _ = write!(text, "\n          deposit {version} is of that time: look at it");
    }
    if let Some(measures) = measures {
        let millis = measures.rewrap_took.as_millis();
        let _ = write!(
            text,
            "\nepoch     {}: {} data keys wrapped anew in {millis} ms",
            measures.epoch, measures.rewrapped
        );
        if let Some(resealed) = &measures.resealed {
            let _ = write!(text, "\nresealed  {}", resealed.text());
        }
    }
    let _ = write!(
        text,
        "\nanew      {} of those that were readable have a version under fresh keys since",
        counted(&exposure.resealed)
    );
    text + "\nIf its key file could be opened (it ran, or the passphrase was with it, or no token guarded it), the root is known: then\n\
            sealing anew shuts out only whoever has nothing but old data keys, and new records belong under a new hospital id."
}
