//! `shosoin escrow`: the root on paper, in the hands of several people, so that no fire, no theft and nobody's leaving
//! ends the archive. What a share is, and what it refuses, is `keyring/src/escrow.rs`.
//!
//! Invariants
//! - Shares come from files or are typed in, never from an argument, and are never printed but on their sheets.
//! - A drill brings the root back in memory, compares it and forgets it; nothing of it is written.
//! - Restoring never touches a key file that is there.

mod page;
mod sheets;

use crate::args::VaultToRemember;
use crate::error::{Error, Result};
use crate::files;
use crate::hospital::{GatewayConfig, HospitalDir};
use crate::output::Output;
use crate::passphrase::PassphraseArgs;
use crate::text;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use sheets::Sheet;
use shosoin_client::{durable, now_ms};
use shosoin_keyring::Keyring;
use shosoin_keyring::escrow::words::WordList;
use shosoin_keyring::escrow::{self, Quorum, SetFacts, Share, drill::Drill};
use std::path::PathBuf;

/// Milliseconds of a day.
const DAY_MS: u64 = 86_400_000;

/// Commands about the shares of the root.
#[derive(Debug, Subcommand)]
pub enum EscrowCommand {
    /// Share the root out: one sheet to print for each person, any few of whom can bring it back
    #[command(after_help = "Example:\n  \
        shosoin escrow split --dir ./hospital --out /dev/shm/sheets --needed 3 --shares 5 \\\n    \
        --holder 'Director' --holder 'Head of records' --holder 'Notary' --holder 'Bank vault' --holder 'Sister hospital'\n\n\
        Print each sheet on a printer without a network, hand it over sealed, then remove the folder.")]
    Split(SplitArgs),
    /// Check sheets one by one: legible, complete, of this hospital's root; brings nothing back
    #[command(after_help = "Example:\n  shosoin escrow verify --dir ./hospital /dev/shm/sheets/sheet-1-of-5.html")]
    Verify(VerifyArgs),
    /// Hold a restore drill: bring the root back from sheets, compare it, forget it, and note that it was done
    #[command(after_help = "Example:\n  shosoin escrow drill --dir ./hospital typed-1.txt typed-2.txt typed-3.txt")]
    Drill(VerifyArgs),
    /// Make a new key file from sheets alone, on a machine that has nothing
    #[command(after_help = "Example:\n  \
        shosoin escrow restore --dir ./hospital --vault-url https://vault.example:7443 --vault-pin 3f9a... \\\n    \
        typed-1.txt typed-2.txt typed-3.txt")]
    Restore(RestoreArgs),
}

