//! `shosoin vault rebuild`: index and ledger state from media alone.

use super::{damage_in, findings_text};
use crate::error::{Error, Result};
use crate::output::Output;
use crate::progress::Progress;
use clap::Args;
use serde_json::json;
use shosoin_store::Vault;
use shosoin_store::accounts::Caller;
use std::path::PathBuf;

/// Arguments of `vault rebuild`.
#[derive(Debug, Args)]
pub struct RebuildArgs {
    /// Folder of the vault, which must not be served
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

/// Rebuilds, with progress, and ends with the list of damage.
pub async fn run(args: RebuildArgs, output: Output) -> Result<()> {
    let progress = Progress::bytes(output, "read", Some(0));
    let report =
        Vault::rebuild_for(&args.dir, Caller::this_process(), move |at| progress.set(at.bytes, at.bytes_total)).await;
    let report = report.map_err(Error::vault(format!("rebuild vault {}", args.dir.display())))?;
    let answer = json!(report);
    output.answer(&answer, || {
        let counts = format!(
            "{} segments, {} records, {} entries of ledgers\n",
            report.segments, report.records, report.entries
        );
        counts + &findings_text(&answer["findings"])
    })?;
    damage_in(&answer["findings"])
}
