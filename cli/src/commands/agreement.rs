//! `shosoin agreement`: what hospital and operator agree on. Both sides draft, sign and show with the same commands; which
//! side it is follows from the folder.

use crate::args::SiteArgs;
use crate::error::{Error, Result};
use crate::files;
use crate::operator;
use crate::output::Output;
use crate::session::Session;
use crate::terms::{clauses, differences, from_toml, to_toml};
use crate::text::{parse_time, time};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use shosoin_client::now_ms;
use shosoin_protocol::act::agreement::{Agreement, Draft, Terms};
use shosoin_protocol::act::{ActKind, Document, MAGIC};
use shosoin_protocol::limits::DOCUMENT_BYTES_MAX;
use shosoin_protocol::{Digest, Suite};
use shosoin_store::agreements::AgreementCommand;
use std::fmt::Write as _;
use std::io::{BufRead as _, IsTerminal as _};
use std::path::{Path, PathBuf};

/// Commands about agreements.
#[derive(Debug, Subcommand)]
pub enum AgreementCommands {
    /// Write terms as a file that people read and change: those in force, or a proposal
    #[command(after_help = "Example:\n  \
        shosoin agreement draft --dir ./hospital --in-force 2027-04-01 --out terms.toml\n  \
        shosoin agreement draft --dir ./vault --hospital 77ab12... --out terms.toml")]
    Draft(DraftArgs),
    /// Sign terms for this side; the second signature puts them in force
    #[command(after_help = "Example:\n  \
        shosoin agreement sign terms.toml --dir ./hospital --out signed.shag --yes\n  \
        shosoin agreement sign signed.shag --dir ./vault --out agreement.shag --yes")]
    Sign(SignArgs),
    /// Show what is in force, who keeps to it, and what changed from one agreement to the next
    #[command(
        mut_arg("dir", |dir| dir.required_unless_present_any(["keyring", "file"])),
        after_help = "Example:\n  \
        shosoin agreement show --dir ./hospital\n  \
        shosoin agreement show --file signed.shag"
    )]
    Show(ShowArgs),
}

/// Arguments of `agreement draft`.
#[derive(Debug, Args)]
pub struct DraftArgs {
    /// File to write; it must not exist
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// From when on it is to count, as in 2027-04-01T09:00:00+09:00 [default: now]
    #[arg(long, value_name = "TIME")]
    in_force: Option<String>,
    #[command(flatten)]
    side: SideArgs,
}

/// Arguments of `agreement sign`.
#[derive(Debug, Args)]
pub struct SignArgs {
    /// Terms as TOML, or terms that the other side has signed
    file: PathBuf,
    /// File to write with this side's signature; it must not exist
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Do not ask: the terms were read
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    side: SideArgs,
}

/// Arguments of `agreement show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// A file in place of a ledger: terms, signed or not
    #[arg(long, value_name = "FILE", conflicts_with_all = ["dir", "keyring"])]
    file: Option<PathBuf>,
    /// One agreement by its number [default: the one in force]
    #[arg(long, value_name = "N")]
    number: Option<u32>,
    #[command(flatten)]
    side: SideArgs,
}

/// Which side: the folder of a vault is the operator's, that of a hospital or a site the hospital's.
#[derive(Debug, Args)]
pub struct SideArgs {
    /// Operator: which hospital [default: the only one of the vault]
    #[arg(long, value_name = "ID")]
    hospital: Option<String>,
    #[command(flatten)]
    site: SiteArgs,
}

/// What a side knows of its agreements.
struct Known {
    draft: Draft,
    /// number of the one in force
    in_force: Option<u32>,
    /// whether content is refused without one; the hospital's side does not know
    required: Option<bool>,
    used_bytes: Option<u64>,
    agreements: Vec<One>,
}

struct One {
    from_ms: u64,
    leaf_index: u64,
    agreement: Agreement,
}

/// Runs one of them.
pub async fn run(command: AgreementCommands, output: Output) -> Result<()> {
    match command {
        AgreementCommands::Draft(args) => draft(args, output).await,
        AgreementCommands::Sign(args) => sign(args, output).await,
        AgreementCommands::Show(args) => show(args, output).await,
    }
}

