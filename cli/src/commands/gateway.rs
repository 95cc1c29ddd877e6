//! `shosoin gateway`: S3 for the hospital's services, and who may use it.

use crate::args::SiteArgs;
use crate::commands::up::REGION;
use crate::error::{Error, Result};
use crate::hospital::{GatewayConfig, HospitalDir, parse_pin};
use crate::local;
use crate::output::Output;
use crate::session::{Session, state_of};
use crate::stop::Stop;
use crate::text::{parse_time, time};
use bytes::Bytes;
use bytesize::ByteSize;
use clap::{Args, Subcommand, ValueEnum};
use hyper::Method;
use serde_json::{Value, json};
use shosoin_client::{Standing, now_ms};
use shosoin_gateway::{GatewayOptions, Role, User, UserChange, UserStore, snapshot_answer, socket_path};
use shosoin_protocol::Digest;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Commands about the gateway.
#[derive(Debug, Subcommand)]
pub enum GatewayCommand {
    /// Serve S3 in front of a vault
    #[command(after_help = "Example:\n  \
        shosoin gateway serve --dir ./hospital --s3 0.0.0.0:9000 --passphrase-file ./passphrase")]
    Serve(ServeArgs),
    /// Show this gateway's device and ledger head, and after a restore from a backup let it store again
    ///
    /// A gateway whose device has entries in the ledger that it did not sign itself was restored from a backup, or a copy of it
    /// runs elsewhere. It reads and stores nothing until a person has compared the ledger's head with one known by another way:
    /// from another gateway of the hospital (this command there), a witness, a receipt, a report on paper.
    #[command(after_help = "Examples:\n  \
        shosoin gateway confirm --dir ./hospital\n  \
        shosoin gateway confirm --dir ./hospital --head 4711:9f2c...e1")]
    Confirm(ConfirmArgs),
    /// Keep what this gateway knows of names at the vault, sealed, so that a new gateway need not read the whole ledger
    ///
    /// A new gateway takes the newest snapshot by itself and reads only what came later; one that does not fit in every way is not
    /// used. A gateway that runs makes them by itself, as `snapshot_entries` in gateway.toml says; where one runs in this folder, it
    /// makes this one too.
    #[command(after_help = "Example:\n  shosoin gateway snapshot --dir ./hospital --json")]
    Snapshot(SnapshotArgs),
    /// Show how the gateway that runs in this folder stands: whether it stores, its ledger head, its snapshots
    ///
    /// It tells what it knows and asks the vault nothing. The same figures are at /metrics, for a Prometheus, where section `metrics` of
    /// gateway.toml names an address to listen on.
    #[command(after_help = "Example:\n  shosoin gateway status --dir ./hospital --json")]
    Status(StatusArgs),
    /// Ask the scanner of this folder which engine it is, how old its definitions are, and whether it finds a test string
    #[command(after_help = "Example:\n  shosoin gateway scanner --dir ./hospital")]
    Scanner(ScannerArgs),
    /// Access keys: who may use the gateway, for what; a running gateway honours changes at once
    #[command(subcommand)]
    User(UserCommand),
}

/// Arguments of `gateway serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Address to listen on; port 0 picks a free one [default: from gateway.toml, else 127.0.0.1:9000]
    #[arg(long, value_name = "ADDRESS")]
    s3: Option<SocketAddr>,
    /// Region that S3 clients sign for [default: from gateway.toml, else us-east-1]
    #[arg(long)]
    region: Option<String>,
    /// Domain under which buckets are host names, as in BUCKET.DOMAIN [default: from gateway.toml]
    #[arg(long)]
    domain: Option<String>,
    #[command(flatten)]
    site: SiteArgs,
}

/// Arguments of `gateway snapshot`.
#[derive(Debug, Args)]
pub struct SnapshotArgs {
    #[command(flatten)]
    site: SiteArgs,
}

