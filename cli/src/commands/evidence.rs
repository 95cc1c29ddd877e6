//! `shosoin evidence`: judge evidence offline, with public keys alone, and keep its timestamps good.

use super::timestamp;
use crate::error::{Error, Result};
use crate::hospital::{GatewayConfig, HospitalDir, read_anchors};
use crate::output::Output;
use crate::text::time;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use shosoin_client::timestamp::{Authorities, TIMESTAMPS, save, timestamps};
use shosoin_client::{now_ms, pinned_vault};
use shosoin_protocol::Suite;
use shosoin_protocol::api::Enrolment;
use shosoin_protocol::evidence::{Against, Evidence, Keys, Verdict};
use shosoin_protocol::note::VerifierKey;
use shosoin_protocol::sign::PublicKey;
use shosoin_trust::timestamp::Timestamped;
use shosoin_trust::{Anchors, HashName};
use std::path::{Path, PathBuf};

/// Commands about evidence.
#[derive(Debug, Subcommand)]
pub enum EvidenceCommand {
    /// Say exactly what evidence proves, and against whom, and what it does not
    #[command(after_help = "Examples:\n  \
        shosoin evidence verify --dir ./hospital ./hospital/evidence/fork-0123456789abcdef.txt\n  \
        shosoin evidence verify fork.txt --vault-key 01ab... --hospital-key 01cd... --json")]
    Verify(VerifyArgs),
    /// Have an authority timestamp evidence that has no timestamp, or whose last one ends soon
    #[command(after_help = "Examples:\n  \
        shosoin evidence renew --dir ./hospital                    # everything in `timestamps` and `evidence` that is due\n  \
        shosoin evidence renew --dir ./hospital --within-days 400 --hash sha512 ./hospital/timestamps/head-....txt")]
    Renew(RenewArgs),
    /// Show the public keys that others need to judge evidence
    #[command(after_help = "Example:\n  shosoin evidence keys --dir ./hospital")]
    Keys(KeysArgs),
}

/// Arguments of `evidence verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Files with evidence
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    keys: KeyArgs,
    #[command(flatten)]
    anchors: AnchorArgs,
    /// Weakest suite that the hospital accepted: 1 or 2 [default: the suite of the vault's key]
    #[arg(long, value_name = "SUITE")]
    least_suite: Option<u8>,
}

/// Who says what time it is. Without any, timestamps are counted and not judged.
#[derive(Debug, Args)]
struct AnchorArgs {
    /// File with the certificates that timestamps must lead to [default: with --dir, those of gateway.toml]
    #[arg(long, value_name = "FILE", requires = "fingerprints")]
    anchors: Option<PathBuf>,
    /// SHA-256 of each of them, in hex, as you know it by another way
    #[arg(long = "fingerprint", value_name = "HEX", requires = "anchors")]
    fingerprints: Vec<String>,
}

/// Arguments of `evidence renew`.
#[derive(Debug, Args)]
pub struct RenewArgs {
    /// Files [default: all in the folders `timestamps` and `evidence`]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Folder of the hospital, or of a site made by `up`: which authorities it trusts
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// What is due: the certificate of the last timestamp ends within so many days
    #[arg(long, value_name = "DAYS", default_value_t = 180)]
    within_days: u32,
    /// Over which digest: sha256, sha384 or sha512
    #[arg(long, value_name = "HASH", default_value = "sha512")]
    hash: String,
}

/// Which keys judge. Nothing is taken from the evidence.
#[derive(Debug, Args)]
struct KeyArgs {
    /// Folder of a hospital, or of a site made by `up`: its pinned vault key and its own key
    #[arg(long, value_name = "DIR", required_unless_present = "vault_key")]
    dir: Option<PathBuf>,
    /// Key of the vault that signs heads and receipts, in hex, as `evidence keys` shows it
    #[arg(long, value_name = "HEX")]
    vault_key: Option<String>,
    /// Key of the hospital, in hex; without it devices and attestations are not judged
    #[arg(long, value_name = "HEX")]
    hospital_key: Option<String>,
}

