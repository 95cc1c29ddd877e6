//! `shosoin keyring hsm`: the key file of a machine bound to a token (an HSM), so that a copy of it and the passphrase are
//! not enough. What the token does is `keyring/src/hsm.rs`.
//!
//! - A key file is replaced only by one that was opened again, with the token, and gave the same machine.
//! - Whatever fails before that leaves the key file as it was and takes the new wrapping key out of the token again.

use crate::error::{Error, Result};
use crate::hospital::HospitalDir;
use crate::lock::Lock;
use crate::output::Output;
use crate::passphrase::{PassphraseArgs, PinArgs};
use crate::token::{self, TokenConfig};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use shosoin_client::{durable, now_ms};
use shosoin_keyring::hsm::{Module, Probe, Token};
use shosoin_keyring::{Argon2Params, Keyring, keyfile};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Commands about the token of a key file.
#[derive(Debug, Subcommand)]
pub enum HsmCommand {
    /// Ask a token what it can do; with its PIN, try it and leave nothing behind
    #[command(
        after_help = "Example:\n  shosoin keyring hsm probe --module /usr/lib/softhsm/libsofthsm2.so --token hospital --pin-file ./pin"
    )]
    Probe(ProbeArgs),
    /// Bind the key file to a token: from then on it opens with the passphrase and the token, and not with one of them
    #[command(after_help = "Example:\n  \
        shosoin keyring hsm protect --dir ./hospital --module /usr/lib/softhsm/libsofthsm2.so --token hospital --pin-file ./pin\n\n\
        Copies of the key file from before still open with the passphrase alone: find them and destroy them.")]
    Protect(ProtectArgs),
    /// Take the key file from the token again: the passphrase alone opens it, which is weaker
    #[command(after_help = "Example:\n  shosoin keyring hsm release --dir ./hospital --pin-file ./pin --yes")]
    Release(EndArgs),
    /// Destroy the wrapping key in the token: no copy of this key file opens ever again; sheets still bring the root back
    #[command(after_help = "Example:\n  shosoin keyring hsm destroy --dir ./hospital --pin-file ./pin --yes")]
    Destroy(EndArgs),
}

/// Arguments of `keyring hsm probe`.
#[derive(Debug, Args)]
pub struct ProbeArgs {
    /// The token's PKCS#11 module, as its maker ships it
    #[arg(long, value_name = "FILE")]
    module: PathBuf,
    /// Label or serial number of the token [default: the only one there is]
    #[arg(long, value_name = "NAME")]
    token: Option<String>,
    #[command(flatten)]
    pin: PinArgs,
}

