//! `shosoin dispose`: the end of records. The hospital orders, persons approve, the operator runs and certifies, anybody verifies.

mod approve;
mod hospital;
mod verify;

pub use approve::ApproverCommand;

use crate::error::{Error, Result};
use crate::files;
use crate::operator;
use crate::output::Output;
use crate::text::{bytes, time};
use clap::{Args, Subcommand};
use serde_json::Value;
use shosoin_store::disposal::{DisposalCommand, DueQuery};
use std::path::PathBuf;

/// Commands about disposal.
#[derive(Debug, Subcommand)]
pub enum DisposeCommand {
    /// Operator: deposits whose retention has ended and that no hold keeps; nothing goes without the hospital's order
    #[command(after_help = "Example:\n  shosoin dispose due --dir ./vault --within-days 30 --json")]
    Due(DueArgs),
    /// Hospital: order the end of records, signed by the person who asks
    #[command(after_help = "Examples:\n  \
        shosoin dispose request charts --prefix 2019/ --due --requester manager.key --reason retention-ended --dir ./hospital\n  \
        shosoin dispose request --everything --no-hand-over --requester manager.key --reason contract-ended --dir ./hospital")]
    Request(Box<hospital::RequestArgs>),
    /// Hospital: take an order back, as long as its end has not begun
    #[command(after_help = "Example:\n  shosoin dispose cancel 018f3c... --dir ./hospital")]
    Cancel(hospital::CancelArgs),
    /// Person: agree to an order with one's own key; or operator: hand an approval in that was signed elsewhere
    #[command(after_help = "Examples:\n  \
        shosoin dispose approve --dir ./vault --order 018f3c... --key hanako.key\n  \
        shosoin dispose approve --order-file order.json --key hanako.key --out approval.shap\n  \
        shosoin dispose approve --dir ./vault --approval approval.shap")]
    Approve(approve::ApproveArgs),
    /// Operator: orders, who approved them, what stands against them, what is pending
    #[command(after_help = "Example:\n  shosoin dispose status --dir ./vault --order 018f3c... --export order.json")]
    Status(StatusArgs),
    /// Operator: carry an order out, or go on where an earlier run was cut off
    #[command(after_help = "Examples:\n  \
        shosoin dispose run --dir ./vault --order 018f3c... --dry-run\n  \
        shosoin dispose run --dir ./vault --order 018f3c... --json")]
    Run(RunArgs),
    /// Operator: the newest certificate of a disposal, issued anew where something has changed
    #[command(after_help = "Example:\n  \
        shosoin dispose certificate --dir ./vault --order 018f3c... --out certificate.shcd --html certificate.html")]
    Certificate(CertificateArgs),
    /// Anyone: verify a certificate offline: order, approvals, place in the ledger, signatures
    #[command(after_help = "Example:\n  shosoin dispose verify certificate.shcd --dir ./hospital")]
    Verify(verify::VerifyArgs),
}

/// Arguments of `dispose due`.
#[derive(Debug, Args)]
pub struct DueArgs {
    /// Folder of the vault
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Whose [default: the only hospital of the vault]
    #[arg(long, value_name = "ID")]
    hospital: Option<String>,
    /// Those that end within so many days too
    #[arg(long, value_name = "DAYS", default_value_t = 0)]
    within_days: u32,
    /// Go on after this reference number
    #[arg(long, value_name = "NUMBER")]
    after: Option<u64>,
    /// Entries at most, up to 1000
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    limit: usize,
}

/// Arguments of `dispose status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Folder of the vault
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Only this order
    #[arg(long, value_name = "ID")]
    order: Option<String>,
    /// Write the order for approvers at other machines
    #[arg(long, value_name = "FILE", requires = "order")]
    export: Option<PathBuf>,
}

/// Arguments of `dispose run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Folder of the vault
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// The order
    #[arg(long, value_name = "ID")]
    order: String,
    /// Read and judge everything, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Arguments of `dispose certificate`.