impl SideArgs {
    /// The folder of the vault, if this is the operator's side.
    fn vault(&self) -> Option<&Path> {
        self.site.dir.as_deref().filter(|dir| dir.join(shosoin_store::config::FILE).exists())
    }

    async fn known(&self) -> Result<Known> {
        match self.vault() {
            Some(dir) => {
                let command = AgreementCommand::Show { hospital: self.hospital.clone() };
                known_to_vault(&operator::agreement(dir, "show the agreements", &command).await?)
            }
            None => {
                let session = Session::open(&self.site).await?;
                let known = known_to_hospital(&session);
                session.finish(known).await
            }
        }
    }
}

fn known_to_vault(answer: &Value) -> Result<Known> {
    let bad = |what: &str| Error::invalid("answer of the vault", what.to_owned());
    let text = |field: &'static str| answer[field].as_str().ok_or_else(|| bad(field));
    let number = |value: &Value, field: &'static str| value[field].as_u64().ok_or_else(|| bad(field));
    let suite = u8::try_from(number(answer, "suite")?).ok().and_then(|code| Suite::try_from(code).ok());
    let mut agreements = Vec::new();
    for one in answer["agreements"].as_array().into_iter().flatten() {
        let document = hex::decode(one["document"].as_str().unwrap_or_default()).map_err(|_| bad("document"))?;
        let (from_ms, leaf_index) = (number(one, "from_ms")?, number(one, "leaf_index")?);
        agreements.push(One { from_ms, leaf_index, agreement: decode(&document)? });
    }
    Ok(Known {
        draft: Draft {
            hospital: text("hospital")?.parse().map_err(|_| bad("hospital"))?,
            suite: suite.ok_or_else(|| bad("suite"))?,
            vault: text("vault")?.parse().map_err(|_| bad("vault"))?,
            now_ms: number(answer, "time_ms")?,
        },
        in_force: answer["in_force"].as_u64().and_then(|number| u32::try_from(number).ok()),
        required: answer["required"].as_bool(),
        used_bytes: answer["used_bytes"].as_u64(),
        agreements,
    })
}

fn known_to_hospital(session: &Session) -> Result<Known> {
    let client = &session.client;
    let failed = |error| Error::client("read the agreements")(error);
    let (keyring, head) = (client.keyring(), client.head());
    let agreements = client.agreements().map_err(failed)?;
    let one = |agreed: &shosoin_client::Agreed| One {
        from_ms: agreed.from_ms,
        leaf_index: agreed.leaf_index,
        agreement: agreed.agreement.clone(),
    };
    Ok(Known {
        draft: Draft {
            hospital: keyring.hospital(),
            suite: keyring.suite(),
            vault: head.map(|head| head.vault).ok_or_else(|| Error::invalid("ledger", "it has no head yet"))?,
            now_ms: now_ms(),
        },
        in_force: client.terms().map_err(failed)?.map(|terms| terms.number),
        required: None,
        used_bytes: None,
        agreements: agreements.iter().map(one).collect(),
    })
}

fn decode(document: &[u8]) -> Result<Agreement> {
    let wrong = |error: shosoin_protocol::Error| Error::invalid("agreement", error.to_string());
    match Document::decode(ActKind::Agreement, document).map_err(wrong)? {
        Document::Agreement(agreement) => Ok(*agreement),
        _ => Err(Error::invalid("agreement", "it is another document")),
    }
}

async fn draft(args: DraftArgs, output: Output) -> Result<()> {
    let in_force = args.in_force.as_deref().map(|text| {
        parse_time(text).ok_or_else(|| Error::invalid("--in-force", "write it as 2027-04-01T09:00:00+09:00"))
    });
    let in_force = in_force.transpose()?;
    let known = args.side.known().await?;
    let now_ms = known.draft.now_ms;
    let newest = known.agreements.last().map(|one| &one.agreement.terms);
    let (proposal, number) = (Terms::proposal(known.draft), newest.map_or(1, |terms| terms.number + 1));
    let terms = match newest.filter(|terms| !terms.demo) {
        Some(terms) => Terms { made_ms: now_ms, ..terms.clone() },
        None => proposal,
    };
    let previous = newest.map_or(Digest([0; 32]), Terms::digest);
    let from_ms = in_force.unwrap_or_else(|| newest.map_or(now_ms, |terms| terms.from_ms.max(now_ms)));
    let terms = Terms { number, previous, from_ms, ..terms };
    files::create(&args.out, to_toml(&terms)?.as_bytes())?;
    let answer = json!({ "number": number, "file": args.out.display().to_string(), "in_force_ms": from_ms });
    output.answer(&answer, || {
        let file = args.out.display();
        format!("terms of agreement {number} are in {file}: change them, then `shosoin agreement sign {file}`")
    })
}