/// Arguments of `keyring hsm protect`.
#[derive(Debug, Args)]
pub struct ProtectArgs {
    /// Folder of the hospital
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// The token's PKCS#11 module, as its maker ships it; remembered in token.toml
    #[arg(long, value_name = "FILE")]
    module: PathBuf,
    /// Label or serial number of the token [default: the only one there is]
    #[arg(long, value_name = "NAME")]
    token: Option<String>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

/// Arguments of `keyring hsm release` and `keyring hsm destroy`.
#[derive(Debug, Args)]
pub struct EndArgs {
    /// Folder of the hospital
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// This is meant
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

/// Runs one of them.
pub fn run(command: HsmCommand, output: Output) -> Result<()> {
    match command {
        HsmCommand::Probe(args) => probe(&args, output),
        HsmCommand::Protect(args) => protect(&args, output),
        HsmCommand::Release(args) => release(&args, output),
        HsmCommand::Destroy(args) => destroy(&args, output),
    }
}

fn probe(args: &ProbeArgs, output: Output) -> Result<()> {
    let pin = if args.pin.is_given() { Some(args.pin.read()?) } else { None };
    let module = Module::load(&args.module).map_err(Error::token("ask the token"))?;
    let probed = module.probe(args.token.as_deref(), pin.as_ref().map(|pin| pin.as_bytes()));
    let probed = probed.map_err(Error::token("ask the token"))?;
    output.answer(&probe_json(&probed), || probe_text(&probed))?;
    match probed.suffices() {
        true => Ok(()),
        false => Err(Error::Unfit { what: "the token", why: "it cannot keep a wrapping key; see the report" }),
    }
}

fn probe_json(probe: &Probe) -> Value {
    let abilities = probe.abilities.iter().map(|ability| {
        json!({
            "mechanism": ability.mechanism, "purpose": ability.purpose, "needed": ability.needed, "listed": ability.listed,
        })
    });
    let trial = probe.trial.as_ref().map(|trial| {
        json!({
            "works_with": trial.outcome.as_ref().ok().map(|mechanism| mechanism.name()), "failed": trial.outcome.as_ref().err(),
            "wrapping_keys": trial.keys.iter().map(hex::encode).collect::<Vec<_>>(),
        })
    });
    json!({
        "module": probe.module, "token": probe.token.label, "serial": probe.token.serial, "model": probe.token.model,
        "manufacturer": probe.token.manufacturer, "pin_locked": probe.token.locked, "pin_last_try": probe.token.last_try,
        "mechanisms": abilities.collect::<Vec<_>>(), "trial": trial, "suffices": probe.suffices(),
    })
}

fn probe_text(probe: &Probe) -> String {
    let token = &probe.token;
    let mut text = format!(
        "module   {}\ntoken    {} ({}), {} {}\n",
        probe.module, token.label, token.serial, token.manufacturer, token.model
    );
    if token.locked || token.last_try {
        let state = if token.locked { "locked" } else { "one more wrong PIN locks it" };
        let _ = writeln!(text, "pin      {state}");
    }
    for ability in &probe.abilities {
        let listed = match (ability.listed, ability.needed) {
            (true, _) => "yes",
            (false, true) => "NO",
            (false, false) => "no",
        };
        let _ = writeln!(text, "{listed:<8} {:<22} {}", ability.mechanism, ability.purpose);
    }
    let _ = match &probe.trial {
        None => write!(text, "tried    nothing: give the PIN with --pin-file or --pin-fd"),
        Some(trial) => match &trial.outcome {
            Ok(mechanism) => write!(
                text,
                "tried    made a key that stays inside, wrapped and unwrapped a share with {}, destroyed both\n\
                 keys     {} wrapping keys of Shosoin",
                mechanism.name(),
                trial.keys.len()
            ),
            Err(why) => write!(text, "FAILED   {why}"),
        },
    };
    text
}

fn protect(args: &ProtectArgs, output: Output) -> Result<()> {
    let dir = HospitalDir::in_site(&args.dir);
    let _lock = Lock::take(dir.root())?;
    let before = dir.key_file()?;
    if keyfile::token_of(&before).map_err(Error::key_file("read", dir.keyring()))?.is_some() {
        return Err(Error::invalid(
            dir.keyring().display().to_string(),
            "it is bound to a token; release it from that first",
        ));
    }
    let passphrase = args.passphrase.read(&dir.passphrase())?;
    let keyring = keyfile::open(&before, passphrase.as_bytes()).map_err(Error::key_file("open", dir.keyring()))?;
    let module = Module::load(&args.module).map_err(Error::token("load its module"))?;
    let facts = module.find(args.token.as_deref()).map_err(Error::token("find it"))?;
    let token = module.log_in(facts, args.passphrase.pin.read()?.as_bytes()).map_err(Error::token("log in"))?;
    let share = token.shelter().map_err(Error::token("make a wrapping key in it"))?;
    let bound = bind(&dir, &args.module, &keyring, passphrase.as_bytes(), &token, &share);
    let replaced =
        bound.and_then(|bytes| durable::replace(dir.keyring(), &bytes).map_err(Error::file("replace", dir.keyring())));
    if let Err(error) = replaced {
        // the old key file needs no token; one that was replaced after all does
        if dir.key_file().is_ok_and(|now| now == before) {
            drop(token.destroy(&share.part().key));
        }
        return Err(error);
    }
    let part = share.part();
    output.answer(&json!({ "keyring": dir.keyring(), "custody": custody_json(Some(part)) }), || {
        format!("{} opens with the passphrase and the token {} ({})", dir.keyring().display(), part.label, part.serial)
    })?;
    output.note(
        "Copies of the key file from before, backups too, still open with the passphrase alone: find them and destroy them.\n\
         The token can break: the sheets of `shosoin escrow` stay the way back, so hold a drill.",
    );
    Ok(())
}

/// The bytes of the bound key file, once they were opened with the token as any later command will.
fn bind(
    dir: &HospitalDir,
    module: &Path,
    keyring: &Keyring,
    passphrase: &[u8],
    token: &Token,
    share: &keyfile::TokenShare,
) -> Result<Vec<u8>> {
    let failed = || Error::key_file("make", dir.keyring());
    let bytes = keyfile::seal_with_token(keyring, passphrase, Argon2Params::default(), share).map_err(failed())?;
    let again = keyfile::open_with_token(&bytes, passphrase, |part| token.unwrap(part)).map_err(failed())?;
    if again.enrolment() != keyring.enrolment() {
        return Err(failed()(shosoin_keyring::Error::SelfCheck));
    }
    TokenConfig::of(module)?.store(dir)?;
    Ok(bytes)
}

/// The opened machine, its token, and what its key file says of the token.
fn opened(
    args: &EndArgs,
    dir: &HospitalDir,
) -> Result<(Keyring, zeroize::Zeroizing<String>, Token, keyfile::TokenPart)> {
    let bytes = dir.key_file()?;
    let Some(part) = keyfile::token_of(&bytes).map_err(Error::key_file("read", dir.keyring()))? else {
        return Err(Error::invalid(dir.keyring().display().to_string(), "it is bound to no token"));
    };
    let passphrase = args.passphrase.read(&dir.passphrase())?;
    let token = token::open(dir, &args.passphrase.pin, &part)?;
    let keyring = keyfile::open_with_token(&bytes, passphrase.as_bytes(), |part| token.unwrap(part));
    Ok((keyring.map_err(Error::key_file("open", dir.keyring()))?, passphrase, token, part))
}

fn release(args: &EndArgs, output: Output) -> Result<()> {
    if !args.yes {
        let why =
            "the passphrase alone would open the key file, which is weaker: give --yes if that is meant".to_owned();
        return Err(Error::NotConfirmed { what: "taking the key file from its token", why });
    }
    let dir = HospitalDir::in_site(&args.dir);
    let _lock = Lock::take(dir.root())?;
    let (keyring, passphrase, token, part) = opened(args, &dir)?;
    let sealed = keyfile::seal(&keyring, passphrase.as_bytes(), Argon2Params::default());
    let bytes = sealed.map_err(Error::key_file("make", dir.keyring()))?;
    keyfile::open(&bytes, passphrase.as_bytes()).map_err(Error::key_file("make", dir.keyring()))?;
    durable::replace(dir.keyring(), &bytes).map_err(Error::file("replace", dir.keyring()))?;
    let destroyed = token.destroy(&part.key);
    output.answer(&json!({ "keyring": dir.keyring(), "custody": custody_json(None) }), || {
        format!("{} opens with the passphrase alone: weaker", dir.keyring().display())
    })?;
    destroyed.map(drop).map_err(Error::token("destroy the wrapping key, which nothing needs any more"))
}

fn destroy(args: &EndArgs, output: Output) -> Result<()> {
    let dir = HospitalDir::in_site(&args.dir);
    let _lock = Lock::take(dir.root())?;
    let (keyring, _, token, part) = opened(args, &dir)?;
    let refused = |why: &str| Error::NotConfirmed { what: "the end of this key file", why: why.to_owned() };
    if !args.yes {
        return Err(refused("no copy of it opens ever again: give --yes if that is meant"));
    }
    if !dir.drill_held(&keyring)?.is_some_and(|drill| drill.counts(now_ms())) {
        return Err(refused("hold `shosoin escrow drill` first: the sheets would be the only way back to the records"));
    }
    token.destroy(&part.key).map_err(Error::token("destroy the wrapping key"))?;
    let device = keyring.device_id().to_string();
    output.answer(&json!({ "keyring": dir.keyring(), "destroyed": hex::encode(part.key), "device": device }), || {
        format!(
            "the wrapping key is gone from {} ({}): no copy of {} opens any more\n\
             Revoke this machine from another one: `shosoin device revoke {device} --yes`.",
            part.label,
            part.serial,
            dir.keyring().display()
        )
    })
}

/// What keeps the root of a machine, for programs.
pub fn custody_json(token: Option<&keyfile::TokenPart>) -> Value {
    match token {
        None => json!({ "kept_by": "passphrase", "weaker": true }),
        Some(part) => json!({
            "kept_by": "passphrase and token", "weaker": false, "token": part.label, "serial": part.serial,
            "mechanism": part.mechanism.name(), "wrapping_key": hex::encode(part.key),
        }),
    }
}

/// What keeps the root of a machine, for people.
pub fn custody_text(token: Option<&keyfile::TokenPart>) -> String {
    match token {
        None => {
            "passphrase alone: weaker than with a token, as a copy of the key file and the passphrase are everything"
                .to_owned()
        }
        Some(part) => format!("passphrase and token {} ({})", part.label, part.serial),
    }
}
