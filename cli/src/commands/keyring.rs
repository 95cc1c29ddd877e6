//! `shosoin keyring`: the root of all keys, made once at the hospital and never sent anywhere, and the keys below it over time.

mod compromise;
mod epochs;
mod hsm;

use crate::args::VaultToRemember;
use crate::commands::escrow;
use crate::error::{Error, Result};
use crate::files;
use crate::hospital::HospitalDir;
use crate::output::Output;
use crate::passphrase::PassphraseArgs;
use crate::text;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use shosoin_keyring::Keyring;
use shosoin_protocol::Suite;
use std::path::PathBuf;

/// Commands about the key file.
#[derive(Debug, Subcommand)]
pub enum KeyringCommand {
    /// Make the secrets of a new hospital, sealed under a passphrase, and the enrolment file for the operator
    #[command(after_help = "Example:\n  \
        shosoin keyring init --dir ./hospital --passphrase-file ./passphrase \\\n    \
        --vault-url https://vault.example:7443 --vault-pin 3f9a...")]
    Init(InitArgs),
    /// Show what others may know of the hospital: ids, fingerprint, pin
    #[command(after_help = "Example:\n  shosoin keyring show --dir ./hospital --enrolment ./for-the-operator")]
    Show(ShowArgs),
    /// Begin a new epoch: keys of records are wrapped under a new key from now on
    #[command(after_help = "Example:\n  shosoin keyring rotate --dir ./hospital --reason device-lost")]
    Rotate(epochs::RotateArgs),
    /// Wrap the keys of all older records anew, under the newest epoch; bodies stay as they are. Goes on where it was stopped
    #[command(
        after_help = "Example:\n  shosoin keyring rewrap --dir ./hospital --dry-run\n  shosoin keyring rewrap --dir ./hospital --json"
    )]
    Rewrap(epochs::RewrapArgs),
    /// Which records still depend on which epoch and suite; opens every wrap
    #[command(
        after_help = "Example:\n  shosoin keyring coverage --dir ./hospital\n  shosoin keyring coverage --dir ./hospital --list --epoch 1 --json"
    )]
    Coverage(epochs::CoverageArgs),
    /// Seal records anew: same content, fresh keys throughout, as versions of their own; the older ones go out of view
    #[command(
        after_help = "Example:\n  shosoin keyring reseal charts --prefix hiv/ --dir ./hospital\n  shosoin keyring reseal --all --dry-run --dir ./hospital"
    )]
    Reseal(compromise::ResealArgs),
    /// A machine was lost or stolen: revoke it, begin an epoch, wrap and seal anew, and tell what was exposed since when
    #[command(after_help = "Example:\n  \
        shosoin keyring compromise --device 11d519ebbfe7a77ae71b1e2d3ca5c071 --since 2026-11-01 --dir ./hospital\n  \
        shosoin keyring compromise --device 11d519ebbfe7a77ae71b1e2d3ca5c071 --since 2026-11-01 \\\n    \
        --dir ./hospital --yes charts --prefix hiv/")]
    Compromise(compromise::CompromiseArgs),
    /// Bind the key file to a token (HSM), by PKCS#11
    #[command(subcommand)]
    Hsm(hsm::HsmCommand),
}

/// Which algorithms.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub enum SuiteArg {
    /// BLAKE3, AES-256-GCM, Ed25519
    #[default]
    Default,
    /// e-Government recommended algorithms only: SHA-256, AES-256-GCM, ECDSA P-256
    Cryptrec,
}

impl From<SuiteArg> for Suite {
    fn from(arg: SuiteArg) -> Self {
        match arg {
            SuiteArg::Default => Suite::Default,
            SuiteArg::Cryptrec => Suite::Cryptrec,
        }
    }
}

/// Arguments of `keyring init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Folder of the hospital; made if it is not there
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Algorithms, for good
    #[arg(long, value_enum, default_value_t)]
    suite: SuiteArg,
    #[command(flatten)]
    vault: VaultToRemember,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

