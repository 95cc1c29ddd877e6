//! The command line: its commands, and the arguments that several of them share.

use crate::commands::{
    account, agreement, applicability, assets, audit, audit_vault, bucket, change, device, dispose, escrow, evidence,
    export, forecast, gateway, get, handover, hold, hospital, incident, intake, jobs, keyring, ls, machine, notices,
    notify, pack, put, quarantine, reconcile, report, retention, share, stat, suite, timestamp, transfer, up, vault,
    verify, version, volume, witness,
};
use crate::error::Result;
use crate::hospital::{GatewayConfig, parse_pin};
use crate::passphrase::PassphraseArgs;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// An archive for medical records that the people who run it cannot read.
#[derive(Debug, Parser)]
#[command(name = "shosoin", version, disable_help_subcommand = true)]
pub struct Cli {
    /// Print one line of JSON per answer, and failures as JSON on stderr
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// Every role's commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run vault, hospital keyring and S3 gateway in one process; everything is made on first use
    Up(up::UpArgs),
    /// Operator: the vault and its media
    #[command(subcommand)]
    Vault(vault::VaultCommand),
    /// Operator: media, from the first label to the last certificate
    #[command(subcommand)]
    Volume(volume::VolumeCommand),
    /// Operator: which media end their life, what must move, and whether it fits
    Forecast(forecast::ForecastArgs),
    /// Operator: what was done to the vault, by whom and why
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Operator: the monthly report to a hospital
    #[command(subcommand)]
    Report(report::ReportCommands),
    /// Operator: who is told at once what is wrong
    #[command(subcommand)]
    Notify(notify::NotifyCommands),
    /// Operator: what hospitals must know of at once, with the scene as it was
    #[command(subcommand)]
    Incident(incident::IncidentCommands),
    /// Operator: the ledger of everything held: find, show, export
    #[command(subcommand)]
    Assets(assets::AssetsCommand),
    /// Both sides: received = held + given out + disposed
    #[command(subcommand)]
    Reconcile(reconcile::ReconcileCommand),
    /// Both sides: what is agreed on, signed by both
    #[command(subcommand)]
    Agreement(agreement::AgreementCommands),
    /// Operator: what arrives by courier, from its announcement to the end of the medium
    #[command(subcommand)]
    Intake(intake::IntakeCommand),
    /// Operator: the register of the computers that the service is run on and from
    #[command(subcommand)]
    Machine(machine::MachineCommands),
    /// Operator: the register of changes of program, settings and machines
    #[command(subcommand)]
    Change(change::ChangeCommands),
    /// Operator: evidence of what came and was suspicious; two people let it out
    #[command(subcommand)]
    Quarantine(quarantine::QuarantineCommands),
    /// Operator: the lines to hospitals; opening one that stopped after too many failures
    #[command(subcommand)]
    Transfer(transfer::TransferCommands),
    /// Operator: the people who run the vault, what they may do, and what needs two of them
    #[command(subcommand)]
    Account(account::AccountCommand),
    /// Operator: every control of the guideline with its state, its evidence and the moment it was measured
    Applicability(applicability::ApplicabilityArgs),
    /// Both sides: everything of one hospital, from this provider to the next
    #[command(subcommand)]
    Handover(handover::HandoverCommand),
    /// Operator: the hospitals a vault knows
    #[command(subcommand)]
    Hospital(hospital::HospitalCommand),
    /// Hospital: the root of all keys
    #[command(subcommand)]
    Keyring(keyring::KeyringCommand),
    /// Hospital: the algorithms of the hospital over time: the least suite, and moving to a stronger one
    #[command(subcommand)]
    Suite(suite::SuiteCommand),
    /// Hospital: records that another hospital may read, on a patient's consent
    #[command(subcommand)]
    Share(share::ShareCommand),
    /// Hospital: its machines, and shutting a lost one out
    #[command(subcommand)]
    Device(device::DeviceCommand),
    /// Hospital: the root on paper, in the hands of several people
    #[command(subcommand)]
    Escrow(escrow::EscrowCommand),
    /// Hospital: S3 for services, and who may use it
    #[command(subcommand)]
    Gateway(gateway::GatewayCommand),
    /// Hospital: buckets, and what their records are
    #[command(subcommand)]
    Bucket(bucket::BucketCommand),
    /// Hospital: store a record straight in the vault
    Put(put::PutArgs),
    /// Hospital: records onto a medium that a courier brings to the vault
    Pack(pack::PackArgs),
    /// Hospital: fetch a record straight from the vault
    Get(get::GetArgs),
    /// Hospital: records as plain files with their names and an index page, for an emergency
    Export(export::ExportArgs),
    /// Hospital: list buckets, or the records of one
    Ls(ls::LsArgs),
    /// Hospital: what is known of one record
    Stat(stat::StatArgs),
    /// Hospital: how long records are kept: show, start, extend, what is due
    #[command(subcommand)]
    Retention(retention::RetentionCommand),
    /// Hospital: legal holds, which keep records whatever has expired
    #[command(subcommand)]
    Hold(hold::HoldCommand),
    /// Hospital: what the operator told it: incidents, evidence, stops, reports, disposals
    Notices(notices::NoticesArgs),
    /// Hospital: what it says of the operator's report of a month
    Remark(notices::RemarkArgs),
    /// Both sides: the end of records, by order and with proof
    #[command(subcommand)]
    Dispose(dispose::DisposeCommand),
    /// Person: one's own key, which asks for disposals and agrees to them
    #[command(subcommand)]
    Approver(dispose::ApproverCommand),
    /// Hospital: prove a record, from its receipt to its content
    Verify(verify::VerifyArgs),
    /// Hospital: ask the vault for records drawn at random, and verify what it gives
    AuditVault(audit_vault::AuditVaultArgs),
    /// Anyone: what evidence proves, judged offline with public keys alone
    #[command(subcommand)]
    Evidence(evidence::EvidenceCommand),
    /// Hospital: have an authority outside say since when the ledger and everything in it exists
    #[command(subcommand)]
    Timestamp(timestamp::TimestampCommand),
    /// Anyone outside: co-sign ledger heads that continue what was seen before
    #[command(subcommand)]
    Witness(witness::WitnessCommand),
    /// Operator: read and verify every unit of every volume; changes nothing
    #[command(after_help = "Example:\n  shosoin scrub --dir ./vault --max-duration 6h --rate 200MiB")]
    Scrub(jobs::RunArgs),
    /// Operator: rebuild what lost redundancy, most urgent first
    #[command(after_help = "Example:\n  shosoin repair --dir ./vault --dry-run")]
    Repair(jobs::RunArgs),
    /// Operator: move everything off volumes that near their end, verify it there, then retire them
    #[command(
        after_help = "Example:\n  shosoin copy-forward --dir ./vault --volume 5f0c8a... --dry-run\n  shosoin copy-forward --dir ./vault --onto 71b2e4..."
    )]
    CopyForward(jobs::CopyForwardArgs),
    /// Operator: move closed segments to the tier their policy names
    #[command(after_help = "Example:\n  shosoin migrate --dir ./vault --hospital 77ab12... --max-duration 2h")]
    Migrate(jobs::RunArgs),
    /// Operator: rewrite what lives in sparse segments, and remove what no entry has named for as long as an upload may take
    #[command(
        after_help = "Example:\n  shosoin compact --dir ./vault --dry-run --json\n  shosoin compact --dir ./vault --amplification 0.5"
    )]
    Compact(jobs::CompactArgs),
    /// Operator: compare index, ledgers and media, both ways
    #[command(after_help = "Example:\n  shosoin check --dir ./vault --every-unit")]
    Check(jobs::CheckArgs),
    /// Operator: what runs, what is due, what is late, what came of it
    #[command(after_help = "Example:\n  shosoin jobs --dir ./vault\n  shosoin jobs --dir ./vault --cancel scrub")]
    Jobs(jobs::JobsArgs),
    /// The release, the digest of this program, and every library in it with its version
    Version(version::VersionArgs),
}

