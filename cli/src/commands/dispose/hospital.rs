//! The hospital's side: ordering, and taking back.

use crate::args::SiteArgs;
use crate::commands::retention::{SelectArgs, acts};
use crate::error::{Error, Result};
use crate::files;
use crate::output::Output;
use crate::passphrase::PassphraseArgs;
use crate::session::Session;
use clap::Args;
use serde_json::json;
use shosoin_client::{OrderOptions, OrderStated};
use shosoin_keyring::person;
use shosoin_protocol::VersionId;
use shosoin_protocol::act::DisposalReason;
use shosoin_protocol::sign::SigningKey;
use std::path::{Path, PathBuf};

/// Arguments of `dispose request`.
#[derive(Debug, Args)]
pub struct RequestArgs {
    #[command(flatten)]
    select: SelectArgs,
    /// Of these only what has expired and is not on hold
    #[arg(long)]
    due: bool,
    /// Everything the hospital has at this vault, at the end of the contract
    #[arg(long, conflicts_with_all = ["bucket", "id", "due"])]
    everything: bool,
    /// Act by which the hospital confirmed that everything was handed over
    #[arg(long, value_name = "ID", requires = "everything")]
    hand_over: Option<String>,
    /// The hospital signs that nothing need be handed over
    #[arg(long, requires = "everything", conflicts_with = "hand_over")]
    no_hand_over: bool,
    /// Key file of the person who asks, made with `shosoin approver key`
    #[arg(long, value_name = "FILE")]
    requester: PathBuf,
    /// File with that person's passphrase [default: asked for]
    #[arg(long, value_name = "FILE")]
    requester_passphrase_file: Option<PathBuf>,
    /// retention-ended, contract-ended, subject-request, deposited-in-error or other
    #[arg(long, value_name = "REASON", value_parser = parse_reason)]
    reason: DisposalReason,
    /// Days between the last approval and the end, if more than the vault's
    #[arg(long, value_name = "DAYS", default_value_t = 0)]
    cool_down_days: u16,
    /// Days that the order stands
    #[arg(long, value_name = "DAYS", default_value_t = 90)]
    stands_days: u16,
    #[command(flatten)]
    site: SiteArgs,
}

/// Arguments of `dispose cancel`.
#[derive(Debug, Args)]
pub struct CancelArgs {
    /// The order, by the id of its act
    order: String,
    #[command(flatten)]
    site: SiteArgs,
}

fn parse_reason(name: &str) -> Result<DisposalReason, String> {
    let names = || DisposalReason::ALL.iter().map(|reason| reason.name()).collect::<Vec<_>>().join(", ");
    DisposalReason::parse(name).ok_or_else(|| format!("it is one of {}", names()))
}

/// Opens a person's key file.
pub fn person_key(path: &Path, passphrase: PassphraseArgs) -> Result<SigningKey> {
    let Some(bytes) = files::read(path)? else { return Err(Error::NoKeyFile { path: path.to_owned() }) };
    let passphrase = passphrase.read(Path::new(""))?;
    person::open(&bytes, passphrase.as_bytes()).map_err(Error::key_file("open", path))
}

/// Orders.
pub async fn request(args: RequestArgs, output: Output) -> Result<()> {
    let passphrase_file = args.requester_passphrase_file.clone();
    let passphrase = PassphraseArgs { passphrase_file, ..PassphraseArgs::default() };
    let requester = person_key(&args.requester, passphrase)?;
    if args.everything && args.hand_over.is_none() && !args.no_hand_over {
        let why = "name the confirmed hand-over with --hand-over, or sign with --no-hand-over that none is needed";
        return Err(Error::NotConfirmed { what: "the end of everything", why: why.into() });
    }
    let hand_over = args.hand_over.as_deref().map(parse_id).transpose()?;
    let selection = (!args.everything).then(|| args.select.selection()).transpose()?;
    let session = Session::open(&args.site).await?;
    let options = OrderOptions {
        reason: args.reason,
        cool_down_days: args.cool_down_days,
        stands_days: args.stands_days,
        requester: &requester,
    };
    let ordered = match &selection {
        None => session.client.order_exit(hand_over, &options).await.map(|one| vec![one]),
        Some(selection) => session.client.order_disposal(selection, args.due, &options).await,
    };
    let ordered = session.finish(ordered.map_err(Error::client("order the disposal"))).await?;
    for OrderStated { stated, entries, deposits } in &ordered {
        let answer = json!({
            "order": stated.id.to_string(), "entries": entries, "deposits": deposits,
            "acts": acts(std::slice::from_ref(stated)),
        });
        output.answer(&answer, || {
            format!(
                "order {} names {entries} entries, {deposits} of them deposits; two people must approve it",
                stated.id
            )
        })?;
    }
    Ok(())
}

fn parse_id(text: &str) -> Result<VersionId> {
    text.parse().map_err(|_| Error::invalid("id", format!("{text} has not 32 hex digits")))
}

/// Takes an order back.
pub async fn cancel(args: CancelArgs, output: Output) -> Result<()> {
    let order = parse_id(&args.order)?;
    let session = Session::open(&args.site).await?;
    let cancelled = session.client.cancel_disposal(order).await;
    let stated = session.finish(cancelled.map_err(Error::client("take the order back"))).await?;
    let answer = json!({ "cancelled": order.to_string(), "acts": acts(std::slice::from_ref(&stated)) });
    output.answer(&answer, || format!("order {order} is taken back, on the record as {}", stated.id))
}
