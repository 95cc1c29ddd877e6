//! `shosoin device`: the machines of a hospital, as its ledger has them.

mod deposit;

use crate::args::SiteArgs;
use crate::error::{Error, Result};
use crate::output::Output;
use crate::session::Session;
use clap::{Args, Subcommand};
use serde_json::json;
use shosoin_protocol::DeviceId;

/// Commands about devices.
#[derive(Debug, Subcommand)]
pub enum DeviceCommand {
    /// The machines that may sign for the hospital, and those that no longer may
    #[command(after_help = "Example:\n  shosoin device list --dir ./hospital")]
    List(ListArgs),
    /// Let a machine in that may store records and open none: nothing in its key file opens anything
    #[command(after_help = "Example:\n  \
        shosoin device enrol charts --prefix modality-3/ --deposit-only --out ./modality-3 --dir ./hospital")]
    Enrol(deposit::EnrolArgs),
    /// On a machine that only deposits: store files as records
    #[command(after_help = "Example:\n  shosoin device deposit ct-0001.dcm ct-0002.dcm --dir ./modality-3")]
    Deposit(deposit::DepositArgs),
    /// Shut a lost or stolen machine out, for good: its signature and its connection are refused from now on
    #[command(after_help = "Example:\n  shosoin device revoke 11d519ebbfe7a77ae71b1e2d3ca5c071 --dir ./hospital --yes")]
    Revoke(RevokeArgs),
}

/// Arguments of `device list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    site: SiteArgs,
}

/// Arguments of `device revoke`.
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// The device, as `device list` shows it
    device: String,
    /// Do it: without this it is only said what would happen
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    site: SiteArgs,
}

/// Runs one of them.
pub async fn run(command: DeviceCommand, output: Output) -> Result<()> {
    match command {
        DeviceCommand::List(args) => list(args, output).await,
        DeviceCommand::Enrol(args) => deposit::enrol(args, output).await,
        DeviceCommand::Deposit(args) => deposit::deposit(args, output).await,
        DeviceCommand::Revoke(args) => revoke(args, output).await,
    }
}

async fn list(args: ListArgs, output: Output) -> Result<()> {
    let session = Session::open(&args.site).await?;
    let devices = session.client.devices().map_err(Error::client("list the devices"));
    for device in session.finish(devices).await? {
        let (id, state) = (device.id.to_string(), if device.enrolled { "enrolled" } else { "revoked" });
        let answer = json!({
            "device": id, "state": state, "entries": device.entries, "this": device.is_this,
            "fingerprint": device.key.fingerprint(), "role": if device.deposit_only { "deposit-only" } else { "full" },
        });
        let this = match (device.is_this, device.deposit_only) {
            (true, _) => "  this machine",
            (false, true) => "  only deposits",
            (false, false) => "",
        };
        output.answer(&answer, || format!("{id}  {state:<9} {:>12} entries{this}", device.entries))?;
    }
    Ok(())
}

async fn revoke(args: RevokeArgs, output: Output) -> Result<()> {
    let device: DeviceId = args.device.parse().map_err(|_| Error::invalid("DEVICE", "it must have 32 hex digits"))?;
    if !args.yes {
        let why = "give --yes to shut it out for good; a machine with the hospital's keys can be enrolled anew";
        return Err(Error::NotConfirmed { what: "the revocation", why: why.to_owned() });
    }
    let session = Session::open(&args.site).await?;
    let revoked = session.client.revoke_device(device).await;
    session.finish(revoked.map_err(Error::client(format!("revoke device {device}")))).await?;
    let answer = json!({ "device": device.to_string(), "revoked": true });
    output.answer(&answer, || {
        format!(
            "device {device} is revoked\nWhoever has it still has what its key file holds: if that can be opened, split anew \
             and count the names and records as seen."
        )
    })
}