/// Arguments of `gateway status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    site: SiteArgs,
}

/// Arguments of `gateway confirm`.
#[derive(Debug, Args)]
pub struct ConfirmArgs {
    /// Head that was compared, as SIZE:ROOT; the vault's ledger must contain it [default: only show]
    #[arg(long, value_name = "SIZE:ROOT")]
    head: Option<String>,
    #[command(flatten)]
    site: SiteArgs,
}

/// Arguments of `gateway scanner`.
#[derive(Debug, Args)]
pub struct ScannerArgs {
    /// Folder of a site made by `up`, or of a hospital made by `keyring init`
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

/// Commands about access keys.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Make an access key and print it, secret included, this once
    #[command(after_help = "Example:\n  \
        shosoin gateway user add --dir ./hospital --name pacs --role write --bucket records --json")]
    Add(AddArgs),
    /// Change what an access key may do or for how long, or disable it; the key stays the same
    #[command(after_help = "Examples:\n  \
        shosoin gateway user set --dir ./hospital --name pacs --expires 2027-03-31\n  \
        shosoin gateway user set --dir ./hospital --name locum --disable")]
    Set(SetArgs),
    /// List access keys without their secrets
    #[command(after_help = "Example:\n  shosoin gateway user list --dir ./hospital")]
    List(ListArgs),
    /// End an access key
    #[command(after_help = "Example:\n  shosoin gateway user remove --dir ./hospital --name pacs")]
    Remove(RemoveArgs),
}

/// What an access key may do.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum RoleArg {
    /// get, head, list
    Read,
    /// read, and put and delete objects
    Write,
    /// write, and make, change and delete buckets
    Admin,
}

impl From<RoleArg> for Role {
    fn from(arg: RoleArg) -> Self {
        match arg {
            RoleArg::Read => Role::Read,
            RoleArg::Write => Role::Write,
            RoleArg::Admin => Role::Admin,
        }
    }
}

/// Arguments of `gateway user add`.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// Name for people
    #[arg(long)]
    name: String,
    /// What it may do
    #[arg(long, value_enum)]
    role: RoleArg,
    /// Only in this bucket [default: in all]
    #[arg(long)]
    bucket: Option<String>,
    /// Refused from this day or moment on [default: never]
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    #[command(flatten)]
    site: SiteArgs,
}

/// Arguments of `gateway user set`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("change").required(true).multiple(true))]
pub struct SetArgs {
    /// Name it was given
    #[arg(long)]
    name: String,
    /// What it may do from now on
    #[arg(long, value_enum, group = "change")]
    role: Option<RoleArg>,
    /// Refused from this day or moment on; `never` for no end
    #[arg(long, value_name = "TIME", group = "change")]
    expires: Option<String>,
    /// Refuse it until it is enabled
    #[arg(long, group = "change")]
    disable: bool,
    /// Let it in again
    #[arg(long, conflicts_with = "disable", group = "change")]
    enable: bool,
    #[command(flatten)]
    site: SiteArgs,
}

/// Arguments of `gateway user list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    site: SiteArgs,
}

/// Arguments of `gateway user remove`.
#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// Name it was given
    #[arg(long)]
    name: String,
    #[command(flatten)]
    site: SiteArgs,
}

/// Runs one of them.
pub async fn run(command: GatewayCommand, output: Output) -> Result<()> {
    match command {
        GatewayCommand::Serve(args) => serve(args, output).await,
        GatewayCommand::Snapshot(args) => snapshot(args, output).await,
        GatewayCommand::Status(args) => status(args, output).await,
        GatewayCommand::Confirm(args) => confirm(args, output).await,
        GatewayCommand::Scanner(args) => scanner(&args, output).await,
        GatewayCommand::User(UserCommand::Add(args)) => add(&args, output),
        GatewayCommand::User(UserCommand::Set(args)) => set(&args, output),
        GatewayCommand::User(UserCommand::List(args)) => list(&args, output),
        GatewayCommand::User(UserCommand::Remove(args)) => remove(&args, output),
    }
}