/// An agreement in a file: signed by one side or both, or terms that nobody signed yet.
fn read(path: &Path) -> Result<Agreement> {
    let bytes = files::read(path)?.ok_or_else(|| Error::file("read", path)(std::io::ErrorKind::NotFound.into()))?;
    if bytes.len() > DOCUMENT_BYTES_MAX {
        return Err(Error::invalid(path.display().to_string(), "it is far too long for an agreement"));
    }
    match bytes.starts_with(&MAGIC) {
        true => decode(&bytes),
        false => {
            let text = String::from_utf8(bytes);
            let text = text.map_err(|_| Error::invalid(path.display().to_string(), "it is neither terms nor text"))?;
            from_toml(&text).map(Agreement::draft)
        }
    }
}

async fn sign(args: SignArgs, output: Output) -> Result<()> {
    if args.out.exists() {
        return Err(Error::invalid(args.out.display().to_string(), "it exists; a signed file is never replaced"));
    }
    let agreement = read(&args.file)?;
    let known = args.side.known().await?;
    output.note(&terms_text(&agreement.terms));
    if let Some(before) = known.agreements.last() {
        output.note(&differences_text(&before.agreement.terms, &agreement.terms));
    }
    confirm(args.yes)?;
    let document = Document::Agreement(Box::new(agreement.clone())).encode();
    let (signed, leaf_index) = match args.side.vault() {
        Some(dir) => sign_as_operator(dir, &args.side, &document).await?,
        None => sign_as_hospital(&args.side, &document).await?,
    };
    files::create(&args.out, &signed)?;
    let (number, file) = (agreement.terms.number, args.out.display().to_string());
    let from_ms = agreement.terms.from_ms.max(known.draft.now_ms);
    let answer =
        json!({ "number": number, "file": file, "leaf_index": leaf_index, "in_force_ms": leaf_index.map(|_| from_ms) });
    output.answer(&answer, || match leaf_index {
        Some(leaf) => format!(
            "agreement {number} is signed by both and in the ledger at {leaf}; it is in force from {}; it is kept in {file}",
            time(from_ms)
        ),
        None => format!("agreement {number} is signed by this side alone: give {file} to the other side to sign"),
    })
}

async fn sign_as_operator(dir: &Path, side: &SideArgs, document: &[u8]) -> Result<(Vec<u8>, Option<u64>)> {
    let command = AgreementCommand::Sign { hospital: side.hospital.clone(), document: hex::encode(document) };
    let answer = operator::agreement(dir, "sign the agreement", &command).await?;
    let signed = hex::decode(answer["document"].as_str().unwrap_or_default());
    let signed = signed.map_err(|error| Error::invalid("answer of the vault", error.to_string()))?;
    Ok((signed, answer["leaf_index"].as_u64()))
}

async fn sign_as_hospital(side: &SideArgs, document: &[u8]) -> Result<(Vec<u8>, Option<u64>)> {
    let session = Session::open(&side.site).await?;
    let signed = session.client.sign_agreement(document).await.map_err(Error::client("sign the agreement"));
    let signed = session.finish(signed).await?;
    Ok((signed.document, signed.stated.map(|stated| stated.leaf_index)))
}

fn confirm(yes: bool) -> Result<()> {
    let refuse = |why: &str| Err(Error::NotConfirmed { what: "the terms", why: why.to_owned() });
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return refuse("give --yes once they were read");
    }
    eprint!("Sign these terms for this side? Type yes: ");
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.map_err(|source| Error::System { action: "read the answer", source })?;
    if answer.trim() == "yes" { Ok(()) } else { refuse("the answer was not yes") }
}

