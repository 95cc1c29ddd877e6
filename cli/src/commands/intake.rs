//! `shosoin intake media`: discs and disks that arrive by courier, from the hospital's word that they come to the end of the medium.

use crate::error::{Error, Result};
use crate::files;
use crate::operator;
use crate::output::Output;
use crate::station;
use crate::text::{bytes, parse_time, time};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use shosoin_client::scan::{Scanner, ScannerOptions};
use shosoin_protocol::api::Enrolment;
use shosoin_protocol::medium::MediumVerdict;
use shosoin_store::shipments::ShipmentCommand;
use std::path::PathBuf;

/// Commands about what arrives.
#[derive(Debug, Subcommand)]
pub enum IntakeCommand {
    /// Media that arrive by courier
    #[command(subcommand)]
    Media(MediaCommands),
}

/// Commands about media that arrive by courier, in the order of their use.
#[derive(Debug, Subcommand)]
pub enum MediaCommands {
    /// The hospital told, by another way than the courier, what comes
    #[command(
        after_help = "Example:\n  shosoin intake media announce --dir ./vault 0198f0c2... --medium optical=A-1041 --medium optical=A-1042 \\\n    --courier 'Yamato, T. Ono' --expected 2027-04-01"
    )]
    Announce(AnnounceArgs),
    /// It is here: compare it with what was announced
    #[command(
        after_help = "Example:\n  shosoin intake media receive --dir ./vault 0198f0c2... --medium optical=A-1041 --medium optical=A-1042 \\\n    --identity 'staff card 0041 seen'"
    )]
    Receive(ReceiveArgs),
    /// Station: make the key that signs its results
    #[command(after_help = "Example:\n  shosoin intake media station ./station.key")]
    Station(StationArgs),
    /// Station, without any connection: verify and scan a medium, and sign the result
    #[command(
        after_help = "Example:\n  shosoin intake media check /media/disc --enrolment ./hospital.enrolment --station ./station.key \\\n    --scanner /run/clamav/clamd.ctl --out ./disc-1.check"
    )]
    Check(CheckArgs),
    /// Take in what is on a checked medium; the hospital's receipts are written beside
    #[command(
        after_help = "Example:\n  shosoin intake media take --dir ./vault /media/disc --check ./disc-1.check --receipts ./receipts"
    )]
    Take(TakeArgs),
    /// Record how a medium, or what was on it, was disposed of
    #[command(
        after_help = "Example:\n  shosoin intake media dispose --dir ./vault 0198f0c2... --number 1 --method destroyed --worker 'K. Mori'"
    )]
    Dispose(DisposeMediumArgs),
    /// Every shipment, and how far its media are
    #[command(after_help = "Example:\n  shosoin intake media list --dir ./vault --json")]
    List(ListArgs),
}

/// Arguments of `intake media announce`.
#[derive(Debug, Args)]
pub struct AnnounceArgs {
    /// The shipment, as the hospital's `pack` gave it
    shipment: String,
    /// Folder of the vault
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Whose [default: the only hospital of the vault]
    #[arg(long, value_name = "ID")]
    hospital: Option<String>,
    /// Kind and seal of a medium, in the order of their numbers: optical, disk, tape, flash
    #[arg(long, value_name = "KIND=SEAL", value_parser = parse_medium, required = true)]
    medium: Vec<(String, String)>,
    /// Who carries it
    #[arg(long, value_name = "NAME")]
    courier: String,
    /// When it should arrive
    #[arg(long, value_name = "TIME")]
    expected: String,
}

/// Arguments of `intake media receive`.
#[derive(Debug, Args)]
pub struct ReceiveArgs {
    /// The shipment
    shipment: String,
    /// Folder of the vault
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Kind of a medium and its seal, if that is unbroken; `optical=` where it is broken
    #[arg(long, value_name = "KIND=SEAL", value_parser = parse_medium, required = true)]
    medium: Vec<(String, String)>,
    /// How it was checked who brought it
    #[arg(long, value_name = "WORDS")]
    identity: String,
}