async fn serve(args: ServeArgs, output: Output) -> Result<()> {
    let stop = Stop::listen()?;
    let hospital = HospitalDir::of(&args.site)?;
    let config = GatewayConfig::load(&hospital)?;
    let options = GatewayOptions {
        listen: args.s3.or(config.listen).unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 9000))),
        state_dir: hospital.root().to_owned(),
        snapshots: config.snapshots(),
        socket: socket_path(&state_of(&args.site)?),
        metrics: config.metrics.map(|metrics| metrics.listen),
        region: args.region.or(config.region).unwrap_or_else(|| REGION.to_owned()),
        domain: args.domain.or(config.domain),
    };
    let session = Session::open(&args.site).await?;
    let served = serve_until(&session, options, stop, output).await;
    session.finish(served).await?;
    output.answer(&json!({ "closed": true }), || "closed".to_owned())
}

async fn snapshot(args: SnapshotArgs, output: Output) -> Result<()> {
    let (socket, task) = (socket_path(&state_of(&args.site)?), "make a snapshot of the view");
    let answer = match local::ask(&socket, task, Method::POST, "/v1/snapshot", Bytes::new()).await? {
        Some(answer) => answer,
        None => {
            let session = Session::open(&args.site).await?;
            let made = session.client.make_snapshot(|rows| tracing::debug!(rows, "sealing a snapshot")).await;
            snapshot_answer(&session.finish(made.map_err(Error::client(task))).await?)
        }
    };
    output.answer(&answer, || {
        let figure = |name: &str| answer[name].as_u64().unwrap_or_default();
        format!(
            "snapshot {} behind {} entries: {} rows, {}, stored as {}",
            answer["snapshot"].as_str().unwrap_or_default(),
            figure("log_size"),
            figure("rows"),
            ByteSize(figure("plain_bytes")),
            ByteSize(figure("sealed_bytes"))
        )
    })
}

async fn status(args: StatusArgs, output: Output) -> Result<()> {
    let state = state_of(&args.site)?;
    let task = "ask the gateway for its status";
    let asked = local::ask(&socket_path(&state), task, Method::GET, "/v1/status", Bytes::new()).await?;
    let answer = asked.ok_or(Error::NoGateway { path: state })?;
    output.answer(&answer, || status_text(&answer))
}

fn status_text(answer: &Value) -> String {
    let figure = |name: &str| answer[name].as_u64().unwrap_or_default();
    let state = match answer["read_only"].as_bool() {
        Some(false) => "it stores and reads",
        _ => "READ-ONLY: the newest entry of this device was not signed here; see `shosoin gateway confirm`",
    };
    let snapshot = match (answer["snapshot"].as_u64(), answer["snapshot_due"].as_u64()) {
        (None, None) => "none; it makes none by itself".to_owned(),
        (None, Some(due)) => format!("none; due at {due} entries"),
        (Some(newest), None) => format!("behind {newest} entries; it makes none by itself"),
        (Some(newest), Some(due)) => format!("behind {newest} entries; the next is due at {due}"),
    };
    format!(
        "{state}\ndevice    {}\nhead      {}\nsigned    {}\nsnapshot  {snapshot}\nrequests  {}, of which {} failed",
        answer["device"].as_str().unwrap_or_default(),
        answer["head"].as_str().unwrap_or_default(),
        answer["head_time_ms"].as_u64().map(time).unwrap_or_default(),
        figure("requests"),
        figure("requests_failed")
    )
}

