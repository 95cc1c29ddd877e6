//! `shosoin evidence`: judge evidence offline, with public keys alone.

use crate::error::{Error, Result};
use crate::hospital::{GatewayConfig, HospitalDir};
use crate::output::Output;
use crate::text::time;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use shosoin_client::pinned_vault;
use shosoin_protocol::Suite;
use shosoin_protocol::api::Enrolment;
use shosoin_protocol::evidence::{Against, Evidence, Keys, Verdict};
use shosoin_protocol::note::VerifierKey;
use shosoin_protocol::sign::PublicKey;
use std::path::PathBuf;

/// Commands about evidence.
#[derive(Debug, Subcommand)]
pub enum EvidenceCommand {
    /// Say exactly what evidence proves, and against whom, and what it does not
    #[command(after_help = "Examples:\n  \
        shosoin evidence verify --dir ./hospital ./hospital/evidence/fork-0123456789abcdef.txt\n  \
        shosoin evidence verify fork.txt --vault-key 01ab... --hospital-key 01cd... --json")]
    Verify(VerifyArgs),
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
    /// Weakest suite that the hospital accepted: 1 or 2 [default: the suite of the vault's key]
    #[arg(long, value_name = "SUITE")]
    least_suite: Option<u8>,
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
pub fn run(command: EvidenceCommand, output: Output) -> Result<()> {
    match command {
        EvidenceCommand::Verify(args) => verify(&args, output),
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
    let mut refused = 0;
    for path in &args.files {
        let shown = path.display().to_string();
        let text = std::fs::read(path).map_err(Error::file("read", path))?;
        let text = String::from_utf8(text).map_err(|_| Error::invalid(shown.clone(), "it is not text"))?;
        let judged = Evidence::parse(&text).and_then(|evidence| Ok((evidence.judge(&keys)?, evidence)));
        match judged {
            Ok((verdict, evidence)) => {
                output.answer(&answer_of(&shown, &evidence, &verdict), || text_of(&shown, &evidence, &verdict))?;
            }
            Err(error) => {
                refused += 1;
                let why = error.to_string();
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

fn against(verdict: &Verdict) -> &'static str {
    match verdict.against {
        Against::Vault => "vault",
        Against::Nobody => "nobody",
    }
}

fn answer_of(file: &str, evidence: &Evidence, verdict: &Verdict) -> Value {
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
    })
}

fn text_of(file: &str, evidence: &Evidence, verdict: &Verdict) -> String {
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
    verdict.leaves_open.iter().for_each(|open| out += &format!("not        {open}\n"));
    for part in &evidence.parts {
        if let shosoin_protocol::evidence::Part::Report(lines) = part {
            lines.iter().for_each(|(name, value)| out += &format!("report     {name} {value}\n"));
        }
    }
    out
}