/// Arguments of `evidence keys`.
#[derive(Debug, Args)]
pub struct KeysArgs {
    /// Folder of the hospital, or of a site made by `up`
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

/// Runs one of them.
pub async fn run(command: EvidenceCommand, output: Output) -> Result<()> {
    match command {
        EvidenceCommand::Verify(args) => verify(&args, output),
        EvidenceCommand::Renew(args) => renew(&args, output).await,
        EvidenceCommand::Keys(args) => keys(&args, output),
    }
}

impl KeyArgs {
    fn read(&self) -> Result<(PublicKey, Option<PublicKey>)> {
        let parsed = |what: &'static str, text: &String| {
            text.parse::<PublicKey>().map_err(|error| Error::invalid(what, error.to_string()))
        };
        let own = self.dir.as_ref().map(|dir| OwnKeys::read(&HospitalDir::in_site(dir))).transpose()?;
        let vault_key = self.vault_key.as_ref().map(|text| parsed("--vault-key", text)).transpose()?;
        let hospital_key = self.hospital_key.as_ref().map(|text| parsed("--hospital-key", text)).transpose()?;
        let (own_vault, own_hospital) = own.map_or((None, None), |own| (own.vault, Some(own.hospital)));
        let missing = || Error::invalid("--vault-key", "no vault was met from this folder yet: give its key");
        Ok((vault_key.or(own_vault).ok_or_else(missing)?, hospital_key.or(own_hospital)))
    }
}

/// What a hospital's folder knows of keys that anyone may know.
struct OwnKeys {
    /// the vault's key, pinned, if one was met
    vault: Option<PublicKey>,
    hospital: PublicKey,
    /// the vault's key under the origin of the ledger, as witnesses want it
    log: Option<VerifierKey>,
}

impl OwnKeys {
    fn read(dir: &HospitalDir) -> Result<Self> {
        let enrolment = std::fs::read(dir.enrolment()).map_err(Error::file("read", dir.enrolment()))?;
        let enrolment = Enrolment::verify(&enrolment)
            .map_err(|error| Error::invalid(dir.enrolment().display().to_string(), error.to_string()))?;
        let state = GatewayConfig::load(dir)?.state_dir(dir, None);
        let pinned = pinned_vault(&state).map_err(Error::client("read the pinned key of the vault"))?;
        let origin = |vault| format!("shosoin/{vault}/{}", enrolment.hospital);
        let log = pinned.as_ref().map(|(vault, key)| VerifierKey::of_log(&origin(*vault), key.clone()));
        Ok(OwnKeys { vault: pinned.map(|(_, key)| key), hospital: enrolment.hospital_key, log })
    }
}

fn keys(args: &KeysArgs, output: Output) -> Result<()> {
    let OwnKeys { vault, hospital, log } = OwnKeys::read(&HospitalDir::in_site(&args.dir))?;
    let log = log.map(|log| log.to_string());
    let answer = json!({
        "vault_key": vault.as_ref().map(PublicKey::to_string),
        "vault_fingerprint": vault.as_ref().map(PublicKey::fingerprint),
        "hospital_key": hospital.to_string(),
        "hospital_fingerprint": hospital.fingerprint(),
        "ledger_key": log,
    });
    output.answer(&answer, || {
        let vault =
            vault.map_or("no vault was met yet".to_owned(), |key| format!("{key}\n{:<13}{}", "", key.fingerprint()));
        let log = log.unwrap_or_else(|| "-".to_owned());
        format!(
            "vault key    {vault}\nhospital key {hospital}\n{:<13}{}\nledger key   {log}",
            "",
            hospital.fingerprint()
        )
    })
}