async fn confirm(args: ConfirmArgs, output: Output) -> Result<()> {
    let head = args.head.as_deref().map(parse_head).transpose()?;
    let session = Session::open(&args.site).await?;
    let standing = match head {
        None => session.client.device_standing().await.map_err(Error::client("compare this device with the ledger")),
        Some((size, root)) => session.client.confirm_head(size, root).await.map_err(Error::client("confirm the head")),
    };
    let Standing { device, entries, known, read_only, head: now, from_snapshot } = session.finish(standing).await?;
    let shown = now.as_ref().map(|now| format!("{}:{}", now.size, now.root));
    let answer = json!({
        "device": device.to_string(), "entries": entries, "known": known, "read_only": read_only, "confirmed": head.is_some(),
        "head": shown, "head_time_ms": now.as_ref().map(|now| now.time_ms), "from_snapshot": from_snapshot,
    });
    output.answer(&answer, || {
        let (head, at) = (shown.unwrap_or_default(), now.map(|now| time(now.time_ms)).unwrap_or_default());
        let next = match read_only {
            false => "it stores and reads",
            true => {
                "READ-ONLY: the newest entry of this device was not signed here. Stop any copy of this gateway; compare the \
                 head with another gateway, witness or receipt of the hospital; then give it with --head"
            }
        };
        format!("device   {device}\nentries  {entries} in the ledger, {known} known here\nhead     {head}\nsigned   {at}\n{next}")
    })
}

/// A head as it is printed: leaves, a colon, the root in hex.
fn parse_head(text: &str) -> Result<(u64, Digest)> {
    let parsed = text.split_once(':').and_then(|(size, root)| Some((size.parse().ok()?, parse_pin(root).ok()?)));
    let (size, root) =
        parsed.ok_or_else(|| Error::invalid("--head", "it must look like 4711:9f2c...e1, 64 hex digits"))?;
    Ok((size, Digest(root)))
}

async fn scanner(args: &ScannerArgs, output: Output) -> Result<()> {
    let hospital = HospitalDir::in_site(&args.dir);
    let config = GatewayConfig::load(&hospital)?.scanner;
    let config = config.ok_or_else(|| {
        Error::invalid("scanner", format!("{} has no [scanner] section", hospital.config().display()))
    })?;
    let scanner = config.scanner()?;
    let asked = scanner.engine(u32::MAX).await.map_err(shosoin_client::Error::from);
    let engine = asked.map_err(Error::client("ask the scanner"))?;
    let age_hours = now_ms().saturating_sub(engine.definitions_ms) / 3_600_000;
    let answer = json!({
        "address": scanner.address().to_string(),
        "engine": engine.to_string(),
        "definitions_ms": engine.definitions_ms,
        "definitions_age_hours": age_hours,
        "bytes_max": scanner.bytes_max(),
        "finds_test_string": true,
    });
    output.answer(&answer, || {
        format!(
            "{engine}, {age_hours} hours old, at {}\nit found the EICAR test string at the beginning of {} bytes",
            scanner.address(),
            scanner.bytes_max()
        )
    })
}

async fn serve_until(session: &Session, options: GatewayOptions, stop: Stop, output: Output) -> Result<()> {
    let (listen, region) = (options.listen, options.region.clone());
    let gateway = shosoin_gateway::serve(session.client.clone(), options, stop.asked()).await;
    let gateway = gateway.map_err(Error::gateway(format!("serve S3 on {listen}")))?;
    let (endpoint, hospital) = (format!("http://{}", gateway.addr), session.client.keyring().hospital().to_string());
    let standing =
        session.client.device_standing().await.map_err(Error::client("compare this device with the ledger"))?;
    let answer = json!({
        "s3_endpoint": endpoint, "region": region, "hospital": hospital, "pid": std::process::id(),
        "read_only": standing.read_only, "from_snapshot": standing.from_snapshot,
        "metrics": gateway.metrics.map(|address| format!("http://{address}/metrics")),
    });
    output.answer(&answer, || {
        let state = if standing.read_only { "\nREAD-ONLY: see `shosoin gateway confirm`" } else { "" };
        format!("s3 endpoint  {endpoint}\nregion       {region}\nhospital     {hospital}{state}")
    })?;
    gateway.finished().await;
    Ok(())
}

