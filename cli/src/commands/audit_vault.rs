//! `shosoin audit-vault`: ask the vault for records drawn at random among all that the ledger names.

use crate::args::SiteArgs;
use crate::error::{Error, Result};
use crate::files;
use crate::output::Output;
use crate::progress::Progress;
use crate::session::Session;
use crate::text::bytes;
use clap::Args;
use shosoin_client::{AuditFailure, AuditOptions, VaultAudit, Wanted};
use std::path::{Path, PathBuf};

/// Arguments of `audit-vault`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    shosoin audit-vault --dir ./hospital --confidence 0.99 --damage 0.001 --report ./audit-2026-11.txt\n  \
    shosoin audit-vault --dir ./hospital --receipts ./receipts --json")]
pub struct AuditVaultArgs {
    #[command(flatten)]
    site: SiteArgs,
    /// Probability with which damage is found, if there is as much as --damage says
    #[arg(long, value_name = "P", default_value_t = 0.95)]
    confidence: f64,
    /// Fraction of all records whose damage must not go unnoticed
    #[arg(long, value_name = "F", default_value_t = 0.01)]
    damage: f64,
    /// Hold every receipt in this folder against the ledger as well, as `put --receipt` kept them
    #[arg(long, value_name = "DIR")]
    receipts: Option<PathBuf>,
    /// Keep the report, signed by this device; the file must not exist. `shosoin evidence verify` reads it
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// Audits, prints what came of it, and fails where anything failed or was not answered.
pub async fn run(args: AuditVaultArgs, output: Output) -> Result<()> {
    let wanted = Wanted { confidence: args.confidence, damage: args.damage };
    wanted.check().map_err(Error::client("audit the vault"))?;
    let receipts = args.receipts.as_deref().map(read_receipts).transpose()?.unwrap_or_default();
    if let Some(path) = args.report.as_ref().filter(|path| path.exists()) {
        return Err(Error::invalid("--report", format!("{} exists already", path.display())));
    }
    let session = Session::open(&args.site).await?;
    let progress = Progress::count(output, "records asked for", None);
    let audit =
        session.client.audit_vault(AuditOptions { wanted, receipts }, |done, all| progress.set(done, all)).await;
    drop(progress);
    let audit = session.finish(audit.map_err(Error::client("audit the vault"))).await?;
    if let Some(path) = &args.report {
        files::create(path, audit.report.as_bytes())?;
    }
    output.answer(&audit, || text_of(&audit))?;
    match (audit.failed, audit.unanswered) {
        (0, 0) => Ok(()),
        (0, count) => Err(Error::Job { job: "the audit", why: format!("{count} records were not answered for") }),
        (count, _) => Err(Error::Damage { count, what: "records or receipts failed the audit" }),
    }
}

/// Every file of a folder, by name.
fn read_receipts(dir: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let listing = std::fs::read_dir(dir).map_err(Error::file("list", dir))?;
    let mut receipts = Vec::new();
    for entry in listing {
        let path = entry.map_err(Error::file("list", dir))?.path();
        if path.is_file() {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            receipts.push((name, std::fs::read(&path).map_err(Error::file("read", path))?));
        }
    }
    receipts.sort();
    Ok(receipts)
}

fn text_of(audit: &VaultAudit) -> String {
    let VaultAudit { population, sample, given, unanswered, failed, confidence, damage, .. } = audit;
    let mut out = format!(
        "{population} records are named by {} entries; {sample} were asked for: {given} given ({}), {unanswered} not \
         answered, {failed} failed\n",
        audit.ledger_size,
        bytes(audit.given_bytes)
    );
    if audit.receipts > 0 {
        out += &format!("{} receipts hold\n", audit.receipts);
    }
    for AuditFailure { version, leaf_index, what, why, evidence } in &audit.failures {
        let of = if version.is_empty() { "receipt".to_owned() } else { format!("version {version}") };
        out += &format!("FAILED  entry {leaf_index}, {of}, {what}: {why}\n");
        if let Some(path) = evidence {
            out += &format!("        evidence: {}\n", path.display());
        }
    }
    match audit.holds {
        true => out + &format!("less than {} of the records are damaged, with confidence {confidence}\n", damage),
        false => out + "nothing is said of the rest: what failed, or was not answered, must be cleared up first\n",
    }
}