fn verify(args: &VerifyArgs, output: Output) -> Result<()> {
    let (vault_key, hospital_key) = args.keys.read()?;
    let least_suite = args.least_suite.map(Suite::try_from).transpose();
    let least_suite = least_suite.map_err(|error| Error::invalid("--least-suite", error.to_string()))?;
    let keys = Keys { vault_key, hospital_key, least_suite };
    let anchors = args.anchors.read(args.keys.dir.as_deref())?;
    let mut refused = 0;
    for path in &args.files {
        let shown = path.display().to_string();
        let text = std::fs::read(path).map_err(Error::file("read", path))?;
        let text = String::from_utf8(text).map_err(|_| Error::invalid(shown.clone(), "it is not text"))?;
        let judged = Evidence::parse(&text).and_then(|evidence| Ok((evidence.judge(&keys)?, evidence)));
        let judged = judged.map_err(|error| error.to_string()).and_then(|(verdict, evidence)| {
            let times = Times::judge(&evidence, &anchors).map_err(|error| format!("its timestamps: {error}"))?;
            Ok((verdict, evidence, times))
        });
        match judged {
            Ok((verdict, evidence, times)) => {
                let answer = answer_of(&shown, &evidence, &verdict, &times);
                output.answer(&answer, || text_of(&shown, &evidence, &verdict, &times))?;
            }
            Err(why) => {
                refused += 1;
                let answer = json!({ "file": shown, "holds": false, "why": why });
                output.answer(&answer, || format!("REFUSED  {shown}: {why}"))?;
            }
        }
    }
    match refused {
        0 => Ok(()),
        count => Err(Error::Damage { count, what: "files prove nothing" }),
    }
}

impl AnchorArgs {
    fn read(&self, dir: Option<&Path>) -> Result<Anchors> {
        match (&self.anchors, dir) {
            (Some(path), _) => read_anchors(path, &self.fingerprints),
            (None, Some(dir)) => {
                let dir = HospitalDir::in_site(dir);
                timestamp::authorities(&dir, HashName::Sha512.name()).map(|authorities| authorities.anchors().clone())
            }
            (None, None) => Ok(Anchors::default()),
        }
    }
}

/// What the timestamps of evidence prove.
struct Times {
    proved: Vec<Timestamped>,
    not_judged: usize,
}

impl Times {
    fn judge(evidence: &Evidence, anchors: &Anchors) -> shosoin_trust::Result<Self> {
        match anchors.is_empty() {
            true => Ok(Times { proved: Vec::new(), not_judged: evidence.timestamps.len() }),
            false => Ok(Times { proved: timestamps(evidence, anchors, now_ms())?, not_judged: 0 }),
        }
    }
}

/// Every text in a folder, by name.
fn texts(folder: &Path) -> Result<Vec<PathBuf>> {
    let listing = match std::fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::file("list", folder)(error)),
    };
    let paths = listing.map(|entry| entry.map(|entry| entry.path())).collect::<std::io::Result<Vec<_>>>();
    let mut paths = paths.map_err(Error::file("list", folder))?;
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "txt"));
    paths.sort();
    Ok(paths)
}

/// Timestamps what is due; goes on after a failure, and fails at the end if there was one.
async fn renew(args: &RenewArgs, output: Output) -> Result<()> {
    let dir = HospitalDir::in_site(&args.dir);
    let authorities = timestamp::authorities(&dir, &args.hash)?;
    let mut files = args.files.clone();
    if files.is_empty() {
        files = [texts(&dir.root().join(TIMESTAMPS))?, texts(&dir.root().join("evidence"))?].concat();
    }
    let soon_ms = now_ms().saturating_add(u64::from(args.within_days) * 86_400_000);
    let mut failed = 0;
    for path in &files {
        let shown = path.display().to_string();
        let renewed = renew_one(&authorities, path, soon_ms).await;
        let (answer, text) = match &renewed {
            Ok(Some(newest)) => (
                json!({ "file": shown, "renewed": true, "timestamp": timestamp::answer_of(newest) }),
                timestamp::text_of(newest),
            ),
            Ok(None) => (json!({ "file": shown, "renewed": false }), "not due".to_owned()),
            Err(error) => {
                failed += 1;
                let why = error.clauses().join(": ");
                (json!({ "file": shown, "renewed": false, "why": why }), format!("FAILED: {why}"))
            }
        };
        output.answer(&answer, || format!("{shown} {text}"))?;
    }
    match failed {
        0 => Ok(()),
        count => {
            Err(Error::Job { job: "renewing", why: format!("{count} of {} files were not timestamped", files.len()) })
        }
    }
}

