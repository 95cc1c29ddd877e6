//! `shosoin timestamp`: have an authority outside say since when the ledger exists (RFC 3161).

use crate::args::SiteArgs;
use crate::error::{Error, Result};
use crate::files;
use crate::hospital::{GatewayConfig, HospitalDir};
use crate::output::Output;
use crate::session::Session;
use crate::text::time;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use shosoin_client::timestamp::{Authorities, fresh_query, load, save};
use shosoin_protocol::evidence::Evidence;
use shosoin_trust::HashName;
use shosoin_trust::timestamp::{Query, Timestamped};
use std::path::{Path, PathBuf};

/// Commands about trusted times.
#[derive(Debug, Subcommand)]
pub enum TimestampCommand {
    /// Have the newest ledger head timestamped by an authority of gateway.toml; nothing happens if it has been
    #[command(after_help = "Examples:\n  \
        shosoin timestamp take --dir ./hospital\n  \
        shosoin timestamp take --dir ./hospital --unstamped   # then `request` and `add`, where there is no network")]
    Take(TakeArgs),
    /// Write the query for a timestamp of a file, to be carried to an authority by hand
    #[command(after_help = "Example:\n  shosoin timestamp request ./hospital/timestamps/head-....txt --out query.tsq")]
    Request(RequestArgs),
    /// Add a timestamp to the file it was asked for, from the authority's answer
    #[command(
        after_help = "Example:\n  shosoin timestamp add ./hospital/timestamps/head-....txt --dir ./hospital --query query.tsq --answer answer.tsr"
    )]
    Add(AddArgs),
}

/// Arguments of `timestamp take`.
#[derive(Debug, Args)]
pub struct TakeArgs {
    #[command(flatten)]
    site: SiteArgs,
    /// Ask nobody: only write the file that is to be timestamped
    #[arg(long)]
    unstamped: bool,
    /// Over which digest: sha256, sha384 or sha512
    #[arg(long, value_name = "HASH", default_value = "sha512")]
    hash: String,
}

/// Arguments of `timestamp request`.
#[derive(Debug, Args)]
pub struct RequestArgs {
    /// What is to be timestamped: a file of `timestamps` or `evidence`
    file: PathBuf,
    /// Where the query goes; the file must not exist
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Over which digest: sha256, sha384 or sha512
    #[arg(long, value_name = "HASH", default_value = "sha512")]
    hash: String,
}

/// Arguments of `timestamp add`.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// What was timestamped
    file: PathBuf,
    /// Folder of the hospital, or of a site made by `up`: which authorities it trusts
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// The query, as `timestamp request` wrote it
    #[arg(long, value_name = "FILE")]
    query: PathBuf,
    /// The authority's answer
    #[arg(long, value_name = "FILE")]
    answer: PathBuf,
}

/// Runs one of them.
pub async fn run(command: TimestampCommand, output: Output) -> Result<()> {
    match command {
        TimestampCommand::Take(args) => take(args, output).await,
        TimestampCommand::Request(args) => request(&args, output).await,
        TimestampCommand::Add(args) => add(&args, output).await,
    }
}

/// The authorities of a hospital's folder.
pub fn authorities(dir: &HospitalDir, hash: &str) -> Result<Authorities> {
    let hash: HashName =
        hash.parse().map_err(|error: shosoin_trust::Error| Error::invalid("--hash", error.to_string()))?;
    GatewayConfig::load(dir)?.authorities(dir, hash)
}

async fn take(args: TakeArgs, output: Output) -> Result<()> {
    let authorities = authorities(&HospitalDir::of(&args.site)?, &args.hash)?;
    let session = Session::open(&args.site).await?;
    let asked = (!args.unstamped).then_some(&authorities);
    let stamped = session.client.timestamp_head(asked).await.map_err(Error::client("timestamp the ledger"));
    let stamped = session.finish(stamped).await?;
    let path = stamped.path.display().to_string();
    let answer = json!({ "file": path, "size": stamped.size, "timestamp": stamped.newest.as_ref().map(answer_of) });
    output.answer(&answer, || match &stamped.newest {
        Some(newest) => format!("{} entries {}\nkept in {path}", stamped.size, text_of(newest)),
        None => format!("{} entries, not timestamped yet\nkept in {path}", stamped.size),
    })
}

async fn request(args: &RequestArgs, output: Output) -> Result<()> {
    let hash: HashName =
        args.hash.parse().map_err(|error: shosoin_trust::Error| Error::invalid("--hash", error.to_string()))?;
    let evidence = read(&args.file).await?;
    let query = fresh_query(hash, evidence.to_be_timestamped().as_bytes());
    let query = query.map_err(Error::client("make a query"))?;
    let bytes = query.encode().map_err(|error| Error::invalid("the query", error.to_string()))?;
    files::create(&args.out, &bytes)?;
    let out = args.out.display().to_string();
    output.answer(&json!({ "query": out, "hash": hash.name() }), || {
        format!("{out}: send it as application/timestamp-query, and keep it until the answer is added")
    })
}

async fn add(args: &AddArgs, output: Output) -> Result<()> {
    let dir = HospitalDir::in_site(&args.dir);
    let authorities = authorities(&dir, HashName::Sha512.name())?;
    let evidence = read(&args.file).await?;
    let query = std::fs::read(&args.query).map_err(Error::file("read", &args.query))?;
    let query = Query::read(&query).map_err(|error| Error::invalid("--query", error.to_string()))?;
    let answer = std::fs::read(&args.answer).map_err(Error::file("read", &args.answer))?;
    let (stamped, newest) =
        authorities.accept(&evidence, &query, &answer).map_err(Error::client("add the timestamp"))?;
    save(&args.file, &stamped).await.map_err(Error::client("keep the timestamp"))?;
    let path = args.file.display().to_string();
    output.answer(&json!({ "file": path, "timestamp": answer_of(&newest) }), || format!("{path} {}", text_of(&newest)))
}

/// Evidence that must be there.
pub async fn read(path: &Path) -> Result<Evidence> {
    let evidence = load(path).await.map_err(Error::client("read evidence"))?;
    evidence.ok_or_else(|| Error::NotFound { what: "file", name: path.display().to_string() })
}

/// A timestamp for programs.
pub fn answer_of(proved: &Timestamped) -> Value {
    json!({
        "time_ms": proved.made_ms,
        "accuracy_ms": proved.accuracy_ms,
        "hash": proved.hash.name(),
        "policy": proved.policy,
        "serial": proved.serial,
        "authority": proved.authority.subject,
        "certificate": proved.authority.certificate.to_string(),
        "anchor": proved.authority.anchor.to_string(),
        "renew_before_ms": proved.authority.until_ms,
    })
}

/// A timestamp for people.
pub fn text_of(proved: &Timestamped) -> String {
    let Timestamped { made_ms, hash, serial, authority, .. } = proved;
    format!(
        "existed at {} ({} by {}, number {serial}); renew before {}",
        time(*made_ms),
        hash.name(),
        authority.subject,
        time(authority.until_ms)
    )
}