/// Which hospital, and how its vault is reached. With `--dir` of an `up` that is not running, nothing else is needed.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Hospital and vault")]
pub struct SiteArgs {
    /// Folder of a site made by `up`, or of a hospital made by `keyring init`
    #[arg(long, value_name = "DIR", required_unless_present = "keyring")]
    pub dir: Option<PathBuf>,
    /// Key file [default: the one in the folder]
    #[arg(long, value_name = "FILE")]
    pub keyring: Option<PathBuf>,
    /// Where the vault is, as in `https://vault.example:7443` [default: from gateway.toml]
    #[arg(long, value_name = "URL")]
    pub vault_url: Option<String>,
    /// SHA-256 of the vault's TLS key, in hex, as its operator tells it [default: from gateway.toml]
    #[arg(long, value_name = "HEX")]
    pub vault_pin: Option<String>,
    /// Folder for the remembered ledger head and the view of names [default: beside the key file]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// How many witnesses must have co-signed a ledger head before it is believed [default: from gateway.toml]
    #[arg(long, value_name = "N")]
    pub require_witnesses: Option<usize>,
    /// Where the passphrase comes from
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

/// The vault that a new hospital folder is for.
#[derive(Debug, Args)]
pub struct VaultToRemember {
    /// Where the vault is, remembered in gateway.toml
    #[arg(long, value_name = "URL", requires = "vault_pin")]
    vault_url: Option<String>,
    /// SHA-256 of the vault's TLS key, in hex, remembered in gateway.toml
    #[arg(long, value_name = "HEX", requires = "vault_url")]
    vault_pin: Option<String>,
}

impl VaultToRemember {
    /// What `gateway.toml` is to say, if anything. Refuses a pin that cannot be one.
    pub fn config(&self) -> Result<Option<GatewayConfig>> {
        let vault_pin = self.vault_pin.as_deref().map(parse_pin).transpose()?.map(hex::encode);
        let config =
            |url: &String| GatewayConfig { vault_url: Some(url.clone()), vault_pin, ..GatewayConfig::default() };
        Ok(self.vault_url.as_ref().map(config))
    }
}

/// One record.
#[derive(Debug, Clone, Args)]
pub struct RecordArgs {
    /// Bucket
    pub bucket: String,
    /// Name of the record in it
    pub name: String,
    /// A version by its id [default: the newest]
    #[arg(long, value_name = "ID")]
    pub version: Option<String>,
}
