//! `shosoin reconcile`: received = held + given out + disposed. The operator's vault signs it, the hospital checks it
//! against its own log.

use crate::args::SiteArgs;
use crate::error::{Error, Result};
use crate::files;
use crate::operator;
use crate::output::Output;
use crate::session::Session;
use crate::text::{bytes, time};
use clap::{Args, Subcommand};
use serde_json::Value;
use shosoin_client::Reconciled;
use shosoin_store::assets::AssetCommand;
use std::path::PathBuf;

/// Both sides of a reconciliation.
#[derive(Debug, Subcommand)]
pub enum ReconcileCommand {
    /// Operator: count every deposit of a hospital on media, and sign the account
    #[command(after_help = "Example:\n  shosoin reconcile sign --dir ./vault --json")]
    Sign(SignArgs),
    /// Hospital: check the vault's newest account, or one from a file, against the hospital's own log
    #[command(after_help = "Example:\n  shosoin reconcile verify --dir ./hospital --keep account.shrc")]
    Verify(VerifyArgs),
}

/// Arguments of `reconcile sign`.
#[derive(Debug, Args)]
pub struct SignArgs {
    /// Folder of the vault
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Whose [default: the only hospital of the vault]
    #[arg(long, value_name = "ID")]
    hospital: Option<String>,
}

/// Arguments of `reconcile verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    site: SiteArgs,
    /// An account that was kept, in place of the vault's newest
    #[arg(long, value_name = "FILE")]
    account: Option<PathBuf>,
    /// Keep the signed account: where it does not agree, it is the evidence
    #[arg(long, value_name = "FILE")]
    keep: Option<PathBuf>,
}

/// Runs one of them.
pub async fn run(command: ReconcileCommand, output: Output) -> Result<()> {
    match command {
        ReconcileCommand::Sign(SignArgs { dir, hospital }) => {
            let command = AssetCommand::Reconcile { hospital };
            let report = operator::one(&dir, "reconcile", &command).await?;
            output.answer(&report, || account_text(&report))?;
            match report["balances"].as_bool() {
                Some(true) => Ok(()),
                _ => Err(Error::Damage {
                    count: report["missing"]["count"].as_u64().unwrap_or(1),
                    what: "missing deposits",
                }),
            }
        }
        ReconcileCommand::Verify(args) => verify(args, output).await,
    }
}

async fn verify(args: VerifyArgs, output: Output) -> Result<()> {
    let kept = args.account.as_ref().map(|path| std::fs::read(path).map_err(Error::file("read", path.clone())));
    let kept = kept.transpose()?;
    let session = Session::open(&args.site).await?;
    let checked = match kept {
        Some(bytes) => session.client.check_account(&bytes.into()).await,
        None => session.client.reconcile().await,
    };
    let checked = session.finish(checked.map_err(Error::client("check the vault's account".to_owned()))).await?;
    if let Some(path) = &args.keep {
        let bytes = hex::decode(&checked.signed).unwrap_or_default();
        files::create(path, &bytes)?;
    }
    output.answer(&checked, || checked_text(&checked))?;
    match checked.agrees {
        true => Ok(()),
        false => Err(Error::Damage { count: checked.findings.len() as u64, what: "figures that do not agree" }),
    }
}

fn account_text(report: &Value) -> String {
    let mut out = String::new();
    for (name, field) in [
        ("received", "received"),
        ("held", "held"),
        ("given out", "given_out"),
        ("disposed", "disposed"),
        ("missing", "missing"),
    ] {
        let size = report[field]["bytes"].as_u64().map(bytes).unwrap_or_default();
        out += &format!("{name:<10} {:>10} deposits  {size}\n", report[field]["count"].to_string());
    }
    for leaf in report["missing_leaves"].as_array().into_iter().flatten() {
        out += &format!("missing: leaf {leaf}\n");
    }
    let file = report["file"].as_str().unwrap_or("-");
    out + &format!("signed for {} entries of the log: {file}\n", report["log_size"])
}

fn checked_text(checked: &Reconciled) -> String {
    let Reconciled { time_ms, log_size, received, held, given_out, disposed, counted, .. } = checked;
    let mut out = format!(
        "account of {} over {log_size} entries: {received} received, {held} held, {given_out} given out, {disposed} \
         disposed of; counted here: {counted}\n",
        time(*time_ms)
    );
    checked.findings.iter().for_each(|finding| out += &format!("DISAGREES  {finding}\n"));
    match checked.agrees {
        true => out + "everything agrees\n",
        false => out,
    }
}
