//! `shosoin share`: records that one hospital of a vault lets another read, on a patient's consent.

use crate::args::SiteArgs;
use crate::commands::retention::SelectArgs;
use crate::error::{Error, Result};
use crate::files;
use crate::hospital::HospitalDir;
use crate::output::Output;
use crate::partial::Partial;
use crate::progress::Progress;
use crate::session::Session;
use crate::text::{parse_time, time};
use clap::{Args, Subcommand};
use futures::StreamExt as _;
use serde_json::{Value, json};
use shosoin_client::{Client, Granting, Share, SharedObject};
use shosoin_protocol::act::{ShareKem, SharePurpose, UnshareReason};
use shosoin_protocol::share::{Offer, ShareCard};
use shosoin_protocol::{HospitalId, VersionId};
use std::path::PathBuf;

/// Folder of the cards of hospitals that were compared, in the hospital's folder.
const PARTNERS: &str = "partners";

/// Commands about sharing.
#[derive(Debug, Subcommand)]
pub enum ShareCommand {
    /// Write this hospital's card: what others need to share with it, or to know what it shares
    #[command(after_help = "Example:\n  shosoin share card --dir ./hospital --out ./hospital-a.card")]
    Card(CardArgs),
    /// Trust another hospital's card, once its fingerprint was compared by another way than the card came
    #[command(after_help = "Example:\n  \
        shosoin share trust ./hospital-b.card --fingerprint \"1f3c 99ab ...\" --dir ./hospital")]
    Trust(TrustArgs),
    /// Let a trusted hospital read records, for a purpose, until a moment, on a patient's consent
    #[command(after_help = "Example:\n  \
        shosoin share grant charts 2026/0001.pdf --to 77ab12... --purpose opinion --consent 5f0c8a... \\\n    \
        --until 2026-12-31 --dir ./hospital")]
    Grant(GrantArgs),
    /// What this hospital grants, and what is granted to it
    #[command(after_help = "Example:\n  shosoin share list --dir ./hospital --json")]
    List(ListArgs),
    /// Accept what a trusted hospital grants: from now on the vault gives it
    #[command(after_help = "Example:\n  shosoin share accept 018f3c... --dir ./hospital")]
    Accept(AcceptArgs),
    /// Fetch and open a record that was granted and accepted
    #[command(after_help = "Example:\n  \
        shosoin share get 018f3c... 018f2b... --out ./0001.pdf --dir ./hospital")]
    Get(GetArgs),
    /// End a grant, or the acceptance of one: from now on the vault gives nothing of it any more
    #[command(after_help = "Example:\n  \
        shosoin share revoke 018f3c... --reason consent-withdrawn --dir ./hospital")]
    Revoke(RevokeArgs),
}

/// Arguments of `share card`.
#[derive(Debug, Args)]
pub struct CardArgs {
    /// Where to; the file must not exist
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// How keys are to be sealed to this hospital: x25519, p256, or x-wing, which stays good if either X25519 or ML-KEM-768
    /// does [default: x25519, in suite 2 p256]
    #[arg(long, value_name = "KEM", value_parser = parse_kem)]
    kem: Option<ShareKem>,
    #[command(flatten)]
    site: SiteArgs,
}

/// Arguments of `share trust`.
#[derive(Debug, Args)]
pub struct TrustArgs {
    /// The card
    card: PathBuf,
    /// Fingerprint of that hospital, as its `keyring show` prints it and somebody there reads it out
    #[arg(long, value_name = "HEX")]
    fingerprint: String,
    #[command(flatten)]
    site: SiteArgs,
}

/// Arguments of `share grant`.
#[derive(Debug, Args)]
pub struct GrantArgs {
    #[command(flatten)]
    select: SelectArgs,
    /// The hospital, whose card is trusted
    #[arg(long, value_name = "ID", value_parser = super::jobs::parse_id::<HospitalId>)]
    to: HospitalId,
    /// treatment, transfer, opinion, patient-request, emergency, research or other
    #[arg(long, value_name = "PURPOSE", value_parser = parse_purpose)]
    purpose: SharePurpose,
    /// Reference of the patient's consent in this hospital's own files: 32 hex digits that say nothing of the patient
    #[arg(long, value_name = "ID", value_parser = parse_consent)]
    consent: Consent,
    /// Until when: a day or a moment
    #[arg(long, value_name = "TIME", value_parser = parse_until)]
    until: u64,
    #[command(flatten)]
    site: SiteArgs,
}

