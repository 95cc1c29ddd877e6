//! `shosoin dispose verify`: certificates, offline.

use crate::error::{Error, Result};
use crate::hospital::HospitalDir;
use crate::output::Output;
use crate::text::time;
use clap::Args;
use serde_json::{Value, json};
use shosoin_client::pinned_vault;
use shosoin_protocol::api::Enrolment;
use shosoin_protocol::certificate::{Certificate, VerifiedCertificate};
use shosoin_protocol::sign::PublicKey;
use std::path::{Path, PathBuf};

/// Arguments of `dispose verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Signed certificates
    #[arg(required = true)]
    certificates: Vec<PathBuf>,
    /// The vault's key, in hex [default: the one pinned in the hospital's folder; without either its fingerprint is shown]
    #[arg(long, value_name = "HEX")]
    vault_key: Option<String>,
    /// The hospital's key, in hex: shows that the device behind the order is the hospital's [default: of the hospital's folder]
    #[arg(long, value_name = "HEX")]
    hospital_key: Option<String>,
    /// Folder of the hospital, or of a site made by `up`, for the keys that it knows
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Keys that are known from elsewhere than the certificate.
#[derive(Default)]
struct Known {
    vault: Option<PublicKey>,
    hospital: Option<PublicKey>,
}

/// Verifies them.
pub fn run(args: &VerifyArgs, output: Output) -> Result<()> {
    let known = known(args)?;
    let mut refused = 0;
    for path in &args.certificates {
        let bytes = std::fs::read(path).map_err(Error::file("read", path))?;
        match Certificate::verify(&bytes, known.vault.as_ref(), known.hospital.as_ref()) {
            Ok(verified) => {
                output.answer(&answer_of(path, &verified, &known), || text_of(&verified, &known))?;
            }
            Err(error) => {
                refused += 1;
                let (file, why) = (path.display().to_string(), error.to_string());
                let answer = json!({ "file": file, "verified": false, "why": why });
                output.answer(&answer, || format!("REFUSED  {file}: {why}"))?;
            }
        }
    }
    match refused {
        0 => Ok(()),
        count => Err(Error::Damage { count, what: "certificates prove nothing" }),
    }
}

fn known(args: &VerifyArgs) -> Result<Known> {
    let key = |what: &'static str, text: &Option<String>| {
        let bad = |error: shosoin_protocol::Error| Error::invalid(what, error.to_string());
        text.as_ref().map(|text| text.parse::<PublicKey>().map_err(bad)).transpose()
    };
    let own = args.dir.as_deref().map(own).transpose()?.unwrap_or_default();
    Ok(Known {
        vault: key("--vault-key", &args.vault_key)?.or(own.vault),
        hospital: key("--hospital-key", &args.hospital_key)?.or(own.hospital),
    })
}

fn own(dir: &Path) -> Result<Known> {
    let dir = HospitalDir::in_site(dir);
    let pinned = pinned_vault(dir.root()).map_err(Error::client("read the pinned key of the vault"))?;
    let path = dir.enrolment();
    let bytes = std::fs::read(&path).map_err(Error::file("read", path.clone()))?;
    let enrolment =
        Enrolment::verify(&bytes).map_err(|error| Error::invalid(path.display().to_string(), error.to_string()))?;
    Ok(Known { vault: pinned.map(|(_, key)| key), hospital: Some(enrolment.hospital_key) })
}

fn answer_of(path: &Path, verified: &VerifiedCertificate, known: &Known) -> Value {
    let said = &verified.certificate;
    let approvals: Vec<_> = verified.approvals.iter().map(|approval| approval.key.fingerprint()).collect();
    json!({
        "file": path, "verified": true, "order": verified.order_id.to_string(), "serial": said.serial,
        "vault": said.vault.to_string(), "hospital": said.hospital.to_string(), "issued_ms": said.issued_ms,
        "entries": said.ended.entries, "records": said.ended.records, "copies": said.copies.len(),
        "pending": said.pending(), "complete": said.is_complete(), "earlier_media": said.earlier.len(),
        "approvals": approvals, "requester": verified.order.requester.fingerprint(),
        "vault_key_known": known.vault.is_some(), "vault_key": said.vault_key.fingerprint(),
        "hospital_key_checked": verified.hospital_key_checked,
    })
}

fn text_of(verified: &VerifiedCertificate, known: &Known) -> String {
    let said = &verified.certificate;
    let vault = match known.vault {
        Some(_) => "the vault's key is the one that is known".to_owned(),
        None => format!("compare the vault's key: {}", said.vault_key.fingerprint()),
    };
    let hospital = match verified.hospital_key_checked {
        true => "the device behind the order is the hospital's",
        false => "give --hospital-key to know that the device behind the order is the hospital's",
    };
    format!(
        "certificate {} of order {}, issued {}\n{} records of {} entries; {} copies, {} pending\norder, {} approvals and the act are \
         in the ledger, and every signature holds; {vault}; {hospital}",
        said.serial,
        verified.order_id,
        time(said.issued_ms),
        said.ended.records,
        said.ended.entries,
        said.copies.len(),
        said.pending(),
        verified.approvals.len()
    )
}
