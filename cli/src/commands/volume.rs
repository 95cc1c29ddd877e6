//! `shosoin volume`: the media of a vault, from the first label to the last certificate. Works beside a vault that is
//! served, and on one that is not.

mod arguments;
mod text;

use crate::error::{Error, Result};
use crate::operator;
use crate::output::Output;
use crate::text as words;
pub use arguments::parse_spec;
pub use text::record_line;

use arguments::{LabelArgs, StateName, TestArgs};
use clap::{Args, Subcommand};
use serde_json::Value;
use shosoin_store::VolumeSpec;
use shosoin_store::volumes::{AddVolume, MediaCommand};
use std::path::{Path, PathBuf};

/// Longest list of seen media that is read, in bytes.
const SEEN_BYTES_MAX: usize = 1 << 20;

/// Commands about volumes.
#[derive(Debug, Subcommand)]
pub enum VolumeCommand {
    /// Label a new medium and take it into use; the vault may be served meanwhile
    #[command(after_help = "Examples:\n  \
        shosoin volume add --dir ./vault /mnt/g --class hdd --vendor Acme --serial ZL2X --lot 2026-04 --rack 4 \\\n    \
        --security-label C3 --reason 'order 118'\n  \
        shosoin volume add --dir ./vault s3://archive/v07 --security-label C3 --dry-run")]
    Add(Box<AddArgs>),
    /// List every medium there ever was
    #[command(after_help = "Example:\n  shosoin volume list --dir ./vault --state on-shelf")]
    List(ListArgs),
    /// Show one medium and its history, which outlives it
    #[command(after_help = "Example:\n  shosoin volume show --dir ./vault 3f9a")]
    Show(OneArgs),
    /// Write a label anew: what was not given stays
    #[command(after_help = "Example:\n  \
        shosoin volume label --dir ./vault 3f9a --firmware 2.1 --rated-life 7y --reason 'maker notice 12'")]
    Label(Box<RelabelArgs>),
    /// Move a medium to another state of its life
    #[command(after_help = "Examples:\n  \
        shosoin volume set-state --dir ./vault 3f9a draining --reason 'life ends in May'\n  \
        shosoin volume set-state --dir ./vault 3f9a destroyed --reason 'certificate 2026-031, shredded'")]
    SetState(StateArgs),
    /// Record a test, hours and passes, or where a medium is kept
    #[command(after_help = "Examples:\n  \
        smartctl --json -a /dev/sdc | shosoin volume test --dir ./vault 3f9a --smartctl -\n  \
        shosoin volume test --dir ./vault 8c01 --test optical-error-rate --value 52 --passed\n  \
        shosoin volume test --dir ./vault 8c01 --celsius 19.5 --humidity 42 --place 'cabinet 2, tray 7'")]
    Test(Box<MeasureArgs>),
    /// Compare the ledger with the media that are there
    #[command(after_help = "Example:\n  \
        shosoin volume stocktake --dir ./vault --seen-file shelf.txt --reason 'yearly count'")]
    Stocktake(StocktakeArgs),
    /// Say what a loss would cost; more than one --lose happen together
    #[command(after_help = "Example:\n  shosoin volume what-if --dir ./vault --lose lot:2026-04 --lose rack:2")]
    WhatIf(WhatIfArgs),
}

/// The vault.
#[derive(Debug, Args)]
pub struct DirArgs {
    /// Folder of the vault
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
}

/// Arguments of `volume add`.
#[derive(Debug, Args)]
pub struct AddArgs {
    #[command(flatten)]
    dir: DirArgs,
    /// Mount point or folder, which must be there, or prefix of an object store as in s3://bucket/prefix
    #[arg(value_name = "PATH", value_parser = parse_spec)]
    place: VolumeSpec,
    /// Where the object store answers, if not where its provider's stores do
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Region of the bucket
    #[arg(long, value_name = "NAME")]
    region: Option<String>,
    /// File with the credentials of the store, mode 0600
    #[arg(long, value_name = "FILE")]
    credentials: Option<PathBuf>,
    #[command(flatten)]
    write: WriteArgs,
}