/// A reference of a consent.
#[derive(Debug, Clone, Copy)]
struct Consent([u8; 16]);

/// Arguments of `share list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    site: SiteArgs,
}

/// Arguments of `share accept`.
#[derive(Debug, Args)]
pub struct AcceptArgs {
    /// Id of the grant, as `share list` shows it
    #[arg(value_parser = super::jobs::parse_id::<VersionId>)]
    grant: VersionId,
    #[command(flatten)]
    site: SiteArgs,
}

/// Arguments of `share get`.
#[derive(Debug, Args)]
pub struct GetArgs {
    /// Id of the grant, as `share list` shows it
    #[arg(value_parser = super::jobs::parse_id::<VersionId>)]
    grant: VersionId,
    /// Id of the version, one of those that `share list` shows
    #[arg(value_parser = super::jobs::parse_id::<VersionId>)]
    version: VersionId,
    /// Where to; the file must not exist
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    site: SiteArgs,
}

/// Arguments of `share revoke`.
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// Id of the grant
    #[arg(value_parser = super::jobs::parse_id::<VersionId>)]
    grant: VersionId,
    /// consent-withdrawn, done, mistake, declined or other
    #[arg(long, value_name = "REASON", value_parser = parse_reason)]
    reason: UnshareReason,
    #[command(flatten)]
    site: SiteArgs,
}

fn parse_kem(name: &str) -> Result<ShareKem, String> {
    ShareKem::parse(name).ok_or_else(|| "it is x25519, p256 or x-wing".to_owned())
}

fn parse_purpose(name: &str) -> Result<SharePurpose, String> {
    let words = "it is treatment, transfer, opinion, patient-request, emergency, research or other";
    SharePurpose::parse(name).ok_or_else(|| words.to_owned())
}

fn parse_reason(name: &str) -> Result<UnshareReason, String> {
    UnshareReason::parse(name).ok_or_else(|| "it is consent-withdrawn, done, mistake, declined or other".to_owned())
}

fn parse_consent(text: &str) -> Result<Consent, String> {
    let mut id = [0; 16];
    match hex::decode_to_slice(text, &mut id) {
        Ok(()) if id != [0; 16] => Ok(Consent(id)),
        _ => Err("it must be 32 hex digits, not all zero".to_owned()),
    }
}

fn parse_until(text: &str) -> Result<u64, String> {
    parse_time(text).ok_or_else(|| "it must be a day or a moment, as in 2026-12-31".to_owned())
}

/// Runs one of them.
pub async fn run(command: ShareCommand, output: Output) -> Result<()> {
    match command {
        ShareCommand::Card(args) => card(&args, output),
        ShareCommand::Trust(args) => trust(&args, output),
        ShareCommand::Grant(args) => grant(args, output).await,
        ShareCommand::List(args) => list(args, output).await,
        ShareCommand::Accept(args) => accept(args, output).await,
        ShareCommand::Get(args) => get(args, output).await,
        ShareCommand::Revoke(args) => revoke(args, output).await,
    }
}

fn card(args: &CardArgs, output: Output) -> Result<()> {
    let keyring = HospitalDir::of(&args.site)?.open_keyring(&args.site.passphrase)?;
    let card = keyring.share_card(args.kem.unwrap_or(keyring.usual_kem()));
    let card = card.map_err(|error| Error::invalid("card", error.to_string()))?;
    files::create(&args.out, &card)?;
    let (hospital, fingerprint) = (keyring.hospital().to_string(), keyring.hospital_key().public().fingerprint());
    let answer = json!({ "file": args.out, "hospital": hospital, "fingerprint": fingerprint });
    output.answer(&answer, || {
        format!(
            "card of hospital {hospital} in {}\nfingerprint, to be told by another way: {fingerprint}",
            args.out.display()
        )
    })
}

