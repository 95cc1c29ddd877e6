//! `shosoin hospital`: which hospitals a vault knows. Enrolling takes a person who compares fingerprints.

use crate::error::{Error, Result};
use crate::operator;
use crate::output::Output;
use clap::{Args, Subcommand};
use serde_json::json;
use shosoin_protocol::api::Enrolment;
use std::io::{BufRead as _, IsTerminal as _};
use std::path::PathBuf;

/// Longest enrolment file that is read, in bytes.
const ENROLMENT_BYTES_MAX: u64 = 4096;

/// Commands about hospitals.
#[derive(Debug, Subcommand)]
pub enum HospitalCommand {
    /// Admit a hospital from its enrolment file, after its fingerprint was compared
    #[command(after_help = "Example:\n  \
        shosoin hospital enrol --dir ./vault ./enrolment --fingerprint '1f3c 99ab ...'")]
    Enrol(EnrolArgs),
}

/// Arguments of `hospital enrol`.
#[derive(Debug, Args)]
pub struct EnrolArgs {
    /// Folder of the vault, open or not
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Enrolment file, as the hospital made it
    file: PathBuf,
    /// Fingerprint as the hospital told it by another way; it must match
    #[arg(long, value_name = "HEX", conflicts_with = "yes")]
    fingerprint: Option<String>,
    /// Do not ask: the fingerprint was compared
    #[arg(long)]
    yes: bool,
}

/// Runs one of them.
pub async fn run(command: HospitalCommand, output: Output) -> Result<()> {
    let HospitalCommand::Enrol(args) = command;
    let bytes = read_enrolment(&args)?;
    let enrolment = Enrolment::verify(&bytes)
        .map_err(|error| Error::invalid(args.file.display().to_string(), format!("it is no enrolment: {error}")))?;
    let fingerprint = enrolment.hospital_key.fingerprint();
    let hospital = enrolment.hospital.to_string();
    output
        .note(&format!("hospital     {hospital}\nsuite        {}\nfingerprint  {fingerprint}", enrolment.suite.code()));
    confirm(&args, &fingerprint)?;
    operator::enrol(&args.dir, bytes).await?;
    let answer = json!({ "hospital": hospital, "fingerprint": fingerprint, "enrolled": true });
    output.answer(&answer, || format!("hospital {hospital} is enrolled"))
}

fn read_enrolment(args: &EnrolArgs) -> Result<Vec<u8>> {
    let size = std::fs::metadata(&args.file).map_err(Error::file("read", &args.file))?.len();
    match size {
        0..=ENROLMENT_BYTES_MAX => std::fs::read(&args.file).map_err(Error::file("read", &args.file)),
        _ => Err(Error::invalid(args.file.display().to_string(), "it is far too long for an enrolment")),
    }
}

fn confirm(args: &EnrolArgs, fingerprint: &str) -> Result<()> {
    let refuse = |why: &str| Err(Error::NotConfirmed { what: "the fingerprint", why: why.to_owned() });
    let digits = |text: &str| text.chars().filter(char::is_ascii_hexdigit).collect::<String>().to_ascii_lowercase();
    match &args.fingerprint {
        _ if args.yes => Ok(()),
        Some(told) if digits(told) == digits(fingerprint) => Ok(()),
        Some(_) => refuse("the file has another one: ask the hospital again, by a way nobody else can write to"),
        None if !std::io::stdin().is_terminal() => refuse("give --fingerprint, or --yes once it was compared"),
        None => match ask("Is this the fingerprint the hospital told you by another way? Type yes: ")? {
            true => Ok(()),
            false => refuse("the answer was not yes"),
        },
    }
}

fn ask(question: &str) -> Result<bool> {
    eprint!("{question}");
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.map_err(|source| Error::System { action: "read the answer", source })?;
    Ok(answer.trim() == "yes")
}