async fn show(args: ShowArgs, output: Output) -> Result<()> {
    if let Some(file) = &args.file {
        let agreement = read(file)?;
        let answer = terms_json(&agreement);
        return output.answer(&answer, || {
            let (hospital, vault) = (agreement.by_hospital.is_some(), agreement.by_vault.is_some());
            let signed = match (hospital, vault) {
                (true, true) => "signatures of both sides are there",
                (true, false) => "a signature of the hospital is there, the operator's is missing",
                (false, true) => "a signature of the operator is there, the hospital's is missing",
                (false, false) => "nobody has signed it",
            };
            format!("{}{signed}; what is in force is in the ledger alone\n", terms_text(&agreement.terms))
        });
    }
    let known = args.side.known().await?;
    let asked = args.number.or(known.in_force);
    let shown = known.agreements.iter().find(|one| Some(one.agreement.terms.number) == asked);
    if let (Some(number), None) = (args.number, shown) {
        return Err(Error::invalid("--number", format!("the ledger has no agreement {number}")));
    }
    let history = known.agreements.windows(2).map(|pair| {
        let (before, after) = (&pair[0].agreement.terms, &pair[1].agreement.terms);
        json!({ "from": before.number, "to": after.number, "differences": differences(before, after) })
    });
    let one = |one: &One| {
        json!({ "number": one.agreement.terms.number, "in_force_ms": one.from_ms, "leaf_index": one.leaf_index,
                "demo": one.agreement.terms.demo })
    };
    let answer = json!({
        "hospital": known.draft.hospital.to_string(),
        "vault": known.draft.vault.to_string(),
        "in_force": known.in_force,
        "required": known.required,
        "used_bytes": known.used_bytes,
        "agreements": known.agreements.iter().map(one).collect::<Vec<_>>(),
        "shown": shown.map(|one| terms_json(&one.agreement)),
        "changes": history.collect::<Vec<_>>(),
    });
    output.answer(&answer, || history_text(&known, shown))
}

fn terms_json(agreement: &Agreement) -> Value {
    let terms = &agreement.terms;
    json!({
        "number": terms.number,
        "demo": terms.demo,
        "digest": terms.digest().to_string(),
        "signed_by_hospital": agreement.by_hospital.is_some(),
        "signed_by_operator": agreement.by_vault.is_some(),
        "clauses": clauses(terms),
    })
}

fn terms_text(terms: &Terms) -> String {
    let mut out = String::new();
    let demo = if terms.demo { ", of a demonstration with itself" } else { "" };
    let _ = writeln!(out, "agreement {}{demo}", terms.number);
    let _ = writeln!(out, "hospital  {}\nvault     {}", terms.hospital, terms.vault);
    let _ = writeln!(out, "from      {}\ndigest    {}", time(terms.from_ms), terms.digest());
    for clause in clauses(terms) {
        let _ = writeln!(out, "{:<26}{:<50}{}", clause.subject, clause.value, clause.kept_by);
    }
    out
}

fn differences_text(before: &Terms, after: &Terms) -> String {
    let mut out = format!("what changes from agreement {} to {}:\n", before.number, after.number);
    let found = differences(before, after);
    if found.is_empty() {
        out += "nothing but its time\n";
    }
    for (subject, old, new) in found {
        let none = || "(nothing)".to_owned();
        let _ = writeln!(out, "{subject:<26}{} -> {}", old.unwrap_or_else(none), new.unwrap_or_else(none));
    }
    out
}

fn history_text(known: &Known, shown: Option<&One>) -> String {
    let mut out = String::new();
    if known.agreements.is_empty() {
        out += "there is no agreement in the ledger\n";
    }
    for one in &known.agreements {
        let terms = &one.agreement.terms;
        let mark = if known.in_force == Some(terms.number) { "in force" } else { "" };
        let demo = if terms.demo { "demonstration" } else { "" };
        let _ = writeln!(
            out,
            "{:>4}  from {}  leaf {:<8} {mark:<9} {demo}",
            terms.number,
            time(one.from_ms),
            one.leaf_index
        );
    }
    for pair in known.agreements.windows(2) {
        out += &differences_text(&pair[0].agreement.terms, &pair[1].agreement.terms);
    }
    if let Some(one) = shown {
        let _ = write!(out, "\n{}", terms_text(&one.agreement.terms));
    }
    if known.required == Some(true) && known.in_force.is_none() {
        out += "nothing is taken from this hospital: no agreement is in force\n";
    }
    out
}