fn trust(args: &TrustArgs, output: Output) -> Result<()> {
    let bytes = std::fs::read(&args.card).map_err(Error::file("read", &args.card))?;
    let card = ShareCard::verify(&bytes);
    let card = card.map_err(|error| Error::invalid(args.card.display().to_string(), error.to_string()))?;
    let digits = |text: &str| text.chars().filter(|c| !matches!(c, ' ' | ':')).collect::<String>().to_lowercase();
    let fingerprint = card.hospital_key.fingerprint();
    if digits(&args.fingerprint) != digits(&fingerprint) {
        let why = format!(
            "the card is of a hospital with fingerprint {fingerprint}: somebody may have put another card in its place; \
             nothing is trusted"
        );
        return Err(Error::NotConfirmed { what: "the fingerprint", why });
    }
    let dir = HospitalDir::of(&args.site)?;
    let hospital = card.hospital.to_string();
    files::create_dir(&dir.root().join(PARTNERS))?;
    let path = partner(&dir, card.hospital);
    if let Some(known) = files::read(&path)? {
        // another KEM of the same hospital takes the place of the one before; another key of it does not
        let same = ShareCard::verify(&known).is_ok_and(|known| known.hospital_key == card.hospital_key);
        if !same {
            let why = format!(
                "another key is trusted for hospital {hospital}: remove {} if that one is wrong",
                path.display()
            );
            return Err(Error::NotConfirmed { what: "the card", why });
        }
    }
    shosoin_client::durable::replace(&path, &bytes).map_err(Error::file("write", &path))?;
    let answer = json!({ "hospital": hospital, "fingerprint": fingerprint, "trusted": true });
    output.answer(&answer, || format!("hospital {hospital} is trusted"))
}

fn partner(dir: &HospitalDir, hospital: HospitalId) -> PathBuf {
    dir.root().join(PARTNERS).join(format!("{hospital}.card"))
}

/// The trusted card of a hospital.
fn trusted(dir: &HospitalDir, hospital: HospitalId) -> Result<ShareCard> {
    let path = partner(dir, hospital);
    let Some(bytes) = files::read(&path)? else {
        let why =
            format!("no card of hospital {hospital} is trusted: compare its fingerprint and run `shosoin share trust`");
        return Err(Error::NotConfirmed { what: "the hospital", why });
    };
    let card =
        ShareCard::verify(&bytes).map_err(|error| Error::invalid(path.display().to_string(), error.to_string()))?;
    match card.hospital == hospital {
        true => Ok(card),
        false => Err(Error::invalid(path.display().to_string(), "it is the card of another hospital")),
    }
}

async fn grant(args: GrantArgs, output: Output) -> Result<()> {
    let card = trusted(&HospitalDir::of(&args.site)?, args.to)?;
    let session = Session::open(&args.site).await?;
    let granted = granted(&session.client, &args, card).await;
    let (grant, versions) = session.finish(granted).await?;
    let answer = json!({
        "grant": grant.to_string(), "to": args.to.to_string(), "versions": versions, "until_ms": args.until,
    });
    output.answer(&answer, || {
        format!(
            "{versions} versions are granted to hospital {} until {}, as grant {grant}\n\
             nothing is given before it has accepted; names and headers of these records show there",
            args.to,
            time(args.until)
        )
    })
}

async fn granted(client: &Client, args: &GrantArgs, card: ShareCard) -> Result<(VersionId, usize)> {
    let versions: Vec<VersionId> =
        args.select.find(client).await?.iter().map(|selected| selected.keeping.version).collect();
    let count = versions.len();
    let granting = Granting { card, purpose: args.purpose, consent: args.consent.0, expires_ms: args.until };
    let stated = client.grant_share(granting, versions).await.map_err(Error::client("grant the records"))?;
    Ok((stated.id, count))
}

