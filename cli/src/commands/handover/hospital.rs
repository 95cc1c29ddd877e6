//! What the hospital does about a hand-over: it orders one, looks at what arrived, confirms, and goes on at the next vault.
//!
//! `confirm` can be given again after anything that stopped it: it follows from where it was, looks again, and states only what
//! is not in a ledger yet. What the hospital's folder says of its vault is replaced last, by one rename.

use crate::args::SiteArgs;
use crate::error::{Error, Result};
use crate::files;
use crate::hospital::{GatewayConfig, HospitalDir, parse_pin};
use crate::lock::Lock;
use crate::output::Output;
use crate::progress::Progress;
use crate::session::Session;
use clap::Args;
use serde_json::json;
use shosoin_client::{
    Client, ClientOptions, HandoverOrder, HttpOptions, HttpTransport, Look, Transport as _, Unsound, Wanted,
};
use shosoin_protocol::act::handover::key_digest;
use shosoin_protocol::act::{Document, HandOverWord};
use shosoin_protocol::sign::PublicKey;
use shosoin_protocol::{Digest, VaultId};
use std::path::PathBuf;
use std::sync::Arc;

/// Arguments of `handover order`.
#[derive(Debug, Args)]
pub struct OrderArgs {
    /// The vault that is to receive, as `vault status` there shows it
    #[arg(long, value_name = "ID", value_parser = super::super::jobs::parse_id::<VaultId>)]
    receiver: VaultId,
    /// Fingerprint of its key of this hospital's suite, as its operator tells it by another way than the package will go
    #[arg(long, value_name = "HEX")]
    fingerprint: String,
    /// Do it: without this it is only said what would happen
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    site: SiteArgs,
}

/// Arguments of `handover confirm`.
#[derive(Debug, Args)]
pub struct ConfirmArgs {
    /// Where the vault is that has received everything, as in `https://vault.example:7443`
    #[arg(long, value_name = "URL")]
    to_url: String,
    /// SHA-256 of its TLS key, in hex, as its operator tells it
    #[arg(long, value_name = "HEX")]
    to_pin: String,
    /// Look at a sample that is this sure to find damage, if there is as much as --damage says [default: look at everything]
    #[arg(long, value_name = "P", requires = "damage")]
    confidence: Option<f64>,
    /// Fraction of all versions whose damage must not go unnoticed
    #[arg(long, value_name = "F", requires = "confidence")]
    damage: Option<f64>,
    #[command(flatten)]
    site: SiteArgs,
}

/// States the order.
pub async fn order(args: OrderArgs, output: Output) -> Result<()> {
    let receiver_key = fingerprint(&args.fingerprint)?;
    if !args.yes {
        let why = "give --yes to end the ledger at this vault: once its operator has closed the package, it takes no record any \
                   more, and the vault named goes on";
        return Err(Error::NotConfirmed { what: "the hand-over", why: why.to_owned() });
    }
    let session = Session::open(&args.site).await?;
    let stated = session.client.order_handover(args.receiver, receiver_key).await;
    let stated = session.finish(stated.map_err(Error::client("order the hand-over"))).await?;
    let receiver = args.receiver.to_string();
    let answer = json!({ "order": stated.id.to_string(), "leaf_index": stated.leaf_index, "receiver": receiver });
    output.answer(&answer, || {
        format!(
            "ordered as act {} at leaf {}: hand everything over to vault {receiver}\n\
             next: the operator runs `handover export --close`, the receiving one `handover import`, you `handover confirm`",
            stated.id, stated.leaf_index
        )
    })
}

/// Follows, looks, and states the confirmation in both ledgers: in the next one first, so that what the former vault is shown
/// is true.
pub async fn confirm(args: ConfirmArgs, output: Output) -> Result<()> {
    let wanted = args.confidence.zip(args.damage).map(|(confidence, damage)| Wanted { confidence, damage });
    let order = standing_order(&args.site).await?;
    let next = Next::reach(&args, &order).await?;
    let word = word_at(&next.client, &order, wanted, output).await;
    let closed = next.client.close().await.map_err(Error::client("close the state at the next vault"));
    let word = word?;
    closed?;
    tell_former(&args.site, &order, &word).await?;
    next.remember()?;
    let looked = word.looked;
    let answer = json!({
        "receiver": order.receiver.to_string(), "versions": looked.versions, "of": looked.of,
        "confidence_ppm": looked.confidence_ppm, "bad_ppm": looked.bad_ppm,
        "config": next.hospital.config(), "state": next.state,
    });
    output.answer(&answer, || {
        format!(
            "{} of {} versions were fetched, opened and compared at vault {}\n\
             confirmed in both ledgers; this hospital's folder reaches that vault from now on, with the state in {}\n\
             the former vault keeps what it has until you order its disposal there",
            looked.versions,
            looked.of,
            order.receiver,
            next.state.display()
        )
    })
}

/// The order in the former vault's ledger, caught up with what other machines did last: that must have arrived, too.
async fn standing_order(site: &SiteArgs) -> Result<HandoverOrder> {
    let session = Session::open(site).await?;
    let keeper = session.client.head().map(|head| head.vault);
    let order = session.client.handover_order().map_err(Error::client("look for the order"));
    let order = session.finish(order).await?;
    let refuse = |why| Err(Error::invalid("hand-over", why));
    match order {
        None => refuse("this hospital has not ordered one: `shosoin handover order` does"),
        Some(order) if keeper == Some(order.receiver) => refuse("this hospital's folder reaches that vault already"),
        Some(order) => Ok(order),
    }
}

