//! The command line: its commands, and the arguments that several of them share.

use crate::commands::{bucket, gateway, get, hospital, keyring, ls, put, stat, up, vault, verify};
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
    /// Operator: the hospitals a vault knows
    #[command(subcommand)]
    Hospital(hospital::HospitalCommand),
    /// Hospital: the root of all keys
    #[command(subcommand)]
    Keyring(keyring::KeyringCommand),
    /// Hospital: S3 for services, and who may use it
    #[command(subcommand)]
    Gateway(gateway::GatewayCommand),
    /// Hospital: buckets, and what their records are
    #[command(subcommand)]
    Bucket(bucket::BucketCommand),
    /// Hospital: store a record straight in the vault
    Put(put::PutArgs),
    /// Hospital: fetch a record straight from the vault
    Get(get::GetArgs),
    /// Hospital: list buckets, or the records of one
    Ls(ls::LsArgs),
    /// Hospital: what is known of one record
    Stat(stat::StatArgs),
    /// Hospital: prove a record, from its receipt to its content
    Verify(verify::VerifyArgs),
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
    /// Where the passphrase comes from
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
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