async fn list(args: ListArgs, output: Output) -> Result<()> {
    let dir = HospitalDir::of(&args.site)?;
    let session = Session::open(&args.site).await?;
    let listed = listed(&session.client, &dir).await;
    let (rows, left_out) = session.finish(listed).await?;
    for row in &rows {
        output.answer(row, || row_text(row))?;
    }
    if left_out > 0 {
        output.note(&format!("{left_out} older offers are not shown"));
    }
    Ok(())
}

async fn listed(client: &Client, dir: &HospitalDir) -> Result<(Vec<Value>, u32)> {
    let own = client.keyring().hospital();
    let shares = client.shares().map_err(Error::client("list the shares"))?;
    let offers = client.share_offers().await.map_err(Error::client("ask for what is granted"))?;
    let mut rows: Vec<Value> = shares.iter().filter(|share| share.owner == own).map(granted_row).collect();
    rows.extend(offers.offers.iter().map(|offer| offer_row(dir, own, &shares, offer)));
    Ok((rows, offers.left_out))
}

fn granted_row(share: &Share) -> Value {
    let terms = share.terms.as_ref();
    json!({
        "grant": share.grant.to_string(), "direction": "granted",
        "hospital": share.recipient.map(|id| id.to_string()),
        "purpose": terms.map(|terms| terms.purpose.name()), "consent": terms.map(|terms| hex::encode(terms.consent)),
        "until_ms": terms.map(|terms| terms.expires_ms),
        "versions": terms.map(|terms| terms.versions.as_slice().iter().map(ToString::to_string).collect::<Vec<_>>()),
        "state": if share.ended { "ended" } else { "granted" },
    })
}

/// An offer: what it says counts only if the hospital is trusted and really said it.
fn offer_row(dir: &HospitalDir, own: HospitalId, shares: &[Share], offer: &Offer) -> Value {
    let verified = trusted(dir, offer.owner)
        .map_err(|error| error.clauses().join(": "))
        .and_then(|card| offer.verify(&card, own).map_err(|error| error.to_string()));
    let (act, grant) = match verified {
        Ok(verified) => verified,
        Err(why) => {
            return json!({ "direction": "offered", "hospital": offer.owner.to_string(), "state": "not believed", "why": why });
        }
    };
    let accepted = shares.iter().find(|share| share.grant == act.id && share.owner == offer.owner);
    let state = match accepted {
        _ if offer.ended => "ended",
        Some(share) if share.ended => "ended",
        Some(_) => "accepted",
        None => "offered",
    };
    let versions: Vec<String> = grant.terms.versions.as_slice().iter().map(ToString::to_string).collect();
    json!({
        "grant": act.id.to_string(), "direction": "offered", "hospital": offer.owner.to_string(),
        "purpose": grant.terms.purpose.name(), "consent": hex::encode(grant.terms.consent),
        "until_ms": grant.terms.expires_ms, "versions": versions, "state": state,
    })
}

