//! Persons: their keys, and what they agree to with them.

use super::hospital::person_key;
use crate::error::{Error, Result};
use crate::files;
use crate::operator;
use crate::output::Output;
use crate::passphrase::PassphraseArgs;
use crate::text::time;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use shosoin_client::now_ms;
use shosoin_keyring::{Argon2Params, person};
use shosoin_protocol::act::{ActKind, Document, Order, Scope};
use shosoin_protocol::approval::{Approval, ApprovalFile, ApprovedOrder};
use shosoin_protocol::{LogId, Suite, VersionId};
use shosoin_store::disposal::DisposalCommand;
use std::path::PathBuf;

/// Commands about a person's own key.
#[derive(Debug, Subcommand)]
pub enum ApproverCommand {
    /// Make a key of one's own, under a passphrase that nobody else knows
    #[command(after_help = "Example:\n  shosoin approver key --out hanako.key")]
    Key(KeyArgs),
    /// The public half of a key, for the account of the person
    #[command(after_help = "Example:\n  shosoin approver show hanako.key --json")]
    Show(ShowArgs),
}

/// Arguments of `approver key`.
#[derive(Debug, Args)]
pub struct KeyArgs {
    /// File to make
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// With P-256 in place of Ed25519, for hospitals of suite 2
    #[arg(long)]
    p256: bool,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

/// Arguments of `approver show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Key file of the person
    key: PathBuf,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

/// Arguments of `dispose approve`.
#[derive(Debug, Args)]
pub struct ApproveArgs {
    /// Folder of the vault, where it is at hand
    #[arg(long, value_name = "DIR", required_unless_present = "order_file")]
    dir: Option<PathBuf>,
    /// The order, by its id
    #[arg(long, value_name = "ID", requires = "dir", conflicts_with_all = ["order_file", "approval"])]
    order: Option<String>,
    /// The order as `dispose status --export` wrote it
    #[arg(long, value_name = "FILE", requires = "out", conflicts_with = "approval")]
    order_file: Option<PathBuf>,
    /// An approval that was signed elsewhere: hand it in
    #[arg(long, value_name = "FILE", requires = "dir")]
    approval: Option<PathBuf>,
    /// Key file of the person who approves
    #[arg(long, value_name = "FILE", required_unless_present = "approval")]
    key: Option<PathBuf>,
    /// Write the approval here in place of handing it in
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

/// Makes or shows a key.
pub fn approver(command: ApproverCommand, output: Output) -> Result<()> {
    match command {
        ApproverCommand::Key(KeyArgs { out, p256, passphrase }) => {
            let suite = if p256 { Suite::Cryptrec } else { Suite::Default };
            let passphrase = passphrase.read_new()?;
            let made = person::generate(suite, passphrase.as_bytes(), Argon2Params::default());
            let (key, file) = made.map_err(Error::key_file("make", &out))?;
            files::create(&out, &file)?;
            shown(&key.public(), output)
        }
        ApproverCommand::Show(ShowArgs { key, passphrase }) => shown(&person_key(&key, passphrase)?.public(), output),
    }
}

fn shown(key: &shosoin_protocol::sign::PublicKey, output: Output) -> Result<()> {
    let answer = json!({ "key": key.to_string(), "fingerprint": key.fingerprint() });
    output.answer(&answer, || format!("public key  {key}\nfingerprint {}", key.fingerprint()))
}

/// Signs an approval, or hands one in.
pub async fn run(args: ApproveArgs, output: Output) -> Result<()> {
    let ApproveArgs { dir, order, order_file, approval, key, out, passphrase } = args;
    if let (Some(dir), Some(approval)) = (&dir, approval) {
        let bytes = std::fs::read(&approval).map_err(Error::file("read", approval))?;
        return hand_in(dir, &bytes, output).await;
    }
    let shown = match (&dir, &order, order_file) {
        (_, _, Some(path)) => {
            let bytes = std::fs::read(&path).map_err(Error::file("read", path))?;
            serde_json::from_slice(&bytes).map_err(|error| Error::invalid("order", error.to_string()))?
        }
        (Some(dir), Some(_), None) => {
            let found = operator::disposal(dir, "look at the order", &DisposalCommand::Status { order }).await?;
            found["orders"][0].clone()
        }
        _ => return Err(Error::invalid("--order", "name the order, or give --order-file or --approval")),
    };
    let (approved, order) = checked(&shown)?;
    output.note(&order_text(&shown, &order));
    let key = key.ok_or_else(|| Error::invalid("--key", "give the key file of the person who approves"))?;
    let key = person_key(&key, passphrase)?;
    let approval = Approval::sign(&approved, now_ms(), &key);
    let bytes = ApprovalFile { order: approved, approval }.encode();
    match (out, dir) {
        (Some(out), _) => {
            files::create(&out, &bytes)?;
            let answer = json!({ "order": approved.order.to_string(), "approval": out });
            output.answer(&answer, || format!("signed; hand {} in at the vault", out.display()))
        }
        (None, Some(dir)) => hand_in(&dir, &bytes, output).await,
        (None, None) => Err(Error::invalid("--out", "name a file for the approval")),
    }
}

async fn hand_in(dir: &std::path::Path, bytes: &[u8], output: Output) -> Result<()> {
    let command = DisposalCommand::Approve { approval: hex::encode(bytes) };
    let taken = operator::disposal(dir, "hand the approval in", &command).await?;
    output.answer(&taken, || {
        let word = |field: &str| taken[field].as_str().unwrap_or("-").to_owned();
        format!("order {} is approved by {}", word("order"), word("person"))
    })
}

/// The order that was shown, held against itself: its document is the one that is signed, and whoever asked signed it for this
/// ledger.
fn checked(shown: &Value) -> Result<(ApprovedOrder, Order)> {
    let wrong = |why: &str| Error::invalid("order", why.to_owned());
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(|| wrong("a field of it is missing"));
    let to_approve = &shown["to_approve"];
    if to_approve.is_null() {
        return Err(wrong("it does not wait for approvals"));
    }
    let bad = |error: shosoin_protocol::Error| Error::invalid("order", error.to_string());
    let id: VersionId = text(&shown["order"])?.parse().map_err(bad)?;
    let log: LogId = text(&to_approve["log"])?.parse().map_err(bad)?;
    let approved = ApprovedOrder {
        log,
        order: id,
        leaf: text(&to_approve["leaf"])?.parse().map_err(bad)?,
        document: text(&to_approve["document"])?.parse().map_err(bad)?,
    };
    let bytes = hex::decode(text(&to_approve["bytes"])?).map_err(|_| wrong("its document is no hex"))?;
    let suite = to_approve["suite"].as_u64().and_then(|suite| u8::try_from(suite).ok()).unwrap_or(0);
    Suite::try_from(suite).and_then(|suite| suite.verify(&approved.document, &bytes)).map_err(bad)?;
    match Document::decode(ActKind::DisposalOrder, &bytes).map_err(bad)? {
        Document::DisposalOrder(order) => order.verify(log, id).map_err(bad).map(|()| (approved, order)),
        _ => Err(wrong("its document is no order")),
    }
}

fn order_text(shown: &Value, order: &Order) -> String {
    let what = match &order.scope {
        Scope::These(items) => format!("{} entries, the first at leaf {}", items.len(), items[0].leaf_index),
        Scope::Everything { log_size, .. } => format!("everything below leaf {log_size}"),
    };
    let obstacles = shown["obstacles"].as_array().map_or(0, Vec::len);
    format!(
        "order {}\n  {what}\n  reason {}\n  asked for by {}\n  expires {}\n  obstacles known to the vault now: {obstacles}",
        shown["order"].as_str().unwrap_or("-"),
        order.reason.name(),
        order.requester.fingerprint(),
        time(order.expires_ms)
    )
}