/// What a label is to say, and why.
#[derive(Debug, Args)]
pub struct WriteArgs {
    #[command(flatten)]
    label: LabelArgs,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Say what would be done and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Arguments of `volume list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    dir: DirArgs,
    /// Only media in this state
    #[arg(long, value_name = "STATE")]
    state: Option<StateName>,
}

/// Arguments of `volume show`.
#[derive(Debug, Args)]
pub struct OneArgs {
    #[command(flatten)]
    dir: DirArgs,
    /// Id, its beginning, serial number or place
    volume: String,
}

/// Arguments of `volume label`.
#[derive(Debug, Args)]
pub struct RelabelArgs {
    #[command(flatten)]
    one: OneArgs,
    #[command(flatten)]
    write: WriteArgs,
}

/// Arguments of `volume set-state`.
#[derive(Debug, Args)]
pub struct StateArgs {
    #[command(flatten)]
    one: OneArgs,
    /// The new state
    state: StateName,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Say what it would do and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Arguments of `volume test`.
#[derive(Debug, Args)]
pub struct MeasureArgs {
    #[command(flatten)]
    one: OneArgs,
    #[command(flatten)]
    test: TestArgs,
    /// Say what would be recorded and record nothing
    #[arg(long)]
    dry_run: bool,
}

/// Arguments of `volume stocktake`.
#[derive(Debug, Args)]
pub struct StocktakeArgs {
    #[command(flatten)]
    dir: DirArgs,
    /// A medium that was seen on a shelf: id, its beginning, or serial number; repeat
    #[arg(long, value_name = "NAME")]
    seen: Vec<String>,
    /// File with one such name on each line
    #[arg(long, value_name = "FILE")]
    seen_file: Option<PathBuf>,
    /// Remark, for the audit log
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

/// Arguments of `volume what-if`.
#[derive(Debug, Args)]
pub struct WhatIfArgs {
    #[command(flatten)]
    dir: DirArgs,
    /// volume:ID, or lot:, firmware:, host:, power:, rack:, device: or site: with what labels say; repeat
    #[arg(long, value_name = "WHAT", required = true)]
    lose: Vec<String>,
}

/// Runs one of them.
pub async fn run(command: VolumeCommand, output: Output) -> Result<()> {
    match command {
        VolumeCommand::Add(args) => add(*args, output).await,
        VolumeCommand::List(args) => list(&args, output).await,
        VolumeCommand::Show(args) => {
            let detail = operator::media(&args.dir.dir, &MediaCommand::Show { volume: args.volume }).await?;
            output.answer(&detail, || text::detail(&detail))
        }
        VolumeCommand::Label(args) => {
            let RelabelArgs { one, write: WriteArgs { label, reason, dry_run } } = *args;
            let command =
                MediaCommand::Label { volume: one.volume, change: Box::new(label.change()?), reason, dry_run };
            let written = operator::media(&one.dir.dir, &command).await?;
            output.answer(&written, || text::labelled("label", &written))
        }
        VolumeCommand::SetState(args) => {
            let StateArgs { one, state, reason, dry_run } = args;
            let command = MediaCommand::SetState { volume: one.volume, to: state.0, reason, dry_run };
            let changed = operator::media(&one.dir.dir, &command).await?;
            output.answer(&changed, || text::changed(&changed))
        }
        VolumeCommand::Test(args) => {
            let MeasureArgs { one, test, dry_run } = *args;
            let command = MediaCommand::Test { volume: one.volume, measured: test.measured(dry_run)? };
            let recorded = operator::media(&one.dir.dir, &command).await?;
            output.answer(&recorded, || text::recorded(&recorded))
        }
        VolumeCommand::Stocktake(args) => stocktake(args, output).await,
        VolumeCommand::WhatIf(args) => {
            let report = operator::media(&args.dir.dir, &MediaCommand::WhatIf { lose: args.lose }).await?;
            output.answer(&report, || text::what_if(&report))
        }
    }
}

async fn add(args: AddArgs, output: Output) -> Result<()> {
    let AddArgs { dir, place, endpoint, region, credentials, write: WriteArgs { label, reason, dry_run } } = args;
    let spec = VolumeSpec { endpoint, region, credentials, ..place };
    spec.address().map_err(|why| Error::invalid("volume", why))?;
    let command = MediaCommand::Add(Box::new(AddVolume { spec, label: label.change()?, reason, dry_run }));
    let added = operator::media(&dir.dir, &command).await?;
    output.answer(&added, || text::labelled("volume", &added))
}

async fn list(args: &ListArgs, output: Output) -> Result<()> {
    let mut list = operator::media(&args.dir.dir, &MediaCommand::List).await?;
    if let (Some(state), Some(volumes)) = (&args.state, list["volumes"].as_array_mut()) {
        volumes.retain(|volume| volume["state"] == state.0.name());
    }
    output.answer(&list, || text::list(&list))
}

async fn stocktake(args: StocktakeArgs, output: Output) -> Result<()> {
    let mut seen = args.seen;
    if let Some(path) = &args.seen_file {
        seen.extend(read_text(path, SEEN_BYTES_MAX)?.lines().map(str::to_owned));
    }
    let report = operator::media(&args.dir.dir, &MediaCommand::Stocktake { seen, reason: args.reason }).await?;
    output.answer(&report, || text::stocktake(&report))?;
    let count = |kind: &str| report[kind].as_array().map_or(0, Vec::len) as u64;
    match count("missing") + count("unknown") + count("differing") {
        0 => Ok(()),
        count => Err(Error::Damage { count, what: "media are not as the ledger has them" }),
    }
}

/// Reads a text file, or stdin for `-`, up to a limit.
pub fn read_text(path: &Path, limit: usize) -> Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    let read = match path == Path::new("-") {
        true => std::io::stdin().lock().take(limit as u64 + 1).read_to_string(&mut text),
        false => std::fs::File::open(path).and_then(|file| file.take(limit as u64 + 1).read_to_string(&mut text)),
    };
    read.map_err(Error::file("read", path))?;
    match text.len() <= limit {
        true => Ok(text),
        false => Err(Error::invalid(path.display().to_string(), format!("it has more than {limit} bytes"))),
    }
}

/// A moment of an answer as a date, or a dash.
fn date(value: &Value) -> String {
    value.as_u64().map_or_else(|| "-".to_owned(), |at_ms| words::time(at_ms).chars().take(10).collect())
}