fn row_text(row: &Value) -> String {
    let word = |field: &str| row[field].as_str().unwrap_or("-").to_owned();
    let side = if row["direction"] == "granted" { "to" } else { "from" };
    if let Some(why) = row["why"].as_str() {
        return format!("NOT BELIEVED  from hospital {}: {why}", word("hospital"));
    }
    let until = row["until_ms"].as_u64().map(time).unwrap_or_default();
    let versions = row["versions"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let versions: String = versions.map(|version| format!("\n    version {version}")).collect();
    format!(
        "{}  {side} hospital {}  {}  until {until}  {}{versions}",
        word("grant"),
        word("hospital"),
        word("purpose"),
        word("state")
    )
}

/// The offer of a grant and the trusted card of its owner.
async fn offer(client: &Client, dir: &HospitalDir, grant: VersionId) -> Result<(ShareCard, Offer)> {
    let own = client.keyring().hospital();
    let offers = client.share_offers().await.map_err(Error::client("ask for what is granted"))?;
    let mut untrusted = None;
    for offer in offers.offers {
        match trusted(dir, offer.owner) {
            Ok(card) if offer.verify(&card, own).is_ok_and(|(act, _)| act.id == grant) => return Ok((card, offer)),
            Ok(_) => {}
            Err(error) => untrusted = Some(error),
        }
    }
    Err(untrusted.unwrap_or_else(|| {
        Error::invalid(
            "GRANT",
            format!("no trusted hospital grants this one anything as {grant}: see `shosoin share list`"),
        )
    }))
}

async fn accept(args: AcceptArgs, output: Output) -> Result<()> {
    let dir = HospitalDir::of(&args.site)?;
    let session = Session::open(&args.site).await?;
    let accepted = async {
        let (card, offer) = offer(&session.client, &dir, args.grant).await?;
        let stated = session.client.accept_share(&card, &offer).await;
        stated.map_err(Error::client("accept the grant"))
    };
    let accepted = accepted.await;
    let stated = session.finish(accepted).await?;
    let answer =
        json!({ "grant": args.grant.to_string(), "act": stated.id.to_string(), "leaf_index": stated.leaf_index });
    output.answer(&answer, || format!("grant {} is accepted", args.grant))
}

async fn get(args: GetArgs, output: Output) -> Result<()> {
    if args.out.exists() {
        return Err(Error::invalid("--out", format!("{} exists already", args.out.display())));
    }
    let dir = HospitalDir::of(&args.site)?;
    let session = Session::open(&args.site).await?;
    let fetched = fetched(&session.client, &dir, &args, output).await;
    let answer = session.finish(fetched).await?;
    output.answer(&answer, || format!("{} bytes in {}", answer["size_bytes"], args.out.display()))
}

async fn fetched(client: &Client, dir: &HospitalDir, args: &GetArgs, output: Output) -> Result<Value> {
    let (card, offer) = offer(client, dir, args.grant).await?;
    let object = client.open_shared(&card, &offer, args.version).await;
    let object = object.map_err(Error::client(format!("open shared version {}", args.version)))?;
    let mut file = Partial::open(&args.out, args.version, object.facts().size_bytes)?;
    match to_file(&object, args, &mut file, output).await {
        Ok(()) => file.finish().await?,
        Err(error) => {
            file.discard();
            return Err(error);
        }
    }
    let facts = object.facts();
    Ok(json!({
        "file": args.out, "size_bytes": facts.size_bytes, "bucket": facts.bucket, "name": facts.name,
        "hospital": card.hospital.to_string(), "version": args.version.to_string(),
    }))
}

async fn to_file(object: &SharedObject, args: &GetArgs, file: &mut Partial, output: Output) -> Result<()> {
    let progress = Progress::bytes(output, "fetched", Some(object.facts().size_bytes));
    let mut kept = usize::try_from(file.kept_bytes()).unwrap_or(usize::MAX); // by a try that was killed
    let mut pieces = std::pin::pin!(object.read());
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(Error::client(format!("get shared version {}", args.version)))?;
        let fresh = piece.slice(kept.min(piece.len())..);
        kept = kept.saturating_sub(piece.len());
        file.write(&fresh).await?;
        progress.add(piece.len() as u64);
    }
    Ok(())
}

async fn revoke(args: RevokeArgs, output: Output) -> Result<()> {
    let session = Session::open(&args.site).await?;
    let ended = session.client.end_share(args.grant, args.reason).await;
    let stated = session.finish(ended.map_err(Error::client("end the share"))).await?;
    let answer = json!({
        "grant": args.grant.to_string(), "act": stated.id.to_string(), "leaf_index": stated.leaf_index,
        "cannot_be_undone": "what was fetched before may have been copied, and its data keys may have been kept",
    });
    output.answer(&answer, || {
        format!(
            "grant {} has ended: from now on the vault gives nothing of it\n\
             What this cannot undo: the other hospital may have kept what it fetched, and the data keys of these versions. \
             Only a vault that breaks its word could give it the sealed records again; whoever must be sure of that stores \
             the records anew and orders the disposal of these versions.",
            args.grant
        )
    })
}
