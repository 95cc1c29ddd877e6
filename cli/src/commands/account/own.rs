//! A person's own secrets: password and second factor.

use super::show;
use crate::commands::volume::DirArgs;
use crate::error::{Error, Result};
use crate::operator;
use crate::output::Output;
use crate::passphrase::{prompt, read_file};
use clap::Args;
use qrcodegen::{QrCode, QrCodeEcc};
use serde_json::json;
use shosoin_store::accounts::{AccountCommand as Asked, AccountId, TotpHash, Typed};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Arguments of `account password`.
#[derive(Debug, Args)]
pub struct PasswordArgs {
    #[command(flatten)]
    dir: DirArgs,
    /// Whom to give a first password [default: you choose your own]
    #[arg(value_name = "ID", requires = "first")]
    id: Option<AccountId>,
    /// Draw a random first password, to be changed at the first log-on
    #[arg(long, requires = "id")]
    first: bool,
    /// File with the password in use [default: asked for]
    #[arg(long, value_name = "FILE", conflicts_with = "first")]
    old_file: Option<PathBuf>,
    /// File with the password from now on [default: asked for]
    #[arg(long, value_name = "FILE", conflicts_with = "first")]
    new_file: Option<PathBuf>,
}

/// Arguments of `account totp`.
#[derive(Debug, Args)]
pub struct TotpArgs {
    #[command(flatten)]
    dir: DirArgs,
    /// Whose second factor is forgotten [default: you enrol your own]
    #[arg(value_name = "ID", requires = "forget")]
    id: Option<AccountId>,
    /// Forget it, with a second person's agreement; a new one is enrolled at the next log-on
    #[arg(long, requires = "id")]
    forget: bool,
    /// Why; it goes to the audit log
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Codes by SHA-256, of the e-Government list; not every app computes them
    #[arg(long, conflicts_with = "forget")]
    sha256: bool,
    /// File with a code of the second factor in use, where there is one [default: asked for]
    #[arg(long, value_name = "FILE", conflicts_with = "forget")]
    code_file: Option<PathBuf>,
    /// Only prove the one that was enrolled, by the code in --code-file or asked for
    #[arg(long, conflicts_with = "forget")]
    prove: bool,
}

/// Chooses a password, or gives a first one.
pub async fn password(args: PasswordArgs, output: Output) -> Result<()> {
    let dir = &args.dir.dir;
    if let Some(id) = args.id {
        let given = operator::account(dir, "give a first password", &Asked::FirstPassword { id }).await?;
        return output.answer(&given, || {
            let (id, password) = (given["id"].as_str().unwrap_or("-"), given["first_password"].as_str().unwrap_or("-"));
            format!(
                "first password of {id}, shown once: {password}\nhand it over in person; it must be changed at the first log-on\n"
            )
        });
    }
    let old = match (&args.old_file, &args.new_file) {
        (Some(file), _) => read_file(file)?,
        (None, Some(_)) => Zeroizing::default(), // a first one: the vault says where there is one in use
        (None, None) => ask("Password in use (empty if there is none yet): ", true)?,
    };
    let new = match &args.new_file {
        Some(file) => read_file(file)?,
        None => twice()?,
    };
    let asked = Asked::Password { old: Typed::new(old), new: Typed::new(new) };
    let done = operator::account(dir, "change your password", &asked).await?;
    output.answer(&done, || "your password is changed\n".to_owned())
}

/// Enrols a second factor and proves it, or has one forgotten.
pub async fn totp(args: TotpArgs, output: Output) -> Result<()> {
    let dir = &args.dir.dir;
    if let Some(id) = args.id {
        let asked = Asked::ForgetSecondFactor { id: id.clone(), reason: args.reason };
        let answer = operator::account(dir, "forget the second factor", &asked).await?;
        return output.answer(&answer, || show::changed(id.as_str(), &answer));
    }
    let from_file = args.code_file.as_deref().map(read_file).transpose()?;
    if args.prove {
        let code = from_file.map_or_else(|| ask("Code: ", false), Ok)?;
        return prove(dir, &code, output).await;
    }
    let code = from_file.unwrap_or_default();
    let hash = if args.sha256 { TotpHash::Sha256 } else { TotpHash::Sha1 };
    let asked = Asked::EnrolSecondFactor { hash, code: code.to_string() };
    let made = operator::account(dir, "enrol a second factor", &asked).await?;
    let typed = !output.is_json() && std::io::stdin().is_terminal();
    output.answer(&made, || enrolment(made["uri"].as_str().unwrap_or_default()))?;
    match typed {
        true => prove(dir, &ask("Code that the app shows now: ", false)?, output).await,
        false => Ok(()),
    }
}

async fn prove(dir: &Path, code: &str, output: Output) -> Result<()> {
    let asked = Asked::ProveSecondFactor { code: code.to_owned() };
    operator::account(dir, "prove the second factor", &asked).await?;
    output.answer(&json!({ "done": true }), || "your second factor counts from now on\n".to_owned())
}

/// The QR code that an app scans, and the same as text.
fn enrolment(uri: &str) -> String {
    let code = QrCode::encode_text(uri, QrCodeEcc::Medium).ok();
    let picture = code.map(|code| blocks(&code)).unwrap_or_default();
    format!(
        "{picture}\nscan it with an authenticator app, or type what stands behind secret=; it is shown once\n{uri}\n\
         then prove it: shosoin account totp --prove\n"
    )
}

/// Two rows of modules in a row of text, dark on light whatever the terminal's colours, with a border of two.
fn blocks(code: &QrCode) -> String {
    let (from, to) = (-2, code.size() + 2);
    let mut out = String::new();
    for row in (from..to).step_by(2) {
        out.push_str("\u{1b}[30;107m");
        out.extend((from..to).map(|column| match (code.get_module(column, row), code.get_module(column, row + 1)) {
            (true, true) => '█',
            (true, false) => '▀',
            (false, true) => '▄',
            (false, false) => ' ',
        }));
        out.push_str("\u{1b}[0m\n");
    }
    out
}

fn ask(question: &str, may_be_empty: bool) -> Result<Zeroizing<String>> {
    match prompt(question) {
        Err(Error::Invalid { why, .. }) if may_be_empty && why == "it is empty" => Ok(Zeroizing::default()),
        Err(Error::Invalid { what, why }) if what == "passphrase" => {
            let why =
                if why == "it is empty" { why } else { "give the file it is in where nobody can be asked".to_owned() };
            Err(Error::invalid("what was typed", why))
        }
        other => other,
    }
}

fn twice() -> Result<Zeroizing<String>> {
    let first = ask("New password: ", false)?;
    match *first == *ask("The same once more: ", false)? {
        true => Ok(first),
        false => Err(Error::invalid("password", "the two are not the same")),
    }
}