/// Arguments of `intake media station`.
#[derive(Debug, Args)]
pub struct StationArgs {
    /// File for the key, which must not exist
    file: PathBuf,
}

/// Arguments of `intake media check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Where the medium is mounted, read-only
    medium: PathBuf,
    /// The hospital's enrolment, as the vault was given it
    #[arg(long, value_name = "FILE")]
    enrolment: PathBuf,
    /// The station's key
    #[arg(long, value_name = "FILE")]
    station: PathBuf,
    /// Where the ClamAV daemon of the station listens: path of a Unix socket
    #[arg(long, value_name = "ADDRESS")]
    scanner: String,
    /// Folder of its definitions: tells their age where the daemon does not
    #[arg(long, value_name = "DIR")]
    definitions: Option<PathBuf>,
    /// Longest stream that the scanner scans, in bytes: the lesser of its `StreamMaxLength` and `MaxFileSize` [default: ClamAV's own]
    #[arg(long, value_name = "BYTES")]
    bytes_max: Option<u64>,
    /// File for the result, which must not exist
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Arguments of `intake media take`.
#[derive(Debug, Args)]
pub struct TakeArgs {
    /// Where the medium is mounted
    medium: PathBuf,
    /// Folder of the vault
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// The station's result
    #[arg(long, value_name = "FILE")]
    check: PathBuf,
    /// Folder for the hospital's receipts
    #[arg(long, value_name = "DIR")]
    receipts: PathBuf,
}

/// Arguments of `intake media dispose`.
#[derive(Debug, Args)]
pub struct DisposeMediumArgs {
    /// The shipment
    shipment: String,
    /// Folder of the vault
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Number of the medium
    #[arg(long, value_name = "N")]
    number: u16,
    /// overwritten, destroyed or returned; a disc is never overwritten
    #[arg(long, value_name = "METHOD")]
    method: String,
    /// Who did it
    #[arg(long, value_name = "NAME")]
    worker: String,
}

/// Arguments of `intake media list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Folder of the vault
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

fn parse_medium(text: &str) -> Result<(String, String), String> {
    let (kind, seal) = text.split_once('=').ok_or("it must look like KIND=SEAL")?;
    Ok((kind.to_owned(), seal.to_owned()))
}

/// Runs one of them.
pub async fn run(command: IntakeCommand, output: Output) -> Result<()> {
    let IntakeCommand::Media(command) = command;
    match command {
        MediaCommands::Announce(AnnounceArgs { shipment, dir, hospital, medium, courier, expected }) => {
            let wrong = || Error::invalid("--expected", "write it as 2027-04-01 or 2027-04-01T09:00:00Z");
            let expected_ms = parse_time(&expected).ok_or_else(wrong)?;
            let command = ShipmentCommand::Announce { hospital, shipment, media: medium, courier, expected_ms };
            let answer = operator::shipment(&dir, "announce the shipment", &command).await?;
            output.answer(&answer, || shipment_text(&answer))
        }
        MediaCommands::Receive(ReceiveArgs { shipment, dir, medium, identity }) => {
            let command = ShipmentCommand::Receive { shipment, media: medium, identity };
            let answer = operator::shipment(&dir, "receive the shipment", &command).await?;
            output.answer(&answer, || shipment_text(&answer))
        }
        MediaCommands::Station(StationArgs { file }) => {
            let key = station::new_key(&file)?.public().to_string();
            let answer = json!({ "station": key });
            output.answer(&answer, || {
                format!("station {key}\nName it in vault.toml of every vault that is to believe it: [intake] stations = [\"{key}\"]\n")
            })
        }
        MediaCommands::Check(args) => check(args, output).await,
        MediaCommands::Take(TakeArgs { medium, dir, check, receipts }) => {
            files::create_dir(&receipts)?;
            let absolute =
                |path: PathBuf| std::path::absolute(&path).map_err(|error| Error::invalid("path", error.to_string()));
            let (medium, check, receipts) = (absolute(medium)?, absolute(check)?, absolute(receipts)?);
            let command = ShipmentCommand::Take { medium, check, receipts };
            let answer = operator::shipment(&dir, "take the medium in", &command).await?;
            output.answer(&answer, || taken_text(&answer))
        }
        MediaCommands::Dispose(DisposeMediumArgs { shipment, dir, number, method, worker }) => {
            let command = ShipmentCommand::Dispose { shipment, number, method, worker };
            let answer = operator::shipment(&dir, "record the disposal of the medium", &command).await?;
            output.answer(&answer, || shipment_text(&answer))
        }
        MediaCommands::List(ListArgs { dir }) => {
            let answer = operator::shipment(&dir, "list shipments", &ShipmentCommand::List).await?;
            output.answer(&answer, || {
                answer["shipments"].as_array().into_iter().flatten().map(shipment_text).collect::<String>()
            })
        }
    }
}

