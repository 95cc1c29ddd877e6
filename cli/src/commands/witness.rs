//! `shosoin witness`: for any outside party. It co-signs heads of ledgers after seeing that each continues the one before,
//! and holds nothing of anybody's.

use crate::args::SiteArgs;
use crate::error::{Error, Result};
use crate::hospital::{GatewayConfig, HospitalDir};
use crate::output::Output;
use crate::session::Session;
use crate::stop::Stop;
use crate::text::time;
use clap::{Args, Subcommand};
use serde_json::json;
use shosoin_protocol::note::{KeyUse, VerifierKey};
use shosoin_witness::{KnownLog, Server, ServerOptions, Witness};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Commands of a witness.
#[derive(Debug, Subcommand)]
pub enum WitnessCommand {
    /// Make a witness with a key of its own
    #[command(after_help = "Example:\n  shosoin witness init --dir ./witness --name witness.example.org/w1")]
    Init(InitArgs),
    /// Serve the ledger with this key from now on; the hospital shows it with `shosoin evidence keys`
    #[command(
        after_help = "Example:\n  shosoin witness add-log --dir ./witness shosoin/4b8f.../a787...+f1e2d3c4+AUlt..."
    )]
    AddLog(AddLogArgs),
    /// Answer `POST /add-checkpoint` and `GET /<origin hash>/checkpoint` (C2SP tlog-witness)
    #[command(after_help = "Example:\n  shosoin witness serve --dir ./witness --listen 127.0.0.1:7501")]
    Serve(ServeArgs),
    /// At the hospital: require witnesses of gateway.toml on the record, so that no machine of the hospital does without
    #[command(after_help = "Examples:\n  \
        shosoin witness require 2 --dir ./hospital\n  \
        shosoin witness require 0 --dir ./hospital --although-unwitnessed   # they are gone for good")]
    Require(RequireArgs),
    /// Show the key of the witness and what it co-signed last
    #[command(after_help = "Example:\n  shosoin witness show --dir ./witness --json")]
    Show(ShowArgs),
}

/// Arguments of `witness init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Folder of the witness. If it is ever lost or restored from a backup, make a new witness: it has forgotten
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Name in its signatures, best a URL without its scheme
    #[arg(long, value_name = "NAME")]
    name: String,
}

/// Arguments of `witness add-log`.
#[derive(Debug, Args)]
pub struct AddLogArgs {
    /// Folder of the witness, which must not be serving
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Key of the ledger: origin, id and key
    #[arg(value_name = "KEY")]
    key: String,
}

/// Arguments of `witness serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Folder of the witness
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Address to listen on; put a proxy with TLS in front where others must not see which ledgers are witnessed
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7501")]
    listen: SocketAddr,
    /// Requests a second for one ledger or one address, after a burst of five times as many
    #[arg(long, value_name = "N", default_value_t = 20)]
    rate: u32,
}

/// Arguments of `witness require`.
#[derive(Debug, Args)]
pub struct RequireArgs {
    /// How many of the witnesses in gateway.toml must have co-signed a head; 0: none any more
    #[arg(value_name = "N")]
    required: u8,
    /// Believe the newest head without witnesses, for this command alone; logged as an alarm
    #[arg(long)]
    although_unwitnessed: bool,
    #[command(flatten)]
    site: SiteArgs,
}

/// Arguments of `witness show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Folder of the witness, which must not be serving
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

async fn require(args: &RequireArgs, output: Output) -> Result<()> {
    let keys = match args.required {
        0 => Vec::new(),
        _ => GatewayConfig::load(&HospitalDir::of(&args.site)?)?.witness_keys()?,
    };
    if keys.len() < usize::from(args.required) {
        let why = format!("{} are configured in gateway.toml", keys.len());
        return Err(Error::invalid("the number of required witnesses", why));
    }
    let session = Session::open_as(&args.site, args.although_unwitnessed).await?;
    let stated = session.client.require_witnesses(args.required, &keys).await;
    let stated = session.finish(stated.map_err(Error::client("require witnesses"))).await?;
    let names: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
    let answer = json!({ "required": args.required, "witnesses": names, "leaf_index": stated.leaf_index });
    output.answer(&answer, || match args.required {
        0 => format!("entry {}: no witness is required any more", stated.leaf_index),
        required => format!("entry {}: {required} of {} are required from now on", stated.leaf_index, names.join(", ")),
    })
}