/// The word that confirms, once it is in the next vault's ledger.
async fn word_at(next: &Client, order: &HandoverOrder, wanted: Option<Wanted>, output: Output) -> Result<HandOverWord> {
    let stated = next.handover_confirmed(order).map_err(Error::client("look for the confirmation"))?;
    if let Some((_, word)) = stated {
        return Ok(word);
    }
    let progress = Progress::count(output, "versions", None);
    let look = next.look(wanted, |done, all| progress.set(done, all)).await;
    drop(progress);
    let Look { looked, unsound } = look.map_err(Error::client("look at what arrived"))?;
    if !unsound.is_empty() {
        return Err(refused(&unsound, output)?);
    }
    let word = next.handover_word(looked).map_err(Error::client("confirm the hand-over"))?;
    state(next, &word).await?;
    Ok(word)
}

/// States the same at the former vault, unless that was done.
async fn tell_former(site: &SiteArgs, order: &HandoverOrder, word: &HandOverWord) -> Result<()> {
    let session = Session::open(site).await?;
    let there = session.client.handover_confirmed(order).map_err(Error::client("look for the confirmation"));
    let told = match there {
        Ok(None) => state(&session.client, word).await,
        Ok(Some(_)) => Ok(()),
        Err(error) => Err(error),
    };
    session.finish(told).await
}

async fn state(client: &Client, word: &HandOverWord) -> Result<()> {
    let stated = client.state(None, Document::HandOverWord(Box::new(word.clone()))).await;
    stated.map(drop).map_err(Error::client("state the confirmation"))
}

/// Says what does not hold; nothing is confirmed.
fn refused(unsound: &[Unsound], output: Output) -> Result<Error> {
    for Unsound { bucket, name, version, error } in unsound {
        let (kind, why, version) = (error.kind().name(), error.to_string(), version.to_string());
        let answer = json!({ "bucket": bucket, "name": name, "version": version, "kind": kind, "failure": why });
        output.answer(&answer, || format!("FAILED  {bucket}/{name} version {version}: {why}"))?;
    }
    Ok(Error::Damage {
        count: unsound.len() as u64,
        what: "versions do not hold at the receiving vault: nothing is confirmed, the former vault keeps everything",
    })
}

/// The hospital's side at the vault that has received everything.
struct Next {
    client: Client,
    hospital: HospitalDir,
    config: GatewayConfig,
    state: PathBuf,
    _lock: Lock,
}

impl Next {
    async fn reach(args: &ConfirmArgs, order: &HandoverOrder) -> Result<Next> {
        let hospital = HospitalDir::of(&args.site)?;
        let keyring = hospital.open_keyring(&args.site.passphrase)?;
        let before = GatewayConfig::load(&hospital)?;
        let former = before.state_dir(&hospital, args.site.state.as_deref());
        let name = PathBuf::from(format!("at-{}", order.receiver));
        let state = hospital.root().join(&name);
        files::create_dir(&state)?;
        let lock = Lock::take(&state)?;
        let pin = parse_pin(&args.to_pin)?;
        let http = HttpOptions::new(&args.to_url, pin, keyring.tls_certificate_der(), keyring.tls_key_der());
        let task = || format!("reach the vault at {}", args.to_url);
        let transport = Arc::new(HttpTransport::new(http).map_err(Error::client(task()))?);
        let hello = transport.hello().await.map_err(Error::client(task()))?;
        let vault_key = ordered(&hello.vault, &hello.vault_key, order)?;
        let options = hospital.client_options(&keyring, state.clone(), args.site.require_witnesses)?;
        let options = ClientOptions { vault_key: Some(vault_key), ..options };
        let client = match state.join("head").exists() {
            true => Client::open(options, keyring, transport).await,
            false => Client::follow(options, keyring, transport, &former).await,
        };
        let client = client.map_err(Error::client("follow the ledger to the next vault"))?;
        let config = GatewayConfig {
            vault_url: Some(args.to_url.clone()),
            vault_pin: Some(hex::encode(pin)),
            state: Some(name),
            ..before
        };
        Ok(Next { client, hospital, config, state, _lock: lock })
    }

    /// From now on the hospital's folder reaches this vault.
    fn remember(&self) -> Result<()> {
        self.config.replace(&self.hospital)
    }
}

/// The key of a vault, if it is the vault and the key that were ordered.
fn ordered(vault: &str, key: &str, order: &HandoverOrder) -> Result<PublicKey> {
    let key: PublicKey = key.parse().map_err(|_| Error::invalid("answer of the vault", "its key is none"))?;
    let refuse = |what: &str, expected: String, found: String| {
        let why = format!("it is {found}, the order names {expected}: ask both operators who it is");
        Err(Error::invalid(what, why))
    };
    let expected = order.receiver.to_string();
    if expected != vault {
        return refuse("receiving vault", expected, vault.to_owned());
    }
    match key_digest(&key) {
        digest if digest == order.receiver_key => Ok(key),
        digest => refuse("key of the receiving vault", order.receiver_key.to_string(), digest.to_string()),
    }
}

/// A fingerprint as people copy it.
fn fingerprint(text: &str) -> Result<Digest> {
    let digits: String = text.chars().filter(|c| !matches!(c, ' ' | ':')).collect();
    digits.parse().map_err(|_| {
        Error::invalid(
            "--fingerprint",
            "it must be 64 hex digits, as `shosoin vault status` at the receiving vault shows it",
        )
    })
}