#[derive(Debug, Args)]
pub struct CertificateArgs {
    /// Folder of the vault
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// The order
    #[arg(long, value_name = "ID")]
    order: String,
    /// Copy the signed certificate here
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Copy the page for people here
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// Runs one of them.
pub async fn run(command: DisposeCommand, output: Output) -> Result<()> {
    match command {
        DisposeCommand::Due(DueArgs { dir, hospital, within_days, after, limit }) => {
            let query = DueQuery { hospital, within_days, after, limit };
            let due = operator::disposal(&dir, "look for what is due", &DisposalCommand::Due(query)).await?;
            output.answer(&due, || due_text(&due))
        }
        DisposeCommand::Request(args) => hospital::request(*args, output).await,
        DisposeCommand::Cancel(args) => hospital::cancel(args, output).await,
        DisposeCommand::Approve(args) => approve::run(args, output).await,
        DisposeCommand::Status(args) => status(args, output).await,
        DisposeCommand::Run(args) => carry_out(args, output).await,
        DisposeCommand::Certificate(args) => certificate(args, output).await,
        DisposeCommand::Verify(args) => verify::run(&args, output),
    }
}

/// Runs a command about persons' keys.
pub fn approver(command: ApproverCommand, output: Output) -> Result<()> {
    approve::approver(command, output)
}

async fn status(args: StatusArgs, output: Output) -> Result<()> {
    let StatusArgs { dir, order, export } = args;
    let found = operator::disposal(&dir, "look at the orders", &DisposalCommand::Status { order }).await?;
    if let Some(path) = export {
        let order = &found["orders"][0];
        if order["to_approve"].is_null() {
            return Err(Error::invalid("--export", "the order does not wait for approvals any more"));
        }
        files::create(&path, order.to_string().as_bytes())?;
    }
    for order in found["orders"].as_array().into_iter().flatten() {
        output.answer(order, || order_text(order))?;
    }
    Ok(())
}

async fn carry_out(args: RunArgs, output: Output) -> Result<()> {
    let RunArgs { dir, order, dry_run } = args;
    if !dry_run {
        output.note("reading the whole ledger and every record that goes; this takes as long as reading them does");
    }
    let report = operator::disposal(&dir, "carry out the order", &DisposalCommand::Run { order, dry_run }).await?;
    output.answer(&report, || run_text(&report))
}

async fn certificate(args: CertificateArgs, output: Output) -> Result<()> {
    let CertificateArgs { dir, order, out, html } = args;
    let command = DisposalCommand::Certificate { order };
    let mut issued = operator::disposal(&dir, "issue the certificate", &command).await?;
    for (carried, field, path) in [("signed_hex", "file", out), ("page_hex", "html", html)] {
        let carried = issued[carried].take();
        let (Some(path), Some(from)) = (path, issued[field].as_str()) else { continue };
        let bytes = match carried.as_str().map(hex::decode) {
            Some(bytes) => {
                bytes.map_err(|_| Error::invalid("the vault's answer", "the certificate in it is not hex"))?
            }
            None => std::fs::read(from).map_err(Error::file("read", PathBuf::from(from)))?,
        };
        files::create(&path, &bytes)?;
    }
    output.answer(&issued, || issued_text(&issued))
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or("-").to_owned()
}

fn moment(value: &Value) -> String {
    value.as_u64().map_or_else(|| "-".to_owned(), time)
}

fn due_text(due: &Value) -> String {
    let mut out = "number    version                           type   ended                 bytes\n".to_owned();
    for entry in due["due"].as_array().into_iter().flatten() {
        let (number, version, kind) = (entry["number"].to_string(), word(&entry["version"]), word(&entry["kind"]));
        let (ended, size) = (moment(&entry["ended_ms"]), entry["stored_bytes"].as_u64().map(bytes).unwrap_or_default());
        out += &format!("{number:>8}  {version}  {kind:<5}  {ended:<20}  {size}\n");
    }
    let count = |field: &str| due[field].to_string();
    out += &format!(
        "{} due; kept beside them: {} on hold, {} without a known start, {} without a term\n",
        count("count"),
        count("on_hold"),
        count("start_unknown"),
        count("without_term")
    );
    match due["next"].as_u64() {
        Some(next) => out + &format!("more with --after {next}\n"),
        None => out,
    }
}

fn order_text(order: &Value) -> String {
    let what = match order["everything"].as_bool() {
        Some(true) => "everything".to_owned(),
        _ => format!("{} entries", order["entries"]),
    };
    let mut out = format!(
        "{}  {}  {what}  {}  accepted {}  expires {}\n",
        word(&order["order"]),
        word(&order["standing"]),
        word(&order["reason"]),
        moment(&order["accepted_ms"]),
        moment(&order["expires_ms"])
    );
    for approval in order["approvals"].as_array().into_iter().flatten() {
        let counts =
            approval["does_not_count"].as_str().map_or("counts".to_owned(), |why| format!("does not count: {why}"));
        out +=
            &format!("  approved by {} at {}  {counts}\n", word(&approval["person"]), moment(&approval["accepted_ms"]));
    }
    for obstacle in order["obstacles"].as_array().into_iter().flatten() {
        out += &format!("  against it: {}\n", word(obstacle));
    }
    if order["certificates"].as_u64().unwrap_or(0) > 0 {
        out +=
            &format!("  certificates: {}, copies pending in the newest: {}\n", order["certificates"], order["pending"]);
    }
    out
}

fn run_text(report: &Value) -> String {
    let mut out = String::new();
    for obstacle in report["obstacles"].as_array().into_iter().flatten() {
        out += &format!("against it: {}\n", word(obstacle));
    }
    let size = report["bytes"].as_u64().map(bytes).unwrap_or_default();
    let would = if report["dry_run"] == true { "would go" } else { "are ended" };
    out += &format!(
        "{} records ({size}) of {} entries {would}; {} stay because others name them; {} were read and verified, {} could not be\n",
        report["records"], report["entries"], report["shared"], report["verified"], report["unverified"]
    );
    match report["certificate"].is_null() {
        true => out,
        false => out + &issued_text(&report["certificate"]),
    }
}

fn issued_text(issued: &Value) -> String {
    let state = match (issued["complete"].as_bool(), issued["pending"].as_u64()) {
        (Some(true), _) => "every copy is gone".to_owned(),
        (_, Some(0)) => "every copy is gone; remains of earlier copies may be on the media it names".to_owned(),
        (_, pending) => format!("{} copies are pending", pending.unwrap_or(0)),
    };
    format!(
        "certificate {} of order {}: {state}\n  {}\n  {}\n",
        issued["serial"],
        word(&issued["order"]),
        word(&issued["file"]),
        word(&issued["html"])
    )
}