fn failed(task: &'static str) -> impl Fn(shosoin_witness::Error) -> Error {
    move |source| Error::Witness { task, source }
}

/// Runs one of them.
pub async fn run(command: WitnessCommand, output: Output) -> Result<()> {
    match command {
        WitnessCommand::Init(args) => {
            let key = Witness::init(&args.dir, &args.name).map_err(failed("make a witness"))?;
            output.answer(&json!({ "key": key.to_string() }), || format!("key  {key}"))
        }
        WitnessCommand::AddLog(args) => add_log(&args, output),
        WitnessCommand::Serve(args) => serve(args, output).await,
        WitnessCommand::Require(args) => require(&args, output).await,
        WitnessCommand::Show(args) => show(&args, output),
    }
}

fn add_log(args: &AddLogArgs, output: Output) -> Result<()> {
    let key: VerifierKey = args.key.parse().map_err(|error| Error::invalid("KEY", format!("{error}")))?;
    if key.key_use == KeyUse::Cosignature {
        return Err(Error::invalid("KEY", "it is the key of a witness, not of a ledger"));
    }
    let mut witness = Witness::open(&args.dir).map_err(failed("open the witness"))?;
    witness.add_log(&key).map_err(failed("serve the ledger"))?;
    output.answer(&json!({ "origin": key.name }), || format!("serves {}", key.name))
}

async fn serve(args: ServeArgs, output: Output) -> Result<()> {
    let stop = Stop::listen()?;
    let witness = Witness::open(&args.dir).map_err(failed("open the witness"))?;
    let (key, logs) = (witness.verifier_key().map_err(failed("open the witness"))?, witness.logs().len());
    let options =
        ServerOptions { per_second: args.rate, burst: args.rate.saturating_mul(5), ..ServerOptions::default() };
    let server = Server::bind(witness, args.listen, options).await.map_err(failed("serve the witness"))?;
    let listen = server.local_addr().map_err(failed("serve the witness"))?.to_string();
    let answer = json!({ "witness": format!("http://{listen}"), "key": key.to_string(), "logs": logs });
    output.answer(&answer, || format!("witness  http://{listen}\nkey      {key}\nledgers  {logs}"))?;
    server.run(stop.asked()).await;
    output.answer(&json!({ "closed": true }), || "closed".to_owned())
}

fn show(args: &ShowArgs, output: Output) -> Result<()> {
    let witness = Witness::open(&args.dir).map_err(failed("open the witness"))?;
    let (key, logs) = (witness.verifier_key().map_err(failed("open the witness"))?, witness.logs());
    let shown = |log: &KnownLog| {
        let (size, root, time_s) = log.latest.clone().unwrap_or_default();
        json!({ "origin": log.origin, "keys": log.keys, "size": size, "root": root, "time_s": time_s,
            "conflicts": log.conflicts })
    };
    let answer = json!({ "key": key.to_string(), "logs": logs.iter().map(shown).collect::<Vec<_>>() });
    output.answer(&answer, || {
        let mut out = format!("key  {key}\n");
        for log in &logs {
            let latest = match &log.latest {
                Some((size, _, time_s)) => format!("{size} entries, {}", time(time_s * 1000)),
                None => "nothing was co-signed yet".to_owned(),
            };
            out += &format!("ledger  {}: {latest}\n", log.origin);
            if log.conflicts > 0 {
                out += &format!("        {} requests CONTRADICT it and are kept in its folder\n", log.conflicts);
            }
        }
        out
    })
}