async fn renew_one(authorities: &Authorities, path: &Path, soon_ms: u64) -> Result<Option<Timestamped>> {
    let evidence = timestamp::read(path).await?;
    let proved = timestamps(&evidence, authorities.anchors(), now_ms());
    let proved = proved.map_err(|source| shosoin_client::Error::Timestamp { authority: "the file".to_owned(), source });
    let last = proved.map_err(Error::client("renew it: ask for a timestamp of the newest head instead"))?.pop();
    if last.is_some_and(|last| last.authority.until_ms > soon_ms) {
        return Ok(None);
    }
    let (stamped, newest) = authorities.stamp(&evidence).await.map_err(Error::client("timestamp it"))?;
    save(path, &stamped).await.map_err(Error::client("keep the timestamp"))?;
    Ok(Some(newest))
}

fn against(verdict: &Verdict) -> &'static str {
    match verdict.against {
        Against::Vault => "vault",
        Against::Nobody => "nobody",
    }
}

fn answer_of(file: &str, evidence: &Evidence, verdict: &Verdict, times: &Times) -> Value {
    let lines = evidence.parts.iter().find_map(|part| match part {
        shosoin_protocol::evidence::Part::Report(lines) => Some(lines),
        _ => None,
    });
    json!({
        "file": file,
        "holds": true,
        "class": verdict.class.name(),
        "vault": evidence.vault.to_string(),
        "hospital": evidence.hospital.to_string(),
        "found_ms": evidence.found_ms,
        "against": against(verdict),
        "proves": verdict.proves,
        "leaves_open": verdict.leaves_open,
        "attested_by": verdict.attested_by.map(|device| device.to_string()),
        "report": lines,
        "timestamps": times.proved.iter().map(timestamp::answer_of).collect::<Vec<_>>(),
        "timestamps_not_judged": times.not_judged,
    })
}

fn text_of(file: &str, evidence: &Evidence, verdict: &Verdict, times: &Times) -> String {
    let mut out = format!("{file}\nclass      {}: {}\n", verdict.class.name(), verdict.class.sentence());
    out += &format!("vault      {}\nhospital   {}\n", evidence.vault, evidence.hospital);
    out += &match verdict.attested_by {
        Some(device) => format!("found      {}, says device {device} of the hospital\n", time(evidence.found_ms)),
        None => format!("found      {}, says nobody who was verified\n", time(evidence.found_ms)),
    };
    out += &match verdict.against {
        Against::Vault => "against    the vault, by its own signatures\n".to_owned(),
        Against::Nobody => "against    nobody: no signature of the vault shows a fault\n".to_owned(),
    };
    verdict.proves.iter().for_each(|proved| out += &format!("proves     {proved}\n"));
    times.proved.iter().for_each(|proved| out += &format!("proves     it {}\n", timestamp::text_of(proved)));
    if times.not_judged > 0 {
        out += &format!("not        its {} timestamps: give --anchors and --fingerprint\n", times.not_judged);
    }
    verdict.leaves_open.iter().for_each(|open| out += &format!("not        {open}\n"));
    for part in &evidence.parts {
        if let shosoin_protocol::evidence::Part::Report(lines) = part {
            lines.iter().for_each(|(name, value)| out += &format!("report     {name} {value}\n"));
        }
    }
    out
}