fn add(args: &AddArgs, output: Output) -> Result<()> {
    let hospital = HospitalDir::of(&args.site)?;
    let keyring = hospital.open_keyring(&args.site.passphrase)?;
    let expires_ms = args.expires.as_deref().map(end).transpose()?;
    let users = UserStore::at(hospital.root());
    let added = users.add(&keyring, &args.name, args.role.into(), args.bucket.as_deref(), expires_ms);
    let credentials = added.map_err(Error::gateway(format!("add user {}", args.name)))?;
    let answer = json!({
        "name": args.name,
        "access_key_id": credentials.user.access_key_id,
        "secret_access_key": credentials.secret_access_key.expose(),
    });
    output.answer(&answer, || {
        format!(
            "access key id      {}\nsecret access key  {}",
            credentials.user.access_key_id,
            credentials.secret_access_key.expose()
        )
    })
}

/// When an access key ends.
fn end(text: &str) -> Result<u64> {
    let why = "it must look like 2027-03-31 or 2027-03-31T18:00:00+09:00";
    parse_time(text).ok_or_else(|| Error::invalid("--expires", why))
}

fn set(args: &SetArgs, output: Output) -> Result<()> {
    let hospital = HospitalDir::of(&args.site)?;
    let keyring = hospital.open_keyring(&args.site.passphrase)?;
    let expires_ms = match args.expires.as_deref() {
        None => None,
        Some("never") => Some(None),
        Some(text) => Some(Some(end(text)?)),
    };
    let disabled = (args.disable || args.enable).then_some(args.disable);
    let change = UserChange { role: args.role.map(Role::from), expires_ms, disabled };
    let user = UserStore::at(hospital.root()).set(&keyring, &args.name, &change);
    let user = user.map_err(Error::gateway(format!("change user {}", args.name)))?;
    output.answer(&described(&user, None), || line(&user, None))
}

fn list(args: &ListArgs, output: Output) -> Result<()> {
    let hospital = HospitalDir::of(&args.site)?;
    let store = UserStore::at(hospital.root());
    let users = store.list().map_err(Error::gateway("list the gateway's users"))?;
    let used = store.last_used().map_err(Error::gateway("read when access keys were used"))?;
    for user in users {
        let last_used_ms = used.get(&user.access_key_id).copied();
        output.answer(&described(&user, last_used_ms), || line(&user, last_used_ms))?;
    }
    Ok(())
}

fn described(user: &User, last_used_ms: Option<u64>) -> Value {
    json!({
        "name": user.name,
        "access_key_id": user.access_key_id,
        "role": user.role.name(),
        "bucket": user.bucket,
        "expires_ms": user.expires_ms,
        "disabled": user.disabled,
        "last_used_ms": last_used_ms,
    })
}

fn line(user: &User, last_used_ms: Option<u64>) -> String {
    let (role, bucket) = (user.role.name(), user.bucket.as_deref().unwrap_or("all buckets"));
    let ends = user.expires_ms.map_or_else(|| "no end".to_owned(), |at_ms| format!("until {}", time(at_ms)));
    let used = last_used_ms.map_or_else(|| "never used".to_owned(), |at_ms| format!("used {}", time(at_ms)));
    let state = if user.disabled { ", disabled" } else { "" };
    format!("{:<24}{:<24}{role:<8}{bucket:<20}{ends}, {used}{state}", user.name, user.access_key_id)
}

fn remove(args: &RemoveArgs, output: Output) -> Result<()> {
    let hospital = HospitalDir::of(&args.site)?;
    let removed = UserStore::at(hospital.root()).remove(&args.name);
    removed.map_err(Error::gateway(format!("remove user {}", args.name)))?;
    output.answer(&json!({ "name": args.name, "removed": true }), || format!("{} is removed", args.name))
}