async fn check(args: CheckArgs, output: Output) -> Result<()> {
    if args.out.exists() {
        return Err(Error::invalid(args.out.display().to_string(), "it exists; a result is never replaced"));
    }
    let enrolment = std::fs::read(&args.enrolment).map_err(Error::file("read", &args.enrolment))?;
    let enrolment = Enrolment::verify(&enrolment).map_err(|error| Error::invalid("enrolment", error.to_string()))?;
    let key = station::load_key(&args.station)?;
    let address = args.scanner.parse().map_err(|why| Error::invalid("--scanner", why))?;
    let defaults = ScannerOptions::new(address);
    let bytes_max = args.bytes_max.unwrap_or(defaults.bytes_max);
    let options = ScannerOptions { definitions: args.definitions, bytes_max, ..defaults };
    let found = station::check(&args.medium, &enrolment, &Scanner::new(options), &key).await?;
    files::create(&args.out, &found.check.sign(&key))?;
    let check = &found.check;
    let answer = json!({
        "verdict": check.verdict.name(),
        "connected": check.connected,
        "shipment": check.place.shipment.to_string(),
        "number": check.place.number,
        "engine": check.engine.to_string(),
        "files": check.files,
        "bytes": check.bytes,
        "findings": found.findings,
    });
    output.answer(&answer, || {
        let mut out =
            format!("{}: {} files, {}, {}\n", check.verdict.name(), check.files, bytes(check.bytes), check.engine);
        found.findings.iter().for_each(|finding| out += &format!("  {finding}\n"));
        if check.connected {
            out += "this machine has a connection: no vault takes the result (3.3-P3)\n";
        }
        out
    })?;
    match check.verdict {
        MediumVerdict::Clean => Ok(()),
        verdict => {
            Err(Error::invalid("the medium", format!("it is {}; keep it apart, and tell the hospital", verdict.name())))
        }
    }
}

fn shipment_text(shipment: &Value) -> String {
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let expected = shipment["expected_ms"].as_u64().map(time).unwrap_or_default();
    let mut out = format!(
        "shipment {} of hospital {}, by {}, expected {expected}\n",
        word(&shipment["shipment"]),
        word(&shipment["hospital"]),
        word(&shipment["courier"])
    );
    for medium in shipment["media"].as_array().into_iter().flatten() {
        let since = medium["at_ms"].as_u64().map(time).unwrap_or_default();
        let (kind, seal, step) = (word(&medium["kind"]), word(&medium["seal"]), word(&medium["step"]));
        out += &format!("  {}  {kind:<8}  seal {seal:<12}  {step} {since}\n", medium["number"]);
    }
    out
}

fn taken_text(answer: &Value) -> String {
    let size = answer["bytes"].as_u64().map(bytes).unwrap_or_default();
    let mut out = format!("{} deposits and {} chunks taken in, {size}\n", answer["deposits"], answer["chunks"]);
    for refused in answer["refused"].as_array().into_iter().flatten() {
        out += &format!("REFUSED {}\n", refused.as_str().unwrap_or("-"));
    }
    out
}