/// Arguments of `keyring show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Folder of the hospital, or of a site made by `up`
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Write the enrolment to this file, which must not exist, for `shosoin hospital enrol`
    #[arg(long, value_name = "FILE")]
    enrolment: Option<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

/// Runs one of them.
pub async fn run(command: KeyringCommand, output: Output) -> Result<()> {
    match command {
        KeyringCommand::Init(args) => init(&args, output),
        KeyringCommand::Show(args) => show(&args, output),
        KeyringCommand::Rotate(args) => epochs::rotate(args, output).await,
        KeyringCommand::Rewrap(args) => epochs::rewrap(args, output).await,
        KeyringCommand::Coverage(args) => epochs::coverage(args, output).await,
        KeyringCommand::Reseal(args) => compromise::reseal(args, output).await,
        KeyringCommand::Compromise(args) => compromise::compromise(args, output).await,
        KeyringCommand::Hsm(command) => hsm::run(command, output),
    }
}

fn init(args: &InitArgs, output: Output) -> Result<()> {
    let dir = HospitalDir::at(&args.dir);
    if dir.keyring().exists() {
        let why = "a key file is there; a hospital keeps its keys, so name another folder for another hospital";
        return Err(Error::invalid(dir.keyring().display().to_string(), why));
    }
    let config = args.vault.config()?;
    let passphrase = args.passphrase.read_new()?;
    let keyring = generate(&dir, args.suite.into())?;
    dir.store_keyring(&keyring, &passphrase)?;
    if let Some(config) = config {
        config.create(&dir)?;
    }
    describe(&dir, &keyring, output)?;
    output.note(&format!(
        "Give {} to the operator and compare the fingerprint with them by another way.\n\
         Whoever loses the key file or the passphrase loses the records: share the root out with `shosoin escrow split`\n\
         and hold a drill. A production vault is not joined without one.\n\
         Without a token the key file is weaker than it can be: `shosoin keyring hsm protect` binds it to one.",
        dir.enrolment().display()
    ));
    Ok(())
}

fn show(args: &ShowArgs, output: Output) -> Result<()> {
    let dir = HospitalDir::in_site(&args.dir);
    let keyring = dir.open_keyring(&args.passphrase)?;
    if let Some(path) = &args.enrolment {
        files::create(path, &keyring.enrolment())?;
    }
    describe(&dir, &keyring, output)
}

/// New secrets for the hospital of `dir`.
pub fn generate(dir: &HospitalDir, suite: Suite) -> Result<Keyring> {
    Keyring::generate(suite).map_err(Error::key_file("make", dir.keyring()))
}

fn describe(dir: &HospitalDir, keyring: &Keyring, output: Output) -> Result<()> {
    let (hospital, device) = (keyring.hospital().to_string(), keyring.device_id().to_string());
    let fingerprint = keyring.hospital_key().public().fingerprint();
    let pin = hex::encode(keyring.tls_pin());
    let suite = keyring.suite().code();
    let (drill, token) = (dir.drill_held(keyring)?, dir.token()?);
    let answer = json!({
        "escrow_drill": drill.as_ref().map(escrow::held),
        "hospital": hospital,
        "suite": suite,
        "fingerprint": fingerprint,
        "device": device,
        "tls_pin": pin,
        "custody": hsm::custody_json(token.as_ref()),
        "keyring": dir.keyring(),
        "enrolment": dir.enrolment(),
    });
    let drilled = drill.map_or("never held".to_owned(), |drill| text::time(drill.held_ms));
    output.answer(&answer, || {
        format!(
            "hospital     {hospital}\nsuite        {suite}\nfingerprint  {fingerprint}\n\
             device       {device}\ntls pin      {pin}\ndrill        {drilled}\nkey file     {}\nkept by      {}",
            dir.keyring().display(),
            hsm::custody_text(token.as_ref())
        )
    })
}