/// Arguments of `escrow split`.
#[derive(Debug, Args)]
pub struct SplitArgs {
    /// Folder of the hospital
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Folder for the sheets, best in memory as below /dev/shm; sheets that are there are never replaced
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Sheets that bring the root back
    #[arg(long, value_name = "K", default_value_t = Quorum::default().needed)]
    needed: u8,
    /// Sheets in all
    #[arg(long, value_name = "N", default_value_t = Quorum::default().shares)]
    shares: u8,
    /// Who gets the next sheet, in order; printed on it [default: a line to write on]
    #[arg(long = "holder", value_name = "NAME")]
    holders: Vec<String>,
    /// Print the share as words too: english, japanese, or none
    #[arg(long, value_name = "LIST", default_value = "english", value_parser = parse_words)]
    words: Words,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

/// The list that sheets have words of, if any.
#[derive(Debug, Clone, Copy)]
struct Words(Option<WordList>);

fn parse_words(text: &str) -> Result<Words, String> {
    match text {
        "english" => Ok(Words(Some(WordList::English))),
        "japanese" => Ok(Words(Some(WordList::Japanese))),
        "none" => Ok(Words(None)),
        _ => Err("it must be english, japanese or none".to_owned()),
    }
}

/// Arguments of `escrow verify` and `escrow drill`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Folder of the hospital
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Sheets: printed pages as files, their lines or words typed, or the text of their QR codes [default: asked for]
    #[arg(value_name = "SHEET")]
    sheets: Vec<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

/// Arguments of `escrow restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// Folder of the hospital, which has no key file; made if it is not there
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Sheets: printed pages as files, their lines or words typed, or the text of their QR codes [default: asked for]
    #[arg(value_name = "SHEET")]
    sheets: Vec<PathBuf>,
    #[command(flatten)]
    vault: VaultToRemember,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

/// Runs one of them.
pub fn run(command: EscrowCommand, output: Output) -> Result<()> {
    match command {
        EscrowCommand::Split(args) => split(&args, output),
        EscrowCommand::Verify(args) => verify(&args, output),
        EscrowCommand::Drill(args) => drill(&args, output),
        EscrowCommand::Restore(args) => restore(&args, output),
    }
}

fn split(args: &SplitArgs, output: Output) -> Result<()> {
    let holders = holders(args)?;
    let dir = HospitalDir::in_site(&args.dir);
    let keyring = dir.open_keyring(&args.passphrase)?;
    let config = GatewayConfig::load(&dir)?;
    let quorum = Quorum { needed: args.needed, shares: args.shares };
    let shares = keyring.split(quorum, now_ms()).map_err(Error::escrow("share the root out"))?;
    files::create_dir(&args.out)?;
    let mut written: Vec<PathBuf> = Vec::new();
    for (share, holder) in shares.iter().zip(&holders) {
        let path = args.out.join(format!("sheet-{}-of-{}.html", share.index(), quorum.shares));
        if let Err(error) = files::create(&path, page::html(share, holder, args.words.0, &config)?.as_bytes()) {
            written.iter().for_each(|path| drop(std::fs::remove_file(path))); // half a split helps nobody
            return Err(error);
        }
        written.push(path);
    }
    let facts = shares.first().map_or(Value::Null, |share| describe(share.facts()));
    output.answer(&json!({ "split": facts, "sheets": written }), || {
        written.iter().map(|path| format!("{}\n", path.display())).collect()
    })?;
    output.note(&format!(
        "Print them where nothing is kept or sent on, hand each to its holder in a sealed envelope, then remove {}.\n\
         Any {} of them are the whole archive: no two to one person, none to the operator of the vault.\n\
         Then hold a drill with the printed sheets: `shosoin escrow drill`. Sheets of an earlier split stay good until burnt.",
        args.out.display(),
        quorum.needed
    ));
    Ok(())
}

/// One name or blank for each sheet.
fn holders(args: &SplitArgs) -> Result<Vec<String>> {
    let (given, shares) = (&args.holders, usize::from(args.shares));
    if given.len() > shares {
        return Err(Error::invalid("--holder", format!("{} people for {shares} sheets", given.len())));
    }
    let name = |name: &String| name.trim().to_lowercase();
    if let Some(twice) = (1..given.len()).find(|at| given[..*at].iter().any(|other| name(other) == name(&given[*at]))) {
        let why = format!("{:?} is named twice: two sheets in one hand are one step nearer to a quorum", given[twice]);
        return Err(Error::invalid("--holder", why));
    }
    let blanks = std::iter::repeat(String::new());
    Ok(given.iter().cloned().chain(blanks).take(shares).collect())
}

fn verify(args: &VerifyArgs, output: Output) -> Result<()> {
    let keyring = HospitalDir::in_site(&args.dir).open_keyring(&args.passphrase)?;
    let sheets = sheets::read(&args.sheets, sheets::Wanted::One)?;
    for Sheet { origin, share } in &sheets {
        ours(&keyring, share.facts(), origin)?;
        let facts = share.facts();
        let answer = json!({ "sheet": origin, "index": share.index(), "split": describe(facts), "of_this_root": true });
        output.answer(&answer, || format!("{origin}: sheet {} of {}", share.index(), summary(facts)))?;
    }
    Ok(())
}

fn ours(keyring: &Keyring, facts: &SetFacts, origin: &str) -> Result<()> {
    match keyring.is_shared_by(facts) {
        true => Ok(()),
        false => Err(Error::escrow(format!("accept {origin}"))(shosoin_keyring::Error::OtherRoot)),
    }
}

fn drill(args: &VerifyArgs, output: Output) -> Result<()> {
    let dir = HospitalDir::in_site(&args.dir);
    let keyring = dir.open_keyring(&args.passphrase)?;
    let shares = shares(sheets::read(&args.sheets, sheets::Wanted::Quorum)?);
    let failed = |source| Error::escrow("bring the root back from these sheets")(source);
    let restored = escrow::combine(&shares).map_err(failed)?;
    let drill = Drill::held(&keyring, &restored, shares.len(), now_ms()).map_err(failed)?;
    drop(restored);
    keep(&dir, &keyring, &drill)?;
    output.answer(&held(&drill), || {
        let until = text::time(drill.held_ms + escrow::drill::AGE_MS_MAX);
        format!("drill held: {} sheets gave the root of this hospital. It counts until {until}.", drill.used)
    })
}

fn restore(args: &RestoreArgs, output: Output) -> Result<()> {
    let dir = HospitalDir::at(&args.dir);
    if dir.keyring().exists() {
        let why = "a key file is there; sheets are for a machine that has none, so name another folder";
        return Err(Error::invalid(dir.keyring().display().to_string(), why));
    }
    let config = args.vault.config()?;
    let shares = shares(sheets::read(&args.sheets, sheets::Wanted::Quorum)?);
    let failed = |source| Error::escrow("bring the root back from these sheets")(source);
    let restored = escrow::combine(&shares).map_err(failed)?;
    let facts = *restored.facts();
    let passphrase = args.passphrase.read_new()?;
    let keyring = restored.keyring().map_err(failed)?;
    dir.store_keyring(&keyring, &passphrase)?;
    let drill = Drill::held(&keyring, &restored, shares.len(), now_ms()).map_err(failed)?;
    keep(&dir, &keyring, &drill)?;
    if let Some(config) = config {
        config.create(&dir)?;
    }
    let (hospital, device) = (keyring.hospital().to_string(), keyring.device_id().to_string());
    let fingerprint = keyring.hospital_key().public().fingerprint();
    let answer = json!({
        "hospital": hospital, "device": device, "fingerprint": fingerprint, "split": describe(&facts),
        "keyring": dir.keyring(), "enrolment": dir.enrolment(),
    });
    output.answer(&answer, || {
        format!(
            "hospital     {hospital}\nfingerprint  {fingerprint}\ndevice       {device}\nkey file     {}",
            dir.keyring().display()
        )
    })?;
    output.note(&format!(
        "Give {} to the operator: the fingerprint is the one they know, the machine is new to them.\n\
         Whoever has the lost machine can still use it: revoke its device. Then split anew and hold a drill.",
        dir.enrolment().display()
    ));
    Ok(())
}

fn shares(sheets: Vec<Sheet>) -> Vec<Share> {
    sheets.into_iter().map(|sheet| sheet.share).collect()
}

fn keep(dir: &HospitalDir, keyring: &Keyring, drill: &Drill) -> Result<()> {
    let file = drill.seal(keyring).map_err(Error::escrow("note the drill"))?;
    durable::replace(&dir.drill(), &file).map_err(Error::file("write", dir.drill()))
}

/// What is printed of a drill; `null` where none was held.
pub fn held(drill: &Drill) -> Value {
    json!({
        "held": text::time(drill.held_ms),
        "counts_until": text::time(drill.held_ms.saturating_add(escrow::drill::AGE_MS_MAX)),
        "counts": drill.counts(now_ms()),
        "sheets_used": drill.used,
        "needed": drill.quorum.needed,
        "shares": drill.quorum.shares,
        "set": hex::encode(drill.set),
    })
}

fn describe(facts: &SetFacts) -> Value {
    json!({
        "set": hex::encode(facts.set),
        "hospital": facts.hospital.to_string(),
        "needed": facts.quorum.needed,
        "shares": facts.quorum.shares,
        "made": day(facts),
    })
}

fn summary(facts: &SetFacts) -> String {
    let Quorum { needed, shares } = facts.quorum;
    format!("{shares}, {needed} needed, made {}, of this hospital's root", day(facts))
}

/// The day of a split, as in `2026-04-01`.
fn day(facts: &SetFacts) -> String {
    text::time(u64::from(facts.made_day) * DAY_MS)[..10].to_owned()
}
